//! Scenario files: the good ones pass and come back as they were, the bad ones say what is wrong
//! and where.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fleetsim::scenario::{
    Folder, LoadError, Overrides, Problems, Scenario, Variables, load, parse_in, schema, warnings,
};
use proptest::prelude::*;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn parse_file(path: &Path) -> Result<Scenario, Problems> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    parse_in(name, &text, &Variables::default(), &Overrides::default(), &Folder::of(path))
}

/// Like [`fleetsim::scenario::parse`], with the files that [`FULL`] names.
fn parse(name: &str, text: &str, variables: &Variables) -> Result<Scenario, Problems> {
    let times = ("data/times.csv".to_owned(), b"seconds\n50.7\n176\n37.3\n".to_vec());
    parse_in(name, text, variables, &Overrides::default(), &BTreeMap::from([times]))
}

/// What each bad file says, all in one snapshot: a change of a message is seen in every place.
#[test]
fn bad_files_say_what_is_wrong_and_where() {
    let mut said = String::new();
    for path in yaml_files("tests/bad") {
        let problems = parse_file(&path).expect_err(&format!("{} has no mistake", path.display()));
        for pair in problems.problems.windows(2) {
            assert!((pair[0].line, pair[0].column) <= (pair[1].line, pair[1].column), "{}", path.display());
        }
        writeln!(said, "{}", problems.render(false)).unwrap();
    }
    insta::assert_snapshot!("bad", said);
}

