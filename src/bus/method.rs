//! What can be called, on which object, with which arguments.
//!
//! The interfaces as programs see them are the files in `packaging/dbus`; a test holds this
//! table to them.

use super::object::Object;

/// A method.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Of every object: whether anybody is there.
    Ping,
    /// Of every object: the id of the host.
    GetMachineId,
    /// Of every object: its description.
    Introspect,
    /// Of every object: one property.
    Get,
    /// Of every object: all properties of an interface.
    GetAll,
    /// Of every object: a change of a property.
    Set,
    /// Of the manager: all accounts with all of their properties.
    GetManagedObjects,
    /// Of the manager: the accounts.
    ListAccounts,
    /// Of the manager: a token, in the answer.
    GetToken,
    /// Of the manager: a token, in a sealed file.
    OpenToken,
    /// Of the manager: a new token.
    Refresh,
    /// Of the manager: that a token was rejected.
    Report,
    /// Of the manager: holds an account back.
    Pause,
    /// Of the manager: holds it back no more.
    Resume,
    /// Of the manager: does not wait any longer.
    Retry,
    /// Of the manager: reads the configuration again.
    Reload,
    /// Of the manager: who the caller is taken for.
    WhoAmI,
}

pub(super) const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
pub(super) const PEER: &str = "org.freedesktop.DBus.Peer";
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(super) const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
pub(super) const MANAGER: &str = "org.tokenkeeper1.Manager";
pub(super) const ACCOUNT: &str = "org.tokenkeeper1.Account";
pub(super) const LOG_CONTROL: &str = "org.freedesktop.LogControl1";

/// Every method: its interface, its name, the signature of what it takes.
#[rustfmt::skip]
const METHODS: &[(&str, &str, &str, Method)] = &[
    (MANAGER,        "GetToken",          "sa{sv}", Method::GetToken),
    (MANAGER,        "OpenToken",         "sa{sv}", Method::OpenToken),
    (MANAGER,        "ListAccounts",      "",       Method::ListAccounts),
    (MANAGER,        "Refresh",           "sa{sv}", Method::Refresh),
    (MANAGER,        "Report",            "sa{sv}", Method::Report),
    (MANAGER,        "Pause",             "sa{sv}", Method::Pause),
    (MANAGER,        "Resume",            "sa{sv}", Method::Resume),
    (MANAGER,        "Retry",             "sa{sv}", Method::Retry),
    (MANAGER,        "Reload",            "",       Method::Reload),
    (MANAGER,        "WhoAmI",            "",       Method::WhoAmI),
    (OBJECT_MANAGER, "GetManagedObjects", "",       Method::GetManagedObjects),
    (PROPERTIES,     "Get",               "ss",     Method::Get),
    (PROPERTIES,     "GetAll",            "s",      Method::GetAll),
    (PROPERTIES,     "Set",               "ssv",    Method::Set),
    (INTROSPECTABLE, "Introspect",        "",       Method::Introspect),
    (PEER,           "Ping",              "",       Method::Ping),
    (PEER,           "GetMachineId",      "",       Method::GetMachineId),
];

/// What every object has.
const EVERYWHERE: &[&str] = &[INTROSPECTABLE, PEER, PROPERTIES];

const EVERYWHERE_XML: &str = include_str!("../../packaging/dbus/org.freedesktop.DBus.xml");
const OBJECT_MANAGER_XML: &str =
    include_str!("../../packaging/dbus/org.freedesktop.DBus.ObjectManager.xml");
const MANAGER_XML: &str = include_str!("../../packaging/dbus/org.tokenkeeper1.Manager.xml");
const ACCOUNT_XML: &str = include_str!("../../packaging/dbus/org.tokenkeeper1.Account.xml");
const LOG_CONTROL_XML: &str = include_str!("../../packaging/dbus/org.freedesktop.LogControl1.xml");

/// Why a call is no call of ours. Each has a name in the D-Bus specification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoMethod {
    /// Nothing can be at that path.
    Object,
    /// The object has no such interface.
    Interface,
    /// The interface has no such method.
    Method,
    /// The method takes arguments of this signature.
    Arguments(&'static str),
}

/// The method that is meant. A call need not name the interface.
///
/// # Errors
///
/// What there is not.
pub(super) fn find(
    object: &Object,
    interface: Option<&str>,
    member: &str,
    signature: &str,
) -> Result<Method, NoMethod> {
    if interface.is_some_and(|interface| !has(object, interface)) {
        return Err(NoMethod::Interface);
    }
    let meant = METHODS.iter().find(|(of, name, _, _)| {
        *name == member && has(object, of) && interface.is_none_or(|interface| interface == *of)
    });
    match meant {
        None => Err(NoMethod::Method),
        Some((_, _, takes, method)) if *takes == signature => Ok(*method),
        Some((_, _, takes, _)) => Err(NoMethod::Arguments(takes)),
    }
}

