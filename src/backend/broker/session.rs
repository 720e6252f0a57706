//! One client's session: its identity, what waits for its connection to write it, and what is kept for a
//! client that may come back.
//!
//! Shared between the broker, which puts messages in, and the task of the connection, which takes them
//! out; the lock between them is held for a copy, never for a write to the network. A session can see
//! several connections, one at a time: each call of a task names its own, so a task that was taken over
//! changes nothing and learns that it has to end.

mod kept;

use std::sync::Arc;
use std::task::{Context, Waker};

use parking_lot::{Mutex, MutexGuard};

use super::counters::Tally;
use super::in_flight::InFlight;
use super::limits::bucket::Bucket;
use super::message::{Outgoing, seconds_left};
use crate::clock::{Clock, Instant};
use crate::mqtt::{Outbound, PacketId, Publish, QoS, Version, encode};
use kept::{Kept, Stored};

/// Bytes that wait in a session, besides as many that its task may be writing. A monitor that sees 40,000
/// small messages a second has 100 ms of pause in it, and thousands of stalled devices still fit in
/// memory.
pub(super) const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// The place of a session in the broker; used again after it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SessionKey(u32);

impl SessionKey {
    /// # Panics
    /// If there are 2^32 sessions: memory ends long before.
    pub(super) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2^32 sessions fit in memory"))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which connection of the broker's life; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ConnectionNumber(pub(super) u64);

impl ConnectionNumber {
    pub(super) const NONE: Self = Self(0);
}

/// What a client asked for in its CONNECT, as far as it concerns deliveries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    pub(super) version: Version,
    /// Unacknowledged messages at a time.
    pub(super) window: u16,
    /// The largest packet it takes.
    pub(super) max_packet_bytes: u32,
    /// Whether the session outlives the connection, so that what is sent has to be kept.
    pub(super) outlives: bool,
}

/// What a session needs to know the time and to count what it drops.
#[derive(Debug, Clone, Copy)]
pub(super) struct Books<'a> {
    pub(super) clock: Clock,
    pub(super) tally: &'a Tally,
}

/// What a session did with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in the out-buffer.
    Sent,
    /// It waits for its turn, in so many bytes.
    Kept(usize),
    /// It has QoS 0 and the client is away.
    Missed,
}

/// Why a session did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// [`MAX_WAITING_BYTES`] are in the out-buffer, and the message is not one to wait (QoS 0).
    BufferFull,
    /// More messages went this way in a second than the limits allow.
    TooFast,
    /// [`kept::MAX_WAITING`] messages or [`kept::MAX_BYTES`] are kept.
    QueueFull,
    /// The message is larger than the client takes (MQTT 5, 3.1.2.11.4).
    TooLarge,
    /// The message does not fit the protocol.
    Unwritable,
}

/// What the task finds when it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Nothing; it will be woken when there is something.
    Nothing,
    /// Something, now in its own buffer.
    Taken,
    /// Perhaps something, left where it is because the task has enough to write.
    Left,
    /// The session has another connection now, or has ended.
    Closing,
}

#[derive(Debug)]
pub(super) struct Session {
    client_id: Arc<str>,
    key: SessionKey,
    generation: u64,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Outbound,
    in_flight: InFlight,
    waker: Option<Waker>,
    // Boxed: a device that is up to date has nothing kept.
    kept: Option<Box<Kept>>,
    connection: ConnectionNumber,
    terms: Terms,
    /// How many PUBLISHes may still pass, if there is a limit; of both directions.
    publishes: Option<Box<Bucket>>,
    /// Messages sent on this connection and not acknowledged.
    unacknowledged: u16,
    /// Whether the task runs or has been woken, so that waking it would be wasted.
    awake: bool,
}

impl Session {
    pub(super) fn new(client_id: Arc<str>, key: SessionKey, generation: u64) -> Self {
        Self { client_id, key, generation, shared: Mutex::default() }
    }

    pub(super) fn client_id(&self) -> &Arc<str> {
        &self.client_id
    }

