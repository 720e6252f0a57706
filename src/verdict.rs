//! (thresholds, snapshot) → verdict. Pure: no clock, no I/O, the same answer every time.
//!
//! A run judges two things: what the target did (thresholds), and whether the generator kept up so
//! that the first judgement means anything (validity). A target that stalls never makes a run VOID.

use std::cmp::Ordering;
use std::time::Duration;

use crate::scenario::{Aggregate, Comparison, Metric, Scenario, Threshold};
use crate::stats::{
    CapacityProgress, Class, Counts, Histogram, Part, Percentile, Phase, Snapshot, Span, StepOutcome,
};
use crate::units::{human_count, human_micros, human_rate};

/// What a run is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The scenario's thresholds in their order, then the built-in `count(unexplained) == 0`.
    pub thresholds: Vec<Judged>,
    /// Whether the measurements are valid.
    pub validity: Validity,
}

impl Verdict {
    /// Whether any threshold that counts has failed.
    pub fn failed(&self) -> bool {
        self.thresholds.iter().any(|t| !t.info && t.passed == Some(false))
    }

    /// The first failed threshold that asks for the run to be stopped; one that only reports does not.
    pub fn abort(&self) -> Option<&Judged> {
        self.thresholds.iter().find(|t| t.abort && !t.info && t.passed == Some(false))
    }
}

/// One threshold, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// As written.
    pub text: String,
    /// The observed number: µs, a fraction, or a count. `None` without samples.
    pub observed: Option<f64>,
    /// The observed number for people: `412.7ms`, `96.42%`, `3`, `no samples`.
    pub shown: String,
    /// How far over (or under) the limit a failed one is: `+112.7ms over`.
    pub margin: Option<String>,
    /// `None` while it is not judged (before `after`, or when the user stopped the run).
    pub passed: Option<bool>,
    /// Only reports.
    pub info: bool,
    /// Stops the run when it fails.
    pub abort: bool,
}

/// Whether the generator kept up (`design` rule: the run judges itself, and blames the right side).
#[derive(Debug, Clone, PartialEq)]
pub struct Validity {
    /// Whether the measurements can be trusted.
    pub valid: bool,
    /// Why not, one sentence each, with figure and limit.
    pub reasons: Vec<String>,
    /// The limit for both lags, in µs.
    pub max_lag_us: u64,
    /// Whether the scenario set that limit.
    pub max_lag_set: bool,
    /// p99 of `schedule_lag` outside warm-up, in µs.
    pub schedule_lag_us_p99: Option<u64>,
    /// p99 of `device_lag` outside warm-up, in µs.
    pub device_lag_us_p99: Option<u64>,
    /// Due starts that were never picked up, outside warm-up.
    pub unsent: u64,
}

/// Lags beyond this are felt in any measurement.
const MAX_LAG_US: u64 = 50_000;
/// tokio's timers alone are late by 1 to 2 ms; below this the limit would judge the timer.
const MIN_LAG_US: u64 = 5_000;
/// More than 0.1 % of the due starts never picked up.
const MAX_UNSENT: f64 = 0.001;
/// A shard that says nothing for this long is stuck.
const MAX_REPORT_GAP: Duration = Duration::from_secs(2);

/// Judges `snapshot`. While the run goes on only decided executions are in a rate's denominator;
/// in phase [`Phase::Done`] all due ones are.
pub fn judge(scenario: &Scenario, snapshot: &Snapshot) -> Verdict {
    let built_in = unexplained();
    let thresholds = scenario
        .thresholds
        .iter()
        .chain(std::iter::once(&built_in))
        .map(|threshold| judge_one(threshold, snapshot))
        .collect();
    Verdict { thresholds, validity: validity(scenario, snapshot) }
}

/// Judges conditions that are not the scenario's thresholds.
pub fn judge_each(conditions: &[Threshold], snapshot: &Snapshot) -> Vec<Judged> {
    conditions.iter().map(|condition| judge_one(condition, snapshot)).collect()
}

/// Nothing may go wrong that nothing planned explains.
fn unexplained() -> Threshold {
    Threshold {
        text: "count(unexplained) == 0".to_owned(),
        aggregate: Aggregate::Count,
        metric: Metric::Unexplained,
        group: None,
        workload: None,
        error: None,
        comparison: Comparison::Equal,
        limit: 0.0,
        info: false,
        abort: false,
        after: Duration::ZERO,
    }
}

