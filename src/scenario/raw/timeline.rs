//! What happens at instants of the load, as it is written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::{Name, Text};
use crate::units::Share;

/// Something that happens at an instant of the load.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimelineEvent {
    /// When, counted from the start of the load.
    pub at: At<Text<Duration>>,
    /// What happens: disconnect (devices lose their connections), silence (devices hold requests and answer
    /// nothing until it is over), slow (delays grow), backend_stall (the embedded backend does nothing),
    /// backend_restart (the embedded backend ends all connections and refuses new ones).
    #[serde(rename = "do")]
    pub action: At<TimelineAction>,
    /// Groups whose devices it happens to. Default all.
    pub groups: Option<At<Vec<At<Text<Name>>>>>,
    /// How many of their devices, drawn for each event. Default 100%.
    pub share: Option<At<Text<Share>>>,
    /// How long it lasts. Only a disconnect may do without: devices then come back by their back-off at once.
    #[serde(rename = "for")]
    pub lasts: Option<At<Text<Duration>>>,
    /// Of slow: by which the delays of what is begun meanwhile grow, 1 to 1000.
    #[schemars(range(min = 1, max = 1_000))]
    pub times: Option<At<f64>>,
}

/// What happens at an instant of the load.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimelineAction {
    /// Connections break without a word; devices come back by their back-off once it is over.
    Disconnect,
    /// Devices hold requests and answer nothing; afterwards they answer what they hold.
    Silence,
    /// The delays of requests that come meanwhile grow.
    Slow,
    /// The embedded backend reads, sends and times out nothing; connections stay.
    BackendStall,
    /// The embedded backend ends every connection and refuses new ones; it keeps its executions.
    BackendRestart,
}
