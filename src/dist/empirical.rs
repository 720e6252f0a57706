//! Delays as they were measured: the inverse of their distribution function, linear between its points.
//!
//! Reading files is not done here; `scenario` does that once, and every draw then looks up one place.

use std::fmt;

/// Delays that were measured somewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Empirical {
    /// Where they were read from.
    pub source: Source,
    table: Table,
}

/// Where measured delays were read from, as the scenario says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, relative to the scenario file.
    pub file: String,
    /// The column of a table, or the tag of a histogram log.
    pub column: Option<String>,
    /// What the numbers in it are.
    pub unit: Unit,
}

/// The unit of the numbers in a file of delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Minutes.
    M,
    /// Hours.
    H,
}

impl Unit {
    /// All of them.
    pub const ALL: [Unit; 6] = [Unit::Ns, Unit::Us, Unit::Ms, Unit::S, Unit::M, Unit::H];

    /// As durations are spelled with it.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Ns => "ns",
            Unit::Us => "us",
            Unit::Ms => "ms",
            Unit::S => "s",
            Unit::M => "m",
            Unit::H => "h",
        }
    }

    /// One of it, in microseconds.
    pub const fn micros(self) -> f64 {
        match self {
            Unit::Ns => 1e-3,
            Unit::Us => 1.0,
            Unit::Ms => 1e3,
            Unit::S => 1e6,
            Unit::M => 60e6,
            Unit::H => 3_600e6,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Delays of one class of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The shortest.
    pub min_us: u64,
    /// The longest.
    pub max_us: u64,
    /// How many there are in it and in all before it.
    pub up_to: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum Table {
    /// Single delays, ascending.
    Samples(Box<[u64]>),
    /// The classes of a histogram, ascending.
    Buckets(Box<[Bucket]>),
}

impl Empirical {
    /// Of single delays in µs, in any order; `None` if there are none.
    pub fn of_samples(source: Source, mut samples: Vec<u64>) -> Option<Self> {
        samples.sort_unstable();
        (!samples.is_empty()).then(|| Self { source, table: Table::Samples(samples.into()) })
    }

    /// Of the classes of a histogram as (shortest, longest, count), ascending; `None` if all are empty.
    pub fn of_buckets(source: Source, counts: impl IntoIterator<Item = (u64, u64, u64)>) -> Option<Self> {
        let mut up_to = 0u64;
        let buckets = counts.into_iter().filter(|(_, _, count)| *count > 0).map(|(min_us, max_us, count)| {
            up_to = up_to.saturating_add(count);
            Bucket { min_us, max_us: max_us.max(min_us), up_to }
        });
        let buckets: Box<[Bucket]> = buckets.collect();
        (!buckets.is_empty()).then_some(Self { source, table: Table::Buckets(buckets) })
    }

    /// The delay in µs that this share (0 to 1) of all is not longer than.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a table is far shorter than 2^52 rows and its delays far below 2^53 µs; all is positive"
    )]
    pub fn quantile_us(&self, share: f64) -> u64 {
        let between = |a: u64, b: u64, part: f64| a + ((b - a) as f64 * part).round() as u64;
        match &self.table {
            Table::Samples(samples) => {
                let last = samples.len() - 1;
                let place = share.clamp(0.0, 1.0) * last as f64;
                let below = (place as usize).min(last);
                between(samples[below], samples[(below + 1).min(last)], place - below as f64)
            }
            Table::Buckets(buckets) => {
                let total = buckets[buckets.len() - 1].up_to;
                let rank = share.clamp(0.0, 1.0) * total as f64;
                let at = buckets.partition_point(|bucket| (bucket.up_to as f64) < rank);
                let Bucket { min_us, max_us, up_to } = buckets[at.min(buckets.len() - 1)];
                let before = at.checked_sub(1).map_or(0, |before| buckets[before].up_to);
                let part = (rank - before as f64) / (up_to - before) as f64;
                between(min_us, max_us, part.clamp(0.0, 1.0))
            }
        }
    }

    /// The mean of what is drawn.
    #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 µs")]
    pub fn mean_us(&self) -> f64 {
        match &self.table {
            Table::Samples(samples) => {
                let (first, last) = (samples[0] as f64, samples[samples.len() - 1] as f64);
                let sum: f64 = samples.iter().map(|us| *us as f64).sum();
                // Between two neighbours the delays are spread evenly: the ends count half.
                if samples.len() == 1 {
                    first
                } else {
                    (sum - f64::midpoint(first, last)) / (samples.len() - 1) as f64
                }
            }
            Table::Buckets(buckets) => {
                let mut before = 0;
                let mut sum = 0.0;
                for bucket in buckets {
                    let middle = f64::midpoint(bucket.min_us as f64, bucket.max_us as f64);
                    sum += middle * (bucket.up_to - before) as f64;
                    before = bucket.up_to;
                }
                sum / before as f64
            }
        }
    }

    /// The longest of all.
    pub fn max_us(&self) -> u64 {
        self.quantile_us(1.0)
    }

    /// Every number of the table, in order: what a hash of the data goes over.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        let (samples, buckets): (&[u64], &[Bucket]) = match &self.table {
            Table::Samples(samples) => (samples, &[]),
            Table::Buckets(buckets) => (&[], buckets),
        };
        let classes = buckets.iter().flat_map(|bucket| [bucket.min_us, bucket.max_us, bucket.up_to]);
        samples.iter().copied().chain(classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source { file: "a.csv".to_owned(), column: None, unit: Unit::Us }
    }

    #[test]
    fn samples_have_the_quantiles_of_their_source() {
        let table = Empirical::of_samples(source(), vec![40, 10, 20, 30, 110]).unwrap();
        for (share, expected) in
            [(0.0, 10), (0.25, 20), (0.5, 30), (0.75, 40), (0.875, 75), (1.0, 110), (2.0, 110)]
        {
            assert_eq!(table.quantile_us(share), expected, "{share}");
        }
        assert_eq!(table.max_us(), 110);
        // Four equal stretches: their middles are 15, 25, 35 and 75.
        assert!((table.mean_us() - 37.5).abs() < 1e-9, "{}", table.mean_us());
        let one = Empirical::of_samples(source(), vec![7]).unwrap();
        assert_eq!((one.quantile_us(0.3), one.mean_us()), (7, 7.0));
        assert_eq!(Empirical::of_samples(source(), Vec::new()), None);
    }

    #[test]
    fn classes_are_filled_evenly() {
        let classes = [(0, 9, 50), (10, 19, 0), (100, 199, 30), (1_000, 1_999, 20)];
        let table = Empirical::of_buckets(source(), classes).unwrap();
        for (share, expected) in
            [(0.0, 0), (0.25, 5), (0.5, 9), (0.65, 150), (0.8, 199), (0.9, 1_500), (1.0, 1_999)]
        {
            assert_eq!(table.quantile_us(share), expected, "{share}");
        }
        let mean = 0.5 * 4.5 + 0.3 * 149.5 + 0.2 * 1_499.5;
        assert!((table.mean_us() - mean).abs() < 1e-9, "{}", table.mean_us());
        assert_eq!(table.numbers().count(), 9);
        assert_eq!(Empirical::of_buckets(source(), [(1, 2, 0)]), None);
    }
}
