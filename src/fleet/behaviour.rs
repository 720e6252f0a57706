//! How a device treats its executions: a pure state machine.
//!
//! Requests, replies, due instants and the coming and going of the connection go in, [`Action`]s come
//! out; the device's task performs them. One execution is worked on at a time, the rest wait in the
//! order of their requests. Nothing here knows which MQTT is spoken.

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
        /// With this client token.
        token: Token,
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
        /// With this client token.
        token: Token,
        /// Whether it is sent a second time at once.
        twice: bool,
    },
    /// Call [`Behaviour::due`] with this serial at that instant.
    Wake {
        /// When.
        at: Instant,
        /// Tells a moot wake-up from the one that is meant.
        serial: u32,
    },
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
    /// The queue is full.
    Refused,
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
    /// The first is being worked on.
    held: VecDeque<Held>,
    ended: VecDeque<(ExecutionId, u32)>,
    stage: Stage,
    serial: u32,
    /// Distinct executions held so far.
    distinct: u32,
    /// Connections so far.
    connection: u32,
    online: bool,
    /// Whether the broker keeps the session while the device is away.
    keeps_session: bool,
    exchange: Exchange,
    last_token: Token,
}

/// How it goes between device and cloud about the first of `held`.
#[derive(Debug, Default)]
struct Exchange {
    /// A connection ended while a reply was awaited.
    disconnected: bool,
    /// Replies to earlier updates may still come, or come again.
    stray_replies: bool,
    /// The token of the update whose reply is awaited.
    token: Token,
}

#[derive(Debug)]
struct Held {
    id: ExecutionId,
    /// The connection it came on.
    connection: u32,
    decision: Decision,
    /// A late answer is due then, whenever the execution is taken up.
    late_at: Option<Instant>,
    expires: Option<Instant>,
}

/// Where the first of `held` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// There is none.
    #[default]
    Idle,
    /// IN_PROGRESS is due at the instant that was asked for.
    ProgressDue,
    /// IN_PROGRESS has to be sent once the device is online; or its reply is awaited again.
    ProgressPending { sent: bool },
    /// IN_PROGRESS is sent, its reply awaited.
    ProgressSent,
    /// The connection is to drop at the instant that was asked for, before the answer is due.
    DropDue { planned: Instant },
    /// The answer is due at the instant that was asked for.
    ReportDue { planned: Instant },
    /// The answer has to be sent once the device is online; or its reply is awaited again.
    ReportPending { planned: Instant, sent: bool },
    /// The answer is sent, its reply awaited.
    ReportSent { planned: Instant },
}

impl Exchange {
    fn lose_reply(&mut self) {
        self.disconnected = true;
        self.stray_replies = true;
    }
}

impl Behaviour {
    /// Of a device that keeps its session, or begins a new one with every connection.
    pub fn new(keeps_session: bool) -> Self {
        Self { keeps_session, ..Self::default() }
    }

    /// Executions held and not ended.
    #[cfg(test)]
    fn holding(&self) -> usize {
        self.held.len()
    }

