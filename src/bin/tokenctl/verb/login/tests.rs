//! Logins with a scripted daemon and a scripted person.

use std::collections::VecDeque;

use tokenkeeper::section::Mode;

use super::*;
use crate::args::global::When;
use crate::client::scripted::Scripted;
use crate::hint::Hints;
use crate::print::Form;
use crate::print::Notes;
use crate::print::Output;
use crate::print::Screen;
use crate::print::Style;

const BUSY: &str = r#""state":"busy","turn":1"#;
const DONE: &str =
    r#""state":"done","turn":9,"generation":8,"ttl":3600,"expires_at":"2026-11-22T01:00:00Z""#;

#[test]
fn a_password_is_asked_for_and_sent_once() {
    let play = Play::new(&["hunter2"]);
    let asked = r#""state":"asked","turn":2,"prompt":{"kind":"password","answerable":true,"again":false,"of":"pat"}"#;
    let told = play.run(&[BUSY, asked, DONE]);
    assert_eq!(
        told.outcome.unwrap(),
        "mail: logged in, generation 8, its token is good for 1 h, until 2026-11-22T01:00:00Z; from now on it is refreshed in time"
    );
    assert_eq!(
        told.person,
        ["wait: Asking the provider", "ask hidden: Password of pat", "wait: Asking the provider"]
    );
    assert_eq!(told.bodies[1], r#"{"login":"l1","seen":0}"#);
    assert_eq!(told.bodies[2], r#"{"login":"l1","answer":"hunter2","seen":2}"#);
}

#[test]
fn a_wrong_code_is_asked_for_again() {
    let play = Play::new(&["111111", "222222"]);
    let first = r#""state":"asked","turn":2,"prompt":{"kind":"code","answerable":true,"again":false,"from":"sent to p***","ttl":180}"#;
    let again = r#""state":"asked","turn":4,"prompt":{"kind":"code","answerable":true,"again":true,"from":"sent to p***","ttl":170}"#;
    let told = play.run(&[first, again, DONE]);
    assert!(told.outcome.is_ok());
    assert_eq!(
        told.person,
        [
            "ask shown, 180 s: Code (sent to p***)",
            "wait: Asking the provider",
            "tell: That was not right.",
            "ask shown, 170 s: Code (sent to p***)",
            "wait: Asking the provider",
        ]
    );
    assert_eq!(told.bodies[2], r#"{"login":"l1","answer":"222222","seen":4}"#);
}

#[test]
fn a_login_that_waits_for_its_turn_says_once_why_and_until_when() {
    let play = Play::new(&["hunter2"]);
    let asked = r#""state":"asked","turn":2,"prompt":{"kind":"password","answerable":true,"again":false,"of":"pat"}"#;
    let delayed = |secs: u64| format!(r#""state":"delayed","turn":3,"goes_on_in":{secs}"#);
    let proving = r#""state":"proving","turn":5,"goes_on_in":7"#;
    let told = play.run(&[asked, &delayed(50), &delayed(49), BUSY, proving, DONE]);
    assert!(told.outcome.is_ok());
    assert_eq!(
        told.person,
        [
            "ask hidden: Password of pat",
            "wait: Asking the provider",
            "tell: There were as many logins at this provider as a minute allows; it goes on in 50 s.",
            "wait: Waiting for a turn, 50 s",
            "wait: Waiting for a turn, 49 s",
            "wait: Asking the provider",
            "tell: The credential cannot be proven just yet; it goes on in 7 s.",
            "wait: Waiting for a turn, 7 s",
        ]
    );
}

#[test]
fn a_device_is_shown_once_and_waited_for() {
    let play = Play::new(&[]);
    let shown = r#""state":"asked","turn":2,"prompt":{"kind":"device","answerable":false,"again":false,"url":"https://idp.example/device","user_code":"ABCD","ttl":600}"#;
    let told = play.run(&[BUSY, shown, shown, DONE]);
    assert!(told.outcome.is_ok());
    assert_eq!(told.person.iter().filter(|line| line.contains("ABCD")).count(), 1);
    assert_eq!(told.person.last().unwrap(), "wait: Waiting for you to do that, 600 s");
    assert_eq!(told.bodies[3], r#"{"login":"l1","seen":2}"#);
}

#[test]
fn what_is_pasted_is_sent_as_the_query_alone() {
    let play = Play::new(&["http://127.0.0.1:1/callback?code=c&state=s"]);
    let asked = r#""state":"asked","turn":2,"prompt":{"kind":"browser","answerable":true,"again":false,"url":"https://idp.example/authorize"}"#;
    let told = play.run(&[asked, DONE]);
    assert!(told.outcome.is_ok());
    assert_eq!(told.bodies[1], r#"{"login":"l1","answer":"code=c&state=s","seen":2}"#);
}

#[test]
fn whoever_thinks_better_of_it_cancels_the_login_at_the_daemon() {
    let play = Play::new(&[]);
    let asked = r#""state":"asked","turn":2,"prompt":{"kind":"password","answerable":true,"again":false,"of":"pat"}"#;
    let told = play.run(&[asked, r#""state":"cancelled","turn":2"#]);
    assert!(matches!(told.outcome, Err(Fault::Interrupted)));
    assert_eq!(told.bodies[1], r#"{"login":"l1","cancel":true}"#);

    let mut play = Play::new(&[]);
    play.person.gone = true;
    let told = play.run(&[BUSY, r#""state":"cancelled","turn":2"#]);
    assert!(matches!(told.outcome, Err(Fault::Interrupted)));
    assert_eq!(told.bodies[1], r#"{"login":"l1","cancel":true}"#);
}

#[test]
fn the_daemon_is_told_where_nobody_can_type() {
    let told = Play::new(&[]).run(&[DONE]);
    assert_eq!(told.bodies, ["{}"]);

    let mut play = Play::new(&[]);
    play.person.away = true;
    assert_eq!(play.run(&[DONE]).bodies, [r#"{"unattended":true}"#]);
}

struct Play {
    daemon: Scripted,
    person: Puppet,
}

/// What became of it.
struct Told {
    outcome: Result<String, Fault>,
    person: Vec<String>,
    bodies: Vec<String>,
}

impl Play {
    fn new(answers: &[&str]) -> Self {
        let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
        Self { daemon: Scripted::new(), person: Puppet { answers, ..Puppet::default() } }
    }

    /// Logs in; the daemon answers with these views in turn.
    fn run(self, views: &[&str]) -> Told {
        let Self { daemon, mut person } = self;
        let style =
            Style::new(When::Never, &Screen { terminal: false, no_color: None, locale: None });
        let hints = Hints::default();
        let output = Output { form: Form::Text, style, notes: Notes::Shown, hints };
        let session = Session { daemon: daemon.client(), output, mode: Mode::System };
        let account = AccountId::parse("mail").unwrap();
        std::thread::scope(|scope| {
            let answering = scope.spawn(|| {
                let bodies = views.iter().map(|view| {
                    let mut peer = daemon.accept();
                    let body = peer.body.clone();
                    let prompt = if view.contains("prompt") { "" } else { r#""prompt":null,"# };
                    let view = format!(
                        r#"{{"account":"mail","login":"l1",{prompt}"message":"m",{view}}}"#
                    );
                    let length = view.len();
                    peer.say(
                        format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{view}")
                            .as_bytes(),
                    );
                    body
                });
                bodies.collect::<Vec<_>>()
            });
            let talk = Talk {
                session: &session,
                account: &account,
                person: &mut person,
                browser: None,
                password: None,
            };
            let outcome = talk.hold().map(|(view, _)| outcome(&view));
            Told { outcome, bodies: answering.join().unwrap(), person: person.heard }
        })
    }
}

/// A person who says what was written down beforehand, and then thinks better of it.
#[derive(Default)]
struct Puppet {
    answers: VecDeque<String>,
    heard: Vec<String>,
    gone: bool,
    /// There is no terminal.
    away: bool,
}

impl Person for Puppet {
    fn tell(&mut self, line: &str) {
        self.heard.push(format!("tell: {line}"));
    }

    fn ask(&mut self, question: &Question<'_>) -> Result<Zeroizing<String>, Fault> {
        let echo = if question.echo == Echo::Shown { "shown" } else { "hidden" };
        let left = question.left.map(|left| format!(", {} s", left.as_secs())).unwrap_or_default();
        self.heard.push(format!("ask {echo}{left}: {}", question.text));
        self.answers.pop_front().map(Zeroizing::new).ok_or(Fault::Interrupted)
    }

    fn waits_for(&mut self, what: &str, left: Option<Duration>) {
        let left = left.map(|left| format!(", {} s", left.as_secs())).unwrap_or_default();
        self.heard.push(format!("wait: {what}{left}"));
    }

    fn can_type(&self) -> bool {
        !self.away
    }

    fn is_gone(&self) -> bool {
        self.gone
    }
}
