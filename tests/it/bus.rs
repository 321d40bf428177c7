//! The daemon on a message bus of the test's own, asked as any program would ask it.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;
use tokenkeeper::protocol::account::ReleaseAnswer;
use zbus::Message;
use zbus::OwnedObjectPath;
use zbus::OwnedVariant;
use zbus::Variant;

use crate::daemon::forgiving;
use crate::support::PATIENCE;
use crate::support::bus::Bus;
use crate::support::bus::Client;
use crate::support::bus::MANAGER;
use crate::support::bus::NAME;
use crate::support::bus::Person;
use crate::support::bus::ROOT;
use crate::support::bus::no_options;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::idp::Idp;
use crate::support::process::Process;
use crate::support::process::said;

const MAIL: &str = "/org/tokenkeeper1/account/mail";
const ACCOUNT: &str = "org.tokenkeeper1.Account";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const LOG: &str = "/org/freedesktop/LogControl1";
const LOG_CONTROL: &str = "org.freedesktop.LogControl1";

/// What polkit is asked about.
const MANAGE: &str = "org.tokenkeeper1.manage-accounts";

/// Named by no rule.
const NOBODY: u32 = 65_534;

#[test]
fn a_token_is_had_over_the_bus_as_over_the_socket() {
    let Some(stage) = stage() else { return };
    let Stage { daemon, client, .. } = &stage;
    let expected = daemon.token("mail", "").unwrap();

    let reply = client.call("GetToken", &("mail", no_options())).unwrap();
    let body = reply.body();
    let (token, expires_at, details) =
        body.deserialize::<(String, u64, HashMap<String, OwnedVariant>)>().unwrap();
    assert_eq!(token, expected.token);
    assert!(expires_at > 0);
    assert_eq!(*details["kind"], Variant::from("access"));
    assert_eq!(*details["generation"], Variant::from(expected.generation));
    assert_eq!(*details["header_name"], Variant::from("authorization"));
    assert_eq!(*details["header_scheme"], Variant::from("Bearer"));

    let options = HashMap::from([("min_ttl", Variant::U32(1)), ("wait", Variant::I32(5))]);
    let reply = client.call("OpenToken", &("mail", options)).unwrap();
    assert!(!tells(&reply, &token), "the token is in the file and not in the message");
    let (file, _, _) =
        reply.body().deserialize::<(zbus::OwnedFd, u64, HashMap<String, OwnedVariant>)>().unwrap();
    let mut content = String::new();
    File::from(OwnedFd::from(file)).read_to_string(&mut content).unwrap();
    assert_eq!(content, token);
}

#[test]
fn a_refresh_is_ordered_told_and_seen_in_the_properties() {
    let Some(stage) = stage() else { return };
    let Stage { idp, daemon, client, refresh_token, .. } = &stage;
    let old = daemon.token("mail", "").unwrap();
    let mut signals = client.follow("type='signal',sender='org.tokenkeeper1'");

    let reply = client.call("Refresh", &("mail", no_options())).unwrap();
    let (refreshed, generation, expires_at) =
        reply.body().deserialize::<(bool, u64, u64)>().unwrap();
    assert!(refreshed && expires_at > 0);
    assert_eq!(generation, old.generation + 1);

    let mut heard = Vec::new();
    let told = client.until(&mut signals, |message| member(message) == "TokenChanged");
    let (account, told_generation, _) = told.body().deserialize::<(String, u64, u64)>().unwrap();
    assert_eq!((account.as_str(), told_generation), ("mail", generation));
    heard.push(told);
    let changed = client.until(&mut signals, |message| {
        member(message) == "PropertiesChanged" && changed(message).contains_key("Generation")
    });
    assert_eq!(changed.header().path().unwrap().as_str(), MAIL);
    heard.push(changed);

    let shown = client.properties(MAIL, ACCOUNT);
    assert_eq!(*shown["State"], Variant::from("fresh"));
    assert_eq!(*shown["Generation"], Variant::from(generation));
    let name = client.call_at(MAIL, PROPERTIES, "Get", &(ACCOUNT, "Name")).unwrap();
    assert_eq!(*name.body().deserialize::<OwnedVariant>().unwrap(), Variant::from("mail"));
    let objects = client.call_at(ROOT, OBJECT_MANAGER, "GetManagedObjects", &()).unwrap();

    // A report of the old token finds the newer one and refreshes nothing.
    let options = HashMap::from([("generation", Variant::U64(old.generation))]);
    let reply = client.call("Report", &("mail", options)).unwrap();
    let (refreshed, current, _) = reply.body().deserialize::<(bool, u64, u64)>().unwrap();
    assert!(refreshed);
    assert_eq!(current, generation);
    assert_eq!(idp.totals("mail").granted, 2);

    let new = daemon.token("mail", "").unwrap();
    let all = client.call_at(MAIL, PROPERTIES, "GetAll", &"").unwrap();
    for secret in [&old.token, &new.token, refresh_token] {
        assert!(heard.iter().all(|message| !tells(message, secret)));
        assert!(!tells(&objects, secret) && !tells(&all, secret));
    }
}

