//! Lives told by their logs: reviewing a change of behaviour means reading a diff of these tables.

use std::sync::Arc;
use std::time::Duration;

use super::Account;
use super::Action;
use super::Command;
use super::Input;
use super::Ticket;
use crate::error::OauthError;
use crate::error::RefreshError;
use crate::name::AccountId;
use crate::plan::FailurePolicy;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::provider::Outcome;
use crate::record::Intent;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Saved;
use crate::record::Stamp;
use crate::record::Standing;
use crate::record::StoreError;
use crate::record::Write;
use crate::snapshot::StateName;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::LifetimeSource;
use crate::token::Secret;
use crate::token::TokenSet;

#[test]
fn a_life_told_by_its_log() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);

    sim.feed(3549, Input::Woken);
    sim.feed(3549, Input::Admitted(Ticket(1)));
    sim.feed(3549, Input::Intended(Ticket(1), Ok(true)));
    sim.feed(3550, Input::Exchanged(Ticket(1), failed(unreachable())));
    sim.feed(3550, Input::Written(Ticket(1), Ok(None)));
    sim.feed(3551, Input::Woken);
    sim.feed(3551, Input::Admitted(Ticket(2)));
    sim.feed(3551, Input::Intended(Ticket(2), Ok(true)));
    sim.feed(3552, Input::Exchanged(Ticket(1), granted(3600)));
    sim.feed(3552, Input::Exchanged(Ticket(2), granted(3600)));
    sim.feed(3552, Input::Written(Ticket(2), Ok(Some(Generation(2)))));
    sim.feed(3553, Input::Ordered(Action::Demand));
    sim.feed(3554, Input::Ordered(Action::Report { generation: Generation(1), stream: false }));
    sim.feed(3555, Input::Ordered(Action::Report { generation: Generation(2), stream: false }));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 15 s)
    3550  exchanging             Note, intent over
    3550  waiting until 3551     Publish, refresh_failed
    3551  queued                 Queue(2, Planned), Publish
    3551  exchanging             Intend(2), Publish
    3551  exchanging             Exchange(2, 15 s)
    3552  exchanging             -
    3552  saving                 Commit, Publish
    3552  fresh until 6173       Publish, token_changed, recovered
    3553  fresh until 4451       Publish
    3554  fresh until 4451       Current(Generation(2))
    3555  queued                 Queue(3, Wanted), Publish, Joined(Generation(2))
    ");
}

#[test]
fn a_lost_reply_is_replayed_inside_the_grace() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(60)), 1000);

    sim.fly(3549);
    sim.feed(3564, Input::Exchanged(sim.ticket(), failed(lost())));
    sim.feed(3564, Input::Written(sim.ticket(), Ok(None)));
    sim.fly(3565);
    sim.feed(3566, Input::Exchanged(sim.ticket(), failed(unreachable())));
    sim.feed(3566, Input::Written(sim.ticket(), Ok(None)));
    sim.fly(3566);
    sim.feed(3567, Input::Exchanged(sim.ticket(), granted(3600)));
    sim.feed(3567, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 15 s)
    3564  exchanging             Note
    3564  in_doubt until 3564    Publish, refresh_failed
    3565  queued                 Queue(2, InDoubt), Publish
    3565  exchanging             Intend(2), Publish
    3565  exchanging             Exchange(2, 15 s)
    3566  exchanging             Note
    3566  in_doubt until 3566    Publish, refresh_failed
    3566  queued                 Queue(3, InDoubt), Publish
    3566  exchanging             Intend(3), Publish
    3566  exchanging             Exchange(3, 15 s)
    3567  saving                 Commit, Publish
    3567  fresh until 6171       Publish, token_changed, recovered
    ");
}

#[test]
fn a_strict_provider_gets_no_replay_until_the_token_is_nearly_spent() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);

    sim.fly(3549);
    sim.feed(3609, Input::Exchanged(sim.ticket(), failed(lost())));
    sim.feed(3609, Input::Written(sim.ticket(), Ok(None)));
    sim.feed(3809, Input::Ordered(Action::Refresh));
    sim.fly(4535);
    sim.feed(4536, Input::Exchanged(sim.ticket(), failed(invalid_grant())));
    sim.feed(4536, Input::Written(sim.ticket(), Ok(None)));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 60 s)
    3609  exchanging             Note
    3609  in_doubt until 4535    Publish, refresh_failed
    3809  in_doubt until 4535    refused IN_DOUBT
    4535  queued                 alarm, Queue(2, Planned), Publish
    4535  exchanging             Intend(2), Publish
    4535  exchanging             Exchange(2, 60 s)
    4536  exchanging             Note, intent over
    4536  suspect until 4596     Publish, refresh_failed
    ");
}

