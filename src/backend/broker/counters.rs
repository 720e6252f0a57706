//! What the broker counts: as plain numbers for readers, and as atomics for the tasks that count
//! without its lock.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::session::Refusal;
use crate::clock::Instant;
use crate::mqtt::Violation;

/// The state of the broker in numbers; totals are since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BrokerCounters {
    /// When they were read: rates come from two readings.
    pub at: Instant,
    /// Sessions now.
    pub connections: u64,
    /// Sessions ever begun.
    pub connections_total: u64,
    /// Subscriptions now.
    pub subscriptions: u64,
    /// Messages that clients have published.
    pub messages_in: u64,
    /// Messages put into out-buffers.
    pub messages_out: u64,
    /// Messages a session did not get because its out-buffer was full: its client reads too slowly.
    pub dropped_buffer_full: u64,
    /// Messages a session did not get because too many were unacknowledged.
    pub dropped_in_flight_full: u64,
    /// Messages that are no PUBLISH (a topic of more than 65,535 bytes).
    pub dropped_unwritable: u64,
    /// Sessions that ended because the client connected again.
    pub takeovers: u64,
    /// Connections closed because of what they sent.
    pub violations: u64,
    /// What the last of them was.
    pub last_violation: Option<Violation>,
    /// CONNECTs answered with a refusal.
    pub refused_connects: u64,
    /// Connections closed because nothing, or no CONNECT, came in time.
    pub silent: u64,
}

impl BrokerCounters {
    /// Messages that were due to a session and did not reach its out-buffer.
    pub fn dropped(&self) -> u64 {
        self.dropped_buffer_full + self.dropped_in_flight_full + self.dropped_unwritable
    }
}

/// The counts themselves.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) messages_in: Count,
    pub(super) messages_out: Count,
    buffer_full: Count,
    in_flight_full: Count,
    unwritable: Count,
    pub(super) takeovers: Count,
    violations: Count,
    last_violation: Mutex<Option<Violation>>,
    pub(super) refused_connects: Count,
    pub(super) silent: Count,
}

impl Tally {
    pub(super) fn dropped(&self, refusal: Refusal) {
        match refusal {
            Refusal::BufferFull => self.buffer_full.add(1),
            Refusal::InFlightFull => self.in_flight_full.add(1),
            Refusal::Unwritable => self.unwritable.add(1),
        }
    }

    pub(super) fn violated(&self, violation: Violation) {
        self.violations.add(1);
        *self.last_violation.lock() = Some(violation);
    }

    pub(super) fn read(
        &self,
        at: Instant,
        connections: u64,
        connections_total: u64,
        subscriptions: u64,
    ) -> BrokerCounters {
        BrokerCounters {
            at,
            connections,
            connections_total,
            subscriptions,
            messages_in: self.messages_in.get(),
            messages_out: self.messages_out.get(),
            dropped_buffer_full: self.buffer_full.get(),
            dropped_in_flight_full: self.in_flight_full.get(),
            dropped_unwritable: self.unwritable.get(),
            takeovers: self.takeovers.get(),
            violations: self.violations.get(),
            last_violation: *self.last_violation.lock(),
            refused_connects: self.refused_connects.get(),
            silent: self.silent.get(),
        }
    }
}

/// A number that only grows. Relaxed: nothing else is inferred from it.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
