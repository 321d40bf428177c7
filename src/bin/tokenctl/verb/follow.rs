//! `follow`: a file that is current, for programs that read files.
//!
//! Nothing is polled: the daemon is asked with the tag of what is known, and answers when
//! there is news. A daemon that goes away is waited for. A refusal leaves the file as it is,
//! since its token may be good for a while, and the next event of the account is waited for.
//!
//! A program that logs in by itself leaves a refresh token in its file. That login is handed
//! to the daemon before the file is written again, and above all while the account has no token
//! to be written. One that the provider refuses stays in the file and is handed in again later.
//! The file of another person's login stays as it is; whose it is, one exchange has shown.

use std::time::Duration;

use tokenkeeper::error::code::Code;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::time::spoken;

use super::Session;
use super::breathe;
use super::email;
use super::keep::Held;
use super::keep::Keep;
use super::keep::Said;
use super::keep::Updated;
use super::left::Left;
use super::of;
use super::watch::tell;
use crate::args::owner::FollowArgs;
use crate::client::Request;
use crate::fault::Fault;
use crate::file::OwnedFile;
use crate::wake::Wake;
use crate::wake::Woken;

/// When libraries refresh by themselves: this long before the expiry.
const THEIR_BUFFER: Duration = Duration::from_secs(300);

/// How long an account that refuses is left alone without an event of it.
const REFUSED: Duration = Duration::from_secs(15);

/// How long it is until a daemon that is away is looked for again.
const AWAY: Duration = Duration::from_millis(250);

/// Keeps the file until a signal ends it, or writes it once.
pub(super) fn follow(session: &Session, args: &FollowArgs) -> Result<(), Fault> {
    let form = email::form(session, "follow", &args.account, &args.form)?;
    let layout = form.layout("follow", &args.places)?;
    let file = OwnedFile::at(&args.file)?;
    let keep = Keep {
        session,
        account: &args.account,
        file: &file,
        layout: &layout,
        kind: form.kind_for(&layout),
        mode: args.mode,
    };
    if args.once {
        file.is_ours_to_keep()?;
        file.sweep();
        return keep.write(&keep.token()?.facts);
    }
    go_on(&keep)
}

/// Keeps the file until a signal ends it.
pub(super) fn go_on(keep: &Keep<'_>) -> Result<(), Fault> {
    keep.file.is_ours_to_keep()?;
    // Before anything is written, so that nothing is cut short.
    let wake = Wake::new().map_err(Fault::Output)?;
    let wake = if keep.layout.is_shared() {
        wake.watching(keep.file.path()).map_err(Fault::Output)?
    } else {
        wake
    };
    keep.file.sweep();
    // Who may not see the account, or has no daemon, hears it at once.
    let view = keep.session.daemon.fetch::<AccountView>(&Request::get(of(keep.account, "")))?.0;
    if let Some(advice) = keep.layout.is_shared().then(|| advice(&view)).flatten() {
        keep.session.output.warn(&advice);
    }
    run(keep, &wake)
}

fn run(keep: &Keep<'_>, wake: &Wake) -> Result<(), Fault> {
    let mut follower = Follower { keep, wake, held: None, left: Left::default() };
    let mut trouble = None;
    loop {
        match follower.step() {
            Ok(Step::Ended) => return Ok(()),
            Ok(Step::Idle) => {}
            Ok(Step::Done) if trouble.take().is_some() => tell(keep.session, "it goes on"),
            Ok(Step::Done) => {}
            Err(fault) if is_final(&fault) => return Err(fault),
            Err(fault) => {
                // What it says may have been written in vain.
                follower.held = None;
                let said = fault.to_string();
                if trouble.as_ref() != Some(&said) {
                    tell(keep.session, &format!("waiting: {said}"));
                }
                trouble = Some(said);
                match wait_out(keep, wake, &fault)? {
                    Woken::Ended => return Ok(()),
                    // As in a step.
                    Woken::Touched => breathe(Duration::MAX),
                    Woken::Ready | Woken::Late => {}
                }
            }
        }
    }
}

/// One who keeps a file.
struct Follower<'k> {
    keep: &'k Keep<'k>,
    wake: &'k Wake,
    /// The token that the file has, or would have if nothing else were in it.
    held: Option<Box<Held>>,
    /// The login that was found in it last.
    left: Left,
}

/// What came of a step.
enum Step {
    /// The file is as it should be.
    Done,
    /// There was nothing to do, or nothing may be done: there is a login in it that was refused,
    /// and may be alive all the same.
    Idle,
    /// The program is to end.
    Ended,
}

impl Follower<'_> {
    /// Looks at the file, and waits for the next thing that happens. A login in the file is
    /// looked for first, and whether or not there is a token to be written: it is what an account
    /// that refuses may be waiting for.
    fn step(&mut self) -> Result<Step, Fault> {
        if self.keep.look(&mut self.left)? {
            self.held = None;
        }
        match self.keep.news(self.held.as_deref(), self.wake)? {
            Said::Ended => return Ok(Step::Ended),
            Said::Unchanged => return Ok(Step::Idle),
            Said::Token(token) => self.held = Some(token),
            // A program that answers each of our writes with one of its own is not to keep the
            // disk busy.
            Said::Touched => breathe(Duration::MAX),
        }
        let Some(held) = &self.held else { return Ok(Step::Idle) };
        Ok(match self.keep.update(&held.facts, &mut self.left)? {
            Updated::Done => Step::Done,
            Updated::LeftAlone => Step::Idle,
            Updated::Overtaken => {
                self.held = None;
                Step::Done
            }
        })
    }
}

/// Waits until it is worth asking again.
fn wait_out(keep: &Keep<'_>, wake: &Wake, fault: &Fault) -> Result<Woken, Fault> {
    let events = Request::get(format!("/v1/events?account={}", keep.account));
    if let Fault::Refused { .. } = fault
        && let Ok(mut events) = keep.session.daemon.follow(&events)
    {
        return events.next_or(wake, REFUSED);
    }
    wake.until(None, AWAY).map_err(Fault::Output)
}

/// Whether no waiting helps.
fn is_final(fault: &Fault) -> bool {
    if let Fault::Refused { body, .. } = fault {
        matches!(
            body.error_code,
            Code::BadRequest
                | Code::InsufficientPermissions
                | Code::AccountUnknown
                | Code::ForeignWriter
        )
    } else {
        !fault.is_silence()
    }
}

/// What there is to know if the program of the file refreshes by itself all the same: a newer
/// token is asked for when half of the life of the one in the file is over.
fn advice(view: &AccountView) -> Option<String> {
    let (account, lifetime) = (&view.account, Duration::from_secs(view.lifetime));
    let short = !lifetime.is_zero() && lifetime / 2 <= THEIR_BUFFER;
    short.then(|| {
        format!(
            "the tokens of account {account} are good for {} only, and programs that refresh {} \
             before the expiry find none that is good for them",
            spoken(lifetime),
            spoken(THEIR_BUFFER)
        )
    })
}
