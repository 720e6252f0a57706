//! One group in full: its devices, how its executions ended, its spans, and what went wrong in it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{anomalies, ends, flowing, pane, scrolled, title};
use crate::report::words::{printable, span as time};
use crate::stats::{Class, Percentile, Span};
use crate::tui::pane::Tile;
use crate::tui::picture::{GroupRow, Picture};
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::human_count;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let Some(group) = picture.groups().get(state.shown_group()) else {
        pane(frame, area, state, Tile::GroupDetail, title(&["Group"], area.width));
        return;
    };
    let room = usize::from(area.width.saturating_sub(4));
    let heading = super::name(&group.name, room.min(group.name.chars().count()));
    let inner = pane(frame, area, state, Tile::GroupDetail, title(&[heading], area.width));
    let width = usize::from(inner.width);
    let mut shown = text(group, picture, width, state);
    let snapshot = &picture.snapshot;
    let anomalies = snapshot.anomalies.iter().filter(|one| one.group == group.index);
    shown.extend(anomalies.map(|one| anomalies::line(one, width, state)));
    let stuck = snapshot.stuck.iter().filter(|one| one.group == group.index);
    shown.extend(stuck.map(|one| super::rollout::stuck_line(one, width, state)));
    scrolled(frame, inner, state, Tile::GroupDetail, shown.into_iter());
}

fn text<'a>(group: &GroupRow, picture: &Picture, width: usize, state: &UiState) -> Vec<Line<'a>> {
    let snapshot = &picture.snapshot;
    let connects = snapshot.totals.merged(Span::Connect, None, Some(group.index), None);
    let reconnects = snapshot.totals.reconnects.get(group.index).copied().unwrap_or(0);
    let at = |histogram: &crate::stats::Histogram, p| time(histogram.percentile(Percentile(p)));
    let devices = [
        format!("{} of {} online", human_count(group.gauge.online), human_count(group.gauge.devices)),
        format!("connect p50 {}", at(&connects, 50.0)),
        format!("p99 {}", at(&connects, 99.0)),
        format!("reconnects {}", human_count(reconnects)),
    ];
    let latency = picture.span(Span::Latency, Some(group.index));
    let latencies = [
        format!("latency p50 {}", at(&latency, 50.0)),
        format!("p90 {}", at(&latency, 90.0)),
        format!("p95 {}", at(&latency, 95.0)),
        format!("p99.9 {}", at(&latency, 99.9)),
        format!("max {}", time(latency.max())),
        format!("n {}", human_count(latency.len())),
    ];
    let mut overhead =
        vec![format!("overhead p99 {}", at(&picture.span(Span::Overhead, Some(group.index)), 99.0))];
    for (error, count) in &group.counts.refused {
        overhead.push(format!("{} {}", printable(error), human_count(*count)));
    }
    let plain = |parts: &[String]| -> Vec<Line<'a>> {
        flowing(parts, width.saturating_sub(1))
            .into_iter()
            .map(|line| Line::raw(format!(" {line}")))
            .collect()
    };
    let mut shown = plain(&devices);
    shown.extend(plain(&latencies));
    shown.extend(plain(&overhead));
    // The table above says how many succeeded.
    let rows: Vec<ends::Row> =
        ends::rows(&group.counts).into_iter().filter(|row| row.class != Some(Class::Succeeded)).collect();
    let words = ends::words(&rows);
    let room = u16::try_from(width).unwrap_or(u16::MAX);
    shown.extend(rows.iter().map(|row| ends::line(row, words, &group.counts, room, state)));
    if group.counts.unexplained() > 0 {
        let text = format!(" unexplained {}", human_count(group.counts.unexplained()));
        shown.push(Line::styled(text, state.theme.style(Tone::Bad)));
    }
    shown
}
