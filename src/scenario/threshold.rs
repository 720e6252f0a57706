//! Thresholds: whether aggregate, metric, labels and limit of an expression fit together.

use std::time::Duration;

use super::decode::At;
use super::document::NodeId;
use super::expression::{self, Expression, Part};
use super::problems::{Collector, unknown};
use super::raw;
use super::written::Written as _;
use super::{Aggregate, Metric, Threshold};
use crate::stats::{Class, Finding, Span};
use crate::units::{Share, micros, parse_duration};

/// The longest expression with the longest names takes a third of it.
const MAX_TEXT: usize = 1_000;

/// The names that labels may have as values, in the order of their indices.
pub(super) struct Names<'n> {
    pub(super) groups: &'n [String],
    pub(super) workloads: &'n [String],
}

/// Checks one threshold; `None` when its expression is wrong, which has then been noted.
pub(super) fn check(raw: &raw::Threshold, names: &Names<'_>, collector: &Collector<'_>) -> Option<Threshold> {
    let text = raw.expect.get()?;
    let flag = |field: &Option<At<bool>>| field.as_ref().and_then(At::get).copied().unwrap_or(false);
    let marker = Marker { node: raw.expect.spot.node(), collector };
    let condition = marker.condition(text, names)?;
    if let (Some(abort), true, Metric::DevicesSucceeded) = (&raw.abort, flag(&raw.abort), condition.metric) {
        let message = "how many devices succeed is known at the end only: it cannot stop the run";
        collector.report(abort.spot, message);
    }
    Some(Threshold {
        text: text.clone(),
        info: flag(&raw.info),
        abort: flag(&raw.abort),
        after: raw.after.as_ref().and_then(At::get).map_or(Duration::ZERO, |after| after.0),
        ..condition
    })
}

/// Checks a condition that stands alone; `None` when it is wrong, which has then been noted.
pub(super) fn condition(
    text: &At<String>,
    names: &Names<'_>,
    collector: &Collector<'_>,
) -> Option<Threshold> {
    Marker { node: text.spot.node(), collector }.condition(text.get()?, names)
}

/// Notes problems inside the text of one expression.
struct Marker<'c, 'd> {
    node: NodeId,
    collector: &'c Collector<'d>,
}

impl Marker<'_, '_> {
    fn wrong(&self, part: &Part<'_>, message: impl Into<String>) {
        self.collector.report_within(self.node, part.place.clone(), message.into(), None);
    }

    fn condition(&self, text: &str, names: &Names<'_>) -> Option<Threshold> {
        if text.len() > MAX_TEXT {
            let message = format!("no threshold needs more than {MAX_TEXT} characters");
            self.collector.report_within(self.node, 0..text.len(), message, None);
            return None;
        }
        let expression = match expression::parse(text) {
            Ok(expression) => expression,
            Err(error) => {
                let place = error.place..error.place + 1;
                let message = format!("this threshold cannot be read: expected {} here", error.expected);
                let hint =
                    "e.g. p99(latency{group=sensors}) < 300ms, rate(succeeded) >= 99%, count(lost) == 0";
                self.collector.report_within(self.node, place, message, Some(hint.to_owned()));
                return None;
            }
        };
        let metric = self.metric(&expression.metric);
        let aggregate = self.aggregate(&expression.aggregate);
        let labels = self.labels(&expression, metric, names);
        let (metric, aggregate) = (metric?, aggregate?);
        if let Some(message) = misfit(aggregate, metric, &expression) {
            self.wrong(&expression.aggregate, message);
            return None;
        }
        let limit = limit(aggregate, metric, expression.limit.text);
        let limit = limit.map_err(|message| self.wrong(&expression.limit, message)).ok()?;
        let labels = labels?;
        Some(Threshold {
            text: text.to_owned(),
            aggregate,
            metric,
            group: labels.group,
            workload: labels.workload,
            error: labels.error,
            comparison: expression.comparison,
            limit,
            info: false,
            abort: false,
            after: Duration::ZERO,
        })
    }

    fn metric(&self, part: &Part<'_>) -> Option<Metric> {
        if let Some(metric) = metric_named(part.text) {
            return Some(metric);
        }
        let meant = self.collector.nearest(part.text, metric_names());
        self.wrong(part, unknown("metric", part.text, meant, metric_names()));
        None
    }

