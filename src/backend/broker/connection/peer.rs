//! What the broker does with each packet of a client. No I/O: answers go into `out`.

use std::sync::Arc;
use std::task::Context;

use super::End;
use crate::backend::broker::counters::Tally;
use crate::backend::broker::session::{Session, Waiting};
use crate::backend::broker::{Broker, Host};
use crate::mqtt::{
    ConnAck, Connect, Outbound, Packet, PacketId, PubAck, Publish, QoS, ReasonCode, SubAck, Subscribe,
    UnsubAck, Version, Violation, Will, encode,
};

/// The longest client identifier: AWS IoT Core's.
const MAX_CLIENT_ID_BYTES: usize = 128;

/// The CONNACK of MQTT 5 with reason 0x84, "unsupported protocol version", and no properties: the one a
/// client of that version understands (MQTT 5, 3.2.2.2 and 4.13).
const MQTT_5_REFUSAL: [u8; 5] = [0x20, 3, 0, 0x84, 0];

/// The broker's side of one client.
pub(super) struct Peer<H: Host> {
    host: Arc<H>,
    tally: Arc<Tally>,
    /// Once the client has connected.
    session: Option<Arc<Session>>,
    keep_alive_s: u16,
    // Boxed: few clients have one.
    will: Option<Box<OwnWill>>,
    pub(super) out: Outbound,
}

/// A will, kept for the life of the connection.
struct OwnWill {
    topic: Box<str>,
    payload: Box<[u8]>,
    qos: QoS,
    retain: bool,
}

impl<H: Host> Peer<H> {
    pub(super) fn new(host: Arc<H>) -> Self {
        let tally = host.with_broker(|broker| broker.tally());
        Self { host, tally, session: None, keep_alive_s: 0, will: None, out: Outbound::default() }
    }

    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    /// The keep-alive in seconds; `None` before the CONNECT.
    pub(super) fn keep_alive_s(&self) -> Option<u16> {
        self.session.as_ref().map(|_| self.keep_alive_s)
    }

    /// Moves what waits in the session into `out`, unless that holds `limit` bytes already.
    pub(super) fn take_waiting(&mut self, cx: &Context<'_>, limit: usize) -> Waiting {
        match &self.session {
            None => Waiting::Nothing,
            Some(_) if self.out.pending() >= limit => Waiting::Left,
            Some(session) => session.take_waiting(cx, &mut self.out),
        }
    }

