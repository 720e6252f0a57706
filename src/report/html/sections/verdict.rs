//! The run in ten seconds: one word, one sentence, a handful of figures, and the thresholds.

use std::time::Duration;

use askama::Template;

use super::{Fact, has_load, shown};
use crate::report::html::timings::{Of, Timings};
use crate::report::result::{Accounting, RunResult};
use crate::report::words::{position, share, span, speed_up};
use crate::stats::{Class, Outcome, Span};
use crate::units::{human_count, human_micros, human_rate};

/// Failed thresholds that the sentence names; all are in the table below it.
const NAMED: usize = 2;

/// A figure that matters.
struct Tile {
    /// For scripts and tests: what it is.
    name: &'static str,
    label: String,
    value: String,
    /// The number behind it, as the JSON result has it.
    raw: String,
    note: String,
    /// `good`, `bad`, `warning` or nothing.
    tone: &'static str,
}

#[derive(Template)]
#[template(path = "verdict.html")]
pub(super) struct Verdict {
    tone: &'static str,
    mark: &'static str,
    word: String,
    name: String,
    description: String,
    headline: String,
    steered: bool,
    facts: Vec<Fact>,
    tiles: Vec<Tile>,
}

impl Verdict {
    pub fn of(result: &RunResult, timings: &Timings<'_>) -> Self {
        let run = &result.run;
        let (tone, mark) = match run.verdict.as_str() {
            "PASSED" => ("good", "✓"),
            "RUNNING" => ("live", "●"),
            "FAILED" | "ERROR" => ("bad", "✗"),
            _ => ("warning", "!"),
        };
        Self {
            tone,
            mark,
            word: shown(&run.verdict),
            name: shown(&result.scenario.name),
            description: shown(&result.scenario.description.replace('\n', " ")),
            headline: headline(result),
            steered: run.steered,
            facts: facts(result),
            tiles: if has_load(result) { tiles(result, timings) } else { Vec::new() },
        }
    }
}

/// What to tell somebody who reads one sentence.
fn headline(result: &RunResult) -> String {
    let run = &result.run;
    if let Some(problem) = &run.problem {
        return shown(problem);
    }
    match run.verdict.as_str() {
        "RUNNING" => format!("{} · {} since its begin", run.phase, position(seconds(run.duration_s))),
        "STOPPED" => "Stopped by the user: thresholds are shown, not judged.".to_owned(),
        "VOID" => format!(
            "The generator did not keep up, so the figures say nothing certain about the target: {}.",
            shown(&result.generator.reasons.join("; "))
        ),
        "ABORTED" => {
            let reasons: Vec<_> = result.rollouts.values().filter_map(|r| r.reason.as_deref()).collect();
            format!("The rollout was stopped by its own rule: {}", shown(&reasons.join("; ")))
        }
        _ => {
            let answer = result.capacity.as_ref().and_then(|capacity| capacity.answer.as_ref());
            let answer = answer.map(|answer| shown(&answer.sentence));
            // What failed the run comes first: an answer alone would leave the word above it unexplained.
            let failed = result.thresholds.iter().any(|one| !one.info && one.passed == Some(false));
            match answer {
                Some(answer) if failed => format!("{} {answer}", thresholds(result)),
                Some(answer) => answer,
                None => thresholds(result),
            }
        }
    }
}

