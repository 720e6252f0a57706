//! `fleetsim check`: every mistake of a scenario, and with `--plan` what it would do.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::exit::Exit;
use crate::plan::Plan;
use crate::scenario::{Load, Scenario, Spacing, Stage};
use crate::seed::Seed;
use crate::units::{human_count, human_micros, micros};

use super::CheckArguments;
use super::console::Console;

pub(super) fn check(arguments: &CheckArguments, console: Console) -> Exit {
    let mut exit = Exit::Ok;
    for path in &arguments.scenarios {
        match super::run::load(path, console) {
            Ok(scenario) => {
                console.out(&format!("{}: ok, {}\n", path.display(), in_short(&scenario)));
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
        Some(us) => {
            format!("{devices} devices, {executions} executions planned, load of {}", human_micros(us))
        }
        None => format!("{devices} devices, at least {executions} executions, as feedback has it"),
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
        let planned = human_count(plan.planned(number));
        line(format_args!(
            "  workload {}  planned {planned}  arrivals {}",
            workload.name, fingerprint.arrivals[number]
        ));
        for shape in load_lines(&workload.load) {
            line(format_args!("    {shape}"));
        }
    }
    for (group, decisions) in scenario.groups.iter().zip(&fingerprint.decisions) {
        line(format_args!(
            "  group {}  devices {}  decisions {decisions}",
            group.name,
            human_count(u64::from(group.count))
        ));
    }
    text
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
        Load::Once(load) => {
            vec![format!(
                "once to {} of the devices, within {}",
                load.devices,
                human_micros(micros(load.within))
            )]
        }
    }
}

fn stage_line(stage: &Stage, spacing: &str) -> String {
    let name = stage.name.as_deref().unwrap_or("stage");
    let ramp = if stage.from == stage.to {
        stage.from.to_string()
    } else {
        format!("{} to {}", stage.from, stage.to)
    };
    let warm_up = if stage.warm_up { ", warm-up" } else { "" };
    format!("{name}: {ramp} for {} ({spacing}{warm_up})", human_micros(micros(stage.duration)))
}
