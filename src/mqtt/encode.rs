//! Packets to bytes. Every function appends one whole packet to `out`, or nothing and says why. Whatever
//! MQTT 5 adds is left out for a connection of 3.1.1.
//!
//! Lengths and the agreement of fields are checked here, the characters of topics and filters are not:
//! whoever makes a topic name from outside data checks it with `topic_is_valid` where it comes in. How large
//! a packet the peer takes is for the caller, who sees what was appended.

mod connect;
mod properties;
mod subscribe;

pub use connect::{connack, connect};
pub use subscribe::{suback, subscribe, unsuback, unsubscribe};

use self::properties::{BlockLength, Properties, Sink};
use super::decode::may_carry;
use super::filter::topic_is_valid;
use super::packet::{Auth, Disconnect, PubAck, Publish, QoS, Version};
use super::property::Property;
use super::reason::ReasonCode;
use super::violation::PacketKind;

/// The largest remaining length that four bytes can say (3.1.1, table 2.4; MQTT 5, table 1-1).
const MAX_REMAINING: usize = 268_435_455;

/// Why a packet cannot be written. Nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field does not fit its two-byte length.
    #[error("{field} has {length} bytes, at most 65535 fit")]
    FieldTooLong {
        /// Which field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// The packet does not fit its four-byte length.
    #[error("packet body has {0} bytes, at most 268435455 fit")]
    PacketTooLong(usize),
    /// A PUBLISH whose QoS, identifier and DUP flag do not fit together.
    #[error("a packet identifier goes with QoS 1 and only with it, the DUP flag not with QoS 0")]
    QosMismatch,
    /// A message without a topic, and in MQTT 5 without a topic alias.
    #[error("a message needs a topic name")]
    NoTopic,
    /// A CONNECT of 3.1.1 with a password and no user name.
    #[error("a password needs a user name")]
    PasswordWithoutUsername,
    /// A CONNECT with a receive maximum of 0.
    #[error("receive maximum is 0, must be 1 to 65535")]
    ReceiveMaximum,
    /// Authentication data or an AUTH without a method.
    #[error("authentication needs a method")]
    AuthenticationMethod,
    /// A shared subscription with no local.
    #[error("a shared subscription cannot be no local")]
    SharedNoLocal,
    /// A reason that this packet cannot give in this version.
    #[error("a {0} cannot say {1}")]
    Reason(PacketKind, ReasonCode),
    /// A code that this packet cannot give in this version.
    #[error("a {0} cannot carry the code {1:#04x}")]
    Code(PacketKind, u8),
    /// A list that must have an entry has none.
    #[error("at least one {0} is needed")]
    Empty(&'static str),
}

/// Appends a PUBLISH.
pub fn publish(out: &mut Vec<u8>, version: Version, publish: &Publish<'_>) -> Result<(), EncodeError> {
    topic_is_made_here(publish.topic);
    let at_least_once = publish.qos == QoS::AtLeastOnce;
    if publish.id.is_some() != at_least_once || (publish.dup && !at_least_once) {
        return Err(EncodeError::QosMismatch);
    }
    if publish.topic.is_empty() && (version == Version::V311 || publish.properties.topic_alias.is_none()) {
        return Err(EncodeError::NoTopic);
    }
    let topic = Field::new("topic name", publish.topic.as_bytes())?;
    let block = match version {
        Version::V311 => None,
        Version::V5 => Some(BlockLength::measure(|block| publish_properties(block, publish))?),
    };
    let id_size = if at_least_once { 2 } else { 0 };
    let body = topic.size() + id_size + block.map_or(0, BlockLength::size) + publish.payload.len();
    let flags = (u8::from(publish.dup) << 3) | ((publish.qos as u8) << 1) | u8::from(publish.retain);

    header(out, 0x30 | flags, body)?;
    topic.write(out);
    if let Some(id) = publish.id {
        out.extend_from_slice(&id.get().to_be_bytes());
    }
    if let Some(block) = block {
        block.write(out, |block| publish_properties(block, publish))?;
    }
    out.extend_from_slice(publish.payload);
    Ok(())
}

/// Appends a PUBACK. 3.1.1 knows only success and is not told of another reason.
pub fn puback(out: &mut Vec<u8>, version: Version, puback: &PubAck<'_>) -> Result<(), EncodeError> {
    let [high, low] = puback.id.get().to_be_bytes();
    let PubAck { reason, reason_string, user, .. } = *puback;
    let plain = reason == ReasonCode::Success && reason_string.is_none() && user.is_empty();
    if version == Version::V311 || plain {
        out.extend_from_slice(&[0x40, 2, high, low]);
        return Ok(());
    }
    if !may_carry(PacketKind::PubAck, reason.number()) {
        return Err(EncodeError::Reason(PacketKind::PubAck, reason));
    }
    let block = BlockLength::measure(|block| {
        block.text(Property::ReasonString, reason_string)?;
        block.user(user)
    })?;
    if block.is_empty() {
        out.extend_from_slice(&[0x40, 3, high, low, reason.number()]);
        return Ok(());
    }
    header(out, 0x40, 3 + block.size())?;
    out.extend_from_slice(&[high, low, reason.number()]);
    block.write(out, |block| {
        block.text(Property::ReasonString, reason_string)?;
        block.user(user)
    })
}

/// Appends a PINGREQ.
pub fn pingreq(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xc0, 0]);
}