    fn aggregate(&self, part: &Part<'_>) -> Option<Aggregate> {
        let aggregate = aggregate_named(part.text);
        if aggregate.is_none() {
            let meant = self.collector.nearest(part.text, ["min", "max", "avg", "rate", "count"]);
            let known = ["p50 … p99.99", "min", "max", "avg", "rate", "count"];
            self.wrong(part, unknown("aggregate", part.text, meant, known));
        }
        aggregate
    }

    /// `None` when any label is wrong.
    fn labels(
        &self,
        expression: &Expression<'_>,
        metric: Option<Metric>,
        names: &Names<'_>,
    ) -> Option<Labels> {
        let mut labels = Labels::default();
        let mut sound = true;
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in &expression.labels {
            if seen.contains(&name.text) {
                self.wrong(name, format!("the label `{}` stands here twice", name.text));
                sound = false;
                continue;
            }
            seen.push(name.text);
            if let Some(message) = metric.and_then(|metric| no_such_label(metric, name.text)) {
                self.wrong(name, message);
                sound = false;
                continue;
            }
            match name.text {
                "group" => labels.group = self.index(value, "group", names.groups),
                "workload" => labels.workload = self.index(value, "workload", names.workloads),
                "error" => labels.error = Some(value.text.to_owned()),
                _ => self.unknown_label(name),
            }
            let found = match name.text {
                "group" => labels.group.is_some(),
                "workload" => labels.workload.is_some(),
                "error" => true,
                _ => false,
            };
            sound &= found;
        }
        sound.then_some(labels)
    }

    fn index(&self, value: &Part<'_>, what: &str, names: &[String]) -> Option<usize> {
        let index = names.iter().position(|name| name == value.text);
        if index.is_none() {
            let meant = self.collector.nearest(value.text, names.iter().map(String::as_str));
            self.wrong(value, unknown(what, value.text, meant, names));
        }
        index
    }

    fn unknown_label(&self, part: &Part<'_>) {
        const LABELS: [&str; 3] = ["group", "workload", "error"];
        let meant = self.collector.nearest(part.text, LABELS);
        self.wrong(part, unknown("label", part.text, meant, LABELS));
    }
}

#[derive(Default)]
struct Labels {
    group: Option<usize>,
    workload: Option<usize>,
    error: Option<String>,
}

fn metric_named(name: &str) -> Option<Metric> {
    match name {
        "started" => Some(Metric::Started),
        "devices_succeeded" => Some(Metric::DevicesSucceeded),
        "unexplained" => Some(Metric::Unexplained),
        "reconnects" => Some(Metric::Reconnects),
        _ => (Span::from_name(name).map(Metric::Span))
            .or_else(|| Class::from_name(name).map(Metric::Class))
            .or_else(|| Finding::from_name(name).map(Metric::Finding)),
    }
}

/// Every metric by name, as they are listed to people.
pub(super) fn metric_names() -> impl Iterator<Item = &'static str> {
    let spans = Span::ALL.into_iter().map(Span::name);
    let classes = Class::ALL.into_iter().map(Class::name);
    let findings = Finding::ALL.into_iter().map(Finding::name);
    spans
        .chain(["started", "devices_succeeded"])
        .chain(classes)
        .chain(findings)
        .chain(["unexplained", "reconnects"])
}

fn aggregate_named(name: &str) -> Option<Aggregate> {
    match name {
        "min" => Some(Aggregate::Min),
        "max" => Some(Aggregate::Max),
        "avg" => Some(Aggregate::Avg),
        "rate" => Some(Aggregate::Rate),
        "count" => Some(Aggregate::Count),
        _ => {
            let digits = name.strip_prefix('p')?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            // Two decimals: beyond p99.99 no run has the samples to say anything.
            let fits = digits.split_once('.').is_none_or(|(_, decimals)| matches!(decimals.len(), 1 | 2));
            let percentile: f64 = digits.parse().ok().filter(|_| plain && fits)?;
            (percentile > 0.0 && percentile < 100.0).then_some(Aggregate::Percentile(percentile))
        }
    }
}

