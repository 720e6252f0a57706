//! The broker driven packet by packet over in-memory streams, in paused time.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::mqtt::{
    ConnAck, Connect, Disconnect, FilterRequest, Packet, PacketId, PubAck, Publish, QoS, ReasonCode, Sender,
    SubAck, UnsubAck, Version, Violation, Will, decode, encode,
};

/// A backend that only routes, and notes what was published.
struct Router {
    clock: Clock,
    broker: Mutex<Broker>,
    published: Mutex<Vec<(String, String)>>,
}

impl Router {
    fn new() -> Arc<Self> {
        let clock = Clock::start();
        Arc::new(Self { clock, broker: Mutex::new(Broker::new(clock)), published: Mutex::default() })
    }

    fn send(&self, topic: &str, payload: &[u8], qos: QoS) -> Delivered {
        self.with_broker(|broker| broker.publish(&Message { topic, payload, qos, retain: false }))
    }

    fn counters(&self) -> BrokerCounters {
        self.with_broker(|broker| broker.counters())
    }
}

impl Host for Router {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn with_broker<R>(&self, f: impl FnOnce(&mut Broker) -> R) -> R {
        f(&mut self.broker.lock())
    }

    fn publish(&self, from: &str, publish: &Publish<'_>) {
        self.published.lock().push((from.to_owned(), publish.topic.to_owned()));
        let Publish { topic, payload, qos, retain, .. } = *publish;
        self.with_broker(|broker| broker.publish(&Message { topic, payload, qos, retain }));
    }
}

/// A client that writes and reads packets by hand.
struct Client {
    stream: DuplexStream,
    read: Vec<u8>,
    served: JoinHandle<()>,
}

impl Client {
    fn raw(host: &Arc<Router>, stop: &CancellationToken, stream_bytes: usize) -> Self {
        let (stream, theirs) = tokio::io::duplex(stream_bytes);
        let served = tokio::spawn(serve(theirs, Arc::clone(host), stop.clone()));
        Self { stream, read: Vec::new(), served }
    }

    async fn connected(host: &Arc<Router>, client_id: &str) -> Self {
        let mut client = Self::raw(host, &CancellationToken::new(), 64 * 1024);
        client.write(|out| encode::connect(out, &hello(client_id)).unwrap()).await;
        client.expect(Packet::ConnAck(ConnAck::new(ReasonCode::Success))).await;
        client
    }

    async fn write(&mut self, packet: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        packet(&mut out);
        self.stream.write_all(&out).await.unwrap();
    }

    async fn subscribe(&mut self, filters: &[FilterRequest<'_>]) {
        self.write(|out| encode::subscribe(out, Version::V311, PacketId::FIRST, filters).unwrap()).await;
        let codes: Vec<u8> = filters.iter().map(|wanted| wanted.qos as u8).collect();
        self.expect(Packet::SubAck(SubAck::new(PacketId::FIRST, &codes))).await;
    }

    /// Reads until a packet is complete and checks it.
    async fn expect(&mut self, expected: Packet<'_>) {
        loop {
            if let Some((packet, used)) = decode(&self.read, Sender::Server, Version::V311, 1 << 20).unwrap()
            {
                assert_eq!(packet, expected);
                self.read.drain(..used);
                return;
            }
            assert_ne!(self.stream.read_buf(&mut self.read).await.unwrap(), 0, "closed before {expected:?}");
        }
    }

    async fn expect_message(&mut self, topic: &str, payload: &[u8], id: Option<u16>) {
        let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        let id = id.and_then(PacketId::new);
        self.expect(Packet::Publish(Publish { qos, id, ..Publish::new(topic, payload) })).await;
    }

    /// Checks that the server writes exactly `last` and closes, and that its task ends.
    async fn expect_end(mut self, last: &[u8]) {
        self.stream.read_to_end(&mut self.read).await.unwrap();
        assert_eq!(self.read, last);
        drop(self.stream);
        self.served.await.unwrap();
    }

    /// Waits until the server has answered everything that was written.
    async fn settle(&mut self) {
        self.write(encode::pingreq).await;
        self.expect(Packet::PingResp).await;
    }
}

fn hello(client_id: &str) -> Connect<'_> {
    Connect::new(Version::V311, client_id)
}

