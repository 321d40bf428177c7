//! A front with everything behind it in the hands of the test.

use std::cell::RefCell;
use std::future::Future;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::runtime::Builder;
use tokio::runtime::LocalOptions;
use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::access::Masters;
use crate::access::Narrowing;
use crate::access::Peer;
use crate::access::Principal;
use crate::access::Right;
use crate::access::Rights;
use crate::access::Rule;
use crate::asking::pace::Pace;
use crate::attest;
use crate::attest::Attestor;
use crate::attest::Process;
use crate::attest::Question;
use crate::clock;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::front::behind::Behind;
use crate::front::caller::Caller;
use crate::front::caller::Desk;
use crate::front::caller::Door;
use crate::front::listener::converse;
use crate::front::openapi;
use crate::front::places::Places;
use crate::front::router::Router;
use crate::keeper::Directory;
use crate::keeper::Errand;
use crate::keeper::Keeper;
use crate::keeper::Order;
use crate::keeper::Seat;
use crate::keeper::visit::Call;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Done;
use crate::metrics::Metrics;
use crate::name::AccountId;
use crate::notice::Notice;
use crate::provider::silent;
use crate::record::Failure;
use crate::snapshot::Held;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::token::Generation;
use crate::token::Secret;
use crate::token::TokenSet;
use crate::unit::Unit;

/// May read and report `mail`, and nothing else.
pub(in crate::front) const READER: u32 = 1000;
/// May refresh and report `mail`.
pub(in crate::front) const REFRESHER: u32 = 1001;
/// Has the right `admin` on `mail`.
pub(in crate::front) const KEEPER: u32 = 1002;
/// Is named by `[daemon] admin`.
pub(in crate::front) const OPERATOR: u32 = 1003;
/// Is named by `[daemon] metrics`.
pub(in crate::front) const SCRAPER: u32 = 1004;
/// Is named nowhere.
pub(in crate::front) const STRANGER: u32 = 1005;
/// The daemon's own user.
pub(in crate::front) const OWN: u32 = 900;

/// A front and the other ends of its channels.
pub(in crate::front) struct World {
    pub(in crate::front) desk: Rc<Desk>,
    pub(in crate::front) mail: watch::Sender<Arc<Snapshot>>,
    pub(in crate::front) directory: watch::Sender<Arc<Directory>>,
    pub(in crate::front) orders: RefCell<mpsc::Receiver<Order>>,
    pub(in crate::front) errands: RefCell<mpsc::Receiver<Errand>>,
    pub(in crate::front) calls: RefCell<mpsc::Receiver<Call>>,
    pub(in crate::front) questions: RefCell<mpsc::Receiver<Question>>,
    pub(in crate::front) notices: broadcast::Sender<Arc<Notice>>,
    pub(in crate::front) stop: watch::Sender<bool>,
    connections: RefCell<JoinSet<()>>,
    _ci: watch::Sender<Arc<Snapshot>>,
}

/// Time on the runtime's paused clock since some moment.
pub(in crate::front) struct Stopwatch(Instant);

impl Stopwatch {
    /// From now on.
    #[allow(clippy::disallowed_methods, reason = "the paused clock stands still by itself")]
    pub(in crate::front) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds so far.
    pub(in crate::front) fn millis(&self) -> u128 {
        self.0.elapsed().as_millis()
    }

    /// Whole seconds so far.
    pub(in crate::front) fn secs(&self) -> u64 {
        self.0.elapsed().as_secs()
    }
}

/// Runs a test on paused time.
pub(in crate::front) fn alone(test: impl Future<Output = ()>) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build_local(LocalOptions::default());
    runtime.unwrap().block_on(test);
}

