//! One request, one answer, over a plain blocking Unix socket.
//!
//! Requests are HTTP/1.0, so that answers are never chunked and the connection ends with
//! them; there is no runtime and no thread. Every read has a bound in bytes and in time.
//! Answers may hold tokens: their bytes are wiped when they are dropped.
//!
//! Reading order: [`Daemon`], then `reply` (reading one answer), then `events` (following).

pub(crate) mod events;
pub(crate) mod reply;
#[cfg(test)]
pub(crate) mod scripted;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokenkeeper::limits;
use tokenkeeper::protocol::error::ErrorBody;
use zeroize::Zeroizing;

use self::events::Events;
use self::reply::Garbled;
use self::reply::Reply;
use self::reply::is_timeout;
use crate::fault::Fault;
use crate::find::Origin;
use crate::find::Place;
use crate::wake;
use crate::wake::Wake;
use crate::wake::Woken;

/// The daemon, wherever it is.
pub(crate) struct Daemon {
    places: Vec<Place>,
    /// The place that answered first: the others are not asked any more.
    answering: OnceCell<usize>,
}

/// One request.
pub(crate) struct Request {
    method: &'static str,
    target: String,
    /// The tag of the answer that is known already.
    known: Option<String>,
    body: Option<Zeroizing<Vec<u8>>>,
    patience: Duration,
}

impl Request {
    /// How long the daemon may be silent beyond what a request asks it to wait: what a
    /// store on a slow disk takes, and then some.
    const PATIENCE: Duration = Duration::from_secs(15);

