//! What is refused, and byte vectors written by hand.

use super::*;
use crate::mqtt::{Connect, PacketId, SubAck};

type Write<'a> = &'a dyn Fn(&mut Vec<u8>) -> Result<(), EncodeError>;

#[test]
fn what_cannot_be_written_leaves_no_byte_behind() {
    let long = "x".repeat(65_536);
    let id = PacketId::FIRST;
    let v = Version::V311;
    let message = Publish::new("a", b"");
    let hello = Connect { password: Some(b"p"), ..Connect::new(v, "c") };
    let huge = vec![0; MAX_REMAINING];
    let too_long = |field| Err(EncodeError::FieldTooLong { field, length: 65_536 });
    let rows: &[(Write<'_>, Result<(), EncodeError>)] = &[
        (&|out| connect(out, &hello), Err(EncodeError::PasswordWithoutUsername)),
        (
            &|out| connect(out, &Connect { client_id: &long, password: None, ..hello }),
            too_long("client identifier"),
        ),
        (&|out| publish(out, v, &Publish { id: Some(id), ..message }), Err(EncodeError::QosMismatch)),
        (&|out| publish(out, v, &Publish { dup: true, ..message }), Err(EncodeError::QosMismatch)),
        (
            &|out| publish(out, v, &Publish { qos: QoS::AtLeastOnce, ..message }),
            Err(EncodeError::QosMismatch),
        ),
        (
            &|out| publish(out, v, &Publish { payload: &huge, ..message }),
            Err(EncodeError::PacketTooLong(MAX_REMAINING + 3)),
        ),
        (&|out| subscribe(out, v, id, &[]), Err(EncodeError::Empty("topic filter"))),
        (&|out| unsubscribe(out, v, id, &[]), Err(EncodeError::Empty("topic filter"))),
        (&|out| suback(out, v, &SubAck::new(id, &[])), Err(EncodeError::Empty("return code"))),
    ];
    for (row, (write, expected)) in rows.iter().enumerate() {
        let mut out = vec![7];
        assert_eq!(write(&mut out), *expected, "row {row}");
        assert_eq!(out, [7], "row {row}");
    }
}

#[test]
fn packet_identifiers_go_round_without_zero() {
    assert_eq!(PacketId::new(0), None);
    assert_eq!(PacketId::FIRST.next().get(), 2);
    assert_eq!(PacketId::new(u16::MAX).unwrap().next(), PacketId::FIRST);
}
