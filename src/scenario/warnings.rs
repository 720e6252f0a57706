//! What a scenario may say and probably should not.

mod samples;

use super::{
    Aggregate, Behavior, Driver, Group, Load, Manners, Metric, OutcomeKind, Scenario, Threshold, Via,
    WhenBusy, Workload,
};
use crate::dist::Delay;
use crate::stats::{Class, Span};
use crate::units::{Rate, human_count, human_micros, micros};

/// One sentence for each doubt; nothing here is an error.
pub fn warnings(scenario: &Scenario) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(scenario.thresholds.iter().filter_map(|threshold| lonely_latency(threshold, scenario)));
    warnings.extend((0..scenario.groups.len()).filter_map(|index| overloaded(index, scenario)));
    warnings.extend(scenario.groups.iter().filter_map(mostly_away));
    warnings.extend(nothing_measured(scenario));
    warnings.extend(scenario.conditions().filter_map(|threshold| samples::never(threshold, scenario)));
    warnings.extend(scenario.workloads.iter().filter_map(never_faster));
    warnings.extend(idle_connections(&scenario.driver).filter(|_| !scenario.direct_start_waits()));
    warnings
}

/// A latency covers what succeeded. Without a threshold on how much that is, a target that fails
/// fast passes.
fn lonely_latency(threshold: &Threshold, scenario: &Scenario) -> Option<String> {
    let is_latency = matches!(threshold.metric, Metric::Span(Span::Latency | Span::Overhead));
    let covers = |other: &Threshold| {
        other.metric == Metric::Class(Class::Succeeded)
            && other.aggregate == Aggregate::Rate
            && (other.group, other.workload) == (threshold.group, threshold.workload)
            && !other.info
    };
    if !is_latency || threshold.info || scenario.thresholds.iter().any(covers) {
        return None;
    }
    let labels = labels(threshold, scenario);
    Some(format!(
        "`{}` looks only at what succeeded; add e.g. rate(succeeded{labels}) >= 99%, or failures go unseen",
        threshold.text
    ))
}

/// Settings of connections that there are not.
fn idle_connections(driver: &Driver) -> Option<String> {
    let direct = Driver { via: Via::Direct, retries: driver.retries, ..Driver::default() };
    (driver.via == Via::Direct && *driver != direct).then(|| {
        "`driver.connections` and `driver.timeout` do nothing with `via: direct`: its starts need no connection"
            .to_owned()
    })
}

