//! What a session costs the broker: memory while idle, over plain TCP with the three subscriptions of a
//! device, and time per delivered command. The clients are bare descriptors, so the memory that grows is
//! the broker's. `cargo bench --bench sessions`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use fleetsim::backend::broker::{Broker, Host, Message, serve};
use fleetsim::clock::{Clock, thread_cpu};
use fleetsim::mqtt::{Connect, FilterRequest, PacketId, Publish, QoS, ReasonCode, Version, encode};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Two descriptors each, of the usual 20,000.
const SESSIONS: usize = 8000;
/// Commands per session for the time per delivery.
const COMMANDS: usize = 20;

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

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let clock = Clock::start();
        let host = Arc::new(Router { clock, broker: Mutex::new(Broker::new(clock)) });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(accept(listener, Arc::clone(&host)));
        measure(&host, address).await;
    });
}

async fn accept(listener: TcpListener, host: Arc<Router>) {
    let stop = CancellationToken::new();
    let mut is_first = true;
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("a TCP stream");
        let served = serve(stream, Arc::clone(&host), stop.clone());
        if std::mem::take(&mut is_first) {
            println!("future of one connection: {} bytes", std::mem::size_of_val(&served));
        }
        tokio::spawn(served);
    }
}

async fn measure(host: &Arc<Router>, address: SocketAddr) {
    // The first ones pay for what all share.
    let few = connect(address, 0..100).await;
    let before = resident_bytes();
    let clients = connect(address, 100..SESSIONS).await;
    let each = (resident_bytes() - before) / clients.len();
    println!("{SESSIONS} idle sessions with 3 subscriptions: {each} bytes each");

    let drains = thread::spawn(move || drain(few.into_iter().chain(clients).collect()));
    let begun = thread_cpu();
    for round in 0..COMMANDS {
        for device in 0..SESSIONS {
            let topic = format!("$aws/commands/things/sensor-{device:06}/executions/e{round}/request/json");
            let message = Message::new(&topic, &[b'x'; 200], QoS::AtLeastOnce);
            let delivered = host.with_broker(|broker| broker.publish(&message));
            assert_eq!(delivered.sessions, 1);
            // The tasks write now and then, as they would beside a busy API.
            if device % 64 == 63 {
                tokio::task::yield_now().await;
            }
        }
    }
    while !drains.is_finished() {
        host.clock.sleep_until(host.clock.now().plus_micros(500)).await;
    }
    let count = SESSIONS * COMMANDS;
    println!("{count} commands over TCP: {} ns of CPU each", nanoseconds_since(begun) / count as u128);

    let topics: Vec<String> = (0..SESSIONS)
        .map(|device| format!("$aws/commands/things/sensor-{device:06}/executions/e/request/json"))
        .collect();
    let begun = thread_cpu();
    let mut dropped = 0;
    for topic in &topics {
        let message = Message::new(topic, &[b'x'; 200], QoS::AtMostOnce);
        dropped += host.with_broker(|broker| broker.publish(&message)).dropped;
    }
    let each = nanoseconds_since(begun) / SESSIONS as u128;
    println!("route and encode only: {each} ns of CPU each ({dropped} dropped)");
}

/// CPU time of this thread, the broker's, since `begun`: other threads and programs do not count.
fn nanoseconds_since(begun: std::time::Duration) -> u128 {
    thread_cpu().saturating_sub(begun).as_nanos()
}

/// Connects bare sockets on a thread of its own, each subscribed like a device.
async fn connect(address: SocketAddr, devices: std::ops::Range<usize>) -> Vec<TcpStream> {
    let connects =
        thread::spawn(move || devices.map(|device| connect_one(address, device)).collect::<Vec<_>>());
    let clock = Clock::start();
    while !connects.is_finished() {
        clock.sleep_until(clock.now().plus_micros(1000)).await;
    }
    connects.join().expect("all connect")
}

fn connect_one(address: SocketAddr, device: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the broker listens");
    let name = format!("sensor-{device:06}");
    let connect = Connect { keep_alive_s: 1200, ..Connect::new(Version::V311, &name) };
    let filter = |suffix| format!("$aws/commands/things/{name}/executions/+/{suffix}/#");
    let filters = ["request", "response/accepted", "response/rejected"].map(filter);
    let filters = filters.each_ref().map(|filter| FilterRequest::new(filter, QoS::AtLeastOnce));
    let mut out = Vec::new();
    encode::connect(&mut out, &connect).expect("a short name");
    encode::subscribe(&mut out, Version::V311, PacketId::FIRST, &filters).expect("short filters");
    stream.write_all(&out).expect("the broker reads");
    // CONNACK and SUBACK.
    stream.read_exact(&mut [0; 4 + 7]).expect("the broker answers");
    stream
}

/// Reads everything that was sent to each client.
fn drain(clients: Vec<TcpStream>) {
    let mut commands: Vec<usize> = vec![0; clients.len()];
    for (device, mut stream) in clients.iter().enumerate() {
        while commands[device] < COMMANDS {
            // Header, topic, identifier, payload; the topic grows by a digit in the tenth round.
            let topic = format!(
                "$aws/commands/things/sensor-{device:06}/executions/e{}/request/json",
                commands[device]
            );
            stream.read_exact(&mut vec![0; 3 + 2 + topic.len() + 2 + 200]).expect("a command");
            commands[device] += 1;
        }
    }
    std::mem::forget(clients);
}

/// Memory of this process that is in RAM.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}
