//! A scenario file as it is written: what may stand where. The one source of the keys that `decode`
//! accepts and of the JSON Schema that editors read, for which the comments are the hover texts.
//!
//! What the values must be to make sense together is checked in `check`.

mod delay;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::decode::{At, hook};
use super::written::{
    Account, Address as ListenAddress, AttributeName, CommandName, CountOrShare, HttpUrl, LabelName, Line,
    MqttName, MqttUrl, Name, ParameterName, RateOrMax, Reason, ReasonCode, Region, ResultName, ScenarioName,
    Text, Written,
};
use crate::units::{Rate, Share};

pub use delay::{Delay, Distribution, Empirical, LogNormal, MixPart, Pareto, Unit};

/// A scenario: devices, the commands sent to them, and what must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// File format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: At<u64>,
    /// The label of the run in every output.
    pub name: At<Text<ScenarioName>>,
    /// For people.
    pub description: Option<At<String>>,
    /// Labels of the run, for the result and for metrics.
    pub labels: Option<At<Named<LabelName, Text<Line>>>>,
    /// Every draw of chance derives from it. Random, and printed, if it is not given.
    pub seed: Option<At<u64>>,
    /// How often the same run is done, to see how much its figures vary. Default 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub repeat: Option<At<u64>>,
    /// When the run is VOID because the load generator fell behind.
    pub validity: Option<At<Validity>>,
    /// What is tested; the embedded backend if it is not given.
    pub target: Option<At<Target>>,
    /// How executions are started.
    pub driver: Option<At<Driver>>,
    /// Groups of virtual devices, by name.
    pub groups: At<Named<Name, Group>>,
    /// Commands and the load that starts them, by name. All run side by side.
    pub workloads: At<Named<Name, Workload>>,
    /// What happens at instants of the load: storms, silences, outages.
    pub timeline: Option<At<Vec<At<TimelineEvent>>>>,
    /// What must hold for the run to pass.
    pub thresholds: Option<At<Vec<At<Threshold>>>>,
}

/// When a run is VOID.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// Limit of the p99 of `schedule_lag` and `device_lag`, instead of the built-in one.
    pub max_lag: Option<At<Text<Duration>>>,
}

/// What is tested.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
pub enum Target {
    /// The backend inside this program.
    Embedded(Embedded),
    /// Any compatible backend that runs somewhere else: a broker and a Commands API.
    Endpoint(Endpoint),
}

/// Any compatible backend that runs somewhere else: a broker and a Commands API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The broker, e.g. mqtt://127.0.0.1:1883.
    pub mqtt: At<Text<MqttUrl>>,
    /// The Commands API, e.g. http://127.0.0.1:8080.
    pub http: At<Text<HttpUrl>>,
    /// Where executions are started, if that is another server, as it is at AWS. Default the same as http.
    pub http_data: Option<At<Text<HttpUrl>>>,
    /// ARNs are made from it; must be the backend's. Default us-east-1.
    pub region: Option<At<Text<Region>>>,
    /// ARNs are made from it; must be the backend's; twelve digits, quoted. Default "123456789012".
    pub account: Option<At<Text<Account>>>,
}

/// The backend inside this program.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// Address of the MQTT listener; port 0 takes a free port. Default 127.0.0.1:0. With transport memory
    /// there is none.
    pub mqtt: Option<At<Text<ListenAddress>>>,
    /// Address of the HTTP listener; port 0 takes a free port. Default 127.0.0.1:0.
    pub http: Option<At<Text<ListenAddress>>>,
    /// What carries MQTT: tcp through sockets, memory through pipes within the program (no descriptors,
    /// no kernel; for very many devices). Default tcp.
    pub transport: Option<At<Transport>>,
    /// How long every MQTT packet is under way between a device and the backend: one way, each direction
    /// for itself, in order. Default 0s.
    pub link_delay: Option<At<Delay>>,
    /// ARNs are made from it. Default us-east-1.
    pub region: Option<At<Text<Region>>>,
    /// ARNs are made from it; twelve digits, quoted. Default "123456789012".
    pub account: Option<At<Text<Account>>>,
    /// What it does wrong by plan. Default nothing.
    pub faults: Option<At<Faults>>,
}

