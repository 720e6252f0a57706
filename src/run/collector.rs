//! Merges what the shards report, second by second, into snapshots.
//!
//! A snapshot is the last second that all shards have delivered; reports of later seconds wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::FaultCounts;
use crate::clock::{Instant, LoadClock};
use crate::control::Tempo;
use crate::driver::{Release, RolloutControl, RolloutStep};
use crate::stats::{
    Anomaly, CapacityProgress, Class, CpuUse, Event, GroupGauge, HeatColumn, Part, Percentile, Phase,
    RolloutProgress, Second, Series, Shape, Snapshot, Span, Statistics, StuckDevice,
};
use crate::units::MICROS_PER_SECOND;

use super::meter::Meter;
use super::shard::ShardReport;

/// Events of what was done by hand: half of all that are kept. The rest is for what happened.
const BY_HAND_KEPT: usize = Snapshot::EVENTS_KEPT / 2;

/// What is known of one shard: the newest, for the conductor, but for what a snapshot shows.
#[derive(Debug, Default, Clone)]
struct ShardState {
    /// Seconds delivered: the next one due.
    delivered: u64,
    /// As of the published second.
    online: Vec<u64>,
    /// As of the published second.
    cpu: Duration,
    ever_online: u64,
    exhausted: bool,
    open: usize,
    ended: usize,
    last_deadline: Instant,
    foreign: u64,
    last_error: Option<String>,
    finished: bool,
}

/// The totals of a run and its series so far.
#[derive(Debug)]
pub(super) struct Collector {
    shape: Arc<Shape>,
    epoch: Instant,
    group_sizes: Vec<u64>,
    planned: u64,
    load_planned: Option<Duration>,
    shards: Vec<ShardState>,
    waiting: BTreeMap<u64, Vec<ShardReport>>,
    totals: Statistics,
    series: Series,
    events: Vec<Event>,
    /// Those that there was no room for.
    events_lost: u64,
    /// Those of what was done by hand.
    by_hand: usize,
    /// Those that are said once.
    said: BTreeSet<&'static str>,
    anomalies: Vec<Anomaly>,
    reach: Arc<Vec<Vec<u64>>>,
    rollouts: Vec<RolloutControl>,
    stuck: Vec<StuckDevice>,
    /// CPU of shards (each) and backend at the last published second.
    cpu_before: (Vec<Duration>, Duration),
    cpu: CpuUse,
    published: u64,
    report_gap: Duration,
    /// Dropped messages that the backend counts itself.
    backend_dropped: u64,
    /// Ended executions the backend forgot before it was asked.
    backend_evicted: u64,
    /// What was measured since a capacity search emptied it.
    meter: Option<Meter>,
    pub capacity: Option<Arc<CapacityProgress>>,
    /// Faults the backend has injected, by name.
    backend_faults: BTreeMap<&'static str, u64>,
    /// When a run that was asked to stop ends at the latest.
    pub drain_until: Option<Instant>,
    /// The load's clock, once it is known when the load begins.
    pub load: Option<LoadClock>,
    pub phase: Phase,
    pub stopped: bool,
    /// How fast the load is played now.
    pub tempo: Tempo,
}

impl Collector {
    pub fn new(
        shape: Arc<Shape>,
        group_sizes: Vec<u64>,
        shards: usize,
        epoch: Instant,
        planned: u64,
        load_planned: Option<Duration>,
    ) -> Self {
        Self {
            totals: Statistics::new(Arc::clone(&shape)),
            shards: vec![ShardState { online: vec![0; group_sizes.len()], ..ShardState::default() }; shards],
            cpu_before: (vec![Duration::ZERO; shards], Duration::ZERO),
            shape,
            epoch,
            group_sizes,
            planned,
            load_planned,
            waiting: BTreeMap::new(),
            series: Series::default(),
            events: Vec::new(),
            events_lost: 0,
            by_hand: 0,
            said: BTreeSet::new(),
            anomalies: Vec::new(),
            reach: Arc::default(),
            rollouts: Vec::new(),
            stuck: Vec::new(),
            cpu: CpuUse::default(),
            published: 0,
            report_gap: Duration::ZERO,
            backend_dropped: 0,
            backend_evicted: 0,
            meter: None,
            capacity: None,
            backend_faults: BTreeMap::new(),
            drain_until: None,
            load: None,
            phase: Phase::Connect,
            stopped: false,
            tempo: Tempo::PLANNED,
        }
    }

