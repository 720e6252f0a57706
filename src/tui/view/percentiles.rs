//! Percentiles over time, on an axis that is logarithmic unless asked otherwise.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::chart::{self, Axis, Curve, LEFT};
use super::{lines, pane};
use crate::report::words::position;
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::tui::window::{Column, Columns};

/// A percentile of a column, by its name.
type Percentile = (&'static str, Tone, char, fn(&Column) -> Option<u64>);

/// From the bottom: they never cross.
const SHOWN: [Percentile; 3] = [
    ("p50", Tone::Bar, '·', |column| column.latency_us_p50),
    ("p95", Tone::Second, '+', |column| column.latency_us_p95),
    ("p99", Tone::Third, '×', |column| column.latency_us_p99),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let width = area.width.saturating_sub(2 + LEFT);
    let columns = Columns::of(&picture.snapshot.series, state.window, width);
    let curves: Vec<Curve> =
        columns.iter().flat_map(|columns| curves(columns, width, state.linear)).collect();
    let mut title = Line::raw(" ");
    for curve in &curves {
        title.push_span(curve.legend(state.theme));
    }
    let scale = if state.linear { "linear" } else { "log" };
    let per = columns.as_ref().map_or(1, |columns| columns.per);
    let which = if per > 1 { format!(", worst of {per}s") } else { String::new() };
    let group = if state.only.is_some() { ", all groups" } else { "" };
    for text in [format!("by the second, {scale}{which}{group} "), format!("by the second, {scale} ")] {
        if title.width() + text.chars().count() + 2 <= usize::from(area.width) {
            title.push_span(text);
            break;
        }
    }
    let inner = pane(frame, area, state, Tile::Percentiles, title);
    let Some(columns) = columns else { return };
    let values = || columns.all.iter().flat_map(|column| SHOWN.iter().filter_map(|one| one.3(column)));
    let Some(axis) = Axis::over(values(), state.linear) else {
        return lines(frame, inner, vec![Line::raw(" nothing has ended in this stretch of time")]);
    };
    let from = Duration::from_secs(columns.per * u64::from(width) / columns.cells.max(1) as u64);
    let below = [format!("-{}", position(from)), "now".to_owned()];
    let x = [0.0, f64::from(width.saturating_sub(1))];
    chart::draw(inner, frame.buffer_mut(), state.theme, &curves, (x, axis), below);
}

/// The lines over columns of which the last is the rightmost of `width`.
fn curves(columns: &Columns, width: u16, linear: bool) -> Vec<Curve> {
    let cells = columns.cells;
    let first = usize::from(width).saturating_sub(columns.all.len() * cells);
    let values = || columns.all.iter().flat_map(|column| SHOWN.iter().filter_map(|one| one.3(column)));
    let axis = Axis::over(values(), linear);
    let curve = |(name, tone, glyph, of): Percentile| {
        let points = (first..).step_by(cells).zip(&columns.all).map(|(x, column)| {
            let (axis, us) = (axis?, of(column)?);
            // In the middle of its cells.
            let x = u16::try_from(2 * x + cells - 1).unwrap_or(u16::MAX);
            Some((f64::from(x) / 2.0, axis.at(us)))
        });
        Curve { name, tone, glyph, points: points.collect() }
    };
    SHOWN.into_iter().map(curve).collect()
}
