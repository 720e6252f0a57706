//! How a device treats its executions: a pure state machine.
//!
//! Requests, replies, due instants and the coming and going of the connection go in, [`Action`]s come
//! out; the device's task performs them. As many executions are worked on at once as the device's
//! [`Manners`] allow, one as a rule; the rest waits in the order of its requests, or is turned away.
//! Nothing here knows which MQTT is spoken.

mod job;

use std::collections::VecDeque;

use crate::clock::Instant;
use crate::ledger::{Arrived, PlannedEnd};
use crate::plan::Decision;
use crate::protocol::{ExecutionId, Status};
use crate::scenario::{Manners, OutcomeKind, WhenBusy};

use job::{Held, Job, Stage};

/// What the device is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Publish IN_PROGRESS.
    SendProgress {
        /// For which execution.
        id: ExecutionId,
        /// With this client token.
        token: Token,
        /// Whether the answer waits for its reply.
        waited_for: bool,
    },
    /// Publish the terminal update.
    SendReport {
        /// For which execution.
        id: ExecutionId,
        /// With which status.
        status: Status,
        /// For which reason.
        reason: Reason,
        /// When it was planned for.
        planned: Instant,
        /// With this client token.
        token: Token,
        /// What else is sent with it.
        around: Around,
    },
    /// Call [`Behaviour::due`] with this serial at that instant.
    Wake {
        /// When.
        at: Instant,
        /// Tells a moot wake-up from the one that is meant.
        serial: u32,
    },
    /// Read all that has come, then call [`Behaviour::has_read`]: a reply that is overdue may be among it.
    ReadFirst,
    /// Break the connection off without a word: planned for the middle of an execution.
    Drop,
    /// The reply to IN_PROGRESS came, or was given up.
    ProgressReplied {
        /// For which execution.
        id: ExecutionId,
        /// Whether it was accepted.
        accepted: bool,
    },
    /// The reply to the terminal update came.
    Confirmed {
        /// For which execution.
        id: ExecutionId,
        /// `None` = accepted, else the error of the rejection.
        rejected: Option<String>,
    },
    /// The reply to the terminal update is not waited for any longer.
    Unconfirmed {
        /// For which execution.
        id: ExecutionId,
        /// Whether a connection ended meanwhile.
        disconnected: bool,
    },
    /// Its turn came after its message expiry: it is not worked on.
    Expired {
        /// Which execution.
        id: ExecutionId,
    },
}

/// Why a device ends an execution as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It says nothing of it.
    None,
    /// That of the group's planned outcome with this index.
    Outcome(u8),
    /// It is busy.
    Busy,
}

/// What a device sends around a terminal update, by plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Around {
    /// The update a second time at once.
    pub twice: bool,
    /// Before it, one that is malformed in this way.
    pub malformed: Option<u8>,
    /// After it, an IN_PROGRESS with this client token.
    pub progress: Option<Token>,
}

/// The client token of an update; 0 = it carries none.
///
/// A reply names the execution but not the update it belongs to. That is enough while each update waits
/// for its reply on the connection it was sent on. Once replies can come twice, late or not at all, an
/// update carries a token, and only the reply with that token counts.
pub type Token = u16;

/// A request as it arrives.
#[derive(Debug, Clone, Copy)]
pub struct Arriving<'a> {
    /// Its execution.
    pub id: &'a ExecutionId,
    /// Marked as a redelivery.
    pub dup: bool,
    /// When its message expires; MQTT 5 only.
    pub expires: Option<Instant>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Held for the first time, with this planned end.
    Held(PlannedEnd),
    /// Held already.
    Again(Arrived),
    /// Turned away because the device is busy: with REJECTED, or without a word.
    TurnedAway(PlannedEnd),
    /// The queue is full.
    Refused,
}

/// What every input comes with.
#[derive(Debug)]
pub struct Turn<'t> {
    /// How the device behaves besides its draws.
    pub manners: &'t Manners,
    /// The instant.
    pub now: Instant,
    /// Since when the device has been online; `None` = it is not.
    pub online_since: Option<Instant>,
    /// The instant, or the end of the silence that it is in.
    pub speaks_from: Instant,
    /// What comes of it.
    pub actions: &'t mut Vec<Action>,
}

