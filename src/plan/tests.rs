use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::dist::Delay;
use crate::scenario::{
    ArrivalRate, Backoff, Batch, BatchSize, Behavior, ClientIdTemplate, Command, Connect, Content, Driver,
    Drops, Embedded, Group, Jitter, Manners, Once, OutcomeKind, PlannedOutcome, Retry, Rollout, Select,
    Spacing, Stage, Target, Transport, Workload,
};
use crate::units::{Rate, Share};

fn group(name: &str, count: u32) -> Group {
    Group {
        name: name.into(),
        count,
        client_id: ClientIdTemplate::standard(name),
        address: TargetKind::Thing,
        target_name: ClientIdTemplate::standard(name),
        attributes: indexmap::IndexMap::new(),
        connect: Connect::default(),
        behavior: Behavior {
            accept_delay: Some(Delay::Uniform { min_us: 10, max_us: 20 }),
            delay: Delay::Uniform { min_us: 1000, max_us: 9000 },
            outcomes: [
                (OutcomeKind::Failed, "10%"),
                (OutcomeKind::Rejected, "5%"),
                (OutcomeKind::NoAnswer, "5%"),
            ]
            .map(|(kind, share)| PlannedOutcome {
                kind,
                share: share.parse::<Share>().unwrap(),
                reason_code: None,
                reason: None,
                delay: None,
            })
            .to_vec(),
            result: indexmap::IndexMap::new(),
            duplicates: Share::ZERO,
            out_of_order: Share::ZERO,
            malformed: Share::ZERO,
            manners: Manners::default(),
        },
    }
}

fn stage(from: f64, to: f64, seconds: u64) -> Stage {
    Stage {
        name: None,
        from: Rate::from_per_second(from),
        to: Rate::from_per_second(to),
        duration: Duration::from_secs(seconds),
        warm_up: false,
    }
}

fn plan(seed: u64, groups: Vec<Group>, spacing: Spacing, stages: Vec<Stage>) -> Plan {
    let workload = Workload {
        name: "ping".into(),
        command: Command {
            name: "ping".into(),
            content: Content::Existing,
            parameters: Vec::new(),
            timeout: Duration::from_secs(10),
        },
        groups: (0..groups.len()).collect(),
        select: Select::Uniform,
        start_after: Duration::ZERO,
        load: Load::ArrivalRate(ArrivalRate { spacing, stages }),
    };
    let scenario = Scenario {
        name: "test".into(),
        description: String::new(),
        labels: indexmap::IndexMap::new(),
        repeat: 1,
        seed: None,
        max_lag: None,
        target: Target::Embedded(Embedded {
            transport: Transport::Tcp,
            mqtt: "127.0.0.1:0".parse().unwrap(),
            http: "127.0.0.1:0".parse().unwrap(),
            faults: crate::scenario::Faults::default(),
            region: "us-east-1".into(),
            account: "123456789012".into(),
            link_delay: None,
        }),
        driver: Driver::default(),
        groups,
        workloads: vec![workload],
        timeline: Vec::new(),
        thresholds: vec![],
    };
    Plan::new(Arc::new(scenario), Seed(seed))
}

#[test]
fn every_stage_starts_exactly_the_rounded_integral_of_its_rate_inside_its_bounds() {
    let stages =
        vec![stage(0.0, 100.0, 5), stage(100.0, 100.0, 30), stage(100.0, 3.0, 7), stage(0.3, 0.3, 5)];
    for spacing in [Spacing::Even, Spacing::Poisson] {
        let plan = plan(1, vec![group("a", 10)], spacing, stages.clone());
        let instants: Vec<u64> = plan.arrivals(0).map(|a| a.at_us).collect();
        assert!(instants.is_sorted());
        let counts = [(0, 5, 250), (5, 35, 3000), (35, 42, 361), (42, 47, 2)];
        for (from, to, expected) in counts {
            let inside =
                instants.iter().filter(|us| (from * 1_000_000..to * 1_000_000).contains(*us)).count();
            assert_eq!(inside, expected, "{spacing:?} between {from}s and {to}s");
        }
        assert_eq!(plan.planned(0), instants.len() as u64);
    }
}

