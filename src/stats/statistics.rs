//! Counts and histograms of a stretch of time: filled by a shard, added up by the collector.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{BatchCounts, Class, Finding, Histogram, Outcome, Span};

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
    /// Devices whose last execution succeeded, where that is followed. Of a second: by how many there are
    /// more, or fewer.
    pub devices_succeeded: i64,
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

    /// Executions that were started and are in a class.
    pub fn decided_started(&self) -> u64 {
        Class::ALL.into_iter().filter(|class| class.is_started()).map(|class| self.class(class)).sum()
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
        self.devices_succeeded += other.devices_succeeded;
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
    /// Which histograms there are, kept over [`Statistics::take`]: the bound holds for the whole run, and
    /// what was once admitted stays, or percentiles would be of some seconds and not of others.
    admitted: HashSet<usize>,
    /// Samples that found no histogram because the bound on their number was reached.
    pub overflowed: u64,
    /// Reconnects by group.
    pub reconnects: Vec<u64>,
    /// What bounded queues could not take, by queue.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Rollouts: by workload, then by batch.
    rollouts: BTreeMap<usize, Vec<BatchCounts>>,
    /// What devices did or met besides answering, by its name: planned drops, repeated answers.
    pub noted: BTreeMap<&'static str, u64>,
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
            admitted: HashSet::new(),
            overflowed: 0,
            reconnects: vec![0; groups],
            dropped: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            noted: BTreeMap::new(),
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
        let mut empty = Statistics::new(Arc::clone(&self.shape));
        empty.admitted = std::mem::take(&mut self.admitted);
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

    /// The counts to fill for one batch of a workload's rollout.
    pub fn rollout_mut(&mut self, workload: usize, batch: usize) -> &mut BatchCounts {
        let batches = self.rollouts.entry(workload).or_default();
        if batches.len() <= batch {
            batches.resize(batch + 1, BatchCounts::default());
        }
        &mut batches[batch]
    }

    /// The counts of a workload's rollout, by batch, as far as anything has happened.
    pub fn rollout(&self, workload: usize) -> &[BatchCounts] {
        self.rollouts.get(&workload).map_or(&[], Vec::as_slice)
    }

    /// Records one span of a measured execution.
    pub fn record(&mut self, span: Span, workload: usize, group: usize, outcome: Outcome, us: u64) {
        let slot = self.span_slot(span, workload, group, outcome);
        if self.spans[slot].is_some() || self.admit(slot) {
            self.spans[slot].get_or_insert_default().record(us);
        }
    }

    /// Records one connect.
    pub fn record_connect(&mut self, group: usize, us: u64) {
        if self.connects[group].is_some() || self.admit(self.spans.len() + group) {
            self.connects[group].get_or_insert_default().record(us);
        }
    }

    /// Whether there may be a histogram in this slot; counts the sample that finds none.
    fn admit(&mut self, slot: usize) -> bool {
        if self.admitted.contains(&slot) {
            return true;
        }
        let room = self.admitted.len() < MAX_HISTOGRAMS;
        if room {
            self.admitted.insert(slot);
        } else {
            self.overflowed += 1;
        }
        room
    }

    /// Counts what a bounded queue could not take.
    pub fn drop_from(&mut self, queue: &'static str, count: u64) {
        *self.dropped.entry(queue).or_default() += count;
    }

    /// Counts something that a device did or met.
    pub fn note(&mut self, what: &'static str) {
        *self.noted.entry(what).or_default() += 1;
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
        for (workload, batches) in &other.rollouts {
            for (batch, counts) in batches.iter().enumerate() {
                self.rollout_mut(*workload, batch).add(counts);
            }
        }
        self.overflowed += other.overflowed;
        for (mine, theirs) in self.reconnects.iter_mut().zip(&other.reconnects) {
            *mine += theirs;
        }
        for (queue, count) in &other.dropped {
            *self.dropped.entry(queue).or_default() += count;
        }
        for (what, count) in &other.noted {
            *self.noted.entry(what).or_default() += count;
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
        // The bound holds over the seconds of a run, and the same ones stay.
        let mut total = statistics.take();
        for group in (0..600).rev() {
            statistics.record(Span::Latency, 0, group, Outcome::Other, 5);
        }
        total.add(&statistics.take());
        assert_eq!(
            (total.overflowed, total.merged(Span::Latency, None, None, None).len()),
            (2 * 88, 2 * 512)
        );
        assert_eq!(total.histogram(Span::Latency, 0, 599, Outcome::Other).map(Histogram::len), None);
    }

    #[test]
    fn a_hand_over_gives_room_for_as_many_histograms_again() {
        let many = Arc::new(Shape {
            workloads: vec!["w".into()],
            groups: (0..513).map(|n| n.to_string()).collect(),
        });
        let mut statistics = Statistics::new(many);
        let fill = |statistics: &mut Statistics| {
            (0..513).for_each(|group| statistics.record_connect(group, 5));
            statistics.overflowed
        };
        assert_eq!(fill(&mut statistics), 1);
        let taken = statistics.take();
        assert_eq!((taken.overflowed, taken.merged(Span::Connect, None, None, None).len()), (1, 512));
        assert_eq!(statistics.overflowed, 0);
        assert_eq!(fill(&mut statistics), 1);
    }

    /// One of everything in workload 1 and group 2, and elsewhere what tells the cells apart.
    fn filled() -> Statistics {
        let mut statistics = Statistics::new(shape());
        for (part, times) in [(Part::Measured, 1), (Part::WarmUp, 100)] {
            for w in 0..2u64 {
                for g in 0..3u64 {
                    let counts = statistics.counts_mut(part, cell(w), cell(g));
                    counts.due = times * 10u64.pow(u32::try_from(3 * w + g).unwrap());
                }
            }
            let counts = statistics.counts_mut(part, 1, 2);
            counts.started += 7;
            counts.timed_out_as_planned += 5;
            for class in Class::ALL {
                counts.decide(class);
            }
            counts.refuse(&"A".into());
            (0..2).for_each(|_| counts.refuse(&"B".into()));
            for finding in Finding::ALL {
                counts.find(finding, true);
                (0..2).for_each(|_| counts.find(finding, false));
            }
        }
        for span in Span::ALL.into_iter().filter(|span| *span != Span::Connect) {
            for (w, g, outcome) in
                [(0, 0, Outcome::Succeeded), (0, 2, Outcome::Succeeded), (1, 2, Outcome::Other)]
            {
                statistics.record(span, w, g, outcome, 9);
            }
        }
        (0..3).for_each(|group| statistics.record_connect(group, 9));
        statistics.recent_latency.record(9);
        statistics.overflowed = 3;
        statistics.reconnects = vec![1, 2, 3];
        statistics.drop_from("commands", 4);
        statistics
    }

    fn cell(index: u64) -> usize {
        usize::try_from(index).unwrap()
    }

    #[test]
    fn a_sum_covers_the_workloads_and_groups_asked_for() {
        let statistics = filled();
        for (workload, group, due) in [
            (None, None, 111_111),
            (Some(0), None, 111),
            (Some(1), None, 111_000),
            (None, Some(0), 1_001),
            (None, Some(2), 100_100),
            (Some(1), Some(1), 10_000),
        ] {
            assert_eq!(statistics.measured(workload, group).due, due, "{workload:?} {group:?}");
            assert_eq!(statistics.sum(Part::WarmUp, workload, group).due, 100 * due);
        }
    }

    #[test]
    fn a_merged_histogram_covers_the_workloads_groups_and_outcomes_asked_for() {
        let statistics = filled();
        for (workload, group, outcome, samples, connects) in [
            (None, None, None, 3, 3),
            (Some(0), None, None, 2, 3),
            (None, Some(2), None, 2, 1),
            (None, None, Some(Outcome::Succeeded), 2, 3),
            (None, None, Some(Outcome::Other), 1, 0),
            (Some(1), Some(2), Some(Outcome::Other), 1, 0),
            (Some(1), Some(1), None, 0, 1),
        ] {
            for span in Span::ALL {
                // Connects belong to no workload and always succeed.
                let expected = if span == Span::Connect { connects } else { samples };
                let merged = statistics.merged(span, workload, group, outcome);
                assert_eq!(merged.len(), expected, "{span:?} {workload:?} {group:?} {outcome:?}");
            }
        }
    }

    #[test]
    fn nothing_is_left_out_when_statistics_are_added() {
        let mut twice = Statistics::new(shape());
        (0..2).for_each(|_| twice.add(&filled()));
        for part in [Part::Measured, Part::WarmUp] {
            let (one, two) = (filled().counts(part, 1, 2).clone(), twice.counts(part, 1, 2).clone());
            assert_eq!((two.due, two.started), (2 * one.due, 14));
            assert_eq!((two.timed_out_as_planned, two.decided()), (10, 2 * one.decided()));
            for class in Class::ALL {
                assert_eq!(two.class(class), if class == Class::Refused { 8 } else { 2 }, "{class:?}");
            }
            assert_eq!(two.refused, BTreeMap::from([("A".into(), 2), ("B".into(), 4)]));
            for finding in Finding::ALL {
                let count = FindingCount { explained: 2, unexplained: 4 };
                assert_eq!((two.finding(finding), count.total()), (count, 6), "{finding:?}");
            }
            // `late` and `redelivered` are legal.
            assert_eq!(two.unexplained(), 5 * 4);
            assert_eq!(two.decided_started(), 2 * 6);
        }
        for span in Span::ALL {
            assert_eq!(twice.merged(span, None, None, None).len(), 6, "{span:?}");
        }
        assert_eq!((twice.recent_latency.len(), twice.overflowed), (2, 6));
        assert_eq!(twice.reconnects, [2, 4, 6]);
        assert_eq!(twice.dropped, BTreeMap::from([("commands", 8)]));
    }

    #[test]
    fn nothing_is_left_behind_when_statistics_are_taken() {
        let mut statistics = filled();
        assert_eq!(statistics.take().measured(None, None), filled().measured(None, None));
        for part in [Part::Measured, Part::WarmUp] {
            assert_eq!(statistics.sum(part, None, None), Counts::default());
        }
        assert!(Span::ALL.into_iter().all(|span| statistics.merged(span, None, None, None).is_empty()));
        assert!(statistics.recent_latency.is_empty() && statistics.dropped.is_empty());
        assert_eq!((statistics.overflowed, statistics.reconnects), (0, vec![0; 3]));
    }

    #[test]
    fn a_second_that_decides_more_than_fell_due_in_it_has_none_open() {
        let mut counts = Counts { due: 1, ..Counts::default() };
        (0..3).for_each(|_| counts.decide(Class::Succeeded));
        assert_eq!((counts.open(), counts.decided()), (0, 3));
        counts.due = 5;
        assert_eq!(counts.open(), 2);
    }
}
