//! Each planned execution is entered once and struck off once.
//!
//! A shard's ledger follows the executions of its own devices from both ends: the driver says what
//! was picked up, written and answered, the devices what they held, reported and had confirmed. An
//! entry is struck off when it has ended and the backend's own record was read back and compared;
//! only then are its spans recorded and its class counted, so the two always agree.
//!
//! Not here: when to read a record back (the driver's settle lane asks [`Ledger::next_to_settle`])
//! and how long a run drains.

mod entry;
mod follow;
mod settle;
mod struck;
mod unnamed;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::{Deadlines, Instant};
use crate::protocol::ExecutionId;
use crate::stats::{Class, Finding, Part, Statistics};

pub use entry::{Origin, PlannedEnd, Reply, Report};
pub use follow::{Follow, Milestone, Progress};
pub use settle::{Holder, Outage, ReadBack, Record};

use entry::{DeviceSide, Entry, ProgressReply};
use follow::Followed;
use settle::Settlement;
use struck::{Struck, StruckOff};
use unnamed::Unnamed;

/// Names an entry; stays valid until the entry is struck off and is never reused after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    slot: u32,
    generation: u32,
}

/// An anomaly with the device still as a number of the shard.
#[derive(Debug, Clone)]
pub struct LedgerAnomaly {
    /// Who.
    pub origin: Origin,
    /// Which execution, once it had an id.
    pub execution_id: Option<ExecutionId>,
    /// What was found.
    pub finding: Finding,
    /// Whether something planned explains it.
    pub explained: bool,
    /// When it was planned to start.
    pub planned_at: Instant,
    /// What was last seen of it.
    pub last_seen: &'static str,
}

/// What the settle lane is to read back next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSettle {
    /// The entry.
    pub key: EntryKey,
    /// Its execution.
    pub id: ExecutionId,
    /// Its device.
    pub device: u32,
    /// When its start was sent.
    pub since: Instant,
}

/// How a delivery of a request relates to what the device holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// For the first time, as far as the device remembers.
    First {
        /// Marked as a redelivery all the same: an earlier attempt never reached the device.
        dup: bool,
    },
    /// Again, marked DUP or in another session: legal.
    Redelivered,
    /// Again without DUP in the same session.
    Duplicated,
}

/// Open and unsettled entries a shard follows at the most, about 300 MB. What exceeds it is not sent:
/// it is refused as [`TOO_MANY_OPEN`] and `unverified`. Not `unsent`: a target that ends nothing fills
/// the ledger, and must not make the run VOID by that.
const MAX_ENTRIES: usize = 1_000_000;
/// The error name of starts that found the ledger full.
const TOO_MANY_OPEN: &str = "TooManyOpen";
/// The first anomalies are kept with their details; all are counted.
const MAX_ANOMALIES: usize = 1_000;

/// The ledger of one shard, with the statistics it records into.
#[derive(Debug)]
pub struct Ledger {
    slots: Vec<(u32, Option<Box<Entry>>)>,
    free: Vec<u32>,
    by_id: HashMap<ExecutionId, EntryKey>,
    unnamed: Unnamed,
    struck: StruckOff,
    /// Anomalies listed so far, of the whole run.
    listed: usize,
    ready: VecDeque<EntryKey>,
    deadlines: Deadlines<EntryKey>,
    last_deadline: Instant,
    anomalies: Vec<LedgerAnomaly>,
    followed: Followed,
    capacity: usize,
    /// Tells the settle lane that an entry is ready.
    settle_changed: Rc<Notify>,
    /// What this shard has counted and timed since the last hand-over.
    pub statistics: Statistics,
}

impl Ledger {
    /// An empty ledger that records into `statistics`.
    ///
    /// `settle_changed` is notified whenever [`Ledger::next_to_settle`] has something new.
    pub fn new(statistics: Statistics, settle_changed: Rc<Notify>) -> Self {
        Self::with_capacity(statistics, settle_changed, MAX_ENTRIES)
    }