#[test]
fn a_refused_refresh_token_is_confirmed_three_times_before_anyone_must_log_in() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    for at in [3549, 3611, 4212, 7813] {
        sim.fly(at);
        sim.feed(at + 1, Input::Exchanged(sim.ticket(), failed(invalid_grant())));
        sim.feed(at + 1, Input::Written(sim.ticket(), Ok(None)));
    }
    sim.feed(7815, Input::Ordered(Action::Import(Secret::new("r9"))));
    sim.feed(7815, Input::Written(sim.ticket(), Ok(None)));
    sim.fly(7815);
    sim.feed(7816, Input::Exchanged(sim.ticket(), granted(3600)));
    sim.feed(7816, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  exchanging             Note, intent over
    3550  suspect until 3610     Publish, refresh_failed
    3611  queued                 Queue(2, Planned), Publish
    3611  exchanging             Intend(2), Publish
    3611  exchanging             Exchange(2, 10 s)
    3612  exchanging             Note, intent over
    3612  suspect until 4212     Publish, refresh_failed
    4212  queued                 alarm, Queue(3, Planned), Publish
    4212  exchanging             Intend(3), Publish
    4212  exchanging             Exchange(3, 10 s)
    4213  exchanging             Note, intent over
    4213  suspect until 7813     Publish, refresh_failed
    7813  queued                 Publish, expired, Queue(4, Planned), Publish
    7813  exchanging             Intend(4), Publish
    7813  exchanging             Exchange(4, 10 s)
    7814  exchanging             Note, intent over
    7814  needs_login            Publish, refresh_failed
    7815  needs_login            Stage
    7815  queued                 Queue(6, Wanted), Publish
    7815  queued                 -
    7815  exchanging             Intend(6), Publish
    7815  exchanging             Exchange(6, 10 s)
    7816  saving                 Commit, Publish
    7816  fresh until 10437      proven 2, Publish, token_changed, recovered
    ");
}

#[test]
fn what_cannot_be_saved_is_served_and_saved_again() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    sim.fly(3549);
    sim.feed(3550, Input::Exchanged(sim.ticket(), granted(3600)));
    sim.feed(3550, Input::Written(sim.ticket(), Err(StoreError::Full)));
    assert!(sim.account.is_unsaved());
    sim.feed(3551, Input::Woken);
    sim.feed(3551, Input::Written(sim.ticket(), Err(StoreError::Full)));
    sim.feed(3553, Input::Woken);
    sim.feed(3553, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
    assert!(!sim.account.is_unsaved());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Commit, Publish
    3550  saving until 3551      Publish, token_changed, refresh_failed
    3551  saving                 alarm, Commit
    3551  saving until 3553      Publish
    3553  saving                 Commit
    3553  fresh until 6171       Publish, recovered
    ");
}

#[test]
fn an_import_that_fails_leaves_the_old_credential_untouched() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    sim.feed(1500, Input::Ordered(Action::Import(Secret::new("typo"))));
    sim.feed(1500, Input::Ordered(Action::Import(Secret::new("second"))));
    sim.feed(1500, Input::Written(sim.ticket(), Ok(None)));
    sim.fly(1500);
    sim.feed(1501, Input::Exchanged(sim.ticket(), failed(invalid_grant())));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1500  fresh until 3548       Stage
    1500  fresh until 3548       not proven REFRESH_PENDING
    1500  queued                 Queue(2, Wanted), Publish
    1500  queued                 -
    1500  exchanging             Intend(2), Publish
    1500  exchanging             Exchange(2, 10 s)
    1501  fresh until 3548       Unstage, Publish, state_changed, not proven GRANT_REJECTED
    ");
}

#[test]
fn after_a_kill_in_an_exchange_the_replay_comes_before_anything_else() {
    let mut sim = Sim::killed(Rotation::Grace(secs(30)), 1000);
    sim.fly(1000);
    sim.feed(1001, Input::Exchanged(sim.ticket(), granted(60)));
    sim.feed(1001, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));

    insta::assert_snapshot!(sim.log, @r"
    1000  in_doubt until 1000    refresh_failed, Publish
    1000  queued                 Queue(1, InDoubt), Publish
    1000  exchanging             Intend(1), Publish
    1000  exchanging             Exchange(1, 10 s)
    1001  saving                 Commit, Publish
    1001  fresh until 1035       Publish, token_changed, recovered
    ");
}

