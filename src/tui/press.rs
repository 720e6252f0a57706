//! What each key does to the state. A key that can do nothing here says so.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Rect;
use tui_input::InputRequest;

use super::keys::{BINDINGS, Command, Step, command};
use super::layout::{all, screen};
use super::pane::{Feedback, Pane, Tile, beside};
use super::state::{Action, Note, UiState};
use super::theme::Tone;
use super::window::Window;

/// Lines of a page when the size of the tile is not known; about half a usual screen.
const PAGE: usize = 10;
/// Longer filters find nothing that shorter ones do not.
const LONGEST_FILTER: usize = 64;

pub(super) fn press(state: &mut UiState, key: KeyEvent) -> Action {
    if key.kind == KeyEventKind::Release {
        return Action::Nothing;
    }
    let was_asking = std::mem::take(&mut state.asking);
    let had_note = state.note.take().is_some();
    let command = command(key);
    match command {
        Some(Command::Stop) => return Action::RequestStop,
        _ if state.filter.editing => return edit(state, key),
        Some(Command::AskToStop) if was_asking => return Action::RequestStop,
        Some(Command::AskToStop) => {
            state.asking = true;
            return Action::Redraw;
        }
        _ => {}
    }
    if let Some(from) = state.help {
        state.help = help(from, command);
        return Action::Redraw;
    }
    match command {
        Some(command) => perform(state, command),
        // Any other key answers no.
        None if was_asking || had_note => Action::Redraw,
        None => Action::Nothing,
    }
}

/// Where an open help is after a key: movement scrolls it, everything else closes it.
fn help(from: usize, command: Option<Command>) -> Option<usize> {
    let last = BINDINGS.len();
    match command {
        Some(Command::Move(Step::On)) => Some((from + 1).min(last)),
        Some(Command::Move(Step::Back)) => Some(from.saturating_sub(1)),
        Some(Command::Page(Step::On)) => Some((from + PAGE).min(last)),
        Some(Command::Page(Step::Back)) => Some(from.saturating_sub(PAGE)),
        _ => None,
    }
}

fn perform(state: &mut UiState, command: Command) -> Action {
    let done = match command {
        Command::Help => {
            state.help = Some(0);
            Ok(())
        }
        Command::AskToStop | Command::Stop => Ok(()),
        Command::Pause | Command::Rate(_) | Command::PlannedRate => return steer(state, command),
        Command::Save => return Action::Save,
        Command::Copy => return Action::Copy,
        Command::Show(pane) => show(state, pane),
        Command::Turn(step) => show(state, state.pane.beside(step, state.context.feedback)),
        Command::Focus(step) => focus(state, step),
        Command::Enlarge => enlarge(state),
        Command::Back => {
            back(state);
            Ok(())
        }
        Command::Move(step) => scroll(state, step, 1),
        Command::Page(step) => scroll(state, step, PAGE),
        Command::End(step) => scroll(state, step, usize::MAX),
        Command::Freeze => {
            if state.freeze() {
                Ok(())
            } else {
                Err("there is no picture to freeze yet")
            }
        }
        Command::Window(step) => window(state, step),
        Command::ResetWindow => charts(state).map(|()| state.window = Window::default()),
        Command::Scale => scale(state),
        Command::NextGroup => next_group(state),
        Command::Filter => filter(state),
        Command::Sort => sort(state),
    };
    if let Err(why) = done {
        state.note = Some(Note { text: why.to_owned(), tone: Tone::Normal });
    }
    Action::Redraw
}

/// Asks the run to wait, or for another rate, if it can.
fn steer(state: &mut UiState, command: Command) -> Action {
    let why = match command {
        _ if !state.is_sending() => Some("nothing more is sent: there is nothing to pause or to speed up"),
        _ if state.context.feedback == Feedback::Capacity => {
            Some("a capacity search sets its own rates: it is not paused or played faster")
        }
        _ => None,
    };
    if let Some(why) = why {
        state.note = Some(Note { text: why.to_owned(), tone: Tone::Normal });
        return Action::Redraw;
    }
    match command {
        Command::Rate(steps) => Action::ChangeRate(steps),
        Command::PlannedRate => Action::PlannedRate,
        _ => Action::TogglePause,
    }
}

fn show(state: &mut UiState, pane: Pane) -> Result<(), &'static str> {
    if !pane.is_in(state.context.feedback) {
        return Err("this run has neither a rollout nor a capacity search");
    }
    if pane != state.pane {
        (state.pane, state.focus, state.enlarged) = (pane, None, false);
    }
    Ok(())
}

