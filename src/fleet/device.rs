//! The task of a device: connect, subscribe, poll the connection until it ends, back off, again.
//!
//! While online the task awaits its connection and nothing else. What comes due is fired into the
//! device by the shard's pacer: it goes into the out-buffer, and the task is woken to write it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock::Instant;
use crate::ledger::{Arrived, PlannedEnd, Reply, Report};
use crate::mqtt::{self, Outbound, Packet, PacketId, PubAck, QoS, Sender, Version};
use crate::plan::DeviceId;
use crate::protocol::{
    DeviceTopic, ExecutionId, Form, Format, Rejected, Status, StatusReason, TargetKind, Update,
};
use crate::transport::Stream;
use crate::units::{MICROS_PER_SECOND, micros};

use super::Shared;
use super::behaviour::{Action, Behaviour, Request};
use super::connection::{self, Connection, ConnectionError, MAX_PACKET};

/// From the begin of a connect to its SUBACK; a broker that takes longer is not there.
const CONNECT_WAIT_S: u64 = 30;
/// What a device keeps for a broker that does not read. It goes on reading meanwhile: if both ends
/// stopped, they would wait for each other until the keep-alive.
const MAX_UNWRITTEN: usize = 1024 * 1024;

/// What can come due for a device.
#[derive(Debug, Clone, Copy)]
pub(super) enum Timer {
    /// Its behaviour asked for it.
    Behaviour { serial: u32 },
    /// Nothing may have been sent for most of the keep-alive of this session.
    KeepAlive { session: u32 },
}

/// A virtual device.
#[derive(Debug)]
pub(super) struct Device {
    pub id: DeviceId,
    slot: u32,
    state: RefCell<State>,
    online_since: Cell<Option<Instant>>,
}

#[derive(Debug, Default)]
struct State {
    behaviour: Behaviour,
    outbound: Outbound,
    waker: Option<Waker>,
    /// Counts connections; 0 = never connected.
    session: u32,
    packet_id: u16,
    last_sent: Instant,
    ping_unanswered: bool,
    dead: bool,
}

/// Runs one device until the fleet is stopped.
pub(super) async fn run(shared: Rc<Shared>, device: Rc<Device>, first_connect: Instant) {
    let stop = shared.stop.clone();
    let life = async {
        shared.clock.sleep_until(first_connect).await;
        let mut attempt = 0;
        loop {
            // Connecting takes ten times the memory of being connected: it is given back afterwards.
            let error = match Box::pin(device.connect(&shared)).await {
                // Borrowed, because a future that takes an argument keeps room for it twice.
                Ok(mut connection) => {
                    attempt = 0;
                    device.stay(&shared, &mut connection).await
                }
                Err(error) => error,
            };
            *shared.last_error.borrow_mut() = Some(error.to_string());
            let connections = device.state.borrow().session;
            let wait = shared.plan.backoff_us(device.id, connections, attempt);
            attempt += 1;
            shared.clock.sleep_until(shared.clock.now().plus_micros(wait)).await;
        }
    };
    tokio::select! {
        biased; // A stopped fleet must not begin another connect.
        () = stop.cancelled() => {}
        () = life => {}
    }
}

impl Device {
    pub fn new(id: DeviceId, slot: u32) -> Self {
        Self { id, slot, state: RefCell::default(), online_since: Cell::new(None) }
    }

    pub fn online_since(&self) -> Option<Instant> {
        self.online_since.get()
    }

    pub fn holds(&self, id: &ExecutionId) -> bool {
        self.state.borrow().behaviour.holds(id)
    }

    /// Whether a timer still means something.
    pub fn wants(&self, timer: Timer) -> bool {
        let state = self.state.borrow();
        match timer {
            Timer::Behaviour { serial } => state.behaviour.awaits(serial),
            Timer::KeepAlive { session } => state.session == session,
        }
    }

    /// A timer of this device has come due.
    pub fn fire(&self, shared: &Shared, timer: Timer, now: Instant) {
        match timer {
            Timer::Behaviour { serial } => {
                self.act(shared, now, |behaviour, actions| behaviour.due(serial, now, actions));
            }
            Timer::KeepAlive { session } => self.keep_alive(shared, session, now),
        }
    }

    async fn connect(&self, shared: &Shared) -> Result<Connection<Stream>, ConnectionError> {
        let _permit = shared.permits.acquire().await.map_err(|_| ConnectionError::Closed)?;
        let begun = shared.clock.now();
        let client_id = shared.plan.client_id(self.id);
        let group = &shared.plan.scenario().groups[usize::from(self.id.group)];
        let keep_alive_s = u16::try_from(group.connect.keep_alive.as_secs()).unwrap_or(u16::MAX);
        let attempt = async {
            let stream = shared.broker.connect().await?;
            connection::subscribe(stream, &client_id, keep_alive_s).await
        };
        let deadline = begun.plus_micros(CONNECT_WAIT_S * MICROS_PER_SECOND);
        let connection = shared.clock.timeout_at(deadline, attempt).await;
        let connection = connection.ok_or(ConnectionError::NoAnswer(CONNECT_WAIT_S))??;
        let now = shared.clock.now();
        let first = self.state.borrow().session == 0;
        let mut ledger = shared.ledger.borrow_mut();
        ledger.statistics.record_connect(usize::from(self.id.group), now.micros_since(begun));
        if !first {
            ledger.statistics.reconnects[usize::from(self.id.group)] += 1;
        }
        Ok(connection)
    }

