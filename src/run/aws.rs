//! The way to AWS up to the fleet's first connection: consent to what it will cost, credentials and region from where
//! all AWS tools have them, the account they are of, and the account's endpoints.
//!
//! Whatever is in the way names what is needed and how to give it. Devices themselves cannot connect yet: AWS IoT
//! takes MQTT over TLS alone, which the fleet does not speak.

#[cfg(feature = "aws")]
mod calls;
#[cfg(feature = "aws")]
mod chain;

use crate::clock::Clock;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::scenario::{Aws, Target};
use crate::units::human_count;

/// Why a run against AWS does not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AwsError {
    /// It would need more messages than the scenario allows.
    #[error(
        "this needs about {} messages, and `target.aws.max_messages` allows {}: make the fleet or the load smaller \
         (e.g. --scale 0.1), or allow more", human_count(*.needed), human_count(*.allowed)
    )]
    TooManyMessages {
        /// By its plan.
        needed: u64,
        /// By the scenario.
        allowed: u64,
    },
    /// Nobody has agreed to it.
    #[error("a run against AWS costs money and needs your consent: --yes-aws")]
    NoConsent,
    /// The program was built without this.
    #[error(
        "this fleetsim was built without its feature `aws`, which `target.aws` needs: build it with default features"
    )]
    NotBuilt,
    /// No source has credentials.
    #[error(
        "no AWS credentials: {cause}. Tried in this order: the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), \
         the profile {profile} in the AWS files, web identity, the container's and the instance's role. Give some, e.g. \
         with `aws configure`; an SSO session is exported by `eval \"$(aws configure export-credentials --format env)\"`"
    )]
    NoCredentials {
        /// What the chain says.
        cause: String,
        /// The profile that was looked for.
        profile: String,
    },
    /// No source has a region.
    #[error(
        "no AWS region: set `target.aws.region` in the scenario, or AWS_REGION in the environment (or `region` of the \
         profile)"
    )]
    NoRegion,
    /// The credentials are of another account than the scenario is meant for.
    #[error(
        "the credentials are of account {theirs} ({arn}), but `target.aws.account` is {ours}: take the credentials of \
         {ours} (AWS_PROFILE), or correct `target.aws.account`"
    )]
    OtherAccount {
        /// In the scenario.
        ours: String,
        /// Of the credentials.
        theirs: String,
        /// Who they are.
        arn: String,
    },
    /// AWS says no.
    #[error(
        "AWS refuses {call}: {cause}; these credentials need the permission for it, or others are needed"
    )]
    Refused {
        /// The call.
        call: &'static str,
        /// What AWS says.
        cause: String,
    },
    /// Nothing that can be understood comes back.
    #[error(
        "no answer from AWS to {call}: {cause}; look at the network, the region, and AWS_ENDPOINT_URL if it is set"
    )]
    Unanswered {
        /// The call.
        call: &'static str,
        /// Why.
        cause: String,
    },
    /// An address that signatures would not fit.
    #[error(
        "AWS_ENDPOINT_URL (or `endpoint_url` of the profile) has a path, {path}, which requests are not signed for: \
         give a scheme, a host and a port only"
    )]
    EndpointPath {
        /// Behind host and port.
        path: String,
    },
    /// The end of the way.
    #[error(
        "all is in order up to the devices' connections (account {account}, region {region}, devices at {mqtt}, starts at \
         {jobs}), and there it ends: AWS IoT takes MQTT over TLS alone, which the devices of this fleetsim do not \
         speak yet. No message was sent. The same scenario runs with --target embedded"
    )]
    NoTls {
        /// Of the credentials.
        account: String,
        /// The scenario's, or that of the environment.
        region: String,
        /// The host that devices would connect to.
        mqtt: String,
        /// The host that executions would be started at.
        jobs: String,
    },
}

impl AwsError {
    /// How the program ends by it.
    pub const fn exit(&self) -> Exit {
        match self {
            AwsError::TooManyMessages { .. } => Exit::Data,
            AwsError::NoConsent
            | AwsError::NoCredentials { .. }
            | AwsError::NoRegion
            | AwsError::OtherAccount { .. }
            | AwsError::Refused { .. } => Exit::NoPermission,
            AwsError::NotBuilt
            | AwsError::Unanswered { .. }
            | AwsError::EndpointPath { .. }
            | AwsError::NoTls { .. } => Exit::Unavailable,
        }
    }
}

