//! The first packet of a client and its answer.

use std::num::{NonZeroU16, NonZeroU32};

use super::{End, Peer, Said};
use crate::backend::broker::in_flight::MAX_IN_FLIGHT;
use crate::backend::broker::lifecycle::Arrival;
use crate::backend::broker::session::Terms;
use crate::backend::broker::will::OwnWill;
use crate::backend::broker::{Broker, Host, Limits, MAX_PACKET_BYTES, publish_due_wills};
use crate::mqtt::{ConnAck, ConnAckProperties, Connect, QoS, ReasonCode, Version, encode};

/// The longest client identifier: AWS IoT Core's.
const MAX_CLIENT_ID_BYTES: usize = 128;

/// How long a session of 3.1.1 without a clean start outlives its connection, in seconds: an hour, AWS IoT
/// Core's default. That version has no way to ask.
const KEPT_SESSION_EXPIRY_S: u32 = 3600;

impl<H: Host> Peer<H> {
    pub(super) fn connect(&mut self, connect: &Connect<'_>) -> Result<(), End> {
        self.said = said(connect, &self.limits);
        if let Some((reason, words)) = refusal(connect) {
            return Err(self.refuse(reason, words));
        }
        match self.host.may_connect(connect) {
            ReasonCode::Success => {}
            reason => return Err(self.refuse(reason, reason.name())),
        }
        let arrival = Arrival {
            client_id: connect.client_id,
            clean_start: connect.clean_start,
            expiry_s: self.said.session_expiry_s,
            terms: terms(connect, &self.said, &self.limits),
        };
        let attach = |broker: &mut Broker| {
            broker.admit(connect.client_id)?;
            Ok(broker.attach(&arrival))
        };
        let (attached, session_present) = match self.host.with_broker(attach) {
            Ok(attached) => attached,
            Err(reason) => return Err(self.refuse(reason, ReasonCode::name(reason))),
        };
        self.will = connect.will.as_ref().and_then(OwnWill::new).map(Box::new);
        // Ahead of everything that is delivered: that waits in the session until this is in `out`.
        let assigned =
            connect.client_id.is_empty().then(|| std::sync::Arc::clone(attached.session.client_id()));
        self.attached = Some(attached);
        let properties = offer(connect, &self.said, &self.limits, assigned.as_deref());
        let connack = ConnAck { session_present, reason: ReasonCode::Success, properties };
        self.answer(None, |out, version, _| encode::connack(out, version, &connack))?;
        // A will may have waited for the end of the session that a clean start has just ended.
        publish_due_wills(&*self.host);
        Ok(())
    }

    /// Answers a CONNECT with a refusal.
    pub(super) fn refuse(&mut self, reason: ReasonCode, words: &str) -> End {
        self.tally.refused_connects.add(1);
        let _: Result<(), End> = self.answer(Some(words), |out, version, reason_string| {
            let reason = if version == Version::V5 { reason } else { spoken_by_3_1_1(reason) };
            let mut connack = ConnAck::new(reason);
            connack.properties.reason_string = reason_string;
            encode::connack(out, version, &connack)
        });
        End::Refused
    }
}

/// What cannot be accepted whoever the client is, with the reason in words.
fn refusal(connect: &Connect<'_>) -> Option<(ReasonCode, &'static str)> {
    let Connect { client_id, .. } = connect;
    // [MQTT-3.1.3-8] of 3.1.1; and a session that could not be found again would be of no use.
    if client_id.is_empty() && !connect.clean_start && connect.version == Version::V311 {
        return Some((ReasonCode::ClientIdentifierNotValid, "a kept session needs a client identifier"));
    }
    if client_id.len() > MAX_CLIENT_ID_BYTES {
        return Some((
            ReasonCode::ClientIdentifierNotValid,
            "the client identifier is longer than 128 bytes",
        ));
    }
    if connect.properties.authentication_method.is_some() {
        return Some((ReasonCode::BadAuthenticationMethod, "no authentication method is offered"));
    }
    None
}

fn said(connect: &Connect<'_>, limits: &Limits) -> Said {
    let properties = &connect.properties;
    Said {
        version: connect.version,
        keep_alive_s: limits.keep_alive_s(connect.keep_alive_s),
        session_expiry_s: match connect.version {
            Version::V311 if connect.clean_start => 0,
            Version::V311 => KEPT_SESSION_EXPIRY_S,
            Version::V5 => limits.session_expiry_s(properties.session_expiry_s),
        },
        max_packet_bytes: properties.maximum_packet_size.map_or(u32::MAX, NonZeroU32::get),
        wants_words: properties.request_problem_information,
    }
}

fn terms(connect: &Connect<'_>, said: &Said, limits: &Limits) -> Terms {
    let ours = u16::try_from(MAX_IN_FLIGHT).unwrap_or(u16::MAX);
    let ours = ours.min(limits.unacknowledged_out.unwrap_or(u16::MAX));
    Terms {
        version: said.version,
        window: connect.properties.receive_maximum.min(ours),
        max_packet_bytes: said.max_packet_bytes,
        outlives: said.session_expiry_s > 0,
    }
}

/// What a CONNACK of MQTT 5 says besides yes: where this server differs from what the standard assumes.
fn offer<'a>(
    connect: &Connect<'_>,
    said: &Said,
    limits: &Limits,
    assigned: Option<&'a str>,
) -> ConnAckProperties<'a> {
    if connect.version == Version::V311 {
        return ConnAckProperties::NONE;
    }
    let adjusted = said.session_expiry_s != connect.properties.session_expiry_s;
    ConnAckProperties {
        session_expiry_s: adjusted.then_some(said.session_expiry_s),
        receive_maximum: limits.unacknowledged_in.and_then(NonZeroU16::new),
        server_keep_alive_s: (said.keep_alive_s != connect.keep_alive_s).then_some(said.keep_alive_s),
        maximum_qos: Some(QoS::AtLeastOnce),
        maximum_packet_size: u32::try_from(MAX_PACKET_BYTES).ok().and_then(NonZeroU32::new),
        assigned_client_id: assigned,
        topic_alias_maximum: super::aliases::MAXIMUM,
        subscription_identifiers: Some(false),
        ..ConnAckProperties::NONE
    }
}

/// The nearest of the five return codes of 3.1.1 (table 3.1).
fn spoken_by_3_1_1(reason: ReasonCode) -> ReasonCode {
    match reason {
        ReasonCode::UnsupportedProtocolVersion
        | ReasonCode::ClientIdentifierNotValid
        | ReasonCode::BadUserNameOrPassword
        | ReasonCode::NotAuthorized => reason,
        _ => ReasonCode::ServerUnavailable,
    }
}