/// Why `aggregate` cannot be taken of `metric`, and what to write.
fn misfit(aggregate: Aggregate, metric: Metric, expression: &Expression<'_>) -> Option<String> {
    let name = expression.metric.text;
    let counts = matches!(aggregate, Aggregate::Rate | Aggregate::Count);
    match metric {
        Metric::Span(_) if counts => Some(format!(
            "`{}` counts executions, and `{name}` is a span of time; write e.g. p99({name}) < 1s",
            expression.aggregate.text
        )),
        Metric::Reconnects if aggregate == Aggregate::Rate => {
            Some("`reconnects` is no share of the executions; write e.g. count(reconnects) <= 10".to_owned())
        }
        Metric::Reconnects if !counts => {
            Some("`reconnects` is a count; write e.g. count(reconnects) <= 10".to_owned())
        }
        Metric::Class(_)
        | Metric::Started
        | Metric::DevicesSucceeded
        | Metric::Finding(_)
        | Metric::Unexplained
            if !counts =>
        {
            Some(format!(
                "`{}` needs a span of time, and `{name}` counts executions; write e.g. rate({name}) >= 99% or \
                 count({name}) == 0",
                expression.aggregate.text
            ))
        }
        _ => None,
    }
}

/// Why `metric` has no label `label`.
fn no_such_label(metric: Metric, label: &str) -> Option<String> {
    match (metric, label) {
        (Metric::Class(Class::Refused), "error") => None,
        (_, "error") => Some("only `refused` has the label `error`".to_owned()),
        (Metric::Span(Span::Connect) | Metric::Reconnects, "workload") => {
            Some("connections belong to groups, not to workloads; use the label `group`".to_owned())
        }
        _ => None,
    }
}

