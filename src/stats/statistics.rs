//! Counts and histograms of a stretch of time: filled by a shard, added up by the collector.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Class, Finding, Histogram, Outcome, Span};

/// The names behind the indices: what workloads and groups a run has, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Workloads.
    pub workloads: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
}

/// Warm-up executions are counted but take no part in thresholds, spans and validity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// In a stage marked `warm_up`.
    WarmUp,
    /// Everything else.
    Measured,
}

/// How often a finding was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FindingCount {
    /// By a planned behaviour, fault or disconnect.
    pub explained: u64,
    /// By nothing that was planned.
    pub unexplained: u64,
}

impl FindingCount {
    /// Both kinds together.
    pub fn total(self) -> u64 {
        self.explained + self.unexplained
    }
}

/// The accounting of one workload in one group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Planned executions whose instant has passed.
    pub due: u64,
    /// Executions the API answered with an id (open ones included).
    pub started: u64,
    /// Of class `timed_out_cloud`: those whose device was planned to stay silent or to answer later.
    pub timed_out_as_planned: u64,
    classes: [u64; Class::ALL.len()],
    /// Refusals by error name; adds up to class `refused`.
    pub refused: BTreeMap<Arc<str>, u64>,
    findings: [FindingCount; Finding::ALL.len()],
}

impl Counts {
    /// Counts one decided execution.
    pub fn decide(&mut self, class: Class) {
        self.classes[class as usize] += 1;
    }

    /// Counts one refusal by its error name.
    pub fn refuse(&mut self, error: &Arc<str>) {
        self.decide(Class::Refused);
        match self.refused.get_mut(error) {
            Some(count) => *count += 1,
            None => {
                self.refused.insert(Arc::clone(error), 1);
            }
        }
    }

    /// Counts one finding.
    pub fn find(&mut self, finding: Finding, explained: bool) {
        let count = &mut self.findings[finding as usize];
        if explained { count.explained += 1 } else { count.unexplained += 1 }
    }

    /// Decided executions of that class.
    pub fn class(&self, class: Class) -> u64 {
        self.classes[class as usize]
    }

    /// Findings of that kind.
    pub fn finding(&self, finding: Finding) -> FindingCount {
        self.findings[finding as usize]
    }

    /// Executions in any class.
    pub fn decided(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Due executions that are not decided yet.
    pub fn open(&self) -> u64 {
        self.due.saturating_sub(self.decided())
    }

    /// Anomalies that nothing planned explains, of every kind.
    pub fn unexplained(&self) -> u64 {
        Finding::ALL.into_iter().filter(|f| f.is_anomaly()).map(|f| self.finding(f).unexplained).sum()
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Counts) {
        self.due += other.due;
        self.started += other.started;
        self.timed_out_as_planned += other.timed_out_as_planned;
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            *mine += theirs;
        }
        for (error, count) in &other.refused {
            *self.refused.entry(Arc::clone(error)).or_default() += count;
        }
        for (mine, theirs) in self.findings.iter_mut().zip(other.findings) {
            mine.explained += theirs.explained;
            mine.unexplained += theirs.unexplained;
        }
    }
}

/// Everything counted and timed in a stretch of time.
#[derive(Debug, Clone)]
pub struct Statistics {
    shape: Arc<Shape>,
    /// Measured and warm-up counts, by workload and group.
    measured: Vec<Counts>,
    warm_up: Vec<Counts>,
    /// By span, workload, group and outcome; created on the first sample.
    spans: Vec<Option<Box<Histogram>>>,
    /// `connect` by group.
    connects: Vec<Option<Box<Histogram>>>,
    /// Latency of everything that ended, warm-up included: the live picture.
    pub recent_latency: Histogram,
    histograms: usize,
    /// Samples that found no histogram because the bound on their number was reached.
    pub overflowed: u64,
    /// Reconnects by group.
    pub reconnects: Vec<u64>,
    /// What bounded queues could not take, by queue.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// 512 × 216 KiB = 108 MiB at the most per shard; never per device.
const MAX_HISTOGRAMS: usize = 512;

impl Statistics {
    /// Empty statistics for these workloads and groups.
    pub fn new(shape: Arc<Shape>) -> Self {
        let cells = shape.workloads.len() * shape.groups.len();
        let groups = shape.groups.len();
        Self {
            measured: vec![Counts::default(); cells],
            warm_up: vec![Counts::default(); cells],
            spans: vec![None; Span::ALL.len() * cells * Outcome::ALL.len()],
            connects: vec![None; groups],
            recent_latency: Histogram::default(),
            histograms: 0,
            overflowed: 0,
            reconnects: vec![0; groups],
            dropped: BTreeMap::new(),
            shape,
        }
    }

