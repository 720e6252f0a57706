//! The summary at the end of a run: thresholds first, then what happened, then whether to believe it.
//!
//! Failures are never mixed into success latency, and every latency row says which share it covers.
//! What is written where is `cli`'s to say.

mod capacity;
mod executions;
mod generator;
mod latency;
mod paint;
mod rollout;

use std::fmt::Write as _;

pub use paint::Style;

use self::paint::{Paint, wrapped};
use super::RunReport;
use super::words::{SEPARATOR, printable, speed_up};
use crate::stats::{Percentile, Span};
use crate::units::{human_count, human_micros};
use crate::verdict::Judged;

/// Where the text of a section begins.
const INDENT: usize = 15;
/// Narrower terminals get lines that wrap.
const MIN_WIDTH: usize = 60;
/// Wider ones get no longer lines: the eye would lose the row.
const MAX_WIDTH: usize = 120;
/// The summary of a run for people, about `width` characters wide, with a final newline.
pub fn console(report: &RunReport, style: Style, width: usize) -> String {
    summary(report, style, width, false)
}

/// The summary with a row for every span.
pub fn console_full(report: &RunReport, style: Style, width: usize) -> String {
    summary(report, style, width, true)
}

fn summary(report: &RunReport, style: Style, width: usize, every_span: bool) -> String {
    let width = width.clamp(MIN_WIDTH, MAX_WIDTH);
    let mut page = Page { paint: Paint(style), width, text: String::new() };
    title(&mut page, report);
    virtual_time(&mut page, report);
    steered(&mut page, report);
    thresholds(&mut page, report);
    fleet(&mut page, report);
    if report.snapshot.load_elapsed.is_some() {
        capacity::capacity(&mut page, report);
        executions::executions(&mut page, report);
        rollout::rollouts(&mut page, report);
        executions::faults(&mut page, report);
        executions::ledger(&mut page, report);
        latency::table(&mut page, &report.snapshot);
        if every_span {
            latency::spans(&mut page, &report.snapshot);
        }
        executions::anomalies(&mut page, report);
        generator::generator(&mut page, report);
    }
    page.text
}

/// The text so far and how to write more of it.
struct Page {
    paint: Paint,
    width: usize,
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A section whose figures stand behind its heading, on as many lines as they need.
    fn section(&mut self, heading: &str, parts: &[String]) {
        for (n, line) in wrapped(parts, self.width - INDENT).iter().enumerate() {
            let heading = format!(" {:<width$}", if n == 0 { heading } else { "" }, width = INDENT - 1);
            let line = format!("{}{line}", self.paint.bold(&heading));
            self.line(&line);
        }
    }
}

fn title(page: &mut Page, report: &RunReport) {
    let devices: u64 = report.snapshot.groups.iter().map(|group| group.devices).sum();
    let parts = [
        printable(&report.scenario.name).into_owned(),
        format!("{} devices", human_count(devices)),
        printable(&report.target).into_owned(),
        format!("seed {}", report.seed),
        human_micros(crate::units::micros(report.duration)),
    ];
    let left = parts.join(SEPARATOR);
    let word = report.word();
    let gap = page.width.saturating_sub(1 + left.chars().count() + word.len()).max(2);
    let painted = match word {
        "PASSED" => page.paint.good(word),
        "FAILED" | "ERROR" => page.paint.bad(word),
        _ => page.paint.warning(word),
    };
    let line = format!(" {}{:gap$}{painted}", page.paint.bold(&left), "");
    page.line(&line);
    if let Some(problem) = &report.problem {
        let line = format!("   {} {}", page.paint.bad("✗"), printable(problem));
        page.line(&line);
    }
}

/// What the figures of simulated time are, and how fast it went.
fn virtual_time(page: &mut Page, report: &RunReport) {
    if !report.is_virtual {
        return;
    }
    let parts = [
        "clock virtual: latencies are the configured delays".to_owned(),
        format!(
            "{} of real time{}",
            human_micros(crate::units::micros(report.wall_clock.elapsed)),
            speed_up(report.duration, report.wall_clock.elapsed)
                .map(|text| format!(" ({text})"))
                .unwrap_or_default()
        ),
    ];
    page.section("TIME", &parts);
}

