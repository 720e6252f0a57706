//! Scenario files: YAML text → validated [`Scenario`], with errors that point.
//!
//! A text goes through three hands: `document` makes it a tree whose nodes know their places (and
//! `overrides` changes in it what flags say),
//! `decode` makes that the types of `raw` and finds what is misspelt, missing or of the wrong kind,
//! `check` makes those a [`Scenario`] and finds what does not fit together. All of them note what
//! they find and go on, so one look shows every mistake. What is not built yet is refused by name
//! (`not_yet`), never ignored.

mod check;
mod client_id;
mod command;
mod connect;
mod credentials;
mod decode;
mod document;
mod expression;
mod faults;
mod files;
mod homes;
mod load;
mod loads;
mod manners;
mod measured;
mod not_yet;
mod overrides;
mod problems;
mod raw;
mod resolved;
mod schema;
mod source;
mod spelling;
mod target;
mod text_template;
mod threshold;
mod timeline;
mod variables;
mod warnings;
mod written;
mod yaml_text;

use std::net::SocketAddr;
use std::time::Duration;

use indexmap::IndexMap;

use crate::dist::Delay;
use crate::protocol::TargetKind;
use crate::stats::{Class, Finding, Shape, Span};
use crate::units::Share;

pub use client_id::ClientIdTemplate;
pub use command::{Command, Content, Parameter, Payload, PayloadFormat, PayloadTemplate, Values};
pub use connect::{Auth, Backoff, Connect, Drops, Jitter, MqttVersion};
pub use credentials::Credentials;
pub use faults::{CallFaults, Faults, PublishFaults};
pub use files::{FileError, Files, Folder};
pub use load::{LoadError, load, load_with, parse, parse_in, parse_with};
pub use loads::{
    AbortStatus, AbortWhen, ArrivalRate, Batch, BatchSize, Capacity, Concurrency, Growth, IncreaseAfter,
    Level, Load, Once, Retry, Rollout, Spacing, Stage,
};
pub use manners::{Manners, SlowStart, WhenBusy};
pub use overrides::{Change, Overrides};
pub use problems::{Problem, Problems};
pub use schema::schema;
pub use target::{Aws, DEFAULT_ACCOUNT, DEFAULT_REGION, Endpoint, Server, Target, TargetFlag};
pub use text_template::TextTemplate;
pub use timeline::{TimelineAction, TimelineEvent};
pub use variables::{Variables, variables_in};
pub use warnings::warnings;
pub use yaml_text::yaml_text;

/// A scenario that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// `[a-z0-9-]{1,64}`: the label in every output.
    pub name: String,
    /// For people.
    pub description: String,
    /// Go to the result.
    pub labels: IndexMap<String, String>,
    /// Every draw derives from it; absent: random and printed.
    pub seed: Option<u64>,
    /// How often the same run is done, 1 to 1,000.
    pub repeat: u32,
    /// `validity.max_lag`: another limit for the lags that make a run VOID.
    pub max_lag: Option<Duration>,
    /// What is tested.
    pub target: Target,
    /// How executions are started.
    pub driver: Driver,
    /// Groups in the order of the file.
    pub groups: Vec<Group>,
    /// Workloads in the order of the file.
    pub workloads: Vec<Workload>,
    /// What happens at instants of the load, in the order of the file.
    pub timeline: Vec<TimelineEvent>,
    /// Thresholds in the order of the file.
    pub thresholds: Vec<Threshold>,
}

/// The embedded backend's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// What carries MQTT.
    pub transport: Transport,
    /// MQTT listener over TCP; port 0 takes a free port.
    pub mqtt: SocketAddr,
    /// HTTP listener; port 0 takes a free port.
    pub http: SocketAddr,
    /// How long a packet is under way between a device and MQTT, one way; `None` = no time is added.
    pub link_delay: Option<Delay>,
    /// ARNs are made from it.
    pub region: String,
    /// ARNs are made from it; twelve digits.
    pub account: String,
    /// What it does wrong by plan.
    pub faults: Faults,
}

/// What carries MQTT between devices and backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Sockets.
    Tcp,
    /// Pipes within the process.
    Memory,
}

