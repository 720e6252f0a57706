//! Wires one run: preflight, listeners, backend, commands, shards, conductor; ends in a
//! [`RunReport`], whatever happened on the way.
//!
//! In real time the backend and each shard have a thread. In virtual time the same backend and one
//! shard are tasks beside the conductor, on one paused runtime without a socket: `clock` says which.

mod aws;
mod capacity;
mod collector;
mod commands;
mod conductor;
mod direct;
mod faults;
mod meter;
mod pictures;
mod preflight;
mod probe;
mod rescue;
mod shard;
mod shards;
mod signals;
mod site;
mod slice;
mod timeline;

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::backend;
use crate::clock::{Clock, Instant, Stopwatch};
use crate::control::{Control, Stop};
use crate::driver::{CallError, HttpApi, RolloutControl};
use crate::exit::Exit;
use crate::plan::Plan;
use crate::report::{self, Environment, RunReport, WallClock};
use crate::scenario::{Embedded, Load, Scenario, Target, Transport};
use crate::seed::Seed;
use crate::stats::{CapacityAnswer, Phase, Snapshot};
use crate::transport::Listener;
use crate::verdict;

use capacity::CapacityLead;
use collector::Collector;
use commands::Patience;
use conductor::{Conductor, Ending, slowest_connect_gap_us};
use pictures::Pictures;
use rescue::Rescue;
use shard::ShardSetup;
use shards::{Shards, commands_under_way, end_wait};
use signals::{SignalThread, Signals};
use site::Site;
use timeline::Timeline;

pub use aws::{AwsError, agree as agree_to_aws, within_bounds as within_aws_bounds};
pub use commands::{Cleanup, delete_commands};
pub use preflight::PreflightError;
pub use probe::ProbeError;
pub use site::SiteError;
pub use slice::Slice;

/// The snapshots of a run, for whoever draws or prints them; the newest only.
pub type Snapshots = watch::Receiver<Option<Arc<Snapshot>>>;

/// Reports a shard may have under way; the conductor takes them as they come.
const REPORTS_UNDER_WAY: usize = 16;

/// What to run, and how.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Options {
    /// The checked scenario.
    pub scenario: Arc<Scenario>,
    /// The seed; the scenario's, the user's or a random one.
    pub seed: Seed,
    /// Generator threads; absent: cores − 1, at least 1. Virtual time has one shard.
    pub shards: Option<usize>,
    /// Which part of the fleet this process is.
    pub slice: Slice,
    /// Addresses of this machine to connect the devices from, in turn; empty: what the system takes.
    pub source_ips: Vec<IpAddr>,
    /// Whether a canary device tries a target outside before the fleet connects.
    pub probe: bool,
    /// Whether the user agrees to what a run against AWS costs.
    pub yes_aws: bool,
    /// Simulates time instead of waiting for it.
    pub virtual_time: bool,
    /// How long a stopped run drains.
    pub grace: Duration,
    /// What a person or a signal asks.
    pub control: Control,
    /// Whether Ctrl-C and SIGTERM stop the run; once heard, they end the process no more.
    pub signals: bool,
    /// Faults that tests inject.
    #[doc(hidden)]
    pub hooks: Hooks,
}

/// Faults that only tests inject; those that a scenario can ask for are `faults` and `timeline`.
#[doc(hidden)]
#[derive(Default)]
pub struct Hooks {
    /// In the embedded backend.
    pub backend: backend::Hooks,
    /// At instants of the load.
    pub during_load: Vec<(Duration, Injection)>,
    /// With the backend's counts once everything has disconnected and it has ended.
    pub at_end: Option<Box<dyn FnOnce(backend::Counters) + Send>>,
}

/// Something a test runs on a thread of the program.
#[doc(hidden)]
pub enum Injection {
    /// On the backend's.
    OnBackend(Box<dyn FnOnce() + Send>),
    /// On a shard's.
    OnShard(usize, Box<dyn FnOnce() + Send>),
    /// On the conductor's.
    OnConductor(Box<dyn FnOnce() + Send>),
}

