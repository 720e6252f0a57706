//! A generator shard: a slice of the devices and the starts of *their* executions, one ledger, one
//! recorder, on one thread with one runtime. Both ends of an execution meet here, on one clock.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, LocalSet};
use tokio_util::sync::CancellationToken;

use crate::clock::{Alarm, Clock, Instant, LoadClock, thread_cpu};
use crate::driver::{self, CommandsApi, Driver, HttpApi, Pace, SourceCommand};
use crate::fleet::{self, Fleet};
use crate::ledger::{Holder, Ledger, LedgerAnomaly, Outage, ToSettle};
use crate::plan::Plan;
use crate::scenario::{self, Via};
use crate::stats::{Anomaly, Statistics, StuckDevice};
use crate::units::MICROS_PER_SECOND;

use super::direct::DirectApi;
use super::site::Site;
use super::slice::Slice;

/// Connections that read records back from a target outside, over all shards: enough to hide a round trip
/// of 10 ms at 800 a second, few beside those of the load.
const SETTLE_CONNECTIONS: usize = 8;

/// What a shard is asked to do.
pub(super) enum ShardCommand {
    /// From now on the load's clock runs like this; before the first of these there is no load.
    KeepTime(LoadClock),
    /// What the source of a workload does next.
    Source(u16, SourceCommand),
    /// Start nothing more; with `abandon` not even what waits for a connection.
    StopLoad { abandon: bool },
    /// Strike off what is open, report, and end.
    Finish,
    /// Run this on the shard's thread: how a test blocks it.
    Run(Box<dyn FnOnce() + Send>),
}

/// What a shard says once a second, and at its end.
#[derive(Debug)]
pub(super) struct ShardReport {
    pub shard: usize,
    /// The second of the run that it completes.
    pub second: u64,
    pub statistics: Statistics,
    pub online: Vec<u64>,
    pub ever_online: u64,
    /// Nothing more will fall due.
    pub exhausted: bool,
    /// Entries not struck off, and those of them that only wait to be read back.
    pub open: usize,
    pub ended: usize,
    pub last_deadline: Instant,
    pub anomalies: Vec<Anomaly>,
    /// At the shard's end: the first devices of each rollout that have not succeeded.
    pub stuck: Vec<StuckDevice>,
    pub foreign: u64,
    pub cpu: Duration,
    pub last_error: Option<String>,
    /// The shard's end: everything is in.
    pub last: bool,
}

/// What a shard is made from.
pub(super) struct ShardSetup {
    pub number: usize,
    pub shards: usize,
    /// Which devices of the fleet are this process's.
    pub slice: Slice,
    pub clock: Clock,
    /// Where second 0 begins.
    pub epoch: Instant,
    pub plan: Plan,
    pub site: Site,
    pub commands: mpsc::Receiver<ShardCommand>,
    pub reports: mpsc::Sender<ShardReport>,
}

/// Starts the shard's thread, which keeps `alive` until it ends.
pub(super) fn spawn(
    setup: ShardSetup,
    alive: std::sync::mpsc::Sender<()>,
) -> std::io::Result<thread::JoinHandle<std::io::Result<()>>> {
    thread::Builder::new().name(format!("fleetsim-shard-{}", setup.number)).spawn(move || {
        let _alive = alive;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async move {
            Shard::new(setup).run().await;
        });
        Ok(())
    })
}

/// Starts the shard as a task of the current `LocalSet`: what virtual time does.
pub(super) fn spawn_local(setup: ShardSetup) -> tokio::task::JoinHandle<()> {
    tokio::task::spawn_local(async move { Shard::new(setup).run().await })
}

/// A worker for each connection of this shard.
fn start_workers(lanes: &mut JoinSet<()>, driver: &Rc<Driver>, site: &Site, shards: usize) {
    let scenario = driver.scenario();
    match (scenario.driver, &site.backend) {
        // A call takes no time that another could use: one worker is all there is to have. Where a fault
        // makes calls wait, as many can wait at once as would over connections.
        (scenario::Driver { via: Via::Direct, connections, .. }, Some(backend)) => {
            let waits = scenario.direct_start_waits();
            let workers = if waits { usize::from(connections).div_ceil(shards) } else { 1 };
            for _ in 0..workers {
                let api = DirectApi::new(backend.clone());
                lanes.spawn_local(driver::start_worker(Rc::clone(driver), api));
            }
        }
        (scenario::Driver { connections, .. }, _) => {
            for _ in 0..usize::from(connections).div_ceil(shards) {
                let api = HttpApi::new(&site.http_data, scenario.target.region(), driver.clock());
                lanes.spawn_local(driver::start_worker(Rc::clone(driver), api));
            }
        }
    }
}

