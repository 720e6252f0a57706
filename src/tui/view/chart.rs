//! Axes of charts, and standing bars. There is no logarithmic axis among the stock widgets: values are put on
//! the chart as logarithms, with labels of our own.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis as Stock, Chart, Dataset, GraphType, Widget};

use super::bar::standing;
use crate::tui::theme::{Theme, Tone};
use crate::units::human_micros;

/// Room for the labels of the axis: `418.3ms` and a blank; the axis itself stands behind it.
pub(super) const LABEL: u16 = 8;
/// What is left of the charts that stand one above the other.
pub(super) const LEFT: u16 = LABEL + 1;
/// A chart that is lower has no labels below.
const LOWEST_WITH_TIMES: u16 = 7;

/// From where to where values go, in their own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    linear: bool,
}

impl Axis {
    /// Over all of these values, from a round one to a round one; a linear axis begins at zero. `None` without
    /// values.
    #[expect(clippy::cast_precision_loss, reason = "a position on a screen")]
    pub(super) fn over(values: impl Iterator<Item = u64>, linear: bool) -> Option<Self> {
        let (low, high) = values.fold(None, |ends: Option<(u64, u64)>, value| {
            let value = value.max(1);
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        })?;
        let high = round_up(high as f64);
        if linear {
            return Some(Self { low: 0.0, high, linear });
        }
        let low = round_down(low as f64);
        Some(Self { low, high: if high > low { high } else { low * 2.0 }, linear })
    }

    /// Where a value stands on the chart.
    #[expect(clippy::cast_precision_loss, reason = "a position on a screen")]
    pub(super) fn at(self, value: u64) -> f64 {
        self.put(value as f64)
    }

    fn put(self, value: f64) -> f64 {
        if self.linear { value } else { value.max(1.0).log10() }
    }

    pub(super) fn bounds(self) -> [f64; 2] {
        [self.put(self.low), self.put(self.high)]
    }

    /// Values at even distances, from the lowest to the highest.
    fn ticks(self, count: u16) -> Vec<f64> {
        let [low, high] = self.bounds();
        let last = count.saturating_sub(1).max(1);
        let at = |n: u16| low + (high - low) * f64::from(n) / f64::from(last);
        (0..=last).map(|n| if self.linear { at(n) } else { 10f64.powf(at(n)) }).collect()
    }

    /// Labels for a chart of so many rows, as latencies.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive microseconds")]
    pub(super) fn latencies(self, rows: u16, theme: Theme) -> Vec<Line<'static>> {
        let width = usize::from(LABEL) - 1;
        let label = |us: f64| format!("{:>width$} ", human_micros(us.round() as u64));
        let ticks = self.ticks((rows / 3).clamp(2, 5));
        ticks.into_iter().map(|us| Line::styled(label(us), theme.style(Tone::Quiet))).collect()
    }
}

/// The next of 1, 2, 5, 10, 20 … that is not below.
fn round_up(value: f64) -> f64 {
    let decade = 10f64.powf(value.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
    steps.into_iter().find(|step| *step >= value * (1.0 - 1e-9)).unwrap_or(value)
}

/// The last of them that is not above.
fn round_down(value: f64) -> f64 {
    let decade = 10f64.powf(value.max(1.0).log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|step| step * decade);
    steps.into_iter().find(|step| *step <= value * (1.0 + 1e-9)).unwrap_or(1.0)
}

/// A line of a chart.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) tone: Tone,
    /// What it is drawn with where there is no colour.
    pub(super) glyph: char,
    /// Its points, with gaps where there is no value.
    pub(super) points: Vec<Option<(f64, f64)>>,
}

impl Curve {
    /// Its name in its own hand, for a title.
    pub(super) fn legend(&self, theme: Theme) -> Span<'static> {
        let text = if theme == Theme::Mono {
            format!("{} {} ", self.glyph, self.name)
        } else {
            format!("{} ", self.name)
        };
        Span::styled(text, theme.style(self.tone))
    }

    /// Stretches without gaps.
    fn stretches(&self) -> Vec<Vec<(f64, f64)>> {
        let stretches = self.points.split(Option::is_none).filter(|stretch| !stretch.is_empty());
        stretches.map(|stretch| stretch.iter().flatten().copied().collect()).collect()
    }
}

