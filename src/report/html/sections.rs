//! The texts and tables of the page, each a template of its own, so that a live page can be sent one again.
//!
//! Figures are spelled here and nowhere else. A template escapes what it prints; characters that would
//! change how a text reads are gone before (`words::visible`).

mod ends;
mod latency;
mod verdict;

use askama::Template;
use serde::Serialize;

use super::timings::Timings;
use crate::report::result::{AnomalyResult, RunResult};
use crate::report::words::{cpu, position, span, visible};
use crate::report::{Running, resolved_scenario};
use crate::units::{human_count, human_micros};

/// Anomalies with a row; all kept ones are in the JSON result.
const MOST_ANOMALIES: usize = 200;

/// The sections of a page, by the names of their places in it. An empty one is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sections {
    /// The verdict in one word, for the title.
    pub word: String,
    /// The verdict, why, and the figures that matter most.
    pub verdict: String,
    /// What was expected and what was seen.
    pub thresholds: String,
    /// What a capacity search found.
    pub capacity: String,
    /// How rollouts went.
    pub rollouts: String,
    /// Percentiles by group and workload.
    pub latency: String,
    /// Percentiles of the parts of an execution's life.
    pub spans: String,
    /// How executions ended, and what the ledger found.
    pub executions: String,
    /// Whether to believe it.
    pub generator: String,
    /// What nothing planned explains.
    pub anomalies: String,
    /// What happened, in order.
    pub events: String,
    /// What was run and where: all but its exit code is known from the begin, so it is sent again at the end only.
    #[serde(skip)]
    pub scenario: String,
}

impl Sections {
    /// The sections of a result.
    pub fn of(result: &RunResult, timings: &Timings<'_>) -> Self {
        // A run that could not begin has no figures, and pretends none.
        let judged = |section: &dyn Fn() -> String| if has_load(result) { section() } else { String::new() };
        Self {
            word: visible(&result.run.verdict).into_owned(),
            verdict: rendered(&verdict::Verdict::of(result, timings)),
            thresholds: judged(&|| rendered(&verdict::Thresholds::of(result))),
            capacity: ends::capacity(result).map(|section| rendered(&section)).unwrap_or_default(),
            rollouts: ends::rollouts(result).iter().map(rendered).collect(),
            latency: latency::groups(result, timings).map(|section| rendered(&section)).unwrap_or_default(),
            spans: latency::spans(timings).map(|section| rendered(&section)).unwrap_or_default(),
            executions: judged(&|| rendered(&ends::Executions::of(result))),
            generator: judged(&|| rendered(&Generator::of(result))),
            anomalies: Anomalies::of(result).map(|section| rendered(&section)).unwrap_or_default(),
            events: Events::of(result).map(|section| rendered(&section)).unwrap_or_default(),
            scenario: rendered(&Scenario::of(result)),
        }
    }
}

/// Whether there is anything to judge.
fn has_load(result: &RunResult) -> bool {
    result.run.problem.is_none() || result.totals.measured.due + result.totals.warm_up.due > 0
}

fn rendered(template: &impl Template) -> String {
    template.render().expect("a template writes to a String and calls nothing that fails")
}

fn shown(text: &str) -> String {
    visible(text).into_owned()
}

/// A name and what stands behind it.
struct Fact {
    name: String,
    value: String,
}

impl Fact {
    fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into() }
    }
}

#[derive(Template)]
#[template(path = "generator.html")]
struct Generator {
    valid: bool,
    reasons: Vec<String>,
    facts: Vec<Fact>,
}

