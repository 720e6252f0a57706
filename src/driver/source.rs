//! Where starts come from: one source for each workload of the run.
//!
//! An open loop is the plan itself; in a stepped one the conductor says each step while the run goes
//! on. Sources know instants as µs of the load, which are not those of the run when the load is paused or
//! played faster (see `clock::LoadClock`), and only their own shard's devices.

mod closed;
mod release;

use std::collections::VecDeque;

use crate::ledger::{Follow, Milestone, Progress};
use crate::plan::{Arrival, DeviceId, Plan, ShardArrivals, Step};
use crate::scenario::{Load, Metric, Scenario};
use crate::stats::{Statistics, StuckDevice};

use super::rollout::Release;
use closed::ClosedLoop;
use release::Released;

/// What the conductor tells the sources of one workload, those of all shards alike.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceCommand {
    /// This step comes next.
    Step(Step),
    /// A rollout goes on like this.
    Release(Release),
    /// Nothing more comes.
    End,
}

/// Steps that wait for their turn: the conductor decides one after the other.
const STEPS_AHEAD: usize = 16;

/// The sources of one shard, by workload.
#[derive(Debug)]
pub(super) struct Sources {
    plan: Plan,
    shard: usize,
    shards: usize,
    by_workload: Vec<Source>,
}

#[derive(Debug)]
enum Source {
    /// Decided before the run.
    Planned(Box<ShardArrivals>),
    /// An open loop whose steps are decided while it runs.
    Stepped { steps: VecDeque<ShardArrivals>, ended: bool },
    /// The next start follows an end.
    ClosedLoop(Box<ClosedLoop>),
    /// A rollout: the next device is told when the conductor says so.
    Rollout(Box<Released>),
}

/// What the sources want to hear of the executions of each workload, and what thresholds do.
pub fn follows(scenario: &Scenario) -> Vec<Follow> {
    let by_devices = scenario.thresholds.iter().any(|threshold| threshold.metric == Metric::DevicesSucceeded);
    let follow = |load: &Load| match load {
        Load::ArrivalRate(_) | Load::Once(_) | Load::Capacity(_) => {
            Follow { progress: false, results: by_devices }
        }
        Load::Concurrency(_) | Load::Rollout(_) => Follow { progress: true, results: by_devices },
    };
    scenario.workloads.iter().map(|workload| follow(&workload.load)).collect()
}

impl Sources {
    pub fn new(plan: &Plan, shard: usize, shards: usize) -> Self {
        let sources = (0..).zip(&plan.scenario().workloads).map(|(number, workload)| match &workload.load {
            Load::Capacity(_) => Source::Stepped { steps: VecDeque::new(), ended: false },
            Load::ArrivalRate(_) | Load::Once(_) => {
                Source::Planned(Box::new(plan.arrivals_of(number, shard, shards)))
            }
            Load::Concurrency(load) => {
                Source::ClosedLoop(Box::new(ClosedLoop::new(plan, number, load, shard, shards)))
            }
            Load::Rollout(load) => match plan.rollout_order(number) {
                Some(order) => {
                    Source::Rollout(Box::new(Released::new(plan, number, order, load.retry, (shard, shards))))
                }
                None => unreachable!("every rollout has an order"),
            },
        });
        Self { by_workload: sources.collect(), plan: plan.clone(), shard, shards }
    }

    /// When the next start is due.
    pub fn next_us(&self) -> Option<u64> {
        self.next().map(|(at_us, _)| at_us)
    }

    /// Takes the next start; of several at one instant that of the first workload.
    pub fn take(&mut self) -> Option<Arrival> {
        let (_, source) = self.next()?;
        self.by_workload[source].take()
    }

    /// Whether nothing more comes from any of them, at this instant of the load or later.
    pub fn are_exhausted(&self, now_us: u64) -> bool {
        self.by_workload.iter().all(|source| source.is_exhausted(now_us))
    }