/// Draws lines over an axis of latencies; `below` names both ends of the other axis.
pub(super) fn draw(
    area: Rect,
    buffer: &mut Buffer,
    theme: Theme,
    curves: &[Curve],
    (x, y): ([f64; 2], Axis),
    below: [String; 2],
) {
    if area.width <= LEFT || area.height < 2 {
        return;
    }
    let stretches: Vec<(&Curve, Vec<(f64, f64)>)> = curves
        .iter()
        .flat_map(|curve| curve.stretches().into_iter().map(move |stretch| (curve, stretch)))
        .collect();
    let datasets = stretches.iter().map(|(curve, points)| {
        let marker = if theme == Theme::Mono { Marker::Custom(curve.glyph) } else { Marker::Braille };
        let dataset = Dataset::default().marker(marker).style(theme.style(curve.tone)).data(points);
        // A line needs two ends.
        dataset.graph_type(if points.len() > 1 { GraphType::Line } else { GraphType::Scatter })
    });
    let quiet = theme.style(Tone::Quiet);
    let mut horizontal = Stock::default().style(quiet).bounds(x);
    let mut rows = area.height;
    if area.height >= LOWEST_WITH_TIMES {
        horizontal = horizontal.labels(below.map(|text| Line::styled(text, quiet)));
        rows -= 2;
    }
    let vertical = Stock::default().style(quiet).bounds(y.bounds()).labels(y.latencies(rows, theme));
    let chart = Chart::new(datasets.collect()).x_axis(horizontal).y_axis(vertical).legend_position(None);
    chart.render(area, buffer);
}

/// Standing bars, one column each, the last one at the right.
pub(super) struct Bars<'a> {
    pub(super) values: &'a [u64],
    pub(super) theme: Theme,
}

impl Widget for Bars<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let highest = self.values.iter().copied().max().unwrap_or(0);
        let columns = (area.left()..area.right()).rev().zip(self.values.iter().rev());
        for (x, value) in columns {
            for (row, y) in (area.top()..area.bottom()).rev().enumerate() {
                let row = u16::try_from(row).unwrap_or(u16::MAX);
                if let Some(cell) = buffer.cell_mut((x, y)) {
                    let glyph = standing(*value, highest, row, area.height);
                    cell.set_char(glyph).set_style(self.theme.style(Tone::Bar));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_goes_from_a_round_value_to_a_round_value() {
        for (values, linear, low, high) in [
            (&[31_000, 412_700][..], false, 20_000.0, 500_000.0),
            (&[100, 100], false, 100.0, 200.0),
            (&[1], false, 1.0, 2.0),
            (&[0], false, 1.0, 2.0),
            (&[31_000, 412_700], true, 0.0, 500_000.0),
            (&[1_000_000], true, 0.0, 1_000_000.0),
        ] {
            let axis = Axis::over(values.iter().copied(), linear).unwrap();
            assert!((axis.low - low).abs() < 1e-6 && (axis.high - high).abs() < 1e-6, "{values:?}: {axis:?}");
            let [bottom, top] = axis.bounds();
            assert!(values.iter().all(|value| (bottom..=top).contains(&axis.at(*value))), "{values:?}");
        }
        assert_eq!(Axis::over([].into_iter(), false), None);
    }

    proptest::proptest! {
        #[test]
        fn labels_fit_beside_any_axis(low in 0u64..u64::MAX / 2, more in 0u64..u64::MAX / 2, linear: bool) {
            let low = low >> (more % 60);
            let axis = Axis::over([low, low + more].into_iter(), linear).unwrap();
            let [bottom, top] = axis.bounds();
            proptest::prop_assert!(bottom < top && bottom.is_finite() && top.is_finite());
            proptest::prop_assert!(axis.latencies(20, Theme::Mono).len() >= 2);
        }
    }
}
