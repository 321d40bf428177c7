//! A life of accounts of every provider, with all that goes wrong in one, and what was said about it
//! to whom.
//!
//! Reading order: [`Life::begin`], with the accounts of `cast`; [`Life::passes`], what happens;
//! [`Life::told`], everything that left the daemon but for files, of which the log and a backup are two.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::thread;
use std::thread::JoinHandle;
use std::time::Instant;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use data_encoding::HEXLOWER;
use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::login::LoginView;
use url::Url;
use url::form_urlencoded;

use super::canary::Canaries;
use super::canary::Canary;
use super::canary::Sort;
use super::cast;
use super::cast::BOILER_PASSWORD;
use super::cast::BROWSER_CODE;
use super::cast::CELLAR_PASSWORD;
use super::cast::CLIENT_SECRET;
use super::cast::HOOK;
use super::cast::LITERAL;
use super::cast::LOGGED_IN;
use super::cast::METER;
use super::cast::METER_PASSWORD;
use super::cast::METER_TOKEN;
use super::cast::MISTAKEN;
use super::cast::PLUGS_PASSWORD;
use super::cast::POOL_PASSWORD;
use super::cast::POOL_SECRET;
use super::cast::POST_SECRET;
use super::cast::REFRESHED;
use super::cast::SEED;
use super::cast::config;
use super::cast::echo;
use super::cast::provider_of_logins;
use super::cast::script;
use super::recorder::CERTIFICATE;
use super::recorder::Recorder;
use super::terminal::Terminal;
use crate::support::PATIENCE;
use crate::support::daemon::Daemon;
use crate::support::door::Door;
use crate::support::http::Kept;
use crate::support::http::Reply;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::idp::Idp;
use crate::support::process::said;

/// What somebody was told.
pub(super) struct Told {
    /// Who, and about what.
    pub(super) what: String,
    /// All of it.
    pub(super) text: Vec<u8>,
    /// Whether a token that programs are given is what was asked for.
    pub(super) is_token: bool,
}

/// The accounts, where they get their tokens, and what is said of them.
pub(super) struct Life {
    idp: Idp,
    /// The provider of logins. Ends with the test.
    _door: Door,
    /// One for each account: providers count logins by address.
    recorders: BTreeMap<&'static str, Recorder>,
    /// Where it logs, if not for programs.
    terminal: Option<Terminal>,
    /// The daemon.
    pub(super) daemon: Daemon,
    told: Vec<Told>,
    handed_in: Vec<Canary>,
    events: Option<JoinHandle<Vec<u8>>>,
    /// The connection of a program that is there for good.
    kept: Option<Kept>,
}

impl Life {
    /// A daemon with every sort of account, with files of its own and perhaps on a bus.
    ///
    /// It logs as for programs, or on a terminal that its files are given.
    pub(super) fn begin(daemon: Daemon, terminal: Option<Terminal>) -> Self {
        let idp = Idp::start();
        let door = provider_of_logins();
        let recorder = |account| match account {
            "form" => Recorder::before_in_tls(&idp.address),
            account if LOGGED_IN.contains(&account) => Recorder::before(&door.address()),
            _ => Recorder::before(&idp.address),
        };
        let accounts = REFRESHED.into_iter().chain(LOGGED_IN).chain(["ci", "cellar"]);
        let recorders = accounts.map(|account| (account, recorder(account))).collect();
        daemon.write("ca.pem", CERTIFICATE);
        for (file, secret) in [
            ("secret.post", POST_SECRET),
            ("secret.pool", POOL_SECRET),
            ("secret.boiler", BOILER_PASSWORD),
            ("secret.plugs", PLUGS_PASSWORD),
            ("secret.seed", SEED),
        ] {
            daemon.write(file, secret);
        }
        daemon.write("meter.sh", METER);
        daemon.write("told.sh", HOOK);
        fs::create_dir(daemon.path("spool")).unwrap();
        fs::set_permissions(daemon.path("spool"), fs::Permissions::from_mode(0o700)).unwrap();
        script(&idp);
        daemon.configure(&config(&recorders, &daemon));
        let mut life = Self {
            idp,
            _door: door,
            recorders,
            terminal,
            daemon,
            told: Vec::new(),
            handed_in: Vec::new(),
            events: None,
            kept: None,
        };
        life.the_daemon_begins();
        let stream = life.daemon.begin_to(Request::get("/v1/events"));
        life.events = Some(thread::spawn(move || {
            let (mut stream, mut heard) = (stream, Vec::new());
            // It ends with the daemon.
            drop(stream.read_to_end(&mut heard));
            heard
        }));
        life
    }