fn labels(threshold: &Threshold, scenario: &Scenario) -> String {
    let group = threshold.group.map(|index| format!("group={}", scenario.groups[index].name));
    let workload = threshold.workload.map(|index| format!("workload={}", scenario.workloads[index].name));
    let labels: Vec<String> = group.into_iter().chain(workload).collect();
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

/// Little's law: arrivals per second × mean seconds in service = executions in work at once. More than
/// all devices can have means a queue that only grows, or requests that are turned away.
fn overloaded(index: usize, scenario: &Scenario) -> Option<String> {
    let group = &scenario.groups[index];
    let rate: f64 = scenario.workloads.iter().map(|workload| peak_share(workload, index, scenario)).sum();
    let mean_us = mean_service_us(&group.behavior, longest_timeout_us(index, scenario));
    let busy = rate * mean_us / 1e6;
    let Manners { max_parallel, when_busy, .. } = group.behavior.manners;
    if busy <= f64::from(group.count) * f64::from(max_parallel) {
        return None;
    }
    let then = match when_busy {
        WhenBusy::Queue => "a queue grows",
        WhenBusy::Reject => "the rest is rejected",
        WhenBusy::Ignore => "the rest is ignored",
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
    let (busy, mean_us) = (busy.ceil() as u64, mean_us.round() as u64);
    let (rate, mean, name) = (Rate::from_per_second(rate), human_micros(mean_us), &group.name);
    let (busy, has) = (human_count(busy), human_count(u64::from(group.count)));
    Some(match max_parallel {
        1 => format!(
            "{rate} × {mean} on average keeps {busy} devices of group `{name}` busy at once, and it has {has}; \
             each treats one execution at a time, so {then}"
        ),
        each => format!(
            "{rate} × {mean} on average keeps {busy} executions at work in group `{name}` at once, and it has \
             {has} devices; each treats {each} at a time, so {then}"
        ),
    })
}

/// The rate at which the devices that a workload reaches would be busy half of their time by plan, and the
/// group that is so first; `None` if nothing occupies them.
pub(super) fn most_at_half<'g>(workload: &super::Workload, groups: &'g [Group]) -> Option<(f64, &'g str)> {
    let reached = || workload.groups.iter().filter_map(|index| groups.get(*index));
    let devices: f64 = reached().map(|group| f64::from(group.count)).sum();
    #[expect(clippy::cast_precision_loss, reason = "at most 12 h")]
    let timeout_us = micros(workload.command.timeout) as f64;
    let most = reached().filter_map(|group| {
        let busy_s = mean_service_us(&group.behavior, timeout_us) / 1e6;
        // Every device is as likely as any other.
        let at_once = f64::from(group.behavior.manners.max_parallel);
        (busy_s > 0.0).then(|| (0.5 * devices * at_once / busy_s, group.name.as_str()))
    });
    most.min_by(|a, b| a.0.total_cmp(&b.0))
}

/// Executions per second that a workload sends to a group at its peak.
fn peak_share(workload: &super::Workload, group: usize, scenario: &Scenario) -> f64 {
    if !workload.groups.contains(&group) {
        return 0.0;
    }
    let devices = |index: usize| f64::from(scenario.groups[index].count);
    let all: f64 = workload.groups.iter().map(|index| devices(*index)).sum();
    workload.load.peak_rate().per_second() * devices(group) / all
}

/// The longest time-out of the workloads that reach a group: until then, and longer, a late answer
/// occupies its device.
#[expect(clippy::cast_precision_loss, reason = "at most 12 h")]
fn longest_timeout_us(group: usize, scenario: &Scenario) -> f64 {
    let reaching = scenario.workloads.iter().filter(|workload| workload.groups.contains(&group));
    reaching.map(|workload| micros(workload.command.timeout) as f64).fold(0.0, f64::max)
}

/// Mean time for which an execution occupies its device.
fn mean_service_us(behavior: &Behavior, timeout_us: f64) -> f64 {
    let accept = behavior.accept_delay.as_ref().map_or(0.0, Delay::mean_us);
    let special: f64 = behavior
        .outcomes
        .iter()
        .map(|outcome| {
            let delay = outcome.delay.as_ref().unwrap_or(&behavior.delay).mean_us();
            outcome.share.fraction()
                * match outcome.kind {
                    OutcomeKind::Succeeded | OutcomeKind::Failed | OutcomeKind::TimedOut => accept + delay,
                    // No IN_PROGRESS before it.
                    OutcomeKind::Rejected => delay,
                    // Frees the device at once.
                    OutcomeKind::NoAnswer => 0.0,
                    // Its delay counts from the time-out.
                    OutcomeKind::Late => timeout_us + delay,
                }
        })
        .sum();
    let shares: f64 = behavior.outcomes.iter().map(|outcome| outcome.share.fraction()).sum();
    special + (1.0 - shares).max(0.0) * (accept + behavior.delay.mean_us())
}

/// A group whose devices spend more time away than connected tests little but their absence.
fn mostly_away(group: &Group) -> Option<String> {
    let drops = group.connect.drops.as_ref()?;
    let (up, away) = (drops.every.as_ref()?.mean_us(), drops.down_for.mean_us());
    if away <= up {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
    let (up, away) = (up.round() as u64, away.round() as u64);
    Some(format!(
        "devices of group `{}` drop after {} on average and stay away for {}: most of them are offline at any time",
        group.name,
        human_micros(up),
        human_micros(away),
    ))
}

/// A rate that grows, and is at its most from the start.
fn never_faster(workload: &Workload) -> Option<String> {
    let Load::Rollout(load) = &workload.load else { return None };
    let growth = load.growth.filter(|growth| growth.max_rate <= load.base_rate)?;
    Some(format!(
        "the rollout of workload `{}` never gets faster: its base_rate, {}, is max_rate already (1000/min, or \
         base_rate if that is more, unless it is given); give a higher max_rate, or leave increase_after out",
        workload.name, growth.max_rate
    ))
}

fn nothing_measured(scenario: &Scenario) -> Option<String> {
    let all_warm_up = scenario.workloads.iter().all(|workload| workload.load.is_all_warm_up());
    all_warm_up
        .then(|| "every stage is warm_up: nothing is measured, and thresholds see no samples".to_owned())
}
