//! The listener: connections of real peers, the stop and the watchdog's probe.

use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::runtime::Builder;

use super::world::READER;
use super::world::World;
use super::world::alone;
use super::world::directory_of;
use super::world::fresh;
use super::world::read;
use super::world::rule;
use super::world::seat;
use crate::access::Masters;
use crate::access::Right;
use crate::access::Rights;
use crate::attest::Attestor;
use crate::front;
use crate::front::Front;
use crate::front::Listening;
use crate::front::bind;
use crate::keeper::Keeper;
use crate::limits;
use crate::metrics::Metrics;

#[test]
fn a_peer_that_says_nothing_is_cut_off_and_one_that_keeps_asking_is_not() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let silent =
            tokio::time::timeout(Duration::from_millis(1_500), read(world.connect(READER)));
        assert_eq!(silent.await.unwrap().head, "");

        let mut kept = world.connect(READER);
        for _ in 0..5 {
            kept.write_all(b"GET /v1/whoami HTTP/1.1\r\n\r\n").await.unwrap();
            let mut begin = [0; 12];
            kept.read_exact(&mut begin).await.unwrap();
            assert_eq!(&begin, b"HTTP/1.1 200");
            let mut rest = [0; 1024];
            assert!(kept.read(&mut rest).await.unwrap() > 0);
            tokio::time::sleep(Duration::from_secs(25)).await;
        }
    });
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let mut stream = world.connect(0);
        let head = b"POST /v1/accounts/mail/pause HTTP/1.1\r\nContent-Length: 9\r\n\r\n{";
        stream.write_all(head).await.unwrap();
        let reply = tokio::time::timeout(Duration::from_secs(8), read(stream)).await.unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (408, "BAD_REQUEST"));
        assert!(world.is_quiet());
    });
}

#[test]
fn the_kernel_names_the_peer_of_a_real_socket_and_the_probe_is_answered() {
    let place = Place::new("probe");
    let front = serve(&place);
    let own = rustix::process::getuid().as_raw();
    block_on(async {
        let reply = ask(&place, "GET /v1/whoami").await;
        let seen = serde_json::from_str::<serde_json::Value>(&reply).unwrap();
        assert_eq!(seen["uid"], own);
        assert_eq!(seen["pid"], std::process::id());
        assert_eq!(seen["transport"], format!("unix:{}", place.socket().display()));
        assert!(front.probe().answers(Duration::from_secs(10)).await);
    });
    end(front);
}

#[test]
fn a_stop_closes_idle_connections_lets_nobody_in_and_ends_the_thread() {
    let place = Place::new("stop");
    let front = serve(&place);
    let probe = front.probe();
    block_on(async {
        let mut idle = UnixStream::connect(place.socket()).await.unwrap();
        idle.write_all(b"GET /v1/whoami HTTP/1.1\r\n\r\n").await.unwrap();
        let mut begin = [0; 12];
        idle.read_exact(&mut begin).await.unwrap();
        front.stop();
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
    });
    front.join().unwrap();
    block_on(async { assert!(!probe.answers(Duration::from_secs(10)).await) });
    assert!(std::os::unix::net::UnixStream::connect(place.socket()).is_err());
}

/// A front on its own thread, whose accounts stand still.
fn serve(place: &Place) -> Front {
    let snapshot = tokio::sync::watch::channel(Arc::new(fresh(7, 600))).1;
    let rules = vec![rule(READER, Rights::NONE.with(Right::Read))];
    let directory = Arc::new(directory_of([seat("mail", rules, snapshot)]));
    let keeper = Keeper::new(
        tokio::sync::watch::channel(directory).1,
        tokio::sync::mpsc::channel(1).0,
        tokio::sync::mpsc::channel(1).0,
        tokio::sync::mpsc::channel(1).0,
        tokio::sync::broadcast::channel(1).0,
    );
    let socket: StdUnixListener = bind::bind(&place.socket(), limits::SOCKET_MODE).unwrap();
    let path = place.socket().display().to_string().into();
    let listening = vec![Listening { socket, path, narrowing: None }];
    let (masters, attestor) = (Masters { own_uid: 900 }, Attestor::new().0);
    front::start(listening, keeper, masters, attestor, Arc::new(Metrics::new())).unwrap()
}

fn end(front: Front) {
    front.stop();
    front.join().unwrap();
}

async fn ask(place: &Place, line: &str) -> String {
    let mut stream = UnixStream::connect(place.socket()).await.unwrap();
    stream.write_all(format!("{line} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    read(stream).await.body
}

fn block_on(work: impl Future<Output = ()>) {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// A directory of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("tokenkeeper-front-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn socket(&self) -> PathBuf {
        self.0.join("api.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
