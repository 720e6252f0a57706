use proptest::prelude::*;

use super::*;
use crate::stats::{Class, Finding, Outcome};

/// Not the clock's start: everything counts from here.
const EPOCH: Instant = Instant::from_micros(7_300_000);

fn shape() -> Arc<Shape> {
    Arc::new(Shape { workloads: vec!["w".into()], groups: vec!["g".into(), "h".into()] })
}

fn collector(shards: usize) -> Collector {
    Collector::new(shape(), vec![30, 12], shards, EPOCH, 100, Some(Duration::from_mins(1)))
}

/// `ms` after the epoch.
fn at(ms: u64) -> Instant {
    EPOCH.plus_micros(ms * 1_000)
}

/// The instant at which the report of this second is due.
fn due(second: u64) -> Instant {
    at((second + 1) * 1_000)
}

fn report(shard: usize, second: u64) -> ShardReport {
    ShardReport {
        shard,
        second,
        statistics: Statistics::new(shape()),
        online: vec![0, 0],
        ever_online: 0,
        exhausted: false,
        open: 0,
        ended: 0,
        last_deadline: Instant::START,
        stuck: Vec::new(),
        anomalies: Vec::new(),
        foreign: 0,
        cpu: Duration::ZERO,
        last_error: None,
        last: false,
    }
}

/// A report in which `succeeded` executions fell due and ended.
fn work(shard: usize, second: u64, succeeded: u64) -> ShardReport {
    let mut report = report(shard, second);
    let counts = report.statistics.counts_mut(Part::Measured, 0, 0);
    counts.due = succeeded;
    counts.started = succeeded;
    (0..succeeded).for_each(|_| counts.decide(Class::Succeeded));
    report
}

/// Taken at the instant it is due, with an idle backend.
fn take(collector: &mut Collector, report: ShardReport) -> bool {
    let now = due(report.second);
    collector.take(report, now, Duration::ZERO)
}

fn anomalies(from: usize, count: usize) -> Vec<Anomaly> {
    let anomaly = |n: usize| Anomaly {
        execution_id: None,
        device: n.to_string(),
        workload: 0,
        group: 0,
        finding: Finding::Lost,
        explained: false,
        planned_us: 0,
        last_seen: String::new(),
    };
    (from..from + count).map(anomaly).collect()
}

/// `(number, succeeded)` of the points of the series.
fn series(collector: &Collector) -> Vec<(u64, u64)> {
    collector.snapshot(at(0)).series.iter().map(|point| (point.number, point.succeeded)).collect()
}

fn total(collector: &Collector) -> u64 {
    collector.snapshot(at(0)).totals.measured(None, None).class(Class::Succeeded)
}

#[test]
fn a_second_shows_once_every_shard_has_delivered_it() {
    // Each step: a report of (shard, second, succeeded), then the snapshot's number and total.
    type Step = ((usize, u64, u64), (u64, u64));
    let rows: [(usize, &[Step]); 5] = [
        (1, &[((0, 0, 3), (1, 3)), ((0, 1, 4), (2, 7))]),
        (2, &[((0, 0, 3), (0, 0)), ((1, 0, 5), (1, 8)), ((1, 1, 1), (1, 8)), ((0, 1, 1), (2, 10))]),
        // One runs ahead: its later seconds wait.
        (2, &[((1, 0, 1), (0, 0)), ((1, 1, 10), (0, 0)), ((1, 2, 100), (0, 0)), ((0, 0, 2), (1, 3))]),
        // One skipped seconds 0 and 1: its report of second 2 stands for all three.
        (2, &[((1, 0, 1), (0, 0)), ((1, 1, 10), (0, 0)), ((0, 2, 5), (2, 11)), ((1, 2, 100), (3, 116))]),
        (3, &[((2, 0, 1), (0, 0)), ((0, 0, 1), (0, 0)), ((2, 1, 1), (0, 0)), ((1, 0, 1), (1, 3))]),
    ];
    for (shards, steps) in rows {
        let mut collector = collector(shards);
        let mut number = 0;
        for ((shard, second, succeeded), expected) in steps {
            let new = take(&mut collector, work(*shard, *second, *succeeded));
            let snapshot = collector.snapshot(due(*second));
            assert_eq!((snapshot.number, total(&collector)), *expected, "{steps:?}");
            assert_eq!(new, snapshot.number > number, "{steps:?}");
            number = snapshot.number;
        }
    }
}

