//! `fleetsim run`: check everything first, then run, then write everything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::control::{Control, Stop};
use crate::exit::Exit;
use crate::report::{self, RunReport, RunResult};
use crate::run::{self, Options};
use crate::scenario::Scenario;
use crate::seed::Seed;

use super::baseline::Baseline;
use super::console::Console;
use super::display::{Display, shows_screen};
use super::inputs::Loader;
use super::outputs::made;
use super::{RunArguments, Summary, When, github, metrics, page, paused};

pub(super) fn run(arguments: &RunArguments, console: Console) -> Exit {
    run_all(arguments, console, |_| Ok(()))
}

/// Runs devices without a backend of their own.
pub(super) fn run_devices(arguments: &RunArguments, console: Console) -> Exit {
    run_all(arguments, console, |scenario| {
        if scenario.target.embedded().is_some() {
            return Err(
                "there is no backend: name one with --target mqtt://host:port,http://host:port, or in the \
                        scenario with `target.endpoint`",
            );
        }
        if !arguments.target.slice.is_whole() && arguments.cleanup {
            return Err("the other slices go on with the commands that --cleanup would delete: leave it out");
        }
        if !arguments.target.slice.is_whole() && arguments.seed.or(scenario.seed).is_none() {
            return Err("slices of one fleet need one seed: give it with --seed, or in the scenario");
        }
        Ok(())
    })
}

fn run_all(
    arguments: &RunArguments,
    console: Console,
    fits: impl Fn(&Scenario) -> Result<(), &'static str>,
) -> Exit {
    // All mistakes before the first run: nothing starts when something is wrong.
    let mut exit = Exit::Ok;
    let mut scenarios = Vec::new();
    let loader = match Loader::new(&arguments.inputs, console) {
        Ok(loader) => loader,
        Err(exit) => return exit,
    };
    for unnamed in loader.unnamed(&arguments.scenarios) {
        console.err(&format!("warning: {unnamed}"));
    }
    for path in &arguments.scenarios {
        match loader.load_and_tell(path, console) {
            Ok(mut scenario) => match arguments.target.apply(&mut scenario, console) {
                Ok(()) => {
                    if let Err(text) = fits(&scenario) {
                        console.err(&format!("error: {}: {text}", path.display()));
                        exit = exit.or(Exit::Usage);
                    }
                    let times = arguments.repeat.unwrap_or(scenario.repeat);
                    if let Err(code) = arguments.target.agree(path, &scenario, times, console) {
                        exit = exit.or(code);
                    }
                    scenarios.push(Arc::new(scenario));
                }
                Err(code) => exit = exit.or(code),
            },
            Err(code) => exit = exit.or(code),
        }
    }
    if exit == Exit::Ok {
        exit = outputs_are_writable(arguments, &scenarios, console);
    }
    if exit != Exit::Ok {
        return exit;
    }
    if arguments.paused
        && let Some(text) = paused::refusal(
            &scenarios,
            arguments.virtual_time,
            shows_screen(arguments) || arguments.page.can_steer(),
        )
    {
        console.err(&format!("error: {text}"));
        return Exit::Usage;
    }
    if arguments.tui == When::On && arguments.outputs.to_stdout() {
        console.err(
            "error: the screen (--tui on) and an output (`-`) cannot both have standard output: name a file, or \
             leave out one of them",
        );
        return Exit::Usage;
    }
    let baseline = match Baseline::read(arguments, &scenarios, console) {
        Ok(baseline) => baseline,
        Err(exit) => return exit,
    };
    let free = metrics::addresses_are_free(arguments, console);
    if free != Exit::Ok {
        return free;
    }
    let several = scenarios.len() > 1;
    let mut created = Vec::new();
    for (path, scenario) in arguments.scenarios.iter().zip(scenarios) {
        let control = Control::default();
        let of = Of { scenario: &scenario, path, several };
        let (done, names) = repeated(of, arguments, baseline.as_ref(), &control, console);
        exit = exit.or(done);
        created.push((scenario, names));
        // Ctrl-C ends the list, not only the run it hit.
        if control.stop() > Stop::No {
            break;
        }
    }
    // After the last run: an earlier one would take its commands away from a later one.
    if arguments.cleanup {
        clean_up(&created, console);
    }
    exit
}

