//! From a call to who answers it.
//!
//! What can be answered from memory is answered here and now; the rest becomes a future that
//! nobody else depends on.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;

use zbus::Message;
use zbus::OwnedVariant;
use zbus::Variant;

use crate::access::Masters;
use crate::access::Peer;
use crate::access::Right;
use crate::access::Rights;
use crate::asking::Asker;
use crate::asking::Denied;
use crate::asking::Pace;
use crate::asking::Refusals;
use crate::asking::Unavailable;
use crate::clock;
use crate::config;
use crate::error::Code;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::name::ACCOUNT_NAME_RULE;
use crate::snapshot::Refusal;
use crate::threshold::Threshold;

use super::consent;
use super::consent::Consent;
use super::manager;
use super::method;
use super::method::ACCOUNT;
use super::method::LOG_CONTROL;
use super::method::MANAGER;
use super::method::Method;
use super::method::NoMethod;
use super::object::Object;
use super::object::label_of;
use super::order;
use super::order::Order;
use super::property;
use super::property::Shown;
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
    pub(super) which: config::Bus,
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

    fn visible(&mut self, call: &Call, name: &str) -> Result<Arc<Seat>, Failed> {
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
        let paced = self.pace.take(call.peer.uid, clock::now().boot);
        paced.map_err(|at| call.asker().too_many("refreshes and reports", &seat.account, at))?;
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
                tracing::info!(%account, peer_uid, "polkit lets the peer change it");
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
                tracing::info!(peer_uid = call.peer.uid, "polkit lets the peer {WHAT}");
            }
        }
        Ok(manager::reload(call))
    }

    /// What polkit says of the caller, who is somebody on the host's bus alone.
    const fn consent(&self, call: &Call) -> Consent {
        match self.which {
            config::Bus::System => call.consent,
            config::Bus::Session | config::Bus::Off => Consent::Withheld,
        }
    }

    /// That the caller may order about the daemon itself; a refusal is recorded.
    fn administers(&mut self, call: &Call, what: &'static str) -> Result<(), Failed> {
        if call.asker().is_daemon_admin(&call.keeper.directory()) {
            return Ok(());
        }
        call.asker().record_of_daemon(what, "admin", &mut self.refusals, clock::now());
        Err(call.asker().not_for_you(what).into())
    }

    fn introspect(&mut self, call: &Call, object: &Object) -> Result<Message, Failed> {
        let text = match object {
            Object::Way(below) => method::description(object, below.iter().copied()),
            Object::Manager => method::description(object, ["account"]),
            Object::Log => method::description(object, []),
            Object::Account(account) => {
                self.visible(call, account.as_str())?;
                method::description(object, [])
            }
            Object::Accounts => {
                let visible = manager::visible(call);
                let labels = visible.iter().map(|seat| label_of(&seat.account));
                let labels = labels.collect::<Vec<_>>();
                method::description(object, labels.iter().map(String::as_str))
            }
        };
        reply::answer(&call.message, &text)
    }

    fn get(&mut self, call: &Call, object: &Object) -> Result<Message, Failed> {
        let body = call.message.body();
        let (interface, name) = body.deserialize::<(&str, &str)>().map_err(unreadable)?;
        let mut properties = self.properties(call, object, interface)?;
        match properties.remove(name) {
            Some(value) => reply::answer(&call.message, &value),
            None => Err(no_property()),
        }
    }

    fn get_all(&mut self, call: &Call, object: &Object) -> Result<Message, Failed> {
        let body = call.message.body();
        let interface = body.deserialize::<&str>().map_err(unreadable)?;
        let properties = self.properties(call, object, interface)?;
        reply::answer(&call.message, &properties)
    }

    /// The properties of an interface of an object; an interface without any has none, and so
    /// has the empty name, which means all interfaces, where the object has none of its own.
    fn properties(
        &mut self,
        call: &Call,
        object: &Object,
        interface: &str,
    ) -> Result<BTreeMap<&'static str, Variant<'static>>, Failed> {
        match (object, interface) {
            (Object::Account(account), ACCOUNT | "") => {
                let seat = self.visible(call, account.as_str())?;
                Ok(Shown::of(&seat, &seat.now(), clock::now()).properties())
            }
            (Object::Manager, MANAGER | "") => Ok(property::of_manager()),
            (Object::Log, LOG_CONTROL | "") => Ok(property::of_log(self.threshold.get())),
            _ if interface.is_empty() || method::has(object, interface) => Ok(BTreeMap::new()),
            _ => Err(NoMethod::Interface.into()),
        }
    }

    fn set(&mut self, call: &Call, object: &Object) -> Result<Message, Failed> {
        let body = call.message.body();
        let (interface, name, value) =
            body.deserialize::<(&str, &str, OwnedVariant)>().map_err(unreadable)?;
        let properties = self.properties(call, object, interface)?;
        if !properties.contains_key(name) {
            return Err(no_property());
        }
        let (Object::Log, "LogLevel" | "LogTarget") = (object, name) else {
            return Err(Standard::PropertyReadOnly.because("the property cannot be set"));
        };
        self.administers(call, "change the log")?;
        let Variant::Str(word) = &*value else {
            return Err(Standard::InvalidArgs.because("the property is a string"));
        };
        if name == "LogTarget" {
            if word.as_str() != property::LOG_TARGET {
                let text = "the log goes where the service manager sends standard error";
                return Err(Standard::InvalidArgs.because(text));
            }
        } else {
            let Some(level) = property::level(word.as_str()) else {
                let text =
                    "a level is one of emerg, alert, crit, err, warning, notice, info, debug";
                return Err(Standard::InvalidArgs.because(text));
            };
            self.threshold.set(level);
            tracing::info!(
                peer_uid = call.peer.uid,
                level = word.as_str(),
                "the log's level is set"
            );
        }
        reply::answer(&call.message, &())
    }
}

/// The object and the method that a call means.
fn meant(message: &Message) -> Result<(Object, Method), NoMethod> {
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

const fn transport(which: config::Bus) -> &'static str {
    match which {
        config::Bus::System => "dbus:system",
        config::Bus::Session => "dbus:session",
        config::Bus::Off => "dbus",
    }
}

fn no_property() -> Failed {
    Standard::UnknownProperty.because("there is no such property")
}

/// What a message is made of is not told: it may be a token in the wrong place.
fn unreadable(_: zbus::Error) -> Failed {
    Standard::InvalidArgs.because("the arguments cannot be read")
}
