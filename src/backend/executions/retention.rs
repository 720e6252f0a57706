//! Which executions may be forgotten, and when.
//!
//! Ended ones are remembered up to a number, oldest out first. One that the cloud timed out may
//! still be answered; it counts as ended an hour later. Open ones are never forgotten, so there is a
//! most of them, too. What devices and callers attach (results, reasons, parameters) is bounded in
//! bytes.

use std::collections::VecDeque;
use std::time::Duration;

use super::Key;
use crate::clock::Instant;

/// The bounds of the store.
#[derive(Debug, Clone, Copy)]
pub(in crate::backend) struct Limits {
    /// Ended executions that are remembered.
    pub ended: usize,
    /// Executions that have not ended.
    pub not_ended: usize,
    /// Bytes on the heap beside the records.
    pub bytes: usize,
    /// How long one that the cloud timed out counts as not ended.
    pub timed_out_for: Duration,
}

impl Limits {
    /// Ended ones: 8 minutes at 2,000 executions per second, which settling has to be ahead of. About
    /// 350 bytes each, maps included, so at most 0.7 GB together with as many that have not ended;
    /// attachments may take another half GiB.
    pub const DEFAULT: Limits = Limits {
        ended: 1_000_000,
        not_ended: 1_000_000,
        bytes: 512 * 1024 * 1024,
        timed_out_for: Duration::from_hours(1),
    };
}

/// The queues behind the limits.
#[derive(Debug)]
pub(super) struct Retention {
    limits: Limits,
    /// Slots of ended executions, oldest first.
    ended: VecDeque<u32>,
    /// Executions that the cloud timed out, oldest first; some may have been answered since.
    timed_out: VecDeque<(Instant, Key)>,
    bytes: usize,
    evicted: u64,
}

impl Retention {
    pub fn new(limits: Limits) -> Self {
        Self { limits, ended: VecDeque::new(), timed_out: VecDeque::new(), bytes: 0, evicted: 0 }
    }

    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many are remembered though they have ended.
    pub fn ended(&self) -> usize {
        self.ended.len()
    }

    /// Whether one more that has not ended fits, with `bytes` on the heap.
    pub fn has_room(&self, not_ended: usize, bytes: usize) -> bool {
        not_ended < self.limits.not_ended && self.bytes + bytes <= self.limits.bytes
    }

    /// Whether one has to go before another may end.
    pub fn is_full(&self) -> bool {
        // At least one is remembered, or the one that just ended could not be replied about.
        self.ended.len() >= self.limits.ended.max(1)
    }

    /// Books that a record changed its size on the heap.
    pub fn resize(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes - before + after;
    }

    /// Enters an ended execution.
    pub fn end(&mut self, slot: u32) {
        self.ended.push_back(slot);
    }

    /// Enters an execution that the cloud timed out.
    pub fn timed_out(&mut self, now: Instant, key: Key) {
        self.timed_out.push_back((now.plus(self.limits.timed_out_for), key));
    }

    /// Takes one that was timed out long enough ago.
    pub fn pop_aged(&mut self, now: Instant) -> Option<Key> {
        self.timed_out.front().filter(|(ended_at, _)| *ended_at <= now)?;
        self.timed_out.pop_front().map(|(_, key)| key)
    }

    /// Whether most of those that were timed out have been answered since; `waiting` have not.
    pub fn has_moot_waiters(&self, waiting: usize) -> bool {
        /// Below this many a sweep is not worth its walk.
        const SWEEP_FROM: usize = 1024;
        self.timed_out.len() > SWEEP_FROM.max(2 * waiting)
    }

    /// Drops the timed-out ones for which `keep` is false.
    pub fn keep_waiters(&mut self, keep: impl Fn(Key) -> bool) {
        self.timed_out.retain(|(_, key)| keep(*key));
    }

    /// Takes the ended execution that is to be forgotten next.
    pub fn pop_oldest(&mut self) -> Option<u32> {
        let slot = self.ended.pop_front()?;
        self.evicted += 1;
        Some(slot)
    }

    #[cfg(test)]
    pub fn waiters(&self) -> usize {
        self.timed_out.len()
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
