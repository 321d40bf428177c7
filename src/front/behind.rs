//! The process behind a connection, and which unit it belongs to.
//!
//! Since Linux 6.5 the kernel hands the process over whenever it is asked for, so that a
//! connection takes no second descriptor for it. An older kernel gives only its number, which
//! has to be held from the moment of accepting: that is done while a rule names a unit, for a
//! number of connections that leaves descriptors for everything else.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::net::UnixStream;

use crate::attest::Attestor;
use crate::attest::Process;
use crate::attest::has_hung_up;
use crate::front::places::Place;
use crate::unit::NoUnit;
use crate::unit::Proof;
use crate::unit::Unit;

/// What is behind one connection.
pub(super) struct Behind {
    stream: Rc<RefCell<UnixStream>>,
    held: RefCell<Result<Held, NoUnit>>,
}

/// A process that is held because the kernel does not hand it over later.
pub(super) struct Held {
    pub(super) process: Process,
    pub(super) _place: Place,
}

impl Behind {
    /// Behind a connection, with what was held of it when it was accepted.
    pub(super) const fn new(stream: Rc<RefCell<UnixStream>>, held: Result<Held, NoUnit>) -> Self {
        Self { stream, held: RefCell::new(held) }
    }

    /// The unit of the process, which is one of `uid`. What is held is let go.
    pub(super) async fn unit(&self, attestor: &Attestor, uid: u32) -> Unit {
        let process = match self.process() {
            Ok(process) => process,
            Err(why) => return Unit::Unproven(why),
        };
        let proof = process.proof();
        let found = attestor.unit_of(process, uid).await;
        // Who has hung up may have ended before it was accepted, with its number another's.
        if proof == Proof::Number && has_hung_up(&*self.stream.borrow()) {
            return Unit::Unproven(NoUnit::HungUp);
        }
        Unit::of(found, proof)
    }

    fn process(&self) -> Result<Process, NoUnit> {
        match Process::behind(&*self.stream.borrow()) {
            Err(NoUnit::Withheld) => {
                let held = self.held.replace(Err(NoUnit::Unheld));
                held.map(|Held { process, _place }| process)
            }
            handed_over => handed_over,
        }
    }
}