impl Turn<'_> {
    /// A delay that begins now: longer just after a connect, if the device starts slowly.
    fn stretched(&self, delay_us: u64) -> u64 {
        match (self.manners.slow_start, self.online_since) {
            (Some(slow), Some(since)) => slow.stretched(delay_us, self.now.micros_since(since)),
            _ => delay_us,
        }
    }
}

/// How long a device waits for a reply before it goes on without one; AWS's SDKs wait 5 to 30 s.
const REPLY_WAIT_US: u64 = 10_000_000;
/// Requests a device queues at the most; a real device has less memory than that.
const MAX_QUEUED: usize = 1_000;
/// Ended executions a device remembers, to tell a redelivery from a new request.
const REMEMBERED: usize = 16;
/// The same with a kept session: after a reconnect everything comes again that was not acknowledged,
/// which is at most the receive maximum that devices announce.
const REMEMBERED_IN_SESSION: usize = 128;

/// The executions of one device.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// Those that are worked on, and those that are being turned away with a REJECTED, in the order in
    /// which they were taken up.
    jobs: Vec<Job>,
    /// Those that wait for their turn.
    waiting: VecDeque<Held>,
    ended: VecDeque<(ExecutionId, u32)>,
    serial: u32,
    /// Distinct executions held so far.
    distinct: u32,
    /// Connections so far.
    connection: u32,
    online: bool,
    /// Whether the broker keeps the session while the device is away.
    keeps_session: bool,
    last_token: Token,
}

impl Behaviour {
    /// Of a device that keeps its session, or begins a new one with every connection.
    pub fn new(keeps_session: bool) -> Self {
        Self { keeps_session, ..Self::default() }
    }

    /// Executions held and not ended.
    #[cfg(test)]
    fn holding(&self) -> usize {
        self.jobs.len() + self.waiting.len()
    }

    /// A request arrives. `decide(n)` says how the n-th distinct one is treated, `times_out` when its
    /// execution does: only a late answer needs to know.
    pub fn request(
        &mut self,
        request: Arriving<'_>,
        decide: impl FnOnce(u64) -> Decision,
        times_out: impl FnOnce() -> Instant,
        turn: &mut Turn<'_>,
    ) -> Request {
        let Arriving { id, dup, expires } = request;
        if let Some(earlier) = self.came_on(id) {
            let legal = dup || earlier != self.connection;
            return Request::Again(if legal { Arrived::Redelivered } else { Arrived::Duplicated });
        }
        if self.jobs.len() + self.waiting.len() >= MAX_QUEUED {
            return Request::Refused;
        }
        let decision = decide(u64::from(self.distinct));
        self.distinct = self.distinct.wrapping_add(1);
        let connection = self.connection;
        if decision.kind == OutcomeKind::NoAnswer {
            // Silence occupies nobody: the device is free at once.
            self.remember(id.clone(), connection);
            return Request::Held(PlannedEnd::Silence);
        }
        let busy = self.is_busy(turn.manners);
        let mut held = Held { id: id.clone(), connection, decision, late_at: None, expires };
        match turn.manners.when_busy {
            WhenBusy::Reject if busy => {
                self.turn_away(held, turn);
                return Request::TurnedAway(PlannedEnd::Answer { after_us: 0 });
            }
            WhenBusy::Ignore if busy => {
                self.remember(held.id, connection);
                return Request::TurnedAway(PlannedEnd::Silence);
            }
            WhenBusy::Queue | WhenBusy::Reject | WhenBusy::Ignore => {}
        }
        let end = if decision.kind == OutcomeKind::Late {
            let at = times_out().plus_micros(decision.delay_us);
            held.late_at = Some(at);
            PlannedEnd::Late { at }
        } else {
            let after_us = decision.accept_us.unwrap_or(0).saturating_add(decision.delay_us);
            PlannedEnd::Answer { after_us: turn.stretched(after_us) }
        };
        if busy {
            self.waiting.push_back(held);
        } else {
            self.begin(held, turn);
        }
        Request::Held(end)
    }