/// What the embedded backend does wrong by plan. Each injected fault is counted, and what comes of it is
/// explained.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// StartCommandExecution.
    pub start: Option<At<CallFaults>>,
    /// GetCommand and GetCommandExecution over HTTP.
    pub get: Option<At<CallFaults>>,
    /// CreateCommand.
    pub create: Option<At<CallFaults>>,
    /// The requests that devices get.
    pub publishes: Option<At<PublishFaults>>,
}

/// Faults of one operation of the API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallFaults {
    /// Passes before a call is performed or refused; one that is throttled is refused at once. Default 0s.
    pub latency: Option<At<Delay>>,
    /// Shares of the calls that are answered with an error, by its name.
    pub errors: Option<At<CallErrors>>,
    /// More calls than this, and a burst of one second's worth, are answered with ThrottlingException.
    pub rate: Option<At<Text<Rate>>>,
}

/// Shares of the calls that are answered with an error, in total at most 100%.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallErrors {
    /// Too many calls: 429 for starts, 400 for the others.
    #[serde(rename = "ThrottlingException")]
    pub throttling: Option<At<Text<Share>>>,
    /// The service failed: 500.
    #[serde(rename = "InternalServerException")]
    pub internal_server: Option<At<Text<Share>>>,
    /// The request is not valid: 400.
    #[serde(rename = "ValidationException")]
    pub validation: Option<At<Text<Share>>>,
    /// There is no such thing, command or execution: 404.
    #[serde(rename = "ResourceNotFoundException")]
    pub resource_not_found: Option<At<Text<Share>>>,
    /// There is one already: 409.
    #[serde(rename = "ConflictException")]
    pub conflict: Option<At<Text<Share>>>,
    /// A quota is used up: 402.
    #[serde(rename = "ServiceQuotaExceededException")]
    pub service_quota_exceeded: Option<At<Text<Share>>>,
}

/// Faults of the requests that devices get, in total at most 100%.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishFaults {
    /// How many of them are never published. Default 0%.
    pub dropped: Option<At<Text<Share>>>,
    /// Some are published late. Default none.
    pub delayed: Option<At<DelayedPublishes>>,
}

/// Requests that are published late.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayedPublishes {
    /// How many of the requests.
    pub share: At<Text<Share>>,
    /// By how much. One that would go out after its time-out never does.
    pub by: At<Delay>,
}

/// What carries MQTT between the devices and the embedded backend.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Sockets.
    Tcp,
    /// Pipes within the program.
    Memory,
}

/// How executions are started.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Driver {
    /// http through the Commands API as an SDK does, direct by calls on the embedded backend within the
    /// program. Default http.
    pub via: Option<At<Via>>,
    /// Connections to the Commands API, dealt out over the generator threads. Default 64. With via direct
    /// there are none.
    #[schemars(range(min = 1, max = 1024))]
    pub connections: Option<At<u64>>,
    /// How long a start may wait for a connection, and then for its answer. Default 10s.
    pub timeout: Option<At<Text<Duration>>>,
    /// How often a start is sent again that the service refused because it is busy or has failed
    /// (throttling, 5xx), after a growing wait and under the same token. Default 0.
    #[schemars(range(min = 0, max = 100))]
    pub retries: Option<At<u64>>,
}

/// The way of a start to the backend.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Through the Commands API.
    Http,
    /// By calls within the program.
    Direct,
}

/// Devices that share a behaviour.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Number of devices. Default 1.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub count: Option<At<u64>>,
    /// How client ids are made, of {group}, {index} and {seed}. Default {group}-{index:05}.
    pub client_id: Option<At<String>>,
    /// Whether commands go to the devices as things or as clients: which ARNs and topics. Default thing.
    pub address: Option<At<Address>>,
    /// How thing names are made, as client ids are. Default the client id.
    pub thing_name: Option<At<String>>,
    /// Labels of the devices, for the result. Default none.
    pub attributes: Option<At<Named<AttributeName, Text<Line>>>>,
    /// How the devices connect.
    pub connect: Option<At<Connect>>,
    /// How the devices treat commands.
    pub behavior: At<Behavior>,
}

