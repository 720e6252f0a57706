//! Runs against a backend that is not the run's own: everything over sockets, nothing known from within.

use std::net::Ipv4Addr;
use std::sync::Arc;

use fleetsim::backend::broker::Limits;
use fleetsim::backend::{self, Config, Hooks, Listeners, Policy, Running};
use fleetsim::clock::Clock;
use fleetsim::exit::Exit;
use fleetsim::report::{self, RunReport};
use fleetsim::run::{self, Options};
use fleetsim::scenario::{Scenario, Variables, parse};
use fleetsim::seed::Seed;
use fleetsim::stats::{Class, Finding};
use fleetsim::transport::Listener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ONE_AT_A_TIME;

/// A backend as `fleetsim backend` starts it, on free ports.
struct Outside {
    running: Option<Running>,
    stop: CancellationToken,
}

impl Outside {
    fn start(hooks: Hooks) -> Self {
        let bind = || Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = Config {
            clock: Clock::start(),
            seed: Seed(1),
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            policy: Policy::default(),
            limits: Limits::NONE,
            hooks,
        };
        let stop = CancellationToken::new();
        let listeners = Listeners { mqtt: bind(), http: bind() };
        Self { running: Some(backend::start(listeners, config, stop.clone()).unwrap()), stop }
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
    let _guard = ONE_AT_A_TIME.lock();
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(Options::new(Arc::clone(scenario)), &sender);
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
    assert_eq!(outside.running().handle.counters().started, 400);
}
