//! How executions are started, as it is written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::decode::At;
use super::super::written::Text;

/// How executions are started.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Driver {
    /// http through the Commands API as an SDK does, direct by calls on the embedded backend within the
    /// program. Default http.
    pub via: Option<At<Via>>,
    /// Connections to the Commands API, dealt out over the generator threads. Default 64. With via direct
    /// there are none.
    #[schemars(range(min = 1, max = 1024))]
    pub connections: Option<At<u64>>,
    /// How long a start may wait for a connection, and then for its answer. Default 10s.
    pub timeout: Option<At<Text<Duration>>>,
    /// How often a start is sent again that the service refused because it is busy or has failed
    /// (throttling, 5xx), after a growing wait and under the same token. Default 0.
    #[schemars(range(min = 0, max = 100))]
    pub retries: Option<At<u64>>,
}

/// The way of a start to the backend.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Through the Commands API.
    Http,
    /// By calls within the program.
    Direct,
}
