//! Rollouts: batches and their gates, the rate at which devices are told, how near the abort rules are, and
//! who was left behind.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::bar::bar;
use super::chart::Bars;
use super::{lines, name, pane, scrolled, span, title, widest, words};
use crate::report::words::{parts_that_fit, position, printable, share};
use crate::stats::{AbortGauge, BatchProgress, RateStep, RolloutProgress, RolloutState, StuckDevice};
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::{human_count, human_rate};

/// Heads of the columns of batches; a bar follows where there is room.
const HEADS: [&str; 7] = ["batch", "devices", "told", "ok", "not ok", "retries", "gate"];
/// Narrower bars say nothing.
const SHORTEST_BAR: usize = 6;
/// A share of its limit from which on a gauge is a warning.
const NEAR: f64 = 0.8;

/// Each rollout in a line, its batches below it.
pub(super) fn batches(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let rollouts = &picture.snapshot.rollouts;
    let parts = match rollouts.as_slice() {
        [one] => vec!["Rollout".to_owned(), workload(picture, one)],
        several => vec!["Rollouts".to_owned(), human_count(several.len() as u64)],
    };
    let inner = pane(frame, area, state, Tile::Batches, title(&parts, area.width));
    let width = usize::from(inner.width);
    let mut shown = Vec::new();
    for rollout in rollouts {
        let (mark, tone) = mark(rollout.state);
        let text = parts_that_fit(&summary(picture, rollout, rollouts.len() > 1), width.saturating_sub(3));
        shown.push(Line::from(vec![
            span(format!(" {mark} "), state.theme.style(tone)),
            span(text, state.theme.style(Tone::Strong)),
        ]));
        if let Some(reason) = &rollout.reason {
            let reason = words(&format!("   {}", printable(reason)), width);
            shown.push(Line::styled(reason, state.theme.style(Tone::Bad)));
        }
        shown.extend(table(rollout, width, state));
    }
    if shown.is_empty() {
        shown.push(Line::raw(" the rollout has not begun"));
    }
    scrolled(frame, inner, state, Tile::Batches, shown.into_iter());
}

fn workload(picture: &Picture, rollout: &RolloutProgress) -> String {
    let name = picture.snapshot.shape.workloads.get(rollout.workload);
    name.map(|name| printable(name).into_owned()).unwrap_or_default()
}

fn summary(picture: &Picture, rollout: &RolloutProgress, is_one_of_several: bool) -> Vec<String> {
    let counts = &rollout.counts;
    let mut parts = vec![
        rollout.state.name().replace('_', " "),
        format!("{} of {} devices", human_count(counts.good_devices()), human_count(rollout.devices)),
        format!("{} not ok", human_count(counts.bad_devices())),
        format!("{} told", human_count(counts.notified)),
        format!("{} retries", human_count(counts.retries)),
        format!("{} late", human_count(counts.late_successes)),
    ];
    if is_one_of_several {
        parts.insert(0, workload(picture, rollout));
    }
    parts
}

fn mark(state: RolloutState) -> (char, Tone) {
    match state {
        RolloutState::Waiting => ('·', Tone::Quiet),
        RolloutState::Running => ('▸', Tone::Normal),
        RolloutState::Soaking => ('◔', Tone::Normal),
        RolloutState::Complete => ('✓', Tone::Good),
        RolloutState::GaveUp | RolloutState::Aborted => ('✗', Tone::Bad),
        RolloutState::Stopped => ('■', Tone::Warning),
    }
}

