//! What a capacity search says for people: a line for each step, and one at the end that a manager can read.
//! Pure.

use crate::driver::Search;
use crate::scenario::Capacity;
use crate::stats::{CapacityAnswer, CapacityStep, StepOutcome};
use crate::units::{human_micros, human_rate as rate};

/// A backend this busy has a part in what broke.
const BUSY: f64 = 0.5;
/// A share of refused starts that is worth a word.
const REFUSED: f64 = 0.001;

/// What a step was worth.
pub(super) fn judged(step: &CapacityStep) -> String {
    let at = rate(step.rate);
    let latency = step
        .latency_us_p99
        .map_or_else(|| "none succeeded".to_owned(), |us| format!("p99 {}", human_micros(us)));
    match &step.outcome {
        StepOutcome::Passed => format!("capacity: {at} passed, {latency}"),
        StepOutcome::Failed { limit, shown } => format!("capacity: {at} failed, {limit} broke: {shown}"),
        StepOutcome::Unknown { reason } => format!("capacity: {at} unknown, the generator lagged: {reason}"),
    }
}

/// What a search that is over has found.
pub(super) fn answer(search: &Search, steps: &[CapacityStep], settings: &Capacity) -> CapacityAnswer {
    let (holds, broke_at, lagged_at) = (search.passed(), search.failed(), search.lagged());
    let conditions: Vec<&str> = settings.pass.iter().map(|pass| pass.text.as_str()).collect();
    let conditions = conditions.join(", ");
    let at = |rate: f64, passed: bool| {
        let fits = |step: &&CapacityStep| {
            step.rate.total_cmp(&rate).is_eq() && (step.outcome == StepOutcome::Passed) == passed
        };
        steps.iter().rev().find(fits)
    };
    let broken = broke_at.and_then(|rate| at(rate, false));
    let best = holds.and_then(|rate| at(rate, true));
    let broke = broken.map(broke).unwrap_or_default();
    let next_limit = broken.map(|step| next_limit(step, best)).unwrap_or_default();
    let sentence = match (holds, broke_at, lagged_at) {
        (Some(holds), Some(_), None) => {
            format!("holds {} at {conditions}; next limit: {next_limit} ({broke})", rate(holds))
        }
        (Some(holds), None, None) => {
            format!("holds all that was asked, up to {}, at {conditions}", rate(holds))
        }
        (Some(holds), None, Some(lagged)) => {
            format!("≥ {} at {conditions}; above {} the generator was the limit", rate(holds), rate(lagged))
        }
        (Some(holds), Some(_), Some(lagged)) => format!(
            "≥ {} at {conditions}; from {} on the generator was the limit, and further up the target: {next_limit} \
             ({broke})",
            rate(holds),
            rate(lagged)
        ),
        (None, Some(_), _) => format!("does not hold the lowest rate: {broke}; limit: {next_limit}"),
        (None, None, Some(lagged)) => {
            format!("unknown: at {} already the generator was the limit", rate(lagged))
        }
        (None, None, None) => "nothing was measured".to_owned(),
    };
    CapacityAnswer { holds, broke_at, lagged_at, sentence }
}

/// `at 3 490/s p99(latency) < 500ms was 812ms`
fn broke(step: &CapacityStep) -> String {
    match &step.outcome {
        StepOutcome::Failed { limit, shown } => format!("at {} {limit} broke: {shown}", rate(step.rate)),
        StepOutcome::Passed | StepOutcome::Unknown { .. } => String::new(),
    }
}

/// What stands out in a step that broke: refused starts, or the part of the way that has grown most since
/// the best step that passed; and the backend's processor if it is busy.
fn next_limit(broken: &CapacityStep, best: Option<&CapacityStep>) -> String {
    let mut parts = Vec::new();
    let refused = broken.refused_share();
    if let Some((error, _)) = broken.refused.first().filter(|_| refused >= REFUSED) {
        parts.push(format!("starts refused with {error} ({:.1}%)", refused * 100.0));
    }
    if parts.is_empty() {
        let before = best.map(spans);
        let grown = spans(broken).into_iter().enumerate().filter_map(|(n, (name, own, us))| {
            let base = before.map_or(0, |before| before[n].1);
            Some((own.saturating_sub(base), name, us?))
        });
        let most = grown.max_by_key(|(by, _, _)| *by);
        if let Some(own) = devices_own(broken) {
            parts.push(own);
        } else if let Some((_, name, us)) = most {
            parts.push(format!("{name} p99 {}", human_micros(us)));
        }
    }
    if broken.cpu.backend >= BUSY {
        parts.push(format!("backend CPU {:.0}%", broken.cpu.backend * 100.0));
    }
    if parts.is_empty() { "none that stands out".to_owned() } else { parts.join(", ") }
}

/// Below this part of the latency what the target adds is not what broke it.
const TARGET_PART: f64 = 0.1;

/// A latency that broke although the target adds next to nothing: the devices take that long themselves, or
/// queue what they get.
#[expect(clippy::cast_precision_loss, reason = "spans far below 2^53")]
fn devices_own(broken: &CapacityStep) -> Option<String> {
    let StepOutcome::Failed { limit, .. } = &broken.outcome else { return None };
    let (latency, overhead) = (broken.latency_us_p99?, broken.overhead_us_p99?);
    let is_theirs = limit.contains("(latency") && (overhead as f64) < latency as f64 * TARGET_PART;
    is_theirs.then(|| {
        let (latency, overhead) = (human_micros(latency), human_micros(overhead));
        format!("the devices themselves, whose delays and queues make p99 {latency}, to which the target adds {overhead}")
    })
}

