//! Whether the generator keeps up: one line, since everything above it depends on it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{lines, span};
use crate::report::words::{cpu, parts_that_fit, span as time};
use crate::tui::picture::Picture;
use crate::tui::state::UiState;
use crate::tui::theme::Tone;
use crate::units::{human_count, human_micros};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, picture: &Picture, state: &UiState) {
    let validity = &picture.verdict.validity;
    // Nothing to keep up with before the load, unless something is wrong already.
    if validity.valid && picture.snapshot.load_elapsed.is_none() {
        return;
    }
    let (word, tone) =
        if validity.valid { (" ✓ generator  ", Tone::Good) } else { (" ✗ NOT VALID  ", Tone::Bad) };
    let room = usize::from(area.width).saturating_sub(word.chars().count() + 1);
    // The reasons name their figures; without one the figures stand for themselves.
    let parts = if validity.valid { figures(picture) } else { validity.reasons.clone() };
    let line = Line::from(vec![
        span(word, state.theme.style(tone)),
        span(parts_that_fit(&parts, room), state.theme.style(Tone::Normal)),
    ]);
    lines(frame, area, vec![line]);
}

fn figures(picture: &Picture) -> Vec<String> {
    let validity = &picture.verdict.validity;
    let snapshot = &picture.snapshot;
    let dropped: u64 = snapshot.totals.dropped.values().sum();
    let mut parts = vec![
        format!(
            "lag p99 {} (devices {})",
            time(validity.schedule_lag_us_p99),
            time(validity.device_lag_us_p99)
        ),
        format!("limit {}", human_micros(validity.max_lag_us)),
        format!("unsent {}", human_count(validity.unsent)),
        format!("CPU {}", cpu(snapshot.cpu.busiest_shard)),
        format!("dropped {}", human_count(dropped)),
    ];
    if snapshot.cpu.backend > 0.0 {
        parts.push(format!("backend {}", cpu(snapshot.cpu.backend)));
    }
    parts
}
