//! The task of a device: connect, subscribe, poll the connection until it ends, back off, again.
//!
//! While online the task awaits its connection and nothing else. What comes due is fired into the
//! device by the shard's pacer: it goes into the out-buffer, and the task is woken to write it. What the
//! device does with messages is in `commands`.

mod commands;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::clock::Instant;
use crate::mqtt::{self, Disconnect, Outbound, Packet, Sender, Version};
use crate::plan::DeviceId;
use crate::protocol::ExecutionId;
use crate::scenario::{Connect, Manners, MqttVersion};
use crate::units::{MICROS_PER_SECOND, micros};

use super::Shared;
use super::behaviour::{Action, Behaviour, Turn};
use super::connection::{self, Agreed, Connection, ConnectionError, Hello, MAX_PACKET};
use super::link::Wire;
use super::publishes::Publishes;

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
    /// Nothing may have been sent for most of the keep-alive of this connection.
    KeepAlive { connection: u32 },
    /// This connection is to break off by plan.
    Drop { connection: u32 },
    /// Bytes on its link have arrived.
    Link,
}

/// A virtual device.
#[derive(Debug)]
pub(super) struct Device {
    pub id: DeviceId,
    slot: u32,
    state: RefCell<State>,
    online_since: Cell<Option<Instant>>,
    /// Since when its subscriptions should stand without a break; means something once they have.
    subscribed_since: Cell<Instant>,
    /// Since when it is offline; means something while it is.
    offline_since: Cell<Instant>,
    /// Whether a SUBACK has granted everything in the session that the broker has of it.
    is_subscribed: Cell<bool>,
    /// Of its task, while that waits for bytes on the link.
    link_waker: RefCell<Option<Waker>>,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    outbound: Outbound,
    publishes: Publishes,
    waker: Option<Waker>,
    /// Counts connections; 0 = never connected.
    connection: u32,
    last_sent: Instant,
    /// The keep-alive the broker set instead of the device's; 0 is none.
    server_keep_alive_s: Option<u16>,
    ping_unanswered: bool,
    /// Its behaviour wants to hear when all that has come is read.
    reads_first: bool,
    ending: Option<Ending>,
}

/// Why a device ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The broker does not answer.
    Dead,
    /// By plan, without a word.
    Dropped,
    /// By the timeline, without a word.
    SentAway,
    /// The run is over: once the DISCONNECT is written.
    Leaving,
}

/// Runs one device until it gives up or the fleet is stopped.
pub(super) async fn run(shared: Rc<Shared>, device: Rc<Device>, first_connect: Instant) {
    let stop = shared.stop.clone();
    tokio::select! {
        biased; // A stopped fleet must not begin another connect.
        () = stop.cancelled() => {}
        () = device.live(&shared, first_connect) => {}
    }
}

impl Device {
    pub fn new(id: DeviceId, slot: u32, keeps_session: bool) -> Self {
        let state = State {
            behaviour: Behaviour::new(keeps_session),
            outbound: Outbound::default(),
            publishes: Publishes::default(),
            waker: None,
            connection: 0,
            last_sent: Instant::START,
            server_keep_alive_s: None,
            ping_unanswered: false,
            reads_first: false,
            ending: None,
        };
        Self {
            id,
            slot,
            state: RefCell::new(state),
            online_since: Cell::new(None),
            subscribed_since: Cell::new(Instant::START),
            offline_since: Cell::new(Instant::START),
            is_subscribed: Cell::new(false),
            link_waker: RefCell::new(None),
        }
    }

    /// Since when it is connected without a break; `None` = it is not.
    pub fn online_since(&self) -> Option<Instant> {
        self.online_since.get()
    }

    /// Since when the broker owes it every request: since its subscription, or with a kept session
    /// since the one that still stands. `None` = it is not connected, or was never.
    pub fn subscribed_since(&self) -> Option<Instant> {
        self.online_since.get().map(|_| self.subscribed_since.get())
    }

