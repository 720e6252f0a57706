//! A capacity search: its steps, latency over rate, and between which rates it is.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use super::chart::{self, Axis, Curve, LEFT};
use super::{lines, more, pane, span, title, widest, words};
use crate::report::words::{cpu, printable, span as time};
use crate::stats::{CapacityProgress, CapacityStep, StepOutcome};
use crate::tui::pane::Tile;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::{human_count, human_rate};

/// Heads of the columns; the outcome stands first, as a mark, and last, in words.
const HEADS: [&str; 7] = ["rate", "achieved", "p50", "p99", "refused", "CPU gen", "CPU backend"];
/// Columns in the order in which a narrow tile loses them.
const DISPENSABLE: [usize; 5] = [4, 6, 5, 2, 1];

/// Every step with what it was worth, the newest at the bottom.
pub(super) fn steps(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let empty = CapacityProgress::default();
    let capacity = picture.snapshot.capacity.as_deref().unwrap_or(&empty);
    let parts = ["Steps".to_owned(), human_count(capacity.steps.len() as u64)];
    let inner = pane(frame, area, state, Tile::Steps, title(&parts, area.width));
    let rows: Vec<[String; HEADS.len()]> = capacity.steps.iter().map(row).collect();
    let width = usize::from(inner.width);
    let (widths, columns) = layout(&rows, width.saturating_sub(3));
    let line = |row: &[String; HEADS.len()]| -> String {
        let cells = columns.iter().map(|column| (&row[*column], widths[*column]));
        cells.map(|(text, width)| format!("{text:>width$}")).collect::<Vec<_>>().join("  ")
    };
    let mut shown = Vec::new();
    for (step, row) in capacity.steps.iter().zip(&rows) {
        let (mark, tone, why) = match &step.outcome {
            StepOutcome::Passed => ('✓', Tone::Good, String::new()),
            StepOutcome::Failed { limit, shown } => {
                ('✗', Tone::Bad, format!("{} is {shown}", printable(limit)))
            }
            StepOutcome::Unknown { reason } => ('?', Tone::Warning, format!("generator lagged: {reason}")),
        };
        let figures = format!("{}  ", line(row));
        let room = width.saturating_sub(3 + figures.chars().count());
        // A word or two would say less than the mark.
        let why = if room < 12 { String::new() } else { words(&why, room) };
        shown.push(Line::from(vec![
            span(format!(" {mark} "), state.theme.style(tone)),
            span(figures, state.theme.style(Tone::Normal)),
            span(why, state.theme.style(tone)),
        ]));
    }
    if let Some((number, rate)) = capacity.running {
        let text = format!(" ▸ {} is running, step {number}", human_rate(rate));
        shown.push(Line::styled(words(&text, width), state.theme.style(Tone::Strong)));
    }
    let heads = format!("   {}", line(&HEADS.map(str::to_owned)));
    lines(
        frame,
        Rect { height: inner.height.min(1), ..inner },
        vec![Line::styled(heads, state.theme.style(Tone::Quiet))],
    );
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let height = usize::from(list.height);
    let below = state.offset(Tile::Steps).min(shown.len().saturating_sub(height));
    let until = shown.len() - below;
    let from = until.saturating_sub(height);
    lines(frame, list, shown.into_iter().skip(from).take(until - from).collect());
    more(frame, list, state, from, below);
}

fn row(step: &CapacityStep) -> [String; HEADS.len()] {
    let refused: u64 = step.refused.iter().map(|(_, count)| count).sum();
    [
        human_rate(step.rate),
        human_rate(step.achieved),
        time(step.latency_us_p50),
        time(step.latency_us_p99),
        human_count(refused),
        cpu(step.cpu.busiest_shard),
        cpu(step.cpu.backend),
    ]
}

