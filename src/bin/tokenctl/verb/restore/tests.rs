//! One account handed in to a scripted daemon.

use tokenkeeper::section::Mode;
use tokenkeeper::token::Secret;

use super::*;
use crate::args::global::When;
use crate::client::scripted::Scripted;
use crate::hint::Hints;
use crate::print::Notes;
use crate::print::Output;
use crate::print::Screen;
use crate::print::Style;

const DONE: &str = r#"{"account":"mail","changed":true,"message":"done"}"#;
const UNCHANGED: &str = r#"{"account":"mail","changed":false,"message":"as it was"}"#;
const STORE_UNAVAILABLE: &str = r#"{"error":"unavailable","message":"the disk is full","error_code":"STORE_UNAVAILABLE","timestamp":"2026-11-22T01:00:00Z","account":"mail","retry_at":null,"remedy":"wait","provider_error":null}"#;

#[test]
fn a_secret_takes_the_place_of_another_only_after_the_credential_is_proven() {
    let told = hand_in(Overrule::Yes, &kept(), &[UNCHANGED, DONE, DONE]);
    assert_eq!(
        told.requests,
        [
            r#"secret {"slot":"client_secret","value":"S","if_empty":true}"#,
            r#"import {"refresh_token":"R"}"#,
            r#"secret {"slot":"client_secret","value":"S"}"#,
        ]
    );
    assert_eq!(told.reached.unwrap().notes, ["client_secret sealed"]);

    let told = hand_in(Overrule::Yes, &kept(), &[UNCHANGED, STORE_UNAVAILABLE]);
    assert!(told.reached.is_err());
    assert_eq!(told.requests.len(), 2, "{:?}", told.requests);

    let told = hand_in(Overrule::No, &kept(), &[UNCHANGED, DONE]);
    assert_eq!(told.reached.unwrap().notes, ["client_secret is there already"]);

    let secrets_alone = Kept { refresh_token: None, ..kept() };
    let told = hand_in(Overrule::Yes, &secrets_alone, &[DONE]);
    assert_eq!(told.requests, [r#"secret {"slot":"client_secret","value":"S"}"#]);
}

#[test]
fn a_slot_that_is_not_there_is_no_obstacle_and_a_store_that_fails_is_one() {
    let no_slot = STORE_UNAVAILABLE.replace("STORE_UNAVAILABLE", "BAD_REQUEST");
    let told = hand_in(Overrule::No, &kept(), &[&no_slot, DONE]);
    assert_eq!(told.reached.unwrap().notes, ["client_secret not taken: the disk is full"]);

    let told = hand_in(Overrule::No, &kept(), &[STORE_UNAVAILABLE]);
    assert_eq!(told.reached.err().map(|fault| fault.exit_status()), Some(75));
}

#[test]
fn an_account_that_is_taken_over_is_restored_whatever_fails_afterwards() {
    let kept = Kept { hold: Hold::Paused, ..kept() };
    let told = hand_in(Overrule::No, &kept, &[DONE, DONE, STORE_UNAVAILABLE]);
    let reached = told.reached.unwrap();
    assert_eq!(reached.outcome, Outcome::Restored);
    assert_eq!(reached.trouble.as_ref().and_then(code), Some("STORE_UNAVAILABLE"));
    assert_eq!(
        reached.notes,
        [
            "client_secret sealed",
            "not paused as it was: the disk is full; type: tokenctl pause mail"
        ]
    );

    let forced = [UNCHANGED, DONE, STORE_UNAVAILABLE, DONE];
    let reached = hand_in(Overrule::Yes, &kept, &forced).reached.unwrap();
    assert_eq!(reached.outcome, Outcome::Restored);
    assert!(reached.trouble.is_some());
    assert_eq!(reached.notes, ["client_secret not taken: the disk is full", "paused, as it was"]);
}

/// What was asked, and what came of it.
struct Told {
    requests: Vec<String>,
    reached: Result<Reached, Fault>,
}

/// Hands the account in; the daemon answers with these bodies in turn.
fn hand_in(overrule: Overrule, kept: &Kept, answers: &[&str]) -> Told {
    let daemon = Scripted::new();
    let style = Style::new(When::Never, &Screen { terminal: false, no_color: None, locale: None });
    let output = Output { form: Form::Text, style, notes: Notes::Shown, hints: Hints::default() };
    let session = Session { daemon: daemon.client(), output, mode: Mode::System };
    std::thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let requests = answers.iter().map(|answer| {
                let mut peer = daemon.accept();
                let target = peer.request.split(' ').nth(1).unwrap();
                let order = target.rsplit('/').next().unwrap();
                let request = format!("{order} {}", peer.body);
                let status = if answer.contains("error") { "503 Unavailable" } else { "200 OK" };
                let length = answer.len();
                let head = format!("HTTP/1.0 {status}\r\nContent-Length: {length}\r\n\r\n");
                peer.say(format!("{head}{answer}").as_bytes());
                request
            });
            requests.collect::<Vec<_>>()
        });
        let reached = Run { session: &session, overrule, status: 0 }.hand_in(kept);
        Told { requests: answering.join().unwrap(), reached }
    })
}

fn kept() -> Kept {
    let mut kept = Kept::new(AccountId::parse("mail").unwrap());
    kept.refresh_token = Some(Secret::new("R"));
    kept.secrets.insert("client_secret".into(), Secret::new("S"));
    kept
}
