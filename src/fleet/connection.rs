//! A device's way from a stream to subscribed: CONNECT, SUBSCRIBE.
//!
//! The same for everything that reads and writes bytes; what carries them is `transport`'s business.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::mqtt::{
    self, FilterRequest, Inbound, InboundEnd, Outbound, Packet, PacketId, QoS, ReasonCode, Sender, Version,
};
use crate::protocol::{TargetKind, device_filters};

/// The largest packet a device takes: AWS IoT Core's message limit of 128 KB and its topic.
pub(super) const MAX_PACKET: usize = 160 * 1024;

/// An open connection with what is buffered on either side: usually nothing.
#[derive(Debug)]
pub(super) struct Connection<S> {
    pub stream: S,
    pub inbound: Inbound,
    /// Messages that came with the SUBACK or before it, as MQTT allows.
    pub early: Vec<Early>,
}

/// A message kept until its device is online.
#[derive(Debug)]
pub(super) struct Early {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    id: Option<PacketId>,
    dup: bool,
}

impl Early {
    fn keep(publish: &mqtt::Publish<'_>) -> Self {
        let mqtt::Publish { topic, payload, qos, id, dup, .. } = *publish;
        Self { topic: topic.to_owned(), payload: payload.to_owned(), qos, id, dup }
    }

    pub fn borrowed(&self) -> mqtt::Publish<'_> {
        let Self { topic, payload, qos, id, dup } = self;
        mqtt::Publish { qos: *qos, id: *id, dup: *dup, ..mqtt::Publish::new(topic, payload) }
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
    Refused(ReasonCode),
    #[error("the broker refused the subscription to {0}")]
    SubscriptionRefused(String),
    #[error("the broker sent {0} where {1} was due")]
    OutOfTurn(&'static str, &'static str),
    #[error("a client id or topic is too long for MQTT")]
    TooLong,
    #[error("no answer within {0} s")]
    NoAnswer(u64),
    #[error("the broker does not read what the device sends")]
    NotReading,
    #[error("no answer to a ping")]
    Dead,
}

/// CONNECT and SUBSCRIBE to exactly what a device needs.
pub(super) async fn subscribe<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    client_id: &str,
    keep_alive_s: u16,
) -> Result<Connection<S>, ConnectionError> {
    let mut connection = Connection { stream, inbound: Inbound::default(), early: Vec::new() };
    let mut outbound = Outbound::default();
    let connect = mqtt::Connect { keep_alive_s, ..mqtt::Connect::new(Version::V311, client_id) };
    mqtt::encode::connect(outbound.buffer(), &connect).map_err(|_| ConnectionError::TooLong)?;
    connection
        .exchange(&mut outbound, |packet| match packet {
            Packet::ConnAck(connack) if connack.reason == ReasonCode::Success => Ok(()),
            Packet::ConnAck(connack) => Err(ConnectionError::Refused(connack.reason)),
            other => Err(ConnectionError::OutOfTurn(other.name(), "CONNACK")),
        })
        .await?;
    let filters = device_filters(TargetKind::Thing, client_id);
    let wanted = [0, 1, 2].map(|n: usize| FilterRequest::new(&filters[n], QoS::AtLeastOnce));
    mqtt::encode::subscribe(outbound.buffer(), Version::V311, PacketId::FIRST, &wanted)
        .map_err(|_| ConnectionError::TooLong)?;
    connection
        .exchange(&mut outbound, |packet| match packet {
            Packet::SubAck(suback) => match suback.codes.iter().position(|code| *code > 2) {
                None => Ok(()),
                Some(refused) => {
                    let filter = filters.get(refused).cloned().unwrap_or_default();
                    Err(ConnectionError::SubscriptionRefused(filter))
                }
            },
            other => Err(ConnectionError::OutOfTurn(other.name(), "SUBACK")),
        })
        .await?;
    Ok(connection)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Writes what is buffered and waits for the one packet that answers it.
    async fn exchange(
        &mut self,
        outbound: &mut Outbound,
        mut answer: impl FnMut(&Packet<'_>) -> Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        let mut answered = false;
        let Self { stream, inbound, early } = self;
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = outbound.poll_flush(cx, stream) {
                return Poll::Ready(Err(error.into()));
            }
            let end = inbound.poll(cx, stream, Sender::Server, MAX_PACKET, &mut |packet| {
                if let Packet::Publish(publish) = &packet {
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
