//! A provider's side of an exchange, a login or a deed, as an input says it.
//!
//! A part of an input begins with a line of words: a status, a type and flags of a response, or
//! what else came of a request. The rest of the part is the body. What a person answers is a whole
//! part, without the end of its last line.
//!
//! Promises: no conversation makes more requests than its profile says; each goes where the
//! account's transport permits; no secret is in its address; what comes of it is a grant that is
//! whole or a failure that can be told and stored.

use std::sync::Arc;
use std::time::Duration;

use tokenkeeper::error::RefreshError;
use tokenkeeper::error::foreign::is_unsafe_to_show;
use tokenkeeper::provider::Exchange;
use tokenkeeper::provider::MAX_BODY;
use tokenkeeper::provider::Outcome;
use tokenkeeper::provider::Profile;
use tokenkeeper::provider::Request;
use tokenkeeper::provider::Response;
use tokenkeeper::provider::Spend;
use tokenkeeper::provider::Step;
use tokenkeeper::provider::call::Called;
use tokenkeeper::provider::call::MAX_ANSWER;
use tokenkeeper::provider::deed::Deed;
use tokenkeeper::provider::login::Heard;
use tokenkeeper::provider::login::Login;
use tokenkeeper::provider::login::LoginStart;
use tokenkeeper::provider::login::Prompt;
use tokenkeeper::provider::login::Turn;
use tokenkeeper::time::Timestamp;
use tokenkeeper::token::Grant;
use tokenkeeper::token::Secret;
use tokenkeeper::token::TokenSet;
use url::Url;
use zeroize::Zeroizing;

use super::hygiene;
use super::hygiene::OWN;
use super::input;

/// When all of it happens.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Longest lifetime that any answer can bring.
const LONGEST_LIFETIME: Duration = Duration::from_secs(3_650 * 86_400);

/// Longest name of a subject, in bytes (OpenID Connect Core section 2).
const LONGEST_SUBJECT: usize = 255;

/// Most turns of a login that a driver takes; a login may ask a person without end.
const MOST_TURNS: usize = 64;

/// What an exchange works with: a secret for every slot.
pub fn spend(profile: &Profile) -> Spend {
    let tokens = TokenSet {
        access: Secret::new(OWN),
        id: Some(Secret::new(OWN)),
        token_type: "Bearer".into(),
        scope: None,
    };
    Spend {
        refresh_token: profile.has_refresh_token.then(|| Secret::new(OWN)),
        secrets: secrets(profile),
        learned: None,
        held: Some(Arc::new(tokens)),
        now: NOW,
    }
}

/// What a login begins with, with the secrets that the account has or without any.
pub fn start(profile: &Profile, with_secrets: bool) -> LoginStart {
    LoginStart {
        secrets: if with_secrets { secrets(profile) } else { Vec::new() },
        redirect: Url::parse("http://127.0.0.1:8123/").ok(),
        learned: None,
        nonce: Secret::new("5f".repeat(32)),
        now: NOW,
    }
}

fn secrets(profile: &Profile) -> Vec<(&'static str, Secret)> {
    profile.slots().map(|slot| (slot, Secret::new(OWN))).collect()
}

/// Leads an exchange to its end, or to where the parts of the input end.
pub fn exchange(profile: &Profile, mut exchange: Box<dyn Exchange>, parts: &[&[u8]]) {
    let mut parts = parts.iter();
    let mut status = 200;
    let mut told = None;
    let mut asked = 0;
    let mut step = exchange.next(None);
    loop {
        step = match step {
            Step::Ask(request) => {
                asked += 1;
                assert!(asked <= profile.requests, "more than {} requests", profile.requests);
                goes(profile, &request);
                let Some(part) = parts.next() else { return };
                let response = response(part);
                (status, told) = (response.status, response.retry_after);
                exchange.next(Some(response))
            }
            Step::Call(call) => {
                asked += 1;
                assert!(asked <= profile.requests, "more than {} calls", profile.requests);
                assert_eq!(call.spends, call.question.expose().contains("\"refresh_token\""));
                let Some(part) = parts.next() else { return };
                exchange.called(called(part))
            }
            Step::Done(outcome) => {
                return ended(&outcome.unless_repeated(Some(&Secret::new(OWN))), status, told);
            }
        };
    }
}