#[test]
fn scenarios_of_this_release_pass_and_the_others_are_refused_by_name() {
    for path in yaml_files("scenarios") {
        match parse_file(&path) {
            Ok(scenario) => assert_eq!(Some(scenario.name.as_str()), path.file_stem().unwrap().to_str()),
            Err(problems) => {
                for problem in &problems.problems {
                    assert!(problem.message.ends_with("is not supported yet"), "{}", problems.render(false));
                }
            }
        }
    }
    for name in [
        "quickstart",
        "fleet-5000",
        "day",
        "backend-throttled",
        "capacity",
        "burst",
        "flaky-firmware",
        "outage",
        "reconnect-storm",
        "slow-radio",
        "soak",
    ] {
        let path = root().join(format!("scenarios/{name}.yaml"));
        let scenario = parse_file(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(warnings(&scenario), Vec::<String>::new(), "{name}");
    }
}

/// One of everything that this release supports.
const FULL: &str = r#"
version: 1
name: full
description: "one of everything, ${WHERE:-here}"
labels: { team: ota, release: "4.2.0" }
seed: 18446744073709551615
validity: { max_lag: 500ms }
target: { embedded: { mqtt: 127.0.0.1:1883, http: "[::1]:8080", region: eu-west-1, account: "000000000001", link_delay: 15ms..40ms, faults: {
  start: { errors: { ThrottlingException: 2%, InternalServerException: 0.5% }, rate: 3/h },
  get: { latency: 5ms..20ms, errors: { ResourceNotFoundException: 1% } }, create: { rate: 50/min },
  publishes: { dropped: 0.1%, delayed: { share: 1%, by: { lognormal: { p50: 1s, p99: 9s } } } } } } }
driver: { via: http, connections: 7, timeout: 1m 30s }
groups:
  zebra:
    count: 10
    client_id: "{group}:{seed}_{index:03}x{index}"
    thing_name: "{group}-{index}"
    attributes: { model: Z1, "site/floor": "2, left" }
    connect:
      rate: 50/min
      auth: { username: zebra }
      mqtt: "5"
      clean_session: false
      start_delay: 0s..2s
      keep_alive: 65535s
      backoff: { initial: 500ms, max: 30s, factor: 1.5, jitter: equal, max_attempts: 7 }
      drops: { every: { lognormal: { p50: 10m, p99: 1h } }, down_for: 2s..5s, mid_command: 2% }
    behavior: &slow
      accept_delay: { constant: 20ms }
      delay: { lognormal: { p50: 120ms, p99: 2s } }
      outcomes:
        rejected: { share: 33.3%, reason_code: BATTERY_LOW, reason: "not now: 5 %", delay: 100ms..300ms }
        failed: 0.1%
        no_answer: 0%
        late: { share: 0.5%, by: 5s..60s, reason_code: RADIO_SLEPT, reason: asleep }
        timed_out: 1%
      duplicates: 0.25%
      result: { id: { s: "{group} {index:03} of {seed} {{}}" }, ok: { b: true }, raw: { bin: "{index}" } }
  ant:
    connect: { mqtt: 3.1.1, backoff: { max: 100ms, factor: 3 }, drops: { mid_command: 1% } }
    behavior:
      <<: *slow
      delay: 1m 30s
      outcomes: { succeeded: { share: 50%, delay: { uniform: { min: 0s, max: 1us } } }, failed: 50% }
  odd:
    count: 3
    behavior:
      accept_delay: { normal: { mean: 100ms, sd: 20ms } }
      delay:
        mix:
          - { weight: 85, of: { exponential: { mean: 20s } } }
          - { weight: 0.5, of: { pareto: { min: 5s, shape: 1.5 } } }
          - { weight: 14.5, of: { empirical: { file: data/times.csv, column: seconds, unit: s } } }
      wait_accepted: false
      max_parallel: 4
      when_busy: reject
      slow_start: { for: 2m, times: 3 }
      out_of_order: 1%
      malformed: 0.5%
  mid: { count: 7, address: client, connect: { rate: max }, behavior: { delay: 0s, outcomes: { succeeded: 97.5%, failed: 2.5% } } }
workloads:
  b:
    command: { name: get-state, payload: 'plain $${text} $$$${ {x}', format: text, timeout: 12h }
    groups: [mid, zebra]
    select: round_robin
    start_after: 1m
    load:
      arrival_rate:
        spacing: even
        stages:
          - { name: warm-up, rate: 0/s, ramp_to: 0.1/min, duration: 1h, warm_up: true }
          - { duration: 1d }
          - { rate: 3/h, duration: 1d }
  a:
    command: { name: reboot }
    load: { arrival_rate: { stages: [{ rate: 40/s, duration: 12s }] } }
  loop:
    command: { name: reboot }
    load: { concurrency: { stages: [{ in_flight: 3, duration: 5s }, { ramp_to: 0, duration: 1m }], think_time: 1s..2s } }
  grow:
    command: { name: reboot }
    load:
      rollout:
        base_rate: 50/min
        max_rate: 100/s
        increment_factor: 1.5
        increase_after: { notified: 100 }
        abort_when: [{ status: timed_out, over: 10%, min_executed: 300 }]
        retry: { failed: 1 }
        give_up_after: 2h
  gates:
    command: { name: reboot }
    load:
      rollout:
        base_rate: 2/s
        batches:
          - { name: canary, devices: 3, success_threshold: 90%, error_threshold: 5%, soak: 1h }
          - { name: half, devices: 50% }
          - { name: rest }
  burst:
    command: { name: reboot }
    load: { once: { devices: 12.5%, within: 1m 1s } }
  c:
    command:
      name: set-mode
      template:
        mode: "${aws:iot:commandexecution::parameter:mode}"
        more: ["level ${aws:iot:commandexecution::parameter:a.level}", "${aws:iot:commandexecution::parameter:factor}"]
        on: "${aws:iot:commandexecution::parameter:on}"
        id: "${aws:iot:commandexecution::parameter:id}"
        within: "${aws:iot:commandexecution::executionTimeoutSec}"
      parameters:
        mode: { each: [eco, boost, "7"] }
        a.level: { range: [-1, 5] }
        factor: { range: [0.5, 1.0] }
        on: true
        id: 9007199254740993
      format: cbor
    groups: [mid]
    load: { arrival_rate: { stages: [{ rate: 4/s, duration: 5s }] } }
  d:
    command: { name: set-all, payload: { level: 3, factor: 1.50, on: true, of: [~, "x"] }, format: cbor }
    groups: [mid]
    load: { arrival_rate: { stages: [{ rate: 4/s, duration: 5s }] } }
timeline:
  - { at: 10s, do: disconnect, groups: [zebra, ant], share: 12.5%, for: 1m 30s }
  - { at: 0s, do: disconnect }
  - { at: 1m, do: silence, for: 5s }
  - { at: 1m, do: slow, times: 2.5, groups: [mid], for: 1h }
  - { at: 2s, do: backend_stall, for: 1s }
  - { at: 3s, do: backend_restart, for: 250ms }
thresholds:
  - expect: "p99.9(latency{group=ant,workload=a}) < 1m 30s"
  - { expect: "count(refused{error=ThrottlingException}) <= 5", abort: true, after: 10s, info: true }
  - expect: max(connect) < 5s
  - expect: rate(devices_succeeded{workload=grow}) >= 97%
"#;

fn full() -> Scenario {
    parse("full.yaml", FULL, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn assert_comes_back(scenario: &Scenario) {
    let resolved = scenario.resolved();
    let json = serde_json::to_string_pretty(&resolved).unwrap();
    let yaml = serde_yaml::to_string(&resolved).unwrap();
    for text in [json, yaml] {
        let again = parse("resolved", &text, &Variables::default())
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        assert_eq!(&again, scenario, "{text}");
        assert_eq!(again.resolved(), resolved);
        assert_eq!(again.hash(), scenario.hash());
    }
}

#[test]
fn a_resolved_scenario_is_the_same_scenario() {
    assert_comes_back(&full());
    let target = "target: { embedded: { mqtt: 127.0.0.1:1883,";
    let text =
        FULL.replace(target, "target: { embedded: { transport: memory,").replace("via: http", "via: direct");
    assert_comes_back(&parse("memory.yaml", &text, &Variables::default()).unwrap());
    for name in ["quickstart", "fleet-5000", "day"] {
        assert_comes_back(&parse_file(&root().join(format!("scenarios/{name}.yaml"))).unwrap());
    }
}

#[test]
fn a_resolved_scenario_shows_every_default() {
    let scenario = parse_file(&root().join("scenarios/quickstart.yaml")).unwrap();
    insta::assert_snapshot!(
        "resolved-quickstart",
        serde_json::to_string_pretty(&scenario.resolved()).unwrap()
    );
    insta::assert_snapshot!("resolved-full", serde_json::to_string_pretty(&full().resolved()).unwrap());
}

#[test]
fn the_hash_ignores_the_seed_and_nothing_else_that_runs() {
    let scenario = full();
    let other_seed = Scenario { seed: Some(1), ..scenario.clone() };
    assert_eq!(other_seed.hash(), scenario.hash());
    let mut other_count = scenario.clone();
    other_count.groups[0].count += 1;
    assert_ne!(other_count.hash(), scenario.hash());
    assert_eq!(scenario.hash().len(), 64);
}

#[test]
fn a_password_reaches_the_devices_and_no_output() {
    let text = FULL.replace("username: zebra", "username: zebra, password: \"${SECRET}\"");
    let variables: Variables = [("SECRET".to_owned(), "hunter2".to_owned())].into_iter().collect();
    let scenario = parse("f", &text, &variables).unwrap_or_else(|problems| panic!("{problems}"));
    let auth = scenario.groups[0].connect.auth.as_ref().unwrap();
    assert_eq!(auth.password.as_deref(), Some("hunter2"));
    let resolved = scenario.resolved();
    assert_eq!(resolved["groups"]["zebra"]["connect"]["auth"]["password"], "***");
    assert!(!resolved.to_string().contains("hunter2") && !format!("{scenario:?}").contains("hunter2"));
    let other: Variables = [("SECRET".to_owned(), "other".to_owned())].into_iter().collect();
    assert_eq!(parse("f", &text, &other).unwrap().hash(), scenario.hash(), "a hash would tell guesses apart");
}

#[test]
fn measured_delays_count_in_the_hash_and_a_resolved_scenario_holds_to_them() {
    let other: BTreeMap<String, Vec<u8>> =
        [("data/times.csv".to_owned(), b"seconds\n50.7\n176\n37.4\n".to_vec())].into();
    let read = |text: &str, files: &BTreeMap<String, Vec<u8>>| {
        parse_in("f", text, &Variables::default(), &Overrides::default(), files)
    };
    let changed = read(FULL, &other).unwrap();
    assert_ne!(changed.hash(), full().hash());
    let resolved = full().resolved().to_string();
    let problems = read(&resolved, &other).unwrap_err();
    assert_eq!(problems.problems.len(), 1);
    assert!(problems.problems[0].message.contains("are not those that"), "{problems}");
    assert!(!problems.are_missing_files());
    let nothing = BTreeMap::<String, Vec<u8>>::new();
    let problems = read(FULL, &nothing).unwrap_err();
    assert!(problems.are_missing_files(), "{problems}");
}

#[test]
fn groups_and_workloads_keep_the_order_of_the_file() {
    let shape = full().shape();
    assert_eq!(shape.groups, ["zebra", "ant", "odd", "mid"]);
    assert_eq!(shape.workloads, ["b", "a", "loop", "grow", "gates", "burst", "c", "d"]);
    assert_eq!(full().workloads[0].groups, [0, 3]);
}

#[test]
fn variables_are_only_those_that_were_passed() {
    let text = FULL.replace("count: 7", "count: \"${COUNT}\"");
    let given: Variables = [("COUNT".to_owned(), "12".to_owned())].into_iter().collect();
    assert_eq!(parse("f", &text, &given).unwrap().groups[3].count, 12);
    let problems = parse("f", &text, &Variables::default()).unwrap_err();
    assert_eq!(problems.problems.len(), 1);
    assert_eq!(problems.problems[0].message, "the variable `COUNT` is not set");
}

#[test]
fn a_payload_may_stand_in_a_file() {
    let large = "x".repeat(32_769);
    let files: BTreeMap<String, Vec<u8>> = [
        ("p/a.json", &br#"{ "a": 1 }"#[..]),
        ("p/b.cbor", b"\xa1\x61a\x01"),
        ("p/c.cbor", b"\xa1\x61a\x41\xff"),
        ("p/d.txt", "größer\n".as_bytes()),
        ("p/bad.json", b"{"),
        ("p/bad.cbor", b"\xff"),
        ("p/bad.txt", b"\xff"),
        ("p/large.txt", large.as_bytes()),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
    .collect();
    let text = |file: &str, format: &str| {
        format!(
            "version: 1\nname: p\ngroups: {{ g: {{ behavior: {{ delay: 1ms }} }} }}\nworkloads: {{ w: {{ command: \
             {{ name: c, payload_file: {file}, format: {format} }}, load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, \
             duration: 1s }}] }} }} }} }}\n"
        )
    };
    for (file, format, bytes, spelled) in [
        ("p/a.json", "json", &br#"{ "a": 1 }"#[..], true),
        ("p/a.json", "cbor", b"\xa1\x61a\x01", true),
        ("p/b.cbor", "cbor", b"\xa1\x61a\x01", true),
        ("p/c.cbor", "cbor", b"\xa1\x61a\x41\xff", false),
        ("p/d.txt", "text", "größer\n".as_bytes(), true),
    ] {
        let scenario =
            parse_in("p.yaml", &text(file, format), &Variables::default(), &Overrides::default(), &files);
        let scenario = scenario.unwrap_or_else(|problems| panic!("{problems}"));
        let sent = scenario.workloads[0].command.request().unwrap().payload.unwrap().content;
        assert_eq!(sent, bytes, "{file} {format}");
        // A resolved scenario stands alone wherever it can.
        let resolved = scenario.resolved().to_string();
        let again = if spelled {
            parse("resolved", &resolved, &Variables::default())
        } else {
            parse_in("resolved", &resolved, &Variables::default(), &Overrides::default(), &files)
        };
        assert_eq!(again.unwrap_or_else(|problems| panic!("{problems}")), scenario, "{file} {format}");
    }
    for (file, format, expected) in [
        ("p/bad.json", "json", "the payload in `p/bad.json` is not JSON"),
        ("p/bad.json", "cbor", "the payload in `p/bad.json` is not JSON"),
        ("p/bad.cbor", "cbor", "the payload in `p/bad.cbor` is not CBOR"),
        ("p/bad.txt", "text", "the payload in `p/bad.txt` is not UTF-8 from byte 0 on"),
        ("p/large.txt", "text", "the file `p/large.txt` is larger than 32768 bytes"),
        ("p/none.txt", "text", "the file `p/none.txt` does not exist"),
    ] {
        let problems =
            parse_in("p.yaml", &text(file, format), &Variables::default(), &Overrides::default(), &files)
                .unwrap_err();
        let said: Vec<_> = problems.problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(said.len() == 1 && said[0].starts_with(expected), "{file}: {said:?}");
    }
}

#[test]
fn a_payload_may_be_a_map_in_every_format_but_text() {
    let payload = |command: &str| {
        let text = format!(
            "version: 1\nname: p\ngroups: {{ g: {{ behavior: {{ delay: 1ms }} }} }}\nworkloads: {{ w: {{ command: {command}, \
             load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, duration: 1s }}] }} }} }} }}\n"
        );
        let scenario =
            parse("p.yaml", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        let request = scenario.workloads[0].command.request().unwrap().payload.unwrap();
        (request.content, request.content_type.unwrap())
    };
    for (command, bytes, content_type) in [
        ("{ name: c }", &b"{}"[..], "application/json"),
        ("{ name: c, payload: { a: 1, b: [x, 1.5] } }", br#"{"a":1,"b":["x",1.5]}"#, "application/json"),
        ("{ name: c, payload: '{ \"a\": 1 }' }", br#"{ "a": 1 }"#, "application/json"),
        ("{ name: c, format: cbor }", b"\xa0", "application/cbor"),
        ("{ name: c, payload: { a: 0x10 }, format: cbor }", b"\xa1\x61a\x10", "application/cbor"),
        ("{ name: c, payload: '[null, true]', format: cbor }", b"\x82\xf6\xf5", "application/cbor"),
        ("{ name: c, payload: reboot, format: text }", b"reboot", "text/plain"),
    ] {
        assert_eq!(payload(command), (bytes.to_vec(), content_type.to_owned()), "{command}");
    }
}

#[test]
fn a_missing_file_is_not_a_mistake_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no-such.yaml");
    let error = load(&missing, &Variables::default()).unwrap_err();
    assert!(matches!(error, LoadError::Missing { .. }), "{error}");
    assert_eq!(error.to_string(), format!("scenario file {} does not exist", missing.display()));

    let error = load(folder.path(), &Variables::default()).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");

    let binary = folder.path().join("binary.yaml");
    fs::write(&binary, b"version: 1\nname: \xff\n").unwrap();
    let LoadError::Problems(problems) = load(&binary, &Variables::default()).unwrap_err() else { panic!() };
    assert_eq!((problems.problems[0].line, problems.problems[0].column), (2, 7));

    let huge = folder.path().join("huge.yaml");
    fs::write(&huge, vec![b'#'; 2 * 1024 * 1024]).unwrap();
    let error = load(&huge, &Variables::default()).unwrap_err();
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
}

#[test]
fn doubts_are_warnings() {
    let text = FULL.replace("rate: 40/s, duration: 12s", "rate: 400/s, duration: 12s, warm_up: true");
    let text = text.replace(
        "warm_up: true }\n          - { duration: 1d }\n          - { rate: 3/h, duration: 1d }",
        "warm_up: true }",
    );
    let text = text.replace("via: http", "via: direct");
    let burst = text.find("  loop:").unwrap()..text.find("thresholds:").unwrap();
    let text = format!("{}{}", &text[..burst.start], &text[burst.end..]);
    let text = text.replace("  - expect: rate(devices_succeeded{workload=grow}) >= 97%\n", "");
    let scenario = parse("f", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
    insta::assert_snapshot!("warnings", warnings(&scenario).join("\n"));
}

/// Every way to make `value` wrong by leaving one thing out or putting another in its place.
fn mutations(value: &Value) -> Vec<Value> {
    let replaced = [
        Value::Null,
        Value::Bool(true),
        Value::from(7),
        Value::from("x"),
        serde_json::json!({}),
        serde_json::json!([]),
    ];
    let mut all: Vec<Value> = replaced.into_iter().filter(|other| other != value).collect();
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let mut without = map.clone();
                without.shift_remove(key);
                all.push(Value::Object(without));
                let mut renamed = map.clone();
                renamed.insert(format!("{key}_"), inner.clone());
                all.push(Value::Object(renamed));
                all.extend(mutations(inner).into_iter().map(|mutated| {
                    let mut changed = map.clone();
                    changed.insert(key.clone(), mutated);
                    Value::Object(changed)
                }));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                all.extend(mutations(inner).into_iter().map(|mutated| {
                    let mut changed = items.clone();
                    changed[index] = mutated;
                    Value::Array(changed)
                }));
            }
        }
        _ => {}
    }
    all
}

/// The schema that editors read and our own check come from the same types but by different ways:
/// what the schema refuses the check must refuse, and what the check refuses for its form (not its
/// meaning) the schema must refuse.
#[test]
fn schema_and_check_refuse_the_same_documents() {
    /// Mistakes that no schema knows: what the words mean together, and what a text holds.
    const MEANING: &[&str] = &[
        "add up to",
        "unknown group",
        "this threshold cannot be read",
        "unknown metric",
        "devices; 1 to",
        "start nothing",
        "has no `",
        "needs a `reason_code`",
        "is needed",
        "one client id",
        "too alike",
        "both have a device",
        "payload",
        "at least one",
        "no group is named",
        "a stage must last",
        "must be shorter",
        "longer than the largest",
        "unknown workload",
        "needs a `rate`",
        "client id",
        "thing name",
        "template",
        "parameter",
        "not to a thing",
        "the label",
        "must not be shorter",
        "it must last longer",
        "must be longer than",
        "leave `select` out",
        "starts nothing at all",
        "does not exist",
        "unknown column",
        "are not those that",
        "must add up to more than",
        "whose reply could be waited for",
        "in flight are possible",
        "needs an `in_flight`",
        "is possible: 1.1 to 5 are",
        "is not possible",
        "not be below base_rate",
        "is ever told",
        "does nothing without",
        "take either",
        "batches have their gates",
        "cannot grow after",
        "may leave `devices` out",
        "is called",
        "the batches have more devices",
        "stops all",
        "retries are too many",
        "cannot stop the run",
        "devices are more than",
        "needs a `for`",
        "needs `times`",
        "`times` belongs to slow",
        "begins or ends within",
        "it happens to nobody",
        "happens to the embedded backend",
    ];
    let validator = jsonschema::draft7::new(&schema()).unwrap();
    let full = full().resolved();
    assert!(
        validator.is_valid(&full),
        "{:?}",
        validator.iter_errors(&full).map(|e| e.to_string()).collect::<Vec<_>>()
    );
    let all = mutations(&full);
    assert!(all.len() > 500, "{}", all.len());
    for document in all {
        let by_schema: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        match parse("f", &serde_json::to_string_pretty(&document).unwrap(), &Variables::default()) {
            Ok(_) => assert!(by_schema.is_empty(), "only the schema refuses: {by_schema:?}\n{document}"),
            Err(problems) => {
                let by_form = |message: &str| !MEANING.iter().any(|meaning| message.contains(meaning));
                let form = problems.problems.iter().find(|problem| by_form(&problem.message));
                assert!(
                    form.is_none() || !by_schema.is_empty(),
                    "the schema lets pass: {problems}\n{document}"
                );
            }
        }
    }
}

#[test]
fn the_schema_describes_every_key() {
    fn check(schema: &Value, path: &str, undescribed: &mut Vec<String>) {
        for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if property.get("description").is_none() {
                undescribed.push(format!("{path}.{key}"));
            }
        }
        for (name, definition) in schema.get("definitions").and_then(Value::as_object).into_iter().flatten() {
            check(definition, name, undescribed);
        }
    }
    let mut undescribed = Vec::new();
    check(&schema(), "", &mut undescribed);
    assert_eq!(undescribed, Vec::<String>::new());
}

/// Texts near a scenario: a good one with a stretch cut out, doubled, or replaced.
fn nearly_scenarios() -> impl Strategy<Value = String> {
    let junk = prop_oneof![
        "[a-z{}\\[\\]:,&*!|>%@`\"' \t\n#-]{0,12}",
        "\\PC{0,8}",
        Just("${X}".to_owned()),
        Just("<<: *slow".to_owned())
    ];
    (0..FULL.len(), 0usize..60, junk).prop_map(|(at, length, junk)| {
        let mut text: Vec<char> = FULL.chars().collect();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, junk.chars());
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn no_text_panics_and_every_refusal_can_be_drawn(text in prop_oneof![nearly_scenarios(), "\\PC{0,200}"]) {
        match parse("f", &text, &Variables::default()) {
            Ok(scenario) => assert_comes_back(&scenario),
            Err(problems) => {
                prop_assert!(!problems.problems.is_empty());
                for problem in &problems.problems {
                    prop_assert!(problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty());
                }
                problems.render(true);
            }
        }
    }
}

#[test]
fn a_session_token_of_nothing_is_none() {
    let text = "version: 1\nname: s\ntarget: { endpoint: { mqtt: mqtt://a, http: http://b, credentials: { access_key_id: \
                A, secret_access_key: B, session_token: \"${TOKEN:-}\" } } }\ngroups: { g: { behavior: { delay: 1s } } }\n\
                workloads: { w: { command: { name: c }, load: { once: {} } } }\n";
    let scenario = parse("s", text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let fleetsim::scenario::Target::Endpoint(endpoint) = &scenario.target else {
        panic!("{:?}", scenario.target)
    };
    assert_eq!(endpoint.credentials.as_ref().unwrap().session_token, None);
}
