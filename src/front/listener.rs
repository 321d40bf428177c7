//! Accepts connections on one socket and serves each, within the limits.
//!
//! A connection costs its user a place; when all places are taken the socket rests, and
//! what comes waits in the backlog. When the process runs out of descriptors, a reserve
//! is given up for as long as it takes to turn one peer away, so that the backlog does
//! not spin, and connections that are open go on.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::rc::Rc;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use nix::libc;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::attest::Process;
use crate::clock;
use crate::error::code::Code;
use crate::front::behind::Behind;
use crate::front::caller::Caller;
use crate::front::caller::Desk;
use crate::front::caller::Door;
use crate::front::dispatch::Answering;
use crate::front::line::Line;
use crate::front::line::Pulse;
use crate::front::line::hung_up;
use crate::front::peer;
use crate::front::peer::Mapping;
use crate::front::places::Place;
use crate::front::places::Places;
use crate::front::reply::Refused;
use crate::limits;
use crate::message::Message;
use crate::metrics::TurnedAway;
use crate::snapshot::Refusal;
use crate::wording;

/// One listening socket and what serves it.
pub(super) struct Listener {
    socket: UnixListener,
    door: Rc<Door>,
    desk: Rc<Desk>,
    places: Rc<Places>,
    mapping: Mapping,
    /// Connections of the watchdog, which no limit keeps out.
    probes: mpsc::Receiver<StdUnixStream>,
    reserve: Option<File>,
}

impl Listener {
    /// A listener for `socket`.
    pub(super) fn new(
        socket: UnixListener,
        door: Rc<Door>,
        desk: Rc<Desk>,
        places: Rc<Places>,
        probes: mpsc::Receiver<StdUnixStream>,
    ) -> Self {
        let mapping = Mapping::of_this_process();
        Self { socket, door, desk, places, mapping, probes, reserve: reserve() }
    }

    /// Serves until the daemon stops. Requests in flight then have [`limits::GRACE`].
    pub(super) async fn run(mut self) {
        let mut stopping = self.desk.stopping.clone();
        let mut connections = JoinSet::new();
        loop {
            let arrived = tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(ended) = connections.join_next() => {
                    report_panic(ended);
                    continue;
                }
                Some(probe) = self.probes.recv() => probed(probe),
                accepted = accept(&self.socket, &self.places) => match accepted {
                    Ok(stream) => self.admit(stream),
                    Err(error) => {
                        self.survive(&error).await;
                        None
                    }
                },
            };
            if let Some((stream, place)) = arrived {
                let served = self.serve(stream, place);
                connections.spawn_local(served);
            }
        }
        let rest = async {
            while let Some(ended) = connections.join_next().await {
                report_panic(ended);
            }
        };
        if tokio::time::timeout(limits::GRACE, rest).await.is_err() {
            let event = Message::Stopping.as_str();
            tracing::info!(event, socket = %self.door.path, "requests in flight were cut off by the stop");
        }
    }

    /// Gives the connection a place, or turns its peer away.
    fn admit(&self, stream: UnixStream) -> Option<(UnixStream, Option<Place>)> {
        let credentials = stream.peer_cred().ok()?;
        match self.places.take(credentials.uid()) {
            Some(place) => Some((stream, Some(place))),
            None => {
                self.desk.metrics.turned_away(TurnedAway::UserLimit);
                let message = format!(
                    "uid {} has {} connections open, as many as one user may have",
                    credentials.uid(),
                    limits::CONNECTIONS_PER_UID
                );
                let refusal = Refusal::new(Code::RateLimitExceeded, message);
                turn_away(&stream, &Refused::boxed(refusal));
                None
            }
        }
    }

    /// Serves one connection to its end.
    fn serve(
        &self,
        stream: UnixStream,
        place: Option<Place>,
    ) -> impl Future<Output = ()> + 'static {
        let (desk, door) = (self.desk.clone(), self.door.clone());
        let mapping = self.mapping;
        async move {
            let is_peer = place.is_some();
            let _place = place;
            let peer = match peer::of(&stream, mapping) {
                Ok(peer) => peer,
                Err(unknown) => {
                    desk.metrics.turned_away(TurnedAway::UnknownPeer);
                    let message = unknown.to_string();
                    let refusal = Refusal::new(Code::InsufficientPermissions, message);
                    turn_away(&stream, &Refused::boxed(refusal));
                    return;
                }
            };
            let stream = Rc::new(RefCell::new(stream));
            // The daemon's own probes belong to its own unit, and are to wait for nobody.
            let behind = is_peer.then(|| {
                let held = desk.holds(peer.uid, || Process::numbered_behind(&*stream.borrow()));
                Rc::new(Behind::new(stream.clone(), held))
            });
            desk.metrics.connected();
            converse(stream, Rc::new(Caller { desk: desk.clone(), door, peer, behind })).await;
            desk.metrics.disconnected();
        }
    }

    /// Goes on after a failed accept.
    async fn survive(&mut self, error: &io::Error) {
        let event = Message::NotAccepted.as_str();
        match error.raw_os_error() {
            // The peer was gone before it was accepted.
            Some(libc::ECONNABORTED | libc::EINTR) => {}
            Some(libc::EMFILE | libc::ENFILE) if self.reserve.take().is_some() => {
                tracing::warn!(event, socket = %self.door.path, "no descriptor left for a new connection");
                self.desk.metrics.turned_away(TurnedAway::NoDescriptor);
                // What waits longest is closed: it would wait for nothing.
                if let Some(Ok(turned_away)) = at_once(self.socket.accept()) {
                    drop(turned_away);
                }
                self.reserve = reserve();
                tokio::time::sleep(limits::ACCEPT_BACKOFF).await;
            }
            _ => {
                tracing::warn!(event, socket = %self.door.path, %error, "a connection was not accepted");
                self.reserve = self.reserve.take().or_else(reserve);
                tokio::time::sleep(limits::ACCEPT_BACKOFF).await;
            }
        }
    }
}

