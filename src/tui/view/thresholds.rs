//! Thresholds: whether each holds, its figure, and how far off it is.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{pane, scrolled, span, title, widest, words};
use crate::report::words::printable;
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::verdict::Judged;

/// An expression is cut to no less than this while there is a margin to leave out.
const SHORTEST: usize = 20;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let judged = &picture.verdict.thresholds;
    let failed = judged.iter().filter(|one| one.passed == Some(false) && !one.info).count();
    let waiting = judged.iter().filter(|one| one.passed.is_none()).count();
    let mut parts = vec!["Thresholds".to_owned()];
    if failed > 0 {
        parts.push(format!("{failed} fail"));
    }
    if waiting > 0 {
        parts.push(format!("{waiting} not judged yet"));
    }
    let inner = pane(frame, area, state, Tile::Thresholds, title(&parts, area.width));
    let width = usize::from(inner.width);
    let figures = widest(judged.iter().map(|one| &one.shown));
    let expressions = widest(judged.iter().map(text)).min(width.saturating_sub(figures + 5));
    let lines = judged.iter().map(|one| line(one, expressions, figures, width, state));
    scrolled(frame, inner, state, Tile::Thresholds, lines);
}

fn text(judged: &Judged) -> String {
    let kind = match (judged.info, judged.abort) {
        (true, _) => " (info)",
        (_, true) => " (aborts)",
        _ => "",
    };
    format!("{}{kind}", printable(&judged.text))
}

fn line<'a>(judged: &Judged, expressions: usize, figures: usize, width: usize, state: &UiState) -> Line<'a> {
    let (mark, tone) = match (judged.passed, judged.info) {
        (Some(true), _) => ('✓', Tone::Good),
        (Some(false), false) => ('✗', Tone::Bad),
        (Some(false), true) => ('✗', Tone::Warning),
        (None, _) => ('·', Tone::Quiet),
    };
    let margin = judged.margin.as_ref().map(|margin| format!("  {margin}")).unwrap_or_default();
    let with_margin = 5 + expressions + figures + margin.chars().count();
    // A narrow tile gives up the rest of a long expression for the margin, but not all of it.
    let over = with_margin.saturating_sub(width);
    let (expressions, margin) = if expressions.saturating_sub(over) >= SHORTEST {
        (expressions - over, margin)
    } else {
        (expressions, String::new())
    };
    let expression = words(&text(judged), expressions);
    Line::from(vec![
        span(format!(" {mark} "), state.theme.style(tone)),
        span(
            format!("{expression:<expressions$}  {:>figures$}", judged.shown),
            state.theme.style(Tone::Normal),
        ),
        span(margin, state.theme.style(tone)),
    ])
}
