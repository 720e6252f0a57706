//! What the broker does with each packet of a client. No I/O: answers go into `out`.
//!
//! Not here: the first packet (`connect`), subscriptions (`subscribe`), and how an answer is made to fit the client (`words`).

mod aliases;
mod connect;
mod subscribe;
mod words;

use std::sync::Arc;
use std::task::Context;

use super::End;
use crate::backend::broker::counters::Tally;
use crate::backend::broker::lifecycle::{Attached, Departure};
use crate::backend::broker::session::{Books, Waiting};
use crate::backend::broker::will::OwnWill;
use crate::backend::broker::{Broker, Host, Limits, publish_due_wills};
use crate::clock::Instant;
use crate::mqtt::{Disconnect, Outbound, Packet, PubAck, Publish, ReasonCode, Version, Violation, encode};
use aliases::Aliases;

/// The broker's side of one client.
pub(super) struct Peer<H: Host> {
    host: Arc<H>,
    tally: Arc<Tally>,
    limits: Arc<Limits>,
    /// Once the client has connected.
    attached: Option<Attached>,
    said: Said,
    // Boxed: few clients have one.
    will: Option<Box<OwnWill>>,
    // Boxed: few clients use any.
    aliases: Option<Box<Aliases>>,
    pub(super) out: Outbound,
}

/// What the client said in its CONNECT, as far as it holds for the whole connection.
#[derive(Debug, Clone, Copy)]
struct Said {
    version: Version,
    /// In force: the client's or, if we set one, ours.
    keep_alive_s: u16,
    session_expiry_s: u32,
    max_packet_bytes: u32,
    /// Whether it wants reasons in words beside the codes (MQTT 5, 3.1.2.11.7).
    wants_words: bool,
}

impl Default for Said {
    fn default() -> Self {
        Self {
            version: Version::V311,
            keep_alive_s: 0,
            session_expiry_s: 0,
            max_packet_bytes: u32::MAX,
            wants_words: true,
        }
    }
}

impl<H: Host> Peer<H> {
    pub(super) fn new(host: Arc<H>) -> Self {
        let (tally, limits) = host.with_broker(|broker| (broker.tally(), broker.limits()));
        let (said, out) = (Said::default(), Outbound::default());
        Self { host, tally, limits, attached: None, said, will: None, aliases: None, out }
    }

    /// Whether the client has connected.
    pub(super) fn is_connected(&self) -> bool {
        self.attached.is_some()
    }

    /// The first instant from `instant` on at which the backend works.
    pub(super) fn works_from(&self, instant: Instant) -> Instant {
        self.host.works_from(instant)
    }

    /// The keep-alive in seconds; `None` before the CONNECT.
    pub(super) fn keep_alive_s(&self) -> Option<u16> {
        self.attached.as_ref().map(|_| self.said.keep_alive_s)
    }

    /// The task of the connection runs.
    pub(super) fn runs(&self) {
        if let Some(Attached { session, connection }) = &self.attached {
            session.runs(*connection);
        }
    }

    /// The task leaves what waits where it is; false if its connection has ended.
    pub(super) fn sleeps(&self, cx: &Context<'_>) -> bool {
        let attached = self.attached.as_ref();
        attached.is_none_or(|Attached { session, connection }| session.sleeps(*connection, cx))
    }

    /// Moves what waits in the session into `out`, unless that holds `limit` bytes already.
    pub(super) fn take_waiting(&mut self, cx: &Context<'_>, limit: usize) -> Waiting {
        let Self { host, tally, attached, out, .. } = self;
        match attached {
            None => Waiting::Nothing,
            Some(_) if out.pending() >= limit => Waiting::Left,
            Some(Attached { session, connection }) => {
                session.take_waiting(*connection, cx, out, Books { clock: host.clock(), tally })
            }
        }
    }