#[test]
fn even_arrivals_at_a_flat_rate_are_one_gap_apart() {
    let plan = plan(1, vec![group("a", 3)], Spacing::Even, vec![stage(100.0, 100.0, 1)]);
    let instants: Vec<u64> = plan.arrivals(0).map(|a| a.at_us).collect();
    assert_eq!((instants[0], instants[99]), (5_000, 995_000));
    assert!(instants.windows(2).all(|pair| (9_999..=10_001).contains(&(pair[1] - pair[0]))));
}

#[test]
fn poisson_gaps_are_exponential() {
    let plan = plan(7, vec![group("a", 3)], Spacing::Poisson, vec![stage(1000.0, 1000.0, 20)]);
    let instants: Vec<u64> = plan.arrivals(0).map(|a| a.at_us).collect();
    let mut buckets = [0u32; 10];
    for pair in instants.windows(2) {
        // The exponential distribution function maps the gaps (mean 1,000 µs) to uniforms.
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let uniform = 1.0 - (-((pair[1] - pair[0]) as f64 + 0.5) / 1000.0).exp();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
        let bucket = (uniform * 10.0) as usize;
        buckets[bucket.min(9)] += 1;
    }
    let expected = f64::from(buckets.iter().sum::<u32>()) / 10.0;
    // Chi-square with 9 degrees of freedom: 27.9 is passed by all but 0.1 % of fair streams.
    let chi: f64 = buckets.iter().map(|b| (f64::from(*b) - expected).powi(2) / expected).sum();
    assert!(chi < 27.9, "chi-square {chi}, {buckets:?}");
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
    let make =
        |seed| plan(seed, vec![group("a", 50)], Spacing::Poisson, vec![stage(40.0, 40.0, 12)]).fingerprint();
    assert_eq!(make(42), make(42));
    assert_ne!(make(42).arrivals, make(43).arrivals);
    assert_ne!(make(42).decisions, make(43).decisions);
}

#[test]
fn one_more_device_changes_no_other_devices_decisions() {
    let of = |count: u32| {
        let plan = plan(5, vec![group("a", count), group("b", 3)], Spacing::Even, vec![stage(1.0, 1.0, 1)]);
        let decisions: BTreeMap<DeviceId, Vec<Decision>> =
            plan.devices().map(|d| (d, (0..20).map(|n| plan.decision(d, n)).collect())).collect();
        decisions
    };
    let (before, after) = (of(10), of(11));
    assert_eq!(after.len(), before.len() + 1);
    for (device, decisions) in before {
        assert_eq!(after[&device], decisions, "{device:?}");
    }
}

/// Each row changes one setting; what may differ then is named, everything else must be as before.
#[test]
fn changing_one_setting_leaves_the_other_draws_as_they_were() {
    type Change = fn(&mut Group);
    type Keep = fn(Decision) -> Decision;
    let rows: [(&str, Change, Keep); 7] = [
        (
            "accept_delay",
            |group| group.behavior.accept_delay = Some(Delay::LogNormal { mu: 3.0, sigma: 1.0 }),
            |decision| Decision { accept_us: None, ..decision },
        ),
        (
            "delay",
            |group| group.behavior.delay = Delay::LogNormal { mu: 9.0, sigma: 1.0 },
            |decision| Decision { delay_us: 0, ..decision },
        ),
        (
            "duplicates",
            |group| group.behavior.duplicates = "50%".parse().unwrap(),
            |decision| Decision { twice: false, ..decision },
        ),
        (
            "out_of_order",
            |group| group.behavior.out_of_order = "50%".parse().unwrap(),
            |decision| Decision { out_of_order: false, ..decision },
        ),
        (
            "malformed",
            |group| group.behavior.malformed = "50%".parse().unwrap(),
            |decision| Decision { malformed: None, ..decision },
        ),
        (
            "drops",
            |group| {
                let every = Some(Delay::Uniform { min_us: 1, max_us: 9 });
                let mid_command = "50%".parse().unwrap();
                group.connect.drops = Some(Drops { every, down_for: Delay::ZERO, mid_command });
            },
            |decision| Decision { drops_at: None, ..decision },
        ),
        ("connect", |group| group.connect.start_delay = Delay::Uniform { min_us: 1, max_us: 9 }, |d| d),
    ];
    let draw = |change: Option<Change>| {
        let mut group = group("a", 3);
        if let Some(change) = change {
            change(&mut group);
        }
        let plan = plan(5, vec![group], Spacing::Even, vec![stage(1.0, 1.0, 1)]);
        let devices: Vec<DeviceId> = plan.devices().collect();
        devices
            .iter()
            .flat_map(|device| (0..100).map(|n| plan.decision(*device, n)))
            .collect::<Vec<Decision>>()
    };
    let before = draw(None);
    for (name, change, keep) in rows {
        let after = draw(Some(change));
        assert_eq!(
            after.iter().map(|d| keep(*d)).collect::<Vec<_>>(),
            before.iter().map(|d| keep(*d)).collect::<Vec<_>>(),
            "{name}"
        );
        assert_eq!(name == "connect", after == before, "{name} changed nothing");
    }
}

