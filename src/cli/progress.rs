//! Progress lines for a run without a screen.

use std::time::Duration;

use crate::report;
use crate::run::Snapshots;
use crate::stats::{Phase, Snapshot};

use super::console::Console;

/// Prints events as they come and a line every `interval`, until the run's sender is gone.
pub(super) fn print(mut snapshots: Snapshots, interval: Duration, console: Console) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    runtime.block_on(async move {
        let mut printer = Printer { console, interval, events: 0, next: Duration::ZERO };
        while snapshots.changed().await.is_ok() {
            let snapshot = snapshots.borrow_and_update().clone();
            if let Some(snapshot) = snapshot {
                printer.print(&snapshot);
            }
        }
    });
}

struct Printer {
    console: Console,
    interval: Duration,
    /// Events printed so far.
    events: usize,
    /// When the next line is due, on the run's clock.
    next: Duration,
}

impl Printer {
    fn print(&mut self, snapshot: &Snapshot) {
        for event in snapshot.events.iter().skip(self.events) {
            self.console.err(&report::event_line(event));
        }
        self.events = snapshot.events.len();
        // The summary says how it ended.
        if snapshot.elapsed >= self.next && snapshot.phase != Phase::Done {
            self.console.err(&report::progress_line(snapshot, self.interval));
            self.next = snapshot.elapsed + self.interval;
        }
    }
}
