//! A rollout as a whole: how fast devices are told, which batch is on, and when it ends.
//!
//! A pure state machine beside the shards. It is fed the merged counts of each second and answers with
//! what every shard is to do; which device is told when follows from that alone (see [`Release`]), and
//! retries are the shards' own business.

use crate::scenario::{AbortStatus, Batch, IncreaseAfter, Rollout};
use crate::stats::{AbortGauge, BatchCounts, BatchProgress, RateStep, RolloutProgress, RolloutState};
use crate::units::{Rate, human_count, human_micros, micros};

/// Devices by their places in the order of the rollout, told at equal gaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Release {
    /// When the device at `first` is told, in µs since the start of the load.
    pub from_us: u64,
    /// The first place.
    pub first: u64,
    /// The place behind the last one.
    pub until: u64,
    /// Devices per second.
    pub per_second: f64,
}

impl Release {
    /// When the device at `place` is told, in µs since the start of the load.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "not negative; counts and instants of a run are far below 2^53"
    )]
    pub fn at_us(&self, place: u64) -> u64 {
        let after = place.saturating_sub(self.first) as f64 / self.per_second * 1e6;
        self.from_us.saturating_add(after as u64)
    }

    /// The first place whose device is not told before `at_us`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "not negative; counts and instants of a run are far below 2^53"
    )]
    fn place_at(&self, at_us: u64) -> u64 {
        let told = at_us.saturating_sub(self.from_us) as f64 / 1e6 * self.per_second;
        let mut place = self.first.saturating_add(told as u64);
        // The division back may miss by a place.
        while place > self.first && self.at_us(place - 1) >= at_us {
            place -= 1;
        }
        while self.at_us(place) < at_us {
            place += 1;
        }
        place.min(self.until)
    }
}

/// What a rollout wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum RolloutStep {
    /// All shards go on like this.
    Release(Release),
    /// Worth a line.
    Event(String),
    /// All shards end this workload; nothing is wrong.
    End,
    /// The load is to end: an abort rule or a batch says so.
    Abort,
}

/// One rollout.
#[derive(Debug)]
pub struct RolloutControl {
    workload: usize,
    name: String,
    load: Rollout,
    /// For each batch the place behind its last device; one batch if the rollout has none.
    bounds: Vec<u64>,
    begin_us: u64,
    release: Release,
    increases: u32,
    batch: usize,
    begun_us: Vec<u64>,
    gates_us: Vec<u64>,
    state: RolloutState,
    reason: Option<String>,
    rates: Vec<RateStep>,
}

impl RolloutControl {
    /// A rollout over the places up to the last of `bounds`, which begins at `begin_us` of the load.
    pub fn new(workload: usize, name: &str, load: &Rollout, bounds: Vec<u64>, begin_us: u64) -> Self {
        let per_second = load.base_rate.per_second();
        let until = bounds.first().copied().unwrap_or(0);
        Self {
            workload,
            name: name.to_owned(),
            load: load.clone(),
            bounds,
            begin_us,
            release: Release { from_us: begin_us, first: 0, until, per_second },
            increases: 0,
            batch: 0,
            begun_us: vec![begin_us],
            gates_us: Vec::new(),
            state: RolloutState::Waiting,
            reason: None,
            rates: vec![RateStep { at_us: begin_us, per_second }],
        }
    }

    /// The workload it belongs to.
    pub fn workload(&self) -> usize {
        self.workload
    }

    /// What the shards are told when the load begins.
    pub fn first(&self) -> Release {
        self.release
    }

    /// What follows from the counts of all seconds up to `now_us` of the load, by batch; it takes effect at
    /// `next_us` of it, when every shard has heard.
    pub fn second(&mut self, now_us: u64, next_us: u64, counts: &[BatchCounts]) -> Vec<RolloutStep> {
        if self.is_over() || now_us < self.begin_us {
            return Vec::new();
        }
        self.state = RolloutState::Running;
        let total = sum(counts);
        if let Some(reason) = self.abort(&total).or_else(|| self.failed_batch(counts)) {
            let text = format!("rollout {} aborted: {reason}", self.name);
            (self.state, self.reason) = (RolloutState::Aborted, Some(reason));
            return vec![RolloutStep::Event(text), RolloutStep::Abort];
        }
        if total.finished() >= self.devices() {
            self.state = RolloutState::Complete;
            let text = format!(
                "rollout {} complete: {} of {} devices succeeded",
                self.name,
                human_count(total.good_devices()),
                human_count(self.devices())
            );
            return vec![RolloutStep::Event(text), RolloutStep::End];
        }
        if self.load.give_up_after.is_some_and(|after| now_us >= self.begin_us.saturating_add(micros(after)))
        {
            self.state = RolloutState::GaveUp;
            let left = human_count(self.devices() - total.good_devices().min(self.devices()));
            let after = human_micros(self.load.give_up_after.map_or(0, micros));
            let reason = format!("after {after}, with {left} devices left");
            let text = format!("rollout {} gave up {reason}", self.name);
            self.reason = Some(reason);
            return vec![RolloutStep::Event(text), RolloutStep::End];
        }
        if self.load.batches.is_empty() {
            self.rate_step(next_us, &total)
        } else {
            self.gate(now_us, next_us, counts)
        }
    }

