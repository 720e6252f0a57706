//! The key table: what keys do and what the help says, from the same rows.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Show or hide the help.
    Help,
    /// Hold the picture, or let it go on.
    Freeze,
    /// Ask before the next step of stopping.
    AskToStop,
    /// The next step of stopping at once.
    Stop,
}

/// A row of the table.
pub(super) struct Binding {
    /// As it is shown.
    pub(super) keys: &'static str,
    /// For the line at the bottom.
    pub(super) short: &'static str,
    /// For the help.
    pub(super) long: &'static str,
    command: Command,
    presses: &'static [(KeyCode, KeyModifiers)],
}

const PLAIN: KeyModifiers = KeyModifiers::NONE;

/// Every key, in the order of the help.
pub(super) const BINDINGS: [Binding; 4] = [
    Binding {
        keys: "?",
        short: "help",
        long: "show or hide this help (also h)",
        command: Command::Help,
        presses: &[(KeyCode::Char('?'), PLAIN), (KeyCode::Char('h'), PLAIN)],
    },
    Binding {
        keys: "f",
        short: "freeze",
        long: "hold the picture; the run goes on",
        command: Command::Freeze,
        presses: &[(KeyCode::Char('f'), PLAIN)],
    },
    Binding {
        keys: "q",
        short: "stop",
        long: "stop sending and drain; asks first, qq does it at once",
        command: Command::AskToStop,
        presses: &[(KeyCode::Char('q'), PLAIN)],
    },
    Binding {
        keys: "Ctrl-C",
        short: "stop without asking",
        long: "stop without asking; once more: end at once",
        command: Command::Stop,
        presses: &[(KeyCode::Char('c'), KeyModifiers::CONTROL)],
    },
];

/// The command of a key; `None` for keys without one and for releases.
pub(super) fn command(event: KeyEvent) -> Option<Command> {
    // Shift is how `?` is typed on many keyboards; the character says it already.
    let modifiers = event.modifiers.difference(KeyModifiers::SHIFT);
    let pressed = event.kind != KeyEventKind::Release;
    BINDINGS
        .iter()
        .find(|binding| pressed && binding.presses.contains(&(event.code, modifiers)))
        .map(|binding| binding.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_meaning_each() {
        let mut seen = Vec::new();
        for press in BINDINGS.iter().flat_map(|binding| binding.presses) {
            assert!(!seen.contains(press), "{press:?} is bound twice");
            seen.push(*press);
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
            ('c', PLAIN, None),
            ('x', PLAIN, None),
        ] {
            assert_eq!(command(KeyEvent::new(KeyCode::Char(code), modifiers)), expected, "{code}");
        }
        let release = KeyEvent::new_with_kind(KeyCode::Char('q'), PLAIN, KeyEventKind::Release);
        assert_eq!(command(release), None);
    }
}