/// As what commands go to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// As a thing, by its name: arn:…:thing/NAME and $aws/commands/things/NAME/….
    Thing,
    /// As an MQTT client, by its client id: arn:…:client/ID and $aws/commands/clients/ID/….
    Client,
}

/// How devices connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// Connects per second, or max for as fast as the target answers. Default max.
    pub rate: Option<At<Text<RateOrMax>>>,
    /// Which MQTT the devices speak, quoted: "3.1.1" or "5". Default "3.1.1".
    pub mqtt: Option<At<Text<MqttName>>>,
    /// Whether every connection begins anew. With false the broker keeps the subscriptions and holds
    /// requests back while a device is away. Default true.
    pub clean_session: Option<At<bool>>,
    /// Wait of each device before its first connect, as when not all are switched on at once.
    /// Default 0s.
    pub start_delay: Option<At<Delay>>,
    /// MQTT keep-alive, whole seconds. Default 60s.
    pub keep_alive: Option<At<Text<Duration>>>,
    /// Waits before attempts to reconnect.
    pub backoff: Option<At<Backoff>>,
    /// Connections that break by plan, without a word to the broker. Default none.
    pub drops: Option<At<Drops>>,
    /// MQTT credentials that every device sends in CONNECT. Default none.
    pub auth: Option<At<Auth>>,
}

/// MQTT credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The user name.
    pub username: At<String>,
    /// The password; better from outside: ${PASSWORD}. No output holds it.
    pub password: Option<At<String>>,
}

/// Waits before attempts to reconnect: initial × factor each time, at most max.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The first wait. Default 1s.
    pub initial: Option<At<Text<Duration>>>,
    /// The longest wait. Default 60s.
    pub max: Option<At<Text<Duration>>>,
    /// By which waits grow. Default 2.
    #[schemars(range(min = 1, max = 1_000))]
    pub factor: Option<At<f64>>,
    /// How much of a wait is chance: none, equal (half of it), full (all of it). Default full.
    pub jitter: Option<At<Jitter>>,
    /// Attempts that may fail one after the other before a device gives up for good. Without it a
    /// device never gives up.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_attempts: Option<At<u64>>,
}

/// How much of a wait is chance.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Nothing: devices that lost their connection together come back together.
    None,
    /// Half of it: from half the wait to all of it.
    Equal,
    /// All of it: from nothing to the whole wait.
    Full,
}

/// Connections that break by plan, without a word to the broker. every, mid_command or both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drops {
    /// How long a connection lasts, drawn for each. Without it none breaks by the clock.
    pub every: Option<At<Delay>>,
    /// From a drop to the next attempt to connect. Default 0s.
    pub down_for: Option<At<Delay>>,
    /// How many executions see their device drop between IN_PROGRESS (or the request, without
    /// accept_delay) and the answer. Default 0%.
    pub mid_command: Option<At<Text<Share>>>,
}

/// How devices treat commands.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Behavior {
    /// From the request to IN_PROGRESS. Without it no IN_PROGRESS is sent.
    pub accept_delay: Option<At<Delay>>,
    /// From the request (with accept_delay: from the reply to IN_PROGRESS) to the final answer.
    pub delay: At<Delay>,
    /// How executions end; the rest succeeds.
    pub outcomes: Option<At<Outcomes>>,
    /// What is reported with the final answer, by name: a text s, a truth value b or bytes bin. Texts and
    /// bytes are made of {group}, {index} and {seed}. Default nothing.
    pub result: Option<At<Named<ResultName, ResultValue>>>,
    /// How many executions get their final answer twice in a row. Default 0%.
    pub duplicates: Option<At<Text<Share>>>,
    /// How many executions get an IN_PROGRESS after their final answer, as firmware with a muddled queue
    /// sends it; the backend must refuse it. Default 0%.
    pub out_of_order: Option<At<Text<Share>>>,
    /// How many executions get an update before their final answer that is broken JSON or no update;
    /// the backend must refuse it. Default 0%.
    pub malformed: Option<At<Text<Share>>>,
    /// Whether the delay runs from the reply to IN_PROGRESS. With false it runs from its sending, as with
    /// careless firmware. Default true.
    pub wait_accepted: Option<At<bool>>,
    /// Executions that a device works on at the same time. Default 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_parallel: Option<At<u64>>,
    /// What a device does with a request that is one too many: queue it, reject it at once (reason
    /// DEVICE_BUSY), or ignore it. Default queue.
    pub when_busy: Option<At<WhenBusy>>,
    /// Longer delays after each connect. Default none.
    pub slow_start: Option<At<SlowStart>>,
}

