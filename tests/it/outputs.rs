//! The files that a run leaves behind: what is in them, and that they are there however it ended.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use fleetsim::exit::Exit;
use fleetsim::report::{self, Metrics, RunResult};
use fleetsim::run::{self, Hooks, Injection, Options};
use fleetsim::scenario::{self, Variables};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use crate::ONE_AT_A_TIME;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fleetsim");

/// Every file of `--out-dir`.
const FILES: [&str; 7] = [
    "junit.xml",
    "latency.hlog",
    "metrics.prom",
    "report.html",
    "result.json",
    "scenario.resolved.yaml",
    "summary.md",
];

fn small(duration: &str) -> String {
    format!(
        "version: 1\nname: small\nseed: 3\nvalidity: {{ max_lag: 20s }}\ngroups: {{ g: {{ count: 10, behavior: {{ delay: \
         10ms }} }} }}\nworkloads:\n  w:\n    command: {{ name: c, timeout: 20s }}\n    load: {{ arrival_rate: {{ stages: [{{ \
         rate: 20/s, duration: {duration} }}] }} }}\nthresholds: [{{ expect: p99(latency) < 10s }}, {{ expect: rate(succeeded) >= 1% }}]\n"
    )
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env("NO_COLOR", "1");
    for variable in ["GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"] {
        command.env_remove(variable);
    }
    command
}

