//! From a `RunReport` to the tree of `result.json`.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use indexmap::IndexMap;

use super::{
    Accounting, AnomalyResult, CellResult, CpuResult, EnvironmentResult, EventResult, FindingResult,
    Generator, GroupResult, HeatResult, Ledger, Percentiles, Point, PointLatency, Run, RunResult, SCHEMA,
    ScenarioResult, SpanResult, ThresholdResult, Tool, Totals, VERSION, WallClockResult, WindowResult,
};
use crate::report::RunReport;
use crate::scenario::{Aggregate, Metric, Threshold};
use crate::stats::{
    Anomaly, Class, Counts, CpuUse, Finding, HeatColumn, Histogram, Outcome, Part, Percentile, Phase, Second,
    Snapshot, Span,
};

/// The result of a run as plain values.
pub fn run_result(report: &RunReport) -> RunResult {
    let snapshot = &report.snapshot;
    RunResult {
        spans: spans(snapshot),
        series: seconds_from(report, 0),
        windows: windows(snapshot),
        ..outline(report)
    }
}

/// Every histogram that has samples.
pub(in crate::report) fn histograms(report: &RunReport) -> Vec<SpanResult> {
    spans(&report.snapshot)
}

/// The seconds from this one on, oldest first.
pub(in crate::report) fn seconds_from(report: &RunReport, second: u64) -> Vec<Point> {
    let seconds = report.snapshot.series.iter().skip_while(|one| one.number < second);
    seconds.map(|second| point(second, report)).collect()
}

/// The same without histograms and history: what can be had every few seconds of a run that goes on.
pub(in crate::report) fn outline(report: &RunReport) -> RunResult {
    let snapshot = &report.snapshot;
    RunResult {
        schema: SCHEMA.to_owned(),
        version: VERSION,
        tool: Tool { name: "fleetsim".to_owned(), version: report.environment.version.clone() },
        scenario: scenario(report),
        environment: EnvironmentResult {
            os: report.environment.os.clone(),
            cpus: report.environment.cpus,
            fd_limit: (!report.is_virtual).then_some(report.environment.fd_limit),
        },
        run: run(report),
        thresholds: thresholds(report),
        totals: Totals { planned: Some(snapshot.planned), ..totals(snapshot, None, None) },
        groups: groups(snapshot),
        workloads: named(&snapshot.shape.workloads, |w| totals(snapshot, Some(w), None)),
        cells: cells(snapshot),
        spans: Vec::new(),
        series: Vec::new(),
        heat_edges_us: (0..HeatColumn::CELLS).map(HeatColumn::edge_us).collect(),
        windows: Vec::new(),
        noted: snapshot.totals.noted.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect(),
        rollouts: super::rollouts::rollouts(snapshot),
        capacity: super::capacity::capacity(report),
        faults: snapshot.faults.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect(),
        ledger: Ledger { anomalies: snapshot.anomalies.iter().map(|a| anomaly(snapshot, a)).collect() },
        events: snapshot
            .events
            .iter()
            .map(|event| EventResult { at_us: event.at_us, text: event.text.clone() })
            .collect(),
        generator: generator(report),
    }
}

/// CPU while the load went on: means, and the busiest second of the busiest thread.
pub(in crate::report) fn load_cpu(snapshot: &Snapshot) -> CpuUse {
    let load: Vec<&Second> = snapshot.series.iter().filter(|second| second.phase == Phase::Load).collect();
    #[expect(clippy::cast_precision_loss, reason = "a day of seconds at most")]
    let mean =
        |of: fn(&CpuUse) -> f64| load.iter().map(|s| of(&s.cpu)).sum::<f64>() / load.len().max(1) as f64;
    CpuUse {
        busiest_shard: load.iter().map(|s| s.cpu.busiest_shard).fold(0.0, f64::max),
        generator: mean(|cpu| cpu.generator),
        backend: mean(|cpu| cpu.backend),
    }
}

fn scenario(report: &RunReport) -> ScenarioResult {
    ScenarioResult {
        name: report.scenario.name.clone(),
        description: report.scenario.description.clone(),
        labels: report.scenario.labels.clone(),
        hash: report.scenario_hash.clone(),
        resolved: report.resolved.clone(),
    }
}

fn run(report: &RunReport) -> Run {
    Run {
        start: rfc3339(report.started_wall_ms),
        duration_s: report.duration.as_secs_f64(),
        load_begin_s: report.snapshot.load_begin.map(|begin| begin.as_secs_f64()),
        wall_clock: WallClockResult {
            start: rfc3339(report.wall_clock.started_ms),
            duration_s: report.wall_clock.elapsed.as_secs_f64(),
        },
        phase: report.snapshot.phase.name().to_owned(),
        verdict: report.word().to_owned(),
        exit: report.exit.code(),
        valid: report.verdict.validity.valid,
        seed: report.seed,
        target: report.target.clone(),
        clock: if report.is_virtual { "virtual" } else { "real" }.to_owned(),
        stopped: report.stopped,
        steered: report.snapshot.steered,
        problem: report.problem.clone(),
    }
}

