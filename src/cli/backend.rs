//! `fleetsim backend`: the embedded backend alone, until Ctrl-C or SIGTERM.

use std::net::SocketAddr;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::backend::{self, Config, Hooks, Listeners, Policy, Running};
use crate::clock::Clock;
use crate::exit::Exit;
use crate::report;
use crate::seed::Seed;
use crate::transport::Listener;

use super::BackendArguments;
use super::console::Console;

/// What the ready file holds.
#[derive(Debug, Serialize)]
struct Ready {
    http: String,
    mqtt: String,
    pid: u32,
}

pub(super) fn serve(arguments: &BackendArguments, console: Console) -> Exit {
    if arguments.virtual_time {
        console.err(
            "error: the backend alone serves clients of the real world, whose time cannot be simulated: leave \
             --virtual-time out, or give it to `fleetsim run`",
        );
        return Exit::Usage;
    }
    match start(arguments, console) {
        Ok(exit) => exit,
        Err((exit, text)) => {
            console.err(&format!("error: {text}"));
            exit
        }
    }
}

fn start(arguments: &BackendArguments, console: Console) -> Result<Exit, (Exit, String)> {
    if let Some(path) = &arguments.ready_file {
        report::check_writable(path).map_err(|error| (Exit::CantCreate, error.to_string()))?;
    }
    let listeners =
        Listeners { mqtt: listen(arguments.mqtt, "--mqtt")?, http: listen(arguments.http, "--http")? };
    let config = Config {
        clock: Clock::start(),
        seed: Seed::random(),
        region: arguments.region.clone(),
        account: arguments.account.clone(),
        limits: arguments.limits.values(),
        policy: if arguments.isolate { Policy::Isolated } else { Policy::Open },
        faults: backend::Faults::default(),
        hooks: Hooks::default(),
    };
    let stop = CancellationToken::new();
    let bug = |what: &str, error: std::io::Error| (Exit::Software, format!("cannot start {what}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| bug("the signal handler", error))?;
    // Listening for signals before saying "ready": whoever waits for it may stop us at once.
    let signals = runtime.block_on(async {
        Ok::<_, std::io::Error>((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    });
    let (mut interrupt, mut terminate) = signals.map_err(|error| bug("the signal handler", error))?;
    let running =
        backend::start(listeners, config, stop.clone()).map_err(|error| bug("the backend", error))?;
    let ready = announce(&running, arguments, console)?;
    runtime.block_on(async {
        tokio::select! {
            biased; // Both mean the same; the order is for repeatability only.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    stop.cancel();
    // Whoever looks for it now would wait for a backend that is gone. Another one may have written its own.
    if let Some(path) = &arguments.ready_file
        && std::fs::read_to_string(path).is_ok_and(|text| text.trim_end() == ready.trim_end())
    {
        std::fs::remove_file(path).ok();
    }
    if running.join().is_err() {
        return Err((Exit::Software, "the backend ended unexpectedly: this is a bug of fleetsim".to_owned()));
    }
    Ok(Exit::Ok)
}

/// Says where it is; returns what the ready file holds.
fn announce(
    running: &Running,
    arguments: &BackendArguments,
    console: Console,
) -> Result<String, (Exit, String)> {
    let ready = Ready {
        http: format!("http://{}", running.http),
        mqtt: format!("mqtt://{}", running.mqtt),
        pid: std::process::id(),
    };
    let text = serde_json::to_string(&ready).map_err(|error| (Exit::Software, error.to_string()))?;
    if let Some(path) = &arguments.ready_file {
        report::write_result(path, &text).map_err(|error| (Exit::CantCreate, error.to_string()))?;
    }
    console.err(&format!(
        "AWS IoT Commands at {} (boto3: endpoint_url for iot and iot-jobs-data)\nMQTT at {}\nregion {}, account {}; \
         Ctrl-C stops",
        ready.http, ready.mqtt, arguments.region, arguments.account
    ));
    Ok(text)
}

fn listen(address: SocketAddr, flag: &str) -> Result<Listener, (Exit, String)> {
    Listener::bind(address).map_err(|error| {
        (
            Exit::Unavailable,
            format!("cannot listen on {address} ({flag}): {error}; free the port or name another"),
        )
    })
}