fn layout(rows: &[[String; HEADS.len()]], room: usize) -> ([usize; HEADS.len()], Vec<usize>) {
    let widths: [usize; HEADS.len()] = std::array::from_fn(|column| {
        widest(rows.iter().map(|row| row[column].as_str()).chain([HEADS[column]]))
    });
    let mut columns: Vec<usize> = (0..HEADS.len()).collect();
    for dispensable in DISPENSABLE {
        let used: usize = columns.iter().map(|column| widths[*column] + 2).sum();
        if used > room {
            columns.retain(|column| *column != dispensable);
        }
    }
    (widths, columns)
}

/// Latency of what succeeded over the rate that was asked for, both logarithmic.
pub(super) fn curve(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let mut steps: Vec<&CapacityStep> =
        picture.snapshot.capacity.iter().flat_map(|capacity| &capacity.steps).collect();
    steps.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let values = steps.iter().flat_map(|step| [step.latency_us_p50, step.latency_us_p99]).flatten();
    let axis = Axis::over(values, false);
    let log = |rate: f64| rate.max(1e-6).log10();
    let points = |of: fn(&CapacityStep) -> Option<u64>| {
        let measured = steps.iter().filter_map(|step| Some((log(step.rate), axis?.at(of(step)?))));
        measured.map(Some).collect::<Vec<_>>()
    };
    let curves = [
        Curve { name: "p50", tone: Tone::Bar, glyph: '·', points: points(|step| step.latency_us_p50) },
        Curve { name: "p99", tone: Tone::Third, glyph: '×', points: points(|step| step.latency_us_p99) },
    ];
    let mut heading = Line::raw(" ");
    for curve in &curves {
        heading.push_span(curve.legend(state.theme));
    }
    heading.push_span("over rate, log ");
    let inner = pane(frame, area, state, Tile::Curve, heading);
    let (Some(axis), Some(first), Some(last)) = (axis, steps.first(), steps.last()) else {
        return lines(frame, inner, vec![Line::raw(" no step is over yet")]);
    };
    if inner.width <= LEFT {
        return;
    }
    let (low, high) = (log(first.rate), log(last.rate));
    let bounds = if high > low { [low, high] } else { [low - 0.5, low + 0.5] };
    let below = [human_rate(first.rate), human_rate(last.rate)];
    chart::draw(inner, frame.buffer_mut(), state.theme, &curves, (bounds, axis), below);
}

/// The answer, or between which rates it lies so far.
pub(super) fn bounds(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let empty = CapacityProgress::default();
    let capacity = picture.snapshot.capacity.as_deref().unwrap_or(&empty);
    let (heading, text, tone) = match &capacity.answer {
        Some(answer) => ("Answer", printable(&answer.sentence).into_owned(), Tone::Strong),
        None => ("So far", so_far(capacity), Tone::Normal),
    };
    let inner = pane(frame, area, state, Tile::Bounds, title(&[heading], area.width));
    // Whole words over as many lines as they need.
    let text = Paragraph::new(Line::styled(format!(" {text}"), state.theme.style(tone)));
    frame.render_widget(text.wrap(Wrap { trim: false }), inner);
}

fn so_far(capacity: &CapacityProgress) -> String {
    let of = |is: fn(&StepOutcome) -> bool| {
        capacity.steps.iter().filter(move |step| is(&step.outcome)).map(|step| step.rate)
    };
    let held = of(|outcome| *outcome == StepOutcome::Passed).reduce(f64::max);
    let broke = of(|outcome| matches!(outcome, StepOutcome::Failed { .. })).reduce(f64::min);
    let lagged = of(|outcome| matches!(outcome, StepOutcome::Unknown { .. })).reduce(f64::min);
    let mut parts = match held {
        Some(rate) => vec![format!("holds {}", human_rate(rate))],
        None => vec!["nothing held yet".to_owned()],
    };
    parts.extend(broke.map(|rate| format!("breaks at {}", human_rate(rate))));
    parts.extend(lagged.map(|rate| format!("the generator lagged at {}", human_rate(rate))));
    if let Some((number, rate)) = capacity.running {
        parts.push(format!("step {number} tries {}", human_rate(rate)));
    }
    parts.join(crate::report::words::SEPARATOR)
}