    /// Reads something.
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self {
            method: "GET",
            target: target.into(),
            known: None,
            body: None,
            patience: Self::PATIENCE,
        }
    }

    /// Has something done. The daemon may have to ask a provider first, and gives that as
    /// long as two of the longest exchanges.
    pub(crate) fn post(target: impl Into<String>) -> Self {
        Self {
            method: "POST",
            target: target.into(),
            known: None,
            body: None,
            patience: Self::PATIENCE + limits::ORDER,
        }
    }

    /// Has something ended, in the same time.
    pub(crate) fn delete(target: impl Into<String>) -> Self {
        Self { method: "DELETE", ..Self::post(target) }
    }

    /// The daemon has to ask a provider for it.
    pub(crate) fn slowly(self) -> Self {
        Self { patience: Self::PATIENCE + limits::ORDER, ..self }
    }

    /// With this JSON text.
    pub(crate) fn json(self, body: Zeroizing<Vec<u8>>) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The daemon is asked to wait this long, so its silence is not a fault before.
    pub(crate) fn waiting(self, wait: Duration) -> Self {
        Self { patience: Self::PATIENCE + wait, ..self }
    }

    /// The answer of this tag is known already.
    pub(crate) fn knowing(self, etag: Option<&str>) -> Self {
        Self { known: etag.map(str::to_owned), ..self }
    }

    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let body = self.body.as_deref().map_or(&[][..], Vec::as_slice);
        let mut bytes = Zeroizing::new(Vec::with_capacity(256 + self.target.len() + body.len()));
        for part in [self.method, " ", &self.target, " HTTP/1.0\r\nHost: localhost\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
        if let Some(etag) = &self.known {
            bytes.extend_from_slice(format!("If-None-Match: {etag}\r\n").as_bytes());
        }
        if self.body.is_some() {
            let head =
                format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            bytes.extend_from_slice(head.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes
    }
}

/// What came of asking for news.
pub(crate) enum News {
    /// An answer.
    Reply(Reply),
    /// What is known is still so.
    Unchanged,
    /// The program is to end.
    Ended,
    /// The watched file changed.
    Touched,
}

impl Daemon {
    /// The daemon at the first of `places` that is there.
    pub(crate) const fn new(places: Vec<Place>) -> Self {
        Self { places, answering: OnceCell::new() }
    }

    /// Asks, and returns what the daemon answers if it is not a refusal.
    ///
    /// # Errors
    ///
    /// No daemon, an answer that is none, or the refusal.
    pub(crate) fn ask(&self, request: &Request) -> Result<Reply, Fault> {
        let (mut stream, place) = self.send(request)?;
        let reply =
            reply::read(&mut stream).map_err(|why| garbled(place, request.patience, why))?;
        answered(reply, place)
    }

    /// The same for a person: once the daemon has been silent for `untold`, `tell` says where and
    /// for how much longer it is waited for.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub(crate) fn ask_telling(
        &self,
        request: &Request,
        untold: Duration,
        tell: impl FnOnce(&Place, Duration),
    ) -> Result<Reply, Fault> {
        let (mut stream, place) = self.send(request)?;
        let garbled = |why| garbled(place, request.patience, why);
        let broken = |error| garbled(Garbled::Broken(error));
        if !wake::is_readable(stream.as_fd(), untold).map_err(broken)? {
            let left = request.patience.saturating_sub(untold);
            tell(place, left);
            // A span of zero would mean for ever.
            stream.set_read_timeout(Some(left.max(Duration::from_secs(1)))).map_err(broken)?;
        }
        answered(reply::read(&mut stream).map_err(garbled)?, place)
    }

    /// Asks, and returns what the daemon answers, unless `wake` has something first.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and a `wake` that fails.
    pub(crate) fn ask_or(&self, request: &Request, wake: &Wake) -> Result<News, Fault> {
        let (mut stream, place) = self.send(request)?;
        let garbled = |why| garbled(place, request.patience, why);
        match wake.until(Some(stream.as_fd()), request.patience).map_err(Fault::Output)? {
            // Late: the read fails at once, as it does for everyone who asks.
            Woken::Ready | Woken::Late => {}
            Woken::Ended => return Ok(News::Ended),
            Woken::Touched => return Ok(News::Touched),
        }
        let reply = reply::read(&mut stream).map_err(garbled)?;
        match reply.status {
            200..=299 => Ok(News::Reply(reply)),
            304 => Ok(News::Unchanged),
            _ => Err(refusal(&reply, place)),
        }
    }

    /// Asks for something that the protocol has a type for.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask), and an answer that is not of this type.
    pub(crate) fn fetch<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<(T, Reply), Fault> {
        let reply = self.ask(request)?;
        let value = serde_json::from_slice(&reply.body).map_err(|_| self.unexpected())?;
        Ok((value, reply))
    }

    /// Asks for an event stream and returns once it has begun.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub(crate) fn follow(&self, request: &Request) -> Result<Events, Fault> {
        let (mut stream, place) = self.send(request)?;
        let (head, rest) =
            reply::read_head(&mut stream).map_err(|why| garbled(place, request.patience, why))?;
        match head.status {
            200..=299 => Ok(Events::new(stream, rest, place.path.clone())),
            _ => {
                let reply = reply::read_body(&mut stream, &head, rest)
                    .map_err(|why| garbled(place, request.patience, why))?;
                Err(refusal(&reply, place))
            }
        }
    }

    /// The place that has answered; before the first answer, none.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.places.get(*self.answering.get()?)
    }

    /// The fault of an answer that has another form than the protocol says.
    pub(crate) fn unexpected(&self) -> Fault {
        let socket = self.place().map(|place| place.path.clone()).unwrap_or_default();
        Fault::NotTheDaemon { socket, why: Garbled::Unexpected }
    }

    fn send(&self, request: &Request) -> Result<(UnixStream, &Place), Fault> {
        let (mut stream, place) = self.connect()?;
        let failed = |error| garbled(place, request.patience, Garbled::Broken(error));
        stream.set_read_timeout(Some(request.patience)).map_err(failed)?;
        stream.set_write_timeout(Some(request.patience)).map_err(failed)?;
        stream.write_all(&request.bytes()).map_err(failed)?;
        Ok((stream, place))
    }

    /// A socket that is not there lets the next one be tried; any other failure decides.
    fn connect(&self) -> Result<(UnixStream, &Place), Unreachable> {
        let mut tried = Vec::new();
        let first = self.answering.get().copied().unwrap_or_default();
        for (index, place) in self.places.iter().enumerate().skip(first) {
            match UnixStream::connect(&place.path) {
                Ok(stream) => {
                    self.answering.get_or_init(|| index);
                    return Ok((stream, place));
                }
                Err(error) => {
                    let absent = error.kind() == io::ErrorKind::NotFound;
                    tried.push(Attempt { place: place.clone(), error });
                    if !absent {
                        break;
                    }
                }
            }
        }
        Err(Unreachable { tried })
    }
}

