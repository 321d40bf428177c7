//! `wait`: a token as soon as there is one.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use tokenkeeper::clock;
use tokenkeeper::error::code::Code;
use tokenkeeper::snapshot::LONGEST_WAIT;
use tokenkeeper::time::Moment;

use super::Session;
use super::breathe;
use super::of;
use crate::args::token::WaitArgs;
use crate::client::Request;
use crate::client::events::Next;
use crate::fault::Fault;
use crate::print::Form;

/// Waits until there is a token, and prints nothing of it.
pub(super) fn wait(session: &Session, args: &WaitArgs) -> Result<(), Fault> {
    let deadline = clock::now().boot + args.timeout;
    let mut why = None;
    loop {
        match follow_until_token(session, args, deadline, &mut why) {
            Ok(Some(there)) => {
                return match session.output.form {
                    Form::Json => session.output.json(&there),
                    Form::Text => Ok(()),
                };
            }
            Ok(None) => {}
            Err(fault) if is_final(&fault) => return Err(fault),
            Err(fault) => why = Some(Box::new(fault)),
        }
        let left = left(deadline);
        if left.is_zero() {
            let account = args.account.to_string();
            return Err(Fault::WaitedInVain { account, waited: args.timeout, why });
        }
        breathe(left);
    }
}

/// What `wait` found, with `--json`: everything about the token but the token.
#[derive(Deserialize, Serialize)]
struct There {
    account: String,
    kind: String,
    expires_at: String,
    ttl: u64,
    generation: u64,
}

/// Asks for the token, and again after each event, until the deadline or the end of the
/// stream. The stream begins before the first question, so that no event falls between.
fn follow_until_token(
    session: &Session,
    args: &WaitArgs,
    deadline: Moment,
    why: &mut Option<Box<Fault>>,
) -> Result<Option<There>, Fault> {
    let follow = Request::get(format!("/v1/events?account={}", args.account));
    let mut events = session.daemon.follow(&follow)?;
    loop {
        match ask(session, args, left(deadline)) {
            Ok(there) => return Ok(Some(there)),
            Err(fault) if is_final(&fault) => return Err(fault),
            Err(fault) => *why = Some(Box::new(fault)),
        }
        loop {
            match events.next(left(deadline))? {
                Next::Event(_) => break,
                Next::Alive if !left(deadline).is_zero() => {}
                Next::Alive | Next::Silence | Next::End => return Ok(None),
            }
        }
    }
}

fn ask(session: &Session, args: &WaitArgs, left: Duration) -> Result<There, Fault> {
    let wait = left.min(LONGEST_WAIT);
    let mut target = of(&args.account, &format!("/token?format=json&wait={}", wait.as_secs()));
    if let Some(min_ttl) = args.min_ttl {
        // Writing into a String cannot fail.
        let _written = write!(target, "&min_ttl={}", min_ttl.as_secs());
    }
    Ok(session.daemon.fetch(&Request::get(target).waiting(wait))?.0)
}

/// Whether no waiting helps.
fn is_final(fault: &Fault) -> bool {
    if let Fault::Refused { body, .. } = fault {
        matches!(
            body.error_code,
            Code::BadRequest
                | Code::InsufficientPermissions
                | Code::AccountUnknown
                | Code::LifetimeTooShort
        )
    } else {
        !fault.is_silence() && !matches!(fault, Fault::RefusedAnew { .. })
    }
}

fn left(deadline: Moment) -> Duration {
    deadline.since(clock::now().boot)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokenkeeper::name::AccountId;
    use tokenkeeper::section::Mode;

    use super::*;
    use crate::client::scripted::Scripted;
    use crate::hint::Hints;
    use crate::print::Notes;
    use crate::print::Output;
    use crate::print::sample::PLAIN;

    #[test]
    fn wait_ends_when_there_is_a_token() {
        let daemon = Scripted::new();
        let session = session(&daemon);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut events = daemon.accept();
                assert!(events.request.starts_with("GET /v1/events?account=mail "));
                events.say(STREAM);
                daemon.accept().say(&answer(409, REFUSED));
                events.say(&[EVENT, b"\n\n"].concat());
                let mut asked_again = daemon.accept();
                assert!(asked_again.request.starts_with("GET /v1/accounts/mail/token?"));
                asked_again.say(&answer(200, TOKEN));
            });
            wait(&session, &waiting(60)).unwrap();
        });
    }

    #[test]
    fn wait_is_over_at_its_timeout_and_says_what_stood_in_the_way() {
        let daemon = Scripted::new();
        let session = session(&daemon);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut events = daemon.accept();
                events.say(STREAM);
                daemon.accept().say(&answer(409, REFUSED));
                events.wait_for_the_end();
            });
            let fault = wait(&session, &waiting(0)).unwrap_err();
            assert_eq!(fault.to_string(), "no token of mail within 0 s: log in");
            assert_eq!(fault.exit_status(), 75);
        });
    }

    #[test]
    fn wait_does_not_wait_for_what_never_comes() {
        let refused = REFUSED.replace("NEEDS_LOGIN", "LIFETIME_TOO_SHORT");
        let daemon = Scripted::new();
        let session = session(&daemon);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut events = daemon.accept();
                events.say(STREAM);
                daemon.accept().say(&answer(409, &refused));
            });
            let fault = wait(&session, &waiting(60)).unwrap_err();
            assert_eq!(fault.exit_status(), 3);
        });
    }

    const STREAM: &[u8] = b"HTTP/1.0 200 OK\r\n\r\n: hello\n\n";
    const EVENT: &[u8] = br#"data: {"event":"recovered","account":"mail","timestamp":"t","state":"fresh","generation":8,"expires_at":null,"next_at":null}"#;
    const REFUSED: &str = r#"{"error":"needs_login","message":"log in","error_code":"NEEDS_LOGIN","timestamp":"t","remedy":"sign_in"}"#;
    const TOKEN: &str = r#"{"account":"mail","kind":"access","token":"ya29","expires_at":"t","ttl":60,"generation":8}"#;

    fn answer(status: u16, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    }

    fn session(daemon: &Scripted) -> Session {
        let hints = Hints::default();
        let output = Output { form: Form::Text, style: PLAIN, notes: Notes::Hidden, hints };
        Session { daemon: daemon.client(), output, mode: Mode::System }
    }

    fn waiting(timeout_secs: u64) -> WaitArgs {
        WaitArgs {
            account: AccountId::parse("mail").unwrap(),
            min_ttl: None,
            timeout: Duration::from_secs(timeout_secs),
        }
    }
}