/// That the load was not the scenario's.
fn steered(page: &mut Page, report: &RunReport) {
    if report.snapshot.steered {
        let parts = [
            "by hand: the load was paused, or its rate changed (the events say when)".to_owned(),
            "not to be compared with other runs".to_owned(),
        ];
        page.section("STEERED", &parts);
    }
}

fn thresholds(page: &mut Page, report: &RunReport) {
    let judged = &report.verdict.thresholds;
    // A run without load has nothing to judge; its problem says why.
    if judged.is_empty() || report.snapshot.load_elapsed.is_none() {
        return;
    }
    let note = if report.stopped {
        "  (not judged: stopped by the user)"
    } else if !report.verdict.validity.valid {
        "  (they judge the generator as much as the target: see GENERATOR)"
    } else {
        ""
    };
    let heading = format!(" {}{}", page.paint.bold("THRESHOLDS"), page.paint.warning(note));
    page.line(&heading);
    let texts: Vec<_> = judged.iter().map(|one| printable(&one.text)).collect();
    let widest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    for (one, text) in judged.iter().zip(texts) {
        let line = threshold(page.paint, one, report.passed(one), &text, widest);
        page.line(&line);
    }
}

fn threshold(paint: Paint, judged: &Judged, passed: Option<bool>, text: &str, widest: usize) -> String {
    let mark = match passed {
        Some(true) => paint.good("✓"),
        Some(false) if judged.info => paint.warning("✗"),
        Some(false) => paint.bad("✗"),
        None => paint.dim("–"),
    };
    let mut line = format!("   {mark} {text:<widest$} {:>12}", judged.shown);
    let margin = judged.margin.as_deref().filter(|_| passed.is_some());
    let info = judged.info.then_some("only reported");
    for note in [margin, info].into_iter().flatten() {
        let _ = write!(line, "   {note}");
    }
    line
}

