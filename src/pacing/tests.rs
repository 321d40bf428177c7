//! What the queue lets through, and when.

use std::num::NonZero;

use super::Admission;
use super::GATES;
use super::IN_FLIGHT;
use super::IN_FLIGHT_PER_ROUTE;
use super::Pacing;
use super::Place;
use super::Route;
use super::Turn;
use super::Verdict;
use crate::lifecycle::words::Bar;
use crate::lifecycle::words::Rank;
use crate::lifecycle::words::Risk;
use crate::lifecycle::words::Ticket;
use crate::lifecycle::words::Urgency;
use crate::name::AccountId;
use crate::record::Stake;
use crate::time::Jitter;
use crate::time::Moment;

#[test]
fn the_most_urgent_goes_first() {
    let mut pacing = Pacing::default();
    let route = route("a");
    pacing.queue(&route, place("late", urgency(Rank::Planned, 90), Risk::None), at(0));
    pacing.queue(&route, place("soon", urgency(Rank::Planned, 10), Risk::None), at(0));
    pacing.queue(&route, place("wanted", urgency(Rank::Wanted, 99), Risk::None), at(0));
    pacing.queue(&route, place("doubt", urgency(Rank::InDoubt, 99), Risk::None), at(0));

    assert_eq!(admitted(&mut pacing, 0), ["doubt", "wanted", "soon", "late"]);
}

#[test]
fn a_route_carries_eight_at_a_time_and_the_next_when_one_ends() {
    let mut pacing = Pacing::default();
    fill(&mut pacing, "a", 10, Rank::Planned);
    assert_eq!(admitted(&mut pacing, 0).len(), IN_FLIGHT_PER_ROUTE);
    assert_eq!(pacing.next_at(), None);

    pacing.ended(&id("a-0"), &route("a"), Verdict::Good, at(1), none());
    assert_eq!(admitted(&mut pacing, 1).len(), 1);
}

/// Accounts at one host may be of several clients; the host counts them together.
#[test]
fn sign_ins_and_logins_of_people_share_the_five_of_a_host_and_refreshes_pass() {
    let mut pacing = Pacing::default();
    for second in 0..2 {
        assert_eq!(pacing.login(&route("a").host, at(second)), Ok(()));
    }
    for index in 0..4 {
        let planned = urgency(Rank::Planned, index);
        let sign_in =
            Place { stake: Stake::SignIn, ..place(&format!("s-{index}"), planned, Risk::None) };
        pacing.queue(&route("a"), sign_in, at(2));
    }
    assert_eq!(admitted(&mut pacing, 2), ["s-0", "s-1", "s-2"]);

    let late = urgency(Rank::Planned, 9);
    let sign_in = Place { stake: Stake::SignIn, ..place("s-4", late, Risk::None) };
    pacing.queue(&route("a"), sign_in, at(3));
    pacing.queue(&route("a"), place("refresh", late, Risk::Replayable), at(3));
    assert_eq!(admitted(&mut pacing, 3), ["refresh"]);
    assert_eq!(pacing.login(&route("a").host, at(3)), Err(at(61)));
    assert_eq!(pacing.login(&route("b").host, at(3)), Ok(()));
}

/// Six accounts without a password, say, each of which looks for one every minute.
#[test]
fn sign_ins_that_are_never_sent_take_no_login_from_anybody() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    for second in 0..60 {
        let planned = urgency(Rank::Planned, second);
        let sign_in = Place { stake: Stake::SignIn, ..place("s", planned, Risk::None) };
        pacing.queue(&route("a"), sign_in, at(second));
        assert_eq!(admitted(&mut pacing, second), ["s"]);
        pacing.ended(&id("s"), &route("a"), Verdict::Unsent, at(second), none());
    }
    assert_eq!(pacing.login(&route("a").host, at(60)), Ok(()));
}

#[test]
fn all_routes_together_carry_sixty_four() {
    let mut pacing = Pacing::default();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i"] {
        fill(&mut pacing, name, 8, Rank::Planned);
    }
    assert_eq!(admitted(&mut pacing, 0).len(), IN_FLIGHT);
}

