//! What chance decides, as pure functions of scenario and seed, never materialised.
//!
//! [`Plan::arrivals`] is an iterator of (instant, device); [`Plan::decision`] is how a device treats
//! the n-th distinct execution it holds, [`Plan::drops_after_us`] and its neighbours what becomes of its
//! n-th connection. All depend on the seed and on names, not on time, threads or what the target does. What depends on feedback does not live here.

mod arrivals;
mod candidates;
mod connection;
mod decision;
mod doubts;
mod fingerprint;
mod forecast;
mod link;
mod messages;
mod parameters;
mod timeline;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::protocol::{ResultValue, TargetKind};
use crate::scenario::{Group, Load, PlannedResult, Rollout, Scenario, TextTemplate, Workload};
use crate::seed::{Seed, Subject};

pub use arrivals::{Arrival, Arrivals, ShardArrivals, Step, stage_count};
pub use decision::Decision;
pub use fingerprint::{DeviceFingerprint, Fingerprint};
pub use forecast::{Forecast, GroupForecast};
pub use link::LinkDirection;
pub use messages::Messages;

use candidates::Candidates;
pub use candidates::{OwnDevices, RolloutOrder};

/// A device of the run: its group and its index in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId {
    /// Index of the group in the scenario.
    pub group: u16,
    /// Index in the group, from 0.
    pub index: u32,
}

/// The plan of a run. Cheap to clone; every shard holds one.
#[derive(Debug, Clone)]
pub struct Plan {
    scenario: Arc<Scenario>,
    seed: Seed,
    groups: Arc<[GroupPlan]>,
}

#[derive(Debug)]
struct GroupPlan {
    subject: Subject,
    /// Fleet-wide number of the group's first device.
    first: u64,
}

impl Plan {
    /// The plan of this scenario with this seed.
    pub fn new(scenario: Arc<Scenario>, seed: Seed) -> Self {
        let mut first = 0;
        let groups = scenario
            .groups
            .iter()
            .map(|group| {
                let plan = GroupPlan { subject: Subject::new(&group.name, 0), first };
                first += u64::from(group.count);
                plan
            })
            .collect();
        Self { scenario, seed, groups }
    }

    /// The scenario it was made from.
    pub fn scenario(&self) -> &Arc<Scenario> {
        &self.scenario
    }

    /// The seed every draw derives from.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The fleet-wide number of a device: what deals devices out to shards, and nothing else.
    pub fn fleet_number(&self, device: DeviceId) -> u64 {
        self.groups[usize::from(device.group)].first + u64::from(device.index)
    }

    /// The shard that owns a device.
    pub fn shard_of(&self, device: DeviceId, shards: usize) -> usize {
        usize::try_from(self.fleet_number(device) % shards as u64).unwrap_or(0)
    }

