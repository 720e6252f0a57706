//! What each second brought: rates, how executions ended, what is open, and how hard the generator works.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::bar::spark;
use super::{lines, pane, span, title, widest, words};
use crate::report::words::{class_words, cpu, printable, span as time};
use crate::stats::Class;
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::tui::window::{Column, Columns};
use crate::units::human_count;

/// Longest figure that has a place: `1 234 567/s`.
const FIGURE: usize = 9;
/// Longest name that has a place.
const NAME: usize = 18;

/// A name, its newest figure, and the figures before.
struct Row {
    name: String,
    figure: String,
    values: Vec<u64>,
    tone: Tone,
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let parts = ["By the second".to_owned(), format!("the last {}", state.window.words())];
    let inner = pane(frame, area, state, Tile::Seconds, title(&parts, area.width));
    let room = inner.width.saturating_sub(u16::try_from(NAME + FIGURE + 4).unwrap_or(0));
    let Some(columns) = Columns::of(&picture.snapshot.series, state.window, room) else { return };
    let mut rows = rows(picture, &columns);
    rows.truncate(usize::from(inner.height));
    let names = widest(rows.iter().map(|row| &row.name)).min(NAME);
    let figures = widest(rows.iter().map(|row| &row.figure));
    let shown = rows.into_iter().map(|row| {
        let wide = row.values.iter().flat_map(|value| std::iter::repeat_n(*value, columns.cells));
        let bars = spark(&wide.collect::<Vec<_>>());
        let rest = usize::from(inner.width).saturating_sub(names + figures + 4);
        // The newest stands at the right, whatever room longer names have left.
        let bars: String = bars.chars().skip(bars.chars().count().saturating_sub(rest)).collect();
        Line::from(vec![
            span(
                format!(" {:<names$}  {:>figures$} ", words(&row.name, names), row.figure),
                state.theme.style(row.tone),
            ),
            span(format!("{bars:>rest$}"), state.theme.style(Tone::Bar)),
        ])
    });
    lines(frame, inner, shown.collect());
}

/// In the order in which a small tile keeps them.
fn rows(picture: &Picture, columns: &Columns) -> Vec<Row> {
    let snapshot = &picture.snapshot;
    let last = snapshot.series.last();
    let row = |name: &str, figure: String, of: &dyn Fn(&Column) -> u64| Row {
        name: name.to_owned(),
        figure,
        values: columns.all.iter().map(of).collect(),
        tone: Tone::Normal,
    };
    let rate = |count: u64| format!("{}/s", human_count(count));
    let mut rows = vec![
        row("sent", rate(last.map_or(0, |second| second.started)), &|column| {
            column.per_second(column.started)
        }),
        row("in flight", human_count(last.map_or(0, |second| second.in_flight)), &|column| column.in_flight),
    ];
    for class in Class::ALL {
        let ended = columns.all.iter().any(|column| column.classes[class as usize] > 0);
        if ended || class == Class::Succeeded {
            let now = last.map_or(0, |second| u64::from(second.classes[class as usize]));
            rows.push(row(class_words(class), rate(now), &|column| {
                column.per_second(column.classes[class as usize])
            }));
        }
    }
    rows.push(row("devices online", human_count(last.map_or(0, |second| second.online)), &|c| c.online));
    let lag = last.and_then(|second| second.schedule_lag_us_p99.max(second.device_lag_us_p99));
    rows.push(row("generator lag p99", time(lag), &|column| column.lag_us_p99.unwrap_or(0)));
    rows.push(row("busiest thread CPU", cpu(snapshot.cpu.busiest_shard), &|c| thousandths(c.generator)));
    if columns.all.iter().any(|column| column.backend > 0.0) {
        rows.push(row("backend CPU", cpu(snapshot.cpu.backend), &|column| thousandths(column.backend)));
    }
    // What did not fit, and what was done wrong by plan: sums, as nobody keeps them by the second.
    let dropped = snapshot.totals.dropped.iter().map(|(queue, count)| (format!("dropped: {queue}"), *count));
    let faults = snapshot.faults.iter().map(|(name, count)| (format!("fault: {name}"), *count));
    rows.extend(dropped.chain(faults).filter(|(_, count)| *count > 0).map(|(name, count)| Row {
        name: printable(&name).into_owned(),
        figure: human_count(count),
        values: Vec::new(),
        tone: Tone::Warning,
    }));
    rows
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of cores")]
fn thousandths(cores: f64) -> u64 {
    (cores.max(0.0) * 1_000.0) as u64
}
