//! Bytes to packets, strictly: whatever the standard says must be refused is refused, as soon as the
//! bytes that show it are there.
//!
//! Lengths that are legal but not minimal are read in 3.1.1, which does not forbid them, and refused in MQTT 5.
//! Not here: what only the state of a connection can tell, such as a second CONNECT.

use std::num::NonZeroU16;

use super::filter::{TopicError, topic_is_valid};
use super::packet::{Packet, PacketId, Publish, PublishProperties, QoS, Version};
use super::property::Property;
use super::reader::{Reader, is_overlong, variable};
use super::violation::{PacketKind, Violation};

mod connect;
mod farewell;
mod properties;
mod reasons;
mod subscribe;

pub(super) use reasons::may_carry;

/// Who sent the bytes; some packets only one side may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The side that connected.
    Client,
    /// The side that listens.
    Server,
}

impl Sender {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// A packet and how many bytes it took, or nothing yet.
type Decoded<'a> = Result<Option<(Packet<'a>, usize)>, Violation>;

/// Reads the packet at the front of `bytes`: it and how many bytes it took, or `None` if it is not
/// complete yet. A CONNECT is read by the protocol level it names, whatever `version` says. `max_packet`
/// bounds the whole packet in bytes, header included.
pub fn decode(bytes: &[u8], sender: Sender, version: Version, max_packet: usize) -> Decoded<'_> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let kind = kind_from(*first, sender, version)?;
    let Some((remaining, length_bytes)) = variable(rest).map_err(|_| Violation::RemainingLength)? else {
        return Ok(None);
    };
    let overlong = is_overlong(remaining, length_bytes);
    if overlong && version == Version::V5 && kind != PacketKind::Connect {
        return Err(Violation::OverlongInteger("remaining length"));
    }
    let (remaining, header) = (remaining as usize, 1 + length_bytes);
    let size = header + remaining;
    if let Some(expected) = fixed_length(kind, version).filter(|expected| *expected != remaining) {
        return Err(Violation::Length { packet: kind, found: remaining, expected });
    }
    if size > max_packet {
        return Err(Violation::TooLarge { packet: kind, size, max: max_packet });
    }
    let Some(body) = bytes.get(header..size) else { return Ok(None) };
    let body = Body { kind, sender, version, overlong, reader: Reader::new(body) };
    body.packet(*first & 0x0f, size)
}

/// How many bytes the packet at the front of `bytes` lacks at least; 1 while even that is not known.
pub(super) fn missing(bytes: &[u8]) -> usize {
    let header = bytes.split_first().and_then(|(_, rest)| variable(rest).ok().flatten());
    header.map_or(1, |(remaining, length_bytes)| {
        (1 + length_bytes + remaining as usize).saturating_sub(bytes.len())
    })
}

/// The packet type and the check of the four flag bits beside it (3.1.1, table 2.2; MQTT 5, 2.1.3).
fn kind_from(first: u8, sender: Sender, version: Version) -> Result<PacketKind, Violation> {
    // First, as it is what comes all the time; both ends may send it in both versions.
    if first >> 4 == PacketKind::Publish as u8 {
        return check_publish_flags(first & 0x0f).map(|()| PacketKind::Publish);
    }
    let kind = match PacketKind::from_number(first >> 4) {
        Some(PacketKind::Auth) if version == Version::V311 => None,
        kind => kind,
    };
    let kind = kind.ok_or(Violation::ReservedKind(first >> 4))?;
    check_sender(kind, sender, version)?;
    let flags = first & 0x0f;
    let expected = match kind {
        PacketKind::Subscribe | PacketKind::Unsubscribe => 0b0010,
        _ => 0,
    };
    if flags == expected { Ok(kind) } else { Err(Violation::Flags { packet: kind, found: flags, expected }) }
}

fn check_sender(packet: PacketKind, sender: Sender, version: Version) -> Result<(), Violation> {
    use PacketKind as Kind;
    match (packet, sender) {
        (Kind::Publish | Kind::PubAck | Kind::Auth, _)
        | (
            Kind::Connect | Kind::Subscribe | Kind::Unsubscribe | Kind::PingReq | Kind::Disconnect,
            Sender::Client,
        )
        | (Kind::ConnAck | Kind::SubAck | Kind::UnsubAck | Kind::PingResp, Sender::Server) => Ok(()),
        (Kind::Disconnect, Sender::Server) if version == Version::V5 => Ok(()),
        (Kind::PubRec | Kind::PubRel | Kind::PubComp, _) => Err(Violation::QosTwo(packet)),
        _ => Err(Violation::WrongSender { packet, sender: sender.name() }),
    }
}

fn check_publish_flags(flags: u8) -> Result<(), Violation> {
    match (flags & 0b0110, flags & 0b1000) {
        (0b0110, _) => Err(Violation::QosThree),
        (0b0100, _) => Err(Violation::QosTwo(PacketKind::Publish)),
        (0b0000, 0b1000) => Err(Violation::DupAtMostOnce),
        _ => Ok(()),
    }
}

/// The remaining length of the packets that have only one.
fn fixed_length(kind: PacketKind, version: Version) -> Option<usize> {
    match (kind, version) {
        (PacketKind::PingReq | PacketKind::PingResp, _) | (PacketKind::Disconnect, Version::V311) => Some(0),
        (PacketKind::ConnAck | PacketKind::PubAck | PacketKind::UnsubAck, Version::V311) => Some(2),
        _ => None,
    }
}

