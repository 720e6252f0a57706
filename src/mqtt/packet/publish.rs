//! PUBLISH and its acknowledgement (section 3.3 and 3.4 of both standards).

use std::num::NonZeroU16;

use super::{PacketId, QoS};
use crate::mqtt::reason::ReasonCode;
use crate::mqtt::user::UserProperties;

/// An application message on its way between a client and a server (section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The topic name: no wildcards; empty only in MQTT 5 and only with a topic alias.
    pub topic: &'a str,
    /// The message itself; may be empty.
    pub payload: &'a [u8],
    /// The quality of service of this transfer.
    pub qos: QoS,
    /// The packet identifier: `Some` exactly if `qos` is [`QoS::AtLeastOnce`].
    pub id: Option<PacketId>,
    /// Whether this may be a redelivery; never with [`QoS::AtMostOnce`].
    pub dup: bool,
    /// From a client: keep as the topic's retained message. From a server: was one.
    pub retain: bool,
    /// What MQTT 5 says about the message; nothing in 3.1.1.
    pub properties: PublishProperties<'a>,
}

impl<'a> Publish<'a> {
    /// A message at QoS 0 with nothing else set.
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        let properties = PublishProperties::NONE;
        Self { topic, payload, qos: QoS::AtMostOnce, id: None, dup: false, retain: false, properties }
    }
}

/// What MQTT 5 says about a message (MQTT 5, 3.3.2.3); a will carries the same but for the alias.
///
/// A server's subscription identifiers are checked and not kept: nobody here asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PublishProperties<'a> {
    /// The payload format indicator: whether the payload is UTF-8, if said.
    pub payload_is_utf8: Option<bool>,
    /// How long the message is of use, in seconds; `None` for ever.
    pub message_expiry_s: Option<u32>,
    /// The number that stands for the topic on this connection; never in a will.
    pub topic_alias: Option<NonZeroU16>,
    /// Where an answer is expected; a topic name.
    pub response_topic: Option<&'a str>,
    /// By what the requester knows the answer.
    pub correlation_data: Option<&'a [u8]>,
    /// What the payload is; usually a MIME type.
    pub content_type: Option<&'a str>,
    /// Whatever else the sender says.
    pub user: UserProperties<'a>,
}

impl PublishProperties<'_> {
    /// Nothing said.
    pub const NONE: Self = PublishProperties {
        payload_is_utf8: None,
        message_expiry_s: None,
        topic_alias: None,
        response_topic: None,
        correlation_data: None,
        content_type: None,
        user: UserProperties::NONE,
    };
}

/// A QoS 1 message has been taken over (section 3.4), or in MQTT 5: was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PubAck<'a> {
    /// The identifier of the PUBLISH.
    pub id: PacketId,
    /// What became of it; always success in 3.1.1.
    pub reason: ReasonCode,
    /// The same for people; MQTT 5 only.
    pub reason_string: Option<&'a str>,
    /// Whatever else the sender says; MQTT 5 only.
    pub user: UserProperties<'a>,
}

impl PubAck<'_> {
    /// Success and nothing more.
    pub const fn new(id: PacketId) -> Self {
        Self { id, reason: ReasonCode::Success, reason_string: None, user: UserProperties::NONE }
    }
}
