//! The one call of the control plane that has to be made before there is an API to connect to.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http_body_util::{BodyExt as _, Limited};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use serde::Deserialize;

use crate::clock::Clock;
use crate::driver::Authorization;
use crate::protocol::{self, Service};
use crate::scenario::Credentials;

use super::AwsError;
use super::chain::{TLS, innermost};

/// How long a call may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// An answer is some hundred bytes.
const MAX_ANSWER: usize = 64 * 1024;

const DESCRIBE_ENDPOINT: &str = "iot:DescribeEndpoint";

/// What an answer that is an error means: no, or not now. Some services say the latter with 400.
pub(super) fn answered(call: &'static str, status: u16, name: &str, message: Option<&str>) -> AwsError {
    let cause = message.map_or_else(|| name.to_owned(), |message| format!("{name}: {message}"));
    let is_busy =
        name.contains("Throttl") || ["TooManyRequestsException", "RequestLimitExceeded"].contains(&name);
    if status < 500 && status != 429 && !is_busy {
        AwsError::Refused { call, cause }
    } else {
        AwsError::Unanswered { call, cause }
    }
}

/// The control plane of AWS IoT.
pub(super) struct Control {
    connector: Connector,
    url: String,
    authorization: Authorization,
    clock: Clock,
}

/// What DescribeEndpoint answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    endpoint_address: String,
}

impl Control {
    /// At `url`, which has no path.
    pub fn new(url: &str, region: &str, credentials: &Credentials, clock: Clock) -> Self {
        let connector = Connector::builder().tls_provider(TLS).build();
        let authorization = Authorization::new(Some(credentials), region, clock);
        Self { connector, url: url.trim_end_matches('/').to_owned(), authorization, clock }
    }

    /// DescribeEndpoint: the account's host for a kind of traffic.
    pub async fn endpoint(&self, kind: &str) -> Result<String, AwsError> {
        let unanswered = |cause: String| AwsError::Unanswered { call: DESCRIBE_ENDPOINT, cause };
        let asked = self.ask(format!("/endpoint?endpointType={}", kind.replace(':', "%3A")));
        let until = self.clock.now().plus(PATIENCE);
        let (status, kind, body) = match self.clock.timeout_at(until, asked).await {
            None => return Err(unanswered(format!("none within {}s", PATIENCE.as_secs()))),
            Some(answer) => answer.map_err(unanswered)?,
        };
        if (200..300).contains(&status) {
            let described: Described =
                serde_json::from_slice(&body).map_err(|error| unanswered(error.to_string()))?;
            return Ok(described.endpoint_address);
        }
        let (name, message) = protocol::error_name(status, kind.as_deref(), &body);
        Err(answered(DESCRIBE_ENDPOINT, status, &name, Some(&message)))
    }

    /// Status, name of the error if it is one, and body.
    async fn ask(&self, path: String) -> Result<(u16, Option<String>, Vec<u8>), String> {
        let url = format!("{}{path}", self.url);
        let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let host = uri.authority().ok_or_else(|| format!("{url} names no host"))?;
        let mut headers = HeaderMap::new();
        let host = HeaderValue::try_from(host.as_str()).map_err(|error| format!("{url}: {error}"))?;
        headers.insert(HOST, host);
        self.authorization
            .add(Service::Iot, &Method::GET, &path, &mut headers, &[])
            .map_err(|error| error.to_string())?;
        let mut request = HttpRequest::get(&url).map_err(|error| innermost(&error))?;
        for (name, value) in &headers {
            let value = value.to_str().map_err(|error| error.to_string())?.to_owned();
            request
                .headers_mut()
                .try_insert(name.as_str().to_owned(), value)
                .map_err(|error| innermost(&error))?;
        }
        let answer = self.connector.call(request).await.map_err(|error| innermost(&error))?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("x-amzn-errortype").map(str::to_owned);
        let body = Limited::new(answer.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        Ok((status, kind, body.to_bytes().to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn to_be_asked_too_often_is_no_missing_permission() {
        for (status, name, exit) in [
            (403, "AccessDeniedException", Exit::NoPermission),
            (400, "InvalidClientTokenId", Exit::NoPermission),
            (400, "ThrottlingException", Exit::Unavailable),
            (400, "Throttling", Exit::Unavailable),
            (400, "RequestLimitExceeded", Exit::Unavailable),
            (429, "429", Exit::Unavailable),
            (503, "ServiceUnavailableException", Exit::Unavailable),
        ] {
            assert_eq!(answered("iot:X", status, name, Some("why")).exit(), exit, "{status} {name}");
        }
    }
}
