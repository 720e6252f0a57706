//! The settle lane: reads ended executions back, one after the other, in a lane of its own.
//!
//! Against the embedded backend that is one lane of calls. A target outside has several, each with a
//! connection, paced together ([`Pace`]); while one waits for an answer the device may say more, so a
//! record older than what was heard since is read again.

mod pace;

use std::rc::Rc;

use tokio::sync::Notify;

use crate::clock::Instant;
use crate::ledger::{Holder, ReadBack, Record, ToSettle};
use crate::protocol::{ExecutionId, TargetName};

use super::Driver;
use super::api::{CallError, CommandsApi, is_busy};

pub use pace::Pace;

/// Records read back before the other tasks of the shard get their turn.
const BATCH: usize = 64;

/// Repetitions of a read that a busy target refuses before its record counts as unreadable: 16 s of pauses.
const BUSY_ATTEMPTS: u32 = 8;

/// Settles what the ledger has ready until the task is dropped. `holder` knows how a device stands to
/// an execution; `changed` is the ledger's notification; `pace` is the one of all lanes of the shard, if
/// the target is not in this process.
pub async fn settle_lane(
    driver: Rc<Driver>,
    mut api: impl CommandsApi,
    holder: impl Fn(&ToSettle, Instant) -> Holder,
    device_id: impl Fn(u32) -> Option<crate::plan::DeviceId>,
    changed: Rc<Notify>,
    pace: Option<Rc<Pace>>,
) {
    let mut name = String::new();
    loop {
        for _ in 0..BATCH {
            let next = driver.ledger.borrow_mut().next_to_settle(driver.clock.now());
            let Some(next) = next else { break };
            let Some(device_id) = device_id(next.device) else { continue };
            let target = driver.target(device_id, &mut name);
            let (read, asked) = match &pace {
                None => (read_back(api.read_back(&next.id, &target).await), driver.clock.now()),
                Some(pace) => driver.read_from_outside(&mut api, pace, &next.id, &target).await,
            };
            let mut ledger = driver.ledger.borrow_mut();
            if ledger.heard_since(next.key, asked) {
                ledger.read_again(next.key);
            } else {
                let now = driver.clock.now();
                ledger.settle(next.key, now, &read, &holder(&next, now));
            }
        }
        let next = driver.ledger.borrow().next_deadline();
        match next {
            Some(at) if at <= driver.clock.now() => tokio::task::yield_now().await,
            Some(at) => {
                driver.clock.timeout_at(at, changed.notified()).await;
            }
            None => changed.notified().await,
        }
    }
}

impl Driver {
    /// Reads one record at the lanes' common pace; also when the answer was asked for.
    async fn read_from_outside(
        &self,
        api: &mut impl CommandsApi,
        pace: &Pace,
        id: &ExecutionId,
        target: &TargetName<'_>,
    ) -> (ReadBack, Instant) {
        for attempt in 0..=BUSY_ATTEMPTS {
            self.clock.sleep_until(pace.turn(self.clock.now(), self.started.get())).await;
            let asked = self.clock.now();
            if pace.is_down(asked) {
                return (ReadBack::Unreadable, asked);
            }
            let wait = asked.plus_micros(self.timeout_us);
            match self.clock.timeout_at(wait, api.read_back(id, target)).await {
                Some(Err(CallError::Refused { name, .. })) if is_busy(&name) => {
                    pace.slow_down(self.clock.now(), attempt);
                }
                Some(Err(CallError::Unreachable { .. })) | None => {
                    pace.down(self.clock.now());
                    return (ReadBack::Unreadable, asked);
                }
                Some(answer) => {
                    return (read_back(answer), asked);
                }
            }
        }
        (ReadBack::Unreadable, self.clock.now())
    }
}

fn read_back(answer: Result<Record, CallError>) -> ReadBack {
    match answer {
        Ok(record) => ReadBack::Record(record),
        Err(CallError::Refused { name, .. }) if name == "ResourceNotFoundException" => ReadBack::NotFound,
        Err(_) => ReadBack::Unreadable,
    }
}
