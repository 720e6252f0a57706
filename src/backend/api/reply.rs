//! Replies: JSON with a request id, and for errors the type's header.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use serde::Serialize;

use crate::backend::Handle;
use crate::protocol::{ApiError, ErrorKind, ExecutionId, Service};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An error with its status and name.
pub(super) struct Failure {
    status: u16,
    name: &'static str,
    error: ApiError,
}

impl Failure {
    /// The error as that service answers it.
    pub fn of(service: Service, error: ApiError) -> Self {
        Self { status: error.kind.status(service), name: error.kind.name(), error }
    }

    /// What AWS answers to a method and path that are no operation.
    pub fn unknown_operation(method: &Method, path: &str) -> Self {
        let message = format!("{method} {path} is no operation of AWS IoT Commands");
        let error = ApiError::new(ErrorKind::ResourceNotFound, message);
        Self { status: 404, name: "UnknownOperationException", error }
    }
}

/// The JSON body of a success.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| ApiError::new(ErrorKind::InternalServer, error.to_string()))
}

/// The reply to a request, with the next request id.
pub(super) fn respond(handle: &Handle, outcome: Result<Vec<u8>, Failure>) -> Response {
    reply(handle, outcome.map(|body| (200, body)))
}

/// The reply that says everything by its status.
pub(super) fn respond_with_status(handle: &Handle, outcome: Result<u16, Failure>) -> Response {
    reply(handle, outcome.map(|status| (status, Vec::new())))
}

fn reply(handle: &Handle, outcome: Result<(u16, Vec<u8>), Failure>) -> Response {
    let (status, error_type, body) = match outcome {
        Ok((status, body)) => (status_code(status), None, body),
        Err(Failure { status, name, error }) => {
            let mut body = Vec::new();
            error.write_body(&mut body);
            (status_code(status), Some(HeaderValue::from_static(name)), body)
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if let Some(error_type) = error_type {
        headers.insert(ERROR_TYPE, error_type);
    }
    // Request ids are UUIDs, which `ExecutionId` spells.
    let request_id = ExecutionId::from_uuid(handle.shared().next_request_id());
    if let Ok(request_id) = request_id.with_str(HeaderValue::from_str) {
        headers.insert(REQUEST_ID, request_id);
    }
    response
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
