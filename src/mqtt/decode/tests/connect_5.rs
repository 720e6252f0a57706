//! CONNECT of MQTT 5 (section 3.1). Where its properties may stand is in `properties`.

use std::num::NonZeroU32;

use super::*;
use crate::mqtt::{Connect, ConnectProperties, Will};
use ReasonCode::{
    MalformedPacket as Malformed, ProtocolError, QosNotSupported, TopicNameInvalid,
    UnsupportedProtocolVersion,
};

const HELLO: &[u8] = b"\0\x04MQTT\x05";
const NONE: ConnectProperties<'_> = ConnectProperties::NONE;
const PLAIN: Connect<'_> = Connect { keep_alive_s: 60, ..Connect::new(Version::V5, "c") };

fn with(properties: ConnectProperties<'_>) -> Connect<'_> {
    Connect { properties, ..PLAIN }
}

#[test]
fn connects_are_read_as_section_3_1_draws_them() {
    let will = Will::new("w", &[1]);
    let rows: &[(&[u8], Connect<'_>)] = &[
        (b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01c", PLAIN),
        (b"\x10\x0e\0\x04MQTT\x05\x00\0\x3c\0\0\x01c", Connect { clean_start: false, ..PLAIN }),
        (b"\x10\x0e\0\x04MQTT\x05\x02\xff\xff\0\0\x01c", Connect { keep_alive_s: 65_535, ..PLAIN }),
        (b"\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0", Connect { client_id: "", ..PLAIN }),
        // The server names a client without a name, whatever its clean start says ([MQTT-3.1.3-6]).
        (b"\x10\x0d\0\x04MQTT\x05\x00\0\x3c\0\0\0", Connect { client_id: "", clean_start: false, ..PLAIN }),
        (
            b"\x10\x15\0\x04MQTT\x05\x06\0\x3c\0\0\x01c\0\0\x01w\0\x01\x01",
            Connect { will: Some(will), ..PLAIN },
        ),
        (
            b"\x10\x15\0\x04MQTT\x05\x2e\0\x3c\0\0\x01c\0\0\x01w\0\x01\x01",
            Connect { will: Some(Will { qos: QoS::AtLeastOnce, retain: true, ..will }), ..PLAIN },
        ),
        (
            b"\x10\x14\0\x04MQTT\x05\x06\0\x3c\0\0\x01c\0\0\x01w\0\0",
            Connect { will: Some(Will { payload: &[], ..will }), ..PLAIN },
        ),
        (b"\x10\x11\0\x04MQTT\x05\x82\0\x3c\0\0\x01c\0\x01u", Connect { username: Some("u"), ..PLAIN }),
        (
            b"\x10\x15\0\x04MQTT\x05\xc2\0\x3c\0\0\x01c\0\x01u\0\x02\0\xff",
            Connect { username: Some("u"), password: Some(&[0, 255]), ..PLAIN },
        ),
        // A password alone: 3.1.1 forbids it, MQTT 5 does not (3.1.2.9).
        (b"\x10\x11\0\x04MQTT\x05\x42\0\x3c\0\0\x01c\0\x01t", Connect { password: Some(b"t"), ..PLAIN }),
        (
            b"\x10\x19\0\x04MQTT\x05\xc6\0\x3c\0\0\x01c\0\0\x01w\0\x01\x01\0\0\0\0",
            Connect { username: Some(""), password: Some(&[]), will: Some(will), ..PLAIN },
        ),
    ];
    for (bytes, expected) in rows {
        // Its own level decides, also when nothing is known of the connection yet.
        accepts_in(Version::V311, bytes, Sender::Client, Packet::Connect(*expected));
        accepts_5(bytes, Sender::Client, Packet::Connect(*expected));
    }
}

#[test]
fn properties_of_a_connect_are_read_with_their_values() {
    let size = NonZeroU32::new;
    let rows: &[(&[u8], Connect<'_>)] = &[
        (b"\x05\x11\0\0\0\x3c", with(ConnectProperties { session_expiry_s: 60, ..NONE })),
        (b"\x05\x11\0\0\0\0", PLAIN),
        (b"\x05\x11\xff\xff\xff\xff", with(ConnectProperties { session_expiry_s: u32::MAX, ..NONE })),
        (b"\x03\x21\0\x01", with(ConnectProperties { receive_maximum: 1, ..NONE })),
        (b"\x03\x21\xff\xff", PLAIN),
        (b"\x05\x27\0\0\0\x01", with(ConnectProperties { maximum_packet_size: size(1), ..NONE })),
        (
            b"\x05\x27\xff\xff\xff\xff",
            with(ConnectProperties { maximum_packet_size: size(u32::MAX), ..NONE }),
        ),
        (b"\x03\x22\0\0", PLAIN),
        (b"\x03\x22\xff\xff", with(ConnectProperties { topic_alias_maximum: 65_535, ..NONE })),
        (b"\x02\x19\0", PLAIN),
        (b"\x02\x19\x01", with(ConnectProperties { request_response_information: true, ..NONE })),
        (b"\x02\x17\x01", PLAIN),
        (b"\x02\x17\0", with(ConnectProperties { request_problem_information: false, ..NONE })),
        (b"\x04\x15\0\x01m", with(ConnectProperties { authentication_method: Some("m"), ..NONE })),
        (
            b"\x09\x15\0\x01m\x16\0\x02\0\xff",
            with(ConnectProperties {
                authentication_method: Some("m"),
                authentication_data: Some(&[0, 255]),
                ..NONE
            }),
        ),
        // The data may stand before its method.
        (
            b"\x08\x16\0\x01d\x15\0\x01m",
            with(ConnectProperties {
                authentication_method: Some("m"),
                authentication_data: Some(b"d"),
                ..NONE
            }),
        ),
        (b"\x07\x26\0\x01k\0\x01v", with(ConnectProperties { user: k_is_v(), ..NONE })),
        (
            b"\x14\x11\0\0\0\x0a\x21\0\x14\x27\0\0\x01\0\x22\0\x05\x19\x01\x17\0",
            with(ConnectProperties {
                session_expiry_s: 10,
                receive_maximum: 20,
                maximum_packet_size: size(256),
                topic_alias_maximum: 5,
                request_response_information: true,
                request_problem_information: false,
                ..NONE
            }),
        ),
    ];
    for (block, expected) in rows {
        let bytes = framed(0x10, &[HELLO, b"\x02\0\x3c", block, b"\0\x01c"]);
        accepts_5(&bytes, Sender::Client, Packet::Connect(*expected));
    }
}

#[test]
fn wills_are_read_with_their_properties() {
    let will = Will::new("w", b"m");
    let none = PublishProperties::NONE;
    let rows: &[(&[u8], Will<'_>)] = &[
        (b"\x05\x18\0\0\0\x05", Will { delay_s: 5, ..will }),
        (b"\x05\x18\xff\xff\xff\xff", Will { delay_s: u32::MAX, ..will }),
        (
            b"\x02\x01\x01",
            Will { properties: PublishProperties { payload_is_utf8: Some(true), ..none }, ..will },
        ),
        (
            b"\x05\x02\0\0\0\x3c",
            Will { properties: PublishProperties { message_expiry_s: Some(60), ..none }, ..will },
        ),
        (
            b"\x04\x03\0\x01t",
            Will { properties: PublishProperties { content_type: Some("t"), ..none }, ..will },
        ),
        (
            b"\x08\x08\0\x01r\x09\0\x01c",
            Will {
                properties: PublishProperties {
                    response_topic: Some("r"),
                    correlation_data: Some(b"c"),
                    ..none
                },
                ..will
            },
        ),
        (
            b"\x0c\x18\0\0\0\x01\x26\0\x01k\0\x01v",
            Will { delay_s: 1, properties: PublishProperties { user: k_is_v(), ..none }, ..will },
        ),
    ];
    for (block, expected) in rows {
        let bytes = framed(0x10, &[HELLO, b"\x06\0\x3c\0\0\x01c", block, b"\0\x01w\0\x01m"]);
        let expected = Connect { will: Some(*expected), ..PLAIN };
        accepts_5(&bytes, Sender::Client, Packet::Connect(expected));
    }
}

#[test]
fn bad_connects_are_refused() {
    let truncated = |field| Violation::Truncated { packet: PacketKind::Connect, field };
    let topic = |field, error| Violation::Topic { field, error };
    let value = |property, value| Violation::PropertyValue { property, value };
    let trailing = Violation::Trailing { packet: PacketKind::Connect, count: 1 };
    // What stands behind protocol name and level.
    let rows: &[Refused<'_>] = &[
        (b"", truncated("connect flags"), Malformed),
        (b"\x02\0", truncated("keep alive"), Malformed),
        (b"\x02\0\x3c", truncated("property length"), Malformed),
        (b"\x02\0\x3c\0", truncated("client identifier"), Malformed),
        (b"\x02\0\x3c\x80\0\0\x01c", Violation::OverlongInteger("property length"), Malformed),
        (b"\x02\0\x3c\x05\0\x01c", truncated("properties"), Malformed),
        (b"\x03\0\x3c\0\0\x01c", Violation::ConnectReserved, Malformed),
        (b"\x0a\0\x3c\0\0\x01c", Violation::WillQosWithoutWill, Malformed),
        (b"\x1a\0\x3c\0\0\x01c", Violation::WillQosWithoutWill, Malformed),
        (b"\x22\0\x3c\0\0\x01c", Violation::WillRetainWithoutWill, Malformed),
        (b"\x16\0\x3c\0\0\x01c\0\0\x01w\0\0", Violation::QosTwo(PacketKind::Connect), QosNotSupported),
        (b"\x1e\0\x3c\0\0\x01c\0\0\x01w\0\0", Violation::WillQosThree, Malformed),
        (b"\x06\0\x3c\0\0\x01c", truncated("property length"), Malformed),
        (b"\x06\0\x3c\0\0\x01c\0", truncated("will topic"), Malformed),
        (b"\x06\0\x3c\0\0\x01c\0\0\x01w", truncated("will message"), Malformed),
        // 3.1.1's will, without properties: the topic's length is taken for theirs.
        (b"\x06\0\x3c\0\0\x01c\0\x01w\0\0", truncated("will topic"), Malformed),
        (b"\x06\0\x3c\0\0\x01c\0\0\0\0\0", topic("will topic", TopicError::Empty), ProtocolError),
        (b"\x06\0\x3c\0\0\x01c\0\0\x01+\0\0", topic("will topic", TopicError::Wildcard), TopicNameInvalid),
        (b"\x06\0\x3c\0\0\x01c\0\0\x01\0\0\0", topic("will topic", TopicError::Nul), Malformed),
        (b"\x06\0\x3c\0\0\x01c\0\0\x01\xff\0\0", Violation::NotUtf8("will topic"), Malformed),
        (b"\x82\0\x3c\0\0\x01c", truncated("user name"), Malformed),
        (b"\xc2\0\x3c\0\0\x01c\0\0", truncated("password"), Malformed),
        (b"\x42\0\x3c\0\0\x01c", truncated("password"), Malformed),
        (b"\x02\0\x3c\0\0\x01c\0", trailing, Malformed),
        (b"\x02\0\x3c\0\0\x01\0", Violation::Nul("client identifier"), Malformed),
        (b"\x02\0\x3c\0\0\x01\xc0", Violation::NotUtf8("client identifier"), Malformed),
        (b"\x82\0\x3c\0\0\x01c\0\x01\0", Violation::Nul("user name"), Malformed),
        (b"\x82\0\x3c\0\0\x01c\0\x01\xc0", Violation::NotUtf8("user name"), Malformed),
        // Values out of their ranges (3.1.2.11).
        (b"\x02\0\x3c\x03\x21\0\0\0\x01c", value("receive maximum", 0), ProtocolError),
        (b"\x02\0\x3c\x05\x27\0\0\0\0\0\x01c", value("maximum packet size", 0), ProtocolError),
        (b"\x02\0\x3c\x02\x17\x02\0\x01c", value("request problem information", 2), ProtocolError),
        (b"\x02\0\x3c\x02\x19\x02\0\x01c", value("request response information", 2), ProtocolError),
        (b"\x02\0\x3c\x02\x19\xff\0\x01c", value("request response information", 255), ProtocolError),
        (
            b"\x02\0\x3c\x04\x16\0\x01d\0\x01c",
            Violation::AuthenticationMethod(PacketKind::Connect),
            ProtocolError,
        ),
        (b"\x02\0\x3c\x04\x15\0\x01\0\0\x01c", Violation::Nul("authentication method"), Malformed),
        (b"\x02\0\x3c\x04\x15\0\x01\xff\0\x01c", Violation::NotUtf8("authentication method"), Malformed),
        (b"\x06\0\x3c\0\0\x01c\x02\x01\x02\0\x01w\0\0", value("payload format indicator", 2), ProtocolError),
        (
            b"\x06\0\x3c\0\0\x01c\x04\x08\0\x01#\0\x01w\0\0",
            topic("response topic", TopicError::Wildcard),
            TopicNameInvalid,
        ),
    ];
    for (rest, expected, reason) in rows {
        refuses_5(&[(&framed(0x10, &[HELLO, rest]), *expected, *reason)], Sender::Client);
        refuses(&framed(0x10, &[HELLO, rest]), Sender::Client, *expected);
    }
    let names: &[Refused<'_>] = &[
        (b"\x10\x07\0\x04MQTt\x05", Violation::ProtocolName, UnsupportedProtocolVersion),
        (b"\x10\x07\0\x04MQTT\x06", Violation::UnsupportedLevel(6), UnsupportedProtocolVersion),
        (
            b"\x10\x8e\0\0\x04MQTT\x05\x02\0\x3c\0\0\x01c",
            Violation::OverlongInteger("remaining length"),
            Malformed,
        ),
    ];
    for (bytes, expected, reason) in names {
        assert_eq!(decode(bytes, Sender::Client, Version::V5, MAX), Err(*expected), "{bytes:02x?}");
        assert_eq!(decode(bytes, Sender::Client, Version::V311, MAX), Err(*expected), "{bytes:02x?}");
        assert_eq!(expected.reason(), *reason);
    }
}
