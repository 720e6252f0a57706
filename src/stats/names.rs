//! The names of what is measured, spelled once.

/// A measured span of an execution's life, on one monotonic clock, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Planned instant → picked up by the driver. Is the generator keeping up?
    ScheduleLag,
    /// Picked up → written to a connection. The target's back-pressure.
    StartWait,
    /// Written → HTTP answer. The API.
    Start,
    /// Written → the device holds the request. API, broker and network.
    Delivery,
    /// Request held → IN_PROGRESS accepted.
    Accept,
    /// Request held → terminal update in the out-buffer, less the wait for the IN_PROGRESS reply.
    Answer,
    /// Planned answer instant → update in the out-buffer. Is the device simulation keeping up?
    DeviceLag,
    /// Terminal update in the out-buffer → accepted or rejected received.
    Confirm,
    /// Planned instant → terminal status confirmed. What the operator feels.
    Latency,
    /// `latency` − `schedule_lag` − `answer`: what the system under test added.
    Overhead,
    /// Connect begun → subscribed.
    Connect,
}

impl Span {
    /// Every span, in the order of an execution's life.
    pub const ALL: [Span; 11] = [
        Span::ScheduleLag,
        Span::StartWait,
        Span::Start,
        Span::Delivery,
        Span::Accept,
        Span::Answer,
        Span::DeviceLag,
        Span::Confirm,
        Span::Latency,
        Span::Overhead,
        Span::Connect,
    ];

    /// The name in thresholds, reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Span::ScheduleLag => "schedule_lag",
            Span::StartWait => "start_wait",
            Span::Start => "start",
            Span::Delivery => "delivery",
            Span::Accept => "accept",
            Span::Answer => "answer",
            Span::DeviceLag => "device_lag",
            Span::Confirm => "confirm",
            Span::Latency => "latency",
            Span::Overhead => "overhead",
            Span::Connect => "connect",
        }
    }

    /// The span of that name.
    pub fn from_name(name: &str) -> Option<Span> {
        Span::ALL.into_iter().find(|span| span.name() == name)
    }
}

/// The accounting class of a planned execution that is decided; each is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Its instant passed and the generator never picked it up.
    Unsent,
    /// The API answered with an error, or no connection took it in time (`Unreachable`).
    Refused,
    /// Sent, but no answer within the start time-out, and no device ever held it.
    Unknown,
    /// Ended SUCCEEDED within its time-out.
    Succeeded,
    /// Ended FAILED within its time-out.
    Failed,
    /// Ended REJECTED within its time-out.
    Rejected,
    /// The device itself reported TIMED_OUT.
    TimedOutDevice,
    /// The cloud's timer ran out; a later answer makes it `late` as well.
    TimedOutCloud,
    /// Open when the run was stopped; or lost, so that no end of it is known.
    Unfinished,
}

impl Class {
    /// Every class, in the order of a report.
    pub const ALL: [Class; 9] = [
        Class::Unsent,
        Class::Refused,
        Class::Unknown,
        Class::Succeeded,
        Class::Failed,
        Class::Rejected,
        Class::TimedOutDevice,
        Class::TimedOutCloud,
        Class::Unfinished,
    ];

    /// The name in thresholds, reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Unsent => "unsent",
            Class::Refused => "refused",
            Class::Unknown => "unknown",
            Class::Succeeded => "succeeded",
            Class::Failed => "failed",
            Class::Rejected => "rejected",
            Class::TimedOutDevice => "timed_out_device",
            Class::TimedOutCloud => "timed_out_cloud",
            Class::Unfinished => "unfinished",
        }
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Whether an execution of this class was started.
    pub const fn is_started(self) -> bool {
        !matches!(self, Class::Unsent | Class::Refused | Class::Unknown)
    }

    /// Where its spans are recorded.
    pub const fn outcome(self) -> Outcome {
        match self {
            Class::Succeeded => Outcome::Succeeded,
            _ => Outcome::Other,
        }
    }
}

/// Failures are never hidden in a success percentile: spans are kept apart by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Class `succeeded`.
    Succeeded,
    /// Every other class.
    Other,
}

impl Outcome {
    /// Both.
    pub const ALL: [Outcome; 2] = [Outcome::Succeeded, Outcome::Other];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Other => "other",
        }
    }
}

/// What the ledger found beside the class. `Late` is an overlay of `timed_out_cloud`, not an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// Answered after the cloud's time-out.
    Late,
    /// Never delivered although the device was subscribed throughout, or unknown to the backend, or
    /// still open 2 s past its time-out.
    Lost,
    /// The device sent a terminal update and never got accepted or rejected.
    Unconfirmed,
    /// The backend's record differs from what the device reported and had confirmed.
    Contradicted,
    /// The same request came again, marked DUP: legal.
    Redelivered,
    /// The same request was published a second time without DUP in one session.
    Duplicated,
    /// Not checked against the backend's record: the ledger was full or the record unreadable.
    Unverified,
}

impl Finding {
    /// Every finding, in the order of a report.
    pub const ALL: [Finding; 7] = [
        Finding::Late,
        Finding::Lost,
        Finding::Unconfirmed,
        Finding::Contradicted,
        Finding::Redelivered,
        Finding::Duplicated,
        Finding::Unverified,
    ];

    /// The name in thresholds, reports and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Finding::Late => "late",
            Finding::Lost => "lost",
            Finding::Unconfirmed => "unconfirmed",
            Finding::Contradicted => "contradicted",
            Finding::Redelivered => "redelivered",
            Finding::Duplicated => "duplicated",
            Finding::Unverified => "unverified",
        }
    }

    /// The finding of that name.
    pub fn from_name(name: &str) -> Option<Finding> {
        Finding::ALL.into_iter().find(|finding| finding.name() == name)
    }

    /// Whether one that nothing planned explains fails the run. `late` and `redelivered` are legal.
    pub const fn is_anomaly(self) -> bool {
        !matches!(self, Finding::Late | Finding::Redelivered)
    }
}
