//! How many latencies of which size, over time: one cell is one or more seconds by one logarithmic bucket.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::chart::{LABEL, LEFT};
use super::{lines, pane, title};
use crate::stats::HeatColumn;
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::{Theme, Tone};
use crate::tui::window::Columns;
use crate::units::human_micros;

/// A bucket is stretched over no more rows than this.
const TALLEST: usize = 3;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let mut parts = vec!["Latency over time".to_owned(), "few ░▒▓█ many".to_owned()];
    parts.push(format!("the last {}", state.window.words()));
    if state.only.is_some() {
        parts.push("all groups".to_owned());
    }
    let inner = pane(frame, area, state, Tile::HeatMap, title(&parts, area.width));
    let columns = Columns::of(&picture.snapshot.series, state.window, inner.width.saturating_sub(LEFT));
    match columns.as_ref().and_then(|columns| HeatMap::of(columns, inner.height, state.theme)) {
        Some(map) => frame.render_widget(map, inner),
        None => lines(frame, inner, vec![Line::raw(" nothing has ended in this stretch of time")]),
    }
}

/// Columns of latencies with the scale of their densities.
struct HeatMap<'a> {
    columns: &'a Columns,
    theme: Theme,
    /// The first cell that is shown.
    from: usize,
    /// Rows from the bottom.
    rows: usize,
    /// Cells in a row, where there are more cells than rows.
    cells: usize,
    /// Rows of a cell, where there are more rows than cells.
    stretch: usize,
    most: u64,
}

impl<'a> HeatMap<'a> {
    /// `None` if nothing is in any column, or there is no room.
    fn of(columns: &'a Columns, height: u16, theme: Theme) -> Option<Self> {
        let mut all = HeatColumn::default();
        columns.all.iter().for_each(|column| all.add(&column.heat));
        let (from, filled) = all.filled()?;
        let height = usize::from(height);
        let cells = filled.len().div_ceil(height.max(1));
        let buckets = filled.len().div_ceil(cells);
        let stretch = (height / buckets).clamp(1, TALLEST);
        let mut map =
            Self { columns, theme, from, rows: (buckets * stretch).min(height), cells, stretch, most: 0 };
        if height == 0 {
            return None;
        }
        let columns = columns.all.iter();
        let densest = |heat: &HeatColumn| (0..map.rows).map(|row| map.count(heat, row)).max().unwrap_or(0);
        map.most = columns.map(|column| densest(&column.heat)).max().unwrap_or(0);
        Some(map)
    }

    fn first_cell(&self, row: usize) -> usize {
        self.from + row / self.stretch * self.cells
    }

    /// What is in a row, counted from the bottom.
    fn count(&self, heat: &HeatColumn, row: usize) -> u64 {
        let cells = heat.cells().iter().skip(self.first_cell(row)).take(self.cells);
        cells.map(|count| u64::from(*count)).sum()
    }

    /// The largest latency in a row; only said once of several rows.
    fn edge(&self, row: usize) -> Option<u64> {
        let is_top = (row + 1).is_multiple_of(self.stretch);
        let last = (self.first_cell(row) + self.cells - 1).min(HeatColumn::CELLS - 1);
        is_top.then(|| HeatColumn::edge_us(last))
    }
}

impl Widget for HeatMap<'_> {
    #[expect(clippy::cast_precision_loss, reason = "a density")]
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let quiet = self.theme.style(Tone::Quiet);
        for (row, y) in (area.top()..area.bottom()).rev().enumerate() {
            let label =
                (row < self.rows).then(|| self.edge(row)).flatten().map(human_micros).unwrap_or_default();
            let width = usize::from(LABEL) - 1;
            buffer.set_stringn(area.x, y, format!("{label:>width$} │"), usize::from(LEFT), quiet);
            if row >= self.rows {
                continue;
            }
            let columns = self.columns.all.iter().rev();
            let columns = columns.flat_map(|column| std::iter::repeat_n(column, self.columns.cells));
            let places = (area.left() + LEFT..area.right()).rev().zip(columns);
            for (x, column) in places {
                let count = self.count(&column.heat, row);
                if count == 0 {
                    continue;
                }
                // The root, so that a few beside many are still told apart from a very few.
                let (glyph, style) = self.theme.density((count as f64 / self.most.max(1) as f64).sqrt());
                if let Some(cell) = buffer.cell_mut((x, y)) {
                    cell.set_char(glyph).set_style(style);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::tui::window::Window;

    #[test]
    fn every_latency_is_in_a_row_whatever_the_height() {
        let series = sample::measuring().series;
        let columns = Columns::of(&series, Window::default(), 50).unwrap();
        let sum = |heat: &HeatColumn| heat.cells().iter().map(|count| u64::from(*count)).sum::<u64>();
        let expected: u64 = columns.all.iter().map(|column| sum(&column.heat)).sum();
        for height in 1..40 {
            let map = HeatMap::of(&columns, height, Theme::Mono).unwrap();
            let rows = (0..map.rows).step_by(map.stretch);
            let seen: u64 = rows
                .flat_map(|row| columns.all.iter().map(move |column| (row, column)))
                .map(|(row, column)| map.count(&column.heat, row))
                .sum();
            assert_eq!(seen, expected, "at {height} rows");
        }
        assert!(HeatMap::of(&columns, 0, Theme::Mono).is_none());
    }
}
