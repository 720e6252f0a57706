//! What the planned delays make impossible before anything runs: time-outs that answers miss, latencies that
//! no target can keep, events of the timeline that come when the load is over.

use std::time::Duration;

use crate::scenario::{Aggregate, Comparison, Metric, Threshold, TimelineEvent, Workload};
use crate::stats::Span;
use crate::units::{human_micros, micros};

use super::Plan;
use super::forecast::Sample;

/// From this part on, answers after the time-out are no rare stragglers: the 99th percentile is one.
const MANY: f64 = 0.01;

impl Plan {
    /// A sentence for each thing that cannot come out as it is written.
    pub fn doubts(&self) -> Vec<String> {
        let samples: Vec<Sample> =
            (0..self.scenario.groups.len()).map(|group| self.sample_of(group)).collect();
        let conditions = self.scenario.conditions();
        let hopeless = conditions.filter_map(|threshold| self.hopeless(threshold, &samples));
        let too_slow = self.scenario.workloads.iter().flat_map(|workload| self.too_slow(workload, &samples));
        let too_late =
            self.scenario.timeline.iter().enumerate().filter_map(|(n, event)| self.too_late(n, event));
        hopeless.chain(too_slow).chain(too_late).collect()
    }

    /// A latency cannot be shorter than the devices' own delays.
    fn hopeless(&self, threshold: &Threshold, samples: &[Sample]) -> Option<String> {
        let upper = matches!(threshold.comparison, Comparison::Less | Comparison::LessOrEqual);
        if threshold.metric != Metric::Span(Span::Latency) || !upper {
            return None;
        }
        let (quantile, words) = match threshold.aggregate {
            Aggregate::Percentile(percentile) => (percentile / 100.0, format!("a p{percentile}")),
            // The largest of all is not below one of the larger ones.
            Aggregate::Max => (0.99, "a p99".to_owned()),
            Aggregate::Avg => (f64::NAN, "a mean".to_owned()),
            Aggregate::Min | Aggregate::Rate | Aggregate::Count => return None,
        };
        let reached = |group: &usize| {
            let mut workloads = self.scenario.workloads.iter().enumerate();
            workloads.any(|(number, workload)| {
                workload.groups.contains(group) && threshold.workload.is_none_or(|only| only == number)
            })
        };
        let groups =
            (0..self.scenario.groups.len()).filter(|group| threshold.group.is_none_or(|g| g == *group));
        // Without a label the fastest group says what is possible at best.
        let least_us = groups
            .filter(reached)
            .filter_map(|group| match threshold.aggregate {
                // A sample's mean is near the mean, not at it.
                Aggregate::Avg => samples[group].mean_answer_us().map(|us| whole(us * 0.9)),
                _ => samples[group].surely_above_us(quantile),
            })
            .min()?;
        #[expect(clippy::cast_precision_loss, reason = "delays far below 2^53")]
        let is_hopeless = least_us as f64 > threshold.limit;
        is_hopeless.then(|| {
            format!(
                "`{}` cannot hold: the devices' own delays alone have {words} of at least {}",
                threshold.text,
                human_micros(least_us)
            )
        })
    }

    /// Groups whose devices answer a workload after its time-out, although nothing says that they are late.
    fn too_slow(&self, workload: &Workload, samples: &[Sample]) -> Vec<String> {
        let timeout_us = micros(workload.command.timeout);
        let doubt = |group: &usize| {
            let after = samples[*group].part_after(timeout_us);
            if after <= MANY {
                return None;
            }
            let how_many = if after >= 1.0 { "every answer".to_owned() } else { part(after) };
            Some(format!(
                "{how_many} of group `{}` would come after the time-out of workload `{}`, {}: those executions end \
                 TIMED_OUT; shorten the delay, or raise `command.timeout`",
                self.scenario.groups[*group].name,
                workload.name,
                human_micros(timeout_us)
            ))
        };
        workload.groups.iter().filter_map(doubt).collect()
    }

