//! What a scraper gets.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::exit::Exit;
use crate::report::{run_result, sample};

fn live(snapshot: Snapshot) -> Metrics {
    Metrics::of_snapshot(&Arc::new(sample::scenario()), 1, false, &Arc::new(snapshot))
}

fn ended(snapshot: Snapshot) -> Metrics {
    Metrics::of_result(&run_result(&sample::report(snapshot, Exit::Thresholds)))
}

#[test]
fn the_names_are_pinned() {
    insta::assert_snapshot!(ended(sample::done()).text());
}

#[test]
fn a_run_under_way_and_its_result_say_the_same() {
    for snapshot in [sample::connecting(), sample::done()] {
        let (live, ended) = (live(snapshot.clone()).text(), ended(snapshot.clone()).text());
        let figures = |text: &str, but: &[&str]| -> BTreeSet<String> {
            text.lines()
                .filter(|line| !but.iter().any(|name| line.contains(name)))
                .map(str::to_owned)
                .collect()
        };
        // The sample's report took a little longer than its last snapshot; a live one has its last second's CPU.
        let but = ["elapsed", "tempo", "exit_code", "verdict", "cpu"];
        assert_eq!(figures(&live, &but), figures(&ended, &but));
    }
}

#[test]
fn no_series_is_there_twice_and_every_one_has_the_scenario_and_its_labels() {
    let mut scenario = sample::scenario();
    scenario
        .labels
        .extend([("a-b", "1"), ("a.b", "2"), ("le", "3")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    let mut snapshot = sample::done();
    scenario.thresholds.push(scenario.thresholds[0].clone());
    snapshot.shape = Arc::clone(snapshot.totals.shape());
    let text = Metrics::of_snapshot(&Arc::new(scenario), 1, false, &Arc::new(snapshot)).text();
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        assert!(seen.insert(series), "twice: {series}");
        for label in [
            "scenario=\"ci-smoke\"",
            "label_team=\"fleet\"",
            "label_a_b=\"1\"",
            "label_a_b_2=\"2\"",
            "label_le=\"3\"",
        ] {
            assert!(series.contains(label), "{label} is missing: {series}");
        }
    }
}

#[test]
fn names_from_outside_are_escaped_and_bounded() {
    let mut snapshot = sample::done();
    let counts = Arc::make_mut(&mut snapshot.totals).counts_mut(crate::stats::Part::Measured, 0, 0);
    for n in 0..300 {
        counts.refuse(&Arc::from(format!("E{n}\"}}\n\u{1b}[31m")));
    }
    let text = live(snapshot).text();
    let refused: Vec<_> = text.lines().filter(|line| line.starts_with("fleetsim_refused_total{")).collect();
    assert_eq!(refused.len(), 101);
    assert!(refused.iter().any(|line| line.contains("error=\"other\"")));
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn who_asks_for_nothing_gets_text() {
    for (accept, wanted) in [
        ("", Format::Text),
        ("*/*", Format::Text),
        ("text/html, application/json", Format::Text),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,text/plain;q=0.3",
            Format::Protobuf,
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            Format::Text,
        ),
        ("text/plain;q=0.9, application/openmetrics-text;q=0.95", Format::OpenMetrics),
    ] {
        assert_eq!(Format::wanted(accept), wanted, "{accept}");
    }
}

#[test]
fn protobuf_has_native_and_classic_buckets() {
    use prometheus_client::encoding::prometheus_protobuf::encode;
    let metrics = ended(sample::done());
    let families = encode(&metrics.registry()).unwrap();
    let family = families.iter().find(|family| family.name == "fleetsim_command_latency_seconds").unwrap();
    let mut counted = 0;
    for metric in &family.metric {
        let histogram = metric.histogram.as_ref().unwrap();
        assert_eq!(histogram.schema, 3);
        let (mut count, mut sum) = (0, 0);
        for delta in &histogram.positive_delta {
            count += delta;
            sum += count;
        }
        assert_eq!(u64::try_from(sum).unwrap(), histogram.sample_count);
        let buckets: u32 = histogram.positive_span.iter().map(|span| span.length).sum();
        assert_eq!(buckets as usize, histogram.positive_delta.len());
        assert_eq!(histogram.bucket.last().unwrap().cumulative_count, histogram.sample_count);
        counted += histogram.sample_count;
    }
    let result = run_result(&sample::report(sample::done(), Exit::Ok));
    let spans = result.spans.iter().filter(|span| span.span == "latency");
    assert_eq!(counted, spans.map(|span| span.count).sum::<u64>());
    assert!(!metrics.encode(Format::Protobuf).is_empty());
    assert!(metrics.encode(Format::OpenMetrics).ends_with(b"# EOF\n"));
}
