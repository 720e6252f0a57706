//! `POST /api/{pause,resume,rate,stop}`: only if the run allows it, and only to those who know its token. Of nobody
//! else is a body read: whoever sends one slowly would keep one of few connections.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;

use super::{Permission, Shared, json};
use crate::control::Stop;

/// More than any request needs.
const MOST_BYTES: usize = 1024;

/// How fast the load is to be played: one of the two.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rate {
    /// Of the plan's speed.
    percent: Option<u32>,
    /// Steps of ten percent up, or down.
    steps: Option<i32>,
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/api/{what}", post(ask))
}

async fn ask(
    State(shared): State<Arc<Shared>>,
    Path(what): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(permission) = &shared.permission else {
        return refused(StatusCode::NOT_FOUND, "start the run with --web-control to steer it from here");
    };
    if !knows_token(&headers, permission) {
        return refused(StatusCode::UNAUTHORIZED, "the token that the run has printed is missing or wrong");
    }
    let until = shared.clock.now().plus(shared.patience);
    let body = match shared.clock.timeout_at(until, to_bytes(body, MOST_BYTES)).await {
        Some(Ok(body)) => body,
        Some(Err(_)) => return refused(StatusCode::PAYLOAD_TOO_LARGE, "no request needs so many words"),
        None => return refused(StatusCode::REQUEST_TIMEOUT, "the request did not come to its end in time"),
    };
    let control = &permission.control;
    let tempo = match what.as_str() {
        "pause" => control.pause(),
        "resume" => control.resume(),
        "rate" => match serde_json::from_slice(&body) {
            Ok(Rate { percent: Some(percent), steps: None }) => control.set_rate(percent),
            Ok(Rate { percent: None, steps: Some(steps) }) => control.change_rate(steps),
            _ => {
                return refused(
                    StatusCode::BAD_REQUEST,
                    "say {\"percent\": 110} of the plan's speed, or {\"steps\": 1} of ten percent",
                );
            }
        },
        "stop" => {
            control.request_stop();
            control.tempo()
        }
        _ => return refused(StatusCode::NOT_FOUND, "pause, resume, rate and stop are all there is"),
    };
    let stop = match control.stop() {
        Stop::No => "no",
        Stop::Drain => "drain",
        Stop::Now => "now",
    };
    json(&serde_json::json!({
        "asked": tempo.to_string(),
        "paused": tempo.paused,
        "rate_percent": tempo.rate_percent,
        "stop": stop,
    }))
}

fn refused(status: StatusCode, text: &'static str) -> Response {
    (status, format!("{text}\n")).into_response()
}

fn knows_token(headers: &HeaderMap, permission: &Permission) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().as_bytes();
    let known = permission.token.as_bytes();
    // Every byte is looked at, so that time does not tell how many were right.
    let differences = given.iter().zip(known).fold(0, |sum, (given, known)| sum | (given ^ known));
    given.len() == known.len() && !known.is_empty() && differences == 0
}
