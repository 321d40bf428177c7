//! The members of a token endpoint's answer, read from JSON or from a form.
//!
//! Reading is loose; see [`Member`].

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;
use url::form_urlencoded;

use crate::provider::member::Member;
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
