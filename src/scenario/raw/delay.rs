//! Delays as they are written.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::super::decode::{At, hook};
use super::super::written::Text;
use crate::units::parse_duration;

/// A delay: a duration, a range, or a distribution by name.
#[derive(Debug)]
pub enum Delay {
    /// `250ms`
    Constant(Duration),
    /// `100ms..400ms`
    Range(Duration, Duration),
    /// `{ lognormal: { p50: 120ms, p99: 2s } }`
    Named(Distribution),
}

/// A distribution of delays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Always the same.
    Constant(Text<Duration>),
    /// Every delay from min to max is equally likely.
    Uniform(Uniform),
    /// Most are short, some are long: as dashboards show it, by median and 99th percentile.
    #[serde(rename = "lognormal")]
    LogNormal(LogNormal),
    /// Around a mean, to both sides alike; what would be below 0s is 0s.
    Normal(Normal),
    /// As between independent events.
    Exponential(Exponential),
    /// Never shorter than min, and now and then very much longer.
    Pareto(Pareto),
    /// As it was measured: a column of a CSV file, or an HdrHistogram log.
    Empirical(Empirical),
    /// Each time one of several delays, by weight: fleets with two kinds of device.
    Mix(Vec<At<MixPart>>),
}

/// Every delay from min to max is equally likely.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Uniform {
    /// Smallest delay.
    pub min: At<Text<Duration>>,
    /// Largest delay.
    pub max: At<Text<Duration>>,
}

/// A delay whose logarithm is normally distributed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogNormal {
    /// Half of the delays are shorter.
    pub p50: At<Text<Duration>>,
    /// One in a hundred is longer.
    pub p99: At<Text<Duration>>,
}

/// A delay around a mean.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Normal {
    /// The middle.
    pub mean: At<Text<Duration>>,
    /// Standard deviation: two thirds of the delays are closer to the mean.
    pub sd: At<Text<Duration>>,
}

/// A delay as between independent events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// The mean.
    pub mean: At<Text<Duration>>,
}

/// A delay with a heavy tail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pareto {
    /// Smallest delay.
    pub min: At<Text<Duration>>,
    /// How fast the tail falls: more than 1. 1.5 is heavy, 3 is light.
    pub shape: At<f64>,
}

/// Delays that were measured. Between two of them every delay is equally likely.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Empirical {
    /// A CSV file with a line of names, or an HdrHistogram log (.hlog); relative to the scenario file.
    pub file: At<String>,
    /// The column to take; of a log, the tag of the histograms to take. Not needed where there is
    /// only one, or no tag.
    pub column: Option<At<String>>,
    /// What the numbers in the file are.
    pub unit: At<Unit>,
    /// Hash of the delays, as a resolved scenario states it: other delays are refused.
    pub sha256: Option<At<String>>,
}

/// The unit of the numbers in a file.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
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

/// One of the delays of a mixture.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixPart {
    /// How often, in relation to the weights of the others.
    #[schemars(range(min = 0))]
    pub weight: At<f64>,
    /// The delay.
    pub of: At<Delay>,
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DelayVisitor;

        impl<'de> Visitor<'de> for DelayVisitor {
            type Value = Delay;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Delay::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Delay, E> {
                Delay::read(text).map_err(E::custom)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, map: D) -> Result<Delay, D::Error> {
                Distribution::deserialize(map).map(Delay::Named)
            }
        }

        deserializer.deserialize_newtype_struct(hook::SCALAR_OR_MAP, DelayVisitor)
    }
}

impl Delay {
    pub(in super::super) const EXPECTED: &'static str =
        "a delay, e.g. 250ms, 100ms..400ms, { lognormal: { p50: 120ms, p99: 2s } }";

    fn read(text: &str) -> Result<Self, String> {
        let duration = |text: &str| parse_duration(text.trim()).map_err(|error| error.to_string());
        match text.split_once("..") {
            // "50..150ms" means milliseconds twice; "50s" would be bad advice.
            Some((min, max)) => match (duration(min), duration(max)) {
                (Ok(min), Ok(max)) => Ok(Delay::Range(min, max)),
                _ => Err(format!(
                    "\"{text}\" is not a range of durations, each with its unit, e.g. 100ms..400ms"
                )),
            },
            None => duration(text).map(Delay::Constant).map_err(|error| match range_meant(text) {
                Some(range) => format!("\"{text}\" is not a delay; a range is written {range}"),
                None => error,
            }),
        }
    }
}

/// `50ms..200ms` for a range that is spelled as elsewhere: `50ms - 200ms`, `50ms to 200ms`.
fn range_meant(text: &str) -> Option<String> {
    ["-", "–", "—", "…", " to "].iter().find_map(|between| {
        let (min, max) = text.split_once(between)?;
        let (min, max) = (min.trim(), max.trim());
        (parse_duration(min).is_ok() && parse_duration(max).is_ok()).then(|| format!("{min}..{max}"))
    })
}
