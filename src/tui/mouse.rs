//! What the mouse does: tabs, tiles, rows and the wheel, by the layout that is drawn.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::keys::Step;
use super::layout::{screen, tabs, tiles};
use super::pane::Tile;
use super::state::{Action, UiState};

/// Lines by which a notch of the wheel scrolls.
const NOTCH: usize = 3;

pub(super) fn update(state: &mut UiState, event: MouseEvent) -> Action {
    let at = Position { x: event.column, y: event.row };
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => click(state, at),
        MouseEventKind::ScrollUp => wheel(state, at, Step::Back),
        MouseEventKind::ScrollDown => wheel(state, at, Step::On),
        _ => Action::Nothing,
    }
}

fn click(state: &mut UiState, at: Position) -> Action {
    if state.help.take().is_some() {
        return Action::Redraw;
    }
    let Some(screen) = screen(Rect::new(0, 0, state.size.0, state.size.1)) else { return Action::Nothing };
    let tab = tabs(screen.tabs, state.context.feedback).into_iter().find(|(_, place)| place.contains(at));
    if let Some((pane, _)) = tab {
        (state.pane, state.focus, state.enlarged) = (pane, None, false);
        return Action::Redraw;
    }
    let Some((tile, place)) = under(state, screen.body, at) else { return Action::Nothing };
    state.focus = Some(tile);
    if tile == Tile::GroupTable {
        // Within the frame and below the heads of the columns.
        let rows = usize::from(place.height.saturating_sub(3));
        let row = at.y.checked_sub(place.y + 2).map(usize::from).filter(|row| *row < rows);
        let listed = state.listed();
        let first = first_row(&listed, state.shown_group(), rows);
        if let Some(group) = row.and_then(|row| listed.get(first + row)) {
            state.selected = *group;
        }
    }
    Action::Redraw
}

/// The first row of the table of groups: it turns pages, so that rows stay where they are while the selection
/// moves within one.
pub(super) fn first_row(listed: &[usize], selected: usize, rows: usize) -> usize {
    let at = listed.iter().position(|group| *group == selected).unwrap_or(0);
    at - at.checked_rem(rows).unwrap_or(0)
}

fn wheel(state: &mut UiState, at: Position, step: Step) -> Action {
    let Some(screen) = screen(Rect::new(0, 0, state.size.0, state.size.1)) else { return Action::Nothing };
    match under(state, screen.body, at) {
        Some((tile, _)) if state.scroll(tile, step, NOTCH) => Action::Redraw,
        _ => Action::Nothing,
    }
}

fn under(state: &UiState, body: Rect, at: Position) -> Option<(Tile, Rect)> {
    tiles(state, body).into_iter().find(|(_, place)| place.contains(at))
}
