//! Feeds the service manager's watchdog, with proof only.
//!
//! Each time, the supervisor shows that nothing is overdue, the store that queued work gets
//! done, the front that it answers a request, and the door for credentials that it gets on. What
//! stays silent is named in the log and starves the watchdog, whose restart costs no token.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::error;

use crate::credential;
use crate::front::Probe;
use crate::message::Message;
use crate::notify;
use crate::notify::Manager;
use crate::store::Store;
use crate::supervisor::Control;

/// Longest time that a proof may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom the watchdog asks.
pub(super) struct Proofs {
    pub(super) control: mpsc::Sender<Control>,
    pub(super) store: Store,
    pub(super) front: Probe,
    pub(super) credential: credential::Probe,
    pub(super) manager: Manager,
}

impl Proofs {
    /// Feeds the watchdog for as long as this is polled; waits for ever where there is none.
    pub(super) async fn feed(self) {
        let Some(limit) = notify::watchdog() else { return std::future::pending().await };
        let mut tick = tokio::time::interval(limit / 3);
        loop {
            tick.tick().await;
            match self.silent().await {
                None => self.manager.alive(),
                Some(who) => {
                    let event = Message::Unresponsive.as_str();
                    error!(event, "{who} does not answer; the watchdog is not fed");
                }
            }
        }
    }

    /// Who does not prove itself, if anybody.
    async fn silent(&self) -> Option<&'static str> {
        let (reply, proven) = oneshot::channel();
        let asked = self.control.send(Control::Prove(reply)).await.is_ok();
        let supervisor = asked && matches!(timeout(PATIENCE, proven).await, Ok(Ok(())));
        let store = matches!(timeout(PATIENCE, self.store.probe()).await, Ok(Ok(_)));
        let front = self.front.answers(PATIENCE).await;
        let credential = self.credential.answers(PATIENCE).await;
        let proven = [
            ("the supervisor", supervisor),
            ("the store", store),
            ("the front", front),
            ("the door for credentials", credential),
        ];
        proven.into_iter().find_map(|(who, answers)| (!answers).then_some(who))
    }
}
