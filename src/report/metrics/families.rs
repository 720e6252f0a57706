//! Which figures there are: names, units, labels.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::distribution::Distribution;
use crate::report::result::{Accounting, RolloutResult, RunResult};
use crate::report::words::printable;
use crate::stats::{Phase, Span, Tempo};

/// Error names, queues and the like beyond this many are one series, `other`: a target outside may invent any.
const MOST_NAMES: usize = 100;

/// The label names of one series and their values.
type Labels = Vec<(&'static str, String)>;

/// Histograms of a run, whatever they were made of.
pub(super) struct Timed {
    pub span: Span,
    /// None for what belongs to no workload.
    pub workload: Option<String>,
    pub group: String,
    pub outcome: String,
    pub distribution: Distribution,
}

/// All families of one exposition.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<Family>);

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    series: Vec<(Labels, Value)>,
    /// Where in `series` the labels are: a result may have thousands.
    places: HashMap<Labels, usize>,
}

#[derive(Debug)]
enum Value {
    Counter(u64),
    Gauge(f64),
    /// By far the largest.
    Histogram(Box<Distribution>),
    Info,
}

impl Families {
    /// What is known of every run, whether it goes on or has ended.
    pub fn of(result: &RunResult, timed: &[Timed]) -> Self {
        let mut all = Self::default();
        all.run(result);
        all.executions(result);
        all.spans(timed);
        all.devices(result);
        for (workload, rollout) in &result.rollouts {
            all.rollout(workload, rollout);
        }
        all.thresholds(result);
        all.generator(result);
        all
    }

    /// What only a run that goes on has.
    pub fn under_way(&mut self, tempo: Tempo) {
        let ratio = f64::from(tempo.speed_percent()) / 100.0;
        self.gauge("tempo_ratio", "Speed of the load's clock: 1 as the scenario says, 0 in a pause.")
            .with([], ratio);
    }

    /// What only a run that has ended has.
    pub fn ended(&mut self, result: &RunResult) {
        self.gauge("exit_code", "Exit code of the run: 0 passed, 99 thresholds failed, 98 not valid.")
            .with([], f64::from(result.run.exit));
        self.gauge("verdict", "How the run ended; always 1.").with([("verdict", &result.run.verdict)], 1.0);
    }

    fn run(&mut self, result: &RunResult) {
        self.family("build", "The program that made the figures.", None, MetricType::Info)
            .push(labels([("version", &result.tool.version)]), Value::Info);
        let (seed, run) = (result.run.seed.to_string(), &result.run);
        let about = labels([("seed", &seed), ("target", &run.target), ("clock", &run.clock)]);
        self.family("run", "What is run.", None, MetricType::Info).push(about, Value::Info);
        let phases = self.gauge("phase", "1 for the phase the run is in, 0 for the others.");
        for phase in [Phase::Connect, Phase::Load, Phase::Drain, Phase::Settle, Phase::Done] {
            phases.with([("phase", phase.name())], flag(phase.name() == run.phase));
        }
        self.seconds("elapsed", "Since the run began, on its own clock.").with([], run.duration_s);
        self.gauge("steered", "1 if somebody has paused the load or changed its rate.")
            .with([], flag(run.steered));
        self.gauge("planned_executions", "Executions planned for the whole run, as far as that is known.")
            .with([], whole(result.totals.planned.unwrap_or(0)));
    }

