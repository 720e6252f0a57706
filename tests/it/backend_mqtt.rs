//! The embedded backend as a device and a watcher meet it: the whole way of a command over MQTT,
//! with a client that is not ours.

use std::net::Ipv4Addr;
use std::time::Duration;

use fleetsim::backend::{self, Hooks, Listeners, Running};
use fleetsim::clock::Clock;
use fleetsim::protocol::{
    Accepted, CommandPayload, CreateCommandRequest, ParameterValue, Rejected, ResultValue,
    StartCommandExecutionRequest, Status, StatusReason, TargetKind, Update, device_filters,
};
use fleetsim::transport::Listener;
use rumqttc::{Client, Connection, Event, MqttOptions, Packet, QoS, SubscribeFilter};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::host::config;

const THING: &str = "arn:aws:iot:us-east-1:123456789012:thing/t1";

/// Long enough for a busy machine; waiting for an event never takes it whole.
const PATIENCE: Duration = Duration::from_secs(20);

/// A backend with the command `c1`, and a client that holds the device `t1` and watches all events.
struct Bench {
    running: Option<Running>,
    stop: CancellationToken,
    client: Client,
    connection: Connection,
}

impl Bench {
    fn start(content_type: &str, hooks: Hooks) -> Self {
        let bind = || Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = config(Clock::start(), hooks);
        let stop = CancellationToken::new();
        let running = backend::start(Listeners { mqtt: bind(), http: bind() }, config, stop.clone()).unwrap();
        let payload =
            CommandPayload { content: b"\x00bytes\xff".to_vec(), content_type: Some(content_type.into()) };
        let request = CreateCommandRequest { payload: Some(payload), ..CreateCommandRequest::default() };
        running.handle.create_command("c1", request).unwrap();

        let mut options = MqttOptions::new("device-1", "127.0.0.1", running.mqtt.socket().unwrap().port());
        options.set_keep_alive(Duration::from_mins(1));
        let (client, connection) = Client::new(options, 10);
        let mut bench = Self { running: Some(running), stop, client, connection };
        let mut filters = device_filters(TargetKind::Thing, "t1").to_vec();
        filters.extend(["$aws/events/commandExecution/+/#".to_owned(), "plain/#".to_owned()]);
        let filters = filters.into_iter().map(|path| SubscribeFilter { path, qos: QoS::AtLeastOnce });
        bench.client.subscribe_many(filters).unwrap();
        bench.until(|packet| matches!(packet, Packet::SubAck(_)).then_some(()));
        bench
    }

    /// Starts an execution; returns its id.
    fn begin(&self, timeout_seconds: i64) -> String {
        let request = StartCommandExecutionRequest {
            target_arn: THING.to_owned(),
            command_arn: "arn:aws:iot:us-east-1:123456789012:command/c1".to_owned(),
            execution_timeout_seconds: Some(timeout_seconds),
            ..StartCommandExecutionRequest::default()
        };
        self.handle().start_command_execution(&request).unwrap().execution_id
    }

    fn handle(&self) -> &backend::Handle {
        &self.running.as_ref().unwrap().handle
    }

