//! Who the senders are: what the bus attests of them.
//!
//! A bus never gives a unique name twice, and what it attests of one is fixed when the sender
//! connects, so that it is asked once. A connection that is handed to another process keeps the
//! rights of the first, as on the socket. Its unit is looked up when a rule needs it, and then
//! remembered like the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::Peer;
use crate::limits;

/// The senders that are known, [`limits::BUS_PEERS`] of them.
#[derive(Default)]
pub(super) struct Peers {
    known: BTreeMap<Arc<str>, Known>,
    /// Counts what was looked up.
    looks: u64,
}

struct Known {
    peer: Arc<Peer>,
    /// The last time, by `looks`.
    used: u64,
}

impl Peers {
    /// Who that sender is, if the bus was asked.
    pub(super) fn get(&mut self, sender: &str) -> Option<Arc<Peer>> {
        self.looks += 1;
        let known = self.known.get_mut(sender)?;
        known.used = self.looks;
        Some(known.peer.clone())
    }

    /// Remembers a sender, in the place of the one that has not called for longest if need be.
    pub(super) fn insert(&mut self, sender: Arc<str>, peer: Arc<Peer>) {
        if self.known.len() >= limits::BUS_PEERS && !self.known.contains_key(&sender) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(sender, _)| sender.clone()) {
                self.known.remove(&oldest);
            }
        }
        self.known.insert(sender, Known { peer, used: self.looks });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::NO_GROUP;
    use crate::unit::Unit;

    #[test]
    fn as_many_senders_are_remembered_as_the_limit_says_and_who_calls_is_kept() {
        let mut peers = Peers::default();
        peers.insert(":1.0".into(), peer(0));
        let others = u32::try_from(limits::BUS_PEERS).unwrap() + 5;
        for uid in 1..others {
            peers.insert(format!(":1.{uid}").into(), peer(uid));
            assert_eq!(peers.get(":1.0").unwrap().uid, 0, "{uid}");
            assert!(peers.known.len() <= limits::BUS_PEERS);
        }
        assert!(peers.get(":1.1").is_none());
        assert_eq!(peers.get(&format!(":1.{}", others - 1)).unwrap().uid, others - 1);
    }

    fn peer(uid: u32) -> Arc<Peer> {
        Arc::new(Peer { uid, gid: NO_GROUP, groups: Vec::new(), pid: None, unit: Unit::Unasked })
    }
}
