//! Executions by how they ended, with a symbol each, and what the ledger found.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::bar::bar;
use super::{lines, pane, span, title};
use crate::report::words::{class_words, parts_that_fit, share};
use crate::stats::{Class, Counts, Finding, Part};
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::human_count;

/// Narrower bars say nothing.
const SHORTEST_BAR: usize = 6;

/// One kind of end.
pub(super) struct Row {
    /// `None` of those that are open.
    pub(super) class: Option<Class>,
    symbol: char,
    words: &'static str,
    count: u64,
    tone: Tone,
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let totals = &picture.snapshot.totals;
    let (part, counts) = picture.counts(None);
    let name = if part == Part::WarmUp { "Executions, warm-up" } else { "Executions" };
    let due = format!("{} due", human_count(counts.due));
    let inner = pane(frame, area, state, Tile::Ends, title(&[name, &due], area.width));
    let mut rows = rows(&counts);
    rows.truncate(usize::from(inner.height.saturating_sub(1)));
    let words = words(&rows);
    let mut shown: Vec<Line<'_>> =
        rows.iter().map(|row| line(row, words, &counts, inner.width, state)).collect();
    let mut all = totals.measured(None, None);
    all.add(&totals.sum(Part::WarmUp, None, None));
    shown.push(findings(&all, inner.width, state));
    lines(frame, inner, shown);
}

/// Open and succeeded ones always, then what else occurred, the most frequent first: those are kept when
/// there is little room.
pub(super) fn rows(counts: &Counts) -> Vec<Row> {
    let mut other: Vec<Row> = Class::ALL
        .into_iter()
        .filter(|class| *class != Class::Succeeded)
        .map(|class| row(class, counts))
        .filter(|row| row.count > 0)
        .collect();
    other.sort_by_key(|row| std::cmp::Reverse(row.count));
    let open = Row { class: None, symbol: '▸', words: "open", count: counts.open(), tone: Tone::Normal };
    let mut rows = vec![row(Class::Succeeded, counts), open];
    rows.append(&mut other);
    rows
}

/// The widest of their words.
pub(super) fn words(rows: &[Row]) -> usize {
    super::widest(rows.iter().map(|row| row.words))
}

fn row(class: Class, counts: &Counts) -> Row {
    let (symbol, tone) = match class {
        Class::Succeeded => ('✓', Tone::Good),
        Class::Failed => ('✗', Tone::Bad),
        Class::Rejected => ('⊘', Tone::Warning),
        Class::TimedOutDevice => ('◔', Tone::Warning),
        Class::TimedOutCloud => ('◷', Tone::Warning),
        Class::Refused => ('!', Tone::Bad),
        Class::Unknown => ('?', Tone::Bad),
        Class::Unsent => ('∅', Tone::Bad),
        Class::Unfinished => ('…', Tone::Normal),
    };
    Row { class: Some(class), symbol, words: class_words(class), count: counts.class(class), tone }
}

/// Symbol, words and count; share and bar where there is room for them.
pub(super) fn line<'a>(row: &Row, words: usize, counts: &Counts, width: u16, state: &UiState) -> Line<'a> {
    let width = usize::from(width);
    let (count, count_width) = (human_count(row.count), human_count(counts.due).len());
    let mut figures = format!(" {:<words$} {count:>count_width$}", row.words);
    let of_due = format!(" {:>6} ", share(row.count, counts.due));
    if 1 + figures.chars().count() + of_due.chars().count() <= width {
        figures.push_str(&of_due);
    }
    let room = width.saturating_sub(1 + figures.chars().count());
    let room = if room < SHORTEST_BAR { 0 } else { u16::try_from(room).unwrap_or(0) };
    Line::from(vec![
        span(row.symbol, state.theme.style(row.tone)),
        span(figures, state.theme.style(Tone::Normal)),
        span(bar(row.count, counts.due, room), state.theme.style(Tone::Bar)),
    ])
}

pub(super) fn findings<'a>(counts: &Counts, width: u16, state: &UiState) -> Line<'a> {
    let unexplained = counts.unexplained();
    let mut parts = vec![format!("unexplained {}", human_count(unexplained))];
    for finding in Finding::ALL {
        let found = counts.finding(finding).total();
        if found > 0 || finding == Finding::Lost {
            parts.push(format!("{} {}", finding.name(), human_count(found)));
        }
    }
    let tone = if unexplained > 0 { Tone::Bad } else { Tone::Quiet };
    Line::styled(parts_that_fit(&parts, usize::from(width)), state.theme.style(tone))
}
