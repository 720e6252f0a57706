//! Real time that has passed, whatever a run's clock says.
//!
//! For what people see while virtual time runs: how often a picture of it is due, and how much faster
//! than real it is. Nothing that a result may depend on.

#![expect(clippy::disallowed_types, reason = "the one clock that must not be paused")]

use std::time::Duration;

/// Measures real time from when it was started, on a paused runtime too.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    started: std::time::Instant,
}

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "must not be paused")]
    pub fn start() -> Self {
        Self { started: std::time::Instant::now() }
    }

    /// Real time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
