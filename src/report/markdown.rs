//! `summary.md`: a run on one page of GitHub-flavoured Markdown, for job summaries and comments.
//!
//! The verdict and what it rests on come first; the rest is folded. `text` keeps what people and devices have named
//! from being read as markup.

mod details;
mod text;

use super::against::Against;
use super::result::{Accounting, RunResult};
use super::words::{self, SEPARATOR, share};
use crate::stats::Class;
use crate::units::{human_count, human_micros};

use text::{Page, code, plain, put};

/// GitHub drops a job summary of more than 1 MiB; several runs of one job share it.
const MAX_BYTES: usize = 128 * 1024;

/// The page of a run, at most [`MAX_BYTES`]: what is folded and does not fit is left out, with a word on it.
pub fn markdown(result: &RunResult) -> String {
    let mut page = Page::new(MAX_BYTES);
    page.add(&head(result));
    page.add(&thresholds(result));
    page.add(&latency(result));
    page.add(&executions(result));
    for section in details::all(result) {
        page.add(&section);
    }
    page.finish()
}

/// The page of a run with how it stands to its baseline below it.
pub fn markdown_against(result: &RunResult, against: &Against) -> String {
    format!("{}\n{}", markdown(result), against_text(against))
}

/// How a run stands to its baseline; a section of its own.
pub fn against_text(against: &Against) -> String {
    let sign = match against.passed {
        Some(true) => "✅",
        Some(false) => "❌",
        None => "⚠️",
    };
    format!("### {sign} Against the baseline: {}\n\n{}", plain(&against.words), code("text", &against.text))
}

fn head(result: &RunResult) -> String {
    let run = &result.run;
    let sign = match run.verdict.as_str() {
        "PASSED" => "✅",
        "FAILED" | "ERROR" => "❌",
        _ => "⚠️",
    };
    let devices: u64 = result.groups.values().map(|group| group.devices).sum();
    let mut parts = vec![
        plain(&run.target),
        format!("{} devices", human_count(devices)),
        format!("seed {}", run.seed),
        human_micros(micros(run.duration_s)),
        format!("exit {}", run.exit),
    ];
    if run.clock == "virtual" {
        parts.insert(1, "virtual time".to_owned());
    }
    let mut head = format!(
        "## {sign} {}: {}\n\n{}\n",
        plain(&result.scenario.name),
        plain(&run.verdict),
        parts.join(SEPARATOR)
    );
    if !result.scenario.description.is_empty() {
        put(&mut head, format_args!("\n{}\n", plain(&result.scenario.description)));
    }
    if let Some(problem) = &run.problem {
        put(&mut head, format_args!("\n**{}**\n", plain(problem)));
    }
    if run.steered {
        head += "\n**Steered: somebody paused the load or changed its rate, so this is not the scenario's run.**\n";
    }
    if !result.generator.valid {
        head +=
            "\n**Not valid: the generator fell behind, so these figures say nothing about the target.**\n\n";
        for reason in &result.generator.reasons {
            put(&mut head, format_args!("- {}\n", plain(reason)));
        }
    }
    if let Some(answer) = result.capacity.as_ref().and_then(|capacity| capacity.answer.as_ref()) {
        put(&mut head, format_args!("\n**{}**\n", plain(&answer.sentence)));
    }
    head
}

fn thresholds(result: &RunResult) -> String {
    let mut table = "### Thresholds\n\n| | Threshold | Observed | |\n|---|---|--:|---|\n".to_owned();
    for threshold in &result.thresholds {
        let sign = match threshold.passed {
            Some(true) => "✅",
            Some(false) if threshold.info => "ℹ️",
            Some(false) => "❌",
            None => "–",
        };
        let note = match (&threshold.margin, threshold.passed) {
            (Some(margin), _) => plain(margin),
            (None, None) => "not judged".to_owned(),
            (None, Some(_)) => String::new(),
        };
        let row = [sign, &plain(&threshold.expect), &plain(&threshold.shown), &note];
        put(&mut table, format_args!("| {} |\n", row.join(" | ")));
    }
    table
}

