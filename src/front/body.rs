//! Reading a body strictly: one JSON object of known fields.
//!
//! Read by hand, because the messages of a derived reader quote the values they refuse,
//! and a value here may be a refresh token. Messages name fields and types, never values.
//! What is read is held as a [`Secret`]. The bytes come by [`arrival`](crate::front::arrival).

use std::fmt;

use hyper::body::Incoming;
use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::IgnoredAny;

use crate::error::code::Code;
use crate::front::arrival::whole;
use crate::front::reply::Refused;
use crate::front::spelling::hint;
use crate::front::spelling::quoted;
use crate::limits;
use crate::name::AccountId;
use crate::snapshot::Refusal;
use crate::token::Secret;

/// Reads the fields of a request about an account.
///
/// # Errors
///
/// `BAD_REQUEST`, about the account where the fields are wrong.
pub(super) async fn fields(
    account: &AccountId,
    body: Incoming,
    known: &[&str],
) -> Result<Fields, Box<Refused>> {
    let bytes = whole(body).await?;
    Fields::read(&bytes, known).map_err(|refusal| Refused::about(account, refusal))
}

/// Reads the fields of a request about the daemon as a whole.
///
/// # Errors
///
/// `BAD_REQUEST`.
pub(super) async fn fields_of_daemon(
    body: Incoming,
    known: &[&str],
) -> Result<Fields, Box<Refused>> {
    let bytes = whole(body).await?;
    Ok(Fields::read(&bytes, known)?)
}

/// Reads the body of a request that takes no fields.
///
/// # Errors
///
/// `BAD_REQUEST`.
pub(super) async fn none(body: Incoming) -> Result<(), Box<Refused>> {
    let bytes = whole(body).await?;
    Fields::read(&bytes, &[])?;
    Ok(())
}

/// The fields of a body's object.
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Reads an object with no other fields than `known`. Nothing at all counts as an empty object.
    ///
    /// # Errors
    ///
    /// `BAD_REQUEST`, with the field or the place in the text.
    pub(super) fn read(bytes: &[u8], known: &[&str]) -> Result<Self, Refusal> {
        if bytes.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let value = serde_json::from_slice::<Value>(bytes).map_err(|error| syntax(&error))?;
        let Value::Object(fields) = value else {
            return Err(bad(format!("the body must be a JSON object; it is {}", value.sort())));
        };
        for (at, (name, _)) in fields.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(unknown(name, known));
            }
            if fields.iter().take(at).any(|(seen, _)| seen == name) {
                return Err(bad(format!("body field `{name}` is there twice")));
            }
        }
        Ok(Self(fields))
    }

    /// A text that must be there and not be empty.
    pub(super) fn text(&self, name: &str) -> Result<&Secret, Refusal> {
        match self.optional_text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(bad(format!("body field `{name}` must not be empty"))),
            None => Err(bad(format!("body field `{name}` is missing; it must be a string"))),
        }
    }

    /// A text that may be left out or `null`.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&Secret>, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, "a string", other)),
        }
    }

    /// A whole number that may be left out or `null`.
    pub(super) fn optional_number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Whole(number)) => Ok(Some(*number)),
            Some(other) => Err(wrong(name, "a whole number", other)),
        }
    }

    /// A yes or no, no if it is left out or `null`.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(wrong(name, "true or false", other)),
        }
    }

    /// A list of texts that must be there.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&Secret>, Refusal> {
        match self.get(name) {
            None | Some(Value::Null) => {
                Err(bad(format!("body field `{name}` is missing; it must be a list of strings")))
            }
            Some(Value::List(list)) => list.iter().map(|item| item.text_of(name)).collect(),
            Some(other) => Err(wrong(name, "a list of strings", other)),
        }
    }

    /// Whether the field is there, `null` or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|(known, value)| (known == name).then_some(value))
    }
}

