//! The loop with everything around it in the hands of a test.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::puppet::CODED;
use super::puppet::Script;
use super::puppet::seat;
use crate::error::RefreshError;
use crate::keeper::Directory;
use crate::keeper::Keeper;
use crate::keeper::Order;
use crate::keeper::visit::At;
use crate::keeper::visit::Call;
use crate::keeper::visit::Password;
use crate::keeper::visit::Stage;
use crate::keeper::visit::Typist;
use crate::keeper::visit::Visit;
use crate::keeper::visit::Wish;
use crate::logins::Logins;
use crate::logins::MOST_LOGINS;
use crate::logins::Reach;
use crate::name::AccountId;
use crate::provider;
use crate::provider::Provider;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Transport;
use crate::provider::call::Called;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::snapshot::Refusal;
use crate::supervisor::Control;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Secret;

/// The loop with everything around it in the hands of the test.
pub(super) struct Stand {
    pub(super) keeper: Keeper,
    calls: Mutex<Option<mpsc::Receiver<Call>>>,
    orders: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    directory: watch::Receiver<Arc<Directory>>,
    lines: Lines,
    status: u16,
    /// What the next turns at the host are answered with; after them, all are given.
    pub(super) turns: Arc<Mutex<VecDeque<Result<(), Moment>>>>,
}

/// What a codec heard, and how many requests were sent.
#[derive(Clone, Default)]
pub(super) struct Lines {
    pub(super) heard: Arc<Mutex<Vec<String>>>,
    pub(super) sent: Arc<Mutex<u32>>,
}

impl Stand {
    /// Accounts whose logins follow `script`, each from its beginning. Requests are answered with `status`; with 0 they
    /// are lost.
    pub(super) fn new(script: impl Fn() -> Vec<Turn> + Send + Sync + 'static, status: u16) -> Self {
        let lines = Lines::default();
        let (orders_in, orders) = mpsc::channel(8);
        let (errands, _) = mpsc::channel(1);
        let (calls_in, calls) = mpsc::channel(8);
        let (notices, _) = broadcast::channel(1);
        let script: Script = Arc::new(script);
        let names = (0..MOST_LOGINS).map(|number| format!("a{number}"));
        let names = names.chain(["mail".to_owned(), "another".to_owned(), CODED.to_owned()]);
        let seats = names.map(|name| (id(&name), Arc::new(seat(&name, &script, &lines))));
        let directory = Directory::new(seats.collect(), Vec::new(), Vec::new());
        let (_, directory) = watch::channel(Arc::new(directory));
        let keeper = Keeper::new(directory.clone(), orders_in, errands, calls_in, notices);
        Self {
            keeper,
            calls: Mutex::new(Some(calls)),
            orders: tokio::sync::Mutex::new(orders),
            directory,
            lines,
            status,
            turns: Arc::default(),
        }
    }

    /// Runs the loop until `script` is through.
    pub(super) async fn play(&self, script: impl Future<Output = ()>) {
        let reach = Scripted { began: began(), lines: self.lines.clone(), status: self.status };
        let (control, mut controls) = mpsc::channel(4);
        let calls = self.calls.lock().unwrap().take().unwrap();
        let logins = Logins::new(reach, self.keeper.clone(), control);
        let turns = async {
            while let Some(Control::Login { reply, .. }) = controls.recv().await {
                let turn = self.turns.lock().unwrap().pop_front().unwrap_or(Ok(()));
                let _gone = reply.send(turn);
            }
        };
        tokio::select! {
            () = script => {}
            () = logins.run(calls) => panic!("the loop ended"),
            () = turns => panic!("nobody wants turns any more"),
        }
        assert!(!self.directory.borrow().seats.is_empty());
    }

    pub(super) async fn begin(&self) -> Result<Visit, Refusal> {
        self.begin_as("mail").await
    }

    pub(super) async fn begin_as(&self, name: &str) -> Result<Visit, Refusal> {
        self.keeper
            .login(
                &id(name),
                Wish::Begin { redirect: None, password: Password::Stored, typist: Typist::Person },
            )
            .await
    }

