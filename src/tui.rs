//! The terminal screen: one overview of a run that goes on.
//!
//! It reads snapshots from a `watch` on a thread of its own and can slow nothing. State, what changes it
//! and what it looks like are kept apart: `state` is a pure `update(state, input) -> action`, `view`
//! turns state into cells, `terminal` alone touches the terminal. The summary after a run is `report`'s.

mod keys;
mod state;
mod terminal;
mod theme;
mod view;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::control::{Control, Stop};
use crate::stats::Snapshot;
use crate::verdict::Verdict;

use self::state::{Action, Input, UiState, update};
use self::terminal::Terminal;
use self::theme::Theme;

pub use self::state::Context;

/// At most ten frames a second: data comes once a second, and more would only cost the generator CPU.
const FRAME: Duration = Duration::from_millis(100);

/// Whether a screen makes sense here: standard output is a terminal that can move its cursor, and
/// nobody's CI.
pub fn available() -> bool {
    let variable = |name| std::env::var(name).ok();
    suits(io::stdout().is_terminal(), variable("TERM").as_deref(), variable("CI").as_deref())
}

fn suits(is_terminal: bool, term: Option<&str>, ci: Option<&str>) -> bool {
    let dumb = term.is_none_or(|term| matches!(term, "" | "dumb"));
    let in_ci = ci.is_some_and(|ci| !matches!(ci, "" | "0" | "false"));
    is_terminal && !dumb && !in_ci
}

/// Shows the run until `done` is cancelled, the sender of snapshots is gone, or the user has asked twice
/// to stop. Blocks: give it a thread. The terminal is as it was when this returns, however it returns.
///
/// `verdicts` judges a snapshot for the thresholds on the screen. Stopping goes through `control`.
///
/// # Errors
/// The terminal cannot be opened, read or written; the run is not affected.
pub fn run(
    context: Context,
    mut snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    verdicts: impl Fn(&Snapshot) -> Verdict,
    control: &Control,
    done: &CancellationToken,
) -> io::Result<()> {
    let clock = Clock::start();
    let mut terminal = Terminal::open()?;
    let mut state = UiState::new(context, Theme::from_environment());
    // What was sent before this thread began counts as new.
    snapshots.mark_changed();
    let (mut drawn_at, mut redraw) = (None, true);
    while !done.is_cancelled() && !terminal.is_given_up() && control.stop() < Stop::Now {
        let now = clock.now();
        if redraw && drawn_at.is_none_or(|at| now.micros_since(at) >= crate::units::micros(FRAME)) {
            terminal.draw(|frame| view::draw(frame, &state))?;
            (drawn_at, redraw) = (Some(now), false);
        }
        let Some(inputs) = next_inputs(&mut snapshots, &verdicts, control)? else { break };
        for input in inputs {
            match update(&mut state, input) {
                Action::Nothing => {}
                Action::Redraw => redraw = true,
                Action::RequestStop => {
                    control.request_stop();
                    redraw = true;
                }
            }
        }
    }
    Ok(())
}

/// Waits one frame at the most for keys, then looks for data; `None` when no more data can come.
fn next_inputs(
    snapshots: &mut watch::Receiver<Option<Arc<Snapshot>>>,
    verdicts: &impl Fn(&Snapshot) -> Verdict,
    control: &Control,
) -> io::Result<Option<Vec<Input>>> {
    let mut inputs: Vec<Input> = terminal::events(FRAME)?.into_iter().map(Input::Terminal).collect();
    inputs.push(Input::Stop(control.stop()));
    let Ok(changed) = snapshots.has_changed() else { return Ok(None) };
    if changed {
        let snapshot = snapshots.borrow_and_update().clone();
        inputs.extend(snapshot.map(|snapshot| Input::Data(verdicts(&snapshot), snapshot)));
    }
    Ok(Some(inputs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_needs_a_terminal_that_is_neither_dumb_nor_ci() {
        for (is_terminal, term, ci, suitable) in [
            (true, Some("xterm-256color"), None, true),
            (true, Some("screen"), Some(""), true),
            (true, Some("xterm"), Some("false"), true),
            (true, Some("xterm"), Some("true"), false),
            (true, Some("xterm"), Some("1"), false),
            (true, Some("dumb"), None, false),
            (true, Some(""), None, false),
            (true, None, None, false),
            (false, Some("xterm"), None, false),
        ] {
            assert_eq!(suits(is_terminal, term, ci), suitable, "{is_terminal} {term:?} {ci:?}");
        }
    }
}
