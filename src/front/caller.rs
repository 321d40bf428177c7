//! Who asks, through which socket, and what that lets them do.
//!
//! [`Caller::seat`] is the only way to an account. What it lets through is decided by
//! [`Asker`], before anything of the account is looked at.
//!
//! Which unit a peer belongs to is looked up before the first request whose answer may depend on
//! it, once for a connection: [`Caller::lacks_unit`], [`Caller::with_unit`].

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::access::Masters;
use crate::access::Narrowing;
use crate::access::Peer;
use crate::access::Right;
use crate::access::Rights;
use crate::asking::Asker;
use crate::asking::matter::Matter;
use crate::asking::pace::Pace;
use crate::asking::refusals::Refusals;
use crate::attest::Attestor;
use crate::attest::Process;
use crate::clock;
use crate::error::code::Code;
use crate::front::behind::Behind;
use crate::front::behind::Held;
use crate::front::places::Places;
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
use crate::unit::NoUnit;
use crate::unit::Proof;

/// What all connections of the serve thread share.
pub(super) struct Desk {
    /// The supervisor's handle.
    pub(super) keeper: Keeper,
    /// Who may do everything.
    pub(super) masters: Masters,
    /// Who knows which unit a process belongs to.
    pub(super) attestor: Attestor,
    /// How well this kernel says which process connected.
    pub(super) proof: Proof,
    /// Places for processes that are held, where that is the number alone.
    pub(super) held: Rc<Places>,
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

impl Desk {
    /// Holds the process of a new connection of `uid`, where it is not to be had later and a rule
    /// may ask for its unit.
    pub(super) fn holds(
        &self,
        uid: u32,
        process: impl FnOnce() -> Result<Process, NoUnit>,
    ) -> Result<Held, NoUnit> {
        if self.proof == Proof::Process || !self.keeper.directory().names_a_unit() {
            return Err(NoUnit::Unheld);
        }
        let place = self.held.take_at_once(uid).ok_or(NoUnit::Crowded)?;
        Ok(Held { process: process()?, _place: place })
    }
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
    /// Its process; `None` of who is not to be asked about.
    pub(super) behind: Option<Rc<Behind>>,
}

impl Caller {
    /// Another peer at the same socket, to explain beforehand what it may do.
    pub(super) fn another(&self, peer: Peer) -> Self {
        Self { desk: self.desk.clone(), door: self.door.clone(), peer, behind: None }
    }

    /// Whether the answer may depend on the peer's unit, which nobody has looked up yet.
    pub(super) fn lacks_unit(&self, matter: Matter<'_>) -> bool {
        self.behind.is_some() && self.asker().lacks_unit(&self.desk.keeper.directory(), matter)
    }

    /// The same caller, with what can be known of its unit.
    pub(super) async fn with_unit(&self) -> Rc<Self> {
        let Self { desk, door, peer, behind } = self;
        let unit = match behind {
            Some(behind) => behind.unit(&desk.attestor, peer.uid).await,
            None => peer.unit.clone(),
        };
        let peer = Peer { unit, ..peer.clone() };
        Rc::new(Self { desk: desk.clone(), door: door.clone(), peer, behind: behind.clone() })
    }

    /// It as the rules see it.
    pub(super) fn asker(&self) -> Asker<'_> {
        Asker {
            peer: &self.peer,
            masters: self.desk.masters,
            narrowing: self.door.narrowing.as_ref(),
        }
    }

    /// What it may do with an account.
    pub(super) fn rights(&self, directory: &Directory, seat: &Seat) -> Rights {
        self.asker().rights(directory, seat)
    }

    /// Whether it may order about the daemon itself. Nobody may through a narrowing socket.
    pub(super) fn is_daemon_admin(&self, directory: &Directory) -> bool {
        self.asker().is_daemon_admin(directory)
    }

    /// Whether it may read metrics.
    pub(super) fn may_read_metrics(&self, directory: &Directory) -> bool {
        self.asker().may_read_metrics(directory)
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
        self.seat_where(name, Right::Read, Asker::may_see)
    }

    fn seat_where(
        &self,
        name: &str,
        needed: Right,
        enough: impl FnOnce(Rights) -> bool,
    ) -> Result<Arc<Seat>, Box<Refused>> {
        let directory = self.desk.keeper.directory();
        self.asker().find(&directory, name, needed, enough).map_err(|why| {
            let mut refusals = self.desk.refusals.borrow_mut();
            self.asker().record(&why, &self.door.path, &mut refusals, clock::now());
            self.asker().told(&why, nameless).into()
        })
    }

    /// That the caller may not do this to the daemon itself.
    pub(super) fn not_for_you(&self, what: &'static str, key: &str) -> Box<Refused> {
        let mut refusals = self.desk.refusals.borrow_mut();
        self.asker().record_of_daemon(what, key, &mut refusals, clock::now());
        self.asker().not_for_you(what, key).into()
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
            .map_err(|at| self.too_many("refreshes and reports", account, at, now.boot))
    }

    /// Takes one login, logout or question about sessions from the peer's share.
    ///
    /// # Errors
    ///
    /// As [`pace`](Self::pace).
    pub(super) fn pace_logins(&self, account: &AccountId, now: Now) -> Result<(), Box<Refused>> {
        self.desk.logins.borrow_mut().take(self.peer.uid, now.boot).map_err(|at| {
            let what = "logins, logouts and questions about sessions";
            self.too_many(what, account, at, now.boot)
        })
    }

    /// Gives a login back that the engine refused to begin: it never left this host.
    pub(super) fn give_login_back(&self) {
        self.desk.logins.borrow_mut().give_back(self.peer.uid);
    }

    fn too_many(&self, what: &str, account: &AccountId, at: Moment, now: Moment) -> Box<Refused> {
        self.asker().too_many(what, account, at, now).into()
    }
}

/// The name in a path.
///
/// # Errors
///
/// `BAD_REQUEST`, if it can be no account's.
pub(super) fn account_named(name: &str) -> Result<AccountId, Box<Refused>> {
    AccountId::parse(name).map_err(|_| nameless().into())
}

fn nameless() -> Refusal {
    let message = format!("the path has no account name; one is {ACCOUNT_NAME_RULE}");
    Refusal::new(Code::BadRequest, message)
}
