//! The direct way into the backend: the operations of the API as calls, from any thread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::broker::{BrokerCounters, Host as _};
use super::core::Core;
use super::faults::{Admission, FaultCounts, Operation};
use super::outages::Outage;
use super::shared::{Plane, Shared};
use crate::clock::Instant;
use crate::protocol::{
    ApiError, CompactText, CreateCommandRequest, CreateCommandResponse, Deletion, ExecutionId,
    GetCommandExecutionResponse, GetCommandResponse, InvalidShape, Parameters, ResultValue,
    StartCommandExecutionRequest, StartCommandExecutionResponse, StartNames, Status, StatusReason,
    TargetName, UpdateCommandRequest, UpdateCommandResponse, check_command_id,
};

/// A backend to call; cheap to clone. Calls apply at once, on the calling thread, with the same checks
/// and effects as over HTTP.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

/// Counts of a backend since its start, and a few levels.
#[derive(Debug, Clone, Copy)]
pub struct Counters {
    /// Executions that can still time out, now.
    pub open: usize,
    /// Executions that are remembered, open ones included, now.
    pub remembered: usize,
    /// Ended executions that were forgotten to make room.
    pub evicted: u64,
    /// Executions that were started.
    pub started: u64,
    /// Executions that the timer ended.
    pub timed_out: u64,
    /// Executions that devices ended before their time-out: succeeded, failed, rejected, timed out by the
    /// device.
    pub ended: [u64; 4],
    /// Requests that a hook dropped.
    pub requests_dropped: u64,
    /// Updates that were accepted.
    pub updates_accepted: u64,
    /// Updates that were rejected.
    pub updates_rejected: u64,
    /// Publishes of clients to reserved topics, dropped.
    pub publishes_refused: u64,
    /// HTTP requests that were answered.
    pub http_requests: u64,
    /// HTTP connections that are open now.
    pub http_connections: usize,
    /// Connections that could not be accepted, of either kind.
    pub accept_errors: u64,
    /// Faults that were injected because the scenario says so.
    pub faults: FaultCounts,
    /// The broker's own.
    pub broker: BrokerCounters,
}