/// Deletes what the runs have created. Results stand whatever comes of it.
fn clean_up(created: &[(Arc<Scenario>, Vec<String>)], console: Console) {
    for (scenario, names) in created {
        for cleanup in run::delete_commands(scenario, names, true) {
            let mark = if cleanup.is_done() { "" } else { "warning: " };
            console.err(&format!("{mark}{}: {cleanup}", scenario.name));
        }
    }
}

fn outputs_are_writable(arguments: &RunArguments, scenarios: &[Arc<Scenario>], console: Console) -> Exit {
    let several = scenarios.len() > 1;
    let first = |scenario: &Arc<Scenario>| {
        let turn = Turn { number: 1, times: arguments.repeat.unwrap_or(scenario.repeat) };
        let name = scenario.name.clone();
        move |path: &Path| named_after(path, several.then_some(name.as_str()), turn)
    };
    let names: Vec<_> = scenarios.iter().map(first).collect();
    let names: Vec<&dyn Fn(&Path) -> PathBuf> = names.iter().map(|name| name as _).collect();
    arguments.outputs.check(&names, console)
}

/// What is run.
#[derive(Debug, Clone, Copy)]
struct Of<'a> {
    scenario: &'a Arc<Scenario>,
    /// Its file.
    path: &'a Path,
    /// Whether other scenarios are run, too.
    several: bool,
}

/// Does the same run as often as asked; says how much it varies and how it compares. Returns the commands that
/// were created, too.
fn repeated(
    of: Of<'_>,
    arguments: &RunArguments,
    baseline: Option<&Baseline>,
    control: &Control,
    console: Console,
) -> (Exit, Vec<String>) {
    let scenario = of.scenario;
    let times = arguments.repeat.unwrap_or(scenario.repeat);
    // One seed for all of them, and that of what they are compared with: what differs then is not the plan.
    let seed = arguments.seed.or(scenario.seed).or_else(|| baseline.and_then(Baseline::seed));
    let seed = seed.map_or_else(Seed::random, Seed);
    let mut exit = Exit::Ok;
    let mut results = Vec::new();
    let mut created = Vec::new();
    let mut last = Turn { number: 1, times };
    for number in 1..=times {
        let turn = Turn { number, times };
        let (done, result) = one(of, seed, arguments, turn, (control, &mut created), console);
        exit = exit.or(done);
        if let Some(result) = result.filter(|_| times > 1 || baseline.is_some()) {
            results.push(result);
            last = turn;
        }
        if control.stop() > Stop::No {
            break;
        }
    }
    let to_stdout = arguments.outputs.to_stdout();
    let tell = |text: &str| if to_stdout { console.err(text.trim_end()) } else { console.out(text) };
    let spread = report::spread_text(&results);
    if arguments.summary != Summary::None && !spread.is_empty() {
        tell(&spread);
    }
    if let Some(baseline) = baseline {
        let (judged, against) = baseline.judge(&results, exit, tell, console);
        exit = exit.or(judged);
        github::tell_against(&against, console);
        // Of several runs the last one has it, as all of them are compared together.
        if let Some(result) = results.last() {
            let name = |path: &Path| named_after(path, of.several.then_some(scenario.name.as_str()), last);
            exit = exit.or(arguments.outputs.write_against(result, &against, name, console));
        }
    }
    (exit, created)
}

/// Which of the runs of a command this is.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// From 1.
    number: u32,
    times: u32,
}