/// What a device does with a request while it works on as many as it can.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenBusy {
    /// The request waits for its turn.
    Queue,
    /// It is REJECTED at once, with the reason DEVICE_BUSY.
    Reject,
    /// It is never answered.
    Ignore,
}

/// Longer delays after each connect, which fade in a straight line to what they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowStart {
    /// How long after the connect they are longer.
    #[serde(rename = "for")]
    pub lasts: At<Text<Duration>>,
    /// How many times as long they are at the connect.
    #[schemars(range(min = 1, max = 1_000))]
    pub times: At<f64>,
}

/// One value of a result.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResultValue {
    /// A text, e.g. "{group}-{index}".
    S(String),
    /// A truth value.
    B(bool),
    /// Bytes: those of the text.
    Bin(String),
}

/// How executions end: a share each, in total at most 100%. The rest succeeds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// The device reports SUCCEEDED. If given, all shares must add up to 100%.
    pub succeeded: Option<At<Outcome>>,
    /// The device reports FAILED.
    pub failed: Option<At<Outcome>>,
    /// The device reports REJECTED, without IN_PROGRESS before it.
    pub rejected: Option<At<Outcome>>,
    /// The device itself reports TIMED_OUT, which ends the execution for good.
    pub timed_out: Option<At<Outcome>>,
    /// The device says nothing at all; the cloud's timer ends the execution.
    pub no_answer: Option<At<Outcome>>,
    /// The device reports SUCCEEDED after the cloud's time-out, and is busy until then.
    pub late: Option<At<LateOutcome>>,
}

/// A share of the executions that are answered after their time-out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LateOutcome {
    /// How many of the executions, e.g. 2.5%.
    pub share: At<Text<Share>>,
    /// From the time-out to the answer.
    pub by: At<Delay>,
    /// statusReason.reasonCode, e.g. RADIO_SLEPT.
    pub reason_code: Option<At<Text<ReasonCode>>>,
    /// statusReason.reasonDescription.
    pub reason: Option<At<Text<Reason>>>,
}

/// A share of the executions, and what is special about them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeDetails {
    /// How many of the executions, e.g. 2.5%.
    pub share: At<Text<Share>>,
    /// statusReason.reasonCode, e.g. BATTERY_LOW.
    pub reason_code: Option<At<Text<ReasonCode>>>,
    /// statusReason.reasonDescription.
    pub reason: Option<At<Text<Reason>>>,
    /// Their own delay instead of the behavior's.
    pub delay: Option<At<Delay>>,
}

/// A share, or a map with details.
#[derive(Debug)]
pub enum Outcome {
    /// Only how many.
    Share(Share),
    /// How many, and what is special about them.
    Details(OutcomeDetails),
}

/// One command and the load that starts it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What is sent.
    pub command: At<Command>,
    /// Groups it goes to. Default all.
    pub groups: Option<At<Vec<At<Text<Name>>>>>,
    /// Which device an arrival goes to. Default uniform.
    pub select: Option<At<Select>>,
    /// Wait after every device has been subscribed once. Default 0s.
    pub start_after: Option<At<Text<Duration>>>,
    /// When executions start.
    pub load: At<Load>,
}

/// A command and the time-out of its executions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The command id.
    pub name: At<Text<CommandName>>,
    /// What devices get: a map, or text. Default {}.
    pub payload: Option<At<Tree>>,
    /// Instead of payload: a file that holds it, by its path from the scenario file. With format cbor the
    /// file holds CBOR, or JSON if its name ends in .json.
    pub payload_file: Option<At<String>>,
    /// Instead of payload: what devices get differs by execution. JSON (as a map, or text) in which
    /// ${aws:iot:commandexecution::parameter:NAME} stands for the value of a parameter and
    /// ${aws:iot:commandexecution::executionTimeoutSec} for the time-out.
    pub template: Option<At<Tree>>,
    /// The values of the template's parameters, by name: a value, { each: [a, b] } one after the other, or
    /// { range: [from, to] } by chance.
    pub parameters: Option<At<Named<ParameterName, Parameter>>>,
    /// What the payload is: json (application/json), cbor (application/cbor, written as JSON) or text
    /// (text/plain). Default json.
    pub format: Option<At<Format>>,
    /// The command is at the target already and is not created: true, or its ARN. Default false.
    pub existing: Option<At<Existing>>,
    /// When the cloud gives up an execution: whole seconds, 1s to 12h. Default 10s.
    pub timeout: Option<At<Text<Duration>>>,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// application/json
    Json,
    /// application/cbor
    Cbor,
    /// text/plain
    Text,
}

