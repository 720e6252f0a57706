//! The resolved scenario: every default filled in, spelled as a file would spell it.
//!
//! Goes into the result, and is itself a scenario that gives the same run.

mod loads;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Auth, Aws, Backoff, CallFaults, Command, Connect, Content, Credentials, Driver, Drops, Embedded,
    Endpoint, Faults, Group, Manners, OutcomeKind, Payload, PayloadFormat, PayloadTemplate, PlannedOutcome,
    PlannedResult, PublishFaults, Scenario, Select, Target, Threshold, TimelineAction, TimelineEvent,
    Transport, Values, Via, Workload, check, spelling,
};
use crate::protocol::{Item, OutputFormat, ParameterValue, TargetKind};

impl Scenario {
    /// Every default filled in, spelled as a file would spell it: itself a valid scenario.
    pub fn resolved(&self) -> Value {
        let mut all = Map::new();
        all.insert("version".to_owned(), json!(check::VERSION));
        all.insert("name".to_owned(), json!(self.name));
        all.insert("description".to_owned(), json!(self.description));
        all.insert("labels".to_owned(), json!(self.labels));
        if let Some(seed) = self.seed {
            all.insert("seed".to_owned(), json!(seed));
        }
        all.insert("repeat".to_owned(), json!(self.repeat));
        if let Some(limit) = self.max_lag {
            all.insert("validity".to_owned(), json!({ "max_lag": spelling::duration(limit) }));
        }
        all.insert("target".to_owned(), target(&self.target));
        all.insert("driver".to_owned(), driver(&self.driver));
        let groups = self.groups.iter().map(|group| (group.name.clone(), self::group(group)));
        all.insert("groups".to_owned(), groups.collect());
        let workloads =
            self.workloads.iter().map(|workload| (workload.name.clone(), self.workload(workload)));
        all.insert("workloads".to_owned(), workloads.collect());
        all.insert("timeline".to_owned(), self.timeline.iter().map(|event| self.event(event)).collect());
        all.insert("thresholds".to_owned(), self.thresholds.iter().map(threshold).collect());
        literal(Value::Object(all))
    }

    /// SHA-256, in hexadecimal, of the resolved scenario without its seed and number of repeats: two runs
    /// with the same hash differ in nothing but chance. The order of groups and workloads counts.
    pub fn hash(&self) -> String {
        let mut resolved = self.resolved();
        if let Some(all) = resolved.as_object_mut() {
            all.shift_remove("seed");
            all.shift_remove("repeat");
        }
        let mut digest = Sha256::new_with_prefix(resolved.to_string());
        for workload in &self.workloads {
            // Where the resolved scenario can but name a file, what is in it counts.
            if let Content::Payload(Payload { file: Some(_), bytes, .. }) = &workload.command.content {
                digest.update(bytes);
            }
        }
        digest.finalize().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
            hex
        })
    }

    fn event(&self, event: &TimelineEvent) -> Value {
        let mut all = Map::new();
        all.insert("at".to_owned(), json!(spelling::duration(event.at)));
        all.insert("do".to_owned(), json!(event.action.name()));
        if !event.action.is_of_backend() {
            let names = event.groups.iter().map(|index| self.groups[*index].name.as_str());
            all.insert("groups".to_owned(), names.collect());
            all.insert("share".to_owned(), json!(spelling::share(event.share)));
        }
        if !event.lasts.is_zero() {
            all.insert("for".to_owned(), json!(spelling::duration(event.lasts)));
        }
        if let TimelineAction::Slow { times } = event.action {
            all.insert("times".to_owned(), json!(times));
        }
        Value::Object(all)
    }

    fn workload(&self, workload: &Workload) -> Value {
        let names = workload.groups.iter().map(|index| self.groups[*index].name.as_str());
        let mut all = Map::new();
        all.insert("command".to_owned(), command(&workload.command));
        all.insert("groups".to_owned(), names.collect());
        if workload.load.selects() {
            let select = match workload.select {
                Select::Uniform => "uniform",
                Select::RoundRobin => "round_robin",
            };
            all.insert("select".to_owned(), json!(select));
        }
        all.insert("start_after".to_owned(), json!(spelling::duration(workload.start_after)));
        all.insert("load".to_owned(), loads::load(&workload.load));
        Value::Object(all)
    }
}

