//! How often people get to see a run: once a second, of the run or of real time.
//!
//! A virtual day has 86,400 seconds and takes one or two minutes; nobody can look at every one of
//! them, and making their pictures would take longer than the day. What is skipped here is a picture
//! only: every second is merged and has its point in the series.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Stopwatch};
use crate::stats::Snapshot;

/// Real time between two pictures of virtual time: as smooth as a screen needs.
const VIRTUAL_INTERVAL: Duration = Duration::from_millis(250);

/// Where snapshots go, and which.
pub(super) struct Pictures<'a> {
    snapshots: &'a watch::Sender<Option<Arc<Snapshot>>>,
    /// Real time, if the run has another.
    stopwatch: Option<Stopwatch>,
    /// When the next picture of a virtual run is due, in real time.
    next: Duration,
}

impl<'a> Pictures<'a> {
    pub fn new(
        snapshots: &'a watch::Sender<Option<Arc<Snapshot>>>,
        clock: Clock,
        stopwatch: Stopwatch,
    ) -> Self {
        Self { snapshots, stopwatch: clock.is_virtual().then_some(stopwatch), next: Duration::ZERO }
    }

    /// Whether one is due; asking counts as taking it.
    pub fn is_due(&mut self) -> bool {
        let Some(stopwatch) = self.stopwatch else { return true };
        let now = stopwatch.elapsed();
        let due = now >= self.next;
        if due {
            self.next = now + VIRTUAL_INTERVAL;
        }
        due
    }

    /// Shows it to whoever looks.
    pub fn show(&self, mut snapshot: Snapshot) {
        snapshot.wall_elapsed = self.stopwatch.map(|stopwatch| stopwatch.elapsed());
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
    }
}
