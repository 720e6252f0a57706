//! Runs that somebody pauses and plays faster or slower: the same executions, the same fates, at other
//! instants. In virtual time what is asked for is asked at an instant of the run, so these repeat, too.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fleetsim::control::Control;
use fleetsim::exit::Exit;
use fleetsim::report::{self, RunReport, RunResult};
use fleetsim::run::{self, Injection, Options};
use fleetsim::scenario::{self, Scenario, Variables};
use fleetsim::seed::{Purpose, Seed, Subject};
use fleetsim::stats::{Class, Part};
use tokio::sync::watch;

use crate::{ONE_AT_A_TIME, chaos};

fn scenario(text: &str) -> Arc<Scenario> {
    match scenario::parse("steer.yaml", &format!("version: 1\n{text}"), &Variables::default()) {
        Ok(scenario) => Arc::new(scenario),
        Err(problems) => panic!("{}", problems.render(false)),
    }
}

type Ask = Box<dyn FnOnce(&Control) + Send>;

/// What is asked of the run at seconds of it, counted from the begin of its load.
fn asking(asks: Vec<(u64, Ask)>) -> impl FnOnce(&mut Options) {
    move |options| {
        for (second, ask) in asks {
            let control = options.control.clone();
            let job = Injection::OnShard(0, Box::new(move || ask(&control)));
            options.hooks.during_load.push((Duration::from_secs(second), job));
        }
    }
}

fn ask(second: u64, what: impl FnOnce(&Control) + Send + 'static) -> (u64, Ask) {
    (second, Box::new(what))
}

/// Runs it in virtual time; everything that must hold in any run is checked.
fn run_virtually(scenario: &Arc<Scenario>, configure: impl FnOnce(&mut Options)) -> RunReport {
    let outcome = chaos::run_steered(scenario, 7, configure);
    println!("{}", report::console(&outcome.report, report::Style::Plain, 120));
    if let Some(failure) = chaos::judge(&outcome, 7) {
        panic!("{failure}");
    }
    outcome.report
}

fn events(report: &RunReport) -> Vec<&str> {
    report.snapshot.events.iter().map(|event| event.text.as_str()).collect()
}

fn at_us(report: &RunReport, text: &str) -> u64 {
    let event = report.snapshot.events.iter().find(|event| event.text == text);
    event.unwrap_or_else(|| panic!("no {text:?} among {:?}", events(report))).at_us
}

/// What a pause must not change.
fn same_fates(one: &RunReport, other: &RunReport) {
    let (one, other) = (report::run_result(one), report::run_result(other));
    assert_eq!(one.totals, other.totals);
    assert_eq!(one.workloads, other.workloads);
    for (one, other) in one.spans.iter().zip(&other.spans) {
        // Connects begin at the run's own instants whatever becomes of the load.
        assert_eq!(one, other, "{} of {}", one.span, one.group);
    }
    assert_eq!(one.spans.len(), other.spans.len());
}

/// 240 commands in 12 s and a burst, to devices that take their time and sometimes fail.
const PLAIN: &str = "name: plain
groups:
  g: { count: 300, behavior: { delay: 100ms..300ms, outcomes: { failed: 5%, no_answer: 2% } } }
  h: { count: 40, behavior: { accept_delay: 10ms, delay: { lognormal: { p50: 80ms, p99: 600ms } } } }
workloads:
  w: { command: { name: c, timeout: 3s }, groups: [g], load: { arrival_rate: { stages: [{ rate: 20/s, duration: 12s }] } } }
  b: { command: { name: d, timeout: 5s }, groups: [h], start_after: 8s, load: { once: { within: 2s } } }
";

#[test]
fn a_pause_of_ten_seconds_makes_a_run_ten_seconds_longer_and_nothing_else() {
    let scenario = scenario(PLAIN);
    let plain = run_virtually(&scenario, |_| {});
    let asks = vec![ask(5, |control| _ = control.pause()), ask(15, |control| _ = control.resume())];
    let paused = run_virtually(&scenario, asking(asks));
    assert_eq!(at_us(&paused, "resumed by hand") - at_us(&paused, "paused by hand"), 10_000_000);
    let drains = |report: &RunReport| at_us(report, "load ended, draining");
    assert_eq!(drains(&paused) - drains(&plain), 10_000_000);
    assert_eq!(paused.duration, plain.duration + Duration::from_secs(10));
    same_fates(&plain, &paused);
    assert!(paused.snapshot.steered && !plain.snapshot.steered);
    assert_eq!((paused.exit, plain.exit), (Exit::Ok, Exit::Ok), "thresholds are judged all the same");
    // Nothing fell due while it was paused, and what was under way ended.
    let (from, until) =
        (at_us(&paused, "paused by hand") / 1_000_000 + 1, at_us(&paused, "resumed by hand") / 1_000_000);
    let series = report::run_result(&paused).series;
    let inside: Vec<_> = series.iter().filter(|point| (from..until).contains(&point.second)).collect();
    assert_eq!((inside.len(), inside.iter().map(|point| point.due).sum::<u64>()), (9, 0));
    assert_eq!(inside.last().map(|point| point.in_flight), Some(0), "time-outs go on");
    let again = run_virtually(
        &scenario,
        asking(vec![ask(5, |control| _ = control.pause()), ask(15, |control| _ = control.resume())]),
    );
    assert_eq!(report::run_result(&again).series, series, "a steered run repeats, too");
}

