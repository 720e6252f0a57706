//! The real binary: exit codes, the one clear line for each mistake, signals.

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fleetsim");

fn fleetsim(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env("NO_COLOR", "1").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// A scenario file of a few seconds in a folder of its own.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn small(duration: &str) -> String {
    format!(
        "version: 1\nname: small\nseed: 3\nvalidity: {{ max_lag: 20s }}\ngroups: {{ g: {{ count: 10, behavior: {{ delay: \
         10ms }} }} }}\nworkloads:\n  w:\n    command: {{ name: c, timeout: 20s }}\n    load: {{ arrival_rate: {{ stages: [{{ \
         rate: 20/s, duration: {duration} }}] }} }}\n"
    )
}

#[test]
fn several_mistakes_are_listed_at_once_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1\nname: Bad Name\ngroups:\n  g: { count: 0, behaviour: { delay: 5 } }\nworkloads:\n  w:\n    command: \
                { name: c, timeout: 2s }\n    load: { arrival_rate: { stages: [{ rate: 10/sec, duration: 5s }] } }\nthresholds:\n  \
                - expect: p99(latencee) < 1s\n";
    let path = file(folder.path(), "bad.yaml", text);
    let json = folder.path().join("out.json");
    let output = fleetsim(&["run", &path, "--json", json.to_str().unwrap()]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{said}");
    for place in [":2:7", ":4:15", ":4:18", ":8:46", ":10:17"] {
        assert!(said.contains(&format!("bad.yaml{place}")), "no mistake at {place}:\n{said}");
    }
    assert!(said.contains("did you mean `behavior`"), "{said}");
    assert!(!json.exists() && stdout(&output).is_empty(), "nothing was run");
}

#[test]
fn a_missing_scenario_is_one_clear_line() {
    let output = fleetsim(&["run", "no/such/file.yaml"]);
    assert_eq!(output.status.code(), Some(66));
    assert_eq!(stderr(&output).trim_end().lines().count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("no/such/file.yaml"));
}

