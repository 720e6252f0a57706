//! A small fleet that misbehaves in every way a scenario can say, and what must hold in each of its runs.
//!
//! Run in virtual time, seed by seed: by a test for some seeds, by `cargo bench --bench seeds` for all.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{Arc, Once};

use fleetsim::backend::Counters;
use fleetsim::report::{self, RunReport};
use fleetsim::run::{self, Hooks, Options};
use fleetsim::scenario::{self, Scenario, Variables};
use fleetsim::seed::Seed;
use fleetsim::stats::{Class, Counts, Part, Phase, Span};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Both versions of MQTT, kept and clean sessions, drops at any time and in mid-command, late, repeated,
/// failed and missing answers, updates out of order and malformed ones, devices that work on several
/// executions, turn them away or do not wait for replies, time-outs short enough to meet all of them, and
/// a timeline of storms, silences and outages.
pub const SCENARIO: &str = "
version: 1
name: chaos
groups:
  old-clean:
    count: 5
    connect: { mqtt: \"3.1.1\", keep_alive: 10s, drops: { every: 2s..9s, down_for: 100ms..3s, mid_command: 10% }, backoff: { initial: 200ms, max: 2s } }
    behavior: { delay: 10ms..900ms, duplicates: 10%, max_parallel: 3, out_of_order: 10%, malformed: 10%, outcomes: { failed: { share: 10%, reason_code: FLASH_ERROR }, no_answer: 5%, late: { share: 10%, by: 100ms..3s } } }
  old-kept:
    count: 5
    connect: { mqtt: \"3.1.1\", clean_session: false, keep_alive: 10s, drops: { every: 2s..9s, down_for: 100ms..3s, mid_command: 10% }, backoff: { initial: 200ms, max: 2s } }
    behavior: { accept_delay: 5ms..200ms, wait_accepted: false, delay: { exponential: { mean: 300ms } }, duplicates: 10%, when_busy: reject, outcomes: { rejected: 10%, no_answer: 5%, late: { share: 10%, by: 100ms..3s } } }
  new-clean:
    count: 5
    connect: { mqtt: \"5\", keep_alive: 10s, drops: { every: 2s..9s, down_for: 100ms..3s, mid_command: 10% }, backoff: { initial: 200ms, max: 2s } }
    behavior: { accept_delay: 5ms..200ms, delay: 10ms..900ms, duplicates: 10%, max_parallel: 2, when_busy: ignore, slow_start: { for: 2s, times: 3 }, out_of_order: 10%, outcomes: { failed: 10%, no_answer: 5%, late: { share: 10%, by: 100ms..3s } } }
  new-kept:
    count: 5
    connect: { mqtt: \"5\", clean_session: false, keep_alive: 10s, drops: { every: 2s..9s, down_for: 100ms..3s, mid_command: 10% }, backoff: { initial: 200ms, max: 2s } }
    behavior: { accept_delay: 0s..50ms, delay: { mix: [{ weight: 3, of: { normal: { mean: 100ms, sd: 90ms } } }, { weight: 1, of: { pareto: { min: 300ms, shape: 1.5 } } }] }, max_parallel: 4, duplicates: 10%, out_of_order: 10%, malformed: 10%, outcomes: { failed: 10%, rejected: 5%, no_answer: 5%, late: { share: 10%, by: 100ms..3s } } }
workloads:
  short:
    command: { name: short, timeout: 2s }
    load: { arrival_rate: { stages: [{ rate: 8/s, duration: 4s, warm_up: true }, { duration: 8s }] } }
  long:
    command: { name: long, timeout: 6s }
    select: round_robin
    load: { arrival_rate: { stages: [{ rate: 0/s, ramp_to: 8/s, duration: 10s }] } }
driver: { connections: 4 }
timeline:
  - { at: 2s, do: disconnect, share: 30%, for: 1500ms }
  - { at: 4s, do: slow, times: 2, share: 50%, for: 3s }
  - { at: 5s, do: silence, share: 40%, for: 2s }
  - { at: 6s, do: backend_stall, for: 1s }
  - { at: 8s, do: backend_restart, for: 1s }
  - { at: 10s, do: disconnect, groups: [old-kept, new-kept] }
";

/// The scenario; the same for every seed.
pub fn scenario() -> Arc<Scenario> {
    match scenario::parse("chaos.yaml", SCENARIO, &Variables::default()) {
        Ok(scenario) => Arc::new(scenario),
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

/// A run that is over.
pub struct Outcome {
    pub report: RunReport,
    pub backend: Option<Counters>,
    /// Panics on the run's thread, caught or not.
    pub panics: u32,
}

/// Runs `scenario` in virtual time.
pub fn run_virtually(scenario: &Arc<Scenario>, seed: u64) -> Outcome {
    run_steered(scenario, seed, |_| {})
}

/// The same, with something done to its options.
pub fn run_steered(scenario: &Arc<Scenario>, seed: u64, configure: impl FnOnce(&mut Options)) -> Outcome {
    count_panics();
    let before = PANICS.get();
    let backend = Arc::new(Mutex::new(None));
    let at_the_end = Arc::clone(&backend);
    let at_end = move |counters| *at_the_end.lock() = Some(counters);
    let mut options = Options {
        seed: Seed(seed),
        virtual_time: true,
        signals: false,
        hooks: Hooks { at_end: Some(Box::new(at_end)), ..Hooks::default() },
        ..Options::new(Arc::clone(scenario))
    };
    configure(&mut options);
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    let backend = *backend.lock();
    Outcome { report, backend, panics: PANICS.get() - before }
}

/// Runs one seed; what did not hold, with all that is needed to look into it. `None` if all did.
pub fn failure(scenario: &Arc<Scenario>, seed: u64) -> Option<String> {
    let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| run_virtually(scenario, seed))) else {
        return Some(format!("seed {seed}: the run panicked"));
    };
    judge(&outcome, seed)
}

/// What did not hold in a run that is over.
pub fn judge(outcome: &Outcome, seed: u64) -> Option<String> {
    let violations = violations(outcome);
    if violations.is_empty() {
        return None;
    }
    let Outcome { report, backend, .. } = outcome;
    let summary = report::console(report, report::Style::Plain, 120);
    let anomalies: Vec<String> = report.snapshot.anomalies.iter().map(|a| format!("  {a:?}")).collect();
    Some(format!("seed {seed}: {}\n{summary}\n{}\n{backend:?}", violations.join("; "), anomalies.join("\n")))
}

/// Everything that must hold and does not.
fn violations(Outcome { report, backend, panics }: &Outcome) -> Vec<String> {
    let mut violations = Vec::new();
    let mut must = |holds: bool, what: &str, figures: &dyn std::fmt::Debug| {
        if !holds {
            violations.push(format!("{what}: {figures:?}"));
        }
    };
    must(*panics == 0, "no task panics", panics);
    must(report.problem.is_none(), "the run can be done", &report.problem);
    must(report.snapshot.phase == Phase::Done, "the run ends", &report.snapshot.phase);
    let adds_up = report::totals_add_up(&report.snapshot);
    must(adds_up.is_ok(), "the classes add up", &adds_up);
    let totals = &report.snapshot.totals;
    let mut counts: Counts = totals.sum(Part::Measured, None, None);
    counts.add(&totals.sum(Part::WarmUp, None, None));
    must(counts.due == report.snapshot.planned, "all that was planned falls due", &counts.due);
    for class in [Class::Unsent, Class::Refused, Class::Unknown, Class::Unfinished] {
        must(counts.class(class) == 0, class.name(), &counts.class(class));
    }
    must(counts.unexplained() == 0, "every anomaly is explained", &counts.unexplained());
    for span in [Span::ScheduleLag, Span::DeviceLag] {
        let lag = totals.merged(span, None, None, None).max();
        must(lag <= Some(1_000), "what is due happens in the next millisecond", &(span.name(), lag));
    }
    must(report.verdict.validity.valid, "the run is valid", &report.verdict.validity);
    let Some(backend) = backend else {
        must(false, "the backend ends", &());
        return violations;
    };
    must(backend.open == 0, "nothing is open at the backend", &backend.open);
    must(backend.started == counts.started, "both sides started as many", &(backend.started, counts.started));
    let timed_out = counts.class(Class::TimedOutCloud);
    must(backend.timed_out == timed_out, "both sides timed out as many", &(backend.timed_out, timed_out));
    must(backend.evicted == 0, "nothing is forgotten", &backend.evicted);
    must(backend.publishes_refused == 0, "devices publish what they may", &backend.publishes_refused);
    must(backend.http_connections == 0, "no HTTP connection is left", &backend.http_connections);
    must(backend.accept_errors == 0, "every connection is accepted", &backend.accept_errors);
    let (there, here) = (backend.ended, ended_in_time(&counts));
    must(there == here, "both sides saw devices end as many, and how", &(there, here));
    let broker = &backend.broker;
    must(broker.connections == 0, "no connection is left", &broker.connections);
    must(broker.dropped() == 0, "no message is dropped", &broker.dropped());
    must(broker.violations == 0, "nobody violates the protocol", &broker.last_violation);
    must(broker.refused_connects == 0, "no CONNECT is refused", &broker.refused_connects);
    violations
}

/// Executions that devices ended before their time-out, as the backend counts them.
pub fn ended_in_time(counts: &Counts) -> [u64; 4] {
    [Class::Succeeded, Class::Failed, Class::Rejected, Class::TimedOutDevice].map(|class| counts.class(class))
}

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// A task's panic ends the task only and would go unnoticed: a run in virtual time is one thread, so
/// its panics can be counted there.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
}
