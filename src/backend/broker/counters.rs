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
    /// Connections now.
    pub connections: u64,
    /// Connections ever begun.
    pub connections_total: u64,
    /// Sessions now, those whose clients are away included.
    pub sessions: u64,
    /// Connections that found the session of an earlier one.
    pub sessions_resumed: u64,
    /// Sessions whose client did not come back in time.
    pub sessions_expired: u64,
    /// Sessions that ended to make room while their clients were away.
    pub sessions_evicted: u64,
    /// Subscriptions now.
    pub subscriptions: u64,
    /// Retained messages now.
    pub retained: u64,
    /// Messages that were not retained because there is no room for more.
    pub dropped_retained: u64,
    /// Messages that clients have published.
    pub messages_in: u64,
    /// Messages put into out-buffers for the first time.
    pub messages_out: u64,
    /// Messages put into out-buffers again, after the client had come back.
    pub redelivered: u64,
    /// Messages that had to wait for a client: it was away, or had its hands full.
    pub kept: u64,
    /// Messages a session did not get because its out-buffer was full: its client reads too slowly.
    pub dropped_buffer_full: u64,
    /// Messages a session did not get because it kept as many as it may.
    pub dropped_queue_full: u64,
    /// Messages larger than their client takes: discarded as if it had got them (MQTT 5, 3.1.2.11.4).
    pub dropped_too_large: u64,
    /// Messages that are no PUBLISH (a topic of more than 65,535 bytes).
    pub dropped_unwritable: u64,
    /// Messages that were discarded because they came or went faster than the limits allow.
    pub over_rate: u64,
    /// Connections closed, and filters refused, because of a limit.
    pub over_limit: u64,
    /// Messages of QoS 0 for clients that were away; only QoS 1 waits.
    pub missed_away: u64,
    /// Messages that expired before they could be delivered.
    pub expired: u64,
    /// Messages that were kept and never sent when their session ended in its own time: it expired, or its
    /// client wanted a new one.
    pub lost_with_session: u64,
    /// Messages that were kept and never sent when their session had to make room.
    pub dropped_evicted: u64,
    /// Connections that ended because the client connected again.
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
    /// Messages that were due to a session and that no client will get, for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped_buffer_full + self.dropped_queue_full + self.dropped_evicted + self.dropped_unwritable
    }
}

/// The counts themselves.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) messages_in: Count,
    pub(super) messages_out: Count,
    pub(super) redelivered: Count,
    pub(super) kept: Count,
    buffer_full: Count,
    queue_full: Count,
    too_large: Count,
    unwritable: Count,
    pub(super) over_rate: Count,
    pub(super) over_limit: Count,
    pub(super) missed_away: Count,
    pub(super) expired: Count,
    pub(super) lost_with_session: Count,
    pub(super) evicted: Count,
    pub(super) sessions_resumed: Count,
    pub(super) sessions_expired: Count,
    pub(super) sessions_evicted: Count,
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
            Refusal::QueueFull => self.queue_full.add(1),
            Refusal::TooFast => self.over_rate.add(1),
            Refusal::TooLarge => self.too_large.add(1),
            Refusal::Unwritable => self.unwritable.add(1),
        }
    }

    pub(super) fn violated(&self, violation: Violation) {
        self.violations.add(1);
        *self.last_violation.lock() = Some(violation);
    }

    /// The totals; the levels are the broker's to add.
    pub(super) fn read(&self) -> BrokerCounters {
        BrokerCounters {
            messages_in: self.messages_in.get(),
            messages_out: self.messages_out.get(),
            redelivered: self.redelivered.get(),
            kept: self.kept.get(),
            dropped_buffer_full: self.buffer_full.get(),
            dropped_queue_full: self.queue_full.get(),
            dropped_too_large: self.too_large.get(),
            dropped_unwritable: self.unwritable.get(),
            over_rate: self.over_rate.get(),
            over_limit: self.over_limit.get(),
            missed_away: self.missed_away.get(),
            expired: self.expired.get(),
            lost_with_session: self.lost_with_session.get(),
            dropped_evicted: self.evicted.get(),
            sessions_resumed: self.sessions_resumed.get(),
            sessions_expired: self.sessions_expired.get(),
            sessions_evicted: self.sessions_evicted.get(),
            takeovers: self.takeovers.get(),
            violations: self.violations.get(),
            last_violation: *self.last_violation.lock(),
            refused_connects: self.refused_connects.get(),
            silent: self.silent.get(),
            ..BrokerCounters::default()
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