    fn with_capacity(statistics: Statistics, settle_changed: Rc<Notify>, capacity: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            unnamed: Unnamed::default(),
            struck: StruckOff::default(),
            listed: 0,
            ready: VecDeque::new(),
            deadlines: Deadlines::default(),
            last_deadline: Instant::START,
            anomalies: Vec::new(),
            followed: Followed::default(),
            capacity,
            settle_changed,
            statistics,
        }
    }

    /// From now on notes what is wanted of the executions of each workload; `wake` is notified when
    /// [`Ledger::take_progress`] has something new.
    pub fn follow(&mut self, workloads: Vec<Follow>, wake: Rc<Notify>) {
        self.followed = Followed::new(workloads, wake);
    }

    /// Takes the milestones since the last call, in the order in which they came.
    pub fn take_progress(&mut self) -> Vec<Progress> {
        self.followed.take()
    }

    /// Entries that are not struck off.
    pub fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Open entries that have ended and only wait to be read back.
    pub fn ended(&self) -> usize {
        self.ready.len().min(self.open())
    }

    /// The latest instant at which anything entered so far can still end.
    pub fn last_deadline(&self) -> Instant {
        self.last_deadline
    }

    /// Executions that devices held and nobody here started.
    pub fn foreign(&self) -> u64 {
        self.unnamed.foreign()
    }

    /// Takes the anomalies found since the last call; over the run at most the first thousand.
    pub fn take_anomalies(&mut self) -> Vec<LedgerAnomaly> {
        std::mem::take(&mut self.anomalies)
    }

    // ---- the driver's side ------------------------------------------------------------------

    /// Enters a planned execution whose instant has come and that was picked up `now`.
    /// `None` when the ledger is full: it is then refused and `unverified`, and must not be sent.
    pub fn enter(
        &mut self,
        origin: Origin,
        planned_at: Instant,
        now: Instant,
        timeout_us: u64,
    ) -> Option<EntryKey> {
        let counts = self.counts(origin);
        counts.due += 1;
        if self.open() >= self.capacity {
            let counts = self.counts(origin);
            counts.refuse(&Arc::from(TOO_MANY_OPEN));
            counts.find(Finding::Unverified, false);
            self.followed.push(origin, Milestone::Ended(Class::Refused));
            return None;
        }
        let entry = Box::new(Entry::new(origin, planned_at, now, timeout_us));
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).expect("the capacity is far below 2^32")
        });
        let place = &mut self.slots[slot as usize];
        place.1 = Some(entry);
        let key = EntryKey { slot, generation: place.0 };
        self.followed.entered(origin, key);
        Some(key)
    }

    /// Counts a planned execution whose instant passed and that was never picked up.
    pub fn unsent(&mut self, origin: Origin) {
        let counts = self.counts(origin);
        counts.due += 1;
        counts.decide(Class::Unsent);
        self.followed.push(origin, Milestone::Ended(Class::Unsent));
    }

    /// The start was not picked up when it was entered: it waited for the generator until `now`.
    pub fn picked_only_now(&mut self, key: EntryKey, now: Instant) {
        if let Some(entry) = self.entry_mut(key) {
            entry.picked = now;
        }
    }

    /// The start was written to a connection.
    pub fn written(&mut self, key: EntryKey, now: Instant) {
        let Some(entry) = self.entry_mut(key) else { return };
        let again = entry.written.replace(now).is_some();
        let (device, timeout_us) = (entry.origin.device, entry.timeout_us);
        let deadline = now.plus_micros(timeout_us);
        self.last_deadline = self.last_deadline.max(deadline);
        if !again {
            self.unnamed.start_written(device, timeout_us);
        }
    }

    /// The API answered with an id.
    pub fn started(&mut self, key: EntryKey, now: Instant, id: ExecutionId) {
        let Some(entry) = self.unnamed_entry(key) else { return };
        entry.answered = Some(now);
        let device = entry.origin.device;
        self.name(key, now, id);
        self.answer_came(device, now);
    }

    /// The API refused the start, or no connection took it in time (`Unreachable`).
    pub fn refused(&mut self, key: EntryKey, now: Instant, error: &Arc<str>) {
        if self.unnamed_entry(key).is_none() {
            return;
        }
        let Some(entry) = self.take(key) else { return };
        entry.record(Class::Refused, &mut self.statistics);
        self.counts(entry.origin).refuse(error);
        self.over(key, &entry, Class::Refused, false);
        if entry.written.is_some() {
            self.answer_came(entry.origin.device, now);
        }
    }

    /// A start that was picked up is not to be sent any more: the user stopped the run.
    pub fn abandoned(&mut self, key: EntryKey) {
        if self.unnamed_entry(key).is_some() {
            self.strike(key, Class::Unsent, &[]);
        }
    }

    /// No answer came within the start time-out. A device that holds an execution nobody named may
    /// still show that it was started; otherwise it stays `unknown`. It is never sent again: that
    /// could start a second one.
    pub fn start_unanswered(&mut self, key: EntryKey, now: Instant) {
        let Some(entry) = self.unnamed_entry(key) else { return };
        let (device, written) = (entry.origin.device, entry.written.unwrap_or(entry.picked));
        let deadline = written.plus_micros(entry.timeout_us).max(now).plus_micros(settle::OPEN_MARGIN_US);
        self.unnamed.start_unanswered(device, key);
        self.arm(key, deadline);
        self.answer_came(device, now);
    }

    /// One start to `device` less is awaited. With none left, what the device holds and nobody named
    /// can only come from starts whose answers were lost.
    fn answer_came(&mut self, device: u32, now: Instant) {
        if !self.unnamed.answer_came(device) {
            return;
        }
        while let Some(key) = self.unnamed.next_unanswered(device) {
            let Some(entry) = self.entry(key).filter(|entry| entry.id.is_none()) else { continue };
            let Some(id) = self.unnamed.longest_held(device, entry.written) else {
                self.unnamed.put_back(device, key);
                return;
            };
            self.name(key, now, id);
        }
    }

    // ---- the devices' side ------------------------------------------------------------------

    /// A device holds the request of an execution.
    pub fn held(&mut self, device: u32, id: &ExecutionId, now: Instant, end: PlannedEnd, arrived: Arrived) {
        if let Some(struck) = self.struck.get(id) {
            // Settled already: a copy is found all the same.
            if let Some((finding, legal)) = struck.comes_now(now, arrived) {
                self.counts(struck.origin).find(finding, legal);
                self.list(LedgerAnomaly {
                    origin: struck.origin,
                    execution_id: Some(id.clone()),
                    finding,
                    explained: legal,
                    planned_at: struck.planned,
                    last_seen: "the request came after the execution was settled",
                });
            }
            return;
        }
        if matches!(arrived, Arrived::First { .. }) && !self.by_id.contains_key(id) {
            self.unnamed.hold(device, id, now, end, self.capacity);
            if !self.unnamed.is_awaited(device) {
                self.answer_came(device, now);
            }
            return;
        }
        let Some(side) = self.side_mut(id) else { return };
        match arrived {
            Arrived::First { .. } => {
                side.held = Some(now);
                side.end = Some(end);
            }
            Arrived::Redelivered => side.redelivered = side.redelivered.saturating_add(1),
            Arrived::Duplicated => side.duplicated = side.duplicated.saturating_add(1),
        }
    }

    /// The request waited in the device's queue until its message expired: it is not answered.
    pub fn expired(&mut self, id: &ExecutionId) {
        if let Some(side) = self.side_mut(id) {
            side.end = Some(PlannedEnd::Expired);
        }
    }

    /// When an execution that `device` holds `now` surely has timed out. While its start has no answer, that
    /// is told from the starts to the device that are under way; `None` = there are none either.
    pub fn times_out(&self, device: u32, id: &ExecutionId, now: Instant) -> Option<Instant> {
        let Some(key) = self.by_id.get(id) else {
            return self.unnamed.longest_timeout_us(device).map(|timeout_us| now.plus_micros(timeout_us));
        };
        let entry = self.entry(*key)?;
        Some(entry.answered.or(entry.written)?.plus_micros(entry.timeout_us))
    }

    /// The device put IN_PROGRESS into its out-buffer. `waited_for`: its answer comes after the reply only,
    /// so the wait for that is not the device's.
    pub fn progress_sent(&mut self, id: &ExecutionId, now: Instant, waited_for: bool) {
        if let Some(side) = self.side_mut(id) {
            side.progress_reply =
                if waited_for { ProgressReply::WaitedFor } else { ProgressReply::NotWaitedFor };
            // A resend after a reconnect keeps the first instant: the outage is part of the wait.
            side.progress_sent.get_or_insert(now);
        }
    }

    /// The device got the reply to its IN_PROGRESS, or gave up waiting for it (not accepted).
    pub fn progress_replied(&mut self, id: &ExecutionId, now: Instant, accepted: bool) {
        if let Some(side) = self.side_mut(id) {
            side.progress_replied = Some(now);
            side.progress_accepted = accepted;
        }
    }

    /// The device put its terminal update, planned for `planned`, into its out-buffer.
    pub fn reported(&mut self, id: &ExecutionId, planned: Instant, now: Instant, report: Report) {
        if let Some(side) = self.side_mut(id) {
            // A resend after a reconnect keeps the first instants.
            if side.reported.is_none() {
                side.report_planned = Some(planned);
                side.reported = Some(now);
                side.report = Some(report);
            } else {
                side.reported_again = side.reported_again.saturating_add(1);
            }
        }
    }

    /// The device got the reply to its terminal update: the execution can be settled.
    pub fn confirmed(&mut self, id: &ExecutionId, now: Instant, reply: Reply) {
        let Some(side) = self.side_mut(id) else { return };
        side.confirmed = Some(now);
        side.reply = Some(reply);
        if let Some(key) = self.by_id.get(id) {
            let key = *key;
            self.make_ready(key);
        }
    }

    /// The device gave up waiting for the reply to its terminal update.
    /// `disconnected`: because its connection ended, which explains it.
    pub fn unconfirmed(&mut self, id: &ExecutionId, now: Instant, disconnected: bool) {
        let Some(side) = self.side_mut(id) else { return };
        side.reply_missed = Some(now);
        side.disconnected |= disconnected;
        if let Some(key) = self.by_id.get(id) {
            let key = *key;
            self.make_ready(key);
        }
    }

    // ---- the settle lane --------------------------------------------------------------------

    /// The next entry whose record is to be read back: it has ended, or its time is over.
    pub fn next_to_settle(&mut self, now: Instant) -> Option<ToSettle> {
        self.unnamed.forget_foreign(now);
        loop {
            let key = match self.ready.pop_front() {
                Some(key) => key,
                None => self.deadlines.pop_due(now)?.1,
            };
            let Some(entry) = self.entry(key) else { continue };
            let (id, device) = (entry.id.clone(), entry.origin.device);
            let since = entry.written.unwrap_or(entry.picked);
            match id {
                Some(id) => return Some(ToSettle { key, id, device, since }),
                // A start that was never answered and that no device held.
                None => self.strike(key, Class::Unknown, &[]),
            }
        }
    }

    /// When there will be something to settle, if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.ready.is_empty() { self.deadlines.next() } else { Some(Instant::START) }
    }

    /// Whether the device has said something of it after `since`: a record asked for then may be older.
    pub fn heard_since(&self, key: EntryKey, since: Instant) -> bool {
        let Some(DeviceSide { held, reported, confirmed, .. }) = self.entry(key).map(|entry| &entry.side)
        else {
            return false;
        };
        [held, reported, confirmed].into_iter().flatten().any(|heard| *heard > since)
    }

    /// The record is to be read once more, at once.
    pub fn read_again(&mut self, key: EntryKey) {
        if self.entry(key).is_some() {
            self.make_ready(key);
        }
    }

    /// Compares what was read back with what was seen, and strikes the entry off if it has ended.
    pub fn settle(&mut self, key: EntryKey, now: Instant, read: &ReadBack, holder: &Holder) {
        let Some(entry) = self.entry_mut(key) else { return };
        entry.excused_until = holder.outages.last().map(|outage| outage.until);
        entry.link_us = holder.link_us;
        match settle::settle(entry, read, now, holder) {
            Settlement::Wait(until) => {
                if settle::is_timed_out_by_cloud(read) {
                    self.tell_time_out(key);
                }
                self.arm(key, until);
            }
            Settlement::Strike { class, findings } => {
                let late = class == Class::TimedOutCloud && settle::is_success(read);
                if let Some(why) = settle::timed_out_by_plan(entry, class, &findings, holder) {
                    self.statistics.note(why);
                }
                self.strike_off(key, class, &findings, late);
            }
        }
    }

    /// Ends the run: whatever is open is `unfinished` (or `unknown` if it never got an id).
    pub fn finish(&mut self) {
        for slot in 0..self.slots.len() {
            let generation = self.slots[slot].0;
            let key = EntryKey { slot: u32::try_from(slot).unwrap_or(u32::MAX), generation };
            let Some(entry) = self.entry(key) else { continue };
            let class = match (&entry.id, entry.written) {
                (Some(_), _) => Class::Unfinished,
                (None, Some(_)) => Class::Unknown,
                (None, None) => Class::Unsent,
            };
            self.strike(key, class, &[]);
        }
    }

    // ---- within -----------------------------------------------------------------------------

    fn counts(&mut self, origin: Origin) -> &mut crate::stats::Counts {
        let Origin { part, workload, group, .. } = origin;
        self.statistics.counts_mut(part, usize::from(workload), usize::from(group))
    }

    fn entry(&self, key: EntryKey) -> Option<&Entry> {
        let (generation, entry) = self.slots.get(key.slot as usize)?;
        entry.as_deref().filter(|_| *generation == key.generation)
    }

    fn entry_mut(&mut self, key: EntryKey) -> Option<&mut Entry> {
        let (generation, entry) = self.slots.get_mut(key.slot as usize)?;
        entry.as_deref_mut().filter(|_| *generation == key.generation)
    }

    /// The entry, if no id belongs to it yet: an answer counts once.
    fn unnamed_entry(&mut self, key: EntryKey) -> Option<&mut Entry> {
        self.entry_mut(key).filter(|entry| entry.id.is_none())
    }

    fn take(&mut self, key: EntryKey) -> Option<Box<Entry>> {
        let (generation, entry) = self.slots.get_mut(key.slot as usize)?;
        if *generation != key.generation {
            return None;
        }
        let taken = entry.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(key.slot);
        if let Some(id) = &taken.id
            && self.by_id.remove(id).is_some()
        {
            self.struck.remember(id, Struck::of(&taken));
        }
        Some(taken)
    }

    /// What the device has said of `id`, named or not.
    fn side_mut(&mut self, id: &ExecutionId) -> Option<&mut DeviceSide> {
        match self.by_id.get(id) {
            Some(key) => {
                let key = *key;
                self.entry_mut(key).map(|entry| &mut entry.side)
            }
            None => self.unnamed.side_mut(id),
        }
    }

    /// Joins an entry with its id, and with what its device may have said already.
    fn name(&mut self, key: EntryKey, now: Instant, id: ExecutionId) {
        let said = self.unnamed.take(&id);
        let Some(entry) = self.entry_mut(key) else { return };
        let origin = entry.origin;
        if self.by_id.contains_key(&id) {
            // Two starts with one id: the second has no execution of its own.
            self.counts(origin).started += 1;
            self.followed.push(origin, Milestone::Started);
            self.strike(key, Class::Unfinished, &[(Finding::Contradicted, false)]);
            return;
        }
        let Some(entry) = self.entry_mut(key) else { return };
        entry.id = Some(id.clone());
        if let Some(side) = said {
            entry.side = side;
        }
        let ended = entry.side.confirmed.is_some() || entry.side.reply_missed.is_some();
        let deadline = now.plus_micros(entry.timeout_us + settle::DEADLINE_MARGIN_US);
        self.by_id.insert(id, key);
        self.counts(origin).started += 1;
        self.followed.push(origin, Milestone::Started);
        if ended {
            self.make_ready(key);
        }
        self.arm(key, deadline);
    }

    fn make_ready(&mut self, key: EntryKey) {
        self.ready.push_back(key);
        self.settle_changed.notify_one();
    }

    fn arm(&mut self, key: EntryKey, at: Instant) {
        self.last_deadline = self.last_deadline.max(at);
        if self.deadlines.push(at, key) {
            self.settle_changed.notify_one();
        }
        // Most executions end before their time-out; moot deadlines must not outgrow the open ones.
        if self.deadlines.len() > 1024 + 2 * self.open() {
            let slots = &self.slots;
            self.deadlines.retain(|key| {
                slots
                    .get(key.slot as usize)
                    .is_some_and(|(generation, entry)| *generation == key.generation && entry.is_some())
            });
        }
    }

    /// For the operator the time-out is the end, whatever the device says later.
    fn tell_time_out(&mut self, key: EntryKey) {
        let Some(entry) = self.entry_mut(key) else { return };
        let origin = entry.origin;
        if !std::mem::replace(&mut entry.told, true) {
            self.followed.push(origin, Milestone::Ended(Class::TimedOutCloud));
        }
    }

    /// An entry that was taken out is over. `late`: after its time-out it succeeded all the same.
    fn over(&mut self, key: EntryKey, entry: &Entry, class: Class, late: bool) {
        if !entry.told {
            self.followed.push(entry.origin, Milestone::Ended(class));
        }
        if late {
            self.followed.push(entry.origin, Milestone::LateSuccess);
        }
        let change = self.followed.over(entry.origin, key, late || class == Class::Succeeded);
        self.counts(entry.origin).devices_succeeded += change;
    }

    fn strike(&mut self, key: EntryKey, class: Class, findings: &[(Finding, bool)]) {
        self.strike_off(key, class, findings, false);
    }

    fn strike_off(&mut self, key: EntryKey, class: Class, findings: &[(Finding, bool)], late: bool) {
        let Some(entry) = self.take(key) else { return };
        self.over(key, &entry, class, late);
        entry.record(class, &mut self.statistics);
        let planned =
            class == Class::TimedOutCloud && entry.side.end.is_some_and(|end| end.outlasts(entry.timeout_us));
        let counts = self.counts(entry.origin);
        counts.decide(class);
        counts.timed_out_as_planned += u64::from(planned);
        for (finding, explained) in findings {
            counts_find(&mut self.statistics, entry.origin, *finding, *explained);
            self.list(LedgerAnomaly {
                origin: entry.origin,
                execution_id: entry.id.clone(),
                finding: *finding,
                explained: *explained,
                planned_at: entry.planned,
                last_seen: entry.last_seen(),
            });
        }
    }

    fn list(&mut self, anomaly: LedgerAnomaly) {
        if anomaly.finding.is_anomaly() && self.listed < MAX_ANOMALIES {
            self.listed += 1;
            self.anomalies.push(anomaly);
        }
    }
}

fn counts_find(statistics: &mut Statistics, origin: Origin, finding: Finding, explained: bool) {
    let Origin { part, workload, group, .. } = origin;
    statistics.counts_mut(part, usize::from(workload), usize::from(group)).find(finding, explained);
}

impl Origin {
    /// Whether its spans count.
    pub fn is_measured(&self) -> bool {
        self.part == Part::Measured
    }
}

#[cfg(test)]
mod tests;
