//! The HTTP shapes of what becomes of a command once it is made: deprecated, restored, deleted.

use serde::{Deserialize, Serialize};

use super::{InvalidShape, wire};

/// `PATCH /commands/{commandId}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateCommandRequest {
    /// Another name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Another description for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether new executions are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<bool>,
}

/// The answer to UpdateCommand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateCommandResponse {
    /// Its id.
    pub command_id: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A description for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether new executions are refused.
    pub deprecated: bool,
    /// Epoch seconds, to the millisecond.
    pub last_updated_at: f64,
}

/// What DeleteCommand has done; its answer is nothing but the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The command is gone.
    Done,
    /// It will be in twelve hours.
    Scheduled,
}

impl Deletion {
    /// The HTTP status of the answer.
    pub const fn status(self) -> u16 {
        match self {
            Deletion::Done => 204,
            Deletion::Scheduled => 202,
        }
    }

    /// What an answer with this status says.
    pub const fn of_status(status: u16) -> Self {
        if status == Deletion::Scheduled.status() { Deletion::Scheduled } else { Deletion::Done }
    }
}

impl UpdateCommandRequest {
    /// Reads a request body.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidShape> {
        wire::read_body(body)
    }
}
