//! The page is checked as a browser would read it: what stands in it as text, as numbers, and as markup.

use sha2::{Digest as _, Sha256};

use super::*;
use crate::exit::Exit;
use crate::report::result::{EventResult, HeatResult, Point, run_result};
use crate::report::sample;
use crate::stats::Phase;

const EVIL: &str = "<script>alert(1)</script><img src=x onerror=\"alert(2)\">'&\u{202e}";

fn done() -> RunResult {
    run_result(&sample::report(sample::done(), Exit::Thresholds))
}

/// The page without its scripts and styles.
fn markup(page: &str) -> String {
    let mut rest = page;
    let mut markup = String::new();
    while let Some(begin) = ["<script", "<style"].iter().filter_map(|tag| rest.find(tag)).min() {
        let end = if rest[begin..].starts_with("<script") { "</script>" } else { "</style>" };
        markup.push_str(&rest[..begin]);
        rest = &rest[begin + rest[begin..].find(end).unwrap() + end.len()..];
    }
    markup + rest
}

/// The text between `begin` and `end`, every time.
fn all_between<'a>(page: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    page.split(begin).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

#[test]
fn names_from_outside_stay_text_wherever_they_stand() {
    let mut result = done();
    let evil = || EVIL.to_owned();
    result.scenario.name = evil();
    result.scenario.description = evil();
    result.scenario.labels.insert(evil(), evil());
    result.scenario.resolved = serde_json::json!({ EVIL: EVIL });
    result.run.problem = Some(evil());
    result.run.target = evil();
    result.thresholds[0].expect = evil();
    result.ledger.anomalies[0].device = evil();
    result.ledger.anomalies[0].last_seen = evil();
    result.events.push(EventResult { at_us: 1, text: evil() });
    let (name, group) = result.groups.shift_remove_index(0).unwrap();
    result.groups.insert(evil(), group);
    result.spans.iter_mut().filter(|span| span.group == name).for_each(|span| span.group = evil());
    result.totals.measured.refused_by_error.insert(evil(), 1);
    result.faults.insert(evil(), 1);
    let page = html(&result);
    // Columns, uPlot and our own: nothing else begins or ends a script.
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (3, 3));
    let markup = markup(&page);
    assert!(!markup.contains("<img") && !markup.contains("alert(2)\">"), "{markup}");
    assert!(!markup.contains('\u{202e}'));
    assert!(markup.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{markup}");
    let data = all_between(&page, "id=\"data\">", "</script>")[0];
    assert!(!data.contains('<') && !data.contains('&'));
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let shown = EVIL.replace('\u{202e}', "\u{fffd}");
    assert!(data["marks"].as_array().unwrap().iter().any(|mark| mark["text"] == shown));
}

#[test]
fn a_browser_runs_what_the_policy_names_and_nothing_else() {
    for exit in [Exit::Ok, Exit::Thresholds] {
        let page = html(&run_result(&sample::report(sample::done(), exit)));
        let policy = all_between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"")[0];
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("connect-src"), "{policy}");
        for (tag, end) in [("<script>", "</script>"), ("<style>", "</style>")] {
            let texts = all_between(&page, tag, end);
            assert_eq!(texts.len(), 2);
            for text in texts {
                assert!(policy.contains(&policy::hashes(&[text])), "{policy}");
            }
        }
        // Neither would be obeyed under this policy: a page that needs them would look broken.
        let markup = markup(&page);
        assert!(!markup.contains(" style=") && !markup.contains(" onclick="), "{markup}");
        assert!(!markup.contains("http:") && !markup.contains("https:"), "{markup}");
    }
}

