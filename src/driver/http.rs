//! The Commands API over one kept-alive HTTP/1.1 connection, as an AWS SDK speaks it.
//!
//! Requests carry the SigV4 credential scope, which is how the service tells StartCommandExecution
//! (`iot-jobs-data`) from ListCommandExecutions (`iot`) on one path. The embedded backend checks no
//! signature, so it gets none: that would measure hashing. A target with `credentials` gets requests
//! signed by AWS's own crate ([`authorization`]).

mod authorization;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::{Clock, Instant};
use crate::ledger::Record;
use crate::protocol::{
    self, CommandArn, CreateCommandRequest, CreateCommandResponse, Deletion, ExecutionId,
    GetCommandExecutionResponse, GetCommandResponse, Parameters, Service, StartCommandExecutionRequest,
    StartCommandExecutionResponse, StartNames, TargetName,
};
use crate::scenario::Credentials;
use crate::transport::Address;

use super::api::{CallError, CommandsApi};

pub use authorization::Authorization;

/// The largest answer that is read: a command's payload is at most 32 KB, its template as much.
const MAX_ANSWER: usize = 1024 * 1024;

/// A connection idle for longer is not used again: servers close theirs after 60 s or so, and a start
/// written into a closing connection has no known fate.
const MAX_IDLE_US: u64 = 30_000_000;

/// Where the Commands API is served.
#[derive(Debug, Clone)]
pub struct ApiAddress {
    /// What to connect to.
    pub address: Address,
    /// What the `Host` header says: the name that the user knows it by.
    pub host: String,
    /// What requests are signed with; `None` where nobody checks that.
    pub credentials: Option<Arc<Credentials>>,
}

impl From<Address> for ApiAddress {
    fn from(address: Address) -> Self {
        Self { host: address.to_string(), address, credentials: None }
    }
}

/// One connection, made when it is first needed and again when it was lost.
#[derive(Debug)]
pub struct HttpApi {
    address: Address,
    name: String,
    host: HeaderValue,
    authorization: Authorization,
    connection: Option<SendRequest<Full<Bytes>>>,
    clock: Clock,
    last_used: Instant,
}

impl HttpApi {
    /// A caller of the API at `place`, not connected yet.
    pub fn new(place: &ApiAddress, region: &str, clock: Clock) -> Self {
        Self {
            host: HeaderValue::try_from(&place.host)
                .expect("the scenario check lets only plain hosts through"),
            address: place.address.clone(),
            name: place.host.clone(),
            authorization: Authorization::new(place.credentials.as_deref(), region, clock),
            connection: None,
            clock,
            last_used: Instant::START,
        }
    }

    fn unreachable(&self, cause: &dyn std::fmt::Display) -> CallError {
        CallError::Unreachable { address: self.name.clone(), cause: cause.to_string() }
    }

    fn unanswered(&self, cause: &dyn std::fmt::Display) -> CallError {
        CallError::Unanswered { address: self.name.clone(), cause: cause.to_string() }
    }

    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, CallError> {
        let now = self.clock.now();
        if now.micros_since(self.last_used) > MAX_IDLE_US {
            self.connection = None;
        }
        self.last_used = now;
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = None;
            let stream = self.address.connect().await.map_err(|e| self.unreachable(&e))?;
            let (sender, connection) =
                handshake(TokioIo::new(stream)).await.map_err(|e| self.unreachable(&e))?;
            // The connection's end shows in the sender; nobody needs its result.
            tokio::task::spawn_local(async move { connection.await.ok() });
            self.connection = Some(sender);
        }
        self.connection
            .as_mut()
            .ok_or(CallError::Unreachable { address: String::new(), cause: String::new() })
    }

    async fn call<A: DeserializeOwned>(
        &mut self,
        service: Service,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<A, CallError> {
        let (_, answer) = self.exchange(service, method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|e| self.unanswered(&e))
    }

    /// The status and the body of a success.
    async fn exchange(
        &mut self,
        service: Service,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(u16, Bytes), CallError> {
        let body = match body {
            Some(body) => Bytes::from(serde_json::to_vec(body).map_err(|e| self.unreachable(&e))?),
            None => Bytes::new(),
        };
        let mut request = Request::builder().method(method.clone()).uri(path).header(HOST, self.host.clone());
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(Full::new(body.clone())).map_err(|e| self.unreachable(&e))?;
        self.authorization
            .add(service, &method, path, request.headers_mut(), &body)
            .map_err(|e| self.unreachable(&e))?;
        // A cancelled call leaves a half-read answer behind: take the connection, put it back when done.
        self.connected().await?;
        let Some(mut connection) = self.connection.take() else {
            return Err(self.unreachable(&"not connected"));
        };
        let answer = match connection.send_request(request).await {
            Ok(answer) => answer,
            // hyper gives the request back unsent: the server closed an idle connection.
            Err(error) if error.is_canceled() => return Err(self.unreachable(&error)),
            Err(error) => return Err(self.unanswered(&error)),
        };
        let (head, body) = answer.into_parts();
        let body =
            Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| self.unanswered(&e))?.to_bytes();
        self.connection = Some(connection);
        if head.status.is_success() {
            return Ok((head.status.as_u16(), body));
        }
        let kind = head.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let (name, message) = protocol::error_name(head.status.as_u16(), kind, &body);
        Err(CallError::Refused { name, message })
    }
}

