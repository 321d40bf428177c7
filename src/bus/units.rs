//! Answers which system unit a process belongs to: systemd says so, over the system bus.
//!
//! The connection is the one that serves, where that is the system's bus. Otherwise there is one
//! for this alone, made when the first question comes.
//!
//! `GetUnitByPIDFD` (systemd 253) names the very process. An older manager is asked for the
//! number, which is only of use while everybody counts processes alike: a bus that gives this
//! daemon another number than it gives itself counts in another pid namespace. Where there is no
//! manager to ask, the control group of the process tells, if it is shown.
//!
//! # Invariants
//!
//! * Users take turns, so that nobody's questions keep another's from being asked.
//! * An answer counts only if the process lived until after it.
//! * A manager that is silent is asked no further, guessed about by nobody, and recorded once
//!   until it answers again, and once in [`limits::UNITS_UNKNOWN`] at the most.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio::time::sleep;
use tokio::time::timeout;
use tracing::debug;
use tracing::warn;
use zbus::Connection;
use zbus::DynamicType;
use zbus::Fd;
use zbus::Message;
use zbus::ObjectPath;

use crate::attest::Process;
use crate::attest::Question;
use crate::limits;
use crate::message;
use crate::unit;
use crate::unit::NoUnit;

use super::broker;
use super::turns::Turns;

/// How it stands with the connection to the system's bus.
#[derive(Clone, Default)]
pub(super) enum Link {
    /// Nobody tried yet.
    #[default]
    Untried,
    /// There is none.
    Down,
    /// There is one.
    Up(Connection),
}

/// Answers questions.
pub(super) struct Clerk {
    questions: mpsc::Receiver<Question>,
    turns: Turns,
    link: watch::Receiver<Link>,
    work: JoinSet<Result<(), NoUnit>>,
    news: News,
}

impl Clerk {
    /// Over that connection.
    pub(super) fn new(questions: mpsc::Receiver<Question>, link: watch::Receiver<Link>) -> Self {
        let (turns, work) = (Turns::default(), JoinSet::new());
        Self { questions, turns, link, work, news: News::default() }
    }

    /// Answers for as long as anybody asks, [`limits::UNITS_AT_ONCE`] at a time. `wanted` is
    /// called before a question is answered.
    pub(super) async fn run(mut self, wanted: impl Fn()) {
        loop {
            while self.work.len() < limits::UNITS_AT_ONCE
                && let Some(question) = self.turns.next()
            {
                wanted();
                self.work.spawn(answer(self.link.clone(), question));
            }
            tokio::select! {
                question = self.questions.recv() => {
                    let Some(question) = question else { return };
                    self.turns.take(question);
                }
                Some(ended) = self.work.join_next() => {
                    // A panic is told by the panic hook, and drops the reply, which is an answer.
                    if let Ok(outcome) = ended
                        && let Some(why) = self.news.of(outcome)
                    {
                        let event = message::Message::UnitsUnknown.as_str();
                        warn!(event, "rules that name a unit let nobody in: {why}");
                    }
                }
                () = self.news.pause() => {}
            }
        }
    }
}

/// What of the outcomes is to be recorded.
#[derive(Default)]
struct News {
    /// Whether it was recorded that there is no answer.
    recorded: bool,
    /// Until the next record may be made.
    pause: Option<Pin<Box<Sleep>>>,
}

impl News {
    /// Why there is no answer, if that is to be recorded.
    fn of(&mut self, outcome: Result<(), NoUnit>) -> Option<NoUnit> {
        match outcome {
            Err(why @ (NoUnit::Silent | NoUnit::Unreachable)) => {
                if self.recorded || self.pause.is_some() {
                    return None;
                }
                self.recorded = true;
                self.pause = Some(Box::pin(sleep(limits::UNITS_UNKNOWN)));
                Some(why)
            }
            // These are said before anybody else is asked.
            Err(NoUnit::Gone | NoUnit::Elsewhere) => None,
            Ok(()) | Err(_) => {
                self.recorded = false;
                None
            }
        }
    }

    /// Waits for the end of a pause; for ever if there is none. Can be dropped and called again.
    async fn pause(&mut self) {
        match &mut self.pause {
            Some(pause) => pause.await,
            None => std::future::pending().await,
        }
        self.pause = None;
    }
}

