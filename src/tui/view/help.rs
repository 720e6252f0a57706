//! The keys: a line at the bottom (or what stands there instead), and the help over the picture.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear};

use super::{lines, more, span, title, words};
use crate::control::Stop;
use crate::report::words::parts_that_fit;
use crate::tui::keys::{BINDINGS, offered};
use crate::tui::state::UiState;
use crate::tui::theme::Tone;

/// What a reader of the figures should know.
const NOTES: [&str; 3] = [
    "Latency counts from the planned instant, so a late start is felt, not hidden.",
    "Percentiles are of succeeded executions; other ends are counted apart.",
    "The generator must keep up: if it does not, the run is not valid.",
];
/// Room for the keys of a row.
const KEYS: usize = 8;

/// The line at the bottom.
pub(super) fn keys(frame: &mut Frame<'_>, area: Rect, state: &UiState) {
    let room = usize::from(area.width.saturating_sub(2));
    let (text, tone) = answer(state, room).unwrap_or_else(|| {
        let frozen = state.is_frozen().then(|| "FROZEN".to_owned());
        let shown = offered(state.pane).map(|binding| format!("{} {}", binding.keys, binding.short));
        (parts_that_fit(&frozen.into_iter().chain(shown).collect::<Vec<_>>(), room), Tone::Quiet)
    });
    lines(frame, area, vec![Line::styled(format!(" {text}"), state.theme.style(tone))]);
}

/// What stands in place of the keys: the question, the filter that is written, or the answer to a key.
pub(super) fn answer(state: &UiState, room: usize) -> Option<(String, Tone)> {
    if state.asking {
        return Some((question(state.stop, room), Tone::Warning));
    }
    if state.filter.editing {
        return Some((filter(state, room), Tone::Strong));
    }
    state.note.as_ref().map(|note| (words(&note.text, room), note.tone))
}

/// What `q` once more would do.
fn question(stop: Stop, room: usize) -> String {
    let what = match stop {
        Stop::No => "Stop sending and drain?",
        Stop::Drain | Stop::Now => "End at once, without draining?",
    };
    parts_that_fit(&[format!("{what} q again: yes"), "any other key: no".to_owned()], room)
}

/// The filter with its cursor, the end of it where it is long, and what ends the writing.
fn filter(state: &UiState, room: usize) -> String {
    let input = &state.filter.input;
    let (before, after): (String, String) = (
        input.value().chars().take(input.cursor()).collect(),
        input.value().chars().skip(input.cursor()).collect(),
    );
    let text = format!("/{before}▏{after}");
    let hints = ["Enter keep", "Esc all"];
    let with_hints = parts_that_fit(&[text.as_str(), hints[0], hints[1]], room);
    if with_hints.is_empty() {
        let excess = text.chars().count().saturating_sub(room);
        return text.chars().skip(excess).collect();
    }
    with_hints
}

/// The help in the middle of `area`, from this row on.
pub(super) fn overlay(frame: &mut Frame<'_>, area: Rect, from: usize, state: &UiState) {
    let mut text: Vec<Line<'_>> = BINDINGS
        .iter()
        .map(|binding| {
            Line::from(vec![
                span(format!(" {:<KEYS$}", binding.keys), state.theme.style(Tone::Strong)),
                span(binding.long, state.theme.style(Tone::Normal)),
            ])
        })
        .collect();
    text.extend(NOTES.iter().map(|note| Line::raw(format!(" {note}"))));
    text.extend(state.context.page.iter().map(|page| Line::raw(format!(" page: {page}"))));
    let widest = text.iter().map(Line::width).max().unwrap_or(0) + 3;
    let (width, height) =
        (u16::try_from(widest).unwrap_or(u16::MAX), u16::try_from(text.len() + 2).unwrap_or(u16::MAX));
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    frame.render_widget(Clear, area);
    let block = Block::bordered()
        .border_style(state.theme.style(Tone::Strong))
        .title_top(title(&["Help", "any key closes it"], area.width));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let room = usize::from(inner.height);
    let from = from.min(text.len().saturating_sub(room));
    let below = text.len().saturating_sub(from + room);
    lines(frame, inner, text.into_iter().skip(from).take(room).collect());
    more(frame, inner, state, from, below);
}
