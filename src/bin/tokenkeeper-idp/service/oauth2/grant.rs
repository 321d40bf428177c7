//! The members of a token reply: what a behaviour makes of one pair of tokens.

use serde_json::Map;
use serde_json::Value;

use crate::behaviour::Behaviour;
use crate::clock::Moment;
use crate::family::Issue;
use crate::field::Member;
use crate::service::bench;
use crate::token::Claim;
use crate::token::Mint;

/// Who grants.
#[derive(Clone, Copy)]
pub(crate) struct Granter<'a> {
    /// Makes the tokens.
    pub(crate) mint: &'a Mint,
    /// The address of this process, as in `http://127.0.0.1:1234`.
    pub(crate) origin: &'a str,
    /// Name of the account.
    pub(crate) account: &'a str,
    /// How it behaves.
    pub(crate) behaviour: &'a Behaviour,
}

/// What is granted.
pub(crate) struct Pair<'a> {
    /// The login that the tokens belong to.
    pub(crate) family: u32,
    /// The tokens.
    pub(crate) issue: Issue,
    /// The refresh token as the client is to see it.
    pub(crate) refresh_token: Option<String>,
    /// Whose tokens they are said to be, if not the subject of the behaviour.
    pub(crate) other_subject: Option<&'a str>,
}

impl Granter<'_> {
    /// The members of the reply at `now`.
    ///
    /// The same pair gives the same tokens whenever it is asked for; only `expires_in` counts down.
    pub(crate) fn members(&self, pair: &Pair<'_>, now: Moment) -> Map<String, Value> {
        let behaviour = self.behaviour;
        let mut members = Map::new();
        let mut put = |name: &str, member: &Member, usual: Option<Value>| {
            if let Some(value) = member.value(usual) {
                members.insert(name.to_owned(), value);
            }
        };

        let usual = Member::Usual;
        put("access_token", &usual, Some(self.access_token(pair).into()));
        put("token_type", &behaviour.token_type, Some("Bearer".into()));
        put("expires_in", &behaviour.expires_in, Some(behaviour.expires_in(pair.issue.at, now)));
        put("refresh_token", &usual, pair.refresh_token.clone().map(Value::from));
        put("refresh_expires_in", &behaviour.refresh_expires_in, None);
        put("scope", &usual, behaviour.scope.clone().map(Value::from));
        if behaviour.id_token || (pair.other_subject.is_some() && !behaviour.jwt) {
            let token = self.mint.id_token(self.account, &self.claims(pair));
            put("id_token", &usual, Some(token.into()));
        }
        members.extend(behaviour.extra.clone());
        members
    }

    fn access_token(&self, pair: &Pair<'_>) -> String {
        let claim = Claim {
            family: pair.family,
            number: pair.issue.serial,
            expires_ms: self.behaviour.ends(pair.issue.at).at_ms(),
        };
        let size = self.behaviour.token_bytes;
        if !self.behaviour.jwt {
            return self.mint.access(self.account, claim, size);
        }
        let mut claims = self.claims(pair);
        claims.insert("jti".to_owned(), format!("{}.{}", claim.family, claim.number).into());
        self.mint.access_jwt(self.account, claim, claims, size)
    }

    fn claims(&self, pair: &Pair<'_>) -> Map<String, Value> {
        let behaviour = self.behaviour;
        let subject = pair.other_subject.unwrap_or_else(|| behaviour.subject(self.account));
        let issuer = format!("{}/{}", self.origin, self.account);
        let mut claims = bench::claims(behaviour, &issuer, subject, pair.issue.at);
        claims.insert("aud".to_owned(), behaviour.client_id(self.account).into());
        claims
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;
    use crate::behaviour::Script;

    #[test]
    fn the_reply_says_what_the_behaviour_says() {
        #[rustfmt::skip]
        let cases = [
            (json!({}),                                 "expires_in",         json!(3600)),
            (json!({"lifetime_secs": 0.5}),             "expires_in",         json!(0.5)),
            (json!({"expires_in": "3600"}),             "expires_in",         json!("3600")),
            (json!({"expires_in": null}),               "expires_in",         json!(null)),
            (json!({}),                                 "token_type",         json!("Bearer")),
            (json!({"token_type": "bearer"}),           "token_type",         json!("bearer")),
            (json!({"scope": "read write"}),            "scope",              json!("read write")),
            (json!({"refresh_expires_in": 1800}),       "refresh_expires_in", json!(1800)),
            (json!({"extra": {"username": "pat"}}),     "username",           json!("pat")),
            (json!({"extra": {"token_type": "mac"}}),   "token_type",         json!("mac")),
            (json!({}),                                 "refresh_token",      json!("R")),
        ];
        for (script, member, value) in cases {
            assert_eq!(members(&script, second(0), None)[member], value, "{script} {member}");
        }
        assert!(
            !members(&json!({"expires_in": {"omit": true}}), second(0), None)
                .contains_key("expires_in")
        );
        assert!(!members(&json!({}), second(0), None).contains_key("id_token"));
    }

    #[test]
    fn the_same_pair_later_is_the_same_but_for_the_time_that_is_left() {
        let first = members(&json!({"jwt": true}), second(0), None);
        let again = members(&json!({"jwt": true}), second(10), None);
        assert_eq!(first["access_token"], again["access_token"]);
        assert_eq!(again["expires_in"], 3590);
    }

    #[test]
    fn a_jwt_says_when_it_ends_and_whose_it_is() {
        #[rustfmt::skip]
        let cases = [
            (json!({"jwt": true}),                            None,      "exp", json!(3600)),
            (json!({"jwt": true}),                            None,      "iat", json!(0)),
            (json!({"jwt": true}),                            None,      "sub", json!("a")),
            (json!({"jwt": true}),                            None,      "iss", json!("http://idp/a")),
            (json!({"jwt": true, "subject": "pat"}),          None,      "sub", json!("pat")),
            (json!({"jwt": true, "subject": "pat"}),          Some("z"), "sub", json!("z")),
            (json!({"jwt": true, "jwt_exp_skew_secs": -600}), None,      "exp", json!(3000)),
            (json!({"jwt": true, "jwt_without_iat": true}),   None,      "iat", json!(null)),
        ];
        for (script, other, claim, value) in cases {
            let members = members(&script, second(0), other);
            assert_eq!(claims(&members["access_token"])[claim], value, "{script} {claim}");
        }
    }

    #[test]
    fn another_subject_shows_in_an_id_token_where_there_is_no_jwt() {
        let members = members(&json!({}), second(0), Some("z"));
        assert_eq!(claims(&members["id_token"])["sub"], "z");
    }

    fn members(script: &Value, now: Moment, other_subject: Option<&str>) -> Map<String, Value> {
        let script = Script::parse(script.as_object().unwrap().clone()).unwrap();
        let mint = Mint::new([7; 32]);
        let granter = Granter {
            mint: &mint,
            origin: "http://idp",
            account: "a",
            behaviour: &script.behaviour,
        };
        let issue = Issue { generation: 1, serial: 1, at: second(0) };
        let refresh_token = Some("R".to_owned());
        granter.members(&Pair { family: 1, issue, refresh_token, other_subject }, now)
    }

    fn claims(token: &Value) -> Value {
        let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    fn second(at: u64) -> Moment {
        Moment { since_start: Duration::from_secs(at), unix: Duration::from_secs(at) }
    }
}
