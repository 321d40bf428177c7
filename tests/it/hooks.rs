//! Hooks, with the real daemon and programs that take down how they are called.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::event::EventView;

use crate::support::PATIENCE;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::daemon::Event;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;

/// Takes down its variables, its standard input, and descriptor 3 if it has one.
const RECORD: &str = r#"
{
    echo "$TOKENKEEPER_ACCOUNT $TOKENKEEPER_EVENT $TOKENKEEPER_GENERATION $TOKENKEEPER_ATTEMPT $TOKENKEEPER_CODE" | sed 's/ *$//'
} >> "$(dirname "$0")/calls"
cat > "$(dirname "$0")/document"
if [ -e /proc/$$/fd/3 ]; then cat <&3 > "$(dirname "$0")/token"; fi
cat /proc/$$/environ /proc/$$/cmdline >> "$(dirname "$0")/seen"
"#;

#[test]
fn hooks_are_told_in_order_and_have_the_token_on_descriptor_three_alone() {
    let (idp, mut daemon) = (Idp::start(), Daemon::new(&Config::default()));
    let refresh_token = idp.put("mail", &json!({ "rotation": { "grace_secs": 30 } }));
    daemon.write("told.sh", RECORD);
    fs::create_dir(daemon.path("bearer")).unwrap();
    daemon.write("bearer/told.sh", RECORD);
    let everything = "[\"refresh_started\", \"token_changed\", \"refresh_failed\", \"recovered\"]";
    let hooks = table("hooks", "told", everything, &daemon.path("told.sh"), "")
        + &table(
            "accounts.mail.hooks",
            "bearer",
            TOKEN,
            &daemon.path("bearer/told.sh"),
            "token = true\n",
        );
    daemon.configure(&Config::default().account("mail", &idp.keys("mail")).table(&hooks));
    daemon.begin();
    daemon.import("mail", &refresh_token);
    receive(daemon.begin_refresh("mail")).unwrap();
    idp.next("mail", &json!([{ "fault": "oauth", "error": "temporarily_unavailable" }]));
    receive(daemon.begin_refresh("mail")).unwrap();
    daemon.order("mail", "retry");
    daemon.token_after("mail", 2);

    let bearer = daemon.path("bearer");
    until("the last call", || lines(daemon.home()).len() == 8 && lines(&bearer).len() == 3);

    assert_eq!(
        lines(daemon.home()),
        [
            "mail refresh_started 0 1",
            "mail token_changed 1 1",
            "mail refresh_started 1 1",
            "mail token_changed 2 1",
            "mail refresh_started 2 1",
            "mail refresh_failed 2 1 PROVIDER_UNAVAILABLE",
            "mail refresh_started 2 2",
            "mail token_changed 3 2",
        ]
    );
    assert_eq!(
        lines(&bearer),
        ["mail token_changed 1 1", "mail token_changed 2 1", "mail token_changed 3 2"]
    );
    let token = daemon.token("mail", "").unwrap().token;
    until("the token", || text(&bearer.join("token")) == token);
    assert!(!daemon.path("token").exists(), "a hook that asks for no token has none");
    let document: EventView = serde_json::from_str(&text(&bearer.join("document"))).unwrap();
    assert_eq!((document.event.as_str(), document.generation), ("token_changed", 3));

    for place in
        [daemon.path("seen"), bearer.join("seen"), daemon.path("log"), bearer.join("document")]
    {
        let seen = text(&place);
        assert!(!seen.is_empty() && !seen.contains(&token), "{}", place.display());
        assert!(!seen.contains(&refresh_token), "{}", place.display());
    }
}

#[test]
fn a_hook_that_fails_is_raised_everywhere_and_changes_nothing_for_the_account() {
    let (idp, mut daemon) = (Idp::start(), Daemon::new(&Config::default()));
    let refresh_token = idp.put("mail", &json!({}));
    daemon.write("told.sh", "echo 'no such unit' >&2; exit 3\n");
    let hooks = table("hooks", "restart", TOKEN, &daemon.path("told.sh"), "");
    daemon.configure(&Config::default().account("mail", &idp.keys("mail")).table(&hooks));
    daemon.begin();
    let mut events = daemon.events();
    daemon.import("mail", &refresh_token);

    let failed = loop {
        match events.next().expect("the failure is told") {
            Event::Of(event) if event.event == "hook_failed" => break event,
            Event::Of(_) | Event::Silence => {}
        }
    };

    let hook = failed.hook.unwrap();
    assert_eq!((hook.name.as_str(), hook.about.as_str()), ("restart", "token_changed"));
    assert_eq!(hook.error_code.as_str(), "HOOK_FAILED");
    assert_eq!(hook.message, "exit status: 3: no such unit");
    daemon.logs("hook restart failed: exit status: 3: no such unit");
    let sample = "tokenkeeper_hook_failures_total{account=\"mail\",hook=\"restart\"} 1";
    until("counted", || daemon.ask(Request::get("/metrics")).body.contains(sample));
    assert!(doctor(&daemon).contains("its hook restart failed about token_changed of "));
    let account = daemon.account("mail");
    assert_eq!((account.state.as_str(), account.refresh_error), ("fresh", None));

    // Until it works again.
    daemon.write("told.sh", "exit 0\n");
    receive(daemon.begin_refresh("mail")).unwrap();
    until("well again", || !doctor(&daemon).contains("its hook restart failed"));
}

