//! A capacity search: bounds that can be searched, conditions that can be judged, and devices that can follow.

use std::time::Duration;

use super::super::document::Spot;
use super::super::threshold::{self, Names};
use super::super::written::{Name, Text};
use super::super::{Capacity, Group, Load, Metric, Spacing, Workload, spelling, warnings};
use super::{At, Collector, bounded_rate, given, raw};
use crate::units::{Rate, Share};

/// Steps up to the last rate; each takes half a minute or so.
const MAX_STEPS: f64 = 100.0;

pub(super) fn check(raw: &raw::Capacity, names: &Names<'_>, collector: &Collector<'_>) -> Capacity {
    let rate = |field: &At<Text<Rate>>| {
        let rate = field.get().map(|rate| rate.0);
        if let Some(rate) = rate {
            bounded_rate(rate, field.spot, collector);
        }
        rate
    };
    let (from, to) = (rate(&raw.from), rate(&raw.to));
    let hold = given(&raw.hold).map_or(Capacity::HOLD, |hold| hold.0);
    let step = given(&raw.step).copied().unwrap_or(Capacity::STEP);
    if let Some(field) = raw.step.as_ref().filter(|_| !(1.1..=100.0).contains(&step)) {
        collector.report(field.spot, format!("a step of ×{step}: 1.1 to 100 are possible"));
    }
    let precision = given(&raw.precision).map_or_else(Capacity::precision, |share| share.0);
    if let Some(field) = raw.precision.as_ref().filter(|_| precision.fraction() < 0.005) {
        let hint = "each half of it takes one more step, and the noise of a machine is larger";
        collector.report_with_hint(field.spot, "the precision must be at least 0.5%", hint);
    }
    if raw.hold.as_ref().is_some_and(|field| field.get().is_some()) && hold < Duration::from_secs(1) {
        let spot = raw.hold.as_ref().map_or(raw.from.spot, |field| field.spot);
        collector.report(spot, "a rate must be held for at least 1s to be judged");
    }
    if let (Some(from), Some(to)) = (from, to) {
        bounds(from, to, step, hold, raw, collector);
    }
    Capacity {
        from: from.unwrap_or(Rate::ZERO),
        to: to.unwrap_or(Rate::ZERO),
        step,
        hold,
        settle: given(&raw.settle).map_or(Capacity::SETTLE, |settle| settle.0),
        precision,
        spacing: match given(&raw.spacing) {
            Some(raw::Spacing::Even) => Spacing::Even,
            Some(raw::Spacing::Poisson) | None => Spacing::Poisson,
        },
        pass: pass(&raw.pass, names, collector),
    }
}

fn bounds(from: Rate, to: Rate, step: f64, hold: Duration, raw: &raw::Capacity, collector: &Collector<'_>) {
    let (low, high) = (from.per_second(), to.per_second());
    if low <= 0.0 {
        collector
            .report(raw.from.spot, "a search begins at a rate above 0/s: multiplied it would stay there");
    } else if high < low {
        collector.report(raw.to.spot, format!("{to} is below the first rate, {from}"));
    } else if low * hold.as_secs_f64() < 1.0 {
        let message = format!("at {from} nothing starts within {}", spelling::duration(hold));
        collector.report_with_hint(raw.from.spot, message, "raise `from` or `hold`");
    } else if step > 1.0 && (high / low).ln() / step.ln() > MAX_STEPS {
        let message = format!("from {from} to {to} by ×{step} takes more than {MAX_STEPS} steps");
        collector.report_with_hint(raw.to.spot, message, "take a larger `step`, or rates that are closer");
    }
}

fn pass(
    field: &At<Vec<At<String>>>,
    names: &Names<'_>,
    collector: &Collector<'_>,
) -> Vec<super::super::Threshold> {
    let Some(items) = field.get() else { return Vec::new() };
    if items.is_empty() {
        let hint = "e.g. pass: [\"p99(latency) < 500ms\", \"rate(succeeded) >= 99.9%\"]";
        let spot = Spot::Key(field.spot.node());
        collector.report_with_hint(spot, "at least one condition is needed", hint);
    }
    let condition = |item: &At<String>| {
        let condition = threshold::condition(item, names, collector)?;
        if condition.metric == Metric::DevicesSucceeded {
            let message = "`devices_succeeded` is of a whole run, and `pass` judges each step on its own";
            collector.report_with_hint(item.spot, message, "e.g. rate(succeeded) >= 99.9%");
        }
        Some(condition)
    };
    items.iter().filter_map(condition).collect()
}

/// What only shows when groups and workloads are known.
pub(super) fn fits(
    workloads: &[Workload],
    groups: &[Group],
    entries: &raw::Named<Name, raw::Workload>,
    collector: &Collector<'_>,
) {
    for (workload, (name, raw)) in workloads.iter().zip(&entries.0) {
        let Load::Capacity(capacity) = &workload.load else { continue };
        let raw = raw.get().and_then(|raw| match raw.load.get() {
            Some(raw::Load::Capacity(raw)) => Some(raw),
            _ => None,
        });
        if workloads.len() > 1 {
            let hint = "each step is judged on its own executions, and others would be among them";
            let message = format!("`{}` searches a capacity: it must be the only workload", workload.name);
            collector.report_with_hint(Spot::Key(name.spot.node()), message, hint);
        }
        if let (Some(message), Some(raw)) = (busy(capacity, workload, groups), raw) {
            collector.report_with_hint(
                raw.to.spot,
                message,
                "lower `to`, add devices, or shorten their delays",
            );
        }
    }
}

/// Why the devices could not follow the highest rate: at most half of their time may be planned.
pub(super) fn busy(capacity: &Capacity, workload: &Workload, groups: &[Group]) -> Option<String> {
    let (most, name) = warnings::most_at_half(workload, groups)?;
    // Rates are decimal texts.
    if capacity.to.per_second() <= most * (1.0 + 1e-9) {
        return None;
    }
    let busy = capacity.to.per_second() / most * 50.0;
    Some(format!(
        "at {} the devices of group `{name}` would be busy {busy:.0}% of their time, and beyond 50% they would be \
         the limit, not the target; at most {} is possible",
        capacity.to,
        Rate::from_per_second((most * 10.0).floor() / 10.0),
    ))
}

impl Capacity {
    /// By which a rate that passed is multiplied.
    pub const STEP: f64 = 2.0;
    /// A rate 5 % above a limit with a burst of one second is over it after 20 s: settling and holding
    /// together must be longer, or the burst would hide the limit.
    pub const HOLD: Duration = Duration::from_secs(20);
    /// Connections, caches and queues are warm by then.
    pub const SETTLE: Duration = Duration::from_secs(5);

    /// Of the answer.
    pub fn precision() -> Share {
        "5%".parse().expect("it is a share")
    }
}
