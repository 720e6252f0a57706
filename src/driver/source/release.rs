//! A rollout's own devices of one shard: told in the order of the whole, tried again when they fail.

use std::collections::VecDeque;

use crate::ledger::{Milestone, Progress};
use crate::plan::{Arrival, DeviceId, Plan, RolloutOrder};
use crate::scenario::Retry;
use crate::stats::{BatchCounts, Class, Statistics, StuckDevice};

use super::super::rollout::Release;

/// The part of a rollout that goes to one shard's devices.
#[derive(Debug)]
pub(super) struct Released {
    plan: Plan,
    workload: usize,
    shard: usize,
    shards: usize,
    order: RolloutOrder,
    retry: Retry,
    /// What is being told, and what comes after it.
    releases: VecDeque<Release>,
    /// The next place to look at.
    cursor: u64,
    /// The next own device, with its place and its instant.
    head: Option<(u64, u64, DeviceId)>,
    /// Devices that are tried again, and since when: the ends come in order of time.
    again: VecDeque<(u64, u32)>,
    /// By the shard's numbers; no longer than the highest one that was told.
    devices: Vec<Told>,
    ended: bool,
}

/// What is known of a device.
#[derive(Debug, Clone, Copy)]
struct Told {
    place: u64,
    device: DeviceId,
    attempts: u32,
    failures: u8,
    time_outs: u8,
    /// How its last execution ended, once one has.
    last: Class,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    NotStarted,
    Open,
    /// It waits to be tried again.
    Again,
    Done(Class),
    /// Timed out, and answered with success afterwards.
    Late,
}

impl Released {
    /// `shard`: its number, and how many there are.
    pub fn new(
        plan: &Plan,
        workload: usize,
        order: RolloutOrder,
        retry: Retry,
        (shard, shards): (usize, usize),
    ) -> Self {
        Self {
            plan: plan.clone(),
            workload,
            shard,
            shards,
            order,
            retry,
            releases: VecDeque::new(),
            cursor: 0,
            head: None,
            again: VecDeque::new(),
            devices: Vec::new(),
            ended: false,
        }
    }

    /// The whole goes on like this; what an earlier release has told already stays told.
    pub fn release(&mut self, release: Release) {
        if let Some(last) = self.releases.back_mut() {
            last.until = last.until.min(release.first);
        }
        self.releases.push_back(release);
        if let Some((_, place, _)) = self.head.take() {
            self.cursor = place;
        }
        self.find_head();
    }

    fn find_head(&mut self) {
        while self.head.is_none()
            && let Some(release) = self.releases.front()
        {
            self.cursor = self.cursor.max(release.first);
            while self.cursor < release.until {
                let place = self.cursor;
                let device = self.order.device(place);
                if self.shards == 1 || self.plan.shard_of(device, self.shards) == self.shard {
                    self.head = Some((release.at_us(place), place, device));
                    return;
                }
                self.cursor += 1;
            }
            self.releases.pop_front();
        }
    }

    /// When the next start is due.
    pub fn next_us(&self) -> Option<u64> {
        if self.ended {
            return None;
        }
        let told = self.head.map(|(at_us, ..)| at_us);
        [self.again.front().map(|(at_us, _)| *at_us), told].into_iter().flatten().min()
    }

    /// Takes the next start; of two at one instant that of the device that is tried again.
    pub fn take(&mut self) -> Option<Arrival> {
        let due_us = self.next_us()?;
        if let Some((at_us, slot)) = self.again.front().copied()
            && at_us <= due_us
        {
            self.again.pop_front();
            let told = self.devices.get_mut(slot as usize)?;
            told.state = State::Open;
            let number = told.place + u64::from(told.attempts) * self.order.devices();
            told.attempts += 1;
            return Some(self.arrival(at_us, number, self.devices[slot as usize].device));
        }
        let (at_us, place, device) = self.head.take()?;
        self.cursor = place + 1;
        self.find_head();
        Some(self.arrival(at_us, place, device))
    }

    fn arrival(&self, at_us: u64, number: u64, device: DeviceId) -> Arrival {
        let workload = u16::try_from(self.workload).unwrap_or(u16::MAX);
        Arrival { at_us, workload, number, device, measured: true }
    }

