//! A way between device and wire that takes time: `target.embedded.link_delay`.
//!
//! What one side puts in, the other gets a delay later: each direction for itself, in order, whatever
//! carries the bytes. Each MQTT packet has a delay of its own, drawn for the device and the number of the
//! packet, so that chance does not depend on how the bytes happened to be cut; a packet never overtakes the
//! one before it. Opening a socket takes no link time.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Instant;
use crate::plan::LinkDirection;
use crate::transport::Stream;

use super::Shared;
use super::device::Device;

/// Bytes under way in one direction at the most, more than the largest packet: beyond it the sender has to
/// wait, as in front of a full modem.
const MAX_UNDER_WAY: usize = 256 * 1024;
/// Bytes read at a time.
const READ_BYTES: usize = 4096;

/// What carries a device's connection.
#[derive(Debug)]
pub(super) enum Wire {
    /// The stream itself.
    Direct(Stream),
    // Boxed: most fleets have none, and a device must stay small.
    /// The stream behind a link.
    Delayed(Box<Link<Stream>>),
}

/// A stream whose bytes take time.
#[derive(Debug)]
pub(super) struct Link<S> {
    stream: S,
    shared: Rc<Shared>,
    device: Rc<Device>,
    connection: u32,
    down: Lane,
    up: Lane,
    /// What came after the last byte from the stream.
    end: Option<io::Result<()>>,
    /// The wake-up that was asked for last.
    armed: Option<Instant>,
}

impl Wire {
    /// The way of `device` over `stream`, for its connection of this number.
    pub fn new(stream: Stream, shared: &Rc<Shared>, device: &Rc<Device>, connection: u32) -> Self {
        if !shared.plan.has_link_delay() {
            return Wire::Direct(stream);
        }
        Wire::Delayed(Box::new(Link {
            stream,
            shared: Rc::clone(shared),
            device: Rc::clone(device),
            connection,
            down: Lane::default(),
            up: Lane::default(),
            end: None,
            armed: None,
        }))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// Takes in what the stream has, as far as there is room.
    fn take_in(&mut self, cx: &mut Context<'_>) {
        let mut scratch = [0; READ_BYTES];
        while self.end.is_none() && self.down.len() < MAX_UNDER_WAY {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Err(error)) => self.end = Some(Err(error)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => self.end = Some(Ok(())),
                Poll::Ready(Ok(())) => {
                    let delay = |n| {
                        self.shared.plan.link_delay_us(
                            self.device.id,
                            self.connection,
                            LinkDirection::Down,
                            n,
                        )
                    };
                    self.down.put(buffer.filled(), self.shared.clock.now(), delay);
                }
            }
        }
    }

