//! Made-up runs for the tests of outputs and of the screen: the same ones every time.
//!
//! They go through the same `Statistics` that a run fills, so their figures fit together.

use std::sync::Arc;
use std::time::Duration;

use super::{Environment, RunReport, WallClock};
use crate::exit::Exit;
use crate::scenario::{
    Aggregate, Comparison, Driver, Embedded, Metric, Scenario, Target, Threshold, Transport,
};
use crate::stats::{
    Anomaly, Class, CpuUse, Event, Finding, GroupGauge, HeatColumn, Outcome, Part, Phase, Second, Series,
    Shape, Snapshot, Span, Statistics, Tempo,
};
use crate::verdict::judge;

/// The fleet comes online.
pub fn connecting() -> Snapshot {
    let mut snapshot = empty(Phase::Connect, 3);
    snapshot.groups[0].online = 140;
    snapshot.groups[1].online = 12;
    let statistics = Arc::make_mut(&mut snapshot.totals);
    for n in 0..152 {
        statistics.record_connect(usize::from(n >= 140), spread(900, 6_000, n));
    }
    snapshot
}

/// In the warm-up stage: nothing is measured yet.
pub fn warming_up() -> Snapshot {
    let mut snapshot = running(Phase::Load, 6);
    let statistics = Arc::make_mut(&mut snapshot.totals);
    warm_up(statistics);
    snapshot
}

/// In the middle of the load, with some in flight.
pub fn measuring() -> Snapshot {
    let mut snapshot = running(Phase::Load, 24);
    let statistics = Arc::make_mut(&mut snapshot.totals);
    warm_up(statistics);
    cell(statistics, 0, [1_200, 4, 12, 0, 0]);
    cell(statistics, 1, [260, 20, 0, 3, 8]);
    let counts = statistics.counts_mut(Part::Measured, 0, 1);
    counts.due += 5;
    counts.started += 3;
    snapshot
}

/// Nothing more is started; a few can still end.
pub fn draining() -> Snapshot {
    let mut snapshot = measuring();
    snapshot.phase = Phase::Drain;
    snapshot.elapsed = Duration::from_secs(36);
    snapshot.last_deadline = Some(Duration::from_millis(40_500));
    snapshot
}

/// A run that is over, with every kind of end in it and one execution lost.
pub fn done() -> Snapshot {
    let mut snapshot = running(Phase::Done, 36);
    let statistics = Arc::make_mut(&mut snapshot.totals);
    warm_up(statistics);
    cell(statistics, 0, [2_560, 36, 12, 0, 12]);
    cell(statistics, 1, [538, 64, 0, 13, 40]);
    let counts = statistics.counts_mut(Part::Measured, 0, 1);
    counts.timed_out_as_planned = 39;
    (0..13).for_each(|_| counts.find(Finding::Late, true));
    counts.find(Finding::Lost, false);
    counts.find(Finding::Redelivered, true);
    statistics.reconnects[1] = 2;
    snapshot.anomalies = Arc::new(vec![Anomaly {
        execution_id: Some("0b8ddc3c-9f2e-4d8a-8f0f-2f6c1f6f7a10".to_owned()),
        device: "flaky-00012".to_owned(),
        workload: 0,
        group: 1,
        finding: Finding::Lost,
        explained: false,
        planned_us: 12_345_678,
        last_seen: "started, never held by the device".to_owned(),
    }]);
    snapshot
}

/// Nothing happened: what a run that could not begin leaves behind.
pub fn empty(phase: Phase, elapsed_s: u64) -> Snapshot {
    let shape =
        Arc::new(Shape { workloads: vec!["reboot".into()], groups: vec!["fast".into(), "flaky".into()] });
    Snapshot {
        number: elapsed_s,
        phase,
        elapsed: Duration::from_secs(elapsed_s),
        wall_elapsed: None,
        load_begin: None,
        load_elapsed: None,
        load_planned: Some(Duration::from_secs(32)),
        planned: 3_375,
        last_deadline: None,
        totals: Arc::new(Statistics::new(Arc::clone(&shape))),
        shape,
        groups: vec![GroupGauge { devices: 200, online: 0 }, GroupGauge { devices: 50, online: 0 }],
        series: Series::default(),
        cpu: CpuUse::default(),
        report_gap: Duration::ZERO,
        stopped: false,
        tempo: Tempo::PLANNED,
        steered: false,
        capacity: None,
        faults: std::collections::BTreeMap::default(),
        events: Arc::default(),
        anomalies: Arc::default(),
        reach: Arc::default(),
        rollouts: Vec::new(),
        stuck: Arc::default(),
    }
}

