//! `fleetsim check`: every mistake of a scenario, and with `--plan` what it would do.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::exit::Exit;
use crate::plan::{Forecast, Plan, stage_count};
use crate::scenario::{
    BatchSize, IncreaseAfter, Level, Load, Retry, Rollout, Scenario, Spacing, Stage, TimelineEvent, Workload,
};
use crate::seed::Seed;
use crate::units::{Rate, human_count, human_micros, micros};

use super::aws;
use super::console::Console;
use super::findings::{self, Finding};
use super::inputs::{Loader, exit_of};
use super::{CheckArguments, Format};

pub(super) fn check(arguments: &CheckArguments, console: Console) -> Exit {
    if arguments.plan && arguments.format != Format::Text {
        console.err("error: --plan is for people; leave out --format, or --plan");
        return Exit::Usage;
    }
    let loader = match Loader::new(&arguments.inputs, console) {
        Ok(loader) => loader,
        Err(exit) => return exit,
    };
    match arguments.format {
        Format::Text => for_people(&loader, arguments, console),
        Format::Json => for_programs(&loader, arguments, findings::json, console),
        Format::Github => for_programs(&loader, arguments, findings::github, console),
    }
}

/// Prints nothing but what `render` makes of all findings.
fn for_programs(
    loader: &Loader,
    arguments: &CheckArguments,
    render: fn(&[Finding]) -> String,
    console: Console,
) -> Exit {
    let mut exit = Exit::Ok;
    let mut all = Vec::new();
    for path in &arguments.scenarios {
        match loader.load(path) {
            Ok(scenario) => {
                all.extend(doubts(path, &scenario));
                if let Some(text) = aws::over_bounds(&scenario) {
                    exit = exit.or(Exit::Data);
                    all.push(Finding::over_bounds(path, text));
                }
            }
            Err(error) => {
                exit = exit.or(exit_of(&error));
                all.extend(Finding::errors(path, &error));
            }
        }
    }
    if let Some(first) = arguments.scenarios.first() {
        let unnamed = loader.unnamed(&arguments.scenarios).into_iter();
        all.extend(unnamed.map(|text| Finding::warning(first, text)));
    }
    console.out(&render(&all));
    exit
}

fn doubts(path: &Path, scenario: &Scenario) -> Vec<Finding> {
    let doubts = super::inputs::doubts(scenario);
    doubts.into_iter().map(|doubt| Finding::warning(path, doubt)).collect()
}

fn for_people(loader: &Loader, arguments: &CheckArguments, console: Console) -> Exit {
    let mut exit = Exit::Ok;
    for unnamed in loader.unnamed(&arguments.scenarios) {
        console.err(&format!("warning: {unnamed}"));
    }
    for path in &arguments.scenarios {
        match loader.load_and_tell(path, console) {
            Ok(scenario) => {
                if let Some(text) = aws::over_bounds(&scenario) {
                    console.err(&format!("error: {}: {text}", path.display()));
                    exit = exit.or(Exit::Data);
                    continue;
                }
                console.out(&format!("{}: ok, {}\n", path.display(), in_short(&scenario)));
                if let Some(estimate) = aws::estimate(&scenario) {
                    console.out(&format!("  {estimate}\n"));
                }
                if arguments.plan {
                    print_plan(scenario, arguments, console);
                }
            }
            Err(code) => exit = exit.or(code),
        }
    }
    exit
}

fn in_short(scenario: &Scenario) -> String {
    let devices = human_count(scenario.device_count());
    let plan = Plan::new(Arc::new(scenario.clone()), Seed(0));
    let executions = human_count(plan.planned_total());
    match plan.load_us() {
        Some(us) if !scenario.workloads.iter().any(|workload| workload.load.follows_feedback()) => {
            format!("{devices} devices, {executions} executions planned, load of {}", human_micros(us))
        }
        load_us => {
            let several = scenario.workloads.len() > 1;
            let of = |(number, workload): (usize, &Workload)| {
                let name = if several { format!("{}: ", workload.name) } else { String::new() };
                name + &starts(&plan, number)
            };
            let starts: Vec<String> = scenario.workloads.iter().enumerate().map(of).collect();
            let load = load_us.map(|us| format!(", load of {}", human_micros(us))).unwrap_or_default();
            format!("{devices} devices, {}{load}", starts.join("; "))
        }
    }
}

