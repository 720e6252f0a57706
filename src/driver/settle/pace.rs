//! How fast records are read back from a target outside: reading must keep up with the load and not be one.
//! Pure.

use std::cell::Cell;

use crate::clock::Instant;
use crate::units::MICROS_PER_SECOND;

/// Records that all shards together read in a second, beside one for each start: what waits after the
/// load is read at this rate, and what is still open is looked at again.
const PER_SECOND: u64 = 1_000;
/// Reads that starts may leave over: a pause of reading must not be followed by a burst.
const MAX_CREDIT: u64 = 1_000;
/// The pause after the first refusal of a busy target; doubles with each.
const FIRST_PAUSE_US: u64 = 100_000;
/// The longest pause.
const MAX_PAUSE_US: u64 = 5_000_000;
/// How long nobody is asked after a connection failed: thousands of records must not each wait for a
/// time-out of their own.
const DOWN_US: u64 = 1_000_000;
/// A target that could not be reached for so long is gone: its records are waited for no more, or the run
/// would drain for seconds with each of them. A restart takes less.
const GONE_US: u64 = 10_000_000;

/// The pace of one shard's settle lanes: at most 1,000 records a second over all shards, and one for each
/// start; slower while the target says that it is busy.
#[derive(Debug)]
pub struct Pace {
    us_per_read: u64,
    /// When the next read is due by time alone.
    due: Cell<Instant>,
    /// Reads that starts have paid for.
    credit: Cell<u64>,
    starts_seen: Cell<u64>,
    paused_until: Cell<Instant>,
    down_until: Cell<Instant>,
    /// Since when no answer has come.
    down_since: Cell<Option<Instant>>,
}

impl Pace {
    /// The pace of one of so many shards.
    pub fn new(shards: usize) -> Self {
        Self {
            us_per_read: MICROS_PER_SECOND * (shards.max(1) as u64) / PER_SECOND,
            due: Cell::new(Instant::START),
            credit: Cell::new(0),
            starts_seen: Cell::new(0),
            paused_until: Cell::new(Instant::START),
            down_until: Cell::new(Instant::START),
            down_since: Cell::new(None),
        }
    }

    /// Takes the next turn; when it is. `starts` is how many executions the shard has started so far.
    pub fn turn(&self, now: Instant, starts: u64) -> Instant {
        let new = starts.saturating_sub(self.starts_seen.replace(starts));
        let credit = self.credit.get().saturating_add(new).min(MAX_CREDIT);
        let at = if let Some(rest) = credit.checked_sub(1) {
            self.credit.set(rest);
            now
        } else {
            let at = self.due.get().max(now);
            self.due.set(at.plus_micros(self.us_per_read));
            at
        };
        at.max(self.paused_until.get())
    }

    /// The target refused its `attempt`-th read of a record because it is busy.
    pub fn slow_down(&self, now: Instant, attempt: u32) {
        let pause_us = FIRST_PAUSE_US.saturating_mul(1 << attempt.min(16)).min(MAX_PAUSE_US);
        self.paused_until.set(self.paused_until.get().max(now.plus_micros(pause_us)));
    }

    /// The target cannot be reached.
    pub fn down(&self, now: Instant) {
        self.down_until.set(now.plus_micros(DOWN_US));
        self.down_since.set(self.down_since.get().or(Some(now)));
    }

    /// The target has answered.
    pub fn up(&self) {
        self.down_since.set(None);
    }

    /// When it may be asked again after it could not be reached; `None` = now.
    pub fn asks_again(&self, now: Instant) -> Option<Instant> {
        Some(self.down_until.get()).filter(|until| now < *until)
    }

    /// Whether it could not be reached for so long that nobody waits for it any more.
    pub fn is_gone(&self, now: Instant) -> bool {
        self.down_since.get().is_some_and(|since| now.micros_since(since) >= GONE_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn without_starts_a_thousand_records_are_read_in_a_second() {
        let pace = Pace::new(1);
        let last = (0..1000).map(|_| pace.turn(at(50), 0)).max();
        assert_eq!(last, Some(at(50 + 999)));
        let halves = Pace::new(2);
        assert_eq!((0..500).map(|_| halves.turn(at(0), 0)).max(), Some(at(998)), "two shards share it");
    }

    #[test]
    fn every_start_pays_for_a_read() {
        let pace = Pace::new(1);
        assert!((0..300).all(|_| pace.turn(at(7), 300) == at(7)), "as many at once as were started");
        assert_eq!((pace.turn(at(7), 300), pace.turn(at(7), 300)), (at(7), at(8)));
        assert!((0..MAX_CREDIT).all(|_| pace.turn(at(9), 100_000) == at(9)));
        assert!(
            (0..2).map(|_| pace.turn(at(9), 100_000)).max() > Some(at(9)),
            "an hour of credit is no burst"
        );
    }

    #[test]
    fn a_busy_target_is_asked_less_and_less() {
        let pace = Pace::new(1);
        for (attempt, pause_ms) in [(0, 100), (1, 200), (5, 3200), (6, 5000), (60, 5000)] {
            let now = at(100_000 * u64::from(attempt + 1));
            pace.slow_down(now, attempt);
            assert_eq!(pace.turn(now, 0), now.plus_micros(pause_ms * 1000), "attempt {attempt}");
        }
    }

    #[test]
    fn a_target_that_is_down_is_not_asked_for_a_second_and_gone_after_ten() {
        let pace = Pace::new(1);
        pace.down(at(10));
        assert_eq!((pace.asks_again(at(1009)), pace.asks_again(at(1010))), (Some(at(1010)), None));
        pace.down(at(9_500));
        assert!(!pace.is_gone(at(10_009)) && pace.is_gone(at(10_010)), "counted from the first failure");
        pace.up();
        assert!(!pace.is_gone(at(10_010)), "an answer ends it");
    }
}