    /// An event that begins when every start has fallen due, or goes on then.
    fn too_late(&self, number: usize, event: &TimelineEvent) -> Option<String> {
        let load_us = self.load_us()?;
        let (begin, end) = (micros(event.at), micros(event.at.saturating_add(event.lasts)));
        let name = format!("`timeline[{number}]` ({} at {})", event.action.name(), human_micros(begin));
        let load = human_micros(load_us);
        if begin >= load_us {
            return Some(format!(
                "{name} comes when the load is over, after {load}: it meets only what is still open then, if anything"
            ));
        }
        (end > load_us && event.lasts > Duration::ZERO).then(|| {
            format!(
                "{name} goes on for {} after the load, which lasts {load}: what is open then waits for it",
                human_micros(end - load_us)
            )
        })
    }
}

/// `about 12% of the answers`: a sample has no more digits to say.
fn part(part: f64) -> String {
    format!("about {:.0}% of the answers", (part * 100.0).clamp(1.0, 99.0))
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

    /// What is doubted of a group `a` with this behaviour, a time-out of 4 s and a load of 10 s.
    fn doubts(behavior: &str, rest: &str) -> Vec<String> {
        let text = format!(
            "version: 1\nname: x\ngroups:\n  a: {{ count: 100, behavior: {behavior} }}\n  b: {{ count: 300, behavior: {{ \
             delay: 10ms }} }}\nworkloads:\n  w: {{ command: {{ name: c, timeout: 4s }}, load: {{ arrival_rate: {{ stages: \
             [{{ rate: 10/s, ramp_to: 200/s, duration: 10s }}] }} }} }}\n{rest}\n"
        );
        let scenario =
            parse("x.yaml", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        Plan::new(Arc::new(scenario), Seed(7)).doubts()
    }

    fn of_threshold(behavior: &str, expect: &str) -> Vec<String> {
        doubts(behavior, &format!("thresholds: [{{ expect: \"{expect}\" }}]"))
    }

    #[test]
    fn a_threshold_that_the_delays_alone_break_is_a_doubt() {
        let slow = "{ delay: 300ms..700ms }";
        for hopeless in [
            "p99(latency{group=a}) < 500ms",
            "max(latency{group=a}) < 500ms",
            "avg(latency{group=a}) <= 300ms",
        ] {
            assert_eq!(of_threshold(slow, hopeless).len(), 1, "{hopeless}");
        }
        for possible in [
            "p99(latency{group=a}) < 720ms",
            "p50(latency{group=a}) < 510ms",
            "avg(latency{group=a}) < 510ms",
            "p99(latency) < 500ms",
            "p99(latency{group=a}) > 100ms",
            "p99(confirm{group=a}) < 5ms",
        ] {
            assert_eq!(of_threshold(slow, possible), Vec::<String>::new(), "{possible}");
        }
        assert_eq!(of_threshold("{ delay: 10ms, accept_delay: 1s }", "p50(latency{group=a}) < 1s").len(), 1);
    }

    #[test]
    fn answers_after_the_time_out_are_a_doubt() {
        let said = doubts("{ delay: 5s }", "");
        assert_eq!(
            said,
            [
                "every answer of group `a` would come after the time-out of workload `w`, 4.00s: those executions end TIMED_OUT; \
                 shorten the delay, or raise `command.timeout`"
            ]
        );
        let said = doubts("{ accept_delay: 1s, delay: 2s..4s }", "");
        assert!(said.len() == 1 && said[0].starts_with("about 5"), "{said:?}");
        // Silence and late answers are meant so, and one in a thousand is chance.
        for meant in [
            "{ delay: 1s, outcomes: { no_answer: 100% } }",
            "{ delay: 1s, outcomes: { late: { share: 100%, by: 5s } } }",
            "{ delay: { lognormal: { p50: 100ms, p99: 1s } } }",
        ] {
            assert_eq!(doubts(meant, ""), Vec::<String>::new(), "{meant}");
        }
    }

    #[test]
    fn events_after_the_load_are_a_doubt() {
        let said = doubts(
            "{ delay: 1s }",
            "timeline:\n  - { at: 2s, do: disconnect, for: 8s }\n  - { at: 10s, do: disconnect }\n  - { at: 7s, do: silence, \
             for: 5s }",
        );
        assert_eq!(
            said,
            [
                "`timeline[1]` (disconnect at 10.00s) comes when the load is over, after 10.00s: it meets only what is still open then, \
                 if anything",
                "`timeline[2]` (silence at 7.00s) goes on for 2.00s after the load, which lasts 10.00s: what is open then waits for it",
            ]
        );
    }
}
