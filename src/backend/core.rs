//! The shell around the stores: what stands behind the one lock.
//!
//! Every call takes an instant from the clock, applies one input and performs its effects. Nothing
//! here waits: publishing puts bytes into the out-buffers of sessions.

use std::sync::Arc;

use super::broker::{self, Broker, Message};
use super::commands::Commands;
use super::events;
use super::executions::{Effect, Effects, Executions, Input, Key, Limits, Record, Replay, Reply, Start};
use super::faults::{Departure, Faults, Injector};
use super::handle::ExecutionEnd;
use super::hooks::Hooks;
use super::timers::Timers;
use crate::clock::{Clock, Deadlines, Instant};
use crate::mqtt::QoS;
use crate::protocol::{
    Accepted, ApiError, CompactText, CreateCommandRequest, CreateCommandResponse, Deletion, DeviceTopic,
    ErrorKind, ExecutionId, Form, Format, GetCommandExecutionResponse, GetCommandResponse, InvalidShape,
    Parameters, Rejected, StartNames, State, TargetName, Update, UpdateCommandResponse, write_event_topic,
};
use crate::seed::{Purpose, Seed, Subject};

/// Everything that is shared, and how to change it.
pub(super) struct Core {
    clock: Clock,
    seed: Seed,
    region: String,
    account: String,
    hooks: Hooks,
    pub(super) faults: Injector,
    /// Requests that a fault holds back; each belongs to an open execution or is moot.
    held_back: Deadlines<Key>,
    commands: Commands,
    executions: Executions,
    timers: Timers,
    pub(super) broker: Broker,
    /// Executions named so far; the number of the next one's draw.
    named: u64,
    tally: Tally,
    scratch: Scratch,
    /// Whether an earlier time-out was armed than the timer task sleeps for.
    timer_is_early: bool,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub started: u64,
    pub requests_dropped: u64,
    pub timed_out: u64,
    pub updates_accepted: u64,
    pub updates_rejected: u64,
    /// Executions that a device ended before their time-out: succeeded, failed, rejected, timed out by itself.
    pub ended: [u64; 4],
}

/// Reused for every publish.
#[derive(Default)]
struct Scratch {
    topic: String,
    payload: Vec<u8>,
}

/// Whom the answer to an update goes to.
pub(super) struct Asker<'a> {
    /// Where the update was published.
    pub topic: DeviceTopic<'a>,
    /// The topic's last level.
    pub format: Format,
    /// The topic's execution, if its text can be one's id.
    pub execution_id: Option<ExecutionId>,
    /// The update's token.
    pub client_token: Option<String>,
}

/// The store as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stock {
    pub open: usize,
    pub remembered: usize,
    pub evicted: u64,
    pub tally: Tally,
}

impl Core {
    pub fn new(
        clock: Clock,
        seed: Seed,
        (region, account): (String, String),
        limits: broker::Limits,
        (faults, hooks): (Faults, Hooks),
    ) -> Self {
        Self {
            clock,
            seed,
            region,
            account,
            hooks,
            faults: Injector::new(faults, seed),
            held_back: Deadlines::default(),
            commands: Commands::default(),
            executions: Executions::new(Limits::DEFAULT),
            timers: Timers::default(),
            broker: Broker::with_limits(clock, limits),
            named: 0,
            tally: Tally::default(),
            scratch: Scratch::default(),
            timer_is_early: false,
        }
    }

    /// CreateCommand, with a request that was checked.
    pub fn create_command(
        &mut self,
        id: &str,
        request: CreateCommandRequest,
    ) -> Result<CreateCommandResponse, ApiError> {
        let command = self.commands.create(id, request, (&self.region, &self.account), self.clock.now())?;
        Ok(CreateCommandResponse { command_id: command.id.clone(), command_arn: command.arn.clone() })
    }

    /// GetCommand.
    pub fn get_command(&self, id: &str) -> Result<GetCommandResponse, ApiError> {
        Ok(self.commands.get(id, self.clock.now())?.describe(|instant| self.epoch_seconds(instant)))
    }

