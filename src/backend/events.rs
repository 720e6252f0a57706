//! Lifecycle events: `$aws/events/commandExecution/<command>/<STATUS>`, for every accepted change.

use serde::{Serialize, Serializer};

use super::executions::Record;
use crate::protocol::{ExecutionId, State, Status, StatusReason, TargetName};

/// The payload of an event. `statusReason` only if there is one; no result, no parameters.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    execution_id: &'a ExecutionId,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<Reason<'a>>,
    #[serde(rename = "eventType")]
    kind: &'static str,
    command_arn: &'a str,
    #[serde(serialize_with = "as_text")]
    target_arn: TargetName<'a>,
    /// Epoch milliseconds, unlike the times of the HTTP side.
    timestamp: u64,
}

/// Here the description is written even if it is empty, as in the developer guide.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reason<'a> {
    reason_code: &'a str,
    reason_description: &'a str,
}

/// Appends the event of `record` having reached `state` at `wall_ms` to `out`.
pub(super) fn write(
    out: &mut Vec<u8>,
    record: &Record,
    (region, account): (&str, &str),
    state: State,
    wall_ms: u64,
) {
    let device_reason = record.reason().map(|reason| Reason {
        reason_code: &reason.code,
        reason_description: reason.description.as_deref().unwrap_or_default(),
    });
    let by_cloud = Reason { reason_code: StatusReason::NO_RESPONSE, reason_description: "" };
    let event = Event {
        execution_id: &record.id,
        status: state.status(),
        // The state decides: when a late update follows a time-out at once, the record has moved on.
        status_reason: if state == State::TimedOutByCloud { Some(by_cloud) } else { device_reason },
        kind: "COMMAND_EXECUTION",
        command_arn: &record.command.arn,
        target_arn: TargetName { region, account, kind: record.kind, name: record.device() },
        timestamp: wall_ms,
    };
    serde_json::to_writer(out, &event).expect("an event has text keys and a Vec takes every byte");
}

fn as_text<S: Serializer>(target: &TargetName<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(target)
}
