//! CONNECT and CONNACK (sections 3.1 and 3.2 of both standards).

use std::num::{NonZeroU16, NonZeroU32};

use super::*;
use crate::mqtt::{ConnAck, ConnAckProperties, Connect, ConnectProperties, Will};

#[test]
fn connects_of_3_1_1_are_written_as_section_3_1_draws_them() {
    let plain = Connect { keep_alive_s: 60, ..Connect::new(Version::V311, "c") };
    let will = Will::new("w", b"m");
    let rows: &[(Connect<'_>, &[u8])] = &[
        (plain, b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c"),
        (Connect { clean_start: false, ..plain }, b"\x10\x0d\0\x04MQTT\x04\0\0\x3c\0\x01c"),
        (Connect { client_id: "", keep_alive_s: 0xfffe, ..plain }, b"\x10\x0c\0\x04MQTT\x04\x02\xff\xfe\0\0"),
        (Connect { username: Some("u"), ..plain }, b"\x10\x10\0\x04MQTT\x04\x82\0\x3c\0\x01c\0\x01u"),
        (
            Connect { username: Some("u"), password: Some(&[0, 255]), ..plain },
            b"\x10\x14\0\x04MQTT\x04\xc2\0\x3c\0\x01c\0\x01u\0\x02\0\xff",
        ),
        (Connect { will: Some(will), ..plain }, b"\x10\x13\0\x04MQTT\x04\x06\0\x3c\0\x01c\0\x01w\0\x01m"),
        (
            Connect { will: Some(Will { qos: QoS::AtLeastOnce, retain: true, ..will }), ..plain },
            b"\x10\x13\0\x04MQTT\x04\x2e\0\x3c\0\x01c\0\x01w\0\x01m",
        ),
        // The order of [MQTT-3.1.3-1].
        (
            Connect { will: Some(will), username: Some("u"), password: Some(b"p"), ..plain },
            b"\x10\x19\0\x04MQTT\x04\xc6\0\x3c\0\x01c\0\x01w\0\x01m\0\x01u\0\x01p",
        ),
        // What only MQTT 5 can say is left out.
        (
            Connect {
                properties: ConnectProperties { session_expiry_s: 60, user: k_is_v(), ..Default::default() },
                will: Some(Will { delay_s: 5, ..will }),
                ..plain
            },
            b"\x10\x13\0\x04MQTT\x04\x06\0\x3c\0\x01c\0\x01w\0\x01m",
        ),
    ];
    for (packet, expected) in rows {
        writes(|out| connect(out, packet), expected);
    }
}

#[test]
fn connects_of_mqtt_5_are_written_as_section_3_1_draws_them() {
    let plain = Connect { keep_alive_s: 60, ..Connect::new(Version::V5, "c") };
    let none = ConnectProperties::NONE;
    let will = Will { delay_s: 5, ..Will::new("w", b"m") };
    let with = |properties| Connect { properties, ..plain };
    let rows: &[(Connect<'_>, &[u8])] = &[
        (plain, b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01c"),
        (Connect { password: Some(b"t"), ..plain }, b"\x10\x11\0\x04MQTT\x05\x42\0\x3c\0\0\x01c\0\x01t"),
        (
            with(ConnectProperties { session_expiry_s: u32::MAX, ..none }),
            b"\x10\x13\0\x04MQTT\x05\x02\0\x3c\x05\x11\xff\xff\xff\xff\0\x01c",
        ),
        (
            with(ConnectProperties { receive_maximum: 1, ..none }),
            b"\x10\x11\0\x04MQTT\x05\x02\0\x3c\x03\x21\0\x01\0\x01c",
        ),
        (
            with(ConnectProperties { maximum_packet_size: NonZeroU32::new(0x0002_0000), ..none }),
            b"\x10\x13\0\x04MQTT\x05\x02\0\x3c\x05\x27\0\x02\0\0\0\x01c",
        ),
        (
            with(ConnectProperties { topic_alias_maximum: 8, ..none }),
            b"\x10\x11\0\x04MQTT\x05\x02\0\x3c\x03\x22\0\x08\0\x01c",
        ),
        (
            with(ConnectProperties { request_response_information: true, ..none }),
            b"\x10\x10\0\x04MQTT\x05\x02\0\x3c\x02\x19\x01\0\x01c",
        ),
        (
            with(ConnectProperties { request_problem_information: false, ..none }),
            b"\x10\x10\0\x04MQTT\x05\x02\0\x3c\x02\x17\0\0\x01c",
        ),
        (
            with(ConnectProperties {
                authentication_method: Some("m"),
                authentication_data: Some(b"d"),
                ..none
            }),
            b"\x10\x16\0\x04MQTT\x05\x02\0\x3c\x08\x15\0\x01m\x16\0\x01d\0\x01c",
        ),
        (
            with(ConnectProperties { user: k_is_v(), ..none }),
            b"\x10\x15\0\x04MQTT\x05\x02\0\x3c\x07\x26\0\x01k\0\x01v\0\x01c",
        ),
        // The will's own block stands in front of its topic.
        (
            Connect { will: Some(will), username: Some("u"), ..plain },
            b"\x10\x1d\0\x04MQTT\x05\x86\0\x3c\0\0\x01c\x05\x18\0\0\0\x05\0\x01w\0\x01m\0\x01u",
        ),
        (
            Connect {
                will: Some(Will {
                    delay_s: 0,
                    properties: PublishProperties {
                        payload_is_utf8: Some(true),
                        content_type: Some("t"),
                        ..PublishProperties::NONE
                    },
                    ..will
                }),
                ..plain
            },
            b"\x10\x1b\0\x04MQTT\x05\x06\0\x3c\0\0\x01c\x06\x01\x01\x03\0\x01t\0\x01w\0\x01m",
        ),
    ];
    for (packet, expected) in rows {
        writes(|out| connect(out, packet), expected);
    }
}

#[test]
fn connacks_of_3_1_1_say_the_return_code_of_table_3_1() {
    let rows: &[(ReasonCode, &[u8])] = &[
        (ReasonCode::Success, b"\x20\x02\0\0"),
        (ReasonCode::UnsupportedProtocolVersion, b"\x20\x02\0\x01"),
        (ReasonCode::ClientIdentifierNotValid, b"\x20\x02\0\x02"),
        (ReasonCode::ServerUnavailable, b"\x20\x02\0\x03"),
        (ReasonCode::BadUserNameOrPassword, b"\x20\x02\0\x04"),
        (ReasonCode::NotAuthorized, b"\x20\x02\0\x05"),
    ];
    for (reason, expected) in rows {
        writes(|out| connack(out, Version::V311, &ConnAck::new(*reason)), expected);
    }
    let kept = ConnAck { session_present: true, ..ConnAck::new(ReasonCode::Success) };
    writes(|out| connack(out, Version::V311, &kept), b"\x20\x02\x01\0");
    // [MQTT-3.2.2-4]: a refusal has no session.
    let refused = ConnAck { session_present: true, ..ConnAck::new(ReasonCode::NotAuthorized) };
    writes(|out| connack(out, Version::V311, &refused), b"\x20\x02\0\x05");
    writes(|out| connack(out, Version::V5, &refused), b"\x20\x03\0\x87\0");
}

#[test]
fn connacks_of_mqtt_5_are_written_as_section_3_2_draws_them() {
    let none = ConnAckProperties::NONE;
    let rows: &[(ConnAckProperties<'_>, &[u8])] = &[
        (none, b"\x20\x03\0\0\0"),
        (ConnAckProperties { session_expiry_s: Some(0), ..none }, b"\x20\x08\0\0\x05\x11\0\0\0\0"),
        (ConnAckProperties { receive_maximum: NonZeroU16::new(100), ..none }, b"\x20\x06\0\0\x03\x21\0\x64"),
        (ConnAckProperties { maximum_qos: Some(QoS::AtLeastOnce), ..none }, b"\x20\x05\0\0\x02\x24\x01"),
        (ConnAckProperties { maximum_qos: Some(QoS::AtMostOnce), ..none }, b"\x20\x05\0\0\x02\x24\0"),
        (ConnAckProperties { retain_available: Some(false), ..none }, b"\x20\x05\0\0\x02\x25\0"),
        (
            ConnAckProperties { maximum_packet_size: NonZeroU32::new(0x0002_0000), ..none },
            b"\x20\x08\0\0\x05\x27\0\x02\0\0",
        ),
        (ConnAckProperties { assigned_client_id: Some("id"), ..none }, b"\x20\x08\0\0\x05\x12\0\x02id"),
        (ConnAckProperties { topic_alias_maximum: 8, ..none }, b"\x20\x06\0\0\x03\x22\0\x08"),
        (ConnAckProperties { reason_string: Some("r"), ..none }, b"\x20\x07\0\0\x04\x1f\0\x01r"),
        (ConnAckProperties { wildcard_subscriptions: Some(true), ..none }, b"\x20\x05\0\0\x02\x28\x01"),
        (ConnAckProperties { subscription_identifiers: Some(false), ..none }, b"\x20\x05\0\0\x02\x29\0"),
        (ConnAckProperties { shared_subscriptions: Some(true), ..none }, b"\x20\x05\0\0\x02\x2a\x01"),
        (ConnAckProperties { server_keep_alive_s: Some(1200), ..none }, b"\x20\x06\0\0\x03\x13\x04\xb0"),
        (ConnAckProperties { response_information: Some("r"), ..none }, b"\x20\x07\0\0\x04\x1a\0\x01r"),
        (ConnAckProperties { server_reference: Some("s"), ..none }, b"\x20\x07\0\0\x04\x1c\0\x01s"),
        (ConnAckProperties { authentication_method: Some("m"), ..none }, b"\x20\x07\0\0\x04\x15\0\x01m"),
        (ConnAckProperties { authentication_data: Some(b"d"), ..none }, b"\x20\x07\0\0\x04\x16\0\x01d"),
        (ConnAckProperties { user: k_is_v(), ..none }, b"\x20\x0a\0\0\x07\x26\0\x01k\0\x01v"),
        (
            ConnAckProperties {
                session_expiry_s: Some(60),
                maximum_qos: Some(QoS::AtLeastOnce),
                assigned_client_id: Some("i"),
                subscription_identifiers: Some(false),
                ..none
            },
            b"\x20\x10\0\0\x0d\x11\0\0\0\x3c\x24\x01\x12\0\x01i\x29\0",
        ),
    ];
    for (properties, expected) in rows {
        let packet = ConnAck { properties: *properties, ..ConnAck::new(ReasonCode::Success) };
        writes(|out| connack(out, Version::V5, &packet), expected);
        writes(|out| connack(out, Version::V311, &packet), b"\x20\x02\0\0");
    }
    let kept = ConnAck { session_present: true, ..ConnAck::new(ReasonCode::Success) };
    writes(|out| connack(out, Version::V5, &kept), b"\x20\x03\x01\0\0");
    // What a client of MQTT 5 hears from a server that does not speak it.
    let unsupported = ConnAck::new(ReasonCode::UnsupportedProtocolVersion);
    writes(|out| connack(out, Version::V5, &unsupported), b"\x20\x03\0\x84\0");
}