    pub(super) fn key(&self) -> SessionKey {
        self.key
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Begins a connection, whose task runs; the one before, if any, is told to end. What is kept follows,
    /// as far as the client's window goes.
    pub(super) fn attach(
        &self,
        connection: ConnectionNumber,
        terms: Terms,
        publishes: Option<Box<Bucket>>,
        books: Books<'_>,
    ) {
        let mut shared = self.shared.lock();
        shared.hang_up();
        shared.connection = connection;
        shared.terms = terms;
        shared.publishes = publishes;
        shared.awake = true;
        shared.fill(books);
    }

    /// Ends the present connection; returns the bytes that are kept.
    pub(super) fn detach(&self) -> usize {
        let mut shared = self.shared.lock();
        shared.hang_up();
        shared.kept.as_ref().map_or(0, |kept| kept.bytes())
    }

    /// Ends the session: its task, if it has one, is told, and what was kept is lost.
    pub(super) fn end(&self, tally: &Tally) {
        let mut shared = self.shared.lock();
        shared.hang_up();
        if let Some(kept) = shared.kept.take() {
            tally.lost_with_session.add(kept.never_sent() as u64);
        }
    }

    /// Takes a message at the QoS and with the retain flag of this delivery: into the out-buffer if it is
    /// its turn, and wakes the task; or among what is kept.
    pub(super) fn deliver(
        &self,
        message: &mut Outgoing<'_>,
        qos: QoS,
        retain: bool,
        books: Books<'_>,
    ) -> Result<Taken, Refusal> {
        let mut shared = self.shared.lock();
        let goes_now = match qos {
            QoS::AtMostOnce => shared.connection != ConnectionNumber::NONE,
            QoS::AtLeastOnce => shared.has_turn(message),
        };
        // What has waited is not discarded for coming back all at once.
        if goes_now && !shared.takes_publish(books.clock) {
            return Err(Refusal::TooFast);
        }
        match qos {
            QoS::AtMostOnce => shared.send_at_most_once(message, retain),
            QoS::AtLeastOnce if goes_now => shared.send_at_least_once(message, retain),
            QoS::AtLeastOnce => shared.keep(message, retain, books),
        }
    }

    /// Whether the limits of the connection let one more PUBLISH of the client pass.
    pub(super) fn takes_publish(&self, connection: ConnectionNumber, clock: Clock) -> bool {
        self.of(connection).is_none_or(|mut shared| shared.takes_publish(clock))
    }

    /// The client has acknowledged a message.
    pub(super) fn acknowledged(&self, connection: ConnectionNumber, id: PacketId, books: Books<'_>) {
        if let Some(mut shared) = self.of(connection) {
            shared.acknowledged(id);
            shared.fill(books);
        }
    }

    /// The task runs: nobody needs to wake it until it sleeps again.
    pub(super) fn runs(&self, connection: ConnectionNumber) {
        if let Some(mut shared) = self.of(connection) {
            shared.awake = true;
        }
    }

    /// Moves what waits behind what is in `out`. If there is nothing, the task counts as asleep.
    pub(super) fn take_waiting(
        &self,
        connection: ConnectionNumber,
        cx: &Context<'_>,
        out: &mut Outbound,
        books: Books<'_>,
    ) -> Waiting {
        let Some(mut shared) = self.of(connection) else { return Waiting::Closing };
        // The buffer may have been full when something kept had its turn.
        shared.fill(books);
        if shared.waiting.pending() > 0 {
            out.append(&mut shared.waiting);
            return Waiting::Taken;
        }
        shared.sleeps(cx);
        Waiting::Nothing
    }

    /// The task cannot write now and leaves what waits where it is. False if the session has another
    /// connection.
    pub(super) fn sleeps(&self, connection: ConnectionNumber, cx: &Context<'_>) -> bool {
        self.of(connection).map(|mut shared| shared.sleeps(cx)).is_some()
    }

    /// What is shared, for the task of the present connection only.
    fn of(&self, connection: ConnectionNumber) -> Option<MutexGuard<'_, Shared>> {
        let shared = self.shared.lock();
        (shared.connection == connection).then_some(shared)
    }
}

impl Shared {
    fn send_at_most_once(&mut self, message: &Outgoing<'_>, retain: bool) -> Result<Taken, Refusal> {
        if self.connection == ConnectionNumber::NONE {
            return Ok(Taken::Missed);
        }
        if !self.buffer_has_room(&message.publish) {
            return Err(Refusal::BufferFull);
        }
        self.append(&Publish { qos: QoS::AtMostOnce, retain, ..message.publish })?;
        self.wake();
        Ok(Taken::Sent)
    }

    /// Whether a QoS 1 message may be sent now: nothing is before it, and the client takes one more.
    fn has_turn(&self, message: &Outgoing<'_>) -> bool {
        self.window_is_open()
            && self.kept.as_ref().is_none_or(|kept| kept.waiting() == 0)
            && self.buffer_has_room(&message.publish)
    }

    fn send_at_least_once(&mut self, message: &mut Outgoing<'_>, retain: bool) -> Result<Taken, Refusal> {
        let expires_at = message.expires_at;
        let copy = if self.terms.outlives {
            let packet = message.encoded().map_err(|_| Refusal::Unwritable)?;
            if self.kept.as_ref().is_some_and(|kept| !kept.has_room(packet.len())) {
                return Err(Refusal::QueueFull);
            }
            Some(Stored::new(packet, retain, expires_at))
        } else {
            None
        };
        let id = self.in_flight.take().ok_or(Refusal::QueueFull)?;
        let publish = Publish { qos: QoS::AtLeastOnce, id: Some(id), retain, ..message.publish };
        if let Err(refusal) = self.append(&publish) {
            self.in_flight.release(id);
            return Err(refusal);
        }
        self.unacknowledged += 1;
        if let Some(copy) = copy {
            let kept = self.kept.get_or_insert_default();
            kept.push(copy);
            kept.next_was_sent(id);
        }
        self.wake();
        Ok(Taken::Sent)
    }