#[test]
fn a_run_that_begins_paused_waits_with_a_connected_fleet_and_is_then_as_planned() {
    let scenario = scenario(PLAIN);
    let plain = run_virtually(&scenario, |_| {});
    let paused = run_virtually(&scenario, |options: &mut Options| {
        options.control.pause();
        asking(vec![ask(30, |control| _ = control.resume())])(options);
    });
    let waits = "all devices subscribed, load waits: it is paused";
    let waited = Duration::from_micros(at_us(&paused, "resumed by hand") - at_us(&paused, waits));
    assert!(waited >= Duration::from_secs(30));
    assert_eq!(paused.duration, plain.duration + waited);
    same_fates(&plain, &paused);
    assert!(!paused.snapshot.steered, "nothing of the load was changed");
}

#[test]
fn the_plan_can_be_played_faster() {
    let scenario = scenario(PLAIN);
    let plain = run_virtually(&scenario, |_| {});
    let fast = run_virtually(&scenario, asking(vec![ask(2, |control| _ = control.set_rate(200))]));
    assert_eq!(fast.snapshot.planned, plain.snapshot.planned);
    assert_eq!(fast.snapshot.load_planned, Some(Duration::from_secs(12)));
    // The load is over half of what was left sooner: it was told at the first second or poll after 2 s.
    let drained = |report: &RunReport| at_us(report, "load ended, draining");
    let told = at_us(&fast, "rate 200% by hand");
    let left = drained(&plain) - told;
    assert!(drained(&fast).abs_diff(told + left / 2) <= 1_100_000, "{:?}", events(&fast));
    let due: Vec<u64> = report::run_result(&fast).series.iter().map(|point| point.due).collect();
    assert!(due.iter().max() > Some(&30), "twice 20 a second, and the burst: {due:?}");
    assert!(fast.snapshot.steered);
}

#[test]
fn loads_that_follow_feedback_can_be_paused_and_played_faster() {
    let scenario = scenario(
        "name: feedback
groups: { g: { count: 60, behavior: { delay: 200ms } }, h: { count: 400, behavior: { delay: 50ms, outcomes: { failed: 10% } } } }
workloads:
  loop: { command: { name: c }, groups: [g], load: { concurrency: { stages: [{ in_flight: 10, duration: 20s }], think_time: 300ms } } }
  roll: { command: { name: d }, groups: [h], load: { rollout: { base_rate: 10/s, max_rate: 40/s, increment_factor: 2.0, increase_after: { notified: 100 }, retry: { failed: 2 } } } }
",
    );
    let plain = run_virtually(&scenario, |_| {});
    let steered = run_virtually(
        &scenario,
        asking(vec![
            ask(4, |control| _ = control.pause()),
            ask(9, |control| _ = control.set_rate(200)),
            ask(14, |control| _ = control.resume()),
        ]),
    );
    let (from, until) =
        (at_us(&steered, "paused by hand") / 1_000_000 + 1, at_us(&steered, "resumed by hand") / 1_000_000);
    let series = report::run_result(&steered).series;
    let inside = || series.iter().filter(|point| (from..until).contains(&point.second));
    assert_eq!(
        (inside().count(), inside().map(|point| point.due).sum::<u64>()),
        (9, 0),
        "a pause lets none out"
    );
    let started = |report: &RunReport, workload| report.snapshot.totals.measured(Some(workload), None).due;
    // Twice as many users for half of the time: as many starts, give or take those under way at the ends.
    assert!(
        started(&steered, 0).abs_diff(started(&plain, 0)) <= 25,
        "{} and {}",
        started(&steered, 0),
        started(&plain, 0)
    );
    for report in [&plain, &steered] {
        let rollout = &report.snapshot.rollouts[0];
        assert_eq!((rollout.counts.released, rollout.counts.finished()), (400, 400));
    }
    assert!(steered.snapshot.steered && events(&steered).contains(&"rate 200% by hand"));
}

