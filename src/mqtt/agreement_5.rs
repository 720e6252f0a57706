//! A second opinion on MQTT 5: what this codec writes, rumqttc's codec reads as the same, and the other way round.
//!
//! Only where rumqttc is right: it refuses a DISCONNECT without a body, which the standard allows, and looks for
//! properties in one that has only a reason code. What is refused is not compared, it is the lenient one.

use bytes::{Bytes, BytesMut};
use proptest::option;
use proptest::prelude::*;
use rumqttc::v5::mqttbytes::{self, v5};

use super::encode::{self, EncodeError};
use super::samples::{Extras, Message, extras, field, filter, id, message, text};
use super::{
    ConnAck, ConnAckProperties, Connect, ConnectProperties, Disconnect, FilterRequest, Packet, PacketId,
    PubAck, Publish, QoS, ReasonCode, RetainHandling, Sender, SubAck, UnsubAck, Version, Will, decode,
};

const MAX: usize = 1 << 20;

fn ours(write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    out
}

/// rumqttc reads our bytes as its value.
fn they_read(bytes: &[u8], expected: &v5::Packet) -> Result<(), TestCaseError> {
    let mut stream = BytesMut::from(bytes);
    prop_assert_eq!(&v5::Packet::read(&mut stream, None).unwrap(), expected);
    prop_assert!(stream.is_empty());
    Ok(())
}

/// We read its bytes as our value.
fn we_read(packet: &v5::Packet, sender: Sender, expected: Packet<'_>) -> Result<(), TestCaseError> {
    let mut stream = BytesMut::new();
    packet.write(&mut stream, None).unwrap();
    prop_assert_eq!(decode(&stream, sender, Version::V5, MAX), Ok(Some((expected, stream.len()))));
    Ok(())
}

fn their_qos(qos: QoS) -> mqttbytes::QoS {
    match qos {
        QoS::AtMostOnce => mqttbytes::QoS::AtMostOnce,
        QoS::AtLeastOnce => mqttbytes::QoS::AtLeastOnce,
    }
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)]
}

fn their_bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn their_message(message: &Message, publish: &Publish<'_>) -> v5::Publish {
    let properties = v5::PublishProperties {
        payload_format_indicator: message.is_utf8.map(u8::from),
        message_expiry_interval: message.expiry_s,
        topic_alias: message.alias,
        response_topic: message.response_topic.clone(),
        correlation_data: message.correlation.clone().map(Bytes::from),
        user_properties: message.extras.pairs.clone(),
        subscription_identifiers: Vec::new(),
        content_type: message.content_type.clone(),
    };
    let empty = properties == v5::PublishProperties::default();
    v5::Publish {
        dup: message.dup,
        qos: their_qos(publish.qos),
        retain: message.retain,
        topic: their_bytes(publish.topic),
        pkid: message.id.unwrap_or(0),
        payload: Bytes::from(message.payload.clone()),
        properties: (!empty).then_some(properties),
    }
}

