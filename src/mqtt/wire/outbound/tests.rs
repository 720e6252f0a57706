//! One write for all that waits; nothing kept when nothing waits.

use std::task::Waker;

use super::*;

/// Takes at most `takes` bytes per call, and nothing at all while `takes` is zero.
#[derive(Default)]
struct Sink {
    takes: usize,
    /// Pending after one write, like a socket with a full buffer.
    once: bool,
    writes: Vec<usize>,
    got: Vec<u8>,
    flushes: usize,
}

impl AsyncWrite for Sink {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.takes == 0 {
            return Poll::Pending;
        }
        let count = bytes.len().min(self.takes);
        self.got.extend_from_slice(&bytes[..count]);
        self.writes.push(count);
        if self.once {
            self.takes = 0;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn flush(outbound: &mut Outbound, sink: &mut Sink) -> Poll<()> {
    outbound.poll_flush(&mut Context::from_waker(Waker::noop()), sink).map(Result::unwrap)
}

#[test]
fn all_that_waits_goes_in_one_write_and_the_buffer_is_given_back() {
    let (mut outbound, mut sink) = (Outbound::default(), Sink { takes: 1000, ..Sink::default() });
    outbound.buffer().extend_from_slice(b"first ");
    outbound.buffer().extend_from_slice(b"second");
    assert_eq!(outbound.pending(), 12);
    assert_eq!(flush(&mut outbound, &mut sink), Poll::Ready(()));
    assert_eq!((&sink.got[..], &sink.writes[..], sink.flushes), (&b"first second"[..], &[12][..], 1));
    assert_eq!((outbound.pending(), outbound.buffer.capacity()), (0, 0));

    assert_eq!(flush(&mut outbound, &mut sink), Poll::Ready(()));
    assert_eq!((sink.writes.len(), sink.flushes), (1, 1), "nothing waits, nothing is called");
}

#[test]
fn a_given_back_buffer_serves_the_next_message() {
    let (mut outbound, mut sink) = (Outbound::default(), Sink { takes: 1000, ..Sink::default() });
    outbound.buffer().extend_from_slice(&[1; 100]);
    let place = outbound.buffer.as_ptr();
    assert!(flush(&mut outbound, &mut sink).is_ready());
    let mut other = Outbound::default();
    assert_eq!(other.buffer().as_ptr(), place);
}

#[test]
fn a_slow_reader_gets_every_byte_in_order_and_the_buffer_stays_short() {
    let (mut outbound, mut sink) = (Outbound::default(), Sink { once: true, ..Sink::default() });
    let mut sent = Vec::new();
    let mut largest = 0;
    for turn in 0..10_000u32 {
        let bytes = turn.to_be_bytes();
        outbound.buffer().extend_from_slice(&bytes);
        sent.extend_from_slice(&bytes);
        // Never catches up quite: always one message behind.
        sink.takes = if turn < 2 { 3 } else { 4 };
        assert!(flush(&mut outbound, &mut sink).is_pending() || turn < 1);
        largest = largest.max(outbound.buffer.len());
    }
    sink.once = false;
    sink.takes = usize::MAX;
    assert!(flush(&mut outbound, &mut sink).is_ready());
    assert_eq!(sink.got, sent);
    assert!(largest < 64, "{largest} bytes for a handful that waited");
}

#[test]
fn one_buffer_moves_behind_another() {
    let (mut outbound, mut queue) = (Outbound::default(), Outbound::default());
    queue.buffer().extend_from_slice(b"ab");
    let place = queue.buffer.as_ptr();
    outbound.append(&mut queue);
    assert_eq!((outbound.buffer.as_ptr(), queue.pending()), (place, 0), "moved, not copied");
    queue.buffer().extend_from_slice(b"cd");
    outbound.append(&mut queue);
    assert_eq!((outbound.pending(), queue.pending(), queue.buffer.capacity()), (4, 0, 0));
    let mut sink = Sink { takes: 3, ..Sink::default() };
    assert!(flush(&mut outbound, &mut sink).is_ready());
    assert_eq!((&sink.got[..], sink.writes), (&b"abcd"[..], vec![3, 1]));
}
