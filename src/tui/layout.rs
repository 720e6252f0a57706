//! Which tile stands where: the one answer for what is drawn and for what the mouse points at.

use ratatui::layout::{Constraint, Layout, Rect};

use super::pane::{Feedback, Pane, Tile};
use super::state::UiState;

/// Below this the tiles say less than two lines do.
const SMALLEST: (u16, u16) = (60, 16);
/// Below this there is no heat map.
const HEAT_MAP: (u16, u16) = (80, 24);
/// From here on there is room for two columns of tiles.
const WIDE: u16 = 100;

/// The screen from top to bottom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    pub(super) header: Rect,
    pub(super) tabs: Rect,
    pub(super) body: Rect,
    pub(super) health: Rect,
    pub(super) keys: Rect,
}

/// `None` where there is no room for tiles.
pub(super) fn screen(area: Rect) -> Option<Screen> {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return None;
    }
    let [header, tabs, body, health, keys] = area.layout(&Layout::vertical([
        Constraint::Length(3),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ]));
    Some(Screen { header, tabs, body, health, keys })
}

/// What a tab says: ` 1 Overview `.
pub(super) fn tab(pane: Pane, feedback: Feedback) -> String {
    format!(" {} {} ", pane.number(), pane.name(feedback))
}

/// The tabs from the left, as far as there is room.
pub(super) fn tabs(area: Rect, feedback: Feedback) -> Vec<(Pane, Rect)> {
    let mut x = area.x;
    let mut tabs = Vec::new();
    for pane in Pane::ALL.into_iter().filter(|pane| pane.is_in(feedback)) {
        let width = u16::try_from(tab(pane, feedback).chars().count()).unwrap_or(u16::MAX);
        let place = Rect { x, width, ..area }.intersection(area);
        if place.width == width {
            tabs.push((pane, place));
        }
        x = x.saturating_add(width);
    }
    tabs
}

/// The tiles of the pane that is shown; an enlarged one alone. The screen is of `state.size`.
pub(super) fn tiles(state: &UiState, body: Rect) -> Vec<(Tile, Rect)> {
    let all = all(state, body);
    if !state.enlarged {
        return all;
    }
    let focus = state.focus.filter(|focus| all.iter().any(|(tile, _)| tile == focus));
    focus.or(all.first().map(|(tile, _)| *tile)).map(|tile| (tile, body)).into_iter().collect()
}

/// The tiles of the pane side by side, the first one in focus if none is.
pub(super) fn all(state: &UiState, body: Rect) -> Vec<(Tile, Rect)> {
    let wide = body.width >= WIDE;
    match state.pane {
        Pane::Overview => overview(state, body, wide),
        Pane::Latency => latency(state, body, wide),
        Pane::Groups => groups(body, wide),
        Pane::Feedback if state.context.feedback == Feedback::Capacity => capacity(body, wide),
        Pane::Feedback => rollout(state, body, wide),
        Pane::Events => events(state, body, wide),
    }
}

/// What people open the program for: latency, now and over time; how executions ended; the groups.
fn overview(state: &UiState, body: Rect, wide: bool) -> Vec<(Tile, Rect)> {
    if !state.has_load_begun() {
        return vec![(Tile::Connects, body)];
    }
    let half = [Constraint::Fill(1), Constraint::Fill(1)];
    // Below, where there is room beside the rest: the header says how many hold and which one fails first.
    let thresholds = thresholds(state).min(body.height / 4);
    let thresholds = if wide && body.height >= 22 { thresholds } else { 0 };
    let groups = state.picture().map_or(0, |picture| picture.snapshot.groups.len());
    // As many lines as groups or ends need, but latency keeps the larger half.
    let below = lines(groups + 1).clamp(8, (body.height * 2 / 5).max(8)).min(body.height / 2);
    let [above, below, thresholds] =
        rows(body, [Constraint::Fill(1), Constraint::Length(below), Constraint::Length(thresholds)]);
    let mut tiles = if has_heat_map(state) {
        let [left, right] = columns(above, half);
        vec![(Tile::Distribution, left), (Tile::HeatMap, right)]
    } else {
        vec![(Tile::Distribution, above)]
    };
    let [left, right] = columns(below, [Constraint::Percentage(46), Constraint::Fill(1)]);
    tiles.extend([(Tile::Ends, left), (Tile::GroupTable, right)]);
    if !thresholds.is_empty() {
        tiles.push((Tile::Thresholds, thresholds));
    }
    tiles
}

fn has_heat_map(state: &UiState) -> bool {
    state.size.0 >= HEAT_MAP.0 && state.size.1 >= HEAT_MAP.1
}

/// Rows of a tile with so many lines in it.
fn lines(count: usize) -> u16 {
    u16::try_from(count + 2).unwrap_or(u16::MAX)
}

/// Rows that all thresholds need.
fn thresholds(state: &UiState) -> u16 {
    lines(state.picture().map_or(0, |picture| picture.verdict.thresholds.len()))
}