/// The fleet, when there is something to say: it did not come up, lost connections, or misbehaved by plan.
fn fleet(page: &mut Page, report: &RunReport) {
    let snapshot = &report.snapshot;
    let reconnects: u64 = snapshot.totals.reconnects.iter().sum();
    let connects = snapshot.totals.merged(Span::Connect, None, None, None);
    let noted = &snapshot.totals.noted;
    if snapshot.load_elapsed.is_some() && reconnects == 0 && noted.is_empty() {
        return;
    }
    let mut parts = vec![format!("connected {} times", human_count(connects.len()))];
    for (name, percentile) in [("p50", 50.0), ("p99", 99.0)] {
        if let Some(us) = connects.percentile(Percentile(percentile)) {
            parts.push(format!("{name} {}", human_micros(us)));
        }
    }
    parts.push(format!("reconnects {}", human_count(reconnects)));
    parts.extend(noted.iter().map(|(what, count)| format!("{what} {}", human_count(*count))));
    page.section("FLEET", &parts);
    if snapshot.load_elapsed.is_none() {
        for (name, group) in snapshot.shape.groups.iter().zip(&snapshot.groups) {
            let (online, devices) = (human_count(group.online), human_count(group.devices));
            page.line(&format!("   {:<24} {online} of {devices} online", printable(name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::exit::Exit;
    use crate::report::sample;
    use crate::stats::{Part, Phase};

    fn plain(report: &RunReport) -> String {
        console(report, Style::Plain, 110)
    }

    #[test]
    fn a_failed_run_shows_thresholds_first() {
        insta::assert_snapshot!(plain(&sample::report(sample::done(), Exit::Thresholds)));
    }

    #[test]
    fn a_narrow_terminal_loses_columns_and_gains_lines() {
        insta::assert_snapshot!(console(&sample::report(sample::done(), Exit::Thresholds), Style::Plain, 64));
    }

    #[test]
    fn a_void_run_blames_the_generator() {
        let mut snapshot = sample::done();
        snapshot.report_gap = Duration::from_millis(2_400);
        Arc::make_mut(&mut snapshot.totals).drop_from("commands to shards", 7);
        insta::assert_snapshot!(plain(&sample::report(snapshot, Exit::Void)));
    }

    #[test]
    fn a_virtual_run_says_what_its_latencies_are_and_shows_no_processor() {
        let mut report = sample::report(sample::done(), Exit::Thresholds);
        (report.is_virtual, report.wall_clock.elapsed) = (true, Duration::from_millis(1_801));
        let text = plain(&report);
        assert!(
            text.contains("clock virtual: latencies are the configured delays · 1.80s of real time (×20)"),
            "{text}"
        );
        assert!(!text.contains("CPU") && plain(&sample::report(sample::done(), Exit::Ok)).contains("CPU"));
    }

    #[test]
    fn a_steered_run_says_so_and_is_still_judged() {
        let mut snapshot = sample::done();
        let text = |snapshot| console(&sample::report(snapshot, Exit::Thresholds), Style::Plain, 100);
        assert!(!text(snapshot.clone()).contains("STEERED"));
        snapshot.steered = true;
        let text = text(snapshot);
        assert!(text.contains(" STEERED       by hand: the load was paused"), "{text}");
        assert!(text.contains("FAILED") && !text.contains("not judged"), "{text}");
    }

    #[test]
    fn a_stopped_run_judges_no_threshold() {
        let mut snapshot = sample::measuring();
        snapshot.phase = Phase::Done;
        let text = plain(&sample::report(snapshot, Exit::Stopped));
        assert!(text.lines().next().unwrap().ends_with("STOPPED"), "{text}");
        assert!(text.contains("not judged: stopped by the user"), "{text}");
        assert!(!text.contains('✓') && !text.contains('✗'), "{text}");
        assert!(text.contains("open 5"), "{text}");
    }

    #[test]
    fn a_run_that_could_not_begin_says_why_and_pretends_no_figures() {
        let mut report = sample::report(sample::connecting(), Exit::Unavailable);
        report.problem = Some("98 of 250 devices did not connect within 30s".to_owned());
        insta::assert_snapshot!(plain(&report));
    }

    #[test]
    fn a_run_with_no_samples_at_all_still_prints() {
        for exit in Exit::ALL {
            let text = plain(&sample::report(sample::empty(Phase::Done, 0), exit));
            assert!(text.starts_with(" ci-smoke"), "{text}");
        }
    }

    #[test]
    fn a_load_without_a_single_execution_shows_the_thresholds_it_failed() {
        let mut snapshot = sample::empty(Phase::Done, 9);
        snapshot.load_elapsed = Some(Duration::from_secs(5));
        let text = plain(&sample::report(snapshot, Exit::Thresholds));
        assert!(text.contains("✗ rate(succeeded) >= 99%"), "{text}");
        assert!(text.contains("no samples"), "{text}");
    }

    #[test]
    fn names_from_outside_cannot_write_on_the_terminal() {
        let mut snapshot = sample::done();
        let evil = "Throttling\x1b[2J\x07Exception";
        let statistics = Arc::make_mut(&mut snapshot.totals);
        statistics.counts_mut(Part::Measured, 0, 0).refuse(&evil.into());
        let anomaly = &mut Arc::make_mut(&mut snapshot.anomalies)[0];
        anomaly.device = evil.to_owned();
        anomaly.last_seen = evil.to_owned();
        anomaly.execution_id = Some(evil.to_owned());
        let mut report = sample::report(snapshot, Exit::Thresholds);
        report.problem = Some(evil.to_owned());
        let text = plain(&report);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let report = sample::report(sample::done(), Exit::Thresholds);
        let coloured = console(&report, Style::Ansi, 110);
        assert_ne!(coloured, plain(&report));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain(&report));
    }

    #[test]
    fn the_full_summary_has_a_row_for_every_span() {
        let report = sample::report(sample::done(), Exit::Thresholds);
        let (compact, full) = (plain(&report), console_full(&report, Style::Plain, 110));
        for span in ["schedule_lag", "device_lag", "connect"] {
            let is_row = |line: &str| line.split_whitespace().next() == Some(span);
            assert!(full.lines().any(is_row), "{span}: {full}");
            assert!(!compact.lines().any(is_row), "{span}");
        }
    }

    #[test]
    fn every_width_prints() {
        let report = sample::report(sample::done(), Exit::Thresholds);
        for width in [0, 1, 59, 60, 80, 200, usize::MAX] {
            let text = console(&report, Style::Plain, width);
            assert!(text.lines().all(|line| line.chars().count() <= 130), "{text}");
        }
    }
}
