//! Whole runs against the embedded backend: what is reported is what was done.
//!
//! Faults are injected by hooks. A noisy machine must decide nothing: runs come one at a time, time-outs
//! are long, and lags are allowed 500 ms where validity is the question and 20 s where it is not.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use fleetsim::exit::Exit;
use fleetsim::plan::Plan;
use fleetsim::protocol::{ApiError, ErrorKind};
use fleetsim::report::{self, RunReport};
use fleetsim::run::{self, Hooks, Injection, Options};
use fleetsim::scenario::{self, OutcomeKind, Scenario, Variables};
use fleetsim::stats::{Class, Counts, Finding, Outcome, Percentile, Phase, Span};
use tokio::sync::watch;

use crate::ONE_AT_A_TIME;

fn scenario(text: &str) -> Arc<Scenario> {
    scenario_with(text, "20s")
}

fn scenario_with(text: &str, max_lag: &str) -> Arc<Scenario> {
    let text = format!("version: 1\nseed: 7\nvalidity: {{ max_lag: {max_lag} }}\n{text}");
    match scenario::parse("test.yaml", &text, &Variables::default()) {
        Ok(scenario) => Arc::new(scenario),
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

fn run(scenario: &Arc<Scenario>, hooks: Hooks) -> RunReport {
    let _guard = ONE_AT_A_TIME.lock();
    let (sender, _receiver) = watch::channel(None);
    let options = Options { hooks, ..Options::new(Arc::clone(scenario)) };
    let report = run::run(options, &sender);
    // Shown with a failing test: the whole picture, the seed in its first line.
    println!("{}", report::console(&report, report::Style::Plain, 120));
    assert_eq!(report.snapshot.phase, Phase::Done);
    // A thread that died took what it knew with it: that is a bug (70), and nothing then adds up.
    if report.exit != Exit::Software {
        report::totals_add_up(&report.snapshot).unwrap();
    }
    report
}

fn counts(report: &RunReport) -> Counts {
    report.snapshot.totals.measured(None, None)
}

fn largest_us(report: &RunReport, span: Span) -> u64 {
    report.snapshot.totals.merged(span, None, None, None).max().unwrap_or(0)
}

/// Holds the calling thread, as a page fault storm or a stopped process would.
fn hold_thread(duration: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(duration).ok();
}

const FLEET_OF_40: &str = "
name: faults
groups: { g: { count: 40, behavior: { delay: 10ms..50ms } } }
";

fn load(rate: &str, duration: &str, timeout: &str) -> String {
    format!(
        "workloads:\n  w:\n    command: {{ name: c, timeout: {timeout} }}\n    load: {{ arrival_rate: {{ spacing: even, \
         stages: [{{ rate: {rate}, duration: {duration} }}] }} }}\n"
    )
}

#[test]
fn a_plain_run_accounts_for_every_execution_and_passes() {
    let text = "
name: plain
groups:
  with-progress: { count: 20, behavior: { accept_delay: 5ms..20ms, delay: 20ms..60ms } }
  without: { count: 20, behavior: { delay: 20ms..60ms } }
workloads:
  a:
    command: { name: a, timeout: 20s }
    groups: [with-progress]
    load: { arrival_rate: { stages: [{ rate: 60/s, duration: 1s, warm_up: true }, { duration: 2s }] } }
  b:
    command: { name: b, timeout: 20s }
    start_after: 500ms
    select: round_robin
    load: { arrival_rate: { stages: [{ rate: 0/s, ramp_to: 100/s, duration: 2s }] } }
thresholds:
  - expect: p99(latency) < 20s
  - expect: rate(succeeded) == 100%
";
    let report = run(&scenario(text), Hooks::default());
    assert_eq!(report.exit, Exit::Ok);
    let counts = counts(&report);
    assert_eq!((counts.due, counts.class(Class::Succeeded), counts.unexplained()), (220, 220, 0));
    let totals = &report.snapshot.totals;
    for span in Span::ALL {
        let samples = totals.merged(span, None, None, Some(Outcome::Succeeded)).len();
        let expected = match span {
            Span::Connect => 40,
            // Only one group reports IN_PROGRESS.
            Span::Accept => totals.measured(None, Some(0)).due,
            _ => 220,
        };
        assert_eq!(samples, expected, "{}", span.name());
    }
    // The device simulation answers when it planned to: what is measured as its answer is what was configured.
    let answer = totals.merged(Span::Answer, None, Some(1), None);
    let lag = totals.merged(Span::DeviceLag, None, Some(1), None).percentile(Percentile(99.0)).unwrap();
    assert!(answer.min() >= Some(19_900), "seed 7");
    assert!(answer.percentile(Percentile(50.0)) <= Some(60_100 + lag), "seed 7");
}

/// Neither what carries the bytes nor the way of the starts changes what happens to an execution.
#[test]
fn memory_and_direct_starts_account_for_every_execution_like_sockets_and_http() {
    for (transport, via) in [("memory", "http"), ("memory", "direct"), ("tcp", "direct")] {
        let text = format!(
            "{FLEET_OF_40}target: {{ embedded: {{ transport: {transport} }} }}\ndriver: {{ via: {via} }}\n{}",
            load("200/s", "1s", "20s")
        );
        let report = run(&scenario(&text), Hooks::default());
        assert_eq!(report.exit, Exit::Ok, "{transport} {via}");
        let counts = counts(&report);
        assert_eq!(
            (counts.due, counts.class(Class::Succeeded), counts.unexplained()),
            (200, 200, 0),
            "{transport} {via}"
        );
        for span in [Span::StartWait, Span::Start, Span::Delivery, Span::Confirm, Span::Overhead] {
            let samples = report.snapshot.totals.merged(span, None, None, Some(Outcome::Succeeded)).len();
            assert_eq!(samples, 200, "{transport} {via} {}", span.name());
        }
    }
}

#[test]
fn several_shards_share_the_devices_and_lose_nothing() {
    let scenario = scenario(&format!("{FLEET_OF_40}{}", load("200/s", "2s", "20s")));
    let _guard = ONE_AT_A_TIME.lock();
    let (sender, _receiver) = watch::channel(None);
    let options = Options { shards: Some(3), ..Options::new(Arc::clone(&scenario)) };
    let report = run::run(options, &sender);
    println!("{}", report::console(&report, report::Style::Plain, 120));
    report::totals_add_up(&report.snapshot).unwrap();
    assert_eq!(report.exit, Exit::Ok);
    assert_eq!(counts(&report).class(Class::Succeeded), 400);
    assert_eq!(
        report.snapshot.totals.merged(Span::Connect, None, None, None).len(),
        40,
        "each device connected once"
    );
}

#[test]
fn a_stalling_target_raises_latency_and_start_wait_but_never_voids_the_run() {
    let scenario = scenario_with(&format!("{FLEET_OF_40}{}", load("150/s", "6s", "10s")), "500ms");
    let stall = Injection::OnBackend(Box::new(|| hold_thread(Duration::from_secs(2))));
    let during_load = vec![(Duration::from_secs(2), stall)];
    let report = run(&scenario, Hooks { during_load, ..Hooks::default() });
    assert_eq!(report.exit, Exit::Ok);
    assert!(report.verdict.validity.valid, "{:?}", report.verdict.validity.reasons);
    // 150/s for 2 s are 300 starts; 64 connections take one each, the rest wait for most of the stall.
    assert!(largest_us(&report, Span::StartWait) > 1_000_000, "start_wait");
    let latency = largest_us(&report, Span::Latency);
    assert!((1_900_000..6_000_000).contains(&latency), "latency {latency} µs");
    let lag = report.snapshot.totals.merged(Span::ScheduleLag, None, None, None).percentile(Percentile(99.0));
    assert!(lag < Some(500_000), "the generator kept to its plan: {lag:?}");
}

#[test]
fn a_stall_longer_than_the_start_time_out_blames_nobody_falsely() {
    // Ten devices: each has starts without an answer and later ones at once.
    let text = "name: long-stall\ngroups: { g: { count: 10, behavior: { delay: 10ms } } }\n";
    let scenario = scenario_with(&format!("{text}{}", load("80/s", "4s", "60s")), "500ms");
    let stall = Injection::OnBackend(Box::new(|| hold_thread(Duration::from_secs(12))));
    let report =
        run(&scenario, Hooks { during_load: vec![(Duration::from_secs(2), stall)], ..Hooks::default() });
    let counts = counts(&report);
    // A device waits 10 s for a reply: the one update each had under way went without. Nothing else.
    let unconfirmed = counts.finding(Finding::Unconfirmed).total();
    assert!(unconfirmed <= 10, "{:?}", report.snapshot.anomalies);
    assert_eq!(counts.unexplained(), unconfirmed, "{:?}", report.snapshot.anomalies);
    assert_eq!((counts.due, counts.class(Class::Unfinished)), (320, 0));
    assert!(report.verdict.validity.valid, "{:?}", report.verdict.validity.reasons);
}

#[test]
fn a_blocked_generator_thread_voids_the_run() {
    let scenario = scenario_with(&format!("{FLEET_OF_40}{}", load("150/s", "6s", "10s")), "500ms");
    let block = Injection::OnShard(0, Box::new(|| hold_thread(Duration::from_secs(2))));
    let during_load = vec![(Duration::from_secs(2), block)];
    let report = run(&scenario, Hooks { during_load, ..Hooks::default() });
    assert_eq!(report.exit, Exit::Void);
    assert!(!report.verdict.validity.valid);
    // A late start is still sent, and its latency counts from the planned instant.
    assert_eq!(counts(&report).class(Class::Succeeded), 900);
    assert!(largest_us(&report, Span::ScheduleLag) > 1_900_000, "schedule_lag");
    assert!(largest_us(&report, Span::Latency) > 1_900_000, "latency");
    assert!(largest_us(&report, Span::StartWait) < 1_500_000, "the target is not to blame");
}

#[test]
fn a_panicking_generator_thread_is_a_bug_and_says_so() {
    let scenario = scenario(&format!("{FLEET_OF_40}{}", load("50/s", "3s", "2s")));
    let panic = Injection::OnShard(0, Box::new(|| panic!("injected by a test")));
    let report =
        run(&scenario, Hooks { during_load: vec![(Duration::from_secs(1), panic)], ..Hooks::default() });
    assert_eq!(report.exit, Exit::Software);
    assert!(report.problem.as_deref().is_some_and(|text| text.contains("bug")), "{:?}", report.problem);
}

#[test]
fn one_request_dropped_in_a_thousand_is_exactly_that_many_lost() {
    let text = FLEET_OF_40.replace("count: 40", "count: 400");
    let scenario = scenario(&format!("{text}{}", load("600/s", "5s", "8s")));
    let mut published = 0;
    let on_request = move |_: &fleetsim::protocol::ExecutionId| {
        published += 1;
        published % 1000 != 0
    };
    let mut hooks = Hooks::default();
    hooks.backend.on_request = Some(Box::new(on_request));
    let report = run(&scenario, hooks);
    let counts = counts(&report);
    assert_eq!(counts.finding(Finding::Lost).unexplained, 3);
    assert_eq!((counts.class(Class::TimedOutCloud), counts.class(Class::Succeeded)), (3, 2997));
    assert_eq!(report.exit, Exit::Thresholds, "unexplained anomalies fail the run");
    let lost: Vec<_> = report.snapshot.anomalies.iter().filter(|a| a.finding == Finding::Lost).collect();
    assert_eq!(lost.len(), 3);
    assert!(
        lost.iter().all(|a| a.execution_id.is_some() && a.last_seen == "started, never held by the device")
    );
}

#[test]
fn devices_end_executions_exactly_as_their_plan_says() {
    let text = "
name: ends
groups:
  g:
    count: 50
    behavior:
      delay: 5ms..15ms
      outcomes:
        failed: { share: 10%, reason_code: CHECKSUM_MISMATCH, reason: bad image }
        rejected: 5%
        no_answer: 5%
";
    let scenario = scenario(&format!("{text}{}", load("500/s", "4s", "8s")));
    let report = run(&scenario, Hooks::default());
    // What each device was going to do with each of its executions, from the plan alone.
    let plan = Plan::new(Arc::clone(&scenario), fleetsim::seed::Seed(7));
    let mut planned = std::collections::BTreeMap::new();
    let mut held = std::collections::BTreeMap::new();
    for arrival in plan.arrivals(0) {
        let n: &mut u64 = held.entry(arrival.device).or_default();
        *planned.entry(plan.decision(arrival.device, *n).kind.name()).or_insert(0u64) += 1;
        *n += 1;
    }
    let counts = counts(&report);
    for (kind, class) in [
        (OutcomeKind::Succeeded, Class::Succeeded),
        (OutcomeKind::Failed, Class::Failed),
        (OutcomeKind::Rejected, Class::Rejected),
        (OutcomeKind::NoAnswer, Class::TimedOutCloud),
    ] {
        assert_eq!(counts.class(class), planned[kind.name()], "seed 7: {}", kind.name());
    }
    assert_eq!(counts.timed_out_as_planned, planned["no_answer"]);
    assert_eq!(counts.unexplained(), 0);
    // And the plan has the shares that were asked for, within four standard errors of 2,000 draws.
    for (kind, share) in [("failed", 0.10_f64), ("rejected", 0.05), ("no_answer", 0.05)] {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let seen = planned[kind] as f64 / 2000.0;
        assert!(
            (seen - share).abs() < 4.0 * (share * (1.0 - share) / 2000.0).sqrt(),
            "seed 7: {kind} {seen}"
        );
    }
    assert_eq!(report.exit, Exit::Ok);
}

/// Drops, kept and clean sessions, both versions of MQTT, late, repeated and missing answers, over TCP.
#[test]
fn what_misbehaves_by_plan_is_explained() {
    let group = |name: &str, connect: &str| {
        format!(
            "  {name}:\n    count: 8\n    connect: {{ {connect}, start_delay: 0ms..300ms, backoff: {{ initial: 100ms, max: 1s \
             }}, drops: {{ every: 500ms..4s, down_for: 50ms..1s, mid_command: 10% }} }}\n    behavior: {{ accept_delay: \
             5ms..50ms, delay: 10ms..300ms, duplicates: 20%, outcomes: {{ failed: 10%, timed_out: 5%, no_answer: 5%, \
             late: {{ share: 5%, by: 0s..1s }} }} }}\n"
        )
    };
    let groups = [
        group("old-clean", "mqtt: 3.1.1"),
        group("old-kept", "clean_session: false"),
        group("new-clean", "mqtt: \"5\""),
        group("new-kept", "mqtt: \"5\", clean_session: false"),
    ];
    let text = format!("name: planned\ngroups:\n{}{}", groups.concat(), load("40/s", "6s", "4s"));
    let report = run(&scenario(&text), Hooks::default());
    let counts = counts(&report);
    assert_eq!((counts.due, counts.unexplained()), (240, 0), "seed 7: {:?}", report.snapshot.anomalies);
    assert_eq!(report.exit, Exit::Ok, "seed 7");
    let totals = &report.snapshot.totals;
    let noted = |what: &str| totals.noted.get(what).copied().unwrap_or(0);
    let drops = noted("connections dropped by plan");
    assert!(drops >= 32, "seed 7: each of 32 devices drops within 4 s of being connected: {drops}");
    assert!(noted("sessions resumed") > 0 && noted("answers sent twice by plan") > 0, "{:?}", totals.noted);
    assert!(totals.reconnects.iter().all(|reconnects| *reconnects > 0), "{:?}", totals.reconnects);
    assert!(counts.finding(Finding::Late).explained > 0, "seed 7");
    assert!(counts.class(Class::TimedOutDevice) > 0, "seed 7");
}

#[test]
fn a_backend_that_throttles_cannot_pass() {
    let text = format!(
        "{FLEET_OF_40}{}thresholds:\n  - expect: rate(succeeded) >= 99%\n  - expect: \
         count(refused{{error=ThrottlingException}}) == 0\n  - expect: p99(latency) < 20s\n",
        load("200/s", "3s", "20s")
    );
    let mut calls = 0;
    let on_start = move || {
        calls += 1;
        (calls % 10 != 0).then(|| ApiError::new(ErrorKind::Throttling, "Rate exceeded"))
    };
    let mut hooks = Hooks::default();
    hooks.backend.on_start = Some(Box::new(on_start));
    let report = run(&scenario(&text), hooks);
    let counts = counts(&report);
    assert_eq!(counts.refused["ThrottlingException"], 540);
    assert_eq!((counts.class(Class::Refused), counts.class(Class::Succeeded), counts.started), (540, 60, 60));
    let passed: Vec<_> = report.verdict.thresholds.iter().map(|t| (t.shown.as_str(), t.passed)).collect();
    assert_eq!(passed[0], ("10.00%", Some(false)));
    assert_eq!(passed[1], ("540", Some(false)));
    assert_eq!(passed[2].1, Some(true), "those that were let through were fast");
    assert_eq!(report.exit, Exit::Thresholds);
}

#[test]
fn a_failed_threshold_that_aborts_ends_the_load_early() {
    let text = format!(
        "{FLEET_OF_40}{}thresholds:\n  - {{ expect: p50(latency) < 1ms, abort: true, after: 1s }}\n",
        load("100/s", "10m", "2s")
    );
    let report = run(&scenario(&text), Hooks::default());
    assert_eq!(report.exit, Exit::Thresholds);
    let counts = counts(&report);
    assert!((100..6_000).contains(&counts.due), "{} due", counts.due);
    assert_eq!(counts.open(), 0);
    assert!(
        report.snapshot.events.iter().any(|e| e.text.contains("aborted")),
        "{:?}",
        report.snapshot.events
    );
}
