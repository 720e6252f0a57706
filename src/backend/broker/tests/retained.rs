//! Who gets what is retained, and when it is forgotten.

use super::super::retained as store;
use super::*;

fn retained<'a>(topic: &'a str, payload: &'a [u8]) -> Message<'a> {
    Message { retain: true, ..Message::new(topic, payload, QoS::AtLeastOnce) }
}

/// What a subscription brings at once: topics and payloads, each with the retain flag.
async fn brought(client: &mut Client, request: FilterRequest<'_>) -> Vec<(String, Vec<u8>)> {
    client.subscribe_with(&[request], &[request.qos as u8]).await;
    client.write(encode::pingreq).await;
    let mut brought = Vec::new();
    loop {
        let one = client.next(|packet| match packet {
            Packet::Publish(publish) => {
                assert!(publish.retain, "{publish:?}");
                assert_eq!(publish.qos, request.qos);
                Some((publish.topic.to_owned(), publish.payload.to_vec()))
            }
            Packet::PingResp => None,
            other => panic!("{other:?}"),
        });
        match one.await {
            Some(one) => brought.push(one),
            None => return brought,
        }
    }
}

fn pairs(expected: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    expected.iter().map(|(topic, payload)| ((*topic).to_owned(), payload.to_vec())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_subscriber_gets_the_last_retained_message_of_each_topic() {
    for connect in [hello("c"), hello_5("c", 0)] {
        let host = Router::new();
        for (topic, payload) in [("a/1", b"old"), ("a/2", b"two"), ("a/1", b"one"), ("b", b"bee")] {
            host.publish_message(&retained(topic, payload));
        }
        host.send("a/1", b"not retained", QoS::AtLeastOnce);
        let (mut client, _) = Client::connect(&host, &connect).await;
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let request = FilterRequest::new("a/#", qos);
            assert_eq!(brought(&mut client, request).await, pairs(&[("a/1", b"one"), ("a/2", b"two")]));
        }
        host.publish_message(&retained("a/2", b""));
        client.expect_message("a/2", b"", Some(3)).await;
        let request = FilterRequest::new("a/#", QoS::AtLeastOnce);
        assert_eq!(brought(&mut client, request).await, pairs(&[("a/1", b"one")]));
        assert_eq!(host.counters().retained, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_handling_that_a_subscription_asks_for_decides() {
    let host = Router::new();
    host.publish_message(&retained("a", b"x"));
    let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
    let there = pairs(&[("a", b"x")]);
    for (retain_handling, expected) in [
        (RetainHandling::DoNotSend, &[][..]),
        (RetainHandling::SendIfNew, &[]),
        (RetainHandling::Send, &there),
        (RetainHandling::Send, &there),
    ] {
        let request = FilterRequest { retain_handling, ..FilterRequest::new("a", QoS::AtMostOnce) };
        assert_eq!(brought(&mut client, request).await, expected, "{retain_handling:?}");
    }
    let request = FilterRequest {
        retain_handling: RetainHandling::SendIfNew,
        ..FilterRequest::new("+", QoS::AtMostOnce)
    };
    assert_eq!(brought(&mut client, request).await, there);
    let shared = FilterRequest::new("$share/g/a", QoS::AtMostOnce);
    assert_eq!(brought(&mut client, shared).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_retained_message_keeps_its_properties_and_counts_down() {
    let host = Router::new();
    let (mut sender, _) = Client::connect(&host, &hello_5("sender", 0)).await;
    let mut sent = Publish { retain: true, ..message("a", None) };
    sent.properties.content_type = Some("text/plain");
    sent.properties.message_expiry_s = Some(10);
    sender.publish(&sent).await;
    sender.settle().await;
    host.after(7 * SECOND).await;
    let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
    client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    sent.properties.message_expiry_s = Some(3);
    client.expect(Packet::Publish(sent)).await;
    host.after(3 * SECOND).await;
    client.subscribe(&[("a", QoS::AtLeastOnce)]).await;
    client.settle().await;
    assert_eq!(host.counters().retained, 0);
}

#[tokio::test(start_paused = true)]
async fn a_will_may_be_retained() {
    let host = Router::new();
    let will = Will { retain: true, ..Will::new("gone", b"x") };
    let (client, _) = Client::connect(&host, &Connect { will: Some(will), ..hello("c") }).await;
    client.vanish().await;
    let mut watcher = Client::connected(&host, "watcher").await;
    let request = FilterRequest::new("gone", QoS::AtMostOnce);
    assert_eq!(brought(&mut watcher, request).await, pairs(&[("gone", b"x")]));
}

#[tokio::test(start_paused = true)]
async fn no_local_holds_for_what_is_retained_too() {
    let host = Router::new();
    let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
    client.publish(&Publish { retain: true, ..message("own", None) }).await;
    client.settle().await;
    host.publish_message(&retained("foreign", b"x"));
    let request = FilterRequest { no_local: true, ..FilterRequest::new("+", QoS::AtMostOnce) };
    assert_eq!(brought(&mut client, request).await, pairs(&[("foreign", b"x")]));
}

#[tokio::test(start_paused = true)]
async fn one_subscribe_looks_at_all_retained_messages_no_more_than_once() {
    let host = Router::new();
    let each = store::MAX_MESSAGES / 2;
    for number in 0..each {
        host.publish_message(&retained(&format!("t/{number}"), b"x"));
    }
    let (mut client, _) = Client::connect(&host, &hello_5("c", 0)).await;
    // Three walks over all of them, of which two fit.
    let walks = ["+/none", "+/nobody", "+/nothing"].map(|filter| FilterRequest::new(filter, QoS::AtMostOnce));
    let quota = ReasonCode::QuotaExceeded.number();
    client.subscribe_with(&walks, &[0, 0, quota]).await;
    client.subscribe_with(&walks[2..], &[0]).await;
}
