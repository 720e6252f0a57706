//! Keys, the mouse and data change the state as they should.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::*;
use crate::report::sample;
use crate::verdict::judge;

fn state() -> UiState {
    let context = Context {
        scenario: "s".into(),
        target: "embedded".into(),
        seed: 1,
        devices: 250,
        feedback: Feedback::None,
        page: None,
    };
    UiState::new(context, Theme::Mono)
}

/// \x03 stands for Ctrl-C.
fn key(code: char) -> Input {
    let (code, modifiers) = match code {
        '\x03' => (KeyCode::Char('c'), KeyModifiers::CONTROL),
        '\r' => (KeyCode::Enter, KeyModifiers::NONE),
        '\x1b' => (KeyCode::Esc, KeyModifiers::NONE),
        code => (KeyCode::Char(code), KeyModifiers::NONE),
    };
    Input::Terminal(Event::Key(KeyEvent::new(code, modifiers)))
}

fn state_of_size(width: u16, height: u16) -> UiState {
    let mut state = state();
    update(&mut state, Input::Terminal(Event::Resize(width, height)));
    state
}

fn press(state: &mut UiState, keys: &str) -> Action {
    keys.chars().fold(Action::Nothing, |_, code| update(state, key(code)))
}

fn data(snapshot: Snapshot) -> Input {
    Input::Data(judge(&sample::scenario(), &snapshot), Arc::new(snapshot))
}

#[test]
fn stopping_asks_first() {
    use Action::{Nothing, Redraw, RequestStop};
    // \x03 stands for Ctrl-C.
    for (keys, actions) in [
        ("q", vec![Redraw]),
        ("qq", vec![Redraw, RequestStop]),
        ("qqqq", vec![Redraw, RequestStop, Redraw, RequestStop]),
        ("qxq", vec![Redraw, Redraw, Redraw]),
        ("qfq", vec![Redraw, Redraw, Redraw]),
        ("\x03", vec![RequestStop]),
        ("\x03\x03", vec![RequestStop, RequestStop]),
        ("xy", vec![Nothing, Nothing]),
        ("fx", vec![Redraw, Redraw]),
    ] {
        let mut state = state();
        let done: Vec<_> = keys.chars().map(|code| update(&mut state, key(code))).collect();
        assert_eq!(done, actions, "{keys:?}");
    }
}

#[test]
fn the_help_opens_and_closes_and_any_key_closes_it() {
    for (keys, open) in
        [("?", true), ("h", true), ("??", false), ("?x", false), ("?f", false), ("?h?", true), ("?jk", true)]
    {
        let mut state = state();
        for code in keys.chars() {
            assert_eq!(update(&mut state, key(code)), Action::Redraw);
        }
        assert_eq!(state.help.is_some(), open, "{keys}");
    }
}

#[test]
fn a_held_picture_stays_until_it_is_let_go() {
    let mut state = state();
    assert_eq!(update(&mut state, data(sample::warming_up())), Action::Redraw);
    update(&mut state, key('f'));
    assert_eq!(update(&mut state, data(sample::measuring())), Action::Nothing);
    assert_eq!(state.picture().unwrap().snapshot.number, 6);
    update(&mut state, key('f'));
    assert_eq!(state.picture().unwrap().snapshot.number, 24);
}

#[test]
fn freezing_before_there_is_a_picture_holds_nothing() {
    let mut state = state();
    update(&mut state, key('f'));
    assert!(!state.is_frozen());
    assert_eq!(update(&mut state, data(sample::measuring())), Action::Redraw);
}

#[test]
fn a_stop_asked_for_elsewhere_is_seen_once() {
    let mut state = state();
    let asked = |stop| Input::Asked(stop, Tempo::PLANNED);
    assert_eq!(update(&mut state, asked(Stop::No)), Action::Nothing);
    assert_eq!(update(&mut state, asked(Stop::Drain)), Action::Redraw);
    assert_eq!(update(&mut state, asked(Stop::Drain)), Action::Nothing);
}

#[test]
fn a_group_s_rate_is_over_the_last_seconds() {
    let mut state = state();
    for second in 0..20u64 {
        let mut snapshot = sample::empty(crate::stats::Phase::Load, second);
        let started = 7 * second + if second > 10 { 100 } else { 0 };
        Arc::make_mut(&mut snapshot.totals).counts_mut(crate::stats::Part::Measured, 0, 1).started = started;
        update(&mut state, data(snapshot));
    }
    assert_eq!(format!("{:.1?}", state.picture().unwrap().group_rates), "[0.0, 7.0]");
    assert_eq!(state.started.len(), RATE_SECONDS + 1);
}

