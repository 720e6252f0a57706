//! Planned outages of the backend: instants between which it does nothing, or is not there.
//!
//! They are planned once and then follow from the clock alone, so every part sees the same instant: the
//! streams of connections, which hold their bytes back while it stalls, the acceptors, which refuse while it
//! is restarted, and the time-outs and direct calls, which wait for the end of either.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Instant};

/// A stretch of time without a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Its first instant.
    pub from: Instant,
    /// The first instant after it.
    pub until: Instant,
    /// What it is like.
    pub kind: OutageKind,
}

/// What an outage is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageKind {
    /// Nothing is read, sent or timed out; connections stay.
    Stall,
    /// Every connection ends, and new ones are refused. What is kept is kept: executions, commands and the
    /// sessions of clients that asked for it.
    Restart,
}

/// The outages of a backend, and whoever waits for the end of one.
#[derive(Debug)]
pub(super) struct Outages {
    clock: Clock,
    /// One after the other, without overlap.
    planned: OnceLock<Vec<Outage>>,
    /// Cancelled when they are planned.
    are_planned: CancellationToken,
    /// Connections that want to read or write, in the order in which they wanted it. At most two for each
    /// connection.
    waiting: Mutex<Vec<Waker>>,
}

impl Outages {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            planned: OnceLock::new(),
            are_planned: CancellationToken::new(),
            waiting: Mutex::default(),
        }
    }

    /// Plans them all; only the first plan counts.
    pub fn plan(&self, mut outages: Vec<Outage>) {
        outages.sort_by_key(|outage| outage.from);
        if self.planned.set(outages).is_ok() {
            self.are_planned.cancel();
        }
    }

    /// Completes when outages are planned.
    pub async fn are_planned(&self) {
        self.are_planned.cancelled().await;
    }

    /// All that are planned, in their order.
    pub fn all(&self) -> &[Outage] {
        self.planned.get().map_or(&[], Vec::as_slice)
    }

    /// The outage of an instant.
    pub fn at(&self, instant: Instant) -> Option<Outage> {
        self.all().iter().copied().find(|outage| outage.from <= instant && instant < outage.until)
    }

    /// The first instant from `instant` on at which the backend works.
    pub fn works_from(&self, instant: Instant) -> Instant {
        self.all().iter().fold(instant, |instant, outage| {
            if outage.from <= instant && instant < outage.until { outage.until } else { instant }
        })
    }

    /// The last outage that has begun and was not over at `since`.
    pub fn last_since(&self, since: Instant) -> Option<Outage> {
        if self.all().is_empty() {
            return None;
        }
        let now = self.clock.now();
        self.all().iter().rev().copied().find(|outage| outage.from <= now && since < outage.until)
    }

    /// The restart that is on, or the next one.
    pub fn next_restart(&self) -> Option<Outage> {
        if self.all().is_empty() {
            return None;
        }
        let now = self.clock.now();
        let is_meant = |outage: &Outage| outage.kind == OutageKind::Restart && now < outage.until;
        self.all().iter().copied().find(is_meant)
    }

    /// Completes when the next restart begins.
    pub async fn restart_begun(&self) -> Outage {
        self.are_planned().await;
        match self.next_restart() {
            Some(restart) => {
                self.clock.sleep_until(restart.from).await;
                restart
            }
            None => std::future::pending().await,
        }
    }

    /// Completes at the first instant at which the backend works.
    pub async fn end(&self) {
        while let Some(outage) = self.at(self.clock.now()) {
            self.clock.sleep_until(outage.until).await;
        }
    }

    /// Wakes whoever waited for the end of a stall, in the order in which they came.
    pub fn wake_all(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for waker in waiting {
            waker.wake();
        }
    }
}

/// A stream that neither reads nor writes while the backend stalls.
#[derive(Debug)]
pub(super) struct Stallable<S> {
    stream: S,
    outages: Arc<Outages>,
    /// The ends of the stalls that its reader and its writer wait for: each waits once.
    awaited: [Instant; 2],
}

