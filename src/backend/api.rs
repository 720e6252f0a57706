//! The HTTP API as boto3 speaks it (restJson1): both services on one port.
//!
//! Here are CreateCommand, GetCommand, UpdateCommand (to deprecate and restore), DeleteCommand,
//! StartCommandExecution and GetCommandExecution.
//! The others are refused by name. Every reply has an `x-amzn-RequestId`; every error an
//! `x-amzn-ErrorType` and `{"message": …}`.

mod reply;
mod service;

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::{MethodRouter, any, delete, get, post, put};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;

use self::reply::{Failure, json, respond, respond_with_status};
use super::broker::Host as _;
use super::{Handle, Operation};
use crate::protocol::{
    ApiError, CreateCommandRequest, Deletion, ErrorKind, InvalidShape, Service, StartCommandExecutionRequest,
    UpdateCommandRequest,
};

/// Largest request body: a payload of 32 KiB in base64 or a template of 32,768 characters, with room
/// for the longest texts and 50 tags.
const MAX_BODY: usize = 256 * 1024;
/// How long a request's body may take: those who send slower hold one of few connections.
const BODY_TIME: Duration = Duration::from_secs(30);

/// All routes.
pub(super) fn router(handle: Handle) -> Router {
    Router::new()
        .route("/commands", get(not_yet("ListCommands")))
        .route(
            "/commands/{id}",
            put(create_command).get(get_command).patch(update_command).delete(delete_command),
        )
        .route("/command-executions", post(start_or_list))
        .route(
            "/command-executions/{id}",
            get(get_command_execution).merge(delete(not_yet("DeleteCommandExecution"))),
        )
        .route("/tags", get(not_yet("ListTagsForResource")).merge(post(not_yet("TagResource"))))
        .route("/untag", post(not_yet("UntagResource")))
        .route("/endpoint", get(not_yet("DescribeEndpoint")))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(handle)
}

/// `PUT /commands/{id}`
async fn create_command(State(handle): State<Handle>, id: PathId, request: Request) -> Response {
    let outcome = async {
        let (id, body) = (path_id(id)?, read_body(&handle, request).await?.1);
        handle.admit(Operation::Create).await?;
        json(&handle.create_command(&id, CreateCommandRequest::from_json(&body)?)?)
    };
    let outcome = outcome.await;
    respond(&handle, outcome.map_err(|error| Failure::of(Service::Iot, error)))
}

/// `GET /commands/{id}`
async fn get_command(State(handle): State<Handle>, id: PathId) -> Response {
    let admitted = handle.admit(Operation::Get).await;
    let outcome = admitted.and_then(|()| json(&handle.get_command(&path_id(id)?)?));
    respond(&handle, outcome.map_err(|error| Failure::of(Service::Iot, error)))
}

/// `PATCH /commands/{id}`
async fn update_command(State(handle): State<Handle>, id: PathId, request: Request) -> Response {
    let outcome = async {
        let (id, body) = (path_id(id)?, read_body(&handle, request).await?.1);
        json(&handle.update_command(&id, &UpdateCommandRequest::from_json(&body)?)?)
    };
    let outcome = outcome.await;
    respond(&handle, outcome.map_err(|error| Failure::of(Service::Iot, error)))
}

/// `DELETE /commands/{id}`: the status is all that it answers.
async fn delete_command(State(handle): State<Handle>, id: PathId) -> Response {
    let outcome = path_id(id).and_then(|id| handle.delete_command(&id));
    let outcome = outcome.map(Deletion::status).map_err(|error| Failure::of(Service::Iot, error));
    respond_with_status(&handle, outcome)
}

/// `POST /command-executions`: StartCommandExecution on `iot-jobs-data`, ListCommandExecutions on
/// `iot`.
async fn start_or_list(State(handle): State<Handle>, request: Request) -> Response {
    let (parts, body) = match read_body(&handle, request).await {
        Ok(read) => read,
        Err(error) => return respond(&handle, Err(Failure::of(Service::Iot, error))),
    };
    let service = service::of_executions(&parts, &body);
    let outcome = match service {
        Service::JobsData => {
            let admitted = handle.admit(Operation::Start).await;
            admitted
                .and_then(|()| Ok(StartCommandExecutionRequest::from_json(&body)?))
                .and_then(|start| json(&handle.start_command_execution(&start)?))
        }
        Service::Iot => Err(InvalidShape::NotYet { feature: "ListCommandExecutions" }.into()),
    };
    respond(&handle, outcome.map_err(|error| Failure::of(service, error)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecutionQuery {
    target_arn: Option<String>,
    include_result: Option<String>,
}

/// `GET /command-executions/{id}?targetArn=…&includeResult=…`
async fn get_command_execution(
    State(handle): State<Handle>,
    id: PathId,
    query: Result<Query<ExecutionQuery>, QueryRejection>,
) -> Response {
    let admitted = handle.admit(Operation::Get).await;
    let outcome = admitted.and_then(|()| {
        let id = path_id(id)?;
        let Query(query) = query.map_err(|rejection| invalid(&rejection.body_text()))?;
        let target_arn = query.target_arn.ok_or(InvalidShape::Missing { member: "targetArn" })?;
        let include_result = match query.include_result.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(invalid(&format!("includeResult is \"{other}\", expected true or false")));
            }
        };
        json(&handle.get_command_execution(&id, &target_arn, include_result)?)
    });
    respond(&handle, outcome.map_err(|error| Failure::of(Service::Iot, error)))
}

/// An operation of the service that comes later, refused by its name.
fn not_yet(operation: &'static str) -> MethodRouter<Handle> {
    any(async move |State(handle): State<Handle>| {
        let error = ApiError::from(InvalidShape::NotYet { feature: operation });
        respond(&handle, Err(Failure::of(Service::Iot, error)))
    })
}

/// No operation at all.
async fn unknown(State(handle): State<Handle>, method: Method, uri: Uri) -> Response {
    respond(&handle, Err(Failure::unknown_operation(&method, uri.path())))
}

type PathId = Result<Path<String>, PathRejection>;

fn path_id(id: PathId) -> Result<String, ApiError> {
    id.map(|Path(id)| id).map_err(|rejection| invalid(&rejection.body_text()))
}

/// The whole body, bounded in size and time, and the rest of the request.
async fn read_body(
    handle: &Handle,
    request: Request,
) -> Result<(axum::http::request::Parts, Bytes), ApiError> {
    let (parts, body) = request.into_parts();
    let clock = handle.shared().clock();
    let body = Limited::new(body, MAX_BODY).collect();
    match clock.timeout_at(clock.now().plus(BODY_TIME), body).await {
        Some(Ok(body)) => Ok((parts, body.to_bytes())),
        Some(Err(error)) if error.is::<LengthLimitError>() => {
            Err(invalid(&format!("request body is longer than {MAX_BODY} bytes")))
        }
        Some(Err(error)) => Err(invalid(&format!("request body: {error}"))),
        None => Err(invalid("request body did not arrive in time")),
    }
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(ErrorKind::Validation, message)
}
