//! From a call to who answers it.
//!
//! What can be answered from memory is answered here and now; the rest becomes a future that
//! nobody else depends on.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;

use zbus::Message;

use crate::access::Masters;
use crate::access::Peer;
use crate::access::Right;
use crate::access::Rights;
use crate::asking::Asker;
use crate::asking::Denied;
use crate::asking::Unavailable;
use crate::asking::pace::Pace;
use crate::asking::refusals::Refusals;
use crate::clock;
use crate::config;
use crate::error::code::Code;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::message;
use crate::name::ACCOUNT_NAME_RULE;
use crate::snapshot::Refusal;
use crate::threshold::Threshold;

use super::consent;
use super::consent::Consent;
use super::manager;
use super::method;
use super::method::Method;
use super::method::NoMethod;
use super::object::Object;
use super::order;
use super::order::Order;
use super::reply;
use super::reply::Failed;
use super::reply::Standard;
use super::token;
use super::token::Form;

/// How far a call is.
pub(super) enum Step {
    /// Answered.
    Now(Result<Message, Failed>),
    /// Waiting for something.
    #[allow(clippy::type_complexity, reason = "said once; an alias would only hide it")]
    Later(Pin<Box<dyn Future<Output = Result<Message, Failed>> + Send>>),
    /// The rules do not allow it: it is begun again when polkit has said whether it does.
    Consent,
}

impl Step {
    /// What `work` ends with.
    pub(super) fn later(
        work: impl Future<Output = Result<Message, Failed>> + Send + 'static,
    ) -> Self {
        Self::Later(Box::pin(work))
    }
}

/// A call, and who makes it.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) message: Message,
    pub(super) peer: Arc<Peer>,
    pub(super) consent: Consent,
    pub(super) keeper: Keeper,
    pub(super) masters: Masters,
}

impl Call {
    /// The caller as the rules see it. No bus narrows what can be had over it.
    pub(super) fn asker(&self) -> Asker<'_> {
        Asker { peer: &self.peer, masters: self.masters, narrowing: None }
    }

    /// The account of that name, if the caller may do with it what `right` says.
    ///
    /// # Errors
    ///
    /// Why not, as the caller is told it.
    pub(super) fn find(&self, name: &str, right: Right) -> Result<Arc<Seat>, Failed> {
        let directory = self.keeper.directory();
        let found = self.asker().find(&directory, name, right, |rights| rights.has(right));
        found.map_err(|why| self.told(&why))
    }

    fn told(&self, why: &Unavailable) -> Failed {
        let nameless = || {
            let message = format!("the call has no account name; one is {ACCOUNT_NAME_RULE}");
            Refusal::new(Code::BadRequest, message)
        };
        self.asker().told(why, nameless).into()
    }
}

/// What all calls of a connection share.
pub(super) struct Desk {
    /// Which bus it is.
    pub(super) which: config::daemon::Bus,
    /// What is logged.
    pub(super) threshold: Threshold,
    /// How often each user may ask for a refresh.
    pub(super) pace: Pace,
    /// Which refusals were recorded lately.
    pub(super) refusals: Refusals,
}

impl Desk {
    /// Answers a call, or says what it waits for.
    pub(super) fn begin(&mut self, call: &Call) -> Step {
        self.dispatch(call).unwrap_or_else(|failed| Step::Now(Err(failed)))
    }

    fn dispatch(&mut self, call: &Call) -> Result<Step, Failed> {
        let (object, method) = meant(&call.message)?;
        let answer = match method {
            Method::Ping => reply::answer(&call.message, &()),
            Method::GetMachineId => machine_id(call),
            Method::Introspect => self.introspect(call, &object),
            Method::Get => self.get(call, &object),
            Method::GetAll => self.get_all(call, &object),
            Method::Set => self.set(call, &object),
            Method::GetManagedObjects => manager::objects(call),
            Method::ListAccounts => manager::list(call),
            Method::WhoAmI => manager::who(call, transport(self.which)),
            Method::Reload => return self.reload(call),
            Method::GetToken => return self.token(call, Form::Text),
            Method::OpenToken => return self.token(call, Form::File),
            Method::Refresh => return self.renew(call, Right::Refresh),
            Method::Report => return self.renew(call, Right::Report),
            Method::Pause => return self.change(call, Order::Pause),
            Method::Resume => return self.change(call, Order::Resume),
            Method::Retry => return self.change(call, Order::Retry),
        };
        Ok(Step::Now(answer))
    }

    /// The account of that name; a refusal is recorded.
    fn seat(
        &mut self,
        call: &Call,
        name: &str,
        right: Right,
        enough: impl FnOnce(Rights) -> bool,
    ) -> Result<Arc<Seat>, Failed> {
        let directory = call.keeper.directory();
        call.asker().find(&directory, name, right, enough).map_err(|why| {
            call.asker().record(&why, "", &mut self.refusals, clock::now());
            call.told(&why)
        })
    }

    /// The account of that name, if the caller may see how it stands.
    pub(super) fn visible(&mut self, call: &Call, name: &str) -> Result<Arc<Seat>, Failed> {
        self.seat(call, name, Right::Read, Asker::may_see)
    }

    fn token(&mut self, call: &Call, form: Form) -> Result<Step, Failed> {
        let body = call.message.body();
        let (name, options) = body.deserialize::<(&str, _)>().map_err(unreadable)?;
        let seat = self.seat(call, name, Right::Read, |rights| rights.has(Right::Read))?;
        Ok(token::begin(call, seat, options, form))
    }