#[test]
fn a_gate_that_refuses_lets_nothing_out_and_one_that_opens_does() {
    let (idp, mut daemon) = (Idp::start(), Daemon::new(&Config::default()));
    let refresh_token = idp.put("mail", &json!({ "rotation": { "grace_secs": 30 } }));
    daemon.write("gate.sh", "exit 0\n");
    let gate = table(
        "accounts.mail.hooks",
        "office-hours",
        "[\"refresh_started\"]",
        &daemon.path("gate.sh"),
        "timeout = \"1s\"\ngate = true\n",
    );
    daemon.configure(&Config::default().account("mail", &idp.keys("mail")).table(&gate));
    daemon.begin();
    daemon.import("mail", &refresh_token);
    let before = idp.totals("mail").requests;

    for (script, why) in [
        ("echo closed >&2; exit 1\n", "hook office-hours: exit status: 1: closed"),
        ("exec /bin/sleep 1000\n", "hook office-hours: it did not end within 1 s"),
    ] {
        daemon.write("gate.sh", script);
        daemon.order("mail", "retry");
        receive(daemon.begin_refresh("mail")).unwrap();
        let account = daemon.until("mail", why, |view| {
            let error = view.refresh_error.as_ref();
            view.state == "waiting" && error.is_some_and(|error| error.message.contains(why))
        });
        assert_eq!(account.refresh_error.unwrap().error_code.as_str(), "HOOK_FAILED");
        assert_eq!(daemon.token("mail", "").unwrap().generation, 1, "what is held is served");
    }
    assert_eq!(idp.totals("mail").requests, before, "nothing was sent");

    daemon.write("gate.sh", "exit 0\n");
    daemon.order("mail", "retry");
    assert_eq!(daemon.token_after("mail", 1).generation, 2);
    assert_eq!(idp.totals("mail").requests, before + 1);
}

#[test]
fn a_directory_holds_the_newest_event_of_each_kind() {
    let (idp, mut daemon) = (Idp::start(), Daemon::new(&Config::default()));
    let refresh_token = idp.put("mail", &json!({}));
    let events = daemon.path("events");
    let hook = format!(
        "[[hooks]]\nname = \"watched\"\non = {TOKEN}\ndirectory = \"{}\"\n",
        events.display()
    );
    daemon.configure(&Config::default().account("mail", &idp.keys("mail")).table(&hook));
    daemon.begin();
    daemon.import("mail", &refresh_token);
    receive(daemon.begin_refresh("mail")).unwrap();
    let file = events.join("mail.token_changed.json");
    until("the second event", || {
        serde_json::from_str::<Value>(&text(&file)).is_ok_and(|event| event["generation"] == 2)
    });
    assert_eq!(fs::read_dir(&events).unwrap().count(), 1);
}

#[test]
fn a_slow_hook_holds_nothing_up_and_ends_with_the_daemon() {
    let (idp, mut daemon) = (Idp::start(), Daemon::new(&Config::default()));
    let refresh_token = idp.put("mail", &json!({}));
    daemon.write("told.sh", "trap '' TERM; echo $$ > \"$(dirname \"$0\")/group\"; sleep 1000\n");
    let hooks = table("hooks", "slow", TOKEN, &daemon.path("told.sh"), "timeout = \"60s\"\n");
    daemon.configure(&Config::default().account("mail", &idp.keys("mail")).table(&hooks));
    daemon.begin();
    daemon.import("mail", &refresh_token);
    until("the call", || text(&daemon.path("group")).ends_with('\n'));

    receive(daemon.begin_refresh("mail")).unwrap();
    assert_eq!(daemon.token("mail", "").unwrap().generation, 2);
    daemon.stop();

    let group = text(&daemon.path("group"));
    until("gone", || !Path::new("/proc").join(group.trim()).exists());
    let log = daemon.log();
    assert_eq!(log.matches("the daemon stopped before it was done").count(), 2, "{log}");
}

const TOKEN: &str = "[\"token_changed\"]";

/// A table of a hook that runs a script.
fn table(table: &str, name: &str, on: &str, script: &Path, lines: &str) -> String {
    let script = script.display();
    format!(
        "[[{table}]]\nname = \"{name}\"\non = {on}\ncommand = [\"/bin/sh\", \"{script}\"]\n{lines}"
    )
}

/// What the script in a directory took down.
fn lines(directory: &Path) -> Vec<String> {
    text(&directory.join("calls")).lines().map(str::to_owned).collect()
}

/// What a file holds; nothing if it is not there yet.
fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn doctor(daemon: &Daemon) -> String {
    String::from_utf8(daemon.tokenctl(&["doctor"]).stdout).unwrap()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < patience, "never: {what}");
        thread::yield_now();
    }
}
