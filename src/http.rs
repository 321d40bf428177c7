//! The only way out: one HTTP request to a provider, and its response.
//!
//! The one file that names reqwest. What a request means is decided elsewhere; here it is
//! sent, once, or it is not.
//!
//! # Invariants
//!
//! * One [`Request`] is at most one request on the wire: no redirect is followed, nothing is
//!   retried, and no connection is used twice, since one that died in the meantime would take
//!   a refresh token with it.
//! * A failure of TLS is a failure. There is no fallback, neither to plain http nor to a
//!   certificate that the roots do not vouch for.
//! * Plain http goes where [`Transport::permits`] says. Proxies are not used: a proxy may
//!   replay a request.
//! * Everything is bounded: 3 s to connect, the caller's limit for all of it,
//!   [`MAX_HEAD`](crate::provider::MAX_HEAD) and [`MAX_BODY`].
//! * No error names a URL, a header or a part of a body.
//!
//! # Certificates
//!
//! The roots are the system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured), read when
//! the first exchange over TLS needs them and kept. A handshake that fails drops them, so the
//! next attempt sees what an administrator has put right; roots that cannot be read are not
//! kept either.

use std::io;
use std::io::Read as _;
use std::path::Path;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::header::HeaderName;
use reqwest::header::HeaderValue;
use url::Url;
use zeroize::Zeroizing;

use self::outgoing::Outgoing;
use self::outgoing::Taken;
use crate::error::RefreshError;
use crate::provider::MAX_BODY;
use crate::provider::Method;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Transport;
use crate::regular;
use crate::regular::Unopened;
use crate::time::Timestamp;

mod cause;
pub mod head;
mod outgoing;

/// Longest time to a usable connection: name, TCP and TLS.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// So long after the time is up what has arrived may still be read.
const LAST_LOOK: Duration = Duration::from_millis(50);

/// Most headers of a response.
const MAX_HEADERS: usize = 64;

/// Largest `ca_file`, in bytes. All public roots together are a fifth of that.
const MAX_CA_FILE: u64 = 1024 * 1024;

/// Most clients that are kept. One with roots costs 0.4 MB, and building it again some
/// milliseconds and a whole handshake in place of a resumed one.
const MOST_KEPT: usize = 4;

/// Sends requests. One for the whole daemon.
///
/// The lock is held while a client is looked up or built, never across an await, and by one
/// thread only.
#[derive(Default)]
pub struct Client {
    built: Mutex<Vec<(Roots, reqwest::Client)>>,
}

/// Why there is no response.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransportError {
    /// Nothing of the body left this host: no address, no connection, no trust in it.
    #[error("{0}")]
    NotSent(String),
    /// It may have arrived, and no answer to it did.
    #[error("{0}")]
    Lost(String),
}

impl TransportError {
    /// The failure that it is of an exchange whose last request did or did not
    /// [spend](Request::spends) a refresh token.
    pub fn into_error(self, spends: bool) -> RefreshError {
        match self {
            Self::Lost(cause) if spends => RefreshError::ReplyLost(cause),
            Self::Lost(cause) | Self::NotSent(cause) => RefreshError::Unreachable(cause),
        }
    }
}

impl Client {
    /// Sends a request and reads its response, all within `limit`.
    ///
    /// `wall` is the time of day: what a `Retry-After` in the form of a date counts from if
    /// the response has no `Date`.
    ///
    /// A response whose body breaks off, or is late, is still one, and says so
    /// ([`Response::complete`]): its status counts, and the new refresh token may be in what
    /// arrived. So is one of a failure whose body is too large: a page, as a rule, of
    /// something in front of the provider.
    ///
    /// # Errors
    ///
    /// [`TransportError`], with a cause in one line.
    pub async fn send(
        &self,
        request: Request,
        transport: &Transport,
        limit: Duration,
        wall: Timestamp,
    ) -> Result<Response, TransportError> {
        if !transport.permits(&request.url) {
            return Err(not_sent(
                "plain http is allowed to loopback, and with plain_http to private addresses, not to names",
            ));
        }
        let url = request.url.clone();
        let roots = Roots::of(&url, transport);
        let client = self.client(&roots)?;
        let (request, taken) = prepared(request)?;

        let mut time_is_up = pin!(time_is_up(limit));
        let mut response = tokio::select! {
            biased;
            sent = client.execute(request) => {
                sent.map_err(|error| self.failed(&error.without_url(), &roots, &taken))?
            }
            () = &mut time_is_up => return Err(late(&taken)),
        };

        let status = response.status().as_u16();
        let mut answer = head::read(status, response.headers(), &url, wall)?;
        answer.complete = loop {
            let chunk = tokio::select! {
                biased;
                chunk = response.chunk() => chunk,
                () = &mut time_is_up => break false,
            };
            match chunk {
                Ok(Some(chunk)) if append(&mut answer.body, &chunk) => {}
                Ok(Some(_)) if status < 300 => {
                    return Err(TransportError::Lost("the answer is larger than 256 KiB".into()));
                }
                Ok(Some(_)) | Err(_) => break false,
                Ok(None) => break true,
            }
        };
        Ok(answer)
    }

