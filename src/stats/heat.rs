//! The latencies of a moment in a few logarithmic cells: one column of a heat map.

use std::sync::LazyLock;

use super::Histogram;

/// How many latencies fell between one edge and the next. Three cells to a decade; edges are the same in
/// every column, so that columns add up and stand side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeatColumn {
    cells: [u32; Self::CELLS],
}

/// Cells per decade: neighbouring edges are a factor of 2.15 apart.
const PER_DECADE: u32 = 3;
/// The first edge is 10^(6/3) = 100 µs: below, nothing is told apart.
const FIRST_EDGE: u32 = 6;
/// Upper edges in µs: 100, 215, 464, 1 000 … 10^11, above the 13 h at which histograms end.
static EDGES: LazyLock<[u64; HeatColumn::CELLS]> = LazyLock::new(|| {
    std::array::from_fn(|cell| {
        let exponent = f64::from(FIRST_EDGE) + u32::try_from(cell).map_or(0.0, f64::from);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 10^11")]
        let edge = 10f64.powf(exponent / f64::from(PER_DECADE)).round() as u64;
        edge
    })
});

impl Default for HeatColumn {
    fn default() -> Self {
        Self { cells: [0; Self::CELLS] }
    }
}

impl HeatColumn {
    /// Cells of a column.
    pub const CELLS: usize = 28;

    /// The samples of a histogram.
    pub fn of(histogram: &Histogram) -> Self {
        let mut column = Self::default();
        histogram.for_each(|us, count| {
            let cell = EDGES.partition_point(|edge| *edge < us).min(Self::CELLS - 1);
            let more = u32::try_from(count).unwrap_or(u32::MAX);
            column.cells[cell] = column.cells[cell].saturating_add(more);
        });
        column
    }

    /// A column with these counts, the first of them in cell `from`; what is beyond the last cell is in it.
    pub fn from_counts(from: usize, counts: &[u32]) -> Self {
        let mut column = Self::default();
        for (cell, count) in (from..).zip(counts) {
            let cell = &mut column.cells[cell.min(Self::CELLS - 1)];
            *cell = cell.saturating_add(*count);
        }
        column
    }

    /// The upper edge of a cell, in µs: the largest latency in it.
    pub fn edge_us(cell: usize) -> u64 {
        EDGES[cell.min(Self::CELLS - 1)]
    }

    /// The counts from the fastest cell to the slowest.
    pub fn cells(&self) -> &[u32; Self::CELLS] {
        &self.cells
    }

    /// The first cell that is not empty, and the counts from there to the last such cell; `None` if all are.
    pub fn filled(&self) -> Option<(usize, &[u32])> {
        let first = self.cells.iter().position(|count| *count > 0)?;
        let last = self.cells.iter().rposition(|count| *count > 0)?;
        Some((first, &self.cells[first..=last]))
    }

    /// Adds the samples of another column.
    pub fn add(&mut self, other: &HeatColumn) {
        for (mine, theirs) in self.cells.iter_mut().zip(other.cells) {
            *mine = mine.saturating_add(theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(samples: impl IntoIterator<Item = u64>) -> HeatColumn {
        let mut histogram = Histogram::default();
        samples.into_iter().for_each(|us| histogram.record(us));
        HeatColumn::of(&histogram)
    }

    #[test]
    fn edges_are_three_to_a_decade_and_reach_as_far_as_histograms() {
        let edges: Vec<u64> = (0..5).map(HeatColumn::edge_us).collect();
        assert_eq!(edges, [100, 215, 464, 1_000, 2_154]);
        assert!(HeatColumn::edge_us(HeatColumn::CELLS - 1) > 13 * 3600 * 1_000_000);
    }

    #[test]
    fn a_latency_is_in_the_cell_whose_edge_it_does_not_exceed() {
        for (us, cell) in [(0, 0), (100, 0), (110, 1), (1_000, 3), (1_010, 4), (u64::MAX, 27)] {
            assert_eq!(column([us]).filled(), Some((cell, &[1][..])), "{us}");
        }
    }

    #[test]
    fn an_empty_column_has_nothing_filled() {
        assert_eq!(HeatColumn::default().filled(), None);
    }

    proptest::proptest! {
        #[test]
        fn no_sample_is_lost_however_many_there_are(
            samples in proptest::collection::vec(0u64..100_000_000_000, 0..3_000),
        ) {
            let all = column(samples.iter().copied());
            proptest::prop_assert_eq!(all.cells().iter().sum::<u32>() as usize, samples.len());
            let mut halves = column(samples.iter().copied().step_by(2));
            halves.add(&column(samples.iter().copied().skip(1).step_by(2)));
            proptest::prop_assert_eq!(halves, all);
            if let Some((from, counts)) = all.filled() {
                proptest::prop_assert_eq!(HeatColumn::from_counts(from, counts), all);
            }
        }
    }
}