#[test]
fn the_rate_holds_back_what_is_planned_and_lets_replays_through() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    let mut begun = 0;
    fill(&mut pacing, "a", 40, Rank::Planned);
    loop {
        let batch = admitted(&mut pacing, 0);
        if batch.is_empty() {
            break;
        }
        begun += batch.len();
        for account in batch {
            pacing.ended(&id(&account), &route("a"), Verdict::Good, at(0), none());
        }
    }
    assert_eq!(begun, 20, "a burst of twenty");
    assert!(pacing.next_at().is_some_and(|at| at.as_millis() == 100), "then ten a second");

    pacing.queue(&route("a"), place("doubt", urgency(Rank::InDoubt, 1), Risk::Replayable), at(0));
    assert_eq!(admitted(&mut pacing, 0), ["doubt"]);
}

/// After a complaint the rate is such that a turn is due between two milliseconds.
#[test]
fn a_turn_that_must_wait_is_always_later() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    for millis in 0..5_000 {
        let now = Moment::from_millis(millis);
        let place = place("a", urgency(Rank::Planned, 0), Risk::None);
        pacing.queue(&route("a"), place, now);
        if let Some(Turn::Admit(Place { account, .. })) = pacing.turn(now, none()) {
            pacing.ended(&account, &route("a"), Verdict::Throttled, now, none());
        }
        assert!(pacing.next_at().is_none_or(|next| next > now), "at {millis} ms");
    }
}

#[test]
fn a_provider_that_fails_for_several_gets_rest_and_then_one_probe() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    fill(&mut pacing, "a", 6, Rank::Planned);
    for account in admitted(&mut pacing, 0) {
        pacing.ended(&id(&account), &route("a"), Verdict::Failing, at(0), none());
    }
    fill(&mut pacing, "a", 3, Rank::Planned);
    let turn = pacing.turn(at(1), none());
    let Some(Turn::Bar { until, why: Bar::OthersFail, .. }) = turn else { panic!("{turn:?}") };
    assert!(until > at(1));
    assert!(admitted(&mut pacing, 1).is_empty());

    fill(&mut pacing, "a", 3, Rank::Planned);
    assert_eq!(admitted(&mut pacing, 20).len(), 1, "one probe");
    pacing.ended(&id("a-0"), &route("a"), Verdict::Good, at(20), none());
    fill(&mut pacing, "a", 3, Rank::Planned);
    assert_eq!(admitted(&mut pacing, 20).len(), 3, "and then everyone");
}

/// A provider that hangs for one login says nothing by that of the others.
#[test]
fn an_account_that_failed_as_the_probe_leaves_the_next_one_to_others() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    fill(&mut pacing, "a", 6, Rank::Planned);
    for account in admitted(&mut pacing, 0) {
        pacing.ended(&id(&account), &route("a"), Verdict::Failing, at(0), none());
    }
    let hung = || place("hung", urgency(Rank::Wanted, 0), Risk::None);
    pacing.queue(&route("a"), hung(), at(20));
    assert_eq!(admitted(&mut pacing, 20), ["hung"]);
    pacing.ended(&id("hung"), &route("a"), Verdict::Failing, at(20), none());

    pacing.queue(&route("a"), hung(), at(35));
    pacing.queue(&route("a"), place("well", urgency(Rank::Planned, 9), Risk::Account), at(35));
    assert_eq!(admitted(&mut pacing, 35), ["well"]);
    pacing.ended(&id("well"), &route("a"), Verdict::Failing, at(35), none());

    // Of two that have failed it is the one whose failure is longer ago, after others may have come.
    pacing.queue(&route("a"), hung(), at(65));
    assert!(admitted(&mut pacing, 65).is_empty());
    pacing.queue(&route("a"), place("well", urgency(Rank::Wanted, 0), Risk::None), at(69));
    pacing.queue(&route("a"), hung(), at(69));
    assert_eq!(admitted(&mut pacing, 69), ["hung"]);
}