/// How many executions a workload starts, or what is known of it where feedback decides.
fn starts(plan: &Plan, number: usize) -> String {
    let planned = human_count(plan.planned(number));
    match &plan.scenario().workloads[number].load {
        Load::ArrivalRate(_) | Load::Once(_) => format!("{planned} executions"),
        Load::Concurrency(_) => format!("as many executions as come back, at most {planned} in flight"),
        Load::Rollout(load) => {
            let retries = if load.retry == Retry::default() { "" } else { " plus retries" };
            format!("at most {planned} executions{retries}")
        }
        Load::Capacity(load) => {
            format!("as many executions as a search from {} to {} takes", load.from, load.to)
        }
    }
}

fn print_plan(scenario: Scenario, arguments: &CheckArguments, console: Console) {
    let seed = arguments.seed.or(scenario.seed).map_or_else(Seed::random, Seed);
    let plan = Plan::new(Arc::new(scenario), seed);
    console.out(&plan_text(&plan));
    if arguments.devices {
        for line in plan.device_fingerprints() {
            let name = plan.client_id(line.device);
            console
                .out(&format!("  device {name}  planned {}  decisions {}\n", line.planned, line.decisions));
        }
    }
}

fn plan_text(plan: &Plan) -> String {
    let scenario = plan.scenario();
    let fingerprint = plan.fingerprint();
    let mut text = format!("  seed {}\n", plan.seed().0);
    let mut line = |args: std::fmt::Arguments<'_>| {
        text.write_fmt(args).expect("writing to a String cannot fail");
        text.push('\n');
    };
    for (number, workload) in scenario.workloads.iter().enumerate() {
        let start = plan.scenario().workloads[number].start_after;
        let after =
            if start.is_zero() { String::new() } else { format!(" after {}", human_micros(micros(start))) };
        if workload.load.follows_feedback() {
            line(format_args!("  workload {}  {}{after}", workload.name, starts(plan, number)));
        } else {
            let (planned, arrivals) = (human_count(plan.planned(number)), &fingerprint.arrivals[number]);
            line(format_args!("  workload {}  planned {planned}{after}  arrivals {arrivals}", workload.name));
        }
        for shape in load_lines(&workload.load) {
            line(format_args!("    {shape}"));
        }
    }
    let forecast = plan.forecast();
    for ((group, decisions), expected) in
        scenario.groups.iter().zip(&fingerprint.decisions).zip(&forecast.groups)
    {
        line(format_args!(
            "  group {}  devices {}  decisions {decisions}",
            group.name,
            human_count(u64::from(group.count))
        ));
        if expected.rate > 0.0 {
            line(format_args!(
                "    at the peak {}, each busy for {} on average: {:.1}% of {}",
                Rate::from_per_second(expected.rate),
                human_micros(rounded(expected.busy_us)),
                expected.utilisation * 100.0,
                match group.behavior.manners.max_parallel {
                    1 => "the devices".to_owned(),
                    several => format!("{several} at once on each device"),
                }
            ));
        }
    }
    for (at_us, words) in happenings(plan) {
        line(format_args!("  timeline {}  {words}", human_micros(at_us)));
    }
    for expectation in expectations(&forecast) {
        line(format_args!("  {expectation}"));
    }
    text
}

/// The timeline in the order of its instants: `disconnect of 40 devices for 10s, until 1m10s`.
fn happenings(plan: &Plan) -> Vec<(u64, String)> {
    let happening = |(number, event): (usize, &TimelineEvent)| {
        let at_us = micros(event.at);
        let until = if event.lasts.is_zero() {
            String::new()
        } else {
            format!(", until {}", human_micros(micros(event.at + event.lasts)))
        };
        (at_us, format!("{}{until}", plan.event_words(number)))
    };
    let mut all: Vec<(u64, String)> = plan.timeline().iter().enumerate().map(happening).collect();
    all.sort_by_key(|(at_us, _)| *at_us);
    all
}

