//! Starts executions at their planned instants and reads them back when they have ended.
//!
//! One driver per shard, for the executions of that shard's devices. The shard's pacer calls
//! [`Driver::pick_due`]; from there a start waits for one of the kept-alive connections
//! ([`start`]), and its record is read back by the settle lane ([`settle`]). A start that is late is
//! still sent and its lag recorded, never skipped.

mod api;
mod capacity;
mod http;
mod rollout;
mod settle;
mod source;
mod start;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::{Clock, Instant, LoadClock};
use crate::ledger::{EntryKey, Ledger, Origin};
use crate::plan::{Arrival, DeviceId, Plan};
use crate::protocol::TargetName;
use crate::scenario::Via;
use crate::stats::{Part, RolloutProgress, StuckDevice};
use crate::units::micros;

pub use api::{CallError, CommandsApi};
pub use capacity::{Bounds, Search, Worth};
pub use http::{ApiAddress, Authorization, HttpApi};
pub use rollout::{Release, RolloutControl, RolloutStep};
pub use settle::{Pace, settle_lane};
pub use source::{SourceCommand, follows};
pub use start::start_worker;

use source::Sources;

/// The part of the load that goes to one shard's devices.
#[derive(Debug)]
pub struct Driver {
    clock: Clock,
    plan: Plan,
    ledger: Rc<RefCell<Ledger>>,
    sources: RefCell<Sources>,
    /// What planned instants are counted by; `None` before it is known when the load begins.
    load: RefCell<Option<LoadClock>>,
    stopped: Cell<bool>,
    /// Nothing more is to be sent, not even again.
    abandoned: Cell<bool>,
    /// Picked up, waiting for a connection. Bounded by the ledger: each has an open entry there.
    queue: RefCell<VecDeque<Job>>,
    queued: Notify,
    workloads: Vec<WorkloadTarget>,
    /// Executions that the API has started so far.
    started: Cell<u64>,
    /// What makes the tokens of this run differ from those of another with the same seed.
    token_salt: u64,
    /// How long a start may wait for a connection, and then for its answer.
    timeout_us: u64,
    /// Starts are calls that take no time: they wait for nobody but this thread.
    is_direct: bool,
    region: String,
    account: String,
}

/// How a start is refused that found no connection.
const UNREACHABLE: &str = "Unreachable";

/// A start that waits for a connection.
#[derive(Debug)]
struct Job {
    key: EntryKey,
    picked: Instant,
    workload: u16,
    number: u64,
    device: DeviceId,
    /// How often it was refused and is sent again.
    attempt: u32,
    /// The error of the last refusal.
    refused: Option<Arc<str>>,
    /// Since when it waits for a connection.
    waiting_since: Instant,
}

#[derive(Debug)]
struct WorkloadTarget {
    timeout_us: u64,
    timeout_s: u32,
}

impl Driver {
    /// The driver of one shard; nothing is due before [`Driver::keep_time`].
    pub fn new(clock: Clock, plan: Plan, ledger: Rc<RefCell<Ledger>>, shard: usize, shards: usize) -> Self {
        let target = &plan.scenario().target;
        let workloads = plan.scenario().workloads.iter().map(|workload| WorkloadTarget {
            timeout_us: micros(workload.command.timeout),
            timeout_s: u32::try_from(workload.command.timeout.as_secs()).unwrap_or(u32::MAX),
        });
        Self {
            clock,
            ledger,
            sources: RefCell::new(Sources::new(&plan, shard, shards)),
            load: RefCell::default(),
            stopped: Cell::new(false),
            abandoned: Cell::new(false),
            queue: RefCell::default(),
            queued: Notify::new(),
            workloads: workloads.collect(),
            started: Cell::new(0),
            token_salt: token_salt(&plan, clock),
            timeout_us: micros(plan.scenario().driver.timeout),
            is_direct: plan.scenario().driver.via == Via::Direct && !plan.scenario().direct_start_waits(),
            region: target.region().to_owned(),
            account: target.account().to_owned(),
            plan,
        }
    }

    /// The run's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What is run.
    pub fn scenario(&self) -> &crate::scenario::Scenario {
        self.plan.scenario()
    }

