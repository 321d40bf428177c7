//! Scripts as tables: what is read, what is refused, and in which words.

use serde_json::json;

use super::*;
use crate::field::LONGEST_SPAN;

#[test]
fn an_empty_script_is_a_sound_provider_without_rotation() {
    let script = parse(&json!({})).unwrap();
    assert_eq!(script.behaviour.lifetime(), Duration::from_secs(3600));
    assert_eq!(script.behaviour.rotation(), Rotation::None);
    assert!(script.behaviour.fault.is_none());
}

#[test]
fn a_mistake_is_refused_in_words_that_name_the_field() {
    #[rustfmt::skip]
    let cases = [
        (json!({"lifetime": 5}),                          "unknown field `lifetime`"),
        (json!({"jwt": true, "scope": 7}),                "field `scope`"),
        (json!({"lifetime_secs": "long"}),                "field `lifetime_secs`"),
        (json!({"rotation": "sometimes"}),                "expected the word \"none\""),
        (json!({"rotation": {"every": 0}}),               "field `rotation`"),
        (json!({"rotation": {"grace": 1}}),               "unknown field `grace`"),
        (json!({"rotation": {"grace_secs": -1}}),         "`grace_secs` is -1"),
        (json!({"fault": {"fault": "sulk"}}),             "field `fault`"),
        (json!({"fault_every": 3}),                       "needs the field `fault`"),
        (json!({"token_bytes": 3}),                       "expected 33 to 65536"),
        (json!({"delay_ms": {"min": 9, "max": 1}}),       "min <= max"),
        (json!({"delay_ms": "a while"}),                  "expected a number of ms"),
        (json!({"rate_limit": {"requests": 1}}),          "missing field `per_secs`"),
        (json!({"service": "imap"}),                      "unknown variant `imap`"),
        (json!({"navien": {}}),                           "belongs to accounts of the service `navien`"),
        (json!({"service": "navien", "navien": {"a": 1}}), "field `navien`: unknown field `a`"),
    ];
    for (script, words) in cases {
        let refusal = parse(&script).unwrap_err().to_string();
        assert!(refusal.contains(words), "{script}: {refusal}");
    }
}

#[test]
fn a_change_keeps_the_other_fields_and_null_lifts_a_fault() {
    let script = parse(&json!({"lifetime_secs": 60, "fault": "html"})).unwrap();
    let script = script.changed(object(&json!({"fault": null, "jwt": true}))).unwrap();
    assert_eq!(script.behaviour.lifetime(), Duration::from_secs(60));
    assert!(script.behaviour.fault.is_none());
    assert!(script.behaviour.jwt);
}

#[test]
fn a_change_keeps_the_service_and_its_other_options() {
    let script = parse(&json!({"service": "navien", "navien": {"errors_in_200": true}}));
    let changes = object(&json!({"navien": {"sign_in_member": "tokens"}}));
    let script = script.unwrap().changed(changes).unwrap();
    assert_eq!(script.raw["navien"], json!({"errors_in_200": true, "sign_in_member": "tokens"}));
    let refusal = script.changed(object(&json!({"service": "oauth2"}))).unwrap_err();
    assert!(refusal.to_string().contains("`navien` belongs to"), "{refusal}");
    let refusal = parse(&json!({})).unwrap().changed(object(&json!({"service": "navien"})));
    assert!(refusal.unwrap_err().to_string().contains("keeps the service"));
}

#[test]
fn a_member_is_replaced_word_for_word() {
    #[rustfmt::skip]
    let cases = [
        (json!(null),             Member::Raw(json!(null))),
        (json!("3600"),           Member::Raw(json!("3600"))),
        (json!(1e308),            Member::Raw(json!(1e308))),
        (json!(-1),               Member::Raw(json!(-1))),
        (json!({"omit": true}),   Member::Omitted),
        (json!({"usual": true}),  Member::Usual),
        (json!({"omit": false}),  Member::Raw(json!({"omit": false}))),
    ];
    for (script, member) in cases {
        let script = parse(&json!({"expires_in": script})).unwrap();
        assert_eq!(script.behaviour.expires_in, member);
    }
}

#[test]
fn a_lifetime_is_bounded_whatever_the_number() {
    #[rustfmt::skip]
    let cases = [
        (json!(0),      Duration::ZERO),
        (json!(-5),     Duration::ZERO),
        (json!(0.25),   Duration::from_millis(250)),
        (json!(1e308),  LONGEST_SPAN),
    ];
    for (secs, lifetime) in cases {
        assert_eq!(parse(&json!({"lifetime_secs": secs})).unwrap().behaviour.lifetime(), lifetime);
    }
}

fn parse(script: &Value) -> Result<Script, BadBehaviour> {
    Script::parse(object(script))
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}
