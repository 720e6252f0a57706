//! How executions, rollouts and searches ended.

use askama::Template;

use super::{Fact, shown};
use crate::report::html::classes::{self, ClassRow};
use crate::report::result::{AbortResult, Accounting, CapacityResult, RunResult};
use crate::report::words::{cpu, share, span};
use crate::stats::Finding;
use crate::units::{Rate, human_count, human_micros, human_rate};

/// Error names shown; a backend can make up as many as it likes.
const MOST_ERRORS: usize = 20;
/// Stuck devices listed; a thousand are in the JSON result.
const MOST_STUCK: usize = 100;
/// Steps of a search listed; one has some twenty.
const MOST_STEPS: usize = 100;

#[derive(Template)]
#[template(path = "executions.html")]
pub(super) struct Executions {
    due: String,
    started: String,
    open: String,
    classes: Vec<ClassRow>,
    refused: Vec<Fact>,
    warm_up: String,
    findings: Vec<Fact>,
    noted: Vec<Fact>,
    faults: Vec<Fact>,
}

impl Executions {
    pub fn of(result: &RunResult) -> Self {
        let (measured, warm_up) = (&result.totals.measured, &result.totals.warm_up);
        let open = measured.due.saturating_sub(measured.decided);
        let counted = |(name, count): (&String, &u64)| Fact::new(&shown(name), human_count(*count));
        let mut refused: Vec<_> = measured.refused_by_error.iter().collect();
        refused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let reconnects: u64 = result.groups.values().map(|group| group.reconnects).sum();
        let mut noted: Vec<Fact> = result.noted.iter().map(counted).collect();
        if reconnects > 0 {
            noted.push(Fact::new("reconnects", human_count(reconnects)));
        }
        Self {
            due: human_count(measured.due),
            started: human_count(measured.started),
            open: if open > 0 { human_count(open) } else { String::new() },
            classes: classes::rows(measured),
            refused: refused.into_iter().take(MOST_ERRORS).map(counted).collect(),
            warm_up: if warm_up.due > 0 { human_count(warm_up.due) } else { String::new() },
            findings: findings([measured, warm_up]),
            noted,
            faults: result.faults.iter().map(counted).collect(),
        }
    }
}

/// What the ledger found, warm-up included: an execution lost then is lost all the same.
fn findings(parts: [&Accounting; 2]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for finding in Finding::ALL {
        let found = parts.iter().filter_map(|part| part.findings.get(finding.name()));
        let (mut explained, mut unexplained) = (0, 0);
        found.for_each(|count| {
            explained += count.explained;
            unexplained += count.unexplained;
        });
        if explained + unexplained == 0 && finding != Finding::Lost {
            continue;
        }
        let mut value = human_count(explained + unexplained);
        if finding.is_anomaly() && explained > 0 {
            value = format!("{value} ({} explained)", human_count(explained));
        }
        facts.push(Fact::new(finding.name(), value));
    }
    facts
}

struct BatchRow {
    name: String,
    state: String,
    devices: String,
    succeeded: String,
    share: String,
    begun: String,
    gate: String,
}

/// A rule that stops a rollout, as a bar 1,000 wide that ends at twice its limit.
struct AbortRow {
    words: String,
    share: String,
    limit: String,
    width: u64,
    over: bool,
}

struct StuckRow {
    device: String,
    last: String,
    attempts: u64,
}

#[derive(Template)]
#[template(path = "rollout.html")]
pub(super) struct Rollout {
    name: String,
    state: String,
    reason: String,
    facts: Vec<Fact>,
    batches: Vec<BatchRow>,
    aborts: Vec<AbortRow>,
    stuck: String,
    stuck_rows: Vec<StuckRow>,
    more_stuck: bool,
}

pub(super) fn rollouts(result: &RunResult) -> Vec<Rollout> {
    result.rollouts.iter().map(|(name, rollout)| self::rollout(name, rollout)).collect()
}

