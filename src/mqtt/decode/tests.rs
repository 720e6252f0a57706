//! Byte vectors written by hand from the text of the standards, none of them by the encoder: a table per kind of
//! packet and version. What is expected of all bytes is in `random`.

mod answers;
mod connack;
mod connect;
mod connect_5;
mod farewell;
mod header;
mod properties;
mod publish;
mod publish_5;
mod random;
mod subscribe;

use super::*;
use crate::mqtt::{ReasonCode, UserProperties};

const MAX: usize = 1 << 20;

/// A vector that is refused: its bytes, the rule it breaks, and what an end of MQTT 5 says to that.
type Refused<'a> = (&'a [u8], Violation, ReasonCode);

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

/// A packet from its first byte and its body; the remaining length is worked out.
fn framed(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left & 0x7f).unwrap();
        left >>= 7;
        bytes.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// The one user property `k: v`.
fn k_is_v() -> UserProperties<'static> {
    UserProperties::from_block(b"\x26\0\x01k\0\x01v").unwrap()
}

fn accepts_in(version: Version, bytes: &[u8], sender: Sender, expected: Packet<'_>) {
    assert_eq!(decode(bytes, sender, version, MAX), Ok(Some((expected, bytes.len()))), "{bytes:02x?}");
    for end in 0..bytes.len() {
        let front = decode(&bytes[..end], sender, version, MAX);
        assert_eq!(front, Ok(None), "{end} bytes of {bytes:02x?}");
    }
    let followed = [bytes, &[0xff]].concat();
    assert_eq!(decode(&followed, sender, version, MAX), Ok(Some((expected, bytes.len()))));
}

fn refuses_in(version: Version, bytes: &[u8], sender: Sender, expected: Violation) {
    assert_eq!(decode(bytes, sender, version, MAX), Err(expected), "{version:?} {sender:?} {bytes:02x?}");
    for end in 0..bytes.len() {
        let front = decode(&bytes[..end], sender, version, MAX);
        assert!(front == Ok(None) || front == Err(expected), "{front:?} for {end} bytes of {bytes:02x?}");
    }
}

/// A 3.1.1 vector.
fn accepts(bytes: &[u8], sender: Sender, expected: Packet<'_>) {
    accepts_in(Version::V311, bytes, sender, expected);
}

/// A 3.1.1 vector; it has no reason codes.
fn refuses(bytes: &[u8], sender: Sender, expected: Violation) {
    refuses_in(Version::V311, bytes, sender, expected);
}

/// An MQTT 5 vector.
fn accepts_5(bytes: &[u8], sender: Sender, expected: Packet<'_>) {
    accepts_in(Version::V5, bytes, sender, expected);
}

/// An MQTT 5 vector and the reason code of the last word.
fn refuses_5(rows: &[Refused<'_>], sender: Sender) {
    for (bytes, expected, reason) in rows {
        refuses_in(Version::V5, bytes, sender, *expected);
        assert_eq!(expected.reason(), *reason, "{expected}");
    }
}
