//! Sessions while their clients are away: how long, how many, and the wills that wait with them.
//!
//! Deadlines of sessions that have come back meanwhile are left in the queue and skipped. Not here: how a
//! session begins and ends (`lifecycle`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::lifecycle::NEVER_EXPIRES;
use super::session::{ConnectionNumber, SessionKey};
use super::will::{DueWill, OwnWill};
use super::{Broker, Host};
use crate::clock::{Deadlines, Instant};

/// Sessions that may be away at once: as many as the largest fleet has devices.
pub(super) const MAX_AWAY: usize = 1_000_000;

/// Memory of all sessions that are away: the fleet's million with their subscriptions, or half as many with
/// a command each.
pub(super) const MAX_AWAY_BYTES: usize = 1024 * 1024 * 1024;

/// What a session costs besides its subscriptions and messages (`benches/sessions.rs`), rounded up.
const SESSION_BYTES: usize = 512;

/// Below this many deadlines a sweep of the moot ones is not worth its walk.
const SWEEP_FROM: usize = 1024;

/// Deadlines in one turn under the lock: whoever waits for it does not notice.
const DUE_AT_ONCE: usize = 256;

/// The most there may be of sessions whose clients are away.
#[derive(Debug)]
pub(super) struct AwayBounds {
    pub(super) sessions: usize,
    pub(super) bytes: usize,
}

impl Default for AwayBounds {
    fn default() -> Self {
        Self { sessions: MAX_AWAY, bytes: MAX_AWAY_BYTES }
    }
}

/// The sessions whose clients are away.
#[derive(Debug, Default)]
pub(super) struct AwaySessions {
    pub(super) bounds: AwayBounds,
    /// By the number of their last connection's end: the oldest first.
    order: BTreeMap<u64, SessionKey>,
    departures: u64,
    bytes: usize,
    deadlines: Deadlines<(SessionKey, u64)>,
    /// Whether a deadline was entered that is sooner than what the timer sleeps for.
    is_early: bool,
    /// Wills whose time has come, for [`publish_due_wills`]: published at once by the task that ended the
    /// connection or the session, so no more than there are tasks that do that at the same time.
    due: VecDeque<DueWill>,
}

/// A session while its client is away.
#[derive(Debug)]
pub(super) struct Away {
    /// Which departure it was.
    departure: u64,
    /// Memory of the session and its subscriptions.
    fixed_bytes: usize,
    /// Memory of its messages.
    kept_bytes: usize,
    ends_at: Option<Instant>,
    will: Option<(Instant, OwnWill)>,
}

impl Away {
    fn bytes(&self) -> usize {
        self.fixed_bytes + self.kept_bytes + self.will.as_ref().map_or(0, |(_, will)| will.bytes())
    }
}

/// Publishes the wills whose time has come, through the host and without the lock.
pub(crate) fn publish_due_wills<H: Host>(host: &H) {
    while let Some(DueWill { from, will }) = host.with_broker(|broker| broker.away.due.pop_front()) {
        if let Some(publish) = will.publish() {
            host.publish(&from, &publish);
        }
    }
}

impl Broker {
    /// Ends sessions and releases wills whose time has come, a bounded number at once; returns whether
    /// there may be more. [`publish_due_wills`] is to follow.
    pub(crate) fn time_out_due(&mut self) -> bool {
        let now = self.clock.now();
        for _ in 0..DUE_AT_ONCE {
            let Some((_, (key, departure))) = self.away.deadlines.pop_due(now) else { return false };
            self.fall_due(key, departure, now);
        }
        true
    }

