//! Wires one run: preflight, listeners, backend, commands, shards, conductor; ends in a
//! [`RunReport`], whatever happened on the way.

mod collector;
mod conductor;
mod direct;
mod preflight;
mod shard;
mod signals;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::backend;
use crate::clock::{Clock, Instant};
use crate::control::{Control, Stop};
use crate::driver::{CallError, CommandsApi, HttpApi};
use crate::exit::Exit;
use crate::plan::Plan;
use crate::protocol::{CommandPayload, CreateCommandRequest};
use crate::report::{self, Environment, RunReport};
use crate::scenario::{Command, Scenario, Target, Transport};
use crate::seed::Seed;
use crate::stats::{Phase, Snapshot};
use crate::transport::{Address, Listener};
use crate::verdict;

use collector::Collector;
use conductor::{Conductor, Ending};
use shard::{ShardCommand, ShardSetup};

pub use preflight::PreflightError;

/// The snapshots of a run, for whoever draws or prints them; the newest only.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Reports a shard may have under way; the conductor takes them as they come.
const REPORTS_UNDER_WAY: usize = 16;
/// Commands a shard may have under way.
const COMMANDS_UNDER_WAY: usize = 16;

/// What to run, and how.
pub struct Options {
    /// The checked scenario.
    pub scenario: Arc<Scenario>,
    /// The seed; the scenario's, the user's or a random one.
    pub seed: Seed,
    /// Generator threads; absent: cores − 1, at least 1.
    pub shards: Option<usize>,
    /// How long a stopped run drains.
    pub grace: Duration,
    /// What a person or a signal asks.
    pub control: Control,
    /// Faults that tests inject.
    #[doc(hidden)]
    pub hooks: Hooks,
}

/// Faults that only tests inject, until scenarios have words for them.
#[doc(hidden)]
#[derive(Default)]
pub struct Hooks {
    /// In the embedded backend.
    pub backend: backend::Hooks,
    /// At instants of the load.
    pub during_load: Vec<(Duration, Injection)>,
}

/// Something a test runs on a thread of the program.
#[doc(hidden)]
pub enum Injection {
    /// On the backend's.
    OnBackend(Box<dyn FnOnce() + Send>),
    /// On a shard's.
    OnShard(usize, Box<dyn FnOnce() + Send>),
}

impl Options {
    /// The defaults for a scenario: its own seed or a random one, 30 s of grace.
    pub fn new(scenario: Arc<Scenario>) -> Self {
        Self {
            seed: scenario.seed.map_or_else(Seed::random, Seed),
            scenario,
            shards: None,
            grace: Duration::from_secs(30),
            control: Control::default(),
            hooks: Hooks::default(),
        }
    }
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error("cannot listen on {address} (`target.embedded.{key}`): {cause}")]
    Listen { address: SocketAddr, key: &'static str, cause: std::io::Error },
    #[error("cannot start {what}: {cause}")]
    Start { what: &'static str, cause: std::io::Error },
    #[error("cannot create the command `{name}`: {cause}")]
    CreateCommand { name: String, cause: CallError },
    #[error("a command `{name}` exists already with another payload; give this one another name")]
    OtherPayload { name: String },
}

/// Runs a scenario to its end and reports. Snapshots go to `snapshots` once a second.
pub fn run(options: Options, snapshots: &watch::Sender<Option<Arc<Snapshot>>>) -> RunReport {
    let clock = Clock::start();
    let begun = clock.now();
    let plan = Plan::new(Arc::clone(&options.scenario), options.seed);
    let mut run = Run { clock, plan, options, snapshots };
    let (collector, ending) = match run.perform() {
        Ok(done) => done,
        Err(error) => {
            let exit = match error {
                SetupError::Start { .. } => Exit::Software,
                _ => Exit::Unavailable,
            };
            let mut collector = run.collector(1, begun);
            collector.close(Duration::ZERO);
            (collector, Ending { problem: Some((exit, error.to_string())), ..Ending::default() })
        }
    };
    let wall_ms = clock.wall_millis(begun);
    run.report(&collector, ending, wall_ms, Duration::from_micros(clock.now().micros_since(begun)))
}

struct Run<'a> {
    clock: Clock,
    plan: Plan,
    options: Options,
    snapshots: &'a watch::Sender<Option<Arc<Snapshot>>>,
}