impl Generator {
    fn of(result: &RunResult) -> Self {
        let generator = &result.generator;
        let limit = human_micros(generator.max_lag_us);
        let origin = if generator.max_lag_set { ", set by the scenario" } else { "" };
        let mut facts = vec![
            Fact::new("late starts, p99", span(generator.schedule_lag_us_p99)),
            Fact::new("late answers, p99", span(generator.device_lag_us_p99)),
            Fact::new("limit on both", format!("{limit}{origin}")),
            Fact::new("due but never sent", human_count(generator.unsent)),
        ];
        if generator.report_gap_s >= 0.1 {
            facts.push(Fact::new("longest silence of a thread", format!("{:.1}s", generator.report_gap_s)));
        }
        if let Some(used) = generator.cpu {
            facts.push(Fact::new("CPU of the generator", format!("{} of a core", cpu(used.generator))));
            facts.push(Fact::new("busiest thread and second", cpu(used.busiest_shard)));
            if let Some(backend) = used.backend {
                facts.push(Fact::new("CPU of the backend", format!("{} of a core", cpu(backend))));
            }
        }
        for (queue, count) in &generator.dropped {
            facts.push(Fact::new(&format!("did not fit: {}", visible(queue)), human_count(*count)));
        }
        if generator.samples_without_histogram > 0 {
            let count = human_count(generator.samples_without_histogram);
            facts.push(Fact::new("samples without a histogram", count));
        }
        Self {
            valid: generator.valid,
            reasons: generator.reasons.iter().map(|reason| shown(reason)).collect(),
            facts,
        }
    }
}

struct AnomalyRow {
    finding: String,
    explained: bool,
    device: String,
    workload: String,
    planned_us: u64,
    planned: String,
    last_seen: String,
    id: String,
}

#[derive(Template)]
#[template(path = "anomalies.html")]
struct Anomalies {
    unexplained: usize,
    rows: Vec<AnomalyRow>,
    more: usize,
}

impl Anomalies {
    fn of(result: &RunResult) -> Option<Self> {
        let mut all: Vec<&AnomalyResult> = result.ledger.anomalies.iter().collect();
        if all.is_empty() {
            return None;
        }
        all.sort_by_key(|anomaly| anomaly.explained);
        let row = |anomaly: &&AnomalyResult| AnomalyRow {
            finding: shown(&anomaly.finding),
            explained: anomaly.explained,
            device: shown(&anomaly.device),
            workload: shown(&anomaly.workload),
            planned_us: anomaly.planned_us,
            planned: human_micros(anomaly.planned_us),
            last_seen: shown(&anomaly.last_seen),
            id: anomaly.execution_id.as_deref().map_or_else(|| "none".to_owned(), shown),
        };
        Some(Self {
            unexplained: all.iter().filter(|anomaly| !anomaly.explained).count(),
            rows: all.iter().take(MOST_ANOMALIES).map(row).collect(),
            more: all.len().saturating_sub(MOST_ANOMALIES),
        })
    }
}

struct EventRow {
    at: String,
    text: String,
}

#[derive(Template)]
#[template(path = "events.html")]
struct Events {
    rows: Vec<EventRow>,
}

impl Events {
    fn of(result: &RunResult) -> Option<Self> {
        let row = |event: &crate::report::result::EventResult| EventRow {
            at: position(std::time::Duration::from_micros(event.at_us)),
            text: shown(&event.text),
        };
        (!result.events.is_empty()).then(|| Self { rows: result.events.iter().map(row).collect() })
    }
}

#[derive(Template)]
#[template(path = "scenario.html")]
struct Scenario {
    resolved: String,
    facts: Vec<Fact>,
}

impl Scenario {
    fn of(result: &RunResult) -> Self {
        let (run, environment) = (&result.run, &result.environment);
        let mut facts = vec![
            Fact::new("made by", format!("{} {}", shown(&result.tool.name), shown(&result.tool.version))),
            Fact::new("system", shown(&environment.os)),
            Fact::new("processors", environment.cpus.to_string()),
        ];
        if let Some(limit) = environment.fd_limit {
            facts.push(Fact::new("open files at most", human_count(limit)));
        }
        facts.push(Fact::new("begun", shown(&run.wall_clock.start)));
        if run.clock == "virtual" {
            facts.push(Fact::new("begun on its own clock", shown(&run.start)));
        }
        if run.verdict != Running::WORD {
            facts.push(Fact::new("exit code", run.exit.to_string()));
        }
        facts.push(Fact::new("scenario's hash", shown(&result.scenario.hash)));
        for (name, value) in &result.scenario.labels {
            facts.push(Fact::new(&format!("label {}", visible(name)), shown(value)));
        }
        let resolved = resolved_scenario(result);
        let lines: Vec<_> = resolved.lines().map(visible).collect();
        Self { resolved: lines.join("\n"), facts }
    }
}
