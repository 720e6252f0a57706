//! Leads a capacity search through its steps: begins each, waits until all its executions are decided, has it
//! judged on exactly those, and asks the search for the next rate.
//!
//! Isolation comes from order: a step begins only after every shard has delivered a second in which nothing
//! of the step before is open, and the meter of the collector is emptied in between. Which rate comes next
//! is `driver::Search`'s to say, what a step is worth `verdict`'s.

mod words;

use std::time::Duration;

use crate::clock::Instant;
use crate::driver::{Bounds, Search, SourceCommand, Worth};
use crate::plan::Step;
use crate::scenario::{Capacity, Load, Scenario, Stage};
use crate::stats::{
    CapacityProgress, CapacityStep, Class, Percentile, Snapshot, Span, StepLimit, StepOutcome,
};
use crate::units::{Rate, human_micros, human_rate, micros};
use crate::verdict;

use super::collector::Collector;

/// Between the decision for a step and its first instant: every shard has heard by then.
const LEAD_US: u64 = 20_000;
/// Beyond all that a scenario lets an execution wait: what is open then is the target's failure.
const PATIENCE_US: u64 = 10_000_000;
/// The longest wait before a refused start is sent again.
const RETRY_WAIT_US: u64 = 5_000_000;

/// See the module.
pub(super) struct CapacityLead {
    workload: u16,
    settings: Capacity,
    search: Search,
    start_after_us: u64,
    /// How long an execution can stay open by the scenario's own words.
    longest_life_us: u64,
    running: Option<Running>,
    /// The step under way is judged, and some of its executions are still open: the next one must not count them.
    leftover: bool,
    steps: u32,
    arrivals: u64,
    progress: CapacityProgress,
}

/// The step under way.
#[derive(Debug, Clone, Copy)]
struct Running {
    rate: Rate,
    planned: u64,
    ends: Instant,
    gives_up: Instant,
}

impl CapacityLead {
    /// The lead of the scenario's search, if it has one.
    pub fn of(scenario: &Scenario) -> Option<Self> {
        let (workload, settings) =
            scenario.workloads.iter().enumerate().find_map(|(number, workload)| match &workload.load {
                Load::Capacity(capacity) => Some((number, capacity.clone())),
                _ => None,
            })?;
        let Capacity { from, to, step, precision, .. } = settings;
        let bounds = Bounds { from, to, step, precision: precision.fraction() };
        let of = &scenario.workloads[workload];
        let late = scenario.groups.iter().flat_map(|group| &group.behavior.outcomes);
        let late_us = late.filter_map(|outcome| Some(outcome.delay.as_ref()?.high_us())).max().unwrap_or(0);
        // Each attempt may wait for a connection and for its answer, and then for its repetition.
        let retries = u64::from(scenario.driver.retries);
        let starting_us = (retries + 1) * 2 * micros(scenario.driver.timeout) + retries * RETRY_WAIT_US;
        Some(Self {
            workload: u16::try_from(workload).unwrap_or(u16::MAX),
            settings,
            search: Search::new(bounds),
            start_after_us: micros(of.start_after),
            longest_life_us: starting_us + micros(of.command.timeout) + late_us,
            running: None,
            leftover: false,
            steps: 0,
            arrivals: 0,
            progress: CapacityProgress { workload, ..CapacityProgress::default() },
        })
    }

    /// The workload whose source gets the commands.
    pub fn workload(&self) -> u16 {
        self.workload
    }

    /// How it stands.
    pub fn progress(&self) -> &CapacityProgress {
        &self.progress
    }

    /// The first command, for a load that begins at `load_begin`.
    pub fn begin(&mut self, collector: &mut Collector, load_begin: Instant) -> SourceCommand {
        self.go_on(collector, load_begin, load_begin.plus_micros(self.start_after_us))
    }

    /// Looks at what is merged by now; a command if the step under way is over.
    pub fn look(
        &mut self,
        scenario: &Scenario,
        collector: &mut Collector,
        now: Instant,
    ) -> Option<SourceCommand> {
        let running = self.running?;
        let (due, open) = collector.metered()?;
        if self.leftover {
            if open > 0 {
                return None;
            }
            self.leftover = false;
            let load_begin = collector.load_begin()?;
            return Some(self.go_on(collector, load_begin, now.plus_micros(LEAD_US)));
        }
        let is_decided = due >= running.planned && open == 0 && collector.merged_until() >= running.ends;
        if !is_decided && now < running.gives_up {
            return None;
        }
        let snapshot = collector.metered_snapshot(now)?;
        let step = self.judge(scenario, &running, &snapshot, open);
        collector.event(now, words::judged(&step));
        self.search.judged(match step.outcome {
            StepOutcome::Passed => Worth::Passed,
            StepOutcome::Failed { .. } => Worth::Failed,
            StepOutcome::Unknown { .. } => Worth::Unknown,
        });
        self.progress.steps.push(step);
        if open > 0 {
            self.leftover = true;
            return None;
        }
        let load_begin = collector.load_begin()?;
        Some(self.go_on(collector, load_begin, now.plus_micros(LEAD_US)))
    }

