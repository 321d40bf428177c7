//! One account without a world: what is fed to it, and the log of what it wants.

use std::sync::Arc;
use std::time::Duration;

use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::lifecycle::Account;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Beginning;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Ticket;
use crate::name::AccountId;
use crate::notice::Event;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::provider::Outcome;
use crate::record::Condition;
use crate::record::Intent;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Saved;
use crate::record::SavedAws;
use crate::record::Stake;
use crate::record::Stamp;
use crate::record::Standing;
use crate::record::Write;
use crate::snapshot::StateName;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::AwsCredentials;
use crate::token::AwsGrant;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// One account and its log.
pub(super) struct Sim {
    pub(super) account: Account,
    pub(super) log: String,
    pub(super) jitter: f64,
    pub(super) wall_ahead: i64,
}

impl Sim {
    /// An account that comes back at `at`, with a token of an hour that was just issued.
    pub(super) fn resumed(rotation: Rotation, at: u64) -> Self {
        Self::begin(rotation, at, None)
    }

    /// An account whose last process was killed in an exchange, five seconds ago.
    pub(super) fn killed(rotation: Rotation, at: u64) -> Self {
        let sent = Stamp { wall: wall(at - 5, 0), boot: Some(boot(at - 5)) };
        let intent = Intent { generation: Generation(1), at: sent };
        Self::begin(rotation, at, Some(intent))
    }

    /// The same, of an account whose login was lost: somebody had it tried once more.
    pub(super) fn killed_when_lost(rotation: Rotation, at: u64) -> Self {
        let sent = Stamp { wall: wall(at - 5, 0), boot: Some(boot(at - 5)) };
        let intent = Intent { generation: Generation(1), at: sent };
        let standing = Standing { condition: Condition::NeedsLogin, ..Standing::default() };
        Self::of(plan(rotation), Some(Record { standing, ..record(at, Some(intent)) }), at)
    }

    /// The same, and the processes before that were killed in replays: so many seconds ago each
    /// request was announced, oldest first.
    pub(super) fn killed_again(rotation: Rotation, at: u64, ago: &[u64]) -> Self {
        let stamp = |ago: &u64| Stamp { wall: wall(at - ago, 0), boot: Some(boot(at - ago)) };
        let intent = Intent { generation: Generation(1), at: stamp(&ago[0]) };
        let attempts = ago.iter().map(stamp).collect();
        Self::of(plan(rotation), Some(Record { attempts, ..record(at, Some(intent)) }), at)
    }

    /// An account whose host went down in an exchange, and was off for so long.
    pub(super) fn rebooted(rotation: Rotation, at: u64, off: Duration) -> Self {
        let sent = Stamp { wall: wall(at, 0).before(off), boot: None };
        let intent = Intent { generation: Generation(1), at: sent };
        Self::begin(rotation, at, Some(intent))
    }

    /// The same, after attempts that were begun so many seconds before the one under way, oldest first.
    pub(super) fn rebooted_after(rotation: Rotation, at: u64, off: u64, ago: &[u64]) -> Self {
        let stamp = |ago: u64| Stamp { wall: wall(at, 0).before(secs(off + ago)), boot: None };
        let intent = Intent { generation: Generation(1), at: stamp(0) };
        let attempts = ago.iter().map(|ago| stamp(*ago)).collect();
        Self::of(plan(rotation), Some(Record { attempts, ..record(at, Some(intent)) }), at)
    }

    /// An account whose host went down in an exchange, and came back with its clock set back by
    /// so many seconds.
    pub(super) fn set_back(rotation: Rotation, at: u64, by: i64) -> Self {
        let sent = Stamp { wall: wall(at, by), boot: None };
        let intent = Intent { generation: Generation(1), at: sent };
        Self::begin(rotation, at, Some(intent))
    }

    /// An account that the store knows nothing of.
    pub(super) fn new(plan: Plan, at: u64) -> Self {
        Self::of(Arc::new(plan), None, at)
    }

