//! SUBSCRIBE and UNSUBSCRIBE, with an answer for each filter.

use super::{End, Peer};
use crate::backend::broker::lifecycle::Attached;
use crate::backend::broker::routes::{Grant, NotGranted};
use crate::backend::broker::{Broker, Host};
use crate::mqtt::{
    FilterRequest, ReasonCode, SubAck, Subscribe, UnsubAck, Unsubscribe, Version, Violation, encode,
};

/// Retained messages that one SUBSCRIBE may look at: once all there may be. Otherwise a packet full of
/// wildcards could hold the backend for minutes.
const RETAINED_LOOKED_AT: usize = 100_000;

impl<H: Host> Peer<H> {
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<(), End> {
        if subscribe.subscription_id.is_some() {
            return Err(self.violated(Violation::SubscriptionIdentifier));
        }
        let Some(attached) = &self.attached else { return Ok(()) };
        let client_id = attached.session.client_id();
        let too_many = self.limits.check_filter_count(subscribe.filters().count());
        let may = |request: FilterRequest<'_>| {
            too_many.and_then(|()| self.limits.check_filter(request.filter)).map_err(Refused::OverLimit)?;
            let may = self.host.may_subscribe(client_id, request.filter);
            if may { Ok(()) } else { Err(Refused::NotAllowed) }
        };
        let allowed: Vec<Result<(), Refused>> = subscribe.filters().map(may).collect();
        let grant = |broker: &mut Broker| -> Vec<Result<QosCode, Refused>> {
            let mut look_at = RETAINED_LOOKED_AT;
            let one = |(request, allowed): (FilterRequest<'_>, &Result<(), Refused>)| {
                allowed.and_then(|()| grant_one(broker, attached, &request, &mut look_at))
            };
            subscribe.filters().zip(&allowed).map(one).collect()
        };
        let granted = self.host.with_broker(grant);
        let over_limit = granted.iter().filter(|one| one.is_err_and(Refused::is_over_limit)).count();
        self.tally.over_limit.add(over_limit as u64);
        let words = granted.iter().find_map(|one| one.err()).map(Refused::words);
        let version = self.said.version;
        let code = |one: &Result<QosCode, Refused>| one.unwrap_or_else(|refused| refused.code(version));
        let codes: Vec<u8> = granted.iter().map(code).collect();
        let id = subscribe.id;
        self.answer(words, |out, version, reason_string| {
            encode::suback(out, version, &SubAck { reason_string, ..SubAck::new(id, &codes) })
        })
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<(), End> {
        let Some(attached) = &self.attached else { return Ok(()) };
        let remove = |broker: &mut Broker| -> Vec<u8> {
            let code = |removed| {
                if removed { ReasonCode::Success } else { ReasonCode::NoSubscriptionExisted }.number()
            };
            unsubscribe.filters().map(|filter| code(broker.unsubscribe(attached, filter))).collect()
        };
        let codes = self.host.with_broker(remove);
        let id = unsubscribe.id;
        self.answer(None, |out, version, _| {
            let codes: &[u8] = if version == Version::V5 { &codes } else { &[] };
            encode::unsuback(out, version, &UnsubAck::new(id, codes))
        })
    }
}

/// The code of a granted subscription: the QoS.
type QosCode = u8;

/// Why a filter of a SUBSCRIBE was not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// The host says so.
    NotAllowed,
    /// The broker says so.
    NotGranted(NotGranted),
    /// The limits say so.
    OverLimit(ReasonCode),
}

impl Refused {
    fn code(self, version: Version) -> u8 {
        if version == Version::V311 {
            /// "Failure" (3.1.1, table 3.9.3).
            const FAILURE: u8 = 0x80;
            return FAILURE;
        }
        match self {
            Self::NotAllowed => ReasonCode::NotAuthorized,
            Self::NotGranted(NotGranted::TooLarge | NotGranted::MalformedShare) => {
                ReasonCode::TopicFilterInvalid
            }
            Self::NotGranted(NotGranted::TooMany | NotGranted::TooFast | NotGranted::TooMuchRetained) => {
                ReasonCode::QuotaExceeded
            }
            Self::OverLimit(reason) => reason,
            Self::NotGranted(NotGranted::NoSession) => ReasonCode::UnspecifiedError,
        }
        .number()
    }

    fn words(self) -> &'static str {
        match self {
            Self::NotAllowed => "the client may not subscribe to this filter",
            Self::NotGranted(NotGranted::TooLarge) => {
                "the filter is longer than 1024 bytes or has more than 32 levels"
            }
            Self::NotGranted(NotGranted::MalformedShare) => "a shared subscription is $share/<name>/<filter>",
            Self::NotGranted(NotGranted::TooMany) => "the session has as many subscriptions as it may have",
            Self::NotGranted(NotGranted::TooFast) => "the account subscribes too often",
            Self::NotGranted(NotGranted::TooMuchRetained) => {
                "one SUBSCRIBE may not ask for so many retained messages; ask in several"
            }
            Self::NotGranted(NotGranted::NoSession) => "the session has ended",
            Self::OverLimit(ReasonCode::QuotaExceeded) => "one SUBSCRIBE may not have so many filters",
            Self::OverLimit(_) => "the filter is longer or deeper than the limits of this broker",
        }
    }

    fn is_over_limit(self) -> bool {
        use NotGranted::{TooFast, TooMany, TooMuchRetained};
        matches!(self, Self::OverLimit(_) | Self::NotGranted(TooMany | TooFast | TooMuchRetained))
    }
}

fn grant_one(
    broker: &mut Broker,
    attached: &Attached,
    request: &FilterRequest<'_>,
    look_at: &mut usize,
) -> Result<QosCode, Refused> {
    let FilterRequest { filter, qos, no_local, retain_as_published, retain_handling } = *request;
    let grant = Grant { qos, no_local, retain_as_published };
    let granted = broker.subscribe(attached, filter, grant, retain_handling, look_at);
    granted.map(|()| qos as u8).map_err(Refused::NotGranted)
}
