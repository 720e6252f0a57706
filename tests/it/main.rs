//! The one integration binary: layers, scenarios, the wire, whole runs.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and shows what it saw"
)]

/// Held by every test that puts load on the machine: they must not make each other noisy.
static ONE_AT_A_TIME: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

mod aws;
mod backend_http;
mod backend_mqtt;
mod broker;
mod capacity;
mod chaos;
mod commands;
mod examples;
mod endpoint;
mod examples_pass;
mod faults;
mod host;
mod known_truth;
mod outputs;
mod peers;
mod program;
mod rollout;
mod runs;
mod scenario;
mod shapes;
mod signatures;
mod steer;
mod tidy;
mod timeline;
mod virtual_time;