    /// As [`resumed`](Self::resumed), with another plan.
    pub(super) fn planned(plan: Plan, at: u64) -> Self {
        Self::of(Arc::new(plan), Some(record(at, None)), at)
    }

    /// An account whose last process left a credential behind that had been handed in.
    pub(super) fn left_with_a_staged_credential(rotation: Rotation, at: u64) -> Self {
        let (staged, staged_mark) = (Some(here()), Some(Secret::new("staged").mark()));
        Self::of(plan(rotation), Some(Record { staged, staged_mark, ..record(at, None) }), at)
    }

    /// An account with tokens that an earlier process could not save.
    pub(super) fn inherited(rotation: Rotation, at: u64) -> Self {
        let record = Record { unsaved: true, ..record(at, None) };
        Self::of(plan(rotation), Some(record), at)
    }

    /// The same account in another process.
    pub(super) fn restarted(self, at: u64) -> Self {
        self.restarted_with(at, here())
    }

    /// The same, with a configuration that sends its credential there.
    pub(super) fn restarted_with(self, at: u64, lineage: Lineage) -> Self {
        let held = self.account.held.as_ref();
        let aws = held.and_then(|held| held.aws.as_ref()).map(|aws| SavedAws {
            credentials: Arc::clone(&aws.credentials),
            issued: Stamp { wall: aws.issued_at, boot: None },
            lifetime: aws.lifetime,
        });
        // What nothing was ever committed of comes from nowhere.
        let origin = self.account.generation != Generation::default();
        let origin = origin.then(|| self.account.origin.clone());
        let record = Record {
            lineage: origin.unwrap_or_default(),
            current: held.map(|held| Saved {
                generation: held.generation,
                tokens: Some(Arc::clone(&held.tokens)),
                issued: Stamp { wall: held.issued_at, boot: None },
                lifetime: held.lifetime,
                aws,
                refreshable: self.account.refreshable,
            }),
            standing: self.account.standing.clone(),
            subject: self.account.subject.clone(),
            ..record(at, None)
        };
        let next = Self::led(Arc::clone(&self.account.plan), lineage, Some(record), at);
        Self { log: self.log + &next.log, jitter: self.jitter, wall_ahead: self.wall_ahead, ..next }
    }

    fn begin(rotation: Rotation, at: u64, intent: Option<Intent>) -> Self {
        Self::of(plan(rotation), Some(record(at, intent)), at)
    }

    fn of(plan: Arc<Plan>, record: Option<Record>, at: u64) -> Self {
        Self::led(plan, here(), record, at)
    }

    fn led(plan: Arc<Plan>, lineage: Lineage, record: Option<Record>, at: u64) -> Self {
        let now = Now { boot: boot(at), wall: wall(at, 0) };
        let beginning = Beginning { id: id(), plan, lineage, record };
        let (account, commands) = Account::begin(beginning, now, Jitter::new(0.0));
        let mut sim = Self { account, log: String::new(), jitter: 0.0, wall_ahead: 0 };
        sim.note(at, &commands);
        sim
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.account.tickets.unwrap()
    }

    /// Wakes it, gives it its turn and sends its request, all at `at`.
    pub(super) fn fly(&mut self, at: u64) {
        self.feed(at, Input::Woken);
        self.go(at);
    }

    /// Gives the queued attempt its turn and sends its request, all at `at`.
    pub(super) fn go(&mut self, at: u64) {
        self.feed(at, Input::Admitted(self.ticket()));
        self.feed(at, Input::Intended(self.ticket(), Ok(true)));
    }

    /// The exchange under way fails at `at`, and that is made durable.
    pub(super) fn fails_at(&mut self, at: u64, error: RefreshError) {
        self.feed(at, Input::Exchanged(self.ticket(), failed(error)));
        self.feed(at, Input::Written(self.ticket(), Ok(None)));
    }

