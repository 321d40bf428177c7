//! From a request's head to who answers it.
//!
//! What can be answered from memory is answered here and now, without a suspended task;
//! the rest becomes a future, which nobody else depends on: a peer that hangs up drops
//! it, and what was begun goes on.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use hyper::Request;
use hyper::Response;
use hyper::Uri;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::service::Service;

use crate::access::Right;
use crate::asking::matter::Matter;
use crate::clock;
use crate::error::code::Code;
use crate::front::accounts;
use crate::front::admin;
use crate::front::caller::Caller;
use crate::front::events;
use crate::front::line::Pulse;
use crate::front::login;
use crate::front::openapi;
use crate::front::orders;
use crate::front::orders::Change;
use crate::front::release;
use crate::front::renew;
use crate::front::reply::Body;
use crate::front::reply::Refused;
use crate::front::router::Route;
use crate::front::sessions;
use crate::front::sessions::Act;
use crate::front::spelling::quoted;
use crate::front::status;
use crate::front::token;
use crate::keeper::Errand;
use crate::keeper::Seat;
use crate::snapshot::Refusal;

/// How far a request is.
pub(super) enum Step {
    /// Answered.
    Now(Result<Response<Body>, Box<Refused>>),
    /// Waiting for something.
    #[allow(clippy::type_complexity, reason = "said once; an alias would only hide it")]
    Later(Pin<Box<dyn Future<Output = Result<Response<Body>, Box<Refused>>>>>),
}

impl Step {
    /// What `work` ends with.
    pub(super) fn later(
        work: impl Future<Output = Result<Response<Body>, Box<Refused>>> + 'static,
    ) -> Self {
        Self::Later(Box::pin(work))
    }
}

/// Answers the requests of one connection.
pub(super) struct Answering {
    /// Who asks, as far as that is known.
    caller: Rc<RefCell<Rc<Caller>>>,
    pulse: Rc<Pulse>,
}

impl Answering {
    /// For that caller.
    pub(super) fn new(caller: Rc<Caller>, pulse: Rc<Pulse>) -> Self {
        Self { caller: Rc::new(RefCell::new(caller)), pulse }
    }
}

impl Service<Request<Incoming>> for Answering {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        self.pulse.begin();
        let (head, body) = request.into_parts();
        let had_body = !body.is_end_stream();
        let step = begin(&self.caller, head, body);
        Answer { step, had_body, caller: self.caller.borrow().clone(), pulse: self.pulse.clone() }
    }
}

/// One answer in the making.
pub(super) struct Answer {
    step: Step,
    /// Such an answer is the last one of its connection: what came, a refresh token perhaps, stays
    /// in the connection's buffer for as long as it is kept.
    had_body: bool,
    caller: Rc<Caller>,
    pulse: Rc<Pulse>,
}

impl Future for Answer {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.get_mut();
        let outcome = match &mut answer.step {
            Step::Later(work) => std::task::ready!(work.as_mut().poll(cx)),
            // A future is not polled after its end; a second poll would find nothing to say.
            Step::Now(outcome) => std::mem::replace(outcome, Err(Refused::boxed(ended()))),
        };
        let mut response = match outcome {
            Ok(response) => response,
            Err(refused) => refused.into_response(clock::now()),
        };
        if answer.had_body {
            response.headers_mut().insert(header::CONNECTION, CLOSE);
        }
        answer.caller.desk.metrics.answered(response.status().as_u16());
        Poll::Ready(Ok(response))
    }
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

impl Drop for Answer {
    fn drop(&mut self) {
        self.pulse.end();
    }
}

fn ended() -> Refusal {
    Refusal::new(Code::Internal, "the answer was already given")
}

/// Begins a request when it is known who makes it.
fn begin(known: &Rc<RefCell<Rc<Caller>>>, head: Parts, body: Incoming) -> Step {
    let caller = known.borrow().clone();
    let found = check(&head).and_then(|()| caller.desk.router.find(&head.method, head.uri.path()));
    let (route, account) = match found {
        Ok(found) => found,
        Err(refused) => return Step::Now(Err(refused)),
    };
    if !caller.lacks_unit(matter(route, account)) {
        return answer(&caller, route, account, &head, body);
    }
    let (known, account) = (known.clone(), account.to_owned());
    Step::later(async move {
        let caller = caller.with_unit().await;
        known.replace(caller.clone());
        match answer(&caller, route, &account, &head, body) {
            Step::Now(outcome) => outcome,
            Step::Later(work) => work.await,
        }
    })
}

/// What a request is about, as far as rules matter to it.
const fn matter(route: Route, account: &str) -> Matter<'_> {
    match route {
        Route::Token => Matter::Right(account, Right::Read),
        Route::Refresh => Matter::Right(account, Right::Refresh),
        Route::Report => Matter::Right(account, Right::Report),
        Route::Account
        | Route::Access
        | Route::Import
        | Route::Login
        | Route::Logout
        | Route::Sessions
        | Route::EndSessions
        | Route::Secret
        | Route::Pause
        | Route::Release
        | Route::Resume
        | Route::Retry
        | Route::Purge
        | Route::Credential => Matter::Account(account),
        Route::Backup | Route::Reload | Route::CheckConfig | Route::Metrics => Matter::Daemon,
        Route::Accounts | Route::Events | Route::Status => Matter::Everything,
        Route::WhoAmI => Matter::Itself,
        Route::OpenApi => Matter::Nothing,
    }
}

