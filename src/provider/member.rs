//! One member of a provider's answer, whatever its type.
//!
//! Reading is loose: a member of an unexpected type costs that member and not the answer
//! (with it would go a refresh token). Text goes into a [`Secret`] from the start, since
//! any of it may be one.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde::de::Error;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde::de::value::MapAccessDeserializer;

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
    /// A whole number, exactly: people are known by some that no floating point number can tell
    /// from its neighbours.
    Whole(i128),
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
            | Self::Whole(_)
            | Self::List(_)
            | Self::Fault(_)
            | Self::Other => None,
        }
    }

    /// The number in it, if it is one.
    pub(super) const fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Whole(number) => Some(*number as f64),
            Self::Absent | Self::Text(_) | Self::List(_) | Self::Fault(_) | Self::Other => None,
        }
    }

    /// Whose something is: a text, or a number by its digits, which some providers send.
    /// What has more than 255 bytes (OpenID Connect Core section 2) is no identifier.
    pub(super) fn identifier(&self) -> Option<Box<str>> {
        let identifier = match self {
            Self::Text(text) => text.expose().to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Absent | Self::List(_) | Self::Fault(_) | Self::Other => return None,
        };
        (1..=255).contains(&identifier.len()).then(|| identifier.into())
    }

    /// As [`text`](Self::text), taken out.
    pub(super) fn into_text(self) -> Option<Secret> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            Self::Text(_)
            | Self::Absent
            | Self::Number(_)
            | Self::Whole(_)
            | Self::List(_)
            | Self::Fault(_)
            | Self::Other => None,
        }
    }
}

/// A member that should be an object. Anything else reads as one that is empty.
#[derive(Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Default + DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Perhaps<T>(PhantomData<T>);

        impl<'de, T: Default + DeserializeOwned> Visitor<'de> for Perhaps<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E: Error>(self) -> Result<Object<T>, E> {
                Ok(Object::default())
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Object<T>, E> {
                Ok(Object::default())
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Object<T>, E> {
                Ok(Object::default())
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Object<T>, E> {
                Ok(Object::default())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Object<T>, E> {
                Ok(Object::default())
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Object<T>, E> {
                Ok(Object::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Object<T>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Object::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_any(Perhaps(PhantomData))
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
                Ok(Member::Whole(number.into()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Member, E> {
                Ok(Member::Whole(number.into()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Outer {
        inner: Object<Inner>,
        after: Member,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        text: Member,
    }

    #[test]
    fn what_should_be_an_object_and_is_none_costs_nothing_but_itself() {
        #[rustfmt::skip]
        let cases = [
            (r#"{"text":"x","more":[{}]}"#, Some("x")),
            (r#"{"text":{}}"#,              None),
            ("{}",                          None),
            ("null",                        None),
            ("true",                        None),
            ("-1",                          None),
            ("1",                           None),
            ("1.5",                         None),
            (r#""text""#,                   None),
            (r#"[{"text":"x"}]"#,           None),
        ];
        for (inner, text) in cases {
            let outer = format!(r#"{{"inner":{inner},"after":"y"}}"#);
            let outer: Outer = serde_json::from_str(&outer).unwrap();
            assert_eq!(outer.inner.0.text.text().map(Secret::expose), text, "{inner}");
            assert_eq!(outer.after.text().unwrap().expose(), "y", "{inner}");
        }
    }
}
