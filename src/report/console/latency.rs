//! The latency table: a row per group (and workload), what the target added, and the other ends apart.

use std::fmt::Write as _;

use super::Page;
use crate::report::buckets::log_buckets;
use crate::report::words::{printable, share, span};
use crate::stats::{Histogram, Outcome, Percentile, Snapshot, Span};
use crate::units::{human_count, human_micros};

/// Groups or workloads with a row of their own; more are in the JSON result.
const ROWS_SHOWN: usize = 20;
/// Longest name shown whole.
const MAX_NAME: usize = 32;
/// Width of a percentile's column.
const COLUMN: usize = 9;
/// Cells of the picture below the table.
const SPARKS: usize = 40;
/// Heights of a cell, lowest first.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A column and how to fill it.
type Column = (&'static str, fn(&Histogram) -> Option<u64>);

const COLUMNS: [Column; 6] = [
    ("p50", |h| h.percentile(Percentile(50.0))),
    ("p90", |h| h.percentile(Percentile(90.0))),
    ("p95", |h| h.percentile(Percentile(95.0))),
    ("p99", |h| h.percentile(Percentile(99.0))),
    ("p99.9", |h| h.percentile(Percentile(99.9))),
    ("max", Histogram::max),
];

/// Columns in the order in which a narrow terminal loses them.
const DISPENSABLE: [&str; 3] = ["p90", "p99.9", "p95"];

/// One line of the table.
struct Row {
    name: String,
    histogram: Histogram,
    /// Executions that were due; `None` for a row that is not a share of them.
    due: Option<u64>,
}

/// Writes the table and the picture of the succeeded ones.
pub(super) fn table(page: &mut Page, snapshot: &Snapshot) {
    let rows = rows(snapshot);
    rows_under(page, "LATENCY", &rows, true);
    let all = snapshot.totals.merged(Span::Latency, None, None, Some(Outcome::Succeeded));
    if let Some(sparkline) = sparkline(&all) {
        page.line(&format!("   {sparkline}"));
    }
}

/// Writes a row for every span that has samples, all workloads, groups and ends together.
pub(super) fn spans(page: &mut Page, snapshot: &Snapshot) {
    let rows: Vec<Row> = Span::ALL
        .into_iter()
        .map(|span| Row {
            name: span.name().to_owned(),
            histogram: snapshot.totals.merged(span, None, None, None),
            due: None,
        })
        .filter(|row| !row.histogram.is_empty())
        .collect();
    rows_under(page, "SPANS", &rows, false);
}

fn rows_under(page: &mut Page, title: &str, rows: &[Row], with_share: bool) {
    let name_width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(14);
    let columns = columns(page.width.saturating_sub(3 + name_width + 2 * COLUMN));
    let mut heading = format!(" {:<width$}", title, width = name_width + 2);
    for (name, _) in &columns {
        let _ = write!(heading, "{name:>COLUMN$}");
    }
    let _ = write!(heading, "{:>COLUMN$}{:>COLUMN$}", "n", if with_share { "covers" } else { "" });
    let heading = page.paint.bold(&heading);
    page.line(&heading);
    for row in rows {
        page.line(&line(row, &columns, name_width));
    }
}

fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let shape = &snapshot.shape;
    let mut rows = named_rows(&shape.groups, |g| success(snapshot, None, Some(g)));
    if shape.workloads.len() > 1 {
        rows.extend(named_rows(&shape.workloads, |w| success(snapshot, Some(w), None)));
    }
    if rows.len() > 1 {
        let (histogram, due) = success(snapshot, None, None);
        rows.push(Row { name: "all succeeded".to_owned(), histogram, due: Some(due) });
    }
    let other = snapshot.totals.merged(Span::Latency, None, None, Some(Outcome::Other));
    if !other.is_empty() {
        let due = snapshot.totals.measured(None, None).due;
        rows.push(Row { name: "all other ends".to_owned(), histogram: other, due: Some(due) });
    }
    let overhead = snapshot.totals.merged(Span::Overhead, None, None, Some(Outcome::Succeeded));
    rows.push(Row { name: "overhead (all)".to_owned(), histogram: overhead, due: None });
    rows
}

fn success(snapshot: &Snapshot, workload: Option<usize>, group: Option<usize>) -> (Histogram, u64) {
    let histogram = snapshot.totals.merged(Span::Latency, workload, group, Some(Outcome::Succeeded));
    (histogram, snapshot.totals.measured(workload, group).due)
}

fn named_rows(names: &[String], of: impl Fn(usize) -> (Histogram, u64)) -> Vec<Row> {
    names
        .iter()
        .take(ROWS_SHOWN)
        .enumerate()
        .map(|(n, name)| {
            let (histogram, due) = of(n);
            Row { name: shortened(&printable(name)), histogram, due: Some(due) }
        })
        .collect()
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= MAX_NAME {
        return name.to_owned();
    }
    name.chars().take(MAX_NAME - 1).chain(['…']).collect()
}

fn columns(room: usize) -> Vec<Column> {
    let mut columns = COLUMNS.to_vec();
    for dispensable in DISPENSABLE {
        if columns.len() * COLUMN > room {
            columns.retain(|(name, _)| *name != dispensable);
        }
    }
    columns
}

fn line(row: &Row, columns: &[Column], name_width: usize) -> String {
    let mut line = format!("   {:<name_width$}", row.name);
    for (_, value) in columns {
        let _ = write!(line, "{:>COLUMN$}", span(value(&row.histogram)));
    }
    let _ = write!(line, "{:>COLUMN$}", human_count(row.histogram.len()));
    if let Some(due) = row.due {
        let _ = write!(line, "{:>COLUMN$}", share(row.histogram.len(), due));
    }
    line
}

/// The shape of a distribution in one line, with its ends: `▁▂▅█▇▂▁  4.0ms … 512.0ms (log)`.
fn sparkline(histogram: &Histogram) -> Option<String> {
    let (min, max) = (histogram.min()?, histogram.max()?);
    let buckets = log_buckets(histogram, SPARKS);
    let highest = buckets.iter().map(|bucket| bucket.count).max()?;
    let sparks: String = buckets.iter().map(|bucket| level(bucket.count, highest)).collect();
    Some(format!("{sparks}  {} … {} (log)", human_micros(min), human_micros(max)))
}

/// A cell as high as its share of the highest; a single sample is still seen.
fn level(count: u64, highest: u64) -> char {
    if count == 0 {
        return ' ';
    }
    let steps = LEVELS.len() as u128;
    let step = (u128::from(count) * steps).div_ceil(u128::from(highest)).clamp(1, steps) - 1;
    LEVELS[usize::try_from(step).unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_shows_the_highest_full_and_the_smallest_at_all() {
        for (count, shown) in [(0, ' '), (1, '▁'), (500, '▄'), (501, '▅'), (1000, '█')] {
            assert_eq!(level(count, 1000), shown, "{count}");
        }
    }

    #[test]
    fn long_names_are_cut_where_it_shows() {
        assert_eq!(shortened("sensors"), "sensors");
        assert_eq!(shortened(&"x".repeat(64)), format!("{}…", "x".repeat(31)));
    }

    #[test]
    fn a_narrow_terminal_keeps_the_columns_that_matter() {
        let names = |room| columns(room).iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(80), ["p50", "p90", "p95", "p99", "p99.9", "max"]);
        assert_eq!(names(50), ["p50", "p95", "p99", "p99.9", "max"]);
        assert_eq!(names(0), ["p50", "p99", "max"]);
    }
}
