//! The shapes that a workload's load can have.

use std::time::Duration;

use super::Threshold;
use crate::dist::Delay;
use crate::units::{Rate, Share};

/// When executions start.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// Open loop.
    ArrivalRate(ArrivalRate),
    /// A burst.
    Once(Once),
    /// A closed loop.
    Concurrency(Concurrency),
    /// One execution for each device, in waves.
    Rollout(Rollout),
    /// A search for the highest rate that passes.
    Capacity(Capacity),
}

/// An open loop whose rate is raised step by step until a condition breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// The first rate; more than zero.
    pub from: Rate,
    /// The last one; not below the first.
    pub to: Rate,
    /// By which a rate that passed is multiplied.
    pub step: f64,
    /// How long each rate is held and measured.
    pub hold: Duration,
    /// How long before that it runs without being measured.
    pub settle: Duration,
    /// So close the highest rate that passed and the lowest that did not have to be.
    pub precision: Share,
    /// How the arrivals of a step are spread.
    pub spacing: Spacing,
    /// What has to hold at each rate; never empty.
    pub pass: Vec<Threshold>,
}

/// An open loop: the arrivals come whatever the target does.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrivalRate {
    /// How the arrivals are spread.
    pub spacing: Spacing,
    /// One after the other; never empty.
    pub stages: Vec<Stage>,
}

/// How arrivals are spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// As independent users arrive.
    Poisson,
    /// At equal gaps (in the ramp's own time).
    Even,
}

/// A stretch of the load with a linear rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// For events and reports.
    pub name: Option<String>,
    /// Rate at its begin.
    pub from: Rate,
    /// Rate at its end.
    pub to: Rate,
    /// How long it lasts; more than zero.
    pub duration: Duration,
    /// Outside thresholds, spans and validity.
    pub warm_up: bool,
}

/// A burst: each chosen device exactly once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Once {
    /// How many of the workload's devices, more than none; which ones, and in which order, is drawn.
    pub devices: Share,
    /// The starts are spread evenly over this; zero is all at one instant.
    pub within: Duration,
}

/// A closed loop: so many executions in flight; the next one starts when one has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Concurrency {
    /// One after the other; never empty.
    pub levels: Vec<Level>,
    /// From an end to the next start; none is at once.
    pub think_time: Option<Delay>,
}

/// A stretch of a closed loop, in which the level changes in a straight line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Executions in flight at its begin.
    pub from: u64,
    /// Executions in flight at its end.
    pub to: u64,
    /// How long it lasts; more than zero.
    pub duration: Duration,
}

/// One execution for each device, at a rate that grows or in batches with gates between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// Devices told per second at first, and between gates.
    pub base_rate: Rate,
    /// How the rate grows; never with batches.
    pub growth: Option<Growth>,
    /// One after the other; empty: all devices at once.
    pub batches: Vec<Batch>,
    /// Any of them ends the load.
    pub abort_when: Vec<AbortWhen>,
    /// What is tried again.
    pub retry: Retry,
    /// Then it ends, whatever is left; from its begin.
    pub give_up_after: Option<Duration>,
}

/// An exponential rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// By how much the rate is multiplied; above 1.
    pub factor: f64,
    /// When: again each time that so many more are reached.
    pub after: IncreaseAfter,
    /// It grows no further.
    pub max_rate: Rate,
}

/// What makes the rate of a rollout grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncreaseAfter {
    /// So many more devices were told.
    Notified(u64),
    /// So many more devices succeeded.
    Succeeded(u64),
}

/// One batch of a rollout and the gate behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// For events and reports.
    pub name: String,
    /// How many devices.
    pub devices: BatchSize,
    /// The next batch waits for this share of its devices.
    pub success_threshold: Share,
    /// The rollout stops when more of its devices than this are through without success.
    pub error_threshold: Option<Share>,
    /// From the gate to the next batch.
    pub soak: Duration,
}

/// How many devices a batch has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BatchSize {
    /// So many.
    Count(u64),
    /// This share of all that the workload can reach.
    Share(Share),
    /// All that are left.
    Rest,
}

/// When a rollout is stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AbortWhen {
    /// Which executions are counted.
    pub status: AbortStatus,
    /// The most they may be of the ended executions.
    pub over: Share,
    /// Not judged before so many have ended.
    pub min_executed: u64,
}

/// Executions that can stop a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl AbortStatus {
    /// The word in a scenario.
    pub const fn name(self) -> &'static str {
        match self {
            AbortStatus::Failed => "failed",
            AbortStatus::Rejected => "rejected",
            AbortStatus::TimedOut => "timed_out",
            AbortStatus::All => "all",
        }
    }
}

/// How often a device is tried again after an execution that ended so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retry {
    /// After FAILED.
    pub failed: u8,
    /// After a time-out, by the device or by the cloud.
    pub timed_out: u8,
}

impl Load {
    /// How long executions fall due, from the begin of the workload; `None` where feedback decides.
    pub fn duration(&self) -> Option<Duration> {
        match self {
            Load::ArrivalRate(load) => Some(load.duration()),
            Load::Once(load) => Some(load.within),
            Load::Concurrency(load) => Some(load.levels.iter().map(|level| level.duration).sum()),
            Load::Rollout(_) | Load::Capacity(_) => None,
        }
    }

    /// Whether some of its starts wait for what has become of others.
    pub fn follows_feedback(&self) -> bool {
        match self {
            Load::ArrivalRate(_) | Load::Once(_) => false,
            Load::Concurrency(_) | Load::Rollout(_) | Load::Capacity(_) => true,
        }
    }

    /// The highest rate of starts that is planned beforehand, for loads that send one device many executions.
    pub fn peak_rate(&self) -> Rate {
        match self {
            Load::ArrivalRate(load) => {
                let rates =
                    load.stages.iter().map(|stage| stage.from.per_second().max(stage.to.per_second()));
                Rate::from_per_second(rates.fold(0.0, f64::max))
            }
            Load::Once(_) | Load::Concurrency(_) | Load::Rollout(_) => Rate::ZERO,
            Load::Capacity(load) => load.to,
        }
    }

    /// Whether nothing of it is measured.
    pub fn is_all_warm_up(&self) -> bool {
        match self {
            Load::ArrivalRate(load) => load.stages.iter().all(|stage| stage.warm_up),
            Load::Once(_) | Load::Concurrency(_) | Load::Rollout(_) | Load::Capacity(_) => false,
        }
    }

    /// Whether `select` says which device an arrival goes to; the others have an order of their own.
    pub fn selects(&self) -> bool {
        match self {
            Load::ArrivalRate(_) | Load::Concurrency(_) | Load::Capacity(_) => true,
            Load::Once(_) | Load::Rollout(_) => false,
        }
    }
}

impl ArrivalRate {
    /// How long all stages last.
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }
}