    /// The names of workloads and groups.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Hands over what was filled so far and goes on with empty statistics.
    #[must_use]
    pub fn take(&mut self) -> Statistics {
        let empty = Statistics::new(Arc::clone(&self.shape));
        std::mem::replace(self, empty)
    }

    fn cell(&self, workload: usize, group: usize) -> usize {
        workload * self.shape.groups.len() + group
    }

    fn span_slot(&self, span: Span, workload: usize, group: usize, outcome: Outcome) -> usize {
        let cells = self.measured.len();
        (span as usize * cells + self.cell(workload, group)) * Outcome::ALL.len() + outcome as usize
    }

    /// The counts to fill for one workload in one group.
    pub fn counts_mut(&mut self, part: Part, workload: usize, group: usize) -> &mut Counts {
        let cell = self.cell(workload, group);
        match part {
            Part::Measured => &mut self.measured[cell],
            Part::WarmUp => &mut self.warm_up[cell],
        }
    }

    /// The counts of one workload in one group.
    pub fn counts(&self, part: Part, workload: usize, group: usize) -> &Counts {
        let cell = self.cell(workload, group);
        match part {
            Part::Measured => &self.measured[cell],
            Part::WarmUp => &self.warm_up[cell],
        }
    }

    /// The measured counts over the workloads and groups given; `None` means all.
    pub fn measured(&self, workload: Option<usize>, group: Option<usize>) -> Counts {
        self.sum(Part::Measured, workload, group)
    }

    /// The counts of one part over the workloads and groups given; `None` means all.
    pub fn sum(&self, part: Part, workload: Option<usize>, group: Option<usize>) -> Counts {
        let mut total = Counts::default();
        for w in 0..self.shape.workloads.len() {
            for g in 0..self.shape.groups.len() {
                if workload.is_none_or(|only| only == w) && group.is_none_or(|only| only == g) {
                    total.add(self.counts(part, w, g));
                }
            }
        }
        total
    }

    /// Records one span of a measured execution.
    pub fn record(&mut self, span: Span, workload: usize, group: usize, outcome: Outcome, us: u64) {
        let slot = self.span_slot(span, workload, group, outcome);
        Self::record_into(&mut self.spans[slot], &mut self.histograms, &mut self.overflowed, us);
    }

    /// Records one connect.
    pub fn record_connect(&mut self, group: usize, us: u64) {
        Self::record_into(&mut self.connects[group], &mut self.histograms, &mut self.overflowed, us);
    }

    fn record_into(slot: &mut Option<Box<Histogram>>, histograms: &mut usize, overflowed: &mut u64, us: u64) {
        if slot.is_none() {
            if *histograms == MAX_HISTOGRAMS {
                *overflowed += 1;
                return;
            }
            *histograms += 1;
        }
        slot.get_or_insert_default().record(us);
    }

    /// Counts what a bounded queue could not take.
    pub fn drop_from(&mut self, queue: &'static str, count: u64) {
        *self.dropped.entry(queue).or_default() += count;
    }

    /// One histogram, if it has samples. `workload` is ignored for [`Span::Connect`].
    pub fn histogram(
        &self,
        span: Span,
        workload: usize,
        group: usize,
        outcome: Outcome,
    ) -> Option<&Histogram> {
        match (span, outcome) {
            (Span::Connect, Outcome::Succeeded) => self.connects[group].as_deref(),
            (Span::Connect, Outcome::Other) => None,
            _ => self.spans[self.span_slot(span, workload, group, outcome)].as_deref(),
        }
    }

