//! CONNECT of 3.1.1 (section 3.1), and of versions that are not spoken.

use super::*;
use crate::mqtt::{Connect, Will};

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
        (&[HELLO, &[0b0000_0010, 0, 60], &[0, 1, 0]], Violation::Nul("client identifier")),
        (&[HELLO, &[0b0000_0010, 0, 60], &[0, 1, 0xc0]], Violation::NotUtf8("client identifier")),
        (&[HELLO, &[0b1000_0010, 0, 60], c1, &[0, 1, 0xc0]], Violation::NotUtf8("user name")),
        (&[HELLO, &[0b1000_0010, 0, 60], c1, &[0, 1, 0]], Violation::Nul("user name")),
        (&[HELLO, &[0b0000_0110, 0, 60], c1, &[0, 1, 0xff, 0, 0]], Violation::NotUtf8("will topic")),
        (&[HELLO, &[0b0000_0110, 0, 60], c1, &[0, 1, 0, 0, 0]], will_topic(TopicError::Nul)),
        // A field without its flag is a field too many ([MQTT-3.1.2-18], [MQTT-3.1.2-20]).
        (&[HELLO, &[0b0000_0010, 0, 60], c1, &[0]], trailing),
        (&[HELLO, &[0b1000_0010, 0, 60], c1, &[0, 0], &[7]], trailing),
        (&[&[0, 6, b'M', b'Q', b'T', b'T', 4, 2, 0, 0], c1], Violation::ProtocolName),
        (&[&[0, 3, b'M', b'Q', b'T', 4, 2, 0, 0], c1], Violation::ProtocolName),
        (&[&[0, 0, 4, 2, 0, 0], c1], Violation::ProtocolName),
        (&[&[0, 4, b'M', b'Q', b'T', b'T', 0, 2, 0, 60], c1], Violation::UnsupportedLevel(0)),
        (&[&[0, 4, b'M', b'Q', b'T', b'T', 3, 2, 0, 60], c1], Violation::UnsupportedLevel(3)),
        (&[&[0, 4, b'M', b'Q', b'T', b'T', 6, 2, 0, 60], c1], Violation::UnsupportedLevel(6)),
        (&[b"\0\x06MQIsdp", &[4, 2, 0, 60], c1], Violation::ProtocolName),
        (&[b"\0\x06MQIsdp", &[5, 2, 0, 60], c1], Violation::ProtocolName),
    ];
    for (parts, expected) in rows {
        refuses(&framed(0x10, parts), Sender::Client, *expected);
    }
}

/// A CONNECT is read by the level it names, not by what was spoken before.
#[test]
fn a_connect_of_3_1_1_is_read_as_such_on_a_connection_of_mqtt_5() {
    let bytes = framed(0x10, &[HELLO, b"\x02\0\x3c\0\x01c"]);
    let expected = Connect { keep_alive_s: 60, ..Connect::new(Version::V311, "c") };
    accepts_in(Version::V5, &bytes, Sender::Client, Packet::Connect(expected));
}
