//! What the tests of all codecs have in common: answers, what an exchange should end as, and
//! bodies that mean no good.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::Strategy;
use proptest::prelude::any;
use proptest::sample::select;
use toml::de::DeTable;
use zeroize::Zeroizing;

use super::Outcome;
use super::Request;
use super::Response;
use super::Step;
use crate::error::Class;
use crate::error::RefreshError;
use crate::section::Mode;
use crate::section::Scope;
use crate::section::Section;
use crate::section::complaint::Report;
use crate::section::complaint::Source;
use crate::token::Grant;
use crate::token::Kind;
use crate::token::Secret;

/// How an exchange should end: the token that the API takes, refresh token and seconds; or the
/// class.
pub(super) enum Ends {
    Granted(&'static str, Option<&'static str>, u64),
    Salvaged(&'static str, Class),
    Failed(Class),
}

impl Ends {
    /// Holds the outcome that an answer was read as to it.
    pub(super) fn check(self, name: &str, kind: Kind, response: &Response, outcome: &Outcome) {
        match (outcome, self) {
            (Outcome::Granted(grant), Self::Granted(token, refresh, secs)) => {
                assert_eq!(grant.tokens.get(kind).map(Secret::expose), Some(token), "{name}");
                assert_eq!(grant.refresh_token.as_ref().map(Secret::expose), refresh, "{name}");
                assert_eq!(grant.lifetime.as_secs(), secs, "{name}");
            }
            (Outcome::Salvaged(token, error), Self::Salvaged(expected, class)) => {
                assert_eq!(token.expose(), expected, "{name}");
                assert_eq!(error.class(), class, "{name}: {error}");
            }
            (Outcome::Failed(error), Self::Failed(class)) => {
                assert_eq!(error.class(), class, "{name}: {error}");
                assert_eq!(error.retry_after(), response.retry_after, "{name}: {error}");
            }
            (other, _) => panic!("{name}: {}", spoken(other)),
        }
    }
}

/// Looks like a token, so what shows foreign text has to mask it.
pub(super) const CANARY: &str = "canary-4f9aKq0ZtYxLm3Pq7Rw2";

/// An answer that means no good, with the canary in its body.
#[derive(Debug)]
pub(super) struct Hostile {
    status: u16,
    complete: bool,
    body: Vec<u8>,
}

impl Hostile {
    /// The canary among any bytes.
    pub(super) fn noise() -> impl Strategy<Value = Self> {
        let bytes = || vec(any::<u8>(), 0..40);
        let parts = (100_u16..600, any::<bool>(), bytes(), bytes());
        parts.prop_map(|(status, complete, before, after)| {
            let body = [&before, CANARY.as_bytes(), &after].concat();
            Self { status, complete, body }
        })
    }

    /// One of these texts, cut off anywhere.
    pub(super) fn cut(texts: impl Strategy<Value = String>) -> impl Strategy<Value = Self> {
        let parts = (100_u16..600, any::<bool>(), texts, 0_usize..200);
        parts.prop_map(|(status, complete, text, length)| {
            let mut body = text.into_bytes();
            body.truncate(length);
            Self { status, complete, body }
        })
    }

    /// The answer, which for the rest is like this one.
    pub(super) fn reply(self, like: Response) -> Response {
        let Self { status, complete, body } = self;
        Response { status, complete, body: Zeroizing::new(body), ..like }
    }
}

/// An object of one member: a name that matches, and one of these values, in which `CANARY`
/// stands for the canary.
pub(super) fn member(
    names: &'static str,
    values: &'static [&'static str],
) -> impl Strategy<Value = String> {
    (names, select(values)).prop_map(|(name, value)| {
        let value = value.replace("CANARY", CANARY);
        format!(r#"{{"{name}":{value}}}"#)
    })
}

/// Checks that nothing of a hostile body shows, and that what is no success grants nothing.
pub(super) fn survives(status: u16, outcome: &Outcome) {
    let spoken = spoken(outcome);
    assert!(!spoken.contains(CANARY), "{spoken}");
    if !(200..300).contains(&status) {
        assert!(matches!(outcome, Outcome::Failed(_)), "{spoken}");
    }
}

/// Checks that nothing of a hostile body shows in an error.
pub(super) fn hides(error: &RefreshError) {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(CANARY), "{shown}");
}

/// Everything of an outcome that may be seen.
pub(super) fn spoken(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Granted(_) => "granted".into(),
        Outcome::Salvaged(_, error) | Outcome::Failed(error) => format!("{error} {error:?}"),
    }
}

/// What an outcome grants.
pub(super) fn granted(outcome: Outcome) -> Grant {
    match outcome {
        Outcome::Granted(grant) => *grant,
        other @ (Outcome::Salvaged(..) | Outcome::Failed(_)) => panic!("{}", spoken(&other)),
    }
}

/// The request that a step asks for.
pub(super) fn asked(step: Step) -> Request {
    match step {
        Step::Ask(request) => request,
        Step::Done(outcome) => panic!("{}", spoken(&outcome)),
        Step::Call(_) => panic!("no program has a part in it"),
    }
}

/// The failure that a step is.
pub(super) fn failed(step: Step) -> RefreshError {
    match step {
        Step::Done(Outcome::Failed(error)) => error,
        Step::Done(outcome) => panic!("{}", spoken(&outcome)),
        Step::Ask(_) | Step::Call(_) => panic!("a further request"),
    }
}

/// The header of that name.
pub(super) fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find_map(|(own, value)| (*own == name).then(|| value.expose()))
}

/// An answer.
pub(super) fn response(status: u16, content_type: &str, body: &str) -> Response {
    Response {
        status,
        content_type: content_type.into(),
        retry_after: None,
        date: None,
        location: None,
        error_type: None,
        body: Zeroizing::new(body.as_bytes().to_vec()),
        complete: true,
    }
}

/// An answer in JSON.
pub(super) fn json(status: u16, body: &str) -> Response {
    response(status, "application/json", body)
}

/// A page for a browser.
pub(super) fn html(status: u16) -> Response {
    response(status, "text/html", "<!DOCTYPE html><title>x</title>")
}

/// An answer whose connection broke.
pub(super) fn cut(response: Response) -> Response {
    Response { complete: false, ..response }
}

/// An answer that asks for seven seconds of patience.
pub(super) fn retry(response: Response) -> Response {
    Response { retry_after: Some(Duration::from_secs(7)), ..response }
}

/// A token that says this of itself.
pub(super) fn jwt(payload: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

/// What `read` makes of a table of the configuration that is without a fault.
pub(super) fn configured<T>(text: &str, read: impl FnOnce(&mut Section<'_>) -> Option<T>) -> T {
    let source = Source::new(0, "config.toml", text);
    let report = Report::default();
    let table = DeTable::parse(text).unwrap();
    let scope = Scope { source: &source, report: &report, mode: Mode::System };
    let mut section = Section::of_file(scope, &table);
    let account = read(&mut section);
    section.finish();
    assert_eq!(report.into_parts(), (Vec::new(), Vec::new()), "{text}");
    account.unwrap()
}
