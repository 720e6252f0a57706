//! Standard output and error: colour decided once, closed pipes taken calmly.

use std::io::{IsTerminal as _, Write as _};

use anstream::ColorChoice;

use crate::report;

use super::Color;

/// Where text for people goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    color: Color,
}

impl Console {
    pub fn new(color: Color) -> Self {
        Self { color }
    }

    /// Prints a result. A reader that has gone away is no error of the run.
    #[expect(clippy::unused_self, reason = "whoever prints has been given the console")]
    pub fn out(self, text: &str) {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
    }

    /// Prints progress or a diagnostic.
    #[expect(clippy::unused_self, reason = "whoever prints has been given the console")]
    pub fn err(self, text: &str) {
        let mut err = std::io::stderr().lock();
        err.write_all(text.as_bytes()).and_then(|()| err.write_all(b"\n")).ok();
    }

    /// Whether standard output takes colour.
    pub fn colors_out(self) -> bool {
        self.colors(|| anstream::AutoStream::choice(&std::io::stdout()))
    }

    /// Whether standard error takes colour.
    pub fn colors_err(self) -> bool {
        self.colors(|| anstream::AutoStream::choice(&std::io::stderr()))
    }

    /// Whether the user wants no colour anywhere.
    pub fn is_colourless(self) -> bool {
        self.color == Color::Never
    }

    /// The summary's style on standard output or, `to_err`, on standard error.
    pub fn style(self, to_err: bool) -> report::Style {
        let colors = if to_err { self.colors_err() } else { self.colors_out() };
        if colors { report::Style::Ansi } else { report::Style::Plain }
    }

    /// Columns for the summary: the terminal's, or what fits a page.
    #[expect(clippy::unused_self, reason = "whoever prints has been given the console")]
    pub fn width(self) -> usize {
        const PAGE: usize = 100;
        if !std::io::stdout().is_terminal() {
            return PAGE;
        }
        crossterm::terminal::size().map_or(PAGE, |(columns, _)| usize::from(columns))
    }

    fn colors(self, auto: impl Fn() -> ColorChoice) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => auto() != ColorChoice::Never,
        }
    }
}
