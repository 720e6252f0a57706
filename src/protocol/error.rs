//! The errors of the HTTP operations: their names, statuses and bodies, and reading them back.

use serde::{Deserialize, Serialize};

use super::wire::{self, Object, Text};
use super::{InvalidArn, InvalidId};

/// Which service an operation belongs to; it decides some statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `iot`: everything but StartCommandExecution.
    Iot,
    /// `iot-jobs-data`: StartCommandExecution.
    JobsData,
}

/// The error shapes that the operations share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The request breaks a rule of the model.
    Validation,
    /// Too many requests.
    Throttling,
    /// More things than there may be.
    ServiceQuotaExceeded,
    /// No such command or execution.
    ResourceNotFound,
    /// It exists already, or is in a state that does not allow this.
    Conflict,
    /// The server's own fault.
    InternalServer,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [ErrorKind; 6] = [
        ErrorKind::Validation,
        ErrorKind::Throttling,
        ErrorKind::ServiceQuotaExceeded,
        ErrorKind::ResourceNotFound,
        ErrorKind::Conflict,
        ErrorKind::InternalServer,
    ];

    /// The shape's name.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorKind::Validation => "ValidationException",
            ErrorKind::Throttling => "ThrottlingException",
            ErrorKind::ServiceQuotaExceeded => "ServiceQuotaExceededException",
            ErrorKind::ResourceNotFound => "ResourceNotFoundException",
            ErrorKind::Conflict => "ConflictException",
            ErrorKind::InternalServer => "InternalServerException",
        }
    }

    /// The HTTP status. Throttling is 400 on `iot` and 429 on `iot-jobs-data`.
    pub const fn status(self, service: Service) -> u16 {
        match (self, service) {
            (ErrorKind::Validation, _) | (ErrorKind::Throttling, Service::Iot) => 400,
            (ErrorKind::ServiceQuotaExceeded, _) => 402,
            (ErrorKind::ResourceNotFound, _) => 404,
            (ErrorKind::Conflict, _) => 409,
            (ErrorKind::Throttling, Service::JobsData) => 429,
            (ErrorKind::InternalServer, _) => 500,
        }
    }
}

/// An error as an operation answers with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.name())]
pub struct ApiError {
    /// Its shape.
    pub kind: ErrorKind,
    /// What is wrong, for people.
    pub message: String,
    /// What a ConflictException is about.
    pub resource_id: Option<String>,
}

impl ApiError {
    /// An error without a resource.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), resource_id: None }
    }

    /// A ConflictException about `resource_id`.
    pub fn conflict(message: impl Into<String>, resource_id: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Conflict, message: message.into(), resource_id: Some(resource_id.into()) }
    }

    /// Appends the JSON body, `{"message":"…"}` and for a conflict `resourceId`.
    pub fn write_body(&self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            resource_id: Option<&'a str>,
        }
        wire::write(out, &Body { message: &self.message, resource_id: self.resource_id.as_deref() });
    }
}