#[test]
fn the_end_of_a_login_is_a_property_that_changes_with_it() {
    let Some(stage) = stage() else { return };
    let Stage { idp, daemon, client, .. } = &stage;
    let ends_at = || client.properties(MAIL, ACCOUNT)["LoginEndsAt"].clone();
    assert_eq!(*ends_at(), Variant::U64(0), "the provider does not say when");
    let mut signals = client.follow("type='signal',sender='org.tokenkeeper1'");
    idp.patch("mail", &json!({ "refresh_expires_in": 86_400 }));
    client.call("Refresh", &("mail", no_options())).unwrap();
    let told = client.until(&mut signals, |message| {
        member(message) == "PropertiesChanged" && changed(message).contains_key("LoginEndsAt")
    });
    assert_eq!(changed(&told)["LoginEndsAt"], ends_at());
    let Variant::U64(ends_at) = *ends_at() else { panic!("a number of seconds") };
    let told = daemon.account("mail").login_ends_at.unwrap();
    let told = told.parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!(i64::try_from(ends_at).unwrap(), told);
    assert_eq!(*client.properties(MAIL, ACCOUNT)["LoginEndsSoon"], Variant::from(false));
}

#[test]
fn a_failure_is_a_signal_a_property_and_an_error_with_the_same_code() {
    let Some(stage) = stage() else { return };
    let Stage { idp, daemon, client, .. } = &stage;
    let mut signals = client.follow("type='signal',sender='org.tokenkeeper1'");
    idp.next("open", &json!([{ "fault": "status", "status": 503 }]));
    let (name, message) = client.call("Refresh", &("open", no_options())).unwrap_err();
    assert_eq!(name, "org.tokenkeeper1.Error.PROVIDER_UNAVAILABLE", "{message}");
    let told = client.until(&mut signals, |message| member(message) == "RefreshFailed");
    let (account, code, text, _) =
        told.body().deserialize::<(String, String, String, u64)>().unwrap();
    assert_eq!((account.as_str(), code.as_str()), ("open", "PROVIDER_UNAVAILABLE"));
    assert!(text.starts_with("account open: "), "{text}");
    client.until(&mut signals, |message| {
        member(message) == "PropertiesChanged"
            && changed(message).get("FailureCode").map(|code| &**code)
                == Some(&Variant::from("PROVIDER_UNAVAILABLE"))
    });
    let shown = client.properties("/org/tokenkeeper1/account/open", ACCOUNT);
    assert_eq!(*shown["FailureRemedy"], Variant::from("wait"));
    assert!(matches!(*shown["FailingSince"], Variant::U64(since) if since > 0));
    assert_eq!(daemon.order("open", "retry").status, 200);
    client.until(&mut signals, |message| member(message) == "Recovered");
}

#[test]
fn an_account_that_is_handed_out_is_shown_as_released_until_it_is_taken_back() {
    let Some(stage) = stage() else { return };
    let Stage { daemon, client, .. } = &stage;
    let mut signals = client.follow("type='signal',sender='org.tokenkeeper1'");
    let mut until_released = |wanted: bool| {
        let message = client.until(&mut signals, |message| {
            member(message) == "PropertiesChanged" && changed(message).contains_key("Released")
        });
        assert_eq!(*changed(&message)["Released"], Variant::from(wanted));
        assert_eq!(*client.properties(MAIL, ACCOUNT)["Paused"], Variant::from(wanted));
    };
    let released: ReleaseAnswer = daemon.order("mail", "release").success();
    until_released(true);
    let (name, text) = client.call("Refresh", &("mail", no_options())).unwrap_err();
    assert_eq!(name, "org.tokenkeeper1.Error.NOT_SUPPORTED");
    assert!(text.contains("somebody else owns it"), "{text}");
    daemon.import("mail", &released.refresh_token);
    until_released(false);
}

