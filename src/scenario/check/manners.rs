//! What a device does besides its draws: while it is busy, and when it has just connected.

use super::super::document::Spot;
use super::super::{Manners, SlowStart, WhenBusy};
use super::{At, Collector, given, raw};

/// More executions at the same time than a device queues.
const MAX_PARALLEL: u16 = 1_000;
/// A device that is slower than this after a connect is off.
const MAX_TIMES: f64 = 1_000.0;

pub(super) fn check(raw: &raw::Behavior, collector: &Collector<'_>) -> Manners {
    let standard = Manners::default();
    if let (Some(field), Some(false), None) =
        (&raw.wait_accepted, given(&raw.wait_accepted), &raw.accept_delay)
    {
        let message = "without `accept_delay` no IN_PROGRESS is sent whose reply could be waited for";
        collector.report_with_hint(Spot::Key(field.spot.node()), message, "add an `accept_delay`");
    }
    Manners {
        wait_accepted: given(&raw.wait_accepted).copied().unwrap_or(standard.wait_accepted),
        max_parallel: max_parallel(raw, collector).unwrap_or(standard.max_parallel),
        when_busy: match given(&raw.when_busy) {
            Some(raw::WhenBusy::Queue) | None => WhenBusy::Queue,
            Some(raw::WhenBusy::Reject) => WhenBusy::Reject,
            Some(raw::WhenBusy::Ignore) => WhenBusy::Ignore,
        },
        slow_start: given(&raw.slow_start).and_then(|raw| slow_start(raw, collector)),
    }
}

fn max_parallel(raw: &raw::Behavior, collector: &Collector<'_>) -> Option<u16> {
    let (field, count): (&At<u64>, u64) = (raw.max_parallel.as_ref()?, *given(&raw.max_parallel)?);
    match u16::try_from(count) {
        Ok(fits) if (1..=MAX_PARALLEL).contains(&fits) => Some(fits),
        _ => {
            let message =
                format!("a device cannot work on {count} executions; 1 to {MAX_PARALLEL} are possible");
            collector.report(field.spot, message);
            None
        }
    }
}

fn slow_start(raw: &raw::SlowStart, collector: &Collector<'_>) -> Option<SlowStart> {
    let (lasts, times) = (raw.lasts.get(), raw.times.get());
    if lasts.is_some_and(|lasts| lasts.0.is_zero()) {
        collector.report(raw.lasts.spot, "a slow start for 0s is none: it must be longer than 0s");
    }
    if let Some(times) = times.filter(|times| !(1.0..=MAX_TIMES).contains(*times)) {
        let message = format!("delays cannot be {times} times as long; 1 to {MAX_TIMES} are possible");
        collector.report(raw.times.spot, message);
    }
    Some(SlowStart { lasts: lasts?.0, times: *times? })
}
