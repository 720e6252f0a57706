//! The keys: a line at the bottom (or the question that waits there), and the help over the picture.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::Clear;

use super::{lines, pane, span, title};
use crate::control::Stop;
use crate::report::words::parts_that_fit;
use crate::tui::keys::BINDINGS;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;

/// What a reader of the figures should know.
const NOTES: [&str; 3] = [
    "Latency counts from the planned instant, so a late start is felt, not hidden.",
    "Percentiles are of succeeded executions; other ends are counted apart.",
    "The generator must keep up: if it does not, the run is not valid.",
];

/// The line at the bottom.
pub(super) fn keys(frame: &mut Frame<'_>, area: Rect, state: &UiState) {
    let room = usize::from(area.width.saturating_sub(2));
    let (text, tone) = if state.asking {
        (question(state.stop, room), Tone::Warning)
    } else {
        let frozen = state.is_frozen().then(|| "FROZEN".to_owned());
        let shown = BINDINGS.iter().map(|binding| format!("{} {}", binding.keys, binding.short));
        (parts_that_fit(&frozen.into_iter().chain(shown).collect::<Vec<_>>(), room), Tone::Quiet)
    };
    lines(frame, area, vec![Line::styled(format!(" {text}"), state.theme.style(tone))]);
}

/// What `q` once more would do.
pub(super) fn question(stop: Stop, room: usize) -> String {
    let what = match stop {
        Stop::No => "Stop sending and drain?",
        Stop::Drain | Stop::Now => "End at once, without draining?",
    };
    parts_that_fit(&[format!("{what} q again: yes"), "any other key: no".to_owned()], room)
}

/// The help, in the middle of `area`.
pub(super) fn overlay(frame: &mut Frame<'_>, area: Rect, state: &UiState) {
    let mut text: Vec<Line<'_>> = BINDINGS
        .iter()
        .map(|binding| {
            Line::from(vec![
                span(format!(" {:<8}", binding.keys), state.theme.style(Tone::Strong)),
                span(binding.long, state.theme.style(Tone::Normal)),
            ])
        })
        .collect();
    text.push(Line::default());
    text.extend(NOTES.iter().map(|note| Line::raw(format!(" {note}"))));
    let widest = text.iter().map(Line::width).max().unwrap_or(0) + 3;
    let (width, height) =
        (u16::try_from(widest).unwrap_or(u16::MAX), u16::try_from(text.len() + 2).unwrap_or(u16::MAX));
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    frame.render_widget(Clear, area);
    let inner = pane(frame, area, state, title(&["Help"], area.width));
    lines(frame, inner, text);
}
