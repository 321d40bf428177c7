//! What a provider answers, and what becomes of its answer on the way.

use std::time::Duration;

use super::agenda::Arrival;
use super::faults::Fault;
use super::scene::Scene;
use super::service::Jinx;
use super::service::Ruling;
use super::service::subject_of_another;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::name::AccountId;
use crate::provider::Outcome;
use crate::record::Stake;
use crate::token::Grant;

/// What comes back, and after how long; `None` if nothing ever does.
pub(super) fn of(scene: &mut Scene, arrival: Arrival) -> (Option<Outcome>, Duration) {
    let account = &arrival.account;
    let pause = if scene.strikes(Fault::Slow, account) {
        scene.chance.span(secs(1), secs(40))
    } else {
        scene.chance.span(Duration::from_millis(20), Duration::from_millis(300))
    };
    if let Some(error) = refused_at_the_door(scene, account) {
        return (Some(Outcome::Failed(error)), pause);
    }
    let service = scene.services.get_mut(account).unwrap();
    match arrival.token.as_ref().and_then(|token| service.jinx_of(token)) {
        Some(Jinx::ServerError) => return (Some(Outcome::Failed(server_error())), pause),
        Some(Jinx::Malformed) => return (Some(Outcome::Failed(malformed())), pause),
        Some(Jinx::Silence) => return (None, pause),
        None => {}
    }
    let processed = !scene.strikes(Fault::ServerError, account);
    if !processed && scene.chance.happens(0.5) {
        return (Some(Outcome::Failed(server_error())), pause);
    }
    let outcome = ruled(scene, &arrival);
    let granted = matches!(outcome, Outcome::Granted(_));
    if !processed {
        (Some(Outcome::Failed(server_error())), pause)
    } else if granted && scene.strikes(Fault::CutAfter, account) {
        (Some(Outcome::Failed(RefreshError::ReplyLost("connection reset".into()))), pause)
    } else if granted && scene.strikes(Fault::Silence, account) {
        (None, pause)
    } else {
        (Some(mangled(scene, account, outcome)), pause)
    }
}

/// What is answered before anything is done.
fn refused_at_the_door(scene: &mut Scene, account: &AccountId) -> Option<RefreshError> {
    if scene.strikes(Fault::CutBefore, account) {
        return Some(RefreshError::ReplyLost("connection reset".into()));
    }
    if scene.strikes(Fault::Portal, account) {
        return Some(RefreshError::NotTheProvider("a page".into()));
    }
    if scene.strikes(Fault::Throttled, account) {
        let retry_after = patience(scene);
        return Some(RefreshError::Throttled { answer: OauthError::status(429), retry_after });
    }
    if scene.strikes(Fault::Unavailable, account) {
        let retry_after = patience(scene).filter(|_| scene.chance.happens(0.3));
        let answer = OauthError::status(503);
        return Some(RefreshError::Unavailable { answer, retry_after, maybe_rotated: false });
    }
    if scene.strikes(Fault::ClientRejected, account) {
        return Some(RefreshError::ClientRejected(OauthError::new("invalid_client", None)));
    }
    scene.strikes(Fault::FalseRefusal, account).then(invalid_grant)
}

fn patience(scene: &mut Scene) -> Option<Duration> {
    let spoken = scene.chance.happens(0.6);
    spoken.then(|| secs(*scene.chance.pick(&[0, 1, 30, 120, 600, 3_600, 7_200])))
}

/// What the provider itself decides.
fn ruled(scene: &mut Scene, arrival: &Arrival) -> Outcome {
    let (at, account) = (scene.at(), &arrival.account);
    let service = scene.services.get_mut(account).unwrap();
    match (&arrival.token, arrival.stake) {
        (_, Stake::SignIn) => {
            let refresh_token = service.log_in(at);
            Outcome::Granted(Box::new(service.grant(
                Some(refresh_token),
                arrival.sent,
                &scene.clocks,
            )))
        }
        (Some(token), Stake::Current | Stake::Staged) => {
            match service.spend(token, arrival.sent, &scene.clocks) {
                Ruling::Granted(grant) => Outcome::Granted(Box::new(grant)),
                Ruling::Refused(refused) => {
                    scene.witness.refused(&scene.clocks, account, token, &refused);
                    Outcome::Failed(invalid_grant())
                }
            }
        }
        (None, Stake::Current | Stake::Staged) => {
            Outcome::Granted(Box::new(service.grant(None, arrival.sent, &scene.clocks)))
        }
    }
}

/// What becomes of an answer in a provider that is out of order.
fn mangled(scene: &mut Scene, account: &AccountId, outcome: Outcome) -> Outcome {
    let Outcome::Granted(mut grant) = outcome else { return outcome };
    if scene.strikes(Fault::Torn, account) {
        let error = RefreshError::Malformed("it ends in the middle".into());
        return match grant.refresh_token {
            Some(token) => Outcome::Salvaged(token, error),
            None => Outcome::Failed(error),
        };
    }
    if scene.strikes(Fault::Malformed, account) {
        return Outcome::Failed(malformed());
    }
    if scene.strikes(Fault::WrongSubject, account) {
        let subject = Some(subject_of_another(account));
        return Outcome::Granted(Box::new(Grant { subject, ..*grant }));
    }
    if scene.strikes(Fault::OddLifetime, account) {
        let lifetime = secs(*scene.chance.pick(&[0, 1, 5, 30, 60, 300, 1_000_000_000]));
        scene.services.get_mut(account).unwrap().odd(&mut grant, lifetime);
    }
    Outcome::Granted(grant)
}

fn invalid_grant() -> RefreshError {
    RefreshError::GrantRejected(OauthError::new("invalid_grant", None))
}

fn malformed() -> RefreshError {
    RefreshError::Malformed("no JSON".into())
}

fn server_error() -> RefreshError {
    let answer = OauthError::status(500);
    RefreshError::Unavailable { answer, retry_after: None, maybe_rotated: true }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
