//! The fixed header: types, flags, ends, lengths (3.1.1, 2.2; MQTT 5, 2.1).

use super::*;
use PacketKind as Kind;
use ReasonCode::{MalformedPacket as Malformed, ProtocolError, QosNotSupported};

fn flags(packet: PacketKind, found: u8, expected: u8) -> Violation {
    Violation::Flags { packet, found, expected }
}

fn length(packet: PacketKind, found: usize, expected: usize) -> Violation {
    Violation::Length { packet, found, expected }
}

fn wrong(packet: PacketKind, sender: &'static str) -> Violation {
    Violation::WrongSender { packet, sender }
}

#[test]
fn pings_are_two_bytes_in_both_versions() {
    for version in [Version::V311, Version::V5] {
        accepts_in(version, b"\xc0\0", Sender::Client, Packet::PingReq);
        accepts_in(version, b"\xd0\0", Sender::Server, Packet::PingResp);
    }
    // 3.1.1 does not forbid a length in more bytes than it needs ([MQTT-1.5.5-1] of MQTT 5 does).
    accepts(b"\xc0\x80\0", Sender::Client, Packet::PingReq);
    accepts(b"\xd0\x80\x80\x80\0", Sender::Server, Packet::PingResp);
}

#[test]
fn headers_of_3_1_1_that_break_table_2_1_and_2_2_are_refused() {
    let client: &[(&[u8], Violation)] = &[
        (b"\x00", Violation::ReservedKind(0)),
        (b"\xf0", Violation::ReservedKind(15)),
        (b"\x20", wrong(Kind::ConnAck, "client")),
        (b"\x90", wrong(Kind::SubAck, "client")),
        (b"\xb0", wrong(Kind::UnsubAck, "client")),
        (b"\xd0", wrong(Kind::PingResp, "client")),
        (b"\x50", Violation::QosTwo(Kind::PubRec)),
        (b"\x62", Violation::QosTwo(Kind::PubRel)),
        (b"\x70", Violation::QosTwo(Kind::PubComp)),
        (b"\x11", flags(Kind::Connect, 1, 0)),
        (b"\x18", flags(Kind::Connect, 8, 0)),
        (b"\x42", flags(Kind::PubAck, 2, 0)),
        (b"\x80", flags(Kind::Subscribe, 0, 2)),
        (b"\x83", flags(Kind::Subscribe, 3, 2)),
        (b"\x8a", flags(Kind::Subscribe, 10, 2)),
        (b"\xa0", flags(Kind::Unsubscribe, 0, 2)),
        (b"\xa6", flags(Kind::Unsubscribe, 6, 2)),
        (b"\xc1", flags(Kind::PingReq, 1, 0)),
        (b"\xe8", flags(Kind::Disconnect, 8, 0)),
        (b"\x40\x01", length(Kind::PubAck, 1, 2)),
        (b"\x40\x03", length(Kind::PubAck, 3, 2)),
        (b"\xc0\x01", length(Kind::PingReq, 1, 0)),
        (b"\xe0\x02", length(Kind::Disconnect, 2, 0)),
        (b"\x30\xff\xff\xff\xff", Violation::RemainingLength),
        (b"\xc0\x80\x80\x80\x80\0", Violation::RemainingLength),
    ];
    for (bytes, expected) in client {
        refuses(bytes, Sender::Client, *expected);
    }
    let server: &[(&[u8], Violation)] = &[
        (b"\x00", Violation::ReservedKind(0)),
        (b"\xf0", Violation::ReservedKind(15)),
        (b"\x10", wrong(Kind::Connect, "server")),
        (b"\x82", wrong(Kind::Subscribe, "server")),
        (b"\xa2", wrong(Kind::Unsubscribe, "server")),
        (b"\xc0", wrong(Kind::PingReq, "server")),
        (b"\xe0", wrong(Kind::Disconnect, "server")),
        (b"\x50", Violation::QosTwo(Kind::PubRec)),
        (b"\x21", flags(Kind::ConnAck, 1, 0)),
        (b"\x92", flags(Kind::SubAck, 2, 0)),
        (b"\xb2", flags(Kind::UnsubAck, 2, 0)),
        (b"\xd4", flags(Kind::PingResp, 4, 0)),
        (b"\x20\x01", length(Kind::ConnAck, 1, 2)),
        // What MQTT 5 says to a client it does not know how to serve.
        (b"\x20\x03\0\x84\0", length(Kind::ConnAck, 3, 2)),
        (b"\xb0\x03", length(Kind::UnsubAck, 3, 2)),
        (b"\xd0\x01", length(Kind::PingResp, 1, 0)),
    ];
    for (bytes, expected) in server {
        refuses(bytes, Sender::Server, *expected);
    }
}

