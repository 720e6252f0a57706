//! A second opinion on 3.1.1: what this codec writes, rumqttc's codec reads as the same, and the other way round.
//!
//! rumqttc is the lenient one, so only packets that the standard allows are compared.

use bytes::BytesMut;
use proptest::option;
use proptest::prelude::*;
use rumqttc::mqttbytes::{self, v4};

use super::samples::{filter, text, topic};
use super::{
    ConnAck, Connect, Disconnect, FilterRequest, Packet, PacketId, PubAck, Publish, QoS, ReasonCode, Sender,
    SubAck, UnsubAck, Version, Will, decode, encode,
};

const MAX: usize = 1 << 20;

/// Packets that own what they are made of, so that a strategy can make them.
#[derive(Debug, Clone)]
enum Owned {
    Connect(OwnedConnect),
    ConnAck { session_present: bool, code: u8 },
    Publish { topic: String, payload: Vec<u8>, id: Option<u16>, dup: bool, retain: bool },
    PubAck(u16),
    Subscribe { id: u16, filters: Vec<(String, QoS)> },
    SubAck { id: u16, codes: Vec<u8> },
    Unsubscribe { id: u16, filters: Vec<String> },
    UnsubAck(u16),
    PingReq,
    PingResp,
    Disconnect,
}

#[derive(Debug, Clone)]
struct OwnedConnect {
    client_id: String,
    clean_session: bool,
    keep_alive_s: u16,
    login: Option<(String, String)>,
    will: Option<(String, Vec<u8>, QoS, bool)>,
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)]
}

fn connect() -> impl Strategy<Value = Owned> {
    let will = (topic(), prop::collection::vec(any::<u8>(), 0..50), qos(), any::<bool>());
    (text(), any::<bool>(), any::<u16>(), option::of((text(), text())), option::of(will)).prop_map(
        |(client_id, clean_session, keep_alive_s, login, will)| {
            Owned::Connect(OwnedConnect { client_id, clean_session, keep_alive_s, login, will })
        },
    )
}

fn publish() -> impl Strategy<Value = Owned> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(any::<u8>(), 16_000..17_000),
    ];
    (topic(), payload, option::of(1..=u16::MAX), any::<bool>(), any::<bool>()).prop_map(
        |(topic, payload, id, dup, retain)| Owned::Publish {
            topic,
            payload,
            id,
            dup: dup && id.is_some(),
            retain,
        },
    )
}

