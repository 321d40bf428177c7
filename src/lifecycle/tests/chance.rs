//! Random walks: what holds in whatever order things happen.

use super::sim::Sim;
use super::sim::failed;
use super::sim::granted;
use super::sim::invalid_client;
use super::sim::invalid_grant;
use super::sim::lost;
use super::sim::secs;
use super::sim::unreachable;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Revocation;
use crate::lifecycle::words::Risk;
use crate::lifecycle::words::Ticket;
use crate::plan::Rotation;
use crate::record::StoreError;
use crate::record::Write;
use crate::token::Kind;
use crate::token::Secret;

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
        let sim = Sim::resumed(rotation, 1000);
        let mut walk = Walk::of(sim);
        let mut now = 1000;
        for (pause, choice, jitter) in steps {
            now += pause;
            walk.sim.jitter = jitter;
            walk.take(now, choice);
        }
    }
}

/// An account that anything may happen to.
struct Walk {
    sim: Sim,
    /// What the outside owes an answer to.
    owed: Vec<Owed>,
    intended: bool,
    /// Orders that are answered later.
    put_off: Vec<Ticket>,
    /// When requests were sent, in seconds.
    requests: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Owed {
    Turn(Ticket),
    Intent(Ticket),
    Reply(Ticket),
    Revocation(Ticket),
    Write(Ticket, bool),
}

impl Walk {
    const fn of(sim: Sim) -> Self {
        Self { sim, owed: Vec::new(), intended: false, put_off: Vec::new(), requests: Vec::new() }
    }

    /// One of the things that can happen next.
    fn take(&mut self, at: u64, choice: usize) {
        if let Some(owed) = self.owed.first().copied()
            && choice >= 8
        {
            self.owed.remove(0);
            match owed {
                Owed::Turn(ticket) => self.step(at, Input::Admitted(ticket)),
                Owed::Intent(ticket) => {
                    self.intended = choice != 8;
                    self.step(at, Input::Intended(ticket, Ok(self.intended)));
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
                    self.step(at, Input::Exchanged(ticket, outcome));
                }
                Owed::Revocation(ticket) => {
                    let revocation = match choice {
                        8..=11 => Revocation::Failed(unreachable()),
                        12 => Revocation::Impossible,
                        _ => Revocation::Ended,
                    };
                    self.step(at, Input::Revoked(ticket, revocation));
                }
                Owed::Write(ticket, commits) => {
                    let next = self.sim.account.generation.next();
                    let result = match choice {
                        8 | 9 => Err(StoreError::Full),
                        _ if commits => Ok(Some(next)),
                        _ => Ok(None),
                    };
                    self.step(at, Input::Written(ticket, result));
                }
            }
            return;
        }
        let current = self.sim.account.generation;
        match choice % 8 {
            0 => self.step(at, Input::Ordered(Action::Demand(Kind::Access))),
            1 => self.step(at, Input::Ordered(Action::Refresh)),
            2 => {
                self.step(at, Input::Ordered(Action::Report { generation: current, stream: true }))
            }
            3 => self.step(at, Input::Ordered(Action::Retry)),
            4 => self.step(at, Input::Ordered(Action::Import(Secret::new("r").into()))),
            5 if choice == 13 => self.step(at, Input::Ordered(Action::Logout)),
            5 => self.step(at, Input::ClockStepped),
            6 if choice == 6 => self.step(at, Input::Ordered(Action::Pause)),
            _ => {
                self.step(at, Input::Ordered(Action::Resume));
                self.step(at, Input::Woken);
            }
        }
    }

    /// Feeds it, and remembers what it is owed for what it wants.
    fn step(&mut self, at: u64, input: Input) {
        let commands = self.sim.feed(at, input);
        self.owe(at, &commands);
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
                    assert!(self.intended || self.sim.account.risk() == Risk::None);
                    assert!(!self.is_under_way(), "one attempt at a time");
                    self.requests.push(at);
                    let minute = self.requests.iter().filter(|then| at - **then < 60).count();
                    assert!(minute <= 10, "at most ten requests in any minute");
                    self.owed.push(Owed::Reply(*ticket));
                }
                Command::Write { ticket, write } => {
                    let commits = matches!(write, Write::Commit { .. } | Write::Salvage { .. });
                    self.owed.push(Owed::Write(*ticket, commits));
                }
                Command::Revoke { ticket, .. } => {
                    assert!(!self.is_under_way(), "no logout beside an attempt");
                    self.requests.push(at);
                    self.owed.push(Owed::Revocation(*ticket));
                }
                Command::Publish | Command::Tell(_) | Command::Answer(_) => {}
                Command::AnswerLater(ticket) => self.put_off.push(*ticket),
                Command::AnswerTo(ticket, _) => {
                    let at = self.put_off.iter().position(|put_off| put_off == ticket);
                    self.put_off.remove(at.expect("an answer is owed once"));
                }
            }
        }
    }

    fn is_under_way(&self) -> bool {
        self.owed
            .iter()
            .any(|owed| matches!(owed, Owed::Intent(_) | Owed::Reply(_) | Owed::Revocation(_)))
    }
}