fn answer(caller: &Rc<Caller>, route: Route, account: &str, head: &Parts, body: Incoming) -> Step {
    let query = head.uri.query();
    let change = match route {
        Route::Token => return token::begin(caller, account, head),
        Route::Accounts => return Step::Now(accounts::list(caller, query)),
        Route::Account => return Step::Now(accounts::one(caller, account, query)),
        Route::Access => return Step::Now(admin::access(caller, account, query)),
        Route::Events => return Step::Now(events::begin(caller, head)),
        Route::WhoAmI => return Step::Now(status::whoami(caller, query)),
        Route::Metrics => return Step::Now(admin::metrics(caller, query)),
        Route::OpenApi => return Step::Now(openapi::document(caller, query)),
        Route::Status => return Step::later(status::status(caller.clone(), head.uri.clone())),
        Route::Reload => {
            let what = "reload the configuration";
            let work =
                admin::configuration(caller.clone(), what, Errand::Reload, head.uri.clone(), body);
            return Step::later(work);
        }
        Route::CheckConfig => {
            let what = "check the configuration";
            let work = admin::configuration(
                caller.clone(),
                what,
                Errand::CheckConfig,
                head.uri.clone(),
                body,
            );
            return Step::later(work);
        }
        Route::Backup => {
            return Step::later(admin::backup(caller.clone(), head.uri.clone(), body));
        }
        Route::Purge => {
            let name = account.to_owned();
            return Step::later(admin::purge(caller.clone(), name, head.uri.clone(), body));
        }
        Route::Refresh => {
            let work = |seat| renew::refresh(caller.clone(), seat, head.uri.clone(), body);
            return with_right(caller, account, Right::Refresh, work);
        }
        Route::Report => {
            let work = |seat| renew::report(caller.clone(), seat, head.uri.clone(), body);
            return with_right(caller, account, Right::Report, work);
        }
        Route::Login => {
            let work = |seat| login::login(caller.clone(), seat, head.uri.clone(), body);
            return administer(caller, account, work);
        }
        Route::Sessions => return about_sessions(caller, account, Act::List, &head.uri),
        Route::EndSessions => return about_sessions(caller, account, Act::End, &head.uri),
        Route::Import => Change::Import,
        Route::Release => {
            let work = |seat| release::release(caller.clone(), seat, head.uri.clone(), body);
            return administer(caller, account, work);
        }
        Route::Logout => Change::Logout,
        Route::Secret => Change::Secret,
        Route::Pause => Change::Pause,
        Route::Resume => Change::Resume,
        Route::Retry => Change::Retry,
        Route::Credential => Change::Clear,
    };
    let work = |seat| orders::carry_out(caller.clone(), seat, change, head.uri.clone(), body);
    administer(caller, account, work)
}

/// Begins what only an account's administrators may have done.
fn administer<W>(caller: &Rc<Caller>, account: &str, work: impl FnOnce(Arc<Seat>) -> W) -> Step
where
    W: Future<Output = Result<Response<Body>, Box<Refused>>> + 'static,
{
    with_right(caller, account, Right::Admin, work)
}

/// Begins what takes a right to the account.
fn with_right<W>(
    caller: &Rc<Caller>,
    account: &str,
    right: Right,
    work: impl FnOnce(Arc<Seat>) -> W,
) -> Step
where
    W: Future<Output = Result<Response<Body>, Box<Refused>>> + 'static,
{
    match caller.seat(account, right) {
        Ok(seat) => Step::later(work(seat)),
        Err(refused) => Step::Now(Err(refused)),
    }
}

fn about_sessions(caller: &Rc<Caller>, account: &str, act: Act, uri: &Uri) -> Step {
    let work = |seat| sessions::sessions(caller.clone(), seat, act, uri.clone());
    administer(caller, account, work)
}

/// That no browser sent it: a page can make one send requests to local places, through a
/// proxy for sockets or a rebound name, but not without `Origin` or with our host.
fn check(head: &Parts) -> Result<(), Box<Refused>> {
    if head.headers.contains_key(header::ORIGIN) {
        return Err(refused("requests with a header `Origin` are refused: browsers send them"));
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(refused("header `Host` is there twice"));
    }
    let named = host.map(|host| String::from_utf8_lossy(host.as_bytes()));
    let authority = head.uri.authority().map(|authority| authority.as_str());
    for name in named.as_deref().into_iter().chain(authority) {
        if !name.is_empty() && !name.eq_ignore_ascii_case("localhost") {
            let name = quoted(name);
            return Err(refused(&format!(
                "header `Host` must be `localhost` or absent; it is {name}"
            )));
        }
    }
    Ok(())
}

fn refused(message: &str) -> Box<Refused> {
    Refused::boxed(Refusal::new(Code::BadRequest, message))
}