    fn keep(&mut self, message: &mut Outgoing<'_>, retain: bool, books: Books<'_>) -> Result<Taken, Refusal> {
        let expires_at = message.expires_at;
        let packet = message.encoded().map_err(|_| Refusal::Unwritable)?;
        let Self { kept, in_flight, .. } = self;
        let kept = kept.get_or_insert_default();
        if !kept.has_room(packet.len()) {
            kept.drop_expired(books.clock.now(), |id| {
                books.tally.expired.add(1);
                release(in_flight, id);
            });
        }
        if !kept.has_room(packet.len()) {
            self.forget_empty();
            return Err(Refusal::QueueFull);
        }
        kept.push(Stored::new(packet, retain, expires_at));
        Ok(Taken::Kept(kept::bytes_of(packet.len())))
    }

    /// Sends what is kept and has its turn. The task is awake or about to be.
    fn fill(&mut self, books: Books<'_>) {
        if self.kept.as_ref().is_none_or(|kept| kept.waiting() == 0) {
            return self.forget_empty();
        }
        let now = books.clock.now();
        while self.window_is_open() && self.waiting.pending() < MAX_WAITING_BYTES {
            let Some(mut kept) = self.kept.take() else { return };
            let goes_on = self.send_next(&mut kept, now, books.tally);
            self.kept = Some(kept);
            if !goes_on {
                break;
            }
        }
        self.forget_empty();
    }

    /// Sends the kept message whose turn it is, or drops it if that cannot be; false if there is none.
    fn send_next(&mut self, kept: &mut Kept, now: Instant, tally: &Tally) -> bool {
        let Some(next) = kept.next() else { return false };
        if next.has_expired(now) {
            release(&mut self.in_flight, next.id);
            kept.remove_next();
            tally.expired.add(1);
            return true;
        }
        let Some(id) = next.id.or_else(|| self.in_flight.take()) else { return false };
        let appended = match next.publish() {
            Some(mut publish) => {
                publish.properties.message_expiry_s = next.expires_at().map(|at| seconds_left(at, now));
                let dup = next.id.is_some();
                self.append(&Publish { qos: QoS::AtLeastOnce, id: Some(id), dup, ..publish })
            }
            None => Err(Refusal::Unwritable),
        };
        match appended {
            Ok(()) => {
                tally.redelivered.add(u64::from(next.id.is_some()));
                tally.messages_out.add(u64::from(next.id.is_none()));
                self.unacknowledged += 1;
                if self.terms.outlives {
                    kept.next_was_sent(id);
                } else {
                    kept.remove_next();
                }
            }
            Err(refusal) => {
                release(&mut self.in_flight, Some(id));
                kept.remove_next();
                tally.dropped(refusal);
            }
        }
        true
    }

    fn acknowledged(&mut self, id: PacketId) {
        // One that is not in use is none of ours to complain about: neither standard says anything.
        if !self.in_flight.release(id) {
            return;
        }
        // A client may acknowledge what an earlier connection brought before it is sent again.
        let was_sent_now = self.kept.as_mut().and_then(|kept| kept.acknowledged(id)).unwrap_or(true);
        self.unacknowledged -= u16::from(was_sent_now && self.unacknowledged > 0);
    }

    /// Encodes a message for this client, or leaves the out-buffer as it was.
    fn append(&mut self, publish: &Publish<'_>) -> Result<(), Refusal> {
        let was_empty = self.waiting.pending() == 0;
        let buffer = self.waiting.buffer();
        let before = buffer.len();
        let written = encode::publish(buffer, self.terms.version, publish);
        let is_too_large = buffer.len() - before > self.terms.max_packet_bytes as usize;
        if written.is_ok() && !is_too_large {
            return Ok(());
        }
        buffer.truncate(before);
        if was_empty {
            self.waiting = Outbound::default();
        }
        Err(if is_too_large { Refusal::TooLarge } else { Refusal::Unwritable })
    }

    fn takes_publish(&mut self, clock: Clock) -> bool {
        self.publishes.as_mut().is_none_or(|publishes| publishes.take(clock.now()))
    }

    fn window_is_open(&self) -> bool {
        self.connection != ConnectionNumber::NONE && self.unacknowledged < self.terms.window
    }

    fn buffer_has_room(&self, publish: &Publish<'_>) -> bool {
        self.waiting.pending() + publish.topic.len() + publish.payload.len() <= MAX_WAITING_BYTES
    }

    fn forget_empty(&mut self) {
        if self.kept.as_ref().is_some_and(|kept| kept.is_empty()) {
            self.kept = None;
        }
    }

    /// Ends the present connection. QoS 0 in the out-buffer is lost with it.
    fn hang_up(&mut self) {
        self.connection = ConnectionNumber::NONE;
        self.wake();
        self.waker = None;
        self.waiting = Outbound::default();
        self.unacknowledged = 0;
        if let Some(kept) = &mut self.kept {
            kept.wait_for_next_connection();
        }
    }

    fn wake(&mut self) {
        if !self.awake {
            self.awake = true;
            if let Some(waker) = &self.waker {
                waker.wake_by_ref();
            }
        }
    }

    fn sleeps(&mut self, cx: &Context<'_>) {
        self.awake = false;
        if self.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
    }
}

fn release(in_flight: &mut InFlight, id: Option<PacketId>) {
    if let Some(id) = id {
        in_flight.release(id);
    }
}
