//! PUBACK, SUBACK and UNSUBACK of both versions (sections 3.4, 3.9 and 3.11).

use super::*;
use crate::mqtt::{PubAck, SubAck, UnsubAck};
use PacketKind as Kind;
use ReasonCode::{MalformedPacket as Malformed, ProtocolError};

fn truncated(packet: PacketKind, field: &'static str) -> Violation {
    Violation::Truncated { packet, field }
}

#[test]
fn answers_of_3_1_1_are_read_as_drawn() {
    for sender in [Sender::Client, Sender::Server] {
        accepts(b"\x40\x02\x12\x34", sender, Packet::PubAck(PubAck::new(id(0x1234))));
        accepts(b"\x40\x02\0\x01", sender, Packet::PubAck(PubAck::new(id(1))));
        refuses(b"\x40\x02\0\0", sender, Violation::ZeroPacketId(Kind::PubAck));
    }
    let rows: &[(&[u8], Packet<'_>)] = &[
        (b"\x90\x03\0\x01\x01", Packet::SubAck(SubAck::new(id(1), &[1]))),
        (b"\x90\x06\0\x01\0\x01\x02\x80", Packet::SubAck(SubAck::new(id(1), &[0, 1, 2, 0x80]))),
        (b"\xb0\x02\xff\xff", Packet::UnsubAck(UnsubAck::new(id(65_535), &[]))),
    ];
    for (bytes, expected) in rows {
        accepts(bytes, Sender::Server, *expected);
    }
    let bad: &[(&[u8], Violation)] = &[
        (b"\x90\0", truncated(Kind::SubAck, "packet identifier")),
        (b"\x90\x02\0\x01", truncated(Kind::SubAck, "return codes")),
        (b"\x90\x03\0\0\0", Violation::ZeroPacketId(Kind::SubAck)),
        (b"\x90\x03\0\x01\x03", Violation::SubAckCode(3)),
        (b"\x90\x03\0\x01\x7f", Violation::SubAckCode(0x7f)),
        (b"\x90\x03\0\x01\x87", Violation::SubAckCode(0x87)),
        (b"\x90\x05\0\x01\0\x80\xff", Violation::SubAckCode(0xff)),
        (b"\xb0\x02\0\0", Violation::ZeroPacketId(Kind::UnsubAck)),
    ];
    for (bytes, expected) in bad {
        refuses(bytes, Sender::Server, *expected);
    }
}

#[test]
fn pubacks_of_mqtt_5_are_read_with_and_without_what_they_may_leave_out() {
    let plain = PubAck::new(id(10));
    let denied = PubAck { reason: ReasonCode::NotAuthorized, ..plain };
    let rows: &[(&[u8], PubAck<'_>)] = &[
        (b"\x40\x02\0\x0a", plain),
        (b"\x40\x03\0\x0a\0", plain),
        (b"\x40\x04\0\x0a\0\0", plain),
        (b"\x40\x03\0\x0a\x87", denied),
        (b"\x40\x04\0\x0a\x87\0", denied),
        (b"\x40\x08\0\x0a\x87\x04\x1f\0\x01r", PubAck { reason_string: Some("r"), ..denied }),
        (b"\x40\x0b\0\x0a\0\x07\x26\0\x01k\0\x01v", PubAck { user: k_is_v(), ..plain }),
    ];
    for (bytes, expected) in rows {
        accepts_5(bytes, Sender::Client, Packet::PubAck(*expected));
        accepts_5(bytes, Sender::Server, Packet::PubAck(*expected));
    }
    let trailing = Violation::Trailing { packet: Kind::PubAck, count: 1 };
    let bad: &[Refused<'_>] = &[
        (b"\x40\0", truncated(Kind::PubAck, "packet identifier"), Malformed),
        (b"\x40\x01\0", truncated(Kind::PubAck, "packet identifier"), Malformed),
        (b"\x40\x02\0\0", Violation::ZeroPacketId(Kind::PubAck), ProtocolError),
        (b"\x40\x04\0\x0a\0\x01", truncated(Kind::PubAck, "properties"), Malformed),
        (b"\x40\x05\0\x0a\0\0\0", trailing, Malformed),
        (b"\x40\x08\0\x0a\x87\x04\x1f\0\x01\0", Violation::Nul("reason string"), Malformed),
        (b"\x40\x08\0\x0a\x87\x04\x1f\0\x01\xff", Violation::NotUtf8("reason string"), Malformed),
    ];
    refuses_5(bad, Sender::Client);
    refuses_5(bad, Sender::Server);
}

/// Section 3.4.2.1; 0x10 "is sent only by the Server".
#[test]
fn a_puback_says_a_reason_of_its_table() {
    const BOTH: &[u8] = &[0x00, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    for (sender, own) in [(Sender::Client, &[][..]), (Sender::Server, &[0x10][..])] {
        for code in 0..=u8::MAX {
            let bytes = [0x40, 3, 0, 10, code];
            if BOTH.contains(&code) || own.contains(&code) {
                let reason = ReasonCode::from_number(code).unwrap();
                accepts_5(&bytes, sender, Packet::PubAck(PubAck { reason, ..PubAck::new(id(10)) }));
            } else {
                let expected = Violation::Reason { packet: Kind::PubAck, sender: sender.name(), code };
                refuses_5(&[(&bytes, expected, ProtocolError)], sender);
            }
        }
    }
}

#[test]
fn subacks_and_unsubacks_of_mqtt_5_are_read_as_drawn() {
    let granted = SubAck::new(id(10), &[0, 1, 0x87]);
    let removed = UnsubAck::new(id(10), &[0, 0x11]);
    let rows: &[(&[u8], Packet<'_>)] = &[
        (b"\x90\x06\0\x0a\0\0\x01\x87", Packet::SubAck(granted)),
        (
            b"\x90\x0a\0\x0a\x04\x1f\0\x01r\0\x01\x87",
            Packet::SubAck(SubAck { reason_string: Some("r"), ..granted }),
        ),
        (
            b"\x90\x0d\0\x0a\x07\x26\0\x01k\0\x01v\0\x01\x87",
            Packet::SubAck(SubAck { user: k_is_v(), ..granted }),
        ),
        (b"\xb0\x05\0\x0a\0\0\x11", Packet::UnsubAck(removed)),
        (
            b"\xb0\x09\0\x0a\x04\x1f\0\x01r\0\x11",
            Packet::UnsubAck(UnsubAck { reason_string: Some("r"), ..removed }),
        ),
        (
            b"\xb0\x0c\0\x0a\x07\x26\0\x01k\0\x01v\0\x11",
            Packet::UnsubAck(UnsubAck { user: k_is_v(), ..removed }),
        ),
    ];
    for (bytes, expected) in rows {
        accepts_5(bytes, Sender::Server, *expected);
    }
    let bad: &[Refused<'_>] = &[
        (b"\x90\x01\0", truncated(Kind::SubAck, "packet identifier"), Malformed),
        (b"\x90\x02\0\x0a", truncated(Kind::SubAck, "property length"), Malformed),
        (b"\x90\x03\0\x0a\0", truncated(Kind::SubAck, "return codes"), Malformed),
        (b"\x90\x03\0\x0a\x01", truncated(Kind::SubAck, "properties"), Malformed),
        (b"\x90\x04\0\0\0\0", Violation::ZeroPacketId(Kind::SubAck), ProtocolError),
        (b"\x90\x08\0\x0a\x04\x1f\0\x01\xff\0", Violation::NotUtf8("reason string"), Malformed),
        // 3.1.1's UNSUBACK.
        (b"\xb0\x02\0\x0a", truncated(Kind::UnsubAck, "property length"), Malformed),
        (b"\xb0\x03\0\x0a\0", truncated(Kind::UnsubAck, "return codes"), Malformed),
        (b"\xb0\x04\0\0\0\0", Violation::ZeroPacketId(Kind::UnsubAck), ProtocolError),
    ];
    refuses_5(bad, Sender::Server);
}

/// Sections 3.9.3 and 3.11.3: these and no others, in every place of the list.
#[test]
fn subacks_and_unsubacks_carry_the_codes_of_their_tables() {
    const SUBACK: &[u8] = &[0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
    const UNSUBACK: &[u8] = &[0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
    for (first, packet, table) in [(0x90, Kind::SubAck, SUBACK), (0xb0, Kind::UnsubAck, UNSUBACK)] {
        for code in 0..=u8::MAX {
            for codes in [[code, 0], [0, code]] {
                let bytes = [first, 5, 0, 10, 0, codes[0], codes[1]];
                if table.contains(&code) {
                    let expected = match packet {
                        Kind::SubAck => Packet::SubAck(SubAck::new(id(10), &codes)),
                        _ => Packet::UnsubAck(UnsubAck::new(id(10), &codes)),
                    };
                    accepts_5(&bytes, Sender::Server, expected);
                } else {
                    let expected = Violation::Reason { packet, sender: "server", code };
                    refuses_5(&[(&bytes, expected, ProtocolError)], Sender::Server);
                }
            }
        }
    }
}