    fn the_daemon_begins(&mut self) {
        match &self.terminal {
            None => self.daemon.begin(),
            Some(terminal) => self.daemon.begin_as(self.daemon.command(), terminal.screen()),
        }
    }

    /// All that happens.
    pub(super) fn passes(&mut self) {
        self.credentials_come();
        // A user has five logins and logouts in a minute: those after the longest part are further ones.
        self.people_log_in_elsewhere();
        self.tokens_are_refreshed_and_fetched();
        self.providers_say_what_they_were_told();
        self.a_person_logs_in_and_another_leaves();
        self.people_make_mistakes();
        self.administrators_look_at_everything();
        self.the_configuration_is_wrong_for_a_while();
        self.a_backup_is_taken();
        self.programs_keep_their_connections();
    }

    /// Ends the daemon and begins it again, so that all that it holds comes from its store.
    pub(super) fn begins_again(&mut self) {
        drop(self.kept.take());
        self.daemon.stop();
        let text = self.events.take().unwrap().join().unwrap();
        assert!(!text.is_empty(), "nobody was told of anything");
        self.told.push(Told { what: "events".to_owned(), text, is_token: false });
        self.the_daemon_begins();
        for account in REFRESHED.into_iter().chain(LOGGED_IN) {
            self.daemon.token_after(account, 0);
        }
    }

    /// Everything that was secret in it so far.
    pub(super) fn canaries(&self) -> Canaries {
        let key = fs::read(self.daemon.path("state/store.key")).unwrap();
        let key = HEXLOWER.decode(key.trim_ascii_end()).unwrap();
        let key = Canary::new(Sort::StoreKey, "store key", key);
        let handed_in = self.handed_in.iter().cloned();
        let granted = self.recorders.values().flat_map(Recorder::secrets);
        Canaries::new(cast::secrets().into_iter().chain([key]).chain(handed_in).chain(granted))
    }

    /// The tokens that it serves, after it has been asked for each.
    pub(super) fn served(&self) -> BTreeSet<String> {
        let mut served = BTreeSet::new();
        let served_ones = REFRESHED.into_iter().chain(LOGGED_IN);
        for account in served_ones.chain(["ci", "cellar", "meter"]) {
            for kind in ["access", "id", "aws"] {
                let path = format!("/v1/accounts/{account}/token?kind={kind}");
                let reply = self.daemon.ask(Request::get(&path));
                // Not every provider has each kind.
                if reply.status == 200 {
                    let answer = reply.json::<Value>();
                    let members =
                        ["token", "SecretAccessKey", "SessionToken"].map(|it| &answer[it]);
                    served.extend(members.iter().filter_map(|it| it.as_str()).map(str::to_owned));
                }
            }
        }
        served
    }

    /// Every text that anybody was told.
    pub(super) fn told(&self) -> &[Told] {
        &self.told
    }

    fn credentials_come(&mut self) {
        for (slot, secret) in [
            ("mail.client_secret", CLIENT_SECRET),
            ("pool.password", POOL_PASSWORD),
            ("meter.password", METER_PASSWORD),
        ] {
            self.tokenctl_given(&["secret", "set", slot, "--file", "-"], secret);
        }
        for account in ["mail", "form", "heatpump"] {
            let token = self.newest_refresh_token(account);
            self.import(account, &token);
        }
        self.tokenctl_given(&["import", "meter", "--refresh-token-file", "-"], METER_TOKEN);
        self.tokenctl(&["retry", "pool"]);
        for account in REFRESHED.into_iter().chain(["ci"]) {
            // The first sign-ins fail, and are tried again.
            self.daemon.until(account, "there", |view| view.generation > 0);
        }
    }

