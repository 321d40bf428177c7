//! The members of a token endpoint's answer, read from JSON or from a form.
//!
//! Reading is loose: a member of an unexpected type costs that member and not the answer
//! (with it would go a refresh token). Text goes into a [`Secret`] from the start, since
//! any of it may be one.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use url::form_urlencoded;

use crate::token::Secret;

/// RFC 6749 sections 5.1 and 5.2, and what providers add to them.
#[derive(Default)]
pub(super) struct Members {
    pub(super) access_token: Member,
    pub(super) token_type: Member,
    pub(super) expires_in: Member,
    pub(super) refresh_token: Member,
    /// `refresh_token_expires_in` (GitHub, Microsoft), `refresh_expires_in` (Keycloak) or
    /// `x_refresh_token_expires_in` (Intuit).
    pub(super) refresh_expires_in: Member,
    pub(super) scope: Member,
    pub(super) id_token: Member,
    pub(super) error: Member,
    pub(super) error_description: Member,
}

impl Members {
    /// Reads a JSON object. `None` for everything else.
    pub(super) fn from_json(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Reads a form, which is any text: whether it is one shows in what it has.
    pub(super) fn from_form(body: &[u8]) -> Self {
        let mut members = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            if let Some(member) = members.named(&name) {
                *member = Member::Text(Secret::new(value));
            }
        }
        members
    }

    fn named(&mut self, name: &str) -> Option<&mut Member> {
        Some(match name {
            "access_token" => &mut self.access_token,
            "token_type" => &mut self.token_type,
            "expires_in" => &mut self.expires_in,
            "refresh_token" => &mut self.refresh_token,
            "refresh_token_expires_in" | "refresh_expires_in" | "x_refresh_token_expires_in" => {
                &mut self.refresh_expires_in
            }
            "scope" => &mut self.scope,
            "id_token" => &mut self.id_token,
            "error" => &mut self.error,
            "error_description" => &mut self.error_description,
            _ => return None,
        })
    }
}

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

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(name) = map.next_key::<String>()? {
                    match members.named(&name) {
                        Some(member) => *member = map.next_value()?,
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
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
