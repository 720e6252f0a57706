//! What the timeline does to devices: which windows of time hold for which of them.
//!
//! No device keeps anything of it. Whether one is silent, slowed or kept away at an instant follows from
//! the plan and from the load's clock; only a broken connection is something that has to be done. An event
//! begins when that clock says, and lasts as long as it is written: ten seconds are ten seconds of the run.

use std::cell::{Cell, RefCell};

use crate::clock::{Instant, LoadClock};
use crate::plan::{DeviceId, Plan};
use crate::scenario::TimelineAction;
use crate::units::micros;

/// The events that happen to devices, in the order in which they begin.
#[derive(Debug)]
pub(super) struct Timeline {
    windows: Vec<Window>,
    /// When each of them begins, as far as that is known: not before the load, nor in a pause.
    begins: RefCell<Vec<Option<Instant>>>,
    /// The first window whose begin was not performed yet.
    next: Cell<usize>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Its place in the file.
    event: usize,
    pub action: TimelineAction,
    from_us: u64,
    lasts_us: u64,
}

impl Window {
    /// Whether it happens to a device.
    pub fn is_hit(self, plan: &Plan, device: DeviceId) -> bool {
        plan.is_hit(self.event, device)
    }
}

impl Timeline {
    pub fn new(plan: &Plan) -> Self {
        let mut windows: Vec<Window> = plan
            .timeline()
            .iter()
            .enumerate()
            .filter(|(_, event)| !event.action.is_of_backend())
            .map(|(number, event)| Window {
                event: number,
                action: event.action,
                from_us: micros(event.at),
                lasts_us: micros(event.lasts),
            })
            .collect();
        windows.sort_by_key(|window| window.from_us);
        let begins = RefCell::new(vec![None; windows.len()]);
        Self { windows, begins, next: Cell::new(0) }
    }

    /// From now on the load's clock runs like this.
    pub fn keep_time(&self, load: &LoadClock) {
        self.begins.replace(self.windows.iter().map(|window| load.instant(window.from_us)).collect());
    }

    /// The windows, each with its first instant and the first one after it.
    fn instants(&self) -> impl Iterator<Item = (Window, Instant, Instant)> {
        let begins = self.begins.borrow();
        (0..self.windows.len()).filter_map(move |number| {
            let window = self.windows[number];
            let from = begins[number]?;
            Some((window, from, from.plus_micros(window.lasts_us)))
        })
    }

    /// When the next event begins.
    pub fn next_due(&self) -> Option<Instant> {
        self.begins.borrow().get(self.next.get()).copied().flatten()
    }

    /// Takes the next event if it has begun.
    pub fn take_due(&self, now: Instant) -> Option<Window> {
        self.next_due().filter(|at| *at <= now)?;
        let next = self.next.get();
        self.next.set(next + 1);
        self.windows.get(next).copied()
    }

    /// The first instant from `at` on at which the device is not silenced.
    pub fn speaks_from(&self, plan: &Plan, device: DeviceId, at: Instant) -> Instant {
        self.after(plan, device, at, |action| action == TimelineAction::Silence)
    }

    /// The first instant from `at` on at which the device is not kept away.
    pub fn connects_from(&self, plan: &Plan, device: DeviceId, at: Instant) -> Instant {
        self.after(plan, device, at, |action| action == TimelineAction::Disconnect)
    }

    /// By which the delays of a device grow now.
    pub fn slowness(&self, plan: &Plan, device: DeviceId, now: Instant) -> f64 {
        let slowing = |(window, from, until): (Window, Instant, Instant)| match window.action {
            TimelineAction::Slow { times } if from <= now && now < until => Some((window, times)),
            _ => None,
        };
        let hits = self.instants().filter_map(slowing);
        hits.filter(|(window, _)| plan.is_hit(window.event, device)).map(|(_, times)| times).product()
    }

    /// Whether the device was silenced at any instant between the two, both included.
    pub fn was_silenced(&self, plan: &Plan, device: DeviceId, since: Instant, until: Instant) -> bool {
        self.instants().any(|(window, from, to)| {
            window.action == TimelineAction::Silence
                && from <= until
                && since < to
                && plan.is_hit(window.event, device)
        })
    }

