//! The latency of what succeeded, in logarithmic buckets.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::bar::bar;
use super::{lines, of_group, pane, span, title, widest};
use crate::report::log_buckets;
use crate::report::words::span as time;
use crate::stats::{Histogram, Percentile, Span};
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::{human_count, human_micros};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let (name, histogram) = shown(picture, state.only);
    let begin: Vec<String> = std::iter::once(name.to_owned()).chain(of_group(picture, state)).collect();
    let mut parts = [&begin[..], &percentiles(&histogram)].concat();
    let p95 = format!("p95 {}", time(histogram.percentile(Percentile(95.0))));
    parts.insert(begin.len() + 1, p95);
    // Where there is no room for three percentiles, two are the most telling ones.
    let three = parts.iter().take(begin.len() + 3).map(|part| part.chars().count() + 3).sum::<usize>();
    if three >= usize::from(area.width) {
        parts.remove(begin.len() + 1);
    }
    let inner = pane(frame, area, state, Tile::Distribution, title(&parts, area.width));
    let buckets = log_buckets(&histogram, usize::from(inner.height));
    if buckets.is_empty() {
        return lines(frame, inner, vec![Line::raw(" nothing has succeeded yet")]);
    }
    let highest = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0);
    let edges: Vec<String> = buckets.iter().map(|b| format!("≤ {}", human_micros(b.to_us))).collect();
    let counts: Vec<String> = buckets.iter().map(|b| human_count(b.count)).collect();
    let (edge_width, count_width) = (widest(&edges), widest(&counts));
    let room = usize::from(inner.width).saturating_sub(edge_width + count_width + 2);
    let room = u16::try_from(room).unwrap_or(u16::MAX);
    let rows = buckets.iter().zip(edges.iter().zip(&counts)).map(|(bucket, (edge, count))| {
        Line::from(vec![
            span(format!("{edge:>edge_width$} {count:>count_width$} "), state.theme.style(Tone::Normal)),
            span(bar(bucket.count, highest, room), state.theme.style(Tone::Bar)),
        ])
    });
    lines(frame, inner, rows.collect());
}

/// Measured successes; before there are any, all that ended, warm-up included, which is of no single group.
pub(super) fn shown(picture: &Picture, group: Option<usize>) -> (&'static str, Histogram) {
    let measured = picture.span(Span::Latency, group);
    if measured.is_empty() && group.is_none() {
        ("Latency so far, not measured", picture.snapshot.totals.recent_latency.clone())
    } else {
        ("Latency", measured)
    }
}

/// The figures of a title, the most telling first.
pub(super) fn percentiles(histogram: &Histogram) -> Vec<String> {
    let at = |percentile| time(histogram.percentile(Percentile(percentile)));
    vec![
        format!("p50 {}", at(50.0)),
        format!("p99 {}", at(99.0)),
        format!("max {}", time(histogram.max())),
        format!("n {}", human_count(histogram.len())),
    ]
}