#[test]
fn the_timeline_follows_the_loads_clock_for_devices_and_backend_alike() {
    let scenario = scenario(
        "name: timeline
groups: { g: { count: 100, connect: { clean_session: false }, behavior: { delay: 0s } } }
workloads: { w: { command: { name: c, timeout: 30s }, load: { arrival_rate: { spacing: even, stages: [{ rate: 10/s, duration: 20s }] } } } }
timeline:
  - { at: 10s, do: silence, for: 2s }
  - { at: 14s, do: backend_stall, for: 2s }
",
    );
    let plain = run_virtually(&scenario, |_| {});
    let asks = vec![ask(6, |control| _ = control.pause()), ask(26, |control| _ = control.resume())];
    let paused = run_virtually(&scenario, asking(asks));
    for text in [
        "timeline: silence of 100 devices for 2.00s",
        "timeline: backend_stall for 2.00s",
        "timeline: backend_stall is over",
    ] {
        assert_eq!(at_us(&paused, text) - at_us(&plain, text), 20_000_000, "{text}");
    }
    same_fates(&plain, &paused);
}

#[test]
fn a_capacity_search_is_not_steered() {
    let scenario = scenario(
        "name: search
groups: { g: { count: 1000, behavior: { delay: 10ms } } }
workloads: { w: { command: { name: c }, load: { capacity: { from: 10/s, to: 40/s, hold: 5s, settle: 1s, pass: [\"p99(latency) < 1s\"] } } } }
",
    );
    let steered = run_virtually(&scenario, asking(vec![ask(3, |control| _ = control.pause())]));
    let refusal = "a capacity search sets its own rate: it is not paused or played faster";
    assert_eq!(events(&steered).iter().filter(|text| **text == refusal).count(), 1);
    assert!(!steered.snapshot.steered);
}

/// Whatever is asked for, and when: each planned execution is started exactly once, none of them late, and both
/// sides agree on its end.
#[test]
fn whatever_is_asked_for_nothing_is_lost_doubled_or_late() {
    let scenario = chaos::scenario();
    for seed in 1..=12 {
        let outcome = chaos::run_steered(&scenario, seed, |options| {
            let mut draw = Seed(seed).at(Purpose::Backoff, Subject::new("steering", 0), 0);
            let mut second = 0;
            let mut asks = Vec::new();
            for _ in 0..8 {
                second += draw.below(5);
                // No faster: a restart right behind a stall cuts calls off that the stall held up, which
                // nobody can tell the fate of. That is how it should be, but not what this is about.
                let (what, percent) = (draw.below(5), u32::try_from(20 + draw.below(160)).unwrap());
                asks.push(ask(second, move |control| {
                    match what {
                        0 => control.pause(),
                        1 => control.toggle_pause(),
                        2 => control.set_rate(100),
                        _ => control.set_rate(percent),
                    };
                }));
            }
            asks.push(ask(second + 3, |control| _ = control.resume()));
            asking(asks)(options);
        });
        if let Some(failure) = chaos::judge(&outcome, seed) {
            panic!("{failure}\n{:?}", events(&outcome.report));
        }
    }
}

/// Nobody is at a screen here, so it would wait for ever.
#[test]
fn a_run_that_nobody_could_resume_does_not_begin_paused() {
    let quickstart = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/quickstart.yaml");
    for (flags, remedy) in [(&["--tui", "off"][..], "--tui on"), (&["--virtual-time"], "leave out one")] {
        let output = Command::new(env!("CARGO_BIN_EXE_fleetsim"))
            .args(["run", quickstart, "--paused"])
            .args(flags)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(remedy), "{flags:?}: {said}");
    }
}

#[test]
fn over_sockets_every_planned_execution_is_started_once_however_it_is_played() {
    let _quiet = ONE_AT_A_TIME.lock();
    let scenario = scenario(
        "name: sockets
groups: { g: { count: 50, behavior: { delay: 20ms } } }
workloads: { w: { command: { name: c }, load: { arrival_rate: { stages: [{ rate: 100/s, duration: 4s }] } } } }
",
    );
    let mut options = Options { seed: Seed(5), shards: Some(2), signals: false, ..Options::new(scenario) };
    asking(vec![
        ask(1, |control| _ = control.pause()),
        ask(2, |control| _ = control.set_rate(400)),
        ask(3, |control| _ = control.resume()),
    ])(&mut options);
    let (sender, _receiver) = watch::channel(None);
    let report = run::run(options, &sender);
    println!("{}", report::console(&report, report::Style::Plain, 120));
    let counts = report.snapshot.totals.sum(Part::Measured, None, None);
    assert_eq!((report.snapshot.planned, counts.due, counts.started), (400, 400, 400));
    assert_eq!((counts.class(Class::Succeeded), counts.unexplained()), (400, 0));
    let result: RunResult = report::run_result(&report);
    assert!(result.run.steered);
    let texts: Vec<&str> = result.events.iter().map(|event| event.text.as_str()).collect();
    for text in ["paused by hand", "rate 400% by hand", "resumed by hand"] {
        assert!(texts.contains(&text), "{texts:?}");
    }
}
