//! What a peer sends on the socket, through a whole connection to the server that ships.
//!
//! An input is all that a peer says before it ends its side. Promises: the server answers or
//! closes, and goes on serving; a request that is whole is answered, and each answer is; no answer
//! sends a client library into its own login or blames the daemon; an error is one that programs can
//! read, and repeats nothing that may be a token.

use std::fs;
use std::io::ErrorKind;
use std::io::Read as _;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::panic;
use std::process;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tokenkeeper::access::Masters;
use tokenkeeper::attest::Attestor;
use tokenkeeper::clock;
use tokenkeeper::front;
use tokenkeeper::front::Front;
use tokenkeeper::front::Listening;
use tokenkeeper::keeper::Directory;
use tokenkeeper::keeper::Keeper;
use tokenkeeper::keeper::Seat;
use tokenkeeper::lifecycle::Account;
use tokenkeeper::lifecycle::words::Beginning;
use tokenkeeper::limits;
use tokenkeeper::metrics::Metrics;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::snapshot::Held;
use tokenkeeper::snapshot::Snapshot;
use tokenkeeper::snapshot::StateName;
use tokenkeeper::time::Jitter;
use tokenkeeper::token::Generation;
use tokenkeeper::token::Secret;
use tokenkeeper::token::TokenSet;
use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::watch;

use super::hygiene;
use super::token_replies;

const ACCOUNT: &str = "[accounts.mail]\ntoken_endpoint = 'https://i.example'\nclient_id = 'c'\n";

/// The longest that a peer waits which has said all that it has to say. A peer that hangs up ends
/// what it waits for, so nothing of the daemon's takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What an input may have: far more than is ever read of one request.
const LONGEST: usize = 4 * limits::BODY;

/// Says the input and reads what comes.
pub fn run(input: &[u8]) {
    let server = Server::running();
    let said = &input[..input.len().min(LONGEST)];
    let heard = server.converse(said);
    assert!(!server.panicked(), "the serve thread panicked");
    assert!(!heard.is_empty() || !asks(said), "a request that is whole is not answered");
    // Only an answer to such a request names the length of a body that is left out.
    let asks_for_heads = said.windows(4).any(|window| window == b"HEAD");
    let mut rest = heard.as_slice();
    while !rest.is_empty() {
        rest = reply(rest, asks_for_heads);
    }
}

/// Whether what is said begins with a request that is whole: nothing of it is still to come.
fn asks(said: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut headers);
    let is_whole = head.parse(said).is_ok_and(|status| status.is_complete());
    let brings = |name: &&str| head.headers.iter().any(|it| it.name.eq_ignore_ascii_case(name));
    is_whole && !["content-length", "transfer-encoding", "expect", "upgrade"].iter().any(brings)
}

/// Checks the reply that the bytes begin with, and gives what is after it.
fn reply(bytes: &[u8], asks_for_heads: bool) -> &[u8] {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => {
            assert!(follows_events(bytes), "a reply ends in its head");
            return &[];
        }
        Err(error) => panic!("a reply that is none: {error}"),
    };
    let status = head.code.expect("a head that is complete has one");
    assert!(status != 401, "a client library would begin a login of its own");
    assert!(status != 500, "the daemon blames itself: {}", String::from_utf8_lossy(bytes));
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let rest = &bytes[length..];
    if matches!(status, 100..200 | 204 | 304) {
        return rest;
    }
    let Some(length) = header("content-length") else {
        // It is read no further than its head.
        assert!(follows_events(bytes), "a reply whose end nobody knows");
        return &[];
    };
    let length = length.parse().expect("a length is a number");
    if asks_for_heads && length > 0 && (rest.is_empty() || rest.starts_with(b"HTTP/1.")) {
        return rest;
    }
    let (body, after) = rest.split_at_checked(length).expect("a reply is not cut short");
    hygiene::hides(&String::from_utf8_lossy(body));
    if status >= 400 {
        let error = serde_json::from_slice::<ErrorBody>(body).expect("an error is an ErrorBody");
        hygiene::message(&error.message);
        assert_eq!(header("content-type"), Some("application/json"));
    }
    after
}

