//! A peer that asks: what it may do, what it is told if it may not, and how it waits.
//!
//! The same for every door, so that no door lets through what another refuses. A door finds
//! out who the peer is and reads what it wants; what follows from both is decided here.
//!
//! # Reading order
//!
//! 1. [`Asker`]: the only way to an account.
//! 2. `token`, `renewal`: waiting for what an account has not yet; `follow` is what both do.
//!    `order`: having it changed.
//! 3. `pace`, `refusals`: how often, and what of it is worth a record.
//! 4. `matter`: when it has to be known which unit a peer belongs to.
//! 5. `view`, `json`, `answer`, `aws`: what a peer is shown and given.

pub mod answer;
pub mod aws;
pub mod follow;
pub mod json;
pub mod matter;
pub mod order;
pub mod pace;
pub mod refusals;
pub mod renewal;
pub mod token;
pub mod view;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::access;
use crate::access::Masters;
use crate::access::NO_GROUP;
use crate::access::NO_USER;
use crate::access::Narrowing;
use crate::access::Peer;
use crate::access::Right;
use crate::access::Rights;
use crate::access::Rule;
use crate::error::code::Code;
use crate::keeper::Directory;
use crate::keeper::Seat;
use crate::message::Message;
use crate::name::AccountId;
use crate::snapshot::Refusal;
use crate::time::Moment;
use crate::time::Now;
use crate::time::secs_until_over;
use crate::time::spoken;
use crate::unit::Unit;

use self::refusals::Kind;
use self::refusals::Refusals;

/// A peer at a door.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Who it is.
    pub peer: &'a Peer,
    /// Who may do everything.
    pub masters: Masters,
    /// What the door lets through.
    pub narrowing: Option<&'a Narrowing>,
}

/// Why an account is not to be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unavailable {
    /// What was given can be no account's name.
    NoName,
    /// There is none; said to administrators only.
    Unknown(AccountId),
    /// The rules do not allow it, or there is no such account.
    Forbidden {
        /// The account.
        account: AccountId,
        /// The right that it would need.
        needed: Right,
        /// Whether there is such an account.
        there: bool,
        /// Whether the peer has some other right to it, so that it knows that it is there.
        known: bool,
    },
}

/// A request that is not satisfied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denied {
    /// The account that it is about.
    pub account: Option<AccountId>,
    /// Why.
    pub refusal: Refusal,
}

impl Denied {
    /// About an account.
    pub fn about(account: &AccountId, refusal: Refusal) -> Self {
        Self { account: Some(account.clone()), refusal }
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { account: None, refusal }
    }
}