    /// Gives the stream what is due, as far as it takes it.
    fn give_out(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let now = self.shared.clock.now();
        loop {
            let due = self.up.due(now);
            if due.is_empty() {
                return Ok(());
            }
            match Pin::new(&mut self.stream).poll_write(cx, due) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => self.up.take(count),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }

    /// Has the task woken when the next byte of either direction is due. What is due already waits for the
    /// stream, which wakes it itself.
    fn wait(&mut self, cx: &Context<'_>) {
        self.device.wait_for_link(cx);
        let now = self.shared.clock.now();
        let next = [self.down.next(), self.up.next()].into_iter().flatten().filter(|at| *at > now).min();
        let Some(next) = next else { return };
        if self.armed.is_none_or(|armed| armed <= now || armed > next) {
            self.armed = Some(next);
            self.device.wake_for_link(&self.shared, next);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Link<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        link.take_in(cx);
        let due = link.down.due(link.shared.clock.now());
        let count = due.len().min(buffer.remaining());
        if count > 0 {
            buffer.put_slice(&due[..count]);
            link.down.take(count);
            return Poll::Ready(Ok(()));
        }
        if link.down.len() == 0
            && let Some(end) = link.end.take()
        {
            // Whoever reads on after an error finds the end.
            link.end = Some(Ok(()));
            return Poll::Ready(end);
        }
        link.wait(cx);
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Link<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let link = self.get_mut();
        if link.up.len() >= MAX_UNDER_WAY {
            link.give_out(cx)?;
        }
        let room = MAX_UNDER_WAY.saturating_sub(link.up.len());
        if room == 0 {
            link.wait(cx);
            return Poll::Pending;
        }
        let taken = bytes.get(..room).unwrap_or(bytes);
        let Self { shared, device, connection, up, .. } = link;
        let delay = |n| shared.plan.link_delay_us(device.id, *connection, LinkDirection::Up, n);
        up.put(taken, shared.clock.now(), delay);
        Poll::Ready(Ok(taken.len()))
    }

    /// Ready when everything has left the link.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let link = self.get_mut();
        link.give_out(cx)?;
        if link.up.len() > 0 {
            link.wait(cx);
            return Poll::Pending;
        }
        Pin::new(&mut link.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Direct(stream) => Pin::new(stream).poll_read(cx, buffer),
            Wire::Delayed(link) => Pin::new(&mut **link).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Direct(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Delayed(link) => Pin::new(&mut **link).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Direct(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Delayed(link) => Pin::new(&mut **link).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Direct(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Delayed(link) => Pin::new(&mut **link).poll_shutdown(cx),
        }
    }
}

/// One direction: bytes under way, and when how many of them arrive. Holds no memory while it is empty.
#[derive(Debug, Default)]
struct Lane {
    bytes: VecDeque<u8>,
    /// Instants rise; the counts add up to `bytes`.
    arrivals: VecDeque<(Instant, usize)>,
    last: Instant,
    packets: Packets,
    /// Of the packet at hand.
    delay_us: u64,
}

impl Lane {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes bytes that leave `now`; `delay_us` says how long the n-th packet takes.
    fn put(&mut self, mut bytes: &[u8], now: Instant, mut delay_us: impl FnMut(u64) -> u64) {
        while !bytes.is_empty() {
            if let Some(number) = self.packets.begins() {
                self.delay_us = delay_us(number);
            }
            let (piece, rest) = bytes.split_at(self.packets.advance(bytes));
            bytes = rest;
            let at = now.plus_micros(self.delay_us).max(self.last);
            self.last = at;
            self.bytes.extend(piece);
            match self.arrivals.back_mut() {
                Some((last, count)) if *last == at => *count += piece.len(),
                _ => self.arrivals.push_back((at, piece.len())),
            }
        }
    }

    /// When the next byte arrives.
    fn next(&self) -> Option<Instant> {
        self.arrivals.front().map(|(at, _)| *at)
    }

    /// Bytes that have arrived, as far as they lie in one piece; none if none has.
    fn due(&self, now: Instant) -> &[u8] {
        let arrived = self.arrivals.iter().take_while(|(at, _)| *at <= now).map(|(_, count)| count).sum();
        let front = self.bytes.as_slices().0;
        front.get(..arrived).unwrap_or(front)
    }

    /// Forgets the first bytes: they are handed over.
    fn take(&mut self, mut count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        while count > 0
            && let Some((_, waiting)) = self.arrivals.front_mut()
        {
            let taken = count.min(*waiting);
            *waiting -= taken;
            count -= taken;
            if *waiting == 0 {
                self.arrivals.pop_front();
            }
        }
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
            self.arrivals = VecDeque::new();
        }
    }
}

/// Where in a stream of MQTT packets the next byte is. Only the length of each packet is read; whether it
/// makes sense is the codec's business.
#[derive(Debug, Default)]
struct Packets {
    begun: u64,
    place: Place,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    /// In front of a packet's first byte.
    #[default]
    Between,
    /// In its remaining length, of which these bits are read.
    Length { shift: u32, value: usize },
    /// In front of so many more bytes.
    Body(usize),
}

impl Packets {
    /// The number of the packet that the next byte begins, if it does.
    fn begins(&mut self) -> Option<u64> {
        matches!(self.place, Place::Between).then(|| {
            self.begun += 1;
            self.begun - 1
        })
    }

    /// How many of `bytes` belong to the packet at hand; at least one, if there are any.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        for byte in bytes {
            match self.place {
                Place::Between => self.place = Place::Length { shift: 0, value: 0 },
                Place::Length { shift, value } => {
                    let value = value | usize::from(byte & 0x7f) << shift;
                    self.place = match byte & 0x80 {
                        0 if value == 0 => Place::Between,
                        0 => Place::Body(value),
                        // Five bytes of length are no MQTT: the codec ends this connection.
                        _ if shift >= 21 => Place::Body(usize::MAX),
                        _ => Place::Length { shift: shift + 7, value },
                    };
                }
                Place::Body(left) => {
                    let here = left.min(bytes.len() - used);
                    self.place = if here == left { Place::Between } else { Place::Body(left - here) };
                    return used + here;
                }
            }
            used += 1;
            if matches!(self.place, Place::Between) {
                break;
            }
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::{Version, encode};

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    /// Three packets: 2 bytes, 302 bytes, 2 bytes.
    fn packets() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::pingreq(&mut bytes);
        let payload = [7; 290];
        encode::publish(&mut bytes, Version::V311, &crate::mqtt::Publish::new("topic/a", &payload)).unwrap();
        encode::pingreq(&mut bytes);
        assert_eq!(bytes.len(), 2 + 302 + 2);
        bytes
    }

    #[test]
    fn each_packet_has_its_delay_however_its_bytes_are_cut() {
        let bytes = packets();
        for cut in 1..bytes.len() {
            let mut lane = Lane::default();
            let delays = [10_000, 30_000, 5_000];
            for piece in bytes.chunks(cut) {
                lane.put(piece, at(100), |n| delays[usize::try_from(n).unwrap()]);
            }
            let arrived: Vec<(u64, usize)> =
                lane.arrivals.iter().map(|(at, count)| (at.micros() / 1000, *count)).collect();
            // The third would be there at 105 ms and does not overtake.
            assert_eq!(arrived, [(110, 2), (130, 304)], "pieces of {cut}");
        }
    }

    #[test]
    fn bytes_arrive_in_order_and_an_empty_lane_holds_no_memory() {
        let bytes = packets();
        let mut lane = Lane::default();
        lane.put(&bytes, at(0), |_| 20_000);
        assert_eq!((lane.next(), lane.due(at(19))), (Some(at(20)), &[][..]));
        let mut got = Vec::new();
        while lane.len() > 0 {
            let due = lane.due(at(20));
            let count = due.len().min(7);
            got.extend_from_slice(&due[..count]);
            lane.take(count);
        }
        assert_eq!(got, bytes);
        assert_eq!((lane.bytes.capacity(), lane.arrivals.capacity(), lane.next()), (0, 0, None));
    }

    #[test]
    fn a_length_that_is_none_makes_one_endless_packet() {
        let mut lane = Lane::default();
        let mut drawn = 0;
        lane.put(&[0x30, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 0xc0, 0, 0xc0, 0], at(0), |_| {
            drawn += 1;
            0
        });
        assert_eq!((drawn, lane.len()), (1, 12));
    }
}
