//! Runs on simulated time: they repeat to the last byte, hold under chaos, and time out to the millisecond.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use fleetsim::backend::{self, Hooks, Listeners};
use fleetsim::clock::{Clock, Instant};
use fleetsim::protocol::{CommandPayload, CreateCommandRequest, StartCommandExecutionRequest};
use fleetsim::report;
use fleetsim::transport::Listener;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::chaos;
use crate::host::config;

/// Seeds in a run of the tests; `FLEETSIM_SEEDS` asks for more, `FLEETSIM_FIRST_SEED` for others.
const SEEDS: u64 = 150;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// A result without the one part that real time decides.
fn repeatable(json: &str) -> String {
    let mut result: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(result["run"]["clock"], "virtual");
    let wall_clock = result["run"].as_object_mut().unwrap().shift_remove("wall_clock");
    assert!(wall_clock.is_some_and(|real| real["duration_s"].as_f64() > Some(0.0)));
    format!("{result:#}")
}

#[test]
fn the_same_seed_gives_the_same_result_byte_for_byte() {
    let scenario = chaos::scenario();
    let result = |seed| repeatable(&report::result_json(&chaos::run_virtually(&scenario, seed).report));
    let first = result(7);
    assert!(first == result(7), "seed 7 gave two results in one process");
    assert!(first != result(8), "another seed, another run");
}

/// Each process has hash maps of its own order.
#[test]
fn the_same_seed_gives_the_same_result_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("chaos.yaml");
    fs::write(&scenario, chaos::SCENARIO).unwrap();
    let results = ["one.json", "other.json"].map(|name| {
        let path = folder.path().join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
            .args([
                "run",
                "--virtual-time",
                "--seed",
                "7",
                "--shards",
                if name == "one.json" { "1" } else { "3" },
            ])
            .arg(&scenario)
            .arg("--json")
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("clock virtual: latencies are the configured delays"), "{said}");
        repeatable(&fs::read_to_string(path).unwrap())
    });
    assert!(results[0] == results[1], "seed 7 gave two results in two processes");
}

#[test]
fn whatever_the_seed_nothing_is_lost_and_both_sides_agree() {
    let scenario = chaos::scenario();
    let first = number("FLEETSIM_FIRST_SEED", 1);
    for seed in first..first + number("FLEETSIM_SEEDS", SEEDS) {
        if let Some(failure) = chaos::failure(&scenario, seed) {
            panic!("{failure}\nrepeat with FLEETSIM_FIRST_SEED={seed} FLEETSIM_SEEDS=1");
        }
    }
}

/// Nobody could wait for the end of this run, in whichever time.
#[test]
fn a_signal_stops_virtual_time_as_it_stops_real_time() {
    let folder = tempfile::tempdir().unwrap();
    let (scenario, json) = (folder.path().join("years.yaml"), folder.path().join("out.json"));
    let text = "version: 1\nname: years\nseed: 3\ngroups: { g: { count: 10, behavior: { delay: 10ms } } }\nworkloads:\n  w:\n    \
                command: { name: c, timeout: 20s }\n    load: { arrival_rate: { stages: [{ rate: 50/s, duration: 366d }] } }\n";
    fs::write(&scenario, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
        .args(["run", "--virtual-time", "--tui", "off", "--json"])
        .args([&json, &scenario])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("load begins") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "the run ended before its load:\n{said}");
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    lines.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(105), "{said}");
    let result: serde_json::Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!((&result["run"]["stopped"], &result["run"]["clock"]), (&true.into(), &"virtual".into()));
    assert_eq!(result["totals"]["measured"]["classes"]["unfinished"], 0, "what was open was waited for");
}

#[test]
fn what_cannot_be_virtual_is_refused_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let quickstart = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/quickstart.yaml");
    let text = fs::read_to_string(quickstart).unwrap();
    let path = folder.path().join("fixed.yaml");
    fs::write(&path, format!("{text}\ntarget: {{ embedded: {{ http: \"127.0.0.1:8080\" }} }}\n")).unwrap();
    for (arguments, code, remedy) in [
        (vec!["run", "--virtual-time", path.to_str().unwrap()], 65, "leave the address out"),
        (vec!["backend", "--virtual-time"], 2, "give it to `fleetsim run`"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_fleetsim")).args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(remedy), "{arguments:?}: {said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_time_outs_of_one_second_each_fire_in_their_own_millisecond() {
    const PER_MS: u64 = 100;
    const TIMEOUT_S: i64 = 30;
    let clock = Clock::start_virtual();
    let fired: Arc<Mutex<Vec<(Instant, Instant)>>> = Arc::default();
    let heard = Arc::clone(&fired);
    let on_time_out = move |deadline, now| heard.lock().push((deadline, now));
    let config = config(clock, Hooks { on_time_out: Some(Box::new(on_time_out)), ..Hooks::default() });
    let run = async {
        let stop = CancellationToken::new();
        let listeners = Listeners { mqtt: Listener::memory(), http: Listener::memory() };
        let backend = backend::start_local(listeners, config, stop.clone()).unwrap();
        let payload =
            CommandPayload { content: b"{}".to_vec(), content_type: Some("application/json".to_owned()) };
        let command = CreateCommandRequest { payload: Some(payload), ..CreateCommandRequest::default() };
        backend.handle.create_command("c", command).unwrap();
        for ms in 0..1000 {
            clock.sleep_until(Instant::from_micros(ms * 1000)).await;
            for n in 0..PER_MS {
                let start = StartCommandExecutionRequest {
                    target_arn: format!("arn:aws:iot:us-east-1:123456789012:thing/d{}", ms * PER_MS + n),
                    command_arn: "arn:aws:iot:us-east-1:123456789012:command/c".to_owned(),
                    parameters: None,
                    execution_timeout_seconds: Some(TIMEOUT_S),
                    client_token: None,
                };
                backend.handle.start_command_execution(&start).unwrap();
            }
        }
        clock.sleep_until(Instant::from_micros(40_000_000)).await;
        stop.cancel();
        backend.ended().await.unwrap();
    };
    LocalSet::new().run_until(run).await;
    let fired = fired.lock();
    assert_eq!(fired.len(), 100_000);
    let begin_us = u64::try_from(TIMEOUT_S).unwrap() * 1_000_000;
    for (n, (deadline, now)) in fired.iter().enumerate() {
        assert_eq!(deadline.micros(), begin_us + n as u64 / PER_MS * 1000, "in order, each as it was armed");
        assert_eq!(now, deadline, "a deadline on a millisecond fires in it");
    }
}