    /// The merged histogram over the workloads, groups and outcomes given; `None` means all.
    pub fn merged(
        &self,
        span: Span,
        workload: Option<usize>,
        group: Option<usize>,
        outcome: Option<Outcome>,
    ) -> Histogram {
        let mut merged = Histogram::default();
        for outcome in Outcome::ALL.into_iter().filter(|o| outcome.is_none_or(|only| only == *o)) {
            for g in (0..self.shape.groups.len()).filter(|g| group.is_none_or(|only| only == *g)) {
                // Connects belong to no workload; every other span to exactly one.
                let workloads = if span == Span::Connect { 1 } else { self.shape.workloads.len() };
                for w in 0..workloads {
                    if span != Span::Connect && workload.is_some_and(|only| only != w) {
                        continue;
                    }
                    if let Some(histogram) = self.histogram(span, w, g, outcome) {
                        merged.add(histogram);
                    }
                }
            }
        }
        merged
    }

    /// Adds `other`, which must be of the same shape.
    pub fn add(&mut self, other: &Statistics) {
        assert_eq!(self.shape, other.shape, "statistics of one run have one shape");
        for (mine, theirs) in self.measured.iter_mut().zip(&other.measured) {
            mine.add(theirs);
        }
        for (mine, theirs) in self.warm_up.iter_mut().zip(&other.warm_up) {
            mine.add(theirs);
        }
        let mine = self.spans.iter_mut().chain(&mut self.connects);
        for (mine, theirs) in mine.zip(other.spans.iter().chain(&other.connects)) {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().add(theirs);
            }
        }
        self.recent_latency.add(&other.recent_latency);
        self.overflowed += other.overflowed;
        for (mine, theirs) in self.reconnects.iter_mut().zip(&other.reconnects) {
            *mine += theirs;
        }
        for (queue, count) in &other.dropped {
            *self.dropped.entry(queue).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> Arc<Shape> {
        Arc::new(Shape {
            workloads: vec!["w0".into(), "w1".into()],
            groups: vec!["g0".into(), "g1".into(), "g2".into()],
        })
    }

    #[test]
    fn every_cell_and_span_has_a_place_of_its_own() {
        let mut statistics = Statistics::new(shape());
        let mut value = 1;
        for span in Span::ALL.into_iter().filter(|s| *s != Span::Connect) {
            for w in 0..2 {
                for g in 0..3 {
                    for outcome in Outcome::ALL {
                        statistics.record(span, w, g, outcome, value);
                        assert_eq!(statistics.histogram(span, w, g, outcome).unwrap().max(), Some(value));
                        assert_eq!(statistics.histogram(span, w, g, outcome).unwrap().len(), 1);
                        value += 1;
                    }
                }
            }
        }
    }

    #[test]
    fn parts_taken_at_any_moment_add_up_to_the_whole() {
        let mut running = Statistics::new(shape());
        let mut total = Statistics::new(shape());
        for n in 0..100u64 {
            let counts = running.counts_mut(Part::Measured, 1, 2);
            counts.due += 1;
            counts.decide(if n % 4 == 0 { Class::Failed } else { Class::Succeeded });
            running.record(Span::Latency, 1, 2, Outcome::Succeeded, n);
            running.record_connect(0, n);
            if n % 7 == 0 {
                total.add(&running.take());
            }
        }
        total.add(&running.take());
        let counts = total.measured(Some(1), None);
        assert_eq!((counts.due, counts.decided(), counts.open()), (100, 100, 0));
        assert_eq!(counts.class(Class::Failed), 25);
        assert_eq!(total.merged(Span::Latency, None, None, None).len(), 100);
        assert_eq!(total.merged(Span::Connect, None, None, None).len(), 100);
    }

    #[test]
    fn more_histograms_than_the_bound_are_counted_not_made() {
        let many = Arc::new(Shape {
            workloads: vec!["w".into()],
            groups: (0..600).map(|n| n.to_string()).collect(),
        });
        let mut statistics = Statistics::new(many);
        for group in 0..600 {
            statistics.record(Span::Latency, 0, group, Outcome::Other, 5);
        }
        assert_eq!(statistics.overflowed, 600 - 512);
    }
}
