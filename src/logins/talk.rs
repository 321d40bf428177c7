//! One conversation, from its beginning to the credential.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::sleep;
use url::Url;

use super::PASSWORD;
use super::REQUEST_LIMIT;
use super::Reach;
use super::no_password;
use super::refusal;
use crate::error::RefreshError;
use crate::error::code::Code;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::keeper::visit::At;
use crate::keeper::visit::Password;
use crate::keeper::visit::Stage;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Credential;
use crate::lifecycle::words::Done;
use crate::name::AccountId;
use crate::provider::Method;
use crate::provider::Provider;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::login::Heard;
use crate::provider::login::Login;
use crate::provider::login::LoginStart;
use crate::provider::login::Prompt;
use crate::provider::login::Turn;
use crate::snapshot::Refusal;
use crate::supervisor::Control;
use crate::time::Now;
use crate::time::secs_until_over;
use crate::time::spoken;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;

/// How long a conversation goes on without an answer of the person.
pub(super) const IDLE: Duration = Duration::from_secs(600);

/// How long its end can be asked for.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How often in a row a lost request may be sent again.
const RETRIES: u32 = 2;

/// The most requests without a pause or an answer in between.
const REQUESTS_IN_A_ROW: u32 = 8;

/// Bounds of a pause: a codec that asks for none must not spin, and one that asks for a day
/// has misread something.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// One conversation.
pub(super) struct Talk<R> {
    reach: Arc<R>,
    keeper: Keeper,
    control: mpsc::Sender<Control>,
    account: AccountId,
    provider: Arc<dyn Provider>,
    stage: watch::Sender<Arc<Stage>>,
    answers: mpsc::Receiver<Secret>,
    /// When the last request was sent.
    sent: Now,
    /// Whether the next request that submits something is a login in the eyes of the provider:
    /// the first one, and each that follows an answer of the person. What is only looked up
    /// is none.
    turn_due: bool,
    /// Whether the person has done anything for it yet.
    answered: bool,
}

impl<R: Reach> Talk<R> {
    /// A conversation about the account of that seat, with what others follow it by.
    pub(super) fn new(
        reach: Arc<R>,
        keeper: Keeper,
        control: mpsc::Sender<Control>,
        seat: &Seat,
    ) -> (Self, watch::Receiver<Arc<Stage>>, mpsc::Sender<Secret>) {
        let (stage, shown) = watch::channel(Arc::new(Stage { turn: 1, at: At::Busy }));
        let (given, answers) = mpsc::channel(1);
        let talk = Self {
            sent: reach.now(),
            reach,
            keeper,
            control,
            account: seat.account.clone(),
            provider: Arc::clone(&seat.provider),
            stage,
            answers,
            turn_due: true,
            answered: false,
        };
        (talk, shown, given)
    }

    /// Holds it, and remembers for a while how it ended.
    pub(super) async fn hold(mut self, redirect: Option<Url>, password: Password) {
        let ended = match self.converse(redirect, password).await {
            Ok(grant) => self.hand_over(*grant).await,
            Err(refusal) => Err(refusal),
        };
        self.show(At::Ended(ended));
        sleep(REMEMBERED).await;
    }

