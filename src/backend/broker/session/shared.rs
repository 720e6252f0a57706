//! What stands behind a session's lock: what is to be written, what is kept, and what is under way.
//!
//! Not here: whose call it is (`Session`), and where the bytes go.

use std::task::{Context, Waker};

use super::kept::{Kept, Stored};
use super::{Books, ConnectionNumber, MAX_WAITING_BYTES, Refusal, Taken, Terms};
use crate::backend::broker::counters::Tally;
use crate::backend::broker::in_flight::InFlight;
use crate::backend::broker::limits::bucket::Bucket;
use crate::backend::broker::message::{Outgoing, seconds_left};
use crate::clock::{Clock, Instant};
use crate::mqtt::{Outbound, PacketId, Publish, QoS, encode};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) waiting: Outbound,
    pub(super) in_flight: InFlight,
    pub(super) waker: Option<Waker>,
    // Boxed: a device that is up to date has nothing kept.
    pub(super) kept: Option<Box<Kept>>,
    pub(super) connection: ConnectionNumber,
    pub(super) terms: Terms,
    /// How many PUBLISHes may still pass, if there is a limit; of both directions.
    pub(super) publishes: Option<Box<Bucket>>,
    /// Messages sent on this connection and not acknowledged.
    pub(super) unacknowledged: u16,
    /// Whether the task runs or has been woken, so that waking it would be wasted.
    pub(super) awake: bool,
}

impl Shared {
    pub(super) fn send_at_most_once(
        &mut self,
        message: &Outgoing<'_>,
        retain: bool,
    ) -> Result<Taken, Refusal> {
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
    pub(super) fn has_turn(&self, message: &Outgoing<'_>) -> bool {
        self.window_is_open()
            && self.kept.as_ref().is_none_or(|kept| kept.waiting() == 0)
            && self.buffer_has_room(&message.publish)
    }

    pub(super) fn send_at_least_once(
        &mut self,
        message: &mut Outgoing<'_>,
        retain: bool,
    ) -> Result<Taken, Refusal> {
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

    pub(super) fn keep(
        &mut self,
        message: &mut Outgoing<'_>,
        retain: bool,
        books: Books<'_>,
    ) -> Result<Taken, Refusal> {
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
        Ok(Taken::Kept(kept.bytes()))
    }

    /// Sends what is kept and has its turn. The task is awake or about to be.
    pub(super) fn fill(&mut self, books: Books<'_>) {
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

    pub(super) fn acknowledged(&mut self, id: PacketId) {
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

    pub(super) fn takes_publish(&mut self, clock: Clock) -> bool {
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
    pub(super) fn hang_up(&mut self) {
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

    pub(super) fn sleeps(&mut self, cx: &Context<'_>) {
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
