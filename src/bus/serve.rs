//! One connection to the bus, from its first message to its last.
//!
//! One loop: it hears messages, ends of calls that waited, what happens to accounts, and
//! reloads; it owns everything that calls share. The name is asked for beside all that, until
//! it is had.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;

use futures_core::Stream as _;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::Id;
use tokio::task::JoinError;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;
use tracing::warn;
use zbus::Connection;
use zbus::Message;
use zbus::MessageStream;
use zbus::message::Flags;
use zbus::message::Type;

use crate::access::Peer;
use crate::asking::Asker;
use crate::asking::Denied;
use crate::asking::pace::Pace;
use crate::asking::refusals::Refusals;
use crate::clock;
use crate::error::code::Code;
use crate::limits;
use crate::message;
use crate::metrics::Door;
use crate::snapshot::Refusal;

use super::Bus;
use super::broker;
use super::consent;
use super::consent::Consent;
use super::dispatch::Call;
use super::dispatch::Desk;
use super::dispatch::Step;
use super::matter;
use super::peers::Peers;
use super::reply::Failed;
use super::reply::Standard;
use super::signal::Told;
use super::waiting::Place;
use super::waiting::Waiting;

/// What is served on one connection.
pub(super) struct Service<'a> {
    bus: &'a Bus,
    connection: Connection,
    desk: Desk,
    peers: Peers,
    waiting: Waiting,
    work: JoinSet<Done>,
    /// The calls that `work` is about.
    calls: HashMap<Id, (Message, Place)>,
    told: Told,
}

/// What a piece of work ended with.
enum Done {
    /// The bus said who a sender is.
    Attested(zbus::Result<Peer>),
    /// It is known which unit a sender belongs to, as far as it can be.
    Placed(Peer),
    /// polkit said whether it lets this peer do it.
    Consented(Arc<Peer>, Consent),
    /// A call has its answer.
    Answered(Result<Message, Failed>),
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    /// It was closed.
    #[error("it closed the connection")]
    Closed,
    /// It takes no message.
    #[error("it takes no message")]
    Deaf,
    /// Something else is wrong with it.
    #[error("{0}")]
    Broken(#[from] zbus::Error),
}

impl<'a> Service<'a> {
    /// For a connection that nobody else listens to.
    pub(super) fn new(bus: &'a Bus, connection: Connection) -> Self {
        let desk = Desk {
            which: bus.which,
            threshold: bus.threshold.clone(),
            pace: Pace::refreshes(),
            refusals: Refusals::default(),
        };
        Self {
            bus,
            connection,
            desk,
            peers: Peers::default(),
            waiting: Waiting::default(),
            work: JoinSet::new(),
            calls: HashMap::new(),
            told: Told::begin(bus.keeper.directory(), clock::now()),
        }
    }

