//! What the screen shows, to take away: a few lines of summary, the picture as text, its figures as JSON.
//!
//! Not a result: that is written at the end, whole and judged. This is what somebody saw at a moment.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::report::words::{class_words, position, printable, share, span as time};
use crate::report::{decided, due, open};
use crate::stats::{Class, Percentile, Second, Span};
use crate::units::human_count;

use super::picture::{GroupRow, Picture};
use super::state::UiState;
use super::view;

/// Names that are tried until one is free: nobody saves more often within a second of a run.
const MOST_NAMES: u32 = 100;

/// A few lines that say how the run stands.
pub(super) fn summary(state: &UiState) -> String {
    let context = &state.context;
    let mut lines = vec![format!(
        "{} · {} · {} devices · seed {}",
        printable(&context.scenario),
        printable(&context.target),
        human_count(context.devices),
        context.seed
    )];
    let Some(picture) = state.picture() else {
        lines.push("not begun".to_owned());
        return lines.join("\n");
    };
    let snapshot = &picture.snapshot;
    lines.push(format!(
        "{} at {}: {} of {} ended, {} in flight{}",
        snapshot.phase.name(),
        position(snapshot.elapsed),
        human_count(decided(snapshot)),
        human_count(snapshot.planned),
        human_count(open(snapshot)),
        if snapshot.steered { ", steered" } else { "" }
    ));
    let counts = snapshot.totals.measured(None, None);
    let ends = Class::ALL.into_iter().filter(|class| counts.class(*class) > 0);
    let ends = ends.map(|class| {
        let count = counts.class(class);
        format!("{} {} ({})", class_words(class), human_count(count), share(count, counts.due))
    });
    lines.push(ends.collect::<Vec<_>>().join(" · "));
    let latency = picture.span(Span::Latency, None);
    let at = |percentile| time(latency.percentile(Percentile(percentile)));
    lines.push(format!(
        "latency of succeeded p50 {} p95 {} p99 {} max {}",
        at(50.0),
        at(95.0),
        at(99.0),
        time(latency.max())
    ));
    for judged in &picture.verdict.thresholds {
        let mark = match judged.passed {
            Some(true) => '✓',
            Some(false) => '✗',
            None => '·',
        };
        let margin = judged.margin.as_ref().map(|margin| format!(" ({margin})")).unwrap_or_default();
        lines.push(format!("{mark} {}  {}{margin}", printable(&judged.text), judged.shown));
    }
    lines.push(if picture.verdict.validity.valid {
        "the generator keeps up".to_owned()
    } else {
        format!("NOT VALID: {}", picture.verdict.validity.reasons.join("; "))
    });
    lines.join("\n")
}

