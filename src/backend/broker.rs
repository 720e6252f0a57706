//! The MQTT plane of the backend: sessions, subscriptions and delivery, for MQTT 3.1.1 and 5.
//!
//! [`Broker`] is the state, kept by the backend behind its one lock; [`serve`] is the task of one
//! connection. A message goes from [`Broker::publish`] straight into the out-buffer of every session
//! that wants it; the session's task is woken and writes all that waits at once. What a client is not
//! there for, or has no room for, its session keeps (`session`); a session may outlive its connection
//! (`lifecycle`, `away`).
//!
//! Lock order: the broker, then a session; a task takes only its own session's lock, and calls
//! [`Host::publish`] with none held.
//!
//! Not here: what a message means. Every PUBLISH of a client goes to the [`Host`], which decides. Not
//! offered, as on AWS IoT Core: QoS 2 and subscription identifiers.

mod away;
mod connection;
mod counters;
mod in_flight;
mod lifecycle;
mod limits;
mod message;
mod retained;
mod routes;
mod session;
mod will;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::{Clock, Instant};
use crate::mqtt::{self, ReasonCode, RetainHandling};

pub(crate) use away::publish_due_wills;
use away::{Away, AwaySessions};
pub use connection::{MAX_PACKET_BYTES, serve};
pub use counters::BrokerCounters;
use counters::Tally;
use lifecycle::Attached;
pub use limits::Limits;
use limits::rates::AccountRates;
use message::Outgoing;
pub use message::{Delivered, Message};
use retained::{Retained, RetainedMessage};
use routes::{Grant, NotGranted, Record, Routes};
use session::{Books, ConnectionNumber, Refusal, Session, SessionKey, Taken};

/// Subscriptions of one session. AWS IoT Core takes 50 per connection; this leaves room for a gateway
/// with its devices behind it, and with [`routes::MAX_FILTER_BYTES`] bounds a session to a few MB.
const MAX_SUBSCRIPTIONS: usize = 1000;

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
    /// when this returns, in MQTT 5 with the reason it returns. A will of QoS 1 was never on the wire and
    /// carries the identifier 1.
    fn publish(&self, from: &str, publish: &mqtt::Publish<'_>) -> ReasonCode;

    /// The first instant from `instant` on at which the backend works: while it stands still by plan, no
    /// client is too silent.
    fn works_from(&self, instant: Instant) -> Instant {
        instant
    }

    /// Whether the client may subscribe to a well-formed filter; with a wildcard it may cover what the
    /// client may not have.
    fn may_subscribe(&self, _client_id: &str, _filter: &str) -> bool {
        true
    }

    /// Whether the client may connect: [`ReasonCode::Success`], or what its CONNACK says instead.
    fn may_connect(&self, _connect: &mqtt::Connect<'_>) -> ReasonCode {
        ReasonCode::Success
    }
}

/// All sessions and who subscribed to what.
#[derive(Debug)]
pub struct Broker {
    clock: Clock,
    limits: Arc<Limits>,
    account: AccountRates,
    /// By client identifier, to find the session that a new connection takes over.
    by_client: HashMap<Arc<str>, SessionKey>,
    /// By session key; free places are listed in `free`.
    slots: Vec<Option<Slot>>,
    free: Vec<SessionKey>,
    routes: Routes,
    retained: Retained,
    away: AwaySessions,
    /// Counts sessions; each carries the count at its beginning.
    generation: u64,
    /// Connections now, and ever: the number of the last.
    connections: u64,
    connections_total: u64,
    subscriptions: u64,
    tally: Arc<Tally>,
    /// Scratch for the targets of one message.
    targets: Vec<(SessionKey, Grant)>,
    /// Scratch for the packet that is kept of one message.
    encoded: Vec<u8>,
}

#[derive(Debug)]
struct Slot {
    session: Arc<Session>,
    record: Record,
    /// The present connection, or none.
    connection: ConnectionNumber,
    /// How long the session lasts after the connection, in seconds; 0 is not at all.
    expiry_s: u32,
    // Boxed: most sessions are connected.
    away: Option<Box<Away>>,
}

impl Broker {
    /// A broker without sessions that sets its clients no limits.
    pub fn new(clock: Clock) -> Self {
        Self::with_limits(clock, Limits::NONE)
    }