fn fleetsim(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The result in a folder of outputs, once all of them are there and say the same verdict.
fn complete(out: &Path, verdict: &str) -> RunResult {
    assert_eq!(names(out), FILES, "all outputs and no part of one");
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    let result: RunResult = serde_json::from_str(&read("result.json")).unwrap();
    assert_eq!(result.run.verdict, verdict);
    assert!(read("summary.md").contains(&format!(": {verdict}\n")), "{}", read("summary.md"));
    let junit = read("junit.xml");
    assert_eq!(junit.contains("<failure") || junit.contains("<error"), verdict != "PASSED", "{junit}");
    assert!(
        read("metrics.prom")
            .contains(&format!("fleetsim_verdict{{scenario=\"small\",verdict=\"{verdict}\"}} 1"))
    );
    assert!(read("latency.hlog").starts_with("#[Histogram log format version 1.2]"));
    assert!(read("scenario.resolved.yaml").contains("name: small"));
    result
}

#[test]
fn a_run_leaves_all_its_outputs_and_report_makes_them_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("12s"));
    let out = folder.path().join("deep/out");
    let output = fleetsim(&["run", &path, "--virtual-time", "-q", "--out-dir", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("result.json"), "it says what it wrote");
    let result = complete(&out, "PASSED");

    // Again, from the result.
    let again = folder.path().join("again");
    let source = out.join("result.json");
    let output = fleetsim(&["report", source.to_str().unwrap(), "--out-dir", again.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for name in FILES {
        assert_eq!(fs::read(out.join(name)).unwrap(), fs::read(again.join(name)).unwrap(), "{name}");
    }
    let shown = fleetsim(&["report", source.to_str().unwrap()]);
    assert_eq!(text(&shown.stdout), fs::read_to_string(out.join("summary.md")).unwrap());

    // The resolved scenario is one, and repeats the run.
    let resolved = out.join("scenario.resolved.yaml");
    let checked = fleetsim(&["check", resolved.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    let output = fleetsim(&["run", resolved.to_str().unwrap(), "--virtual-time", "-q", "--json", "-"]);
    let repeated: RunResult = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&repeated.scenario.hash, repeated.run.seed), (&result.scenario.hash, 3));
    assert_eq!((repeated.totals, repeated.spans), (result.totals, result.spans));
}

#[test]
fn a_resolved_scenario_passes_check_wherever_its_files_lie() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    file(folder.path(), "data/times.csv", "took\n3.5\n7\n");
    file(folder.path(), "data/payload.json", "{\"a\": \"${not a variable}\"}");
    let scenario = small("1s")
        .replace("delay: 10ms", "delay: { empirical: { file: data/times.csv, unit: ms } }")
        .replace("timeout: 20s", "timeout: 20s, payload_file: data/payload.json");
    let path = file(folder.path(), "small.yaml", &scenario);
    let out = folder.path().join("out");
    let output = fleetsim(&["run", &path, "--virtual-time", "-q", "--out-dir", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let checked = fleetsim(&["check", out.join("scenario.resolved.yaml").to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn every_shipped_scenario_is_the_same_once_it_was_resolved() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for entry in fs::read_dir(&shipped).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let loaded = scenario::load(&path, &Variables::default()).unwrap();
        let written = scenario::yaml_text(&loaded.resolved());
        let (variables, overrides) = (Variables::default(), scenario::Overrides::default());
        let files = scenario::Folder::of(&path);
        let again = scenario::parse_in("resolved.yaml", &written, &variables, &overrides, &files);
        match again {
            Ok(again) => assert_eq!(again.resolved(), loaded.resolved(), "{}", path.display()),
            Err(problems) => panic!("{}: {}\n{written}", path.display(), problems.render(false)),
        }
    }
}

#[test]
fn several_scenarios_and_several_runs_have_outputs_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let one = file(folder.path(), "one.yaml", &small("1s"));
    let other = file(folder.path(), "other.yaml", &small("1s").replace("name: small", "name: other"));
    let out = folder.path().join("out");
    let arguments =
        ["run", &one, &other, "--virtual-time", "-q", "--repeat", "2", "--out-dir", out.to_str().unwrap()];
    let output = fleetsim(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let there = names(&out);
    assert_eq!(there.len(), 4 * FILES.len(), "{there:?}");
    for name in ["result.small.1.json", "result.other.2.json", "scenario.resolved.other.1.yaml"] {
        assert!(there.iter().any(|path| path == name), "{name}: {there:?}");
    }
}

#[test]
fn an_output_that_would_be_written_twice_is_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let one = file(folder.path(), "one.yaml", &small("1s"));
    let other = file(folder.path(), "other.yaml", &small("1s"));
    let (out, json) = (folder.path().join("out"), folder.path().join("result"));
    let (out, json) = (out.to_str().unwrap(), json.to_str().unwrap());
    for arguments in [&[&one, &other, "--out-dir", out][..], &[&one, "--json", json, "--md", json]] {
        let output = fleetsim(&[&["run", "--virtual-time", "-q"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("would be written twice"), "{}", text(&output.stderr));
    }
    assert!(!Path::new(json).exists());
}

#[test]
fn an_address_that_is_taken_is_found_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("1s"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--metrics", "--web"] {
        let output = fleetsim(&["run", &path, "--virtual-time", &format!("{flag}={address}")]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{said}");
        assert!(said.contains(&format!("cannot listen on {address} (`{flag}`)")), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "nothing has begun: {said}");
    }
}

#[test]
fn a_signal_while_the_last_figures_are_held_ends_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let one = file(folder.path(), "one.yaml", &small("1s"));
    let other = file(folder.path(), "other.yaml", &small("1s").replace("name: small", "name: other"));
    let mut child = command(&["run", &one, &other, "--virtual-time", "--metrics", "127.0.0.1:0"])
        .args(["--metrics-hold", "10m", "--tui", "off"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.contains("PASSED")), "the first run has its summary");
    let (rest, ended) = sync_channel(1);
    let reader = thread::spawn(move || rest.send(said.collect::<Vec<_>>()).unwrap());
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // The wait begins a moment after the summary: who is not heard asks again.
    let rest = loop {
        kill_process(pid, Signal::INT).unwrap();
        if let Ok(rest) = ended.recv_timeout(Duration::from_millis(200)) {
            break rest;
        }
    };
    reader.join().unwrap();
    assert!(!rest.iter().any(|line| line.contains("PASSED")), "{rest:?}");
    child.wait().unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(!errors.contains("other: 10 devices"), "{errors}");
}

#[test]
fn the_pages_of_ci_systems_say_how_a_run_stands_to_its_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("60s"));
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let base = fleetsim(&["run", &path, "--virtual-time", "-q", "--json", &at("base.json")]);
    assert_eq!(base.status.code(), Some(0), "{}", text(&base.stderr));
    let summary = file(folder.path(), "job.md", "");
    let output = command(&["run", &path, "--virtual-time", "-q", "--baseline", &at("base.json")])
        .args(["--out-dir", &at("out")])
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for page in [at("out/summary.md"), summary] {
        let page = fs::read_to_string(page).unwrap();
        assert!(page.contains("### ✅ Against the baseline: no regression"), "{page}");
    }
    let junit = fs::read_to_string(at("out/junit.xml")).unwrap();
    assert!(junit.contains("name=\"no regression\""), "{junit}");
}

#[test]
fn files_that_are_not_brought_along_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (below, out) = (folder.path().join("below"), folder.path().join("out"));
    fs::create_dir(&below).unwrap();
    fs::create_dir(&out).unwrap();
    for (folder, content) in [(folder.path(), "took\n3\n"), (&below, "took\n7\n"), (&out, "another")] {
        file(folder, "times.csv", content);
    }
    for (name, why) in [("times.csv", "another file has its name"), ("../times.csv", "it lies outside")] {
        let delay = format!("delay: {{ empirical: {{ file: {name}, unit: ms }} }}");
        let path = file(&below, "small.yaml", &small("1s").replace("delay: 10ms", &delay));
        let output = fleetsim(&["run", &path, "--virtual-time", "-q", "--out-dir", out.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(&format!("{name} is not beside scenario.resolved.yaml: {why}")), "{said}");
        assert_eq!(fs::read_to_string(out.join("times.csv")).unwrap(), "another");
    }
}

#[test]
fn one_output_can_go_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("1s"));
    for (flag, begin) in [
        ("--junit", "<?xml"),
        ("--md", "## "),
        ("--hdr", "#[Histogram"),
        ("--prom", "# HELP"),
        ("--json", "{"),
    ] {
        let output = fleetsim(&["run", &path, "--virtual-time", "-q", flag, "-"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with(begin), "{flag}: {}", text(&output.stdout));
        assert!(text(&output.stderr).contains("PASSED"), "the summary goes to standard error");
    }
    let output = fleetsim(&["run", &path, "--virtual-time", "--json", "-", "--tui", "on"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("cannot both have standard output"), "{}", text(&output.stderr));
    let output = fleetsim(&["run", &path, "--virtual-time", "--json", "-", "--md", "-"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).trim().lines().count(), 1, "{}", text(&output.stderr));
}

#[test]
fn an_output_with_nowhere_to_go_is_found_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("10m"));
    let in_the_way = file(folder.path(), "file", "");
    for (flag, place) in
        [("--out-dir", format!("{in_the_way}/out")), ("--junit", "/no/such/junit.xml".to_owned())]
    {
        let output = fleetsim(&["run", &path, flag, &place]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(73), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(said.contains("cannot write"), "{said}");
    }
    assert_eq!(names(folder.path()), ["file", "small.yaml"], "nothing ran");
}

#[test]
fn what_is_no_result_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = file(folder.path(), "small.yaml", &small("1s"));
    let newer = file(folder.path(), "newer.json", "{\"schema\": \"result.v2.schema.json\", \"version\": 2}");
    for (path, code) in [(scenario.as_str(), 65), (&newer, 65), ("no/such/result.json", 66)] {
        let output = fleetsim(&["report", path]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert!(said.contains(path), "{said}");
    }
}

#[test]
fn a_run_that_cannot_begin_leaves_all_its_outputs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = format!("target: {{ embedded: {{ mqtt: \"{}\" }} }}\n", taken.local_addr().unwrap());
    let path = file(folder.path(), "small.yaml", &(small("1s") + &target));
    let out = folder.path().join("out");
    let output = fleetsim(&["run", &path, "-q", "--out-dir", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(69), "{}", text(&output.stderr));
    let result = complete(&out, "ERROR");
    assert!(result.run.problem.unwrap().contains("cannot listen on"));
}

/// Runs until it is stopped by these signals, each once the run has said what stands before it.
fn killed(scenario: &str, signals: &[(&str, Signal)]) -> RunResult {
    let _guard = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", scenario);
    let out = folder.path().join("out");
    let mut child = command(&["run", &path, "--tui", "off", "--out-dir", out.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    for (word, signal) in signals {
        while !said.contains(word) {
            assert!(lines.read_line(&mut said).unwrap() > 0, "the run ended without \"{word}\":\n{said}");
        }
        kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), *signal).unwrap();
    }
    lines.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105), "{said}");
    complete(&out, "STOPPED")
}

