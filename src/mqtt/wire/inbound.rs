//! Reading: everything the stream has, packet by packet, without a buffer of the connection's own.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::mqtt::decode::{Sender, decode, missing};
use crate::mqtt::packet::{Packet, Version};
use crate::mqtt::violation::Violation;

/// One read takes at most this much: it holds a few hundred commands or half a packet of the largest
/// size that AWS IoT Core takes, and only one exists per thread.
const SCRATCH_BYTES: usize = 64 * 1024;

/// After this much one poll yields, so that a peer that never stops sending cannot hold the thread.
const BYTES_PER_POLL: usize = 64 * 1024;

thread_local! {
    /// Taken while in use, so that a poll inside a poll gets another one instead of a panic.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// The reading side of one connection. It holds no buffer (32 bytes in all) unless a packet has come in part.
///
/// A server's side starts as the default and reads by the version of the CONNECT once that has passed through.
#[derive(Debug, Default)]
pub struct Inbound {
    version: Version,
    /// The front of one packet that is not complete; bounded by `max_packet`.
    partial: Vec<u8>,
}

/// Why reading is over.
#[derive(Debug)]
pub enum InboundEnd<E> {
    /// The peer closed its side; a packet it had begun is lost.
    Closed,
    /// The stream failed.
    Io(io::Error),
    /// The peer sent what it must not.
    Violation(Violation),
    /// The callback refused a packet.
    Refused(E),
}

impl Inbound {
    /// A client's side, which knows what it asked for.
    pub const fn new(version: Version) -> Self {
        Self { version, partial: Vec::new() }
    }

    /// What the peer speaks: as it was given, or as the last CONNECT said, even one that broke a rule.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Reads all that `stream` has and calls `on_packet` with every complete packet. Pending when the
    /// stream has no more, or (woken again at once) after 64 KiB; ready only when reading is over.
    pub fn poll<S: AsyncRead + Unpin, E>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        sender: Sender,
        max_packet: usize,
        on_packet: &mut dyn FnMut(Packet<'_>) -> Result<(), E>,
    ) -> Poll<InboundEnd<E>> {
        let mut scratch = Scratch::take();
        let mut read = 0;
        while read < BYTES_PER_POLL {
            let mut buffer = ReadBuf::new(&mut scratch.bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(InboundEnd::Io(error)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    return Poll::Ready(InboundEnd::Closed);
                }
                Poll::Ready(Ok(())) => {}
            }
            read += buffer.filled().len();
            if let Err(end) = self.take_in(buffer.filled(), sender, max_packet, on_packet) {
                return Poll::Ready(end);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands out the packets that `fresh` completes or contains and keeps what is left over.
    fn take_in<E>(
        &mut self,
        mut fresh: &[u8],
        sender: Sender,
        max_packet: usize,
        on_packet: &mut dyn FnMut(Packet<'_>) -> Result<(), E>,
    ) -> Result<(), InboundEnd<E>> {
        while !self.partial.is_empty() && !fresh.is_empty() {
            // Only what belongs to the begun packet is copied, so a packet in many pieces costs one copy.
            let (piece, rest) = fresh.split_at(missing(&self.partial).clamp(1, fresh.len()));
            self.partial.extend_from_slice(piece);
            fresh = rest;
            let decoded = decode(&self.partial, sender, self.version, max_packet);
            let decoded = decoded.map_err(|violation| {
                self.version = begun_in(&self.partial).unwrap_or(self.version);
                InboundEnd::Violation(violation)
            })?;
            if let Some((packet, _)) = decoded {
                self.version = spoken_after(&packet, self.version);
                on_packet(packet).map_err(InboundEnd::Refused)?;
                self.partial = Vec::new();
            }
        }
        while let Some((packet, used)) =
            decode(fresh, sender, self.version, max_packet).map_err(|violation| {
                self.version = begun_in(fresh).unwrap_or(self.version);
                InboundEnd::Violation(violation)
            })?
        {
            self.version = spoken_after(&packet, self.version);
            on_packet(packet).map_err(InboundEnd::Refused)?;
            fresh = fresh.get(used..).unwrap_or_default();
        }
        if !fresh.is_empty() {
            self.partial = fresh.to_vec();
        }
        Ok(())
    }
}

/// What the packets after this one are read by.
fn spoken_after(packet: &Packet<'_>, version: Version) -> Version {
    if let Packet::Connect(connect) = packet { connect.version } else { version }
}

/// The version of the CONNECT that these bytes begin with, whatever follows its protocol level.
fn begun_in(bytes: &[u8]) -> Option<Version> {
    let [0x10, rest @ ..] = bytes else { return None };
    let length_bytes = rest.iter().take(4).position(|byte| byte & 0x80 == 0)? + 1;
    match rest.get(length_bytes..)? {
        [0, 4, b'M', b'Q', b'T', b'T', 4, ..] => Some(Version::V311),
        [0, 4, b'M', b'Q', b'T', b'T', 5, ..] => Some(Version::V5),
        _ => None,
    }
}

/// The thread's scratch buffer, given back when dropped.
struct Scratch {
    bytes: Box<[u8]>,
}

impl Scratch {
    fn take() -> Self {
        let bytes = SCRATCH.with(Cell::take).unwrap_or_else(|| vec![0; SCRATCH_BYTES].into_boxed_slice());
        Self { bytes }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // A thread that is ending has no slot any more; the buffer ends with it.
        let _ = SCRATCH.try_with(|slot| slot.set(Some(bytes)));
    }
}

#[cfg(test)]
mod tests;
