//! Writing: one buffer for all that waits, borrowed from the thread and given back when it is empty.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Spare buffers kept per thread: enough for the connections between two of whose polls no other runs,
/// at most 128 KiB in all.
const SPARE_BUFFERS: usize = 8;

/// A buffer that has grown beyond this is not kept: one burst must not stay in memory.
const SPARE_CAPACITY: usize = 16 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The writing side of one connection. Owns no memory while nothing is pending.
#[derive(Debug, Default)]
pub struct Outbound {
    buffer: Vec<u8>,
    /// So much of `buffer` is written already.
    written: usize,
    /// Whether the stream may still hold bytes back (TLS does) and has to be flushed.
    unflushed: bool,
}

impl Outbound {
    /// Where to append packets. They go out with the next [`Outbound::poll_flush`].
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = spare_buffer();
        }
        &mut self.buffer
    }

    /// Bytes that wait to be written.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Moves everything that waits in `other` behind what waits here.
    pub fn append(&mut self, other: &mut Outbound) {
        if self.pending() == 0 {
            std::mem::swap(&mut self.buffer, &mut other.buffer);
            std::mem::swap(&mut self.written, &mut other.written);
        } else {
            let waiting = other.buffer.get(other.written..).unwrap_or_default();
            self.buffer().extend_from_slice(waiting);
        }
        other.release();
    }

    /// Writes all that is pending, in one write if the stream takes it. Ready when nothing is left;
    /// then the buffer is given back.
    pub fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        loop {
            let waiting = self.buffer.get(self.written..).unwrap_or_default();
            if waiting.is_empty() {
                break;
            }
            match Pin::new(&mut *stream).poll_write(cx, waiting) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.written = (self.written + count).min(self.buffer.len()),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.compact();
                    return Poll::Pending;
                }
            }
            self.unflushed = true;
        }
        self.release();
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Drops the written front once it is the larger part: a reader that is slow for ever must not make
    /// the buffer longer than about twice what waits.
    fn compact(&mut self) {
        if self.written > self.buffer.len() / 2 {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
    }

    fn release(&mut self) {
        self.written = 0;
        if self.buffer.capacity() > 0 {
            give_back(std::mem::take(&mut self.buffer));
        }
    }
}

fn spare_buffer() -> Vec<u8> {
    SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default()
}

fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() > SPARE_CAPACITY {
        return;
    }
    buffer.clear();
    // A thread that is ending has no pool any more; the buffer ends with it.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < SPARE_BUFFERS {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests;
