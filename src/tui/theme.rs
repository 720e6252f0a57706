//! Colours by meaning: Bang Wong's palette, told apart by colour-blind people; the background is never
//! painted. Whatever a colour says, a symbol or word says, too.

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
    /// Headings.
    Strong,
    /// As hoped.
    Good,
    /// Look here.
    Warning,
    /// Failed.
    Bad,
    /// Bars.
    Bar,
}

impl Theme {
    /// By `NO_COLOR` (no-color.org) and `COLORTERM`.
    pub(super) fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok();
        Self::choose(variable("NO_COLOR").as_deref(), variable("COLORTERM").as_deref())
    }

    fn choose(no_color: Option<&str>, color_term: Option<&str>) -> Self {
        match (no_color, color_term) {
            (Some(set), _) if !set.is_empty() => Theme::Mono,
            (_, Some("truecolor" | "24bit")) => Theme::True,
            _ => Theme::Sixteen,
        }
    }

    /// The style of a meaning.
    pub(super) fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        match (tone, self) {
            (Tone::Normal, _) | (Tone::Bar | Tone::Good, Theme::Mono) => style,
            (Tone::Quiet, _) => style.add_modifier(Modifier::DIM),
            (Tone::Strong, _) | (Tone::Warning | Tone::Bad, Theme::Mono) => {
                style.add_modifier(Modifier::BOLD)
            }
            (Tone::Good, Theme::True) => style.fg(Color::Rgb(0, 158, 115)),
            (Tone::Good, Theme::Sixteen) => style.fg(Color::Green),
            (Tone::Warning, Theme::True) => style.fg(Color::Rgb(230, 159, 0)),
            (Tone::Warning, Theme::Sixteen) => style.fg(Color::Yellow),
            (Tone::Bad, Theme::True) => style.fg(Color::Rgb(213, 94, 0)).add_modifier(Modifier::BOLD),
            (Tone::Bad, Theme::Sixteen) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Tone::Bar, Theme::True) => style.fg(Color::Rgb(86, 180, 233)),
            (Tone::Bar, Theme::Sixteen) => style.fg(Color::Cyan),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_the_terminal_can_show_and_the_user_wants() {
        for (no_color, color_term, theme) in [
            (None, None, Theme::Sixteen),
            (None, Some("truecolor"), Theme::True),
            (Some(""), Some("24bit"), Theme::True),
            (Some("1"), Some("truecolor"), Theme::Mono),
        ] {
            assert_eq!(Theme::choose(no_color, color_term), theme, "{no_color:?} {color_term:?}");
        }
    }
}
