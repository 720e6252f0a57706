//! A bounded histogram of microseconds: 1 µs to 13 h at three digits.
//!
//! Few samples are kept as they are, many as counts of 216 KiB: most histograms of one second hold a
//! handful, and a run makes dozens of them every second. Both forms answer every question alike.

use std::borrow::Cow;
use std::sync::OnceLock;

/// 13 hours: above the longest time-out of AWS IoT Commands (12 h) and its late answers.
pub const MAX_US: u64 = 13 * 3600 * 1_000_000;
/// Three significant digits: an error of at most 0.1 %.
const DIGITS: u8 = 3;
/// More samples than this are counted: 8 KiB, a small part of what the counts take.
const MAX_KEPT: usize = 1024;

type Counts = hdrhistogram::Histogram<u64>;

/// Samples in microseconds. What exceeds the bound is recorded at the bound and counted.
#[derive(Debug, Clone)]
pub struct Histogram {
    samples: Samples,
    clipped: u64,
}

#[derive(Debug, Clone)]
enum Samples {
    /// At most [`MAX_KEPT`], in the order in which they came.
    Kept(Vec<u64>),
    Counted(Box<Counts>),
}

/// A percentile, 0 to 100, as written: `p99.9` is `Percentile(99.9)`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percentile(pub f64);

impl Default for Histogram {
    fn default() -> Self {
        Self { samples: Samples::Kept(Vec::new()), clipped: 0 }
    }
}

impl Histogram {
    /// Records one span. Zero counts as 1 µs, the smallest value told apart.
    pub fn record(&mut self, us: u64) {
        self.clipped += u64::from(us > MAX_US);
        self.samples.record(us.clamp(1, MAX_US));
    }

    /// Adds the samples of `other`.
    pub fn add(&mut self, other: &Histogram) {
        self.clipped += other.clipped;
        match &other.samples {
            Samples::Kept(kept) => kept.iter().for_each(|us| self.samples.record(*us)),
            Samples::Counted(counts) => {
                self.samples.counted().add(&**counts).expect("all histograms have the same bounds");
            }
        }
    }

    /// The smallest value that at least this share of the samples does not exceed, in µs.
    /// `None` without samples: no data is not a latency of zero.
    pub fn percentile(&self, percentile: Percentile) -> Option<u64> {
        let quantile = percentile.0 / 100.0;
        match &self.samples {
            Samples::Kept(kept) => {
                let mut kept = kept.clone();
                kept.sort_unstable();
                let at = kept.get(rank(quantile, kept.len()).checked_sub(1)?).or(kept.last())?;
                Some(scale().highest_equivalent(*at))
            }
            Samples::Counted(counts) => Some(counts.value_at_quantile(quantile)),
        }
    }

    /// Smallest sample, in µs.
    pub fn min(&self) -> Option<u64> {
        match &self.samples {
            Samples::Kept(kept) => kept.iter().min().map(|us| scale().lowest_equivalent(*us)),
            Samples::Counted(counts) => Some(counts.min()),
        }
    }

    /// Largest sample, in µs.
    pub fn max(&self) -> Option<u64> {
        match &self.samples {
            Samples::Kept(kept) => kept.iter().max().map(|us| scale().highest_equivalent(*us)),
            Samples::Counted(counts) => Some(counts.max()),
        }
    }

    /// Mean of the samples, in µs.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.counts().mean())
    }

    /// Number of samples.
    pub fn len(&self) -> u64 {
        match &self.samples {
            Samples::Kept(kept) => kept.len() as u64,
            Samples::Counted(counts) => counts.len(),
        }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Samples above the bound.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// Calls `with` for every value told apart and how often it was recorded; kept samples one by one. The
    /// value is the lowest of those that are not told apart, as [`Histogram::min`] gives it.
    pub fn for_each(&self, mut with: impl FnMut(u64, u64)) {
        match &self.samples {
            Samples::Kept(kept) => kept.iter().for_each(|us| with(scale().lowest_equivalent(*us), 1)),
            Samples::Counted(counts) => {
                for value in counts.iter_recorded() {
                    with(counts.lowest_equivalent(value.value_iterated_to()), value.count_at_value());
                }
            }
        }
    }

    /// The samples as counts, for iteration over buckets and for serialisation.
    pub fn counts(&self) -> Cow<'_, hdrhistogram::Histogram<u64>> {
        match &self.samples {
            Samples::Kept(kept) => Cow::Owned(counts_of(kept)),
            Samples::Counted(counts) => Cow::Borrowed(counts),
        }
    }
}

