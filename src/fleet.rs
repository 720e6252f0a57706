//! Virtual devices: one identity, one connection, one behaviour each.
//!
//! [`behaviour`] decides, [`device`] performs: a device is one task that polls its connection and
//! nothing else. What is due later sits in the shard's timers, drained by the shard's pacer through
//! [`Fleet::fire_due`], so a device keeps no timer of its own.

mod behaviour;
mod connection;
mod device;
mod gauges;
mod link;
mod publishes;
mod timeline;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Deadlines, Instant, LoadClock};
use crate::ledger::Ledger;
use crate::plan::{DeviceId, Plan};
use crate::protocol::{ExecutionId, Format, StatusReason};
use crate::scenario::{TimelineAction, WhenBusy};
use crate::transport::Address;

use device::{Device, Timer};
use gauges::Gauges;
use timeline::Timeline;

/// Connects in flight per shard when no rate is asked for: enough to keep a target busy, few enough
/// not to overflow its accept queue.
const CONNECTS_IN_FLIGHT: usize = 256;

/// How long a run waits at its end for devices to say goodbye.
const LEAVE_WAIT_US: u64 = 2_000_000;

/// Below this many timers a sweep is not worth its walk.
const MIN_SWEEP: usize = 4096;

/// The devices of one shard.
#[derive(Debug)]
pub struct Fleet {
    shared: Rc<Shared>,
    devices: Vec<Rc<Device>>,
    sweep_above: Cell<usize>,
    /// Which shard of how many.
    number: u64,
    shards: u64,
}

/// What all devices of a shard share.
#[derive(Debug)]
pub(crate) struct Shared {
    clock: Clock,
    plan: Plan,
    broker: Address,
    /// Addresses of this machine to connect from, in turn; empty: what the system takes.
    sources: Arc<[IpAddr]>,
    ledger: Rc<RefCell<Ledger>>,
    timers: RefCell<Deadlines<(u32, Timer)>>,
    /// Tells the pacer that something is due earlier than it knows.
    timers_changed: Rc<Notify>,
    permits: Semaphore,
    gauges: Gauges,
    /// Executions whose requests came in CBOR and that may still be answered, by the device's slot.
    in_cbor: RefCell<HashSet<(u32, ExecutionId)>>,
    /// Reasons by group and planned outcome, shared by all that give them.
    reasons: Vec<Vec<Option<Arc<StatusReason>>>>,
    /// The reason of those that have no time.
    busy: Arc<StatusReason>,
    stop: CancellationToken,
    last_error: RefCell<Option<String>>,
    scratch: Scratch,
    timeline: Timeline,
    /// The run is over: devices say goodbye.
    leaving: Cell<bool>,
    /// The last device that was online has gone.
    all_gone: Notify,
}

/// Memory that one device after the other uses: between two of its uses no other task runs.
#[derive(Debug, Default)]
struct Scratch {
    /// A device performs its actions at once.
    actions: RefCell<Vec<behaviour::Action>>,
    update: RefCell<UpdateScratch>,
}

/// The parts of an update while it is put together.
#[derive(Debug, Default)]
struct UpdateScratch {
    name: String,
    topic: String,
    payload: Vec<u8>,
}

/// Where a shard's fleet connects and what it is part of.
#[derive(Debug)]
pub struct Setup {
    /// The run's clock.
    pub clock: Clock,
    /// Behaviours and decisions.
    pub plan: Plan,
    /// The broker.
    pub broker: Address,
    /// Addresses of this machine to connect from, in turn; empty: what the system takes.
    pub sources: Arc<[IpAddr]>,
    /// The shard's ledger.
    pub ledger: Rc<RefCell<Ledger>>,
    /// Wakes the shard's pacer.
    pub timers_changed: Rc<Notify>,
    /// Ends every device.
    pub stop: CancellationToken,
}

