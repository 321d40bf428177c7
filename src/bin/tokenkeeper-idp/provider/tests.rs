//! What a request leaves behind: in the tokens, in the ledger and in the totals.

use std::time::Duration;

use super::*;

#[test]
fn a_fault_before_the_commit_spends_nothing_and_one_after_it_does() {
    #[rustfmt::skip]
    let cases = [
        // fault, verdict, committed, the same token again
        (json!({"fault": "lost", "after_commit": false}),               "fault:lost",   false, "granted"),
        (json!({"fault": "lost", "after_commit": true}),                "granted",      true,  "reused"),
        (json!({"fault": "status", "status": 503}),                     "fault:status", false, "granted"),
        (json!({"fault": "status", "status": 503, "after_commit": true}), "granted",    true,  "reused"),
        (json!("hang"),                                                 "granted",      true,  "reused"),
        (json!("revoked_family"), "refused:invalid_grant", false, "refused:invalid_grant"),
    ];
    for (fault, verdict, committed, again) in cases {
        let mut provider = provider(&json!({"rotation": {}}));
        let token = token(&provider);
        let name = fault.get("fault").unwrap_or(&fault).clone();
        provider.account_mut("a").unwrap().queue(vec![read(&fault)]).unwrap();

        let settled = refresh(&mut provider, "a", &token).unwrap();
        assert_eq!(settled.reply.is_none(), verdict.starts_with("fault:"), "{fault}");
        refresh(&mut provider, "a", &token).unwrap();

        let told = ledger(&provider);
        assert_eq!(told[0]["verdict"], verdict, "{fault}");
        assert_eq!(told[0]["committed"], committed, "{fault}");
        assert_eq!(told[0]["fault"], name, "{fault}");
        assert_eq!(told[0]["generation"], 0, "{fault}");
        assert_eq!(told[1]["verdict"], again, "{fault}");
    }
}

#[test]
fn a_scripted_refusal_speaks_the_words_of_the_service() {
    let mut provider = provider(&json!({}));
    let token = token(&provider);
    let fault = json!({"fault": "refusal", "code": "slow_down", "message": "later"});
    for after_commit in [false, true] {
        let mut fault = fault.clone();
        fault["after_commit"] = json!(after_commit);
        provider.account_mut("a").unwrap().queue(vec![read(&fault)]).unwrap();
        let reply = refresh(&mut provider, "a", &token).unwrap().reply.unwrap();
        let told: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(reply.status, 400);
        assert_eq!(told, json!({"error": "slow_down", "error_description": "later"}));
    }
    let verdicts = ledger(&provider);
    assert_eq!(verdicts[0]["verdict"], "fault:refusal");
    assert_eq!(verdicts[1]["verdict"], "granted");
    assert_eq!(verdicts[1]["service"], "oauth2");
    assert_eq!(verdicts[1]["operation"], "refresh");
}

#[test]
fn an_account_answers_at_the_paths_of_its_service_only() {
    #[rustfmt::skip]
    let services = [
        // service, its paths
        ("oauth2",       vec!["token"]),
        ("cognito",      vec![""]),
        ("kasa-monitor", vec!["api/auth/login", "api/auth/me", "api/nothing"]),
        ("navien",       vec!["user/sign-in", "auth/refresh", "device/list"]),
    ];
    let paths = services.iter().flat_map(|(_, paths)| paths).copied().collect::<Vec<_>>();
    for (service, own) in &services {
        let mut provider = provider(&json!({"service": service}));
        for path in &paths {
            let call = Call { path: (*path).to_owned(), ..Call::default() };
            let arrived = provider.arrive("a", &call, Moment::default());
            let expected = if own.contains(path) { None } else { Some(Lost::Path) };
            assert_eq!(arrived.err(), expected, "{service} {path:?}");
        }
        let mut nobody = Provider::new("http://idp".to_owned(), [7; 32]);
        let arrived = nobody.arrive("a", &Call::default(), Moment::default());
        assert_eq!(arrived.err(), Some(Lost::Account), "{service}");
    }
}

#[test]
fn an_unknown_account_of_every_service_takes_the_first_refresh_token_that_comes() {
    #[rustfmt::skip]
    let cases = [
        ("cognito",      "",                 "application/x-amz-json-1.1", json!({"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": "new", "AuthParameters": {"REFRESH_TOKEN": "t"}})),
        ("kasa-monitor", "api/auth/refresh", "application/json",           json!({"refresh_token": "t"})),
        ("navien",       "auth/refresh",     "application/json",           json!({"refreshToken": "t"})),
    ];
    for (service, path, content_type, body) in cases {
        let mut provider = provider(&json!({}));
        provider.by_default(script(&json!({"service": service})));
        let call = Call {
            method: "POST".to_owned(),
            path: path.to_owned(),
            content_type: Some(content_type.to_owned()),
            target: Some("AWSCognitoIdentityProviderService.InitiateAuth".to_owned()),
            body: body.to_string().into_bytes(),
            ..Call::default()
        };
        let arrival = provider.arrive("new", &call, Moment::default()).unwrap();
        provider.settle("new", &call, &arrival, Moment::default()).unwrap();
        let told = ledger(&provider);
        assert_eq!(told[0]["verdict"], "granted", "{service}");
        assert_eq!(told[0]["operation"], "refresh", "{service}");
        assert_eq!(told[0]["generation"], 0, "{service}");
        assert_eq!(told[0]["refresh_token_sha256"], format!("{:016x}", token::fingerprint("t")));
    }
}