    /// Windows come in the order of their begins, so one walk finds the end of several that overlap.
    fn after(
        &self,
        plan: &Plan,
        device: DeviceId,
        mut at: Instant,
        is_meant: impl Fn(TimelineAction) -> bool,
    ) -> Instant {
        for (window, from, until) in self.instants() {
            if is_meant(window.action) && from <= at && at < until && plan.is_hit(window.event, device) {
                at = until;
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::{Variables, parse};
    use crate::seed::Seed;

    fn plan(events: &str) -> Plan {
        let text = format!(
            "version: 1\nname: n\ngroups: {{ a: {{ count: 1000, behavior: {{ delay: 1ms }} }}, b: {{ behavior: {{ delay: 1ms }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c }}, load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, duration: 1s }}] }} }} }} }}\n\
             timeline: [{events}]\n"
        );
        match parse("n.yaml", &text, &Variables::default()) {
            Ok(scenario) => Plan::new(Arc::new(scenario), Seed(7)),
            Err(problems) => panic!("{}", problems.render(false)),
        }
    }

    fn device(group: u16, index: u32) -> DeviceId {
        DeviceId { group, index }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn windows_count_from_the_begin_of_the_load_and_may_follow_one_another() {
        let plan = plan(
            "{ at: 20s, do: silence, for: 5s }, { at: 10s, do: silence, for: 12s }, { at: 40s, do: silence, groups: [b], for: 1s }",
        );
        let timeline = Timeline::new(&plan);
        let speaks = |group, seconds| timeline.speaks_from(&plan, device(group, 0), at(seconds));
        assert_eq!((speaks(0, 110), timeline.next_due()), (at(110), None), "nothing before the load");
        timeline.keep_time(&LoadClock::begin(at(100), 100));
        for (seconds, speaks_from) in [(109, 109), (110, 125), (121, 125), (124, 125), (125, 125), (140, 140)]
        {
            assert_eq!(speaks(0, seconds), at(speaks_from), "at {seconds} s");
        }
        assert_eq!(speaks(1, 140), at(141));
        assert!(timeline.was_silenced(&plan, device(0, 3), at(90), at(110)));
        assert!(!timeline.was_silenced(&plan, device(0, 3), at(125), at(500)));
        assert_eq!(timeline.next_due(), Some(at(110)));
        let begun: Vec<u64> = std::iter::from_fn(|| timeline.take_due(at(130))).map(|w| w.from_us).collect();
        assert_eq!((begun, timeline.next_due()), (vec![10_000_000, 20_000_000], Some(at(140))));
    }

    #[test]
    fn an_event_waits_for_the_loads_clock_and_one_that_has_begun_lasts_as_long_as_it_is_written() {
        let plan = plan("{ at: 10s, do: silence, for: 5s }, { at: 20s, do: silence, for: 5s }");
        let timeline = Timeline::new(&plan);
        let speaks = |seconds| timeline.speaks_from(&plan, device(0, 0), at(seconds));
        let load = LoadClock::begin(at(0), 100).changed(at(12), 0).unwrap();
        timeline.keep_time(&load);
        assert_eq!((speaks(11), speaks(14), speaks(15), speaks(21)), (at(15), at(15), at(15), at(21)));
        assert!(timeline.take_due(at(30)).is_some() && timeline.next_due().is_none(), "paused");
        timeline.keep_time(&load.changed(at(100), 200).unwrap());
        assert_eq!(
            (timeline.next_due(), speaks(12), speaks(104), speaks(109)),
            (Some(at(104)), at(15), at(109), at(109))
        );
    }

    #[test]
    fn slow_stretches_multiply_and_a_share_is_drawn_for_each_event_and_device() {
        let plan = plan(
            "{ at: 0s, do: slow, times: 2, share: 30%, for: 9s }, { at: 1s, do: slow, times: 3, share: 30%, for: 9s }",
        );
        let timeline = Timeline::new(&plan);
        timeline.keep_time(&LoadClock::begin(at(0), 100));
        let slowness = |index| timeline.slowness(&plan, device(0, index), at(2));
        let count = |times: f64| (0..1000).filter(|index| (slowness(*index) - times).abs() < 1e-9).count();
        // 1,000 devices, two independent draws of 30 %: 490, 210, 210 and 90, give or take five deviations.
        for (times, expected, off) in [(1.0, 490, 80), (2.0, 210, 65), (3.0, 210, 65), (6.0, 90, 46)] {
            assert!(count(times).abs_diff(expected) < off, "{times} times: {}", count(times));
        }
    }
}
