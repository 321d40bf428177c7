//! Logins: conversations with a provider in which a person has a part.
//!
//! One loop knows who is logging in where; each conversation runs beside it and publishes
//! how it stands. What comes of one is handed to the account as a staged credential, which
//! one exchange has to prove before it replaces anything. Sessions at a provider are asked
//! for here too, since they need no more of the account than its access token.
//!
//! # Reading order
//!
//! 1. [`Reach`]: what conversations need of the outside.
//! 2. [`Logins::run`]: the loop.
//! 3. `talk`: one conversation from its beginning to the credential.
//!
//! # Invariants
//!
//! * Until a credential is handed over, dropping a conversation leaves no trace here.
//! * After that it is the account's, and nobody can cancel it any more.
//! * At most one login of an account, and [`MOST_LOGINS`] in all.
//! * What a person typed is held by the conversation alone, and no longer than it takes to
//!   hand it to the codec.

mod talk;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;

use crate::error::RefreshError;
use crate::error::code::Code;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::keeper::visit::At;
use crate::keeper::visit::Call;
use crate::keeper::visit::Password;
use crate::keeper::visit::Stage;
use crate::keeper::visit::Typist;
use crate::keeper::visit::Visit;
use crate::keeper::visit::Wish;
use crate::lifecycle::words::Action;
use crate::name::AccountId;
use crate::provider;
use crate::provider::Profile;
use crate::provider::Provider;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Step;
use crate::provider::Transport;
use crate::provider::call::Called;
use crate::provider::deed::Deed;
use crate::provider::deed::SessionOrder;
use crate::provider::deed::Sessions;
use crate::snapshot::Answer;
use crate::snapshot::Demand;
use crate::snapshot::Refusal;
use crate::snapshot::StateName;
use crate::snapshot::aid::Aid;
use crate::supervisor::Control;
use crate::time::Now;
use crate::token::Kind;
use crate::token::Secret;

use self::talk::Talk;

/// Logins under way at a time: each is a person at a terminal.
pub const MOST_LOGINS: usize = 16;

/// Questions about sessions under way at a time.
const MOST_QUESTIONS: usize = 16;

/// Longest time that one request of a conversation may take: nothing is spent by it, and a
/// provider that hashes a password takes its time.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The most requests that one question about sessions makes.
const REQUESTS_OF_A_QUESTION: usize = 4;

/// The secret that a person may type in place of the stored one.
const PASSWORD: &str = "password";

/// What conversations need of the outside.
pub trait Reach: Send + Sync + 'static {
    /// Both clocks.
    fn now(&self) -> Now;

    /// 256 bits of chance, in hex.
    fn nonce(&self) -> Secret;

    /// Those of the account's secrets that can be had, by slot: what an exchange needs, and
    /// what a sign-in needs.
    fn secrets(
        &self,
        account: &AccountId,
        provider: &Arc<dyn Provider>,
    ) -> impl Future<Output = Vec<(&'static str, Secret)>> + Send;

    /// Sends one request, once.
    fn send(
        &self,
        request: Request,
        transport: &Transport,
        limit: Duration,
    ) -> impl Future<Output = Result<Response, RefreshError>> + Send;

    /// Asks a program, once. Dropping that ends the program.
    fn call(
        &self,
        call: provider::call::Call,
        limit: Duration,
    ) -> impl Future<Output = Called> + Send;
}

/// The loop's state.
pub struct Logins<R> {
    reach: Arc<R>,
    keeper: Keeper,
    control: mpsc::Sender<Control>,
    visits: BTreeMap<AccountId, Visiting>,
    /// Conversations, and what is asked about sessions.
    work: JoinSet<()>,
    /// Which of that is whose conversation.
    talks: HashMap<tokio::task::Id, AccountId>,
}

/// A login that is under way, or was a moment ago.
struct Visiting {
    login: Arc<str>,
    stage: watch::Receiver<Arc<Stage>>,
    answers: mpsc::Sender<Secret>,
    task: AbortHandle,
}

impl<R: Reach> Logins<R> {
    /// A loop that hands credentials over through `keeper` and takes its turns by `control`.
    pub fn new(reach: R, keeper: Keeper, control: mpsc::Sender<Control>) -> Self {
        Self {
            reach: Arc::new(reach),
            keeper,
            control,
            visits: BTreeMap::new(),
            work: JoinSet::new(),
            talks: HashMap::new(),
        }
    }

