use super::*;
use crate::scenario::{Problems, Scenario, parse_with};

const TEXT: &str = "\
version: 1
name: small
groups:
  sensors: { count: 100, connect: { rate: 30/min }, behavior: { delay: 10ms } }
  others: { behavior: { delay: { uniform: { min: 5ms, max: 10ms } } } }
workloads:
  ping:
    command: { name: ping, timeout: 2s }
    load:
      arrival_rate:
        stages:
          - { rate: 0/s, ramp_to: 100/s, duration: 10s }
          - { duration: 30s }
thresholds:
  - expect: p99(latency{group=sensors}) < 1s
";

fn with(overrides: &Overrides) -> Result<Scenario, Problems> {
    let variables: Variables = [("N".to_owned(), "7".to_owned())].into_iter().collect();
    parse_with("small.yaml", TEXT, &variables, overrides)
}

fn set(sets: &[&str]) -> Result<Scenario, Problems> {
    with(&Overrides { sets: sets.iter().map(|set| (*set).to_owned()).collect(), ..Overrides::default() })
}

/// The stages of the first workload, as they ran.
fn stages(scenario: &Scenario) -> serde_json::Value {
    scenario.resolved()["workloads"]["ping"]["load"]["arrival_rate"]["stages"].clone()
}

fn sound(result: Result<Scenario, Problems>) -> Scenario {
    result.unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn what_is_set_is_what_the_scenario_says() {
    let scenario = sound(set(&[
        "groups.sensors.count=500",
        "groups.sensors.count=${N}",
        "groups.others.connect.keep_alive=30s",
        "groups.sensors.behavior={ delay: 1s..2s, duplicates: 1% }",
        "workloads.ping.load.arrival_rate.stages[0].rate=5/s",
        "workloads.ping.load.arrival_rate.stages[2]={ duration: 5s }",
        "target.embedded.transport=memory",
        "labels.release=4.2",
        "thresholds=[{expect: rate(succeeded) >= 99%}, {expect: count(lost) == 0, info: true}]",
        "thresholds[1].info=false",
        "seed=9",
    ]));
    assert_eq!(scenario.groups[0].count, 7);
    assert_eq!(scenario.groups[1].connect.keep_alive, Duration::from_secs(30));
    assert_eq!(scenario.groups[0].behavior.duplicates, "1%".parse().unwrap());
    assert_eq!(scenario.resolved()["target"]["embedded"]["transport"], "memory");
    assert_eq!(scenario.labels["release"], "4.2");
    assert_eq!(scenario.thresholds.iter().map(|t| t.info).collect::<Vec<_>>(), [false, false]);
    assert_eq!(scenario.seed, Some(9));
    let stages = stages(&scenario);
    assert_eq!((stages.as_array().unwrap().len(), &stages[0]["rate"]), (3, &"5/s".into()));
}

/// Each flag alone, all mistakes in one snapshot.
#[test]
fn mistakes_in_flags_point_at_the_flag() {
    let mut said = String::new();
    for flag in [
        "groups.sensors.count",
        "=5",
        "groups.sensor.count=5",
        "grups.sensors.count=5",
        "groups.sensors.cuont=5",
        "groups.sensors.count=5x",
        "groups.sensors.count=",
        "groups.others.behavior.delay.lognormal.p50=5ms",
        "groups.sensors.behavior.delay.uniform.min=5ms",
        "thresholds[3].expect=count(lost) == 0",
        "thresholds.expect=count(lost) == 0",
        "thresholds[x].info=true",
        "groups[0].count=5",
        "groups..count=5",
        "workloads.ping.load.arrival_rate.stages[0]rate=5/s",
        "thresholds[0].expect=p99(latencee) < 1s",
        "thresholds=[{expect: p99(latency{group=sensors}) < 1s}]",
        "groups.sensors={",
        "groups.sensors.client_id=${X}-{index}",
    ] {
        let problems = set(&[flag]).expect_err(flag);
        assert!(problems.problems.iter().all(|problem| problem.in_flag), "{problems}");
        said.push_str(&problems.render(false));
        said.push('\n');
    }
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_of_file_and_flags_come_together_the_file_first() {
    let text = TEXT.replace("delay: 10ms", "delay: 10");
    let overrides = Overrides {
        sets: vec!["groups.others.count=none".to_owned(), "nmae=x".to_owned()],
        ..Overrides::default()
    };
    let problems = parse_with("f", &text, &Variables::default(), &overrides).unwrap_err();
    let in_flag: Vec<bool> = problems.problems.iter().map(|problem| problem.in_flag).collect();
    assert_eq!(in_flag, [false, true, true], "{problems}");
}

#[test]
fn scale_multiplies_counts_and_rates_and_nothing_else() {
    let whole = sound(set(&[]));
    let scaled = sound(with(&Overrides { scale: Some(0.1), ..Overrides::default() }));
    assert_eq!((scaled.groups[0].count, scaled.groups[1].count), (10, 1));
    let rate = scaled.groups[0].connect.rate.unwrap().per_second();
    assert!((rate - 0.05).abs() < 1e-12, "{rate}");
    assert_eq!(stages(&scaled)[1]["rate"], "10/s");
    assert_eq!(stages(&scaled)[1]["duration"], stages(&whole)[1]["duration"]);
    let tiny = sound(with(&Overrides { scale: Some(0.001), ..Overrides::default() }));
    assert_eq!(tiny.groups[0].count, 1, "something stays something");
    let mut back = scaled.clone();
    back.groups.clone_from(&whole.groups);
    back.workloads.clone_from(&whole.workloads);
    assert_eq!(back, whole);
}

#[test]
fn a_duration_keeps_the_proportions_of_the_stages() {
    let scenario = sound(with(&Overrides { duration: Some(Duration::from_secs(4)), ..Overrides::default() }));
    assert_eq!(
        (&stages(&scenario)[0]["duration"], &stages(&scenario)[1]["duration"]),
        (&"1s".into(), &"3s".into())
    );
}

#[test]
fn what_is_set_is_scaled_too() {
    let overrides = Overrides {
        sets: vec!["groups.sensors.count=50".to_owned()],
        changes: Vec::new(),
        scale: Some(2.0),
        duration: Some(Duration::from_secs(40)),
    };
    let scenario = sound(with(&overrides));
    assert_eq!(scenario.groups[0].count, 100);
    assert_eq!(
        scenario.hash(),
        sound(set(&["groups.others.count=1"]).map(|mut s| {
            s.groups[0].connect.rate = scenario.groups[0].connect.rate;
            s.workloads.clone_from(&scenario.workloads);
            s
        }))
        .hash()
    );
}

proptest::proptest! {
    #[test]
    fn no_flag_panics(flag in "[a-z.\\[\\]0-9={}:, $\"ü]{0,40}", tail in "\\PC{0,20}") {
        let _ = set(&[&flag]);
        let _ = set(&[&format!("groups.sensors{tail}={flag}")]);
        let _ = set(&[&format!("thresholds[0].expect={tail}")]);
    }
}
