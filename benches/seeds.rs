//! Many seeds of the chaotic scenario in virtual time: `cargo bench --bench seeds -- [SEEDS [FIRST]]`.
//!
//! Exits with 1 and the seeds that failed, each of which is repeated by giving it as FIRST. What must hold
//! in each run is written in `tests/it/chaos.rs`.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it found")]

#[path = "../tests/it/chaos.rs"]
mod chaos;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use fleetsim::clock::Stopwatch;

/// Failures that are printed in full.
const SHOWN: u64 = 5;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (seeds, first) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(1));
    let scenario = chaos::scenario();
    let (next, failed) = (AtomicU64::new(first), AtomicU64::new(0));
    let stopwatch = Stopwatch::start();
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let Some(failure) = chaos::failure(&scenario, seed) else { continue };
                    if failed.fetch_add(1, Ordering::Relaxed) < SHOWN {
                        println!("{failure}");
                    } else {
                        println!("{}", failure.lines().next().unwrap_or_default());
                    }
                }
            });
        }
    });
    let (failed, took) = (failed.into_inner(), stopwatch.elapsed().as_secs_f64());
    println!("{seeds} seeds from {first} on {threads} threads in {took:.1} s: {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
