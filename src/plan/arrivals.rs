//! Open-loop arrivals: instants from the cumulative rate, devices from the selection.

use crate::scenario::{Load, Select, Spacing, Stage, Workload};
use crate::seed::{Draw, Purpose, Seed, Subject};
use crate::units::micros;

use super::{DeviceId, Plan};

/// One planned start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Instant, in µs since the start of the load.
    pub at_us: u64,
    /// Index of the workload.
    pub workload: u16,
    /// Number of this arrival in its workload, from 0.
    pub number: u64,
    /// The device it goes to.
    pub device: DeviceId,
    /// Whether it lies outside the warm-up stages.
    pub measured: bool,
}

/// The arrivals of one workload, in order.
#[derive(Debug, Clone)]
pub struct Arrivals {
    seed: Seed,
    workload: u16,
    subject: Subject,
    spacing: Spacing,
    select: Select,
    /// (group, devices in it), in the order of the scenario.
    candidates: Vec<(u16, u32)>,
    candidate_count: u64,
    stages: std::vec::IntoIter<Stage>,
    /// Where the next stage begins, in µs since the start of the load.
    next_stage_us: f64,
    stage: Option<StageArrivals>,
    stage_number: u64,
    number: u64,
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
pub(super) fn stage_count(stage: &Stage) -> u64 {
    let mean = f64::midpoint(stage.from.per_second(), stage.to.per_second());
    (mean * stage.duration.as_secs_f64()).round() as u64
}

impl Arrivals {
    pub(super) fn new(plan: &Plan, workload: usize) -> Self {
        let Workload { name, groups, select, start_after, load, .. } = &plan.scenario.workloads[workload];
        let Load::ArrivalRate(load) = load;
        let candidates: Vec<(u16, u32)> = groups
            .iter()
            .map(|group| (u16::try_from(*group).unwrap_or(u16::MAX), plan.scenario.groups[*group].count))
            .collect();
        Self {
            seed: plan.seed,
            workload: u16::try_from(workload).unwrap_or(u16::MAX),
            subject: Subject::new(name, 0),
            spacing: load.spacing,
            select: *select,
            candidate_count: candidates.iter().map(|(_, count)| u64::from(*count)).sum(),
            candidates,
            stages: load.stages.clone().into_iter(),
            next_stage_us: as_f64(micros(*start_after)),
            stage: None,
            stage_number: 0,
            number: 0,
        }
    }

    fn select(&self) -> DeviceId {
        let mut place = match self.select {
            Select::RoundRobin => self.number % self.candidate_count,
            Select::Uniform => {
                self.seed.at(Purpose::Select, self.subject, self.number).below(self.candidate_count)
            }
        };
        for (group, count) in &self.candidates {
            match u32::try_from(place) {
                Ok(index) if index < *count => return DeviceId { group: *group, index },
                _ => place -= u64::from(*count),
            }
        }
        unreachable!("a place below the number of candidates lies in one of the groups")
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            if let Some(stage) = &mut self.stage {
                let subject = self.subject.with_index(self.stage_number);
                let mut draw = self.seed.at(Purpose::Arrival, subject, stage.done);
                if let Some(at_us) = stage.next(self.spacing, &mut draw) {
                    let measured = stage.measured;
                    let device = self.select();
                    let number = self.number;
                    self.number += 1;
                    return Some(Arrival { at_us, workload: self.workload, number, device, measured });
                }
                self.stage = None;
                self.stage_number += 1;
            }
            let stage = self.stages.next()?;
            self.stage = Some(StageArrivals::new(&stage, self.next_stage_us));
            self.next_stage_us += as_f64(micros(stage.duration));
        }
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

/// The arrivals of all workloads that go to one shard's devices, merged in order of time.
#[derive(Debug)]
pub struct ShardArrivals {
    plan: Plan,
    shard: usize,
    shards: usize,
    workloads: Vec<(Option<Arrival>, Arrivals)>,
}

impl ShardArrivals {
    pub(super) fn new(plan: &Plan, shard: usize, shards: usize) -> Self {
        let workloads = (0..plan.scenario.workloads.len()).map(|w| (None, plan.arrivals(w))).collect();
        let mut this = Self { plan: plan.clone(), shard, shards, workloads };
        for workload in 0..this.workloads.len() {
            this.advance(workload);
        }
        this
    }

    fn advance(&mut self, workload: usize) {
        let (head, arrivals) = &mut self.workloads[workload];
        let (plan, shard, shards) = (&self.plan, self.shard, self.shards);
        *head = arrivals.find(|arrival| shards == 1 || plan.shard_of(arrival.device, shards) == shard);
    }

    /// The next arrival without taking it.
    pub fn peek(&self) -> Option<&Arrival> {
        self.workloads.iter().filter_map(|(head, _)| head.as_ref()).min_by_key(|a| (a.at_us, a.workload))
    }
}

impl Iterator for ShardArrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let next = *self.peek()?;
        self.advance(usize::from(next.workload));
        Some(next)
    }
}
