//! What can happen to the executions, and what the shell has to do then.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Command, Key};
use crate::clock::Instant;
use crate::protocol::{
    CompactText, ExecutionId, ParameterValue, StartNames, State, Status, TargetKind, Update, UpdateErrorCode,
};

/// One thing that happens.
#[derive(Debug)]
pub(in crate::backend) enum Input<'a> {
    /// A checked StartCommandExecution whose token is new.
    Start(Start<'a>),
    /// A device's update of the execution `id`, from the topic of `device`.
    Update { kind: TargetKind, device: &'a str, id: &'a ExecutionId, update: Update },
    /// A timer fell due, perhaps a moot one.
    Due(Key),
}

/// A checked StartCommandExecution.
#[derive(Debug)]
pub(in crate::backend) struct Start<'a> {
    pub id: ExecutionId,
    pub command: Arc<Command>,
    pub names: &'a StartNames<'a>,
    pub token: Option<CompactText>,
    pub parameters: Option<&'a BTreeMap<String, ParameterValue>>,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) enum Effect {
    /// Keep the record as it is now.
    Persist(Key),
    /// Give back `Input::Due` at that instant.
    Arm { key: Key, at: Instant },
    /// Publish the request.
    Publish(Key),
    /// Answer whoever caused the input.
    Reply(Reply),
    /// Publish the lifecycle event of having reached `state`.
    Event { key: Key, state: State, at: Instant },
}

/// The answer to an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) enum Reply {
    /// Started as this execution.
    Started(Key),
    /// Not started: as many executions are open, or as much is remembered, as there may be.
    OverQuota,
    /// The update was taken.
    Accepted,
    /// The update was refused.
    Refused(Refusal),
}

/// Why an update is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backend) enum Refusal {
    /// That target has no such execution.
    NotFound,
    /// The status cannot follow.
    Transition { from: State, to: Status },
    /// The execution has ended.
    Ended { from: State, to: Status },
    /// The store's memory is full of open executions.
    NoRoom,
}

impl Refusal {
    /// The code and the text for people; the wording after the end is the real service's.
    pub fn explain(self) -> (UpdateErrorCode, String) {
        match self {
            Refusal::NotFound => {
                let message = "there is no such command execution for this target";
                (UpdateErrorCode::ResourceNotFound, message.to_owned())
            }
            Refusal::Transition { from, to } => {
                let (from, to) = (from.status().name(), to.name());
                let message = format!("Command Execution status cannot be updated from {from} to {to}.");
                (UpdateErrorCode::InvalidStateTransition, message)
            }
            Refusal::Ended { from, to } => {
                let (from, to) = (from.status().name(), to.name());
                let message = format!(
                    "Command Execution status cannot be updated to {to} since execution has already completed \
                     with status {from}."
                );
                (UpdateErrorCode::TerminalStateReached, message)
            }
            Refusal::NoRoom => {
                let message = "no memory is left for reasons and results of open executions";
                (UpdateErrorCode::RequestThrottled, message.to_owned())
            }
        }
    }
}

/// Effects in the order in which to do them, without heap.
#[derive(Debug, Default)]
pub(in crate::backend) struct Effects {
    /// The most there can be: a time-out (2) before an update (3).
    list: [Option<Effect>; 5],
    length: usize,
}

impl Effects {
    /// A reply alone.
    pub fn reply(reply: Reply) -> Self {
        let mut effects = Self::default();
        effects.push(Effect::Reply(reply));
        effects
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.list[self.length] = Some(effect);
        self.length += 1;
    }

    /// The effects, first one first.
    pub fn iter(&self) -> impl Iterator<Item = Effect> + '_ {
        self.list.iter().copied().flatten()
    }
}