/// Writes the screen as text and its figures as JSON under names that are free; gives both.
///
/// # Errors
/// No such file can be made or written.
pub(super) fn write(state: &UiState, folder: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let at = state.picture().map_or(0, |picture| picture.snapshot.elapsed.as_secs());
    let text = format!("{}\n\n{}", summary(state), view::text(state));
    let json = format!("{:#}\n", figures(state));
    // A name of the scenario is of letters, digits and dashes; anything else would be a path.
    let scenario: String =
        state.context.scenario.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let mut last = None;
    for number in 1..=MOST_NAMES {
        let again = if number > 1 { format!("-{number}") } else { String::new() };
        let name = format!("fleetsim-{scenario}-{at}s{again}");
        let paths = (folder.join(format!("{name}.txt")), folder.join(format!("{name}.json")));
        match create(&paths.0, &text).and_then(|()| create(&paths.1, &json)) {
            Ok(()) => return Ok(paths),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
}

/// Never over what is there.
fn create(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// The figures behind the picture; spans in µs.
fn figures(state: &UiState) -> Value {
    let context = &state.context;
    let mut figures = json!({
        "scenario": context.scenario,
        "target": context.target,
        "seed": context.seed,
        "devices": context.devices,
    });
    if let (Some(picture), Some(figures)) = (state.picture(), figures.as_object_mut())
        && let Value::Object(more) = of_picture(picture, state)
    {
        figures.extend(more);
    }
    figures
}

fn of_picture(picture: &Picture, state: &UiState) -> Value {
    let snapshot = &picture.snapshot;
    let counts = snapshot.totals.measured(None, None);
    let classes: serde_json::Map<String, Value> =
        Class::ALL.into_iter().map(|class| (class.name().to_owned(), counts.class(class).into())).collect();
    let latency = picture.span(Span::Latency, None);
    let at = |percentile| latency.percentile(Percentile(percentile));
    let thresholds: Vec<Value> = picture
        .verdict
        .thresholds
        .iter()
        .map(|judged| json!({ "expect": judged.text, "passed": judged.passed, "shown": judged.shown }))
        .collect();
    let seconds = snapshot.series.newest(state.window.seconds());
    json!({
        "phase": snapshot.phase.name(),
        "elapsed_s": snapshot.elapsed.as_secs_f64(),
        "planned": snapshot.planned,
        "due": due(snapshot),
        "ended": decided(snapshot),
        "in_flight": open(snapshot),
        "steered": snapshot.steered,
        "rate_percent": snapshot.tempo.rate_percent,
        "paused": snapshot.tempo.paused,
        "valid": picture.verdict.validity.valid,
        "executions": classes,
        "latency_us": {
            "p50": at(50.0), "p90": at(90.0), "p95": at(95.0), "p99": at(99.0), "p99.9": at(99.9),
            "max": latency.max(), "count": latency.len(),
        },
        "thresholds": thresholds,
        "groups": picture.groups().iter().map(group).collect::<Vec<_>>(),
        "seconds": seconds.iter().map(second).collect::<Vec<_>>(),
    })
}

fn group(row: &GroupRow) -> Value {
    json!({
        "name": row.name,
        "devices": row.gauge.devices,
        "online": row.gauge.online,
        "due": row.counts.due,
        "succeeded": row.counts.class(Class::Succeeded),
        "ended": row.counts.decided(),
        "latency_us_p50": row.latency_us_p50,
        "latency_us_p99": row.latency_us_p99,
    })
}

fn second(second: &Second) -> Value {
    json!({
        "number": second.number,
        "started": second.started,
        "succeeded": second.succeeded,
        "other": second.other,
        "in_flight": second.in_flight,
        "latency_us_p50": second.latency_us_p50,
        "latency_us_p95": second.latency_us_p95,
        "latency_us_p99": second.latency_us_p99,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::view::samples;

    #[test]
    fn what_is_saved_is_what_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let state = samples::measuring();
        let (text, json) = write(&state, folder.path()).unwrap();
        assert_eq!(text.file_name().unwrap(), "fleetsim-ci-smoke-24s.txt");
        let text = std::fs::read_to_string(text).unwrap();
        assert!(text.contains("p95(latency{group=fast})") && text.contains("[1 Overview]"), "{text}");
        let json: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        assert_eq!(json["executions"]["succeeded"], 1_460);
        assert_eq!(json["seconds"].as_array().unwrap().len(), 24);
    }

    #[test]
    fn nothing_that_is_there_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let state = samples::measuring();
        let first = write(&state, folder.path()).unwrap();
        let second = write(&state, folder.path()).unwrap();
        assert_ne!(first, second);
        assert!(first.0.exists() && second.1.ends_with("fleetsim-ci-smoke-24s-2.json"));
        assert!(write(&state, &folder.path().join("not there")).is_err());
    }

    #[test]
    fn a_summary_carries_no_escape_sequence() {
        let mut state = samples::measuring();
        state.context.scenario = "evil\x1b]52;c;AAAA\x07".to_owned();
        assert!(!summary(&state).chars().any(|c| c.is_control() && c != '\n'));
        assert!(write(&state, tempfile::tempdir().unwrap().path()).is_ok());
    }
}
