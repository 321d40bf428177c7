//! One member of a provider's answer, whatever its type.
//!
//! Reading is loose: a member of an unexpected type costs that member and not the answer
//! (with it would go a refresh token). Text goes into a [`Secret`] from the start, since
//! any of it may be one.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

use crate::token::Secret;

/// One member.
#[derive(Default)]
pub(super) enum Member {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// A string.
    Text(Secret),
    /// A number.
    Number(f64),
    /// The strings of a list, joined by spaces.
    List(String),
    /// An object that describes an error.
    Fault(Fault),
    /// Anything else.
    Other,
}

/// An `error` that is an object, as providers send it whose other interfaces do so too.
#[derive(Default)]
pub(super) struct Fault {
    /// Its `type`, `status` or `code`, whichever comes first as a text.
    pub(super) code: Option<String>,
    /// Its `message`.
    pub(super) message: Option<String>,
}

impl Member {
    /// The text in it, if there is any.
    pub(super) fn text(&self) -> Option<&Secret> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            Self::Text(_)
            | Self::Absent
            | Self::Number(_)
            | Self::List(_)
            | Self::Fault(_)
            | Self::Other => None,
        }
    }

    /// As [`text`](Self::text), taken out.
    pub(super) fn into_text(self) -> Option<Secret> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            Self::Text(_)
            | Self::Absent
            | Self::Number(_)
            | Self::List(_)
            | Self::Fault(_)
            | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;

        impl<'de> Visitor<'de> for Anything {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E: Error>(self) -> Result<Member, E> {
                Ok(Member::Absent)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Member, E> {
                Ok(Member::Other)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Member, E> {
                Ok(Member::Number(number as f64))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Member, E> {
                Ok(Member::Number(number as f64))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Member, E> {
                Ok(Member::Number(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Member, E> {
                Ok(Member::Text(Secret::new(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Member, A::Error> {
                let mut joined = String::new();
                while let Some(item) = list.next_element::<Member>()? {
                    let Some(text) = item.text() else { continue };
                    if !joined.is_empty() {
                        joined.push(' ');
                    }
                    joined.push_str(text.expose());
                }
                Ok(Member::List(joined))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
                let mut fault = Fault::default();
                while let Some(name) = map.next_key::<String>()? {
                    let value = map.next_value::<Member>()?;
                    let Some(text) = value.text().map(Secret::expose) else { continue };
                    match name.as_str() {
                        "type" | "status" | "code" if fault.code.is_none() => {
                            fault.code = Some(text.to_owned());
                        }
                        "message" => fault.message = Some(text.to_owned()),
                        _ => {}
                    }
                }
                Ok(Member::Fault(fault))
            }
        }

        deserializer.deserialize_any(Anything)
    }
}