impl Run<'_> {
    fn perform(&mut self) -> Result<(Collector, Ending), SetupError> {
        preflight::descriptors(&self.options.scenario, self.shard_count() as u64)?;
        let Target::Embedded(target) = self.options.scenario.target.clone();
        let mqtt = match target.transport {
            Transport::Tcp => listen(target.mqtt, "mqtt")?,
            Transport::Memory => Listener::memory(),
        };
        let listeners = backend::Listeners { mqtt, http: listen(target.http, "http")? };
        let stop = CancellationToken::new();
        let config = backend::Config {
            clock: self.clock,
            seed: self.options.seed,
            region: target.region,
            account: target.account,
            policy: backend::Policy::default(),
            hooks: std::mem::take(&mut self.options.hooks.backend),
        };
        let backend = backend::start(listeners, config, stop.clone())
            .map_err(|cause| SetupError::Start { what: "the embedded backend", cause })?;
        let performed = self.with_backend(&backend);
        stop.cancel();
        let ended = backend.join();
        let (collector, mut ending) = performed?;
        if ended.is_err() && ending.problem.is_none() {
            let text = "the embedded backend ended unexpectedly: this is a bug of fleetsim";
            ending.problem = Some((Exit::Software, text.to_owned()));
        }
        Ok((collector, ending))
    }

    fn with_backend(&mut self, backend: &backend::Running) -> Result<(Collector, Ending), SetupError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| SetupError::Start { what: "the conductor", cause })?;
        LocalSet::new().block_on(&runtime, self.create_commands(&backend.http))?;
        let count = self.shard_count();
        let epoch = self.clock.now();
        let (report_sender, reports) = mpsc::channel(REPORTS_UNDER_WAY * count);
        let shards = self.spawn_shards(count, epoch, backend, &report_sender)?;
        // Only the shards hold senders now: the channel ends with the last of them.
        drop(report_sender);
        let injections = std::mem::take(&mut self.options.hooks.during_load);
        let conductor = Conductor {
            clock: self.clock,
            control: self.options.control.clone(),
            collector: self.collector(count, epoch),
            shards: &shards,
            backend: backend.handle.clone(),
            reports,
            snapshots: self.snapshots,
            injections,
            devices: self.options.scenario.device_count(),
            connect_progress: (0, epoch),
            stop_seen: Stop::No,
            drain_until: None,
            ending: Ending::default(),
            options: &self.options,
        };
        let (collector, mut ending) = runtime.block_on(conductor.conduct());
        if shards.join().is_err() && ending.problem.is_none() {
            let text = "a generator thread panicked: this is a bug of fleetsim";
            ending.problem = Some((Exit::Software, text.to_owned()));
        }
        Ok((collector, ending))
    }

    async fn create_commands(&self, http: &Address) -> Result<(), SetupError> {
        let Target::Embedded(target) = &self.options.scenario.target;
        let mut api = HttpApi::new(http.clone(), &target.region, self.clock);
        for workload in &self.options.scenario.workloads {
            create_command(&mut api, &workload.command).await?;
        }
        Ok(())
    }

    fn spawn_shards(
        &self,
        count: usize,
        epoch: Instant,
        backend: &backend::Running,
        reports: &mpsc::Sender<shard::ShardReport>,
    ) -> Result<Shards, SetupError> {
        let mut shards = Shards::default();
        for number in 0..count {
            let (sender, commands) = mpsc::channel(COMMANDS_UNDER_WAY);
            let setup = ShardSetup {
                number,
                shards: count,
                clock: self.clock,
                epoch,
                plan: self.plan.clone(),
                mqtt: backend.mqtt.clone(),
                http: backend.http.clone(),
                records: backend.handle.clone(),
                commands,
                reports: reports.clone(),
            };
            let (alive, ended) = std::sync::mpsc::channel();
            let thread = shard::spawn(setup, alive)
                .map_err(|cause| SetupError::Start { what: "a generator thread", cause })?;
            shards.threads.push(ShardThread { commands: sender, thread, ended });
        }
        Ok(shards)
    }

    fn shard_count(&self) -> usize {
        let spare_core = || thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
        // A shard without a device has nothing to do.
        let devices = usize::try_from(self.options.scenario.device_count()).unwrap_or(usize::MAX);
        self.options.shards.unwrap_or_else(spare_core).clamp(1, devices.max(1))
    }

    fn collector(&self, shards: usize, epoch: Instant) -> Collector {
        let scenario = &self.options.scenario;
        let sizes = scenario.groups.iter().map(|group| u64::from(group.count)).collect();
        let load = Duration::from_micros(self.plan.load_us());
        Collector::new(Arc::new(scenario.shape()), sizes, shards, epoch, self.plan.planned_total(), load)
    }

    fn report(
        self,
        collector: &Collector,
        ending: Ending,
        started_wall_ms: u64,
        duration: Duration,
    ) -> RunReport {
        let scenario = self.options.scenario;
        let snapshot = collector.snapshot(self.clock.now());
        debug_assert_eq!(snapshot.phase, Phase::Done, "a report is made of a finished run");
        let verdict = verdict::judge(&scenario, &snapshot);
        let mut exit = if ending.problem.is_none() { judged_exit(&verdict) } else { Exit::Ok };
        let mut problem = None;
        if let Some((code, text)) = ending.problem {
            exit = exit.or(code);
            problem = Some(text);
        }
        if ending.stopped {
            // Thresholds of a run that was cut short are not judged.
            exit = if exit == Exit::Thresholds || exit == Exit::Ok {
                Exit::Stopped
            } else {
                exit.or(Exit::Stopped)
            };
        }
        if let Err(text) = report::totals_add_up(&snapshot) {
            exit = exit.or(Exit::Software);
            problem.get_or_insert(format!("the accounting does not add up, a bug of fleetsim: {text}"));
        }
        let report = RunReport {
            resolved: scenario.resolved(),
            scenario_hash: scenario.hash(),
            seed: self.options.seed.0,
            started_wall_ms,
            duration,
            target: scenario.target_words(),
            snapshot: Arc::new(snapshot),
            verdict,
            exit,
            stopped: ending.stopped,
            problem,
            environment: Environment {
                os: std::env::consts::OS.to_owned(),
                cpus: thread::available_parallelism().map_or(1, std::num::NonZero::get),
                fd_limit: preflight::descriptor_limit().unwrap_or(u64::MAX),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            scenario,
        };
        self.snapshots.send_replace(Some(Arc::clone(&report.snapshot)));
        report
    }
}

