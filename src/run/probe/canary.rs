//! A device that takes commands apart from all others, on rumqttc's clients for MQTT 3.1.1 and 5.

use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::{AsyncClient, EventLoop, MqttOptions, NetworkOptions, QoS, SubscribeFilter, v5};

use super::{PATIENCE, ProbeError};
use crate::clock::Clock;
use crate::protocol::{DeviceTopic, ExecutionId, Form, Format, TargetKind, device_filters, json_as_cbor};
use crate::scenario::{Group, MqttVersion};

/// The largest packet of AWS IoT Core and its topic, as devices take it; rumqttc's default is 10 KB.
const MAX_PACKET: u32 = 160 * 1024;
/// Requests to the client's task under way.
const UNDER_WAY: usize = 4;
/// An update that every backend has to refuse.
const NO_STATUS: &[u8] = br#"{"status":"PROBE"}"#;
/// The update that ends the probe's execution.
const SUCCEEDED: &[u8] = br#"{"status":"SUCCEEDED"}"#;

/// A connected canary.
pub(super) struct Canary {
    pub name: String,
    pub kind: TargetKind,
    /// The first group whose devices connect like it.
    group: String,
    broker: String,
    client: Client,
    clock: Clock,
}

impl Canary {
    /// Connects, and subscribes as every device of the group will.
    pub async fn connect(
        name: String,
        group: &Group,
        broker: SocketAddr,
        clock: Clock,
    ) -> Result<Self, ProbeError> {
        let client = Client::new(&name, group, broker);
        let (kind, group, broker) = (group.address, group.name.clone(), broker.to_string());
        let mut canary = Self { name, kind, group, broker, client, clock };
        let filters = device_filters(canary.kind, &canary.name);
        canary.client.subscribe(&filters).map_err(|cause| canary.lost(cause))?;
        let granted = canary
            .wait_for(|heard| match heard {
                Heard::Granted(granted) => Some(granted.clone()),
                Heard::Message(_) | Heard::Nothing => None,
            })
            .await?;
        let Some(granted) = granted else {
            let filter = filters[0].clone();
            return Err(ProbeError::Unanswered { group: canary.group, broker: canary.broker, filter });
        };
        for (filter, granted) in filters.into_iter().zip(granted) {
            if !granted {
                return Err(ProbeError::Subscription { group: canary.group, broker: canary.broker, filter });
            }
        }
        Ok(canary)
    }

    /// One execution: its request, a report that is refused, and one that is accepted.
    pub async fn see_through(&mut self, id: &ExecutionId, format: Format) -> Result<(), ProbeError> {
        self.heard("the request", id, Form::Request(format)).await?;
        // As devices do, it answers in the format it was asked in.
        let (answer, wrong, right) = match format {
            Format::Cbor => (Format::Cbor, in_cbor(NO_STATUS), in_cbor(SUCCEEDED)),
            Format::Json | Format::Generic => (Format::Json, NO_STATUS.to_vec(), SUCCEEDED.to_vec()),
        };
        let topic = self.topic(id, Form::Response(answer));
        self.client.publish(&topic, wrong).map_err(|cause| self.lost(cause))?;
        self.heard("the refusal of a wrong update", id, Form::Rejected(answer)).await?;
        self.client.publish(&topic, right).map_err(|cause| self.lost(cause))?;
        self.heard("the acceptance of an update", id, Form::Accepted(answer)).await
    }

    fn topic(&self, id: &ExecutionId, form: Form) -> String {
        let id = id.to_string();
        DeviceTopic { kind: self.kind, device: &self.name, execution: &id, form }.to_string()
    }

    async fn heard(&mut self, what: &'static str, id: &ExecutionId, form: Form) -> Result<(), ProbeError> {
        let topic = self.topic(id, form);
        let wanted = Heard::Message(topic.clone());
        if self.wait_for(|heard| (*heard == wanted).then_some(())).await?.is_some() {
            return Ok(());
        }
        let (group, broker) = (self.group.clone(), self.broker.clone());
        Err(ProbeError::Silence { group, what, topic, broker })
    }

    /// Polls the connection until something comes of which `pick` makes an answer; `None` if nothing does in time.
    async fn wait_for<T>(&mut self, pick: impl Fn(&Heard) -> Option<T>) -> Result<Option<T>, ProbeError> {
        let until = self.clock.now().plus(PATIENCE);
        loop {
            match self.clock.timeout_at(until, self.client.poll()).await {
                Some(Ok(heard)) => {
                    if let Some(picked) = pick(&heard) {
                        return Ok(Some(picked));
                    }
                }
                Some(Err(cause)) => return Err(self.lost(cause)),
                None => return Ok(None),
            }
        }
    }

    /// Says goodbye; whether the broker hears it changes nothing.
    pub async fn leave(mut self) {
        self.client.disconnect();
        let until = self.clock.now().plus(PATIENCE);
        while let Some(Ok(_)) = self.clock.timeout_at(until, self.client.poll()).await {}
    }