/// Whether an object has that interface.
pub(super) fn has(object: &Object, interface: &str) -> bool {
    EVERYWHERE.contains(&interface) || interfaces(object).iter().any(|(own, _)| *own == interface)
}

/// The interfaces of an object besides what every object has, and their descriptions.
const fn interfaces(object: &Object) -> &'static [(&'static str, &'static str)] {
    match object {
        Object::Manager => &[(MANAGER, MANAGER_XML), (OBJECT_MANAGER, OBJECT_MANAGER_XML)],
        Object::Account(_) => &[(ACCOUNT, ACCOUNT_XML)],
        Object::Log => &[(LOG_CONTROL, LOG_CONTROL_XML)],
        Object::Way(_) | Object::Accounts => &[],
    }
}

/// The description of an object with these objects below it.
pub(super) fn description<'a>(object: &Object, below: impl IntoIterator<Item = &'a str>) -> String {
    let (head, end) = split(EVERYWHERE_XML);
    let mut text = head.to_owned();
    for (_, xml) in interfaces(object) {
        let (whole, _) = split(xml);
        text.push_str(whole.split_once("<node>\n").map_or("", |(_, inner)| inner));
    }
    for label in below {
        text.push_str("  <node name=\"");
        text.push_str(label);
        text.push_str("\"/>\n");
    }
    text.push_str(end);
    text
}

/// A description up to its end, and that.
fn split(xml: &str) -> (&str, &str) {
    xml.split_at(xml.rfind("</node>").unwrap_or(xml.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::name::AccountId;

    #[test]
    fn the_methods_that_are_served_are_those_of_the_descriptions() {
        let mut told = BTreeSet::new();
        let descriptions = [EVERYWHERE_XML, OBJECT_MANAGER_XML, MANAGER_XML, ACCOUNT_XML];
        for xml in descriptions.into_iter().chain([LOG_CONTROL_XML]) {
            let (mut interface, mut method) = ("", None);
            for line in xml.lines().map(str::trim) {
                if line.starts_with("<interface ") {
                    interface = attribute(line, "name");
                } else if line.starts_with("<method ") {
                    method = Some((attribute(line, "name"), String::new()));
                } else if let Some((_, takes)) = &mut method
                    && line.starts_with("<arg ")
                    && attribute(line, "direction") == "in"
                {
                    takes.push_str(attribute(line, "type"));
                } else if line == "</method>" {
                    let (name, takes) = method.take().unwrap();
                    told.insert((interface.to_owned(), name.to_owned(), takes));
                }
            }
        }
        let served = METHODS.iter().map(|(interface, name, takes, _)| {
            ((*interface).to_owned(), (*name).to_owned(), (*takes).to_owned())
        });
        assert_eq!(served.collect::<BTreeSet<_>>(), told);
    }

    #[test]
    fn a_call_is_found_by_object_interface_name_and_arguments() {
        let account = Object::Account(AccountId::parse("mail").unwrap());
        let manager = Object::Manager;
        #[rustfmt::skip]
        let cases = [
            (&manager, Some(MANAGER),    "GetToken", "sa{sv}", Ok(Method::GetToken)),
            (&manager, None,             "GetToken", "sa{sv}", Ok(Method::GetToken)),
            (&manager, Some(MANAGER),    "GetToken", "s",      Err(NoMethod::Arguments("sa{sv}"))),
            (&manager, Some(MANAGER),    "GetTokens", "",      Err(NoMethod::Method)),
            (&manager, Some(PEER),       "GetToken", "sa{sv}", Err(NoMethod::Method)),
            (&manager, Some(ACCOUNT),    "GetToken", "sa{sv}", Err(NoMethod::Interface)),
            (&account, Some(MANAGER),    "GetToken", "sa{sv}", Err(NoMethod::Interface)),
            (&account, None,             "GetToken", "sa{sv}", Err(NoMethod::Method)),
            (&account, Some(PROPERTIES), "Get",      "ss",     Ok(Method::Get)),
            (&account, Some(PEER),       "Ping",     "",       Ok(Method::Ping)),
        ];
        for (object, interface, member, signature, expected) in cases {
            let got = find(object, interface, member, signature);
            assert_eq!(got, expected, "{object:?} {interface:?} {member} {signature}");
        }
    }

    #[test]
    fn a_description_is_one_document() {
        let text = description(&Object::Manager, ["account"]);
        for once in ["<!DOCTYPE", "<node>", "</node>", "<node name=\"account\"/>"] {
            assert_eq!(text.matches(once).count(), 1, "{once}\n{text}");
        }
        for interface in EVERYWHERE.iter().chain(&[MANAGER, OBJECT_MANAGER]) {
            assert!(text.contains(&format!("<interface name=\"{interface}\">")), "{interface}");
        }
    }

    fn attribute<'a>(line: &'a str, name: &str) -> &'a str {
        let (_, value) = line.split_once(&format!("{name}=\"")).unwrap();
        value.split('"').next().unwrap()
    }
}
