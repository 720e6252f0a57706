//! A capacity search in `result.json`: its answer, and latency over rate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CpuResult;
use super::build::cpu;
use crate::report::RunReport;
use crate::stats::{CapacityProgress, CapacityStep, StepOutcome};

/// A capacity search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityResult {
    /// The workload whose rate was searched.
    pub workload: String,
    /// `null` if the search did not come to its end.
    pub answer: Option<CapacityAnswerResult>,
    /// In the order in which they were run.
    pub steps: Vec<CapacityStepResult>,
}

/// What was found; rates are starts per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityAnswerResult {
    /// The highest rate that passed; `null` if not even the lowest did.
    pub holds_per_s: Option<f64>,
    /// The lowest rate at which the target broke a limit.
    pub broke_at_per_s: Option<f64>,
    /// The lowest rate at which the generator lagged, where that bounds the answer.
    pub generator_lagged_at_per_s: Option<f64>,
    /// For people.
    pub sentence: String,
}

/// One step; figures are of exactly its own executions, without those of its settling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityStepResult {
    /// From 1.
    pub step: u32,
    /// Starts per second that were asked for.
    pub rate_per_s: f64,
    /// Executions that fell due.
    pub due: u64,
    /// The same per second.
    pub offered_per_s: f64,
    /// Of them, those that succeeded, per second.
    pub achieved_per_s: f64,
    /// Of what succeeded.
    pub latency_us: CapacityLatency,
    /// 99th percentiles of the parts of the way, in µs.
    pub p99_us: CapacityParts,
    /// Refused starts by error name.
    pub refused_by_error: std::collections::BTreeMap<String, u64>,
    /// Mean while the rate was held; the busiest thread's is its busiest second. Absent in virtual time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu: Option<CpuResult>,
    /// The pass conditions in their order.
    pub limits: Vec<CapacityLimit>,
    /// `passed`, `failed`, or `unknown` when the generator lagged.
    pub outcome: String,
    /// Which limit broke first with its figure, or how the generator lagged.
    pub reason: Option<String>,
}

/// Percentiles of the latency in µs; `null` without samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityLatency {
    /// Median.
    pub p50: Option<u64>,
    /// 95th percentile.
    pub p95: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
}

/// 99th percentiles in µs; `null` without samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityParts {
    /// What the target added.
    pub overhead: Option<u64>,
    /// Wait for a connection to the API.
    pub start_wait: Option<u64>,
    /// The API.
    pub start: Option<u64>,
    /// API, broker and network.
    pub delivery: Option<u64>,
    /// Broker and update path.
    pub confirm: Option<u64>,
    /// The generator's own delay before starts.
    pub schedule_lag: Option<u64>,
    /// The generator's own delay before answers.
    pub device_lag: Option<u64>,
}

/// A pass condition of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityLimit {
    /// As written.
    pub expect: String,
    /// The observed figure for people.
    pub shown: String,
    /// Whether it held.
    pub held: bool,
}

/// The search of a run that has one.
pub(super) fn capacity(report: &RunReport) -> Option<CapacityResult> {
    let snapshot = &report.snapshot;
    let CapacityProgress { workload, steps, answer, .. } = &**snapshot.capacity.as_ref()?;
    Some(CapacityResult {
        workload: snapshot.shape.workloads.get(*workload).cloned().unwrap_or_default(),
        answer: answer.as_ref().map(|answer| CapacityAnswerResult {
            holds_per_s: answer.holds,
            broke_at_per_s: answer.broke_at,
            generator_lagged_at_per_s: answer.lagged_at,
            sentence: answer.sentence.clone(),
        }),
        steps: steps.iter().map(|step| self::step(step, report)).collect(),
    })
}

fn step(step: &CapacityStep, report: &RunReport) -> CapacityStepResult {
    CapacityStepResult {
        step: step.number,
        rate_per_s: step.rate,
        due: step.due,
        offered_per_s: step.offered,
        achieved_per_s: step.achieved,
        latency_us: CapacityLatency {
            p50: step.latency_us_p50,
            p95: step.latency_us_p95,
            p99: step.latency_us_p99,
        },
        p99_us: CapacityParts {
            overhead: step.overhead_us_p99,
            start_wait: step.start_wait_us_p99,
            start: step.start_us_p99,
            delivery: step.delivery_us_p99,
            confirm: step.confirm_us_p99,
            schedule_lag: step.schedule_lag_us_p99,
            device_lag: step.device_lag_us_p99,
        },
        refused_by_error: step.refused.iter().cloned().collect(),
        cpu: cpu(step.cpu, report),
        limits: step
            .limits
            .iter()
            .map(|limit| CapacityLimit {
                expect: limit.text.clone(),
                shown: limit.shown.clone(),
                held: limit.held,
            })
            .collect(),
        outcome: step.outcome.name().to_owned(),
        reason: match &step.outcome {
            StepOutcome::Passed => None,
            StepOutcome::Failed { limit, shown } => Some(format!("{limit} broke: {shown}")),
            StepOutcome::Unknown { reason } => Some(reason.clone()),
        },
    }
}
