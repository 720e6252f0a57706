//! The HTTP shapes of StartCommandExecution and GetCommandExecution.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CommandArn, InvalidShape, ParameterValue, ResultValue, Status, StatusReason, TargetName};
use super::{parameters, text, wire};

/// The time-out of an execution that names none.
pub const DEFAULT_TIMEOUT_SECONDS: u32 = 10;
/// The longest time-out: 12 hours.
pub const MAX_TIMEOUT_SECONDS: u32 = 43_200;

/// `POST /command-executions` on `iot-jobs-data`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartCommandExecutionRequest {
    /// The device, `arn:aws:iot:<region>:<account>:thing/<name>` or `…:client/<id>`.
    pub target_arn: String,
    /// The command.
    pub command_arn: String,
    /// Values for its parameters; at least one if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BTreeMap<String, ParameterValue>>,
    /// Seconds until the cloud times it out, 1 to 43,200; 10 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_timeout_seconds: Option<i64>,
    /// Makes a repeated request harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

/// What a sound [`StartCommandExecutionRequest`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartNames<'a> {
    /// The target.
    pub target: TargetName<'a>,
    /// The command's region.
    pub command_region: &'a str,
    /// The command's account.
    pub command_account: &'a str,
    /// The command's id.
    pub command_id: &'a str,
    /// The time-out, default filled in.
    pub timeout_seconds: u32,
}

impl StartCommandExecutionRequest {
    /// Reads a request body.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidShape> {
        wire::read_body(body)
    }

    /// Appends the request body to `out`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        wire::write(out, self);
    }

    /// Checks every rule of the model and takes the ARNs apart.
    pub fn validate(&self) -> Result<StartNames<'_>, InvalidShape> {
        let target = TargetName::parse(&self.target_arn)
            .map_err(|source| InvalidShape::Arn { member: "targetArn", source })?;
        let (command_region, command_account, command_id) = CommandArn::split(&self.command_arn)
            .map_err(|source| InvalidShape::Arn { member: "commandArn", source })?;
        if let Some(parameters) = &self.parameters {
            parameters::validate(parameters)?;
        }
        if let Some(token) = self.client_token.as_deref().filter(|token| !text::is_token(token)) {
            return Err(InvalidShape::value("clientToken", token, "1 to 64 visible ASCII characters"));
        }
        let timeout_seconds = match self.execution_timeout_seconds {
            None => DEFAULT_TIMEOUT_SECONDS,
            Some(seconds) => {
                let valid = u32::try_from(seconds).ok().filter(|s| (1..=MAX_TIMEOUT_SECONDS).contains(s));
                valid.ok_or_else(|| {
                    InvalidShape::value("executionTimeoutSeconds", &seconds.to_string(), "1 to 43200")
                })?
            }
        };
        Ok(StartNames { target, command_region, command_account, command_id, timeout_seconds })
    }
}

/// The answer to StartCommandExecution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartCommandExecutionResponse {
    /// The new execution, or the one that the same token made before.
    pub execution_id: String,
}

