//! The backend at work: accept loops, the time-outs, and the way they end.
//!
//! A local task per connection, on a thread and runtime of its own or, in virtual time, on those of the
//! whole run. A panic in a connection ends that connection only, and is reported when the thread or the
//! task is joined; a panic anywhere else ends it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

use super::broker::{self, Host as _};
use super::outages::{OutageKind, Stallable};
use super::shared::{Job, Plane, Shared};
use super::{Handle, Listeners, api};
use crate::clock::{Clock, Instant, thread_cpu};
use crate::transport::{Acceptor, Stream};

/// Most MQTT connections; more wait in the backlog. As many as a scenario can have devices: what the
/// descriptors or the memory of a process allow is less.
const MQTT_CONNECTIONS: usize = 10_000_000;
/// Most HTTP connections: each may hold buffers of [`HTTP_HEAD`] and a body.
const HTTP_CONNECTIONS: usize = 1024;
/// Most bytes of a request's head; hyper's buffer grows up to it.
const HTTP_HEAD: usize = 64 * 1024;
/// How long a connection may take for the head of its next request, so also how long it may idle.
/// AWS's own endpoints keep an idle connection about that long.
const HTTP_IDLE: Duration = Duration::from_mins(1);
/// How long connections may take to end when the backend stops.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// Pause after a failed accept: out of descriptors stays so until a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often the thread's CPU time is noted.
const CPU_NOTED: Duration = Duration::from_millis(250);

/// Serves until `stop`; says through `ready` whether it does.
pub(super) fn run(
    listeners: Listeners,
    shared: &Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    stop: &CancellationToken,
    ready: &SyncSender<io::Result<()>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tell(ready, Err(error)),
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        match Acceptors::of(listeners) {
            Ok(acceptors) => {
                tell(ready, Ok(()));
                serve(acceptors, shared, jobs, stop).await;
            }
            Err(error) => tell(ready, Err(error)),
        }
    });
}

/// Where connections come in.
pub(super) struct Acceptors {
    mqtt: Acceptor,
    http: Acceptor,
}

impl Acceptors {
    /// Begins to listen, within a runtime.
    pub fn of(Listeners { mqtt, http }: Listeners) -> io::Result<Self> {
        Ok(Self { mqtt: mqtt.listen()?, http: http.listen()? })
    }
}

/// The starter waits for exactly one word; if it is gone, nobody needs it.
fn tell(ready: &SyncSender<io::Result<()>>, served: io::Result<()>) {
    let _ = ready.try_send(served);
}

/// Serves until `stop`, on the current `LocalSet`.
///
/// # Panics
/// At its end if the task of a connection has.
pub(super) async fn serve(
    Acceptors { mqtt, http }: Acceptors,
    shared: &Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    stop: &CancellationToken,
) {
    let clock = shared.clock();
    // Connections end when the backend stops, or is restarted by plan.
    let era = RefCell::new(stop.child_token());
    let serve_mqtt = |stream, held| {
        let (shared, stop) = (Arc::clone(shared), era.borrow().clone());
        spawn_local(async move {
            let _held: Held = held;
            let stream = Stallable::new(stream, Arc::clone(shared.outages()));
            broker::serve(stream, shared, stop).await;
        });
    };
    let routes = Rc::new(api::router(Handle::new(Arc::clone(shared))));
    let serve_http = |stream, held| {
        let (routes, stop, outages) =
            (Rc::clone(&routes), era.borrow().clone(), Arc::clone(shared.outages()));
        spawn_local(async move {
            let _held: Held = held;
            let stream = Stallable::new(stream, outages);
            serve_http(stream, &routes, clock, stop).await;
        });
    };
    tokio::join!(
        accept(mqtt, Plane::Mqtt, shared, stop, serve_mqtt),
        accept(http, Plane::Http, shared, stop, serve_http),
        time_out(shared, stop),
        note_cpu(shared, stop),
        run_jobs(jobs, stop),
        go_through_outages(shared, &era, stop),
    );
    clock.timeout_at(clock.now().plus(STOP_GRACE), shared.all_connections_ended()).await;
    if shared.has_panicked() {
        std::panic::resume_unwind(Box::new("a connection of the backend panicked; its message is above"));
    }
}

/// What a connection holds while it lives: its place among the most there may be.
struct Held {
    shared: Arc<Shared>,
    plane: Plane,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.connection_ends(self.plane, std::thread::panicking());
    }
}

