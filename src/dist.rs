//! Delay distributions as values: `sample` is a pure function of the distribution and a draw.
//!
//! Samples are whole microseconds and never negative. What a scenario may say is checked in
//! `scenario`; here a distribution is already sound.

use std::time::Duration;

use rand_distr::{Distribution as _, StandardNormal};

use crate::seed::Draw;
use crate::units::micros;

/// The 99th percentile of the standard normal distribution: what turns (p50, p99) into (μ, σ).
const Z_99: f64 = 2.326_347_874_040_841;

/// A delay drawn anew each time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delay {
    /// Always the same.
    Constant {
        /// The delay.
        us: u64,
    },
    /// Every value from `min_us` to `max_us`, both included, is equally likely.
    Uniform {
        /// Smallest delay.
        min_us: u64,
        /// Largest delay, not below `min_us`.
        max_us: u64,
    },
    /// Log-normal with ln of the delay (in µs) normal with mean `mu` and deviation `sigma`.
    LogNormal {
        /// ln of the median, in µs.
        mu: f64,
        /// ln(p99/p50) / 2.3263.
        sigma: f64,
    },
}

impl Delay {
    /// No delay.
    pub const ZERO: Delay = Delay::Constant { us: 0 };

    /// Always `delay`.
    pub fn constant(delay: Duration) -> Self {
        Delay::Constant { us: micros(delay) }
    }

    /// Evenly between `min` and `max`.
    ///
    /// # Panics
    /// If `min` is above `max`; the scenario check refuses that.
    pub fn uniform(min: Duration, max: Duration) -> Self {
        assert!(min <= max, "a uniform delay needs min ≤ max: {min:?} > {max:?}");
        Delay::Uniform { min_us: micros(min), max_us: micros(max) }
    }

    /// Log-normal with this median and 99th percentile, as people know them from their dashboards.
    ///
    /// # Panics
    /// Unless 0 < `p50` < `p99`; the scenario check refuses anything else.
    #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 µs")]
    pub fn lognormal(p50: Duration, p99: Duration) -> Self {
        let (p50, p99) = (micros(p50) as f64, micros(p99) as f64);
        assert!(0.0 < p50 && p50 < p99, "a log-normal delay needs 0 < p50 < p99: {p50} µs, {p99} µs");
        Delay::LogNormal { mu: p50.ln(), sigma: (p99 / p50).ln() / Z_99 }
    }

    /// One delay in microseconds. Values beyond a year are cut: they outlast every run.
    pub fn sample_us(&self, draw: &mut Draw) -> u64 {
        const YEAR_US: f64 = 366.0 * 24.0 * 3600.0 * 1e6;
        match *self {
            Delay::Constant { us } => us,
            Delay::Uniform { min_us, max_us } => min_us + draw.below(max_us - min_us + 1),
            Delay::LogNormal { mu, sigma } => {
                let z: f64 = StandardNormal.sample(draw.generator());
                let value = (mu + sigma * z).exp().min(YEAR_US);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "positive and below a year"
                )]
                let us = value as u64;
                us
            }
        }
    }

    /// The largest delay that is planned for: the maximum, or for an open tail its p99.9.
    pub fn high_us(&self) -> u64 {
        /// The 99.9th percentile of the standard normal distribution.
        const Z_999: f64 = 3.090_232_306_167_813;
        match *self {
            Delay::Constant { us } => us,
            Delay::Uniform { max_us, .. } => max_us,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, saturating"
            )]
            Delay::LogNormal { mu, sigma } => (mu + sigma * Z_999).exp() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seed, Subject};

    fn samples(delay: Delay, count: u64) -> Vec<u64> {
        let subject = Subject::new("dist", 0);
        let mut all: Vec<u64> =
            (0..count).map(|n| delay.sample_us(&mut Seed(5).at(Purpose::Decision, subject, n))).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_uniform_delay_reaches_both_ends_and_no_further() {
        let all = samples(Delay::Uniform { min_us: 3, max_us: 5 }, 1000);
        assert_eq!((all[0], all[999]), (3, 5));
        assert!(all.contains(&4));
    }

    #[test]
    fn a_lognormal_delay_has_the_percentiles_it_was_given() {
        let all = samples(Delay::lognormal(Duration::from_millis(100), Duration::from_millis(900)), 100_000);
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (p50, p99) = (all[50_000] as f64, all[99_000] as f64);
        // Standard errors at n = 100,000: about 0.4 % at the median and 1.4 % at p99.
        assert!((p50 / 100_000.0 - 1.0).abs() < 0.015, "p50 {p50}");
        assert!((p99 / 900_000.0 - 1.0).abs() < 0.05, "p99 {p99}");
    }

    #[test]
    fn a_constant_delay_is_constant() {
        assert_eq!(samples(Delay::constant(Duration::from_millis(7)), 10), vec![7000; 10]);
    }
}
