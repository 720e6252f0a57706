//! One connection: the first packet, deliveries, bounds, silence and the ways it ends.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_message_arrives_at_the_lower_of_both_qos() {
    let host = Router::new();
    let mut client = Client::connected(&host, "c").await;
    client.subscribe(&[("zero", QoS::AtMostOnce), ("one", QoS::AtLeastOnce)]).await;
    for (topic, qos, id) in [
        ("zero", QoS::AtMostOnce, None),
        ("zero", QoS::AtLeastOnce, None),
        ("one", QoS::AtMostOnce, None),
        ("one", QoS::AtLeastOnce, Some(1)),
        ("one", QoS::AtLeastOnce, Some(2)),
    ] {
        assert_eq!(host.send(topic, b"payload", qos), Delivered { sessions: 1, ..Delivered::default() });
        client.expect_message(topic, b"payload", id).await;
    }
    assert_eq!(host.send("none", b"", QoS::AtMostOnce), Delivered::default());
    assert_eq!(host.counters().messages_out, 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_publishes_and_receives_its_own_message_with_the_acknowledgement() {
    let host = Router::new();
    let mut client = Client::connected(&host, "c").await;
    client.subscribe(&[("a/#", QoS::AtLeastOnce)]).await;
    client.publish(&message("a/b", Some(77))).await;
    client.expect(Packet::PubAck(PubAck::new(PacketId::new(77).unwrap()))).await;
    client.expect_message("a/b", b"x", Some(1)).await;
    client
        .write(|out| encode::unsubscribe(out, Version::V311, PacketId::FIRST, &["a/#", "never"]).unwrap())
        .await;
    client.expect(Packet::UnsubAck(UnsubAck::new(PacketId::FIRST, &[]))).await;
    client.publish(&message("a/b", None)).await;
    client.settle().await;
    let counters = host.counters();
    assert_eq!((counters.messages_in, counters.messages_out, counters.subscriptions), (2, 1, 0));
    client.leave().await;
    assert_eq!(host.counters().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn first_packets_are_answered_as_the_standard_says() {
    let v6: &[u8] = &[0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 6, 2, 0, 60, 0, 0, 1, b'c'];
    let v3: &[u8] = b"\x10\x0f\0\x06MQIsdp\x03\x02\0\x3c\0\x01c";
    let nameless_kept: &[u8] = &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 60, 0, 0];
    let mut long = Vec::new();
    encode::connect(&mut long, &hello(&"x".repeat(129))).unwrap();
    let first = Some(Violation::NotConnected);
    let rows: &[(&[u8], &[u8], Option<Violation>)] = &[
        (v6, &[0x20, 3, 0, 0x84, 0], None),
        (v3, &[0x20, 2, 0, 1], None),
        (nameless_kept, &[0x20, 2, 0, 2], None),
        (&long, &[0x20, 2, 0, 2], None),
        (&[0xc0, 0], &[], first),
        (&[0x30, 3, 0, 1, b'a'], &[], first),
        (
            b"GET / HTTP/1.1\r\n\r\n",
            &[],
            Some(Violation::Flags { packet: mqtt::PacketKind::PubAck, found: 7, expected: 0 }),
        ),
    ];
    for (sent, answer, violation) in rows {
        let host = Router::new();
        let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
        client.stream.write_all(sent).await.unwrap();
        client.expect_end(answer).await;
        let counters = host.counters();
        assert_eq!(counters.last_violation, *violation, "{sent:?}");
        assert_eq!(counters.violations + counters.refused_connects, 1, "{sent:?}");
        assert_eq!((counters.connections, counters.connections_total), (0, 0), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn violations_of_a_connected_client_close_the_connection() {
    let mut again = Vec::new();
    encode::connect(&mut again, &hello("c")).unwrap();
    let mut misplaced = b"\x82\x2f\0\x01\0\x2a$aws/commands/things/t/executions/#/request\x01".to_vec();
    misplaced[1] = u8::try_from(misplaced.len() - 2).unwrap();
    misplaced[5] = u8::try_from(misplaced.len() - 7).unwrap();
    let hash = Violation::Topic { field: "topic filter", error: mqtt::TopicError::MisplacedHash };
    let rows: &[(&[u8], Violation)] = &[
        (&again, Violation::SecondConnect),
        (&misplaced, hash),
        (&[0x34, 5, 0, 1, b'a', 0, 1], Violation::QosTwo(mqtt::PacketKind::Publish)),
        (
            &[0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 6, 2, 0, 60, 0, 0, 1, b'c'],
            Violation::UnsupportedLevel(6),
        ),
    ];
    for (sent, violation) in rows {
        let host = Router::new();
        let mut client = Client::connected(&host, "c").await;
        client.stream.write_all(sent).await.unwrap();
        client.expect_end(&[]).await;
        let counters = host.counters();
        assert_eq!(counters.last_violation, Some(*violation), "{sent:02x?}");
        assert_eq!((counters.violations, counters.connections), (1, 0), "{sent:02x?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_may_send_more_before_it_is_answered() {
    let host = Router::new();
    let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
    client
        .write(|out| {
            encode::connect(out, &hello("eager")).unwrap();
            encode::subscribe(
                out,
                Version::V311,
                PacketId::FIRST,
                &[FilterRequest::new("a", QoS::AtLeastOnce)],
            )
            .unwrap();
            encode::publish(out, Version::V311, &message("a", None)).unwrap();
        })
        .await;
    client.expect(accepted()).await;
    client.expect(Packet::SubAck(SubAck::new(PacketId::FIRST, &[1]))).await;
    client.expect_message("a", b"x", None).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_taken_over_and_the_clean_up_of_the_old_one_leaves_the_new_one_alone() {
    let host = Router::new();
    let mut old = Client::connected(&host, "c").await;
    old.subscribe(&[
        ("a", QoS::AtLeastOnce),
        ("$aws/commands/things/c/executions/+/request/#", QoS::AtLeastOnce),
    ])
    .await;
    // Both at once: the new session has the old one's place before the old task gets to run.
    let mut new = Client::connected(&host, "c").await;
    new.subscribe(&[("a", QoS::AtMostOnce)]).await;
    old.expect_end(&[]).await;
    assert_eq!(host.send("a", b"", QoS::AtLeastOnce), Delivered { sessions: 1, ..Delivered::default() });
    assert_eq!(host.send("$aws/commands/things/c/executions/e/request", b"", QoS::AtLeastOnce).sessions, 0);
    new.expect_message("a", b"", None).await;
    let counters = host.counters();
    assert_eq!((counters.connections, counters.connections_total), (1, 2));
    assert_eq!((counters.takeovers, counters.subscriptions), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_take_overs_leaves_one_session_and_no_route() {
    let host = Router::new();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Client::connected(&host, "c").await;
        client.ask(&[FilterRequest::new("a", QoS::AtMostOnce)]).await;
        clients.push(client);
    }
    let mut last = clients.pop().unwrap();
    last.settle_after_suback().await;
    for client in clients {
        client.served.await.unwrap();
    }
    assert_eq!(host.send("a", b"", QoS::AtMostOnce).sessions, 1);
    drop(last.stream);
    last.served.await.unwrap();
    let counters = host.counters();
    assert_eq!((counters.connections, counters.subscriptions, counters.takeovers), (0, 0, 49));
    assert_eq!(host.send("a", b"", QoS::AtMostOnce), Delivered::default());
}

/// Connections of one client on four threads, each at any moment taken over by another.
#[test]
fn take_overs_from_many_threads_at_once_leave_nothing_behind() {
    let host = Router::new();
    let filters =
        [("a", QoS::AtMostOnce), ("$aws/commands/things/c/executions/+/request/#", QoS::AtLeastOnce)]
            .map(|(filter, qos)| FilterRequest::new(filter, qos));
    let connect = async || {
        let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
        let mut out = Vec::new();
        encode::connect(&mut out, &hello("c")).unwrap();
        encode::subscribe(&mut out, Version::V311, PacketId::FIRST, &filters).unwrap();
        // Either it is answered or it was taken over meanwhile.
        let _ = client.stream.write_all(&out).await;
        let _ = client.stream.read_exact(&mut [0; 4 + 6]).await;
        client
    };
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut older = connect().await;
                    for _ in 1..500 {
                        let newer = connect().await;
                        host.send("a", b"x", QoS::AtMostOnce);
                        drop(older.stream);
                        older.served.await.unwrap();
                        older = newer;
                    }
                    drop(older.stream);
                    older.served.await.unwrap();
                });
            });
        }
    });
    let counters = host.counters();
    assert_eq!((counters.connections_total, counters.violations), (2000, 0));
    // Each connection but a thread's first finds at least its own predecessor, or whoever took that over.
    assert!(counters.takeovers >= 4 * 499 - 4, "{counters:?}");
    assert_eq!((counters.connections, counters.subscriptions), (0, 0));
    for topic in ["a", "$aws/commands/things/c/executions/e/request"] {
        assert_eq!(host.send(topic, b"", QoS::AtMostOnce), Delivered::default(), "{topic}");
    }
}

impl Client {
    async fn settle_after_suback(&mut self) {
        self.expect(Packet::SubAck(SubAck::new(PacketId::FIRST, &[0]))).await;
        self.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn clients_without_a_name_get_one_each() {
    let host = Router::new();
    let taken = Client::connected(&host, "anonymous-2").await;
    let (one, two) = (Client::connected(&host, "").await, Client::connected(&host, "").await);
    let counters = host.counters();
    assert_eq!((counters.connections, counters.takeovers), (3, 0));
    drop((taken, one, two));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_messages_and_they_are_counted() {
    let host = Router::new();
    let mut slow = Client::raw(&host, &CancellationToken::new(), 4096);
    slow.write(|out| encode::connect(out, &hello("slow")).unwrap()).await;
    slow.expect(accepted()).await;
    slow.subscribe(&[("a", QoS::AtMostOnce)]).await;
    let payload = vec![7; 100 * 1024];
    let mut sent = Delivered::default();
    for _ in 0..40 {
        let delivered = host.send("a", &payload, QoS::AtMostOnce);
        sent.sessions += delivered.sessions;
        sent.dropped += delivered.dropped;
        tokio::task::yield_now().await;
    }
    // At most 1 MiB waits and as much is being written.
    assert!((10..=20).contains(&sent.sessions), "{sent:?}");
    let counters = host.counters();
    assert_eq!(
        (counters.dropped_buffer_full, counters.dropped()),
        (u64::from(sent.dropped), u64::from(sent.dropped))
    );
    for _ in 0..sent.sessions {
        slow.expect_message("a", &payload, None).await;
    }
    slow.settle().await;
    assert_eq!(host.send("a", b"again", QoS::AtMostOnce).sessions, 1);
    slow.expect_message("a", b"again", None).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_every_message_of_qos_1_that_its_session_can_keep() {
    let host = Router::new();
    let mut slow = Client::raw(&host, &CancellationToken::new(), 4096);
    slow.write(|out| encode::connect(out, &hello("slow")).unwrap()).await;
    slow.expect(accepted()).await;
    slow.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    for number in 0..40 {
        let delivered = host.send("a", &vec![number; 100 * 1024], QoS::AtLeastOnce);
        assert_eq!(delivered.sessions + delivered.kept, 1);
        tokio::task::yield_now().await;
    }
    assert!(host.counters().kept > 10);
    for number in 0..40 {
        slow.expect_message("a", &vec![number; 100 * 1024], Some(u16::from(number) + 1)).await;
    }
    slow.settle().await;
    assert_eq!((host.counters().dropped(), host.counters().messages_out), (0, 40));
}

#[tokio::test(start_paused = true)]
async fn what_a_client_leaves_unacknowledged_makes_later_messages_wait() {
    let host = Router::new();
    let mut client = Client::connected(&host, "c").await;
    client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    for number in 1..=8192 {
        assert_eq!(host.send("a", b"", QoS::AtLeastOnce).sessions, 1);
        client.expect_message("a", b"", Some(number)).await;
    }
    assert_eq!(host.send("a", b"1", QoS::AtLeastOnce), Delivered { kept: 1, ..Delivered::default() });
    assert_eq!(host.send("a", b"2", QoS::AtLeastOnce), Delivered { kept: 1, ..Delivered::default() });
    assert_eq!(host.send("a", b"0", QoS::AtMostOnce).sessions, 1, "QoS 0 needs no acknowledgement");
    client.expect_message("a", b"0", None).await;
    client.acknowledge(5).await;
    client.expect_message("a", b"1", Some(8193)).await;
    client.settle().await;
    client.acknowledge(8193).await;
    client.expect_message("a", b"2", Some(8194)).await;
    assert_eq!(host.counters().dropped(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_not_read_from() {
    let host = Router::new();
    let mut client = Client::raw(&host, &CancellationToken::new(), 1024);
    client.write(|out| encode::connect(out, &hello("c")).unwrap()).await;
    // Each ping is answered with as many bytes, and nobody reads the answers.
    let pings = [0xc0, 0].repeat(512 * 1024);
    let written = tokio::time::timeout(Duration::from_secs(5), client.stream.write_all(&pings)).await;
    assert!(written.is_err(), "a megabyte of pings went in without an answer being read");
    assert!(!client.served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn keep_alive_closes_after_one_and_a_half_times_and_any_packet_puts_it_off() {
    let host = Router::new();
    let begun = host.clock.now();
    let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
    client.write(|out| encode::connect(out, &Connect { keep_alive_s: 2, ..hello("c") }).unwrap()).await;
    client.expect(accepted()).await;
    for _ in 0..10 {
        host.clock.sleep_until(host.clock.now().plus(2900 * MS)).await;
        client.settle().await;
    }
    let last = host.clock.now();
    assert!(last.micros_since(begun) >= 29_000_000);
    client.expect_end(&[]).await;
    let silence_us = host.clock.now().micros_since(last);
    assert!((3_000_000..3_010_000).contains(&silence_us), "{silence_us} µs");
    assert_eq!((host.counters().silent, host.counters().connections), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_long_keep_alive_outlasts_the_time_to_connect_and_none_lasts_for_ever() {
    for keep_alive_s in [1200, 0] {
        let host = Router::new();
        let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
        client.write(|out| encode::connect(out, &Connect { keep_alive_s, ..hello("c") }).unwrap()).await;
        client.expect(accepted()).await;
        host.clock.sleep_until(host.clock.now().plus(Duration::from_mins(29))).await;
        client.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_connect_is_closed_after_ten_seconds() {
    let host = Router::new();
    let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
    // A byte now and then is not a CONNECT.
    client.stream.write_all(&[0x10]).await.unwrap();
    host.clock.sleep_until(host.clock.now().plus(9900 * MS)).await;
    client.stream.write_all(&[12]).await.unwrap();
    client.expect_end(&[]).await;
    assert_eq!(host.counters().silent, 1);
    assert!(host.clock.now().micros() < 10_100_000);
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_every_connection_at_once() {
    let (host, stop) = (Router::new(), CancellationToken::new());
    let fresh = Client::raw(&host, &stop, 4096);
    let mut client = Client::raw(&host, &stop, 4096);
    client.write(|out| encode::connect(out, &hello("c")).unwrap()).await;
    client.expect(accepted()).await;
    stop.cancel();
    client.expect_end(&[]).await;
    fresh.expect_end(&[]).await;
    assert_eq!(host.counters().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_leaves_no_session() {
    let host = Router::new();
    let client = Client::connected(&host, "c").await;
    client.served.abort();
    assert!(client.served.await.unwrap_err().is_cancelled());
    assert_eq!(host.counters().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_a_bound_of_subscriptions() {
    let host = Router::new();
    let mut client = Client::connected(&host, "c").await;
    let filters: Vec<String> = (0..MAX_SUBSCRIPTIONS).map(|number| format!("f/{number}")).collect();
    let filters: Vec<_> = filters.iter().map(|filter| (&**filter, QoS::AtMostOnce)).collect();
    client.subscribe(&filters).await;
    client.ask(&[FilterRequest::new("more", QoS::AtMostOnce)]).await;
    client.expect(Packet::SubAck(SubAck::new(PacketId::FIRST, &[0x80]))).await;
    assert_eq!(host.counters().subscriptions, MAX_SUBSCRIPTIONS as u64);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_small() {
    let host = Router::new();
    let (_, theirs) = tokio::io::duplex(1);
    let size = std::mem::size_of_val(&serve(theirs, Arc::clone(&host), CancellationToken::new()));
    assert!(size <= 700, "{size} bytes");
    assert!(std::mem::size_of::<Session>() <= 160, "{} bytes", std::mem::size_of::<Session>());
}
