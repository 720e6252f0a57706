//! A horizontal bar in eighths of a cell.

use crate::tui::theme::{Theme, Tone};
use ratatui::text::Span;

/// A cell filled by so many eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// `part` of `whole` as a bar of at most `width` cells; something is seen of anything that is not nothing.
pub(super) fn bar(part: u64, whole: u64, width: u16) -> String {
    if whole == 0 || part == 0 {
        return String::new();
    }
    let eighths = u128::from(part.min(whole)) * u128::from(width) * 8 / u128::from(whole);
    let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(width > 0));
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// The bar with what is missing to the whole shown as a quiet track.
pub(super) fn track<'a>(part: u64, whole: u64, width: u16, theme: Theme) -> [Span<'a>; 2] {
    let bar = bar(part, whole, width);
    let rest = usize::from(width).saturating_sub(bar.chars().count());
    [Span::styled(bar, theme.style(Tone::Bar)), Span::styled("░".repeat(rest), theme.style(Tone::Quiet))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_end_within_a_cell() {
        for (part, whole, width, shown) in [
            (0, 10, 4, ""),
            (5, 0, 4, ""),
            (1, 1_000_000, 4, "▏"),
            (5, 10, 4, "██"),
            (9, 16, 4, "██▎"),
            (10, 10, 4, "████"),
            (99, 10, 4, "████"),
            (1, 10, 0, ""),
            (u64::MAX, u64::MAX, 2, "██"),
        ] {
            assert_eq!(bar(part, whole, width), shown, "{part} of {whole} in {width}");
        }
    }
}
