//! Who asks, through which socket, and what that lets them do.
//!
//! [`Caller::seat`] is the only way to an account. It decides before anything of the
//! account is looked at, and an account that is not there is refused with the very words
//! of one that is not allowed, except to the daemon's administrators.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::access;
use crate::access::Masters;
use crate::access::Narrowing;
use crate::access::Peer;
use crate::access::Right;
use crate::access::Rights;
use crate::access::Rule;
use crate::clock;
use crate::error::Code;
use crate::front::pace::Pace;
use crate::front::refusals::Kind;
use crate::front::refusals::Refusals;
use crate::front::reply::Refused;
use crate::front::router::Router;
use crate::front::sheets::Sheets;
use crate::keeper::Directory;
use crate::keeper::Keeper;
use crate::keeper::Seat;
use crate::metrics::Metrics;
use crate::name::ACCOUNT_NAME_RULE;
use crate::name::AccountId;
use crate::snapshot::Refusal;
use crate::time::Moment;
use crate::time::Now;

/// What all connections of the serve thread share.
pub(super) struct Desk {
    /// The supervisor's handle.
    pub(super) keeper: Keeper,
    /// Who may do everything.
    pub(super) masters: Masters,
    /// Where answers are counted.
    pub(super) metrics: Arc<Metrics>,
    /// Where paths lead.
    pub(super) router: Router,
    /// When serving began.
    pub(super) started: Now,
    /// The OpenAPI text.
    pub(super) openapi: Bytes,
    /// Token answers, ready to be sent.
    pub(super) sheets: RefCell<Sheets>,
    /// How often each user may ask for a refresh.
    pub(super) pace: RefCell<Pace>,
    /// How often each user may have something about a login done.
    pub(super) logins: RefCell<Pace>,
    /// Which refusals were recorded lately.
    pub(super) refusals: RefCell<Refusals>,
    /// Turns true when the daemon stops.
    pub(super) stopping: watch::Receiver<bool>,
}

/// One listening socket, as its requests see it.
pub(super) struct Door {
    /// Its path.
    pub(super) path: Box<str>,
    /// What it lets through.
    pub(super) narrowing: Option<Narrowing>,
}

/// One connection's peer.
pub(super) struct Caller {
    pub(super) desk: Rc<Desk>,
    pub(super) door: Rc<Door>,
    pub(super) peer: Peer,
}

impl Caller {
    /// Another peer at the same socket, to explain beforehand what it may do.
    pub(super) fn another(&self, peer: Peer) -> Self {
        Self { desk: self.desk.clone(), door: self.door.clone(), peer }
    }

    /// What it may do with an account.
    pub(super) fn rights(&self, directory: &Directory, seat: &Seat) -> Rights {
        let narrowing = self.door.narrowing.as_ref();
        let granted =
            access::rights(&self.peer, self.desk.masters, &seat.account, &seat.rules, narrowing);
        if self.is_daemon_admin(directory) { granted.with(Right::Admin) } else { granted }
    }

    /// Whether it may see how an account stands: whoever may read its token or change it.
    pub(super) fn may_see(rights: Rights) -> bool {
        rights.has(Right::Read) || rights.has(Right::Admin)
    }

    /// Whether it may order about the daemon itself. Nobody may through a narrowing socket.
    pub(super) fn is_daemon_admin(&self, directory: &Directory) -> bool {
        self.is_named_by(&directory.admin)
    }

    /// Whether it may read metrics.
    pub(super) fn may_read_metrics(&self, directory: &Directory) -> bool {
        self.is_named_by(&directory.metrics)
    }

    fn is_named_by(&self, rules: &[Rule]) -> bool {
        self.door.narrowing.is_none()
            && (self.desk.masters.include(&self.peer)
                || rules.iter().any(|rule| rule.matches(&self.peer)))
    }

    /// The account of that name, if the caller may do with it what `right` says.
    ///
    /// # Errors
    ///
    /// `INSUFFICIENT_PERMISSIONS`; to administrators `ACCOUNT_UNKNOWN` if there is none.
    pub(super) fn seat(&self, name: &str, right: Right) -> Result<Arc<Seat>, Box<Refused>> {
        self.seat_where(name, right, |rights| rights.has(right))
    }

    /// The account of that name, if the caller may see how it stands.
    ///
    /// # Errors
    ///
    /// As [`seat`](Self::seat).
    pub(super) fn visible_seat(&self, name: &str) -> Result<Arc<Seat>, Box<Refused>> {
        self.seat_where(name, Right::Read, Self::may_see)
    }

    fn seat_where(
        &self,
        name: &str,
        needed: Right,
        enough: impl FnOnce(Rights) -> bool,
    ) -> Result<Arc<Seat>, Box<Refused>> {
        let directory = self.desk.keeper.directory();
        let seat = directory.seats.get(name);
        if let Some(seat) = seat
            && enough(self.rights(&directory, seat))
        {
            return Ok(seat.clone());
        }
        let account = account_named(name)?;
        if seat.is_none() && self.is_daemon_admin(&directory) {
            let refusal = Refusal::new(Code::AccountUnknown, "there is no such account");
            return Err(Refused::about(&account, refusal));
        }
        self.log_refusal(&account, seat.map(|seat| &**seat), needed);
        let known = seat.is_some_and(|seat| !self.rights(&directory, seat).is_empty());
        Err(Refused::about(&account, self.not_allowed(needed, known)))
    }