fn rfc3339(wall_ms: u64) -> String {
    // A time beyond the year 9999 has no RFC 3339 form; a clock that says so is wrong anyway.
    const YEAR_9999_MS: u64 = 253_402_300_799_000;
    let time = UNIX_EPOCH + Duration::from_millis(wall_ms.min(YEAR_9999_MS));
    humantime::format_rfc3339_millis(time).to_string()
}

fn thresholds(report: &RunReport) -> Vec<ThresholdResult> {
    // The built-in threshold stands last and has no counterpart in the scenario: it counts.
    let units = report.scenario.thresholds.iter().map(unit).chain(std::iter::repeat("count"));
    report
        .verdict
        .thresholds
        .iter()
        .zip(units)
        .map(|(judged, unit)| ThresholdResult {
            expect: judged.text.clone(),
            observed: judged.observed,
            unit: unit.to_owned(),
            shown: judged.shown.clone(),
            margin: judged.margin.clone(),
            passed: report.passed(judged),
            info: judged.info,
            abort: judged.abort,
        })
        .collect()
}

fn unit(threshold: &Threshold) -> &'static str {
    match (threshold.metric, threshold.aggregate) {
        (Metric::Span(_), _) => "us",
        (_, Aggregate::Rate) => "fraction",
        _ => "count",
    }
}

fn totals(snapshot: &Snapshot, workload: Option<usize>, group: Option<usize>) -> Totals {
    let of = |part| accounting(&snapshot.totals.sum(part, workload, group));
    Totals { planned: None, measured: of(Part::Measured), warm_up: of(Part::WarmUp) }
}

fn accounting(counts: &Counts) -> Accounting {
    Accounting {
        due: counts.due,
        decided: counts.decided(),
        started: counts.started,
        classes: Class::ALL.into_iter().map(|c| (c.name().to_owned(), counts.class(c))).collect(),
        refused_by_error: counts.refused.iter().map(|(error, n)| (error.to_string(), *n)).collect(),
        timed_out_as_planned: counts.timed_out_as_planned,
        findings: Finding::ALL
            .into_iter()
            .map(|f| {
                let count = counts.finding(f);
                let result = FindingResult { explained: count.explained, unexplained: count.unexplained };
                (f.name().to_owned(), result)
            })
            .collect(),
        unexplained: counts.unexplained(),
    }
}

fn groups(snapshot: &Snapshot) -> IndexMap<String, GroupResult> {
    named(&snapshot.shape.groups, |g| {
        let gauge = snapshot.groups.get(g).copied().unwrap_or_default();
        GroupResult {
            devices: gauge.devices,
            online: gauge.online,
            reconnects: snapshot.totals.reconnects.get(g).copied().unwrap_or(0),
            totals: totals(snapshot, None, Some(g)),
        }
    })
}

fn named<T>(names: &[String], value: impl Fn(usize) -> T) -> IndexMap<String, T> {
    names.iter().enumerate().map(|(n, name)| (name.clone(), value(n))).collect()
}

/// Every workload in every group that it is meant to reach, or has.
fn cells(snapshot: &Snapshot) -> Vec<CellResult> {
    let mut cells = Vec::new();
    for (w, workload) in snapshot.shape.workloads.iter().enumerate() {
        for (g, group) in snapshot.shape.groups.iter().enumerate() {
            let reach = snapshot.reach.get(w).and_then(|groups| groups.get(g)).copied().unwrap_or(0);
            let totals = totals(snapshot, Some(w), Some(g));
            if reach + totals.measured.due + totals.warm_up.due > 0 {
                cells.push(CellResult { workload: workload.clone(), group: group.clone(), totals });
            }
        }
    }
    cells
}

fn spans(snapshot: &Snapshot) -> Vec<SpanResult> {
    let mut spans = Vec::new();
    each_histogram(snapshot, |span, workload, group, outcome, histogram| {
        spans.extend(span_result(span, workload, group, outcome, histogram));
    });
    spans
}

/// Every histogram that there is, in the order of the result.
pub(in crate::report) fn each_histogram(
    snapshot: &Snapshot,
    mut with: impl FnMut(Span, Option<&str>, &str, Outcome, &Histogram),
) {
    for span in Span::ALL {
        for (w, workload) in snapshot.shape.workloads.iter().enumerate() {
            // Connects belong to no workload and are listed once.
            let workload = (span != Span::Connect).then_some(workload.as_str());
            if workload.is_none() && w > 0 {
                break;
            }
            for (g, group) in snapshot.shape.groups.iter().enumerate() {
                for outcome in Outcome::ALL {
                    let histogram = snapshot.totals.histogram(span, w, g, outcome);
                    if let Some(histogram) = histogram.filter(|histogram| !histogram.is_empty()) {
                        with(span, workload, group, outcome, histogram);
                    }
                }
            }
        }
    }
}

