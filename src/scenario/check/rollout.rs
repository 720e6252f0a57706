//! Rollouts: rates, batches, what stops them and what is tried again.

use std::time::Duration;

use super::super::document::Spot;
use super::super::written::CountOrShare;
use super::super::{AbortStatus, AbortWhen, Batch, BatchSize, Growth, IncreaseAfter, Retry, Rollout};
use super::{At, Collector, bounded_rate, given, raw};
use crate::units::{Rate, Share, human_count};

/// What AWS IoT Jobs takes for `maximumPerMinute` at the most.
const MAX_AWS_RATE_PER_MINUTE: f64 = 1_000.0;
/// What AWS IoT Jobs takes for `numberOfRetries` at the most.
const MAX_RETRIES: u64 = 10;
/// Each batch has its own counts; nobody watches more gates than this.
const MAX_BATCHES: usize = 100;
/// As hawkBit proposes for the gate between two groups.
const DEFAULT_SUCCESS: &str = "50%";

pub(super) fn check(raw: &raw::Rollout, devices: u64, collector: &Collector<'_>) -> Rollout {
    let base_rate = raw.base_rate.get().map_or(Rate::ZERO, |rate| rate.0);
    if raw.base_rate.get().is_some() {
        bounded_rate(base_rate, raw.base_rate.spot, collector);
        if base_rate == Rate::ZERO {
            collector.report(raw.base_rate.spot, "at 0/s no device is ever told; give a rate");
        }
    }
    if let (Some(field), Some(Duration::ZERO)) = (&raw.give_up_after, given(&raw.give_up_after).map(|d| d.0))
    {
        collector.report(field.spot, "a rollout that gives up after 0s starts nothing at all");
    }
    let abort_when = given(&raw.abort_when).into_iter().flatten();
    Rollout {
        base_rate,
        growth: growth(raw, base_rate, collector),
        batches: raw.batches.as_ref().map_or_else(Vec::new, |field| batches(field, devices, collector)),
        abort_when: abort_when.filter_map(|item| abort_rule(item.get()?, collector)).collect(),
        retry: given(&raw.retry).map_or_else(Retry::default, |raw| Retry {
            failed: retries(raw.failed.as_ref(), collector),
            timed_out: retries(raw.timed_out.as_ref(), collector),
        }),
        give_up_after: given(&raw.give_up_after).map(|after| after.0),
    }
}

/// The rate that grows; `None` also where something about it is wrong.
fn growth(raw: &raw::Rollout, base_rate: Rate, collector: &Collector<'_>) -> Option<Growth> {
    let keys = [
        ("max_rate", raw.max_rate.as_ref().map(|field| field.spot)),
        ("increment_factor", raw.increment_factor.as_ref().map(|field| field.spot)),
        ("increase_after", raw.increase_after.as_ref().map(|field| field.spot)),
    ];
    for (key, spot) in keys.into_iter().filter_map(|(key, spot)| Some((key, spot?))) {
        if raw.batches.is_some() {
            let message = format!("`{key}` makes the rate grow, and batches have their gates instead");
            collector.report_with_hint(Spot::Key(spot.node()), message, "take either, not both");
        } else if raw.increase_after.is_none() {
            let hint = "e.g. increase_after: { succeeded: 100 }";
            let message = format!("`{key}` does nothing without `increase_after`");
            collector.report_with_hint(Spot::Key(spot.node()), message, hint);
        }
    }
    let factor = given(&raw.increment_factor).copied().unwrap_or(2.0);
    if let (Some(field), false) = (&raw.increment_factor, (1.1..=5.0).contains(&factor)) {
        collector.report(field.spot, format!("increment_factor {factor} is not possible: 1.1 to 5 are"));
    }
    let max_rate = match (&raw.max_rate, given(&raw.max_rate)) {
        (Some(field), Some(rate)) => {
            bounded_rate(rate.0, field.spot, collector);
            if rate.0 < base_rate {
                collector.report(field.spot, format!("max_rate must not be below base_rate, {base_rate}"));
            }
            rate.0
        }
        _ => Rate::from_per_second(base_rate.per_second().max(MAX_AWS_RATE_PER_MINUTE / 60.0)),
    };
    let field = raw.increase_after.as_ref()?;
    let (after, count) = match field.get()? {
        raw::IncreaseAfter::Notified(count) => (IncreaseAfter::Notified(*count), *count),
        raw::IncreaseAfter::Succeeded(count) => (IncreaseAfter::Succeeded(*count), *count),
    };
    if count == 0 {
        collector.report(field.spot, "the rate cannot grow after every 0 devices; give at least 1");
    }
    raw.batches.is_none().then_some(Growth { factor, after, max_rate })
}