/// Answers one question, unless nobody waits for it any more. Says what came of it.
async fn answer(link: watch::Receiver<Link>, question: Question) -> Result<(), NoUnit> {
    /// What the manager may take, so that whoever waits hears of its silence.
    const PATIENCE: Duration = limits::UNIT.saturating_sub(Duration::from_millis(250));

    let Question { process, uid: _, mut reply } = question;
    let found = tokio::select! {
        found = timeout(PATIENCE, find(link, &process)) => found.unwrap_or(Err(NoUnit::Silent)),
        () = reply.closed() => return Err(NoUnit::Gone),
    };
    let found = if process.has_ended() { Err(NoUnit::Gone) } else { found };
    let outcome = found.as_ref().map(|_| ()).map_err(|why| *why);
    // Who does not wait any more has hung up.
    let _heard = reply.send(found).is_ok();
    outcome
}

async fn find(mut link: watch::Receiver<Link>, process: &Process) -> Result<Box<str>, NoUnit> {
    let link = match link.wait_for(|link| !matches!(link, Link::Untried)).await {
        Ok(link) => link.clone(),
        Err(_) => Link::Down,
    };
    let Link::Up(connection) = link else { return by_control_group(process) };
    match by_process(&connection, process).await {
        Ok(name) => return name.ok_or(NoUnit::Outside),
        Err(error) => debug!("the service manager takes no process: {error}"),
    }
    match broker::counts_as_we_do(&connection).await {
        Ok(true) => {}
        Ok(false) => return Err(NoUnit::Elsewhere),
        Err(error) => {
            debug!("the system bus does not answer: {error}");
            return by_control_group(process);
        }
    }
    match by_number(&connection, process).await {
        Ok(name) => name.ok_or(NoUnit::Outside),
        Err(error) if is_an_answer(&error) => Err(NoUnit::Outside),
        Err(error) => {
            debug!("the service manager cannot be asked: {error}");
            by_control_group(process)
        }
    }
}

/// `GetUnitByPIDFD`, which systemd 252 does not have.
async fn by_process(connection: &Connection, process: &Process) -> zbus::Result<Option<Box<str>>> {
    let reply = ask(connection, "GetUnitByPIDFD", &Fd::from(process.as_fd())).await?;
    let body = reply.body();
    let (_, name, _) = body.deserialize::<(ObjectPath<'_>, &str, Vec<u8>)>()?;
    Ok(unit::is_name(name).then(|| name.into()))
}

/// `GetUnitByPID`. Zero would be this daemon, and no process is numbered so.
async fn by_number(connection: &Connection, process: &Process) -> zbus::Result<Option<Box<str>>> {
    let reply = ask(connection, "GetUnitByPID", &process.number()).await?;
    let body = reply.body();
    Ok(unit::of_object(body.deserialize::<ObjectPath<'_>>()?.as_str()))
}

async fn ask(
    connection: &Connection,
    method: &str,
    body: &(impl Serialize + DynamicType),
) -> zbus::Result<Message> {
    const MANAGER: &str = "org.freedesktop.systemd1";
    const INTERFACE: &str = "org.freedesktop.systemd1.Manager";

    let path = "/org/freedesktop/systemd1";
    connection.call_method(Some(MANAGER), path, Some(INTERFACE), method, body).await
}

/// Whether it is systemd's own word, and not that there is no systemd.
fn is_an_answer(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, _, _)
        if name.as_str().starts_with("org.freedesktop.systemd1."))
}

/// What `/proc` shows, if it shows it: the sandbox may hide the processes of others.
fn by_control_group(process: &Process) -> Result<Box<str>, NoUnit> {
    /// Longest file that is read: a line for each of a dozen hierarchies, and paths of systemd's.
    const LONGEST: u64 = 64 * 1024;

    let mut text = String::new();
    let file = File::open(format!("/proc/{}/cgroup", process.number()));
    let read = file.and_then(|file| file.take(LONGEST).read_to_string(&mut text));
    read.map_err(|_| NoUnit::Unreachable)?;
    unit::of_cgroups(&text).ok_or(NoUnit::Outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_manager_that_answers_now_and_then_has_one_record_in_ten_minutes() {
        let mut news = News::default();
        assert_eq!(news.of(Err(NoUnit::Silent)), Some(NoUnit::Silent));
        for _ in 0..100 {
            assert_eq!(news.of(Ok(())), None);
            assert_eq!(news.of(Err(NoUnit::Unreachable)), None);
        }
        news.pause().await;
        assert_eq!(news.of(Err(NoUnit::Unreachable)), Some(NoUnit::Unreachable));
        news.pause().await;
        assert_eq!(news.of(Err(NoUnit::Silent)), None, "it never answered in between");
        assert_eq!(news.of(Ok(())), None);
        assert_eq!(news.of(Err(NoUnit::Silent)), Some(NoUnit::Silent));
    }
}
