//! UpdateCommandExecution: what a device reports, and how it is answered, in JSON and in CBOR.
//!
//! Result keys are lower case on this side (`s`, `b`, `bin`) and upper case over HTTP. Upper case is
//! taken from devices, too. Members that nobody knows are ignored: AWS's own samples send some.

mod result;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use result::ResultValue;
use result::{DeviceResult, WireResult};

use super::wire::{self, Object, Text};
use super::{ExecutionId, Item, Status, cbor, text};

/// Why an execution has its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReason {
    /// 1 to 64 characters of `[A-Z0-9_-]`; the cloud's own begin with `$`.
    #[serde(rename = "reasonCode")]
    pub code: String,
    /// Up to 1024 characters, none of them control characters.
    #[serde(rename = "reasonDescription", default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl StatusReason {
    /// The reason of the cloud's own time-out; no device can forge it.
    pub const NO_RESPONSE: &'static str = "$NO_RESPONSE_FROM_DEVICE";
}

/// What a device reports about an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The new status, never CREATED.
    pub status: Status,
    /// Why.
    pub reason: Option<StatusReason>,
    /// Results by name; at least one if there are any.
    pub result: Option<BTreeMap<String, ResultValue>>,
    /// Comes back in the reply.
    pub client_token: Option<String>,
}

impl Update {
    /// An update that says nothing but the status.
    pub const fn bare(status: Status) -> Self {
        Self { status, reason: None, result: None, client_token: None }
    }

    /// Appends the update to `out`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire<'a> {
            status: Status,
            #[serde(skip_serializing_if = "Option::is_none")]
            status_reason: Option<&'a StatusReason>,
            #[serde(skip_serializing_if = "Option::is_none")]
            result: Option<DeviceResult<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            client_token: Option<&'a str>,
        }
        if self.reason.is_none() && self.result.is_none() && self.client_token.is_none() {
            for part in [b"{\"status\":\"", self.status.name().as_bytes(), b"\"}"] {
                out.extend_from_slice(part);
            }
            return;
        }
        let result = self.result.as_ref().map(DeviceResult);
        let client_token = self.client_token.as_deref();
        wire::write(
            out,
            &Wire { status: self.status, status_reason: self.reason.as_ref(), result, client_token },
        );
    }

    /// Appends the update as CBOR to `out`.
    pub fn write_cbor(&self, out: &mut Vec<u8>) {
        let others = [self.reason.is_some(), self.result.is_some(), self.client_token.is_some()];
        cbor::write_map_head(out, 1 + others.iter().filter(|given| **given).count());
        cbor::write_text(out, "status");
        cbor::write_text(out, self.status.name());
        if let Some(StatusReason { code, description }) = &self.reason {
            cbor::write_text(out, "statusReason");
            let mut entries = vec![("reasonCode", code.as_str())];
            entries.extend(description.as_deref().map(|description| ("reasonDescription", description)));
            cbor::write_text_map(out, &entries);
        }
        if let Some(result) = &self.result {
            cbor::write_text(out, "result");
            result::write_cbor(out, result);
        }
        if let Some(token) = &self.client_token {
            cbor::write_text(out, "clientToken");
            cbor::write_text(out, token);
        }
    }

    /// Reads an update in CBOR, as [`Update::from_json`] does; what is not CBOR is an InvalidRequest, for
    /// there is no code of its own.
    pub fn from_cbor(bytes: &[u8]) -> Result<Update, UpdateError> {
        let item = Item::read(bytes).map_err(|error| UpdateError::request(error.to_string(), None))?;
        match Object::<WireUpdate<'_>>::deserialize(item.clone()) {
            Ok(Object(wire)) => wire.check(),
            Err(error) => Err(UpdateError::request(error.to_string(), item.text_of("clientToken"))),
        }
    }

    /// Reads an update, checking all that the model says about its content.
    ///
    /// # Errors
    /// InvalidJson for what is not JSON in UTF-8, InvalidRequest for everything else; with the client
    /// token wherever it can be read.
    pub fn from_json(bytes: &[u8]) -> Result<Update, UpdateError> {
        let document = std::str::from_utf8(bytes).map_err(|error| UpdateError::json(&error))?;
        match serde_json::from_str::<Object<WireUpdate<'_>>>(document) {
            Ok(Object(wire)) => wire.check(),
            Err(error) => Err(UpdateError::of_document(document, &error)),
        }
    }
}

