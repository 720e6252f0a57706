//! Percentiles in tables: by group and workload, and by the parts of an execution's life.

use askama::Template;

use super::shown;
use crate::report::html::timings::{Of, Timings};
use crate::report::result::{Accounting, RunResult};
use crate::report::words::{share, span};
use crate::stats::{Class, Outcome, Span};
use crate::units::human_count;

type Counts = hdrhistogram::Histogram<u64>;

/// Rows for groups, and for workloads: more are in the JSON result.
const MOST_ROWS: usize = 100;

/// Percentiles of a row.
const COLUMNS: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// A figure and what it is sorted by.
struct Cell {
    raw: Option<u64>,
    shown: String,
    /// Only on wide screens.
    wide: bool,
}

fn percentiles(counts: Option<&Counts>) -> Vec<Cell> {
    COLUMNS
        .iter()
        .map(|(name, quantile)| {
            let us = counts.map(|counts| match *quantile {
                1.0 => counts.max(),
                quantile => counts.value_at_quantile(quantile),
            });
            Cell { raw: us, shown: span(us), wide: is_wide(name) }
        })
        .collect()
}

fn is_wide(name: &str) -> bool {
    matches!(name, "p90" | "p95" | "p99.9")
}

struct Heading {
    name: &'static str,
    wide: bool,
}

fn headings() -> Vec<Heading> {
    COLUMNS.iter().map(|(name, _)| Heading { name, wide: is_wide(name) }).collect()
}

struct Row {
    name: String,
    /// `group`, `workload` or `sum`.
    kind: &'static str,
    devices: Option<Cell>,
    due: Option<Cell>,
    /// Of the due, in tenths of a percent, and its words.
    share: Option<Cell>,
    figures: Vec<Cell>,
}

#[derive(Template)]
#[template(path = "latency.html")]
pub(super) struct ByGroup {
    headings: Vec<Heading>,
    groups: Vec<Row>,
    sums: Vec<Row>,
    more: usize,
}

/// Latency of the succeeded by group and workload; `None` before the first execution is due.
pub(super) fn groups(result: &RunResult, timings: &Timings<'_>) -> Option<ByGroup> {
    let all = &result.totals.measured;
    if all.due == 0 && result.totals.warm_up.due == 0 {
        return None;
    }
    let success = |workload, group| {
        timings.merged(Span::Latency, Of { workload, group, outcome: Some(Outcome::Succeeded) })
    };
    let row = |name: &str, kind, devices: Option<u64>, accounting: &Accounting, counts: Option<Counts>| {
        let succeeded = accounting.classes.get(Class::Succeeded.name()).copied().unwrap_or(0);
        let permille = u128::from(succeeded) * 1000 / u128::from(accounting.due.max(1));
        Row {
            name: shown(name),
            kind,
            devices: devices.map(count),
            due: Some(count(accounting.due)),
            share: Some(Cell {
                raw: Some(u64::try_from(permille).unwrap_or(1000)),
                shown: share(succeeded, accounting.due),
                wide: false,
            }),
            figures: percentiles(counts.as_ref()),
        }
    };
    let mut groups: Vec<Row> = result
        .groups
        .iter()
        .take(MOST_ROWS)
        .map(|(name, group)| {
            let counts = success(None, Some(name.as_str()));
            row(name, "group", Some(group.devices), &group.totals.measured, counts)
        })
        .collect();
    let several = result.workloads.len() > 1;
    if several {
        groups.extend(result.workloads.iter().take(MOST_ROWS).map(|(name, totals)| {
            row(name, "workload", None, &totals.measured, success(Some(name.as_str()), None))
        }));
    }
    let mut sums = Vec::new();
    if groups.len() > 1 {
        let devices = result.groups.values().map(|group| group.devices).sum();
        sums.push(row("all", "sum", Some(devices), all, success(None, None)));
    }
    let other = timings.merged(Span::Latency, Of { outcome: Some(Outcome::Other), ..Of::default() });
    let overhead = timings.merged(Span::Overhead, Of { outcome: Some(Outcome::Succeeded), ..Of::default() });
    for (name, counts) in [("ended otherwise", other), ("added by the target", overhead)] {
        let Some(counts) = counts else { continue };
        let figures = percentiles(Some(&counts));
        sums.push(Row { name: name.to_owned(), kind: "sum", devices: None, due: None, share: None, figures });
    }
    let hidden = |names: usize| names.saturating_sub(MOST_ROWS);
    let more = hidden(result.groups.len()) + if several { hidden(result.workloads.len()) } else { 0 };
    Some(ByGroup { headings: headings(), groups, sums, more })
}

fn count(count: u64) -> Cell {
    Cell { raw: Some(count), shown: human_count(count), wide: false }
}

/// A part of an execution's life, with its place on an axis that all parts share.
struct SpanRow {
    name: &'static str,
    meaning: &'static str,
    count: u64,
    samples: String,
    figures: Vec<Cell>,
    /// Of a bar 1,000 wide, on a logarithmic axis: p50, and from there to p99.
    from: u64,
    width: u64,
}

#[derive(Template)]
#[template(path = "spans.html")]
pub(super) struct Spans {
    headings: Vec<Heading>,
    rows: Vec<SpanRow>,
}

/// Every span that has samples, all ends together; `None` without any.
pub(super) fn spans(timings: &Timings<'_>) -> Option<Spans> {
    let all: Vec<(Span, Counts)> =
        Span::ALL.into_iter().filter_map(|span| Some((span, timings.merged(span, Of::default())?))).collect();
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^53")]
    let log = |us: u64| (us.max(1) as f64).log10();
    let least = all.iter().map(|(_, counts)| log(counts.value_at_quantile(0.5))).fold(f64::MAX, f64::min);
    let most = all.iter().map(|(_, counts)| log(counts.value_at_quantile(0.99))).fold(0.0, f64::max);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
    let place = |us: u64| ((log(us) - least) / (most - least).max(0.1) * 980.0).clamp(0.0, 980.0) as u64;
    let rows: Vec<SpanRow> = all
        .iter()
        .map(|(span, counts)| {
            let (p50, p99) = (place(counts.value_at_quantile(0.5)), place(counts.value_at_quantile(0.99)));
            SpanRow {
                name: span.name(),
                meaning: meaning(*span),
                count: counts.len(),
                samples: human_count(counts.len()),
                figures: percentiles(Some(counts)),
                from: p50,
                width: p99.saturating_sub(p50).max(20),
            }
        })
        .collect();
    (!rows.is_empty()).then(|| Spans { headings: headings(), rows })
}

const fn meaning(span: Span) -> &'static str {
    match span {
        Span::ScheduleLag => "planned instant to picked up: the generator's own delay",
        Span::StartWait => "picked up to written: waiting for a connection to the API",
        Span::Start => "written to answered: the API",
        Span::Delivery => "written to held by the device: API, broker and network",
        Span::Accept => "held to IN_PROGRESS accepted",
        Span::Answer => "held to answered: the device",
        Span::DeviceLag => "planned answer to sent: the simulation's own delay",
        Span::Confirm => "answered to confirmed: broker and update path",
        Span::Latency => "planned instant to confirmed: what the operator feels",
        Span::Overhead => "latency without the generator's and the device's part: what the target added",
        Span::Connect => "connect begun to subscribed",
    }
}