/// Data files lie beside the scenario, wherever the program runs.
#[test]
fn a_data_file_is_found_beside_its_scenario_and_its_absence_has_a_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let text = small("1s").replace("delay: 10ms", "delay: { empirical: { file: times.csv, unit: ms } }");
    let scenario = file(folder.path(), "small.yaml", &text);
    let output = fleetsim(&["check", &scenario]);
    assert_eq!(output.status.code(), Some(66), "{}", stderr(&output));
    assert!(stderr(&output).contains("the file `times.csv` does not exist"), "{}", stderr(&output));
    file(folder.path(), "times.csv", "took\n3.5\n7\n");
    let output = fleetsim(&["check", &scenario]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn an_output_that_cannot_be_written_is_found_before_the_run() {
    let output = fleetsim(&[
        "run",
        shipped("quickstart.yaml").to_str().unwrap(),
        "--json",
        "/no/such/folder/out.json",
    ]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(73), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.contains("/no/such/folder"), "{said}");
}

#[test]
fn an_address_in_use_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{}target: {{ embedded: {{ mqtt: \"{address}\" }} }}\n", small("1s"));
    let output = fleetsim(&["run", "--quiet", &file(folder.path(), "taken.yaml", &text)]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(stdout(&output).is_empty(), "nothing was measured: {}", stdout(&output));
    assert!(said.contains(&format!("cannot listen on {address} (`target.embedded.mqtt`)")), "{said}");
    let output = fleetsim(&["backend", "--mqtt", &address.to_string(), "--http", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(69));
    assert_eq!(stderr(&output).trim_end().lines().count(), 1, "{}", stderr(&output));
}

#[test]
fn more_devices_than_descriptors_allow_are_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let text = small("1s").replace("count: 10", "count: 10000000");
    let output = fleetsim(&["run", "--quiet", &file(folder.path(), "many.yaml", &text)]);
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    assert!(stderr(&output).contains("ulimit -n 20000188"), "{}", stderr(&output));
}

#[test]
fn bad_flags_say_what_is_wrong() {
    for arguments in
        [&["run"][..], &["run", "x.yaml", "--grace", "5"], &["frobnicate"], &["check", "x.yaml", "--devices"]]
    {
        let output = fleetsim(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
    for (arguments, remedy) in [
        (&["check", "x.yaml", "--seed", "abc"][..], "e.g. 42"),
        (&["check", "x.yaml", "--scale", "-1"], "e.g. 0.1 or 10%"),
        (&["backend", "--mqtt", "foo"], "127.0.0.1:0 for a free one"),
    ] {
        let output = fleetsim(arguments);
        assert!(output.status.code() == Some(2) && stderr(&output).contains(remedy), "{}", stderr(&output));
    }
    // "never" is no consent to costs.
    for (variable, text) in [("FLEETSIM_VIRTUAL_TIME", "ja"), ("FLEETSIM_YES_AWS", "never")] {
        let strict = Command::new(PROGRAM).args(["run", "x.yaml"]).env(variable, text).output().unwrap();
        assert!(
            strict.status.code() == Some(2) && stderr(&strict).contains("on or off"),
            "{}",
            stderr(&strict)
        );
    }
    assert_eq!(fleetsim(&["--help"]).status.code(), Some(0));
    assert_eq!(fleetsim(&["--version"]).status.code(), Some(0));
}

#[test]
fn the_same_seed_prints_the_same_plan() {
    let path = shipped("fleet-5000.yaml");
    let plan = |seed: &str| stdout(&fleetsim(&["check", path.to_str().unwrap(), "--plan", "--seed", seed]));
    assert_eq!(plan("42"), plan("42"));
    assert_ne!(plan("42"), plan("43"));
}

#[test]
fn the_schema_beside_the_scenarios_is_current() {
    let printed = stdout(&fleetsim(&["schema"]));
    let kept = fs::read_to_string(shipped("scenario.schema.json")).unwrap();
    assert_eq!(kept, printed, "write it again: fleetsim schema > scenarios/scenario.schema.json");
}

#[test]
fn a_run_ends_with_its_summary_and_its_result() {
    let _guard = crate::ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("2s"));
    let output = fleetsim(&["run", &path, "--json", "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["version"], 1);
    assert_eq!(result["run"]["exit"], 0);
    assert_eq!(result["run"]["seed"], 3);
    assert!(stderr(&output).contains("PASSED"), "the summary moves to standard error: {}", stderr(&output));
}

/// Starts a long run and waits until its load has begun.
fn long_run(folder: &Path, text: &str) -> (Child, BufReader<std::process::ChildStderr>, PathBuf) {
    let path = file(folder, "long.yaml", text);
    let json = folder.join("result.json");
    let mut child = Command::new(PROGRAM)
        .args(["run", &path, "--tui", "off", "--json", json.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    wait_for(&mut lines, "load begins");
    (child, lines, json)
}

fn wait_for(lines: &mut impl BufRead, what: &str) {
    let mut said = String::new();
    while !said.contains(what) {
        assert!(lines.read_line(&mut said).unwrap() > 0, "the run ended without \"{what}\":\n{said}");
    }
}

fn result_of(json: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap()
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn one_signal_stops_drains_and_writes_everything() {
    let _guard = crate::ONE_AT_A_TIME.lock();
    for stop in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, mut lines, json) = long_run(folder.path(), &small("10m"));
        signal(&child, stop);
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(105), "{rest}");
        let result = result_of(&json);
        assert_eq!(result["run"]["exit"], 105);
        assert_eq!(result["run"]["stopped"], true);
    }
}

#[test]
fn a_second_signal_ends_at_once_and_still_writes_everything() {
    let _guard = crate::ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    // Nothing answers within the grace period, so only the second signal can end the run this soon.
    let silent = small("10m").replace("delay: 10ms", "delay: 1h").replace("timeout: 20s", "timeout: 2h");
    let (mut child, mut lines, json) = long_run(folder.path(), &silent);
    signal(&child, Signal::INT);
    wait_for(&mut lines, "stop requested");
    signal(&child, Signal::INT);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105), "{rest}");
    let result = result_of(&json);
    assert!(
        result["totals"]["measured"]["classes"]["unfinished"].as_u64().unwrap() > 0,
        "{}",
        result["totals"]
    );
    assert!(result["run"]["duration_s"].as_f64().unwrap() < 25.0, "it did not wait for the grace period");
}

#[test]
fn the_scenarios_in_the_readme_are_real() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let fences: Vec<&str> =
        readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!fences.is_empty());
    let parse = |text: &str| {
        let variables = fleetsim::scenario::Variables::default();
        fleetsim::scenario::parse("README.md", text, &variables)
            .unwrap_or_else(|p| panic!("{}", p.render(false)))
    };
    for fence in &fences {
        parse(fence);
    }
    let quickstart = fs::read_to_string(shipped("quickstart.yaml")).unwrap();
    assert_eq!(parse(fences[0]), parse(&quickstart), "the first is scenarios/quickstart.yaml");
}

#[test]
fn the_backend_says_when_it_is_ready_and_stops_at_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready.json");
    let mut child = Command::new(PROGRAM)
        .args([
            "backend",
            "--mqtt",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--ready-file",
            ready.to_str().unwrap(),
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut first).unwrap();
    let said: serde_json::Value = serde_json::from_str(&fs::read_to_string(&ready).unwrap()).unwrap();
    assert_eq!(said["pid"], child.id());
    for (key, scheme) in [("http", "http://"), ("mqtt", "mqtt://")] {
        let address = said[key].as_str().unwrap().strip_prefix(scheme).unwrap();
        std::net::TcpStream::connect(address).unwrap();
    }
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!ready.exists(), "nobody is to wait for a backend that is gone");
}

#[test]
fn flags_change_what_runs_and_the_result_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        file(folder.path(), "small.yaml", &small("10s").replace("count: 10", "count: \"${COUNT:-10}\""));
    let variables = file(folder.path(), "vars.env", "COUNT=40\n");
    let output = fleetsim(&[
        "run",
        &path,
        "--virtual-time",
        "-q",
        "--json",
        "-",
        "--env-file",
        &variables,
        "--scale",
        "0.5",
        "--duration",
        "2s",
        "--set",
        "groups.g.behavior.delay=20ms",
        "-e",
        "UNUSED=1",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ran = &result["scenario"]["resolved"];
    assert_eq!(ran["groups"]["g"]["count"], 20);
    assert_eq!(ran["groups"]["g"]["behavior"]["delay"], "20ms");
    assert_eq!(ran["workloads"]["w"]["load"]["arrival_rate"]["stages"][0]["rate"], "10/s");
    assert_eq!(result["totals"]["planned"], 20);
    // The same by the environment.
    let again = Command::new(PROGRAM)
        .args(["run", &path])
        .envs([
            ("FLEETSIM_VIRTUAL_TIME", "1"),
            ("FLEETSIM_QUIET", "1"),
            ("FLEETSIM_JSON", "-"),
            ("FLEETSIM_ENV_FILE", &variables),
            ("FLEETSIM_SCALE", "0.5"),
            ("FLEETSIM_DURATION", "2s"),
            ("FLEETSIM_SET", "groups.g.behavior.delay=20ms"),
            ("FLEETSIM_SUMMARY", "none"),
        ])
        .output()
        .unwrap();
    let same: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(same["scenario"], result["scenario"]);
    assert_eq!(stderr(&again), "", "a quiet run without a summary says nothing");
}

#[test]
fn a_mistake_in_a_flag_is_shown_in_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("1s"));
    let output = fleetsim(&["check", &path, "--set", "groups.g.count=many"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("╭─[command line]") && said.contains("--set groups.g.count=many"), "{said}");
    // Flags that stand for a place in the document are shown as they are typed.
    for (flag, value, message) in [
        ("--pass", "p99(latancy) < 500ms", "unknown metric `latancy`"),
        ("--pass", "p99(latency) < 500", "it needs a unit"),
        ("--hold", "20", "it needs a unit"),
        ("--from", "5/sec", "try 5/s"),
        ("--step", "0.5", "a step of ×0.5"),
        ("--precision", "0.05", "did you mean 5%"),
    ] {
        let given = [("--from", "1/s"), ("--to", "8/s"), ("--pass", "rate(succeeded) >= 99%"), (flag, value)];
        let repeats = |own: &&(&str, &str)| flag == "--pass" || own.0 != flag || own.1 == value;
        let flags: Vec<&str> =
            given.iter().filter(repeats).flat_map(|(flag, value)| [*flag, *value]).collect();
        let output = fleetsim(&[&["capacity", &path][..], &flags].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(65), "{flag}: {said}");
        assert!(said.contains(&format!("1 │ {flag} {value}")) && said.contains(message), "{flag}: {said}");
        assert!(!said.contains("--set"), "{flag}: {said}");
    }
    let said = stderr(&fleetsim(&["check", &path, "--scale", "0.001"]));
    assert!(said.contains("help: `--scale 0.001` has multiplied counts and rates"), "{said}");
    let variable =
        file(folder.path(), "variable.yaml", &small("1s").replace("rate: 20/s", "rate: \"${RATE:-20/s}\""));
    let said = stderr(&fleetsim(&["check", &variable, "-e", "RATE=300"]));
    assert!(
        said.contains("\"300\" is not a rate") && said.contains("-e RATE=… gives another value"),
        "{said}"
    );
    assert!(said.contains("rate: \"${RATE:-20/s}\""), "the place in the file: {said}");
    let said = stderr(&fleetsim(&["check", &variable, "-e", "RAET=30/s"]));
    assert!(
        said.contains("warning: -e RAET: no scenario names ${RAET}") && said.contains("named are ${RATE}"),
        "{said}"
    );
    let output = fleetsim(&["check", &path, "-e", "NOT_THERE_AT_ALL"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_scenario_in_place_of_a_command_is_met_with_the_command() {
    for arguments in [&["quickstart.yaml"][..], &["--color", "never", "quickstart.yaml"]] {
        let output = fleetsim(arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("fleetsim run quickstart.yaml"), "{}", stderr(&output));
    }
    assert!(!stderr(&fleetsim(&["frobnicate"])).contains("fleetsim run"));
}

#[test]
fn check_speaks_to_programs_on_standard_output_only() {
    let folder = tempfile::tempdir().unwrap();
    let good = file(folder.path(), "good.yaml", &small("1s"));
    let bad = file(folder.path(), "bad.yaml", &small("1").replace("count: 10", "count: 0"));
    let output = fleetsim(&["check", &good, &bad, "--format", "json"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(65), ""));
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (list.as_array().unwrap().len(), &list[0]["path"], &list[0]["line"]),
        (2, &"groups.g.count".into(), &5.into())
    );
    let output = fleetsim(&["check", &bad, "--format", "github"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(65), ""));
    assert!(stdout(&output).starts_with(&format!("::error file={bad},line=5,col=")), "{}", stdout(&output));
    let output = fleetsim(&["check", &good, "--format", "json"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "[]\n"));
}

#[test]
fn init_writes_a_scenario_that_runs_and_nothing_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let init = |arguments: &[&str]| {
        Command::new(PROGRAM).arg("init").args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let output = init(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("fleetsim run quickstart.yaml"), "{}", stdout(&output));
    let written = folder.path().join("quickstart.yaml");
    fs::write(&written, "mine").unwrap();
    let output = init(&["quickstart"]);
    assert_eq!(output.status.code(), Some(73), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&written).unwrap(), "mine");
    let output = init(&["capacity"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = fleetsim(&["check", folder.path().join("capacity.yaml").to_str().unwrap()]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let output = init(&["ci", "-o", "-"]);
    let path = file(folder.path(), "ci.yaml", &stdout(&output));
    let run = fleetsim(&["run", &path, "--virtual-time", "-q"]);
    assert_eq!(run.status.code(), Some(0), "{}{}", stdout(&run), stderr(&run));
}

#[test]
fn colour_and_screen_follow_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "bad.yaml", &small("1"));
    let coloured = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["check", &path]).args(arguments).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        stderr(&output).contains('\x1b')
    };
    assert!(!coloured(&[], &[]), "a pipe takes no colour");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[]));
    assert!(coloured(&[("NO_COLOR", "1")], &["--color", "always"]), "a flag goes before the environment");
    assert!(coloured(&[("FLEETSIM_COLOR", "always")], &[]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1")], &["--color", "never"]));
    assert!(!coloured(&[("TERM", "dumb")], &[]));
}

#[test]
fn results_go_to_standard_output_and_progress_to_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("2s"));
    let output = fleetsim(&["run", &path, "--virtual-time"]);
    assert!(
        stdout(&output).contains("PASSED") && !stdout(&output).contains("load begins"),
        "{}",
        stdout(&output)
    );
    assert!(
        stderr(&output).contains("load begins") && !stderr(&output).contains("PASSED"),
        "{}",
        stderr(&output)
    );
    let output = fleetsim(&["run", &path, "--virtual-time", "-q", "--summary", "none"]);
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("", ""));
    let full = stdout(&fleetsim(&["run", &path, "--virtual-time", "-q", "--summary", "full"]));
    assert!(full.contains("SPANS") && full.contains("delivery"), "{full}");
}

