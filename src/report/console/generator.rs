//! Whether the figures above can be believed: did the generator keep up?

use super::Page;
use crate::report::RunReport;
use crate::report::result::load_cpu;
use crate::report::words::{cpu, span};
use crate::units::{human_count, human_micros};

/// A thread this busy delays its own requests without lagging behind its plan.
const FULL: f64 = 0.95;

/// Below this a lag is not of the generator's own making.
const MOSTLY_IDLE: f64 = 0.5;

/// Whether the generator kept up; if not, whom to blame and what to do.
pub(super) fn generator(page: &mut Page, report: &RunReport) {
    let validity = &report.verdict.validity;
    let used = load_cpu(&report.snapshot);
    let mut parts = vec![
        format!("schedule lag p99 {}", span(validity.schedule_lag_us_p99)),
        format!("device lag p99 {}", span(validity.device_lag_us_p99)),
        limit(validity.max_lag_us, validity.max_lag_set),
        format!("unsent {}", human_count(validity.unsent)),
    ];
    if !report.is_virtual {
        let generator = cpu(used.generator);
        parts.push(format!("CPU generator {generator} (busiest thread {})", cpu(used.busiest_shard)));
    }
    if used.backend > 0.0 {
        parts.push(format!("backend {}", cpu(used.backend)));
    }
    parts.extend(losses(report));
    let verdict = if validity.valid {
        page.paint.good("→ measurements valid")
    } else {
        page.paint.bad("→ measurements NOT VALID")
    };
    // The last word belongs to the figures before it, not among them.
    let last = parts.pop().unwrap_or_default();
    parts.push(format!("{last}  {verdict}"));
    page.section("GENERATOR", &parts);
    for reason in &validity.reasons {
        let line = format!("   {} {reason}", page.paint.bad("✗"));
        page.line(&line);
    }
    if validity.valid && used.busiest_shard >= FULL {
        let full = format!(
            "   ! a generator thread was {} busy for a second: `start_wait` and `overhead`",
            cpu(used.busiest_shard)
        );
        page.line(&full);
        page.line(
            "   may then be the generator's own. For the target's limits use fewer commands or more cores.",
        );
    }
    if !validity.valid && !report.is_virtual && used.busiest_shard < MOSTLY_IDLE {
        let idle = format!(
            "   The generator was never more than {} busy: something else held this",
            cpu(used.busiest_shard)
        );
        page.line(&idle);
        page.line("   machine's processors. Free it and run again; the load is not too much for it.");
    } else if !validity.valid {
        page.line(
            "   The generator fell behind, not the target: its own delay is in these figures. Lower the",
        );
        page.line("   rate or the number of devices, free the machine, or measure on a larger one.");
    }
}

fn limit(max_lag_us: u64, set: bool) -> String {
    let by = if set { ", set by the scenario" } else { "" };
    format!("limit {}{by}", human_micros(max_lag_us))
}

/// What bounded queues and histograms could not take.
fn losses(report: &RunReport) -> Vec<String> {
    let totals = &report.snapshot.totals;
    let mut parts: Vec<String> = totals
        .dropped
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(queue, n)| format!("dropped from {queue} {}", human_count(*n)))
        .collect();
    if parts.is_empty() {
        parts.push("dropped 0".to_owned());
    }
    if totals.overflowed > 0 {
        parts.push(format!("samples without a histogram {}", human_count(totals.overflowed)));
    }
    parts
}