    fn tokens_are_refreshed_and_fetched(&mut self) {
        for account in REFRESHED.into_iter().chain(["ci", "meter"]) {
            self.refresh(account);
        }
        for account in REFRESHED.into_iter().chain(["ci", "meter"]) {
            for format in ["raw", "header", "json"] {
                let query = format!("/v1/accounts/{account}/token?format={format}");
                self.fetch(&query);
            }
            self.tokenctl(&["get", account]);
        }
        self.fetch("/v1/accounts/boiler/token?kind=aws");
    }

    /// Providers that answer a failure with what was sent to them. They are asked no more often than
    /// an account may ask in a minute.
    fn providers_say_what_they_were_told(&mut self) {
        let told = [
            ("mail", &[CLIENT_SECRET][..]),
            ("form", &[]),
            ("ci", &[POST_SECRET]),
            ("pool", &[POOL_SECRET]),
            ("heatpump", &[]),
            ("boiler", &[]),
            ("plugs", &[]),
        ];
        for (account, secrets) in told {
            let spent = self.newest_refresh_token(account);
            let secrets = [secrets, &[spent.as_str()]].concat();
            let mut faults = secrets.iter().map(|it| echo(account, it)).collect::<Vec<_>>();
            let page = secrets.join(" and ");
            faults.push(json!({ "fault": "status", "status": 503, "body": page }));
            let until = self.idp.totals(account).faults + u64::try_from(faults.len()).unwrap();
            self.idp.next(account, &json!(faults));
            self.refresh(account);
            let deadline = Instant::now() + PATIENCE;
            while self.idp.totals(account).faults < until {
                assert!(Instant::now() < deadline, "{account} does not meet what is in its way");
                self.is_told_and_retried(account);
            }
            self.is_told_and_retried(account);
            self.daemon.until(account, "well again", |view| view.state == "fresh");
        }
        // The program echoes everything on its standard error whenever it is asked.
        self.daemon.write("meter.fails", "");
        self.refresh("meter");
        self.tokenctl(&["why", "meter"]);
        fs::remove_file(self.daemon.path("meter.fails")).unwrap();
        self.is_told_and_retried("meter");
        self.daemon.until("meter", "well again", |view| view.state == "fresh");
    }

    fn is_told_and_retried(&mut self, account: &str) {
        const UNDER_WAY: [&str; 3] = ["queued", "exchanging", "saving"];

        let at_rest = |view: &AccountView| !UNDER_WAY.contains(&view.state.as_str());
        self.daemon.until(account, "at rest", at_rest);
        self.tokenctl(&["why", account]);
        self.answer(Request::get(&format!("/v1/accounts/{account}")));
        let path = format!("/v1/accounts/{account}/retry");
        self.answer(Request { method: "POST", ..Request::get(&path) });
    }

    /// Secrets where they do not belong.
    fn people_make_mistakes(&mut self) {
        let quoted = json!(MISTAKEN).to_string();
        for body in [
            format!("{{\"refresh_token\":{quoted}"),
            format!("{{\"refresh_token\":[{quoted}]}}"),
            format!("{{{quoted}:1}}"),
            format!("{{\"refresh\":{quoted}}}"),
            format!("{{\"refresh_token\":{quoted},\"refresh_token\":{quoted}}}"),
            quoted,
            format!("refresh_token={MISTAKEN}"),
        ] {
            for verb in ["import", "login", "secret", "report", "pause"] {
                let path = format!("/v1/accounts/mail/{verb}");
                self.answer(Request::with("POST", &path, &body));
            }
        }
        for path in [
            format!("/v1/accounts/mail/token?refresh_token={MISTAKEN}"),
            format!("/v1/accounts/mail/token?kind={MISTAKEN}"),
            format!("/v1/accounts/mail/token?min_ttl={MISTAKEN}"),
            format!("/v1/accounts/{MISTAKEN}/token"),
            format!("/{MISTAKEN}"),
        ] {
            self.answer(Request::get(&path));
        }
        let headers = [("authorization", MISTAKEN), ("origin", MISTAKEN)];
        self.answer(Request { headers: &headers, ..Request::get("/v1/status") });
        self.answer(Request { headers: &headers[..1], ..Request::get("/v1/status") });
        self.answer(Request { headers: &[("host", MISTAKEN)], ..Request::get("/v1/status") });
        self.answer(Request { method: MISTAKEN, ..Request::get("/v1/status") });
        self.tokenctl_given(&["import", "mail", "--refresh-token-file", "-"], MISTAKEN);
        self.tokenctl_given(&["import", "ci", "--refresh-token-file", "-"], MISTAKEN);
        self.tokenctl_given(&["secret", "set", "mail.absent", "--file", "-"], LITERAL);
    }

