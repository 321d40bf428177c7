//! Access, request by request: who gets what through which socket.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::json;
use tokio::sync::watch;
use tracing::Dispatch;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt;

use super::world::KEEPER;
use super::world::OPERATOR;
use super::world::OWN;
use super::world::READER;
use super::world::REFRESHER;
use super::world::SCRAPER;
use super::world::STRANGER;
use super::world::World;
use super::world::alone;
use super::world::directory_of;
use super::world::fresh;
use super::world::say;
use super::world::seat;
use crate::access::Narrowing;
use crate::access::Right;
use crate::access::Rights;
use crate::access::Rule;
use crate::front::router::ROUTES;
use crate::front::router::Route;
use crate::name::AccountId;

#[test]
fn a_refusal_is_recorded_with_the_rule_that_it_would_have_needed() {
    let records = Records::default();
    let _recording = tracing::subscriber::set_default(Registry::default().with(records.clone()));
    let _interested = everybody_records();
    alone(async {
        let world = World::new(fresh(7, 600));
        for head in
            ["GET /v1/accounts/mail/token", "POST /v1/accounts/nowhere/refresh", "POST /v1/reload"]
        {
            world.ask(STRANGER, head).await;
        }
        let narrowing = Narrowing { accounts: Vec::new(), rights: Rights::NONE };
        say(world.connect_through(0, Some(narrowing)), "GET /v1/accounts/mail/token", "").await;
        // Within the minute none of these has a record of its own.
        world.ask(STRANGER, "GET /v1/accounts/mail/token").await;
        for made_up in ["nothing", "never", "nobody"] {
            world.ask(STRANGER, &format!("POST /v1/accounts/{made_up}/refresh")).await;
        }
        world.ask(STRANGER, "POST /v1/reload").await;
    });
    insta::assert_snapshot!(records.0.lock().unwrap().join("\n"), @r#"
    INFO message=refused `read`: it would need a rule like allow = [{ user = 1005, rights = ["read"] }] account=mail event="access_denied" peer_uid=1005 code="INSUFFICIENT_PERMISSIONS"
    INFO message=refused `refresh`: there is no such account account=nowhere event="access_denied" peer_uid=1005 code="INSUFFICIENT_PERMISSIONS"
    INFO message=refused to reload the configuration; it would need `[daemon] admin` to name the peer, on an ordinary socket event="access_denied" peer_uid=1005 code="INSUFFICIENT_PERMISSIONS"
    INFO message=refused `read`: it would need the `[[listen]]` of /run/test.sock to let it through, and a rule account=mail event="access_denied" peer_uid=0 code="INSUFFICIENT_PERMISSIONS"
    "#);
}

/// While this lives, what is recorded is asked of every subscriber of the process. With one alone,
/// `tracing` asks the thread that comes to a place first, and a test beside this one, which records
/// nothing, would answer for it that nobody wants to know.
fn everybody_records() -> Dispatch {
    let second = Dispatch::new(Registry::default());
    tracing::callsite::rebuild_interest_cache();
    second
}

/// What was recorded at `info` and above by this crate, field by field.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Records {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() <= tracing::Level::INFO {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

/// Who may make a request at all. Exhaustive, so that a new route needs its line here.
fn allowed(route: Route) -> &'static [u32] {
    match route {
        Route::Token => &[0, OWN, READER],
        Route::Refresh => &[0, OWN, REFRESHER],
        Route::Report => &[0, OWN, READER, REFRESHER],
        Route::Account => &[0, OWN, READER, KEEPER, OPERATOR],
        Route::Import
        | Route::Login
        | Route::Logout
        | Route::Sessions
        | Route::EndSessions
        | Route::Secret
        | Route::Release
        | Route::Pause
        | Route::Resume
        | Route::Retry
        | Route::Credential
        | Route::Access => &[0, OWN, KEEPER, OPERATOR],
        Route::Reload | Route::CheckConfig | Route::Purge | Route::Backup => &[0, OWN, OPERATOR],
        Route::Metrics => &[0, OWN, SCRAPER],
        Route::Accounts | Route::Events | Route::WhoAmI | Route::Status | Route::OpenApi => {
            &[0, OWN, READER, REFRESHER, KEEPER, OPERATOR, SCRAPER, STRANGER]
        }
    }
}

/// A query that is always wrong: who may ask hears 400, who may not 403, and nothing begins.
#[test]
fn access_is_decided_before_anything_else_on_every_path() {
    alone(async {
        let world = World::new(fresh(7, 600));
        for uid in [0, OWN, READER, REFRESHER, KEEPER, OPERATOR, SCRAPER, STRANGER] {
            for (method, pattern, route) in ROUTES {
                let path = pattern.replace("{account}", "mail");
                let head = format!("{method} {path}?wrong=1");
                let reply = world.ask_with(uid, &head, "{\"wrong\":1}").await;
                let may = allowed(*route).contains(&uid);
                assert_eq!(reply.status, if may { 400 } else { 403 }, "{uid} {head}");
            }
        }
        assert!(world.is_quiet());
    });
}

