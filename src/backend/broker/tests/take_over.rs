//! A client connects while it is connected, in every combination of versions and clean starts.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_session_goes_over_if_it_outlives_connections_and_the_new_one_wants_it() {
    // The session expiry of the old connection, whether the new one starts clean, what is expected.
    let rows = [(3600, false, true), (3600, true, false), (0, false, false), (0, true, false)];
    let versions = [Version::V311, Version::V5];
    for (old_version, new_version) in versions.into_iter().flat_map(|old| versions.map(|new| (old, new))) {
        for (expiry_s, clean_start, expected) in rows {
            let case = format!("{old_version:?} {expiry_s} s, then {new_version:?} clean {clean_start}");
            let host = Router::new();
            let old = match old_version {
                Version::V311 => Connect { clean_start: expiry_s == 0, ..hello("c") },
                Version::V5 => hello_5("c", expiry_s),
            };
            let new = match new_version {
                Version::V311 => Connect { clean_start, ..hello("c") },
                Version::V5 => Connect { clean_start, ..hello_5("c", 3600) },
            };
            let (mut old, _) = Client::connect(&host, &old).await;
            old.subscribe(&[("a", QoS::AtLeastOnce)]).await;
            host.send("a", b"1", QoS::AtLeastOnce);
            old.expect_message("a", b"1", Some(1)).await;
            let (mut new, present) = Client::connect(&host, &new).await;
            assert_eq!(present, expected, "{case}");
            match old_version {
                Version::V311 => old.expect_end(&[]).await,
                Version::V5 => old.expect_disconnect(ReasonCode::SessionTakenOver).await,
            }
            if expected {
                new.expect_again("a", b"1", 1).await;
            }
            let delivered = host.send("a", b"2", QoS::AtLeastOnce);
            assert_eq!(delivered.sessions, u32::from(expected), "{case}");
            if expected {
                new.expect_message("a", b"2", Some(2)).await;
            }
            new.settle().await;
            let counters = host.counters();
            assert_eq!((counters.connections, counters.sessions, counters.takeovers), (1, 1, 1), "{case}");
            assert_eq!(counters.subscriptions, u64::from(expected), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_old_connection_still_sends_changes_nothing() {
    let host = Router::new();
    let (mut old, _) = Client::connect(&host, &kept("c")).await;
    old.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    host.send("a", b"1", QoS::AtLeastOnce);
    old.expect_message("a", b"1", Some(1)).await;
    // On its way before the old connection can know that it was taken over.
    old.write(|out| {
        encode::puback(out, Version::V311, &PubAck::new(PacketId::FIRST)).unwrap();
        encode::unsubscribe(out, Version::V311, PacketId::FIRST, &["a"]).unwrap();
        encode::subscribe(out, Version::V311, PacketId::FIRST, &[FilterRequest::new("b", QoS::AtLeastOnce)])
            .unwrap();
    })
    .await;
    let connection = {
        let arrival = lifecycle::Arrival {
            client_id: "c",
            clean_start: false,
            expiry_s: 3600,
            terms: session::Terms {
                window: 10,
                max_packet_bytes: 1000,
                outlives: true,
                ..Default::default()
            },
        };
        host.with_broker(|broker| broker.attach(&arrival)).0
    };
    old.stream.read_to_end(&mut old.read).await.unwrap();
    old.served.await.unwrap();
    assert_eq!(host.counters().subscriptions, 1);
    assert_eq!(host.send("a", b"2", QoS::AtLeastOnce).sessions, 1);
    assert_eq!(host.send("b", b"3", QoS::AtLeastOnce), Delivered::default());
    let departure = lifecycle::Departure { expiry_s: 3600, will: None };
    host.with_broker(|broker| broker.detach(&connection, departure));
    let (mut new, _) = Client::connect(&host, &kept("c")).await;
    new.expect_again("a", b"1", 1).await;
    new.expect_again("a", b"2", 2).await;
    new.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_does_not_hold_up_its_successor() {
    let host = Router::new();
    let mut old = Client::raw(&host, &CancellationToken::new(), 256);
    old.version = Version::V5;
    old.write(|out| encode::connect(out, &hello_5("c", 60)).unwrap()).await;
    old.skip().await;
    old.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    for _ in 0..3 {
        host.send("a", &[0; 1000], QoS::AtLeastOnce);
        tokio::task::yield_now().await;
    }
    let (mut new, present) = Client::connect(&host, &hello_5("c", 60)).await;
    assert!(present);
    for id in 1..=3 {
        new.expect_again("a", &[0; 1000], id).await;
    }
    new.settle().await;
    old.served.await.unwrap();
}
