//! Commands end to end, in virtual time: formats, addresses, parameters and results, both ends against each
//! other.

use std::sync::Arc;

use fleetsim::backend;
use fleetsim::protocol::ResultValue;
use fleetsim::report::RunReport;
use fleetsim::run::{self, Hooks, Options};
use fleetsim::scenario::{self, Variables};
use fleetsim::seed::Seed;
use fleetsim::stats::{Class, Counts, Finding, Part};
use parking_lot::Mutex;
use tokio::sync::watch;

const GROUPS: &str = r#"
groups:
  things: { count: 5, behavior: { accept_delay: 10ms, delay: 20ms..300ms, result: { id: { s: "{group} {index}" }, ok: { b: true } } } }
  named: { count: 5, thing_name: "meter-{index:02}", behavior: { delay: 20ms..300ms, result: { raw: { bin: "{seed}" } } } }
  clients: { count: 5, address: client, connect: { mqtt: "5" }, behavior: { delay: 20ms..300ms, outcomes: { failed: { share: 20%, reason_code: E } }, result: { id: { s: "{index}" } } } }
  kept: { count: 5, address: client, connect: { clean_session: false, drops: { every: 1s..4s, down_for: 100ms } }, behavior: { accept_delay: 5ms, delay: 20ms..300ms, duplicates: 20%, result: { id: { s: "{index}" } } } }
"#;

fn run(command: &str, hooks: backend::Hooks) -> (RunReport, backend::Counters) {
    let text = format!(
        "version: 1\nname: commands\n{GROUPS}\nworkloads:\n  w:\n    command: {command}\n    \
         load: {{ arrival_rate: {{ stages: [{{ rate: 20/s, duration: 10s }}] }} }}\n"
    );
    let scenario = scenario::parse("commands.yaml", &text, &Variables::default());
    let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
    let counters = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&counters);
    let options = Options {
        seed: Seed(7),
        virtual_time: true,
        signals: false,
        hooks: Hooks {
            backend: hooks,
            at_end: Some(Box::new(move |counters| *kept.lock() = Some(counters))),
            ..Hooks::default()
        },
        ..Options::new(Arc::new(scenario))
    };
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    assert!(report.problem.is_none(), "{command}: {:?}", report.problem);
    let counters = counters.lock().unwrap();
    (report, counters)
}

fn counts(report: &RunReport) -> Counts {
    report.snapshot.totals.sum(Part::Measured, None, None)
}

#[test]
fn every_format_reaches_things_and_clients_and_their_results_agree() {
    const TEMPLATE: &str = r#"template: { mode: "${aws:iot:commandexecution::parameter:mode}", level: "${aws:iot:commandexecution::parameter:level}" },
      parameters: { mode: { each: [eco, boost] }, level: { range: [1, 5] } }"#;
    let template = |format: &str| format!("{{ name: c, {TEMPLATE}, format: {format}, timeout: 10s }}");
    for command in [
        "{ name: c, payload: { a: 1 } }".to_owned(),
        "{ name: c, payload: { a: 1 }, format: cbor }".to_owned(),
        "{ name: c, payload: now, format: text }".to_owned(),
        template("json"),
        template("cbor"),
    ] {
        let (report, backend) = run(&command, backend::Hooks::default());
        let counts = counts(&report);
        assert_eq!(
            (counts.due, counts.started, counts.unexplained()),
            (200, 200, 0),
            "{command}: {counts:?}"
        );
        let ended = counts.class(Class::Succeeded) + counts.class(Class::Failed);
        assert!(ended > 190, "but for what drops made impossible: {command}: {counts:?}");
        assert_eq!(counts.finding(Finding::Contradicted).unexplained, 0, "{command}");
        assert_eq!((backend.started, backend.open), (200, 0), "{command}");
        // Devices understood their replies: nothing was sent again but what was planned twice or lost.
        assert!(backend.updates_accepted >= ended, "{command}: {backend:?}");
    }
}

#[test]
fn a_record_with_another_result_is_a_contradiction() {
    let mut turn = 0;
    let on_update: backend::OnUpdate = Box::new(move |_, update| {
        turn += 1;
        if let (0, Some(result)) = (turn % 10, &mut update.result) {
            result.insert("ok".to_owned(), ResultValue::B(false));
        }
    });
    let (report, _) =
        run("{ name: c }", backend::Hooks { on_update: Some(on_update), ..backend::Hooks::default() });
    let counts = counts(&report);
    let contradicted = counts.finding(Finding::Contradicted).unexplained;
    assert!(contradicted > 5 && counts.unexplained() >= contradicted, "{counts:?}");
    assert!(report.verdict.failed(), "the run is not passed");
}
