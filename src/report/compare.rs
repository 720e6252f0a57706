//! Whether one run is slower than another: percentiles side by side, each with the interval in which its
//! change lies. Pure; what it looks like is in `text`.
//!
//! Executions that are near in time are alike, so single samples say nothing about how much a
//! percentile varies. Whole runs do, three or more on each side; otherwise stretches of 30 s, the blocks,
//! are drawn with replacement again and again, and the middle 95 % of what comes out is the interval. A
//! change is called only if its interval leaves out zero.

mod blocks;
mod limits;
mod text;

use super::result::{RunResult, VERSION};
use blocks::{Blocks, Interval};

pub use limits::Limits;
pub use text::{comparison_text, spread_text};

/// What is compared of every row.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

/// From so many runs on each side the runs themselves say how much they vary.
const RUNS: usize = 3;

/// Two sides and how they differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: String,
    /// Runs of the baseline, and new ones.
    pub runs: (usize, usize),
    /// What the intervals rest on.
    pub method: Method,
    /// All together if there is more than one workload and group, then each pair.
    pub rows: Vec<Row>,
    /// What succeeded of all measured executions that were due, before and now.
    pub succeeded: (f64, f64),
}

/// What the intervals rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// How whole runs differ among themselves.
    Runs,
    /// How stretches of this many seconds differ within the runs.
    Blocks(u64),
    /// The runs are too short to know.
    Nothing,
}

/// One workload in one group, or all.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// `reboot / sensors`, or `all`.
    pub name: String,
    /// Successes, before and now.
    pub samples: (u64, u64),
    /// One for each percentile that both sides have.
    pub changes: Vec<Change>,
}

/// How a percentile of the latency changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Which, 0 to 100.
    pub percentile: f64,
    /// In µs; of several runs the mean.
    pub base_us: f64,
    /// In µs; of several runs the mean.
    pub new_us: f64,
    /// (new − base) / base.
    pub growth: f64,
    /// Where the change lies with 95 % confidence.
    pub interval: Option<(f64, f64)>,
    /// By how much it may grow, if that was asked.
    pub limit: Option<f64>,
}

/// What a change is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// Nothing that chance could not do.
    Same,
    /// Surely shorter.
    Faster,
    /// Surely longer, and within its limit or without one.
    Slower,
    /// Surely longer, and by more than its limit.
    Regression,
    /// There is no interval, and it grew beyond its limit.
    Unclear,
}

impl Change {
    /// What it is called.
    pub fn called(&self) -> Called {
        let beyond = self.limit.is_some_and(|limit| self.growth > limit);
        let beyond_chance = self.interval.map(|(low, high)| (low > 0.0, high < 0.0));
        match beyond_chance {
            None if beyond => Called::Unclear,
            Some((true, _)) if beyond => Called::Regression,
            Some((true, _)) => Called::Slower,
            Some((_, true)) => Called::Faster,
            None | Some((false, false)) => Called::Same,
        }
    }
}

impl Comparison {
    /// Whether any percentile is surely slower by more than its limit.
    pub fn has_regressed(&self) -> bool {
        self.changes().any(|change| change.called() == Called::Regression)
    }

    fn changes(&self) -> impl Iterator<Item = &Change> {
        self.rows.iter().flat_map(|row| &row.changes)
    }
}

/// Why results should not be compared; `--force` does it all the same.
pub fn objections(base: &[RunResult], new: &[RunResult]) -> Vec<String> {
    let mut objections = Vec::new();
    let all = || base.iter().map(|run| ("baseline", run)).chain(new.iter().map(|run| ("new run", run)));
    for (side, result) in all() {
        let name = &result.scenario.name;
        let run = &result.run;
        let what = match run.verdict.as_str() {
            "VOID" => "is not valid: its generator fell behind",
            "STOPPED" => "was stopped before its end",
            "ERROR" => "could not be done",
            _ if !run.valid => "is not valid: its generator fell behind",
            _ if run.steered => "was steered by hand: its load was paused or played at another rate",
            _ => continue,
        };
        objections.push(format!("the {side} of {} ({name}) {what}", run.start));
    }
    let Some(first) = base.first() else { return objections };
    for (_, other) in all().skip(1) {
        let pairs = [
            ("scenarios", short(&first.scenario.hash), short(&other.scenario.hash)),
            ("machines", machine(first), machine(other)),
            ("clocks", first.run.clock.clone(), other.run.clock.clone()),
        ];
        for (what, one, another) in pairs.into_iter().filter(|(_, one, another)| one != another) {
            let text = format!("the runs have different {what}: {one} and {another}");
            if !objections.contains(&text) {
                objections.push(text);
            }
        }
    }
    objections
}

