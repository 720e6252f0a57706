//! Rollouts in figures: what the shards count, and what is shown of it, as plain values.

use std::time::Duration;

/// Counts of one batch of a rollout; without batches, of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchCounts {
    /// Devices whose first start fell due.
    pub released: u64,
    /// Devices whose first start was taken by the API.
    pub notified: u64,
    /// Executions that ended SUCCEEDED, retries included, as all ends here.
    pub succeeded: u64,
    /// Executions that ended FAILED.
    pub failed: u64,
    /// Executions that ended REJECTED.
    pub rejected: u64,
    /// Executions that timed out, by the device or by the cloud.
    pub timed_out: u64,
    /// Starts after the first one.
    pub retries: u64,
    /// Devices for which nothing more comes and that succeeded.
    pub devices_succeeded: u64,
    /// Devices for which nothing more comes and that did not succeed (by then).
    pub devices_left: u64,
    /// Of the latter, those that answered with success after all: after the time-out of their last execution.
    pub late_successes: u64,
}

impl BatchCounts {
    /// Executions that a device or a timer ended.
    pub fn executed(&self) -> u64 {
        self.succeeded + self.failed + self.rejected + self.timed_out
    }

    /// Devices that have succeeded, the late ones included.
    pub fn good_devices(&self) -> u64 {
        self.devices_succeeded + self.late_successes
    }

    /// Devices that are through and have not succeeded.
    pub fn bad_devices(&self) -> u64 {
        self.devices_left.saturating_sub(self.late_successes)
    }

    /// Devices for which nothing more comes.
    pub fn finished(&self) -> u64 {
        self.devices_succeeded + self.devices_left
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &BatchCounts) {
        self.released += other.released;
        self.notified += other.notified;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.rejected += other.rejected;
        self.timed_out += other.timed_out;
        self.retries += other.retries;
        self.devices_succeeded += other.devices_succeeded;
        self.devices_left += other.devices_left;
        self.late_successes += other.late_successes;
    }
}

/// Where a rollout, or one of its batches, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RolloutState {
    /// Not begun.
    #[default]
    Waiting,
    /// Devices are told, or have not all answered.
    Running,
    /// A batch whose gate is open, waiting out its soak.
    Soaking,
    /// Every device is through; of a batch: the next one has begun.
    Complete,
    /// `give_up_after` has passed.
    GaveUp,
    /// Stopped by `abort_when`, or by a batch that failed.
    Aborted,
    /// The load ended before the rollout did.
    Stopped,
}

impl RolloutState {
    /// The word in results and summaries.
    pub const fn name(self) -> &'static str {
        match self {
            RolloutState::Waiting => "waiting",
            RolloutState::Running => "running",
            RolloutState::Soaking => "soaking",
            RolloutState::Complete => "complete",
            RolloutState::GaveUp => "gave_up",
            RolloutState::Aborted => "aborted",
            RolloutState::Stopped => "stopped",
        }
    }
}

/// One batch and where it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BatchProgress {
    /// Its name.
    pub name: String,
    /// Devices in it.
    pub devices: u64,
    /// Where it stands.
    pub state: RolloutState,
    /// When it began, in µs since the start of the load.
    pub begun_us: Option<u64>,
    /// When its gate opened, in µs since the start of the load.
    pub gate_us: Option<u64>,
    /// Its counts.
    pub counts: BatchCounts,
}

/// How near a rollout is to one of its abort rules.
#[derive(Debug, Clone, PartialEq)]
pub struct AbortGauge {
    /// What is counted: `failed`, `rejected`, `timed_out`, `all`.
    pub status: &'static str,
    /// The limit, as a fraction.
    pub over: f64,
    /// Executions that must have ended before it is judged.
    pub min_executed: u64,
    /// Executions that ended that way.
    pub count: u64,
    /// Executions that ended.
    pub executed: u64,
}

impl AbortGauge {
    /// The share of the ended executions; `None` while none has ended.
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
    pub fn share(&self) -> Option<f64> {
        (self.executed > 0).then(|| self.count as f64 / self.executed as f64)
    }

    /// Whether the rule says stop.
    pub fn is_over(&self) -> bool {
        self.executed >= self.min_executed && self.share().is_some_and(|share| share > self.over)
    }
}

/// A change of the rate at which devices are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateStep {
    /// When, in µs since the start of the load.
    pub at_us: u64,
    /// Devices per second from then on.
    pub per_second: f64,
}

/// A device that a rollout has not brought to success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckDevice {
    /// Index of the workload.
    pub workload: usize,
    /// Index of its group.
    pub group: usize,
    /// Its place among all devices: what lists are ordered by.
    pub number: u64,
    /// Its client id.
    pub device: String,
    /// How its last execution ended: a class by name, `not started`, or `open`.
    pub last: &'static str,
    /// How often it was tried.
    pub attempts: u64,
}

/// A rollout as far as it has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RolloutProgress {
    /// Index of the workload.
    pub workload: usize,
    /// Devices that it is to reach.
    pub devices: u64,
    /// Where it stands.
    pub state: RolloutState,
    /// Why it was stopped, in words.
    pub reason: Option<String>,
    /// Its batches; one, without a name, if it has none.
    pub batches: Vec<BatchProgress>,
    /// All batches together.
    pub counts: BatchCounts,
    /// Its abort rules in the order of the file.
    pub gauges: Vec<AbortGauge>,
    /// Every change of its rate; the last one holds.
    pub rates: Vec<RateStep>,
}

impl RolloutProgress {
    /// Changes of the rate that are kept.
    pub const RATES_KEPT: usize = 1_000;
    /// Stuck devices that are listed; all are counted.
    pub const STUCK_KEPT: usize = 1_000;

    /// Devices per second, now.
    pub fn rate(&self) -> f64 {
        self.rates.last().map_or(0.0, |step| step.per_second)
    }

    /// Devices that have not succeeded.
    pub fn stuck(&self) -> u64 {
        self.devices.saturating_sub(self.counts.good_devices())
    }

    /// When it began, since the start of the load.
    pub fn begun(&self) -> Option<Duration> {
        self.rates.first().map(|step| Duration::from_micros(step.at_us))
    }
}
