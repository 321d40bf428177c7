//! The device grant, RFC 8628: a code is typed on another device, and the token endpoint
//! asked from time to time whether that has happened.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::login::Client;
use super::login::granted;
use super::login::of_a_login;
use super::login::out_of_order;
use super::login::unlisted;
use super::refusal::Meaning;
use super::reply;
use super::reply::Rules;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::provider::Response;
use crate::provider::fault::place;
use crate::provider::lifetime::seconds;
use crate::provider::login::Heard;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::provider::member::Member;
use crate::time::Timestamp;
use crate::token::Secret;

/// RFC 8628 section 3.4.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8628 section 3.2: how long to wait between two questions where nothing says it.
const INTERVAL: Duration = Duration::from_secs(5);

/// RFC 8628 section 3.5: what `slow_down` adds to that.
const SLOWER: Duration = Duration::from_secs(5);

/// Shortest interval that is kept to, whatever the provider puts up with.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Longest interval that is kept to: the code would expire before the second question.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// How long a code is good: at most, and where the provider forgets to say it.
const GOOD_FOR: (Duration, Duration) = (Duration::from_secs(3600), Duration::from_secs(600));

/// Longest texts that a person is shown, in bytes.
const LONGEST_CODE: usize = 64;
const LONGEST_URL: usize = 2048;

/// A login by device.
pub(super) struct Device {
    client: Client,
    url: Url,
    token: Url,
    /// None before the provider has given one.
    code: Option<Code>,
}

/// What the provider gave.
struct Code {
    device_code: Secret,
    user_code: Box<str>,
    url: Box<str>,
    complete: Option<Box<str>>,
    interval: Duration,
    until: Timestamp,
    /// The last time that was heard of.
    now: Timestamp,
}

impl Device {
    /// Begins at `url`, and asks at `token` whether it is done.
    pub(super) const fn new(client: Client, url: Url, token: Url) -> Self {
        Self { client, url, token, code: None }
    }

    /// What names this login at the provider: whoever has it gets the tokens.
    pub(super) fn told(&self) -> Option<&Secret> {
        self.code.as_ref().map(|code| &code.device_code)
    }

    /// Takes what the last turn asked for and says what comes next.
    pub(super) fn next(&mut self, heard: Heard) -> Result<Turn, RefreshError> {
        let Some(code) = &mut self.code else { return self.begin(heard) };
        match heard {
            Heard::Waited(now) => {
                code.now = now;
                self.poll()
            }
            Heard::Response(reply, now) => {
                code.now = now;
                self.polled(&reply)
            }
            // RFC 8628 section 3.5: after a timeout, more slowly.
            Heard::Lost(_) => {
                code.interval = (code.interval * 2).min(LONGEST_INTERVAL);
                Ok(code.pause())
            }
            Heard::Begun | Heard::Answer(..) | Heard::Called(_) => Err(out_of_order()),
        }
    }

    fn begin(&mut self, heard: Heard) -> Result<Turn, RefreshError> {
        match heard {
            Heard::Begun | Heard::Lost(_) => {
                let account = &self.client.account;
                let own = account.scope.as_deref().map(|scope| ("scope", scope));
                let own = self.named(own);
                self.client.post(&self.url, own, &account.doors.auth_params)
            }
            Heard::Response(answer, now) => {
                let code = read(&answer, &self.url, now)?;
                let pause = code.pause();
                self.code = Some(code);
                Ok(pause)
            }
            Heard::Answer(..) | Heard::Waited(_) | Heard::Called(_) => Err(out_of_order()),
        }
    }

    fn poll(&self) -> Result<Turn, RefreshError> {
        let Some(code) = &self.code else { return Err(out_of_order()) };
        if code.now >= code.until {
            let answer = OauthError::new("expired_token", Some("the code was not typed in time"));
            return Err(RefreshError::SessionExpired(answer));
        }
        let own = [("grant_type", GRANT_TYPE), ("device_code", code.device_code.expose())];
        self.client.post(&self.token, self.named(own), &self.client.account.token_params)
    }

