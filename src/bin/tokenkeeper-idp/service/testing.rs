//! One account of a service on a table: what the tests of all services share.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::account::Account;
use crate::behaviour::Script;
use crate::call::Call;
use crate::clock::Moment;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::service::bench::Tools;
use crate::token::Mint;
use crate::vault::Families;

/// An account `a` that is reached at `http://idp`.
pub(crate) struct Table {
    pub(crate) account: Account,
    mint: Mint,
    families: Families,
}

/// A reply and the verdict on its request.
pub(crate) struct Told {
    pub(crate) verdict: String,
    pub(crate) reply: Reply,
}

impl Table {
    pub(crate) fn new(script: &Value) -> Self {
        let script = Script::parse(script.as_object().unwrap().clone()).unwrap();
        let (mint, mut families) = (Mint::new([7; 32]), Families::default());
        let tools = Tools { mint: &mint, origin: "http://idp", families: &mut families };
        let account = Account::new("a".into(), Rc::new(script), tools, second(0));
        Self { account, mint, families }
    }

    /// The refresh token that the control interface names.
    pub(crate) fn token(&self) -> String {
        self.account.refresh_token(&self.mint).unwrap()
    }

    /// Changes the behaviour as PATCH does.
    pub(crate) fn patch(&mut self, changes: &Value) {
        let script = self.account.script().changed(changes.as_object().unwrap().clone());
        self.account.behave(script.unwrap().into());
    }

    /// Lets a fault strike the next request.
    pub(crate) fn queue(&mut self, fault: &Value) {
        let fault: Fault = serde_json::from_value(fault.clone()).unwrap();
        self.account.queue(vec![fault]).unwrap();
    }

    /// Sends `call` at `at` (s since the start and since 1970).
    pub(crate) fn send(&mut self, at: u64, call: &Call) -> Told {
        self.send_at(second(at), call)
    }

    /// Sends `call` at any moment.
    pub(crate) fn send_at(&mut self, now: Moment, call: &Call) -> Told {
        let ask = self.account.ask(call).unwrap();
        let treatment = self.account.arrive(ask.operation, now);
        let tools = Tools { mint: &self.mint, origin: "http://idp", families: &mut self.families };
        let decision = self.account.decide(call, &treatment, tools, now);
        Told { verdict: decision.verdict.to_string(), reply: decision.reply }
    }

    /// Whether the API lets in a request with this `Authorization` header.
    pub(crate) fn admits(&self, at: u64, authorization: &str) -> bool {
        let call = Call { authorization: Some(authorization.to_owned()), ..Call::default() };
        self.account.admits(&self.mint, &call, second(at))
    }
}

impl Told {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.reply.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.reply.headers.iter();
        headers.find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// The claims of a JWT.
pub(crate) fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

pub(crate) fn second(at: u64) -> Moment {
    Moment { since_start: Duration::from_secs(at), unix: Duration::from_secs(at) }
}
