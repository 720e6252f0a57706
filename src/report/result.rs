//! `result.json`: the canonical result, as one tree of plain values.
//!
//! Names and units are part of the format: within version 1 fields are only added. How a `RunReport`
//! becomes this tree is in `build`; other renderings of a finished run can be made from the tree alone.

mod build;
mod capacity;
mod rollouts;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::run_result;
pub(super) use build::{cpu, each_histogram, histograms, load_cpu, outline, seconds_from};
pub use capacity::{CapacityResult, CapacityStepResult};
pub use rollouts::{AbortResult, RolloutResult};

use super::RunReport;

/// The name of the format's JSON Schema; the number in it is [`VERSION`].
pub const SCHEMA: &str = "result.v1.schema.json";
/// The format's version.
pub const VERSION: u32 = 1;

/// The JSON Schema of `result.json`, draft 7 as that of scenarios.
pub fn result_schema() -> serde_json::Value {
    let mut schema =
        schemars::generate::SchemaSettings::draft07().into_generator().into_root_schema_for::<RunResult>();
    schema.insert("$id".to_owned(), SCHEMA.into());
    schema.to_value()
}

/// The text of `result.json`.
pub fn result_json(report: &RunReport) -> String {
    result_text(&run_result(report))
}

/// The same of a result that is there: indented, with a final newline.
pub fn result_text(result: &RunResult) -> String {
    let mut text = serde_json::to_string_pretty(result)
        .expect("maps have text keys and numbers are finite: nothing here can fail to be JSON");
    text.push('\n');
    text
}

/// A whole result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunResult {
    /// [`SCHEMA`].
    pub schema: String,
    /// [`VERSION`].
    pub version: u32,
    /// Who wrote it.
    pub tool: Tool,
    /// What was run.
    pub scenario: ScenarioResult,
    /// Where it ran.
    pub environment: EnvironmentResult,
    /// How it went as a whole.
    pub run: Run,
    /// In the order of the file; the built-in one last.
    pub thresholds: Vec<ThresholdResult>,
    /// All workloads and groups together.
    pub totals: Totals,
    /// By name, in the order of the file.
    pub groups: IndexMap<String, GroupResult>,
    /// By name, in the order of the file.
    pub workloads: IndexMap<String, Totals>,
    /// Each workload in each group that it reaches.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub cells: Vec<CellResult>,
    /// Every histogram that has samples.
    pub spans: Vec<SpanResult>,
    /// One point a second; a day at most, older points left out.
    pub series: Vec<Point>,
    /// The largest latency that each cell of a point's `heat` holds, in µs.
    #[serde(default)]
    pub heat_edges_us: Vec<u64>,
    /// Latency in windows of ten seconds (longer in runs beyond an hour), for comparing runs.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub windows: Vec<WindowResult>,
    /// What devices did or met besides answering, by its name: planned drops, repeated answers. Absent if
    /// nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub noted: BTreeMap<String, u64>,
    /// Rollouts by workload; absent without one.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub rollouts: IndexMap<String, RolloutResult>,
    /// The capacity search; absent in a run without.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub capacity: Option<CapacityResult>,
    /// Faults that the embedded backend has injected because the scenario says so, by name. Absent if none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub faults: BTreeMap<String, u64>,
    /// What was lost, doubled or contradicted.
    pub ledger: Ledger,
    /// Oldest first.
    pub events: Vec<EventResult>,
    /// Whether the measurements can be trusted.
    pub generator: Generator,
}

/// The program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `fleetsim`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioResult {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its labels.
    pub labels: IndexMap<String, String>,
    /// SHA-256 of `resolved` without the seed, in hex.
    pub hash: String,
    /// With every default filled in; itself a valid scenario.
    pub resolved: serde_json::Value,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentResult {
    /// Operating system and architecture.
    pub os: String,
    /// Processors the program may use.
    pub cpus: usize,
    /// Descriptors the process may open; absent in virtual time, which needs none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fd_limit: Option<u64>,
}

/// The run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its begin on the run's clock, RFC 3339 in UTC; in virtual time always the same.
    pub start: String,
    /// All phases together, in seconds of the run's clock.
    pub duration_s: f64,
    /// When the load began, in seconds of the run; rollouts and anomalies count from there. Absent if it never did,
    /// and in results of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub load_begin_s: Option<f64>,
    /// In real time: all there is in a virtual run's result that another run of it may not repeat.
    pub wall_clock: WallClockResult,
    /// The phase it ended in: `done` unless it was cut short.
    pub phase: String,
    /// `PASSED`, `FAILED`, `VOID`, `STOPPED`, `ABORTED` or `ERROR`.
    pub verdict: String,
    /// The process exit code.
    pub exit: u8,
    /// Whether the generator kept up.
    pub valid: bool,
    /// Repeats the run.
    pub seed: u64,
    /// What was tested.
    pub target: String,
    /// `real`, or `virtual` when time was simulated.
    pub clock: String,
    /// Whether the user stopped it.
    pub stopped: bool,
    /// Whether somebody paused the load or changed its rate while it went on: `events` says when and how.
    /// Such a run is not the scenario's, and is compared with none.
    #[serde(default)]
    pub steered: bool,
    /// Why it could not be done.
    pub problem: Option<String>,
}