    /// Runs until nobody can call any more, or until this is dropped: that ends all
    /// conversations, and what was handed over is the accounts' own.
    pub async fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        loop {
            tokio::select! {
                Some(ended) = self.work.join_next_with_id(), if !self.work.is_empty() => {
                    self.ended(match ended {
                        Ok((id, ())) => id,
                        Err(aborted) => aborted.id(),
                    });
                }
                call = calls.recv() => match call {
                    Some(Call::Login { account, wish, reply }) => {
                        // Whoever asked may have gone.
                        let _gone = reply.send(self.login(&account, wish));
                    }
                    Some(Call::Sessions { account, order, reply }) => {
                        self.ask_about_sessions(&account, order, reply);
                    }
                    None => return,
                },
            }
        }
    }

    /// A conversation is over and forgotten, unless another one has taken its place.
    fn ended(&mut self, id: tokio::task::Id) {
        let Some(account) = self.talks.remove(&id) else { return };
        if self.visits.get(&account).is_some_and(|visit| visit.task.id() == id) {
            self.visits.remove(&account);
        }
    }

    fn login(&mut self, account: &AccountId, wish: Wish) -> Result<Visit, Refusal> {
        match wish {
            Wish::Begin { redirect, password, typist } => {
                let seat = self.seat(account)?;
                if password == Password::Typed && !takes_password(seat.profile()) {
                    return Err(no_password());
                }
                if typist == Typist::Nobody && seat.provider.sends_a_code() {
                    return Err(nobody_types());
                }
                self.make_room(account, &seat)?;
                let reach = Arc::clone(&self.reach);
                let (talk, stage, answers) =
                    Talk::new(reach, self.keeper.clone(), self.control.clone(), &seat);
                let task = self.work.spawn(talk.hold(redirect, password));
                self.talks.insert(task.id(), account.clone());
                let login = short(&self.reach.nonce());
                let visit = Visiting { login, stage, answers, task };
                let shown = visit.shown();
                self.visits.insert(account.clone(), visit);
                Ok(shown)
            }
            Wish::Answer { login, answer } => {
                let visit = self.visit(account, &login)?;
                let shown = visit.shown();
                let answerable =
                    matches!(visit.stage.borrow().at, At::Asked { answerable: true, .. });
                if !answerable || visit.answers.try_send(answer).is_err() {
                    let message = "this login waits for no answer just now";
                    return Err(Refusal::new(Code::BadRequest, message));
                }
                Ok(shown)
            }
            Wish::Look { login } => self.visit(account, &login).map(Visiting::shown),
            Wish::Cancel { login } => {
                let visit = self.visit(account, &login)?;
                let shown = visit.shown();
                if visit.is_proving() {
                    return Err(proving());
                }
                self.drop_visit(account);
                Ok(shown)
            }
        }
    }

    /// Sees to it that another login may begin.
    fn make_room(&mut self, account: &AccountId, seat: &Seat) -> Result<(), Refusal> {
        let snapshot = seat.now();
        if !seat.profile().has_refresh_token {
            let message = "this account works without a login";
            return Err(Refusal::new(Code::NotSupported, message));
        }
        if snapshot.state == StateName::Frozen && snapshot.next.is_none() {
            return Err(snapshot.refusal());
        }
        if self.visits.get(account).is_some_and(Visiting::is_proving) {
            return Err(proving());
        }
        self.drop_visit(account);
        if self.visits.values().filter(|visit| visit.is_under_way()).count() >= MOST_LOGINS {
            let message = format!("{MOST_LOGINS} logins are under way already");
            return Err(Refusal::new(Code::RateLimitExceeded, message));
        }
        Ok(())
    }

    fn drop_visit(&mut self, account: &AccountId) {
        if let Some(visit) = self.visits.remove(account) {
            visit.task.abort();
        }
    }

    fn visit(&self, account: &AccountId, login: &str) -> Result<&Visiting, Refusal> {
        self.visits.get(account).filter(|visit| *visit.login == *login).ok_or_else(|| {
            let message = "no such login is under way: it has ended, or another one took its place";
            Refusal::new(Code::BadRequest, message)
        })
    }

    fn seat(&self, account: &AccountId) -> Result<Arc<Seat>, Refusal> {
        self.keeper.directory().seats.get(account).cloned().ok_or_else(|| {
            Refusal::new(Code::AccountUnknown, "the account is not configured any more")
        })
    }

    fn ask_about_sessions(
        &mut self,
        account: &AccountId,
        order: SessionOrder,
        reply: oneshot::Sender<Result<Sessions, Refusal>>,
    ) {
        let questions = self.work.len() - self.talks.len();
        let begun = self.seat(account).and_then(|seat| {
            if questions >= MOST_QUESTIONS {
                let message = "too many questions about sessions are under way";
                return Err(Refusal::new(Code::RateLimitExceeded, message));
            }
            let now = self.reach.now();
            let access = access_token(&seat, now)?;
            let told = [access.clone()];
            let deed = seat.provider.sessions(order, access);
            deed.map(|deed| (seat, deed, told)).ok_or_else(|| {
                Refusal::new(Code::NotSupported, "this provider does not show its sessions")
            })
        });
        let (seat, deed, told) = match begun {
            Ok(begun) => begun,
            Err(refusal) => {
                let _gone = reply.send(Err(refusal));
                return;
            }
        };
        let (reach, keeper) = (Arc::clone(&self.reach), self.keeper.clone());
        self.work.spawn(async move {
            let outcome = carry_out(&*reach, &seat.profile().transport, deed).await;
            if matches!(outcome, Ok(Sessions::Ended(count)) if count != Some(0)) {
                // The daemon's own login may be among what was ended, and only the provider
                // knows. An account that rests after a failure is confirmed in its time.
                let _resting = keeper.order(&seat.account, Action::Refresh).await;
            }
            // Whoever asked may have gone.
            let _gone = reply.send(outcome.map_err(|error| refusal(&error.hiding(&told))));
        });
    }
}

