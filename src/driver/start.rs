//! Starting: a worker per connection (or one for direct calls) takes the oldest waiting start and sees it
//! through.

use std::rc::Rc;
use std::sync::Arc;

use crate::protocol::{ExecutionId, StartNames};
use crate::seed::{Purpose, Subject};

use super::api::{CallError, CommandsApi, is_busy};
use super::{Driver, Job, UNREACHABLE};

/// Between attempts to get a connection; a start waits at most `driver.timeout` for one.
const RECONNECT_US: u64 = 100_000;

/// Starts made before the other tasks of the shard get their turn: those of direct calls wait for nothing.
const BATCH: usize = 64;

/// The wait before a refused start is sent again; doubles with each refusal.
const FIRST_RETRY_MS: u64 = 100;
/// The longest such wait.
const LONGEST_RETRY_MS: u64 = 5_000;

/// What became of an attempt to start.
enum Fate {
    /// The ledger has its answer.
    Known,
    /// Nothing was sent: there was no connection.
    Unsent,
    /// The service refused it with this error and may take it later.
    Again(Arc<str>),
}

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

    async fn start(self: &Rc<Self>, api: &mut impl CommandsApi, mut job: Job, device: &mut String) {
        if self.is_direct && job.attempt == 0 && !api.was_out_since(job.picked) {
            // A direct start waits for this thread alone: that is the generator's lag, not the target's.
            job.picked = self.clock.now();
            job.waiting_since = job.picked;
            self.ledger.borrow_mut().picked_only_now(job.key, job.picked);
        }
        let give_up = job.waiting_since.plus_micros(self.timeout_us);
        let mut unsent = 0;
        loop {
            let now = self.clock.now();
            if self.abandoned.get() {
                return self.take_back(&job, unsent > 0);
            }
            if now >= give_up {
                self.ledger.borrow_mut().refused(job.key, now, &Arc::from(UNREACHABLE));
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
            if self.abandoned.get() {
                return self.take_back(&job, unsent > 0);
            }
            self.ledger.borrow_mut().written(job.key, written);
            let names = StartNames {
                target: self.target(job.device, device),
                command_region: &self.region,
                command_account: &self.account,
                command_id: &self.plan.scenario().workloads[usize::from(job.workload)].command.name,
                timeout_seconds: self.workloads[usize::from(job.workload)].timeout_s,
            };
            let token = self.token(&job);
            let parameters = self.plan.parameters(job.workload, job.number);
            let answer = self.clock.timeout_at(
                written.plus_micros(self.timeout_us),
                api.start(&names, parameters.as_ref(), &token),
            );
            match self.take_answer(&job, answer.await) {
                Fate::Known => return,
                // A connection may end between two starts; a server that takes connections and closes them again must
                // not be asked as fast as it can refuse.
                Fate::Unsent if unsent == 0 => unsent += 1,
                Fate::Unsent => {
                    self.clock.sleep_until(self.clock.now().plus_micros(RECONNECT_US).min(give_up)).await;
                }
                Fate::Again(error) => return self.send_later(job, error),
            }
        }
    }

    /// Sends a refused start again after a wait that grows with each refusal.
    fn send_later(self: &Rc<Self>, mut job: Job, error: Arc<str>) {
        let at = self.clock.now().plus_micros(self.retry_wait_us(&job));
        job.attempt += 1;
        job.refused = Some(error);
        let driver = Rc::clone(self);
        // A task of its own, because a worker that waits is a connection that does nothing. The ledger has an
        // open entry for each, which bounds them.
        tokio::task::spawn_local(async move {
            driver.clock.sleep_until(at).await;
            let now = driver.clock.now();
            if let Some(error) = job.refused.as_ref().filter(|_| driver.abandoned.get()) {
                driver.ledger.borrow_mut().refused(job.key, now, error);
                return;
            }
            job.waiting_since = now;
            driver.queue.borrow_mut().push_back(job);
            driver.queued.notify_one();
        });
    }

    /// 100 ms, doubling up to 5 s, half of it chance: starts that were refused together do not come back
    /// together. Whole milliseconds.
    fn retry_wait_us(&self, job: &Job) -> u64 {
        let bound_ms = FIRST_RETRY_MS.saturating_mul(1 << job.attempt.min(16)).min(LONGEST_RETRY_MS);
        let name = &self.plan.scenario().workloads[usize::from(job.workload)].name;
        let subject = Subject::new(name, u64::from(job.attempt));
        let chance = self.plan.seed().at(Purpose::StartRetry, subject, job.number).below(bound_ms / 2 + 1);
        (bound_ms - chance) * 1000
    }

    fn take_answer(&self, job: &Job, answer: Option<Result<ExecutionId, CallError>>) -> Fate {
        let now = self.clock.now();
        let mut ledger = self.ledger.borrow_mut();
        match answer {
            Some(Ok(id)) => {
                self.started.set(self.started.get() + 1);
                ledger.started(job.key, now, id);
            }
            Some(Err(CallError::Refused { name, .. })) => {
                let again = is_busy(&name) && !self.abandoned.get();
                if again && job.attempt < self.plan.scenario().driver.retries {
                    ledger.statistics.note("starts refused and sent again");
                    return Fate::Again(Arc::from(name));
                }
                ledger.refused(job.key, now, &Arc::from(name));
            }
            Some(Err(CallError::Unreachable { .. })) => return Fate::Unsent,
            Some(Err(CallError::Unanswered { .. })) | None => ledger.start_unanswered(job.key, now),
        }
        Fate::Known
    }

    /// Makes the token of a repeatable start.
    fn token(&self, job: &Job) -> ExecutionId {
        let name = &self.plan.scenario().workloads[usize::from(job.workload)].name;
        ExecutionId::from_uuid(
            self.plan.seed().at(Purpose::ClientToken, Subject::new(name, self.token_salt), job.number).uuid(),
        )
    }
}