/// A JSON value, as far as any request here has use for it.
enum Value {
    Null,
    Bool(bool),
    Whole(u64),
    Number,
    Text(Secret),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Value {
    /// It as a text in the list of that name.
    fn text_of(&self, list: &str) -> Result<&Secret, Refusal> {
        if let Self::Text(text) = self {
            return Ok(text);
        }
        let sort = self.sort();
        Err(bad(format!("body field `{list}` must be a list of strings; there is {sort} in it")))
    }

    const fn sort(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Whole(_) | Self::Number => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> de::Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Whole(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Secret::new(text)))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        // The longest list that is taken is shorter, so that one of these is refused.
        while items.len() < limits::ITEMS {
            let Some(item) = list.next_element()? else { return Ok(Value::List(items)) };
            items.push(item);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::List(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        // No request knows as many fields as are kept, so one of those is refused.
        while fields.len() < limits::FIELDS {
            let Some(field) = object.next_entry()? else { return Ok(Value::Object(fields)) };
            fields.push(field);
        }
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(fields))
    }
}

/// Where the text stops being JSON. The parser's own words for syntax hold no values.
fn syntax(error: &serde_json::Error) -> Refusal {
    bad(format!("the body is not JSON: {error}"))
}

fn unknown(name: &str, known: &[&str]) -> Refusal {
    let hint = hint(name, known.iter().copied());
    let known = match known {
        [] => "this request takes none".to_owned(),
        _ => format!("known are {}", known.join(", ")),
    };
    bad(format!("body field {} is not known{hint}; {known}", quoted(name)))
}

fn wrong(name: &str, expected: &str, value: &Value) -> Refusal {
    bad(format!("body field `{name}` must be {expected}; it is {}", value.sort()))
}

fn bad(message: String) -> Refusal {
    Refusal::new(Code::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_is_read() {
        let fields = read(r#"{"slot": "password", "count": 7, "reason": null}"#).unwrap();
        assert_eq!(fields.text("slot").map(Secret::expose), Ok("password"));
        assert_eq!(fields.optional_number("count"), Ok(Some(7)));
        assert!(fields.has("reason"));
        assert_eq!(fields.optional_text("reason").map(|text| text.is_some()), Ok(false));
        let none = read("").unwrap();
        assert_eq!(none.optional_number("count"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many = (0..20).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(",");
        let many = format!("{{{many}}}");
        #[rustfmt::skip]
        let cases = [
            ("{",                               "the body is not JSON: EOF while parsing an object at line 1 column 1"),
            ("{\"slot\":1}x",                   "the body is not JSON: trailing characters at line 1 column 11"),
            ("{\"slot\":1,}",                   "the body is not JSON: trailing comma at line 1 column 11"),
            ("\"text\"",                        "the body must be a JSON object; it is a string"),
            ("[1,2]",                           "the body must be a JSON object; it is a list"),
            ("null",                            "the body must be a JSON object; it is null"),
            ("{\"solt\":\"x\"}",                "body field `solt` is not known; did you mean `slot`?; known are slot, count, reason"),
            ("{\"slot\":\"x\",\"slot\":\"y\"}", "body field `slot` is there twice"),
            ("{}",                              "body field `slot` is missing; it must be a string"),
            ("{\"slot\":\"\"}",                 "body field `slot` must not be empty"),
            ("{\"slot\":5}",                    "body field `slot` must be a string; it is a number"),
            ("{\"slot\":{\"a\":[1]}}",          "body field `slot` must be a string; it is an object"),
            ("{\"slot\":\"x\",\"count\":-1}",   "body field `count` must be a whole number; it is a number"),
            ("{\"slot\":\"x\",\"count\":1.5}",  "body field `count` must be a whole number; it is a number"),
            ("{\"slot\":\"x\",\"count\":\"1\"}","body field `count` must be a whole number; it is a string"),
            ("{\"slot\":\"x\",\"count\":true}", "body field `count` must be a whole number; it is a boolean"),
            (many.as_str(),                     "body field `f0` is not known; known are slot, count, reason"),
        ];
        for (text, expected) in cases {
            let refused = read(text).and_then(|fields| {
                fields.text("slot")?;
                fields.optional_number("count").map(|_| ())
            });
            assert_eq!(refused, Err(Refusal::new(Code::BadRequest, expected)), "{text}");
        }
    }

    /// A refresh token in the wrong place must not come back in a message, nor get into a log.
    #[test]
    fn no_message_holds_a_value() {
        const CANARY: &str = "canary_in_plain_words";
        for text in [
            format!("\"{CANARY}\""),
            format!("[\"{CANARY}\"]"),
            format!("{{\"slot\":[\"{CANARY}\"]}}"),
            format!("{{\"count\":\"{CANARY}\",\"slot\":\"{CANARY}\"}}"),
            format!("{{\"slot\":\"{CANARY}"),
            format!("{{\"slot\":\"{CANARY}\" {CANARY}}}"),
            CANARY.to_owned(),
        ] {
            let refused = read(&text).and_then(|fields| {
                fields.optional_number("count")?;
                fields.text("slot").map(|_| ())
            });
            let message = refused.unwrap_err().message;
            assert!(!message.contains("canary"), "{message}");
        }
    }

    fn read(text: &str) -> Result<Fields, Refusal> {
        Fields::read(text.as_bytes(), &["slot", "count", "reason"])
    }
}