/// An update as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUpdate<'a> {
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    status_reason: Option<Object<WireReason<'a>>>,
    #[serde(borrow)]
    result: Option<WireResult<'a>>,
    #[serde(borrow)]
    client_token: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReason<'a> {
    #[serde(borrow)]
    reason_code: Option<Text<'a>>,
    #[serde(borrow)]
    reason_description: Option<Text<'a>>,
}

impl WireUpdate<'_> {
    fn check(mut self) -> Result<Update, UpdateError> {
        let client_token = self.client_token.take().map(|token| token.0.into_owned());
        match self.content() {
            Ok(update) => Ok(Update { client_token, ..update }),
            Err(message) => Err(UpdateError::request(message, client_token)),
        }
    }

    /// Everything but the token.
    fn content(self) -> Result<Update, &'static str> {
        let status = self.status.ok_or("status is missing")?.0;
        let status = Status::from_name(&status)
            .filter(|status| *status != Status::Created)
            .ok_or("status must be one of IN_PROGRESS, SUCCEEDED, FAILED, REJECTED, TIMED_OUT")?;
        let reason = self.status_reason.map(|reason| reason.0.check()).transpose()?;
        let result = self.result.map(WireResult::check).transpose()?;
        Ok(Update { status, reason, result, client_token: None })
    }
}

impl WireReason<'_> {
    fn check(self) -> Result<StatusReason, &'static str> {
        let code = self.reason_code.ok_or("statusReason.reasonCode is missing")?.0;
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if !matches!(code.len(), 1..=64) || !code.bytes().all(allowed) {
            return Err("statusReason.reasonCode must be 1 to 64 characters of A-Z, 0-9, _ and -");
        }
        let description = self.reason_description.map(|description| description.0);
        if let Some(description) = &description
            && (description.chars().count() > 1024 || !text::is_printable(description))
        {
            return Err(
                "statusReason.reasonDescription must be at most 1024 characters without control characters",
            );
        }
        Ok(StatusReason { code: code.into_owned(), description: description.map(Into::into) })
    }
}

/// The errors an update is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpdateErrorCode {
    /// The transition is not allowed.
    InvalidStateTransition,
    /// The execution has ended.
    TerminalStateReached,
    /// No such execution for that topic's device.
    ResourceNotFound,
    /// Concurrent updates; may be retried.
    DataConflict,
    /// The server's fault; may be retried.
    InternalError,
    /// The content is invalid.
    InvalidRequest,
    /// Not JSON in UTF-8.
    InvalidJson,
    /// The topic maps to no operation.
    InvalidTopic,
    /// Too many updates.
    RequestThrottled,
    /// Left over from Jobs; no version exists here.
    VersionMismatch,
}

impl UpdateErrorCode {
    /// Every code.
    pub const ALL: [UpdateErrorCode; 10] = [
        UpdateErrorCode::InvalidStateTransition,
        UpdateErrorCode::TerminalStateReached,
        UpdateErrorCode::ResourceNotFound,
        UpdateErrorCode::DataConflict,
        UpdateErrorCode::InternalError,
        UpdateErrorCode::InvalidRequest,
        UpdateErrorCode::InvalidJson,
        UpdateErrorCode::InvalidTopic,
        UpdateErrorCode::RequestThrottled,
        UpdateErrorCode::VersionMismatch,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            UpdateErrorCode::InvalidStateTransition => "InvalidStateTransition",
            UpdateErrorCode::TerminalStateReached => "TerminalStateReached",
            UpdateErrorCode::ResourceNotFound => "ResourceNotFound",
            UpdateErrorCode::DataConflict => "DataConflict",
            UpdateErrorCode::InternalError => "InternalError",
            UpdateErrorCode::InvalidRequest => "InvalidRequest",
            UpdateErrorCode::InvalidJson => "InvalidJson",
            UpdateErrorCode::InvalidTopic => "InvalidTopic",
            UpdateErrorCode::RequestThrottled => "RequestThrottled",
            UpdateErrorCode::VersionMismatch => "VersionMismatch",
        }
    }

    /// The code of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