/// How executions are started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Driver {
    /// The way to the backend.
    pub via: Via,
    /// Connections over all shards, 1 to 1,024; none with [`Via::Direct`].
    pub connections: u16,
    /// How long a start may wait for a connection, and then for its answer; 1 ms to 1 h.
    pub timeout: Duration,
    /// How often a start is sent again that was refused for a while; 0 to 100.
    pub retries: u32,
}

/// The way of a start to the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The Commands API over HTTP.
    Http,
    /// Calls on the embedded backend.
    Direct,
}

impl Default for Driver {
    /// As many connections as AWS's SDKs keep in a large pool.
    fn default() -> Self {
        Self { via: Via::Http, connections: 64, timeout: Duration::from_secs(10), retries: 0 }
    }
}

/// Devices that share a behaviour.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its key in the file.
    pub name: String,
    /// Number of devices, 1 to 10⁷.
    pub count: u32,
    /// How client ids are made.
    pub client_id: ClientIdTemplate,
    /// Whether executions go to its devices as things or as clients.
    pub address: TargetKind,
    /// How the names are made that executions go to: of things their own or the client id, of clients the
    /// client id.
    pub target_name: ClientIdTemplate,
    /// Labels of its devices, in the order of the file.
    pub attributes: IndexMap<String, String>,
    /// How its devices connect.
    pub connect: Connect,
    /// How its devices treat executions.
    pub behavior: Behavior,
}

/// How devices treat executions.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavior {
    /// Request held → IN_PROGRESS; `None` = no IN_PROGRESS.
    pub accept_delay: Option<Delay>,
    /// Request held (with `accept_delay`: IN_PROGRESS reply) → final answer.
    pub delay: Delay,
    /// Shares of the ends other than success, in the order of the file; the rest succeeds.
    pub outcomes: Vec<PlannedOutcome>,
    /// What is reported with the final answer, by name, in the order of the file.
    pub result: IndexMap<String, PlannedResult>,
    /// Executions whose final answer is sent twice in a row.
    pub duplicates: Share,
    /// Executions that get an IN_PROGRESS after their final answer, which must be refused.
    pub out_of_order: Share,
    /// Executions that get an update before their final answer that is none, which must be refused.
    pub malformed: Share,
    /// What does not depend on chance.
    pub manners: Manners,
}

/// One value that a device reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedResult {
    /// A text.
    S(TextTemplate),
    /// A truth value.
    B(bool),
    /// The bytes of a text.
    Bin(TextTemplate),
}

/// One way an execution can end, with its share.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedOutcome {
    /// Which end.
    pub kind: OutcomeKind,
    /// How many of the executions.
    pub share: Share,
    /// `statusReason.reasonCode`, `[A-Z0-9_-]{1,64}`.
    pub reason_code: Option<String>,
    /// `statusReason.reasonDescription`.
    pub reason: Option<String>,
    /// Own delay instead of the group's; of a late answer, the delay after the time-out.
    pub delay: Option<Delay>,
}

/// How a device ends an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeKind {
    /// Reports SUCCEEDED.
    Succeeded,
    /// Reports FAILED.
    Failed,
    /// Reports REJECTED, without IN_PROGRESS before it.
    Rejected,
    /// Reports TIMED_OUT itself, which is terminal.
    TimedOut,
    /// Says nothing at all; the cloud's timer ends it.
    NoAnswer,
    /// Reports SUCCEEDED after the cloud's time-out, and is busy until then.
    Late,
}

impl OutcomeKind {
    /// The key in `behavior.outcomes`.
    pub const fn name(self) -> &'static str {
        match self {
            OutcomeKind::Succeeded => "succeeded",
            OutcomeKind::Failed => "failed",
            OutcomeKind::Rejected => "rejected",
            OutcomeKind::TimedOut => "timed_out",
            OutcomeKind::NoAnswer => "no_answer",
            OutcomeKind::Late => "late",
        }
    }
}

