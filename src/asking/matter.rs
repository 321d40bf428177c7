//! When it has to be known which unit a peer belongs to.
//!
//! Asking takes the service manager's time and the peer's. It is asked for where a rule names a
//! unit that could change the answer, and never of the daemon's masters, who may do everything.
//!
//! A refusal tells the peer as it is seen, with its unit if that was asked for. Who has no right
//! to an account must not learn from that whether it is there, nor which rules it has: of all
//! such accounts, the absent ones included, the unit is asked for if any rule names one.

use crate::access::Right;
use crate::access::Rights;
use crate::asking::Asker;
use crate::keeper::Directory;

/// What a request is about, as far as rules matter to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Matter<'a> {
    /// Nothing that rules decide about.
    Nothing,
    /// One account, and the one right to it that decides.
    Right(&'a str, Right),
    /// One account, and all that the peer may do with it.
    Account(&'a str),
    /// One account of which there is news. Who may not hear it is told nothing.
    News(&'a str),
    /// The daemon itself.
    Daemon,
    /// Every account.
    Everything,
    /// The peer itself, whoever it is.
    Itself,
}

impl Asker<'_> {
    /// Whether the answer may depend on the unit of the peer, which nobody has asked for yet, or
    /// in vain for a reason that passes.
    pub fn lacks_unit(&self, directory: &Directory, matter: Matter<'_>) -> bool {
        if !self.peer.unit.is_open()
            || (self.masters.include(self.peer) && matter != Matter::Itself)
        {
            return false;
        }
        // A narrowing socket has no administrators and no metrics.
        let daemon = || self.narrowing.is_none() && directory.daemon_names_a_unit();
        let account = |name: &str| directory.seats.get(name).is_some_and(|it| it.names_a_unit());
        let rights = |name: &str| match directory.seats.get(name) {
            Some(seat) => self.rights(directory, seat),
            None => Rights::NONE,
        };
        match matter {
            Matter::Nothing => false,
            Matter::Right(name, _) | Matter::Account(name) if rights(name).is_empty() => {
                directory.names_a_unit()
            }
            Matter::Right(name, right) => (account(name) || daemon()) && !rights(name).has(right),
            Matter::Account(name) | Matter::News(name) => account(name) || daemon(),
            Matter::Daemon => daemon(),
            Matter::Everything | Matter::Itself => directory.names_a_unit(),
        }
    }
}
