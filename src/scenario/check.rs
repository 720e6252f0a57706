//! From a scenario as written to one that can be run: defaults filled in, and what the parts must
//! be to make sense together.
//!
//! What is missing or wrong by itself has been noted by `decode`; a stand-in takes its place here,
//! so that everything else is still checked, and the result is thrown away in the end.

mod capacity;
mod command;
mod connect;
mod delays;
mod driver;
mod faults;
mod groups;
mod loads;
mod rollout;
mod target;
mod manners;
mod timeline;
mod workloads;

use std::time::Duration;

use super::decode::At;
use super::document::{Content, Document, Spot};
use super::problems::Collector;
use super::threshold::{self, Names};
use super::written::{Line, Text};
use super::{Scenario, raw};
use crate::units::Rate;

pub(super) use target::standard as standard_embedded;

/// The file format this program reads.
pub(super) const VERSION: u64 = 1;
/// Devices of all groups together.
const MAX_DEVICES: u64 = 10_000_000;
/// Groups (and workloads, and thresholds): each group has its own statistics, and some checks
/// compare all pairs.
const MAX_NAMES: usize = 500;
/// The results of all repeats are kept until the last one ends.
pub const MAX_REPEATS: u32 = 1_000;
/// Beyond this no machine can follow, and sums over a run could overflow.
const MAX_RATE_PER_SECOND: f64 = 10_000_000.0;

/// Checks the whole scenario. The result is sound only if nothing has been noted.
pub(super) fn check(raw: &At<raw::Scenario>, collector: &Collector<'_>) -> Option<Scenario> {
    let raw = raw.get()?;
    version(&raw.version, collector);
    let bounded = bounded_names(&raw.groups, |names| names.0.len(), "groups", collector)
        & bounded_names(&raw.workloads, |names| names.0.len(), "workloads", collector)
        & raw.timeline.as_ref().is_none_or(|list| bounded_names(list, Vec::len, "timeline", collector))
        & raw.thresholds.as_ref().is_none_or(|list| bounded_names(list, Vec::len, "thresholds", collector));
    if !bounded {
        return None;
    }
    let mut groups = groups::check(&raw.groups, collector);
    let group_names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let workload_names = workloads::names(&raw.workloads, collector);
    let names = Names { groups: &group_names, workloads: &workload_names };
    let workloads = workloads::check(&raw.workloads, &groups, &names, collector);
    let thresholds = given(&raw.thresholds).into_iter().flatten();
    let thresholds = thresholds
        .filter_map(At::get)
        .filter_map(|threshold| threshold::check(threshold, &names, collector))
        .collect();
    let max_lag = given(&raw.validity).and_then(|validity| max_lag(validity, collector));
    let target = target::check(given(&raw.target), collector);
    target::pace_connects(&target, &raw.groups, &mut groups, collector);
    command::exists_where_it_can(&raw.workloads, &target, collector);
    let events = given(&raw.timeline).map_or(&[][..], Vec::as_slice);
    let timeline = timeline::check(events, &target, &groups, collector);
    // Only now: a bad name must not hide what is wrong further down.
    let name = raw.name.get()?.0.0.clone();
    Some(Scenario {
        name,
        description: given(&raw.description).cloned().unwrap_or_default(),
        labels: given(&raw.labels).map(named_texts).unwrap_or_default(),
        seed: given(&raw.seed).copied(),
        repeat: raw.repeat.as_ref().map_or(1, |field| repeat(field, collector)),
        max_lag,
        driver: driver::check(given(&raw.driver), &target, collector),
        target,
        timeline,
        thresholds,
        groups,
        workloads,
    })
}