/// A request that breaks a rule of the model. Answered as ValidationException.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShape {
    /// The body is no JSON object with the right types.
    #[error("request body: {problem}")]
    Body {
        /// Where and what.
        problem: String,
    },
    /// A required member, or one of several, is not there.
    #[error("{member} is missing")]
    Missing {
        /// Which.
        member: &'static str,
    },
    /// A text, list, map or blob is too short or too long.
    #[error("{member} has a length of {actual}, expected {expected}")]
    Length {
        /// Which.
        member: &'static str,
        /// Characters, entries or bytes.
        actual: usize,
        /// The allowed lengths.
        expected: &'static str,
    },
    /// A parameter, declared or given, is not what it can be.
    #[error("parameter `{name}` {problem}")]
    Parameter {
        /// Which, cut after its longest possible name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A template cannot be filled in.
    #[error("payloadTemplate {0}")]
    Template(#[from] super::InvalidTemplate),
    /// What a template and its parameters give is too large.
    #[error(transparent)]
    Rendered(#[from] super::TooLarge),
    /// A value is not one of those allowed.
    #[error("{member} is \"{value}\", expected {expected}")]
    Value {
        /// Which.
        member: &'static str,
        /// What was given, cut after 160 characters.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// Members that cannot stand together, or here.
    #[error("{problem}")]
    Combination {
        /// Which, and what to do instead.
        problem: &'static str,
    },
    /// Something of the service that this backend does not do yet.
    #[error("{feature} is not supported yet")]
    NotYet {
        /// What.
        feature: &'static str,
    },
    /// An id that is none.
    #[error("{member}: {source}")]
    Id {
        /// Which member.
        member: &'static str,
        /// The rule.
        source: InvalidId,
    },
    /// An ARN that is none.
    #[error("{member}: {source}")]
    Arn {
        /// Which member.
        member: &'static str,
        /// The rule.
        source: InvalidArn,
    },
}

impl InvalidShape {
    /// A [`InvalidShape::Value`] with the value cut to a readable length.
    pub(super) fn value(member: &'static str, value: &str, expected: &'static str) -> Self {
        InvalidShape::Value { member, value: value.chars().take(160).collect(), expected }
    }
}

impl From<InvalidShape> for ApiError {
    fn from(invalid: InvalidShape) -> Self {
        ApiError::new(ErrorKind::Validation, invalid.to_string())
    }
}

/// The error's name and message from a reply with a status of 300 or more, as AWS's SDKs read them.
///
/// The name is that of the `x-amzn-ErrorType` header without a `:…` suffix, else that of the body's
/// `__type` or `code` without its namespace, else the status in digits; the message is `message` or
/// `Message`, else empty.
pub fn error_name(status: u16, header: Option<&str>, body: &[u8]) -> (String, String) {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, rename = "__type")]
        shape: Option<Text<'a>>,
        #[serde(borrow)]
        code: Option<Text<'a>>,
        #[serde(borrow)]
        message: Option<Text<'a>>,
        #[serde(borrow, rename = "Message")]
        capital: Option<Text<'a>>,
    }
    let body = serde_json::from_slice::<Object<Body<'_>>>(body).ok().map(|object| object.0);
    let (in_body, message) = match body {
        Some(Body { shape, code, message, capital }) => (shape.or(code), message.or(capital)),
        None => (None, None),
    };
    let name = header.map(bare_name).filter(|name| !name.is_empty()).map(str::to_owned);
    let name =
        name.or_else(|| in_body.map(|text| bare_name(&text.0).to_owned()).filter(|name| !name.is_empty()));
    (name.unwrap_or_else(|| status.to_string()), message.map(|text| text.0.into_owned()).unwrap_or_default())
}

/// `ns#Name:http://…` → `Name`.
fn bare_name(text: &str) -> &str {
    let text = text.split(':').next().unwrap_or_default();
    text.rsplit('#').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_follow_the_service_models() {
        for (kind, name, iot, jobs_data) in [
            (ErrorKind::Validation, "ValidationException", 400, 400),
            (ErrorKind::Throttling, "ThrottlingException", 400, 429),
            (ErrorKind::ServiceQuotaExceeded, "ServiceQuotaExceededException", 402, 402),
            (ErrorKind::ResourceNotFound, "ResourceNotFoundException", 404, 404),
            (ErrorKind::Conflict, "ConflictException", 409, 409),
            (ErrorKind::InternalServer, "InternalServerException", 500, 500),
        ] {
            assert_eq!(kind.name(), name);
            assert_eq!(
                (kind.status(Service::Iot), kind.status(Service::JobsData)),
                (iot, jobs_data),
                "{name}"
            );
        }
    }

    #[test]
    fn replies_are_named_as_boto3_names_them() {
        let check = |header: Option<&str>, body: &str, expected: (&str, &str)| {
            let (name, message) = error_name(400, header, body.as_bytes());
            assert_eq!((name.as_str(), message.as_str()), expected, "{header:?} {body}");
        };
        let not_found = "ResourceNotFoundException";
        check(Some(not_found), r#"{"message":"no"}"#, (not_found, "no"));
        check(Some("ResourceNotFoundException:http://x/y"), r#"{"message":"no"}"#, (not_found, "no"));
        check(None, r#"{"__type":"ns#ValidationException","message":"m"}"#, ("ValidationException", "m"));
        check(None, r#"{"code":"ValidationException","Message":"m"}"#, ("ValidationException", "m"));
        check(Some("A"), r#"{"__type":"B"}"#, ("A", ""));
        check(Some(""), r#"{"__type":"B"}"#, ("B", ""));
        check(None, r#"{"message":"m"}"#, ("400", "m"));
        check(None, r#"["x"]"#, ("400", ""));
        check(None, "<html>", ("400", ""));
        check(None, "", ("400", ""));
    }

    #[test]
    fn bodies_have_a_lower_case_message() {
        let mut body = Vec::new();
        ApiError::new(ErrorKind::Validation, "bad \"id\"").write_body(&mut body);
        assert_eq!(String::from_utf8(body).unwrap(), r#"{"message":"bad \"id\""}"#);
        let mut body = Vec::new();
        ApiError::conflict("there is one", "c1").write_body(&mut body);
        assert_eq!(String::from_utf8(body).unwrap(), r#"{"message":"there is one","resourceId":"c1"}"#);
    }

    proptest::proptest! {
        #[test]
        fn no_reply_makes_the_reader_panic(status: u16, header in proptest::option::of("\\PC*"), body: Vec<u8>) {
            let _ = error_name(status, header.as_deref(), &body);
        }
    }
}