    fn executions(&mut self, result: &RunResult) {
        let due = self.counter("due", "Executions whose planned instant has passed, warm-up included.");
        for cell in &result.cells {
            let sum = cell.totals.measured.due + cell.totals.warm_up.due;
            due.count([("workload", &cell.workload), ("group", &cell.group)], sum);
        }
        let started =
            self.counter("started", "Executions that the API answered with an id, warm-up included.");
        for cell in &result.cells {
            let sum = cell.totals.measured.started + cell.totals.warm_up.started;
            started.count([("workload", &cell.workload), ("group", &cell.group)], sum);
        }
        let executions =
            self.counter("executions", "Executions that are decided, by class, warm-up included.");
        for cell in &result.cells {
            for (status, count) in &cell.totals.measured.classes {
                let sum = count + cell.totals.warm_up.classes.get(status).copied().unwrap_or(0);
                executions
                    .count([("workload", &cell.workload), ("group", &cell.group), ("status", status)], sum);
            }
        }
        let open = self.gauge("in_flight", "Executions that are due and not decided.");
        for cell in &result.cells {
            let of = |part: &Accounting| part.due.saturating_sub(part.decided);
            let sum = of(&cell.totals.measured) + of(&cell.totals.warm_up);
            open.with([("workload", &cell.workload), ("group", &cell.group)], whole(sum));
        }
        let parts = [&result.totals.measured, &result.totals.warm_up];
        let refused = self.counter("refused", "Starts that were refused, by error.");
        refused.by_name("error", sums(parts.iter().flat_map(|part| &part.refused_by_error)));
        let findings = self.counter(
            "findings",
            "What the ledger found beside the class, and whether anything planned explains it.",
        );
        for (finding, measured) in &result.totals.measured.findings {
            let warm_up = result.totals.warm_up.findings.get(finding);
            let explained = measured.explained + warm_up.map_or(0, |count| count.explained);
            let unexplained = measured.unexplained + warm_up.map_or(0, |count| count.unexplained);
            findings.count([("finding", finding.as_str()), ("explained", "true")], explained);
            findings.count([("finding", finding.as_str()), ("explained", "false")], unexplained);
        }
        self.counter("injected_faults", "Faults that the scenario wants and the embedded backend injected.")
            .by_name("fault", sums(&result.faults));
        self.counter("noted", "What devices did or met besides answering.")
            .by_name("what", sums(&result.noted));
    }

    fn spans(&mut self, timed: &[Timed]) {
        for (span, name, help) in [
            (Span::Latency, "command_latency", "Planned instant to confirmed end, outside warm-up."),
            (Span::Overhead, "command_overhead", "What the system under test added to the latency."),
            (Span::ScheduleLag, "schedule_lag", "How late the generator picked up due starts."),
            (Span::DeviceLag, "device_lag", "How late simulated devices answered."),
            (Span::Connect, "connect", "Connect begun to subscribed."),
        ] {
            self.family(name, help, Some(Unit::Seconds), MetricType::Histogram);
            for one in timed.iter().filter(|one| one.span == span) {
                let mut place = Labels::new();
                if let Some(workload) = &one.workload {
                    place.push(("workload", workload.clone()));
                }
                place.push(("group", one.group.clone()));
                // Of the generator's lags nobody asks how the execution ended.
                if matches!(span, Span::Latency | Span::Overhead) {
                    place.push(("outcome", one.outcome.clone()));
                }
                self.last().merge(place, &one.distribution);
            }
        }
    }

    fn devices(&mut self, result: &RunResult) {
        let devices = self.gauge("devices", "Devices, by whether they are subscribed.");
        for (group, of) in &result.groups {
            devices.with([("group", group.as_str()), ("state", "online")], whole(of.online));
            let offline = of.devices.saturating_sub(of.online);
            devices.with([("group", group.as_str()), ("state", "offline")], whole(offline));
        }
        let reconnects = self.counter("reconnects", "Connections of devices after their first.");
        for (group, of) in &result.groups {
            reconnects.count([("group", group)], of.reconnects);
        }
    }