impl Fleet {
    /// Makes the devices of one shard; none connects before [`Fleet::connect`].
    pub fn new(setup: Setup, number: usize, shards: usize) -> Self {
        let Setup { clock, plan, broker, sources, ledger, timers_changed, stop } = setup;
        let members: Vec<DeviceId> = plan.devices_of(number, shards).collect();
        let shared = Rc::new(Shared {
            clock,
            broker,
            sources,
            ledger,
            timers: RefCell::default(),
            timers_changed,
            permits: Semaphore::new(CONNECTS_IN_FLIGHT),
            gauges: Gauges::new(plan.scenario().groups.len()),
            in_cbor: RefCell::default(),
            reasons: reasons(&plan),
            busy: Arc::new(StatusReason { code: WhenBusy::REASON_CODE.to_owned(), description: None }),
            stop,
            last_error: RefCell::default(),
            scratch: Scratch::default(),
            timeline: Timeline::new(&plan),
            leaving: Cell::new(false),
            all_gone: Notify::new(),
            plan,
        });
        let groups = &shared.plan.scenario().groups;
        let device = |(id, slot): (DeviceId, u32)| {
            let keeps_session = !groups[usize::from(id.group)].connect.clean_session;
            Rc::new(Device::new(id, slot, keeps_session))
        };
        let devices = members.into_iter().zip(0u32..).map(device).collect();
        Self {
            shared,
            devices,
            sweep_above: Cell::new(MIN_SWEEP),
            number: number as u64,
            shards: shards as u64,
        }
    }

    /// Lets every device connect, each group at its own rate and each device after its own start delay.
    /// Runs inside a `LocalSet`.
    pub fn connect(&self) {
        let begun = self.shared.clock.now();
        for device in &self.devices {
            let group = &self.shared.plan.scenario().groups[usize::from(device.id.group)];
            let at = match group.connect.rate {
                // The group's rate holds over all shards: its n-th device connects at n / rate.
                Some(rate) if rate.per_second() > 0.0 => begun
                    .plus(std::time::Duration::from_secs_f64(f64::from(device.id.index) / rate.per_second())),
                _ => begun,
            };
            let at = at.plus_micros(self.shared.plan.start_delay_us(device.id));
            tokio::task::spawn_local(device::run(Rc::clone(&self.shared), Rc::clone(device), at));
        }
    }

    /// Lets every device that is online say DISCONNECT and waits until all have, but not for long: a
    /// broker that does not read cannot hold up the end of a run.
    pub async fn leave(&self) {
        self.shared.leaving.set(true);
        for device in &self.devices {
            device.leave(&self.shared);
        }
        let until = self.shared.clock.now().plus_micros(LEAVE_WAIT_US);
        while self.shared.gauges.online_now() > 0 {
            if self.shared.clock.timeout_at(until, self.shared.all_gone.notified()).await.is_none() {
                return;
            }
        }
    }

    /// From now on the load's clock, which the timeline follows, runs like this.
    pub fn keep_time(&self, load: &LoadClock) {
        self.shared.timeline.keep_time(load);
    }

    /// Performs everything that is due. Called by the shard's pacer.
    pub fn fire_due(&self, now: Instant) {
        self.sweep();
        while let Some(window) = self.shared.timeline.take_due(now) {
            self.happen(window);
        }
        loop {
            // The borrow ends before the device acts: acting arms new timers.
            let due = self.shared.timers.borrow_mut().pop_due(now);
            let Some((at, (slot, timer))) = due else { return };
            if let Some(device) = self.devices.get(slot as usize) {
                device.fire(&self.shared, timer, at, self.shared.clock.now());
            }
        }
    }

    /// Performs the begin of an event. A device that breaks off is the only thing to do; what else happens to
    /// devices follows from the clock, and is only counted.
    fn happen(&self, window: timeline::Window) {
        let Shared { plan, ledger, .. } = &*self.shared;
        for device in self.devices.iter().filter(|device| window.is_hit(plan, device.id)) {
            let what = match window.action {
                TimelineAction::Disconnect => {
                    device.send_away(&self.shared);
                    continue;
                }
                TimelineAction::Silence => "devices silenced by the timeline",
                TimelineAction::Slow { .. } => "devices slowed by the timeline",
                TimelineAction::BackendStall | TimelineAction::BackendRestart => continue,
            };
            ledger.borrow_mut().statistics.note(what);
        }
    }

    /// Waits for replies are mostly moot when they come due; they must not outgrow the devices.
    fn sweep(&self) {
        let mut timers = self.shared.timers.borrow_mut();
        if timers.len() > self.sweep_above.get() {
            timers.retain(|(slot, timer)| self.devices.get(*slot as usize).is_some_and(|d| d.wants(*timer)));
            self.sweep_above.set(MIN_SWEEP.max(2 * timers.len()));
        }
    }

    /// When the next thing is due.
    pub fn next_due(&self) -> Option<Instant> {
        let timer = self.shared.timers.borrow().next();
        timer.into_iter().chain(self.shared.timeline.next_due()).min()
    }

