//! Which reason codes a packet of MQTT 5 may carry: the tables of its sections 3.2, 3.4, 3.9, 3.11, 3.14 and
//! 3.15.

use super::Sender;
use crate::mqtt::reason::ReasonCode;
use crate::mqtt::violation::{PacketKind, Violation};

/// The reason with this number, if a `packet` of this sender may carry it.
pub(super) fn checked(packet: PacketKind, sender: Sender, code: u8) -> Result<ReasonCode, Violation> {
    let reason = ReasonCode::from_number(code).filter(|_| allowed(packet, sender, code));
    reason.ok_or(Violation::Reason { packet, sender: sender.name(), code })
}

/// Whether a `packet` of either end may carry this code.
pub(in crate::mqtt) fn may_carry(packet: PacketKind, code: u8) -> bool {
    [Sender::Client, Sender::Server].into_iter().any(|sender| allowed(packet, sender, code))
}

fn allowed(packet: PacketKind, sender: Sender, code: u8) -> bool {
    match packet {
        PacketKind::ConnAck => in_connack(code),
        PacketKind::PubAck => in_puback(code, sender),
        PacketKind::SubAck => in_suback(code),
        PacketKind::UnsubAck => in_unsuback(code),
        PacketKind::Disconnect => in_disconnect(code, sender),
        PacketKind::Auth => in_auth(code, sender),
        _ => false,
    }
}

/// Table 3-1 of section 3.2.2.2.
fn in_connack(code: u8) -> bool {
    matches!(code, 0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F)
}

/// Section 3.4.2.1. Only a server knows that nobody listens.
fn in_puback(code: u8, sender: Sender) -> bool {
    match code {
        0x10 => sender == Sender::Server,
        _ => matches!(code, 0x00 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99),
    }
}

/// Section 3.9.3.
fn in_suback(code: u8) -> bool {
    matches!(code, 0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2)
}

/// Section 3.11.3.
fn in_unsuback(code: u8) -> bool {
    matches!(code, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91)
}

/// Section 3.14.2.1, and 0x8C, which section 2.4 gives to DISCONNECT for a failed re-authentication.
fn in_disconnect(code: u8, sender: Sender) -> bool {
    match code {
        0x00 | 0x80..=0x83 | 0x90 | 0x93..=0x99 => true,
        0x04 => sender == Sender::Client,
        0x87 | 0x89 | 0x8B..=0x8F | 0x9A..=0xA2 => sender == Sender::Server,
        _ => false,
    }
}

/// Section 3.15.2.1.
fn in_auth(code: u8, sender: Sender) -> bool {
    match code {
        0x00 => sender == Sender::Server,
        0x18 => true,
        0x19 => sender == Sender::Client,
        _ => false,
    }
}
