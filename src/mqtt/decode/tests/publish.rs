//! PUBLISH of 3.1.1 (section 3.3).

use super::*;

#[test]
fn publishes_are_read_as_section_3_3_draws_them() {
    let plain = Publish::new("a/b", &[]);
    let acknowledged = Publish { qos: QoS::AtLeastOnce, id: Some(id(10)), ..plain };
    let rows: &[(&[u8], Publish<'_>)] = &[
        (b"\x30\x05\0\x03a/b", plain),
        (b"\x31\x05\0\x03a/b", Publish { retain: true, ..plain }),
        (b"\x30\x07\0\x03a/b\0\xff", Publish { payload: &[0, 255], ..plain }),
        (b"\x32\x07\0\x03a/b\0\x0a", acknowledged),
        (b"\x33\x07\0\x03a/b\0\x0a", Publish { retain: true, ..acknowledged }),
        (b"\x3a\x07\0\x03a/b\0\x0a", Publish { dup: true, ..acknowledged }),
        (b"\x3b\x07\0\x03a/b\0\x0a", Publish { dup: true, retain: true, ..acknowledged }),
        (b"\x32\x07\0\x03a/b\xff\xff", Publish { id: Some(id(65_535)), ..acknowledged }),
        // A byte-order mark is a character like any other ([MQTT-1.5.3-3]).
        (b"\x30\x05\0\x03\xef\xbb\xbf", Publish { topic: "\u{feff}", ..plain }),
        // Control characters should not be sent, but may (section 1.5.3); so may a space and an empty level.
        (b"\x30\x04\0\x02\x01\x7f", Publish { topic: "\x01\x7f", ..plain }),
        (b"\x30\x05\0\x03 //", Publish { topic: " //", ..plain }),
        // A non-character, which should not be sent either, and the largest character there is.
        (b"\x30\x05\0\x03\xef\xbf\xbf", Publish { topic: "\u{ffff}", ..plain }),
        (b"\x30\x06\0\x04\xf4\x8f\xbf\xbf", Publish { topic: "\u{10ffff}", ..plain }),
        // The same length in more bytes than it needs.
        (b"\x30\x85\x80\x80\x00\0\x03a/b", plain),
        // What would be properties in MQTT 5 is payload.
        (b"\x30\x08\0\x03a/b\x02\x01\x01", Publish { payload: &[2, 1, 1], ..plain }),
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
        (b"\x34", Violation::QosTwo(PacketKind::Publish)),
        (b"\x3c", Violation::QosTwo(PacketKind::Publish)),
        (b"\x36", Violation::QosThree),
        (b"\x3f", Violation::QosThree),
        (b"\x38", Violation::DupAtMostOnce),
        (b"\x39", Violation::DupAtMostOnce),
        (b"\x32\x05\0\x01a\0\0", Violation::ZeroPacketId(PacketKind::Publish)),
        (b"\x32\x04\0\x01a\0", truncated("packet identifier")),
        (b"\x32\x03\0\x01a", truncated("packet identifier")),
        (b"\x30\x00", truncated("topic name")),
        (b"\x30\x01\0", truncated("topic name")),
        (b"\x30\x03\0\x02a", truncated("topic name")),
        (b"\x30\x02\0\0", topic(TopicError::Empty)),
        (b"\x30\x03\0\x01#", topic(TopicError::Wildcard)),
        (b"\x30\x05\0\x03a/+", topic(TopicError::Wildcard)),
        (b"\x30\x04\0\x02a\0", topic(TopicError::Nul)),
        (b"\x30\x03\0\x01\xff", Violation::NotUtf8("topic name")),
        // A surrogate, U+D800 ([MQTT-1.5.3-1]), and an overlong NUL.
        (b"\x30\x05\0\x03\xed\xa0\x80", Violation::NotUtf8("topic name")),
        (b"\x30\x04\0\x02\xc0\x80", Violation::NotUtf8("topic name")),
        // One beyond U+10FFFF, and a character that is cut.
        (b"\x30\x06\0\x04\xf4\x90\x80\x80", Violation::NotUtf8("topic name")),
        (b"\x30\x04\0\x02\xe2\x82", Violation::NotUtf8("topic name")),
    ];
    for (bytes, expected) in rows {
        refuses(bytes, Sender::Client, *expected);
        refuses(bytes, Sender::Server, *expected);
    }
}