    /// Acts on a packet; an error ends the connection.
    pub(super) fn take(&mut self, packet: Packet<'_>) -> Result<(), End> {
        match (&packet, &self.attached) {
            (Packet::Connect(connect), None) => return self.connect(connect),
            (Packet::Connect(_), Some(_)) => return Err(self.violated(Violation::SecondConnect)),
            (_, None) => return Err(self.violated(Violation::NotConnected)),
            (_, Some(_)) => {}
        }
        match packet {
            Packet::Publish(publish) => self.publish(&publish),
            Packet::PubAck(puback) => {
                self.acknowledged(&puback);
                Ok(())
            }
            Packet::Subscribe(subscribe) => self.subscribe(&subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
            Packet::PingReq => {
                encode::pingresp(self.out.buffer());
                Ok(())
            }
            Packet::Disconnect(disconnect) => Err(self.goodbye(&disconnect)),
            // Only an exchange that the CONNECT began could go on with it, and that is refused.
            Packet::Auth(_) => Err(self.violated(Violation::UnexpectedAuth)),
            // The codec lets no server's packet through; the CONNECT is dealt with above.
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::SubAck(_)
            | Packet::UnsubAck(_)
            | Packet::PingResp => Ok(()),
        }
    }

    /// Ends the connection: says why to a client of MQTT 5, and leaves the session to itself or ends it.
    /// The will is published unless the client took it back ([MQTT-3.1.2-8]) or the backend stops.
    pub(super) fn leave(&mut self, end: &End) {
        if matches!(end, End::Silent) {
            self.tally.silent.add(1);
        }
        match end {
            End::Silent => self.last_word(ReasonCode::KeepAliveTimeout, None),
            // With words, because paho reads the code of a DISCONNECT only if something follows it.
            End::TakenOver => {
                self.last_word(ReasonCode::SessionTakenOver, Some("the client has connected again"));
            }
            End::Stopped => self.last_word(ReasonCode::ServerShuttingDown, None),
            End::Disconnected | End::DisconnectedWithWill | End::Gone | End::Violation | End::Refused => {}
        }
        if matches!(end, End::Disconnected | End::Stopped) {
            self.will = None;
        }
        self.detach();
        publish_due_wills(&*self.host);
    }

    fn publish(&mut self, publish: &Publish<'_>) -> Result<(), End> {
        let topic = match publish.properties.topic_alias {
            None => publish.topic,
            Some(alias) => match Aliases::resolve(&mut self.aliases, alias, publish.topic) {
                Ok(topic) => topic,
                Err(violation) => return Err(self.violated(violation)),
            },
        };
        let Some(attached) = &self.attached else { return Ok(()) };
        self.tally.messages_in.add(1);
        if let Err(reason) = self.limits.check_publish(topic, publish.payload.len()) {
            return Err(self.over_limit(reason));
        }
        let reason = if is_within_rates(&*self.host, &self.limits, attached) {
            let mut publish = Publish { topic, ..*publish };
            let expiry_s = &mut publish.properties.message_expiry_s;
            *expiry_s = self.limits.message_expiry_s(*expiry_s);
            self.host.publish(attached.session.client_id(), &publish)
        } else {
            self.tally.over_rate.add(1);
            ReasonCode::QuotaExceeded
        };
        match publish.id {
            // What was discarded is not acknowledged; only MQTT 5 has words for it.
            Some(_) if reason == ReasonCode::QuotaExceeded && self.said.version == Version::V311 => Ok(()),
            // Acknowledged before the next packet is read: a client never has more than one message
            // unacknowledged here, so it cannot exceed any receive maximum (MQTT 5, 3.3.4).
            Some(id) => self.answer(None, |out, version, _| {
                encode::puback(out, version, &PubAck { reason, ..PubAck::new(id) })
            }),
            None => Ok(()),
        }
    }

    fn acknowledged(&mut self, puback: &PubAck<'_>) {
        if let Some(Attached { session, connection }) = &self.attached {
            let books = Books { clock: self.host.clock(), tally: &self.tally };
            // A reason against the message does not bring it again (MQTT 5, 4.4).
            session.acknowledged(*connection, puback.id, books);
        }
    }

    /// The end that a DISCONNECT asks for. Any reason but the normal one leaves the will in force
    /// ([MQTT-3.14.4-3]).
    fn goodbye(&mut self, disconnect: &Disconnect<'_>) -> End {
        match disconnect.session_expiry_s {
            Some(seconds) if seconds > 0 && self.said.session_expiry_s == 0 => {
                return self.violated(Violation::SessionExpiryRaised);
            }
            Some(seconds) => self.said.session_expiry_s = self.limits.session_expiry_s(seconds),
            None => {}
        }
        match disconnect.reason {
            ReasonCode::Success => End::Disconnected,
            _ => End::DisconnectedWithWill,
        }
    }

    fn detach(&mut self) {
        let Some(attached) = self.attached.take() else { return };
        let will = self.will.take().map(|will| *will);
        let departure = Departure { expiry_s: self.said.session_expiry_s, will };
        self.host.with_broker(|broker| broker.detach(&attached, departure));
    }
}

impl<H: Host> Drop for Peer<H> {
    /// A task that is dropped where it stands leaves its session as if the client had gone; the will is
    /// published by whoever looks next.
    fn drop(&mut self) {
        self.detach();
    }
}

/// Whether the client and the account may publish one more message now.
fn is_within_rates<H: Host>(host: &H, limits: &Limits, attached: &Attached) -> bool {
    let Attached { session, connection } = attached;
    (limits.publishes_per_s.is_none() || session.takes_publish(*connection, host.clock()))
        && (limits.account_publishes_in_per_s.is_none() || host.with_broker(Broker::takes_publish))
}
