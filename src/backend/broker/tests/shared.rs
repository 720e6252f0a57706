//! Shared subscriptions: each message to one of the group, and to one who is there if anybody is.

use super::*;

async fn member(host: &Arc<Router>, connect: &Connect<'_>) -> Client {
    let (mut client, _) = Client::connect(host, connect).await;
    client.subscribe(&[("$share/g/a", QoS::AtLeastOnce)]).await;
    client
}

#[tokio::test(start_paused = true)]
async fn members_of_both_versions_take_turns() {
    let host = Router::new();
    let mut clients = [member(&host, &hello("1")).await, member(&host, &hello_5("2", 0)).await];
    for round in 1..=3 {
        for payload in [b"x", b"y"] {
            assert_eq!(host.send("a", payload, QoS::AtLeastOnce).sessions, 1);
        }
        for client in &mut clients {
            client
                .next(|packet| match packet {
                    Packet::Publish(publish) => assert_eq!(publish.id, PacketId::new(round)),
                    other => panic!("{other:?}"),
                })
                .await;
            client.settle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_away_loses_its_turn_unless_everybody_is() {
    let host = Router::new();
    let away = member(&host, &kept("away")).await;
    let mut there = member(&host, &hello("there")).await;
    away.vanish().await;
    for id in 1..=4 {
        assert_eq!(host.send("a", b"x", QoS::AtLeastOnce).sessions, 1);
        there.expect_message("a", b"x", Some(id)).await;
    }
    there.leave().await;
    assert_eq!(host.send("a", b"y", QoS::AtLeastOnce).kept, 1);
    let (mut back, present) = Client::connect(&host, &kept("away")).await;
    assert!(present);
    back.expect_message("a", b"y", Some(1)).await;
    back.write(|out| encode::unsubscribe(out, Version::V311, PacketId::FIRST, &["$share/g/a"]).unwrap())
        .await;
    back.expect(Packet::UnsubAck(UnsubAck::new(PacketId::FIRST, &[]))).await;
    assert_eq!(host.send("a", b"z", QoS::AtLeastOnce), Delivered::default());
    assert_eq!(host.counters().subscriptions, 0);
}