    fn administrators_look_at_everything(&mut self) {
        for verb in [
            &["status"][..],
            &["list"],
            &["list", "--json"],
            &["doctor"],
            &["whoami"],
            &["config", "check"],
            &["access", "mail", "--user", "nobody"],
        ] {
            self.tokenctl(verb);
        }
        for path in ["/v1/status", "/v1/accounts", "/metrics", "/v1/whoami", "/v1/openapi.json"] {
            self.answer(Request::get(path));
        }
    }

    fn a_person_logs_in_and_another_leaves(&mut self) {
        let login = "/v1/accounts/cellar/login?wait=60";
        for answer in ["canary cellar; wrong word 5f08%b1", CELLAR_PASSWORD] {
            let asked = self.daemon.ask(Request::with("POST", login, "{}"));
            let begun = asked.json::<LoginView>();
            let body = json!({ "login": begun.login, "answer": answer, "seen": begun.turn });
            self.answer(Request::with("POST", login, &body.to_string()));
            self.tokenctl(&["why", "cellar"]);
        }
        self.daemon.token_after("cellar", 0);
        self.tokenctl(&["logout", "cellar"]);
        self.tokenctl(&["logout", "form", "--local"]);
        let token = self.idp.mint("form");
        self.import("form", &token);
    }

    /// On another device, and in a browser. The provider refuses the first login of each.
    fn people_log_in_elsewhere(&mut self) {
        for _login in 0..2 {
            self.tokenctl(&["login", "tv"]);
            self.tokenctl(&["why", "tv"]);
        }
        let login = "/v1/accounts/desk/login?wait=60";
        for _login in 0..2 {
            let begin = json!({ "redirect": "http://127.0.0.1:4711/callback" }).to_string();
            let asked = self.daemon.ask(Request::with("POST", login, &begin));
            let begun = asked.json::<LoginView>();
            let url = begun.prompt.and_then(|prompt| prompt.url).unwrap();
            let state = Url::parse(&url).unwrap();
            let state = state.query_pairs().find(|(name, _)| name == "state").unwrap().1;
            let mut answer = form_urlencoded::Serializer::new(String::new());
            let answer = answer.append_pair("code", BROWSER_CODE).append_pair("state", &state);
            let body =
                json!({ "login": begun.login, "answer": answer.finish(), "seen": begun.turn });
            self.answer(Request::with("POST", login, &body.to_string()));
            self.tokenctl(&["why", "desk"]);
        }
        for account in LOGGED_IN {
            self.daemon.token_after(account, 0);
            self.refresh(account);
        }
    }

    /// It lies beside the log, and is searched like that.
    fn a_backup_is_taken(&mut self) {
        let identity = Identity::generate();
        let recipient = identity.to_public().to_string();
        self.daemon.write("identity", identity.to_string().expose_secret());
        let [file, identity] = ["backup.age", "identity"].map(|name| self.daemon.path(name));
        let [file, identity] = [file, identity].map(|path| path.to_str().unwrap().to_owned());
        self.tokenctl(&["backup", "--recipient", &recipient, "--output", &file]);
        let looked = ["restore", "--identity", &identity, &file, "--dry-run"];
        let output = self.daemon.tokenctl(&looked);
        for account in REFRESHED {
            assert!(said(&output).contains(account), "{}", said(&output));
        }
        self.printed(&looked, output);
    }