fn rollout(name: &str, rollout: &crate::report::result::RolloutResult) -> Rollout {
    let counts = &rollout.counts;
    let of_all = |count: u64| format!("{} ({})", human_count(count), share(count, rollout.devices));
    let mut facts = vec![
        Fact::new("devices", human_count(rollout.devices)),
        Fact::new("told", of_all(counts.notified)),
        Fact::new("succeeded", of_all(counts.devices_succeeded)),
    ];
    let ends = [
        ("of these late", counts.late_successes),
        ("executions failed", counts.failed),
        ("rejected", counts.rejected),
        ("timed out", counts.timed_out),
        ("retries", counts.retries),
    ];
    facts.extend(ends.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| Fact::new(name, human_count(n))));
    let instant = |us: Option<u64>| us.map_or_else(|| "–".to_owned(), human_micros);
    let named = rollout.batches.iter().filter(|batch| !batch.name.is_empty());
    let spelled = |per_second: f64| Rate::from_per_second(per_second).to_string();
    if let (Some(first), Some(last)) = (rollout.rates.first(), rollout.rates.last()) {
        let steps = rollout.rates.len() - 1;
        facts.push(match steps {
            0 => Fact::new("rate", spelled(first.per_second)),
            _ => Fact::new(
                "rate",
                format!("{} to {} in {steps} steps", spelled(first.per_second), spelled(last.per_second)),
            ),
        });
    }
    Rollout {
        name: shown(name),
        state: shown(&rollout.state.replace('_', " ")),
        reason: rollout.reason.as_deref().map(shown).unwrap_or_default(),
        facts,
        batches: named
            .map(|batch| BatchRow {
                name: shown(&batch.name),
                state: shown(&batch.state.replace('_', " ")),
                devices: human_count(batch.devices),
                succeeded: human_count(batch.counts.devices_succeeded),
                share: share(batch.counts.devices_succeeded, batch.devices),
                begun: instant(batch.begun_us),
                gate: instant(batch.gate_us),
            })
            .collect(),
        aborts: rollout.abort_when.iter().map(abort).collect(),
        stuck: match rollout.stuck {
            0 => String::new(),
            1 => "1 device has not succeeded".to_owned(),
            stuck => format!("{} devices have not succeeded", human_count(stuck)),
        },
        stuck_rows: rollout
            .stuck_devices
            .iter()
            .take(MOST_STUCK)
            .map(|one| StuckRow {
                device: shown(&one.device),
                last: shown(&one.last.replace('_', " ")),
                attempts: one.attempts,
            })
            .collect(),
        more_stuck: rollout.stuck > MOST_STUCK as u64,
    }
}

fn abort(rule: &AbortResult) -> AbortRow {
    let seen = rule.share.unwrap_or(0.0);
    // Twice the limit is the whole bar; a limit of nothing is met by anything.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
    let width = (seen / (2.0 * rule.over).max(1e-9) * 1000.0).clamp(0.0, 1000.0) as u64;
    let enough = rule.executed >= rule.min_executed;
    AbortRow {
        words: format!(
            "{} of {} ended {}{}",
            human_count(rule.count),
            human_count(rule.executed),
            shown(&rule.status.replace('_', " ")),
            if enough { String::new() } else { format!(", judged from {}", human_count(rule.min_executed)) }
        ),
        share: share(rule.count, rule.executed),
        limit: format!("{}%", (rule.over * 1e6).round() / 1e4),
        width,
        over: enough && seen > rule.over,
    }
}

struct StepRow {
    state: &'static str,
    mark: &'static str,
    offered: String,
    achieved: String,
    figures: Vec<String>,
    generator: String,
    backend: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "capacity.html")]
pub(super) struct Capacity {
    workload: String,
    sentence: String,
    has_cpu: bool,
    steps: Vec<StepRow>,
    more: usize,
}

pub(super) fn capacity(result: &RunResult) -> Option<Capacity> {
    let capacity: &CapacityResult = result.capacity.as_ref()?;
    let mut steps: Vec<_> = capacity.steps.iter().collect();
    steps.sort_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s).then(a.step.cmp(&b.step)));
    let tenths = |rate: f64| human_rate((rate * 10.0).round() / 10.0);
    let row = |step: &&crate::report::result::CapacityStepResult| {
        let (state, mark) = match step.outcome.as_str() {
            "passed" => ("passed", "✓"),
            "failed" => ("failed", "✗"),
            _ => ("info-failed", "?"),
        };
        let latency = &step.latency_us;
        let figures = [latency.p50, latency.p95, latency.p99, step.p99_us.overhead, step.p99_us.start];
        StepRow {
            state,
            mark,
            offered: tenths(step.offered_per_s),
            achieved: tenths(step.achieved_per_s),
            figures: figures.into_iter().map(span).collect(),
            generator: step.cpu.map(|used| cpu(used.generator)).unwrap_or_default(),
            backend: step.cpu.and_then(|used| used.backend).map(cpu).unwrap_or_default(),
            reason: step.reason.as_deref().map(shown).unwrap_or_default(),
        }
    };
    let unfinished = || "The search did not come to its end.".to_owned();
    Some(Capacity {
        workload: shown(&capacity.workload),
        sentence: capacity.answer.as_ref().map_or_else(unfinished, |answer| shown(&answer.sentence)),
        has_cpu: steps.iter().any(|step| step.cpu.is_some()),
        steps: steps.iter().take(MOST_STEPS).map(row).collect(),
        more: steps.len().saturating_sub(MOST_STEPS),
    })
}
