//! The task of one connection: reads packets, answers them, and writes what waits in its session.
//!
//! It is polled by hand, holds no buffer while idle, and has one timer that is set again only when it
//! fires. Not here: who receives what (`Broker`), and what a message means (`Host`).

mod peer;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::Host;
use super::limits::throttled::Throttled;
use super::session::Waiting;
use crate::clock::{Clock, Instant};
use crate::mqtt::{Inbound, InboundEnd, Sender};
use peer::Peer;

/// The largest packet a client may send: AWS IoT Core's 128 KiB of payload and 1 KiB for the topic and
/// headers.
pub const MAX_PACKET_BYTES: usize = 129 * 1024;

/// The time from the first byte of TCP to the CONNECT. [MQTT-3.1.4] asks for "a reasonable amount"; this
/// lets a slow radio through and a forgotten port scan not stay.
const CONNECT_WITHIN_US: u64 = 10_000_000;

/// The time a last word (a refusal) has to be written, and the stream to be closed.
const FAREWELL_US: u64 = 1_000_000;

/// While this much waits for a client that does not read, nothing more is read from it: its own
/// acknowledgements must not be a way to fill memory.
const PAUSE_READING_BYTES: usize = 64 * 1024;

/// Serves one client on `stream` until either side ends it or `stop` is cancelled.
pub async fn serve<S, H>(stream: S, host: Arc<H>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Host,
{
    let clock = host.clock();
    let limits = host.with_broker(|broker| broker.limits());
    let mut stream = Throttled::new(stream, limits.bytes_per_s, clock);
    drop(limits);
    let mut connection =
        Connection { inbound: Inbound::default(), heard_at: clock.now(), peer: Peer::new(host) };
    let end = loop {
        let deadline = connection.deadline();
        let next = tokio::select! {
            // The stop first: a busy client must not outlast it. The client before its timer: what it has
            // sent counts as heard.
            biased;
            () = stop.cancelled() => Step::End(End::Stopped),
            polled = poll_fn(|cx| connection.poll(cx, &mut stream, clock)) => polled,
            () = wait_until(clock, deadline) => Step::Timer,
        };
        match next {
            Step::End(end) => break end,
            Step::Timer if connection.deadline().is_some_and(|deadline| deadline <= clock.now()) => {
                break End::Silent;
            }
            Step::Timer | Step::NewDeadline => {}
        }
    };
    connection.peer.leave(&end);
    let farewell = async {
        if end.has_last_word() {
            poll_fn(|cx| connection.peer.out.poll_flush(cx, &mut stream)).await?;
        }
        stream.shutdown().await
    };
    // Whatever comes of it, the connection is over.
    let _: Option<io::Result<()>> = clock.timeout_at(clock.now().plus_micros(FAREWELL_US), farewell).await;
}

/// Why a connection is over.
#[derive(Debug)]
enum End {
    /// The client said goodbye.
    Disconnected,
    /// The client said goodbye and left its will in force.
    DisconnectedWithWill,
    /// The client is gone without a word.
    Gone,
    /// The client sent what it must not.
    Violation,
    /// The CONNECT was answered with a refusal, which waits to be written.
    Refused,
    /// The client has connected again, or its session was ended.
    TakenOver,
    /// Nothing came in time.
    Silent,
    /// The backend stops.
    Stopped,
}

impl End {
    /// Whether something may wait to be written that the client should read: in MQTT 5 the reason.
    fn has_last_word(&self) -> bool {
        match self {
            Self::Disconnected | Self::DisconnectedWithWill | Self::Gone => false,
            Self::Violation | Self::Refused | Self::TakenOver | Self::Silent | Self::Stopped => true,
        }
    }
}

/// What a poll of the connection comes to.
enum Step {
    End(End),
    /// The client has connected: another time-out holds.
    NewDeadline,
    Timer,
}

struct Connection<H: Host> {
    inbound: Inbound,
    /// When the last packet came; at first, when the connection did.
    heard_at: Instant,
    peer: Peer<H>,
}

impl<H: Host> Connection<H> {
    /// When the client has been silent for too long, if nothing comes until then.
    fn deadline(&self) -> Option<Instant> {
        let silence_us = match self.peer.keep_alive_s() {
            None => CONNECT_WITHIN_US,
            Some(0) => return None,
            // One and a half times the keep-alive ([MQTT-3.1.2-24]).
            Some(seconds) => u64::from(seconds) * 1_500_000,
        };
        Some(self.peer.works_from(self.heard_at.plus_micros(silence_us)))
    }

    fn poll<S>(&mut self, cx: &mut Context<'_>, stream: &mut S, clock: Clock) -> Poll<Step>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.peer.runs();
        let was_connected = self.peer.is_connected();
        let reads = self.peer.out.pending() < PAUSE_READING_BYTES;
        if reads && let Poll::Ready(end) = self.read(cx, stream, clock) {
            return Poll::Ready(Step::End(end));
        }
        match self.write(cx, stream) {
            Poll::Ready(Err(end)) => return Poll::Ready(Step::End(end)),
            // The client reads again, so it may be read from again.
            Poll::Ready(Ok(())) if !reads => cx.waker().wake_by_ref(),
            _ => {}
        }
        if self.peer.is_connected() == was_connected { Poll::Pending } else { Poll::Ready(Step::NewDeadline) }
    }

    fn read<S>(&mut self, cx: &mut Context<'_>, stream: &mut S, clock: Clock) -> Poll<End>
    where
        S: AsyncRead + Unpin,
    {
        let mut heard = false;
        let polled = self.inbound.poll(cx, stream, Sender::Client, MAX_PACKET_BYTES, &mut |packet| {
            heard = true;
            self.peer.take(packet)
        });
        if heard {
            self.heard_at = clock.now();
        }
        polled.map(|end| match end {
            InboundEnd::Closed | InboundEnd::Io(_) => End::Gone,
            InboundEnd::Refused(end) => end,
            InboundEnd::Violation(violation) => self.peer.answer_violation(violation, self.inbound.version()),
        })
    }

    /// Writes all that waits. Ready when nothing does any more; pending when the stream takes no more.
    fn write<S>(&mut self, cx: &mut Context<'_>, stream: &mut S) -> Poll<Result<(), End>>
    where
        S: AsyncWrite + Unpin,
    {
        loop {
            let waiting = self.peer.take_waiting(cx, PAUSE_READING_BYTES);
            if waiting == Waiting::Closing {
                return Poll::Ready(Err(End::TakenOver));
            }
            match self.peer.out.poll_flush(cx, stream) {
                Poll::Ready(Ok(())) if waiting == Waiting::Nothing => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(End::Gone)),
                Poll::Pending => {
                    return if self.peer.sleeps(cx) {
                        Poll::Pending
                    } else {
                        Poll::Ready(Err(End::TakenOver))
                    };
                }
            }
        }
    }
}

async fn wait_until(clock: Clock, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => clock.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
