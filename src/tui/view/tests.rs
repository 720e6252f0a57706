use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::samples::{every, measuring, press};
use super::*;
use crate::tui::keys::BINDINGS;
use crate::tui::state::{Input, update};
use crate::tui::theme::Theme;

/// Sizes of every snapshot: wide, usual, tiny, and none to speak of.
const SIZES: [(u16, u16); 4] = [(118, 32), (80, 24), (40, 10), (1, 1)];

fn resized(state: &mut UiState, width: u16, height: u16) -> TestBackend {
    update(state, Input::Terminal(Event::Resize(width, height)));
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().clone()
}

#[test]
fn every_state_at_every_size() {
    for (name, mut state) in every() {
        let screens: Vec<String> =
            SIZES.iter().map(|(width, height)| resized(&mut state, *width, *height).to_string()).collect();
        insta::assert_snapshot!(name, screens.join("\n"));
    }
}

#[test]
fn the_smallest_screen_with_tiles() {
    for keys in ["1", "2", "3", "5"] {
        let mut state = measuring();
        press(&mut state, keys);
        insta::assert_snapshot!(format!("smallest-{keys}"), resized(&mut state, 60, 16));
    }
}

#[test]
fn the_same_state_draws_the_same_screen() {
    for (name, mut state) in every() {
        for (width, height) in SIZES {
            let first = resized(&mut state, width, height);
            assert_eq!(first.buffer(), resized(&mut state, width, height).buffer(), "{name}");
        }
    }
}

#[test]
fn without_colour_nothing_is_coloured() {
    for (name, mut state) in every() {
        state.theme = Theme::Mono;
        for cell in resized(&mut state, 118, 32).buffer().content() {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}: {cell:?}");
        }
    }
}

#[test]
fn the_background_is_never_painted() {
    for (name, mut state) in every() {
        for theme in [Theme::True, Theme::Sixteen] {
            state.theme = theme;
            let screen = resized(&mut state, 118, 32);
            assert!(screen.buffer().content().iter().all(|cell| cell.bg == Color::Reset), "{name}");
        }
    }
}

#[test]
fn every_pane_has_its_tiles_once_and_room_for_each() {
    use crate::tui::pane::Pane;
    let (_, mut state) = every().into_iter().find(|(name, _)| *name == "rollout").unwrap();
    let mut reached = Vec::new();
    for (width, height) in [(118, 32), (80, 24), (60, 16)] {
        state.size = (width, height);
        for pane in Pane::ALL {
            state.pane = pane;
            let mut seen = Vec::new();
            for (tile, place) in
                layout::all(&state, layout::screen(Rect::new(0, 0, width, height)).unwrap().body)
            {
                assert!(!seen.contains(&tile), "{tile:?} is twice on {pane:?}");
                assert!(place.height > 2 && place.width > 2, "{tile:?} has no room at {width}x{height}");
                seen.push(tile);
            }
            reached.extend(seen.into_iter().filter(|_| width == 80));
        }
    }
    // At the usual size nothing is out of reach; the heat map and the histogram are on the first screen.
    for tile in
        [Tile::Distribution, Tile::HeatMap, Tile::Seconds, Tile::Spans, Tile::Thresholds, Tile::Anomalies]
    {
        assert!(reached.contains(&tile), "{tile:?} is nowhere");
    }
    assert_eq!(reached[..2], [Tile::Distribution, Tile::HeatMap]);
}

#[test]
fn names_from_outside_cannot_write_on_the_terminal() {
    let mut snapshot = crate::report::sample::done();
    let evil = "evil\x1b[2J\u{9b}31m\u{202e}";
    snapshot.shape = std::sync::Arc::new(crate::stats::Shape {
        workloads: vec![evil.to_owned()],
        groups: vec![evil.to_owned(), evil.to_owned()],
    });
    snapshot.totals =
        std::sync::Arc::new(crate::stats::Statistics::new(std::sync::Arc::clone(&snapshot.shape)));
    let anomalies = std::sync::Arc::make_mut(&mut snapshot.anomalies);
    anomalies[0].device = evil.to_owned();
    anomalies[0].last_seen = evil.to_owned();
    std::sync::Arc::make_mut(&mut snapshot.events)[0].text = evil.to_owned();
    let mut state = samples::state(Some(snapshot));
    (state.context.scenario, state.context.target) = (evil.to_owned(), evil.to_owned());
    for keys in ["1", "2", "3j", "5"] {
        press(&mut state, keys);
        for cell in resized(&mut state, 118, 32).buffer().content() {
            assert!(
                !cell.symbol().contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{:?}",
                cell.symbol()
            );
        }
    }
}

#[test]
fn the_help_has_every_key_and_can_be_read_whole_on_a_small_screen() {
    let mut state = measuring();
    press(&mut state, "?");
    let mut seen = String::new();
    for _ in 0..BINDINGS.len() + 3 {
        seen.push_str(&resized(&mut state, 80, 16).to_string());
        press(&mut state, "j");
    }
    for binding in &BINDINGS {
        assert!(seen.contains(binding.keys), "{}", binding.keys);
        // At eighty columns in one piece.
        assert!(seen.contains(binding.long), "{}", binding.long);
    }
}

#[test]
fn the_live_pages_address_is_in_the_header_and_with_its_token_in_the_help() {
    let mut state = measuring();
    state.context.page = Some("http://127.0.0.1:40123/#token=5ec7e7".to_owned());
    let screen = resized(&mut state, 118, 32).to_string();
    assert!(screen.contains("http://127.0.0.1:40123/ ") && !screen.contains("5ec7e7"), "{screen}");
    press(&mut state, "?");
    let help = resized(&mut state, 118, 50).to_string();
    assert!(help.contains("page: http://127.0.0.1:40123/#token=5ec7e7"), "{help}");
}

#[test]
fn every_small_size_draws() {
    for (_, mut state) in every() {
        for (width, height) in (1..=140).step_by(17).flat_map(|w| (1..=50).step_by(9).map(move |h| (w, h))) {
            resized(&mut state, width, height);
        }
    }
}

/// Everything that somebody, or a cat, can do.
fn input() -> impl Strategy<Value = Event> {
    let keys = "?hq 12345/sg[]rljkezf+-=Scx0äß😀".chars().map(KeyCode::Char);
    let others = [
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Backspace,
        KeyCode::Delete,
    ];
    let codes: Vec<KeyCode> = keys.chain(others).collect();
    let kinds = [
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
        MouseEventKind::Moved,
    ];
    prop_oneof![
        8 => prop::sample::select(codes)
            .prop_map(|code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE))),
        2 => (prop::sample::select(kinds.to_vec()), 0u16..140, 0u16..50).prop_map(|(kind, column, row)| {
            Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
        }),
        1 => (1u16..140, 1u16..50).prop_map(|(width, height)| Event::Resize(width, height)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_size_and_no_sequence_of_inputs_makes_it_panic(
        at in 0usize..20,
        inputs in prop::collection::vec(input(), 0..40),
        (width, height) in (1u16..=140, 1u16..=50),
    ) {
        let mut state = every().swap_remove(at).1;
        resized(&mut state, width, height);
        for input in inputs {
            update(&mut state, Input::Terminal(input));
            let (width, height) = state.size;
            resized(&mut state, width, height);
        }
        text(&state);
        crate::tui::save::summary(&state);
    }
}
