//! Loads that go on from what has become of their executions: closed loops and rollouts, on simulated time.

use std::path::Path;
use std::sync::Arc;

use fleetsim::exit::Exit;
use fleetsim::report::{self, RunReport, RunResult};
use fleetsim::run::{self, Options};
use fleetsim::scenario::{self, Variables};
use fleetsim::seed::Seed;
use fleetsim::stats::{Class, RolloutState};
use tokio::sync::watch;

const SECOND: u64 = 1_000_000;

fn run(text: &str, seed: u64) -> RunReport {
    let scenario = scenario::parse("test.yaml", text, &Variables::default());
    let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
    let options =
        Options { seed: Seed(seed), virtual_time: true, signals: false, ..Options::new(Arc::new(scenario)) };
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    println!("seed {seed}\n{}", report::console(&report, report::Style::Plain, 120));
    report
}

fn result(report: &RunReport) -> RunResult {
    serde_json::from_str(&report::result_json(report)).unwrap()
}

/// A rollout to 4,500 devices with everything that can go wrong in one.
fn firmware(failed: &str, rest: &str) -> String {
    format!(
        "
version: 1
name: firmware
groups:
  gateways:
    count: 500
    behavior: {{ accept_delay: 20ms..60ms, delay: {{ lognormal: {{ p50: 20s, p99: 90s }} }}, outcomes: {{ failed: 1% }} }}
  sensors:
    count: 4000
    connect: {{ rate: 50/s, clean_session: false, keep_alive: 5m, drops: {{ mid_command: 2%, down_for: 5s..60s }} }}
    behavior:
      accept_delay: {{ lognormal: {{ p50: 1s, p99: 15s }} }}
      delay: {{ lognormal: {{ p50: 45s, p99: 4m }} }}
      outcomes: {{ failed: {{ share: {failed}, delay: 5s..30s }}, rejected: 1%, no_answer: 2%, late: {{ share: 0.5%, by: 5s..60s }} }}
workloads:
  firmware:
    command: {{ name: update, timeout: 10m }}
    start_after: 1m
    load:
      rollout:
        base_rate: 50/min
        increment_factor: 2.0
        increase_after: {{ succeeded: 100 }}
        max_rate: 1000/min
        retry: {{ failed: 1, timed_out: 2 }}
        abort_when: [{{ status: failed, over: 8%, min_executed: 300 }}, {{ status: timed_out, over: 10%, min_executed: 300 }}]
        give_up_after: 2h
{rest}"
    )
}