    fn publish(&self, topic: &str, payload: &[u8]) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).unwrap();
    }

    /// Publishes an update to `…/<id>/response<format>` of the device.
    fn report(&self, id: &str, format: &str, payload: &[u8]) {
        self.publish(&format!("$aws/commands/things/t1/executions/{id}/response{format}"), payload);
    }

    /// The next message: topic less its `$aws/commands/things/t1/executions/`, and payload.
    fn message(&mut self) -> (String, Vec<u8>) {
        let publish = self.until(|packet| match packet {
            Packet::Publish(publish) => Some(publish),
            _ => None,
        });
        assert_eq!(publish.qos, QoS::AtLeastOnce);
        let topic = publish.topic.trim_start_matches("$aws/commands/things/t1/executions/").to_owned();
        (topic, publish.payload.to_vec())
    }

    fn json_message(&mut self) -> (String, Value) {
        let (topic, payload) = self.message();
        let payload = serde_json::from_slice(&payload).unwrap();
        (topic, payload)
    }

    fn until<R>(&mut self, mut found: impl FnMut(Packet) -> Option<R>) -> R {
        loop {
            let event = self.connection.recv_timeout(PATIENCE).expect("nothing came").unwrap();
            if let Event::Incoming(packet) = event
                && let Some(result) = found(packet)
            {
                return result;
            }
        }
    }

    /// The next message is the lifecycle event of this status.
    #[track_caller]
    fn expect_event(&mut self, id: &str, status: &str) -> Value {
        let (topic, event) = self.json_message();
        assert_eq!(topic, format!("$aws/events/commandExecution/c1/{status}"));
        assert_eq!((&event["executionId"], &event["status"]), (&json!(id), &json!(status)));
        event
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
        let ended = self.running.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

#[test]
fn a_command_goes_to_the_device_and_its_answers_come_back() {
    let mut bench = Bench::start("application/json", Hooks::default());
    let id = bench.begin(60);
    assert_eq!(bench.message(), (format!("{id}/request/json"), b"\x00bytes\xff".to_vec()), "as they are");
    let event = bench.expect_event(&id, "CREATED");
    assert_eq!(event["eventType"], "COMMAND_EXECUTION");
    assert_eq!(event["targetArn"], THING);
    assert!(event["timestamp"].as_u64().unwrap() > 1_700_000_000_000, "epoch milliseconds");
    assert_eq!(event.get("statusReason"), None);

    bench.report(&id, "/json", br#"{"status":"IN_PROGRESS","statusReason":{"reasonCode":"BUSY"}}"#);
    assert_eq!(bench.json_message(), (format!("{id}/response/accepted/json"), json!({"executionId": id})));
    let event = bench.expect_event(&id, "IN_PROGRESS");
    assert_eq!(event["statusReason"], json!({"reasonCode": "BUSY", "reasonDescription": ""}));

    bench.report(&id, "/json", br#"{"status":"SUCCEEDED","result":{"x":{"bin":"AP8="}},"clientToken":"t"}"#);
    let accepted = json!({"executionId": id, "clientToken": "t"});
    assert_eq!(bench.json_message(), (format!("{id}/response/accepted/json"), accepted));
    bench.expect_event(&id, "SUCCEEDED");

    let record = bench.handle().get_command_execution(&id, THING, true).unwrap();
    assert_eq!((record.status, record.status_reason), (Some(Status::Succeeded), None));
    assert_eq!(record.result.unwrap()["x"], ResultValue::Bin(vec![0, 255]));
}

#[test]
fn the_content_type_decides_where_the_request_goes() {
    for (content_type, topic) in [
        ("application/json", "request/json"),
        ("application/cbor", "request/cbor"),
        ("text/plain", "request"),
    ] {
        let mut bench = Bench::start(content_type, Hooks::default());
        let id = bench.begin(60);
        assert_eq!(bench.message().0, format!("{id}/{topic}"));
    }
}

#[test]
fn a_refused_update_says_why_on_the_topic_of_its_format() {
    let mut bench = Bench::start("application/json", Hooks::default());
    let id = bench.begin(60);
    bench.message();
    bench.expect_event(&id, "CREATED");
    for (execution, format, payload, error) in [
        ("nope", "/json", r#"{"status":"SUCCEEDED"}"#, "ResourceNotFound"),
        ("no id", "/json", r#"{"status":"SUCCEEDED"}"#, "ResourceNotFound"),
        (&id, "/json", "not json", "InvalidJson"),
        (&id, "/json", "", "InvalidJson"),
        (&id, "/json", r#"{"status":"BOGUS"}"#, "InvalidRequest"),
        (&id, "/json", r#"{"status":"CREATED"}"#, "InvalidRequest"),
        (&id, "/json", r#"{"status":"SUCCEEDED","result":{}}"#, "InvalidRequest"),
        (&id, "", r#"{"status":"FAILED","statusReason":{"reasonCode":"lower"}}"#, "InvalidRequest"),
    ] {
        bench.report(execution, format, payload.as_bytes());
        let (topic, rejected) = bench.json_message();
        assert_eq!(topic, format!("{execution}/response/rejected{format}"), "{payload}");
        assert_eq!(rejected["error"], error, "{payload}");
        assert_eq!(
            rejected.get("executionId"),
            (execution != "no id").then_some(&json!(execution)),
            "{payload}"
        );
        assert!(!rejected["errorMessage"].as_str().unwrap().is_empty());
    }
    let record = bench.handle().get_command_execution(&id, THING, true).unwrap();
    assert_eq!(record.status, Some(Status::Created), "none of them changed it");

    bench.report(&id, "", br#"{"status":"REJECTED"}"#);
    assert_eq!(bench.json_message().0, format!("{id}/response/accepted"));
    bench.expect_event(&id, "REJECTED");
    bench.report(&id, "/json", br#"{"status":"SUCCEEDED","clientToken":"t"}"#);
    let (_, rejected) = bench.json_message();
    assert_eq!((&rejected["error"], &rejected["clientToken"]), (&json!("TerminalStateReached"), &json!("t")));

    bench.report(&id, "/cbor", b"\xa0");
    let (topic, payload) = bench.message();
    assert_eq!(topic, format!("{id}/response/rejected/cbor"));
    assert!(payload.starts_with(b"\xa3\x65error\x6eInvalidRequest"), "{payload:?}");
    assert_eq!(bench.handle().counters().updates_rejected, 10);
}

#[test]
fn a_device_may_answer_in_cbor() {
    let mut bench = Bench::start("application/cbor", Hooks::default());
    let id = bench.begin(60);
    bench.message();
    bench.expect_event(&id, "CREATED");
    let result = [("x".to_owned(), ResultValue::Bin(vec![0, 255])), ("ok".to_owned(), ResultValue::B(true))];
    let update = Update {
        status: Status::Succeeded,
        reason: Some(StatusReason { code: "DONE".into(), description: None }),
        result: Some(result.into_iter().collect()),
        client_token: Some("t".into()),
    };
    let mut payload = Vec::new();
    update.write_cbor(&mut payload);
    bench.report(&id, "/cbor", &payload);
    let (topic, reply) = bench.message();
    assert_eq!(topic, format!("{id}/response/accepted/cbor"));
    let accepted = Accepted::from_cbor(&reply).unwrap();
    assert_eq!(
        (accepted.execution_id.to_string(), accepted.client_token.as_deref()),
        (id.clone(), Some("t"))
    );
    bench.expect_event(&id, "SUCCEEDED");
    let record = bench.handle().get_command_execution(&id, THING, true).unwrap();
    assert_eq!((record.result, record.status_reason), (update.result, update.reason));

    bench.report(&id, "/cbor", &payload);
    let (topic, reply) = bench.message();
    assert_eq!(topic, format!("{id}/response/rejected/cbor"));
    assert_eq!(Rejected::from_cbor(&reply).unwrap().error, "TerminalStateReached");
}

#[test]
fn a_dynamic_command_arrives_filled_in() {
    for (output, content_type, topic) in
        [("JSON", "application/json", "request/json"), ("CBOR", "application/cbor", "request/cbor")]
    {
        let mut bench = Bench::start("text/plain", Hooks::default());
        let create = json!({
            "payloadTemplate": r#"{"t":"${aws:iot:commandexecution::parameter:t}","n":"${aws:iot:commandexecution::parameter:n}!"}"#,
            "preprocessor": {"awsJsonSubstitution": {"outputFormat": output}},
            "mandatoryParameters": [{"name": "t"}, {"name": "n", "defaultValue": {"S": "x"}}],
        });
        let create = CreateCommandRequest::from_json(create.to_string().as_bytes()).unwrap();
        bench.handle().create_command("dynamic", create).unwrap();
        let parameters = [("t".to_owned(), ParameterValue::Bin(vec![0, 255]))];
        let request = StartCommandExecutionRequest {
            target_arn: THING.to_owned(),
            command_arn: "arn:aws:iot:us-east-1:123456789012:command/dynamic".to_owned(),
            parameters: Some(parameters.into_iter().collect()),
            ..StartCommandExecutionRequest::default()
        };
        let id = bench.handle().start_command_execution(&request).unwrap().execution_id;
        let (arrived_on, payload) = bench.message();
        assert_eq!(arrived_on, format!("{id}/{topic}"), "{content_type}");
        if output == "JSON" {
            assert_eq!(payload, br#"{"t":"AP8=","n":"x!"}"#);
        } else {
            assert_eq!(payload, b"\xa2\x61t\x42\x00\xff\x61n\x62x!");
        }
    }
}

#[test]
fn a_time_out_by_the_cloud_may_still_be_answered() {
    let mut bench = Bench::start("application/json", Hooks::default());
    let id = bench.begin(1);
    bench.message();
    bench.expect_event(&id, "CREATED");
    bench.report(&id, "/json", br#"{"status":"IN_PROGRESS"}"#);
    bench.message();
    bench.expect_event(&id, "IN_PROGRESS");
    let event = bench.expect_event(&id, "TIMED_OUT");
    assert_eq!(event["statusReason"]["reasonCode"], "$NO_RESPONSE_FROM_DEVICE");
    bench.report(&id, "/json", br#"{"status":"IN_PROGRESS"}"#);
    assert_eq!(bench.json_message().1["error"], "InvalidStateTransition");
    bench.report(&id, "/json", br#"{"status":"FAILED"}"#);
    assert_eq!(bench.message().0, format!("{id}/response/accepted/json"));
    assert_eq!(bench.expect_event(&id, "FAILED").get("statusReason"), None);
    let record = bench.handle().get_command_execution(&id, THING, false).unwrap();
    assert!(record.completed_at.is_some() && record.status_reason.is_none());
}

#[test]
fn clients_reach_each_other_but_not_the_reserved_topics() {
    let mut bench = Bench::start("application/json", Hooks::default());
    for topic in [
        "$aws/commands/things/t1/executions/e1/request/json",
        "$aws/commands/things/t1/executions/e1/response/accepted/json",
        "$aws/commands/things/t1/executions/e1/response/xml",
        "$aws/events/commandExecution/c1/SUCCEEDED",
        "$aws/things/t1/shadow/update",
    ] {
        bench.publish(topic, b"forged");
    }
    bench.publish("plain/1", b"hello");
    assert_eq!(bench.message(), ("plain/1".to_owned(), b"hello".to_vec()), "and nothing before it");
    assert_eq!(bench.handle().counters().publishes_refused, 5);
}

#[test]
fn a_hook_drops_requests_and_they_are_counted() {
    let mut n = 0;
    let every_second = move |_: &_| {
        n += 1;
        n % 2 == 0
    };
    let hooks = Hooks { on_request: Some(Box::new(every_second)), ..Hooks::default() };
    let mut bench = Bench::start("application/json", hooks);
    let ids = [(); 4].map(|()| bench.begin(60));
    let mut requested = Vec::new();
    let mut events = 0;
    while events < 4 {
        match bench.message() {
            (topic, _) if topic.ends_with("/CREATED") => events += 1,
            (topic, _) => requested.push(topic),
        }
    }
    assert_eq!(requested, [format!("{}/request/json", ids[1]), format!("{}/request/json", ids[3])]);
    assert_eq!(bench.handle().counters().requests_dropped, 2);
}