    pub fn holds(&self, id: &ExecutionId) -> bool {
        self.state.borrow().behaviour.holds(id)
    }

    /// Whether a timer still means something.
    pub fn wants(&self, timer: Timer) -> bool {
        let state = self.state.borrow();
        match timer {
            Timer::Behaviour { serial } => state.behaviour.awaits(serial),
            Timer::KeepAlive { connection } | Timer::Drop { connection } => {
                state.connection == connection && self.online_since.get().is_some()
            }
            Timer::Link => true,
        }
    }

    /// A timer of this device was due at an instant and fires now. What was due before a silence is not held
    /// back by it, however late the timer is.
    pub fn fire(&self, shared: &Shared, timer: Timer, due: Instant, now: Instant) {
        match timer {
            Timer::Behaviour { .. } if self.is_silenced_until(shared, due, timer) => {}
            Timer::Behaviour { serial } => {
                self.act(shared, now, |behaviour, turn| behaviour.due(serial, turn));
            }
            Timer::Link => {
                if let Some(waker) = self.link_waker.take() {
                    waker.wake();
                }
            }
            Timer::KeepAlive { .. } if !self.wants(timer) => {}
            Timer::KeepAlive { connection } => self.keep_alive(shared, connection, now),
            Timer::Drop { .. } => {
                if self.wants(timer) {
                    self.drop_connection(shared);
                }
            }
        }
    }

    /// Says goodbye, as devices do whose run is over.
    pub fn leave(&self, shared: &Shared) {
        let mut state = self.state.borrow_mut();
        if self.online_since.get().is_none() || state.ending.is_some() {
            return;
        }
        let connect = self.connect_settings(shared);
        // Nothing comes back for what a session would keep.
        let session_expiry_s = (!connect.clean_session).then_some(0);
        let disconnect = Disconnect { session_expiry_s, ..Disconnect::default() };
        let encoded = mqtt::encode::disconnect(state.outbound.buffer(), version(connect), &disconnect);
        debug_assert!(encoded.is_ok(), "a bare DISCONNECT can be written: {encoded:?}");
        state.ending = Some(Ending::Leaving);
        state.wake();
    }

    async fn live(self: &Rc<Self>, shared: &Rc<Shared>, first_connect: Instant) {
        shared.clock.sleep_until(first_connect).await;
        let mut failed = 0;
        let mut waits = 0;
        while !shared.leaving.get() {
            self.stay_away(shared).await;
            // Connecting takes ten times the memory of being connected: it is given back afterwards, and
            // a device that only waits for its turn has none.
            let turn = shared.permits.acquire().await;
            let attempt = Box::pin(self.connect(shared)).await;
            drop(turn);
            let (error, connected) = match attempt {
                // Borrowed, because a future that takes an argument keeps room for it twice.
                Ok(mut connection) => (self.stay(shared, &mut connection).await, true),
                Err(error) => (error, false),
            };
            (failed, waits) = if connected { (0, 0) } else { (failed + 1, waits) };
            let number = self.state.borrow().connection;
            let wait_us = match error {
                ConnectionError::Left => return,
                ConnectionError::Dropped => shared.plan.down_for_us(self.id, number),
                // The loop waits until it may come back, and then as long as after any other break.
                ConnectionError::SentAway if self.is_kept_away(shared) => 0,
                ConnectionError::SentAway => shared.plan.backoff_us(self.id, number, 0),
                error => {
                    *shared.last_error.borrow_mut() = Some(error.to_string());
                    waits += 1;
                    shared.plan.backoff_us(self.id, number, waits - 1)
                }
            };
            if self.connect_settings(shared).backoff.max_attempts.is_some_and(|most| failed >= most) {
                shared.ledger.borrow_mut().statistics.note("devices that gave up reconnecting");
                return;
            }
            shared.clock.sleep_until(shared.clock.now().plus_micros(wait_us)).await;
        }
    }

