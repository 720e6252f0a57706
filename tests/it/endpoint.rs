//! Runs against a backend that is not the run's own: everything over sockets, nothing known from within.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleetsim::backend::{self, Hooks, Listeners, Running};
use fleetsim::clock::Clock;
use fleetsim::exit::Exit;
use fleetsim::protocol::{ApiError, ErrorKind};
use fleetsim::report::{self, RunReport};
use fleetsim::run::{self, Injection, Options, Slice, delete_commands};
use fleetsim::scenario::{Scenario, Variables, parse};
use fleetsim::stats::{Class, Finding};
use fleetsim::transport::Listener;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ONE_AT_A_TIME;
use crate::host::config;

/// A backend as `fleetsim backend` starts it, on free ports.
pub(crate) struct Outside {
    running: Option<Running>,
    stop: CancellationToken,
}

impl Outside {
    pub(crate) fn start(hooks: Hooks) -> Self {
        let bind = || Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = config(Clock::start(), hooks);
        let stop = CancellationToken::new();
        let listeners = Listeners { mqtt: bind(), http: bind() };
        Self { running: Some(backend::start(listeners, config, stop.clone()).unwrap()), stop }
    }

    pub(crate) fn mqtt(&self) -> SocketAddr {
        self.running().mqtt.socket().unwrap()
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.running().http.socket().unwrap()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn scenario(&self, rest: &str) -> Arc<Scenario> {
        let Running { mqtt, http, .. } = self.running();
        scenario(&format!("{{ endpoint: {{ mqtt: \"mqtt://{mqtt}\", http: \"http://{http}\" }} }}"), rest)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            running.join().ok();
        }
    }
}

