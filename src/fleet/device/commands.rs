//! What a device does with messages: requests and replies go into its behaviour, what that decides goes
//! into the out-buffer and the ledger.

use std::sync::Arc;

use crate::clock::Instant;
use crate::ledger::{Arrived, PlannedEnd, Reply, Report};
use crate::mqtt::{self, PubAck, QoS};
use crate::protocol::{
    Accepted, DeviceTopic, ExecutionId, Form, Format, Rejected, Status, StatusReason, Update, UpdateErrorCode,
};
use crate::units::MICROS_PER_SECOND;

use super::super::behaviour::{Action, Arriving, Reason, Request, Token};
use super::super::{Shared, UpdateScratch};
use super::{Device, State, version};

impl Device {
    pub(super) fn publish(&self, shared: &Shared, publish: &mqtt::Publish<'_>) {
        if let Some(id) = publish.id {
            let mut state = self.state.borrow_mut();
            state.last_sent = shared.clock.now();
            let version = version(self.connect_settings(shared));
            let encoded = mqtt::encode::puback(state.outbound.buffer(), version, &PubAck::new(id));
            debug_assert!(encoded.is_ok(), "a bare PUBACK can be written: {encoded:?}");
        }
        self.message(shared, publish);
    }

    fn message(&self, shared: &Shared, publish: &mqtt::Publish<'_>) {
        let now = shared.clock.now();
        let parsed = DeviceTopic::parse(publish.topic);
        let Some((topic, Ok(id))) = parsed.map(|topic| (topic, topic.execution.parse::<ExecutionId>()))
        else {
            shared.ledger.borrow_mut().statistics.drop_from("unreadable messages at devices", 1);
            return;
        };
        match topic.form {
            Form::Request(format) => self.request(shared, &id, format, publish, now),
            Form::Accepted(format) => {
                let token = self.token_of(&id, || {
                    let reply = match format {
                        Format::Cbor => Accepted::from_cbor(publish.payload),
                        Format::Json | Format::Generic => Accepted::from_json(publish.payload),
                    };
                    let reply = reply.ok();
                    reply.and_then(|reply| reply.client_token)
                });
                self.act(shared, now, |behaviour, turn| behaviour.reply(&id, token, None, turn));
            }
            Form::Rejected(format) => {
                let rejected = match format {
                    Format::Cbor => Rejected::from_cbor(publish.payload),
                    Format::Json | Format::Generic => Rejected::from_json(publish.payload),
                };
                let (error, token) = match rejected {
                    Ok(rejected) => (rejected.error, rejected.client_token),
                    Err(_) => ("unreadable".to_owned(), None),
                };
                let token = self.token_of(&id, || token);
                let malformed = is_malformed(&error);
                let awaited =
                    self.act(shared, now, |behaviour, turn| behaviour.reply(&id, token, Some(error), turn));
                if malformed && !awaited {
                    shared.ledger.borrow_mut().statistics.note("malformed updates that were refused");
                }
            }
            Form::Response(_) => {}
        }
    }

