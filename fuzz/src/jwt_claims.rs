//! What a token says of itself, as far as anybody believes it.
//!
//! An input is the claims of an access token and, after `%%`, those of an ID token; one that is
//! no text of an object is taken for the whole token. The tokens come in a reply that grants an
//! hour. Promises: claims shorten that and never lengthen it; a subject is one that stands there;
//! no claim costs the grant.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use tokenkeeper::provider::Outcome;
use tokenkeeper::provider::Provider;
use tokenkeeper::provider::Response;
use tokenkeeper::provider::Step;
use tokenkeeper::token::Grant;
use zeroize::Zeroizing;

use super::conversation;
use super::input;
use super::token_replies;

const ACCOUNT: &str = "[accounts.mail]\ntoken_endpoint = 'https://i.example'\nclient_id = 'c'\n";

/// What the reply grants.
const HOUR: Duration = Duration::from_secs(3_600);

/// Has a reply carry the tokens.
pub fn run(input: &[u8]) {
    let parts = input::parts(input);
    let tokens = parts.iter().take(2).map(|claims| token(claims)).collect::<Vec<_>>();
    let Some(tokens) = tokens.into_iter().collect::<Option<Vec<_>>>() else { return };
    let reply = json!({
        "access_token": tokens[0],
        "id_token": tokens.get(1),
        "expires_in": HOUR.as_secs(),
    });
    let grant = grant(&reply);
    assert!(grant.lifetime <= HOUR, "claims gave {:?}", grant.lifetime);
    if let Some(subject) = grant.subject {
        assert!((1..=255).contains(&subject.len()), "{subject}");
        let stands = parts.iter().any(|claims| {
            // Whoever looks at every member is stricter than who leaves most of them alone.
            let Ok(claims) = serde_json::from_slice::<Value>(claims) else { return true };
            claims["sub"].as_str() == Some(&*subject)
        });
        // Whoever is known by a number is so by its digits, in whichever way it was written.
        let stands = stands || subject.parse::<f64>().is_ok();
        assert!(stands || parts.iter().any(|part| !part.starts_with(b"{")), "whose is {subject}?");
    }
}

/// A token with those claims; `None` for what is none, because no header carries it.
fn token(claims: &[u8]) -> Option<String> {
    if claims.trim_ascii_start().starts_with(b"{") {
        return Some(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)));
    }
    let text = std::str::from_utf8(claims).ok()?;
    let fits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    fits.then(|| text.to_owned())
}

fn grant(reply: &Value) -> Grant {
    static READ: OnceLock<Vec<(String, Arc<dyn Provider>)>> = OnceLock::new();

    let provider = &READ.get_or_init(|| token_replies::of(ACCOUNT))[0].1;
    let mut exchange = provider.exchange(conversation::spend(provider.profile()));
    assert!(matches!(exchange.next(None), Step::Ask(_)), "it asks at once");
    let response = Response {
        status: 200,
        content_type: "application/json".into(),
        retry_after: None,
        date: None,
        location: None,
        error_type: None,
        body: Zeroizing::new(reply.to_string().into_bytes()),
        complete: true,
    };
    match exchange.next(Some(response)) {
        Step::Done(Outcome::Granted(grant)) => *grant,
        Step::Done(Outcome::Salvaged(_, error) | Outcome::Failed(error)) => {
            panic!("its claims cost the grant: {error}")
        }
        Step::Ask(_) | Step::Call(_) => panic!("it asks again"),
    }
}
