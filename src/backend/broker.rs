//! The MQTT plane of the backend: sessions, subscriptions and delivery.
//!
//! [`Broker`] is the state, kept by the backend behind its one lock; [`serve`] is the task of one
//! connection. A message goes from [`Broker::publish`] straight into the out-buffer of every session
//! that wants it; the session's task is woken and writes all that waits at once.
//!
//! Lock order: the broker, then a session; a task takes only its own session's lock, and calls
//! [`Host::publish`] with none held.
//!
//! Not here: what a message means. Every PUBLISH of a client goes to the [`Host`], which decides. Not
//! offered: QoS 2, as on AWS IoT Core; sessions outlive no connection and nothing is retained.

mod connection;
mod counters;
mod in_flight;
#[cfg_attr(not(test), expect(dead_code, reason = "the sessions, which come next, ask for them"))]
mod limits;
#[cfg_attr(not(test), expect(dead_code, reason = "the sessions, which come next, keep and deliver them"))]
mod retained;
mod routes;
mod session;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::mqtt;

pub use connection::{MAX_PACKET_BYTES, serve};
pub use counters::BrokerCounters;
use counters::Tally;
use routes::{Grant, Record, Routes};
use session::{Session, SessionKey};

/// Subscriptions of one session. AWS IoT Core takes 50 per connection; this leaves room for a gateway
/// with its devices behind it, and with [`routes::MAX_FILTER_BYTES`] bounds a session to a few MB.
const MAX_SUBSCRIPTIONS: usize = 1000;

/// The SUBACK code for a filter that is not granted (table 3.9.3).
const REFUSED: u8 = 0x80;

/// Room for delivery targets that is kept between messages; a rare larger fan-out allocates anew.
const TARGETS_KEPT: usize = 64 * 1024;

/// What a connection needs of the backend around it.
pub trait Host: Send + Sync + 'static {
    /// The clock of the run.
    fn clock(&self) -> Clock;

    /// Runs `f` on the broker, under the backend's lock.
    fn with_broker<R>(&self, f: impl FnOnce(&mut Broker) -> R) -> R
    where
        Self: Sized;

    /// Takes a PUBLISH that the client `from` has sent, or its will. Called without the lock held; the
    /// host routes it, to the command engine or with [`Broker::publish`]. A QoS 1 message is acknowledged
    /// when this returns. A will of QoS 1 was never on the wire and carries the identifier 1.
    fn publish(&self, from: &str, publish: &mqtt::Publish<'_>);
}

/// A message for whoever subscribed to its topic.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// A valid topic name.
    pub topic: &'a str,
    /// The message itself.
    pub payload: &'a [u8],
    /// The most a subscriber gets; its own subscription may grant less.
    pub qos: mqtt::QoS,
    /// Whether it is to be kept for later subscribers. Not stored yet; and a delivery to a subscription
    /// that exists never carries the flag ([MQTT-3.3.1-9]).
    pub retain: bool,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Sessions in whose out-buffer it is.
    pub sessions: u32,
    /// Sessions that subscribed to it and did not take it, because something of theirs was full.
    pub dropped: u32,
}

/// All sessions and who subscribed to what.
#[derive(Debug)]
pub struct Broker {
    clock: Clock,
    /// By client identifier, to find the session that a new connection takes over.
    by_client: HashMap<Arc<str>, SessionKey>,
    /// By session key; free places are listed in `free`.
    slots: Vec<Option<Slot>>,
    free: Vec<SessionKey>,
    routes: Routes,
    /// Counts attachments; each session carries the count at its own.
    generation: u64,
    subscriptions: u64,
    tally: Arc<Tally>,
    /// Scratch for the targets of one message.
    targets: Vec<(SessionKey, Grant)>,
}

#[derive(Debug)]
struct Slot {
    session: Arc<Session>,
    record: Record,
}

