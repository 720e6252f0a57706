//! A bounded histogram of microseconds: 1 µs to 13 h at three digits, 216 KiB.

/// 13 hours: above the longest time-out of AWS IoT Commands (12 h) and its late answers.
pub const MAX_US: u64 = 13 * 3600 * 1_000_000;
/// Three significant digits: an error of at most 0.1 %.
const DIGITS: u8 = 3;

/// Samples in microseconds. What exceeds the bound is recorded at the bound and counted.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
    clipped: u64,
}

/// A percentile, 0 to 100, as written: `p99.9` is `Percentile(99.9)`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percentile(pub f64);

impl Default for Histogram {
    fn default() -> Self {
        let counts = hdrhistogram::Histogram::new_with_bounds(1, MAX_US, DIGITS)
            .expect("the bounds are constants that HdrHistogram accepts");
        Self { counts, clipped: 0 }
    }
}

impl Histogram {
    /// Records one span. Zero counts as 1 µs, the smallest value told apart.
    pub fn record(&mut self, us: u64) {
        self.clipped += u64::from(us > MAX_US);
        self.counts.saturating_record(us.max(1));
    }

    /// Adds the samples of `other`.
    pub fn add(&mut self, other: &Histogram) {
        self.counts.add(&other.counts).expect("all histograms have the same bounds");
        self.clipped += other.clipped;
    }

    /// The smallest value that at least this share of the samples does not exceed, in µs.
    /// `None` without samples: no data is not a latency of zero.
    pub fn percentile(&self, percentile: Percentile) -> Option<u64> {
        (!self.is_empty()).then(|| self.counts.value_at_quantile(percentile.0 / 100.0))
    }

    /// Smallest sample, in µs.
    pub fn min(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.counts.min())
    }

    /// Largest sample, in µs.
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.counts.max())
    }

    /// Mean of the samples, in µs.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.counts.mean())
    }

    /// Number of samples.
    pub fn len(&self) -> u64 {
        self.counts.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Samples above the bound.
    pub fn clipped(&self) -> u64 {
        self.clipped
    }

    /// The underlying counts, for iteration over buckets and for serialisation.
    pub fn counts(&self) -> &hdrhistogram::Histogram<u64> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
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
