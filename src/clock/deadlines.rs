//! Many deadlines behind one timer: a queue ordered by instant, then by order of entry.
//!
//! Entries are not removed when they become moot (an execution ended before its time-out); the
//! owner skips them when they fall due, and sweeps with [`Deadlines::retain`] when most are moot.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Instant;

/// Deadlines with what is to happen at each, soonest first; equal instants keep their order of entry.
#[derive(Debug)]
pub struct Deadlines<T> {
    heap: BinaryHeap<Entry<T>>,
    entered: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Instant,
    order: u64,
    what: T,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), entered: 0 }
    }
}

impl<T> Deadlines<T> {
    /// Enters `what` for `at`. Returns whether it is now the soonest, so that a sleeper must be woken.
    pub fn push(&mut self, at: Instant, what: T) -> bool {
        let soonest = self.next().is_none_or(|next| at < next);
        self.heap.push(Entry { at, order: self.entered, what });
        self.entered += 1;
        soonest
    }

    /// The soonest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// Takes the soonest entry that is due at `now`, with its deadline.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }

    /// How many entries there are, moot ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Drops the entries for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.heap.retain(|entry| keep(&entry.what));
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // BinaryHeap is a max-heap; the soonest must be the greatest.
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_comes_first_and_equal_ones_in_order_of_entry() {
        let mut deadlines = Deadlines::default();
        let at = Instant::from_micros;
        assert!(deadlines.push(at(20), "b"));
        assert!(deadlines.push(at(10), "a"));
        assert!(!deadlines.push(at(20), "c"));
        assert_eq!(deadlines.pop_due(at(9)), None);
        assert_eq!(deadlines.pop_due(at(30)), Some((at(10), "a")));
        assert_eq!(deadlines.pop_due(at(30)), Some((at(20), "b")));
        assert_eq!(deadlines.pop_due(at(30)), Some((at(20), "c")));
        assert!(deadlines.is_empty());
    }

    #[test]
    fn a_sweep_keeps_the_order_of_what_stays() {
        let mut deadlines = Deadlines::default();
        for n in 0..10u64 {
            deadlines.push(Instant::from_micros(100 - n), n);
        }
        deadlines.retain(|n| n % 2 == 0);
        let left: Vec<u64> =
            std::iter::from_fn(|| deadlines.pop_due(Instant::from_micros(1000)).map(|(_, n)| n)).collect();
        assert_eq!(left, [8, 6, 4, 2, 0]);
    }
}