    /// The connection on which the request of an execution came first, if it is known.
    fn came_on(&self, id: &ExecutionId) -> Option<u32> {
        let held = self.jobs.iter().map(|job| &job.held).chain(&self.waiting);
        let held = held.map(|held| (&held.id, held.connection));
        let mut known = held.chain(self.ended.iter().map(|(id, connection)| (id, *connection)));
        known.find_map(|(other, connection)| (other == id).then_some(connection))
    }

    /// Whether it works on as many executions as it can.
    fn is_busy(&self, manners: &Manners) -> bool {
        let working = self.jobs.iter().filter(|job| !job.turned_away).count();
        working >= usize::from(manners.max_parallel)
    }

    /// Whether `id` is held and going to be answered.
    pub fn holds(&self, id: &ExecutionId) -> bool {
        self.job_of(id).is_some() || self.waiting.iter().any(|held| held.id == *id)
    }

    /// Whether a wake-up with this serial is still meant.
    pub fn awaits(&self, serial: u32) -> bool {
        self.jobs.iter().any(|job| job.serial == serial)
    }

    /// Whether the token of a reply to `id` matters: else it need not be read.
    pub fn awaits_token(&self, id: &ExecutionId) -> bool {
        self.job_of(id).is_some_and(|at| self.jobs[at].exchange.token != 0)
    }

    fn job_of(&self, id: &ExecutionId) -> Option<usize> {
        self.jobs.iter().position(|job| job.held.id == *id)
    }

    /// The instant of a [`Action::Wake`] has come.
    pub fn due(&mut self, serial: u32, turn: &mut Turn<'_>) {
        let Some(at) = self.jobs.iter().position(|job| job.serial == serial) else { return };
        match self.jobs[at].stage {
            // Offline there is nothing to be woken for; online its silence is over.
            Stage::ProgressPending { .. } if self.online => self.send_progress(at, turn),
            Stage::ReportPending { planned, .. } if self.online => {
                self.send_report(at, planned.max(turn.now), turn);
            }
            Stage::ProgressPending { .. } | Stage::ReportPending { .. } => {}
            Stage::ProgressDue => self.send_progress(at, turn),
            Stage::DropDue { planned } => {
                if self.online {
                    turn.actions.push(Action::Drop);
                    self.offline();
                }
                self.jobs[at].stage = Stage::ReportDue { planned };
                self.wake(at, planned, turn);
            }
            Stage::ReportDue { planned } => self.send_report(at, planned, turn),
            // A busy generator may not have read it yet, which is not the target's fault.
            Stage::ProgressSent | Stage::ReportSent { .. } => {
                self.jobs[at].exchange.overdue = true;
                turn.actions.push(Action::ReadFirst);
            }
        }
    }

    /// All that has come is read: the replies that are overdue are not there, and are waited for no longer.
    pub fn has_read(&mut self, turn: &mut Turn<'_>) {
        while let Some(at) = self.jobs.iter().position(|job| job.exchange.overdue) {
            self.jobs[at].exchange.overdue = false;
            match self.jobs[at].stage {
                Stage::ProgressSent => {
                    // If it still comes, it must not be taken for the reply to the answer.
                    self.jobs[at].exchange.stray_replies = true;
                    self.progress_replied(at, false, turn);
                }
                Stage::ReportSent { .. } => {
                    let disconnected = self.jobs[at].exchange.disconnected;
                    self.end(at, |id| Action::Unconfirmed { id, disconnected }, turn);
                }
                _ => {}
            }
        }
    }

