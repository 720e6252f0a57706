//! What the screen looks like: the picture and the state turned into cells, nothing else.
//!
//! ```text
//! header    scenario, phase and time; progress and thresholds
//! tabs      the panes of this run
//! body      the tiles of the pane, as `layout` places them; a file for each
//! health    does the generator keep up
//! keys      or the question, the filter or the answer that stands there
//! ```
//! A narrow screen loses tiles, columns and figures, but never half of one.

mod anomalies;
mod bar;
mod capacity;
mod chart;
mod connect;
mod distribution;
mod ends;
mod events;
mod group_detail;
mod groups;
mod header;
mod health;
mod heat_map;
mod help;
mod percentiles;
mod rollout;
mod seconds;
mod spans;
mod thresholds;
mod tiny;

use ratatui::Frame;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::layout::{self, Screen};
use super::pane::Tile;
use super::picture::Picture;
use super::press;
use super::state::UiState;
use super::theme::Tone;
use crate::report::words::{SEPARATOR, parts_that_fit};

/// Draws the whole screen, whatever its size.
pub(super) fn draw(frame: &mut Frame<'_>, state: &UiState) {
    let area = frame.area();
    let Some(Screen { header, tabs, body, health, keys }) = layout::screen(area) else {
        return tiny::draw(frame, area, state);
    };
    header::draw(frame, header, state);
    header::tabs(frame, tabs, state);
    let tiles = layout::tiles(state, body);
    for (tile, place) in &tiles {
        draw_tile(frame, *tile, *place, state);
    }
    if let Some(picture) = state.picture() {
        health::draw(frame, health, picture, state);
    }
    help::keys(frame, keys, state);
    if let Some(from) = state.help {
        help::overlay(frame, tabs.union(health), from, state);
    }
}

