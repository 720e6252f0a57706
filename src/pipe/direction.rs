//! One direction of a pipe: the bytes on their way and whoever waits for them or for room.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use super::spare;

/// From one end's writes to the other's reads.
///
/// Reader and writer share the one slot for a waker: a reader waits only while nothing is here, a writer
/// only while there is no room, and between the two lies a write or a read, which empties the slot.
#[derive(Debug, Default)]
pub(super) struct Direction {
    /// Without memory while it is empty.
    buffer: VecDeque<u8>,
    waiting: Option<Waker>,
    /// The writer has shut down or is gone: after what is here comes the end of the stream.
    ended: bool,
    /// The reader is gone: nobody will ever want what is written.
    abandoned: bool,
}

impl Direction {
    /// Hands out what is here, as far as `into` goes; nothing at the end of the stream. The second value
    /// is a writer to wake.
    pub fn poll_read(&mut self, cx: &Context<'_>, into: &mut ReadBuf<'_>) -> (Poll<()>, Option<Waker>) {
        if into.remaining() == 0 {
            return (Poll::Ready(()), None);
        }
        if self.buffer.is_empty() {
            if !self.ended {
                self.wait(cx);
                return (Poll::Pending, None);
            }
            return (Poll::Ready(()), None);
        }
        let (front, back) = self.buffer.as_slices();
        let from_front = front.len().min(into.remaining());
        into.put_slice(front.get(..from_front).unwrap_or_default());
        let from_back = back.len().min(into.remaining());
        into.put_slice(back.get(..from_back).unwrap_or_default());
        if from_front + from_back == self.buffer.len() {
            self.release();
        } else {
            self.buffer.drain(..from_front + from_back);
        }
        (Poll::Ready(()), self.waiting.take())
    }

    /// Takes what of `slices` has room below `capacity` and says how much that was. The second value is a
    /// reader to wake.
    pub fn poll_write(
        &mut self,
        cx: &Context<'_>,
        slices: &[IoSlice<'_>],
        capacity: usize,
    ) -> (Poll<io::Result<usize>>, Option<Waker>) {
        if self.ended || self.abandoned {
            return (Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())), None);
        }
        if slices.iter().all(|slice| slice.is_empty()) {
            return (Poll::Ready(Ok(0)), None);
        }
        let before = self.buffer.len();
        if before >= capacity {
            self.wait(cx);
            return (Poll::Pending, None);
        }
        if self.buffer.capacity() == 0 {
            self.buffer = spare::take();
        }
        for slice in slices {
            let room = capacity - self.buffer.len();
            self.buffer.extend(slice.get(..room).unwrap_or(slice));
        }
        (Poll::Ready(Ok(self.buffer.len() - before)), self.waiting.take())
    }

    /// Nothing more will be written. Returns whoever waits here.
    pub fn end(&mut self) -> Option<Waker> {
        self.ended = true;
        self.waiting.take()
    }

    /// Nothing more will be read; what is here is lost, as in the buffer of a closed socket. Returns
    /// whoever waits here.
    pub fn abandon(&mut self) -> Option<Waker> {
        self.abandoned = true;
        self.release();
        self.waiting.take()
    }

    /// Memory of the buffer, in bytes.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waiting {
            Some(waiting) => waiting.clone_from(cx.waker()),
            waiting => *waiting = Some(cx.waker().clone()),
        }
    }

    fn release(&mut self) {
        if self.buffer.capacity() > 0 {
            spare::give_back(std::mem::take(&mut self.buffer));
        }
    }
}
