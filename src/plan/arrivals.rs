//! Open-loop arrivals: instants from the cumulative rate, devices from the selection.

use crate::scenario::{Load, Once, Select, Spacing, Stage};
use crate::seed::{Draw, Permutation, Purpose, Seed, Subject};
use crate::units::{Share, micros};

use super::candidates::Candidates;
use super::{DeviceId, Plan};

/// One planned start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Instant, in µs since the start of the load.
    pub at_us: u64,
    /// Index of the workload.
    pub workload: u16,
    /// Number of this arrival in its workload, from 0: no two have the same.
    pub number: u64,
    /// The device it goes to.
    pub device: DeviceId,
    /// Whether it lies outside the warm-up stages.
    pub measured: bool,
}

/// A stretch of open-loop load that is decided while the run goes on. What falls due in it is a pure
/// function of the step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number, from 0: draws depend on it.
    pub number: u32,
    /// Where it begins, in µs since the start of the load.
    pub begin_us: u64,
    /// The number of its first arrival: the count of those that all steps before it have planned.
    pub first_arrival: u64,
    /// How its arrivals are spread.
    pub spacing: Spacing,
    /// One after the other.
    pub stages: Vec<Stage>,
}

impl Step {
    /// How many executions it starts.
    pub fn planned(&self) -> u64 {
        self.stages.iter().map(stage_count).sum()
    }

    /// Where it ends, in µs since the start of the load.
    pub fn end_us(&self) -> u64 {
        self.begin_us + self.stages.iter().map(|stage| micros(stage.duration)).sum::<u64>()
    }
}

/// The arrivals of one workload, in order.
#[derive(Debug, Clone)]
pub struct Arrivals {
    seed: Seed,
    workload: u16,
    subject: Subject,
    candidates: Candidates,
    choice: Choice,
    times: Times,
    number: u64,
}

/// Which device an arrival goes to.
#[derive(Debug, Clone)]
enum Choice {
    Uniform,
    RoundRobin,
    /// Each once, in this order.
    Once(Permutation),
}

/// When arrivals come.
#[derive(Debug, Clone)]
enum Times {
    Stages(Stages),
    Burst(Burst),
    /// Not beforehand.
    Never,
}

/// Stages, one after the other.
#[derive(Debug, Clone)]
struct Stages {
    spacing: Spacing,
    left: std::vec::IntoIter<Stage>,
    /// Where the next one begins, in µs since the start of the load.
    next_us: f64,
    current: Option<StageArrivals>,
    number: u64,
}

/// So many at equal gaps.
#[derive(Debug, Clone)]
struct Burst {
    begin_us: u64,
    within_us: u64,
    count: u64,
    done: u64,
}

/// The arrivals inside one stage.
#[derive(Debug, Clone)]
struct StageArrivals {
    begin_us: f64,
    /// Rates per µs at both ends, and the length.
    from: f64,
    slope: f64,
    area: f64,
    count: u64,
    done: u64,
    /// The last sorted uniform, for Poisson spacing.
    uniform: f64,
    measured: bool,
}

/// How many executions a stage starts: the integral of its rate, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and lengths are not negative"
)]
pub fn stage_count(stage: &Stage) -> u64 {
    let mean = f64::midpoint(stage.from.per_second(), stage.to.per_second());
    (mean * stage.duration.as_secs_f64()).round() as u64
}

/// How many devices a share of them is: the nearest number, and never none.
pub(super) fn share_of(share: Share, devices: u64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and not above the number of devices"
    )]
    let count = (share.fraction() * as_f64(devices)).round() as u64;
    count.clamp(1, devices.max(1))
}

impl Arrivals {
    pub(super) fn new(plan: &Plan, workload: usize) -> Self {
        let begin_us = micros(plan.scenario.workloads[workload].start_after);
        match &plan.scenario.workloads[workload].load {
            Load::ArrivalRate(load) => {
                let times = Times::Stages(Stages::new(load.spacing, load.stages.clone(), begin_us));
                Self::with(plan, workload, times)
            }
            Load::Once(Once { devices, within }) => {
                let mut this = Self::with(plan, workload, Times::Never);
                let count = share_of(*devices, this.candidates.count);
                this.times = Times::Burst(Burst { begin_us, within_us: micros(*within), count, done: 0 });
                this.choice = Choice::Once(this.seed.order(this.subject, this.candidates.count));
                this
            }
            Load::Concurrency(_) | Load::Rollout(_) | Load::Capacity(_) => {
                Self::with(plan, workload, Times::Never)
            }
        }
    }

    /// The arrivals of one step.
    pub(super) fn of_step(plan: &Plan, workload: usize, step: &Step) -> Self {
        let mut stages = Stages::new(step.spacing, step.stages.clone(), step.begin_us);
        // Far from the stages of every other step.
        stages.number = u64::from(step.number) << 32;
        Self { number: step.first_arrival, ..Self::with(plan, workload, Times::Stages(stages)) }
    }

    fn with(plan: &Plan, workload: usize, times: Times) -> Self {
        let of = &plan.scenario.workloads[workload];
        Self {
            seed: plan.seed,
            workload: u16::try_from(workload).unwrap_or(u16::MAX),
            subject: Subject::new(&of.name, 0),
            candidates: Candidates::of(plan, of),
            choice: match of.select {
                Select::Uniform => Choice::Uniform,
                Select::RoundRobin => Choice::RoundRobin,
            },
            times,
            number: 0,
        }
    }

