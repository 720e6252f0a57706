//! The key table: what keys do, what the help says and what the bottom line offers, from the same rows.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::pane::Pane;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Show or hide the help.
    Help,
    /// Ask before the next step of stopping.
    AskToStop,
    /// The next step of stopping at once.
    Stop,
    /// Sending waits, or goes on.
    Pause,
    /// So many steps of ten percent faster or slower.
    Rate(i32),
    /// Back to the plan's rate.
    PlannedRate,
    /// A pane by its number.
    Show(Pane),
    /// The pane so many further.
    Turn(Step),
    /// The tile so many further.
    Focus(Step),
    /// The tile in focus over the whole pane, and back.
    Enlarge,
    /// Back out of what was opened last.
    Back,
    /// A line up or down in the tile in focus.
    Move(Step),
    /// A page up or down.
    Page(Step),
    /// The first or the last line.
    End(Step),
    /// Hold the picture, or let it go on.
    Freeze,
    /// A shorter or longer stretch of time.
    Window(Step),
    /// The usual stretch of time.
    ResetWindow,
    /// Logarithmic axis, or linear.
    Scale,
    /// The latency of the next group alone.
    NextGroup,
    /// Write a filter.
    Filter,
    /// The next order of the groups.
    Sort,
    /// Save what is seen.
    Save,
    /// Copy the summary.
    Copy,
}

/// One way or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Up, left, shorter.
    Back,
    /// Down, right, longer.
    On,
}

/// A row of the table.
pub(super) struct Binding {
    /// As it is shown.
    pub(super) keys: &'static str,
    /// For the line at the bottom.
    pub(super) short: &'static str,
    /// For the help.
    pub(super) long: &'static str,
    /// The panes whose bottom line offers it; empty if that line has no room for it.
    panes: &'static [Pane],
    presses: &'static [(KeyCode, KeyModifiers, Command)],
}

const PLAIN: KeyModifiers = KeyModifiers::NONE;

const fn char(code: char, command: Command) -> (KeyCode, KeyModifiers, Command) {
    (KeyCode::Char(code), PLAIN, command)
}

const fn key(code: KeyCode, command: Command) -> (KeyCode, KeyModifiers, Command) {
    (code, PLAIN, command)
}

const EVERYWHERE: &[Pane] = &Pane::ALL;

/// Every key, in the order of the help and of the bottom line.
pub(super) const BINDINGS: [Binding; 18] = [
    Binding {
        keys: "? h",
        short: "help",
        long: "show or hide this help",
        panes: EVERYWHERE,
        presses: &[char('?', Command::Help), char('h', Command::Help)],
    },
    Binding {
        keys: "q",
        short: "stop",
        long: "stop sending and drain; asks first, qq does it at once",
        panes: EVERYWHERE,
        presses: &[char('q', Command::AskToStop)],
    },
    Binding {
        keys: "Ctrl-C",
        short: "",
        long: "stop without asking; once more: end at once",
        panes: &[],
        presses: &[(KeyCode::Char('c'), KeyModifiers::CONTROL, Command::Stop)],
    },
    Binding {
        keys: "space",
        short: "pause",
        long: "sending waits, or goes on; answers still flow",
        panes: EVERYWHERE,
        presses: &[char(' ', Command::Pause)],
    },
    Binding {
        keys: "1-5",
        short: "panes",
        long: "overview, latency, groups, rollout or capacity, events",
        panes: EVERYWHERE,
        presses: &[
            char('1', Command::Show(Pane::Overview)),
            char('2', Command::Show(Pane::Latency)),
            char('3', Command::Show(Pane::Groups)),
            char('4', Command::Show(Pane::Feedback)),
            char('5', Command::Show(Pane::Events)),
        ],
    },
    Binding {
        keys: "/",
        short: "filter",
        long: "groups and events with this text; empty or Esc: all",
        panes: &[Pane::Groups, Pane::Events],
        presses: &[char('/', Command::Filter)],
    },
    Binding {
        keys: "s",
        short: "sort",
        long: "another order of the groups",
        panes: &[Pane::Groups],
        presses: &[char('s', Command::Sort)],
    },
    Binding {
        keys: "g",
        short: "group",
        long: "latency of the next group alone; after the last: of all",
        panes: &[Pane::Overview, Pane::Latency],
        presses: &[char('g', Command::NextGroup)],
    },
    Binding {
        keys: "[ ] r",
        short: "time",
        long: "shorter or longer stretch of time, and back",
        panes: &[Pane::Latency],
        presses: &[
            char('[', Command::Window(Step::Back)),
            char(']', Command::Window(Step::On)),
            char('r', Command::ResetWindow),
        ],
    },
    Binding {
        keys: "l",
        short: "linear",
        long: "axis of the percentiles logarithmic or linear",
        panes: &[Pane::Latency],
        presses: &[char('l', Command::Scale)],
    },
    Binding {
        keys: "↑ ↓",
        short: "move",
        long: "select or scroll (also j k, PgUp PgDn, Home End, the wheel)",
        panes: &[Pane::Groups, Pane::Feedback, Pane::Events],
        presses: &[
            key(KeyCode::Up, Command::Move(Step::Back)),
            key(KeyCode::Down, Command::Move(Step::On)),
            char('k', Command::Move(Step::Back)),
            char('j', Command::Move(Step::On)),
            key(KeyCode::PageUp, Command::Page(Step::Back)),
            key(KeyCode::PageDown, Command::Page(Step::On)),
            key(KeyCode::Home, Command::End(Step::Back)),
            key(KeyCode::End, Command::End(Step::On)),
        ],
    },
    Binding {
        keys: "e z",
        short: "enlarge",
        long: "the box in focus over the whole pane, and back (also Esc)",
        panes: EVERYWHERE,
        presses: &[
            char('e', Command::Enlarge),
            char('z', Command::Enlarge),
            key(KeyCode::Esc, Command::Back),
        ],
    },
    Binding {
        keys: "← →",
        short: "focus",
        long: "focus on another box (also a click); mouse on tabs and rows",
        panes: EVERYWHERE,
        presses: &[
            key(KeyCode::Left, Command::Focus(Step::Back)),
            key(KeyCode::Right, Command::Focus(Step::On)),
        ],
    },
    Binding {
        keys: "f",
        short: "freeze",
        long: "hold the picture; the run goes on",
        panes: EVERYWHERE,
        presses: &[char('f', Command::Freeze)],
    },
    Binding {
        keys: "+ - =",
        short: "rate",
        long: "10% faster, 10% slower, as planned",
        panes: EVERYWHERE,
        presses: &[
            char('+', Command::Rate(1)),
            char('-', Command::Rate(-1)),
            char('=', Command::PlannedRate),
        ],
    },
    Binding {
        keys: "Tab",
        short: "",
        long: "the next pane; Shift-Tab: the one before",
        panes: &[],
        presses: &[
            key(KeyCode::Tab, Command::Turn(Step::On)),
            key(KeyCode::BackTab, Command::Turn(Step::Back)),
        ],
    },
    Binding {
        keys: "S",
        short: "save",
        long: "save this screen as text and its figures as JSON",
        panes: EVERYWHERE,
        presses: &[char('S', Command::Save)],
    },
    Binding {
        keys: "c",
        short: "copy",
        long: "copy a summary to the clipboard, if the terminal lets us",
        panes: EVERYWHERE,
        presses: &[char('c', Command::Copy)],
    },
];

