//! How devices connect, as it is written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::{MqttName, RateOrMax, Text};
use super::Delay;
use crate::units::Share;

/// How devices connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// Connects per second, or max for as fast as the target answers. Default max.
    pub rate: Option<At<Text<RateOrMax>>>,
    /// Which MQTT the devices speak, quoted: "3.1.1" or "5". Default "3.1.1".
    pub mqtt: Option<At<Text<MqttName>>>,
    /// Whether every connection begins anew. With false the broker keeps the subscriptions and holds
    /// requests back while a device is away. Default true.
    pub clean_session: Option<At<bool>>,
    /// Wait of each device before its first connect, as when not all are switched on at once.
    /// Default 0s.
    pub start_delay: Option<At<Delay>>,
    /// MQTT keep-alive, whole seconds. Default 60s.
    pub keep_alive: Option<At<Text<Duration>>>,
    /// Waits before attempts to reconnect.
    pub backoff: Option<At<Backoff>>,
    /// Connections that break by plan, without a word to the broker. Default none.
    pub drops: Option<At<Drops>>,
    /// MQTT credentials that every device sends in CONNECT. Default none.
    pub auth: Option<At<Auth>>,
}

/// MQTT credentials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The user name.
    pub username: At<String>,
    /// The password; better from outside: ${PASSWORD}. No output holds it.
    pub password: Option<At<String>>,
}

/// Waits before attempts to reconnect: initial × factor each time, at most max.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The first wait. Default 1s.
    pub initial: Option<At<Text<Duration>>>,
    /// The longest wait. Default 60s.
    pub max: Option<At<Text<Duration>>>,
    /// By which waits grow. Default 2.
    #[schemars(range(min = 1, max = 1_000))]
    pub factor: Option<At<f64>>,
    /// How much of a wait is chance: none, equal (half of it), full (all of it). Default full.
    pub jitter: Option<At<Jitter>>,
    /// Attempts that may fail one after the other before a device gives up for good. Without it a
    /// device never gives up.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_attempts: Option<At<u64>>,
}

/// How much of a wait is chance.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Nothing: devices that lost their connection together come back together.
    None,
    /// Half of it: from half the wait to all of it.
    Equal,
    /// All of it: from nothing to the whole wait.
    Full,
}

/// Connections that break by plan, without a word to the broker. every, mid_command or both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drops {
    /// How long a connection lasts, drawn for each. Without it none breaks by the clock.
    pub every: Option<At<Delay>>,
    /// From a drop to the next attempt to connect. Default 0s.
    pub down_for: Option<At<Delay>>,
    /// How many executions see their device drop between IN_PROGRESS (or the request, without
    /// accept_delay) and the answer. Default 0%.
    pub mid_command: Option<At<Text<Share>>>,
}