    fn select(&self) -> DeviceId {
        let count = self.candidates.count;
        self.candidates.device(match &self.choice {
            Choice::RoundRobin => self.number % count,
            Choice::Uniform => self.seed.at(Purpose::Select, self.subject, self.number).below(count),
            Choice::Once(order) => order.at(self.number),
        })
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let (at_us, measured) = match &mut self.times {
            Times::Stages(stages) => stages.next(self.seed, self.subject)?,
            Times::Burst(burst) => (burst.next()?, true),
            Times::Never => return None,
        };
        let device = self.select();
        let number = self.number;
        self.number += 1;
        Some(Arrival { at_us, workload: self.workload, number, device, measured })
    }
}

impl Stages {
    fn new(spacing: Spacing, stages: Vec<Stage>, begin_us: u64) -> Self {
        Self { spacing, left: stages.into_iter(), next_us: as_f64(begin_us), current: None, number: 0 }
    }

    /// The next instant in µs, and whether it is measured.
    fn next(&mut self, seed: Seed, subject: Subject) -> Option<(u64, bool)> {
        loop {
            if let Some(stage) = &mut self.current {
                let subject = subject.with_index(self.number);
                let mut draw = seed.at(Purpose::Arrival, subject, stage.done);
                if let Some(at_us) = stage.next(self.spacing, &mut draw) {
                    return Some((at_us, stage.measured));
                }
                self.current = None;
                self.number += 1;
            }
            let stage = self.left.next()?;
            self.current = Some(StageArrivals::new(&stage, self.next_us));
            self.next_us += as_f64(micros(stage.duration));
        }
    }
}

impl Burst {
    fn next(&mut self) -> Option<u64> {
        if self.done == self.count {
            return None;
        }
        // At equal gaps, in the middle of each.
        let twice = u128::from(2 * self.done + 1) * u128::from(self.within_us);
        let after_us = u64::try_from(twice / (2 * u128::from(self.count))).unwrap_or(u64::MAX);
        self.done += 1;
        Some(self.begin_us + after_us)
    }
}

impl StageArrivals {
    fn new(stage: &Stage, begin_us: f64) -> Self {
        let length_us = as_f64(micros(stage.duration));
        let (from, to) = (stage.from.per_second() / 1e6, stage.to.per_second() / 1e6);
        Self {
            begin_us,
            from,
            slope: (to - from) / length_us,
            area: f64::midpoint(from, to) * length_us,
            count: stage_count(stage),
            done: 0,
            uniform: 0.0,
            measured: !stage.warm_up,
        }
    }

    /// The next instant in µs. Given their number, the arrivals of a Poisson process are sorted
    /// uniforms through the inverse of the cumulative rate; the smallest of the `left` uniforms that
    /// remain above the last one is `1 − (1 − last)·v^(1/left)`, so none has to be stored.
    fn next(&mut self, spacing: Spacing, draw: &mut Draw) -> Option<u64> {
        let left = self.count - self.done;
        if left == 0 {
            return None;
        }
        let share = match spacing {
            Spacing::Even => (as_f64(self.done) + 0.5) / as_f64(self.count),
            Spacing::Poisson => {
                // 1 − unit lies in (0, 1]: a zero would put all the rest at the end.
                self.uniform = 1.0 - (1.0 - self.uniform) * (1.0 - draw.unit()).powf(1.0 / as_f64(left));
                self.uniform
            }
        };
        self.done += 1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, far below 2^63 µs"
        )]
        let at_us = (self.begin_us + self.instant_of(share * self.area)) as u64;
        Some(at_us)
    }

    /// When the cumulative rate reaches `amount`, in µs since the stage began. The form with the
    /// root in the denominator loses no digits on gentle slopes and needs no case for a flat one.
    fn instant_of(&self, amount: f64) -> f64 {
        if amount == 0.0 {
            return 0.0;
        }
        let root = (self.from * self.from + 2.0 * self.slope * amount).max(0.0).sqrt();
        2.0 * amount / (self.from + root)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and instants of a run are far below 2^53")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

/// Those of some arrivals that go to one shard's devices.
#[derive(Debug)]
pub struct ShardArrivals {
    plan: Plan,
    shard: usize,
    shards: usize,
    head: Option<Arrival>,
    arrivals: Arrivals,
}

impl ShardArrivals {
    pub(super) fn new(plan: &Plan, arrivals: Arrivals, shard: usize, shards: usize) -> Self {
        let mut this = Self { plan: plan.clone(), shard, shards, head: None, arrivals };
        this.advance();
        this
    }

    fn advance(&mut self) {
        let (plan, shard, shards) = (&self.plan, self.shard, self.shards);
        self.head =
            self.arrivals.find(|arrival| shards == 1 || plan.shard_of(arrival.device, shards) == shard);
    }

    /// The next arrival without taking it.
    pub fn peek(&self) -> Option<&Arrival> {
        self.head.as_ref()
    }
}

impl Iterator for ShardArrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let next = self.head?;
        self.advance();
        Some(next)
    }
}
