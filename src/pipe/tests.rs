//! A pipe carries the bytes it was given, waits when it has to, and ends like a socket.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An end that is polled by hand.
struct Polled {
    end: End,
    woken: Arc<Woken>,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Wrote(usize),
    Read(Vec<u8>),
    Waits,
    Fails(io::ErrorKind),
}

impl Polled {
    fn pair(capacity: usize) -> (Self, Self) {
        let (first, second) = pair(capacity);
        let polled = |end| Self { end, woken: Arc::default() };
        (polled(first), polled(second))
    }

    fn poll<T>(&mut self, f: impl FnOnce(Pin<&mut End>, &mut Context<'_>) -> T) -> T {
        let waker = Waker::from(Arc::clone(&self.woken));
        f(Pin::new(&mut self.end), &mut Context::from_waker(&waker))
    }

    fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.write_vectored(&[bytes])
    }

    fn write_vectored(&mut self, slices: &[&[u8]]) -> Outcome {
        let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
        match self.poll(|end, cx| end.poll_write_vectored(cx, &slices)) {
            Poll::Ready(Ok(count)) => Outcome::Wrote(count),
            Poll::Ready(Err(error)) => Outcome::Fails(error.kind()),
            Poll::Pending => Outcome::Waits,
        }
    }

    fn read(&mut self, most: usize) -> Outcome {
        let mut bytes = vec![0; most];
        let mut buffer = ReadBuf::new(&mut bytes);
        match self.poll(|end, cx| end.poll_read(cx, &mut buffer)) {
            Poll::Ready(Ok(())) => Outcome::Read(buffer.filled().to_vec()),
            Poll::Ready(Err(error)) => Outcome::Fails(error.kind()),
            Poll::Pending => Outcome::Waits,
        }
    }

    fn shut_down(&mut self) {
        assert!(matches!(self.poll(End::poll_shutdown), Poll::Ready(Ok(()))));
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }

    fn buffer_bytes(&self) -> usize {
        let directions = self.end.shared.directions.lock();
        directions.from_first.buffer_bytes() + directions.from_second.buffer_bytes()
    }
}

fn read(bytes: &[u8]) -> Outcome {
    Outcome::Read(bytes.to_vec())
}

#[test]
fn what_one_end_writes_the_other_reads_in_both_directions() {
    let (mut near, mut far) = Polled::pair(100);
    assert_eq!(near.write(b"there"), Outcome::Wrote(5));
    assert_eq!(far.write(b"back"), Outcome::Wrote(4));
    assert_eq!(far.read(3), read(b"the"));
    assert_eq!(far.read(100), read(b"re"));
    assert_eq!(near.read(100), read(b"back"));
    assert_eq!(far.read(100), Outcome::Waits);
    assert_eq!(near.read(100), Outcome::Waits);
}

#[test]
fn a_writer_waits_for_room_and_is_woken_by_the_read_that_makes_it() {
    let (mut near, mut far) = Polled::pair(4);
    assert_eq!(near.write(b"abcdef"), Outcome::Wrote(4));
    assert_eq!(near.write(b"ef"), Outcome::Waits);
    assert_eq!(near.woken(), 0);
    assert_eq!(far.read(1), read(b"a"));
    assert_eq!(near.woken(), 1);
    assert_eq!(near.write(b"ef"), Outcome::Wrote(1));
    assert_eq!(far.read(9), read(b"bcde"), "the ring has wrapped");
    assert_eq!(near.woken(), 1, "nobody waited for that read");
}

#[test]
fn a_reader_is_woken_once_by_the_write_it_waits_for() {
    let (mut near, mut far) = Polled::pair(100);
    assert_eq!(near.write(b"x"), Outcome::Wrote(1));
    assert_eq!(far.woken(), 0, "it does not wait yet");
    assert_eq!(far.read(9), read(b"x"));
    assert_eq!(far.read(9), Outcome::Waits);
    assert_eq!(far.read(9), Outcome::Waits, "waiting twice is waiting once");
    assert_eq!(near.write(b"y"), Outcome::Wrote(1));
    assert_eq!(near.write(b"z"), Outcome::Wrote(1));
    assert_eq!(far.woken(), 1);
    assert_eq!(far.read(9), read(b"yz"));
}

#[test]
fn several_slices_are_one_write() {
    let (mut near, mut far) = Polled::pair(5);
    assert_eq!(near.write_vectored(&[b"ab", b"", b"cd", b"ef"]), Outcome::Wrote(5));
    assert_eq!(far.read(9), read(b"abcde"));
    assert_eq!(near.write_vectored(&[b"", b""]), Outcome::Wrote(0));
    assert_eq!(far.read(9), Outcome::Waits);
    assert_eq!(far.read(0), read(b""), "a read of nothing does not wait");
}