    /// Serves until the bus is gone, and says how that showed.
    pub(super) async fn run(mut self) -> Gone {
        match self.serve().await {
            Ok(never) => match never {},
            Err(gone) => gone,
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Gone> {
        let mut messages = MessageStream::from(&self.connection);
        let mut notices = self.bus.keeper.notices();
        let mut directories = self.bus.keeper.directories();
        let own = broker::own(self.connection.clone(), &self.bus.presence);
        tokio::pin!(own);
        let mut owned = false;
        loop {
            tokio::select! {
                message = poll_fn(|cx| Pin::new(&mut messages).poll_next(cx)) => {
                    self.hear(message.ok_or(Gone::Closed)??).await?;
                }
                Some(done) = self.work.join_next_with_id() => self.end(done).await?,
                notice = notices.recv() => match notice {
                    Ok(notice) => {
                        let directory = self.bus.keeper.directory();
                        let news = self.told.hear(&notice, &directory)?;
                        self.tell(&news).await?;
                    }
                    Err(RecvError::Lagged(_)) => self.look_again().await?,
                    // The supervisor has ended, and so does the daemon.
                    Err(RecvError::Closed) => std::future::pending().await,
                },
                Ok(()) = directories.changed() => self.look_again().await?,
                () = &mut own, if !owned => owned = true,
            }
        }
    }

    async fn look_again(&mut self) -> Result<(), Gone> {
        let news = self.told.look_again(self.bus.keeper.directory(), clock::now())?;
        self.tell(&news).await
    }

    /// Takes a message that came in.
    async fn hear(&mut self, message: Message) -> Result<(), Gone> {
        if message.message_type() != Type::MethodCall {
            return Ok(());
        }
        self.bus.metrics.asked(Door::Bus);
        let Some(sender) = message.header().sender().map(|sender| Arc::from(sender.as_str()))
        else {
            return Ok(());
        };
        if message.body().len() > limits::BODY {
            let failed = Standard::LimitsExceeded.because("the call is too long");
            return self.answer(&message, Err(failed)).await;
        }
        if let Some(peer) = self.peers.get(&sender) {
            return self.begin_as(message, sender, peer).await;
        }
        let connection = self.connection.clone();
        let place = Place { sender: sender.clone(), uid: None };
        let asking = async move { Done::Attested(broker::attested(&connection, &sender).await) };
        self.wait(message, place, asking).await
    }

    /// Begins a call of that peer, when it is known as far as it matters to the call.
    async fn begin_as(
        &mut self,
        message: Message,
        sender: Arc<str>,
        peer: Arc<Peer>,
    ) -> Result<(), Gone> {
        let asker = Asker { peer: &peer, masters: self.bus.masters, narrowing: None };
        if !matter::lacks_unit(asker, &self.bus.keeper.directory(), &message) {
            return self.begin(message, sender, peer, Consent::Unasked).await;
        }
        let (connection, attestor) = (self.connection.clone(), self.bus.attestor.clone());
        let place = Place { sender: sender.clone(), uid: Some(peer.uid) };
        let asking = async move {
            let unit = broker::unit_of(&connection, &sender, peer.uid, &attestor).await;
            Done::Placed(Peer { unit, ..Peer::clone(&peer) })
        };
        self.wait(message, place, asking).await
    }

    /// Begins a call whose sender is known.
    async fn begin(
        &mut self,
        message: Message,
        sender: Arc<str>,
        peer: Arc<Peer>,
        consent: Consent,
    ) -> Result<(), Gone> {
        let place = Place { sender, uid: Some(peer.uid) };
        let (keeper, masters) = (self.bus.keeper.clone(), self.bus.masters);
        let call = Call { message, peer, consent, keeper, masters };
        match self.desk.begin(&call) {
            Step::Now(outcome) => self.answer(&call.message, outcome).await,
            Step::Later(work) => {
                let work = async move { Done::Answered(work.await) };
                self.wait(call.message, place, work).await
            }
            Step::Consent => {
                let (connection, message) = (self.connection.clone(), call.message.clone());
                let asking = async move {
                    let consent = consent::ask(&connection, &message).await;
                    Done::Consented(call.peer, consent)
                };
                self.wait(call.message, place, asking).await
            }
        }
    }

    /// Has a call wait, if there is a place for it.
    async fn wait(
        &mut self,
        message: Message,
        place: Place,
        work: impl Future<Output = Done> + Send + 'static,
    ) -> Result<(), Gone> {
        if !self.waiting.take(&place) {
            let refusal = Refusal::new(Code::RateLimitExceeded, "too many of your calls wait");
            return self.answer(&message, Err(Denied::from(refusal).into())).await;
        }
        let id = self.work.spawn(work).id();
        self.calls.insert(id, (message, place));
        Ok(())
    }

    /// Takes what a piece of work ended with.
    async fn end(&mut self, done: Result<(Id, Done), JoinError>) -> Result<(), Gone> {
        let (id, done) = match done {
            Ok((id, done)) => (id, Some(done)),
            Err(panic) => (panic.id(), None),
        };
        let Some((message, place)) = self.calls.remove(&id) else { return Ok(()) };
        self.waiting.give_back(&place);
        match done {
            Some(Done::Attested(Ok(peer))) => {
                let peer = Arc::new(peer);
                self.peers.insert(place.sender.clone(), peer.clone());
                self.begin_as(message, place.sender, peer).await
            }
            Some(Done::Placed(peer)) => {
                let peer = Arc::new(peer);
                self.peers.insert(place.sender.clone(), peer.clone());
                self.begin(message, place.sender, peer, Consent::Unasked).await
            }
            Some(Done::Consented(peer, consent)) => {
                self.begin(message, place.sender, peer, consent).await
            }
            Some(Done::Attested(Err(error))) => {
                debug!("the bus does not say who {} is: {error}", place.sender);
                let failed = Standard::AccessDenied.because("the bus does not say who you are");
                self.answer(&message, Err(failed)).await
            }
            Some(Done::Answered(outcome)) => self.answer(&message, outcome).await,
            None => {
                warn!(
                    event = message::Message::Panicked.as_str(),
                    "a call over the bus ended in a panic"
                );
                let refusal = Refusal::new(Code::Internal, "the call ended in a fault");
                self.answer(&message, Err(Denied::from(refusal).into())).await
            }
        }
    }

    async fn answer(&self, call: &Message, outcome: Result<Message, Failed>) -> Result<(), Gone> {
        if call.primary_header().flags().contains(Flags::NO_REPLY_EXPECTED) {
            return Ok(());
        }
        let message = match outcome {
            Ok(message) => message,
            Err(failed) => failed.message(call)?,
        };
        self.send(&message).await
    }

    async fn tell(&self, news: &[Message]) -> Result<(), Gone> {
        for message in news {
            self.send(message).await?;
        }
        Ok(())
    }

    async fn send(&self, message: &Message) -> Result<(), Gone> {
        match timeout(limits::BUS_PATIENCE, self.connection.send(message)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(Gone::Deaf),
        }
    }
}