    /// The arrival that was taken goes to the device that the shard knows by `slot`.
    pub fn picked(&mut self, arrival: &Arrival, slot: u32, statistics: &mut Statistics) {
        if let Some(Source::Rollout(rollout)) = self.by_workload.get_mut(usize::from(arrival.workload)) {
            rollout.picked(slot, arrival, statistics);
        }
    }

    /// What has become of executions; what follows is due at `next_us` or later.
    pub fn heard(&mut self, progress: &[Progress], next_us: u64, statistics: &mut Statistics) {
        for one in progress {
            match self.by_workload.get_mut(usize::from(one.origin.workload)) {
                Some(Source::ClosedLoop(users)) if matches!(one.milestone, Milestone::Ended(_)) => {
                    users.ended(next_us);
                }
                Some(Source::Rollout(rollout)) => rollout.heard(one, next_us, statistics),
                Some(Source::Planned(_) | Source::Stepped { .. } | Source::ClosedLoop(_)) | None => {}
            }
        }
    }

    /// From `at_us` on the load is played at so many percent of the plan's speed.
    pub fn play_at(&mut self, at_us: u64, percent: u32) {
        for source in &mut self.by_workload {
            if let Source::ClosedLoop(users) = source {
                users.play_at(at_us, percent);
            }
        }
    }

    /// Time has come to `now_us`.
    pub fn pass(&mut self, now_us: u64) {
        for source in &mut self.by_workload {
            if let Source::ClosedLoop(users) = source {
                users.pass(now_us);
            }
        }
    }

    /// Nothing more is started, whatever has been planned.
    pub fn end(&mut self, statistics: &mut Statistics) {
        for source in &mut self.by_workload {
            if let Source::Rollout(rollout) = source {
                rollout.end(statistics);
            }
        }
    }

    /// The first devices of each rollout that have not succeeded.
    pub fn stuck(&self, most: usize, device_of: impl Fn(u32) -> Option<DeviceId>) -> Vec<StuckDevice> {
        let rollouts = self.by_workload.iter().filter_map(|source| match source {
            Source::Rollout(rollout) => Some(rollout),
            Source::Planned(_) | Source::Stepped { .. } | Source::ClosedLoop(_) => None,
        });
        rollouts.flat_map(|rollout| rollout.stuck(most, &device_of)).collect()
    }

    /// A command for the source of a workload; one of another kind has no use for it.
    pub fn tell(&mut self, workload: u16, command: &SourceCommand, statistics: &mut Statistics) {
        let number = usize::from(workload);
        let Some(source) = self.by_workload.get_mut(number) else { return };
        match (source, command) {
            (Source::Stepped { steps, .. }, SourceCommand::Step(step)) => {
                if steps.len() < STEPS_AHEAD {
                    steps.push_back(self.plan.step_arrivals_of(number, step, self.shard, self.shards));
                } else {
                    statistics.drop_from("steps of a load beyond those that can wait", 1);
                }
            }
            (Source::Stepped { ended, .. }, SourceCommand::End) => *ended = true,
            (Source::Rollout(rollout), SourceCommand::Release(release)) => rollout.release(*release),
            (Source::Rollout(rollout), SourceCommand::End) => rollout.end(statistics),
            (
                Source::Planned(_) | Source::Stepped { .. } | Source::ClosedLoop(_) | Source::Rollout(_),
                SourceCommand::Step(_) | SourceCommand::Release(_) | SourceCommand::End,
            ) => {}
        }
    }

    fn next(&self) -> Option<(u64, usize)> {
        let heads = self.by_workload.iter().zip(0..);
        heads.filter_map(|(source, number)| Some((source.next_us()?, number))).min()
    }
}

impl Source {
    fn next_us(&self) -> Option<u64> {
        let head = match self {
            Source::Planned(arrivals) => arrivals.peek(),
            Source::Stepped { steps, .. } => steps.iter().find_map(ShardArrivals::peek),
            Source::ClosedLoop(users) => return users.next_us(),
            Source::Rollout(rollout) => return rollout.next_us(),
        };
        head.map(|arrival| arrival.at_us)
    }

