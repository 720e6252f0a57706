//! What is written is read as the same packet, in both versions: generated packets through `encode` and `decode`.
//!
//! A mistake that both share is invisible here; the byte vectors beside each are against that.

use std::num::{NonZeroU16, NonZeroU32};

use proptest::option;
use proptest::prelude::*;

use super::encode::{self, EncodeError};
use super::samples::{Extras, extras, field, filter, id, message, optional_text, text, topic};
use super::{
    Auth, ConnAck, ConnAckProperties, Connect, ConnectProperties, Disconnect, FilterRequest, Packet,
    PacketId, PubAck, Publish, QoS, ReasonCode, RetainHandling, Sender, SubAck, UnsubAck, Version, Will,
    decode,
};

const MAX: usize = 1 << 20;

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)]
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    out
}

/// Whole, and in no front part.
fn reads_as(
    bytes: &[u8],
    sender: Sender,
    version: Version,
    expected: Packet<'_>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(decode(bytes, sender, version, MAX), Ok(Some((expected, bytes.len()))));
    let halfway = &bytes[..bytes.len() / 2];
    prop_assert_eq!(decode(halfway, sender, version, MAX), Ok(None));
    Ok(())
}

/// Reason codes that `packet` may carry from this end, as the byte vectors have them.
fn reason(codes: &'static [u8]) -> impl Strategy<Value = ReasonCode> {
    prop::sample::select(codes).prop_map(|code| ReasonCode::from_number(code).unwrap())
}

/// The fields of a CONNECT besides its will, in two handfuls.
type Hello = ((String, bool, u16, Option<String>, Option<Vec<u8>>), (u32, u16, Option<u32>, u16, bool, bool));

fn hello() -> impl Strategy<Value = Hello> {
    (
        (text(), any::<bool>(), any::<u16>(), option::of(text()), option::of(field())),
        (any::<u32>(), 1..=u16::MAX, option::of(1..=u32::MAX), any::<u16>(), any::<bool>(), any::<bool>()),
    )
}

