//! What a workload sends: a stored command, and the parameters of its executions.

use std::time::Duration;

use crate::protocol::{
    AwsJsonSubstitution, CommandPayload, CreateCommandRequest, GetCommandResponse, MandatoryParameter,
    OutputFormat, ParameterType, ParameterValue, Preprocessor,
};

/// A stored definition (CreateCommand) and the time-out of its executions.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// `commandId`, `[a-zA-Z0-9_-]{1,64}`.
    pub name: String,
    /// What devices get.
    pub content: Content,
    /// The parameters of every execution, in the order of the file.
    pub parameters: Vec<Parameter>,
    /// `executionTimeoutSeconds`: whole seconds, 1 to 43,200.
    pub timeout: Duration,
}

/// Where the bytes come from that devices get.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// The same for every execution.
    Payload(Payload),
    /// Made for each execution of its parameters.
    Template(PayloadTemplate),
    /// From the command as it is at the target: it is not created.
    Existing,
}

/// The payload of a static command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// What is sent.
    pub bytes: Vec<u8>,
    /// What it is.
    pub format: PayloadFormat,
    /// The file it was read from, where the scenario could not spell its bytes.
    pub file: Option<String>,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadFormat {
    /// `application/json`
    Json,
    /// `application/cbor`
    Cbor,
    /// `text/plain`
    Text,
}

impl PayloadFormat {
    /// The value of `command.format`.
    pub const fn name(self) -> &'static str {
        match self {
            PayloadFormat::Json => "json",
            PayloadFormat::Cbor => "cbor",
            PayloadFormat::Text => "text",
        }
    }

    /// The content type it is stored with.
    pub const fn content_type(self) -> &'static str {
        match self {
            PayloadFormat::Json => "application/json",
            PayloadFormat::Cbor => "application/cbor",
            PayloadFormat::Text => "text/plain",
        }
    }
}

/// The template of a dynamic command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadTemplate {
    /// JSON with placeholders.
    pub text: String,
    /// What is made of it.
    pub output: OutputFormat,
}

/// A parameter and how its values are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// `[.$a-zA-Z0-9_-]{1,192}`
    pub name: String,
    /// Its values.
    pub values: Values,
}

/// How the values of a parameter are chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Always this one.
    One(ParameterValue),
    /// One after the other, execution by execution; never empty, all of one type.
    Each(Vec<ParameterValue>),
    /// Whole numbers from the first to the second, each as likely.
    Whole(i64, i64),
    /// Numbers from the first to the second, each as likely.
    Decimal(f64, f64),
}

impl Values {
    /// The type of every value.
    pub fn kind(&self) -> ParameterType {
        match self {
            Values::One(value) => ParameterType::of(value),
            Values::Each(values) => values.first().map_or(ParameterType::String, ParameterType::of),
            Values::Whole(from, to) => {
                let fits = i32::try_from(*from).is_ok() && i32::try_from(*to).is_ok();
                if fits { ParameterType::Integer } else { ParameterType::Long }
            }
            Values::Decimal(..) => ParameterType::Double,
        }
    }
}

impl Command {
    /// What devices get, as a content type; `None` for one that exists.
    pub fn content_type(&self) -> Option<&'static str> {
        match &self.content {
            Content::Payload(payload) => Some(payload.format.content_type()),
            Content::Template(template) => Some(template.output.content_type()),
            Content::Existing => None,
        }
    }

    /// What creates it; `None` for one that exists.
    pub fn request(&self) -> Option<CreateCommandRequest> {
        match &self.content {
            Content::Payload(payload) => {
                let payload = CommandPayload {
                    content: payload.bytes.clone(),
                    content_type: Some(payload.format.content_type().to_owned()),
                };
                Some(CreateCommandRequest { payload: Some(payload), ..CreateCommandRequest::default() })
            }
            Content::Template(template) => {
                let declared = self.parameters.iter().map(|parameter| MandatoryParameter {
                    name: parameter.name.clone(),
                    kind: Some(parameter.values.kind()),
                    ..MandatoryParameter::default()
                });
                let substitution = AwsJsonSubstitution { output_format: template.output };
                Some(CreateCommandRequest {
                    payload_template: Some(template.text.clone()),
                    preprocessor: Some(Preprocessor { aws_json_substitution: substitution }),
                    mandatory_parameters: Some(declared.collect()),
                    ..CreateCommandRequest::default()
                })
            }
            Content::Existing => None,
        }
    }

    /// Whether what is there under its name gives devices the same.
    pub fn is(&self, there: &GetCommandResponse) -> bool {
        let Some(own) = self.request() else { return true };
        // A service may fill in what was left out of a declaration; name and type are what was said.
        let declared = |all: &Option<Vec<MandatoryParameter>>| {
            let mut all: Vec<_> =
                all.iter().flatten().map(|parameter| (parameter.name.clone(), parameter.kind)).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all
        };
        own.payload == there.payload
            && own.payload_template == there.payload_template
            && own.preprocessor == there.preprocessor
            && declared(&own.mandatory_parameters) == declared(&there.mandatory_parameters)
    }
}