/// The body of one complete packet on its way to becoming values.
struct Body<'a> {
    kind: PacketKind,
    sender: Sender,
    version: Version,
    /// Whether the remaining length had more bytes than it needs; MQTT 5 forbids it, and of a CONNECT only
    /// its body says which version it is.
    overlong: bool,
    reader: Reader<'a>,
}

impl<'a> Body<'a> {
    /// The packet and its `size`. Each is put together where it is returned: all are as large as the largest,
    /// and moving one that comes with every message costs a fifth of reading it.
    fn packet(self, flags: u8, size: usize) -> Decoded<'a> {
        match self.kind {
            PacketKind::Publish => self.publish(flags, size),
            PacketKind::PubAck => self.puback().map(|read| Some((Packet::PubAck(read), size))),
            PacketKind::PingReq => Ok(Some((Packet::PingReq, size))),
            PacketKind::PingResp => Ok(Some((Packet::PingResp, size))),
            _ => self.rare().map(|read| Some((read, size))),
        }
    }

    /// What does not come with every message.
    fn rare(self) -> Result<Packet<'a>, Violation> {
        match self.kind {
            PacketKind::Connect => self.connect().map(Packet::Connect),
            PacketKind::ConnAck => self.connack().map(Packet::ConnAck),
            PacketKind::Subscribe => self.subscribe().map(Packet::Subscribe),
            PacketKind::SubAck => self.suback().map(Packet::SubAck),
            PacketKind::Unsubscribe => self.unsubscribe().map(Packet::Unsubscribe),
            PacketKind::UnsubAck => self.unsuback().map(Packet::UnsubAck),
            PacketKind::Disconnect => self.disconnect().map(Packet::Disconnect),
            PacketKind::Auth => self.auth().map(Packet::Auth),
            kind => Err(Violation::QosTwo(kind)),
        }
    }

    fn publish(mut self, flags: u8, size: usize) -> Decoded<'a> {
        let field = "topic name";
        let topic = self.utf8(field)?;
        match topic_is_valid(topic) {
            Ok(()) => {}
            // A topic alias may stand for it (MQTT 5, 3.3.2.3.4).
            Err(TopicError::Empty) if self.version == Version::V5 => {}
            Err(error) => return Err(Violation::Topic { field, error }),
        }
        let (qos, id) = if flags & 0b0110 == 0 {
            (QoS::AtMostOnce, None)
        } else {
            (QoS::AtLeastOnce, Some(self.packet_id()?))
        };
        let (dup, retain) = (flags & 0b1000 != 0, flags & 0b0001 != 0);
        let none = PublishProperties::NONE;
        if self.version == Version::V311 || (!topic.is_empty() && self.reader.skip_zero()) {
            let payload = self.reader.rest();
            let publish = Publish { topic, payload, qos, id, dup, retain, properties: none };
            return Ok(Some((Packet::Publish(publish), size)));
        }
        let properties = self.publish_properties()?;
        if topic.is_empty() && properties.topic_alias.is_none() {
            return Err(Violation::NoTopic);
        }
        let payload = self.reader.rest();
        Ok(Some((Packet::Publish(Publish { topic, payload, qos, id, dup, retain, properties }), size)))
    }

    fn publish_properties(&mut self) -> Result<PublishProperties<'a>, Violation> {
        let mut block = self.properties()?;
        let mut read = PublishProperties::NONE;
        while let Some(property) = block.next()? {
            match property {
                Property::TopicAlias => {
                    let alias = NonZeroU16::new(block.u16(property)?);
                    read.topic_alias = Some(alias.ok_or(Violation::ZeroTopicAlias)?);
                }
                Property::SubscriptionIdentifier if self.sender == Sender::Client => {
                    return Err(self.property_of_other_end(property));
                }
                Property::SubscriptionIdentifier => drop(block.subscription_id()?),
                other => block.message(other, &mut read)?,
            }
        }
        read.user = block.user();
        Ok(read)
    }

    fn property_of_other_end(&self, property: Property) -> Violation {
        let (packet, sender) = (self.kind, self.sender.name());
        Violation::PropertySender { packet, sender, property: property.name() }
    }

    fn packet_id(&mut self) -> Result<PacketId, Violation> {
        let number = self.u16("packet identifier")?;
        PacketId::new(number).ok_or(Violation::ZeroPacketId(self.kind))
    }

    fn topic(&mut self, field: &'static str) -> Result<&'a str, Violation> {
        let topic = self.utf8(field)?;
        topic_is_valid(topic).map_err(|error| Violation::Topic { field, error })?;
        Ok(topic)
    }

    /// A string of any characters but U+0000 (3.1.1, 1.5.3; MQTT 5, 1.5.4). Control characters and
    /// non-characters are read: both standards only advise against sending them.
    fn text(&mut self, field: &'static str) -> Result<&'a str, Violation> {
        let text = self.utf8(field)?;
        if text.contains('\0') { Err(Violation::Nul(field)) } else { Ok(text) }
    }

    fn utf8(&mut self, field: &'static str) -> Result<&'a str, Violation> {
        std::str::from_utf8(self.field(field)?).map_err(|_| Violation::NotUtf8(field))
    }

    fn field(&mut self, field: &'static str) -> Result<&'a [u8], Violation> {
        self.reader.field().ok_or(Violation::Truncated { packet: self.kind, field })
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, Violation> {
        self.reader.u16().ok_or(Violation::Truncated { packet: self.kind, field })
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, Violation> {
        self.reader.u8().ok_or(Violation::Truncated { packet: self.kind, field })
    }

    fn end(self) -> Result<(), Violation> {
        match self.reader.rest().len() {
            0 => Ok(()),
            count => Err(Violation::Trailing { packet: self.kind, count }),
        }
    }
}

#[cfg(test)]
mod tests;
