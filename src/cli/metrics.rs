//! `run --metrics`: the figures of a run for Prometheus while it goes on, and a little longer.

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
/// nobody waits for one.
pub(super) fn hold(server: Server, time: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    // Without a runtime there is nothing to wait with; the figures are in the outputs all the same.
    if let Ok(runtime) = runtime {
        runtime.block_on(async {
            let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
            let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else { return };
            let clock = Clock::start();
            tokio::select! {
                biased; // All mean the same; the order is for repeatability only.
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = clock.sleep_until(clock.now().plus(time)) => {}
            }
        });
    }
    drop(server);
}