#[test]
fn unknown_and_forbidden_accounts_get_the_same_answer_except_for_administrators() {
    alone(async {
        let world = World::new(fresh(7, 600));
        for (method, pattern, route) in ROUTES.iter().filter(|(_, path, _)| path.contains('{')) {
            for uid in [READER, STRANGER, SCRAPER, KEEPER] {
                let mut answers = Vec::new();
                for account in ["ci", "nowhere"] {
                    let path = pattern.replace("{account}", account);
                    let reply = world.ask(uid, &format!("{method} {path}")).await;
                    let mut body = reply.json();
                    body["timestamp"] = json!(null);
                    let text = body.to_string().replace(account, "NAME");
                    answers.push((reply.status, text));
                }
                assert_eq!(answers[0], answers[1], "{uid} {method} {pattern}");
                assert_eq!(answers[0].0, 403);
            }
            // What is not configured may still be in the store, which is asked.
            let administrators: &[u32] =
                if *route == Route::Purge { &[] } else { &[0, OWN, OPERATOR] };
            for uid in administrators.iter().copied() {
                let path = pattern.replace("{account}", "nowhere");
                let reply = world.ask(uid, &format!("{method} {path}")).await;
                assert_eq!((reply.status, reply.code().as_str()), (404, "ACCOUNT_UNKNOWN"));
            }
        }
    });
}

#[test]
fn a_refusal_tells_the_peer_itself_as_seen() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let reply = world.ask(STRANGER, "GET /v1/accounts/mail/token").await;
        assert_eq!(
            reply.json()["message"],
            "account mail: no right `read` on it, or there is no such account; you are uid 1005, \
             gid 1005, groups 50, 60; an administrator gives it with allow = [{ user = 1005, rights = \
             [\"read\"] }] among the account's rules. To see your rights, type: tokenctl whoami"
        );
        assert_eq!(reply.json()["error"], "access");
    });
}

/// Whoever has some right learns from `whoami` that the account is there.
#[test]
fn who_has_another_right_is_not_told_that_there_is_perhaps_no_account() {
    alone(async {
        let world = World::new(fresh(7, 600));
        for (uid, head) in [
            (READER, "POST /v1/accounts/mail/refresh"),
            (REFRESHER, "GET /v1/accounts/mail"),
            (KEEPER, "GET /v1/accounts/mail/token"),
        ] {
            let message = world.ask(uid, head).await.json()["message"].to_string();
            assert!(message.contains("on it; you are uid"), "{message}");
            assert!(!message.contains("no such account"), "{message}");
        }
    });
}

#[test]
fn lists_hold_what_the_peer_may_see_and_nothing_else() {
    alone(async {
        let world = World::new(fresh(7, 600));
        #[rustfmt::skip]
        let cases = [
            (0,         vec![("ci", "read refresh report admin"), ("mail", "read refresh report admin")]),
            (READER,    vec![("mail", "read report")]),
            (KEEPER,    vec![("mail", "admin")]),
            (OPERATOR,  vec![("ci", "admin"), ("mail", "admin")]),
            (REFRESHER, vec![]),
            (STRANGER,  vec![]),
        ];
        for (uid, expected) in cases {
            let list = world.ask(uid, "GET /v1/accounts").await.json();
            let list = list["accounts"].as_array().unwrap().iter().map(|account| {
                let rights = account["rights"].as_array().unwrap().iter();
                let rights = rights.map(|right| right.as_str().unwrap()).collect::<Vec<_>>();
                (account["account"].as_str().unwrap().to_owned(), rights.join(" "))
            });
            let expected = expected.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(list.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{uid}");
        }
    });
}

#[test]
fn whoami_shows_the_peer_and_its_rights() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let seen = world.ask(REFRESHER, "GET /v1/whoami").await.json();
        assert_eq!(
            seen,
            json!({
                "uid": REFRESHER, "gid": REFRESHER, "groups": [50, 60], "pid": 42, "unit": null,
                "no_unit": "no rule names a unit, so that nobody looked",
                "transport": "unix:/run/test.sock", "daemon_admin": false,
                "rights": { "mail": ["refresh", "report"] },
            })
        );
        assert_eq!(world.ask(OPERATOR, "GET /v1/whoami").await.json()["daemon_admin"], true);
    });
}

