//! Who shows a run while it goes on: the screen, or progress lines.
//!
//! On a thread of its own, so that a terminal that takes nothing holds up no run, and no output either.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::control::Control;
use crate::run::Snapshots;
use crate::scenario::{Load, Scenario};
use crate::seed::Seed;
use crate::tui;
use crate::verdict;

use super::console::Console;
use super::{RunArguments, ScreenTheme, When, progress};

/// How long outputs wait for it: a terminal that works is restored much sooner, and one that somebody holds
/// (Ctrl-S) may stay so for hours.
const MOST_WAIT: Duration = Duration::from_secs(2);

/// What shows a run while it goes on.
pub(super) struct Display {
    thread: Option<thread::JoinHandle<()>>,
    /// Nothing is ever sent: it closes when the thread ends.
    ended: Receiver<()>,
    done: CancellationToken,
}

impl Display {
    pub fn start(
        run: (&Arc<Scenario>, Seed),
        snapshots: Snapshots,
        page: Option<String>,
        arguments: &RunArguments,
        control: &Control,
        console: Console,
    ) -> Self {
        let done = CancellationToken::new();
        let (alive, ended) = sync_channel(0);
        let thread = if shows_screen(arguments) {
            let context = context(run, page, arguments);
            screen(run.0, context, snapshots, arguments, control, (done.clone(), alive), console).ok()
        } else if arguments.quiet {
            None
        } else {
            let interval = arguments.interval;
            spawned("fleetsim-progress", alive, move || progress::print(snapshots, interval, console)).ok()
        };
        Self { thread, ended, done }
    }

    /// Asks it to end and gives it a moment to: what is written then is found below the run, not on its screen.
    pub fn end(&self) {
        self.done.cancel();
        // Closed or late, the outputs are next.
        self.ended.recv_timeout(MOST_WAIT).ok();
    }

    /// Waits until the terminal is what it was.
    pub fn join(self) {
        if let Some(thread) = self.thread {
            // The run's outcome does not depend on who watched it.
            thread.join().ok();
        }
    }
}

/// A thread that holds `alive` as long as it lives.
fn spawned(
    name: &str,
    alive: SyncSender<()>,
    show: impl FnOnce() + Send + 'static,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        show();
        drop(alive);
    })
}

/// Whether there is to be a screen.
pub(super) fn shows_screen(arguments: &RunArguments) -> bool {
    match arguments.tui {
        When::Auto => tui::available() && !arguments.outputs.to_stdout(),
        When::On => true,
        When::Off => false,
    }
}

fn context(
    (scenario, seed): (&Arc<Scenario>, Seed),
    page: Option<String>,
    arguments: &RunArguments,
) -> tui::Context {
    let target = scenario.target_words();
    tui::Context {
        scenario: scenario.name.clone(),
        target: if arguments.virtual_time { format!("{target}, virtual time") } else { target },
        seed: seed.0,
        devices: scenario.device_count(),
        feedback: feedback(scenario),
        page,
    }
}

fn screen(
    scenario: &Arc<Scenario>,
    context: tui::Context,
    snapshots: Snapshots,
    arguments: &RunArguments,
    control: &Control,
    (done, alive): (CancellationToken, SyncSender<()>),
    console: Console,
) -> std::io::Result<thread::JoinHandle<()>> {
    let options = tui::Options {
        fps: arguments.fps,
        mono: arguments.theme == ScreenTheme::Mono || console.is_colourless(),
        save_to: arguments.outputs.folder().unwrap_or(Path::new(".")).to_owned(),
    };
    let (scenario, control, interval) = (Arc::clone(scenario), control.clone(), arguments.interval);
    let somebody_else_can_resume = arguments.page.can_steer();
    spawned("fleetsim-screen", alive, move || {
        let judge = |snapshot: &crate::stats::Snapshot| verdict::judge(&scenario, snapshot);
        let shown = tui::run(context, &options, snapshots.clone(), judge, &control, &done);
        // A run that is over needs no other display.
        if let Err(error) = shown
            && !done.is_cancelled()
        {
            console.err(&format!("warning: no screen: {error}; the run goes on (Ctrl-C stops it)"));
            if !somebody_else_can_resume {
                control.resume();
            }
            progress::print(snapshots, interval, console);
        }
    })
}

/// What the load has beside its plan: which panes the screen has.
fn feedback(scenario: &Scenario) -> tui::Feedback {
    let any = |is: fn(&Load) -> bool| scenario.workloads.iter().any(|workload| is(&workload.load));
    if any(|load| matches!(load, Load::Capacity(_))) {
        tui::Feedback::Capacity
    } else if any(|load| matches!(load, Load::Rollout(_))) {
        tui::Feedback::Rollout
    } else {
        tui::Feedback::None
    }
}
