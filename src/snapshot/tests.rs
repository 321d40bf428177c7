//! The table *Demand by state*, and the words of refusals.

use super::*;
use crate::token::Secret;

/// The table *Demand by state* of the design. `v`: the held token satisfies the demand.
#[test]
fn a_demand_gets_what_the_state_allows() {
    #[rustfmt::skip]
    let cases = [
        // state                  v        not v
        (StateName::Fresh,       "token", "join"),
        (StateName::Saving,      "token", "join"),
        (StateName::Queued,      "token", "join"),
        (StateName::Exchanging,  "token", "join"),
        (StateName::InDoubt,     "token", "join"),
        (StateName::Waiting,     "token", "PROVIDER_UNREACHABLE"),
        (StateName::Suspect,     "token", "PROVIDER_UNREACHABLE"),
        (StateName::Frozen,      "token", "PROVIDER_UNREACHABLE"),
        (StateName::NeedsLogin,  "token", "NEEDS_LOGIN"),
        (StateName::Vacant,      "token", "TOKEN_MISSING"),
    ];
    assert_eq!(cases.map(|(state, ..)| state).len(), StateName::ALL.len());
    for (state, valid, not_valid) in cases {
        let snapshot = snapshot(state, Some(at(5010)));
        assert_eq!(said(&snapshot, 0, at(1000)), valid, "{state:?} with a good token");
        assert_eq!(said(&snapshot, 0, at(5000)), not_valid, "{state:?} with an expired token");
    }
}

#[test]
fn a_replay_that_is_planned_beyond_any_wait_is_not_waited_for() {
    let snapshot = snapshot(StateName::InDoubt, Some(at(9000)));
    assert_eq!(said(&snapshot, 0, at(5000)), "IN_DOUBT");
}

#[test]
fn a_token_is_good_until_its_expiry_and_not_at_it() {
    let snapshot = snapshot(StateName::Fresh, None);
    assert_eq!(said(&snapshot, 0, at(3594)), "token");
    assert_eq!(said(&snapshot, 0, at(3595)), "join");
    assert_eq!(said(&snapshot, 10, at(3585)), "token");
    assert_eq!(said(&snapshot, 11, at(3585)), "join");
}

#[test]
fn either_clock_ends_a_token() {
    let snapshot = snapshot(StateName::Fresh, None);
    let ahead = Now { boot: at(1000), wall: Timestamp::from_millis(4_000_000) };
    let Answer::Join = snapshot.answer(demand(0), ahead) else { panic!("served by one clock") };
}

#[test]
fn more_validity_than_is_ever_granted_is_refused_and_refreshes_nothing() {
    let snapshot = snapshot(StateName::Fresh, None);
    assert_eq!(said(&snapshot, 3595, at(5)), "join");
    assert_eq!(said(&snapshot, 3596, at(5)), "LIFETIME_TOO_SHORT");
}

#[test]
fn a_kind_that_the_provider_does_not_grant_is_refused() {
    let snapshot = snapshot(StateName::Fresh, None);
    let demand = Demand { kind: Kind::Id, min_ttl: Duration::ZERO };
    let Answer::Refuse(refusal) = snapshot.answer(demand, now(at(10))) else {
        panic!("something was handed out")
    };
    assert_eq!(refusal.code, Code::NotSupported);
}

/// What a demand of that `min_ttl`, in seconds, gets at that moment.
fn said(snapshot: &Snapshot, min_ttl: u64, at: Moment) -> &'static str {
    match snapshot.answer(demand(min_ttl), now(at)) {
        Answer::Token { .. } => "token",
        Answer::Join => "join",
        Answer::Refuse(refusal) => refusal.code.as_str(),
    }
}

const fn demand(min_ttl: u64) -> Demand {
    Demand { kind: Kind::Access, min_ttl: Duration::from_secs(min_ttl) }
}

/// An account with tokens of an hour, issued at 0, and a failure.
fn snapshot(state: StateName, next: Option<Moment>) -> Snapshot {
    let tokens =
        TokenSet { access: Secret::new("a"), id: None, token_type: "Bearer".into(), scope: None };
    Snapshot {
        state,
        generation: Generation(1),
        held: Some(Held {
            tokens: Arc::new(tokens),
            generation: Generation(1),
            issued_at: Timestamp::default(),
            lifetime: Duration::from_secs(3600),
            expires_boot: at(3595),
            expires_wall: Timestamp::from_millis(3_595_000),
            aws: None,
        }),
        next: next.or(Some(at(2500))),
        failure: Some(Arc::new(Failure {
            error: RefreshError::Unreachable("no route".into()),
            since_ms: 0,
            attempt: 1,
            not_before_ms: None,
            told_as: told_as(state),
        })),
        ..Snapshot::vacant()
    }
}

/// What the failure of an account in that state is called.
fn told_as(state: StateName) -> Option<Code> {
    let codes = [(StateName::InDoubt, Code::InDoubt), (StateName::NeedsLogin, Code::NeedsLogin)];
    codes.iter().find(|(at, _)| *at == state).map(|(_, code)| *code)
}

const fn now(boot: Moment) -> Now {
    Now { boot, wall: Timestamp::from_millis(boot.as_millis().cast_signed()) }
}

const fn at(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}
