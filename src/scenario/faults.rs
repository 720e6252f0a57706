//! What the embedded backend does wrong by plan.

use crate::dist::Delay;
use crate::protocol::ErrorKind;
use crate::units::{Rate, Share};

/// `target.embedded.faults`; nothing by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    /// StartCommandExecution.
    pub start: CallFaults,
    /// GetCommand and GetCommandExecution over HTTP.
    pub get: CallFaults,
    /// CreateCommand.
    pub create: CallFaults,
    /// The requests that devices get.
    pub publishes: PublishFaults,
}

/// Faults of one operation of the API.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallFaults {
    /// Added to every call that is not throttled.
    pub latency: Option<Delay>,
    /// Errors and their shares of the calls, in total at most all of them.
    pub errors: Vec<(ErrorKind, Share)>,
    /// What exceeds it, and a burst of one second's worth, is throttled; more than zero.
    pub rate: Option<Rate>,
}

/// Faults of the requests that devices get.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PublishFaults {
    /// Requests that are never published.
    pub dropped: Option<Share>,
    /// Requests that are published late, and by how much.
    pub delayed: Option<(Share, Delay)>,
}
