//! The Commands API as the driver needs it, whatever carries it.

use crate::clock::Instant;
use crate::ledger::Record;
use crate::protocol::{
    CreateCommandRequest, CreateCommandResponse, Deletion, ExecutionId, GetCommandResponse, Parameters,
    StartNames, TargetName,
};

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The service answered with an error.
    #[error("{name}: {message}")]
    Refused {
        /// Its modelled name: `ThrottlingException`.
        name: String,
        /// Its message.
        message: String,
    },
    /// Nothing was sent: there is no connection.
    #[error("no connection to {address}: {cause}")]
    Unreachable {
        /// Where to.
        address: String,
        /// Why not.
        cause: String,
    },
    /// It was sent, but no answer came that could be read.
    #[error("no answer from {address}: {cause}")]
    Unanswered {
        /// From where.
        address: String,
        /// Why not.
        cause: String,
    },
}

/// Whether an error's name says that the same call may be taken a little later: the service is busy or has
/// failed, and did nothing.
pub(super) fn is_busy(name: &str) -> bool {
    const BUSY: [&str; 10] = [
        "ThrottlingException",
        "TooManyRequestsException",
        "InternalServerException",
        "InternalFailureException",
        "ServiceUnavailableException",
        // Answers of something in between, which have no name.
        "429",
        "500",
        "502",
        "503",
        "504",
    ];
    BUSY.contains(&name)
}

/// One caller of the Commands API: a connection, or the embedded backend's own handle. A call at a
/// time; who wants more in flight has more callers.
pub trait CommandsApi {
    /// Makes sure the next call can be written at once.
    fn ready(&mut self) -> impl Future<Output = Result<(), CallError>>;

    /// Whether the service was out, by plan, at any instant since `since`.
    fn was_out_since(&self, _since: Instant) -> bool {
        false
    }

    /// CreateCommand.
    fn create_command(
        &mut self,
        command_id: &str,
        request: &CreateCommandRequest,
    ) -> impl Future<Output = Result<CreateCommandResponse, CallError>>;

    /// GetCommand.
    fn get_command(
        &mut self,
        command_id: &str,
    ) -> impl Future<Output = Result<GetCommandResponse, CallError>>;

    /// DeleteCommand.
    fn delete_command(&mut self, command_id: &str) -> impl Future<Output = Result<Deletion, CallError>>;

    /// StartCommandExecution, under a token that makes it harmless to repeat; the new execution's id.
    fn start(
        &mut self,
        names: &StartNames<'_>,
        parameters: Option<&Parameters>,
        token: &ExecutionId,
    ) -> impl Future<Output = Result<ExecutionId, CallError>>;

    /// What GetCommandExecution says of an execution's end.
    fn read_back(
        &mut self,
        id: &ExecutionId,
        target: &TargetName<'_>,
    ) -> impl Future<Output = Result<Record, CallError>>;
}