fn thresholds(result: &RunResult) -> String {
    let judged: Vec<_> = result.thresholds.iter().filter(|one| !one.info).collect();
    let failed: Vec<_> = judged.iter().filter(|one| one.passed == Some(false)).collect();
    if failed.is_empty() {
        return match judged.len() {
            0 => "There was nothing to judge.".to_owned(),
            1 => "The one threshold held.".to_owned(),
            2 => "Both thresholds held.".to_owned(),
            all => format!("All {all} thresholds held."),
        };
    }
    let named = failed.iter().take(NAMED).map(|one| format!("{} was {}", one.expect, one.shown));
    let mut named = named.collect::<Vec<_>>().join("; ");
    if failed.len() > NAMED {
        named = format!("{named}; and {} more", failed.len() - NAMED);
    }
    format!("{} of {} thresholds did not hold: {}.", failed.len(), judged.len(), shown(&named))
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn facts(result: &RunResult) -> Vec<Fact> {
    let run = &result.run;
    let devices: u64 = result.groups.values().map(|group| group.devices).sum();
    let lasted = seconds(run.duration_s);
    let duration = human_micros(crate::units::micros(lasted));
    let mut facts = vec![
        Fact::new("devices", human_count(devices)),
        Fact::new("target", shown(&run.target)),
        Fact::new("seed", run.seed.to_string()),
        Fact::new("took", duration),
    ];
    if run.clock == "virtual" {
        let real = seconds(run.wall_clock.duration_s);
        let times = speed_up(lasted, real).map(|times| format!(" ({times})")).unwrap_or_default();
        facts.push(Fact::new(
            "clock",
            format!("virtual: {} of real time{times}", human_micros(crate::units::micros(real))),
        ));
    }
    facts.push(Fact::new("begun", shown(&run.wall_clock.start)));
    facts
}

fn tiles(result: &RunResult, timings: &Timings<'_>) -> Vec<Tile> {
    let measured = &result.totals.measured;
    let mut tiles = Vec::new();
    tiles.extend(capacity(result));
    tiles.extend(rollouts(result));
    tiles.push(succeeded(result, measured));
    let success = Of { outcome: Some(Outcome::Succeeded), ..Of::default() };
    for (name, label, of) in
        [("latency", "Latency, p99", Span::Latency), ("overhead", "Added by the target, p99", Span::Overhead)]
    {
        let counts = timings.merged(of, success);
        let at = |q: f64| counts.as_ref().map(|counts| counts.value_at_quantile(q));
        let max = counts.as_ref().map(hdrhistogram::Histogram::max);
        tiles.push(Tile {
            name,
            label: label.to_owned(),
            value: span(at(0.99)),
            raw: at(0.99).map(|us| us.to_string()).unwrap_or_default(),
            note: format!("p50 {} · largest {} · of the succeeded", span(at(0.5)), span(max)),
            tone: "",
        });
    }
    tiles.push(ledger(result));
    tiles.push(validity(result));
    tiles
}

fn capacity(result: &RunResult) -> Option<Tile> {
    let answer = result.capacity.as_ref()?.answer.as_ref()?;
    let broke = answer.broke_at_per_s.map(|rate| format!("broke a limit at {}", human_rate(rate)));
    let lagged = answer.generator_lagged_at_per_s;
    let lagged = lagged.map(|rate| format!("above {} the generator was the limit", human_rate(rate)));
    Some(Tile {
        name: "holds",
        label: "Holds".to_owned(),
        value: answer.holds_per_s.map_or_else(|| "nothing".to_owned(), human_rate),
        raw: answer.holds_per_s.map(|rate| rate.to_string()).unwrap_or_default(),
        note: broke.or(lagged).unwrap_or_else(|| "no limit was met".to_owned()),
        tone: if answer.holds_per_s.is_some() { "good" } else { "bad" },
    })
}

fn rollouts(result: &RunResult) -> Vec<Tile> {
    let tile = |(name, rollout): (&String, &crate::report::result::RolloutResult)| {
        let counts = &rollout.counts;
        Tile {
            name: "rollout",
            label: format!("Devices reached by {}", shown(name)),
            value: share(counts.devices_succeeded, rollout.devices),
            raw: counts.devices_succeeded.to_string(),
            note: format!(
                "{} of {} · {} · {} stuck",
                human_count(counts.devices_succeeded),
                human_count(rollout.devices),
                shown(&rollout.state.replace('_', " ")),
                human_count(rollout.stuck)
            ),
            tone: if rollout.state == "complete" && rollout.stuck == 0 { "good" } else { "warning" },
        }
    };
    result.rollouts.iter().take(NAMED).map(tile).collect()
}

fn succeeded(result: &RunResult, measured: &Accounting) -> Tile {
    let count = measured.classes.get(Class::Succeeded.name()).copied().unwrap_or(0);
    // While a run goes on, what is still open has not failed.
    let going_on = result.run.verdict == "RUNNING";
    let (of, word) = if going_on { (measured.decided, "ended") } else { (measured.due, "due") };
    Tile {
        name: "succeeded",
        label: "Succeeded".to_owned(),
        value: share(count, of),
        raw: count.to_string(),
        note: format!("{} of {} executions {word}", human_count(count), human_count(of)),
        tone: "",
    }
}

fn ledger(result: &RunResult) -> Tile {
    let both = [&result.totals.measured, &result.totals.warm_up];
    let unexplained: u64 = both.iter().map(|part| part.unexplained).sum();
    let lost = both.iter().filter_map(|part| part.findings.get("lost"));
    let lost: u64 = lost.map(|found| found.explained + found.unexplained).sum();
    Tile {
        name: "unexplained",
        label: "Unexplained anomalies".to_owned(),
        value: human_count(unexplained),
        raw: unexplained.to_string(),
        note: format!(
            "lost {} of {} started",
            human_count(lost),
            human_count(both[0].started + both[1].started)
        ),
        tone: if unexplained > 0 { "bad" } else { "good" },
    }
}

fn validity(result: &RunResult) -> Tile {
    let generator = &result.generator;
    let lag = generator.schedule_lag_us_p99.max(generator.device_lag_us_p99);
    Tile {
        name: "valid",
        label: "Measurements".to_owned(),
        value: if generator.valid { "valid" } else { "not valid" }.to_owned(),
        raw: generator.valid.to_string(),
        note: format!("lag p99 {} · limit {}", span(lag), human_micros(generator.max_lag_us)),
        tone: if generator.valid { "good" } else { "bad" },
    }
}

struct ThresholdRow {
    /// `passed`, `failed`, `info-failed` or `open`.
    state: &'static str,
    mark: &'static str,
    words: &'static str,
    expect: String,
    shown: String,
    raw: String,
    note: String,
}

#[derive(Template)]
#[template(path = "thresholds.html")]
pub(super) struct Thresholds {
    note: &'static str,
    rows: Vec<ThresholdRow>,
}

impl Thresholds {
    pub fn of(result: &RunResult) -> Self {
        let note = if result.run.stopped {
            "not judged: stopped by the user"
        } else if !result.run.valid && result.run.verdict != "RUNNING" {
            "they judge the generator as much as the target"
        } else {
            ""
        };
        let rows = result.thresholds.iter().map(|one| {
            let (state, mark, words) = match one.passed {
                Some(true) => ("passed", "✓", "held"),
                Some(false) if one.info => ("info-failed", "✗", "did not hold, only reported"),
                Some(false) => ("failed", "✗", "did not hold"),
                None => ("open", "–", "not judged"),
            };
            let abort = (one.abort && one.passed == Some(false)).then_some("stops the run");
            let info = one.info.then_some("only reported");
            let margin = one.margin.as_deref().filter(|_| one.passed.is_some());
            let notes: Vec<_> = [margin, info, abort].into_iter().flatten().map(shown).collect();
            ThresholdRow {
                state,
                mark,
                words,
                expect: shown(&one.expect),
                shown: shown(&one.shown),
                raw: one.observed.map(|value| value.to_string()).unwrap_or_default(),
                note: notes.join(" · "),
            }
        });
        Self { note, rows: rows.collect() }
    }
}
