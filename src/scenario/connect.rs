//! How devices connect, stay connected and come back.

use std::fmt;
use std::time::Duration;

use crate::dist::Delay;
use crate::units::{Rate, Share};

/// How devices connect.
#[derive(Debug, Clone, PartialEq)]
pub struct Connect {
    /// Connects per second over the whole run; `None` = as fast as the target answers.
    pub rate: Option<Rate>,
    /// Which protocol they speak.
    pub mqtt: MqttVersion,
    /// Whether every connection begins a session of its own; if not, the broker keeps subscriptions
    /// and undelivered requests while the device is away.
    pub clean_session: bool,
    /// Wait of each device before its first connect.
    pub start_delay: Delay,
    /// MQTT keep-alive, whole seconds, 1 to 65,535.
    pub keep_alive: Duration,
    /// Waits before a reconnect, after anything but a drop that was planned.
    pub backoff: Backoff,
    /// Connections that break by plan; `None` = none.
    pub drops: Option<Drops>,
    /// What they say in CONNECT of who they are; `None` = nothing.
    pub auth: Option<Auth>,
}

/// MQTT credentials, the same for all devices of a group.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// The user name.
    pub username: String,
    /// The password. It goes into CONNECT and nowhere else: no output may hold it.
    pub password: Option<String>,
}

/// Without the password: what is printed for debugging is kept in logs.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| Self::HIDDEN);
        f.debug_struct("Auth").field("username", &self.username).field("password", &password).finish()
    }
}

impl Auth {
    /// What stands in outputs where the password would.
    pub const HIDDEN: &'static str = "***";
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            rate: None,
            mqtt: MqttVersion::V311,
            clean_session: true,
            start_delay: Delay::ZERO,
            keep_alive: Duration::from_mins(1),
            backoff: Backoff::default(),
            drops: None,
            auth: None,
        }
    }
}

/// A version of MQTT, spelled in scenarios as people call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MqttVersion {
    /// `"3.1.1"`
    V311,
    /// `"5"`
    V5,
}

impl MqttVersion {
    /// The value of `connect.mqtt`.
    pub const fn name(self) -> &'static str {
        match self {
            MqttVersion::V311 => "3.1.1",
            MqttVersion::V5 => "5",
        }
    }
}

/// Waits before attempts to reconnect: `initial × factorⁿ`, at most `max`, with jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Bound of the first wait; more than zero.
    pub initial: Duration,
    /// Bound of every wait; at least `initial`.
    pub max: Duration,
    /// By which the bound grows from one attempt to the next; at least 1.
    pub factor: f64,
    /// How much of the bound is chance.
    pub jitter: Jitter,
    /// Attempts that may fail one after the other before the device gives up for good.
    pub max_attempts: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max: Duration::from_mins(1),
            factor: 2.0,
            jitter: Jitter::Full,
            max_attempts: None,
        }
    }
}

/// How much of a wait is chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// Nothing: all devices that lost their connection together come back together.
    None,
    /// Half of it: from half the bound to the bound.
    Equal,
    /// All of it: from nothing to the bound.
    Full,
}

impl Jitter {
    /// The value of `connect.backoff.jitter`.
    pub const fn name(self) -> &'static str {
        match self {
            Jitter::None => "none",
            Jitter::Equal => "equal",
            Jitter::Full => "full",
        }
    }
}

/// Connections that break by plan: the stream is dropped without DISCONNECT.
#[derive(Debug, Clone, PartialEq)]
pub struct Drops {
    /// From subscribed to the drop, drawn for each connection; `None` = not at random instants.
    pub every: Option<Delay>,
    /// From a drop to the next attempt to connect.
    pub down_for: Delay,
    /// Executions whose device drops between IN_PROGRESS (or the request) and the answer.
    pub mid_command: Share,
}
