//! `run --metrics`: the figures of a run for Prometheus while it goes on, and a little longer.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::exit::Exit;
use crate::run::Snapshots;
use crate::scenario::Scenario;
use crate::seed::Seed;
use crate::web::{self, Server, Watched};

use super::RunArguments;
use super::console::Console;

/// Finds what cannot be listened on before anything runs: nobody sees a run go by without its figures.
pub(super) fn addresses_are_free(arguments: &RunArguments, console: Console) -> Exit {
    let asked = [("--metrics", arguments.metrics), ("--web", arguments.page.address())];
    let mut exit = Exit::Ok;
    // Each is held until all are tried: one port cannot be both.
    let mut held = Vec::new();
    for (flag, address) in asked.into_iter().filter_map(|(flag, address)| Some((flag, address?))) {
        match TcpListener::bind(address) {
            Ok(listener) => held.push(listener),
            Err(error) => {
                console.err(&format!(
                    "error: cannot listen on {address} (`{flag}`): {error}; free the port or name another"
                ));
                exit = exit.or(Exit::Unavailable);
            }
        }
    }
    exit
}

/// Serves the figures of the run for as long as what is returned lives.
pub(super) fn serve(
    scenario: &Arc<Scenario>,
    seed: Seed,
    snapshots: Snapshots,
    arguments: &RunArguments,
    console: Console,
) -> Result<Option<Server>, Exit> {
    let Some(address) = arguments.metrics else { return Ok(None) };
    let is_virtual = arguments.virtual_time;
    let watched = Watched { scenario: Arc::clone(scenario), seed: seed.0, is_virtual, snapshots };
    match Server::start(address, web::metrics::routes(watched)) {
        Ok(server) => {
            if !arguments.quiet {
                console.err(&format!("metrics at http://{}/metrics", server.address()));
            }
            Ok(Some(server))
        }
        Err(error) => {
            console.err(&format!("error: cannot listen on {address} (`--metrics`): {error}"));
            Err(Exit::Unavailable)
        }
    }
}

/// Keeps the last figures there for so long, so that a scrape sees how the run ended. Ctrl-C and SIGTERM say that
/// nobody waits for one: whether it was they that ended it.
pub(super) fn hold(server: Server, time: Duration) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    // Without a runtime there is nothing to wait with; the figures are in the outputs all the same.
    let interrupted = runtime.is_ok_and(|runtime| {
        runtime.block_on(async {
            let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
            let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else { return false };
            let clock = Clock::start();
            tokio::select! {
                biased; // All mean the same; the order is for repeatability only.
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                () = clock.sleep_until(clock.now().plus(time)) => false,
            }
        })
    });
    drop(server);
    interrupted
}
