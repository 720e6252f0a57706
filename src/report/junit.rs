//! `junit.xml`: the thresholds of a run as test cases, for the pages of CI systems.
//!
//! The suite is the scenario. Beside the thresholds there is a case for whether the measurements are valid, and,
//! where that says something that no other case does, one for the run itself: a run that a CI job fails on
//! never looks as if all had passed.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::against::Against;
use super::result::{RunResult, ThresholdResult};

/// The report of a run.
pub fn junit(result: &RunResult) -> String {
    report(result, None)
}

/// The same with a case for how the run stands to its baseline.
pub fn junit_against(result: &RunResult, against: &Against) -> String {
    report(result, Some(against))
}

fn report(result: &RunResult, against: Option<&Against>) -> String {
    let name = result.scenario.name.as_str();
    let time = Duration::try_from_secs_f64(result.run.duration_s).unwrap_or_default();
    let mut suite = TestSuite::new(name);
    suite.set_time(time);
    for (key, value) in [
        ("seed", result.run.seed.to_string()),
        ("target", result.run.target.clone()),
        ("clock", result.run.clock.clone()),
        ("start", result.run.start.clone()),
        ("verdict", result.run.verdict.clone()),
        ("exit", result.run.exit.to_string()),
        ("scenario_hash", result.scenario.hash.clone()),
        ("version", result.tool.version.clone()),
    ] {
        suite.add_property((key, value.as_str()));
    }
    let cases = std::iter::once(measurements(result))
        .chain(result.thresholds.iter().map(|threshold| (threshold.expect.clone(), status(threshold))));
    let mut all_well = true;
    for (case, status) in cases {
        all_well &= !matches!(status, TestCaseStatus::NonSuccess { .. });
        suite.add_test_case(test_case(&case, status, name));
    }
    if let Some(status) = whole(result, all_well) {
        suite.add_test_case(test_case("the run", status, name));
    }
    if let Some(against) = against {
        let status = match against.passed {
            Some(true) => TestCaseStatus::success(),
            Some(false) => failure(&against.words, "baseline"),
            None => error(&against.words, "baseline"),
        };
        suite.add_test_case(test_case("no regression", status, name));
    }
    let mut report = Report::new("fleetsim");
    report.set_time(time).add_test_suite(suite);
    report.to_string().expect("plain texts without characters that XML forbids are written into memory")
}

fn test_case(name: &str, status: TestCaseStatus, scenario: &str) -> TestCase {
    let mut case = TestCase::new(name, status);
    // A time is not what a threshold has; some readers want one all the same.
    case.set_classname(scenario).set_time(Duration::ZERO);
    case
}

fn measurements(result: &RunResult) -> (String, TestCaseStatus) {
    let status = if result.generator.valid {
        TestCaseStatus::success()
    } else {
        failure(&result.generator.reasons.join("; "), "void")
    };
    ("measurements valid".to_owned(), status)
}

fn status(threshold: &ThresholdResult) -> TestCaseStatus {
    match threshold.passed {
        Some(true) => TestCaseStatus::success(),
        Some(false) if threshold.info => {
            skipped(&format!("{}; only reported (`info`), not judged", observed(threshold)))
        }
        Some(false) => failure(&observed(threshold), "threshold"),
        None => skipped(&format!("not judged; {}", threshold.shown)),
    }
}

fn observed(threshold: &ThresholdResult) -> String {
    match &threshold.margin {
        Some(margin) => format!("{}, {margin}", threshold.shown),
        None => threshold.shown.clone(),
    }
}

/// What only the run as a whole says.
fn whole(result: &RunResult, all_well: bool) -> Option<TestCaseStatus> {
    if let Some(problem) = &result.run.problem {
        return Some(error(problem, "run"));
    }
    match result.run.verdict.as_str() {
        "STOPPED" => Some(error("stopped by the user; thresholds are not judged", "stopped")),
        "ERROR" if all_well => Some(error(&format!("exit {}", result.run.exit), "run")),
        "ABORTED" if all_well => {
            let reasons: Vec<_> =
                result.rollouts.values().filter_map(|rollout| rollout.reason.as_deref()).collect();
            Some(failure(&reasons.join("; "), "rollout"))
        }
        "FAILED" | "VOID" if all_well => {
            let answer = result.capacity.as_ref().and_then(|capacity| capacity.answer.as_ref());
            Some(failure(answer.map_or("failed", |answer| &answer.sentence), "capacity"))
        }
        _ => None,
    }
}

fn failure(message: &str, kind: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message).set_type(kind);
    status
}

fn error(message: &str, kind: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_message(message).set_type(kind);
    status
}

fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::report::{run_result, sample};

    #[test]
    fn thresholds_are_cases_and_the_suite_is_the_scenario() {
        insta::assert_snapshot!(junit(&run_result(&sample::report(sample::done(), Exit::Thresholds))));
    }

    #[test]
    fn a_run_that_ends_badly_never_looks_as_if_all_had_passed() {
        for (exit, problem) in [
            (Exit::Thresholds, None),
            (Exit::Stopped, None),
            (Exit::RolloutAborted, None),
            (Exit::Void, None),
            (Exit::Unavailable, Some("nobody listens".to_owned())),
            (Exit::Software, Some("a bug".to_owned())),
            (Exit::CantCreate, None),
        ] {
            let mut result = run_result(&sample::report(sample::connecting(), exit));
            result.thresholds.iter_mut().for_each(|threshold| threshold.passed = Some(true));
            result.run.problem = problem;
            let text = junit(&result);
            assert!(text.contains("<failure") || text.contains("<error"), "{exit}: {text}");
        }
    }

    #[test]
    fn a_regression_is_a_case_that_fails() {
        let result = run_result(&sample::report(sample::done(), Exit::Ok));
        for (passed, mark) in [(Some(true), "/>"), (Some(false), "<failure"), (None, "<error")] {
            let against = Against { passed, words: "p99 is slower".to_owned(), text: String::new() };
            let text = junit_against(&result, &against);
            let case = text.split_once("name=\"no regression\"").unwrap().1;
            assert!(
                case.contains(mark) && case.contains("p99 is slower") == (passed != Some(true)),
                "{case}"
            );
        }
    }

    #[test]
    fn text_from_outside_is_text() {
        let mut result = run_result(&sample::report(sample::connecting(), Exit::Unavailable));
        result.run.problem = Some("said <b>\"&\u{1b}[31m\u{0}]]></b>".to_owned());
        let text = junit(&result);
        assert!(text.contains("said &lt;b&gt;&quot;&amp;"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}