    /// A request arrives. `decide(n)` says how the n-th distinct one is treated, `times_out` when its
    /// execution does: only a late answer needs to know.
    pub fn request(
        &mut self,
        request: Arriving<'_>,
        now: Instant,
        decide: impl FnOnce(u64) -> Decision,
        times_out: impl FnOnce() -> Instant,
        actions: &mut Vec<Action>,
    ) -> Request {
        let Arriving { id, dup, expires } = request;
        if let Some(earlier) = self.came_on(id) {
            let legal = dup || earlier != self.connection;
            return Request::Again(if legal { Arrived::Redelivered } else { Arrived::Duplicated });
        }
        if self.held.len() >= MAX_QUEUED {
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
        let late_at =
            (decision.kind == OutcomeKind::Late).then(|| times_out().plus_micros(decision.delay_us));
        self.held.push_back(Held { id: id.clone(), connection, decision, late_at, expires });
        if self.held.len() == 1 {
            self.take_up(now, actions);
        }
        Request::Held(match late_at {
            Some(at) => PlannedEnd::Late { at },
            None => PlannedEnd::Answer { after_us: decision.accept_us.unwrap_or(0) + decision.delay_us },
        })
    }

    /// The connection on which the request of an execution came first, if it is known.
    fn came_on(&self, id: &ExecutionId) -> Option<u32> {
        let held = self.held.iter().map(|held| (&held.id, held.connection));
        let mut known = held.chain(self.ended.iter().map(|(id, connection)| (id, *connection)));
        known.find_map(|(other, connection)| (other == id).then_some(connection))
    }

    /// Whether `id` is held and going to be answered.
    pub fn holds(&self, id: &ExecutionId) -> bool {
        self.held.iter().any(|held| held.id == *id)
    }

    /// Whether a wake-up with this serial is still meant.
    pub fn awaits(&self, serial: u32) -> bool {
        serial == self.serial && self.stage != Stage::Idle
    }

    /// Whether the token of a reply to `id` matters: else it need not be read.
    pub fn awaits_token(&self, id: &ExecutionId) -> bool {
        self.exchange.token != 0 && self.held.front().is_some_and(|held| held.id == *id)
    }

    /// The instant of a [`Action::Wake`] has come.
    pub fn due(&mut self, serial: u32, now: Instant, actions: &mut Vec<Action>) {
        if serial != self.serial {
            return;
        }
        match self.stage {
            Stage::Idle | Stage::ProgressPending { .. } | Stage::ReportPending { .. } => {}
            Stage::ProgressDue => self.send_progress(now, actions),
            Stage::DropDue { planned } => {
                if self.online {
                    actions.push(Action::Drop);
                    self.offline();
                }
                self.stage = Stage::ReportDue { planned };
                self.wake(planned, actions);
            }
            Stage::ReportDue { planned } => self.send_report(planned, now, actions),
            Stage::ProgressSent => {
                // If it still comes, it must not be taken for the reply to the answer.
                self.exchange.stray_replies = true;
                self.progress_replied(false, now, actions);
            }
            Stage::ReportSent { .. } => {
                let disconnected = self.exchange.disconnected;
                self.end(now, actions, |id| Action::Unconfirmed { id, disconnected });
            }
        }
    }

    /// A reply arrives, with its client token (0 = none); `rejected` holds the error of a rejection.
    pub fn reply(
        &mut self,
        id: &ExecutionId,
        token: Token,
        rejected: Option<String>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if token != self.exchange.token || self.held.front().is_none_or(|held| held.id != *id) {
            return;
        }
        match self.stage {
            Stage::ProgressSent => self.progress_replied(rejected.is_none(), now, actions),
            Stage::ReportSent { .. } => self.end(now, actions, |id| Action::Confirmed { id, rejected }),
            _ => {}
        }
    }

    /// The device is subscribed. What waited for a connection is sent; what lost its reply with one is
    /// sent again, unless the session went on (`resumed`): then the update or its reply still comes.
    pub fn online(&mut self, resumed: bool, now: Instant, actions: &mut Vec<Action>) {
        self.online = true;
        self.connection = self.connection.wrapping_add(1);
        match self.stage {
            Stage::ProgressPending { sent: true } if resumed => {
                self.stage = Stage::ProgressSent;
                self.wake(now.plus_micros(REPLY_WAIT_US), actions);
            }
            Stage::ReportPending { planned, sent: true } if resumed => {
                self.stage = Stage::ReportSent { planned };
                self.wake(now.plus_micros(REPLY_WAIT_US), actions);
            }
            Stage::ProgressPending { .. } => self.send_progress(now, actions),
            // The device could not have answered before: it is not late by the time it was offline.
            Stage::ReportPending { planned, .. } => self.send_report(planned.max(now), now, actions),
            _ => {}
        }
    }

    /// The connection ended: replies that were awaited will not come on it.
    pub fn offline(&mut self) {
        self.online = false;
        match self.stage {
            Stage::ProgressSent => {
                self.exchange.lose_reply();
                self.stage = Stage::ProgressPending { sent: true };
            }
            Stage::ReportSent { planned } => {
                self.exchange.lose_reply();
                self.stage = Stage::ReportPending { planned, sent: true };
            }
            _ => {}
        }
    }

    fn take_up(&mut self, now: Instant, actions: &mut Vec<Action>) {
        // In a kept session replies may come twice: the broker repeats what was not acknowledged.
        self.exchange = Exchange { stray_replies: self.keeps_session, ..Exchange::default() };
        let expired = |held: &Held| held.expires.is_some_and(|at| at < now);
        while self.held.front().is_some_and(expired)
            && let Some(held) = self.held.pop_front()
        {
            actions.push(Action::Expired { id: held.id.clone() });
            self.remember(held.id, held.connection);
        }
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
        let Some(Held { decision, late_at, .. }) = self.held.front() else { return };
        let planned = match late_at {
            Some(at) => (*at).max(now),
            None => now.plus_micros(decision.delay_us),
        };
        if let Some(share) = decision.drops_at {
            let until_us = u128::from(planned.micros_since(now)) * u128::from(share) / 65_536;
            self.stage = Stage::DropDue { planned };
            self.wake(now.plus_micros(u64::try_from(until_us).unwrap_or(u64::MAX)), actions);
        } else {
            self.stage = Stage::ReportDue { planned };
            self.wake(planned, actions);
        }
    }

    fn send_progress(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some(Held { id, .. }) = self.held.front() else { return };
        if !self.online {
            self.stage = Stage::ProgressPending { sent: false };
            return;
        }
        let id = id.clone();
        actions.push(Action::SendProgress { id, token: self.next_token() });
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
            self.stage = Stage::ReportPending { planned, sent: false };
            return;
        }
        let status = match decision.kind {
            OutcomeKind::Succeeded | OutcomeKind::NoAnswer | OutcomeKind::Late => Status::Succeeded,
            OutcomeKind::Failed => Status::Failed,
            OutcomeKind::Rejected => Status::Rejected,
            OutcomeKind::TimedOut => Status::TimedOut,
        };
        // Sent again it is one copy: the two of before may both have arrived.
        let again = matches!(self.stage, Stage::ReportPending { sent: true, .. });
        let (id, outcome, twice) = (id.clone(), decision.outcome, decision.twice && !again);
        let token = self.next_token();
        actions.push(Action::SendReport { id, status, outcome, planned, token, twice });
        self.stage = Stage::ReportSent { planned };
        self.wake(now.plus_micros(REPLY_WAIT_US), actions);
    }

    fn next_token(&mut self) -> Token {
        if self.exchange.stray_replies {
            self.last_token = self.last_token.checked_add(1).unwrap_or(1);
            self.exchange.token = self.last_token;
        }
        self.exchange.token
    }

    fn end(&mut self, now: Instant, actions: &mut Vec<Action>, how: impl FnOnce(ExecutionId) -> Action) {
        if let Some(Held { id, connection, .. }) = self.held.pop_front() {
            self.remember(id.clone(), connection);
            actions.push(how(id));
        }
        self.serial = self.serial.wrapping_add(1);
        self.take_up(now, actions);
    }

    fn remember(&mut self, id: ExecutionId, connection: u32) {
        let most = if self.keeps_session { REMEMBERED_IN_SESSION } else { REMEMBERED };
        if self.ended.len() >= most {
            self.ended.pop_front();
        }
        self.ended.push_back((id, connection));
    }

    fn wake(&mut self, at: Instant, actions: &mut Vec<Action>) {
        self.serial = self.serial.wrapping_add(1);
        actions.push(Action::Wake { at, serial: self.serial });
    }
}

#[cfg(test)]
mod tests;