fn one_device(connect: Connect) -> (Plan, DeviceId) {
    let group = Group { connect, ..group("a", 1) };
    let plan = plan(9, vec![group], Spacing::Even, vec![stage(1.0, 1.0, 1)]);
    (plan, DeviceId { group: 0, index: 0 })
}

#[test]
fn waits_before_reconnects_grow_to_their_bound_with_their_jitter() {
    let bounds = [100, 150, 225, 337, 400, 400];
    for (jitter, least) in [(Jitter::None, 1.0), (Jitter::Equal, 0.5), (Jitter::Full, 0.0)] {
        let (initial, max) = (Duration::from_micros(100), Duration::from_micros(400));
        let backoff = Backoff { initial, max, factor: 1.5, jitter, max_attempts: None };
        let (plan, device) = one_device(Connect { backoff, ..Connect::default() });
        for (failed, bound) in (0..).zip(bounds) {
            let waits: Vec<u64> =
                (1..400).map(|connection| plan.backoff_us(device, connection, failed)).collect();
            let (min, max) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let (low, high) = (*min as f64, *max as f64);
            let bound = f64::from(bound);
            assert!(low >= (bound * least).floor() && high <= bound, "{jitter:?} {failed}: {low}..{high}");
            // The whole stretch is used: of 399 draws one comes near each end.
            assert!(low <= bound * (least + 0.05) + 1.0 && high >= bound * 0.95 - 1.0, "{jitter:?} {failed}");
        }
    }
}

#[test]
fn each_connection_and_device_has_drops_of_its_own() {
    let every = Some(Delay::Uniform { min_us: 1_000, max_us: 9_000 });
    let down_for = Delay::Uniform { min_us: 10, max_us: 900 };
    let drops = Some(Drops { every, down_for, mid_command: Share::ZERO });
    let (plan, device) = one_device(Connect { drops, ..Connect::default() });
    let lasts: Vec<u64> = (1..50).map(|n| plan.drops_after_us(device, n).unwrap()).collect();
    let away: Vec<u64> = (1..50).map(|n| plan.down_for_us(device, n)).collect();
    for (draws, range) in [(&lasts, 1_000..=9_000), (&away, 10..=900)] {
        assert!(draws.iter().all(|us| range.contains(us)), "{draws:?}");
        assert!(draws.windows(2).any(|pair| pair[0] != pair[1]), "{draws:?}");
    }
    let (steady, device) = one_device(Connect::default());
    assert_eq!((steady.drops_after_us(device, 1), steady.down_for_us(device, 1)), (None, 0));
    assert_eq!((steady.start_delay_us(device), steady.longest_start_delay_us()), (0, 0));
}

#[test]
fn the_longest_time_out_is_that_of_the_workloads_that_reach_the_group() {
    let made = plan(1, vec![group("a", 1), group("b", 1)], Spacing::Even, vec![stage(1.0, 1.0, 1)]);
    let mut scenario = Scenario::clone(made.scenario());
    let mut longer = scenario.workloads[0].clone();
    longer.command.timeout = Duration::from_secs(30);
    longer.groups = vec![1];
    scenario.workloads.push(longer);
    let plan = Plan::new(Arc::new(scenario), Seed(1));
    assert_eq!((plan.longest_timeout_us(0), plan.longest_timeout_us(1)), (10_000_000, 30_000_000));
}

