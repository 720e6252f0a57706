//! Sessions that outlive their connection: what waits in them, for how long, and in which order it comes.

use super::*;

/// Messages that wait in one session.
const MAX_KEPT_MESSAGES: usize = 8192;

/// Both versions that can come back, with a session of an hour.
fn both(client_id: &str) -> [Connect<'_>; 2] {
    [kept(client_id), hello_5(client_id, 3600)]
}

/// A client that has subscribed to "a" with QoS 1.
async fn subscribed(host: &Arc<Router>, connect: &Connect<'_>) -> Client {
    let (mut client, present) = Client::connect(host, connect).await;
    assert!(!present);
    client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    client
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_finds_its_subscriptions_and_what_it_missed() {
    for connect in both("c") {
        for goodbye in [true, false] {
            let host = Router::new();
            let client = subscribed(&host, &connect).await;
            client.end(goodbye).await;
            let counters = host.counters();
            assert_eq!((counters.connections, counters.sessions, counters.subscriptions), (0, 1, 1));
            for payload in [b"1", b"2"] {
                let kept = Delivered { kept: 1, ..Delivered::default() };
                assert_eq!(host.send("a", payload, QoS::AtLeastOnce), kept);
            }
            assert_eq!(host.send("a", b"0", QoS::AtMostOnce), Delivered::default());
            let (mut client, present) = Client::connect(&host, &connect).await;
            assert!(present);
            client.expect_message("a", b"1", Some(1)).await;
            client.expect_message("a", b"2", Some(2)).await;
            assert_eq!(host.send("a", b"3", QoS::AtLeastOnce).sessions, 1);
            client.expect_message("a", b"3", Some(3)).await;
            client.settle().await;
            let counters = host.counters();
            assert_eq!((counters.kept, counters.messages_out, counters.missed_away), (2, 3, 1));
            assert_eq!((counters.sessions_resumed, counters.redelivered), (1, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_comes_again_before_anything_new_under_its_old_identifier() {
    for connect in both("c") {
        let host = Router::new();
        let mut client = subscribed(&host, &connect).await;
        for (payload, id) in [(b"1", 1), (b"2", 2), (b"3", 3)] {
            host.send("a", payload, QoS::AtLeastOnce);
            client.expect_message("a", payload, Some(id)).await;
        }
        client.acknowledge(2).await;
        client.settle().await;
        client.vanish().await;
        host.send("a", b"4", QoS::AtLeastOnce);
        let (mut client, _) = Client::connect(&host, &connect).await;
        client.expect_again("a", b"1", 1).await;
        client.expect_again("a", b"3", 3).await;
        client.expect_message("a", b"4", Some(4)).await;
        client.settle().await;
        client.vanish().await;
        // The acknowledged ones are gone, the last one is not.
        let (mut client, _) = Client::connect(&host, &connect).await;
        client.expect_again("a", b"4", 4).await;
        client.settle().await;
        client.vanish().await;
        let (mut client, _) = Client::connect(&host, &connect).await;
        client.settle().await;
        assert_eq!(host.counters().redelivered, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_written_to_a_client_that_vanished_comes_again() {
    let host = Router::new();
    let mut client = Client::raw(&host, &CancellationToken::new(), 64);
    client.write(|out| encode::connect(out, &kept("c")).unwrap()).await;
    client.expect(accepted()).await;
    client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    for payload in [&[1; 1000], &[2; 1000]] {
        host.send("a", payload, QoS::AtLeastOnce);
        tokio::task::yield_now().await;
    }
    client.vanish().await;
    let (mut client, _) = Client::connect(&host, &kept("c")).await;
    client.expect_again("a", &[1; 1000], 1).await;
    client.expect_again("a", &[2; 1000], 2).await;
}

#[tokio::test(start_paused = true)]
async fn the_expiry_of_a_message_is_counted_down_while_it_waits_and_then_it_never_arrives() {
    for connect in both("c") {
        let host = Router::new();
        subscribed(&host, &connect).await.leave().await;
        for (seconds, payload) in [(10, b"ten"), (30, b"30 "), (5, b"5  ")] {
            assert_eq!(host.send_for(seconds * SECOND, "a", payload).kept, 1);
        }
        host.after(9_500 * MS).await;
        let (mut client, _) = Client::connect(&host, &connect).await;
        for (left_s, payload, id) in [(0, b"ten", 1), (20, b"30 ", 2)] {
            let mut publish = delivery("a", payload, Some(id));
            // 3.1.1 has no way to say it, which does not keep anything longer.
            publish.properties.message_expiry_s = (connect.version == Version::V5).then_some(left_s);
            client.expect(Packet::Publish(publish)).await;
        }
        client.settle().await;
        let counters = host.counters();
        assert_eq!((counters.expired, counters.dropped(), counters.messages_out), (1, 0, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_message_that_has_expired_does_not_come_again() {
    for connect in both("c") {
        let host = Router::new();
        let mut client = subscribed(&host, &connect).await;
        host.send_for(2 * SECOND, "a", b"brief");
        host.send_for(20 * SECOND, "a", b"lasting");
        client.skip().await;
        client.skip().await;
        client.vanish().await;
        host.after(2 * SECOND).await;
        let (mut client, _) = Client::connect(&host, &connect).await;
        client
            .next(|packet| match packet {
                Packet::Publish(publish) => {
                    assert_eq!((publish.payload, publish.id), (&b"lasting"[..], PacketId::new(2)));
                    assert!(publish.dup);
                }
                other => panic!("{other:?}"),
            })
            .await;
        client.settle().await;
        // Its identifier is free again.
        host.send("a", b"next", QoS::AtLeastOnce);
        client.expect_message("a", b"next", Some(3)).await;
        assert_eq!((host.counters().expired, host.counters().redelivered), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_its_turn_expires_like_one_that_waits_for_its_client() {
    let host = Router::new();
    let mut connect = hello_5("c", 0);
    connect.properties.receive_maximum = 1;
    let mut client = subscribed(&host, &connect).await;
    host.send("a", b"1", QoS::AtLeastOnce);
    host.send_for(SECOND, "a", b"2");
    host.send("a", b"3", QoS::AtLeastOnce);
    client.expect_message("a", b"1", Some(1)).await;
    host.after(SECOND).await;
    client.acknowledge(1).await;
    client.expect_message("a", b"3", Some(2)).await;
    client.settle().await;
    assert_eq!(host.counters().expired, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_no_more_at_a_time_than_its_receive_maximum() {
    for session_expiry_s in [0, 3600] {
        let host = Router::new();
        let mut connect = hello_5("c", session_expiry_s);
        connect.properties.receive_maximum = 2;
        let mut client = subscribed(&host, &connect).await;
        for payload in [b"1", b"2", b"3", b"4", b"5"] {
            host.send("a", payload, QoS::AtLeastOnce);
        }
        client.expect_message("a", b"1", Some(1)).await;
        client.expect_message("a", b"2", Some(2)).await;
        client.settle().await;
        client.acknowledge(1).await;
        client.expect_message("a", b"3", Some(3)).await;
        client.settle().await;
        // What was acknowledged once makes room once.
        client.acknowledge(1).await;
        client.settle().await;
        if session_expiry_s == 0 {
            continue;
        }
        client.vanish().await;
        // A smaller window holds for what comes again, too.
        connect.properties.receive_maximum = 1;
        let (mut client, _) = Client::connect(&host, &connect).await;
        let again = |payload, id| Publish { dup: true, ..delivery("a", payload, Some(id)) };
        client.expect(Packet::Publish(again(b"2", 2))).await;
        client.settle().await;
        client.acknowledge(2).await;
        client.expect(Packet::Publish(again(b"3", 3))).await;
        client.settle().await;
        client.acknowledge(3).await;
        client.expect_message("a", b"4", Some(4)).await;
        client.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_start_forgets_what_was_there() {
    let clean_5 = Connect { clean_start: true, ..hello_5("c", 3600) };
    for (first, second) in [(kept("c"), hello("c")), (kept("c"), clean_5), (hello_5("c", 60), clean_5)] {
        let host = Router::new();
        subscribed(&host, &first).await.leave().await;
        host.send("a", b"1", QoS::AtLeastOnce);
        let (mut client, present) = Client::connect(&host, &second).await;
        assert!(!present);
        assert_eq!(host.send("a", b"2", QoS::AtLeastOnce), Delivered::default());
        client.settle().await;
        let counters = host.counters();
        assert_eq!((counters.sessions, counters.subscriptions, counters.lost_with_session), (1, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_its_client_has_been_away_for_too_long() {
    let lives = |host: &Router| host.counters().sessions == 1;
    for (connect, lifetime_s) in [(kept("c"), 3600), (hello_5("c", 7), 7), (hello_5("c", 100_000), 100_000)] {
        let host = Router::new();
        subscribed(&host, &connect).await.vanish().await;
        host.send("a", b"1", QoS::AtLeastOnce);
        // Coming back begins the time anew.
        host.after(just_before(lifetime_s)).await;
        let (client, present) = Client::connect(&host, &connect).await;
        assert!(present && lives(&host));
        client.vanish().await;
        host.after(just_before(lifetime_s)).await;
        assert!(lives(&host), "{lifetime_s} s");
        host.after(MS).await;
        assert!(!lives(&host), "{lifetime_s} s");
        assert_eq!(host.send("a", b"2", QoS::AtLeastOnce), Delivered::default());
        let (_client, present) = Client::connect(&host, &connect).await;
        assert!(!present);
        assert_eq!((host.counters().sessions_expired, host.counters().subscriptions), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_over_is_not_resumed_though_no_timer_has_looked() {
    let host = Router::new();
    let connect = hello_5("c", 7);
    subscribed(&host, &connect).await.vanish().await;
    // Not `after`, which is the timer.
    host.clock.sleep_until(host.clock.now().plus(7 * SECOND)).await;
    let (_client, present) = Client::connect(&host, &connect).await;
    assert!(!present);
    assert_eq!((host.counters().sessions_expired, host.counters().sessions), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_never_expires_does_not() {
    let host = Router::new();
    subscribed(&host, &hello_5("c", u32::MAX)).await.vanish().await;
    host.after(Duration::from_hours(24 * 365 * 200)).await;
    assert!(Client::connect(&host, &hello_5("c", 0)).await.1);
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_may_change_how_long_a_session_lasts_but_not_bring_it_to_life() {
    let rows = [(3600, Some(0), 0), (3600, Some(10), 10), (3600, None, 3600), (0, Some(0), 0), (0, None, 0)];
    for (asked_s, at_end, lifetime_s) in rows {
        let host = Router::new();
        let mut client = subscribed(&host, &hello_5("c", asked_s)).await;
        let disconnect = Disconnect { session_expiry_s: at_end, ..Disconnect::default() };
        client.write(|out| encode::disconnect(out, Version::V5, &disconnect).unwrap()).await;
        client.expect_end(&[]).await;
        if lifetime_s > 0 {
            host.after(just_before(lifetime_s)).await;
            assert_eq!(host.counters().sessions, 1, "{asked_s} s, then {at_end:?}");
            host.after(MS).await;
        }
        assert_eq!(host.counters().sessions, 0, "{asked_s} s, then {at_end:?}");
    }
    let host = Router::new();
    let mut client = subscribed(&host, &hello_5("c", 0)).await;
    let disconnect = Disconnect { session_expiry_s: Some(1), ..Disconnect::default() };
    client.write(|out| encode::disconnect(out, Version::V5, &disconnect).unwrap()).await;
    client.expect_disconnect(ReasonCode::ProtocolError).await;
    assert_eq!(host.counters().last_violation, Some(Violation::SessionExpiryRaised));
}

#[tokio::test(start_paused = true)]
async fn a_queue_has_a_bound_and_what_does_not_fit_is_counted() {
    let host = Router::new();
    subscribed(&host, &kept("c")).await.vanish().await;
    for _ in 0..MAX_KEPT_MESSAGES - 1 {
        assert_eq!(host.send("a", b"", QoS::AtLeastOnce).kept, 1);
    }
    assert_eq!(host.send_for(SECOND, "a", b"brief").kept, 1);
    let dropped = Delivered { dropped: 1, ..Delivered::default() };
    assert_eq!(host.send("a", b"too much", QoS::AtLeastOnce), dropped);
    // What has expired makes room.
    host.after(SECOND).await;
    assert_eq!(host.send("a", b"last", QoS::AtLeastOnce).kept, 1);
    assert_eq!(host.send("a", b"too much", QoS::AtLeastOnce), dropped);
    let counters = host.counters();
    assert_eq!((counters.dropped_queue_full, counters.dropped(), counters.expired), (2, 2, 1));
    let (mut client, _) = Client::connect(&host, &kept("c")).await;
    for _ in 0..MAX_KEPT_MESSAGES - 1 {
        client.skip().await;
    }
    client.expect_message("a", b"last", Some(8192)).await;
    client.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_bounded_in_bytes_whether_it_waits_or_was_sent() {
    for is_there in [true, false] {
        let host = Router::new();
        let mut client = subscribed(&host, &kept("c")).await;
        if !is_there {
            client.vanish().await;
            client = Client::connected(&host, "other").await;
        }
        let payload = vec![0; 100 * 1024];
        let mut sent = Delivered::default();
        for _ in 0..60 {
            let one = host.send("a", &payload, QoS::AtLeastOnce);
            sent.sessions += one.sessions + one.kept;
            sent.dropped += one.dropped;
            if one.sessions > 0 {
                client.skip().await;
            }
        }
        assert_eq!((sent.sessions, sent.dropped), (40, 20), "{is_there}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_sessions_of_absent_clients_are_bounded_and_the_oldest_ends_first() {
    let host = Router::new();
    host.with_broker(|broker| broker.away.bounds.sessions = 2);
    for client_id in ["1", "2", "3"] {
        subscribed(&host, &kept(client_id)).await.vanish().await;
    }
    assert_eq!((host.counters().sessions, host.counters().sessions_evicted), (2, 1));
    let (_first, present) = Client::connect(&host, &kept("1")).await;
    assert!(!present);
    // Whoever is there does not count, and whoever was there last ends last.
    let (client, present) = Client::connect(&host, &kept("2")).await;
    assert!(present);
    client.vanish().await;
    subscribed(&host, &kept("4")).await.vanish().await;
    let mut clients = Vec::new();
    for (client_id, expected) in [("3", false), ("2", true), ("4", true)] {
        let (client, present) = Client::connect(&host, &kept(client_id)).await;
        assert_eq!(present, expected, "{client_id}");
        clients.push(client);
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_of_absent_sessions_is_bounded() {
    let host = Router::new();
    host.with_broker(|broker| broker.away.bounds.bytes = 10_000);
    for client_id in ["1", "2"] {
        subscribed(&host, &kept(client_id)).await.vanish().await;
    }
    let payload = [0; 3_000];
    assert_eq!(host.send("a", &payload, QoS::AtLeastOnce).kept, 2);
    assert_eq!(host.counters().sessions, 2);
    // Two messages in each are more than fit; the older session makes room.
    assert_eq!(host.send("a", &payload, QoS::AtLeastOnce).kept, 2);
    let counters = host.counters();
    assert_eq!((counters.sessions, counters.sessions_evicted, counters.dropped_evicted), (1, 1, 2));
    let (_first, present) = Client::connect(&host, &kept("1")).await;
    assert!(!present);
    let (mut client, _) = Client::connect(&host, &kept("2")).await;
    for id in [1, 2] {
        client.expect_message("a", &payload, Some(id)).await;
        client.acknowledge(id).await;
    }
    client.settle().await;
    client.vanish().await;
    // What is empty again weighs no more than it did, and what has expired weighs nothing.
    for _ in 0..3 {
        assert_eq!(host.send_for(SECOND, "a", &payload).kept, 1);
    }
    host.after(SECOND).await;
    let (client, _) = Client::connect(&host, &kept("2")).await;
    client.vanish().await;
    for _ in 0..3 {
        assert_eq!(host.send("a", &payload, QoS::AtLeastOnce).kept, 1);
    }
    assert_eq!((host.counters().sessions_evicted, host.counters().expired), (1, 3));
}