#[test]
fn what_others_wrote_is_what_they_published() {
    for (text, hash) in [
        (UPLOT_JS, "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
        (UPLOT_CSS, "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
        (
            include_str!("vendor/uPlot.LICENSE"),
            "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
        ),
    ] {
        let ours = Sha256::digest(text.as_bytes());
        assert!(
            ours.iter().zip(0..).all(|(byte, at)| hash[2 * at..2 * at + 2] == format!("{byte:02x}")),
            "{hash}"
        );
    }
}

#[test]
fn figures_in_the_page_are_those_of_the_result() {
    let result = done();
    let page = html(&result);
    let row = |kind: &str, name: &str| {
        let begin = format!("<tr data-row=\"{kind}\" data-name=\"{name}\">");
        let row = all_between(&page, &begin, "</tr>")[0];
        all_between(row, "data-v=\"", "\"").into_iter().map(|v| v.parse().unwrap()).collect::<Vec<u64>>()
    };
    for (name, group) in &result.groups {
        let span = result
            .spans
            .iter()
            .find(|span| span.span == "latency" && span.group == *name && span.outcome == "succeeded");
        let p = span.unwrap().percentiles;
        let measured = &group.totals.measured;
        let figures = row("group", name);
        assert_eq!(figures[..2], [group.devices, measured.due]);
        assert_eq!(figures[3..], [p.p50, p.p90, p.p95, p.p99, p.p99_9, p.max], "{name}");
    }
    let tile =
        |name: &str| all_between(&page, &format!("data-tile=\"{name}\" data-v=\""), "\"")[0].to_owned();
    assert_eq!(tile("succeeded"), result.totals.measured.classes["succeeded"].to_string());
    assert_eq!(tile("unexplained"), (result.totals.measured.unexplained).to_string());
    assert_eq!(tile("latency"), row("sum", "all")[6].to_string());
    for threshold in &result.thresholds {
        assert!(page.contains(&format!("\">{}</td>", threshold.shown)), "{}", threshold.shown);
    }
}

#[test]
fn a_group_without_samples_has_no_figure_to_be_sorted_by() {
    let mut result = done();
    let name = result.groups.keys().next().unwrap().clone();
    result.spans.retain(|span| span.group != name);
    let page = html(&result);
    let begin = format!("<tr data-row=\"group\" data-name=\"{name}\">");
    let row = all_between(&page, &begin, "</tr>")[0];
    assert_eq!(row.matches("data-v").count(), 3, "devices, due and share: {row}");
    assert_eq!(row.matches("<td").count(), 9);
}

#[test]
fn every_end_of_a_run_has_a_page() {
    for exit in Exit::ALL {
        for snapshot in
            [sample::empty(Phase::Done, 0), sample::connecting(), sample::measuring(), sample::done()]
        {
            let report = sample::report(snapshot, exit);
            let page = html(&run_result(&report));
            assert!(page.contains(&format!("</span> {}</p>", report.word())), "{exit:?}");
        }
    }
}

#[test]
fn a_run_that_could_not_begin_says_why_and_pretends_no_figures() {
    let mut report = sample::report(sample::empty(Phase::Done, 0), Exit::Unavailable);
    report.problem = Some("nobody answers at 127.0.0.1:1883".to_owned());
    let page = html(&run_result(&report));
    assert!(page.contains("<p class=\"headline\">nobody answers at 127.0.0.1:1883</p>"));
    for pretended in ["data-tile", "no samples", "kept up", "data-class"] {
        assert!(!markup(&page).contains(pretended), "{pretended}");
    }
}

#[test]
fn a_failed_run_says_what_did_not_hold() {
    let page = html(&done());
    let headline = all_between(&page, "<p class=\"headline\">", "</p>")[0];
    assert_eq!(
        headline,
        "2 of 3 thresholds did not hold: rate(succeeded) &#62;= 99% was 94.59%; count(unexplained) == 0 was 1."
    );
}

#[test]
fn a_search_that_failed_says_what_did_not_hold_before_its_answer() {
    let mut result = done();
    let answer = serde_json::json!({
        "holds_per_s": 100.0, "broke_at_per_s": null, "generator_lagged_at_per_s": null,
        "sentence": "It holds 100/s.",
    });
    let capacity = serde_json::json!({ "workload": "reboot", "answer": answer, "steps": [] });
    result.capacity = Some(serde_json::from_value(capacity).unwrap());
    let page = html(&result);
    let headline = all_between(&page, "<p class=\"headline\">", "</p>")[0];
    assert!(headline.starts_with("2 of 3 thresholds did not hold: "), "{headline}");
    assert!(headline.ends_with(" It holds 100/s."), "{headline}");
    result.thresholds.iter_mut().for_each(|one| one.passed = Some(true));
    assert!(html(&result).contains("<p class=\"headline\">It holds 100/s.</p>"));
}

#[test]
fn a_result_from_outside_may_have_any_number() {
    let mut result = done();
    let last = result.series.last_mut().unwrap();
    (last.second, last.due, last.started) = (u64::MAX, u64::MAX, u64::MAX);
    let again = last.clone();
    result.series.push(again);
    assert!(html(&result).contains("FAILED"));
}

#[test]
fn a_result_of_a_time_without_heat_and_classes_has_a_page() {
    let mut result = done();
    result.heat_edges_us.clear();
    for point in &mut result.series {
        point.heat = None;
        point.classes.clear();
    }
    result.spans.iter_mut().for_each(|span| span.hdr_v2_base64 = "not a histogram".to_owned());
    assert!(html(&result).contains("FAILED"));
}

/// A long run: one second has a spike, one has fewer devices.
fn hours(seconds: u64) -> RunResult {
    let mut result = done();
    let pattern: Vec<Point> = result.series.iter().skip(4).cloned().collect();
    result.series = pattern
        .into_iter()
        .cycle()
        .zip(0..seconds)
        .map(|(point, second)| Point { second, ..point })
        .collect();
    result
}

#[test]
fn a_long_run_is_thinned_and_loses_no_spike_and_no_execution() {
    let mut result = hours(7_205);
    result.series[7_001].latency_us.p99 = Some(77_000_000);
    result.series[7_002].online = 3;
    let seconds = result.series.len() as u64;
    let series = Series::of(&result.series, width_for(seconds));
    assert_eq!((series.width, series.t.len()), (10, 721));
    assert_eq!(series.t[700], 7_000);
    assert_eq!((series.p99[700], series.online[700]), (Some(77_000_000), 3));
    assert_eq!((series.n[700], series.n[720]), (10, 5));
    let sum = |points: &[u64]| points.iter().sum::<u64>();
    assert_eq!(sum(&series.due), result.series.iter().map(|point| point.due).sum::<u64>());
    let succeeded = result.series.iter().map(|point| u64::from(point.classes["succeeded"])).sum::<u64>();
    assert_eq!(sum(&series.classes["succeeded"]), succeeded);
    let heat = |heat: &HeatResult| heat.counts.iter().map(|count| u64::from(*count)).sum::<u64>();
    let all = result.series.iter().filter_map(|point| point.heat.as_ref()).map(heat).sum::<u64>();
    assert_eq!(series.heat.iter().flatten().map(|(_, counts)| sum(counts)).sum::<u64>(), all);
    let page = html(&result);
    assert!(page.contains("Each point stands for 10 seconds"));
    assert!(!html(&hours(999)).contains("Each point stands"));
}

#[test]
fn a_page_is_small_whatever_the_run() {
    for seconds in [60, 1_000, 86_400] {
        let size = html(&hours(seconds)).len();
        assert!(size < 400_000, "{size} bytes for {seconds} seconds");
    }
}

#[test]
fn points_begin_where_they_would_whenever_they_are_made() {
    let result = hours(2_500);
    let whole = Series::of(&result.series, 5);
    let late = Series::of(&result.series[1_003..], 5);
    assert_eq!(late.t[..], whole.t[200..]);
    assert_eq!(late.due[1..], whole.due[201..]);
    assert_eq!(late.n[0], 2, "it begins within a point");
}

#[test]
fn widths_keep_a_day_within_a_thousand_points() {
    for (seconds, width) in [(0, 1), (1_000, 1), (1_001, 2), (5_001, 10), (86_400, 120), (u64::MAX, 3_600)] {
        assert_eq!(width_for(seconds), width, "{seconds}");
    }
}

#[test]
fn a_column_of_heat_that_begins_lower_is_put_below() {
    let mut result = hours(2);
    result.series[0].heat = Some(HeatResult { from: 5, counts: vec![1, 2] });
    result.series[1].heat = Some(HeatResult { from: 3, counts: vec![7] });
    let series = Series::of(&result.series, 2);
    assert_eq!(series.heat, [Some((3, vec![7, 0, 1, 2]))]);
    result.series[1].heat = Some(HeatResult { from: usize::MAX, counts: vec![1; 9_999] });
    assert_eq!(Series::of(&result.series, 2).heat[0].as_ref().unwrap().1.len(), 59, "a stranger's cells");
}

#[test]
fn the_picture_without_scripts_has_every_line() {
    let page = html(&done());
    let picture = all_between(&page, "<noscript>", "</noscript>")[0];
    assert_eq!(picture.matches("<path").count(), 3);
    assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
}
