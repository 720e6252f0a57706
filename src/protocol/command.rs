//! The HTTP shapes of CreateCommand and GetCommand.

use serde::{Deserialize, Serialize};

use super::{InvalidShape, MandatoryParameter, OutputFormat, Template, id, parameters, text, wire};

/// The namespace of a command that names none.
pub const NAMESPACE: &str = "AWS-IoT";
/// The other namespace there is. Its commands can be kept, but not started.
pub const NAMESPACE_FLEETWISE: &str = "AWS-IoT-FleetWise";
/// The content type of a payload that names none.
pub const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// Largest payload of a static command, in bytes.
pub const MAX_PAYLOAD: usize = 32 * 1024;
/// Longest description, in characters (the model's number).
const MAX_DESCRIPTION: usize = 2028;
/// Longest display name, in characters.
const MAX_DISPLAY_NAME: usize = 64;
/// Longest content type: it travels as an MQTT 5 string, whose length is 16 bits.
const MAX_CONTENT_TYPE: usize = 65_535;

/// `PUT /commands/{commandId}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateCommandRequest {
    /// `AWS-IoT` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A description for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is sent.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
    pub payload: Option<CommandPayload>,
    /// Instead of a payload: what it is made of for each execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_template: Option<String>,
    /// How it is made; only with a template.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
    pub preprocessor: Option<Preprocessor>,
    /// The parameters of the template. With a static payload only their conditions mean something.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_objects")]
    pub mandatory_parameters: Option<Vec<MandatoryParameter>>,
    /// Only for the FleetWise namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Kept with the command.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_objects")]
    pub tags: Option<Vec<Tag>>,
}

/// The payload of a static command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandPayload {
    /// The bytes; base64 in JSON.
    #[serde(serialize_with = "wire::serialize_blob", deserialize_with = "wire::deserialize_blob")]
    pub content: Vec<u8>,
    /// `application/octet-stream` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

impl CommandPayload {
    /// The content type, default filled in.
    pub fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or(DEFAULT_CONTENT_TYPE)
    }
}

/// How a payload is made of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preprocessor {
    /// The one there is.
    pub aws_json_substitution: AwsJsonSubstitution,
}

/// Placeholders in texts of a JSON document are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsJsonSubstitution {
    /// What comes out.
    pub output_format: OutputFormat,
}

/// A tag, with the tag services' capital letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// 1 to 128 characters.
    pub key: String,
    /// Up to 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The answer to CreateCommand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateCommandResponse {
    /// Its id.
    pub command_id: String,
    /// Its ARN.
    pub command_arn: String,
}

/// The answer to GetCommand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetCommandResponse {
    /// Its id.
    pub command_id: String,
    /// Its ARN.
    pub command_arn: String,
    /// `AWS-IoT` or `AWS-IoT-FleetWise`.
    pub namespace: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// A description for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<CommandPayload>,
    /// What the payload is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_template: Option<String>,
    /// How it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessor: Option<Preprocessor>,
    /// What its parameters must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandatory_parameters: Option<Vec<MandatoryParameter>>,
    /// Only in the FleetWise namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Epoch seconds, to the millisecond.
    pub created_at: f64,
    /// Epoch seconds, to the millisecond.
    pub last_updated_at: f64,
    /// Whether new executions are refused.
    pub deprecated: bool,
    /// Whether it is about to be deleted.
    pub pending_deletion: bool,
}

/// Checks the id of a command, as it stands in a path.
pub fn check_command_id(command_id: &str) -> Result<(), InvalidShape> {
    id::check_id(command_id).map_err(|source| InvalidShape::Id { member: "commandId", source })
}

impl CreateCommandRequest {
    /// Reads a request body.
    pub fn from_json(body: &[u8]) -> Result<Self, InvalidShape> {
        wire::read_body(body)
    }

