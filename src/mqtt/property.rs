//! The properties of MQTT 5 (table 2-4): their numbers, names and types.
//!
//! Not here: which packet may carry which, and what values they may have; `decode` knows that.

use super::reader::Reader;

/// The properties, numbered as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Property {
    PayloadFormat = 0x01,
    MessageExpiry = 0x02,
    ContentType = 0x03,
    ResponseTopic = 0x08,
    CorrelationData = 0x09,
    SubscriptionIdentifier = 0x0B,
    SessionExpiry = 0x11,
    AssignedClientIdentifier = 0x12,
    ServerKeepAlive = 0x13,
    AuthenticationMethod = 0x15,
    AuthenticationData = 0x16,
    RequestProblemInformation = 0x17,
    WillDelay = 0x18,
    RequestResponseInformation = 0x19,
    ResponseInformation = 0x1A,
    ServerReference = 0x1C,
    ReasonString = 0x1F,
    ReceiveMaximum = 0x21,
    TopicAliasMaximum = 0x22,
    TopicAlias = 0x23,
    MaximumQos = 0x24,
    RetainAvailable = 0x25,
    User = 0x26,
    MaximumPacketSize = 0x27,
    WildcardSubscriptions = 0x28,
    SubscriptionIdentifiers = 0x29,
    SharedSubscriptions = 0x2A,
}

/// How a property's value stands on the wire (MQTT 5, 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Byte,
    TwoBytes,
    FourBytes,
    VariableByteInteger,
    /// A string or binary data: bytes behind their two-byte length.
    Field,
    /// Two strings.
    Pair,
}

impl Property {
    pub(super) const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0x01 => Self::PayloadFormat,
            0x02 => Self::MessageExpiry,
            0x03 => Self::ContentType,
            0x08 => Self::ResponseTopic,
            0x09 => Self::CorrelationData,
            0x0B => Self::SubscriptionIdentifier,
            0x11 => Self::SessionExpiry,
            0x12 => Self::AssignedClientIdentifier,
            0x13 => Self::ServerKeepAlive,
            0x15 => Self::AuthenticationMethod,
            0x16 => Self::AuthenticationData,
            0x17 => Self::RequestProblemInformation,
            0x18 => Self::WillDelay,
            0x19 => Self::RequestResponseInformation,
            0x1A => Self::ResponseInformation,
            0x1C => Self::ServerReference,
            0x1F => Self::ReasonString,
            0x21 => Self::ReceiveMaximum,
            0x22 => Self::TopicAliasMaximum,
            0x23 => Self::TopicAlias,
            0x24 => Self::MaximumQos,
            0x25 => Self::RetainAvailable,
            0x26 => Self::User,
            0x27 => Self::MaximumPacketSize,
            0x28 => Self::WildcardSubscriptions,
            0x29 => Self::SubscriptionIdentifiers,
            0x2A => Self::SharedSubscriptions,
            _ => return None,
        })
    }

    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    pub(super) const fn shape(self) -> Shape {
        match self {
            Self::PayloadFormat
            | Self::RequestProblemInformation
            | Self::RequestResponseInformation
            | Self::MaximumQos
            | Self::RetainAvailable
            | Self::WildcardSubscriptions
            | Self::SubscriptionIdentifiers
            | Self::SharedSubscriptions => Shape::Byte,
            Self::ServerKeepAlive | Self::ReceiveMaximum | Self::TopicAliasMaximum | Self::TopicAlias => {
                Shape::TwoBytes
            }
            Self::MessageExpiry | Self::SessionExpiry | Self::WillDelay | Self::MaximumPacketSize => {
                Shape::FourBytes
            }
            Self::SubscriptionIdentifier => Shape::VariableByteInteger,
            Self::ContentType
            | Self::ResponseTopic
            | Self::CorrelationData
            | Self::AssignedClientIdentifier
            | Self::AuthenticationMethod
            | Self::AuthenticationData
            | Self::ResponseInformation
            | Self::ServerReference
            | Self::ReasonString => Shape::Field,
            Self::User => Shape::Pair,
        }
    }

    /// The words of the standard.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PayloadFormat => "payload format indicator",
            Self::MessageExpiry => "message expiry interval",
            Self::ContentType => "content type",
            Self::ResponseTopic => "response topic",
            Self::CorrelationData => "correlation data",
            Self::SubscriptionIdentifier => "subscription identifier",
            Self::SessionExpiry => "session expiry interval",
            Self::AssignedClientIdentifier => "assigned client identifier",
            Self::ServerKeepAlive => "server keep alive",
            Self::AuthenticationMethod => "authentication method",
            Self::AuthenticationData => "authentication data",
            Self::RequestProblemInformation => "request problem information",
            Self::WillDelay => "will delay interval",
            Self::RequestResponseInformation => "request response information",
            Self::ResponseInformation => "response information",
            Self::ServerReference => "server reference",
            Self::ReasonString => "reason string",
            Self::ReceiveMaximum => "receive maximum",
            Self::TopicAliasMaximum => "topic alias maximum",
            Self::TopicAlias => "topic alias",
            Self::MaximumQos => "maximum QoS",
            Self::RetainAvailable => "retain available",
            Self::User => "user property",
            Self::MaximumPacketSize => "maximum packet size",
            Self::WildcardSubscriptions => "wildcard subscription available",
            Self::SubscriptionIdentifiers => "subscription identifiers available",
            Self::SharedSubscriptions => "shared subscription available",
        }
    }

    /// Goes past the value; `None` if the bytes end inside it.
    pub(super) fn skip(self, reader: &mut Reader<'_>) -> Option<()> {
        match self.shape() {
            Shape::Byte => reader.u8().map(drop),
            Shape::TwoBytes => reader.u16().map(drop),
            Shape::FourBytes => reader.u32().map(drop),
            Shape::VariableByteInteger => reader.variable().ok().flatten().map(drop),
            Shape::Field => reader.field().map(drop),
            Shape::Pair => reader.field().and(reader.field()).map(drop),
        }
    }
}