    fn client(&self, roots: &Roots) -> Result<reqwest::Client, TransportError> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = built.iter().find(|(own, _)| own == roots) {
            return Ok(client.clone());
        }
        let client = roots.client()?;
        if built.len() >= MOST_KEPT {
            built.remove(0);
        }
        built.push((roots.clone(), client.clone()));
        Ok(client)
    }

    fn failed(&self, error: &reqwest::Error, roots: &Roots, taken: &Taken) -> TransportError {
        let surely_not_sent = error.is_connect() || !taken.is_taken();
        if surely_not_sent && cause::is_tls(error) {
            let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
            built.retain(|(own, _)| own != roots);
        }
        match (surely_not_sent, error.is_timeout()) {
            (true, true) => TransportError::NotSent(format!(
                "no connection within {} s",
                CONNECT_LIMIT.as_secs()
            )),
            (true, false) => TransportError::NotSent(cause::innermost(error)),
            (false, _) => TransportError::Lost(cause::innermost(error)),
        }
    }
}

/// Whom a client trusts: what tells one client from another.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Roots {
    /// Nobody: plain http, which works on a host that has no certificates at all.
    Nobody,
    /// The system's roots.
    System,
    /// The system's, and those in this file.
    Also(Box<str>),
}

impl Roots {
    fn of(url: &Url, transport: &Transport) -> Self {
        match (url.scheme(), &transport.ca_file) {
            ("https", Some(path)) => Self::Also(path.clone()),
            ("https", None) => Self::System,
            _ => Self::Nobody,
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that builds a client")]
    fn client(&self) -> Result<reqwest::Client, TransportError> {
        let builder = reqwest::Client::builder();
        let builder = match self {
            Self::Nobody => builder.tls_certs_only([]),
            Self::System => builder,
            Self::Also(path) => builder.tls_certs_merge(certificates(path)?),
        };
        builder
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .no_proxy()
            .referer(false)
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .connect_timeout(CONNECT_LIMIT)
            // So that no resolver has a say in what this name means.
            .resolve_to_addrs("localhost", &[([127, 0, 0, 1], 0).into(), (LOOPBACK_V6, 0).into()])
            .build()
            .map_err(|error| {
                not_sent(&format!("TLS cannot be set up: {}", cause::innermost(&error)))
            })
    }
}

const LOOPBACK_V6: [u16; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

fn certificates(path: &str) -> Result<Vec<reqwest::Certificate>, TransportError> {
    let unreadable =
        |error: io::Error| not_sent(&format!("ca_file cannot be read: {}", error.kind()));
    let mut pem = Vec::new();
    let file = regular::open(Path::new(path)).map_err(|unopened| match unopened {
        Unopened::NotRegular => not_sent("ca_file is no regular file"),
        Unopened::Io(error) => unreadable(error),
    })?;
    file.take(MAX_CA_FILE + 1).read_to_end(&mut pem).map_err(unreadable)?;
    if pem.len() as u64 > MAX_CA_FILE {
        return Err(not_sent("ca_file is larger than 1 MiB"));
    }
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(not_sent("ca_file holds no certificate in PEM")),
    }
}

fn prepared(request: Request) -> Result<(reqwest::Request, Taken), TransportError> {
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        let name = HeaderName::try_from(name);
        let (Ok(name), Ok(mut value)) = (name, HeaderValue::try_from(value.expose())) else {
            return Err(not_sent("a header of the request cannot be written"));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Delete => reqwest::Method::DELETE,
    };
    let (body, taken) = Outgoing::new(request.body);
    let mut prepared = reqwest::Request::new(method, request.url);
    *prepared.headers_mut() = headers;
    *prepared.body_mut() = Some(reqwest::Body::wrap(body));
    Ok((prepared, taken))
}

/// Adds to a body that wipes its memory, also when it grows. Says whether there was room.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) -> bool {
    let length = body.len() + chunk.len();
    if length > MAX_BODY {
        return false;
    }
    if length > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
    true
}

/// Ends when the time is up, and what has arrived by then could be read: where the process stood still
/// for longer, the answer may be there.
async fn time_is_up(limit: Duration) {
    tokio::time::sleep(limit).await;
    tokio::time::sleep(LAST_LOOK).await;
}

fn late(taken: &Taken) -> TransportError {
    if taken.is_taken() {
        TransportError::Lost("no answer in time".into())
    } else {
        not_sent("no connection in time")
    }
}

fn not_sent(cause: &str) -> TransportError {
    TransportError::NotSent(cause.into())
}

#[cfg(test)]
mod tests;
