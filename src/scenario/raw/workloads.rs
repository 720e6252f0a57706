//! Commands with the load that starts them, as they are written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::{Name, Text};
use super::{Command, Load};

/// One command and the load that starts it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What is sent.
    pub command: At<Command>,
    /// Groups it goes to. Default all.
    pub groups: Option<At<Vec<At<Text<Name>>>>>,
    /// Which device an arrival goes to. Default uniform.
    pub select: Option<At<Select>>,
    /// Wait after every device has been subscribed once. Default 0s.
    pub start_after: Option<At<Text<Duration>>>,
    /// When executions start.
    pub load: At<Load>,
}

/// Which device an arrival goes to.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// Each device is equally likely.
    Uniform,
    /// Devices in order.
    RoundRobin,
}