/// The report of a run that left `snapshot` behind.
pub fn report(snapshot: Snapshot, exit: Exit) -> RunReport {
    let scenario = scenario();
    RunReport {
        verdict: judge(&scenario, &snapshot),
        scenario: Arc::new(scenario),
        resolved: serde_json::json!({ "version": 1, "name": "ci-smoke" }),
        scenario_hash: "3f9c".repeat(16),
        seed: 1,
        started_wall_ms: 1_795_000_000_123,
        duration: Duration::from_millis(36_020),
        is_virtual: false,
        wall_clock: WallClock { started_ms: 1_795_000_000_123, elapsed: Duration::from_millis(36_020) },
        target: "embedded".to_owned(),
        snapshot: Arc::new(snapshot),
        exit,
        stopped: exit == Exit::Stopped,
        problem: None,
        created_commands: Vec::new(),
        environment: Environment {
            os: "linux x86_64".to_owned(),
            cpus: 2,
            fd_limit: 20_000,
            version: "0.1.0".to_owned(),
        },
    }
}

/// A scenario with thresholds of each kind.
pub fn scenario() -> Scenario {
    Scenario {
        name: "ci-smoke".to_owned(),
        description: "Two groups, one of them flaky.".to_owned(),
        labels: [("team".to_owned(), "fleet".to_owned())].into_iter().collect(),
        repeat: 1,
        seed: Some(1),
        max_lag: None,
        target: Target::Embedded(Embedded {
            transport: Transport::Tcp,
            mqtt: ([127, 0, 0, 1], 0).into(),
            http: ([127, 0, 0, 1], 0).into(),
            faults: crate::scenario::Faults::default(),
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
            link_delay: None,
        }),
        driver: Driver::default(),
        groups: Vec::new(),
        workloads: Vec::new(),
        timeline: Vec::new(),
        thresholds: vec![
            threshold(
                "p95(latency{group=fast}) < 150ms",
                Aggregate::Percentile(95.0),
                Metric::Span(Span::Latency),
                (Comparison::Less, 150_000.0),
            ),
            threshold(
                "rate(succeeded) >= 99%",
                Aggregate::Rate,
                Metric::Class(Class::Succeeded),
                (Comparison::GreaterOrEqual, 0.99),
            ),
            Threshold {
                info: true,
                ..threshold(
                    "count(late) < 5",
                    Aggregate::Count,
                    Metric::Finding(Finding::Late),
                    (Comparison::Less, 5.0),
                )
            },
        ],
    }
}

fn threshold(text: &str, aggregate: Aggregate, metric: Metric, limit: (Comparison, f64)) -> Threshold {
    Threshold {
        text: text.to_owned(),
        aggregate,
        metric,
        group: (text.contains("fast")).then_some(0),
        workload: None,
        error: None,
        comparison: limit.0,
        limit: limit.1,
        info: false,
        abort: false,
        after: Duration::ZERO,
    }
}

