//! Leads a run through its phases: connect → load → drain → settle → done.
//!
//! One loop, one match per thing that can happen: a shard's report, a tick (stop requests, dead
//! threads, a fleet that does not come up), a signal. In virtual time it ticks once a second: people
//! cannot be faster, and every tick is a step that the clock has to make.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::backend;
use crate::clock::{Clock, Instant, LoadClock};
use crate::control::{Control, Stop, Tempo};
use crate::driver::{RolloutStep, SourceCommand};
use crate::exit::Exit;
use crate::plan::Plan;
use crate::stats::Phase;
use crate::units::{MICROS_PER_SECOND, human_count};
use crate::verdict::{self, Verdict};

use super::capacity::CapacityLead;
use super::collector::Collector;
use super::pictures::Pictures;
use super::shard::{ShardCommand, ShardReport};
use super::shards::{Shards, end_wait};
use super::signals::Signals;
use super::timeline::Timeline;
use super::{Injection, Options};

/// Stop requests and dead threads are seen within this.
const TICK_US: u64 = 50_000;
/// A fleet of which nobody has come online for this long does not come up.
const CONNECT_STALL_US: u64 = 30_000_000;
/// Between "begin", or another word about the load, and its first instant: every shard has heard by then.
const LEAD_US: u64 = 20_000;
/// Between two changes of the tempo: a key that is held down asks more often than anybody can follow.
const STEER_GAP_US: u64 = 200_000;

/// How a run ended, beside what was measured.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Stopped by the user.
    pub stopped: bool,
    /// A rollout stopped it.
    pub rollout_aborted: bool,
    /// Why it could not be done, with its exit code.
    pub problem: Option<(Exit, String)>,
}

/// The loop's state.
pub(super) struct Conductor<'a> {
    pub clock: Clock,
    pub options: &'a Options,
    pub control: Control,
    pub collector: Collector,
    pub shards: &'a Shards,
    /// The embedded backend, if that is the target.
    pub backend: Option<backend::Handle>,
    pub reports: mpsc::Receiver<ShardReport>,
    pub pictures: Pictures<'a>,
    pub signals: Signals,
    pub injections: Vec<(Duration, Injection)>,
    /// Leads the capacity search, in a run that has one.
    pub capacity: Option<CapacityLead>,
    pub timeline: Timeline,
    pub devices: u64,
    /// So long nobody may come online because the scenario has it so.
    pub slowest_connect_gap_us: u64,
    /// The most devices that have been online, and when that was first so.
    pub connect_progress: (u64, Instant),
    pub stop_seen: Stop,
    /// When the tempo was changed last.
    pub steered_at: Option<Instant>,
    /// When a stopped run ends at the latest.
    pub drain_until: Option<Instant>,
    pub ending: Ending,
}

/// A group that connects one device an hour, or switches the last one on after two, is slow by wish.
pub(super) fn slowest_connect_gap_us(plan: &Plan) -> u64 {
    let gap = |group: &crate::scenario::Group| {
        let rate = group.connect.rate.map(crate::units::Rate::per_second).filter(|rate| *rate > 0.0)?;
        Some(crate::units::micros(Duration::from_secs_f64(1.0 / rate)))
    };
    let gap_us = plan.scenario().groups.iter().filter_map(gap).max().unwrap_or(0);
    gap_us.saturating_add(plan.longest_start_delay_us())
}