/// The run in real time, which is its own unless time was virtual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WallClockResult {
    /// RFC 3339 in UTC.
    pub start: String,
    /// All phases together, in seconds.
    pub duration_s: f64,
}

/// One threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// As written.
    pub expect: String,
    /// The observed number; `null` without samples.
    pub observed: Option<f64>,
    /// Of `observed`: `us`, `fraction` or `count`.
    pub unit: String,
    /// The observed number for people.
    pub shown: String,
    /// How far a failed one is off, for people.
    pub margin: Option<String>,
    /// `null` when not judged.
    pub passed: Option<bool>,
    /// Only reports, never fails.
    pub info: bool,
    /// Stops the run when it fails.
    pub abort: bool,
}

/// The accounting of a part of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Planned executions of the whole run, warm-up included; only in the totals of all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub planned: Option<u64>,
    /// What thresholds judge.
    pub measured: Accounting,
    /// Executions of warm-up stages.
    pub warm_up: Accounting,
}

/// Every due execution in exactly one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounting {
    /// Planned executions whose instant passed.
    pub due: u64,
    /// In any class; all of `due` once a run is done.
    pub decided: u64,
    /// Executions the API answered with an id.
    pub started: u64,
    /// All nine classes by name; they add up to `decided`.
    pub classes: IndexMap<String, u64>,
    /// Refusals by error name; they add up to class `refused`.
    pub refused_by_error: BTreeMap<String, u64>,
    /// Of class `timed_out_cloud`: the device was planned to stay silent or to answer later.
    pub timed_out_as_planned: u64,
    /// What the ledger found, by name.
    pub findings: IndexMap<String, FindingResult>,
    /// Anomalies that nothing planned explains.
    pub unexplained: u64,
}

/// How often a finding was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindingResult {
    /// A planned behaviour, fault or disconnect explains it.
    pub explained: u64,
    /// Nothing planned explains it.
    pub unexplained: u64,
}

/// One group of devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupResult {
    /// Its devices.
    pub devices: u64,
    /// Subscribed at the end.
    pub online: u64,
    /// Reconnects over the whole run.
    pub reconnects: u64,
    /// Its executions.
    pub totals: Totals,
}

/// One workload in one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellResult {
    /// By name.
    pub workload: String,
    /// By name.
    pub group: String,
    /// Its executions.
    pub totals: Totals,
}

/// One histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpanResult {
    /// What was timed.
    pub span: String,
    /// Absent for `connect`, which belongs to no workload.
    pub workload: Option<String>,
    /// Whose devices.
    pub group: String,
    /// `succeeded` or `other`.
    pub outcome: String,
    /// `us`: microseconds.
    pub unit: String,
    /// Samples.
    pub count: u64,
    /// Samples above the largest value that is told apart (13 h), counted there.
    pub clipped: u64,
    /// In microseconds.
    pub percentiles: Percentiles,
    /// Every sample at three digits: HdrHistogram V2, compressed, in base64, as HDR tools read it.
    pub hdr_v2_base64: String,
}

/// Percentiles of a histogram, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Smallest sample.
    pub min: u64,
    /// Mean of the samples.
    pub mean: f64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    #[serde(rename = "p99.9")]
    pub p99_9: u64,
    /// Largest sample.
    pub max: u64,
}

/// One second of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Its number, from 0 at the start of the connect phase.
    pub second: u64,
    /// The phase at its end.
    pub phase: String,
    /// Fell due in it.
    pub due: u64,
    /// Started in it.
    pub started: u64,
    /// Succeeded in it.
    pub succeeded: u64,
    /// Decided otherwise in it.
    pub other: u64,
    /// Every execution that was decided in it, by class; classes without one are left out.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub classes: IndexMap<String, u32>,
    /// Due and not decided at its end.
    pub in_flight: u64,
    /// Devices subscribed at its end.
    pub online: u64,
    /// Of what ended in it, every outcome, warm-up included.
    pub latency_us: PointLatency,
    /// The same latencies as counts between the edges of `heat_edges_us`; absent when nothing ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heat: Option<HeatResult>,
    /// In µs.
    pub schedule_lag_us_p99: Option<u64>,
    /// In µs.
    pub device_lag_us_p99: Option<u64>,
    /// In it; absent in virtual time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu: Option<CpuResult>,
}

/// What succeeded within a window, of one workload in one group; warm-up is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WindowResult {
    /// The second in which it begins.
    pub second: u64,
    /// How long it is.
    pub seconds: u64,
    /// By name.
    pub workload: String,
    /// By name.
    pub group: String,
    /// `latency` of every sample: HdrHistogram V2, compressed, in base64.
    pub hdr_v2_base64: String,
}

