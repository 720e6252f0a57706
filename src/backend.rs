//! The embedded command-execution backend: AWS IoT Commands on one thread, over real sockets or
//! in memory; or, in virtual time, as tasks beside those that use it.
//!
//! All state is a `Core` behind one lock: the commands, the executions, their time-outs and the
//! broker with its sessions. The lock is held for one bounded application at a time and never across
//! I/O: publishing puts bytes into the out-buffers of sessions, whose tasks write them. One thread
//! serves MQTT, HTTP and the time-outs, so the lock is free there; it exists because axum wants
//! handlers that could move, and because a [`Handle`] is called directly from generator threads.
//!
//! The way of a command: `api` (or a handle) checks the request outside the lock; `core` asks
//! `executions`, a pure state machine, what that means; its effects come back as a list, and `core`
//! performs them: arm the timer, publish the request, reply, publish the lifecycle event. A device's
//! answer comes in through the broker, is read outside the lock and takes the same way.
//!
//! In memory only: a restart forgets everything. Nothing is authenticated: any signature will do, and a
//! client is who it says it is; what it may do on MQTT a [`Policy`] says.

mod api;
pub mod broker;
mod commands;
mod core;
mod events;
mod executions;
mod faults;
mod handle;
mod hooks;
mod outages;
mod policy;
mod serve;
mod shared;
mod timers;

use std::io;
use std::sync::Arc;
use std::thread;

use tokio_util::sync::CancellationToken;

pub use faults::{CallFaults, FaultCounts, Faults, Operation, RequestFaults};
pub use handle::{Counters, ExecutionEnd, Handle};
pub use hooks::{Hooks, OnRequest, OnStart, OnTimeOut, OnUpdate};
pub use outages::{Outage, OutageKind};
pub use policy::Policy;

use crate::clock::Clock;
use crate::seed::Seed;
use crate::transport::{Address, Listener};

/// Where it listens, over TCP or in memory; bound by the caller, who can say best what is wrong with an
/// address.
#[derive(Debug)]
pub struct Listeners {
    /// For MQTT.
    pub mqtt: Listener,
    /// For the HTTP API, both services.
    pub http: Listener,
}

/// What it is.
pub struct Config {
    /// The run's clock.
    pub clock: Clock,
    /// Where the ids of executions and requests come from.
    pub seed: Seed,
    /// The one region of its ARNs, `us-east-1`.
    pub region: String,
    /// The one account of its ARNs, twelve digits.
    pub account: String,
    /// What clients may publish and subscribe to.
    pub policy: Policy,
    /// The limits of the broker.
    pub limits: broker::Limits,
    /// What goes wrong by plan.
    pub faults: Faults,
    /// Faults for tests; none by default.
    #[doc(hidden)]
    pub hooks: Hooks,
}

/// A backend that serves, on a thread of its own or as a task.
#[derive(Debug)]
pub struct Running<Home = thread::JoinHandle<()>> {
    /// The direct way in.
    pub handle: Handle,
    /// Where MQTT is served.
    pub mqtt: Address,
    /// Where HTTP is served.
    pub http: Address,
    home: Home,
}

impl Running {
    /// Waits until it has ended; cancel its token first. A panic of one of its tasks surfaces here.
    pub fn join(self) -> thread::Result<()> {
        self.home.join()
    }
}

impl Running<tokio::task::JoinHandle<()>> {
    /// As [`Running::join`], for a backend that is a task.
    ///
    /// # Errors
    /// If one of its tasks has panicked.
    pub async fn ended(self) -> Result<(), tokio::task::JoinError> {
        self.home.await
    }
}

/// Starts a backend on a thread of its own; it serves when this returns, until `stop` is cancelled.
///
/// # Errors
/// If a listener cannot be used or the thread or its runtime cannot be made.
pub fn start(listeners: Listeners, config: Config, stop: CancellationToken) -> io::Result<Running> {
    let (mqtt, http) = (listeners.mqtt.address()?, listeners.http.address()?);
    let (shared, jobs) = shared::Shared::new(config);
    let shared = Arc::new(shared);
    let handle = Handle::new(Arc::clone(&shared));
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    let home = thread::Builder::new()
        .name("fleetsim-backend".to_owned())
        .spawn(move || serve::run(listeners, &shared, jobs, &stop, &ready))?;
    match is_ready.recv() {
        Ok(served) => served?,
        Err(_) => return Err(io::Error::other("the backend's thread ended before it served")),
    }
    Ok(Running { handle, mqtt, http, home })
}

/// Starts a backend as tasks of the current `LocalSet`: the same one, on the clock and the thread of
/// those that use it. It serves until `stop` is cancelled.
///
/// # Errors
/// If a listener cannot be used.
pub fn start_local(
    listeners: Listeners,
    config: Config,
    stop: CancellationToken,
) -> io::Result<Running<tokio::task::JoinHandle<()>>> {
    let (mqtt, http) = (listeners.mqtt.address()?, listeners.http.address()?);
    let (shared, jobs) = shared::Shared::new(config);
    let shared = Arc::new(shared);
    let handle = Handle::new(Arc::clone(&shared));
    let acceptors = serve::Acceptors::of(listeners)?;
    let home = tokio::task::spawn_local(async move { serve::serve(acceptors, &shared, jobs, &stop).await });
    Ok(Running { handle, mqtt, http, home })
}
