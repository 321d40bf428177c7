//! Logins, logouts and sessions: what a person has a part in.

use serde::Deserialize;
use serde::Serialize;
use utoipa::ToSchema;

/// `POST /v1/accounts/{account}/login`. Without `login` it begins a login; with it, it gives
/// an answer, looks how it stands, or cancels it.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The login that is meant, as [`LoginView`] names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// What the person answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The last turn that was seen: the request is answered when there is a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// Whether the login is to end, without a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<bool>,
    /// At the beginning: where on this host a browser can be sent back to,
    /// `http://127.0.0.1:PORT/PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^http://(127\.0\.0\.1|\[::1\]):[0-9]{1,5}/")]
    pub redirect: Option<String>,
    /// At the beginning: whether the password is asked for even where one is stored. A login
    /// that takes none is refused then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed: Option<bool>,
    /// At the beginning: whether nobody is there who could type an answer. A login that has a code
    /// sent is refused then, before the provider is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattended: Option<bool>,
}

/// How a login stands.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct LoginView {
    /// The account.
    pub account: String,
    /// Names the login in further requests.
    pub login: String,
    /// `busy` (the provider is asked), `delayed` (it waits for a turn at the provider), `asked`
    /// (the person is), `proving`, `done` or `cancelled`.
    pub state: String,
    /// Counts what was shown.
    pub turn: u64,
    /// What the person is asked.
    pub prompt: Option<PromptView>,
    /// Once it is done: the generation that it began.
    pub generation: Option<u64>,
    /// Once it is done: when its token expires.
    pub expires_at: Option<String>,
    /// Once it is done: what is left of the token, in whole seconds.
    pub ttl: Option<u64>,
    /// While it is delayed, or its credential cannot be proven yet: in how many whole seconds it
    /// goes on.
    pub goes_on_in: Option<u64>,
    /// How it stands, for people.
    pub message: String,
}

/// What a person is asked, or told to do.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
pub struct PromptView {
    /// `password`, `code`, `device` or `browser`.
    pub kind: String,
    /// Whether the answer is waited for; if not, the provider learns by itself what the person did.
    pub answerable: bool,
    /// Whether the last answer was not right.
    pub again: bool,
    /// Of a password: whose it is.
    pub of: Option<String>,
    /// Of a code: where it comes from.
    pub from: Option<String>,
    /// Of a device or a browser: what to open. A browser comes back with the answer, which is
    /// the query of the address that it is sent back to.
    pub url: Option<String>,
    /// Of a device: the same with the code in it.
    pub complete_url: Option<String>,
    /// Of a device: what to type there.
    pub user_code: Option<String>,
    /// How long it is good, in whole seconds.
    pub ttl: Option<u64>,
}

/// `POST /v1/accounts/{account}/logout`: ends the login at the provider and forgets it.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutRequest {
    /// Whether it is only forgotten here, and the provider is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<bool>,
}

/// `GET /v1/accounts/{account}/sessions`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionsView {
    /// The account.
    pub account: String,
    /// What the provider lists, in its order.
    pub sessions: Vec<SessionView>,
}

/// One session at the provider, as far as it tells. Times are in the provider's own words.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct SessionView {
    /// Its id.
    pub id: String,
    /// Program or browser.
    pub device: Option<String>,
    /// Address that it was begun from.
    pub address: Option<String>,
    /// When it was begun.
    pub begun: Option<String>,
    /// When it was last used.
    pub used: Option<String>,
    /// When it ends.
    pub ends: Option<String>,
    /// Whether it is the daemon's own.
    pub current: bool,
}