/// Leads a deed to its end, or to where the parts of the input end.
pub fn deed<T>(
    profile: &Profile,
    mut deed: Box<dyn Deed<T>>,
    parts: &[&[u8]],
    done: impl FnOnce(T),
) {
    let mut parts = parts.iter();
    let mut step = deed.next(None);
    let mut asked = 0;
    loop {
        step = match step {
            Step::Ask(request) => {
                asked += 1;
                assert!(asked <= profile.requests.max(3), "{asked} requests for one deed");
                goes(profile, &request);
                let Some(part) = parts.next() else { return };
                deed.next(Some(response(part)))
            }
            Step::Call(_) => panic!("no deed asks a program"),
            Step::Done(Ok(outcome)) => return done(outcome),
            Step::Done(Err(error)) => return failed(&error),
        };
    }
}

/// Leads a login to its end, or to where the parts of the input end.
pub fn login(profile: &Profile, mut login: Box<dyn Login>, parts: &[&[u8]]) {
    let mut parts = parts.iter();
    let mut turn = login.next(Heard::Begun);
    for _ in 0..MOST_TURNS {
        let heard = match turn {
            Turn::Done(Ok(grant)) => return granted(&grant),
            Turn::Done(Err(error)) => return failed(&error),
            Turn::Ask(request) => {
                goes(profile, &request);
                let Some(part) = parts.next() else { return };
                match part.strip_prefix(b"lost\n") {
                    Some(_) => Heard::Lost(RefreshError::Unreachable("connection reset".into())),
                    None => Heard::Response(response(part), NOW),
                }
            }
            Turn::Call(_) => {
                let Some(part) = parts.next() else { return };
                Heard::Called(called(part))
            }
            Turn::Prompt(prompt) => {
                prompted(prompt);
                let Some(part) = parts.next() else { return };
                let answer = part.strip_suffix(b"\n").unwrap_or(part);
                Heard::Answer(Secret::new(String::from_utf8_lossy(answer)), NOW)
            }
            Turn::Pause { span, shown } => {
                prompted(shown);
                assert!(!span.is_zero(), "a pause that is none asks without end");
                Heard::Waited(NOW + span)
            }
        };
        turn = login.next(heard);
    }
}

/// What a part says that came of a request.
fn response(part: &[u8]) -> Response {
    let (line, body) = input::line(part);
    let mut words = line.split(' ');
    let status = words.next().and_then(|word| word.parse().ok()).unwrap_or(200);
    let content_type = words.next().unwrap_or_default();
    let flags = words.collect::<Vec<_>>();
    let flag = |name: &str| flags.iter().find_map(|flag| flag.strip_prefix(name));
    Response {
        status: if (100..600).contains(&status) { status } else { 100 + status % 500 },
        content_type: content_type.to_ascii_lowercase().into(),
        retry_after: flag("retry=").and_then(|it| it.parse().ok()).map(Duration::from_secs),
        date: flag("date").map(|_| NOW),
        location: flag("to=").and_then(host),
        error_type: flag("type=").map(Box::from),
        body: Zeroizing::new(body[..body.len().min(MAX_BODY)].to_vec()),
        complete: flag("cut").is_none(),
    }
}

/// The host as it is told of a redirect: one that a URL can have.
fn host(name: &str) -> Option<Box<str>> {
    Url::parse(&format!("https://{name}/")).ok()?.host_str().map(Box::from)
}

/// What a part says that came of a call.
fn called(part: &[u8]) -> Called {
    let (word, output) = input::line(part);
    let output = Zeroizing::new(output[..output.len().min(MAX_ANSWER)].to_vec());
    match &*word {
        "broken" => Called::Broken { output, why: "/p: exit status: 1".into() },
        "unstarted" => Called::NotStarted("/p: too many processes".into()),
        "missing" => Called::Missing("/p: no such file".into()),
        _ => Called::Answered(output),
    }
}

