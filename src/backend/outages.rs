//! Planned outages of the backend: instants between which it does nothing, or is not there.
//!
//! They follow from the clock alone, so every part sees the same instant: the streams of connections, which
//! hold their bytes back while it stalls, the acceptors, which refuse while it is restarted, and the time-outs
//! and direct calls, which wait for the end of either. A plan can be replaced by one in which outages that
//! have not begun are at other instants; one that has begun stays as it is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, RwLock};
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
    /// Whether any are planned: most runs have none, and ask at every read and write.
    any: AtomicBool,
    planned: RwLock<Planned>,
    /// Connections that want to read or write, in the order in which they wanted it. At most two for each
    /// connection.
    waiting: Mutex<Vec<Waker>>,
}

#[derive(Debug, Default)]
struct Planned {
    /// One after the other, without overlap.
    outages: Vec<Outage>,
    /// Cancelled when another plan takes its place.
    replaced: CancellationToken,
}

impl Outages {
    pub fn new(clock: Clock) -> Self {
        Self { clock, any: AtomicBool::new(false), planned: RwLock::default(), waiting: Mutex::default() }
    }

    /// Plans them all, in place of what was planned. Those that have begun have to be the same.
    pub fn plan(&self, mut outages: Vec<Outage>) {
        outages.sort_by_key(|outage| outage.from);
        self.any.store(!outages.is_empty(), Ordering::Release);
        let planned = Planned { outages, replaced: CancellationToken::new() };
        let before = std::mem::replace(&mut *self.planned.write(), planned);
        before.replaced.cancel();
    }

    /// Looks at all that are planned, in their order.
    fn look<T>(&self, look: impl FnOnce(&[Outage]) -> T) -> T {
        if self.any.load(Ordering::Acquire) { look(&self.planned.read().outages) } else { look(&[]) }
    }

    /// The outage of an instant.
    pub fn at(&self, instant: Instant) -> Option<Outage> {
        let is_on = |outage: &Outage| outage.from <= instant && instant < outage.until;
        self.look(|all| all.iter().copied().find(is_on))
    }

    /// The first instant from `instant` on at which the backend works.
    pub fn works_from(&self, instant: Instant) -> Instant {
        self.look(|all| {
            all.iter().fold(instant, |instant, outage| {
                if outage.from <= instant && instant < outage.until { outage.until } else { instant }
            })
        })
    }

    /// The outages that have begun and were not over at `since`, in their order.
    pub fn since(&self, since: Instant) -> Vec<Outage> {
        self.look(|all| {
            // Nothing that has begun reaches beyond the last one.
            if all.last().is_none_or(|last| since >= last.until) {
                return Vec::new();
            }
            let now = self.clock.now();
            let is_meant = |outage: &&Outage| outage.from <= now && since < outage.until;
            all.iter().filter(is_meant).copied().collect()
        })
    }

    /// The restart that is on, or the next one.
    pub fn next_restart(&self) -> Option<Outage> {
        self.look(|all| {
            let now = all.first().map(|_| self.clock.now())?;
            let is_meant = |outage: &Outage| outage.kind == OutageKind::Restart && now < outage.until;
            all.iter().copied().find(is_meant)
        })
    }

    /// Completes when the next restart begins.
    pub async fn restart_begun(&self) -> Outage {
        loop {
            // The plan may be replaced as soon as it was looked at; then its end is heard at once.
            let replaced = self.planned.read().replaced.clone();
            let next = self.next_restart();
            if self.begun(next, &replaced).await
                && let Some(restart) = next
            {
                return restart;
            }
        }
    }

    /// Completes when the outage begins whose number this is in their order.
    pub async fn number_begun(&self, number: usize) -> Outage {
        loop {
            let replaced = self.planned.read().replaced.clone();
            let next = self.look(|all| all.get(number).copied());
            if self.begun(next, &replaced).await
                && let Some(outage) = next
            {
                return outage;
            }
        }
    }

    /// Waits until it begins; `false` if there is another plan before.
    async fn begun(&self, outage: Option<Outage>, replaced: &CancellationToken) -> bool {
        let begins = async {
            match outage {
                Some(outage) => self.clock.sleep_until(outage.from).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased; // An instant of a plan that is none any more is no instant.
            () = replaced.cancelled() => false,
            () = begins => true,
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
        if !self.outages.any.load(Ordering::Acquire) {
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
        for (ms, works_from) in [(9, 9), (10, 30), (19, 30), (20, 30), (29, 30), (30, 30)] {
            assert_eq!(outages.works_from(at(ms)), at(works_from), "at {ms} ms");
        }
        clock.sleep_until(at(15)).await;
        outages.end().await;
        assert_eq!(clock.now(), at(30));
        let since = |ms| outages.since(at(ms)).iter().map(|outage| outage.until).collect::<Vec<_>>();
        assert_eq!(
            (since(0), since(19), since(20), since(30)),
            (vec![at(20), at(30)], vec![at(20), at(30)], vec![at(30)], vec![])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_plan_moves_what_has_not_begun_for_those_who_wait_for_it() {
        let clock = Clock::start_virtual();
        let outages = Outages::new(clock);
        let conduct = async {
            clock.sleep_until(at(5)).await;
            outages.plan(vec![outage(20, 30, OutageKind::Restart)]);
            clock.sleep_until(at(15)).await;
            // Paused: there is no saying when. Then it is to come sooner than it was.
            outages.plan(Vec::new());
            clock.sleep_until(at(40)).await;
            outages.plan(vec![outage(90, 100, OutageKind::Restart)]);
            clock.sleep_until(at(50)).await;
            outages.plan(vec![outage(60, 70, OutageKind::Restart)]);
        };
        let waits = async {
            let restart = outages.restart_begun().await;
            (restart.until, clock.now())
        };
        let ((), by_kind, by_number) = tokio::join!(conduct, waits, outages.number_begun(0));
        assert_eq!((by_kind, by_number.until), ((at(70), at(60)), at(70)));
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