    fn rollout(&mut self, workload: &str, rollout: &RolloutResult) {
        let rate = rollout.rates.last().map_or(0.0, |step| step.per_second);
        self.gauge("rollout_rate", "Devices told per second, as planned now.")
            .with([("workload", workload)], rate);
        self.gauge("rollout_state", "The state of the rollout; always 1.")
            .with([("workload", workload), ("state", &rollout.state)], 1.0);
        for (number, batch) in rollout.batches.iter().enumerate() {
            // Batches may have one name, or none.
            let number = (number + 1).to_string();
            let place = [("workload", workload), ("batch", batch.name.as_str()), ("number", number.as_str())];
            self.gauge("rollout_devices", "Devices of the batch.").with(place, whole(batch.devices));
            self.gauge("rollout_devices_succeeded", "Devices whose last execution succeeded.")
                .with(place, whole(batch.counts.devices_succeeded));
            self.counter("rollout_released", "Devices whose first start fell due.")
                .count(place, batch.counts.released);
            self.counter("rollout_notified", "Devices whose first start was taken.")
                .count(place, batch.counts.notified);
            self.counter("rollout_retries", "Starts after the first of a device.")
                .count(place, batch.counts.retries);
            let [workload, batch_name, number] = place;
            for (status, count) in [
                ("succeeded", batch.counts.succeeded),
                ("failed", batch.counts.failed),
                ("rejected", batch.counts.rejected),
                ("timed_out", batch.counts.timed_out),
            ] {
                self.counter("rollout_executions", "Executions of the rollout that ended, retries included.")
                    .count([workload, batch_name, number, ("status", status)], count);
            }
            self.gauge("rollout_batch_state", "The state of the batch; always 1.")
                .with([workload, batch_name, number, ("state", &batch.state)], 1.0);
        }
        for (number, rule) in rollout.abort_when.iter().enumerate() {
            let number = (number + 1).to_string();
            let place =
                [("workload", workload), ("status", rule.status.as_str()), ("number", number.as_str())];
            self.gauge("rollout_abort_ratio", "Share of the ended executions that an abort rule looks at.")
                .with(place, rule.share.unwrap_or(0.0));
            self.gauge("rollout_abort_limit_ratio", "The share beyond which the rule stops the rollout.")
                .with(place, rule.over);
        }
    }

    fn thresholds(&mut self, result: &RunResult) {
        let mut judged: Vec<(&str, bool)> = Vec::new();
        for threshold in &result.thresholds {
            let Some(passed) = threshold.passed else { continue };
            // The same words twice differ in what follows from them; both have to hold.
            match judged.iter_mut().find(|(expect, _)| *expect == threshold.expect) {
                Some((_, all)) => *all &= passed,
                None => judged.push((&threshold.expect, passed)),
            }
        }
        let ok = self.gauge("threshold_ok", "1 if the threshold holds; absent while it is not judged.");
        for (expect, passed) in judged {
            ok.with([("expect", expect)], flag(passed));
        }
        if let Some(capacity) = &result.capacity
            && let Some(rate) = capacity.answer.as_ref().and_then(|answer| answer.holds_per_s)
        {
            self.gauge("capacity_rate", "Highest rate of starts per second that the search found to hold.")
                .with([("workload", &capacity.workload)], rate);
        }
    }

    fn generator(&mut self, result: &RunResult) {
        let generator = &result.generator;
        self.gauge("generator_valid", "1 while the measurements can be trusted.")
            .with([], flag(generator.valid));
        self.seconds("lag_limit", "p99 of a lag beyond this makes the run not valid.")
            .with([], micros(generator.max_lag_us));
        self.seconds("report_gap", "Longest time a generator thread gave no report.")
            .with([], generator.report_gap_s);
        if let Some(cpu) = generator.cpu {
            let cores = self.gauge("cpu_cores", "CPU in use, in cores; the busiest thread can have one.");
            cores.with([("role", "busiest_shard")], cpu.busiest_shard);
            cores.with([("role", "generator")], cpu.generator);
            if let Some(backend) = cpu.backend {
                cores.with([("role", "backend")], backend);
            }
        }
        self.counter("dropped", "What bounded queues could not take.")
            .by_name("queue", sums(&generator.dropped));
        self.counter(
            "unplaced_samples",
            "Samples for which there was no room: too many pairs of workload and group.",
        )
        .count([], generator.samples_without_histogram);
    }

