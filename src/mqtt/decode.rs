//! Bytes to packets, strictly: whatever the standard says must be refused is refused, as soon as the
//! bytes that show it are there.
//!
//! Lengths that are legal but not minimal are read (3.1.1 does not forbid them). Not here: what only the
//! state of a connection can tell, such as a second CONNECT.

use super::filter::{filter_is_valid, topic_is_valid};
use super::packet::{
    ConnAck, Connect, Disconnect, Packet, PacketId, PubAck, Publish, QoS, SubAck, Subscribe, UnsubAck,
    Unsubscribe, Version, Will,
};
use super::reader::{Reader, variable};
use super::reason::ReasonCode;
use super::user::UserProperties;
use super::violation::{PacketKind, Violation};

/// Who sent the bytes; some packets only one side may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The side that connected.
    Client,
    /// The side that listens.
    Server,
}

/// Reads the packet at the front of `bytes`: it and how many bytes it took, or `None` if it is not
/// complete yet. A CONNECT is read by the protocol level it names, whatever `version` says. `max_packet`
/// bounds the whole packet in bytes, header included.
pub fn decode(
    bytes: &[u8],
    sender: Sender,
    version: Version,
    max_packet: usize,
) -> Result<Option<(Packet<'_>, usize)>, Violation> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let kind = kind_from(*first, sender)?;
    let Some((remaining, length_bytes)) = remaining_length(rest)? else { return Ok(None) };
    let header = 1 + length_bytes;
    let size = header + remaining;
    if let Some(expected) = fixed_length(kind).filter(|expected| *expected != remaining) {
        return Err(Violation::Length { packet: kind, found: remaining, expected });
    }
    if size > max_packet {
        return Err(Violation::TooLarge { packet: kind, size, max: max_packet });
    }
    let Some(body) = bytes.get(header..size) else { return Ok(None) };
    let packet = Body { kind, version, reader: Reader::new(body) }.packet(*first & 0x0f)?;
    Ok(Some((packet, size)))
}

/// How many bytes the packet at the front of `bytes` lacks at least; 1 while even that is not known.
pub(super) fn missing(bytes: &[u8]) -> usize {
    let header = bytes.split_first().and_then(|(_, rest)| remaining_length(rest).ok().flatten());
    header.map_or(1, |(remaining, length_bytes)| (1 + length_bytes + remaining).saturating_sub(bytes.len()))
}

/// The packet type and the check of the four flag bits beside it (table 2.2).
fn kind_from(first: u8, sender: Sender) -> Result<PacketKind, Violation> {
    let kind = match PacketKind::from_number(first >> 4) {
        Some(kind) if kind != PacketKind::Auth => kind,
        _ => return Err(Violation::ReservedKind(first >> 4)),
    };
    check_sender(kind, sender)?;
    let flags = first & 0x0f;
    let expected = match kind {
        PacketKind::Publish => return check_publish_flags(flags).map(|()| kind),
        PacketKind::Subscribe | PacketKind::Unsubscribe => 0b0010,
        _ => 0,
    };
    if flags == expected { Ok(kind) } else { Err(Violation::Flags { packet: kind, found: flags, expected }) }
}

fn check_sender(packet: PacketKind, sender: Sender) -> Result<(), Violation> {
    use PacketKind as Kind;
    match (packet, sender) {
        (Kind::Publish | Kind::PubAck, _)
        | (
            Kind::Connect | Kind::Subscribe | Kind::Unsubscribe | Kind::PingReq | Kind::Disconnect,
            Sender::Client,
        )
        | (Kind::ConnAck | Kind::SubAck | Kind::UnsubAck | Kind::PingResp, Sender::Server) => Ok(()),
        (Kind::PubRec | Kind::PubRel | Kind::PubComp, _) => Err(Violation::QosTwo(packet)),
        (_, Sender::Client) => Err(Violation::WrongSender { packet, sender: "client" }),
        (_, Sender::Server) => Err(Violation::WrongSender { packet, sender: "server" }),
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

/// The remaining length and how many bytes it took (section 2.2.3); `None` if it is not complete.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
    let length = variable(bytes).map_err(|_| Violation::RemainingLength)?;
    Ok(length.map(|(value, bytes)| (value as usize, bytes)))
}

/// The remaining length of the packets that have only one.
fn fixed_length(kind: PacketKind) -> Option<usize> {
    match kind {
        PacketKind::PingReq | PacketKind::PingResp | PacketKind::Disconnect => Some(0),
        PacketKind::ConnAck | PacketKind::PubAck | PacketKind::UnsubAck => Some(2),
        _ => None,
    }
}

/// The body of one complete packet on its way to becoming values.
struct Body<'a> {
    kind: PacketKind,
    version: Version,
    reader: Reader<'a>,
}

