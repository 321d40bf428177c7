//! Exchanges from their first request to their outcome.

mod login;

use super::*;
use crate::error::Class;
use crate::plan::Entry;
use crate::plan::Rotation;
use crate::provider::Method;
use crate::provider::Transport;
use crate::provider::testing::asked;
use crate::provider::testing::failed;
use crate::provider::testing::response;
use crate::record::Lineage;
use crate::time::Timestamp;
use crate::token::Kind;
use crate::token::Secret;

#[test]
fn a_given_endpoint_is_asked_at_once_and_nothing_is_learned() {
    let mut exchange = account("https://idp.example/token").exchange(spend());
    let request = asked(exchange.next(None));
    assert_eq!(request.url.as_str(), "https://idp.example/token");
    assert!(request.spends);
    assert!(matches!(exchange.next(Some(tokens())), Step::Done(Outcome::Granted(_))));
    assert_eq!(exchange.learned(), None);
}

#[test]
fn an_issuer_is_asked_for_its_endpoint_first_and_what_it_says_is_learned() {
    let mut exchange = discovered().exchange(spend());
    let request = asked(exchange.next(None));
    assert_eq!(request.url.as_str(), "https://idp.example/.well-known/openid-configuration");
    assert_eq!((request.method, request.spends), (Method::Get, false));
    let request = asked(exchange.next(Some(metadata())));
    assert_eq!(request.url.as_str(), "https://login.example/token");
    assert_eq!((request.method, request.spends), (Method::Post, true));
    assert!(matches!(exchange.next(Some(tokens())), Step::Done(Outcome::Granted(_))));
    assert_eq!(exchange.learned(), Some(learned()));
}

#[test]
fn whether_a_login_can_begin_is_learned_of_an_issuer() {
    let with = |door: &str| {
        let text = format!(
            "{{\"issuer\":\"https://idp.example\",\"token_endpoint\":\"https://login.example/token\"{door}}}"
        );
        response(200, "application/json", &text)
    };
    #[rustfmt::skip]
    let cases = [
        ("",                                                                Entry::Import),
        (",\"device_authorization_endpoint\":\"https://login.example/d\"",  Entry::Login),
        (",\"authorization_endpoint\":\"https://login.example/a\"",         Entry::Login),
    ];
    for (door, expected) in cases {
        let mut exchange = discovered().exchange(spend());
        asked(exchange.next(None));
        assert_eq!(exchange.entry(), None);
        asked(exchange.next(Some(with(door))));
        assert_eq!(exchange.entry(), Some(expected), "{door}");
    }
}

#[test]
fn the_place_of_rfc_8414_is_asked_where_the_first_has_nothing() {
    let mut exchange = discovered().exchange(spend());
    let answers = [None, Some(response(404, "", "")), Some(metadata())];
    let urls = answers.map(|answer| asked(exchange.next(answer)).url.to_string());
    assert_eq!(urls[1], "https://idp.example/.well-known/oauth-authorization-server");
    assert_eq!(urls[2], "https://login.example/token");
    assert_eq!(urls.len(), usize::from(discovered().endpoint.requests()));
}

#[test]
fn an_issuer_without_metadata_ends_the_exchange_with_nothing_spent() {
    let mut exchange = discovered().exchange(spend());
    asked(exchange.next(None));
    asked(exchange.next(Some(response(404, "", ""))));
    let error = failed(exchange.next(Some(response(404, "", ""))));
    assert_eq!(error.class(), Class::Config);
    assert_eq!(exchange.learned(), None);
}

#[test]
fn a_learned_endpoint_is_used_until_it_is_not_there() {
    for (status, kept) in
        [(200, true), (400, true), (500, true), (302, false), (404, false), (410, false)]
    {
        let spend = Spend { learned: Some(learned()), ..spend() };
        let mut exchange = discovered().exchange(spend);
        assert_eq!(asked(exchange.next(None)).url, learned());
        assert!(matches!(exchange.next(Some(response(status, "", ""))), Step::Done(_)));
        assert_eq!(exchange.learned(), kept.then(learned), "HTTP {status}");
    }
}

#[test]
fn only_an_endpoint_that_is_named_now_can_be_wrong() {
    let gone = || Some(response(404, "text/plain", "not found"));
    let mut configured = account("https://idp.example/tokn").exchange(spend());
    asked(configured.next(None));
    let error = failed(configured.next(gone()));
    assert_eq!(error.class(), Class::Config);
    insta::assert_snapshot!(error.to_string(), @"no such endpoint: https://idp.example/tokn answers HTTP 404; check the path of that URL, the credential was not looked at");

    let mut named = discovered().exchange(spend());
    asked(named.next(None));
    asked(named.next(Some(metadata())));
    assert_eq!(failed(named.next(gone())).class(), Class::Config);

    let spend = Spend { learned: Some(learned()), ..spend() };
    let mut remembered = discovered().exchange(spend);
    asked(remembered.next(None));
    assert_eq!(failed(remembered.next(gone())).class(), Class::Transient, "the issuer is asked");
}

#[test]
fn a_learned_endpoint_means_nothing_to_an_account_that_has_one_given() {
    let spend = Spend { learned: Some(learned()), ..spend() };
    let mut exchange = account("https://idp.example/token").exchange(spend);
    assert_eq!(asked(exchange.next(None)).url.as_str(), "https://idp.example/token");
    assert_eq!(exchange.learned(), None);
}

#[test]
fn an_exchange_that_is_driven_out_of_order_fails_and_sends_nothing() {
    let mut early = discovered().exchange(spend());
    assert!(matches!(early.next(Some(tokens())), Step::Done(Outcome::Failed(_))));
    let mut late = discovered().exchange(spend());
    asked(late.next(None));
    assert!(matches!(late.next(None), Step::Done(Outcome::Failed(_))));
}

fn tokens() -> Response {
    response(200, "application/json", r#"{"access_token":"a","expires_in":60}"#)
}

fn metadata() -> Response {
    let body = r#"{"issuer":"https://idp.example","token_endpoint":"https://login.example/token"}"#;
    response(200, "application/json", body)
}

fn learned() -> Url {
    Url::parse("https://login.example/token").unwrap()
}

fn discovered() -> OAuth2 {
    let issuer = Url::parse("https://idp.example").unwrap();
    OAuth2 { endpoint: Endpoint::Discovered { issuer }, ..account("https://idp.example/token") }
}

pub(in crate::provider) fn spend() -> Spend {
    Spend {
        refresh_token: Some(Secret::new("r+1")),
        secrets: vec![(CLIENT_SECRET, Secret::new("s:/%"))],
        learned: None,
        held: None,
        now: Timestamp::default(),
    }
}

pub(super) fn account(endpoint: &str) -> OAuth2 {
    OAuth2 {
        endpoint: Endpoint::Given(Url::parse(endpoint).unwrap()),
        client_id: "the client".into(),
        client_auth: ClientAuth::None,
        grant: GrantType::RefreshToken,
        scope: None,
        doors: Arc::default(),
        token_params: Vec::new(),
        format: Format::Form,
        profile: Profile {
            name: "oauth2",
            host: "idp.example".into(),
            client: "the client".into(),
            lineage: Lineage::default(),
            has_refresh_token: true,
            rotation: Rotation::Unknown,
            lifetime: None,
            email: None,
            default_kind: Kind::Access,
            header: None,
            secrets: Vec::new(),
            sign_in: None,
            entry: Entry::Login,
            aws: false,
            requests: 1,
            transport: Transport::default(),
        },
    }
}