/// What is expected of the run as a whole, a line each.
fn expectations(forecast: &Forecast) -> [String; 2] {
    let in_flight =
        format!("expected in flight at the peak: about {}", human_count(rounded(forecast.in_flight.ceil())));
    let drain = human_micros(forecast.drain_us);
    // Without a rate or a delay it is as fast as machine and target are, which the scenario does not say.
    let connect = match forecast.connect_us {
        0 => "connect as fast as the target answers".to_owned(),
        us => format!("connect {}", human_micros(us)),
    };
    let time = match forecast.load_us {
        Some(load_us) => format!(
            "expected run time: about {} ({connect}, load {}, drain up to {drain})",
            human_micros(forecast.connect_us + load_us + forecast.drain_us),
            human_micros(load_us)
        ),
        None => {
            format!("expected run time: depends on feedback ({connect}, then the load, drain up to {drain})")
        }
    };
    [in_flight, time]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, saturating")]
fn rounded(number: f64) -> u64 {
    number.round() as u64
}

/// The shape of a load, a line for each part of it.
fn load_lines(load: &Load) -> Vec<String> {
    match load {
        Load::ArrivalRate(load) => {
            let spacing = match load.spacing {
                Spacing::Poisson => "poisson",
                Spacing::Even => "even",
            };
            load.stages.iter().map(|stage| stage_line(stage, spacing)).collect()
        }
        Load::Capacity(load) => {
            let spacing = match load.spacing {
                Spacing::Poisson => "poisson",
                Spacing::Even => "even",
            };
            let (settle, hold) = (human_micros(micros(load.settle)), human_micros(micros(load.hold)));
            let pass: Vec<&str> = load.pass.iter().map(|pass| pass.text.as_str()).collect();
            vec![
                format!(
                    "from {} to {}, ×{} a step, to {} ({spacing})",
                    load.from, load.to, load.step, load.precision
                ),
                format!("each rate settles for {settle} and is held for {hold}; pass: {}", pass.join(", ")),
            ]
        }
        Load::Once(load) => {
            vec![format!(
                "once to {} of the devices, within {}",
                load.devices,
                human_micros(micros(load.within))
            )]
        }
        Load::Concurrency(load) => load.levels.iter().map(level_line).collect(),
        Load::Rollout(load) => rollout_lines(load),
    }
}

fn level_line(level: &Level) -> String {
    let (from, to) = (human_count(level.from), human_count(level.to));
    let level_words = if level.from == level.to { from } else { format!("{from} to {to}") };
    format!(
        "{level_words} in flight for {}; how many starts that is, feedback says",
        human_micros(micros(level.duration))
    )
}

fn rollout_lines(load: &Rollout) -> Vec<String> {
    let mut lines = vec![format!("rollout at {}; how long it takes, feedback says", load.base_rate)];
    if let Some(growth) = &load.growth {
        let after = match growth.after {
            IncreaseAfter::Notified(count) => format!("{} devices told", human_count(count)),
            IncreaseAfter::Succeeded(count) => format!("{} devices that succeed", human_count(count)),
        };
        lines.push(format!("×{} after every {after}, up to {}", growth.factor, growth.max_rate));
    }
    lines.extend(load.batches.iter().map(|batch| {
        let devices = match batch.devices {
            BatchSize::Count(count) => format!("{} devices", human_count(count)),
            BatchSize::Share(share) => format!("{share} of the devices"),
            BatchSize::Rest => "all devices that are left".to_owned(),
        };
        format!("batch {}: {devices}", batch.name)
    }));
    lines
}

fn stage_line(stage: &Stage, spacing: &str) -> String {
    let name = stage.name.as_deref().unwrap_or("stage");
    let ramp = if stage.from == stage.to {
        stage.from.to_string()
    } else {
        format!("{} to {}", stage.from, stage.to)
    };
    let warm_up = if stage.warm_up { ", warm-up" } else { "" };
    let (length, starts) = (human_micros(micros(stage.duration)), human_count(stage_count(stage)));
    format!("{name}: {ramp} for {length} ({spacing}{warm_up}), {starts} starts")
}
