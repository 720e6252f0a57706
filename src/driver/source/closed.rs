//! A closed loop: so many executions in flight, the next one when one has ended.
//!
//! Each place in flight is a user that starts, waits for the end, thinks and starts again. Users are dealt
//! out over the shards as devices are, so each shard keeps its own without knowing of the others. Levels
//! and ramps say how many users there are at an instant. A load that is played faster has as many more of
//! them for as much less time: the same starts, only sooner.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Deadlines, Instant};
use crate::dist::Delay;
use crate::plan::{Arrival, OwnDevices, Plan};
use crate::scenario::{Concurrency, Level, Select};
use crate::seed::{Purpose, Seed, Subject};
use crate::units::micros;

/// The tick of simulated time.
const TICK_US: u64 = 1_000;

/// The users of one workload that belong to one shard.
#[derive(Debug)]
pub(super) struct ClosedLoop {
    seed: Seed,
    workload: u16,
    subject: Subject,
    select: Select,
    shard: u64,
    shards: u64,
    own: OwnDevices,
    begin_us: u64,
    levels: Vec<Level>,
    end_us: u64,
    think_time: Option<Delay>,
    /// At how many percent of the plan's speed the load is played: so many percent of the users there are.
    percent: u32,
    /// Users that have started and not stopped, thinking ones included.
    active: u64,
    /// When users that think start again.
    thinking: Deadlines<()>,
    /// Users that have thought and are to start, since when.
    ready: VecDeque<u64>,
    /// The instant up to which everything is decided.
    now_us: u64,
    started: u64,
    thoughts: u64,
    /// The instant of the last start, and how many there were at it.
    instant: (u64, u64),
}

impl ClosedLoop {
    pub fn new(plan: &Plan, number: usize, load: &Concurrency, shard: usize, shards: usize) -> Self {
        let workload = &plan.scenario().workloads[number];
        let begin_us = micros(workload.start_after);
        Self {
            seed: plan.seed(),
            workload: u16::try_from(number).unwrap_or(u16::MAX),
            subject: Subject::new(&workload.name, 0),
            select: workload.select,
            shard: shard as u64,
            shards: shards as u64,
            own: plan.own_devices(number, shard, shards),
            begin_us,
            end_us: begin_us.saturating_add(load.levels.iter().map(|level| micros(level.duration)).sum()),
            levels: load.levels.clone(),
            think_time: load.think_time.clone(),
            percent: 100,
            active: 0,
            thinking: Deadlines::default(),
            ready: VecDeque::new(),
            now_us: begin_us,
            started: 0,
            thoughts: 0,
            instant: (0, 0),
        }
    }

    /// When the next start is due, or somebody has thought.
    pub fn next_us(&self) -> Option<u64> {
        let again = self.thinking.next().map(Instant::micros).filter(|at_us| *at_us < self.end_us);
        [self.ready.front().copied(), self.next_user_us(), again].into_iter().flatten().min()
    }

    /// From `at_us` on the load is played at so many percent of the plan's speed.
    pub fn play_at(&mut self, at_us: u64, percent: u32) {
        if percent != self.percent {
            self.percent = percent;
            // Room that there is only now was not there before.
            self.now_us = self.now_us.max(at_us);
        }
    }

    /// Time has come to `now_us`: whoever has thought by then starts again, or goes if the level is lower.
    pub fn pass(&mut self, now_us: u64) {
        while let Some((at, ())) = self.thinking.pop_due(Instant::from_micros(now_us)) {
            if self.active > self.users_at(at.micros()) {
                self.active -= 1;
                // Nobody takes the place that was given up.
                self.now_us = self.now_us.max(at.micros());
            } else {
                self.ready.push_back(at.micros());
            }
        }
    }

    /// When there is room for one more user, if none stops before.
    fn next_user_us(&self) -> Option<u64> {
        let user = self.own.user(self.active)?;
        let mut begin_us = self.begin_us;
        for level in &self.levels {
            let end_us = begin_us.saturating_add(micros(level.duration));
            if let Some(at_us) =
                self.ramp(level).reached_us(begin_us, self.now_us, user + 1).filter(|at_us| *at_us < end_us)
            {
                return Some(at_us);
            }
            begin_us = end_us;
        }
        None
    }

    fn ramp(&self, level: &Level) -> Ramp {
        Ramp::new(level, self.percent)
    }

