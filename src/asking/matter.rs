//! When it has to be known which unit a peer belongs to.
//!
//! Asking takes the service manager's time and the peer's. It is asked for where a rule names a
//! unit that could change the answer, and never of the daemon's masters, who may do everything.

use crate::access::Right;
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
        match matter {
            Matter::Nothing => false,
            Matter::Right(name, right) => {
                let has = || {
                    let seat = directory.seats.get(name);
                    seat.is_some_and(|seat| self.rights(directory, seat).has(right))
                };
                (account(name) || daemon()) && !has()
            }
            Matter::Account(name) => account(name) || daemon(),
            Matter::Daemon => daemon(),
            Matter::Everything | Matter::Itself => directory.names_a_unit(),
        }
    }
}