    async fn connect(self: &Rc<Self>, shared: &Rc<Shared>) -> Result<Connection<Wire>, ConnectionError> {
        let begun = shared.clock.now();
        let client_id = shared.plan.client_id(self.id);
        let (kind, name) = shared.plan.target(self.id);
        let connect = self.connect_settings(shared);
        let hello = Hello {
            version: version(connect),
            client_id: &client_id,
            target: (kind, &name),
            auth: connect.auth.as_ref(),
            clean_session: connect.clean_session,
            keep_alive_s: u16::try_from(connect.keep_alive.as_secs()).unwrap_or(u16::MAX),
        };
        let attempt = async {
            let number = self.state.borrow().connection;
            let stream = shared.broker.connect_from(shared.source_of(self.id)).await?;
            let wire = Wire::new(stream, shared, self, number);
            connection::subscribe(wire, hello, &self.is_subscribed).await
        };
        let deadline = begun.plus_micros(CONNECT_WAIT_S * MICROS_PER_SECOND);
        let connection = shared.clock.timeout_at(deadline, attempt).await;
        let connection = connection.ok_or(ConnectionError::NoAnswer(CONNECT_WAIT_S))??;
        let now = shared.clock.now();
        let first = self.state.borrow().connection == 0;
        let statistics = &mut shared.ledger.borrow_mut().statistics;
        statistics.record_connect(usize::from(self.id.group), now.micros_since(begun));
        if !first {
            statistics.reconnects[usize::from(self.id.group)] += 1;
        }
        if connection.agreed.resumed {
            statistics.note("sessions resumed");
        }
        Ok(connection)
    }