    /// Appends the request body to `out`.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        wire::write(out, self);
    }

    /// The namespace, default filled in.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(NAMESPACE)
    }

    /// Checks every rule of the model.
    pub fn validate(&self) -> Result<(), InvalidShape> {
        let namespace = self.namespace();
        if namespace != NAMESPACE && namespace != NAMESPACE_FLEETWISE {
            return Err(InvalidShape::value("namespace", namespace, "AWS-IoT or AWS-IoT-FleetWise"));
        }
        self.validate_role(namespace == NAMESPACE_FLEETWISE)?;
        if let Some(name) = &self.display_name {
            check_text("displayName", name, MAX_DISPLAY_NAME, "at most 64")?;
        }
        if let Some(description) = &self.description {
            check_text("description", description, MAX_DESCRIPTION, "at most 2028")?;
        }
        self.template()?;
        match &self.payload {
            Some(payload) => validate_payload(payload)?,
            None if namespace == NAMESPACE && self.payload_template.is_none() => {
                return Err(InvalidShape::Missing { member: "payload" });
            }
            None => {}
        }
        self.tags.iter().flatten().try_for_each(validate_tag)
    }

    /// The template and what it makes, if the command is a dynamic one that can be.
    ///
    /// A static payload beside `mandatoryParameters` is taken: their conditions are then checked at each
    /// start, and the payload stays as it is.
    pub fn template(&self) -> Result<Option<(Template, OutputFormat)>, InvalidShape> {
        if self.payload.is_some() && self.payload_template.is_some() {
            let problem = "payload and payloadTemplate exclude each other: give one of them";
            return Err(InvalidShape::Combination { problem });
        }
        if let Some(declared) = &self.mandatory_parameters {
            parameters::check_declared(declared)?;
        }
        let Some(text) = &self.payload_template else {
            return match self.preprocessor {
                Some(_) => {
                    let problem = "preprocessor is only for a payloadTemplate";
                    Err(InvalidShape::Combination { problem })
                }
                None => Ok(None),
            };
        };
        let preprocessor = self.preprocessor.ok_or(InvalidShape::Missing { member: "preprocessor" })?;
        let member = "mandatoryParameters";
        let declared = self.mandatory_parameters.as_ref().ok_or(InvalidShape::Missing { member })?;
        let template = Template::parse(text)?;
        for name in template.parameters() {
            if !declared.iter().any(|parameter| parameter.name == *name) {
                let problem =
                    "is used in payloadTemplate, but not declared in mandatoryParameters".to_owned();
                return Err(InvalidShape::Parameter { name: name.clone(), problem });
            }
        }
        Ok(Some((template, preprocessor.aws_json_substitution.output_format)))
    }

    fn validate_role(&self, is_fleetwise: bool) -> Result<(), InvalidShape> {
        match &self.role_arn {
            Some(_) if !is_fleetwise => Err(InvalidShape::Combination {
                problem: "roleArn is only for the namespace AWS-IoT-FleetWise",
            }),
            None if is_fleetwise => Err(InvalidShape::Missing { member: "roleArn" }),
            Some(arn) if !matches!(arn.len(), 20..=2048) => {
                Err(InvalidShape::Length { member: "roleArn", actual: arn.len(), expected: "20 to 2048" })
            }
            _ => Ok(()),
        }
    }
}

fn validate_payload(payload: &CommandPayload) -> Result<(), InvalidShape> {
    let actual = payload.content.len();
    if actual > MAX_PAYLOAD {
        let expected = "at most 32768 bytes";
        return Err(InvalidShape::Length { member: "payload.content", actual, expected });
    }
    let content_type = payload.content_type();
    if !text::is_media_type(content_type) || content_type.len() > MAX_CONTENT_TYPE {
        return Err(InvalidShape::value("payload.contentType", content_type, "type/subtype"));
    }
    Ok(())
}

fn validate_tag(tag: &Tag) -> Result<(), InvalidShape> {
    // The model's `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`.
    let allowed =
        |c: char| c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c);
    if !matches!(tag.key.chars().count(), 1..=128) || !tag.key.chars().all(allowed) {
        let expected = "1 to 128 letters, digits, spaces and _.:/=+-@";
        return Err(InvalidShape::value("tags.Key", &tag.key, expected));
    }
    let actual = tag.value.as_deref().unwrap_or_default().chars().count();
    if actual > 256 {
        return Err(InvalidShape::Length { member: "tags.Value", actual, expected: "at most 256" });
    }
    Ok(())
}

