//! One device against a broker that does what a table says: over a pipe, in paused time.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::LocalSet;

use super::*;
use crate::mqtt::{
    self, ConnAck, ConnAckProperties, Disconnect, Packet, PacketId, PubAck, Publish, PublishProperties, QoS,
    ReasonCode, Sender, SubAck, Version,
};
use crate::protocol::Accepted;
use crate::scenario::{Variables, parse};
use crate::seed::Seed;
use crate::stats::Statistics;

const EXECUTION: &str = "00000000-0000-4000-8000-000000000001";

/// A fleet of one device, driven as a shard would drive it.
struct Bench {
    fleet: Rc<Fleet>,
    ledger: Rc<RefCell<Ledger>>,
    clock: Clock,
    listener: crate::pipe::Listener,
}

/// The broker's end of a connection.
struct Peer {
    stream: crate::pipe::End,
    version: Version,
    unread: Vec<u8>,
    /// What has been read and not asked for, in words.
    seen: VecDeque<String>,
}

impl Bench {
    /// `connect` and `behavior` as a scenario writes them.
    fn new(connect: &str, behavior: &str) -> Self {
        let text = format!(
            "version: 1\nname: test\ngroups: {{ g: {{ connect: {connect}, behavior: {behavior} }} }}\nworkloads: {{ w: {{ \
             command: {{ name: c, timeout: 4s }}, load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, duration: 1s }}] }} }} \
             }} }}\n"
        );
        let scenario = parse("test.yaml", &text, &Variables::default()).unwrap_or_else(|p| panic!("{p}"));
        let clock = Clock::start_virtual();
        let (connector, listener) = crate::pipe::listener(16);
        let statistics = Statistics::new(Arc::new(scenario.shape()));
        let ledger = Rc::new(RefCell::new(Ledger::new(statistics, Rc::default())));
        let setup = Setup {
            clock,
            plan: Plan::new(Arc::new(scenario), Seed(1)),
            sources: Arc::default(),
            broker: Address::Memory(connector),
            ledger: Rc::clone(&ledger),
            timers_changed: Rc::default(),
            stop: CancellationToken::new(),
        };
        let fleet = Rc::new(Fleet::new(setup, 0, 1));
        fleet.connect();
        let pacer = Rc::clone(&fleet);
        tokio::task::spawn_local(async move {
            loop {
                pacer.fire_due(pacer.shared.clock.now());
                let next = pacer.next_due();
                let changed = pacer.shared.timers_changed.notified();
                match next {
                    Some(at) => drop(pacer.shared.clock.timeout_at(at, changed).await),
                    None => changed.await,
                }
            }
        });
        Self { fleet, ledger, clock, listener }
    }

    /// The device's next connection.
    async fn peer(&mut self, version: Version) -> Peer {
        let stream = self.listener.accept().await.expect("the fleet holds a connector");
        Peer { stream, version, unread: Vec::new(), seen: VecDeque::new() }
    }

    fn noted(&self, what: &str) -> u64 {
        self.ledger.borrow().statistics.noted.get(what).copied().unwrap_or(0)
    }

    fn now_ms(&self) -> u64 {
        self.clock.now().micros() / 1000
    }
}

impl Peer {
    /// The next packet of the device in words; `None` when its end is closed.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(words) = self.seen.pop_front() {
                return Some(words);
            }
            let decoded = mqtt::decode(&self.unread, Sender::Client, self.version, 1 << 20);
            if let Some((packet, length)) = decoded.expect("a device keeps to the standard") {
                self.seen.push_back(words(&packet));
                self.unread.drain(..length);
                continue;
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).await.expect("a pipe does not fail") {
                0 => return None,
                count => self.unread.extend_from_slice(&chunk[..count]),
            }
        }
    }

    async fn expects(&mut self, expected: &str) {
        assert_eq!(self.next().await.as_deref(), Some(expected));
    }

    async fn send(&mut self, encode: impl FnOnce(&mut Vec<u8>, Version)) {
        let mut out = Vec::new();
        encode(&mut out, self.version);
        self.stream.write_all(&out).await.unwrap();
    }

    async fn accept(&mut self, session_present: bool, properties: ConnAckProperties<'_>) {
        let connack = ConnAck { session_present, properties, ..ConnAck::new(ReasonCode::Success) };
        self.send(|out, version| mqtt::encode::connack(out, version, &connack).unwrap()).await;
    }

    async fn grant(&mut self) {
        self.expects("SUBSCRIBE 3").await;
        let (user, reason_string) = (mqtt::UserProperties::default(), None);
        let suback = SubAck { id: PacketId::FIRST, codes: &[1, 1, 1], reason_string, user };
        self.send(|out, version| mqtt::encode::suback(out, version, &suback).unwrap()).await;
    }

    async fn request(&mut self, dup: bool, properties: PublishProperties<'_>) {
        let topic = format!("$aws/commands/things/g-00000/executions/{EXECUTION}/request/json");
        let id = PacketId::new(7);
        let publish = Publish { qos: QoS::AtLeastOnce, id, dup, properties, ..Publish::new(&topic, b"{}") };
        self.send(|out, version| mqtt::encode::publish(out, version, &publish).unwrap()).await;
        self.expects("PUBACK 7").await;
    }

    async fn acknowledge(&mut self, id: u16) {
        let puback = PubAck::new(PacketId::new(id).unwrap());
        self.send(|out, version| mqtt::encode::puback(out, version, &puback).unwrap()).await;
    }

    async fn reply(&mut self, token: &str) {
        let topic = format!("$aws/commands/things/g-00000/executions/{EXECUTION}/response/accepted/json");
        let payload = format!("{{\"executionId\":\"{EXECUTION}\",\"clientToken\":\"{token}\"}}");
        let publish = Publish::new(&topic, payload.as_bytes());
        self.send(|out, version| mqtt::encode::publish(out, version, &publish).unwrap()).await;
    }
}