impl Options {
    /// The defaults for a scenario: its own seed or a random one, 30 s of grace.
    pub fn new(scenario: Arc<Scenario>) -> Self {
        Self {
            seed: scenario.seed.map_or_else(Seed::random, Seed),
            scenario,
            shards: None,
            slice: Slice::default(),
            source_ips: Vec::new(),
            probe: true,
            yes_aws: false,
            virtual_time: false,
            grace: Duration::from_secs(30),
            control: Control::default(),
            signals: true,
            hooks: Hooks::default(),
        }
    }
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
enum SetupError {
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("cannot listen on {address} (`target.embedded.{key}`): {cause}")]
    Listen { address: SocketAddr, key: &'static str, cause: std::io::Error },
    #[error(
        "`target.embedded.{key}` is {address}, but virtual time has no sockets and waits for nobody: leave \
         the address out, or run without --virtual-time"
    )]
    NotVirtual { address: SocketAddr, key: &'static str },
    #[error(
        "`target.{key}` runs in real time, and nobody can simulate that: run without --virtual-time, or against \
         `target: {{ embedded: {{}} }}`"
    )]
    OutsideNotVirtual { key: &'static str },
    #[error("cannot start {what}: {cause}")]
    Start { what: &'static str, cause: std::io::Error },
    #[error("cannot create the command `{name}`: {cause}")]
    CreateCommand { name: String, cause: CallError },
    #[error(
        "the backend is in {key} {theirs} (it made {arn}), but `target.{target}.{key}` is {ours}; set it to {theirs}"
    )]
    Elsewhere { target: &'static str, key: &'static str, ours: String, theirs: String, arn: String },
    #[error("slice {} of {} has no device: the fleet has {devices}", slice.number + 1, slice.of)]
    EmptySlice { slice: Slice, devices: u64 },
    #[error(
        "`workloads.{workload}.load.{load}` decides on the counts of the whole fleet, which a slice does not know: \
         leave out --slice"
    )]
    SlicedLoad { workload: String, load: &'static str },
    #[error("the command `{name}` cannot be used as it is there (`existing`): {cause}")]
    NoCommand { name: String, cause: CallError },
    #[error("a command `{name}` exists already with another payload; give this one another name")]
    OtherPayload { name: String },
    #[error(
        "the command `{name}` is {state} and takes no new executions; give this one another name, or {remedy}"
    )]
    Withdrawn { name: String, state: &'static str, remedy: &'static str },
    #[error("stopped by the user before the fleet connected")]
    Stopped,
}

/// Runs a scenario to its end and reports, whatever the end: after a bug of ours as well. Snapshots go to
/// `snapshots` once a second; in virtual time once a second of real time or more often.
pub fn run(options: Options, snapshots: &watch::Sender<Option<Arc<Snapshot>>>) -> RunReport {
    let machine = Machine { clock: Clock::start(), stopwatch: Stopwatch::start() };
    let rescue = Rescue::new(&options, machine);
    catch_unwind(AssertUnwindSafe(|| perform(options, machine, snapshots))).unwrap_or_else(|panic| {
        let last = snapshots.borrow().clone();
        let report = rescue.report(last, &*panic);
        snapshots.send_replace(Some(Arc::clone(&report.snapshot)));
        report
    })
}

fn perform(
    options: Options,
    machine: Machine,
    snapshots: &watch::Sender<Option<Arc<Snapshot>>>,
) -> RunReport {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    if options.virtual_time {
        // No I/O: what waits for a socket would wait in real time.
        builder.enable_time().start_paused(true);
    } else {
        builder.enable_all();
    }
    match builder.build() {
        Ok(runtime) => {
            let report = LocalSet::new().block_on(&runtime, async {
                let clock = if options.virtual_time { Clock::start_virtual() } else { machine.clock };
                let mut run = Run::new(clock, machine, options, snapshots);
                if run.options.signals && !clock.is_virtual() {
                    run.signals = Signals::new();
                }
                let performed = run.perform().await;
                run.end(performed)
            });
            // A name that is still being looked up must not hold up the end of a run that was stopped.
            runtime.shutdown_background();
            report
        }
        Err(cause) => {
            let run = Run::new(machine.clock, machine, options, snapshots);
            run.end(Err(SetupError::Start { what: "the conductor", cause }))
        }
    }
}

/// Real time, whatever the run's clock says.
#[derive(Debug, Clone, Copy)]
struct Machine {
    clock: Clock,
    stopwatch: Stopwatch,
}