    /// The part of UpdateCommand that deprecates or restores; `None` changes nothing.
    pub fn deprecate_command(
        &mut self,
        id: &str,
        deprecated: Option<bool>,
    ) -> Result<UpdateCommandResponse, ApiError> {
        let now = self.clock.now();
        if let Some(deprecated) = deprecated {
            self.commands.deprecate(id, deprecated, now)?;
        }
        Ok(self.commands.get(id, now)?.updated(|instant| self.epoch_seconds(instant)))
    }

    /// DeleteCommand.
    pub fn delete_command(&mut self, id: &str) -> Deletion {
        self.commands.delete(id, self.clock.now())
    }

    /// StartCommandExecution, with the parts of a request that was checked.
    pub fn start(
        &mut self,
        names: &StartNames<'_>,
        token: Option<CompactText>,
        parameters: Option<&Parameters>,
    ) -> Result<ExecutionId, ApiError> {
        if let Some(error) = self.hooks.refuses_start() {
            return Err(error);
        }
        self.check_place("targetArn", names.target.region, names.target.account)?;
        self.check_place("commandArn", names.command_region, names.command_account)?;
        match token.as_ref().and_then(|token| self.executions.replay(token, names, parameters)) {
            Some(Replay::Same(key)) => return self.id_of(key),
            Some(Replay::Different(key)) => {
                let message =
                    "clientToken was used before for another target, command, time-out or parameters";
                return Err(ApiError::conflict(message, self.id_of(key)?.to_string()));
            }
            None => {}
        }
        let command = Arc::clone(self.commands.startable(names.command_id, self.clock.now())?);
        let parameters = command.parameters(parameters)?;
        let parameters = parameters.as_deref();
        if command.is_dynamic() {
            // Before there is an execution: what cannot be sent is not started.
            let room = &mut self.scratch.payload;
            command.content(parameters, names.timeout_seconds, room).map_err(InvalidShape::from)?;
        }
        let start = Start { id: self.next_id(), command, names, token, parameters };
        let effects = self.executions.apply(Input::Start(start), self.clock.now());
        let Some(Reply::Started(key)) = self.perform(&effects, None) else {
            let message = "as many command executions are open as there may be";
            return Err(ApiError::new(ErrorKind::ServiceQuotaExceeded, message));
        };
        self.tally.started += 1;
        self.id_of(key)
    }

    /// GetCommandExecution.
    pub fn get_execution(
        &mut self,
        id: &ExecutionId,
        target: &TargetName<'_>,
        include_result: bool,
    ) -> Result<GetCommandExecutionResponse, ApiError> {
        let key = self.find(id, target)?;
        let record = self.executions.record(key).ok_or_else(|| not_found(id, target))?;
        let here = (self.region.as_str(), self.account.as_str());
        Ok(record.describe(here, include_result, |instant| self.epoch_seconds(instant)))
    }

    /// What GetCommandExecution would say of an execution's end, without its text.
    pub fn get_end(&mut self, id: &ExecutionId, target: &TargetName<'_>) -> Result<ExecutionEnd, ApiError> {
        let key = self.find(id, target)?;
        let record = self.executions.record(key).ok_or_else(|| not_found(id, target))?;
        Ok(ExecutionEnd {
            status: record.status(),
            reason: record.status_reason(),
            result: record.result().cloned(),
            completed_after_us: record.completed_after_us(),
            request_withheld: record.request_withheld,
        })
    }

    /// The execution that a reader asks for, as it stands now.
    fn find(&mut self, id: &ExecutionId, target: &TargetName<'_>) -> Result<Key, ApiError> {
        self.check_place("targetArn", target.region, target.account)?;
        let key = self.executions.find(id, target.kind, target.name);
        let key = key.ok_or_else(|| not_found(id, target))?;
        // A reader never sees an execution open past its time-out, however late the timer is.
        self.fall_due(key, self.clock.now());
        Ok(key)
    }

    /// UpdateCommandExecution, with an update that was read.
    pub fn update(&mut self, id: &ExecutionId, mut update: Update, asker: &Asker<'_>) {
        self.hooks.changes(id, &mut update);
        let DeviceTopic { kind, device, .. } = asker.topic;
        let effects = self.executions.apply(Input::Update { kind, device, id, update }, self.clock.now());
        self.perform(&effects, Some(asker));
    }