fn message(topic: &'static str, id: Option<u16>) -> Publish<'static> {
    let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
    Publish { qos, id: id.and_then(PacketId::new), ..Publish::new(topic, b"x") }
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_message_arrives_at_the_lower_of_both_qos() {
    let host = Router::new();
    let mut client = Client::connected(&host, "c").await;
    client
        .subscribe(&[
            FilterRequest::new("zero", QoS::AtMostOnce),
            FilterRequest::new("one", QoS::AtLeastOnce),
        ])
        .await;
    for (topic, qos, id) in [
        ("zero", QoS::AtMostOnce, None),
        ("zero", QoS::AtLeastOnce, None),
        ("one", QoS::AtMostOnce, None),
        ("one", QoS::AtLeastOnce, Some(1)),
        ("one", QoS::AtLeastOnce, Some(2)),
    ] {
        assert_eq!(host.send(topic, b"payload", qos), Delivered { sessions: 1, dropped: 0 });
        client.expect_message(topic, b"payload", id).await;
    }
    assert_eq!(host.send("none", b"", QoS::AtMostOnce), Delivered::default());
    assert_eq!(host.counters().messages_out, 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_publishes_and_receives_its_own_message_with_the_acknowledgement() {
    let host = Router::new();
    let mut client = Client::connected(&host, "c").await;
    client.subscribe(&[FilterRequest::new("a/#", QoS::AtLeastOnce)]).await;
    client.write(|out| encode::publish(out, Version::V311, &message("a/b", Some(77))).unwrap()).await;
    client.expect(Packet::PubAck(PubAck::new(PacketId::new(77).unwrap()))).await;
    client.expect_message("a/b", b"x", Some(1)).await;
    client
        .write(|out| encode::unsubscribe(out, Version::V311, PacketId::FIRST, &["a/#", "never"]).unwrap())
        .await;
    client.expect(Packet::UnsubAck(UnsubAck::new(PacketId::FIRST, &[]))).await;
    client.write(|out| encode::publish(out, Version::V311, &message("a/b", None)).unwrap()).await;
    client.settle().await;
    let counters = host.counters();
    assert_eq!((counters.messages_in, counters.messages_out, counters.subscriptions), (2, 1, 0));
    client.write(|out| encode::disconnect(out, Version::V311, &Disconnect::default()).unwrap()).await;
    client.expect_end(&[]).await;
    assert_eq!(host.counters().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn first_packets_are_answered_as_the_standard_says() {
    let v5: &[u8] = &[0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 1, b'c'];
    let v3: &[u8] = b"\x10\x0f\0\x06MQIsdp\x03\x02\0\x3c\0\x01c";
    let nameless_kept: &[u8] = &[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 0, 0, 60, 0, 0];
    let mut long = Vec::new();
    encode::connect(&mut long, &hello(&"x".repeat(129))).unwrap();
    let first = Some(Violation::NotConnected);
    let rows: &[(&[u8], &[u8], Option<Violation>)] = &[
        (v5, &[0x20, 3, 0, 0x84, 0], None),
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
            &[0x10, 14, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 1, b'c'],
            Violation::UnsupportedLevel(5),
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
    client.expect(Packet::ConnAck(ConnAck::new(ReasonCode::Success))).await;
    client.expect(Packet::SubAck(SubAck::new(PacketId::FIRST, &[1]))).await;
    client.expect_message("a", b"x", None).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_taken_over_and_the_clean_up_of_the_old_one_leaves_the_new_one_alone() {
    let host = Router::new();
    let mut old = Client::connected(&host, "c").await;
    old.subscribe(&[
        FilterRequest::new("a", QoS::AtLeastOnce),
        FilterRequest::new("$aws/commands/things/c/executions/+/request/#", QoS::AtLeastOnce),
    ])
    .await;
    // Both at once: the new session has the old one's place before the old task gets to run.
    let mut new = Client::connected(&host, "c").await;
    new.subscribe(&[FilterRequest::new("a", QoS::AtMostOnce)]).await;
    old.expect_end(&[]).await;
    assert_eq!(host.send("a", b"", QoS::AtLeastOnce), Delivered { sessions: 1, dropped: 0 });
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
        client
            .write(|out| {
                encode::subscribe(
                    out,
                    Version::V311,
                    PacketId::FIRST,
                    &[FilterRequest::new("a", QoS::AtMostOnce)],
                )
                .unwrap();
            })
            .await;
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
    let filters = [
        FilterRequest::new("a", QoS::AtMostOnce),
        FilterRequest::new("$aws/commands/things/c/executions/+/request/#", QoS::AtLeastOnce),
    ];
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
async fn a_will_is_published_unless_the_client_says_goodbye() {
    for (goodbye, expected) in [(true, vec![]), (false, vec![("c".to_owned(), "gone".to_owned())])] {
        let host = Router::new();
        let mut client = Client::raw(&host, &CancellationToken::new(), 4096);
        let will = Will { qos: QoS::AtLeastOnce, ..Will::new("gone", b"x") };
        client.write(|out| encode::connect(out, &Connect { will: Some(will), ..hello("c") }).unwrap()).await;
        client.expect(Packet::ConnAck(ConnAck::new(ReasonCode::Success))).await;
        if goodbye {
            client.write(|out| encode::disconnect(out, Version::V311, &Disconnect::default()).unwrap()).await;
        }
        drop(client.stream);
        client.served.await.unwrap();
        assert_eq!(*host.published.lock(), expected, "goodbye: {goodbye}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_messages_and_they_are_counted() {
    let host = Router::new();
    let mut slow = Client::raw(&host, &CancellationToken::new(), 4096);
    slow.write(|out| encode::connect(out, &hello("slow")).unwrap()).await;
    slow.expect(Packet::ConnAck(ConnAck::new(ReasonCode::Success))).await;
    slow.subscribe(&[FilterRequest::new("a", QoS::AtMostOnce)]).await;
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
async fn a_client_that_never_acknowledges_stops_getting_qos_1_until_it_does() {
    let host = Router::new();
    let mut client = Client::connected(&host, "c").await;
    client.subscribe(&[FilterRequest::new("a", QoS::AtLeastOnce)]).await;
    for number in 1..=8192 {
        assert_eq!(host.send("a", b"", QoS::AtLeastOnce).sessions, 1);
        client.expect_message("a", b"", Some(number)).await;
    }
    assert_eq!(host.send("a", b"", QoS::AtLeastOnce), Delivered { sessions: 0, dropped: 1 });
    assert_eq!(host.counters().dropped_in_flight_full, 1);
    assert_eq!(host.send("a", b"", QoS::AtMostOnce).sessions, 1, "QoS 0 needs no acknowledgement");
    client.expect_message("a", b"", None).await;
    client
        .write(|out| encode::puback(out, Version::V311, &PubAck::new(PacketId::new(5).unwrap())).unwrap())
        .await;
    client.settle().await;
    assert_eq!(host.send("a", b"", QoS::AtLeastOnce).sessions, 1);
    client.expect_message("a", b"", Some(8193)).await;
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
    client.expect(Packet::ConnAck(ConnAck::new(ReasonCode::Success))).await;
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
        client.expect(Packet::ConnAck(ConnAck::new(ReasonCode::Success))).await;
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
    client.expect(Packet::ConnAck(ConnAck::new(ReasonCode::Success))).await;
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
    let filters: Vec<_> = filters.iter().map(|filter| FilterRequest::new(filter, QoS::AtMostOnce)).collect();
    client.subscribe(&filters).await;
    client
        .write(|out| {
            encode::subscribe(
                out,
                Version::V311,
                PacketId::FIRST,
                &[FilterRequest::new("more", QoS::AtMostOnce)],
            )
            .unwrap();
        })
        .await;
    client.expect(Packet::SubAck(SubAck::new(PacketId::FIRST, &[0x80]))).await;
    assert_eq!(host.counters().subscriptions, MAX_SUBSCRIPTIONS as u64);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_small() {
    let host = Router::new();
    let (_, theirs) = tokio::io::duplex(1);
    let size = std::mem::size_of_val(&serve(theirs, Arc::clone(&host), CancellationToken::new()));
    assert!(size <= 700, "{size} bytes");
    assert!(std::mem::size_of::<Session>() <= 144, "{} bytes", std::mem::size_of::<Session>());
}
