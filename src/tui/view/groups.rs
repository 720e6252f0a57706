//! The groups: how each stands now and how its executions went.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{lines, pane, title};
use crate::report::words::{printable, share, span as time};
use crate::stats::{Class, Outcome, Percentile, Span};
use crate::tui::state::{Picture, UiState};
use crate::tui::theme::Tone;
use crate::units::human_count;

/// Heads of the columns, the name's first.
const HEADS: [&str; 6] = ["group", "online", "rate", "ok", "p50", "p99"];
/// Columns in the order in which a narrow pane loses them.
const DISPENSABLE: [usize; 3] = [2, 1, 4];
/// A name is cut to no less than this while there are columns to lose.
const SHORTEST_NAME: usize = 16;
/// Between columns.
const GAP: usize = 2;

type Row = [String; HEADS.len()];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let names = &picture.snapshot.shape.groups;
    let inner =
        pane(frame, area, state, title(&["Groups".to_owned(), human_count(names.len() as u64)], area.width));
    let room = usize::from(inner.height.saturating_sub(1));
    // The last line says how many have no line.
    let shown = if names.len() > room { room.saturating_sub(1) } else { names.len() };
    let rows: Vec<Row> = (0..shown).map(|group| row(picture, group)).collect();
    let (widths, columns) = layout(&rows, usize::from(inner.width));
    let heads = HEADS.map(str::to_owned);
    let mut text = vec![Line::styled(line(&heads, &widths, &columns), state.theme.style(Tone::Quiet))];
    text.extend(rows.iter().map(|row| Line::raw(line(row, &widths, &columns))));
    if shown < names.len() {
        let more = format!("… {} more", human_count((names.len() - shown) as u64));
        text.push(Line::styled(more, state.theme.style(Tone::Quiet)));
    }
    lines(frame, inner, text);
}

fn row(picture: &Picture, group: usize) -> Row {
    let snapshot = &picture.snapshot;
    let gauge = snapshot.groups.get(group).copied().unwrap_or_default();
    let counts = snapshot.totals.measured(None, Some(group));
    let latency = snapshot.totals.merged(Span::Latency, None, Some(group), Some(Outcome::Succeeded));
    let rate = picture.group_rates.get(group).map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}/s"));
    [
        printable(&snapshot.shape.groups[group]).into_owned(),
        format!("{}/{}", human_count(gauge.online), human_count(gauge.devices)),
        rate,
        share(counts.class(Class::Succeeded), counts.decided()),
        time(latency.percentile(Percentile(50.0))),
        time(latency.percentile(Percentile(99.0))),
    ]
}

/// The widths of the columns and which of them fit.
fn layout(rows: &[Row], room: usize) -> (Vec<usize>, Vec<usize>) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADS[column].len()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let mut columns: Vec<usize> = (0..HEADS.len()).collect();
    let others = |columns: &[usize], widths: &[usize]| -> usize {
        columns.iter().filter(|column| **column != 0).map(|column| GAP + widths[*column]).sum()
    };
    for dispensable in DISPENSABLE {
        if others(&columns, &widths) + widths[0].min(SHORTEST_NAME) > room {
            columns.retain(|column| *column != dispensable);
        }
    }
    widths[0] = widths[0].min(room.saturating_sub(others(&columns, &widths)));
    (widths, columns)
}

fn line(row: &Row, widths: &[usize], columns: &[usize]) -> String {
    let mut line = String::new();
    for &column in columns {
        let width = widths[column];
        if column == 0 {
            line.push_str(&name(&row[0], width));
        } else {
            line.push_str(&" ".repeat(GAP + width.saturating_sub(row[column].chars().count())));
            line.push_str(&row[column]);
        }
    }
    line
}

/// A name in so many characters; a cut one ends in `…`.
fn name(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return format!("{name:<width$}");
    }
    name.chars().take(width.saturating_sub(1)).chain(['…']).take(width).collect()
}