    /// From now on the load's clock runs like this: every planned instant that is picked up from here on is
    /// mapped by it, once. It only tells apart from an earlier one what was not due by the change.
    pub fn keep_time(&self, load: LoadClock) {
        self.sources.borrow_mut().play_at(load.changed_at_us(), load.rate_percent());
        self.load.replace(Some(load));
    }

    /// What the conductor has decided for one workload.
    pub fn tell(&self, workload: u16, command: &SourceCommand) {
        let mut ledger = self.ledger.borrow_mut();
        self.sources.borrow_mut().tell(workload, command, &mut ledger.statistics);
    }

    /// Time has come to `now`, and this has become of executions: some loads go on from there.
    pub fn hear(&self, now: Instant) {
        let load = self.load.borrow();
        // What follows from an end cannot be due in a pause, nor before it was known.
        let (now_us, next_us) =
            load.as_ref().map_or((0, 0), |load| (load.load_us(now), load.not_before(now)));
        let mut ledger = self.ledger.borrow_mut();
        let progress = ledger.take_progress();
        let mut sources = self.sources.borrow_mut();
        sources.heard(&progress, next_us, &mut ledger.statistics);
        sources.pass(now_us);
    }

    /// How much of the load has been played, in µs.
    fn load_us(&self, now: Instant) -> u64 {
        self.load.borrow().as_ref().map_or(0, |load| load.load_us(now))
    }

    /// The first devices of each rollout that have not succeeded.
    pub fn stuck(&self, device_of: impl Fn(u32) -> Option<DeviceId>) -> Vec<StuckDevice> {
        self.sources.borrow().stuck(RolloutProgress::STUCK_KEPT, device_of)
    }

    /// Picks up everything whose planned instant has come. `slot_of` finds a device's slot.
    pub fn pick_due(&self, now: Instant, slot_of: impl Fn(DeviceId) -> Option<u32>) {
        self.hear(now);
        while let Some((arrival, planned)) = self.take_due(now) {
            let origin = self.picked(&arrival, &slot_of);
            let timeout_us = self.workloads[usize::from(arrival.workload)].timeout_us;
            let picked = self.clock.now();
            let Some(key) = self.ledger.borrow_mut().enter(origin, planned, picked, timeout_us) else {
                continue;
            };
            let Arrival { workload, number, device, .. } = arrival;
            self.queue.borrow_mut().push_back(Job {
                key,
                picked,
                workload,
                number,
                device,
                attempt: 0,
                refused: None,
                waiting_since: picked,
            });
            self.queued.notify_one();
        }
    }

    /// Ends the load: what fell due and was not picked up is `unsent`; what is queued is still sent.
    pub fn stop(&self, now: Instant, slot_of: impl Fn(DeviceId) -> Option<u32>) {
        self.hear(now);
        while let Some((arrival, _)) = self.take_due(now) {
            let origin = self.picked(&arrival, &slot_of);
            self.ledger.borrow_mut().unsent(origin);
        }
        self.stopped.set(true);
        let mut ledger = self.ledger.borrow_mut();
        self.sources.borrow_mut().end(&mut ledger.statistics);
    }

    fn picked(&self, arrival: &Arrival, slot_of: &impl Fn(DeviceId) -> Option<u32>) -> Origin {
        let origin = origin(arrival, slot_of);
        let mut ledger = self.ledger.borrow_mut();
        self.sources.borrow_mut().picked(arrival, origin.device, &mut ledger.statistics);
        origin
    }

    /// Takes back what is picked up and not sent yet: the user asked to stop sending.
    pub fn abandon(&self) {
        self.abandoned.set(true);
        let now = self.clock.now();
        let mut ledger = self.ledger.borrow_mut();
        for job in self.queue.borrow_mut().drain(..) {
            withdraw(&mut ledger, &job, now);
        }
    }

    /// The same for a start that a worker has taken already; or it was `tried`, and there was no connection.
    fn take_back(&self, job: &Job, tried: bool) {
        let now = self.clock.now();
        let mut ledger = self.ledger.borrow_mut();
        if tried && job.refused.is_none() {
            ledger.refused(job.key, now, &Arc::from(UNREACHABLE));
        } else {
            withdraw(&mut ledger, job, now);
        }
    }

