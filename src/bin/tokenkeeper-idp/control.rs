//! The control interface: how tests set the scene and look behind it.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::bad_control::BadControl;
use crate::behaviour::BadBehaviour;
use crate::behaviour::Script;
use crate::clock::Moment;
use crate::fault::Fault;
use crate::provider::HoldPoint;
use crate::provider::Provider;
use crate::query::Query;
use crate::reply::Reply;
use crate::route;
use crate::route::Control;

/// Entries of one ledger answer, at most and without `limit`.
const MOST_ENTRIES: u64 = 100_000;

/// Answers one control request.
pub(crate) fn answer(
    provider: &mut Provider,
    control: Control<'_>,
    query: &str,
    body: &[u8],
    now: Moment,
) -> Reply {
    act(provider, control, query, body, now).unwrap_or_else(|refusal| refusal.reply())
}

/// Creates or resets the accounts of a script file, as `POST /control/accounts` does.
///
/// # Errors
///
/// What is wrong with the script; no account is created then.
pub(crate) fn load(provider: &mut Provider, script: &[u8], now: Moment) -> Result<(), BadControl> {
    object(script).and_then(|accounts| put_many(provider, accounts, now)).map(|_| ())
}

fn act(
    provider: &mut Provider,
    control: Control<'_>,
    query: &str,
    body: &[u8],
    now: Moment,
) -> Result<Reply, BadControl> {
    match control {
        Control::PutMany => put_many(provider, object(body)?, now).map(|told| ok(&told)),
        Control::Put(account) => {
            provider.put(account, parse(account, object(body)?)?, now)?;
            found(account, provider.credentials(account)).map(|told| ok(&told))
        }
        Control::Patch(account) => {
            let changes = object(body)?;
            let seat = found(account, provider.account_mut(account))?;
            let script = seat.script().changed(changes).map_err(|problem| {
                BadControl::Behaviour { account: account.to_owned(), problem }
            })?;
            seat.behave(script.into());
            found(account, provider.credentials(account)).map(|told| ok(&told))
        }
        Control::Look(account) => look(provider, account),
        Control::Remove(account) => {
            found(account, provider.remove(account).then_some(()))?;
            Ok(ok(&json!({})))
        }
        Control::Next(account) => {
            let faults = faults(body)?;
            let seat = found(account, provider.account_mut(account))?;
            seat.queue(faults)?;
            Ok(ok(&json!({ "queued": seat.queued() })))
        }
        Control::RevokeAll(account) => {
            found(account, provider.account_mut(account))?.revoke_all();
            Ok(ok(&json!({})))
        }
        Control::Mint(account) => {
            let token = found(account, provider.log_in(account, now))?;
            Ok(ok(&json!({ "refresh_token": token })))
        }
        Control::Default => {
            provider.by_default(Script::parse(object(body)?).map_err(BadControl::Default)?);
            Ok(ok(&json!({})))
        }
        Control::Hold => {
            let wish = hold_wish(body)?;
            let point =
                if wish.after_commit { HoldPoint::AfterCommit } else { HoldPoint::BeforeCommit };
            found(&wish.account, provider.hold(&wish.account, Some(point)).then_some(()))?;
            Ok(ok(&json!({})))
        }
        Control::Release => {
            let wish = hold_wish(body)?;
            found(&wish.account, provider.hold(&wish.account, None).then_some(()))?;
            Ok(ok(&json!({})))
        }
        Control::Ledger => ledger(provider, query),
        Control::Summary => summary(provider, query),
    }
}

fn put_many(
    provider: &mut Provider,
    accounts: Map<String, Value>,
    now: Moment,
) -> Result<Value, BadControl> {
    let scripts = accounts
        .into_iter()
        .map(|(account, script)| {
            route::named(&account)
                .map_err(|problem| BadControl::Name { account: account.clone(), problem })?;
            let script =
                serde_json::from_value(script).map_err(|problem| BadControl::Behaviour {
                    account: account.clone(),
                    problem: BadBehaviour::Whole(problem),
                })?;
            let script = parse(&account, script)?;
            Ok((account, script))
        })
        .collect::<Result<Vec<_>, BadControl>>()?;

    let mut told = Map::new();
    for (account, script) in scripts {
        provider.put(&account, script, now)?;
        told.insert(account.clone(), found(&account, provider.credentials(&account))?);
    }
    Ok(Value::Object(told))
}

fn parse(account: &str, script: Map<String, Value>) -> Result<Script, BadControl> {
    Script::parse(script)
        .map_err(|problem| BadControl::Behaviour { account: account.to_owned(), problem })
}

