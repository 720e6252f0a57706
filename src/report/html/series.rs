//! The seconds of a run as columns of numbers, thinned to what a picture can show.
//!
//! A point stands for one second, or in long runs for several: it then holds their sum of what is counted
//! and their worst of what is measured, so that no spike is lost. Points begin at multiples of their width
//! whenever they are made, so those of a run that goes on can be sent piece by piece.

use std::collections::BTreeMap;

use serde::Serialize;

use super::classes::STACK;
use crate::report::result::{HeatResult, Point};

/// More points than this no picture shows.
const MOST_POINTS: u64 = 1_000;
/// Widths in seconds that people can read off an axis.
const WIDTHS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600];

/// Seconds that one point stands for, in a run of so many.
pub fn width_for(seconds: u64) -> u64 {
    WIDTHS.into_iter().find(|width| seconds.div_ceil(*width) <= MOST_POINTS).unwrap_or(WIDTHS[11])
}

/// Columns: the n-th entry of each belongs to the n-th point.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Series {
    /// Seconds that a point stands for.
    pub width: u64,
    /// The second in which each begins.
    pub t: Vec<u64>,
    /// How many seconds each holds: fewer than `width` at the ends.
    pub n: Vec<u32>,
    /// Sums.
    pub due: Vec<u64>,
    /// Sums.
    pub started: Vec<u64>,
    /// Sums by class; classes that never occurred are left out.
    pub classes: BTreeMap<&'static str, Vec<u64>>,
    /// Largest.
    pub in_flight: Vec<u64>,
    /// Smallest.
    pub online: Vec<u64>,
    /// Largest, in µs, as all latencies and lags here.
    pub p50: Vec<Option<u64>>,
    /// Largest.
    pub p95: Vec<Option<u64>>,
    /// Largest.
    pub p99: Vec<Option<u64>>,
    /// Largest.
    pub max: Vec<Option<u64>>,
    /// Largest of both lags.
    pub lag: Vec<Option<u64>>,
    /// Largest, in cores.
    pub generator: Vec<Option<f64>>,
    /// Largest, in cores.
    pub backend: Vec<Option<f64>>,
    /// Sums: the cell of the first count, and the counts.
    pub heat: Vec<Option<(usize, Vec<u64>)>>,
    /// Where each phase begins.
    pub phases: Vec<(u64, String)>,
}

impl Series {
    /// The points of these seconds.
    pub fn of<'a>(seconds: impl IntoIterator<Item = &'a Point>, width: u64) -> Self {
        let mut series = Self { width, ..Self::default() };
        let mut phase = "";
        for second in seconds {
            if second.phase != phase {
                phase = &second.phase;
                series.phases.push((second.second, phase.to_owned()));
            }
            let begin = second.second / width * width;
            if series.t.last() != Some(&begin) {
                series.open(begin);
            }
            series.add(second);
        }
        series.classes.retain(|_, column| column.iter().any(|count| *count > 0));
        series
    }

    /// What a point stands for, if that is more than a second.
    pub fn words(&self) -> Option<String> {
        (self.width > 1).then(|| {
            format!(
                "Each point stands for {} seconds: counts are means per second, percentiles the worst second's.",
                self.width
            )
        })
    }

    fn open(&mut self, begin: u64) {
        self.t.push(begin);
        self.n.push(0);
        let counts = [&mut self.due, &mut self.started, &mut self.in_flight];
        for column in counts {
            column.push(0);
        }
        self.online.push(u64::MAX);
        let spans = [&mut self.p50, &mut self.p95, &mut self.p99, &mut self.max, &mut self.lag];
        for column in spans {
            column.push(None);
        }
        self.generator.push(None);
        self.backend.push(None);
        self.heat.push(None);
        for class in STACK {
            self.classes.entry(class.name()).or_default().push(0);
        }
    }

    /// Adds a second to the newest point.
    fn add(&mut self, second: &Point) {
        if let Some(seconds) = self.n.last_mut() {
            *seconds = seconds.saturating_add(1);
        }
        plus(&mut self.due, second.due);
        plus(&mut self.started, second.started);
        most(&mut self.in_flight, second.in_flight);
        if let Some(online) = self.online.last_mut() {
            *online = (*online).min(second.online);
        }
        let latency = &second.latency_us;
        most(&mut self.p50, latency.p50);
        most(&mut self.p95, latency.p95);
        most(&mut self.p99, latency.p99);
        most(&mut self.max, latency.max);
        most(&mut self.lag, second.schedule_lag_us_p99.max(second.device_lag_us_p99));
        if let Some(cpu) = second.cpu {
            highest(&mut self.generator, Some(cpu.generator));
            highest(&mut self.backend, cpu.backend);
        }
        for (class, count) in &second.classes {
            // A name of a later version has no colour here.
            let known = STACK.into_iter().find(|known| known.name() == class);
            if let Some(column) = known.and_then(|class| self.classes.get_mut(class.name())) {
                plus(column, u64::from(*count));
            }
        }
        if let (Some(cells), Some(heat)) = (self.heat.last_mut(), &second.heat) {
            heat_up(cells, heat);
        }
    }
}

/// Counts of a result from outside may be anything: a sum too large stays the largest.
fn plus(column: &mut [u64], more: u64) {
    if let Some(last) = column.last_mut() {
        *last = last.saturating_add(more);
    }
}

fn most<T: Ord>(column: &mut [T], value: T) {
    if let Some(last) = column.last_mut()
        && value > *last
    {
        *last = value;
    }
}

fn highest(column: &mut [Option<f64>], cores: Option<f64>) {
    if let (Some(last), Some(cores)) = (column.last_mut(), cores) {
        let cores = (cores * 1_000.0).round() / 1_000.0;
        *last = Some(last.map_or(cores, |last| last.max(cores)));
    }
}

/// Cells of a column that anyone may have written: more than any histogram has are not looked at.
const MOST_CELLS: usize = 64;

fn heat_up(cells: &mut Option<(usize, Vec<u64>)>, more: &HeatResult) {
    let from = more.from.min(MOST_CELLS);
    let counts = &more.counts[..more.counts.len().min(MOST_CELLS - from)];
    let (begin, sums) = cells.get_or_insert_with(|| (from, Vec::new()));
    if from < *begin {
        sums.splice(0..0, std::iter::repeat_n(0, *begin - from));
        *begin = from;
    }
    let offset = from - *begin;
    sums.resize(sums.len().max(offset + counts.len()), 0);
    for (sum, count) in sums[offset..].iter_mut().zip(counts) {
        *sum = sum.saturating_add(u64::from(*count));
    }
}
