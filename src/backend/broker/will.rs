//! The message a client leaves for the case that it goes without a word (3.1.2.5), while it waits.
//!
//! A will of MQTT 5 may be delayed (3.1.3.2.2): it outlives its connection, but not its session. Not here:
//! when it falls due (`Broker`).

use std::sync::Arc;

use super::message::read_again;
use crate::mqtt::{PacketId, Publish, QoS, Version, Will, encode};

/// A will as its connection or its session keeps it: encoded, in one allocation of its exact size.
#[derive(Debug)]
pub(super) struct OwnWill {
    /// A PUBLISH of MQTT 5 with QoS 0.
    packet: Box<[u8]>,
    qos: QoS,
    /// How long after the connection; 0 is at once.
    pub(super) delay_s: u32,
}

/// A will whose time has come.
#[derive(Debug)]
pub(super) struct DueWill {
    pub(super) from: Arc<str>,
    pub(super) will: OwnWill,
}

impl OwnWill {
    /// `None` if the message fits no packet; it came in one, so that does not happen.
    pub(super) fn new(will: &Will<'_>) -> Option<Self> {
        let mut packet = Vec::new();
        let mut publish = Publish::new(will.topic, will.payload);
        (publish.retain, publish.properties) = (will.retain, will.properties);
        encode::publish(&mut packet, Version::V5, &publish).ok()?;
        Some(Self { packet: packet.into_boxed_slice(), qos: will.qos, delay_s: will.delay_s })
    }

    /// The message, as if the client had sent it now. With QoS 1 it carries the identifier 1: it was
    /// never on the wire.
    pub(super) fn publish(&self) -> Option<Publish<'_>> {
        let publish = read_again(&self.packet)?;
        let id = (self.qos == QoS::AtLeastOnce).then_some(PacketId::FIRST);
        Some(Publish { qos: self.qos, id, ..publish })
    }

    /// Memory of it.
    pub(super) fn bytes(&self) -> usize {
        self.packet.len()
    }
}
