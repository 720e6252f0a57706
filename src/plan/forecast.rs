//! What a plan lets expect before anything runs: how busy devices are, how much is open at once, how
//! long it takes. Arithmetic on planned rates and on some of the very decisions that the run will
//! make; what feedback decides is not in it.

use crate::scenario::{Load, OutcomeKind, Workload};
use crate::units::micros;

use super::{Decision, DeviceId, Plan};

/// Decisions looked at in each group: means within some percent.
const DECISIONS: u32 = 2_000;

/// What is expected of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// By group.
    pub groups: Vec<GroupForecast>,
    /// Executions open at once at the peak; with feedback, as many as it lets start.
    pub in_flight: f64,
    /// Until every device is connected, in µs, as far as the scenario says.
    pub connect_us: u64,
    /// How long executions fall due, in µs; `None` where feedback decides.
    pub load_us: Option<u64>,
    /// From the last start to the last end, in µs.
    pub drain_us: u64,
}

/// What is expected of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupForecast {
    /// Executions a second at the peak of the planned rates.
    pub rate: f64,
    /// For how long an execution occupies its device, in µs, on average.
    pub busy_us: f64,
    /// Part of what the devices can treat at once that is busy at the peak; above 1 a queue grows.
    pub utilisation: f64,
}

/// How executions of a group go, by some of its decisions.
pub(super) struct Sample {
    decisions: Vec<Decision>,
}

impl Plan {
    /// What to expect of the run.
    pub fn forecast(&self) -> Forecast {
        let samples: Vec<Sample> =
            (0..self.scenario.groups.len()).map(|group| self.sample_of(group)).collect();
        let groups = samples.iter().enumerate().map(|(group, sample)| self.group_forecast(group, sample));
        let connects = self.scenario.groups.iter().map(|group| {
            let by_rate = group.connect.rate.map_or(0.0, |rate| f64::from(group.count) / rate.per_second());
            group.connect.start_delay.high_us().saturating_add(whole(by_rate * 1e6))
        });
        let drains = self.scenario.workloads.iter().flat_map(|workload| {
            let timeout_us = micros(workload.command.timeout);
            workload.groups.iter().map(move |group| (*group, timeout_us))
        });
        Forecast {
            groups: groups.collect(),
            in_flight: (0..self.scenario.workloads.len()).map(|w| self.in_flight(w, &samples)).sum(),
            connect_us: connects.max().unwrap_or(0),
            load_us: self.load_us(),
            drain_us: drains
                .map(|(group, timeout_us)| samples[group].longest_us(timeout_us))
                .max()
                .unwrap_or(0),
        }
    }

    /// Some of a group's decisions.
    pub(super) fn sample_of(&self, group: usize) -> Sample {
        let count = self.scenario.groups[group].count;
        let number = u16::try_from(group).unwrap_or(u16::MAX);
        let decision = |n: u32| {
            // Over the whole group, and more than one of each device if it is small.
            let index = u32::try_from(u64::from(n) * u64::from(count) / u64::from(DECISIONS)).unwrap_or(0);
            self.decision(DeviceId { group: number, index }, u64::from(n))
        };
        Sample { decisions: (0..DECISIONS).map(decision).collect() }
    }

    fn group_forecast(&self, group: usize, sample: &Sample) -> GroupForecast {
        let settings = &self.scenario.groups[group];
        let reaching = self.scenario.workloads.iter().enumerate().filter(|(_, w)| w.groups.contains(&group));
        let rate =
            reaching.map(|(number, workload)| self.peak_rate(number, workload) * self.part(workload, group));
        let rate: f64 = rate.sum();
        let busy_us = sample.mean(|decision| decision.busy_us(self.longest_timeout_us(number(group))));
        let at_once = f64::from(settings.count) * f64::from(settings.behavior.manners.max_parallel);
        GroupForecast { rate, busy_us, utilisation: rate * busy_us / 1e6 / at_once }
    }

