//! The driver: which way starts take, over how many connections, how long they may wait.

use std::time::Duration;

use super::super::{Driver, Target, Via};
use super::{Collector, given, raw};

/// As many connections as the embedded backend serves at once.
const MAX_CONNECTIONS: u16 = 1024;
/// Shorter, and a busy machine would decide what is unreachable.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);
/// A start that waited longer would come after any other end of its run.
const MAX_TIMEOUT: Duration = Duration::from_hours(1);
/// With waits of up to 5 s this is minutes; whoever needs more does not need the execution any more.
const MAX_RETRIES: u32 = 100;

pub(super) fn check(raw: Option<&raw::Driver>, target: &Target, collector: &Collector<'_>) -> Driver {
    let mut driver = Driver::default();
    let Some(raw) = raw else { return driver };
    if let (Some(field), Some(via)) = (&raw.via, given(&raw.via)) {
        driver.via = match via {
            raw::Via::Http => Via::Http,
            raw::Via::Direct => Via::Direct,
        };
        if driver.via == Via::Direct && target.embedded().is_none() {
            let message = format!(
                "`via: direct` calls the embedded backend within the program; `target.{}` is reached over HTTP only",
                target.key()
            );
            collector.report_with_hint(
                field.spot,
                message,
                "leave out `via`, or take `target: { embedded: {} }`",
            );
        }
    }
    if let (Some(field), Some(count)) = (&raw.connections, given(&raw.connections)) {
        match u16::try_from(*count) {
            Ok(fits) if (1..=MAX_CONNECTIONS).contains(&fits) => driver.connections = fits,
            _ => {
                let message = format!("{count} connections; 1 to {MAX_CONNECTIONS} are possible");
                collector.report(field.spot, message);
            }
        }
    }
    if let (Some(field), Some(timeout)) = (&raw.timeout, given(&raw.timeout)) {
        if (MIN_TIMEOUT..=MAX_TIMEOUT).contains(&timeout.0) {
            driver.timeout = timeout.0;
        } else {
            let written = super::super::spelling::duration(timeout.0);
            collector
                .report(field.spot, format!("{written} is no time-out of a start: 1ms to 1h are possible"));
        }
    }
    if let (Some(field), Some(count)) = (&raw.retries, given(&raw.retries)) {
        match u32::try_from(*count) {
            Ok(fits) if fits <= MAX_RETRIES => driver.retries = fits,
            _ => {
                let message = format!("{count} retries of a start; 0 to {MAX_RETRIES} are possible");
                collector.report(field.spot, message);
            }
        }
    }
    driver
}
