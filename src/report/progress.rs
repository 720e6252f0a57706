//! One line about a run that goes on, for logs and for terminals without a screen.
//!
//! Pure text; when lines are printed is decided by the caller.

use std::time::Duration;

use super::words::{position, printable, share, speed_up};
use crate::stats::{Class, Event, Part, Phase, RolloutProgress, Second, Snapshot};
use crate::units::{Rate, human_count, human_micros, human_rate};

/// Where the run stands and what happened in the last `interval` (at least one second).
///
/// Percentiles of a second are exact; those of a longer interval are bounded by its worst second and
/// then marked `≤`, because percentiles of parts do not add up to those of the whole.
pub fn progress_line(snapshot: &Snapshot, interval: Duration) -> String {
    let window = window(snapshot, interval);
    let columns = match snapshot.phase {
        Phase::Connect => connect(snapshot),
        Phase::Load => load(snapshot, &window),
        Phase::Drain => drain(snapshot),
        Phase::Settle => vec![format!("reading records back, {} open", human_count(open(snapshot)))],
        Phase::Done => vec![format!("{} executions", human_count(due(snapshot)))],
    };
    let pace = snapshot.wall_elapsed.and_then(|real| speed_up(snapshot.elapsed, real));
    let pace = pace.map(|pace| format!(" virtual {pace}")).unwrap_or_default();
    format!("{}{pace}  {:<8}  {}", position(snapshot.elapsed), word(snapshot), columns.join("   "))
}

/// An event as a line of its own.
pub fn event_line(event: &Event) -> String {
    format!("{}  * {}", position(Duration::from_micros(event.at_us)), printable(&event.text))
}

/// The phase for people: the load says whether it waits, and whether it is measured yet.
fn word(snapshot: &Snapshot) -> &'static str {
    match snapshot.phase {
        Phase::Load if snapshot.tempo.paused => "paused",
        Phase::Load if is_warming_up(snapshot) => "warm-up",
        Phase::Load => "measure",
        phase => phase.name(),
    }
}

/// Whether only warm-up executions have fallen due so far.
pub fn is_warming_up(snapshot: &Snapshot) -> bool {
    snapshot.totals.measured(None, None).due == 0 && snapshot.totals.sum(Part::WarmUp, None, None).due > 0
}

/// Executions due and not decided, warm-up included.
pub fn open(snapshot: &Snapshot) -> u64 {
    snapshot.totals.measured(None, None).open() + snapshot.totals.sum(Part::WarmUp, None, None).open()
}

/// Executions that have ended one way or another, warm-up included.
pub fn decided(snapshot: &Snapshot) -> u64 {
    snapshot.totals.measured(None, None).decided() + snapshot.totals.sum(Part::WarmUp, None, None).decided()
}

/// Executions due so far, warm-up included.
pub fn due(snapshot: &Snapshot) -> u64 {
    snapshot.totals.measured(None, None).due + snapshot.totals.sum(Part::WarmUp, None, None).due
}

/// The last seconds of the series that make up the interval.
fn window(snapshot: &Snapshot, interval: Duration) -> Vec<Second> {
    snapshot.series.newest(usize::try_from(interval.as_secs().max(1)).unwrap_or(usize::MAX))
}

fn connect(snapshot: &Snapshot) -> Vec<String> {
    let online: u64 = snapshot.groups.iter().map(|group| group.online).sum();
    let devices: u64 = snapshot.groups.iter().map(|group| group.devices).sum();
    vec![format!("{} of {} devices online", human_count(online), human_count(devices))]
}

fn load(snapshot: &Snapshot, window: &[Second]) -> Vec<String> {
    let sum = |of: fn(&Second) -> u64| window.iter().map(of).sum::<u64>();
    let decided = sum(|s| s.succeeded) + sum(|s| s.other);
    let mut columns = vec![format!(
        "{}/s sent  {}/s ok",
        rate(sum(|s| s.started), window),
        rate(sum(|s| s.succeeded), window)
    )];
    if let Some((number, rate)) = snapshot.capacity.as_ref().and_then(|capacity| capacity.running) {
        columns.insert(0, format!("step {number}: {}", human_rate(rate)));
    }
    if snapshot.tempo.rate_percent != 100 {
        columns.insert(0, format!("rate {}%", snapshot.tempo.rate_percent));
    }
    let percentiles: Vec<String> = [
        ("p50", bound(window, |s| s.latency_us_p50)),
        ("p95", bound(window, |s| s.latency_us_p95)),
        ("p99", bound(window, |s| s.latency_us_p99)),
    ]
    .into_iter()
    .filter_map(|(name, bound)| bound.map(|text| format!("{name} {text}")))
    .collect();
    if !percentiles.is_empty() {
        columns.push(percentiles.join(" "));
    }
    columns.extend(snapshot.rollouts.iter().filter(|rollout| rollout.counts.released > 0).map(rollout));
    columns.push(format!("in flight {}", human_count(open(snapshot))));
    // A start that the service would not take is no execution that failed.
    let refused = sum(|s| u64::from(s.classes[Class::Refused as usize]));
    columns.push(format!("failed {}", share(sum(|s| s.other).saturating_sub(refused), decided)));
    if refused > 0 {
        columns.push(format!("refused {}", share(refused, decided)));
    }
    if let Some(lag) = bound(window, |s| s.schedule_lag_us_p99.max(s.device_lag_us_p99)) {
        columns.push(format!("lag p99 {lag}"));
    }
    columns
}

