//! Backups: taken here, opened elsewhere, and what a restore leaves alone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use serde_json::Value;
use serde_json::json;
use tokenkeeper::envelope;
use tokenkeeper::envelope::Recipient;

use super::forgiving;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::http::Request;
use crate::support::idp::Idp;
use crate::support::process::said;

#[test]
fn a_host_that_lost_everything_lives_on_by_its_backup() {
    let mut host = Host::new();
    let refresh_tokens = [host.import("ci"), host.import("mail")];

    let told = host.backup();
    assert!(told.contains("  ci    generation 1\n"), "{told}");
    let mail = "  mail  generation 1; good until its next refresh; its client_secret\n";
    assert!(told.contains(mail) && told.contains("A backup ages: "), "{told}");
    let sealed = fs::read(host.backup_file()).unwrap();
    assert_eq!(fs::metadata(host.backup_file()).unwrap().mode() & 0o7777, 0o600);
    for secret in refresh_tokens.iter().map(String::as_str).chain([HUSH]) {
        assert!(!sealed.windows(secret.len()).any(|it| it == secret.as_bytes()));
    }
    host.daemon.logs("a backup was sealed");

    host.lose_everything();
    assert_eq!(host.daemon.account("mail").state, "vacant");
    let requests = host.requests();
    let foretold = host.restores(&["--dry-run"]);
    let expected = "ci: would be restored: proven first\n\
                    mail: would be restored: proven by one refresh; its client_secret\n";
    assert_eq!(foretold, expected);
    assert_eq!(host.requests(), requests, "a dry run asks no provider");

    let told = host.restores(&[]);
    assert_eq!(told, "ci: restored\nmail: restored: client_secret sealed\n");
    for account in ["ci", "mail"] {
        host.daemon.until(account, "restored", |view| view.generation == 1);
        let token = host.daemon.token(account, "").unwrap();
        assert!(host.idp.accepts(account, &token.token), "{account}");
        assert_eq!(host.idp.totals(account).reuses, 0);
        host.daemon.tokenctl_does(&["refresh", account], None);
    }

    let requests = host.requests();
    let again = host.restores(&[]);
    let expected = "ci: left alone: the store has this very credential\n\
                    mail: left alone: the store has this very credential; \
                    client_secret is there already\n";
    assert_eq!(again, expected);
    assert_eq!(host.requests(), requests, "a repetition asks no provider");
}

#[test]
fn the_canary_failing_stops_the_rest() {
    let mut host = Host::new();
    host.import("ci");
    host.import("mail");
    host.backup();
    host.lose_everything();
    host.idp.revoke("ci");
    let before = host.idp.totals("mail").requests;

    let output = host.restore(&[]);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.starts_with("ci: not restored: "), "{told}");
    assert!(told.contains("\nmail: not touched: ci was to be proven before it\n"), "{told}");
    assert_eq!(host.idp.totals("mail").requests, before);
    assert_eq!(host.daemon.account("mail").state, "vacant");

    // Whoever knows better names the accounts.
    assert_eq!(host.restores(&["--account", "mail"]), "mail: restored: client_secret sealed\n");
}

