//! The QoS 1 messages that a session holds on to: sent and not acknowledged by a client that may come
//! back, or not sent yet.
//!
//! One order for all of them, that of their publication; the front has been sent on the present
//! connection, what follows has its turn when the client's window opens. Not here: whether a session keeps
//! what it sends, and packet identifiers (`InFlight`).

use std::collections::VecDeque;

use crate::backend::broker::message::read_again;
use crate::clock::Instant;
use crate::mqtt::{PacketId, Publish};

/// Messages that wait in one session: as many as may be unacknowledged, so that a client which was away
/// finds no more than it could have had under way.
pub(super) const MAX_WAITING: usize = 8192;

/// Bytes that one session keeps, sent ones included: [`MAX_WAITING`] commands of 512 bytes with topic and
/// properties, or 32 of the largest.
pub(super) const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Empty places that are left alone: shrinking is for what a burst leaves behind.
const SPARE_PLACES: usize = 64;

/// `expires_at` of a message that never does.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// See the module. Exists only while there is a message.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// In the order of publication.
    messages: VecDeque<Stored>,
    /// How many of them, at the front, were sent on the present connection.
    sent: usize,
    /// Memory of all of them.
    bytes: usize,
    /// No message expires before; so that a full queue is not searched for expired ones again and again.
    none_expires_before: Instant,
}

/// One message: an encoded PUBLISH in one allocation of its exact size (see `Outgoing::encoded`).
#[derive(Debug)]
pub(super) struct Stored {
    packet: Box<[u8]>,
    expires_at: Instant,
    /// Under which it was sent, on this connection or an earlier one.
    pub(super) id: Option<PacketId>,
}

impl Stored {
    pub(super) fn new(packet: &[u8], retain: bool, expires_at: Option<Instant>) -> Self {
        let mut packet: Box<[u8]> = Box::from(packet);
        if let Some(first) = packet.first_mut() {
            // The lowest bit of the fixed header (3.3.1.3).
            *first |= u8::from(retain);
        }
        Self { packet, expires_at: expires_at.unwrap_or(NEVER), id: None }
    }

    /// The message as it was published; QoS, identifier and expiry are for the sender to set.
    pub(super) fn publish(&self) -> Option<Publish<'_>> {
        read_again(&self.packet)
    }

    pub(super) fn expires_at(&self) -> Option<Instant> {
        (self.expires_at != NEVER).then_some(self.expires_at)
    }

    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.expires_at <= now
    }

    fn bytes(&self) -> usize {
        bytes_of(self.packet.len())
    }
}

/// Memory of a kept message whose packet has this many bytes.
fn bytes_of(packet_bytes: usize) -> usize {
    packet_bytes + std::mem::size_of::<Stored>()
}

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Memory of all messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many were not sent on the present connection.
    pub(super) fn waiting(&self) -> usize {
        self.messages.len() - self.sent
    }

    /// How many were never sent.
    pub(super) fn never_sent(&self) -> usize {
        self.messages.iter().filter(|message| message.id.is_none()).count()
    }

    /// Whether one more message with a packet of this size fits.
    pub(super) fn has_room(&self, packet_bytes: usize) -> bool {
        self.waiting() < MAX_WAITING && self.bytes + bytes_of(packet_bytes) <= MAX_BYTES
    }

    /// Puts a message behind all others.
    pub(super) fn push(&mut self, message: Stored) {
        self.none_expires_before = if self.messages.is_empty() {
            message.expires_at
        } else {
            self.none_expires_before.min(message.expires_at)
        };
        self.bytes += message.bytes();
        self.messages.push_back(message);
    }

    /// The message whose turn is next.
    pub(super) fn next(&self) -> Option<&Stored> {
        self.messages.get(self.sent)
    }

    /// The next message was sent as `id` and is kept until it is acknowledged.
    pub(super) fn next_was_sent(&mut self, id: PacketId) {
        if let Some(next) = self.messages.get_mut(self.sent) {
            next.id = Some(id);
            self.sent += 1;
        }
    }

    /// Takes the next message out: it was sent and need not be kept, or it cannot be sent.
    pub(super) fn remove_next(&mut self) -> Option<Stored> {
        self.remove(self.sent)
    }

    /// Takes out the message that was sent as `id`; says whether that was on the present connection.
    pub(super) fn acknowledged(&mut self, id: PacketId) -> Option<bool> {
        // Clients acknowledge in the order of arrival ([MQTT-4.6.0-2]), so it is nearly always the first.
        let place = self.messages.iter().position(|message| message.id == Some(id))?;
        let was_sent_now = place < self.sent;
        self.remove(place);
        if was_sent_now {
            self.sent -= 1;
        }
        Some(was_sent_now)
    }

    /// The connection has ended: whatever is kept waits for the next one.
    pub(super) fn wait_for_next_connection(&mut self) {
        self.sent = 0;
        // What was sent could not be dropped; now it can.
        self.none_expires_before = Instant::START;
    }

    /// Takes out the messages that wait and have expired; `dropped` is told their identifiers.
    pub(super) fn drop_expired(&mut self, now: Instant, mut dropped: impl FnMut(Option<PacketId>)) {
        if now < self.none_expires_before {
            return;
        }
        let (sent, mut place) = (self.sent, 0);
        let (mut bytes, mut soonest) = (0, NEVER);
        self.messages.retain(|message| {
            // The client holds the identifier of one that was sent on this connection.
            let stays = place < sent || !message.has_expired(now);
            place += 1;
            if stays {
                bytes += message.bytes();
                // One that was sent does not make the next search worthwhile.
                soonest = soonest.min(if place <= sent { NEVER } else { message.expires_at });
            } else {
                dropped(message.id);
            }
            stays
        });
        (self.bytes, self.none_expires_before) = (bytes, soonest);
    }

    fn remove(&mut self, place: usize) -> Option<Stored> {
        let message = self.messages.remove(place)?;
        self.bytes -= message.bytes();
        if self.messages.capacity() > SPARE_PLACES + 4 * self.messages.len() {
            self.messages.shrink_to(2 * self.messages.len());
        }
        Some(message)
    }
}
