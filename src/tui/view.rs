//! What the screen looks like: the picture and the state turned into cells, nothing else.
//!
//! ```text
//! header    scenario, phase and time; progress and thresholds
//! latency   the distribution │ the last seconds     (while devices connect: their progress)
//! ends      executions by class │ groups
//! health    does the generator keep up
//! keys      or the question that waits for an answer
//! ```
//! A narrow screen loses panes, columns and figures, but never half of one.

mod bar;
mod connect;
mod ends;
mod groups;
mod header;
mod health;
mod help;
mod latency;
mod over_time;
mod tiny;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use self::over_time::OverTime;
use super::state::{Picture, UiState};
use super::theme::Tone;

/// Below this the panes say less than two lines do.
const SMALLEST: (u16, u16) = (60, 16);
/// From here on there is room for two panes of latency side by side.
const WIDE: u16 = 100;

/// Draws the whole screen, whatever its size.
pub(super) fn draw(frame: &mut Frame<'_>, state: &UiState) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return tiny::draw(frame, area, state);
    }
    let [top, body, health, keys] = area.layout(&Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ]));
    header::draw(frame, top, state);
    match state.picture() {
        Some(picture) if picture.snapshot.load_elapsed.is_some() => overview(frame, body, picture, state),
        picture => connect::draw(frame, body, picture, state),
    }
    if let Some(picture) = state.picture() {
        health::draw(frame, health, picture, state);
    }
    help::keys(frame, keys, state);
    if state.help {
        help::overlay(frame, body, state);
    }
}

fn overview(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let below = (area.height * 2 / 5).clamp(5, 11);
    let [above, below] = area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(below)]));
    if area.width >= WIDE {
        let [left, right] = above.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
        latency::draw(frame, left, picture, state);
        let inner = pane(frame, right, state, OverTime::title(right.width));
        frame.render_widget(OverTime { series: &picture.snapshot.series, theme: state.theme }, inner);
    } else {
        latency::draw(frame, above, picture, state);
    }
    let [left, right] = below.layout(&Layout::horizontal([Constraint::Percentage(48), Constraint::Fill(1)]));
    ends::draw(frame, left, picture, state);
    groups::draw(frame, right, picture, state);
}

