//! How sessions begin, change their connection, wait for their client, and end.
//!
//! A session that outlives its connection is *away* until its client comes back, its expiry has passed, or
//! it is the oldest when there are too many. Deadlines of sessions that have come back meanwhile are left
//! in the queue and skipped. Not here: the messages (`session`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::limits::bucket::Bucket;
use super::routes::Record;
use super::session::{Books, ConnectionNumber, Session, SessionKey, Terms};
use super::will::{DueWill, OwnWill};
use super::{Broker, Host, Slot, is_connected, slot_of};
use crate::clock::{Deadlines, Instant};

/// Sessions that may be away at once: as many as the largest fleet has devices.
pub(super) const MAX_AWAY: usize = 1_000_000;

/// Memory of all sessions that are away: the fleet's million with their subscriptions, or half as many with
/// a command each.
pub(super) const MAX_AWAY_BYTES: usize = 1024 * 1024 * 1024;

/// What a session costs besides its subscriptions and messages (`benches/sessions.rs`), rounded up.
const SESSION_BYTES: usize = 512;

/// A session expiry that means never (MQTT 5, 3.1.2.11.2).
pub(super) const NEVER_EXPIRES: u32 = u32::MAX;

/// Below this many deadlines a sweep of the moot ones is not worth its walk.
const SWEEP_FROM: usize = 1024;

/// Deadlines in one turn under the lock: whoever waits for it does not notice.
const DUE_AT_ONCE: usize = 256;

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

/// The most there may be of sessions whose clients are away.
#[derive(Debug)]
pub(super) struct AwayBounds {
    pub(super) sessions: usize,
    pub(super) bytes: usize,
}

impl Default for AwayBounds {
    fn default() -> Self {
        Self { sessions: MAX_AWAY, bytes: MAX_AWAY_BYTES }
    }
}

/// The sessions whose clients are away.
#[derive(Debug, Default)]
pub(super) struct AwaySessions {
    pub(super) bounds: AwayBounds,
    /// By the number of their last connection's end: the oldest first.
    order: BTreeMap<u64, SessionKey>,
    departures: u64,
    bytes: usize,
    deadlines: Deadlines<(SessionKey, u64)>,
    /// Whether a deadline was entered that is sooner than what the timer sleeps for.
    is_early: bool,
    /// Wills whose time has come, for [`publish_due_wills`]: published at once by the task that ended the
    /// connection or the session, so no more than there are tasks that do that at the same time.
    due: VecDeque<DueWill>,
}

/// A session while its client is away.
#[derive(Debug)]
pub(super) struct Away {
    /// Which departure it was.
    departure: u64,
    bytes: usize,
    ends_at: Option<Instant>,
    will: Option<(Instant, OwnWill)>,
}

/// Publishes the wills whose time has come, through the host and without the lock.
pub(crate) fn publish_due_wills<H: Host>(host: &H) {
    while let Some(DueWill { from, will }) = host.with_broker(|broker| broker.away.due.pop_front()) {
        if let Some(publish) = will.publish() {
            host.publish(&from, &publish);
        }
    }
}

