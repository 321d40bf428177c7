//! What a decision works with, and the steps that the services share.

use std::num::NonZeroU32;

use serde_json::Map;
use serde_json::Value;

use crate::behaviour::Behaviour;
use crate::clock::Moment;
use crate::family::Reuse;
use crate::family::Rotation;
use crate::family::Rule;
use crate::family::Scope;
use crate::fault::Kind;
use crate::token::Claim;
use crate::token::Mint;
use crate::vault::Families;
use crate::vault::Spent;
use crate::vault::Terms;
use crate::vault::Unspent;
use crate::vault::Vault;

/// What a decision works with.
pub(crate) struct Bench<'a> {
    /// The logins.
    pub(crate) vault: &'a mut Vault,
    /// How the account behaves.
    pub(crate) behaviour: &'a Behaviour,
    /// The fault that strikes this request.
    pub(crate) fault: Option<&'a Kind>,
    /// What all accounts share.
    pub(crate) tools: Tools<'a>,
    /// When the decision falls.
    pub(crate) now: Moment,
}

/// What a decision needs from outside the account.
pub(crate) struct Tools<'a> {
    /// Makes and opens tokens.
    pub(crate) mint: &'a Mint,
    /// The address of this process, as in `http://127.0.0.1:1234`.
    pub(crate) origin: &'a str,
    /// Where the numbers of families come from.
    pub(crate) families: &'a mut Families,
}

impl<'a> Bench<'a> {
    /// Begins a login and answers with its first tokens.
    pub(crate) fn sign_in(&mut self) -> Spent {
        let family = self.vault.log_in(self.tools.families, None, self.now);
        self.vault.first_of(family, self.now)
    }

    /// Spends the refresh token `token`, which its service opened as `opened`.
    ///
    /// # Errors
    ///
    /// It grants nothing.
    pub(crate) fn spend(&mut self, opened: Option<Claim>, token: &str) -> Result<Spent, Unspent> {
        if self.vault.locate(opened, token).is_none() {
            self.vault.adopt(token, self.tools.families, self.now);
        }
        let place = self.vault.locate(opened, token).ok_or(Unspent::Unknown)?;
        if matches!(self.fault, Some(Kind::RevokedFamily {})) {
            self.vault.end(place.0);
        }
        let rotation = match self.fault {
            Some(Kind::DifferentRefreshToken { valid: true }) => FORCED,
            _ => self.behaviour.rotation(),
        };
        let terms = Terms { rotation, lifetime: self.behaviour.refresh_lifetime() };
        self.vault.spend(place, terms, self.now)
    }

    /// Family and generation that the refresh token of a reply is made of.
    pub(crate) fn next_place(&self, spent: &Spent) -> (u32, u32) {
        match self.fault {
            // Family 0 does not exist: a token of it is well made and leads nowhere.
            Some(Kind::DifferentRefreshToken { valid: false }) => (0, spent.issue.serial),
            _ => (spent.family, spent.issue.generation),
        }
    }

    /// Whether the reply carries a refresh token: a fault that is about it shows it always.
    pub(crate) fn shows_refresh_token(&self) -> bool {
        let invented = matches!(self.fault, Some(Kind::DifferentRefreshToken { valid: false }));
        invented || !self.behaviour.omit_refresh_token
    }

    /// The opaque refresh token of a reply.
    pub(crate) fn refresh_token(&self, spent: &Spent) -> String {
        let (family, generation) = self.next_place(spent);
        self.vault.shown(self.tools.mint, family, generation)
    }

    /// Whose tokens they are to be, if a fault says that they are somebody else's.
    pub(crate) fn other_subject(&self) -> Option<&'a str> {
        match self.fault {
            Some(Kind::OtherSubject { subject }) => Some(subject),
            _ => None,
        }
    }

    /// Puts the values of the fault `wrong_types` in place of those of a token reply.
    pub(crate) fn spoil(&self, members: &mut Map<String, Value>) {
        if let Some(Kind::WrongTypes { members: wrong }) = self.fault {
            members.extend(wrong.clone());
        }
    }
}

/// The claims of a token of `subject` that was handed out at `issued` (RFC 7519, 4.1), but for
/// the audience.
pub(crate) fn claims(
    behaviour: &Behaviour,
    issuer: &str,
    subject: &str,
    issued: Moment,
) -> Map<String, Value> {
    let ends = i64::try_from(behaviour.ends(issued).unix.as_secs()).unwrap_or(i64::MAX);
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", issuer.into());
    put("sub", subject.into());
    put("exp", ends.saturating_add(behaviour.jwt_exp_skew_secs).into());
    if !behaviour.jwt_without_iat {
        put("iat", issued.unix.as_secs().into());
    }
    claims
}

/// What the fault `different_refresh_token` does: one rotation that costs the old token nothing.
const FORCED: Rotation = Rotation::Every(Rule {
    every: NonZeroU32::MIN,
    grace: None,
    scope: Scope::Any,
    reuse: Reuse::Refuse,
});
