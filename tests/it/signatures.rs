//! Signed requests: every one that a run sends is checked by a gate between it and a backend, which computes the
//! signature again from the bytes that came, by the published rules and with nothing of the signer's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use fleetsim::exit::Exit;
use fleetsim::report::{self, RunReport};
use fleetsim::run::{self, Options};
use fleetsim::scenario::{Scenario, Target, TargetFlag, Variables, parse};
use fleetsim::stats::Class;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::ONE_AT_A_TIME;
use crate::endpoint::Outside;

pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "token-of-a-temporary-key==";

/// A request as it came: names of headers in lower case.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// From the whole of one request.
    pub(crate) fn read(head: &str, body: Vec<u8>) -> Self {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap().split(' ');
        let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        });
        let headers = headers.collect();
        Self { method, path: path.to_owned(), query: query.to_owned(), headers, body }
    }

    /// A field of the Authorization header.
    pub(crate) fn authorization(&self, field: &str) -> &str {
        let header = &self.headers["authorization"];
        let fields = header.strip_prefix("AWS4-HMAC-SHA256 ").unwrap().split(", ");
        fields.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == field).unwrap().1
    }

    /// What the signature has to be: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
    pub(crate) fn signature(&self, secret: &str) -> String {
        let mut query: Vec<&str> = self.query.split('&').filter(|pair| !pair.is_empty()).collect();
        query.sort_unstable();
        let signed = self.authorization("SignedHeaders");
        let mut canonical = format!("{}\n{}\n{}\n", self.method, self.path, query.join("&"));
        for name in signed.split(';') {
            writeln!(canonical, "{name}:{}", self.headers[name]).unwrap();
        }
        write!(canonical, "\n{signed}\n{}", hex(&Sha256::digest(&self.body))).unwrap();
        let scope = self.authorization("Credential").split_once('/').unwrap().1;
        let canonical = hex(&Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", self.headers["x-amz-date"]);
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in scope.split('/') {
            key = hmac(&key, part.as_bytes());
        }
        hex(&hmac(&key, text.as_bytes()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// RFC 2104, for keys of up to 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new_with_prefix(padded(0x36)).chain_update(text).finalize();
    Sha256::new_with_prefix(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

/// Cases of the test suite that AWS publishes for implementers of Signature Version 4.
#[test]
fn the_gate_computes_what_aws_publishes() {
    let request = |head: &str, body: &str| Request::read(head, body.as_bytes().to_vec());
    let authorization = "X-Amz-Date:20150830T123600Z\nAuthorization:AWS4-HMAC-SHA256 \
                         Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=";
    let vanilla = request(
        &format!(
            "GET / HTTP/1.1\nHost:example.amazonaws.com\n{authorization}host;x-amz-date, Signature=\
             5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31\n"
        ),
        "",
    );
    assert_eq!(vanilla.signature(SECRET), vanilla.authorization("Signature"));
    let form = request(
        &format!(
            "POST / HTTP/1.1\nContent-Type:application/x-www-form-urlencoded\nHost:example.amazonaws.com\n\
             Content-Length:13\nx-amz-content-sha256:\
             9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e\n{authorization}\
             content-length;content-type;host;x-amz-content-sha256;x-amz-date, Signature=\
             d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b\n"
        ),
        "Param1=value1",
    );
    assert_eq!(form.signature(SECRET), form.authorization("Signature"));
    assert_ne!(form.signature("another"), form.authorization("Signature"));
}

/// What the gate has seen.
#[derive(Default)]
struct Seen {
    /// Sound requests, by signing name, method and path up to its first identifier.
    sound: BTreeMap<String, u32>,
    /// What was wrong with the others.
    wrong: Vec<String>,
}

/// Passes requests on to the API at `upstream`, if their signature is right.
fn gate(upstream: SocketAddr, seen: Arc<Mutex<Seen>>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the process; each connection with its peer.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = Arc::clone(&seen);
            thread::spawn(move || pass_on(stream, upstream, &seen));
        }
    });
    address
}

fn pass_on(mut client: TcpStream, upstream: SocketAddr, seen: &Mutex<Seen>) -> Option<()> {
    let mut server = TcpStream::connect(upstream).ok()?;
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    let mut pending = Vec::new();
    let mut answers = Vec::new();
    loop {
        let (head, body) = message(&mut client, &mut pending)?;
        let request = Request::read(&head, body.clone());
        match fault(&request) {
            None => {
                let name = request.authorization("Credential").split('/').nth(3).unwrap();
                let path = request.path.split('/').nth(1).unwrap();
                *seen.lock().sound.entry(format!("{name} {} /{path}", request.method)).or_default() += 1;
                server.write_all(&[head.as_bytes(), &body].concat()).ok()?;
                let (head, body) = message(&mut server, &mut answers)?;
                client.write_all(&[head.as_bytes(), &body].concat()).ok()?;
            }
            Some(fault) => {
                seen.lock().wrong.push(fault);
                let body = r#"{"message":"The request signature we calculated does not match"}"#;
                let head = format!(
                    "HTTP/1.1 403 Forbidden\r\nx-amzn-ErrorType: InvalidSignatureException\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                client.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
            }
        }
    }
}

/// Head and body of the next message of a stream.
pub(crate) fn message(stream: &mut TcpStream, pending: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(end) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(pending[..end + 4].to_vec()).unwrap();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            let whole = end + 4 + length.unwrap_or(0);
            if pending.len() >= whole {
                let rest = pending.split_off(whole);
                let message = std::mem::replace(pending, rest);
                return Some((head, message[end + 4..].to_vec()));
            }
        }
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        pending.extend_from_slice(&chunk[..count]);
    }
}

/// What is wrong with a request, if anything is.
fn fault(request: &Request) -> Option<String> {
    let credential: Vec<&str> = request.authorization("Credential").split('/').collect();
    let signed: Vec<&str> = request.authorization("SignedHeaders").split(';').collect();
    let [id, date, region, name, end] = credential[..] else { return Some(format!("{credential:?}")) };
    let starts = request.method == "POST" && request.path == "/command-executions";
    let must_be_signed = ["host", "x-amz-date", "x-amz-security-token"];
    let mut faults = vec![
        ("signature", request.signature(SECRET) == request.authorization("Signature")),
        ("key", id == KEY_ID),
        ("date", request.headers["x-amz-date"].starts_with(date)),
        ("region and end", region == "us-east-1" && end == "aws4_request"),
        ("signing name", name == if starts { "iot-jobs-data" } else { "iot" }),
        ("signed headers", must_be_signed.iter().all(|header| signed.contains(header))),
        ("token", request.headers.get("x-amz-security-token").is_some_and(|token| token == TOKEN)),
    ];
    if !request.body.is_empty() {
        faults.push(("content type", signed.contains(&"content-type")));
    }
    faults.into_iter().find(|(_, sound)| !sound).map(|(what, _)| what.to_owned())
}

fn scenario(mqtt: SocketAddr, http: SocketAddr, secret: &str) -> Arc<Scenario> {
    let text = format!(
        "version: 1\nname: signed\nseed: 7\nvalidity: {{ max_lag: 20s }}\n\
         target:\n  endpoint:\n    mqtt: mqtt://{mqtt}\n    http: http://{http}\n    credentials:\n      \
         access_key_id: ${{ID}}\n      secret_access_key: ${{KEY}}\n      session_token: ${{TOKEN}}\n\
         groups: {{ g: {{ count: 20, behavior: {{ delay: 5ms..20ms }} }} }}\n\
         workloads:\n  w:\n    command: {{ name: signed, timeout: 60s }}\n    \
         load: {{ arrival_rate: {{ stages: [{{ rate: 40/s, duration: 1s }}] }} }}\n"
    );
    let variables = [("ID", KEY_ID), ("KEY", secret), ("TOKEN", TOKEN)];
    let variables: Variables =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    Arc::new(parse("signed.yaml", &text, &variables).unwrap_or_else(|problems| panic!("{problems}")))
}

fn run(scenario: &Arc<Scenario>) -> RunReport {
    let _guard = ONE_AT_A_TIME.lock();
    let (sender, _receiver) = watch::channel(None);
    run::run(Options { signals: false, ..Options::new(Arc::clone(scenario)) }, &sender)
}

#[test]
fn every_request_of_a_run_is_signed_for_its_service() {
    let outside = Outside::start(fleetsim::backend::Hooks::default());
    let seen = Arc::new(Mutex::new(Seen::default()));
    let http = gate(outside.http(), Arc::clone(&seen));
    let scenario = scenario(outside.mqtt(), http, SECRET);
    let report = run(&scenario);
    println!("{}", report::console(&report, report::Style::Plain, 120));
    let seen = seen.lock();
    assert_eq!(seen.wrong, Vec::<String>::new());
    assert_eq!(report.snapshot.totals.measured(None, None).class(Class::Succeeded), 40);
    println!("{:?}", seen.sound);
    assert_eq!(seen.sound["iot PUT /commands"], 1);
    // One of them is the probe's.
    assert_eq!(seen.sound["iot-jobs-data POST /command-executions"], 41);
    // On a busy machine one may be asked for again.
    assert!(seen.sound["iot GET /command-executions"] >= 40, "{:?}", seen.sound);
    for output in [report::result_json(&report), format!("{scenario:?}"), scenario.resolved().to_string()] {
        for secret in [KEY_ID, SECRET, TOKEN] {
            assert!(!output.contains(secret), "{secret} is in {output}");
        }
    }
}

#[test]
fn a_wrong_secret_ends_the_run_before_the_fleet_connects() {
    let outside = Outside::start(fleetsim::backend::Hooks::default());
    let http = gate(outside.http(), Arc::default());
    let report = run(&scenario(outside.mqtt(), http, "wrong"));
    assert_eq!(report.exit, Exit::Unavailable);
    let problem = report.problem.unwrap();
    assert!(problem.contains("InvalidSignatureException"), "{problem}");
}

#[test]
fn another_target_gets_the_same_credentials_and_who_signs_is_not_part_of_the_hash() {
    let here = (Ipv4Addr::LOCALHOST, 1).into();
    let first = scenario(here, here, SECRET);
    let mut second = Scenario::clone(&scenario(here, here, "another"));
    assert_eq!(first.hash(), second.hash());
    let flag: TargetFlag = "mqtt://other,http://other".parse().unwrap();
    second.retarget(&flag).unwrap();
    let Target::Endpoint(endpoint) = &second.target else { panic!("{:?}", second.target) };
    assert_eq!(endpoint.credentials.as_ref().unwrap().secret_access_key, "another");
}