    /// Devices of the shard.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether the shard has no device.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Devices subscribed now, by group.
    pub fn online(&self) -> Vec<u64> {
        self.shared.gauges.online()
    }

    /// Devices that have been subscribed at least once.
    pub fn ever_online(&self) -> u64 {
        self.shared.gauges.ever_online()
    }

    /// Since when a device has been connected without a break.
    pub fn online_since(&self, slot: u32) -> Option<Instant> {
        self.devices.get(slot as usize)?.online_since()
    }

    /// Since when the broker owes a device every request: longer than it is connected if it resumed a
    /// session.
    pub fn subscribed_since(&self, slot: u32) -> Option<Instant> {
        self.devices.get(slot as usize)?.subscribed_since()
    }

    /// Whether a device holds an execution and is going to answer it.
    pub fn holds(&self, slot: u32, id: &ExecutionId) -> bool {
        self.devices.get(slot as usize).is_some_and(|device| device.holds(id))
    }

    /// Whether the timeline kept a device from answering at any instant between the two.
    pub fn was_silenced(&self, slot: u32, since: Instant, until: Instant) -> bool {
        let Shared { timeline, plan, .. } = &*self.shared;
        self.devices.get(slot as usize).is_some_and(|d| timeline.was_silenced(plan, d.id, since, until))
    }

    /// How long the link of a device keeps a packet at the most, by plan.
    pub fn longest_link_delay_us(&self) -> u64 {
        self.shared.plan.longest_link_delay_us()
    }

    /// The device in a slot.
    pub fn device_id(&self, slot: u32) -> Option<DeviceId> {
        self.devices.get(slot as usize).map(|device| device.id)
    }

    /// The slot of a device of this shard. Devices are dealt out in turn, so it is a division and not a
    /// search through memory that nobody else wants now.
    pub fn slot_of(&self, device: DeviceId) -> Option<u32> {
        let number = self.shared.plan.fleet_number(device);
        let (slot, shard) = (number / self.shards, number % self.shards);
        (shard == self.number).then(|| u32::try_from(slot).ok()).flatten()
    }

    /// Why the last connection could not be made or ended.
    pub fn last_error(&self) -> Option<String> {
        self.shared.last_error.borrow().clone()
    }
}

impl Shared {
    /// A request came in a format: the device answers in the same, or in JSON where it was neither.
    fn came_in(&self, slot: u32, id: &ExecutionId, format: Format) {
        if format == Format::Cbor {
            self.in_cbor.borrow_mut().insert((slot, id.clone()));
        }
    }

    /// In which format a device speaks of an execution.
    fn format_of(&self, slot: u32, id: &ExecutionId) -> Format {
        let in_cbor = self.in_cbor.borrow();
        // Mostly there are none, and then nothing is copied or hashed.
        let is_among = !in_cbor.is_empty() && in_cbor.contains(&(slot, id.clone()));
        if is_among { Format::Cbor } else { Format::Json }
    }

    /// The device has done with an execution.
    fn is_done(&self, slot: u32, id: &ExecutionId) {
        let mut in_cbor = self.in_cbor.borrow_mut();
        if !in_cbor.is_empty() {
            in_cbor.remove(&(slot, id.clone()));
        }
    }

    /// The address that a device connects from; the same each time.
    fn source_of(&self, device: DeviceId) -> Option<IpAddr> {
        let count = self.sources.len() as u64;
        let place = self.plan.fleet_number(device).checked_rem(count)?;
        self.sources.get(usize::try_from(place).ok()?).copied()
    }

    /// Counts something worth a line in the summary.
    fn note(&self, what: &'static str) {
        self.ledger.borrow_mut().statistics.note(what);
    }

    fn went_offline(&self, group: u16) {
        self.gauges.went_offline(group);
        if self.leaving.get() && self.gauges.online_now() == 0 {
            self.all_gone.notify_one();
        }
    }
}

fn reasons(plan: &Plan) -> Vec<Vec<Option<Arc<StatusReason>>>> {
    let of = |outcome: &crate::scenario::PlannedOutcome| {
        let code = outcome.reason_code.clone()?;
        Some(Arc::new(StatusReason { code, description: outcome.reason.clone() }))
    };
    plan.scenario().groups.iter().map(|group| group.behavior.outcomes.iter().map(of).collect()).collect()
}

#[cfg(test)]
mod tests;