    /// The devices of one shard, in order of their fleet-wide numbers.
    pub fn devices_of(&self, shard: usize, shards: usize) -> impl Iterator<Item = DeviceId> + '_ {
        self.devices().filter(move |device| self.shard_of(*device, shards) == shard)
    }

    /// Every device, group by group.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> + '_ {
        self.scenario
            .groups
            .iter()
            .zip(0u16..)
            .flat_map(|(group, number)| (0..group.count).map(move |index| DeviceId { group: number, index }))
    }

    /// A device's client id.
    pub fn client_id(&self, device: DeviceId) -> String {
        self.scenario.groups[usize::from(device.group)].client_id.render(device.index, self.seed.0)
    }

    /// As what and by which name executions go to a device.
    pub fn target(&self, device: DeviceId) -> (TargetKind, String) {
        let group = &self.scenario.groups[usize::from(device.group)];
        (group.address, group.target_name.render(device.index, self.seed.0))
    }

    /// Appends the name by which executions go to a device to `out`; returns as what.
    pub fn write_target(&self, device: DeviceId, out: &mut String) -> TargetKind {
        let group = &self.scenario.groups[usize::from(device.group)];
        group.target_name.write(device.index, self.seed.0, out);
        group.address
    }

    /// What a device reports with its final answers; `None` = nothing.
    pub fn result(&self, device: DeviceId) -> Option<BTreeMap<String, ResultValue>> {
        let planned = &self.scenario.groups[usize::from(device.group)].behavior.result;
        if planned.is_empty() {
            return None;
        }
        let text = |template: &TextTemplate| template.render(device.index, self.seed.0);
        let value = |planned: &PlannedResult| match planned {
            PlannedResult::S(template) => ResultValue::S(text(template)),
            PlannedResult::B(flag) => ResultValue::B(*flag),
            PlannedResult::Bin(template) => ResultValue::Bin(text(template).into_bytes()),
        };
        Some(planned.iter().map(|(name, planned)| (name.clone(), value(planned))).collect())
    }

    /// When and to which device the executions of a workload start, where that is decided beforehand;
    /// instants rise.
    pub fn arrivals(&self, workload: usize) -> Arrivals {
        Arrivals::new(self, workload)
    }

    /// Those that go to one shard's devices.
    pub fn arrivals_of(&self, workload: usize, shard: usize, shards: usize) -> ShardArrivals {
        ShardArrivals::new(self, self.arrivals(workload), shard, shards)
    }

    /// The arrivals of one step that go to one shard's devices.
    pub fn step_arrivals_of(
        &self,
        workload: usize,
        step: &Step,
        shard: usize,
        shards: usize,
    ) -> ShardArrivals {
        ShardArrivals::new(self, Arrivals::of_step(self, workload, step), shard, shards)
    }

    /// How many executions a workload starts at the least: of stages exactly the rounded integral of
    /// their rates, of a burst one for each chosen device; where feedback decides, what it begins with.
    pub fn planned(&self, workload: usize) -> u64 {
        let of = &self.scenario.workloads[workload];
        match &of.load {
            Load::ArrivalRate(load) => load.stages.iter().map(arrivals::stage_count).sum(),
            Load::Capacity(_) => 0,
            Load::Once(load) => arrivals::share_of(load.devices, Candidates::of(self, of).count),
            Load::Concurrency(load) => {
                load.levels.iter().map(|level| level.from.max(level.to)).max().unwrap_or(0)
            }
            Load::Rollout(load) => self.order_of(workload, load).devices(),
        }
    }

    /// The longest time-out, in µs, among the workloads that reach a group; 0 if none does.
    pub fn longest_timeout_us(&self, group: u16) -> u64 {
        let reaches = |workload: &&Workload| workload.groups.contains(&usize::from(group));
        let timeouts = self.scenario.workloads.iter().filter(reaches);
        timeouts.map(|workload| crate::units::micros(workload.command.timeout)).max().unwrap_or(0)
    }

    /// The order in which a workload's rollout goes through its devices; `None` if it has another load.
    pub fn rollout_order(&self, workload: usize) -> Option<RolloutOrder> {
        match &self.scenario.workloads[workload].load {
            Load::Rollout(load) => Some(self.order_of(workload, load)),
            Load::ArrivalRate(_) | Load::Once(_) | Load::Concurrency(_) | Load::Capacity(_) => None,
        }
    }

    fn order_of(&self, workload: usize, load: &Rollout) -> RolloutOrder {
        let of = &self.scenario.workloads[workload];
        let candidates = Candidates::of(self, of);
        let order = self.seed.order(Subject::new(&of.name, 0), candidates.count);
        RolloutOrder::new(candidates, order, load)
    }

    /// The devices of one shard among those that a workload can reach.
    pub fn own_devices(&self, workload: usize, shard: usize, shards: usize) -> OwnDevices {
        let candidates = Candidates::of(self, &self.scenario.workloads[workload]);
        OwnDevices::new(self, &candidates, shard, shards)
    }

    /// How many devices of each group a workload is meant to reach.
    pub fn reach(&self, workload: usize) -> Vec<u64> {
        let of = &self.scenario.workloads[workload];
        let all = Candidates::of(self, of).count;
        let mut reach = vec![0; self.scenario.groups.len()];
        match &of.load {
            Load::Once(_) if self.planned(workload) < all => {
                self.arrivals(workload).for_each(|arrival| reach[usize::from(arrival.device.group)] += 1);
            }
            Load::Rollout(load) if self.planned(workload) < all => {
                let order = self.order_of(workload, load);
                (0..order.devices()).for_each(|place| reach[usize::from(order.device(place).group)] += 1);
            }
            Load::ArrivalRate(_)
            | Load::Once(_)
            | Load::Concurrency(_)
            | Load::Rollout(_)
            | Load::Capacity(_) => {
                of.groups
                    .iter()
                    .for_each(|group| reach[*group] = u64::from(self.scenario.groups[*group].count));
            }
        }
        reach
    }

    /// How many executions the whole run starts at the least.
    pub fn planned_total(&self) -> u64 {
        (0..self.scenario.workloads.len()).map(|workload| self.planned(workload)).sum()
    }

    /// How long the load lasts, from its start to the end of the last stage, in µs; `None` where
    /// feedback decides.
    pub fn load_us(&self) -> Option<u64> {
        let ends = self
            .scenario
            .workloads
            .iter()
            .map(|workload| Some(crate::units::micros(workload.start_after + workload.load.duration()?)));
        ends.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }

    /// A device's group, and whom its draws are for.
    fn subject(&self, device: DeviceId) -> (&Group, Subject) {
        let group = usize::from(device.group);
        (&self.scenario.groups[group], self.groups[group].subject.with_index(u64::from(device.index)))
    }
}

#[cfg(test)]
mod tests;
