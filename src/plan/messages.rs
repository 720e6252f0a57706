//! What a run would send and get over MQTT, counted before anything is sent: where messages cost money, a plan is
//! agreed to first.
//!
//! Expectations, rounded up where feedback or chance decides. Acknowledgements are not counted, and keep-alives as
//! if devices were idle.

use std::fmt;

use crate::dist::Delay;
use crate::scenario::{Capacity, Group, Load, OutcomeKind, TimelineAction, Workload};
use crate::units::human_count;

use super::{Forecast, Plan};

/// No search takes more steps.
const MAX_STEPS: f64 = 10_000.0;

/// Messages of a run, as far as its plan lets expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Messages {
    /// CONNECT, of the first connects and of planned reconnects.
    pub connects: u64,
    /// SUBSCRIBE, one for each connect.
    pub subscribes: u64,
    /// PUBLISH: requests to devices, their updates, and the replies to those.
    pub publishes: u64,
    /// PINGREQ.
    pub keep_alives: u64,
    /// StartCommandExecution.
    pub starts: u64,
}

impl Messages {
    /// All that goes over MQTT.
    pub const fn total(&self) -> u64 {
        self.connects
            .saturating_add(self.subscribes)
            .saturating_add(self.publishes)
            .saturating_add(self.keep_alives)
    }
}

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "about {} messages over MQTT (connects {}, subscribes {}, requests, updates and replies {}, keep-alives {}) \
             and {} starts over HTTP, each read back once",
            human_count(self.total()),
            human_count(self.connects),
            human_count(self.subscribes),
            human_count(self.publishes),
            human_count(self.keep_alives),
            human_count(self.starts)
        )
    }
}

impl Plan {
    /// What to expect of the run.
    pub fn messages(&self) -> Messages {
        let forecast = self.forecast();
        let run_s = self.run_seconds(&forecast);
        let mut starts = 0.0;
        let mut publishes = 0.0;
        // Connections that break while a command is at work.
        let mut broken = 0.0;
        for (number, workload) in self.scenario.workloads.iter().enumerate() {
            let executions = self.executions(number, workload, &forecast);
            starts += executions;
            for group in &workload.groups {
                let share = executions * self.part(workload, *group);
                let settings = &self.scenario.groups[*group];
                publishes += share * per_execution(settings);
                let drops = settings.connect.drops.as_ref();
                broken += share * drops.map_or(0.0, |drops| drops.mid_command.fraction());
            }
        }
        let mut connects = broken;
        let mut keep_alives = 0.0;
        for (index, group) in self.scenario.groups.iter().enumerate() {
            let devices = f64::from(group.count);
            let drops = group.connect.drops.as_ref().and_then(|drops| {
                let cycle_us = drops.every.as_ref()?.mean_us() + drops.down_for.mean_us();
                (cycle_us > 0.0).then(|| run_s * 1e6 / cycle_us)
            });
            let storms =
                self.scenario.timeline.iter().filter(|event| {
                    event.action == TimelineAction::Disconnect && event.groups.contains(&index)
                });
            let storms: f64 = storms.map(|event| event.share.fraction()).sum();
            connects += devices * (1.0 + drops.unwrap_or(0.0) + storms);
            keep_alives += devices * (run_s / group.connect.keep_alive.as_secs_f64()).floor();
        }
        let connects = whole(connects);
        Messages {
            connects,
            subscribes: connects,
            publishes: whole(publishes),
            keep_alives: whole(keep_alives),
            starts: whole(starts),
        }
    }

    /// Executions that a workload may start.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    fn executions(&self, number: usize, workload: &Workload, forecast: &Forecast) -> f64 {
        let planned = self.planned(number) as f64;
        match &workload.load {
            Load::ArrivalRate(_) | Load::Once(_) => planned,
            Load::Rollout(load) => {
                planned * (1.0 + f64::from(load.retry.failed) + f64::from(load.retry.timed_out))
            }
            Load::Concurrency(load) => {
                let level_s: f64 = load
                    .levels
                    .iter()
                    .map(|level| (level.from + level.to) as f64 / 2.0 * level.duration.as_secs_f64())
                    .sum();
                let busy_us: f64 = workload
                    .groups
                    .iter()
                    .map(|group| self.part(workload, *group) * forecast.groups[*group].busy_us)
                    .sum();
                let think_us = load.think_time.as_ref().map_or(0.0, Delay::mean_us);
                // No cycle is shorter than a round trip over a network.
                level_s * 1e6 / (busy_us + think_us).max(1_000.0)
            }
            Load::Capacity(load) => search(load).0,
        }
    }

    /// From the first connect to the last end, as far as is known.
    fn run_seconds(&self, forecast: &Forecast) -> f64 {
        let ends = self.scenario.workloads.iter().enumerate().map(|(number, workload)| {
            workload.start_after.as_secs_f64() + self.load_seconds(number, workload)
        });
        let load_s = ends.fold(0.0, f64::max);
        #[expect(clippy::cast_precision_loss, reason = "durations far below 2^53 µs")]
        let others_s = (forecast.connect_us + forecast.drain_us) as f64 / 1e6;
        load_s + others_s
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    fn load_seconds(&self, number: usize, workload: &Workload) -> f64 {
        match &workload.load {
            Load::Rollout(load) => {
                let told_s = self.planned(number) as f64 / load.base_rate.per_second().max(f64::MIN_POSITIVE);
                let soaks_s: f64 = load.batches.iter().map(|batch| batch.soak.as_secs_f64()).sum();
                let limit_s = load.give_up_after.map_or(f64::INFINITY, |limit| limit.as_secs_f64());
                (told_s + soaks_s).min(limit_s)
            }
            Load::Capacity(load) => search(load).1,
            other => other.duration().unwrap_or_default().as_secs_f64(),
        }
    }
}

