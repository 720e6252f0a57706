//! What looking at a run costs it: `cargo bench --bench watched -- [pairs] [path of another fleetsim program]`.
//!
//! Runs 2,000 commands a second in pairs, once with nobody looking and once with the screen drawn in a
//! terminal and a browser's stream of the live page read, in turn first; prints p99 of `schedule_lag` of
//! both, the median of their differences, and the CPU of the threads that draw.
//! Needs `script` (util-linux) for the terminal, and Linux for the CPU of threads.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints what it found")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fleetsim::clock::Clock;

const SCENARIO: &str = "
version: 1
name: watched
groups:
  sensors: { count: 2000, behavior: { delay: 20ms..60ms } }
workloads:
  ping:
    command: { name: ping, timeout: 5s }
    load:
      arrival_rate:
        stages:
          - { rate: 2000/s, duration: 3s, warm_up: true }
          - { rate: 2000/s, duration: 15s }
thresholds: [{ expect: rate(succeeded) >= 99% }]
";
/// Threads that draw, by their names in the process.
const DRAWING: [&str; 2] = ["fleetsim-screen", "fleetsim-web"];
/// How often the CPU of threads is read; the last reading counts.
const LOOK: Duration = Duration::from_millis(200);

/// What a run showed.
struct Shown {
    lag_p99_us: u64,
    /// CPU of the drawing threads in cores.
    drawing: f64,
    /// Bytes of the page's stream and of the terminal.
    seen: u64,
}

fn main() {
    let pairs: usize = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let program = std::env::args().skip(1).find(|argument| argument.contains('/'));
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_fleetsim").to_owned());
    // It is started in a folder of its own.
    let program = fs::canonicalize(program).unwrap().display().to_string();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("watched.yaml"), SCENARIO).unwrap();
    let mut differences = Vec::new();
    let mut drawing = Vec::new();
    for pair in 0..pairs {
        let (alone, watched) = if pair % 2 == 0 {
            let alone = run(&program, folder.path(), false);
            (alone, run(&program, folder.path(), true))
        } else {
            let watched = run(&program, folder.path(), true);
            (run(&program, folder.path(), false), watched)
        };
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a lag")]
        let difference = watched.lag_p99_us as f64 - alone.lag_p99_us as f64;
        println!(
            "pair {:2}: schedule_lag p99 {:6} µs alone, {:6} µs watched; drawing {:.2} % of a core, {} KB seen",
            pair + 1,
            alone.lag_p99_us,
            watched.lag_p99_us,
            watched.drawing * 100.0,
            watched.seen / 1000
        );
        differences.push(difference);
        drawing.push(watched.drawing);
    }
    println!(
        "{pairs} pairs: median difference of p99 schedule_lag {:+.0} µs, drawing {:.2} % of a core (median)",
        median(&mut differences),
        median(&mut drawing) * 100.0
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

fn run(program: &str, folder: &Path, watched: bool) -> Shown {
    let result = folder.join("result.json");
    let _ = fs::remove_file(&result);
    let seen = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let mut child = if watched { start_watched(program, folder) } else { start_alone(program, folder) };
    let mut readers = Vec::new();
    if watched {
        let mut terminal = child.stdout.take().unwrap();
        let counted = Arc::clone(&seen);
        readers.push(thread::spawn(move || count(&mut terminal, &counted)));
        let port: u16 = fs::read_to_string(folder.join("port")).unwrap().parse().unwrap();
        let (counted, over) = (Arc::clone(&seen), Arc::clone(&over));
        readers.push(thread::spawn(move || look_at_page(port, &counted, &over)));
    }
    let clock = Clock::start();
    let mut drawing = 0.0;
    while child.try_wait().unwrap().is_none() {
        if let Some(seconds) = drawing_seconds(folder) {
            #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
            let elapsed = clock.now().micros() as f64 / 1e6;
            drawing = seconds / elapsed.max(0.001);
        }
        thread::park_timeout(LOOK);
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    let text = fs::read_to_string(&result).expect("the run writes a result; try it by hand");
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    let succeeded = result["totals"]["measured"]["classes"]["succeeded"].as_u64().unwrap();
    assert!(succeeded > 29_000, "only {succeeded} of 30,000 succeeded: this measures something else");
    let lag_p99_us = result["generator"]["schedule_lag_us_p99"].as_u64().unwrap();
    let seen = seen.load(Ordering::Relaxed);
    assert!(!watched || seen > 50_000, "only {seen} bytes were drawn: nobody looked");
    Shown { lag_p99_us, drawing, seen }
}

fn start_alone(program: &str, folder: &Path) -> Child {
    Command::new(program)
        .args(["run", "watched.yaml", "--seed", "1", "--tui", "off", "--quiet", "--json", "result.json"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// In a terminal of a usual size; the shell leaves its number behind and becomes the program.
fn start_watched(program: &str, folder: &Path) -> Child {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    fs::write(folder.join("port"), port.to_string()).unwrap();
    let command = format!(
        "stty rows 40 cols 140; echo $$ > pid; exec {program} run watched.yaml --seed 1 --tui on \
         --web=127.0.0.1:{port} --json result.json"
    );
    Command::new("script")
        .args(["-qfec", &command, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("COLORTERM", "truecolor")
        .env_remove("CI")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("`script` (util-linux) gives the screen a terminal")
}

fn count(from: &mut impl std::io::Read, seen: &AtomicU64) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 {
            break;
        }
        seen.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// Reads the stream of the live page as a browser would, as soon as it is served.
fn look_at_page(port: u16, seen: &AtomicU64, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let Ok(mut page) = TcpStream::connect(("127.0.0.1", port)) else {
            thread::park_timeout(LOOK);
            continue;
        };
        let request = format!("GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        if page.write_all(request.as_bytes()).is_ok() {
            count(&mut page, seen);
        }
    }
}

/// CPU seconds of the drawing threads so far, user and system, in ticks of a hundredth.
fn drawing_seconds(folder: &Path) -> Option<f64> {
    let pid = fs::read_to_string(folder.join("pid")).ok()?;
    let mut ticks = 0.0;
    let mut found = false;
    for task in fs::read_dir(format!("/proc/{}/task", pid.trim())).ok()? {
        let path = task.ok()?.path();
        let mut stat = String::new();
        fs::File::open(path.join("stat")).ok()?.read_to_string(&mut stat).ok()?;
        // `pid (name) state …`: the name may hold anything, so it is found from both ends.
        let (name, rest) = (stat.split_once('(')?.1.rsplit_once(')')?.0, stat.rsplit_once(')')?.1);
        if DRAWING.iter().any(|drawing| drawing.starts_with(name) || name.starts_with(drawing)) {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            // Fields 14 and 15 of proc(5), counted from the state, which is field 3.
            ticks += fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
            found = true;
        }
    }
    found.then_some(ticks / 100.0)
}