impl Samples {
    fn record(&mut self, us: u64) {
        match self {
            Samples::Kept(kept) if kept.len() < MAX_KEPT => kept.push(us),
            _ => self.counted().saturating_record(us),
        }
    }

    /// The counts, made from what was kept if need be.
    fn counted(&mut self) -> &mut Counts {
        if let Samples::Kept(kept) = self {
            *self = Samples::Counted(Box::new(counts_of(kept)));
        }
        match self {
            Samples::Counted(counts) => counts,
            Samples::Kept(_) => unreachable!("what was kept has just been counted"),
        }
    }
}

/// Which of the sorted samples is the percentile, from 1: as HdrHistogram counts.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a thousand samples at the most"
)]
fn rank(quantile: f64, samples: usize) -> usize {
    ((quantile.clamp(0.0, 1.0) * samples as f64).ceil() as usize).max(1)
}

fn counts_of(kept: &[u64]) -> Counts {
    let mut counts = empty_counts();
    for us in kept {
        counts.saturating_record(*us);
    }
    counts
}

fn empty_counts() -> Counts {
    Counts::new_with_bounds(1, MAX_US, DIGITS).expect("the bounds are constants that HdrHistogram accepts")
}

/// Which values are told apart; never recorded into.
fn scale() -> &'static Counts {
    static SCALE: OnceLock<Counts> = OnceLock::new();
    SCALE.get_or_init(empty_counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_samples_have_no_percentile() {
        assert_eq!(Histogram::default().percentile(Percentile(99.0)), None);
    }

    #[test]
    fn a_sample_beyond_the_bound_is_counted_and_seen_as_the_bound() {
        let mut histogram = Histogram::default();
        histogram.record(MAX_US * 2);
        histogram.record(0);
        assert_eq!((histogram.len(), histogram.clipped()), (2, 1));
        assert_eq!(histogram.min(), Some(1));
        assert!(histogram.max() >= Some(MAX_US));
    }

    /// The same samples, counted whatever their number.
    fn counted(histogram: &Histogram) -> Histogram {
        let mut counted = histogram.clone();
        counted.samples.counted();
        counted
    }

    proptest! {
        #[test]
        fn kept_and_counted_samples_answer_alike(
            samples in prop::collection::vec(prop_oneof![0..5_000u64, 0..2 * MAX_US], 1..80),
            percentile in 0.001..=100.0f64,
        ) {
            let mut kept = Histogram::default();
            for us in &samples {
                kept.record(*us);
            }
            let counted = counted(&kept);
            for percentile in [percentile, 50.0, 99.0, 99.9, 100.0].map(Percentile) {
                prop_assert_eq!(kept.percentile(percentile), counted.percentile(percentile));
            }
            prop_assert_eq!((kept.min(), kept.max(), kept.len()), (counted.min(), counted.max(), counted.len()));
            prop_assert_eq!(kept.mean(), counted.mean());
            let mut twice = [kept.clone(), counted.clone(), kept.clone(), counted.clone()];
            twice[0].add(&kept);
            twice[1].add(&kept);
            twice[2].add(&counted);
            twice[3].add(&counted);
            for one in &twice {
                prop_assert_eq!(one.counts(), twice[0].counts());
                prop_assert_eq!(one.clipped(), 2 * kept.clipped());
            }
        }
    }

    #[test]
    fn merging_is_the_same_as_recording_together() {
        let (mut one, mut other, mut both) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for us in 1..5000u64 {
            if us % 3 == 0 {
                one.record(us);
            } else {
                other.record(us);
            }
            both.record(us);
        }
        one.add(&other);
        assert_eq!(one.counts(), both.counts());
    }
}
