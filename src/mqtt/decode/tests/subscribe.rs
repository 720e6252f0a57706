//! SUBSCRIBE and UNSUBSCRIBE of both versions (sections 3.8 and 3.10).

use super::*;
use crate::mqtt::{FilterRequest, RetainHandling, Subscribe, Unsubscribe};
use PacketKind as Kind;
use QoS::{AtLeastOnce, AtMostOnce};
use ReasonCode::{MalformedPacket as Malformed, ProtocolError, TopicFilterInvalid};

fn filter(error: TopicError) -> Violation {
    Violation::Topic { field: "topic filter", error }
}

fn truncated(packet: PacketKind, field: &'static str) -> Violation {
    Violation::Truncated { packet, field }
}

/// Reads a SUBSCRIBE, which must be whole and nothing more.
fn subscribe(version: Version, bytes: &[u8]) -> Subscribe<'_> {
    for end in 0..bytes.len() {
        assert_eq!(decode(&bytes[..end], Sender::Client, version, MAX), Ok(None), "{end} of {bytes:02x?}");
    }
    match decode(bytes, Sender::Client, version, MAX) {
        Ok(Some((Packet::Subscribe(packet), used))) if used == bytes.len() => packet,
        other => panic!("{bytes:02x?} is {other:?}"),
    }
}

fn unsubscribe(version: Version, bytes: &[u8]) -> Unsubscribe<'_> {
    match decode(bytes, Sender::Client, version, MAX) {
        Ok(Some((Packet::Unsubscribe(packet), used))) if used == bytes.len() => packet,
        other => panic!("{bytes:02x?} is {other:?}"),
    }
}

#[test]
fn subscriptions_of_3_1_1_are_read_as_drawn() {
    let packet = subscribe(Version::V311, b"\x82\x10\0\x0a\0\x03a/b\x01\0\x01#\x02\0\x01+\0");
    // QoS 2 is shown as the most that can be granted.
    let expected = [("a/b", AtLeastOnce), ("#", AtLeastOnce), ("+", AtMostOnce)];
    let expected = expected.map(|(filter, qos)| FilterRequest::new(filter, qos));
    assert_eq!(packet.filters().collect::<Vec<_>>(), expected);
    assert_eq!((packet.id, packet.subscription_id, packet.user.is_empty()), (id(10), None, true));
    // A share name means nothing to this version; who serves it looks for itself.
    let packet = subscribe(Version::V311, b"\x82\x0c\0\x0a\0\x07$share/\0");
    assert_eq!(packet.filters().next(), Some(FilterRequest::new("$share/", AtMostOnce)));

    let packet = unsubscribe(Version::V311, b"\xa2\x0a\0\x0b\0\x03a/b\0\x01#");
    assert_eq!((packet.id, packet.filters().collect::<Vec<_>>()), (id(11), vec!["a/b", "#"]));
}

#[test]
fn bad_subscriptions_of_3_1_1_are_refused() {
    let rows: &[(&[u8], Violation)] = &[
        (b"\x82\x01\0", truncated(Kind::Subscribe, "packet identifier")),
        (b"\x82\x02\0\x01", Violation::NoFilter(Kind::Subscribe)),
        (b"\x82\x06\0\0\0\x01a\0", Violation::ZeroPacketId(Kind::Subscribe)),
        (b"\x82\x05\0\x01\0\x01a", truncated(Kind::Subscribe, "subscription options")),
        (b"\x82\x05\0\x01\0\0\0", filter(TopicError::Empty)),
        (b"\x82\x06\0\x01\0\x01a\x03", Violation::RequestedQos(3)),
        // What are options in MQTT 5 is reserved here ([MQTT-3-8.3-4]).
        (b"\x82\x06\0\x01\0\x01a\x04", Violation::RequestedQos(4)),
        (b"\x82\x06\0\x01\0\x01a\x81", Violation::RequestedQos(0x81)),
        (b"\x82\x07\0\x01\0\x02a#\0", filter(TopicError::MisplacedHash)),
        (b"\x82\x07\0\x01\0\x02a+\0", filter(TopicError::MisplacedPlus)),
        (b"\x82\x06\0\x01\0\x01\0\0", filter(TopicError::Nul)),
        (b"\x82\x06\0\x01\0\x01\xff\0", Violation::NotUtf8("topic filter")),
        (b"\x82\x07\0\x01\0\x01a\0\0", truncated(Kind::Subscribe, "topic filter")),
        // The second filter is looked at as the first is.
        (b"\x82\x0a\0\x01\0\x01a\0\0\x01b\x03", Violation::RequestedQos(3)),
        (b"\xa2\x01\0", truncated(Kind::Unsubscribe, "packet identifier")),
        (b"\xa2\x02\0\x01", Violation::NoFilter(Kind::Unsubscribe)),
        (b"\xa2\x05\0\0\0\x01a", Violation::ZeroPacketId(Kind::Unsubscribe)),
        (b"\xa2\x05\0\x01\0\x02a", truncated(Kind::Unsubscribe, "topic filter")),
        (b"\xa2\x04\0\x01\0\0", filter(TopicError::Empty)),
        (b"\xa2\x05\0\x01\0\x01\xff", Violation::NotUtf8("topic filter")),
        (b"\xa2\x07\0\x01\0\x03#/a", filter(TopicError::MisplacedHash)),
    ];
    for (bytes, expected) in rows {
        refuses(bytes, Sender::Client, *expected);
    }
}

