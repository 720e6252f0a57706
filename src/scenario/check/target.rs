//! What is tested: the embedded backend unless the file says otherwise.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::super::spelling;
use super::super::written::{Account, Name, Region, Text};
use super::super::{
    Aws, Credentials, DEFAULT_ACCOUNT, DEFAULT_REGION, Embedded, Endpoint, Faults, Group, Server, Target,
    Transport,
};
use super::{At, Collector, delays, faults, given, raw};
use crate::dist::Delay;
use crate::units::{Rate, micros};

/// Both ways take less than the 10 s that a device waits for a reply.
const MAX_LINK_DELAY: Duration = Duration::from_secs(4);

/// The lowest quota of connects a second that accounts at AWS have anywhere.
const AWS_CONNECTS_PER_SECOND: f64 = 100.0;

pub(super) fn check(raw: Option<&raw::Target>, collector: &Collector<'_>) -> Target {
    match raw {
        None => Target::Embedded(standard()),
        Some(raw::Target::Embedded(raw)) => Target::Embedded(embedded(raw, collector)),
        Some(raw::Target::Endpoint(raw)) => Target::Endpoint(endpoint(raw, collector)),
        Some(raw::Target::Aws(raw)) => Target::Aws(aws(raw, collector)),
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

fn aws(raw: &raw::Aws, collector: &Collector<'_>) -> Aws {
    let max_messages = raw.max_messages.get().copied().unwrap_or_default();
    if raw.max_messages.get() == Some(&0) {
        collector.report(raw.max_messages.spot, "0 messages let no device connect; at least 1 is needed");
    }
    Aws {
        max_messages,
        endpoint: given(&raw.endpoint).map(|host| host.0.0.clone()),
        region: given(&raw.region).map(|region| region.0.0.clone()),
        account: given(&raw.account).map(|account| account.0.0.clone()),
    }
}

/// Accounts at AWS are asked for so many connects a second and no more; groups that do not say how fast they connect
/// do so with care.
pub(super) fn pace_connects(
    target: &Target,
    raw: &At<raw::Named<Name, raw::Group>>,
    groups: &mut [Group],
    collector: &Collector<'_>,
) {
    let Target::Aws(_) = target else { return };
    for (name, raw) in raw.get().iter().flat_map(|entries| &entries.0) {
        let field = raw
            .get()
            .and_then(|raw| given(&raw.connect))
            .and_then(|connect| connect.rate.as_ref())
            .filter(|field| field.get().is_some());
        let own = name.get().and_then(|name| groups.iter_mut().find(|group| group.name == name.0.0));
        let (Some(group), None) =
            (own, field.filter(|field| field.get().is_some_and(|rate| rate.0.0.is_some())))
        else {
            continue;
        };
        group.connect.rate = Some(Rate::from_per_second(AWS_CONNECTS_PER_SECOND));
        if let Some(field) = field {
            let message = "`max` connects faster than an account at AWS lets anybody";
            let hint =
                format!("leave it out for {AWS_CONNECTS_PER_SECOND}/s, or give a rate within your quota");
            collector.report_with_hint(field.spot, message, hint);
        }
    }
}

fn endpoint(raw: &raw::Endpoint, collector: &Collector<'_>) -> Endpoint {
    // What is wrong has been noted; the stand-in never leaves the check.
    let stand_in = || Server { host: Ipv4Addr::LOCALHOST.to_string(), port: 0 };
    Endpoint {
        mqtt: raw.mqtt.get().map_or_else(stand_in, |url| url.0.0.clone()),
        http: raw.http.get().map_or_else(stand_in, |url| url.0.0.clone()),
        http_data: given(&raw.http_data).map(|url| url.0.0.clone()),
        region: region(&raw.region),
        account: account(&raw.account),
        credentials: given(&raw.credentials).and_then(|raw| credentials(raw, collector)),
    }
}

/// What can be signed with. What is wrong with one is said without the text: a message is printed and kept.
fn credentials(raw: &raw::Credentials, collector: &Collector<'_>) -> Option<Credentials> {
    let visible = |field: &At<String>, what: &str, variable: &str| {
        if field.get().is_some_and(|text| text == Credentials::HIDDEN) {
            let message = format!("the {what} was left out of this result");
            let hint = format!("give it with ${{{variable}}} and -e {variable}");
            collector.report_with_hint(field.spot, message, hint);
        } else if let Some(text) = field.get()
            && (text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            let hint = format!("from outside it comes with ${{{variable}}} and -e {variable}");
            let message =
                format!("this is no {what}: one has visible ASCII characters only, and at least one");
            collector.report_with_hint(field.spot, message, hint);
        }
    };
    visible(&raw.access_key_id, "access key id", "AWS_ACCESS_KEY_ID");
    visible(&raw.secret_access_key, "secret access key", "AWS_SECRET_ACCESS_KEY");
    // Keys that are no temporary ones have none: `${AWS_SESSION_TOKEN:-}`.
    let token = raw.session_token.as_ref().filter(|token| token.get().is_none_or(|text| !text.is_empty()));
    if let Some(token) = token {
        visible(token, "session token", "AWS_SESSION_TOKEN");
    }
    if raw.access_key_id.get().is_some_and(|id| id.contains(['/', ',', '='])) {
        // They part the fields of the header that it stands in.
        let message = "this is no access key id: it has a `/`, `,` or `=`";
        let hint = "is it the secret? that belongs into `secret_access_key`";
        collector.report_with_hint(raw.access_key_id.spot, message, hint);
    }
    Some(Credentials {
        access_key_id: raw.access_key_id.get()?.clone(),
        secret_access_key: raw.secret_access_key.get()?.clone(),
        session_token: token.and_then(|token| token.get().cloned()),
    })
}

#[expect(clippy::ref_option, reason = "borrows a field as it stands")]
fn region(raw: &Option<At<Text<Region>>>) -> String {
    given(raw).map_or_else(|| DEFAULT_REGION.to_owned(), |region| region.0.0.clone())
}

#[expect(clippy::ref_option, reason = "borrows a field as it stands")]
fn account(raw: &Option<At<Text<Account>>>) -> String {
    given(raw).map_or_else(|| DEFAULT_ACCOUNT.to_owned(), |account| account.0.0.clone())
}
