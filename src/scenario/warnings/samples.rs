//! Conditions about something that the scenario never lets happen: a latency of executions that nobody starts,
//! a number above zero of what nothing brings about.
//!
//! Without samples a condition fails, so these are sure to. They are doubts all the same, as other conditions
//! are that cannot hold: the scenario can be run and says what it says, and what is missing may be what a
//! flag has just taken away.

use super::super::{
    Aggregate, Comparison, Group, Metric, OutcomeKind, Scenario, Target, Threshold, TimelineAction,
    TimelineEvent, Via, WhenBusy,
};
use crate::protocol::ErrorKind;
use crate::stats::{Class, Span};

/// Why the condition cannot hold, or cannot be broken either.
pub(super) fn never(threshold: &Threshold, scenario: &Scenario) -> Option<String> {
    let text = &threshold.text;
    let reasons = [
        unreached(threshold, scenario),
        unaccepted(threshold, scenario),
        unwaited(threshold, scenario),
        unproduced(threshold, scenario),
    ];
    if let Some(reason) = reasons.into_iter().flatten().next() {
        return Some(format!("`{text}` cannot hold: {reason}"));
    }
    no_such_error(threshold, scenario).map(|reason| format!("`{text}` looks at nothing: {reason}"))
}

/// The groups that a condition looks at, by its labels.
fn groups<'s>(threshold: &Threshold, scenario: &'s Scenario) -> impl Iterator<Item = &'s Group> {
    let (group, workload) = (threshold.group, threshold.workload);
    let reached = move |index: usize| {
        let mut workloads = scenario.workloads.iter().enumerate();
        workloads.any(|(number, of)| workload.is_none_or(|only| only == number) && of.groups.contains(&index))
    };
    let labelled =
        scenario.groups.iter().enumerate().filter(move |(index, _)| group.is_none_or(|own| own == *index));
    labelled.filter(move |(index, _)| reached(*index)).map(|(_, group)| group)
}

/// Whether it holds only if there is something: percentiles need a sample, and so does a lower bound.
fn needs_some(threshold: &Threshold) -> bool {
    match threshold.aggregate {
        Aggregate::Rate | Aggregate::Count => match threshold.comparison {
            Comparison::Greater => true,
            Comparison::GreaterOrEqual | Comparison::Equal => threshold.limit > 0.0,
            Comparison::NotEqual => threshold.limit == 0.0,
            Comparison::Less | Comparison::LessOrEqual => false,
        },
        Aggregate::Percentile(_) | Aggregate::Min | Aggregate::Max | Aggregate::Avg => true,
    }
}

/// Labels that no execution has.
fn unreached(threshold: &Threshold, scenario: &Scenario) -> Option<String> {
    let of_connections = matches!(threshold.metric, Metric::Span(Span::Connect) | Metric::Reconnects);
    if of_connections || !needs_some(threshold) || groups(threshold, scenario).next().is_some() {
        return None;
    }
    let group = &scenario.groups[threshold.group?].name;
    Some(match threshold.workload {
        Some(workload) => {
            let workload = &scenario.workloads[workload].name;
            format!("workload `{workload}` does not go to group `{group}`")
        }
        None => format!("no workload goes to group `{group}`"),
    })
}

/// The first sign of life of devices that give none.
fn unaccepted(threshold: &Threshold, scenario: &Scenario) -> Option<String> {
    let silent = |group: &Group| group.behavior.accept_delay.is_none();
    (threshold.metric == Metric::Span(Span::Accept) && groups(threshold, scenario).all(silent)).then(|| {
        "no device that it looks at sends IN_PROGRESS; give `behavior.accept_delay` (0s will do)".to_owned()
    })
}

/// The wait for a connection of starts that need none.
fn unwaited(threshold: &Threshold, scenario: &Scenario) -> Option<String> {
    (threshold.metric == Metric::Span(Span::StartWait) && scenario.driver.via == Via::Direct)
        .then(|| "with `via: direct` no start waits for a connection; look at `start`".to_owned())
}

/// Ends and findings that the behaviour of the devices does not lead to.
fn unproduced(threshold: &Threshold, scenario: &Scenario) -> Option<String> {
    if !needs_some(threshold) {
        return None;
    }
    let planned = |kind: OutcomeKind| {
        groups(threshold, scenario).any(|group| {
            group
                .behavior
                .outcomes
                .iter()
                .any(|outcome| outcome.kind == kind && outcome.share.fraction() > 0.0)
        })
    };
    let busy =
        || groups(threshold, scenario).any(|group| group.behavior.manners.when_busy == WhenBusy::Reject);
    match threshold.metric {
        Metric::Class(Class::Failed) if !planned(OutcomeKind::Failed) => {
            Some("no device fails by plan; give `behavior.outcomes.failed`".to_owned())
        }
        Metric::Class(Class::Rejected) if !planned(OutcomeKind::Rejected) && !busy() => {
            Some("no device rejects by plan; give `behavior.outcomes.rejected`".to_owned())
        }
        Metric::Class(Class::TimedOutDevice) if !planned(OutcomeKind::TimedOut) => {
            Some("no device times out by itself; give `behavior.outcomes.timed_out`".to_owned())
        }
        Metric::Reconnects if !breaks_connections(threshold, scenario) => Some(
            "nothing breaks a connection; give `connect.drops`, or a disconnect in `timeline`".to_owned(),
        ),
        _ => None,
    }
}

