//! What AWS's own crates find out: region, credentials, and whose they are.

use std::error::Error;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_sts::error::{ProvideErrorMetadata as _, SdkError};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_types::service_config::ServiceConfigKey;
use hyper::Uri;

use crate::clock::Clock;
use crate::scenario::Credentials;

use super::AwsError;
use super::calls::{PATIENCE, answered};

const GET_CALLER_IDENTITY: &str = "sts:GetCallerIdentity";

/// HTTPS by rustls with ring.
pub(super) const TLS: Provider = Provider::Rustls(CryptoMode::Ring);

/// Where all AWS tools have their configuration from.
pub(super) struct Chain {
    config: SdkConfig,
}

impl Chain {
    /// Reads it; a region of the scenario goes before all others.
    pub async fn load(region: Option<&str>) -> Self {
        let client = Builder::new().tls_provider(TLS).build_https();
        let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
        let loader = match region {
            Some(region) => loader.region(Region::new(region.to_owned())),
            None => loader,
        };
        Self { config: loader.load().await }
    }

    /// The region.
    pub fn region(&self) -> Result<String, AwsError> {
        self.config.region().map(|region| region.as_ref().to_owned()).ok_or(AwsError::NoRegion)
    }

    /// The first credentials that a source has.
    pub async fn credentials(&self, clock: Clock) -> Result<Credentials, AwsError> {
        let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned());
        let none = |cause: String| AwsError::NoCredentials { cause, profile };
        let Some(provider) = self.config.credentials_provider() else {
            return Err(none("there is no provider".to_owned()));
        };
        // A `credential_process` may wait for somebody for ever.
        let asked = provider.provide_credentials();
        let keys = match clock.timeout_at(clock.now().plus(PATIENCE), asked).await {
            None => return Err(none(format!("no source has answered within {}s", PATIENCE.as_secs()))),
            Some(Ok(keys)) => keys,
            Some(Err(error)) => return Err(none(innermost(&error))),
        };
        Ok(Credentials {
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: keys.secret_access_key().to_owned(),
            session_token: keys.session_token().map(str::to_owned),
        })
    }

    /// The account that the credentials are of, if it is the expected one.
    pub async fn account(&self, expected: Option<&str>, clock: Clock) -> Result<String, AwsError> {
        let unanswered = |cause: String| AwsError::Unanswered { call: GET_CALLER_IDENTITY, cause };
        let asked = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send();
        let answer = match clock.timeout_at(clock.now().plus(PATIENCE), asked).await {
            None => return Err(unanswered(format!("none within {}s", PATIENCE.as_secs()))),
            Some(Ok(answer)) => answer,
            Some(Err(SdkError::ServiceError(refusal))) if refusal.raw().status().as_u16() < 500 => {
                let error = refusal.err();
                let name = error.code().unwrap_or("an error without a name");
                let status = refusal.raw().status().as_u16();
                return Err(answered(GET_CALLER_IDENTITY, status, name, error.message()));
            }
            Some(Err(error)) => return Err(unanswered(innermost(&error))),
        };
        let Some(theirs) = answer.account() else {
            return Err(unanswered("the answer names no account".to_owned()));
        };
        match expected {
            Some(ours) if ours != theirs => Err(AwsError::OtherAccount {
                ours: ours.to_owned(),
                theirs: theirs.to_owned(),
                arn: answer.arn().unwrap_or_default().to_owned(),
            }),
            _ => Ok(theirs.to_owned()),
        }
    }

    /// Where the control plane of AWS IoT is: where AWS_ENDPOINT_URL_IOT or AWS_ENDPOINT_URL (or the profile) says,
    /// else in the region.
    pub fn iot_url(&self, region: &str) -> Result<String, AwsError> {
        let key =
            ServiceConfigKey::builder().service_id("IoT").env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let own = match (self.config.service_config(), key.build()) {
            (Some(settings), Ok(key)) => settings.load_config(key),
            _ => None,
        };
        let own = own.or_else(|| self.config.endpoint_url().map(str::to_owned));
        if let Some(uri) = own.as_ref().and_then(|url| url.parse::<Uri>().ok())
            && (!matches!(uri.path(), "" | "/") || uri.query().is_some())
        {
            return Err(AwsError::EndpointPath { path: uri.path().to_owned() });
        }
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        Ok(own.unwrap_or_else(|| format!("https://iot.{region}.{domain}")))
    }
}

/// What lies at the ground of an error: the layers above say only that something failed.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut ground = error;
    while let Some(source) = ground.source() {
        ground = source;
    }
    ground.to_string()
}