fn latency(result: &RunResult) -> String {
    let rows = result
        .spans
        .iter()
        .filter(|span| matches!(span.span.as_str(), "latency" | "overhead") && span.outcome == "succeeded");
    let measured = &result.totals.measured;
    let mut table = format!(
        "### Latency\n\nOf what succeeded: {} of all that were due.\n\n| Span | Workload | Group | p50 | p90 | p95 | p99 | p99.9 | max | n |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
        share(class(measured, Class::Succeeded), measured.due)
    );
    let mut count = 0;
    for span in rows.take(text::MOST_ROWS) {
        count += 1;
        let p = &span.percentiles;
        let figures = [p.p50, p.p90, p.p95, p.p99, p.p99_9, p.max].map(human_micros).join(" | ");
        let names = [&span.span, span.workload.as_ref().unwrap_or(&span.span), &span.group].map(|n| plain(n));
        put(
            &mut table,
            format_args!("| {} | {figures} | {} |\n", names.join(" | "), human_count(span.count)),
        );
    }
    if count == 0 { "### Latency\n\nNothing succeeded.\n".to_owned() } else { table }
}

fn executions(result: &RunResult) -> String {
    let (measured, warm_up) = (&result.totals.measured, &result.totals.warm_up);
    let has_warm_up = warm_up.due > 0;
    let mut table = "### Executions\n\n| Class | Measured | Share |".to_owned();
    table += if has_warm_up { " Warm-up |\n|---|--:|--:|--:|\n" } else { "\n|---|--:|--:|\n" };
    let mut row = |name: &str, of: &dyn Fn(&Accounting) -> u64| {
        let count = of(measured);
        if count + of(warm_up) == 0 && name != "due" {
            return;
        }
        put(&mut table, format_args!("| {name} | {} | {} |", human_count(count), share(count, measured.due)));
        if has_warm_up {
            put(&mut table, format_args!(" {} |", human_count(of(warm_up))));
        }
        table.push('\n');
    };
    row("due", &|part| part.due);
    for one in Class::ALL {
        row(words::class_words(one), &|part| class(part, one));
    }
    row("open", &|part| part.due.saturating_sub(part.decided));
    let mut found = String::new();
    for (finding, count) in &measured.findings {
        let warm_up = warm_up.findings.get(finding);
        let explained = count.explained + warm_up.map_or(0, |c| c.explained);
        let unexplained = count.unexplained + warm_up.map_or(0, |c| c.unexplained);
        if explained + unexplained > 0 {
            let (finding, explained) = (plain(finding), human_count(explained));
            let unexplained = human_count(unexplained);
            put(
                &mut found,
                format_args!("- {finding}: {explained} explained by what was planned, {unexplained} not\n"),
            );
        }
    }
    if found.is_empty() { table } else { format!("{table}\n{found}") }
}

fn class(part: &Accounting, class: Class) -> u64 {
    part.classes.get(class.name()).copied().unwrap_or(0)
}

/// Seconds of a result as the whole microseconds that people are shown.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::report::{run_result, sample};

    #[test]
    fn a_run_on_one_page() {
        insta::assert_snapshot!(markdown(&run_result(&sample::report(sample::done(), Exit::Thresholds))));
    }

    #[test]
    fn names_and_words_from_outside_are_no_markup() {
        let mut result = run_result(&sample::report(sample::done(), Exit::Thresholds));
        let evil = "x|y <script>alert(1)</script> [a](b) `c` **d** @e \n| # f </details>";
        result.scenario.description = evil.to_owned();
        result.run.problem = Some(evil.to_owned());
        result.ledger.anomalies[0].device = evil.to_owned();
        result.events[0].text = evil.to_owned();
        result.scenario.resolved = serde_json::json!({ "description": format!("```\n</details>{evil}") });
        let page = markdown(&result);
        // In a block of code everything is only text; nothing ends it early.
        let (flow, code) = page.split_once("\n````yaml\n").unwrap();
        assert!(!flow.contains("<script") && !flow.contains("[a](b)") && !flow.contains("**d**"), "{flow}");
        assert!(code.ends_with("\n````\n\n</details>\n") && code.matches("````").count() == 1, "{code}");
    }

    #[test]
    fn a_page_has_a_bound() {
        let mut result = run_result(&sample::report(sample::done(), Exit::Thresholds));
        let anomaly = result.ledger.anomalies[0].clone();
        result.ledger.anomalies = vec![anomaly; 1_000];
        let text = "word ".repeat(100_000);
        result.scenario.resolved = serde_json::json!({ "description": text });
        result.scenario.description = text;
        result.thresholds = vec![result.thresholds[0].clone(); 10_000];
        let page = markdown(&result);
        assert!(page.len() <= MAX_BYTES, "{}", page.len());
        assert!(page.contains("left out"), "{page}");
    }
}
