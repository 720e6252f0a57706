//! Rollouts: how far they came, how near they were to being stopped, and who was left behind.

use super::Page;
use crate::report::RunReport;
use crate::report::words::{printable, share};
use crate::stats::{BatchProgress, RolloutProgress, RolloutState};
use crate::units::{Rate, human_count, human_micros};

/// The first few show what kind they are; a thousand are in the result.
const STUCK_SHOWN: usize = 5;

pub(super) fn rollouts(page: &mut Page, report: &RunReport) {
    for rollout in &report.snapshot.rollouts {
        let name = report.snapshot.shape.workloads.get(rollout.workload).map_or("", String::as_str);
        let summary = summary(page, name, rollout);
        page.section("ROLLOUT", &summary);
        let named = rollout.batches.iter().filter(|batch| !batch.name.is_empty());
        for batch in named {
            page.section(&format!("  {}", printable(&batch.name)), &batch_parts(batch));
        }
        page.section("  ended", &ended(rollout));
        stuck(page, report, rollout);
    }
}

fn summary(page: &Page, name: &str, rollout: &RolloutProgress) -> Vec<String> {
    let state = match (rollout.state, &rollout.reason) {
        (RolloutState::Complete, _) => "complete".to_owned(),
        (RolloutState::GaveUp, Some(reason)) => page.paint.warning(&format!("gave up {reason}")),
        (RolloutState::Aborted, Some(reason)) => page.paint.bad(&format!("aborted: {}", printable(reason))),
        (state, _) => page.paint.warning(state.name()),
    };
    let counts = &rollout.counts;
    let mut parts = vec![
        format!("{} {state}", printable(name)),
        format!("told {} of {}", human_count(counts.notified), human_count(rollout.devices)),
        format!(
            "succeeded {} ({})",
            human_count(counts.good_devices()),
            share(counts.good_devices(), rollout.devices)
        ),
    ];
    if counts.late_successes > 0 {
        parts.push(format!("of these late {}", human_count(counts.late_successes)));
    }
    parts.push(format!("retries {}", human_count(counts.retries)));
    parts.push(format!("rate {}", rates(rollout)));
    parts
}

/// `50/min` or `50/min to 1000/min in 5 steps`.
fn rates(rollout: &RolloutProgress) -> String {
    let spelled = |per_second: f64| Rate::from_per_second(per_second).to_string();
    let first = rollout.rates.first().map_or(0.0, |step| step.per_second);
    match rollout.rates.len() {
        0 | 1 => spelled(first),
        steps => format!("{} to {} in {} steps", spelled(first), spelled(rollout.rate()), steps - 1),
    }
}

fn batch_parts(batch: &BatchProgress) -> Vec<String> {
    let mut parts = vec![format!(
        "{} of {} devices succeeded",
        human_count(batch.counts.good_devices()),
        human_count(batch.devices)
    )];
    match batch.begun_us {
        Some(at_us) => parts.push(format!("begun {} into the load", human_micros(at_us))),
        None => parts.push("not begun".to_owned()),
    }
    if let Some(at_us) = batch.gate_us {
        parts.push(format!("gate open {} into the load", human_micros(at_us)));
    }
    parts
}

/// Ends against the rules that stop it.
fn ended(rollout: &RolloutProgress) -> Vec<String> {
    let counts = &rollout.counts;
    let mut parts = vec![format!("{} executions", human_count(counts.executed()))];
    for (name, count) in
        [("failed", counts.failed), ("rejected", counts.rejected), ("timed out", counts.timed_out)]
    {
        if count > 0 {
            parts.push(format!("{name} {} ({})", human_count(count), share(count, counts.executed())));
        }
    }
    for gauge in &rollout.gauges {
        let over = (gauge.over * 1e6).round() / 1e4;
        parts.push(format!("abort over {over}% {}", gauge.status.replace('_', " ")));
    }
    parts
}

fn stuck(page: &mut Page, report: &RunReport, rollout: &RolloutProgress) {
    if rollout.stuck() == 0 {
        return;
    }
    let listed = report.snapshot.stuck.iter().filter(|device| device.workload == rollout.workload);
    let mut parts = vec![page.paint.warning(&format!("{} devices", human_count(rollout.stuck())))];
    parts.extend(
        listed
            .take(STUCK_SHOWN)
            .map(|one| format!("{} {}", printable(&one.device), one.last.replace('_', " "))),
    );
    if rollout.stuck() > STUCK_SHOWN as u64 {
        parts.push("more in the JSON result".to_owned());
    }
    page.section("  stuck", &parts);
}
