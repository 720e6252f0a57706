//! Before the load: the fleet comes online.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::bar::track;
use super::{lines, name, pane, scrolled, title};
use crate::report::words::{printable, span as time};
use crate::stats::{GroupGauge, Percentile, Span};
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::units::human_count;

/// A name is cut to this.
const NAME: usize = 24;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: Option<&Picture>, state: &UiState) {
    let Some(picture) = picture else {
        let inner = pane(frame, area, state, Tile::Connects, title(&["Starting"], area.width));
        let text = format!(" {} devices are about to connect", human_count(state.context.devices));
        return lines(frame, inner, vec![Line::raw(text)]);
    };
    let snapshot = &picture.snapshot;
    let inner = pane(frame, area, state, Tile::Connects, title(&figures(picture), area.width));
    let groups = snapshot.shape.groups.iter().zip(&snapshot.groups);
    let text = groups.map(|(name, group)| line(&printable(name), *group, inner.width, state));
    scrolled(frame, inner, state, Tile::Connects, text);
}

fn figures(picture: &Picture) -> Vec<String> {
    let connects = picture.snapshot.totals.merged(Span::Connect, None, None, None);
    let at = |percentile| time(connects.percentile(Percentile(percentile)));
    let reconnects: u64 = picture.snapshot.totals.reconnects.iter().sum();
    vec![
        "Devices connect and subscribe".to_owned(),
        format!("p50 {}", at(50.0)),
        format!("p99 {}", at(99.0)),
        format!("reconnects {}", human_count(reconnects)),
    ]
}

fn line<'a>(group: &str, gauge: GroupGauge, width: u16, state: &UiState) -> Line<'a> {
    let name = name(group, NAME);
    let (online, devices) = (human_count(gauge.online), human_count(gauge.devices));
    let text = format!(" {name} {online:>9} of {devices:>9}  ");
    let used = u16::try_from(text.chars().count() + 1).unwrap_or(u16::MAX);
    let mut line = Line::raw(text);
    line.extend(track(gauge.online, gauge.devices, width.saturating_sub(used), state.theme));
    line
}
