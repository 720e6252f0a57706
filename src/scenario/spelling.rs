//! Values spelled as a scenario file spells them, exactly: what is read back is the same value.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::dist::{Delay, Empirical, Part, Source};
use crate::units::{Rate, Share, micros};

/// `1m30s`, `250ms`, `0s`.
pub(super) fn duration(duration: Duration) -> String {
    duration_us(micros(duration))
}

/// A duration in microseconds.
pub(super) fn duration_us(us: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
        (1, "us"),
    ];
    let mut text = String::new();
    let mut rest = us;
    for (size, unit) in UNITS {
        if rest >= size {
            write!(text, "{}{unit}", rest / size).expect("writing to a String cannot fail");
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `200/s`, `50/min`: in the unit in which the number is short, else with all its digits per second.
pub(super) fn rate(rate: Rate) -> String {
    let per_second = rate.per_second();
    let in_units = [(1.0, "s"), (60.0, "min"), (3600.0, "h")];
    in_units
        .into_iter()
        .map(|(seconds, unit)| format!("{}/{unit}", rounded(per_second * seconds)))
        .filter(|text| text.parse() == Ok(rate))
        .min_by_key(String::len)
        .unwrap_or_else(|| format!("{per_second}/s"))
}

/// `2.5%`.
pub(super) fn share(share: Share) -> String {
    // The point moves in the text: multiplying by 100 can miss the number by its last digit.
    let fraction = share.fraction().to_string();
    let (whole, decimals) = fraction.split_once('.').unwrap_or((&fraction, ""));
    let decimals = format!("{decimals:0<2}");
    let (hundredths, rest) = decimals.split_at(2);
    let percent = format!("{whole}{hundredths}");
    let percent = percent.trim_start_matches('0');
    let (zero, point) = (if percent.is_empty() { "0" } else { "" }, if rest.is_empty() { "" } else { "." });
    format!("{zero}{percent}{point}{rest}%")
}

/// A duration, a range, or the distribution by name.
pub(super) fn delay(delay: &Delay) -> Value {
    match delay {
        Delay::Constant { us } => json!(duration_us(*us)),
        Delay::Uniform { min_us, max_us } => {
            json!(format!("{}..{}", duration_us(*min_us), duration_us(*max_us)))
        }
        Delay::LogNormal { mu, sigma } => {
            let (p50, p99) = percentiles(*mu, *sigma);
            json!({ "lognormal": { "p50": duration_us(p50), "p99": duration_us(p99) } })
        }
        Delay::Normal { mean_us, sd_us } => {
            json!({ "normal": { "mean": duration_us(*mean_us), "sd": duration_us(*sd_us) } })
        }
        Delay::Exponential { mean_us } => json!({ "exponential": { "mean": duration_us(*mean_us) } }),
        Delay::Pareto { min_us, shape } => {
            json!({ "pareto": { "min": duration_us(*min_us), "shape": shape } })
        }
        Delay::Empirical(table) => empirical(table),
        Delay::Mix(parts) => {
            let part = |part: &Part| json!({ "weight": part.weight, "of": self::delay(&part.of) });
            json!({ "mix": parts.iter().map(part).collect::<Vec<_>>() })
        }
    }
}

fn empirical(table: &Empirical) -> Value {
    let Source { file, column, unit } = &table.source;
    let mut all = Map::new();
    all.insert("file".to_owned(), json!(file));
    if let Some(column) = column {
        all.insert("column".to_owned(), json!(column));
    }
    all.insert("unit".to_owned(), json!(unit.name()));
    all.insert("sha256".to_owned(), json!(digest(table)));
    json!({ "empirical": all })
}

/// SHA-256, in hexadecimal, of the delays in a table: where two have the same, the same was measured.
pub(super) fn digest(table: &Empirical) -> String {
    let mut hash = Sha256::new();
    table.numbers().for_each(|number| hash.update(number.to_le_bytes()));
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}

/// The p50 and p99, in µs, that a log-normal delay was made of.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and below a year")]
fn percentiles(mu: f64, sigma: f64) -> (u64, u64) {
    // The 99th percentile of the standard normal distribution, as in `Delay::lognormal`.
    const Z_99: f64 = 2.326_347_874_040_841;
    let (p50, p99) = (mu.exp().round() as u64, (mu + sigma * Z_99).exp().round() as u64);
    // Rounding errors of the logarithm reach a whole microsecond only for delays of many days.
    let around = |us: u64| [us, us.saturating_sub(1), us + 1];
    let made = |p50: u64, p99: u64| Delay::lognormal(Duration::from_micros(p50), Duration::from_micros(p99));
    around(p50)
        .into_iter()
        .flat_map(|p50| around(p99).map(|p99| (p50, p99)))
        .filter(|(p50, p99)| 0 < *p50 && p50 < p99)
        .find(|(p50, p99)| made(*p50, *p99) == Delay::LogNormal { mu, sigma })
        .unwrap_or((p50, p99))
}

/// To six decimals: what people write.
fn rounded(number: f64) -> f64 {
    let scaled = (number * 1e6).round() / 1e6;
    if scaled.is_finite() { scaled } else { number }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::parse_duration;

    #[test]
    fn values_are_spelled_as_people_write_them() {
        assert_eq!(duration(Duration::from_millis(90_250)), "1m30s250ms");
        assert_eq!(duration(Duration::ZERO), "0s");
        for text in ["200/s", "50/min", "1/h", "0/s", "2.5/s", "6/h"] {
            assert_eq!(rate(text.parse().unwrap()), text);
        }
        for text in ["2.5%", "0%", "100%", "0.1%", "33.3%", "99.99%"] {
            assert_eq!(share(text.parse().unwrap()), text);
        }
        let lognormal = Delay::lognormal(Duration::from_millis(120), Duration::from_secs(2));
        assert_eq!(delay(&lognormal), json!({ "lognormal": { "p50": "120ms", "p99": "2s" } }));
    }

    proptest! {
        #[test]
        fn what_is_spelled_is_read_back(
            us in 0u64..366 * 86_400_000_000, number in 0.0f64..1e7, decimals in 0usize..12, percent in 0.0f64..100.0,
            p50 in 1u64..1_000_000_000_000, ratio in 1.001f64..1e4,
        ) {
            prop_assert_eq!(parse_duration(&duration_us(us)), Ok(Duration::from_micros(us)));
            for unit in ["s", "min", "h"] {
                let value: Rate = format!("{number:.decimals$}/{unit}").parse().unwrap();
                prop_assert_eq!(rate(value).parse(), Ok(value));
            }
            let value: Share = format!("{percent:.decimals$}%").parse().unwrap();
            prop_assert_eq!(share(value).parse(), Ok(value));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any")]
            let p99 = ((p50 as f64 * ratio) as u64 + 1).min(366 * 86_400_000_000);
            let value = Delay::lognormal(Duration::from_micros(p50), Duration::from_micros(p99));
            let Delay::LogNormal { mu, sigma } = value else { unreachable!() };
            let (p50, p99) = percentiles(mu, sigma);
            prop_assert_eq!(Delay::lognormal(Duration::from_micros(p50), Duration::from_micros(p99)), value);
        }
    }
}