#[test]
fn every_key_that_can_do_nothing_says_so() {
    for (keys, said) in [
        ("4", "neither a rollout nor a capacity search"),
        ("f", "no picture to freeze"),
        ("2s", "sorts the groups"),
        ("2/", "filter is for groups"),
        ("l", "percentiles on pane 2"),
        ("3[", "charts on panes 1, 2 and 5"),
        ("3g", "select a group here"),
        ("2g", "one group"),
        ("2[[[", "end of the scale"),
        ("j", "nothing to scroll"),
    ] {
        let mut state = state_of_size(118, 32);
        assert_eq!(press(&mut state, keys), Action::Redraw, "{keys}");
        let note = state.note.as_ref().map(|note| note.text.as_str()).unwrap_or_default();
        assert!(note.contains(said), "{keys}: {note:?}");
        // The next key takes it away.
        press(&mut state, "x");
        assert_eq!(state.note, None, "{keys}");
    }
}

#[test]
fn pause_and_rate_are_asked_for_while_there_is_something_to_send() {
    let mut state = state_of_size(80, 24);
    for (key, action) in [
        (" ", Action::TogglePause),
        ("+", Action::ChangeRate(1)),
        ("-", Action::ChangeRate(-1)),
        ("=", Action::PlannedRate),
    ] {
        assert_eq!(press(&mut state, key), action);
    }
    state.context.feedback = Feedback::Capacity;
    assert_eq!(press(&mut state, "+"), Action::Redraw);
    assert!(state.note.as_ref().unwrap().text.contains("sets its own rates"));
    update(&mut state, data(sample::draining()));
    assert_eq!(press(&mut state, " "), Action::Redraw);
    assert!(state.note.as_ref().unwrap().text.contains("nothing more is sent"));
}

#[test]
fn a_filter_is_written_and_kept_or_thrown_away() {
    for (keys, filter, editing) in [
        ("3/fla", "fla", true),
        ("3/fla\r", "fla", false),
        ("3/fla\x1b", "", false),
        ("3/fla\r\x1b", "", false),
        ("3/q q\r", "q q", false),
        ("5/stop\r1", "stop", false),
    ] {
        let mut state = state_of_size(80, 24);
        update(&mut state, data(sample::measuring()));
        press(&mut state, keys);
        assert_eq!((state.filter.input.value(), state.filter.editing), (filter, editing), "{keys:?}");
    }
    let mut state = state_of_size(80, 24);
    press(&mut state, "3/");
    press(&mut state, &"x".repeat(10_000));
    assert!(state.filter.input.value().len() <= 64);
    // Ctrl-C stops whatever is written.
    assert_eq!(press(&mut state, "\x03"), Action::RequestStop);
}

#[test]
fn a_selection_stays_with_its_group_whatever_the_order() {
    let mut state = state_of_size(118, 32);
    update(&mut state, data(sample::done()));
    press(&mut state, "3j");
    assert_eq!(state.selected, 1);
    for _ in 0..6 {
        press(&mut state, "s");
        assert_eq!(state.selected, 1);
    }
    press(&mut state, "/fast\r");
    assert_eq!(state.listed(), [0]);
    assert_eq!(state.shown_group(), 0, "what is not listed is left for what is");
}

#[test]
fn the_mouse_reaches_tabs_tiles_and_rows() {
    let mut state = state_of_size(118, 32);
    update(&mut state, data(sample::done()));
    let at = |kind, column, row| {
        Input::Terminal(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
    };
    let click = |column, row| at(MouseEventKind::Down(MouseButton::Left), column, row);
    // ` 1 Overview  2 Latency  3 Groups …` in the fourth row.
    update(&mut state, click(25, 3));
    assert_eq!(state.pane, Pane::Groups);
    update(&mut state, click(10, 7));
    assert_eq!((state.focus, state.selected), (Some(Tile::GroupTable), 1));
    update(&mut state, at(MouseEventKind::ScrollUp, 10, 7));
    assert_eq!(state.selected, 0);
    update(&mut state, click(100, 20));
    assert_eq!(state.focus, Some(Tile::GroupDetail));
    assert_eq!(update(&mut state, click(u16::MAX, u16::MAX)), Action::Nothing);
}

#[test]
fn a_tile_is_enlarged_and_let_go() {
    let mut state = state_of_size(118, 32);
    update(&mut state, data(sample::measuring()));
    press(&mut state, "2e");
    assert_eq!((state.focus, state.enlarged), (Some(Tile::Percentiles), true));
    update(&mut state, Input::Terminal(Event::Key(KeyEvent::new(KeyCode::Right, KeyModifiers::NONE))));
    assert_eq!(state.focus, Some(Tile::HeatMap));
    press(&mut state, "\x1b");
    assert!(!state.enlarged);
    press(&mut state, "e3");
    assert!(!state.enlarged, "another pane begins with all its tiles");
}

#[test]
fn thresholds_that_turn_are_events() {
    let mut state = state_of_size(118, 32);
    update(&mut state, data(sample::warming_up()));
    update(&mut state, data(sample::done()));
    let entries = state.entries();
    assert!(entries.iter().any(|entry| entry.text.contains("rate(succeeded) >= 99% fails")), "{entries:?}");
    assert!(entries.is_sorted_by_key(|entry| entry.at_us));
}