fn rollout(rollout: &RolloutProgress) -> String {
    let (good, devices) = (human_count(rollout.counts.good_devices()), human_count(rollout.devices));
    format!("rollout {good} of {devices} at {}", Rate::from_per_second(rollout.rate()))
}

fn drain(snapshot: &Snapshot) -> Vec<String> {
    let mut columns = vec![format!("{} open", human_count(open(snapshot)))];
    if let Some(deadline) = snapshot.last_deadline {
        let left = deadline.saturating_sub(snapshot.elapsed).as_secs_f64().ceil();
        columns.push(format!("last deadline {} (in {left:.0}s)", position(deadline)));
    }
    columns
}

/// A count as a rate, with one decimal.
fn rate(count: u64, window: &[Second]) -> String {
    let (count, seconds) = (u128::from(count), window.len().max(1) as u128);
    let tenths = (count * 20 + seconds) / (seconds * 2);
    format!("{}.{}", human_count(u64::try_from(tenths / 10).unwrap_or(u64::MAX)), tenths % 10)
}

/// The largest of the seconds' figures; `≤` if more than one second had any.
fn bound(window: &[Second], of: impl Fn(&Second) -> Option<u64>) -> Option<String> {
    let figures: Vec<u64> = window.iter().filter_map(of).collect();
    let mark = if figures.len() > 1 { "≤" } else { "" };
    figures.iter().max().map(|worst| format!("{mark}{}", human_micros(*worst)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_line_says_where_the_run_stands() {
        let second = Duration::from_secs(1);
        let lines: Vec<String> = [
            sample::connecting(),
            sample::warming_up(),
            sample::measuring(),
            sample::draining(),
            sample::done(),
        ]
        .iter()
        .map(|snapshot| progress_line(snapshot, second))
        .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_line_of_virtual_time_says_so_and_how_fast_it_goes() {
        let mut snapshot = sample::connecting();
        snapshot.wall_elapsed = Some(snapshot.elapsed / 120);
        let line = progress_line(&snapshot, Duration::from_secs(1));
        assert!(line.contains(" virtual ×120  connect "), "{line}");
    }

    #[test]
    fn a_load_that_is_paused_or_played_faster_says_so() {
        let line = |phase: fn() -> Snapshot, paused, rate_percent| {
            let tempo = crate::stats::Tempo { paused, rate_percent };
            progress_line(&Snapshot { tempo, ..phase() }, Duration::from_secs(1))
        };
        assert!(line(sample::measuring, true, 100).contains("  paused    "));
        assert!(line(sample::warming_up, true, 110).contains("  paused    rate 110%   "));
        assert!(line(sample::measuring, false, 91).contains("  measure   rate 91%   "));
        assert!(line(sample::draining, false, 91).contains("  drain "), "nothing is played any more");
    }

    #[test]
    fn percentiles_of_a_longer_interval_are_marked_as_bounds() {
        let snapshot = sample::measuring();
        assert!(!progress_line(&snapshot, Duration::ZERO).contains('≤'));
        assert!(!progress_line(&snapshot, Duration::from_secs(1)).contains('≤'));
        assert!(progress_line(&snapshot, Duration::from_secs(10)).contains("p99 ≤"));
        assert!(progress_line(&snapshot, Duration::MAX).contains("p99 ≤"));
    }

    #[test]
    fn a_start_that_is_refused_has_not_failed() {
        let mut snapshot = sample::measuring();
        let mut second = *snapshot.series.last().unwrap();
        (second.succeeded, second.other, second.classes) = (90, 10, [0; Class::ALL.len()]);
        second.classes[Class::Refused as usize] = 8;
        snapshot.series.push(second);
        let line = progress_line(&snapshot, Duration::from_secs(1));
        assert!(line.contains("failed 2.0%   refused 8.0%"), "{line}");
    }

    #[test]
    fn an_event_cannot_write_on_the_terminal() {
        let event = Event { at_us: 12_000_000, text: "device a\x1b[2J lost".to_owned() };
        assert_eq!(event_line(&event), "00:12  * device a�[2J lost");
    }

    #[test]
    fn rates_are_rounded_to_a_tenth() {
        let second = *sample::measuring().series.last().unwrap();
        for (count, seconds, shown) in
            [(0, 1, "0.0"), (997, 10, "99.7"), (1, 3, "0.3"), (20_000, 10, "2 000.0")]
        {
            assert_eq!(rate(count, &vec![second; seconds]), shown);
        }
    }
}
