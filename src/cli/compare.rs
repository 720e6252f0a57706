//! `fleetsim compare`, and `run --baseline`: results against results.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::exit::Exit;
use crate::report::{self, Limits, RunResult};

use super::console::Console;

/// A day of seconds and its histograms take some tens of megabytes.
const MAX_RESULT_BYTES: u64 = 1024 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    /// Results of the baseline, as written by `run --json`.
    #[arg(required = true, value_name = "BASE")]
    base: Vec<PathBuf>,
    /// New results, behind `--`. Three or more on each side say best what is chance.
    #[arg(last = true, value_name = "NEW")]
    new: Vec<PathBuf>,
    /// By how much percentiles of the latency may grow, e.g. p99=10% or p50=5%,p99=10%.
    #[arg(long, value_name = "LIMITS", default_value = "p99=10%", value_parser = limits, env = "FLEETSIM_MAX_REGRESSION")]
    max_regression: Limits,
    /// Compare although scenarios or machines differ, or a run was not valid.
    #[arg(long, env = "FLEETSIM_FORCE", value_parser = super::truth)]
    force: bool,
}

/// `compare BASE -- NEW --force` as people write it: behind `--` everything is a file to clap, so the
/// flags of `compare` are moved before it.
pub(super) fn flags_first(arguments: Vec<OsString>) -> Vec<OsString> {
    let is_compare = arguments.iter().any(|word| word == "compare");
    let Some(dashes) = arguments.iter().position(|word| word == "--").filter(|_| is_compare) else {
        return arguments;
    };
    let mut sorted = arguments[..dashes].to_vec();
    let mut files = Vec::new();
    let mut rest = arguments[dashes..].iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        if text == "--force" || text.starts_with("--max-regression=") {
            sorted.push(word.clone());
        } else if text == "--max-regression" {
            sorted.push(word.clone());
            sorted.extend(rest.next().cloned());
        } else {
            files.push(word.clone());
        }
    }
    sorted.extend(files);
    sorted
}

pub(super) fn limits(text: &str) -> Result<Limits, String> {
    text.parse()
}

pub(super) fn compare(arguments: &CompareArguments, console: Console) -> Exit {
    let (base, new) = match (arguments.base.as_slice(), arguments.new.as_slice()) {
        // Two results need no `--` to be told apart.
        ([base, new], []) => (std::slice::from_ref(base), std::slice::from_ref(new)),
        (_, []) => {
            console.err("error: no new results are given; write them behind --, e.g. fleetsim compare base.json -- new.json");
            return Exit::Usage;
        }
        sides => sides,
    };
    let read = |paths: &[PathBuf]| paths.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>();
    let (base, new) = match (read(base), read(new)) {
        (Ok(base), Ok(new)) => (base, new),
        (Err((exit, message)), _) | (_, Err((exit, message))) => {
            console.err(&format!("error: {message}"));
            return exit;
        }
    };
    let objections = report::objections(&base, &new);
    for objection in &objections {
        console.err(&format!("{}: {objection}", if arguments.force { "warning" } else { "error" }));
    }
    if !objections.is_empty() && !arguments.force {
        console.err("these runs say nothing about each other; --force compares them all the same");
        return Exit::Data;
    }
    let comparison = report::compare(&base, &new, &arguments.max_regression);
    console.out(&report::comparison_text(&comparison));
    if comparison.has_regressed() { Exit::Regression } else { Exit::Ok }
}

/// The result in a file, or why there is none.
pub(super) fn read(path: &Path) -> Result<RunResult, (Exit, String)> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| (Exit::NoInput, format!("cannot read {shown}: {error}"));
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_RESULT_BYTES {
        return Err((Exit::Data, format!("{shown} is larger than any result")));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let result: RunResult = serde_json::from_str(&text)
        .map_err(|error| (Exit::Data, format!("{shown} is no result of fleetsim run --json: {error}")))?;
    report::is_readable(&result).map_err(|message| (Exit::Data, format!("{shown}: {message}")))?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_may_stand_behind_the_files() {
        let sorted = |text: &str| {
            let words = flags_first(text.split(' ').map(OsString::from).collect());
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        for (written, meant) in [
            ("fleetsim compare a -- b --force", "fleetsim compare a --force -- b"),
            (
                "fleetsim compare a -- b --max-regression p99=1% c",
                "fleetsim compare a --max-regression p99=1% -- b c",
            ),
            ("fleetsim compare a --force -- b", "fleetsim compare a --force -- b"),
            ("fleetsim compare a b --force", "fleetsim compare a b --force"),
            ("fleetsim run x -- --force", "fleetsim run x -- --force"),
        ] {
            assert_eq!(sorted(written), meant);
        }
    }
}