    /// How many users of this shard there are to be.
    fn users_at(&self, at_us: u64) -> u64 {
        let mut begin_us = self.begin_us;
        for level in &self.levels {
            let end_us = begin_us.saturating_add(micros(level.duration));
            if at_us < end_us {
                return self.own.users_below(self.ramp(level).level_at(begin_us, at_us));
            }
            begin_us = end_us;
        }
        0
    }

    /// Takes the next start, of those that time has come to.
    pub fn take(&mut self) -> Option<Arrival> {
        let again_us = self.ready.front().copied();
        let user_us = self.next_user_us();
        let at_us = match (again_us, user_us) {
            (Some(again_us), user_us) if user_us.is_none_or(|user_us| again_us <= user_us) => {
                self.ready.pop_front();
                again_us
            }
            (_, user_us) => {
                let user_us = user_us?;
                self.active += 1;
                user_us
            }
        };
        self.now_us = self.now_us.max(at_us);
        self.instant = if self.instant.0 == at_us { (at_us, self.instant.1 + 1) } else { (at_us, 1) };
        let n = self.started;
        self.started += 1;
        let place = match self.select {
            Select::RoundRobin => n % self.own.count(),
            // Each shard draws for itself, among its own.
            Select::Uniform => {
                let subject = self.subject.with_index(self.shard);
                self.seed.at(Purpose::Select, subject, n).below(self.own.count())
            }
        };
        let device = self.own.device(place);
        let number = n * self.shards + self.shard;
        Some(Arrival { at_us, workload: self.workload, number, device, measured: true })
    }

    /// One of its executions has ended.
    pub fn ended(&mut self, at_us: u64) {
        self.now_us = self.now_us.max(at_us);
        let think_us = self.think_time.as_ref().map_or(0, |think| {
            self.thoughts += 1;
            let subject = self.subject.with_index(self.shard);
            let think_us = think.sample_us(&mut self.seed.at(Purpose::Think, subject, self.thoughts));
            // A faster clock does not make anybody think faster.
            think_us.saturating_mul(u64::from(self.percent)) / 100
        });
        // On simulated time nothing need take any: an instant has room for one start of each user.
        let crowded = self.instant.0 == at_us && self.instant.1 >= self.active;
        let again_us = at_us.saturating_add(if crowded { think_us.max(TICK_US) } else { think_us });
        self.thinking.push(Instant::from_micros(again_us), ());
    }

    /// Whether nothing more falls due from `now_us` on.
    pub fn is_exhausted(&self, now_us: u64) -> bool {
        now_us >= self.end_us || self.own.count() == 0
    }
}

/// A level as it is played.
#[derive(Debug, Clone, Copy)]
struct Ramp {
    from: f64,
    to: f64,
    length_us: f64,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "not negative; users and instants of a run are far below 2^53"
)]
impl Ramp {
    fn new(level: &Level, percent: u32) -> Self {
        // Whole users, and a load that goes on has one at the least: a little slower is not none at all.
        let played = |users: u64| {
            let least = if users == 0 { 0.0 } else { 1.0 };
            (users as f64 * f64::from(percent) / 100.0).round().max(least)
        };
        Self { from: played(level.from), to: played(level.to), length_us: length_us(level.duration) }
    }

    /// How many users there are at an instant, if it begins at `begin_us`.
    fn level_at(self, begin_us: u64, at_us: u64) -> u64 {
        let part = at_us.saturating_sub(begin_us) as f64 / self.length_us;
        // A ramp's own instants of a whole user must count as reached.
        ((self.to - self.from).mul_add(part, self.from) + 1e-6).max(0.0) as u64
    }

