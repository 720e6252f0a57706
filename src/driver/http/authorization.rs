//! What the `Authorization` header of a request says: a signature where somebody checks it, its scope alone where
//! nobody does.
//!
//! The scope is how the service tells StartCommandExecution from ListCommandExecutions on one path. A signature costs
//! two dozen hashes (`cargo bench --bench signing`), so requests that need none carry none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials as Keys;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use hyper::Method;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::clock::Clock;
use crate::protocol::Service;
use crate::scenario::Credentials;

/// Why a request cannot be signed; only values that no header can hold are in the way.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed: {0}")]
pub struct CannotSign(String);

/// How requests of one caller are authorized.
#[derive(Debug)]
pub enum Authorization {
    /// The scope without a signature, of each service.
    Scope {
        /// Of `iot`.
        iot: HeaderValue,
        /// Of `iot-jobs-data`.
        jobs_data: HeaderValue,
    },
    /// Signed.
    Signature(Box<Signer>),
}

impl Authorization {
    /// Signatures of these credentials, or none.
    pub fn new(credentials: Option<&Credentials>, region: &str, clock: Clock) -> Self {
        if let Some(credentials) = credentials {
            return Self::Signature(Box::new(Signer::new(credentials, region, clock)));
        }
        let date = scope_date(clock);
        let scope = |service: Service| {
            let text = format!(
                "AWS4-HMAC-SHA256 Credential=fleetsim/{date}/{region}/{}/aws4_request, \
                 SignedHeaders=host, Signature=unsigned",
                signing_name(service)
            );
            HeaderValue::try_from(text).expect("the scenario check lets only plain regions through")
        };
        Self::Scope { iot: scope(Service::Iot), jobs_data: scope(Service::JobsData) }
    }

    /// Adds what the service wants to see to the headers of a request, which are otherwise complete.
    pub fn add(
        &self,
        service: Service,
        method: &Method,
        path: &str,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<(), CannotSign> {
        match (self, service) {
            (Self::Scope { iot, .. }, Service::Iot) => {
                headers.insert(AUTHORIZATION, iot.clone());
            }
            (Self::Scope { jobs_data, .. }, Service::JobsData) => {
                headers.insert(AUTHORIZATION, jobs_data.clone());
            }
            (Self::Signature(signer), service) => {
                signer.sign(signing_name(service), method, path, headers, body)?;
            }
        }
        Ok(())
    }
}

/// By which a service knows signatures that are meant for it.
const fn signing_name(service: Service) -> &'static str {
    match service {
        Service::Iot => "iot",
        Service::JobsData => "iot-jobs-data",
    }
}

/// Signs requests with AWS Signature Version 4.
#[derive(Debug)]
pub struct Signer {
    /// Shows its credentials to nobody, not even in debug output.
    identity: Identity,
    region: String,
    clock: Clock,
}

impl Signer {
    fn new(credentials: &Credentials, region: &str, clock: Clock) -> Self {
        let Credentials { access_key_id, secret_access_key, session_token } = credentials;
        let keys = Keys::new(access_key_id, secret_access_key, session_token.clone(), None, "scenario");
        Self { identity: keys.into(), region: region.to_owned(), clock }
    }

    fn sign(
        &self,
        name: &'static str,
        method: &Method,
        path: &str,
        headers: &mut HeaderMap,
        body: &[u8],
    ) -> Result<(), CannotSign> {
        let fails = |cause: SigningError| CannotSign(cause.to_string());
        let parameters = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(name)
            .time(wall_time(self.clock))
            .settings(SigningSettings::default())
            .build()
            .map_err(|cause| CannotSign(cause.to_string()))?
            .into();
        // All headers are signed: none but ours stand in the request yet, and each is plain text.
        let plain = headers.iter().filter_map(|(key, value)| Some((key.as_str(), value.to_str().ok()?)));
        let request =
            SignableRequest::new(method.as_str(), path, plain, SignableBody::Bytes(body)).map_err(fails)?;
        let (instructions, _) = sign(request, &parameters).map_err(fails)?.into_parts();
        let (signed, _) = instructions.into_parts();
        for header in signed {
            let mut value = HeaderValue::try_from(header.value()).map_err(|_| {
                CannotSign(format!("the header {} would hold control characters", header.name()))
            })?;
            value.set_sensitive(header.sensitive());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}

/// Where the signature's time comes from; services take it if theirs is within minutes of it.
fn wall_time(clock: Clock) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(clock.wall_micros(clock.now()))
}

/// `YYYYMMDD`, as the credential scope wants it.
fn scope_date(clock: Clock) -> String {
    humantime::format_rfc3339_seconds(wall_time(clock))
        .to_string()
        .chars()
        .take(10)
        .filter(char::is_ascii_digit)
        .collect()
}