proptest! {
    #[test]
    fn on_publishes(message in message()) {
        let publish = message.publish();
        let theirs = v5::Packet::Publish(their_message(&message, &publish));
        they_read(&ours(|out| encode::publish(out, Version::V5, &publish)), &theirs)?;
        we_read(&theirs, Sender::Client, Packet::Publish(publish))?;
    }

    #[test]
    fn on_connects(
        client_id in text(),
        (clean_start, keep_alive_s) in any::<(bool, u16)>(),
        login in option::of((text(), text())),
        (expiry, receive, size, alias) in (1..=u32::MAX, 1..u16::MAX, 1..=u32::MAX, id()),
        method in option::of((text(), field())),
        user in extras(),
        will in option::of((message(), 1..=u32::MAX)),
    ) {
        let connect = Connect {
            clean_start,
            keep_alive_s,
            username: login.as_ref().map(|(name, _)| &**name),
            password: login.as_ref().map(|(_, password)| password.as_bytes()),
            will: will.as_ref().map(|(message, delay_s)| {
                let publish = message.publish();
                Will {
                    qos: publish.qos,
                    retain: publish.retain,
                    delay_s: *delay_s,
                    properties: super::PublishProperties { topic_alias: None, ..publish.properties },
                    ..Will::new(&message.topic, publish.payload)
                }
            }),
            properties: ConnectProperties {
                session_expiry_s: expiry,
                receive_maximum: receive,
                maximum_packet_size: std::num::NonZeroU32::new(size),
                topic_alias_maximum: alias,
                request_response_information: true,
                request_problem_information: false,
                authentication_method: method.as_ref().map(|(method, _)| &**method),
                authentication_data: method.as_ref().map(|(_, data)| &**data),
                user: user.user(),
            },
            ..Connect::new(Version::V5, &client_id)
        };
        let theirs = v5::Packet::Connect(
            v5::Connect {
                keep_alive: keep_alive_s,
                client_id: client_id.clone(),
                clean_start,
                properties: Some(v5::ConnectProperties {
                    session_expiry_interval: Some(expiry),
                    receive_maximum: Some(receive),
                    max_packet_size: Some(size),
                    topic_alias_max: Some(alias),
                    request_response_info: Some(1),
                    request_problem_info: Some(0),
                    user_properties: user.pairs.clone(),
                    authentication_method: method.as_ref().map(|(method, _)| method.clone()),
                    authentication_data: method.as_ref().map(|(_, data)| Bytes::from(data.clone())),
                }),
            },
            will.as_ref().map(|(message, delay_s)| v5::LastWill {
                topic: their_bytes(&message.topic),
                message: Bytes::from(message.payload.clone()),
                qos: their_qos(message.publish().qos),
                retain: message.retain,
                properties: Some(v5::LastWillProperties {
                    delay_interval: Some(*delay_s),
                    payload_format_indicator: message.is_utf8.map(u8::from),
                    message_expiry_interval: message.expiry_s,
                    content_type: message.content_type.clone(),
                    response_topic: message.response_topic.clone(),
                    correlation_data: message.correlation.clone().map(Bytes::from),
                    user_properties: message.extras.pairs.clone(),
                }),
            }),
            login.clone().map(|(username, password)| v5::Login { username, password }),
        );
        they_read(&ours(|out| encode::connect(out, &connect)), &theirs)?;
        we_read(&theirs, Sender::Client, Packet::Connect(connect))?;
    }

    #[test]
    fn on_connacks(
        (present, expiry, receive, size) in (any::<bool>(), any::<u32>(), id(), 1..=u32::MAX),
        texts in prop::array::uniform4(text()),
        flags in prop::array::uniform4(any::<bool>()),
        (keep_alive_s, alias) in (any::<u16>(), id()),
        user in extras(),
    ) {
        let [assigned, response, reference, reason] = &texts;
        let connack = ConnAck {
            session_present: present,
            reason: ReasonCode::Success,
            properties: ConnAckProperties {
                session_expiry_s: Some(expiry),
                receive_maximum: std::num::NonZeroU16::new(receive),
                maximum_qos: Some(QoS::AtLeastOnce),
                retain_available: Some(flags[0]),
                maximum_packet_size: std::num::NonZeroU32::new(size),
                assigned_client_id: Some(assigned),
                topic_alias_maximum: alias,
                reason_string: Some(reason),
                wildcard_subscriptions: Some(flags[1]),
                subscription_identifiers: Some(flags[2]),
                shared_subscriptions: Some(flags[3]),
                server_keep_alive_s: Some(keep_alive_s),
                response_information: Some(response),
                server_reference: Some(reference),
                authentication_method: None,
                authentication_data: None,
                user: user.user(),
            },
        };
        let theirs = v5::Packet::ConnAck(v5::ConnAck {
            session_present: present,
            code: v5::ConnectReturnCode::Success,
            properties: Some(v5::ConnAckProperties {
                session_expiry_interval: Some(expiry),
                receive_max: Some(receive),
                max_qos: Some(1),
                retain_available: Some(flags[0].into()),
                max_packet_size: Some(size),
                assigned_client_identifier: Some(assigned.clone()),
                topic_alias_max: Some(alias),
                reason_string: Some(reason.clone()),
                user_properties: user.pairs.clone(),
                wildcard_subscription_available: Some(flags[1].into()),
                subscription_identifiers_available: Some(flags[2].into()),
                shared_subscription_available: Some(flags[3].into()),
                server_keep_alive: Some(keep_alive_s),
                response_information: Some(response.clone()),
                server_reference: Some(reference.clone()),
                authentication_method: None,
                authentication_data: None,
            }),
        });
        they_read(&ours(|out| encode::connack(out, Version::V5, &connack)), &theirs)?;
        we_read(&theirs, Sender::Server, Packet::ConnAck(connack))?;
    }

    #[test]
    fn on_answers(number in id(), Extras { pairs, block, .. } in extras(), said in text(), denied in any::<bool>()) {
        let id = PacketId::new(number).unwrap();
        let user = super::UserProperties::from_block(&block).unwrap();
        let reason_string = Some(&*said);
        let puback = PubAck {
            id,
            reason: if denied { ReasonCode::NotAuthorized } else { ReasonCode::Success },
            reason_string,
            user,
        };
        let theirs = v5::Packet::PubAck(v5::PubAck {
            pkid: number,
            reason: if denied { v5::PubAckReason::NotAuthorized } else { v5::PubAckReason::Success },
            properties: Some(v5::PubAckProperties {
                reason_string: Some(said.clone()),
                user_properties: pairs.clone(),
            }),
        });
        they_read(&ours(|out| encode::puback(out, Version::V5, &puback)), &theirs)?;
        we_read(&theirs, Sender::Server, Packet::PubAck(puback))?;

        let suback = SubAck { id, codes: &[0, 1, 2, 0x87, 0x9e], reason_string, user };
        let success = v5::SubscribeReasonCode::Success;
        let theirs = v5::Packet::SubAck(v5::SubAck {
            pkid: number,
            return_codes: vec![
                success(mqttbytes::QoS::AtMostOnce),
                success(mqttbytes::QoS::AtLeastOnce),
                success(mqttbytes::QoS::ExactlyOnce),
                v5::SubscribeReasonCode::NotAuthorized,
                v5::SubscribeReasonCode::SharedSubscriptionsNotSupported,
            ],
            properties: Some(v5::SubAckProperties {
                reason_string: Some(said.clone()),
                user_properties: pairs.clone(),
            }),
        });
        they_read(&ours(|out| encode::suback(out, Version::V5, &suback)), &theirs)?;
        we_read(&theirs, Sender::Server, Packet::SubAck(suback))?;

        let unsuback = UnsubAck { id, codes: &[0, 0x11, 0x8f], reason_string, user };
        let theirs = v5::Packet::UnsubAck(v5::UnsubAck {
            pkid: number,
            reasons: vec![
                v5::UnsubAckReason::Success,
                v5::UnsubAckReason::NoSubscriptionExisted,
                v5::UnsubAckReason::TopicFilterInvalid,
            ],
            properties: Some(v5::UnsubAckProperties {
                reason_string: Some(said.clone()),
                user_properties: pairs.clone(),
            }),
        });
        they_read(&ours(|out| encode::unsuback(out, Version::V5, &unsuback)), &theirs)?;
        we_read(&theirs, Sender::Server, Packet::UnsubAck(unsuback))?;

        let disconnect = Disconnect { reason_string, user, ..Disconnect::new(ReasonCode::QuotaExceeded) };
        let theirs = v5::Packet::Disconnect(v5::Disconnect {
            reason_code: v5::DisconnectReasonCode::QuotaExceeded,
            properties: Some(v5::DisconnectProperties {
                session_expiry_interval: None,
                reason_string: Some(said.clone()),
                user_properties: pairs.clone(),
                server_reference: None,
            }),
        });
        they_read(&ours(|out| encode::disconnect(out, Version::V5, &disconnect)), &theirs)?;
        we_read(&theirs, Sender::Server, Packet::Disconnect(disconnect))?;
    }

    #[test]
    fn on_subscriptions(
        number in id(),
        filters in prop::collection::vec((filter(), qos(), any::<bool>(), any::<bool>(), 0usize..3), 1..8),
    ) {
        let handling = [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
        let requests: Vec<_> = filters.iter().map(|(filter, qos, no_local, as_published, handle)| FilterRequest {
            no_local: *no_local,
            retain_as_published: *as_published,
            retain_handling: handling[*handle],
            ..FilterRequest::new(filter, *qos)
        }).collect();
        let id = PacketId::new(number).unwrap();
        let theirs = v5::Packet::Subscribe(v5::Subscribe {
            pkid: number,
            filters: filters.iter().map(|(filter, qos, no_local, as_published, handle)| v5::Filter {
                path: filter.clone(),
                qos: their_qos(*qos),
                nolocal: *no_local,
                preserve_retain: *as_published,
                retain_forward_rule: match handle {
                    0 => v5::RetainForwardRule::OnEverySubscribe,
                    1 => v5::RetainForwardRule::OnNewSubscribe,
                    _ => v5::RetainForwardRule::Never,
                },
            }).collect(),
            properties: None,
        });
        let bytes = ours(|out| encode::subscribe(out, Version::V5, id, &requests));
        they_read(&bytes, &theirs)?;
        let mut stream = BytesMut::new();
        theirs.write(&mut stream, None).unwrap();
        prop_assert_eq!(&stream[..], &bytes[..]);

        let names: Vec<_> = filters.iter().map(|(filter, ..)| &**filter).collect();
        let bytes = ours(|out| encode::unsubscribe(out, Version::V5, id, &names));
        let theirs = v5::Packet::Unsubscribe(v5::Unsubscribe {
            pkid: number,
            filters: names.iter().map(|name| (*name).to_owned()).collect(),
            properties: None,
        });
        they_read(&bytes, &theirs)?;
        let mut stream = BytesMut::new();
        theirs.write(&mut stream, None).unwrap();
        prop_assert_eq!(&stream[..], &bytes[..]);
    }
}
