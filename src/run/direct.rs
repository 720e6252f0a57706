//! The Commands API without HTTP: calls on the embedded backend's own handle.

use crate::backend::Handle;
use crate::driver::{CallError, CommandsApi};
use crate::protocol::{
    ApiError, CreateCommandRequest, CreateCommandResponse, ExecutionId, GetCommandExecutionResponse,
    GetCommandResponse, StartCommandExecutionRequest, StartCommandExecutionResponse,
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
    async fn ready(&mut self) -> Result<(), CallError> {
        Ok(())
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

    async fn start_command_execution(
        &mut self,
        request: &StartCommandExecutionRequest,
    ) -> Result<StartCommandExecutionResponse, CallError> {
        self.handle.start_command_execution(request).map_err(refused)
    }

    async fn get_command_execution(
        &mut self,
        id: &ExecutionId,
        target_arn: &str,
    ) -> Result<GetCommandExecutionResponse, CallError> {
        self.handle.get_command_execution(&id.to_string(), target_arn, true).map_err(refused)
    }
}

fn refused(error: ApiError) -> CallError {
    CallError::Refused { name: error.kind.name().to_owned(), message: error.message }
}
