//! What is on disk of one account.

use std::sync::Arc;

use crate::name::AccountId;
use crate::record::Lineage;
use crate::record::Record;
use crate::record::Saved;
use crate::record::SavedAws;
use crate::record::Stake;
use crate::record::Stamp;
use crate::record::Standing;
use crate::record::Write;
use crate::time::Moment;
use crate::time::Now;
use crate::token::AwsGrant;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;

/// A store that never fails.
pub(super) struct Store {
    lineage: Lineage,
    generation: Generation,
    current: Option<(Arc<Grant>, Now)>,
    aws: Option<(AwsGrant, Now)>,
    refresh_token: Option<Secret>,
    staged: Option<Secret>,
    subject: Option<Box<str>>,
    standing: Standing,
    attempts: Vec<Moment>,
}

impl Store {
    pub(super) fn new(lineage: Lineage) -> Self {
        Self {
            lineage,
            generation: Generation::default(),
            current: None,
            aws: None,
            refresh_token: None,
            staged: None,
            subject: None,
            standing: Standing::default(),
            attempts: Vec::new(),
        }
    }

    /// The refresh token for one exchange.
    pub(super) fn refresh_token(&self, stake: Stake) -> Option<Secret> {
        match stake {
            Stake::Current => self.refresh_token.clone(),
            Stake::Staged => self.staged.clone(),
            Stake::SignIn => None,
        }
    }

    /// Makes something durable; the number of the generation, where it makes one.
    pub(super) fn write(&mut self, write: Write) -> Option<Generation> {
        match write {
            Write::Intent { attempts, .. } => self.attempts = attempts,
            Write::Commit { grant, issued, stake, standing, .. } => {
                self.commit(grant, issued, stake);
                self.standing = standing;
                return Some(self.generation);
            }
            Write::Note { standing, .. } => self.standing = standing,
            Write::Stage { refresh_token, .. } => self.staged = Some(refresh_token),
            Write::Unstage { .. } => self.staged = None,
            Write::Salvage { .. }
            | Write::Clear { .. }
            | Write::Orphan { .. }
            | Write::Settle { .. } => {
                unreachable!("no reply here is damaged or foreign, and nobody forgets anything")
            }
        }
        None
    }

    fn commit(&mut self, grant: Arc<Grant>, issued: Now, stake: Stake) {
        self.generation = self.generation.next();
        let kept = match stake {
            Stake::Staged => self.staged.take(),
            Stake::Current | Stake::SignIn => self.refresh_token.take(),
        };
        self.refresh_token = grant.refresh_token.clone().or(kept);
        let aws = grant.aws.clone().map(|aws| (aws, issued));
        self.aws = aws.or_else(|| self.aws.take().filter(|_| stake != Stake::Staged));
        self.subject = grant.subject.clone().or_else(|| self.subject.take());
        self.current = Some((grant, issued));
    }

    /// What another process finds.
    pub(super) fn record(&self, account: AccountId) -> Option<Record> {
        let (grant, issued) = self.current.as_ref()?;
        let stamp = |now: &Now| Stamp { wall: now.wall, boot: Some(now.boot) };
        let aws = self.aws.as_ref().map(|(aws, issued)| SavedAws {
            credentials: Arc::clone(&aws.credentials),
            issued: stamp(issued),
            lifetime: aws.lifetime,
        });
        let current = Saved {
            generation: self.generation,
            tokens: Some(Arc::clone(&grant.tokens)),
            issued: stamp(issued),
            lifetime: grant.lifetime,
            aws,
            refreshable: self.refresh_token.is_some(),
        };
        // The wall clock of a life is never set.
        let attempts =
            self.attempts.iter().map(|boot| Stamp { wall: issued.wall, boot: Some(*boot) });
        Some(Record {
            account,
            lineage: self.lineage.clone(),
            subject: self.subject.clone(),
            current: Some(current),
            staged: self.staged.as_ref().map(|_| self.lineage.clone()),
            staged_mark: self.staged.as_ref().map(Secret::mark),
            intent: None,
            staged_intent: None,
            attempts: attempts.collect(),
            standing: self.standing.clone(),
            unsaved: false,
        })
    }
}
