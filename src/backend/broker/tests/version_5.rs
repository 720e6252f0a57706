//! What only MQTT 5 has: properties, reasons, aliases, limits that each side sets the other.

use std::num::{NonZeroU16, NonZeroU32};

use super::*;
use crate::mqtt::UserProperties;

#[tokio::test(start_paused = true)]
async fn a_connack_says_what_is_offered_and_what_was_chosen() {
    let host = Router::new();
    let offered = ConnAckProperties {
        maximum_qos: Some(QoS::AtLeastOnce),
        maximum_packet_size: NonZeroU32::new(129 * 1024),
        topic_alias_maximum: 8,
        subscription_identifiers: Some(false),
        ..ConnAckProperties::NONE
    };
    for (client_id, assigned_client_id) in [("c", None), ("", Some("anonymous-2"))] {
        let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
        client.version = Version::V5;
        client.write(|out| encode::connect(out, &hello_5(client_id, 60)).unwrap()).await;
        let properties = ConnAckProperties { assigned_client_id, ..offered };
        client.expect(Packet::ConnAck(ConnAck { properties, ..ConnAck::new(ReasonCode::Success) })).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_connect_is_told_why() {
    let mut with_method = hello_5("c", 0);
    with_method.properties.authentication_method = Some("SCRAM-SHA-1");
    let long = "x".repeat(129);
    let rows = [
        (with_method, ReasonCode::BadAuthenticationMethod),
        (hello_5(&long, 0), ReasonCode::ClientIdentifierNotValid),
        (hello_5("banned", 0), ReasonCode::Banned),
    ];
    for (connect, reason) in rows {
        let host = Router::new();
        let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
        client.version = Version::V5;
        client.write(|out| encode::connect(out, &connect).unwrap()).await;
        client
            .next(|packet| match packet {
                Packet::ConnAck(connack) => {
                    assert_eq!((connack.reason, connack.session_present), (reason, false));
                    assert!(connack.properties.reason_string.is_some());
                }
                other => panic!("{other:?}"),
            })
            .await;
        client.expect_end(&[]).await;
        assert_eq!((host.counters().refused_connects, host.counters().sessions), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_arrives_with_all_that_its_publisher_said_about_it() {
    let mut block = Vec::new();
    UserProperties::write([("a", "1"), ("a", "2"), ("", "")], &mut block).unwrap();
    let mut sent = delivery("a", b"x", Some(7));
    sent.properties.payload_is_utf8 = Some(true);
    sent.properties.message_expiry_s = Some(60);
    sent.properties.response_topic = Some("answers/here");
    sent.properties.correlation_data = Some(&[0, 1, 2]);
    sent.properties.content_type = Some("application/json");
    sent.properties.user = UserProperties::from_block(&block).unwrap();
    let host = Router::new();
    let (mut sender, _) = Client::connect(&host, &hello_5("sender", 0)).await;
    let (mut plain, _) = Client::connect(&host, &hello("plain")).await;
    let (mut there, _) = Client::connect(&host, &hello_5("there", 0)).await;
    let (mut away, _) = Client::connect(&host, &hello_5("away", 60)).await;
    for client in [&mut plain, &mut there, &mut away] {
        client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    }
    away.vanish().await;
    sender.publish(&sent).await;
    sender.expect(Packet::PubAck(PubAck::new(sent.id.unwrap()))).await;
    plain.expect_message("a", b"x", Some(1)).await;
    let mut expected = Publish { id: PacketId::new(1), ..sent };
    there.expect(Packet::Publish(expected)).await;
    host.after(2 * SECOND).await;
    let (mut back, _) = Client::connect(&host, &hello_5("away", 60)).await;
    expected.properties.message_expiry_s = Some(58);
    back.expect(Packet::Publish(expected)).await;
}

#[tokio::test(start_paused = true)]
async fn a_puback_says_what_became_of_the_message() {
    let host = Router::new();
    let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
    client.subscribe(&[("a", QoS::AtMostOnce)]).await;
    for (topic, reason) in [
        ("a", ReasonCode::Success),
        ("b", ReasonCode::NoMatchingSubscribers),
        ("$aws/x", ReasonCode::NotAuthorized),
    ] {
        client.publish(&message(topic, Some(3))).await;
        client.expect(Packet::PubAck(PubAck { reason, ..PubAck::new(PacketId::new(3).unwrap()) })).await;
        if reason == ReasonCode::Success {
            client.expect_message("a", b"x", None).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_alias_stands_for_its_topic_on_one_connection() {
    let host = Router::new();
    let alias = NonZeroU16::new(8);
    let aliased = |topic, alias| {
        let mut publish = message(topic, None);
        publish.properties.topic_alias = alias;
        publish
    };
    let (mut client, _) = Client::connect(&host, &hello_5("c", 60)).await;
    client.subscribe(&[("a", QoS::AtMostOnce)]).await;
    client.publish(&aliased("a", alias)).await;
    client.expect_message("a", b"x", None).await;
    client.publish(&aliased("", alias)).await;
    client.expect_message("a", b"x", None).await;
    client.vanish().await;
    let rows = [
        (aliased("", alias), ReasonCode::ProtocolError, Violation::UnknownTopicAlias(8)),
        (
            aliased("a", NonZeroU16::new(9)),
            ReasonCode::TopicAliasInvalid,
            Violation::TopicAliasTooLarge { found: 9, max: 8 },
        ),
    ];
    for (publish, reason, violation) in rows {
        let (mut client, _) = Client::connect(&host, &hello_5("c", 60)).await;
        client.publish(&publish).await;
        client.expect_disconnect(reason).await;
        assert_eq!(host.counters().last_violation, Some(violation));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_never_gets_a_packet_larger_than_it_takes() {
    for session_expiry_s in [0, 60] {
        let host = Router::new();
        let mut connect = hello_5("c", session_expiry_s);
        connect.properties.maximum_packet_size = NonZeroU32::new(100);
        let (mut client, _) = Client::connect(&host, &connect).await;
        client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
        // Header 2, topic 3, identifier 2, property length 1.
        for (size, fits) in [(92, true), (93, false), (5000, false), (10, true)] {
            let delivered = host.send("a", &vec![0; size], QoS::AtLeastOnce);
            assert_eq!(delivered.sessions, u32::from(fits), "{size}");
        }
        client.expect_message("a", &[0; 92], Some(1)).await;
        client.next(|packet| assert!(matches!(packet, Packet::Publish(p) if p.payload.len() == 10))).await;
        client.settle().await;
        assert_eq!(host.counters().dropped_too_large, 2);
        if session_expiry_s == 0 {
            continue;
        }
        client.vanish().await;
        // What waited is looked at when its client is known again.
        host.send("a", &[1; 500], QoS::AtLeastOnce);
        host.send("a", &[2; 5], QoS::AtLeastOnce);
        let (mut client, _) = Client::connect(&host, &connect).await;
        let payloads: Vec<Vec<u8>> = {
            let mut seen = Vec::new();
            for _ in 0..3 {
                seen.push(
                    client
                        .next(|packet| match packet {
                            Packet::Publish(publish) => publish.payload.to_vec(),
                            other => panic!("{other:?}"),
                        })
                        .await,
                );
            }
            seen
        };
        assert_eq!(payloads, [vec![0; 92], vec![0; 10], vec![2; 5]]);
        client.settle().await;
        assert_eq!(host.counters().dropped_too_large, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_answered_with_the_reason_of_each_refusal() {
    let host = Router::new();
    let long = "x".repeat(1025);
    let requests =
        ["a", "forbidden/#", &long, "b"].map(|filter| FilterRequest::new(filter, QoS::AtLeastOnce));
    for (connect, codes) in [(hello_5("5", 0), [1, 0x87, 0x8f, 1]), (hello("3"), [1, 0x80, 0x80, 1])] {
        let (mut client, _) = Client::connect(&host, &connect).await;
        client.subscribe_with(&requests, &codes).await;
        let version = client.version;
        client.write(|out| encode::unsubscribe(out, version, PacketId::FIRST, &["a", "c"]).unwrap()).await;
        let codes: &[u8] = if version == Version::V5 { &[0, 0x11] } else { &[] };
        client.expect(Packet::UnsubAck(UnsubAck::new(PacketId::FIRST, codes))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn reasons_in_words_come_only_where_they_are_wanted() {
    for wanted in [true, false] {
        let host = Router::new();
        let mut connect = hello_5("c", 0);
        connect.properties.request_problem_information = wanted;
        let (mut client, _) = Client::connect(&host, &connect).await;
        let request = [FilterRequest::new("forbidden/#", QoS::AtLeastOnce)];
        client.ask(&request).await;
        client
            .next(|packet| match packet {
                Packet::SubAck(suback) => assert_eq!(suback.reason_string.is_some(), wanted),
                other => panic!("{other:?}"),
            })
            .await;
        // A DISCONNECT may always carry them.
        client.stream.write_all(&[0x10, 0]).await.unwrap();
        client
            .next(|packet| match packet {
                Packet::Disconnect(disconnect) => assert!(disconnect.reason_string.is_some()),
                other => panic!("{other:?}"),
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn options_of_a_subscription_are_kept() {
    let host = Router::new();
    let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
    let request = FilterRequest::new("a", QoS::AtMostOnce);
    let as_published = FilterRequest { retain_as_published: true, ..request };
    let no_local = FilterRequest { filter: "b", no_local: true, ..request };
    client.subscribe_with(&[as_published, no_local], &[0, 0]).await;
    for (topic, retain) in [("a", false), ("a", true), ("b", true)] {
        client.publish(&Publish { retain, ..message(topic, None) }).await;
        if topic == "a" {
            client.expect(Packet::Publish(Publish { retain, ..message(topic, None) })).await;
        }
    }
    client.settle().await;
    host.publish_message(&Message { retain: true, ..Message::new("b", b"x", QoS::AtMostOnce) });
    client.expect_message("b", b"x", None).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_breaks_a_rule_is_told_which_before_the_connection_closes() {
    let mut again = Vec::new();
    encode::connect(&mut again, &hello_5("c", 0)).unwrap();
    let rows: &[(&[u8], ReasonCode)] = &[
        (&again, ReasonCode::ProtocolError),
        // Reserved flags of a PINGREQ.
        (&[0xc1, 0], ReasonCode::MalformedPacket),
        // QoS 2.
        (&[0x34, 6, 0, 1, b'a', 0, 1, 0], ReasonCode::QosNotSupported),
        // A wildcard in a topic name.
        (&[0x30, 4, 0, 1, b'#', 0], ReasonCode::TopicNameInvalid),
        // `#` in the middle.
        (&[0x82, 9, 0, 1, 0, 0, 3, b'#', b'/', b'a', 0], ReasonCode::TopicFilterInvalid),
        // A subscription identifier.
        (&[0x82, 9, 0, 1, 2, 0x0b, 1, 0, 1, b'a', 0], ReasonCode::SubscriptionIdentifiersNotSupported),
        // More than 129 KiB.
        (&[0x30, 0xff, 0xff, 0x7f], ReasonCode::PacketTooLarge),
        // AUTH without a method in the CONNECT.
        (&[0xf0, 0], ReasonCode::ProtocolError),
    ];
    for (sent, reason) in rows {
        let host = Router::new();
        let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
        client.stream.write_all(sent).await.unwrap();
        client.expect_disconnect(*reason).await;
        assert_eq!((host.counters().violations, host.counters().connections), (1, 0), "{sent:02x?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_silent_or_outlived_by_a_stop_is_told_so() {
    let host = Router::new();
    let stop = CancellationToken::new();
    let mut client = Client::raw(&host, &stop, 4096);
    client.version = Version::V5;
    client.write(|out| encode::connect(out, &Connect { keep_alive_s: 2, ..hello_5("c", 0) }).unwrap()).await;
    client.skip().await;
    let begun = host.clock.now();
    client.expect_disconnect(ReasonCode::KeepAliveTimeout).await;
    assert!((3_000_000..3_010_000).contains(&host.clock.now().micros_since(begun)));

    let mut client = Client::raw(&host, &stop, 4096);
    client.version = Version::V5;
    client.write(|out| encode::connect(out, &hello_5("c", 0)).unwrap()).await;
    client.skip().await;
    stop.cancel();
    client.expect_disconnect(ReasonCode::ServerShuttingDown).await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_connect_of_version_5_is_answered_with_its_reason() {
    // The reserved flag of the connect flags is set.
    let connect = [0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 5, 3, 0, 60, 0, 0, 1, b'c'];
    for (level, reason) in [(5, Some(0x81)), (6, Some(0x84)), (4, None)] {
        let host = Router::new();
        let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
        let mut connect = connect;
        connect[8] = level;
        client.stream.write_all(&connect).await.unwrap();
        client.stream.read_to_end(&mut client.read).await.unwrap();
        assert_eq!(client.read.get(3).copied(), reason, "level {level}: {:02x?}", client.read);
    }
}
