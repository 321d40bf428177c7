//! What the service manager is given for units, by the daemon of a user, whose processes need no
//! other proof than their user, and by that of the host, which asks whose they are.

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;
use tokenkeeper::protocol::account::TokenAnswer;

use crate::support::bus::Bus;
use crate::support::bus::Says;
use crate::support::config::Config;
use crate::support::credential::Answer;
use crate::support::credential::ask;
use crate::support::credential::ask_wrongly;
use crate::support::credential::begin;
use crate::support::credential::name;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::idp::Idp;
use crate::support::skipped;

/// A unit that starts.
const UNIT: &str = "heating.service";

#[test]
fn a_credential_is_the_token_in_the_form_that_its_name_asks_for() {
    let (idp, daemon) = with_mail();
    let token = daemon.token("mail", "").unwrap();
    #[rustfmt::skip]
    let cases = [
        ("mail",        token.token.clone()),
        ("mail.access", token.token.clone()),
        ("mail.header", format!("authorization: Bearer {}", token.token)),
    ];
    for (id, expected) in cases {
        assert_eq!(ask(&door(&daemon), UNIT, id), Answer::Given(expected), "{id}");
    }
    let Answer::Given(json) = ask(&door(&daemon), UNIT, "mail.json") else {
        panic!("{}", daemon.log());
    };
    let answer = serde_json::from_str::<TokenAnswer>(&json).unwrap();
    assert_eq!((&answer.token, answer.generation), (&token.token, token.generation));
    assert!(answer.ttl > 0 && answer.refresh_error.is_none(), "{}", answer.ttl);
    assert!(idp.accepts("mail", &answer.token));

    daemon.logs("heating.service was given the credential mail.json");
    assert!(!daemon.log().contains(&token.token));
    until_asked(&daemon, 4);
}

/// An end without a byte would start the unit with an empty credential.
#[test]
fn what_cannot_be_given_is_refused_at_once_by_more_than_a_credential_can_be_long() {
    let (_idp, daemon) = with_mail();
    #[rustfmt::skip]
    let cases = [
        ("bare",           "the account has no credential yet"),
        ("nothing",        "there is no such account"),
        ("Not an account", "there is no such account"),
        ("mail.id",        "id token"),
        ("mail.refresh",   "its credential has no kind that there is"),
    ];
    for (id, why) in cases {
        assert_eq!(ask(&door(&daemon), UNIT, id), Answer::Refused, "{id}");
        daemon.logs(&format!("{UNIT} was refused the credential {id}: "));
        assert!(daemon.log().contains(why), "{id}: {}", daemon.log());
    }
    daemon.order("mail", "pause");
    assert!(matches!(ask(&door(&daemon), UNIT, "mail"), Answer::Given(_)), "its token is good");
}

#[test]
fn who_does_not_ask_as_systemd_does_is_refused_and_recorded() {
    let (_idp, daemon) = with_mail();
    let other = |name: &str| Some(name.to_owned());
    #[rustfmt::skip]
    let cases = [
        (None,                             "",    "it has no name"),
        (other("tokenkeeper/unit/x"),      "",    "not of the form"),
        (other("F00/unit/a.service/mail"), "",    "hexadecimal digits"),
        (Some(name(UNIT, "mail")),         "GET", "it sends something"),
    ];
    for (name, words, why) in cases {
        assert_eq!(ask_wrongly(&door(&daemon), name.as_deref(), words), Answer::Refused, "{why}");
        daemon.logs(why);
    }
    assert_eq!(daemon.log().matches("not_systemd").count(), 4, "{}", daemon.log());
}

#[test]
fn a_unit_waits_while_a_provider_is_away_and_starts_when_it_is_back() {
    let idp = Idp::start();
    idp.put("ci", &json!({ "client_auth": "basic" }));
    let away = json!({ "fault": "status", "status": 503 });
    idp.next("ci", &json!([away, away]));
    let keys = idp.keys("ci") + "grant = \"client_credentials\"\n";
    let secret = "client_secret = { command = [\"/bin/echo\", \"secret-of-ci\"] }\n";
    let daemon = started(&config().account("ci", &(keys + secret)));
    daemon.until("ci", "waiting", |view| view.state == "waiting");

    let waiting = begin(&door(&daemon), UNIT, "ci");
    until_asked(&daemon, 1);
    daemon.until("ci", "away still", |view| view.attempt == 2 || view.ready);
    daemon.order("ci", "retry");
    let Answer::Given(token) = waiting.end() else { panic!("{}", daemon.log()) };
    assert!(idp.accepts("ci", &token));
    assert_eq!(idp.totals("ci").faults, 2);
}