impl Broker {
    /// A broker without sessions.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            by_client: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            routes: Routes::default(),
            generation: 0,
            subscriptions: 0,
            tally: Arc::default(),
            targets: Vec::new(),
        }
    }

    /// Puts `message` into the out-buffer of every session that subscribed to it: once each, at the
    /// highest granted QoS, whatever the number of its subscriptions that match; and once more for each
    /// shared subscription whose turn it is.
    pub fn publish(&mut self, message: &Message<'_>) -> Delivered {
        let mut targets = std::mem::take(&mut self.targets);
        self.routes.collect(message.topic, &mut targets);
        // A session that is here is connected, so whose turn it is can take it.
        self.routes.collect_shared(message.topic, &mut targets, |_| true);
        let mut delivered = Delivered::default();
        for (key, grant) in targets.drain(..) {
            let Some(slot) = self.slots.get(key.index()).and_then(Option::as_ref) else { continue };
            match slot.session.deliver(message, grant.qos) {
                Ok(()) => delivered.sessions += 1,
                Err(refusal) => {
                    self.tally.dropped(refusal);
                    delivered.dropped += 1;
                }
            }
        }
        if targets.capacity() <= TARGETS_KEPT {
            self.targets = targets;
        }
        self.tally.messages_out.add(u64::from(delivered.sessions));
        delivered
    }

    /// What has happened so far.
    pub fn counters(&self) -> BrokerCounters {
        let connections = (self.slots.len() - self.free.len()) as u64;
        self.tally.read(self.clock.now(), connections, self.generation, self.subscriptions)
    }

    /// Begins the session of a client that has connected. A connection with the same identifier is told
    /// to close and has lost its subscriptions when this returns ([MQTT-3.1.4-2]).
    fn attach(&mut self, client_id: &str) -> Arc<Session> {
        if let Some(key) = self.by_client.get(client_id).copied() {
            if let Some(old) = self.vacate(key) {
                old.close();
            }
            self.tally.takeovers.add(1);
        }
        self.generation += 1;
        let key = self.free.pop().unwrap_or_else(|| SessionKey::from_index(self.slots.len()));
        let session = Arc::new(Session::new(Arc::from(client_id), key, self.generation));
        let slot = Slot { session: Arc::clone(&session), record: Record::default() };
        match self.slots.get_mut(key.index()) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        self.by_client.insert(Arc::clone(session.client_id()), key);
        session
    }

    /// As [`Broker::attach`] for a client that leaves the choice of an identifier to the server.
    fn attach_anonymous(&mut self) -> Arc<Session> {
        let mut number = self.generation + 1;
        let mut client_id = format!("anonymous-{number}");
        while self.by_client.contains_key(&*client_id) {
            number += 1;
            client_id = format!("anonymous-{number}");
        }
        self.attach(&client_id)
    }

    /// Ends a session with its subscriptions. Nothing happens if it has ended already: the place may
    /// belong to a later generation by now.
    fn detach(&mut self, session: &Session) {
        if slot_of(&mut self.slots, session).is_some() {
            self.vacate(session.key());
        }
    }

    /// Adds a subscription, or changes its QoS; returns the SUBACK code.
    fn subscribe(&mut self, session: &Session, filter: &str, qos: mqtt::QoS) -> u8 {
        let Some(slot) = slot_of(&mut self.slots, session) else { return REFUSED };
        // A subscription that is repeated would be taken even by a full session; that is not worth a look-up.
        if slot.record.len() >= MAX_SUBSCRIPTIONS {
            return REFUSED;
        }
        match self.routes.subscribe(&mut slot.record, &slot.session, filter, Grant::of(qos)) {
            Ok(is_new) => {
                self.subscriptions += u64::from(is_new);
                qos as u8
            }
            Err(_) => REFUSED,
        }
    }

    /// Removes a subscription, if there is one with exactly this filter.
    fn unsubscribe(&mut self, session: &Session, filter: &str) {
        if let Some(slot) = slot_of(&mut self.slots, session) {
            let removed = self.routes.unsubscribe(&mut slot.record, session.key(), filter);
            self.subscriptions -= u64::from(removed);
        }
    }

    fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Frees a place and everything that refers to it.
    fn vacate(&mut self, key: SessionKey) -> Option<Arc<Session>> {
        let Slot { session, record } = self.slots.get_mut(key.index())?.take()?;
        self.subscriptions -= record.len() as u64;
        self.routes.remove(&record, key);
        self.by_client.remove(session.client_id());
        self.free.push(key);
        Some(session)
    }
}

/// The slot of exactly this session, not of a later one in the same place.
fn slot_of<'a>(slots: &'a mut [Option<Slot>], session: &Session) -> Option<&'a mut Slot> {
    let slot = slots.get_mut(session.key().index())?.as_mut()?;
    (slot.session.generation() == session.generation()).then_some(slot)
}