    /// When there are `users`, not before `after_us`; it may be behind the end.
    fn reached_us(self, begin_us: u64, after_us: u64, users: u64) -> Option<u64> {
        let after_us = after_us.max(begin_us);
        if self.level_at(begin_us, after_us) >= users {
            return Some(after_us);
        }
        if self.to <= self.from {
            return None;
        }
        let part = (users as f64 - self.from) / (self.to - self.from);
        Some(begin_us.saturating_add((part * self.length_us).ceil() as u64).max(after_us))
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a year")]
fn length_us(duration: Duration) -> f64 {
    micros(duration).max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::{Load, Variables, parse};

    fn closed_loop(load: &str, shard: usize, shards: usize) -> ClosedLoop {
        let text = format!(
            "version: 1\nname: s\ngroups: {{ a: {{ count: 3, behavior: {{ delay: 1ms }} }}, b: {{ count: 4, behavior: {{ delay: 1ms }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c }}, load: {{ concurrency: {load} }} }} }}\n"
        );
        let scenario =
            parse("s", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        let Load::Concurrency(load) = scenario.workloads[0].load.clone() else { panic!() };
        ClosedLoop::new(&Plan::new(Arc::new(scenario), Seed(2)), 0, &load, shard, shards)
    }

    fn taken(source: &mut ClosedLoop, until_us: u64) -> Vec<u64> {
        source.pass(until_us);
        std::iter::from_fn(|| {
            source.next_us().filter(|at_us| *at_us <= until_us)?;
            source.take().map(|arrival| arrival.at_us)
        })
        .collect()
    }

    #[test]
    fn users_are_dealt_out_and_add_up() {
        for (level, shards) in [(1, 3), (5, 3), (7, 2), (20, 3), (4, 9)] {
            let load = format!("{{ stages: [{{ in_flight: {level}, duration: 10s }}] }}");
            let started: usize =
                (0..shards).map(|shard| taken(&mut closed_loop(&load, shard, shards), 0).len()).sum();
            assert_eq!(started, level, "over {shards} shards");
        }
    }

    #[test]
    fn a_ramp_adds_one_user_after_the_other_and_lets_them_go() {
        let mut source = closed_loop(
            "{ stages: [{ in_flight: 2, ramp_to: 4, duration: 10s }, { ramp_to: 0, duration: 8s }] }",
            0,
            1,
        );
        // The fourth is reached at the end of the ramp, where the next stage begins to fall.
        assert_eq!(taken(&mut source, 60_000_000), [0, 0, 5_000_000, 10_000_000]);
        // At 15 s there is room for 1.5: of four that end one goes on.
        for _ in 0..4 {
            source.ended(15_000_000);
        }
        assert_eq!(taken(&mut source, 15_000_000), [15_000_000]);
        source.ended(17_000_000);
        assert!(taken(&mut source, 17_000_000).is_empty());
        assert_eq!((source.next_us(), source.active), (None, 0));
        assert!(!source.is_exhausted(17_999_999) && source.is_exhausted(18_000_000));
    }

    #[test]
    fn a_load_that_is_played_faster_has_more_users_from_then_on() {
        let mut source = closed_loop("{ stages: [{ in_flight: 10, duration: 60s }], think_time: 2s }", 0, 1);
        assert_eq!(taken(&mut source, 0), [0; 10]);
        source.play_at(5_000_000, 120);
        assert_eq!(taken(&mut source, 9_000_000), [5_000_000; 2], "not since the last start");
        // 2 s of the run are 2.4 s of a load that is played so much faster.
        source.ended(9_000_000);
        assert_eq!(source.next_us(), Some(11_400_000));
        source.play_at(10_000_000, 50);
        for _ in 0..11 {
            source.ended(10_000_000);
        }
        assert_eq!(taken(&mut source, 30_000_000).len(), 5, "seven of twelve go");
    }

    #[test]
    fn a_load_that_is_played_a_little_slower_keeps_its_last_user() {
        for (users, percent, left) in [(1, 91, 1), (2, 91, 2), (1, 10, 1), (2, 50, 1), (10, 91, 9)] {
            let load = format!("{{ stages: [{{ in_flight: {users}, duration: 60s }}] }}");
            let mut source = closed_loop(&load, 0, 1);
            assert_eq!(taken(&mut source, 0).len(), users);
            source.play_at(5_000_000, percent);
            (0..users).for_each(|_| source.ended(5_000_000));
            assert_eq!(taken(&mut source, 5_000_000).len(), left, "{users} at {percent} %");
        }
        assert_eq!(
            Ramp::new(&Level { from: 0, to: 0, duration: Duration::from_secs(1) }, 91).level_at(0, 0),
            0
        );
    }

    #[test]
    fn the_next_start_waits_for_the_end_and_the_thought() {
        let mut source = closed_loop("{ stages: [{ in_flight: 1, duration: 10s }], think_time: 2s }", 0, 1);
        assert_eq!(taken(&mut source, 9_000_000), [0]);
        source.ended(1_500_000);
        assert_eq!(source.next_us(), Some(3_500_000));
        assert_eq!(taken(&mut source, 9_000_000), [3_500_000]);
        // It would start again behind the end.
        source.ended(8_000_000);
        assert_eq!(source.next_us(), None);
    }
}
