//! The timeline as the conductor sees it: a line in the result when something begins or is over, and the
//! outages that the embedded backend has to be told of. What happens to devices, the fleet does.

use std::collections::VecDeque;

use crate::backend::{Outage, OutageKind};
use crate::clock::Instant;
use crate::plan::Plan;
use crate::scenario::TimelineAction;
use crate::units::micros;

/// What is to be said, and what the backend is to be told.
#[derive(Debug)]
pub(super) struct Timeline {
    /// In their order, from the begin of the load.
    lines: VecDeque<(u64, String)>,
    outages: Vec<(u64, u64, OutageKind)>,
}

impl Timeline {
    pub fn new(plan: &Plan) -> Self {
        let mut lines = Vec::new();
        let mut outages = Vec::new();
        for (number, event) in plan.timeline().iter().enumerate() {
            let (from, lasts) = (micros(event.at), micros(event.lasts));
            lines.push((from, format!("timeline: {}", plan.event_words(number))));
            if lasts > 0 {
                lines.push((from + lasts, format!("timeline: {} is over", event.action.name())));
            }
            let kind = match event.action {
                TimelineAction::BackendStall => OutageKind::Stall,
                TimelineAction::BackendRestart => OutageKind::Restart,
                TimelineAction::Disconnect | TimelineAction::Silence | TimelineAction::Slow { .. } => {
                    continue;
                }
            };
            outages.push((from, from + lasts, kind));
        }
        lines.sort_by_key(|(at, _)| *at);
        Self { lines: lines.into(), outages }
    }

    /// The outages of a load that begins at this instant.
    pub fn outages(&self, begin: Instant) -> Vec<Outage> {
        let outage = |(from, until, kind): &(u64, u64, OutageKind)| Outage {
            from: begin.plus_micros(*from),
            until: begin.plus_micros(*until),
            kind: *kind,
        };
        self.outages.iter().map(outage).collect()
    }

    /// Takes the next line if its instant has come.
    pub fn take_due(&mut self, begin: Instant, now: Instant) -> Option<(Instant, String)> {
        let at = begin.plus_micros(self.lines.front()?.0);
        if at > now {
            return None;
        }
        self.lines.pop_front().map(|(_, text)| (at, text))
    }
}