impl World {
    /// Two accounts: `mail`, which is `snapshot`, and `ci`, which nobody but masters may use.
    pub(in crate::front) fn new(snapshot: Snapshot) -> Self {
        let (mail, mail_seen) = watch::channel(Arc::new(snapshot));
        let (ci, ci_seen) = watch::channel(Arc::new(fresh(1, 3_600)));
        let rules = vec![
            rule(READER, Rights::DEFAULT),
            rule(REFRESHER, Rights::NONE.with(Right::Refresh).with(Right::Report)),
            rule(KEEPER, Rights::NONE.with(Right::Admin)),
        ];
        let seats = [seat("mail", rules, mail_seen), seat("ci", Vec::new(), ci_seen)];
        let (directory, directory_seen) = watch::channel(Arc::new(directory_of(seats)));
        let (order, orders) = mpsc::channel(8);
        let (errand, errands) = mpsc::channel(8);
        let (call, calls) = mpsc::channel(8);
        let (notices, _) = broadcast::channel(4);
        let (stop, stopping) = watch::channel(false);
        let (attestor, questions) = Attestor::new();
        let desk = Rc::new(Desk {
            keeper: Keeper::new(directory_seen, order, errand, call, notices.clone()),
            masters: Masters { own_uid: OWN },
            attestor,
            proof: attest::proof_of_kernel().unwrap(),
            held: Rc::new(Places::of(8, 8)),
            metrics: Arc::new(Metrics::new()),
            router: Router::new().unwrap(),
            started: clock::now(),
            openapi: openapi::text().unwrap(),
            sheets: RefCell::default(),
            pace: RefCell::new(Pace::refreshes()),
            logins: RefCell::new(Pace::logins()),
            refusals: RefCell::default(),
            stopping,
        });
        Self {
            desk,
            mail,
            directory,
            orders: RefCell::new(orders),
            errands: RefCell::new(errands),
            calls: RefCell::new(calls),
            questions: RefCell::new(questions),
            notices,
            stop,
            connections: RefCell::default(),
            _ci: ci,
        }
    }

    /// A connection of `uid` to the ordinary socket.
    pub(in crate::front) fn connect(&self, uid: u32) -> UnixStream {
        self.connect_through(uid, None)
    }

    /// A connection of `uid` to a socket of that narrowing.
    pub(in crate::front) fn connect_through(
        &self,
        uid: u32,
        narrowing: Option<Narrowing>,
    ) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let unit = Unit::Unasked;
        let peer = Peer { uid, gid: uid, groups: vec![50, 60], pid: Some(42), unit };
        let door = Rc::new(Door { path: "/run/test.sock".into(), narrowing });
        let theirs = Rc::new(RefCell::new(theirs));
        // Both ends are this process, which an older kernel has to have held.
        let held = self.desk.holds(uid, || Process::numbered(std::process::id()));
        let behind = Some(Rc::new(Behind::new(theirs.clone(), held)));
        let caller = Rc::new(Caller { desk: self.desk.clone(), door, peer, behind });
        self.connections.borrow_mut().spawn_local(converse(theirs, caller));
        ours
    }

    /// What `uid` is answered to one request: its line and further header lines, no body.
    pub(in crate::front) async fn ask(&self, uid: u32, head: &str) -> Reply {
        self.ask_with(uid, head, "").await
    }

    /// The same with a body.
    pub(in crate::front) async fn ask_with(&self, uid: u32, head: &str, body: &str) -> Reply {
        say(self.connect(uid), head, body).await
    }

    /// Takes the next order, answers it and publishes what comes of it.
    pub(in crate::front) async fn obey(
        &self,
        outcome: Result<Done, Refusal>,
        publish: impl IntoIterator<Item = Snapshot>,
    ) -> Action {
        let order = self.next_order().await;
        assert!(order.reply.send(outcome).is_ok(), "nobody waits for the order any more");
        for snapshot in publish {
            self.publish(snapshot);
        }
        order.action
    }

    /// The next order.
    pub(in crate::front) async fn next_order(&self) -> Order {
        poll_fn(|cx| self.orders.borrow_mut().poll_recv(cx)).await.unwrap()
    }

    /// The next errand.
    pub(in crate::front) async fn next_errand(&self) -> Errand {
        poll_fn(|cx| self.errands.borrow_mut().poll_recv(cx)).await.unwrap()
    }

    /// The next call.
    pub(in crate::front) async fn next_call(&self) -> Call {
        poll_fn(|cx| self.calls.borrow_mut().poll_recv(cx)).await.unwrap()
    }

    /// The next question about a unit.
    pub(in crate::front) async fn next_question(&self) -> Question {
        poll_fn(|cx| self.questions.borrow_mut().poll_recv(cx)).await.unwrap()
    }

    /// Whether somebody's unit is asked for.
    pub(in crate::front) fn is_asked(&self) -> bool {
        self.questions.borrow_mut().try_recv().is_ok()
    }

    /// Whether nobody ordered anything.
    pub(in crate::front) fn is_quiet(&self) -> bool {
        self.orders.borrow_mut().try_recv().is_err() && self.calls.borrow_mut().try_recv().is_err()
    }

    /// The end of the next connection that ends.
    pub(in crate::front) async fn next_end(&self) {
        poll_fn(|cx| self.connections.borrow_mut().poll_join_next(cx)).await.unwrap().unwrap();
    }

    /// Publishes how `mail` stands.
    pub(in crate::front) fn publish(&self, snapshot: Snapshot) {
        self.mail.send_replace(Arc::new(snapshot));
    }
}

