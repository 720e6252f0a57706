//! Byte vectors written by hand from the text of the standards: for each packet exactly these bytes. What cannot
//! be written is in `refused`.

mod connect;
mod farewell;
mod message;
mod refused;
mod subscribe;

use super::*;
use crate::mqtt::{PacketId, PublishProperties, UserProperties};

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

/// The one user property `k: v`.
fn k_is_v() -> UserProperties<'static> {
    UserProperties::from_block(b"\x26\0\x01k\0\x01v").unwrap()
}

/// Writes behind what is there already, and adds these bytes and no others.
fn writes(write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>, expected: &[u8]) {
    let mut out = vec![7];
    assert_eq!(write(&mut out), Ok(()), "{expected:02x?}");
    assert_eq!(out[..1], [7]);
    assert_eq!(out[1..], *expected, "{:02x?} and not {expected:02x?}", &out[1..]);
}

#[test]
fn pings_are_two_bytes() {
    let ping = |out: &mut Vec<u8>| {
        pingreq(out);
        pingresp(out);
        Ok(())
    };
    writes(ping, b"\xc0\0\xd0\0");
}

/// Table 2.4 of 3.1.1, table 1-1 of MQTT 5: the bounds of each number of bytes.
#[test]
fn lengths_take_as_few_bytes_as_the_tables_say() {
    let rows: &[(u32, &[u8])] = &[
        (0, b"\0"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
        (2_097_151, b"\xff\xff\x7f"),
        (2_097_152, b"\x80\x80\x80\x01"),
        (268_435_455, b"\xff\xff\xff\x7f"),
    ];
    for (value, expected) in rows {
        let mut out = Vec::new();
        variable(&mut out, *value);
        assert_eq!((&out[..], variable_size(*value)), (*expected, expected.len()), "{value}");
    }
}

#[test]
fn packet_identifiers_go_round_without_zero() {
    assert_eq!(PacketId::new(0), None);
    assert_eq!(PacketId::FIRST.next().get(), 2);
    assert_eq!(PacketId::new(u16::MAX).unwrap().next(), PacketId::FIRST);
}
