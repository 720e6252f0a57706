//! What a command costs this broker and what it costs mosquitto, in one run and alternating, so that both
//! meet the same machine: server CPU per round trip, and memory per idle session.
//! `cargo bench --bench against_mosquitto`
//!
//! The devices and the operator are the same bare sockets for both, on plain topics, which both route: the
//! operator publishes a request (QoS 1), the device acknowledges it and publishes its response (QoS 1), the
//! operator acknowledges that. Each server is a process of its own; its CPU time is the kernel's account of
//! its threads. mosquitto keeps no files, writes no log, and bounds neither window nor queue.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::cell::RefCell;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleetsim::clock::Clock;
use fleetsim::mqtt::{
    Connect, FilterRequest, Packet, PacketId, PubAck, Publish, QoS, Sender, Version, decode, encode,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

const DEVICES: usize = 1000;
const IN_FLIGHT: usize = 256;
/// Round trips of one measurement: some seconds of CPU, so that warming up does not count.
const ROUND_TRIPS: usize = 60_000;
const ROUNDS: usize = 3;
const IDLE_SESSIONS: usize = 5000;
const PAYLOAD: [u8; 200] = [b'x'; 200];
const MAX_PACKET: usize = 64 * 1024;

fn main() {
    let Some(mosquitto) = Server::mosquitto() else {
        println!("skipped: mosquitto is not installed (Debian: apt-get install mosquitto)");
        return;
    };
    let servers = [Server::ours(), mosquitto];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let clock = Clock::start();
        for server in &servers {
            server.wait_until_it_listens(clock).await;
            let bytes = idle_session_bytes(server).await;
            println!("{:9} {IDLE_SESSIONS} idle sessions: {bytes} bytes each", server.name);
        }
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (server, costs) in servers.iter().zip(&mut costs) {
                let (cpu_ns, per_s) = round_trips(server, clock).await;
                println!("{:9} {} ns of CPU per round trip, {per_s} round trips/s", server.name, cpu_ns);
                costs.push(cpu_ns);
            }
        }
        let [ours, theirs] = costs.map(median);
        println!(
            "median of {ROUNDS}: ours {ours} ns, mosquitto {theirs} ns, {}.{:02} of it",
            ours / theirs,
            ours % theirs * 100 / theirs
        );
    });
}

fn median(mut costs: Vec<u64>) -> u64 {
    costs.sort_unstable();
    costs[costs.len() / 2]
}

/// A server that ends with its value.
struct Server {
    name: &'static str,
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    fn ours() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ready = folder.path().join("ready.json");
        let mut child = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
            .args(["backend", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ready-file"])
            .arg(&ready)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built with this benchmark");
        // Its greeting comes after the ready file.
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
        while !line.contains("Ctrl-C stops") {
            line.clear();
            assert!(said.read_line(&mut line).expect("text") > 0, "the backend ended at once");
        }
        let ready: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(ready).expect("it is written")).expect("JSON");
        let port =
            ready["mqtt"].as_str().and_then(|url| url.rsplit(':').next()).and_then(|port| port.parse().ok());
        Self { name: "fleetsim", child, port: port.expect("mqtt://ADDRESS:PORT"), _folder: folder }
    }

    /// `None` if it is not installed.
    fn mosquitto() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("mosquitto.conf");
        let port = {
            let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
            free.local_addr().expect("it is bound").port()
        };
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n\
             max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true\n"
        );
        fs::write(&config, text).expect("the folder is ours");
        // Debian puts it where only root's PATH looks.
        let child = ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find_map(|program| {
            let mut command = Command::new(program);
            command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        })?;
        Some(Self { name: "mosquitto", child, port, _folder: folder })
    }

    async fn wait_until_it_listens(&self, clock: Clock) {
        let until = clock.now().plus(Duration::from_secs(10));
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(clock.now() < until, "{} does not listen", self.name);
            clock.sleep_until(clock.now().plus_micros(1000)).await;
        }
    }

    /// CPU time of all its threads so far.
    fn cpu_ns(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let of_task = |task: io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        tasks.filter_map(of_task).sum()
    }

    /// Its memory that is in RAM.
    fn resident_bytes(&self) -> usize {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("it runs");
        let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
        pages * 4096
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _: io::Result<()> = self.child.kill();
        let _: io::Result<_> = self.child.wait();
    }
}

/// What a session costs that is connected and subscribed like a device.
async fn idle_session_bytes(server: &Server) -> usize {
    // The first ones pay for what all share.
    let mut clients = Vec::new();
    for number in 0..100 {
        clients.push(connect_idle(server, number).await);
    }
    let before = server.resident_bytes();
    for number in 100..100 + IDLE_SESSIONS {
        clients.push(connect_idle(server, number).await);
    }
    (server.resident_bytes() - before) / IDLE_SESSIONS
}

async fn connect_idle(server: &Server, number: usize) -> TcpStream {
    let name = format!("sensor-{number:06}");
    let filter = |suffix| format!("$aws/commands/things/{name}/executions/+/{suffix}/#");
    connect(server, &name, &["request", "response/accepted", "response/rejected"].map(filter)).await
}