    /// Begins the next step, or ends the search.
    fn go_on(&mut self, collector: &mut Collector, load_begin: Instant, at: Instant) -> SourceCommand {
        let Some(rate) = self.search.next_rate() else {
            self.running = None;
            self.progress.running = None;
            let answer = words::answer(&self.search, &self.progress.steps, &self.settings);
            // Events are short; the conditions and the next limit are in the summary.
            let finding = answer.sentence.split("; ").next().unwrap_or_default();
            collector.event(at, format!("capacity: {finding}"));
            self.progress.answer = Some(answer);
            return SourceCommand::End;
        };
        let stage =
            |duration: Duration, warm_up: bool| Stage { name: None, from: rate, to: rate, duration, warm_up };
        let mut stages = Vec::new();
        if !self.settings.settle.is_zero() {
            stages.push(stage(self.settings.settle, true));
        }
        stages.push(stage(self.settings.hold, false));
        let step = Step {
            number: self.steps,
            begin_us: at.micros_since(load_begin),
            first_arrival: self.arrivals,
            spacing: self.settings.spacing,
            stages,
        };
        self.steps += 1;
        self.arrivals += step.planned();
        let ends = load_begin.plus_micros(step.end_us());
        let held_from = at.plus(self.settings.settle);
        collector.meter(held_from, ends);
        self.running = Some(Running {
            rate,
            planned: step.planned(),
            ends,
            gives_up: ends.plus_micros(self.longest_life_us + PATIENCE_US),
        });
        self.progress.running = Some((self.steps, rate.per_second()));
        let again = if self.search.is_repeated() { ", once more" } else { "" };
        collector
            .event(at, format!("capacity step {}: {}{again}", self.steps, human_rate(rate.per_second())));
        SourceCommand::Step(step)
    }

    fn judge(&self, scenario: &Scenario, running: &Running, snapshot: &Snapshot, open: u64) -> CapacityStep {
        let judged = verdict::judge_each(&self.settings.pass, snapshot);
        let validity = verdict::validity(scenario, snapshot);
        let totals = &snapshot.totals;
        let counts = totals.measured(Some(self.progress.workload), None);
        let p = |span: Span, percentile: f64| {
            let histogram = totals.merged(span, None, None, verdict::covered(span));
            histogram.percentile(Percentile(percentile))
        };
        let hold_s = self.settings.hold.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts of a step are far below 2^53")]
        let per_second = |count: u64| count as f64 / hold_s;
        let mut refused: Vec<(String, u64)> =
            counts.refused.iter().map(|(error, n)| (error.to_string(), *n)).collect();
        refused.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let limits: Vec<StepLimit> = judged
            .into_iter()
            .map(|one| StepLimit { text: one.text, shown: one.shown, held: one.passed == Some(true) })
            .collect();
        let outcome = if let Some(reason) = validity.reasons.into_iter().next() {
            StepOutcome::Unknown { reason }
        } else if open > 0 {
            let limit =
                format!("every execution is decided {} after its step", human_micros(self.longest_life_us));
            StepOutcome::Failed { limit, shown: format!("{open} are open") }
        } else if let Some(broken) = limits.iter().find(|limit| !limit.held) {
            StepOutcome::Failed { limit: broken.text.clone(), shown: broken.shown.clone() }
        } else {
            StepOutcome::Passed
        };
        CapacityStep {
            number: self.steps,
            rate: running.rate.per_second(),
            due: counts.due,
            offered: per_second(counts.due),
            achieved: per_second(counts.class(Class::Succeeded)),
            latency_us_p50: p(Span::Latency, 50.0),
            latency_us_p95: p(Span::Latency, 95.0),
            latency_us_p99: p(Span::Latency, 99.0),
            overhead_us_p99: p(Span::Overhead, 99.0),
            start_wait_us_p99: p(Span::StartWait, 99.0),
            start_us_p99: p(Span::Start, 99.0),
            delivery_us_p99: p(Span::Delivery, 99.0),
            confirm_us_p99: p(Span::Confirm, 99.0),
            schedule_lag_us_p99: validity.schedule_lag_us_p99,
            device_lag_us_p99: validity.device_lag_us_p99,
            refused,
            cpu: snapshot.cpu,
            limits,
            outcome,
        }
    }
}
