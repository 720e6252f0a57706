//! One client's session: its identity, what waits for its connection to write it, and what is kept for a
//! client that may come back.
//!
//! Shared between the broker, which puts messages in, and the task of the connection, which takes them
//! out; the lock between them is held for a copy, never for a write to the network. A session can see
//! several connections, one at a time: each call of a task names its own, so a task that was taken over
//! changes nothing and learns that it has to end.

mod kept;
mod shared;

use std::sync::Arc;
use std::task::Context;

use parking_lot::{Mutex, MutexGuard};

use super::counters::Tally;
use super::limits::bucket::Bucket;
use super::message::Outgoing;
use crate::clock::Clock;
use crate::mqtt::{Outbound, PacketId, QoS, Version};
use shared::Shared;

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
    /// It waits for its turn; the session now keeps so many bytes.
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

    /// Ends the session: its task, if it has one, is told, and what was kept is lost; returns how many of
    /// those messages were never sent.
    pub(super) fn end(&self) -> u64 {
        let mut shared = self.shared.lock();
        shared.hang_up();
        shared.kept.take().map_or(0, |kept| kept.never_sent() as u64)
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
