//! Loads: when executions start.

use std::time::Duration;

use super::super::document::Spot;
use super::super::{ArrivalRate, Concurrency, Level, Load, Once, Spacing, Stage};
use super::{At, Collector, Names, bounded_rate, capacity, given, is_wrong, raw, rollout};
use crate::units::{Rate, Share, human_count};

/// A closed loop with more in flight fills the ledger of a shard.
const MAX_IN_FLIGHT: u64 = 1_000_000;

/// `devices`: how many the workload can reach.
pub(super) fn check(raw: &raw::Load, devices: u64, names: &Names<'_>, collector: &Collector<'_>) -> Load {
    match raw {
        raw::Load::ArrivalRate(raw) => Load::ArrivalRate(arrival_rate(raw, collector)),
        raw::Load::Once(raw) => Load::Once(once(raw, collector)),
        raw::Load::Concurrency(raw) => Load::Concurrency(concurrency(raw, collector)),
        raw::Load::Rollout(raw) => Load::Rollout(rollout::check(raw, devices, collector)),
        raw::Load::Capacity(raw) => Load::Capacity(capacity::check(raw, names, collector)),
    }
}

/// Takes the place of a load that is missing or wrong.
pub(super) fn stand_in() -> Load {
    Load::ArrivalRate(ArrivalRate { spacing: Spacing::Poisson, stages: Vec::new() })
}

/// Notes a `select` beside a load that goes through its devices in an order of its own.
pub(super) fn no_idle_select(raw: &raw::Workload, collector: &Collector<'_>) {
    let kind = match raw.load.get() {
        Some(raw::Load::Once(_)) => "once",
        Some(raw::Load::Rollout(_)) => "rollout",
        Some(raw::Load::ArrivalRate(_) | raw::Load::Concurrency(_) | raw::Load::Capacity(_)) | None => return,
    };
    if let Some(select) = &raw.select {
        let message =
            format!("`{kind}` sends to each device in an order drawn by the seed: leave `select` out");
        collector.report(Spot::Key(select.spot.node()), message);
    }
}

fn once(raw: &raw::Once, collector: &Collector<'_>) -> Once {
    let devices = given(&raw.devices).map_or(Share::ONE, |share| share.0);
    if let (Some(field), true) = (&raw.devices, devices == Share::ZERO) {
        collector.report(field.spot, "a burst to 0% of the devices starts nothing at all");
    }
    Once { devices, within: given(&raw.within).map_or(Duration::ZERO, |within| within.0) }
}

fn arrival_rate(raw: &raw::ArrivalRate, collector: &Collector<'_>) -> ArrivalRate {
    let spacing = match given(&raw.spacing) {
        Some(raw::Spacing::Even) => Spacing::Even,
        Some(raw::Spacing::Poisson) | None => Spacing::Poisson,
    };
    ArrivalRate { spacing, stages: stages(&raw.stages, collector) }
}

fn stages(field: &At<Vec<At<raw::Stage>>>, collector: &Collector<'_>) -> Vec<Stage> {
    let Some(items) = field.get() else { return Vec::new() };
    let spot = Spot::Key(field.spot.node());
    if items.is_empty() {
        collector.report(spot, "at least one stage is needed");
        return Vec::new();
    }
    let mut stages: Vec<Stage> = Vec::new();
    let mut complete = true;
    for item in items {
        let raw = item.get();
        complete &= raw.is_some_and(|raw| {
            !is_wrong(&raw.rate) && !is_wrong(&raw.ramp_to) && raw.duration.get().is_some()
        });
        // A wrong rate before it is the mistake, not the rate left out here.
        let start = stages.last().map(|stage| stage.to);
        stages.push(raw.map_or_else(empty_stage, |raw| stage(raw, start, item.spot, collector)));
    }
    let starts: f64 = stages.iter().map(expected_starts).sum();
    if complete && starts < 0.5 {
        collector.report(spot, "these stages start nothing at all; raise a rate or a duration");
    }
    stages
}

fn empty_stage() -> Stage {
    Stage { name: None, from: Rate::ZERO, to: Rate::ZERO, duration: Duration::ZERO, warm_up: false }
}

fn stage(raw: &raw::Stage, start: Option<Rate>, spot: Spot, collector: &Collector<'_>) -> Stage {
    for field in [&raw.rate, &raw.ramp_to].into_iter().flatten() {
        if let Some(rate) = field.get() {
            bounded_rate(rate.0, field.spot, collector);
        }
    }
    if raw.rate.is_none() && start.is_none() {
        let hint = "a later stage may leave it out: it then starts where the last one ended";
        collector.report_with_hint(spot, "the first stage needs a `rate`", hint);
    }
    if raw.duration.get().is_some_and(|duration| duration.0.is_zero()) {
        collector.report(raw.duration.spot, "a stage must last longer than 0s");
    }
    let from = given(&raw.rate).map(|rate| rate.0).or(start).unwrap_or(Rate::ZERO);
    Stage {
        name: given(&raw.name).map(|name| name.0.0.clone()),
        from,
        to: given(&raw.ramp_to).map_or(from, |rate| rate.0),
        duration: raw.duration.get().map_or(Duration::ZERO, |duration| duration.0),
        warm_up: given(&raw.warm_up).copied().unwrap_or(false),
    }
}

/// The area under the rate.
fn expected_starts(stage: &Stage) -> f64 {
    f64::midpoint(stage.from.per_second(), stage.to.per_second()) * stage.duration.as_secs_f64()
}

fn concurrency(raw: &raw::Concurrency, collector: &Collector<'_>) -> Concurrency {
    let think_time = raw.think_time.as_ref().map(|field| super::delays::delay(field, collector));
    let mut levels: Vec<Level> = Vec::new();
    let Some(items) = raw.stages.get() else { return Concurrency { levels, think_time } };
    let spot = Spot::Key(raw.stages.spot.node());
    if items.is_empty() {
        collector.report(spot, "at least one stage is needed");
    }
    let mut complete = !items.is_empty();
    for item in items {
        let raw = item.get();
        complete &= raw.is_some_and(|raw| !is_wrong(&raw.in_flight) && !is_wrong(&raw.ramp_to));
        let start = levels.last().map(|level| level.to);
        levels.extend(raw.map(|raw| level(raw, start, item.spot, collector)));
    }
    if complete && levels.iter().all(|level| level.from.max(level.to) == 0) {
        collector.report(spot, "these stages start nothing at all; raise in_flight");
    }
    Concurrency { levels, think_time }
}

fn level(raw: &raw::Level, start: Option<u64>, spot: Spot, collector: &Collector<'_>) -> Level {
    for field in [&raw.in_flight, &raw.ramp_to].into_iter().flatten() {
        if field.get().is_some_and(|level| *level > MAX_IN_FLIGHT) {
            let most = human_count(MAX_IN_FLIGHT);
            collector.report(field.spot, format!("at most {most} executions in flight are possible"));
        }
    }
    if raw.in_flight.is_none() && start.is_none() && raw.ramp_to.is_none() {
        let hint = "a later stage may leave it out: it then starts where the last one ended";
        collector.report_with_hint(spot, "the first stage needs an `in_flight`", hint);
    }
    if raw.duration.get().is_some_and(|duration| duration.0.is_zero()) {
        collector.report(raw.duration.spot, "a stage must last longer than 0s");
    }
    let from = given(&raw.in_flight).copied().or(start).unwrap_or(0);
    Level {
        from,
        to: given(&raw.ramp_to).copied().unwrap_or(from),
        duration: raw.duration.get().map_or(Duration::ZERO, |duration| duration.0),
    }
}