    /// The load ended: a rollout that was not over is not going to be.
    pub fn stop(&mut self) {
        if !self.is_over() {
            self.state = RolloutState::Stopped;
        }
    }

    /// Whether nothing more comes of it.
    pub fn is_over(&self) -> bool {
        use RolloutState::{Aborted, Complete, GaveUp, Stopped};
        matches!(self.state, Complete | GaveUp | Aborted | Stopped)
    }

    /// Devices that it is to reach.
    fn devices(&self) -> u64 {
        self.bounds.last().copied().unwrap_or(0)
    }

    fn batch_size(&self, batch: usize) -> u64 {
        let begin = batch.checked_sub(1).map_or(0, |before| self.bounds[before]);
        self.bounds[batch] - begin
    }

    /// Why an abort rule stops it.
    fn abort(&self, total: &BatchCounts) -> Option<String> {
        self.gauges(total).into_iter().find(AbortGauge::is_over).map(|gauge| {
            format!(
                "{} of {} ended executions {} ({:.2}%), over the limit of {}",
                human_count(gauge.count),
                human_count(gauge.executed),
                if gauge.status == "all" { "did not succeed" } else { gauge.status },
                gauge.share().unwrap_or(0.0) * 100.0,
                percent(gauge.over),
            )
        })
    }

    fn gauges(&self, total: &BatchCounts) -> Vec<AbortGauge> {
        let gauge = |rule: &crate::scenario::AbortWhen| AbortGauge {
            status: rule.status.name(),
            over: rule.over.fraction(),
            min_executed: rule.min_executed,
            count: match rule.status {
                AbortStatus::Failed => total.failed,
                AbortStatus::Rejected => total.rejected,
                AbortStatus::TimedOut => total.timed_out,
                AbortStatus::All => total.executed() - total.succeeded,
            },
            executed: total.executed(),
        };
        self.load.abort_when.iter().map(gauge).collect()
    }

    /// Why the batch that is on, or was, stops it.
    fn failed_batch(&self, counts: &[BatchCounts]) -> Option<String> {
        let begun = self.load.batches.iter().zip(counts).enumerate().take(self.batch + 1);
        for (number, (batch, counts)) in begun {
            let size = self.batch_size(number);
            let bad = fraction(counts.bad_devices(), size);
            if let Some(limit) = batch.error_threshold.filter(|limit| bad > limit.fraction()) {
                return Some(format!(
                    "{} of {} devices of batch {} did not succeed, over its error_threshold of {limit}",
                    human_count(counts.bad_devices()),
                    human_count(size),
                    batch.name,
                ));
            }
            let is_last = number + 1 == self.load.batches.len();
            let good = fraction(counts.good_devices(), size);
            if number == self.batch
                && !is_last
                && counts.finished() >= size
                && good < batch.success_threshold.fraction()
            {
                return Some(format!(
                    "batch {} ended with {} of {} devices, short of its success_threshold of {}",
                    batch.name,
                    human_count(counts.good_devices()),
                    human_count(size),
                    batch.success_threshold,
                ));
            }
        }
        None
    }