/// The answer to GetCommandExecution; all members may be absent, as in the model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GetCommandExecutionResponse {
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<String>,
    /// The command's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_arn: Option<String>,
    /// The target's ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_arn: Option<String>,
    /// Its status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Why, if somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<StatusReason>,
    /// What the device reported; only if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<BTreeMap<String, ResultValue>>,
    /// The parameters it was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BTreeMap<String, ParameterValue>>,
    /// Seconds until the cloud times it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_timeout_seconds: Option<i64>,
    /// Epoch seconds, to the millisecond; so are the other times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<f64>,
    /// Its last change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_at: Option<f64>,
    /// Equal to `created_at`: the timer starts at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<f64>,
    /// When it became terminal; a time-out by the cloud is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<f64>,
    /// When the record may be forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "arn:aws:iot:us-east-1:123456789012:thing/lamp1";
    const COMMAND: &str = "arn:aws:iot:us-east-1:123456789012:command/c1";

    fn request() -> StartCommandExecutionRequest {
        StartCommandExecutionRequest {
            target_arn: TARGET.into(),
            command_arn: COMMAND.into(),
            ..StartCommandExecutionRequest::default()
        }
    }

    #[test]
    fn a_start_is_read_as_boto3_writes_it() {
        let body = format!(
            r#"{{"targetArn":"{TARGET}","commandArn":"{COMMAND}","parameters":{{"power":{{"S":"ON"}}}},
                "executionTimeoutSeconds":60,"clientToken":"t-1","later":[1]}}"#
        );
        let start = StartCommandExecutionRequest::from_json(body.as_bytes()).unwrap();
        let names = start.validate().unwrap();
        assert_eq!((names.target.name, names.command_id, names.timeout_seconds), ("lamp1", "c1", 60));
        assert_eq!(start.parameters.as_ref().unwrap()["power"], ParameterValue::S("ON".into()));

        let mut written = Vec::new();
        start.write_json(&mut written);
        assert_eq!(StartCommandExecutionRequest::from_json(&written).unwrap(), start);
    }

    #[test]
    fn the_time_out_is_ten_seconds_unless_said_and_at_most_twelve_hours() {
        for (seconds, expected) in [
            (None, Some(10)),
            (Some(1), Some(1)),
            (Some(43_200), Some(43_200)),
            (Some(43_201), None),
            (Some(0), None),
            (Some(-1), None),
            (Some(i64::MAX), None),
        ] {
            let start = StartCommandExecutionRequest { execution_timeout_seconds: seconds, ..request() };
            assert_eq!(start.validate().ok().map(|n| n.timeout_seconds), expected, "{seconds:?}");
        }
    }

    #[test]
    fn what_breaks_the_model_is_refused() {
        for (start, names) in [
            (StartCommandExecutionRequest { target_arn: "lamp1".into(), ..request() }, "targetArn"),
            (StartCommandExecutionRequest { target_arn: COMMAND.into(), ..request() }, "targetArn"),
            (StartCommandExecutionRequest { command_arn: TARGET.into(), ..request() }, "commandArn"),
            (StartCommandExecutionRequest { parameters: Some(BTreeMap::new()), ..request() }, "parameters"),
            (StartCommandExecutionRequest { client_token: Some(String::new()), ..request() }, "clientToken"),
            (StartCommandExecutionRequest { client_token: Some("x".repeat(65)), ..request() }, "clientToken"),
            (StartCommandExecutionRequest { client_token: Some("a b".into()), ..request() }, "clientToken"),
        ] {
            let problem = start.validate().unwrap_err().to_string();
            assert!(problem.starts_with(names), "{problem}");
        }
        for body in
            ["", "{}", "[]", r#"["a","b"]"#, "null", r#"{"targetArn":1,"commandArn":"c"}"#, "{\"targetArn\""]
        {
            let error = StartCommandExecutionRequest::from_json(body.as_bytes()).unwrap_err();
            assert!(matches!(error, InvalidShape::Body { .. }), "{body}");
        }
    }

    #[test]
    fn a_record_has_upper_case_result_keys_and_epoch_seconds() {
        let record = GetCommandExecutionResponse {
            status: Some(Status::Succeeded),
            status_reason: Some(StatusReason { code: "DONE".into(), description: None }),
            result: Some(BTreeMap::from([
                ("k".to_owned(), ResultValue::S("v".into())),
                ("x".to_owned(), ResultValue::Bin(vec![0, 255])),
            ])),
            created_at: Some(1_763_770_000.123),
            ..GetCommandExecutionResponse::default()
        };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(
            json,
            r#"{"status":"SUCCEEDED","statusReason":{"reasonCode":"DONE"},"result":{"k":{"S":"v"},"x":{"BIN":"AP8="}},"createdAt":1763770000.123}"#
        );
        assert_eq!(serde_json::from_str::<GetCommandExecutionResponse>(&json).unwrap(), record);
    }
}