    async fn converse(
        &mut self,
        redirect: Option<Url>,
        password: Password,
    ) -> Result<Box<Grant>, Refusal> {
        let secrets = self.secrets(password).await;
        // What the provider may say back.
        let mut hidden = secrets.iter().map(|(_, secret)| secret.clone()).collect::<Vec<_>>();
        let mut login = self.begin(redirect, secrets)?;
        let mut is_given = password == Password::Typed;
        let mut heard = Heard::Begun;
        let mut patience = Box::pin(sleep(IDLE));
        let (mut lost, mut in_a_row) = (0, 0);
        loop {
            let turn = login.next(heard);
            if is_given && goes_without_password(&turn) {
                return Err(no_password());
            }
            match turn {
                Turn::Ask(request) => {
                    in_a_row += 1;
                    if in_a_row > REQUESTS_IN_A_ROW {
                        let why = "a login asked for more requests than it may";
                        return Err(refusal(&RefreshError::Internal(why.into())));
                    }
                    heard = match self.ask(request).await? {
                        Ok(response) => {
                            lost = 0;
                            Heard::Response(response, self.reach.now().wall)
                        }
                        Err(error) if lost < RETRIES => {
                            lost += 1;
                            Heard::Lost(error)
                        }
                        Err(error) => return Err(refusal(&error)),
                    };
                }
                Turn::Prompt(prompt) => {
                    is_given = false;
                    self.show_prompt(prompt.hiding(&hidden), true);
                    let answer = tokio::select! {
                        answer = self.answers.recv() => answer,
                        () = &mut patience => None,
                    };
                    let Some(answer) = answer else { return Err(given_up()) };
                    self.show(At::Busy);
                    hidden.push(answer.clone());
                    heard = Heard::Answer(answer, self.reach.now().wall);
                    patience = Box::pin(sleep(IDLE));
                    (lost, in_a_row) = (0, 0);
                    self.turn_due = true;
                    self.answered = true;
                }
                Turn::Call(call) => {
                    self.take_turn().await?;
                    self.sent = self.reach.now();
                    heard = Heard::Called(self.reach.call(call, REQUEST_LIMIT).await);
                }
                Turn::Pause { span, shown } => {
                    self.show_prompt(shown.hiding(&hidden), false);
                    let (shortest, longest) = PAUSES;
                    tokio::select! {
                        () = sleep(span.clamp(shortest, longest)) => {}
                        () = &mut patience => return Err(given_up()),
                    }
                    heard = Heard::Waited(self.reach.now().wall);
                    (lost, in_a_row) = (0, 0);
                }
                Turn::Done(outcome) => {
                    return outcome.map_err(|error| refusal(&error.hiding(&hidden)));
                }
            }
        }
    }

    /// The secrets that are stored for it.
    async fn secrets(&self, password: Password) -> Vec<(&'static str, Secret)> {
        let mut secrets = self.reach.secrets(&self.account, &self.provider).await;
        if password == Password::Typed {
            let of_sign_in = self.provider.profile().sign_in.as_deref().unwrap_or_default();
            let is_asked_for = |slot| of_sign_in.iter().any(|(other, _)| *other == slot);
            secrets.retain(|(slot, _)| *slot != PASSWORD || !is_asked_for(PASSWORD));
        }
        secrets
    }