impl Asker<'_> {
    /// What it may do with an account.
    pub fn rights(&self, directory: &Directory, seat: &Seat) -> Rights {
        let granted =
            access::rights(self.peer, self.masters, &seat.account, &seat.rules, self.narrowing);
        if self.is_daemon_admin(directory) { granted.with(Right::Admin) } else { granted }
    }

    /// Whether these let it see how an account stands: whoever may read its token or change it.
    pub fn may_see(rights: Rights) -> bool {
        rights.has(Right::Read) || rights.has(Right::Admin)
    }

    /// Whether it may order about the daemon itself. Nobody may through a narrowing socket.
    pub fn is_daemon_admin(&self, directory: &Directory) -> bool {
        self.is_named_by(&directory.admin)
    }

    /// Whether it may read metrics.
    pub fn may_read_metrics(&self, directory: &Directory) -> bool {
        self.is_named_by(&directory.metrics)
    }

    fn is_named_by(&self, rules: &[Rule]) -> bool {
        self.narrowing.is_none()
            && (self.masters.include(self.peer) || rules.iter().any(|rule| rule.matches(self.peer)))
    }

    /// The account of that name, if its rights are `enough`. `needed` is what a refusal names.
    ///
    /// # Errors
    ///
    /// Why it is not to be had. An account that is not there and one that is not allowed are
    /// told apart only to the daemon's administrators.
    pub fn find(
        &self,
        directory: &Directory,
        name: &str,
        needed: Right,
        enough: impl FnOnce(Rights) -> bool,
    ) -> Result<Arc<Seat>, Unavailable> {
        let seat = directory.seats.get(name);
        let rights = seat.map(|seat| self.rights(directory, seat));
        if let (Some(seat), Some(rights)) = (seat, rights)
            && enough(rights)
        {
            return Ok(seat.clone());
        }
        let account = AccountId::parse(name).map_err(|_| Unavailable::NoName)?;
        if seat.is_none() && self.is_daemon_admin(directory) {
            return Err(Unavailable::Unknown(account));
        }
        let known = rights.is_some_and(|rights| !rights.is_empty());
        Err(Unavailable::Forbidden { account, needed, there: seat.is_some(), known })
    }

    /// The peer as it is attested, in words.
    pub fn as_seen(&self) -> String {
        let Peer { uid, gid, groups, pid: _, unit } = self.peer;
        if *uid == NO_USER {
            return format!("unit {}", unit.name().unwrap_or("none"));
        }
        let mut text = format!("uid {uid}");
        // Writing into a String cannot fail.
        if *gid != NO_GROUP {
            let _written = write!(text, ", gid {gid}");
        }
        if !groups.is_empty() {
            /// More would drown the message; `whoami` tells them all.
            const SHOWN: usize = 16;
            let shown = groups.iter().take(SHOWN).map(u32::to_string).collect::<Vec<_>>();
            let more = if groups.len() > SHOWN { ", …" } else { "" };
            let _written = write!(text, ", groups {}{more}", shown.join(", "));
        }
        let _written = match unit {
            Unit::Unasked => Ok(()),
            Unit::Proven { name, proof: _ } => write!(text, ", unit {name}"),
            Unit::Unproven(why) => write!(text, ", no unit that is known: {why}"),
        };
        text
    }

    /// What the peer is told of an account that is not to be had. `nameless` is what the door
    /// says of something that can be no name.
    pub fn told(&self, why: &Unavailable, nameless: impl FnOnce() -> Refusal) -> Denied {
        match why {
            Unavailable::NoName => nameless().into(),
            Unavailable::Unknown(account) => Denied::about(
                account,
                Refusal::new(Code::AccountUnknown, "there is no such account"),
            ),
            Unavailable::Forbidden { account, needed, there: _, known } => {
                Denied::about(account, self.not_allowed(*needed, *known))
            }
        }
    }

    /// Who has no right at all to an account does not learn whether it is there; to anyone else
    /// it is `known`.
    fn not_allowed(&self, needed: Right, known: bool) -> Refusal {
        let perhaps = if known { "" } else { ", or there is no such account" };
        let (right, seen) = (needed.as_str(), self.as_seen());
        // The same for an account that is not there, so that it tells nothing of any.
        let rule = format!("gives it with {} among the account's rules", self.rule(needed));
        let way = match self.narrowing {
            None => rule,
            Some(_) => {
                let door = "lets it through with `accounts` and `rights` of this socket's \
                            `[[listen]]`";
                // No account's rule is needed for those who may do everything.
                let rule = (!self.masters.include(self.peer)).then(|| format!(", and {rule}"));
                format!("{door}{}", rule.unwrap_or_default())
            }
        };
        let message =
            format!("no right `{right}` on it{perhaps}; you are {seen}; an administrator {way}");
        Refusal::new(Code::InsufficientPermissions, message)
    }

    /// The rule of an account by which the peer would have that right.
    fn rule(&self, needed: Right) -> String {
        let mut keys = self.keys();
        keys.push(format!("rights = [\"{}\"]", needed.as_str()));
        format!("allow = [{{ {} }}]", keys.join(", "))
    }

    /// The keys of a rule that is about the peer alone.
    fn keys(&self) -> Vec<String> {
        let user = (self.peer.uid != NO_USER).then(|| format!("user = {}", self.peer.uid));
        // A name may have backslashes, which mean themselves between single quotes.
        let unit = self.peer.unit.name().map(|name| format!("unit = '{name}'"));
        user.into_iter().chain(unit).collect()
    }

    /// What the peer is told that may not do this to the daemon itself; `key` would allow it.
    /// Through a narrowing socket nobody may, so that it is told of the other one and of no rule.
    pub fn not_for_you(&self, what: &str, key: &str) -> Denied {
        let seen = self.as_seen();
        let way = match self.narrowing {
            None => format!(
                "an administrator allows it with {key} = [{{ {} }}] in [daemon]",
                self.keys().join(", ")
            ),
            Some(_) => "no `[[listen]]` lets that through, for root neither: ask at the daemon's \
                        own socket"
                .to_owned(),
        };
        let message = format!("no right to {what}; you are {seen}; {way}");
        Refusal::new(Code::InsufficientPermissions, message).into()
    }

    /// What the peer is told that has no share left, and from when on it has.
    pub fn too_many(&self, what: &str, account: &AccountId, at: Moment, now: Moment) -> Denied {
        let wait = spoken(Duration::from_secs(secs_until_over(at.since(now))));
        let uid = self.peer.uid;
        let message = format!("too many {what} of uid {uid}; the next one is allowed in {wait}");
        let refusal = Refusal::new(Code::RateLimitExceeded, message);
        Denied::about(account, Refusal { retry_at: Some(at), ..refusal })
    }

    /// Records why an account was refused, and which rule it would have needed. `door` is the
    /// path of a narrowing socket.
    pub fn record(&self, why: &Unavailable, door: &str, refusals: &mut Refusals, now: Now) {
        let Unavailable::Forbidden { account, needed, there, known: _ } = why else { return };
        let code = Code::InsufficientPermissions.as_str();
        let event = Message::AccessDenied.as_str();
        let (peer_uid, right) = (self.peer.uid, needed.as_str());
        let subject = there.then(|| account.clone());
        let Some(others) = self.others(subject, right, refusals, now) else { return };
        if !there {
            tracing::info!(
                %account, event, peer_uid, code,
                "refused `{right}`: there is no such account{others}",
            );
        } else if self.narrowing.is_some() {
            tracing::info!(
                %account, event, peer_uid, code,
                "refused `{right}`: it would need the `[[listen]]` of {door} to let it through, \
                 and a rule{others}",
            );
        } else {
            tracing::info!(
                %account, event, peer_uid, code,
                "refused `{right}`: it would need a rule like {}{others}",
                self.rule(*needed),
            );
        }
    }

    /// Records that something about the daemon itself was refused; `key` would allow it.
    pub fn record_of_daemon(
        &self,
        what: &'static str,
        key: &str,
        refusals: &mut Refusals,
        now: Now,
    ) {
        let Some(others) = self.others(None, what, refusals, now) else { return };
        tracing::info!(
            event = Message::AccessDenied.as_str(),
            peer_uid = self.peer.uid,
            code = Code::InsufficientPermissions.as_str(),
            "refused to {what}; it would need `[daemon] {key}` to name the peer, on an \
             ordinary socket{others}",
        );
    }

    /// Notes a refusal. If it is to be recorded: how the record ends, which tells of those
    /// that were left out before it.
    fn others(
        &self,
        account: Option<AccountId>,
        what: &'static str,
        refusals: &mut Refusals,
        now: Now,
    ) -> Option<String> {
        let kind = Kind { uid: self.peer.uid, account, what };
        let left_out = refusals.note(kind, now.boot)?;
        Some(if left_out == 0 {
            String::new()
        } else {
            format!(" ({left_out} like it since its last record were not recorded)")
        })
    }
}
