//! Which service a `POST /command-executions` is for: it is two operations at one path.
//!
//! The credential scope of the signature says so, in the header or (presigned) in the query. Where a
//! request is not signed, the host name may tell; else whether the body names a target and a command,
//! which ListCommandExecutions forbids.

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::protocol::Service;

/// The service of a request to `/command-executions`.
pub(super) fn of_executions(parts: &Parts, body: &[u8]) -> Service {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let in_header = header(AUTHORIZATION).and_then(of_authorization);
    let in_query = || parts.uri.query().and_then(of_query);
    let in_host = || header(HOST).or_else(|| parts.uri.host()).and_then(of_host);
    in_header.or_else(in_query).or_else(in_host).unwrap_or_else(|| of_body(body))
}

/// `AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, SignedHeaders=…`
fn of_authorization(value: &str) -> Option<Service> {
    let (_, rest) = value.split_once("Credential=")?;
    of_scope(rest.split([',', ' ']).next()?)
}

/// `X-Amz-Credential=<key>%2F<date>%2F<region>%2F<service>%2Faws4_request`
fn of_query(query: &str) -> Option<Service> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("X-Amz-Credential="))?;
    // Only slashes are escaped in a credential.
    of_scope(&value.replace("%2F", "/").replace("%2f", "/"))
}

/// The service stands before the last word; in SigV4a there is no region before it.
fn of_scope(scope: &str) -> Option<Service> {
    match scope.rsplit('/').nth(1)? {
        "iot-jobs-data" => Some(Service::JobsData),
        "iot" => Some(Service::Iot),
        _ => None,
    }
}

/// `data.jobs.iot.<region>.amazonaws.com` or the account's `<prefix>.jobs.iot.<region>…`
fn of_host(host: &str) -> Option<Service> {
    (host.starts_with("data.jobs.iot.") || host.contains(".jobs.iot.")).then_some(Service::JobsData)
}

fn of_body(body: &[u8]) -> Service {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Arns {
        target_arn: Option<IgnoredAny>,
        command_arn: Option<IgnoredAny>,
    }
    match serde_json::from_slice(body) {
        Ok(Arns { target_arn: Some(_), command_arn: Some(_) }) => Service::JobsData,
        _ => Service::Iot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[test]
    fn start_and_list_are_told_apart() {
        const ISSUED: &str = "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1";
        const BOTH: &str = r#"{"targetArn":"t","commandArn":"c"}"#;
        let signed =
            |service: &str| format!("{ISSUED}/{service}/aws4_request, SignedHeaders=host, Signature=0");
        let check = |authorization: &str, query: &str, host: &str, body: &str, expected: Service| {
            let request = Request::post(format!("/command-executions{query}")).header("host", host);
            let request = if authorization.is_empty() {
                request
            } else {
                request.header("authorization", authorization)
            };
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let found = of_executions(&parts, body.as_bytes());
            assert_eq!(found, expected, "{authorization} {query} {host} {body}");
        };
        // The signature decides, whatever the rest says.
        check(&signed("iot-jobs-data"), "", "localhost", "{}", Service::JobsData);
        check(&signed("iot"), "", "data.jobs.iot.us-east-1.amazonaws.com", BOTH, Service::Iot);
        let v4a =
            "AWS4-ECDSA-P256-SHA256 Credential=AKID/20261122/iot-jobs-data/aws4_request, SignedHeaders=host";
        check(v4a, "", "localhost", "{}", Service::JobsData);
        let presigned =
            "?X-Amz-Algorithm=A&X-Amz-Credential=AKID%2F20261122%2Fus-east-1%2Fiot-jobs-data%2Faws4_request";
        check("", presigned, "localhost", "{}", Service::JobsData);
        check("", &presigned.replace("iot-jobs-data", "iot"), "localhost", BOTH, Service::Iot);
        // Unsigned, or signed for something else.
        check("", "", "data.jobs.iot.us-east-1.amazonaws.com", "{}", Service::JobsData);
        check("", "", "a1b2.jobs.iot.us-east-1.amazonaws.com", "{}", Service::JobsData);
        check("", "", "localhost:8080", BOTH, Service::JobsData);
        check(&signed("execute-api"), "", "localhost:8080", BOTH, Service::JobsData);
        check("Bearer x", "", "localhost:8080", r#"{"targetArn":"t"}"#, Service::Iot);
        check("", "", "localhost:8080", "", Service::Iot);
        check("Credential=", "?X-Amz-Credential=", "", "[", Service::Iot);
    }
}
