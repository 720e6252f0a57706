//! rumqttc as a peer of the backend, as MQTT 3.1.1 and 5: messages with what goes with them, retained
//! messages, wills, shared subscriptions, kept sessions, take-over, reserved topics. The mosquitto tools and
//! paho are in tests/peers.

use std::net::Ipv4Addr;
use std::time::Duration;

use fleetsim::backend::{self, Hooks, Listeners, Running};
use fleetsim::clock::Clock;
use fleetsim::protocol::{
    CommandPayload, CreateCommandRequest, DeviceTopic, StartCommandExecutionRequest, TargetKind,
    device_filters,
};
use fleetsim::transport::Listener;
use rumqttc::{mqttbytes, v5};
use tokio_util::sync::CancellationToken;

use crate::host::config;

/// A backend with the command `c1`, a JSON one.
struct Bench {
    running: Option<Running>,
    port: u16,
    stop: CancellationToken,
}

impl Bench {
    fn start() -> Self {
        let bind = || Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = config(Clock::start(), Hooks::default());
        let stop = CancellationToken::new();
        let running = backend::start(Listeners { mqtt: bind(), http: bind() }, config, stop.clone()).unwrap();
        let payload =
            CommandPayload { content: b"{}".to_vec(), content_type: Some("application/json".into()) };
        let request = CreateCommandRequest { payload: Some(payload), ..CreateCommandRequest::default() };
        running.handle.create_command("c1", request).unwrap();
        Self { port: running.mqtt.socket().unwrap().port(), running: Some(running), stop }
    }

    /// Starts `c1` on the thing `t1`; returns the execution's id.
    fn begin(&self, timeout_seconds: i64) -> String {
        let request = StartCommandExecutionRequest {
            target_arn: "arn:aws:iot:us-east-1:123456789012:thing/t1".to_owned(),
            command_arn: "arn:aws:iot:us-east-1:123456789012:command/c1".to_owned(),
            execution_timeout_seconds: Some(timeout_seconds),
            ..StartCommandExecutionRequest::default()
        };
        self.running.as_ref().unwrap().handle.start_command_execution(&request).unwrap().execution_id
    }

    /// Starts an execution of a second and one of a minute while nobody is there for them, and waits until
    /// the first has timed out; returns the id of the second.
    async fn begin_short_and_long(&self) -> String {
        let mut watcher = Five::connected(self.five("watcher")).await;
        watcher.subscribe("$aws/events/commandExecution/c1/TIMED_OUT").await;
        self.begin(1);
        let long = self.begin(60);
        watcher.message().await;
        long
    }

    fn five(&self, client_id: &str) -> v5::MqttOptions {
        let mut options = v5::MqttOptions::new(client_id, "127.0.0.1", self.port);
        // Without a bound it reserves room for 65,535 messages at once.
        options.set_outgoing_inflight_upper_limit(10);
        options
    }

    /// A device that keeps its session.
    fn device_of_five(&self) -> v5::MqttOptions {
        let mut options = self.five("t1");
        options.set_clean_start(false).set_session_expiry_interval(Some(300));
        options
    }

