//! The timeline: what happens to whom, when, and for how long.

use std::time::Duration;

use super::super::document::Spot;
use super::super::spelling;
use super::super::{Group, Target, TimelineAction, TimelineEvent};
use super::{At, Collector, given, raw, workloads};
use crate::units::Share;

/// A factor beyond it stops devices rather than slows them.
const MAX_TIMES: f64 = 1_000.0;

pub(super) fn check(
    raw: &[At<raw::TimelineEvent>],
    target: &Target,
    groups: &[Group],
    collector: &Collector<'_>,
) -> Vec<TimelineEvent> {
    let mut events: Vec<TimelineEvent> = Vec::new();
    for item in raw {
        let Some(raw) = item.get() else { continue };
        let Some(event) = event(raw, item.spot, groups, collector) else { continue };
        if event.action.is_of_backend() {
            of_backend(raw, &event, target, &events, collector);
        }
        events.push(event);
    }
    events
}

fn event(
    raw: &raw::TimelineEvent,
    spot: Spot,
    groups: &[Group],
    collector: &Collector<'_>,
) -> Option<TimelineEvent> {
    let kind = *raw.action.get()?;
    let action = match kind {
        raw::TimelineAction::Disconnect => TimelineAction::Disconnect,
        raw::TimelineAction::Silence => TimelineAction::Silence,
        raw::TimelineAction::Slow => TimelineAction::Slow { times: times(raw, collector) },
        raw::TimelineAction::BackendStall => TimelineAction::BackendStall,
        raw::TimelineAction::BackendRestart => TimelineAction::BackendRestart,
    };
    let name = action.name();
    if let (Some(times), false) = (&raw.times, matches!(kind, raw::TimelineAction::Slow)) {
        let spot = Spot::Key(times.spot.node());
        collector.report(spot, format!("`times` belongs to slow; {name} has none"));
    }
    let lasts = given(&raw.lasts).map_or(Duration::ZERO, |text| text.0);
    match &raw.lasts {
        None if action != TimelineAction::Disconnect => {
            let hint = "e.g. for: 30s";
            collector.report_with_hint(spot, format!("{name} needs a `for`: how long it lasts"), hint);
        }
        Some(field) if field.get().is_some() && lasts.is_zero() => {
            collector.report(field.spot, "it must last longer than 0s");
        }
        _ => {}
    }
    let share = given(&raw.share).map_or(Share::ONE, |share| share.0);
    if let (Some(field), true) = (&raw.share, share.fraction() <= 0.0 && given(&raw.share).is_some()) {
        collector.report(field.spot, "at 0% it happens to nobody");
    }
    Some(TimelineEvent {
        at: raw.at.get()?.0,
        action,
        groups: workloads::targets(&raw.groups, groups, collector),
        share,
        lasts,
    })
}

fn times(raw: &raw::TimelineEvent, collector: &Collector<'_>) -> f64 {
    let Some(field) = &raw.times else {
        let hint = "e.g. times: 4";
        collector.report_with_hint(raw.action.spot, "slow needs `times`: by which delays grow", hint);
        return 1.0;
    };
    let times = field.get().copied().unwrap_or(1.0);
    if !(1.0..=MAX_TIMES).contains(&times) {
        collector.report(field.spot, format!("delays cannot grow by {times}; 1 to {MAX_TIMES} are possible"));
    }
    times
}

/// What happens to the backend needs ours, happens to all of it, and one thing at a time.
fn of_backend(
    raw: &raw::TimelineEvent,
    event: &TimelineEvent,
    target: &Target,
    earlier: &[TimelineEvent],
    collector: &Collector<'_>,
) {
    let name = event.action.name();
    if target.embedded().is_none() {
        let hint = "take `target: embedded`, or stop your backend by its own means";
        let message = format!("{name} happens to the embedded backend, and this target is another");
        collector.report_with_hint(raw.action.spot, message, hint);
    }
    let spots = [raw.groups.as_ref().map(|at| at.spot), raw.share.as_ref().map(|at| at.spot)];
    for spot in spots.into_iter().flatten() {
        let key = collector.document().key(spot.node()).unwrap_or_default();
        collector.report(
            Spot::Key(spot.node()),
            format!("{name} happens to the whole backend; it has no `{key}`"),
        );
    }
    let overlaps = |other: &&TimelineEvent| {
        other.action.is_of_backend() && other.at < event.at + event.lasts && event.at < other.at + other.lasts
    };
    if let Some(other) = earlier.iter().find(overlaps) {
        let message = format!(
            "{name} begins or ends within the {} of {} for {}",
            other.action.name(),
            spelling::duration(other.at),
            spelling::duration(other.lasts)
        );
        collector.report_with_hint(raw.at.spot, message, "let one thing happen to the backend at a time");
    }
}
