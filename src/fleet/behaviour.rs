//! How a device treats its executions: a pure state machine.
//!
//! Requests, replies and due instants go in, [`Action`]s come out; the device's task performs them.
//! One execution is worked on at a time, the rest wait in the order of their requests.

use std::collections::VecDeque;

use crate::clock::Instant;
use crate::ledger::{Arrived, PlannedEnd};
use crate::plan::Decision;
use crate::protocol::{ExecutionId, Status};
use crate::scenario::OutcomeKind;

/// What the device is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Publish IN_PROGRESS.
    SendProgress {
        /// For which execution.
        id: ExecutionId,
    },
    /// Publish the terminal update.
    SendReport {
        /// For which execution.
        id: ExecutionId,
        /// With which status.
        status: Status,
        /// Index of the planned outcome, for its reason.
        outcome: Option<u8>,
        /// When it was planned for.
        planned: Instant,
    },
    /// Call [`Behaviour::due`] with this serial at that instant.
    Wake {
        /// When.
        at: Instant,
        /// Tells a moot wake-up from the one that is meant.
        serial: u32,
    },
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
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Held for the first time, with this planned end.
    Held(PlannedEnd),
    /// Held already.
    Again(Arrived),
    /// The queue is full.
    Refused,
}

/// How long a device waits for a reply before it goes on without one; AWS's SDKs wait 5 to 30 s.
const REPLY_WAIT_US: u64 = 10_000_000;
/// Requests a device queues at the most; a real device has less memory than that.
const MAX_QUEUED: usize = 1_000;
/// Ended executions a device remembers, to tell a redelivery from a new request.
const REMEMBERED: usize = 16;

/// The executions of one device.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// The first is being worked on.
    held: VecDeque<Held>,
    ended: VecDeque<(ExecutionId, u32)>,
    stage: Stage,
    serial: u32,
    /// Distinct executions held so far.
    distinct: u64,
    online: bool,
    /// A connection ended while a reply was awaited.
    disconnected: bool,
    /// The wait for a reply to IN_PROGRESS was given up: if it still comes, it is not the report's.
    overdue_reply: bool,
}

#[derive(Debug)]
struct Held {
    id: ExecutionId,
    session: u32,
    decision: Decision,
}

/// Where the first of `held` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// There is none.
    #[default]
    Idle,
    /// IN_PROGRESS is due at the instant that was asked for.
    ProgressDue,
    /// IN_PROGRESS has to be sent, again or once the device is online.
    ProgressPending,
    /// IN_PROGRESS is sent, its reply awaited.
    ProgressSent,
    /// The answer is due at the instant that was asked for.
    ReportDue { planned: Instant },
    /// The answer has to be sent once the device is online.
    ReportPending { planned: Instant },
    /// The answer is sent, its reply awaited.
    ReportSent { planned: Instant },
}

impl Behaviour {
    /// Executions held and not ended.
    #[cfg(test)]
    fn holding(&self) -> usize {
        self.held.len()
    }

    /// A request arrives in session `session`; `decide(n)` says how the n-th distinct one is treated.
    pub fn request(
        &mut self,
        id: &ExecutionId,
        dup: bool,
        session: u32,
        now: Instant,
        decide: impl FnOnce(u64) -> Decision,
        actions: &mut Vec<Action>,
    ) -> Request {
        let held_in = |(other, session): (&ExecutionId, u32)| (other == id).then_some(session);
        let mut known =
            self.held.iter().map(|h| (&h.id, h.session)).chain(self.ended.iter().map(|(i, s)| (i, *s)));
        if let Some(earlier) = known.find_map(held_in) {
            let legal = dup || earlier != session;
            return Request::Again(if legal { Arrived::Redelivered } else { Arrived::Duplicated });
        }
        if self.held.len() >= MAX_QUEUED {
            return Request::Refused;
        }
        let decision = decide(self.distinct);
        self.distinct += 1;
        if decision.kind == OutcomeKind::NoAnswer {
            // Silence occupies nobody: the device is free at once.
            self.remember(id.clone(), session);
            return Request::Held(PlannedEnd::Silence);
        }
        self.held.push_back(Held { id: id.clone(), session, decision });
        if self.held.len() == 1 {
            self.take_up(now, actions);
        }
        let after_us = decision.accept_us.unwrap_or(0) + decision.delay_us;
        Request::Held(PlannedEnd::Answer { after_us })
    }

    /// Whether `id` is held and going to be answered.
    pub fn holds(&self, id: &ExecutionId) -> bool {
        self.held.iter().any(|held| held.id == *id)
    }

    /// Whether a wake-up with this serial is still meant.
    pub fn awaits(&self, serial: u32) -> bool {
        serial == self.serial && self.stage != Stage::Idle
    }