/// The screen as text, at its size or a usual one, whichever is larger.
pub(super) fn text(state: &UiState) -> String {
    let (width, height) = (state.size.0.max(80), state.size.1.max(24));
    // A backend in memory has no errors.
    let Ok(mut terminal) = ratatui::Terminal::new(TestBackend::new(width, height));
    let Ok(_) = terminal.draw(|frame| draw(frame, state));
    let rows = terminal.backend().buffer().content().chunks(usize::from(width));
    let mut text = String::new();
    for row in rows {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn draw_tile(frame: &mut Frame<'_>, tile: Tile, area: Rect, state: &UiState) {
    let Some(picture) = state.picture() else {
        let text = match tile {
            Tile::Connects => return connect::draw(frame, area, None, state),
            _ => " nothing to show yet",
        };
        let inner = pane(frame, area, state, tile, Line::default());
        return lines(frame, inner, vec![Line::raw(text)]);
    };
    match tile {
        Tile::Connects => connect::draw(frame, area, Some(picture), state),
        Tile::Ends => ends::draw(frame, area, picture, state),
        Tile::Thresholds => thresholds::draw(frame, area, picture, state),
        Tile::Seconds => seconds::draw(frame, area, picture, state),
        Tile::Spans => spans::draw(frame, area, picture, state),
        Tile::Distribution => distribution::draw(frame, area, picture, state),
        Tile::Percentiles => percentiles::draw(frame, area, picture, state),
        Tile::HeatMap => heat_map::draw(frame, area, picture, state),
        Tile::GroupTable => groups::draw(frame, area, picture, state),
        Tile::GroupDetail => group_detail::draw(frame, area, picture, state),
        Tile::Batches => rollout::batches(frame, area, picture, state),
        Tile::Rates => rollout::rates(frame, area, picture, state),
        Tile::Gauges => rollout::gauges(frame, area, picture, state),
        Tile::Stuck => rollout::stuck(frame, area, picture, state),
        Tile::Steps => capacity::steps(frame, area, picture, state),
        Tile::Curve => capacity::curve(frame, area, picture, state),
        Tile::Bounds => capacity::bounds(frame, area, picture, state),
        Tile::Events => events::draw(frame, area, state),
        Tile::Anomalies => anomalies::draw(frame, area, picture, state),
    }
}

/// The frame of a tile with its title; gives the area within. The one in focus stands out.
fn pane(frame: &mut Frame<'_>, area: Rect, state: &UiState, tile: Tile, heading: Line<'_>) -> Rect {
    let tone = if press::focused(state) == Some(tile) { Tone::Strong } else { Tone::Quiet };
    let block = Block::bordered()
        .border_style(state.theme.style(tone))
        .title_top(heading.patch_style(state.theme.style(Tone::Strong)));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// The title of a tile: the figures that fit between its corners, with a blank on either side.
fn title<'a, S: AsRef<str>>(parts: &[S], width: u16) -> Line<'a> {
    Line::raw(title_text(parts, width))
}

fn title_text<S: AsRef<str>>(parts: &[S], width: u16) -> String {
    let text = parts_that_fit(parts, usize::from(width.saturating_sub(4)));
    if text.is_empty() { text } else { format!(" {text} ") }
}

/// Lines from the top; those that do not fit are not drawn.
fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// The lines of a list from where it is scrolled to. How many are left is said on the frame below.
fn scrolled<'a>(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &UiState,
    tile: Tile,
    all: impl Iterator<Item = Line<'a>>,
) {
    let height = usize::from(area.height);
    let all: Vec<Line<'a>> = all.collect();
    // A list that fits is not scrolled, and one that does not ends at the bottom.
    let from = state.offset(tile).min(all.len().saturating_sub(height));
    let left = all.len().saturating_sub(from + height);
    lines(frame, area, all.into_iter().skip(from).take(height).collect());
    more(frame, area, state, from, left);
}

/// On the frame below `area`: how many lines are above and below what is seen.
fn more(frame: &mut Frame<'_>, area: Rect, state: &UiState, above: usize, below: usize) {
    let mut parts = Vec::new();
    if above > 0 {
        parts.push(format!("↑ {}", crate::units::human_count(above as u64)));
    }
    if below > 0 {
        parts.push(format!("↓ {}", crate::units::human_count(below as u64)));
    }
    let text = title_text(&parts, area.width);
    let width = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    if width > 0 && width < area.width {
        let place = Rect { x: area.right() - width, y: area.bottom(), width, height: 1 };
        let line = Line::styled(text, state.theme.style(Tone::Strong));
        frame.render_widget(line, place.intersection(frame.area()));
    }
}

/// A piece of a line.
fn span<'a>(text: impl Into<String>, style: Style) -> Span<'a> {
    Span::styled(text.into(), style)
}

/// A name in so many characters. A long one loses its middle: names of a kind differ at their ends.
fn name(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return format!("{name:<width$}");
    }
    let end = width.saturating_sub(1) / 2;
    let begin = width.saturating_sub(1) - end;
    name.chars().take(begin).chain(['…']).chain(name.chars().skip(length - end)).take(width).collect()
}

/// As many words as fit; what is left out is said by `…`.
fn words(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    // The blanks that a line begins with stay.
    let words = text.trim_start_matches(' ');
    let indent = text.len() - words.len();
    let mut fitting = String::new();
    let mut used = indent;
    for word in words.split(' ') {
        let length = word.chars().count() + usize::from(!fitting.is_empty());
        // Room for a blank and the mark.
        if used + length + 2 > width {
            break;
        }
        if !fitting.is_empty() {
            fitting.push(' ');
        }
        fitting.push_str(word);
        used += length;
    }
    if fitting.is_empty() { name(text, width) } else { format!("{:indent$}{fitting} …", "") }
}

/// Figures side by side over as many lines as they need.
fn flowing(parts: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line)
                if line.chars().count() + SEPARATOR.chars().count() + part.chars().count() <= width =>
            {
                line.push_str(SEPARATOR);
                line.push_str(part);
            }
            _ => lines.push(words(part, width)),
        }
    }
    lines
}

/// The widest of some texts, in characters.
fn widest<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> usize {
    texts.into_iter().map(|text| text.as_ref().chars().count()).max().unwrap_or(0)
}

/// The title's word for the group that is shown alone.
fn of_group(picture: &Picture, state: &UiState) -> Option<String> {
    let name = picture.snapshot.shape.groups.get(state.only?)?;
    Some(format!("group {}", self::name(&crate::report::words::printable(name), 24).trim_end()))
}

#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;