/// Checks where a request goes.
fn goes(profile: &Profile, request: &Request) {
    let url = &request.url;
    assert!(profile.transport.permits(url), "a request to {url}");
    assert!(!url.as_str().contains(OWN), "a secret in {url}");
    for (name, value) in &request.headers {
        let plain = |byte: u8| matches!(byte, b' '..=b'~');
        assert!(value.expose().bytes().all(plain), "header {name} breaks its line");
    }
}

fn ended(outcome: &Outcome, status: u16, told: Option<Duration>) {
    match outcome {
        Outcome::Granted(grant) => {
            assert!((200..300).contains(&status), "HTTP {status} granted tokens");
            granted(grant);
        }
        Outcome::Salvaged(token, error) => {
            assert!((200..300).contains(&status), "HTTP {status} brought a refresh token");
            assert!(!token.is_empty(), "an empty refresh token is kept");
            assert_ne!(token.expose(), OWN, "the spent refresh token is kept as a new one");
            failed(error);
        }
        Outcome::Failed(error) => {
            if let (Some(kept), Some(told)) = (error.retry_after(), told) {
                assert!(kept >= told, "{told:?} of patience became {kept:?}");
            }
            failed(error);
        }
    }
}

/// Checks a grant: whole, and fit for the header that will carry it.
fn granted(grant: &Grant) {
    let plain = |secret: &Secret| secret.expose().bytes().all(|it| matches!(it, b' '..=b'~'));
    let tokens = &grant.tokens;
    for token in [Some(&tokens.access), tokens.id.as_ref()].into_iter().flatten() {
        assert!(!token.is_empty() && plain(token), "a token that no header carries");
    }
    assert!(tokens.token_type.bytes().all(|it| it.is_ascii_graphic()), "{}", tokens.token_type);
    assert!(grant.lifetime <= LONGEST_LIFETIME, "{:?}", grant.lifetime);
    assert!(grant.refresh_lifetime.is_none_or(|it| !it.is_zero() && it <= LONGEST_LIFETIME));
    assert!(grant.refresh_token.as_ref().is_none_or(|it| !it.is_empty()));
    assert!(grant.subject.as_ref().is_none_or(|it| (1..=LONGEST_SUBJECT).contains(&it.len())));
    if let Some(aws) = &grant.aws {
        assert!(aws.lifetime <= LONGEST_LIFETIME, "{:?}", aws.lifetime);
        assert!(!aws.credentials.access_key_id.is_empty(), "AWS credentials without a key");
    }
}

/// Checks a failure, which is told to people and stored.
fn failed(error: &RefreshError) {
    hygiene::fault(error);
    let stored = serde_json::to_string(error).expect("a failure can be stored");
    hygiene::hides(&stored);
    let read = serde_json::from_str::<RefreshError>(&stored).expect("what was stored is read");
    assert_eq!(read, *error, "it is another failure when it is read again");
}

/// Checks what a person is shown in a login, as the daemon shows it. What the provider has them open or
/// type stands there as it is, but for what the provider was told.
fn prompted(prompt: Prompt) {
    match prompt.hiding(&[Secret::new(OWN)]) {
        Prompt::Password { of } => hygiene::message(&of),
        Prompt::Code { from, .. } => hygiene::message(&from),
        Prompt::Device { url, complete, user_code, good_for } => {
            for text in [Some(url), complete, Some(user_code)].into_iter().flatten() {
                assert!(!text.chars().any(is_unsafe_to_show), "it steers terminals: {text:?}");
                assert!(!text.contains(OWN), "a secret shows: {text}");
            }
            assert!(!good_for.is_zero(), "a code that is good for no time");
        }
        Prompt::Browser { url } => hygiene::hides(&url),
    }
}
