//! What went wrong with single executions, as the ledger found it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{pane, scrolled, title, words};
use crate::report::words::{position, printable};
use crate::stats::{Anomaly, Snapshot};
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::human_count;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let anomalies = &picture.snapshot.anomalies;
    let count = human_count(anomalies.len() as u64);
    let kept = if anomalies.len() == Snapshot::ANOMALIES_KEPT { format!("the first {count}") } else { count };
    let inner = pane(frame, area, state, Tile::Anomalies, title(&["Anomalies".to_owned(), kept], area.width));
    let width = usize::from(inner.width);
    if anomalies.is_empty() {
        return super::lines(frame, inner, vec![Line::raw(" none: no execution was lost or contradicted")]);
    }
    let lines = anomalies.iter().map(|one| line(one, width, state));
    scrolled(frame, inner, state, Tile::Anomalies, lines);
}

/// One of them: when it was planned in the load, what, whose.
pub(super) fn line<'a>(anomaly: &Anomaly, width: usize, state: &UiState) -> Line<'a> {
    let at = position(std::time::Duration::from_micros(anomaly.planned_us));
    let device = printable(&anomaly.device);
    let planned = if anomaly.explained { " (explained)" } else { "" };
    let text =
        format!(" {at}  {}{planned}  {device}  {}", anomaly.finding.name(), printable(&anomaly.last_seen));
    let tone = if anomaly.explained { Tone::Normal } else { Tone::Bad };
    Line::styled(words(&text, width), state.theme.style(tone))
}