    /// Stays subscribed until the connection ends; says why it did.
    async fn stay<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        shared: &Shared,
        connection: &mut Connection<S>,
    ) -> ConnectionError {
        self.come_online(shared);
        for early in std::mem::take(&mut connection.early) {
            self.publish(shared, &early.borrowed());
        }
        let end = poll_fn(|cx| self.poll(shared, connection, cx)).await;
        self.go_offline(shared);
        end
    }

    fn come_online(&self, shared: &Shared) {
        let now = shared.clock.now();
        let session = {
            let mut state = self.state.borrow_mut();
            state.session += 1;
            state.outbound = Outbound::default();
            state.dead = false;
            state.ping_unanswered = false;
            state.last_sent = now;
            state.session
        };
        self.online_since.set(Some(now));
        shared.gauges.came_online(self.id.group, session == 1);
        shared.arm(self.slot, now.plus_micros(self.keep_alive_us(shared)), Timer::KeepAlive { session });
        self.act(shared, now, |behaviour, actions| behaviour.online(now, actions));
    }

    fn go_offline(&self, shared: &Shared) {
        self.online_since.set(None);
        shared.gauges.went_offline(self.id.group);
        let mut state = self.state.borrow_mut();
        state.waker = None;
        state.outbound = Outbound::default();
        state.behaviour.offline();
    }

    /// Reads and handles all there is, then writes all there is: answers to what was read leave in
    /// one write. Ready only when the connection ends.
    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        shared: &Shared,
        connection: &mut Connection<S>,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionError> {
        let Connection { stream, inbound, .. } = connection;
        let end =
            inbound.poll(cx, stream, Sender::Server, MAX_PACKET, &mut |packet| self.take(shared, &packet));
        if let Poll::Ready(end) = end {
            return Poll::Ready(end.into());
        }
        let mut state = self.state.borrow_mut();
        if state.dead {
            return Poll::Ready(ConnectionError::Dead);
        }
        if let Poll::Ready(Err(error)) = state.outbound.poll_flush(cx, stream) {
            return Poll::Ready(error.into());
        }
        if state.outbound.pending() > MAX_UNWRITTEN {
            return Poll::Ready(ConnectionError::NotReading);
        }
        if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn take(&self, shared: &Shared, packet: &Packet<'_>) -> Result<(), ConnectionError> {
        match packet {
            Packet::Publish(publish) => {
                self.publish(shared, publish);
                Ok(())
            }
            Packet::PingResp => {
                self.state.borrow_mut().ping_unanswered = false;
                Ok(())
            }
            // The broker has it; what it is worth, accepted or rejected will say.
            Packet::PubAck(_) => Ok(()),
            other => Err(ConnectionError::OutOfTurn(other.name(), "PUBLISH")),
        }
    }

    fn publish(&self, shared: &Shared, publish: &mqtt::Publish<'_>) {
        if let Some(id) = publish.id {
            let mut state = self.state.borrow_mut();
            state.last_sent = shared.clock.now();
            let encoded = mqtt::encode::puback(state.outbound.buffer(), Version::V311, &PubAck::new(id));
            debug_assert!(encoded.is_ok(), "a PUBACK without properties fits: {encoded:?}");
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
            Form::Request(_) => self.request(shared, &id, publish.dup, now),
            Form::Accepted(_) => {
                self.act(shared, now, |behaviour, actions| behaviour.reply(&id, None, now, actions));
            }
            Form::Rejected(_) => {
                let error = match Rejected::from_json(publish.payload) {
                    Ok(rejected) => rejected.error,
                    Err(_) => "unreadable".to_owned(),
                };
                self.act(shared, now, |behaviour, actions| behaviour.reply(&id, Some(error), now, actions));
            }
            Form::Response(_) => {}
        }
    }

    fn request(&self, shared: &Shared, id: &ExecutionId, dup: bool, now: Instant) {
        let mut actions = shared.scratch.take();
        let held = {
            let mut state = self.state.borrow_mut();
            let session = state.session;
            let decide = |n| shared.plan.decision(self.id, n);
            state.behaviour.request(id, dup, session, now, decide, &mut actions)
        };
        {
            let mut ledger = shared.ledger.borrow_mut();
            match held {
                Request::Held(end) => ledger.held(self.slot, id, now, end, Arrived::First),
                Request::Again(arrived) => ledger.held(self.slot, id, now, PlannedEnd::Silence, arrived),
                Request::Refused => {
                    ledger.held(self.slot, id, now, PlannedEnd::QueueFull, Arrived::First);
                    ledger.statistics.drop_from("requests at busy devices", 1);
                }
            }
        }
        self.perform(shared, now, &mut actions);
        shared.scratch.replace(actions);
    }

    fn act(&self, shared: &Shared, now: Instant, what: impl FnOnce(&mut Behaviour, &mut Vec<Action>)) {
        let mut actions = shared.scratch.take();
        what(&mut self.state.borrow_mut().behaviour, &mut actions);
        self.perform(shared, now, &mut actions);
        shared.scratch.replace(actions);
    }

    fn perform(&self, shared: &Shared, now: Instant, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Wake { at, serial } => shared.arm(self.slot, at, Timer::Behaviour { serial }),
                Action::SendProgress { id } => {
                    self.send(shared, &id, Status::InProgress, None);
                    shared.ledger.borrow_mut().progress_sent(&id, now);
                }
                Action::SendReport { id, status, outcome, planned } => {
                    let reasons = &shared.reasons[usize::from(self.id.group)];
                    let reason = outcome.and_then(|n| reasons.get(usize::from(n))?.clone());
                    self.send(shared, &id, status, reason.as_deref());
                    let sent = shared.clock.now();
                    shared.ledger.borrow_mut().reported(&id, planned, sent, Report { status, reason });
                }
                Action::ProgressReplied { id, accepted } => {
                    shared.ledger.borrow_mut().progress_replied(&id, now, accepted);
                }
                Action::Confirmed { id, rejected } => {
                    let reply = rejected.map_or(Reply::Accepted, Reply::Rejected);
                    shared.ledger.borrow_mut().confirmed(&id, now, reply);
                }
                Action::Unconfirmed { id, disconnected } => {
                    shared.ledger.borrow_mut().unconfirmed(&id, disconnected);
                }
            }
        }
    }

    /// Puts an UpdateCommandExecution into the out-buffer and wakes the task to write it.
    fn send(&self, shared: &Shared, id: &ExecutionId, status: Status, reason: Option<&StatusReason>) {
        let client_id = shared.plan.client_id(self.id);
        let execution = id.to_string();
        let form = Form::Response(Format::Json);
        let topic = DeviceTopic { kind: TargetKind::Thing, device: &client_id, execution: &execution, form }
            .to_string();
        let mut payload = Vec::with_capacity(64);
        Update { status, reason: reason.cloned(), result: None, client_token: None }.write_json(&mut payload);
        let mut state = self.state.borrow_mut();
        let id = state.next_packet_id();
        let plain = mqtt::Publish::new(&topic, &payload);
        let publish = mqtt::Publish { qos: QoS::AtLeastOnce, id: Some(id), ..plain };
        // Client id, execution id and reason are bounded far below MQTT's limits by the scenario check.
        let encoded = mqtt::encode::publish(state.outbound.buffer(), Version::V311, &publish);
        debug_assert!(encoded.is_ok(), "an update fits an MQTT packet: {encoded:?}");
        state.last_sent = shared.clock.now();
        state.wake();
    }

    fn keep_alive(&self, shared: &Shared, session: u32, now: Instant) {
        let interval_us = self.keep_alive_us(shared);
        let mut state = self.state.borrow_mut();
        if state.session != session || self.online_since.get().is_none() {
            return;
        }
        let mut next = state.last_sent.plus_micros(interval_us);
        if next <= now {
            if state.ping_unanswered {
                // A whole interval without the answer: the broker is gone though TCP does not know.
                state.dead = true;
            } else {
                mqtt::encode::pingreq(state.outbound.buffer());
                state.ping_unanswered = true;
                state.last_sent = now;
            }
            state.wake();
            next = now.plus_micros(interval_us);
        }
        shared.arm(self.slot, next, Timer::KeepAlive { session });
    }

    /// Three quarters of the keep-alive: a ping is never late by a busy tick.
    fn keep_alive_us(&self, shared: &Shared) -> u64 {
        let group = &shared.plan.scenario().groups[usize::from(self.id.group)];
        micros(group.connect.keep_alive) / 4 * 3
    }
}

impl State {
    fn next_packet_id(&mut self) -> PacketId {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        PacketId::new(self.packet_id).unwrap_or(PacketId::FIRST)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Shared {
    fn arm(&self, slot: u32, at: Instant, timer: Timer) {
        if self.timers.borrow_mut().push(at, (slot, timer)) {
            self.timers_changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// A million devices are what a process has to hold. What is rare or short belongs in a box.
    #[test]
    fn a_connected_device_is_small() {
        let (task, device) = (future_bytes(run), size_of::<Device>());
        assert!(task <= 640, "the future of a device's task is {task} bytes");
        assert!(device <= 320, "a device's state is {device} bytes");
    }
}
