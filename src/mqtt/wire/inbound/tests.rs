//! A stream in arbitrary pieces reads like the stream in one piece.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::*;
use crate::mqtt::{PacketId, Publish, QoS, encode};

/// Gives out its pieces one read at a time, then has no more, or ends.
struct Pieces {
    left: std::collections::VecDeque<Vec<u8>>,
    ends: bool,
}

impl Pieces {
    fn new(pieces: impl IntoIterator<Item = Vec<u8>>, ends: bool) -> Self {
        Self { left: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(), ends }
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.left.pop_front() {
            Some(mut piece) => {
                let rest = piece.split_off(piece.len().min(buffer.remaining()));
                buffer.put_slice(&piece);
                if !rest.is_empty() {
                    self.left.push_front(rest);
                }
                Poll::Ready(Ok(()))
            }
            None if self.ends => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn message(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (qos, id) = (QoS::AtLeastOnce, Some(PacketId::FIRST));
    encode::publish(&mut out, Version::V311, &Publish { qos, id, ..Publish::new(topic, payload) }).unwrap();
    out
}

/// A CONNECT of each version and what follows it on its connection: the same message with, and without, the length
/// of its properties.
const SPOKEN_311: &[u8] = b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01c\x30\x04\0\x01a\0\xe0\0";
const SPOKEN_5: &[u8] = b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01c\x30\x04\0\x01a\0\xe0\x01\x04";

#[test]
fn a_servers_side_reads_by_the_version_of_the_connect_however_it_arrives() {
    for (bytes, payload, version) in
        [(SPOKEN_311, "payload: [0]", Version::V311), (SPOKEN_5, "payload: []", Version::V5)]
    {
        let (whole, end, _) = read(Pieces::new([bytes.to_vec()], true));
        assert_eq!(whole.len(), 3, "{version:?}: {whole:?} {end:?}");
        assert!(whole[0].contains(&format!("version: {version:?}")), "{whole:?}");
        assert!(whole[1].contains(payload), "{whole:?}");
        let (bytewise, end, _) = read(Pieces::new(bytes.iter().map(|byte| vec![*byte]), true));
        assert_eq!(bytewise, whole, "{end:?}");
    }
}

#[test]
fn a_clients_side_reads_by_the_version_it_asked_for() {
    let answers: [(Version, &[u8]); 2] = [
        (Version::V311, b"\x20\x02\0\0\x30\x04\0\x01a\0"),
        (Version::V5, b"\x20\x03\0\0\0\x30\x04\0\x01a\0"),
    ];
    for (version, bytes) in answers {
        let (mut inbound, mut seen) = (Inbound::new(version), 0);
        let mut stream = Pieces::new([bytes.to_vec()], false);
        let mut context = Context::from_waker(Waker::noop());
        let polled = inbound.poll(&mut context, &mut stream, Sender::Server, 100, &mut |_| {
            seen += 1;
            Ok::<(), Infallible>(())
        });
        assert!(polled.is_pending(), "{version:?}");
        assert_eq!((seen, inbound.partial.capacity()), (2, 0), "{version:?}");
    }
}

/// All packets in their debug form, the end if there was one, and what stayed in memory.
fn read(mut stream: Pieces) -> (Vec<String>, Option<InboundEnd<Infallible>>, usize) {
    let (mut inbound, mut seen) = (Inbound::default(), Vec::new());
    loop {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut on_packet = |packet: Packet<'_>| {
            seen.push(format!("{packet:?}"));
            Ok(())
        };
        let polled = inbound.poll(
            &mut Context::from_waker(&waker),
            &mut stream,
            Sender::Client,
            1 << 20,
            &mut on_packet,
        );
        match polled {
            Poll::Ready(end) => return (seen, Some(end), inbound.partial.capacity()),
            Poll::Pending if woken.0.load(Ordering::Relaxed) == 0 => {
                return (seen, None, inbound.partial.capacity());
            }
            Poll::Pending => {}
        }
    }
}

#[test]
fn a_packet_split_at_every_byte_boundary_reads_the_same() {
    let bytes = [message("a/b", b"first"), vec![0xc0, 0], message("c", &[7; 200]), vec![0xe0, 0]].concat();
    let (whole, end, kept) = read(Pieces::new([bytes.clone()], false));
    assert_eq!((whole.len(), end.is_none(), kept), (4, true, 0));
    for first in 0..bytes.len() {
        for second in [first, (first + 1).min(bytes.len()), bytes.len()] {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]].map(<[u8]>::to_vec);
            let (seen, end, kept) = read(Pieces::new(pieces, false));
            assert_eq!((seen, end.is_none(), kept), (whole.clone(), true, 0), "split at {first}, {second}");
        }
    }
    let (seen, _, kept) = read(Pieces::new(bytes.iter().map(|byte| vec![*byte]), false));
    assert_eq!((seen, kept), (whole, 0), "byte by byte");
}