    /// A reply arrives, with its client token (0 = none); `rejected` holds the error of a rejection.
    /// Whether it was waited for.
    pub fn reply(
        &mut self,
        id: &ExecutionId,
        token: Token,
        rejected: Option<String>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(at) = self.job_of(id) else { return false };
        let exchange = &mut self.jobs[at].exchange;
        if token != 0 && token == exchange.unwaited {
            exchange.unwaited = 0;
            turn.actions.push(Action::ProgressReplied { id: id.clone(), accepted: rejected.is_none() });
            return true;
        }
        if token != exchange.token {
            return false;
        }
        match self.jobs[at].stage {
            Stage::ProgressSent => self.progress_replied(at, rejected.is_none(), turn),
            Stage::ReportSent { .. } => self.end(at, |id| Action::Confirmed { id, rejected }, turn),
            _ => return false,
        }
        true
    }

    /// The device is subscribed. What waited for a connection is sent, once the device is not silenced; what
    /// lost its reply with one is sent again, unless the session went on (`resumed`): then the update or its
    /// reply still comes.
    pub fn online(&mut self, resumed: bool, turn: &mut Turn<'_>) {
        self.online = true;
        self.connection = self.connection.wrapping_add(1);
        for at in 0..self.jobs.len() {
            match self.jobs[at].stage {
                Stage::ProgressPending { sent: true } if resumed => {
                    self.jobs[at].stage = Stage::ProgressSent;
                    self.wake(at, turn.now.plus_micros(REPLY_WAIT_US), turn);
                }
                Stage::ReportPending { planned, sent: true } if resumed => {
                    self.jobs[at].stage = Stage::ReportSent { planned };
                    self.wake(at, turn.now.plus_micros(REPLY_WAIT_US), turn);
                }
                Stage::ProgressPending { .. } | Stage::ReportPending { .. }
                    if turn.speaks_from > turn.now =>
                {
                    self.wake(at, turn.speaks_from, turn);
                }
                Stage::ProgressPending { .. } => self.send_progress(at, turn),
                // The device could not have answered before: it is not late by the time it was offline.
                Stage::ReportPending { planned, .. } => self.send_report(at, planned.max(turn.now), turn),
                _ => {}
            }
        }
    }

    /// The connection ended: replies that were awaited will not come on it.
    pub fn offline(&mut self) {
        self.online = false;
        self.jobs.iter_mut().for_each(Job::lose_reply);
    }

    /// Works on an execution from now on.
    fn begin(&mut self, held: Held, turn: &mut Turn<'_>) {
        let accept_us = held.decision.accept_us;
        let at = self.add(Job::new(held, self.keeps_session || !turn.manners.wait_accepted));
        match accept_us {
            Some(accept_us) => self.wake(at, turn.now.plus_micros(turn.stretched(accept_us)), turn),
            None => self.report_due(at, turn),
        }
    }

    /// Says REJECTED to a request that is one too many.
    fn turn_away(&mut self, held: Held, turn: &mut Turn<'_>) {
        let job = Job::new(held, self.keeps_session);
        let at = self.add(Job { turned_away: true, ..job });
        if turn.speaks_from > turn.now {
            self.jobs[at].stage = Stage::ReportDue { planned: turn.speaks_from };
            self.wake(at, turn.speaks_from, turn);
        } else {
            self.send_report(at, turn.now, turn);
        }
    }

    fn add(&mut self, job: Job) -> usize {
        // Most devices never have two; a vector would make room for four.
        if self.jobs.capacity() == 0 {
            self.jobs.reserve_exact(1);
        }
        self.jobs.push(job);
        self.jobs.len() - 1
    }

    /// Takes up what waits, as far as the device can.
    fn take_up(&mut self, turn: &mut Turn<'_>) {
        while !self.waiting.is_empty() && !self.is_busy(turn.manners) {
            let Some(held) = self.waiting.pop_front() else { return };
            if held.expires.is_some_and(|at| at < turn.now) {
                turn.actions.push(Action::Expired { id: held.id.clone() });
                self.remember(held.id, held.connection);
            } else {
                self.begin(held, turn);
            }
        }
    }