    /// Answers an update that never came as far as an execution.
    pub fn refuse_update(&mut self, asker: &Asker<'_>, error: &str, message: &str) {
        self.tally.updates_rejected += 1;
        let rejected = Rejected {
            error: error.to_owned(),
            message: message.to_owned(),
            execution_id: asker.execution_id.clone(),
            client_token: asker.client_token.clone(),
        };
        let form = Form::Rejected(asker.format);
        self.publish(DeviceTopic { form, ..asker.topic }, |payload| match asker.format {
            Format::Cbor => rejected.write_cbor(payload),
            Format::Json | Format::Generic => rejected.write_json(payload),
        });
    }

    /// Times out what is due, executions before sessions, a bounded number at once; returns whether more
    /// may be.
    pub fn time_out_due(&mut self) -> bool {
        /// About a millisecond of work: whoever waits for the lock does not notice.
        const BATCH: usize = 256;
        let now = self.clock.now();
        for _ in 0..BATCH {
            let Some((_, key)) = self.held_back.pop_due(now) else { break };
            self.publish_held_back(key);
        }
        if self.held_back.next().is_some_and(|at| at <= now) {
            return true;
        }
        for _ in 0..BATCH {
            let Some((deadline, key)) = self.timers.pop_due(now) else { return self.broker.time_out_due() };
            let before = self.tally.timed_out;
            self.fall_due(key, now);
            if self.tally.timed_out > before {
                self.hooks.timed_out(deadline, now);
            }
        }
        true
    }

