//! The shapes that a workload's load can have.

use std::time::Duration;

use crate::units::{Rate, Share};

/// When executions start.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// Open loop.
    ArrivalRate(ArrivalRate),
    /// A burst.
    Once(Once),
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

impl Load {
    /// How long executions fall due, from the begin of the workload; `None` where feedback decides.
    pub fn duration(&self) -> Option<Duration> {
        match self {
            Load::ArrivalRate(load) => Some(load.duration()),
            Load::Once(load) => Some(load.within),
        }
    }

    /// The highest rate of starts that is planned, for loads that send one device many executions.
    pub fn peak_rate(&self) -> Rate {
        match self {
            Load::ArrivalRate(load) => {
                let rates =
                    load.stages.iter().map(|stage| stage.from.per_second().max(stage.to.per_second()));
                Rate::from_per_second(rates.fold(0.0, f64::max))
            }
            Load::Once(_) => Rate::ZERO,
        }
    }

    /// Whether nothing of it is measured.
    pub fn is_all_warm_up(&self) -> bool {
        match self {
            Load::ArrivalRate(load) => load.stages.iter().all(|stage| stage.warm_up),
            Load::Once(_) => false,
        }
    }

    /// Whether `select` says which device an arrival goes to; the others have an order of their own.
    pub fn selects(&self) -> bool {
        match self {
            Load::ArrivalRate(_) => true,
            Load::Once(_) => false,
        }
    }
}

impl ArrivalRate {
    /// How long all stages last.
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }
}