fn judge_one(threshold: &Threshold, snapshot: &Snapshot) -> Judged {
    let done = snapshot.phase == Phase::Done;
    let at_the_end = threshold.metric == Metric::DevicesSucceeded;
    let early =
        !done && (at_the_end || snapshot.load_elapsed.is_none_or(|elapsed| elapsed < threshold.after));
    let observed = observe(threshold, snapshot, done);
    let passed = match observed {
        _ if early => None,
        // No samples at the end is a failure: nothing was shown to hold.
        None => done.then_some(false),
        Some(value) => Some(holds(threshold.comparison, value, threshold.limit)),
    };
    Judged {
        text: threshold.text.clone(),
        observed,
        shown: observed.map_or_else(|| "no samples".to_owned(), |value| show(threshold, value)),
        margin: observed.filter(|_| passed == Some(false)).map(|value| margin(threshold, value)),
        passed,
        info: threshold.info,
        abort: threshold.abort,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and microseconds of a run are far below 2^53")]
fn observe(threshold: &Threshold, snapshot: &Snapshot, done: bool) -> Option<f64> {
    let totals = &snapshot.totals;
    if let Metric::Span(span) = threshold.metric {
        // Success alone: what failed has its own metric, and fast failures would look like speed.
        let histogram = totals.merged(span, threshold.workload, threshold.group, covered(span));
        return aggregate(threshold.aggregate, &histogram);
    }
    let mut counts = totals.measured(threshold.workload, threshold.group);
    if threshold.metric == Metric::Unexplained {
        // An execution lost during warm-up is lost all the same: warm-up excuses slowness, not loss.
        counts.add(&totals.sum(Part::WarmUp, threshold.workload, threshold.group));
    }
    match threshold.aggregate {
        Aggregate::Rate => {
            let of = match threshold.metric {
                // Started or not.
                Metric::DevicesSucceeded => reach(threshold, snapshot),
                _ if done => counts.due,
                _ => counts.decided(),
            };
            let part = match threshold.metric {
                // Open ones have started, but are not among the decided ones yet.
                Metric::Started if !done => counts.decided_started(),
                _ => count_of(threshold, snapshot, &counts),
            };
            (of > 0).then(|| part as f64 / of as f64)
        }
        _ => Some(count_of(threshold, snapshot, &counts) as f64),
    }
}

/// Devices that the workloads of the threshold are meant to reach; one that two of them reach counts twice.
fn reach(threshold: &Threshold, snapshot: &Snapshot) -> u64 {
    let is_meant = |number: usize, only: Option<usize>| only.is_none_or(|only| only == number);
    let workloads = snapshot.reach.iter().enumerate().filter(|(w, _)| is_meant(*w, threshold.workload));
    workloads
        .flat_map(|(_, groups)| groups.iter().enumerate().filter(|(g, _)| is_meant(*g, threshold.group)))
        .map(|(_, devices)| devices)
        .sum()
}

/// Which outcomes a latency-like metric covers: success only for spans that end in an answer,
/// everything for the generator's own lags and the target's back-pressure.
pub fn covered(span: Span) -> Option<crate::stats::Outcome> {
    match span {
        Span::Latency | Span::Overhead | Span::Answer | Span::Confirm | Span::Accept => {
            Some(crate::stats::Outcome::Succeeded)
        }
        _ => None,
    }
}

fn count_of(threshold: &Threshold, snapshot: &Snapshot, counts: &Counts) -> u64 {
    match threshold.metric {
        Metric::Class(Class::Refused) => match &threshold.error {
            Some(error) => counts.refused.get(error.as_str()).copied().unwrap_or(0),
            None => counts.class(Class::Refused),
        },
        Metric::Class(class) => counts.class(class),
        Metric::Started => counts.started,
        Metric::DevicesSucceeded => u64::try_from(counts.devices_succeeded).unwrap_or(0),
        Metric::Finding(finding) => counts.finding(finding).total(),
        Metric::Unexplained => counts.unexplained(),
        Metric::Reconnects => match threshold.group {
            Some(group) => snapshot.totals.reconnects[group],
            None => snapshot.totals.reconnects.iter().sum(),
        },
        Metric::Span(_) => unreachable!("spans are aggregated from histograms"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^53")]
fn aggregate(aggregate: Aggregate, histogram: &Histogram) -> Option<f64> {
    match aggregate {
        Aggregate::Percentile(p) => histogram.percentile(Percentile(p)).map(|us| us as f64),
        Aggregate::Min => histogram.min().map(|us| us as f64),
        Aggregate::Max => histogram.max().map(|us| us as f64),
        Aggregate::Avg => histogram.mean(),
        Aggregate::Rate | Aggregate::Count => unreachable!("the scenario check refuses these for spans"),
    }
}

fn holds(comparison: Comparison, value: f64, limit: f64) -> bool {
    match comparison {
        Comparison::Less => value < limit,
        Comparison::LessOrEqual => value <= limit,
        Comparison::Greater => value > limit,
        Comparison::GreaterOrEqual => value >= limit,
        #[expect(clippy::float_cmp, reason = "counts are whole; exactness is what was asked for")]
        Comparison::Equal => value == limit,
        #[expect(clippy::float_cmp, reason = "counts are whole; exactness is what was asked for")]
        Comparison::NotEqual => value != limit,
    }
}

fn show(threshold: &Threshold, value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative")]
    match (threshold.metric, threshold.aggregate) {
        (Metric::Span(_), _) => human_micros(value.round() as u64),
        (_, Aggregate::Rate) => percent(threshold, value),
        _ => human_count(value as u64),
    }
}

/// Binary fractions miss hundredths of a point by less than this, in hundredths: 0.57 × 10,000 is
/// 5,699.999… Shares of fewer than a billion executions lie further from a whole hundredth.
const HUNDREDTHS_NOISE: f64 = 1e-9;

/// Rounded towards failure: 98.9996 % must not read as 99 %, nor 1.0004 % as 1 % where 1 % is the most.
fn percent(threshold: &Threshold, fraction: f64) -> String {
    let up = match threshold.comparison {
        Comparison::Less | Comparison::LessOrEqual => true,
        Comparison::Greater | Comparison::GreaterOrEqual => false,
        Comparison::Equal | Comparison::NotEqual => fraction > threshold.limit,
    };
    let hundredths = fraction * 10_000.0;
    let rounded = if up {
        (hundredths - HUNDREDTHS_NOISE).max(0.0).ceil()
    } else {
        (hundredths + HUNDREDTHS_NOISE).floor()
    };
    format!("{:.2}%", rounded / 100.0)
}

fn margin(threshold: &Threshold, value: f64) -> String {
    let by = value - threshold.limit;
    let (sign, word) = match by.partial_cmp(&0.0) {
        Some(Ordering::Greater) => ('+', "over"),
        Some(Ordering::Less) => ('-', "under"),
        _ => return "exactly the limit".to_owned(),
    };
    match (threshold.metric, threshold.aggregate) {
        // Away from zero: what has failed is not 0.00 points off.
        (_, Aggregate::Rate) => {
            let hundredths = (by.abs() * 10_000.0 - HUNDREDTHS_NOISE).ceil();
            format!("{sign}{:.2} points {word}", hundredths / 100.0)
        }
        _ => format!("{sign}{} {word}", show(threshold, by.abs())),
    }
}

/// The limit on both lags, in µs, and whether the scenario set it.
///
/// `min(50 ms, 10 % of the smallest bound that a threshold puts on latency)`, never below 5 ms.
pub fn max_lag_us(scenario: &Scenario) -> (u64, bool) {
    if let Some(limit) = scenario.max_lag {
        return (crate::units::micros(limit), true);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "limits are checked positive µs"
    )]
    let tightest = scenario
        .conditions()
        .filter(|t| t.metric == Metric::Span(Span::Latency))
        .filter(|t| matches!(t.comparison, Comparison::Less | Comparison::LessOrEqual))
        .map(|t| (t.limit / 10.0) as u64)
        .min();
    (tightest.unwrap_or(MAX_LAG_US).clamp(MIN_LAG_US, MAX_LAG_US), false)
}

/// Whether the generator kept up. In a capacity search it may fall behind, once that has shown where the
/// target's limit is not: each step was judged by itself.
pub fn validity(scenario: &Scenario, snapshot: &Snapshot) -> Validity {
    let (max_lag_us, max_lag_set) = max_lag_us(scenario);
    let p99 = |span| snapshot.totals.merged(span, None, None, None).percentile(Percentile(99.0));
    let counts = snapshot.totals.measured(None, None);
    let validity = Validity {
        valid: true,
        reasons: Vec::new(),
        max_lag_us,
        max_lag_set,
        schedule_lag_us_p99: p99(Span::ScheduleLag),
        device_lag_us_p99: p99(Span::DeviceLag),
        unsent: counts.class(Class::Unsent),
    };
    let reasons = match &snapshot.capacity {
        Some(capacity) => capacity_reasons(capacity),
        None => void_reasons(&validity, counts.due, snapshot),
    };
    Validity { valid: reasons.is_empty(), reasons, ..validity }
}

fn capacity_reasons(capacity: &CapacityProgress) -> Vec<String> {
    let Some(answer) = capacity.answer.as_ref().filter(|answer| answer.is_bounded_by_generator()) else {
        return Vec::new();
    };
    let lagged = capacity.steps.iter().rev().find_map(|step| match &step.outcome {
        StepOutcome::Unknown { reason } if Some(step.rate) == answer.lagged_at => Some((step.rate, reason)),
        _ => None,
    });
    let told =
        |(rate, reason): (f64, &String)| format!("at {} the generator lagged: {reason}", human_rate(rate));
    lagged.map(told).into_iter().collect()
}

fn void_reasons(validity: &Validity, due: u64, snapshot: &Snapshot) -> Vec<String> {
    let mut reasons = Vec::new();
    let lags = [("schedule_lag", validity.schedule_lag_us_p99), ("device_lag", validity.device_lag_us_p99)];
    for (name, lag) in lags {
        if let Some(lag) = lag.filter(|lag| *lag > validity.max_lag_us) {
            reasons.push(format!(
                "p99 of {name} is {}, over the limit of {}",
                human_micros(lag),
                human_micros(validity.max_lag_us)
            ));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
    if !snapshot.stopped && validity.unsent as f64 > due as f64 * MAX_UNSENT {
        reasons.push(format!(
            "{} of {} due starts were never picked up, over the limit of 0.1%",
            human_count(validity.unsent),
            human_count(due)
        ));
    }
    let report_gap = snapshot.report_gap;
    if report_gap > MAX_REPORT_GAP {
        reasons.push(format!(
            "a generator thread gave no report for {:.1}s, over the limit of {}s",
            report_gap.as_secs_f64(),
            MAX_REPORT_GAP.as_secs()
        ));
    }
    reasons
}

#[cfg(test)]
mod tests;
