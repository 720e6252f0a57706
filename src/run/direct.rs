//! The Commands API without HTTP: calls on the embedded backend's own handle.

use crate::backend::{ExecutionEnd, Handle, Operation};
use crate::clock::Instant;
use crate::driver::{CallError, CommandsApi};
use crate::ledger::Record;
use crate::protocol::{
    ApiError, CreateCommandRequest, CreateCommandResponse, Deletion, ExecutionId, GetCommandResponse,
    Parameters, StartNames, TargetName,
};

/// Calls the embedded backend in this process, on the caller's thread. Settling uses it, so that reading
/// back takes no connection away from the load; starts do with `driver.via: direct`.
#[derive(Clone)]
pub(super) struct DirectApi {
    handle: Handle,
}

impl DirectApi {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

impl CommandsApi for DirectApi {
    /// A backend that is out answers no call either.
    async fn ready(&mut self) -> Result<(), CallError> {
        self.handle.outage_ended().await;
        Ok(())
    }

    fn was_out_since(&self, since: Instant) -> bool {
        self.handle.was_out_since(since)
    }

    async fn create_command(
        &mut self,
        command_id: &str,
        request: &CreateCommandRequest,
    ) -> Result<CreateCommandResponse, CallError> {
        self.handle.create_command(command_id, request.clone()).map_err(refused)
    }

    async fn get_command(&mut self, command_id: &str) -> Result<GetCommandResponse, CallError> {
        self.handle.get_command(command_id).map_err(refused)
    }

    async fn delete_command(&mut self, command_id: &str) -> Result<Deletion, CallError> {
        self.handle.delete_command(command_id).map_err(refused)
    }

    /// Without the token: a call within the process cannot be lost, so it is never repeated.
    async fn start(
        &mut self,
        names: &StartNames<'_>,
        parameters: Option<&Parameters>,
        _: &ExecutionId,
    ) -> Result<ExecutionId, CallError> {
        self.handle.admit(Operation::Start).await.map_err(refused)?;
        self.handle.start_execution(names, parameters).map_err(refused)
    }

    async fn read_back(&mut self, id: &ExecutionId, target: &TargetName<'_>) -> Result<Record, CallError> {
        self.handle.outage_ended().await;
        let end = self.handle.execution_end(id, target).map_err(refused)?;
        let ExecutionEnd { status, reason, result, completed_after_us, request_withheld } = end;
        Ok(Record { status, reason, result, completed_after_us, request_withheld })
    }
}

fn refused(error: ApiError) -> CallError {
    CallError::Refused { name: error.kind.name().to_owned(), message: error.message }
}
