//! A message on its way from whoever published it to those who subscribed.
//!
//! Not here: who those are (`routes`), and how a session keeps it (`session::kept`).

use crate::clock::Instant;
use crate::mqtt::encode::{self, EncodeError};
use crate::mqtt::{Packet, Publish, PublishProperties, QoS, ReasonCode, Sender, Version, decode};

/// A message for whoever subscribed to its topic.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// A valid topic name.
    pub topic: &'a str,
    /// The message itself.
    pub payload: &'a [u8],
    /// The most a subscriber gets; its own subscription may grant less.
    pub qos: QoS,
    /// Whether it is to be kept for later subscribers.
    pub retain: bool,
    /// From when on it is delivered to nobody any more, of either version.
    pub expires_at: Option<Instant>,
    /// What goes with it to clients of MQTT 5. Its expiry and alias mean nothing here: the one is
    /// `expires_at`, the other belongs to a connection.
    pub properties: PublishProperties<'a>,
    /// The client that published it, for subscriptions that want nothing of their own.
    pub from: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// A message of the backend's own: without properties, not retained, never expiring.
    pub fn new(topic: &'a str, payload: &'a [u8], qos: QoS) -> Self {
        let properties = PublishProperties::default();
        Self { topic, payload, qos, retain: false, expires_at: None, properties, from: None }
    }

    /// What a PUBLISH says, without its expiry.
    pub(super) fn of(publish: &Publish<'a>) -> Self {
        let Publish { topic, payload, qos, retain, properties, .. } = *publish;
        Self { topic, payload, qos, retain, expires_at: None, properties, from: None }
    }

    /// What the client `from` has published at `now`; its expiry runs from then on.
    pub fn of_client(from: &'a str, publish: &Publish<'a>, now: Instant) -> Self {
        let lifetime = publish.properties.message_expiry_s;
        let expires_at = lifetime.map(|seconds| now.plus_micros(u64::from(seconds) * 1_000_000));
        Self { expires_at, from: Some(from), ..Self::of(publish) }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Sessions in whose out-buffer it is.
    pub sessions: u32,
    /// Sessions that keep it until their client is there and has room for it.
    pub kept: u32,
    /// Sessions that subscribed to it and did not take it, because something of theirs was full.
    pub dropped: u32,
}

impl Delivered {
    /// What a PUBACK of MQTT 5 says about it (table 2.6).
    pub const fn reason(self) -> ReasonCode {
        match self {
            Self { sessions: 0, kept: 0, dropped: 0 } => ReasonCode::NoMatchingSubscribers,
            _ => ReasonCode::Success,
        }
    }
}

/// Whole seconds from `now` until `expires_at`, rounded down; 0 in the last second (MQTT 5, 3.3.2.3.3).
pub(super) fn seconds_left(expires_at: Instant, now: Instant) -> u32 {
    u32::try_from(expires_at.micros_since(now) / 1_000_000).unwrap_or(u32::MAX)
}

/// A message while it is given to sessions: as each of them would send it, and encoded once for those
/// that keep it.
pub(super) struct Outgoing<'a> {
    /// QoS, identifier and retain flag are set for each session.
    pub(super) publish: Publish<'a>,
    pub(super) expires_at: Option<Instant>,
    /// The packet that is kept; empty until somebody asks for it.
    encoded: &'a mut Vec<u8>,
}

impl<'a> Outgoing<'a> {
    /// `scratch` is emptied.
    pub(super) fn new(message: &Message<'a>, now: Instant, scratch: &'a mut Vec<u8>) -> Self {
        scratch.clear();
        let mut publish = Publish::new(message.topic, message.payload);
        publish.properties = message.properties;
        publish.properties.topic_alias = None;
        publish.properties.message_expiry_s = message.expires_at.map(|at| seconds_left(at, now));
        Self { publish, expires_at: message.expires_at, encoded: scratch }
    }

    /// The message as a PUBLISH of MQTT 5 with QoS 0 and no expiry: everything that is worth keeping, in
    /// the form that the codec can read again.
    ///
    /// # Errors
    /// If it fits no packet.
    pub(super) fn encoded(&mut self) -> Result<&[u8], EncodeError> {
        if self.encoded.is_empty() {
            let mut publish = self.publish;
            publish.properties.message_expiry_s = None;
            encode::publish(self.encoded, Version::V5, &publish)?;
        }
        Ok(self.encoded)
    }
}

/// The message of a packet that [`Outgoing::encoded`] has made; `None` would be a mistake of the codec.
pub(super) fn read_again(packet: &[u8]) -> Option<Publish<'_>> {
    match decode(packet, Sender::Server, Version::V5, packet.len()) {
        Ok(Some((Packet::Publish(publish), _))) => Some(publish),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seconds_left_are_rounded_down_to_zero_in_the_last_one() {
        let rows = [(10_000_000, 10), (9_999_999, 9), (1_000_000, 1), (999_999, 0), (0, 0)];
        for (left_us, expected) in rows {
            let now = Instant::from_micros(77);
            assert_eq!(seconds_left(now.plus_micros(left_us), now), expected, "{left_us} µs");
        }
        assert_eq!(seconds_left(Instant::from_micros(1), Instant::from_micros(2)), 0);
        assert_eq!(seconds_left(Instant::from_micros(u64::MAX), Instant::START), u32::MAX);
    }
}
