//! The limits of AWS IoT Core as clients meet them. What they are is tested beside them.

use std::num::NonZeroU16;

use super::*;

fn aws() -> Arc<Router> {
    Router::with_limits(Limits::AWS)
}

/// Connects and expects the answer of a CONNACK, without looking at its words.
async fn expect_refusal(host: &Arc<Router>, connect: &Connect<'_>, reason: ReasonCode) {
    let mut client = Client::raw(host, &CancellationToken::new(), 4096);
    client.version = connect.version;
    client.write(|out| encode::connect(out, connect).unwrap()).await;
    client
        .next(|packet| match packet {
            Packet::ConnAck(connack) => assert_eq!(connack.reason, reason),
            other => panic!("{other:?}"),
        })
        .await;
    client.expect_end(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_connack_says_what_was_adjusted() {
    let host = aws();
    let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
    client.version = Version::V5;
    client.write(|out| encode::connect(out, &hello_5("c", u32::MAX)).unwrap()).await;
    client
        .next(|packet| match packet {
            Packet::ConnAck(ConnAck { properties, reason: ReasonCode::Success, .. }) => {
                assert_eq!(properties.receive_maximum, NonZeroU16::new(100));
                assert_eq!(properties.server_keep_alive_s, Some(1200), "it asked for none");
                assert_eq!(properties.session_expiry_s, Some(604_800));
            }
            other => panic!("{other:?}"),
        })
        .await;
    // Nor can a DISCONNECT ask for more.
    let expiry = Disconnect { session_expiry_s: Some(u32::MAX), ..Disconnect::default() };
    client.write(|out| encode::disconnect(out, Version::V5, &expiry).unwrap()).await;
    client.expect_end(&[]).await;
    host.after(604_800 * SECOND).await;
    assert_eq!((host.counters().sessions, host.counters().sessions_expired), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_of_3_1_1_without_keep_alive_is_held_to_20_minutes() {
    let host = aws();
    let client = Client::connected(&host, "c").await;
    client.expect_end(&[]).await;
    assert_eq!(host.clock.now().micros() / 1_000_000, 1800, "one and a half times 1200 s");
    assert_eq!(host.counters().silent, 1);
}

#[tokio::test(start_paused = true)]
async fn one_identifier_connects_once_a_second() {
    let host = aws();
    let first = Client::connected(&host, "c").await;
    expect_refusal(&host, &hello_5("c", 0), ReasonCode::ConnectionRateExceeded).await;
    expect_refusal(&host, &hello("c"), ReasonCode::ServerUnavailable).await;
    Client::connected(&host, "another").await.leave().await;
    host.after(SECOND).await;
    Client::connected(&host, "c").await.leave().await;
    // Taken over by the one that was let in, and by none of those that were not.
    first.expect_end(&[]).await;
    assert_eq!((host.counters().takeovers, host.counters().refused_connects), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn of_a_client_more_than_100_messages_a_second_are_discarded() {
    for version in [Version::V311, Version::V5] {
        let host = aws();
        let connect = Connect { version, ..hello("c") };
        let (mut client, _) = Client::connect(&host, &connect).await;
        for _ in 0..101 {
            client.publish(&message("a", Some(1))).await;
        }
        let ordinary =
            if version == Version::V5 { ReasonCode::NoMatchingSubscribers } else { ReasonCode::Success };
        let puback = |reason| Packet::PubAck(PubAck { reason, ..PubAck::new(PacketId::FIRST) });
        for _ in 0..100 {
            client.expect(puback(ordinary)).await;
        }
        if version == Version::V5 {
            client.expect(puback(ReasonCode::QuotaExceeded)).await;
        }
        client.settle().await;
        assert_eq!((host.published().len(), host.counters().over_rate), (100, 1), "{version:?}");
        host.after(SECOND).await;
        client.publish(&message("a", Some(1))).await;
        client.expect(puback(ordinary)).await;
        assert_eq!(host.published().len(), 1, "{version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn to_a_client_more_than_100_messages_a_second_are_discarded_and_what_waited_is_not() {
    let host = aws();
    let (mut client, _) = Client::connect(&host, &kept("c")).await;
    client.subscribe(&[("a", QoS::AtLeastOnce), ("b", QoS::AtMostOnce)]).await;
    for sent in 0..150 {
        let delivered = host.send("b", b"x", QoS::AtMostOnce);
        assert_eq!(
            (delivered.sessions, delivered.dropped),
            if sent < 100 { (1, 0) } else { (0, 1) },
            "{sent}"
        );
    }
    for _ in 0..100 {
        client.expect_message("b", b"x", None).await;
    }
    client.leave().await;
    for _ in 0..150 {
        assert_eq!(host.send("a", b"y", QoS::AtLeastOnce).kept, 1);
    }
    host.after(SECOND).await;
    let (mut client, _) = Client::connect(&host, &kept("c")).await;
    // A hundred fit the window, and each acknowledgement makes room for one more.
    for id in 1..=150 {
        client.expect_message("a", b"y", Some(id)).await;
        client.acknowledge(id).await;
    }
    client.settle().await;
    assert_eq!(host.counters().over_rate, 50);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_messages_may_be_unacknowledged() {
    let host = aws();
    let mut client = Client::connected(&host, "c").await;
    client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    let delivered: Vec<Delivered> = (0..101).map(|_| host.send("a", b"x", QoS::AtLeastOnce)).collect();
    let (sent, kept) = delivered.iter().fold((0, 0), |sum, one| (sum.0 + one.sessions, sum.1 + one.kept));
    assert_eq!((sent, kept), (100, 1));
}

#[tokio::test(start_paused = true)]
async fn subscriptions_over_the_limits_are_refused_one_by_one() {
    let host = aws();
    let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
    let (granted, invalid, quota) = (1, 0x8F, 0x97);
    let (deep, long) = ("a/".repeat(8), "a".repeat(257));
    let filters = |filters: &[&'static str]| -> Vec<FilterRequest<'static>> {
        filters.iter().map(|filter| FilterRequest::new(filter, QoS::AtLeastOnce)).collect()
    };
    let requests = [&*deep, &long, "a", "$aws/1/2/3/4/5/6/7/8/9"];
    let requests = requests.map(|filter| FilterRequest::new(filter, QoS::AtLeastOnce));
    client.ask(&requests).await;
    let codes = |packet: Packet<'_>| match packet {
        Packet::SubAck(suback) => suback.codes.to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(client.next(codes).await, [invalid, invalid, granted, granted]);
    client.ask(&filters(&["1", "2", "3", "4", "5", "6", "7", "8", "9"])).await;
    assert_eq!(client.next(codes).await, [quota; 9], "nine in one SUBSCRIBE");
    let names: Vec<String> = (2..51).map(|number| format!("t{number}")).collect();
    let mut found = Vec::new();
    for names in names.chunks(8) {
        let requests: Vec<_> = names.iter().map(|name| FilterRequest::new(name, QoS::AtLeastOnce)).collect();
        client.ask(&requests).await;
        found.extend(client.next(codes).await);
    }
    assert_eq!(found, [&[granted; 48][..], &[quota]].concat(), "fifty in one session");
    assert_eq!((host.counters().subscriptions, host.counters().over_limit), (50, 2 + 9 + 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limits_ends_the_connection() {
    let large = vec![b'x'; 128 * 1024 + 1];
    let rows = [
        (Publish::new("a", &large), ReasonCode::PacketTooLarge),
        (Publish::new("a/a/a/a/a/a/a/a/a", b"x"), ReasonCode::TopicNameInvalid),
    ];
    for (publish, reason) in rows {
        let host = aws();
        let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
        client.publish(&publish).await;
        client.expect_disconnect(reason).await;
        assert_eq!((host.published().len(), host.counters().over_limit), (0, 1), "{reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_over_512_kib_a_second_are_late_and_none_is_lost() {
    let host = aws();
    let mut client = Client::connected(&host, "c").await;
    let payload = vec![b'x'; 128 * 1024];
    for _ in 0..8 {
        client.publish(&Publish::new("a", &payload)).await;
    }
    client.settle().await;
    let took_ms = host.clock.now().micros() / 1000;
    assert!((900..1200).contains(&took_ms), "a second's worth at once and as much in the next: {took_ms} ms");
    assert_eq!(host.published().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_full_session_may_repeat_its_subscriptions() {
    let host = aws();
    let mut client = Client::connected(&host, "c").await;
    for number in 0..50 {
        client.subscribe(&[(&format!("t/{number}"), QoS::AtLeastOnce)]).await;
    }
    client.subscribe_with(&[FilterRequest::new("t/50", QoS::AtLeastOnce)], &[0x80]).await;
    client.subscribe(&[("t/0", QoS::AtMostOnce)]).await;
    assert_eq!(host.counters().subscriptions, 50);
}
