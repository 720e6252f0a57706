//! The last seconds, one column each: where latency lay, on a logarithmic axis.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::title;
use crate::stats::{Second, Series};
use crate::tui::theme::{Theme, Tone};
use crate::units::human_micros;

/// Room for the labels of the axis: `418.3ms `.
const LABEL: u16 = 8;

/// Draws the seconds at the end of the series, the newest at the right.
pub(super) struct OverTime<'a> {
    pub(super) series: &'a Series,
    pub(super) theme: Theme,
}

impl OverTime<'_> {
    /// The pane's title, which is its legend.
    pub(super) fn title(width: u16) -> String {
        title(&["Latency by second, log", "█ p50 ▓ p95 ▒ p99 ░ max"], width)
    }
}

impl Widget for OverTime<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let columns = area.width.saturating_sub(LABEL);
        let shown = self.series.newest(usize::from(columns));
        let Some(axis) = Axis::over(&shown, area.height) else { return };
        let label = self.theme.style(Tone::Quiet);
        for (us, y) in [(axis.high, area.top()), (axis.low, area.bottom().saturating_sub(1))] {
            let text = human_micros(us);
            buffer.set_stringn(area.x, y, format!("{text:>7}"), usize::from(LABEL), label);
        }
        let right = u16::try_from(shown.len()).unwrap_or(columns).min(columns);
        for (second, x) in shown.iter().zip(area.right() - right..area.right()) {
            for row in 0..area.height {
                let Some((glyph, tone)) = axis.cell(second, row) else { continue };
                if let Some(cell) = buffer.cell_mut((x, area.bottom() - 1 - row)) {
                    cell.set_char(glyph).set_style(self.theme.style(tone));
                }
            }
        }
    }
}

/// Microseconds onto rows, counted from the bottom.
struct Axis {
    low: u64,
    high: u64,
    rows: u16,
}

impl Axis {
    /// From the lowest median to the largest latency; `None` if nothing ended.
    fn over(seconds: &[Second], rows: u16) -> Option<Self> {
        let low = seconds.iter().filter_map(|second| second.latency_us_p50).min()?;
        let high = seconds.iter().filter_map(|second| second.latency_us_max).max()?;
        (rows > 0).then_some(Self { low: low.max(1), high: high.max(low).max(1), rows })
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position between 0 and the number of rows"
    )]
    fn row(&self, us: u64) -> u16 {
        let log = |us: u64| (us.max(1) as f64).ln();
        let (low, high) = (log(self.low), log(self.high));
        let position = if high > low { (log(us) - low) / (high - low) } else { 0.0 };
        (position.clamp(0.0, 1.0) * f64::from(self.rows - 1)).round() as u16
    }

    /// What stands in a row of a second's column.
    fn cell(&self, second: &Second, row: u16) -> Option<(char, Tone)> {
        let reaches = |us: Option<u64>| us.is_some_and(|us| row <= self.row(us));
        let median = self.row(second.latency_us_p50?);
        if row < median {
            None
        } else if row == median {
            Some(('█', Tone::Bar))
        } else if reaches(second.latency_us_p95) {
            Some(('▓', Tone::Bar))
        } else if reaches(second.latency_us_p99) {
            Some(('▒', Tone::Bar))
        } else if reaches(second.latency_us_max) {
            Some(('░', Tone::Quiet))
        } else {
            None
        }
    }
}
