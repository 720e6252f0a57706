//! What happens at instants of the load: storms, silences, slow stretches, outages of the backend.

use std::time::Duration;

use crate::units::Share;

/// One of the events in `timeline`.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEvent {
    /// When, counted from the start of the load.
    pub at: Duration,
    /// What happens.
    pub action: TimelineAction,
    /// Groups it happens to, as indices into [`super::Scenario::groups`], ascending; never empty. All of
    /// them where it happens to the backend.
    pub groups: Vec<usize>,
    /// How many of their devices.
    pub share: Share,
    /// How long it lasts; zero only for a disconnect, after which devices come back at once.
    pub lasts: Duration,
}

/// What can happen at an instant of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimelineAction {
    /// Devices lose their connections without a word, and begin to reconnect when it is over.
    Disconnect,
    /// Devices hold what they get and answer nothing; afterwards they answer what they hold.
    Silence,
    /// What devices begin to treat meanwhile takes them longer.
    Slow {
        /// By which their delays grow; 1 to 1,000.
        times: f64,
    },
    /// The embedded backend reads nothing, sends nothing and times nothing out; connections stay.
    BackendStall,
    /// The embedded backend ends every connection and refuses new ones until it is over.
    BackendRestart,
}

impl TimelineAction {
    /// The value of `timeline[].do`.
    pub const fn name(self) -> &'static str {
        match self {
            TimelineAction::Disconnect => "disconnect",
            TimelineAction::Silence => "silence",
            TimelineAction::Slow { .. } => "slow",
            TimelineAction::BackendStall => "backend_stall",
            TimelineAction::BackendRestart => "backend_restart",
        }
    }

    /// Whether it happens to the backend, and so to no device by itself.
    pub const fn is_of_backend(self) -> bool {
        matches!(self, TimelineAction::BackendStall | TimelineAction::BackendRestart)
    }
}