fn words(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) => format!(
            "CONNECT {:?} clean {} keep-alive {} expiry {} receive {}",
            connect.version,
            connect.clean_start,
            connect.keep_alive_s,
            connect.properties.session_expiry_s,
            connect.properties.receive_maximum
        ),
        Packet::Subscribe(subscribe) => format!("SUBSCRIBE {}", subscribe.filters().count()),
        Packet::Publish(publish) => {
            let payload = String::from_utf8_lossy(publish.payload);
            let id = publish.id.map_or(0, PacketId::get);
            format!("PUBLISH {id}{} {payload}", if publish.dup { " DUP" } else { "" })
        }
        Packet::PubAck(puback) => format!("PUBACK {}", puback.id.get()),
        Packet::Disconnect(disconnect) => {
            format!("DISCONNECT {} {:?}", disconnect.reason.number(), disconnect.session_expiry_s)
        }
        other => other.name().to_owned(),
    }
}

/// Runs `test` on a paused runtime, as a shard's thread would.
fn in_paused_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.unwrap(), test);
}

const QUICK: &str = "{ delay: 100ms }";

#[test]
fn connect_says_what_the_scenario_says() {
    for (connect, version, expected) in [
        ("{}", Version::V311, "CONNECT V311 clean true keep-alive 60 expiry 0 receive 65535"),
        (
            "{ clean_session: false, keep_alive: 9s }",
            Version::V311,
            "CONNECT V311 clean false keep-alive 9 expiry 0 receive 65535",
        ),
        ("{ mqtt: \"5\" }", Version::V5, "CONNECT V5 clean true keep-alive 60 expiry 0 receive 100"),
        (
            "{ mqtt: \"5\", clean_session: false }",
            Version::V5,
            "CONNECT V5 clean false keep-alive 60 expiry 3600 receive 100",
        ),
    ] {
        in_paused_time(async {
            let mut peer = Bench::new(connect, QUICK).peer(version).await;
            peer.expects(expected).await;
        });
    }
}

#[test]
fn a_device_says_disconnect_at_the_end_and_ends_the_session_nobody_comes_back_to() {
    for (connect, version, expected) in [
        ("{ clean_session: false }", Version::V311, "DISCONNECT 0 None"),
        ("{ mqtt: \"5\" }", Version::V5, "DISCONNECT 0 None"),
        ("{ mqtt: \"5\", clean_session: false }", Version::V5, "DISCONNECT 0 Some(0)"),
    ] {
        in_paused_time(async {
            let mut bench = Bench::new(connect, QUICK);
            let mut peer = bench.peer(version).await;
            peer.next().await;
            peer.accept(false, ConnAckProperties::NONE).await;
            peer.grant().await;
            // The device is online once it has read the SUBACK: a round trip later.
            peer.request(false, PublishProperties::NONE).await;
            bench.fleet.leave().await;
            peer.expects(expected).await;
            assert_eq!(peer.next().await, None, "{connect}");
            assert_eq!(bench.fleet.online(), [0]);
        });
    }
}