/// Whether the document says that it is for a newer program. Then nothing else in it can be judged.
pub(super) fn newer_version(collector: &Collector<'_>) -> bool {
    let document = collector.document();
    let Content::Map(entries) = document.content(Document::ROOT) else { return false };
    let Some((_, node)) = entries.iter().find(|(key, _)| key == "version") else { return false };
    let (Content::Number(text) | Content::Filled(text)) = document.content(*node) else { return false };
    let newer = text.parse::<u64>().is_ok_and(|version| version > VERSION);
    if newer {
        collector.report_with_hint(
            Spot::Value(*node),
            format!("the file has format version {text}, and this fleetsim reads version {VERSION}"),
            "upgrade fleetsim, or take a scenario of the older format",
        );
    }
    newer
}

fn version(version: &At<u64>, collector: &Collector<'_>) {
    if version.get().is_some_and(|given| *given != VERSION) {
        let message = format!("there is no such format version; write version: {VERSION}");
        collector.report(version.spot, message);
    }
}

/// Texts by name: labels of the run, attributes of devices.
fn named_texts<K: AsRef<str>>(texts: &raw::Named<K, Text<Line>>) -> indexmap::IndexMap<String, String> {
    let pairs = texts
        .0
        .iter()
        .filter_map(|(name, value)| Some((name.get()?.0.as_ref().to_owned(), value.get()?.0.0.clone())));
    pairs.collect()
}

fn repeat(field: &At<u64>, collector: &Collector<'_>) -> u32 {
    let Some(count) = field.get() else { return 1 };
    match u32::try_from(*count) {
        Ok(fits) if (1..=MAX_REPEATS).contains(&fits) => fits,
        _ => {
            collector.report(field.spot, format!("a run is done 1 to {MAX_REPEATS} times, not {count}"));
            1
        }
    }
}

fn max_lag(validity: &raw::Validity, collector: &Collector<'_>) -> Option<Duration> {
    let limit = validity.max_lag.as_ref()?;
    let given = limit.get()?.0;
    // The timers of the runtime are late by one or two milliseconds on an idle machine.
    if given < Duration::from_millis(5) {
        collector.report(limit.spot, "the limit can be moved, not removed: at least 5ms are needed");
    }
    Some(given)
}

/// The value of an optional key, if it is there and sound.
#[expect(clippy::ref_option, reason = "borrows a field as it stands")]
fn given<T>(field: &Option<At<T>>) -> Option<&T> {
    field.as_ref().and_then(At::get)
}

/// Whether the key is there, and its value wrong.
#[expect(clippy::ref_option, reason = "borrows a field as it stands")]
fn is_wrong<T>(field: &Option<At<T>>) -> bool {
    field.as_ref().is_some_and(|at| at.get().is_none())
}

/// Notes a rate that no machine can follow.
fn bounded_rate(rate: Rate, spot: Spot, collector: &Collector<'_>) {
    if rate.per_second() > MAX_RATE_PER_SECOND {
        collector.report(spot, format!("{rate} is too much: at most {MAX_RATE_PER_SECOND}/s are possible"));
    }
}

/// Notes a duration that is not a whole number of seconds from 1 to `most`.
fn whole_seconds(duration: Duration, most: u64, what: &str, spot: Spot, collector: &Collector<'_>) {
    if duration.subsec_nanos() != 0 || !(1..=most).contains(&duration.as_secs()) {
        let written = super::spelling::duration(duration);
        collector
            .report(spot, format!("{written} is no {what}: whole seconds from 1s to {most}s are possible"));
    }
}

/// Notes more names than there can be; whether there are too many to go on.
fn bounded_names<T>(
    names: &At<T>,
    count: impl Fn(&T) -> usize,
    what: &str,
    collector: &Collector<'_>,
) -> bool {
    let Some(count) = names.get().map(count) else { return true };
    let spot = Spot::Key(names.spot.node());
    if count == 0 && !matches!(what, "thresholds" | "timeline") {
        collector.report(spot, format!("at least one of `{what}` is needed"));
    }
    if count > MAX_NAMES {
        collector.report(spot, format!("{count} {what} are too many; at most {MAX_NAMES} are possible"));
    }
    count <= MAX_NAMES
}
