//! The timeline as the conductor sees it: a line in the result when something begins or is over, and the
//! outages that the embedded backend has to be told of. What happens to devices, the fleet does.

use crate::backend::{Outage, OutageKind};
use crate::clock::{Instant, LoadClock};
use crate::plan::Plan;
use crate::scenario::{TimelineAction, TimelineEvent};
use crate::units::micros;

/// What is to be said, and what the backend is to be told.
#[derive(Debug)]
pub(super) struct Timeline {
    /// In the order of their begins.
    events: Vec<Event>,
}

#[derive(Debug)]
struct Event {
    /// When it begins, in µs of the load.
    from_us: u64,
    /// How long it is, on the run's clock.
    lasts_us: u64,
    outage: Option<OutageKind>,
    /// What is said at its begin and at its end, until it is said.
    begins: Option<String>,
    is_over: Option<String>,
}

impl Timeline {
    pub fn new(plan: &Plan) -> Self {
        let event = |(number, event): (usize, &TimelineEvent)| {
            let lasts_us = micros(event.lasts);
            Event {
                from_us: micros(event.at),
                lasts_us,
                outage: match event.action {
                    TimelineAction::BackendStall => Some(OutageKind::Stall),
                    TimelineAction::BackendRestart => Some(OutageKind::Restart),
                    TimelineAction::Disconnect | TimelineAction::Silence | TimelineAction::Slow { .. } => {
                        None
                    }
                },
                begins: Some(format!("timeline: {}", plan.event_words(number))),
                is_over: (lasts_us > 0).then(|| format!("timeline: {} is over", event.action.name())),
            }
        };
        let mut events: Vec<Event> = plan.timeline().iter().enumerate().map(event).collect();
        events.sort_by_key(|event| event.from_us);
        Self { events }
    }

    /// Whether the backend has to be told of anything.
    pub fn has_outages(&self) -> bool {
        self.events.iter().any(|event| event.outage.is_some())
    }

    /// The outages whose begins the load's clock knows by now.
    pub fn outages(&self, load: &LoadClock) -> Vec<Outage> {
        let outage = |(event, (from, until)): (&Event, (Instant, Instant))| {
            Some(Outage { from, until, kind: event.outage? })
        };
        self.instants(load).filter_map(outage).collect()
    }

    /// First instants of events, and the first ones after them. Played faster, an outage could begin before the
    /// last one is over: then it begins when that is.
    fn instants(&self, load: &LoadClock) -> impl Iterator<Item = (&Event, (Instant, Instant))> {
        let mut works_from = Instant::START;
        self.events.iter().map_while(move |event| {
            let mut from = load.instant(event.from_us)?;
            if event.outage.is_some() {
                from = from.max(works_from);
                works_from = from.plus_micros(event.lasts_us);
            }
            Some((event, (from, from.plus_micros(event.lasts_us))))
        })
    }

    /// Takes the next line if its instant has come.
    pub fn take_due(&mut self, load: &LoadClock, now: Instant) -> Option<(Instant, String)> {
        let lines = self.instants(load).zip(0..).flat_map(|((event, (from, until)), number)| {
            let begins = event.begins.is_some().then_some((from, number, true));
            let is_over = event.is_over.is_some().then_some((until, number, false));
            [begins, is_over].into_iter().flatten()
        });
        let (at, number, is_begin) = lines.filter(|(at, ..)| *at <= now).min_by_key(|(at, ..)| *at)?;
        let event = self.events.get_mut(number)?;
        let text = if is_begin { event.begins.take() } else { event.is_over.take() };
        text.map(|text| (at, text))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::{Variables, parse};
    use crate::seed::Seed;

    fn timeline(events: &str) -> Timeline {
        let text = format!(
            "version: 1\nname: n\ngroups: {{ a: {{ behavior: {{ delay: 1ms }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c }}, load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, duration: 9m }}] }} }} }} }}\n\
             timeline: [{events}]\n"
        );
        match parse("n.yaml", &text, &Variables::default()) {
            Ok(scenario) => Timeline::new(&Plan::new(Arc::new(scenario), Seed(7))),
            Err(problems) => panic!("{}", problems.render(false)),
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn events_begin_by_the_loads_clock_and_last_by_the_runs() {
        let mut timeline =
            timeline("{ at: 30s, do: silence, for: 10s }, { at: 20s, do: slow, times: 2, for: 15s }");
        let load = LoadClock::begin(at(100), 100).changed(at(125), 0).unwrap();
        let mut lines = |load: &LoadClock, now| -> Vec<(Instant, String)> {
            std::iter::from_fn(|| timeline.take_due(load, at(now))).collect()
        };
        let said = |texts: &[(u64, &str)]| -> Vec<(Instant, String)> {
            texts.iter().map(|(seconds, text)| (at(*seconds), format!("timeline: {text}"))).collect()
        };
        assert_eq!(lines(&load, 119), []);
        assert_eq!(
            lines(&load, 199),
            said(&[(120, "slow of 1 devices by 2 for 15.00s"), (135, "slow is over")]),
            "what has begun ends in the pause, and nothing begins in it"
        );
        let load = load.changed(at(200), 50).unwrap();
        let rest = said(&[(210, "silence of 1 devices for 10.00s"), (220, "silence is over")]);
        assert_eq!((lines(&load, 209), lines(&load, 400)), (Vec::new(), rest));
    }

    #[test]
    fn outages_that_come_sooner_still_come_one_after_the_other() {
        let timeline = timeline(
            "{ at: 10s, do: backend_stall, for: 8s }, { at: 20s, do: backend_restart, for: 2s }, { at: 60s, do: backend_stall, for: 1s }",
        );
        let outages = |load: &LoadClock| -> Vec<(Instant, Instant)> {
            timeline.outages(load).into_iter().map(|outage| (outage.from, outage.until)).collect()
        };
        let planned = LoadClock::begin(at(0), 100);
        assert_eq!(outages(&planned), [(at(10), at(18)), (at(20), at(22)), (at(60), at(61))]);
        let fast = LoadClock::begin(at(0), 1_000);
        assert_eq!(outages(&fast), [(at(1), at(9)), (at(9), at(11)), (at(11), at(12))]);
        let paused = planned.changed(at(20), 0).unwrap();
        assert_eq!(outages(&paused), [(at(10), at(18)), (at(20), at(22))]);
        assert!(timeline.has_outages());
    }
}