    pub(super) async fn answer(&self, visit: &Visit, answer: &str) -> Result<Visit, Refusal> {
        let login = visit.login.as_ref().into();
        self.wish(Wish::Answer { login, answer: Secret::new(answer) }).await
    }

    pub(super) async fn wish(&self, wish: Wish) -> Result<Visit, Refusal> {
        self.wish_of("mail", wish).await
    }

    pub(super) async fn wish_of(&self, account: &str, wish: Wish) -> Result<Visit, Refusal> {
        self.keeper.login(&id(account), wish).await
    }

    pub(super) async fn next_order(&self) -> Order {
        self.orders.lock().await.recv().await.unwrap()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.orders.try_lock().unwrap().try_recv().is_err()
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.lines.heard.lock().unwrap().clone()
    }

    pub(super) fn sent(&self) -> u32 {
        *self.lines.sent.lock().unwrap()
    }
}

/// Waits until the person is asked, and says what.
pub(super) async fn until_asked(visit: &Visit) -> String {
    until_asked_after(visit, 0).await
}

/// Waits until the person is asked once more than when they last looked, and says what.
pub(super) async fn until_asked_again(visit: &Visit) -> String {
    until_asked_after(visit, visit.turn).await
}

async fn until_asked_after(visit: &Visit, turn: u64) -> String {
    let mut stage = visit.stage.clone();
    let asked = |stage: &Arc<Stage>| matches!(stage.at, At::Asked { .. }) && stage.turn > turn;
    let stage = stage.wait_for(asked).await.unwrap();
    let At::Asked { prompt, .. } = &stage.at else { unreachable!("waited for it") };
    match prompt {
        Prompt::Password { of } => format!("password of {of}"),
        Prompt::Code { from, .. } => format!("code from {from}"),
        Prompt::Device { user_code, .. } => format!("device {user_code}"),
        Prompt::Browser { url } => format!("browser {url}"),
    }
}

/// Until when it waits for its turn, once it does.
pub(super) async fn until_delayed(visit: &Visit) -> Moment {
    let mut stage = visit.stage.clone();
    let delayed = |stage: &Arc<Stage>| matches!(stage.at, At::Delayed { .. });
    let stage = stage.wait_for(delayed).await.unwrap().clone();
    let At::Delayed { until } = stage.at else { panic!("delayed") };
    until
}

pub(super) async fn until_ended(visit: &Visit) -> Result<Generation, Refusal> {
    let mut stage = visit.stage.clone();
    let stage = stage.wait_for(|stage| matches!(stage.at, At::Ended(_))).await.unwrap();
    let At::Ended(ended) = &stage.at else { unreachable!("waited for it") };
    ended.clone()
}

struct Scripted {
    began: Instant,
    lines: Lines,
    status: u16,
}

impl Reach for Scripted {
    fn now(&self) -> Now {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap() + 1000;
        let wall = Timestamp::from_millis(i64::try_from(millis).unwrap());
        Now { boot: Moment::from_millis(millis), wall }
    }

    fn nonce(&self) -> Secret {
        static SERIAL: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Secret::new(format!("{serial:016x}"))
    }

    async fn secrets(&self, _: &AccountId, _: &Arc<dyn Provider>) -> Vec<(&'static str, Secret)> {
        Vec::new()
    }

    async fn call(&self, _: provider::call::Call, _: Duration) -> Called {
        *self.lines.sent.lock().unwrap() += 1;
        Called::Answered(Zeroizing::default())
    }

    async fn send(&self, _: Request, _: &Transport, _: Duration) -> Result<Response, RefreshError> {
        *self.lines.sent.lock().unwrap() += 1;
        if self.status == 0 {
            return Err(RefreshError::Unreachable("no route".into()));
        }
        Ok(Response {
            status: self.status,
            content_type: "application/json".into(),
            retry_after: None,
            date: None,
            location: None,
            error_type: None,
            body: Zeroizing::new(Vec::new()),
            complete: true,
        })
    }
}

pub(super) fn id(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "paused time of the test's runtime, not a clock")]
pub(super) fn began() -> Instant {
    Instant::now()
}