/// Somebody's gate or secret was in the way, and the provider is not asked less often for that.
#[test]
fn a_probe_that_is_not_sent_is_followed_by_another_accounts() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    fill(&mut pacing, "a", 6, Rank::Planned);
    for account in admitted(&mut pacing, 0) {
        pacing.ended(&id(&account), &route("a"), Verdict::Failing, at(0), none());
    }
    let idle = || place("idle", urgency(Rank::Wanted, 0), Risk::None);
    pacing.queue(&route("a"), idle(), at(20));
    assert_eq!(admitted(&mut pacing, 20), ["idle"]);
    pacing.ended(&id("idle"), &route("a"), Verdict::Unsent, at(20), none());

    pacing.queue(&route("a"), idle(), at(20));
    pacing.queue(&route("a"), place("well", urgency(Rank::Planned, 9), Risk::None), at(20));
    assert_eq!(admitted(&mut pacing, 20), ["well"]);
}

#[test]
fn a_replay_inside_its_grace_does_not_wait_until_a_provider_has_rested() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    fill(&mut pacing, "a", 6, Rank::Planned);
    for account in admitted(&mut pacing, 0) {
        pacing.ended(&id(&account), &route("a"), Verdict::Failing, at(0), none());
    }
    fill(&mut pacing, "a", 1, Rank::Planned);
    assert!(admitted(&mut pacing, 1).is_empty(), "the route rests");
    let replay = |name| place(name, urgency(Rank::InDoubt, 9), Risk::Replayable);
    pacing.queue(&route("a"), replay("doubt"), at(1));
    assert_eq!(admitted(&mut pacing, 1), ["doubt"]);
    pacing.ended(&id("doubt"), &route("a"), Verdict::Failing, at(2), none());

    // Nor while another account finds out whether it has.
    pacing.queue(&route("a"), place("probe", urgency(Rank::Planned, 9), Risk::None), at(60));
    assert_eq!(admitted(&mut pacing, 60), ["probe"]);
    pacing.queue(&route("a"), replay("doubt"), at(60));
    assert_eq!(admitted(&mut pacing, 60), ["doubt"]);
}

#[test]
fn one_account_that_fails_does_not_stop_its_neighbours() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    for second in 0..20 {
        let (account, route) = (id("alone"), route("a"));
        let place = place("alone", urgency(Rank::Planned, 0), Risk::None);
        pacing.queue(&route, place, at(second));
        assert_eq!(admitted(&mut pacing, second).len(), 1);
        pacing.ended(&account, &route, Verdict::Failing, at(second), none());
    }
}

#[test]
fn refusals_of_several_accounts_are_not_believed_at_once() {
    let mut pacing = Pacing::default();
    for _ in 0..3 {
        pacing.join(&route("a"));
    }
    fill(&mut pacing, "a", 3, Rank::Planned);
    for account in admitted(&mut pacing, 0) {
        pacing.ended(&id(&account), &route("a"), Verdict::Refused, at(0), none());
    }
    fill(&mut pacing, "a", 3, Rank::Planned);
    assert!(admitted(&mut pacing, 1).is_empty());

    fill(&mut pacing, "a", 3, Rank::Planned);
    assert_eq!(admitted(&mut pacing, 301), ["a-0"], "one probe in five minutes");
    pacing.ended(&id("a-0"), &route("a"), Verdict::Good, at(301), none());
    fill(&mut pacing, "a", 3, Rank::Planned);
    assert_eq!(admitted(&mut pacing, 302).len(), 3);
}

#[test]
fn while_tokens_are_not_durable_only_what_cannot_be_lost_goes() {
    let mut pacing = Pacing::default();
    pacing.queue(&route("a"), place("risky", urgency(Rank::Planned, 0), Risk::Replayable), at(0));
    pacing.queue(&route("a"), place("safe", urgency(Rank::Planned, 9), Risk::None), at(0));
    pacing.admit(Admission::Harmless, at(0));
    assert_eq!(admitted(&mut pacing, 0), ["safe"]);
    pacing.admit(Admission::Everyone, at(0));
    assert_eq!(admitted(&mut pacing, 0), ["risky"]);
}