#[test]
fn pause_retry_and_a_configuration_that_leads_elsewhere() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);

    sim.feed(1100, Input::Ordered(Action::Pause));
    sim.feed(1101, Input::Ordered(Action::Refresh));
    sim.feed(1200, Input::Ordered(Action::Resume));
    sim.fly(3549);
    sim.feed(3550, Input::Exchanged(sim.ticket(), failed(invalid_client())));
    sim.feed(3550, Input::Written(sim.ticket(), Ok(None)));
    sim.feed(3559, Input::Ordered(Action::Retry));
    sim.feed(3560, Input::Reconfigured(plan(Rotation::Unknown), Lineage("elsewhere".into())));
    sim.feed(3561, Input::Ordered(Action::Retry));
    sim.feed(3562, Input::Reconfigured(plan(Rotation::Unknown), here()));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  frozen                 Note, Publish, state_changed
    1101  frozen                 refused NOT_SUPPORTED
    1200  fresh until 3548       Note, Publish, state_changed
    3549  queued                 Queue(3, Planned), Publish
    3549  exchanging             Intend(3), Publish
    3549  exchanging             Exchange(3, 10 s)
    3550  exchanging             Note, intent over
    3550  frozen until 7150      Publish, refresh_failed
    3559  queued                 Queue(4, Planned), Publish, Joined(Generation(1))
    3560  needs_login            Unqueue, Publish, state_changed, refresh_failed
    3561  needs_login            refused NEEDS_LOGIN
    3562  queued                 Queue(5, Planned), Publish
    ");
}

#[test]
fn a_clock_that_jumps_ahead_withholds_the_token_and_refreshes() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.wall_ahead = 7200;
    sim.feed(1100, Input::ClockStepped);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  queued                 Publish, Publish, expired, Queue(1, Planned), Publish
    ");
}

#[test]
fn tokens_that_are_dead_on_arrival_take_nothings_place() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.feed(3550, Input::Exchanged(sim.ticket(), granted(0)));
    sim.feed(3550, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));

    let held = sim.account.snapshot().held.unwrap();
    assert_eq!(held.generation, Generation(1), "the old token is still good, and still served");
    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Commit, Publish
    3550  waiting until 3551     Publish, refresh_failed
    ");
}

#[test]
fn a_failed_import_sends_the_old_refresh_token_nowhere_else() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.feed(1100, Input::Reconfigured(plan(Rotation::Unknown), Lineage("elsewhere".into())));
    sim.feed(1200, Input::Ordered(Action::Import(Secret::new("typo"))));
    sim.feed(1200, Input::Written(sim.ticket(), Ok(None)));
    sim.fly(1200);
    sim.feed(1201, Input::Exchanged(sim.ticket(), failed(invalid_grant())));
    sim.feed(1202, Input::Woken);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  needs_login            Publish, state_changed, refresh_failed
    1200  needs_login            Stage
    1200  queued                 Queue(2, Wanted), Publish
    1200  queued                 alarm
    1200  exchanging             Intend(2), Publish
    1200  exchanging             Exchange(2, 10 s)
    1201  needs_login            Unstage, Publish, state_changed, refresh_failed, not proven GRANT_REJECTED
    1202  needs_login            alarm
    ");
}

#[test]
fn a_failed_import_leaves_the_doubt_about_the_current_credential() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.fly(3549);
    sim.feed(3609, Input::Exchanged(sim.ticket(), failed(lost())));
    sim.feed(3609, Input::Written(sim.ticket(), Ok(None)));
    sim.feed(3700, Input::Ordered(Action::Import(Secret::new("typo"))));
    sim.feed(3700, Input::Written(sim.ticket(), Ok(None)));
    sim.fly(3700);
    sim.feed(3701, Input::Exchanged(sim.ticket(), failed(unreachable())));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 60 s)
    3609  exchanging             Note
    3609  in_doubt until 4535    Publish, refresh_failed
    3700  in_doubt until 4535    Stage
    3700  queued                 Queue(3, Wanted), Publish
    3700  queued                 -
    3700  exchanging             Intend(3), Publish
    3700  exchanging             Exchange(3, 60 s)
    3701  in_doubt until 4535    Unstage, Publish, state_changed, not proven PROVIDER_UNREACHABLE
    ");
}

