//! What happened, the newest at the bottom: events of the run and thresholds that turned.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{lines, more, pane, span, title, words};
use crate::report::words::{position, printable};
use crate::tui::pane::Tile;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::human_count;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &UiState) {
    let entries = state.entries();
    let filter = state.filter.input.value();
    let mut parts = vec!["Events".to_owned(), human_count(entries.len() as u64)];
    if !filter.is_empty() {
        parts.push(format!("/{}", printable(filter)));
    }
    if state.turns.left_out > 0 {
        parts.push(format!("{} turns left out", human_count(state.turns.left_out)));
    }
    let inner = pane(frame, area, state, Tile::Events, title(&parts, area.width));
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    // Scrolled from the end: what is new comes into sight by itself until somebody looks back.
    let below = state.offset(Tile::Events).min(entries.len().saturating_sub(height));
    let until = entries.len() - below;
    let from = until.saturating_sub(height);
    let shown = entries[from..until].iter().map(|entry| {
        let at = format!(" {}  ", position(Duration::from_micros(entry.at_us)));
        let text = words(&entry.text, width.saturating_sub(at.chars().count()));
        Line::from(vec![span(at, state.theme.style(Tone::Quiet)), span(text, state.theme.style(entry.tone))])
    });
    lines(frame, inner, shown.collect());
    more(frame, inner, state, from, below);
}
