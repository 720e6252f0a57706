//! One client's session: its identity, and what waits for its connection to write it.
//!
//! Shared between the broker, which puts messages in, and the task of the connection, which takes them
//! out; the lock between them is held for a copy, never for a write to the network.

use std::sync::Arc;
use std::task::{Context, Waker};

use parking_lot::Mutex;

use super::Message;
use super::in_flight::InFlight;
use crate::mqtt::{Outbound, PacketId, Publish, QoS, Version, encode};

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

/// Why a message was not put into a session's out-buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// [`MAX_WAITING_BYTES`] are waiting.
    BufferFull,
    /// [`super::in_flight::MAX_IN_FLIGHT`] are unacknowledged.
    InFlightFull,
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
    /// The session was taken over.
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
    /// Whether the task runs or has been woken, so that waking it would be wasted.
    awake: bool,
    closing: bool,
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

    /// Puts a message into the out-buffer, at most at the QoS `granted`, and wakes the task.
    pub(super) fn deliver(&self, message: &Message<'_>, granted: QoS) -> Result<(), Refusal> {
        let mut shared = self.shared.lock();
        let Message { topic, payload, .. } = *message;
        let qos = message.qos.min(granted);
        if shared.waiting.pending() + topic.len() + payload.len() > MAX_WAITING_BYTES {
            return Err(Refusal::BufferFull);
        }
        let id = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(shared.in_flight.take().ok_or(Refusal::InFlightFull)?),
        };
        let publish = Publish { qos, id, ..Publish::new(topic, payload) };
        if encode::publish(shared.waiting.buffer(), Version::V311, &publish).is_err() {
            if let Some(id) = id {
                shared.in_flight.release(id);
            }
            return Err(Refusal::Unwritable);
        }
        shared.wake();
        Ok(())
    }

    /// The client has acknowledged a message.
    pub(super) fn acknowledged(&self, id: PacketId) {
        self.shared.lock().in_flight.release(id);
    }

    /// Tells the task to end.
    pub(super) fn close(&self) {
        let mut shared = self.shared.lock();
        shared.closing = true;
        shared.wake();
    }

    /// The task runs: nobody needs to wake it until it sleeps again.
    pub(super) fn runs(&self) {
        self.shared.lock().awake = true;
    }

    /// Moves what waits behind what is in `out`. If there is nothing, the task counts as asleep.
    pub(super) fn take_waiting(&self, cx: &Context<'_>, out: &mut Outbound) -> Waiting {
        let mut shared = self.shared.lock();
        if shared.closing {
            return Waiting::Closing;
        }
        if shared.waiting.pending() > 0 {
            out.append(&mut shared.waiting);
            return Waiting::Taken;
        }
        shared.sleeps(cx);
        Waiting::Nothing
    }

    /// The task cannot write now and leaves what waits where it is. False if the session was taken over.
    pub(super) fn sleeps(&self, cx: &Context<'_>) -> bool {
        let mut shared = self.shared.lock();
        shared.sleeps(cx);
        !shared.closing
    }
}

impl Shared {
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