/// How an execution stands or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionEnd {
    /// Its status.
    pub status: Status,
    /// Why, if somebody said so.
    pub reason: Option<StatusReason>,
    /// What the device reported.
    pub result: Option<BTreeMap<String, ResultValue>>,
    /// From its creation to its end in µs; `None` while it may still change, also after a time-out by the
    /// cloud.
    pub completed_after_us: Option<u64>,
    /// Whether a fault of the scenario has kept the request from its device.
    pub request_withheld: bool,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Lets a call meet the faults that the scenario has for it, before it is made: it waits here, and may be
    /// refused.
    ///
    /// # Errors
    /// The refusal.
    pub async fn admit(&self, operation: Operation) -> Result<(), ApiError> {
        if !self.0.has_faults() {
            return Ok(());
        }
        let clock = self.0.clock();
        let now = clock.now();
        match self.0.with_core(|core| core.faults.call(operation, now)) {
            Admission::Throttled(error) => Err(error),
            Admission::After { wait_us, refusal } => {
                if wait_us > 0 {
                    clock.sleep_until(now.plus_micros(wait_us)).await;
                    // An outage that began meanwhile holds it up like any other call.
                    self.outage_ended().await;
                }
                refusal.map_or(Ok(()), Err)
            }
        }
    }

    /// CreateCommand.
    pub fn create_command(
        &self,
        id: &str,
        request: CreateCommandRequest,
    ) -> Result<CreateCommandResponse, ApiError> {
        check_command_id(id)?;
        request.validate()?;
        self.0.with_core(|core| core.create_command(id, request))
    }

    /// GetCommand.
    pub fn get_command(&self, id: &str) -> Result<GetCommandResponse, ApiError> {
        check_command_id(id)?;
        self.0.with_core(|core| core.get_command(id))
    }

    /// UpdateCommand, as far as it deprecates and restores.
    pub fn update_command(
        &self,
        id: &str,
        request: &UpdateCommandRequest,
    ) -> Result<UpdateCommandResponse, ApiError> {
        check_command_id(id)?;
        if request.display_name.is_some() || request.description.is_some() {
            return Err(
                InvalidShape::NotYet { feature: "UpdateCommand of displayName and description" }.into()
            );
        }
        self.0.with_core(|core| core.deprecate_command(id, request.deprecated))
    }

    /// DeleteCommand.
    pub fn delete_command(&self, id: &str) -> Result<Deletion, ApiError> {
        check_command_id(id)?;
        Ok(self.0.with_core(|core| core.delete_command(id)))
    }

    /// StartCommandExecution.
    pub fn start_command_execution(
        &self,
        request: &StartCommandExecutionRequest,
    ) -> Result<StartCommandExecutionResponse, ApiError> {
        let names = request.validate()?;
        let token = request.client_token.as_deref().map(CompactText::new);
        let id = self.0.with_core(|core| core.start(&names, token, request.parameters.as_ref()))?;
        Ok(StartCommandExecutionResponse { execution_id: id.to_string() })
    }

    /// StartCommandExecution for a caller within the program, which need not spell names as ARNs to have
    /// them taken apart again; without a token, because a call cannot be lost.
    pub fn start_execution(
        &self,
        names: &StartNames<'_>,
        parameters: Option<&Parameters>,
    ) -> Result<ExecutionId, ApiError> {
        self.0.with_core(|core| core.start(names, None, parameters))
    }

    /// What GetCommandExecution would say of an execution's end.
    pub fn execution_end(&self, id: &ExecutionId, target: &TargetName<'_>) -> Result<ExecutionEnd, ApiError> {
        self.0.with_core(|core| core.get_end(id, target))
    }

    /// GetCommandExecution; the target belongs to the key.
    pub fn get_command_execution(
        &self,
        id: &str,
        target_arn: &str,
        include_result: bool,
    ) -> Result<GetCommandExecutionResponse, ApiError> {
        let id: ExecutionId =
            id.parse().map_err(|source| InvalidShape::Id { member: "executionId", source })?;
        let target = TargetName::parse(target_arn)
            .map_err(|source| InvalidShape::Arn { member: "targetArn", source })?;
        self.0.with_core(|core| core.get_execution(&id, &target, include_result))
    }

    /// CPU time of the backend's thread, as of the last quarter of a second.
    pub fn cpu(&self) -> Duration {
        self.0.cpu()
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        let (stock, faults, broker) =
            self.0.with_core(|core| (Core::stock(core), core.faults.counts, core.broker.counters()));
        Counters {
            open: stock.open,
            remembered: stock.remembered,
            evicted: stock.evicted,
            started: stock.tally.started,
            timed_out: stock.tally.timed_out,
            ended: stock.tally.ended,
            requests_dropped: stock.tally.requests_dropped,
            updates_accepted: stock.tally.updates_accepted,
            updates_rejected: stock.tally.updates_rejected,
            publishes_refused: self.0.publishes_refused(),
            http_requests: self.0.requests(),
            http_connections: self.0.connections(Plane::Http),
            accept_errors: self.0.accept_errors(),
            faults,
            broker,
        }
    }

    /// Plans all outages of a run; again, if those that have not begun are to be at other instants.
    pub fn plan_outages(&self, outages: Vec<Outage>) {
        self.0.outages().plan(outages);
    }

    /// Completes when the backend is not out, at once if it is not.
    pub async fn outage_ended(&self) {
        self.0.outages().end().await;
    }

    /// Whether it was out at any instant since `since`.
    pub fn was_out_since(&self, since: Instant) -> bool {
        !self.outages_since(since).is_empty()
    }

    /// The outages that have begun and were not over at `since`, in their order.
    pub fn outages_since(&self, since: Instant) -> Vec<Outage> {
        self.0.outages().since(since)
    }

    /// Runs a closure on the backend's thread, so that a test can block it. `false` if it was not
    /// taken: too many wait, or the backend has ended.
    #[doc(hidden)]
    pub fn run_on_thread(&self, job: Box<dyn FnOnce() + Send>) -> bool {
        self.0.queue_job(job)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
