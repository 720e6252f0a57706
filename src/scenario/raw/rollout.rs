//! Rollouts, as they are written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::{CountOrShare, Line, Text};
use crate::units::{Rate, Share};

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