    fn take(&mut self) -> Option<Arrival> {
        match self {
            Source::Planned(arrivals) => arrivals.next(),
            Source::Stepped { steps, .. } => {
                while steps.front().is_some_and(|step| step.peek().is_none()) {
                    steps.pop_front();
                }
                steps.front_mut()?.next()
            }
            Source::ClosedLoop(users) => users.take(),
            Source::Rollout(rollout) => rollout.take(),
        }
    }

    fn is_exhausted(&self, now_us: u64) -> bool {
        match self {
            Source::ClosedLoop(users) => users.is_exhausted(now_us),
            Source::Rollout(rollout) => rollout.is_exhausted(),
            Source::Planned(arrivals) => arrivals.peek().is_none(),
            Source::Stepped { steps, ended } => *ended && steps.iter().all(|step| step.peek().is_none()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::scenario::{Spacing, Stage, Variables, parse};
    use crate::seed::Seed;
    use crate::units::Rate;

    /// The sources of one of two shards; the first workload's is stepped.
    fn sources(shard: usize) -> Sources {
        let text = "version: 1\nname: s\ngroups: { g: { count: 10, behavior: { delay: 1ms } } }\nworkloads:\n  \
            a: { command: { name: c }, load: { arrival_rate: { stages: [{ rate: 1/s, duration: 1s }] } } }\n  \
            b: { command: { name: c }, start_after: 2s, load: { once: { within: 10s } } }\n";
        let scenario =
            parse("s", text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        let mut sources = Sources::new(&Plan::new(Arc::new(scenario), Seed(3)), shard, 2);
        sources.by_workload[0] = Source::Stepped { steps: VecDeque::new(), ended: false };
        sources
    }

    fn step(number: u32, begin_us: u64) -> SourceCommand {
        let rate = Rate::from_per_second(4.0);
        let stage =
            Stage { name: None, from: rate, to: rate, duration: Duration::from_secs(2), warm_up: false };
        SourceCommand::Step(Step {
            number,
            begin_us,
            first_arrival: u64::from(number) * 8,
            spacing: Spacing::Even,
            stages: vec![stage],
        })
    }

    fn drain(sources: &mut Sources) -> Vec<(u16, u64)> {
        std::iter::from_fn(|| sources.take()).map(|arrival| (arrival.workload, arrival.number)).collect()
    }

    #[test]
    fn a_step_that_finds_no_room_is_counted() {
        let mut sources = sources(0);
        let mut statistics = Statistics::new(Arc::default());
        for number in 0..20 {
            sources.tell(0, &step(number, 1_000_000 * u64::from(number)), &mut statistics);
        }
        assert_eq!(statistics.dropped.values().sum::<u64>(), 4, "{:?}", statistics.dropped);
    }

    #[test]
    fn steps_come_by_command_beside_what_was_planned() {
        let mut taken = Vec::new();
        for shard in 0..2 {
            let mut sources = sources(shard);
            let mut none = Statistics::new(Arc::default());
            sources.tell(0, &step(0, 1_000_000), &mut none);
            assert!(sources.next_us() < Some(2_000_000), "the step is due before the burst");
            taken.extend(drain(&mut sources));
            assert!(!sources.are_exhausted(0), "another step may come");
            sources.tell(0, &step(1, 90_000_000), &mut none);
            sources.tell(0, &SourceCommand::End, &mut none);
            assert!(!sources.are_exhausted(0), "the last step is not over");
            assert!(sources.next_us() >= Some(90_000_000));
            taken.extend(drain(&mut sources));
            assert!(sources.are_exhausted(0));
            // A command for a source that has no use for it, or for none at all.
            sources.tell(1, &step(7, 0), &mut none);
            sources.tell(9, &step(7, 0), &mut none);
            assert_eq!(sources.next_us(), None);
        }
        taken.sort_unstable();
        let stepped = (0..16).map(|number| (0, number));
        assert!(taken.into_iter().eq(stepped.chain((0..10).map(|number| (1, number)))));
    }
}