    /// The same, for workloads that are meant to reach so many devices (by workload and group), some of
    /// them by rollouts.
    #[must_use]
    pub fn reaching(mut self, reach: Vec<Vec<u64>>, rollouts: Vec<RolloutControl>) -> Self {
        (self.reach, self.rollouts) = (Arc::new(reach), rollouts);
        self
    }

    /// How each rollout begins, by workload.
    pub fn first_releases(&self) -> Vec<(usize, Release)> {
        self.rollouts.iter().map(|rollout| (rollout.workload(), rollout.first())).collect()
    }

    /// What the rollouts want done after the last published second, at this instant of the load; it takes
    /// effect at `next_us` of it.
    pub fn lead_rollouts(&mut self, now_us: u64, next_us: u64) -> Vec<(usize, RolloutStep)> {
        let mut steps = Vec::new();
        for rollout in &mut self.rollouts {
            let workload = rollout.workload();
            let new = rollout.second(now_us, next_us, self.totals.rollout(workload));
            steps.extend(new.into_iter().map(|step| (workload, step)));
        }
        steps
    }

    /// When the load begins, once that is known.
    pub fn load_begin(&self) -> Option<Instant> {
        self.load.as_ref().map(LoadClock::begun)
    }

    /// The load has ended.
    pub fn stop_rollouts(&mut self) {
        self.rollouts.iter_mut().for_each(RolloutControl::stop);
    }

    /// Notes something worth a line. What there is no room for is counted.
    pub fn event(&mut self, now: Instant, text: impl Into<String>) {
        if self.events.len() < Snapshot::EVENTS_KEPT {
            self.events.push(Event { at_us: now.micros_since(self.epoch), text: text.into() });
        } else {
            self.events_lost += 1;
        }
    }

    /// The same for what somebody does by hand: a key that is held down leaves room for the rest.
    pub fn event_by_hand(&mut self, now: Instant, text: impl Into<String>) {
        if self.by_hand < BY_HAND_KEPT {
            self.by_hand += 1;
            self.event(now, text);
        } else {
            self.events_lost += 1;
        }
    }

    /// The same for what is said once, however often it is so.
    pub fn event_once(&mut self, now: Instant, text: &'static str) {
        if self.said.insert(text) {
            self.event(now, text);
        }
    }

    /// Notes how long the most silent shard has been silent; seen while it lasts, not when it ends.
    pub fn note_silence(&mut self, now: Instant) {
        for shard in 0..self.shards.len() {
            self.note_gap(shard, now);
        }
    }

    fn note_gap(&mut self, shard: usize, now: Instant) {
        let shard = &self.shards[shard];
        if !shard.finished {
            // The next one due, which may be an earlier one: a shard that was held up skips seconds.
            let due = self.epoch.plus_micros((shard.delivered + 1) * MICROS_PER_SECOND);
            let gap = Duration::from_micros(now.micros_since(due));
            self.report_gap = self.report_gap.max(gap);
            if let Some(meter) = &mut self.meter {
                meter.report_gap = meter.report_gap.max(gap);
            }
        }
    }

    /// Takes a shard's report. Returns whether a new second is complete.
    pub fn take(&mut self, report: ShardReport, now: Instant, backend_cpu: Duration) -> bool {
        if !report.last {
            self.note_gap(report.shard, now);
        }
        let shard = &mut self.shards[report.shard];
        shard.delivered = report.second + 1;
        shard.ever_online = report.ever_online;
        shard.exhausted = report.exhausted;
        shard.open = report.open;
        shard.ended = report.ended;
        shard.last_deadline = report.last_deadline;
        shard.foreign = report.foreign;
        shard.last_error.clone_from(&report.last_error);
        shard.finished = report.last;
        self.waiting.entry(report.second).or_default().push(report);
        let complete = self.shards.iter().map(|shard| shard.delivered).min().unwrap_or(0);
        let new = complete > self.published;
        if new {
            self.publish(complete, backend_cpu);
        }
        new
    }

