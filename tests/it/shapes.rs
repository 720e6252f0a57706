//! Asked shapes are measured shapes, end to end: what a scenario asks for is what a whole run of it measures.
//!
//! In virtual time, where nothing but the scenario takes time. Instants there are whole milliseconds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use fleetsim::report::RunReport;
use fleetsim::run::{self, Options};
use fleetsim::scenario::{self, Overrides, Variables};
use fleetsim::seed::Seed;
use fleetsim::stats::{Class, Counts, Part, Percentile, Phase, Span};
use tokio::sync::watch;

/// A run of `text` in virtual time; `times.csv` is there for it.
fn run(text: &str) -> RunReport {
    let seed = 11;
    println!("seed {seed}");
    let files: BTreeMap<String, Vec<u8>> = [("times.csv".to_owned(), times().into_bytes())].into();
    let scenario =
        scenario::parse_in("shapes.yaml", text, &Variables::default(), &Overrides::default(), &files)
            .unwrap_or_else(|problems| panic!("{problems}"));
    let options =
        Options { seed: Seed(seed), virtual_time: true, signals: false, ..Options::new(Arc::new(scenario)) };
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    assert!(report.problem.is_none(), "{:?}", report.problem);
    assert_eq!(report.snapshot.phase, Phase::Done);
    report
}

/// Measured times: a lump at 100 to 200 ms, a tail to 4 s.
fn times() -> String {
    let lump = (0..180).map(|n| 100.0 + f64::from(n) / 1.8);
    let tail = (0..20).map(|n| 200.0 + 10.0 * f64::from(n * n));
    lump.chain(tail).fold("took\n".to_owned(), |text, ms| text + &format!("{ms}\n"))
}

/// The same by the definition of an inverse distribution function, linear between its points.
fn times_quantile_ms(q: f64) -> f64 {
    let sorted: Vec<f64> = times().lines().skip(1).map(|line| line.parse().unwrap()).collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let place = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// The inverse of the standard normal distribution function, by halving; the function by its series.
fn normal(q: f64) -> f64 {
    let (mut low, mut high) = (-8.0f64, 8.0f64);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        let (mut term, mut sum) = (middle, middle);
        for n in 1..200 {
            term *= middle * middle / f64::from(2 * n + 1);
            sum += term;
        }
        let share = 0.5 + sum * (-middle * middle / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if share < q { low = middle } else { high = middle }
    }
    low
}

/// Quantile functions in ms, by the name of the group whose delay they describe.
type Asked = (&'static str, &'static str, fn(f64) -> f64);
const ASKED: [Asked; 8] = [
    ("constant", "250ms", |_| 250.0),
    ("uniform", "100ms..500ms", |q| 100.0 + 400.0 * q),
    ("normal", "{ normal: { mean: 300ms, sd: 60ms } }", |q| 300.0 + 60.0 * normal(q)),
    ("lognormal", "{ lognormal: { p50: 200ms, p99: 1s } }", |q| {
        200.0 * (5f64.ln() / 2.326_347_874 * normal(q)).exp()
    }),
    ("exponential", "{ exponential: { mean: 200ms } }", |q| -200.0 * (1.0 - q).ln()),
    ("pareto", "{ pareto: { min: 100ms, shape: 2 } }", |q| 100.0 / (1.0 - q).sqrt()),
    ("empirical", "{ empirical: { file: times.csv, unit: ms } }", times_quantile_ms),
    ("mix", "{ mix: [{ weight: 3, of: 100ms..200ms }, { weight: 1, of: 1s..2s }] }", |q| {
        if q < 0.75 { 100.0 + q / 0.75 * 100.0 } else { 1_000.0 + (q - 0.75) / 0.25 * 1_000.0 }
    }),
];

#[test]
fn the_percentiles_of_a_run_are_those_of_the_delays_it_was_given() {
    const EACH: u32 = 4_000;
    let mut text = "version: 1\nname: shapes\ntarget: { embedded: { transport: memory } }\ndriver: { via: direct }\ngroups:\n"
        .to_owned();
    for (name, delay, _) in ASKED {
        writeln!(text, "  {name}: {{ count: 20, behavior: {{ delay: {delay}, max_parallel: 1000 }} }}")
            .unwrap();
    }
    text += "workloads:\n";
    for (name, ..) in ASKED {
        writeln!(
            text,
            "  {name}: {{ groups: [{name}], command: {{ name: {name}, timeout: 1h }}, \
             load: {{ arrival_rate: {{ stages: [{{ rate: 100/s, duration: 40s }}] }} }} }}"
        )
        .unwrap();
    }
    let report = run(&text);
    for (index, (name, _, quantile_ms)) in ASKED.iter().enumerate() {
        let succeeded = report.snapshot.totals.measured(Some(index), None).class(Class::Succeeded);
        assert_eq!(succeeded, u64::from(EACH), "{name}");
        for span in [Span::Answer, Span::Latency] {
            let measured = report.snapshot.totals.merged(span, Some(index), None, None);
            for (q, percentile) in [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0)] {
                // The standard error of a quantile at q is √(q(1−q)/n) in q: four of them to either side.
                // Beyond it: an instant waits for its whole millisecond at start and answer, and a class of
                // the histogram is a thousandth wide.
                let error = 4.0 * (q * (1.0 - q) / f64::from(EACH)).sqrt();
                let low = quantile_ms(q - error) * 0.999 - 1.0;
                let high = quantile_ms((q + error).min(0.9999)) * 1.001 + 3.0;
                let us = measured.percentile(Percentile(percentile)).unwrap();
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let ms = us as f64 / 1_000.0;
                assert!(
                    (low..=high).contains(&ms),
                    "{name} {}: p{percentile} {ms} not in {low}..{high}",
                    span.name()
                );
            }
        }
    }
}

