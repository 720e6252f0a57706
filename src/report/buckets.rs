//! A histogram as a few logarithmic buckets: the picture of a latency distribution.
//!
//! The edges are powers of ten divided evenly (10, 12.6, 15.8 … for ten per decade), so that they stay
//! where they are while samples come in. Made for drawing; percentiles come from the histogram itself.

use crate::stats::Histogram;

/// How many samples lie above one edge and not above the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The upper edge, in µs.
    pub to_us: u64,
    /// Samples in it.
    pub count: u64,
}

/// Buckets per decade, finest first; finer than 20 (12 % apart) shows noise rather than shape.
const PER_DECADE: [f64; 11] =
    [20.0, 10.0, 5.0, 3.0, 2.0, 1.0, 1.0 / 2.0, 1.0 / 3.0, 1.0 / 4.0, 1.0 / 6.0, 1.0 / 12.0];

/// The samples in at most `most` buckets without gaps, from the smallest sample's to the largest's,
/// as fine as that allows. Empty without samples or room.
pub fn log_buckets(histogram: &Histogram, most: usize) -> Vec<Bucket> {
    let (Some(min), Some(max)) = (histogram.min(), histogram.max()) else { return Vec::new() };
    // A recorded value stands for a few neighbours; the lowest of them is the one that was not rounded up.
    let counts = histogram.counts();
    let max = counts.lowest_equivalent(max);
    let fits = |per_decade: &&f64| place(max, **per_decade) - place(min, **per_decade) < most;
    let Some(&per_decade) = PER_DECADE.iter().find(fits) else { return Vec::new() };
    let first = place(min, per_decade);
    let mut buckets: Vec<Bucket> =
        (first..=place(max, per_decade)).map(|n| Bucket { to_us: edge(n, per_decade), count: 0 }).collect();
    for value in counts.iter_recorded() {
        let at = place(counts.lowest_equivalent(value.value_iterated_to()), per_decade);
        let last = buckets.len() - 1;
        buckets[at.saturating_sub(first).min(last)].count += value.count_at_value();
    }
    buckets
}

/// The number of the bucket a value lies in: the first whose edge it does not exceed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at least 1 µs and at most 13 h: the logarithm is between 0 and 11"
)]
fn place(us: u64, per_decade: f64) -> usize {
    // The tolerance keeps exact powers of ten in their own bucket whatever the last bit says.
    ((us.max(1) as f64).log10() * per_decade - 1e-9).ceil().max(0.0) as usize
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 10^12 µs"
)]
fn edge(number: usize, per_decade: f64) -> u64 {
    10f64.powf(number as f64 / per_decade).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(samples: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        samples.into_iter().for_each(|us| histogram.record(us));
        histogram
    }

    #[test]
    fn no_samples_or_no_room_make_no_picture() {
        assert_eq!(log_buckets(&histogram([]), 10), []);
        assert_eq!(log_buckets(&histogram([5]), 0), []);
    }

    #[test]
    fn a_wide_range_gets_coarse_buckets_and_a_narrow_one_fine_ones() {
        let wide = log_buckets(&histogram([1_000, 2_000, 10_000, 99_000]), 3);
        let edges: Vec<_> = wide.iter().map(|b| (b.to_us, b.count)).collect();
        assert_eq!(edges, [(1_000, 1), (10_000, 2), (100_000, 1)]);
        let narrow = log_buckets(&histogram([100_000, 300_000]), 14);
        assert_eq!(narrow.len(), 11, "{narrow:?}");
        assert_eq!(narrow[10].to_us, 316_228);
    }

    #[test]
    fn edges_stay_where_they_are_while_samples_come_in() {
        let before = log_buckets(&histogram([100_000, 200_000]), 20);
        let after = log_buckets(&histogram([100_000, 200_000, 250_000]), 20);
        for bucket in before {
            assert!(after.contains(&bucket), "{bucket:?} moved");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_sample_is_in_the_picture(
            samples in proptest::collection::vec(0u64..100_000_000_000, 1..200),
            most in 1usize..40,
        ) {
            let histogram = histogram(samples);
            let buckets = log_buckets(&histogram, most);
            proptest::prop_assert!(!buckets.is_empty() && buckets.len() <= most);
            proptest::prop_assert_eq!(buckets.iter().map(|b| b.count).sum::<u64>(), histogram.len());
            proptest::prop_assert!(buckets.windows(2).all(|pair| pair[0].to_us < pair[1].to_us));
        }
    }
}
