//! What is tested: the embedded backend unless the file says otherwise.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::super::spelling;
use super::super::written::{Account, Region, Text};
use super::super::{DEFAULT_ACCOUNT, DEFAULT_REGION, Embedded, Endpoint, Faults, Server, Target, Transport};
use super::{At, Collector, delays, faults, given, raw};
use crate::dist::Delay;
use crate::units::micros;

/// Both ways take less than the 10 s that a device waits for a reply.
const MAX_LINK_DELAY: Duration = Duration::from_secs(4);

pub(super) fn check(raw: Option<&raw::Target>, collector: &Collector<'_>) -> Target {
    match raw {
        None => Target::Embedded(standard()),
        Some(raw::Target::Embedded(raw)) => Target::Embedded(embedded(raw, collector)),
        Some(raw::Target::Endpoint(raw)) => Target::Endpoint(endpoint(raw)),
    }
}

/// The embedded backend as it is without a word about it.
pub(in crate::scenario) fn standard() -> Embedded {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Embedded {
        transport: Transport::Tcp,
        mqtt: any_port,
        http: any_port,
        link_delay: None,
        region: DEFAULT_REGION.to_owned(),
        account: DEFAULT_ACCOUNT.to_owned(),
        faults: Faults::default(),
    }
}

fn embedded(raw: &raw::Embedded, collector: &Collector<'_>) -> Embedded {
    let mut embedded = standard();
    if let Some(mqtt) = given(&raw.mqtt) {
        embedded.mqtt = mqtt.0.0;
    }
    if let Some(raw::Transport::Memory) = given(&raw.transport) {
        embedded.transport = Transport::Memory;
        if let Some(mqtt) = &raw.mqtt {
            let message = "with `transport: memory` there is no MQTT listener";
            collector.report_with_hint(mqtt.spot, message, "leave out `mqtt`, or take `transport: tcp`");
        }
    }
    if let Some(http) = given(&raw.http) {
        embedded.http = http.0.0;
    }
    embedded.link_delay = raw.link_delay.as_ref().and_then(|field| link_delay(field, collector));
    embedded.region = region(&raw.region);
    embedded.account = account(&raw.account);
    embedded.faults = faults::check(given(&raw.faults), collector);
    embedded
}

/// A link without delay is none.
fn link_delay(field: &At<raw::Delay>, collector: &Collector<'_>) -> Option<Delay> {
    let delay = delays::delay(field, collector);
    if delay.high_us() > micros(MAX_LINK_DELAY) {
        let message = format!(
            "a link delay of up to {}: at most {} are possible, because a device waits 10s for a reply, which takes \
             both ways",
            spelling::duration_us(delay.high_us()),
            spelling::duration(MAX_LINK_DELAY)
        );
        collector.report(field.spot, message);
    }
    (delay.high_us() > 0).then_some(delay)
}

fn endpoint(raw: &raw::Endpoint) -> Endpoint {
    // What is wrong has been noted; the stand-in never leaves the check.
    let stand_in = || Server { host: Ipv4Addr::LOCALHOST.to_string(), port: 0 };
    Endpoint {
        mqtt: raw.mqtt.get().map_or_else(stand_in, |url| url.0.0.clone()),
        http: raw.http.get().map_or_else(stand_in, |url| url.0.0.clone()),
        http_data: given(&raw.http_data).map(|url| url.0.0.clone()),
        region: region(&raw.region),
        account: account(&raw.account),
    }
}

#[expect(clippy::ref_option, reason = "borrows a field as it stands")]
fn region(raw: &Option<At<Text<Region>>>) -> String {
    given(raw).map_or_else(|| DEFAULT_REGION.to_owned(), |region| region.0.0.clone())
}

#[expect(clippy::ref_option, reason = "borrows a field as it stands")]
fn account(raw: &Option<At<Text<Account>>>) -> String {
    given(raw).map_or_else(|| DEFAULT_ACCOUNT.to_owned(), |account| account.0.0.clone())
}
