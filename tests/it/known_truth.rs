//! A known truth is reported as it is: what is put between devices and backend by plan comes out of the
//! percentiles as arithmetic says, to the millisecond. In virtual time nothing else adds to it.

use std::sync::Arc;

use fleetsim::plan::Plan;
use fleetsim::report::{self, RunReport};
use fleetsim::run::{self, Options};
use fleetsim::scenario::{self, Variables};
use fleetsim::seed::Seed;
use fleetsim::stats::{Class, Counts, Finding, Percentile, Phase, Span};
use tokio::sync::watch;

fn run_virtually(text: &str) -> RunReport {
    let text = format!("version: 1\nseed: 7\n{text}");
    let scenario = match scenario::parse("truth.yaml", &text, &Variables::default()) {
        Ok(scenario) => Arc::new(scenario),
        Err(problems) => panic!("{}", problems.render(false)),
    };
    let (sender, _receiver) = watch::channel(None);
    let options = Options { virtual_time: true, signals: false, ..Options::new(scenario) };
    let report = run::run(options, &sender);
    println!("{}", report::console(&report, report::Style::Plain, 120));
    assert_eq!((report.snapshot.phase, report.problem.as_deref()), (Phase::Done, None));
    report::totals_add_up(&report.snapshot).unwrap();
    let counts: Counts = report.snapshot.totals.measured(None, None);
    assert_eq!(counts.unexplained(), 0);
    report
}

/// The percentiles of a span against those of the values that arithmetic gives; a clock that ticks in
/// milliseconds leaves one of them, a histogram of three digits a thousandth.
fn check(report: &RunReport, span: Span, mut expected_us: Vec<u64>) {
    expected_us.sort_unstable();
    let merged = report.snapshot.totals.merged(span, None, None, None);
    assert_eq!(merged.counts().len(), expected_us.len() as u64, "{}: as many samples", span.name());
    for percent in [1, 10, 25, 50, 75, 80, 81, 85, 90, 95, 99] {
        // A hundredth of a percent beside the whole one, where no rank lies between two samples.
        let rank = (expected_us.len() * (100 * percent + 1)).div_ceil(10_000);
        let expected = expected_us[rank - 1];
        let percentile = Percentile(f64::from(u32::try_from(percent).unwrap()) + 0.01);
        let got = merged.percentile(percentile).unwrap();
        assert!(
            got.abs_diff(expected) <= (expected / 1_000).max(1_000),
            "p{percent}.01({}) is {got} µs where arithmetic gives {expected} µs",
            span.name()
        );
    }
}

/// A start is in the backend at once; the request takes L, the device D, the answer L, its reply L.
#[test]
fn a_link_of_constant_delay_adds_exactly_its_share_to_each_span() {
    for (link_ms, device_ms) in [(50u64, 200u64), (7, 0), (600, 30)] {
        for transport in ["tcp", "memory"] {
            let report = run_virtually(&format!(
                "name: link\ntarget: {{ embedded: {{ link_delay: {link_ms}ms, transport: {transport} }} }}\n\
                 groups: {{ g: {{ count: 200, behavior: {{ delay: {device_ms}ms }} }} }}\n\
                 workloads: {{ w: {{ command: {{ name: c }}, select: round_robin, load: {{ arrival_rate: {{ spacing: even, \
                 stages: [{{ rate: 50/s, duration: 10s }}] }} }} }} }}\n"
            ));
            let (link, device) = (link_ms * 1000, device_ms * 1000);
            for (span, us) in [
                (Span::Delivery, link),
                (Span::Answer, device),
                (Span::Confirm, 2 * link),
                (Span::Latency, 3 * link + device),
                (Span::Overhead, 3 * link),
            ] {
                check(&report, span, vec![us; 500]);
            }
            // CONNECT, CONNACK, SUBSCRIBE, SUBACK.
            check(&report, Span::Connect, vec![4 * link; 200]);
        }
    }
}

/// IN_PROGRESS and its reply are one more way there and back.
#[test]
fn a_link_delays_each_message_of_an_execution() {
    let report = run_virtually(
        "name: progress\ntarget: { embedded: { link_delay: 40ms } }\n\
         groups: { g: { count: 100, behavior: { accept_delay: 10ms, delay: 100ms } } }\n\
         workloads: { w: { command: { name: c }, select: round_robin, load: { arrival_rate: { spacing: even, \
         stages: [{ rate: 20/s, duration: 5s }] } } } }\n",
    );
    check(&report, Span::Accept, vec![10_000 + 2 * 40_000; 100]);
    check(&report, Span::Latency, vec![40_000 + 10_000 + 80_000 + 100_000 + 80_000; 100]);
}