#[test]
fn metrics_are_openmetrics_and_count_the_answers() {
    alone(async {
        let world = World::new(fresh(7, 600));
        world.ask(STRANGER, "GET /metrics").await;
        let reply = world.ask(SCRAPER, "GET /metrics").await;
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)));
        assert!(reply.body.ends_with("# EOF\n"), "{}", reply.body);
        for line in [
            r#"tokenkeeper_answers_total{status="403"} 1"#,
            r#"tokenkeeper_account_state{account="mail",state="fresh"} 1"#,
            r#"tokenkeeper_generation{account="mail"} 7"#,
        ] {
            assert!(reply.body.contains(line), "{line} is not in {}", reply.body);
        }
    });
}

#[test]
fn a_narrowing_socket_lets_through_its_accounts_and_rights_even_for_root() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let narrowing = || Narrowing {
            accounts: vec![AccountId::parse("mail").unwrap()],
            rights: Rights::NONE.with(Right::Read),
        };
        #[rustfmt::skip]
        let cases = [
            ("GET /v1/accounts/mail/token",       200),
            ("GET /v1/accounts/mail",             200),
            ("GET /v1/accounts/ci/token",         403),
            ("GET /v1/accounts/ci",               403),
            ("GET /v1/accounts/nowhere/token",         403),
            ("POST /v1/accounts/mail/refresh",    403),
            ("POST /v1/accounts/mail/report",     403),
            ("POST /v1/accounts/mail/pause",      403),
            ("GET /v1/accounts/mail/access?uid=0", 403),
            ("POST /v1/reload",                   403),
            ("POST /v1/config/check",             403),
            ("POST /v1/backup",                   403),
            ("GET /metrics",                      403),
            ("GET /v1/whoami",                    200),
        ];
        for uid in [0, OWN, OPERATOR] {
            for (head, status) in cases {
                let granted = status == 200 && (uid != OPERATOR || head.ends_with("whoami"));
                let stream = world.connect_through(uid, Some(narrowing()));
                let reply = say(stream, head, "").await;
                assert_eq!(reply.status, if granted { 200 } else { 403 }, "{uid} {head}");
            }
        }
        let stream = world.connect_through(0, Some(narrowing()));
        let list = say(stream, "GET /v1/accounts", "").await.json();
        assert_eq!(list["accounts"].as_array().unwrap().len(), 1);
        let stream = world.connect_through(0, Some(narrowing()));
        let seen = say(stream, "GET /v1/whoami", "").await.json();
        assert_eq!(
            (&seen["daemon_admin"], &seen["rights"]),
            (&json!(false), &json!({"mail": ["read"]}))
        );
        assert!(world.is_quiet());
    });
}

#[test]
fn a_refusal_tells_the_rule_or_the_socket_that_would_allow_it() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let narrowing = || Narrowing {
            accounts: vec![AccountId::parse("mail").unwrap()],
            rights: Rights::NONE.with(Right::Read),
        };
        let mut told = Vec::new();
        for head in ["POST /v1/reload", "POST /v1/backup", "GET /metrics"] {
            let reply = world.ask(STRANGER, head).await;
            told.push(format!("{head}: {}", reply.json()["message"].as_str().unwrap()));
        }
        let heads = [
            (0, "POST /v1/reload"),
            (STRANGER, "POST /v1/reload"),
            (0, "POST /v1/accounts/mail/refresh"),
            (0, "GET /v1/accounts/ci/token"),
            (0, "GET /v1/accounts/nowhere/token"),
            (STRANGER, "GET /v1/accounts/ci/token"),
        ];
        for (uid, head) in heads {
            let reply = say(world.connect_through(uid, Some(narrowing())), head, "").await;
            let message = reply.json()["message"].as_str().unwrap().to_owned();
            told.push(format!("narrowed, {uid}, {head}: {message}"));
        }
        insta::assert_snapshot!(told.join("\n"), @r#"
        POST /v1/reload: no right to reload the configuration; you are uid 1005, gid 1005, groups 50, 60; an administrator allows it with admin = [{ user = 1005 }] in [daemon]. To see your rights, type: tokenctl whoami
        POST /v1/backup: no right to take a backup; you are uid 1005, gid 1005, groups 50, 60; an administrator allows it with admin = [{ user = 1005 }] in [daemon]. To see your rights, type: tokenctl whoami
        GET /metrics: no right to read metrics; you are uid 1005, gid 1005, groups 50, 60; an administrator allows it with metrics = [{ user = 1005 }] in [daemon]. To see your rights, type: tokenctl whoami
        narrowed, 0, POST /v1/reload: no right to reload the configuration; you are uid 0, gid 0, groups 50, 60; no `[[listen]]` lets that through, for root neither: ask at the daemon's own socket. To see your rights, type: tokenctl whoami
        narrowed, 1005, POST /v1/reload: no right to reload the configuration; you are uid 1005, gid 1005, groups 50, 60; no `[[listen]]` lets that through, for root neither: ask at the daemon's own socket. To see your rights, type: tokenctl whoami
        narrowed, 0, POST /v1/accounts/mail/refresh: account mail: no right `refresh` on it; you are uid 0, gid 0, groups 50, 60; an administrator lets it through with `accounts` and `rights` of this socket's `[[listen]]`. To see your rights, type: tokenctl whoami
        narrowed, 0, GET /v1/accounts/ci/token: account ci: no right `read` on it, or there is no such account; you are uid 0, gid 0, groups 50, 60; an administrator lets it through with `accounts` and `rights` of this socket's `[[listen]]`. To see your rights, type: tokenctl whoami
        narrowed, 0, GET /v1/accounts/nowhere/token: account nowhere: no right `read` on it, or there is no such account; you are uid 0, gid 0, groups 50, 60; an administrator lets it through with `accounts` and `rights` of this socket's `[[listen]]`. To see your rights, type: tokenctl whoami
        narrowed, 1005, GET /v1/accounts/ci/token: account ci: no right `read` on it, or there is no such account; you are uid 1005, gid 1005, groups 50, 60; an administrator lets it through with `accounts` and `rights` of this socket's `[[listen]]`, and gives it with allow = [{ user = 1005, rights = ["read"] }] among the account's rules. To see your rights, type: tokenctl whoami
        "#);
    });
}

