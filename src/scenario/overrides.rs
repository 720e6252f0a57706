//! What flags change in a scenario before it is checked: `--set path=value`, `--scale`, `--duration`.
//!
//! They change the document, not the checked scenario: what they say goes through the same checks,
//! its mistakes point at the flag, and the resolved scenario shows what ran.

mod path;

use std::time::Duration;

use super::document::{Content, Document, NodeId};
use super::problems::Problem;
use super::source::Source;
use super::spelling;
use super::variables::Variables;
use crate::units::{Rate, micros, parse_duration};

/// Changes to a scenario, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overrides {
    /// `path=value` each; the last one on a path holds.
    pub sets: Vec<String>,
    /// What other flags set, after those.
    pub changes: Vec<Change>,
    /// By which counts and rates of devices and load are multiplied; positive.
    pub scale: Option<f64>,
    /// What the stages of each load last together.
    pub duration: Option<Duration>,
}

/// A place in the document that a flag of its own sets: `--hold 20s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The flag as it is typed: `--hold`.
    pub flag: String,
    /// The place, as in `--set`.
    pub path: String,
    /// What the user gave: plain text, or YAML where `is_yaml` says so.
    pub value: String,
    /// Whether the value is YAML, as in `--set`.
    pub is_yaml: bool,
}

/// How a quantity is multiplied.
#[derive(Clone, Copy)]
enum Scaled {
    Count,
    Rate,
}

/// What `--scale` multiplies. Keys by `.`, `*` for any one key or list item.
const SCALED: &[(&str, Scaled)] = &[
    ("groups.*.count", Scaled::Count),
    ("groups.*.connect.rate", Scaled::Rate),
    ("workloads.*.load.arrival_rate.stages.*.rate", Scaled::Rate),
    ("workloads.*.load.arrival_rate.stages.*.ramp_to", Scaled::Rate),
    ("workloads.*.load.concurrency.stages.*.in_flight", Scaled::Count),
    ("workloads.*.load.concurrency.stages.*.ramp_to", Scaled::Count),
    ("workloads.*.load.rollout.base_rate", Scaled::Rate),
    ("workloads.*.load.rollout.max_rate", Scaled::Rate),
    ("workloads.*.load.rollout.increase_after.*", Scaled::Count),
    ("workloads.*.load.rollout.abort_when.*.min_executed", Scaled::Count),
    ("workloads.*.load.rollout.batches.*.devices", Scaled::Count),
    ("workloads.*.load.capacity.from", Scaled::Rate),
    ("workloads.*.load.capacity.to", Scaled::Rate),
];

/// Lists of stages, each with a `duration`.
const STAGES: &[&str] = &["workloads.*.load.arrival_rate.stages", "workloads.*.load.concurrency.stages"];

/// The file's text with the flags behind it that mistakes may have to point at.
pub(super) fn source(file: &str, overrides: &Overrides) -> Source {
    let mut source = Source::of_file(file);
    for set in &overrides.sets {
        source.add_flag(&format!("{SET}{set}"));
    }
    for change in &overrides.changes {
        source.add_flag(&format!("{} {}", change.flag, change.value));
    }
    if let Some(duration) = overrides.duration {
        source.add_flag(&format!("--duration {}", spelling::duration(duration)));
    }
    source
}

/// How a flag is shown before its path.
const SET: &str = "--set ";

/// Makes the changes; returns what is wrong with the flags by themselves.
pub(super) fn apply(
    document: &mut Document<'_>,
    overrides: &Overrides,
    variables: &Variables,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for number in 1..=overrides.sets.len() {
        problems.extend(path::set(document, number, SET.len(), variables));
    }
    for (number, change) in (overrides.sets.len() + 1..).zip(&overrides.changes) {
        problems.extend(path::change(document, number, change, variables));
    }
    if let Some(factor) = overrides.scale {
        scale(document, factor);
    }
    if let Some(duration) = overrides.duration
        && !stretch(document, micros(duration))
        && problems.is_empty()
    {
        let place = document.source().flag(overrides.sets.len() + overrides.changes.len() + 1);
        let message = "no load of this scenario has stages whose duration could be set".to_owned();
        problems.push(document.problem(place, String::new(), message, None));
    }
    problems
}

/// Multiplies what stands at the places of [`SCALED`]. What is no quantity there is left to the checks.
fn scale(document: &mut Document<'_>, factor: f64) {
    for (place, scaled) in SCALED {
        for node in document.at(place) {
            let Some(text) = document.scalar(node) else { continue };
            let scaled = match scaled {
                Scaled::Count => count(text, factor),
                Scaled::Rate => rate(text, factor),
            };
            if let Some(scaled) = scaled {
                document.rewrite(node, scaled);
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
#[expect(clippy::cast_precision_loss, reason = "counts beyond 2^53 are refused anyway")]
fn count(text: &str, factor: f64) -> Option<String> {
    let count: u64 = text.parse().ok()?;
    // Something scaled down is still something.
    let scaled = ((count as f64 * factor).round() as u64).max(u64::from(count > 0));
    Some(scaled.to_string())
}

fn rate(text: &str, factor: f64) -> Option<String> {
    let scaled = text.parse::<Rate>().ok()?.per_second() * factor;
    scaled.is_finite().then(|| spelling::rate(Rate::from_per_second(scaled)))
}

/// Stretches or shortens all stages of each load in proportion, so that together they last `wanted_us`;
/// whether there are any.
fn stretch(document: &mut Document<'_>, wanted_us: u64) -> bool {
    let mut any = false;
    for list in STAGES.iter().flat_map(|place| document.at(place)).collect::<Vec<_>>() {
        any = true;
        let Some(durations) = durations(document, list) else { continue };
        let total: u128 = durations.iter().map(|(_, us)| u128::from(*us)).sum();
        for (node, us) in durations {
            let share = (u128::from(us) * u128::from(wanted_us)).checked_div(total).unwrap_or(0);
            // Whole milliseconds, as people write; a stage never vanishes.
            let millis = u64::try_from((share + 500) / 1_000).unwrap_or(u64::MAX).max(1);
            document.rewrite(node, spelling::duration(Duration::from_millis(millis)));
        }
    }
    any
}

/// The `duration` of each stage, if all are there and sound.
fn durations(document: &Document<'_>, list: NodeId) -> Option<Vec<(NodeId, u64)>> {
    let Content::List(stages) = document.content(list) else { return None };
    let duration = |stage: &NodeId| {
        let node = document.child(*stage, "duration")?;
        Some((node, micros(parse_duration(document.scalar(node)?).ok()?)))
    };
    stages.iter().map(duration).collect()
}

#[cfg(test)]
mod tests;