    /// The next step of an exponential rate.
    fn rate_step(&mut self, next_us: u64, total: &BatchCounts) -> Vec<RolloutStep> {
        let Some(growth) = &self.load.growth else { return Vec::new() };
        let (count, each, what) = match growth.after {
            IncreaseAfter::Notified(each) => (total.notified, each, "notified"),
            IncreaseAfter::Succeeded(each) => (total.good_devices(), each, "succeeded"),
        };
        let increases = u32::try_from(count / each.max(1)).unwrap_or(u32::MAX);
        if increases <= self.increases {
            return Vec::new();
        }
        self.increases = increases;
        let max = growth.max_rate.per_second();
        let exponent = i32::try_from(increases).unwrap_or(i32::MAX);
        let per_second = (self.load.base_rate.per_second() * growth.factor.powi(exponent)).min(max);
        if per_second <= self.release.per_second {
            return Vec::new();
        }
        let from_us = next_us.max(self.release.from_us);
        let first = self.release.place_at(from_us);
        self.release = Release { from_us, first, per_second, ..self.release };
        self.keep_rate();
        let rate = Rate::from_per_second(per_second);
        let text = format!("rollout {} goes on at {rate}: {} devices {what}", self.name, human_count(count));
        vec![RolloutStep::Event(text), RolloutStep::Release(self.release)]
    }

    fn keep_rate(&mut self) {
        if self.rates.len() < RolloutProgress::RATES_KEPT {
            self.rates.push(RateStep { at_us: self.release.from_us, per_second: self.release.per_second });
        }
    }

    /// The gate between the batch that is on and the next one.
    fn gate(&mut self, now_us: u64, next_us: u64, counts: &[BatchCounts]) -> Vec<RolloutStep> {
        let mut steps = Vec::new();
        let (Some(batch), Some(of)) = (self.load.batches.get(self.batch).cloned(), counts.get(self.batch))
        else {
            return steps;
        };
        let size = self.batch_size(self.batch);
        let open =
            of.released >= size && fraction(of.good_devices(), size) >= batch.success_threshold.fraction();
        if self.gates_us.len() == self.batch {
            if !open || self.batch + 1 == self.load.batches.len() {
                return steps;
            }
            self.gates_us.push(now_us);
            steps.push(RolloutStep::Event(self.gate_text(&batch, of, size)));
        }
        let soaked = self.gates_us[self.batch].saturating_add(micros(batch.soak));
        if now_us < soaked {
            self.state = RolloutState::Soaking;
            return steps;
        }
        self.batch += 1;
        let from_us = next_us;
        self.begun_us.push(from_us);
        let (first, until) = (self.bounds[self.batch - 1], self.bounds[self.batch]);
        self.release = Release { from_us, first, until, ..self.release };
        let next = &self.load.batches[self.batch];
        steps.push(RolloutStep::Event(format!(
            "rollout {}: batch {} begins, {} devices",
            self.name,
            next.name,
            human_count(until - first)
        )));
        steps.push(RolloutStep::Release(self.release));
        steps
    }

    fn gate_text(&self, batch: &Batch, of: &BatchCounts, size: u64) -> String {
        let soak = if batch.soak.is_zero() {
            String::new()
        } else {
            format!(", soaking for {}", human_micros(micros(batch.soak)))
        };
        format!(
            "rollout {}: gate of batch {} open with {} of {} devices{soak}",
            self.name,
            batch.name,
            human_count(of.good_devices()),
            human_count(size)
        )
    }

    /// How it stands with these counts, by batch.
    pub fn progress(&self, counts: &[BatchCounts]) -> RolloutProgress {
        let total = sum(counts);
        let batches = (0..self.bounds.len()).map(|number| BatchProgress {
            name: self.load.batches.get(number).map(|batch| batch.name.clone()).unwrap_or_default(),
            devices: self.batch_size(number),
            state: self.batch_state(number),
            begun_us: self.begun_us.get(number).copied(),
            gate_us: self.gates_us.get(number).copied(),
            counts: counts.get(number).copied().unwrap_or_default(),
        });
        RolloutProgress {
            workload: self.workload,
            devices: self.devices(),
            state: self.state,
            reason: self.reason.clone(),
            batches: batches.collect(),
            counts: total,
            gauges: self.gauges(&total),
            rates: self.rates.clone(),
        }
    }

    fn batch_state(&self, number: usize) -> RolloutState {
        match number.cmp(&self.batch) {
            std::cmp::Ordering::Less => RolloutState::Complete,
            std::cmp::Ordering::Equal => self.state,
            std::cmp::Ordering::Greater => RolloutState::Waiting,
        }
    }
}

fn sum(counts: &[BatchCounts]) -> BatchCounts {
    let mut total = BatchCounts::default();
    for batch in counts {
        total.add(batch);
    }
    total
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn fraction(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `8%`, `2.5%`.
fn percent(fraction: f64) -> String {
    let text = format!("{:.4}", fraction * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