impl<S> Stallable<S> {
    pub fn new(stream: S, outages: Arc<Outages>) -> Self {
        Self { stream, outages, awaited: [Instant::START; 2] }
    }

    /// Whether the backend stalls now; then the task is woken at the end.
    fn stalls(&mut self, side: usize, cx: &Context<'_>) -> bool {
        if self.outages.all().is_empty() {
            return false;
        }
        let outage = self.outages.at(self.outages.clock.now());
        let Some(outage) = outage.filter(|outage| outage.kind == OutageKind::Stall) else { return false };
        if self.awaited[side] != outage.until {
            self.awaited[side] = outage.until;
            self.outages.waiting.lock().push(cx.waker().clone());
        }
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stallable<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.stalls(0, cx) { Poll::Pending } else { Pin::new(&mut this.stream).poll_read(cx, buffer) }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stallable<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.stalls(1, cx) { Poll::Pending } else { Pin::new(&mut this.stream).poll_write(cx, bytes) }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.stalls(1, cx) {
            Poll::Pending
        } else {
            Pin::new(&mut this.stream).poll_write_vectored(cx, slices)
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::{LocalSet, spawn_local};

    use super::*;
    use crate::transport::Listener;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn outage(from: u64, until: u64, kind: OutageKind) -> Outage {
        Outage { from: at(from), until: at(until), kind }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_holds_from_its_first_instant_to_its_last() {
        let clock = Clock::start_virtual();
        let outages = Outages::new(clock);
        assert_eq!((outages.at(at(10)), outages.works_from(at(10))), (None, at(10)));
        // Planned in any order; one follows the other at once.
        outages.plan(vec![outage(20, 30, OutageKind::Restart), outage(10, 20, OutageKind::Stall)]);
        outages.plan(Vec::new());
        for (ms, works_from) in [(9, 9), (10, 30), (19, 30), (20, 30), (29, 30), (30, 30)] {
            assert_eq!(outages.works_from(at(ms)), at(works_from), "at {ms} ms");
        }
        clock.sleep_until(at(15)).await;
        outages.end().await;
        assert_eq!(clock.now(), at(30));
        let since = |ms| outages.last_since(at(ms)).map(|outage| outage.until);
        assert_eq!(
            (since(0), since(19), since(20), since(30)),
            (Some(at(30)), Some(at(30)), Some(at(30)), None)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_stream_gives_and_takes_nothing_until_it_is_over_and_loses_nothing() {
        let clock = Clock::start_virtual();
        let run = async {
            let outages = Arc::new(Outages::new(clock));
            outages.plan(vec![outage(100, 300, OutageKind::Stall)]);
            let listener = Listener::memory();
            let address = listener.address().unwrap();
            let mut acceptor = listener.listen().unwrap();
            let mut client = address.connect().await.unwrap();
            let mut server = Stallable::new(acceptor.accept().await.unwrap(), Arc::clone(&outages));
            let wakes = Arc::clone(&outages);
            spawn_local(async move {
                clock.sleep_until(at(300)).await;
                wakes.wake_all();
            });
            let echo = spawn_local(async move {
                let mut heard = Vec::new();
                for _ in 0..2 {
                    let mut byte = [0];
                    server.read_exact(&mut byte).await.unwrap();
                    heard.push(clock.now());
                    server.write_all(&byte).await.unwrap();
                }
                heard
            });
            let mut answer = [0];
            clock.sleep_until(at(50)).await;
            client.write_all(b"a").await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(clock.now(), at(50));
            clock.sleep_until(at(150)).await;
            client.write_all(b"b").await.unwrap();
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!((clock.now(), answer), (at(300), *b"b"));
            assert_eq!(echo.await.unwrap(), [at(50), at(300)]);
        };
        LocalSet::new().run_until(run).await;
    }
}