/// How many latencies of a second lie between neighbouring edges; empty cells at both ends are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeatResult {
    /// The cell that the first count belongs to, from 0.
    pub from: usize,
    /// One count per cell.
    pub counts: Vec<u32>,
}

/// Latency within one second, in µs; `null` when nothing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointLatency {
    /// Median.
    pub p50: Option<u64>,
    /// 95th percentile.
    pub p95: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// Largest.
    pub max: Option<u64>,
}

/// CPU in cores: 1 is one core full.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuResult {
    /// The busiest generator thread.
    pub busiest_shard: f64,
    /// All generator threads.
    pub generator: f64,
    /// The embedded backend; absent for a target outside, of which nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<f64>,
}

/// The ledger's details; its counts are in `totals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// The first thousand.
    pub anomalies: Vec<AnomalyResult>,
}

/// One anomaly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnomalyResult {
    /// Absent when it never got one.
    pub execution_id: Option<String>,
    /// Client id.
    pub device: String,
    /// By name.
    pub workload: String,
    /// `lost`, `contradicted` …
    pub finding: String,
    /// Whether something planned explains it.
    pub explained: bool,
    /// In µs of the run since the start of the load.
    pub planned_us: u64,
    /// In words.
    pub last_seen: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventResult {
    /// In µs since the start of the connect phase.
    pub at_us: u64,
    /// In words.
    pub text: String,
}

/// Whether the generator kept up, with the figures the judgement rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Whether the measurements can be trusted.
    pub valid: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// The limit on both lags, in µs.
    pub max_lag_us: u64,
    /// Whether the scenario set that limit.
    pub max_lag_set: bool,
    /// In µs, outside warm-up.
    pub schedule_lag_us_p99: Option<u64>,
    /// In µs, outside warm-up.
    pub device_lag_us_p99: Option<u64>,
    /// Due starts never picked up, outside warm-up.
    pub unsent: u64,
    /// The longest time a thread's report was missing, in seconds.
    pub report_gap_s: f64,
    /// Mean over the load; the busiest thread's is its busiest second. Absent in virtual time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu: Option<CpuResult>,
    /// What bounded queues could not take, by queue.
    pub dropped: BTreeMap<String, u64>,
    /// Samples that found no histogram.
    pub samples_without_histogram: u64,
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;

    use super::*;
    use crate::exit::Exit;
    use crate::report::sample;

    #[test]
    fn the_format_is_pinned() {
        let mut result = run_result(&sample::report(sample::done(), Exit::Thresholds));
        // The bytes depend on the compressor; what they hold is another test's.
        result.windows.iter_mut().for_each(|window| window.hdr_v2_base64 = "HISTFAAA…".to_owned());
        for span in &mut result.spans {
            assert!(span.hdr_v2_base64.starts_with("HISTFAAA"), "{}", span.hdr_v2_base64);
            span.hdr_v2_base64 = "HISTFAAA…".to_owned();
        }
        result.series.drain(2..result.series.len() - 1);
        insta::assert_snapshot!(serde_json::to_string_pretty(&result).unwrap());
    }

    #[test]
    fn a_result_is_read_back_as_it_was_written() {
        for (snapshot, exit) in [
            (sample::connecting(), Exit::Unavailable),
            (sample::measuring(), Exit::Stopped),
            (sample::done(), Exit::Thresholds),
        ] {
            let report = sample::report(snapshot, exit);
            let read: RunResult = serde_json::from_str(&result_json(&report)).unwrap();
            assert_eq!(read, run_result(&report));
        }
    }

    #[test]
    fn histograms_are_read_back_sample_for_sample() {
        let snapshot = sample::done();
        let result = run_result(&sample::report(snapshot.clone(), Exit::Ok));
        let latency = result.spans.iter().find(|s| s.span == "latency" && s.group == "flaky").unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(&latency.hdr_v2_base64).unwrap();
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        let ours = snapshot
            .totals
            .histogram(crate::stats::Span::Latency, 0, 1, crate::stats::Outcome::Succeeded)
            .unwrap();
        assert_eq!(read, *ours.counts());
        assert_eq!(latency.count, 538);
    }

    #[test]
    fn a_stopped_run_has_judged_no_threshold() {
        let result = run_result(&sample::report(sample::measuring(), Exit::Stopped));
        assert!(result.thresholds.iter().all(|threshold| threshold.passed.is_none()));
        assert!(result.run.stopped);
    }

    #[test]
    fn the_built_in_threshold_counts() {
        let result = run_result(&sample::report(sample::done(), Exit::Thresholds));
        let units: Vec<_> = result.thresholds.iter().map(|t| t.unit.as_str()).collect();
        assert_eq!(units, ["us", "fraction", "count", "count"]);
    }
}