#[test]
fn headers_of_mqtt_5_that_break_section_2_1_are_refused() {
    let client: &[Refused<'_>] = &[
        (b"\x00", Violation::ReservedKind(0), Malformed),
        (b"\x0f", Violation::ReservedKind(0), Malformed),
        (b"\x20", wrong(Kind::ConnAck, "client"), ProtocolError),
        (b"\x90", wrong(Kind::SubAck, "client"), ProtocolError),
        (b"\xb0", wrong(Kind::UnsubAck, "client"), ProtocolError),
        (b"\xd0", wrong(Kind::PingResp, "client"), ProtocolError),
        (b"\x50", Violation::QosTwo(Kind::PubRec), QosNotSupported),
        (b"\x62", Violation::QosTwo(Kind::PubRel), QosNotSupported),
        (b"\x70", Violation::QosTwo(Kind::PubComp), QosNotSupported),
        (b"\x14", flags(Kind::Connect, 4, 0), Malformed),
        (b"\x41", flags(Kind::PubAck, 1, 0), Malformed),
        // [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.14.1-1], [MQTT-3.15.1-1].
        (b"\x80", flags(Kind::Subscribe, 0, 2), Malformed),
        (b"\x86", flags(Kind::Subscribe, 6, 2), Malformed),
        (b"\xa3", flags(Kind::Unsubscribe, 3, 2), Malformed),
        (b"\xc2", flags(Kind::PingReq, 2, 0), Malformed),
        (b"\xe1", flags(Kind::Disconnect, 1, 0), Malformed),
        (b"\xf2", flags(Kind::Auth, 2, 0), Malformed),
        (b"\xc0\x01", length(Kind::PingReq, 1, 0), Malformed),
        (b"\xc0\x80\0", Violation::OverlongInteger("remaining length"), Malformed),
        (b"\x30\x86\0\0\x03a/b\0", Violation::OverlongInteger("remaining length"), Malformed),
        (b"\xe0\x80\x80\x80\0", Violation::OverlongInteger("remaining length"), Malformed),
        (b"\x30\xff\xff\xff\x80", Violation::RemainingLength, Malformed),
    ];
    refuses_5(client, Sender::Client);
    let server: &[Refused<'_>] = &[
        (b"\x00", Violation::ReservedKind(0), Malformed),
        (b"\x10", wrong(Kind::Connect, "server"), ProtocolError),
        (b"\x82", wrong(Kind::Subscribe, "server"), ProtocolError),
        (b"\xa2", wrong(Kind::Unsubscribe, "server"), ProtocolError),
        (b"\xc0", wrong(Kind::PingReq, "server"), ProtocolError),
        (b"\x62", Violation::QosTwo(Kind::PubRel), QosNotSupported),
        (b"\x22", flags(Kind::ConnAck, 2, 0), Malformed),
        (b"\x98", flags(Kind::SubAck, 8, 0), Malformed),
        (b"\xb1", flags(Kind::UnsubAck, 1, 0), Malformed),
        (b"\xdf", flags(Kind::PingResp, 15, 0), Malformed),
        (b"\xe2", flags(Kind::Disconnect, 2, 0), Malformed),
        (b"\xf8", flags(Kind::Auth, 8, 0), Malformed),
        (b"\xd0\x02", length(Kind::PingResp, 2, 0), Malformed),
    ];
    refuses_5(server, Sender::Server);
}