#[test]
fn ends_come_in_their_shares() {
    let plan = plan(11, vec![group("a", 100)], Spacing::Even, vec![stage(1.0, 1.0, 1)]);
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for device in plan.devices() {
        for n in 0..200 {
            *counts.entry(plan.decision(device, n).kind.name()).or_default() += 1.0;
        }
    }
    let n = 20_000.0;
    for (kind, share) in [("failed", 0.10), ("rejected", 0.05), ("no_answer", 0.05), ("succeeded", 0.80)] {
        let (seen, error) = (counts[kind] / n, (share * (1.0 - share) / n).sqrt());
        assert!((seen - share).abs() < 4.0 * error, "seed 11: {kind}: {seen}, planned {share} ± {error}");
    }
}

#[test]
fn a_device_that_rejects_or_keeps_silent_reports_no_progress() {
    let plan = plan(3, vec![group("a", 1)], Spacing::Even, vec![stage(1.0, 1.0, 1)]);
    let device = DeviceId { group: 0, index: 0 };
    for n in 0..500 {
        let decision = plan.decision(device, n);
        let progresses = matches!(decision.kind, OutcomeKind::Succeeded | OutcomeKind::Failed);
        assert_eq!(decision.accept_us.is_some(), progresses, "n = {n}: {decision:?}");
    }
}

#[test]
fn shards_share_the_arrivals_out_without_loss_or_reordering() {
    let groups = vec![group("a", 7), group("b", 5)];
    let plan = plan(2, groups, Spacing::Poisson, vec![stage(200.0, 200.0, 3)]);
    let mut dealt: Vec<Arrival> = (0..3).flat_map(|shard| plan.arrivals_of(0, shard, 3)).collect();
    dealt.sort_by_key(|a| (a.at_us, a.number));
    assert_eq!(dealt, plan.arrivals(0).collect::<Vec<_>>());
    for shard in 0..3 {
        for arrival in plan.arrivals_of(0, shard, 3) {
            assert_eq!(plan.shard_of(arrival.device, 3), shard);
        }
    }
}

fn with_load(groups: Vec<Group>, load: Load) -> Plan {
    let made = plan(4, groups, Spacing::Even, vec![stage(1.0, 1.0, 1)]);
    let mut scenario = Scenario::clone(made.scenario());
    scenario.workloads[0].start_after = Duration::from_secs(1);
    scenario.workloads[0].load = load;
    Plan::new(Arc::new(scenario), Seed(4))
}

#[test]
fn a_burst_reaches_each_chosen_device_once() {
    // (share, within in µs, devices reached, first and last instant)
    for (share, within_us, reached, instants) in [
        ("100%", 0, 12, (1_000_000, 1_000_000)),
        ("50%", 600, 6, (1_000_050, 1_000_550)),
        // A share that rounds to none is one device all the same.
        ("0.1%", 100, 1, (1_000_050, 1_000_050)),
    ] {
        let once = Once { devices: share.parse().unwrap(), within: Duration::from_micros(within_us) };
        let plan = with_load(vec![group("a", 7), group("b", 5)], Load::Once(once));
        let arrivals: Vec<Arrival> = plan.arrivals(0).collect();
        let mut devices: Vec<DeviceId> = arrivals.iter().map(|arrival| arrival.device).collect();
        devices.sort_unstable();
        devices.dedup();
        assert_eq!(
            (devices.len(), arrivals.len(), plan.planned(0)),
            (reached, reached, reached as u64),
            "{share}"
        );
        assert_eq!((arrivals[0].at_us, arrivals[reached - 1].at_us), instants, "{share}");
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at_us), "{share}");
        assert_eq!(plan.load_us(), Some(1_000_000 + within_us));
    }
}