    /// A broker without sessions.
    pub fn with_limits(clock: Clock, limits: Limits) -> Self {
        Self {
            clock,
            account: AccountRates::new(&limits, clock.now()),
            limits: Arc::new(limits),
            by_client: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            routes: Routes::default(),
            retained: Retained::default(),
            away: AwaySessions::default(),
            generation: 0,
            connections: 0,
            connections_total: 0,
            subscriptions: 0,
            tally: Arc::default(),
            targets: Vec::new(),
            encoded: Vec::new(),
        }
    }

    /// Gives `message` to every session that subscribed to it: once each, with what its subscriptions that
    /// match grant together, whatever their number; and once more for each shared subscription whose turn
    /// it is.
    pub fn publish(&mut self, message: &Message<'_>) -> Delivered {
        let now = self.clock.now();
        let mut delivered = Delivered::default();
        if message.expires_at.is_some_and(|at| at <= now) {
            self.tally.expired.add(1);
            return delivered;
        }
        let mut targets = std::mem::take(&mut self.targets);
        let mut encoded = std::mem::take(&mut self.encoded);
        self.routes.collect(message.topic, &mut targets);
        // Whoever is connected comes before those who are away: they get it now.
        let is_ready = |key: SessionKey| is_connected(&self.slots, key);
        self.routes.collect_shared(message.topic, &mut targets, is_ready);
        let mut outgoing = Outgoing::new(message, now, &mut encoded);
        if message.retain {
            self.retain(message, &mut outgoing, now);
        }
        for (key, grant) in targets.drain(..) {
            self.deliver(key, grant, message, &mut outgoing, &mut delivered);
        }
        if targets.capacity() <= TARGETS_KEPT {
            self.targets = targets;
        }
        self.encoded = encoded;
        self.tally.messages_out.add(u64::from(delivered.sessions));
        self.make_room_away();
        delivered
    }

    /// Whether one more client may connect; otherwise what its CONNACK says.
    fn admit(&mut self, client_id: &str) -> Result<(), ReasonCode> {
        self.account.connect(client_id, self.connections, self.clock.now())
    }

    /// Whether the account takes one more PUBLISH from a client.
    fn takes_publish(&mut self) -> bool {
        self.account.takes_publish_in(self.clock.now())
    }

    /// Whether nobody subscribed to anything but the commands of single devices: then a message to any
    /// other topic need not be made.
    pub fn serves_only_devices(&self) -> bool {
        self.routes.only_devices()
    }

    /// What has happened so far.
    pub fn counters(&self) -> BrokerCounters {
        BrokerCounters {
            at: self.clock.now(),
            connections: self.connections,
            connections_total: self.connections_total,
            sessions: (self.slots.len() - self.free.len()) as u64,
            subscriptions: self.subscriptions,
            retained: self.retained.len() as u64,
            dropped_retained: self.retained.refused(),
            ..self.tally.read()
        }
    }

    /// Keeps a message for later subscribers of its topic, or forgets what is kept if it is empty
    /// ([MQTT-3.3.1-5], -6).
    fn retain(&mut self, message: &Message<'_>, outgoing: &mut Outgoing<'_>, now: Instant) {
        if message.payload.is_empty() {
            return self.retained.clear(message.topic);
        }
        // One that fits no packet is refused for every subscriber as well, and counted there.
        let Ok(packet) = outgoing.encoded() else { return };
        let (qos, expires_at) = (message.qos, message.expires_at);
        let kept =
            RetainedMessage { from: message.from.map(Box::from), packet: Box::from(packet), qos, expires_at };
        // What there is no room for has a counter of its own.
        let _: Result<(), retained::Full> = self.retained.set(message.topic, kept, now);
    }

    /// Gives what is retained for a filter to one who has subscribed to it, in the order of topics; returns
    /// how many messages were looked at.
    fn deliver_retained(&mut self, attached: &Attached, filter: &str, grant: Grant) -> usize {
        let now = self.clock.now();
        let books = Books { clock: self.clock, tally: &self.tally };
        let (session, tally, encoded) = (&attached.session, &self.tally, &mut self.encoded);
        self.retained.visit(filter, now, |retained| {
            if grant.no_local && retained.from.as_deref() == Some(&**session.client_id()) {
                return;
            }
            let Some(publish) = message::read_again(&retained.packet) else { return };
            let message = Message { expires_at: retained.expires_at, ..Message::of(&publish) };
            let mut outgoing = Outgoing::new(&message, now, encoded);
            match session.deliver(&mut outgoing, retained.qos.min(grant.qos), true, books) {
                Ok(Taken::Sent) => tally.messages_out.add(1),
                Ok(Taken::Kept(_)) => tally.kept.add(1),
                Ok(Taken::Missed) => tally.missed_away.add(1),
                Err(refusal) => tally.dropped(refusal),
            }
        })
    }