    fn report_due(&mut self, at: usize, turn: &mut Turn<'_>) {
        let Held { decision, late_at, .. } = &self.jobs[at].held;
        let planned = match late_at {
            Some(at) => (*at).max(turn.now),
            None => turn.now.plus_micros(turn.stretched(decision.delay_us)),
        };
        let (stage, wake_at) = match decision.drops_at {
            Some(share) => {
                let until_us = u128::from(planned.micros_since(turn.now)) * u128::from(share) / 65_536;
                let drop_at = turn.now.plus_micros(u64::try_from(until_us).unwrap_or(u64::MAX));
                (Stage::DropDue { planned }, drop_at)
            }
            None => (Stage::ReportDue { planned }, planned),
        };
        self.jobs[at].stage = stage;
        self.wake(at, wake_at, turn);
    }

    fn send_progress(&mut self, at: usize, turn: &mut Turn<'_>) {
        if !self.online {
            self.jobs[at].stage = Stage::ProgressPending { sent: false };
            return;
        }
        let token = self.next_token(at);
        let job = &mut self.jobs[at];
        let waited_for = turn.manners.wait_accepted;
        turn.actions.push(Action::SendProgress { id: job.held.id.clone(), token, waited_for });
        if waited_for {
            job.stage = Stage::ProgressSent;
            self.wake(at, turn.now.plus_micros(REPLY_WAIT_US), turn);
        } else {
            job.exchange.unwaited = token;
            self.report_due(at, turn);
        }
    }

    fn progress_replied(&mut self, at: usize, accepted: bool, turn: &mut Turn<'_>) {
        let id = self.jobs[at].held.id.clone();
        turn.actions.push(Action::ProgressReplied { id, accepted });
        // Accepted or not, the job goes on: after a cloud time-out its end is still wanted.
        self.report_due(at, turn);
    }

    fn send_report(&mut self, at: usize, planned: Instant, turn: &mut Turn<'_>) {
        if !self.online {
            self.jobs[at].stage = Stage::ReportPending { planned, sent: false };
            return;
        }
        let job = &self.jobs[at];
        // Sent again it goes alone: what went with it before may have arrived.
        let again = matches!(job.stage, Stage::ReportPending { sent: true, .. });
        let (id, status, reason) = (job.held.id.clone(), job.status(), job.reason());
        let Decision { twice, malformed, out_of_order, .. } = job.held.decision;
        let token = self.next_token(at);
        let around = if again || self.jobs[at].turned_away {
            Around::default()
        } else {
            Around { twice, malformed, progress: out_of_order.then(|| self.fresh_token()) }
        };
        turn.actions.push(Action::SendReport { id, status, reason, planned, token, around });
        self.jobs[at].stage = Stage::ReportSent { planned };
        self.wake(at, turn.now.plus_micros(REPLY_WAIT_US), turn);
    }

    fn next_token(&mut self, at: usize) -> Token {
        if self.jobs[at].exchange.stray_replies {
            self.jobs[at].exchange.token = self.fresh_token();
        }
        self.jobs[at].exchange.token
    }

    fn fresh_token(&mut self) -> Token {
        self.last_token = self.last_token.checked_add(1).unwrap_or(1);
        self.last_token
    }

    fn end(&mut self, at: usize, how: impl FnOnce(ExecutionId) -> Action, turn: &mut Turn<'_>) {
        let Held { id, connection, .. } = self.jobs.remove(at).held;
        self.remember(id.clone(), connection);
        turn.actions.push(how(id));
        self.take_up(turn);
    }

    fn remember(&mut self, id: ExecutionId, connection: u32) {
        let most = if self.keeps_session { REMEMBERED_IN_SESSION } else { REMEMBERED };
        if self.ended.len() >= most {
            self.ended.pop_front();
        }
        self.ended.push_back((id, connection));
    }

    fn wake(&mut self, job: usize, at: Instant, turn: &mut Turn<'_>) {
        self.serial = self.serial.wrapping_add(1);
        self.jobs[job].serial = self.serial;
        self.jobs[job].exchange.overdue = false;
        turn.actions.push(Action::Wake { at, serial: self.serial });
    }
}

#[cfg(test)]
mod tests;
