//! A comparison, and the spread of repeated runs, for people.

use std::fmt::Write as _;

use super::{Called, Change, Comparison, Method, Row};
use crate::report::result::RunResult;
use crate::report::words::printable;
use crate::units::{human_count, human_micros, human_rate};

/// A comparison as a table, with the verdict on its last line.
pub fn comparison_text(comparison: &Comparison) -> String {
    let mut text = String::new();
    let (base, new) = comparison.runs;
    let by = match comparison.method {
        Method::Runs => "intervals from whole runs".to_owned(),
        Method::Blocks(seconds) => format!("intervals from blocks of {seconds}s"),
        Method::Nothing => "no intervals".to_owned(),
    };
    let name = printable(&comparison.scenario);
    line(&mut text, &format!(" COMPARED      {name} · {} before · {} now · {by}", runs(base), runs(new)));
    line(
        &mut text,
        &format!(" {:<17}{:>11}{:>11}{:>10}   95% interval", "LATENCY", "before", "now", "change"),
    );
    for row in &comparison.rows {
        self::row(&mut text, row);
    }
    let (before, now) = comparison.succeeded;
    let points = (now - before) * 100.0;
    line(
        &mut text,
        &format!(
            " {:<17}{:>10.2}%{:>10.2}%{:>10}",
            "SUCCEEDED",
            before * 100.0,
            now * 100.0,
            format!("{points:+.2} pt")
        ),
    );
    line(&mut text, &format!(" {}", verdict(comparison)));
    text
}

fn row(text: &mut String, row: &Row) {
    let (before, now) = row.samples;
    let (before, now) = (human_count(before), human_count(now));
    line(text, &format!("   {}  (n {before} → {now})", printable(&row.name)));
    for change in &row.changes {
        let interval = change
            .interval
            .map(|(low, high)| format!("{} … {}", percent(low), percent(high)))
            .unwrap_or_default();
        let called = match change.called() {
            Called::Same => String::new(),
            Called::Faster => "  faster".to_owned(),
            Called::Slower => "  slower".to_owned(),
            Called::Regression => format!("  ✗ slower by more than {}", limit(change)),
            Called::Unclear => format!("  ? more than {}, and no interval", limit(change)),
        };
        line(
            text,
            &format!(
                "     {:<13}{:>11}{:>11}{:>10}   {interval}{called}",
                format!("p{}", change.percentile),
                micros(change.base_us),
                micros(change.new_us),
                percent(change.growth),
            ),
        );
    }
}

fn verdict(comparison: &Comparison) -> String {
    let count = |called| comparison.changes().filter(|change| change.called() == called).count();
    let (regressed, unclear) = (count(Called::Regression), count(Called::Unclear));
    if regressed > 0 {
        let noun = if regressed == 1 { "percentile is" } else { "percentiles are" };
        return format!("REGRESSED: {regressed} {noun} slower by more than allowed");
    }
    if comparison.method == Method::Nothing {
        let hint = "compare loads of 30s or more, or three runs on each side (run --repeat 3)";
        return if unclear > 0 {
            format!("NOT JUDGED: slower by more than allowed, but the runs are too short to call it; {hint}")
        } else {
            format!("NOT JUDGED: the runs are too short to call a change; {hint}")
        };
    }
    "no regression".to_owned()
}

fn limit(change: &Change) -> String {
    format!("{}%", rounded(change.limit.unwrap_or_default() * 100.0))
}

fn percent(fraction: f64) -> String {
    format!("{:+.1}%", fraction * 100.0)
}

fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
fn micros(us: f64) -> String {
    human_micros(us.round() as u64)
}

fn runs(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The main figures of the same run done several times, with their spread. Empty for fewer than two.
pub fn spread_text(results: &[RunResult]) -> String {
    let mut text = String::new();
    let Some(first) = results.first().filter(|_| results.len() > 1) else { return text };
    let words: Vec<&str> = results.iter().map(|result| result.run.verdict.as_str()).collect();
    line(
        &mut text,
        &format!(
            " SPREAD        {} of {} · seed {}, the same plan each time · {}",
            runs(results.len()),
            printable(&first.scenario.name),
            first.run.seed,
            words.join(", ")
        ),
    );
    line(&mut text, &format!(" {:<17}{:>11}{:>11}{:>11}{:>9}", "", "least", "median", "most", "spread"));
    let mut figure = |name: &str, of: &dyn Fn(&RunResult) -> Option<f64>, show: fn(f64) -> String| {
        let mut values: Vec<f64> = results.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (values.first(), values.last()) else { return };
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        let spread =
            if median > 0.0 { format!("{:.1}%", (most - least) / median * 100.0) } else { String::new() };
        let mut row = String::new();
        let _ = write!(
            row,
            "   {name:<15}{:>11}{:>11}{:>11}{spread:>9}",
            show(*least),
            show(median),
            show(*most)
        );
        line(&mut text, &row);
    };
    // Where a capacity was searched, that is the figure.
    figure("capacity holds", &|result| result.capacity.as_ref()?.answer.as_ref()?.holds_per_s, human_rate);
    for percentile in [50.0, 95.0, 99.0] {
        let of = |result: &RunResult| {
            super::Blocks::of(std::slice::from_ref(result), None).mean_of_runs(percentile)
        };
        figure(&format!("p{percentile} latency"), &of, micros);
    }
    figure("succeeded", &|result| Some(super::succeeded(std::slice::from_ref(result)) * 100.0), |share| {
        format!("{share:.2}%")
    });
    #[expect(clippy::cast_precision_loss, reason = "lags far below 2^53 µs")]
    figure("schedule lag p99", &|result| result.generator.schedule_lag_us_p99.map(|us| us as f64), micros);
    text
}
