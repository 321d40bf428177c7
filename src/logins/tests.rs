//! Conversations on paused time, with a scripted codec and a scripted way out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use super::Logins;
use super::MOST_LOGINS;
use super::Reach;
use super::talk::IDLE;
use crate::error::Code;
use crate::error::OauthError;
use crate::error::RefreshError;
use crate::keeper::At;
use crate::keeper::Call;
use crate::keeper::Directory;
use crate::keeper::Keeper;
use crate::keeper::Order;
use crate::keeper::Seat;
use crate::keeper::Stage;
use crate::keeper::Visit;
use crate::keeper::Wish;
use crate::lifecycle::Action;
use crate::lifecycle::Done;
use crate::name::AccountId;
use crate::provider::Deed;
use crate::provider::Exchange;
use crate::provider::Heard;
use crate::provider::Login;
use crate::provider::LoginStart;
use crate::provider::Method;
use crate::provider::Profile;
use crate::provider::Prompt;
use crate::provider::Provider;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Session;
use crate::provider::SessionOrder;
use crate::provider::Sessions;
use crate::provider::Spend;
use crate::provider::Step;
use crate::provider::Transport;
use crate::provider::Turn;
use crate::provider::silent;
use crate::snapshot::Held;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;
use crate::snapshot::StateName;
use crate::supervisor::Control;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

