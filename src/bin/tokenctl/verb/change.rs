//! The verbs that change an account.
//!
//! Secrets go from where they are read into the body of one request, both wiped when they
//! are dropped. A rejected token is not sent at all, only its hash.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokenkeeper::keeper::Over;
use tokenkeeper::name::AccountId;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::account::DoneAnswer;
use tokenkeeper::protocol::account::RefreshAnswer;
use tokenkeeper::protocol::account::ReportRequest;
use tokenkeeper::time::spoken;
use tokenkeeper::token::Secret;
use tokenkeeper::token::hex;
use zeroize::Zeroizing;

use super::Session;
use super::adopt;
use super::of;
use crate::args::admin::ImportArgs;
use crate::args::token::ReportArgs;
use crate::args::value::Slot;
use crate::client::Request;
use crate::fault::Fault;
use crate::input;
use crate::input::Given;
use crate::input::InputError;
use crate::usage::Mistake;

/// Has `account` refreshed.
pub(super) fn refresh(session: &Session, account: &AccountId) -> Result<(), Fault> {
    refreshed(session, &Request::post(of(account, "/refresh")), outcome)
}

/// Tells that a token was rejected.
pub(super) fn report(session: &Session, args: &ReportArgs) -> Result<(), Fault> {
    if args.literal.is_some() {
        let instead = "give it to --token-stdin, or say its --generation";
        return Err(Mistake::literal_secret("report", instead).into());
    }
    let token_sha256 = match (args.generation, args.token_stdin) {
        (Some(_), _) => None,
        (None, true) => {
            let token = Secret::new(input::secret(None, "Rejected token")?.secret.as_str());
            Some(hex(&token.sha256()))
        }
        (None, false) => {
            return Err(Mistake::neither("report", "--generation or --token-stdin").into());
        }
    };
    let reason = args.stream.then(|| "stream_unauthenticated".to_owned());
    let body = json(&ReportRequest { generation: args.generation, token_sha256, reason }, 256);
    let outcome = if args.generation.is_some() { outcome } else { outcome_of_token };
    refreshed(session, &Request::post(of(&args.account, "/report")).json(body), outcome)
}

fn refreshed(
    session: &Session,
    request: &Request,
    outcome: fn(&RefreshAnswer) -> String,
) -> Result<(), Fault> {
    let (answer, reply) = session.daemon.fetch::<RefreshAnswer>(request)?;
    session.output.note(&outcome(&answer), &reply)
}

/// The same for a reported token: one that is not current may be older, or none of the
/// account's at all, which nobody can tell apart.
fn outcome_of_token(answer: &RefreshAnswer) -> String {
    let RefreshAnswer { account, generation, ttl, .. } = answer;
    if answer.changed || !answer.refreshed {
        return outcome(answer);
    }
    let left = spoken(Duration::from_secs(*ttl));
    format!(
        "{account}: not refreshed, since this token is not one that the account has now; its \
         generation {generation} is good for {left}"
    )
}

fn outcome(answer: &RefreshAnswer) -> String {
    let RefreshAnswer { account, generation, ttl, .. } = answer;
    let left = spoken(Duration::from_secs(*ttl));
    let how = match (answer.changed, answer.refreshed) {
        (true, _) => format!("{account}: refreshed, generation {generation}, good for {left}"),
        (false, true) => format!(
            "{account}: not refreshed, since there is a newer token already, generation \
             {generation}, good for {left}"
        ),
        (false, false) => format!(
            "{account}: not refreshed, generation {generation} is the current one, good for {left}"
        ),
    };
    if answer.unsaved {
        format!(
            "{how}; the disk has not taken it, and somebody has to see to that: tokenctl why {account}"
        )
    } else {
        how
    }
}

/// Hands a refresh token over.
pub(super) fn import(session: &Session, args: &ImportArgs) -> Result<(), Fault> {
    if let Some(source) = args.from.source()? {
        return adopt::import(session, args, &source);
    }
    if args.file.is_some() {
        let instead = "put it into a file and name that by --refresh-token-file, or leave it \
                       out to be asked";
        return Err(Mistake::literal_secret("import", instead).into());
    }
    let prompt = format!("Refresh token of {}", args.account);
    let token = given(session, args.refresh_token_file.as_deref(), &prompt)?;
    // No refresh token begins so, and the provider would be sent all of it.
    if token.trim_start().starts_with('{') {
        return Err(InputError::Object.into());
    }
    done(session, &import_request(&args.account, &token))
}

/// The request that hands a refresh token over.
pub(super) fn import_request(account: &AccountId, refresh_token: &str) -> Request {
    /// As the protocol's `ImportRequest`, borrowed.
    #[derive(Serialize)]
    struct Import<'a> {
        refresh_token: &'a str,
    }

    let body = json(&Import { refresh_token }, refresh_token.len());
    Request::post(of(account, "/import")).json(body)
}

