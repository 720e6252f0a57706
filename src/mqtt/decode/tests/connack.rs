//! CONNACK of both versions (section 3.2).

use std::num::NonZeroU32;

use super::*;
use crate::mqtt::{ConnAck, ConnAckProperties};
use ReasonCode::{MalformedPacket as Malformed, ProtocolError, Success};

fn connack(session_present: bool, reason: ReasonCode) -> Packet<'static> {
    Packet::ConnAck(ConnAck { session_present, ..ConnAck::new(reason) })
}

#[test]
fn connacks_of_3_1_1_are_read_with_the_reason_their_code_means() {
    let rows: &[(&[u8], Packet<'_>)] = &[
        (b"\x20\x02\0\0", connack(false, Success)),
        (b"\x20\x02\x01\0", connack(true, Success)),
        (b"\x20\x02\0\x01", connack(false, ReasonCode::UnsupportedProtocolVersion)),
        (b"\x20\x02\0\x02", connack(false, ReasonCode::ClientIdentifierNotValid)),
        (b"\x20\x02\0\x03", connack(false, ReasonCode::ServerUnavailable)),
        (b"\x20\x02\0\x04", connack(false, ReasonCode::BadUserNameOrPassword)),
        (b"\x20\x02\0\x05", connack(false, ReasonCode::NotAuthorized)),
    ];
    for (bytes, expected) in rows {
        accepts(bytes, Sender::Server, *expected);
    }
    let bad: &[(&[u8], Violation)] = &[
        (b"\x20\x02\x02\0", Violation::ConnAckFlags(2)),
        (b"\x20\x02\x80\0", Violation::ConnAckFlags(0x80)),
        (b"\x20\x02\0\x06", Violation::ConnAckCode(6)),
        (b"\x20\x02\0\xff", Violation::ConnAckCode(255)),
        (b"\x20\x02\x01\x01", Violation::SessionPresentRefused),
        (b"\x20\x02\x01\x05", Violation::SessionPresentRefused),
    ];
    for (bytes, expected) in bad {
        refuses(bytes, Sender::Server, *expected);
    }
}

/// Table 3-1 of MQTT 5: these and no others.
#[test]
fn a_connack_of_mqtt_5_says_a_reason_of_its_table() {
    const TABLE: &[u8] = &[
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99,
        0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
    ];
    for code in 0..=u8::MAX {
        let bytes = [0x20, 3, 0, code, 0];
        if TABLE.contains(&code) {
            accepts_5(&bytes, Sender::Server, connack(false, ReasonCode::from_number(code).unwrap()));
        } else {
            let expected = Violation::Reason { packet: PacketKind::ConnAck, sender: "server", code };
            refuses_5(&[(&bytes, expected, ProtocolError)], Sender::Server);
        }
    }
}

#[test]
fn properties_of_a_connack_are_read_with_their_values() {
    let none = ConnAckProperties::NONE;
    let (number, size) = (NonZeroU16::new, NonZeroU32::new);
    let rows: &[(&[u8], ConnAckProperties<'_>)] = &[
        (b"\x00", none),
        (b"\x05\x11\0\0\0\0", ConnAckProperties { session_expiry_s: Some(0), ..none }),
        (b"\x05\x11\0\x01\x51\x80", ConnAckProperties { session_expiry_s: Some(86_400), ..none }),
        (b"\x03\x21\0\x01", ConnAckProperties { receive_maximum: number(1), ..none }),
        (b"\x03\x21\xff\xff", ConnAckProperties { receive_maximum: number(65_535), ..none }),
        (b"\x02\x24\0", ConnAckProperties { maximum_qos: Some(QoS::AtMostOnce), ..none }),
        (b"\x02\x24\x01", ConnAckProperties { maximum_qos: Some(QoS::AtLeastOnce), ..none }),
        (b"\x02\x25\0", ConnAckProperties { retain_available: Some(false), ..none }),
        (b"\x02\x25\x01", ConnAckProperties { retain_available: Some(true), ..none }),
        (b"\x05\x27\0\x02\0\0", ConnAckProperties { maximum_packet_size: size(131_072), ..none }),
        (b"\x05\x12\0\x02id", ConnAckProperties { assigned_client_id: Some("id"), ..none }),
        (b"\x03\x22\0\x08", ConnAckProperties { topic_alias_maximum: 8, ..none }),
        (b"\x05\x1f\0\x02no", ConnAckProperties { reason_string: Some("no"), ..none }),
        (b"\x02\x28\0", ConnAckProperties { wildcard_subscriptions: Some(false), ..none }),
        (b"\x02\x29\0", ConnAckProperties { subscription_identifiers: Some(false), ..none }),
        (b"\x02\x2a\x01", ConnAckProperties { shared_subscriptions: Some(true), ..none }),
        (b"\x03\x13\x04\xb0", ConnAckProperties { server_keep_alive_s: Some(1200), ..none }),
        (b"\x03\x13\0\0", ConnAckProperties { server_keep_alive_s: Some(0), ..none }),
        (b"\x04\x1a\0\x01r", ConnAckProperties { response_information: Some("r"), ..none }),
        (b"\x04\x1c\0\x01s", ConnAckProperties { server_reference: Some("s"), ..none }),
        (b"\x04\x15\0\x01m", ConnAckProperties { authentication_method: Some("m"), ..none }),
        // Only of a CONNECT and an AUTH does the standard say that data needs a method.
        (b"\x04\x16\0\x01d", ConnAckProperties { authentication_data: Some(b"d"), ..none }),
        (b"\x07\x26\0\x01k\0\x01v", ConnAckProperties { user: k_is_v(), ..none }),
    ];
    for (block, properties) in rows {
        let expected = ConnAck { properties: *properties, ..ConnAck::new(Success) };
        accepts_5(&framed(0x20, &[b"\0\0", block]), Sender::Server, Packet::ConnAck(expected));
    }
    accepts_5(b"\x20\x03\x01\0\0", Sender::Server, connack(true, Success));
}

#[test]
fn bad_connacks_of_mqtt_5_are_refused() {
    let truncated = |field| Violation::Truncated { packet: PacketKind::ConnAck, field };
    let value = |property, value| Violation::PropertyValue { property, value };
    let trailing = Violation::Trailing { packet: PacketKind::ConnAck, count: 1 };
    let rows: &[Refused<'_>] = &[
        (b"\x20\x00", truncated("connect acknowledge flags"), Malformed),
        (b"\x20\x01\0", truncated("return code"), Malformed),
        // 3.1.1's CONNACK.
        (b"\x20\x02\0\0", truncated("property length"), Malformed),
        (b"\x20\x03\0\0\x01", truncated("properties"), Malformed),
        (b"\x20\x04\0\0\0\0", trailing, Malformed),
        (b"\x20\x03\x02\0\0", Violation::ConnAckFlags(2), Malformed),
        (b"\x20\x03\xff\0\0", Violation::ConnAckFlags(255), Malformed),
        // [MQTT-3.2.2-6].
        (b"\x20\x03\x01\x87\0", Violation::SessionPresentRefused, ProtocolError),
        (b"\x20\x06\0\0\x03\x21\0\0", value("receive maximum", 0), ProtocolError),
        (b"\x20\x08\0\0\x05\x27\0\0\0\0", value("maximum packet size", 0), ProtocolError),
        (b"\x20\x05\0\0\x02\x24\x02", value("maximum QoS", 2), ProtocolError),
        (b"\x20\x05\0\0\x02\x25\x02", value("retain available", 2), ProtocolError),
        (b"\x20\x05\0\0\x02\x28\x02", value("wildcard subscription available", 2), ProtocolError),
        (b"\x20\x05\0\0\x02\x29\x02", value("subscription identifiers available", 2), ProtocolError),
        (b"\x20\x05\0\0\x02\x2a\xff", value("shared subscription available", 255), ProtocolError),
        (b"\x20\x07\0\0\x04\x1f\0\x01\0", Violation::Nul("reason string"), Malformed),
        (b"\x20\x07\0\0\x04\x12\0\x01\xff", Violation::NotUtf8("assigned client identifier"), Malformed),
        (b"\x20\x07\0\0\x04\x1a\0\x01\xff", Violation::NotUtf8("response information"), Malformed),
        (b"\x20\x07\0\0\x04\x1c\0\x01\0", Violation::Nul("server reference"), Malformed),
    ];
    refuses_5(rows, Sender::Server);
}
