//! The probe: one canary device sees a command through every topic form that the run will use, before the
//! fleet connects.
//!
//! Brokers grant subscriptions that they do not serve, and bridges carry some topics and not others: a run
//! would then report every execution as lost, and nobody could say whose mistake it is. The canary's client is
//! rumqttc's, an opinion independent of the fleet's own. The embedded backend is not probed: it is of the
//! same build as the fleet, and every test of either is one of both.

use std::collections::BTreeMap;
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS, SubscribeFilter,
    SubscribeReasonCode,
};

use crate::clock::Clock;
use crate::driver::{CallError, CommandsApi, HttpApi};
use crate::plan::Plan;
use crate::protocol::{
    DeviceTopic, ExecutionId, Form, Format, StartNames, TargetKind, TargetName, device_filters, json_as_cbor,
};
use crate::scenario::Group;
use crate::seed::{Purpose, Seed, Subject};

use super::site::Site;

/// How long each step may take; a healthy broker needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest packet of AWS IoT Core and its topic, as devices take it; rumqttc's default is 10 KB.
const MAX_PACKET: usize = 160 * 1024;
/// A time-out of the probe's executions that outlasts its steps.
const TIMEOUT_S: u32 = 60;
/// An update that every backend has to refuse.
const NO_STATUS: &[u8] = br#"{"status":"PROBE"}"#;
/// The update that ends the probe's execution.
const SUCCEEDED: &[u8] = br#"{"status":"SUCCEEDED"}"#;

/// Why the target does not do what a run needs.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The canary could not connect or lost its connection.
    #[error("the probe's device cannot connect to mqtt://{broker}: {cause}")]
    Connect {
        /// The broker's address.
        broker: String,
        /// What rumqttc says.
        cause: String,
    },
    /// The broker said no to a subscription.
    #[error(
        "the broker at mqtt://{broker} refuses the subscription to {filter}; let devices subscribe to it"
    )]
    Subscription {
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
    /// Something did not come.
    #[error(
        "the probe waited {}s for {what} on {topic}, which the broker at mqtt://{broker} had granted and did not \
         serve; let the broker and the backend carry these topics, or run with --no-probe",
        PATIENCE.as_secs()
    )]
    Silence {
        /// What was waited for.
        what: &'static str,
        /// Where.
        topic: String,
        /// The broker's address.
        broker: String,
    },
}

/// Sees each form of topic through once.
pub(super) async fn probe(site: &Site, plan: &Plan, clock: Clock) -> Result<(), ProbeError> {
    let Some(broker) = site.mqtt.socket() else { return Ok(()) };
    let scenario = plan.scenario();
    let mut forms = BTreeMap::new();
    for (number, workload) in (0u16..).zip(&scenario.workloads) {
        // What a command that exists holds, only its requests will show.
        if let Some(content_type) = workload.command.content_type() {
            let format = Format::of_content_type(content_type);
            forms.entry(format).or_insert((number, workload.command.name.as_str()));
        }
    }
    // An identifier of its own: those of the fleet may connect again only after a while (AWS: a second). Of
    // chance, because other processes may probe the same target now.
    let chance = Seed::random();
    let name = format!("fleetsim-canary-{:012x}", chance.0);
    // The scenario check lets no scenario through without a group.
    let Some(group) = scenario.groups.first() else { return Ok(()) };
    let mut canary = Canary::connect(name, group, broker, clock).await?;
    let mut api = HttpApi::new(&site.http_data, scenario.target.region(), clock);
    for (number, (format, (workload, command))) in (0..).zip(forms) {
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
        let parameters = plan.parameters(workload, 0);
        let id = api.start(&names, parameters.as_ref(), &token).await;
        let id = id.map_err(|cause| ProbeError::Start { command: command.to_owned(), cause })?;
        canary.see_through(&id, format).await?;
    }
    canary.leave().await;
    Ok(())
}

fn in_cbor(json: &[u8]) -> Vec<u8> {
    json_as_cbor(&serde_json::from_slice(json).unwrap_or_default())
}

/// A device that takes commands apart from all others.
struct Canary {
    name: String,
    kind: TargetKind,
    broker: String,
    client: AsyncClient,
    events: EventLoop,
    clock: Clock,
}

