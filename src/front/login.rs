//! `POST …/login`: a login, turn by turn.
//!
//! Without a `login` a request begins one; with it, it answers, looks or cancels. Each is
//! answered with how the login stands, as soon as there is something to say, or when the
//! peer's patience is over. The engine owns the conversation: a peer that hangs up changes
//! nothing about it, and one that never comes back is given up on by the engine.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use hyper::Uri;
use hyper::body::Incoming;
use url::Host;
use url::Url;

use crate::clock;
use crate::error::code::Code;
use crate::front::body;
use crate::front::body::Fields;
use crate::front::caller::Caller;
use crate::front::query::Query;
use crate::front::reply;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::front::token;
use crate::keeper::Seat;
use crate::keeper::visit::At;
use crate::keeper::visit::Password;
use crate::keeper::visit::Stage;
use crate::keeper::visit::Typist;
use crate::keeper::visit::Visit;
use crate::keeper::visit::Wish;
use crate::limits;
use crate::protocol::login::LoginView;
use crate::protocol::login::PromptView;
use crate::provider::login::Prompt;
use crate::snapshot::Refusal;
use crate::snapshot::StateName;
use crate::time::Moment;
use crate::time::Now;
use crate::time::secs_until_over;
use crate::token::Generation;

/// Fields of `login`.
pub(super) const LOGIN: &[&str] =
    &["login", "answer", "seen", "cancel", "redirect", "typed", "unattended"];

/// Has the login go on, and says how it stands.
pub(super) async fn login(
    caller: Rc<Caller>,
    seat: Arc<Seat>,
    uri: Uri,
    body: Incoming,
) -> Result<Response<Body>, Box<Refused>> {
    let about = |refusal| Refused::about(&seat.account, refusal);
    let query = Query::read(uri.query(), &[token::WAIT]).map_err(about)?;
    let patience = token::patience(&query).map_err(about)?;
    let fields = body::fields(&seat.account, body, LOGIN).await?;
    let Asked { wish, seen } = asked(&fields).map_err(about)?;
    let begins = matches!(wish, Wish::Begin { .. });
    if begins {
        caller.pace_logins(&seat.account, clock::now())?;
    }
    let cancels = matches!(wish, Wish::Cancel { .. });
    let answers = matches!(wish, Wish::Answer { .. });
    let visit = caller.desk.keeper.login(&seat.account, wish).await;
    if begins && visit.is_err() {
        caller.give_login_back();
    }
    let visit = visit.map_err(about)?;
    if cancels {
        return reply::json(&cancelled(&seat, &visit));
    }
    // An answer belongs to the turn that it was given in.
    let seen = if answers { seen.max(visit.turn) } else { seen };
    let stage = news(&caller, visit.clone(), seen, patience).await.map_err(about)?;
    match &stage.at {
        At::Ended(Err(refusal)) => Err(about(refusal.clone())),
        At::Ended(Ok(generation)) => reply::json(&done(&seat, &visit, *generation, clock::now())),
        At::Busy | At::Delayed { .. } | At::Proving | At::Asked { .. } => {
            reply::json(&under_way(&seat, &visit, &stage, clock::now().boot))
        }
    }
}

/// What a request asks for.
struct Asked {
    wish: Wish,
    /// The last turn that the peer has seen.
    seen: u64,
}

fn asked(fields: &Fields) -> Result<Asked, Refusal> {
    let login = fields.optional_text("login")?.map(|login| login.expose().into());
    let seen = fields.optional_number("seen")?.unwrap_or_default();
    let cancel = fields.flag("cancel")?;
    let answer = fields.optional_text("answer")?.cloned();
    let Some(login) = login else {
        for field in ["answer", "seen", "cancel"] {
            if fields.has(field) {
                return Err(bad(format!("body field `{field}` needs `login`")));
            }
        }
        let redirect = fields.optional_text("redirect")?;
        let redirect = redirect.map(|text| loopback(text.expose())).transpose()?;
        let password = if fields.flag("typed")? { Password::Typed } else { Password::Stored };
        let typist = if fields.flag("unattended")? { Typist::Nobody } else { Typist::Person };
        return Ok(Asked { wish: Wish::Begin { redirect, password, typist }, seen });
    };
    for field in ["redirect", "typed", "unattended"] {
        if fields.has(field) {
            let message =
                format!("body field `{field}` belongs to the request that begins a login");
            return Err(bad(message));
        }
    }
    let wish = match (answer, cancel) {
        (Some(_), true) => {
            return Err(bad("body fields `answer` and `cancel` cannot be there both".into()));
        }
        (Some(answer), false) => Wish::Answer { login, answer },
        (None, true) => Wish::Cancel { login },
        (None, false) => Wish::Look { login },
    };
    Ok(Asked { wish, seen })
}

