//! Settling: what the backend's own record says, against what both ends saw. Pure.

use std::collections::BTreeMap;

use crate::clock::Instant;
use crate::protocol::{ResultValue, Status, StatusReason};
use crate::stats::{Class, Finding};

use super::entry::{Entry, PlannedEnd, Reply};

/// The part of GetCommandExecution's answer that is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// `status`.
    pub status: Status,
    /// `statusReason`.
    pub reason: Option<StatusReason>,
    /// `result`.
    pub result: Option<BTreeMap<String, ResultValue>>,
    /// `completedAt − createdAt` in µs; `None` without `completedAt`.
    pub completed_after_us: Option<u64>,
    /// Whether the target itself kept the request from its device, because the scenario asks for that fault.
    /// Only the embedded backend can say.
    pub request_withheld: bool,
}

/// What came of reading a record back.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadBack {
    /// The record.
    Record(Record),
    /// The backend knows no such execution.
    NotFound,
    /// The backend did not say (error, no answer).
    Unreadable,
}

/// What is known of the device right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holder {
    /// Since when it has been connected without a break.
    pub online_since: Option<Instant>,
    /// Since when the target has owed it every request: since it is connected, or for as long as the
    /// session has been kept that it resumed.
    pub subscribed_since: Option<Instant>,
    /// Whether it holds the execution and is going to answer it.
    pub holds: bool,
    /// Whether it was kept from answering by plan since the start.
    pub silenced: bool,
    /// When the target was back from its last planned outage since the start.
    pub excused_until: Option<Instant>,
}

/// Whether an entry can be struck off.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Settlement {
    /// Not yet; look again then.
    Wait(Instant),
    /// As this class, with these findings (and whether each is explained).
    Strike { class: Class, findings: Vec<(Finding, bool)> },
}

/// The backend's timer starts before its answer arrives, so its time-out is due by then; the margin
/// is for its tick.
pub(super) const DEADLINE_MARGIN_US: u64 = 100_000;
/// An execution still open this long past its time-out is lost.
pub(super) const OPEN_MARGIN_US: u64 = 2_000_000;
/// A device that comes back to its kept session this long before the time-out gets what waited there.
const DELIVERY_MARGIN_US: u64 = 1_000_000;
/// How often an open one is looked at past its time-out.
const LOOK_AGAIN_US: u64 = 500_000;

pub(super) fn settle(entry: &Entry, read: &ReadBack, now: Instant, holder: Holder) -> Settlement {
    match read {
        ReadBack::Record(record) => with_record(entry, record, now, holder),
        ReadBack::NotFound => strike(entry, seen_class(entry), vec![(Finding::Lost, false)]),
        ReadBack::Unreadable if now < give_up(entry) => Settlement::Wait(now.plus_micros(LOOK_AGAIN_US)),
        ReadBack::Unreadable => strike(entry, seen_class(entry), vec![(Finding::Unverified, false)]),
    }
}

/// Whether the record says that the cloud's timer ended it, and nobody has answered since.
pub(super) fn is_timed_out_by_cloud(read: &ReadBack) -> bool {
    let by_cloud = |record: &Record| record.status == Status::TimedOut && record.completed_after_us.is_none();
    matches!(read, ReadBack::Record(record) if by_cloud(record))
}

/// Whether the record says that it succeeded, in time or not.
pub(super) fn is_success(read: &ReadBack) -> bool {
    matches!(read, ReadBack::Record(record) if record.status == Status::Succeeded)
}

fn with_record(entry: &Entry, record: &Record, now: Instant, holder: Holder) -> Settlement {
    let in_time = record.completed_after_us.is_some_and(|us| us < entry.timeout_us);
    let class = match record.status {
        Status::Created | Status::InProgress => return still_open(entry, now),
        // The cloud made it: ended for the operator, open for the device.
        Status::TimedOut if record.completed_after_us.is_none() => {
            return timed_out_cloud(entry, record, now, holder);
        }
        Status::TimedOut => Class::TimedOutDevice,
        Status::Succeeded => Class::Succeeded,
        Status::Failed => Class::Failed,
        Status::Rejected => Class::Rejected,
    };
    let mut findings = Vec::new();
    if contradicts(entry, record) || was_taken_and_refused(entry) {
        findings.push((Finding::Contradicted, false));
    }
    if entry.side.reply_missed && entry.side.confirmed.is_none() {
        findings.push((Finding::Unconfirmed, entry.side.disconnected || entry.excused_until.is_some()));
    }
    if in_time {
        strike(entry, class, findings)
    } else {
        findings.push((Finding::Late, true));
        strike(entry, Class::TimedOutCloud, findings)
    }
}

fn still_open(entry: &Entry, now: Instant) -> Settlement {
    if accepted(entry) {
        // The backend confirmed an end that its record does not have.
        return strike(entry, Class::Unfinished, vec![(Finding::Contradicted, false)]);
    }
    if now < give_up(entry) {
        return Settlement::Wait(now.plus_micros(LOOK_AGAIN_US).max(deadline(entry)));
    }
    strike(entry, Class::Unfinished, vec![(Finding::Lost, false)])
}