#[test]
fn seconds_that_were_skipped_are_one_point_of_the_series() {
    let mut collector = collector(2);
    for (shard, second, succeeded) in [(0, 0, 1), (1, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (1, 3, 30)] {
        take(&mut collector, work(shard, second, succeeded));
    }
    assert_eq!(series(&collector), [(0, 2), (3, 33)]);
    take(&mut collector, work(1, 4, 7));
    take(&mut collector, work(0, 4, 1));
    assert_eq!(series(&collector), [(0, 2), (3, 33), (4, 8)]);
}

#[test]
fn the_last_reports_are_in_at_the_close_wherever_each_shard_ended() {
    // The seconds at which the shards of a run end, and the points that makes of the series.
    type Row = (&'static [u64], &'static [(u64, u64)]);
    let rows: [Row; 4] = [
        (&[0], &[(0, 100)]),
        (&[1, 1], &[(0, 2), (1, 200)]),
        (&[1, 3], &[(0, 2), (1, 101), (3, 101)]),
        (&[4, 1, 2], &[(0, 3), (1, 102), (4, 202)]),
    ];
    for (ends, expected) in rows {
        let mut collector = collector(ends.len());
        collector.phase = Phase::Drain;
        let (mut sum, mut ended) = (0, 0);
        for second in 0..5 {
            for (shard, end) in ends.iter().enumerate().filter(|(_, end)| **end >= second) {
                assert!(!collector.finished());
                let last = second == *end;
                let succeeded = if last { 100 } else { 1 };
                take(&mut collector, ShardReport { last, ..work(shard, second, succeeded) });
                (sum, ended) = (sum + succeeded, ended + usize::from(last));
            }
        }
        assert!(collector.finished() && ended == ends.len());
        collector.close(Duration::ZERO);
        assert_eq!(total(&collector), sum, "{ends:?}");
        assert_eq!(series(&collector), expected, "{ends:?}");
        let snapshot = collector.snapshot(at(5_000));
        assert_eq!(snapshot.phase, Phase::Done);
        assert!(snapshot.series.iter().all(|point| point.phase == Phase::Drain), "points keep their phase");
    }
}

#[test]
fn a_close_without_a_single_report_leaves_an_empty_run() {
    let mut collector = collector(2);
    collector.close(Duration::ZERO);
    let snapshot = collector.snapshot(at(0));
    assert_eq!((snapshot.phase, snapshot.number, total(&collector)), (Phase::Done, 0, 0));
    assert!(snapshot.series.is_empty() && snapshot.totals.dropped.is_empty());
}

#[test]
fn what_a_shard_that_never_ended_has_said_is_in_at_the_close() {
    let mut collector = collector(2);
    take(&mut collector, work(0, 0, 1));
    take(&mut collector, work(0, 1, 1));
    take(&mut collector, ShardReport { last: true, ..work(0, 2, 1) });
    assert!(!collector.finished());
    collector.close(Duration::ZERO);
    assert_eq!((total(&collector), series(&collector)), (3, vec![(2, 3)]));
}

#[test]
fn a_missing_report_is_missing_from_when_it_was_due() {
    // Each report: (shard, second, arrival after the epoch in ms, last); then the longest gap in ms.
    type Row = (&'static [(usize, u64, u64, bool)], u64);
    let rows: [Row; 7] = [
        (&[(0, 0, 1_000, false), (0, 1, 2_000, false)], 0),
        (&[(0, 0, 1_001, false), (0, 1, 2_040, false), (0, 2, 3_002, false)], 40),
        // The report came on time for second 3, but those of seconds 1 and 2 never did.
        (&[(0, 0, 1_000, false), (0, 3, 4_000, false)], 2_000),
        (&[(0, 0, 1_000, false), (0, 3, 4_200, false), (0, 4, 5_000, false)], 2_200),
        // The other shard spoke all the while.
        (&[(1, 0, 1_000, false), (1, 1, 2_000, false), (1, 2, 3_000, false), (0, 2, 3_500, false)], 2_500),
        // The last report comes when the run ends, not when a second does.
        (&[(0, 0, 1_000, false), (0, 1, 1_300, true)], 0),
        (&[(0, 0, 1_000, false), (0, 1, 9_000, true)], 0),
    ];
    for (reports, gap_ms) in rows {
        let mut collector = collector(2);
        for (shard, second, ms, last) in reports {
            let report = ShardReport { last: *last, ..report(*shard, *second) };
            collector.take(report, at(*ms), Duration::ZERO);
        }
        let gap = collector.snapshot(at(10_000)).report_gap;
        assert_eq!(gap, Duration::from_millis(gap_ms), "{reports:?}");
    }
}

#[test]
fn the_first_thousand_anomalies_are_kept() {
    let mut collector = collector(2);
    for (second, kept) in [(0, 600), (1, 1_000), (2, 1_000)] {
        for shard in 0..2 {
            let from = usize::try_from(second).unwrap() * 600 + shard * 300;
            take(&mut collector, ShardReport { anomalies: anomalies(from, 300), ..report(shard, second) });
        }
        let snapshot = collector.snapshot(due(second));
        let devices: Vec<_> = snapshot.anomalies.iter().map(|anomaly| anomaly.device.clone()).collect();
        let first: Vec<_> = (0..kept).map(|n: u64| n.to_string()).collect();
        assert_eq!(devices, first);
    }
}

#[test]
fn anomalies_of_a_second_that_is_not_complete_do_not_show() {
    let mut collector = collector(2);
    take(&mut collector, ShardReport { anomalies: anomalies(0, 1), ..report(0, 0) });
    assert!(collector.snapshot(due(0)).anomalies.is_empty());
    take(&mut collector, report(1, 0));
    assert_eq!(collector.snapshot(due(0)).anomalies.len(), 1);
}

#[test]
fn a_point_of_the_series_tells_its_second_warm_up_included() {
    let mut collector = collector(1);
    collector.phase = Phase::Load;
    // Second 0: two due and open; second 1: one of them fails, and three more are due.
    let mut first = report(0, 0);
    first.online = vec![20, 4];
    let counts = first.statistics.counts_mut(Part::Measured, 0, 1);
    (counts.due, counts.started) = (2, 2);
    take(&mut collector, first);
    let mut second = report(0, 1);
    second.online = vec![30, 12];
    second.cpu = Duration::from_millis(250);
    let statistics = &mut second.statistics;
    statistics.counts_mut(Part::Measured, 0, 1).decide(Class::Failed);
    let counts = statistics.counts_mut(Part::Measured, 0, 0);
    (counts.due, counts.started) = (2, 1);
    counts.decide(Class::Succeeded);
    counts.refuse(&"ThrottlingException".into());
    let counts = statistics.counts_mut(Part::WarmUp, 0, 0);
    (counts.due, counts.started) = (1, 1);
    counts.decide(Class::Succeeded);
    for us in 1..=100 {
        statistics.recent_latency.record(us);
        statistics.record(Span::ScheduleLag, 0, 0, Outcome::Succeeded, us + 100);
        statistics.record(Span::DeviceLag, 0, 1, Outcome::Other, us + 200);
    }
    collector.take(second, due(1), Duration::from_millis(125));
    let cpu = CpuUse { busiest_shard: 0.25, generator: 0.25, backend: 0.125 };
    let idle = Second {
        number: 0,
        phase: Phase::Load,
        due: 2,
        started: 2,
        succeeded: 0,
        other: 0,
        classes: [0; Class::ALL.len()],
        in_flight: 2,
        online: 24,
        latency_us_p50: None,
        latency_us_p95: None,
        latency_us_p99: None,
        latency_us_max: None,
        heat: HeatColumn::default(),
        schedule_lag_us_p99: None,
        device_lag_us_p99: None,
        cpu: CpuUse::default(),
    };
    let busy = Second {
        number: 1,
        due: 3,
        started: 2,
        succeeded: 2,
        other: 2,
        classes: Class::ALL.map(|class| match class {
            Class::Succeeded => 2,
            Class::Failed | Class::Refused => 1,
            _ => 0,
        }),
        in_flight: 1,
        online: 42,
        latency_us_p50: Some(50),
        latency_us_p95: Some(95),
        latency_us_p99: Some(99),
        latency_us_max: Some(100),
        heat: HeatColumn::from_counts(0, &[100]),
        schedule_lag_us_p99: Some(199),
        device_lag_us_p99: Some(299),
        cpu,
        ..idle
    };
    let snapshot = collector.snapshot(due(1));
    assert_eq!(snapshot.series.newest(3), [idle, busy]);
    assert_eq!(snapshot.cpu, cpu);
    let groups: Vec<_> = snapshot.groups.iter().map(|group| (group.online, group.devices)).collect();
    assert_eq!(groups, [(30, 30), (12, 12)]);
}

#[test]
fn cpu_is_cores_per_second_by_role() {
    let cpu = |shard, second, ms| ShardReport { cpu: Duration::from_millis(ms), ..report(shard, second) };
    let ms = Duration::from_millis;
    let mut collector = collector(2);
    let expect = |collector: &Collector, busiest_shard: f64, generator: f64, backend: f64| {
        assert_eq!(collector.snapshot(at(0)).cpu, CpuUse { busiest_shard, generator, backend });
    };
    collector.take(cpu(0, 0, 500), due(0), ms(0));
    collector.take(cpu(1, 0, 250), due(0), ms(1_000));
    expect(&collector, 0.5, 0.75, 1.0);
    // Two seconds at once.
    collector.take(cpu(0, 2, 1_500), due(2), ms(1_000));
    collector.take(cpu(1, 2, 750), due(2), ms(2_000));
    expect(&collector, 0.5, 0.75, 0.5);
    // What a shard used in a second that is not complete yet belongs to that one.
    collector.take(cpu(1, 3, 1_000), due(3), ms(2_000));
    collector.take(cpu(1, 4, 2_000), due(4), ms(2_000));
    collector.take(cpu(0, 3, 1_500), due(4), ms(2_000));
    expect(&collector, 0.25, 0.25, 0.0);
    collector.take(cpu(0, 4, 1_500), due(4), ms(2_000));
    expect(&collector, 1.0, 1.0, 0.0);
}

#[test]
fn devices_are_online_as_of_the_second_that_all_have_delivered() {
    let online = |shard, second, g, h| ShardReport { online: vec![g, h], ..report(shard, second) };
    let shown = |collector: &Collector| -> Vec<u64> {
        collector.snapshot(at(0)).groups.iter().map(|group| group.online).collect()
    };
    let mut collector = collector(2);
    take(&mut collector, online(0, 0, 10, 1));
    take(&mut collector, online(0, 1, 15, 6));
    assert_eq!(shown(&collector), [0, 0]);
    take(&mut collector, online(1, 0, 12, 2));
    assert_eq!(shown(&collector), [22, 3]);
    assert_eq!(collector.snapshot(at(0)).series.newest(1)[0].online, 25);
    take(&mut collector, online(1, 1, 15, 6));
    assert_eq!(shown(&collector), [30, 12]);
}

#[test]
fn the_conductor_hears_the_newest_of_every_shard_at_once() {
    let mut collector = collector(2);
    let news = |shard, second, exhausted, open, ended, ever_online| ShardReport {
        ever_online,
        exhausted,
        open,
        ended,
        ..report(shard, second)
    };
    let heard = |collector: &Collector| (collector.exhausted(), collector.open(), collector.ever_online());
    assert_eq!(heard(&collector), (false, (0, 0), 0));
    take(&mut collector, news(0, 0, true, 5, 2, 9));
    assert_eq!(heard(&collector), (false, (5, 2), 9));
    take(&mut collector, ShardReport { last_error: Some("refused".to_owned()), ..news(1, 0, true, 1, 1, 4) });
    assert_eq!(heard(&collector), (true, (6, 3), 13));
    assert_eq!(collector.last_error(), Some("refused"));
    take(&mut collector, news(1, 1, true, 0, 0, 5));
    assert_eq!(heard(&collector), (true, (5, 2), 14));
    assert_eq!(collector.last_error(), None);
}

#[test]
fn the_last_deadline_shows_while_something_can_still_end() {
    let mut collector = collector(2);
    take(&mut collector, ShardReport { last_deadline: at(9_000), ..report(0, 0) });
    take(&mut collector, ShardReport { last_deadline: at(4_000), ..report(1, 0) });
    for (phase, shown) in [
        (Phase::Connect, None),
        (Phase::Load, None),
        (Phase::Drain, Some(9)),
        (Phase::Settle, Some(9)),
        (Phase::Done, None),
    ] {
        collector.phase = phase;
        let snapshot = collector.snapshot(at(2_000));
        assert_eq!(snapshot.last_deadline, shown.map(Duration::from_secs), "{phase:?}");
    }
}

#[test]
fn times_count_from_the_epoch_and_from_the_loads_begin() {
    let mut collector = collector(1);
    assert_eq!(collector.snapshot(at(1_500)).load_elapsed, None);
    collector.load = Some(LoadClock::begin(at(2_000), 100));
    collector.event(at(2_100), "load begins");
    for (ms, load_elapsed_ms) in [(1_990, 0), (2_000, 0), (3_250, 1_250)] {
        let snapshot = collector.snapshot(at(ms));
        assert_eq!(snapshot.elapsed, Duration::from_millis(ms));
        assert_eq!(snapshot.load_elapsed, Some(Duration::from_millis(load_elapsed_ms)));
        assert_eq!(snapshot.load_begin, Some(Duration::from_secs(2)), "wherever the run stands");
        assert_eq!(*snapshot.events, [Event { at_us: 2_100_000, text: "load begins".to_owned() }]);
    }
}

#[test]
fn events_beyond_the_bound_are_not_kept() {
    let mut collector = collector(1);
    (0..=Snapshot::EVENTS_KEPT).for_each(|n| collector.event(at(0), n.to_string()));
    let snapshot = collector.snapshot(at(0));
    assert_eq!(snapshot.events.len(), Snapshot::EVENTS_KEPT);
    assert_eq!(snapshot.events[0].text, "0");
    assert_eq!(snapshot.totals.dropped, BTreeMap::from([("events", 1)]));
}

#[test]
fn a_key_that_is_held_down_leaves_room_for_other_events() {
    let mut collector = collector(1);
    for n in 0..Snapshot::EVENTS_KEPT {
        collector.event_by_hand(at(0), n.to_string());
        collector.event_once(at(0), "no");
    }
    collector.event(at(0), "the load ended");
    let snapshot = collector.snapshot(at(0));
    assert_eq!(snapshot.events.len(), Snapshot::EVENTS_KEPT / 2 + 2);
    assert_eq!(snapshot.events.last().unwrap().text, "the load ended");
    assert_eq!(snapshot.totals.dropped, BTreeMap::from([("events", 500)]));
}

#[test]
fn what_queues_dropped_is_counted_once_however_often_it_is_told() {
    let mut collector = collector(2);
    let dropped = |collector: &Collector| collector.snapshot(at(0)).totals.dropped.clone();
    assert!(dropped(&collector).is_empty());
    for told in [0, 3, 5] {
        collector.backend_lost(told, 0);
    }
    for second in 0..2 {
        for shard in 0..2 {
            // Executions of others are told as a running total, too.
            let mut report = ShardReport { foreign: second + 1, ..report(shard, second) };
            report.statistics.drop_from("starts", 10);
            take(&mut collector, report);
        }
    }
    collector.close(Duration::ZERO);
    let expected = [("executions nobody here started", 4), ("messages to slow clients", 5), ("starts", 40)];
    assert_eq!(dropped(&collector), BTreeMap::from(expected));
}

/// What shards say: for each, whether it skips a second, and how much it did in it.
fn any_run() -> impl Strategy<Value = Vec<Vec<(bool, u64)>>> {
    let second = (prop::bool::weighted(0.2), 0u64..5);
    prop::collection::vec(prop::collection::vec(second, 1..8), 1..5)
}

/// The reports of each shard in its own order; the last of each is its end.
fn reports_of(run: &[Vec<(bool, u64)>]) -> Vec<Vec<ShardReport>> {
    run.iter()
        .enumerate()
        .map(|(shard, seconds)| {
            let end = seconds.len() - 1;
            let said = seconds.iter().enumerate().filter(|(second, (skipped, _))| *second == end || !skipped);
            said.map(|(second, (_, work_done))| ShardReport {
                last: second == end,
                ..work(shard, u64::try_from(second).unwrap(), *work_done)
            })
            .collect()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_order_only_complete_seconds_show_and_all_adds_up(
        run in any_run(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let mut collector = collector(run.len());
        let mut queues: Vec<_> = reports_of(&run).into_iter().map(Vec::into_iter).collect();
        let mut delivered = vec![0; run.len()];
        let mut taken: Vec<(u64, u64)> = Vec::new();
        for index in order {
            let waiting: Vec<usize> = (0..queues.len()).filter(|shard| queues[*shard].len() > 0).collect();
            if waiting.is_empty() {
                break;
            }
            let shard = *index.get(&waiting);
            let report = queues[shard].next().expect("it is waiting");
            delivered[shard] = report.second + 1;
            taken.push((report.second, report.statistics.measured(None, None).due));
            take(&mut collector, report);
            let complete = *delivered.iter().min().expect("there is a shard");
            let sum: u64 = taken.iter().filter(|(second, _)| *second < complete).map(|(_, due)| due).sum();
            prop_assert_eq!((collector.snapshot(at(0)).number, total(&collector)), (complete, sum));
        }
        prop_assert!(queues.iter().all(|queue| queue.len() == 0), "40 draws are enough");
        prop_assert!(collector.finished());
        collector.close(Duration::ZERO);
        let sum: u64 = taken.iter().map(|(_, due)| due).sum();
        prop_assert_eq!(total(&collector), sum);
        let snapshot = collector.snapshot(at(0));
        prop_assert_eq!(snapshot.series.iter().map(|point| point.due).sum::<u64>(), sum);
        prop_assert!(snapshot.series.iter().is_sorted_by(|a, b| a.number < b.number));
        let seconds = run.iter().map(Vec::len).max().map(|seconds| u64::try_from(seconds).unwrap());
        prop_assert_eq!(snapshot.series.last().map(|point| point.number + 1), seconds);
    }
}