    /// The exchange under way brings tokens of an hour at `at`, saved as `generation`.
    pub(super) fn renewed_at(&mut self, at: u64, generation: Generation) {
        self.feed(at, Input::Exchanged(self.ticket(), granted(3600)));
        self.feed(at, Input::Written(self.ticket(), Ok(Some(generation))));
    }

    /// The same, of somebody.
    pub(super) fn renewed_for(&mut self, at: u64, subject: &str, generation: Generation) {
        self.feed(at, Input::Exchanged(self.ticket(), granted_to(subject)));
        self.feed(at, Input::Written(self.ticket(), Ok(Some(generation))));
    }

    /// An operator orders something, and what follows from it is made durable.
    pub(super) fn ordered_at(&mut self, at: u64, action: Action) {
        self.feed(at, Input::Ordered(action));
        self.feed(at, Input::Written(self.ticket(), Ok(None)));
    }

    /// An operator hands in a refresh token, and it is staged.
    pub(super) fn imported_at(&mut self, at: u64, refresh_token: &str) {
        self.ordered_at(at, Action::Import(Secret::new(refresh_token).into()));
    }

    /// An operator hands in a refresh token, which is proven within a second.
    pub(super) fn taken_over_at(&mut self, at: u64, refresh_token: &str, generation: Generation) {
        self.imported_at(at, refresh_token);
        self.fly(at);
        self.renewed_at(at + 1, generation);
    }

    pub(super) fn feed(&mut self, at: u64, input: Input) -> Vec<Command> {
        let now = Now { boot: boot(at), wall: wall(at, self.wall_ahead) };
        let before = self.account.snapshot().generation;
        let commands = self.account.handle(input, now, Jitter::new(self.jitter));
        let snapshot = self.account.snapshot();
        assert!(snapshot.generation >= before, "a generation never goes back");
        let told = |it: &Command| matches!(it, Command::Tell(Event::Alarm { .. }));
        assert!(!commands.iter().any(told) || snapshot.is_alarming(now), "told and not shown");
        self.note(at, &commands);
        commands
    }

    fn note(&mut self, at: u64, commands: &[Command]) {
        use std::fmt::Write as _;
        let snapshot = self.account.snapshot();
        let mut state = snapshot.state.as_str().to_owned();
        if let Some(next) = snapshot.next {
            let _written = write!(state, " until {}", next.as_millis() / 1000);
        }
        let words = commands.iter().map(word).collect::<Vec<_>>().join(", ");
        let words = if words.is_empty() { "-" } else { &words };
        let _written = writeln!(self.log, "{at:>5}  {state:<22} {words}");
        assert_eq!(snapshot.unsaved, self.account.is_unsaved());
        assert!(!snapshot.unsaved || snapshot.state == StateName::Saving);
    }
}

/// What the store holds of an account whose token of an hour was issued at `at`.
fn record(at: u64, intent: Option<Intent>) -> Record {
    Record {
        account: id(),
        lineage: here(),
        subject: None,
        current: Some(Saved {
            generation: Generation(1),
            tokens: Some(tokens()),
            issued: Stamp { wall: wall(at, 0), boot: Some(boot(at)) },
            lifetime: secs(3600),
            aws: None,
            refreshable: true,
        }),
        staged: None,
        staged_mark: None,
        intent,
        staged_intent: None,
        attempts: Vec::new(),
        standing: Standing::default(),
        unsaved: false,
    }
}