fn timed_out_cloud(entry: &Entry, record: &Record, now: Instant, holder: Holder) -> Settlement {
    let side = &entry.side;
    if accepted(entry) {
        return strike(entry, Class::TimedOutCloud, vec![(Finding::Contradicted, false)]);
    }
    if side.reply_missed {
        return strike(
            entry,
            Class::TimedOutCloud,
            vec![(Finding::Unconfirmed, side.disconnected || entry.excused_until.is_some())],
        );
    }
    if let Some(until) = late_answer_until(entry, now, holder).filter(|until| now < *until) {
        return Settlement::Wait(now.plus_micros(LOOK_AGAIN_US).min(until));
    }
    if side.held.is_none()
        && let Some(until) = excused_until(entry).filter(|until| now < *until)
    {
        // What lay in the target during its outage is on its way.
        return Settlement::Wait(until);
    }
    let unreadable = side.end == Some(PlannedEnd::Unreadable);
    let findings = if unreadable || (side.held.is_none() && was_owed(entry, holder)) {
        vec![(Finding::Lost, (record.request_withheld && !unreadable) || entry.excused_until.is_some())]
    } else {
        Vec::new()
    };
    strike(entry, Class::TimedOutCloud, findings)
}

/// Whether the target had to deliver the request: it held a live subscription from before the start to
/// the time-out, and the device was there to take it. Not "at the instant of the start": in whole
/// milliseconds that can be before it.
fn was_owed(entry: &Entry, holder: Holder) -> bool {
    let written = entry.written.unwrap_or(entry.picked);
    let in_time = written.plus_micros(entry.timeout_us);
    holder.subscribed_since.is_some_and(|since| since < written)
        && holder.online_since.is_some_and(|since| since.plus_micros(DELIVERY_MARGIN_US) < in_time)
}

/// Until when a held execution that timed out may still be answered; `None` if it will not be.
fn late_answer_until(entry: &Entry, now: Instant, holder: Holder) -> Option<Instant> {
    let side = &entry.side;
    let planned = match side.end? {
        PlannedEnd::Answer { after_us } => side.held?.plus_micros(after_us),
        PlannedEnd::Late { at } => at,
        PlannedEnd::Silence | PlannedEnd::QueueFull | PlannedEnd::Expired | PlannedEnd::Unreadable => {
            return None;
        }
    };
    if side.reply.is_some() || !holder.holds {
        return None;
    }
    // Online it is going to answer, when its queue lets it. Offline it is waited for as planned.
    match holder.online_since {
        Some(_) => Some(now.plus_micros(LOOK_AGAIN_US)),
        None => Some(planned.max(deadline(entry)).plus_micros(OPEN_MARGIN_US)),
    }
}

fn strike(entry: &Entry, class: Class, mut findings: Vec<(Finding, bool)>) -> Settlement {
    findings.extend((0..entry.side.redelivered).map(|_| (Finding::Redelivered, true)));
    findings.extend((0..entry.side.duplicated).map(|_| (Finding::Duplicated, false)));
    Settlement::Strike { class, findings }
}

/// The class by what the device saw, for lack of a record.
fn seen_class(entry: &Entry) -> Class {
    let in_time =
        |confirmed: Instant| confirmed.micros_since(entry.written.unwrap_or(entry.picked)) < entry.timeout_us;
    match (&entry.side.report, entry.side.confirmed) {
        (Some(report), Some(confirmed)) if accepted(entry) && in_time(confirmed) => match report.status {
            Status::Succeeded => Class::Succeeded,
            Status::Failed => Class::Failed,
            Status::Rejected => Class::Rejected,
            Status::TimedOut => Class::TimedOutDevice,
            Status::Created | Status::InProgress => Class::Unfinished,
        },
        _ => Class::Unfinished,
    }
}

fn accepted(entry: &Entry) -> bool {
    entry.side.reply == Some(Reply::Accepted)
}

/// State, reason or result differ from what the device reported and the backend took.
fn contradicts(entry: &Entry, record: &Record) -> bool {
    let Some(report) = &entry.side.report else {
        // Nobody here reported an end, yet the record has one.
        return true;
    };
    let agrees = report.status == record.status
        && report.reason.as_deref() == record.reason.as_ref()
        && report.result.as_deref() == record.result.as_ref();
    !agrees
}

/// The backend said no to an end that its record has all the same. A report that was sent again, because
/// the reply to the first was lost, is rightly refused: the execution has ended by then.
fn was_taken_and_refused(entry: &Entry) -> bool {
    let side = &entry.side;
    matches!(side.reply, Some(Reply::Rejected(_))) && side.reported_again == 0
}

/// When the execution has surely timed out: a target that is out by plan times nothing out meanwhile.
pub(super) fn deadline(entry: &Entry) -> Instant {
    let begun = entry.answered.or(entry.written).unwrap_or(entry.picked);
    let deadline = begun.plus_micros(entry.timeout_us + DEADLINE_MARGIN_US);
    entry.excused_until.map_or(deadline, |until| deadline.max(until.plus_micros(DEADLINE_MARGIN_US)))
}

/// Until when a planned outage of the target excuses that something has not come.
fn excused_until(entry: &Entry) -> Option<Instant> {
    entry.excused_until.map(|until| until.plus_micros(OPEN_MARGIN_US))
}

/// Why an execution timed out at the cloud, if the plan of the run says it.
pub(super) fn timed_out_by_plan(
    entry: &Entry,
    class: Class,
    findings: &[(Finding, bool)],
    holder: Holder,
) -> Option<&'static str> {
    let is_lost = findings.iter().any(|(finding, _)| *finding == Finding::Lost);
    if class != Class::TimedOutCloud || is_lost {
        return None;
    }
    match entry.side.end {
        None => Some("time-outs because the device was away"),
        Some(_) if holder.silenced => Some("time-outs of devices silenced by the timeline"),
        Some(_) if entry.excused_until.is_some() => Some("time-outs with a planned outage of the backend"),
        Some(_) => None,
    }
}

fn give_up(entry: &Entry) -> Instant {
    deadline(entry).plus_micros(OPEN_MARGIN_US)
}