#[test]
fn a_refresh_token_that_was_taken_over_is_not_spent_again() {
    let mut sim = Sim::resumed(Rotation::Strict, 1000);
    sim.feed(1100, Input::Ordered(Action::Import(Secret::new("r5"))));
    sim.feed(1100, Input::Written(sim.ticket(), Ok(None)));
    sim.fly(1100);
    sim.feed(1101, Input::Exchanged(sim.ticket(), granted(3600)));
    sim.feed(1101, Input::Written(sim.ticket(), Ok(Some(Generation(2)))));
    sim.feed(1200, Input::Ordered(Action::Import(Secret::new("r5"))));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  fresh until 3548       Stage
    1100  queued                 Queue(2, Wanted), Publish
    1100  queued                 -
    1100  exchanging             Intend(2), Publish
    1100  exchanging             Exchange(2, 60 s)
    1101  saving                 Commit, Publish
    1101  fresh until 3722       proven 2, Publish, token_changed
    1200  fresh until 3722       not proven NOT_SUPPORTED
    ");
}

#[test]
fn a_configuration_that_changes_before_the_send_stops_the_attempt() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.feed(3549, Input::Woken);
    sim.feed(3549, Input::Admitted(sim.ticket()));
    sim.feed(3549, Input::Reconfigured(plan(Rotation::Unknown), Lineage("elsewhere".into())));
    sim.feed(3549, Input::Intended(sim.ticket(), Ok(true)));
    sim.feed(3549, Input::Written(sim.ticket(), Ok(None)));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             -
    3549  exchanging             Note, intent over
    3549  needs_login            Publish, refresh_failed, Publish, state_changed, refresh_failed
    ");
}

#[test]
fn a_replay_that_is_too_late_waits_until_the_token_is_nearly_spent() {
    let mut sim = Sim::resumed(Rotation::Grace(secs(20)), 1000);
    sim.fly(3549);
    sim.feed(3555, Input::Exchanged(sim.ticket(), failed(lost())));
    sim.feed(3555, Input::Written(sim.ticket(), Ok(None)));
    sim.feed(3600, Input::Woken);

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 6 s)
    3555  exchanging             Note
    3555  in_doubt until 3555    Publish, refresh_failed
    3600  in_doubt until 4535    Publish
    ");
}

#[test]
fn a_full_disk_does_not_hold_up_an_account_with_nothing_to_lose() {
    let mut sim = Sim::resumed(Rotation::Never, 1000);
    sim.fly(3549);
    sim.feed(3550, Input::Exchanged(sim.ticket(), granted(3600)));
    sim.feed(3550, Input::Written(sim.ticket(), Err(StoreError::Full)));
    assert!(!sim.account.is_unsaved());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             Intend(1), Publish
    3549  exchanging             Exchange(1, 30 s)
    3550  saving                 Commit, Publish
    3550  fresh until 6171       Publish, token_changed, refresh_failed
    ");
}

proptest::proptest! {
    /// Whatever happens in whatever order: one exchange at a time, nothing sent before its
    /// intent, nothing published before it is durable, at most ten requests a minute.
    #[test]
    fn no_order_of_events_breaks_an_invariant(
        rotation in 0_usize..4,
        steps in proptest::collection::vec((0_u64..40, 0_usize..16, 0.0..1.0), 1..120),
    ) {
        let rotation = [
            Rotation::Unknown, Rotation::Never, Rotation::Strict, Rotation::Grace(secs(30)),
        ][rotation];
        let mut sim = Sim::resumed(rotation, 1000);
        let mut now = 1000;
        for (pause, choice, jitter) in steps {
            now += pause;
            sim.jitter = jitter;
            sim.random_step(now, choice);
        }
    }
}

/// One account and its log.
struct Sim {
    account: Account,
    log: String,
    jitter: f64,
    wall_ahead: i64,
    /// What the outside owes an answer to.
    owed: Vec<Owed>,
    intended: bool,
    requests: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Owed {
    Turn(Ticket),
    Intent(Ticket),
    Reply(Ticket),
    Write(Ticket, bool),
}

impl Sim {
    /// An account that comes back at `at`, with a token of an hour that was just issued.
    fn resumed(rotation: Rotation, at: u64) -> Self {
        Self::begin(rotation, at, None)
    }

