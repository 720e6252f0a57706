//! Faults of the embedded backend: shares that fit together, rates that let something through.

use super::super::document::Spot;
use super::super::{CallFaults, Faults, PublishFaults};
use super::delays::delay;
use super::{At, Collector, bounded_rate, given, raw};
use crate::protocol::ErrorKind;
use crate::units::Share;

pub(super) fn check(raw: Option<&raw::Faults>, collector: &Collector<'_>) -> Faults {
    let Some(raw) = raw else { return Faults::default() };
    let call = |field: &Option<At<raw::CallFaults>>| {
        field.as_ref().map(|field| self::call(field, collector)).unwrap_or_default()
    };
    Faults {
        start: call(&raw.start),
        get: call(&raw.get),
        create: call(&raw.create),
        publishes: raw.publishes.as_ref().map(|field| publishes(field, collector)).unwrap_or_default(),
    }
}

fn call(field: &At<raw::CallFaults>, collector: &Collector<'_>) -> CallFaults {
    let Some(raw) = field.get() else { return CallFaults::default() };
    if let (Some(field), Some(rate)) = (&raw.rate, given(&raw.rate)) {
        bounded_rate(rate.0, field.spot, collector);
        if rate.0.per_second() <= 0.0 {
            let hint = "to refuse every call write errors: { ThrottlingException: 100% }";
            collector.report_with_hint(field.spot, "a rate of nothing throttles every call", hint);
        }
    }
    CallFaults {
        latency: raw.latency.as_ref().map(|field| delay(field, collector)),
        errors: raw.errors.as_ref().map(|field| errors(field, collector)).unwrap_or_default(),
        rate: given(&raw.rate).map(|rate| rate.0),
    }
}

fn errors(field: &At<raw::CallErrors>, collector: &Collector<'_>) -> Vec<(ErrorKind, Share)> {
    let Some(raw) = field.get() else { return Vec::new() };
    let shares = [
        (ErrorKind::Throttling, &raw.throttling),
        (ErrorKind::InternalServer, &raw.internal_server),
        (ErrorKind::Validation, &raw.validation),
        (ErrorKind::ResourceNotFound, &raw.resource_not_found),
        (ErrorKind::Conflict, &raw.conflict),
        (ErrorKind::ServiceQuotaExceeded, &raw.service_quota_exceeded),
    ];
    let errors: Vec<_> = shares.iter().filter_map(|(kind, share)| Some((*kind, given(share)?.0))).collect();
    at_most_all(errors.iter().map(|(_, share)| *share), field.spot, collector);
    errors
}

fn publishes(field: &At<raw::PublishFaults>, collector: &Collector<'_>) -> PublishFaults {
    let Some(raw) = field.get() else { return PublishFaults::default() };
    let faults = PublishFaults {
        dropped: given(&raw.dropped).map(|share| share.0),
        delayed: given(&raw.delayed).and_then(|raw| Some((raw.share.get()?.0, delay(&raw.by, collector)))),
    };
    let shares = faults.dropped.into_iter().chain(faults.delayed.iter().map(|(share, _)| *share));
    at_most_all(shares, field.spot, collector);
    faults
}

fn at_most_all(shares: impl Iterator<Item = Share>, spot: Spot, collector: &Collector<'_>) {
    let sum: f64 = shares.map(Share::fraction).sum();
    // Shares are decimal texts; sums of their doubles are off by some 1e-16.
    if sum > 1.0 + 1e-9 {
        let percent = (sum * 1e8).round() / 1e6;
        let message = format!("the shares add up to {percent}%; at most 100% is possible");
        collector.report(Spot::Key(spot.node()), message);
    }
}