impl Conductor<'_> {
    /// Conducts the run until every shard has reported its end.
    pub async fn conduct(mut self) -> (Collector, Ending) {
        let tick_us = if self.clock.is_virtual() { MICROS_PER_SECOND } else { TICK_US };
        let mut tick = self.clock.now();
        while !self.is_over() {
            tick = tick.plus_micros(tick_us).max(self.clock.now());
            tokio::select! {
                biased; // A signal must not wait behind reports.
                () = self.signals.stop_requested() => {
                    self.control.request_stop();
                }
                Some(report) = self.reports.recv() => self.take(report),
                () = self.clock.sleep_until(tick) => {}
            }
            self.step();
        }
        self.finish().await;
        (self.collector, self.ending)
    }

    fn take(&mut self, report: ShardReport) {
        let now = self.clock.now();
        self.count_backend();
        if !self.collector.take(report, now, self.backend_cpu()) {
            return;
        }
        self.lead_rollouts(now);
        self.lead_search(now);
        // Whether a threshold stops the run must not depend on who looks, and when.
        let may_abort = self.options.scenario.thresholds.iter().any(|threshold| threshold.abort);
        let is_picture = self.pictures.is_due();
        if !is_picture && !may_abort {
            return;
        }
        let snapshot = self.collector.snapshot(now);
        let verdict = may_abort.then(|| verdict::judge(&self.options.scenario, &snapshot));
        if is_picture {
            self.pictures.show(snapshot);
        }
        if let Some(verdict) = verdict {
            self.abort_if_asked(&verdict);
        }
    }

    /// After each merged second: is the step of the capacity search over, and what comes next?
    fn lead_search(&mut self, now: Instant) {
        if self.collector.phase != Phase::Load {
            return;
        }
        let Some(lead) = &mut self.capacity else { return };
        if let Some(command) = lead.look(&self.options.scenario, &mut self.collector, now) {
            self.tell_search(&command);
        }
    }

    fn tell_search(&mut self, command: &SourceCommand) {
        let Some(lead) = &self.capacity else { return };
        self.collector.capacity = Some(Arc::new(lead.progress().clone()));
        self.shards.send_all(|| ShardCommand::Source(lead.workload(), command.clone()));
    }

    fn count_backend(&mut self) {
        if let Some(backend) = &self.backend {
            let counters = backend.counters();
            self.collector.backend_lost(counters.broker.dropped(), counters.evicted);
            self.collector.backend_injected(&counters.faults);
        }
    }

    /// Of a backend outside nothing is known.
    fn backend_cpu(&self) -> Duration {
        self.backend.as_ref().map_or(Duration::ZERO, backend::Handle::cpu)
    }

    /// Rollouts decide on every merged second, once.
    fn lead_rollouts(&mut self, now: Instant) {
        let is_load = self.collector.phase == Phase::Load;
        let load = self.collector.load.as_ref().filter(|load| is_load && now >= load.begun());
        let Some(load) = load else { return };
        let (now_us, next_us) = (load.load_us(now), load.not_before(now.plus_micros(LEAD_US)));
        for (workload, step) in self.collector.lead_rollouts(now_us, next_us) {
            match step {
                RolloutStep::Release(release) => self.tell(workload, &SourceCommand::Release(release)),
                RolloutStep::Event(text) => self.collector.event(now, text),
                RolloutStep::End => self.tell(workload, &SourceCommand::End),
                RolloutStep::Abort => {
                    self.ending.rollout_aborted = true;
                    self.stop_load();
                }
            }
        }
    }

    fn tell(&self, workload: usize, command: &SourceCommand) {
        let workload = u16::try_from(workload).unwrap_or(u16::MAX);
        self.shards.send_all(|| ShardCommand::Source(workload, command.clone()));
    }

    fn abort_if_asked(&mut self, verdict: &Verdict) {
        if self.collector.phase != Phase::Load {
            return;
        }
        if let Some(failed) = verdict.abort() {
            let text = format!("threshold failed, load aborted: {} ({})", failed.text, failed.shown);
            self.collector.event(self.clock.now(), text);
            self.stop_load();
        }
    }

    fn step(&mut self) {
        let now = self.clock.now();
        self.collector.note_silence(now);
        self.obey(now);
        self.steer(now);
        self.inject(now);
        if let Some(load) = self.collector.load.clone() {
            while let Some((at, text)) = self.timeline.take_due(&load, now) {
                self.collector.event(at, text);
            }
        }
        match self.collector.phase {
            Phase::Connect => self.watch_connects(now),
            Phase::Load if self.collector.exhausted() => {
                self.enter(Phase::Drain, now, "load ended, draining");
            }
            Phase::Drain => {
                let (open, ended) = self.collector.open();
                if open > 0 && open == ended {
                    self.enter(Phase::Settle, now, "all executions ended, reading their records back");
                }
            }
            Phase::Load | Phase::Settle | Phase::Done => {}
        }
        if let Some(shard) = self.shards.dead() {
            self.fail(
                Exit::Software,
                format!("generator thread {shard} ended unexpectedly: this is a bug of fleetsim"),
            );
        }
        if let Some(shard) = self.shards.deaf() {
            let text =
                format!("generator thread {shard} took no commands any more: this is a bug of fleetsim");
            self.fail(Exit::Software, text);
        }
    }

    fn obey(&mut self, now: Instant) {
        let stop = self.control.stop();
        if stop == self.stop_seen {
            return;
        }
        self.stop_seen = stop;
        self.ending.stopped = true;
        self.collector.stopped = true;
        match stop {
            Stop::No => {}
            Stop::Drain => {
                let grace = self.options.grace;
                self.collector
                    .event(now, format!("stop requested, draining for at most {}s", grace.as_secs()));
                self.drain_until = Some(now.plus(grace));
                self.collector.drain_until = self.drain_until;
                self.stop_load();
            }
            Stop::Now => {
                self.collector.event(now, "stop requested again, ending at once");
                self.drain_until = Some(now);
            }
        }
    }

    /// Pause and rate are asked for at any time; they are in force a little later, when every shard has heard.
    fn steer(&mut self, now: Instant) {
        let (asked, before) = (self.control.tempo(), self.collector.tempo);
        let is_soon = self.steered_at.is_some_and(|at| now.micros_since(at) < STEER_GAP_US);
        if asked == before || is_soon {
            return;
        }
        if self.collector.phase > Phase::Load {
            // Nothing is left that could wait.
            self.control.refuse(asked, before);
            return;
        }
        if self.capacity.is_some() {
            self.control.refuse(asked, before);
            self.collector
                .event_once(now, "a capacity search sets its own rate: it is not paused or played faster");
            return;
        }
        if let Some(load) = &self.collector.load {
            let Some(load) = load.changed(now.plus_micros(LEAD_US), asked.speed_percent()) else {
                self.control.refuse(asked, before);
                self.collector.event_once(now, "the load was steered too often: its tempo stays as it is");
                return;
            };
            self.keep_time(load);
        }
        for text in by_hand(before, asked) {
            self.collector.event_by_hand(now, text);
        }
        self.collector.tempo = asked;
        self.steered_at = Some(now);
    }

    /// From now on the load's clock runs like this, for everybody.
    fn keep_time(&mut self, load: LoadClock) {
        if let Some(backend) = self.backend.as_ref().filter(|_| self.timeline.has_outages()) {
            backend.plan_outages(self.timeline.outages(&load));
        }
        self.shards.send_all(|| ShardCommand::KeepTime(load.clone()));
        self.collector.load = Some(load);
    }

    fn inject(&mut self, now: Instant) {
        let Some(begin) = self.collector.load_begin() else { return };
        let due = |(after, _): &mut (Duration, Injection)| now >= begin.plus(*after);
        for (_, injection) in self.injections.extract_if(.., due).collect::<Vec<_>>() {
            match injection {
                Injection::OnBackend(job) => {
                    if let Some(backend) = &self.backend {
                        backend.run_on_thread(job);
                    }
                }
                Injection::OnShard(shard, job) => self.shards.send(shard, ShardCommand::Run(job)),
                Injection::OnConductor(job) => job(),
            }
        }
    }

    fn watch_connects(&mut self, now: Instant) {
        let online = self.collector.ever_online();
        if online == self.devices {
            let begin = now.plus_micros(LEAD_US);
            for (workload, release) in self.collector.first_releases() {
                self.tell(workload, &SourceCommand::Release(release));
            }
            let tempo = self.collector.tempo;
            self.keep_time(LoadClock::begin(begin, tempo.speed_percent()));
            if let Some(lead) = &mut self.capacity {
                let command = lead.begin(&mut self.collector, begin);
                self.tell_search(&command);
            }
            let text = if tempo.paused {
                "all devices subscribed, load waits: it is paused"
            } else {
                "all devices subscribed, load begins"
            };
            self.enter(Phase::Load, now, text);
            return;
        }
        let (before, since) = self.connect_progress;
        if online > before {
            self.connect_progress = (online, now);
        } else if now.micros_since(since) > CONNECT_STALL_US + self.slowest_connect_gap_us {
            let cause = self.collector.last_error().unwrap_or("no answer");
            let text = format!(
                "the fleet did not connect: {} of {} devices online, none more for {}s; last error: {cause}",
                human_count(online),
                human_count(self.devices),
                CONNECT_STALL_US / 1_000_000
            );
            self.fail(Exit::Unavailable, text);
        }
    }

    fn enter(&mut self, phase: Phase, now: Instant, text: &str) {
        self.collector.phase = phase;
        if phase > Phase::Load {
            self.collector.tempo = Tempo::PLANNED;
        }
        self.collector.event(now, text);
    }

    /// A user who stops wants nothing more sent; a threshold that aborts wants what is due judged.
    fn stop_load(&mut self) {
        self.collector.stop_rollouts();
        let abandon = self.ending.stopped;
        self.shards.send_all(|| ShardCommand::StopLoad { abandon });
        if self.collector.phase <= Phase::Load {
            self.collector.phase = Phase::Drain;
            self.collector.tempo = Tempo::PLANNED;
        }
    }

    fn fail(&mut self, exit: Exit, text: String) {
        if self.ending.problem.is_none() {
            self.collector.event(self.clock.now(), text.clone());
            self.ending.problem = Some((exit, text));
        }
    }

    fn is_over(&self) -> bool {
        let drained = self.collector.phase >= Phase::Drain
            && self.collector.exhausted()
            && self.collector.open().0 == 0;
        let out_of_time = self.drain_until.is_some_and(|until| self.clock.now() >= until);
        drained || out_of_time || self.ending.problem.is_some()
    }

    /// Tells the shards to end and collects their last reports.
    async fn finish(&mut self) {
        self.shards.send_all(|| ShardCommand::Finish);
        let deadline = self.clock.now().plus(end_wait(self.devices));
        while !self.collector.finished() {
            let Some(Some(report)) = self.clock.timeout_at(deadline, self.reports.recv()).await else {
                // The channel is closed: a shard has panicked. Or it is stuck: what it knew is lost.
                self.fail(
                    Exit::Software,
                    "a generator thread did not end: this is a bug of fleetsim".to_owned(),
                );
                break;
            };
            let now = self.clock.now();
            let backend_cpu = self.backend_cpu();
            self.collector.take(report, now, backend_cpu);
        }
        self.count_backend();
        self.collector.close(self.backend_cpu());
        self.pictures.show(self.collector.snapshot(self.clock.now()));
    }
}

/// What a change of the tempo is called in the result.
fn by_hand(before: Tempo, after: Tempo) -> Vec<String> {
    let mut texts = Vec::new();
    if before.rate_percent != after.rate_percent {
        let plan = if after.rate_percent == 100 { ", as planned," } else { "" };
        texts.push(format!("rate {}%{plan} by hand", after.rate_percent));
    }
    match (before.paused, after.paused) {
        (false, true) => texts.push("paused by hand".to_owned()),
        (true, false) => texts.push("resumed by hand".to_owned()),
        (false, false) | (true, true) => {}
    }
    texts
}
