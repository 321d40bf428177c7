//! Restarts, upgrades and kills under load: nobody is refused, and no exchange is lost.
//!
//! Clients ask for a token 200 times a second, each request on a connection of its own. One that
//! breaks may be made once more. `TOKENKEEPER_TEST_RESTARTS` and `TOKENKEEPER_TEST_HOST_KILLS` say
//! how often the service is disturbed.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use tokenkeeper::protocol::AccountView;

use crate::support::PATIENCE;
use crate::support::http::Request;
use crate::support::http::connect;
use crate::support::http::receive;
use crate::support::number_from_environment;
use crate::support::process::let_pass;

use super::on_each;
use super::scene::SERVICE;
use super::scene::Scene;

/// How many clients ask, each this long after its last answer: 200 requests a second in all.
const CLIENTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(20);

#[test]
fn a_restart_and_an_upgrade_refuse_nobody_and_cost_no_exchange() {
    let restarts = number_from_environment("TOKENKEEPER_TEST_RESTARTS", 20);
    on_each(|machine, package| {
        let scene = busy(machine, package);
        under_load(&scene, |answers| {
            for _ in 0..restarts {
                machine.does(&["systemctl", "restart", SERVICE]);
                answers.one_of_each();
            }
            let before = machine.property(SERVICE, "MainPID");
            scene.install();
            assert_ne!(machine.property(SERVICE, "MainPID"), before, "the new one runs");
            answers.one_of_each();
        });
        nothing_was_lost(&scene);
    });
}

#[test]
fn a_kill_refuses_nobody_and_costs_no_exchange_but_replays() {
    let kills = number_from_environment("TOKENKEEPER_TEST_HOST_KILLS", 10);
    on_each(|machine, package| {
        let scene = busy(machine, package);
        under_load(&scene, |answers| {
            for _ in 0..kills {
                machine.does(&["systemctl", "kill", "--signal=KILL", SERVICE]);
                answers.one_of_each();
            }
        });
        // systemd counts a start when it begins, and an answer comes after that.
        assert_eq!(machine.property(SERVICE, "NRestarts"), kills.to_string());
        nothing_was_lost(&scene);
    });
}

/// The account `mail`, whose token outlives the test, and `brief`, which is refreshed all the time.
fn busy<'a>(machine: &'a super::Machine, package: &Path) -> Scene<'a> {
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

/// Runs `disturb` while clients ask for the token of `mail`.
fn under_load(scene: &Scene<'_>, disturb: impl FnOnce(&Answers)) {
    let (told, heard) = mpsc::channel();
    let enough = AtomicBool::new(false);
    let begin = Instant::now();
    let (answers, broken) = thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|client| {
            let (told, enough, socket) = (told.clone(), &enough, scene.socket());
            scope.spawn(move || keep_asking(&socket, enough, client, &told))
        });
        let clients = clients.collect::<Vec<_>>();
        // When the clients have ended, nobody is left to be waited for.
        drop(told);
        disturb(&Answers(heard));
        enough.store(true, Ordering::Relaxed);
        let counts = clients.into_iter().map(|client| client.join().expect("it was answered"));
        counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    });
    let seconds = begin.elapsed().as_secs_f32();
    eprintln!(
        "{answers} requests were answered in {seconds:.1} s, {broken} of them the second time"
    );
}

/// Counts the requests that were answered, and those of them that had broken before.
fn keep_asking(
    socket: &Path,
    enough: &AtomicBool,
    client: usize,
    told: &Sender<usize>,
) -> (usize, usize) {
    let (mut answers, mut broken) = (0, 0);
    while !enough.load(Ordering::Relaxed) {
        if !ask(socket) {
            broken += 1;
            assert!(ask(socket), "a request broke, and so did the next one");
        }
        answers += 1;
        if told.send(client).is_err() {
            // Whoever listened has failed.
            break;
        }
        let_pass(PAUSE);
    }
    (answers, broken)
}

/// Asks once; false if the connection broke before there was an answer.
fn ask(socket: &Path) -> bool {
    let mut stream = connect(socket).expect("nobody is refused");
    let sent = Request::get("/v1/accounts/mail/token?format=raw").send(&mut stream);
    let reply = sent.and_then(|()| receive(stream));
    reply.is_ok_and(|reply| {
        assert_eq!(reply.status, 200, "{}", reply.body);
        true
    })
}

/// Which client had an answer, as they come.
struct Answers(Receiver<usize>);

impl Answers {
    /// Waits until each client has had an answer to a request that it made after this began.
    fn one_of_each(&self) {
        while self.0.try_recv().is_ok() {}
        // The first answer of a client may be to a request that it made before.
        let mut had = [0; CLIENTS];
        while had.iter().any(|answers| *answers < 2) {
            let client = self.0.recv_timeout(PATIENCE).expect("the clients are answered");
            had[client] += 1;
        }
    }
}
