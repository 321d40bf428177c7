//! The generation that a grant makes, before it is sealed.
//!
//! What it takes from the one before it is decided here, once for the row that it becomes and
//! for the record that stands in for that row while the disk does not take it.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::name::AccountId;
use crate::record::Stake;
use crate::record::Standing;
use crate::record::Write;
use crate::schedule;
use crate::store::body;
use crate::store::body::Aws;
use crate::store::body::Body;
use crate::store::body::Dates;
use crate::store::body::Parts;
use crate::time::Now;
use crate::token::AwsGrant;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;

/// What a generation builds on.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    /// The last number that was given to a generation of the account.
    pub(super) count: Generation,
    /// The newest one that opens.
    pub(super) base: Option<&'a (Generation, Body)>,
    /// The refresh token that waits to be proven, if it opens.
    pub(super) staged: Option<&'a Secret>,
    /// The present boot.
    pub(super) boot_id: &'a str,
}

/// A generation that a write makes.
pub(super) struct Next<'a> {
    pub(super) account: &'a AccountId,
    pub(super) generation: Generation,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// Where it came from and whose it is; `None` leaves both as they are.
    pub(super) origin: Option<(&'a str, Option<&'a str>)>,
    pub(super) standing: &'a Standing,
    pub(super) stake: Stake,
    /// Whether it brings a refresh token that the disk does not have, in the place of one that
    /// was spent for it.
    pub(super) rotates: bool,
}

impl<'a> Next<'a> {
    /// The generation that `write` makes; `None` if it makes none.
    pub(super) fn of(write: &'a Write, ground: Ground<'_>) -> Option<Self> {
        match write {
            Write::Commit { account, grant, issued, now: _, lineage, stake, standing } => {
                let spent = ground.spent(*stake);
                let refresh_token = grant.refresh_token.as_ref().or(spent);
                Some(Self {
                    account,
                    generation: ground.generation(),
                    body: ground.granted(grant, *issued, *stake, refresh_token),
                    origin: Some((&lineage.0, grant.subject.as_deref())),
                    standing,
                    stake: *stake,
                    rotates: differs(grant.refresh_token.as_ref(), spent, *stake),
                })
            }
            Write::Salvage { account, refresh_token, now, lineage, stake, standing } => {
                let origin: Option<(&str, _)> =
                    (*stake == Stake::Staged).then_some((&lineage.0, None));
                Some(Self {
                    account,
                    generation: ground.generation(),
                    body: ground.kept(Some(refresh_token), *now, *stake),
                    origin,
                    standing,
                    stake: *stake,
                    rotates: differs(Some(refresh_token), ground.spent(*stake), *stake),
                })
            }
            Write::Intent { .. }
            | Write::Note { .. }
            | Write::Stage { .. }
            | Write::Unstage { .. }
            | Write::Clear { .. }
            | Write::Orphan { .. }
            | Write::Settle { .. } => None,
        }
    }
}

impl<'a> Ground<'a> {
    /// The number of the next generation: one more than the last ever given.
    fn generation(self) -> Generation {
        let newest = self.base.map(|(number, _)| *number).unwrap_or_default();
        self.count.max(newest).next()
    }

    /// What an exchange was made with; a grant without a refresh token keeps it.
    fn spent(self, stake: Stake) -> Option<&'a Secret> {
        match stake {
            Stake::Staged => self.staged,
            Stake::Current | Stake::SignIn => {
                self.base.and_then(|(_, body)| body.refresh_token.as_ref())
            }
        }
    }

    fn granted(
        self,
        grant: &Grant,
        issued: Now,
        stake: Stake,
        refresh_token: Option<&Secret>,
    ) -> Zeroizing<Vec<u8>> {
        // Tokens that are dead on arrival take nothing's place: what there is may still be good.
        if schedule::usable(grant.lifetime).is_zero() {
            return self.kept(refresh_token, issued, stake);
        }
        let fresh = grant.aws.as_ref().map(|aws| self.aws(aws, issued));
        let held = self.held(stake).and_then(|body| body.aws.as_ref());
        body::encode(Parts {
            dates: &dates(issued, grant.lifetime, self.boot_id),
            tokens: Some(&grant.tokens),
            aws: fresh.as_ref().or(held),
            refresh_token,
        })
    }

    /// The tokens that there are, with another refresh token.
    fn kept(self, refresh_token: Option<&Secret>, now: Now, stake: Stake) -> Zeroizing<Vec<u8>> {
        match self.held(stake) {
            Some(held) => body::encode(Parts {
                dates: &held.dates,
                tokens: held.tokens.as_ref(),
                aws: held.aws.as_ref(),
                refresh_token,
            }),
            None => body::encode(Parts {
                dates: &dates(now, Duration::ZERO, self.boot_id),
                tokens: None,
                aws: None,
                refresh_token,
            }),
        }
    }

    /// What a new generation goes on with. What came with another login goes with it.
    fn held(self, stake: Stake) -> Option<&'a Body> {
        match stake {
            Stake::Staged => None,
            Stake::Current | Stake::SignIn => self.base.map(|(_, body)| body),
        }
    }

    fn aws(self, aws: &AwsGrant, issued: Now) -> Aws {
        let credentials = Arc::clone(&aws.credentials);
        Aws { dates: dates(issued, aws.lifetime, self.boot_id), credentials }
    }
}

/// The dates of what was issued then.
pub(super) fn dates(issued: Now, lifetime: Duration, boot_id: &str) -> Dates {
    Dates { wall: issued.wall, boot: issued.boot, boot_id: boot_id.into(), lifetime }
}

/// Whether `brought` took the place of what was `spent` for it. A sign-in spends nothing.
fn differs(brought: Option<&Secret>, spent: Option<&Secret>, stake: Stake) -> bool {
    stake != Stake::SignIn
        && brought
            .is_some_and(|brought| spent.is_none_or(|spent| spent.expose() != brought.expose()))
}
