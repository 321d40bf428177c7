//! Calls over the message bus: which is meant, and what its options say.
//!
//! An input is the path, the interface and the member, a line each, and then a line for each
//! option: a name, a letter for its type and a value. After `wire` in the place of the path the
//! rest is a dictionary as D-Bus writes it. Promises: only what is served is found; an option that
//! is wrong is refused as a bad request, in words that do not repeat its value; a wait is bounded.

use std::collections::HashMap;

use tokenkeeper::bus::dispatch;
use tokenkeeper::bus::manager;
use tokenkeeper::bus::method::Method;
use tokenkeeper::bus::object::Object;
use tokenkeeper::bus::option::Options;
use tokenkeeper::bus::option::WAIT;
use tokenkeeper::error::code::Code;
use tokenkeeper::limits;
use tokenkeeper::snapshot::LONGEST_WAIT;
use tokenkeeper::snapshot::Refusal;
use zbus::Message;
use zbus::OwnedVariant;
use zbus::Variant;
use zbus::wire::Endian;
use zbus::wire::serialized::Context;
use zbus::wire::serialized::Data;

use super::hygiene;
use super::input;

/// Reads the input as a call.
pub fn run(input: &[u8]) {
    let (path, rest) = input::line(input);
    if path == "wire" {
        let data = Data::new(rest, Context::new(Endian::Little, 0));
        if let Ok((given, _)) = data.deserialize::<HashMap<String, OwnedVariant>>() {
            options(&given);
        }
        return;
    }
    let (interface, rest) = input::line(rest);
    let (member, rest) = input::line(rest);
    let given = given(rest);
    options(&given);
    let call = || {
        let call = Message::method_call(&*path, &*member);
        if interface.is_empty() { call } else { call.interface(&*interface) }
    };
    let messages = [call().build(&("mail", given)), call().build(&())];
    messages.iter().flatten().for_each(|message| meant(message, &path));
}

/// Checks what a call is taken for.
fn meant(message: &Message, path: &str) {
    let Ok((object, method)) = dispatch::meant(message) else { return };
    assert_eq!(Object::at(path), Some(object), "{path}");
    let options = match method {
        Method::GetToken
        | Method::OpenToken
        | Method::Refresh
        | Method::Report
        | Method::Pause
        | Method::Resume
        | Method::Retry => true,
        Method::Ping
        | Method::GetMachineId
        | Method::Introspect
        | Method::Get
        | Method::GetAll
        | Method::Set
        | Method::GetManagedObjects
        | Method::ListAccounts
        | Method::Reload
        | Method::WhoAmI => false,
    };
    let body = message.body();
    let read = body.deserialize::<(&str, HashMap<String, OwnedVariant>)>();
    assert!(options || read.is_err(), "{method:?} has no options");
}

/// Reads options as every method does.
fn options(given: &HashMap<String, OwnedVariant>) {
    let known: &[&'static str] = &["kind", "min_ttl", "generation", "token_sha256", "reason", WAIT];
    let copy = || given.iter().map(|(name, value)| Some((name.clone(), value.try_clone().ok()?)));
    let Some(first) = copy().collect::<Option<HashMap<_, _>>>() else { return };
    if let Some(options) = kept(Options::read(first, known)) {
        if let Some(wait) = kept(options.patience()) {
            assert!(wait <= LONGEST_WAIT, "{wait:?}");
        }
        if let Some(Some(span)) = kept(options.seconds("min_ttl", limits::LONGEST_MIN_TTL)) {
            assert!(span.as_secs() <= limits::LONGEST_MIN_TTL, "{span:?}");
        }
        kept(options.word("kind", &[("access", 1), ("id", 2), ("aws", 3)]));
    }
    for is_report in [false, true] {
        if let Some(given) = copy().collect::<Option<HashMap<_, _>>>() {
            kept(manager::read(given, is_report));
        }
    }
}

/// What was read; a refusal is checked.
fn kept<T>(read: Result<T, Refusal>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(refusal) => {
            assert_eq!(refusal.code, Code::BadRequest, "{}", refusal.message);
            hygiene::message(&refusal.message);
            None
        }
    }
}

/// The options of those lines.
fn given(lines: &[u8]) -> HashMap<String, OwnedVariant> {
    let text = String::from_utf8_lossy(lines);
    let option = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (name, sort, value) = (words.next()?, words.next()?, words.next()?);
        Some((name.to_owned(), variant(sort, value)?))
    };
    text.lines().filter_map(option).collect()
}

fn variant(sort: &str, value: &str) -> Option<OwnedVariant> {
    let variant = match sort {
        "y" => Variant::U8(value.parse().ok()?),
        "b" => Variant::Bool(value == "true"),
        "n" => Variant::I16(value.parse().ok()?),
        "q" => Variant::U16(value.parse().ok()?),
        "i" => Variant::I32(value.parse().ok()?),
        "u" => Variant::U32(value.parse().ok()?),
        "x" => Variant::I64(value.parse().ok()?),
        "t" => Variant::U64(value.parse().ok()?),
        "d" => Variant::F64(value.parse().ok()?),
        "s" => Variant::from(value),
        "v" => Variant::Variant(Box::new(Variant::from(value))),
        "as" => Variant::from(value.split(',').collect::<Vec<_>>()),
        _ => return None,
    };
    variant.try_into().ok()
}
