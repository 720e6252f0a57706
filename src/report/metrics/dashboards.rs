//! The dashboards ask for nothing that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::report::sample;
use crate::stats::{AbortGauge, BatchProgress, RateStep, RolloutProgress};

/// A run that has something of everything.
fn everything() -> Snapshot {
    let mut snapshot = sample::measuring();
    let totals = Arc::make_mut(&mut snapshot.totals);
    totals.dropped.insert("shard reports", 1);
    totals.noted.insert("planned drops", 1);
    snapshot.faults.insert("StartCommandExecution failed", 1);
    snapshot.rollouts = vec![RolloutProgress {
        batches: vec![BatchProgress { name: "canary".to_owned(), devices: 10, ..BatchProgress::default() }],
        gauges: vec![AbortGauge { status: "failed", over: 0.1, min_executed: 1, count: 1, executed: 20 }],
        rates: vec![RateStep { at_us: 0, per_second: 2.0 }],
        ..RolloutProgress::default()
    }];
    snapshot
}

/// The labels of every series name, and of every family, which is what a native histogram is called.
fn exposed() -> BTreeMap<String, BTreeSet<String>> {
    let text = Metrics::of_snapshot(&Arc::new(sample::scenario()), 1, false, &Arc::new(everything())).text();
    let mut exposed = BTreeMap::<String, BTreeSet<String>>::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once('{').unwrap();
        let mut labels: BTreeSet<String> = selectors(rest).into_iter().collect();
        // Prometheus adds them when it scrapes.
        labels.extend(["job".to_owned(), "instance".to_owned()]);
        exposed.entry(name.to_owned()).or_default().extend(labels.clone());
        if let Some(family) = name.strip_suffix("_bucket") {
            exposed.entry(family.to_owned()).or_default().extend(labels);
        }
    }
    exposed
}

/// The names of the labels up to the closing brace.
fn selectors(text: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted) = (Vec::new(), String::new(), false);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '"' if before != '\\' => quoted = !quoted,
            _ if quoted => {}
            '}' => break,
            ',' => name.clear(),
            '=' | '!' => names.extend(Some(std::mem::take(&mut name)).filter(|name| !name.is_empty())),
            '~' => {}
            _ => name.push(c),
        }
        before = c;
    }
    names.iter().map(|name| name.trim().to_owned()).collect()
}

/// What one query names: metrics with the labels that it selects by, and labels that it groups by.
fn named(query: &str) -> (Vec<(String, Vec<String>)>, Vec<String>) {
    let mut metrics = Vec::new();
    for (at, _) in query.match_indices("fleetsim_") {
        let rest = &query[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let labels = rest[end..].strip_prefix('{').map(selectors).unwrap_or_default();
        metrics.push((rest[..end].to_owned(), labels));
    }
    let mut groups = Vec::new();
    for (at, _) in query.match_indices("by (") {
        let list = query[at + 4..].split(')').next().unwrap();
        groups.extend(list.split(',').map(|label| label.trim().to_owned()));
    }
    (metrics, groups)
}

/// Every text under these keys, wherever it stands.
fn texts(value: &Value, keys: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(text.clone()),
                    _ => texts(value, keys, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, keys, found)),
        _ => {}
    }
}

fn dashboards() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect()
}

#[test]
fn every_metric_and_label_that_a_dashboard_names_is_exposed() {
    let exposed = exposed();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (board, dashboard) in dashboards() {
        let mut queries = Vec::new();
        texts(&dashboard, &["expr", "definition"], &mut queries);
        assert!(queries.len() > 8, "{board} has few queries: {queries:?}");
        for query in queries {
            let (metrics, mut groups) = named(&query);
            if let Some((_, label)) =
                query.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(','))
            {
                groups.push(label.trim_matches([' ', ')']).to_owned());
            }
            let there: BTreeSet<&String> =
                metrics.iter().filter_map(|(name, _)| exposed.get(name)).flatten().collect();
            for (metric, labels) in &metrics {
                used.insert(metric.clone());
                match exposed.get(metric) {
                    None => wrong.push(format!("{board}: no metric {metric}: {query}")),
                    Some(labelled) => wrong.extend(
                        labels
                            .iter()
                            .filter(|label| !labelled.contains(*label))
                            .map(|label| format!("{board}: {metric} has no label {label}: {query}")),
                    ),
                }
            }
            let missing = groups.iter().filter(|label| !there.contains(label));
            wrong.extend(missing.map(|label| format!("{board}: nothing has the label {label}: {query}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(used.len() > 30, "{used:?}");
}

#[test]
fn dashboards_are_imported_as_well_as_provisioned() {
    let all = dashboards();
    assert_eq!(all.len(), 3);
    for (board, dashboard) in &all {
        assert_eq!(dashboard["id"], Value::Null, "{board}");
        assert_eq!(dashboard["uid"], format!("fleetsim-{board}"));
        assert_eq!(dashboard["graphTooltip"], 1, "{board}: a shared crosshair");
        let variables: Vec<_> = dashboard["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(variables[..5], ["datasource", "job", "scenario", "workload", "group"], "{board}");
        let (mut places, mut ids) = (Vec::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{board}: twice the same id");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            let place = (at("x"), at("y"), at("x") + at("w"), at("y") + at("h"));
            assert!(place.2 <= 24, "{board}: {}", panel["title"]);
            for other in &places {
                let (x, y, right, bottom): (u64, u64, u64, u64) = *other;
                let apart = place.0 >= right || place.2 <= x || place.1 >= bottom || place.3 <= y;
                assert!(apart, "{board}: {} lies over another panel", panel["title"]);
            }
            places.push(place);
            if panel["type"] != "row" {
                assert_eq!(panel["datasource"]["uid"], "${datasource}", "{board}: {}", panel["title"]);
            }
        }
    }
}
