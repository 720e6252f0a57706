//! One execution as it is remembered. There may be two million, so what most do not have is boxed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Command, Start};
use crate::clock::Instant;
use crate::protocol::{
    CompactText, ExecutionId, GetCommandExecutionResponse, ParameterValue, ResultValue, State, Status,
    StatusReason, TargetKind, TargetName, Update,
};
use crate::units::MICROS_PER_SECOND;

/// How long AWS keeps an execution: six months, taken as 180 days. This store forgets by number.
const TIME_TO_LIVE_SECONDS: f64 = 180.0 * 86_400.0;

/// One execution.
#[derive(Debug)]
pub(in crate::backend) struct Record {
    pub id: ExecutionId,
    pub token: Option<CompactText>,
    pub command: Arc<Command>,
    device: Box<str>,
    details: Option<Box<Details>>,
    created_at: Instant,
    updated_at: Instant,
    pub timeout_seconds: u32,
    pub kind: TargetKind,
    pub state: State,
    /// Whether a fault of the scenario has kept its request from its device.
    pub request_withheld: bool,
    /// Whether it stands in the queue of those that may be forgotten.
    pub(super) is_among_ended: bool,
}

/// What few executions have.
#[derive(Debug, Default)]
struct Details {
    reason: Option<StatusReason>,
    result: Option<BTreeMap<String, ResultValue>>,
    parameters: Option<BTreeMap<String, ParameterValue>>,
}

impl Record {
    /// A new execution, made at `now`.
    pub(super) fn new(start: Start<'_>, now: Instant) -> Self {
        let details = start.parameters.map(|parameters| {
            Box::new(Details { parameters: Some(parameters.clone()), ..Details::default() })
        });
        Self {
            id: start.id,
            token: start.token,
            command: start.command,
            device: start.names.target.name.into(),
            details,
            created_at: now,
            updated_at: now,
            timeout_seconds: start.names.timeout_seconds,
            kind: start.names.target.kind,
            state: State::Created,
            request_withheld: false,
            is_among_ended: false,
        }
    }

    /// The thing's name or the client's id.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Whether that is its target.
    pub fn is_for(&self, kind: TargetKind, device: &str) -> bool {
        self.kind == kind && *self.device == *device
    }

    /// When the cloud times it out: the time-out counts from creation, and nothing extends it.
    pub fn deadline(&self) -> Instant {
        self.created_at.plus_micros(u64::from(self.timeout_seconds) * MICROS_PER_SECOND)
    }

    /// Whether its time-out has passed and still means something.
    pub fn is_due(&self, now: Instant) -> bool {
        self.deadline() <= now && self.state.time_out().is_some()
    }

    /// The parameters it was started with.
    pub fn parameters(&self) -> Option<&BTreeMap<String, ParameterValue>> {
        self.details.as_ref()?.parameters.as_ref()
    }

    /// What the device reported.
    pub fn result(&self) -> Option<&BTreeMap<String, ResultValue>> {
        self.details.as_ref()?.result.as_ref()
    }

    /// The device's last reason.
    pub fn reason(&self) -> Option<&StatusReason> {
        self.details.as_ref()?.reason.as_ref()
    }

    /// Takes a device's update: the reason is replaced, even by nothing, so that the cloud's reason
    /// does not survive a late success; a result is kept until there is another.
    pub(super) fn take(&mut self, state: State, update: Update, now: Instant) {
        self.state = state;
        self.updated_at = now;
        if update.reason.is_some() || update.result.is_some() || self.details.is_some() {
            let details = self.details.get_or_insert_default();
            details.reason = update.reason;
            if update.result.is_some() {
                details.result = update.result;
            }
        }
    }

    /// Takes the cloud's time-out. Its reason is implied by the state.
    pub(super) fn time_out(&mut self, state: State, now: Instant) {
        self.state = state;
        self.updated_at = now;
        if let Some(details) = &mut self.details {
            details.reason = None;
        }
    }

    /// Bytes it keeps on the heap beside its slot, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let details = self.details.as_ref().map_or(0, |details| {
            size_of::<Details>()
                + details.reason.as_ref().map_or(0, reason_bytes)
                + details.result.as_ref().map_or(0, result_bytes)
                + details.parameters.as_ref().map_or(0, parameter_bytes)
        });
        self.device.len() + self.token.as_ref().map_or(0, CompactText::heap_bytes) + details
    }

    /// Its status as a reader sees it.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// The reason as a reader sees it: the device's, or that the cloud timed it out.
    pub fn status_reason(&self) -> Option<StatusReason> {
        let by_cloud = || StatusReason { code: StatusReason::NO_RESPONSE.to_owned(), description: None };
        match self.state {
            State::TimedOutByCloud => Some(by_cloud()),
            _ => self.reason().cloned(),
        }
    }

    /// From its creation to its end, in µs; `None` while it may still change. Nothing follows the end, so
    /// the last update is when it came.
    pub fn completed_after_us(&self) -> Option<u64> {
        self.state.is_terminal().then(|| self.updated_at.micros_since(self.created_at))
    }

    /// Whether its device ended it before the time-out.
    pub fn ended_in_time(&self) -> bool {
        self.state.is_terminal() && self.updated_at < self.deadline()
    }

    /// As GetCommandExecution shows it; `seconds` turns an instant into epoch seconds.
    pub fn describe(
        &self,
        (region, account): (&str, &str),
        include_result: bool,
        seconds: impl Fn(Instant) -> f64,
    ) -> GetCommandExecutionResponse {
        let target = TargetName { region, account, kind: self.kind, name: &self.device };
        let result = self.details.as_ref().and_then(|details| details.result.as_ref());
        let created_at = seconds(self.created_at);
        let updated_at = seconds(self.updated_at);
        GetCommandExecutionResponse {
            execution_id: Some(self.id.to_string()),
            command_arn: Some(self.command.arn.clone()),
            target_arn: Some(target.to_string()),
            status: Some(self.status()),
            status_reason: self.status_reason(),
            result: result.filter(|_| include_result).cloned(),
            parameters: self.parameters().cloned(),
            execution_timeout_seconds: Some(self.timeout_seconds.into()),
            created_at: Some(created_at),
            started_at: Some(created_at),
            last_updated_at: Some(updated_at),
            // Nothing follows the end, so the last update is when it came.
            completed_at: self.state.is_terminal().then_some(updated_at),
            time_to_live: Some(created_at + TIME_TO_LIVE_SECONDS),
        }
    }
}

/// Bytes an update adds to a record at most.
pub(super) fn heap_bytes_of(update: &Update) -> usize {
    if update.reason.is_none() && update.result.is_none() {
        return 0;
    }
    size_of::<Details>()
        + update.reason.as_ref().map_or(0, reason_bytes)
        + update.result.as_ref().map_or(0, result_bytes)
}

/// What a map's entry costs beside its texts: key, value and its share of a node.
const ENTRY_BYTES: usize = 64;

fn reason_bytes(reason: &StatusReason) -> usize {
    reason.code.len() + reason.description.as_ref().map_or(0, String::len)
}

fn result_bytes(result: &BTreeMap<String, ResultValue>) -> usize {
    result.iter().map(|(name, value)| ENTRY_BYTES + name.len() + value.heap_bytes()).sum()
}

fn parameter_bytes(parameters: &BTreeMap<String, ParameterValue>) -> usize {
    parameters.iter().map(|(name, value)| ENTRY_BYTES + name.len() + value.heap_bytes()).sum()
}
