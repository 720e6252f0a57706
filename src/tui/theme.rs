//! Colours by meaning: Bang Wong's palette, told apart by colour-blind people, and a cividis ramp for
//! densities; the background is never painted. Whatever a colour says, a symbol or word says, too.

use ratatui::style::{Color, Modifier, Style};

/// How many colours the terminal is trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    /// 24 bits.
    True,
    /// The sixteen that the user's terminal theme defines.
    Sixteen,
    /// None.
    Mono,
}

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As the terminal writes.
    Normal,
    /// Frames and what matters less.
    Quiet,
    /// Headings, and what is in focus.
    Strong,
    /// As hoped.
    Good,
    /// Look here.
    Warning,
    /// Failed.
    Bad,
    /// Bars, and the first of several lines.
    Bar,
    /// The second of several lines.
    Second,
    /// The third of several lines.
    Third,
}

/// Levels of a density, each with a glyph of its own.
const GLYPHS: [char; 4] = ['░', '▒', '▓', '█'];
/// Cividis at even distances, without its darkest and its brightest end: those vanish on dark and on light
/// terminals.
const CIVIDIS: [(u8, u8, u8); 6] =
    [(53, 69, 108), (86, 92, 108), (117, 117, 117), (149, 143, 120), (184, 170, 109), (221, 201, 89)];
/// What is nearest to it among sixteen colours, by glyph.
const SIXTEEN: [Color; 4] = [Color::Blue, Color::Blue, Color::Yellow, Color::Yellow];

impl Theme {
    /// By `NO_COLOR` (no-color.org), `COLORTERM` and `TERM`; `mono` wants none whatever they say.
    pub(super) fn from_environment(mono: bool) -> Self {
        let variable = |name| std::env::var(name).ok();
        let no_color = if mono { Some("mono".to_owned()) } else { variable("NO_COLOR") };
        Self::choose(no_color.as_deref(), variable("COLORTERM").as_deref(), variable("TERM").as_deref())
    }

    fn choose(no_color: Option<&str>, color_term: Option<&str>, term: Option<&str>) -> Self {
        let term = term.unwrap_or_default();
        // The DEC terminals and their kin have no colours at all.
        let colourless = term.starts_with("vt") || term.ends_with("-m") || term.ends_with("-mono");
        match (no_color, color_term) {
            (Some(set), _) if !set.is_empty() => Theme::Mono,
            (_, Some("truecolor" | "24bit")) => Theme::True,
            _ if term.ends_with("-direct") => Theme::True,
            _ if colourless => Theme::Mono,
            _ => Theme::Sixteen,
        }
    }

    /// The style of a meaning.
    pub(super) fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        match (tone, self) {
            (Tone::Normal, _) | (Tone::Bar | Tone::Second | Tone::Third | Tone::Good, Theme::Mono) => style,
            (Tone::Quiet, _) => style.add_modifier(Modifier::DIM),
            (Tone::Strong, _) | (Tone::Warning | Tone::Bad, Theme::Mono) => {
                style.add_modifier(Modifier::BOLD)
            }
            (Tone::Good, Theme::True) => style.fg(Color::Rgb(0, 158, 115)),
            (Tone::Good, Theme::Sixteen) => style.fg(Color::Green),
            (Tone::Warning | Tone::Second, Theme::True) => style.fg(Color::Rgb(230, 159, 0)),
            (Tone::Warning | Tone::Second, Theme::Sixteen) => style.fg(Color::Yellow),
            (Tone::Bad, Theme::True) => style.fg(Color::Rgb(213, 94, 0)).add_modifier(Modifier::BOLD),
            (Tone::Bad, Theme::Sixteen) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Tone::Bar, Theme::True) => style.fg(Color::Rgb(86, 180, 233)),
            (Tone::Bar, Theme::Sixteen) => style.fg(Color::Cyan),
            (Tone::Third, Theme::True) => style.fg(Color::Rgb(204, 121, 167)),
            (Tone::Third, Theme::Sixteen) => style.fg(Color::Magenta),
        }
    }

    /// Glyph and style of a density between 0 and 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a handful of levels"
    )]
    pub(super) fn density(self, density: f64) -> (char, Style) {
        let level = |levels: usize| ((density.clamp(0.0, 1.0) * levels as f64) as usize).min(levels - 1);
        let style = match self {
            Theme::True => {
                let (red, green, blue) = CIVIDIS[level(CIVIDIS.len())];
                Style::new().fg(Color::Rgb(red, green, blue))
            }
            Theme::Sixteen => Style::new().fg(SIXTEEN[level(SIXTEEN.len())]),
            Theme::Mono => Style::new(),
        };
        (GLYPHS[level(GLYPHS.len())], style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_the_terminal_can_show_and_the_user_wants() {
        for (no_color, color_term, term, theme) in [
            (None, None, Some("xterm"), Theme::Sixteen),
            (None, None, Some("xterm-256color"), Theme::Sixteen),
            (None, Some("truecolor"), Some("screen"), Theme::True),
            (Some(""), Some("24bit"), None, Theme::True),
            (None, None, Some("xterm-direct"), Theme::True),
            (None, None, Some("vt220"), Theme::Mono),
            (None, None, Some("xterm-mono"), Theme::Mono),
            (Some("1"), Some("truecolor"), Some("xterm"), Theme::Mono),
        ] {
            assert_eq!(
                Theme::choose(no_color, color_term, term),
                theme,
                "{no_color:?} {color_term:?} {term:?}"
            );
        }
    }

    #[test]
    fn more_is_never_a_lighter_glyph() {
        for theme in [Theme::True, Theme::Sixteen, Theme::Mono] {
            let glyphs: String = (0..=8).map(|n| theme.density(f64::from(n) / 8.0).0).collect();
            assert_eq!(glyphs, "░░▒▒▓▓███");
            assert_eq!(theme.density(f64::NAN).0, '░');
        }
    }
}
