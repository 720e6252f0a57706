//! Byte vectors written by hand from the text of the standard, and the properties of all others.

use proptest::prelude::*;

use super::*;
use crate::mqtt::{ConnAck, Connect, Disconnect, FilterRequest, PubAck, ReasonCode, SubAck, UnsubAck, Will};

const MAX: usize = 1 << 20;

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

/// A packet from its first byte and its body; the remaining length is worked out.
fn framed(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left & 0x7f).unwrap();
        left >>= 7;
        bytes.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

fn accepts(bytes: &[u8], sender: Sender, expected: Packet<'_>) {
    assert_eq!(decode(bytes, sender, Version::V311, MAX), Ok(Some((expected, bytes.len()))), "{bytes:02x?}");
    for end in 0..bytes.len() {
        assert_eq!(
            decode(&bytes[..end], sender, Version::V311, MAX),
            Ok(None),
            "{end} bytes of {bytes:02x?}"
        );
    }
    let followed = [bytes, &[0xff]].concat();
    assert_eq!(decode(&followed, sender, Version::V311, MAX), Ok(Some((expected, bytes.len()))));
}

fn refuses(bytes: &[u8], sender: Sender, expected: Violation) {
    assert_eq!(decode(bytes, sender, Version::V311, MAX), Err(expected), "{bytes:02x?}");
}