fn packet() -> impl Strategy<Value = Owned> {
    let id = || 1..=u16::MAX;
    let codes = prop::collection::vec(prop::sample::select(vec![0u8, 1, 2, 0x80]), 1..20);
    prop_oneof![
        2 => connect(),
        1 => (any::<bool>(), 0u8..6).prop_map(|(present, code)| Owned::ConnAck {
            session_present: present && code == 0,
            code
        }),
        4 => publish(),
        1 => id().prop_map(Owned::PubAck),
        2 => (id(), prop::collection::vec((filter(), qos()), 1..8))
            .prop_map(|(id, filters)| Owned::Subscribe { id, filters }),
        1 => (id(), codes).prop_map(|(id, codes)| Owned::SubAck { id, codes }),
        2 => (id(), prop::collection::vec(filter(), 1..8))
            .prop_map(|(id, filters)| Owned::Unsubscribe { id, filters }),
        1 => id().prop_map(Owned::UnsubAck),
        1 => prop::sample::select(vec![Owned::PingReq, Owned::PingResp, Owned::Disconnect]),
    ]
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

impl Owned {
    fn sender(&self) -> Sender {
        match self {
            Self::ConnAck { .. } | Self::SubAck { .. } | Self::UnsubAck(_) | Self::PingResp => Sender::Server,
            _ => Sender::Client,
        }
    }

    /// As this codec writes it.
    fn ours(&self) -> Vec<u8> {
        let (mut out, v) = (Vec::new(), Version::V311);
        let written = match self {
            Self::Connect(connect) => encode::connect(&mut out, &connect.borrowed()),
            Self::ConnAck { session_present, code } => {
                let reason = ReasonCode::from_return_code(*code).unwrap();
                let connack = ConnAck { session_present: *session_present, ..ConnAck::new(reason) };
                encode::connack(&mut out, v, &connack)
            }
            Self::Publish { topic, payload, id: number, dup, retain } => {
                let qos = if number.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                let (id, dup, retain) = (number.map(id), *dup, *retain);
                encode::publish(
                    &mut out,
                    v,
                    &Publish { qos, id, dup, retain, ..Publish::new(topic, payload) },
                )
            }
            Self::PubAck(number) => encode::puback(&mut out, v, &PubAck::new(id(*number))),
            Self::Subscribe { id: number, filters } => {
                let filters = filters.iter().map(|(filter, qos)| FilterRequest::new(filter, *qos));
                encode::subscribe(&mut out, v, id(*number), &filters.collect::<Vec<_>>())
            }
            Self::SubAck { id: number, codes } => {
                encode::suback(&mut out, v, &SubAck::new(id(*number), codes))
            }
            Self::Unsubscribe { id: number, filters } => {
                let filters: Vec<_> = filters.iter().map(String::as_str).collect();
                encode::unsubscribe(&mut out, v, id(*number), &filters)
            }
            Self::UnsubAck(number) => encode::unsuback(&mut out, v, &UnsubAck::new(id(*number), &[])),
            Self::PingReq => {
                encode::pingreq(&mut out);
                Ok(())
            }
            Self::PingResp => {
                encode::pingresp(&mut out);
                Ok(())
            }
            Self::Disconnect => encode::disconnect(&mut out, v, &Disconnect::default()),
        };
        written.unwrap();
        out
    }

    /// The same packet as a value of rumqttc.
    fn theirs(&self) -> v4::Packet {
        match self {
            Self::Connect(connect) => v4::Packet::Connect(connect.theirs()),
            Self::ConnAck { session_present, code } => v4::Packet::ConnAck(v4::ConnAck {
                session_present: *session_present,
                code: match code {
                    0 => v4::ConnectReturnCode::Success,
                    1 => v4::ConnectReturnCode::RefusedProtocolVersion,
                    2 => v4::ConnectReturnCode::BadClientId,
                    3 => v4::ConnectReturnCode::ServiceUnavailable,
                    4 => v4::ConnectReturnCode::BadUserNamePassword,
                    _ => v4::ConnectReturnCode::NotAuthorized,
                },
            }),
            Self::Publish { topic, payload, id, dup, retain } => {
                let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                let mut publish = v4::Publish::new(topic, their_qos(qos), payload.clone());
                (publish.pkid, publish.dup, publish.retain) = (id.unwrap_or(0), *dup, *retain);
                v4::Packet::Publish(publish)
            }
            Self::PubAck(id) => v4::Packet::PubAck(v4::PubAck::new(*id)),
            Self::Subscribe { id, filters } => {
                let filters = filters
                    .iter()
                    .map(|(filter, qos)| v4::SubscribeFilter::new(filter.clone(), their_qos(*qos)));
                v4::Packet::Subscribe(v4::Subscribe { pkid: *id, filters: filters.collect() })
            }
            Self::SubAck { id, codes } => {
                let code = |code: &u8| match code {
                    0 => v4::SubscribeReasonCode::Success(mqttbytes::QoS::AtMostOnce),
                    1 => v4::SubscribeReasonCode::Success(mqttbytes::QoS::AtLeastOnce),
                    2 => v4::SubscribeReasonCode::Success(mqttbytes::QoS::ExactlyOnce),
                    _ => v4::SubscribeReasonCode::Failure,
                };
                v4::Packet::SubAck(v4::SubAck::new(*id, codes.iter().map(code).collect()))
            }
            Self::Unsubscribe { id, filters } => {
                v4::Packet::Unsubscribe(v4::Unsubscribe { pkid: *id, topics: filters.clone() })
            }
            Self::UnsubAck(id) => v4::Packet::UnsubAck(v4::UnsubAck::new(*id)),
            Self::PingReq => v4::Packet::PingReq,
            Self::PingResp => v4::Packet::PingResp,
            Self::Disconnect => v4::Packet::Disconnect,
        }
    }
}

impl OwnedConnect {
    fn borrowed(&self) -> Connect<'_> {
        Connect {
            clean_start: self.clean_session,
            keep_alive_s: self.keep_alive_s,
            username: self.login.as_ref().map(|(name, _)| &**name),
            password: self.login.as_ref().map(|(_, password)| password.as_bytes()),
            will: self.will.as_ref().map(|(topic, payload, qos, retain)| Will {
                qos: *qos,
                retain: *retain,
                ..Will::new(topic, payload)
            }),
            ..Connect::new(Version::V311, &self.client_id)
        }
    }

    fn theirs(&self) -> v4::Connect {
        let mut connect = v4::Connect::new(self.client_id.clone());
        connect.clean_session = self.clean_session;
        connect.keep_alive = self.keep_alive_s;
        connect.login = self.login.clone().map(|(username, password)| v4::Login { username, password });
        connect.last_will = self
            .will
            .clone()
            .map(|(topic, message, qos, retain)| v4::LastWill::new(topic, message, their_qos(qos), retain));
        connect
    }
}