/// Accepts connections, up to the most of their plane at a time, and starts a task for each with `begin`.
async fn accept(
    mut acceptor: Acceptor,
    plane: Plane,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
    begin: impl Fn(Stream, Held),
) {
    let places = Arc::new(Semaphore::new(match plane {
        Plane::Mqtt => MQTT_CONNECTIONS,
        Plane::Http => HTTP_CONNECTIONS,
    }));
    let clock = shared.clock();
    loop {
        let one = async {
            let permit = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((acceptor.accept().await?, permit))
        };
        let accepted = tokio::select! {
            // Stopping comes first, or a flood of connections could outrun it. A restart comes last: nothing
            // is to be known of it as long as there are connections.
            biased;
            () = stop.cancelled() => return,
            accepted = one => Some(accepted),
            _ = shared.outages().restart_begun() => None,
        };
        let restart = shared.outages().next_restart().filter(|restart| restart.from <= clock.now());
        if let Some(restart) = restart {
            // What was accepted just now ends here.
            drop(accepted);
            refuse_until(restart.until, &mut acceptor, shared, stop).await;
            continue;
        }
        let Some(accepted) = accepted else { continue };
        let Ok((stream, permit)) = accepted else {
            shared.count_accept_error();
            clock.timeout_at(clock.now().plus(ACCEPT_PAUSE), stop.cancelled()).await;
            continue;
        };
        shared.connection_begins(plane);
        begin(stream, Held { shared: Arc::clone(shared), plane, _permit: permit });
    }
}

/// Refuses connections until a restart is over.
async fn refuse_until(until: Instant, acceptor: &mut Acceptor, shared: &Shared, stop: &CancellationToken) {
    let clock = shared.clock();
    if acceptor.refuse().is_err() {
        shared.count_accept_error();
    }
    clock.timeout_at(until, stop.cancelled()).await;
    while !stop.is_cancelled() && acceptor.listen_again().is_err() {
        shared.count_accept_error();
        clock.timeout_at(clock.now().plus(ACCEPT_PAUSE), stop.cancelled()).await;
    }
}

/// One HTTP connection, until either side ends it.
async fn serve_http(stream: Stallable<Stream>, routes: &axum::Router, clock: Clock, stop: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_IDLE)
        .max_buf_size(HTTP_HEAD)
        .max_header_size(HTTP_HEAD)
        // The header is the machine's time, which has no place where time is virtual.
        .auto_date_header(!clock.is_virtual());
    let service = TowerToHyperService::new(routes.clone());
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Errors are the peer's: it went away, or spoke no HTTP and was told so.
    tokio::select! {
        // Stopping comes first, or a busy connection could outrun it.
        biased;
        () = stop.cancelled() => {}
        _ = connection.as_mut() => return,
    }
    connection.as_mut().graceful_shutdown();
    clock.timeout_at(clock.now().plus(STOP_GRACE), connection).await;
}

/// Times executions out, sleeping until the soonest can be due.
async fn time_out(shared: &Shared, stop: &CancellationToken) {
    let clock = shared.clock();
    loop {
        if let Some(outage) = shared.outages().at(clock.now()) {
            clock.timeout_at(outage.until, stop.cancelled()).await;
            if stop.is_cancelled() {
                return;
            }
            continue;
        }
        let next = shared.time_out_due();
        let due = async {
            match next {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // In the order of how much depends on it.
            biased;
            () = stop.cancelled() => return,
            () = shared.timer_woken() => {}
            () = due => {}
        }
    }
}

/// Ends connections when a restart begins, and wakes those that wait when a stall is over.
async fn go_through_outages(shared: &Shared, era: &RefCell<CancellationToken>, stop: &CancellationToken) {
    let (clock, outages) = (shared.clock(), shared.outages());
    let all = async {
        for number in 0.. {
            let outage = outages.number_begun(number).await;
            if outage.kind == OutageKind::Restart {
                era.replace(stop.child_token()).cancel();
            }
            clock.sleep_until(outage.until).await;
            outages.wake_all();
        }
    };
    tokio::select! {
        biased; // A backend that stops goes through nothing any more.
        () = stop.cancelled() => {}
        () = all => {}
    }
}

/// Notes how much CPU time the thread has used: only the thread itself can ask. In virtual time it has
/// no meaning, and asking would only cost.
async fn note_cpu(shared: &Shared, stop: &CancellationToken) {
    let clock = shared.clock();
    if clock.is_virtual() {
        return;
    }
    loop {
        shared.set_cpu(thread_cpu());
        if clock.timeout_at(clock.now().plus(CPU_NOTED), stop.cancelled()).await.is_some() {
            shared.set_cpu(thread_cpu());
            return;
        }
    }
}

async fn run_jobs(mut jobs: mpsc::Receiver<Job>, stop: &CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            job = jobs.recv() => match job {
                Some(job) => job(),
                None => return,
            },
        }
    }
}