/// Keeps texts that hold a literal `${` from being taken for variables when they are read again.
fn literal(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(items) => items.into_iter().map(literal).collect(),
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, literal(value))).collect(),
        other => other,
    }
}

fn target(target: &Target) -> Value {
    match target {
        Target::Embedded(embedded) => self::embedded(embedded),
        Target::Endpoint(endpoint) => self::endpoint(endpoint),
        Target::Aws(aws) => self::aws(aws),
    }
}

fn aws(aws: &Aws) -> Value {
    let mut all = Map::new();
    all.insert("max_messages".to_owned(), json!(aws.max_messages));
    let optional = [("endpoint", &aws.endpoint), ("region", &aws.region), ("account", &aws.account)];
    for (key, value) in optional {
        if let Some(value) = value {
            all.insert(key.to_owned(), json!(value));
        }
    }
    json!({ "aws": all })
}

fn endpoint(endpoint: &Endpoint) -> Value {
    let mut all = Map::new();
    all.insert("mqtt".to_owned(), json!(format!("mqtt://{}", endpoint.mqtt)));
    all.insert("http".to_owned(), json!(format!("http://{}", endpoint.http)));
    if let Some(data) = &endpoint.http_data {
        all.insert("http_data".to_owned(), json!(format!("http://{data}")));
    }
    all.insert("region".to_owned(), json!(endpoint.region));
    all.insert("account".to_owned(), json!(endpoint.account));
    if endpoint.credentials.is_some() {
        // Results are passed around, and who signed makes no difference to what was asked of the target.
        let hidden = Credentials::HIDDEN;
        let said = json!({ "access_key_id": hidden, "secret_access_key": hidden });
        all.insert("credentials".to_owned(), said);
    }
    json!({ "endpoint": all })
}

fn embedded(embedded: &Embedded) -> Value {
    let mut all = Map::new();
    match embedded.transport {
        Transport::Tcp => {
            all.insert("transport".to_owned(), json!("tcp"));
            all.insert("mqtt".to_owned(), json!(embedded.mqtt));
        }
        Transport::Memory => {
            all.insert("transport".to_owned(), json!("memory"));
        }
    }
    all.insert("http".to_owned(), json!(embedded.http));
    if let Some(delay) = &embedded.link_delay {
        all.insert("link_delay".to_owned(), spelling::delay(delay));
    }
    all.insert("region".to_owned(), json!(embedded.region));
    all.insert("account".to_owned(), json!(embedded.account));
    if embedded.faults != Faults::default() {
        all.insert("faults".to_owned(), faults(&embedded.faults));
    }
    json!({ "embedded": all })
}

fn faults(faults: &Faults) -> Value {
    let mut all = Map::new();
    for (key, call) in [("start", &faults.start), ("get", &faults.get), ("create", &faults.create)] {
        if *call != CallFaults::default() {
            all.insert(key.to_owned(), call_faults(call));
        }
    }
    let PublishFaults { dropped, delayed } = &faults.publishes;
    let mut publishes = Map::new();
    if let Some(share) = dropped {
        publishes.insert("dropped".to_owned(), json!(spelling::share(*share)));
    }
    if let Some((share, by)) = delayed {
        let delayed = json!({ "share": spelling::share(*share), "by": spelling::delay(by) });
        publishes.insert("delayed".to_owned(), delayed);
    }
    if !publishes.is_empty() {
        all.insert("publishes".to_owned(), Value::Object(publishes));
    }
    Value::Object(all)
}

fn call_faults(faults: &CallFaults) -> Value {
    let mut all = Map::new();
    if let Some(latency) = &faults.latency {
        all.insert("latency".to_owned(), spelling::delay(latency));
    }
    if !faults.errors.is_empty() {
        let errors = faults
            .errors
            .iter()
            .map(|(kind, share)| (kind.name().to_owned(), json!(spelling::share(*share))));
        all.insert("errors".to_owned(), errors.collect());
    }
    if let Some(rate) = faults.rate {
        all.insert("rate".to_owned(), json!(spelling::rate(rate)));
    }
    Value::Object(all)
}

