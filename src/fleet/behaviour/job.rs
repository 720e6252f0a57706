//! One execution that a device holds, and where it is with it.

use crate::clock::Instant;
use crate::plan::Decision;
use crate::protocol::{ExecutionId, Status};
use crate::scenario::OutcomeKind;

use super::{Reason, Token};

/// An execution that a device holds.
#[derive(Debug)]
pub(super) struct Held {
    pub id: ExecutionId,
    /// The connection it came on.
    pub connection: u32,
    pub decision: Decision,
    /// A late answer is due then, whenever the execution is taken up.
    pub late_at: Option<Instant>,
    pub expires: Option<Instant>,
}

/// One that the device works on.
#[derive(Debug)]
pub(super) struct Job {
    pub held: Held,
    pub stage: Stage,
    /// Of the wake-up that it waits for.
    pub serial: u32,
    pub exchange: Exchange,
    /// It is one too many and gets nothing but its REJECTED.
    pub turned_away: bool,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
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

/// How it goes between device and cloud about a job.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// A connection ended while a reply was awaited.
    pub disconnected: bool,
    /// The awaited reply should have come; the device looks once more.
    pub overdue: bool,
    /// Replies to other updates than the awaited one may come.
    pub stray_replies: bool,
    /// The token of the update whose reply is awaited.
    pub token: Token,
    /// The token of an IN_PROGRESS whose reply is noted and not waited for; 0 = there is none.
    pub unwaited: Token,
}

impl Job {
    /// The job of an execution; in a kept session replies may come twice, because the broker repeats what
    /// was not acknowledged, and a device that does not wait for them gets them whenever they come.
    pub fn new(held: Held, stray_replies: bool) -> Self {
        // The replies to updates that are wrong by plan are none to the answer.
        let wrong = held.decision.malformed.is_some() || held.decision.out_of_order;
        let exchange = Exchange { stray_replies: stray_replies || wrong, ..Exchange::default() };
        Self { held, stage: Stage::ProgressDue, serial: 0, exchange, turned_away: false }
    }

    /// The connection ended.
    pub fn lose_reply(&mut self) {
        self.stage = match self.stage {
            Stage::ProgressSent => Stage::ProgressPending { sent: true },
            Stage::ReportSent { planned } => Stage::ReportPending { planned, sent: true },
            _ => return,
        };
        self.exchange.disconnected = true;
        self.exchange.stray_replies = true;
    }

    /// How it ends.
    pub fn status(&self) -> Status {
        match self.held.decision.kind {
            _ if self.turned_away => Status::Rejected,
            OutcomeKind::Succeeded | OutcomeKind::NoAnswer | OutcomeKind::Late => Status::Succeeded,
            OutcomeKind::Failed => Status::Failed,
            OutcomeKind::Rejected => Status::Rejected,
            OutcomeKind::TimedOut => Status::TimedOut,
        }
    }

    /// Why it ends so.
    pub fn reason(&self) -> Reason {
        match self.held.decision.outcome {
            _ if self.turned_away => Reason::Busy,
            Some(outcome) => Reason::Outcome(outcome),
            None => Reason::None,
        }
    }
}
