//! A run's figures for Prometheus: of one that goes on, from its snapshot, or of one that has ended, from its
//! result. Both are the same families of the same names.
//!
//! `families` says what there is, `distribution` makes buckets of histograms, `format` knows the formats.
//! Nothing is observed message by message: buckets are made of merged counts when somebody asks. There is no
//! label of a single device, ever: a fleet has a million.

mod distribution;
mod families;
mod format;
#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::Deserializer;

use super::result::{RunResult, cpu, each_histogram, outline};
use super::{Environment, RunReport, WallClock};
use crate::exit::Exit;
use crate::scenario::Scenario;
use crate::stats::{Phase, Snapshot, Span};
use crate::verdict::judge;

pub use format::Format;

use distribution::Distribution;
use families::{Families, Timed};

/// Everything that is exposed of a run at one instant.
#[derive(Debug, Clone)]
pub struct Metrics {
    families: Arc<Families>,
    /// On every series: the scenario and its labels.
    constant: Vec<(String, String)>,
}

impl Metrics {
    /// Of a run that has ended.
    pub fn of_result(result: &RunResult) -> Self {
        let timed = result.spans.iter().filter_map(|span| {
            let bytes = STANDARD.decode(&span.hdr_v2_base64).ok()?;
            let counts: hdrhistogram::Histogram<u64> =
                Deserializer::new().deserialize(&mut &bytes[..]).ok()?;
            let mut distribution = Distribution::default();
            for value in counts.iter_recorded() {
                distribution.add(counts.lowest_equivalent(value.value_iterated_to()), value.count_at_value());
            }
            Some(Timed {
                span: Span::from_name(&span.span)?,
                workload: span.workload.clone(),
                group: span.group.clone(),
                outcome: span.outcome.clone(),
                distribution,
            })
        });
        let timed: Vec<_> = timed.collect();
        let mut families = Families::of(result, &timed);
        families.ended(result);
        Self::new(families, result)
    }

    /// Of a run that goes on.
    pub fn of_snapshot(
        scenario: &Arc<Scenario>,
        seed: u64,
        is_virtual: bool,
        snapshot: &Arc<Snapshot>,
    ) -> Self {
        let report = report_so_far(scenario, seed, is_virtual, snapshot);
        let mut result = outline(&report);
        if snapshot.phase != Phase::Done {
            // The mean over the load is of a run that has ended.
            result.generator.cpu = cpu(snapshot.cpu, &report);
        }
        let mut timed = Vec::new();
        each_histogram(snapshot, |span, workload, group, outcome, histogram| {
            let mut distribution = Distribution::default();
            histogram.for_each(|us, count| distribution.add(us, count));
            timed.push(Timed {
                span,
                workload: workload.map(str::to_owned),
                group: group.to_owned(),
                outcome: outcome.name().to_owned(),
                distribution,
            });
        });
        let mut families = Families::of(&result, &timed);
        families.under_way(snapshot.tempo);
        Self::new(families, &result)
    }

    fn new(families: Families, result: &RunResult) -> Self {
        let mut constant = vec![("scenario".to_owned(), result.scenario.name.clone())];
        for (key, value) in &result.scenario.labels {
            let name = families::label_name(key);
            // `a-b` and `a.b` are one name to Prometheus.
            let (mut free, mut number) = (name.clone(), 1);
            while constant.iter().any(|(taken, _)| *taken == free) {
                number += 1;
                free = format!("{name}_{number}");
            }
            constant.push((free, value.clone()));
        }
        Self { families: Arc::new(families), constant }
    }
}

/// What a report would say if the run ended now.
fn report_so_far(
    scenario: &Arc<Scenario>,
    seed: u64,
    is_virtual: bool,
    snapshot: &Arc<Snapshot>,
) -> RunReport {
    RunReport {
        verdict: judge(scenario, snapshot),
        scenario: Arc::clone(scenario),
        // Not for metrics.
        resolved: serde_json::Value::Null,
        scenario_hash: String::new(),
        seed,
        started_wall_ms: 0,
        duration: snapshot.elapsed,
        is_virtual,
        wall_clock: WallClock { started_ms: 0, elapsed: Duration::ZERO },
        target: scenario.target_words(),
        snapshot: Arc::clone(snapshot),
        exit: Exit::Ok,
        stopped: snapshot.stopped,
        problem: None,
        created_commands: Vec::new(),
        environment: Environment {
            os: String::new(),
            cpus: 0,
            fd_limit: 0,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    }
}
