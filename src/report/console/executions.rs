//! The accounting in words: executions by class, refusals by error, what the ledger found.

use std::fmt::Write as _;

use super::Page;
use super::paint::Paint;
use crate::report::RunReport;
use crate::report::words::{class_words, printable, share};
use crate::stats::{Anomaly, Class, Counts, Finding, Part};
use crate::units::{human_count, human_micros};

/// All are in the result; the first few show what kind they are.
const ANOMALIES_SHOWN: usize = 5;
/// Error names shown; a backend can make up as many as it likes.
const ERRORS_SHOWN: usize = 5;

/// The accounting: what was planned, and how it ended.
pub(super) fn executions(page: &mut Page, report: &RunReport) {
    let snapshot = &report.snapshot;
    let counts = snapshot.totals.measured(None, None);
    let warm_up = snapshot.totals.sum(Part::WarmUp, None, None);
    let mut parts = vec![format!("planned {}", human_count(snapshot.planned))];
    if counts.due != snapshot.planned {
        let name = if warm_up.due > 0 { "measured" } else { "due" };
        parts.push(format!("{name} {}", human_count(counts.due)));
    }
    parts.push(format!("started {}", human_count(counts.started)));
    parts.extend(classes(&counts, page.paint));
    page.section("EXECUTIONS", &parts);
    if counts.class(Class::Refused) > 0 {
        page.section("  refused", &refusals(&counts));
    }
    if warm_up.due > 0 {
        let mut parts = vec![format!("{} due, not measured", human_count(warm_up.due))];
        parts.extend(classes(&warm_up, page.paint));
        page.section("  warm-up", &parts);
    }
}

/// What the embedded backend did wrong by plan.
pub(super) fn faults(page: &mut Page, report: &RunReport) {
    let faults = report.snapshot.faults.iter();
    let parts: Vec<String> = faults.map(|(what, count)| format!("{what} {}", human_count(*count))).collect();
    if !parts.is_empty() {
        page.section("FAULTS", &parts);
    }
}

/// The classes that occurred, with their share of the executions that were due.
fn classes(counts: &Counts, paint: Paint) -> Vec<String> {
    let shown = |class: &Class| *class == Class::Succeeded || counts.class(*class) > 0;
    let mut order = Class::ALL;
    // What was hoped for comes first; the rest keeps the order of an execution's life.
    order.sort_by_key(|class| *class != Class::Succeeded);
    let mut parts: Vec<String> = order
        .into_iter()
        .filter(shown)
        .map(|class| {
            let n = counts.class(class);
            let mut of_due = share(n, counts.due);
            if class == Class::TimedOutCloud && counts.timed_out_as_planned > 0 {
                let _ = write!(of_due, ", {} as planned", human_count(counts.timed_out_as_planned));
            }
            format!("{} {} ({of_due})", class_words(class), human_count(n))
        })
        .collect();
    if counts.open() > 0 {
        parts.push(paint.warning(&format!("open {}", human_count(counts.open()))));
    }
    parts
}

/// Refusals by error, the most frequent first.
fn refusals(counts: &Counts) -> Vec<String> {
    let mut errors: Vec<_> = counts.refused.iter().collect();
    errors.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let mut parts: Vec<String> = errors
        .iter()
        .take(ERRORS_SHOWN)
        .map(|(error, n)| format!("{} {}", printable(error), human_count(**n)))
        .collect();
    if errors.len() > ERRORS_SHOWN {
        parts.push(format!("{} more kinds", errors.len() - ERRORS_SHOWN));
    }
    parts
}

/// What the ledger found, warm-up included: an execution lost then is lost all the same.
pub(super) fn ledger(page: &mut Page, report: &RunReport) {
    let mut counts = report.snapshot.totals.measured(None, None);
    counts.add(&report.snapshot.totals.sum(Part::WarmUp, None, None));
    let unexplained = format!("unexplained {}", human_count(counts.unexplained()));
    let mut parts = vec![if counts.unexplained() > 0 { page.paint.bad(&unexplained) } else { unexplained }];
    for finding in Finding::ALL {
        let found = counts.finding(finding);
        if found.total() == 0 && finding != Finding::Lost {
            continue;
        }
        let mut part = format!("{} {}", finding.name(), human_count(found.total()));
        if finding.is_anomaly() && found.explained > 0 {
            let _ = write!(part, " ({} explained)", human_count(found.explained));
        }
        parts.push(part);
    }
    page.section("LEDGER", &parts);
}

/// The first unexplained anomalies, with what was last seen of each.
pub(super) fn anomalies(page: &mut Page, report: &RunReport) {
    let unexplained: Vec<&Anomaly> = report.snapshot.anomalies.iter().filter(|a| !a.explained).collect();
    if unexplained.is_empty() {
        return;
    }
    let heading = format!(" {}", page.paint.bold("ANOMALIES"));
    page.line(&heading);
    for anomaly in unexplained.iter().take(ANOMALIES_SHOWN) {
        let id = anomaly.execution_id.as_deref().unwrap_or("no id");
        let line = format!(
            "   {} {} · planned at {} of the load · {} · {}",
            page.paint.bad(anomaly.finding.name()),
            printable(&anomaly.device),
            human_micros(anomaly.planned_us),
            printable(&anomaly.last_seen),
            printable(id),
        );
        page.line(&line);
    }
    if unexplained.len() > ANOMALIES_SHOWN {
        let more = human_count((unexplained.len() - ANOMALIES_SHOWN) as u64);
        page.line(&format!("   and {more} more in the JSON result"));
    }
}
