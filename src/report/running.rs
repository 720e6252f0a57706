//! The result of a run that goes on: the tree of `result.json` as far as it is known, for pages and programs that
//! look at it from outside.

use std::sync::Arc;

use super::result::{self, Point, RunResult};
use super::{Environment, RunReport, WallClock};
use crate::exit::Exit;
use crate::scenario::Scenario;
use crate::stats::Snapshot;
use crate::verdict;

/// What does not change while a run goes on.
#[derive(Debug, Clone)]
pub struct Running {
    scenario: Arc<Scenario>,
    resolved: serde_json::Value,
    hash: String,
    seed: u64,
    virtual_base_ms: Option<u64>,
    started_ms: u64,
    environment: Environment,
}

impl Running {
    /// The verdict of a run that has none yet.
    pub const WORD: &'static str = "RUNNING";

    /// A run of `scenario` that began at `started_ms`, in milliseconds since the Unix epoch. In virtual time its own
    /// clock began at `virtual_base_ms`.
    pub fn new(
        scenario: Arc<Scenario>,
        seed: u64,
        virtual_base_ms: Option<u64>,
        started_ms: u64,
        environment: Environment,
    ) -> Self {
        let (resolved, hash) = (scenario.resolved(), scenario.hash());
        Self { scenario, resolved, hash, seed, virtual_base_ms, started_ms, environment }
    }

    /// How it stands.
    pub fn at(&self, snapshot: Arc<Snapshot>) -> Standing {
        let report = RunReport {
            resolved: self.resolved.clone(),
            scenario_hash: self.hash.clone(),
            seed: self.seed,
            started_wall_ms: self.virtual_base_ms.unwrap_or(self.started_ms),
            duration: snapshot.elapsed,
            is_virtual: self.virtual_base_ms.is_some(),
            wall_clock: WallClock {
                started_ms: self.started_ms,
                elapsed: snapshot.wall_elapsed.unwrap_or(snapshot.elapsed),
            },
            target: self.scenario.target_words(),
            verdict: verdict::judge(&self.scenario, &snapshot),
            exit: Exit::Ok,
            stopped: snapshot.stopped,
            problem: None,
            created_commands: Vec::new(),
            environment: self.environment.clone(),
            scenario: Arc::clone(&self.scenario),
            snapshot,
        };
        let mut result = result::outline(&report);
        Self::WORD.clone_into(&mut result.run.verdict);
        Standing { report, result }
    }
}

/// A run at one instant.
#[derive(Debug, Clone)]
pub struct Standing {
    report: RunReport,
    /// Without histograms, windows and seconds: those are asked for when they are wanted.
    pub result: RunResult,
}

impl Standing {
    /// The snapshot it is made of.
    pub fn snapshot(&self) -> &Snapshot {
        &self.report.snapshot
    }

    /// The seconds from this one on, oldest first.
    pub fn seconds_from(&self, second: u64) -> Vec<Point> {
        result::seconds_from(&self.report, second)
    }

    /// The result with its histograms and the newest second.
    pub fn in_full(&self) -> RunResult {
        let newest = self.snapshot().series.last().map_or(0, |second| second.number);
        let spans = result::histograms(&self.report);
        RunResult { spans, series: self.seconds_from(newest), ..self.result.clone() }
    }
}
