//! Workloads: what is sent, to whom, and when.

use std::time::Duration;

use super::super::document::Spot;
use super::super::problems::unknown;
use super::super::written::{Name, Text};
use super::super::{Group, Select, Workload};
use super::{At, Collector, Names, capacity, command, given, loads, raw};

type RawWorkloads = At<raw::Named<Name, raw::Workload>>;

/// The names of all workloads, in the order of the file.
pub(super) fn names(raw: &RawWorkloads, collector: &Collector<'_>) -> Vec<String> {
    let entries = raw.get().into_iter().flat_map(|entries| &entries.0);
    let name = |name: &At<Text<Name>>| collector.document().key(name.spot.node()).unwrap_or_default();
    entries.map(|(key, _)| name(key).to_owned()).collect()
}

pub(super) fn check(
    raw: &RawWorkloads,
    groups: &[Group],
    names: &Names<'_>,
    collector: &Collector<'_>,
) -> Vec<Workload> {
    let Some(entries) = raw.get() else { return Vec::new() };
    let workloads: Vec<Workload> =
        entries.0.iter().map(|(name, value)| workload(name, value.get(), groups, names, collector)).collect();
    capacity::fits(&workloads, groups, entries, collector);
    command::one_payload_per_name(&workloads, entries, collector);
    workloads
}

fn workload(
    name: &At<Text<Name>>,
    raw: Option<&raw::Workload>,
    groups: &[Group],
    names: &Names<'_>,
    collector: &Collector<'_>,
) -> Workload {
    let name = collector.document().key(name.spot.node()).unwrap_or_default().to_owned();
    let load = raw.and_then(|raw| raw.load.get());
    if let Some(raw) = raw {
        loads::no_idle_select(raw, collector);
    }
    let targets = raw.map_or_else(Vec::new, |raw| targets(&raw.groups, groups, collector));
    let devices = targets.iter().map(|index| u64::from(groups[*index].count)).sum();
    Workload {
        name,
        command: command::check(raw.and_then(|raw| raw.command.get()), collector),
        groups: targets,
        select: match raw.and_then(|raw| given(&raw.select)) {
            Some(raw::Select::RoundRobin) => Select::RoundRobin,
            Some(raw::Select::Uniform) | None => Select::Uniform,
        },
        start_after: raw.and_then(|raw| given(&raw.start_after)).map_or(Duration::ZERO, |text| text.0),
        load: load.map_or_else(loads::stand_in, |load| loads::check(load, devices, names, collector)),
    }
}

/// The groups of a workload, or of whatever else names some, as indices; all if none is named.
#[expect(clippy::ref_option, reason = "borrows a field as it stands")]
pub(super) fn targets(
    field: &Option<At<Vec<At<Text<Name>>>>>,
    groups: &[Group],
    collector: &Collector<'_>,
) -> Vec<usize> {
    let Some(field) = field else { return (0..groups.len()).collect() };
    let Some(names) = field.get() else { return Vec::new() };
    if names.is_empty() {
        collector
            .report(Spot::Key(field.spot.node()), "no group is named; leave `groups` out for all of them");
    }
    let mut indices: Vec<usize> = Vec::new();
    for item in names {
        let Some(name) = item.get() else { continue };
        match groups.iter().position(|group| group.name == name.0.0) {
            Some(index) if indices.contains(&index) => {
                collector.report(item.spot, format!("group `{}` is named twice", name.0.0));
            }
            Some(index) => indices.push(index),
            None => {
                let known = || groups.iter().map(|group| group.name.as_str());
                let meant = collector.nearest(&name.0.0, known());
                collector.report(item.spot, unknown("group", &name.0.0, meant, known()));
            }
        }
    }
    indices.sort_unstable();
    indices
}