fn batches(field: &At<Vec<At<raw::Batch>>>, devices: u64, collector: &Collector<'_>) -> Vec<Batch> {
    let Some(items) = field.get() else { return Vec::new() };
    let spot = Spot::Key(field.spot.node());
    if items.is_empty() {
        collector.report(spot, "at least one batch is needed; leave `batches` out for all devices at once");
    }
    if items.len() > MAX_BATCHES {
        collector.report(
            spot,
            format!("{} batches are too many; at most {MAX_BATCHES} are possible", items.len()),
        );
    }
    let mut batches: Vec<Batch> = Vec::new();
    let mut taken = 0.0;
    let default_success = DEFAULT_SUCCESS.parse().unwrap_or(Share::ONE);
    for (number, item) in items.iter().enumerate() {
        let Some(raw) = item.get() else { continue };
        let size = match given(&raw.devices) {
            Some(raw_size) => {
                batch_size(raw_size, raw.devices.as_ref().map_or(item.spot, |f| f.spot), collector)
            }
            None => BatchSize::Rest,
        };
        if size == BatchSize::Rest && raw.devices.is_none() && number + 1 < items.len() {
            let message = "only the last batch may leave `devices` out and take all that are left";
            collector.report(item.spot, message);
        }
        taken += match size {
            BatchSize::Count(count) => as_f64(count),
            BatchSize::Share(share) => share.fraction() * as_f64(devices),
            BatchSize::Rest => 0.0,
        };
        let name = raw.name.get().map(|name| name.0.0.clone()).unwrap_or_default();
        if batches.iter().any(|batch| batch.name == name) && raw.name.get().is_some() {
            collector.report(raw.name.spot, format!("another batch is called `{name}`, too"));
        }
        batches.push(Batch {
            name,
            devices: size,
            success_threshold: given(&raw.success_threshold).map_or(default_success, |share| share.0),
            error_threshold: given(&raw.error_threshold).map(|share| share.0),
            soak: given(&raw.soak).map_or(Duration::ZERO, |soak| soak.0),
        });
    }
    // Half a device is rounding.
    if taken > as_f64(devices) + 0.5 {
        let message =
            format!("the batches have more devices than the workload can reach, {}", human_count(devices));
        collector.report(spot, message);
    }
    batches
}

fn batch_size(raw: &CountOrShare, spot: Spot, collector: &Collector<'_>) -> BatchSize {
    let size = match *raw {
        CountOrShare::Count(count) => BatchSize::Count(count),
        CountOrShare::Share(share) => BatchSize::Share(share),
    };
    if matches!(size, BatchSize::Count(0) | BatchSize::Share(Share::ZERO)) {
        collector.report(spot, "a batch of no devices starts nothing at all");
    }
    size
}

fn abort_rule(raw: &raw::AbortWhen, collector: &Collector<'_>) -> Option<AbortWhen> {
    let min_executed = *raw.min_executed.get()?;
    if min_executed == 0 {
        let message = "with min_executed: 0 the first execution that ends badly stops all; give at least 1";
        collector.report(raw.min_executed.spot, message);
    }
    let status = match raw.status.get()? {
        raw::AbortStatus::Failed => AbortStatus::Failed,
        raw::AbortStatus::Rejected => AbortStatus::Rejected,
        raw::AbortStatus::TimedOut => AbortStatus::TimedOut,
        raw::AbortStatus::All => AbortStatus::All,
    };
    Some(AbortWhen { status, over: raw.over.get()?.0, min_executed })
}

fn retries(field: Option<&At<u64>>, collector: &Collector<'_>) -> u8 {
    let Some((field, count)) = field.and_then(|field| Some((field, *field.get()?))) else { return 0 };
    if count > MAX_RETRIES {
        collector
            .report(field.spot, format!("{count} retries are too many: 0 to {MAX_RETRIES} are possible"));
    }
    u8::try_from(count).unwrap_or(u8::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of devices are far below 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