    /// An account whose last process was killed in an exchange, five seconds ago.
    fn killed(rotation: Rotation, at: u64) -> Self {
        let sent = Stamp { wall: wall(at - 5, 0), boot: Some(boot(at - 5)) };
        let intent = Intent { generation: Generation(1), at: sent };
        Self::begin(rotation, at, Some(intent))
    }

    fn begin(rotation: Rotation, at: u64, intent: Option<Intent>) -> Self {
        let issued = Stamp { wall: wall(at, 0), boot: Some(boot(at)) };
        let record = Record {
            account: id(),
            lineage: here(),
            subject: None,
            current: Some(Saved {
                generation: Generation(1),
                tokens: Some(tokens()),
                issued,
                lifetime: secs(3600),
                refresh_expires: None,
                refreshable: true,
            }),
            staged: None,
            intent,
            staged_intent: None,
            attempts: Vec::new(),
            standing: Standing::default(),
        };
        let now = Now { boot: boot(at), wall: wall(at, 0) };
        let (account, commands) =
            Account::begin(id(), plan(rotation), here(), Some(record), now, Jitter::new(0.0));
        let mut sim = Self {
            account,
            log: String::new(),
            jitter: 0.0,
            wall_ahead: 0,
            owed: Vec::new(),
            intended: false,
            requests: Vec::new(),
        };
        sim.note(at, &commands);
        sim
    }

    fn ticket(&self) -> Ticket {
        Ticket(self.account.tickets)
    }

    /// Wakes it, gives it its turn and sends its request, all at `at`.
    fn fly(&mut self, at: u64) {
        self.feed(at, Input::Woken);
        self.feed(at, Input::Admitted(self.ticket()));
        self.feed(at, Input::Intended(self.ticket(), Ok(true)));
    }

    /// Feeds it, and remembers what it is owed for what it wants.
    fn feed_and_owe(&mut self, at: u64, input: Input) {
        let commands = self.feed(at, input);
        self.owe(at, &commands);
    }

    fn feed(&mut self, at: u64, input: Input) -> Vec<Command> {
        let now = Now { boot: boot(at), wall: wall(at, self.wall_ahead) };
        let before = self.account.snapshot().generation;
        let commands = self.account.handle(input, now, Jitter::new(self.jitter));
        let snapshot = self.account.snapshot();
        assert!(snapshot.generation >= before, "a generation never goes back");
        self.note(at, &commands);
        commands
    }

    fn owe(&mut self, at: u64, commands: &[Command]) {
        for command in commands {
            match command {
                Command::Queue { ticket, .. } => self.owed.push(Owed::Turn(*ticket)),
                Command::Unqueue => self.owed.retain(|owed| !matches!(owed, Owed::Turn(_))),
                Command::Intend { ticket, .. } => {
                    assert!(!self.is_under_way(), "one attempt at a time");
                    self.owed.push(Owed::Intent(*ticket));
                }
                Command::Exchange { ticket, .. } => {
                    assert!(self.intended || self.account.risk() == super::Risk::None);
                    assert!(!self.is_under_way(), "one attempt at a time");
                    self.requests.push(at);
                    let minute = self.requests.iter().filter(|then| at - **then < 60).count();
                    assert!(minute <= 10, "at most ten requests in any minute");
                    self.owed.push(Owed::Reply(*ticket));
                }
                Command::Write { ticket, write } => {
                    let commits = matches!(write, Write::Commit { .. } | Write::Salvage { .. });
                    if *ticket != Ticket::UNHEARD {
                        self.owed.push(Owed::Write(*ticket, commits));
                    }
                }
                Command::Publish | Command::Tell(_) | Command::Answer(_) | Command::Proven(_) => {}
            }
        }
    }

    fn is_under_way(&self) -> bool {
        self.owed.iter().any(|owed| matches!(owed, Owed::Intent(_) | Owed::Reply(_)))
    }