fn word(command: &Command) -> String {
    match command {
        Command::Queue { ticket, urgency, .. } => {
            format!("Queue({}, {:?})", ticket.0, urgency.rank)
        }
        Command::Unqueue => "Unqueue".to_owned(),
        Command::Intend { ticket, .. } => format!("Intend({})", ticket.0),
        Command::Exchange { ticket, stake: Stake::SignIn, .. } => format!("SignIn({})", ticket.0),
        Command::Exchange { ticket, stake: Stake::Current | Stake::Staged, timeout } => {
            format!("Exchange({}, {} s)", ticket.0, timeout.as_secs())
        }
        Command::Write { write, .. } => match write {
            Write::Intent { .. } => "Intent".to_owned(),
            Write::Commit { .. } => "Commit".to_owned(),
            Write::Salvage { .. } => "Salvage".to_owned(),
            Write::Note { ends_intent: true, .. } => "Note, intent over".to_owned(),
            Write::Note { .. } => "Note".to_owned(),
            Write::Stage { .. } => "Stage".to_owned(),
            Write::Unstage { .. } => "Unstage".to_owned(),
            Write::Clear { .. } => "Clear".to_owned(),
            Write::Orphan { .. } => "Orphan".to_owned(),
            Write::Settle { .. } => "Settle".to_owned(),
        },
        Command::Publish => "Publish".to_owned(),
        Command::Tell(event) => event.name().as_str().to_owned(),
        Command::Revoke { ticket, timeout } => {
            format!("Revoke({}, {} s)", ticket.0, timeout.as_secs())
        }
        Command::Answer(Ok(done)) => format!("{done:?}"),
        Command::Answer(Err(refusal)) => format!("refused {}", refusal.code.as_str()),
        Command::AnswerLater(ticket) => format!("answer {} later", ticket.0),
        Command::AnswerTo(ticket, Ok(done)) => format!("answer {}: {done:?}", ticket.0),
        Command::AnswerTo(ticket, Err(refusal)) => {
            format!("answer {}: refused {}", ticket.0, refusal.code.as_str())
        }
    }
}

pub(super) fn plan(rotation: Rotation) -> Arc<Plan> {
    Arc::new(unshared(rotation))
}

pub(super) fn unshared(rotation: Rotation) -> Plan {
    Plan::plain(rotation)
}

pub(super) fn granted(lifetime: u64) -> Outcome {
    Outcome::Granted(Box::new(grant(lifetime)))
}

/// The tokens of an hour, of somebody.
pub(super) fn granted_to(subject: &str) -> Outcome {
    Outcome::Granted(Box::new(Grant { subject: Some(subject.into()), ..grant(3600) }))
}

pub(super) fn grant(lifetime: u64) -> Grant {
    Grant {
        tokens: tokens(),
        refresh_token: Some(Secret::new("r2")),
        lifetime: secs(lifetime),
        refresh_lifetime: None,
        aws: None,
        subject: None,
    }
}

pub(super) fn aws(lifetime: u64) -> AwsGrant {
    let credentials = AwsCredentials {
        access_key_id: Secret::new("k"),
        secret_access_key: Secret::new("s"),
        session_token: Secret::new("t"),
    };
    AwsGrant { credentials: Arc::new(credentials), lifetime: secs(lifetime) }
}

pub(super) fn tokens() -> Arc<TokenSet> {
    Arc::new(TokenSet {
        access: Secret::new("a"),
        id: None,
        token_type: "Bearer".into(),
        scope: None,
    })
}

pub(super) fn failed(error: RefreshError) -> Outcome {
    Outcome::Failed(error)
}

pub(super) fn unreachable() -> RefreshError {
    RefreshError::Unreachable("connection refused".to_owned())
}

pub(super) fn lost() -> RefreshError {
    RefreshError::ReplyLost("timed out".to_owned())
}

pub(super) fn invalid_grant() -> RefreshError {
    RefreshError::GrantRejected(OauthError::new("invalid_grant", None))
}

pub(super) fn invalid_client() -> RefreshError {
    RefreshError::ClientRejected(OauthError::new("invalid_client", None))
}

pub(super) fn id() -> AccountId {
    AccountId::parse("mail").unwrap()
}

pub(super) fn here() -> Lineage {
    Lineage("here".into())
}

pub(super) const fn boot(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}

pub(super) fn wall(secs: u64, ahead: i64) -> Timestamp {
    Timestamp::from_millis((1_700_000_000 + i64::try_from(secs).unwrap() + ahead) * 1000)
}

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
