//! What a finished run says: [`RunReport`] and its renderings.
//!
//! `console` is for people, `result` is the canonical `result.json`, `progress` the line that is printed while a
//! run goes on, `compare` sets results side by side (`against`: for CI systems). `html`, `markdown`, `junit`, `hlog` and `metrics` are made of
//! the result's tree, so that they can be made again of the file; `running` is that tree while a run goes on. A new
//! output is one file here. Nothing here decides: thresholds and validity are judged in `verdict`, the exit code in
//! `run`.

mod accounting;
mod against;
mod buckets;
mod compare;
mod console;
mod hlog;
mod html;
mod junit;
mod markdown;
mod metrics;
mod progress;
mod resolved;
mod result;
mod running;
#[cfg(test)]
pub(crate) mod sample;
pub mod words;
mod write;

use std::sync::Arc;
use std::time::Duration;

use crate::exit::Exit;
use crate::scenario::Scenario;
use crate::stats::Snapshot;
use crate::verdict::Verdict;

pub use accounting::totals_add_up;
pub use against::Against;
pub use buckets::{Bucket, log_buckets};
pub use compare::{Comparison, Limits, compare, comparison_text, is_readable, objections, spread_text};
pub use console::{Style, console, console_full};
pub use hlog::latency_log;
pub use html::{Charts, Live, Sections, Series, Timings, html, page, width_for};
pub use junit::{junit, junit_against};
pub use markdown::{against_text, markdown, markdown_against};
pub use metrics::{Format as MetricsFormat, Metrics};
pub use progress::{decided, due, event_line, is_warming_up, open, progress_line};
pub use resolved::{named_files, resolved_scenario};
pub use result::{RunResult, result_json, result_schema, result_text, run_result};
pub use running::{Running, Standing};
pub use write::{OutputError, check_writable, create_folder, write_result};

/// Everything known about a run that has ended, well or not; what every output reads.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// What was run.
    pub scenario: Arc<Scenario>,
    /// The scenario with every default filled in, spelled as a file would spell it.
    pub resolved: serde_json::Value,
    /// Tells whether two runs ran the same thing: SHA-256 of `resolved` without the seed, in hex.
    pub scenario_hash: String,
    /// The seed that was used, given or drawn.
    pub seed: u64,
    /// When the run began, in milliseconds since the Unix epoch, on the run's clock.
    pub started_wall_ms: u64,
    /// How long it took, all phases together, on the run's clock.
    pub duration: Duration,
    /// Whether time was simulated.
    pub is_virtual: bool,
    /// The same in real time, where both differ and where they do not.
    pub wall_clock: WallClock,
    /// What was tested: `embedded`.
    pub target: String,
    /// The last snapshot.
    pub snapshot: Arc<Snapshot>,
    /// The final judgement.
    pub verdict: Verdict,
    /// What the shell is told.
    pub exit: Exit,
    /// Stopped by the user: thresholds are not judged.
    pub stopped: bool,
    /// Why the run could not be done: `only 12 of 100 devices connected within 30s`.
    pub problem: Option<String>,
    /// Commands that were not there before the run.
    pub created_commands: Vec<String>,
    /// Where it ran.
    pub environment: Environment,
}

impl RunReport {
    /// The run in one word: `PASSED`, `FAILED`, `VOID`, `STOPPED`, `ABORTED` (a
    /// rollout by its own rule), or `ERROR` when it could not be done.
    pub fn word(&self) -> &'static str {
        match self.exit {
            Exit::Ok => "PASSED",
            Exit::Thresholds => "FAILED",
            Exit::Void => "VOID",
            Exit::Stopped => "STOPPED",
            Exit::RolloutAborted => "ABORTED",
            _ => "ERROR",
        }
    }

    /// Whether thresholds were judged; when the user stopped the run they are only shown.
    pub fn passed(&self, threshold: &crate::verdict::Judged) -> Option<bool> {
        threshold.passed.filter(|_| !self.stopped)
    }
}

/// A run in real time, whatever its own clock said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// When it began, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// The machine and program that made the measurements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Operating system and architecture: `linux x86_64`.
    pub os: String,
    /// Processors the program may use.
    pub cpus: usize,
    /// Descriptors the process may open.
    pub fd_limit: u64,
    /// fleetsim's version.
    pub version: String,
}
