//! `fleetsim run`: check everything first, then run, then write everything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::control::{Control, Stop};
use crate::exit::Exit;
use crate::report::{self, RunReport};
use crate::run::{self, Options, Snapshots};
use crate::scenario::{self, LoadError, Scenario, Variables};
use crate::seed::Seed;
use crate::tui;
use crate::verdict;

use super::console::Console;
use super::{RunArguments, When, progress};

pub(super) fn run(arguments: &RunArguments, console: Console) -> Exit {
    // All mistakes before the first run: nothing starts when something is wrong.
    let mut exit = Exit::Ok;
    let mut scenarios = Vec::new();
    for path in &arguments.scenarios {
        match load(path, console) {
            Ok(scenario) => scenarios.push(Arc::new(scenario)),
            Err(code) => exit = exit.or(code),
        }
    }
    if let Some(path) = file_output(arguments)
        && let Err(error) = report::check_writable(path)
    {
        console.err(&format!("error: {error}"));
        exit = exit.or(Exit::CantCreate);
    }
    if exit != Exit::Ok {
        return exit;
    }
    let several = scenarios.len() > 1;
    for scenario in scenarios {
        let control = Control::default();
        let done = one(&scenario, arguments, several, &control, console);
        exit = exit.or(done);
        // Ctrl-C ends the list, not only the run it hit.
        if control.stop() > Stop::No {
            break;
        }
    }
    exit
}

/// Loads a scenario, or prints why not.
pub(super) fn load(path: &Path, console: Console) -> Result<Scenario, Exit> {
    let scenario = scenario::load(path, &Variables::default()).map_err(|error| match error {
        LoadError::Problems(problems) => {
            console.err(&problems.render(console.colors_err()));
            Exit::Data
        }
        other => {
            console.err(&format!("error: {other}"));
            Exit::NoInput
        }
    })?;
    for warning in scenario::warnings(&scenario) {
        console.err(&format!("warning: {}: {warning}", path.display()));
    }
    Ok(scenario)
}

fn one(
    scenario: &Arc<Scenario>,
    arguments: &RunArguments,
    several: bool,
    control: &Control,
    console: Console,
) -> Exit {
    let mut options = Options::new(Arc::clone(scenario));
    if let Some(seed) = arguments.seed {
        options.seed = Seed(seed);
    }
    options.grace = arguments.grace;
    options.virtual_time = arguments.virtual_time;
    options.shards = arguments.shards.map(usize::from);
    options.control = control.clone();
    let seed = options.seed;
    if !arguments.quiet {
        let devices = crate::units::human_count(scenario.device_count());
        console.err(&format!(
            "{}: {devices} devices, seed {} (repeat with --seed {})",
            scenario.name, seed.0, seed.0
        ));
    }
    let (sender, snapshots) = watch::channel(None);
    let display = Display::start(scenario, seed, snapshots, arguments, control, console);
    // A bug of ours must not take the terminal, or the word about it, with it.
    let report = catch_unwind(AssertUnwindSafe(|| run::run(options, &sender)));
    drop(sender);
    display.end();
    let Ok(report) = report else {
        console.err("error: fleetsim itself failed; the message above says where. No result was made.");
        return Exit::Software;
    };
    finish(&report, arguments, several, console)
}

fn finish(report: &RunReport, arguments: &RunArguments, several: bool, console: Console) -> Exit {
    let to_stdout = arguments.json.as_deref() == Some(Path::new("-"));
    let summary = report::console(report, console.style(to_stdout), console.width());
    let mut exit = report.exit;
    let mut wrote = None;
    match &arguments.json {
        Some(_) if to_stdout => {
            console.err(summary.trim_end());
            console.out(&format!("{}\n", report::result_json(report).trim_end()));
            return exit;
        }
        Some(path) => {
            let path = if several { named_after(path, &report.scenario.name) } else { path.clone() };
            match report::write_result(&path, &report::result_json(report)) {
                Ok(()) => wrote = Some(path),
                Err(error) => {
                    console.err(&format!("error: {error}"));
                    exit = exit.or(Exit::CantCreate);
                }
            }
        }
        None => {}
    }
    match &report.problem {
        // Nothing was measured: one line says more than an empty summary.
        Some(problem) if report.snapshot.load_elapsed.is_none() => console.err(&format!("error: {problem}")),
        _ => console.out(&format!("{}\n", summary.trim_end())),
    }
    if let Some(path) = wrote {
        console.out(&format!(" wrote {}\n", path.display()));
    }
    exit
}

/// With several scenarios each result gets its scenario's name: `out/result.json` →
/// `out/result.quickstart.json`.
fn named_after(path: &Path, scenario: &str) -> std::path::PathBuf {
    let extension = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_extension(format!("{scenario}.{extension}").trim_end_matches('.'))
}

fn file_output(arguments: &RunArguments) -> Option<&Path> {
    arguments.json.as_deref().filter(|path| *path != Path::new("-"))
}

/// What shows a run while it goes on, on a thread of its own.
struct Display {
    thread: Option<thread::JoinHandle<()>>,
    done: CancellationToken,
}

impl Display {
    fn start(
        scenario: &Arc<Scenario>,
        seed: Seed,
        snapshots: Snapshots,
        arguments: &RunArguments,
        control: &Control,
        console: Console,
    ) -> Self {
        let done = CancellationToken::new();
        let wants_screen = match arguments.tui {
            When::Auto => tui::available() && arguments.json.as_deref() != Some(Path::new("-")),
            When::On => true,
            When::Off => false,
        };
        let thread = if wants_screen {
            screen(scenario, seed, snapshots, arguments, control, done.clone(), console).ok()
        } else if arguments.quiet {
            None
        } else {
            progress::spawn(snapshots, arguments.interval, console).ok()
        };
        Self { thread, done }
    }

    fn end(self) {
        self.done.cancel();
        if let Some(thread) = self.thread {
            // The run's outcome does not depend on who watched it.
            thread.join().ok();
        }
    }
}

fn screen(
    scenario: &Arc<Scenario>,
    seed: Seed,
    snapshots: Snapshots,
    arguments: &RunArguments,
    control: &Control,
    done: CancellationToken,
    console: Console,
) -> std::io::Result<thread::JoinHandle<()>> {
    let target = scenario.target_words();
    let context = tui::Context {
        scenario: scenario.name.clone(),
        target: if arguments.virtual_time { format!("{target}, virtual time") } else { target },
        seed: seed.0,
        devices: scenario.device_count(),
    };
    let (scenario, control, interval) = (Arc::clone(scenario), control.clone(), arguments.interval);
    thread::Builder::new().name("fleetsim-screen".to_owned()).spawn(move || {
        let judge = |snapshot: &crate::stats::Snapshot| verdict::judge(&scenario, snapshot);
        if let Err(error) = tui::run(context, snapshots.clone(), judge, &control, &done) {
            console.err(&format!("warning: no screen: {error}; the run goes on (Ctrl-C stops it)"));
            progress::print(snapshots, interval, console);
        }
    })
}
