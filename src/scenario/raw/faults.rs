//! Faults of the embedded backend, as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::Text;
use super::Delay;
use crate::units::{Rate, Share};

/// What the embedded backend does wrong by plan. Each injected fault is counted, and what comes of it is
/// explained.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// StartCommandExecution.
    pub start: Option<At<CallFaults>>,
    /// GetCommand and GetCommandExecution over HTTP.
    pub get: Option<At<CallFaults>>,
    /// CreateCommand.
    pub create: Option<At<CallFaults>>,
    /// The requests that devices get.
    pub publishes: Option<At<PublishFaults>>,
}

/// Faults of one operation of the API.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallFaults {
    /// Passes before a call is performed or refused; one that is throttled is refused at once. Default 0s.
    pub latency: Option<At<Delay>>,
    /// Shares of the calls that are answered with an error, by its name.
    pub errors: Option<At<CallErrors>>,
    /// More calls than this, and a burst of one second's worth, are answered with ThrottlingException.
    pub rate: Option<At<Text<Rate>>>,
}

/// Shares of the calls that are answered with an error, in total at most 100%.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallErrors {
    /// Too many calls: 429 for starts, 400 for the others.
    #[serde(rename = "ThrottlingException")]
    pub throttling: Option<At<Text<Share>>>,
    /// The service failed: 500.
    #[serde(rename = "InternalServerException")]
    pub internal_server: Option<At<Text<Share>>>,
    /// The request is not valid: 400.
    #[serde(rename = "ValidationException")]
    pub validation: Option<At<Text<Share>>>,
    /// There is no such thing, command or execution: 404.
    #[serde(rename = "ResourceNotFoundException")]
    pub resource_not_found: Option<At<Text<Share>>>,
    /// There is one already: 409.
    #[serde(rename = "ConflictException")]
    pub conflict: Option<At<Text<Share>>>,
    /// A quota is used up: 402.
    #[serde(rename = "ServiceQuotaExceededException")]
    pub service_quota_exceeded: Option<At<Text<Share>>>,
}

/// Faults of the requests that devices get, in total at most 100%.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishFaults {
    /// How many of them are never published. Default 0%.
    pub dropped: Option<At<Text<Share>>>,
    /// Some are published late. Default none.
    pub delayed: Option<At<DelayedPublishes>>,
}

/// Requests that are published late.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayedPublishes {
    /// How many of the requests.
    pub share: At<Text<Share>>,
    /// By how much. One that would go out after its time-out never does.
    pub by: At<Delay>,
}