#[test]
fn an_account_is_paused_resumed_and_tried_again() {
    let Some(stage) = stage() else { return };
    let Stage { idp, client, .. } = &stage;
    let order = |verb: &str| -> bool {
        client.call(verb, &("mail", no_options())).unwrap().body().deserialize().unwrap()
    };
    let is_paused = || client.properties(MAIL, ACCOUNT)["Paused"].clone();
    assert_eq!((order("Pause"), order("Pause")), (true, false));
    assert_eq!(*is_paused(), Variant::from(true));
    assert_eq!((order("Resume"), order("Resume")), (true, false));
    assert_eq!(*is_paused(), Variant::from(false));
    assert!(!order("Retry"), "its last refresh did not fail");
    idp.next("mail", &json!([{ "fault": "status", "status": 503 }]));
    client.call("Refresh", &("mail", no_options())).unwrap_err();
    assert!(order("Retry"));
    let wrong = HashMap::from([("wait", Variant::U32(1))]);
    let (name, text) = client.call("Pause", &("mail", wrong)).unwrap_err();
    assert_eq!(name, "org.tokenkeeper1.Error.BAD_REQUEST");
    assert_eq!(text, "account mail: option `wait` is not known; the call takes none.");
}

#[test]
fn a_hook_that_fails_is_a_signal() {
    let Some(bus) = Bus::start() else { return };
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({}));
    let hook = "[[hooks]]\nname = \"told\"\non = [\"token_changed\"]\n\
                command = [\"/bin/sh\", \"-c\", \"echo no such unit >&2; exit 3\"]\n";
    let config = Config::default().account("mail", &idp.keys("mail")).table(hook);
    let mut daemon = Daemon::new(&config).with_bus(&bus.address());
    daemon.begin();
    let client = bus.client();
    client.until_served();
    let mut signals = client.follow("type='signal',sender='org.tokenkeeper1'");
    daemon.import("mail", &refresh_token);
    let told = client.until(&mut signals, |message| member(message) == "HookFailed");
    let expected = ["mail", "told", "token_changed", "exit status: 3: no such unit"];
    let body = told.body();
    let (account, hook, about, why) = body.deserialize::<(&str, &str, &str, &str)>().unwrap();
    assert_eq!([account, hook, about, why], expected);
}

#[test]
fn what_is_wrong_is_told_by_the_name_of_the_error() {
    let Some(stage) = stage() else { return };
    let Stage { client, .. } = &stage;
    let wrong = HashMap::from([("wiat", Variant::U32(1))]);
    let many = HashMap::from([("min_ttl", Variant::U64(86_400 * 30))]);
    #[rustfmt::skip]
    let cases = [
        (client.call("GetToken", &("absent", no_options())), "org.tokenkeeper1.Error.ACCOUNT_UNKNOWN"),
        (client.call("GetToken", &("No Name", no_options())), "org.tokenkeeper1.Error.BAD_REQUEST"),
        (client.call("GetToken", &("mail", wrong)), "org.tokenkeeper1.Error.BAD_REQUEST"),
        (client.call("GetToken", &("mail", many)), "org.tokenkeeper1.Error.LIFETIME_TOO_SHORT"),
        (client.call("GetToken", &("vacant", no_options())), "org.tokenkeeper1.Error.TOKEN_MISSING"),
        (client.call("Report", &("mail", no_options())), "org.tokenkeeper1.Error.BAD_REQUEST"),
    ];
    for (number, (got, expected)) in cases.into_iter().enumerate() {
        assert_eq!(got.unwrap_err().0, expected, "case {number}");
    }
    #[rustfmt::skip]
    let cases = [
        (client.call("GetToken", &"mail"), "InvalidArgs"),
        (client.call("Bark", &()), "UnknownMethod"),
        (client.call_at("/org/tokenkeeper1/dog", MANAGER, "WhoAmI", &()), "UnknownObject"),
        (client.call_at(MAIL, MANAGER, "WhoAmI", &()), "UnknownInterface"),
        (client.call_at(MAIL, PROPERTIES, "Get", &(ACCOUNT, "Token")), "UnknownProperty"),
        (client.call_at(MAIL, PROPERTIES, "Set", &(ACCOUNT, "Name", Variant::from("x"))), "PropertyReadOnly"),
    ];
    for (number, (got, expected)) in cases.into_iter().enumerate() {
        let (name, text) = got.unwrap_err();
        assert!((name.clone() + &text).contains(expected), "case {number}: {name} {text}");
    }
}

