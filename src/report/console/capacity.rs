//! What a capacity search found, and the curve it found it on: a row for each rate, lowest first.

use std::fmt::Write as _;

use super::Page;
use crate::report::RunReport;
use crate::report::words::{cpu, printable, span};
use crate::stats::{CapacityStep, StepOutcome};
use crate::units::human_rate;

/// Steps shown; a search has some twenty.
const ROWS_SHOWN: usize = 60;

pub(super) fn capacity(page: &mut Page, report: &RunReport) {
    let Some(capacity) = &report.snapshot.capacity else { return };
    let sentence = match &capacity.answer {
        Some(answer) => answer.sentence.clone(),
        None => "the search did not come to its end".to_owned(),
    };
    let words: Vec<String> = sentence.split(' ').map(|word| printable(word).into_owned()).collect();
    let width = page.width - super::INDENT;
    let mut lines = vec![String::new()];
    for word in words {
        if let Some(last) = lines.last_mut() {
            if last.is_empty() {
                *last = word;
            } else if last.chars().count() + 1 + word.chars().count() <= width {
                last.push(' ');
                last.push_str(&word);
            } else {
                lines.push(word);
            }
        }
    }
    for (n, line) in lines.iter().enumerate() {
        let heading = format!(" {:<width$}", if n == 0 { "CAPACITY" } else { "" }, width = super::INDENT - 1);
        let line = format!("{}{}", page.paint.bold(&heading), page.paint.bold(line));
        page.line(&line);
    }
    let mut steps: Vec<&CapacityStep> = capacity.steps.iter().collect();
    steps.sort_by(|a, b| a.rate.total_cmp(&b.rate).then(a.number.cmp(&b.number)));
    let shows_cpu = !report.is_virtual;
    let mut heading = format!(
        "   {:>10}{:>11}{:>9}{:>9}{:>9}{:>10}{:>10}",
        "offered", "achieved", "p50", "p95", "p99", "overhead", "start"
    );
    if shows_cpu {
        let _ = write!(heading, "{:>7}{:>9}", "gen", "backend");
    }
    let heading = page.paint.dim(&heading);
    page.line(&heading);
    for step in steps.iter().take(ROWS_SHOWN) {
        let mut line = format!(
            "   {:>10}{:>11}{:>9}{:>9}{:>9}{:>10}{:>10}",
            human_rate((step.offered * 10.0).round() / 10.0),
            human_rate((step.achieved * 10.0).round() / 10.0),
            span(step.latency_us_p50),
            span(step.latency_us_p95),
            span(step.latency_us_p99),
            span(step.overhead_us_p99),
            span(step.start_us_p99),
        );
        if shows_cpu {
            let _ = write!(line, "{:>7}{:>9}", cpu(step.cpu.generator), cpu(step.cpu.backend));
        }
        let (mark, why) = match &step.outcome {
            StepOutcome::Passed => (page.paint.good("✓"), String::new()),
            StepOutcome::Failed { limit, shown } => (page.paint.bad("✗"), format!(" {limit} broke: {shown}")),
            StepOutcome::Unknown { .. } => (page.paint.warning("?"), " the generator lagged".to_owned()),
        };
        let line = format!("{line}  {mark}{}", printable(&why));
        page.line(&line);
    }
    if steps.len() > ROWS_SHOWN {
        page.line(&format!("   and {} more in the result", steps.len() - ROWS_SHOWN));
    }
}