/// A frame with a title; gives the area within.
fn pane(frame: &mut Frame<'_>, area: Rect, state: &UiState, title: String) -> Rect {
    let block = Block::bordered()
        .border_style(state.theme.style(Tone::Quiet))
        .title_top(Line::styled(title, state.theme.style(Tone::Strong)));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

/// The title of a pane: the figures that fit between its corners, with a blank on either side.
fn title<S: AsRef<str>>(parts: &[S], width: u16) -> String {
    let text = crate::report::words::parts_that_fit(parts, usize::from(width.saturating_sub(4)));
    if text.is_empty() { text } else { format!(" {text} ") }
}

/// Lines from the top; those that do not fit are not drawn.
fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// A piece of a line.
fn span<'a>(text: impl Into<String>, style: Style) -> Span<'a> {
    Span::styled(text.into(), style)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
    use proptest::prelude::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::control::Stop;
    use crate::report::sample;
    use crate::stats::{Phase, Snapshot};
    use crate::tui::state::{Context, Input, update};
    use crate::tui::theme::Theme;
    use crate::verdict::judge;

    fn state(snapshot: Option<Snapshot>) -> UiState {
        let context =
            Context { scenario: "ci-smoke".into(), target: "embedded".into(), seed: 1, devices: 250 };
        let mut state = UiState::new(context, Theme::True);
        if let Some(snapshot) = snapshot {
            // The second before, so that rates have something to start from.
            let mut before = snapshot.clone();
            before.elapsed = before.elapsed.saturating_sub(std::time::Duration::from_secs(1));
            before.totals = Arc::new(crate::stats::Statistics::new(Arc::clone(&before.shape)));
            update(&mut state, Input::Data(judge(&sample::scenario(), &before), Arc::new(before)));
            update(&mut state, Input::Data(judge(&sample::scenario(), &snapshot), Arc::new(snapshot)));
        }
        state
    }

    fn press(state: &mut UiState, key: char) {
        let event = KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE);
        update(state, Input::Terminal(Event::Key(event)));
    }

    fn screen(state: &UiState, width: u16, height: u16) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        terminal.backend().clone()
    }

    fn every_state() -> Vec<UiState> {
        let mut states: Vec<UiState> = [
            None,
            Some(sample::empty(Phase::Connect, 0)),
            Some(sample::connecting()),
            Some(sample::warming_up()),
            Some(sample::measuring()),
            Some(sample::draining()),
            Some(sample::done()),
        ]
        .into_iter()
        .map(state)
        .collect();
        let mut helped = state(Some(sample::measuring()));
        press(&mut helped, '?');
        states.push(helped);
        let mut asked = state(Some(sample::measuring()));
        press(&mut asked, 'q');
        states.push(asked);
        states
    }

    #[test]
    fn a_large_screen_has_every_pane() {
        insta::assert_snapshot!(screen(&state(Some(sample::measuring())), 118, 32));
    }

    #[test]
    fn a_usual_screen_loses_a_pane_and_columns_but_no_half_words() {
        insta::assert_snapshot!(screen(&state(Some(sample::measuring())), 80, 24));
    }

    #[test]
    fn the_smallest_screen_with_panes() {
        insta::assert_snapshot!(screen(&state(Some(sample::measuring())), 60, 16));
    }

    #[test]
    fn a_tiny_screen_says_the_most_in_two_lines() {
        insta::assert_snapshot!(screen(&state(Some(sample::measuring())), 40, 10));
        insta::assert_snapshot!(screen(&state(Some(sample::measuring())), 1, 1), @r#"" ""#);
    }

    #[test]
    fn before_the_load_the_fleet_is_seen_to_come_online() {
        insta::assert_snapshot!(screen(&state(None), 80, 16));
        insta::assert_snapshot!(screen(&state(Some(sample::connecting())), 80, 16));
    }

    #[test]
    fn draining_names_the_last_deadline() {
        let mut state = state(Some(sample::draining()));
        update(&mut state, Input::Stop(Stop::Drain));
        insta::assert_snapshot!(screen(&state, 80, 24));
    }

    #[test]
    fn a_run_that_is_over_and_did_not_pass() {
        let mut snapshot = sample::done();
        snapshot.report_gap = std::time::Duration::from_secs(3);
        insta::assert_snapshot!(screen(&state(Some(snapshot)), 118, 32));
    }

    #[test]
    fn the_help_and_the_question_come_from_the_key_table() {
        let mut state = state(Some(sample::measuring()));
        press(&mut state, '?');
        press(&mut state, 'q');
        insta::assert_snapshot!(screen(&state, 80, 24));
    }

    #[test]
    fn the_same_state_draws_the_same_screen() {
        for state in every_state() {
            assert_eq!(screen(&state, 118, 32).buffer(), screen(&state, 118, 32).buffer());
        }
    }

    #[test]
    fn without_colour_nothing_is_coloured() {
        let mut state = state(Some(sample::done()));
        state.theme = Theme::Mono;
        for cell in screen(&state, 118, 32).buffer().content() {
            assert_eq!((cell.fg, cell.bg), (ratatui::style::Color::Reset, ratatui::style::Color::Reset));
        }
    }

    #[test]
    fn the_background_is_never_painted() {
        for state in every_state() {
            let screen = screen(&state, 118, 32);
            assert!(screen.buffer().content().iter().all(|cell| cell.bg == ratatui::style::Color::Reset));
        }
    }

    #[test]
    fn many_groups_with_long_names_stay_in_their_pane() {
        let names = (0..300).map(|n| format!("a-group-with-a-rather-long-name-{n:03}")).collect();
        let shape = Arc::new(crate::stats::Shape { workloads: vec!["w".into()], groups: names });
        let mut snapshot = sample::measuring();
        snapshot.totals = Arc::new(crate::stats::Statistics::new(Arc::clone(&shape)));
        snapshot.groups = vec![crate::stats::GroupGauge { devices: 10_000, online: 9_999 }; 300];
        snapshot.shape = shape;
        insta::assert_snapshot!(screen(&state(Some(snapshot)), 80, 24));
    }

    #[test]
    fn names_from_outside_cannot_write_on_the_terminal() {
        let mut state = state(Some(sample::measuring()));
        state.context.scenario = "evil\x1b[2J".to_owned();
        state.context.target = "\u{9b}31m".to_owned();
        for cell in screen(&state, 118, 32).buffer().content() {
            assert!(!cell.symbol().contains(char::is_control), "{:?}", cell.symbol());
        }
    }

    #[test]
    fn every_small_size_draws() {
        for state in every_state() {
            for (width, height) in (1..=140).step_by(9).flat_map(|w| (1..=50).step_by(7).map(move |h| (w, h)))
            {
                screen(&state, width, height);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_size_and_no_state_makes_it_panic(width in 1u16..=140, height in 1u16..=50, at in 0usize..9) {
            screen(&every_state()[at], width, height);
        }
    }
}