/// What does not belong to a result of this program.
pub fn is_readable(result: &RunResult) -> Result<(), String> {
    if result.version == VERSION {
        Ok(())
    } else {
        Err(format!("it is a result of version {}; this fleetsim reads version {VERSION}", result.version))
    }
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

fn machine(result: &RunResult) -> String {
    format!("{} with {} processors", result.environment.os, result.environment.cpus)
}

/// Compares the new runs with the baseline's. A histogram that cannot be read is left out.
pub fn compare(base: &[RunResult], new: &[RunResult], limits: &Limits) -> Comparison {
    let cells = cells(base, new);
    let mut rows = Vec::new();
    let mut method = Method::Nothing;
    let whole = (cells.len() > 1).then_some(None);
    for cell in whole.into_iter().chain(cells.iter().map(Some)) {
        let sides = [Blocks::of(base, cell), Blocks::of(new, cell)];
        let (row, own) = row(cell, &sides, limits);
        if method == Method::Nothing {
            method = own;
        }
        rows.push(row);
    }
    Comparison {
        scenario: new.first().map(|run| run.scenario.name.clone()).unwrap_or_default(),
        runs: (base.len(), new.len()),
        method,
        rows,
        succeeded: (succeeded(base), succeeded(new)),
    }
}

/// A workload and a group by name.
type Cell = (String, String);

/// What any run has latencies of, in the order of the file.
fn cells(base: &[RunResult], new: &[RunResult]) -> Vec<Cell> {
    let spans = base.iter().chain(new).flat_map(|run| &run.spans);
    let mut cells = Vec::new();
    for span in spans.filter(|span| span.span == "latency" && span.outcome == "succeeded") {
        let cell = (span.workload.clone().unwrap_or_default(), span.group.clone());
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    cells
}

fn row(cell: Option<&Cell>, [base, new]: &[Blocks; 2], limits: &Limits) -> (Row, Method) {
    let name = cell.map_or_else(|| "all".to_owned(), |(workload, group)| format!("{workload} / {group}"));
    let percentiles = limits.percentiles_with(&PERCENTILES);
    let by_runs = base.runs() >= RUNS && new.runs() >= RUNS;
    let (method, intervals) = if by_runs {
        (Method::Runs, percentiles.iter().map(|p| blocks::between_runs(base, new, *p)).collect())
    } else {
        match blocks::resample(&name, base, new, &percentiles) {
            Some((seconds, intervals)) => (Method::Blocks(seconds), intervals),
            None => (Method::Nothing, vec![None; percentiles.len()]),
        }
    };
    let changes = percentiles.iter().zip(intervals).filter_map(|(percentile, interval)| {
        change(*percentile, base, new, interval, limits.of(*percentile))
    });
    (Row { name, samples: (base.samples(), new.samples()), changes: changes.collect() }, method)
}

fn change(
    percentile: f64,
    base: &Blocks,
    new: &Blocks,
    interval: Option<Interval>,
    limit: Option<f64>,
) -> Option<Change> {
    let (base_us, new_us) = (base.mean_of_runs(percentile)?, new.mean_of_runs(percentile)?);
    let growth = (new_us - base_us) / base_us.max(1.0);
    Some(Change { percentile, base_us, new_us, growth, interval, limit })
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn succeeded(runs: &[RunResult]) -> f64 {
    let (mut succeeded, mut due) = (0, 0);
    for run in runs {
        succeeded += run.totals.measured.classes.get("succeeded").copied().unwrap_or(0);
        due += run.totals.measured.due;
    }
    succeeded as f64 / due.max(1) as f64
}

#[cfg(test)]
mod tests;
