//! One queue of time-outs for all executions.
//!
//! An execution that ends leaves its entry behind; moot entries are skipped when they fall due and
//! swept when they are most of the queue, so the queue stays within twice the open executions.

use super::executions::Key;
use crate::clock::{Deadlines, Instant};

/// Below this many entries a sweep is not worth its walk.
const SWEEP_FROM: usize = 1024;

/// The time-outs of executions.
#[derive(Debug, Default)]
pub(super) struct Timers {
    deadlines: Deadlines<Key>,
}

impl Timers {
    /// Enters a time-out; returns whether it is now the soonest, so that the sleeper must be woken.
    pub fn arm(&mut self, at: Instant, key: Key) -> bool {
        self.deadlines.push(at, key)
    }

    /// The soonest entry, moot or not.
    pub fn next(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Takes the soonest entry that is due, moot or not, with its deadline.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Key)> {
        self.deadlines.pop_due(now)
    }

    /// Drops the moot entries if they are most of them; `open` is how many executions can time out.
    pub fn sweep(&mut self, open: usize, is_open: impl Fn(Key) -> bool) {
        if self.deadlines.len() > SWEEP_FROM.max(2 * open) {
            self.deadlines.retain(|key| is_open(*key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moot_time_outs_are_swept_when_they_are_most() {
        let mut timers = Timers::default();
        let keys: Vec<Key> = (0..5_000).map(Key::for_test).collect();
        for (n, key) in keys.iter().enumerate() {
            // Every hundredth stays open.
            timers.arm(Instant::from_micros(n as u64), *key);
            let open = |key: Key| keys.iter().position(|k| *k == key).unwrap() % 100 == 0;
            timers.sweep(n / 100, open);
            assert!(timers.deadlines.len() <= SWEEP_FROM + 1);
        }
        let due: Vec<Key> =
            std::iter::from_fn(|| timers.pop_due(Instant::from_micros(10_000)).map(|(_, key)| key)).collect();
        assert!(keys.iter().step_by(100).all(|open| due.contains(open)));
    }
}
