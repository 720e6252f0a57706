//! Workloads: what is sent, to whom, and when.

use std::time::Duration;

use super::super::document::Spot;
use super::super::problems::unknown;
use super::super::written::{Name, Text};
use super::super::{Command, Group, Select, Workload};
use super::{At, Collector, Names, capacity, given, is_wrong, loads, raw, whole_seconds};

/// `executionTimeoutSeconds` of AWS IoT: 1 s to 12 h.
const MAX_TIMEOUT_SECONDS: u64 = 43_200;
/// A static payload of AWS IoT: 32 KB.
const MAX_PAYLOAD_BYTES: usize = 32_768;

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
    one_payload_per_command(&workloads, entries, collector);
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
    let targets = raw.map_or_else(Vec::new, |raw| targets(raw, groups, collector));
    let devices = targets.iter().map(|index| u64::from(groups[*index].count)).sum();
    Workload {
        name,
        command: command(raw.and_then(|raw| raw.command.get()), collector),
        groups: targets,
        select: match raw.and_then(|raw| given(&raw.select)) {
            Some(raw::Select::RoundRobin) => Select::RoundRobin,
            Some(raw::Select::Uniform) | None => Select::Uniform,
        },
        start_after: raw.and_then(|raw| given(&raw.start_after)).map_or(Duration::ZERO, |text| text.0),
        load: load.map_or_else(loads::stand_in, |load| loads::check(load, devices, names, collector)),
    }
}

fn command(raw: Option<&raw::Command>, collector: &Collector<'_>) -> Command {
    let format = raw.and_then(|raw| given(&raw.format)).copied().unwrap_or(raw::Format::Json);
    let content_type = match format {
        raw::Format::Json => "application/json",
        raw::Format::Text => "text/plain",
    };
    let timeout = raw.and_then(|raw| raw.timeout.as_ref());
    if let Some((field, timeout)) = timeout.and_then(|field| Some((field, field.get()?))) {
        whole_seconds(timeout.0, MAX_TIMEOUT_SECONDS, "time-out", field.spot, collector);
    }
    Command {
        name: raw.and_then(|raw| raw.name.get()).map(|name| name.0.0.clone()).unwrap_or_default(),
        payload: raw.map_or_else(Vec::new, |raw| payload(raw, format, collector)),
        content_type: content_type.to_owned(),
        timeout: timeout.and_then(At::get).map_or(Duration::from_secs(10), |text| text.0),
    }
}

fn payload(raw: &raw::Command, format: raw::Format, collector: &Collector<'_>) -> Vec<u8> {
    let Some(field) = &raw.payload else {
        if format == raw::Format::Text && !is_wrong(&raw.format) {
            let spot = raw.format.as_ref().map_or(raw.name.spot, |format| format.spot);
            collector.report(spot, "a text command needs a `payload`; only json has a default, {}");
        }
        return b"{}".to_vec();
    };
    let Some(text) = field.get() else { return Vec::new() };
    if text.len() > MAX_PAYLOAD_BYTES {
        let message =
            format!("the payload has {} bytes; at most {MAX_PAYLOAD_BYTES} are possible", text.len());
        collector.report(field.spot, message);
    }
    let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(text);
    if let (raw::Format::Json, false, Err(error)) = (format, is_wrong(&raw.format), is_json()) {
        let hint = "quote the keys and texts inside it, or set format: text";
        collector.report_with_hint(field.spot, format!("the payload is not JSON: {error}"), hint);
    }
    text.clone().into_bytes()
}

/// The groups of a workload as indices; all if it names none.
fn targets(raw: &raw::Workload, groups: &[Group], collector: &Collector<'_>) -> Vec<usize> {
    let Some(field) = &raw.groups else { return (0..groups.len()).collect() };
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

/// A command id stands for one stored command, so it cannot have two payloads.
fn one_payload_per_command(
    workloads: &[Workload],
    entries: &raw::Named<Name, raw::Workload>,
    collector: &Collector<'_>,
) {
    for (index, workload) in workloads.iter().enumerate() {
        let (own, name) = (&workload.command, &workload.command.name);
        let other = workloads[..index].iter().find(|earlier| {
            let other = &earlier.command;
            other.name == *name && (&other.payload, &other.content_type) != (&own.payload, &own.content_type)
        });
        let command = entries.0[index].1.get().and_then(|raw| raw.command.get());
        if let (Some(other), Some(spot)) =
            (other, command.filter(|raw| raw.name.get().is_some()).map(|raw| raw.name.spot))
        {
            let message = format!("the command `{name}` has another payload in workload `{}`", other.name);
            collector.report_with_hint(spot, message, "give the two commands different names");
        }
    }
}
