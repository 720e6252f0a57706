//! `run --baseline`: the runs of this command against an earlier result.

use std::sync::Arc;

use crate::exit::Exit;
use crate::report::{self, Against, Limits, RunResult};
use crate::scenario::Scenario;

use super::console::Console;
use super::{RunArguments, compare};

/// What new runs are compared with.
pub(super) struct Baseline {
    results: Vec<RunResult>,
    limits: Limits,
}

impl Baseline {
    /// The seed of the earlier runs, if they have one in common.
    pub fn seed(&self) -> Option<u64> {
        let first = self.results.first()?.run.seed;
        self.results.iter().all(|result| result.run.seed == first).then_some(first)
    }

    /// Reads the results, if any are asked for. What cannot be compared is refused before anything runs.
    pub fn read(
        arguments: &RunArguments,
        scenarios: &[Arc<Scenario>],
        console: Console,
    ) -> Result<Option<Self>, Exit> {
        if arguments.baselines.is_empty() {
            return Ok(None);
        }
        let refused = |exit: Exit, messages: &[String]| {
            for message in messages {
                console.err(&format!("error: {message}"));
            }
            Err(exit)
        };
        let [scenario] = scenarios else {
            return refused(Exit::Usage, &["--baseline is for one scenario".to_owned()]);
        };
        let mut results = Vec::new();
        for path in &arguments.baselines {
            match compare::read(path) {
                Ok(result) => results.push(result),
                Err((exit, message)) => return refused(exit, &[message]),
            }
        }
        let mut objections = report::objections(&results, &[]);
        if results.iter().any(|result| result.scenario.hash != scenario.hash()) {
            objections.push(format!(
                "the baseline is of another scenario than {} as it is now (flags that change it count)",
                scenario.name
            ));
        }
        let clock = if arguments.virtual_time { "virtual" } else { "real" };
        if results.iter().any(|result| result.run.clock != clock) {
            objections.push(format!("the baseline is not a run in {clock} time, as this one is"));
        }
        if !objections.is_empty() {
            return refused(Exit::Data, &objections);
        }
        Ok(Some(Self { results, limits: arguments.max_regression.clone() }))
    }

    /// Compares and tells; `exit` is how the runs ended by themselves.
    pub fn judge(
        &self,
        results: &[RunResult],
        exit: Exit,
        tell: impl Fn(&str),
        console: Console,
    ) -> (Exit, Against) {
        let objections = report::objections(&self.results, results);
        if results.is_empty() || !objections.is_empty() {
            for objection in &objections {
                console.err(&format!("not compared with the baseline: {objection}"));
            }
            // Why a run says nothing is in its own code.
            let exit = if exit == Exit::Ok { Exit::Data } else { exit };
            return (exit, Against::refused(&objections));
        }
        let comparison = report::compare(&self.results, results, &self.limits);
        let against = Against::of(&comparison);
        tell(&against.text);
        (if comparison.has_regressed() { Exit::Regression } else { Exit::Ok }, against)
    }
}