#[test]
fn a_resumed_session_is_not_subscribed_again_and_repeats_what_was_not_acknowledged() {
    in_paused_time(async {
        let mut bench = Bench::new("{ mqtt: \"5\", clean_session: false }", QUICK);
        let mut peer = bench.peer(Version::V5).await;
        peer.next().await;
        peer.accept(false, ConnAckProperties::NONE).await;
        peer.grant().await;
        peer.request(false, PublishProperties::NONE).await;
        let update = "{\"status\":\"SUCCEEDED\",\"clientToken\":\"1\"}";
        peer.expects(&format!("PUBLISH 1 {update}")).await;
        drop(peer);
        let mut peer = bench.peer(Version::V5).await;
        peer.next().await;
        peer.accept(true, ConnAckProperties::NONE).await;
        peer.expects(&format!("PUBLISH 1 DUP {update}")).await;
        // The request comes again, too: it is the same execution.
        peer.request(true, PublishProperties::NONE).await;
        peer.acknowledge(1).await;
        assert!(bench.fleet.holds(0, &EXECUTION.parse().unwrap()));
        peer.reply("1").await;
        peer.request(true, PublishProperties::NONE).await;
        assert!(!bench.fleet.holds(0, &EXECUTION.parse().unwrap()));
        assert_eq!(bench.noted("sessions resumed"), 1);
        // Now the broker has lost the session: the device subscribes anew, and nothing is left to say.
        drop(peer);
        let mut peer = bench.peer(Version::V5).await;
        peer.next().await;
        peer.accept(false, ConnAckProperties::NONE).await;
        peer.grant().await;
        peer.request(false, PublishProperties::NONE).await;
    });
}

#[test]
fn the_limits_in_connack_are_kept() {
    in_paused_time(async {
        let mut bench = Bench::new("{ mqtt: \"5\" }", "{ delay: 100ms, duplicates: 100% }");
        let mut peer = bench.peer(Version::V5).await;
        peer.next().await;
        let properties = ConnAckProperties {
            receive_maximum: NonZeroU16::new(1),
            server_keep_alive_s: Some(8),
            ..ConnAckProperties::NONE
        };
        peer.accept(false, properties).await;
        peer.grant().await;
        peer.request(false, PublishProperties::NONE).await;
        let update = "{\"status\":\"SUCCEEDED\"}";
        peer.expects(&format!("PUBLISH 1 {update}")).await;
        // The second copy waits for the first one's acknowledgement; the ping does not.
        let sent = bench.now_ms();
        peer.expects("PINGREQ").await;
        assert_eq!(bench.now_ms() - sent, 6_000, "three quarters of the server's keep-alive");
        peer.acknowledge(1).await;
        peer.expects(&format!("PUBLISH 2 {update}")).await;
    });
    in_paused_time(async {
        let mut bench = Bench::new("{ mqtt: \"5\" }", QUICK);
        let mut peer = bench.peer(Version::V5).await;
        peer.next().await;
        let largest = NonZeroU32::new(50);
        peer.accept(false, ConnAckProperties { maximum_packet_size: largest, ..ConnAckProperties::NONE })
            .await;
        peer.grant().await;
        peer.request(false, PublishProperties::NONE).await;
        peer.expects("PINGREQ").await;
        let dropped = &bench.ledger.borrow().statistics.dropped;
        assert_eq!(dropped.get("updates larger than the broker takes"), Some(&1));
    });
}

#[test]
fn a_request_that_contradicts_its_topic_is_counted_and_not_worked_on() {
    for (content_type, taken) in
        [("application/json", true), ("Application/JSON; charset=utf-8", true), ("text/plain", false)]
    {
        in_paused_time(async {
            let mut bench = Bench::new("{ mqtt: \"5\" }", QUICK);
            let mut peer = bench.peer(Version::V5).await;
            peer.next().await;
            peer.accept(false, ConnAckProperties::NONE).await;
            peer.grant().await;
            let content_type = Some(content_type);
            peer.request(false, PublishProperties { content_type, ..PublishProperties::NONE }).await;
            assert_eq!(bench.fleet.holds(0, &EXECUTION.parse().unwrap()), taken, "{content_type:?}");
        });
    }
}

