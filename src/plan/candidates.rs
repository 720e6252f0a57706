//! The devices that a workload can reach, in a row, and those of them that one shard owns.

use crate::scenario::{BatchSize, Rollout, Workload};
use crate::seed::Permutation;

use super::arrivals::share_of;
use super::{DeviceId, Plan};

/// The devices of a workload's groups, numbered through.
#[derive(Debug, Clone)]
pub(super) struct Candidates {
    /// (group, devices in it), in the order of the scenario.
    groups: Vec<(u16, u32)>,
    pub count: u64,
}

impl Candidates {
    pub fn of(plan: &Plan, workload: &Workload) -> Self {
        let groups: Vec<(u16, u32)> = workload
            .groups
            .iter()
            .map(|group| (u16::try_from(*group).unwrap_or(u16::MAX), plan.scenario().groups[*group].count))
            .collect();
        Self { count: groups.iter().map(|(_, count)| u64::from(*count)).sum(), groups }
    }

    /// The device of that number.
    pub fn device(&self, mut number: u64) -> DeviceId {
        for (group, count) in &self.groups {
            match u32::try_from(number) {
                Ok(index) if index < *count => return DeviceId { group: *group, index },
                _ => number -= u64::from(*count),
            }
        }
        unreachable!("a number below the count of the candidates lies in one of the groups")
    }

    /// The number of a device; `None` if it is none of them.
    fn number(&self, device: DeviceId) -> Option<u64> {
        let mut first = 0;
        for (group, count) in &self.groups {
            if *group == device.group {
                return (device.index < *count).then(|| first + u64::from(device.index));
            }
            first += u64::from(*count);
        }
        None
    }
}

/// The order in which a rollout goes through its devices.
#[derive(Debug, Clone)]
pub struct RolloutOrder {
    candidates: Candidates,
    order: Permutation,
    /// For each batch the place behind its last device.
    bounds: Vec<u64>,
}

impl RolloutOrder {
    pub(super) fn new(candidates: Candidates, order: Permutation, load: &Rollout) -> Self {
        Self { bounds: bounds(load, candidates.count), candidates, order }
    }

    /// For each batch the place behind its last device; without batches there is one of all devices.
    pub fn bounds(&self) -> &[u64] {
        &self.bounds
    }

    /// Devices that the rollout is to reach.
    pub fn devices(&self) -> u64 {
        self.bounds.last().copied().unwrap_or(0)
    }

    /// The device at a place.
    pub fn device(&self, place: u64) -> DeviceId {
        self.candidates.device(self.order.at(place))
    }

    /// The batch of a place.
    pub fn batch(&self, place: u64) -> usize {
        self.bounds.partition_point(|bound| *bound <= place)
    }

    /// Whether a device is to be reached.
    pub fn reaches(&self, device: DeviceId) -> bool {
        let number = self.candidates.number(device);
        number.is_some_and(|number| self.order.place_of(number) < self.devices())
    }
}

fn bounds(load: &Rollout, devices: u64) -> Vec<u64> {
    if load.batches.is_empty() {
        return vec![devices];
    }
    let mut bound = 0_u64;
    let sizes = load.batches.iter().map(|batch| match batch.devices {
        BatchSize::Count(count) => count,
        BatchSize::Share(share) => share_of(share, devices),
        BatchSize::Rest => devices,
    });
    sizes
        .map(|size| {
            bound = bound.saturating_add(size).min(devices);
            bound
        })
        .collect()
}

/// The devices of one shard among those that a workload can reach, and the users of a closed loop that
/// are dealt out with them: user n goes where device n is, around and around.
#[derive(Debug, Clone)]
pub struct OwnDevices {
    parts: Vec<OwnPart>,
    count: u64,
    all: u64,
    shards: u64,
}

#[derive(Debug, Clone)]
struct OwnPart {
    group: u16,
    size: u64,
    /// The number of the group's first device among all.
    first: u64,
    /// The index of the group's first device that is the shard's.
    first_own: u64,
    own: u64,
}

impl OwnDevices {
    pub(super) fn new(plan: &Plan, candidates: &Candidates, shard: usize, shards: usize) -> Self {
        let (shard, shards) = (shard as u64, shards as u64);
        let (mut first, mut parts) = (0, Vec::new());
        for (group, count) in &candidates.groups {
            let size = u64::from(*count);
            let before = plan.fleet_number(DeviceId { group: *group, index: 0 }) % shards;
            let first_own = (shard + shards - before) % shards;
            let own = size.saturating_sub(first_own).div_ceil(shards);
            parts.push(OwnPart { group: *group, size, first, first_own, own });
            first += size;
        }
        Self { count: parts.iter().map(|part| part.own).sum(), parts, all: candidates.count, shards }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// One of them.
    ///
    /// # Panics
    /// If there are not that many.
    pub fn device(&self, place: u64) -> DeviceId {
        let (part, index) = self.find(place);
        let index = u32::try_from(index).expect("an index in a group has 32 bits");
        DeviceId { group: part.group, index }
    }

    fn find(&self, mut place: u64) -> (&OwnPart, u64) {
        for part in &self.parts {
            if place < part.own {
                return (part, part.first_own + place * self.shards);
            }
            place -= part.own;
        }
        unreachable!("a place below the count of the own devices lies in one of the groups")
    }

    /// The number, among the users of all shards, of this shard's user `n`; `None` if it has none.
    pub fn user(&self, n: u64) -> Option<u64> {
        let (around, place) = (n.checked_div(self.count)?, n % self.count);
        let (part, index) = self.find(place);
        Some(around * self.all + part.first + index)
    }

    /// How many of the first `users` are this shard's.
    pub fn users_below(&self, users: u64) -> u64 {
        let (around, rest) = (users / self.all, users % self.all);
        let own = |part: &OwnPart| {
            let below = rest.saturating_sub(part.first).min(part.size);
            below.saturating_sub(part.first_own).div_ceil(self.shards)
        };
        around * self.count + self.parts.iter().map(own).sum::<u64>()
    }
}
