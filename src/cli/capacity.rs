//! `fleetsim capacity`: a scenario with a search in place of its load. The flags become changes to the
//! document, so what they say goes through the same checks, and the result shows the scenario as it ran.

use std::fmt::Display;

use clap::Args;

use crate::exit::Exit;
use crate::scenario::{Change, Load, Scenario, Spacing};

use super::RunArguments;
use super::console::Console;
use super::inputs::Loader;

#[derive(Debug, Args)]
pub(super) struct CapacityArguments {
    /// The first rate, e.g. 100/s.
    #[arg(long, value_name = "RATE", help_heading = "Search", env = "FLEETSIM_FROM")]
    from: Option<String>,
    /// The last rate, e.g. 20000/s.
    #[arg(long, value_name = "RATE", help_heading = "Search", env = "FLEETSIM_TO")]
    to: Option<String>,
    /// What has to hold at each rate, spelled as a threshold, e.g. 'p99(latency) < 500ms'. Can be given
    /// several times.
    #[arg(long, value_name = "CONDITION", help_heading = "Search", env = "FLEETSIM_PASS")]
    pass: Vec<String>,
    /// How long each rate is held and measured [default: 20s].
    #[arg(long, value_name = "DURATION", help_heading = "Search", env = "FLEETSIM_HOLD")]
    hold: Option<String>,
    /// How long a rate runs before it is measured [default: 5s].
    #[arg(long, value_name = "DURATION", help_heading = "Search", env = "FLEETSIM_SETTLE")]
    settle: Option<String>,
    /// By which a rate that passed is multiplied [default: 2].
    #[arg(long, value_name = "FACTOR", help_heading = "Search", env = "FLEETSIM_STEP")]
    step: Option<String>,
    /// So close the highest rate that passes and the lowest that does not have to be [default: 5%].
    #[arg(long, value_name = "SHARE", help_heading = "Search", env = "FLEETSIM_PRECISION")]
    precision: Option<String>,
    #[command(flatten)]
    run: RunArguments,
}

pub(super) fn capacity(mut arguments: CapacityArguments, console: Console) -> Exit {
    let refuse = |exit: Exit, text: &dyn Display| {
        console.err(&format!("error: {text}"));
        exit
    };
    let [path] = arguments.run.scenarios.as_slice() else {
        return refuse(Exit::Usage, &"a capacity search is of one scenario at a time");
    };
    let loader = match Loader::new(&arguments.run.inputs, console) {
        Ok(loader) => loader,
        Err(exit) => return exit,
    };
    // What is wrong with it is said by the reading that everything else goes through.
    let Ok(scenario) = loader.load(path) else { return super::run::run(&arguments.run, console) };
    match changes(&arguments, &scenario) {
        Ok(changes) => arguments.run.inputs.add(changes),
        Err(text) => return refuse(Exit::Usage, &format!("{}: {text}", path.display())),
    }
    super::run::run(&arguments.run, console)
}

/// The flags as changes to the document; what is wrong with one is shown under it.
fn changes(arguments: &CapacityArguments, scenario: &Scenario) -> Result<Vec<Change>, String> {
    let [workload] = scenario.workloads.as_slice() else {
        return Err(format!(
            "a capacity search is of one workload, and there are {}: each step is judged on its own executions",
            scenario.workloads.len()
        ));
    };
    let place = format!("workloads.{}", workload.name);
    // Changes that no flag stands for are sound by themselves.
    let yaml = |path: String, value: &str| Change {
        flag: "fleetsim capacity:".to_owned(),
        path,
        value: value.to_owned(),
        is_yaml: true,
    };
    let mut changes = Vec::new();
    if !matches!(workload.load, Load::Capacity(_)) {
        let missing: Vec<&str> = [
            ("--from", arguments.from.is_none()),
            ("--to", arguments.to.is_none()),
            ("--pass", arguments.pass.is_empty()),
        ]
        .into_iter()
        .filter_map(|(flag, is_missing)| is_missing.then_some(flag))
        .collect();
        if !missing.is_empty() {
            return Err(format!(
                "{} is missing, e.g. --from 100/s --to 20000/s --pass 'p99(latency) < 500ms'; only a scenario with \
                 `load.capacity` has them itself",
                missing.join(", ")
            ));
        }
        changes.push(yaml(format!("{place}.load"), "{ capacity: {} }"));
        if let Load::ArrivalRate(load) = &workload.load
            && load.spacing == Spacing::Even
        {
            changes.push(yaml(format!("{place}.load.capacity.spacing"), "even"));
        }
        if !workload.load.selects() {
            // It had an order of its own.
            changes.push(yaml(format!("{place}.select"), "uniform"));
        }
    }
    let texts = [
        ("from", &arguments.from),
        ("to", &arguments.to),
        ("hold", &arguments.hold),
        ("settle", &arguments.settle),
        ("step", &arguments.step),
        ("precision", &arguments.precision),
    ];
    let typed = |key: &str, path: String, value: &str| Change {
        flag: format!("--{key}"),
        path,
        value: value.to_owned(),
        is_yaml: false,
    };
    for (key, value) in texts {
        changes.extend(value.as_ref().map(|value| typed(key, format!("{place}.load.capacity.{key}"), value)));
    }
    if !arguments.pass.is_empty() {
        changes.push(yaml(format!("{place}.load.capacity.pass"), "[]"));
        for (number, pass) in arguments.pass.iter().enumerate() {
            changes.push(typed("pass", format!("{place}.load.capacity.pass[{number}]"), pass));
        }
    }
    // They would judge the steps that broke, too.
    for number in 0..scenario.thresholds.len() {
        changes.push(yaml(format!("thresholds[{number}].info"), "true"));
        changes.push(yaml(format!("thresholds[{number}].abort"), "false"));
    }
    Ok(changes)
}
