use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::scenario::{Variables, parse};
use crate::stats::{CpuUse, Finding, Outcome, Part, Series, Statistics, Tempo};
use crate::units::MICROS_PER_SECOND;

// Indices of the groups and workloads of `scenario`.
const FAST: usize = 0;
const SLOW: usize = 1;
const REBOOT: usize = 0;
const UPDATE: usize = 1;

/// Two groups and two workloads under these lines of YAML.
fn scenario(lines: &str) -> Scenario {
    let text = format!(
        "version: 1\n\
         name: judged\n\
         groups:\n  \
           fast: {{ count: 2, behavior: {{ delay: 1ms }} }}\n  \
           slow: {{ count: 2, behavior: {{ delay: 1ms }} }}\n\
         workloads:\n  \
           reboot: {{ command: {{ name: reboot, timeout: 2s }}, load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, duration: 60s }}] }} }} }}\n  \
           update: {{ command: {{ name: update, timeout: 2s }}, load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, duration: 60s }}] }} }} }}\n\
         {lines}\n"
    );
    parse("judged.yaml", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn with_threshold(expect: &str, settings: &str) -> Scenario {
    scenario(&format!("thresholds: [{{ expect: \"{expect}\"{settings} }}]"))
}

/// Ten seconds into the load, or after it.
fn snapshot(phase: Phase, totals: Statistics) -> Snapshot {
    Snapshot {
        number: 12,
        phase,
        elapsed: Duration::from_secs(12),
        wall_elapsed: None,
        load_begin: Some(Duration::from_secs(2)),
        load_elapsed: Some(Duration::from_secs(10)),
        load_planned: Some(Duration::from_mins(1)),
        planned: 120,
        last_deadline: None,
        shape: Arc::clone(totals.shape()),
        totals: Arc::new(totals),
        groups: Vec::new(),
        series: Series::default(),
        cpu: CpuUse::default(),
        report_gap: Duration::ZERO,
        stopped: false,
        tempo: Tempo::PLANNED,
        steered: false,
        capacity: None,
        faults: std::collections::BTreeMap::default(),
        events: Arc::default(),
        anomalies: Arc::default(),
        reach: Arc::default(),
        rollouts: Vec::new(),
        stuck: Arc::default(),
    }
}

fn empty() -> Statistics {
    Statistics::new(Arc::new(scenario("").shape()))
}

fn decide(counts: &mut Counts, class: Class, times: u64) {
    counts.due += times;
    counts.started += if class.is_started() { times } else { 0 };
    (0..times).for_each(|_| counts.decide(class));
}

/// A run with something of everything:
///
/// | | due | succeeded | failed | refused | timed out by the cloud |
/// | --- | --- | --- | --- | --- | --- |
/// | reboot, fast | 100 | 90 | 4 | 3 | 3, of them 2 late |
/// | reboot, slow | 50 | 40 | 10 | | |
/// | update, fast | 850 | 850 | | | |
/// | update, slow | | | | | |
///
/// Latencies of reboot in fast are 10, 20 … 1,000 µs, in slow 3 ms, failures 9 s, update 2 ms.
fn of_everything() -> Statistics {
    let mut totals = empty();
    let counts = totals.counts_mut(Part::Measured, REBOOT, FAST);
    decide(counts, Class::Succeeded, 90);
    decide(counts, Class::Failed, 4);
    decide(counts, Class::TimedOutCloud, 3);
    counts.due += 3;
    for error in ["ThrottlingException", "Unreachable", "ThrottlingException"] {
        counts.refuse(&error.into());
    }
    (0..2).for_each(|_| counts.find(Finding::Late, true));
    (0..7).for_each(|_| counts.find(Finding::Redelivered, true));
    let counts = totals.counts_mut(Part::Measured, REBOOT, SLOW);
    decide(counts, Class::Succeeded, 40);
    decide(counts, Class::Failed, 10);
    counts.find(Finding::Lost, true);
    counts.find(Finding::Lost, false);
    decide(totals.counts_mut(Part::Measured, UPDATE, FAST), Class::Succeeded, 850);
    for n in 1..=100 {
        totals.record(Span::Latency, REBOOT, FAST, Outcome::Succeeded, n * 10);
    }
    totals.record(Span::Latency, REBOOT, SLOW, Outcome::Succeeded, 3_000);
    totals.record(Span::Latency, UPDATE, FAST, Outcome::Succeeded, 2_000);
    for span in [Span::Latency, Span::StartWait] {
        totals.record(span, REBOOT, FAST, Outcome::Other, 9_000_000);
    }
    totals.record_connect(SLOW, 700);
    totals.reconnects = vec![5, 2];
    totals
}

/// `✓ shown`, `✗ shown margin`, or `–` while it is not judged.
fn line(judged: &Judged) -> String {
    let mark = match judged.passed {
        Some(true) => '✓',
        Some(false) => '✗',
        None => '–',
    };
    let margin = judged.margin.as_deref().map(|margin| format!(" {margin}")).unwrap_or_default();
    format!("{mark} {}{margin}", judged.shown)
}

/// Judges one threshold at the end of a run that left `totals` behind.
fn check(totals: &Statistics, expect: &str, line_expected: &str) {
    let verdict = judge(&with_threshold(expect, ""), &snapshot(Phase::Done, totals.clone()));
    assert_eq!(line(&verdict.thresholds[0]), line_expected, "{expect}");
    assert_eq!(verdict.thresholds[0].text, expect);
}

#[test]
fn every_aggregate_is_judged_and_shown_in_its_own_unit() {
    let totals = of_everything();
    for (expect, line) in [
        ("p50(latency{workload=reboot,group=fast}) <= 500us", "✓ 500µs"),
        ("p99(latency{workload=reboot,group=fast}) <= 989us", "✗ 990µs +1µs over"),
        ("p99.9(latency{workload=reboot,group=fast}) <= 1ms", "✓ 1.0ms"),
        ("min(latency{workload=reboot,group=fast}) >= 11us", "✗ 10µs -1µs under"),
        ("max(latency{workload=reboot,group=fast}) < 900us", "✗ 1.0ms +100µs over"),
        ("avg(latency{workload=reboot,group=fast}) <= 505us", "✓ 505µs"),
        ("rate(succeeded) >= 99%", "✗ 98.00% -1.00 points under"),
        ("rate(failed) <= 1%", "✗ 1.40% +0.40 points over"),
        ("count(succeeded) >= 1200", "✗ 980 -220 under"),
        ("count(failed) <= 2", "✗ 14 +12 over"),
    ] {
        check(&totals, expect, line);
    }
}

#[test]
fn every_comparison_means_what_it_says_at_below_and_above_its_limit() {
    let totals = of_everything();
    for (comparison, [below, at, above]) in [
        ("<", [true, false, false]),
        ("<=", [true, true, false]),
        (">", [false, false, true]),
        (">=", [false, true, true]),
        ("==", [false, true, false]),
        ("!=", [true, false, true]),
    ] {
        for (limit, expected) in [(15, below), (14, at), (13, above)] {
            let expect = format!("count(failed) {comparison} {limit}");
            let verdict = judge(&with_threshold(&expect, ""), &snapshot(Phase::Done, totals.clone()));
            assert_eq!(verdict.thresholds[0].passed, Some(expected), "14 failed, {expect}");
        }
    }
}

#[test]
fn labels_narrow_a_metric_to_its_group_workload_and_error() {
    let totals = of_everything();
    for (expect, line) in [
        ("count(succeeded) > 0", "✓ 980"),
        ("count(succeeded{group=fast}) > 0", "✓ 940"),
        ("count(succeeded{workload=reboot}) > 0", "✓ 130"),
        ("count(succeeded{workload=reboot,group=slow}) > 0", "✓ 40"),
        ("rate(succeeded{workload=reboot,group=slow}) >= 80%", "✓ 80.00%"),
        ("rate(succeeded{group=fast}) >= 98%", "✓ 98.94%"),
        ("count(refused) > 0", "✓ 3"),
        ("count(refused{error=ThrottlingException}) > 0", "✓ 2"),
        ("count(refused{group=slow,error=ThrottlingException}) == 0", "✓ 0"),
        ("count(refused{error=NeverHeardOf}) == 0", "✓ 0"),
        ("rate(refused{workload=reboot,group=fast,error=Unreachable}) <= 1%", "✓ 1.00%"),
        ("max(latency{workload=update}) <= 2001us", "✓ 2.0ms"),
        ("max(latency{group=slow}) <= 4ms", "✓ 3.0ms"),
        ("max(connect{group=slow}) <= 1ms", "✓ 700µs"),
        ("count(reconnects) > 0", "✓ 7"),
        ("count(reconnects{group=slow}) > 0", "✓ 2"),
    ] {
        check(&totals, expect, line);
    }
}

#[test]
fn classes_starts_and_findings_are_counted_each_by_its_name() {
    let totals = of_everything();
    for (expect, line) in [
        ("count(started) == 997", "✓ 997"),
        ("rate(started) >= 99.7%", "✓ 99.70%"),
        ("count(timed_out_cloud) == 3", "✓ 3"),
        ("count(timed_out_device) == 0", "✓ 0"),
        ("count(late) == 2", "✓ 2"),
        ("count(redelivered) == 7", "✓ 7"),
        // Explained or not; `unexplained` is the built-in threshold's business.
        ("count(lost) == 0", "✗ 2 +2 over"),
        ("rate(lost) <= 0.1%", "✗ 0.20% +0.10 points over"),
        ("count(unexplained) == 0", "✗ 1 +1 over"),
        ("count(unexplained{group=fast}) == 0", "✓ 0"),
    ] {
        check(&totals, expect, line);
    }
}

#[test]
fn failures_never_enter_a_success_latency_and_always_the_targets_back_pressure() {
    let totals = of_everything();
    check(&totals, "max(latency) < 4ms", "✓ 3.0ms");
    check(&totals, "max(start_wait) > 8s", "✓ 9.00s");
    for span in Span::ALL.into_iter().filter(|span| *span != Span::Connect) {
        let mut totals = empty();
        totals.record(span, REBOOT, FAST, Outcome::Other, 100);
        let expect = format!("max({}) < 1s", span.name());
        let line = if covered(span).is_some() { "✗ no samples" } else { "✓ 100µs" };
        check(&totals, &expect, line);
    }
}

#[test]
fn no_samples_are_undecided_while_the_run_goes_on_and_fail_at_its_end() {
    for expect in
        ["p99(latency) < 1s", "rate(succeeded) >= 0%", "rate(refused{group=slow}) <= 1%", "min(connect) > 0s"]
    {
        for (phase, expected) in [
            (Phase::Connect, "– no samples"),
            (Phase::Load, "– no samples"),
            (Phase::Drain, "– no samples"),
            (Phase::Settle, "– no samples"),
            (Phase::Done, "✗ no samples"),
        ] {
            let verdict = judge(&with_threshold(expect, ""), &snapshot(phase, empty()));
            assert_eq!(line(&verdict.thresholds[0]), expected, "{expect} in {phase:?}");
            assert_eq!(verdict.thresholds[0].observed, None);
            assert_eq!(verdict.failed(), phase == Phase::Done);
        }
    }
    check(&empty(), "count(failed) == 0", "✓ 0");
}

#[test]
fn a_threshold_waits_for_its_part_of_the_load_but_not_beyond_the_end() {
    for (after, phase, load_elapsed_s, passed) in [
        ("0s", Phase::Connect, None, None),
        ("0s", Phase::Load, Some(0), Some(false)),
        ("10s", Phase::Load, Some(9), None),
        ("10s", Phase::Load, Some(10), Some(false)),
        ("10s", Phase::Drain, Some(9), None),
        ("10s", Phase::Done, Some(9), Some(false)),
        ("10s", Phase::Done, None, Some(false)),
    ] {
        let snapshot = Snapshot {
            load_elapsed: load_elapsed_s.map(Duration::from_secs),
            ..snapshot(phase, of_everything())
        };
        let scenario = with_threshold("count(failed) == 0", &format!(", abort: true, after: {after}"));
        let verdict = judge(&scenario, &snapshot);
        let at = format!("after {after}, {phase:?}, {load_elapsed_s:?} s");
        assert_eq!(verdict.thresholds[0].passed, passed, "{at}");
        assert_eq!(verdict.thresholds[0].margin.is_some(), passed == Some(false), "{at}");
        assert_eq!(verdict.abort().is_some(), passed == Some(false), "{at}");
    }
}

#[test]
fn info_never_fails_a_run_and_only_abort_stops_one() {
    let mut totals = of_everything();
    *totals.counts_mut(Part::Measured, REBOOT, SLOW) = Counts::default();
    for (settings, failed, aborts) in [
        ("", true, false),
        (", abort: true", true, true),
        (", info: true", false, false),
        (", info: true, abort: true", false, false),
    ] {
        let scenario = with_threshold("count(failed) == 0", settings);
        let verdict = judge(&scenario, &snapshot(Phase::Load, totals.clone()));
        assert_eq!(verdict.thresholds[0].passed, Some(false), "{settings}");
        assert_eq!(verdict.failed(), failed, "{settings}");
        assert_eq!(verdict.abort().is_some(), aborts, "{settings}");
        let held = with_threshold("count(failed) > 0", settings);
        let verdict = judge(&held, &snapshot(Phase::Load, totals.clone()));
        assert!(!verdict.failed() && verdict.abort().is_none(), "{settings}");
    }
}

#[test]
fn the_built_in_threshold_comes_last_and_fails_the_run_by_itself() {
    let verdict = judge(&scenario(""), &snapshot(Phase::Done, of_everything()));
    let lines: Vec<_> = verdict.thresholds.iter().map(|t| (t.text.as_str(), line(t))).collect();
    assert_eq!(lines, [("count(unexplained) == 0", "✗ 1 +1 over".to_owned())]);
    assert!(verdict.failed() && verdict.abort().is_none() && verdict.validity.valid);
}

#[test]
fn a_rate_is_over_what_is_decided_during_the_run_and_over_all_that_was_due_at_its_end() {
    // 45 succeeded, 5 refused, 40 open; of 10 the API has not answered yet.
    let mut totals = empty();
    let counts = totals.counts_mut(Part::Measured, REBOOT, FAST);
    decide(counts, Class::Succeeded, 45);
    counts.due += 55;
    counts.started += 40;
    (0..5).for_each(|_| counts.refuse(&"ThrottlingException".into()));
    for (expect, during, done) in [
        ("rate(succeeded) >= 50%", "✓ 90.00%", "✗ 45.00% -5.00 points under"),
        ("rate(refused) <= 5%", "✗ 10.00% +5.00 points over", "✓ 5.00%"),
        // An open one may still be refused or time out at the start: it is in neither part.
        ("rate(started) >= 85%", "✓ 90.00%", "✓ 85.00%"),
        ("count(started) >= 0", "✓ 85", "✓ 85"),
    ] {
        for phase in [Phase::Load, Phase::Drain, Phase::Settle, Phase::Done] {
            let verdict = judge(&with_threshold(expect, ""), &snapshot(phase, totals.clone()));
            let expected = if phase == Phase::Done { done } else { during };
            assert_eq!(line(&verdict.thresholds[0]), expected, "{expect} in {phase:?}");
        }
    }
}

#[test]
fn warm_up_is_not_measured() {
    let mut totals = of_everything();
    let counts = totals.counts_mut(Part::WarmUp, REBOOT, FAST);
    for class in Class::ALL {
        decide(counts, class, 5_000);
    }
    counts.refuse(&"ThrottlingException".into());
    for finding in Finding::ALL {
        counts.find(finding, true);
    }
    for (expect, line) in [
        ("rate(succeeded) >= 98%", "✓ 98.00%"),
        ("count(failed) == 14", "✓ 14"),
        ("count(refused{error=ThrottlingException}) == 2", "✓ 2"),
        ("count(lost) == 2", "✓ 2"),
        ("count(unexplained) == 1", "✓ 1"),
    ] {
        check(&totals, expect, line);
    }
    let validity = judge(&scenario(""), &snapshot(Phase::Done, totals)).validity;
    assert!(validity.valid, "{:?}", validity.reasons);
    assert_eq!(validity.unsent, 0);
}

#[test]
fn warm_up_excuses_slowness_but_no_unexplained_anomaly() {
    for finding in Finding::ALL {
        for part in [Part::WarmUp, Part::Measured] {
            for explained in [true, false] {
                let mut totals = empty();
                let counts = totals.counts_mut(part, UPDATE, SLOW);
                decide(counts, Class::Succeeded, 4);
                counts.find(finding, explained);
                let counted = finding.is_anomaly() && !explained;
                let verdict = judge(&scenario(""), &snapshot(Phase::Done, totals.clone()));
                assert_eq!(verdict.failed(), counted, "{finding:?} {part:?}, explained {explained}");
                let share = if counted { "✗ 25.00% +25.00 points over" } else { "✓ 0.00%" };
                check(&totals, "rate(unexplained) == 0%", share);
            }
        }
    }
}

/// `times` of `of` executions succeeded.
fn succeeded(times: u64, of: u64) -> Statistics {
    let mut totals = empty();
    let counts = totals.counts_mut(Part::Measured, REBOOT, FAST);
    decide(counts, Class::Succeeded, times);
    decide(counts, Class::Failed, of - times);
    totals
}

#[test]
fn a_percentage_is_rounded_towards_failure() {
    for (times, of, expect, line) in [
        // A floor asks for more than it shows, a ceiling for less.
        (989_996, 1_000_000, "rate(succeeded) >= 99%", "✗ 98.99% -0.01 points under"),
        (989_999, 1_000_000, "rate(succeeded) > 99%", "✗ 98.99% -0.01 points under"),
        (10_004, 1_000_000, "rate(succeeded) <= 1%", "✗ 1.01% +0.01 points over"),
        (10_001, 1_000_000, "rate(succeeded) < 1%", "✗ 1.01% +0.01 points over"),
        (1, 1_000_000, "rate(succeeded) == 0%", "✗ 0.01% +0.01 points over"),
        (999_999, 1_000_000, "rate(succeeded) == 100%", "✗ 99.99% -0.01 points under"),
        // What two decimals can say is said exactly, whatever binary fractions make of it.
        (57, 100, "rate(succeeded) >= 57%", "✓ 57.00%"),
        (69, 100, "rate(succeeded) <= 69%", "✓ 69.00%"),
        (999, 1_000, "rate(succeeded) >= 99.9%", "✓ 99.90%"),
        (7, 10_000, "rate(succeeded) == 0.07%", "✓ 0.07%"),
        (996, 1_000, "rate(succeeded) >= 99.9%", "✗ 99.60% -0.30 points under"),
        (0, 100, "rate(succeeded) <= 1%", "✓ 0.00%"),
        (100, 100, "rate(succeeded) <= 100%", "✓ 100.00%"),
        // At a limit that excludes itself there is nothing to be over or under by.
        (99, 100, "rate(succeeded) > 99%", "✗ 99.00% exactly the limit"),
        (99, 100, "rate(succeeded) != 99%", "✗ 99.00% exactly the limit"),
    ] {
        check(&succeeded(times, of), expect, line);
    }
}

#[test]
fn a_margin_says_how_far_and_to_which_side() {
    let mut totals = of_everything();
    totals.record(Span::Overhead, REBOOT, FAST, Outcome::Succeeded, 1_500);
    for (expect, line) in [
        ("max(overhead) < 1ms", "✗ 1.5ms +500µs over"),
        ("max(overhead) > 1m", "✗ 1.5ms -1m00s under"),
        ("max(overhead) < 1500us", "✗ 1.5ms exactly the limit"),
        ("count(started) == 1000", "✗ 997 -3 under"),
        ("count(started) != 997", "✗ 997 exactly the limit"),
        ("count(lost) == 0", "✗ 2 +2 over"),
        ("count(succeeded) > 100000", "✗ 980 -99 020 under"),
    ] {
        check(&totals, expect, line);
    }
}

/// A percentage as shown, in hundredths of a point.
fn hundredths(shown: &str) -> u64 {
    shown.trim_end_matches('%').replace('.', "").parse().unwrap()
}

proptest! {
    /// What is printed and the limit as written give the same verdict as the executions themselves.
    #[test]
    fn a_shown_percentage_never_contradicts_its_verdict(
        limit in prop_oneof![Just(0u64), 0u64..=10_000, Just(10_000u64)],
        of in 1u64..2_000_000,
        near in -3i64..=3,
        anywhere in proptest::option::of(0.0..=1.0f64),
    ) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
        let times = match anywhere {
            Some(share) => (share * of as f64) as u64,
            None => (of * limit / 10_000).saturating_add_signed(near).min(of),
        };
        let at_least = times * 10_000 >= limit * of;
        let at_most = times * 10_000 <= limit * of;
        for (comparison, holds) in [(Comparison::GreaterOrEqual, at_least), (Comparison::LessOrEqual, at_most)] {
            let text = format!("{}.{:02}%", limit / 100, limit % 100);
            let threshold = Threshold {
                comparison,
                limit: text.parse::<crate::units::Share>().unwrap().fraction(),
                aggregate: Aggregate::Rate,
                metric: Metric::Class(Class::Succeeded),
                ..unexplained()
            };
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let value = times as f64 / of as f64;
            prop_assert_eq!(super::holds(comparison, value, threshold.limit), holds, "{} of {}, {}", times, of, text);
            let shown = hundredths(&show(&threshold, value));
            let shown_holds = if comparison == Comparison::LessOrEqual { shown <= limit } else { shown >= limit };
            prop_assert_eq!(shown_holds, holds, "{} of {}, {}", times, of, text);
        }
    }
}

#[test]
fn the_lag_limit_follows_the_tightest_latency_bound() {
    for (lines, limit_us, set) in [
        ("", 50_000, false),
        ("thresholds: [{ expect: p99(latency) < 1s }]", 50_000, false),
        ("thresholds: [{ expect: p99(latency) < 500ms }]", 50_000, false),
        ("thresholds: [{ expect: p99(latency) < 300ms }]", 30_000, false),
        ("thresholds: [{ expect: p99(latency) <= 300ms }]", 30_000, false),
        ("thresholds: [{ expect: p99(latency) < 300ms }, { expect: p50(latency) < 90ms }]", 9_000, false),
        ("thresholds: [{ expect: 'p99(latency{group=slow}) < 80ms' }]", 8_000, false),
        ("thresholds: [{ expect: p99(latency) < 50ms }]", 5_000, false),
        ("thresholds: [{ expect: p99(latency) < 1ms }]", 5_000, false),
        // Neither other spans nor a floor bound what the operator feels.
        ("thresholds: [{ expect: p99(overhead) < 80ms }]", 50_000, false),
        ("thresholds: [{ expect: p99(latency) > 80ms }]", 50_000, false),
        ("thresholds: [{ expect: p99(latency) >= 80ms }]", 50_000, false),
        ("validity: { max_lag: 200ms }", 200_000, true),
        ("validity: { max_lag: 5ms }", 5_000, true),
        ("validity: { max_lag: 200ms }\nthresholds: [{ expect: p99(latency) < 80ms }]", 200_000, true),
    ] {
        let scenario = scenario(lines);
        assert_eq!(max_lag_us(&scenario), (limit_us, set), "{lines}");
        let validity = judge(&scenario, &snapshot(Phase::Load, empty())).validity;
        assert_eq!((validity.max_lag_us, validity.max_lag_set), (limit_us, set), "{lines}");
    }
}

/// Why a run with the default limit is VOID after `change`.
fn reasons(change: impl FnOnce(&mut Snapshot, &mut Statistics), lines: &str) -> Vec<String> {
    let mut totals = empty();
    let mut snapshot = snapshot(Phase::Done, empty());
    change(&mut snapshot, &mut totals);
    snapshot.totals = Arc::new(totals);
    let validity = judge(&scenario(lines), &snapshot).validity;
    assert_eq!(validity.valid, validity.reasons.is_empty());
    validity.reasons
}

#[test]
fn each_fault_of_the_generator_voids_the_run_with_figure_and_limit() {
    type Change = fn(&mut Snapshot, &mut Statistics);
    let rows: [(&str, Change, &[&str]); 13] = [
        ("nothing", |_, _| {}, &[]),
        (
            "schedule lag",
            |_, totals| totals.record(Span::ScheduleLag, UPDATE, SLOW, Outcome::Succeeded, 61_000),
            &["p99 of schedule_lag is 61.0ms, over the limit of 50.0ms"],
        ),
        (
            "lag of failures, too",
            |_, totals| totals.record(Span::DeviceLag, REBOOT, FAST, Outcome::Other, 2_000_000),
            &["p99 of device_lag is 2.00s, over the limit of 50.0ms"],
        ),
        (
            "lag within the limit",
            |_, totals| {
                totals.record(Span::ScheduleLag, REBOOT, FAST, Outcome::Succeeded, 49_900);
                totals.record(Span::DeviceLag, REBOOT, FAST, Outcome::Succeeded, 49_900);
            },
            &[],
        ),
        (
            "one in a hundred late",
            |_, totals| {
                (0..99).for_each(|_| totals.record(Span::DeviceLag, REBOOT, FAST, Outcome::Succeeded, 100));
                totals.record(Span::DeviceLag, REBOOT, SLOW, Outcome::Succeeded, 9_000_000);
            },
            &[],
        ),
        (
            "two in a hundred late",
            |_, totals| {
                (0..98).for_each(|_| totals.record(Span::DeviceLag, REBOOT, FAST, Outcome::Succeeded, 100));
                (0..2).for_each(|_| totals.record(Span::DeviceLag, REBOOT, SLOW, Outcome::Other, 9_000_000));
            },
            &["p99 of device_lag is 9.00s, over the limit of 50.0ms"],
        ),
        (
            "0.1 % unsent",
            |_, totals| {
                decide(totals.counts_mut(Part::Measured, REBOOT, FAST), Class::Succeeded, 9_990);
                decide(totals.counts_mut(Part::Measured, UPDATE, SLOW), Class::Unsent, 10);
            },
            &[],
        ),
        (
            "more than 0.1 % unsent",
            |_, totals| {
                decide(totals.counts_mut(Part::Measured, REBOOT, FAST), Class::Succeeded, 9_990);
                decide(totals.counts_mut(Part::Measured, UPDATE, SLOW), Class::Unsent, 11);
            },
            &["11 of 10 001 due starts were never picked up, over the limit of 0.1%"],
        ),
        (
            "unsent during warm-up",
            |_, totals| decide(totals.counts_mut(Part::WarmUp, REBOOT, FAST), Class::Unsent, 500),
            &[],
        ),
        (
            "unsent because somebody stopped the run",
            |snapshot, totals| {
                snapshot.stopped = true;
                decide(totals.counts_mut(Part::Measured, REBOOT, FAST), Class::Unsent, 500);
            },
            &[],
        ),
        ("a report 2 s late", |snapshot, _| snapshot.report_gap = Duration::from_secs(2), &[]),
        (
            "a report more than 2 s late",
            |snapshot, _| snapshot.report_gap = Duration::from_millis(2_400),
            &["a generator thread gave no report for 2.4s, over the limit of 2s"],
        ),
        (
            "everything at once, in a stopped run",
            |snapshot, totals| {
                snapshot.stopped = true;
                snapshot.report_gap = Duration::from_secs(7);
                totals.record(Span::ScheduleLag, REBOOT, FAST, Outcome::Succeeded, 61_000);
                totals.record(Span::DeviceLag, REBOOT, FAST, Outcome::Succeeded, 61_000);
            },
            &[
                "p99 of schedule_lag is 61.0ms, over the limit of 50.0ms",
                "p99 of device_lag is 61.0ms, over the limit of 50.0ms",
                "a generator thread gave no report for 7.0s, over the limit of 2s",
            ],
        ),
    ];
    for (name, change, expected) in rows {
        assert_eq!(reasons(change, ""), expected, "{name}");
    }
}

#[test]
fn another_lag_limit_is_named_where_it_is_judged() {
    let lag = |us| {
        move |_: &mut _, totals: &mut Statistics| {
            totals.record(Span::ScheduleLag, REBOOT, FAST, Outcome::Succeeded, us);
        }
    };
    let tight = "validity: { max_lag: 6ms }";
    assert_eq!(reasons(lag(7_000), tight), ["p99 of schedule_lag is 7.0ms, over the limit of 6.0ms"]);
    assert_eq!(reasons(lag(100_000), "validity: { max_lag: 200ms }"), [""; 0]);
    let bound = "thresholds: [{ expect: p99(latency) < 80ms }]";
    assert_eq!(reasons(lag(9_000), bound), ["p99 of schedule_lag is 9.0ms, over the limit of 8.0ms"]);
}

#[test]
fn nothing_that_the_target_does_voids_a_run() {
    let voids = |snapshot: &Snapshot| judge(&scenario(""), snapshot).validity.reasons;
    let half_a_day_us = 12 * 3_600 * MICROS_PER_SECOND;
    let mut totals = empty();
    for span in
        Span::ALL.into_iter().filter(|s| !matches!(s, Span::ScheduleLag | Span::DeviceLag | Span::Connect))
    {
        for outcome in Outcome::ALL {
            totals.record(span, REBOOT, FAST, outcome, half_a_day_us);
        }
    }
    totals.record_connect(FAST, half_a_day_us);
    totals.recent_latency.record(half_a_day_us);
    let counts = totals.counts_mut(Part::Measured, REBOOT, FAST);
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Unsent) {
        decide(counts, class, 1_000);
    }
    // Due and never decided: the target stalls.
    counts.due += 1_000_000;
    for finding in Finding::ALL {
        (0..1_000).for_each(|_| counts.find(finding, false));
    }
    totals.reconnects[FAST] = 1_000_000;
    totals.drop_from("messages to slow clients", 1_000_000);
    for phase in [Phase::Connect, Phase::Load, Phase::Drain, Phase::Settle, Phase::Done] {
        let mut snapshot = snapshot(phase, totals.clone());
        snapshot.cpu.backend = 64.0;
        assert_eq!(voids(&snapshot), [""; 0], "{phase:?}");
    }
}
