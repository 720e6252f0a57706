//! MQTT 3.1.1 and 5 as bytes and packets: a strict codec that borrows, topic filters, and buffered I/O that
//! holds nothing while a connection is idle.
//!
//! Written from the OASIS standards "MQTT Version 3.1.1" (29 October 2014) and "MQTT Version 5.0" (7 March
//! 2019); `[MQTT-x.y.z-n]` names their normative statements. One set of packets serves both: what only MQTT 5
//! says is absent in 3.1.1, and the return codes of 3.1.1 show as the reason codes that mean the same. Packets
//! point into the bytes they came from: a message costs no allocation until somebody keeps it. QoS 2 is not
//! offered, as AWS IoT Core does not offer it, and a server's subscription identifiers are not kept.
//!
//! The codec is our own rather than a layer over rumqttc's: that one lets through what the standard
//! refuses (wrong flags, identifier 0, reserved bits, wildcards in topic names) and misreads other protocol
//! levels, so strictness left only its arithmetic of lengths, and its owned packets cost a `String` and a
//! reference count per message. It is the second opinion in the tests instead (`agreement`), and
//! `benches/codec.rs` compares their cost.
//!
//! Not here: sessions, acknowledgements and time (the ends of a connection own those), and anything
//! about AWS IoT Commands.

mod decode;
pub mod encode;
mod filter;
mod packet;
mod property;
mod reader;
mod reason;
mod user;
mod violation;
mod wire;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod agreement_5;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod samples;

pub use decode::{Sender, decode};
pub use filter::{TopicError, filter_is_valid, levels_match, matches, split_shared, topic_is_valid};
pub use packet::{
    Auth, ConnAck, ConnAckProperties, Connect, ConnectProperties, Disconnect, FilterRequest, FilterRequests,
    Filters, Packet, PacketId, PubAck, Publish, PublishProperties, QoS, RetainHandling, SubAck, Subscribe,
    UnsubAck, Unsubscribe, Version, Will,
};
pub use reason::ReasonCode;
pub use user::{UserPairs, UserProperties};
pub use violation::{PacketKind, Violation};
pub use wire::{Inbound, InboundEnd, Outbound};
