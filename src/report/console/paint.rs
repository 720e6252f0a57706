//! Colour for the summary: a few meanings, each also told by a word or symbol; and lines that wrap
//! without counting it.

use crate::report::words::SEPARATOR;

/// Whether the summary may use colour; `cli` decides by terminal, `--color` and `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text only.
    Plain,
    /// With SGR sequences (ECMA-48).
    Ansi,
}

/// Writes a text in one of the meanings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(pub(super) Style);

impl Paint {
    pub(super) fn good(self, text: &str) -> String {
        self.with("32;1", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.with("31;1", text)
    }

    pub(super) fn warning(self, text: &str) -> String {
        self.with("33;1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self.0 {
            Style::Ansi if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}

/// All parts, on as many lines of at most `width` characters as they need (more for a single long part).
pub(super) fn wrapped(parts: &[String], width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in parts {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(part);
        } else if visible(line) + visible(SEPARATOR) + visible(part) <= width {
            line.push_str(SEPARATOR);
            line.push_str(part);
        } else {
            lines.push(part.clone());
        }
    }
    lines
}

/// Characters that take room: all but the SGR sequences that [`Paint`] writes.
fn visible(text: &str) -> usize {
    let mut in_sequence = false;
    text.chars()
        .filter(|c| {
            let takes_room = !in_sequence && *c != '\x1b';
            in_sequence = (in_sequence && *c != 'm') || *c == '\x1b';
            takes_room
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_takes_no_room() {
        for text in ["", "plain", "m · ✓"] {
            assert_eq!(visible(&Paint(Style::Ansi).bad(text)), text.chars().count());
        }
    }

    #[test]
    fn figures_wrap_whole() {
        let parts = ["p50 1ms", "p99 12ms", "max 40ms"].map(str::to_owned);
        assert_eq!(wrapped(&parts, 18), ["p50 1ms · p99 12ms", "max 40ms"]);
        assert_eq!(wrapped(&parts, 1), parts);
    }
}