#[test]
fn a_rollout_tells_its_waves_tries_again_and_names_who_is_left() {
    let text = firmware("3%", "thresholds: [{ expect: rate(devices_succeeded) >= 97% }]\n");
    let report = run(&text, 42);
    let result = result(&report);
    assert_eq!((report.exit, result.totals.measured.unexplained), (Exit::Ok, 0));
    let rollout = &result.rollouts["firmware"];
    assert_eq!((rollout.state.as_str(), rollout.devices), ("complete", 4_500));

    // The rate doubles with every hundred successes, up to its maximum.
    let per_minute: Vec<f64> = rollout.rates.iter().map(|step| (step.per_second * 60.0).round()).collect();
    assert_eq!(per_minute, [50.0, 100.0, 200.0, 400.0, 800.0, 1_000.0]);
    let telling = result.events.iter().filter(|event| event.text.contains("goes on at"));
    assert_eq!(telling.count(), 5);
    // Each wave has as many devices as its rate and its length say. An event is at the end of the second
    // that it is judged on, so the wave is told apart to the second.
    let begin_us = result.events.iter().find(|event| event.text.contains("load begins")).unwrap().at_us;
    for pair in rollout.rates.windows(2) {
        let seconds = |at_us: u64| (begin_us + at_us) / SECOND;
        let (from, to) = (seconds(pair[0].at_us) + 1, seconds(pair[1].at_us));
        let due: u64 =
            result.series.iter().filter(|point| (from..to).contains(&point.second)).map(|p| p.due).sum();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let (due, planned) = (due as f64, pair[0].per_second * (to - from) as f64);
        // Retries come on top, and there are few of them this early.
        assert!(
            due >= planned - 1.0 && due <= planned * 1.1 + 5.0,
            "{from} to {to}: {due} due, {planned} planned"
        );
    }

    // Everybody was told once, whoever failed or timed out again; nothing else was started.
    let counts = &rollout.counts;
    let measured = &result.workloads["firmware"].measured;
    assert_eq!((counts.released, counts.notified), (4_500, 4_500));
    assert_eq!(measured.due, 4_500 + counts.retries);
    assert!(counts.retries > 150, "{}", counts.retries);
    let class = |name: &str| measured.classes[name];
    let timed_out = class("timed_out_cloud") + class("timed_out_device");
    assert_eq!(
        (counts.succeeded, counts.failed, counts.rejected, counts.timed_out),
        (class("succeeded"), class("failed"), class("rejected"), timed_out)
    );

    // Whoever is left is listed, and by the same count the threshold judges.
    assert_eq!(rollout.stuck, 4_500 - counts.devices_succeeded);
    assert_eq!(rollout.stuck_devices.len() as u64, rollout.stuck);
    assert!(rollout.stuck > 20, "{}", rollout.stuck);
    for device in &rollout.stuck_devices {
        match device.last.as_str() {
            "rejected" => assert!((1..=4).contains(&device.attempts), "{device:?}"),
            "failed" => assert!((2..=4).contains(&device.attempts), "{device:?}"),
            "timed_out_cloud" => assert!((3..=4).contains(&device.attempts), "{device:?}"),
            _ => panic!("{device:?}"),
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let share = counts.devices_succeeded as f64 / 4_500.0;
    assert_eq!(result.thresholds[0].observed, Some(share));
}

#[test]
fn a_rollout_stops_in_the_first_merged_second_over_its_limit() {
    // Without retries and other ends, `other` of the series is what failed.
    let text = "
version: 1
name: bad-build
groups: { g: { count: 2000, behavior: { delay: 1s..9s, outcomes: { failed: 12% } } } }
workloads:
  w:
    command: { name: update, timeout: 1m }
    load: { rollout: { base_rate: 10/s, abort_when: [{ status: failed, over: 8%, min_executed: 300 }] } }
";
    for (thresholds, exit) in [
        ("", Exit::RolloutAborted),
        // What failed says more than what stopped.
        ("thresholds: [{ expect: rate(devices_succeeded) >= 97% }]\n", Exit::Thresholds),
    ] {
        let report = run(&format!("{text}{thresholds}"), 5);
        assert_eq!(report.exit, exit);
        let result = result(&report);
        let (mut failed, mut ended) = (0, 0);
        let over = result.series.iter().find(|point| {
            failed += point.other;
            ended += point.other + point.succeeded;
            ended >= 300 && failed * 100 > ended * 8
        });
        let second = over.unwrap().second;
        let event = result.events.iter().find(|event| event.text.contains("rollout w aborted")).unwrap();
        // It is told when the second is over.
        assert_eq!(event.at_us / SECOND, second + 1, "{event:?}");
        let rollout = &result.rollouts["w"];
        assert_eq!(rollout.state, "aborted");
        assert!(rollout.counts.released < 1_000, "{:?}", rollout.counts);
        // Whoever was told still answers, and counts.
        assert_eq!(rollout.counts.released, rollout.counts.succeeded + rollout.counts.failed);
        let never = rollout.stuck_devices.iter().filter(|device| device.last == "not started").count() as u64;
        assert!(never > 900 && rollout.stuck == 2_000 - rollout.counts.devices_succeeded);
        assert_eq!(rollout.stuck_devices.len(), 1_000, "the list is bounded");
    }
}

#[test]
fn batches_wait_for_their_gates() {
    let report = run(
        "
version: 1
name: gates
groups: { g: { count: 200, behavior: { delay: 2s } } }
workloads:
  w:
    command: { name: update, timeout: 1m }
    load:
      rollout:
        base_rate: 10/s
        batches:
          - { name: canary, devices: 10, success_threshold: 100%, soak: 30s }
          - { name: tenth, devices: 10%, success_threshold: 90% }
          - { name: rest }
",
        1,
    );
    assert_eq!(report.exit, Exit::Ok);
    let rollout = &result(&report).rollouts["w"];
    let sizes: Vec<(u64, u64)> =
        rollout.batches.iter().map(|batch| (batch.devices, batch.counts.devices_succeeded)).collect();
    assert_eq!(sizes, [(10, 10), (20, 20), (170, 170)]);
    let (canary, tenth, rest) = (&rollout.batches[0], &rollout.batches[1], &rollout.batches[2]);
    // Ten devices in a second, two seconds each, told apart by the second; then the soak.
    assert!((2_900_000..=4_000_000).contains(&canary.gate_us.unwrap()), "{canary:?}");
    assert!(tenth.begun_us.unwrap() >= canary.gate_us.unwrap() + 30 * SECOND, "{tenth:?}");
    assert!(rest.begun_us.unwrap() > tenth.gate_us.unwrap());
    assert_eq!(rest.gate_us, None);
}

#[test]
fn a_rollout_that_gives_up_names_who_was_never_told() {
    let report = run(
        "
version: 1
name: slow
groups: { g: { count: 100, behavior: { delay: 1s, outcomes: { no_answer: 10% } } } }
workloads:
  w: { command: { name: update, timeout: 5s }, load: { rollout: { base_rate: 1/s, retry: { timed_out: 10 }, give_up_after: 30s } } }
",
        3,
    );
    assert_eq!(report.exit, Exit::Ok);
    let rollout = &result(&report).rollouts["w"];
    assert_eq!((rollout.state.as_str(), rollout.counts.released), ("gave_up", 31));
    assert_eq!(rollout.stuck_devices.iter().filter(|device| device.last == "not started").count(), 69);
    assert_eq!(rollout.stuck, 100 - rollout.counts.devices_succeeded);
}

#[test]
fn a_rollout_repeats_byte_for_byte() {
    let text = firmware("30%", "").replace("4000", "400");
    let bytes = |seed| {
        let report = run(&text, seed);
        assert_eq!(report.snapshot.rollouts[0].state, RolloutState::Aborted);
        let mut result: serde_json::Value = serde_json::from_str(&report::result_json(&report)).unwrap();
        result["run"].as_object_mut().unwrap().shift_remove("wall_clock");
        result.to_string()
    };
    let first = bytes(7);
    assert!(first == bytes(7), "seed 7 gave two results");
    assert!(first != bytes(8));
}

#[test]
fn a_closed_loop_keeps_its_level() {
    let report = run(
        "
version: 1
name: closed
groups: { g: { count: 50, behavior: { delay: 100ms } } }
workloads:
  plain:
    command: { name: ping, timeout: 5s }
    select: round_robin
    load: { concurrency: { stages: [{ in_flight: 20, duration: 10s }, { ramp_to: 0, duration: 10s }] } }
  thoughtful:
    command: { name: ping, timeout: 5s }
    select: round_robin
    start_after: 30s
    load: { concurrency: { stages: [{ in_flight: 10, duration: 10s }], think_time: 400ms } }
  once:
    command: { name: ping, timeout: 5s }
    start_after: 5s
    groups: [g]
    load: { once: { devices: 50%, within: 2s } }
thresholds: [{ expect: rate(succeeded) >= 100% }]
",
        9,
    );
    assert_eq!(report.exit, Exit::Ok);
    let result = result(&report);
    let due = |workload: &str| result.workloads[workload].measured.due;
    // 20 users with a tenth of a second each, for 10 s, then as many as an even ramp leaves. A device
    // that two ask at once makes one of them wait.
    assert!((2_700..=3_000).contains(&due("plain")), "{}", due("plain"));
    assert_eq!((due("thoughtful"), due("once")), (200, 25));
    let in_flight = |from: u64, to: u64| {
        let begin =
            result.events.iter().find(|event| event.text.contains("load begins")).unwrap().at_us / SECOND;
        let points = result.series.iter().filter(move |p| (begin + from..begin + to).contains(&p.second));
        points.map(|point| point.in_flight).max()
    };
    assert!(in_flight(1, 4) <= Some(20), "{:?}", in_flight(1, 4));
    assert_eq!(in_flight(25, 29), Some(0));
    assert!(in_flight(31, 39) <= Some(10), "{:?}", in_flight(31, 39));
}

/// Whoever answers at once, and is asked again at once, must not stop the clock.
#[test]
fn a_closed_loop_without_any_delay_ends() {
    let report = run(
        "
version: 1
name: spin
driver: { via: direct }
groups: { g: { count: 3, behavior: { delay: 0s } } }
workloads:
  w: { command: { name: ping, timeout: 5s }, load: { concurrency: { stages: [{ in_flight: 3, duration: 1s }] } } }
",
        2,
    );
    assert_eq!(report.exit, Exit::Ok);
    assert!(report.snapshot.totals.measured(None, None).due >= 500);
}

#[test]
fn the_shipped_rollout_passes_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/firmware-rollout.yaml");
    let scenario = scenario::load(&path, &Variables::default()).unwrap();
    let options = Options {
        seed: Seed(scenario.seed.unwrap()),
        virtual_time: true,
        signals: false,
        ..Options::new(Arc::new(scenario))
    };
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    println!("{}", report::console(&report, report::Style::Plain, 120));
    assert_eq!(report.exit, Exit::Ok);
}

/// Each rollout tells every shard its first release at the same instant as when the load begins.
#[test]
fn many_rollouts_begin_together() {
    let workloads: Vec<String> = (0..40)
        .map(|n| format!("  w{n}: {{ command: {{ name: c{n}, timeout: 1m }}, load: {{ rollout: {{ base_rate: 1/s }} }} }}\n"))
        .collect();
    let workloads = workloads.concat();
    let report = run(
        &format!(
            "version: 1\nname: many\ngroups: {{ g: {{ count: 3, behavior: {{ delay: 1s }} }} }}\nworkloads:\n{workloads}"
        ),
        3,
    );
    assert_eq!(report.exit, Exit::Ok, "{:?}", report.problem);
    assert_eq!(report.snapshot.totals.measured(None, None).class(Class::Succeeded), 40 * 3);
}