/// The parts of an execution's way through the target: name, own time, and the span as it is shown. A
/// delivery begins with the start, and is only blamed for what comes on top.
fn spans(step: &CapacityStep) -> [(&'static str, u64, Option<u64>); 4] {
    let us = |span: Option<u64>| span.unwrap_or(0);
    let start = us(step.start_us_p99);
    [
        ("wait for a connection", us(step.start_wait_us_p99), step.start_wait_us_p99),
        ("start", start, step.start_us_p99),
        ("delivery", us(step.delivery_us_p99).saturating_sub(start), step.delivery_us_p99),
        ("confirm", us(step.confirm_us_p99), step.confirm_us_p99),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::{Bounds, Worth};
    use crate::scenario::Spacing;
    use crate::stats::CpuUse;
    use crate::units::Rate;

    fn settings() -> Capacity {
        Capacity {
            from: Rate::from_per_second(100.0),
            to: Rate::from_per_second(400.0),
            step: 2.0,
            hold: Duration::from_secs(20),
            settle: Duration::from_secs(5),
            precision: "50%".parse().unwrap(),
            spacing: Spacing::Even,
            pass: Vec::new(),
        }
    }

    fn step(rate: f64, start_ms: u64, outcome: StepOutcome) -> CapacityStep {
        CapacityStep {
            number: 1,
            rate,
            due: 1_000,
            offered: rate,
            achieved: rate,
            latency_us_p50: Some(50_000),
            latency_us_p95: Some(90_000),
            latency_us_p99: Some(100_000 + start_ms * 1_000),
            overhead_us_p99: Some(start_ms * 1_000),
            start_wait_us_p99: Some(100),
            start_us_p99: Some(start_ms * 1_000),
            delivery_us_p99: Some(start_ms * 1_000),
            confirm_us_p99: Some(2_000),
            schedule_lag_us_p99: Some(200),
            device_lag_us_p99: Some(200),
            refused: Vec::new(),
            cpu: CpuUse { backend: 0.98, ..CpuUse::default() },
            limits: Vec::new(),
            outcome,
        }
    }

    /// The sentence of a search whose steps are worth this, by rate.
    fn sentence(worth: impl Fn(f64) -> Worth) -> String {
        let settings = settings();
        let Capacity { from, to, step: factor, precision, .. } = settings;
        let bounds = Bounds { from, to, step: factor, precision: precision.fraction() };
        let mut search = Search::new(bounds);
        let mut steps = Vec::new();
        while let Some(rate) = search.next_rate() {
            let rate = rate.per_second();
            let worth = worth(rate);
            let (limit, shown) = ("p99(latency) < 500ms".to_owned(), "812.0ms".to_owned());
            steps.push(match worth {
                Worth::Passed => step(rate, 10, StepOutcome::Passed),
                Worth::Failed => step(rate, 700, StepOutcome::Failed { limit, shown }),
                Worth::Unknown => step(rate, 10, StepOutcome::Unknown { reason: "lag".to_owned() }),
            });
            search.judged(worth);
        }
        answer(&search, &steps, &settings).sentence
    }

    #[test]
    fn each_end_of_a_search_has_its_sentence() {
        let below = |limit: f64, beyond: Worth| {
            sentence(move |rate| if rate <= limit { Worth::Passed } else { beyond })
        };
        assert_eq!(
            below(210.0, Worth::Failed),
            "holds 200/s at ; next limit: start p99 700.0ms, backend CPU 98% (at 280/s p99(latency) < 500ms broke: \
             812.0ms)"
        );
        assert_eq!(below(1e9, Worth::Failed), "holds all that was asked, up to 400/s, at ");
        assert_eq!(below(210.0, Worth::Unknown), "≥ 200/s at ; above 280/s the generator was the limit");
        assert_eq!(
            below(1.0, Worth::Failed),
            "does not hold the lowest rate: at 100/s p99(latency) < 500ms broke: 812.0ms; limit: start p99 700.0ms, \
             backend CPU 98%"
        );
        assert_eq!(below(1.0, Worth::Unknown), "unknown: at 100/s already the generator was the limit");
        let mixed = sentence(|rate| match rate {
            _ if rate > 300.0 => Worth::Failed,
            _ if rate > 210.0 => Worth::Unknown,
            _ => Worth::Passed,
        });
        assert_eq!(
            mixed,
            "≥ 200/s at ; from 280/s on the generator was the limit, and further up the target: start p99 \
             700.0ms, backend CPU 98% (at 400/s p99(latency) < 500ms broke: 812.0ms)"
        );
    }

    #[test]
    fn devices_that_are_slow_themselves_are_no_limit_of_the_target() {
        let (limit, shown) = ("p99(latency) < 500ms".to_owned(), "812.0ms".to_owned());
        let mut broken = step(200.0, 1, StepOutcome::Failed { limit, shown });
        (broken.latency_us_p99, broken.cpu) = (Some(812_000), CpuUse::default());
        assert!(
            next_limit(&broken, None).starts_with("the devices themselves"),
            "{}",
            next_limit(&broken, None)
        );
        broken.outcome =
            StepOutcome::Failed { limit: "p99(start) < 500us".to_owned(), shown: "1.0ms".to_owned() };
        assert_eq!(next_limit(&broken, None), "confirm p99 2.0ms");
    }

    #[test]
    fn refused_starts_are_named_before_any_span() {
        let mut broken = step(200.0, 700, StepOutcome::Passed);
        broken.refused = vec![("ThrottlingException".to_owned(), 48), ("Other".to_owned(), 2)];
        broken.cpu = CpuUse::default();
        assert_eq!(next_limit(&broken, None), "starts refused with ThrottlingException (5.0%)");
    }
}
