//! The embedded backend's HTTP API over a real socket, as an SDK meets it.
//!
//! No MQTT here: what devices see is checked where devices are.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use fleetsim::backend::{self, Hooks, Listeners, Running};
use fleetsim::clock::Clock;
use fleetsim::protocol::{ApiError, ErrorKind, StartCommandExecutionRequest};
use fleetsim::transport::Listener;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::host::config;

const THING: &str = "arn:aws:iot:us-east-1:123456789012:thing/t1";
const COMMAND: &str = "arn:aws:iot:us-east-1:123456789012:command/c1";
/// How boto3 signs; the signature itself is not looked at.
const SIGNED_IOT: &str =
    "authorization: AWS4-HMAC-SHA256 Credential=K/20261122/us-east-1/iot/aws4_request, Signature=0";
const SIGNED_JOBS: &str =
    "authorization: AWS4-HMAC-SHA256 Credential=K/20261122/us-east-1/iot-jobs-data/aws4_request, Signature=0";

/// A backend of its own for one test; ends with it.
struct Bench {
    running: Option<Running>,
    http: SocketAddr,
    stop: CancellationToken,
}

/// A reply over HTTP.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Value,
}

impl Bench {
    fn start() -> Self {
        Self::with(Hooks::default())
    }

    fn with(hooks: Hooks) -> Self {
        let bind = || Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = config(Clock::start(), hooks);
        let stop = CancellationToken::new();
        let running = backend::start(Listeners { mqtt: bind(), http: bind() }, config, stop.clone()).unwrap();
        Self { http: running.http.socket().unwrap(), running: Some(running), stop }
    }

    /// With the command `c1`.
    fn with_command() -> Self {
        let bench = Self::start();
        let created = bench.call(
            "PUT /commands/c1",
            &json!({"payload": {"content": "e30=", "contentType": "application/json"}}),
        );
        assert_eq!(created.status, 200, "{created:?}");
        bench
    }

    fn call(&self, request: &str, body: &Value) -> Reply {
        self.signed(SIGNED_IOT, request, &body.to_string())
    }

    fn get(&self, path: &str) -> Reply {
        self.signed(SIGNED_IOT, &format!("GET {path}"), "")
    }

    fn begin(&self, body: &Value) -> Reply {
        self.signed(SIGNED_JOBS, "POST /command-executions", &body.to_string())
    }

