//! What GitHub Actions gets without being asked: the summary of the job, and warnings when the generator was in
//! trouble.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use crate::report::{self, Against, RunResult};

use super::console::Console;
use super::findings::escaped;
use super::outputs::made;

/// GitHub drops the summary of a step that is larger.
const MAX_SUMMARY: u64 = 1024 * 1024;

/// Tells GitHub of a run, where that is who listens.
pub(super) fn tell(result: &RunResult, console: Console) {
    add_to_summary(|| report::markdown(result), console);
    if env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        for warning in warnings(result) {
            console.err(&warning);
        }
    }
}

/// Tells GitHub how the runs stand to their baseline.
pub(super) fn tell_against(against: &Against, console: Console) {
    add_to_summary(|| report::against_text(against), console);
}

fn add_to_summary(page: impl FnOnce() -> String, console: Console) {
    if let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty())
        && let Some(page) = made("the job summary", console, page)
        && let Err(error) = append(Path::new(&path), &page)
    {
        console.err(&format!("warning: the job summary (GITHUB_STEP_SUMMARY) was not written: {error}"));
    }
}

fn append(path: &Path, page: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let there = file.metadata()?.len();
    if there + page.len() as u64 + 1 > MAX_SUMMARY {
        return Err(io::Error::other("it would be larger than GitHub takes (1 MiB)"));
    }
    // A heading begins a line whatever stands before it.
    file.write_all(format!("{page}\n").as_bytes())
}

/// Workflow commands about the generator.
fn warnings(result: &RunResult) -> Vec<String> {
    let generator = &result.generator;
    let lost = |what: &str, count: u64| format!("{count} {what}: they did not fit a bounded queue");
    let reasons = generator.reasons.iter().map(|reason| format!("the run is not valid: {reason}"));
    let dropped = generator.dropped.iter().filter(|(_, count)| **count > 0);
    let dropped = dropped.map(|(queue, count)| lost(queue, *count));
    reasons
        .chain(dropped)
        .map(|text| {
            format!("::warning title=fleetsim {}::{}", escaped(&result.scenario.name), escaped(&text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::report::{run_result, sample};

    #[test]
    fn pages_stand_one_below_the_other_up_to_what_github_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary");
        append(&path, "## one").unwrap();
        append(&path, "## two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "## one\n## two\n");
        assert!(append(&path, &"x".repeat(1024 * 1024)).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "## one\n## two\n");
    }

    #[test]
    fn a_generator_in_trouble_is_a_warning_in_one_line() {
        let mut result = run_result(&sample::report(sample::done(), Exit::Void));
        assert_eq!(warnings(&result), Vec::<String>::new());
        result.generator.reasons = vec!["50% more\nthan".to_owned()];
        result.generator.dropped.insert("shard reports".to_owned(), 3);
        assert_eq!(
            warnings(&result),
            [
                "::warning title=fleetsim ci-smoke::the run is not valid: 50%25 more%0Athan",
                "::warning title=fleetsim ci-smoke::3 shard reports: they did not fit a bounded queue",
            ]
        );
    }
}
