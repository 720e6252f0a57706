//! The probe: a canary device of each kind sees a command through every topic form that the run will use,
//! before the fleet connects.
//!
//! Brokers grant subscriptions that they do not serve, and bridges carry some topics and not others: a run
//! would then report every execution as lost, and nobody could say whose mistake it is. What a broker does may
//! depend on who asks: things or clients, with these credentials or those, in MQTT 3.1.1 or 5. The canary's
//! client is rumqttc's ([`canary`]), an opinion independent of the fleet's own. The embedded backend is not
//! probed: it is of the same build as the fleet, and every test of either is one of both.

mod canary;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Clock;
use crate::driver::{CallError, CommandsApi, HttpApi};
use crate::plan::Plan;
use crate::protocol::{ExecutionId, Format, StartNames, TargetKind, TargetName};
use crate::scenario::{Auth, Group, MqttVersion};
use crate::seed::{Purpose, Seed, Subject};

use super::commands::Patience;
use super::site::Site;
use canary::Canary;

/// Kinds of device that are tried; a scenario with more of them has them by the dozen, and each takes time.
const MOST_KINDS: usize = 4;

/// How long each step may take; a healthy broker needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// A time-out of the probe's executions that outlasts its steps.
const TIMEOUT_S: u32 = 60;

/// Why the target does not do what a run needs.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The canary could not connect or lost its connection.
    #[error("the probe's device cannot connect to mqtt://{broker} as those of group `{group}` do: {cause}")]
    Connect {
        /// The first group of its kind.
        group: String,
        /// The broker's address.
        broker: String,
        /// What rumqttc says.
        cause: String,
    },
    /// The broker said no to a subscription.
    #[error(
        "the broker at mqtt://{broker} refuses the subscription to {filter} to a device like those of group \
         `{group}`; let devices subscribe to it"
    )]
    Subscription {
        /// The first group of its kind.
        group: String,
        /// The broker's address.
        broker: String,
        /// What was asked for.
        filter: String,
    },
    /// The API did not start the probe's execution.
    #[error("the probe cannot start an execution of the command `{command}`: {cause}")]
    Start {
        /// The command.
        command: String,
        /// What the API says.
        cause: CallError,
    },
    /// The broker said nothing to a subscription.
    #[error(
        "the broker at mqtt://{broker} did not answer the subscription to {filter} of a device like those of group \
         `{group}` within {}s; let it answer SUBSCRIBE, or run with --no-probe",
        PATIENCE.as_secs()
    )]
    Unanswered {
        /// The first group of its kind.
        group: String,
        /// The broker's address.
        broker: String,
        /// The first that was asked for.
        filter: String,
    },
    /// Something did not come.
    #[error(
        "the probe waited {}s for {what} on {topic}, which the broker at mqtt://{broker} had granted to a device like \
         those of group `{group}` and did not serve; let the broker and the backend carry these topics, or run with \
         --no-probe",
        PATIENCE.as_secs()
    )]
    Silence {
        /// The first group of its kind.
        group: String,
        /// What was waited for.
        what: &'static str,
        /// Where.
        topic: String,
        /// The broker's address.
        broker: String,
    },
}

/// Sees each form of topic through once with a device of each kind; the groups whose kinds were too many.
pub(super) async fn probe(site: &Site, plan: &Plan, clock: Clock) -> Result<Vec<String>, ProbeError> {
    let Some(broker) = site.mqtt.socket() else { return Ok(Vec::new()) };
    let scenario = plan.scenario();
    let mut forms = BTreeMap::new();
    for (number, workload) in (0u16..).zip(&scenario.workloads) {
        // What a command that exists holds, only its requests will show.
        if let Some(content_type) = workload.command.content_type() {
            let format = Format::of_content_type(content_type);
            forms.entry(format).or_insert((number, workload.command.name.as_str()));
        }
    }
    let (tried, untried) = kinds(&scenario.groups);
    let mut api = HttpApi::new(&site.http_data, scenario.target.region(), clock);
    let patience = Patience::new(scenario, &site.http_data.host, clock);
    for group in tried {
        // An identifier of its own: those of the fleet may connect again only after a while (AWS: a second). Of
        // chance, because other processes may probe the same target now.
        let chance = Seed::random();
        let name = format!("fleetsim-canary-{:012x}", chance.0);
        let mut canary = Canary::connect(name, group, broker, clock).await?;
        for (number, (format, (workload, command))) in (0..).zip(&forms) {
            let names = StartNames {
                target: TargetName {
                    region: scenario.target.region(),
                    account: scenario.target.account(),
                    kind: canary.kind,
                    name: &canary.name,
                },
                command_region: scenario.target.region(),
                command_account: scenario.target.account(),
                command_id: command,
                timeout_seconds: TIMEOUT_S,
            };
            let token = chance.at(Purpose::ClientToken, Subject::new("probe", 0), number).uuid();
            let token = ExecutionId::from_uuid(token);
            let parameters = plan.parameters(*workload, 0);
            let id = patience.with(api.start(&names, parameters.as_ref(), &token)).await;
            let id = id.map_err(|cause| ProbeError::Start { command: (*command).to_owned(), cause })?;
            canary.see_through(&id, *format).await?;
        }
        canary.leave().await;
    }
    Ok(untried)
}

/// What a broker may tell apart: as what commands go to a device, who it says it is, and which MQTT it speaks.
type Kind<'a> = (TargetKind, Option<&'a Auth>, MqttVersion);

/// The first group of each kind, as many as are tried, and the names of those that are the first of another.
fn kinds(groups: &[Group]) -> (Vec<&Group>, Vec<String>) {
    let mut seen: Vec<Kind<'_>> = Vec::new();
    let (mut tried, mut untried) = (Vec::new(), Vec::new());
    for group in groups {
        let kind = (group.address, group.connect.auth.as_ref(), group.connect.mqtt);
        if seen.contains(&kind) {
            continue;
        }
        seen.push(kind);
        if tried.len() < MOST_KINDS { tried.push(group) } else { untried.push(group.name.clone()) }
    }
    (tried, untried)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Variables, parse};

    #[test]
    fn one_group_of_each_kind_is_tried_and_who_is_left_out_is_said() {
        let connects = [
            "",
            "address: client, ",
            "connect: { mqtt: \"5\" }, ",
            "connect: { keep_alive: 30s }, ",
            "connect: { auth: { username: a, password: x } }, ",
            "connect: { auth: { username: a, password: y } }, ",
            "connect: { auth: { username: a, password: x }, mqtt: \"3.1.1\" }, ",
            "connect: { auth: { username: b, password: x } }, ",
        ];
        let groups = connects.iter().zip(0..).map(|(connect, number)| {
            format!("  g{number}: {{ count: 5, {connect}behavior: {{ delay: 1ms }} }}\n")
        });
        let text = format!(
            "version: 1\nname: k\ngroups:\n{}workloads: {{ w: {{ command: {{ name: c }}, load: {{ once: {{}} }} }} }}\n",
            groups.collect::<String>()
        );
        let scenario = parse("k", &text, &Variables::default()).unwrap_or_else(|p| panic!("{p}"));
        let (tried, untried) = kinds(&scenario.groups);
        let tried: Vec<&str> = tried.iter().map(|group| group.name.as_str()).collect();
        assert_eq!((tried, untried), (vec!["g0", "g1", "g2", "g4"], vec!["g5".to_owned(), "g7".to_owned()]));
    }
}
