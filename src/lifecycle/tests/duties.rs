//! Writes that no attempt waits for, and a store that refuses them.

use super::sim::Sim;
use super::sim::boot;
use super::sim::failed;
use super::sim::granted;
use super::sim::granted_to;
use super::sim::invalid_grant;
use crate::lifecycle::words::Action;
use crate::lifecycle::words::Command;
use crate::lifecycle::words::Input;
use crate::lifecycle::words::Ticket;
use crate::plan::Rotation;
use crate::record::Hold;
use crate::record::StoreError;
use crate::record::Write;
use crate::token::Generation;
use crate::token::Secret;

#[test]
fn an_import_that_was_refused_is_forgotten_however_often_that_is_tried() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.imported_at(1500, "typo");
    sim.fly(1500);
    sim.feed(1501, Input::Exchanged(sim.ticket(), failed(invalid_grant())));
    let unstage = sim.ticket();
    sim.feed(1501, Input::Written(unstage, Err(StoreError::Full)));
    sim.feed(1501, Input::Ordered(Action::Import(Secret::new("second").into())));
    assert!(sim.account.is_busy(), "a stop waits for it");
    assert_eq!(sim.account.wake_at(), Some(boot(1502)));
    sim.feed(1502, Input::Woken);
    sim.feed(1502, Input::Written(unstage, Err(StoreError::Full)));
    sim.feed(1503, Input::Woken);
    sim.feed(1504, Input::Woken);
    sim.feed(1504, Input::Written(unstage, Ok(None)));
    assert!(!sim.account.is_busy());
    sim.feed(1505, Input::Ordered(Action::Import(Secret::new("second").into())));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1500  fresh until 3548       answer 1 later, Stage
    1500  queued                 Queue(2, Wanted), Publish
    1500  queued                 -
    1500  exchanging             refresh_started, Intend(2), Publish
    1500  exchanging             Exchange(2, 10 s)
    1501  fresh until 3548       Unstage, Publish, state_changed
    1501  fresh until 3548       answer 1: refused GRANT_REJECTED, refresh_failed
    1501  fresh until 3548       refused STORE_UNAVAILABLE
    1502  fresh until 3548       Unstage
    1502  fresh until 3548       -
    1503  fresh until 3548       -
    1504  fresh until 3548       Unstage
    1504  fresh until 3548       -
    1505  fresh until 3548       answer 4 later, Stage
    ");
}

#[test]
fn somebody_elses_grant_is_kept_until_the_store_has_it() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.renewed_for(3550, "pat", Generation(2));
    sim.fly(6172);
    let attempt = sim.ticket();
    sim.feed(6173, Input::Exchanged(attempt, granted_to("sam")));
    let orphan = sim.ticket();
    sim.feed(6173, Input::Written(orphan, Err(StoreError::ReadOnly)));
    sim.feed(6173, Input::Written(attempt, Ok(None)));
    sim.feed(6174, Input::Woken);
    sim.feed(6174, Input::Written(orphan, Ok(None)));
    assert!(!sim.account.is_busy());

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    3549  queued                 Queue(1, Planned), Publish
    3549  exchanging             refresh_started, Intend(1), Publish
    3549  exchanging             Exchange(1, 10 s)
    3550  saving                 Commit, Publish
    3550  fresh until 6171       Publish, token_changed
    6172  queued                 Queue(2, Planned), Publish
    6172  exchanging             refresh_started, Intend(2), Publish
    6172  exchanging             Exchange(2, 10 s)
    6173  exchanging             Orphan, Note, intent over
    6173  exchanging             refresh_failed
    6173  needs_login            Publish, refresh_failed
    6174  needs_login            alarm, Orphan
    6174  needs_login            -
    ");
}

#[test]
fn an_operator_hears_of_a_logout_that_the_store_refuses() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    let commands = sim.feed(1100, Input::Ordered(Action::Clear));
    let clear = ticket_of(&commands, |write| matches!(write, Write::Clear { .. }));
    sim.feed(1100, Input::Written(clear, Err(StoreError::Full)));

    insta::assert_snapshot!(sim.log, @r"
    1000  fresh until 3548       Publish
    1100  vacant                 answer 1 later, Clear, Note, Publish, state_changed
    1100  vacant                 answer 1: refused STORE_UNAVAILABLE
    ");
}

#[test]
fn a_pause_while_tokens_are_saved_takes_nothing_back_that_is_saved_with_them() {
    let mut sim = Sim::resumed(Rotation::Unknown, 1000);
    sim.fly(3549);
    sim.fails_at(3550, invalid_grant());
    sim.fly(3611);
    sim.feed(3612, Input::Exchanged(sim.ticket(), granted(3600)));
    let commands = sim.feed(3612, Input::Ordered(Action::Pause));

    let noted = commands.iter().find_map(|command| {
        let Command::Write { write: Write::Note { standing, .. }, .. } = command else {
            return None;
        };
        Some(standing)
    });
    let standing = noted.unwrap();
    assert_eq!(standing.hold, Hold::Paused);
    assert!(standing.failure.is_none(), "the tokens that are written before it ended that");
}

fn ticket_of(commands: &[Command], wanted: impl Fn(&Write) -> bool) -> Ticket {
    let ticket = commands.iter().find_map(|command| {
        let Command::Write { ticket, write } = command else { return None };
        wanted(write).then_some(*ticket)
    });
    ticket.unwrap()
}