/// All devices online and a series of `elapsed_s` seconds: four of connecting, then the load.
fn running(phase: Phase, elapsed_s: u64) -> Snapshot {
    let mut snapshot = empty(phase, elapsed_s);
    snapshot.load_begin = Some(Duration::from_secs(4));
    snapshot.load_elapsed = Some(Duration::from_secs((elapsed_s - 4).min(32)));
    for group in &mut snapshot.groups {
        group.online = group.devices;
    }
    let statistics = Arc::make_mut(&mut snapshot.totals);
    for n in 0..250 {
        statistics.record_connect(usize::from(n >= 200), spread(900, 6_000, n));
    }
    snapshot.cpu = CpuUse { busiest_shard: 0.31, generator: 0.31, backend: 0.22 };
    snapshot.series = (0..elapsed_s).map(second).collect();
    snapshot.events =
        Arc::new(vec![Event { at_us: 4_000_000, text: "all 250 devices are online".to_owned() }]);
    snapshot
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn second(number: u64) -> Second {
    let loaded = number >= 4;
    let latency = |at: u64| loaded.then(|| at * (100 + 7 * (number % 5)) / 100);
    Second {
        number,
        phase: if loaded { Phase::Load } else { Phase::Connect },
        due: if loaded { 100 } else { 0 },
        started: if loaded { 100 } else { 0 },
        succeeded: if loaded { 96 + number % 4 } else { 0 },
        other: if loaded { number % 4 } else { 0 },
        classes: Class::ALL.map(|class| match class {
            Class::Succeeded if loaded => 96 + u32::try_from(number % 4).unwrap(),
            Class::Failed if loaded => u32::try_from(number % 4).unwrap(),
            _ => 0,
        }),
        in_flight: if loaded { 3 } else { 0 },
        online: (number + 1).min(4) * 250 / 4,
        latency_us_p50: latency(31_000),
        latency_us_p95: latency(98_000),
        latency_us_p99: latency(161_000),
        latency_us_max: latency(if number == 15 { 900_000 } else { 190_000 }),
        heat: if loaded { heat(number) } else { HeatColumn::default() },
        schedule_lag_us_p99: latency(400),
        device_lag_us_p99: latency(1_100),
        cpu: CpuUse { busiest_shard: 0.3 + 0.01 * (number % 7) as f64, generator: 0.31, backend: 0.22 },
    }
}

/// A hundred latencies between 12 ms and 190 ms, a few slower ones in second 15.
fn heat(number: u64) -> HeatColumn {
    let mut histogram = crate::stats::Histogram::default();
    let slowest = if number == 15 { 900_000 } else { 190_000 };
    (0..100).for_each(|n| histogram.record(spread(12_000, slowest, n + 37 * number)));
    HeatColumn::of(&histogram)
}

fn warm_up(statistics: &mut Statistics) {
    let counts = statistics.counts_mut(Part::WarmUp, 0, 0);
    counts.due = 100;
    counts.started = 100;
    (0..100).for_each(|_| counts.decide(Class::Succeeded));
    for n in 0..100 {
        statistics.recent_latency.record(spread(20_000, 90_000, n));
    }
}

/// Measured executions of one group: succeeded, failed, refused, timed out by the device, by the cloud.
fn cell(statistics: &mut Statistics, group: usize, ends: [u64; 5]) {
    let [succeeded, failed, refused, device, cloud] = ends;
    let throttled: Arc<str> = "ThrottlingException".into();
    let counts = statistics.counts_mut(Part::Measured, 0, group);
    counts.due += ends.iter().sum::<u64>();
    counts.started += succeeded + failed + device + cloud;
    (0..refused).for_each(|_| counts.refuse(&throttled));
    for (class, n) in [
        (Class::Succeeded, succeeded),
        (Class::Failed, failed),
        (Class::TimedOutDevice, device),
        (Class::TimedOutCloud, cloud),
    ] {
        (0..n).for_each(|_| counts.decide(class));
    }
    let (fastest, slowest) = if group == 0 { (18_000, 140_000) } else { (60_000, 420_000) };
    for n in 0..succeeded + failed {
        let outcome = if n < succeeded { Outcome::Succeeded } else { Outcome::Other };
        let latency = spread(fastest, slowest, n);
        statistics.record(Span::Latency, 0, group, outcome, latency);
        statistics.recent_latency.record(latency);
        statistics.record(Span::Overhead, 0, group, outcome, spread(900, 9_000, n));
        statistics.record(Span::ScheduleLag, 0, group, outcome, spread(40, 500, n));
        statistics.record(Span::DeviceLag, 0, group, outcome, spread(60, 1_200, n));
    }
}

/// The `n`-th of a row of values between the two, most of them in the lower part, as latencies are.
/// A fixed sequence (multiples of the golden ratio), so there is nothing to seed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive numbers"
)]
fn spread(from: u64, to: u64, n: u64) -> u64 {
    let unit = (n as f64 * 0.618_033_988_749_895).fract();
    (from as f64 * (to as f64 / from as f64).powf(unit * unit)) as u64
}
