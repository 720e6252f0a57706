//! What was counted and timed since it was last emptied: how a capacity search sees one step alone.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Instant;
use crate::stats::{CpuUse, Part, Shape, Statistics};

/// A part of a run's statistics.
#[derive(Debug)]
pub(super) struct Meter {
    pub statistics: Statistics,
    /// The longest time that a shard's report was missing.
    pub report_gap: Duration,
    /// Processor time counts between these.
    held: (Instant, Instant),
    cpu: CpuUse,
    seconds: u32,
}

impl Meter {
    /// An empty one; processor time counts in seconds within `from` and `until`.
    pub fn new(shape: Arc<Shape>, from: Instant, until: Instant) -> Self {
        Self {
            statistics: Statistics::new(shape),
            report_gap: Duration::ZERO,
            held: (from, until),
            cpu: CpuUse::default(),
            seconds: 0,
        }
    }

    /// Adds the seconds from `begin` to `end`.
    pub fn add(&mut self, statistics: &Statistics, cpu: CpuUse, begin: Instant, end: Instant) {
        self.statistics.add(statistics);
        if begin >= self.held.0 && end <= self.held.1 {
            self.seconds += 1;
            self.cpu.busiest_shard = self.cpu.busiest_shard.max(cpu.busiest_shard);
            self.cpu.generator += cpu.generator;
            self.cpu.backend += cpu.backend;
        }
    }

    /// The busiest second of the busiest thread, and means of the others.
    pub fn cpu(&self) -> CpuUse {
        let seconds = f64::from(self.seconds.max(1));
        CpuUse {
            busiest_shard: self.cpu.busiest_shard,
            generator: self.cpu.generator / seconds,
            backend: self.cpu.backend / seconds,
        }
    }

    /// Executions that fell due, and those of them that are not decided.
    pub fn due_and_open(&self) -> (u64, u64) {
        let mut counts = self.statistics.sum(Part::Measured, None, None);
        counts.add(&self.statistics.sum(Part::WarmUp, None, None));
        (counts.due, counts.open())
    }
}