#[test]
fn a_run_that_is_killed_leaves_all_its_outputs() {
    for signal in [Signal::INT, Signal::TERM] {
        let result = killed(&small("10m"), &[("load begins", signal)]);
        assert!(result.thresholds.iter().all(|threshold| threshold.passed.is_none()));
    }
    // Nothing answers within the grace period: only the second signal ends it this soon.
    let silent = small("10m").replace("delay: 10ms", "delay: 1h").replace("timeout: 20s", "timeout: 2h");
    let result = killed(&silent, &[("load begins", Signal::INT), ("stop requested", Signal::INT)]);
    assert!(result.run.duration_s < 25.0, "it did not wait for the grace period");
    // A fleet that never comes up.
    let slow = small("10m").replace("count: 10,", "count: 10, connect: { rate: 1/h },");
    killed(&slow, &[(" connect ", Signal::TERM)]);
}

#[test]
fn a_run_that_a_threshold_aborts_leaves_all_its_outputs() {
    let _guard = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("10m").replace("< 10s }", "< 1us, abort: true }"));
    let out = folder.path().join("out");
    let output = fleetsim(&["run", &path, "-q", "--out-dir", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(99), "{}{}", text(&output.stdout), text(&output.stderr));
    complete(&out, "FAILED");
}

#[test]
fn a_run_whose_generator_was_held_up_leaves_all_its_outputs() {
    let _guard = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("6s").replace("max_lag: 20s", "max_lag: 500ms"));
    let out = folder.path().join("out");
    let arguments = ["run", &path, "--tui", "off", "--out-dir", out.to_str().unwrap()];
    let mut child = command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("load begins") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "{said}");
    }
    // The whole process stands still for half of its load.
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    receiver.recv_timeout(Duration::from_secs(3)).ok();
    kill_process(process, Signal::CONT).unwrap();
    lines.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(98), "{said}");
    complete(&out, "VOID");
}

