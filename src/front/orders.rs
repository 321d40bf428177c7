//! What an administrator changes about an account: credential, secrets, pause, retry.

use std::rc::Rc;
use std::sync::Arc;

use hyper::Response;
use hyper::Uri;
use hyper::body::Incoming;

use crate::error::Code;
use crate::front::body;
use crate::front::body::Fields;
use crate::front::caller::Caller;
use crate::front::follow;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::keeper::Errand;
use crate::keeper::Seat;
use crate::lifecycle::Action;
use crate::limits;
use crate::protocol::DoneAnswer;
use crate::snapshot::Refusal;
use crate::token::Secret;

/// Fields of `import`.
pub(super) const IMPORT: &[&str] = &["refresh_token"];

/// Fields of `secret`.
pub(super) const SECRET: &[&str] = &["slot", "value"];

/// What is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// `POST …/import`
    Import,
    /// `POST …/secret`
    Secret,
    /// `POST …/pause`
    Pause,
    /// `POST …/resume`
    Resume,
    /// `POST …/retry`
    Retry,
    /// `DELETE …/credential`
    Clear,
}

/// Has it changed, and says so when it is done.
pub(super) async fn carry_out(
    caller: Rc<Caller>,
    seat: Arc<Seat>,
    change: Change,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    let about = |refusal| Refused::about(&seat.account, refusal);
    Query::read(uri.query(), &[]).map_err(about)?;
    let known = match change {
        Change::Import => IMPORT,
        Change::Secret => SECRET,
        Change::Pause | Change::Resume | Change::Retry | Change::Clear => &[],
    };
    let fields = body::fields(&seat.account, body, known).await?;
    let (action, done) = match change {
        Change::Import => {
            let token = fields.text("refresh_token").map_err(about)?;
            (Action::Import(token.clone()), "its credential was proven and taken over")
        }
        Change::Secret => {
            let forgotten = put_secret(&caller, &seat, &fields).await?;
            let done = if forgotten { "the secret is forgotten" } else { "the secret is sealed" };
            (Action::SecretChanged, done)
        }
        Change::Pause => (Action::Pause, "it is paused: nothing is spent until it is resumed"),
        Change::Resume => (Action::Resume, "it is resumed"),
        Change::Retry => (Action::Retry, "it is tried again now"),
        Change::Clear => (Action::Clear, "its credential is forgotten"),
    };
    let order = caller.desk.keeper.order(&seat.account, action);
    let outcome = tokio::time::timeout(limits::ORDER, order).await;
    outcome.unwrap_or_else(|_| Err(follow::pending())).map_err(about)?;
    reply::json(&DoneAnswer {
        account: Some(seat.account.to_string()),
        message: format!("account {}: {done}", seat.account),
    })
}

/// Seals or forgets a secret. Says whether it is forgotten.
async fn put_secret(caller: &Caller, seat: &Seat, fields: &Fields) -> Result<bool, Box<Refused>> {
    let about = |refusal| Refused::about(&seat.account, refusal);
    let slot = fields.text("slot").map_err(about)?.expose().to_owned();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if slot.len() > limits::SLOT || !slot.bytes().all(plain) {
        let message = "body field `slot` must be a word of a-z and '_', like `client_secret`";
        return Err(about(bad(message.into())));
    }
    if !fields.has("value") {
        let message = "body field `value` is missing; it must be a string, or null to forget";
        return Err(about(bad(message.into())));
    }
    let secret = fields.optional_text("value").map_err(about)?.cloned();
    if secret.as_ref().is_some_and(Secret::is_empty) {
        return Err(about(bad("body field `value` must not be empty".into())));
    }
    let forgotten = secret.is_none();
    let account = seat.account.clone();
    let errand = |reply| Errand::PutSecret { account, slot, secret, reply };
    let errand = caller.desk.keeper.errand(errand);
    let outcome = tokio::time::timeout(limits::ORDER, errand).await;
    outcome.unwrap_or_else(|_| Err(follow::late())).and_then(|sealed| sealed).map_err(about)?;
    Ok(forgotten)
}

fn bad(message: String) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}