impl Canary {
    /// Connects, and subscribes as every device of the group will.
    async fn connect(
        name: String,
        group: &Group,
        broker: std::net::SocketAddr,
        clock: Clock,
    ) -> Result<Self, ProbeError> {
        let mut options = MqttOptions::new(&name, broker.ip().to_string(), broker.port());
        options
            .set_max_packet_size(MAX_PACKET, MAX_PACKET)
            .set_inflight(1)
            .set_keep_alive(Duration::from_mins(1));
        if let Some(auth) = &group.connect.auth {
            options.set_credentials(&auth.username, auth.password.clone().unwrap_or_default());
        }
        let (client, mut events) = AsyncClient::new(options, 4);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        events.set_network_options(network);
        let mut canary =
            Self { name, kind: group.address, broker: broker.to_string(), client, events, clock };
        let filters = device_filters(canary.kind, &canary.name);
        let wanted = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        canary.client.try_subscribe_many(wanted).map_err(|error| canary.lost(&error))?;
        let granted = canary
            .wait_for("the answer to SUBSCRIBE", &filters[0], |packet| match packet {
                Packet::SubAck(suback) => Some(suback.return_codes.clone()),
                _ => None,
            })
            .await?;
        for (filter, code) in filters.into_iter().zip(granted) {
            if code == SubscribeReasonCode::Failure {
                return Err(ProbeError::Subscription { broker: canary.broker, filter });
            }
        }
        Ok(canary)
    }

    /// One execution: its request, a report that is refused, and one that is accepted.
    async fn see_through(&mut self, id: &ExecutionId, format: Format) -> Result<(), ProbeError> {
        self.heard("the request", id, Form::Request(format)).await?;
        // As devices do, it answers in the format it was asked in.
        let (answer, wrong, right) = match format {
            Format::Cbor => (Format::Cbor, in_cbor(NO_STATUS), in_cbor(SUCCEEDED)),
            Format::Json | Format::Generic => (Format::Json, NO_STATUS.to_vec(), SUCCEEDED.to_vec()),
        };
        let topic = self.topic(id, Form::Response(answer));
        self.publish(&topic, &wrong)?;
        self.heard("the refusal of a wrong update", id, Form::Rejected(answer)).await?;
        self.publish(&topic, &right)?;
        self.heard("the acceptance of an update", id, Form::Accepted(answer)).await
    }

    fn topic(&self, id: &ExecutionId, form: Form) -> String {
        let id = id.to_string();
        DeviceTopic { kind: self.kind, device: &self.name, execution: &id, form }.to_string()
    }

    fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), ProbeError> {
        self.client.try_publish(topic, QoS::AtLeastOnce, false, payload).map_err(|error| self.lost(&error))
    }

    async fn heard(&mut self, what: &'static str, id: &ExecutionId, form: Form) -> Result<(), ProbeError> {
        let topic = self.topic(id, form);
        self.wait_for(what, &topic, |packet| match packet {
            Packet::Publish(publish) => (publish.topic == topic).then_some(()),
            _ => None,
        })
        .await
    }

    /// Polls the connection until something comes of which `pick` makes an answer.
    async fn wait_for<T>(
        &mut self,
        what: &'static str,
        topic: &str,
        pick: impl Fn(&Packet) -> Option<T>,
    ) -> Result<T, ProbeError> {
        let until = self.clock.now().plus(PATIENCE);
        loop {
            match self.clock.timeout_at(until, self.events.poll()).await {
                Some(Ok(Event::Incoming(packet))) => {
                    if let Some(picked) = pick(&packet) {
                        return Ok(picked);
                    }
                }
                Some(Ok(Event::Outgoing(_))) => {}
                Some(Err(error)) => return Err(self.lost(&error)),
                None => {
                    let (topic, broker) = (topic.to_owned(), self.broker.clone());
                    return Err(ProbeError::Silence { what, topic, broker });
                }
            }
        }
    }

    /// Says goodbye; whether the broker hears it changes nothing.
    async fn leave(mut self) {
        self.client.try_disconnect().ok();
        let until = self.clock.now().plus(PATIENCE);
        while let Some(Ok(_)) = self.clock.timeout_at(until, self.events.poll()).await {}
    }

    fn lost(&self, cause: &dyn std::fmt::Display) -> ProbeError {
        ProbeError::Connect { broker: self.broker.clone(), cause: cause.to_string() }
    }
}
