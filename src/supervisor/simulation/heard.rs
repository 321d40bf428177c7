//! What must hold of what providers answer, and what follows from it for the requests after it.

use std::time::Duration;

use super::cast::Part;
use super::clocks::Clocks;
use super::life::Fate;
use super::life::Noted;
use super::lost::Heard;
use super::lost::Why;
use super::service::Conduct;
use super::service::Refused;
use super::service::Serial;
use super::witness::Witness;
use crate::error::Class;
use crate::error::RefreshError;
use crate::name::AccountId;
use crate::provider::Outcome;
use crate::record::Stake;
use crate::schedule::LONGEST_RETRY_AFTER;
use crate::token::Secret;

/// Refusals in a row after which a login is lost: the first, and three confirmations.
pub(super) const REFUSALS: u32 = 4;

/// The shortest pause after a throttled answer that names none.
const SHORTEST_THROTTLE: Duration = Duration::from_secs(5);

/// Whose tokens a reply brings, by the subject that is recorded of the account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// The account's, or nobody's in particular.
    Its,
    /// Somebody else's: they are kept for an operator, and nothing is done with them.
    AnotherS,
}

impl Witness {
    /// A reply reaches the host, or it gives up waiting. What it brings is `whose` by what is recorded
    /// of the account.
    pub(super) fn heard(
        &mut self,
        clocks: &Clocks,
        part: &Part,
        stake: Stake,
        outcome: &Outcome,
        whose: Whose,
    ) {
        let (at, account) = (clocks.at(), &part.id);
        self.trace.note(at, || format!("{account} hears {}", spoken(outcome)));
        let told_by = self.told_by(at);
        let life = self.life(account);
        life.in_flight = false;
        let error = match outcome {
            Outcome::Granted(grant) => {
                let refresh_token = grant.refresh_token.as_ref();
                match whose {
                    Whose::Its => {
                        // What proves another login may yet be lost, and then this one stands as it did.
                        if stake == Stake::Current {
                            life.is_sound();
                        }
                        life.learn(stake, refresh_token);
                    }
                    Whose::AnotherS => {
                        life.set_aside.extend(refresh_token.map(Serial::of));
                        // What was handed in says nothing of the login that the account has.
                        life.disowned |= stake != Stake::Staged;
                    }
                }
                if grant.lifetime < Duration::from_secs(900) {
                    life.odd = at;
                }
                life.patience = None;
                None
            }
            Outcome::Salvaged(token, error) => {
                if stake != Stake::Staged {
                    life.disowned = false;
                }
                life.learn(stake, Some(token));
                Some(error)
            }
            Outcome::Failed(error) => Some(error),
        };
        let class = error.map(RefreshError::class);
        if let Some((_, fate)) = &mut life.spent {
            let lost = class == Some(Class::Ambiguous) && matches!(outcome, Outcome::Failed(_));
            let in_doubt = lost && *fate == Fate::Open;
            *fate = if in_doubt { Fate::Lost } else { Fate::Known };
        }
        life.struggle.hears(
            at,
            match (outcome, class) {
                (Outcome::Granted(_) | Outcome::Salvaged(..), _) => Heard::Tokens,
                (Outcome::Failed(_), Some(Class::Suspect | Class::Definite)) => Heard::Refusal,
                (Outcome::Failed(_), Some(Class::Ambiguous)) => Heard::Nothing,
                (Outcome::Failed(_), _) => Heard::Failure,
            },
        );
        match (class, stake) {
            (Some(Class::Suspect), Stake::Current) => life.refusals += 1,
            // A sign-in that is refused leaves nothing to confirm, and what was handed in is not
            // the login that the account has.
            (Some(Class::Suspect), Stake::SignIn) => life.refusals += REFUSALS,
            (Some(Class::Suspect), Stake::Staged)
            | (
                Some(
                    Class::NotSent
                    | Class::Transient
                    | Class::Throttled
                    | Class::Ambiguous
                    | Class::Config
                    | Class::Definite,
                ),
                _,
            )
            | (None, _) => {}
        }
        if let Some(error) = error {
            // What one place asks for does not hold at another.
            let here = life.sent_to.as_ref() == Some(part.lineage());
            let asked = error.retry_after().filter(|_| here);
            let asked = asked.map(|asked| at + asked.min(LONGEST_RETRY_AFTER));
            life.patience = asked;
            life.patience_noted = if stake == Stake::Staged { Noted::Never } else { Noted::No };
            life.asked_until = asked.map(|until| until + LONGEST_RETRY_AFTER / 10);
            if let Some(until) = asked {
                // What is asked for is lengthened by a tenth at the most.
                let until = until + (until - at) / 10;
                life.struggle.is_blocked(at, Some(until), Why::Patience);
            }
            // What was tried beside the account's own credential says nothing of it.
            let own = class == Some(Class::Throttled) && stake == Stake::Current && here;
            let unsaid = own && asked.is_none();
            life.throttled = unsaid.then_some(at + SHORTEST_THROTTLE);
            if stake != Stake::Staged {
                life.owed.get_or_insert(told_by);
            }
        }
    }

    /// The provider refuses a refresh token that it does not take any more.
    pub(super) fn refused(
        &mut self,
        clocks: &Clocks,
        account: &AccountId,
        token: &Secret,
        refused: &Refused,
    ) {
        let Refused { newest, since, reused, conduct } = *refused;
        let serial = Serial::of(token);
        self.trace.note(clocks.at(), || format!("{account}: {serial:?} is refused for good"));
        let life = self.life(account);
        let knows = life.knows;
        if !reused {
            return;
        }
        if knows.login == newest.login && knows >= newest {
            self.violated(account, || format!("spends {serial:?}, though it was given {newest:?}"));
            return;
        }
        if life.mourned.replace(newest) == Some(newest) {
            return;
        }
        let why = match conduct {
            _ if life.set_aside.contains(&newest) => Ok(Why::SetAside),
            Conduct::Grace(_) => life.struggle.why_lost(serial, since),
            Conduct::Keeps | Conduct::Multiplies | Conduct::Strict => Ok(Why::NoGrace),
        };
        match why {
            Ok(why) => self.counts.lost.count(why),
            Err(what) => self.violated(account, || {
                format!("lost {newest:?} of {since:?} with {conduct:?}: {what}")
            }),
        }
    }
}

fn spoken(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Granted(grant) => format!(
            "access {} for {:?}, refresh {:?}",
            grant.tokens.access.expose(),
            grant.lifetime,
            grant.refresh_token.as_ref().map(Secret::expose)
        ),
        Outcome::Salvaged(token, error) => format!("{error}, and {}", token.expose()),
        Outcome::Failed(error) => error.to_string(),
    }
}