    /// Stays subscribed until the connection ends; says why it did.
    async fn stay<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        shared: &Shared,
        connection: &mut Connection<S>,
    ) -> ConnectionError {
        if self.is_kept_away(shared) {
            // It was on its way to the broker when the timeline said that there is no way.
            return ConnectionError::SentAway;
        }
        self.come_online(shared, &connection.agreed);
        for early in std::mem::take(&mut connection.early) {
            self.publish(shared, &early.borrowed());
        }
        let end = poll_fn(|cx| self.poll(shared, connection, cx)).await;
        self.go_offline(shared);
        end
    }

    fn come_online(&self, shared: &Shared, agreed: &Agreed) {
        let now = shared.clock.now();
        let number = {
            let mut state = self.state.borrow_mut();
            state.connection += 1;
            state.server_keep_alive_s = agreed.server_keep_alive_s;
            state.ending = None;
            state.ping_unanswered = false;
            state.last_sent = now;
            state.outbound = Outbound::default();
            let State { publishes, outbound, .. } = &mut *state;
            let window = agreed.receive_maximum.unwrap_or(0);
            let largest = agreed.maximum_packet_size.map_or(0, NonZeroU32::get);
            publishes.connected(agreed.resumed, window, largest, outbound.buffer());
            state.connection
        };
        self.note_session(shared, agreed, number == 1, now);
        self.online_since.set(Some(now));
        shared.gauges.came_online(self.id.group, number == 1);
        if let Some(interval_us) = self.ping_after_us(shared) {
            shared.arm(self.slot, now.plus_micros(interval_us), Timer::KeepAlive { connection: number });
        }
        if let Some(us) = shared.plan.drops_after_us(self.id, number) {
            shared.arm(self.slot, now.plus_micros(us), Timer::Drop { connection: number });
        }
        // Silenced it hears all the same: only what it would send waits.
        self.act(shared, now, |behaviour, turn| behaviour.online(agreed.resumed, turn));
        if shared.leaving.get() {
            self.leave(shared);
        }
    }

    /// Since when the broker owes the device its requests. A session that it forgot before its time does
    /// not excuse it.
    fn note_session(&self, shared: &Shared, agreed: &Agreed, first: bool, now: Instant) {
        if agreed.resumed && !first {
            return;
        }
        let lasts_until = self.offline_since.get().plus_micros(connection::SESSION_EXPIRY_US);
        let keeps = !self.connect_settings(shared).clean_session;
        if keeps && !first && now < lasts_until {
            shared.ledger.borrow_mut().statistics.note("sessions the broker forgot");
        } else {
            self.subscribed_since.set(now);
        }
    }

    fn go_offline(&self, shared: &Shared) {
        self.online_since.set(None);
        self.offline_since.set(shared.clock.now());
        let mut state = self.state.borrow_mut();
        state.waker = None;
        state.outbound = Outbound::default();
        state.behaviour.offline();
        drop(state);
        shared.went_offline(self.id.group);
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
        // What a device that breaks off has not read, it never reads.
        if let Some(broken) = self.state.borrow().ending.and_then(Ending::broken) {
            return Poll::Ready(broken);
        }
        let end =
            inbound.poll(cx, stream, Sender::Server, MAX_PACKET, &mut |packet| self.take(shared, &packet));
        if let Poll::Ready(end) = end {
            return Poll::Ready(end.into());
        }
        if std::mem::take(&mut self.state.borrow_mut().reads_first) {
            self.act(shared, shared.clock.now(), Behaviour::has_read);
        }
        let mut state = self.state.borrow_mut();
        match state.ending {
            Some(Ending::Dead) => return Poll::Ready(ConnectionError::Dead),
            Some(Ending::Dropped) => return Poll::Ready(ConnectionError::Dropped),
            Some(Ending::SentAway) => return Poll::Ready(ConnectionError::SentAway),
            Some(Ending::Leaving) | None => {}
        }
        match state.outbound.poll_flush(cx, stream) {
            Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
            Poll::Ready(Ok(())) if state.ending == Some(Ending::Leaving) => {
                return Poll::Ready(ConnectionError::Left);
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
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
            Packet::Publish(publish) if publish.properties.topic_alias.is_some() => {
                return Err(ConnectionError::TopicAlias);
            }
            Packet::Publish(publish) => self.publish(shared, publish),
            Packet::PingResp => self.state.borrow_mut().ping_unanswered = false,
            // The broker has it; what it is worth, accepted or rejected will say.
            Packet::PubAck(puback) => {
                let kept = !self.connect_settings(shared).clean_session;
                let State { publishes, outbound, .. } = &mut *self.state.borrow_mut();
                publishes.acknowledged(puback.id, outbound.buffer(), kept);
                if puback.reason.is_error() {
                    shared.ledger.borrow_mut().statistics.note("updates the broker refused");
                }
            }
            Packet::Disconnect(disconnect) => return Err(ConnectionError::disconnected(disconnect)),
            other => return Err(ConnectionError::OutOfTurn(other.name(), "PUBLISH")),
        }
        Ok(())
    }

    fn act<R>(
        &self,
        shared: &Shared,
        now: Instant,
        what: impl FnOnce(&mut Behaviour, &mut Turn<'_>) -> R,
    ) -> R {
        let mut actions = shared.scratch.actions.take();
        let result = what(&mut self.state.borrow_mut().behaviour, &mut self.turn(shared, now, &mut actions));
        self.perform(shared, now, &mut actions);
        shared.scratch.actions.replace(actions);
        result
    }

    fn turn<'t>(&self, shared: &'t Shared, now: Instant, actions: &'t mut Vec<Action>) -> Turn<'t> {
        let speaks_from = shared.timeline.speaks_from(&shared.plan, self.id, now);
        let online_since = self.online_since.get();
        Turn { manners: self.manners(shared), now, online_since, speaks_from, actions }
    }

    fn manners<'a>(&self, shared: &'a Shared) -> &'a Manners {
        &shared.plan.scenario().groups[usize::from(self.id.group)].behavior.manners
    }

    /// Breaks the connection off: what is not written yet never leaves, and nobody is told.
    fn drop_connection(&self, shared: &Shared) {
        let mut state = self.state.borrow_mut();
        if state.ending.is_some() {
            return;
        }
        shared.ledger.borrow_mut().statistics.note("connections dropped by plan");
        state.ending = Some(Ending::Dropped);
        state.wake();
    }

    /// The timeline breaks the connection, if there is one.
    pub fn send_away(&self, shared: &Shared) {
        let mut state = self.state.borrow_mut();
        if self.online_since.get().is_none() || state.ending.is_some() {
            return;
        }
        shared.ledger.borrow_mut().statistics.note("connections broken by the timeline");
        state.ending = Some(Ending::SentAway);
        state.wake();
    }

    fn is_kept_away(&self, shared: &Shared) -> bool {
        let now = shared.clock.now();
        shared.timeline.connects_from(&shared.plan, self.id, now) > now
    }

    /// Waits until the timeline lets the device back, and then as long as before any reconnect.
    async fn stay_away(&self, shared: &Shared) {
        while self.is_kept_away(shared) {
            let from = shared.timeline.connects_from(&shared.plan, self.id, shared.clock.now());
            let number = self.state.borrow().connection;
            shared.clock.sleep_until(from.plus_micros(shared.plan.backoff_us(self.id, number, 0))).await;
        }
    }

    /// Whether the timeline silences the device; then `timer` comes again when that is over.
    fn is_silenced_until(&self, shared: &Shared, now: Instant, timer: Timer) -> bool {
        let speaks_from = shared.timeline.speaks_from(&shared.plan, self.id, now);
        if speaks_from > now {
            shared.arm(self.slot, speaks_from, timer);
        }
        speaks_from > now
    }

    /// The task waits for bytes on the link.
    pub fn wait_for_link(&self, cx: &Context<'_>) {
        self.link_waker.replace(Some(cx.waker().clone()));
    }

    /// Has the waiting task woken at that instant.
    pub fn wake_for_link(&self, shared: &Shared, at: Instant) {
        shared.arm(self.slot, at, Timer::Link);
    }

    fn keep_alive(&self, shared: &Shared, connection: u32, now: Instant) {
        let Some(interval_us) = self.ping_after_us(shared) else { return };
        let mut state = self.state.borrow_mut();
        let mut next = state.last_sent.plus_micros(interval_us);
        if next <= now {
            if state.ping_unanswered {
                // A whole interval without the answer: the broker is gone though TCP does not know.
                state.ending.get_or_insert(Ending::Dead);
            } else {
                mqtt::encode::pingreq(state.outbound.buffer());
                state.ping_unanswered = true;
                state.last_sent = now;
            }
            state.wake();
            next = now.plus_micros(interval_us);
        }
        shared.arm(self.slot, next, Timer::KeepAlive { connection });
    }

    /// Three quarters of the keep-alive: a ping is never late by a busy tick. `None` = the broker
    /// wants none.
    fn ping_after_us(&self, shared: &Shared) -> Option<u64> {
        let keep_alive_us = match self.state.borrow().server_keep_alive_s {
            Some(0) => return None,
            Some(seconds) => u64::from(seconds) * MICROS_PER_SECOND,
            None => micros(self.connect_settings(shared).keep_alive),
        };
        Some(keep_alive_us / 4 * 3)
    }

    fn connect_settings<'a>(&self, shared: &'a Shared) -> &'a Connect {
        &shared.plan.scenario().groups[usize::from(self.id.group)].connect
    }
}

impl Ending {
    /// What a device that breaks off does not read any more.
    fn broken(self) -> Option<ConnectionError> {
        match self {
            Ending::Dropped => Some(ConnectionError::Dropped),
            Ending::SentAway => Some(ConnectionError::SentAway),
            Ending::Dead | Ending::Leaving => None,
        }
    }
}

fn version(connect: &Connect) -> Version {
    match connect.mqtt {
        MqttVersion::V311 => Version::V311,
        MqttVersion::V5 => Version::V5,
    }
}

impl State {
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
