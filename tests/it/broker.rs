//! The MQTT plane over real TCP, driven by rumqttc's own client.

use std::sync::Arc;
use std::time::Duration;

use fleetsim::backend::broker::{Broker, Delivered, Host, Message, serve};
use fleetsim::clock::Clock;
use fleetsim::mqtt::{Publish, QoS, ReasonCode};
use parking_lot::Mutex;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A backend that routes every message to whoever subscribed.
struct Router {
    clock: Clock,
    broker: Mutex<Broker>,
}

impl Host for Router {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn with_broker<R>(&self, f: impl FnOnce(&mut Broker) -> R) -> R {
        f(&mut self.broker.lock())
    }

    fn publish(&self, from: &str, publish: &Publish<'_>) -> ReasonCode {
        let message = Message::of_client(from, publish, self.clock.now());
        self.with_broker(|broker| broker.publish(&message)).reason()
    }
}

impl Router {
    /// Listens on a free port and serves everybody who comes.
    async fn start() -> (Arc<Self>, u16) {
        let clock = Clock::start();
        let router = Arc::new(Self { clock, broker: Mutex::new(Broker::new(clock)) });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let host = Arc::clone(&router);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, Arc::clone(&host), CancellationToken::new()));
            }
        });
        (router, port)
    }

    fn send(&self, topic: &str, payload: &[u8], qos: QoS) -> Delivered {
        self.with_broker(|broker| broker.publish(&Message::new(topic, payload, qos)))
    }
}

/// A rumqttc client whose events are awaited one at a time.
struct Client {
    client: AsyncClient,
    events: EventLoop,
}

impl Client {
    async fn connected(port: u16, client_id: &str) -> Self {
        let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(5)).set_max_packet_size(200_000, 200_000);
        let (client, events) = AsyncClient::new(options, 16);
        let mut this = Self { client, events };
        this.until(|packet| matches!(packet, Packet::ConnAck(_))).await;
        this
    }

    /// Polls until a packet comes that `wanted` likes.
    async fn until(&mut self, wanted: impl Fn(&Packet) -> bool) -> Packet {
        loop {
            match self.events.poll().await.unwrap() {
                Event::Incoming(packet) if wanted(&packet) => return packet,
                _ => {}
            }
        }
    }

    async fn subscribe(&mut self, filter: &str, qos: rumqttc::QoS) {
        self.client.try_subscribe(filter, qos).unwrap();
        self.until(|packet| matches!(packet, Packet::SubAck(_))).await;
    }

    async fn message(&mut self) -> (String, Vec<u8>, rumqttc::QoS) {
        match self.until(|packet| matches!(packet, Packet::Publish(_))).await {
            Packet::Publish(publish) => (publish.topic, publish.payload.to_vec(), publish.qos),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn commands_reach_the_device_and_its_answers_the_monitor() {
    use rumqttc::QoS::{AtLeastOnce, AtMostOnce};
    let (router, port) = Router::start().await;
    let mut device = Client::connected(port, "t1").await;
    let mut monitor = Client::connected(port, "monitor").await;
    device.subscribe("$aws/commands/things/t1/executions/+/request/#", AtLeastOnce).await;
    device.subscribe("$aws/commands/things/t1/executions/+/response/accepted/#", AtLeastOnce).await;
    monitor.subscribe("$aws/commands/things/+/executions/+/response/json", AtMostOnce).await;
    monitor.subscribe("$aws/events/commandExecution/+/#", AtLeastOnce).await;

    let request = "$aws/commands/things/t1/executions/e1/request/json";
    assert_eq!(
        router.send(request, b"{}", QoS::AtLeastOnce),
        Delivered { sessions: 1, ..Delivered::default() }
    );
    assert_eq!(device.message().await, (request.to_owned(), b"{}".to_vec(), AtLeastOnce));

    let answer = "$aws/commands/things/t1/executions/e1/response/json";
    device.client.try_publish(answer, AtLeastOnce, false, "done").unwrap();
    device.until(|packet| matches!(packet, Packet::PubAck(_))).await;
    assert_eq!(monitor.message().await, (answer.to_owned(), b"done".to_vec(), AtMostOnce));

    let event = "$aws/events/commandExecution/c1/SUCCEEDED";
    assert_eq!(router.send(event, b"e", QoS::AtLeastOnce).sessions, 1);
    assert_eq!(monitor.message().await, (event.to_owned(), b"e".to_vec(), AtLeastOnce));
}

#[tokio::test]
async fn plain_topics_work_between_clients_at_both_qos() {
    use rumqttc::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
    let (_router, port) = Router::start().await;
    let mut receiver = Client::connected(port, "receiver").await;
    let mut sender = Client::connected(port, "sender").await;
    receiver.subscribe("sport/+/score/#", ExactlyOnce).await;
    for (qos, payload) in [(AtMostOnce, vec![1; 10]), (AtLeastOnce, vec![2; 100_000]), (AtMostOnce, vec![])] {
        sender.client.try_publish("sport/tennis/score", qos, false, payload.clone()).unwrap();
        let delivered = async {
            loop {
                tokio::select! {
                    event = sender.events.poll() => { event.unwrap(); }
                    message = receiver.message() => return message,
                }
            }
        };
        assert_eq!(delivered.await, ("sport/tennis/score".to_owned(), payload, qos));
    }
    receiver.client.try_unsubscribe("sport/+/score/#").unwrap();
    receiver.until(|packet| matches!(packet, Packet::UnsubAck(_))).await;
}

#[tokio::test]
async fn a_thousand_messages_arrive_in_order() {
    let (router, port) = Router::start().await;
    let mut client = Client::connected(port, "c").await;
    client.subscribe("a", rumqttc::QoS::AtLeastOnce).await;
    for number in 0..1000u32 {
        assert_eq!(router.send("a", &number.to_be_bytes(), QoS::AtLeastOnce).sessions, 1);
    }
    for number in 0..1000u32 {
        assert_eq!(client.message().await.1, number.to_be_bytes());
    }
}

#[tokio::test]
async fn a_second_connection_with_the_same_identifier_takes_over() {
    let (router, port) = Router::start().await;
    let mut old = Client::connected(port, "c").await;
    old.subscribe("a", rumqttc::QoS::AtLeastOnce).await;
    let mut new = Client::connected(port, "c").await;
    new.subscribe("a", rumqttc::QoS::AtLeastOnce).await;
    let closed = loop {
        if let Err(error) = old.events.poll().await {
            break error;
        }
    };
    assert!(matches!(closed, rumqttc::ConnectionError::MqttState(_)), "{closed:?}");
    assert_eq!(router.send("a", b"x", QoS::AtLeastOnce).sessions, 1);
    assert_eq!(new.message().await.1, b"x");
    let counters = router.with_broker(|broker| broker.counters());
    assert_eq!((counters.connections, counters.takeovers), (1, 1));
}
