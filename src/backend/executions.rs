//! Executions as a pure state machine over a store: `apply(input, now) -> effects`.
//!
//! Nothing here knows sockets, locks or the broker. The effects say in which order the shell has to
//! do things: keep the change, arm the timer, publish the request, reply, publish the event. In
//! memory keeping is done by `apply` itself, so that a durable store later is another shell.
//!
//! Each execution is in one slot; a [`Key`] is the slot with its generation, so that a key kept
//! somewhere (a timer) can outlive its execution without hitting the next one.

mod effect;
mod record;
mod retention;

use std::collections::HashMap;

pub(super) use effect::{Effect, Effects, Input, Refusal, Reply, Start};
pub(super) use record::Record;
pub(super) use retention::Limits;
use retention::Retention;

use crate::clock::Instant;
use crate::protocol::{
    CompactText, ExecutionId, Parameters, StartNames, State, TargetKind, Update, UpdateErrorCode,
};

use super::commands::Command;

/// An execution's slot and generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    slot: u32,
    generation: u32,
}

#[cfg(test)]
impl Key {
    /// The first key of a slot.
    pub fn for_test(slot: u32) -> Self {
        Self { slot, generation: 0 }
    }
}

/// What a client token made before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replay {
    /// The same request: its execution.
    Same(Key),
    /// Another request, with this execution.
    Different(Key),
}

/// All executions that are remembered.
#[derive(Debug)]
pub(super) struct Executions {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_id: HashMap<ExecutionId, u32>,
    by_token: HashMap<CompactText, u32>,
    retention: Retention,
    /// CREATED or IN_PROGRESS.
    open: usize,
    /// Timed out by the cloud and not yet among the ended ones.
    waiting: usize,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    record: Option<Record>,
}

