//! `GET /events`: a picture for each snapshot, for as long as the browser takes them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use tokio::sync::watch;

use super::{Over, Shared};

/// Browsers at a time: fewer than the server has places, so that one is left for whoever wants to stop the run.
const MOST_BROWSERS: usize = 40;
/// Updates under way to a browser: while one is written, the next is made of what is newest then.
const UNDER_WAY: usize = 1;
/// A line that says nothing, where snapshots are far apart: a lost connection shows when it is written to.
const QUIET: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The newest second that the page came with.
    from: Option<String>,
}

/// A line that says nothing.
const NOTHING: &[u8] = b":\n\n";

/// A browser's place.
pub(super) struct Place {
    shared: Arc<Shared>,
    /// It has the report, or wants none any more.
    settled: bool,
}

impl Place {
    pub(super) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let mut browsers = shared.browsers.lock();
        if *browsers >= MOST_BROWSERS {
            return None;
        }
        *browsers += 1;
        Some(Self { shared: Arc::clone(shared), settled: false })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.settled && self.shared.over.borrow().is_some() {
            self.shared.missed.fetch_add(1, Ordering::Relaxed);
        }
        *self.shared.browsers.lock() -= 1;
        self.shared.gone.notify_all();
    }
}

pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let Some(place) = Place::take(&shared) else {
        let text = format!("{MOST_BROWSERS} browsers look at this run already\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    // After a lost connection the browser says by itself what it has; what it asked with is older.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok().map(str::to_owned));
    let seen = last.or(asked.from).and_then(|second| second.parse().ok());
    let (sender, body) = Channel::<Bytes>::new(UNDER_WAY);
    tokio::spawn(follow(place, seen, sender));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::new(body)).into_response()
}

/// Sends what comes until the run or the browser ends.
async fn follow(mut place: Place, mut seen: Option<u64>, mut sender: Sender<Bytes>) {
    let shared = Arc::clone(&place.shared);
    let (mut snapshots, mut over) = (shared.snapshots.clone(), shared.over.subscribe());
    snapshots.mark_changed();
    if send(&shared, &mut sender, Bytes::from_static(b"retry: 1000\n\n")).await.is_err() {
        return;
    }
    loop {
        let until = shared.clock.now().plus(QUIET);
        let event = tokio::select! {
            biased; // The end says all that a picture would.
            over = end_of(&mut over) => return finish(&mut place, &mut sender, over).await,
            changed = shared.clock.timeout_at(until, snapshots.changed()) => match changed {
                None => Bytes::from_static(NOTHING),
                // No more snapshots: the result comes next.
                Some(Err(_)) => {
                    let over = end_of(&mut over).await;
                    return finish(&mut place, &mut sender, over).await;
                }
                Some(Ok(())) => {
                    snapshots.mark_unchanged();
                    let Some(frame) = shared.frame() else { continue };
                    let event = frame.event(seen);
                    seen = Some(frame.newest());
                    event
                }
            },
        };
        if send(&shared, &mut sender, event).await.is_err() {
            return;
        }
    }
}

/// The end of the run, once it is there; `None` if the page ends without.
async fn end_of(over: &mut watch::Receiver<Option<Arc<Over>>>) -> Option<Arc<Over>> {
    over.wait_for(Option::is_some).await.ok()?.clone()
}

async fn finish(place: &mut Place, sender: &mut Sender<Bytes>, over: Option<Arc<Over>>) {
    let Some(over) = over else { return };
    // Room for what comes behind it means that it is on its way.
    for event in [over.event(), Bytes::from_static(NOTHING), Bytes::from_static(NOTHING)] {
        if let Err(lost) = send(&place.shared, sender, event).await {
            place.settled = lost == Lost::Gone;
            return;
        }
    }
    place.settled = true;
}

/// Why a browser is sent no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It closed the connection.
    Gone,
    /// It made no room in time.
    Slow,
}

/// Waits for room, but only so long; a browser without is let go and counted.
async fn send(shared: &Shared, sender: &mut Sender<Bytes>, event: Bytes) -> Result<(), Lost> {
    let until = shared.clock.now().plus(shared.patience);
    let Some(sent) = shared.clock.timeout_at(until, sender.send_data(event)).await else {
        shared.slow.fetch_add(1, Ordering::Relaxed);
        return Err(Lost::Slow);
    };
    sent.map_err(|_| Lost::Gone)
}
