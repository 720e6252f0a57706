//! A screen too small for panes: the most telling figures in two lines.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::distribution::{percentiles, shown};
use super::header::{online, phase};
use super::help::answer;
use super::lines;
use crate::report::decided;
use crate::report::words::parts_that_fit;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::human_count;
use crate::verdict::Verdict;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &UiState) {
    let room = usize::from(area.width);
    let mut first = vec![phase(state)];
    let mut second = Vec::new();
    if let Some(picture) = state.picture() {
        first.push(progress(picture));
        second.extend(percentiles(&shown(picture, None).1).into_iter().take(2));
        second.push(thresholds(&picture.verdict));
        second.push("q stop".to_owned());
    }
    let second = answer(state, room).map_or_else(|| parts_that_fit(&second, room), |(text, _)| text);
    let (normal, strong) = (state.theme.style(Tone::Normal), state.theme.style(Tone::Strong));
    let text = vec![Line::styled(parts_that_fit(&first, room), strong), Line::styled(second, normal)];
    lines(frame, area, text);
}

fn progress(picture: &Picture) -> String {
    let snapshot = &picture.snapshot;
    if snapshot.load_elapsed.is_some() {
        return format!("{} of {}", human_count(decided(snapshot)), human_count(snapshot.planned));
    }
    let (online, devices) = online(snapshot);
    format!("{} of {}", human_count(online), human_count(devices))
}

/// How many thresholds hold, as short as can be.
fn thresholds(verdict: &Verdict) -> String {
    let counted = || verdict.thresholds.iter().filter(|threshold| !threshold.info);
    let mark = if verdict.failed() { "✗" } else { "✓" };
    format!("{mark} {}/{}", counted().filter(|t| t.passed == Some(true)).count(), counted().count())
}