fn faults(body: &[u8]) -> Result<Vec<Fault>, BadControl> {
    let script: Value = serde_json::from_slice(body).map_err(BadControl::NotJson)?;
    let scripts = if let Value::Array(scripts) = script { scripts } else { vec![script] };
    let read = |(index, script)| {
        serde_json::from_value(script)
            .map_err(|problem| BadControl::Fault { position: index + 1, problem })
    };
    scripts.into_iter().enumerate().map(read).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldWish {
    account: String,
    #[serde(default)]
    after_commit: bool,
}

fn hold_wish(body: &[u8]) -> Result<HoldWish, BadControl> {
    let expected = "`account` and perhaps `after_commit`";
    serde_json::from_slice(body).map_err(|problem| BadControl::Shape { expected, problem })
}

fn look(provider: &Provider, account: &str) -> Result<Reply, BadControl> {
    let seat = found(account, provider.account(account))?;
    let families = seat.account.logins().map(|(family, login)| {
        json!({ "family": family, "generation": login.newest(), "alive": login.is_alive() })
    });
    let alive = seat.account.logins().filter(|(_, login)| login.is_alive()).count();
    let mut told = found(account, provider.credentials(account))?;
    if let Value::Object(members) = &mut told {
        members.insert("refresh_tokens".to_owned(), alive.into());
        members.insert("families".to_owned(), families.collect());
        members.insert("mailed_code".to_owned(), seat.account.mailed().into());
        members.insert("queued".to_owned(), seat.account.queued().into());
        members.insert("counters".to_owned(), json!(seat.totals()));
    }
    Ok(ok(&told))
}

fn ledger(provider: &Provider, query: &str) -> Result<Reply, BadControl> {
    let query = Query::parse(query, &["account", "since", "limit"])?;
    let since = query.number("since", u64::MAX)?.unwrap_or(0);
    let limit = query.number("limit", MOST_ENTRIES)?.unwrap_or(MOST_ENTRIES);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let entries = provider.ledger().after(since, query.one("account"));
    let entries = entries.take(limit).collect::<Vec<_>>();
    let dropped = provider.ledger().dropped().to_string();
    Ok(ok(&json!(entries)).header("ledger-dropped", &dropped))
}

fn summary(provider: &Provider, query: &str) -> Result<Reply, BadControl> {
    let query = Query::parse(query, &["account"])?;
    match query.one("account") {
        None => Ok(ok(&provider.summary())),
        Some(account) => {
            let seat = found(account, provider.account(account))?;
            Ok(ok(&json!(seat.totals())))
        }
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, BadControl> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body)
        .map_err(|problem| BadControl::Shape { expected: "names and values", problem })
}

fn found<T>(account: &str, sought: Option<T>) -> Result<T, BadControl> {
    sought.ok_or_else(|| BadControl::NoAccount(account.to_owned()))
}

fn ok(value: &Value) -> Reply {
    Reply::json(200, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_answered_with_what_where_and_what_was_expected() {
        let known = Control::Put("a");
        #[rustfmt::skip]
        let cases = [
            (known,                r#"{"lifetime": 1}"#,             400, "account `a`: field `lifetime`: unknown field"),
            (known,                "[1]",                            400, "is a JSON object with names and values"),
            (Control::Patch("b"),  "{}",                             404, "no account `b`; create it with PUT"),
            (Control::PutMany,     r#"{"x": {}, "Y": {}}"#,          400, "account `Y`: account names are"),
            (Control::PutMany,     r#"{"x": 7}"#,                    400, "account `x`: invalid type: integer `7`"),
            (Control::Next("a"),   "{",                              400, "not JSON"),
            (Control::Next("a"),   r#"["html", "sulk"]"#,            400, "fault 2: fault `sulk`: unknown variant"),
            (Control::Default,     r#"{"jwt": 1}"#,                  400, "the default behaviour: field `jwt`"),
            (Control::Hold,        "{}",                             400, "with `account`"),
            (Control::Release,     r#"{"account": "b"}"#,            404, "no account `b`"),
        ];
        for (control, body, status, words) in cases {
            let mut provider = provider();
            asked(&mut provider, known, "", b"{}");
            let reply = asked(&mut provider, control, "", body.as_bytes());
            let text = String::from_utf8(reply.body).unwrap();
            assert_eq!(reply.status, status, "{control:?} {body}: {text}");
            assert!(text.contains(words), "{control:?} {body}: {text}");
        }
    }

    #[test]
    fn many_accounts_are_made_together_or_not_at_all() {
        let mut provider = provider();
        let half_wrong = br#"{"good": {}, "wrong": {"lifetime": 1}}"#;
        assert_eq!(asked(&mut provider, Control::PutMany, "", half_wrong).status, 400);
        assert!(provider.account("good").is_none());
        asked(&mut provider, Control::PutMany, "", br#"{"good": {}, "other": {}}"#);
        assert!(provider.account("good").is_some() && provider.account("other").is_some());
    }

    #[test]
    fn a_patch_keeps_the_tokens_and_a_put_does_not() {
        let mut provider = provider();
        let told = |reply: Reply| -> Value { serde_json::from_slice(&reply.body).unwrap() };
        let first = told(asked(&mut provider, Control::Put("a"), "", b"{}"));
        let patched = asked(&mut provider, Control::Patch("a"), "", br#"{"client_id": "x"}"#);
        let patched = told(patched);
        assert_eq!(patched["refresh_token"], first["refresh_token"]);
        assert_eq!(patched["client_id"], "x");
        let put = told(asked(&mut provider, Control::Put("a"), "", b"{}"));
        assert_ne!(put["refresh_token"], first["refresh_token"]);
        assert_eq!(put["client_id"], "a");
    }

    fn asked(provider: &mut Provider, control: Control<'_>, query: &str, body: &[u8]) -> Reply {
        answer(provider, control, query, body, Moment::default())
    }

    fn provider() -> Provider {
        Provider::new("http://idp".to_owned(), [7; 32])
    }
}