#[test]
fn the_ledger_tells_the_code_that_was_mailed() {
    let mut provider = provider(&json!({"service": "cognito", "cognito": {"code": "123456"}}));
    let body = json!({
        "AuthFlow": "CUSTOM_AUTH", "ClientId": "a", "AuthParameters": {"USERNAME": "a"},
    });
    let call = Call {
        target: Some("AWSCognitoIdentityProviderService.InitiateAuth".to_owned()),
        content_type: Some("application/x-amz-json-1.1".to_owned()),
        body: body.to_string().into_bytes(),
        ..Call::default()
    };
    let arrival = provider.arrive("a", &call, Moment::default()).unwrap();
    provider.settle("a", &call, &arrival, Moment::default()).unwrap();
    let told = ledger(&provider);
    assert_eq!(
        (&told[0]["verdict"], &told[0]["grant"]),
        (&json!("challenged"), &json!("CUSTOM_AUTH"))
    );
    assert_eq!(told[0]["mailed_code"], "123456");
    assert_eq!(provider.watched(Some("a")).0.challenged, 1);
}

#[test]
fn a_request_counts_for_its_account_and_for_all() {
    let mut provider = provider(&json!({}));
    provider.put("b", script(&json!({})), Moment::default()).unwrap();
    let token = token(&provider);
    let settled = refresh(&mut provider, "a", &token).unwrap();
    provider.replied("a", settled.seq);
    refresh(&mut provider, "b", "unknown").unwrap();

    let (of_a, _) = provider.watched(Some("a"));
    assert_eq!((of_a.requests, of_a.granted, of_a.replied, of_a.last_seq), (1, 1, 1, 1));
    let (of_b, _) = provider.watched(Some("b"));
    assert_eq!((of_b.requests, of_b.refused, of_b.replied, of_b.last_seq), (1, 1, 0, 2));
    let (of_all, _) = provider.watched(None);
    assert_eq!((of_all.requests, of_all.granted, of_all.refused, of_all.last_seq), (2, 1, 1, 2));
    assert_eq!(of_all.max_requests_in_60s, 2);
    assert_eq!(ledger(&provider)[0]["replied"], true);
}

#[test]
fn an_unknown_account_exists_only_by_default() {
    let mut provider = provider(&json!({}));
    assert!(refresh(&mut provider, "new", "t").is_none());
    provider.by_default(script(&json!({})));
    assert!(refresh(&mut provider, "new", "t").is_some());
    assert_eq!(ledger(&provider)[0]["verdict"], "granted");
}

#[test]
fn a_hold_ends_by_release_by_a_reset_and_by_removal() {
    let ends: [(&str, End); 3] = [
        ("release", |provider| assert!(provider.hold("a", None))),
        ("reset", |provider| provider.put("a", script(&json!({})), Moment::default()).unwrap()),
        ("removal", |provider| assert!(provider.remove("a"))),
    ];
    for (name, end) in ends {
        let mut provider = provider(&json!({}));
        provider.hold("a", Some(HoldPoint::AfterCommit));
        assert!(provider.held_at("a", HoldPoint::BeforeCommit).is_none(), "{name}");
        assert!(provider.held_at("a", HoldPoint::AfterCommit).is_some(), "{name}");
        end(&mut provider);
        assert!(provider.held_at("a", HoldPoint::AfterCommit).is_none(), "{name}");
    }
}

#[test]
fn the_ledger_names_a_token_by_its_hash_and_never_repeats_it() {
    let mut provider = provider(&json!({}));
    let token = token(&provider);
    refresh(&mut provider, "a", &token).unwrap();
    let told = ledger(&provider);
    assert_eq!(told[0]["refresh_token_sha256"], format!("{:016x}", token::fingerprint(&token)));
    assert!(!told.to_string().contains(&token));
}

/// A way for a hold to end.
type End = fn(&mut Provider);

fn provider(behaviour: &Value) -> Provider {
    let mut provider = Provider::new("http://idp".to_owned(), [7; 32]);
    provider.put("a", script(behaviour), Moment::default()).unwrap();
    provider
}

fn script(behaviour: &Value) -> Script {
    Script::parse(behaviour.as_object().unwrap().clone()).unwrap()
}

fn read(fault: &Value) -> Fault {
    serde_json::from_value(fault.clone()).unwrap()
}

fn token(provider: &Provider) -> String {
    provider.credentials("a").unwrap()["refresh_token"].as_str().unwrap().to_owned()
}

fn refresh(provider: &mut Provider, name: &str, token: &str) -> Option<Settled> {
    let now = Moment { since_start: Duration::from_secs(1), unix: Duration::from_secs(1) };
    let call = Call {
        path: "token".to_owned(),
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        body: format!("grant_type=refresh_token&refresh_token={token}").into_bytes(),
        ..Call::default()
    };
    let arrival = provider.arrive(name, &call, now).ok()?;
    provider.settle(name, &call, &arrival, now)
}

fn ledger(provider: &Provider) -> Value {
    json!(provider.ledger().after(0, None).collect::<Vec<_>>())
}
