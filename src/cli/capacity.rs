//! `fleetsim capacity`: a scenario with a search in place of its load. The flags become changes to the
//! document, so what they say goes through the same checks, and the result shows the scenario as it ran.

use std::fmt::Display;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::exit::Exit;
use crate::scenario::{Load, Scenario, Spacing};

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
    step: Option<f64>,
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
    match sets(&arguments, &scenario) {
        Ok(sets) => arguments.run.inputs.add(sets),
        Err(text) => return refuse(Exit::Usage, &format!("{}: {text}", path.display())),
    }
    super::run::run(&arguments.run, console)
}

/// The flags as changes to the document.
fn sets(arguments: &CapacityArguments, scenario: &Scenario) -> Result<Vec<String>, String> {
    let [workload] = scenario.workloads.as_slice() else {
        return Err(format!(
            "a capacity search is of one workload, and there are {}: each step is judged on its own executions",
            scenario.workloads.len()
        ));
    };
    let mut keys = keys(arguments);
    let place = format!("workloads.{}.load", workload.name);
    let mut sets = Vec::new();
    if let Load::Capacity(_) = workload.load {
        sets.extend(keys.into_iter().map(|(key, value)| format!("{place}.capacity.{key}={value}")));
    } else {
        let missing: Vec<&str> =
            ["from", "to", "pass"].into_iter().filter(|key| !keys.contains_key(*key)).collect();
        if !missing.is_empty() {
            let flags: Vec<String> = missing.iter().map(|key| format!("--{key}")).collect();
            return Err(format!(
                "{} is missing, e.g. --from 100/s --to 20000/s --pass 'p99(latency) < 500ms'; only a scenario with \
                 `load.capacity` has them itself",
                flags.join(", ")
            ));
        }
        if let Load::ArrivalRate(load) = &workload.load
            && load.spacing == Spacing::Even
        {
            keys.insert("spacing".to_owned(), json!("even"));
        }
        if !workload.load.selects() {
            // It had an order of its own.
            sets.push(format!("workloads.{}.select=uniform", workload.name));
        }
        sets.insert(0, format!("{place}={}", json!({ "capacity": keys })));
    }
    // They would judge the steps that broke, too.
    for number in 0..scenario.thresholds.len() {
        sets.push(format!("thresholds[{number}].info=true"));
        sets.push(format!("thresholds[{number}].abort=false"));
    }
    Ok(sets)
}

fn keys(arguments: &CapacityArguments) -> Map<String, Value> {
    let texts = [
        ("from", &arguments.from),
        ("to", &arguments.to),
        ("hold", &arguments.hold),
        ("settle", &arguments.settle),
        ("precision", &arguments.precision),
    ];
    let mut keys: Map<String, Value> =
        texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))).collect();
    if let Some(step) = arguments.step {
        keys.insert("step".to_owned(), json!(step));
    }
    if !arguments.pass.is_empty() {
        keys.insert("pass".to_owned(), json!(arguments.pass));
    }
    keys
}
