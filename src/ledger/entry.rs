//! One execution as both ends saw it, and the spans between those instants.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Instant;
use crate::protocol::{ExecutionId, ResultValue, Status, StatusReason};
use crate::stats::{Class, Part, Span, Statistics};

/// Where an execution belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Index of its workload.
    pub workload: u16,
    /// Index of its device's group.
    pub group: u16,
    /// Its device, by the shard's numbering.
    pub device: u32,
    /// Measured or warm-up.
    pub part: Part,
}

/// How the device is going to end an execution, known when it holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedEnd {
    /// With an answer, this many µs after it is taken up (waits for replies and queue not counted).
    Answer {
        /// Accept delay and delay together.
        after_us: u64,
    },
    /// With an answer after the time-out.
    Late {
        /// When it is planned for.
        at: Instant,
    },
    /// Not at all.
    Silence,
    /// Not at all, because its queue was full.
    QueueFull,
    /// Not at all, because its message expired while it waited in the device's queue.
    Expired,
    /// Not at all, because the request says of itself what its topic denies.
    Unreadable,
}

impl PlannedEnd {
    /// Whether this end alone, without any fault of the target, outlasts the time-out.
    pub fn outlasts(self, timeout_us: u64) -> bool {
        match self {
            PlannedEnd::Answer { after_us } => after_us >= timeout_us,
            PlannedEnd::Silence | PlannedEnd::Late { .. } => true,
            PlannedEnd::QueueFull | PlannedEnd::Expired | PlannedEnd::Unreadable => false,
        }
    }
}

/// What a device reported as the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The terminal status.
    pub status: Status,
    /// Its reason, shared by all devices that give it.
    pub reason: Option<Arc<StatusReason>>,
    /// What came with it; boxed, for few devices report any.
    pub result: Option<Box<BTreeMap<String, ResultValue>>>,
}

/// The answer to a device's terminal update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `…/accepted`.
    Accepted,
    /// `…/rejected`, with its error.
    Rejected(String),
}

/// What the reply to IN_PROGRESS means for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ProgressReply {
    /// The device answers only after it.
    #[default]
    WaitedFor,
    /// The device answers without it.
    NotWaitedFor,
}

/// What the device has said of an execution.
#[derive(Debug, Clone, Default)]
pub(super) struct DeviceSide {
    pub held: Option<Instant>,
    pub end: Option<PlannedEnd>,
    pub progress_sent: Option<Instant>,
    pub progress_replied: Option<Instant>,
    pub progress_accepted: bool,
    /// Whether its reply is part of the way to the answer.
    pub progress_reply: ProgressReply,
    pub report_planned: Option<Instant>,
    pub reported: Option<Instant>,
    pub report: Option<Report>,
    /// How often the report was sent again because its reply was lost with the connection.
    pub reported_again: u16,
    pub confirmed: Option<Instant>,
    pub reply: Option<Reply>,
    /// When the device stopped waiting for the reply.
    pub reply_missed: Option<Instant>,
    /// The connection ended in between.
    pub disconnected: bool,
    pub redelivered: u16,
    pub duplicated: u16,
}

/// One planned execution, from the instant it was picked up until it is struck off.
#[derive(Debug)]
pub(super) struct Entry {
    pub origin: Origin,
    pub planned: Instant,
    pub picked: Instant,
    pub timeout_us: u64,
    pub written: Option<Instant>,
    pub answered: Option<Instant>,
    pub id: Option<ExecutionId>,
    /// Whoever follows it has heard of its time-out.
    pub told: bool,
    /// The end of the last planned outage of the target while it was open.
    pub excused_until: Option<Instant>,
    /// How long the link of its device keeps a packet at the most, by plan.
    pub link_us: u64,
    pub side: DeviceSide,
}

impl Entry {
    pub fn new(origin: Origin, planned: Instant, picked: Instant, timeout_us: u64) -> Self {
        Self {
            origin,
            planned,
            picked,
            timeout_us,
            written: None,
            answered: None,
            id: None,
            told: false,
            excused_until: None,
            link_us: 0,
            side: DeviceSide::default(),
        }
    }

    /// What was last seen of it, for the list of anomalies.
    pub fn last_seen(&self) -> &'static str {
        let side = &self.side;
        match () {
            () if side.confirmed.is_some() => "the device's answer was confirmed",
            () if side.reported.is_some() => "the device answered and got no reply",
            () if side.progress_sent.is_some() => "the device reported IN_PROGRESS",
            () if side.end == Some(PlannedEnd::Unreadable) => {
                "the device held a request whose content type is not that of its topic"
            }
            () if side.end == Some(PlannedEnd::Expired) => "the request expired in the device's queue",
            () if side.end == Some(PlannedEnd::QueueFull) => "the device had no room for the request",
            () if side.held.is_some() => "the device held the request",
            () if self.id.is_some() => "started, never held by the device",
            () if self.written.is_some() => "sent, no answer to the start",
            () => "picked up, never sent",
        }
    }

    /// Records every span that both its instants are known of. Warm-up counts in the live picture only.
    pub fn record(&self, class: Class, statistics: &mut Statistics) {
        let latency = self.side.confirmed.map(|confirmed| confirmed.micros_since(self.planned));
        if let Some(us) = latency {
            statistics.recent_latency.record(us);
        }
        if !self.origin.is_measured() {
            return;
        }
        let Origin { workload, group, .. } = self.origin;
        let (workload, group) = (usize::from(workload), usize::from(group));
        for (span, us) in self.spans() {
            if let Some(us) = us {
                statistics.record(span, workload, group, class.outcome(), us);
            }
        }
    }

    fn spans(&self) -> [(Span, Option<u64>); 10] {
        let side = &self.side;
        let between = |from: Option<Instant>, to: Option<Instant>| Some(to?.micros_since(from?));
        let schedule_lag = self.picked.micros_since(self.planned);
        let progress_wait = between(side.progress_sent, side.progress_replied);
        let progress_wait = progress_wait.filter(|_| side.progress_reply == ProgressReply::WaitedFor);
        let progress_wait = progress_wait.unwrap_or(0);
        let answer = between(side.held, side.reported).map(|us| us.saturating_sub(progress_wait));
        let latency = between(Some(self.planned), side.confirmed);
        let overhead = latency.zip(answer).map(|(l, a)| l.saturating_sub(schedule_lag + a));
        [
            (Span::ScheduleLag, Some(schedule_lag)),
            (Span::StartWait, between(Some(self.picked), self.written)),
            (Span::Start, between(self.written, self.answered)),
            (Span::Delivery, between(self.written, side.held)),
            (Span::Accept, between(side.held, side.progress_replied).filter(|_| side.progress_accepted)),
            (Span::Answer, answer),
            (Span::DeviceLag, between(side.report_planned, side.reported)),
            (Span::Confirm, between(side.reported, side.confirmed)),
            (Span::Latency, latency),
            (Span::Overhead, overhead),
        ]
    }
}