    fn deliver(
        &mut self,
        key: SessionKey,
        grant: Grant,
        message: &Message<'_>,
        outgoing: &mut Outgoing<'_>,
        delivered: &mut Delivered,
    ) {
        let Some(slot) = self.slots.get(key.index()).and_then(Option::as_ref) else { return };
        if grant.no_local && message.from == Some(&**slot.session.client_id()) {
            return;
        }
        // A delivery to a subscription that exists carries the flag only if it asked for it
        // ([MQTT-3.3.1-12], -13; 3.1.1: [MQTT-3.3.1-9]).
        let retain = message.retain && grant.retain_as_published;
        let books = Books { clock: self.clock, tally: &self.tally };
        if self.limits.account_publishes_out_per_s.is_some()
            && !self.account.takes_publish_out(self.clock.now())
        {
            self.tally.dropped(Refusal::TooFast);
            delivered.dropped += 1;
            return;
        }
        match slot.session.deliver(outgoing, message.qos.min(grant.qos), retain, books) {
            Ok(Taken::Sent) => delivered.sessions += 1,
            Ok(Taken::Kept(kept_bytes)) => {
                delivered.kept += 1;
                self.tally.kept.add(1);
                self.grew(key, kept_bytes);
            }
            Ok(Taken::Missed) => self.tally.missed_away.add(1),
            Err(refusal) => {
                self.tally.dropped(refusal);
                delivered.dropped += 1;
            }
        }
    }

    /// Adds a subscription, or changes what it grants, and delivers what is retained for it as far as
    /// `handling` asks for it.
    fn subscribe(
        &mut self,
        attached: &Attached,
        filter: &str,
        grant: Grant,
        handling: RetainHandling,
        look_at: &mut usize,
    ) -> Result<(), NotGranted> {
        let slot = slot_of_connection(&mut self.slots, attached).ok_or(NotGranted::NoSession)?;
        // Never to a shared subscription (MQTT 5, 4.8.2).
        let takes_retained = handling != RetainHandling::DoNotSend && !filter.starts_with("$share/");
        if takes_retained && *look_at == 0 {
            return Err(NotGranted::TooMuchRetained);
        }
        self.account.subscribe(self.clock.now()).map_err(|_| NotGranted::TooFast)?;
        let held = slot.record.len();
        let is_full = held >= MAX_SUBSCRIPTIONS || self.limits.check_subscriptions(held).is_err();
        let is_new = self.routes.subscribe(&mut slot.record, &slot.session, filter, grant)?;
        if is_new && is_full {
            // One that is repeated only changes what is there ([MQTT-3.8.4-3]), and is taken.
            self.routes.unsubscribe(&mut slot.record, attached.session.key(), filter);
            return Err(NotGranted::TooMany);
        }
        self.subscriptions += u64::from(is_new);
        let wants_retained = match handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        if takes_retained && wants_retained {
            let looked_at = self.deliver_retained(attached, filter, grant);
            *look_at = look_at.saturating_sub(looked_at);
        }
        Ok(())
    }

    /// Removes a subscription, if there is one with exactly this filter; says whether there was.
    fn unsubscribe(&mut self, attached: &Attached, filter: &str) -> bool {
        let Some(slot) = slot_of_connection(&mut self.slots, attached) else { return false };
        let removed = self.routes.unsubscribe(&mut slot.record, attached.session.key(), filter);
        self.subscriptions -= u64::from(removed);
        removed
    }

    fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits)
    }
}

/// The slot of exactly this session, not of a later one in the same place.
fn slot_of<'a>(slots: &'a mut [Option<Slot>], session: &Session) -> Option<&'a mut Slot> {
    let slot = slots.get_mut(session.key().index())?.as_mut()?;
    (slot.session.generation() == session.generation()).then_some(slot)
}

/// The slot of a connection's session, as long as it is that session's present connection.
fn slot_of_connection<'a>(slots: &'a mut [Option<Slot>], attached: &Attached) -> Option<&'a mut Slot> {
    slot_of(slots, &attached.session).filter(|slot| slot.connection == attached.connection)
}

/// Whether the client of a session is there.
fn is_connected(slots: &[Option<Slot>], key: SessionKey) -> bool {
    let slot = slots.get(key.index()).and_then(Option::as_ref);
    slot.is_some_and(|slot| slot.connection != ConnectionNumber::NONE)
}