/// The lanes that read records back: one of calls on the embedded backend, several connections to another.
fn settle_lanes(
    lanes: &mut JoinSet<()>,
    driver: &Rc<Driver>,
    fleet: &Rc<Fleet>,
    site: &Site,
    shards: usize,
    changed: &Rc<Notify>,
) {
    if let Some(backend) = &site.backend {
        let api = DirectApi::new(backend.clone());
        lanes.spawn_local(settle_lane(driver, fleet, site, api, changed, None));
    } else {
        let pace = Rc::new(Pace::new(shards));
        for _ in 0..SETTLE_CONNECTIONS.div_ceil(shards) {
            let api = HttpApi::new(&site.http, driver.scenario().target.region(), driver.clock());
            lanes.spawn_local(settle_lane(driver, fleet, site, api, changed, Some(&pace)));
        }
    }
}

fn settle_lane(
    driver: &Rc<Driver>,
    fleet: &Rc<Fleet>,
    site: &Site,
    api: impl CommandsApi + 'static,
    changed: &Rc<Notify>,
    pace: Option<&Rc<Pace>>,
) -> impl Future<Output = ()> + 'static {
    let (holders, ids, backend) = (Rc::clone(fleet), Rc::clone(fleet), site.backend.clone());
    let link_us = fleet.longest_link_delay_us();
    driver::settle_lane(
        Rc::clone(driver),
        api,
        move |ToSettle { device, id, since, .. }, now| Holder {
            online_since: holders.online_since(*device),
            subscribed_since: holders.subscribed_since(*device),
            holds: holders.holds(*device, id),
            silenced: holders.was_silenced(*device, *since, now),
            link_us,
            outages: backend.as_ref().map_or_else(Vec::new, |backend| {
                let outages = backend.outages_since(*since).into_iter();
                outages.map(|outage| Outage { from: outage.from, until: outage.until }).collect()
            }),
        },
        move |slot| ids.device_id(slot),
        Rc::clone(changed),
        pace.map(Rc::clone),
    )
}

struct Shard {
    number: usize,
    clock: Clock,
    plan: Plan,
    epoch: Instant,
    ledger: Rc<RefCell<Ledger>>,
    fleet: Rc<Fleet>,
    driver: Rc<Driver>,
    timers_changed: Rc<Notify>,
    stop: CancellationToken,
    commands: mpsc::Receiver<ShardCommand>,
    reports: mpsc::Sender<ShardReport>,
    load_begin: Option<Instant>,
    /// Dropped, and so ended, with the shard.
    _lanes: JoinSet<()>,
}

impl Shard {
    fn new(setup: ShardSetup) -> Self {
        let ShardSetup { number, shards, slice, clock, epoch, plan, site, commands, reports } = setup;
        let (which, of) = slice.dealt(number, shards);
        let settle_changed = Rc::new(Notify::new());
        let timers_changed = Rc::new(Notify::new());
        let statistics = Statistics::new(Arc::new(plan.scenario().shape()));
        let ledger = Rc::new(RefCell::new(Ledger::new(statistics, Rc::clone(&settle_changed))));
        let follows = driver::follows(plan.scenario());
        ledger.borrow_mut().follow(follows, Rc::clone(&timers_changed));
        let stop = CancellationToken::new();
        let fleet = Rc::new(Fleet::new(
            fleet::Setup {
                clock,
                plan: plan.clone(),
                broker: site.mqtt.clone(),
                sources: Arc::clone(&site.sources),
                ledger: Rc::clone(&ledger),
                timers_changed: Rc::clone(&timers_changed),
                stop: stop.clone(),
            },
            which,
            of,
        ));
        let driver = Rc::new(Driver::new(clock, plan.clone(), Rc::clone(&ledger), which, of));
        let mut lanes = JoinSet::new();
        start_workers(&mut lanes, &driver, &site, shards);
        settle_lanes(&mut lanes, &driver, &fleet, &site, shards, &settle_changed);
        Self {
            number,
            clock,
            plan,
            epoch,
            ledger,
            fleet,
            driver,
            timers_changed,
            stop,
            commands,
            reports,
            load_begin: None,
            _lanes: lanes,
        }
    }

