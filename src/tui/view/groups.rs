//! The groups: how each stands now and how its executions went.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{lines, more, name, pane, title, widest};
use crate::report::words::{share, span as time};
use crate::stats::Class;
use crate::tui::mouse::first_row;
use crate::tui::pane::Tile;
use crate::tui::picture::{GroupRow, Picture};
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::{human_count, human_rate};

/// Heads of the columns, the name's first.
const HEADS: [&str; 8] = ["group", "online", "rate", "ended", "ok", "not ok", "p50", "p99"];
/// Columns in the order in which a narrow tile loses them.
const DISPENSABLE: [usize; 5] = [3, 2, 5, 1, 6];
/// A name is cut to no less than this while there are columns to lose.
const SHORTEST_NAME: usize = 16;
/// Between columns.
const GAP: usize = 2;
/// The mark of the selected row and a blank.
const MARK: usize = 2;

type Row = [String; HEADS.len()];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let filter = state.filter.input.value();
    let listed = picture.listed(filter, state.sort);
    let all = picture.groups().len();
    let mut parts = vec!["Groups".to_owned()];
    if filter.is_empty() {
        parts.push(human_count(all as u64));
    } else {
        parts.push(format!("{} of {}", human_count(listed.len() as u64), human_count(all as u64)));
        parts.push(format!("/{}", crate::report::words::printable(filter)));
    }
    parts.push(state.sort.words().to_owned());
    let inner = pane(frame, area, state, Tile::GroupTable, title(&parts, area.width));
    let room = usize::from(inner.height.saturating_sub(1));
    let indices: Vec<usize> = listed.iter().map(|row| row.index).collect();
    let selected = state.shown_group();
    let first = first_row(&indices, selected, room);
    let shown: Vec<&GroupRow> = listed.iter().skip(first).take(room).copied().collect();
    let rows: Vec<Row> = shown.iter().map(|group| row(group)).collect();
    let (widths, columns) = layout(&rows, usize::from(inner.width).saturating_sub(MARK));
    let heads = format!("  {}", line(&HEADS.map(str::to_owned), &widths, &columns));
    let mut text = vec![Line::styled(heads, state.theme.style(Tone::Quiet))];
    text.extend(shown.iter().zip(&rows).map(|(group, row)| {
        let is_selected = group.index == selected;
        let (mark, tone) = if is_selected { ("▸ ", Tone::Strong) } else { ("  ", Tone::Normal) };
        Line::styled(format!("{mark}{}", line(row, &widths, &columns)), state.theme.style(tone))
    }));
    lines(frame, inner, text);
    more(frame, inner, state, first, listed.len().saturating_sub(first + shown.len()));
}

fn row(group: &GroupRow) -> Row {
    let decided = group.counts.decided();
    let succeeded = group.counts.class(Class::Succeeded);
    [
        group.name.clone(),
        format!("{}/{}", human_count(group.gauge.online), human_count(group.gauge.devices)),
        group.rate.map_or_else(|| "–".to_owned(), rate),
        human_count(decided),
        share(succeeded, decided),
        human_count(decided - succeeded),
        time(group.latency_us_p50),
        time(group.latency_us_p99),
    ]
}

/// Restless figures with one decimal; of many, none.
fn rate(per_second: f64) -> String {
    if per_second < 100.0 { format!("{per_second:.1}/s") } else { human_rate(per_second.round()) }
}

/// The widths of the columns and which of them fit.
fn layout(rows: &[Row], room: usize) -> (Vec<usize>, Vec<usize>) {
    let width = |column: usize| widest(rows.iter().map(|row| row[column].as_str()).chain([HEADS[column]]));
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