fn check_text(
    member: &'static str,
    value: &str,
    longest: usize,
    expected: &'static str,
) -> Result<(), InvalidShape> {
    let actual = value.chars().count();
    if actual > longest {
        return Err(InvalidShape::Length { member, actual, expected });
    }
    if !text::is_printable(value) {
        return Err(InvalidShape::value(member, value, "text without control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> CreateCommandRequest {
        CreateCommandRequest {
            payload: Some(CommandPayload {
                content: b"{}".to_vec(),
                content_type: Some("application/json".into()),
            }),
            ..CreateCommandRequest::default()
        }
    }

    #[test]
    fn a_static_command_is_read_as_boto3_writes_it() {
        let body = br#"{"payload":{"content":"eyJhIjoxfQ==","contentType":"application/json"},
            "displayName":"Light","tags":[{"Key":"team","Value":"a"}],"later":1}"#;
        let create = CreateCommandRequest::from_json(body).unwrap();
        assert_eq!(create.validate(), Ok(()));
        assert_eq!(create.payload.as_ref().unwrap().content, br#"{"a":1}"#);
        assert_eq!(create.namespace(), NAMESPACE);

        let mut written = Vec::new();
        create.write_json(&mut written);
        assert_eq!(CreateCommandRequest::from_json(&written).unwrap(), create);
    }

    #[test]
    fn what_is_allowed_at_its_limit_passes() {
        for create in [
            request(),
            CreateCommandRequest { display_name: Some("ü".repeat(64)), ..request() },
            CreateCommandRequest { description: Some("d".repeat(2028)), ..request() },
            CreateCommandRequest { payload: payload(vec![0; 32_768], None), ..request() },
            CreateCommandRequest { payload: payload(Vec::new(), None), ..request() },
            CreateCommandRequest { namespace: Some("AWS-IoT".into()), ..request() },
            CreateCommandRequest {
                namespace: Some("AWS-IoT-FleetWise".into()),
                role_arn: Some("arn:aws:iam::123456789012:role/r".into()),
                payload: None,
                ..request()
            },
        ] {
            assert_eq!(create.validate(), Ok(()), "{create:?}");
        }
    }

    #[test]
    fn what_breaks_the_model_is_refused_by_name() {
        let text = |text: &str| Some(text.to_owned());
        let tag = |key: &str, value: Option<String>| Some(vec![Tag { key: key.into(), value }]);
        for (create, problem) in [
            (CreateCommandRequest::default(), "payload is missing"),
            (CreateCommandRequest { namespace: text("Foo"), ..request() }, "namespace is \"Foo\""),
            (CreateCommandRequest { display_name: text(&"x".repeat(65)), ..request() }, "displayName"),
            (CreateCommandRequest { display_name: text("a\nb"), ..request() }, "displayName"),
            (CreateCommandRequest { description: text(&"x".repeat(2029)), ..request() }, "description"),
            (
                CreateCommandRequest { payload: payload(vec![0; 32_769], None), ..request() },
                "payload.content",
            ),
            (
                CreateCommandRequest { payload: payload(vec![], Some("json")), ..request() },
                "payload.contentType",
            ),
            (CreateCommandRequest { payload: payload(vec![], Some("")), ..request() }, "payload.contentType"),
            (CreateCommandRequest { role_arn: text("arn:aws:iam::1:role/xxxxxx"), ..request() }, "roleArn"),
            (
                CreateCommandRequest { namespace: text("AWS-IoT-FleetWise"), ..request() },
                "roleArn is missing",
            ),
            (CreateCommandRequest { tags: tag("", None), ..request() }, "tags.Key"),
            (CreateCommandRequest { tags: tag("a\tb", None), ..request() }, "tags.Key"),
            (CreateCommandRequest { tags: tag("a", text(&"x".repeat(257))), ..request() }, "tags.Value"),
            (
                CreateCommandRequest { payload_template: text("{}"), ..request() },
                "payload and payloadTemplate exclude each other",
            ),
            (
                CreateCommandRequest { payload_template: text("{}"), payload: None, ..request() },
                "preprocessor is missing",
            ),
            (CreateCommandRequest { preprocessor: Some(JSON), ..request() }, "preprocessor is only for"),
            (
                CreateCommandRequest { mandatory_parameters: None, ..dynamic() },
                "mandatoryParameters is missing",
            ),
            (
                CreateCommandRequest { mandatory_parameters: Some(Vec::new()), ..dynamic() },
                "mandatoryParameters has a length of 0",
            ),
            (
                CreateCommandRequest { mandatory_parameters: declared("other"), ..dynamic() },
                "parameter `power` is used in payloadTemplate",
            ),
            (
                CreateCommandRequest { payload_template: text("{"), ..dynamic() },
                "payloadTemplate is not JSON",
            ),
            (
                CreateCommandRequest { payload_template: text("{}"), ..dynamic() },
                "payloadTemplate has no placeholder",
            ),
        ] {
            let refusal = create.validate().unwrap_err().to_string();
            assert!(refusal.starts_with(problem), "{refusal}, expected {problem}");
        }
        for body in
            ["[]", r#"{"payload":{}}"#, r#"{"payload":{"content":"%%"}}"#, r#"{"payload":{"content":1}}"#]
        {
            assert!(CreateCommandRequest::from_json(body.as_bytes()).is_err(), "{body}");
        }
    }

    const JSON: Preprocessor =
        Preprocessor { aws_json_substitution: AwsJsonSubstitution { output_format: OutputFormat::Json } };

    #[expect(clippy::unnecessary_wraps, reason = "it is a member's value")]
    fn declared(name: &str) -> Option<Vec<MandatoryParameter>> {
        Some(vec![MandatoryParameter { name: name.into(), ..MandatoryParameter::default() }])
    }

    fn dynamic() -> CreateCommandRequest {
        CreateCommandRequest {
            payload: None,
            payload_template: Some(r#"{"p":"${aws:iot:commandexecution::parameter:power}"}"#.into()),
            preprocessor: Some(JSON),
            mandatory_parameters: declared("power"),
            ..CreateCommandRequest::default()
        }
    }

    #[test]
    fn a_dynamic_command_is_read_as_boto3_writes_it() {
        let body = br#"{"payloadTemplate":"{\"p\":\"${aws:iot:commandexecution::parameter:power}\"}",
            "preprocessor":{"awsJsonSubstitution":{"outputFormat":"CBOR"}},
            "mandatoryParameters":[{"name":"power","type":"STRING","defaultValue":{"S":"OFF"},
            "valueConditions":[{"comparisonOperator":"IN_SET","operand":{"strings":["ON","OFF"]}}]}]}"#;
        let create = CreateCommandRequest::from_json(body).unwrap();
        assert_eq!(create.validate(), Ok(()));
        let (template, output) = create.template().unwrap().unwrap();
        assert_eq!((template.parameters(), output), (&["power".to_owned()][..], OutputFormat::Cbor));
        let mut written = Vec::new();
        create.write_json(&mut written);
        assert_eq!(CreateCommandRequest::from_json(&written).unwrap(), create);
        assert_eq!(dynamic().validate(), Ok(()));
        // Conditions of a static command's parameters are kept for its starts.
        let create = CreateCommandRequest { mandatory_parameters: declared("p"), ..request() };
        assert_eq!(create.validate(), Ok(()));
        for preprocessor in
            ["{}", r#"{"awsJsonSubstitution":{}}"#, r#"{"awsJsonSubstitution":{"outputFormat":"XML"}}"#]
        {
            let body = format!(r#"{{"preprocessor":{preprocessor}}}"#);
            assert!(CreateCommandRequest::from_json(body.as_bytes()).is_err(), "{preprocessor}");
        }
    }

    #[test]
    fn command_ids_have_64_characters_at_most() {
        for (command_id, is_sound) in
            [("c1", true), (&"x".repeat(64), true), (&"x".repeat(65), false), ("bad id!", false), ("", false)]
        {
            assert_eq!(check_command_id(command_id).is_ok(), is_sound, "{command_id}");
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is a member's value")]
    fn payload(content: Vec<u8>, content_type: Option<&str>) -> Option<CommandPayload> {
        Some(CommandPayload { content, content_type: content_type.map(str::to_owned) })
    }
}
