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

/// A planned outage of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Its first instant.
    pub from: Instant,
    /// The first instant after it.
    pub until: Instant,
}

/// What is known of the device right now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// How long its link keeps a packet at the most, by plan.
    pub link_us: u64,
    /// The planned outages of the target that have begun and were not over at the start, in their order.
    pub outages: Vec<Outage>,
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
/// A target that worked this long without a planned outage had the time for what it did not do.
const ENOUGH_US: u64 = OPEN_MARGIN_US;
/// How often an open one is looked at past its time-out.
const LOOK_AGAIN_US: u64 = 500_000;

pub(super) fn settle(entry: &Entry, read: &ReadBack, now: Instant, holder: &Holder) -> Settlement {
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

fn with_record(entry: &Entry, record: &Record, now: Instant, holder: &Holder) -> Settlement {
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
    if entry.side.confirmed.is_none()
        && let Some(missed) = entry.side.reply_missed
    {
        findings.push((Finding::Unconfirmed, missing_reply_is_explained(entry, missed, holder)));
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

fn timed_out_cloud(entry: &Entry, record: &Record, now: Instant, holder: &Holder) -> Settlement {
    let side = &entry.side;
    if accepted(entry) {
        return strike(entry, Class::TimedOutCloud, vec![(Finding::Contradicted, false)]);
    }
    if let Some(missed) = side.reply_missed {
        let explained = missing_reply_is_explained(entry, missed, holder);
        return strike(entry, Class::TimedOutCloud, vec![(Finding::Unconfirmed, explained)]);
    }
    if let Some(until) = late_answer_until(entry, now, holder).filter(|until| now < *until) {
        return Settlement::Wait(now.plus_micros(LOOK_AGAIN_US).min(until));
    }
    if side.held.is_none()
        && let Some(until) = may_arrive_until(entry).filter(|until| now < *until)
    {
        return Settlement::Wait(until);
    }
    let unreadable = side.end == Some(PlannedEnd::Unreadable);
    // What the target itself kept back is lost, however long its way would have taken.
    let is_lost = side.held.is_none() && (record.request_withheld || was_owed(entry, holder));
    let findings = if unreadable || is_lost {
        let explained = !unreadable && (record.request_withheld || loss_is_explained(entry, holder));
        vec![(Finding::Lost, explained)]
    } else {
        Vec::new()
    };
    strike(entry, Class::TimedOutCloud, findings)
}

/// Whether the target had to deliver the request: it held a live subscription from before the start to
/// the time-out, and the device was there to take it, for as long as the way to it takes. Not "at the instant
/// of the start": in whole milliseconds that can be before it.
fn was_owed(entry: &Entry, holder: &Holder) -> bool {
    let written = entry.written.unwrap_or(entry.picked);
    let in_time = written.plus_micros(entry.timeout_us.saturating_sub(entry.link_us));
    written < in_time
        && holder.subscribed_since.is_some_and(|since| since < written)
        && holder.online_since.is_some_and(|since| since.plus_micros(DELIVERY_MARGIN_US) < in_time)
}

/// Whether planned outages explain that the request never came: from when both the start was written and the
/// device was there, until the time-out.
fn loss_is_explained(entry: &Entry, holder: &Holder) -> bool {
    let written = entry.written.unwrap_or(entry.picked);
    let from = holder.online_since.map_or(written, |since| since.max(written));
    let way_us = entry.timeout_us.saturating_sub(entry.link_us);
    let until = entry.answered.unwrap_or(written).plus_micros(way_us);
    took_the_time(&holder.outages, from, until)
}

/// Whether a lost connection or planned outages explain that the device waited in vain for the reply to its
/// answer, until it `missed` it.
fn missing_reply_is_explained(entry: &Entry, missed: Instant, holder: &Holder) -> bool {
    let from = entry.side.reported.unwrap_or(missed);
    entry.side.disconnected || took_the_time(&holder.outages, from, missed)
}

/// Whether planned outages took away so much of a stretch of time that what should have happened in it could
/// not: they left no [`ENOUGH_US`] in one piece, and of a stretch shorter than twice that not half. An outage
/// that left more excuses nothing: what lay in the target, or in the sockets before it, goes on when it is
/// back.
fn took_the_time(outages: &[Outage], from: Instant, until: Instant) -> bool {
    let within = || outages.iter().filter(|outage| outage.from < until && from < outage.until);
    let begins = within().map(|outage| outage.from).chain([until]);
    let ends = [from].into_iter().chain(within().map(|outage| outage.until));
    let longest_us = ends.zip(begins).map(|(end, begin)| begin.micros_since(end)).max().unwrap_or(0);
    within().next().is_some() && longest_us < ENOUGH_US.min(until.micros_since(from) / 2)
}

/// Until when a held execution that timed out may still be answered; `None` if it will not be.
fn late_answer_until(entry: &Entry, now: Instant, holder: &Holder) -> Option<Instant> {
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

/// Until when a request that has timed out may still arrive: what lay in the target during a planned outage
/// is on its way, and so is what its link holds.
fn may_arrive_until(entry: &Entry) -> Option<Instant> {
    let from_outage = entry.excused_until.map(|until| until.plus_micros(OPEN_MARGIN_US));
    let from_link = (entry.link_us > 0).then(|| deadline(entry).plus_micros(entry.link_us));
    from_outage.max(from_link)
}

/// Why an execution timed out at the cloud, if the plan of the run says it.
pub(super) fn timed_out_by_plan(
    entry: &Entry,
    class: Class,
    findings: &[(Finding, bool)],
    holder: &Holder,
) -> Option<&'static str> {
    let is_lost = findings.iter().any(|(finding, _)| *finding == Finding::Lost);
    if class != Class::TimedOutCloud || is_lost {
        return None;
    }
    match entry.side.end {
        None if entry.link_us >= entry.timeout_us => Some("time-outs because the link may have taken longer"),
        None => Some("time-outs because the device was away"),
        Some(_) if holder.silenced => Some("time-outs of devices silenced by the timeline"),
        Some(_) if entry.excused_until.is_some() => Some("time-outs with a planned outage of the backend"),
        Some(_) => None,
    }
}

fn give_up(entry: &Entry) -> Instant {
    deadline(entry).plus_micros(OPEN_MARGIN_US)
}
