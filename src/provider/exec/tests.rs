//! Configuration, question and answer, without a program.

use toml::de::DeTable;
use zeroize::Zeroizing;

use super::*;
use crate::error::code::Code;
use crate::plan::Entry;
use crate::plan::Rotation;
use crate::provider::login::Heard;
use crate::provider::login::Turn;
use crate::section::Mode;
use crate::section::Scope;
use crate::section::SecretRef;
use crate::section::complaint::Report;
use crate::section::complaint::Source;
use crate::time::Timestamp;

const COMMAND: &str = "command = ['/usr/lib/boiler', '-v']\n";

#[test]
fn a_question_carries_all_that_the_program_may_need() {
    let exec = good(&format!(
        "{COMMAND}username = 'pat'\ncontext = {{ site = 'a \"b\"', area = 'x' }}\n\
         secrets = {{ password = {{}}, pin = {{ file = '/p' }} }}\nlogin = true\n"
    ));
    let asked = |exchange: &mut dyn Exchange| call(exchange).question.expose().to_owned();
    insta::assert_snapshot!(asked(&mut *exec.exchange(spend(Some("r1")))), @r#"{"version":1,"action":"refresh","account":"","username":"pat","context":{"area":"x","site":"a \"b\""},"secrets":{"password":"hush"},"refresh_token":"r1"}"#);
    insta::assert_snapshot!(asked(&mut *exec.sign_in(spend(Some("r1"))).unwrap()), @r#"{"version":1,"action":"login","account":"","username":"pat","context":{"area":"x","site":"a \"b\""},"secrets":{"password":"hush"}}"#);
    let program = good(&format!("{COMMAND}grant = 'client_credentials'"));
    insta::assert_snapshot!(asked(&mut *program.exchange(spend(None))), @r#"{"version":1,"action":"refresh","account":"","context":{},"secrets":{"password":"hush"}}"#);
}

#[test]
fn a_call_spends_if_it_carries_the_refresh_token_and_hides_what_is_secret() {
    let exec = good(&format!("{COMMAND}login = true\ntimeout = '5s'\n"));
    let refresh = call(&mut *exec.exchange(spend(Some("r1"))));
    let hidden = refresh.hidden.iter().map(Secret::expose).collect::<Vec<_>>();
    assert_eq!((refresh.spends, hidden), (true, vec!["hush", "r1"]));
    assert_eq!(refresh.limit, Some(Duration::from_secs(5)));
    assert_eq!(refresh.callee.path(), "/usr/lib/boiler");
    assert!(!call(&mut *exec.sign_in(spend(Some("r1"))).unwrap()).spends);
}

#[test]
fn an_answer_means_what_the_table_says() {
    let whole = |text: &str| Called::Answered(Zeroizing::new(text.as_bytes().to_vec()));
    let broken = |text: &str| Called::Broken {
        output: Zeroizing::new(text.as_bytes().to_vec()),
        why: "/p: exit status: 1".into(),
    };
    #[rustfmt::skip]
    let cases = [
        // name                              what came of it                                                           refresh
        ("tokens",                           whole(r#"{"access_token":"a","expires_in":60,"refresh_token":"r2"}"#),    "granted a for 60s, r2"),
        ("a subject of its own",             whole(r#"{"access_token":"a","expires_in":60,"subject":"pat"}"#),         "granted a for 60s, of pat"),
        ("no lifetime",                      whole(r#"{"access_token":"a"}"#),                                         "granted a for 600s"),
        ("no access token",                  whole(r#"{"refresh_token":"r2"}"#),                                       "salvaged r2: PROVIDER_MALFORMED Ambiguous unusable answer of the provider: no access token in it"),
        ("a refusal",                        whole(r#"{"error":"invalid_grant","error_description":"revoked"}"#),      "GRANT_REJECTED Suspect refresh token refused: invalid_grant (revoked)"),
        ("a login is needed",                whole(r#"{"error":"login_required"}"#),                                   "NEEDS_LOGIN Definite a new login is needed: login_required"),
        ("the client is refused",            whole(r#"{"error":"invalid_client"}"#),                                   "CLIENT_REJECTED Config client refused: invalid_client"),
        ("it passes",                        whole(r#"{"error":"temporarily_unavailable","retry_after":7}"#),          "PROVIDER_UNAVAILABLE Transient provider unavailable: temporarily_unavailable, after 7s"),
        ("too often",                        whole(r#"{"error":"rate_limited","retry_after":"1e99"}"#),                "PROVIDER_UNAVAILABLE Throttled provider asks for patience: rate_limited, after 31622400s"),
        ("a word of its own",                whole(r#"{"error":"boom","retry_after":-1}"#),                            "PROVIDER_UNAVAILABLE Transient provider unavailable: boom"),
        ("nothing",                          whole(""),                                                                "PROVIDER_MALFORMED Ambiguous unusable answer of the provider: it is not one JSON object"),
        ("a page",                           whole("<html>"),                                                          "PROVIDER_MALFORMED Ambiguous unusable answer of the provider: it is not one JSON object"),
        ("a list",                           whole("[]"),                                                              "PROVIDER_MALFORMED Ambiguous unusable answer of the provider: it is not one JSON object"),
        ("a form",                           whole("access_token=a"),                                                  "PROVIDER_MALFORMED Ambiguous unusable answer of the provider: it is not one JSON object"),
        ("tokens and more",                  whole(r#"{"refresh_token":"r2"} done"#),                                  "salvaged r2: PROVIDER_MALFORMED Ambiguous unusable answer of the provider: it is not one JSON object"),
        ("a program that failed",            broken(""),                                                               "PROVIDER_UNREACHABLE Ambiguous the provider's reply was lost: /p: exit status: 1"),
        ("one that failed with tokens",      broken(r#"{"refresh_token":"r2","#),                                      "salvaged r2: PROVIDER_UNREACHABLE Ambiguous the provider's reply was lost: /p: exit status: 1"),
        ("one that is not there",            Called::Missing("/p: no".into()),                                         "CONFIG_INVALID Config a program that the configuration names cannot be run: /p: no"),
        ("one that did not start",           Called::NotStarted("/p: no".into()),                                      "PROVIDER_UNREACHABLE NotSent provider unreachable: /p: no"),
    ];
    let exec = good(COMMAND);
    for (name, called, expected) in cases {
        let mut exchange = exec.exchange(spend(Some("r1")));
        call(&mut *exchange);
        assert_eq!(told(exchange.called(called)), expected, "{name}");
    }
}

#[test]
fn a_login_that_is_refused_is_a_rejected_login_and_a_lost_one_has_spent_nothing() {
    let exec = good(&format!("{COMMAND}login = true"));
    let said = |called| {
        let mut exchange = exec.sign_in(spend(None)).unwrap();
        call(&mut *exchange);
        told(exchange.called(called))
    };
    let refused = Zeroizing::new(br#"{"error":"invalid_grant"}"#.to_vec());
    assert_eq!(
        said(Called::Answered(refused)),
        "LOGIN_REJECTED Definite login refused: invalid_grant"
    );
    let lost = Called::Broken { output: Zeroizing::default(), why: "/p: late".into() };
    assert_eq!(said(lost), "PROVIDER_UNREACHABLE NotSent provider unreachable: /p: late");
}

#[test]
fn a_login_asks_the_program_with_the_secrets_and_wants_a_refresh_token() {
    let exec = good(&format!("{COMMAND}secrets = {{ password = {{}} }}\nlogin = true"));
    let end = |text: &str| {
        let mut login = exec.login(start(&["password"])).unwrap();
        let Turn::Call(call) = login.next(Heard::Begun) else { panic!("a call") };
        assert!(call.question.expose().contains(r#""action":"login""#));
        let said = Called::Answered(Zeroizing::new(text.as_bytes().to_vec()));
        let Turn::Done(end) = login.next(Heard::Called(said)) else { panic!("the end") };
        end.map(|grant| grant.refresh_token.unwrap().expose().to_owned())
            .map_err(|error| error.code())
    };
    #[rustfmt::skip]
    let cases = [
        (r#"{"access_token":"a","expires_in":60,"refresh_token":"r1"}"#, Ok("r1".to_owned())),
        (r#"{"access_token":"a","expires_in":60}"#,                      Err(Code::ProviderMalformed)),
        (r#"{"error":"invalid_grant"}"#,                                 Err(Code::LoginRejected)),
    ];
    for (text, expected) in cases {
        assert_eq!(end(text), expected, "{text}");
    }

    let mut without = exec.login(start(&[])).unwrap();
    let Turn::Done(Err(error)) = without.next(Heard::Begun) else { panic!("the end") };
    assert_eq!(error.code(), Code::SecretUnavailable);
    assert!(good(COMMAND).login(start(&[])).is_none());
}

#[test]
fn a_program_that_does_not_log_in_is_fed_by_import() {
    assert_eq!(good(COMMAND).profile.entry, Entry::Import);
    assert_eq!(good(&format!("{COMMAND}login = true")).profile.entry, Entry::Login);
}

#[test]
fn an_exchange_that_is_driven_out_of_order_asks_nobody() {
    let exec = good(COMMAND);
    assert!(told(exec.exchange(spend(None)).next(None)).contains("out of order"));
    let mut twice = exec.exchange(spend(Some("r1")));
    call(&mut *twice);
    assert!(told(twice.next(None)).contains("out of order"));
    let mut early = exec.exchange(spend(Some("r1")));
    assert!(told(early.called(Called::NotStarted(String::new()))).contains("out of order"));
}

#[test]
fn an_account_means_what_its_table_says() {
    let exec = good("socket = '/run/boiler.sock'\nsecrets = { pin = { file = '/p' } }");
    assert_eq!(exec.callee, Callee::Socket("/run/boiler.sock".into()));
    assert_eq!(exec.profile.secrets, [("pin", SecretRef::File("/p".into()))]);
    assert_eq!((exec.profile.has_refresh_token, exec.profile.sign_in), (true, None));
    let stored = good(&format!("{COMMAND}secrets = {{ api_key = {{}} }}\nlogin = true"));
    assert_eq!(stored.profile.secrets, [("api_key", SecretRef::Slot)]);
    assert_eq!(stored.profile.sign_in, Some(Vec::new()));
    let program = good(&format!("{COMMAND}grant = 'client_credentials'"));
    assert!(!program.profile.has_refresh_token);
    assert_eq!(program.profile.rotation, Rotation::Never);
    assert!(program.sign_in(spend(None)).is_none());
}

#[test]
fn what_is_wrong_is_said() {
    #[rustfmt::skip]
    let cases = [
        ("",                                                "c:1:1: command: missing; expected command = [\"/PROGRAM\", …] or socket = \"/PATH\""),
        ("command = ['/a']\nsocket = '/b'",                 "c:2:1: socket: command and socket exclude each other; keep one of them"),
        ("command = []",                                    "c:1:11: command: expected a list of strings, the first an absolute path, found an empty list"),
        ("command = ['a']",                                 "c:1:12: command[0]: expected an absolute path"),
        ("command = '/a'",                                  "c:1:11: command: expected a list of strings, the first an absolute path, found a string"),
        ("socket = 'a'",                                    "c:1:10: socket: expected an absolute path"),
        ("socket = '/a'\ntimeout = '2m'",                   "c:2:11: timeout: expected a duration from \"1s\" to \"60s\""),
        ("socket = '/a'\nsecrets = { word = {} }",          "c:2:13: secrets.word: no name of a secret; known are api_key, certificate, client_secret, passphrase, password, pin, private_key, secret, session, totp_secret"),
        ("socket = '/a'\nsecrets = { pin = 'hush' }",       "c:2:19: secrets.pin: a secret does not belong in the configuration; type: tokenctl secret set secrets.pin"),
        ("socket = '/a'\ncontext = { pin = '1234' }",       "c:2:13: context.pin: a secret does not belong in the configuration; secrets = { … } says where one comes from"),
        ("socket = '/a'\ncontext = { a = 1 }",              "c:2:17: context.a: expected a string, found a number"),
        ("socket = '/a'\ngrant = 'client_credentials'\nlogin = true", "c:3:1: login: the grant \"client_credentials\" needs no login; leave one of them out"),
    ];
    for (text, expected) in cases {
        assert_eq!(read_text(text).err().as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn another_program_or_another_context_is_another_lineage() {
    let base = good(COMMAND).profile.lineage;
    #[rustfmt::skip]
    let cases = [
        ("limits and secrets", true,  format!("{COMMAND}timeout = '5s'\nsecrets = {{ pin = {{}} }}\nlogin = true")),
        ("an argument",        false, "command = ['/usr/lib/boiler', '-q']".into()),
        ("a socket",           false, "socket = '/usr/lib/boiler'".into()),
        ("a user",             false, format!("{COMMAND}username = 'pat'")),
        ("the context",        false, format!("{COMMAND}context = {{ site = 'a' }}")),
    ];
    for (name, same, text) in cases {
        assert_eq!(good(&text).profile.lineage == base, same, "{name}");
    }
}

fn call(exchange: &mut dyn Exchange) -> Call {
    match exchange.next(None) {
        Step::Call(call) => call,
        Step::Ask(_) => panic!("no provider has a part in it"),
        step @ Step::Done(_) => panic!("{}", told(step)),
    }
}

/// How an exchange ended, in one line.
fn told(step: Step) -> String {
    let failure = |error: &RefreshError| {
        let after = error.retry_after().map_or_else(String::new, |it| format!(", after {it:?}"));
        format!("{} {:?} {error}{after}", error.code().as_str(), error.class())
    };
    match step {
        Step::Done(Outcome::Granted(grant)) => {
            let refresh = grant.refresh_token.as_ref();
            let refresh = refresh.map_or_else(String::new, |it| format!(", {}", it.expose()));
            let subject = grant.subject.map_or_else(String::new, |it| format!(", of {it}"));
            let access = grant.tokens.access.expose();
            format!("granted {access} for {:?}{refresh}{subject}", grant.lifetime)
        }
        Step::Done(Outcome::Salvaged(token, error)) => {
            format!("salvaged {}: {}", token.expose(), failure(&error))
        }
        Step::Done(Outcome::Failed(error)) => failure(&error),
        Step::Ask(_) | Step::Call(_) => panic!("it is not over"),
    }
}

fn start(slots: &[&'static str]) -> LoginStart {
    LoginStart {
        secrets: slots.iter().map(|slot| (*slot, Secret::new("hush"))).collect(),
        redirect: None,
        learned: None,
        nonce: Secret::new("n"),
        now: Timestamp::default(),
    }
}

fn spend(refresh_token: Option<&str>) -> Spend {
    Spend {
        refresh_token: refresh_token.map(Secret::new),
        secrets: vec![("password", Secret::new("hush"))],
        learned: None,
        held: None,
        now: Timestamp::default(),
    }
}

fn good(text: &str) -> Exec {
    read_text(text).unwrap()
}

fn read_text(text: &str) -> Result<Exec, String> {
    let source = Source::new(0, "c", text);
    let report = Report::default();
    let table = DeTable::parse(text).unwrap();
    let scope = Scope { source: &source, report: &report, mode: Mode::System };
    let mut section = Section::of_file(scope, &table);
    let account = settings::read(&mut section);
    section.finish();
    match report.into_parts().0.first() {
        None => Ok(account.expect("no error, no account")),
        Some(complaint) => Err(complaint.to_string()),
    }
}