fn driver(driver: &Driver) -> Value {
    let via = match driver.via {
        Via::Http => "http",
        Via::Direct => "direct",
    };
    let timeout = spelling::duration(driver.timeout);
    json!({ "via": via, "connections": driver.connections, "timeout": timeout, "retries": driver.retries })
}

fn group(group: &Group) -> Value {
    let behavior = &group.behavior;
    let mut behaves = Map::new();
    if let Some(delay) = &behavior.accept_delay {
        behaves.insert("accept_delay".to_owned(), spelling::delay(delay));
    }
    behaves.insert("delay".to_owned(), spelling::delay(&behavior.delay));
    let outcomes =
        behavior.outcomes.iter().map(|outcome| (outcome.kind.name().to_owned(), self::outcome(outcome)));
    behaves.insert("outcomes".to_owned(), outcomes.collect());
    if !behavior.result.is_empty() {
        let spelled = |planned: &PlannedResult| match planned {
            PlannedResult::S(text) => json!({ "s": text.written() }),
            PlannedResult::B(flag) => json!({ "b": flag }),
            PlannedResult::Bin(text) => json!({ "bin": text.written() }),
        };
        let result = behavior.result.iter().map(|(name, planned)| (name.clone(), spelled(planned)));
        behaves.insert("result".to_owned(), result.collect());
    }
    behaves.insert("duplicates".to_owned(), json!(spelling::share(behavior.duplicates)));
    behaves.insert("out_of_order".to_owned(), json!(spelling::share(behavior.out_of_order)));
    behaves.insert("malformed".to_owned(), json!(spelling::share(behavior.malformed)));
    let Manners { wait_accepted, max_parallel, when_busy, slow_start } = behavior.manners;
    behaves.insert("wait_accepted".to_owned(), json!(wait_accepted));
    behaves.insert("max_parallel".to_owned(), json!(max_parallel));
    behaves.insert("when_busy".to_owned(), json!(when_busy.name()));
    if let Some(slow) = slow_start {
        let slow = json!({ "for": spelling::duration(slow.lasts), "times": slow.times });
        behaves.insert("slow_start".to_owned(), slow);
    }
    let mut all = Map::new();
    all.insert("count".to_owned(), json!(group.count));
    all.insert("client_id".to_owned(), json!(group.client_id.written()));
    all.insert("address".to_owned(), json!(group.address.arn_word()));
    if group.address == TargetKind::Thing {
        all.insert("thing_name".to_owned(), json!(group.target_name.written()));
    }
    all.insert("attributes".to_owned(), json!(group.attributes));
    all.insert("connect".to_owned(), connect(&group.connect));
    all.insert("behavior".to_owned(), Value::Object(behaves));
    Value::Object(all)
}

fn connect(connect: &Connect) -> Value {
    let rate = connect.rate.map_or_else(|| "max".to_owned(), spelling::rate);
    let mut all = Map::new();
    all.insert("rate".to_owned(), json!(rate));
    all.insert("mqtt".to_owned(), json!(connect.mqtt.name()));
    all.insert("clean_session".to_owned(), json!(connect.clean_session));
    all.insert("start_delay".to_owned(), spelling::delay(&connect.start_delay));
    all.insert("keep_alive".to_owned(), json!(spelling::duration(connect.keep_alive)));
    all.insert("backoff".to_owned(), backoff(&connect.backoff));
    if let Some(drops) = &connect.drops {
        all.insert("drops".to_owned(), self::drops(drops));
    }
    if let Some(auth) = &connect.auth {
        let mut said = Map::new();
        said.insert("username".to_owned(), json!(auth.username));
        if auth.password.is_some() {
            // The one value that cannot be read back: results are passed around.
            said.insert("password".to_owned(), json!(Auth::HIDDEN));
        }
        all.insert("auth".to_owned(), Value::Object(said));
    }
    Value::Object(all)
}