#[test]
fn an_incomplete_packet_keeps_exactly_its_bytes() {
    let bytes = message("a/b", &[1; 1000]);
    let (seen, end, kept) =
        read(Pieces::new([[0xc0, 0].as_slice(), &bytes[..700]].map(<[u8]>::to_vec), false));
    assert_eq!((seen.len(), end.is_none(), kept), (1, true, 700));
}

#[test]
fn the_end_of_a_stream_comes_after_its_packets() {
    let bytes = [message("a", b"x"), vec![0x30, 9]].concat();
    let (seen, end, _) = read(Pieces::new([bytes], true));
    assert_eq!(seen.len(), 1);
    assert!(matches!(end, Some(InboundEnd::Closed)), "{end:?}");
}

#[test]
fn a_violation_comes_after_the_packets_before_it() {
    let (seen, end, _) = read(Pieces::new([vec![0xc0, 0, 0xc0], vec![1, 0xc0, 0]], false));
    assert_eq!(seen, ["PingReq"]);
    assert!(matches!(end, Some(InboundEnd::Violation(Violation::Length { .. }))), "{end:?}");
}

#[test]
fn a_refused_packet_ends_the_reading() {
    let mut stream = Pieces::new([vec![0xc0, 0, 0xe0, 0, 0xc0, 0]], false);
    let mut calls = 0;
    let mut on_packet = |packet: Packet<'_>| {
        calls += 1;
        if matches!(packet, Packet::Disconnect(_)) { Err("enough") } else { Ok(()) }
    };
    let mut context = Context::from_waker(Waker::noop());
    let end = Inbound::default().poll(&mut context, &mut stream, Sender::Client, 100, &mut on_packet);
    assert!(matches!(end, Poll::Ready(InboundEnd::Refused("enough"))), "{end:?}");
    assert_eq!(calls, 2);
}

#[test]
fn a_peer_that_never_stops_is_left_after_64_kib_and_comes_back() {
    let mut stream = Pieces::new(std::iter::repeat_n([0xc0, 0].repeat(8 * 1024), 20), false);
    let (mut inbound, mut pings) = (Inbound::default(), 0);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut on_packet = |_: Packet<'_>| -> Result<(), Infallible> {
        pings += 1;
        Ok(())
    };
    let polled =
        inbound.poll(&mut Context::from_waker(&waker), &mut stream, Sender::Client, 100, &mut on_packet);
    assert!(polled.is_pending());
    assert_eq!((pings, woken.0.load(Ordering::Relaxed)), (32 * 1024, 1));
}

#[test]
fn a_packet_larger_than_the_scratch_buffer_is_read() {
    let bytes = message("a", &vec![5; 300_000]);
    let (seen, end, kept) = read(Pieces::new(bytes.chunks(50_000).map(<[u8]>::to_vec), false));
    assert_eq!((seen.len(), end.is_none(), kept), (1, true, 0));
}

proptest! {
    #[test]
    fn arbitrary_bytes_in_arbitrary_pieces_end_like_those_in_one(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(prop::sample::select(vec![
                vec![0xc0, 0], vec![0x30, 5, 0, 1, b'a', 1, 2], vec![0x40, 2, 0, 9],
                vec![0x82, 6, 0, 1, 0, 1, b'a', 1], vec![0xc0], vec![0x30, 0x85, 0x00, 0, 1, b'a', 1, 2],
            ]), 0..20).prop_map(|packets| packets.concat()),
        ],
        sizes in prop::collection::vec(1usize..20, 1..200),
    ) {
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for size in sizes {
            let (piece, later) = rest.split_at(size.min(rest.len()));
            pieces.push(piece.to_vec());
            rest = later;
        }
        pieces.push(rest.to_vec());
        let (whole, whole_end, _) = read(Pieces::new([bytes.clone()], true));
        let (seen, end, _) = read(Pieces::new(pieces, true));
        prop_assert_eq!(seen, whole);
        prop_assert_eq!(format!("{end:?}"), format!("{whole_end:?}"));
    }
}