#[test]
fn a_reload_over_the_bus_adds_and_removes_objects() {
    let Some(stage) = stage() else { return };
    let Stage { idp, daemon, client, .. } = &stage;
    let mut signals = client.follow("type='signal',sender='org.tokenkeeper1'");
    let other = |name: &str| Config::default().account(name, &idp.keys("mail"));
    daemon.configure(&other("mail").account("a-b", &idp.keys("mail")));
    let reply = client.call("Reload", &()).unwrap();
    let outcome = reply.body().deserialize::<HashMap<String, OwnedVariant>>().unwrap();
    assert_eq!(*outcome["added"], Variant::from(vec!["a-b"]));
    assert_eq!(*outcome["removed"], Variant::from(vec!["open", "vacant"]));
    let removed = client.until(&mut signals, |message| member(message) == "InterfacesRemoved");
    let (path, _) = removed.body().deserialize::<(OwnedObjectPath, Vec<String>)>().unwrap();
    assert_eq!(path.as_str(), "/org/tokenkeeper1/account/open");
    client.until(&mut signals, |message| {
        member(message) == "InterfacesAdded"
            && message.data().bytes().windows(4).any(|bytes| bytes == b"_2db")
    });
    let reply = client.call("ListAccounts", &()).unwrap();
    let list = reply.body().deserialize::<Vec<(String, OwnedObjectPath, String)>>().unwrap();
    assert_eq!(list[0].1.as_str(), "/org/tokenkeeper1/account/a_2db");
    assert_eq!(*client.properties(list[0].1.as_str(), ACCOUNT)["Name"], Variant::from("a-b"));

    daemon.configure(&Config::default().table("[accounts.mail]\nnonsense = 1"));
    let (name, _) = client.call("Reload", &()).unwrap_err();
    assert_eq!(name, "org.tokenkeeper1.Error.CONFIG_INVALID");
}

#[test]
fn the_level_of_the_log_is_had_and_set() {
    let Some(stage) = stage() else { return };
    let Stage { daemon, client, .. } = &stage;
    let level = |client: &Client| client.properties(LOG, LOG_CONTROL)["LogLevel"].clone();
    assert_eq!(*level(client), Variant::from("info"));
    let set = |word: &str| {
        let value = Variant::from(word);
        client.call_at(LOG, PROPERTIES, "Set", &(LOG_CONTROL, "LogLevel", value))
    };
    set("err").unwrap();
    assert_eq!(*level(client), Variant::from("err"));
    let before = daemon.log();
    assert_eq!(daemon.order("mail", "pause").status, 200);
    assert_eq!(daemon.log(), before, "what is less severe is not logged");
    set("loud").unwrap_err();
    set("debug").unwrap();
}

#[test]
fn a_stranger_is_refused_as_on_the_socket_and_sees_only_what_the_rules_show() {
    if !rustix::process::geteuid().is_root() {
        crate::support::skipped("only root can run programs of other users");
        return;
    }
    let Some(stage) = stage() else { return };
    let Stage { bus, daemon, .. } = &stage;
    let call = |arguments: &[&str]| bus.busctl(NOBODY, arguments);
    let refused = |name: &str| {
        let output = call(&["call", NAME, ROOT, MANAGER, "GetToken", "sa{sv}", name, "0"])?;
        assert!(!output.status.success());
        Some(said(&output).replace(name, "NAME"))
    };
    let (Some(forbidden), Some(absent)) = (refused("mail"), refused("absent")) else { return };
    assert_eq!(forbidden, absent, "what is forbidden looks like what is not there");
    assert!(
        forbidden.contains("no right `read` on it, or there is no such account"),
        "{forbidden}"
    );

    let printed = |arguments: &[&str]| said(&call(arguments).unwrap());
    let list = printed(&["call", NAME, ROOT, MANAGER, "ListAccounts"]);
    assert_eq!(list, "a(sos) 1 \"open\" \"/org/tokenkeeper1/account/open\" \"fresh\"\n");
    let objects = printed(&["call", NAME, ROOT, OBJECT_MANAGER, "GetManagedObjects"]);
    assert!(objects.starts_with("a{oa{sa{sv}}} 1 ") && !objects.contains("mail"), "{objects}");
    let who = printed(&["call", NAME, ROOT, MANAGER, "WhoAmI"]);
    assert!(who.contains("\"uid\" u 65534") && who.contains("\"daemon_admin\" b false"), "{who}");
    let accounts = "/org/tokenkeeper1/account";
    let tree =
        printed(&["call", NAME, accounts, "org.freedesktop.DBus.Introspectable", "Introspect"]);
    assert!(!tree.contains("mail"), "{tree}");
    for refused in [
        &["get-property", NAME, MAIL, ACCOUNT, "State"][..],
        &["call", NAME, ROOT, MANAGER, "Reload"],
        &["call", NAME, ROOT, MANAGER, "Pause", "sa{sv}", "open", "0"],
        &["set-property", NAME, LOG, LOG_CONTROL, "LogLevel", "s", "debug"],
        &["call", NAME, ROOT, MANAGER, "Refresh", "sa{sv}", "open", "0"],
    ] {
        let output = call(refused).unwrap();
        assert!(
            !output.status.success() && said(&output).contains("no right"),
            "{refused:?}: {}",
            said(&output)
        );
    }
    let token = daemon.token("open", "").unwrap().token;
    let given = printed(&["call", NAME, ROOT, MANAGER, "GetToken", "sa{sv}", "open", "0"]);
    assert!(given.contains(&token), "{given}");
    assert!(daemon.log().contains("it would need a rule like"), "{}", daemon.log());
}