fn their_qos(qos: QoS) -> mqttbytes::QoS {
    match qos {
        QoS::AtMostOnce => mqttbytes::QoS::AtMostOnce,
        QoS::AtLeastOnce => mqttbytes::QoS::AtLeastOnce,
    }
}

/// What this codec reads, as the owned packet, so that it can be compared with what was written.
fn rewritten(packet: Packet<'_>) -> Vec<u8> {
    let (mut out, v) = (Vec::new(), Version::V311);
    let written = match packet {
        Packet::Connect(connect) => encode::connect(&mut out, &connect),
        Packet::ConnAck(connack) => encode::connack(&mut out, v, &connack),
        Packet::Publish(publish) => encode::publish(&mut out, v, &publish),
        Packet::PubAck(puback) => encode::puback(&mut out, v, &puback),
        Packet::Subscribe(subscribe) => {
            encode::subscribe(&mut out, v, subscribe.id, &subscribe.filters().collect::<Vec<_>>())
        }
        Packet::SubAck(suback) => encode::suback(&mut out, v, &suback),
        Packet::Unsubscribe(unsubscribe) => {
            encode::unsubscribe(&mut out, v, unsubscribe.id, &unsubscribe.filters().collect::<Vec<_>>())
        }
        Packet::UnsubAck(unsuback) => encode::unsuback(&mut out, v, &unsuback),
        Packet::PingReq => {
            encode::pingreq(&mut out);
            Ok(())
        }
        Packet::PingResp => {
            encode::pingresp(&mut out);
            Ok(())
        }
        Packet::Disconnect(disconnect) => encode::disconnect(&mut out, v, &disconnect),
        Packet::Auth(_) => unreachable!("3.1.1 has no AUTH"),
    };
    written.unwrap();
    out
}

proptest! {
    #[test]
    fn rumqttc_reads_what_we_write(packet in packet()) {
        let mut stream = BytesMut::from(&packet.ours()[..]);
        prop_assert_eq!(v4::Packet::read(&mut stream, MAX).unwrap(), packet.theirs());
        prop_assert!(stream.is_empty());
    }

    #[test]
    fn we_write_the_bytes_that_rumqttc_writes_and_read_them_back(packet in packet()) {
        let mut stream = BytesMut::new();
        packet.theirs().write(&mut stream, MAX).unwrap();
        let ours = packet.ours();
        prop_assert_eq!(&stream[..], &ours[..]);

        let (read, used) = decode(&stream, packet.sender(), Version::V311, MAX).unwrap().unwrap();
        prop_assert_eq!(used, ours.len());
        prop_assert_eq!(rewritten(read), ours);
    }

    #[test]
    fn every_front_part_of_a_packet_is_incomplete(packet in packet(), share in 0.0..1.0f64) {
        let bytes = packet.ours();
        #[expect(
            clippy::cast_precision_loss, clippy::cast_sign_loss, clippy::cast_possible_truncation,
            reason = "a place somewhere in the packet"
        )]
        let end = (bytes.len() as f64 * share) as usize;
        prop_assert_eq!(decode(&bytes[..end], packet.sender(), Version::V311, MAX), Ok(None));
    }
}
