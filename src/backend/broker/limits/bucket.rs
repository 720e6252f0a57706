//! A token bucket on whole numbers: it holds what a second's rate allows, and fills evenly.

use crate::clock::Instant;

/// A token, in the parts of it that come in with every microsecond.
const PARTS: i64 = 1_000_000;

/// Full at first. Exact at any rate: levels are millionths of a token.
#[derive(Debug)]
pub(in crate::backend::broker) struct Bucket {
    per_s: u32,
    /// Millionths of a token; below zero if more was taken than there was.
    level: i64,
    at: Instant,
}

impl Bucket {
    /// A full bucket for `per_s` tokens a second.
    pub(in crate::backend::broker) fn new(per_s: u32, now: Instant) -> Self {
        Self { per_s, level: i64::from(per_s) * PARTS, at: now }
    }

    /// Takes a token if there is one.
    pub(in crate::backend::broker) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let is_there = self.level >= PARTS;
        if is_there {
            self.level -= PARTS;
        }
        is_there
    }

    /// Takes `count` tokens whether or not they are there; returns when none is owed any more, if that is not
    /// yet so.
    pub(in crate::backend::broker) fn take_on_credit(
        &mut self,
        count: usize,
        now: Instant,
    ) -> Option<Instant> {
        self.fill(now);
        let taken = i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(PARTS);
        self.level = self.level.saturating_sub(taken);
        if self.level >= 0 {
            return None;
        }
        // A rate of nothing would never pay: then it pays one a second.
        Some(now.plus_micros(self.level.unsigned_abs().div_ceil(u64::from(self.per_s.max(1)))))
    }

    fn fill(&mut self, now: Instant) {
        let capacity = i64::from(self.per_s) * PARTS;
        // Each microsecond brings as many millionths of a token as a second brings tokens.
        let since_us = i64::try_from(now.micros_since(self.at)).unwrap_or(i64::MAX);
        let more = since_us.saturating_mul(i64::from(self.per_s));
        self.level = self.level.saturating_add(more).min(capacity);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_micros(us)
    }

    #[test]
    fn a_second_of_tokens_is_there_at_once_and_then_they_come_one_by_one() {
        let mut bucket = Bucket::new(100, at(0));
        let burst = (0..200).filter(|_| bucket.take(at(0))).count();
        assert_eq!(burst, 100);
        let rows = [
            (9_999, false),
            (10_000, true),
            (10_000, false),
            (25_000, true),
            (30_000, true),
            (30_001, false),
        ];
        for (us, expected) in rows {
            assert_eq!(bucket.take(at(us)), expected, "at {us} µs");
        }
        let after_an_hour = (0..200).filter(|_| bucket.take(at(3_600_000_000))).count();
        assert_eq!(after_an_hour, 100, "never more than a second's worth");
    }

    #[test]
    fn credit_is_paid_back_at_the_rate() {
        let mut bucket = Bucket::new(512 * 1024, at(0));
        assert_eq!(bucket.take_on_credit(512 * 1024, at(0)), None);
        assert_eq!(bucket.take_on_credit(256 * 1024, at(0)), Some(at(500_000)));
        assert_eq!(bucket.take_on_credit(1, at(500_000)), Some(at(500_002)), "1.9 µs, rounded up");
        assert_eq!(bucket.take_on_credit(0, at(500_002)), None);
        assert!(bucket.take_on_credit(usize::MAX, at(500_002)).is_some(), "and no overflow");
    }

    #[test]
    fn a_clock_that_stands_or_is_read_late_gives_nothing_twice() {
        let mut bucket = Bucket::new(1, at(5_000_000));
        assert!(bucket.take(at(5_000_000)));
        assert!(!bucket.take(at(4_000_000)) && !bucket.take(at(5_999_999)));
        assert!(bucket.take(at(6_000_000)));
        assert_eq!(Bucket::new(0, at(0)).take_on_credit(1, at(0)), Some(at(1_000_000)));
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_its_rate_and_the_burst(
            per_s in 1u32..50,
            gaps in prop::collection::vec(0u64..200_000, 1..300),
        ) {
            let (mut bucket, mut now, mut taken) = (Bucket::new(per_s, at(0)), 0, Vec::new());
            for gap in gaps {
                now += gap;
                if bucket.take(at(now)) {
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, until) in taken.iter().enumerate().skip(first) {
                    let allowed = u64::from(per_s) + (until - from) * u64::from(per_s) / 1_000_000;
                    prop_assert!((last - first + 1) as u64 <= allowed, "{} in {} µs", last - first + 1, until - from);
                }
            }
        }
    }
}