#[test]
fn an_account_that_fails_after_the_canary_stops_no_other() {
    let mut host = Host::new();
    for account in ["ci", "mail", "other"] {
        host.import(account);
    }
    host.backup();
    host.lose_everything();
    host.idp.revoke("mail");

    let output = host.restore(&["--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let outcomes = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|told| format!("{} {} {}", told["account"], told["outcome"], told["error_code"]))
        .map(|line| line.replace('"', ""));
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        ["ci restored null", "mail failed GRANT_REJECTED", "other restored null"]
    );
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn what_is_newer_here_or_leads_elsewhere_is_left_alone_unless_it_is_forced() {
    let host = Host::new();
    for account in ["ci", "mail", "other"] {
        host.import(account);
    }
    host.backup();
    host.daemon.tokenctl_does(&["refresh", "mail"], None);
    let another_user = host.keys("ci") + "username = \"somebody\"\n";
    host.daemon.configure(
        &Config::default().account("ci", &another_user).account("mail", &host.keys("mail")),
    );
    host.daemon.reload_by_signal();
    let requests = host.requests();

    let told = host.restores(&[]);
    let lines = told.lines().collect::<Vec<_>>();
    let elsewhere = "ci: left alone: it is configured for another issuer, client or user than it \
                     had; --force tries it";
    assert_eq!(lines[0], elsewhere);
    let newer = "mail: left alone: the store has a newer credential, generation 2 of ";
    assert!(lines[1].starts_with(newer), "{told}");
    assert_eq!(lines[2], "other: left alone: no such account is configured here");
    assert_eq!(host.requests(), requests);

    // The provider forgives a spent refresh token for a while.
    let told = host.restores(&["--account", "mail", "--force"]);
    assert_eq!(told, "mail: restored: client_secret sealed\n");
    host.daemon.until("mail", "of another generation", |view| view.generation == 3);
    assert_eq!(host.idp.totals("mail").replays, 1);
}

#[test]
fn a_move_there_and_back_keeps_every_account_alive() {
    let mut host = Host::new();
    for account in ["ci", "mail", "other"] {
        host.import(account);
        host.daemon.tokenctl_does(&["refresh", account], None);
    }
    host.lets_a_second_pass();
    let elsewhere = host.another();
    let old = host.moves_to(elsewhere);
    let told = host.restores(&[]);
    assert_eq!(told, "ci: restored\nmail: restored: client_secret sealed\nother: restored\n");
    host.daemon.tokenctl_does(&["refresh", "mail"], None);

    host.moves_to(old);
    let stale = host.daemon.account("mail");
    assert_eq!(stale.generation, 2);
    let requests = host.requests();
    let foretold = host.restores(&["--dry-run"]);
    let expected = "ci: left alone: the store has this very credential\n\
                    mail: would be restored: proven first; its client_secret\n\
                    other: would be restored: proven by one refresh\n";
    assert_eq!(foretold, expected);
    assert_eq!(host.requests(), requests);
    let told = host.restores(&[]);
    let expected = "ci: left alone: the store has this very credential\n\
                    mail: restored: client_secret is there already\nother: restored\n";
    assert_eq!(told, expected);

    for account in ["ci", "mail", "other"] {
        host.daemon.tokenctl_does(&["refresh", account], None);
        let token = host.daemon.token(account, "").unwrap();
        assert!(host.idp.accepts(account, &token.token), "{account}");
        let totals = host.idp.totals(account);
        assert_eq!((totals.replays, totals.reuses), (0, 0), "{account}: a spent one was sent");
    }
}

#[test]
fn an_account_that_is_the_same_or_paused_here_stops_no_other_even_by_force() {
    let host = Host::new();
    for account in ["ci", "mail", "other"] {
        host.import(account);
    }
    host.backup();
    host.daemon.tokenctl_does(&["pause", "mail"], None);

    let told = host.restores(&["--force"]);
    let expected = "ci: left alone: the store has this very credential\n\
                    mail: left alone: it is paused here; resume it first; \
                    client_secret is there already\n\
                    other: restored\n";
    assert_eq!(told, expected);
}

#[test]
fn a_secret_that_is_there_stays_and_a_pause_comes_back() {
    let mut host = Host::new();
    host.import("mail");
    host.daemon.tokenctl_does(&["pause", "mail"], None);
    host.backup();
    host.lose_everything();
    host.daemon.tokenctl_does(&["secret", "set", "mail.client_secret", "--file", "-"], Some(HUSH));

    let told = host.restores(&[]);
    assert_eq!(told, "mail: restored: client_secret is there already; paused, as it was\n");
    assert!(host.daemon.account("mail").paused);
}

#[test]
fn a_restore_that_is_killed_in_the_middle_is_finished_by_another() {
    let mut host = Host::new();
    host.import("ci");
    host.import("mail");
    host.backup();
    host.lose_everything();
    host.idp.hold("mail", false);

    let mut first = Command::new(env!("CARGO_BIN_EXE_tokenctl"))
        .arg("--socket")
        .arg(host.daemon.path("api.sock"))
        .args(["restore", "--identity", &host.path("key.txt"), &host.path("tokens.age")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    host.idp.wait("mail", "held=1");
    first.kill().unwrap();
    first.wait().unwrap();
    host.idp.release("mail");
    host.daemon.until("mail", "restored", |view| view.generation == 1);

    let told = host.restores(&[]);
    assert!(!told.contains("restored:") && told.matches("left alone").count() == 2, "{told}");
    assert_eq!((host.idp.totals("ci").reuses, host.idp.totals("mail").reuses), (0, 0));
}

#[test]
fn whatever_is_no_backup_or_no_identity_is_told_and_changes_nothing() {
    let host = Host::new();
    host.import("mail");
    host.backup();
    let sealed = fs::read(host.backup_file()).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(host.daemon.path(name), bytes).unwrap();
    let seal = |text: &str| {
        let recipient = Recipient::parse(&host.identity.to_public().to_string()).unwrap();
        envelope::seal(text.as_bytes(), &[recipient]).unwrap()
    };
    let mut damaged = sealed.clone();
    *damaged.last_mut().unwrap() ^= 1;
    write("damaged.age", &damaged);
    write("cut.age", &sealed[..sealed.len() / 2]);
    write("text.age", b"dear diary");
    write("empty.age", b"");
    write("foreign.age", &seal("dear diary"));
    write("newer.age", &seal(r#"{"format":"tokenkeeper-backup","version":2}"#));
    write("bare.age", &seal(r#"{"format":"tokenkeeper-backup","version":1}"#));
    host.daemon.write("stranger.txt", Identity::generate().to_string().expose_secret());
    host.daemon.write("public.txt", &host.identity.to_public().to_string());
    host.daemon.write("none.txt", "# nothing\n");
    let requests = host.requests();

    #[rustfmt::skip]
    let cases: [(&str, &str, &[&str], &str); 14] = [
        ("key.txt",      "damaged.age", &[],                    "damaged.age: it is damaged or cut short\n"),
        ("key.txt",      "cut.age",     &[],                    "cut.age: it is damaged or cut short\n"),
        ("key.txt",      "text.age",    &[],                    "text.age: it is no backup: a backup is a binary age file\n"),
        ("key.txt",      "empty.age",   &[],                    "empty.age: it is no backup: a backup is a binary age file\n"),
        ("key.txt",      "foreign.age", &[],                    "foreign.age: what is sealed in it is no backup of tokenkeeper\n"),
        ("key.txt",      "newer.age",   &[],                    "newer.age: it is a backup of version 2, and this tokenctl reads up to 1;"),
        ("key.txt",      "bare.age",    &[],                    "bare.age: the backup is damaged at line 1, column "),
        ("key.txt",      "absent.age",  &[],                    "absent.age: No such file or directory"),
        ("stranger.txt", "tokens.age",  &[],                    "tokens.age: no identity in that file opens it: it was sealed to others\n"),
        ("public.txt",   "tokens.age",  &[],                    "public.txt: line 1 is a recipient, which only seals;"),
        ("none.txt",     "tokens.age",  &[],                    "none.txt: there is no identity in it\n"),
        ("config.toml",  "tokens.age",  &[],                    "config.toml: line 1 is no identity of age:"),
        ("absent.txt",   "tokens.age",  &[],                    "absent.txt: No such file or directory"),
        ("key.txt",      "tokens.age",  &["--account", "mial"], "tokens.age: there is no account mial in it\n"),
    ];
    for (identity, backup, more, expected) in cases {
        let (identity, backup) = (host.path(identity), host.path(backup));
        let arguments = ["restore", "--identity", &identity, &backup];
        let output = host.daemon.tokenctl(&[&arguments, more].concat());
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    assert_eq!(host.requests(), requests);
    assert_eq!(host.daemon.account("mail").generation, 1);
}

#[test]
fn a_backup_is_sealed_to_recipients_alone_and_never_over_what_is_no_file() {
    let host = Host::new();
    let (ours, home) = (host.identity.to_public().to_string(), host.path(""));
    let secret = host.identity.to_string().expose_secret().to_owned();
    #[rustfmt::skip]
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--recipient", &secret, "--output", "x"],                2, "--recipient number 1: it is an identity, which opens backups:"),
        (&["--recipient", &ours, "--recipient", "age1"],            2, "--recipient number 2: expected the public key of an age identity:"),
        (&["--recipient", "ssh-ed25519 AAAA"],                      2, "--recipient number 1: expected the public key of an age identity:"),
        (&["--output", "x"],                                        2, "needs --recipient"),
        (&["--recipient", &ours, "--output", &home],                2, "it is no regular file;"),
        (&["--recipient", &ours, "--output", "/nonexistent/x.age"], 74, "cannot write /nonexistent/x.age: No such file"),
    ];
    for (arguments, status, expected) in cases {
        let output = host.daemon.tokenctl(&[&["backup"], arguments].concat());
        let told = said(&output);
        assert_eq!(output.status.code(), Some(status), "{told}");
        assert!(told.contains(expected) && !told.contains(&secret), "{told}");
    }
    let many = vec![ours.clone(); 17];
    for recipients in [json!([]), json!([ours, secret]), json!(many)] {
        let body = json!({ "recipients": recipients }).to_string();
        let refused = host.daemon.ask(Request::with("POST", "/v1/backup", &body));
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(!refused.body.contains(&secret));
    }

    // Without a file it goes to the standard output, and what is said of it beside that.
    let output = host.daemon.tokenctl(&["backup", "--recipient", &ours]);
    assert!(output.stdout.starts_with(b"age-encryption.org/v1\n"));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("0 accounts, as of "));
}

/// The client secret of `mail`.
const HUSH: &str = "secret-of-mail";

/// A daemon with the accounts `ci`, which never rotates, `mail` and `other`, which rotate and
/// forgive, and a key for its backups.
struct Host {
    idp: Idp,
    daemon: Daemon,
    identity: Identity,
}

impl Host {
    fn new() -> Self {
        let idp = Idp::start();
        let daemon = Daemon::new(&Config::default());
        let mut host = Self { idp, daemon, identity: Identity::generate() };
        host.daemon.configure(&host.config());
        host.daemon.write("key.txt", host.identity.to_string().expose_secret());
        host.daemon.begin();
        host
    }

    fn config(&self) -> Config {
        let accounts = ["ci", "mail", "other"];
        accounts
            .iter()
            .fold(Config::default(), |config, account| config.account(account, &self.keys(account)))
    }

    fn keys(&self, account: &str) -> String {
        let more = match account {
            "ci" => "rotation = \"none\"\n",
            "mail" => "rotation = \"30s\"\nclient_auth = \"post\"\n",
            _ => "rotation = \"30s\"\n",
        };
        self.idp.keys(account) + more
    }

    /// Gives an account its first credential.
    fn import(&self, account: &str) -> String {
        let behaviour = if account == "ci" { json!({}) } else { forgiving() };
        let refresh_token = self.idp.put(account, &behaviour);
        if account == "mail" {
            let set = ["secret", "set", "mail.client_secret", "--file", "-"];
            self.daemon.tokenctl_does(&set, Some(HUSH));
        }
        self.daemon.import(account, &refresh_token);
        refresh_token
    }

    fn backup(&self) -> String {
        let recipient = self.identity.to_public().to_string();
        let output = self.path("tokens.age");
        self.daemon.tokenctl_does(&["backup", "--recipient", &recipient, "--output", &output], None)
    }

    fn backup_file(&self) -> PathBuf {
        self.daemon.path("tokens.age")
    }

    fn path(&self, name: &str) -> String {
        self.daemon.path(name).to_str().unwrap().to_owned()
    }

    fn lose_everything(&mut self) {
        self.daemon.stop();
        fs::remove_dir_all(self.daemon.path("state")).unwrap();
        self.daemon.begin();
    }

    /// A daemon on another host, with the same configuration, that does not run yet.
    fn another(&self) -> Daemon {
        let daemon = Daemon::new(&self.config());
        daemon.write("key.txt", self.identity.to_string().expose_secret());
        daemon
    }

    /// Moves on to `next` by a backup that is not restored yet, and returns what is left.
    fn moves_to(&mut self, next: Daemon) -> Daemon {
        self.backup();
        self.daemon.stop();
        fs::copy(self.backup_file(), next.path("tokens.age")).unwrap();
        let left = std::mem::replace(&mut self.daemon, next);
        self.daemon.begin();
        left
    }

    /// Waits for a newer token, for a second, and in vain: dates of credentials are whole seconds.
    fn lets_a_second_pass(&self) {
        let tag = format!("\"access-{}\"", self.daemon.account("mail").generation);
        let headers = [("if-none-match", tag.as_str())];
        let path = "/v1/accounts/mail/token?wait=1";
        let reply = self.daemon.ask(Request { headers: &headers, ..Request::get(path) });
        assert_eq!(reply.status, 304, "{}", reply.body);
    }

    fn restore(&self, more: &[&str]) -> std::process::Output {
        let (identity, file) = (self.path("key.txt"), self.path("tokens.age"));
        let arguments = ["restore", "--identity", &identity, &file];
        self.daemon.tokenctl(&[&arguments, more].concat())
    }

    fn restores(&self, more: &[&str]) -> String {
        let output = self.restore(more);
        assert!(output.status.success(), "{}\n{}", said(&output), self.daemon.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Requests that any provider has got.
    fn requests(&self) -> u64 {
        self.idp.all_totals().values().map(|totals| totals.requests).sum()
    }
}
