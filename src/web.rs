//! What a browser or Prometheus sees of a run that goes on.
//!
//! `server` is the bounded HTTP server on a thread of its own, `page` the live page. What it serves are routes that read snapshots:
//! they can slow nothing but themselves.

pub mod metrics;
pub mod page;
pub mod server;

use std::sync::Arc;

use tokio::sync::watch;

use crate::scenario::Scenario;
use crate::stats::Snapshot;

pub use server::Server;

/// A run as whoever looks from outside sees it.
#[derive(Debug, Clone)]
pub struct Watched {
    /// What is run.
    pub scenario: Arc<Scenario>,
    /// The seed that is used, given or drawn.
    pub seed: u64,
    /// Whether time is simulated.
    pub is_virtual: bool,
    /// The newest snapshot; none before the first.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
}
