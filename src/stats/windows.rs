//! Latency in windows of ten seconds, for comparing runs: how much a percentile varies within a run
//! says which difference between two runs is more than chance.
//!
//! Closed windows are kept compressed, and there is a bound on their number: a run that lasts longer
//! has wider ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use super::{Histogram, Outcome, Span, Statistics};

/// Seconds of a window, unless the run is too long for so many.
pub const WINDOW_SECONDS: u64 = 10;
/// Windows of a run: an hour of them.
const MAX_WINDOWS: u64 = 360;
/// Pairs of workload and group that have windows: the first ones.
const MAX_CELLS: usize = 64;

/// Workload and group by index.
pub type Cell = (usize, usize);

/// Windows by number and cell.
type Closed = BTreeMap<(u64, Cell), Arc<[u8]>>;

/// The measured latencies that succeeded, by window, workload and group.
#[derive(Debug, Clone)]
pub struct Windows {
    /// Seconds of a window.
    width: u64,
    /// By number of the window and cell; HdrHistogram V2, compressed.
    closed: Arc<Closed>,
    /// The window that is being filled: its number and histograms.
    open: (u64, Arc<BTreeMap<Cell, Histogram>>),
}

/// One window of one workload in one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The second of the run in which it begins.
    pub second: u64,
    /// Workload and group by index.
    pub cell: Cell,
    /// HdrHistogram V2, compressed.
    pub compressed: Arc<[u8]>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { width: WINDOW_SECONDS, closed: Arc::default(), open: (0, Arc::default()) }
    }
}

impl Windows {
    /// Adds what ended in a second of the run.
    pub fn record(&mut self, second: u64, statistics: &Statistics) {
        while second / self.width >= MAX_WINDOWS {
            self.widen();
        }
        let number = second / self.width;
        if number != self.open.0 {
            self.close();
            self.open.0 = number;
        }
        let shape = statistics.shape();
        for workload in 0..shape.workloads.len() {
            for group in 0..shape.groups.len() {
                let latency = statistics.histogram(Span::Latency, workload, group, Outcome::Succeeded);
                let Some(latency) = latency.filter(|histogram| !histogram.is_empty()) else { continue };
                let open = Arc::make_mut(&mut self.open.1);
                if open.contains_key(&(workload, group)) || workload * shape.groups.len() + group < MAX_CELLS
                {
                    open.entry((workload, group)).or_default().add(latency);
                }
            }
        }
    }

    /// Seconds of a window.
    pub fn width(&self) -> u64 {
        self.width
    }

    /// All windows that have samples, oldest first.
    pub fn all(&self) -> Vec<Window> {
        let mut finished = self.clone();
        finished.close();
        let windows = finished.closed.iter().map(|((number, cell), compressed)| Window {
            second: number * finished.width,
            cell: *cell,
            compressed: Arc::clone(compressed),
        });
        windows.collect()
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open.1);
        for (cell, histogram) in open.iter() {
            let closed = Arc::make_mut(&mut self.closed);
            closed.insert((self.open.0, *cell), compressed(&histogram.counts()));
        }
    }

    /// Makes every two neighbours one.
    fn widen(&mut self) {
        self.close();
        let mut wider = Closed::new();
        for ((number, cell), bytes) in self.closed.iter() {
            let slot = wider.entry((number / 2, *cell)).or_insert_with(|| Arc::clone(bytes));
            if !Arc::ptr_eq(slot, bytes) {
                *slot = merged(slot, bytes);
            }
        }
        self.closed = Arc::new(wider);
        self.width *= 2;
        self.open.0 /= 2;
    }
}

fn compressed(counts: &hdrhistogram::Histogram<u64>) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(counts, &mut bytes)
        .expect("a bounded histogram fits the format and memory does not refuse bytes");
    bytes.into()
}

fn merged(one: &[u8], other: &[u8]) -> Arc<[u8]> {
    let read = |mut bytes: &[u8]| Deserializer::new().deserialize::<u64, _>(&mut bytes);
    match (read(one), read(other)) {
        (Ok(mut sum), Ok(other)) => {
            sum.add(&other).expect("all histograms have the same bounds");
            compressed(&sum)
        }
        _ => unreachable!("what was compressed here is read back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Shape;

    fn second(samples: &[u64]) -> Statistics {
        let shape = Shape { workloads: vec!["w".to_owned()], groups: vec!["a".to_owned(), "b".to_owned()] };
        let mut statistics = Statistics::new(Arc::new(shape));
        for us in samples {
            statistics.record(Span::Latency, 0, 1, Outcome::Succeeded, *us);
            statistics.record(Span::Latency, 0, 0, Outcome::Other, *us);
        }
        statistics
    }

    fn counts(window: &Window) -> hdrhistogram::Histogram<u64> {
        Deserializer::new().deserialize(&mut &window.compressed[..]).unwrap()
    }

    #[test]
    fn every_success_is_in_the_window_in_which_it_ended() {
        let mut windows = Windows::default();
        for number in 0..25 {
            windows.record(number, &second(&[1_000 * (number + 1)]));
        }
        let all = windows.all();
        let shown: Vec<_> =
            all.iter().map(|w| (w.second, w.cell, counts(w).len(), counts(w).max())).collect();
        let max = |us: u64| counts(&all[0]).highest_equivalent(us);
        assert_eq!(
            shown,
            [(0, (0, 1), 10, max(10_000)), (10, (0, 1), 10, max(20_000)), (20, (0, 1), 5, max(25_000))]
        );
        assert_eq!(windows.all(), all, "looking changes nothing");
    }

    #[test]
    fn a_long_run_has_wider_windows_and_loses_no_sample() {
        let mut windows = Windows::default();
        let seconds = 3 * MAX_WINDOWS * WINDOW_SECONDS;
        for number in (0..seconds).step_by(7) {
            windows.record(number, &second(&[500, 5_000]));
        }
        let all = windows.all();
        assert_eq!(windows.width(), 4 * WINDOW_SECONDS);
        assert!(all.len() as u64 <= MAX_WINDOWS, "{}", all.len());
        let samples: u64 = all.iter().map(|window| counts(window).len()).sum();
        assert_eq!(samples, 2 * seconds.div_ceil(7));
    }
}
