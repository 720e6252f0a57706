//! Capacity searches in virtual time: a planted limit is found, and without one the answer is honest.

use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;

use fleetsim::exit::Exit;
use fleetsim::report::{self, RunReport};
use fleetsim::scenario::{Variables, parse, warnings};
use fleetsim::stats::{CapacityProgress, StepOutcome};

use crate::chaos;

/// A search over 200 devices that answer within 40 ms, up to `to`, at an API with these faults.
fn search(faults: &str, (from, to): (&str, &str), seed: u64) -> RunReport {
    let text = format!(
        "version: 1\nname: search\ntarget: {{ embedded: {{ faults: {faults} }} }}\n\
         groups: {{ g: {{ count: 200, behavior: {{ delay: 20ms..40ms }} }} }}\n\
         workloads:\n  w:\n    command: {{ name: c, timeout: 2s }}\n    load:\n      capacity:\n        \
         from: {from}\n        to: {to}\n        spacing: even\n        \
         pass: [\"p99(latency) < 500ms\", \"rate(succeeded) >= 99.9%\"]\n"
    );
    let scenario = parse("search.yaml", &text, &Variables::default()).unwrap_or_else(|p| panic!("{p}"));
    assert_eq!(warnings(&scenario), Vec::<String>::new());
    let report = chaos::run_virtually(&Arc::new(scenario), seed).report;
    assert!(report.problem.is_none(), "{:?}", report.problem);
    report::totals_add_up(&report.snapshot).unwrap();
    report
}

fn progress(report: &RunReport) -> &CapacityProgress {
    report.snapshot.capacity.as_ref().unwrap()
}

#[test]
fn a_planted_limit_is_found_within_five_percent_three_times_out_of_three() {
    for (limit, seed) in [(23.0, 1), (37.0, 2), (60.0, 3)] {
        let report = search(&format!("{{ start: {{ rate: {limit}/s }} }}"), ("10/s", "2000/s"), seed);
        let answer = progress(&report).answer.as_ref().unwrap();
        let holds = answer.holds.unwrap();
        assert!((holds / limit - 1.0).abs() <= 0.05, "seed {seed}: {holds} of {limit}: {}", answer.sentence);
        assert!(
            answer.sentence.contains("next limit: starts refused with ThrottlingException"),
            "{}",
            answer.sentence
        );
        assert_eq!(report.exit, Exit::Ok, "{}", answer.sentence);
    }
}

#[test]
fn a_step_is_judged_on_exactly_its_own_executions() {
    let report = search("{ start: { rate: 60/s } }", ("10/s", "2000/s"), 2);
    let mut due = 0;
    for step in &progress(&report).steps {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let planned = (step.rate * 20.0).round() as u64;
        assert_eq!(step.due, planned, "step {}", step.number);
        assert!(step.latency_us_p99.is_some_and(|us| us < 100_000), "{step:?}");
        assert!(step.limits.len() == 2 && (step.outcome == StepOutcome::Passed) == step.limits[1].held);
        due += step.due;
    }
    assert_eq!(report.snapshot.totals.measured(None, None).due, due, "and none is left over");
    let text = report::console(&report, report::Style::Plain, 110);
    assert!(text.contains("CAPACITY      holds "), "{text}");
    assert!(text.contains("✗ rate(succeeded) >= 99.9% broke: 9"), "{text}");
    let result = report::run_result(&report).capacity.unwrap();
    assert_eq!(result.steps.len(), progress(&report).steps.len());
}

#[test]
fn without_a_limit_the_answer_is_that_all_of_it_holds() {
    let report = search("{}", ("10/s", "70/s"), 4);
    let answer = progress(&report).answer.as_ref().unwrap();
    assert_eq!(
        answer.sentence,
        "holds all that was asked, up to 70/s, at p99(latency) < 500ms, rate(succeeded) >= 99.9%"
    );
    assert_eq!((answer.holds, answer.broke_at, report.exit), (Some(70.0), None, Exit::Ok));
}

#[test]
fn a_target_that_does_not_hold_the_lowest_rate_fails() {
    let report = search("{ start: { latency: 600ms } }", ("10/s", "70/s"), 5);
    let answer = progress(&report).answer.as_ref().unwrap();
    assert_eq!((answer.holds, answer.broke_at), (None, Some(10.0)));
    assert!(
        answer.sentence.starts_with("does not hold the lowest rate: at 10/s p99(latency) < 500ms broke: 6"),
        "{}",
        answer.sentence
    );
    assert!(answer.sentence.contains("; limit: start p99 60"), "{}", answer.sentence);
    assert_eq!(report.exit, Exit::Thresholds);
}

#[test]
fn a_search_repeats_to_the_last_byte() {
    let result = || {
        let report = search("{ start: { rate: 40/s, latency: 1ms..30ms } }", ("10/s", "200/s"), 6);
        let mut json: serde_json::Value = serde_json::from_str(&report::result_json(&report)).unwrap();
        json["run"].as_object_mut().unwrap().shift_remove("wall_clock");
        json.to_string()
    };
    assert!(result() == result());
}

/// A scenario with another load, thresholds and a limit of 40 starts a second.
const OTHER: &str = "version: 1\nname: other\ntarget: { embedded: { faults: { start: { rate: 40/s } } } }\n\
    groups: { g: { count: 100, behavior: { delay: 20ms } } }\nworkloads:\n  w:\n    command: { name: c, timeout: 2s }\n    \
    load: { arrival_rate: { spacing: even, stages: [{ rate: 1/s, duration: 1s }] } }\n\
    thresholds: [{ expect: rate(succeeded) >= 100%, abort: true }]\n";

fn fleetsim(scenario: &str, arguments: &[&str]) -> (Output, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.yaml");
    fs::write(&path, scenario).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
        .args(["capacity", "--virtual-time", "--seed", "1", "-q"])
        .args(arguments)
        .arg(&path)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, said)
}

#[test]
fn the_command_searches_in_place_of_the_load_and_repeats_it() {
    let search = ["--from", "10/s", "--to", "100/s", "--pass", "rate(succeeded) >= 99.9%"];
    let (output, said) = fleetsim(OTHER, &[&search[..], &["--repeat", "2"]].concat());
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("CAPACITY      holds 4") || said.contains("CAPACITY      holds 39"), "{said}");
    assert!(said.contains("only reported"), "the thresholds of the file judge no step that broke: {said}");
    assert!(said.contains("capacity holds"), "the spread: {said}");
}

#[test]
fn what_the_command_lacks_it_says() {
    let (output, said) = fleetsim(OTHER, &["--from", "10/s"]);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--to, --pass is missing"), "{said}");
    let (output, said) = fleetsim(OTHER, &["--from", "10", "--to", "20/s", "--pass", "p99(latancy) < 1s"]);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("it needs a unit, e.g. 10/s") && said.contains("did you mean `latency`"), "{said}");
}