#[test]
fn the_readme_lists_the_exit_codes_of_the_program() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut codes = fleetsim::exit::Exit::ALL;
    codes.sort_by_key(|exit| exit.code());
    let rows: Vec<String> =
        codes.iter().map(|exit| format!("| {} | {} |\n", exit.code(), exit.meaning())).collect();
    let table = rows.concat();
    assert!(readme.contains(&table), "the table in README.md should be:\n\n{table}");
}

#[test]
fn the_plan_says_how_busy_and_how_long() {
    let folder = tempfile::tempdir().unwrap();
    let busy = small("10s").replace("delay: 10ms", "delay: 250ms")
        + "thresholds: [{ expect: p99(latency) < 100ms }]\n";
    let output = fleetsim(&["check", &file(folder.path(), "busy.yaml", &busy), "--plan"]);
    let (said, doubts) = (stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(0), "{doubts}");
    for line in [
        "stage: 20/s for 10.00s (poisson), 200 starts",
        "at the peak 20/s, each busy for 250.0ms on average: 50.0% of the devices",
        "expected in flight at the peak: about 5",
        "expected run time: about 10.2",
    ] {
        assert!(said.contains(line), "no \"{line}\" in:\n{said}");
    }
    assert!(doubts.contains("`p99(latency) < 100ms` cannot hold"), "{doubts}");
}