    /// The token of a reply, read only where it matters; one that is not ours is none of ours.
    fn token_of(&self, id: &ExecutionId, read: impl FnOnce() -> Option<String>) -> Token {
        if !self.state.borrow().behaviour.awaits_token(id) {
            return 0;
        }
        read().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn request(
        &self,
        shared: &Shared,
        id: &ExecutionId,
        format: Format,
        publish: &mqtt::Publish<'_>,
        now: Instant,
    ) {
        let mqtt::Publish { dup, properties, .. } = *publish;
        let arrived = Arrived::First { dup };
        let says_otherwise = |said: &str| Format::of_content_type(said) != format;
        if properties.content_type.is_some_and(says_otherwise) {
            let mut ledger = shared.ledger.borrow_mut();
            ledger.held(self.slot, id, now, PlannedEnd::Unreadable, arrived);
            ledger.statistics.drop_from("requests whose content type is not that of their topic", 1);
            return;
        }
        let expires = properties.message_expiry_s.map(|s| now.plus_micros(u64::from(s) * MICROS_PER_SECOND));
        let mut actions = shared.scratch.actions.take();
        let held = {
            let mut state = self.state.borrow_mut();
            let decide = |n| {
                let decision = shared.plan.decision(self.id, n);
                let times = shared.timeline.slowness(&shared.plan, self.id, now);
                if times > 1.0 { decision.slowed(times) } else { decision }
            };
            let times_out = || self.times_out(shared, id, now);
            let mut turn = self.turn(shared, now, &mut actions);
            state.behaviour.request(Arriving { id, dup, expires }, decide, times_out, &mut turn)
        };
        {
            let mut ledger = shared.ledger.borrow_mut();
            match held {
                Request::Held(end) => ledger.held(self.slot, id, now, end, arrived),
                Request::Again(again) => ledger.held(self.slot, id, now, PlannedEnd::Silence, again),
                Request::TurnedAway(end) => {
                    ledger.held(self.slot, id, now, end, arrived);
                    ledger.statistics.note(match end {
                        PlannedEnd::Silence => "requests ignored by busy devices",
                        _ => "requests rejected by busy devices",
                    });
                }
                Request::Refused => {
                    ledger.held(self.slot, id, now, PlannedEnd::QueueFull, arrived);
                    ledger.statistics.drop_from("requests at busy devices", 1);
                }
            }
        }
        if let Request::Held(end) | Request::TurnedAway(end) = held
            && matches!(end, PlannedEnd::Answer { .. } | PlannedEnd::Late { .. })
        {
            shared.came_in(self.slot, id, format);
        }
        self.perform(shared, now, &mut actions);
        shared.scratch.actions.replace(actions);
    }

    /// When an execution surely has timed out; one that nobody here has started is taken for the longest.
    fn times_out(&self, shared: &Shared, id: &ExecutionId, now: Instant) -> Instant {
        let known = shared.ledger.borrow().times_out(self.slot, id, now);
        known.unwrap_or_else(|| now.plus_micros(shared.plan.longest_timeout_us(self.id.group)))
    }

    pub(super) fn perform(&self, shared: &Shared, now: Instant, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Wake { at, serial } => shared.arm(self.slot, at, super::Timer::Behaviour { serial }),
                Action::Drop => self.drop_connection(shared),
                Action::ReadFirst => {
                    let mut state = self.state.borrow_mut();
                    state.reads_first = true;
                    state.wake();
                }
                Action::SendProgress { id, token, waited_for } => {
                    self.send(shared, &id, &mut Update::bare(Status::InProgress), token);
                    shared.ledger.borrow_mut().progress_sent(&id, now, waited_for);
                }
                Action::SendReport { id, status, reason, planned, token, around } => {
                    let reason = self.reason(shared, reason);
                    let result = shared.plan.result(self.id);
                    let mut update =
                        Update { status, reason: reason.as_deref().cloned(), result, client_token: None };
                    if let Some(kind) = around.malformed {
                        self.send_malformed(shared, &id, kind);
                    }
                    self.send(shared, &id, &mut update, token);
                    let sent = shared.clock.now();
                    if around.twice {
                        self.send(shared, &id, &mut update, token);
                        shared.note("answers sent twice by plan");
                    }
                    if let Some(token) = around.progress {
                        self.send(shared, &id, &mut Update::bare(Status::InProgress), token);
                        shared.note("updates sent out of order by plan");
                    }
                    let report = Report { status, reason, result: update.result.map(Box::new) };
                    // Silenced, it could not have answered before.
                    let planned = shared.timeline.speaks_from(&shared.plan, self.id, planned);
                    shared.ledger.borrow_mut().reported(&id, planned, sent, report);
                }
                Action::ProgressReplied { id, accepted } => {
                    shared.ledger.borrow_mut().progress_replied(&id, now, accepted);
                }
                Action::Confirmed { id, rejected } => {
                    shared.is_done(self.slot, &id);
                    let reply = rejected.map_or(Reply::Accepted, Reply::Rejected);
                    shared.ledger.borrow_mut().confirmed(&id, now, reply);
                }
                Action::Unconfirmed { id, disconnected } => {
                    shared.is_done(self.slot, &id);
                    shared.ledger.borrow_mut().unconfirmed(&id, now, disconnected);
                }
                Action::Expired { id } => {
                    shared.is_done(self.slot, &id);
                    let mut ledger = shared.ledger.borrow_mut();
                    ledger.expired(&id);
                    ledger.statistics.note("requests that expired in a device's queue");
                }
            }
        }
    }

    fn reason(&self, shared: &Shared, reason: Reason) -> Option<Arc<StatusReason>> {
        match reason {
            Reason::None => None,
            Reason::Busy => Some(Arc::clone(&shared.busy)),
            Reason::Outcome(n) => shared.reasons[usize::from(self.id.group)].get(usize::from(n))?.clone(),
        }
    }

    /// Sends an update that every backend must refuse: cut off, no JSON at all, empty, or with a status
    /// that there is not.
    fn send_malformed(&self, shared: &Shared, id: &ExecutionId, kind: u8) {
        shared.note("malformed updates sent by plan");
        let payload: &[u8] = match kind {
            0 => b"{\"status\":\"SUCC",
            1 => b"\xff\xfe status=SUCCEEDED",
            2 => b"{}",
            _ => b"{\"status\":\"DONE\"}",
        };
        let scratch = &mut *shared.scratch.update.borrow_mut();
        scratch.payload.clear();
        scratch.payload.extend_from_slice(payload);
        self.send_payload(shared, id, scratch);
    }

    /// Puts an UpdateCommandExecution into the out-buffer and wakes the task to write it.
    fn send(&self, shared: &Shared, id: &ExecutionId, update: &mut Update, token: Token) {
        let scratch = &mut *shared.scratch.update.borrow_mut();
        scratch.payload.clear();
        update.client_token = (token > 0).then(|| token.to_string());
        match shared.format_of(self.slot, id) {
            Format::Cbor => update.write_cbor(&mut scratch.payload),
            Format::Json | Format::Generic => update.write_json(&mut scratch.payload),
        }
        self.send_payload(shared, id, scratch);
    }

    fn send_payload(&self, shared: &Shared, id: &ExecutionId, scratch: &mut UpdateScratch) {
        let connect = self.connect_settings(shared);
        let format = shared.format_of(self.slot, id);
        scratch.name.clear();
        let kind = shared.plan.write_target(self.id, &mut scratch.name);
        scratch.topic.clear();
        id.with_str(|execution| {
            let form = Form::Response(format);
            DeviceTopic { kind, device: &scratch.name, execution, form }.write_to(&mut scratch.topic);
        });

        let mut state = self.state.borrow_mut();
        let State { outbound, publishes, .. } = &mut *state;
        let packet_id = publishes.next_id();
        let publish = mqtt::Publish {
            qos: QoS::AtLeastOnce,
            id: Some(packet_id),
            ..mqtt::Publish::new(&scratch.topic, &scratch.payload)
        };
        let out = outbound.buffer();
        let start = out.len();
        // Client id, execution id and reason are bounded far below MQTT's limits by the scenario check.
        let encoded = mqtt::encode::publish(out, version(connect), &publish);
        debug_assert!(encoded.is_ok(), "an update fits an MQTT packet: {encoded:?}");
        if let Err(why) = publishes.appended(packet_id, out, start, !connect.clean_session) {
            shared.ledger.borrow_mut().statistics.drop_from(why.name(), 1);
        }
        state.last_sent = shared.clock.now();
        state.wake();
    }
}

/// Whether an error says that an update was none. Only what is sent malformed by plan gets such a reply.
fn is_malformed(error: &str) -> bool {
    let codes = [UpdateErrorCode::InvalidJson, UpdateErrorCode::InvalidRequest];
    codes.iter().any(|code| code.name() == error)
}
