//! What objects show: descriptions and properties, to those who may see the account.

use std::collections::BTreeMap;

use zbus::Message;
use zbus::OwnedVariant;
use zbus::Variant;

use crate::clock;
use crate::message;

use super::dispatch::Call;
use super::dispatch::Desk;
use super::dispatch::unreadable;
use super::manager;
use super::method;
use super::method::ACCOUNT;
use super::method::LOG_CONTROL;
use super::method::MANAGER;
use super::method::NoMethod;
use super::object::Object;
use super::object::label_of;
use super::property;
use super::property::Shown;
use super::reply;
use super::reply::Failed;
use super::reply::Standard;

impl Desk {
    /// `Introspect`: the description of an object.
    pub(super) fn introspect(&mut self, call: &Call, object: &Object) -> Result<Message, Failed> {
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

    /// `Get`.
    pub(super) fn get(&mut self, call: &Call, object: &Object) -> Result<Message, Failed> {
        let body = call.message.body();
        let (interface, name) = body.deserialize::<(&str, &str)>().map_err(unreadable)?;
        let mut properties = self.properties(call, object, interface)?;
        match properties.remove(name) {
            Some(value) => reply::answer(&call.message, &value),
            None => Err(no_property()),
        }
    }

    /// `GetAll`.
    pub(super) fn get_all(&mut self, call: &Call, object: &Object) -> Result<Message, Failed> {
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

    /// `Set`: the log's level alone.
    pub(super) fn set(&mut self, call: &Call, object: &Object) -> Result<Message, Failed> {
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
                event = message::Message::LevelSet.as_str(),
                peer_uid = call.peer.uid,
                level = word.as_str(),
                "the log's level is set"
            );
        }
        reply::answer(&call.message, &())
    }
}

fn no_property() -> Failed {
    Standard::UnknownProperty.because("there is no such property")
}
