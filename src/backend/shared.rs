//! What the backend's tasks and handles share: the lock around the core, and what needs no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::Config;
use super::broker::{Broker, Host, Message, publish_due_wills};
use super::core::{Asker, Core};
use super::faults::Faults;
use super::outages::Outages;
use super::policy::Policy;
use crate::clock::{Clock, Instant};
use crate::mqtt::{self, ReasonCode};
use crate::protocol::{DeviceTopic, Form, Format, Update, UpdateError, UpdateErrorCode};
use crate::seed::{Purpose, Seed, Subject};
use crate::units::micros;

/// Something to run on the backend's thread.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Jobs come from tests, one at a time; more waiting than this is a mistake of the test.
const JOBS: usize = 16;

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plane {
    Mqtt,
    Http,
}

/// See the module.
pub(super) struct Shared {
    core: Mutex<Core>,
    clock: Clock,
    seed: Seed,
    policy: Policy,
    /// Without any, calls need not ask.
    has_faults: bool,
    outages: Arc<Outages>,
    /// Tells the timer task that an earlier time-out was armed.
    timer_wake: Notify,
    jobs: mpsc::Sender<Job>,
    /// Requests of the API so far; the number of the next request id's draw.
    requests: AtomicU64,
    /// CPU time of the backend's thread when it last looked.
    cpu_us: AtomicU64,
    accept_errors: AtomicU64,
    publishes_refused: AtomicU64,
    /// Open connections by plane.
    connections: [AtomicUsize; 2],
    /// Tells whoever waits for the last connection that one has ended.
    connection_ended: Notify,
    has_panicked: AtomicBool,
}

impl Shared {
    pub fn new(config: Config) -> (Self, mpsc::Receiver<Job>) {
        let Config { clock, seed, region, account, policy, limits, faults, hooks } = config;
        let has_faults = faults != Faults::default();
        let (jobs, queue) = mpsc::channel(JOBS);
        let shared = Self {
            core: Mutex::new(Core::new(clock, seed, (region, account), limits, (faults, hooks))),
            clock,
            seed,
            policy,
            has_faults,
            outages: Arc::new(Outages::new(clock)),
            timer_wake: Notify::new(),
            jobs,
            requests: AtomicU64::new(0),
            cpu_us: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            publishes_refused: AtomicU64::new(0),
            connections: [AtomicUsize::new(0), AtomicUsize::new(0)],
            connection_ended: Notify::new(),
            has_panicked: AtomicBool::new(false),
        };
        (shared, queue)
    }

    /// When it is out by plan.
    pub fn outages(&self) -> &Arc<Outages> {
        &self.outages
    }

    /// Runs `change` under the lock: bounded, no I/O, no waiting.
    pub fn with_core<R>(&self, change: impl FnOnce(&mut Core) -> R) -> R {
        let mut core = self.core.lock();
        let result = change(&mut core);
        let is_early = core.take_timer_is_early();
        drop(core);
        if is_early {
            self.timer_wake.notify_one();
        }
        result
    }

    /// Times out what is due, and publishes the wills whose time has come; returns when to look again. The lock is free between batches.
    pub fn time_out_due(&self) -> Option<Instant> {
        while self.with_core(Core::time_out_due) {}
        publish_due_wills(self);
        self.with_core(|core| core.next_deadline())
    }

    /// Completes when an earlier time-out was armed.
    pub async fn timer_woken(&self) {
        self.timer_wake.notified().await;
    }

    /// The id of the next request, for `x-amzn-RequestId`.
    pub fn next_request_id(&self) -> u128 {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        self.seed.at(Purpose::RequestId, Subject::new("", 0), n).uuid()
    }

    /// Whether the scenario asks for any fault.
    pub fn has_faults(&self) -> bool {
        self.has_faults
    }

    /// Hands a job to the backend's thread; `false` if its queue is full or it has ended.
    pub fn queue_job(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    pub fn set_cpu(&self, cpu: Duration) {
        self.cpu_us.store(micros(cpu), Ordering::Relaxed);
    }

    pub fn cpu(&self) -> Duration {
        Duration::from_micros(self.cpu_us.load(Ordering::Relaxed))
    }

    pub fn count_accept_error(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Ordering::Relaxed)
    }

    pub fn publishes_refused(&self) -> u64 {
        self.publishes_refused.load(Ordering::Relaxed)
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many connections of a plane are open.
    pub fn connections(&self, plane: Plane) -> usize {
        self.connections[plane as usize].load(Ordering::Relaxed)
    }

    pub fn connection_begins(&self, plane: Plane) {
        self.connections[plane as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn connection_ends(&self, plane: Plane, by_panic: bool) {
        if by_panic {
            self.has_panicked.store(true, Ordering::Relaxed);
        }
        self.connections[plane as usize].fetch_sub(1, Ordering::Relaxed);
        self.connection_ended.notify_one();
    }

    /// Whether a connection's task has panicked.
    pub fn has_panicked(&self) -> bool {
        self.has_panicked.load(Ordering::Relaxed)
    }

    /// Completes when no connection is left.
    pub async fn all_connections_ended(&self) {
        while self.connections(Plane::Mqtt) + self.connections(Plane::Http) > 0 {
            self.connection_ended.notified().await;
        }
    }

    /// An update on a device topic; everything is read before the lock is taken.
    fn update(&self, topic: DeviceTopic<'_>, format: Format, payload: &[u8]) {
        let execution_id = topic.execution.parse();
        let mut asker = Asker { topic, format, execution_id: execution_id.clone().ok(), client_token: None };
        let (code, message) = match (read_update(format, payload), execution_id) {
            (Ok(mut update), Ok(id)) => {
                asker.client_token = update.client_token.take();
                return self.with_core(|core| core.update(&id, update, &asker));
            }
            (Err(error), _) => {
                asker.client_token = error.client_token;
                (error.code, error.message)
            }
            // No execution can have it.
            (Ok(update), Err(invalid)) => {
                asker.client_token = update.client_token;
                (UpdateErrorCode::ResourceNotFound, invalid.to_string())
            }
        };
        self.with_core(|core| core.refuse_update(&asker, code.name(), &message));
    }
}

fn read_update(format: Format, payload: &[u8]) -> Result<Update, UpdateError> {
    match format {
        Format::Json | Format::Generic => Update::from_json(payload),
        Format::Cbor => Update::from_cbor(payload),
    }
}

/// The broker hands over whatever clients publish. What the policy does not allow is dropped and counted,
/// which only a client of MQTT 5 is told.
impl Host for Shared {
    fn clock(&self) -> Clock {
        self.clock
    }

    fn with_broker<R>(&self, f: impl FnOnce(&mut Broker) -> R) -> R {
        self.with_core(|core| f(&mut core.broker))
    }

    fn publish(&self, from: &str, publish: &mqtt::Publish<'_>) -> ReasonCode {
        if !self.policy.may_publish(from, publish.topic) {
            self.publishes_refused.fetch_add(1, Ordering::Relaxed);
            return ReasonCode::NotAuthorized;
        }
        if let Some(topic @ DeviceTopic { form: Form::Response(format), .. }) =
            DeviceTopic::parse(publish.topic)
        {
            self.update(topic, format, publish.payload);
            return ReasonCode::Success;
        }
        let message = Message::of_client(from, publish, self.clock.now());
        self.with_broker(|broker| broker.publish(&message)).reason()
    }

    fn works_from(&self, instant: Instant) -> Instant {
        self.outages.works_from(instant)
    }

    fn may_subscribe(&self, client_id: &str, filter: &str) -> bool {
        self.policy.may_subscribe(client_id, filter)
    }
}
