//! Where starts come from: one source for each workload of the run.
//!
//! An open loop is the plan itself; in a stepped one the conductor says each step while the run goes
//! on. Sources know instants as µs since the start of the load, and only their own shard's devices.

use std::collections::VecDeque;

use crate::plan::{Arrival, Plan, ShardArrivals, Step};
use crate::scenario::Load;

/// What the conductor tells the sources of one workload, those of all shards alike.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceCommand {
    /// This step comes next.
    Step(Step),
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
    #[cfg_attr(not(test), expect(dead_code, reason = "no load of this release is stepped"))]
    Stepped { steps: VecDeque<ShardArrivals>, ended: bool },
}

impl Sources {
    pub fn new(plan: &Plan, shard: usize, shards: usize) -> Self {
        let sources = (0..).zip(&plan.scenario().workloads).map(|(number, workload)| match workload.load {
            Load::ArrivalRate(_) | Load::Once(_) => {
                Source::Planned(Box::new(plan.arrivals_of(number, shard, shards)))
            }
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

    /// Whether nothing more comes from any of them.
    pub fn are_exhausted(&self) -> bool {
        self.by_workload.iter().all(Source::is_exhausted)
    }

    /// A command for the source of a workload; one of another kind has no use for it.
    pub fn tell(&mut self, workload: u16, command: &SourceCommand) {
        let number = usize::from(workload);
        let Some(source) = self.by_workload.get_mut(number) else { return };
        match (source, command) {
            (Source::Stepped { steps, .. }, SourceCommand::Step(step)) if steps.len() < STEPS_AHEAD => {
                steps.push_back(self.plan.step_arrivals_of(number, step, self.shard, self.shards));
            }
            (Source::Stepped { ended, .. }, SourceCommand::End) => *ended = true,
            (Source::Planned(_) | Source::Stepped { .. }, _) => {}
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
        }
    }

    fn is_exhausted(&self) -> bool {
        match self {
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
    fn steps_come_by_command_beside_what_was_planned() {
        let mut taken = Vec::new();
        for shard in 0..2 {
            let mut sources = sources(shard);
            sources.tell(0, &step(0, 1_000_000));
            assert!(sources.next_us() < Some(2_000_000), "the step is due before the burst");
            taken.extend(drain(&mut sources));
            assert!(!sources.are_exhausted(), "another step may come");
            sources.tell(0, &step(1, 90_000_000));
            sources.tell(0, &SourceCommand::End);
            assert!(!sources.are_exhausted(), "the last step is not over");
            assert!(sources.next_us() >= Some(90_000_000));
            taken.extend(drain(&mut sources));
            assert!(sources.are_exhausted());
            // A command for a source that has no use for it, or for none at all.
            sources.tell(1, &step(7, 0));
            sources.tell(9, &step(7, 0));
            assert_eq!(sources.next_us(), None);
        }
        taken.sort_unstable();
        let stepped = (0..16).map(|number| (0, number));
        assert!(taken.into_iter().eq(stepped.chain((0..10).map(|number| (1, number)))));
    }
}
