//! A bounded byte pipe in memory with the manners of a socket: what devices and backend speak MQTT over
//! when no kernel is to be in the way, and what a paused runtime has instead of sockets.
//!
//! [`pair`] makes the two ends of one connection, [`listener`] the place where they are handed over. A
//! pipe is one allocation for both directions and holds no buffer while nothing waits in it. Not here:
//! what the bytes mean, and any delay, loss or fault: a pipe is as fast and as true as memory.

mod direction;
mod listener;
mod spare;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

use direction::Direction;
pub use listener::{Connector, Listener, listener};

/// The two ends of a new connection. In each direction at most `capacity` bytes (at least one) wait to be
/// read; who writes more waits for the reader.
pub fn pair(capacity: usize) -> (End, End) {
    let shared = Arc::new(Shared { capacity: capacity.max(1), directions: Mutex::default() });
    (End { shared: Arc::clone(&shared), side: Side::First }, End { shared, side: Side::Second })
}

/// One end of a connection, on whatever thread. Dropping it is closing a socket: the peer reads what was
/// written before, then the end of the stream, and its writes fail with [`io::ErrorKind::BrokenPipe`].
#[derive(Debug)]
pub struct End {
    shared: Arc<Shared>,
    side: Side,
}

/// What both ends hold: one allocation for a connection.
#[derive(Debug)]
struct Shared {
    capacity: usize,
    directions: Mutex<Directions>,
}

/// One lock for both: ends of one connection hardly ever meet in it, and it is one byte.
#[derive(Debug, Default)]
struct Directions {
    from_first: Direction,
    from_second: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

impl Directions {
    /// What `side` writes to.
    fn outgoing(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::First => &mut self.from_first,
            Side::Second => &mut self.from_second,
        }
    }

    /// What `side` reads from.
    fn incoming(&mut self, side: Side) -> &mut Direction {
        match side {
            Side::First => &mut self.from_second,
            Side::Second => &mut self.from_first,
        }
    }
}

impl End {
    /// Bytes of memory that the whole connection holds now, both ends and directions. With nothing on the
    /// way that is the shared allocation and the two handles.
    pub fn memory_bytes(&self) -> usize {
        // An `Arc`'s allocation begins with its two counters.
        let shared = size_of::<Shared>() + 2 * size_of::<usize>();
        let directions = self.shared.directions.lock();
        let buffers = directions.from_first.buffer_bytes() + directions.from_second.buffer_bytes();
        shared + 2 * size_of::<End>() + buffers
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Like a socket of tokio's: two ends that always have something for each other must not keep
        // their thread from everybody else.
        let budget = ready!(coop::poll_proceed(cx));
        let (polled, waiting) = self.shared.directions.lock().incoming(self.side).poll_read(cx, buffer);
        // Woken without the lock, because whoever it is comes for the lock.
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        if polled.is_ready() {
            budget.made_progress();
        }
        polled.map(Ok)
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let budget = ready!(coop::poll_proceed(cx));
        let Shared { capacity, directions } = &*self.shared;
        let (polled, waiting) = directions.lock().outgoing(self.side).poll_write(cx, slices, *capacity);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        if polled.is_ready() {
            budget.made_progress();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = self.shared.directions.lock().outgoing(self.side).end();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let waiting = {
            let mut directions = self.shared.directions.lock();
            [directions.outgoing(self.side).end(), directions.incoming(self.side).abandon()]
        };
        for waiting in waiting.into_iter().flatten() {
            waiting.wake();
        }
    }
}

#[cfg(test)]
mod tests;