fn windows(snapshot: &Snapshot) -> Vec<WindowResult> {
    let (seconds, windows) = snapshot.series.windows();
    let name = |names: &[String], index: usize| names.get(index).cloned().unwrap_or_default();
    windows
        .into_iter()
        .map(|window| WindowResult {
            second: window.second,
            seconds,
            workload: name(&snapshot.shape.workloads, window.cell.0),
            group: name(&snapshot.shape.groups, window.cell.1),
            hdr_v2_base64: STANDARD.encode(&window.compressed),
        })
        .collect()
}

fn span_result(
    span: Span,
    workload: Option<&str>,
    group: &str,
    outcome: Outcome,
    histogram: &Histogram,
) -> Option<SpanResult> {
    Some(SpanResult {
        span: span.name().to_owned(),
        workload: workload.map(str::to_owned),
        group: group.to_owned(),
        outcome: outcome.name().to_owned(),
        unit: "us".to_owned(),
        count: histogram.len(),
        clipped: histogram.clipped(),
        percentiles: percentiles(histogram)?,
        hdr_v2_base64: hdr_base64(histogram),
    })
}

fn percentiles(histogram: &Histogram) -> Option<Percentiles> {
    let at = |percentile| histogram.percentile(Percentile(percentile));
    Some(Percentiles {
        min: histogram.min()?,
        mean: histogram.mean()?,
        p50: at(50.0)?,
        p90: at(90.0)?,
        p95: at(95.0)?,
        p99: at(99.0)?,
        p99_9: at(99.9)?,
        max: histogram.max()?,
    })
}

fn hdr_base64(histogram: &Histogram) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(&histogram.counts(), &mut bytes)
        .expect("a bounded histogram fits the format and memory does not refuse bytes");
    STANDARD.encode(bytes)
}

fn point(second: &Second, report: &RunReport) -> Point {
    Point {
        second: second.number,
        phase: second.phase.name().to_owned(),
        due: second.due,
        started: second.started,
        succeeded: second.succeeded,
        other: second.other,
        classes: Class::ALL
            .into_iter()
            .zip(second.classes)
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| (class.name().to_owned(), count))
            .collect(),
        in_flight: second.in_flight,
        online: second.online,
        latency_us: PointLatency {
            p50: second.latency_us_p50,
            p95: second.latency_us_p95,
            p99: second.latency_us_p99,
            max: second.latency_us_max,
        },
        heat: second.heat.filled().map(|(from, counts)| HeatResult { from, counts: counts.to_vec() }),
        schedule_lag_us_p99: second.schedule_lag_us_p99,
        device_lag_us_p99: second.device_lag_us_p99,
        cpu: cpu(second.cpu, report),
    }
}

/// `None` in virtual time, where the whole run is one thread.
pub(in crate::report) fn cpu(cpu: CpuUse, report: &RunReport) -> Option<CpuResult> {
    let backend = report.scenario.target.embedded().map(|_| cpu.backend);
    (!report.is_virtual).then_some(CpuResult {
        busiest_shard: cpu.busiest_shard,
        generator: cpu.generator,
        backend,
    })
}

fn anomaly(snapshot: &Snapshot, anomaly: &Anomaly) -> AnomalyResult {
    AnomalyResult {
        execution_id: anomaly.execution_id.clone(),
        device: anomaly.device.clone(),
        workload: snapshot.shape.workloads.get(anomaly.workload).cloned().unwrap_or_default(),
        finding: anomaly.finding.name().to_owned(),
        explained: anomaly.explained,
        planned_us: anomaly.planned_us,
        last_seen: anomaly.last_seen.clone(),
    }
}

fn generator(report: &RunReport) -> Generator {
    let validity = &report.verdict.validity;
    let totals = &report.snapshot.totals;
    Generator {
        valid: validity.valid,
        reasons: validity.reasons.clone(),
        max_lag_us: validity.max_lag_us,
        max_lag_set: validity.max_lag_set,
        schedule_lag_us_p99: validity.schedule_lag_us_p99,
        device_lag_us_p99: validity.device_lag_us_p99,
        unsent: validity.unsent,
        report_gap_s: report.snapshot.report_gap.as_secs_f64(),
        cpu: cpu(load_cpu(&report.snapshot), report),
        dropped: totals.dropped.iter().map(|(queue, n)| ((*queue).to_owned(), *n)).collect(),
        samples_without_histogram: totals.overflowed,
    }
}
