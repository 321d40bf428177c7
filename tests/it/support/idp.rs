//! The scripted identity provider. `tokenkeeper-idp --help` explains behaviours, faults and
//! conditions.

use std::collections::BTreeMap;
use std::process::Command;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokenkeeper::protocol::account::HeaderView;

use super::PATIENCE;
use super::http::Reply;
use super::http::Request;
use super::process::Process;
use super::process::program;

/// A running provider.
pub(crate) struct Idp {
    /// Ends it with the test.
    _process: Process,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
}

/// Counts of one account, or of all.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Totals {
    /// Token requests that arrived.
    pub(crate) requests: u64,
    /// Requests by verdict.
    pub(crate) granted: u64,
    /// Spent refresh tokens that were presented again inside the grace.
    pub(crate) replays: u64,
    /// Spent refresh tokens that were presented again outside of it.
    pub(crate) reuses: u64,
    /// Faults that struck.
    pub(crate) faults: u64,
    /// The fullest minute.
    pub(crate) max_requests_in_60s: u64,
}

/// One request, and what the provider made of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Entry {
    /// When it arrived, in milliseconds since 1970.
    pub(crate) wall_ms: u64,
    /// What it asked for.
    pub(crate) operation: String,
    /// Which refresh token of its login was presented, 0 the first.
    pub(crate) generation: Option<u32>,
    /// What was decided.
    pub(crate) verdict: String,
    /// Whether the whole reply was written to a client that was still there.
    pub(crate) replied: bool,
}

impl Idp {
    /// Starts one without accounts.
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    /// Starts one without accounts where another one was.
    pub(crate) fn start_at(address: &str) -> Self {
        let mut command = Command::new(program("tokenkeeper-idp"));
        command.args(["--listen", address]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = Process::start(&mut command);
        let address = process.address();
        Self { _process: process, address }
    }

    /// Creates an account or resets it, and returns its refresh token.
    pub(crate) fn put(&self, account: &str, behaviour: &Value) -> String {
        let created = self.create(account, behaviour);
        created["refresh_token"].as_str().unwrap().to_owned()
    }

    /// Creates an account or resets it, and returns all that is to be known of it.
    pub(crate) fn create(&self, account: &str, behaviour: &Value) -> Value {
        self.send("PUT", &format!("/control/accounts/{account}"), behaviour).success()
    }

    /// Creates many accounts, and returns their refresh tokens.
    pub(crate) fn put_all(&self, behaviours: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
        let created: BTreeMap<String, Value> =
            self.send("POST", "/control/accounts", &json!(behaviours)).success();
        let token = |value: &Value| value["refresh_token"].as_str().unwrap().to_owned();
        created.iter().map(|(account, value)| (account.clone(), token(value))).collect()
    }

    /// From now on accounts that it does not know behave like this, and take the first refresh token
    /// that it is shown.
    pub(crate) fn take_strangers(&self, behaviour: &Value) {
        let reply = self.send("POST", "/control/default", behaviour);
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// The lines of a configuration that lead an account of the daemon to `account` here.
    pub(crate) fn keys(&self, account: &str) -> String {
        let endpoint = self.url(&format!("/{account}/token"));
        format!("token_endpoint = \"{endpoint}\"\nclient_id = \"{account}\"\n")
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Replaces fields of a behaviour.
    pub(crate) fn patch(&self, account: &str, fields: &Value) {
        let path = format!("/control/accounts/{account}");
        assert_eq!(self.send("PATCH", &path, fields).status, 200);
    }

    /// Queues faults for the next requests.
    pub(crate) fn next(&self, account: &str, faults: &Value) {
        let reply = self.send("POST", &format!("/control/accounts/{account}/next"), faults);
        assert_eq!(reply.status, 200, "{faults}: {}", reply.body);
    }

    /// Ends every login of an account.
    pub(crate) fn revoke(&self, account: &str) {
        let reply = self.send("POST", &format!("/control/accounts/{account}/revoke"), &json!({}));
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// A new login, and its refresh token.
    pub(crate) fn mint(&self, account: &str) -> String {
        let path = format!("/control/accounts/{account}/mint");
        let minted: Value = self.send("POST", &path, &json!({})).success();
        minted["refresh_token"].as_str().unwrap().to_owned()
    }

    /// Holds requests, when they arrive or when they are decided.
    pub(crate) fn hold(&self, account: &str, after_commit: bool) {
        let body = json!({ "account": account, "after_commit": after_commit });
        assert_eq!(self.send("POST", "/control/hold", &body).status, 200);
    }

    /// Lets held requests go.
    pub(crate) fn release(&self, account: &str) {
        let body = json!({ "account": account });
        assert_eq!(self.send("POST", "/control/release", &body).status, 200);
    }

    /// Waits until the totals of an account satisfy conditions such as `requests=2&held=1`.
    pub(crate) fn wait(&self, account: &str, conditions: &str) -> Totals {
        let timeout = PATIENCE.as_millis();
        let path = format!("/control/wait?account={account}&{conditions}&timeout_ms={timeout}");
        let reply = Request::get(&path).on_tcp(&self.address).unwrap();
        assert_eq!(reply.status, 200, "{account} never came to {conditions}: {}", reply.body);
        reply.json()
    }

    /// The totals of an account.
    pub(crate) fn totals(&self, account: &str) -> Totals {
        let path = format!("/control/summary?account={account}");
        Request::get(&path).on_tcp(&self.address).unwrap().success()
    }

    /// The totals of every account.
    pub(crate) fn all_totals(&self) -> BTreeMap<String, Totals> {
        #[derive(Deserialize)]
        struct Summary {
            accounts: BTreeMap<String, Totals>,
        }

        let reply = Request::get("/control/summary").on_tcp(&self.address).unwrap();
        reply.success::<Summary>().accounts
    }

    /// Whether the provider takes an access token.
    pub(crate) fn accepts(&self, account: &str, access_token: &str) -> bool {
        let (path, bearer) = (format!("/{account}/resource"), format!("Bearer {access_token}"));
        let headers = [("authorization", bearer.as_str())];
        let request = Request { headers: &headers, ..Request::get(&path) };
        request.on_tcp(&self.address).unwrap().status == 200
    }

    /// Whether the API of an account's service takes a header as the daemon hands it out.
    pub(crate) fn takes(&self, account: &str, header: &HeaderView) -> bool {
        let headers = [(header.name.as_str(), header.value.as_str())];
        let path = format!("/{account}/resource");
        let request = Request { headers: &headers, ..Request::get(&path) };
        request.on_tcp(&self.address).unwrap().status == 200
    }

    /// What was asked of an account so far and what came of it, such as `refresh granted`.
    pub(crate) fn story(&self, account: &str) -> Vec<String> {
        let told = |entry: Entry| format!("{} {}", entry.operation, entry.verdict);
        self.ledger(account).into_iter().map(told).collect()
    }

    /// When the newest request of an account came, in milliseconds since 1970.
    pub(crate) fn last_asked_at(&self, account: &str) -> u64 {
        self.ledger(account).last().unwrap().wall_ms
    }

    /// Every request of an account, in the order of their decisions.
    pub(crate) fn ledger(&self, account: &str) -> Vec<Entry> {
        let path = format!("/control/ledger?account={account}");
        Request::get(&path).on_tcp(&self.address).unwrap().success()
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        Request::with(method, path, &body.to_string()).on_tcp(&self.address).unwrap()
    }
}