    /// The pacer: drains what is due, sleeps until the next thing is.
    async fn run(mut self) {
        let alarm = Alarm::new(&self.clock);
        self.fleet.connect();
        let mut second = 0;
        loop {
            let now = self.clock.now();
            self.fleet.fire_due(now);
            self.driver.pick_due(now, |device| self.fleet.slot_of(device));
            let report_at = self.epoch.plus_micros((second + 1) * MICROS_PER_SECOND);
            if now >= report_at {
                // A shard that was held up reports the last second that is over.
                second = now.micros_since(self.epoch) / MICROS_PER_SECOND;
                self.try_report(second - 1);
                continue;
            }
            let next = [self.fleet.next_due(), self.driver.next_due(), Some(report_at)];
            let next = next.into_iter().flatten().min().unwrap_or(report_at);
            tokio::select! {
                biased; // A command must not wait behind a busy schedule.
                command = self.commands.recv() => match command {
                    Some(ShardCommand::KeepTime(load)) => {
                        self.load_begin = Some(load.begun());
                        self.fleet.keep_time(&load);
                        self.driver.keep_time(load);
                    }
                    Some(ShardCommand::Source(workload, command)) => self.driver.tell(workload, &command),
                    Some(ShardCommand::StopLoad { abandon }) => {
                        // What is due by now is still sent; only then the load is over.
                        let now = self.clock.now();
                        self.driver.pick_due(now, |device| self.fleet.slot_of(device));
                        self.driver.stop(now, |device| self.fleet.slot_of(device));
                        if abandon {
                            self.driver.abandon();
                        }
                    }
                    Some(ShardCommand::Run(job)) => job(),
                    Some(ShardCommand::Finish) | None => break,
                },
                () = self.timers_changed.notified() => {}
                () = alarm.sleep_until(&self.clock, next) => {}
            }
        }
        self.finish(second).await;
    }

    /// A full channel means a busy collector: what was measured stays here until the next second.
    fn try_report(&mut self, second: u64) {
        if let Ok(permit) = self.reports.clone().try_reserve() {
            permit.send(self.report(second, false));
        }
    }

    async fn finish(mut self, second: u64) {
        self.driver.stop(self.clock.now(), |device| self.fleet.slot_of(device));
        self.ledger.borrow_mut().finish();
        self.driver.hear(self.clock.now());
        let mut report = self.report(second, true);
        report.stuck = self.driver.stuck(|slot| self.fleet.device_id(slot));
        self.fleet.leave().await;
        // The collector may be gone already; then nobody wants the report.
        self.reports.send(report).await.ok();
        self.stop.cancel();
    }

    fn report(&mut self, second: u64, last: bool) -> ShardReport {
        let mut ledger = self.ledger.borrow_mut();
        let anomalies = ledger.take_anomalies();
        ShardReport {
            shard: self.number,
            second,
            statistics: ledger.statistics.take(),
            online: self.fleet.online(),
            ever_online: self.fleet.ever_online(),
            exhausted: self.driver.is_exhausted(self.clock.now()),
            open: ledger.open(),
            ended: ledger.ended(),
            last_deadline: ledger.last_deadline(),
            anomalies: anomalies.into_iter().map(|anomaly| self.named(anomaly)).collect(),
            stuck: Vec::new(),
            foreign: ledger.foreign(),
            // In virtual time the whole run is one thread: no share of it says how busy a generator is.
            cpu: if self.clock.is_virtual() { Duration::ZERO } else { thread_cpu() },
            last_error: self.fleet.last_error(),
            last,
        }
    }

    fn named(&self, anomaly: LedgerAnomaly) -> Anomaly {
        let device = self.fleet.device_id(anomaly.origin.device);
        Anomaly {
            execution_id: anomaly.execution_id.map(|id| id.to_string()),
            device: device.map(|device| self.plan.target(device).1).unwrap_or_default(),
            workload: usize::from(anomaly.origin.workload),
            group: usize::from(anomaly.origin.group),
            finding: anomaly.finding,
            explained: anomaly.explained,
            planned_us: anomaly.planned_at.micros_since(self.load_begin.unwrap_or(self.epoch)),
            last_seen: anomaly.last_seen.to_owned(),
        }
    }
}