#[test]
fn a_verdict_is_explained_rule_by_rule() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let head = format!("GET /v1/accounts/mail/access?uid={READER}&gid=5&groups=6,7");
        let view = world.ask(KEEPER, &head).await.json();
        assert_eq!(view["rights"], json!(["read", "report"]));
        let rules = view["rules"].as_array().unwrap().iter().map(|rule| {
            let (words, why) = (rule["rule"].as_str().unwrap(), rule["because"].as_str().unwrap());
            format!("{} {words}: {why}", rule["matches"])
        });
        insta::assert_snapshot!(rules.collect::<Vec<_>>().join("\n"), @r"
        false root or the daemon's own user, 900: user 1000 is neither
        true user 1000: all that it says is true of the peer
        false user 1001: the peer's user is 1000
        false user 1002: the peer's user is 1000
        false user 1003: the peer's user is 1000
        ");
        for uid in [0, OPERATOR] {
            let view = world.ask(KEEPER, &format!("GET /v1/accounts/mail/access?uid={uid}")).await;
            assert!(view.json()["rights"].as_array().unwrap().contains(&json!("admin")), "{uid}");
        }
    });
}

#[test]
fn a_unit_that_is_asked_about_has_the_rights_that_its_rule_gives() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let (_mail, seen) = watch::channel(Arc::new(fresh(7, 600)));
        let unit = Some("a.service".into());
        let rule = Rule { user: None, group: None, unit, rights: Rights::DEFAULT };
        world.directory.send_replace(Arc::new(directory_of([seat("mail", vec![rule], seen)])));

        let none = json!([]);
        #[rustfmt::skip]
        let cases = [
            ("&unit=a.service", json!(["read", "report"]), "all that it says is true of the peer"),
            ("&unit=b.service", none.clone(),              "the peer's unit is b.service"),
            ("&unit=",          none.clone(),              "the peer is not said to belong to a unit"),
            ("",                none,                      "the peer is not said to belong to a unit"),
        ];
        for (unit, rights, because) in cases {
            let head = format!("GET /v1/accounts/mail/access?uid={STRANGER}{unit}");
            let view = world.ask(0, &head).await.json();
            assert_eq!(view["rights"], rights, "{unit}");
            assert_eq!(view["rules"][1]["because"], because, "{unit}");
        }
        let alone = "GET /v1/accounts/mail/access?unit=a.service";
        let view = world.ask(0, alone).await.json();
        assert_eq!(view["rights"], json!(["read", "report"]));
        assert_eq!(
            view["rules"][0]["matches"], false,
            "what root may do is not what its units may"
        );
        for wrong in ["?", "?unit=", "?unit=a.service&gid=7", "?unit=a.service&groups=7"] {
            let head = format!("GET /v1/accounts/mail/access{wrong}");
            assert_eq!(world.ask(0, &head).await.status, 400, "{wrong}");
        }
        let head = format!("GET /v1/accounts/mail/access?uid={STRANGER}&unit=a%40.service");
        let refused = world.ask(0, &head).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "BAD_REQUEST"));
    });
}