#[test]
fn after_shutdown_or_drop_the_rest_is_read_and_then_the_end() {
    for shuts_down in [true, false] {
        let (mut near, mut far) = Polled::pair(100);
        assert_eq!(far.read(9), Outcome::Waits);
        assert_eq!(near.write(b"rest"), Outcome::Wrote(4));
        assert_eq!(far.read(2), read(b"re"));
        let near = if shuts_down {
            near.shut_down();
            assert_eq!(near.write(b"more"), Outcome::Fails(io::ErrorKind::BrokenPipe));
            Some(near)
        } else {
            drop(near);
            None
        };
        assert_eq!(far.read(9), read(b"st"));
        assert_eq!(far.read(9), read(b""));
        // Half of a connection may stay open.
        if let Some(mut near) = near {
            assert_eq!(far.write(b"answer"), Outcome::Wrote(6));
            assert_eq!(near.read(9), read(b"answer"));
        }
    }
}

#[test]
fn whoever_waits_for_an_end_that_is_dropped_is_woken() {
    let (near, mut far) = Polled::pair(2);
    assert_eq!(far.write(b"ab"), Outcome::Wrote(2));
    assert_eq!(far.write(b"c"), Outcome::Waits);
    assert_eq!(far.read(9), Outcome::Waits);
    drop(near);
    assert_eq!(far.woken(), 2, "the reader and the writer");
    assert_eq!(far.write(b"c"), Outcome::Fails(io::ErrorKind::BrokenPipe));
    assert_eq!(far.read(9), read(b""));
    assert_eq!(far.buffer_bytes(), 0, "what nobody will read is not kept");
}

#[test]
fn a_reader_that_waits_is_woken_by_shutdown() {
    let (mut near, mut far) = Polled::pair(2);
    assert_eq!(far.read(9), Outcome::Waits);
    near.shut_down();
    assert_eq!(far.woken(), 1);
    assert_eq!(far.read(9), read(b""));
}

#[test]
fn a_drained_connection_holds_no_buffer_and_is_small() {
    let (mut near, mut far) = Polled::pair(1 << 20);
    let idle = near.end.memory_bytes();
    assert!(idle <= 200, "{idle} bytes");
    for size in [1, 100, 10_000, 1 << 20] {
        assert_eq!(near.write(&vec![b'x'; size]), Outcome::Wrote(size));
        assert_eq!(far.write(&vec![b'x'; size]), Outcome::Wrote(size));
        assert!(near.end.memory_bytes() >= idle + 2 * size);
        far.read(size);
        near.read(size);
        assert_eq!(near.end.memory_bytes(), idle, "after {size} bytes");
    }
}

/// One thing that happens to a pipe.
#[derive(Debug, Clone)]
enum Step {
    WriteNear(Vec<usize>),
    WriteFar(Vec<usize>),
    ReadNear(usize),
    ReadFar(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = || proptest::collection::vec(0_usize..60, 0..4);
    prop_oneof![
        sizes().prop_map(Step::WriteNear),
        sizes().prop_map(Step::WriteFar),
        (0_usize..90).prop_map(Step::ReadNear),
        (0_usize..90).prop_map(Step::ReadFar),
    ]
}

/// What one direction should do, written without a bound on memory or a ring.
#[derive(Default)]
struct Model {
    written: usize,
    read: usize,
}

impl Model {
    /// The bytes of a direction count up, so a lost, doubled or displaced one is seen.
    fn bytes(range: std::ops::Range<usize>) -> Vec<u8> {
        range.map(|n| u8::try_from(n % 251).unwrap()).collect()
    }

    fn write(&mut self, end: &mut Polled, sizes: &[usize], capacity: usize) {
        let mut at = self.written;
        let slices: Vec<_> = sizes.iter().map(|&n| (Self::bytes(at..at + n), at += n).0).collect();
        let slices: Vec<_> = slices.iter().map(|slice| &**slice).collect();
        let room = capacity - (self.written - self.read);
        let whole: usize = sizes.iter().sum();
        let expected = match (whole, room) {
            (0, _) => Outcome::Wrote(0),
            (_, 0) => Outcome::Waits,
            _ => Outcome::Wrote(whole.min(room)),
        };
        assert_eq!(end.write_vectored(&slices), expected);
        self.written += whole.min(room);
    }

