//! A device's way from a stream to subscribed: CONNECT, and SUBSCRIBE unless the session still has it.
//!
//! The same for both versions of MQTT and for everything that reads and writes bytes; what carries them
//! is `transport`'s business.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::num::NonZeroU32;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::mqtt::{
    self, ConnAck, Connect, ConnectProperties, Disconnect, FilterRequest, Inbound, InboundEnd, Outbound,
    Packet, PacketId, PublishProperties, QoS, ReasonCode, Sender, Version,
};
use crate::protocol::{TargetKind, device_filters};
use crate::scenario::Auth;
use crate::units::MICROS_PER_SECOND;

/// The largest packet a device takes: AWS IoT Core's message limit of 128 KB and its topic.
pub(super) const MAX_PACKET: usize = 160 * 1024;
/// Unacknowledged requests that a device of MQTT 5 takes at a time: AWS IoT Core's own limit.
const RECEIVE_MAXIMUM: u16 = 100;
/// How long a kept session outlives its connection: AWS IoT Core's default, which is also what it
/// gives to MQTT 3.1.1, where nothing can be asked for.
const SESSION_EXPIRY_S: u32 = 3600;
/// As an instant's distance.
pub(super) const SESSION_EXPIRY_US: u64 = SESSION_EXPIRY_S as u64 * MICROS_PER_SECOND;
/// Messages that may come before the device has done connecting: twice the largest window that the
/// embedded broker gives a client of 3.1.1, which cannot ask for a smaller one.
const MAX_EARLY: usize = 16_384;

/// What a device says of itself in CONNECT.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hello<'a> {
    pub version: Version,
    pub client_id: &'a str,
    /// As what and by which name it gets commands.
    pub target: (TargetKind, &'a str),
    pub auth: Option<&'a Auth>,
    pub clean_session: bool,
    pub keep_alive_s: u16,
}

/// What the broker answered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Agreed {
    /// The session of before goes on.
    pub resumed: bool,
    /// Unacknowledged updates it takes at a time.
    pub receive_maximum: Option<u16>,
    /// The largest packet it takes.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The keep-alive that holds instead of the device's; 0 is none.
    pub server_keep_alive_s: Option<u16>,
}

/// An open connection with what is buffered on either side: usually nothing.
#[derive(Debug)]
pub(super) struct Connection<S> {
    pub stream: S,
    pub inbound: Inbound,
    /// Messages that came with the SUBACK or before it, as MQTT allows.
    pub early: Vec<Early>,
    pub agreed: Agreed,
}

/// A message kept until its device is online.
#[derive(Debug)]
pub(super) struct Early {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    id: Option<PacketId>,
    dup: bool,
    message_expiry_s: Option<u32>,
    content_type: Option<String>,
}

impl Early {
    fn keep(publish: &mqtt::Publish<'_>) -> Self {
        let mqtt::Publish { topic, payload, qos, id, dup, properties, .. } = *publish;
        Self {
            topic: topic.to_owned(),
            payload: payload.to_owned(),
            qos,
            id,
            dup,
            message_expiry_s: properties.message_expiry_s,
            content_type: properties.content_type.map(str::to_owned),
        }
    }

    pub fn borrowed(&self) -> mqtt::Publish<'_> {
        let properties = PublishProperties {
            message_expiry_s: self.message_expiry_s,
            content_type: self.content_type.as_deref(),
            ..PublishProperties::NONE
        };
        let Self { topic, payload, qos, id, dup, .. } = self;
        mqtt::Publish { qos: *qos, id: *id, dup: *dup, properties, ..mqtt::Publish::new(topic, payload) }
    }
}

/// Why a connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker sent what MQTT forbids: {0}")]
    Violation(#[from] mqtt::Violation),
    #[error("the broker refused the connection: {0}")]
    Refused(Said),
    #[error("the broker ended the connection: {0}")]
    Disconnected(Said),
    #[error("the broker refused the subscription to {filter}: {said}")]
    SubscriptionRefused { filter: String, said: Said },
    #[error("the broker has a session for a device that asked for a new one")]
    UnexpectedSession,
    #[error("the broker used a topic alias, and the device allows none")]
    TopicAlias,
    #[error("the broker sent {0} where {1} was due")]
    OutOfTurn(&'static str, &'static str),
    #[error("a client id or topic is too long for MQTT")]
    TooLong,
    #[error("no answer within {0} s")]
    NoAnswer(u64),
    #[error("more than {MAX_EARLY} messages before the subscription was answered")]
    TooEarly,
    #[error("the broker does not read what the device sends")]
    NotReading,
    #[error("no answer to a ping")]
    Dead,
    /// The device broke off by plan.
    #[error("dropped as planned")]
    Dropped,
    /// The timeline broke the connection.
    #[error("disconnected by the timeline")]
    SentAway,
    /// The run is over, and the device has said goodbye.
    #[error("disconnected at the end of the run")]
    Left,
}

/// A reason code, with the reason string beside it if there was one.
#[derive(Debug)]
pub(super) struct Said {
    reason: ReasonCode,
    text: Option<String>,
}

impl Said {
    fn new(reason: ReasonCode, text: Option<&str>) -> Self {
        // It comes from outside and is shown to people.
        let text = text.map(|text| text.chars().filter(|c| !c.is_control()).take(200).collect());
        Self { reason, text }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.reason.name(), self.reason.number())?;
        match &self.text {
            Some(text) => write!(f, ", \"{text}\""),
            None => Ok(()),
        }
    }
}