/// Over time at the left, with the same seconds in the same columns; as a whole at the right.
fn latency(state: &UiState, body: Rect, wide: bool) -> Vec<(Tile, Rect)> {
    let half = [Constraint::Fill(1), Constraint::Fill(1)];
    if !has_heat_map(state) {
        let [left, right] = columns(body, half);
        return vec![(Tile::Percentiles, left), (Tile::Distribution, right)];
    }
    let left = Constraint::Percentage(if wide { 58 } else { 50 });
    let [left, right] = columns(body, [left, Constraint::Fill(1)]);
    let [percentiles, heat_map] = rows(left, half);
    let [distribution, spans] =
        rows(right, [Constraint::Fill(1), Constraint::Length(lines(8).min(body.height / 2))]);
    vec![
        (Tile::Percentiles, percentiles),
        (Tile::HeatMap, heat_map),
        (Tile::Distribution, distribution),
        (Tile::Spans, spans),
    ]
}

fn groups(body: Rect, wide: bool) -> Vec<(Tile, Rect)> {
    if wide {
        let [table, detail] = columns(body, [Constraint::Fill(1), Constraint::Percentage(40)]);
        return vec![(Tile::GroupTable, table), (Tile::GroupDetail, detail)];
    }
    if body.height < 15 {
        return vec![(Tile::GroupTable, body)];
    }
    let [table, detail] = rows(body, [Constraint::Fill(1), Constraint::Length(9)]);
    vec![(Tile::GroupTable, table), (Tile::GroupDetail, detail)]
}

fn rollout(state: &UiState, body: Rect, wide: bool) -> Vec<(Tile, Rect)> {
    let rollouts = state.picture().map_or(&[][..], |picture| &picture.snapshot.rollouts);
    let batches = rollouts.iter().map(|rollout| rollout.batches.len() + 2).sum::<usize>();
    let gauges = rollouts.iter().map(|rollout| rollout.gauges.len()).sum::<usize>();
    let stuck = state.picture().is_some_and(|picture| !picture.snapshot.stuck.is_empty());
    let half = [Constraint::Fill(1), Constraint::Fill(1)];
    let above = lines(batches).clamp(5, (body.height / 2).max(5));
    let [above, below] = rows(body, [Constraint::Length(above), Constraint::Fill(1)]);
    let gauge_rows = Constraint::Length(lines(gauges).clamp(3, (below.height / 2).max(3)));
    let mut tiles = vec![(Tile::Batches, above)];
    if wide && stuck {
        let [left, right] = columns(below, half);
        let [gauges, stuck] = rows(left, [gauge_rows, Constraint::Fill(1)]);
        tiles.extend([(Tile::Gauges, gauges), (Tile::Rates, right), (Tile::Stuck, stuck)]);
    } else if stuck {
        let [left, right] = columns(below, half);
        tiles.extend([(Tile::Gauges, left), (Tile::Stuck, right)]);
    } else {
        let [left, right] = columns(below, half);
        tiles.extend([(Tile::Gauges, left), (Tile::Rates, right)]);
    }
    tiles
}

fn capacity(body: Rect, wide: bool) -> Vec<(Tile, Rect)> {
    let [above, below] = rows(body, [Constraint::Fill(1), Constraint::Length(5)]);
    if wide {
        let [steps, curve] = columns(above, [Constraint::Percentage(58), Constraint::Fill(1)]);
        return vec![(Tile::Steps, steps), (Tile::Curve, curve), (Tile::Bounds, below)];
    }
    if above.height < 12 {
        return vec![(Tile::Steps, above), (Tile::Bounds, below)];
    }
    let [steps, curve] = rows(above, [Constraint::Fill(1), Constraint::Fill(1)]);
    vec![(Tile::Steps, steps), (Tile::Curve, curve), (Tile::Bounds, below)]
}

/// What happened, beside what each second brought; what must hold, and what went wrong.
fn events(state: &UiState, body: Rect, wide: bool) -> Vec<(Tile, Rect)> {
    let anomalies = state.picture().map_or(0, |picture| picture.snapshot.anomalies.len());
    let anomalies = lines(anomalies.max(1)).clamp(3, (body.height / 4).max(3));
    let thresholds = thresholds(state).clamp(3, (body.height / 4).max(3));
    if wide {
        let below = thresholds.max(anomalies);
        let [above, below] = rows(body, [Constraint::Fill(1), Constraint::Length(below)]);
        let [events, seconds] = columns(above, [Constraint::Fill(1), Constraint::Fill(1)]);
        let [left, right] = columns(below, [Constraint::Fill(1), Constraint::Fill(1)]);
        return vec![
            (Tile::Events, events),
            (Tile::Seconds, seconds),
            (Tile::Thresholds, left),
            (Tile::Anomalies, right),
        ];
    }
    // Three lines: what is sent, what is in flight, what succeeds.
    let seconds = if body.height >= 18 { lines(3) } else { 0 };
    let [events, seconds, thresholds, anomalies] = rows(
        body,
        [
            Constraint::Fill(1),
            Constraint::Length(seconds),
            Constraint::Length(thresholds),
            Constraint::Length(anomalies),
        ],
    );
    let mut tiles = vec![(Tile::Events, events)];
    if !seconds.is_empty() {
        tiles.push((Tile::Seconds, seconds));
    }
    tiles.extend([(Tile::Thresholds, thresholds), (Tile::Anomalies, anomalies)]);
    tiles
}

fn rows<const N: usize>(area: Rect, constraints: [Constraint; N]) -> [Rect; N] {
    area.layout(&Layout::vertical(constraints))
}

fn columns<const N: usize>(area: Rect, constraints: [Constraint; N]) -> [Rect; N] {
    area.layout(&Layout::horizontal(constraints))
}
