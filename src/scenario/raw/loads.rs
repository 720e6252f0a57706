//! When executions start, as it is written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::{Line, Text};
use super::{Delay, Rollout};
use crate::units::{Rate, Share};

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