#[test]
fn every_stage_starts_exactly_the_rounded_integral_of_its_rate() {
    // (stage, ∫rate)
    let stages = [
        ("{ rate: 33.3/s, duration: 7s }", 233),
        ("{ rate: 0/s, ramp_to: 41/s, duration: 5s }", 103),
        ("{ rate: 50/s, ramp_to: 7/s, duration: 3s }", 86),
        ("{ rate: 20/min, duration: 10s }", 3),
        ("{ rate: 25/s, duration: 4s, warm_up: true }", 100),
    ];
    for spacing in ["poisson", "even"] {
        let mut text = "version: 1\nname: stages\ngroups:\n  a: { count: 50, behavior: { delay: 5ms, max_parallel: 1000 } }\nworkloads:\n"
            .to_owned();
        for (number, (stage, _)) in stages.iter().enumerate() {
            let load = format!("{{ arrival_rate: {{ spacing: {spacing}, stages: [{stage}] }} }}");
            writeln!(text, "  w{number}: {{ command: {{ name: w{number} }}, load: {load} }}").unwrap();
        }
        let report = run(&text);
        let totals = &report.snapshot.totals;
        for (number, (stage, expected)) in stages.iter().enumerate() {
            let part = if stage.contains("warm_up") { Part::WarmUp } else { Part::Measured };
            let counts: Counts = totals.sum(part, Some(number), None);
            let sent = counts.due - counts.class(Class::Unsent);
            assert_eq!((counts.due, sent), (*expected, *expected), "{spacing} {stage}");
            assert_eq!(counts.started, *expected, "{spacing} {stage}");
        }
    }
}

#[test]
fn busy_devices_queue_reject_or_ignore_and_all_of_it_is_explained() {
    for (when_busy, class) in
        [("queue", Class::Succeeded), ("reject", Class::Rejected), ("ignore", Class::TimedOutCloud)]
    {
        // One device that works on three for a second each gets ten requests within 100 ms.
        let text = format!(
            "version: 1\nname: busy\ngroups:\n  a: {{ behavior: {{ delay: 1s, max_parallel: 3, when_busy: {when_busy} }} }}\n\
             workloads:\n  w:\n    command: {{ name: w, timeout: 20s }}\n    load: {{ arrival_rate: {{ spacing: even, stages: [{{ rate: 100/s, duration: 100ms }}] }} }}\n"
        );
        let report = run(&text);
        let counts = report.snapshot.totals.measured(None, None);
        let expected = if class == Class::Succeeded { 10 } else { 7 };
        assert_eq!(counts.class(class), expected, "{when_busy}");
        assert_eq!(counts.class(Class::Succeeded), if expected == 10 { 10 } else { 3 }, "{when_busy}");
        assert_eq!(counts.unexplained(), 0, "{when_busy}");
        let latency = report.snapshot.totals.merged(Span::Latency, None, None, None);
        // Three at a time: the tenth has its turn after three full seconds.
        let max_ms = latency.max().unwrap() / 1_000;
        let expected_ms = if when_busy == "queue" { 3_900..=4_100 } else { 1_000..=1_010 };
        assert!(expected_ms.contains(&max_ms), "{when_busy}: {max_ms} ms");
    }
}

#[test]
fn updates_out_of_order_and_malformed_ones_are_refused_and_explained() {
    let text = "version: 1\nname: wrong\ngroups:\n  a:\n    count: 20\n    behavior: { delay: 10ms..100ms, accept_delay: 5ms, out_of_order: 40%, malformed: 40%, duplicates: 20% }\n\
                workloads:\n  w:\n    command: { name: w, timeout: 20s }\n    load: { arrival_rate: { stages: [{ rate: 50/s, duration: 10s }] } }\n";
    let report = run(text);
    let counts = report.snapshot.totals.measured(None, None);
    assert_eq!((counts.class(Class::Succeeded), counts.unexplained()), (500, 0));
    let noted = |what: &str| report.snapshot.totals.noted.get(what).copied().unwrap_or(0);
    let malformed = noted("malformed updates sent by plan");
    // 40 % of 500, within four standard errors of 11.
    assert!((156..=244).contains(&malformed), "{malformed}");
    assert_eq!(noted("malformed updates that were refused"), malformed);
    assert!((156..=244).contains(&noted("updates sent out of order by plan")));
}

#[test]
fn careless_firmware_answers_from_the_sending_of_in_progress() {
    let of = |wait: bool| {
        let text = format!(
            "version: 1\nname: careless\ngroups:\n  a: {{ count: 10, behavior: {{ accept_delay: 20ms, delay: 0s, wait_accepted: {wait} }} }}\n\
             workloads:\n  w:\n    command: {{ name: w, timeout: 20s }}\n    load: {{ arrival_rate: {{ stages: [{{ rate: 5/s, duration: 20s }}] }} }}\n"
        );
        let report = run(&text);
        let counts = report.snapshot.totals.measured(None, None);
        assert_eq!((counts.class(Class::Succeeded), counts.unexplained()), (100, 0));
        // The reply to IN_PROGRESS is measured whether it is waited for or not.
        assert_eq!(report.snapshot.totals.merged(Span::Accept, None, None, None).len(), 100);
        report.snapshot.totals.merged(Span::Answer, None, None, None).max().unwrap()
    };
    let (waiting, careless) = (of(true), of(false));
    assert!(careless <= waiting, "{careless} {waiting}");
    assert!((20_000..23_000).contains(&careless), "{careless}");
}
