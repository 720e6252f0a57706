//! SUBSCRIBE, UNSUBSCRIBE and their answers (sections 3.8 to 3.11 of both standards).

use super::{PacketId, QoS, Version};
use crate::mqtt::reader::Reader;
use crate::mqtt::user::UserProperties;

/// A SUBSCRIBE (section 3.8): an identifier and at least one filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The identifier that the SUBACK repeats.
    pub id: PacketId,
    /// The number the client wants to see with what these filters bring; 1 to 268,435,455, MQTT 5 only.
    pub subscription_id: Option<u32>,
    /// Whatever else the client says; MQTT 5 only.
    pub user: UserProperties<'a>,
    /// The payload, checked by `decode`.
    pub(in crate::mqtt) requests: &'a [u8],
    /// By which standard the payload's option bytes are read.
    pub(in crate::mqtt) version: Version,
}

impl<'a> Subscribe<'a> {
    /// What is asked for, in the order of the packet.
    pub fn filters(&self) -> FilterRequests<'a> {
        FilterRequests { reader: Reader::new(self.requests), version: self.version }
    }
}

/// One filter of a SUBSCRIBE with its options (MQTT 5, 3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterRequest<'a> {
    /// The topic filter.
    pub filter: &'a str,
    /// The most that is wanted. A request for QoS 2 shows as [`QoS::AtLeastOnce`], the most that is granted.
    pub qos: QoS,
    /// Whether the client's own messages stay away; `false` in 3.1.1.
    pub no_local: bool,
    /// Whether messages arrive with the RETAIN flag they were published with; `false` in 3.1.1.
    pub retain_as_published: bool,
    /// What becomes of the retained messages that match; [`RetainHandling::Send`] in 3.1.1.
    pub retain_handling: RetainHandling,
}

impl<'a> FilterRequest<'a> {
    /// What a subscription of 3.1.1 means.
    pub const fn new(filter: &'a str, qos: QoS) -> Self {
        let retain_handling = RetainHandling::Send;
        Self { filter, qos, no_local: false, retain_as_published: false, retain_handling }
    }

    /// What the options byte of a checked packet says.
    fn from_options(filter: &'a str, options: u8, version: Version) -> Self {
        let qos = if matches!(options & 0b11, 0) { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let plain = Self::new(filter, qos);
        match version {
            Version::V311 => plain,
            Version::V5 => Self {
                no_local: options & 0b0100 != 0,
                retain_as_published: options & 0b1000 != 0,
                retain_handling: match (options >> 4) & 0b11 {
                    0 => RetainHandling::Send,
                    1 => RetainHandling::SendIfNew,
                    _ => RetainHandling::DoNotSend,
                },
                ..plain
            },
        }
    }
}

/// What becomes of retained messages when a subscription is made (MQTT 5, 3.8.3.1), numbered as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// They are sent.
    #[default]
    Send = 0,
    /// They are sent if the client had no such subscription.
    SendIfNew = 1,
    /// They are not sent.
    DoNotSend = 2,
}

/// The filters of a [`Subscribe`]. All of them are well-formed.
#[derive(Debug, Clone)]
pub struct FilterRequests<'a> {
    reader: Reader<'a>,
    version: Version,
}

impl<'a> Iterator for FilterRequests<'a> {
    type Item = FilterRequest<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let filter = std::str::from_utf8(self.reader.field()?).ok()?;
        Some(FilterRequest::from_options(filter, self.reader.u8()?, self.version))
    }
}

/// The answer to a SUBSCRIBE (section 3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The identifier of the SUBSCRIBE.
    pub id: PacketId,
    /// Per filter the granted QoS, 0 to 2, or a refusal: 0x80 in 3.1.1, a reason code from there on in 5.
    pub codes: &'a [u8],
    /// The reason for people; MQTT 5 only.
    pub reason_string: Option<&'a str>,
    /// Whatever else the server says; MQTT 5 only.
    pub user: UserProperties<'a>,
}

impl<'a> SubAck<'a> {
    /// These codes and nothing more.
    pub const fn new(id: PacketId, codes: &'a [u8]) -> Self {
        Self { id, codes, reason_string: None, user: UserProperties::NONE }
    }
}

/// An UNSUBSCRIBE (section 3.10): an identifier and at least one filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// The identifier that the UNSUBACK repeats.
    pub id: PacketId,
    /// Whatever else the client says; MQTT 5 only.
    pub user: UserProperties<'a>,
    /// The payload, checked by `decode`.
    pub(in crate::mqtt) filters: &'a [u8],
}

impl<'a> Unsubscribe<'a> {
    /// The filters, in the order of the packet.
    pub fn filters(&self) -> Filters<'a> {
        Filters(Reader::new(self.filters))
    }
}

/// The filters of an [`Unsubscribe`]. All of them are well-formed.
#[derive(Debug, Clone)]
pub struct Filters<'a>(Reader<'a>);

impl<'a> Iterator for Filters<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        std::str::from_utf8(self.0.field()?).ok()
    }
}

/// The answer to an UNSUBSCRIBE (section 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsubAck<'a> {
    /// The identifier of the UNSUBSCRIBE.
    pub id: PacketId,
    /// Per filter a reason code; empty in 3.1.1, which has none.
    pub codes: &'a [u8],
    /// The reason for people; MQTT 5 only.
    pub reason_string: Option<&'a str>,
    /// Whatever else the server says; MQTT 5 only.
    pub user: UserProperties<'a>,
}

impl<'a> UnsubAck<'a> {
    /// These codes and nothing more.
    pub const fn new(id: PacketId, codes: &'a [u8]) -> Self {
        Self { id, codes, reason_string: None, user: UserProperties::NONE }
    }
}
