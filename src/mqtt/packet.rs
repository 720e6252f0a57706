//! The control packets as values that borrow from the bytes they were read from.
//!
//! Not here: how they are read (`decode`) and written (`encode`).

use std::num::NonZeroU16;

mod connect;
mod farewell;
mod publish;
mod subscribe;

pub use connect::{ConnAck, ConnAckProperties, Connect, ConnectProperties, Will};
pub use farewell::{Auth, Disconnect};
pub use publish::{PubAck, Publish, PublishProperties};
pub use subscribe::{
    FilterRequest, FilterRequests, Filters, RetainHandling, SubAck, Subscribe, UnsubAck, Unsubscribe,
};

/// Which protocol a connection speaks; its first packet decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// MQTT 3.1.1, protocol level 4.
    #[default]
    V311,
    /// MQTT 5, protocol level 5.
    V5,
}

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

/// Any control packet that can appear on a connection without QoS 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Client: the first packet.
    Connect(Connect<'a>),
    /// Server: the answer to it.
    ConnAck(ConnAck<'a>),
    /// Both: a message.
    Publish(Publish<'a>),
    /// Both: a QoS 1 message has been taken over.
    PubAck(PubAck<'a>),
    /// Client: wishes to receive.
    Subscribe(Subscribe<'a>),
    /// Server: the answer to it.
    SubAck(SubAck<'a>),
    /// Client: no longer wishes to receive.
    Unsubscribe(Unsubscribe<'a>),
    /// Server: the answer to it.
    UnsubAck(UnsubAck<'a>),
    /// Client: are you there?
    PingReq,
    /// Server: yes.
    PingResp,
    /// Client, in MQTT 5 both: goodbye.
    Disconnect(Disconnect<'a>),
    /// Both, MQTT 5 only: a step of extended authentication.
    Auth(Auth<'a>),
}

impl Packet<'_> {
    /// The packet's name in the standard.
    pub const fn name(&self) -> &'static str {
        match self {
            Packet::Connect(_) => "CONNECT",
            Packet::ConnAck(_) => "CONNACK",
            Packet::Publish(_) => "PUBLISH",
            Packet::PubAck(_) => "PUBACK",
            Packet::Subscribe(_) => "SUBSCRIBE",
            Packet::SubAck(_) => "SUBACK",
            Packet::Unsubscribe(_) => "UNSUBSCRIBE",
            Packet::UnsubAck(_) => "UNSUBACK",
            Packet::PingReq => "PINGREQ",
            Packet::PingResp => "PINGRESP",
            Packet::Disconnect(_) => "DISCONNECT",
            Packet::Auth(_) => "AUTH",
        }
    }
}