/// Executions and seconds of a search that finds no limit before the last rate, and then one at its very end.
fn search(load: &Capacity) -> (f64, f64) {
    let each_s = (load.settle + load.hold).as_secs_f64();
    let (from, to) = (load.from.per_second(), load.to.per_second());
    let (mut rate, mut rates, mut steps) = (from, to, 1.0);
    while rate < to && steps < MAX_STEPS {
        rates += rate;
        steps += 1.0;
        rate *= load.step;
    }
    let halvings = (load.step.ln() / load.precision.fraction().ln_1p()).log2().ceil().clamp(0.0, MAX_STEPS);
    ((rates + to * halvings) * each_s, (steps + halvings) * each_s)
}

/// Messages that an execution costs in a group: its request, the updates, and a reply to each.
fn per_execution(group: &Group) -> f64 {
    let behavior = &group.behavior;
    let silent: f64 = behavior
        .outcomes
        .iter()
        .filter(|outcome| outcome.kind == OutcomeKind::NoAnswer)
        .map(|outcome| outcome.share.fraction())
        .sum();
    let accepts = if behavior.accept_delay.is_some() { 1.0 } else { 0.0 };
    let extra = [behavior.duplicates, behavior.out_of_order, behavior.malformed];
    let extra: f64 = extra.iter().map(|share| share.fraction()).sum();
    1.0 + 2.0 * (accepts + (1.0 - silent).max(0.0) * (1.0 + extra))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
fn whole(number: f64) -> u64 {
    number.ceil() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::{Variables, parse};
    use crate::seed::Seed;

    fn messages(group: &str, load: &str, rest: &str) -> Messages {
        let text = format!(
            "version: 1\nname: x\ngroups:\n  a: {{ count: 100, {group} }}\nworkloads:\n  \
             w: {{ command: {{ name: c, timeout: 4s }}, load: {load} }}\n{rest}"
        );
        let scenario =
            parse("x.yaml", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        Plan::new(Arc::new(scenario), Seed(7)).messages()
    }

    const STAGES: &str = "{ arrival_rate: { stages: [{ rate: 20/s, duration: 5m }] } }";

    #[test]
    fn a_plan_without_feedback_is_counted() {
        let found = messages("behavior: { delay: 1s }", STAGES, "");
        // 5 minutes and a second at a keep-alive of one minute; request, update and reply of each execution.
        let expected =
            Messages { connects: 100, subscribes: 100, publishes: 18_000, keep_alives: 500, starts: 6_000 };
        assert_eq!(found, expected);
        assert_eq!(found.total(), 18_700);
    }

    #[test]
    fn what_devices_do_besides_answering_is_counted() {
        let publishes = |behavior: &str| messages(behavior, STAGES, "").publishes;
        assert_eq!(publishes("behavior: { delay: 1s, accept_delay: 1s }"), 30_000);
        assert_eq!(publishes("behavior: { delay: 1s, outcomes: { no_answer: 50% } }"), 12_000);
        assert_eq!(publishes("behavior: { delay: 1s, duplicates: 50% }"), 24_000);
    }

    #[test]
    fn planned_reconnects_are_counted() {
        let storm = "timeline: [{ at: 10s, do: disconnect, share: 30%, for: 1s }]\n";
        assert_eq!(messages("behavior: { delay: 1s }", STAGES, storm).connects, 130);
        let drops = "connect: { drops: { every: 100s, down_for: 1s } }, behavior: { delay: 1s }";
        let connects = messages(drops, STAGES, "").connects;
        assert!((390..=410).contains(&connects), "{connects}");
    }

    #[test]
    fn loads_that_follow_feedback_are_bounded_from_above() {
        let behavior = "behavior: { delay: 1s }";
        let closed = "{ concurrency: { stages: [{ in_flight: 10, duration: 60s }] } }";
        assert_eq!(messages(behavior, closed, "").starts, 600);
        let rollout = "{ rollout: { base_rate: 10/s, retry: { failed: 2 } } }";
        assert_eq!(messages(behavior, rollout, "").starts, 300);
        let search = "{ capacity: { from: 1/s, to: 4/s, hold: 20s, settle: 5s, precision: 50%, pass: [p99(latency) < 5s] } }";
        // 1/s, 2/s and 4/s for 25 s each, and one rate between two of them.
        assert_eq!(messages(behavior, search, "").starts, 275);
    }
}