#[test]
fn accounts_whose_gates_hang_leave_slots_to_others_of_their_route() {
    let mut pacing = Pacing::default();
    ask(&mut pacing, "a", 9);
    pacing.queue(&route("a"), place("free", urgency(Rank::Planned, 99), Risk::None), at(0));
    let begun = admitted(&mut pacing, 0);
    assert_eq!(begun, ["a-0", "a-1", "a-2", "a-3", "free"]);

    pacing.answered(&route("a"), at(1));
    assert_eq!(admitted(&mut pacing, 1), ["a-4"], "its answer makes room for the next");
    pacing.answered(&route("a"), at(2));
    pacing.answered(&route("a"), at(2));
    assert_eq!(admitted(&mut pacing, 2), ["a-5", "a-6"]);
    pacing.answered(&route("a"), at(3));
    assert!(admitted(&mut pacing, 3).is_empty(), "eight are under way");
}

#[test]
fn gates_of_many_routes_leave_slots_to_all_others() {
    let mut pacing = Pacing::default();
    for name in ["a", "b", "c", "d", "e", "f"] {
        ask(&mut pacing, name, 4);
        pacing.queue(&route(name), place(name, urgency(Rank::Planned, 99), Risk::None), at(0));
    }
    let begun = admitted(&mut pacing, 0);
    let asking = begun.iter().filter(|account| account.contains('-')).count();
    assert_eq!((asking, begun.len()), (GATES, GATES + 6));

    let (first, _) = begun[0].split_once('-').unwrap();
    pacing.answered(&route(first), at(1));
    assert_eq!(admitted(&mut pacing, 1).len(), 1, "wherever one waits");
    pacing.answered(&route(first), at(2));
    pacing.ended(&id(&begun[0]), &route(first), Verdict::Good, at(2), none());
    assert_eq!(admitted(&mut pacing, 2).len(), 1);
}

#[test]
fn an_account_that_leaves_takes_its_place_along() {
    let mut pacing = Pacing::default();
    pacing.join(&route("a"));
    pacing.queue(&route("a"), place("gone", urgency(Rank::Planned, 0), Risk::None), at(0));
    pacing.leave(&id("gone"), &route("a"), at(0));
    assert!(admitted(&mut pacing, 0).is_empty());
    assert!(pacing.routes.is_empty());
}

/// Everyone whose turn it is at that second; those that are barred are dropped.
fn admitted(pacing: &mut Pacing, second: u64) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(turn) = pacing.turn(at(second), none()) {
        if let Turn::Admit(place) = turn {
            names.push(place.account.to_string());
        }
    }
    names
}

/// Queues that many accounts that have a gate.
fn ask(pacing: &mut Pacing, name: &str, count: u64) {
    for index in 0..count {
        let account = format!("{name}-{index}");
        let place = place(&account, urgency(Rank::Planned, index), Risk::Replayable);
        pacing.queue(&route(name), Place { asks: true, ..place }, at(0));
    }
}

fn fill(pacing: &mut Pacing, name: &str, count: u64, rank: Rank) {
    for index in 0..count {
        let account = format!("{name}-{index}");
        let place = place(&account, urgency(rank, index), Risk::Replayable);
        pacing.queue(&route(name), place, at(0));
    }
}

fn place(account: &str, urgency: Urgency, risk: Risk) -> Place {
    let (ticket, stake) = (Ticket::new(NonZero::<u64>::MIN), Stake::Current);
    Place { urgency, account: id(account), ticket, stake, risk, asks: false }
}

fn route(host: &str) -> Route {
    Route { host: host.into(), client: "client".into() }
}

fn id(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

const fn urgency(rank: Rank, secs: u64) -> Urgency {
    Urgency { rank, deadline: at(secs) }
}

const fn at(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}

const fn none() -> Jitter {
    Jitter::new(0.0)
}