/// No daemon answers: each path that was tried, and what to do.
#[derive(Debug)]
pub(crate) struct Unreachable {
    tried: Vec<Attempt>,
}

#[derive(Debug)]
struct Attempt {
    place: Place,
    error: io::Error,
}

impl std::error::Error for Unreachable {}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no daemon answers: ")?;
        for (index, attempt) in self.tried.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let (path, why) = (attempt.place.path.display(), attempt.why());
            write!(f, "{separator}{path} ({}) {why}", attempt.place.origin.as_str())?;
        }
        f.write_str(match self.tried.last() {
            Some(Attempt { error, .. }) if error.kind() == io::ErrorKind::PermissionDenied => {
                "; the mode of the socket or of a directory above it keeps you out"
            }
            Some(Attempt { place: Place { origin: Origin::User, .. }, .. }) => {
                "; try \"tokenkeeperd --user\""
            }
            Some(Attempt { place: Place { origin: Origin::System, .. }, .. }) => {
                "; try \"systemctl start tokenkeeper\""
            }
            Some(Attempt { error, .. }) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "; start that tokenkeeperd again"
            }
            _ => "; is that the socket of a running tokenkeeperd?",
        })
    }
}

impl Attempt {
    fn why(&self) -> Cow<'static, str> {
        if self.error.kind() == io::ErrorKind::NotFound {
            "is not there".into()
        } else if self.error.kind() == io::ErrorKind::ConnectionRefused {
            "is left of a daemon that runs no more".into()
        } else if self.error.kind() == io::ErrorKind::PermissionDenied {
            "may not be used by you".into()
        } else {
            format!("fails: {}", self.error).into()
        }
    }
}

fn garbled(place: &Place, patience: Duration, why: Garbled) -> Fault {
    let place = place.clone();
    match &why {
        Garbled::Broken(error) if is_timeout(error) => Fault::Silent { place, waited: patience },
        Garbled::Broken(error) if is_end(error) => Fault::WentAway { place },
        Garbled::HeadCut(0) => Fault::WentAway { place },
        Garbled::Broken(_)
        | Garbled::NotHttp(_)
        | Garbled::HeadTooLong
        | Garbled::HeadCut(_)
        | Garbled::BodyCut { .. }
        | Garbled::BodyTooLong
        | Garbled::BadLength
        | Garbled::Coded
        | Garbled::Status(_)
        | Garbled::LineTooLong(_)
        | Garbled::Unexpected => Fault::NotTheDaemon { socket: place.path, why },
    }
}

/// Whether the peer has gone: its end of the connection is closed.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn answered(reply: Reply, place: &Place) -> Result<Reply, Fault> {
    match reply.status {
        200..=299 => Ok(reply),
        _ => Err(refusal(&reply, place)),
    }
}

fn refusal(reply: &Reply, place: &Place) -> Fault {
    /// What every refusal has, whatever its code.
    #[derive(Deserialize)]
    struct Newer {
        message: String,
        error_code: String,
    }

    if let Ok(body) = serde_json::from_slice::<ErrorBody>(&reply.body) {
        return Fault::Refused { body: Box::new(body), nearest: None };
    }
    match serde_json::from_slice::<Newer>(&reply.body) {
        Ok(Newer { message, error_code }) => Fault::RefusedAnew { message, code: error_code },
        Err(_) => {
            Fault::NotTheDaemon { socket: place.path.clone(), why: Garbled::Status(reply.status) }
        }
    }
}

#[cfg(test)]
mod tests;