    /// Executions of a workload that are open at once at its peak.
    #[expect(clippy::cast_precision_loss, reason = "counts and delays far below 2^53")]
    fn in_flight(&self, number: usize, samples: &[Sample]) -> f64 {
        let workload = &self.scenario.workloads[number];
        let timeout_us = micros(workload.command.timeout);
        let open_us: f64 = workload
            .groups
            .iter()
            .map(|group| {
                self.part(workload, *group) * samples[*group].mean(|decision| decision.open_us(timeout_us))
            })
            .sum();
        match workload.load {
            // Its level is what is asked for.
            Load::Concurrency(_) => self.planned(number) as f64,
            // How many will start is not known, only how fast.
            Load::Capacity(_) => self.peak_rate(number, workload) * open_us / 1e6,
            // At the fastest it may get, and never more than it has devices.
            Load::Rollout(ref load) => {
                let fastest = load.growth.map_or(load.base_rate, |growth| growth.max_rate).per_second();
                (fastest * open_us / 1e6).min(self.planned(number) as f64)
            }
            Load::ArrivalRate(_) | Load::Once(_) => {
                (self.peak_rate(number, workload) * open_us / 1e6).min(self.planned(number) as f64)
            }
        }
    }

    /// Executions a second at the peak; a burst is spread over the time it takes, at least a second.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    fn peak_rate(&self, number: usize, workload: &Workload) -> f64 {
        let planned = workload.load.peak_rate().per_second();
        match workload.load.duration() {
            Some(duration) if planned <= 0.0 && !workload.load.follows_feedback() => {
                self.planned(number) as f64 / duration.as_secs_f64().max(1.0)
            }
            _ => planned,
        }
    }

    /// The part of a workload's executions that goes to a group.
    pub(super) fn part(&self, workload: &Workload, group: usize) -> f64 {
        let devices = |index: usize| f64::from(self.scenario.groups[index].count);
        devices(group) / workload.groups.iter().map(|index| devices(*index)).sum::<f64>()
    }
}

impl Decision {
    /// How long the device needs for its answer.
    fn answer_us(&self) -> u64 {
        self.accept_us.unwrap_or(0).saturating_add(self.delay_us)
    }

    /// How long it occupies its device.
    fn busy_us(&self, timeout_us: u64) -> u64 {
        match self.kind {
            // Frees the device at once.
            OutcomeKind::NoAnswer => 0,
            // Its delay counts from the time-out.
            OutcomeKind::Late => timeout_us.saturating_add(self.delay_us),
            _ => self.answer_us(),
        }
    }

    /// How long it is open for the operator.
    fn open_us(&self, timeout_us: u64) -> u64 {
        match self.kind {
            OutcomeKind::NoAnswer | OutcomeKind::Late => timeout_us,
            _ => self.answer_us().min(timeout_us),
        }
    }
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "delays far below 2^53")]
    fn mean(&self, of: impl Fn(&Decision) -> u64) -> f64 {
        self.decisions.iter().map(|decision| of(decision) as f64).sum::<f64>() / self.decisions.len() as f64
    }

    /// From a start to the last answer that may come.
    fn longest_us(&self, timeout_us: u64) -> u64 {
        let last = self
            .decisions
            .iter()
            .map(|decision| decision.open_us(timeout_us).max(decision.busy_us(timeout_us)));
        last.max().unwrap_or(0)
    }

    /// The part of the answers that come within no time-out of this length, of those that are to come in
    /// time; 0 where none is.
    #[expect(clippy::cast_precision_loss, reason = "a few thousand decisions")]
    pub(super) fn part_after(&self, timeout_us: u64) -> f64 {
        let in_time =
            |decision: &&Decision| !matches!(decision.kind, OutcomeKind::NoAnswer | OutcomeKind::Late);
        let answers: Vec<u64> = self.decisions.iter().filter(in_time).map(Decision::answer_us).collect();
        let after = answers.iter().filter(|us| **us >= timeout_us).count();
        if answers.is_empty() { 0.0 } else { after as f64 / answers.len() as f64 }
    }

    /// The mean of the successful answers, in µs; `None` where none is.
    #[expect(clippy::cast_precision_loss, reason = "delays far below 2^53")]
    pub(super) fn mean_answer_us(&self) -> Option<f64> {
        let succeeds = |decision: &&Decision| decision.kind == OutcomeKind::Succeeded;
        let answers: Vec<u64> = self.decisions.iter().filter(succeeds).map(Decision::answer_us).collect();
        let count = answers.len() as f64;
        (!answers.is_empty()).then(|| answers.iter().map(|us| *us as f64).sum::<f64>() / count)
    }

    /// What this quantile of the successful answers surely exceeds: twice its standard error below it.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few thousand decisions"
    )]
    pub(super) fn surely_above_us(&self, quantile: f64) -> Option<u64> {
        let succeeds = |decision: &&Decision| decision.kind == OutcomeKind::Succeeded;
        let mut answers: Vec<u64> = self.decisions.iter().filter(succeeds).map(Decision::answer_us).collect();
        answers.sort_unstable();
        let count = answers.len() as f64;
        let rank = quantile * count - 2.0 * (count * quantile * (1.0 - quantile)).sqrt();
        answers.get((rank.max(0.0) as usize).min(answers.len().checked_sub(1)?)).copied()
    }
}

