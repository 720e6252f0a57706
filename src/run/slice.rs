//! The part of a fleet that one process is: devices are dealt out in turn by their fleet-wide number, and the
//! executions that go to a device belong to whoever has it. Pure.

use crate::plan::Plan;
use crate::scenario::Load;

/// More processes than anybody starts.
const MAX_SLICES: usize = 10_000;

/// One of so many equal parts of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Which, from 0.
    pub number: usize,
    /// Of how many.
    pub of: usize,
}

impl Default for Slice {
    /// All of it.
    fn default() -> Self {
        Self { number: 0, of: 1 }
    }
}

impl Slice {
    /// The `number`-th, from 1, of `of` slices; `None` if there is none.
    pub fn new(number: usize, of: usize) -> Option<Self> {
        (1..=of.min(MAX_SLICES)).contains(&number).then_some(()).filter(|()| of <= MAX_SLICES)?;
        Some(Self { number: number - 1, of })
    }

    /// Whether it is the whole fleet.
    pub fn is_whole(self) -> bool {
        self.of == 1
    }

    /// How the plan deals devices to one of its shards: as the which of how many.
    pub(super) fn dealt(self, shard: usize, shards: usize) -> (usize, usize) {
        (self.number + self.of * shard, self.of * shards)
    }

    /// Its devices, by group.
    pub(super) fn group_sizes(self, plan: &Plan) -> Vec<u64> {
        let mut sizes = vec![0; plan.scenario().groups.len()];
        if self.is_whole() {
            for (size, group) in sizes.iter_mut().zip(&plan.scenario().groups) {
                *size = u64::from(group.count);
            }
            return sizes;
        }
        for device in plan.devices_of(self.number, self.of) {
            sizes[usize::from(device.group)] += 1;
        }
        sizes
    }

    /// How many of its devices, by group, a workload is meant to reach.
    pub(super) fn reach(self, plan: &Plan, workload: usize) -> Vec<u64> {
        if self.is_whole() {
            return plan.reach(workload);
        }
        if let Load::Once(_) = plan.scenario().workloads[workload].load {
            let mut reach = vec![0; plan.scenario().groups.len()];
            for arrival in plan.arrivals_of(workload, self.number, self.of) {
                reach[usize::from(arrival.device.group)] += 1;
            }
            return reach;
        }
        let meant = &plan.scenario().workloads[workload].groups;
        let sizes = self.group_sizes(plan).into_iter().enumerate();
        sizes.map(|(group, size)| if meant.contains(&group) { size } else { 0 }).collect()
    }

    /// The executions that go to its devices.
    pub(super) fn planned(self, plan: &Plan) -> u64 {
        if self.is_whole() {
            return plan.planned_total();
        }
        let workloads = 0..plan.scenario().workloads.len();
        workloads.map(|workload| plan.arrivals_of(workload, self.number, self.of).count() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::scenario::{Variables, parse};
    use crate::seed::Seed;

    #[test]
    fn slices_and_their_shards_make_the_whole_fleet() {
        let text = "version: 1\nname: n\ngroups:\n  a: { count: 17, behavior: { delay: 1ms } }\n  b: { count: 6, behavior: { delay: 1ms } }\n\
                    workloads: { w: { command: { name: c }, load: { arrival_rate: { stages: [{ rate: 50/s, duration: 4s }] } } } }\n";
        let scenario = parse("n.yaml", text, &Variables::default()).unwrap();
        let plan = Plan::new(Arc::new(scenario), Seed(3));
        let mut seen = BTreeSet::new();
        let (mut sizes, mut planned) = ([0, 0], 0);
        for number in 1..=5 {
            let slice = Slice::new(number, 5).unwrap();
            for (size, more) in sizes.iter_mut().zip(slice.group_sizes(&plan)) {
                *size += more;
            }
            planned += slice.planned(&plan);
            for shard in 0..2 {
                let (which, of) = slice.dealt(shard, 2);
                assert!(plan.devices_of(which, of).all(|device| seen.insert(device)), "dealt once");
            }
        }
        assert_eq!((seen.len(), sizes, planned), (23, [17, 6], 200));
        assert_eq!(Slice::default().group_sizes(&plan), [17, 6]);
        assert_eq!(Slice::default().planned(&plan), 200);
    }
}