proptest! {
    #[test]
    fn connects((hello, limits) in hello(), method in option::of((text(), option::of(field()))),
        user in extras(), will in option::of((message(), any::<u32>())), version in version())
    {
        let (client_id, clean_start, keep_alive_s, username, password) = &hello;
        let v5 = version == Version::V5;
        let (session_expiry_s, receive_maximum, size, topic_alias_maximum, response, problem) = limits;
        let properties = ConnectProperties {
            session_expiry_s,
            receive_maximum,
            maximum_packet_size: size.and_then(NonZeroU32::new),
            topic_alias_maximum,
            request_response_information: response,
            request_problem_information: problem,
            authentication_method: method.as_ref().map(|(method, _)| &**method),
            authentication_data: method.as_ref().and_then(|(_, data)| data.as_deref()),
            user: user.user(),
        };
        let will = will.as_ref().map(|(message, delay_s)| {
            let publish = message.publish();
            let properties = super::PublishProperties { topic_alias: None, ..publish.properties };
            let will = Will { qos: publish.qos, retain: publish.retain, ..Will::new(&message.topic, publish.payload) };
            if v5 { Will { delay_s: *delay_s, properties, ..will } } else { will }
        });
        let connect = Connect {
            version,
            client_id,
            clean_start: *clean_start,
            keep_alive_s: *keep_alive_s,
            username: username.as_deref(),
            password: password.as_deref().filter(|_| v5 || username.is_some()),
            will,
            properties: if v5 { properties } else { ConnectProperties::NONE },
        };
        let bytes = written(|out| encode::connect(out, &connect));
        // Whatever is expected on the connection, its own level decides.
        reads_as(&bytes, Sender::Client, Version::V311, Packet::Connect(connect))?;
        reads_as(&bytes, Sender::Client, Version::V5, Packet::Connect(connect))?;
    }

    #[test]
    fn connacks(
        reason in reason(&[0, 0x80, 0x81, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8c, 0x95, 0x9b, 0x9d, 0x9f]),
        present in any::<bool>(),
        numbers in (option::of(any::<u32>()), any::<u16>(), option::of(qos()), option::of(any::<bool>()), any::<u32>()),
        flags in (option::of(any::<bool>()), option::of(any::<bool>()), option::of(any::<bool>()), option::of(any::<u16>())),
        texts in prop::array::uniform5(optional_text()),
        data in option::of(field()),
        alias_maximum in any::<u16>(),
        extras in extras(),
    ) {
        let [assigned, response, reference, method, _] = &texts;
        let session_present = present && reason == ReasonCode::Success;
        let connack = ConnAck {
            session_present,
            reason,
            properties: ConnAckProperties {
                session_expiry_s: numbers.0,
                receive_maximum: NonZeroU16::new(numbers.1),
                maximum_qos: numbers.2,
                retain_available: numbers.3,
                maximum_packet_size: NonZeroU32::new(numbers.4),
                assigned_client_id: assigned.as_deref(),
                topic_alias_maximum: alias_maximum,
                reason_string: extras.reason_string(),
                wildcard_subscriptions: flags.0,
                subscription_identifiers: flags.1,
                shared_subscriptions: flags.2,
                server_keep_alive_s: flags.3,
                response_information: response.as_deref(),
                server_reference: reference.as_deref(),
                authentication_method: method.as_deref(),
                authentication_data: data.as_deref(),
                user: extras.user(),
            },
        };
        let bytes = written(|out| encode::connack(out, Version::V5, &connack));
        reads_as(&bytes, Sender::Server, Version::V5, Packet::ConnAck(connack))?;
        if reason.return_code().is_some() {
            let plain = ConnAck { session_present, ..ConnAck::new(reason) };
            let bytes = written(|out| encode::connack(out, Version::V311, &connack));
            reads_as(&bytes, Sender::Server, Version::V311, Packet::ConnAck(plain))?;
        }
    }

    #[test]
    fn publishes(message in message(), aliased in any::<bool>(), server in any::<bool>()) {
        let sender = if server { Sender::Server } else { Sender::Client };
        let publish = message.publish();
        let plain = Publish { properties: super::PublishProperties::NONE, ..publish };
        let bytes = written(|out| encode::publish(out, Version::V311, &publish));
        reads_as(&bytes, sender, Version::V311, Packet::Publish(plain))?;

        let nameless = aliased && publish.properties.topic_alias.is_some();
        let publish = if nameless { Publish { topic: "", ..publish } } else { publish };
        let bytes = written(|out| encode::publish(out, Version::V5, &publish));
        reads_as(&bytes, sender, Version::V5, Packet::Publish(publish))?;
    }

    #[test]
    fn answers(
        number in id(),
        extras in extras(),
        reason in reason(&[0, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
        granted in prop::collection::vec(prop::sample::select(&[0u8, 1, 2, 0x80, 0x87, 0x9e, 0xa2][..]), 1..9),
        removed in prop::collection::vec(prop::sample::select(&[0u8, 0x11, 0x80, 0x8f][..]), 1..9),
    ) {
        let (id, user, reason_string) = (PacketId::new(number).unwrap(), extras.user(), extras.reason_string());
        let puback = PubAck { id, reason, reason_string, user };
        let bytes = written(|out| encode::puback(out, Version::V5, &puback));
        reads_as(&bytes, Sender::Client, Version::V5, Packet::PubAck(puback))?;
        let bytes = written(|out| encode::puback(out, Version::V311, &puback));
        reads_as(&bytes, Sender::Client, Version::V311, Packet::PubAck(PubAck::new(id)))?;

        let suback = SubAck { id, codes: &granted, reason_string, user };
        let bytes = written(|out| encode::suback(out, Version::V5, &suback));
        reads_as(&bytes, Sender::Server, Version::V5, Packet::SubAck(suback))?;

        let unsuback = UnsubAck { id, codes: &removed, reason_string, user };
        let bytes = written(|out| encode::unsuback(out, Version::V5, &unsuback));
        reads_as(&bytes, Sender::Server, Version::V5, Packet::UnsubAck(unsuback))?;
        let bytes = written(|out| encode::unsuback(out, Version::V311, &unsuback));
        reads_as(&bytes, Sender::Server, Version::V311, Packet::UnsubAck(UnsubAck::new(id, &[])))?;
    }

    #[test]
    fn subscriptions(
        number in id(),
        filters in prop::collection::vec((filter(), qos(), any::<bool>(), any::<bool>(), 0usize..3), 1..8),
        version in version(),
    ) {
        let handling = [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
        let requests: Vec<_> = filters.iter().map(|(filter, qos, no_local, as_published, handle)| {
            let plain = FilterRequest::new(filter, *qos);
            match version {
                Version::V311 => plain,
                Version::V5 => FilterRequest {
                    no_local: *no_local,
                    retain_as_published: *as_published,
                    retain_handling: handling[*handle],
                    ..plain
                },
            }
        }).collect();
        let id = PacketId::new(number).unwrap();
        let bytes = written(|out| encode::subscribe(out, version, id, &requests));
        let Ok(Some((Packet::Subscribe(read), used))) = decode(&bytes, Sender::Client, version, MAX) else {
            panic!("{bytes:02x?} is no SUBSCRIBE");
        };
        prop_assert_eq!((read.id, used, read.filters().collect::<Vec<_>>()), (id, bytes.len(), requests));

        let names: Vec<_> = filters.iter().map(|(filter, ..)| &**filter).collect();
        let bytes = written(|out| encode::unsubscribe(out, version, id, &names));
        let Ok(Some((Packet::Unsubscribe(read), used))) = decode(&bytes, Sender::Client, version, MAX) else {
            panic!("{bytes:02x?} is no UNSUBSCRIBE");
        };
        prop_assert_eq!((read.id, used, read.filters().collect::<Vec<_>>()), (id, bytes.len(), names));
    }

    #[test]
    fn disconnects_and_auths(
        extras in extras(),
        from_client in reason(&[0, 4, 0x80, 0x82, 0x93, 0x99]),
        from_server in reason(&[0, 0x87, 0x8b, 0x8e, 0x95, 0x9d, 0xa2]),
        step in reason(&[0x18, 0x19]),
        expiry in option::of(any::<u32>()),
        reference in optional_text(),
        method in topic(),
        data in option::of(field()),
    ) {
        let (user, reason_string) = (extras.user(), extras.reason_string());
        let plain = Disconnect { reason_string, user, ..Disconnect::default() };
        let client = Disconnect { reason: from_client, session_expiry_s: expiry, ..plain };
        let bytes = written(|out| encode::disconnect(out, Version::V5, &client));
        reads_as(&bytes, Sender::Client, Version::V5, Packet::Disconnect(client))?;
        let server = Disconnect { reason: from_server, server_reference: reference.as_deref(), ..plain };
        let bytes = written(|out| encode::disconnect(out, Version::V5, &server));
        reads_as(&bytes, Sender::Server, Version::V5, Packet::Disconnect(server))?;

        let (authentication_method, authentication_data) = (Some(&*method), data.as_deref());
        let auth = Auth { reason: step, authentication_method, authentication_data, reason_string, user };
        let bytes = written(|out| encode::auth(out, &auth));
        reads_as(&bytes, Sender::Client, Version::V5, Packet::Auth(auth))?;
    }

    #[test]
    fn user_properties(Extras { pairs, block, .. } in extras()) {
        let user = super::UserProperties::from_block(&block).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        prop_assert_eq!(user.is_empty(), pairs.is_empty());
        prop_assert_eq!(user.iter().collect::<Vec<_>>(), pairs);
    }
}
