//! What is left of a run when a bug of ours ends it: a report of the last snapshot.
//!
//! A panic on a thread of the fleet or of the backend is seen by the conductor, which ends the run as it would end
//! any. This is for a panic of the conductor itself.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Instant, VIRTUAL_WALL_BASE_US};
use crate::exit::Exit;
use crate::report::{RunReport, WallClock};
use crate::scenario::Scenario;
use crate::seed::Seed;
use crate::stats::{GroupGauge, Snapshot};
use crate::verdict;

use super::collector::Collector;
use super::{Machine, Options, environment};

/// What a report needs to know, kept apart from what a panic takes along.
pub(super) struct Rescue {
    scenario: Arc<Scenario>,
    seed: Seed,
    is_virtual: bool,
    machine: Machine,
}

impl Rescue {
    pub fn new(options: &Options, machine: Machine) -> Self {
        let scenario = Arc::clone(&options.scenario);
        Self { scenario, seed: options.seed, is_virtual: options.virtual_time, machine }
    }

    /// The report of a run that a panic has ended.
    pub fn report(self, last: Option<Arc<Snapshot>>, panic: &(dyn Any + Send)) -> RunReport {
        let snapshot = last.unwrap_or_else(|| Arc::new(self.nothing()));
        let started_ms = self.machine.clock.wall_millis(Instant::START);
        let problem = format!("fleetsim itself failed ({}): these are the last figures before", words(panic));
        RunReport {
            resolved: self.scenario.resolved(),
            scenario_hash: self.scenario.hash(),
            seed: self.seed.0,
            started_wall_ms: if self.is_virtual { VIRTUAL_WALL_BASE_US / 1000 } else { started_ms },
            duration: snapshot.elapsed,
            is_virtual: self.is_virtual,
            wall_clock: WallClock { started_ms, elapsed: self.machine.stopwatch.elapsed() },
            target: self.scenario.target_words(),
            verdict: verdict::judge(&self.scenario, &snapshot),
            exit: Exit::Software,
            // Which they were is lost with the conductor.
            created_commands: Vec::new(),
            stopped: snapshot.stopped,
            problem: Some(problem),
            snapshot,
            environment: environment(),
            scenario: self.scenario,
        }
    }

    /// Nothing was known yet.
    fn nothing(&self) -> Snapshot {
        let sizes: Vec<u64> = self.scenario.groups.iter().map(|group| u64::from(group.count)).collect();
        let groups = sizes.iter().map(|devices| GroupGauge { devices: *devices, online: 0 }).collect();
        let shape = Arc::new(self.scenario.shape());
        let collector = Collector::new(shape, sizes, 1, Instant::START, 0, None::<Duration>);
        Snapshot { groups, ..collector.snapshot(Instant::START) }
    }
}

/// What a panic says of itself.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
        .to_owned()
}
