//! What happens in a life: [`Life::passes`] says in which order.

use std::fs;
use std::io::Write as _;
use std::time::Instant;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use serde_json::json;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::login::LoginView;
use url::Url;
use url::form_urlencoded;

use super::Life;
use crate::leaks::cast::BROWSER_CODE;
use crate::leaks::cast::CELLAR_PASSWORD;
use crate::leaks::cast::CLIENT_SECRET;
use crate::leaks::cast::LITERAL;
use crate::leaks::cast::LOGGED_IN;
use crate::leaks::cast::METER_PASSWORD;
use crate::leaks::cast::METER_TOKEN;
use crate::leaks::cast::MISTAKEN;
use crate::leaks::cast::POOL_PASSWORD;
use crate::leaks::cast::POOL_SECRET;
use crate::leaks::cast::POST_SECRET;
use crate::leaks::cast::REFRESHED;
use crate::leaks::cast::config;
use crate::leaks::cast::echo;
use crate::support::PATIENCE;
use crate::support::http::Kept;
use crate::support::http::Request;
use crate::support::http::receive;
use crate::support::process::said;

impl Life {
    /// All that happens.
    pub(in crate::leaks) fn passes(&mut self) {
        self.credentials_come();
        // A user has five logins and logouts in a minute; the others come after the longest part.
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
                let view = self.daemon.account(account);
                assert!(Instant::now() < deadline, "{account} is not asked again: {view:#?}");
                // On a busy host the ten requests of its first minute may be over, and the order refused.
                if view.state == "fresh" {
                    self.refresh(account);
                }
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
        self.handed_in("form", &token);
        let mut importing = Kept::open(&socket);
        let length = body.len();
        let head = "POST /v1/accounts/form/import HTTP/1.1\r\nhost: localhost";
        write!(importing.stream(), "{head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        let reply = receive(importing.stream()).unwrap();
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    }
}
