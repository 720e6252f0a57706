//! What cannot be written leaves no byte behind.

use super::*;
use crate::mqtt::{ConnAck, Connect, ConnectProperties, FilterRequest, SubAck, UnsubAck, Will};

type Write<'a> = &'a dyn Fn(&mut Vec<u8>) -> Result<(), EncodeError>;

fn check(rows: &[(Write<'_>, EncodeError)]) {
    for (row, (write, expected)) in rows.iter().enumerate() {
        let mut out = vec![7];
        assert_eq!(write(&mut out), Err(*expected), "row {row}");
        assert_eq!(out, [7], "row {row}");
    }
}

#[test]
fn what_breaks_a_rule_of_both_versions_leaves_no_byte_behind() {
    let long = "x".repeat(65_536);
    let long = long.as_str();
    let huge = vec![0; MAX_REMAINING];
    let id = id(1);
    let message = Publish::new("a", b"");
    let too_long = |field| EncodeError::FieldTooLong { field, length: 65_536 };
    for v in [Version::V311, Version::V5] {
        let extra = usize::from(v == Version::V5);
        let hello = Connect::new(v, "c");
        check(&[
            (&|out| connect(out, &Connect { client_id: long, ..hello }), too_long("client identifier")),
            (&|out| connect(out, &Connect { username: Some(long), ..hello }), too_long("user name")),
            (
                &|out| connect(out, &Connect { will: Some(Will::new("w", long.as_bytes())), ..hello }),
                too_long("will message"),
            ),
            (&|out| connect(out, &Connect { will: Some(Will::new("", b"")), ..hello }), EncodeError::NoTopic),
            (&|out| publish(out, v, &Publish { id: Some(id), ..message }), EncodeError::QosMismatch),
            (&|out| publish(out, v, &Publish { dup: true, ..message }), EncodeError::QosMismatch),
            (&|out| publish(out, v, &Publish { qos: QoS::AtLeastOnce, ..message }), EncodeError::QosMismatch),
            (&|out| publish(out, v, &Publish::new("", b"p")), EncodeError::NoTopic),
            (
                &|out| publish(out, v, &Publish { payload: &huge, ..message }),
                EncodeError::PacketTooLong(MAX_REMAINING + 3 + extra),
            ),
            (&|out| subscribe(out, v, id, &[]), EncodeError::Empty("topic filter")),
            (&|out| unsubscribe(out, v, id, &[]), EncodeError::Empty("topic filter")),
            (&|out| suback(out, v, &SubAck::new(id, &[])), EncodeError::Empty("return code")),
            (&|out| suback(out, v, &SubAck::new(id, &[3])), EncodeError::Code(PacketKind::SubAck, 3)),
        ]);
    }
}

#[test]
fn what_3_1_1_cannot_say_leaves_no_byte_behind() {
    let v = Version::V311;
    let alias = PublishProperties { topic_alias: std::num::NonZeroU16::new(1), ..PublishProperties::NONE };
    let reason = |packet, reason| EncodeError::Reason(packet, reason);
    let taken_over = ReasonCode::SessionTakenOver;
    check(&[
        (
            &|out| connect(out, &Connect { password: Some(b"p"), ..Connect::new(v, "c") }),
            EncodeError::PasswordWithoutUsername,
        ),
        (
            &|out| connack(out, v, &ConnAck::new(ReasonCode::QuotaExceeded)),
            reason(PacketKind::ConnAck, ReasonCode::QuotaExceeded),
        ),
        (
            &|out| publish(out, v, &Publish { properties: alias, ..Publish::new("", b"") }),
            EncodeError::NoTopic,
        ),
        (&|out| suback(out, v, &SubAck::new(id(1), &[0, 0x87])), EncodeError::Code(PacketKind::SubAck, 0x87)),
        (&|out| disconnect(out, v, &Disconnect::new(taken_over)), reason(PacketKind::Disconnect, taken_over)),
    ]);
}

#[test]
fn what_mqtt_5_forbids_leaves_no_byte_behind() {
    let v = Version::V5;
    let long = "x".repeat(65_536);
    let long = long.as_str();
    let (message, hello) = (Publish::new("a", b""), Connect::new(v, "c"));
    let none = PublishProperties::NONE;
    let too_long = |field| EncodeError::FieldTooLong { field, length: 65_536 };
    let shared = FilterRequest { no_local: true, ..FilterRequest::new("$share/a/b", QoS::AtMostOnce) };
    let properties = |properties| Connect { properties, ..hello };
    check(&[
        (
            &|out| {
                let properties = PublishProperties { content_type: Some(long), ..none };
                publish(out, v, &Publish { properties, ..message })
            },
            too_long("content type"),
        ),
        (
            &|out| {
                let properties = PublishProperties { correlation_data: Some(long.as_bytes()), ..none };
                publish(out, v, &Publish { properties, ..message })
            },
            too_long("correlation data"),
        ),
        (
            &|out| connect(out, &properties(ConnectProperties { receive_maximum: 0, ..Default::default() })),
            EncodeError::ReceiveMaximum,
        ),
        (
            &|out| {
                let authentication_data = Some(&b"d"[..]);
                connect(out, &properties(ConnectProperties { authentication_data, ..Default::default() }))
            },
            EncodeError::AuthenticationMethod,
        ),
        (
            &|out| connack(out, v, &ConnAck::new(ReasonCode::SessionTakenOver)),
            EncodeError::Reason(PacketKind::ConnAck, ReasonCode::SessionTakenOver),
        ),
        (
            &|out| puback(out, v, &PubAck { reason: ReasonCode::PacketTooLarge, ..PubAck::new(id(1)) }),
            EncodeError::Reason(PacketKind::PubAck, ReasonCode::PacketTooLarge),
        ),
        (
            &|out| puback(out, v, &PubAck { reason_string: Some(long), ..PubAck::new(id(1)) }),
            too_long("reason string"),
        ),
        (
            &|out| disconnect(out, v, &Disconnect::new(ReasonCode::UnsupportedProtocolVersion)),
            EncodeError::Reason(PacketKind::Disconnect, ReasonCode::UnsupportedProtocolVersion),
        ),
        (
            &|out| disconnect(out, v, &Disconnect { reason_string: Some(long), ..Disconnect::default() }),
            too_long("reason string"),
        ),
        (&|out| subscribe(out, v, id(1), &[shared]), EncodeError::SharedNoLocal),
        (&|out| unsuback(out, v, &UnsubAck::new(id(1), &[])), EncodeError::Empty("return code")),
        (&|out| unsuback(out, v, &UnsubAck::new(id(1), &[0, 1])), EncodeError::Code(PacketKind::UnsubAck, 1)),
        (
            &|out| auth(out, &Auth { reason: ReasonCode::NotAuthorized, ..Auth::default() }),
            EncodeError::Reason(PacketKind::Auth, ReasonCode::NotAuthorized),
        ),
        (
            &|out| auth(out, &Auth { reason: ReasonCode::ContinueAuthentication, ..Auth::default() }),
            EncodeError::AuthenticationMethod,
        ),
    ]);
}
