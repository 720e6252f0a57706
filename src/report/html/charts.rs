//! What the script draws: columns of numbers, without a text that it would have to make.

use serde::Serialize;

use super::series::{Series, width_for};
use super::timings::{Of, Timings};
use crate::report::result::{CapacityResult, EventResult, RunResult};
use crate::report::words::visible;
use crate::stats::{Outcome, Span};

/// Lines of the percentile curve: more than there are colours nobody tells apart.
const MOST_LINES: usize = 7;
/// Points per decade of 1/(1−q), and decades: to the 99.9999th percentile.
const CURVE_PER_DECADE: u32 = 16;
const CURVE_DECADES: u32 = 6;
/// Events that get a mark over time; more would hide the lines.
const MOST_MARKS: usize = 24;

/// All figures of a page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Charts {
    /// Over time.
    pub series: Series,
    /// The largest latency of each cell of the heat map, in µs.
    pub heat_edges_us: Vec<u64>,
    /// Latency over percentile.
    pub curve: Curve,
    /// Rollouts, in the order of the file.
    pub rollouts: Vec<RolloutChart>,
    /// Latency over rate.
    pub capacity: Option<CapacityChart>,
    /// Events over time.
    pub marks: Vec<Mark>,
}

/// Latency of the succeeded over percentile, with shared places on the axis.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Curve {
    /// log10(1/(1−q)): 1 is p90, 2 is p99.
    pub x: Vec<f64>,
    /// All, and each group if there are several.
    pub lines: Vec<CurveLine>,
}

/// One line of the curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurveLine {
    /// Whose.
    pub name: String,
    /// Samples.
    pub samples: u64,
    /// In µs; ends with the largest, where there are too few samples to say more.
    pub us: Vec<Option<u64>>,
}

/// How fast devices were told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RolloutChart {
    /// The workload's name.
    pub name: String,
    /// Whether no other workload runs beside it.
    pub alone: bool,
    /// Seconds of the run, and devices per second from then on.
    pub rates: Vec<(f64, f64)>,
    /// Seconds of the run, and the batch that began then.
    pub batches: Vec<(f64, String)>,
}

/// The steps of a search, slowest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct CapacityChart {
    /// Starts per second.
    pub offered: Vec<f64>,
    /// In µs.
    pub p50: Vec<Option<u64>>,
    /// In µs.
    pub p95: Vec<Option<u64>>,
    /// In µs.
    pub p99: Vec<Option<u64>>,
    /// `passed`, `failed` or `unknown`.
    pub outcome: Vec<String>,
    /// The answer's rates.
    pub holds: Option<f64>,
    /// Where the target broke a limit.
    pub broke_at: Option<f64>,
    /// Where the generator lagged.
    pub lagged_at: Option<f64>,
}

/// An event's place over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// Seconds of the run.
    pub t: f64,
    /// What happened.
    pub text: String,
}

impl Charts {
    /// The figures of a result.
    pub fn of(result: &RunResult, timings: &Timings<'_>) -> Self {
        let seconds = result.series.last().map_or(0, |last| last.second.saturating_add(1));
        let series = Series::of(&result.series, width_for(seconds));
        Self::with(result, timings, series)
    }

    /// The same with a series of its own.
    pub fn with(result: &RunResult, timings: &Timings<'_>, series: Series) -> Self {
        Self {
            heat_edges_us: result.heat_edges_us.clone(),
            curve: curve(result, timings),
            rollouts: rollouts(result, load_begin_s(result)),
            capacity: result.capacity.as_ref().map(capacity),
            marks: marks(&result.events),
            series,
        }
    }
}