impl CommandsApi for HttpApi {
    async fn ready(&mut self) -> Result<(), CallError> {
        self.connected().await.map(|_| ())
    }

    async fn create_command(
        &mut self,
        command_id: &str,
        request: &CreateCommandRequest,
    ) -> Result<CreateCommandResponse, CallError> {
        self.call(Service::Iot, Method::PUT, &format!("/commands/{command_id}"), Some(request)).await
    }

    async fn get_command(&mut self, command_id: &str) -> Result<GetCommandResponse, CallError> {
        self.call(Service::Iot, Method::GET, &format!("/commands/{command_id}"), None::<&()>).await
    }

    async fn delete_command(&mut self, command_id: &str) -> Result<Deletion, CallError> {
        let path = format!("/commands/{command_id}");
        let (status, _) = self.exchange(Service::Iot, Method::DELETE, &path, None::<&()>).await?;
        Ok(Deletion::of_status(status))
    }

    async fn start(
        &mut self,
        names: &StartNames<'_>,
        parameters: Option<&Parameters>,
        token: &ExecutionId,
    ) -> Result<ExecutionId, CallError> {
        let command = CommandArn::new(names.command_region, names.command_account, names.command_id);
        let request = StartCommandExecutionRequest {
            target_arn: names.target.to_string(),
            command_arn: command.to_string(),
            parameters: parameters.cloned(),
            execution_timeout_seconds: Some(names.timeout_seconds.into()),
            client_token: Some(token.to_string()),
        };
        let answer: StartCommandExecutionResponse =
            self.call(Service::JobsData, Method::POST, "/command-executions", Some(&request)).await?;
        // It may have been started; under which id nobody knows.
        answer.execution_id.parse().map_err(|error| self.unanswered(&error))
    }

    async fn read_back(&mut self, id: &ExecutionId, target: &TargetName<'_>) -> Result<Record, CallError> {
        let target = target.to_string().replace('%', "%25").replace(':', "%3A").replace('/', "%2F");
        let path = format!("/command-executions/{id}?targetArn={target}&includeResult=true");
        let answer = self.call(Service::Iot, Method::GET, &path, None::<&()>).await?;
        record(&answer).ok_or_else(|| self.unanswered(&"the record lacks its status or createdAt"))
    }
}

/// `None` when the answer lacks what every record has.
fn record(response: &GetCommandExecutionResponse) -> Option<Record> {
    let created = response.created_at?;
    // The API gives milliseconds as a fraction of seconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded, not negative, at most hours"
    )]
    let millis = |completed: f64| ((completed - created) * 1e3).round().max(0.0) as u64;
    Some(Record {
        status: response.status?,
        reason: response.status_reason.clone(),
        result: response.result.clone(),
        completed_after_us: response.completed_at.map(|completed| millis(completed) * 1000),
        request_withheld: false,
    })
}