/// The limit as a number: µs, a fraction, or a count.
#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53 µs, and counts of a run, too")]
fn limit(aggregate: Aggregate, metric: Metric, text: &str) -> Result<f64, String> {
    match (metric, aggregate) {
        (Metric::Span(_), _) => {
            parse_duration(text).map(|limit| micros(limit) as f64).map_err(|error| error.to_string())
        }
        (_, Aggregate::Rate) => Share::read(text).map(Share::fraction),
        _ => match text.parse::<u64>() {
            Ok(limit) if limit <= 1 << 53 => Ok(limit as f64),
            _ => Err(format!("\"{text}\" is not a plain number, e.g. 0; `count` takes no unit")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Comparison;
    use crate::scenario::document::Document;
    use crate::scenario::variables::Variables;

    /// The threshold, or `column message`.
    fn check(text: &str) -> Result<Threshold, String> {
        let quoted = serde_json::to_string(text).unwrap();
        let source = super::super::source::Source::of_file(&quoted);
        let (document, _) = Document::read(&source, &Variables::default());
        let document = document.unwrap();
        let files = std::collections::BTreeMap::new();
        let collector = Collector::new(&document, Vec::new(), &files);
        let names =
            Names { groups: &["sensors".to_owned(), "meters".to_owned()], workloads: &["reboot".to_owned()] };
        let threshold = Marker { node: Document::ROOT, collector: &collector }.condition(text, &names);
        let problems = collector.into_problems();
        match threshold {
            Some(threshold) => {
                assert!(problems.is_empty(), "{problems:?}");
                Ok(threshold)
            }
            None => {
                // Column 1 is the quote.
                Err(problems
                    .iter()
                    .map(|p| format!("{} {}", p.column - 1, p.message))
                    .collect::<Vec<_>>()
                    .join("\n"))
            }
        }
    }

    #[test]
    fn expressions_are_read() {
        for (text, aggregate, metric, limit) in [
            ("p99(latency) < 1s", Aggregate::Percentile(99.0), Metric::Span(Span::Latency), 1e6),
            ("p99.99(overhead)<=1m 30s", Aggregate::Percentile(99.99), Metric::Span(Span::Overhead), 9e7),
            (" max ( connect ) > 5ms ", Aggregate::Max, Metric::Span(Span::Connect), 5e3),
            ("rate(succeeded) >= 99%", Aggregate::Rate, Metric::Class(Class::Succeeded), 0.99),
            ("rate(started) > 0%", Aggregate::Rate, Metric::Started, 0.0),
            ("rate(devices_succeeded) >= 97%", Aggregate::Rate, Metric::DevicesSucceeded, 0.97),
            ("count(lost) == 0", Aggregate::Count, Metric::Finding(Finding::Lost), 0.0),
            ("count(unexplained) != 1", Aggregate::Count, Metric::Unexplained, 1.0),
            ("count(reconnects) < 7", Aggregate::Count, Metric::Reconnects, 7.0),
        ] {
            let threshold = check(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((threshold.aggregate, threshold.metric), (aggregate, metric), "{text}");
            assert!((threshold.limit - limit).abs() < 1e-9, "{text}: {}", threshold.limit);
        }
    }

    #[test]
    fn labels_become_indices() {
        let threshold =
            check("count(refused{workload=reboot, group = meters ,error=ThrottlingException}) <= 5").unwrap();
        assert_eq!((threshold.group, threshold.workload), (Some(1), Some(0)));
        assert_eq!(threshold.error.as_deref(), Some("ThrottlingException"));
        assert_eq!(threshold.comparison, Comparison::LessOrEqual);
    }

    #[test]
    fn a_wrong_expression_says_where_and_what_to_write() {
        for (text, expected) in [
            ("", "1 this threshold cannot be read: expected an aggregate, e.g. p99, rate or count here"),
            ("p99 latency < 1s", "5 this threshold cannot be read: expected `(` here"),
            (
                "p99() < 1s",
                "5 this threshold cannot be read: expected a metric, e.g. latency or succeeded here",
            ),
            ("p99(latency < 1s", "13 this threshold cannot be read: expected `)` here"),
            (
                "p99(latency{}) < 1s",
                "13 this threshold cannot be read: expected a label: group, workload or error here",
            ),
            ("p99(latency{group:a}) < 1s", "18 this threshold cannot be read: expected = here"),
            ("p99(latency) = 1s", "14 this threshold cannot be read: expected one of < <= > >= == != here"),
            (
                "p99(latency) <",
                "15 this threshold cannot be read: expected a limit, e.g. 300ms, 99% or 0 here",
            ),
            ("p99(latancy) < 1s", "5 unknown metric `latancy`; did you mean `latency`?"),
            (
                "mean(latency) < 1s",
                "1 unknown aggregate `mean`; known are `p50 … p99.99`, `min`, `max`, `avg`, `rate`, `count`",
            ),
            ("conut(lost) < 1", "1 unknown aggregate `conut`; did you mean `count`?"),
            (
                "p100(latency) < 1s",
                "1 unknown aggregate `p100`; known are `p50 … p99.99`, `min`, `max`, `avg`, `rate`, `count`",
            ),
            (
                "p99.999(latency) < 1s",
                "1 unknown aggregate `p99.999`; known are `p50 … p99.99`, `min`, `max`, `avg`, `rate`, `count`",
            ),
            ("p99(latency) < 300", "16 \"300\" is not a duration: it needs a unit, e.g. 300ms or 300s"),
            ("rate(succeeded) >= 0.99", "20 \"0.99\" is not a share; did you mean 99%?"),
            ("count(lost) == 1%", "16 \"1%\" is not a plain number, e.g. 0; `count` takes no unit"),
            ("p99(latency{group=sensor}) < 1s", "19 unknown group `sensor`; did you mean `sensors`?"),
            ("p99(latency{workload=x}) < 1s", "22 unknown workload `x`; known are `reboot`"),
            ("p99(latency{grup=sensors}) < 1s", "13 unknown label `grup`; did you mean `group`?"),
            ("p99(latency{error=x}) < 1s", "13 only `refused` has the label `error`"),
            ("p99(latency{group=meters,group=meters}) < 1s", "26 the label `group` stands here twice"),
            (
                "max(connect{workload=reboot}) < 1s",
                "13 connections belong to groups, not to workloads; use the label `group`",
            ),
            (
                "p99(succeeded) < 1s",
                "1 `p99` needs a span of time, and `succeeded` counts executions; write e.g. rate(succeeded) >= 99% or \
                 count(succeeded) == 0",
            ),
            (
                "rate(latency) > 99%",
                "1 `rate` counts executions, and `latency` is a span of time; write e.g. p99(latency) < 1s",
            ),
            (
                "max(devices_succeeded) >= 97",
                "1 `max` needs a span of time, and `devices_succeeded` counts executions; write e.g. rate(devices_succeeded) >= 99% or \
                 count(devices_succeeded) == 0",
            ),
            (
                "p99x(latenzy{group=nobody}) < 1",
                "6 unknown metric `latenzy`; did you mean `latency`?\n\
                 1 unknown aggregate `p99x`; known are `p50 … p99.99`, `min`, `max`, `avg`, `rate`, `count`\n\
                 20 unknown group `nobody`; known are `sensors`, `meters`",
            ),
        ] {
            assert_eq!(check(text).unwrap_err(), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(p99|rate|count)?[({]?[a-z_]{0,7}[{=}),<>! ]{0,6}\\PC{0,8}") {
            let _ = check(&text);
        }
    }
}
