//! What an administrator changes about an account: credential, secrets, pause, retry.

use std::rc::Rc;
use std::sync::Arc;

use hyper::Response;
use hyper::Uri;
use hyper::body::Incoming;

use crate::asking;
use crate::clock;
use crate::error::code::Code;
use crate::front::body;
use crate::front::body::Fields;
use crate::front::caller::Caller;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::keeper::Errand;
use crate::keeper::Over;
use crate::keeper::Seat;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Credential;
use crate::limits;
use crate::protocol::account::DoneAnswer;
use crate::snapshot::Refusal;
use crate::token::Secret;

/// Fields of `import`.
pub(super) const IMPORT: &[&str] = &["refresh_token", "found"];

/// Fields of `logout`.
pub(super) const LOGOUT: &[&str] = &["local"];

/// Fields of `secret`.
pub(super) const SECRET: &[&str] = &["slot", "value", "if_empty"];

/// What is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// `POST …/import`
    Import,
    /// `POST …/logout`
    Logout,
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
        Change::Logout => LOGOUT,
        Change::Secret => SECRET,
        Change::Pause | Change::Resume | Change::Retry | Change::Clear => &[],
    };
    let fields = body::fields(&seat.account, body, known).await?;
    let local = change == Change::Logout && fields.flag("local").map_err(about)?;
    let stays = if local { what_stays(&seat) } else { String::new() };
    let order = |action| asking::order::order(&caller.desk.keeper, &seat, action);
    let (changed, [done, idle]) = match change {
        Change::Import => {
            let token = fields.text("refresh_token").map_err(about)?.clone();
            let found = fields.flag("found").map_err(about)?;
            let credential = Credential { refresh_token: token, aws: None, found };
            let changed = order(Action::Import(Box::new(credential))).await?;
            (changed, ["its credential was proven and taken over", "it has this credential"])
        }
        Change::Logout if local => {
            let changed = order(Action::Clear).await?;
            (changed, ["its credential is forgotten here", "it has no credential"])
        }
        Change::Logout => {
            caller.pace_logins(&seat.account, clock::now())?;
            let changed = order(Action::Logout).await?;
            let ended = "its login is ended at the provider and forgotten here";
            (changed, [ended, "it has no credential"])
        }
        Change::Secret => secret(&caller, &seat, &fields).await?,
        Change::Pause => {
            let changed = order(Action::Pause).await?;
            let paused = "it is paused: nothing is spent until it is resumed";
            (changed, [paused, "it was paused already"])
        }
        Change::Resume => {
            let released = seat.now().released;
            let changed = order(Action::Resume).await?;
            let done = if released {
                "it is resumed; whoever its refresh token was handed to must not use it any more"
            } else {
                "it is resumed"
            };
            (changed, [done, "it was not paused"])
        }
        Change::Retry => {
            let changed = order(Action::Retry).await?;
            let good = "it was not tried: its last refresh did not fail";
            (changed, ["it is tried again now", good])
        }
        Change::Clear => {
            let changed = order(Action::Clear).await?;
            (changed, ["its credential is forgotten", "it has no credential"])
        }
    };
    reply::json(&DoneAnswer {
        account: Some(seat.account.to_string()),
        changed,
        message: if changed {
            format!("account {}: {done}{stays}", seat.account)
        } else {
            format!("account {}: {idle}", seat.account)
        },
    })
}

/// What a provider that was not asked goes on to accept, as the end of a sentence.
fn what_stays(seat: &Seat) -> String {
    match seat.now().held.as_ref().filter(|held| !held.ttl(clock::now()).is_zero()) {
        Some(held) => format!(
            "; at the provider the login goes on, and its access token stays good until {}",
            held.expires_wall
        ),
        None => "; at the provider the login goes on".to_owned(),
    }
}

/// Seals or forgets a secret. Says whether there was anything to do, and how to say so.
async fn secret(
    caller: &Caller,
    seat: &Seat,
    fields: &Fields,
) -> Result<(bool, [&'static str; 2]), Box<Refused>> {
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
    let over = match fields.flag("if_empty").map_err(about)? {
        true => Over::Nothing,
        false => Over::Anything,
    };
    let words = match &secret {
        Some(_) => ["the secret is sealed", "the slot is not empty, so it stays as it is"],
        None => ["the secret is forgotten", "the slot was empty, so there was nothing to forget"],
    };
    let account = seat.account.clone();
    let errand = |reply| Errand::PutSecret { account, slot, secret, over, reply };
    let errand = caller.desk.keeper.errand(errand);
    let outcome = tokio::time::timeout(limits::ORDER, errand).await;
    let changed = outcome
        .unwrap_or_else(|_| Err(asking::follow::late()))
        .and_then(|put| put)
        .map_err(about)?;
    if changed {
        // What failed for want of it is tried again; an account that did not is left alone.
        asking::order::order(&caller.desk.keeper, seat, Action::SecretChanged).await?;
    }
    Ok((changed, words))
}

fn bad(message: String) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}
