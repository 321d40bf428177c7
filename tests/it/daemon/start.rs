//! Starts that are refused, and what they say; and a service manager that says nothing.

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;

use serde_json::json;

use super::with_mail;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::process::run;
use crate::support::process::said;

#[test]
fn a_second_daemon_on_the_same_state_ends_and_names_the_first() {
    let daemon = Daemon::start(&Config::default());
    let second = run(&mut daemon.command(), None);
    assert_eq!(second.status.code(), Some(75), "{}", said(&second));
    assert!(said(&second).contains(&format!("process {}", daemon.id())), "{}", said(&second));
    assert_eq!(daemon.tokenctl(&["status"]).status.code(), Some(0));
}

#[test]
fn a_store_without_its_key_is_refused_and_left_alone() {
    let (_idp, mut daemon) = with_mail(&json!({}));
    daemon.stop();
    let key = daemon.path("state/store.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();

    let refused = run(&mut daemon.command(), None);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    assert!(said(&refused).contains("store key is missing"), "{}", said(&refused));
    assert!(!key.exists(), "a new key would open nothing");

    daemon.write("state/store.key", std::str::from_utf8(&kept).unwrap());
    daemon.begin();
    assert_eq!(daemon.token("mail", "").unwrap().generation, 1);
}

#[test]
fn a_broken_configuration_is_refused_with_every_error() {
    let config = Config::default()
        .daemon("log = \"loud\"")
        .account("Mail", "client_id = \"a\"\ntoken_endpoint = \"https://idp.example/token\"")
        .account("a", "clientid = \"a\"\ntoken_endpoint = \"https://idp.example/token\"")
        .account("b", "client_id = \"b\"\ntoken_endpoint = \"http://idp.example/token\"")
        .account("c", "client_id = \"c\"\nissuer = \"https://idp.example\"\nrotation = \"often\"");
    let daemon = Daemon::new(&config);

    let refused = run(&mut daemon.command(), None);
    let said = said(&refused);
    assert_eq!(refused.status.code(), Some(78), "{said}");
    for part in
        ["daemon.log", "Mail", "clientid", "accounts.b.token_endpoint", "accounts.c.rotation"]
    {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    assert!(!daemon.path("state").exists(), "nothing is touched before the configuration is right");
}

/// A file that is left looks like a daemon that does not answer.
#[test]
fn a_daemon_that_ends_removes_the_sockets_that_it_made() {
    let config = Config::default().credentials();
    let mut daemon = Daemon::new(&config);
    let narrow = daemon.path("narrow.sock");
    let listen = format!("\n[[listen]]\npath = {narrow:?}\naccounts = [\"mail\"]\n");
    let mail = "[accounts.mail]\nissuer = \"https://idp.example\"\nclient_id = \"x\"\n";
    let mut file = File::options().append(true).open(daemon.path("config.toml")).unwrap();
    file.write_all(format!("{mail}{listen}").as_bytes()).unwrap();
    daemon.begin();
    let sockets = ["api.sock", "credential.sock", "narrow.sock"].map(|name| daemon.path(name));
    assert!(sockets.iter().all(|socket| socket.exists()));
    daemon.stop();
    assert!(!sockets.iter().any(|socket| socket.exists()));
}

#[test]
fn a_daemon_without_accounts_answers() {
    let daemon = Daemon::start(&Config::default());
    assert_eq!(daemon.tokenctl_does(&["list", "--json"], None).trim(), "{\"accounts\":[]}");
}

/// What would not end a start is a warning, and does not end a check either.
#[test]
fn a_check_warns_of_names_that_mean_nobody_and_touches_nothing() {
    let keys = "client_id = \"m\"\nissuer = \"https://idp.example\"\n\
                allow = [\"root\", \"no-such-user\", \"group:no-such-group\"]\n";
    let daemon = Daemon::new(&Config::default().account("mail", keys));

    let checked = run(daemon.command().arg("--check"), None);
    let said = said(&checked);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    let lines = said.lines().collect::<Vec<_>>();
    let warnings = lines.iter().filter(|line| line.starts_with("warning: ")).collect::<Vec<_>>();
    let nobody = "on this host, so its rule lets nobody in";
    assert_eq!(
        warnings,
        [
            &format!("warning: mail: there is no user no-such-user {nobody}"),
            &format!("warning: mail: there is no group no-such-group {nobody}"),
        ]
    );
    for line in ["  is made at the first start", "  user root may read and report"] {
        assert!(lines.contains(&line), "{line} is missing:\n{said}");
    }
    assert!(lines.last().unwrap().ends_with(": good, 1 account, 2 warnings"), "{said}");
    assert!(!daemon.path("state").exists(), "a check looks and touches nothing");
}

#[test]
fn a_check_warns_of_files_and_programs_that_are_not_there() {
    let keys = "client_id = \"m\"\nissuer = \"https://idp.example\"\n\
                client_secret = { file = \"HOME/absent\" }\nca_file = \"HOME\"\n\
                [[accounts.mail.hooks]]\nname = \"a\"\ncommand = [\"HOME/absent\"]\non = [\"alarm\"]\n\
                [[accounts.mail.hooks]]\nname = \"b\"\ndirectory = \"HOME/config.toml\"\non = [\"alarm\"]\n\
                [[accounts.mail.hooks]]\nname = \"c\"\ncommand = [\"HOME/config.toml\"]\non = [\"alarm\"]\n";
    let mut daemon = Daemon::new(&Config::default());
    let keys = keys.replace("HOME", &daemon.home().display().to_string());
    daemon.configure(&Config::default().account("mail", &keys));

    let checked = run(daemon.command().arg("--check"), None);
    let said = said(&checked);
    assert_eq!(checked.status.code(), Some(0), "{said}");
    let lines = said.lines().filter_map(|line| line.strip_prefix("warning: mail: "));
    let lines = lines.map(|line| line.replace(&daemon.home().display().to_string(), "HOME"));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "the file for client_secret, HOME/absent, is not there",
            "the ca_file, HOME, is no regular file",
            "the command of the hook a, HOME/absent, is not there",
            "the directory of the hook b, HOME/config.toml, is no directory",
            "the command of the hook c, HOME/config.toml, is no program that could be run",
        ]
    );
    // They may come yet.
    daemon.begin();
    assert_eq!(daemon.account("mail").state, "vacant");
}

