//! The live page: the report of a run that goes on, drawn anew every second.
//!
//! `GET /` is the page with all that is known; `GET /events` what has come since, as server-sent events. A
//! browser that was away says which second it saw last and is sent everything from there: the seconds of a day
//! are in the snapshot, so there is no history to keep. Each browser has one update under way; who takes it too
//! slowly is let go, and asks again when it can. Nothing is made before somebody asks.

mod control;
mod events;
mod frame;
mod guard;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::control::Control;
use crate::report::{self, Charts, Live, RunResult, Running, Sections, Standing, Timings};
use crate::stats::Snapshot;

use super::Server;
use frame::Frame;

/// How long a page waits for the first snapshot of a run that has just begun.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// How long a browser may take to make room for an update, or to send what it asks for: most need no millisecond.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the end of a run waits for browsers to take its report: they need milliseconds, and one that hangs may
/// not hold the run.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// What people may do to the run from the page.
#[derive(Clone)]
pub struct Permission {
    /// The run's switchboard.
    pub control: Control,
    /// Whoever knows it may.
    pub token: String,
}

/// The page of one run; it is gone when this is dropped.
pub struct Page {
    server: Server,
    shared: Arc<Shared>,
}

/// What every request reads.
struct Shared {
    running: Running,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The result, once the run is over.
    over: watch::Sender<Option<Arc<Over>>>,
    permission: Option<Permission>,
    clock: Clock,
    /// How long a browser may take to make room for an update, or to send what it asks for.
    patience: Duration,
    /// Made of the newest snapshot that anybody asked for.
    frame: Mutex<Option<Arc<Frame>>>,
    /// Browsers that are sent events.
    browsers: Mutex<usize>,
    /// One of them has gone.
    gone: Condvar,
    /// Browsers that were let go because they took an update too slowly.
    slow: AtomicUsize,
    /// Browsers that wanted the report and did not get it.
    missed: AtomicUsize,
}

/// The end of a run.
struct Over {
    result: RunResult,
    /// The event that says it, made once for all browsers.
    event: OnceLock<Bytes>,
}

impl Over {
    fn event(&self) -> Bytes {
        self.event.get_or_init(|| frame::last_event(&self.result)).clone()
    }
}

/// Browsers that did not see everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unserved {
    /// How often one was let go because it took an update too slowly.
    pub slow: usize,
    /// How many did not get the report.
    pub missed: usize,
}

impl Page {
    /// Serves the page at `address` (port 0: a free one), and `more` routes with it.
    ///
    /// # Errors
    /// The address cannot be listened on, or the system gives no thread.
    pub fn start(
        address: SocketAddr,
        running: Running,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        permission: Option<Permission>,
        more: Router,
    ) -> io::Result<Self> {
        Self::start_with(address, running, snapshots, permission, more, PATIENCE)
    }

    fn start_with(
        address: SocketAddr,
        running: Running,
        snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
        permission: Option<Permission>,
        more: Router,
        patience: Duration,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            running,
            snapshots,
            over: watch::channel(None).0,
            permission,
            clock: Clock::start(),
            patience,
            frame: Mutex::default(),
            browsers: Mutex::new(0),
            gone: Condvar::new(),
            slow: AtomicUsize::new(0),
            missed: AtomicUsize::new(0),
        });
        let routes = routes(Arc::clone(&shared)).merge(more);
        let server = Server::start(address, guard::guarded(routes, address.ip()))?;
        Ok(Self { server, shared })
    }

    /// Where it is: `http://127.0.0.1:40123/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.server.address())
    }

    /// The run is over: every browser gets its report, and then the page is gone.
    pub fn finish(self, result: RunResult) -> Unserved {
        let over = Over { result, event: OnceLock::new() };
        if *self.shared.browsers.lock() > 0 {
            // Here, and not on the thread that has them all to serve.
            over.event();
        }
        self.shared.over.send_replace(Some(Arc::new(over)));
        let mut browsers = self.shared.browsers.lock();
        self.shared.gone.wait_while_for(&mut browsers, |browsers| *browsers > 0, END_PATIENCE);
        drop(browsers);
        // Ends the thread, after it has written what is under way.
        drop(self.server);
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        Unserved { slow: count(&self.shared.slow), missed: count(&self.shared.missed) }
    }
}

impl Shared {
    /// How the run stands; `None` if there is no snapshot yet.
    fn standing(&self) -> Option<Standing> {
        let snapshot = self.snapshots.borrow().clone()?;
        Some(self.running.at(snapshot))
    }

    /// The newest picture, made once for all who look at it.
    fn frame(&self) -> Option<Arc<Frame>> {
        let snapshot = self.snapshots.borrow().clone()?;
        let mut frame = self.frame.lock();
        if let Some(made) = frame.as_ref().filter(|made| made.is_of(&snapshot)) {
            return Some(Arc::clone(made));
        }
        let made = Arc::new(Frame::of(self.running.at(snapshot)));
        *frame = Some(Arc::clone(&made));
        Some(made)
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/events", get(events::events))
        .route("/api/snapshot", get(snapshot))
        .route("/healthz", get(health))
        .merge(control::routes())
        .with_state(shared)
}

/// `GET /`
async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let over = shared.over.borrow().clone();
    if let Some(over) = over {
        return html(report::html(&over.result));
    }
    let mut snapshots = shared.snapshots.clone();
    let until = shared.clock.now().plus(FIRST_PATIENCE);
    // Whatever ends the waiting, what is there is looked at.
    shared.clock.timeout_at(until, async { snapshots.wait_for(Option::is_some).await.is_ok() }).await;
    let Some(standing) = shared.standing() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the run has not begun; load the page again\n")
            .into_response();
    };
    let timings = Timings::of_snapshot(standing.snapshot());
    let result = &standing.result;
    let series = frame::series(&standing, 0);
    let charts = Charts::with(result, &timings, series);
    let live = Live { control: shared.permission.is_some() };
    html(report::page(result, &Sections::of(result, &timings), &charts, Some(live)))
}

fn html(text: String) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    (headers, Html(text)).into_response()
}

/// `GET /api/snapshot`: the tree of `result.json` as far as it is known, with the newest second alone.
async fn snapshot(State(shared): State<Arc<Shared>>) -> Response {
    let over = shared.over.borrow().clone();
    match (over, shared.standing()) {
        (Some(over), _) => json(&over.result),
        (None, Some(standing)) => json(&standing.in_full()),
        (None, None) => (StatusCode::SERVICE_UNAVAILABLE, "the run has not begun\n").into_response(),
    }
}

/// `GET /healthz`
async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let browsers = *shared.browsers.lock();
    let running = shared.over.borrow().is_none();
    json(&serde_json::json!({
        "ok": true,
        "running": running,
        "browsers": browsers,
        "slow_browsers": shared.slow.load(Ordering::Relaxed),
    }))
}

fn json(value: &impl serde::Serialize) -> Response {
    let text = serde_json::to_string(value).expect("maps have text keys and numbers are finite");
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests;
