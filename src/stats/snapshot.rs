//! The merged statistics of all shards at one instant, as plain values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::control::Tempo;

use super::{
    CapacityProgress, Class, Finding, HeatColumn, RolloutProgress, Series, Shape, Statistics, StuckDevice,
};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The fleet connects and subscribes.
    Connect,
    /// Executions are started at their planned instants.
    Load,
    /// Nothing more is started; answers and time-outs are awaited.
    Drain,
    /// All has ended; records are read back.
    Settle,
    /// The run is over; this snapshot is final.
    Done,
}

impl Phase {
    /// The word on the screen and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Load => "load",
            Phase::Drain => "drain",
            Phase::Settle => "settle",
            Phase::Done => "done",
        }
    }
}

/// How a group stands right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupGauge {
    /// Devices of the group.
    pub devices: u64,
    /// Devices that are subscribed now.
    pub online: u64,
}

/// CPU by role during the last second, in cores (1.0 = one core full).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CpuUse {
    /// The busiest shard thread.
    pub busiest_shard: f64,
    /// All shard threads together.
    pub generator: f64,
    /// The embedded backend; zero for an outside target.
    pub backend: f64,
}

/// One second of the run: a point of the series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Second {
    /// Its number, from 0 at the start of the connect phase.
    pub number: u64,
    /// Phase at its end.
    pub phase: Phase,
    /// Executions that fell due in it.
    pub due: u64,
    /// Executions the API took in it.
    pub started: u64,
    /// Ended SUCCEEDED in it.
    pub succeeded: u64,
    /// Decided otherwise in it (refused, failed, timed out, …).
    pub other: u64,
    /// Every execution that was decided in it, by class in the order of [`Class::ALL`].
    pub classes: [u32; Class::ALL.len()],
    /// Due and not decided at its end.
    pub in_flight: u64,
    /// Devices subscribed at its end.
    pub online: u64,
    /// Latency of what ended in it, in µs, warm-up included.
    pub latency_us_p50: Option<u64>,
    /// 95th percentile, in µs.
    pub latency_us_p95: Option<u64>,
    /// 99th percentile, in µs.
    pub latency_us_p99: Option<u64>,
    /// Largest, in µs.
    pub latency_us_max: Option<u64>,
    /// The same latencies as a column of a heat map.
    pub heat: HeatColumn,
    /// 99th percentile of `schedule_lag` of measured executions that ended in it, in µs.
    pub schedule_lag_us_p99: Option<u64>,
    /// 99th percentile of `device_lag`, in µs.
    pub device_lag_us_p99: Option<u64>,
    /// CPU by role in it.
    pub cpu: CpuUse,
}

/// One anomaly of the ledger, as it is listed in the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// The execution's id, once it has one.
    pub execution_id: Option<String>,
    /// The device's client id.
    pub device: String,
    /// Workload by index.
    pub workload: usize,
    /// The device's group by index.
    pub group: usize,
    /// What was found.
    pub finding: Finding,
    /// Whether a planned behaviour, fault or disconnect explains it.
    pub explained: bool,
    /// Planned instant, in µs of the run since the start of the load: pauses count.
    pub planned_us: u64,
    /// What was last seen of it, in words: `started, never held by the device`.
    pub last_seen: String,
}

/// Something that happened once and is worth a line: a phase change, a stop, a lost connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in µs since the start of the connect phase.
    pub at_us: u64,
    /// What, in words.
    pub text: String,
}

/// What outputs read: the last second that all shards have delivered, and the totals up to it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The second's number.
    pub number: u64,
    /// Phase at its end.
    pub phase: Phase,
    /// Since the connect phase began.
    pub elapsed: Duration,
    /// In virtual time: the real time that it took; `None` in real time, where both are one.
    pub wall_elapsed: Option<Duration>,
    /// When the load began, since the connect phase began. `None` before.
    pub load_begin: Option<Duration>,
    /// How much of the load has been played: the time since it began, but for pauses, and as much faster as
    /// it is played. `None` before.
    pub load_elapsed: Option<Duration>,
    /// How long the load is planned to last (without connect and drain); `None` where feedback decides.
    pub load_planned: Option<Duration>,
    /// Planned executions of the whole run; where feedback decides, as many as are known by now.
    pub planned: u64,
    /// The last instant anything open can still end, while draining.
    pub last_deadline: Option<Duration>,
    /// Workloads and groups.
    pub shape: Arc<Shape>,
    /// Totals since the start.
    pub totals: Arc<Statistics>,
    /// Groups by index.
    pub groups: Vec<GroupGauge>,
    /// The series so far, one point a second, the last [`Series::KEPT`] of them.
    pub series: Series,
    /// CPU by role in the last second.
    pub cpu: CpuUse,
    /// Whole run: the longest time that a shard's report was missing.
    pub report_gap: Duration,
    /// Somebody asked the run to stop: what fell due meanwhile and was not sent was not sent by wish.
    pub stopped: bool,
    /// What is in force of what people have asked: whether the load waits, and how fast its clock runs.
    pub tempo: Tempo,
    /// Somebody has paused the load or changed its rate while it went on: it is not the scenario's any more.
    pub steered: bool,
    /// How the capacity search stands, in a run that has one.
    pub capacity: Option<Arc<CapacityProgress>>,
    /// Faults that the embedded backend has injected because the scenario says so, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Events so far, oldest first.
    pub events: Arc<Vec<Event>>,
    /// The first anomalies.
    pub anomalies: Arc<Vec<Anomaly>>,
    /// Devices that each workload is meant to reach, by workload and group.
    pub reach: Arc<Vec<Vec<u64>>>,
    /// Rollouts, in the order of their workloads.
    pub rollouts: Vec<RolloutProgress>,
    /// At the end: the first devices of each rollout that have not succeeded.
    pub stuck: Arc<Vec<StuckDevice>>,
}

impl Snapshot {
    /// Anomalies kept with their details; all are counted.
    pub const ANOMALIES_KEPT: usize = 1_000;
    /// Events kept.
    pub const EVENTS_KEPT: usize = 1_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_ordered_as_a_run_goes_through_them() {
        let phases = [Phase::Connect, Phase::Load, Phase::Drain, Phase::Settle, Phase::Done];
        assert!(phases.is_sorted_by(|earlier, later| earlier < later));
        assert_eq!(phases.map(Phase::name), ["connect", "load", "drain", "settle", "done"]);
    }
}
