//! What the timeline does to devices: which windows of time hold for which of them.
//!
//! No device keeps anything of it. Whether one is silent, slowed or kept away at an instant follows from
//! the plan and from when the load began; only a broken connection is something that has to be done.

use std::cell::Cell;

use crate::clock::Instant;
use crate::plan::{DeviceId, Plan};
use crate::scenario::TimelineAction;
use crate::units::micros;

/// The events that happen to devices, in the order in which they begin.
#[derive(Debug)]
pub(super) struct Timeline {
    windows: Vec<Window>,
    /// From when the windows count; none before the load.
    begin: Cell<Option<Instant>>,
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
        Self { windows, begin: Cell::new(None), next: Cell::new(0) }
    }

    /// The load begins at this instant.
    pub fn begin(&self, at: Instant) {
        self.begin.set(Some(at));
    }

    /// When the next event begins.
    pub fn next_due(&self) -> Option<Instant> {
        let window = self.windows.get(self.next.get())?;
        Some(self.begin.get()?.plus_micros(window.from_us))
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
        let slowing = |window: &Window| match window.action {
            TimelineAction::Slow { times } if self.holds(*window, now, now) => Some((*window, times)),
            _ => None,
        };
        let hits = self.windows.iter().filter_map(slowing);
        hits.filter(|(window, _)| plan.is_hit(window.event, device)).map(|(_, times)| times).product()
    }

    /// Whether the device was silenced at any instant between the two.
    pub fn was_silenced(&self, plan: &Plan, device: DeviceId, since: Instant, until: Instant) -> bool {
        self.windows.iter().any(|window| {
            window.action == TimelineAction::Silence
                && self.holds(*window, since, until)
                && plan.is_hit(window.event, device)
        })
    }

    /// Whether any instant between the two, both included, lies in the window.
    fn holds(&self, window: Window, since: Instant, until: Instant) -> bool {
        let Some(begin) = self.begin.get() else { return false };
        let from = begin.plus_micros(window.from_us);
        from <= until && since < from.plus_micros(window.lasts_us)
    }

    /// Windows come in the order of their begins, so one walk finds the end of several that overlap.
    fn after(
        &self,
        plan: &Plan,
        device: DeviceId,
        mut at: Instant,
        is_meant: impl Fn(TimelineAction) -> bool,
    ) -> Instant {
        let Some(begin) = self.begin.get() else { return at };
        for window in &self.windows {
            if is_meant(window.action) && self.holds(*window, at, at) && plan.is_hit(window.event, device) {
                at = begin.plus_micros(window.from_us + window.lasts_us);
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
        timeline.begin(at(100));
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
    fn slow_stretches_multiply_and_a_share_is_drawn_for_each_event_and_device() {
        let plan = plan(
            "{ at: 0s, do: slow, times: 2, share: 30%, for: 9s }, { at: 1s, do: slow, times: 3, share: 30%, for: 9s }",
        );
        let timeline = Timeline::new(&plan);
        timeline.begin(at(0));
        let slowness = |index| timeline.slowness(&plan, device(0, index), at(2));
        let count = |times: f64| (0..1000).filter(|index| (slowness(*index) - times).abs() < 1e-9).count();
        // 1,000 devices, two independent draws of 30 %: 490, 210, 210 and 90, give or take five deviations.
        for (times, expected, off) in [(1.0, 490, 80), (2.0, 210, 65), (3.0, 210, 65), (6.0, 90, 46)] {
            assert!(count(times).abs_diff(expected) < off, "{times} times: {}", count(times));
        }
    }
}
