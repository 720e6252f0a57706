//! What a peer can do wrong on the wire, each with the sentence of the standard that forbids it.
//!
//! The answer to every one of them is to close the connection ([MQTT-4.8.0-1]); only an unsupported
//! protocol level earns a last word ([MQTT-3.1.2-2]).

use super::filter::TopicError;
use super::reason::ReasonCode;

/// The control packet types (table 2.1), numbered as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "named as in the standard's table")]
pub enum PacketKind {
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketKind {
    /// The type with this number; 0 is reserved, in 3.1.1 also 15.
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Connect,
            2 => Self::ConnAck,
            3 => Self::Publish,
            4 => Self::PubAck,
            5 => Self::PubRec,
            6 => Self::PubRel,
            7 => Self::PubComp,
            8 => Self::Subscribe,
            9 => Self::SubAck,
            10 => Self::Unsubscribe,
            11 => Self::UnsubAck,
            12 => Self::PingReq,
            13 => Self::PingResp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The type's name in the standard.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }
}

impl std::fmt::Display for PacketKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why the bytes of a peer are not a packet it may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Type 0 or 15.
    #[error("[MQTT 2.2.1] packet type {0} is reserved")]
    ReservedKind(u8),
    /// A server's packet from a client, or the other way round.
    #[error("[MQTT 2.2.1] a {sender} may not send {packet}")]
    WrongSender {
        /// What came.
        packet: PacketKind,
        /// Who sent it.
        sender: &'static str,
    },
    /// The low four bits of the first byte.
    #[error("[MQTT-2.2.2-2] {packet} flags are {found:#06b}, must be {expected:#06b}")]
    Flags {
        /// What came.
        packet: PacketKind,
        /// Its flags.
        found: u8,
        /// The only flags it may have.
        expected: u8,
    },
    /// QoS bits 10, a will with QoS 2, or a packet of the QoS 2 exchange.
    #[error("{0} asks for QoS 2, which is not offered")]
    QosTwo(PacketKind),
    /// QoS bits 11.
    #[error("[MQTT-3.3.1-4] PUBLISH has both QoS bits set")]
    QosThree,
    /// DUP on a message that is never redelivered.
    #[error("[MQTT-3.3.1-2] PUBLISH with QoS 0 has the DUP flag set")]
    DupAtMostOnce,
    /// More than four length bytes.
    #[error("[MQTT 2.2.3] remaining length goes on after its fourth byte")]
    RemainingLength,
    /// Larger than this end takes.
    #[error("{packet} of {size} bytes, at most {max} are taken")]
    TooLarge {
        /// What came.
        packet: PacketKind,
        /// Its size, header included.
        size: usize,
        /// The bound of this end.
        max: usize,
    },
    /// Something before the CONNECT; only the server can tell.
    #[error("[MQTT-3.1.0-1] first packet is not a CONNECT")]
    NotConnected,
    /// A CONNECT on a connection that stands; only the server can tell.
    #[error("[MQTT-3.1.0-2] second CONNECT on one connection")]
    SecondConnect,
    /// A topic alias above what the server announced; only the server can tell.
    #[error("[MQTT-5 MQTT-3.3.2-9] topic alias {found} is above the maximum of {max}")]
    TopicAliasTooLarge {
        /// The alias.
        found: u16,
        /// The announced maximum.
        max: u16,
    },
    /// An alias without a topic that was never set to one; only the server can tell.
    #[error("[MQTT-5 3.3.2.3.4] topic alias {0} stands for no topic")]
    UnknownTopicAlias(u16),
    /// A SUBSCRIBE with an identifier, which the CONNACK said is not offered; only the server can tell.
    #[error("[MQTT-5 3.2.2.3.12] subscription identifiers are not offered")]
    SubscriptionIdentifier,
    /// A session that was to end with its connection is to outlive it after all; only the server can tell.
    #[error("[MQTT-5 3.14.2.2.2] DISCONNECT sets a session expiry that the CONNECT did not")]
    SessionExpiryRaised,
    /// AUTH without an exchange that goes on; only the server can tell.
    #[error("[MQTT-5 MQTT-4.12.0-6] AUTH without an authentication method in the CONNECT")]
    UnexpectedAuth,
    /// A packet of fixed length has another one.
    #[error("[MQTT 2.2.3] {packet} has remaining length {found}, must be {expected}")]
    Length {
        /// What came.
        packet: PacketKind,
        /// Its remaining length.
        found: usize,
        /// The only one it may have.
        expected: usize,
    },
    /// The body ends inside a field.
    #[error("{packet} ends inside its {field}")]
    Truncated {
        /// What came.
        packet: PacketKind,
        /// What it ends in.
        field: &'static str,
    },
    /// The body goes on behind its last field.
    #[error("{packet} has {count} bytes after its last field")]
    Trailing {
        /// What came.
        packet: PacketKind,
        /// How many.
        count: usize,
    },
    /// Not UTF-8, surrogates included.
    #[error("[MQTT-1.5.3-1] {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// U+0000 in a string.
    #[error("[MQTT-1.5.3-2] {0} contains U+0000")]
    Nul(&'static str),
    /// Packet identifier 0.
    #[error("[MQTT-2.3.1-1] {0} has packet identifier 0")]
    ZeroPacketId(PacketKind),
    /// Not "MQTT".
    #[error("[MQTT-3.1.2-1] protocol name is not \"MQTT\"")]
    ProtocolName,
    /// A protocol level that is not spoken here; the server says so before it closes.
    #[error("[MQTT-3.1.2-2] protocol level {0} is not supported, only 4 (MQTT 3.1.1) and 5")]
    UnsupportedLevel(u8),
    /// Bit 0 of the connect flags.
    #[error("[MQTT-3.1.2-3] CONNECT has its reserved flag set")]
    ConnectReserved,
    /// Will QoS without a will.
    #[error("[MQTT-3.1.2-13] CONNECT has a will QoS but no will")]
    WillQosWithoutWill,
    /// Will QoS 3.
    #[error("[MQTT-3.1.2-14] CONNECT has will QoS 3")]
    WillQosThree,
    /// Will retain without a will.
    #[error("[MQTT-3.1.2-15] CONNECT has will retain but no will")]
    WillRetainWithoutWill,
    /// Password without user name.
    #[error("[MQTT-3.1.2-22] CONNECT has a password but no user name")]
    PasswordWithoutUsername,
    /// A topic name that is not one.
    #[error("{field}: {error}")]
    Topic {
        /// Where it stands.
        field: &'static str,
        /// What is wrong with it.
        error: TopicError,
    },
    /// SUBSCRIBE or UNSUBSCRIBE without a filter.
    #[error("[MQTT-3.8.3-3] [MQTT-3.10.3-2] {0} has no topic filter")]
    NoFilter(PacketKind),
    /// A requested QoS byte above 2.
    #[error("[MQTT-3-8.3-4] SUBSCRIBE asks for QoS byte {0:#04x}, must be 0, 1 or 2")]
    RequestedQos(u8),
    /// Reserved bits of the CONNACK flags.
    #[error("[MQTT 3.2.2.1] CONNACK flags are {0:#04x}, must be 0 or 1")]
    ConnAckFlags(u8),
    /// A reserved return code.
    #[error("[MQTT 3.2.2.3] CONNACK return code {0} is reserved")]
    ConnAckCode(u8),
    /// A refused connection with a session.
    #[error("[MQTT-3.2.2-4] CONNACK refuses and yet says that a session is present")]
    SessionPresentRefused,
    /// A reserved return code.
    #[error("[MQTT-3.9.3-2] SUBACK return code {0:#04x} is reserved")]
    SubAckCode(u8),
    /// A variable byte integer of more than four bytes.
    #[error("[MQTT-5 1.5.5] {0} goes on after its fourth byte")]
    UnendedInteger(&'static str),
    /// A variable byte integer of more bytes than it needs; 3.1.1 reads it.
    #[error("[MQTT-1.5.5-1] {0} has more bytes than its value needs")]
    OverlongInteger(&'static str),
    /// A property that does not exist.
    #[error("[MQTT-5 2.2.2.2] property {0:#04x} does not exist")]
    UnknownProperty(u32),
    /// A property in a packet that has no such one.
    #[error("[MQTT-5 2.2.2.2] {place} has no {property}")]
    PropertyNotAllowed {
        /// The packet, or its will.
        place: &'static str,
        /// The property.
        property: &'static str,
    },
    /// A property that the other end may send and this one may not.
    #[error("[MQTT-3.3.4-6] [MQTT-3.14.2-2] a {sender} may not send {property} in a {packet}")]
    PropertySender {
        /// What came.
        packet: PacketKind,
        /// Who sent it.
        sender: &'static str,
        /// The property.
        property: &'static str,
    },
    /// A property that may come once.
    #[error("[MQTT-5 2.2.2.2] {place} has its {property} twice")]
    PropertyTwice {
        /// The packet, or its will.
        place: &'static str,
        /// The property.
        property: &'static str,
    },
    /// A property with a value outside its range.
    #[error("[MQTT-5 2.2.2.2] {property} is {value}, which is out of its range")]
    PropertyValue {
        /// The property.
        property: &'static str,
        /// What it says.
        value: u32,
    },
    /// Topic alias 0.
    #[error("[MQTT-3.3.2-8] topic alias is 0")]
    ZeroTopicAlias,
    /// Neither topic name nor topic alias.
    #[error("[MQTT-5 3.3.2.1] PUBLISH has neither a topic name nor a topic alias")]
    NoTopic,
    /// Authentication data of no method, or an AUTH without one.
    #[error("[MQTT-5 3.1.2.11.10] [MQTT-5 3.15.2.2.2] {0} has no authentication method")]
    AuthenticationMethod(PacketKind),
    /// A reason code that this packet cannot have, or not from this end.
    #[error("[MQTT-5 2.4] a {sender} may not send reason code {code:#04x} in a {packet}")]
    Reason {
        /// What came.
        packet: PacketKind,
        /// Who sent it.
        sender: &'static str,
        /// The reason code.
        code: u8,
    },
    /// Bits 6 and 7 of the subscription options.
    #[error("[MQTT-3.8.3-5] SUBSCRIBE has reserved bits set in its options {0:#010b}")]
    SubscribeReserved(u8),
    /// Retain handling 3.
    #[error("[MQTT-5 3.8.3.1] SUBSCRIBE has retain handling 3 in its options {0:#010b}")]
    RetainHandling(u8),
    /// No local on a shared subscription.
    #[error("[MQTT-3.8.3-4] SUBSCRIBE asks for no local on a shared subscription")]
    SharedNoLocal,
    /// Bytes given as user properties that are something else.
    #[error("[MQTT-5 2.2.2.2] not a block of user properties")]
    UserProperties,
}

impl Violation {
    /// What an end of MQTT 5 says in its last word: a DISCONNECT, or before the session a CONNACK.
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::ReservedKind(_)
            | Self::Flags { .. }
            | Self::QosThree
            | Self::RemainingLength
            | Self::Length { .. }
            | Self::Truncated { .. }
            | Self::Trailing { .. }
            | Self::NotUtf8(_)
            | Self::Nul(_)
            | Self::ConnectReserved
            | Self::WillQosWithoutWill
            | Self::WillQosThree
            | Self::WillRetainWithoutWill
            | Self::PasswordWithoutUsername
            | Self::Topic { error: TopicError::Nul | TopicError::TooLong, .. }
            | Self::ConnAckFlags(_)
            | Self::UserProperties
            | Self::UnendedInteger(_)
            | Self::OverlongInteger(_)
            | Self::UnknownProperty(_)
            | Self::PropertyNotAllowed { .. }
            | Self::SubscribeReserved(_)
            | Self::DupAtMostOnce => ReasonCode::MalformedPacket,
            Self::WrongSender { .. }
            | Self::UnknownTopicAlias(_)
            | Self::SessionExpiryRaised
            | Self::UnexpectedAuth
            | Self::NotConnected
            | Self::SecondConnect
            | Self::ZeroPacketId(_)
            | Self::Topic { error: TopicError::Empty, .. }
            | Self::NoFilter(_)
            | Self::ConnAckCode(_)
            | Self::SessionPresentRefused
            | Self::SubAckCode(_)
            | Self::RequestedQos(_)
            | Self::PropertySender { .. }
            | Self::PropertyTwice { .. }
            | Self::PropertyValue { .. }
            | Self::NoTopic
            | Self::AuthenticationMethod(_)
            | Self::Reason { .. }
            | Self::RetainHandling(_)
            | Self::SharedNoLocal => ReasonCode::ProtocolError,
            Self::ProtocolName | Self::UnsupportedLevel(_) => ReasonCode::UnsupportedProtocolVersion,
            Self::QosTwo(_) => ReasonCode::QosNotSupported,
            Self::TooLarge { .. } => ReasonCode::PacketTooLarge,
            Self::SubscriptionIdentifier => ReasonCode::SubscriptionIdentifiersNotSupported,
            Self::Topic { error: TopicError::Wildcard, .. } => ReasonCode::TopicNameInvalid,
            Self::ZeroTopicAlias | Self::TopicAliasTooLarge { .. } => ReasonCode::TopicAliasInvalid,
            Self::Topic {
                error:
                    TopicError::MisplacedHash
                    | TopicError::MisplacedPlus
                    | TopicError::EmptyShareName
                    | TopicError::ShareNameWildcard
                    | TopicError::NoSharedFilter,
                ..
            } => ReasonCode::TopicFilterInvalid,
        }
    }
}