/// Whoever connects is root here, as the service manager is; whose process it is, the manager says.
#[test]
fn what_the_service_manager_attests_decides_which_unit_is_given_a_token() {
    if !rustix::process::geteuid().is_root() {
        skipped("only root can ask as the service manager does");
        return;
    }
    let Some(bus) = Bus::start() else { return };
    let manager = bus.manager();
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({}));
    let mail = idp.keys("mail") + &format!("allow = [\"unit:{UNIT}\"]\n");
    let config = Config::default().credentials().account("mail", &mail);
    let mut daemon = Daemon::new(&config).with_bus(&bus.address());
    daemon.begin();
    daemon.import("mail", &refresh_token);
    let given = || Answer::Given(daemon.token("mail", "").unwrap().token);
    #[rustfmt::skip]
    let cases = [
        (Says::Unit(UNIT),            UNIT,            true),
        (Says::Older(UNIT),           UNIT,            true),
        (Says::Unit("init.scope"),    UNIT,            true),
        (Says::Unit("other.service"), UNIT,            false),
        (Says::Outside,               UNIT,            false),
        (Says::Unit("other.service"), "other.service", false),
        (Says::Unit("init.scope"),    "other.service", false),
    ];
    for (says, unit, expected) in cases {
        manager.says(says);
        let answer = ask(&door(&daemon), unit, "mail");
        let wanted = if expected { given() } else { Answer::Refused };
        assert_eq!(answer, wanted, "{says:?} {unit}: {}", daemon.log());
    }
    let strangers = daemon.log().matches("is not the service manager").count();
    assert_eq!(strangers, 2, "{}", daemon.log());

    // A manager that is busy is asked again.
    manager.says(Says::Nothing);
    assert!(!manager.was_left_alone());
    let waiting = begin(&door(&daemon), UNIT, "mail");
    manager.is_asked();
    manager.says(Says::Unit(UNIT));
    assert_eq!(waiting.end(), given());
}

/// Nobody says here whose process asks: the bus does not answer.
#[test]
fn the_hosts_daemon_holds_who_is_not_proven_and_refuses_it_at_a_stop() {
    let (mut daemon, _silent) = with_a_silent_bus(&Config::default().credentials());
    let waiting = begin(&door(&daemon), UNIT, "mail");
    until_asked(&daemon, 1);
    daemon.signal(Signal::TERM);
    assert_eq!(waiting.end(), Answer::Refused);
    assert!(daemon.ended().success());
    assert!(daemon.log().contains("was refused the credential mail: the daemon is stopping"));
}

#[test]
fn who_is_not_proven_in_time_is_refused() {
    let config = Config::default().credentials().daemon("credential_wait = \"1s\"");
    let (daemon, _silent) = with_a_silent_bus(&config);
    assert_eq!(ask(&door(&daemon), UNIT, "mail"), Answer::Refused);
    daemon.logs("the service manager does not say that it is its own wish");
}

/// A daemon of the host's whose bus takes connections and says nothing.
fn with_a_silent_bus(config: &Config) -> (Daemon, UnixListener) {
    let daemon = Daemon::new(config);
    let path = daemon.path("bus.sock");
    let silent = UnixListener::bind(&path).unwrap();
    let mut daemon = daemon.with_bus(&format!("unix:path={}", path.display()));
    daemon.begin();
    (daemon, silent)
}

/// A user's daemon with the account `mail`, which has its first token, and `bare` without any.
fn with_mail() -> (Idp, Daemon) {
    let idp = Idp::start();
    let refresh_token = idp.put("mail", &json!({}));
    let (mail, bare) = (idp.keys("mail"), idp.keys("bare"));
    let tables = format!("[accounts.mail]\n{mail}[accounts.bare]\n{bare}");
    let daemon = started(&config().table(&tables));
    daemon.import("mail", &refresh_token);
    (idp, daemon)
}

fn config() -> Config {
    Config::default().credentials().daemon("dbus = \"off\"")
}

/// The daemon of the user that the tests run as.
fn started(config: &Config) -> Daemon {
    let mut daemon = Daemon::new(config);
    let log = File::options().append(true).create(true).open(daemon.path("log")).unwrap();
    let mut command = daemon.command();
    command.arg("--user").env("XDG_RUNTIME_DIR", daemon.home());
    daemon.begin_as(command, log.into());
    daemon
}

fn door(daemon: &Daemon) -> PathBuf {
    daemon.path("credential.sock")
}

/// Waits until so many have connected for a credential.
fn until_asked(daemon: &Daemon, times: u32) {
    let wanted = format!("tokenkeeper_requests_total{{door=\"credential\"}} {times}");
    // Nobody tells when the number changes, and asking takes its time.
    while !daemon.ask(Request::get("/metrics")).body.contains(&wanted) {}
}