impl fmt::Display for UpdateErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An update that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct UpdateError {
    /// What it is answered with.
    pub code: UpdateErrorCode,
    /// What is wrong, for people.
    pub message: String,
    /// The update's token, if it could be read.
    pub client_token: Option<String>,
}

impl UpdateError {
    fn json(problem: &dyn fmt::Display) -> Self {
        Self {
            code: UpdateErrorCode::InvalidJson,
            message: format!("not JSON: {problem}"),
            client_token: None,
        }
    }

    fn request(message: impl Into<String>, client_token: Option<String>) -> Self {
        Self { code: UpdateErrorCode::InvalidRequest, message: message.into(), client_token }
    }

    /// The error of a document that does not fit. serde reports the first mismatch, so whether the
    /// rest is JSON at all, and the token, take a second look.
    fn of_document(document: &str, error: &serde_json::Error) -> Self {
        match serde_json::from_str::<serde_json::Value>(document) {
            Ok(value) => {
                let token = value.get("clientToken").and_then(serde_json::Value::as_str).map(str::to_owned);
                Self::request(error.to_string(), token)
            }
            Err(syntax) => Self::json(&syntax),
        }
    }
}

/// A reply that is not what the service sends.
#[derive(Debug, thiserror::Error)]
#[error("not a reply to an update: {0}")]
pub struct InvalidReply(String);

impl InvalidReply {
    fn new(problem: impl fmt::Display) -> Self {
        Self(problem.to_string())
    }
}

/// Reads a reply in CBOR.
fn reply_from_cbor<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, InvalidReply> {
    let item = Item::read(bytes).map_err(InvalidReply::new)?;
    Ok(Object::deserialize(item).map_err(InvalidReply::new)?.0)
}

/// The reply to an update that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The update's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

impl Accepted {
    /// Appends the reply to `out`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        wire::write(out, self);
    }

    /// Appends the reply as CBOR to `out`.
    pub fn write_cbor(&self, out: &mut Vec<u8>) {
        let id = self.execution_id.to_string();
        let mut entries = vec![("executionId", id.as_str())];
        entries.extend(self.client_token.as_deref().map(|token| ("clientToken", token)));
        cbor::write_text_map(out, &entries);
    }

    /// Reads a reply in CBOR.
    pub fn from_cbor(bytes: &[u8]) -> Result<Accepted, InvalidReply> {
        reply_from_cbor(bytes)
    }

    /// Reads a reply.
    pub fn from_json(bytes: &[u8]) -> Result<Accepted, InvalidReply> {
        Ok(serde_json::from_slice::<Object<Accepted>>(bytes).map_err(InvalidReply::new)?.0)
    }
}

/// The reply to an update that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The name of an [`UpdateErrorCode`], or one that is new.
    pub error: String,
    /// What is wrong, for people.
    #[serde(rename = "errorMessage", default)]
    pub message: String,
    /// The execution, where the topic names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<ExecutionId>,
    /// The update's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

impl Rejected {
    /// Appends the reply to `out`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        wire::write(out, self);
    }

    /// Appends the reply as CBOR to `out`.
    pub fn write_cbor(&self, out: &mut Vec<u8>) {
        let id = self.execution_id.as_ref().map(ToString::to_string);
        let mut entries = vec![("error", self.error.as_str()), ("errorMessage", self.message.as_str())];
        entries.extend(id.as_deref().map(|id| ("executionId", id)));
        entries.extend(self.client_token.as_deref().map(|token| ("clientToken", token)));
        cbor::write_text_map(out, &entries);
    }

    /// Reads a reply in CBOR.
    pub fn from_cbor(bytes: &[u8]) -> Result<Rejected, InvalidReply> {
        reply_from_cbor(bytes)
    }

    /// Reads a reply.
    pub fn from_json(bytes: &[u8]) -> Result<Rejected, InvalidReply> {
        Ok(serde_json::from_slice::<Object<Rejected>>(bytes).map_err(InvalidReply::new)?.0)
    }
}

#[cfg(test)]
#[path = "update/tests.rs"]
mod tests;
