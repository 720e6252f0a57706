//! What the timeline does: each event has the consequences it says and no others, and whatever happens,
//! every execution ends in one state that both sides agree on.

use std::sync::Arc;

use fleetsim::report::{self, RunReport};
use fleetsim::run::{self, Hooks, Options};
use fleetsim::scenario::{self, Scenario, Variables};
use fleetsim::seed::Seed;
use fleetsim::stats::{Class, Counts, Finding, Percentile, Span};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{ONE_AT_A_TIME, chaos};

fn scenario(text: &str) -> Arc<Scenario> {
    match scenario::parse("timeline.yaml", &format!("version: 1\n{text}"), &Variables::default()) {
        Ok(scenario) => Arc::new(scenario),
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

/// Runs it in virtual time with one seed; everything that must hold in any run is checked.
fn run_virtually(text: &str) -> RunReport {
    let scenario = scenario(text);
    let outcome = chaos::run_virtually(&scenario, 7);
    println!("{}", report::console(&outcome.report, report::Style::Plain, 120));
    if let Some(failure) = chaos::judge(&outcome, 7) {
        panic!("{failure}");
    }
    outcome.report
}

fn counts(report: &RunReport) -> Counts {
    report.snapshot.totals.measured(None, None)
}

fn noted(report: &RunReport, what: &str) -> u64 {
    report.snapshot.totals.noted.get(what).copied().unwrap_or(0)
}

/// The events of the run that the timeline wrote, with their instants from the begin of the load in ms.
fn lines(report: &RunReport) -> Vec<(u64, String)> {
    let events = &report.snapshot.events;
    let begun = events.iter().find(|event| event.text.contains("load begins")).unwrap().at_us;
    let of_timeline =
        events.iter().filter_map(|event| Some((event.at_us, event.text.strip_prefix("timeline: ")?)));
    // The load begins 20 ms after it was said to.
    of_timeline.map(|(at, text)| ((at - begun) / 1000 - 20, text.to_owned())).collect()
}

/// 10 commands a second for 20 s to devices that answer at once.
fn with_events(connect: &str, timeout: &str, events: &str) -> String {
    format!(
        "name: t\ngroups: {{ g: {{ count: 100, connect: {{ {connect} }}, behavior: {{ delay: 0s }} }} }}\n\
         workloads: {{ w: {{ command: {{ name: c, timeout: {timeout} }}, select: round_robin, load: {{ arrival_rate: {{ \
         spacing: even, stages: [{{ rate: 10/s, duration: 20s }}] }} }} }} }}\ntimeline:\n{events}"
    )
}

#[test]
fn devices_sent_away_miss_what_comes_meanwhile_unless_their_sessions_are_kept() {
    let events = "  - { at: 5s, do: disconnect, for: 5s }\n";
    let clean = "backoff: { initial: 1s, jitter: none }";
    let report = run_virtually(&with_events(clean, "10s", events));
    // 5 s away and 1 s of back-off, in which 60 commands come.
    assert_eq!(counts(&report).class(Class::TimedOutCloud), 60);
    assert_eq!(counts(&report).class(Class::Succeeded), 140);
    assert_eq!(noted(&report, "connections broken by the timeline"), 100);
    assert_eq!(noted(&report, "time-outs because the device was away"), 60);
    assert_eq!(
        lines(&report),
        [
            (5_000, "disconnect of 100 devices for 5.00s".to_owned()),
            (10_000, "disconnect is over".to_owned())
        ]
    );
    // Without a `for` only the back-off is left: one second, in which 10 commands come.
    let report = run_virtually(&with_events(clean, "10s", "  - { at: 5s, do: disconnect }\n"));
    assert_eq!(counts(&report).class(Class::TimedOutCloud), 10);
    for mqtt in ["3.1.1", "5"] {
        let kept = format!("{clean}, clean_session: false, mqtt: \"{mqtt}\"");
        let report = run_virtually(&with_events(&kept, "10s", events));
        assert_eq!(counts(&report).class(Class::Succeeded), 200, "{mqtt}");
        let latency = report.snapshot.totals.merged(Span::Latency, None, None, None);
        // The first command of the absence waits for all of it.
        assert!(latency.max().unwrap().abs_diff(6_000_000) < 100_000, "{:?}", latency.max());
        assert_eq!(latency.percentile(Percentile(69.0)).map(|us| us < 2_000), Some(true));
    }
}

#[test]
fn a_share_of_the_devices_of_some_groups_is_drawn_anew_for_each_event() {
    let text = "name: share\ngroups:\n  a: { count: 1000, behavior: { delay: 1ms } }\n  b: { count: 500, behavior: { delay: 1ms } }\n\
                workloads: { w: { command: { name: c }, load: { arrival_rate: { stages: [{ rate: 5/s, duration: 4s }] } } } }\n\
                timeline:\n  - { at: 1s, do: disconnect, groups: [a], share: 30% }\n  - { at: 2s, do: disconnect, groups: [a], share: 30% }\n";
    let report = run_virtually(text);
    let reconnects = &report.snapshot.totals.reconnects;
    assert_eq!(reconnects[1], 0, "group b is left alone");
    // Two draws of about 300 of 1,000.
    assert!((500..700).contains(&reconnects[0]), "{reconnects:?}");
    let said = lines(&report);
    assert_ne!(said[0].1, said[1].1, "two events are two draws");
}

#[test]
fn silenced_devices_answer_what_they_hold_when_they_may_again() {
    let events = "  - { at: 5s, do: silence, for: 6s }\n";
    let report = run_virtually(&with_events("", "4s", events));
    // Asked in the first two of the six seconds: too late. Asked later: answered in time.
    assert_eq!(counts(&report).class(Class::TimedOutCloud), 20);
    assert_eq!(counts(&report).finding(Finding::Late).explained, 20);
    assert_eq!(counts(&report).class(Class::Succeeded), 180);
    assert_eq!(noted(&report, "devices silenced by the timeline"), 100);
    assert_eq!(noted(&report, "time-outs of devices silenced by the timeline"), 20);
    // A device that may not answer is not late by itself.
    let lag = report.snapshot.totals.merged(Span::DeviceLag, None, None, None);
    assert!(lag.max() <= Some(1_000), "{:?}", lag.max());
}

#[test]
fn slowed_devices_take_the_multiple_of_their_delays() {
    let text = "name: slow\ngroups: { g: { count: 1000, behavior: { accept_delay: 100ms, delay: 400ms } } }\n\
                workloads: { w: { command: { name: c }, select: round_robin, load: { arrival_rate: { spacing: even, \
                stages: [{ rate: 20/s, duration: 20s }] } } } }\n\
                timeline:\n  - { at: 5s, do: slow, times: 3, for: 5s }\n  - { at: 8s, do: slow, times: 2, for: 4s }\n";
    let report = run_virtually(text);
    let latency = report.snapshot.totals.merged(Span::Latency, None, None, None);
    // 400 commands: 260 at 500 ms, 40 at twice that, 60 at three times, 40 at six times.
    for (percent, expected) in [(64.0, 500_000), (74.0, 1_000_000), (89.0, 1_500_000), (99.0, 3_000_000u64)] {
        let got = latency.percentile(Percentile(percent)).unwrap();
        assert!(got.abs_diff(expected) <= expected / 500, "p{percent} {got} {expected}");
    }
}

#[test]
fn a_restart_keeps_executions_and_kept_sessions_and_starts_wait_for_it() {
    let events = "  - { at: 5s, do: backend_restart, for: 3s }\n";
    for via in ["http", "direct"] {
        let kept = "clean_session: false, backoff: { initial: 1s, jitter: none, factor: 1 }";
        let text = format!("driver: {{ via: {via} }}\n{}", with_events(kept, "10s", events));
        let report = run_virtually(&text);
        assert_eq!(counts(&report).class(Class::Succeeded), 200, "{via}");
        assert_eq!(noted(&report, "sessions resumed"), 100);
        assert_eq!(report.snapshot.totals.reconnects, [100]);
        // Devices come back with the backend, at 8 s; a start over HTTP tries again every 100 ms.
        let latency = report.snapshot.totals.merged(Span::Latency, None, None, None);
        assert!((2_900_000..3_100_000).contains(&latency.max().unwrap()), "{:?}", latency.max());
    }
}

#[test]
fn what_happens_in_an_outage_longer_than_every_wait_is_explained() {
    // Longer than a start, a reply and a time-out wait.
    for action in ["backend_stall", "backend_restart"] {
        for connect in ["clean_session: true", "clean_session: false, mqtt: \"5\""] {
            let text = format!(
                "driver: {{ timeout: 5s }}\nname: long\ngroups: {{ g: {{ count: 60, connect: {{ {connect} }}, behavior: {{ \
                 accept_delay: 10ms, delay: 100ms..3s }} }} }}\n\
                 workloads: {{ w: {{ command: {{ name: c, timeout: 4s }}, load: {{ arrival_rate: {{ \
                 stages: [{{ rate: 20/s, duration: 60s }}] }} }} }} }}\ntimeline:\n  - {{ at: 10s, do: {action}, for: 25s }}\n"
            );
            let scenario = scenario(&text);
            let outcome = chaos::run_virtually(&scenario, 7);
            println!("{}", report::console(&outcome.report, report::Style::Plain, 120));
            let counts = counts(&outcome.report);
            assert_eq!(
                counts.unexplained(),
                0,
                "{action}, {connect}: {:?}",
                outcome.report.snapshot.anomalies
            );
            assert_eq!(counts.class(Class::Unfinished), 0, "{action}, {connect}");
            assert_eq!(outcome.backend.unwrap().open, 0);
        }
    }
}

/// All devices drop, back off and come back while commands keep arriving; the backend is restarted and
/// stands still; some devices are silent meanwhile.
fn outage(seconds: u64, more: &str) -> String {
    let at = |percent: u64| format!("{}ms", seconds * percent * 10);
    format!(
        "name: outage\nvalidity: {{ max_lag: 20s }}\n{more}groups:\n\
         \x20 clean-3: {{ count: 20, connect: {{ backoff: {{ initial: 200ms, max: 2s }} }}, behavior: {{ delay: 10ms..800ms }} }}\n\
         \x20 kept-3: {{ count: 20, connect: {{ clean_session: false, backoff: {{ initial: 200ms, max: 2s }} }}, behavior: {{ \
         accept_delay: 5ms..100ms, delay: 10ms..800ms, outcomes: {{ failed: 10%, late: {{ share: 5%, by: 100ms..2s }} }} }} }}\n\
         \x20 clean-5: {{ count: 20, connect: {{ mqtt: \"5\", backoff: {{ initial: 200ms, max: 2s }} }}, behavior: {{ \
         accept_delay: 5ms..100ms, delay: 10ms..800ms, outcomes: {{ rejected: 5%, no_answer: 5% }} }} }}\n\
         \x20 kept-5: {{ count: 20, connect: {{ mqtt: \"5\", clean_session: false, backoff: {{ initial: 200ms, max: 2s }} }}, \
         behavior: {{ delay: 10ms..800ms, duplicates: 10% }} }}\n\
         workloads:\n  w:\n    command: {{ name: c, timeout: 3s }}\n    load: {{ arrival_rate: {{ stages: [{{ rate: 30/s, \
         duration: {seconds}s }}] }} }}\n\
         timeline:\n  - {{ at: {}, do: disconnect, for: {} }}\n  - {{ at: {}, do: silence, share: 30%, for: {} }}\n\
         \x20 - {{ at: {}, do: backend_restart, for: {} }}\n  - {{ at: {}, do: backend_stall, for: {} }}\n\
         \x20 - {{ at: {}, do: slow, times: 2, share: 50%, for: {} }}\n  - {{ at: {}, do: disconnect, share: 50% }}\n",
        at(10),
        at(15),
        at(40),
        at(10),
        at(55),
        at(8),
        at(75),
        at(8),
        at(60),
        at(20),
        at(85)
    )
}

#[test]
fn after_an_outage_every_execution_is_in_one_terminal_state_on_both_sides() {
    let plain = scenario(&outage(30, ""));
    let with_link = scenario(&outage(30, "target: { embedded: { link_delay: 5ms..60ms } }\n"));
    let direct = scenario(&outage(30, "driver: { via: direct }\n"));
    for seed in 1..=20 {
        for scenario in [&plain, &with_link, &direct] {
            if let Some(failure) = chaos::failure(scenario, seed) {
                panic!("{failure}");
            }
        }
    }
}

#[test]
fn after_an_outage_over_tcp_both_sides_agree_as_well() {
    let _guard = ONE_AT_A_TIME.lock();
    let backend = Arc::new(Mutex::new(None));
    let at_the_end = Arc::clone(&backend);
    let at_end = move |counters| *at_the_end.lock() = Some(counters);
    let options = Options {
        seed: Seed(7),
        signals: false,
        hooks: Hooks { at_end: Some(Box::new(at_end)), ..Hooks::default() },
        ..Options::new(scenario(&outage(10, "")))
    };
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    println!("{}", report::console(&report, report::Style::Plain, 120));
    assert_eq!(report.problem, None);
    report::totals_add_up(&report.snapshot).unwrap();
    let counts = counts(&report);
    assert_eq!(counts.unexplained(), 0, "{:?}", report.snapshot.anomalies);
    assert_eq!(counts.class(Class::Unfinished), 0);
    let backend = backend.lock().unwrap();
    assert_eq!(backend.open, 0);
    // A start whose answer was lost with its connection is unknown here, and may have been made there.
    assert!(backend.started >= counts.started);
    if backend.started == counts.started {
        assert_eq!(backend.timed_out, counts.class(Class::TimedOutCloud));
        assert_eq!(backend.ended, chaos::ended_in_time(&counts));
    }
    assert!(report.snapshot.totals.reconnects.iter().sum::<u64>() >= 160, "all of them, twice");
}