fn curve(result: &RunResult, timings: &Timings<'_>) -> Curve {
    let succeeded = |group| {
        timings.merged(Span::Latency, Of { group, outcome: Some(Outcome::Succeeded), ..Of::default() })
    };
    let Some(all) = succeeded(None) else { return Curve::default() };
    let place = |n: u32| f64::from(n) / f64::from(CURVE_PER_DECADE);
    let mut x: Vec<f64> = (0..=CURVE_PER_DECADE * CURVE_DECADES).map(place).collect();
    x.truncate(last_place(&x, all.len()) + 1);
    let mut lines = vec![line("all", &all, &x)];
    let groups = result.groups.keys().filter_map(|name| Some((name, succeeded(Some(name))?)));
    let groups: Vec<CurveLine> =
        groups.take(MOST_LINES).map(|(name, counts)| line(name, &counts, &x)).collect();
    if groups.len() > 1 {
        lines.extend(groups);
    }
    Curve { x: x.iter().map(|x| (x * 1e4).round() / 1e4).collect(), lines }
}

/// The first place that so many samples do not tell from the largest of them.
fn last_place(x: &[f64], samples: u64) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
    let samples = samples.max(1) as f64;
    x.iter().position(|x| 10f64.powf(*x) >= samples).unwrap_or(x.len().saturating_sub(1))
}

fn line(name: &str, counts: &hdrhistogram::Histogram<u64>, x: &[f64]) -> CurveLine {
    let last = last_place(x, counts.len());
    let us = |(n, x): (usize, &f64)| match n.cmp(&last) {
        std::cmp::Ordering::Less => Some(counts.value_at_quantile(1.0 - 10f64.powf(-x))),
        std::cmp::Ordering::Equal => Some(counts.max()),
        std::cmp::Ordering::Greater => None,
    };
    CurveLine {
        name: visible(name).into_owned(),
        samples: counts.len(),
        us: x.iter().enumerate().map(us).collect(),
    }
}

/// Results of earlier versions do not say it: then it is the first second of that phase.
#[expect(clippy::cast_precision_loss, reason = "seconds of a run are far below 2^53")]
fn load_begin_s(result: &RunResult) -> f64 {
    let first = || result.series.iter().find(|point| point.phase == "load").map(|point| point.second as f64);
    result.run.load_begin_s.or_else(first).unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "instants of a run are far below 2^53")]
fn rollouts(result: &RunResult, load_begin_s: f64) -> Vec<RolloutChart> {
    let seconds = |us: u64| (load_begin_s + us as f64 / 1e6).round();
    result
        .rollouts
        .iter()
        .map(|(name, rollout)| RolloutChart {
            name: visible(name).into_owned(),
            alone: result.workloads.len() == 1,
            rates: rollout.rates.iter().map(|rate| (seconds(rate.at_us), rate.per_second)).collect(),
            batches: rollout
                .batches
                .iter()
                .filter_map(|batch| Some((seconds(batch.begun_us?), visible(&batch.name).into_owned())))
                .collect(),
        })
        .collect()
}

fn capacity(capacity: &CapacityResult) -> CapacityChart {
    let mut steps: Vec<_> = capacity.steps.iter().collect();
    steps.sort_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s).then(a.step.cmp(&b.step)));
    let answer = capacity.answer.as_ref();
    CapacityChart {
        offered: steps.iter().map(|step| step.offered_per_s).collect(),
        p50: steps.iter().map(|step| step.latency_us.p50).collect(),
        p95: steps.iter().map(|step| step.latency_us.p95).collect(),
        p99: steps.iter().map(|step| step.latency_us.p99).collect(),
        outcome: steps.iter().map(|step| step.outcome.clone()).collect(),
        holds: answer.and_then(|answer| answer.holds_per_s),
        broke_at: answer.and_then(|answer| answer.broke_at_per_s),
        lagged_at: answer.and_then(|answer| answer.generator_lagged_at_per_s),
    }
}

/// The first events; if there are too many, those that name what people did or planned are lost in the crowd
/// anyway.
#[expect(clippy::cast_precision_loss, reason = "instants of a run are far below 2^53")]
fn marks(events: &[EventResult]) -> Vec<Mark> {
    let mark =
        |event: &EventResult| Mark { t: event.at_us as f64 / 1e6, text: visible(&event.text).into_owned() };
    events.iter().take(MOST_MARKS).map(mark).collect()
}
