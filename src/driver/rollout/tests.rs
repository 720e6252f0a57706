use super::*;
use crate::scenario::{Load, Variables, parse};

const SECOND: u64 = 1_000_000;

/// A rollout to 1,000 devices that begins 10 s into the load.
fn control(load: &str, bounds: &[u64]) -> RolloutControl {
    let text = format!(
        "version: 1\nname: s\ngroups: {{ g: {{ count: 1000, behavior: {{ delay: 1ms }} }} }}\n\
         workloads: {{ w: {{ command: {{ name: c }}, load: {{ rollout: {load} }} }} }}\n"
    );
    let scenario = parse("s", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let Load::Rollout(load) = &scenario.workloads[0].load else { panic!() };
    RolloutControl::new(0, "w", load, bounds.to_vec(), 10 * SECOND)
}

fn all_good(released: u64, succeeded: u64) -> BatchCounts {
    BatchCounts {
        released,
        notified: released,
        succeeded,
        devices_succeeded: succeeded,
        ..BatchCounts::default()
    }
}

/// What is decided is in force 20 ms later.
fn decide(rollout: &mut RolloutControl, now_us: u64, counts: &[BatchCounts]) -> Vec<RolloutStep> {
    rollout.second(now_us, now_us + 20_000, counts)
}

fn events(steps: &[RolloutStep]) -> Vec<&str> {
    let mut texts = Vec::new();
    for step in steps {
        if let RolloutStep::Event(text) = step {
            texts.push(text.as_str());
        }
    }
    texts
}

fn release(steps: &[RolloutStep]) -> Option<Release> {
    steps.iter().find_map(|step| match step {
        RolloutStep::Release(release) => Some(*release),
        _ => None,
    })
}

#[test]
fn devices_are_told_at_equal_gaps() {
    let release = Release { from_us: 5 * SECOND, first: 10, until: 100, per_second: 4.0 };
    assert_eq!([10, 11, 14].map(|place| release.at_us(place)), [5_000_000, 5_250_000, 6_000_000]);
    for (at_us, place) in
        [(0, 10), (5_000_000, 10), (5_000_001, 11), (5_250_000, 11), (6_000_000, 14), (900_000_000, 100)]
    {
        assert_eq!(release.place_at(at_us), place, "at {at_us}");
    }
}

#[test]
fn the_rate_grows_with_success_up_to_its_maximum() {
    let mut rollout = control(
        "{ base_rate: 10/s, max_rate: 35/s, increment_factor: 2.0, increase_after: { succeeded: 100 } }",
        &[1_000],
    );
    assert_eq!(rollout.first(), Release { from_us: 10 * SECOND, first: 0, until: 1_000, per_second: 10.0 });
    // Before its begin nothing counts.
    assert_eq!(decide(&mut rollout, 9 * SECOND, &[all_good(0, 500)]), []);
    // (second, devices that succeeded, rate from then on)
    for (second, succeeded, rate) in [
        (11, 99, None),
        (21, 100, Some(20.0)),
        (22, 199, None),
        // Two increases in one second stop at the maximum.
        (23, 300, Some(35.0)),
        (24, 900, None),
    ] {
        let steps = decide(&mut rollout, second * SECOND, &[all_good(999, succeeded)]);
        assert_eq!(release(&steps).map(|release| release.per_second), rate, "second {second}");
    }
    let progress = rollout.progress(&[all_good(999, 900)]);
    let rates: Vec<(u64, f64)> = progress.rates.iter().map(|step| (step.at_us, step.per_second)).collect();
    assert_eq!(rates, [(10_000_000, 10.0), (21_020_000, 20.0), (23_020_000, 35.0)]);
    assert_eq!((progress.rate(), progress.stuck(), progress.state), (35.0, 100, RolloutState::Running));
}

#[test]
fn a_new_rate_goes_on_where_the_old_one_has_come_to() {
    let mut rollout =
        control("{ base_rate: 10/s, max_rate: 100/s, increase_after: { notified: 50 } }", &[1_000]);
    let before = rollout.first();
    let steps = decide(&mut rollout, 16 * SECOND, &[all_good(50, 0)]);
    let after = release(&steps).unwrap();
    // Up to 16.02 s the places below 61 were told, at 10/s.
    assert_eq!((after.from_us, after.first, after.per_second), (16_020_000, 61, 20.0));
    assert!(before.at_us(after.first - 1) < after.from_us && before.at_us(after.first) >= after.from_us);
    assert_eq!(events(&steps), ["rollout w goes on at 20/s: 50 devices notified"]);
}

#[test]
fn the_first_second_over_a_limit_aborts() {
    let load = "{ base_rate: 10/s, abort_when: [\
                { status: failed, over: 10%, min_executed: 20 }, { status: all, over: 50%, min_executed: 4 }] }";
    let counts =
        |succeeded, failed, timed_out| BatchCounts { succeeded, failed, timed_out, ..BatchCounts::default() };
    for (ends, reason) in [
        // Too few have ended.
        (counts(17, 2, 0), None),
        // Exactly the limit is not over it.
        (counts(18, 2, 0), None),
        (counts(17, 3, 0), Some("3 of 20 ended executions failed (15.00%), over the limit of 10%")),
        (counts(1, 1, 1), None),
        (counts(1, 1, 2), Some("3 of 4 ended executions did not succeed (75.00%), over the limit of 50%")),
    ] {
        let mut rollout = control(load, &[1_000]);
        let steps = decide(&mut rollout, 12 * SECOND, &[ends]);
        assert_eq!(steps.contains(&RolloutStep::Abort), reason.is_some(), "{ends:?}");
        let progress = rollout.progress(&[ends]);
        assert_eq!(progress.reason.as_deref(), reason, "{ends:?}");
        assert_eq!(progress.gauges.iter().any(AbortGauge::is_over), reason.is_some());
        if reason.is_some() {
            assert_eq!((progress.state, rollout.is_over()), (RolloutState::Aborted, true));
            assert_eq!(decide(&mut rollout, 13 * SECOND, &[ends]), [], "once is enough");
        }
    }
}

#[test]
fn a_gate_opens_with_success_and_soaks() {
    let mut rollout = control(
        "{ base_rate: 10/s, batches: [\
         { name: canary, devices: 10, success_threshold: 80%, error_threshold: 20%, soak: 5s }, { name: rest }] }",
        &[10, 1_000],
    );
    assert_eq!(rollout.first().until, 10);
    let counts = |good, bad| {
        let released = if good + bad < 5 { 9 } else { 10 };
        [BatchCounts { devices_left: bad, ..all_good(released, good) }, BatchCounts::default()]
    };
    let state = |rollout: &RolloutControl| rollout.progress(&counts(8, 1)).batches[0].state;
    // Not all told; then not enough good ones; then the gate, and the soak.
    assert_eq!(decide(&mut rollout, 11 * SECOND, &counts(4, 0)), []);
    assert_eq!(decide(&mut rollout, 12 * SECOND, &counts(7, 2)), []);
    let steps = decide(&mut rollout, 13 * SECOND, &counts(8, 1));
    assert_eq!(
        events(&steps),
        ["rollout w: gate of batch canary open with 8 of 10 devices, soaking for 5.00s"]
    );
    assert_eq!(state(&rollout), RolloutState::Soaking);
    assert_eq!(decide(&mut rollout, 17 * SECOND, &counts(8, 2)), []);
    let steps = decide(&mut rollout, 18 * SECOND, &counts(8, 2));
    assert_eq!(events(&steps), ["rollout w: batch rest begins, 990 devices"]);
    let next = release(&steps).unwrap();
    assert_eq!((next.from_us, next.first, next.until), (18_020_000, 10, 1_000));
    assert_eq!(state(&rollout), RolloutState::Complete);
    // All are through.
    let done = [counts(8, 2)[0], all_good(990, 990)];
    let steps = decide(&mut rollout, 400 * SECOND, &done);
    assert_eq!(events(&steps), ["rollout w complete: 998 of 1 000 devices succeeded"]);
    assert!(steps.contains(&RolloutStep::End));
    assert_eq!(rollout.progress(&done).state, RolloutState::Complete);
}

#[test]
fn a_batch_over_its_error_threshold_or_short_of_its_gate_stops_the_rollout() {
    let load = "{ base_rate: 10/s, batches: [\
                { name: canary, devices: 10, success_threshold: 80%, error_threshold: 40% }, { name: rest }] }";
    for (good, bad, reason) in [
        (0, 4, None),
        (0, 5, Some("5 of 10 devices of batch canary did not succeed, over its error_threshold of 40%")),
        (7, 3, Some("batch canary ended with 7 of 10 devices, short of its success_threshold of 80%")),
    ] {
        let mut rollout = control(load, &[10, 1_000]);
        let counts = [BatchCounts { devices_left: bad, ..all_good(10, good) }, BatchCounts::default()];
        decide(&mut rollout, 12 * SECOND, &counts);
        assert_eq!(rollout.progress(&counts).reason.as_deref(), reason, "{good} {bad}");
    }
}

#[test]
fn it_gives_up_in_time_and_stops_with_the_load() {
    let mut rollout = control("{ base_rate: 10/s, give_up_after: 1m }", &[1_000]);
    assert_eq!(decide(&mut rollout, 69 * SECOND, &[all_good(500, 400)]), []);
    let steps = decide(&mut rollout, 70 * SECOND, &[all_good(500, 400)]);
    assert_eq!(events(&steps), ["rollout w gave up after 1m00s, with 600 devices left"]);
    assert!(steps.contains(&RolloutStep::End));
    let mut rollout = control("{ base_rate: 10/s }", &[1_000]);
    decide(&mut rollout, 11 * SECOND, &[all_good(5, 4)]);
    rollout.stop();
    assert_eq!(rollout.progress(&[]).state, RolloutState::Stopped);
}

proptest::proptest! {
    /// Whatever the counts: places are told once, in order, and none is left out by a change of the rate.
    #[test]
    fn releases_join_without_gap_or_overlap(seconds in proptest::collection::vec(0u64..200, 1..60)) {
        let mut rollout = control(
            "{ base_rate: 7/s, max_rate: 90/s, increment_factor: 1.3, increase_after: { notified: 40 } }",
            &[1_000],
        );
        let mut release_now = rollout.first();
        let mut notified = 0;
        for (second, more) in (11u64..).zip(seconds) {
            notified += more;
            if let Some(next) = release(&decide(&mut rollout, second * SECOND, &[all_good(notified.min(1_000), 0)])) {
                proptest::prop_assert!(next.per_second > release_now.per_second);
                proptest::prop_assert!(next.first >= release_now.first && next.first <= next.until);
                if next.first > release_now.first {
                    proptest::prop_assert!(release_now.at_us(next.first - 1) < next.from_us);
                }
                if next.first < next.until {
                    proptest::prop_assert!(release_now.at_us(next.first) >= next.from_us);
                }
                release_now = next;
            }
        }
    }
}