impl Visiting {
    fn shown(&self) -> Visit {
        let turn = self.stage.borrow().turn;
        Visit { login: Arc::clone(&self.login), stage: self.stage.clone(), turn }
    }

    fn is_proving(&self) -> bool {
        matches!(self.stage.borrow().at, At::Proving)
    }

    fn is_under_way(&self) -> bool {
        !matches!(self.stage.borrow().at, At::Ended(_))
    }
}

/// The access token, if there is a good one.
fn access_token(seat: &Seat, now: Now) -> Result<Secret, Refusal> {
    let demand = Demand { kind: Kind::Access, min_ttl: Duration::ZERO };
    match seat.now().answer(demand, now) {
        Answer::Token { held, .. } => Ok(held.tokens.access.clone()),
        Answer::Join => {
            let message = "there is no good access token to ask with; a refresh is on its way";
            Err(Refusal::new(Code::RefreshPending, message))
        }
        Answer::Refuse(refusal) => Err(refusal),
    }
}

/// Carries one deed to its end.
async fn carry_out<T>(
    reach: &impl Reach,
    transport: &Transport,
    mut deed: Box<dyn Deed<T>>,
) -> Result<T, RefreshError> {
    let mut response = None;
    for _ in 0..=REQUESTS_OF_A_QUESTION {
        match deed.next(response.take()) {
            Step::Ask(request) => {
                response = Some(reach.send(request, transport, REQUEST_LIMIT).await?);
            }
            Step::Done(outcome) => return outcome,
            Step::Call(_) => break,
        }
    }
    Err(RefreshError::Internal("a question asked for more than it may".into()))
}

/// What a failure is called to whoever waits for it.
fn refusal(error: &RefreshError) -> Refusal {
    let aid = matches!(error, RefreshError::NotOffered(_)).then_some(Aid::Import);
    Refusal {
        provider_error: error.provider_error().cloned(),
        aid,
        ..Refusal::new(error.code(), error.to_string())
    }
}

/// Whether a login may ask for a password: what signs in with a stored one does.
fn takes_password(profile: &Profile) -> bool {
    profile.sign_in.iter().flatten().any(|(slot, _)| *slot == PASSWORD)
}

fn no_password() -> Refusal {
    let message = "this login takes no password; leave the password out";
    Refusal::new(Code::NotSupported, message)
}

fn nobody_types() -> Refusal {
    let message = "this login has a code sent, and there is no terminal to type it on; run it on \
                   one";
    Refusal::new(Code::NotSupported, message)
}

fn proving() -> Refusal {
    let message = "a login has ended and is being proven, which cannot be cancelled";
    Refusal::new(Code::RefreshPending, message)
}

/// A name that no other login has had: 64 bits of chance.
fn short(nonce: &Secret) -> Arc<str> {
    nonce.expose().chars().take(16).collect::<String>().into()
}
