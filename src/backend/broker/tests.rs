//! The broker driven packet by packet over in-memory streams, in paused time.

mod connection;
mod kept;
mod limits;
mod model;
mod retained;
mod shared;
mod take_over;
mod version_5;
mod wills;

use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::mqtt::{
    ConnAck, ConnAckProperties, Connect, Disconnect, FilterRequest, Packet, PacketId, PubAck, Publish, QoS,
    RetainHandling, Sender, SubAck, UnsubAck, Version, Violation, Will, decode, encode,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A backend that only routes, and notes what was published.
struct Router {
    clock: Clock,
    broker: Mutex<Broker>,
    published: Mutex<Vec<(String, String)>>,
    /// What clients may not subscribe to.
    forbidden: &'static str,
}

impl Router {
    fn new() -> Arc<Self> {
        Self::with_limits(Limits::NONE)
    }

    fn with_limits(limits: Limits) -> Arc<Self> {
        let clock = Clock::start();
        let (broker, published) = (Mutex::new(Broker::with_limits(clock, limits)), Mutex::default());
        Arc::new(Self { clock, broker, published, forbidden: "forbidden/#" })
    }

    fn send(&self, topic: &str, payload: &[u8], qos: QoS) -> Delivered {
        self.publish_message(&Message::new(topic, payload, qos))
    }

    /// A QoS 1 message that lives for so long.
    fn send_for(&self, lifetime: Duration, topic: &str, payload: &[u8]) -> Delivered {
        let expires_at = Some(self.clock.now().plus(lifetime));
        self.publish_message(&Message { expires_at, ..Message::new(topic, payload, QoS::AtLeastOnce) })
    }

    fn publish_message(&self, message: &Message<'_>) -> Delivered {
        self.with_broker(|broker| broker.publish(message))
    }

    fn counters(&self) -> BrokerCounters {
        self.with_broker(|broker| broker.counters())
    }

    /// Lets time pass, with a timer as the backend has one.
    async fn after(&self, time: Duration) {
        let until = self.clock.now().plus(time);
        loop {
            while self.with_broker(Broker::time_out_due) {}
            publish_due_wills(self);
            let next = self.with_broker(|broker| broker.next_deadline()).unwrap_or(until);
            if next > until || self.clock.now() >= until {
                break;
            }
            self.clock.sleep_until(next).await;
        }
        self.clock.sleep_until(until).await;
    }

    fn published(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.published.lock())
    }
}

impl Host for Router {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn with_broker<R>(&self, f: impl FnOnce(&mut Broker) -> R) -> R {
        f(&mut self.broker.lock())
    }

    fn publish(&self, from: &str, publish: &Publish<'_>) -> ReasonCode {
        self.published.lock().push((from.to_owned(), publish.topic.to_owned()));
        if publish.topic.starts_with('$') {
            return ReasonCode::NotAuthorized;
        }
        self.publish_message(&Message::of_client(from, publish, self.clock.now())).reason()
    }

    fn may_subscribe(&self, _: &str, filter: &str) -> bool {
        filter != self.forbidden
    }

    fn may_connect(&self, connect: &Connect<'_>) -> ReasonCode {
        if connect.client_id == "banned" { ReasonCode::Banned } else { ReasonCode::Success }
    }
}

/// A client that writes and reads packets by hand.
struct Client {
    stream: DuplexStream,
    read: Vec<u8>,
    served: JoinHandle<()>,
    version: Version,
}

impl Client {
    fn raw(host: &Arc<Router>, stop: &CancellationToken, stream_bytes: usize) -> Self {
        let (stream, theirs) = tokio::io::duplex(stream_bytes);
        let served = tokio::spawn(serve(theirs, Arc::clone(host), stop.clone()));
        Self { stream, read: Vec::new(), served, version: Version::V311 }
    }

    /// A plain client of 3.1.1.
    async fn connected(host: &Arc<Router>, client_id: &str) -> Self {
        let (client, present) = Self::connect(host, &hello(client_id)).await;
        assert!(!present);
        client
    }

    /// Connects as `connect` says; says whether there was a session.
    async fn connect(host: &Arc<Router>, connect: &Connect<'_>) -> (Self, bool) {
        let mut client = Self::raw(host, &CancellationToken::new(), 64 * 1024);
        client.version = connect.version;
        client.write(|out| encode::connect(out, connect).unwrap()).await;
        let present = client
            .next(|packet| match packet {
                Packet::ConnAck(ConnAck { session_present, reason: ReasonCode::Success, .. }) => {
                    session_present
                }
                other => panic!("{other:?}"),
            })
            .await;
        (client, present)
    }

    async fn write(&mut self, packet: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        packet(&mut out);
        self.stream.write_all(&out).await.unwrap();
    }

    async fn publish(&mut self, publish: &Publish<'_>) {
        let version = self.version;
        self.write(|out| encode::publish(out, version, publish).unwrap()).await;
    }

    async fn acknowledge(&mut self, id: u16) {
        let (version, id) = (self.version, PacketId::new(id).unwrap());
        self.write(|out| encode::puback(out, version, &PubAck::new(id)).unwrap()).await;
    }