impl Broker {
    /// Begins a connection: with the session that its client left, if there is one and it is wanted; or
    /// with a new one. Another connection of the same client is told to end ([MQTT-3.1.4-2]). Says
    /// whether the session was there before.
    pub(super) fn attach(&mut self, arrival: &Arrival<'_>) -> (Attached, bool) {
        self.connections_total += 1;
        let connection = ConnectionNumber(self.connections_total);
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
                self.end_session(key);
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
            self.end_session(session.key());
            return;
        }
        let (now_due, delayed) = match will {
            Some(will) if will.delay_s > 0 => (None, Some(will)),
            will => (will, None),
        };
        self.will_is_due(session.client_id(), now_due);
        self.go_away(session.key(), delayed);
    }

    /// Ends sessions and releases wills whose time has come, a bounded number at once; returns whether
    /// there may be more. [`publish_due_wills`] is to follow.
    pub(crate) fn time_out_due(&mut self) -> bool {
        let now = self.clock.now();
        for _ in 0..DUE_AT_ONCE {
            let Some((_, (key, departure))) = self.away.deadlines.pop_due(now) else { return false };
            self.fall_due(key, departure, now);
        }
        true
    }

    /// When [`Broker::time_out_due`] has something to do, or a will is to be published.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.away.due.is_empty() { self.away.deadlines.next() } else { Some(Instant::START) }
    }

    /// Whether the timer sleeps too long now; asking forgets it.
    pub(crate) fn take_timer_is_early(&mut self) -> bool {
        std::mem::take(&mut self.away.is_early)
    }

    /// Messages were kept for a client that is away; the oldest of those make room if they are too many.
    pub(super) fn grew_while_away(&mut self, key: SessionKey, bytes: usize) {
        let away =
            self.slots.get_mut(key.index()).and_then(Option::as_mut).and_then(|slot| slot.away.as_mut());
        if let Some(away) = away {
            away.bytes += bytes;
            self.away.bytes += bytes;
        }
    }

    /// Ends the oldest sessions that are away while there are too many of them, or too much in them.
    pub(super) fn make_room_away(&mut self) {
        while self.away.bytes > self.away.bounds.bytes || self.away.order.len() > self.away.bounds.sessions {
            let Some((_, key)) = self.away.order.first_key_value() else { return };
            self.tally.sessions_evicted.add(1);
            self.end_session(*key);
        }
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

    /// A client whose session is away is back; a will that was to wait for that is forgotten.
    fn come_back(&mut self, key: SessionKey) {
        let slot = self.slots.get_mut(key.index()).and_then(Option::as_mut);
        if let Some(away) = slot.and_then(|slot| slot.away.take()) {
            self.away.order.remove(&away.departure);
            self.away.bytes -= away.bytes;
        }
    }

    fn go_away(&mut self, key: SessionKey, will: Option<OwnWill>) {
        let Some(slot) = self.slots.get_mut(key.index()).and_then(Option::as_mut) else { return };
        let now = self.clock.now();
        let after = |seconds: u32| now.plus_micros(u64::from(seconds) * 1_000_000);
        let ends_at = (slot.expiry_s != NEVER_EXPIRES).then(|| after(slot.expiry_s));
        let will = will.map(|will| (after(will.delay_s), will));
        self.away.departures += 1;
        let departure = self.away.departures;
        let will_bytes = will.as_ref().map_or(0, |(_, will)| will.bytes());
        let bytes = SESSION_BYTES + slot.record.bytes() + slot.session.detach() + will_bytes;
        let will_at = will.as_ref().map(|(at, _)| *at);
        slot.connection = ConnectionNumber::NONE;
        slot.away = Some(Box::new(Away { departure, bytes, ends_at, will }));
        self.connections -= 1;
        self.away.order.insert(departure, key);
        self.away.bytes += bytes;
        if let Some(at) = ends_at.into_iter().chain(will_at).min() {
            self.enter_deadline(at, key, departure);
        }
        self.make_room_away();
    }

    fn enter_deadline(&mut self, at: Instant, key: SessionKey, departure: u64) {
        let AwaySessions { order, deadlines, is_early, .. } = &mut self.away;
        *is_early |= deadlines.push(at, (key, departure));
        if deadlines.len() > SWEEP_FROM.max(2 * order.len()) {
            deadlines.retain(|(_, departure)| order.contains_key(departure));
        }
    }

    /// The deadline of a departure has come: its will is due, or its session ends, or both.
    fn fall_due(&mut self, key: SessionKey, departure: u64, now: Instant) {
        let Some(slot) = self.slots.get_mut(key.index()).and_then(Option::as_mut) else { return };
        let Some(away) = slot.away.as_mut().filter(|away| away.departure == departure) else { return };
        if away.ends_at.is_some_and(|at| at <= now) {
            self.tally.sessions_expired.add(1);
            self.end_session(key);
            return;
        }
        let ends_at = away.ends_at;
        if let Some((_, will)) = away.will.take_if(|(at, _)| *at <= now) {
            away.bytes -= will.bytes();
            self.away.bytes -= will.bytes();
            let from = Arc::clone(slot.session.client_id());
            self.will_is_due(&from, Some(will));
        }
        if let Some(at) = ends_at {
            self.enter_deadline(at, key, departure);
        }
    }

    /// Ends a session with everything that refers to it: its connection is told to close, and a will that
    /// waited is due.
    fn end_session(&mut self, key: SessionKey) {
        self.come_back_will_is_due(key);
        let Some(slot) = self.slots.get_mut(key.index()).and_then(Option::take) else { return };
        let Slot { session, record, connection, .. } = slot;
        self.subscriptions -= record.len() as u64;
        self.connections -= u64::from(connection != ConnectionNumber::NONE);
        self.routes.remove(&record, key);
        self.by_client.remove(session.client_id());
        self.free.push(key);
        session.end(&self.tally);
    }

    /// If the session is away: it no longer is, and its will does not wait any longer.
    fn come_back_will_is_due(&mut self, key: SessionKey) {
        let Some(slot) = self.slots.get_mut(key.index()).and_then(Option::as_mut) else { return };
        let will = slot.away.as_mut().and_then(|away| away.will.take());
        let from = Arc::clone(slot.session.client_id());
        self.will_is_due(&from, will.map(|(_, will)| will));
        self.come_back(key);
    }

    fn will_is_due(&mut self, from: &Arc<str>, will: Option<OwnWill>) {
        if let Some(will) = will {
            self.away.due.push_back(DueWill { from: Arc::clone(from), will });
            self.away.is_early = true;
        }
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