    /// Merges what is complete into the totals and adds a point to the series.
    fn publish(&mut self, complete: u64, backend_cpu: Duration) {
        let mut second = Statistics::new(Arc::clone(&self.shape));
        let later = self.waiting.split_off(&complete);
        for report in std::mem::replace(&mut self.waiting, later).into_values().flatten() {
            second.add(&report.statistics);
            let shard = &mut self.shards[report.shard];
            (shard.online, shard.cpu) = (report.online, report.cpu);
            self.stuck.extend(report.stuck);
            let room = Snapshot::ANOMALIES_KEPT - self.anomalies.len();
            self.anomalies.extend(report.anomalies.into_iter().take(room));
        }
        #[expect(clippy::cast_precision_loss, reason = "a handful of seconds")]
        let elapsed = (complete - self.published).max(1) as f64;
        self.account_cpu(elapsed, backend_cpu);
        if let Some(meter) = &mut self.meter {
            let at = |second: u64| self.epoch.plus_micros(second * MICROS_PER_SECOND);
            meter.add(&second, self.cpu, at(self.published), at(complete));
        }
        self.published = complete;
        self.totals.add(&second);
        self.series.push(self.point(complete - 1, &second));
        self.series.record(complete - 1, &second);
    }

    fn account_cpu(&mut self, seconds: f64, backend_cpu: Duration) {
        let (shards, backend) = &mut self.cpu_before;
        let mut used = self.shards.iter().zip(shards.iter_mut()).map(|(shard, before)| {
            let cores = shard.cpu.saturating_sub(*before).as_secs_f64() / seconds;
            *before = shard.cpu;
            cores
        });
        let (mut generator, mut busiest_shard) = (0.0, 0.0_f64);
        for cores in &mut used {
            generator += cores;
            busiest_shard = busiest_shard.max(cores);
        }
        self.cpu = CpuUse {
            busiest_shard,
            generator,
            backend: backend_cpu.saturating_sub(*backend).as_secs_f64() / seconds,
        };
        *backend = backend_cpu;
    }

    fn point(&self, number: u64, second: &Statistics) -> Second {
        let both = |of: &Statistics| {
            let mut counts = of.sum(Part::Measured, None, None);
            counts.add(&of.sum(Part::WarmUp, None, None));
            counts
        };
        let counts = both(second);
        let succeeded = counts.class(Class::Succeeded);
        let latency = |p| second.recent_latency.percentile(Percentile(p));
        let lag = |span| second.merged(span, None, None, None).percentile(Percentile(99.0));
        Second {
            number,
            phase: self.phase,
            due: counts.due,
            started: counts.started,
            succeeded,
            other: counts.decided() - succeeded,
            classes: Class::ALL.map(|class| u32::try_from(counts.class(class)).unwrap_or(u32::MAX)),
            in_flight: both(&self.totals).open(),
            online: self.shards.iter().flat_map(|shard| &shard.online).sum(),
            latency_us_p50: latency(50.0),
            latency_us_p95: latency(95.0),
            latency_us_p99: latency(99.0),
            latency_us_max: second.recent_latency.max(),
            heat: HeatColumn::of(&second.recent_latency),
            schedule_lag_us_p99: lag(Span::ScheduleLag),
            device_lag_us_p99: lag(Span::DeviceLag),
            cpu: self.cpu,
        }
    }

    /// Ends the collection: merges whatever is still waiting, complete or not.
    pub fn close(&mut self, backend_cpu: Duration) {
        let last = self.waiting.keys().max().map(|second| second + 1);
        if let Some(last) = last {
            self.publish(last.max(self.published + 1), backend_cpu);
        }
        for shard in 0..self.shards.len() {
            self.totals.drop_from("executions nobody here started", self.shards[shard].foreign);
        }
        self.phase = Phase::Done;
        keep_first(&mut self.stuck);
    }