/// A text, or any map or list.
#[derive(Debug)]
pub enum Tree {
    /// As it stands there.
    Text(String),
    /// A map or list as JSON.
    Json(String),
}

/// Whether a command is there already.
#[derive(Debug)]
pub enum Existing {
    /// By its name.
    Flag(bool),
    /// By its ARN.
    Arn(String),
}

/// A truth value, a number or a text.
#[derive(Debug)]
pub enum Scalar {
    /// `true`
    Flag(bool),
    /// `7`
    Whole(i64),
    /// `1.5`
    Decimal(f64),
    /// `eco`
    Text(String),
}

/// The values of a parameter.
#[derive(Debug)]
pub enum Parameter {
    /// Always the same.
    One(Scalar),
    /// A different one for each execution.
    Chosen(Choice),
}

/// How the values of a parameter are chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Choice {
    /// One after the other, execution by execution.
    Each(Vec<At<Scalar>>),
    /// From the first number to the second, both included, by chance.
    Range(Vec<At<Scalar>>),
}

/// Which device an arrival goes to.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// Each device is equally likely.
    Uniform,
    /// Devices in order.
    RoundRobin,
}

/// When executions start.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Load {
    /// Open loop: the arrivals come whatever the target does.
    ArrivalRate(ArrivalRate),
    /// A burst: each chosen device exactly once.
    Once(Once),
    /// A closed loop: so many executions in flight; the next one starts when one has ended.
    Concurrency(Concurrency),
    /// One execution for each device, at a rate that grows or in batches with gates between them.
    Rollout(Rollout),
    /// A search for the highest rate that passes.
    Capacity(Capacity),
}

/// A search for the highest rate that passes: the rate is multiplied until a condition breaks, then the
/// limit is closed in on. The only workload of its scenario.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// The first rate.
    pub from: At<Text<Rate>>,
    /// The last rate. The devices must be able to follow it: at most half of their time may be planned.
    pub to: At<Text<Rate>>,
    /// By which a rate that passed is multiplied. Default 2.
    pub step: Option<At<f64>>,
    /// How long each rate is held and measured. Default 20s: with settle long enough to see through a burst
    /// of one second.
    pub hold: Option<At<Text<Duration>>>,
    /// How long a rate runs before it is measured. Default 5s.
    pub settle: Option<At<Text<Duration>>>,
    /// So close the highest rate that passes and the lowest that does not have to be. Default 5%.
    pub precision: Option<At<Text<Share>>>,
    /// How arrivals are spread: poisson as independent users come, even at equal gaps. Default poisson.
    pub spacing: Option<At<Spacing>>,
    /// What has to hold at each rate, spelled as the thresholds of a run.
    pub pass: At<Vec<At<String>>>,
}

/// A burst: each chosen device exactly once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// How many of the workload's devices; which ones, and in which order, is drawn. Default 100%.
    pub devices: Option<At<Text<Share>>>,
    /// The starts are spread evenly over this. Default 0s: all at one instant.
    pub within: Option<At<Text<Duration>>>,
}

/// Open loop: the arrivals come whatever the target does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArrivalRate {
    /// How arrivals are spread: poisson as independent users come, even at equal gaps. Default
    /// poisson.
    pub spacing: Option<At<Spacing>>,
    /// One after the other.
    pub stages: At<Vec<At<Stage>>>,
}

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// As independent users come.
    Poisson,
    /// At equal gaps.
    Even,
}