/// Appends a PINGRESP.
pub fn pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xd0, 0]);
}

/// Appends a DISCONNECT. 3.1.1 can only say that all is well.
///
/// A reason is followed by the length of its properties even if there are none, though it could be left out
/// (MQTT 5, 3.14.2.2.1): clients are known that do not read the short form.
pub fn disconnect(
    out: &mut Vec<u8>,
    version: Version,
    disconnect: &Disconnect<'_>,
) -> Result<(), EncodeError> {
    let reason = disconnect.reason;
    let allowed = match version {
        Version::V311 => reason == ReasonCode::Success,
        Version::V5 => may_carry(PacketKind::Disconnect, reason.number()),
    };
    if !allowed {
        return Err(EncodeError::Reason(PacketKind::Disconnect, reason));
    }
    let block = match version {
        Version::V311 => None,
        Version::V5 => Some(BlockLength::measure(|block| disconnect_properties(block, disconnect))?),
    };
    match block {
        Some(block) if reason != ReasonCode::Success || !block.is_empty() => {
            header(out, 0xe0, 1 + block.size())?;
            out.push(reason.number());
            block.write(out, |block| disconnect_properties(block, disconnect))
        }
        _ => {
            out.extend_from_slice(&[0xe0, 0]);
            Ok(())
        }
    }
}

/// Appends an AUTH; only MQTT 5 has it.
pub fn auth(out: &mut Vec<u8>, auth: &Auth<'_>) -> Result<(), EncodeError> {
    if !may_carry(PacketKind::Auth, auth.reason.number()) {
        return Err(EncodeError::Reason(PacketKind::Auth, auth.reason));
    }
    if *auth == Auth::default() {
        out.extend_from_slice(&[0xf0, 0]);
        return Ok(());
    }
    if auth.authentication_method.is_none() {
        return Err(EncodeError::AuthenticationMethod);
    }
    let block = BlockLength::measure(|block| auth_properties(block, auth))?;
    header(out, 0xf0, 1 + block.size())?;
    out.push(auth.reason.number());
    block.write(out, |block| auth_properties(block, auth))
}

fn publish_properties<S: Sink>(
    block: &mut Properties<'_, S>,
    publish: &Publish<'_>,
) -> Result<(), EncodeError> {
    block.u16(Property::TopicAlias, publish.properties.topic_alias.map(Into::into));
    block.message(&publish.properties)
}

fn disconnect_properties<S: Sink>(
    block: &mut Properties<'_, S>,
    disconnect: &Disconnect<'_>,
) -> Result<(), EncodeError> {
    block.u32(Property::SessionExpiry, disconnect.session_expiry_s);
    block.text(Property::ReasonString, disconnect.reason_string)?;
    block.user(disconnect.user)?;
    block.text(Property::ServerReference, disconnect.server_reference)
}

fn auth_properties<S: Sink>(block: &mut Properties<'_, S>, auth: &Auth<'_>) -> Result<(), EncodeError> {
    block.text(Property::AuthenticationMethod, auth.authentication_method)?;
    block.bytes(Property::AuthenticationData, auth.authentication_data)?;
    block.text(Property::ReasonString, auth.reason_string)?;
    block.user(auth.user)
}

/// Catches in tests who passes on a topic from outside unchecked; an empty one is an error for all.
fn topic_is_made_here(topic: &str) {
    debug_assert!(topic.is_empty() || topic_is_valid(topic).is_ok(), "made from unchecked data: {topic:?}");
}

/// Appends the first byte and the remaining length, and makes room for the body.
#[inline]
fn header(out: &mut Vec<u8>, first: u8, body: usize) -> Result<(), EncodeError> {
    let remaining = u32::try_from(body).ok().filter(|_| body <= MAX_REMAINING);
    let remaining = remaining.ok_or(EncodeError::PacketTooLong(body))?;
    out.reserve(5 + body);
    out.push(first);
    variable(out, remaining);
    Ok(())
}

/// Appends a variable byte integer of at most 268,435,455 in the fewest bytes.
#[inline]
fn variable(out: &mut Vec<u8>, value: u32) {
    let mut left = value;
    loop {
        let [low, ..] = left.to_le_bytes();
        left >>= 7;
        if left == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// How many bytes [`variable`] appends.
fn variable_size(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Bytes that go behind a two-byte length and are known to fit it.
#[derive(Clone, Copy)]
struct Field<'a> {
    length: u16,
    bytes: &'a [u8],
}

impl<'a> Field<'a> {
    fn new(field: &'static str, bytes: &'a [u8]) -> Result<Self, EncodeError> {
        let too_long = |_| EncodeError::FieldTooLong { field, length: bytes.len() };
        u16::try_from(bytes.len()).map(|length| Self { length, bytes }).map_err(too_long)
    }

    fn size(self) -> usize {
        2 + self.bytes.len()
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(self.bytes);
    }
}

#[cfg(test)]
mod tests;
