//! PUBLISH of MQTT 5 (section 3.3). That each property is allowed where it is, comes once and is not cut is in
//! `properties`.

use super::*;
use ReasonCode::{
    MalformedPacket as Malformed, ProtocolError, QosNotSupported, TopicAliasInvalid, TopicNameInvalid,
};

const PLAIN: Publish<'_> = Publish::new("a/b", &[]);

fn with(properties: PublishProperties<'_>) -> Publish<'_> {
    Publish { properties, ..PLAIN }
}

#[test]
fn publishes_are_read_as_section_3_3_draws_them() {
    let acknowledged = Publish { qos: QoS::AtLeastOnce, id: Some(id(10)), ..PLAIN };
    let rows: &[(&[u8], Publish<'_>)] = &[
        (b"\x30\x06\0\x03a/b\0", PLAIN),
        (b"\x31\x06\0\x03a/b\0", Publish { retain: true, ..PLAIN }),
        (b"\x30\x08\0\x03a/b\0\0\xff", Publish { payload: &[0, 255], ..PLAIN }),
        (b"\x32\x08\0\x03a/b\0\x0a\0", acknowledged),
        (b"\x33\x08\0\x03a/b\0\x0a\0", Publish { retain: true, ..acknowledged }),
        (b"\x3a\x08\0\x03a/b\0\x0a\0", Publish { dup: true, ..acknowledged }),
        (b"\x3b\x08\0\x03a/b\0\x0a\0", Publish { dup: true, retain: true, ..acknowledged }),
        (b"\x32\x09\0\x03a/b\0\x0a\0p", Publish { payload: b"p", ..acknowledged }),
        // [MQTT-1.5.4-3], and control characters, which should not be sent but may.
        (b"\x30\x06\0\x03\xef\xbb\xbf\0", Publish { topic: "\u{feff}", ..PLAIN }),
        (b"\x30\x05\0\x02\x01\x7f\0", Publish { topic: "\x01\x7f", ..PLAIN }),
        (b"\x30\x06\0\x03\xef\xbf\xbf\0", Publish { topic: "\u{ffff}", ..PLAIN }),
        // A receiver may check that a payload called UTF-8 is (3.3.2.3.2); this one leaves it to the reader.
        (
            b"\x30\x09\0\x03a/b\x02\x01\x01\xff",
            Publish {
                payload: &[255],
                ..with(PublishProperties { payload_is_utf8: Some(true), ..PublishProperties::NONE })
            },
        ),
    ];
    for (bytes, expected) in rows {
        accepts_5(bytes, Sender::Client, Packet::Publish(*expected));
        accepts_5(bytes, Sender::Server, Packet::Publish(*expected));
    }
}

#[test]
fn properties_of_a_publish_are_read_with_their_values() {
    let none = PublishProperties::NONE;
    let alias = NonZeroU16::new;
    let two: &[u8] = b"\x26\0\x01k\0\x01v\x26\0\x01k\0\x01w";
    let two = UserProperties::from_block(two).unwrap();
    let apart = UserProperties::from_block(b"\x26\0\x01k\0\x01v\x26\0\x01a\0\x01b").unwrap();
    let empty = UserProperties::from_block(b"\x26\0\0\0\0").unwrap();
    let all = PublishProperties {
        payload_is_utf8: Some(true),
        message_expiry_s: Some(60),
        topic_alias: alias(1),
        response_topic: Some("r"),
        correlation_data: Some(b"c"),
        content_type: Some("t"),
        user: UserProperties::NONE,
    };
    let full = Publish { payload: b"p", qos: QoS::AtLeastOnce, id: Some(id(10)), ..with(all) };
    let rows: &[(&[u8], Publish<'_>)] = &[
        (b"\x30\x08\0\x03a/b\x02\x01\0", with(PublishProperties { payload_is_utf8: Some(false), ..none })),
        (b"\x30\x08\0\x03a/b\x02\x01\x01", with(PublishProperties { payload_is_utf8: Some(true), ..none })),
        (b"\x30\x0b\0\x03a/b\x05\x02\0\0\0\0", with(PublishProperties { message_expiry_s: Some(0), ..none })),
        (
            b"\x30\x0b\0\x03a/b\x05\x02\x01\x02\x03\x04",
            with(PublishProperties { message_expiry_s: Some(16_909_060), ..none }),
        ),
        (
            b"\x30\x0b\0\x03a/b\x05\x02\xff\xff\xff\xff",
            with(PublishProperties { message_expiry_s: Some(u32::MAX), ..none }),
        ),
        (b"\x30\x09\0\x03a/b\x03\x23\0\x01", with(PublishProperties { topic_alias: alias(1), ..none })),
        (
            b"\x30\x09\0\x03a/b\x03\x23\xff\xff",
            with(PublishProperties { topic_alias: alias(65_535), ..none }),
        ),
        (
            b"\x30\x06\0\0\x03\x23\x01\x02",
            Publish { topic: "", ..with(PublishProperties { topic_alias: alias(258), ..none }) },
        ),
        (
            b"\x30\x0b\0\x03a/b\x05\x08\0\x02r/",
            with(PublishProperties { response_topic: Some("r/"), ..none }),
        ),
        (
            b"\x30\x0b\0\x03a/b\x05\x09\0\x02\0\xff",
            with(PublishProperties { correlation_data: Some(&[0, 255]), ..none }),
        ),
        (b"\x30\x09\0\x03a/b\x03\x09\0\0", with(PublishProperties { correlation_data: Some(&[]), ..none })),
        (b"\x30\x0a\0\x03a/b\x04\x03\0\x01j", with(PublishProperties { content_type: Some("j"), ..none })),
        (b"\x30\x09\0\x03a/b\x03\x03\0\0", with(PublishProperties { content_type: Some(""), ..none })),
        (b"\x30\x0d\0\x03a/b\x07\x26\0\x01k\0\x01v", with(PublishProperties { user: k_is_v(), ..none })),
        // The same name twice, in its order ([MQTT-3.3.2-18]).
        (
            b"\x30\x14\0\x03a/b\x0e\x26\0\x01k\0\x01v\x26\0\x01k\0\x01w",
            with(PublishProperties { user: two, ..none }),
        ),
        // Another property between two user properties.
        (
            b"\x30\x19\0\x03a/b\x13\x26\0\x01k\0\x01v\x02\0\0\0\x01\x26\0\x01a\0\x01b",
            with(PublishProperties { message_expiry_s: Some(1), user: apart, ..none }),
        ),
        (b"\x30\x0b\0\x03a/b\x05\x26\0\0\0\0", with(PublishProperties { user: empty, ..none })),
        // All of them, and all of them the other way round: "there is no significance in the order" (2.2.2.2).
        (
            b"\x32\x1f\0\x03a/b\0\x0a\x16\x23\0\x01\x01\x01\x02\0\0\0\x3c\x08\0\x01r\x09\0\x01c\x03\0\x01tp",
            full,
        ),
        (
            b"\x32\x1f\0\x03a/b\0\x0a\x16\x03\0\x01t\x09\0\x01c\x08\0\x01r\x02\0\0\0\x3c\x01\x01\x23\0\x01p",
            full,
        ),
    ];
    for (bytes, expected) in rows {
        accepts_5(bytes, Sender::Client, Packet::Publish(*expected));
        accepts_5(bytes, Sender::Server, Packet::Publish(*expected));
    }
    // A block whose length takes two bytes: a content type of 125 bytes makes 128.
    let long = [b'x'; 125];
    let bytes = framed(0x30, &[b"\0\x03a/b\x80\x01\x03\0\x7d", &long]);
    let text = std::str::from_utf8(&long).unwrap();
    let expected = with(PublishProperties { content_type: Some(text), ..none });
    accepts_5(&bytes, Sender::Client, Packet::Publish(expected));
}

#[test]
fn subscription_identifiers_come_from_servers_and_are_not_kept() {
    let rows: &[&[u8]] = &[
        b"\x30\x08\0\x03a/b\x02\x0b\x01",
        b"\x30\x0a\0\x03a/b\x04\x0b\x01\x0b\x02",
        b"\x30\x09\0\x03a/b\x03\x0b\x80\x01",
        b"\x30\x0b\0\x03a/b\x05\x0b\xff\xff\xff\x7f",
    ];
    for bytes in rows {
        accepts_5(bytes, Sender::Server, Packet::Publish(PLAIN));
        let (packet, property) = (PacketKind::Publish, "subscription identifier");
        let expected = Violation::PropertySender { packet, sender: "client", property };
        refuses_5(&[(bytes, expected, ProtocolError)], Sender::Client);
    }
    let field = "subscription identifier";
    let truncated = Violation::Truncated { packet: PacketKind::Publish, field };
    let bad: &[Refused<'_>] = &[
        (
            b"\x30\x08\0\x03a/b\x02\x0b\0",
            Violation::PropertyValue { property: field, value: 0 },
            ProtocolError,
        ),
        (b"\x30\x09\0\x03a/b\x03\x0b\x81\0", Violation::OverlongInteger(field), Malformed),
        (b"\x30\x0b\0\x03a/b\x05\x0b\x80\x80\x80\x80", Violation::UnendedInteger(field), Malformed),
        (b"\x30\x08\0\x03a/b\x02\x0b\x80", truncated, Malformed),
    ];
    refuses_5(bad, Sender::Server);
}

#[test]
fn bad_publishes_are_refused() {
    let topic = |error| Violation::Topic { field: "topic name", error };
    let response = |error| Violation::Topic { field: "response topic", error };
    let truncated = |field| Violation::Truncated { packet: PacketKind::Publish, field };
    let rows: &[Refused<'_>] = &[
        (b"\x34", Violation::QosTwo(PacketKind::Publish), QosNotSupported),
        (b"\x3d", Violation::QosTwo(PacketKind::Publish), QosNotSupported),
        (b"\x36", Violation::QosThree, Malformed),
        (b"\x3e", Violation::QosThree, Malformed),
        (b"\x38", Violation::DupAtMostOnce, Malformed),
        (b"\x39", Violation::DupAtMostOnce, Malformed),
        (b"\x32\x06\0\x01a\0\0\0", Violation::ZeroPacketId(PacketKind::Publish), ProtocolError),
        (b"\x32\x04\0\x01a\0", truncated("packet identifier"), Malformed),
        (b"\x30\x00", truncated("topic name"), Malformed),
        (b"\x30\x01\0", truncated("topic name"), Malformed),
        (b"\x30\x03\0\x02a", truncated("topic name"), Malformed),
        (b"\x30\x03\0\0\0", Violation::NoTopic, ProtocolError),
        (b"\x30\x05\0\0\x02\x01\x01", Violation::NoTopic, ProtocolError),
        (b"\x30\x04\0\x01#\0", topic(TopicError::Wildcard), TopicNameInvalid),
        (b"\x30\x06\0\x03a/+\0", topic(TopicError::Wildcard), TopicNameInvalid),
        (b"\x30\x05\0\x02a\0\0", topic(TopicError::Nul), Malformed),
        (b"\x30\x04\0\x01\xff\0", Violation::NotUtf8("topic name"), Malformed),
        (b"\x30\x06\0\x03\xed\xbf\xbf\0", Violation::NotUtf8("topic name"), Malformed),
        (b"\x30\x05\0\x02\xc0\x80\0", Violation::NotUtf8("topic name"), Malformed),
        // The block of properties: [MQTT-2.2.2-1], [MQTT-1.5.5-1].
        (b"\x30\x03\0\x01a", truncated("property length"), Malformed),
        (b"\x30\x04\0\x01a\x80", truncated("property length"), Malformed),
        (b"\x30\x05\0\x01a\x80\0", Violation::OverlongInteger("property length"), Malformed),
        (b"\x30\x08\0\x01a\x80\x80\x80\x80\x01", Violation::UnendedInteger("property length"), Malformed),
        (b"\x30\x04\0\x01a\x01", truncated("properties"), Malformed),
        (b"\x30\x06\0\x01a\x03\x01\x01", truncated("properties"), Malformed),
        (b"\x30\x07\0\x01a\x03\x81\0\x01", Violation::OverlongInteger("property identifier"), Malformed),
        (b"\x30\x08\0\x01a\x04\xff\xff\xff\xff", Violation::UnendedInteger("property identifier"), Malformed),
        (b"\x30\x05\0\x01a\x01\x80", truncated("property identifier"), Malformed),
        (b"\x30\x05\0\x01a\x01\0", Violation::UnknownProperty(0), Malformed),
        (b"\x30\x06\0\x01a\x02\x04\0", Violation::UnknownProperty(4), Malformed),
        (b"\x30\x06\0\x01a\x02\x0a\0", Violation::UnknownProperty(10), Malformed),
        (b"\x30\x06\0\x01a\x02\x14\0", Violation::UnknownProperty(20), Malformed),
        (b"\x30\x06\0\x01a\x02\x1b\0", Violation::UnknownProperty(27), Malformed),
        (b"\x30\x06\0\x01a\x02\x20\0", Violation::UnknownProperty(32), Malformed),
        (b"\x30\x06\0\x01a\x02\x2b\0", Violation::UnknownProperty(43), Malformed),
        (b"\x30\x06\0\x01a\x02\x80\x01", Violation::UnknownProperty(128), Malformed),
        // A property that only seems whole because of the payload behind the block.
        (b"\x30\x07\0\x01a\x02\x23\0\x01", truncated("topic alias"), Malformed),
        // Values.
        (
            b"\x30\x06\0\x01a\x02\x01\x02",
            Violation::PropertyValue { property: "payload format indicator", value: 2 },
            ProtocolError,
        ),
        (b"\x30\x07\0\x01a\x03\x23\0\0", Violation::ZeroTopicAlias, TopicAliasInvalid),
        (b"\x30\x06\0\0\x03\x23\0\0", Violation::ZeroTopicAlias, TopicAliasInvalid),
        (b"\x30\x08\0\x01a\x04\x08\0\x01#", response(TopicError::Wildcard), TopicNameInvalid),
        (b"\x30\x0a\0\x01a\x06\x08\0\x03a/+", response(TopicError::Wildcard), TopicNameInvalid),
        (b"\x30\x07\0\x01a\x03\x08\0\0", response(TopicError::Empty), ProtocolError),
        (b"\x30\x08\0\x01a\x04\x08\0\x01\0", Violation::Nul("response topic"), Malformed),
        (b"\x30\x08\0\x01a\x04\x08\0\x01\xff", Violation::NotUtf8("response topic"), Malformed),
        (b"\x30\x08\0\x01a\x04\x03\0\x01\0", Violation::Nul("content type"), Malformed),
        (b"\x30\x08\0\x01a\x04\x03\0\x01\x80", Violation::NotUtf8("content type"), Malformed),
        // [MQTT-1.5.7-1].
        (b"\x30\x0a\0\x01a\x06\x26\0\x01\0\0\0", Violation::Nul("user property name"), Malformed),
        (b"\x30\x0a\0\x01a\x06\x26\0\x01\xff\0\0", Violation::NotUtf8("user property name"), Malformed),
        (b"\x30\x0a\0\x01a\x06\x26\0\0\0\x01\0", Violation::Nul("user property value"), Malformed),
        (b"\x30\x0a\0\x01a\x06\x26\0\0\0\x01\xff", Violation::NotUtf8("user property value"), Malformed),
        (b"\x30\x08\0\x01a\x04\x26\0\x01k", truncated("user property value"), Malformed),
        (b"\x30\x06\0\x01a\x02\x26\0", truncated("user property name"), Malformed),
    ];
    refuses_5(rows, Sender::Client);
    refuses_5(rows, Sender::Server);
}

/// The longest string there is ([MQTT-4.7.3-3], 1.5.4): 65,535 bytes.
#[test]
fn the_longest_strings_are_read() {
    let long = "x".repeat(65_535);
    let (length, bytes): (&[u8], &[u8]) = (b"\xff\xff", long.as_bytes());
    // The block: 3 bytes and the text, 65,538 in all, which takes three bytes to say.
    let properties = PublishProperties { content_type: Some(&long), ..PublishProperties::NONE };
    let expected = Publish { properties, ..Publish::new(&long, b"p") };
    let packet = framed(0x30, &[length, bytes, b"\x82\x80\x04\x03", length, bytes, b"p"]);
    let read = decode(&packet, Sender::Client, Version::V5, MAX);
    assert_eq!(read, Ok(Some((Packet::Publish(expected), packet.len()))));
}