    /// When the timer has to fire next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let next = [self.timers.next(), self.held_back.next(), self.broker.next_deadline()];
        next.into_iter().flatten().min()
    }

    /// Whether the timer task sleeps too long now; asking forgets it.
    pub fn take_timer_is_early(&mut self) -> bool {
        // Both are asked: a short cut would leave the second for the next call.
        std::mem::take(&mut self.timer_is_early) | self.broker.take_timer_is_early()
    }

    /// The store as it stands.
    pub fn stock(&self) -> Stock {
        Stock {
            open: self.executions.open(),
            remembered: self.executions.remembered(),
            evicted: self.executions.evicted(),
            tally: self.tally,
        }
    }

    fn fall_due(&mut self, key: Key, now: Instant) {
        let effects = self.executions.apply(Input::Due(key), now);
        self.perform(&effects, None);
    }

    /// Performs effects in their order; a reply goes to `asker`, or back to the caller.
    fn perform(&mut self, effects: &Effects, asker: Option<&Asker<'_>>) -> Option<Reply> {
        let mut to_caller = None;
        for effect in effects.iter() {
            match effect {
                // In memory, `apply` has kept it.
                Effect::Persist(_) => {}
                Effect::Arm { key, at } => self.arm(key, at),
                Effect::Publish(key) => self.publish_request(key),
                Effect::Reply(reply) => match asker {
                    Some(asker) => self.answer(asker, reply),
                    None => to_caller = Some(reply),
                },
                Effect::Event { key, state, at } => {
                    self.tally.timed_out += u64::from(state == State::TimedOutByCloud);
                    let ends = [State::Succeeded, State::Failed, State::Rejected, State::TimedOutByDevice];
                    if self.executions.record(key).is_some_and(Record::ended_in_time) {
                        for (count, end) in self.tally.ended.iter_mut().zip(ends) {
                            *count += u64::from(state == end);
                        }
                    }
                    self.publish_event(key, state, at);
                }
            }
        }
        to_caller
    }

    fn arm(&mut self, key: Key, at: Instant) {
        self.timer_is_early |= self.timers.arm(at, key);
        let executions = &self.executions;
        let is_open = |key| executions.record(key).is_some_and(|record| record.state.time_out().is_some());
        self.timers.sweep(executions.open(), is_open);
    }

    /// The command's own bytes, at QoS 1 and not retained, with its content type; they expire when the
    /// execution times out.
    fn publish_request(&mut self, key: Key) {
        let Some(record) = self.executions.record(key) else { return };
        if !self.hooks.publishes(&record.id) {
            self.tally.requests_dropped += 1;
            return;
        }
        let now = self.clock.now();
        match self.faults.request(now, record.deadline()) {
            Departure::Now => self.send_request(key),
            Departure::Late { by_us } => {
                self.timer_is_early |= self.held_back.push(now.plus_micros(by_us), key);
            }
            Departure::Never => self.executions.withhold_request(key),
        }
    }

    /// A request whose time has come, unless its execution has ended meanwhile: then it has expired.
    fn publish_held_back(&mut self, key: Key) {
        if self.executions.record(key).is_some_and(|record| record.state.time_out().is_some()) {
            self.send_request(key);
        } else {
            self.executions.withhold_request(key);
        }
    }

    fn send_request(&mut self, key: Key) {
        let Some(record) = self.executions.record(key) else { return };
        let topic = &mut self.scratch.topic;
        topic.clear();
        record.id.with_str(|execution| {
            let form = Form::Request(record.command.format);
            DeviceTopic { kind: record.kind, device: record.device(), execution, form }.write_to(topic);
        });
        let payload = &mut self.scratch.payload;
        let content = record.command.content(record.parameters(), record.timeout_seconds, payload);
        // It was made once before the start, and was not too large.
        let content = content.unwrap_or_default();
        let mut message = Message::new(topic, content, QoS::AtLeastOnce);
        message.properties.content_type = record.command.content_type();
        message.expires_at = Some(record.deadline());
        self.broker.publish(&message);
    }

    fn publish_event(&mut self, key: Key, state: State, at: Instant) {
        // Two events per execution, and mostly nobody who watches them.
        if self.broker.serves_only_devices() {
            return;
        }
        let wall_ms = self.clock.wall_millis(at);
        let Some(record) = self.executions.record(key) else { return };
        let Scratch { topic, payload } = &mut self.scratch;
        topic.clear();
        payload.clear();
        write_event_topic(topic, &record.command.id, state.status());
        events::write(payload, record, (&self.region, &self.account), state, wall_ms);
        self.broker.publish(&Message::new(topic, payload, QoS::AtLeastOnce));
    }

    fn answer(&mut self, asker: &Asker<'_>, reply: Reply) {
        match reply {
            Reply::Accepted => {
                self.tally.updates_accepted += 1;
                let form = Form::Accepted(asker.format);
                let Some(execution_id) = asker.execution_id.clone() else { return };
                let accepted = Accepted { execution_id, client_token: asker.client_token.clone() };
                self.publish(DeviceTopic { form, ..asker.topic }, |payload| match asker.format {
                    Format::Cbor => accepted.write_cbor(payload),
                    Format::Json | Format::Generic => accepted.write_json(payload),
                });
            }
            Reply::Refused(refusal) => {
                let (code, message) = refusal.explain();
                self.refuse_update(asker, code.name(), &message);
            }
            Reply::Started(_) | Reply::OverQuota => {}
        }
    }

    fn publish(&mut self, to: DeviceTopic<'_>, write: impl FnOnce(&mut Vec<u8>)) {
        let Scratch { topic, payload } = &mut self.scratch;
        topic.clear();
        payload.clear();
        to.write_to(topic);
        write(payload);
        self.broker.publish(&Message::new(topic, payload, QoS::AtLeastOnce));
    }

    fn next_id(&mut self) -> ExecutionId {
        loop {
            let draw = self.seed.at(Purpose::ExecutionId, Subject::new("", 0), self.named).uuid();
            self.named += 1;
            let id = ExecutionId::from_uuid(draw);
            if !self.executions.knows(&id) {
                return id;
            }
        }
    }

    fn id_of(&self, key: Key) -> Result<ExecutionId, ApiError> {
        let record = self.executions.record(key);
        record.map(|record| record.id.clone()).ok_or_else(|| {
            ApiError::new(ErrorKind::InternalServer, "the command execution was forgotten while it was made")
        })
    }

    fn check_place(&self, member: &str, region: &str, account: &str) -> Result<(), ApiError> {
        if region == self.region && account == self.account {
            return Ok(());
        }
        let (here, ours) = (&self.region, &self.account);
        let message = format!("{member} is in {region} of {account}, expected {here} of {ours}");
        Err(ApiError::new(ErrorKind::Validation, message))
    }

    /// Epoch seconds to the millisecond.
    fn epoch_seconds(&self, instant: Instant) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
        let ms = self.clock.wall_millis(instant) as f64;
        ms / 1000.0
    }
}

fn not_found(id: &ExecutionId, target: &TargetName<'_>) -> ApiError {
    let message = format!("there is no command execution \"{id}\" of {target}");
    ApiError::new(ErrorKind::ResourceNotFound, message)
}