    fn take_due(&self, now: Instant) -> Option<(Arrival, Instant)> {
        let planned = self.next_due().filter(|planned| *planned <= now)?;
        self.sources.borrow_mut().take().map(|arrival| (arrival, planned))
    }

    /// When the next start is due; `None` before the load, in a pause and after the end.
    pub fn next_due(&self) -> Option<Instant> {
        if self.stopped.get() {
            return None;
        }
        let load = self.load.borrow();
        let next_us = self.sources.borrow().next_us()?;
        load.as_ref()?.instant(next_us)
    }

    /// Whether the load has begun and nothing more will fall due.
    pub fn is_exhausted(&self, now: Instant) -> bool {
        let over = || self.sources.borrow().are_exhausted(self.load_us(now));
        self.stopped.get() || (self.load.borrow().is_some() && over())
    }

    /// The target that a device of this run is; `name` is where its name goes.
    fn target<'a>(&'a self, device: DeviceId, name: &'a mut String) -> TargetName<'a> {
        name.clear();
        let kind = self.plan.write_target(device, name);
        TargetName { region: &self.region, account: &self.account, kind, name }
    }
}

/// What was refused and waits to be sent again was sent once, and stays refused.
fn withdraw(ledger: &mut Ledger, job: &Job, now: Instant) {
    match &job.refused {
        Some(error) => ledger.refused(job.key, now, error),
        None => ledger.abandoned(job.key),
    }
}

/// A token lives as long as its execution, and a target outside may remember the last run: with the same
/// tokens its answers would be the executions of then.
fn token_salt(plan: &Plan, clock: Clock) -> u64 {
    if plan.scenario().target.embedded().is_some() { 0 } else { clock.wall_micros(Instant::START) }
}

fn origin(arrival: &Arrival, slot_of: &impl Fn(DeviceId) -> Option<u32>) -> Origin {
    Origin {
        workload: arrival.workload,
        group: arrival.device.group,
        device: slot_of(arrival.device).expect("a shard's arrivals go to its own devices"),
        part: if arrival.measured { Part::Measured } else { Part::WarmUp },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Variables, parse};
    use crate::seed::Seed;
    use crate::stats::{Class, Statistics};

    /// The driver of a small load, which has not begun.
    pub(super) fn driver(clock: Clock) -> Driver {
        let text = "version: 1\nname: s\ngroups: { g: { behavior: { delay: 1ms } } }\nworkloads: { w: { command: { \
                    name: c }, load: { once: {} } } }\n";
        let scenario = parse("s", text, &Variables::default()).unwrap_or_else(|p| panic!("{p}"));
        let statistics = Statistics::new(Arc::new(scenario.shape()));
        let ledger = Rc::new(RefCell::new(Ledger::new(statistics, Rc::new(Notify::new()))));
        Driver::new(clock, Plan::new(Arc::new(scenario), Seed(1)), ledger, 0, 1)
    }

    /// The user stops the run while one start waits for its first attempt and one for its second.
    #[test]
    fn a_start_that_was_refused_once_stays_refused_when_the_run_is_stopped() {
        let driver = driver(Clock::start());
        let now = driver.clock.now();
        let origin = Origin { workload: 0, group: 0, device: 0, part: Part::Measured };
        for (number, refused) in [(0, None), (1, Some(Arc::from("ThrottlingException")))] {
            let mut ledger = driver.ledger.borrow_mut();
            let key = ledger.enter(origin, now, now, 1_000_000).unwrap();
            if refused.is_some() {
                ledger.written(key, now);
            }
            let device = DeviceId { group: 0, index: 0 };
            let attempt = u32::from(refused.is_some());
            let job =
                Job { key, picked: now, workload: 0, number, device, attempt, refused, waiting_since: now };
            driver.queue.borrow_mut().push_back(job);
        }
        driver.abandon();
        let ledger = driver.ledger.borrow();
        let counts = ledger.statistics.measured(None, None);
        assert_eq!((counts.due, counts.class(Class::Unsent), counts.class(Class::Refused)), (2, 1, 1));
        assert_eq!(counts.refused.get("ThrottlingException"), Some(&1));
        // No answer is awaited any more: what the device holds is told by no start under way.
        let id = crate::protocol::ExecutionId::from_uuid(1);
        assert_eq!(ledger.times_out(0, &id, now), None);
    }
}