    /// Acts on a packet; an error ends the connection.
    pub(super) fn take(&mut self, packet: Packet<'_>) -> Result<(), End> {
        let session = match (packet, &self.session) {
            (Packet::Connect(connect), None) => return self.connect(&connect),
            (Packet::Connect(_), Some(_)) => return Err(self.violated(Violation::SecondConnect)),
            (_, None) => return Err(self.violated(Violation::NotConnected)),
            (_, Some(session)) => session,
        };
        match packet {
            Packet::Publish(publish) => {
                self.tally.messages_in.add(1);
                self.host.publish(session.client_id(), &publish);
                if let Some(id) = publish.id {
                    let written = encode::puback(self.out.buffer(), Version::V311, &PubAck::new(id));
                    written.map_err(|_| End::Gone)?;
                }
            }
            Packet::PubAck(puback) => session.acknowledged(puback.id),
            Packet::Subscribe(subscribe) => return self.subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                self.host.with_broker(|broker| {
                    unsubscribe.filters().for_each(|filter| broker.unsubscribe(session, filter));
                });
                let unsuback = UnsubAck::new(unsubscribe.id, &[]);
                let written = encode::unsuback(self.out.buffer(), Version::V311, &unsuback);
                written.map_err(|_| End::Gone)?;
            }
            Packet::PingReq => encode::pingresp(self.out.buffer()),
            Packet::Disconnect(_) => return Err(End::Disconnected),
            // The codec lets no server's packet through; the CONNECT is dealt with above.
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp
            | Packet::Auth(_) => {}
        }
        Ok(())
    }

    /// The end that a violation of the codec leads to: a client of another version is told so.
    pub(super) fn answer(&mut self, violation: Violation) -> End {
        match violation {
            Violation::UnsupportedLevel(5) if self.session.is_none() => self.refuse_mqtt_5(),
            Violation::UnsupportedLevel(_) if self.session.is_none() => {
                self.refuse(ReasonCode::UnsupportedProtocolVersion)
            }
            violation => self.violated(violation),
        }
    }

    /// Ends the session, and publishes the will if the client went without a word ([MQTT-3.1.2-8]).
    pub(super) fn leave(&mut self, end: &End) {
        if matches!(end, End::Silent) {
            self.tally.silent.add(1);
        }
        let Some(session) = self.detach() else { return };
        let will = self.will.take().filter(|_| !matches!(end, End::Disconnected | End::Stopped));
        if let Some(will) = will {
            self.host.publish(session.client_id(), &will.publish());
        }
    }

    fn connect(&mut self, connect: &Connect<'_>) -> Result<(), End> {
        if connect.version == Version::V5 {
            return Err(self.refuse_mqtt_5());
        }
        let anonymous = connect.client_id.is_empty();
        // [MQTT-3.1.3-8]; and a session that could not be found again would be of no use.
        if (anonymous && !connect.clean_start) || connect.client_id.len() > MAX_CLIENT_ID_BYTES {
            return Err(self.refuse(ReasonCode::ClientIdentifierNotValid));
        }
        self.session = Some(self.host.with_broker(|broker| {
            if anonymous { broker.attach_anonymous() } else { broker.attach(connect.client_id) }
        }));
        self.keep_alive_s = connect.keep_alive_s;
        self.will = connect.will.as_ref().map(|will| Box::new(OwnWill::from(will)));
        // Ahead of everything that is delivered: that waits in the session until this is in `out`.
        let connack = ConnAck::new(ReasonCode::Success);
        encode::connack(self.out.buffer(), Version::V311, &connack).map_err(|_| End::Gone)
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<(), End> {
        let Some(session) = &self.session else { return Ok(()) };
        let grant = |broker: &mut Broker| -> Vec<u8> {
            let requests = subscribe.filters();
            requests.map(|wanted| broker.subscribe(session, wanted.filter, wanted.qos)).collect()
        };
        let codes = self.host.with_broker(grant);
        // There is a code for each filter of a packet that was read: neither none nor too many.
        let suback = SubAck::new(subscribe.id, &codes);
        encode::suback(self.out.buffer(), Version::V311, &suback).map_err(|_| End::Gone)
    }

    fn refuse_mqtt_5(&mut self) -> End {
        self.out.buffer().extend_from_slice(&MQTT_5_REFUSAL);
        self.tally.refused_connects.add(1);
        End::Refused
    }

    fn refuse(&mut self, reason: ReasonCode) -> End {
        if encode::connack(self.out.buffer(), Version::V311, &ConnAck::new(reason)).is_err() {
            return End::Gone;
        }
        self.tally.refused_connects.add(1);
        End::Refused
    }

    fn violated(&self, violation: Violation) -> End {
        self.tally.violated(violation);
        End::Violation
    }

    fn detach(&mut self) -> Option<Arc<Session>> {
        let session = self.session.take()?;
        self.host.with_broker(|broker| broker.detach(&session));
        Some(session)
    }
}

impl<H: Host> Drop for Peer<H> {
    /// A task that is dropped where it stands leaves no session behind.
    fn drop(&mut self) {
        self.detach();
    }
}

impl From<&Will<'_>> for OwnWill {
    fn from(will: &Will<'_>) -> Self {
        Self { topic: will.topic.into(), payload: will.payload.into(), qos: will.qos, retain: will.retain }
    }
}

impl OwnWill {
    fn publish(&self) -> Publish<'_> {
        Publish {
            qos: self.qos,
            id: (self.qos == QoS::AtLeastOnce).then_some(PacketId::FIRST),
            retain: self.retain,
            ..Publish::new(&self.topic, &self.payload)
        }
    }
}
