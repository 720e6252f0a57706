//! How devices connect, come back, and break off by plan.

use std::time::Duration;

use super::super::document::Spot;
use super::super::spelling;
use super::super::{Auth, Backoff, Connect, Drops, Jitter, raw};
use super::delays::delay;
use super::{At, Collector, bounded_rate, given, is_wrong, whole_seconds};
use crate::dist::Delay;
use crate::units::Share;

/// MQTT carries the keep-alive as 16 bits of seconds.
const MAX_KEEP_ALIVE_SECONDS: u64 = 65_535;
/// MQTT writes lengths of texts with 16 bits.
const MAX_MQTT_TEXT: usize = 65_535;
/// More growth than this is a typing mistake: the longest wait would be reached at once.
const MAX_FACTOR: f64 = 1_000.0;
/// A device that fails this often never comes back in any run.
const MAX_ATTEMPTS: u32 = 1_000_000;

pub(super) fn check(raw: Option<&raw::Connect>, collector: &Collector<'_>) -> Connect {
    let mut connect = Connect::default();
    let Some(raw) = raw else { return connect };
    if let (Some(field), Some(rate)) = (&raw.rate, given(&raw.rate)) {
        connect.rate = rate.0.0;
        if let Some(rate) = connect.rate {
            bounded_rate(rate, field.spot, collector);
            if rate.per_second() <= 0.0 {
                collector.report(field.spot, "at 0/s no device ever connects; give a rate, or max");
            }
        }
    }
    if let Some(version) = given(&raw.mqtt) {
        connect.mqtt = version.0.0;
    }
    connect.clean_session = given(&raw.clean_session).copied().unwrap_or(connect.clean_session);
    if let Some(field) = &raw.start_delay {
        connect.start_delay = delay(field, collector);
    }
    if let (Some(field), Some(keep_alive)) = (&raw.keep_alive, given(&raw.keep_alive)) {
        connect.keep_alive = keep_alive.0;
        whole_seconds(keep_alive.0, MAX_KEEP_ALIVE_SECONDS, "keep-alive", field.spot, collector);
    }
    if let Some(raw) = given(&raw.backoff) {
        connect.backoff = backoff(raw, collector);
    }
    connect.drops = raw.drops.as_ref().and_then(|field| drops(field, collector));
    connect.auth = given(&raw.auth).and_then(|raw| auth(raw, collector));
    connect
}

fn auth(raw: &raw::Auth, collector: &Collector<'_>) -> Option<Auth> {
    for field in [Some(&raw.username), raw.password.as_ref()].into_iter().flatten() {
        if field.get().is_some_and(|text| text.len() > MAX_MQTT_TEXT) {
            // Not the text: a message is printed and kept.
            collector.report(field.spot, format!("this is longer than MQTT can say, {MAX_MQTT_TEXT} bytes"));
        }
    }
    if let Some(field) =
        raw.password.as_ref().filter(|field| field.get().is_some_and(|text| text == Auth::HIDDEN))
    {
        let message = "the password was left out of this result";
        collector.report_with_hint(field.spot, message, "give it with ${PASSWORD} and -e PASSWORD");
    }
    Some(Auth { username: raw.username.get()?.clone(), password: given(&raw.password).cloned() })
}

fn backoff(raw: &raw::Backoff, collector: &Collector<'_>) -> Backoff {
    let standard = Backoff::default();
    let initial = given(&raw.initial).map(|wait| wait.0);
    let max = given(&raw.max).map(|wait| wait.0);
    if let (Some(field), Some(Duration::ZERO)) = (&raw.initial, initial) {
        collector.report(field.spot, "a first wait of 0s never grows: it must be longer than 0s");
    }
    // One that is left out follows the other rather than contradict it.
    let chosen = match (initial, max) {
        (Some(initial), Some(max)) => (initial, max),
        (Some(initial), None) => (initial, standard.max.max(initial)),
        (None, Some(max)) => (standard.initial.min(max), max),
        (None, None) => (standard.initial, standard.max),
    };
    if let (Some(field), true) = (&raw.max, chosen.1 < chosen.0) {
        let (initial, max) = (spelling::duration(chosen.0), spelling::duration(chosen.1));
        collector.report(
            field.spot,
            format!("the longest wait, {max}, must not be shorter than the first, {initial}"),
        );
    } else if let (Some(field), Some(Duration::ZERO)) = (&raw.max, max) {
        collector.report(field.spot, "a longest wait of 0s is none: it must be longer than 0s");
    }
    Backoff {
        initial: chosen.0,
        max: chosen.1,
        factor: factor(raw, collector).unwrap_or(standard.factor),
        jitter: match given(&raw.jitter) {
            Some(raw::Jitter::None) => Jitter::None,
            Some(raw::Jitter::Equal) => Jitter::Equal,
            Some(raw::Jitter::Full) | None => Jitter::Full,
        },
        max_attempts: max_attempts(raw, collector),
    }
}

fn factor(raw: &raw::Backoff, collector: &Collector<'_>) -> Option<f64> {
    let (field, factor) = (raw.factor.as_ref()?, *given(&raw.factor)?);
    if !(1.0..=MAX_FACTOR).contains(&factor) {
        collector
            .report(field.spot, format!("waits cannot grow by {factor}; 1 to {MAX_FACTOR} are possible"));
    }
    Some(factor)
}

fn max_attempts(raw: &raw::Backoff, collector: &Collector<'_>) -> Option<u32> {
    let (field, attempts) = (raw.max_attempts.as_ref()?, *given(&raw.max_attempts)?);
    match u32::try_from(attempts) {
        Ok(fits) if (1..=MAX_ATTEMPTS).contains(&fits) => Some(fits),
        _ => {
            let message = format!(
                "{attempts} attempts; 1 to {MAX_ATTEMPTS} are possible, and without the key a device never gives up"
            );
            collector.report(field.spot, message);
            None
        }
    }
}

fn drops(field: &At<raw::Drops>, collector: &Collector<'_>) -> Option<Drops> {
    let raw = field.get()?;
    let every = raw.every.as_ref().map(|field| (field, delay(field, collector)));
    if let Some((field, every)) = &every
        && field.get().is_some()
        && every.high_us() == 0
    {
        collector.report(field.spot, "a connection that drops after 0s is none: it must last longer than 0s");
    }
    let mid_command = given(&raw.mid_command).map_or(Share::ZERO, |share| share.0);
    if every.is_none() && mid_command.fraction() <= 0.0 && !is_wrong(&raw.mid_command) {
        let message = "nothing ever drops: `every` (a delay) or `mid_command` (a share) is needed";
        collector.report(Spot::Key(field.spot.node()), message);
    }
    Some(Drops {
        every: every.map(|(_, every)| every),
        down_for: raw.down_for.as_ref().map_or(Delay::ZERO, |field| delay(field, collector)),
        mid_command,
    })
}