/// Stores a secret.
pub(super) fn set_secret(
    session: &Session,
    slot: &Slot,
    file: Option<&Path>,
    literal: Option<&OsStr>,
) -> Result<(), Fault> {
    if literal.is_some() {
        let instead = "put it into a file and name that by --file, or leave it out to be asked";
        return Err(Mistake::literal_secret("secret set", instead).into());
    }
    // Nobody is to type a secret for nothing. Who may not store it hears so when it is stored.
    let (view, _) = session.daemon.fetch::<AccountView>(&Request::get(of(&slot.account, "")))?;
    if let Some(slots) = view.secrets.filter(|slots| !slots.contains(&slot.name)) {
        return Err(Mistake::other_slot(slot, &slots).into());
    }
    let prompt = format!("{} of {}", slot.name, slot.account);
    let secret = given(session, file, &prompt)?;
    done(session, &secret_request(slot, Some(&secret), Over::Anything))
}

/// Reads a secret, and warns of where it lies.
fn given(session: &Session, file: Option<&Path>, prompt: &str) -> Result<Zeroizing<String>, Fault> {
    let Given { secret, warning } = input::secret(file, prompt)?;
    if let Some(exposed) = warning {
        session.output.warn(&exposed.to_string());
    }
    Ok(secret)
}

/// Forgets a secret.
pub(super) fn forget_secret(session: &Session, slot: &Slot) -> Result<(), Fault> {
    done(session, &secret_request(slot, None, Over::Anything))
}

/// The request that puts a secret into a slot, or forgets what is there.
pub(super) fn secret_request(slot: &Slot, value: Option<&str>, over: Over) -> Request {
    /// As the protocol's `SecretRequest`, borrowed.
    #[derive(Serialize)]
    struct Put<'a> {
        slot: &'a str,
        value: Option<&'a str>,
        // An older daemon does not know it, and is not asked for it without need.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        if_empty: bool,
    }

    let put = Put { slot: &slot.name, value, if_empty: over == Over::Nothing };
    let body = json(&put, value.map_or(0, str::len));
    Request::post(of(&slot.account, "/secret")).json(body)
}

/// Gives an order that is one word: `pause`, `resume`, `retry`, `purge`.
pub(super) fn order(session: &Session, account: &AccountId, word: &str) -> Result<(), Fault> {
    done(session, &Request::post(of(account, &format!("/{word}"))))
}

pub(super) fn done(session: &Session, request: &Request) -> Result<(), Fault> {
    let (answer, reply) = session.daemon.fetch::<DoneAnswer>(request)?;
    session.output.note(&answer.message, &reply)
}

/// `value` as JSON, with room for `content` bytes of which each is escaped: no copy of a
/// secret is left behind by growing.
pub(super) fn json(value: &impl Serialize, content: usize) -> Zeroizing<Vec<u8>> {
    const LONGEST_ESCAPE: usize = 6;
    const FRAME: usize = 256;

    let mut body = Zeroizing::new(Vec::with_capacity(content * LONGEST_ESCAPE + FRAME));
    // Structs of strings always have a JSON form, and a vector takes all of it.
    let _written = serde_json::to_writer(&mut *body, value);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_never_grows_while_it_is_written() {
        let secret = "\u{1}".repeat(1000);
        let body = json(&secret, secret.len());
        assert_eq!(body.len(), 6 * 1000 + 2);
        assert_eq!(body.capacity(), 6 * 1000 + 256);
    }

    #[test]
    fn the_outcome_says_whether_there_was_a_refresh_and_is_a_newer_token() {
        let answer = RefreshAnswer {
            account: "mail".into(),
            refreshed: true,
            changed: true,
            generation: 8,
            expires_at: None,
            ttl: 3_600,
            unsaved: true,
        };
        assert_eq!(
            outcome(&answer),
            "mail: refreshed, generation 8, good for 1 h; the disk has not taken it, and somebody \
             has to see to that: tokenctl why mail"
        );
        let answer = RefreshAnswer { unsaved: false, ..answer };
        assert_eq!(outcome(&answer), "mail: refreshed, generation 8, good for 1 h");
        let answer = RefreshAnswer { changed: false, ..answer };
        assert_eq!(
            outcome(&answer),
            "mail: not refreshed, since there is a newer token already, generation 8, good for 1 h"
        );
        assert_eq!(
            outcome_of_token(&answer),
            "mail: not refreshed, since this token is not one that the account has now; its \
             generation 8 is good for 1 h"
        );
        let answer = RefreshAnswer { refreshed: false, ..answer };
        assert_eq!(
            outcome(&answer),
            "mail: not refreshed, generation 8 is the current one, good for 1 h"
        );
    }
}
