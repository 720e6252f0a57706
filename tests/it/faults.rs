//! Faults that a scenario asks the embedded backend for: seen in the figures as they were asked for, counted,
//! and never an anomaly that nobody can explain.

use std::fmt::Write as _;
use std::sync::Arc;

use fleetsim::report::{self, RunReport};
use fleetsim::scenario::{Variables, parse, warnings};
use fleetsim::stats::{Class, Finding, Percentile, Span};

use crate::chaos;

/// A minute of 100 starts a second, evenly spaced, to devices that answer within 50 ms.
fn run(faults: &str, via: &str) -> RunReport {
    let mut text = String::new();
    write!(
        text,
        "version: 1\nname: faults\ntarget: {{ embedded: {{ faults: {faults} }} }}\ndriver: {{ via: {via} }}\n\
         groups: {{ g: {{ count: 50, behavior: {{ delay: 50ms }} }} }}\n\
         workloads:\n  w:\n    command: {{ name: c, timeout: 5s }}\n    select: round_robin\n    load:\n      \
         arrival_rate: {{ spacing: even, stages: [{{ rate: 100/s, duration: 1m }}] }}\n\
         thresholds: [{{ expect: rate(succeeded) >= 1%, info: true }}]\n"
    )
    .unwrap();
    let scenario = parse("faults.yaml", &text, &Variables::default()).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(warnings(&scenario), Vec::<String>::new());
    let report = chaos::run_virtually(&Arc::new(scenario), 11).report;
    assert!(report.problem.is_none(), "{:?}", report.problem);
    report::totals_add_up(&report.snapshot).unwrap();
    let counts = report.snapshot.totals.measured(None, None);
    assert_eq!((counts.due, counts.unexplained()), (6_000, 0), "{:?}", report.snapshot.anomalies);
    report
}

fn injected(report: &RunReport, what: &str) -> u64 {
    report.snapshot.faults.get(what).copied().unwrap_or(0)
}

#[test]
fn a_rate_throttles_what_is_over_it_and_over_its_burst() {
    for via in ["http", "direct"] {
        let report = run("{ start: { rate: 80/s } }", via);
        let counts = report.snapshot.totals.measured(None, None);
        // A second's worth of burst, and a minute (less ten milliseconds) at the rate.
        assert_eq!(counts.started, 80 + 60 * 80 - 1, "{via}");
        assert_eq!(counts.refused.get("ThrottlingException"), Some(&(6_000 - counts.started)), "{via}");
        assert_eq!(injected(&report, "calls throttled"), 6_000 - counts.started, "{via}");
    }
}

#[test]
fn a_slow_api_is_seen_as_slow_as_it_is() {
    for via in ["http", "direct"] {
        let report = run("{ start: { latency: 200ms } }", via);
        let totals = &report.snapshot.totals;
        assert_eq!(totals.measured(None, None).class(Class::Succeeded), 6_000, "{via}");
        for (span, expected_ms) in [(Span::Start, 200), (Span::Latency, 250), (Span::Overhead, 200)] {
            let us = totals.merged(span, None, None, None).percentile(Percentile(99.0)).unwrap();
            // A millisecond for the tick and another for instants between two, three digits of a histogram.
            assert!(
                (expected_ms * 1_000..=expected_ms * 1_002 + 2_000).contains(&us),
                "{via} {span:?}: {us}"
            );
        }
        assert_eq!(injected(&report, "calls delayed"), 6_000, "{via}");
    }
}

#[test]
fn a_start_that_is_slower_than_its_caller_waits_is_unknown_and_no_anomaly() {
    // Enough connections for all that are under way at once.
    for via in ["http, timeout: 1s, connections: 200", "direct, timeout: 1s, connections: 200"] {
        let report = run("{ start: { latency: { uniform: { min: 500ms, max: 1500ms } } } }", via);
        let unknown = report.snapshot.totals.measured(None, None).class(Class::Unknown);
        assert!((2_700..3_300).contains(&unknown), "{via}: {unknown}");
    }
}

#[test]
fn errors_come_as_often_and_by_the_names_that_were_asked_for() {
    let report =
        run("{ start: { errors: { ThrottlingException: 10%, InternalServerException: 1% } } }", "http");
    let counts = report.snapshot.totals.measured(None, None);
    let refused = |name: &str| counts.refused.get(name).copied().unwrap_or(0);
    assert!((500..700).contains(&refused("ThrottlingException")), "{:?}", counts.refused);
    assert!((30..90).contains(&refused("InternalServerException")), "{:?}", counts.refused);
    assert_eq!(counts.class(Class::Refused), injected(&report, "calls refused"));
}

#[test]
fn dropped_requests_are_lost_and_explained() {
    let report = run("{ publishes: { dropped: 5%, delayed: { share: 10%, by: 1s..9s } } }", "http");
    let counts = report.snapshot.totals.measured(None, None);
    let lost = counts.finding(Finding::Lost);
    let (dropped, delayed) = (injected(&report, "requests dropped"), injected(&report, "requests delayed"));
    assert!((220..380).contains(&dropped), "{dropped}");
    assert!((500..700).contains(&delayed), "{delayed}");
    // Some came so shortly before their time-out that the answer was late.
    let late = counts.finding(Finding::Late).total();
    assert_eq!((lost.unexplained, lost.total() + late), (0, counts.class(Class::TimedOutCloud)));
    // Half of the late ones would have come after their time-out.
    assert!((dropped + 220..dropped + 380).contains(&lost.total()), "{lost:?}");
    let text = report::console(&report, report::Style::Plain, 120);
    assert!(
        text.contains(&format!("FAULTS        requests delayed {delayed} · requests dropped {dropped}")),
        "{text}"
    );
    let json = report::result_json(&report);
    assert!(json.contains("\"requests dropped\""), "{json}");
}

/// A call that waits out its latency while the backend goes out is made when the backend is back.
#[test]
fn a_delayed_call_waits_for_the_end_of_an_outage_that_began_meanwhile() {
    for via in ["http", "direct"] {
        let text = format!(
            "version: 1\nname: held-up\ntarget: {{ embedded: {{ faults: {{ start: {{ latency: 2s }} }} }} }}\n\
             driver: {{ via: {via}, timeout: 1m }}\ngroups: {{ g: {{ count: 10, behavior: {{ delay: 0s }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c, timeout: 5s }}, load: {{ once: {{}} }} }} }}\n\
             timeline: [{{ at: 1s, do: backend_stall, for: 20s }}]\n"
        );
        let scenario = parse("faults.yaml", &text, &Variables::default()).unwrap_or_else(|p| panic!("{p}"));
        let report = chaos::run_virtually(&Arc::new(scenario), 11).report;
        // Performed at 2 s, its time-out would have been due in the outage, before a device could hear of it.
        let counts = report.snapshot.totals.measured(None, None);
        assert_eq!(counts.class(Class::Succeeded), 10, "{via}: {counts:?}");
    }
}