/// Where the panic comes, and the result that is left.
fn panicked(virtual_time: bool, injection: Injection) -> RunResult {
    let _guard = ONE_AT_A_TIME.lock();
    let scenario = scenario::parse("small.yaml", &small("6s").replace("20s", "4s"), &Variables::default());
    let mut options = Options::new(Arc::new(scenario.unwrap_or_else(|p| panic!("{}", p.render(false)))));
    (options.virtual_time, options.signals) = (virtual_time, false);
    options.hooks = Hooks { during_load: vec![(Duration::from_secs(3), injection)], ..Hooks::default() };
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    assert_eq!(report.exit, Exit::Software);
    let result = report::run_result(&report);
    assert_eq!(result.run.verdict, "ERROR");
    let problem = result.run.problem.clone().unwrap();
    assert!(report::markdown(&result).contains(": ERROR\n"));
    assert!(report::junit(&result).contains("<error"), "{problem}");
    assert!(Metrics::of_result(&result).text().contains("fleetsim_exit_code{scenario=\"small\"} 70.0\n"));
    assert!(report::latency_log(&result).starts_with('#'));
    assert!(report::resolved_scenario(&result).contains("name: small"));
    assert!(report::result_text(&result).contains("\"verdict\": \"ERROR\""));
    result
}

#[test]
fn a_bug_of_ours_takes_no_figures_with_it() {
    for virtual_time in [false, true] {
        let result =
            panicked(virtual_time, Injection::OnConductor(Box::new(|| panic!("injected by a test"))));
        let problem = result.run.problem.unwrap();
        assert!(problem.contains("injected by a test"), "{problem}");
        // Of virtual time there are pictures as real time goes: perhaps none since the begin.
        let known = result.totals.measured.due;
        assert!(known > 0 || virtual_time, "what was known is there: {:?}", result.totals.measured);
        panicked(virtual_time, Injection::OnShard(0, Box::new(|| panic!("injected by a test"))));
    }
    panicked(false, Injection::OnBackend(Box::new(|| panic!("injected by a test"))));
}

#[test]
fn github_gets_the_summary_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("1s"));
    let summary = file(folder.path(), "summary.md", "## before\n");
    let run = |summary: &str| {
        let mut command = command(&["run", &path, "--virtual-time", "-q"]);
        command.env("GITHUB_STEP_SUMMARY", summary).env("GITHUB_ACTIONS", "true").output().unwrap()
    };
    assert_eq!(run(&summary).status.code(), Some(0));
    let page = fs::read_to_string(&summary).unwrap();
    assert!(page.starts_with("## before\n## ✅ small: PASSED\n"), "{page}");
    let output = run("/no/such/folder/summary.md");
    assert_eq!(output.status.code(), Some(0), "a summary is not what a run fails on");
    assert!(text(&output.stderr).contains("warning: the job summary"), "{}", text(&output.stderr));
}

#[test]
fn the_schema_of_results_is_current_and_real_results_keep_to_it() {
    let printed = text(&fleetsim(&["schema", "result"]).stdout);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/result.v1.schema.json");
    assert_eq!(
        fs::read_to_string(kept).unwrap(),
        printed,
        "write it again: fleetsim schema result > scenarios/result.v1.schema.json"
    );
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let shipped = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    for (name, more) in [
        ("quickstart.yaml", &[][..]),
        ("flaky-firmware.yaml", &["--scale", "0.1", "--duration", "20s"]),
        ("firmware-rollout.yaml", &["--scale", "0.02"]),
        ("capacity.yaml", &["--scale", "0.02", "--set", "workloads.ping.load.capacity.hold=2s"]),
    ] {
        let path = shipped(name);
        let mut arguments = vec!["run", path.to_str().unwrap(), "--virtual-time", "-q", "--json", "-"];
        arguments.extend(more);
        let output = fleetsim(&arguments);
        let result: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{name}: {error}: {}", text(&output.stderr)));
        let wrong: BTreeSet<String> = validator
            .iter_errors(&result)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}