impl<'a> Body<'a> {
    fn packet(mut self, flags: u8) -> Result<Packet<'a>, Violation> {
        match self.kind {
            PacketKind::Publish => self.publish(flags).map(Packet::Publish),
            PacketKind::PubAck => self.packet_id().map(|id| Packet::PubAck(PubAck::new(id))),
            PacketKind::Connect => self.connect().map(Packet::Connect),
            PacketKind::ConnAck => self.connack(),
            PacketKind::Subscribe => self.subscribe().map(Packet::Subscribe),
            PacketKind::SubAck => self.suback(),
            PacketKind::Unsubscribe => self.unsubscribe().map(Packet::Unsubscribe),
            PacketKind::UnsubAck => self.packet_id().map(|id| Packet::UnsubAck(UnsubAck::new(id, &[]))),
            PacketKind::PingReq => Ok(Packet::PingReq),
            PacketKind::PingResp => Ok(Packet::PingResp),
            PacketKind::Disconnect => Ok(Packet::Disconnect(Disconnect::default())),
            PacketKind::Auth => Err(Violation::ReservedKind(15)),
            PacketKind::PubRec | PacketKind::PubRel | PacketKind::PubComp => {
                Err(Violation::QosTwo(self.kind))
            }
        }
    }

    fn publish(mut self, flags: u8) -> Result<Publish<'a>, Violation> {
        let topic = self.topic("topic name")?;
        let (qos, id) = if flags & 0b0110 == 0 {
            (QoS::AtMostOnce, None)
        } else {
            (QoS::AtLeastOnce, Some(self.packet_id()?))
        };
        let (dup, retain) = (flags & 0b1000 != 0, flags & 0b0001 != 0);
        Ok(Publish { qos, id, dup, retain, ..Publish::new(topic, self.reader.rest()) })
    }

    fn connect(mut self) -> Result<Connect<'a>, Violation> {
        self.protocol()?;
        let flags = ConnectFlags::from(self.u8("connect flags")?)?;
        let keep_alive_s = self.u16("keep alive")?;
        let client_id = self.text("client identifier")?;
        let will = flags.will.map(|(qos, retain)| self.will(qos, retain)).transpose()?;
        let username = flags.username.then(|| self.text("user name")).transpose()?;
        let password = flags.password.then(|| self.field("password")).transpose()?;
        self.end()?;
        let clean_start = flags.clean_start;
        let plain = Connect::new(Version::V311, client_id);
        Ok(Connect { clean_start, keep_alive_s, username, password, will, ..plain })
    }

    /// The protocol name and level. They come before everything else, so that a client of another
    /// version is told so whatever follows in its CONNECT.
    fn protocol(&mut self) -> Result<(), Violation> {
        let name = self.field("protocol name")?;
        let level = self.u8("protocol level")?;
        match (name, level) {
            (b"MQTT", 4) => Ok(()),
            // MQTT 3.1, level 3, had a longer name.
            (b"MQTT" | b"MQIsdp", level) => Err(Violation::UnsupportedLevel(level)),
            _ => Err(Violation::ProtocolName),
        }
    }

    fn will(&mut self, qos: QoS, retain: bool) -> Result<Will<'a>, Violation> {
        let topic = self.topic("will topic")?;
        Ok(Will { qos, retain, ..Will::new(topic, self.field("will message")?) })
    }

    fn connack(mut self) -> Result<Packet<'a>, Violation> {
        let flags = self.u8("connect acknowledge flags")?;
        let code = self.u8("return code")?;
        let reason = ReasonCode::from_return_code(code).ok_or(Violation::ConnAckCode(code))?;
        let plain = ConnAck::new(reason);
        match flags {
            0 => Ok(Packet::ConnAck(plain)),
            1 if reason == ReasonCode::Success => {
                Ok(Packet::ConnAck(ConnAck { session_present: true, ..plain }))
            }
            1 => Err(Violation::SessionPresentRefused),
            _ => Err(Violation::ConnAckFlags(flags)),
        }
    }

    fn subscribe(mut self) -> Result<Subscribe<'a>, Violation> {
        let id = self.packet_id()?;
        let requests = self.reader.rest();
        self.filters(|body| match body.u8("requested QoS")? {
            0..=2 => Ok(()),
            qos => Err(Violation::RequestedQos(qos)),
        })?;
        let (user, version) = (UserProperties::NONE, self.version);
        Ok(Subscribe { id, subscription_id: None, user, requests, version })
    }

    fn suback(mut self) -> Result<Packet<'a>, Violation> {
        let id = self.packet_id()?;
        let codes = self.reader.rest();
        if codes.is_empty() {
            return Err(Violation::Truncated { packet: self.kind, field: "return codes" });
        }
        match codes.iter().find(|code| !matches!(code, 0..=2 | 0x80)) {
            Some(code) => Err(Violation::SubAckCode(*code)),
            None => Ok(Packet::SubAck(SubAck::new(id, codes))),
        }
    }

    fn unsubscribe(mut self) -> Result<Unsubscribe<'a>, Violation> {
        let id = self.packet_id()?;
        let filters = self.reader.rest();
        self.filters(|_| Ok(()))?;
        Ok(Unsubscribe { id, user: UserProperties::NONE, filters })
    }

    /// Checks all filters to the end of the body, each followed by what `then` reads.
    fn filters(&mut self, mut then: impl FnMut(&mut Self) -> Result<(), Violation>) -> Result<(), Violation> {
        if self.reader.is_empty() {
            return Err(Violation::NoFilter(self.kind));
        }
        while !self.reader.is_empty() {
            let field = "topic filter";
            filter_is_valid(self.utf8(field)?).map_err(|error| Violation::Topic { field, error })?;
            then(self)?;
        }
        Ok(())
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

    /// A string of any characters but U+0000 (section 1.5.3).
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

/// The connect flags (section 3.1.2.3), checked against each other.
struct ConnectFlags {
    clean_start: bool,
    username: bool,
    password: bool,
    /// QoS and retain of the will, if there is one.
    will: Option<(QoS, bool)>,
}

impl ConnectFlags {
    fn from(flags: u8) -> Result<Self, Violation> {
        let has = |bit: u8| flags & (1 << bit) != 0;
        let (will, will_qos, will_retain) = (has(2), (flags >> 3) & 0b11, has(5));
        let (password, username) = (has(6), has(7));
        let will = match (will, will_qos, will_retain) {
            _ if has(0) => return Err(Violation::ConnectReserved),
            (false, 0, false) => None,
            (false, 0, true) => return Err(Violation::WillRetainWithoutWill),
            (false, ..) => return Err(Violation::WillQosWithoutWill),
            (true, 0, retain) => Some((QoS::AtMostOnce, retain)),
            (true, 1, retain) => Some((QoS::AtLeastOnce, retain)),
            (true, 2, _) => return Err(Violation::QosTwo(PacketKind::Connect)),
            (true, ..) => return Err(Violation::WillQosThree),
        };
        if password && !username {
            return Err(Violation::PasswordWithoutUsername);
        }
        Ok(Self { clean_start: has(1), username, password, will })
    }
}

#[cfg(test)]
mod tests;
