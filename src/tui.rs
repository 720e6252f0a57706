//! The terminal screen: what a run does while it goes on, in five panes.
//!
//! It reads snapshots from a `watch` on a thread of its own and can slow nothing. State, what changes it
//! and what it looks like are kept apart: `state` is a pure `update(state, input) -> action`, with `press` for
//! keys and `mouse` for the mouse; `layout` says where what stands; `view` turns state into cells; `terminal`
//! alone touches the terminal. The summary after a run is `report`'s.

mod keys;
mod layout;
mod mouse;
mod pane;
mod picture;
mod press;
mod save;
mod state;
mod terminal;
mod theme;
mod turns;
mod view;
mod window;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::control::{Control, Stop};
use crate::stats::Snapshot;
use crate::verdict::Verdict;

use self::state::{Action, Input, Note, UiState, update};
use self::terminal::Terminal;
use self::theme::{Theme, Tone};

pub use self::pane::Feedback;
pub use self::state::Context;

/// How the screen is to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Frames a second at the most. Data comes once a second; more only makes keys feel quicker.
    pub fps: u8,
    /// No colours, whatever the terminal can show.
    pub mono: bool,
    /// Where saved screens go.
    pub save_to: PathBuf,
}

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
/// `verdicts` judges a snapshot for the thresholds on the screen. Stopping, pausing and rates go through
/// `control`.
///
/// # Errors
/// The terminal cannot be opened, read or written, or a panic has taken it away; the run is not affected.
pub fn run(
    context: Context,
    options: &Options,
    mut snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    verdicts: impl Fn(&Snapshot) -> Verdict,
    control: &Control,
    done: &CancellationToken,
) -> io::Result<()> {
    let clock = Clock::start();
    let frame = Duration::from_secs(1) / u32::from(options.fps.clamp(1, 30));
    let mut terminal = Terminal::open()?;
    let mut state = UiState::new(context, Theme::from_environment(options.mono));
    // What was sent before this thread began counts as new.
    snapshots.mark_changed();
    let (mut drawn_at, mut redraw) = (None, true);
    while !done.is_cancelled() && !terminal.is_given_up() && control.stop() < Stop::Now {
        let now = clock.now();
        if redraw && drawn_at.is_none_or(|at| now.micros_since(at) >= crate::units::micros(frame)) {
            state.size = terminal.size()?;
            terminal.draw(|frame| view::draw(frame, &state))?;
            (drawn_at, redraw) = (Some(now), false);
        }
        let Some(inputs) = next_inputs(frame, &mut snapshots, &verdicts, control)? else { break };
        for input in inputs {
            let action = update(&mut state, input);
            redraw |= action != Action::Nothing;
            if let Some(note) = perform(action, &state, options, &mut terminal, control) {
                update(&mut state, Input::Told(note));
            }
        }
    }
    // Whoever waits for this screen must not take it for one that was closed.
    if terminal.is_given_up() {
        return Err(io::Error::other("a failure of fleetsim's has closed it"));
    }
    Ok(())
}

/// Does what an input asks for; the note says how it went, where that is not seen anyway.
fn perform(
    action: Action,
    state: &UiState,
    options: &Options,
    terminal: &mut Terminal,
    control: &Control,
) -> Option<Note> {
    match action {
        Action::Nothing | Action::Redraw => None,
        Action::RequestStop => {
            control.request_stop();
            None
        }
        Action::TogglePause => {
            let tempo = control.toggle_pause();
            let text = if tempo.paused { "sending waits from the next second on" } else { "sending goes on" };
            Some(note(text.to_owned()))
        }
        Action::ChangeRate(steps) => Some(note(rate(control.change_rate(steps).rate_percent))),
        Action::PlannedRate => Some(note(rate(control.set_rate(100).rate_percent))),
        Action::Save => Some(save(state, &options.save_to)),
        Action::Copy => Some(match terminal.copy(&save::summary(state)) {
            Ok(()) => note("summary sent to the clipboard, if the terminal takes it (OSC 52)".to_owned()),
            Err(error) => Note { text: format!("not copied: {error}"), tone: Tone::Bad },
        }),
    }
}

fn note(text: String) -> Note {
    Note { text, tone: Tone::Strong }
}

fn rate(percent: u32) -> String {
    match percent {
        100 => "rate as planned".to_owned(),
        _ => format!("rate {percent}% of the plan; = goes back to it"),
    }
}

fn save(state: &UiState, folder: &Path) -> Note {
    match save::write(state, folder) {
        Ok((text, json)) => note(format!("saved {} and {}", text.display(), json.display())),
        Err(error) => Note { text: format!("not saved: {error}"), tone: Tone::Bad },
    }
}

/// Waits one frame at the most for keys, then looks for data; `None` when no more data can come.
fn next_inputs(
    frame: Duration,
    snapshots: &mut watch::Receiver<Option<Arc<Snapshot>>>,
    verdicts: &impl Fn(&Snapshot) -> Verdict,
    control: &Control,
) -> io::Result<Option<Vec<Input>>> {
    let mut inputs: Vec<Input> = terminal::events(frame)?.into_iter().map(Input::Terminal).collect();
    inputs.push(Input::Asked(control.stop(), control.tempo()));
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
