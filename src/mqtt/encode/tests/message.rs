//! PUBLISH and PUBACK (sections 3.3 and 3.4 of both standards).

use std::num::NonZeroU16;

use super::*;

#[test]
fn publishes_are_written_as_section_3_3_draws_them() {
    let plain = Publish::new("a/b", b"");
    let acknowledged = Publish { qos: QoS::AtLeastOnce, id: Some(id(10)), ..plain };
    // The same message in 3.1.1 and in MQTT 5.
    let rows: &[(Publish<'_>, &[u8], &[u8])] = &[
        (plain, b"\x30\x05\0\x03a/b", b"\x30\x06\0\x03a/b\0"),
        (Publish { retain: true, ..plain }, b"\x31\x05\0\x03a/b", b"\x31\x06\0\x03a/b\0"),
        (Publish { payload: &[0, 255], ..plain }, b"\x30\x07\0\x03a/b\0\xff", b"\x30\x08\0\x03a/b\0\0\xff"),
        (acknowledged, b"\x32\x07\0\x03a/b\0\x0a", b"\x32\x08\0\x03a/b\0\x0a\0"),
        (Publish { dup: true, ..acknowledged }, b"\x3a\x07\0\x03a/b\0\x0a", b"\x3a\x08\0\x03a/b\0\x0a\0"),
        (
            Publish { dup: true, retain: true, id: Some(id(0xfffe)), ..acknowledged },
            b"\x3b\x07\0\x03a/b\xff\xfe",
            b"\x3b\x08\0\x03a/b\xff\xfe\0",
        ),
        (
            Publish { topic: "ä", payload: b"p", ..acknowledged },
            b"\x32\x07\0\x02\xc3\xa4\0\x0ap",
            b"\x32\x08\0\x02\xc3\xa4\0\x0a\0p",
        ),
    ];
    for (message, v311, v5) in rows {
        writes(|out| publish(out, Version::V311, message), v311);
        writes(|out| publish(out, Version::V5, message), v5);
    }
}

#[test]
fn properties_of_a_publish_are_written_in_mqtt_5_and_left_out_in_3_1_1() {
    let none = PublishProperties::NONE;
    let all = PublishProperties {
        payload_is_utf8: Some(true),
        message_expiry_s: Some(60),
        topic_alias: NonZeroU16::new(1),
        response_topic: Some("r"),
        correlation_data: Some(b"c"),
        content_type: Some("t"),
        user: k_is_v(),
    };
    let rows: &[(PublishProperties<'_>, &[u8])] = &[
        (PublishProperties { payload_is_utf8: Some(false), ..none }, b"\x30\x07\0\x01a\x02\x01\0p"),
        (PublishProperties { payload_is_utf8: Some(true), ..none }, b"\x30\x07\0\x01a\x02\x01\x01p"),
        (
            PublishProperties { message_expiry_s: Some(0), ..none },
            b"\x30\x0a\0\x01a\x05\x02\0\0\0\0p",
        ),
        (
            PublishProperties { message_expiry_s: Some(0x0102_0304), ..none },
            b"\x30\x0a\0\x01a\x05\x02\x01\x02\x03\x04p",
        ),
        (
            PublishProperties { topic_alias: NonZeroU16::new(0x0102), ..none },
            b"\x30\x08\0\x01a\x03\x23\x01\x02p",
        ),
        (PublishProperties { response_topic: Some("r/"), ..none }, b"\x30\x0a\0\x01a\x05\x08\0\x02r/p"),
        (
            PublishProperties { correlation_data: Some(&[0, 255]), ..none },
            b"\x30\x0a\0\x01a\x05\x09\0\x02\0\xffp",
        ),
        (PublishProperties { correlation_data: Some(&[]), ..none }, b"\x30\x08\0\x01a\x03\x09\0\0p"),
        (PublishProperties { content_type: Some("j"), ..none }, b"\x30\x09\0\x01a\x04\x03\0\x01jp"),
        (PublishProperties { content_type: Some(""), ..none }, b"\x30\x08\0\x01a\x03\x03\0\0p"),
        (PublishProperties { user: k_is_v(), ..none }, b"\x30\x0c\0\x01a\x07\x26\0\x01k\0\x01vp"),
        (
            all,
            b"\x30\x22\0\x01a\x1d\x23\0\x01\x01\x01\x02\0\0\0\x3c\x08\0\x01r\x09\0\x01c\x03\0\x01t\x26\0\x01k\0\x01vp",
        ),
    ];
    for (properties, expected) in rows {
        let message = Publish { properties: *properties, ..Publish::new("a", b"p") };
        writes(|out| publish(out, Version::V5, &message), expected);
        writes(|out| publish(out, Version::V311, &message), b"\x30\x04\0\x01ap");
    }
    // An alias in place of the topic.
    let properties = PublishProperties { topic_alias: NonZeroU16::new(7), ..none };
    let message = Publish { properties, ..Publish::new("", b"p") };
    writes(|out| publish(out, Version::V5, &message), b"\x30\x07\0\0\x03\x23\0\x07p");
}

/// The two lengths around their first bounds: 127 and 128 bytes of properties.
#[test]
fn a_long_block_of_properties_has_a_length_of_two_bytes() {
    for (text, lengths) in
        [("x".repeat(124), &b"\x83\x01\0\x01a\x7f"[..]), ("x".repeat(125), b"\x85\x01\0\x01a\x80\x01")]
    {
        let properties = PublishProperties { content_type: Some(&text), ..PublishProperties::NONE };
        let length = u8::try_from(text.len()).unwrap();
        let expected = [b"\x30", lengths, &[0x03, 0, length], text.as_bytes()].concat();
        let message = Publish { properties, ..Publish::new("a", b"") };
        writes(|out| publish(out, Version::V5, &message), &expected);
    }
}

#[test]
fn user_properties_are_written_in_their_order_and_without_what_stood_between_them() {
    let mut block = Vec::new();
    UserProperties::write([("b", "1"), ("a", "2"), ("b", "1")], &mut block).unwrap();
    assert_eq!(block, b"\x26\0\x01b\0\x011\x26\0\x01a\0\x012\x26\0\x01b\0\x011");
    let user = UserProperties::from_block(&block).unwrap();
    assert_eq!(user.iter().collect::<Vec<_>>(), [("b", "1"), ("a", "2"), ("b", "1")]);

    let mixed = b"\x30\x1a\0\x01a\x16\x26\0\x01k\0\x01v\x02\0\0\0\x01\x03\0\0\x26\0\x01a\0\x01b";
    let Ok(Some((crate::mqtt::Packet::Publish(read), _))) =
        crate::mqtt::decode(mixed, crate::mqtt::Sender::Server, Version::V5, 100)
    else {
        panic!("not a PUBLISH");
    };
    let properties = PublishProperties { user: read.properties.user, ..PublishProperties::NONE };
    let message = Publish { properties, ..Publish::new("a", b"") };
    let expected = b"\x30\x12\0\x01a\x0e\x26\0\x01k\0\x01v\x26\0\x01a\0\x01b";
    writes(|out| publish(out, Version::V5, &message), expected);
}

#[test]
fn a_block_of_user_properties_holds_nothing_else() {
    let long = "x".repeat(65_536);
    let mut out = vec![7];
    let field = "user property value";
    let too_long = EncodeError::FieldTooLong { field, length: 65_536 };
    assert_eq!(UserProperties::write([("a", "b"), ("a", &long)], &mut out), Err(too_long));
    assert_eq!(out, [7]);
    let bad: &[&[u8]] = &[
        b"\x26",
        b"\x26\0\x01k",
        b"\x26\0\x01k\0\x02v",
        b"\x26\0\x01\xff\0\0",
        b"\x26\0\x01k\0\x01\0",
        b"\x26\0\x01\0\0\0",
        b"\x01\x01",
        b"\x26\0\x01k\0\x01v\x02\0\0\0\x01",
    ];
    for block in bad {
        let refused = UserProperties::from_block(block);
        assert_eq!(refused, Err(crate::mqtt::Violation::UserProperties), "{block:02x?}");
    }
    assert!(UserProperties::from_block(b"").unwrap().is_empty());
}

#[test]
fn pubacks_are_as_short_as_section_3_4_allows() {
    let plain = PubAck::new(id(0x1234));
    let denied = PubAck { reason: ReasonCode::NotAuthorized, ..plain };
    let rows: &[(PubAck<'_>, &[u8])] = &[
        (plain, b"\x40\x02\x12\x34"),
        (denied, b"\x40\x03\x12\x34\x87"),
        (PubAck { reason: ReasonCode::NoMatchingSubscribers, ..plain }, b"\x40\x03\x12\x34\x10"),
        (PubAck { reason_string: Some("r"), ..denied }, b"\x40\x08\x12\x34\x87\x04\x1f\0\x01r"),
        (PubAck { user: k_is_v(), ..plain }, b"\x40\x0b\x12\x34\0\x07\x26\0\x01k\0\x01v"),
    ];
    for (puback_, expected) in rows {
        writes(|out| puback(out, Version::V5, puback_), expected);
        writes(|out| puback(out, Version::V311, puback_), b"\x40\x02\x12\x34");
    }
}