/// With chance on the link, each packet has its own delay and none overtakes: a device that is asked one
/// thing at a time sees sums of its draws, within their bounds, and the same in each run.
#[test]
fn a_link_of_random_delay_repeats_and_keeps_to_its_bounds() {
    let text = "name: random\ntarget: { embedded: { link_delay: 20ms..80ms } }\n\
                groups: { g: { count: 300, behavior: { delay: 0s } } }\n\
                workloads: { w: { command: { name: c }, select: round_robin, load: { arrival_rate: { spacing: even, \
                stages: [{ rate: 100/s, duration: 30s }] } } } }\n";
    let report = run_virtually(text);
    let delivery = report.snapshot.totals.merged(Span::Delivery, None, None, None);
    let percentile = |p| delivery.percentile(Percentile(p)).unwrap();
    let (low, middle, high) = (percentile(0.1), percentile(50.0), delivery.max().unwrap());
    assert!(low >= 20_000 && high <= 81_000, "{low} to {high} µs");
    // 3,000 uniform draws: the median is within 2 ms of the middle in all but one of 10⁷ runs.
    assert!(middle.abs_diff(50_000) < 3_000, "{middle} µs");
    let again = run_virtually(text);
    // All but the one part that real time decides.
    let [one, other] = [report, again].map(|report| {
        let mut result: serde_json::Value = serde_json::from_str(&report::result_json(&report)).unwrap();
        result["run"].as_object_mut().unwrap().shift_remove("wall_clock");
        format!("{result:#}")
    });
    assert!(one == other, "two runs, two results");
}

/// A backend that stands still for a second in every five makes each command wait as long as it has to: for
/// the backend to take it, and once more if its answer falls into the next stall.
#[test]
fn a_stall_of_one_second_in_every_five_gives_the_percentiles_of_arithmetic() {
    const STALLS: u64 = 10;
    for (via, device_ms) in [("http", 200u64), ("direct", 200), ("http", 0), ("direct", 1500)] {
        let stalls = (1..=STALLS)
            .map(|n| format!("  - {{ at: {}s, do: backend_stall, for: 1s }}\n", 5 * n - 1))
            .collect::<Vec<_>>()
            .concat();
        let text = format!(
            "name: stall\ndriver: {{ via: {via} }}\n\
             groups: {{ g: {{ count: 1000, behavior: {{ delay: {device_ms}ms }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c }}, select: round_robin, load: {{ arrival_rate: {{ spacing: even, \
             stages: [{{ rate: 100/s, duration: 50s }}] }} }} }} }}\ntimeline:\n{stalls}"
        );
        let report = run_virtually(&text);
        // A stall of the target never makes a run VOID.
        assert!(report.verdict.validity.valid, "{:?}", report.verdict.validity);
        let works_from = |us: u64| {
            let in_cycle = us % 5_000_000;
            if in_cycle >= 4_000_000 && us < 5_000_000 * STALLS { us - in_cycle + 5_000_000 } else { us }
        };
        let plan = Plan::new(Arc::clone(&report.scenario), Seed(7));
        let expected: Vec<u64> = plan
            .arrivals(0)
            .map(|arrival| {
                let held = works_from(arrival.at_us);
                works_from(held + device_ms * 1000) - arrival.at_us
            })
            .collect();
        assert_eq!(expected.len(), 5_000);
        check(&report, Span::Latency, expected);
    }
}

/// What a link holds when the time-out comes is no loss: the target has sent it in time.
#[test]
fn a_link_slower_than_the_time_out_loses_nothing() {
    for (link_ms, timeout_s, class, late) in [
        (3_900u64, 60, Class::Succeeded, 0),
        // The answer takes what the request left of the time-out, and the request all of it.
        (1_500, 2, Class::TimedOutCloud, 50),
        (3_900, 2, Class::TimedOutCloud, 50),
    ] {
        let report = run_virtually(&format!(
            "name: slow\ntarget: {{ embedded: {{ link_delay: {link_ms}ms }} }}\n\
             groups: {{ g: {{ count: 50, behavior: {{ delay: 100ms }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c, timeout: {timeout_s}s }}, select: round_robin, load: {{ \
             arrival_rate: {{ spacing: even, stages: [{{ rate: 5/s, duration: 10s }}] }} }} }} }}\n"
        ));
        let counts = report.snapshot.totals.measured(None, None);
        assert_eq!(counts.class(class), 50, "{link_ms} ms: {counts:?}");
        assert_eq!(counts.finding(Finding::Late).total(), late, "{link_ms} ms: {counts:?}");
        assert_eq!(counts.finding(Finding::Lost).total(), 0, "{link_ms} ms");
    }
}
