//! DISCONNECT of both versions (section 3.14) and AUTH (MQTT 5, 3.15).

use super::*;
use crate::mqtt::{Auth, Disconnect};
use PacketKind as Kind;
use ReasonCode::{MalformedPacket as Malformed, ProtocolError};

fn reason(packet: PacketKind, sender: Sender, code: u8) -> Violation {
    Violation::Reason { packet, sender: sender.name(), code }
}

#[test]
fn a_disconnect_of_3_1_1_is_two_bytes_from_a_client() {
    accepts(b"\xe0\0", Sender::Client, Packet::Disconnect(Disconnect::default()));
}

#[test]
fn disconnects_are_read_with_and_without_what_they_may_leave_out() {
    let plain = Disconnect::default();
    let will = Disconnect::new(ReasonCode::DisconnectWithWill);
    let client: &[(&[u8], Disconnect<'_>)] = &[
        (b"\xe0\0", plain),
        (b"\xe0\x01\0", plain),
        (b"\xe0\x02\0\0", plain),
        (b"\xe0\x01\x04", will),
        (b"\xe0\x02\x04\0", will),
        (b"\xe0\x07\0\x05\x11\0\0\0\x3c", Disconnect { session_expiry_s: Some(60), ..plain }),
        (b"\xe0\x07\x04\x05\x11\xff\xff\xff\xff", Disconnect { session_expiry_s: Some(u32::MAX), ..will }),
        (b"\xe0\x06\0\x04\x1f\0\x01r", Disconnect { reason_string: Some("r"), ..plain }),
        (b"\xe0\x09\0\x07\x26\0\x01k\0\x01v", Disconnect { user: k_is_v(), ..plain }),
    ];
    for (bytes, expected) in client {
        accepts_5(bytes, Sender::Client, Packet::Disconnect(*expected));
    }
    let moved = Disconnect::new(ReasonCode::ServerMoved);
    let server: &[(&[u8], Disconnect<'_>)] = &[
        (b"\xe0\0", plain),
        (b"\xe0\x01\x8e", Disconnect::new(ReasonCode::SessionTakenOver)),
        (b"\xe0\x02\x8e\0", Disconnect::new(ReasonCode::SessionTakenOver)),
        (b"\xe0\x06\x9d\x04\x1c\0\x01s", Disconnect { server_reference: Some("s"), ..moved }),
        (
            b"\xe0\x0a\x9d\x08\x1c\0\x01s\x1f\0\x01r",
            Disconnect { server_reference: Some("s"), reason_string: Some("r"), ..moved },
        ),
    ];
    for (bytes, expected) in server {
        accepts_5(bytes, Sender::Server, Packet::Disconnect(*expected));
    }
}

/// The table of section 3.14.2.1 with its column "sent by"; 0x8C is in that of section 2.4.
#[test]
fn a_disconnect_says_a_reason_that_its_sender_may_say() {
    const BOTH: &[u8] = &[0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
    const CLIENT: &[u8] = &[0x04];
    const SERVER: &[u8] =
        &[0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2];
    for (sender, own) in [(Sender::Client, CLIENT), (Sender::Server, SERVER)] {
        for code in 0..=u8::MAX {
            let bytes = [0xe0, 1, code];
            if BOTH.contains(&code) || own.contains(&code) {
                let expected = Disconnect::new(ReasonCode::from_number(code).unwrap());
                accepts_5(&bytes, sender, Packet::Disconnect(expected));
            } else {
                refuses_5(&[(&bytes, reason(Kind::Disconnect, sender, code), ProtocolError)], sender);
            }
        }
    }
}

#[test]
fn bad_disconnects_are_refused() {
    let truncated = |field| Violation::Truncated { packet: Kind::Disconnect, field };
    let trailing = Violation::Trailing { packet: Kind::Disconnect, count: 1 };
    let rows: &[Refused<'_>] = &[
        (b"\xe0\x02\0\x01", truncated("properties"), Malformed),
        (b"\xe0\x02\0\x80", truncated("property length"), Malformed),
        (b"\xe0\x03\0\x80\0", Violation::OverlongInteger("property length"), Malformed),
        (b"\xe0\x03\0\0\0", trailing, Malformed),
        (b"\xe0\x06\0\x04\x1f\0\x01\0", Violation::Nul("reason string"), Malformed),
        (b"\xe0\x06\0\x04\x1c\0\x01\xff", Violation::NotUtf8("server reference"), Malformed),
    ];
    refuses_5(rows, Sender::Client);
    refuses_5(rows, Sender::Server);
    // [MQTT-3.14.2-2].
    let (packet, property) = (Kind::Disconnect, "session expiry interval");
    let expected = Violation::PropertySender { packet, sender: "server", property };
    refuses_5(&[(b"\xe0\x07\0\x05\x11\0\0\0\x3c", expected, ProtocolError)], Sender::Server);
}

#[test]
fn auths_are_read_as_section_3_15_draws_them() {
    let step = Auth {
        reason: ReasonCode::ContinueAuthentication,
        authentication_method: Some("m"),
        ..Auth::default()
    };
    let rows: &[(&[u8], Auth<'_>)] = &[
        (b"\xf0\x06\x18\x04\x15\0\x01m", step),
        (
            b"\xf0\x0b\x18\x09\x15\0\x01m\x16\0\x02\0\xff",
            Auth { authentication_data: Some(&[0, 255]), ..step },
        ),
        (b"\xf0\x0a\x18\x08\x1f\0\x01r\x15\0\x01m", Auth { reason_string: Some("r"), ..step }),
        (b"\xf0\x0d\x18\x0b\x15\0\x01m\x26\0\x01k\0\x01v", Auth { user: k_is_v(), ..step }),
    ];
    for (bytes, expected) in rows {
        accepts_5(bytes, Sender::Client, Packet::Auth(*expected));
        accepts_5(bytes, Sender::Server, Packet::Auth(*expected));
    }
    let again = Auth { reason: ReasonCode::ReAuthenticate, ..step };
    accepts_5(b"\xf0\x06\x19\x04\x15\0\x01m", Sender::Client, Packet::Auth(again));
    // "The Reason Code and Property Length can be omitted" for a success, which only a server has to tell.
    accepts_5(b"\xf0\0", Sender::Server, Packet::Auth(Auth::default()));
    let success = Auth { reason: ReasonCode::Success, ..step };
    accepts_5(b"\xf0\x06\0\x04\x15\0\x01m", Sender::Server, Packet::Auth(success));
}

#[test]
fn bad_auths_are_refused() {
    let truncated = |field| Violation::Truncated { packet: Kind::Auth, field };
    let trailing = Violation::Trailing { packet: Kind::Auth, count: 1 };
    let rows: &[Refused<'_>] = &[
        (b"\xf0\x01\x18", truncated("property length"), Malformed),
        (b"\xf0\x02\x18\0", Violation::AuthenticationMethod(Kind::Auth), ProtocolError),
        (b"\xf0\x06\x18\x04\x16\0\x01d", Violation::AuthenticationMethod(Kind::Auth), ProtocolError),
        (b"\xf0\x07\x18\x04\x15\0\x01m\0", trailing, Malformed),
        (b"\xf0\x06\x18\x04\x15\0\x01\0", Violation::Nul("authentication method"), Malformed),
    ];
    refuses_5(rows, Sender::Client);
    refuses_5(rows, Sender::Server);
    for (sender, allowed) in [(Sender::Client, [0x18, 0x19]), (Sender::Server, [0x00, 0x18])] {
        for code in (0..=u8::MAX).filter(|code| !allowed.contains(code)) {
            let bytes = framed(0xf0, &[&[code], b"\x04\x15\0\x01m"]);
            refuses_5(&[(&bytes, reason(Kind::Auth, sender, code), ProtocolError)], sender);
        }
    }
    refuses_5(&[(b"\xf0\0", reason(Kind::Auth, Sender::Client, 0), ProtocolError)], Sender::Client);
}
