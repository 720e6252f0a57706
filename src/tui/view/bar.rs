//! Bars in eighths of a cell: lying, standing, and as a row of small ones.

use crate::tui::theme::{Theme, Tone};
use ratatui::text::Span;

/// A cell filled by so many eighths from the left.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// A cell filled by so many eighths from below.
const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

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

/// What stands in one row, counted from the bottom, of a standing bar over `rows` of them.
pub(super) fn standing(value: u64, highest: u64, row: u16, rows: u16) -> char {
    if value == 0 || highest == 0 {
        return ' ';
    }
    let eighths = u128::from(value.min(highest)) * u128::from(rows) * 8 / u128::from(highest);
    let above = eighths.max(1).saturating_sub(u128::from(row) * 8).min(8);
    HEIGHTS[usize::try_from(above).unwrap_or(8)]
}

/// Values as a row of small standing bars, the highest of them full.
pub(super) fn spark(values: &[u64]) -> String {
    let highest = values.iter().copied().max().unwrap_or(0);
    values.iter().map(|value| standing(*value, highest, 0, 1)).collect()
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

    #[test]
    fn small_bars_show_what_is_not_nothing() {
        assert_eq!(spark(&[0, 1, 500, 1_000]), " ▁▄█");
        assert_eq!(spark(&[0, 0]), "  ");
        assert_eq!(spark(&[]), "");
        assert_eq!(spark(&[u64::MAX, 1]), "█▁");
    }

    #[test]
    fn a_standing_bar_fills_its_rows_from_below() {
        let column = |value| (0..3).map(|row| standing(value, 24, row, 3)).collect::<String>();
        assert_eq!([column(24), column(12), column(1), column(0)], ["███", "█▄ ", "▁  ", "   "]);
    }
}