    fn signed(&self, header: &str, request: &str, body: &str) -> Reply {
        let length = body.len();
        self.raw(&format!(
            "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    }

    fn raw(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.http).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Reply { status, head: head.to_ascii_lowercase(), body }
    }

    fn execution(&self, id: &str, query: &str) -> Reply {
        self.get(&format!(
            "/command-executions/{id}?targetArn={}{query}",
            THING.replace(':', "%3A").replace('/', "%2F")
        ))
    }

    fn handle(&self) -> &backend::Handle {
        &self.running.as_ref().unwrap().handle
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

impl Reply {
    #[track_caller]
    fn is_error(&self, status: u16, name: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains(&format!("x-amzn-errortype: {}", name.to_ascii_lowercase())), "{self:?}");
        assert!(self.head.contains("x-amzn-requestid: "), "{self:?}");
        assert!(self.body["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
    }
}

#[test]
fn a_command_is_created_once_and_read_back() {
    let bench = Bench::start();
    let body = json!({"payload": {"content": "eyJhIjoxfQ==", "contentType": "application/json"}, "description": "d"});
    let created = bench.call("PUT /commands/c1", &body);
    assert_eq!(created.body, json!({"commandId": "c1", "commandArn": COMMAND}));
    assert!(
        created.head.contains("x-amzn-requestid: ") && created.head.contains("application/json"),
        "{created:?}"
    );

    let again = bench.call("PUT /commands/c1", &body);
    again.is_error(409, "ConflictException");
    assert_eq!(again.body["resourceId"], "c1");

    let read = bench.get("/commands/c1");
    assert_eq!(read.status, 200);
    assert_eq!(read.body["payload"], json!({"content": "eyJhIjoxfQ==", "contentType": "application/json"}));
    assert_eq!(read.body["namespace"], "AWS-IoT");
    assert_eq!((&read.body["deprecated"], &read.body["pendingDeletion"]), (&json!(false), &json!(false)));
    assert!(read.body["createdAt"].as_f64().unwrap() > 1.7e9, "epoch seconds");
    bench.get("/commands/nope").is_error(404, "ResourceNotFoundException");
}

#[test]
fn a_command_that_breaks_the_model_is_refused() {
    let bench = Bench::start();
    let payload = json!({"content": "e30="});
    for (path, body) in [
        ("bad%20id%21".to_owned(), json!({"payload": payload})),
        ("x".repeat(65), json!({"payload": payload})),
        ("%FF".to_owned(), json!({"payload": payload})),
        ("c".to_owned(), json!({})),
        ("c".to_owned(), json!([])),
        ("c".to_owned(), json!({"payload": payload, "description": "d".repeat(2029)})),
        ("c".to_owned(), json!({"payload": payload, "displayName": "d".repeat(65)})),
        ("c".to_owned(), json!({"payload": {"content": base64_of(32_769)}})),
        ("c".to_owned(), json!({"payload": {"content": base64_of(300_000)}})),
        ("c".to_owned(), json!({"payloadTemplate": "{}"})),
    ] {
        bench.call(&format!("PUT /commands/{path}"), &body).is_error(400, "ValidationException");
    }
    let largest = bench.call("PUT /commands/c", &json!({"payload": {"content": base64_of(32_768)}}));
    assert_eq!(largest.status, 200, "{largest:?}");
}

/// The thermostat of the service's own page: a number in a range, with a default.
fn thermostat(output: &str) -> Value {
    let range =
        json!({"comparisonOperator": "IN_RANGE", "operand": {"numberRange": {"min": "60", "max": "80"}}});
    json!({
        "payloadTemplate": r#"{"t": "${aws:iot:commandexecution::parameter:t}", "within": "${aws:iot:commandexecution::executionTimeoutSec} s"}"#,
        "preprocessor": {"awsJsonSubstitution": {"outputFormat": output}},
        "mandatoryParameters": [{"name": "t", "type": "INTEGER", "defaultValue": {"I": 72}, "valueConditions": [range]}],
    })
}

#[test]
fn a_dynamic_command_checks_the_parameters_of_each_start() {
    let bench = Bench::start();
    let created = bench.call("PUT /commands/c1", &thermostat("JSON"));
    assert_eq!(created.status, 200, "{created:?}");
    let there = bench.get("/commands/c1").body;
    for member in ["payloadTemplate", "preprocessor", "mandatoryParameters"] {
        assert_eq!(there[member], thermostat("JSON")[member], "{there}");
    }
    assert_eq!(there.get("payload"), None);

    let start = |parameters: &Value| {
        let mut body = json!({"targetArn": THING, "commandArn": COMMAND});
        if !parameters.is_null() {
            body["parameters"] = parameters.clone();
        }
        bench.begin(&body)
    };
    for (parameters, used) in
        [(Value::Null, 72), (json!({"t": {"I": 60}}), 60), (json!({"t": {"I": 80}}), 80)]
    {
        let started = start(&parameters);
        assert_eq!(started.status, 200, "{started:?}");
        let record = bench.execution(started.body["executionId"].as_str().unwrap(), "").body;
        assert_eq!(
            record["parameters"],
            json!({"t": {"I": used}}),
            "those that were used, the default included"
        );
    }
    for parameters in [
        json!({"t": {"I": 59}}),
        json!({"t": {"I": 81}}),
        json!({"t": {"S": "72"}}),
        json!({"t": {"L": 72}}),
        json!({"t": {"I": 72}, "other": {"I": 1}}),
    ] {
        start(&parameters).is_error(400, "ValidationException");
    }
    assert_eq!(bench.handle().counters().started, 3, "a refused start leaves no execution");

    let mut body = json!({"targetArn": THING, "commandArn": COMMAND, "clientToken": "same"});
    let first = bench.begin(&body);
    body["parameters"] = json!({"t": {"I": 72}});
    assert_eq!(bench.begin(&body).body, first.body, "the default, written out, is the same request");
    body["parameters"] = json!({"t": {"I": 73}});
    bench.begin(&body).is_error(409, "ConflictException");
}

#[test]
fn a_dynamic_command_that_cannot_be_filled_in_is_refused() {
    let bench = Bench::start();
    let without = |member: &str| {
        let mut body = thermostat("JSON");
        body.as_object_mut().unwrap().shift_remove(member);
        body
    };
    let with = |member: &str, value: Value| {
        let mut body = thermostat("JSON");
        body[member] = value;
        body
    };
    for body in [
        without("preprocessor"),
        without("mandatoryParameters"),
        without("payloadTemplate"),
        with("payload", json!({"content": "e30="})),
        with("payloadTemplate", json!("{")),
        with("payloadTemplate", json!("{}")),
        with("payloadTemplate", json!({"t": 1})),
        with("mandatoryParameters", json!([])),
        with("mandatoryParameters", json!([{"name": "other"}])),
        with("mandatoryParameters", json!([{"name": "t", "type": "NUMBER"}])),
        with("preprocessor", json!({"awsJsonSubstitution": {"outputFormat": "XML"}})),
    ] {
        bench.call("PUT /commands/c2", &body).is_error(400, "ValidationException");
    }
    // A value that is needed and that nobody gives.
    let mut needed = thermostat("CBOR");
    needed["mandatoryParameters"] = json!([{"name": "t"}]);
    assert_eq!(bench.call("PUT /commands/c1", &needed).status, 200);
    bench.begin(&json!({"targetArn": THING, "commandArn": COMMAND})).is_error(400, "ValidationException");
    let large =
        json!({"targetArn": THING, "commandArn": COMMAND, "parameters": {"t": {"S": "x".repeat(140_000)}}});
    bench.begin(&large).is_error(400, "ValidationException");
}

#[test]
fn a_static_command_may_declare_conditions_and_keeps_its_payload() {
    let bench = Bench::start();
    let body = json!({
        "payload": {"content": "e30=", "contentType": "application/json"},
        "mandatoryParameters": [{"name": "on", "type": "BOOLEAN"}],
    });
    assert_eq!(bench.call("PUT /commands/c1", &body).status, 200);
    let start = |parameters: Value| {
        bench.begin(&json!({"targetArn": THING, "commandArn": COMMAND, "parameters": parameters}))
    };
    start(json!({"on": {"S": "yes"}})).is_error(400, "ValidationException");
    start(json!({"other": {"B": true}})).is_error(400, "ValidationException");
    assert_eq!(start(json!({"on": {"B": true}, "other": {"B": true}})).status, 200);
}

/// Base64 of that many zero bytes.
fn base64_of(bytes: usize) -> String {
    let (whole, rest) = (bytes / 3, bytes % 3);
    "AAAA".repeat(whole) + ["", "AA==", "AAA="][rest]
}

#[test]
fn an_execution_is_started_and_read_back() {
    let bench = Bench::with_command();
    let body = json!({"targetArn": THING, "commandArn": COMMAND, "parameters": {"p": {"I": 7}}, "executionTimeoutSeconds": 60});
    let started = bench.begin(&body);
    assert_eq!(started.status, 200, "{started:?}");
    let id = started.body["executionId"].as_str().unwrap();

    let record = bench.execution(id, "").body;
    assert_eq!((&record["executionId"], &record["status"]), (&json!(id), &json!("CREATED")));
    assert_eq!((&record["targetArn"], &record["commandArn"]), (&json!(THING), &json!(COMMAND)));
    assert_eq!(
        (&record["parameters"], &record["executionTimeoutSeconds"]),
        (&json!({"p": {"I": 7}}), &json!(60))
    );
    assert_eq!(record["createdAt"], record["startedAt"]);
    assert_eq!(
        (record.get("completedAt"), record.get("statusReason"), record.get("result")),
        (None, None, None)
    );
    assert_eq!(bench.execution(id, "&includeResult=true").status, 200);

    bench.execution("nope", "").is_error(404, "ResourceNotFoundException");
    let of_another = bench.get(&format!("/command-executions/{id}?targetArn={}", THING.replace("t1", "t2")));
    of_another.is_error(404, "ResourceNotFoundException");
    bench.execution(id, "&includeResult=maybe").is_error(400, "ValidationException");
    bench.get(&format!("/command-executions/{id}")).is_error(400, "ValidationException");
    bench.get(&format!("/command-executions/{id}?targetArn=t1")).is_error(400, "ValidationException");
}

#[test]
fn a_start_that_breaks_the_model_is_refused() {
    let bench = Bench::with_command();
    for (member, value) in [
        ("targetArn", json!("t1")),
        ("targetArn", json!("arn:aws:iot:us-east-1:123456789012:thinggroup/g")),
        ("targetArn", json!("arn:aws:iot:eu-west-1:123456789012:thing/t1")),
        ("targetArn", json!("arn:aws:iot:us-east-1:999999999999:thing/t1")),
        ("targetArn", json!(null)),
        ("commandArn", json!("c1")),
        ("commandArn", json!("arn:aws:iot:eu-west-1:123456789012:command/c1")),
        ("executionTimeoutSeconds", json!(0)),
        ("executionTimeoutSeconds", json!(43_201)),
        ("executionTimeoutSeconds", json!("10")),
        ("parameters", json!({})),
        ("parameters", json!({"p": {"I": 1, "S": "x"}})),
        ("clientToken", json!("")),
        ("clientToken", json!("a b")),
    ] {
        let mut body = json!({"targetArn": THING, "commandArn": COMMAND});
        body[member] = value;
        bench.begin(&body).is_error(400, "ValidationException");
    }
    bench.signed(SIGNED_JOBS, "POST /command-executions", "not json").is_error(400, "ValidationException");
    let unknown = json!({"targetArn": THING, "commandArn": COMMAND.replace("c1", "nope")});
    bench.begin(&unknown).is_error(404, "ResourceNotFoundException");
    let longest = json!({"targetArn": THING, "commandArn": COMMAND, "executionTimeoutSeconds": 43_200});
    assert_eq!(bench.begin(&longest).status, 200);
    assert_eq!(bench.handle().counters().started, 1);
}

#[test]
fn one_path_is_two_operations_told_apart_by_the_signature() {
    let bench = Bench::with_command();
    let list = json!({"targetArn": THING, "startedTimeFilter": {"after": "2020-01-01T00:00"}});
    let listed = bench.call("POST /command-executions", &list);
    listed.is_error(400, "ValidationException");
    assert_eq!(listed.body["message"], "ListCommandExecutions is not supported yet");
    let start = json!({"targetArn": THING, "commandArn": COMMAND});
    assert_eq!(bench.begin(&start).status, 200);
    assert_eq!(bench.signed("x-unsigned: 1", "POST /command-executions", &start.to_string()).status, 200);
}

#[test]
fn a_token_starts_one_execution() {
    let bench = Bench::with_command();
    let body = json!({"targetArn": THING, "commandArn": COMMAND, "clientToken": "8f9f2a4e-5a55-4d3e-9a56-6a2d3c1f0a11"});
    let first = bench.begin(&body);
    let again = bench.begin(&body);
    assert_eq!((again.status, &again.body), (200, &first.body));
    let mut other = body;
    other["executionTimeoutSeconds"] = json!(11);
    let conflict = bench.begin(&other);
    conflict.is_error(409, "ConflictException");
    assert_eq!(conflict.body["resourceId"], first.body["executionId"]);
    assert_eq!(bench.handle().counters().started, 1);
}

#[test]
fn without_a_device_the_timer_ends_an_execution() {
    let bench = Bench::with_command();
    // The first time-out is armed, then an earlier one: the timer has to notice.
    for seconds in [60, 1] {
        let body = json!({"targetArn": THING, "commandArn": COMMAND, "executionTimeoutSeconds": seconds});
        let id = bench.begin(&body).body["executionId"].as_str().unwrap().to_owned();
        if seconds == 1 {
            let created = bench.execution(&id, "").body["createdAt"].as_f64().unwrap();
            // Reading would time it out, too: wait for the timer's own count.
            while bench.handle().counters().timed_out == 0 {
                assert_eq!(bench.get("/commands/c1").status, 200);
            }
            let record = bench.execution(&id, "").body;
            assert_eq!((&record["status"], record.get("completedAt")), (&json!("TIMED_OUT"), None));
            assert_eq!(record["statusReason"], json!({"reasonCode": "$NO_RESPONSE_FROM_DEVICE"}));
            let waited = record["lastUpdatedAt"].as_f64().unwrap() - created;
            assert!((0.999..3.0).contains(&waited), "{waited}");
        }
    }
    assert_eq!(bench.handle().counters().open, 1);
}

#[test]
fn what_is_no_operation_or_comes_later_is_said_by_name() {
    let bench = Bench::start();
    for (request, name) in [
        ("GET /commands", "ListCommands"),
        ("DELETE /command-executions/e1?targetArn=x", "DeleteCommandExecution"),
        ("GET /tags?resourceArn=x", "ListTagsForResource"),
        ("POST /tags", "TagResource"),
        ("POST /untag", "UntagResource"),
        ("GET /endpoint?endpointType=iot:Jobs", "DescribeEndpoint"),
    ] {
        let reply = bench.call(request, &json!({}));
        reply.is_error(400, "ValidationException");
        assert_eq!(reply.body["message"], format!("{name} is not supported yet"));
    }
    for request in
        ["GET /", "GET /things/t1", "PUT /command-executions", "POST /commands/c1", "GET /commands/"]
    {
        bench.call(request, &json!({})).is_error(404, "UnknownOperationException");
    }
}

#[test]
fn a_connection_stays_open_for_the_next_request_and_is_counted() {
    let bench = Bench::with_command();
    let mut stream = TcpStream::connect(bench.http).unwrap();
    let request = b"GET /commands/c1 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(request).unwrap();
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(bench.handle().counters().http_connections, 1);
    bench.stop.cancel();
    let mut rest = Vec::new();
    assert_eq!(stream.read_to_end(&mut rest).unwrap(), 0, "stopping closes it");
}

#[test]
fn bytes_that_are_no_request_end_their_connection_only() {
    let bench = Bench::with_command();
    for garbage in ["\u{16}\u{3}\u{1}hello\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"] {
        let reply = bench.raw(garbage);
        assert!(matches!(reply.status, 0 | 400), "{reply:?}");
    }
    let long = format!("GET / HTTP/1.1\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let mut stream = TcpStream::connect(bench.http).unwrap();
    // It may be cut off before everything is written.
    let _ = stream.write_all(long.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(bench.get("/commands/c1").status, 200);
}

#[test]
fn hooks_refuse_starts_as_the_service_would() {
    let throttled = || Some(ApiError::new(ErrorKind::Throttling, "slow down"));
    let bench = Bench::with(Hooks { on_start: Some(Box::new(throttled)), ..Hooks::default() });
    bench.begin(&json!({"targetArn": THING, "commandArn": COMMAND})).is_error(429, "ThrottlingException");
}

#[test]
fn a_panic_in_a_connection_ends_that_one_only_and_surfaces_at_the_end() {
    let mut first = true;
    let panic_once = move || {
        assert!(!std::mem::replace(&mut first, false), "on purpose");
        None
    };
    let mut bench = Bench::with(Hooks { on_start: Some(Box::new(panic_once)), ..Hooks::default() });
    let body = json!({"targetArn": THING, "commandArn": COMMAND});
    assert_eq!(bench.begin(&body).status, 0, "closed without an answer");
    bench.begin(&body).is_error(404, "ResourceNotFoundException");
    bench.stop.cancel();
    assert!(bench.running.take().unwrap().join().is_err());
}

/// To the twelve hours: the unit tests of the store.
#[test]
fn a_command_is_deprecated_restored_and_deleted() {
    let bench = Bench::with_command();
    let start = || bench.begin(&json!({"targetArn": THING, "commandArn": COMMAND}));
    let open = start().body["executionId"].as_str().unwrap().to_owned();
    let patched = bench.call("PATCH /commands/c1", &json!({"deprecated": true}));
    assert_eq!((patched.status, &patched.body["deprecated"]), (200, &true.into()), "{patched:?}");
    start().is_error(400, "ValidationException");
    bench.call("PATCH /commands/c1", &json!({"deprecated": false}));
    assert_eq!(start().status, 200, "restored");
    bench.call("PATCH /commands/c1", &json!({"displayName": "x"})).is_error(400, "ValidationException");
    bench
        .call("PATCH /commands/nope", &json!({"deprecated": true}))
        .is_error(404, "ResourceNotFoundException");
    for _ in 0..2 {
        let deleted = bench.signed(SIGNED_IOT, "DELETE /commands/c1", "");
        assert_eq!((deleted.status, &deleted.body), (202, &Value::Null), "{deleted:?}");
    }
    assert_eq!(bench.signed(SIGNED_IOT, "DELETE /commands/nope", "").status, 204);
    assert_eq!(bench.get("/commands/c1").body["pendingDeletion"], true);
    start().is_error(400, "ValidationException");
    let again = bench.call("PUT /commands/c1", &json!({"payload": {"content": "e30="}}));
    again.is_error(409, "ConflictException");
    // What is open goes on.
    assert_eq!(bench.execution(&open, "").body["status"], "CREATED");
}

#[test]
fn a_handle_does_what_the_api_does() {
    let bench = Bench::with_command();
    let request = StartCommandExecutionRequest {
        target_arn: THING.to_owned(),
        command_arn: COMMAND.to_owned(),
        ..StartCommandExecutionRequest::default()
    };
    let id = bench.handle().start_command_execution(&request).unwrap().execution_id;
    let over_http = bench.execution(&id, "").body;
    let direct = bench.handle().get_command_execution(&id, THING, false).unwrap();
    assert_eq!(serde_json::to_value(direct).unwrap(), over_http);
    let error = bench.handle().get_command_execution(&id, "t1", false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Validation);
    assert!(bench.handle().cpu() <= std::time::Duration::from_mins(1));
}

#[test]
fn a_job_runs_on_the_backends_thread() {
    let bench = Bench::start();
    let (tell, told) = std::sync::mpsc::channel();
    let job = Box::new(move || tell.send(std::thread::current().name().map(str::to_owned)).unwrap());
    assert!(bench.handle().run_on_thread(job));
    assert_eq!(told.recv().unwrap().as_deref(), Some("fleetsim-backend"));
}

#[test]
fn the_same_seed_gives_the_same_ids() {
    let body = json!({"targetArn": THING, "commandArn": COMMAND});
    let ids = || {
        let bench = Bench::with_command();
        [bench.begin(&body).body, bench.begin(&body).body]
    };
    let first = ids();
    assert_eq!(first, ids());
    assert_ne!(first[0], first[1]);
}