    fn device_of_four(&self) -> rumqttc::MqttOptions {
        let mut options = rumqttc::MqttOptions::new("t1", "127.0.0.1", self.port);
        options.set_keep_alive(Duration::from_mins(1)).set_clean_session(false);
        options
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
        let Some(running) = self.running.take() else { return };
        let ended = running.join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

fn execution_of(topic: &str) -> &str {
    DeviceTopic::parse(topic).unwrap_or_else(|| panic!("{topic} is no device topic")).execution
}

/// rumqttc as MQTT 5.
struct Five {
    client: v5::AsyncClient,
    events: v5::EventLoop,
    session_present: bool,
}

impl Five {
    async fn connected(options: v5::MqttOptions) -> Self {
        let (client, events) = v5::AsyncClient::new(options, 16);
        let mut this = Self { client, events, session_present: false };
        this.session_present = this
            .until(|packet| match packet {
                v5::Incoming::ConnAck(connack) => Some(connack.session_present),
                _ => None,
            })
            .await;
        this
    }

    /// Polls until a packet comes that `wanted` likes.
    async fn until<T>(&mut self, wanted: impl Fn(v5::Incoming) -> Option<T>) -> T {
        loop {
            if let v5::Event::Incoming(packet) = self.events.poll().await.unwrap()
                && let Some(found) = wanted(packet)
            {
                return found;
            }
        }
    }

    async fn subscribe(&mut self, filter: &str) {
        self.client.try_subscribe(filter, v5::mqttbytes::QoS::AtLeastOnce).unwrap();
        self.until(|packet| matches!(packet, v5::Incoming::SubAck(_)).then_some(())).await;
    }

    async fn message(&mut self) -> v5::mqttbytes::v5::Publish {
        self.until(|packet| match packet {
            v5::Incoming::Publish(publish) => Some(publish),
            _ => None,
        })
        .await
    }

    /// Says goodbye, or waits for the other side to end it.
    async fn ended(mut self, says_goodbye: bool) -> v5::ConnectionError {
        if says_goodbye {
            self.client.try_disconnect().unwrap();
        }
        loop {
            if let Err(error) = self.events.poll().await {
                return error;
            }
        }
    }
}

/// rumqttc as MQTT 3.1.1.
struct Four {
    client: rumqttc::AsyncClient,
    events: rumqttc::EventLoop,
    session_present: bool,
}

impl Four {
    async fn connected(options: rumqttc::MqttOptions) -> Self {
        let (client, events) = rumqttc::AsyncClient::new(options, 16);
        let mut this = Self { client, events, session_present: false };
        this.session_present = this
            .until(|packet| match packet {
                rumqttc::Packet::ConnAck(connack) => Some(connack.session_present),
                _ => None,
            })
            .await;
        this
    }

    async fn until<T>(&mut self, wanted: impl Fn(rumqttc::Packet) -> Option<T>) -> T {
        loop {
            if let rumqttc::Event::Incoming(packet) = self.events.poll().await.unwrap()
                && let Some(found) = wanted(packet)
            {
                return found;
            }
        }
    }

    async fn subscribe(&mut self, filter: &str) {
        self.client.try_subscribe(filter, mqttbytes::QoS::AtLeastOnce).unwrap();
        self.until(|packet| matches!(packet, rumqttc::Packet::SubAck(_)).then_some(())).await;
    }

    async fn message(&mut self) -> rumqttc::Publish {
        self.until(|packet| match packet {
            rumqttc::Packet::Publish(publish) => Some(publish),
            _ => None,
        })
        .await
    }

    async fn ended(mut self) {
        self.client.try_disconnect().unwrap();
        while self.events.poll().await.is_ok() {}
    }
}

#[tokio::test]
async fn a_session_of_mqtt_5_gets_its_queued_request_with_the_remaining_time_and_never_the_expired_one() {
    let bench = Bench::start();
    let [requests, ..] = device_filters(TargetKind::Thing, "t1");
    let mut device = Five::connected(bench.device_of_five()).await;
    assert!(!device.session_present);
    device.subscribe(&requests).await;
    device.ended(true).await;

    let execution = bench.begin_short_and_long().await;
    let mut device = Five::connected(bench.device_of_five()).await;
    assert!(device.session_present);
    let request = device.message().await;
    let topic = String::from_utf8(request.topic.to_vec()).unwrap();
    assert_eq!(execution_of(&topic), execution);
    let properties = request.properties.unwrap();
    assert_eq!(properties.content_type.as_deref(), Some("application/json"));
    // It waited for a second at least; a busy machine may have taken half a minute.
    assert!(matches!(properties.message_expiry_interval, Some(30..=58)), "{properties:?}");
}

#[tokio::test]
async fn a_session_of_mqtt_3_1_1_gets_its_queued_request_and_never_the_expired_one() {
    let bench = Bench::start();
    let [requests, ..] = device_filters(TargetKind::Thing, "t1");
    let mut device = Four::connected(bench.device_of_four()).await;
    assert!(!device.session_present);
    device.subscribe(&requests).await;
    device.ended().await;

    let execution = bench.begin_short_and_long().await;
    let mut device = Four::connected(bench.device_of_four()).await;
    assert!(device.session_present);
    let request = device.message().await;
    assert_eq!(execution_of(&request.topic), execution);
    assert_eq!(request.payload.as_ref(), b"{}");
}

#[tokio::test]
async fn a_client_of_mqtt_5_is_told_that_it_was_taken_over() {
    let bench = Bench::start();
    let first = Five::connected(bench.five("t1")).await;
    let _second = Five::connected(bench.five("t1")).await;
    let error = first.ended(false).await;
    let v5::ConnectionError::MqttState(v5::StateError::ServerDisconnect { reason_code, .. }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*reason_code, v5::mqttbytes::v5::DisconnectReasonCode::SessionTakenOver);
}

#[tokio::test]
async fn a_publish_to_a_reserved_topic_is_answered_with_not_authorized() {
    let bench = Bench::start();
    let mut client = Five::connected(bench.five("t1")).await;
    let topic = "$aws/commands/things/t1/executions/e1/request/json";
    client.client.try_publish(topic, v5::mqttbytes::QoS::AtLeastOnce, false, "forged").unwrap();
    let reason = client
        .until(|packet| match packet {
            v5::Incoming::PubAck(puback) => Some(puback.reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, v5::mqttbytes::v5::PubAckReason::NotAuthorized);
}

/// A topic of plain messages, for both clients of a test.
const PLAIN: &str = "plain/topic";

#[tokio::test]
async fn messages_of_mqtt_5_arrive_at_the_lower_qos_with_their_properties() {
    use v5::mqttbytes::QoS::{AtLeastOnce, AtMostOnce};
    let bench = Bench::start();
    let mut client = Five::connected(bench.five("c")).await;
    client.subscribe(PLAIN).await;
    let properties = v5::mqttbytes::v5::PublishProperties {
        payload_format_indicator: Some(1),
        response_topic: Some("answer".to_owned()),
        correlation_data: Some(b"\x00\xff".as_slice().into()),
        user_properties: vec![("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())],
        content_type: Some("text/plain".to_owned()),
        ..v5::mqttbytes::v5::PublishProperties::default()
    };
    for (qos, payload) in [(AtMostOnce, "größe"), (AtLeastOnce, "")] {
        client.client.try_publish_with_properties(PLAIN, qos, false, payload, properties.clone()).unwrap();
        let message = client.message().await;
        assert_eq!((message.qos, &*message.payload), (qos, payload.as_bytes()));
        assert_eq!(message.properties, Some(properties.clone()));
    }
}

#[tokio::test]
async fn a_retained_message_and_a_will_cross_from_one_version_to_the_other() {
    let bench = Bench::start();
    let mut four = bench.device_of_four();
    four.set_clean_session(true);
    four.set_last_will(rumqttc::LastWill::new("will/of/four", "gone", mqttbytes::QoS::AtLeastOnce, true));
    let mut four = Four::connected(four).await;
    four.client.try_publish(PLAIN, mqttbytes::QoS::AtLeastOnce, true, "kept").unwrap();
    four.until(|packet| matches!(packet, rumqttc::Packet::PubAck(_)).then_some(())).await;

    let mut five = Five::connected(bench.five("five")).await;
    five.subscribe(PLAIN).await;
    let message = five.message().await;
    assert_eq!((message.retain, &*message.payload), (true, b"kept".as_slice()));
    five.subscribe("will/+/four").await;
    // Without a DISCONNECT.
    drop(four);
    let message = five.message().await;
    assert_eq!((message.retain, &*message.payload), (false, b"gone".as_slice()), "to who was there");
    let mut late = Four::connected(rumqttc::MqttOptions::new("late", "127.0.0.1", bench.port)).await;
    late.subscribe("will/#").await;
    let message = late.message().await;
    assert_eq!((message.retain, &*message.payload), (true, b"gone".as_slice()), "to who came later");
}

#[tokio::test]
async fn a_shared_subscription_has_members_of_both_versions_that_take_turns() {
    let bench = Bench::start();
    let mut four = Four::connected(rumqttc::MqttOptions::new("four", "127.0.0.1", bench.port)).await;
    let mut five = Five::connected(bench.five("five")).await;
    four.subscribe("$share/group/plain/#").await;
    five.subscribe("$share/group/plain/#").await;
    let sender = Five::connected(bench.five("sender")).await;
    for payload in ["1", "2", "3", "4"] {
        sender.client.try_publish(PLAIN, v5::mqttbytes::QoS::AtLeastOnce, false, payload).unwrap();
    }
    let Five { mut events, .. } = sender;
    let sending = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let to_four = [four.message().await.payload, four.message().await.payload];
    let to_five = [five.message().await.payload, five.message().await.payload];
    assert_eq!((to_four, to_five), (["1", "3"].map(Into::into), ["2", "4"].map(Into::into)));
    sending.abort();
}