    fn read(&mut self, end: &mut Polled, most: usize) {
        let count = most.min(self.written - self.read);
        let expected = match (most, count) {
            (1.., 0) => Outcome::Waits,
            _ => Outcome::Read(Self::bytes(self.read..self.read + count)),
        };
        assert_eq!(end.read(most), expected);
        self.read += count;
    }
}

proptest! {
    #[test]
    fn any_order_of_writes_and_reads_gives_the_same_bytes(
        capacity in 1_usize..150,
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let (mut near, mut far) = Polled::pair(capacity);
        let (mut there, mut back) = (Model::default(), Model::default());
        for step in steps {
            match step {
                Step::WriteNear(sizes) => there.write(&mut near, &sizes, capacity),
                Step::WriteFar(sizes) => back.write(&mut far, &sizes, capacity),
                Step::ReadNear(most) => back.read(&mut near, most),
                Step::ReadFar(most) => there.read(&mut far, most),
            }
        }
        there.read(&mut far, 150);
        back.read(&mut near, 150);
        prop_assert_eq!(near.buffer_bytes(), 0);
    }

    #[test]
    fn tasks_on_a_paused_runtime_carry_every_byte(
        capacity in 1_usize..100,
        writes in proptest::collection::vec(1_usize..200, 0..40),
        reads in proptest::collection::vec(1_usize..200, 1..10),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let whole = Model::bytes(0..writes.iter().sum());
        let read = runtime.block_on(async {
            let (mut near, mut far) = pair(capacity);
            let bytes = whole.clone();
            tokio::spawn(async move {
                let mut rest = &*bytes;
                for size in writes {
                    let (piece, after) = rest.split_at(size);
                    near.write_all(piece).await.unwrap();
                    rest = after;
                }
            });
            let mut read = Vec::new();
            for most in reads.iter().cycle() {
                let mut piece = vec![0; *most];
                let count = far.read(&mut piece).await.unwrap();
                if count == 0 {
                    break;
                }
                read.extend_from_slice(&piece[..count]);
            }
            read
        });
        prop_assert_eq!(read, whole);
    }
}

/// What two threads carry each way: enough that they meet in full, empty and half-full pipes.
const CARRIED: usize = 1 << 20;

#[test]
fn both_ends_on_two_threads_carry_every_byte_both_ways() {
    let carry = |end: End, step: usize| {
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut reader, mut writer) = tokio::io::split(end);
                let sending = tokio::spawn(async move {
                    for piece in Model::bytes(0..CARRIED).chunks(step) {
                        writer.write_all(piece).await.unwrap();
                    }
                    writer.shutdown().await.unwrap();
                });
                let mut read = Vec::new();
                reader.read_to_end(&mut read).await.unwrap();
                sending.await.unwrap();
                read
            })
        }
    };
    let (near, far) = pair(1000);
    let near = std::thread::spawn(carry(near, 333));
    let far = std::thread::spawn(carry(far, 1777));
    let whole = Model::bytes(0..CARRIED);
    assert!(near.join().unwrap() == whole, "the near end read something else");
    assert!(far.join().unwrap() == whole, "the far end read something else");
}

#[tokio::test(start_paused = true)]
async fn two_ends_that_never_wait_leave_others_their_turn() {
    let (mut near, mut far) = pair(1 << 16);
    let busy = tokio::spawn(async move {
        let mut bytes = [0; 64];
        loop {
            near.write_all(&bytes).await.unwrap();
            far.read_exact(&mut bytes).await.unwrap();
        }
    });
    tokio::task::yield_now().await;
    busy.abort();
    assert!(busy.await.unwrap_err().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn connections_are_accepted_in_order_and_used_before() {
    let (connector, mut listener) = listener(2);
    let mut first = connector.connect().await.unwrap();
    let mut second = connector.clone().connect().await.unwrap();
    first.write_all(b"one").await.unwrap();
    second.write_all(b"two").await.unwrap();
    for expected in [b"one", b"two"] {
        let mut accepted = listener.accept().await.unwrap();
        let mut read = [0; 3];
        accepted.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, expected);
    }
    drop(connector);
    assert!(listener.accept().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_makes_the_next_one_wait() {
    let (connector, mut listener) = listener(1);
    let waiting = connector.connect().await.unwrap();
    let mut next = Box::pin(connector.connect());
    let polled = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await;
    assert!(polled, "there is no place");
    let accepted = listener.accept().await.unwrap();
    let connected = next.await.unwrap();
    drop((waiting, accepted, connected));
}

#[tokio::test(start_paused = true)]
async fn without_a_listener_nobody_connects_and_who_waits_is_let_go() {
    let (connector, listener) = listener(1);
    let mut waiting = connector.connect().await.unwrap();
    drop(listener);
    let refused = connector.connect().await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(waiting.read(&mut [0; 1]).await.unwrap(), 0, "the end of the stream");
}