    /// One of the things that can happen next.
    fn random_step(&mut self, at: u64, choice: usize) {
        if let Some(owed) = self.owed.first().copied()
            && choice >= 8
        {
            self.owed.remove(0);
            match owed {
                Owed::Turn(ticket) => self.feed_and_owe(at, Input::Admitted(ticket)),
                Owed::Intent(ticket) => {
                    self.intended = choice != 8;
                    self.feed_and_owe(at, Input::Intended(ticket, Ok(self.intended)));
                }
                Owed::Reply(ticket) => {
                    let outcome = match choice {
                        8 => failed(unreachable()),
                        9 => failed(lost()),
                        10 => failed(invalid_grant()),
                        11 => failed(invalid_client()),
                        12 => granted(0),
                        13 => granted(1),
                        14 => granted(60),
                        _ => granted(3600),
                    };
                    self.feed_and_owe(at, Input::Exchanged(ticket, outcome));
                }
                Owed::Write(ticket, commits) => {
                    let next = self.account.generation.next();
                    let result = match choice {
                        8 | 9 => Err(StoreError::Full),
                        _ if commits => Ok(Some(next)),
                        _ => Ok(None),
                    };
                    self.feed_and_owe(at, Input::Written(ticket, result));
                }
            }
            return;
        }
        let current = self.account.generation;
        match choice % 8 {
            0 => self.feed_and_owe(at, Input::Ordered(Action::Demand)),
            1 => self.feed_and_owe(at, Input::Ordered(Action::Refresh)),
            2 => self.feed_and_owe(
                at,
                Input::Ordered(Action::Report { generation: current, stream: true }),
            ),
            3 => self.feed_and_owe(at, Input::Ordered(Action::Retry)),
            4 => self.feed_and_owe(at, Input::Ordered(Action::Import(Secret::new("r")))),
            5 => self.feed_and_owe(at, Input::ClockStepped),
            6 if choice == 6 => self.feed_and_owe(at, Input::Ordered(Action::Pause)),
            _ => {
                self.feed_and_owe(at, Input::Ordered(Action::Resume));
                self.feed_and_owe(at, Input::Woken);
            }
        }
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

fn word(command: &Command) -> String {
    match command {
        Command::Queue { ticket, urgency, .. } => {
            format!("Queue({}, {:?})", ticket.0, urgency.rank)
        }
        Command::Unqueue => "Unqueue".to_owned(),
        Command::Intend { ticket, .. } => format!("Intend({})", ticket.0),
        Command::Exchange { ticket, timeout } => {
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
        },
        Command::Publish => "Publish".to_owned(),
        Command::Tell(event) => event.as_str().to_owned(),
        Command::Answer(Ok(done)) => format!("{done:?}"),
        Command::Answer(Err(refusal)) => format!("refused {}", refusal.code.as_str()),
        Command::Proven(Ok(generation)) => format!("proven {generation}"),
        Command::Proven(Err(refusal)) => format!("not proven {}", refusal.code.as_str()),
    }
}

fn plan(rotation: Rotation) -> Arc<Plan> {
    Arc::new(Plan {
        rotation,
        refresh_before: None,
        has_refresh_token: true,
        requests: 1,
        alarm_before: secs(600),
        on_refresh_failure: FailurePolicy::Raise,
    })
}

fn granted(lifetime: u64) -> Outcome {
    Outcome::Granted(Box::new(Grant {
        tokens: tokens(),
        refresh_token: Some(Secret::new("r2")),
        lifetime: secs(lifetime),
        lifetime_source: LifetimeSource::Provider,
        refresh_lifetime: None,
        aws: None,
        subject: None,
    }))
}

fn tokens() -> Arc<TokenSet> {
    Arc::new(TokenSet {
        access: Secret::new("a"),
        id: None,
        token_type: "Bearer".into(),
        scope: None,
    })
}

fn failed(error: RefreshError) -> Outcome {
    Outcome::Failed(error)
}

fn unreachable() -> RefreshError {
    RefreshError::Unreachable("connection refused".to_owned())
}

fn lost() -> RefreshError {
    RefreshError::ReplyLost("timed out".to_owned())
}

fn invalid_grant() -> RefreshError {
    RefreshError::GrantRejected(OauthError::new("invalid_grant", None))
}

fn invalid_client() -> RefreshError {
    RefreshError::ClientRejected(OauthError::new("invalid_client", None))
}

fn id() -> AccountId {
    AccountId::parse("mail").unwrap()
}

fn here() -> Lineage {
    Lineage("here".into())
}

const fn boot(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}

fn wall(secs: u64, ahead: i64) -> Timestamp {
    Timestamp::from_millis((1_700_000_000 + i64::try_from(secs).unwrap() + ahead) * 1000)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
