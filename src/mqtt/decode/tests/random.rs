//! What holds for any bytes.

use proptest::prelude::*;

use super::*;

fn sender() -> impl Strategy<Value = Sender> {
    prop_oneof![Just(Sender::Client), Just(Sender::Server)]
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

/// Goes through everything that a packet shows only when asked.
fn walk(packet: &Packet<'_>) -> usize {
    match packet {
        Packet::Publish(publish) => publish.properties.user.iter().count(),
        Packet::Subscribe(subscribe) => {
            assert!(subscribe.filters().count() > 0, "a SUBSCRIBE has a filter");
            subscribe.user.iter().count()
        }
        Packet::Unsubscribe(unsubscribe) => {
            assert!(unsubscribe.filters().count() > 0, "an UNSUBSCRIBE has a filter");
            unsubscribe.user.iter().count()
        }
        Packet::Connect(connect) => connect.properties.user.iter().count(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        sender in sender(),
        version in version(),
        max in 0usize..400,
    ) {
        if let Ok(Some((packet, used))) = decode(&bytes, sender, version, max) {
            prop_assert!(used <= bytes.len() && used <= max);
            walk(&packet);
        }
    }

    /// Random bodies behind a well-formed header reach the rules further in.
    #[test]
    fn arbitrary_bodies_never_panic(
        first in any::<u8>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        sender in sender(),
        version in version(),
    ) {
        let bytes = framed(first, &[&body]);
        if let Ok(packet) = decode(&bytes, sender, version, MAX) {
            prop_assert_eq!(packet.map(|(packet, used)| (walk(&packet), used).1), Some(bytes.len()));
        }
    }

    /// Properties with random values, so that their own rules are reached.
    #[test]
    fn arbitrary_properties_never_panic(
        properties in prop::collection::vec((0u8..0x2c, prop::collection::vec(0u8..4, 0..8)), 0..5),
        first in prop::sample::select(vec![0x20u8, 0x30, 0x32, 0x40, 0x82, 0x90, 0xa2, 0xb0, 0xe0, 0xf0]),
        sender in sender(),
    ) {
        let block: Vec<u8> = properties.into_iter().flat_map(|(id, value)| [vec![id], value].concat()).collect();
        let head: &[u8] = match first {
            0x20 => b"\0\0",
            0x30 => b"\0\x01a",
            0x32 => b"\0\x01a\0\x01",
            0x40 => b"\0\x01\0",
            0xe0 | 0xf0 => b"\0",
            _ => b"\0\x01",
        };
        let length = [u8::try_from(block.len()).unwrap()];
        let bytes = framed(first, &[head, &length, &block, b"\0\x01f\0"]);
        if let Ok(Some((packet, used))) = decode(&bytes, sender, Version::V5, MAX) {
            prop_assert_eq!(used, bytes.len());
            walk(&packet);
        }
    }
}