    fn renew(&mut self, call: &Call, right: Right) -> Result<Step, Failed> {
        let body = call.message.body();
        let (name, options) = body.deserialize::<(&str, _)>().map_err(unreadable)?;
        let seat = self.seat(call, name, right, |rights| rights.has(right))?;
        let about = |refusal| Denied::about(&seat.account, refusal);
        let (renewal, options) = manager::read(options, right == Right::Report).map_err(about)?;
        let now = clock::now().boot;
        let paced = self.pace.take(call.peer.uid, now);
        paced
            .map_err(|at| call.asker().too_many("refreshes and reports", &seat.account, at, now))?;
        Ok(manager::renew(call, seat, renewal, &options))
    }

    fn change(&mut self, call: &Call, order: Order) -> Result<Step, Failed> {
        let body = call.message.body();
        let (name, options) = body.deserialize::<(&str, _)>().map_err(unreadable)?;
        let Some(seat) = self.changeable(call, name)? else { return Ok(Step::Consent) };
        order::read(options).map_err(|refusal| Denied::about(&seat.account, refusal))?;
        Ok(order::carry_out(call, seat, order))
    }

    /// The account of that name, if the caller may change it by the rules or by consent; `None`
    /// if it is to be asked for that. It is asked for an account that is not there as well, so
    /// that nobody learns whether it is.
    fn changeable(&mut self, call: &Call, name: &str) -> Result<Option<Arc<Seat>>, Failed> {
        let directory = call.keeper.directory();
        let is_admin = |rights: Rights| rights.has(Right::Admin);
        let why = match call.asker().find(&directory, name, Right::Admin, is_admin) {
            Ok(seat) => return Ok(Some(seat)),
            Err(why) => why,
        };
        let Unavailable::Forbidden { account, .. } = &why else { return Err(call.told(&why)) };
        match self.consent(call) {
            Consent::Unasked => Ok(None),
            Consent::Possible => Err(consent::possible()),
            Consent::Withheld => {
                call.asker().record(&why, "", &mut self.refusals, clock::now());
                Err(call.told(&why))
            }
            Consent::Given => {
                let absent = || call.told(&Unavailable::Unknown(account.clone()));
                let seat = directory.seats.get(name).cloned().ok_or_else(absent)?;
                let peer_uid = call.peer.uid;
                let event = message::Message::Authorized.as_str();
                tracing::info!(%account, event, peer_uid, "polkit lets the peer change it");
                Ok(Some(seat))
            }
        }
    }

    fn reload(&mut self, call: &Call) -> Result<Step, Failed> {
        const WHAT: &str = "reload the configuration";

        match self.consent(call) {
            _ if call.asker().is_daemon_admin(&call.keeper.directory()) => {}
            Consent::Unasked => return Ok(Step::Consent),
            Consent::Possible => return Err(consent::possible()),
            Consent::Withheld => self.administers(call, WHAT)?,
            Consent::Given => {
                let event = message::Message::Authorized.as_str();
                tracing::info!(event, peer_uid = call.peer.uid, "polkit lets the peer {WHAT}");
            }
        }
        Ok(manager::reload(call))
    }

    /// What polkit says of the caller, who is somebody on the host's bus alone.
    const fn consent(&self, call: &Call) -> Consent {
        match self.which {
            config::daemon::Bus::System => call.consent,
            config::daemon::Bus::Session | config::daemon::Bus::Off => Consent::Withheld,
        }
    }

    /// That the caller may order about the daemon itself; a refusal is recorded.
    pub(super) fn administers(&mut self, call: &Call, what: &'static str) -> Result<(), Failed> {
        if call.asker().is_daemon_admin(&call.keeper.directory()) {
            return Ok(());
        }
        call.asker().record_of_daemon(what, "admin", &mut self.refusals, clock::now());
        Err(call.asker().not_for_you(what, "admin").into())
    }
}

/// The object and the method that a call means.
///
/// # Errors
///
/// What there is not.
pub fn meant(message: &Message) -> Result<(Object, Method), NoMethod> {
    let header = message.header();
    let path = header.path().ok_or(NoMethod::Object)?;
    let member = header.member().ok_or(NoMethod::Method)?;
    let object = Object::at(path.as_str()).ok_or(NoMethod::Object)?;
    let interface = header.interface().map(|interface| interface.as_str());
    let signature = header.signature().to_string_no_parens();
    let method = method::find(&object, interface, member.as_str(), &signature)?;
    Ok((object, method))
}

/// The host's id, which the D-Bus specification wants every program to tell.
fn machine_id(call: &Call) -> Result<Message, Failed> {
    let id = std::fs::File::open("/etc/machine-id").and_then(|file| {
        let mut text = String::new();
        file.take(64).read_to_string(&mut text).map(|_| text)
    });
    match id {
        Ok(id) => reply::answer(&call.message, &id.trim_end()),
        Err(_) => Err(Standard::UnknownMethod.because("the host has no machine id")),
    }
}

const fn transport(which: config::daemon::Bus) -> &'static str {
    match which {
        config::daemon::Bus::System => "dbus:system",
        config::daemon::Bus::Session => "dbus:session",
        config::daemon::Bus::Off => "dbus",
    }
}

/// What a message is made of is not told: it may be a token in the wrong place.
pub(super) fn unreadable(_: zbus::Error) -> Failed {
    Standard::InvalidArgs.because("the arguments cannot be read")
}