/// One command and the load that starts it.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Its key in the file.
    pub name: String,
    /// What is sent.
    pub command: Command,
    /// Groups it goes to, as indices into [`Scenario::groups`], ascending; never empty.
    pub groups: Vec<usize>,
    /// Which device an arrival goes to.
    pub select: Select,
    /// Wait after every device has been subscribed once.
    pub start_after: Duration,
    /// When executions start.
    pub load: Load,
}

/// Which device an arrival goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// Each device is equally likely.
    Uniform,
    /// Devices in order.
    RoundRobin,
}

/// A pass condition: `AGG(METRIC{label=value,…}) OP NUMBER[UNIT]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As written.
    pub text: String,
    /// Which number of the metric.
    pub aggregate: Aggregate,
    /// What is measured.
    pub metric: Metric,
    /// Only this group, as an index into [`Scenario::groups`].
    pub group: Option<usize>,
    /// Only this workload, as an index into [`Scenario::workloads`].
    pub workload: Option<usize>,
    /// Only refusals by this error.
    pub error: Option<String>,
    /// The comparison that must hold.
    pub comparison: Comparison,
    /// The limit: µs for spans, a fraction for `rate`, a number for `count`.
    pub limit: f64,
    /// Only reports, never fails.
    pub info: bool,
    /// Stops the run when it fails.
    pub abort: bool,
    /// Not judged before this much of the load.
    pub after: Duration,
}

/// Which number of a metric a threshold looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    /// `p50` … `p99.99`, of a span.
    Percentile(f64),
    /// Smallest, of a span.
    Min,
    /// Largest, of a span.
    Max,
    /// Mean, of a span.
    Avg,
    /// Share of the planned executions that were due, of a class or finding.
    Rate,
    /// Number, of a class or finding.
    Count,
}

/// What a threshold looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// A span.
    Span(Span),
    /// An accounting class.
    Class(Class),
    /// Everything the API answered with an id.
    Started,
    /// Devices that have succeeded, by the last execution of each.
    DevicesSucceeded,
    /// A ledger finding.
    Finding(Finding),
    /// Anomalies that nothing planned explains.
    Unexplained,
    /// Reconnects of devices.
    Reconnects,
}

/// The comparison of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Scenario {
    /// The names behind workload and group indices.
    pub fn shape(&self) -> Shape {
        Shape {
            workloads: self.workloads.iter().map(|w| w.name.clone()).collect(),
            groups: self.groups.iter().map(|g| g.name.clone()).collect(),
        }
    }

    /// Everything that is asked of the run's figures: its thresholds and what a capacity search has to hold.
    pub fn conditions(&self) -> impl Iterator<Item = &Threshold> {
        let pass = self.workloads.iter().flat_map(|workload| match &workload.load {
            Load::Capacity(capacity) => capacity.pass.as_slice(),
            _ => &[],
        });
        self.thresholds.iter().chain(pass)
    }

    /// Whether a start that is a call of the embedded backend ([`Via::Direct`]) can make its caller wait.
    pub fn direct_start_waits(&self) -> bool {
        let waits = self.target.embedded().is_some_and(|target| target.faults.start.latency.is_some());
        self.driver.via == Via::Direct && waits
    }

    /// What is tested and how it is reached, in words: `embedded`, or `embedded in memory, started directly`,
    /// or `endpoint mqtt://127.0.0.1:1883`.
    pub fn target_words(&self) -> String {
        let transport = match &self.target {
            Target::Embedded(Embedded { transport: Transport::Tcp, .. }) => "embedded",
            Target::Embedded(Embedded { transport: Transport::Memory, .. }) => "embedded in memory",
            Target::Endpoint(endpoint) => return format!("endpoint mqtt://{}", endpoint.mqtt),
            Target::Aws(Aws { region: Some(region), .. }) => return format!("aws {region}"),
            Target::Aws(_) => "aws",
        };
        let via = match self.driver.via {
            Via::Http => "",
            Via::Direct => ", started directly",
        };
        format!("{transport}{via}")
    }

    /// Devices of all groups together.
    pub fn device_count(&self) -> u64 {
        self.groups.iter().map(|g| u64::from(g.count)).sum()
    }
}