    fn counter(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, None, MetricType::Counter)
    }

    fn gauge(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, None, MetricType::Gauge)
    }

    fn seconds(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, Some(Unit::Seconds), MetricType::Gauge)
    }

    /// The family of that name, made if it is not there: what belongs together has to stand together.
    fn family(
        &mut self,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        kind: MetricType,
    ) -> &mut Family {
        let place = self.0.iter().position(|family| family.name == name).unwrap_or_else(|| {
            self.0.push(Family { name, help, unit, kind, series: Vec::new(), places: HashMap::new() });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    fn last(&mut self) -> &mut Family {
        self.0.last_mut().expect("a family was made just before")
    }
}

impl Family {
    fn with<const N: usize>(&mut self, place: [(&'static str, &str); N], value: f64) {
        self.push(labels(place), Value::Gauge(value));
    }

    fn count<const N: usize>(&mut self, place: [(&'static str, &str); N], count: u64) {
        self.push(labels(place), Value::Counter(count));
    }

    /// One series a name, a bounded number of them.
    fn by_name(&mut self, label: &'static str, counts: impl IntoIterator<Item = (String, u64)>) {
        let mut rest = 0;
        for (number, (name, count)) in counts.into_iter().enumerate() {
            if number < MOST_NAMES {
                self.count([(label, &name)], count);
            } else {
                rest += count;
            }
        }
        if rest > 0 {
            self.count([(label, "other")], rest);
        }
    }

    /// Adds to the histogram of these labels.
    fn merge(&mut self, place: Labels, distribution: &Distribution) {
        let there = self.places.get(&place).and_then(|place| self.series.get_mut(*place));
        match there {
            Some((_, Value::Histogram(there))) => there.merge(distribution),
            _ => self.push(place, Value::Histogram(Box::new(distribution.clone()))),
        }
    }

    /// A series that is there twice would make a scraper refuse all of them.
    fn push(&mut self, labels: Labels, value: Value) {
        if let Entry::Vacant(place) = self.places.entry(labels) {
            let labels = place.key().clone();
            place.insert(self.series.len());
            self.series.push((labels, value));
        }
    }
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in self.0.iter().filter(|family| !family.series.is_empty()) {
            let mut descriptor =
                encoder.encode_descriptor(family.name, family.help, family.unit.as_ref(), family.kind)?;
            for (labels, value) in &family.series {
                match value {
                    Value::Info => descriptor.encode_info(labels)?,
                    Value::Gauge(value) => descriptor.encode_family(labels)?.encode_gauge(value)?,
                    Value::Counter(value) => {
                        descriptor
                            .encode_family(labels)?
                            .encode_counter::<NoLabelSet, _, u64>(value, None)?;
                    }
                    Value::Histogram(distribution) => {
                        let sparse = distribution.native();
                        descriptor.encode_family(labels)?.encode_histogram_with_native::<NoLabelSet>(
                            distribution.sum_s(),
                            distribution.count(),
                            &distribution.classic(),
                            None,
                            sparse.histogram(),
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The name under which a label of the scenario is exposed: Prometheus allows few characters, and ours are taken.
pub(super) fn label_name(key: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("label_{}", key.chars().map(allowed).collect::<String>())
}

fn labels<const N: usize>(place: [(&'static str, &str); N]) -> Labels {
    place.into_iter().map(|(name, value)| (name, printable(value).into_owned())).collect()
}

/// Counts of the same name added up, by name.
fn sums<'a>(counts: impl IntoIterator<Item = (&'a String, &'a u64)>) -> Vec<(String, u64)> {
    let mut sums = std::collections::BTreeMap::<&String, u64>::new();
    for (name, count) in counts {
        *sums.entry(name).or_default() += count;
    }
    sums.into_iter().map(|(name, count)| (name.clone(), count)).collect()
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn whole(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a run are far below 2^53")]
fn micros(us: u64) -> f64 {
    us as f64 / 1e6
}