struct Run<'a> {
    clock: Clock,
    machine: Machine,
    begun: Instant,
    plan: Plan,
    options: Options,
    /// Heard from the beginning: who stops a run that has hardly begun gets its outputs, too.
    signals: Signals,
    snapshots: &'a watch::Sender<Option<Arc<Snapshot>>>,
    /// Commands that were not there before.
    created: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(
        clock: Clock,
        machine: Machine,
        options: Options,
        snapshots: &'a watch::Sender<Option<Arc<Snapshot>>>,
    ) -> Self {
        let plan = Plan::new(Arc::clone(&options.scenario), options.seed);
        let (begun, signals) = (clock.now(), Signals::none());
        Self { clock, machine, begun, plan, options, signals, snapshots, created: Vec::new() }
    }

    async fn perform(&mut self) -> Result<(Collector, Ending), SetupError> {
        if self.device_count() == 0 {
            let (slice, devices) = (self.options.slice, self.options.scenario.device_count());
            return Err(SetupError::EmptySlice { slice, devices });
        }
        for workload in &self.options.scenario.workloads {
            let load = match workload.load {
                Load::Rollout(_) => "rollout",
                Load::Capacity(_) => "capacity",
                Load::ArrivalRate(_) | Load::Once(_) | Load::Concurrency(_) => continue,
            };
            if !self.options.slice.is_whole() {
                return Err(SetupError::SlicedLoad { workload: workload.name.clone(), load });
            }
        }
        let target = self.options.scenario.target.clone();
        if target.embedded().is_none() && self.clock.is_virtual() {
            return Err(SetupError::OutsideNotVirtual { key: target.key() });
        }
        let clock = self.clock;
        match target {
            Target::Embedded(target) => self.against_embedded(target).await,
            Target::Endpoint(endpoint) => {
                self.has_descriptors()?;
                let site = self.unless_stopped(Site::outside(&endpoint, clock)).await??;
                self.against(site).await
            }
            Target::Aws(aws) => {
                aws::agree(&self.plan, 1, self.options.yes_aws)?;
                self.has_descriptors()?;
                // The futures of AWS's crates are large.
                Err(self.unless_stopped(Box::pin(aws::approach(&aws, clock))).await?.into())
            }
        }
    }

    /// What comes of something outside, which may take its time, unless the user stops the run meanwhile.
    async fn unless_stopped<T>(&mut self, outside: impl Future<Output = T>) -> Result<T, SetupError> {
        tokio::select! {
            biased; // Who stops a run wants no more of it.
            () = self.signals.stop_requested() => {
                self.options.control.request_stop();
                Err(SetupError::Stopped)
            }
            done = outside => Ok(done),
        }
    }

    async fn against_embedded(&mut self, target: Embedded) -> Result<(Collector, Ending), SetupError> {
        let listeners = self.listeners(&target)?;
        let stop = CancellationToken::new();
        // Whatever ends the run ends the backend.
        let _guard = stop.clone().drop_guard();
        let config = backend::Config {
            clock: self.clock,
            seed: self.options.seed,
            region: target.region,
            account: target.account,
            policy: backend::Policy::default(),
            limits: backend::broker::Limits::NONE,
            faults: faults::of_scenario(&target.faults),
            hooks: std::mem::take(&mut self.options.hooks.backend),
        };
        let failed = |cause| SetupError::Start { what: "the embedded backend", cause };
        let (performed, ended_well, handle) = if self.clock.is_virtual() {
            let backend = backend::start_local(listeners, config, stop.clone()).map_err(failed)?;
            let performed = self.against(Site::embedded(&backend)).await;
            stop.cancel();
            let handle = backend.handle.clone();
            (performed, backend.ended().await.is_ok(), handle)
        } else {
            let backend = backend::start(listeners, config, stop.clone()).map_err(failed)?;
            let performed = self.against(Site::embedded(&backend)).await;
            stop.cancel();
            let handle = backend.handle.clone();
            (performed, backend.join().is_ok(), handle)
        };
        let (collector, mut ending) = performed?;
        if !ended_well && ending.problem.is_none() {
            let text = "the embedded backend ended unexpectedly: this is a bug of fleetsim";
            ending.problem = Some((Exit::Software, text.to_owned()));
        }
        if let Some(at_end) = self.options.hooks.at_end.take() {
            at_end(handle.counters());
        }
        Ok((collector, ending))
    }

    fn listeners(&self, target: &Embedded) -> Result<backend::Listeners, SetupError> {
        if self.clock.is_virtual() {
            // Whoever fixes a port expects visitors.
            for (address, key) in [(target.mqtt, "mqtt"), (target.http, "http")] {
                if address.port() != 0 {
                    return Err(SetupError::NotVirtual { address, key });
                }
            }
            return Ok(backend::Listeners { mqtt: Listener::memory(), http: Listener::memory() });
        }
        self.has_descriptors()?;
        let mqtt = match target.transport {
            Transport::Tcp => listen(target.mqtt, "mqtt")?,
            Transport::Memory => Listener::memory(),
        };
        Ok(backend::Listeners { mqtt, http: listen(target.http, "http")? })
    }

    async fn against(&mut self, mut site: Site) -> Result<(Collector, Ending), SetupError> {
        preflight::memory::check(&self.options.scenario, self.device_count())?;
        let broker = site.mqtt.socket();
        site.sources =
            preflight::ports::sources(broker, self.device_count(), &self.options.source_ips)?.into();
        let needs_thread = self.options.signals && self.clock.is_virtual();
        let _signal_thread = needs_thread.then(|| SignalThread::start(&self.options.control));
        let mut signals = std::mem::replace(&mut self.signals, Signals::none());
        let untried = tokio::select! {
            biased; // Who stops a run wants no more of it.
            () = signals.stop_requested() => {
                self.options.control.request_stop();
                return Err(SetupError::Stopped);
            }
            prepared = self.prepare(&site) => prepared?,
        };
        let count = self.shard_count();
        let epoch = self.clock.now();
        let mut collector = self.collector(count, epoch);
        if !untried.is_empty() {
            let text = format!(
                "the probe had too many kinds of device and left out those of {}",
                untried.join(", ")
            );
            collector.event(epoch, text);
        }
        let (report_sender, reports) = mpsc::channel(REPORTS_UNDER_WAY * count);
        let shards = self.spawn_shards(count, epoch, &site, &report_sender)?;
        // Only the shards hold senders now: the channel ends with the last of them.
        drop(report_sender);
        let injections = std::mem::take(&mut self.options.hooks.during_load);
        let conductor = Conductor {
            clock: self.clock,
            control: self.options.control.clone(),
            collector,
            shards: &shards,
            backend: site.backend.clone(),
            reports,
            pictures: Pictures::new(self.snapshots, self.clock, self.machine.stopwatch),
            signals,
            injections,
            capacity: CapacityLead::of(&self.options.scenario),
            timeline: Timeline::new(&self.plan),
            devices: self.device_count(),
            slowest_connect_gap_us: slowest_connect_gap_us(&self.plan),
            connect_progress: (0, epoch),
            stop_seen: Stop::No,
            steered_at: None,
            drain_until: None,
            ending: Ending::default(),
            options: &self.options,
        };
        let (collector, mut ending) = conductor.conduct().await;
        if shards.join(end_wait(self.device_count())).await.is_err() && ending.problem.is_none() {
            let text = "a generator thread panicked or did not end: this is a bug of fleetsim";
            ending.problem = Some((Exit::Software, text.to_owned()));
        }
        Ok((collector, ending))
    }

    /// Everything at the target before the first device connects; the kinds of device that the probe left out.
    async fn prepare(&mut self, site: &Site) -> Result<Vec<String>, SetupError> {
        let mut api = HttpApi::new(&site.http, self.options.scenario.target.region(), self.clock);
        let patience = Patience::new(&self.options.scenario, &site.http.host, self.clock);
        commands::create(&mut api, &self.options.scenario, &patience, &mut self.created).await?;
        if site.backend.is_some() || !self.options.probe {
            return Ok(Vec::new());
        }
        Ok(probe::probe(site, &self.plan, self.clock).await?)
    }

    fn spawn_shards(
        &self,
        count: usize,
        epoch: Instant,
        site: &Site,
        reports: &mpsc::Sender<shard::ShardReport>,
    ) -> Result<Shards, SetupError> {
        let mut shards = Shards::default();
        for number in 0..count {
            let under_way = commands_under_way(self.options.scenario.workloads.len());
            let (sender, commands) = mpsc::channel(under_way);
            let setup = ShardSetup {
                number,
                shards: count,
                slice: self.options.slice,
                clock: self.clock,
                epoch,
                plan: self.plan.clone(),
                site: site.clone(),
                commands,
                reports: reports.clone(),
            };
            shards
                .spawn(setup, sender)
                .map_err(|cause| SetupError::Start { what: "a generator thread", cause })?;
        }
        Ok(shards)
    }

    /// Whether the fleet's connections fit into this process.
    fn has_descriptors(&self) -> Result<(), PreflightError> {
        preflight::descriptors(&self.options.scenario, self.device_count(), self.shard_count() as u64)
    }

    /// Devices of this process.
    fn device_count(&self) -> u64 {
        self.options.slice.group_sizes(&self.plan).iter().sum()
    }

    fn shard_count(&self) -> usize {
        if self.clock.is_virtual() {
            // One thread has nothing to share: more shards would only add hand-overs.
            return 1;
        }
        let spare_core = || thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
        // A shard without a device has nothing to do.
        let devices = usize::try_from(self.device_count()).unwrap_or(usize::MAX);
        self.options.shards.unwrap_or_else(spare_core).clamp(1, devices.max(1))
    }

    fn collector(&self, shards: usize, epoch: Instant) -> Collector {
        let scenario = &self.options.scenario;
        let sizes = self.options.slice.group_sizes(&self.plan);
        let planned = self.options.slice.planned(&self.plan);
        let load = self.plan.load_us().map(Duration::from_micros);
        let workloads = 0..scenario.workloads.len();
        let rollouts = workloads.clone().filter_map(|number| self.rollout(number)).collect();
        let reach = workloads.map(|number| self.options.slice.reach(&self.plan, number)).collect();
        Collector::new(Arc::new(scenario.shape()), sizes, shards, epoch, planned, load)
            .reaching(reach, rollouts)
    }

    fn rollout(&self, number: usize) -> Option<RolloutControl> {
        let workload = &self.options.scenario.workloads[number];
        let Load::Rollout(load) = &workload.load else { return None };
        let bounds = self.plan.rollout_order(number)?.bounds().to_vec();
        let begin_us = crate::units::micros(workload.start_after);
        Some(RolloutControl::new(number, &workload.name, load, bounds, begin_us))
    }

    fn end(self, performed: Result<(Collector, Ending), SetupError>) -> RunReport {
        let (collector, ending) = performed.unwrap_or_else(|error| {
            let exit = match &error {
                SetupError::Start { .. } => Exit::Software,
                SetupError::Aws(error) => error.exit(),
                SetupError::NotVirtual { .. }
                | SetupError::OutsideNotVirtual { .. }
                | SetupError::EmptySlice { .. }
                | SetupError::SlicedLoad { .. } => Exit::Data,
                SetupError::Stopped => Exit::Stopped,
                _ => Exit::Unavailable,
            };
            let mut collector = self.collector(1, self.begun);
            collector.close(Duration::ZERO);
            let stopped = exit == Exit::Stopped;
            (collector, Ending { problem: Some((exit, error.to_string())), stopped, ..Ending::default() })
        });
        self.report(&collector, ending)
    }

    fn report(self, collector: &Collector, ending: Ending) -> RunReport {
        let now = self.clock.now();
        let wall_clock = WallClock {
            started_ms: self.machine.clock.wall_millis(Instant::START),
            elapsed: self.machine.stopwatch.elapsed(),
        };
        let scenario = self.options.scenario;
        let mut snapshot = collector.snapshot(now);
        snapshot.wall_elapsed = self.clock.is_virtual().then_some(wall_clock.elapsed);
        debug_assert_eq!(snapshot.phase, Phase::Done, "a report is made of a finished run");
        let verdict = verdict::judge(&scenario, &snapshot);
        let mut exit = if ending.problem.is_none() { judged_exit(&verdict, &snapshot) } else { Exit::Ok };
        if ending.rollout_aborted {
            exit = exit.or(Exit::RolloutAborted);
        }
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
            started_wall_ms: self.clock.wall_millis(self.begun),
            duration: Duration::from_micros(now.micros_since(self.begun)),
            is_virtual: self.clock.is_virtual(),
            wall_clock,
            target: scenario.target_words(),
            snapshot: Arc::new(snapshot),
            verdict,
            exit,
            stopped: ending.stopped,
            problem,
            created_commands: self.created,
            environment: environment(),
            scenario,
        };
        self.snapshots.send_replace(Some(Arc::clone(&report.snapshot)));
        report
    }
}

/// The machine and the program.
pub fn environment() -> Environment {
    Environment {
        os: std::env::consts::OS.to_owned(),
        cpus: thread::available_parallelism().map_or(1, std::num::NonZero::get),
        fd_limit: preflight::descriptor_limit().unwrap_or(u64::MAX),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn judged_exit(verdict: &verdict::Verdict, snapshot: &Snapshot) -> Exit {
    let validity = if verdict.validity.valid { Exit::Ok } else { Exit::Void };
    let search = snapshot.capacity.as_ref().and_then(|capacity| capacity.answer.as_ref());
    let holds_nothing = search.is_some_and(CapacityAnswer::holds_nothing);
    let thresholds = if verdict.failed() || holds_nothing { Exit::Thresholds } else { Exit::Ok };
    validity.or(thresholds)
}

fn listen(address: SocketAddr, key: &'static str) -> Result<Listener, SetupError> {
    Listener::bind(address).map_err(|cause| SetupError::Listen { address, key, cause })
}
