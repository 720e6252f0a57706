//! Merged counts as the buckets that Prometheus knows.

use prometheus_client::encoding::{NativeHistogram, NativeHistogramBuckets};

/// Upper bounds of the classic buckets, in µs: from what a generator may lag to the longest time-out.
const BOUNDS_US: [u64; 26] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
    7_200_000_000,
    21_600_000_000,
    46_800_000_000,
];
/// Eight native buckets for each doubling: 9 % wide.
const SCHEMA: i32 = 3;
/// Nothing is so short; it has to be named all the same.
const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// How often something took how long.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distribution {
    count: u64,
    sum_us: u128,
    /// By bound; what is beyond the last one is in `count` only.
    classic: [u64; BOUNDS_US.len()],
    /// By index.
    native: std::collections::BTreeMap<i32, u64>,
}

impl Distribution {
    /// Adds spans of `us` microseconds.
    pub fn add(&mut self, us: u64, count: u64) {
        self.count += count;
        self.sum_us += u128::from(us) * u128::from(count);
        if let Some(bucket) = BOUNDS_US.iter().position(|bound| us <= *bound) {
            self.classic[bucket] += count;
        }
        *self.native.entry(index(us)).or_default() += count;
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_us += other.sum_us;
        for (mine, theirs) in self.classic.iter_mut().zip(other.classic) {
            *mine += theirs;
        }
        for (index, count) in &other.native {
            *self.native.entry(*index).or_default() += count;
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "a sum for averages")]
    pub fn sum_s(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }

    /// Classic buckets: upper bound in seconds and how many lie in each, the last one without a bound.
    #[expect(clippy::cast_precision_loss, reason = "bounds have few digits")]
    pub fn classic(&self) -> Vec<(f64, u64)> {
        let within: u64 = self.classic.iter().sum();
        let bounded = BOUNDS_US.iter().zip(self.classic).map(|(us, count)| (*us as f64 / 1e6, count));
        bounded.chain([(f64::INFINITY, self.count - within)]).collect()
    }

    /// Native buckets.
    pub fn native(&self) -> Sparse {
        let mut sparse = Sparse { spans: Vec::new(), deltas: Vec::new() };
        let mut end = 0;
        let mut before = 0;
        for (index, count) in &self.native {
            match sparse.spans.last_mut() {
                Some((_, length)) if *index == end => *length += 1,
                // The first offset is the index itself.
                _ => sparse.spans.push((index - end, 1)),
            }
            end = index + 1;
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            sparse.deltas.push(count - before);
            before = count;
        }
        sparse
    }
}

/// Native buckets as they travel: runs of neighbours, and by how much each differs from the one before.
pub(super) struct Sparse {
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
}

impl Sparse {
    /// As the encoder takes it.
    pub fn histogram(&self) -> NativeHistogram<'_> {
        NativeHistogram {
            schema: SCHEMA,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: 0,
            negative: NativeHistogramBuckets { spans: &[], deltas: &[] },
            positive: NativeHistogramBuckets { spans: &self.spans, deltas: &self.deltas },
            created: None,
        }
    }
}

/// The native bucket of a span: the first whose upper bound, two to the power of an eighth of the index in
/// seconds, it does not exceed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "at least 1 µs and at most 13 h: between -160 and 125"
)]
fn index(us: u64) -> i32 {
    ((us.max(1) as f64 / 1e6).log2() * f64::from(1 << SCHEMA)).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(samples: &[(u64, u64)]) -> Distribution {
        let mut distribution = Distribution::default();
        for (us, count) in samples {
            distribution.add(*us, *count);
        }
        distribution
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "bounds are constants")]
    fn a_bound_belongs_to_its_bucket() {
        let all = of(&[(100, 1), (101, 2), (1_000_000, 4), (46_800_000_001, 8)]);
        let buckets = all.classic();
        let at = |le: f64| buckets.iter().find(|(bound, _)| *bound == le).unwrap().1;
        assert_eq!((at(0.0001), at(0.00025), at(1.0), at(f64::INFINITY)), (1, 2, 4, 8));
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), all.count());
        assert!(buckets.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn native_buckets_are_runs_with_differences() {
        assert_eq!([1_000_000, 1_000_001, 500_000, 2_000_000, 1].map(index), [0, 1, -8, 8, -159]);
        let sparse = of(&[(1_000_000, 5), (1_000_001, 3), (2_000_000, 4)]).native();
        assert_eq!(sparse.spans, [(0, 2), (6, 1)]);
        assert_eq!(sparse.deltas, [5, -2, 1]);
    }

    proptest::proptest! {
        #[test]
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        fn every_sample_is_in_the_native_bucket_that_holds_it(us in 1..46_800_000_000u64) {
            let upper = |index: i32| 2f64.powf(f64::from(index) / 8.0);
            let (seconds, index) = (us as f64 / 1e6, index(us));
            proptest::prop_assert!(seconds <= upper(index) * (1.0 + 1e-12));
            proptest::prop_assert!(seconds > upper(index - 1) * (1.0 - 1e-12));
        }

        #[test]
        fn merged_is_added_together(samples in proptest::collection::vec((1..10_000_000u64, 1..50u64), 0..50)) {
            let (one, other) = samples.split_at(samples.len() / 2);
            let mut merged = of(one);
            merged.merge(&of(other));
            proptest::prop_assert_eq!(merged, of(&samples));
        }
    }
}
