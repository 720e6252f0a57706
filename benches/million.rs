//! What very many devices in memory cost, and how many executions they answer with direct starts.
//!
//! `cargo bench --bench million [-- DEVICES…]`; without numbers 5,000, 100,000, 300,000 and 1,000,000: the
//! slope, not a point. Each number of devices is run in a process of its own, so that no figure contains
//! memory that another one left behind, and so is its ceiling, just before: bare pipes with packets of the
//! same sizes and nothing that reads them. On a busy machine the CPU time per execution says more than
//! their number per second.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fleetsim::clock::Clock;
use fleetsim::pipe::{self, End};
use fleetsim::run::{self, Options};
use fleetsim::scenario::{self, Variables};
use fleetsim::stats::{Class, Phase, Second, Snapshot};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

/// Bytes of what goes over the wire for one execution: the request, and the device's answer to it.
const REQUEST_BYTES: usize = 140;
const ANSWER_BYTES: usize = 4 + 170;
/// How long the ceiling is measured.
const CEILING: Duration = Duration::from_secs(2);
/// What one process is told to do: print how many bare round trips it makes in a second, or run that many
/// devices and compare them with such a number.
const BARE: &str = "--bare";
const FLEET: &str = "--fleet";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let numbers: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let is_told = |what| arguments.iter().any(|argument| argument == what);
    if is_told(BARE) {
        return println!("{}", bare_round_trips(numbers[0]));
    }
    if is_told(FLEET) {
        return fleet(numbers[0], numbers[1]);
    }
    let idle = pipe::pair(1).0.memory_bytes();
    println!("a connected, idle pipe: {idle} bytes, both ends");
    let numbers = if numbers.is_empty() { vec![5_000, 100_000, 300_000, 1_000_000] } else { numbers };
    for devices in numbers {
        let devices = devices.to_string();
        let again = |arguments: &[&str]| {
            let program = std::env::current_exe().expect("this program has a path");
            let again = Command::new(program).args(arguments).stderr(Stdio::inherit()).output();
            let again = again.expect("it runs again");
            assert!(again.status.success(), "{arguments:?} failed: {}", again.status);
            String::from_utf8(again.stdout).expect("it prints text")
        };
        let bare = again(&[BARE, &devices]);
        print!("{}", again(&[FLEET, &devices, bare.trim()]));
    }
}

/// Everything about one number of devices, beside so many bare round trips a second.
fn fleet(devices: u64, bare: u64) {
    println!("\n{devices} devices");
    // More than it can do: what is due and not yet started waits, and what ends each second is the most
    // that can. Few enough to fit in the ledger.
    let (rate, seconds) = (100_000_u64, 3);
    let text = format!(
        "version: 1\nname: million\nseed: 1\nvalidity: {{ max_lag: 1h }}\n\
         target: {{ embedded: {{ transport: memory }} }}\ndriver: {{ via: direct, timeout: 1h }}\n\
         groups: {{ g: {{ count: {devices}, connect: {{ keep_alive: 18h }}, behavior: {{ delay: 0ms }} }} }}\n\
         workloads:\n  w:\n    command: {{ name: c, timeout: 1h }}\n    start_after: 3s\n    \
         load: {{ arrival_rate: {{ spacing: even, stages: [{{ rate: {rate}/s, duration: {seconds}s }}] }} }}\n"
    );
    let scenario = scenario::parse("million.yaml", &text, &Variables::default())
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let before = resident_bytes();
    let (sender, mut snapshots) = watch::channel::<Option<Arc<Snapshot>>>(None);
    let watcher = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut connected = 0;
            while snapshots.changed().await.is_ok() {
                let snapshot = snapshots.borrow_and_update().clone();
                let load = snapshot.filter(|snapshot| snapshot.phase != Phase::Connect);
                // Connected and idle: the load starts three seconds later.
                if connected == 0 && load.is_some() {
                    connected = resident_bytes();
                }
            }
            connected
        })
    });
    let report = run::run(Options::new(Arc::new(scenario)), &sender);
    drop(sender);
    let connected = watcher.join().expect("the watcher does not panic");
    let snapshot = &report.snapshot;
    let event = snapshot.events.iter().find(|event| event.text.starts_with("all devices subscribed"));
    let connect_us = event.expect("they all connect").at_us;
    println!(
        "  connected in             {}.{:02} s ({}/s)",
        connect_us / 1_000_000,
        connect_us % 1_000_000 / 10_000,
        devices * 1_000_000 / connect_us.max(1)
    );
    println!("  resident before / idle   {} / {} MB", before / 1_000_000, connected / 1_000_000);
    println!("  per device, both ends    {} bytes", connected.saturating_sub(before) / devices);
    println!("  peak resident            {} MB", status_field("VmHWM:") / 1_000_000);
    let counts = snapshot.totals.measured(None, None);
    let succeeded = counts.class(Class::Succeeded);
    let each_second = sustained(snapshot.series.iter());
    println!(
        "  executions answered/s    {each_second}: {} % of {bare} bare round trips/s",
        each_second * 100 / bare.max(1)
    );
    println!("  of {} due, succeeded     {succeeded}, unexplained {}", counts.due, counts.unexplained());
    let (mut generator, mut backend) = (0.0, 0.0);
    for second in snapshot.series.iter().filter(|second| second.succeeded > 0) {
        generator += second.cpu.generator;
        backend += second.cpu.backend;
    }
    #[expect(clippy::cast_precision_loss, reason = "a million executions")]
    let each = |cores: f64| cores * 1e6 / succeeded.max(1) as f64;
    println!(
        "  CPU per execution        {:.1} µs generator, {:.1} µs backend",
        each(generator),
        each(backend)
    );
    if let Some(problem) = &report.problem {
        println!("  PROBLEM                  {problem}");
    }
}