fn backoff(backoff: &Backoff) -> Value {
    let mut all = Map::new();
    all.insert("initial".to_owned(), json!(spelling::duration(backoff.initial)));
    all.insert("max".to_owned(), json!(spelling::duration(backoff.max)));
    all.insert("factor".to_owned(), json!(backoff.factor));
    all.insert("jitter".to_owned(), json!(backoff.jitter.name()));
    if let Some(attempts) = backoff.max_attempts {
        all.insert("max_attempts".to_owned(), json!(attempts));
    }
    Value::Object(all)
}

fn drops(drops: &Drops) -> Value {
    let mut all = Map::new();
    if let Some(every) = &drops.every {
        all.insert("every".to_owned(), spelling::delay(every));
    }
    all.insert("down_for".to_owned(), spelling::delay(&drops.down_for));
    all.insert("mid_command".to_owned(), json!(spelling::share(drops.mid_command)));
    Value::Object(all)
}

fn outcome(outcome: &PlannedOutcome) -> Value {
    let mut all = Map::new();
    all.insert("share".to_owned(), json!(spelling::share(outcome.share)));
    if let Some(code) = &outcome.reason_code {
        all.insert("reason_code".to_owned(), json!(code));
    }
    if let Some(reason) = &outcome.reason {
        all.insert("reason".to_owned(), json!(reason));
    }
    if let Some(delay) = &outcome.delay {
        let key = if outcome.kind == OutcomeKind::Late { "by" } else { "delay" };
        all.insert(key.to_owned(), spelling::delay(delay));
    }
    Value::Object(all)
}

fn command(command: &Command) -> Value {
    let mut all = Map::new();
    all.insert("name".to_owned(), json!(command.name));
    match &command.content {
        Content::Payload(Payload { file: Some(file), format, .. }) => {
            all.insert("payload_file".to_owned(), json!(file));
            all.insert("format".to_owned(), json!(format.name()));
        }
        Content::Payload(Payload { bytes, format, .. }) => {
            let text = match format {
                // It was JSON in the file.
                PayloadFormat::Cbor => Item::read(bytes).map(|item| item.to_string()).unwrap_or_default(),
                // It was text in the file, so this loses nothing.
                PayloadFormat::Json | PayloadFormat::Text => String::from_utf8_lossy(bytes).into_owned(),
            };
            all.insert("payload".to_owned(), json!(text));
            all.insert("format".to_owned(), json!(format.name()));
        }
        Content::Template(PayloadTemplate { text, output }) => {
            let format = match output {
                OutputFormat::Json => "json",
                OutputFormat::Cbor => "cbor",
            };
            all.insert("template".to_owned(), json!(text));
            all.insert("format".to_owned(), json!(format));
        }
        Content::Existing => {
            all.insert("existing".to_owned(), json!(true));
        }
    }
    if !command.parameters.is_empty() {
        let values = command.parameters.iter().map(|p| (p.name.clone(), self::values(&p.values)));
        all.insert("parameters".to_owned(), values.collect());
    }
    all.insert("timeout".to_owned(), json!(spelling::duration(command.timeout)));
    Value::Object(all)
}

fn values(values: &Values) -> Value {
    let one = |value: &ParameterValue| match value {
        ParameterValue::S(text) | ParameterValue::Ul(text) => json!(text),
        ParameterValue::B(value) => json!(value),
        ParameterValue::I(value) => json!(value),
        ParameterValue::L(value) => json!(value),
        ParameterValue::D(value) => json!(value),
        // No scenario spells bytes.
        ParameterValue::Bin(_) => Value::Null,
    };
    match values {
        Values::One(value) => one(value),
        Values::Each(values) => json!({ "each": values.iter().map(one).collect::<Vec<_>>() }),
        Values::Whole(from, to) => json!({ "range": [from, to] }),
        Values::Decimal(from, to) => json!({ "range": [from, to] }),
    }
}

fn threshold(threshold: &Threshold) -> Value {
    json!({
        "expect": threshold.text,
        "abort": threshold.abort,
        "after": spelling::duration(threshold.after),
        "info": threshold.info,
    })
}
