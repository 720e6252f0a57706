//! fleetsim rehearses command rollouts on AWS IoT Commands.
//!
//! The library is for the binary and its own tests; it promises no stable interface. Modules are
//! listed in reading order, each importing only what stands above it (`tests/it/tidy.rs`).

pub mod units;
pub mod seed;
pub mod clock;
pub mod exit;
pub mod dist;
pub mod control;
pub mod protocol;
pub mod pipe;
pub mod transport;
pub mod mqtt;
pub mod stats;
pub mod scenario;
pub mod verdict;
pub mod plan;
pub mod ledger;
pub mod backend;
pub mod fleet;
pub mod driver;
pub mod report;
pub mod run;
pub mod tui;
pub mod web;
pub mod cli;
