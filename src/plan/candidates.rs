//! The devices that a workload can reach, in a row.

use crate::scenario::Workload;

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
}
