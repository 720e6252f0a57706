//! How a capacity search stands, as plain values: its steps so far, and its answer.

use super::CpuUse;

/// A capacity search.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CapacityProgress {
    /// Index of the workload whose rate is searched.
    pub workload: usize,
    /// The steps that are judged, in the order in which they were run.
    pub steps: Vec<CapacityStep>,
    /// The step under way: its number from 1 and its rate, in starts per second.
    pub running: Option<(u32, f64)>,
    /// What came out, once the search is over.
    pub answer: Option<CapacityAnswer>,
}

/// One rate, held for a while, and what was measured of exactly its own executions.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityStep {
    /// From 1.
    pub number: u32,
    /// Starts per second that were asked for.
    pub rate: f64,
    /// Executions that fell due while the rate was held, after the settling.
    pub due: u64,
    /// The same per second.
    pub offered: f64,
    /// Of them, those that succeeded, per second.
    pub achieved: f64,
    /// Latency of what succeeded, in µs.
    pub latency_us_p50: Option<u64>,
    /// 95th percentile, in µs.
    pub latency_us_p95: Option<u64>,
    /// 99th percentile, in µs.
    pub latency_us_p99: Option<u64>,
    /// 99th percentile of `overhead`, in µs.
    pub overhead_us_p99: Option<u64>,
    /// 99th percentile of `start_wait`, in µs.
    pub start_wait_us_p99: Option<u64>,
    /// 99th percentile of `start`, in µs.
    pub start_us_p99: Option<u64>,
    /// 99th percentile of `delivery`, in µs.
    pub delivery_us_p99: Option<u64>,
    /// 99th percentile of `confirm`, in µs.
    pub confirm_us_p99: Option<u64>,
    /// 99th percentile of `schedule_lag`, in µs.
    pub schedule_lag_us_p99: Option<u64>,
    /// 99th percentile of `device_lag`, in µs.
    pub device_lag_us_p99: Option<u64>,
    /// Starts that were refused, by error name, most first.
    pub refused: Vec<(String, u64)>,
    /// Mean CPU while the rate was held, and the busiest second of the busiest thread; zero in virtual time.
    pub cpu: CpuUse,
    /// Each pass condition as written, its figure, and whether it held.
    pub limits: Vec<StepLimit>,
    /// What it is worth.
    pub outcome: StepOutcome,
}

/// A pass condition, judged for one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepLimit {
    /// As written.
    pub text: String,
    /// The observed figure for people.
    pub shown: String,
    /// Whether it held.
    pub held: bool,
}

/// What a step is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    /// Every limit held.
    Passed,
    /// A limit broke, and the generator was not to blame.
    Failed {
        /// The first limit that broke, and its figure.
        limit: String,
        /// The figure for people.
        shown: String,
    },
    /// The generator lagged: nothing is known of the target at this rate.
    Unknown {
        /// How it lagged.
        reason: String,
    },
}

impl CapacityStep {
    /// The share of its starts that was refused.
    #[expect(clippy::cast_precision_loss, reason = "counts of a step are far below 2^53")]
    pub fn refused_share(&self) -> f64 {
        let refused: u64 = self.refused.iter().map(|(_, count)| count).sum();
        if self.due == 0 { 0.0 } else { refused as f64 / self.due as f64 }
    }
}

impl StepOutcome {
    /// The word in results.
    pub const fn name(&self) -> &'static str {
        match self {
            StepOutcome::Passed => "passed",
            StepOutcome::Failed { .. } => "failed",
            StepOutcome::Unknown { .. } => "unknown",
        }
    }
}

/// What a search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityAnswer {
    /// The highest rate that passed, in starts per second; `None` if not even the lowest did.
    pub holds: Option<f64>,
    /// The lowest rate at which the target broke a limit.
    pub broke_at: Option<f64>,
    /// The lowest rate at which the generator lagged, where that bounds the answer.
    pub lagged_at: Option<f64>,
    /// All of it in one line.
    pub sentence: String,
}

impl CapacityAnswer {
    /// Whether the generator alone bounds the answer: the target was never seen to fail.
    pub fn is_bounded_by_generator(&self) -> bool {
        self.lagged_at.is_some() && self.broke_at.is_none()
    }

    /// Whether the target failed at the lowest rate that was asked for.
    pub fn holds_nothing(&self) -> bool {
        self.holds.is_none() && self.broke_at.is_some()
    }
}