impl ConnectionError {
    /// What a DISCONNECT of the broker means.
    pub fn disconnected(disconnect: &Disconnect<'_>) -> Self {
        ConnectionError::Disconnected(Said::new(disconnect.reason, disconnect.reason_string))
    }
}

/// CONNECT, and SUBSCRIBE to exactly what a device needs. `is_subscribed` is what the device knows of its
/// session: a broker can have it without the subscriptions, if the connection ended between the two.
pub(super) async fn subscribe<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    hello: Hello<'_>,
    is_subscribed: &Cell<bool>,
) -> Result<Connection<S>, ConnectionError> {
    let inbound = Inbound::new(hello.version);
    let mut connection = Connection { stream, inbound, early: Vec::new(), agreed: Agreed::default() };
    let mut outbound = Outbound::default();
    mqtt::encode::connect(outbound.buffer(), &connect(hello)).map_err(|_| ConnectionError::TooLong)?;
    let mut agreed = Agreed::default();
    let mut take = |packet: &Packet<'_>| match packet {
        Packet::ConnAck(connack) => {
            agreed = accepted(connack, hello)?;
            Ok(())
        }
        other => Err(out_of_turn(other, "CONNACK")),
    };
    connection.exchange(&mut outbound, &mut take).await?;
    connection.agreed = agreed;
    is_subscribed.set(is_subscribed.get() && agreed.resumed);
    if is_subscribed.get() {
        return Ok(connection);
    }
    let filters = device_filters(hello.target.0, hello.target.1);
    let wanted = [0, 1, 2].map(|n: usize| FilterRequest::new(&filters[n], QoS::AtLeastOnce));
    mqtt::encode::subscribe(outbound.buffer(), hello.version, PacketId::FIRST, &wanted)
        .map_err(|_| ConnectionError::TooLong)?;
    let mut take = |packet: &Packet<'_>| match packet {
        Packet::SubAck(suback) => match suback.codes.iter().position(|code| *code > 2) {
            None => Ok(()),
            Some(refused) => {
                let filter = filters.get(refused).cloned().unwrap_or_default();
                let code = suback.codes.get(refused).and_then(|code| ReasonCode::from_number(*code));
                let reason = code.unwrap_or(ReasonCode::UnspecifiedError);
                let said = Said::new(reason, suback.reason_string);
                Err(ConnectionError::SubscriptionRefused { filter, said })
            }
        },
        other => Err(out_of_turn(other, "SUBACK")),
    };
    connection.exchange(&mut outbound, &mut take).await?;
    is_subscribed.set(true);
    Ok(connection)
}

fn connect(hello: Hello<'_>) -> Connect<'_> {
    let Hello { version, client_id, clean_session, keep_alive_s, auth, .. } = hello;
    Connect {
        clean_start: clean_session,
        keep_alive_s,
        username: auth.map(|auth| auth.username.as_str()),
        password: auth.and_then(|auth| Some(auth.password.as_ref()?.as_bytes())),
        // Ignored by 3.1.1, which has no properties.
        properties: ConnectProperties {
            session_expiry_s: if clean_session { 0 } else { SESSION_EXPIRY_S },
            receive_maximum: RECEIVE_MAXIMUM,
            ..ConnectProperties::NONE
        },
        ..Connect::new(version, client_id)
    }
}

fn accepted(connack: &ConnAck<'_>, hello: Hello<'_>) -> Result<Agreed, ConnectionError> {
    let properties = &connack.properties;
    if connack.reason != ReasonCode::Success {
        return Err(ConnectionError::Refused(Said::new(connack.reason, properties.reason_string)));
    }
    if connack.session_present && hello.clean_session {
        // MQTT 5, 3.2.2.1.1 and [MQTT-3.2.2-1] of 3.1.1.
        return Err(ConnectionError::UnexpectedSession);
    }
    Ok(Agreed {
        resumed: connack.session_present,
        receive_maximum: properties.receive_maximum.map(std::num::NonZeroU16::get),
        maximum_packet_size: properties.maximum_packet_size,
        server_keep_alive_s: properties.server_keep_alive_s,
    })
}

fn out_of_turn(packet: &Packet<'_>, due: &'static str) -> ConnectionError {
    match packet {
        Packet::Disconnect(disconnect) => ConnectionError::disconnected(disconnect),
        other => ConnectionError::OutOfTurn(other.name(), due),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Writes what is buffered and waits for the one packet that answers it.
    async fn exchange(
        &mut self,
        outbound: &mut Outbound,
        answer: &mut dyn FnMut(&Packet<'_>) -> Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        let mut answered = false;
        let Self { stream, inbound, early, .. } = self;
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = outbound.poll_flush(cx, stream) {
                return Poll::Ready(Err(error.into()));
            }
            let end = inbound.poll(cx, stream, Sender::Server, MAX_PACKET, &mut |packet| {
                if let Packet::Publish(publish) = &packet {
                    if early.len() >= MAX_EARLY {
                        return Err(ConnectionError::TooEarly);
                    }
                    early.push(Early::keep(publish));
                    return Ok(());
                }
                answered = true;
                answer(&packet)
            });
            match end {
                Poll::Ready(end) => Poll::Ready(Err(end.into())),
                Poll::Pending if answered => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

impl From<InboundEnd<ConnectionError>> for ConnectionError {
    fn from(end: InboundEnd<ConnectionError>) -> Self {
        match end {
            InboundEnd::Closed => ConnectionError::Closed,
            InboundEnd::Io(error) => ConnectionError::Io(error),
            InboundEnd::Violation(violation) => ConnectionError::Violation(violation),
            InboundEnd::Refused(error) => error,
        }
    }
}

#[cfg(test)]
mod tests;