/// A client that is connected and has its subscriptions.
async fn connect(server: &Server, name: &str, filters: &[String]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.expect("it listens");
    stream.set_nodelay(true).expect("a TCP stream");
    let mut out = Vec::new();
    let mut connect = Connect::new(Version::V311, name);
    (connect.clean_start, connect.keep_alive_s) = (true, 1200);
    encode::connect(&mut out, &connect).expect("a short name");
    let filters: Vec<_> = filters.iter().map(|filter| FilterRequest::new(filter, QoS::AtLeastOnce)).collect();
    encode::subscribe(&mut out, Version::V311, PacketId::FIRST, &filters).expect("short filters");
    stream.write_all(&out).await.expect("it reads");
    // CONNACK, and a SUBACK with a code for each filter.
    let mut answer = vec![0; 4 + 4 + filters.len()];
    stream.read_exact(&mut answer).await.expect("it answers");
    assert_eq!(&answer[..4], [0x20, 2, 0, 0], "CONNACK");
    stream
}

/// CPU of the server in nanoseconds per round trip, and round trips per second.
async fn round_trips(server: &Server, clock: Clock) -> (u64, u64) {
    let mut devices = Vec::new();
    for number in 0..DEVICES {
        let name = format!("device-{number:06}");
        let stream = connect(server, &name, &[format!("commands/{name}/request")]).await;
        devices.push(tokio::task::spawn_local(answer_all(stream, format!("commands/{name}/response"))));
    }
    let operator = connect(server, "operator", &["commands/+/response".to_owned()]).await;
    // Once unmeasured, so that buffers have their size.
    let operator = command_all(operator, IN_FLIGHT * 4).await;
    let (cpu_before, begun) = (server.cpu_ns(), clock.now());
    let operator = command_all(operator, ROUND_TRIPS).await;
    let (cpu_ns, took_us) = (server.cpu_ns() - cpu_before, clock.now().micros_since(begun));
    drop(operator);
    for device in devices {
        device.abort();
    }
    (cpu_ns / ROUND_TRIPS as u64, ROUND_TRIPS as u64 * 1_000_000 / took_us.max(1))
}

/// A device: acknowledges every request and answers it.
async fn answer_all(mut stream: TcpStream, topic: String) {
    let response = Publish { qos: QoS::AtLeastOnce, ..Publish::new(&topic, b"{\"status\":\"SUCCEEDED\"}") };
    let (mut packets, mut out) = (Packets::default(), Vec::new());
    while packets.read(&mut stream).await {
        packets.each_publish(|id| {
            encode::puback(&mut out, Version::V311, &PubAck::new(id)).expect("it fits");
            let response = Publish { id: Some(id), ..response };
            encode::publish(&mut out, Version::V311, &response).expect("it fits");
        });
        if stream.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
    }
}

/// The operator: keeps [`IN_FLIGHT`] requests on their way until `count` are answered.
async fn command_all(mut stream: TcpStream, count: usize) -> TcpStream {
    let topics: Vec<String> =
        (0..DEVICES).map(|number| format!("commands/device-{number:06}/request")).collect();
    let (mut packets, mut out) = (Packets::default(), Vec::new());
    let (mut sent, mut answered, mut id) = (0, 0, PacketId::FIRST);
    let mut request_next = |out: &mut Vec<u8>, sent: &mut usize| {
        let topic = &topics[*sent % DEVICES];
        let request = Publish { qos: QoS::AtLeastOnce, id: Some(id), ..Publish::new(topic, &PAYLOAD) };
        encode::publish(out, Version::V311, &request).expect("it fits");
        id = id.next();
        *sent += 1;
    };
    while sent < IN_FLIGHT.min(count) {
        request_next(&mut out, &mut sent);
    }
    while answered < count {
        stream.write_all(&out).await.expect("the server reads");
        out.clear();
        assert!(packets.read(&mut stream).await, "the server closed the operator's connection");
        packets.each_publish(|id| {
            encode::puback(&mut out, Version::V311, &PubAck::new(id)).expect("it fits");
            answered += 1;
            if sent < count {
                request_next(&mut out, &mut sent);
            }
        });
    }
    stream.write_all(&out).await.expect("the server reads");
    stream
}

thread_local! {
    /// What a read brings, before it is looked at.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; MAX_PACKET]);
}

/// The bytes of a connection that are not dealt with yet.
#[derive(Default)]
struct Packets {
    bytes: Vec<u8>,
}

impl Packets {
    /// Reads once; false if the other side has closed.
    async fn read(&mut self, stream: &mut TcpStream) -> bool {
        if stream.readable().await.is_err() {
            return false;
        }
        SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
            Ok(0) => false,
            Ok(count) => {
                self.bytes.extend_from_slice(&scratch[..count]);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        })
    }

    /// Visits the identifiers of the PUBLISHes that are whole; other packets are passed over.
    fn each_publish(&mut self, mut visit: impl FnMut(PacketId)) {
        let mut at = 0;
        while let Some((packet, used)) =
            decode(&self.bytes[at..], Sender::Server, Version::V311, MAX_PACKET).expect("a server's packet")
        {
            if let Packet::Publish(Publish { id: Some(id), .. }) = packet {
                visit(id);
            }
            at += used;
        }
        self.bytes.drain(..at);
    }
}
