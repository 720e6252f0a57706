//! 100,000 time-outs that are due within one second of real time: `cargo bench --bench timeouts`.
//!
//! Prints how late the backend's timer was. Beside them it serves nothing, so this is its own punctuality.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints what it found")]

use std::sync::mpsc;

use fleetsim::backend::{self, Hooks, Listeners};
use fleetsim::clock::Clock;
use fleetsim::protocol::{CommandPayload, CreateCommandRequest, StartCommandExecutionRequest};
use fleetsim::stats::{Histogram, Percentile};
use fleetsim::transport::Listener;
use fleetsim::units::human_micros;
use tokio_util::sync::CancellationToken;

#[path = "../tests/it/host.rs"]
mod host;

const EXECUTIONS: u64 = 100_000;
const TIMEOUT_S: i64 = 5;

fn main() {
    let clock = Clock::start();
    let (fired, times) = mpsc::channel();
    let on_time_out = move |deadline, now| fired.send((deadline, now)).unwrap_or_default();
    let config = host::config(clock, Hooks { on_time_out: Some(Box::new(on_time_out)), ..Hooks::default() });
    let stop = CancellationToken::new();
    let listeners = Listeners { mqtt: Listener::memory(), http: Listener::memory() };
    let backend = backend::start(listeners, config, stop.clone()).unwrap();
    let payload =
        CommandPayload { content: b"{}".to_vec(), content_type: Some("application/json".to_owned()) };
    let command = CreateCommandRequest { payload: Some(payload), ..CreateCommandRequest::default() };
    backend.handle.create_command("c", command).unwrap();
    // Spread evenly over one second, as fast as that allows.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let begun = clock.now();
    runtime.block_on(async {
        for ms in 0..1000 {
            clock.sleep_until(begun.plus_micros(ms * 1000)).await;
            for n in ms * EXECUTIONS / 1000..(ms + 1) * EXECUTIONS / 1000 {
                let start = StartCommandExecutionRequest {
                    target_arn: format!("arn:aws:iot:us-east-1:123456789012:thing/d{n}"),
                    command_arn: "arn:aws:iot:us-east-1:123456789012:command/c".to_owned(),
                    parameters: None,
                    execution_timeout_seconds: Some(TIMEOUT_S),
                    client_token: None,
                };
                backend.handle.start_command_execution(&start).unwrap();
            }
        }
    });
    let started_us = clock.now().micros_since(begun);
    let mut lateness = Histogram::default();
    let (mut first, mut last) = (u64::MAX, 0);
    for _ in 0..EXECUTIONS {
        let (deadline, now) = times.recv().unwrap();
        assert!(now >= deadline, "early");
        lateness.record(now.micros_since(deadline));
        first = first.min(deadline.micros());
        last = last.max(deadline.micros());
    }
    stop.cancel();
    backend.join().unwrap();
    println!(
        "{EXECUTIONS} time-outs due within {} (started in {}): lateness p50 {}, p99 {}, max {}",
        human_micros(last - first),
        human_micros(started_us),
        human_micros(lateness.percentile(Percentile(50.0)).unwrap()),
        human_micros(lateness.percentile(Percentile(99.0)).unwrap()),
        human_micros(lateness.max().unwrap()),
    );
}