    /// When [`Broker::time_out_due`] has something to do, or a will is to be published.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.away.due.is_empty() { self.away.deadlines.next() } else { Some(Instant::START) }
    }

    /// Whether the timer sleeps too long now; asking forgets it.
    pub(crate) fn take_timer_is_early(&mut self) -> bool {
        std::mem::take(&mut self.away.is_early)
    }

    /// A message was kept, and its session now keeps `kept_bytes`: of interest if its client is away.
    pub(super) fn grew(&mut self, key: SessionKey, kept_bytes: usize) {
        let away =
            self.slots.get_mut(key.index()).and_then(Option::as_mut).and_then(|slot| slot.away.as_mut());
        if let Some(away) = away {
            self.away.bytes = self.away.bytes - away.kept_bytes + kept_bytes;
            away.kept_bytes = kept_bytes;
        }
    }

    /// Ends the oldest sessions that are away while there are too many of them, or too much in them.
    pub(super) fn make_room_away(&mut self) {
        while self.away.bytes > self.away.bounds.bytes || self.away.order.len() > self.away.bounds.sessions {
            let Some((_, key)) = self.away.order.first_key_value() else { return };
            let lost = self.end_session(*key);
            self.tally.sessions_evicted.add(1);
            self.tally.evicted.add(lost);
        }
    }

    /// A client whose session is away is back; a will that was to wait for that is forgotten with what
    /// this returns.
    pub(super) fn come_back(&mut self, key: SessionKey) -> Option<Box<Away>> {
        let slot = self.slots.get_mut(key.index()).and_then(Option::as_mut)?;
        let away = slot.away.take()?;
        self.away.order.remove(&away.departure);
        self.away.bytes -= away.bytes();
        Some(away)
    }

    pub(super) fn go_away(&mut self, key: SessionKey, will: Option<OwnWill>) {
        let Some(slot) = self.slots.get_mut(key.index()).and_then(Option::as_mut) else { return };
        let now = self.clock.now();
        let after = |seconds: u32| now.plus_micros(u64::from(seconds) * 1_000_000);
        let ends_at = (slot.expiry_s != NEVER_EXPIRES).then(|| after(slot.expiry_s));
        let will = will.map(|will| (after(will.delay_s), will));
        self.away.departures += 1;
        let departure = self.away.departures;
        let kept_bytes = slot.session.detach();
        let fixed_bytes = SESSION_BYTES + slot.record.bytes();
        let will_at = will.as_ref().map(|(at, _)| *at);
        slot.connection = ConnectionNumber::NONE;
        let away = Box::new(Away { departure, fixed_bytes, kept_bytes, ends_at, will });
        self.away.bytes += away.bytes();
        slot.away = Some(away);
        self.connections -= 1;
        self.away.order.insert(departure, key);
        if let Some(at) = ends_at.into_iter().chain(will_at).min() {
            self.enter_deadline(at, key, departure);
        }
        self.make_room_away();
    }

    fn enter_deadline(&mut self, at: Instant, key: SessionKey, departure: u64) {
        let AwaySessions { order, deadlines, is_early, .. } = &mut self.away;
        *is_early |= deadlines.push(at, (key, departure));
        if deadlines.len() > SWEEP_FROM.max(2 * order.len()) {
            deadlines.retain(|(_, departure)| order.contains_key(departure));
        }
    }

    /// The deadline of a departure has come: its will is due, or its session ends, or both.
    fn fall_due(&mut self, key: SessionKey, departure: u64, now: Instant) {
        let Some(slot) = self.slots.get_mut(key.index()).and_then(Option::as_mut) else { return };
        let Some(away) = slot.away.as_mut().filter(|away| away.departure == departure) else { return };
        if away.ends_at.is_some_and(|at| at <= now) {
            let lost = self.end_session(key);
            self.tally.sessions_expired.add(1);
            self.tally.lost_with_session.add(lost);
            return;
        }
        let ends_at = away.ends_at;
        if let Some((_, will)) = away.will.take_if(|(at, _)| *at <= now) {
            self.away.bytes -= will.bytes();
            let from = Arc::clone(slot.session.client_id());
            self.will_is_due(&from, Some(will));
        }
        if let Some(at) = ends_at {
            self.enter_deadline(at, key, departure);
        }
    }

    /// Ends an absent client's session, or publishes its will, if the time for it has come.
    pub(super) fn end_what_is_due(&mut self, key: SessionKey) {
        let now = self.clock.now();
        let away = self.slots.get(key.index()).and_then(Option::as_ref).and_then(|slot| slot.away.as_ref());
        let Some(away) = away else { return };
        let will_at = away.will.as_ref().map(|(at, _)| *at);
        if [away.ends_at, will_at].into_iter().flatten().any(|at| at <= now) {
            self.fall_due(key, away.departure, now);
        }
    }

    /// A session that ends waits no longer, and neither does its will.
    pub(super) fn waits_no_longer(&mut self, key: SessionKey) {
        let Some(slot) = self.slots.get_mut(key.index()).and_then(Option::as_mut) else { return };
        let from = Arc::clone(slot.session.client_id());
        if let Some(away) = self.come_back(key) {
            self.will_is_due(&from, away.will.map(|(_, will)| will));
        }
    }

    /// A will is to be published as soon as the lock is free.
    pub(super) fn will_is_due(&mut self, from: &Arc<str>, will: Option<OwnWill>) {
        if let Some(will) = will {
            self.away.due.push_back(DueWill { from: Arc::clone(from), will });
            self.away.is_early = true;
        }
    }
}
