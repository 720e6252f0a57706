//! Where the time goes: the spans of an execution's life, side by side.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::bar::bar;
use super::{lines, of_group, pane, span, title, widest};
use crate::report::words::span as time;
use crate::stats::{Histogram, Percentile, Span};
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;

/// The whole, then its parts in the order of an execution's life.
const SPANS: [Span; 7] =
    [Span::Latency, Span::StartWait, Span::Start, Span::Delivery, Span::Accept, Span::Answer, Span::Confirm];
/// Narrower bars say nothing.
const SHORTEST_BAR: usize = 6;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let mut parts = vec!["Where the time goes".to_owned()];
    parts.extend(of_group(picture, state));
    let inner = pane(frame, area, state, Tile::Spans, title(&parts, area.width));
    let spans: Vec<(Span, Histogram)> = SPANS
        .into_iter()
        .map(|span| (span, picture.span(span, state.only)))
        .filter(|(_, histogram)| !histogram.is_empty())
        .collect();
    if spans.is_empty() {
        return lines(frame, inner, vec![Line::raw(" nothing measured yet")]);
    }
    let at = |histogram: &Histogram, percentile| histogram.percentile(Percentile(percentile));
    let rows: Vec<[String; 3]> = spans
        .iter()
        .map(|(span, histogram)| {
            [span.name().to_owned(), time(at(histogram, 50.0)), time(at(histogram, 99.0))]
        })
        .collect();
    let widths: [usize; 3] = std::array::from_fn(|column| widest(rows.iter().map(|row| &row[column])).max(4));
    let [first, second, third] = widths;
    let used = first + second + third + 6;
    let room = usize::from(inner.width).saturating_sub(used);
    let room = if room < SHORTEST_BAR { 0 } else { u16::try_from(room).unwrap_or(0) };
    let longest = spans.iter().filter_map(|(_, histogram)| at(histogram, 99.0)).max().unwrap_or(0);
    let head = format!(" {:<first$}  {:>second$}  {:>third$}", "", "p50", "p99");
    let mut shown = vec![Line::styled(head, state.theme.style(Tone::Quiet))];
    for ([name, p50, p99], (_, histogram)) in rows.iter().zip(&spans) {
        let figures = format!(" {name:<first$}  {p50:>second$}  {p99:>third$} ");
        shown.push(Line::from(vec![
            span(figures, state.theme.style(Tone::Normal)),
            span(bar(at(histogram, 99.0).unwrap_or(0), longest, room), state.theme.style(Tone::Bar)),
        ]));
    }
    lines(frame, inner, shown);
}
