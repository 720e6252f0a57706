//! A connection that takes no more bytes than so many a second: what is over waits, and none is lost.
//!
//! Reads and writes count together. A second's worth passes at once; what goes beyond it is owed, and until
//! it is paid nothing moves. Without a limit it is the stream itself and a word of memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::bucket::Bucket;
use crate::clock::Clock;

/// A stream with or without a limit.
pub(in crate::backend::broker) struct Throttled<S> {
    stream: S,
    throttle: Option<Box<Throttle>>,
}

struct Throttle {
    clock: Clock,
    bytes: Bucket,
    /// Until what is owed is paid.
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> Throttled<S> {
    /// `stream` with at most `bytes_per_s` in both directions together, or with no limit.
    pub(in crate::backend::broker) fn new(stream: S, bytes_per_s: Option<u32>, clock: Clock) -> Self {
        let throttle =
            |per_s| Box::new(Throttle { clock, bytes: Bucket::new(per_s, clock.now()), wait: None });
        Self { stream, throttle: bytes_per_s.map(throttle) }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.throttle {
            Some(throttle) => throttle.poll_turn(cx),
            None => Poll::Ready(()),
        }
    }

    fn count(&mut self, bytes: usize) {
        if let Some(throttle) = &mut self.throttle {
            throttle.count(bytes);
        }
    }
}

impl Throttle {
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }

    fn count(&mut self, bytes: usize) {
        let clock = self.clock;
        if let Some(until) = self.bytes.take_on_credit(bytes, clock.now()) {
            self.wait = Some(Box::pin(async move { clock.sleep_until(until).await }));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(cx));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.count(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.count(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_over_the_limit_are_late_and_none_is_lost() {
        // per second, written in pieces of 1000, milliseconds that it takes at least and at most
        let rows = [
            (None, 10, 0, 0),
            (Some(10_000), 10, 0, 0),
            (Some(10_000), 15, 400, 401),
            (Some(1000), 4, 2000, 2002),
        ];
        for (bytes_per_s, pieces, least_ms, most_ms) in rows {
            let clock = Clock::start();
            let (ours, mut theirs) = tokio::io::duplex(1 << 20);
            let mut throttled = Throttled::new(ours, bytes_per_s, clock);
            for piece in 0..pieces {
                if piece % 2 == 0 {
                    throttled.write_all(&[piece; 1000]).await.unwrap();
                } else {
                    theirs.write_all(&[piece; 1000]).await.unwrap();
                    let mut read = [0; 1000];
                    throttled.read_exact(&mut read).await.unwrap();
                    assert_eq!(read, [piece; 1000]);
                }
            }
            // What the last piece owes would keep the next one.
            let took_ms = clock.now().micros() / 1000;
            assert!((least_ms..=most_ms).contains(&took_ms), "{bytes_per_s:?}, {pieces}: {took_ms} ms");
            drop(throttled);
            let mut written = Vec::new();
            theirs.read_to_end(&mut written).await.unwrap();
            assert_eq!(written.len(), usize::from(pieces).div_ceil(2) * 1000);
        }
    }
}
