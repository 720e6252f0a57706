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

use crate::report::RunResult;

use super::Shared;
use super::frame::last_event;

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

/// A browser's place.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let place = Self(Arc::clone(shared));
        (shared.browsers.fetch_add(1, Ordering::Relaxed) < MOST_BROWSERS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.browsers.fetch_sub(1, Ordering::Relaxed);
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
async fn follow(place: Place, mut seen: Option<u64>, mut sender: Sender<Bytes>) {
    let shared = &place.0;
    let (mut snapshots, mut over) = (shared.snapshots.clone(), shared.over.subscribe());
    snapshots.mark_changed();
    if !send(shared, &mut sender, Bytes::from_static(b"retry: 1000\n\n")).await {
        return;
    }
    loop {
        let until = shared.clock.now().plus(QUIET);
        let event = tokio::select! {
            biased; // The end says all that a picture would.
            result = end_of(&mut over) => return finish(shared, &mut sender, result).await,
            changed = shared.clock.timeout_at(until, snapshots.changed()) => match changed {
                None => Bytes::from_static(b":\n\n"),
                // No more snapshots: the result comes next.
                Some(Err(_)) => {
                    let result = end_of(&mut over).await;
                    return finish(shared, &mut sender, result).await;
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
        if !send(shared, &mut sender, event).await {
            return;
        }
    }
}

/// The run's result, once it is over; `None` if the page ends without.
async fn end_of(over: &mut watch::Receiver<Option<Arc<RunResult>>>) -> Option<Arc<RunResult>> {
    over.wait_for(Option::is_some).await.ok()?.clone()
}

async fn finish(shared: &Shared, sender: &mut Sender<Bytes>, result: Option<Arc<RunResult>>) {
    if let Some(result) = result {
        send(shared, sender, last_event(&result)).await;
    }
}

/// Whether there was room in time; a browser without is let go and counted.
async fn send(shared: &Shared, sender: &mut Sender<Bytes>, event: Bytes) -> bool {
    let until = shared.clock.now().plus(shared.patience);
    let sent = shared.clock.timeout_at(until, sender.send_data(event)).await;
    if sent.is_none() {
        shared.slow.fetch_add(1, Ordering::Relaxed);
    }
    sent.is_some_and(|sent| sent.is_ok())
}