    fn begin(
        &self,
        redirect: Option<Url>,
        secrets: Vec<(&'static str, Secret)>,
    ) -> Result<Box<dyn Login>, Refusal> {
        let start = LoginStart {
            secrets,
            redirect,
            learned: None,
            nonce: self.reach.nonce(),
            now: self.reach.now().wall,
        };
        self.provider.login(start).ok_or_else(|| {
            let account = &self.account;
            let message = format!(
                "this provider has no login of its own; to hand in a refresh token, type: \
                 tokenctl import {account}"
            );
            Refusal::new(Code::NotSupported, message)
        })
    }

    /// Sends a request, when its turn has come.
    async fn ask(&mut self, request: Request) -> Result<Result<Response, RefreshError>, Refusal> {
        if self.turn_due && request.method == Method::Post {
            self.take_turn().await?;
            self.turn_due = false;
        }
        self.sent = self.reach.now();
        let transport = &self.provider.profile().transport;
        Ok(self.reach.send(request, transport, REQUEST_LIMIT).await)
    }

    /// Takes a turn at the provider's host. Whoever only begins is refused when there is none;
    /// whoever has answered something waits for it.
    async fn take_turn(&mut self) -> Result<(), Refusal> {
        let mut delayed = false;
        loop {
            let (reply, turn) = oneshot::channel();
            let host = Arc::clone(&self.provider.profile().host);
            let told = self.control.send(Control::Login { host, reply }).await;
            let turn = match told {
                Ok(()) => turn.await.ok(),
                Err(_) => None,
            };
            match turn {
                Some(Ok(())) => {
                    if delayed {
                        self.show(At::Busy);
                    }
                    return Ok(());
                }
                Some(Err(free)) if self.answered => {
                    delayed = true;
                    self.show(At::Delayed { until: free });
                    sleep(free.since(self.reach.now().boot).max(PAUSES.0)).await;
                }
                Some(Err(free)) => {
                    let wait = spoken(Duration::from_secs(secs_until_over(
                        free.since(self.reach.now().boot),
                    )));
                    let message = format!(
                        "there were as many logins at this provider as a minute allows; the next \
                         one is allowed in {wait}"
                    );
                    return Err(Refusal {
                        retry_at: Some(free),
                        ..Refusal::new(Code::RateLimitExceeded, message)
                    });
                }
                None => return Err(Refusal::new(Code::Stopping, "the daemon is stopping")),
            }
        }
    }

    /// Hands the credential to the account, which proves it by one exchange.
    async fn hand_over(&mut self, grant: Grant) -> Result<Generation, Refusal> {
        let Some(refresh_token) = grant.refresh_token else {
            let message = "the login worked, and the provider granted no refresh token with it; \
                           ask for offline access by scope or auth_params, or in the client's \
                           settings at the provider";
            return Err(Refusal::new(Code::NotSupported, message));
        };
        let aws = grant.aws.map(|aws| (aws, self.sent));
        self.show(At::Proving);
        let action = Action::Import(Box::new(Credential { refresh_token, aws, found: false }));
        self.keeper.order(&self.account, action).await.map(|done| match done {
            Done::Joined(generation) | Done::Changed(generation) | Done::Current(generation) => {
                generation
            }
        })
    }

    /// Shows a question. One that is shown already, while the provider is asked again and
    /// again whether the person is done, is no news.
    fn show_prompt(&self, prompt: Prompt, answerable: bool) {
        let shown = matches!(
            &self.stage.borrow().at,
            At::Asked { prompt: shown, answerable: false, .. } if !answerable && is_same(shown, &prompt)
        );
        if !shown {
            let good_until = good_for(&prompt).map(|span| self.reach.now().boot + span);
            self.show(At::Asked { prompt, answerable, good_until });
        }
    }

    fn show(&self, at: At) {
        let turn = self.stage.borrow().turn + 1;
        self.stage.send_replace(Arc::new(Stage { turn, at }));
    }
}

/// Whether a login goes on, or ends well, without having asked for a password.
const fn goes_without_password(turn: &Turn) -> bool {
    match turn {
        Turn::Prompt(Prompt::Password { .. }) | Turn::Ask(_) | Turn::Done(Err(_)) => false,
        Turn::Prompt(_) | Turn::Call(_) | Turn::Pause { .. } | Turn::Done(Ok(_)) => true,
    }
}

/// Whether a person would see the same question, with another time left for it perhaps.
fn is_same(one: &Prompt, other: &Prompt) -> bool {
    match (one, other) {
        (
            Prompt::Device { url: one_url, user_code: one_code, .. },
            Prompt::Device { url: other_url, user_code: other_code, .. },
        ) => one_url == other_url && one_code == other_code,
        (one, other) => one == other,
    }
}

const fn good_for(prompt: &Prompt) -> Option<Duration> {
    match prompt {
        Prompt::Code { good_for, .. } => *good_for,
        Prompt::Device { good_for, .. } => Some(*good_for),
        Prompt::Password { .. } | Prompt::Browser { .. } => None,
    }
}

fn given_up() -> Refusal {
    let minutes = IDLE.as_secs() / 60;
    let message = format!("the login waited {minutes} min for the person and was given up");
    Refusal::new(Code::SessionExpired, message)
}
