//! Delays: durations, ranges, and distributions by name.

use std::sync::Arc;
use std::time::Duration;

use super::super::document::Spot;
use super::super::measured::{self, Fault};
use super::super::problems::unknown;
use super::super::spelling;
use super::{At, Collector, given, is_wrong, raw};
use crate::dist::{Delay, Empirical, Part, Source, Unit};

/// Mixtures within mixtures; more only says the same in a harder way.
const MAX_DEPTH: usize = 4;
/// Delays of one mixture.
const MAX_PARTS: usize = 100;
/// A file of delays; a million rows fit.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn delay(field: &At<raw::Delay>, collector: &Collector<'_>) -> Delay {
    sound(field, 0, collector).unwrap_or(Delay::ZERO)
}

/// The delay; `None` if something is wrong with it, which has then been noted.
fn sound(field: &At<raw::Delay>, depth: usize, collector: &Collector<'_>) -> Option<Delay> {
    let distribution = match field.get()? {
        raw::Delay::Constant(delay) => return Some(Delay::constant(*delay)),
        raw::Delay::Range(min, max) => return uniform(*min, *max, field.spot, collector),
        raw::Delay::Named(distribution) => distribution,
    };
    match distribution {
        raw::Distribution::Constant(delay) => Some(Delay::constant(delay.0)),
        raw::Distribution::Uniform(raw) => {
            uniform(raw.min.get()?.0, raw.max.get()?.0, raw.min.spot, collector)
        }
        raw::Distribution::Normal(raw) => {
            let (mean, sd) = (raw.mean.get()?.0, raw.sd.get()?.0);
            Some(Delay::Normal { mean_us: us(mean), sd_us: us(sd) })
        }
        raw::Distribution::LogNormal(raw) => lognormal(raw, collector),
        raw::Distribution::Exponential(raw) => Some(Delay::Exponential { mean_us: us(raw.mean.get()?.0) }),
        raw::Distribution::Pareto(raw) => pareto(raw, collector),
        raw::Distribution::Empirical(raw) => empirical(raw, collector),
        raw::Distribution::Mix(parts) => mix(parts, field.spot, depth, collector),
    }
}

fn us(duration: Duration) -> u64 {
    crate::units::micros(duration)
}

fn uniform(min: Duration, max: Duration, spot: Spot, collector: &Collector<'_>) -> Option<Delay> {
    if min > max {
        collector.report(spot, "the smallest delay is longer than the largest; swap them");
        return None;
    }
    Some(Delay::uniform(min, max))
}

fn lognormal(raw: &raw::LogNormal, collector: &Collector<'_>) -> Option<Delay> {
    let (p50, p99) = (raw.p50.get()?.0, raw.p99.get()?.0);
    if p50.is_zero() {
        collector.report(raw.p50.spot, "the median of a log-normal delay must be more than 0s");
    } else if p50 >= p99 {
        collector.report(raw.p50.spot, "p50 must be shorter than p99");
    } else {
        return Some(Delay::lognormal(p50, p99));
    }
    None
}

fn pareto(raw: &raw::Pareto, collector: &Collector<'_>) -> Option<Delay> {
    let (min, shape) = (raw.min.get(), raw.shape.get());
    let short = min.is_some_and(|min| min.0.is_zero());
    if short {
        collector.report(raw.min.spot, "the smallest delay of a Pareto distribution must be more than 0s");
    }
    let flat = shape.is_some_and(|shape| *shape <= 1.0);
    if flat {
        let message = "the shape must be more than 1: with less the mean is infinite";
        collector.report_with_hint(raw.shape.spot, message, "1.5 is a heavy tail, 3 a light one");
    }
    let (min, shape) = (min?.0, *shape?);
    (!short && !flat).then(|| Delay::Pareto { min_us: us(min), shape })
}

fn empirical(raw: &raw::Empirical, collector: &Collector<'_>) -> Option<Delay> {
    let unit = unit(*raw.unit.get()?);
    if is_wrong(&raw.column) || is_wrong(&raw.sha256) {
        return None;
    }
    let source = Source { file: raw.file.get()?.clone(), column: given(&raw.column).cloned(), unit };
    let table = if let Some(table) = collector.shelf().table(&source) {
        table
    } else {
        let table = Arc::new(read(source, raw, collector)?);
        collector.shelf().keep(Arc::clone(&table));
        table
    };
    if let (Some(field), Some(stated)) = (&raw.sha256, given(&raw.sha256))
        && *stated != spelling::digest(&table)
    {
        let message =
            format!("the delays in `{}` are not those that this hash was made of", table.source.file);
        collector.report_with_hint(field.spot, message, "leave `sha256` out to take them as they are now");
        return None;
    }
    Some(Delay::Empirical(table))
}

fn unit(raw: raw::Unit) -> Unit {
    match raw {
        raw::Unit::Ns => Unit::Ns,
        raw::Unit::Us => Unit::Us,
        raw::Unit::Ms => Unit::Ms,
        raw::Unit::S => Unit::S,
        raw::Unit::M => Unit::M,
        raw::Unit::H => Unit::H,
    }
}

fn read(source: Source, raw: &raw::Empirical, collector: &Collector<'_>) -> Option<Empirical> {
    let (file, name) = (source.file.clone(), source.column.clone().unwrap_or_default());
    let bytes = collector.shelf().read(&file, MAX_FILE_BYTES, raw.file.spot, collector)?;
    let column = raw.column.as_ref().map_or(raw.file.spot, |column| column.spot);
    let (spot, why) = match measured::read(source, &bytes) {
        Ok(table) => return Some(table),
        Err(Fault::File(why)) => (raw.file.spot, why),
        Err(Fault::Unknown(what, known)) => {
            let meant = collector.nearest(&name, known.iter().map(String::as_str));
            (column, format!("in `{file}`: {}", unknown(what, &name, meant, &known)))
        }
        Err(Fault::Untagged) => {
            (column, format!("the histograms of `{file}` have no tags; leave `column` out"))
        }
    };
    collector.report(spot, why);
    None
}

fn mix(parts: &[At<raw::MixPart>], spot: Spot, depth: usize, collector: &Collector<'_>) -> Option<Delay> {
    if parts.is_empty() {
        collector.report(spot, "at least one part is needed in a mixture");
        return None;
    }
    if parts.len() > MAX_PARTS {
        collector
            .report(spot, format!("{} parts are too many; at most {MAX_PARTS} are possible", parts.len()));
        return None;
    }
    if depth == MAX_DEPTH {
        collector.report(spot, format!("mixtures within mixtures go {MAX_DEPTH} deep at the most"));
        return None;
    }
    let made: Vec<Option<Part>> = parts
        .iter()
        .map(|field| {
            let raw = field.get()?;
            let weight = raw.weight.get().copied();
            if weight.is_some_and(|weight| weight < 0.0) {
                collector.report(
                    raw.weight.spot,
                    "a weight is a number from 0: how often in relation to the others",
                );
            }
            let of = sound(&raw.of, depth + 1, collector);
            Some(Part { weight: weight.filter(|weight| *weight >= 0.0)?, of: of? })
        })
        .collect();
    let parts: Vec<Part> = made.into_iter().collect::<Option<_>>()?;
    let sum: f64 = parts.iter().map(|part| part.weight).sum();
    if sum <= 0.0 || !sum.is_finite() {
        collector.report(spot, "the weights of a mixture must add up to more than 0, and to a number");
        return None;
    }
    Some(Delay::Mix(parts.into()))
}
