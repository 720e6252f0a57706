//! The settle lane: reads ended executions back, one after the other, in a lane of its own.

use std::rc::Rc;

use tokio::sync::Notify;

use crate::ledger::{Holder, ReadBack, Record, ToSettle};
use crate::protocol::ExecutionId;

use super::Driver;
use super::api::{CallError, CommandsApi};

/// Records read back before the other tasks of the shard get their turn.
const BATCH: usize = 64;

/// Settles what the ledger has ready until the task is dropped. `holder` knows how a device stands to
/// an execution; `changed` is the ledger's notification.
pub async fn settle_lane(
    driver: Rc<Driver>,
    mut api: impl CommandsApi,
    holder: impl Fn(u32, &ExecutionId) -> Holder,
    device_id: impl Fn(u32) -> Option<crate::plan::DeviceId>,
    changed: Rc<Notify>,
) {
    let mut name = String::new();
    loop {
        for _ in 0..BATCH {
            let next = driver.ledger.borrow_mut().next_to_settle(driver.clock.now());
            let Some(ToSettle { key, id, device }) = next else { break };
            let Some(device_id) = device_id(device) else { continue };
            let read = read_back(api.read_back(&id, &driver.target(device_id, &mut name)).await);
            driver.ledger.borrow_mut().settle(key, driver.clock.now(), &read, holder(device, &id));
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

fn read_back(answer: Result<Record, CallError>) -> ReadBack {
    match answer {
        Ok(record) => ReadBack::Record(record),
        Err(CallError::Refused { name, .. }) if name == "ResourceNotFoundException" => ReadBack::NotFound,
        Err(_) => ReadBack::Unreadable,
    }
}