#[test]
fn a_device_answers_in_the_format_it_was_asked_in_with_its_result() {
    let behavior = r#"{ delay: 100ms, result: { id: { s: "{group}/{index}" } } }"#;
    let in_json = r#"PUBLISH 1 {"status":"SUCCEEDED","result":{"id":{"s":"g/0"}}}"#;
    // Heads of CBOR, as far as they are text: a map of 2, then texts by their lengths.
    let in_cbor = "PUBLISH 1 \u{fffd}fstatusiSUCCEEDEDfresult\u{fffd}bid\u{fffd}ascg/0";
    for (format, expected) in [("/json", in_json), ("", in_json), ("/cbor", in_cbor)] {
        in_paused_time(async {
            let mut bench = Bench::new("{}", behavior);
            let mut peer = bench.peer(Version::V311).await;
            peer.next().await;
            peer.accept(false, ConnAckProperties::NONE).await;
            peer.grant().await;
            let execution = format!("$aws/commands/things/g-00000/executions/{EXECUTION}");
            let topic = format!("{execution}/request{format}");
            let (qos, id) = (QoS::AtLeastOnce, PacketId::new(7));
            let publish = Publish { qos, id, ..Publish::new(&topic, b"{}") };
            peer.send(|out, version| mqtt::encode::publish(out, version, &publish).unwrap()).await;
            peer.expects("PUBACK 7").await;
            peer.expects(expected).await;
            let answered_in = if format == "/cbor" { "cbor" } else { "json" };
            let topic = format!("{execution}/response/accepted/{answered_in}");
            let accepted = Accepted { execution_id: EXECUTION.parse().unwrap(), client_token: None };
            let mut payload = Vec::new();
            if format == "/cbor" {
                accepted.write_cbor(&mut payload);
            } else {
                accepted.write_json(&mut payload);
            }
            let publish = Publish::new(&topic, &payload);
            peer.send(|out, version| mqtt::encode::publish(out, version, &publish).unwrap()).await;
            bench.fleet.shared.clock.sleep_until(Instant::from_micros(10_000_000)).await;
            assert!(!bench.fleet.holds(0, &EXECUTION.parse().unwrap()), "the reply was understood: {format}");
            assert!(
                bench.fleet.shared.in_cbor.borrow().is_empty(),
                "nothing is kept of what is done: {format}"
            );
        });
    }
}

#[test]
fn a_planned_drop_says_nothing_and_comes_back_after_its_time() {
    in_paused_time(async {
        let mut bench = Bench::new("{ drops: { every: 3s, down_for: 500ms } }", QUICK);
        for begun in [0, 3_500, 7_000] {
            let mut peer = bench.peer(Version::V311).await;
            assert_eq!(bench.now_ms(), begun);
            peer.next().await;
            peer.accept(false, ConnAckProperties::NONE).await;
            peer.grant().await;
            assert_eq!(peer.next().await, None, "the connection ends without DISCONNECT");
            assert_eq!(bench.now_ms(), begun + 3_000);
        }
        assert_eq!(bench.noted("connections dropped by plan"), 3);
    });
}

#[test]
fn a_device_gives_up_after_so_many_failed_attempts() {
    in_paused_time(async {
        let backoff = "{ backoff: { initial: 1s, factor: 3, jitter: none, max_attempts: 3 } }";
        let mut bench = Bench::new(backoff, QUICK);
        let mut peer = bench.peer(Version::V311).await;
        peer.next().await;
        peer.accept(false, ConnAckProperties::NONE).await;
        peer.grant().await;
        // Only a device that has read the SUBACK was connected.
        peer.request(false, PublishProperties::NONE).await;
        drop(peer);
        // After the connection 1 s, then 3 s, then 9 s; the third failure is the last.
        for begun in [1_000, 4_000, 13_000] {
            drop(bench.peer(Version::V311).await);
            assert_eq!(bench.now_ms(), begun);
        }
        bench.clock.sleep_until(bench.clock.now().plus_micros(600_000_000)).await;
        assert_eq!(bench.noted("devices that gave up reconnecting"), 1);
        let next = bench.clock.timeout_at(bench.clock.now().plus_micros(1_000_000), bench.listener.accept());
        assert!(next.await.is_none(), "no further attempt");
    });
}

#[test]
fn what_the_broker_says_when_it_refuses_or_ends_a_connection_is_shown() {
    let text = "no \u{7}way";
    let said: [(&str, ReasonCode, &str); 3] = [
        ("connack", ReasonCode::NotAuthorized, "the broker refused the connection: "),
        ("disconnect early", ReasonCode::ServerBusy, "the broker ended the connection: "),
        ("disconnect", ReasonCode::SessionTakenOver, "the broker ended the connection: "),
    ];
    for (when, reason, begins) in said {
        in_paused_time(async {
            let mut bench = Bench::new("{ mqtt: \"5\" }", QUICK);
            let mut peer = bench.peer(Version::V5).await;
            peer.next().await;
            if when == "connack" {
                let properties = ConnAckProperties { reason_string: Some(text), ..ConnAckProperties::NONE };
                let connack = ConnAck { properties, ..ConnAck::new(reason) };
                peer.send(|out, version| mqtt::encode::connack(out, version, &connack).unwrap()).await;
            } else {
                if when == "disconnect" {
                    peer.accept(false, ConnAckProperties::NONE).await;
                    peer.grant().await;
                }
                let disconnect = Disconnect { reason_string: Some(text), ..Disconnect::new(reason) };
                peer.send(|out, version| mqtt::encode::disconnect(out, version, &disconnect).unwrap()).await;
            }
            // The device comes again: it has taken in what was said.
            bench.peer(Version::V5).await;
            let expected = format!("{begins}{} (0x{:02X}), \"no way\"", reason.name(), reason.number());
            assert_eq!(bench.fleet.last_error(), Some(expected), "{when}");
        });
    }
}