    fn lost(&self, cause: String) -> ProbeError {
        ProbeError::Connect { group: self.group.clone(), broker: self.broker.clone(), cause }
    }
}

fn in_cbor(json: &[u8]) -> Vec<u8> {
    json_as_cbor(&serde_json::from_slice(json).unwrap_or_default())
}

/// What a canary hears, whichever MQTT it speaks.
#[derive(PartialEq, Eq)]
enum Heard {
    /// Which filters of its SUBSCRIBE were granted.
    Granted(Vec<bool>),
    /// A message on this topic.
    Message(String),
    /// Nothing of interest.
    Nothing,
}

/// One of rumqttc's clients. Errors are what it says of them.
enum Client {
    V311(Box<(AsyncClient, EventLoop)>),
    V5(Box<(v5::AsyncClient, v5::EventLoop)>),
}

impl Client {
    fn new(name: &str, group: &Group, broker: SocketAddr) -> Self {
        let (host, port, keep_alive) = (broker.ip().to_string(), broker.port(), Duration::from_mins(1));
        let auth = group.connect.auth.as_ref();
        let auth = auth.map(|auth| (auth.username.clone(), auth.password.clone().unwrap_or_default()));
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        match group.connect.mqtt {
            MqttVersion::V311 => {
                let mut options = MqttOptions::new(name, host, port);
                let largest = MAX_PACKET as usize;
                options.set_max_packet_size(largest, largest).set_inflight(1).set_keep_alive(keep_alive);
                if let Some((username, password)) = auth {
                    options.set_credentials(username, password);
                }
                let (client, mut events) = AsyncClient::new(options, UNDER_WAY);
                events.set_network_options(network);
                Self::V311(Box::new((client, events)))
            }
            MqttVersion::V5 => {
                let mut options = v5::MqttOptions::new(name, host, port);
                options.set_max_packet_size(Some(MAX_PACKET)).set_keep_alive(keep_alive);
                options.set_outgoing_inflight_upper_limit(1).set_network_options(network);
                if let Some((username, password)) = auth {
                    options.set_credentials(username, password);
                }
                Self::V5(Box::new(v5::AsyncClient::new(options, UNDER_WAY)))
            }
        }
    }

    fn subscribe(&self, filters: &[String]) -> Result<(), String> {
        match self {
            Self::V311(both) => {
                let filters = filters.iter().cloned();
                let wanted = filters.map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
                both.0.try_subscribe_many(wanted).map_err(|error| error.to_string())
            }
            Self::V5(both) => {
                let filters = filters.iter().cloned();
                let wanted = filters
                    .map(|filter| v5::mqttbytes::v5::Filter::new(filter, v5::mqttbytes::QoS::AtLeastOnce));
                both.0.try_subscribe_many(wanted).map_err(|error| error.to_string())
            }
        }
    }

    fn publish(&self, topic: &str, payload: Vec<u8>) -> Result<(), String> {
        match self {
            Self::V311(both) => {
                both.0.try_publish(topic, QoS::AtLeastOnce, false, payload).map_err(|error| error.to_string())
            }
            Self::V5(both) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                both.0.try_publish(topic, qos, false, payload).map_err(|error| error.to_string())
            }
        }
    }

    fn disconnect(&self) {
        match self {
            Self::V311(both) => both.0.try_disconnect().ok(),
            Self::V5(both) => both.0.try_disconnect().ok(),
        };
    }

    async fn poll(&mut self) -> Result<Heard, String> {
        match self {
            Self::V311(both) => Ok(match both.1.poll().await.map_err(|error| error.to_string())? {
                rumqttc::Event::Incoming(rumqttc::Packet::SubAck(suback)) => {
                    let refused = rumqttc::SubscribeReasonCode::Failure;
                    Heard::Granted(suback.return_codes.iter().map(|code| *code != refused).collect())
                }
                rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish)) => Heard::Message(publish.topic),
                rumqttc::Event::Incoming(_) | rumqttc::Event::Outgoing(_) => Heard::Nothing,
            }),
            Self::V5(both) => Ok(match both.1.poll().await.map_err(|error| error.to_string())? {
                v5::Event::Incoming(v5::mqttbytes::v5::Packet::SubAck(suback)) => {
                    let is_granted = |code: &v5::mqttbytes::v5::SubscribeReasonCode| {
                        matches!(code, v5::mqttbytes::v5::SubscribeReasonCode::Success(_))
                    };
                    Heard::Granted(suback.return_codes.iter().map(is_granted).collect())
                }
                v5::Event::Incoming(v5::mqttbytes::v5::Packet::Publish(publish)) => {
                    Heard::Message(String::from_utf8_lossy(&publish.topic).into_owned())
                }
                v5::Event::Incoming(_) | v5::Event::Outgoing(_) => Heard::Nothing,
            }),
        }
    }
}
