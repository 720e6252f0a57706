//! When a will is published, and when it is forgotten.

use super::*;

const DELAY_S: u32 = 10;

fn with_will(connect: Connect<'_>, delay_s: u32) -> Connect<'_> {
    let will = Will { qos: QoS::AtLeastOnce, delay_s, ..Will::new("gone", b"x") };
    Connect { will: Some(will), ..connect }
}

fn the_will() -> Vec<(String, String)> {
    vec![("c".to_owned(), "gone".to_owned())]
}

#[tokio::test(start_paused = true)]
async fn a_will_is_published_unless_the_client_says_goodbye() {
    for connect in [hello("c"), kept("c"), hello_5("c", 0), hello_5("c", 60)] {
        for (goodbye, expected) in [(true, vec![]), (false, the_will())] {
            let host = Router::new();
            let (client, _) = Client::connect(&host, &with_will(connect, 0)).await;
            client.end(goodbye).await;
            assert_eq!(host.published(), expected, "{connect:?}, goodbye: {goodbye}");
            host.after(100 * SECOND).await;
            assert_eq!(host.published(), []);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_may_leave_the_will_in_force() {
    let host = Router::new();
    let (mut client, _) = Client::connect(&host, &with_will(hello_5("c", 0), 0)).await;
    let disconnect = Disconnect::new(ReasonCode::DisconnectWithWill);
    client.write(|out| encode::disconnect(out, Version::V5, &disconnect).unwrap()).await;
    client.expect_end(&[]).await;
    assert_eq!(host.published(), the_will());
}

#[tokio::test(start_paused = true)]
async fn a_delayed_will_comes_after_its_delay_or_with_the_end_of_the_session() {
    // Session expiry, and after how many seconds the will comes.
    for (expiry_s, expected_s) in [(3600, DELAY_S), (u32::MAX, DELAY_S), (4, 4), (DELAY_S, DELAY_S), (0, 0)] {
        let host = Router::new();
        let (client, _) = Client::connect(&host, &with_will(hello_5("c", expiry_s), DELAY_S)).await;
        client.vanish().await;
        if expected_s > 0 {
            host.after(just_before(expected_s)).await;
            assert_eq!(host.published(), [], "{expiry_s} s");
            host.after(MS).await;
        }
        assert_eq!(host.published(), the_will(), "{expiry_s} s");
        host.after(10_000 * SECOND).await;
        assert_eq!(host.published(), [], "{expiry_s} s: once");
        assert_eq!(host.counters().sessions, u64::from(expiry_s == u32::MAX));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_in_time_cancels_its_delayed_will() {
    let host = Router::new();
    let (client, _) = Client::connect(&host, &with_will(hello_5("c", 60), DELAY_S)).await;
    client.vanish().await;
    host.after(9 * SECOND).await;
    let (client, present) = Client::connect(&host, &hello_5("c", 60)).await;
    assert!(present);
    host.after(100 * SECOND).await;
    client.vanish().await;
    host.after(100 * SECOND).await;
    assert_eq!(host.published(), []);
}

#[tokio::test(start_paused = true)]
async fn a_clean_start_ends_the_session_and_so_the_delay() {
    let host = Router::new();
    let (client, _) = Client::connect(&host, &with_will(hello_5("c", 60), DELAY_S)).await;
    client.vanish().await;
    let clean = Connect { clean_start: true, ..hello_5("c", 60) };
    let (_client, present) = Client::connect(&host, &clean).await;
    assert!(!present);
    assert_eq!(host.published(), the_will());
}

#[tokio::test(start_paused = true)]
async fn a_take_over_publishes_the_will_unless_it_was_to_wait_for_just_that() {
    for (delay_s, clean_start, expected) in
        [(0, false, the_will()), (0, true, the_will()), (DELAY_S, false, vec![]), (DELAY_S, true, the_will())]
    {
        let host = Router::new();
        let (old, _) = Client::connect(&host, &with_will(hello_5("c", 60), delay_s)).await;
        let (_new, _) = Client::connect(&host, &Connect { clean_start, ..hello_5("c", 60) }).await;
        old.expect_disconnect(ReasonCode::SessionTakenOver).await;
        assert_eq!(host.published(), expected, "delay {delay_s} s, clean {clean_start}");
        host.after(100 * SECOND).await;
        assert_eq!(host.published(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_will_carries_its_properties_and_its_lifetime_begins_when_it_is_published() {
    let host = Router::new();
    let (mut watcher, _) = Client::connect(&host, &hello_5("watcher", 0)).await;
    watcher.subscribe(&[("gone", QoS::AtLeastOnce)]).await;
    let mut connect = with_will(hello_5("c", 60), DELAY_S);
    let mut expected = delivery("gone", b"x", Some(1));
    expected.properties.content_type = Some("text/plain");
    expected.properties.message_expiry_s = Some(5);
    connect.will.as_mut().unwrap().properties = expected.properties;
    let (client, _) = Client::connect(&host, &connect).await;
    client.vanish().await;
    host.after(DELAY_S * SECOND).await;
    watcher.expect(Packet::Publish(expected)).await;
}
