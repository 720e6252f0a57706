//! One second of the run as the screen shows it, with what is worked out once and drawn often.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::report::words::printable;
use crate::stats::{Class, Counts, GroupGauge, Histogram, Outcome, Part, Percentile, Snapshot, Span};
use crate::verdict::Verdict;

use super::keys::Step;
use super::pane::beside;

/// A snapshot, judged.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) verdict: Verdict,
    /// Executions started per second over the last few seconds, by group; empty before the second snapshot.
    pub(super) group_rates: Vec<f64>,
    groups: OnceCell<Arc<Vec<GroupRow>>>,
}

/// How a group stands.
#[derive(Debug, Clone)]
pub(super) struct GroupRow {
    /// Its index in the scenario.
    pub(super) index: usize,
    /// Its name, safe to show.
    pub(super) name: String,
    pub(super) gauge: GroupGauge,
    pub(super) rate: Option<f64>,
    /// Its measured executions; before there are any, those of the warm-up.
    pub(super) counts: Counts,
    pub(super) latency_us_p50: Option<u64>,
    pub(super) latency_us_p99: Option<u64>,
}

/// In which order groups stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    /// As in the scenario.
    #[default]
    Scenario,
    /// By name.
    Name,
    /// The busiest first.
    Rate,
    /// The smallest share of successes first.
    Succeeded,
    /// The slowest first.
    Latency,
    /// Those with most devices away first.
    Away,
}

impl Sort {
    const ALL: [Sort; 6] =
        [Sort::Scenario, Sort::Name, Sort::Rate, Sort::Succeeded, Sort::Latency, Sort::Away];

    /// The next one.
    pub(super) fn next(self) -> Self {
        beside(&Self::ALL, self, Step::On)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Sort::Scenario => "as in the scenario",
            Sort::Name => "by name",
            Sort::Rate => "busiest first",
            Sort::Succeeded => "fewest ok first",
            Sort::Latency => "slowest first",
            Sort::Away => "most offline first",
        }
    }

    fn sort(self, rows: &mut [&GroupRow]) {
        // Stable: what is equal stays as in the scenario.
        match self {
            Sort::Scenario => {}
            Sort::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::Rate => rows.sort_by(|a, b| b.rate.unwrap_or(0.0).total_cmp(&a.rate.unwrap_or(0.0))),
            Sort::Succeeded => rows.sort_by(|a, b| a.succeeded().total_cmp(&b.succeeded())),
            Sort::Latency => rows.sort_by_key(|row| std::cmp::Reverse(row.latency_us_p99)),
            Sort::Away => {
                rows.sort_by_key(|row| std::cmp::Reverse(row.gauge.devices.saturating_sub(row.gauge.online)));
            }
        }
    }
}

impl Picture {
    pub(super) fn new(snapshot: Arc<Snapshot>, verdict: Verdict, group_rates: Vec<f64>) -> Self {
        Self { snapshot, verdict, group_rates, groups: OnceCell::new() }
    }

    /// Every group, in the order of the scenario.
    pub(super) fn groups(&self) -> &[GroupRow] {
        self.groups.get_or_init(|| {
            Arc::new((0..self.snapshot.shape.groups.len()).map(|group| self.group(group)).collect())
        })
    }

    /// The groups whose names hold `filter`, in an order.
    pub(super) fn listed(&self, filter: &str, sort: Sort) -> Vec<&GroupRow> {
        let filter = filter.to_lowercase();
        let mut rows: Vec<&GroupRow> =
            self.groups().iter().filter(|row| row.name.to_lowercase().contains(&filter)).collect();
        sort.sort(&mut rows);
        rows
    }

    /// Measured executions of a group, or of all; before there are any, those of the warm-up.
    pub(super) fn counts(&self, group: Option<usize>) -> (Part, Counts) {
        let totals = &self.snapshot.totals;
        let part = if crate::report::is_warming_up(&self.snapshot) { Part::WarmUp } else { Part::Measured };
        (part, totals.sum(part, None, group))
    }

    /// A span of a group's measured executions, or of all: of those that succeeded, where it ends in an answer.
    pub(super) fn span(&self, span: Span, group: Option<usize>) -> Histogram {
        self.snapshot.totals.merged(span, None, group, crate::verdict::covered(span))
    }

    fn group(&self, index: usize) -> GroupRow {
        let snapshot = &self.snapshot;
        let latency = snapshot.totals.merged(Span::Latency, None, Some(index), Some(Outcome::Succeeded));
        GroupRow {
            index,
            name: printable(&snapshot.shape.groups[index]).into_owned(),
            gauge: snapshot.groups.get(index).copied().unwrap_or_default(),
            rate: self.group_rates.get(index).copied(),
            counts: self.counts(Some(index)).1,
            latency_us_p50: latency.percentile(Percentile(50.0)),
            latency_us_p99: latency.percentile(Percentile(99.0)),
        }
    }
}

impl GroupRow {
    /// The share of the decided executions that succeeded; more than all without any.
    #[expect(clippy::cast_precision_loss, reason = "only compared")]
    fn succeeded(&self) -> f64 {
        let decided = self.counts.decided();
        if decided == 0 { 2.0 } else { self.counts.class(Class::Succeeded) as f64 / decided as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::verdict::judge;

    #[test]
    fn groups_are_filtered_and_sorted() {
        let snapshot = sample::done();
        let verdict = judge(&sample::scenario(), &snapshot);
        let picture = Picture::new(Arc::new(snapshot), verdict, vec![1.0, 2.0]);
        for (filter, sort, expected) in [
            ("", Sort::Scenario, &["fast", "flaky"][..]),
            ("", Sort::Name, &["fast", "flaky"]),
            ("", Sort::Rate, &["flaky", "fast"]),
            ("", Sort::Succeeded, &["flaky", "fast"]),
            ("", Sort::Latency, &["flaky", "fast"]),
            ("FLA", Sort::Name, &["flaky"]),
            ("nothing", Sort::Name, &[]),
        ] {
            let names: Vec<_> = picture.listed(filter, sort).iter().map(|row| row.name.as_str()).collect();
            assert_eq!(names, expected, "{filter:?} {sort:?}");
        }
    }

    #[test]
    fn the_orders_go_around() {
        let orders: Vec<Sort> =
            std::iter::successors(Some(Sort::Scenario), |sort| Some(sort.next())).take(7).collect();
        assert_eq!(orders[6], Sort::Scenario);
        assert_eq!(orders[..6], Sort::ALL);
    }
}
