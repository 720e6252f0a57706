//! AWS IoT Commands as values: ids, ARNs, topics, statuses and their transitions, updates and
//! their replies, and the HTTP shapes and errors of the operations.
//!
//! Pure: no socket, no clock, nothing shared. `fleet`, `driver` and `backend` meet in these types
//! only. Not here yet: the operations other than CreateCommand, GetCommand, StartCommandExecution and
//! GetCommandExecution.
//!
//! Where AWS's documentation is silent or contradicts itself, the choice stands beside the code.

mod arn;
mod cbor;
mod change;
mod command;
mod error;
mod execution;
mod id;
mod parameters;
mod status;
mod template;
mod text;
mod topic;
mod update;
mod wire;

pub use arn::{CommandArn, InvalidArn, TargetArn, TargetKind, TargetName};
pub use cbor::{InvalidCbor, Item, json_as_cbor};
pub use change::{Deletion, UpdateCommandRequest, UpdateCommandResponse};
pub use command::{
    AwsJsonSubstitution, CommandPayload, CreateCommandRequest, CreateCommandResponse, DEFAULT_CONTENT_TYPE,
    GetCommandResponse, MAX_PAYLOAD, NAMESPACE, NAMESPACE_FLEETWISE, Preprocessor, Tag, check_command_id,
};
pub use error::{ApiError, ErrorKind, InvalidShape, Service, error_name};
pub use execution::{
    DEFAULT_TIMEOUT_SECONDS, GetCommandExecutionResponse, MAX_TIMEOUT_SECONDS, StartCommandExecutionRequest,
    StartCommandExecutionResponse, StartNames,
};
pub use id::{CompactText, ExecutionId, InvalidId};
pub use parameters::{
    ComparisonOperator, MandatoryParameter, NumberRange, Operand, ParameterType, ParameterValue, Parameters,
    ValueCondition, effective_parameters, is_parameter_name,
};
pub use status::{State, Status};
pub use template::{InvalidTemplate, OutputFormat, Template, TooLarge};
pub use topic::{DeviceTopic, Form, Format, device_filters, event_topic, write_event_topic};
pub use update::{
    Accepted, InvalidReply, Rejected, ResultValue, StatusReason, Update, UpdateError, UpdateErrorCode,
};