/// A stretch of the load.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// For events and reports.
    pub name: Option<At<Text<Line>>>,
    /// Rate at its begin. Default where the last stage ended; the first needs one.
    pub rate: Option<At<Text<Rate>>>,
    /// Rate at its end, reached in a straight line. Default the rate at its begin.
    pub ramp_to: Option<At<Text<Rate>>>,
    /// How long it lasts.
    pub duration: At<Text<Duration>>,
    /// Outside thresholds, latency and validity. Default false.
    pub warm_up: Option<At<bool>>,
}

/// A closed loop: so many executions in flight; the next one starts when one has ended.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// One after the other.
    pub stages: At<Vec<At<Level>>>,
    /// From the end of an execution to the next start in its place. Default none.
    pub think_time: Option<At<Delay>>,
}

/// A stretch of a closed loop.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Executions in flight at its begin. Default where the last stage ended; the first needs it, or
    /// begins at 0 with a ramp.
    pub in_flight: Option<At<u64>>,
    /// Executions in flight at its end, reached in a straight line. Default as at its begin.
    pub ramp_to: Option<At<u64>>,
    /// How long it lasts.
    pub duration: At<Text<Duration>>,
}

/// One execution for each device, at a rate that grows or in batches with gates between them. The words
/// are those of AWS IoT Jobs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Devices told per second, minute or hour at first; with batches throughout.
    pub base_rate: At<Text<Rate>>,
    /// The rate grows no further. Default 1000/min, as in AWS IoT Jobs, or base_rate if that is more.
    pub max_rate: Option<At<Text<Rate>>>,
    /// What the rate is multiplied by at each increase, 1.1 to 5. Default 2.
    pub increment_factor: Option<At<f64>>,
    /// When the rate grows. Default never.
    pub increase_after: Option<At<IncreaseAfter>>,
    /// Batches with gates between them, instead of a rate that grows.
    pub batches: Option<At<Vec<At<Batch>>>>,
    /// What stops the rollout, and with it the load.
    pub abort_when: Option<At<Vec<At<AbortWhen>>>>,
    /// How often a device is tried again. Default never.
    pub retry: Option<At<Retry>>,
    /// The rollout ends after this, whatever is left. Default never.
    pub give_up_after: Option<At<Text<Duration>>>,
}

/// What makes the rate of a rollout grow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum IncreaseAfter {
    /// Each time that so many more devices were told.
    Notified(u64),
    /// Each time that so many more devices succeeded.
    Succeeded(u64),
}

/// A batch and the gate behind it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// For events and reports.
    pub name: At<Text<Line>>,
    /// How many devices, as a number or a share of all. Only the last batch may leave it out: it then
    /// takes all that are left.
    pub devices: Option<At<CountOrShare>>,
    /// The next batch waits until this share of its devices has succeeded. Default 50%.
    pub success_threshold: Option<At<Text<Share>>>,
    /// The rollout stops when more of its devices than this are through without success. Default never.
    pub error_threshold: Option<At<Text<Share>>>,
    /// From the gate to the next batch. Default 0s.
    pub soak: Option<At<Text<Duration>>>,
}

/// A rule that stops a rollout.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortWhen {
    /// Which executions are counted.
    pub status: At<AbortStatus>,
    /// The most they may be of all executions that have ended, retries included.
    pub over: At<Text<Share>>,
    /// Not judged before so many have ended.
    pub min_executed: At<u64>,
}

/// Executions that can stop a rollout.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbortStatus {
    /// Ended FAILED.
    Failed,
    /// Ended REJECTED.
    Rejected,
    /// Timed out, by the device or by the cloud.
    TimedOut,
    /// All of these.
    All,
}

/// How often a device is tried again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// After FAILED, 0 to 10 times. Default 0.
    pub failed: Option<At<u64>>,
    /// After a time-out, 0 to 10 times. Default 0.
    pub timed_out: Option<At<u64>>,
}