#[test]
fn polkit_lets_a_stranger_change_accounts_when_a_person_may_be_asked_and_read_none() {
    if !rustix::process::geteuid().is_root() {
        crate::support::skipped("only root can run programs of other users");
        return;
    }
    let Some(stage) = stage() else { return };
    let Stage { bus, daemon, .. } = &stage;
    let call = |allow: &str, verb: &str, account: &str| {
        let allow = format!("--allow-interactive-authorization={allow}");
        let call = [&allow, "call", NAME, ROOT, MANAGER, verb, "sa{sv}", account, "0"];
        bus.busctl(NOBODY, &call).map(|output| said(&output).replace(account, "NAME"))
    };
    let Some(alone) = call("yes", "Pause", "mail") else { return };
    assert!(alone.contains("no right `admin` on it"), "without polkit the rules decide: {alone}");

    let questions = bus.polkit(Person::Agrees).questions;
    for account in ["mail", "absent"] {
        let told = call("no", "Pause", account).unwrap();
        assert!(told.contains("a person has to allow it"), "{account}: {told}");
        let question = questions.try_recv().unwrap();
        assert_eq!((question.action.as_str(), question.flags), (MANAGE, 0));
        assert!(question.sender.starts_with(':'), "{}", question.sender);
    }
    assert!(!daemon.account("mail").paused);

    assert_eq!(call("yes", "Pause", "mail").unwrap(), "b true\n");
    assert_eq!(questions.try_recv().unwrap().flags, 1);
    assert!(daemon.account("mail").paused);
    assert!(daemon.log().contains("polkit lets the peer change it"), "{}", daemon.log());
    let absent = call("yes", "Pause", "absent").unwrap();
    assert!(absent.contains("there is no such account"), "{absent}");
    questions.try_recv().unwrap();

    for (verb, account) in [("GetToken", "mail"), ("Refresh", "mail"), ("Report", "mail")] {
        let told = call("yes", verb, account).unwrap();
        assert!(told.contains("no right"), "{verb}: {told}");
    }
    assert!(questions.try_recv().is_err(), "nobody is asked about reading");
}

#[test]
fn a_person_who_is_asked_is_left_alone_when_the_caller_has_left_the_bus() {
    if !rustix::process::geteuid().is_root() {
        crate::support::skipped("only root can run programs of other users");
        return;
    }
    let Some(stage) = stage() else { return };
    let Stage { bus, daemon, .. } = &stage;
    let polkit = bus.polkit(Person::Thinks);
    let allow = "--allow-interactive-authorization=yes";
    let call = [allow, "call", NAME, ROOT, MANAGER, "Pause", "sa{sv}", "mail", "0"];
    let Some(mut command) = bus.busctl_command(NOBODY, &call) else { return };
    let mut asked = HashSet::new();
    for _ in 0..2 {
        let mut caller = Process::start(&mut command);
        let question = polkit.questions.recv_timeout(PATIENCE).unwrap();
        assert!(polkit.withdrawn.try_recv().is_err(), "its caller waits");
        caller.signal(Signal::KILL);
        caller.ended();
        assert_eq!(polkit.withdrawn.recv_timeout(PATIENCE).unwrap(), question.id);
        assert!(asked.insert(question.id), "no two questions are called the same");
    }
    assert!(!daemon.account("mail").paused);
}