#[test]
fn a_step_is_the_same_arrivals_whenever_it_is_asked_for_and_no_other_steps() {
    let plan = plan(8, vec![group("a", 50)], Spacing::Even, vec![stage(1.0, 1.0, 1)]);
    let step = |number, first_arrival| Step {
        number,
        begin_us: 5_000_000,
        first_arrival,
        spacing: Spacing::Poisson,
        stages: vec![Stage { warm_up: true, ..stage(10.0, 10.0, 2) }, stage(10.0, 10.0, 10)],
    };
    let arrivals = |step: &Step| -> Vec<Arrival> {
        let mut all: Vec<Arrival> =
            (0..2).flat_map(|shard| plan.step_arrivals_of(0, step, shard, 2)).collect();
        all.sort_by_key(|arrival| arrival.number);
        all
    };
    let (first, second) = (step(0, 0), step(1, 120));
    let one = arrivals(&first);
    assert_eq!((one.len() as u64, first.planned(), first.end_us()), (120, 120, 17_000_000));
    assert_eq!(one, arrivals(&first));
    assert!(one.is_sorted_by_key(|arrival| arrival.at_us));
    assert_eq!(one.iter().filter(|arrival| !arrival.measured).count(), 20);
    let other = arrivals(&second);
    assert!(one.iter().map(|a| a.number).chain(other.iter().map(|a| a.number)).eq(0..240));
    let instants = |of: &[Arrival]| of.iter().map(|arrival| arrival.at_us).collect::<Vec<u64>>();
    assert_ne!(instants(&one), instants(&other));
}

#[test]
fn shards_share_devices_and_users_out_without_gap() {
    let plan = plan(3, vec![group("a", 7), group("b", 5)], Spacing::Even, vec![stage(1.0, 1.0, 1)]);
    for shards in [1, 2, 3, 5, 13] {
        let own: Vec<OwnDevices> = (0..shards).map(|shard| plan.own_devices(0, shard, shards)).collect();
        for (shard, own) in own.iter().enumerate() {
            assert!((0..own.count()).all(|place| plan.shard_of(own.device(place), shards) == shard));
            for users in 0..30 {
                let mine = (0..).map_while(|n| own.user(n)).take_while(|user| *user < users).count() as u64;
                assert_eq!(own.users_below(users), mine, "shard {shard} of {shards}, {users} users");
            }
        }
        let mut devices: Vec<DeviceId> =
            own.iter().flat_map(|own| (0..own.count()).map(|place| own.device(place))).collect();
        devices.sort_unstable();
        assert_eq!(devices, plan.devices().collect::<Vec<_>>(), "{shards} shards");
        for users in 0..30 {
            assert_eq!(own.iter().map(|own| own.users_below(users)).sum::<u64>(), users, "{shards} shards");
        }
    }
}

#[test]
fn a_rollout_has_one_order_with_its_batches_in_it() {
    let batch = |devices| Batch {
        name: "b".into(),
        devices,
        success_threshold: Share::ONE,
        error_threshold: None,
        soak: Duration::ZERO,
    };
    let quarter = BatchSize::Share("25%".parse().unwrap());
    for (sizes, bounds) in [
        (vec![], vec![12]),
        (vec![BatchSize::Count(3), quarter], vec![3, 6]),
        (vec![quarter, BatchSize::Rest], vec![3, 12]),
    ] {
        let load = Rollout {
            base_rate: Rate::from_per_second(1.0),
            growth: None,
            batches: sizes.into_iter().map(batch).collect(),
            abort_when: Vec::new(),
            retry: Retry::default(),
            give_up_after: None,
        };
        let plan = with_load(vec![group("a", 7), group("b", 5)], Load::Rollout(load));
        let order = plan.rollout_order(0).unwrap();
        let last = *bounds.last().unwrap();
        assert_eq!((order.bounds(), plan.planned(0), plan.load_us()), (bounds.as_slice(), last, None));
        let reached: Vec<DeviceId> = (0..last).map(|place| order.device(place)).collect();
        assert!(plan.devices().all(|device| order.reaches(device) == reached.contains(&device)));
        let in_group = |number| reached.iter().filter(|device| device.group == number).count() as u64;
        assert_eq!(plan.reach(0), [in_group(0), in_group(1)]);
        for place in 0..last {
            let batch = order.batch(place);
            assert!(place < bounds[batch] && (batch == 0 || place >= bounds[batch - 1]), "place {place}");
        }
    }
}
