//! DISCONNECT (section 3.14 of both standards) and AUTH (MQTT 5, 3.15).

use super::*;

#[test]
fn disconnects_are_written_as_section_3_14_draws_them() {
    let plain = Disconnect::default();
    writes(|out| disconnect(out, Version::V311, &plain), b"\xe0\0");
    let taken_over = Disconnect::new(ReasonCode::SessionTakenOver);
    let rows: &[(Disconnect<'_>, &[u8])] = &[
        (plain, b"\xe0\0"),
        // Not the shortest that is allowed, for the sake of those who do not read that.
        (taken_over, b"\xe0\x02\x8e\0"),
        (Disconnect::new(ReasonCode::DisconnectWithWill), b"\xe0\x02\x04\0"),
        (Disconnect { session_expiry_s: Some(60), ..plain }, b"\xe0\x07\0\x05\x11\0\0\0\x3c"),
        (Disconnect { session_expiry_s: Some(0), ..plain }, b"\xe0\x07\0\x05\x11\0\0\0\0"),
        (Disconnect { reason_string: Some("r"), ..taken_over }, b"\xe0\x06\x8e\x04\x1f\0\x01r"),
        (
            Disconnect { server_reference: Some("s"), ..Disconnect::new(ReasonCode::UseAnotherServer) },
            b"\xe0\x06\x9c\x04\x1c\0\x01s",
        ),
        (Disconnect { user: k_is_v(), ..plain }, b"\xe0\x09\0\x07\x26\0\x01k\0\x01v"),
    ];
    for (packet, expected) in rows {
        writes(|out| disconnect(out, Version::V5, packet), expected);
    }
}

#[test]
fn auths_are_written_as_section_3_15_draws_them() {
    let step = Auth {
        reason: ReasonCode::ContinueAuthentication,
        authentication_method: Some("m"),
        ..Auth::default()
    };
    let rows: &[(Auth<'_>, &[u8])] = &[
        (Auth::default(), b"\xf0\0"),
        (step, b"\xf0\x06\x18\x04\x15\0\x01m"),
        (Auth { reason: ReasonCode::Success, ..step }, b"\xf0\x06\0\x04\x15\0\x01m"),
        (
            Auth { authentication_data: Some(&[0, 255]), ..step },
            b"\xf0\x0b\x18\x09\x15\0\x01m\x16\0\x02\0\xff",
        ),
        (
            Auth { reason_string: Some("r"), user: k_is_v(), ..step },
            b"\xf0\x11\x18\x0f\x15\0\x01m\x1f\0\x01r\x26\0\x01k\0\x01v",
        ),
    ];
    for (packet, expected) in rows {
        writes(|out| auth(out, packet), expected);
    }
}