#[tokio::test(start_paused = true)]
async fn a_login_asks_the_person_then_the_provider_and_hands_over_what_it_brought() {
    let stage = Stand::new(|| vec![prompt("password"), ask(), done("r1")], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            assert_eq!(until_asked(&visit).await, "password of pat");
            let shown = stage.answer(&visit, "hunter2").await.unwrap();
            let order = stage.next_order().await;
            let Action::Import(credential) = order.action else { panic!("another order") };
            assert_eq!(credential.refresh_token.expose(), "r1");
            assert!(matches!(shown.stage.borrow().at, At::Proving));
            order.reply.send(Ok(Done::Current(Generation(8)))).unwrap();
            assert_eq!(until_ended(&visit).await, Ok(Generation(8)));
            assert_eq!(stage.heard(), ["begun", "answer hunter2", "response 200"]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_not_proven_is_a_failure_of_the_login() {
    let stage = Stand::new(|| vec![ask(), done("r1")], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let order = stage.next_order().await;
            let refusal = Refusal::new(Code::GrantRejected, "it was not taken over");
            order.reply.send(Err(refusal.clone())).unwrap();
            assert_eq!(until_ended(&visit).await, Err(refusal));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_refuses_ends_the_login_with_its_words_and_hands_over_nothing() {
    let refused = || RefreshError::LoginRejected(OauthError::new("bad_password", None));
    let stage = Stand::new(move || vec![ask(), Turn::Done(Err(refused()))], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let refusal = until_ended(&visit).await.unwrap_err();
            assert_eq!(refusal.code, Code::LoginRejected);
            assert_eq!(&*refusal.provider_error.unwrap().code, "bad_password");
            assert!(stage.is_quiet());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_grant_without_a_refresh_token_is_told_how_to_get_one() {
    let bare = || Box::new(Grant { refresh_token: None, ..grant("r") });
    let stage = Stand::new(move || vec![Turn::Done(Ok(bare()))], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let refusal = until_ended(&visit).await.unwrap_err();
            assert_eq!(refusal.code, Code::NotSupported);
            assert!(refusal.message.contains("offline access"), "{}", refusal.message);
            assert!(stage.is_quiet());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_lost_is_sent_again_twice_and_no_more() {
    let stage = Stand::new(|| vec![ask(), ask(), ask(), ask()], 0);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let refusal = until_ended(&visit).await.unwrap_err();
            assert_eq!(refusal.code, Code::ProviderUnreachable);
            assert_eq!(stage.heard(), ["begun", "lost", "lost"]);
            assert_eq!(stage.sent(), 3);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_device_is_polled_with_pauses_and_shown_to_the_person_once() {
    let stage = Stand::new(|| vec![ask(), pause(5), ask(), pause(5), ask(), done("r1")], 200);
    stage
        .play(async {
            let began = began();
            let visit = stage.begin().await.unwrap();
            assert_eq!(until_asked(&visit).await, "device ABCD-EFGH");
            let turn = visit.stage.borrow().turn;
            let order = stage.next_order().await;
            assert_eq!(began.elapsed(), secs(10));
            assert_eq!(visit.stage.borrow().turn, turn + 1, "asked again without a pause");
            order.reply.send(Ok(Done::Current(Generation(1)))).unwrap();
            assert_eq!(until_ended(&visit).await, Ok(Generation(1)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_cancelled_leaves_no_trace_at_any_step() {
    let scripts: [fn() -> Vec<Turn>; 3] = [
        || vec![prompt("password"), ask(), done("r1")],
        || vec![ask(), prompt("code"), done("r1")],
        || vec![ask(), pause(5), done("r1")],
    ];
    for script in scripts {
        let stage = Stand::new(script, 200);
        stage
            .play(async {
                let visit = stage.begin().await.unwrap();
                until_asked(&visit).await;
                let login = visit.login.as_ref().into();
                assert!(stage.wish(Wish::Cancel { login }).await.is_ok());
                assert!(visit.stage.clone().wait_for(|_| false).await.is_err(), "the talk goes on");
                let login = visit.login.as_ref().into();
                let gone = stage.wish(Wish::Look { login }).await.err().unwrap();
                assert_eq!(gone.code, Code::BadRequest);
                tokio::time::sleep(IDLE).await;
                assert!(stage.is_quiet());
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_being_proven_can_neither_be_cancelled_nor_overtaken() {
    let stage = Stand::new(|| vec![done("r1")], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            let order = stage.next_order().await;
            let login = visit.login.as_ref().into();
            let refusal = stage.wish(Wish::Cancel { login }).await.err().unwrap();
            assert_eq!(refusal.code, Code::RefreshPending);
            assert_eq!(stage.begin().await.err().unwrap().code, Code::RefreshPending);
            order.reply.send(Ok(Done::Current(Generation(1)))).unwrap();
            assert_eq!(until_ended(&visit).await, Ok(Generation(1)));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_nobody_answers_is_given_up() {
    let scripts: [fn() -> Vec<Turn>; 2] =
        [|| vec![prompt("password")], || (0..20).flat_map(|_| [pause(100), ask()]).collect()];
    for script in scripts {
        let stage = Stand::new(script, 200);
        stage
            .play(async {
                let began = began();
                let visit = stage.begin().await.unwrap();
                let refusal = until_ended(&visit).await.unwrap_err();
                assert_eq!(refusal.code, Code::SessionExpired);
                assert_eq!(began.elapsed(), IDLE);
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_login_can_be_asked_for_and_is_then_forgotten() {
    let stage = Stand::new(|| vec![Turn::Done(Err(RefreshError::BornExpired))], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            until_ended(&visit).await.unwrap_err();
            let look = || Wish::Look { login: visit.login.as_ref().into() };
            assert!(stage.wish(look()).await.is_ok());
            tokio::time::sleep(secs(61)).await;
            assert!(stage.wish(look()).await.is_err());
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_login_of_an_account_takes_the_place_of_an_older() {
    let stage = Stand::new(|| vec![prompt("password")], 200);
    stage
        .play(async {
            let older = stage.begin().await.unwrap();
            until_asked(&older).await;
            let newer = stage.begin().await.unwrap();
            assert_ne!(older.login, newer.login);
            assert_eq!(until_asked(&newer).await, "password of pat");
            assert!(stage.answer(&older, "x").await.is_err(), "the older one is answered");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waits_for_is_refused() {
    let stage = Stand::new(|| vec![pause(5)], 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            until_asked(&visit).await;
            assert_eq!(stage.answer(&visit, "x").await.err().unwrap().code, Code::BadRequest);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_begins_too_often_is_refused_and_whoever_answered_waits() {
    let full = Stand::new(|| vec![ask(), done("r1")], 200);
    full.turns.lock().unwrap().push_back(Err(Moment::from_millis(90_000)));
    full.play(async {
        let visit = full.begin().await.unwrap();
        let refusal = until_ended(&visit).await.unwrap_err();
        assert_eq!(refusal.code, Code::RateLimitExceeded);
        assert_eq!(refusal.retry_at, Some(Moment::from_millis(90_000)));
        assert_eq!(full.sent(), 0);
    })
    .await;

    let late = Stand::new(|| vec![ask(), prompt("code"), ask(), done("r1")], 200);
    late.turns.lock().unwrap().extend([Ok(()), Err(Moment::from_millis(31_000))]);
    late.play(async {
        let visit = late.begin().await.unwrap();
        until_asked(&visit).await;
        let began = began();
        late.answer(&visit, "123456").await.unwrap();
        late.next_order().await;
        assert_eq!(began.elapsed(), secs(30));
    })
    .await;
}

/// Metadata, say.
#[tokio::test(start_paused = true)]
async fn what_is_only_looked_up_is_no_login() {
    let look = || Turn::Ask(Request { method: Method::Get, ..request() });
    let stage = Stand::new(move || vec![look(), prompt("password"), ask(), done("r1")], 200);
    stage.turns.lock().unwrap().push_back(Err(Moment::from_millis(31_000)));
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            until_asked(&visit).await;
            let began = began();
            stage.answer(&visit, "hunter2").await.unwrap();
            stage.next_order().await;
            assert_eq!(began.elapsed(), secs(30), "whoever did something already waits");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn no_more_logins_are_held_than_there_is_room_for() {
    let stage = Stand::new(|| vec![prompt("password")], 200);
    stage
        .play(async {
            for number in 0..MOST_LOGINS {
                let visit = stage.begin_as(&format!("a{number}")).await.unwrap();
                until_asked(&visit).await;
            }
            let refusal = stage.begin_as("another").await.err().unwrap();
            assert_eq!(refusal.code, Code::RateLimitExceeded);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_codec_that_never_comes_to_an_end_is_stopped() {
    let stage = Stand::new(|| (0..20).map(|_| ask()).collect(), 200);
    stage
        .play(async {
            let visit = stage.begin().await.unwrap();
            assert_eq!(until_ended(&visit).await.unwrap_err().code, Code::Internal);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn sessions_are_asked_for_with_the_access_token() {
    let stage = Stand::new(Vec::new, 200);
    stage
        .play(async {
            let listed = stage.keeper.sessions(&id("mail"), SessionOrder::List).await;
            let session = Session { id: "token-1".into(), ..Session::default() };
            assert_eq!(listed, Ok(Sessions::Listed(vec![session])));
            let ended = stage.keeper.sessions(&id("mail"), SessionOrder::EndAll).await;
            assert_eq!(ended.unwrap_err().code, Code::NotSupported);
        })
        .await;
}

/// The loop with everything around it in the hands of the test.
struct Stand {
    keeper: Keeper,
    calls: Mutex<Option<mpsc::Receiver<Call>>>,
    orders: tokio::sync::Mutex<mpsc::Receiver<Order>>,
    directory: watch::Receiver<Arc<Directory>>,
    lines: Lines,
    status: u16,
    /// What the next turns at the host are answered with; after them, all are given.
    turns: Arc<Mutex<VecDeque<Result<(), Moment>>>>,
}

/// What a codec heard, and how many requests were sent.
#[derive(Clone, Default)]
struct Lines {
    heard: Arc<Mutex<Vec<String>>>,
    sent: Arc<Mutex<u32>>,
}

impl Stand {
    /// Accounts whose logins follow `script`, each from its beginning. Requests are answered with `status`; with 0 they
    /// are lost.
    fn new(script: impl Fn() -> Vec<Turn> + Send + Sync + 'static, status: u16) -> Self {
        let lines = Lines::default();
        let (orders_in, orders) = mpsc::channel(8);
        let (errands, _) = mpsc::channel(1);
        let (calls_in, calls) = mpsc::channel(8);
        let (notices, _) = broadcast::channel(1);
        let script: Script = Arc::new(script);
        let names = (0..MOST_LOGINS).map(|number| format!("a{number}"));
        let names = names.chain(["mail".to_owned(), "another".to_owned()]);
        let seats = names.map(|name| (id(&name), Arc::new(seat(&name, &script, &lines))));
        let directory = Directory { seats: seats.collect(), ..Directory::default() };
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
    async fn play(&self, script: impl Future<Output = ()>) {
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

    async fn begin(&self) -> Result<Visit, Refusal> {
        self.begin_as("mail").await
    }

    async fn begin_as(&self, name: &str) -> Result<Visit, Refusal> {
        self.keeper.login(&id(name), Wish::Begin { redirect: None }).await
    }

    async fn answer(&self, visit: &Visit, answer: &str) -> Result<Visit, Refusal> {
        let login = visit.login.as_ref().into();
        self.wish(Wish::Answer { login, answer: Secret::new(answer) }).await
    }

    async fn wish(&self, wish: Wish) -> Result<Visit, Refusal> {
        self.keeper.login(&id("mail"), wish).await
    }

    async fn next_order(&self) -> Order {
        self.orders.lock().await.recv().await.unwrap()
    }

    fn is_quiet(&self) -> bool {
        self.orders.try_lock().unwrap().try_recv().is_err()
    }

    fn heard(&self) -> Vec<String> {
        self.lines.heard.lock().unwrap().clone()
    }

    fn sent(&self) -> u32 {
        *self.lines.sent.lock().unwrap()
    }
}

/// Waits until the person is asked, and says what.
async fn until_asked(visit: &Visit) -> String {
    let mut stage = visit.stage.clone();
    let asked = |stage: &Arc<Stage>| matches!(stage.at, At::Asked { .. });
    let stage = stage.wait_for(asked).await.unwrap();
    let At::Asked { prompt, .. } = &stage.at else { unreachable!("waited for it") };
    match prompt {
        Prompt::Password { of } => format!("password of {of}"),
        Prompt::Code { from, .. } => format!("code from {from}"),
        Prompt::Device { user_code, .. } => format!("device {user_code}"),
        Prompt::Browser { url } => format!("browser {url}"),
    }
}

async fn until_ended(visit: &Visit) -> Result<Generation, Refusal> {
    let mut stage = visit.stage.clone();
    let stage = stage.wait_for(|stage| matches!(stage.at, At::Ended(_))).await.unwrap();
    let At::Ended(ended) = &stage.at else { unreachable!("waited for it") };
    ended.clone()
}

/// What a codec says, turn by turn.
type Script = Arc<dyn Fn() -> Vec<Turn> + Send + Sync>;

/// A provider whose logins say what they are told to.
struct Puppet {
    profile: Profile,
    script: Script,
    lines: Lines,
}

impl Provider for Puppet {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn exchange(&self, _: Spend) -> Box<dyn Exchange> {
        unreachable!("nobody refreshes")
    }

    fn login(&self, _: LoginStart) -> Option<Box<dyn Login>> {
        Some(Box::new(Told { turns: (self.script)().into(), lines: self.lines.clone() }))
    }

    fn sessions(&self, order: SessionOrder, access: Secret) -> Option<Box<dyn Deed<Sessions>>> {
        (order == SessionOrder::List).then(|| Box::new(Shown(access)) as Box<dyn Deed<Sessions>>)
    }
}

struct Told {
    turns: VecDeque<Turn>,
    lines: Lines,
}

impl Login for Told {
    fn next(&mut self, heard: Heard) -> Turn {
        let line = match heard {
            Heard::Begun => "begun".to_owned(),
            Heard::Response(response, _) => format!("response {}", response.status),
            Heard::Lost(_) => "lost".to_owned(),
            Heard::Answer(answer, _) => format!("answer {}", answer.expose()),
            Heard::Waited(_) => "waited".to_owned(),
        };
        self.lines.heard.lock().unwrap().push(line);
        self.turns.pop_front().unwrap()
    }
}

/// A list of one session whose id is the access token that it was asked with.
struct Shown(Secret);

impl Deed<Sessions> for Shown {
    fn next(&mut self, response: Option<Response>) -> Step<Result<Sessions, RefreshError>> {
        match response {
            None => Step::Ask(request()),
            Some(_) => {
                let session = Session { id: self.0.expose().into(), ..Session::default() };
                Step::Done(Ok(Sessions::Listed(vec![session])))
            }
        }
    }
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

fn seat(name: &str, script: &Script, lines: &Lines) -> Seat {
    let profile = silent::provider("here").profile().clone();
    let provider = Puppet { profile, script: script.clone(), lines: lines.clone() };
    let tokens = TokenSet {
        access: Secret::new("token-1"),
        id: None,
        token_type: "Bearer".into(),
        scope: None,
    };
    let snapshot = Snapshot {
        state: StateName::Fresh,
        generation: Generation(1),
        held: Some(Held {
            tokens: Arc::new(tokens),
            generation: Generation(1),
            issued_at: Timestamp::default(),
            lifetime: secs(3600),
            expires_boot: Moment::from_millis(3_600_000),
            expires_wall: Timestamp::from_millis(3_600_000),
            aws: None,
        }),
        next: None,
        failure: None,
        alarm: None,
        unsaved: false,
        released: false,
        origin: None,
    };
    let (_, snapshot) = watch::channel(Arc::new(snapshot));
    Seat { account: id(name), provider: Arc::new(provider), rules: Vec::new().into(), snapshot }
}

fn prompt(what: &str) -> Turn {
    Turn::Prompt(match what {
        "password" => Prompt::Password { of: "pat".into() },
        _ => Prompt::Code { from: "the post".into(), again: false, good_for: Some(secs(180)) },
    })
}

fn pause(span: u64) -> Turn {
    Turn::Pause { span: secs(span), shown: device() }
}

fn device() -> Prompt {
    Prompt::Device {
        url: "https://idp.example/device".into(),
        complete: None,
        user_code: "ABCD-EFGH".into(),
        good_for: secs(600),
    }
}

fn ask() -> Turn {
    Turn::Ask(request())
}

fn request() -> Request {
    Request {
        method: Method::Post,
        url: Url::parse("https://idp.example/login").unwrap(),
        headers: Vec::new(),
        body: Secret::new(""),
        spends: false,
    }
}

fn done(refresh_token: &str) -> Turn {
    Turn::Done(Ok(Box::new(grant(refresh_token))))
}

fn grant(refresh_token: &str) -> Grant {
    Grant {
        tokens: Arc::new(TokenSet {
            access: Secret::new("a"),
            id: None,
            token_type: "Bearer".into(),
            scope: None,
        }),
        refresh_token: Some(Secret::new(refresh_token)),
        lifetime: secs(3600),
        refresh_lifetime: None,
        aws: None,
        subject: None,
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn id(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "paused time of the test's runtime, not a clock")]
fn began() -> Instant {
    Instant::now()
}