/// One answer.
pub(in crate::front) struct Reply {
    pub(in crate::front) status: u16,
    pub(in crate::front) head: String,
    pub(in crate::front) body: String,
}

impl Reply {
    /// The value of a header.
    pub(in crate::front) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body as JSON.
    pub(in crate::front) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// `error_code` of the body.
    pub(in crate::front) fn code(&self) -> String {
        self.json()["error_code"].as_str().unwrap().to_owned()
    }
}

/// Sends one request and reads to the end.
pub(in crate::front) async fn say(mut stream: UnixStream, head: &str, body: &str) -> Reply {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let mut request = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    for header in headers.lines() {
        request.push_str(&format!("{header}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes()).await.unwrap();
    read(stream).await
}

/// Reads an answer to the end of the connection.
pub(in crate::front) async fn read(mut stream: UnixStream) -> Reply {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text).await {
        Ok(_) => {}
        // How a socket ends that was closed with something of ours unread.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

/// The directory of those accounts.
pub(in crate::front) fn directory_of(seats: impl IntoIterator<Item = Seat>) -> Directory {
    let seats = seats.into_iter().map(|seat| (seat.account.clone(), Arc::new(seat)));
    let (admin, metrics) = (rule(OPERATOR, Rights::NONE), rule(SCRAPER, Rights::NONE));
    Directory::new(seats.collect(), vec![admin], vec![metrics])
}

/// An account as a directory holds it.
pub(in crate::front) fn seat(
    name: &str,
    rules: Vec<Rule>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
) -> Seat {
    let provider = silent::provider("");
    let account = AccountId::parse(name).unwrap();
    Seat { account, provider, rules: rules.into(), hooks: Arc::default(), snapshot }
}

/// A rule for one user.
pub(in crate::front) fn rule(uid: u32, rights: Rights) -> Rule {
    Rule { user: Some(Principal::Id(uid)), group: None, unit: None, rights }
}

/// Fresh, with `ttl` seconds left of an hour. The token says its generation.
pub(in crate::front) fn fresh(generation: u64, ttl: u64) -> Snapshot {
    let now = clock::now();
    let (lifetime, left) = (Duration::from_secs(3_600), Duration::from_secs(ttl));
    let held = Held {
        tokens: Arc::new(TokenSet {
            access: Secret::new(format!("token-{generation}")),
            id: None,
            token_type: "Bearer".into(),
            scope: None,
        }),
        generation: Generation(generation),
        issued_at: now.wall.before(lifetime.saturating_sub(left)),
        lifetime,
        expires_boot: now.boot + left,
        expires_wall: now.wall + left,
        aws: None,
    };
    Snapshot {
        state: StateName::Fresh,
        generation: Generation(generation),
        held: Some(held),
        ..Snapshot::vacant()
    }
}

/// In that state, the token of `generation` expired.
pub(in crate::front) fn expired(generation: u64, state: StateName) -> Snapshot {
    Snapshot { state, ..fresh(generation, 0) }
}

/// A provider that was not reached, in the attempt of that number.
pub(in crate::front) fn unreachable(attempt: u32) -> Option<Arc<Failure>> {
    Some(Arc::new(failure(attempt, None)))
}

/// The same, which everyone tells by that code.
pub(in crate::front) fn told_as(code: Code) -> Option<Arc<Failure>> {
    Some(Arc::new(failure(2, Some(code))))
}

fn failure(attempt: u32, told_as: Option<Code>) -> Failure {
    Failure {
        error: RefreshError::Unreachable("connection refused".into()),
        since_ms: 1_700_000_000_000,
        attempt,
        not_before_ms: None,
        told_as,
    }
}