fn table<'a>(rollout: &RolloutProgress, width: usize, state: &UiState) -> Vec<Line<'a>> {
    let rows: Vec<[String; HEADS.len()]> = rollout.batches.iter().map(row).collect();
    let widths: [usize; HEADS.len()] = std::array::from_fn(|column| {
        widest(rows.iter().map(|row| row[column].as_str()).chain([HEADS[column]])).min(24)
    });
    // Columns from the left, as many as fit behind the mark.
    let mut columns = 0;
    let mut used = 3;
    while columns < HEADS.len() && used + widths[columns] + 2 <= width {
        used += widths[columns] + 2;
        columns += 1;
    }
    let line =
        |row: &[String]| -> String {
            let cells = row.iter().zip(widths).take(columns).enumerate();
            cells
                .map(|(column, (text, width))| {
                    if column == 0 { format!("{}  ", name(text, width)) } else { format!("{text:>width$}  ") }
                })
                .collect()
        };
    let room = width.saturating_sub(used);
    let room = if room < SHORTEST_BAR { 0 } else { u16::try_from(room).unwrap_or(0) };
    let heads = format!("   {}", line(&HEADS.map(str::to_owned)));
    let mut shown = vec![Line::styled(heads, state.theme.style(Tone::Quiet))];
    for (batch, row) in rollout.batches.iter().zip(&rows) {
        let (mark, tone) = mark(batch.state);
        shown.push(Line::from(vec![
            span(format!(" {mark} "), state.theme.style(tone)),
            span(line(row), state.theme.style(Tone::Normal)),
            span(bar(batch.counts.finished(), batch.devices, room), state.theme.style(Tone::Bar)),
        ]));
    }
    shown
}

fn row(batch: &BatchProgress) -> [String; HEADS.len()] {
    let counts = &batch.counts;
    let name = if batch.name.is_empty() { "all".to_owned() } else { printable(&batch.name).into_owned() };
    let gate = batch.gate_us.map(|us| position(Duration::from_micros(us)));
    [
        name,
        human_count(batch.devices),
        human_count(counts.notified),
        human_count(counts.good_devices()),
        human_count(counts.bad_devices()),
        human_count(counts.retries),
        gate.unwrap_or_else(|| batch.state.name().replace('_', " ")),
    ]
}

/// The rate of each rollout from its beginning to now.
pub(super) fn rates(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let rollouts: Vec<&RolloutProgress> =
        picture.snapshot.rollouts.iter().filter(|rollout| !rollout.rates.is_empty()).collect();
    let now = rollouts.iter().map(|rollout| human_rate(rollout.rate())).collect::<Vec<_>>().join(", ");
    let mut parts = vec!["Devices told, per second".to_owned()];
    parts.extend((!now.is_empty()).then(|| format!("now {now}")));
    let inner = pane(frame, area, state, Tile::Rates, title(&parts, area.width));
    if rollouts.is_empty() {
        return lines(frame, inner, vec![Line::raw(" none has been told yet")]);
    }
    let elapsed_us = crate::units::micros(picture.snapshot.load_elapsed.unwrap_or_default());
    let places = Layout::vertical(rollouts.iter().map(|_| Constraint::Fill(1))).split(inner);
    for (rollout, place) in rollouts.into_iter().zip(places.iter()) {
        staircase(frame, *place, rollout, elapsed_us, state);
    }
}

fn staircase(frame: &mut Frame<'_>, area: Rect, rollout: &RolloutProgress, elapsed_us: u64, state: &UiState) {
    if area.height < 2 {
        return;
    }
    let begun = rollout.rates.first().map_or(0, |step| step.at_us);
    if begun > elapsed_us {
        let text = format!(" begins at {} of the load", position(Duration::from_micros(begun)));
        return lines(frame, area, vec![Line::raw(words(&text, usize::from(area.width)))]);
    }
    let columns = u64::from(area.width);
    let values: Vec<u64> = (1..=columns)
        .map(|column| {
            let span = u128::from(elapsed_us.saturating_sub(begun)) * u128::from(column)
                / u128::from(columns.max(1));
            thousandths(rate_at(&rollout.rates, begun + u64::try_from(span).unwrap_or(u64::MAX)))
        })
        .collect();
    let most = rollout.rates.iter().map(|step| step.per_second).fold(0.0, f64::max);
    let steps = match rollout.rates.len() {
        1 => "one step".to_owned(),
        more => format!("{} steps", human_count(more as u64)),
    };
    let begun = position(Duration::from_micros(begun));
    let text = format!(" from {begun} on, the most {}, {steps}", human_rate(most));
    let foot = Rect { y: area.bottom() - 1, height: 1, ..area };
    let text = words(&text, usize::from(area.width));
    lines(frame, foot, vec![Line::styled(text, state.theme.style(Tone::Quiet))]);
    let bars = Rect { height: area.height - 1, ..area };
    frame.render_widget(Bars { values: &values, theme: state.theme }, bars);
}