/// The command of a key; `None` for keys without one and for releases.
pub(super) fn command(event: KeyEvent) -> Option<Command> {
    // Shift is how `?` is typed on many keyboards; the character says it already.
    let modifiers = event.modifiers.difference(KeyModifiers::SHIFT);
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let mut presses = BINDINGS.iter().flat_map(|binding| binding.presses);
    presses.find(|(code, with, _)| (*code, *with) == (event.code, modifiers)).map(|(_, _, command)| *command)
}

/// What the bottom line of a pane offers, in order.
pub(super) fn offered(pane: Pane) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.panes.contains(&pane))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_meaning_each() {
        let mut seen = Vec::new();
        for (code, modifiers, _) in BINDINGS.iter().flat_map(|binding| binding.presses) {
            assert!(!seen.contains(&(code, modifiers)), "{code:?} is bound twice");
            seen.push((code, modifiers));
        }
    }

    #[test]
    fn a_key_is_read_with_its_modifiers() {
        for (code, modifiers, expected) in [
            ('?', KeyModifiers::SHIFT, Some(Command::Help)),
            ('?', PLAIN, Some(Command::Help)),
            ('q', PLAIN, Some(Command::AskToStop)),
            ('q', KeyModifiers::ALT, None),
            ('c', KeyModifiers::CONTROL, Some(Command::Stop)),
            ('c', PLAIN, Some(Command::Copy)),
            ('s', PLAIN, Some(Command::Sort)),
            ('S', KeyModifiers::SHIFT, Some(Command::Save)),
            ('4', PLAIN, Some(Command::Show(Pane::Feedback))),
            ('x', PLAIN, None),
        ] {
            assert_eq!(command(KeyEvent::new(KeyCode::Char(code), modifiers)), expected, "{code}");
        }
        let tab = KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(command(tab), Some(Command::Turn(Step::Back)));
        let release = KeyEvent::new_with_kind(KeyCode::Char('q'), PLAIN, KeyEventKind::Release);
        assert_eq!(command(release), None);
    }

    #[test]
    fn every_row_is_offered_somewhere_or_only_in_the_help() {
        for binding in &BINDINGS {
            assert_eq!(binding.short.is_empty(), binding.panes.is_empty(), "{}", binding.keys);
            assert!(!binding.long.is_empty() && binding.keys.chars().count() <= 7, "{}", binding.keys);
        }
    }
}