/// Where a browser may be sent back to: RFC 8252 section 7.3.
fn loopback(text: &str) -> Result<Url, Refusal> {
    let ours = |url: &Url| {
        let here = match url.host() {
            Some(Host::Ipv4(address)) => address == Ipv4Addr::LOCALHOST,
            Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
            Some(Host::Domain(_)) | None => false,
        };
        here && url.scheme() == "http"
            && url.port().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    let url = Url::parse(text).ok().filter(|_| text.len() <= limits::REDIRECT).filter(ours);
    url.ok_or_else(|| {
        bad("body field `redirect` must be http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH"
            .into())
    })
}

/// Waits until there is something to say that is newer than turn `seen`, or for `patience`.
async fn news(
    caller: &Caller,
    mut visit: Visit,
    seen: u64,
    patience: Duration,
) -> Result<Arc<Stage>, Refusal> {
    let is_news = |stage: &Arc<Stage>| match stage.at {
        At::Busy | At::Delayed { .. } | At::Proving => false,
        At::Asked { .. } => stage.turn > seen,
        At::Ended(_) => true,
    };
    let newer = async { visit.stage.wait_for(is_news).await.map(|stage| Arc::clone(&stage)) };
    let waited = tokio::time::timeout(patience, newer).await;
    match waited {
        Ok(Ok(stage)) => Ok(stage),
        Ok(Err(_)) if *caller.desk.stopping.borrow() => {
            Err(Refusal::new(Code::Stopping, "the daemon is stopping"))
        }
        Ok(Err(_)) => Err(bad("the login was cancelled, or another one took its place".into())),
        Err(_) => Ok(Arc::clone(&visit.stage.borrow())),
    }
}

fn under_way(seat: &Seat, visit: &Visit, stage: &Stage, now: Moment) -> LoginView {
    let (state, message) = match &stage.at {
        At::Asked { .. } => ("asked", "the person is asked"),
        At::Delayed { .. } => (
            "delayed",
            "it waits for its turn: there were as many logins at this provider as a minute allows",
        ),
        At::Proving => ("proving", "the credential is being proven by one exchange"),
        At::Busy | At::Ended(_) => ("busy", "the provider is being asked"),
    };
    let prompt = match &stage.at {
        At::Asked { prompt, answerable, good_until } => {
            let ttl = good_until.map(|until| until.since(now).as_secs());
            Some(PromptView { ttl, ..shown(prompt, *answerable) })
        }
        At::Busy | At::Delayed { .. } | At::Proving | At::Ended(_) => None,
    };
    let goes_on = match &stage.at {
        At::Delayed { until } => Some(*until),
        At::Proving => put_off(seat),
        At::Busy | At::Asked { .. } | At::Ended(_) => None,
    };
    let goes_on_in = goes_on.map(|until| secs_until_over(until.since(now)));
    LoginView { turn: stage.turn, prompt, goes_on_in, ..view(seat, visit, state, message) }
}

/// Until when the exchange that proves a credential is put off, if it is: by the account's
/// request budget, or by what its provider asks for.
fn put_off(seat: &Seat) -> Option<Moment> {
    let snapshot = seat.now();
    snapshot.next.filter(|_| matches!(snapshot.state, StateName::Waiting | StateName::InDoubt))
}

fn done(seat: &Seat, visit: &Visit, generation: Generation, now: Now) -> LoginView {
    let snapshot = seat.now();
    let held = snapshot.held.as_ref();
    LoginView {
        generation: Some(generation.0),
        expires_at: held.map(|held| held.expires_wall.to_string()),
        ttl: held.map(|held| held.ttl(now).as_secs()),
        ..view(seat, visit, "done", "it is logged in: its credential was proven and taken over")
    }
}

fn cancelled(seat: &Seat, visit: &Visit) -> LoginView {
    view(seat, visit, "cancelled", "the login is cancelled, and nothing has changed")
}

fn view(seat: &Seat, visit: &Visit, state: &str, message: &str) -> LoginView {
    LoginView {
        account: seat.account.to_string(),
        login: visit.login.to_string(),
        state: state.to_owned(),
        turn: visit.turn,
        prompt: None,
        generation: None,
        expires_at: None,
        ttl: None,
        goes_on_in: None,
        message: format!("account {}: {message}", seat.account),
    }
}

/// A question as it goes over the wire, without what is left of its time.
fn shown(prompt: &Prompt, answerable: bool) -> PromptView {
    let text = |text: &str| Some(text.to_owned());
    let empty = PromptView { answerable, ..PromptView::default() };
    match prompt {
        Prompt::Password { of } => PromptView { kind: "password".into(), of: text(of), ..empty },
        Prompt::Code { from, again, good_for: _ } => {
            PromptView { kind: "code".into(), from: text(from), again: *again, ..empty }
        }
        Prompt::Device { url, complete, user_code, good_for: _ } => PromptView {
            kind: "device".into(),
            url: text(url),
            complete_url: complete.as_deref().map(str::to_owned),
            user_code: text(user_code),
            ..empty
        },
        Prompt::Browser { url } => PromptView { kind: "browser".into(), url: text(url), ..empty },
    }
}

fn bad(message: String) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}