/// The rate in force at an instant.
fn rate_at(rates: &[RateStep], at_us: u64) -> f64 {
    let after = rates.partition_point(|step| step.at_us <= at_us);
    after.checked_sub(1).and_then(|at| rates.get(at)).map_or(0.0, |step| step.per_second)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates of a run")]
fn thousandths(per_second: f64) -> u64 {
    (per_second.max(0.0) * 1_000.0) as u64
}

/// Each abort rule with its share, its limit, and how much of the way is gone.
pub(super) fn gauges(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let inner = pane(frame, area, state, Tile::Gauges, title(&["Abort rules"], area.width));
    let rollouts = &picture.snapshot.rollouts;
    let all: Vec<&AbortGauge> = rollouts.iter().flat_map(|rollout| &rollout.gauges).collect();
    if all.is_empty() {
        return lines(frame, inner, vec![Line::raw(" none: nothing aborts this rollout")]);
    }
    let width = usize::from(inner.width);
    let shown = all.into_iter().map(|gauge| gauge_line(gauge, width, state));
    scrolled(frame, inner, state, Tile::Gauges, shown);
}

fn gauge_line<'a>(gauge: &AbortGauge, width: usize, state: &UiState) -> Line<'a> {
    let is_judged = gauge.executed >= gauge.min_executed;
    let near = gauge.share().is_some_and(|share| share >= gauge.over * NEAR);
    let tone = match (gauge.is_over(), is_judged && near) {
        (true, _) => Tone::Bad,
        (false, true) => Tone::Warning,
        (false, false) => Tone::Good,
    };
    let (mark, tone) = match (gauge.is_over(), is_judged) {
        (true, _) => ('✗', tone),
        (false, true) => ('✓', tone),
        (false, false) => ('·', Tone::Quiet),
    };
    let limit = format!("{:.1}%", gauge.over * 100.0);
    let mut parts =
        vec![format!("{} {} of {limit}", gauge.status.replace('_', " "), share(gauge.count, gauge.executed))];
    parts.push(if is_judged {
        format!("{} ended", human_count(gauge.executed))
    } else {
        format!("judged from {} of {}", human_count(gauge.executed), human_count(gauge.min_executed))
    });
    let text = parts_that_fit(&parts, width.saturating_sub(3));
    let room = width.saturating_sub(4 + text.chars().count());
    let room = if room < SHORTEST_BAR { 0 } else { u16::try_from(room).unwrap_or(0) };
    let way = gauge.share().unwrap_or(0.0) / gauge.over.max(1e-9);
    Line::from(vec![
        span(format!(" {mark} "), state.theme.style(tone)),
        span(format!("{text} "), state.theme.style(Tone::Normal)),
        span(bar(thousandths(way), 1_000, room), state.theme.style(tone)),
    ])
}

/// Devices that have not succeeded, known at the end.
pub(super) fn stuck(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let left: u64 = picture.snapshot.rollouts.iter().map(RolloutProgress::stuck).sum();
    let parts = ["Left behind".to_owned(), format!("{} devices", human_count(left))];
    let inner = pane(frame, area, state, Tile::Stuck, title(&parts, area.width));
    let width = usize::from(inner.width);
    let shown = picture.snapshot.stuck.iter().map(|device| stuck_line(device, width, state));
    scrolled(frame, inner, state, Tile::Stuck, shown);
}

/// A device that was left behind: how its last execution ended, after how many.
pub(super) fn stuck_line<'a>(device: &StuckDevice, width: usize, state: &UiState) -> Line<'a> {
    let attempts = match device.attempts {
        0 => String::new(),
        1 => ", tried once".to_owned(),
        more => format!(", tried {} times", human_count(more)),
    };
    let last = device.last.replace('_', " ");
    let text = format!(" {}  {last}{attempts}", printable(&device.device));
    Line::styled(words(&text, width), state.theme.style(Tone::Normal))
}
