//! The main picture for those without scripts: percentiles over time as lines of an SVG.

use std::fmt::Write as _;

use super::charts::Charts;
use crate::units::human_micros;

/// Size of the drawing; it scales with the page.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 240.0;
/// Room for the words of the axis.
const LEFT: f64 = 60.0;

/// `<svg>…</svg>`: numbers only, nothing that has to be escaped. Empty without a latency.
pub(super) fn latency(charts: &Charts) -> String {
    let series = &charts.series;
    let lines = [("max", &series.max), ("p99", &series.p99), ("p50", &series.p50)];
    let all = || lines.iter().flat_map(|(_, column)| column.iter().flatten().copied());
    let (Some(least), Some(most)) = (all().min(), all().max()) else { return String::new() };
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^53")]
    let log = |us: u64| (us.max(1) as f64).log10();
    let (low, high) = (log(least).floor(), log(most).ceil().max(log(least).floor() + 1.0));
    let y = |level: f64| HEIGHT - 24.0 - (level - low) / (high - low) * (HEIGHT - 34.0);
    let mut svg = format!(
        "<svg class=\"static\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Latency over time: \
         p50, p99 and largest, on a logarithmic axis\">"
    );
    let mut level = low;
    while level <= high {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 10^11")]
        let words = human_micros(10f64.powf(level).round() as u64);
        let at = y(level);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.0}\" \
             y=\"{:.1}\" text-anchor=\"end\">{words}</text>",
            LEFT - 6.0,
            at + 4.0
        );
        level += 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a thousand points")]
    let step = (WIDTH - LEFT) / (series.t.len().max(2) - 1) as f64;
    for (name, column) in lines {
        let _ = write!(svg, "<path class=\"{name}\" d=\"");
        let mut pen = 'M';
        for (n, us) in column.iter().enumerate() {
            let Some(us) = us else {
                pen = 'M';
                continue;
            };
            #[expect(clippy::cast_precision_loss, reason = "a thousand points")]
            let x = LEFT + n as f64 * step;
            let _ = write!(svg, "{pen}{x:.1} {:.1}", y(log(*us)));
            pen = 'L';
        }
        svg.push_str("\"/>");
    }
    for (n, (name, _)) in lines.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "three names")]
        let x = WIDTH - 40.0 - 50.0 * n as f64;
        let _ = write!(svg, "<text class=\"{name}\" x=\"{x:.0}\" y=\"{HEIGHT:.0}\">{name}</text>");
    }
    svg.push_str("</svg>");
    svg
}
