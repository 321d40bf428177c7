//! Restarts, upgrades and kills under load: nobody is refused, and no exchange is lost.
//!
//! A token is asked for 200 times a second, each time on a connection of its own, and however many
//! wait. A request that breaks may be made once more. `TOKENKEEPER_TEST_RESTARTS` and
//! `TOKENKEEPER_TEST_HOST_KILLS` say how often the service is disturbed on each machine.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use tokenkeeper::protocol::account::AccountView;

use crate::support::PATIENCE;
use crate::support::http::Request;
use crate::support::http::connect;
use crate::support::http::receive;
use crate::support::number_from_environment;
use crate::support::process::let_pass;

use super::Machine;
use super::on_each;
use super::scene::SERVICE;
use super::scene::Scene;

/// From the beginning of one request to that of the next: 200 begin in a second.
const TICK: Duration = Duration::from_millis(5);

#[test]
fn a_restart_and_an_upgrade_refuse_nobody_and_cost_no_exchange() {
    on_each(|machine, package| {
        let restarts = times("TOKENKEEPER_TEST_RESTARTS", machine, [150, 50]);
        let scene = busy(machine, package);
        under_load(&scene, |load| {
            for _ in 0..restarts {
                machine.does(&["systemctl", "restart", SERVICE]);
                load.goes_on();
            }
            let before = machine.property(SERVICE, "MainPID");
            scene.install();
            assert_ne!(machine.property(SERVICE, "MainPID"), before, "the new one runs");
            load.goes_on();
        });
        nothing_was_lost(&scene);
    });
}

#[test]
fn a_kill_refuses_nobody_and_costs_no_exchange_but_replays() {
    on_each(|machine, package| {
        let kills = times("TOKENKEEPER_TEST_HOST_KILLS", machine, [30, 10]);
        let scene = busy(machine, package);
        under_load(&scene, |load| {
            for _ in 0..kills {
                machine.does(&["systemctl", "kill", "--signal=KILL", SERVICE]);
                load.goes_on();
            }
        });
        // systemd counts a start when it begins, and an answer comes after that.
        assert_eq!(machine.property(SERVICE, "NRestarts"), kills.to_string());
        nothing_was_lost(&scene);
    });
}

/// How often: on Debian 12, and on any other machine, unless the environment says otherwise.
fn times(variable: &str, machine: &Machine, [first, others]: [u64; 2]) -> u64 {
    let release = fs::read_to_string(machine.path("/etc/os-release")).unwrap();
    let is_first = release.lines().any(|line| line == "VERSION_ID=\"12\"");
    number_from_environment(variable, if is_first { first } else { others })
}

/// The account `mail`, whose token outlives the test, and `brief`, which is refreshed all the time.
fn busy<'a>(machine: &'a Machine, package: &Path) -> Scene<'a> {
    let scene = Scene::with_mail(machine, package, &json!({}));
    let behaviour = json!({ "lifetime_secs": 20, "rotation": { "grace_secs": 30 } });
    let refresh_token = scene.idp.put("brief", &behaviour);
    let brief = format!("[accounts.brief]\n{}rotation = \"30s\"\n", scene.idp.keys("brief"));
    scene.configure(&(scene.mail("") + &brief));
    machine.does(&["systemctl", "reload", SERVICE]);
    let import = ["tokenctl", "import", "brief", "--refresh-token-file", "-"];
    machine.does_with(&import, Some(&refresh_token));
    scene
}

fn nothing_was_lost(scene: &Scene<'_>) {
    assert_eq!(scene.token().generation, 1);
    assert_eq!(scene.idp.totals("mail").requests, 1, "a start is no reason to refresh");

    let account = Request::get("/v1/accounts/brief").on_socket(&scene.socket()).unwrap();
    let account: AccountView = account.success();
    assert_ne!(account.state, "needs_login", "{account:#?}");
    let totals = scene.idp.totals("brief");
    assert_eq!(totals.reuses, 0, "{totals:?}");
    assert!(totals.max_requests_in_60s <= 10, "{totals:?}");
}

/// Runs `disturb` while requests for the token of `mail` begin, one each [`TICK`].
fn under_load(scene: &Scene<'_>, disturb: impl FnOnce(&Load)) {
    let socket = &scene.socket();
    let (enough, begun) = (&AtomicBool::new(false), &AtomicUsize::new(0));
    let (asked, to_read) = mpsc::channel();
    let (told, answered) = mpsc::channel();
    let begin = Instant::now();
    let (answers, broken) = thread::scope(|scope| {
        scope.spawn(move || begin_requests(socket, enough, begun, &asked));
        let reading = scope.spawn(move || read_answers(socket, to_read, &told));
        let load = Load { enough, begun, answered };
        disturb(&load);
        drop(load);
        reading.join().expect("everybody was answered")
    });
    let seconds = begin.elapsed().as_secs_f32();
    eprintln!("{answers} requests in {seconds:.1} s were answered, {broken} the second time");
}

/// Begins requests at their times, however long others wait for their answers.
fn begin_requests(
    socket: &Path,
    enough: &AtomicBool,
    begun: &AtomicUsize,
    asked: &Sender<io::Result<UnixStream>>,
) {
    let mut due = Instant::now();
    while !enough.load(Ordering::Relaxed) {
        begun.fetch_add(1, Ordering::Relaxed);
        if asked.send(begin_one(socket)).is_err() {
            // Who reads has failed.
            return;
        }
        due += TICK;
        let_pass(due.saturating_duration_since(Instant::now()));
    }
}

/// Reads the answers in the order of the requests. Counts them, and those of requests that had to
/// be made once more.
fn read_answers(
    socket: &Path,
    asked: Receiver<io::Result<UnixStream>>,
    told: &Sender<usize>,
) -> (usize, usize) {
    let (mut answers, mut broken) = (0, 0);
    for stream in asked {
        let first = stream.and_then(receive);
        let reply = first.or_else(|_| {
            broken += 1;
            begin_one(socket).and_then(receive)
        });
        let reply = reply.expect("a request breaks once at the most");
        assert_eq!(reply.status, 200, "{}", reply.body);
        answers += 1;
        // Whoever disturbs may have finished; what has begun is read all the same.
        let _heard = told.send(answers).is_ok();
    }
    (answers, broken)
}

/// Sends a request; an error is that of a connection that broke.
fn begin_one(socket: &Path) -> io::Result<UnixStream> {
    let mut stream = connect(socket).expect("nobody is refused");
    Request::get("/v1/accounts/mail/token?format=raw").send(&mut stream)?;
    Ok(stream)
}

/// What goes on meanwhile. Dropping it is enough of it, also when a test fails.
struct Load<'a> {
    /// Whether no request begins any more.
    enough: &'a AtomicBool,
    /// How many requests have begun.
    begun: &'a AtomicUsize,
    /// How many answers have come, after each, in the order of the requests.
    answered: Receiver<usize>,
}

impl Load<'_> {
    /// Waits until a request has been answered that began after this.
    fn goes_on(&self) {
        let begun = self.begun.load(Ordering::Relaxed);
        let news = || self.answered.recv_timeout(PATIENCE).expect("requests are answered");
        while news() <= begun {}
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}