#[test]
fn a_packet_beyond_the_bound_is_refused_before_it_has_arrived() {
    let too_large = |size| Violation::TooLarge { packet: PacketKind::Publish, size, max: 130 };
    for version in [Version::V311, Version::V5] {
        let read = |bytes| decode(bytes, Sender::Client, version, 130);
        assert_eq!(read(&[0x30, 0x7f]), Ok(None), "129 bytes fit");
        assert_eq!(read(&[0x30, 0x80, 1]), Err(too_large(131)));
        assert_eq!(read(&[0x30, 0xff, 0xff, 0xff, 0x7f]), Err(too_large(268_435_460)));
    }
    assert_eq!(too_large(131).reason(), ReasonCode::PacketTooLarge);
}

/// The examples of table 2.4 of 3.1.1 and table 1-1 of MQTT 5: the bounds of each number of bytes.
#[test]
fn lengths_are_read_as_the_tables_of_the_standards_say() {
    let rows: &[(&[u8], usize)] = &[
        (b"\x30\x00", 0),
        (b"\x30\x7f", 127),
        (b"\x30\x80\x01", 128),
        (b"\x30\xff\x7f", 16_383),
        (b"\x30\x80\x80\x01", 16_384),
        (b"\x30\xff\xff\x7f", 2_097_151),
        (b"\x30\x80\x80\x80\x01", 2_097_152),
        (b"\x30\xff\xff\xff\x7f", 268_435_455),
    ];
    for (bytes, remaining) in rows {
        assert_eq!(missing(bytes), *remaining, "{bytes:02x?}");
        for version in [Version::V311, Version::V5] {
            let size = bytes.len() + remaining;
            let expected = Violation::TooLarge { packet: Kind::Publish, size, max: 1 };
            assert_eq!(decode(bytes, Sender::Client, version, 1), Err(expected), "{bytes:02x?}");
        }
    }
}

#[test]
fn what_is_missing_is_known_from_the_header_on() {
    let rows: &[(&[u8], usize)] = &[
        (&[], 1),
        (&[0x30], 1),
        (&[0x30, 0x80], 1),
        (&[0x30, 0x80, 1], 128),
        (&[0x30, 5, 0], 4),
        (&[0xc0, 0], 0),
    ];
    for (bytes, expected) in rows {
        assert_eq!(missing(bytes), *expected, "{bytes:02x?}");
    }
}

/// What only the state of a connection shows: the vectors cannot have it.
#[test]
fn violations_of_the_order_of_packets_have_their_reason_codes() {
    assert_eq!(Violation::NotConnected.reason(), ProtocolError);
    assert_eq!(Violation::SecondConnect.reason(), ProtocolError);
    assert_eq!(Violation::UserProperties.reason(), Malformed);
}

#[test]
fn a_violation_says_the_rule_and_what_was_found() {
    let text = |version, bytes: &[u8]| decode(bytes, Sender::Client, version, 12).unwrap_err().to_string();
    let (v311, v5) = (Version::V311, Version::V5);
    assert_eq!(text(v311, b"\x80"), "[MQTT-2.2.2-2] SUBSCRIBE flags are 0b0000, must be 0b0010");
    assert_eq!(text(v311, b"\xb0"), "[MQTT 2.2.1] a client may not send UNSUBACK");
    assert_eq!(text(v311, b"\x30\x0b"), "PUBLISH of 13 bytes, at most 12 are taken");
    assert_eq!(
        text(v311, b"\x30\x03\0\x01+"),
        "topic name: [MQTT-3.3.2-2] is a topic name and contains a wildcard"
    );
    assert_eq!(
        text(v5, b"\x30\x06\0\x01a\x02\x0b\x05"),
        "[MQTT-3.3.4-6] [MQTT-3.14.2-2] a client may not send subscription identifier in a PUBLISH"
    );
    assert_eq!(text(v5, b"\x30\x06\0\x01a\x02\x21\x01"), "[MQTT-5 2.2.2.2] PUBLISH has no receive maximum");
    assert_eq!(
        text(v5, b"\x30\x08\0\x01a\x04\x01\0\x01\0"),
        "[MQTT-5 2.2.2.2] PUBLISH has its payload format indicator twice"
    );
    assert_eq!(
        text(v5, b"\xe0\x01\x8e"),
        "[MQTT-5 2.4] a client may not send reason code 0x8e in a DISCONNECT"
    );
}