/// The tiles of the pane as they stand now; none where there is no room for them.
fn tiles(state: &UiState) -> Vec<Tile> {
    let area = Rect::new(0, 0, state.size.0, state.size.1);
    let tiles = screen(area).map_or_else(Vec::new, |screen| all(state, screen.body));
    tiles.into_iter().map(|(tile, _)| tile).collect()
}

/// The tile that keys are for.
pub(super) fn focused(state: &UiState) -> Option<Tile> {
    let tiles = tiles(state);
    state.focus.filter(|focus| tiles.contains(focus)).or(tiles.first().copied())
}

fn focus(state: &mut UiState, step: Step) -> Result<(), &'static str> {
    let focus = focused(state).ok_or("the screen is too small for boxes")?;
    state.focus = Some(beside(&tiles(state), focus, step));
    Ok(())
}

fn enlarge(state: &mut UiState) -> Result<(), &'static str> {
    state.focus = Some(focused(state).ok_or("the screen is too small for boxes")?);
    state.enlarged = !state.enlarged;
    Ok(())
}

/// Out of what was opened last: an enlarged tile, then a filter.
fn back(state: &mut UiState) {
    if state.enlarged {
        state.enlarged = false;
    } else {
        state.filter.input.reset();
    }
}

fn scroll(state: &mut UiState, step: Step, by: usize) -> Result<(), &'static str> {
    let tile = focused(state).ok_or("the screen is too small for boxes")?;
    if state.scroll(tile, step, by) {
        Ok(())
    } else {
        Err("nothing to scroll in this box; ← → focus on another")
    }
}

/// Whether the pane has charts over time.
fn charts(state: &UiState) -> Result<(), &'static str> {
    match state.pane {
        Pane::Overview | Pane::Latency | Pane::Events => Ok(()),
        _ => Err("the stretch of time is that of the charts on panes 1, 2 and 5"),
    }
}

fn window(state: &mut UiState, step: Step) -> Result<(), &'static str> {
    charts(state)?;
    let next = state.window.step(step);
    if next == state.window {
        return Err("this is the end of the scale: 30s to 24h");
    }
    state.window = next;
    Ok(())
}

fn scale(state: &mut UiState) -> Result<(), &'static str> {
    if state.pane != Pane::Latency {
        return Err("l is for the percentiles on pane 2");
    }
    state.linear = !state.linear;
    Ok(())
}

fn next_group(state: &mut UiState) -> Result<(), &'static str> {
    if !matches!(state.pane, Pane::Latency | Pane::Overview) {
        return Err("g is for the latencies on panes 1 and 2; ↑ ↓ select a group here");
    }
    let groups = state.picture().map_or(0, |picture| picture.snapshot.shape.groups.len());
    if groups < 2 {
        return Err("this run has one group");
    }
    state.only = match state.only {
        None => Some(0),
        Some(group) => Some(group + 1).filter(|next| *next < groups),
    };
    Ok(())
}

fn filter(state: &mut UiState) -> Result<(), &'static str> {
    if !matches!(state.pane, Pane::Overview | Pane::Groups | Pane::Events) {
        return Err("the filter is for groups (1, 3) and events (5)");
    }
    state.filter.editing = true;
    Ok(())
}

fn sort(state: &mut UiState) -> Result<(), &'static str> {
    if !matches!(state.pane, Pane::Overview | Pane::Groups) {
        return Err("s sorts the groups on panes 1 and 3; S saves this screen");
    }
    state.sort = state.sort.next();
    Ok(())
}

/// A key while a filter is written.
fn edit(state: &mut UiState, key: KeyEvent) -> Action {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let input = &mut state.filter.input;
    let request = match key.code {
        KeyCode::Enter | KeyCode::Tab => {
            state.filter.editing = false;
            return Action::Redraw;
        }
        KeyCode::Esc => {
            input.reset();
            state.filter.editing = false;
            return Action::Redraw;
        }
        KeyCode::Backspace | KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
        KeyCode::Char('u') if control => InputRequest::DeleteLine,
        KeyCode::Char('a') if control => InputRequest::GoToStart,
        KeyCode::Char('e') if control => InputRequest::GoToEnd,
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        KeyCode::Char(code) if !control && !code.is_control() && input.value().len() < LONGEST_FILTER => {
            InputRequest::InsertChar(code)
        }
        _ => return Action::Nothing,
    };
    input.handle(request);
    Action::Redraw
}