/// Something that happens at an instant of the load.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimelineEvent {
    /// When, counted from the start of the load.
    pub at: At<Text<Duration>>,
    /// What happens: disconnect (devices lose their connections), silence (devices hold requests and answer
    /// nothing until it is over), slow (delays grow), backend_stall (the embedded backend does nothing),
    /// backend_restart (the embedded backend ends all connections and refuses new ones).
    #[serde(rename = "do")]
    pub action: At<TimelineAction>,
    /// Groups whose devices it happens to. Default all.
    pub groups: Option<At<Vec<At<Text<Name>>>>>,
    /// How many of their devices, drawn for each event. Default 100%.
    pub share: Option<At<Text<Share>>>,
    /// How long it lasts. Only a disconnect may do without: devices then come back by their back-off at once.
    #[serde(rename = "for")]
    pub lasts: Option<At<Text<Duration>>>,
    /// Of slow: by which the delays of what is begun meanwhile grow, 1 to 1000.
    #[schemars(range(min = 1, max = 1_000))]
    pub times: Option<At<f64>>,
}

/// What happens at an instant of the load.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimelineAction {
    /// Connections break without a word; devices come back by their back-off once it is over.
    Disconnect,
    /// Devices hold requests and answer nothing; afterwards they answer what they hold.
    Silence,
    /// The delays of requests that come meanwhile grow.
    Slow,
    /// The embedded backend reads, sends and times out nothing; connections stay.
    BackendStall,
    /// The embedded backend ends every connection and refuses new ones; it keeps its executions.
    BackendRestart,
}

/// Something that must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The condition, e.g. p99(latency{group=sensors}) < 1s or rate(succeeded) >= 99%.
    pub expect: At<String>,
    /// Stop the run when it fails. Default false.
    pub abort: Option<At<bool>>,
    /// Not judged before this much of the load. Default 0s.
    pub after: Option<At<Text<Duration>>>,
    /// Only report, never fail. Default false.
    pub info: Option<At<bool>>,
}

/// A map whose keys are names that the user chose, in the order of the file.
#[derive(Debug)]
pub struct Named<K, T>(pub Vec<(At<Text<K>>, At<T>)>);

impl<'de, K: Written, T: Deserialize<'de>> Deserialize<'de> for Named<K, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor<K, T>(PhantomData<(K, T)>);

        impl<'de, K: Written, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<K, T> {
            type Value = Named<K, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<K, T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Named(entries))
            }
        }

        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OutcomeVisitor;

        impl<'de> Visitor<'de> for OutcomeVisitor {
            type Value = Outcome;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Share::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Outcome, E> {
                Share::read(text).map(Outcome::Share).map_err(E::custom)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, map: D) -> Result<Outcome, D::Error> {
                OutcomeDetails::deserialize(map).map(Outcome::Details)
            }
        }

        deserializer.deserialize_newtype_struct(hook::SCALAR_OR_MAP, OutcomeVisitor)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TreeVisitor;

        impl Visitor<'_> for TreeVisitor {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map, a list or text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Text(text.to_owned()))
            }

            fn visit_byte_buf<E: de::Error>(self, json: Vec<u8>) -> Result<Tree, E> {
                String::from_utf8(json).map(Tree::Json).map_err(E::custom)
            }
        }

        deserializer.deserialize_newtype_struct(hook::TREE, TreeVisitor)
    }
}

impl<'de> Deserialize<'de> for Existing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExistingVisitor;

        impl Visitor<'_> for ExistingVisitor {
            type Value = Existing;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or the ARN of a command")
            }

            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Existing, E> {
                Ok(Existing::Flag(flag))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Existing, E> {
                Ok(Existing::Arn(text.to_owned()))
            }
        }

        deserializer.deserialize_newtype_struct(hook::VALUE, ExistingVisitor)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(hook::VALUE, ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true, false or text")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Decimal(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParameterVisitor;

        impl<'de> Visitor<'de> for ParameterVisitor {
            type Value = Parameter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, true, false, text, { each: [a, b] } or { range: [from, to] }")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Parameter, E> {
                ScalarVisitor.visit_bool(value).map(Parameter::One)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Parameter, E> {
                ScalarVisitor.visit_i64(value).map(Parameter::One)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Parameter, E> {
                ScalarVisitor.visit_f64(value).map(Parameter::One)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Parameter, E> {
                ScalarVisitor.visit_str(text).map(Parameter::One)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, map: D) -> Result<Parameter, D::Error> {
                Choice::deserialize(map).map(Parameter::Chosen)
            }
        }

        deserializer.deserialize_newtype_struct(hook::VALUE_OR_MAP, ParameterVisitor)
    }
}