fn number(group: usize) -> u16 {
    u16::try_from(group).unwrap_or(u16::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
fn whole(us: f64) -> u64 {
    us.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::{Variables, parse};
    use crate::seed::Seed;

    fn plan(behavior: &str, load: &str, thresholds: &str) -> Plan {
        let text = format!(
            "version: 1\nname: x\ngroups:\n  a: {{ count: 100, connect: {{ rate: 50/s }}, behavior: {behavior} }}\n  \
             b: {{ count: 300, behavior: {{ delay: 10ms }} }}\nworkloads:\n  w: {{ command: {{ name: c, timeout: 4s }}, \
             load: {load} }}\nthresholds: {thresholds}\n"
        );
        let scenario =
            parse("x.yaml", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        Plan::new(Arc::new(scenario), Seed(7))
    }

    const STAGES: &str = "{ arrival_rate: { stages: [{ rate: 10/s, ramp_to: 200/s, duration: 10s }] } }";

    fn near(value: f64, expected: f64) -> bool {
        (value / expected - 1.0).abs() < 0.05
    }

    #[test]
    fn rates_and_delays_give_what_littles_law_says() {
        let forecast = plan("{ delay: 400ms }", STAGES, "[]").forecast();
        // A quarter of 200/s for 0.4 s each: 20 of 100 devices.
        assert!(
            near(forecast.groups[0].rate, 50.0) && near(forecast.groups[0].utilisation, 0.2),
            "{forecast:?}"
        );
        assert!(near(forecast.in_flight, 50.0 * 0.4 + 150.0 * 0.01), "{forecast:?}");
        assert_eq!(
            (forecast.connect_us, forecast.load_us, forecast.drain_us),
            (2_000_000, Some(10_000_000), 400_000)
        );
        let parallel = plan("{ delay: 400ms, max_parallel: 4 }", STAGES, "[]").forecast();
        assert!(near(parallel.groups[0].utilisation, 0.05), "{parallel:?}");
    }

    #[test]
    fn a_rollout_has_no_more_open_than_its_fastest_rate_and_its_devices_let() {
        let rollout = "{ rollout: { base_rate: 1/s, max_rate: 8/s, increase_after: { notified: 10 } } }";
        assert!(near(plan("{ delay: 10ms }", rollout, "[]").forecast().in_flight, 0.08));
        assert!(near(
            plan("{ delay: 400s, outcomes: { no_answer: 100% } }", rollout, "[]").forecast().in_flight,
            8.06
        ));
    }

    #[test]
    fn silence_keeps_an_execution_open_and_its_device_free() {
        let forecast = plan("{ delay: 400ms, outcomes: { no_answer: 50% } }", STAGES, "[]").forecast();
        assert!(near(forecast.groups[0].busy_us, 200_000.0), "{forecast:?}");
        assert!(near(forecast.in_flight, 50.0 * (0.5 * 0.4 + 0.5 * 4.0) + 150.0 * 0.01), "{forecast:?}");
        assert_eq!(forecast.drain_us, 4_000_000);
    }
}