    fn the_configuration_is_wrong_for_a_while(&mut self) {
        let good = config(&self.recorders, &self.daemon);
        let literal = json!(LITERAL);
        for wrong in [
            format!(
                "client_id = \"a\"\ntoken_endpoint = \"https://a.example/\"\nclient_secret = {literal}\n"
            ),
            format!("provider = \"navien\"\nemail = \"a@b.example\"\npassword = {literal}\n"),
            format!(
                "provider = \"kasa-monitor\"\nbase_url = \"https://u:{LITERAL}@a.example/\"\nusername = \"a\"\n"
            ),
            format!("client_id = \"a\"\ntoken_endpoint = \"https://a.example/?key={LITERAL}#x\"\n"),
            format!("refresh_token = {literal}\n"),
            format!("client_id = \"a\"\npassword = {{ file = [{literal}] }}\n"),
            format!("password = {literal}x\n"),
        ] {
            self.daemon.configure(&good.clone().account("wrong", &wrong));
            self.answer(Request { method: "POST", ..Request::get("/v1/reload") });
            self.tokenctl(&["config", "check"]);
            self.tokenctl(&["reload"]);
        }
        self.daemon.configure(&good);
        self.tokenctl(&["reload"]);
    }

    /// One was given a token before another handed in a credential, which ends its connection.
    fn programs_keep_their_connections(&mut self) {
        let socket = self.daemon.path("api.sock");
        let mut kept = Kept::open(&socket);
        assert_eq!(kept.asks("/v1/accounts/form/token").unwrap(), 200);
        self.kept = Some(kept);

        let token = self.idp.mint("form");
        let body = json!({ "refresh_token": token }).to_string();
        self.handed_in(&token);
        let mut importing = Kept::open(&socket);
        let length = body.len();
        let head = "POST /v1/accounts/form/import HTTP/1.1\r\nhost: localhost";
        write!(importing.stream(), "{head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let reply = receive(importing.stream()).unwrap();
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    }

    fn newest_refresh_token(&self, account: &str) -> String {
        let path = format!("/control/accounts/{account}");
        let known: Value = Request::get(&path).on_tcp(&self.idp.address).unwrap().success();
        known["refresh_token"].as_str().unwrap().to_owned()
    }

    fn import(&mut self, account: &str, refresh_token: &str) {
        self.handed_in(refresh_token);
        self.daemon.import(account, refresh_token);
    }

    /// Takes down a refresh token that no provider granted over the wire.
    fn handed_in(&mut self, refresh_token: &str) {
        let name = format!("handed in, {refresh_token}");
        self.handed_in.push(Canary::new(Sort::RefreshToken, &name, refresh_token));
    }

    /// Asks for what is no token.
    fn answer(&mut self, request: Request<'_>) {
        let reply = self.daemon.ask(request);
        self.heard(&format!("answer to {}", request.path), &reply, false);
    }

    /// Asks for a token.
    fn fetch(&mut self, path: &str) {
        let reply = self.daemon.ask(Request::get(path));
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        self.heard(path, &reply, true);
    }

    /// Has an account refreshed, which answers with its token.
    fn refresh(&mut self, account: &str) {
        let reply = receive(self.daemon.begin_refresh(account)).unwrap();
        self.heard(&format!("refresh of {account}"), &reply, reply.status == 200);
    }

    fn heard(&mut self, of: &str, reply: &Reply, is_token: bool) {
        let what = format!("{of}, {}", reply.status);
        self.told.push(Told { what, text: reply.body.clone().into_bytes(), is_token });
    }

    fn tokenctl(&mut self, arguments: &[&str]) {
        let output = self.daemon.tokenctl(arguments);
        self.printed(arguments, output);
    }

    fn tokenctl_given(&mut self, arguments: &[&str], input: &str) {
        let output = self.daemon.tokenctl_given(arguments, input);
        self.printed(arguments, output);
    }

    fn printed(&mut self, arguments: &[&str], output: Output) {
        let what = format!("tokenctl {}, {}", arguments.join(" "), output.status);
        let text = [output.stdout, output.stderr].concat();
        self.told.push(Told { what, text, is_token: arguments[0] == "get" });
    }
}