    /// The arrival goes to the device that the shard knows by `slot`.
    pub fn picked(&mut self, slot: u32, arrival: &Arrival, statistics: &mut Statistics) {
        let devices = self.order.devices();
        let (place, attempt) = (arrival.number % devices, arrival.number / devices);
        let counts = statistics.rollout_mut(self.workload, self.order.batch(place));
        if attempt > 0 {
            counts.retries += 1;
            return;
        }
        counts.released += 1;
        let needed = slot as usize + 1;
        if self.devices.len() < needed {
            let untold = Told {
                place: 0,
                device: arrival.device,
                attempts: 0,
                failures: 0,
                time_outs: 0,
                last: Class::Unsent,
                state: State::NotStarted,
            };
            self.devices.resize(needed, untold);
        }
        self.devices[slot as usize] = Told {
            place,
            device: arrival.device,
            attempts: 1,
            failures: 0,
            time_outs: 0,
            last: Class::Unsent,
            state: State::Open,
        };
    }

    /// Something came of one of its executions.
    pub fn heard(&mut self, progress: &Progress, at_us: u64, statistics: &mut Statistics) {
        let slot = progress.origin.device;
        let Some(told) = self.devices.get_mut(slot as usize) else { return };
        let counts = statistics.rollout_mut(self.workload, self.order.batch(told.place));
        match progress.milestone {
            Milestone::Started => counts.notified += u64::from(told.attempts == 1),
            Milestone::Ended(class) => {
                count_end(counts, class);
                told.last = class;
                let again = !self.ended && told.may_try_again(class, self.retry);
                if again {
                    told.state = State::Again;
                    self.again.push_back((at_us, slot));
                } else {
                    told.finish(class, counts);
                }
            }
            Milestone::LateSuccess => {
                if let State::Done(class) = told.state
                    && class != Class::Succeeded
                {
                    told.state = State::Late;
                    counts.late_successes += 1;
                }
            }
        }
    }

    /// Nothing more is started: devices that were to be tried again are left.
    pub fn end(&mut self, statistics: &mut Statistics) {
        self.ended = true;
        for (_, slot) in std::mem::take(&mut self.again) {
            let Some(told) = self.devices.get_mut(slot as usize) else { continue };
            let counts = statistics.rollout_mut(self.workload, self.order.batch(told.place));
            told.finish(told.last, counts);
        }
    }

    pub fn is_exhausted(&self) -> bool {
        self.ended
    }

    /// The first devices of this shard that have not succeeded, in the order of the fleet.
    pub fn stuck(&self, most: usize, device_of: impl Fn(u32) -> Option<DeviceId>) -> Vec<StuckDevice> {
        let own = (0..).map_while(|slot| Some((slot, device_of(slot)?)));
        let reached = own.filter(|(_, device)| self.order.reaches(*device));
        reached
            .filter_map(|(slot, device)| {
                let told = self.devices.get(slot as usize).filter(|told| told.state != State::NotStarted);
                let last = match told.map_or(State::NotStarted, |told| told.state) {
                    State::NotStarted => "not started",
                    State::Open | State::Again => "open",
                    State::Done(Class::Succeeded) | State::Late => return None,
                    State::Done(class) => class.name(),
                };
                Some(StuckDevice {
                    workload: self.workload,
                    group: usize::from(device.group),
                    number: self.plan.fleet_number(device),
                    device: self.plan.client_id(device),
                    last,
                    attempts: told.map_or(0, |told| u64::from(told.attempts)),
                })
            })
            .take(most)
            .collect()
    }
}

impl Told {
    /// Whether an execution that ended so is followed by another; counts it as used if it is.
    fn may_try_again(&mut self, class: Class, retry: Retry) -> bool {
        let (used, most) = match class {
            Class::Failed => (&mut self.failures, retry.failed),
            Class::TimedOutDevice | Class::TimedOutCloud => (&mut self.time_outs, retry.timed_out),
            Class::Succeeded
            | Class::Rejected
            | Class::Unsent
            | Class::Refused
            | Class::Unknown
            | Class::Unfinished => return false,
        };
        let may = *used < most;
        *used += u8::from(may);
        may
    }

    /// Nothing more comes for it.
    fn finish(&mut self, class: Class, counts: &mut BatchCounts) {
        self.state = State::Done(class);
        if class == Class::Succeeded {
            counts.devices_succeeded += 1;
        } else {
            counts.devices_left += 1;
        }
    }
}