    /// RFC 8628 section 3.5.
    fn polled(&mut self, reply: &Response) -> Result<Turn, RefreshError> {
        let Some(code) = &mut self.code else { return Err(out_of_order()) };
        let word = reply::word(reply);
        match word.as_ref().map(|word| &*word.code) {
            Some("authorization_pending") => return Ok(code.pause()),
            Some("slow_down") => return Ok(code.slower(reply.retry_after)),
            Some("expired_token") => {
                let answer = word.unwrap_or_else(|| OauthError::status(reply.status));
                return Err(RefreshError::SessionExpired(answer));
            }
            Some(_) | None => {}
        }
        if let Some(error) = unlisted(reply) {
            return Err(error);
        }
        let endpoint = place(&self.token);
        let default_lifetime = self.client.account.profile.default_lifetime();
        let rules = Rules { endpoint: &endpoint, default_lifetime, spends: false };
        match granted(reply::read(reply, rules)) {
            Err(RefreshError::Throttled { .. } | RefreshError::Unavailable { .. }) => {
                Ok(code.slower(reply.retry_after))
            }
            turn => turn,
        }
    }

    /// RFC 8628 section 3.1 and 3.4: a client that does not authenticate says which it is,
    /// which `Client::post` sees to; one that does may say it too, and some providers want it.
    fn named<'a>(
        &'a self,
        own: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<(&'a str, &'a str)> {
        let account = &self.client.account;
        let basic = account.client_auth == super::ClientAuth::Basic;
        let name = basic.then_some(("client_id", &*account.client_id));
        own.into_iter().chain(name).collect()
    }
}

impl Code {
    fn pause(&self) -> Turn {
        let shown = Prompt::Device {
            url: self.url.clone(),
            complete: self.complete.clone(),
            user_code: self.user_code.clone(),
            good_for: self.until.since(self.now),
        };
        Turn::Pause { span: self.interval, shown }
    }

    fn slower(&mut self, retry_after: Option<Duration>) -> Turn {
        let wished = retry_after.unwrap_or_default();
        self.interval = (self.interval + SLOWER).max(wished).min(LONGEST_INTERVAL);
        self.pause()
    }
}

/// RFC 8628 section 3.2, with the name that Google had for the address before.
fn read(answer: &Response, url: &Url, now: Timestamp) -> Result<Code, RefreshError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Given {
        device_code: Member,
        user_code: Member,
        verification_uri: Member,
        verification_url: Member,
        verification_uri_complete: Member,
        expires_in: Member,
        interval: Member,
    }

    if let Some(word) = reply::word(answer) {
        let error = match Meaning::of(&word.code) {
            Some(meaning) => meaning.into_error(word, answer.retry_after),
            None => RefreshError::LoginRejected(word),
        };
        return Err(of_a_login(error));
    }
    if !(200..300).contains(&answer.status) {
        let endpoint = place(url);
        let rules = Rules { endpoint: &endpoint, default_lifetime: Duration::ZERO, spends: false };
        return Err(of_a_login(reply::failure(answer, rules)));
    }
    let unusable = || RefreshError::NotTheProvider("no code for a device in it".into());
    let given = serde_json::from_slice::<Given>(&answer.body).map_err(|_| unusable())?;
    let url = given.verification_uri.text().or_else(|| given.verification_url.text());
    let url = url.and_then(address).ok_or_else(unusable)?;
    let user_code = given.user_code.text().map(Secret::expose).filter(|code| {
        code.len() <= LONGEST_CODE && code.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    });
    let user_code = user_code.ok_or_else(unusable)?.into();
    let complete = given.verification_uri_complete.text().and_then(address);
    let span = |member: &Member| {
        seconds(member).and_then(|secs| Duration::try_from_secs_f64(secs.max(0.0)).ok())
    };
    let (longest, usual) = GOOD_FOR;
    let good_for = span(&given.expires_in).unwrap_or(usual).min(longest);
    // None at all says nothing about how long to wait.
    let interval = span(&given.interval).filter(|span| !span.is_zero()).unwrap_or(INTERVAL);
    Ok(Code {
        device_code: given.device_code.into_text().ok_or_else(unusable)?,
        user_code,
        url,
        complete,
        interval: interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL),
        until: now + good_for,
        now,
    })
}

/// An address that a person can be told to open.
fn address(text: &Secret) -> Option<Box<str>> {
    let text = text.expose();
    let url = Url::parse(text).ok().filter(|_| text.len() <= LONGEST_URL)?;
    matches!(url.scheme(), "https" | "http").then(|| url.as_str().into())
}