/// Whether so many runs of this plan may begin: what they need is allowed and, if they are against AWS, agreed to. No
/// network.
pub fn agree(plan: &Plan, times: u32, yes: bool) -> Result<(), AwsError> {
    within_bounds(plan, times)?;
    match plan.scenario().target {
        Target::Aws(_) if !yes => Err(AwsError::NoConsent),
        _ => Ok(()),
    }
}

/// Whether so many runs of a plan need no more messages than its scenario allows.
pub fn within_bounds(plan: &Plan, times: u32) -> Result<(), AwsError> {
    let Target::Aws(aws) = &plan.scenario().target else { return Ok(()) };
    let (needed, allowed) = (plan.messages().total().saturating_mul(times.into()), aws.max_messages);
    if needed > allowed { Err(AwsError::TooManyMessages { needed, allowed }) } else { Ok(()) }
}

/// Goes as far as a run can today, and says why no further.
#[cfg(feature = "aws")]
pub(super) async fn approach(aws: &Aws, clock: Clock) -> AwsError {
    match reach(aws, clock).await {
        Ok(reached) | Err(reached) => reached,
    }
}

/// Nothing is built in.
#[cfg(not(feature = "aws"))]
pub(super) async fn approach(_: &Aws, _: Clock) -> AwsError {
    AwsError::NotBuilt
}

#[cfg(feature = "aws")]
async fn reach(aws: &Aws, clock: Clock) -> Result<AwsError, AwsError> {
    let chain = chain::Chain::load(aws.region.as_deref()).await;
    let region = chain.region()?;
    let url = chain.iot_url(&region)?;
    let credentials = chain.credentials(clock).await?;
    let account = chain.account(aws.account.as_deref(), clock).await?;
    let control = calls::Control::new(&url, &region, &credentials, clock);
    let mqtt = match &aws.endpoint {
        Some(host) => host.clone(),
        None => control.endpoint("iot:Data-ATS").await?,
    };
    let jobs = control.endpoint("iot:Jobs").await?;
    Ok(AwsError::NoTls { account, region, mqtt, jobs })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::{Variables, parse};
    use crate::seed::Seed;

    fn plan(target: &str) -> Plan {
        let text = format!(
            "version: 1\nname: x\ntarget: {target}\ngroups: {{ a: {{ count: 10, behavior: {{ delay: 1s }} }} }}\n\
             workloads:\n  w: {{ command: {{ name: c }}, load: {{ once: {{}} }} }}\n"
        );
        let scenario =
            parse("x.yaml", &text, &Variables::default()).unwrap_or_else(|problems| panic!("{problems}"));
        Plan::new(Arc::new(scenario), Seed(7))
    }

    #[test]
    fn a_run_that_needs_too_much_is_refused_with_both_figures() {
        // Ten connects and subscribes, and three messages for each of ten executions.
        let refused = agree(&plan("{ aws: { max_messages: 49 } }"), 1, true).unwrap_err();
        assert_eq!(refused, AwsError::TooManyMessages { needed: 50, allowed: 49 });
        assert_eq!(refused.exit(), Exit::Data);
        assert!(
            refused.to_string().contains("about 50 messages") && refused.to_string().contains("allows 49")
        );
        assert_eq!(agree(&plan("{ aws: { max_messages: 50 } }"), 1, true), Ok(()));
        // Three runs need three times as many.
        assert!(agree(&plan("{ aws: { max_messages: 50 } }"), 3, true).is_err());
    }

    #[test]
    fn only_aws_needs_consent() {
        assert_eq!(agree(&plan("{ aws: { max_messages: 50 } }"), 1, false), Err(AwsError::NoConsent));
        assert_eq!(AwsError::NoConsent.exit(), Exit::NoPermission);
        assert_eq!(agree(&plan("{ embedded: {} }"), 1, false), Ok(()));
    }
}