/// The server, on its own thread, until the process ends.
struct Server {
    address: SocketAddr,
    _front: Front,
}

/// Whether anything panicked on the thread of the server, which itself goes on.
static PANICKED: AtomicBool = AtomicBool::new(false);

impl Server {
    fn running() -> &'static Self {
        static RUNNING: OnceLock<Server> = OnceLock::new();
        RUNNING.get_or_init(Self::start)
    }

    fn start() -> Self {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() == Some("serve") {
                PANICKED.store(true, Ordering::SeqCst);
            }
            before(info);
        }));
        let name = format!("tokenkeeper-fuzz-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an abstract name");
        let socket = UnixListener::bind_addr(&address).expect("a listening socket");
        let listening = vec![Listening { socket, path: "/fuzz".into(), narrowing: None }];
        let own_uid = fs::metadata("/proc/self").expect("a process of its own").uid();
        let attestor = Attestor::new().0;
        let metrics = Arc::new(Metrics::new());
        let front = front::start(listening, keeper(), Masters { own_uid }, attestor, metrics);
        Self { address, _front: front.expect("a server") }
    }

    fn panicked(&self) -> bool {
        PANICKED.load(Ordering::SeqCst)
    }

    /// Says that, ends, and hears what comes.
    fn converse(&self, said: &[u8]) -> Vec<u8> {
        let stream = UnixStream::connect_addr(&self.address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a patience");
        thread::scope(|scope| {
            // It need not be read to its end.
            scope.spawn(|| {
                (&stream).write_all(said).and_then(|()| stream.shutdown(Shutdown::Write))
            });
            let (mut heard, mut piece) = (Vec::new(), [0; 16 * 1024]);
            while !follows_events(&heard) {
                match (&stream).read(&mut piece) {
                    Ok(0) => break,
                    Ok(length) => heard.extend_from_slice(&piece[..length]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                    Err(error) => panic!("no end after {PATIENCE:?}: {error}"),
                }
            }
            heard
        })
    }
}

/// Whether what was heard is a stream of events, which goes on for as long as somebody follows.
fn follows_events(heard: &[u8]) -> bool {
    const TYPE: &[u8] = b"\r\ncontent-type: text/event-stream\r\n";
    heard.windows(TYPE.len()).any(|window| window == TYPE)
}

/// One account with an access token, and nobody who carries out an order.
fn keeper() -> Keeper {
    let now = clock::now();
    let hour = Duration::from_secs(3_600);
    let held = Held {
        tokens: Arc::new(TokenSet {
            access: Secret::new("token-7"),
            id: None,
            token_type: "Bearer".into(),
            scope: None,
        }),
        generation: Generation(7),
        issued_at: now.wall,
        lifetime: hour * 24 * 365,
        expires_boot: now.boot + hour * 24 * 365,
        expires_wall: now.wall + hour * 24 * 365,
        aws: None,
    };
    let (account, settings) = token_replies::config(ACCOUNT).accounts.pop_first().expect("one");
    let beginning = Beginning {
        id: account.clone(),
        plan: Arc::clone(&settings.plan),
        lineage: settings.provider.profile().lineage.clone(),
        record: None,
    };
    let (vacant, _) = Account::begin(beginning, now, Jitter::new(0.0));
    let snapshot = Snapshot {
        state: StateName::Fresh,
        generation: Generation(7),
        held: Some(held),
        ..vacant.snapshot()
    };
    let seat = Seat {
        account: account.clone(),
        provider: Arc::clone(&settings.provider),
        rules: Arc::default(),
        hooks: Arc::default(),
        snapshot: watch::channel(Arc::new(snapshot)).1,
    };
    let directory = Directory::new([(account, Arc::new(seat))].into(), Vec::new(), Vec::new());
    Keeper::new(
        watch::channel(Arc::new(directory)).1,
        mpsc::channel(1).0,
        mpsc::channel(1).0,
        mpsc::channel(1).0,
        broadcast::channel(1).0,
    )
}
