//! SUBSCRIBE, UNSUBSCRIBE and their answers (sections 3.8 to 3.11 of both standards).

use super::*;
use crate::mqtt::{FilterRequest, RetainHandling, SubAck, UnsubAck};

#[test]
fn subscribes_are_written_as_section_3_8_draws_them() {
    let f = FilterRequest::new("f", QoS::AtMostOnce);
    // The same request in 3.1.1, which has no options but the QoS, and in MQTT 5.
    let rows: &[(FilterRequest<'_>, &[u8], &[u8])] = &[
        (f, b"\x82\x06\0\x0a\0\x01f\0", b"\x82\x07\0\x0a\0\0\x01f\0"),
        (
            FilterRequest { qos: QoS::AtLeastOnce, ..f },
            b"\x82\x06\0\x0a\0\x01f\x01",
            b"\x82\x07\0\x0a\0\0\x01f\x01",
        ),
        (FilterRequest { no_local: true, ..f }, b"\x82\x06\0\x0a\0\x01f\0", b"\x82\x07\0\x0a\0\0\x01f\x04"),
        (
            FilterRequest { retain_as_published: true, ..f },
            b"\x82\x06\0\x0a\0\x01f\0",
            b"\x82\x07\0\x0a\0\0\x01f\x08",
        ),
        (
            FilterRequest { retain_handling: RetainHandling::SendIfNew, ..f },
            b"\x82\x06\0\x0a\0\x01f\0",
            b"\x82\x07\0\x0a\0\0\x01f\x10",
        ),
        (
            FilterRequest { retain_handling: RetainHandling::DoNotSend, ..f },
            b"\x82\x06\0\x0a\0\x01f\0",
            b"\x82\x07\0\x0a\0\0\x01f\x20",
        ),
    ];
    for (request, v311, v5) in rows {
        writes(|out| subscribe(out, Version::V311, id(10), &[*request]), v311);
        writes(|out| subscribe(out, Version::V5, id(10), &[*request]), v5);
    }
    let two = [FilterRequest::new("a/b", QoS::AtLeastOnce), FilterRequest::new("c/#", QoS::AtMostOnce)];
    writes(|out| subscribe(out, Version::V311, id(10), &two), b"\x82\x0e\0\x0a\0\x03a/b\x01\0\x03c/#\0");
    writes(|out| subscribe(out, Version::V5, id(10), &two), b"\x82\x0f\0\x0a\0\0\x03a/b\x01\0\x03c/#\0");
}

#[test]
fn unsubscribes_are_written_as_section_3_10_draws_them() {
    let filters = ["a/b", "+"];
    writes(|out| unsubscribe(out, Version::V311, id(11), &filters), b"\xa2\x0a\0\x0b\0\x03a/b\0\x01+");
    writes(|out| unsubscribe(out, Version::V5, id(11), &filters), b"\xa2\x0b\0\x0b\0\0\x03a/b\0\x01+");
}

#[test]
fn answers_are_written_as_sections_3_9_and_3_11_draw_them() {
    let granted = SubAck::new(id(10), &[0, 1, 2, 0x80]);
    writes(|out| suback(out, Version::V311, &granted), b"\x90\x06\0\x0a\0\x01\x02\x80");
    writes(|out| suback(out, Version::V5, &granted), b"\x90\x07\0\x0a\0\0\x01\x02\x80");
    let denied = SubAck::new(id(10), &[0x87, 0xa1]);
    writes(|out| suback(out, Version::V5, &denied), b"\x90\x05\0\x0a\0\x87\xa1");
    let said = SubAck { reason_string: Some("r"), user: k_is_v(), ..SubAck::new(id(10), &[1]) };
    writes(|out| suback(out, Version::V5, &said), b"\x90\x0f\0\x0a\x0b\x1f\0\x01r\x26\0\x01k\0\x01v\x01");
    writes(|out| suback(out, Version::V311, &said), b"\x90\x03\0\x0a\x01");

    let removed = UnsubAck::new(id(10), &[0, 0x11]);
    writes(|out| unsuback(out, Version::V311, &removed), b"\xb0\x02\0\x0a");
    writes(|out| unsuback(out, Version::V5, &removed), b"\xb0\x05\0\x0a\0\0\x11");
    writes(|out| unsuback(out, Version::V311, &UnsubAck::new(id(10), &[])), b"\xb0\x02\0\x0a");
    let said = UnsubAck { reason_string: Some("r"), user: k_is_v(), ..UnsubAck::new(id(10), &[0]) };
    writes(|out| unsuback(out, Version::V5, &said), b"\xb0\x0f\0\x0a\x0b\x1f\0\x01r\x26\0\x01k\0\x01v\0");
}