    /// The instant of a [`Action::Wake`] has come.
    pub fn due(&mut self, serial: u32, now: Instant, actions: &mut Vec<Action>) {
        if serial != self.serial {
            return;
        }
        match self.stage {
            Stage::Idle | Stage::ProgressPending | Stage::ReportPending { .. } => {}
            Stage::ProgressDue => self.send_progress(now, actions),
            Stage::ReportDue { planned } => self.send_report(planned, now, actions),
            Stage::ProgressSent => {
                self.progress_replied(false, now, actions);
                self.overdue_reply = true;
            }
            Stage::ReportSent { .. } => {
                let disconnected = self.disconnected;
                self.end(now, actions, |id| Action::Unconfirmed { id, disconnected });
            }
        }
    }

    /// A reply arrives; `rejected` holds the error of a rejection.
    pub fn reply(
        &mut self,
        id: &ExecutionId,
        rejected: Option<String>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if self.held.front().is_none_or(|held| held.id != *id) {
            return;
        }
        if self.overdue_reply && !matches!(self.stage, Stage::ProgressSent | Stage::ProgressPending) {
            // Replies come in the order of the updates: this one belongs to IN_PROGRESS.
            self.overdue_reply = false;
            return;
        }
        match self.stage {
            Stage::ProgressSent | Stage::ProgressPending => {
                self.progress_replied(rejected.is_none(), now, actions);
            }
            Stage::ReportSent { .. } => self.end(now, actions, |id| Action::Confirmed { id, rejected }),
            Stage::Idle | Stage::ProgressDue | Stage::ReportDue { .. } | Stage::ReportPending { .. } => {}
        }
    }

    /// The device is subscribed: what waited for a connection, or lost its reply with one, is sent.
    pub fn online(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.online = true;
        match self.stage {
            Stage::ProgressPending => self.send_progress(now, actions),
            // The device could not have answered before: it is not late by the time it was offline.
            Stage::ReportPending { planned } => self.send_report(planned.max(now), now, actions),
            _ => {}
        }
    }

    /// The connection ended: replies that were awaited will not come.
    pub fn offline(&mut self) {
        self.online = false;
        self.overdue_reply = false;
        match self.stage {
            Stage::ProgressSent => {
                self.disconnected = true;
                self.stage = Stage::ProgressPending;
            }
            Stage::ReportSent { planned } => {
                self.disconnected = true;
                self.stage = Stage::ReportPending { planned };
            }
            _ => {}
        }
    }

    fn take_up(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.disconnected = false;
        self.overdue_reply = false;
        let Some(Held { decision, .. }) = self.held.front() else {
            self.stage = Stage::Idle;
            return;
        };
        match decision.accept_us {
            Some(accept_us) => {
                self.stage = Stage::ProgressDue;
                self.wake(now.plus_micros(accept_us), actions);
            }
            None => self.report_due(now, actions),
        }
    }

    fn report_due(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let delay_us = self.held.front().map_or(0, |held| held.decision.delay_us);
        let planned = now.plus_micros(delay_us);
        self.stage = Stage::ReportDue { planned };
        self.wake(planned, actions);
    }

    fn send_progress(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some(Held { id, .. }) = self.held.front() else { return };
        if !self.online {
            self.stage = Stage::ProgressPending;
            return;
        }
        actions.push(Action::SendProgress { id: id.clone() });
        self.stage = Stage::ProgressSent;
        self.wake(now.plus_micros(REPLY_WAIT_US), actions);
    }

    fn progress_replied(&mut self, accepted: bool, now: Instant, actions: &mut Vec<Action>) {
        let Some(Held { id, .. }) = self.held.front() else { return };
        actions.push(Action::ProgressReplied { id: id.clone(), accepted });
        // Accepted or not, the job goes on: after a cloud time-out its end is still wanted.
        self.report_due(now, actions);
    }

    fn send_report(&mut self, planned: Instant, now: Instant, actions: &mut Vec<Action>) {
        let Some(Held { id, decision, .. }) = self.held.front() else { return };
        if !self.online {
            self.stage = Stage::ReportPending { planned };
            return;
        }
        let status = match decision.kind {
            OutcomeKind::Succeeded | OutcomeKind::NoAnswer | OutcomeKind::Late => Status::Succeeded,
            OutcomeKind::Failed => Status::Failed,
            OutcomeKind::Rejected => Status::Rejected,
            OutcomeKind::TimedOut => Status::TimedOut,
        };
        actions.push(Action::SendReport { id: id.clone(), status, outcome: decision.outcome, planned });
        self.stage = Stage::ReportSent { planned };
        self.wake(now.plus_micros(REPLY_WAIT_US), actions);
    }

    fn end(&mut self, now: Instant, actions: &mut Vec<Action>, how: impl FnOnce(ExecutionId) -> Action) {
        if let Some(Held { id, session, .. }) = self.held.pop_front() {
            self.remember(id.clone(), session);
            actions.push(how(id));
        }
        self.serial = self.serial.wrapping_add(1);
        self.take_up(now, actions);
    }

    fn remember(&mut self, id: ExecutionId, session: u32) {
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back((id, session));
    }

    fn wake(&mut self, at: Instant, actions: &mut Vec<Action>) {
        self.serial = self.serial.wrapping_add(1);
        actions.push(Action::Wake { at, serial: self.serial });
    }
}

#[cfg(test)]
mod tests;