impl Executions {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            by_token: HashMap::new(),
            retention: Retention::new(limits),
            open: 0,
            waiting: 0,
        }
    }

    /// How many can still time out.
    pub fn open(&self) -> usize {
        self.open
    }

    /// How many are remembered, open ones included.
    pub fn remembered(&self) -> usize {
        self.by_id.len()
    }

    /// How many ended ones were forgotten.
    pub fn evicted(&self) -> u64 {
        self.retention.evicted()
    }

    /// The record behind a key, unless it is forgotten.
    pub fn record(&self, key: Key) -> Option<&Record> {
        let slot = self.slots.get(key.slot as usize)?;
        slot.record.as_ref().filter(|_| slot.generation == key.generation)
    }

    /// Notes that the request of an execution does not go out: a fault of the scenario's.
    pub fn withhold_request(&mut self, key: Key) {
        if let Some(record) = self.record_mut(key) {
            record.request_withheld = true;
        }
    }

    /// The execution of that id and target.
    pub fn find(&self, id: &ExecutionId, kind: TargetKind, device: &str) -> Option<Key> {
        let slot = *self.by_id.get(id)?;
        let key = self.key(slot);
        self.record(key).filter(|record| record.is_for(kind, device)).map(|_| key)
    }

    /// Whether an execution has that id.
    pub fn knows(&self, id: &ExecutionId) -> bool {
        self.by_id.contains_key(id)
    }

    /// What the request's client token made before, if anything. The scope of a token is the account;
    /// target, command, time-out and parameters have to be the same.
    pub fn replay(
        &self,
        token: &CompactText,
        names: &StartNames<'_>,
        parameters: Option<&Parameters>,
    ) -> Option<Replay> {
        let key = self.key(*self.by_token.get(token)?);
        let record = self.record(key)?;
        let is_same = record.is_for(names.target.kind, names.target.name)
            && record.command.id == names.command_id
            && record.timeout_seconds == names.timeout_seconds
            && record.command.parameters(parameters).is_ok_and(|now| now.as_deref() == record.parameters());
        Some(if is_same { Replay::Same(key) } else { Replay::Different(key) })
    }

    /// Applies one input at `now`. Inputs must come with instants that do not go back.
    pub fn apply(&mut self, input: Input<'_>, now: Instant) -> Effects {
        self.age(now);
        match input {
            Input::Start(start) => self.start(start, now),
            Input::Update { kind, device, id, update } => match self.find(id, kind, device) {
                Some(key) => self.update(key, update, now),
                None => Effects::reply(Reply::Refused(Refusal::NotFound)),
            },
            Input::Due(key) => {
                let mut effects = Effects::default();
                self.time_out_if_due(key, now, &mut effects);
                effects
            }
        }
    }

    fn start(&mut self, start: Start<'_>, now: Instant) -> Effects {
        let record = Record::new(start, now);
        let bytes = record.heap_bytes();
        self.make_room(bytes);
        let not_ended = self.by_id.len() - self.retention.ended();
        if !self.retention.has_room(not_ended, bytes) {
            return Effects::reply(Reply::OverQuota);
        }
        let deadline = record.deadline();
        let key = self.insert(record);
        self.open += 1;
        let mut effects = Effects::default();
        effects.push(Effect::Persist(key));
        effects.push(Effect::Arm { key, at: deadline });
        effects.push(Effect::Publish(key));
        effects.push(Effect::Reply(Reply::Started(key)));
        effects.push(Effect::Event { key, state: State::Created, at: now });
        effects
    }

    fn update(&mut self, key: Key, update: Update, now: Instant) -> Effects {
        let mut effects = Effects::default();
        // The timer may be late; the execution is not.
        self.time_out_if_due(key, now, &mut effects);
        let added = record::heap_bytes_of(&update);
        self.make_room(added);
        let has_room = self.retention.has_room(0, added);
        let Some(record) = self.record_mut(key) else {
            effects.push(Effect::Reply(Reply::Refused(Refusal::NotFound)));
            return effects;
        };
        let from = record.state;
        let state = match from.update(update.status) {
            Ok(_) if !has_room => Err(Refusal::NoRoom),
            Ok(state) => Ok(state),
            Err(UpdateErrorCode::TerminalStateReached) => Err(Refusal::Ended { from, to: update.status }),
            Err(_) => Err(Refusal::Transition { from, to: update.status }),
        };
        match state {
            Ok(state) => {
                let before = record.heap_bytes();
                record.take(state, update, now);
                let after = record.heap_bytes();
                self.retention.resize(before, after);
                self.moved(key, from, state);
                effects.push(Effect::Persist(key));
                effects.push(Effect::Reply(Reply::Accepted));
                effects.push(Effect::Event { key, state, at: now });
            }
            Err(refusal) => effects.push(Effect::Reply(Reply::Refused(refusal))),
        }
        effects
    }

    fn time_out_if_due(&mut self, key: Key, now: Instant, effects: &mut Effects) {
        let Some(record) = self.record_mut(key).filter(|record| record.is_due(now)) else { return };
        let from = record.state;
        let Some(state) = from.time_out() else { return };
        let before = record.heap_bytes();
        record.time_out(state, now);
        let after = record.heap_bytes();
        self.retention.resize(before, after);
        self.moved(key, from, state);
        self.retention.timed_out(now, key);
        effects.push(Effect::Persist(key));
        effects.push(Effect::Event { key, state, at: now });
    }

    /// Books a change of state: who is open, who waits, and who has ended.
    fn moved(&mut self, key: Key, from: State, to: State) {
        let can_time_out = |state: State| state.time_out().is_some();
        if can_time_out(from) && !can_time_out(to) {
            self.open -= 1;
        }
        if to == State::TimedOutByCloud {
            self.waiting += 1;
        }
        if to.is_terminal() {
            self.end(key, from);
        }
    }

    /// Enters an execution among the ended ones, once; the oldest of them go if there are too many.
    /// `from` is the state it ends out of.
    fn end(&mut self, key: Key, from: State) {
        let Some(record) = self.record_mut(key) else { return };
        if std::mem::replace(&mut record.is_among_ended, true) {
            return;
        }
        if from == State::TimedOutByCloud {
            self.waiting -= 1;
        }
        while self.retention.is_full() {
            self.evict_oldest();
        }
        self.retention.end(key.slot);
    }

    /// Enters those among the ended ones that the cloud timed out long enough ago. Two at a time: an
    /// input times out one at most, so the queue shrinks as long as inputs come.
    fn age(&mut self, now: Instant) {
        for _ in 0..2 {
            let Some(key) = self.retention.pop_aged(now) else { break };
            self.end(key, State::TimedOutByCloud);
        }
        if self.retention.has_moot_waiters(self.waiting) {
            let slots = &self.slots;
            self.retention.keep_waiters(|key| {
                let slot = &slots[key.slot as usize];
                let is_there = slot.generation == key.generation;
                is_there && slot.record.as_ref().is_some_and(|r| r.state == State::TimedOutByCloud)
            });
        }
    }

    /// Forgets ended executions, oldest first, until `bytes` more fit or none is left.
    fn make_room(&mut self, bytes: usize) {
        while !self.retention.has_room(0, bytes) && self.evict_oldest() {}
    }

    fn evict_oldest(&mut self) -> bool {
        let Some(slot) = self.retention.pop_oldest() else { return false };
        self.remove(slot);
        true
    }

    fn insert(&mut self, record: Record) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, record: None });
            u32::try_from(self.slots.len() - 1).expect("the limits keep the slots far below 2^32")
        });
        self.by_id.insert(record.id.clone(), slot);
        if let Some(token) = &record.token {
            self.by_token.insert(token.clone(), slot);
        }
        self.retention.resize(0, record.heap_bytes());
        self.slots[slot as usize].record = Some(record);
        self.key(slot)
    }

    fn remove(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        let Some(record) = place.record.take() else { return };
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
        self.by_id.remove(&record.id);
        if let Some(token) = &record.token {
            self.by_token.remove(token);
        }
        self.retention.resize(record.heap_bytes(), 0);
        debug_assert!(record.state.time_out().is_none(), "only ended executions are forgotten");
    }

    fn key(&self, slot: u32) -> Key {
        Key { slot, generation: self.slots[slot as usize].generation }
    }

    fn record_mut(&mut self, key: Key) -> Option<&mut Record> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        slot.record.as_mut().filter(|_| slot.generation == key.generation)
    }
}

#[cfg(test)]
mod tests;