/// Whether connections can break: by plan, or because the target is not ours.
fn breaks_connections(threshold: &Threshold, scenario: &Scenario) -> bool {
    let looks_at = |index: usize| threshold.group.is_none_or(|own| own == index);
    let by_plan = |event: &TimelineEvent| match event.action {
        TimelineAction::BackendRestart | TimelineAction::BackendStall => true,
        TimelineAction::Disconnect => event.groups.iter().any(|group| looks_at(*group)),
        TimelineAction::Silence | TimelineAction::Slow { .. } => false,
    };
    let mut dropping = scenario.groups.iter().enumerate().filter(|(index, _)| looks_at(*index));
    scenario.target.embedded().is_none()
        || scenario.timeline.iter().any(by_plan)
        || dropping.any(|(_, group)| group.connect.drops.is_some())
}

/// An error that the embedded backend does not know; another target may have errors of its own.
fn no_such_error(threshold: &Threshold, scenario: &Scenario) -> Option<String> {
    let error = threshold.error.as_deref()?;
    let known = || ErrorKind::ALL.into_iter().map(ErrorKind::name).chain(["Unreachable"]);
    if !matches!(scenario.target, Target::Embedded(_)) || known().any(|name| name == error) {
        return None;
    }
    let names: Vec<String> = known().map(|name| format!("`{name}`")).collect();
    Some(format!("the embedded backend has no error `{error}`; it has {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Variables, parse, warnings};

    /// What is said about this condition, where group `a` is reached by `w` and group `b` by nobody.
    fn said(behavior: &str, condition: &str) -> Vec<String> {
        let text = format!(
            "version: 1\nname: x\ngroups:\n  a: {{ behavior: {behavior} }}\n  b: {{ behavior: {{ delay: 1ms }} }}\nworkloads:\n  \
             w: {{ command: {{ name: c }}, groups: [a], load: {{ once: {{ within: 1s }} }} }}\nthresholds: [{{ expect: \
             \"{condition}\" }}, {{ expect: rate(succeeded) >= 1% }}, {{ expect: \"rate(succeeded{{group=b}}) <= 100%\" }}]\n"
        );
        let scenario =
            parse("x.yaml", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        warnings(&scenario).into_iter().filter(|warning| !warning.contains("looks only at")).collect()
    }

    #[test]
    fn conditions_without_samples_are_doubts() {
        let plain = "{ delay: 1ms }";
        for (condition, reason) in [
            ("p99(latency{group=b}) < 1s", "cannot hold: no workload goes to group `b`"),
            ("count(started{group=b,workload=w}) > 0", "cannot hold: workload `w` does not go to group `b`"),
            ("p50(accept) < 1s", "cannot hold: no device that it looks at sends IN_PROGRESS"),
            ("count(failed) >= 1", "cannot hold: no device fails by plan"),
            ("rate(rejected) == 5%", "cannot hold: no device rejects by plan"),
            ("count(timed_out_device) != 0", "cannot hold: no device times out by itself"),
            ("count(reconnects) > 3", "cannot hold: nothing breaks a connection"),
            (
                "count(refused{error=Throttling}) == 0",
                "looks at nothing: the embedded backend has no error `Throttling`",
            ),
        ] {
            let said = said(plain, condition);
            assert!(said.len() == 1 && said[0].contains(reason), "{condition}: {said:?}");
        }
        for condition in [
            "count(failed) == 0",
            "count(reconnects) <= 3",
            "count(lost{group=b}) == 0",
            "max(connect{group=b}) < 1s",
            "count(refused{error=ThrottlingException}) == 0",
        ] {
            assert_eq!(said(plain, condition), Vec::<String>::new(), "{condition}");
        }
        let lively =
            "{ delay: 1ms, accept_delay: 1ms, when_busy: reject, outcomes: { failed: 1%, timed_out: 1% } }";
        for condition in
            ["p50(accept) < 1s", "count(failed) >= 1", "count(rejected) > 0", "rate(timed_out_device) > 0%"]
        {
            assert_eq!(said(lively, condition), Vec::<String>::new(), "{condition}");
        }
    }
}