fn one(
    of: Of<'_>,
    seed: Seed,
    arguments: &RunArguments,
    turn: Turn,
    (control, created): (&Control, &mut Vec<String>),
    console: Console,
) -> (Exit, Option<RunResult>) {
    let scenario = of.scenario;
    let mut options = Options::new(Arc::clone(scenario));
    options.seed = seed;
    arguments.target.configure(&mut options);
    options.grace = arguments.grace;
    options.virtual_time = arguments.virtual_time;
    options.shards = arguments.shards.map(usize::from);
    // However the last one was played: this one begins as it is asked for.
    control.set_tempo(paused::tempo(arguments.paused));
    options.control = control.clone();
    if !arguments.quiet {
        let devices = crate::units::human_count(scenario.device_count());
        let Turn { number, times, .. } = turn;
        let turn = if times > 1 { format!(", run {number} of {times}") } else { String::new() };
        console.err(&format!(
            "{}: {devices} devices, seed {} (repeat with --seed {}){turn}",
            scenario.name, seed.0, seed.0
        ));
    }
    let (sender, snapshots) = watch::channel(None);
    let server = match metrics::serve(scenario, seed, snapshots.clone(), arguments, console) {
        Ok(server) => server,
        Err(exit) => return taken(exit, control),
    };
    let live =
        match arguments.page.start(scenario, seed.0, arguments.virtual_time, &snapshots, control, console) {
            Ok(live) => live,
            Err(exit) => return taken(exit, control),
        };
    let address = live.as_ref().map(|live| live.address.clone());
    let display = Display::start((scenario, seed), snapshots, address, arguments, control, console);
    // A bug of ours must not take the terminal, or the word about it, with it.
    let report = catch_unwind(AssertUnwindSafe(|| run::run(options, &sender)));
    drop(sender);
    display.end();
    let Ok(report) = report else {
        display.join();
        console.err("error: fleetsim itself failed; the message above says where. No result was made.");
        return (Exit::Software, None);
    };
    created.extend(report.created_commands.iter().cloned());
    let Some(result) = made("the result", console, || report::run_result(&report)) else {
        display.join();
        return (Exit::Software, None);
    };
    page::finish(live, &result, console);
    let exit = finish(&report, &result, display, arguments, of, turn, console);
    if let Some(server) = server.filter(|_| !report.stopped)
        && metrics::hold(server, arguments.metrics_hold)
    {
        // Whoever ends the wait ends the list with it.
        control.request_stop();
    }
    (exit, Some(result))
}

/// An address was free before the first run and is not any more: nor is it for the next one, so the list ends.
fn taken(exit: Exit, control: &Control) -> (Exit, Option<RunResult>) {
    control.request_stop();
    (exit, None)
}

fn finish(
    report: &RunReport,
    result: &RunResult,
    display: Display,
    arguments: &RunArguments,
    of: Of<'_>,
    turn: Turn,
    console: Console,
) -> Exit {
    let to_stdout = arguments.outputs.to_stdout();
    let name = |path: &Path| named_after(path, of.several.then_some(of.scenario.name.as_str()), turn);
    // Before anything is shown: whoever watches may go away in the middle of it.
    let written = arguments.outputs.write(result, name, Some(of.path), console);
    github::tell(result, console);
    let (style, width) = (console.style(to_stdout), console.width());
    let summary = made("the summary", console, || match arguments.summary {
        Summary::Compact => report::console(report, style, width),
        Summary::Full => report::console_full(report, style, width),
        Summary::None => String::new(),
    });
    // The summary has its place below the screen, and nothing else waits any more.
    display.join();
    let made = if summary.is_some() { Exit::Ok } else { Exit::Software };
    let summary = summary.unwrap_or_default();
    match &report.problem {
        // Nothing was measured: one line says more than an empty summary.
        Some(problem) if report.snapshot.load_elapsed.is_none() => console.err(&format!("error: {problem}")),
        _ if arguments.summary == Summary::None => {}
        _ if to_stdout => console.err(summary.trim_end()),
        _ => console.out(&format!("{}\n", summary.trim_end())),
    }
    if !written.paths.is_empty() && arguments.summary != Summary::None && !to_stdout {
        let paths: Vec<_> = written.paths.iter().map(|path| path.display().to_string()).collect();
        console.out(&format!(" wrote {}\n", paths.join(" ")));
    }
    report.exit.or(written.exit).or(made)
}

/// With several scenarios each result gets its scenario's name, with several runs of one their number:
/// `out/result.json` → `out/result.quickstart.2.json`.
fn named_after(path: &Path, scenario: Option<&str>, turn: Turn) -> PathBuf {
    let mut parts: Vec<String> = scenario.map(str::to_owned).into_iter().collect();
    if turn.times > 1 {
        parts.push(turn.number.to_string());
    }
    if parts.is_empty() {
        return path.to_owned();
    }
    parts.extend(path.extension().map(|extension| extension.to_string_lossy().into_owned()));
    path.with_extension(parts.join("."))
}