    async fn subscribe(&mut self, filters: &[(&str, QoS)]) {
        let requests: Vec<_> = filters.iter().map(|(filter, qos)| FilterRequest::new(filter, *qos)).collect();
        let codes: Vec<u8> = filters.iter().map(|(_, qos)| *qos as u8).collect();
        self.subscribe_with(&requests, &codes).await;
    }

    async fn ask(&mut self, requests: &[FilterRequest<'_>]) {
        let version = self.version;
        self.write(|out| encode::subscribe(out, version, PacketId::FIRST, requests).unwrap()).await;
    }

    async fn subscribe_with(&mut self, requests: &[FilterRequest<'_>], codes: &[u8]) {
        self.ask(requests).await;
        self.next(|packet| match packet {
            Packet::SubAck(suback) => assert_eq!((suback.id, suback.codes), (PacketId::FIRST, codes)),
            other => panic!("{other:?}"),
        })
        .await;
    }

    /// Reads until a packet is complete.
    async fn next<R>(&mut self, look: impl FnOnce(Packet<'_>) -> R) -> R {
        loop {
            if let Some((packet, used)) = decode(&self.read, Sender::Server, self.version, 1 << 20).unwrap() {
                let seen = look(packet);
                self.read.drain(..used);
                return seen;
            }
            assert_ne!(self.stream.read_buf(&mut self.read).await.unwrap(), 0, "closed before a packet");
        }
    }

    async fn skip(&mut self) {
        self.next(|_| ()).await;
    }

    /// Reads until a packet is complete and checks it.
    async fn expect(&mut self, expected: Packet<'_>) {
        self.next(|packet| assert_eq!(packet, expected)).await;
    }

    async fn expect_message(&mut self, topic: &str, payload: &[u8], id: Option<u16>) {
        self.expect(Packet::Publish(delivery(topic, payload, id))).await;
    }

    /// Expects a QoS 1 message again, and acknowledges it.
    async fn expect_again(&mut self, topic: &str, payload: &[u8], id: u16) {
        let publish = Publish { dup: true, ..delivery(topic, payload, Some(id)) };
        self.expect(Packet::Publish(publish)).await;
        self.acknowledge(id).await;
    }

    /// Checks that the server writes exactly `last` and closes, and that its task ends.
    async fn expect_end(mut self, last: &[u8]) {
        self.stream.read_to_end(&mut self.read).await.unwrap();
        assert_eq!(self.read, last);
        drop(self.stream);
        self.served.await.unwrap();
    }

    /// Checks that the server says `reason` in a DISCONNECT, with words or without, and closes.
    async fn expect_disconnect(mut self, reason: ReasonCode) {
        self.next(|packet| match packet {
            Packet::Disconnect(disconnect) => assert_eq!(disconnect.reason, reason, "{disconnect:?}"),
            other => panic!("{other:?}"),
        })
        .await;
        self.expect_end(&[]).await;
    }

    /// Waits until the server has answered everything that was written, and nothing else comes.
    async fn settle(&mut self) {
        self.write(encode::pingreq).await;
        self.expect(Packet::PingResp).await;
    }

    /// Goes without a word, and waits until the server has noticed.
    async fn vanish(self) {
        drop(self.stream);
        self.served.await.unwrap();
    }

    /// Says goodbye or goes without a word.
    async fn end(self, goodbye: bool) {
        if goodbye {
            self.leave().await;
        } else {
            self.vanish().await;
        }
    }

    /// Says goodbye.
    async fn leave(mut self) {
        let version = self.version;
        self.write(|out| encode::disconnect(out, version, &Disconnect::default()).unwrap()).await;
        self.expect_end(&[]).await;
    }
}

/// A millisecond less than so many seconds.
fn just_before(seconds: u32) -> Duration {
    Duration::from_millis(u64::from(seconds) * 1000 - 1)
}

/// A client of 3.1.1 without a session to keep.
fn hello(client_id: &str) -> Connect<'_> {
    Connect::new(Version::V311, client_id)
}

/// A client of 3.1.1 that may come back.
fn kept(client_id: &str) -> Connect<'_> {
    Connect { clean_start: false, ..hello(client_id) }
}

/// A client of MQTT 5 that takes up a session, which outlives its connection by so much.
fn hello_5(client_id: &str, session_expiry_s: u32) -> Connect<'_> {
    let mut connect = Connect::new(Version::V5, client_id);
    connect.clean_start = false;
    connect.properties.session_expiry_s = session_expiry_s;
    connect
}

fn accepted() -> Packet<'static> {
    Packet::ConnAck(ConnAck::new(ReasonCode::Success))
}

fn delivery<'a>(topic: &'a str, payload: &'a [u8], id: Option<u16>) -> Publish<'a> {
    let qos = if id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce };
    Publish { qos, id: id.and_then(PacketId::new), ..Publish::new(topic, payload) }
}

fn message(topic: &str, id: Option<u16>) -> Publish<'_> {
    delivery(topic, b"x", id)
}
