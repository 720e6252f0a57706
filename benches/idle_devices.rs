//! What connected, idle devices cost: memory of both ends in one process, over plain TCP.
//!
//! `cargo bench --bench idle_devices [-- DEVICES]`; 9,900 is what 20,000 descriptors allow.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::sync::Arc;
use std::time::Duration;

use fleetsim::run::{self, Options};
use fleetsim::scenario::{self, Variables};
use fleetsim::stats::Phase;
use tokio::sync::watch;

fn main() {
    let devices: u64 =
        std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(9_900);
    // The load is one execution a second for three seconds, after ten idle ones: the devices do nothing else.
    let text = format!(
        "version: 1\nname: idle\nseed: 1\ngroups: {{ idle: {{ count: {devices}, behavior: {{ delay: 1ms }} }} }}\nworkloads:\n  \
         w:\n    command: {{ name: c, timeout: 5s }}\n    start_after: 10s\n    load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, \
         duration: 3s }}] }} }}\n"
    );
    let scenario = scenario::parse("idle.yaml", &text, &Variables::default())
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let before = resident_bytes();
    let (sender, mut snapshots) = watch::channel::<Option<Arc<fleetsim::stats::Snapshot>>>(None);
    let watcher = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            while snapshots.changed().await.is_ok() {
                let snapshot = snapshots.borrow_and_update().clone();
                let Some(snapshot) = snapshot else { continue };
                if snapshot.phase == Phase::Connect {
                    continue;
                }
                // Eight seconds into the idle stretch, whatever connecting used is given back or not.
                if snapshot.load_elapsed.is_some_and(|elapsed| elapsed >= Duration::from_secs(8)) {
                    return (resident_bytes(), snapshot.groups[0].online);
                }
            }
            (resident_bytes(), 0)
        })
    });
    let report = run::run(Options::new(Arc::new(scenario)), &sender);
    drop(sender);
    let (idle, online) = watcher.join().expect("the watcher does not panic");
    println!("idle devices online          {online} of {devices}");
    println!("resident, before / idle      {} / {} MB", megabytes(before), megabytes(idle));
    println!("per device, both ends        {} bytes", (idle.saturating_sub(before)) / online.max(1));
    println!("peak resident of the run     {} MB", megabytes(peak_resident_bytes()));
    println!("exit                         {}", report.exit);
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

fn resident_bytes() -> u64 {
    status_field("VmRSS:")
}

fn peak_resident_bytes() -> u64 {
    status_field("VmHWM:")
}

/// A field of /proc/self/status, in bytes; zero where there is no such file.
fn status_field(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes: u64 =
        line.and_then(|l| l.split_whitespace().nth(1)).and_then(|n| n.parse().ok()).unwrap_or(0);
    kilobytes * 1024
}
