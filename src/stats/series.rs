//! The points of a run, one a second, in pieces that snapshots share.
//!
//! A snapshot takes the whole series every second. Copying a day of points each time would cost more
//! than most seconds of a run; here a copy shares every piece but the one that grows.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Second, Statistics, Window, Windows};

/// Points in a piece: 75 KB, copied at most once a snapshot.
const PIECE: usize = 256;

/// The newest points of a run, at most [`Series::KEPT`]; older ones leave first.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// All full but the last.
    pieces: VecDeque<Arc<Vec<Second>>>,
    /// Points of the first piece that have left.
    left: usize,
    windows: Windows,
}

impl Series {
    /// A day of seconds: what a screen or a report can show.
    pub const KEPT: usize = 86_400;

    /// Adds the newest point.
    pub fn push(&mut self, second: Second) {
        if self.len() == Self::KEPT {
            self.left += 1;
            if self.left == PIECE {
                self.pieces.pop_front();
                self.left = 0;
            }
        }
        match self.pieces.back_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => Arc::make_mut(piece).push(second),
            None => self.pieces.push_back(Arc::new(vec![second])),
        }
    }

    /// Adds what ended in a second of the run to the windows in which runs are compared.
    pub fn record(&mut self, second: u64, statistics: &Statistics) {
        self.windows.record(second, statistics);
    }

    /// Latency by windows, and their width in seconds.
    pub fn windows(&self) -> (u64, Vec<Window>) {
        (self.windows.width(), self.windows.all())
    }

    /// The points, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Second> {
        self.pieces.iter().flat_map(|piece| piece.iter()).skip(self.left)
    }

    /// The newest point.
    pub fn last(&self) -> Option<&Second> {
        self.pieces.back()?.last()
    }

    /// The newest `count` points, oldest first; all if there are fewer.
    pub fn newest(&self, count: usize) -> Vec<Second> {
        let mut newest = Vec::with_capacity(count.min(self.len()));
        for piece in self.pieces.iter().rev() {
            newest.extend(piece.iter().rev().take(count - newest.len()));
        }
        newest.truncate(self.len());
        newest.reverse();
        newest
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum::<usize>() - self.left
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

impl FromIterator<Second> for Series {
    fn from_iter<T: IntoIterator<Item = Second>>(points: T) -> Self {
        let mut series = Self::default();
        points.into_iter().for_each(|point| series.push(point));
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{CpuUse, Phase};

    fn point(number: u64) -> Second {
        Second {
            number,
            phase: Phase::Load,
            due: 0,
            started: 0,
            succeeded: 0,
            other: 0,
            classes: [0; crate::stats::Class::ALL.len()],
            in_flight: 0,
            online: 0,
            latency_us_p50: None,
            latency_us_p95: None,
            latency_us_p99: None,
            latency_us_max: None,
            heat: crate::stats::HeatColumn::default(),
            schedule_lag_us_p99: None,
            device_lag_us_p99: None,
            cpu: CpuUse::default(),
        }
    }

    fn numbers<'a>(points: impl IntoIterator<Item = &'a Second>) -> Vec<u64> {
        points.into_iter().map(|point| point.number).collect()
    }

    #[test]
    fn a_series_is_the_newest_points_in_order_wherever_its_pieces_end() {
        let kept = Series::KEPT as u64;
        let piece = PIECE as u64;
        for total in [0, 1, piece - 1, piece, piece + 1, kept, kept + 1, kept + piece, kept + 3 * piece + 7] {
            let series: Series = (0..total).map(point).collect();
            let expected: Vec<u64> = (total.saturating_sub(kept)..total).collect();
            assert_eq!(numbers(series.iter()), expected, "of {total}");
            assert_eq!((series.len(), series.is_empty()), (expected.len(), total == 0));
            assert_eq!(series.last().map(|point| point.number), total.checked_sub(1));
            for count in [0, 1, PIECE, PIECE + 1, 10 * PIECE, usize::MAX] {
                let from = expected.len().saturating_sub(count);
                assert_eq!(numbers(&series.newest(count)), expected[from..], "{count} of {total}");
            }
        }
    }

    #[test]
    fn a_copy_does_not_grow_with_its_original() {
        let mut series: Series = (0..3).map(point).collect();
        let copy = series.clone();
        series.push(point(3));
        assert_eq!((numbers(copy.iter()), numbers(series.iter())), (vec![0, 1, 2], vec![0, 1, 2, 3]));
    }
}