/// Whoever checks, before a start or by the daemon, and whoever reloads reads the same.
#[test]
fn every_check_and_a_reload_warn_of_the_same() {
    let daemon = Daemon::start(&Config::default());
    let keys = "client_id = \"m\"\nissuer = \"https://idp.example\"\nallow = [\"no-such-user\"]\n";
    let hook = "[[hooks]]\nname = \"c\"\ncommand = [\"/nonexistent/c\"]\non = [\"alarm\"]\n";
    let config = Config::default().account("mail", keys).account("ci", keys).table(hook);
    daemon.configure(&config);
    let nobody = "there is no user no-such-user on this host, so its rule lets nobody in";
    let expected = [
        format!("warning: ci: {nobody}"),
        format!("warning: mail: {nobody}"),
        "warning: ci, mail: the command of the hook c, /nonexistent/c, is not there".to_owned(),
    ];

    let checked = run(daemon.command().arg("--check"), None);
    let mut pages = vec![String::from_utf8(checked.stdout).unwrap()];
    for arguments in [["config", "check"].as_slice(), &["reload"]] {
        pages.push(daemon.tokenctl_does(arguments, None));
    }
    for page in pages {
        let warnings = page.lines().filter(|line| line.starts_with("warning: "));
        assert_eq!(warnings.collect::<Vec<_>>(), expected, "{page}");
    }
    daemon.logs("there is no user no-such-user");
    daemon.logs("ci, mail: the command of the hook c");
}

#[test]
fn a_state_directory_that_others_may_enter_is_refused_by_the_name_of_its_key() {
    use std::os::unix::fs::PermissionsExt as _;

    let daemon = Daemon::new(&Config::default());
    let state = daemon.path("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o711)).unwrap();
    let flaw = format!(
        "{0}, the directory of `state`, has mode 0711 and must have 0700: it is for the daemon \
         alone, and sockets that others shall reach belong elsewhere; type: chmod 0700 '{0}'\n",
        state.display()
    );

    let checked = run(daemon.command().arg("--check"), None);
    assert!(said(&checked).contains(&format!("warning: {flaw}")), "{}", said(&checked));
    assert!(said(&checked).contains("the daemon would not start"), "{}", said(&checked));
    assert_eq!(checked.status.code(), Some(78));
    let refused = run(&mut daemon.command(), None);
    assert_eq!(refused.status.code(), Some(78), "{}", said(&refused));
    assert!(said(&refused).ends_with(&format!("tokenkeeperd: {flaw}")), "{}", said(&refused));
}

#[test]
fn a_service_manager_that_does_not_listen_holds_nothing_up() {
    let (_idp, daemon) = with_mail(&json!({}));
    let others = UnixDatagram::unbound().unwrap();
    others.set_nonblocking(true).unwrap();
    while others.send_to(b"X_FULL=1", daemon.path("notify")).is_ok() {}

    // Each reload is told to the service manager twice.
    for _ in 0..3 {
        daemon.tokenctl_does(&["reload"], None);
    }
    daemon.order("mail", "refresh");
    assert_eq!(daemon.token_after("mail", 1).generation, 2);
}
