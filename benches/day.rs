//! A day of 100,000 devices in virtual time: `cargo bench --bench day [-- DEVICES [HOURS]]`.
//!
//! Prints how long it took and how many device events that is a second. An event is something that a device
//! does or has done to it: connecting, a ping and its answer, a request, an update and its answer.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints what it found")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleetsim::clock::thread_cpu;
use fleetsim::run::{self, Hooks, Options};
use fleetsim::scenario::{self, Variables};
use fleetsim::stats::{Class, Span};
use fleetsim::{exit::Exit, seed::Seed};
use tokio::sync::watch;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u32>().ok());
    let (devices, hours) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(24));
    let text = include_str!("../scenarios/day.yaml")
        .replace("count: 100000", &format!("count: {devices}"))
        .replace("4166.6667/h", &format!("{:.4}/h", f64::from(devices) / f64::from(hours)))
        .replace("duration: 24h", &format!("duration: {hours}h"));
    let scenario = scenario::parse("day.yaml", &text, &Variables::default()).unwrap();
    let messages = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&messages);
    let at_end = move |counters: fleetsim::backend::Counters| {
        seen.store(counters.broker.messages_in + counters.broker.messages_out, Ordering::Relaxed);
    };
    let options = Options {
        seed: Seed(1),
        virtual_time: true,
        hooks: Hooks { at_end: Some(Box::new(at_end)), ..Hooks::default() },
        ..Options::new(Arc::new(scenario))
    };
    let (sender, _receiver) = watch::channel(None);
    let cpu = thread_cpu();
    let report = run::run(options, &sender);
    let cpu_s = thread_cpu().saturating_sub(cpu).as_secs_f64();
    assert_eq!(report.exit, Exit::Ok, "{:?} {:?}", report.problem, report.verdict);
    let totals = &report.snapshot.totals;
    let connects = totals.merged(Span::Connect, None, None, None).len();
    // A device pings when three quarters of its 20 minutes have passed without another packet of its own.
    let pings = u64::from(devices) * (report.duration.as_secs() / 900);
    let messages = messages.load(Ordering::Relaxed);
    let events = connects + 2 * pings + messages;
    let took = report.wall_clock.elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "millions")]
    let per_second = |count: u64, seconds: f64| count as f64 / seconds;
    println!(
        "{devices} devices, {hours} h: {took:.1} s of real time, {cpu_s:.1} s of CPU; {} executions, {} succeeded",
        totals.measured(None, None).due,
        totals.measured(None, None).class(Class::Succeeded),
    );
    println!(
        "{events} device events (about {pings} pings): {:.0}/s, {:.0}/s of CPU",
        per_second(events, took),
        per_second(events, cpu_s)
    );
}