    /// What outputs read.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut groups: Vec<GroupGauge> =
            self.group_sizes.iter().map(|devices| GroupGauge { devices: *devices, online: 0 }).collect();
        for shard in &self.shards {
            for (group, online) in groups.iter_mut().zip(&shard.online) {
                group.online += online;
            }
        }
        let since = |from: Instant| Duration::from_micros(now.micros_since(from));
        let draining = matches!(self.phase, Phase::Drain | Phase::Settle);
        let mut totals = self.totals.clone();
        totals.drop_from("messages to slow clients", self.backend_dropped);
        totals.drop_from("the backend's memory of ended executions", self.backend_evicted);
        totals.drop_from("events", self.events_lost);
        totals.dropped.retain(|_, count| *count > 0);
        let due = totals.sum(Part::Measured, None, None).due + totals.sum(Part::WarmUp, None, None).due;
        Snapshot {
            number: self.published,
            phase: self.phase,
            elapsed: since(self.epoch),
            wall_elapsed: None,
            load_begin: self.load_begin().map(|begin| Duration::from_micros(begin.micros_since(self.epoch))),
            load_elapsed: self.load.as_ref().map(|load| Duration::from_micros(load.load_us(now))),
            load_planned: self.load_planned,
            planned: self.planned.max(due),
            last_deadline: draining
                .then(|| Duration::from_micros(self.last_deadline().micros_since(self.epoch))),
            shape: Arc::clone(&self.shape),
            totals: Arc::new(totals),
            groups,
            series: self.series.clone(),
            cpu: self.cpu,
            report_gap: self.report_gap,
            stopped: self.stopped,
            tempo: self.tempo,
            steered: self.load.as_ref().is_some_and(|load| !load.is_planned()),
            capacity: self.capacity.clone(),
            faults: self.backend_faults.clone(),
            events: Arc::new(self.events.clone()),
            anomalies: Arc::new(self.anomalies.clone()),
            reach: Arc::clone(&self.reach),
            rollouts: self
                .rollouts
                .iter()
                .map(|rollout| rollout.progress(self.totals.rollout(rollout.workload())))
                .collect(),
            stuck: if self.phase == Phase::Done { Arc::new(self.stuck.clone()) } else { Arc::default() },
        }
    }

    /// What the backend lost since its start: messages to clients that read too slowly, and ended
    /// executions it forgot.
    pub fn backend_lost(&mut self, dropped: u64, evicted: u64) {
        self.backend_dropped = dropped;
        self.backend_evicted = evicted;
    }

    /// What the backend did wrong by plan since its start.
    pub fn backend_injected(&mut self, faults: &FaultCounts) {
        self.backend_faults = faults.named().collect();
    }

    /// Empties the meter; processor time counts between these instants.
    pub fn meter(&mut self, from: Instant, until: Instant) {
        self.meter = Some(Meter::new(Arc::clone(&self.shape), from, until));
    }

    /// Executions that fell due since the meter was emptied, and those of them that are not decided.
    pub fn metered(&self) -> Option<(u64, u64)> {
        self.meter.as_ref().map(Meter::due_and_open)
    }

    /// The meter as if it were a whole run, which is over.
    pub fn metered_snapshot(&self, now: Instant) -> Option<Snapshot> {
        let meter = self.meter.as_ref()?;
        Some(Snapshot {
            phase: Phase::Done,
            totals: Arc::new(meter.statistics.clone()),
            report_gap: meter.report_gap,
            cpu: meter.cpu(),
            capacity: None,
            ..self.snapshot(now)
        })
    }

    /// The end of the last second that is merged.
    pub fn merged_until(&self) -> Instant {
        self.epoch.plus_micros(self.published * MICROS_PER_SECOND)
    }

    /// Devices that have been subscribed at least once.
    pub fn ever_online(&self) -> u64 {
        self.shards.iter().map(|shard| shard.ever_online).sum()
    }

    /// Whether nothing more falls due anywhere.
    pub fn exhausted(&self) -> bool {
        self.shards.iter().all(|shard| shard.exhausted)
    }

    /// Entries that are not struck off, and those of them that only wait to be read back.
    pub fn open(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(open, ended), shard| (open + shard.open, ended + shard.ended))
    }

    /// Whether every shard has sent its last report.
    pub fn finished(&self) -> bool {
        self.shards.iter().all(|shard| shard.finished)
    }

    /// Why some device is not connected.
    pub fn last_error(&self) -> Option<&str> {
        self.shards.iter().find_map(|shard| shard.last_error.as_deref())
    }

    fn last_deadline(&self) -> Instant {
        let last = self.shards.iter().map(|shard| shard.last_deadline).max().unwrap_or_default();
        self.drain_until.map_or(last, |until| last.min(until))
    }
}

/// Each shard has listed its first ones; of all of them the first are those of each rollout that come
/// first in the fleet.
fn keep_first(stuck: &mut Vec<StuckDevice>) {
    stuck.sort_by_key(|device| (device.workload, device.number));
    let (mut workload, mut kept) = (None, 0);
    stuck.retain(|device| {
        if workload.replace(device.workload) != Some(device.workload) {
            kept = 0;
        }
        kept += 1;
        kept <= RolloutProgress::STUCK_KEPT
    });
}

#[cfg(test)]
mod tests;
