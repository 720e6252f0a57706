//! Starting: a worker per connection (or one for direct calls) takes the oldest waiting start and sees it
//! through.

use std::rc::Rc;
use std::sync::Arc;

use crate::protocol::{ExecutionId, StartNames};
use crate::seed::{Purpose, Subject};

use super::api::{CallError, CommandsApi};
use super::{Driver, Job};

/// Between attempts to get a connection; a start waits at most `driver.timeout` for one.
const RECONNECT_US: u64 = 100_000;

/// Starts made before the other tasks of the shard get their turn: those of direct calls wait for nothing.
const BATCH: usize = 64;

/// Sends starts through one `api` until the task is dropped.
pub async fn start_worker(driver: Rc<Driver>, mut api: impl CommandsApi) {
    // The name of the device at hand.
    let mut device = String::new();
    loop {
        for _ in 0..BATCH {
            let job = driver.next_job().await;
            driver.start(&mut api, job, &mut device).await;
        }
        tokio::task::yield_now().await;
    }
}

impl Driver {
    async fn next_job(&self) -> Job {
        loop {
            let job = self.queue.borrow_mut().pop_front();
            if let Some(job) = job {
                // notify_one keeps one permit only: pass it on while there is more.
                if !self.queue.borrow().is_empty() {
                    self.queued.notify_one();
                }
                return job;
            }
            self.queued.notified().await;
        }
    }

    async fn start(&self, api: &mut impl CommandsApi, mut job: Job, device: &mut String) {
        if self.is_direct {
            // A direct start waits for this thread alone: that is the generator's lag, not the target's.
            job.picked = self.clock.now();
            self.ledger.borrow_mut().picked_only_now(job.key, job.picked);
        }
        let give_up = job.picked.plus_micros(self.timeout_us);
        loop {
            let now = self.clock.now();
            if now >= give_up {
                self.ledger.borrow_mut().refused(job.key, now, &Arc::from("Unreachable"));
                return;
            }
            match self.clock.timeout_at(give_up, api.ready()).await {
                Some(Ok(())) => {}
                Some(Err(_)) => {
                    self.clock.sleep_until(now.plus_micros(RECONNECT_US).min(give_up)).await;
                    continue;
                }
                None => continue,
            }
            let written = self.clock.now();
            self.ledger.borrow_mut().written(job.key, written);
            let names = StartNames {
                target: self.target(job.device, device),
                command_region: &self.region,
                command_account: &self.account,
                command_id: &self.plan.scenario().workloads[usize::from(job.workload)].command.name,
                timeout_seconds: self.workloads[usize::from(job.workload)].timeout_s,
            };
            let token = self.token(&job);
            let answer =
                self.clock.timeout_at(written.plus_micros(self.timeout_us), api.start(&names, &token));
            if self.take_answer(&job, answer.await) {
                return;
            }
        }
    }

    /// Whether the job is done; it is not when nothing was sent.
    fn take_answer(&self, job: &Job, answer: Option<Result<ExecutionId, CallError>>) -> bool {
        let now = self.clock.now();
        let mut ledger = self.ledger.borrow_mut();
        match answer {
            Some(Ok(id)) => ledger.started(job.key, now, id),
            Some(Err(CallError::Refused { name, .. })) => ledger.refused(job.key, now, &Arc::from(name)),
            Some(Err(CallError::Unreachable { .. })) => return false,
            Some(Err(CallError::Unanswered { .. })) | None => ledger.start_unanswered(job.key, now),
        }
        true
    }

    /// Makes the token of a repeatable start.
    fn token(&self, job: &Job) -> ExecutionId {
        let name = &self.plan.scenario().workloads[usize::from(job.workload)].name;
        ExecutionId::from_uuid(
            self.plan.seed().at(Purpose::ClientToken, Subject::new(name, 0), job.number).uuid(),
        )
    }
}