fn scenario(target: &str, rest: &str) -> Arc<Scenario> {
    let text =
        format!("version: 1\nname: outside\nseed: 7\nvalidity: {{ max_lag: 20s }}\ntarget: {target}\n{rest}");
    match parse("test.yaml", &text, &Variables::default()) {
        Ok(scenario) => Arc::new(scenario),
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

fn run(scenario: &Arc<Scenario>) -> RunReport {
    run_with(Options::new(Arc::clone(scenario)))
}

fn run_with(options: Options) -> RunReport {
    let _guard = ONE_AT_A_TIME.lock();
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    println!("{}", report::console(&report, report::Style::Plain, 120));
    report::totals_add_up(&report.snapshot).unwrap();
    report
}

/// Every kind of end, answers doubled and late.
const MIXED: &str = "
groups:
  fast: { count: 40, behavior: { delay: 10ms..50ms } }
  flaky:
    count: 40
    behavior:
      accept_delay: 5ms
      delay: 20ms..60ms
      outcomes: { failed: 20%, rejected: 10%, timed_out: 10%, no_answer: 10%, late: { share: 10%, by: 500ms } }
      duplicates: 20%
workloads:
  w:
    command: { name: mixed, timeout: 2s }
    load: { arrival_rate: { stages: [{ rate: 100/s, duration: 4s }] } }
thresholds:
  - expect: count(lost) == 0
";

#[test]
fn every_kind_of_end_settles_over_http_as_it_does_directly() {
    let outside = Outside::start(Hooks::default());
    let report = run(&outside.scenario(MIXED));
    assert_eq!(report.exit, Exit::Ok, "{:?}", report.problem);
    let counts = report.snapshot.totals.measured(None, None);
    assert_eq!(counts.due, 400);
    assert_eq!(counts.started, 400);
    for class in
        [Class::Succeeded, Class::Failed, Class::Rejected, Class::TimedOutDevice, Class::TimedOutCloud]
    {
        assert!(counts.class(class) > 0, "{class:?}");
    }
    assert_eq!(counts.unexplained(), 0);
    for (finding, some) in
        [(Finding::Late, true), (Finding::Unverified, false), (Finding::Contradicted, false)]
    {
        assert_eq!(counts.finding(finding).total() > 0, some, "{finding:?}");
    }
    assert_eq!(outside.running().handle.counters().started, 401, "and the probe's");
}

const SMALL: &str = "
groups: { g: { count: 20, behavior: { delay: 10ms..50ms } } }
driver: { timeout: 1s, retries: 3 }
workloads:
  w:
    command: { name: small, timeout: 1s }
    load: { arrival_rate: { spacing: even, stages: [{ rate: 50/s, duration: 4s }] } }
";

#[test]
fn a_run_is_not_the_one_before_though_seed_and_backend_are() {
    let outside = Outside::start(Hooks::default());
    for run_number in 1..=2 {
        let report = run(&outside.scenario(SMALL));
        assert_eq!(report.exit, Exit::Ok, "{:?}", report.problem);
        assert_eq!(report.snapshot.totals.measured(None, None).class(Class::Succeeded), 200);
        assert_eq!(outside.running().handle.counters().started, 201 * run_number, "executions of its own");
    }
}

#[test]
fn two_slices_are_one_fleet() {
    let outside = Outside::start(Hooks::default());
    let scenario = outside.scenario(SMALL);
    let reports = [1, 2].map(|number| {
        let slice = Slice::new(number, 2).unwrap();
        run_with(Options { slice, shards: Some(2), ..Options::new(Arc::clone(&scenario)) })
    });
    let succeeded = |report: &RunReport| report.snapshot.totals.measured(None, None).class(Class::Succeeded);
    for report in &reports {
        assert_eq!(report.exit, Exit::Ok, "{:?}", report.problem);
        assert_eq!(report.snapshot.groups[0].devices, 10);
        assert_eq!(report.snapshot.planned, succeeded(report));
    }
    assert_eq!(succeeded(&reports[0]) + succeeded(&reports[1]), 200);
}

#[test]
fn a_busy_service_is_asked_again_under_the_same_token_and_every_attempt_is_counted() {
    let mut asked = 0;
    let on_start = move || {
        asked += 1;
        (asked <= 30).then(|| ApiError::new(ErrorKind::Throttling, "slow down"))
    };
    let outside = Outside::start(Hooks { on_start: Some(Box::new(on_start)), ..Hooks::default() });
    let report = run_with(Options { probe: false, ..Options::new(outside.scenario(SMALL)) });
    assert_eq!(report.exit, Exit::Ok, "{:?}", report.problem);
    let totals = &report.snapshot.totals;
    assert_eq!(totals.measured(None, None).class(Class::Refused), 0);
    assert_eq!(totals.noted.get("starts refused and sent again"), Some(&30));
    assert_eq!(outside.running().handle.counters().started, 200);
}

#[test]
fn a_target_that_dies_in_mid_run_is_to_blame_and_the_measurement_stays_valid() {
    let outside = Outside::start(Hooks::default());
    let mut options = Options::new(outside.scenario(SMALL));
    let stop = outside.stop.clone();
    let death = Injection::OnShard(0, Box::new(move || stop.cancel()));
    options.hooks.during_load = vec![(Duration::from_secs(2), death)];
    let report = run_with(options);
    assert_eq!(report.exit, Exit::Thresholds, "{:?}", report.problem);
    assert!(report.verdict.validity.valid, "{:?}", report.verdict.validity);
    let counts = report.snapshot.totals.measured(None, None);
    assert_eq!((counts.due, counts.class(Class::Unsent)), (200, 0));
    assert!(counts.class(Class::Succeeded) > 0);
    assert!(counts.refused.get("Unreachable").is_some_and(|refused| *refused > 50), "{:?}", counts.refused);
}

#[test]
fn a_target_that_is_not_there_or_elsewhere_is_one_line_before_the_first_connect() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outside = Outside::start(Hooks::default());
    let Running { mqtt, http, .. } = outside.running();
    for (target, parts) in [
        (
            format!("{{ endpoint: {{ mqtt: \"mqtt://{nobody}\", http: \"http://{http}\" }} }}"),
            ["nobody answers", "`target.endpoint.mqtt`", "start the backend"],
        ),
        (
            format!(
                "{{ endpoint: {{ mqtt: \"mqtt://{mqtt}\", http: \"http://{http}\", region: eu-west-1 }} }}"
            ),
            ["region us-east-1", "`target.endpoint.region` is eu-west-1", "set it to us-east-1"],
        ),
        (
            format!(
                "{{ endpoint: {{ mqtt: \"mqtt://{mqtt}\", http: \"http://{http}\", account: \"000000000001\" }} }}"
            ),
            ["account 123456789012", "`target.endpoint.account` is 000000000001", "set it to 123456789012"],
        ),
    ] {
        let report = run(&scenario(&target, SMALL));
        assert_eq!(report.exit, Exit::Unavailable);
        let problem = report.problem.unwrap();
        for part in parts {
            assert!(problem.contains(part), "no {part} in: {problem}");
        }
    }
}

#[test]
fn a_broker_that_grants_what_it_does_not_serve_is_found_before_the_fleet_connects() {
    let outside = Outside::start(Hooks { on_request: Some(Box::new(|_| false)), ..Hooks::default() });
    let report = run(&outside.scenario(SMALL));
    assert_eq!(report.exit, Exit::Unavailable);
    let problem = report.problem.unwrap();
    for part in
        ["the request on $aws/commands/things/fleetsim-canary-", "/request/json", "granted", "--no-probe"]
    {
        assert!(problem.contains(part), "no {part} in: {problem}");
    }
    assert_eq!(report.snapshot.totals.measured(None, None).due, 0);
}

/// Devices of three kinds, of which the probe's own is only the first.
const KINDS: &str = "
groups:
  things: { count: 5, behavior: { delay: 10ms } }
  clients: { count: 5, address: client, connect: { mqtt: \"5\" }, behavior: { delay: 10ms } }
  named: { count: 5, connect: { mqtt: \"5\", auth: { username: u, password: p } }, behavior: { delay: 10ms } }
workloads: { w: { command: { name: kinds, timeout: 2s }, load: { once: {} } } }
";

#[test]
fn each_kind_of_device_is_tried_before_the_fleet_connects() {
    let outside = Outside::start(Hooks::default());
    let report = run(&outside.scenario(KINDS));
    assert_eq!(report.exit, Exit::Ok, "{:?}", report.problem);
    assert_eq!(outside.running().handle.counters().started, 15 + 3, "a canary of each kind");
    // Served to things and not to clients.
    let mut requests = 0;
    let on_request = move |_: &_| {
        requests += 1;
        requests == 1
    };
    let outside = Outside::start(Hooks { on_request: Some(Box::new(on_request)), ..Hooks::default() });
    let report = run(&outside.scenario(KINDS));
    assert_eq!(report.exit, Exit::Unavailable);
    let problem = report.problem.unwrap();
    assert!(problem.contains("the request on $aws/commands/clients/fleetsim-canary-"), "{problem}");
}

#[test]
#[cfg(target_os = "linux")]
fn devices_connect_from_the_addresses_they_are_given() {
    let outside = Outside::start(Hooks::default());
    let source_ips = ["127.0.0.2", "127.0.0.3"].map(|ip| ip.parse().unwrap()).to_vec();
    let report = run_with(Options { source_ips, ..Options::new(outside.scenario(SMALL)) });
    assert_eq!(report.exit, Exit::Ok, "{:?}", report.problem);
    // An address of the documentation: nobody has it.
    let source_ips = vec!["203.0.113.9".parse().unwrap()];
    let report = run_with(Options { source_ips, ..Options::new(outside.scenario(SMALL)) });
    assert_eq!(report.exit, Exit::Unavailable);
    assert!(
        report.problem.as_ref().is_some_and(|text| text.contains("--source-ip 203.0.113.9")),
        "{:?}",
        report.problem
    );
}

/// What decides on what has ended learns it from records read over HTTP.
#[test]
fn rollouts_and_closed_loops_go_on_from_records_of_another_backend() {
    let outside = Outside::start(Hooks::default());
    let loads = "
groups: { g: { count: 30, behavior: { delay: 10ms..50ms, outcomes: { failed: 10% } } } }
workloads:
  users:
    command: { name: ask, timeout: 2s }
    load: { concurrency: { stages: [{ in_flight: 5, duration: 3s }] } }
  update:
    command: { name: update, timeout: 2s }
    load: { rollout: { base_rate: 600/min, retry: { failed: 3 } } }
";
    let scenario = outside.scenario(loads);
    let report = run(&scenario);
    assert_eq!(report.exit, Exit::Ok, "{:?}", report.problem);
    let of = |workload| report.snapshot.totals.measured(Some(workload), None);
    assert!(of(0).class(Class::Succeeded) > 20, "five users went on and on: {:?}", of(0));
    assert!(of(1).started >= 30, "one for each device, and some again: {:?}", of(1));
    assert_eq!(of(0).unexplained() + of(1).unexplained(), 0);
    let json: serde_json::Value = serde_json::from_str(&report::result_json(&report)).unwrap();
    let cpu = &json["series"][0]["cpu"];
    assert!(cpu["generator"].is_number() && cpu["backend"].is_null(), "nothing is known of its CPU: {cpu}");
    let slice = Slice::new(1, 2).unwrap();
    let sliced = run_with(Options { slice, ..Options::new(scenario) });
    assert_eq!(sliced.exit, Exit::Data);
    assert!(
        sliced.problem.as_ref().is_some_and(|text| text.contains("leave out --slice")),
        "{:?}",
        sliced.problem
    );
}

/// The shipped scenario with its measured stage cut short, and both programs as users start them.
#[test]
fn ci_smoke_runs_against_a_backend_in_a_process_of_its_own() {
    let _guard = ONE_AT_A_TIME.lock();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ready, json, short) = (path("ready.json"), path("result.json"), path("ci-smoke.yaml"));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/ci-smoke.yaml");
    let text = fs::read_to_string(shipped).unwrap().replace("duration: 30s", "duration: 8s");
    // What a busy machine does to latency and lag is not the question.
    let text = text.replace("seed: 1\n", "seed: 1\nvalidity: { max_lag: 20s }\n");
    let text = text.replace("< 150ms", "< 15s").replace("< 300ms", "< 30s").replace(">= 99.5%", ">= 90%");
    fs::write(&short, text).unwrap();
    let program = env!("CARGO_BIN_EXE_fleetsim");
    let mut backend = Command::new(program)
        .args(["backend", "--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--ready-file", &ready])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It is ready when it says where it is.
    BufReader::new(backend.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
    let places: serde_json::Value = serde_json::from_str(&fs::read_to_string(&ready).unwrap()).unwrap();
    let target = format!("{},{}", places["mqtt"].as_str().unwrap(), places["http"].as_str().unwrap());
    let output = Command::new(program)
        .args(["devices", &short, "--target", &target, "--json", &json, "--tui", "off"])
        .output()
        .unwrap();
    kill_process(Pid::from_child(&backend), Signal::TERM).unwrap();
    assert_eq!(backend.wait().unwrap().code(), Some(0));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let measured = &result["totals"]["measured"];
    let classes = measured["classes"].as_object().unwrap();
    let sum: u64 = classes.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(sum, 800, "{measured}");
    assert!(
        classes["failed"].as_u64() > Some(0) && classes["timed_out_cloud"].as_u64() > Some(0),
        "{measured}"
    );
    assert!(said.contains("unexplained 0"), "{said}");
    let no_backend =
        Command::new(program).args(["devices", &short, "--target", "embedded"]).output().unwrap();
    assert_eq!(no_backend.status.code(), Some(2), "{}", String::from_utf8_lossy(&no_backend.stderr));
}

/// What a run has created it deletes; what was there stays, and a command that is going is no longer used.
#[test]
fn a_cleanup_deletes_what_the_run_created_and_nothing_else() {
    let outside = Outside::start(Hooks::default());
    let pending = |name: &str| outside.running().handle.get_command(name).unwrap().pending_deletion;
    let scenario = outside.scenario(SMALL);
    let report = run(&scenario);
    assert_eq!(report.created_commands, ["small"]);
    assert_eq!(run(&scenario).created_commands, Vec::<String>::new(), "it was there");
    let done = delete_commands(&scenario, &report.created_commands, false);
    assert!(done.len() == 1 && done[0].is_done() && pending("small"), "{done:?}");
    assert!(done[0].to_string().contains("in 12 hours"), "{}", done[0]);
    let refused = run(&scenario);
    assert_eq!(refused.exit, Exit::Unavailable);
    assert!(
        refused.problem.as_deref().unwrap().contains("`small` is about to be deleted"),
        "{:?}",
        refused.problem
    );
}