#[test]
fn publishes_are_read_as_section_3_3_draws_them() {
    let plain = Publish::new("a/b", &[]);
    let acknowledged = Publish { qos: QoS::AtLeastOnce, id: Some(id(10)), ..plain };
    let rows: &[(&[u8], Publish<'_>)] = &[
        (&[0x30, 5, 0, 3, b'a', b'/', b'b'], plain),
        (&[0x31, 5, 0, 3, b'a', b'/', b'b'], Publish { retain: true, ..plain }),
        (&[0x30, 7, 0, 3, b'a', b'/', b'b', 0, 255], Publish { payload: &[0, 255], ..plain }),
        (&[0x32, 7, 0, 3, b'a', b'/', b'b', 0, 10], acknowledged),
        (&[0x3a, 7, 0, 3, b'a', b'/', b'b', 0, 10], Publish { dup: true, ..acknowledged }),
        (&[0x3b, 7, 0, 3, b'a', b'/', b'b', 0, 10], Publish { dup: true, retain: true, ..acknowledged }),
        // A byte-order mark is a character like any other ([MQTT-1.5.3-3]).
        (&[0x30, 5, 0, 3, 0xef, 0xbb, 0xbf], Publish { topic: "\u{feff}", ..plain }),
        // The same length in more bytes than it needs.
        (&[0x30, 0x85, 0x80, 0x80, 0x00, 0, 3, b'a', b'/', b'b'], plain),
    ];
    for (bytes, expected) in rows {
        accepts(bytes, Sender::Client, Packet::Publish(*expected));
        accepts(bytes, Sender::Server, Packet::Publish(*expected));
    }
}

#[test]
fn bad_publishes_are_refused() {
    let topic = |error| Violation::Topic { field: "topic name", error };
    let truncated = |field| Violation::Truncated { packet: PacketKind::Publish, field };
    let rows: &[(&[u8], Violation)] = &[
        (&[0x34], Violation::QosTwo(PacketKind::Publish)),
        (&[0x3c], Violation::QosTwo(PacketKind::Publish)),
        (&[0x36], Violation::QosThree),
        (&[0x38], Violation::DupAtMostOnce),
        (&[0x39], Violation::DupAtMostOnce),
        (&[0x32, 5, 0, 1, b'a', 0, 0], Violation::ZeroPacketId(PacketKind::Publish)),
        (&[0x32, 4, 0, 1, b'a', 0], truncated("packet identifier")),
        (&[0x30, 0], truncated("topic name")),
        (&[0x30, 1, 0], truncated("topic name")),
        (&[0x30, 3, 0, 2, b'a'], truncated("topic name")),
        (&[0x30, 2, 0, 0], topic(TopicError::Empty)),
        (&[0x30, 3, 0, 1, b'#'], topic(TopicError::Wildcard)),
        (&[0x30, 5, 0, 3, b'a', b'/', b'+'], topic(TopicError::Wildcard)),
        (&[0x30, 4, 0, 2, b'a', 0], topic(TopicError::Nul)),
        (&[0x30, 3, 0, 1, 0xff], Violation::NotUtf8("topic name")),
        // A surrogate, U+D800, and an overlong NUL.
        (&[0x30, 5, 0, 3, 0xed, 0xa0, 0x80], Violation::NotUtf8("topic name")),
        (&[0x30, 4, 0, 2, 0xc0, 0x80], Violation::NotUtf8("topic name")),
    ];
    for (bytes, expected) in rows {
        refuses(bytes, Sender::Client, *expected);
        refuses(bytes, Sender::Server, *expected);
    }
}

const HELLO: &[u8] = &[0, 4, b'M', b'Q', b'T', b'T', 4];

#[test]
fn connects_are_read_as_section_3_1_draws_them() {
    let plain = Connect { keep_alive_s: 60, ..Connect::new(Version::V311, "c1") };
    let will = Will::new("w", &[1]);
    let (c1, w, u): (&[u8], &[u8], &[u8]) = (&[0, 2, b'c', b'1'], &[0, 1, b'w', 0, 1, 1], &[0, 1, b'u']);
    let rows: &[(&[&[u8]], Connect<'_>)] = &[
        (&[HELLO, &[0b0000_0010, 0, 60], c1], plain),
        (&[HELLO, &[0b0000_0000, 0, 60], c1], Connect { clean_start: false, ..plain }),
        (&[HELLO, &[0b0000_0010, 0xff, 0xff], c1], Connect { keep_alive_s: 65_535, ..plain }),
        (&[HELLO, &[0b0000_0010, 0, 60], &[0, 0]], Connect { client_id: "", ..plain }),
        (&[HELLO, &[0b0000_0110, 0, 60], c1, w], Connect { will: Some(will), ..plain }),
        (
            &[HELLO, &[0b0010_1110, 0, 60], c1, w],
            Connect { will: Some(Will { qos: QoS::AtLeastOnce, retain: true, ..will }), ..plain },
        ),
        (
            &[HELLO, &[0b0000_0110, 0, 60], c1, &[0, 1, b'w', 0, 0]],
            Connect { will: Some(Will { payload: &[], ..will }), ..plain },
        ),
        (&[HELLO, &[0b1000_0010, 0, 60], c1, u], Connect { username: Some("u"), ..plain }),
        (
            &[HELLO, &[0b1100_0010, 0, 60], c1, u, &[0, 2, 0, 0xff]],
            Connect { username: Some("u"), password: Some(&[0, 0xff]), ..plain },
        ),
        (
            &[HELLO, &[0b1100_0110, 0, 60], c1, w, &[0, 0], &[0, 0]],
            Connect { username: Some(""), password: Some(&[]), will: Some(will), ..plain },
        ),
    ];
    for (parts, expected) in rows {
        accepts(&framed(0x10, parts), Sender::Client, Packet::Connect(*expected));
    }
}

#[test]
fn bad_connects_are_refused() {
    let (c1, w): (&[u8], &[u8]) = (&[0, 1, b'c'], &[0, 1, b'w', 0, 0]);
    let truncated = |field| Violation::Truncated { packet: PacketKind::Connect, field };
    let will_topic = |error| Violation::Topic { field: "will topic", error };
    let trailing = Violation::Trailing { packet: PacketKind::Connect, count: 1 };
    let rows: &[(&[&[u8]], Violation)] = &[
        (&[], truncated("protocol name")),
        (&[&[0, 4, b'M', b'Q', b'T', b'T']], truncated("protocol level")),
        (&[&[0, 4, b'M', b'Q', b'T', b't', 4, 2, 0, 0], c1], Violation::ProtocolName),
        (&[&[0, 4, b'H', b'T', b'T', b'P', 5]], Violation::ProtocolName),
        // MQTT 3.1, and 3.1.1 from a mosquitto bridge.
        (&[b"\0\x06MQIsdp", &[3, 2, 0, 60], c1], Violation::UnsupportedLevel(3)),
        (&[&[0, 4, b'M', b'Q', b'T', b'T', 0x84, 2, 0, 60], c1], Violation::UnsupportedLevel(0x84)),
        (&[HELLO], truncated("connect flags")),
        (&[HELLO, &[2, 0]], truncated("keep alive")),
        (&[HELLO, &[2, 0, 60]], truncated("client identifier")),
        (&[HELLO, &[0b0000_0011, 0, 60], c1], Violation::ConnectReserved),
        (&[HELLO, &[0b0000_1010, 0, 60], c1], Violation::WillQosWithoutWill),
        (&[HELLO, &[0b0001_1010, 0, 60], c1], Violation::WillQosWithoutWill),
        (&[HELLO, &[0b0010_0010, 0, 60], c1], Violation::WillRetainWithoutWill),
        (&[HELLO, &[0b0001_0110, 0, 60], c1, w], Violation::QosTwo(PacketKind::Connect)),
        (&[HELLO, &[0b0001_1110, 0, 60], c1, w], Violation::WillQosThree),
        (&[HELLO, &[0b0100_0010, 0, 60], c1, &[0, 0]], Violation::PasswordWithoutUsername),
        (&[HELLO, &[0b0000_0110, 0, 60], c1], truncated("will topic")),
        (&[HELLO, &[0b0000_0110, 0, 60], c1, &[0, 1, b'w']], truncated("will message")),
        (&[HELLO, &[0b0000_0110, 0, 60], c1, &[0, 0, 0, 0]], will_topic(TopicError::Empty)),
        (&[HELLO, &[0b0000_0110, 0, 60], c1, &[0, 1, b'#', 0, 0]], will_topic(TopicError::Wildcard)),
        (&[HELLO, &[0b1000_0010, 0, 60], c1], truncated("user name")),
        (&[HELLO, &[0b1100_0010, 0, 60], c1, &[0, 0]], truncated("password")),
        (&[HELLO, &[0b0000_0010, 0, 60], c1, &[0]], trailing),
        (&[HELLO, &[0b0000_0010, 0, 60], &[0, 1, 0]], Violation::Nul("client identifier")),
        (&[HELLO, &[0b0000_0010, 0, 60], &[0, 1, 0xc0]], Violation::NotUtf8("client identifier")),
        (&[HELLO, &[0b1000_0010, 0, 60], c1, &[0, 1, 0xc0]], Violation::NotUtf8("user name")),
    ];
    for (parts, expected) in rows {
        refuses(&framed(0x10, parts), Sender::Client, *expected);
    }
}

#[test]
fn short_packets_are_read_as_drawn() {
    use ReasonCode as Code;
    let connack =
        |session_present, reason| Packet::ConnAck(ConnAck { session_present, ..ConnAck::new(reason) });
    let client: &[(&[u8], Packet<'_>)] = &[
        (&[0x40, 2, 0x12, 0x34], Packet::PubAck(PubAck::new(id(0x1234)))),
        (&[0xc0, 0], Packet::PingReq),
        (&[0xe0, 0], Packet::Disconnect(Disconnect::default())),
    ];
    let server: &[(&[u8], Packet<'_>)] = &[
        (&[0x20, 2, 0, 0], connack(false, Code::Success)),
        (&[0x20, 2, 1, 0], connack(true, Code::Success)),
        (&[0x20, 2, 0, 5], connack(false, Code::NotAuthorized)),
        (&[0x40, 2, 0, 1], Packet::PubAck(PubAck::new(id(1)))),
        (&[0x90, 3, 0, 1, 1], Packet::SubAck(SubAck::new(id(1), &[1]))),
        (&[0x90, 6, 0, 1, 0, 1, 2, 0x80], Packet::SubAck(SubAck::new(id(1), &[0, 1, 2, 0x80]))),
        (&[0xb0, 2, 0xff, 0xff], Packet::UnsubAck(UnsubAck::new(id(65_535), &[]))),
        (&[0xd0, 0], Packet::PingResp),
    ];
    for (bytes, expected) in client {
        accepts(bytes, Sender::Client, *expected);
    }
    for (bytes, expected) in server {
        accepts(bytes, Sender::Server, *expected);
    }
}

#[test]
fn subscriptions_are_read_as_sections_3_8_and_3_10_draw_them() {
    let subscribe =
        framed(0x82, &[&[0, 10], &[0, 3], b"a/b", &[1], &[0, 1], b"#", &[2], &[0, 1], b"+", &[0]]);
    let Ok(Some((Packet::Subscribe(packet), used))) = decode(&subscribe, Sender::Client, Version::V311, MAX)
    else {
        panic!("not a SUBSCRIBE: {:?}", decode(&subscribe, Sender::Client, Version::V311, MAX));
    };
    assert_eq!((packet.id, used), (id(10), subscribe.len()));
    // QoS 2 is shown as the most that can be granted.
    let expected = [("a/b", QoS::AtLeastOnce), ("#", QoS::AtLeastOnce), ("+", QoS::AtMostOnce)]
        .map(|(filter, qos)| FilterRequest::new(filter, qos));
    assert_eq!(packet.filters().collect::<Vec<_>>(), expected);

    let unsubscribe = framed(0xa2, &[&[0, 11], &[0, 3], b"a/b", &[0, 1], b"#"]);
    let Ok(Some((Packet::Unsubscribe(packet), _))) = decode(&unsubscribe, Sender::Client, Version::V311, MAX)
    else {
        panic!("not an UNSUBSCRIBE");
    };
    assert_eq!((packet.id, packet.filters().collect::<Vec<_>>()), (id(11), vec!["a/b", "#"]));
}

#[test]
fn bad_short_packets_and_subscriptions_are_refused() {
    use PacketKind as Kind;
    let length = |packet, found, expected| Violation::Length { packet, found, expected };
    let flags = |packet, found, expected| Violation::Flags { packet, found, expected };
    let wrong = |packet, sender| Violation::WrongSender { packet, sender };
    let filter = |error| Violation::Topic { field: "topic filter", error };
    let client: &[(&[u8], Violation)] = &[
        (&[0x00], Violation::ReservedKind(0)),
        (&[0xf0], Violation::ReservedKind(15)),
        (&[0x20], wrong(Kind::ConnAck, "client")),
        (&[0x90], wrong(Kind::SubAck, "client")),
        (&[0xb0], wrong(Kind::UnsubAck, "client")),
        (&[0xd0], wrong(Kind::PingResp, "client")),
        (&[0x50], Violation::QosTwo(Kind::PubRec)),
        (&[0x62], Violation::QosTwo(Kind::PubRel)),
        (&[0x70], Violation::QosTwo(Kind::PubComp)),
        (&[0x11], flags(Kind::Connect, 1, 0)),
        (&[0x42], flags(Kind::PubAck, 2, 0)),
        (&[0x80], flags(Kind::Subscribe, 0, 2)),
        (&[0x83], flags(Kind::Subscribe, 3, 2)),
        (&[0xa0], flags(Kind::Unsubscribe, 0, 2)),
        (&[0xc1], flags(Kind::PingReq, 1, 0)),
        (&[0xe8], flags(Kind::Disconnect, 8, 0)),
        (&[0x40, 1], length(Kind::PubAck, 1, 2)),
        (&[0x40, 3], length(Kind::PubAck, 3, 2)),
        (&[0xc0, 1], length(Kind::PingReq, 1, 0)),
        (&[0xe0, 2], length(Kind::Disconnect, 2, 0)),
        (&[0x40, 2, 0, 0], Violation::ZeroPacketId(Kind::PubAck)),
        (&[0x30, 0xff, 0xff, 0xff, 0xff], Violation::RemainingLength),
        (&[0xc0, 0x80, 0x80, 0x80, 0x80, 0], Violation::RemainingLength),
        (&[0x82, 1, 0], Violation::Truncated { packet: Kind::Subscribe, field: "packet identifier" }),
        (&[0x82, 2, 0, 1], Violation::NoFilter(Kind::Subscribe)),
        (&[0x82, 6, 0, 0, 0, 1, b'a', 0], Violation::ZeroPacketId(Kind::Subscribe)),
        (
            &[0x82, 5, 0, 1, 0, 1, b'a'],
            Violation::Truncated { packet: Kind::Subscribe, field: "subscription options" },
        ),
        (&[0x82, 5, 0, 1, 0, 0, 0], filter(TopicError::Empty)),
        (&[0x82, 6, 0, 1, 0, 1, b'a', 3], Violation::RequestedQos(3)),
        (&[0x82, 6, 0, 1, 0, 1, b'a', 0x81], Violation::RequestedQos(0x81)),
        (&[0x82, 7, 0, 1, 0, 2, b'a', b'#', 0], filter(TopicError::MisplacedHash)),
        (&[0x82, 7, 0, 1, 0, 2, b'a', b'+', 0], filter(TopicError::MisplacedPlus)),
        (
            &[0x82, 7, 0, 1, 0, 1, b'a', 0, 0],
            Violation::Truncated { packet: Kind::Subscribe, field: "topic filter" },
        ),
        (&[0xa2, 2, 0, 1], Violation::NoFilter(Kind::Unsubscribe)),
        (&[0xa2, 5, 0, 0, 0, 1, b'a'], Violation::ZeroPacketId(Kind::Unsubscribe)),
        (
            &[0xa2, 5, 0, 1, 0, 2, b'a'],
            Violation::Truncated { packet: Kind::Unsubscribe, field: "topic filter" },
        ),
    ];
    let server: &[(&[u8], Violation)] = &[
        (&[0x10], wrong(Kind::Connect, "server")),
        (&[0x82], wrong(Kind::Subscribe, "server")),
        (&[0xa2], wrong(Kind::Unsubscribe, "server")),
        (&[0xc0], wrong(Kind::PingReq, "server")),
        (&[0xe0], wrong(Kind::Disconnect, "server")),
        (&[0x21], flags(Kind::ConnAck, 1, 0)),
        (&[0x20, 2, 2, 0], Violation::ConnAckFlags(2)),
        (&[0x20, 2, 0x80, 0], Violation::ConnAckFlags(0x80)),
        (&[0x20, 2, 0, 6], Violation::ConnAckCode(6)),
        (&[0x20, 2, 1, 1], Violation::SessionPresentRefused),
        // What MQTT 5 says to a client it does not know how to serve.
        (&[0x20, 3, 0, 0x84, 0], length(Kind::ConnAck, 3, 2)),
        (&[0x90, 2, 0, 1], Violation::Truncated { packet: Kind::SubAck, field: "return codes" }),
        (&[0x90, 3, 0, 0, 0], Violation::ZeroPacketId(Kind::SubAck)),
        (&[0x90, 3, 0, 1, 3], Violation::SubAckCode(3)),
        (&[0x90, 3, 0, 1, 0x87], Violation::SubAckCode(0x87)),
        (&[0xb0, 2, 0, 0], Violation::ZeroPacketId(Kind::UnsubAck)),
        (&[0xd0, 1], length(Kind::PingResp, 1, 0)),
    ];
    for (bytes, expected) in client {
        refuses(bytes, Sender::Client, *expected);
    }
    for (bytes, expected) in server {
        refuses(bytes, Sender::Server, *expected);
    }
}

#[test]
fn a_packet_beyond_the_bound_is_refused_before_it_has_arrived() {
    let too_large = |size| Violation::TooLarge { packet: PacketKind::Publish, size, max: 130 };
    assert_eq!(decode(&[0x30, 0x7f], Sender::Client, Version::V311, 130), Ok(None), "129 bytes fit");
    assert_eq!(decode(&[0x30, 0x80, 1], Sender::Client, Version::V311, 130), Err(too_large(131)));
    assert_eq!(
        decode(&[0x30, 0xff, 0xff, 0xff, 0x7f], Sender::Client, Version::V311, 130),
        Err(too_large(268_435_460))
    );
}

#[test]
fn a_violation_says_the_rule_and_what_was_found() {
    let text = |bytes: &[u8]| decode(bytes, Sender::Client, Version::V311, 8).unwrap_err().to_string();
    assert_eq!(text(&[0x80]), "[MQTT-2.2.2-2] SUBSCRIBE flags are 0b0000, must be 0b0010");
    assert_eq!(text(&[0xb0]), "[MQTT 2.2.1] a client may not send UNSUBACK");
    assert_eq!(text(&[0x30, 7]), "PUBLISH of 9 bytes, at most 8 are taken");
    assert_eq!(
        text(&[0x30, 3, 0, 1, b'+']),
        "topic name: [MQTT-3.3.2-2] is a topic name and contains a wildcard"
    );
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

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        from_client in any::<bool>(),
        max in 0usize..400,
    ) {
        let sender = if from_client { Sender::Client } else { Sender::Server };
        if let Ok(Some((packet, used))) = decode(&bytes, sender, Version::V311, max) {
            prop_assert!(used <= bytes.len() && used <= max);
            if let Packet::Subscribe(subscribe) = packet {
                prop_assert!(subscribe.filters().count() > 0);
            }
        }
    }

    /// Random bodies behind a well-formed header reach the rules further in.
    #[test]
    fn arbitrary_bodies_never_panic(first in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = framed(first, &[&body]);
        for sender in [Sender::Client, Sender::Server] {
            if let Ok(packet) = decode(&bytes, sender, Version::V311, MAX) {
                prop_assert_eq!(packet.map(|(_, used)| used), Some(bytes.len()));
            }
        }
    }
}
