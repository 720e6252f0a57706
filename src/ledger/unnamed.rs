//! Joining both ends of an execution that nobody has named yet: a device may hold a request before the
//! start's answer has said its id, and an answer may never come.
//!
//! Here is who waits for whom; [`super::Ledger`] draws the conclusions.

use std::collections::{HashMap, VecDeque};

use crate::clock::Instant;
use crate::protocol::ExecutionId;

use super::EntryKey;
use super::entry::{DeviceSide, PlannedEnd};

/// The start's answer and the device's hold race each other, but not for longer than this: a held
/// execution nobody here started belongs to somebody else.
const FOREIGN_AFTER_US: u64 = 15_000_000;

/// What devices hold without a start, and starts without an answer.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    /// Held by a device before the start's answer named them; drained within [`FOREIGN_AFTER_US`].
    held: HashMap<ExecutionId, (u32, DeviceSide)>,
    order: VecDeque<(Instant, ExecutionId)>,
    /// Starts whose answer is still awaited, by device.
    awaited: HashMap<u32, Awaited>,
    /// Starts without an answer, by device, oldest first.
    unanswered: HashMap<u32, VecDeque<EntryKey>>,
    foreign: u64,
}

/// Starts to one device whose answer is awaited.
#[derive(Debug, Default, Clone, Copy)]
struct Awaited {
    starts: u32,
    /// The longest time-out of them all: with one, and there is seldom more, its own.
    longest_timeout_us: u64,
}

impl Unnamed {
    /// A device holds an execution that has no name here. Beyond `capacity` it counts as foreign.
    pub fn hold(&mut self, device: u32, id: &ExecutionId, now: Instant, end: PlannedEnd, capacity: usize) {
        if self.held.len() >= capacity {
            self.foreign += 1;
            return;
        }
        let side = DeviceSide { held: Some(now), end: Some(end), ..DeviceSide::default() };
        self.held.insert(id.clone(), (device, side));
        self.order.push_back((now, id.clone()));
    }

    /// What the device has said of it.
    pub fn side_mut(&mut self, id: &ExecutionId) -> Option<&mut DeviceSide> {
        self.held.get_mut(id).map(|(_, side)| side)
    }

    /// The execution has got its name: what its device said goes to its entry.
    pub fn take(&mut self, id: &ExecutionId) -> Option<DeviceSide> {
        self.held.remove(id).map(|(_, side)| side)
    }

    /// A start to `device` was written.
    pub fn start_written(&mut self, device: u32, timeout_us: u64) {
        let awaited = self.awaited.entry(device).or_default();
        awaited.starts += 1;
        awaited.longest_timeout_us = awaited.longest_timeout_us.max(timeout_us);
    }

    /// The time-out that an execution which `device` holds and nobody has named yet has at the most.
    pub fn longest_timeout_us(&self, device: u32) -> Option<u64> {
        self.awaited.get(&device).map(|awaited| awaited.longest_timeout_us)
    }

    /// One start to `device` less is awaited; whether that was the last.
    pub fn answer_came(&mut self, device: u32) -> bool {
        if let Some(awaited) = self.awaited.get_mut(&device) {
            awaited.starts = awaited.starts.saturating_sub(1);
            if awaited.starts > 0 {
                return false;
            }
            self.awaited.remove(&device);
        }
        true
    }

    /// Whether an answer to a start to `device` is still to come.
    pub fn is_awaited(&self, device: u32) -> bool {
        self.awaited.contains_key(&device)
    }

    /// A start got no answer within its time.
    pub fn start_unanswered(&mut self, device: u32, key: EntryKey) {
        self.unanswered.entry(device).or_default().push_back(key);
    }

    /// Takes the oldest start to `device` without an answer.
    pub fn next_unanswered(&mut self, device: u32) -> Option<EntryKey> {
        let waiting = self.unanswered.get_mut(&device)?;
        let key = waiting.pop_front();
        if waiting.is_empty() {
            self.unanswered.remove(&device);
        }
        key
    }

    /// Puts back what [`Unnamed::next_unanswered`] gave.
    pub fn put_back(&mut self, device: u32, key: EntryKey) {
        self.unanswered.entry(device).or_default().push_front(key);
    }

    /// What the device has held longest of what nobody named, since `written`.
    pub fn longest_held(&self, device: u32, written: Option<Instant>) -> Option<ExecutionId> {
        let of_device =
            self.held.iter().filter(|(_, (holder, side))| *holder == device && side.held >= written);
        of_device.min_by(|a, b| (a.1.1.held, a.0).cmp(&(b.1.1.held, b.0))).map(|(id, _)| id.clone())
    }

    /// Executions that devices held and nobody here started.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Gives up what has been held for long and never got a name.
    pub fn forget_foreign(&mut self, now: Instant) {
        while let Some((held, id)) = self.order.front() {
            if now.micros_since(*held) < FOREIGN_AFTER_US {
                return;
            }
            // A start whose answer was lost may still be joined with it.
            let holder = self.held.get(id).map(|(holder, _)| *holder);
            if holder.is_some_and(|device| self.unanswered.contains_key(&device)) {
                return;
            }
            if let Some((_, id)) = self.order.pop_front()
                && self.held.remove(&id).is_some()
            {
                self.foreign += 1;
            }
        }
    }
}
