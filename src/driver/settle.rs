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
    /// Reads one record at the lanes' common pace; also when the answer was asked for. While the target cannot
    /// be reached it waits with the other lanes, until that has lasted for too long.
    async fn read_from_outside(
        &self,
        api: &mut impl CommandsApi,
        pace: &Pace,
        id: &ExecutionId,
        target: &TargetName<'_>,
    ) -> (ReadBack, Instant) {
        let mut attempt = 0;
        loop {
            self.clock.sleep_until(pace.turn(self.clock.now(), self.started.get())).await;
            let asked = self.clock.now();
            if let Some(again) = pace.asks_again(asked) {
                if pace.is_gone(asked) {
                    return (ReadBack::Unreadable, asked);
                }
                self.clock.sleep_until(again).await;
                continue;
            }
            let wait = asked.plus_micros(self.timeout_us);
            match self.clock.timeout_at(wait, api.read_back(id, target)).await {
                Some(Err(CallError::Refused { name, .. })) if is_busy(&name) => {
                    pace.up();
                    if attempt == BUSY_ATTEMPTS {
                        return (ReadBack::Unreadable, self.clock.now());
                    }
                    pace.slow_down(self.clock.now(), attempt);
                    attempt += 1;
                }
                // Nothing is known of the record by that: it is asked for again when the target is asked again.
                Some(Err(CallError::Unreachable { .. })) | None => pace.down(self.clock.now()),
                Some(answer) => {
                    pace.up();
                    return (read_back(answer), asked);
                }
            }
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::clock::Clock;
    use crate::driver::tests::driver;
    use crate::protocol::{
        CreateCommandRequest, CreateCommandResponse, Deletion, GetCommandResponse, Parameters, StartNames,
        Status, TargetKind,
    };

    /// A target that cannot be reached until an instant, and how often it was asked.
    struct Outside {
        clock: Clock,
        reachable: Instant,
        asked: Rc<Cell<u32>>,
    }

    impl CommandsApi for Outside {
        async fn ready(&mut self) -> Result<(), CallError> {
            unreachable!("nothing is started")
        }

        async fn create_command(
            &mut self,
            _: &str,
            _: &CreateCommandRequest,
        ) -> Result<CreateCommandResponse, CallError> {
            unreachable!("nothing is created")
        }

        async fn get_command(&mut self, _: &str) -> Result<GetCommandResponse, CallError> {
            unreachable!("nothing is created")
        }

        async fn delete_command(&mut self, _: &str) -> Result<Deletion, CallError> {
            unreachable!("nothing is deleted")
        }

        async fn start(
            &mut self,
            _: &StartNames<'_>,
            _: Option<&Parameters>,
            _: &ExecutionId,
        ) -> Result<ExecutionId, CallError> {
            unreachable!("nothing is started")
        }

        async fn read_back(&mut self, _: &ExecutionId, _: &TargetName<'_>) -> Result<Record, CallError> {
            self.asked.set(self.asked.get() + 1);
            if self.clock.now() < self.reachable {
                return Err(CallError::Unreachable { address: "x".to_owned(), cause: "refused".to_owned() });
            }
            Ok(Record {
                status: Status::Succeeded,
                reason: None,
                result: None,
                completed_after_us: Some(1),
                request_withheld: false,
            })
        }
    }

    /// Eight lanes with 50 records each: what each of the 400 came to, when the last was in, and how often the
    /// target was asked.
    async fn read_all(reachable_ms: u64) -> (Vec<ReadBack>, u64, u32) {
        let clock = Clock::start_virtual();
        let (driver, pace, asked) = (driver(clock), Pace::new(1), Rc::new(Cell::new(0)));
        let read = RefCell::new(Vec::new());
        let target = TargetName { region: "r", account: "a", kind: TargetKind::Thing, name: "n" };
        let lane = || async {
            let reachable = Instant::from_micros(reachable_ms * 1000);
            let mut api = Outside { clock, reachable, asked: Rc::clone(&asked) };
            for n in 0..50 {
                let id = ExecutionId::from_uuid(n);
                let (one, _) = driver.read_from_outside(&mut api, &pace, &id, &target).await;
                read.borrow_mut().push(one);
            }
        };
        tokio::join!(lane(), lane(), lane(), lane(), lane(), lane(), lane(), lane());
        (read.into_inner(), clock.now().micros() / 1000, asked.get())
    }

    #[tokio::test(start_paused = true)]
    async fn records_are_asked_for_again_when_a_target_can_be_reached_again() {
        let (read, ended_ms, asked) = read_all(2_500).await;
        assert_eq!(read.len(), 400);
        assert!(read.iter().all(|one| matches!(one, ReadBack::Record(_))), "none is unreadable");
        assert!(
            (2_900..4_500).contains(&ended_ms),
            "a thousand a second from the next attempt on: {ended_ms}"
        );
        assert!(asked <= 400 + 4 * 8, "at most each lane once a second meanwhile: {asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_gone_is_given_up_and_the_drain_is_bounded() {
        let (read, ended_ms, asked) = read_all(u64::MAX / 1000).await;
        assert!(read.iter().all(|one| matches!(one, ReadBack::Unreadable)));
        assert!((10_000..13_000).contains(&ended_ms), "{ended_ms}");
        assert!(asked <= 13 * 8, "{asked}");
    }
}
