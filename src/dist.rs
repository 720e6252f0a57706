//! Delay distributions as values: `sample` is a pure function of the distribution and a draw.
//!
//! Samples are whole microseconds and never negative. What a scenario may say is checked in
//! `scenario`; here a distribution is already sound.

mod empirical;

use std::sync::Arc;
use std::time::Duration;

use rand_distr::{Distribution as _, Exp1, StandardNormal};

use crate::seed::Draw;
use crate::units::micros;

pub use empirical::{Bucket, Empirical, Source, Unit};

/// The 99th percentile of the standard normal distribution: what turns (p50, p99) into (μ, σ).
const Z_99: f64 = 2.326_347_874_040_841;
/// A longer delay outlasts every run; samples are cut there.
const YEAR_US: f64 = 366.0 * 24.0 * 3600.0 * 1e6;

/// A delay drawn anew each time. Tables and mixtures are shared by their clones, and drawing from one
/// allocates nothing.
#[derive(Debug, Clone, PartialEq)]
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
    /// Normal; what would be below 0 is 0.
    Normal {
        /// The mean, before the cut.
        mean_us: u64,
        /// The standard deviation, before the cut.
        sd_us: u64,
    },
    /// Log-normal with ln of the delay (in µs) normal with mean `mu` and deviation `sigma`.
    LogNormal {
        /// ln of the median, in µs.
        mu: f64,
        /// ln(p99/p50) / 2.3263.
        sigma: f64,
    },
    /// As between independent events.
    Exponential {
        /// The mean.
        mean_us: u64,
    },
    /// Never shorter than `min_us`, with a tail that falls by a power.
    Pareto {
        /// The smallest delay, more than 0.
        min_us: u64,
        /// The power, above 1.
        shape: f64,
    },
    /// As it was measured somewhere.
    Empirical(Arc<Empirical>),
    /// Each time one of several, by weight.
    Mix(Arc<[Part]>),
}

/// One of the delays of a mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// How often it is drawn, in relation to the others; not negative, and not 0 for all.
    pub weight: f64,
    /// The delay.
    pub of: Delay,
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
    #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 µs")]
    pub fn sample_us(&self, draw: &mut Draw) -> u64 {
        match self {
            Delay::Constant { us } => *us,
            Delay::Uniform { min_us, max_us } => min_us + draw.below(max_us - min_us + 1),
            Delay::Normal { mean_us, sd_us } => {
                let z: f64 = StandardNormal.sample(draw.generator());
                whole(*mean_us as f64 + *sd_us as f64 * z)
            }
            Delay::LogNormal { mu, sigma } => {
                let z: f64 = StandardNormal.sample(draw.generator());
                whole((mu + sigma * z).exp())
            }
            Delay::Exponential { mean_us } => {
                let unit: f64 = Exp1.sample(draw.generator());
                whole(*mean_us as f64 * unit)
            }
            // 1 − u is never 0.
            Delay::Pareto { min_us, shape } => whole(pareto(*min_us, *shape, 1.0 - draw.unit())),
            Delay::Empirical(table) => table.quantile_us(draw.unit()),
            Delay::Mix(parts) => match chosen(parts, draw.unit()) {
                Some(part) => part.of.sample_us(draw),
                None => 0,
            },
        }
    }

    /// The largest delay that is planned for: the maximum, or for an open tail its p99.9.
    #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 µs")]
    pub fn high_us(&self) -> u64 {
        /// The 99.9th percentile of the standard normal distribution.
        const Z_999: f64 = 3.090_232_306_167_813;
        match self {
            Delay::Constant { us } => *us,
            Delay::Uniform { max_us, .. } => *max_us,
            Delay::Normal { mean_us, sd_us } => whole(*mean_us as f64 + *sd_us as f64 * Z_999),
            Delay::LogNormal { mu, sigma } => whole((mu + sigma * Z_999).exp()),
            Delay::Exponential { mean_us } => whole(*mean_us as f64 * 1000f64.ln()),
            Delay::Pareto { min_us, shape } => whole(pareto(*min_us, *shape, 0.001)),
            Delay::Empirical(table) => table.max_us(),
            Delay::Mix(parts) => {
                let drawn = parts.iter().filter(|part| part.weight > 0.0);
                drawn.map(|part| part.of.high_us()).max().unwrap_or(0)
            }
        }
    }

    /// The mean, in µs.
    #[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 µs")]
    pub fn mean_us(&self) -> f64 {
        match self {
            Delay::Constant { us } => *us as f64,
            Delay::Uniform { min_us, max_us } => f64::midpoint(*min_us as f64, *max_us as f64),
            Delay::Normal { mean_us, sd_us } => cut_normal_mean(*mean_us as f64, *sd_us as f64),
            Delay::LogNormal { mu, sigma } => (mu + sigma * sigma / 2.0).exp(),
            Delay::Exponential { mean_us } => *mean_us as f64,
            Delay::Pareto { min_us, shape } => *min_us as f64 * shape / (shape - 1.0),
            Delay::Empirical(table) => table.mean_us(),
            Delay::Mix(parts) => {
                let weights: f64 = parts.iter().map(|part| part.weight).sum();
                parts.iter().map(|part| part.weight / weights * part.of.mean_us()).sum()
            }
        }
    }
}

/// Whole microseconds from 0 to a year.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a year")]
fn whole(us: f64) -> u64 {
    us.clamp(0.0, YEAR_US) as u64
}

/// The delay that this share of all is longer than.
#[expect(clippy::cast_precision_loss, reason = "delays are far below 2^53 µs")]
fn pareto(min_us: u64, shape: f64, longer: f64) -> f64 {
    min_us as f64 / longer.powf(1.0 / shape)
}

/// The part of a mixture at `unit`, from 0 to 1, of all its weight.
fn chosen(parts: &[Part], unit: f64) -> Option<&Part> {
    let weights: f64 = parts.iter().map(|part| part.weight).sum();
    let mut point = unit * weights;
    let hit = parts.iter().find(|part| {
        let hit = point < part.weight;
        point -= part.weight;
        hit
    });
    // Rounding may leave a crumb behind the last one.
    hit.or_else(|| parts.iter().rev().find(|part| part.weight > 0.0))
}

/// The mean of max(0, X) for a normal X: mean × Φ(mean/sd) + sd × φ(mean/sd).
fn cut_normal_mean(mean: f64, sd: f64) -> f64 {
    if sd <= 0.0 {
        return mean;
    }
    let z = mean / sd;
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    // Abramowitz and Stegun 26.2.17, within 7.5e-8; means of delays are not negative.
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let polynomial = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    mean * (1.0 - density * polynomial) + sd * density
}

#[cfg(test)]
mod tests;