    /// That the caller may not do this to the daemon itself.
    pub(super) fn not_for_you(&self, what: &'static str, key: &str) -> Box<Refused> {
        if let Some(others) = self.record(None, what) {
            tracing::info!(
                peer_uid = self.peer.uid,
                code = Code::InsufficientPermissions.as_str(),
                "refused to {what}; it would need `[daemon] {key}` to name the peer, on an \
                 ordinary socket{others}",
            );
        }
        let message = format!("no right to {what}; you are {}", self.self_as_seen());
        Refused::boxed(Refusal::new(Code::InsufficientPermissions, message))
    }

    /// Who has no right at all to an account does not learn whether it is there; to anyone else
    /// it is `known`.
    fn not_allowed(&self, needed: Right, known: bool) -> Refusal {
        let perhaps = if known { "" } else { ", or there is no such account" };
        let (right, seen) = (needed.as_str(), self.self_as_seen());
        let message = format!("no right `{right}` on it{perhaps}; you are {seen}");
        Refusal::new(Code::InsufficientPermissions, message)
    }

    fn log_refusal(&self, account: &AccountId, seat: Option<&Seat>, needed: Right) {
        let code = Code::InsufficientPermissions.as_str();
        let (peer_uid, right) = (self.peer.uid, needed.as_str());
        let known = seat.map(|seat| seat.account.clone());
        let Some(others) = self.record(known, right) else { return };
        if seat.is_none() {
            tracing::info!(
                %account, peer_uid, code,
                "refused `{right}`: there is no such account{others}",
            );
        } else if self.door.narrowing.is_some() {
            let socket = &self.door.path;
            tracing::info!(
                %account, peer_uid, code,
                "refused `{right}`: it would need the `[[listen]]` of {socket} to let it through, \
                 and a rule{others}",
            );
        } else {
            tracing::info!(
                %account, peer_uid, code,
                "refused `{right}`: it would need a rule like \
                 allow = [{{ user = {peer_uid}, rights = [\"{right}\"] }}]{others}",
            );
        }
    }

    /// Notes a refusal. If it is to be recorded: how the record ends, which tells of those
    /// that were left out before it.
    fn record(&self, account: Option<AccountId>, what: &'static str) -> Option<String> {
        let kind = Kind { uid: self.peer.uid, account, what };
        let left_out = self.desk.refusals.borrow_mut().note(kind, clock::now().boot)?;
        Some(if left_out == 0 {
            String::new()
        } else {
            format!(" ({left_out} like it since its last record were not recorded)")
        })
    }

    /// The peer as the kernel attests it, in words.
    pub(super) fn self_as_seen(&self) -> String {
        let Peer { uid, gid, groups, pid: _, unit } = &self.peer;
        let mut text = format!("uid {uid}, gid {gid}");
        if !groups.is_empty() {
            /// More would drown the message; `whoami` tells them all.
            const SHOWN: usize = 16;
            let shown = groups.iter().take(SHOWN).map(u32::to_string).collect::<Vec<_>>();
            let more = if groups.len() > SHOWN { ", …" } else { "" };
            // Writing into a String cannot fail.
            let _written = write!(text, ", groups {}{more}", shown.join(", "));
        }
        if let Some(unit) = unit {
            let _written = write!(text, ", unit {unit}");
        }
        text
    }

    /// Takes one request that may reach a provider from the peer's share.
    ///
    /// # Errors
    ///
    /// `RATE_LIMIT_EXCEEDED`, with when to ask again.
    pub(super) fn pace(&self, account: &AccountId, now: Now) -> Result<(), Box<Refused>> {
        self.desk
            .pace
            .borrow_mut()
            .take(self.peer.uid, now.boot)
            .map_err(|at| self.too_many("refreshes and reports", account, at))
    }

    /// Takes one login, logout or question about sessions from the peer's share.
    ///
    /// # Errors
    ///
    /// As [`pace`](Self::pace).
    pub(super) fn pace_logins(&self, account: &AccountId, now: Now) -> Result<(), Box<Refused>> {
        self.desk.logins.borrow_mut().take(self.peer.uid, now.boot).map_err(|at| {
            self.too_many("logins, logouts and questions about sessions", account, at)
        })
    }

    fn too_many(&self, what: &str, account: &AccountId, at: Moment) -> Box<Refused> {
        let message = format!("too many {what} of uid {}", self.peer.uid);
        let refusal = Refusal::new(Code::RateLimitExceeded, message);
        Refused::about(account, Refusal { retry_at: Some(at), ..refusal })
    }
}

/// The name in a path.
///
/// # Errors
///
/// `BAD_REQUEST`, if it can be no account's.
pub(super) fn account_named(name: &str) -> Result<AccountId, Box<Refused>> {
    AccountId::parse(name).map_err(|_| {
        let message = format!("the path has no account name; one is {ACCOUNT_NAME_RULE}");
        Refused::boxed(Refusal::new(Code::BadRequest, message))
    })
}