fn judged_exit(verdict: &verdict::Verdict) -> Exit {
    let validity = if verdict.validity.valid { Exit::Ok } else { Exit::Void };
    let thresholds = if verdict.failed() { Exit::Thresholds } else { Exit::Ok };
    validity.or(thresholds)
}

fn listen(address: SocketAddr, key: &'static str) -> Result<Listener, SetupError> {
    Listener::bind(address).map_err(|cause| SetupError::Listen { address, key, cause })
}

/// Creates a command, or finds that it is there with the same payload.
async fn create_command(api: &mut impl CommandsApi, command: &Command) -> Result<(), SetupError> {
    let failed = |cause| SetupError::CreateCommand { name: command.name.clone(), cause };
    let payload =
        CommandPayload { content: command.payload.clone(), content_type: Some(command.content_type.clone()) };
    let request = CreateCommandRequest { payload: Some(payload.clone()), ..CreateCommandRequest::default() };
    match api.create_command(&command.name, &request).await {
        Ok(_) => Ok(()),
        Err(CallError::Refused { name, .. }) if name == "ConflictException" => {
            let there = api.get_command(&command.name).await.map_err(failed)?;
            let same = there.payload.as_ref() == Some(&payload);
            if same { Ok(()) } else { Err(SetupError::OtherPayload { name: command.name.clone() }) }
        }
        Err(cause) => Err(failed(cause)),
    }
}

/// The shard threads and the way to reach them.
#[derive(Default)]
struct Shards {
    threads: Vec<ShardThread>,
}

struct ShardThread {
    commands: mpsc::Sender<ShardCommand>,
    thread: thread::JoinHandle<std::io::Result<()>>,
    /// Closed by the thread's end, whatever ends it.
    ended: std::sync::mpsc::Receiver<()>,
}

/// A shard that is told to end and does not within this is stuck, and left behind.
const JOIN_WAIT: Duration = Duration::from_secs(5);

impl Shards {
    /// Sends to one shard. A full or closed queue means a stuck or dead shard, which is seen elsewhere.
    fn send(&self, shard: usize, command: ShardCommand) {
        if let Some(shard) = self.threads.get(shard) {
            shard.commands.try_send(command).ok();
        }
    }

    fn send_all(&self, command: impl Fn() -> ShardCommand) {
        for shard in 0..self.threads.len() {
            self.send(shard, command());
        }
    }

    /// A shard whose thread is gone before it was told to end.
    fn dead(&self) -> Option<usize> {
        self.threads.iter().position(|shard| shard.thread.is_finished())
    }

    fn join(self) -> Result<(), ()> {
        let mut all = Ok(());
        for ShardThread { commands, thread, ended } in self.threads {
            drop(commands);
            // A thread that is stuck must not keep the outputs from being written.
            let stuck = ended.recv_timeout(JOIN_WAIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if stuck || !matches!(thread.join(), Ok(Ok(()))) {
                all = Err(());
            }
        }
        all
    }
}