/// Where feedback decides, the plan says what is known, and never that nothing is planned.
#[test]
fn the_plan_lists_the_timeline_and_what_is_known_of_feedback() {
    let folder = tempfile::tempdir().unwrap();
    let load = |load: &str| {
        let text =
            small("10s").replace("{ arrival_rate: { stages: [{ rate: 20/s, duration: 10s }] } }", load);
        let timeline = "timeline:\n  - { at: 5s, do: silence, for: 1s, share: 50% }\n  - { at: 2s, do: backend_stall, for: 500ms }\n";
        let path = file(folder.path(), "load.yaml", &(text + timeline));
        let output = fleetsim(&["check", &path, "--plan", "--seed", "1"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    let closed = load("{ concurrency: { stages: [{ in_flight: 7, duration: 10s }] } }");
    for line in [
        "ok, 10 devices, as many executions as come back, at most 7 in flight, load of 10.00s",
        "workload w  as many executions as come back, at most 7 in flight",
        "timeline 2.00s  backend_stall for 500.0ms, until 2.50s\n  timeline 5.00s  silence of ",
        "(connect as fast as the target answers, load 10.00s",
    ] {
        assert!(closed.contains(line), "no \"{line}\" in:\n{closed}");
    }
    let rollout = load("{ rollout: { base_rate: 2/s, retry: { failed: 1 } } }");
    assert!(rollout.contains("ok, 10 devices, at most 10 executions plus retries\n"), "{rollout}");
    let search = load("{ capacity: { from: 1/s, to: 8/s, pass: [p99(latency) < 1s] } }");
    assert!(
        search.contains("ok, 10 devices, as many executions as a search from 1/s to 8/s takes\n"),
        "{search}"
    );
}

#[test]
fn runs_are_repeated_compared_and_held_against_a_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "small.yaml", &small("60s"));
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| fleetsim(&[&["run", &path, "--virtual-time", "-q"], arguments].concat());
    let output = run(&["--repeat", "3", "--json", &at("base.json")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("SPREAD        3 runs of small"), "{}", stdout(&output));
    let base = ["base.1.json", "base.2.json", "base.3.json"].map(at);
    run(&["--json", &at("slow.json"), "--set", "groups.g.behavior.delay=30ms"]);
    let slow = at("slow.json");
    for (arguments, code, said) in [
        (vec!["compare", &base[0], "--", &base[1]], 0, "no regression"),
        (vec!["compare", &base[0], &base[1], &base[2], "--", &base[0], &base[1], &base[2]], 0, "whole runs"),
        (vec!["compare", &base[0], &slow], 65, "different scenarios"),
        (vec!["compare", &base[0], "--", &slow, "--force"], 97, "REGRESSED"),
        (vec!["compare", &base[0], "--", &slow, "--force", "--max-regression", "p99=900%"], 0, "slower"),
        (vec!["compare", &base[0], &at("none.json")], 66, "none.json"),
        (vec!["compare", &base[0], &path], 65, "no result of fleetsim run"),
        (vec!["compare", &base[0]], 2, "behind --"),
    ] {
        let output = fleetsim(&arguments);
        let all = stdout(&output) + &stderr(&output);
        assert_eq!((output.status.code(), all.contains(said)), (Some(code), true), "{arguments:?}: {all}");
    }
    let output = run(&["--baseline", &base[0], "--summary", "none"]);
    assert_eq!((output.status.code(), stdout(&output).contains("no regression")), (Some(0), true));
    for arguments in [&["--set", "groups.g.count=9"][..], &["--duration", "30s"]] {
        let output = run(&[&["--baseline", &base[0]], arguments].concat());
        assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
        assert!(
            stdout(&output).is_empty() && stderr(&output).contains("of another scenario"),
            "{}",
            stderr(&output)
        );
    }
}
