//! The top: what runs, where it is, and whether the thresholds hold so far.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Block;

use super::bar::track;
use super::{lines, span, title_text};
use crate::control::{Stop, Tempo};
use crate::report::words::{SEPARATOR, position, printable};
use crate::report::{decided, is_warming_up, open};
use crate::stats::{Phase, Snapshot};
use crate::tui::layout;
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::human_count;
use crate::verdict::Verdict;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &UiState) {
    let theme = state.theme;
    let right = format!(" {} ", phase(state));
    let room = area.width.saturating_sub(u16::try_from(right.chars().count()).unwrap_or(u16::MAX));
    let context = &state.context;
    let mut parts = vec![
        printable(&context.scenario).into_owned(),
        printable(&context.target).into_owned(),
        format!("{} devices", human_count(context.devices)),
        format!("seed {}", context.seed),
    ];
    // Without its token, which steers the run: whoever sits here finds it in the help.
    parts.extend(context.page.as_deref().and_then(|page| page.split('#').next()).map(str::to_owned));
    let left = title_text(&parts, room);
    let block = Block::bordered()
        .border_style(theme.style(Tone::Quiet))
        .title_top(Line::styled(left, theme.style(Tone::Strong)).left_aligned())
        .title_top(Line::styled(right, theme.style(phase_tone(state))).right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if let Some(picture) = state.picture() {
        progress(frame, inner, picture, state);
    }
}

/// The panes of this run, the one that is shown in brackets.
pub(super) fn tabs(frame: &mut Frame<'_>, area: Rect, state: &UiState) {
    let feedback = state.context.feedback;
    for (pane, place) in layout::tabs(area, feedback) {
        let text = layout::tab(pane, feedback);
        let (text, tone) = if pane == state.pane {
            (format!("[{}]", text.get(1..text.len() - 1).unwrap_or_default()), Tone::Strong)
        } else {
            (text, Tone::Normal)
        };
        lines(frame, place, vec![Line::styled(text, state.theme.style(tone))]);
    }
}

/// How far the run is, and how the thresholds stand.
fn progress(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let snapshot = &picture.snapshot;
    let (part, whole) = match snapshot.load_elapsed {
        Some(_) => (decided(snapshot), snapshot.planned),
        None => online(snapshot),
    };
    let width = (area.width / 4).clamp(8, 32);
    let mut line = Line::default();
    line.extend(track(part, whole, width, state.theme));
    // One blank stands before the first figure.
    let room = usize::from(area.width.saturating_sub(width + 1));
    let mut separator = " ";
    for (text, tone) in figures_that_fit(figures(picture), room) {
        line.push_span(separator);
        line.push_span(span(text, state.theme.style(tone)));
        separator = SEPARATOR;
    }
    lines(frame, area, vec![line]);
}

/// A figure of the progress line.
struct Figure {
    text: String,
    tone: Tone,
    /// Where there is little room, figures with a smaller number stay.
    rank: u8,
}

/// Everything the progress line could say, in its order.
fn figures(picture: &Picture) -> Vec<Figure> {
    let snapshot = &picture.snapshot;
    let figure = |rank, text| Figure { text, tone: Tone::Normal, rank };
    if snapshot.load_elapsed.is_none() {
        let (online, devices) = online(snapshot);
        return vec![figure(
            0,
            format!("{} of {} devices online", human_count(online), human_count(devices)),
        )];
    }
    let (ended, planned) = (human_count(decided(snapshot)), human_count(snapshot.planned));
    let mut figures = vec![figure(0, format!("{ended} of {planned} ended"))];
    if let Some(second) = snapshot.series.last().filter(|_| snapshot.phase == Phase::Load) {
        figures.push(figure(3, format!("{}/s sent", human_count(second.started))));
    }
    figures.push(figure(4, format!("{} in flight", human_count(open(snapshot)))));
    if snapshot.steered {
        figures.push(Figure { text: "steered".to_owned(), tone: Tone::Warning, rank: 5 });
    }
    let (verdict, tone) = thresholds(&picture.verdict);
    figures.extend(verdict.into_iter().zip(1..).map(|(text, rank)| Figure { text, tone, rank }));
    figures
}

/// The most important figures that fit side by side, with separators between them.
fn figures_that_fit(mut figures: Vec<Figure>, room: usize) -> Vec<(String, Tone)> {
    let width = |figures: &[Figure]| -> usize {
        let separators = SEPARATOR.chars().count() * figures.len().saturating_sub(1);
        separators + figures.iter().map(|figure| figure.text.chars().count()).sum::<usize>()
    };
    while width(&figures) > room {
        let least = figures.iter().map(|figure| figure.rank).max();
        figures.retain(|figure| Some(figure.rank) != least);
    }
    figures.into_iter().map(|figure| (figure.text, figure.tone)).collect()
}

/// Devices online, and all.
pub(super) fn online(snapshot: &Snapshot) -> (u64, u64) {
    snapshot.groups.iter().fold((0, 0), |(online, all), group| (online + group.online, all + group.devices))
}

/// How many thresholds hold; the first that fails, with its figure, if there is room.
fn thresholds(verdict: &Verdict) -> (Vec<String>, Tone) {
    let counted = || verdict.thresholds.iter().filter(|threshold| !threshold.info);
    let (all, held) = (counted().count(), counted().filter(|t| t.passed == Some(true)).count());
    let waiting = counted().filter(|t| t.passed.is_none()).count();
    if let Some(failed) = counted().find(|t| t.passed == Some(false)) {
        let name = format!("{} is {}", printable(&failed.text), failed.shown);
        return (vec![format!("✗ {held} of {all} thresholds"), name], Tone::Bad);
    }
    if waiting == all {
        return (vec![format!("{all} thresholds without data yet")], Tone::Normal);
    }
    let mut parts = vec![format!("✓ {held} of {all} thresholds")];
    if waiting > 0 {
        parts.push(format!("{waiting} without data yet"));
    }
    (parts, if waiting > 0 { Tone::Normal } else { Tone::Good })
}

/// The phase in a word, and its time.
pub(super) fn phase(state: &UiState) -> String {
    let Some(picture) = state.picture() else { return "STARTING".to_owned() };
    let snapshot = &picture.snapshot;
    let text = match snapshot.phase {
        Phase::Connect => format!("CONNECTING {}", position(snapshot.elapsed)),
        Phase::Load => load(snapshot),
        Phase::Drain => drain(snapshot),
        Phase::Settle => format!("SETTLING {}", position(snapshot.elapsed)),
        Phase::Done => format!("DONE {}", position(snapshot.elapsed)),
    };
    if snapshot.phase >= Phase::Settle {
        return text;
    }
    if state.stop != Stop::No {
        return format!("STOPPING · {text}");
    }
    if snapshot.phase > Phase::Load {
        return text;
    }
    match tempo(snapshot.tempo, state.tempo) {
        Some(tempo) => format!("{tempo} · {text}"),
        None => text,
    }
}

/// Whether the load waits, and at which rate it goes; with `…` what is asked for and not in force yet.
fn tempo(in_force: Tempo, asked: Tempo) -> Option<String> {
    let pending = if in_force == asked { "" } else { "…" };
    let mut words = Vec::new();
    match (asked.paused, in_force.paused) {
        (true, _) => words.push(format!("PAUSED{pending}")),
        (false, true) => words.push("RESUMING…".to_owned()),
        (false, false) => {}
    }
    if asked.rate_percent != Tempo::PLANNED.rate_percent || asked.rate_percent != in_force.rate_percent {
        words.push(format!("RATE {}%{pending}", asked.rate_percent));
    }
    (!words.is_empty()).then(|| words.join(SEPARATOR))
}

fn load(snapshot: &Snapshot) -> String {
    let word = if is_warming_up(snapshot) { "WARMING UP" } else { "MEASURING" };
    let elapsed = snapshot.load_elapsed.unwrap_or(Duration::ZERO);
    match snapshot.load_planned {
        Some(planned) => format!("{word} {} / {}", position(elapsed), position(planned)),
        None => format!("{word} {}", position(elapsed)),
    }
}

fn drain(snapshot: &Snapshot) -> String {
    let left = snapshot.last_deadline.map(|deadline| deadline.saturating_sub(snapshot.elapsed));
    match left {
        Some(left) => format!("DRAINING, at most {:.0}s more", left.as_secs_f64().ceil()),
        None => "DRAINING".to_owned(),
    }
}

fn phase_tone(state: &UiState) -> Tone {
    let as_planned = state.stop == Stop::No && state.tempo.is_planned();
    if as_planned { Tone::Strong } else { Tone::Warning }
}