#[test]
fn subscription_options_of_mqtt_5_are_read_bit_by_bit() {
    let plain = FilterRequest::new("f", AtMostOnce);
    let rows: &[(u8, FilterRequest<'_>)] = &[
        (0b0000_0000, plain),
        (0b0000_0001, FilterRequest { qos: AtLeastOnce, ..plain }),
        (0b0000_0010, FilterRequest { qos: AtLeastOnce, ..plain }),
        (0b0000_0100, FilterRequest { no_local: true, ..plain }),
        (0b0000_1000, FilterRequest { retain_as_published: true, ..plain }),
        (0b0001_0000, FilterRequest { retain_handling: RetainHandling::SendIfNew, ..plain }),
        (0b0010_0000, FilterRequest { retain_handling: RetainHandling::DoNotSend, ..plain }),
        (
            0b0010_1101,
            FilterRequest {
                qos: AtLeastOnce,
                no_local: true,
                retain_as_published: true,
                retain_handling: RetainHandling::DoNotSend,
                ..plain
            },
        ),
    ];
    for (options, expected) in rows {
        let bytes = [0x82, 7, 0, 10, 0, 0, 1, b'f', *options];
        let packet = subscribe(Version::V5, &bytes);
        assert_eq!(packet.filters().collect::<Vec<_>>(), [*expected], "{options:#010b}");
    }
}

#[test]
fn subscriptions_of_mqtt_5_are_read_as_drawn() {
    // The example of section 3.8.3, figure 3-22: "a/b" with QoS 1 and "c/d" with QoS 2.
    let packet = subscribe(Version::V5, b"\x82\x0f\0\x0a\0\0\x03a/b\x01\0\x03c/d\x02");
    let expected = [FilterRequest::new("a/b", AtLeastOnce), FilterRequest::new("c/d", AtLeastOnce)];
    assert_eq!(packet.filters().collect::<Vec<_>>(), expected);
    assert_eq!((packet.id, packet.subscription_id, packet.user.is_empty()), (id(10), None, true));

    let identifiers: &[(&[u8], u32)] = &[
        (b"\x82\x09\0\x0a\x02\x0b\x01\0\x01f\0", 1),
        (b"\x82\x09\0\x0a\x02\x0b\x7f\0\x01f\0", 127),
        (b"\x82\x0a\0\x0a\x03\x0b\x80\x01\0\x01f\0", 128),
        (b"\x82\x0c\0\x0a\x05\x0b\xff\xff\xff\x7f\0\x01f\0", 268_435_455),
    ];
    for (bytes, expected) in identifiers {
        assert_eq!(subscribe(Version::V5, bytes).subscription_id, Some(*expected), "{bytes:02x?}");
    }
    let packet = subscribe(Version::V5, b"\x82\x0e\0\x0a\x07\x26\0\x01k\0\x01v\0\x01f\0");
    assert_eq!(packet.user, k_is_v());
    let packet = subscribe(Version::V5, b"\x82\x10\0\x0a\0\0\x0a$share/a/#\x01");
    assert_eq!(packet.filters().next(), Some(FilterRequest::new("$share/a/#", AtLeastOnce)));
}

#[test]
fn unsubscriptions_of_mqtt_5_are_read_as_drawn() {
    let packet = unsubscribe(Version::V5, b"\xa2\x0d\0\x0b\0\0\x03a/b\0\x03c/d");
    assert_eq!((packet.id, packet.filters().collect::<Vec<_>>()), (id(11), vec!["a/b", "c/d"]));
    let packet = unsubscribe(Version::V5, b"\xa2\x0d\0\x0b\x07\x26\0\x01k\0\x01v\0\x01f");
    assert_eq!((packet.user, packet.filters().collect::<Vec<_>>()), (k_is_v(), vec!["f"]));
}

#[test]
fn bad_subscriptions_of_mqtt_5_are_refused() {
    let identifier = "subscription identifier";
    let rows: &[Refused<'_>] = &[
        (b"\x82\x01\0", truncated(Kind::Subscribe, "packet identifier"), Malformed),
        (b"\x82\x02\0\x0a", truncated(Kind::Subscribe, "property length"), Malformed),
        // [MQTT-3.8.3-2], [MQTT-3.10.3-2].
        (b"\x82\x03\0\x0a\0", Violation::NoFilter(Kind::Subscribe), ProtocolError),
        (b"\x82\x07\0\0\0\0\x01f\0", Violation::ZeroPacketId(Kind::Subscribe), ProtocolError),
        (b"\x82\x06\0\x0a\0\0\x01f", truncated(Kind::Subscribe, "subscription options"), Malformed),
        (b"\x82\x08\0\x0a\0\0\x01f\0\0", truncated(Kind::Subscribe, "topic filter"), Malformed),
        (b"\x82\x06\0\x0a\0\0\0\0", filter(TopicError::Empty), ProtocolError),
        (b"\x82\x07\0\x0a\0\0\x01\0\0", filter(TopicError::Nul), Malformed),
        (b"\x82\x07\0\x0a\0\0\x01\xff\0", Violation::NotUtf8("topic filter"), Malformed),
        (b"\x82\x08\0\x0a\0\0\x02a#\0", filter(TopicError::MisplacedHash), TopicFilterInvalid),
        (b"\x82\x08\0\x0a\0\0\x02a+\0", filter(TopicError::MisplacedPlus), TopicFilterInvalid),
        (b"\x82\x07\0\x0a\0\0\x01f\x03", Violation::RequestedQos(3), ProtocolError),
        (b"\x82\x07\0\x0a\0\0\x01f\x30", Violation::RetainHandling(0x30), ProtocolError),
        (b"\x82\x07\0\x0a\0\0\x01f\x40", Violation::SubscribeReserved(0x40), Malformed),
        (b"\x82\x07\0\x0a\0\0\x01f\x80", Violation::SubscribeReserved(0x80), Malformed),
        (b"\x82\x0b\0\x0a\0\0\x01f\0\0\x01g\xc0", Violation::SubscribeReserved(0xc0), Malformed),
        (
            b"\x82\x09\0\x0a\x02\x0b\0\0\x01f\0",
            Violation::PropertyValue { property: identifier, value: 0 },
            ProtocolError,
        ),
        (b"\x82\x0a\0\x0a\x03\x0b\x81\0\0\x01f\0", Violation::OverlongInteger(identifier), Malformed),
        (
            b"\x82\x0c\0\x0a\x05\x0b\xff\xff\xff\xff\0\x01f\0",
            Violation::UnendedInteger(identifier),
            Malformed,
        ),
        // Shared subscriptions: [MQTT-3.8.3-4], [MQTT-4.8.2-1], [MQTT-4.8.2-2].
        (b"\x82\x10\0\x0a\0\0\x0a$share/a/b\x04", Violation::SharedNoLocal, ProtocolError),
        (b"\x82\x0d\0\x0a\0\0\x07$share/\0", filter(TopicError::EmptyShareName), TopicFilterInvalid),
        (b"\x82\x0f\0\x0a\0\0\x09$share//b\0", filter(TopicError::EmptyShareName), TopicFilterInvalid),
        (b"\x82\x10\0\x0a\0\0\x0a$share/+/b\0", filter(TopicError::ShareNameWildcard), TopicFilterInvalid),
        (b"\x82\x0e\0\x0a\0\0\x08$share/a\0", filter(TopicError::NoSharedFilter), TopicFilterInvalid),
        (b"\x82\x0f\0\x0a\0\0\x09$share/a/\0", filter(TopicError::NoSharedFilter), TopicFilterInvalid),
        (b"\xa2\x02\0\x0a", truncated(Kind::Unsubscribe, "property length"), Malformed),
        (b"\xa2\x03\0\x0a\0", Violation::NoFilter(Kind::Unsubscribe), ProtocolError),
        (b"\xa2\x06\0\0\0\0\x01f", Violation::ZeroPacketId(Kind::Unsubscribe), ProtocolError),
        (b"\xa2\x05\0\x0a\0\0\0", filter(TopicError::Empty), ProtocolError),
        (b"\xa2\x06\0\x0a\0\0\x02f", truncated(Kind::Unsubscribe, "topic filter"), Malformed),
        (b"\xa2\x08\0\x0a\0\0\x03#/a", filter(TopicError::MisplacedHash), TopicFilterInvalid),
        (b"\xa2\x0d\0\x0a\0\0\x08$share/a", filter(TopicError::NoSharedFilter), TopicFilterInvalid),
    ];
    refuses_5(rows, Sender::Client);
}