#[test]
fn a_bus_that_dies_stops_nothing_and_has_the_name_again_when_it_is_back() {
    let Some(mut stage) = stage() else { return };
    let Stage { bus, daemon, .. } = &mut stage;
    let token = daemon.token("mail", "").unwrap().token;
    for _ in 0..2 {
        bus.kill();
        assert_eq!(daemon.token("mail", "").unwrap().token, token);
        bus.begin();
        let client = bus.client();
        client.until_served();
        let reply = client.call("GetToken", &("mail", no_options())).unwrap();
        assert!(tells(&reply, &token));
    }
    assert_eq!(daemon.account("mail").state, "fresh");
}

#[test]
fn a_bus_that_comes_late_or_refuses_the_name_delays_nothing() {
    let Some(mut bus) = Bus::start() else { return };
    bus.kill();
    let everything = "<allow send_destination=\"*\"/><allow receive_sender=\"*\"/>";
    bus.allow(&format!("{everything}<deny own=\"*\"/>"));
    let mut daemon = Daemon::new(&Config::default()).with_bus(&bus.address());
    daemon.begin();
    bus.begin();
    let client = bus.client();
    client.until_connected(daemon.id());
    assert!(!client.is_served());
    until_doctor(&daemon, |page| page.contains("its policy does not give the daemon the name"));
    bus.kill();
    bus.allow(&format!("{everything}<allow own=\"*\"/>"));
    bus.begin();
    bus.client().until_served();
    daemon.stop();
}

#[test]
fn doctor_says_what_keeps_the_daemon_off_the_bus_until_it_is_on_it() {
    let Some(mut bus) = Bus::start() else { return };
    let first = bus.client();
    first.take_name(NAME);
    let mut daemon = Daemon::new(&Config::default()).with_bus(&bus.address());
    daemon.begin();
    until_doctor(&daemon, |page| page.contains("another program has the name org.tokenkeeper1"));
    let client = bus.client();
    drop(first);
    client.until_served();
    until_doctor(&daemon, |page| !page.contains("bus"));
    bus.kill();
    until_doctor(&daemon, |page| page.contains("there is no connection to it"));
    drop(bus);
    until_doctor(&daemon, |page| page.contains("there is no bus"));
    let log = daemon.log();
    assert!(log.contains("not served on the bus: another program has the name"), "{log}");
}

/// Waits until `doctor` says what is wanted.
fn until_doctor(daemon: &Daemon, wanted: impl Fn(&str) -> bool) {
    let begin = Instant::now();
    loop {
        let page = String::from_utf8(daemon.tokenctl(&["doctor"]).stdout).unwrap();
        if wanted(&page) {
            return;
        }
        // Asking takes its time.
        assert!(begin.elapsed() < PATIENCE, "{page}");
    }
}

/// A bus, a daemon on it, and the account `mail` with its first token.
struct Stage {
    bus: Bus,
    idp: Idp,
    daemon: Daemon,
    client: Client,
    refresh_token: String,
}

fn stage() -> Option<Stage> {
    let bus = Bus::start()?;
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &forgiving());
    let open = idp.put("open", &json!({}));
    let config = Config::default()
        .account("mail", &(idp.keys("mail") + "rotation = \"30s\"\n"))
        .account(
            "open",
            &(idp.keys("open") + &format!("rotation = \"none\"\nallow = [\"{NOBODY}\"]\n")),
        )
        .account("vacant", &idp.keys("vacant"));
    let mut daemon = Daemon::new(&config).with_bus(&bus.address());
    daemon.begin();
    daemon.import("mail", &refresh_token);
    daemon.import("open", &open);
    let client = bus.client();
    client.until_served();
    Some(Stage { bus, idp, daemon, client, refresh_token })
}

fn member(message: &Message) -> String {
    message.header().member().map(ToString::to_string).unwrap_or_default()
}

/// The properties that a `PropertiesChanged` tells.
fn changed(message: &Message) -> HashMap<String, OwnedVariant> {
    let body = message.body();
    let (_, changed, _) =
        body.deserialize::<(String, HashMap<String, OwnedVariant>, Vec<String>)>().unwrap();
    changed
}

/// Whether a message has that text anywhere in it.
fn tells(message: &Message, text: &str) -> bool {
    let bytes = message.data().bytes();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