/// Executions that ended in a second, over the whole seconds in which they did.
fn sustained<'a>(series: impl Iterator<Item = &'a Second>) -> u64 {
    let busy: Vec<u64> = series.map(|second| second.succeeded).filter(|ended| *ended > 0).collect();
    // The first and the last second are not whole.
    let whole = busy.get(1..busy.len().saturating_sub(1)).filter(|whole| !whole.is_empty()).unwrap_or(&busy);
    whole.iter().sum::<u64>() / whole.len().max(1) as u64
}

/// Round trips per second over that many pipes between two threads, each a request of the backend and an
/// answer of the device, with a task per end and nothing else.
fn bare_round_trips(devices: u64) -> u64 {
    let (mut near, mut far) = (Vec::new(), Vec::new());
    for _ in 0..devices {
        let (one, other) = pipe::pair(64 * 1024);
        near.push(one);
        far.push(other);
    }
    let stop = CancellationToken::new();
    let trips = Arc::new(AtomicU64::new(0));
    let device_side = {
        let stop = stop.clone();
        thread::spawn(move || {
            each(far, &stop, async |mut end: End| {
                let mut request = [0; REQUEST_BYTES];
                while end.read_exact(&mut request).await.is_ok() {
                    if end.write_all(&[0; ANSWER_BYTES]).await.is_err() {
                        break;
                    }
                }
            });
        })
    };
    let backend_side = {
        let (stop, trips) = (stop.clone(), Arc::clone(&trips));
        thread::spawn(move || {
            each(near, &stop, |mut end| {
                let trips = Arc::clone(&trips);
                async move {
                    let mut answer = [0; ANSWER_BYTES];
                    while end.write_all(&[0; REQUEST_BYTES]).await.is_ok() {
                        if end.read_exact(&mut answer).await.is_err() {
                            break;
                        }
                        trips.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let counted = runtime.block_on(async {
        let clock = Clock::start();
        // Until every task has begun.
        while trips.load(Ordering::Relaxed) < devices {
            clock.sleep_until(clock.now().plus_micros(1000)).await;
        }
        let (begun, before) = (clock.now(), trips.load(Ordering::Relaxed));
        clock.sleep_until(begun.plus(CEILING)).await;
        let trips = trips.load(Ordering::Relaxed) - before;
        trips * 1_000_000 / clock.now().micros_since(begun)
    });
    stop.cancel();
    backend_side.join().expect("no end panics");
    device_side.join().expect("no end panics");
    counted
}

/// Runs `task` for each end on this thread until `stop`.
fn each<F: Future<Output = ()> + 'static>(ends: Vec<End>, stop: &CancellationToken, task: impl Fn(End) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        for end in ends {
            spawn_local(task(end));
        }
        stop.cancelled().await;
    });
}

fn resident_bytes() -> u64 {
    status_field("VmRSS:")
}

/// A field of /proc/self/status, in bytes; zero where there is no such file.
fn status_field(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let kilobytes: u64 =
        line.and_then(|l| l.split_whitespace().nth(1)).and_then(|n| n.parse().ok()).unwrap_or(0);
    kilobytes * 1024
}
