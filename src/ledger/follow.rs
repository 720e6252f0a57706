//! What becomes of the executions of some workloads, for those who go on from there: loads that start
//! the next execution when one has ended, and whoever wants to know which devices have succeeded.

use std::rc::Rc;

use tokio::sync::Notify;

use crate::stats::{Class, Part};

use super::EntryKey;
use super::entry::Origin;

/// What is wanted of the executions of one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Follow {
    /// Every milestone of every execution.
    pub progress: bool,
    /// How many devices have succeeded, by the last execution of each.
    pub results: bool,
}

/// A step in the life of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// The API has answered with an id.
    Started,
    /// For the operator it has ended, or was never started. Comes once.
    Ended(Class),
    /// The cloud had ended it, and then its device reported success.
    LateSuccess,
}

/// A milestone of some execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Of which workload and device.
    pub origin: Origin,
    /// Which one.
    pub milestone: Milestone,
}

/// What was asked for, and what has not been taken yet.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// By workload.
    follow: Vec<Follow>,
    /// Told when there is something to take.
    wake: Option<Rc<Notify>>,
    /// The shard takes all of them at each of its turns. Between two there are at most three for each entry
    /// that was open or was made meanwhile, and one for each planned execution that got no entry.
    progress: Vec<Progress>,
    /// By workload and device.
    results: Vec<Vec<LastResult>>,
}

/// The last execution that was entered for a device, and whether the last one that ended was a success.
#[derive(Debug, Clone, Copy, Default)]
struct LastResult {
    key: Option<EntryKey>,
    succeeded: bool,
}

impl Followed {
    pub fn new(follow: Vec<Follow>, wake: Rc<Notify>) -> Self {
        Self { results: vec![Vec::new(); follow.len()], follow, wake: Some(wake), progress: Vec::new() }
    }

    fn of(&self, origin: Origin) -> Follow {
        self.follow.get(usize::from(origin.workload)).copied().unwrap_or_default()
    }

    /// Notes a milestone, if anybody wants it.
    pub fn push(&mut self, origin: Origin, milestone: Milestone) {
        if !self.of(origin).progress {
            return;
        }
        if let Some(wake) = self.wake.as_ref().filter(|_| self.progress.is_empty()) {
            wake.notify_one();
        }
        self.progress.push(Progress { origin, milestone });
    }

    pub fn take(&mut self) -> Vec<Progress> {
        std::mem::take(&mut self.progress)
    }

    /// An execution was entered: for its device it is the last one now.
    pub fn entered(&mut self, origin: Origin, key: EntryKey) {
        if !self.of(origin).results || origin.part != Part::Measured {
            return;
        }
        let results = &mut self.results[usize::from(origin.workload)];
        let device = origin.device as usize;
        if results.len() <= device {
            results.resize(device + 1, LastResult::default());
        }
        results[device].key = Some(key);
    }

    /// An execution is over: by how much that changes the number of devices that have succeeded.
    pub fn over(&mut self, origin: Origin, key: EntryKey, succeeded: bool) -> i64 {
        let results = self.results.get_mut(usize::from(origin.workload));
        let last = results.and_then(|results| results.get_mut(origin.device as usize));
        let Some(last) = last.filter(|last| last.key == Some(key)) else { return 0 };
        let before = std::mem::replace(&mut last.succeeded, succeeded);
        i64::from(succeeded) - i64::from(before)
    }
}
