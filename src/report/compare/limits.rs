//! `--max-regression p99=10%`: by how much a percentile may grow.

use std::str::FromStr;

/// Limits by percentile.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits(Vec<(f64, f64)>);

impl Default for Limits {
    /// What CI systems gate on most: a tenth more at the 99th percentile.
    fn default() -> Self {
        Self(vec![(99.0, 0.1)])
    }
}

impl Limits {
    /// By how much this percentile may grow, as a fraction.
    pub(super) fn of(&self, percentile: f64) -> Option<f64> {
        self.0.iter().find(|(own, _)| (own - percentile).abs() < 1e-9).map(|(_, limit)| *limit)
    }

    /// `usual` and those that have a limit, rising.
    pub(super) fn percentiles_with(&self, usual: &[f64]) -> Vec<f64> {
        let own = self.0.iter().map(|(percentile, _)| *percentile);
        let mut all: Vec<f64> = usual.iter().copied().chain(own).collect();
        all.sort_by(f64::total_cmp);
        all.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        all
    }
}

impl FromStr for Limits {
    type Err = String;

    /// `p99=10%`, or several with commas between.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no limit on percentiles, e.g. p99=10% or p50=5%,p99=10%");
        let limits = text.split(',').map(|part| {
            let (percentile, limit) = part.trim().split_once('=')?;
            let percentile: f64 = percentile.strip_prefix('p')?.parse().ok()?;
            let limit: f64 = limit.strip_suffix('%')?.parse().ok()?;
            let sound = percentile > 0.0 && percentile <= 100.0 && (0.0..=100_000.0).contains(&limit);
            sound.then_some((percentile, limit / 100.0))
        });
        limits.collect::<Option<Vec<_>>>().map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        let limits: Limits = "p50=5%, p99.5=12.5%".parse().unwrap();
        assert_eq!((limits.of(50.0), limits.of(99.5), limits.of(99.0)), (Some(0.05), Some(0.125), None));
        assert_eq!(format!("{:?}", limits.percentiles_with(&[50.0, 99.0])), "[50.0, 99.0, 99.5]");
        for text in ["", "p99", "p99=10", "99=10%", "p0=1%", "p101=1%", "p99=-1%", "p99=nan%", "p99=1%,"] {
            assert!(text.parse::<Limits>().is_err(), "{text}");
        }
    }
}
