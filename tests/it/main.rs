//! The one integration binary: layers, scenarios, the wire, whole runs.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and shows what it saw"
)]

mod backend_http;
mod backend_mqtt;
mod broker;
mod program;
mod runs;
mod scenario;
mod tidy;