async fn accept(socket: &UnixListener, places: &Places) -> io::Result<UnixStream> {
    places.free().await;
    socket.accept().await.map(|(stream, _)| stream)
}

/// What a future has ready, if anything.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut cx) {
        std::task::Poll::Ready(done) => Some(done),
        std::task::Poll::Pending => None,
    }
}

fn probed(probe: StdUnixStream) -> Option<(UnixStream, Option<Place>)> {
    probe.set_nonblocking(true).and_then(|()| UnixStream::from_std(probe)).ok().map(|it| (it, None))
}

/// Serves the requests of one connection.
pub(super) async fn converse(stream: Rc<RefCell<UnixStream>>, caller: Rc<Caller>) {
    let desk = caller.desk.clone();
    let mut stopping = desk.stopping.clone();
    let pulse = Rc::<Pulse>::default();
    let line = TokioIo::new(Line::new(stream.clone(), pulse.clone()));
    let mut connection = http1::Builder::new()
        .max_header_size(limits::HEAD)
        .max_buf_size(limits::HEAD)
        .header_read_timeout(None)
        .half_close(true)
        .serve_connection(line, Answering::new(caller, pulse.clone()));
    let ended = tokio::select! {
        biased;
        ended = to_its_end(&mut connection, &stream) => Some(ended),
        _ = stopping.wait_for(|stopping| *stopping) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            to_its_end(&mut connection, &stream).await
        }
    };
    if let Some(status) = pulse.broken() {
        drop(connection);
        turn_away(&stream.borrow(), &no_request(status));
        desk.metrics.answered(status);
    } else if let Err(error) = ended {
        // A peer that hangs up or breaks a limit is its own business.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// What a connection ends with. A peer that hangs up ends it, whatever is being answered.
async fn to_its_end(
    connection: &mut (impl Future<Output = hyper::Result<()>> + Unpin),
    stream: &RefCell<UnixStream>,
) -> hyper::Result<()> {
    tokio::select! {
        biased;
        ended = connection => ended,
        () = hung_up(stream) => Ok(()),
    }
}

/// What is told of bytes that are no request. hyper's status says what is wrong with them.
fn no_request(status: u16) -> Refused {
    /// hyper's own limit.
    const MOST_HEADERS: usize = 100;

    let message = match status {
        414 | 431 => format!(
            "the head of the request is larger than {} KiB, or has more than {MOST_HEADERS} headers",
            limits::HEAD / 1024
        ),
        _ => "what came is no request of HTTP/1.1".to_owned(),
    };
    Refused::with_status(status, Refusal::new(Code::BadRequest, message))
}

/// A file that is open for the sake of its descriptor.
fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Tells a peer why it is not heard, if its buffer takes it, and hangs up.
fn turn_away(stream: &UnixStream, refused: &Refused) {
    let now = clock::now();
    let body = wording::error_body(&refused.refusal, None, now);
    // A body of strings and numbers always has a JSON text.
    let body = serde_json::to_string(&body).unwrap_or_default();
    let status = refused.status();
    let retry = match wording::retry_after(&refused.refusal, now) {
        Some(secs) => format!("retry-after: {secs}\r\n"),
        None => String::new(),
    };
    let answer = format!(
        "HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\n{retry}connection: close\r\n\r\n{body}",
        body.len()
    );
    if let Err(error) = stream.try_write(answer.as_bytes()) {
        tracing::debug!(%error, "a peer was turned away unheard and did not hear why");
    }
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        let (event, code) = (Message::Panicked.as_str(), Code::Internal.as_str());
        tracing::error!(event, code, "a connection ended in a panic");
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::front::bind;
    use crate::front::tests::world::Stopwatch;
    use crate::front::tests::world::World;
    use crate::front::tests::world::alone;
    use crate::front::tests::world::fresh;
    use crate::front::tests::world::read;

    #[test]
    fn a_user_with_all_its_connections_open_is_told_so_and_one_that_leaves_makes_room() {
        alone(async {
            let house = House::open("share", Places::of(8, 2));
            let mut first = house.connect().await;
            greet(&mut first).await;
            let mut second = house.connect().await;
            greet(&mut second).await;

            let reply = read(house.connect().await).await;
            assert_eq!((reply.status, reply.code().as_str()), (429, "RATE_LIMIT_EXCEEDED"));
            assert!(reply.header("retry-after").is_some());

            drop(first);
            let mut third = house.connect().await;
            // The place is free when the server has seen the end of the first.
            while !greeted(&mut third).await {
                third = house.connect().await;
            }
            greet(&mut second).await;
        });
    }

    #[test]
    fn a_full_house_lets_the_next_wait_until_somebody_leaves() {
        alone(async {
            let house = House::open("full", Places::of(1, 1));
            let mut first = house.connect().await;
            greet(&mut first).await;
            let mut second = house.connect().await;
            let hurried = tokio::time::timeout(Duration::from_secs(5), greeted(&mut second));
            assert!(hurried.await.is_err(), "the second was served, or turned away");
            drop(first);
            let mut rest = [0; 12];
            second.read_exact(&mut rest).await.unwrap();
            assert_eq!(&rest, b"HTTP/1.1 200");
        });
    }

    #[test]
    fn without_descriptors_one_peer_is_turned_away_and_the_reserve_is_taken_back() {
        alone(async {
            let house = House::new("reserve");
            let mut listener = house.listener(Places::of(8, 8));
            let waiting = house.connect().await;
            let begin = Stopwatch::start();
            listener.survive(&io::Error::from_raw_os_error(libc::EMFILE)).await;
            assert_eq!(read(waiting).await.head, "", "it is closed, not left to wait");
            assert!(listener.reserve.is_some());
            assert_eq!(
                begin.millis(),
                limits::ACCEPT_BACKOFF.as_millis(),
                "the loop does not spin"
            );

            let mut next = house.connect().await;
            let mut serving = JoinSet::new();
            serving.spawn_local(listener.run());
            greet(&mut next).await;
        });
    }

    /// A socket in a directory of its own, and a world behind it.
    struct House {
        world: World,
        directory: PathBuf,
        serving: JoinSet<()>,
    }

    impl House {
        fn new(name: &str) -> Self {
            let name = format!("tokenkeeper-listener-{}-{name}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            let world = World::new(fresh(7, 600));
            Self { world, directory, serving: JoinSet::new() }
        }

        fn open(name: &str, places: Places) -> Self {
            let mut house = Self::new(name);
            let listener = house.listener(places);
            house.serving.spawn_local(listener.run());
            house
        }

        fn listener(&self, places: Places) -> Listener {
            let socket = bind::bind(&self.socket(), 0o600).unwrap();
            socket.set_nonblocking(true).unwrap();
            let socket = UnixListener::from_std(socket).unwrap();
            let door = Rc::new(Door { path: "/run/test.sock".into(), narrowing: None });
            let probes = mpsc::channel(1).1;
            Listener::new(socket, door, self.world.desk.clone(), Rc::new(places), probes)
        }

        fn socket(&self) -> PathBuf {
            self.directory.join("api.sock")
        }

        async fn connect(&self) -> UnixStream {
            UnixStream::connect(self.socket()).await.unwrap()
        }
    }

    impl Drop for House {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.directory).unwrap();
        }
    }

    async fn greet(stream: &mut UnixStream) {
        assert!(greeted(stream).await, "not served");
    }

    /// Whether a request on the connection is answered with 200.
    async fn greeted(stream: &mut UnixStream) -> bool {
        stream.write_all(b"GET /v1/whoami HTTP/1.1\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        let mut rest = [0; 4096];
        let more = stream.read(&mut rest).await.unwrap();
        more > 0 && &begin == b"HTTP/1.1 200"
    }
}
