//! Rollouts in `result.json`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stats::{AbortGauge, BatchCounts, BatchProgress, RolloutProgress, Snapshot, StuckDevice};

/// One rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutResult {
    /// `complete`, `gave_up`, `aborted`, or `stopped` with the load.
    pub state: String,
    /// Why it was stopped or gave up.
    pub reason: Option<String>,
    /// Devices that it was to reach.
    pub devices: u64,
    /// Over all batches.
    pub counts: RolloutCounts,
    /// One without a name if the scenario has none.
    pub batches: Vec<BatchResult>,
    /// Every change of the rate.
    pub rates: Vec<RateResult>,
    /// The rules of `abort_when`, with what they saw at the end.
    pub abort_when: Vec<AbortResult>,
    /// Devices that have not succeeded.
    pub stuck: u64,
    /// The first thousand of them, in the order of the fleet.
    pub stuck_devices: Vec<StuckResult>,
}

/// What has become of a rollout's devices and executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutCounts {
    /// Devices whose first start fell due.
    pub released: u64,
    /// Devices whose first start was taken by the API.
    pub notified: u64,
    /// Devices that succeeded, by their last execution; late ones included.
    pub devices_succeeded: u64,
    /// Of these: after the time-out of their last execution.
    pub late_successes: u64,
    /// Executions that ended SUCCEEDED, retries included, as in the next three.
    pub succeeded: u64,
    /// Ended FAILED.
    pub failed: u64,
    /// Ended REJECTED.
    pub rejected: u64,
    /// Timed out, by the device or by the cloud.
    pub timed_out: u64,
    /// Starts after the first one.
    pub retries: u64,
}

/// One batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchResult {
    /// Its name.
    pub name: String,
    /// Devices in it.
    pub devices: u64,
    /// Where it stands: `complete` once the next one has begun.
    pub state: String,
    /// In µs of the load: pauses do not count.
    pub begun_us: Option<u64>,
    /// When its gate opened, in µs of the load.
    pub gate_us: Option<u64>,
    /// Its counts.
    pub counts: RolloutCounts,
}

/// A change of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateResult {
    /// In µs of the load.
    pub at_us: u64,
    /// Devices told per second from then on.
    pub per_second: f64,
}

/// A rule that stops a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AbortResult {
    /// Which executions it counts.
    pub status: String,
    /// Its limit, as a fraction.
    pub over: f64,
    /// How many must have ended.
    pub min_executed: u64,
    /// How many ended that way.
    pub count: u64,
    /// How many ended.
    pub executed: u64,
    /// The share that is compared with the limit.
    pub share: Option<f64>,
}

/// A device that has not succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StuckResult {
    /// Client id.
    pub device: String,
    /// How its last execution ended: a class by name, `not started`, or `open`.
    pub last: String,
    /// How often it was tried.
    pub attempts: u64,
}

pub(super) fn rollouts(snapshot: &Snapshot) -> IndexMap<String, RolloutResult> {
    let name = |workload: usize| snapshot.shape.workloads.get(workload).cloned().unwrap_or_default();
    snapshot.rollouts.iter().map(|one| (name(one.workload), rollout(one, &snapshot.stuck))).collect()
}

fn rollout(progress: &RolloutProgress, stuck: &[StuckDevice]) -> RolloutResult {
    let stuck_devices = stuck.iter().filter(|device| device.workload == progress.workload);
    RolloutResult {
        state: progress.state.name().to_owned(),
        reason: progress.reason.clone(),
        devices: progress.devices,
        counts: counts(&progress.counts),
        batches: progress.batches.iter().map(batch).collect(),
        rates: progress
            .rates
            .iter()
            .map(|step| RateResult { at_us: step.at_us, per_second: step.per_second })
            .collect(),
        abort_when: progress.gauges.iter().map(gauge).collect(),
        stuck: progress.stuck(),
        stuck_devices: stuck_devices
            .map(|device| StuckResult {
                device: device.device.clone(),
                last: device.last.to_owned(),
                attempts: device.attempts,
            })
            .collect(),
    }
}

fn counts(counts: &BatchCounts) -> RolloutCounts {
    RolloutCounts {
        released: counts.released,
        notified: counts.notified,
        devices_succeeded: counts.good_devices(),
        late_successes: counts.late_successes,
        succeeded: counts.succeeded,
        failed: counts.failed,
        rejected: counts.rejected,
        timed_out: counts.timed_out,
        retries: counts.retries,
    }
}

fn batch(batch: &BatchProgress) -> BatchResult {
    BatchResult {
        name: batch.name.clone(),
        devices: batch.devices,
        state: batch.state.name().to_owned(),
        begun_us: batch.begun_us,
        gate_us: batch.gate_us,
        counts: counts(&batch.counts),
    }
}

fn gauge(gauge: &AbortGauge) -> AbortResult {
    AbortResult {
        status: gauge.status.to_owned(),
        over: gauge.over,
        min_executed: gauge.min_executed,
        count: gauge.count,
        executed: gauge.executed,
        share: gauge.share(),
    }
}
