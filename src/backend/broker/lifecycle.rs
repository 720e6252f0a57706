//! How sessions begin, change their connection, and end.
//!
//! A session that outlives its connection is away until its client comes back, its expiry has passed, or it
//! is the oldest when there are too many (`away`). Not here: the messages (`session`).

use std::sync::Arc;

use super::limits::bucket::Bucket;
use super::routes::Record;
use super::session::{Books, ConnectionNumber, Session, SessionKey, Terms};
use super::will::OwnWill;
use super::{Broker, Slot, is_connected, slot_of};

/// A session expiry that means never (MQTT 5, 3.1.2.11.2).
pub(super) const NEVER_EXPIRES: u32 = u32::MAX;

/// A client that has sent a CONNECT which is accepted.
pub(super) struct Arrival<'a> {
    /// Empty if the server is to choose one.
    pub(super) client_id: &'a str,
    pub(super) clean_start: bool,
    /// How long the session lasts after the connection, in seconds; [`NEVER_EXPIRES`].
    pub(super) expiry_s: u32,
    pub(super) terms: Terms,
}

/// A connection and its session.
pub(super) struct Attached {
    pub(super) session: Arc<Session>,
    pub(super) connection: ConnectionNumber,
}

/// What a connection leaves behind.
pub(super) struct Departure {
    pub(super) expiry_s: u32,
    pub(super) will: Option<OwnWill>,
}

impl Broker {
    /// Begins a connection: with the session that its client left, if there is one and it is wanted; or
    /// with a new one. Another connection of the same client is told to end ([MQTT-3.1.4-2]). Says
    /// whether the session was there before.
    pub(super) fn attach(&mut self, arrival: &Arrival<'_>) -> (Attached, bool) {
        self.connections_total += 1;
        let connection = ConnectionNumber(self.connections_total);
        // What has expired by now is over, whether the timer has been there or not.
        if let Some(key) = self.by_client.get(arrival.client_id).copied() {
            self.end_what_is_due(key);
        }
        let existing = self.by_client.get(arrival.client_id).copied();
        if let Some(key) = existing {
            self.tally.takeovers.add(u64::from(is_connected(&self.slots, key)));
        }
        let resumed = existing.filter(|key| !arrival.clean_start && self.outlives_its_connection(*key));
        let key = match (resumed, existing) {
            (Some(key), _) => {
                self.come_back(key);
                self.tally.sessions_resumed.add(1);
                key
            }
            (None, Some(key)) => {
                let lost = self.end_session(key);
                self.tally.lost_with_session.add(lost);
                self.begin_session(arrival.client_id)
            }
            (None, None) if arrival.client_id.is_empty() => self.begin_session(&self.unused_name()),
            (None, None) => self.begin_session(arrival.client_id),
        };
        let session = self.connect_session(key, connection, arrival);
        (Attached { session, connection }, resumed.is_some())
    }

    /// Ends a connection. Its session ends with it, or waits; its will falls due now, with its delay or
    /// with the session. Nothing happens to a session that has another connection by now, except that
    /// this one's will is due unless it was to wait for that ([MQTT-3.1.3-9]).
    pub(super) fn detach(&mut self, attached: &Attached, departure: Departure) {
        let session = &attached.session;
        let Departure { expiry_s, will } = departure;
        let Some(slot) = slot_of(&mut self.slots, session) else {
            // The session ended, and with it the delay.
            return self.will_is_due(session.client_id(), will);
        };
        if slot.connection != attached.connection {
            return self.will_is_due(session.client_id(), will.filter(|will| will.delay_s == 0));
        }
        slot.expiry_s = expiry_s;
        if expiry_s == 0 {
            self.will_is_due(session.client_id(), will);
            let lost = self.end_session(session.key());
            self.tally.lost_with_session.add(lost);
            return;
        }
        let (now_due, delayed) = match will {
            Some(will) if will.delay_s > 0 => (None, Some(will)),
            will => (will, None),
        };
        self.will_is_due(session.client_id(), now_due);
        self.go_away(session.key(), delayed);
    }

    fn outlives_its_connection(&self, key: SessionKey) -> bool {
        self.slot(key).is_some_and(|slot| slot.expiry_s > 0)
    }

    fn begin_session(&mut self, client_id: &str) -> SessionKey {
        self.generation += 1;
        let key = self.free.pop().unwrap_or_else(|| SessionKey::from_index(self.slots.len()));
        let session = Arc::new(Session::new(Arc::from(client_id), key, self.generation));
        self.by_client.insert(Arc::clone(session.client_id()), key);
        let slot = Slot {
            session,
            record: Record::default(),
            connection: ConnectionNumber::NONE,
            expiry_s: 0,
            away: None,
        };
        match self.slots.get_mut(key.index()) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        key
    }

    /// # Panics
    /// If there is no such session: `attach` has just found or made it.
    fn connect_session(
        &mut self,
        key: SessionKey,
        connection: ConnectionNumber,
        arrival: &Arrival<'_>,
    ) -> Arc<Session> {
        let books = Books { clock: self.clock, tally: &self.tally };
        let slot = self.slots.get_mut(key.index()).and_then(Option::as_mut);
        let slot = slot.expect("attach has just found or made this session");
        if slot.connection == ConnectionNumber::NONE {
            self.connections += 1;
        }
        slot.connection = connection;
        slot.expiry_s = arrival.expiry_s;
        let publishes = self.limits.publishes_per_s;
        let publishes = publishes.map(|per_s| Box::new(Bucket::new(per_s, self.clock.now())));
        slot.session.attach(connection, arrival.terms, publishes, books);
        Arc::clone(&slot.session)
    }

    /// Ends a session with everything that refers to it: its connection is told to close, and a will that
    /// waited is due. Returns how many messages it kept and never sent.
    pub(super) fn end_session(&mut self, key: SessionKey) -> u64 {
        self.waits_no_longer(key);
        let Some(slot) = self.slots.get_mut(key.index()).and_then(Option::take) else { return 0 };
        let Slot { session, record, connection, .. } = slot;
        self.subscriptions -= record.len() as u64;
        self.connections -= u64::from(connection != ConnectionNumber::NONE);
        self.routes.remove(&record, key);
        self.by_client.remove(session.client_id());
        self.free.push(key);
        session.end()
    }

    /// A name for a client that leaves the choice to the server.
    fn unused_name(&self) -> String {
        let mut number = self.connections_total;
        loop {
            let name = format!("anonymous-{number}");
            if !self.by_client.contains_key(&*name) {
                return name;
            }
            number += 1;
        }
    }

    fn slot(&self, key: SessionKey) -> Option<&Slot> {
        self.slots.get(key.index()).and_then(Option::as_ref)
    }
}
