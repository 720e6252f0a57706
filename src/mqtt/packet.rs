//! The control packets as values that borrow from the bytes they were read from.
//!
//! Not here: how they are read (`decode`) and written (`encode`).

use std::num::NonZeroU16;

use super::reader::Reader;

/// How often a message arrives. QoS 2 does not exist here (see the module's head).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: sent once, never acknowledged.
    AtMostOnce = 0,
    /// QoS 1: acknowledged with a PUBACK.
    AtLeastOnce = 1,
}

/// A packet identifier; zero is not one ([MQTT-2.3.1-1]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// The identifier 1.
    pub const FIRST: PacketId = PacketId(NonZeroU16::MIN);

    /// The identifier `number`, unless it is zero.
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number on the wire.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// The identifier after this one; after 65535 comes 1.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(number) => Self(number),
            None => Self::FIRST,
        }
    }
}

/// An application message on its way between a client and a server (section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The topic name: no wildcards, not empty.
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
}

/// The first packet of a client (section 3.1), protocol level 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The client identifier; may be empty if `clean_session`.
    pub client_id: &'a str,
    /// Whether the session begins and ends with this connection.
    pub clean_session: bool,
    /// The longest silence of the client in seconds; 0 switches the check off.
    pub keep_alive_s: u16,
    /// The user name, if given.
    pub username: Option<&'a str>,
    /// The password, if given; only with a user name ([MQTT-3.1.2-22]).
    pub password: Option<&'a [u8]>,
    /// What the server publishes if the connection ends without a DISCONNECT.
    pub will: Option<Will<'a>>,
}

/// The message a client leaves for the case that it goes without a word (section 3.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// The topic name.
    pub topic: &'a str,
    /// The message.
    pub payload: &'a [u8],
    /// The quality of service it is published with.
    pub qos: QoS,
    /// Whether it is published as a retained message.
    pub retain: bool,
}

/// The answer to a CONNECT (table 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ConnectCode {
    /// The connection stands.
    Accepted = 0,
    /// The server does not speak this protocol level.
    UnacceptableProtocol = 1,
    /// The client identifier is well-formed but not allowed.
    IdentifierRejected = 2,
    /// The MQTT service is not available.
    ServerUnavailable = 3,
    /// The user name or password is malformed.
    BadCredentials = 4,
    /// The client may not connect.
    NotAuthorized = 5,
}

impl ConnectCode {
    /// The code with the number `code`; 6 to 255 are reserved.
    pub const fn from_number(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Accepted,
            1 => Self::UnacceptableProtocol,
            2 => Self::IdentifierRejected,
            3 => Self::ServerUnavailable,
            4 => Self::BadCredentials,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }
}

/// A SUBSCRIBE (section 3.8): an identifier and at least one filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The identifier that the SUBACK repeats.
    pub id: PacketId,
    /// The payload, checked by `decode`.
    pub(super) requests: &'a [u8],
}

impl<'a> Subscribe<'a> {
    /// The filters with the QoS asked for, in the order of the packet. A filter that asks for QoS 2 shows
    /// as [`QoS::AtLeastOnce`], the most that can be granted.
    pub fn filters(&self) -> FilterRequests<'a> {
        FilterRequests(Reader::new(self.requests))
    }
}

/// The filters of a [`Subscribe`]. All of them are well-formed.
#[derive(Debug, Clone)]
pub struct FilterRequests<'a>(Reader<'a>);

impl<'a> Iterator for FilterRequests<'a> {
    type Item = (&'a str, QoS);

    fn next(&mut self) -> Option<Self::Item> {
        let filter = std::str::from_utf8(self.0.field()?).ok()?;
        let qos = if self.0.u8()? == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        Some((filter, qos))
    }
}

/// An UNSUBSCRIBE (section 3.10): an identifier and at least one filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// The identifier that the UNSUBACK repeats.
    pub id: PacketId,
    /// The payload, checked by `decode`.
    pub(super) filters: &'a [u8],
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

/// Any control packet that can appear on a connection without QoS 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Client: the first packet.
    Connect(Connect<'a>),
    /// Server: the answer to it.
    ConnAck {
        /// Whether the server had a session for this client; only with [`ConnectCode::Accepted`].
        session_present: bool,
        /// Yes, or why not.
        code: ConnectCode,
    },
    /// Both: a message.
    Publish(Publish<'a>),
    /// Both: a QoS 1 message has been taken over.
    PubAck(PacketId),
    /// Client: wishes to receive.
    Subscribe(Subscribe<'a>),
    /// Server: the answer to it.
    SubAck {
        /// The identifier of the SUBSCRIBE.
        id: PacketId,
        /// Per filter the granted QoS, 0 to 2, or 0x80 for a refusal.
        codes: &'a [u8],
    },
    /// Client: no longer wishes to receive.
    Unsubscribe(Unsubscribe<'a>),
    /// Server: the answer to it.
    UnsubAck(PacketId),
    /// Client: are you there?
    PingReq,
    /// Server: yes.
    PingResp,
    /// Client: goodbye; the will is forgotten.
    Disconnect,
}

impl Packet<'_> {
    /// The packet's name in the standard.
    pub const fn name(&self) -> &'static str {
        match self {
            Packet::Connect(_) => "CONNECT",
            Packet::ConnAck { .. } => "CONNACK",
            Packet::Publish(_) => "PUBLISH",
            Packet::PubAck(_) => "PUBACK",
            Packet::Subscribe(_) => "SUBSCRIBE",
            Packet::SubAck { .. } => "SUBACK",
            Packet::Unsubscribe(_) => "UNSUBSCRIBE",
            Packet::UnsubAck(_) => "UNSUBACK",
            Packet::PingReq => "PINGREQ",
            Packet::PingResp => "PINGRESP",
            Packet::Disconnect => "DISCONNECT",
        }
    }
}
