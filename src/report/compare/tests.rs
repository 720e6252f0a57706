use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};

use super::*;
use crate::exit::Exit;
use crate::report::result::{SpanResult, WindowResult, run_result};
use crate::report::sample;
use crate::seed::{Draw, Purpose, Seed, Subject};

type Counts = hdrhistogram::Histogram<u64>;

fn base64(counts: &Counts) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(counts, &mut bytes).unwrap();
    STANDARD.encode(bytes)
}

fn empty() -> Counts {
    Counts::new_with_bounds(1, 13 * 3_600_000_000, 3).unwrap()
}

/// A run of so many windows of 10 s: latencies around `typical_us`, in stretches of 30 s that differ by
/// some percent, as real ones do.
fn run(seed: u64, windows: u64, typical_us: f64) -> RunResult {
    let mut result = run_result(&sample::report(sample::done(), Exit::Ok));
    let like = result.spans.iter().find(|span| span.span == "latency").cloned().unwrap();
    result.windows.clear();
    let mut all = empty();
    let draw = |n: u64| Seed(seed).at(Purpose::Decision, Subject::new("run", 0), n);
    for window in 0..windows {
        let level = 0.95 + 0.1 * draw(window / 3).unit();
        let mut own = draw(1_000 + window);
        let mut counts = empty();
        for _ in 0..300 {
            counts.record(latency(&mut own, typical_us * level)).unwrap();
        }
        all.add(&counts).unwrap();
        result.windows.push(WindowResult {
            second: window * 10,
            seconds: 10,
            workload: "ping".to_owned(),
            group: "fast".to_owned(),
            hdr_v2_base64: base64(&counts),
        });
    }
    result.spans = vec![SpanResult {
        workload: Some("ping".to_owned()),
        group: "fast".to_owned(),
        outcome: "succeeded".to_owned(),
        hdr_v2_base64: base64(&all),
        ..like
    }];
    result
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small")]
fn latency(draw: &mut Draw, typical_us: f64) -> u64 {
    // A long tail: the 99th percentile is some 4.6 times the mean.
    (typical_us * -(1.0 - draw.unit()).ln()) as u64 + 1
}

fn called(base: &[RunResult], new: &[RunResult], percentile: f64) -> Called {
    let comparison = compare(base, new, &Limits::default());
    let change =
        comparison.rows[0].changes.iter().find(|c| (c.percentile - percentile).abs() < 1e-9).unwrap();
    change.called()
}

#[test]
fn a_run_is_the_same_as_itself() {
    let one = [run(1, 18, 50_000.0)];
    let comparison = compare(&one, &one, &Limits::default());
    assert_eq!(comparison.method, Method::Blocks(30));
    for change in &comparison.rows[0].changes {
        assert!(change.growth.abs() < 1e-12, "{change:?}");
        assert_eq!(change.called(), Called::Same, "{change:?}");
    }
    assert!(!comparison.has_regressed());
}

#[test]
fn chance_alone_is_rarely_called() {
    let mut wrong = Vec::new();
    let mut regressions = 0;
    for seed in 0..12 {
        let (base, new) = ([run(seed, 18, 50_000.0)], [run(1_000 + seed, 18, 50_000.0)]);
        let comparison = compare(&base, &new, &Limits::default());
        for change in comparison.rows[0].changes.iter().filter(|c| [50.0, 99.0].contains(&c.percentile)) {
            if change.called() != Called::Same {
                regressions += usize::from(change.called() == Called::Regression);
                wrong.push((seed, change.percentile, change.called()));
            }
        }
    }
    // 5 % of 24 are 1 or 2, half of them upwards; more than 5 has a chance of 1 in 300.
    assert!(wrong.len() <= 5 && regressions <= 3, "{} of 24: {wrong:?}", wrong.len());
}

#[test]
fn what_is_slower_is_called_and_beyond_its_limit_a_regression() {
    for seed in 0..5 {
        let base = [run(seed, 18, 50_000.0)];
        assert_eq!(called(&base, &[run(100 + seed, 18, 75_000.0)], 99.0), Called::Regression, "seed {seed}");
        assert_eq!(called(&base, &[run(100 + seed, 18, 75_000.0)], 50.0), Called::Slower, "no limit on p50");
        assert_eq!(called(&base, &[run(100 + seed, 18, 25_000.0)], 99.0), Called::Faster, "seed {seed}");
    }
}

#[test]
fn a_short_run_is_cut_finer_and_a_very_short_one_not_judged() {
    let at = |windows, typical| [run(windows, windows, typical)];
    let method = |windows| compare(&at(windows, 5e4), &at(windows, 5e4), &Limits::default()).method;
    assert_eq!(method(15), Method::Blocks(30));
    assert_eq!(method(16), Method::Blocks(30), "a rest is no block of its own");
    assert_eq!(method(13), Method::Blocks(10));
    assert_eq!(method(4), Method::Blocks(10));
    assert_eq!(method(2), Method::Nothing);
    assert_eq!(called(&at(2, 5e4), &at(2, 9e4), 99.0), Called::Unclear);
    assert!(!compare(&at(2, 5e4), &at(2, 9e4), &Limits::default()).has_regressed());
}

#[test]
fn three_runs_on_each_side_speak_for_themselves() {
    let runs = |from: u64, typical: f64| [from, from + 1, from + 2].map(|seed| run(seed, 3, typical));
    let comparison = compare(&runs(1, 5e4), &runs(11, 8e4), &Limits::default());
    assert_eq!((comparison.method, comparison.runs), (Method::Runs, (3, 3)));
    assert!(comparison.has_regressed());
    assert!(!compare(&runs(1, 5e4), &runs(21, 5e4), &Limits::default()).has_regressed());
}

#[test]
fn what_cannot_be_compared_is_said() {
    let base = [run(1, 6, 5e4)];
    assert_eq!(objections(&base, &base), Vec::<String>::new());
    let mut other = run(2, 6, 5e4);
    other.scenario.hash = "another".to_owned();
    other.environment.cpus += 1;
    other.run.clock = "virtual".to_owned();
    other.run.valid = false;
    other.run.verdict = "VOID".to_owned();
    insta::assert_snapshot!(objections(&base, &[other]).join("\n"));
    let mut stopped = run(3, 6, 5e4);
    stopped.run.verdict = "STOPPED".to_owned();
    assert_eq!(objections(&[stopped], &base).len(), 1);
    let mut steered = run(3, 6, 5e4);
    steered.run.steered = true;
    let texts = objections(&base, &[steered]);
    assert!(texts.len() == 1 && texts[0].contains("was steered by hand"), "{texts:?}");
}

#[test]
fn a_comparison_reads_well() {
    let text =
        |base: &[RunResult], new: &[RunResult]| comparison_text(&compare(base, new, &Limits::default()));
    let base = [run(1, 18, 5e4)];
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}",
        text(&base, &[run(2, 18, 8e4)]),
        text(&base, &[run(3, 18, 5e4)]),
        text(&[run(1, 2, 5e4)], &[run(2, 2, 8e4)])
    ));
    insta::assert_snapshot!("spread", spread_text(&[run(1, 3, 5e4), run(2, 3, 6e4), run(3, 3, 5e4)]));
    assert_eq!(spread_text(&base), "");
}

#[test]
fn a_strangers_result_does_not_break_the_comparison() {
    let mut strange = run(1, 6, 5e4);
    strange.spans[0].hdr_v2_base64 = "AAAA".to_owned();
    for window in &mut strange.windows {
        window.hdr_v2_base64 = "not base64".to_owned();
        window.seconds = 0;
    }
    let comparison = compare(&[run(2, 6, 5e4)], &[strange.clone()], &Limits::default());
    assert_eq!(comparison.rows[0].changes, []);
    comparison_text(&comparison);
    compare(&[], &[], &Limits::default());
    strange.version = 2;
    assert!(is_readable(&strange).is_err());
}
