//! The histograms of a run, from a result or from a snapshot: what percentiles on the page are made of.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::Deserializer;

use crate::report::result::{RunResult, SpanResult};
use crate::stats::{Outcome, Snapshot, Span};

type Counts = hdrhistogram::Histogram<u64>;

/// Which histograms are meant; `None` means all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Of<'a> {
    pub workload: Option<&'a str>,
    pub group: Option<&'a str>,
    pub outcome: Option<Outcome>,
}

/// Every histogram with whose it is.
#[derive(Debug)]
pub struct Timings<'a> {
    rows: Vec<Timing<'a>>,
}

#[derive(Debug)]
struct Timing<'a> {
    span: Span,
    workload: Option<&'a str>,
    group: &'a str,
    outcome: Outcome,
    counts: Cow<'a, Counts>,
}

impl<'a> Timings<'a> {
    /// Those of a result. One that cannot be read is left out: its figures are then missing, not wrong.
    pub fn of_result(result: &'a RunResult) -> Self {
        let read = |span: &'a SpanResult| {
            let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.name() == span.outcome)?;
            let bytes = STANDARD.decode(&span.hdr_v2_base64).ok()?;
            Some(Timing {
                span: Span::from_name(&span.span)?,
                workload: span.workload.as_deref(),
                group: &span.group,
                outcome,
                counts: Cow::Owned(Deserializer::new().deserialize(&mut bytes.as_slice()).ok()?),
            })
        };
        Self { rows: result.spans.iter().filter_map(read).collect() }
    }

    /// Those of a run that goes on.
    pub fn of_snapshot(snapshot: &'a Snapshot) -> Self {
        let (shape, totals) = (&snapshot.shape, &snapshot.totals);
        let mut rows = Vec::new();
        for span in Span::ALL {
            // Connects belong to no workload and are listed once.
            let workloads = if span == Span::Connect { 1 } else { shape.workloads.len() };
            for (w, workload) in shape.workloads.iter().enumerate().take(workloads) {
                for (g, group) in shape.groups.iter().enumerate() {
                    for outcome in Outcome::ALL {
                        let Some(histogram) = totals.histogram(span, w, g, outcome) else { continue };
                        let workload = (span != Span::Connect).then_some(workload.as_str());
                        rows.push(Timing { span, workload, group, outcome, counts: histogram.counts() });
                    }
                }
            }
        }
        Self { rows }
    }

    /// All samples of a span that are meant; `None` without any.
    pub(super) fn merged(&self, span: Span, of: Of<'_>) -> Option<Counts> {
        let meant = |row: &&Timing<'_>| {
            row.span == span
                && (of.workload.is_none() || row.workload == of.workload)
                && of.group.is_none_or(|group| group == row.group)
                && of.outcome.is_none_or(|outcome| outcome == row.outcome)
        };
        let mut rows = self.rows.iter().filter(meant);
        let mut sum = rows.next()?.counts.clone().into_owned();
        // Our own have the same bounds; those of a stranger's file grow as they must.
        sum.auto(true);
        for row in rows {
            // Only a lack of memory can stand against it.
            sum.add(&*row.counts).ok()?;
        }
        (!sum.is_empty()).then_some(sum)
    }
}