/// Only what a device or a timer ended has been executed.
fn count_end(counts: &mut BatchCounts, class: Class) {
    match class {
        Class::Succeeded => counts.succeeded += 1,
        Class::Failed => counts.failed += 1,
        Class::Rejected => counts.rejected += 1,
        Class::TimedOutDevice | Class::TimedOutCloud => counts.timed_out += 1,
        Class::Unsent | Class::Refused | Class::Unknown | Class::Unfinished => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::Origin;
    use crate::scenario::{Variables, parse};
    use crate::seed::Seed;
    use crate::stats::Part;

    const SECOND: u64 = 1_000_000;

    /// The part of one of two shards in a rollout to ten devices.
    fn released(shard: usize) -> Released {
        let text = "version: 1\nname: s\ngroups: { g: { count: 10, behavior: { delay: 1ms } } }\nworkloads:\n  \
            w: { command: { name: c }, load: { rollout: { base_rate: 1/s } } }\n";
        let scenario =
            parse("s", text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        let plan = Plan::new(Arc::new(scenario), Seed(6));
        let order = plan.rollout_order(0).unwrap_or_else(|| panic!("it is a rollout"));
        Released::new(&plan, 0, order, Retry { failed: 1, timed_out: 0 }, (shard, 2))
    }

    fn tell(source: &mut Released, until_us: u64) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| {
            source.next_us().filter(|at_us| *at_us <= until_us)?;
            source.take().map(|arrival| (arrival.number, arrival.at_us))
        })
        .collect()
    }

    #[test]
    fn every_place_is_told_once_at_its_instant_whatever_becomes_of_the_rate() {
        let mut told = Vec::new();
        for shard in 0..2 {
            let mut source = released(shard);
            assert_eq!(source.next_us(), None, "nobody has said when");
            source.release(Release { from_us: 0, first: 0, until: 10, per_second: 1.0 });
            told.extend(tell(&mut source, 2 * SECOND));
            // The place at 3 s is still told by the old rate.
            source.release(Release { from_us: 3_500_000, first: 4, until: 10, per_second: 2.0 });
            told.extend(tell(&mut source, 60 * SECOND));
            assert!(!source.is_exhausted(), "devices may have to be tried again");
        }
        told.sort_unstable();
        let slow = (0..4).map(|place| (place, place * SECOND));
        let fast = (4..10).map(|place| (place, 3_500_000 + (place - 4) * SECOND / 2));
        assert!(told.iter().copied().eq(slow.chain(fast)), "{told:?}");
    }

    #[test]
    fn a_device_is_tried_again_as_often_as_it_may_be() {
        let mut source = released(0);
        let mut statistics = Statistics::new(Arc::default());
        source.release(Release { from_us: 0, first: 0, until: 10, per_second: 1.0 });
        let first = source.take().unwrap_or_else(|| panic!("a device is due"));
        source.picked(0, &first, &mut statistics);
        let origin = Origin { workload: 0, group: 0, device: 0, part: Part::Measured };
        let mut hear = |source: &mut Released, milestone, at_us| {
            source.heard(&Progress { origin, milestone }, at_us, &mut statistics);
        };
        hear(&mut source, Milestone::Started, 1);
        hear(&mut source, Milestone::Ended(Class::Failed), 2);
        // Before anybody else, and with a number of its own.
        let second = source.take().unwrap_or_else(|| panic!("it is tried again"));
        assert_eq!((second.at_us, second.number, second.device), (2, first.number + 10, first.device));
        source.picked(0, &second, &mut statistics);
        let mut hear = |source: &mut Released, milestone, at_us| {
            source.heard(&Progress { origin, milestone }, at_us, &mut statistics);
        };
        hear(&mut source, Milestone::Started, 3);
        hear(&mut source, Milestone::Ended(Class::TimedOutCloud), 4);
        hear(&mut source, Milestone::LateSuccess, 5);
        let counts = statistics.rollout(0)[0];
        let expected = BatchCounts {
            released: 1,
            notified: 1,
            failed: 1,
            timed_out: 1,
            retries: 1,
            devices_left: 1,
            late_successes: 1,
            ..BatchCounts::default()
        };
        assert_eq!(counts, expected);
        assert_eq!((counts.good_devices(), counts.bad_devices(), counts.finished()), (1, 0, 1));
        let device_of = |slot: u32| (slot == 0).then_some(first.device);
        assert_eq!(source.stuck(10, device_of), []);
    }
}
