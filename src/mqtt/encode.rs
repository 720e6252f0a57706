//! Packets to bytes. Every function appends one whole packet to `out`, or nothing and says why.
//!
//! Lengths and the agreement of flags are checked here, the characters of topics and filters are not:
//! whoever makes a topic name from outside data checks it with `topic_is_valid` where it comes in.

use super::filter::{filter_is_valid, topic_is_valid};
use super::packet::{
    ConnAck, Connect, Disconnect, FilterRequest, PacketId, PubAck, Publish, QoS, SubAck, UnsubAck, Version,
    Will,
};
use super::reason::ReasonCode;

/// The largest remaining length that four bytes can say (table 2.4).
const MAX_REMAINING: usize = 268_435_455;

/// Why a packet cannot be written. Nothing was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field does not fit its two-byte length.
    #[error("{field} has {length} bytes, at most 65535 fit")]
    FieldTooLong {
        /// Which field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// The packet does not fit its four-byte length.
    #[error("packet body has {0} bytes, at most 268435455 fit")]
    PacketTooLong(usize),
    /// A PUBLISH whose QoS, identifier and DUP flag do not fit together.
    #[error("a packet identifier goes with QoS 1 and only with it, the DUP flag not with QoS 0")]
    QosMismatch,
    /// A CONNECT with a password and no user name.
    #[error("a password needs a user name")]
    PasswordWithoutUsername,
    /// A reason that a CONNACK of 3.1.1 has no return code for ([MQTT-3.2.2-6]).
    #[error("a CONNACK of MQTT 3.1.1 cannot say {0}")]
    NoReturnCode(ReasonCode),
    /// A list that must have an entry has none.
    #[error("at least one {0} is needed")]
    Empty(&'static str),
}

/// Appends a CONNECT for protocol level 4.
pub fn connect(out: &mut Vec<u8>, connect: &Connect<'_>) -> Result<(), EncodeError> {
    if connect.password.is_some() && connect.username.is_none() {
        return Err(EncodeError::PasswordWithoutUsername);
    }
    let client_id = Field::new("client identifier", connect.client_id.as_bytes())?;
    let will = connect.will.as_ref().map(will_fields).transpose()?;
    let username = connect.username.map(|name| Field::new("user name", name.as_bytes())).transpose()?;
    let password = connect.password.map(|bytes| Field::new("password", bytes)).transpose()?;
    let fields = || [client_id].into_iter().chain(will.into_iter().flatten()).chain(username).chain(password);
    let body = 10 + fields().map(Field::size).sum::<usize>();

    header(out, 0x10, body)?;
    out.extend_from_slice(&[0, 4, b'M', b'Q', b'T', b'T', 4, connect_flags(connect)]);
    out.extend_from_slice(&connect.keep_alive_s.to_be_bytes());
    fields().for_each(|field| field.write(out));
    Ok(())
}

/// Appends a CONNACK. The session is only present with [`ReasonCode::Success`] ([MQTT-3.2.2-4]).
pub fn connack(out: &mut Vec<u8>, _version: Version, connack: &ConnAck<'_>) -> Result<(), EncodeError> {
    let code = connack.reason.return_code().ok_or(EncodeError::NoReturnCode(connack.reason))?;
    let flags = u8::from(connack.session_present && connack.reason == ReasonCode::Success);
    out.extend_from_slice(&[0x20, 2, flags, code]);
    Ok(())
}

/// Appends a PUBLISH.
pub fn publish(out: &mut Vec<u8>, _version: Version, publish: &Publish<'_>) -> Result<(), EncodeError> {
    debug_assert_eq!(topic_is_valid(publish.topic), Ok(()), "made from unchecked data");
    let at_least_once = publish.qos == QoS::AtLeastOnce;
    if publish.id.is_some() != at_least_once || (publish.dup && !at_least_once) {
        return Err(EncodeError::QosMismatch);
    }
    let topic = Field::new("topic name", publish.topic.as_bytes())?;
    let body = topic.size() + if at_least_once { 2 } else { 0 } + publish.payload.len();
    let flags = (u8::from(publish.dup) << 3) | ((publish.qos as u8) << 1) | u8::from(publish.retain);

    header(out, 0x30 | flags, body)?;
    topic.write(out);
    if let Some(id) = publish.id {
        out.extend_from_slice(&id.get().to_be_bytes());
    }
    out.extend_from_slice(publish.payload);
    Ok(())
}

/// Appends a PUBACK.
pub fn puback(out: &mut Vec<u8>, _version: Version, puback: &PubAck<'_>) -> Result<(), EncodeError> {
    acknowledge(out, 0x40, puback.id);
    Ok(())
}

/// Appends a SUBSCRIBE for the filters; 3.1.1 has no options but the QoS.
pub fn subscribe(
    out: &mut Vec<u8>,
    _version: Version,
    id: PacketId,
    filters: &[FilterRequest<'_>],
) -> Result<(), EncodeError> {
    if filters.is_empty() {
        return Err(EncodeError::Empty("topic filter"));
    }
    let mut body = 2;
    for request in filters {
        body += filter_field(request.filter)?.size() + 1;
    }
    header(out, 0x82, body)?;
    out.extend_from_slice(&id.get().to_be_bytes());
    for request in filters {
        filter_field(request.filter)?.write(out);
        out.push(request.qos as u8);
    }
    Ok(())
}

/// Appends a SUBACK with one code per filter of the SUBSCRIBE.
pub fn suback(out: &mut Vec<u8>, _version: Version, suback: &SubAck<'_>) -> Result<(), EncodeError> {
    if suback.codes.is_empty() {
        return Err(EncodeError::Empty("return code"));
    }
    header(out, 0x90, 2 + suback.codes.len())?;
    out.extend_from_slice(&suback.id.get().to_be_bytes());
    out.extend_from_slice(suback.codes);
    Ok(())
}

/// Appends an UNSUBSCRIBE for the filters.
pub fn unsubscribe(
    out: &mut Vec<u8>,
    _version: Version,
    id: PacketId,
    filters: &[&str],
) -> Result<(), EncodeError> {
    if filters.is_empty() {
        return Err(EncodeError::Empty("topic filter"));
    }
    let mut body = 2;
    for filter in filters {
        body += filter_field(filter)?.size();
    }
    header(out, 0xa2, body)?;
    out.extend_from_slice(&id.get().to_be_bytes());
    for filter in filters {
        filter_field(filter)?.write(out);
    }
    Ok(())
}

/// Appends an UNSUBACK.
pub fn unsuback(out: &mut Vec<u8>, _version: Version, unsuback: &UnsubAck<'_>) -> Result<(), EncodeError> {
    acknowledge(out, 0xb0, unsuback.id);
    Ok(())
}

/// Appends a PINGREQ.
pub fn pingreq(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xc0, 0]);
}

/// Appends a PINGRESP.
pub fn pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xd0, 0]);
}

/// Appends a DISCONNECT.
pub fn disconnect(
    out: &mut Vec<u8>,
    _version: Version,
    _disconnect: &Disconnect<'_>,
) -> Result<(), EncodeError> {
    out.extend_from_slice(&[0xe0, 0]);
    Ok(())
}

fn connect_flags(connect: &Connect<'_>) -> u8 {
    let will =
        connect.will.map_or(0, |will| (1 << 2) | ((will.qos as u8) << 3) | (u8::from(will.retain) << 5));
    (u8::from(connect.clean_start) << 1)
        | will
        | (u8::from(connect.password.is_some()) << 6)
        | (u8::from(connect.username.is_some()) << 7)
}

fn will_fields<'a>(will: &Will<'a>) -> Result<[Field<'a>; 2], EncodeError> {
    debug_assert_eq!(topic_is_valid(will.topic), Ok(()), "made from unchecked data");
    Ok([Field::new("will topic", will.topic.as_bytes())?, Field::new("will message", will.payload)?])
}

fn filter_field(filter: &str) -> Result<Field<'_>, EncodeError> {
    debug_assert_eq!(filter_is_valid(filter), Ok(()), "made from unchecked data");
    Field::new("topic filter", filter.as_bytes())
}

fn acknowledge(out: &mut Vec<u8>, first: u8, id: PacketId) {
    let [high, low] = id.get().to_be_bytes();
    out.extend_from_slice(&[first, 2, high, low]);
}

/// Appends the first byte and the remaining length, and makes room for the body.
fn header(out: &mut Vec<u8>, first: u8, body: usize) -> Result<(), EncodeError> {
    if body > MAX_REMAINING {
        return Err(EncodeError::PacketTooLong(body));
    }
    out.reserve(5 + body);
    out.push(first);
    let mut left = body;
    loop {
        let [low, ..] = left.to_le_bytes();
        left >>= 7;
        if left == 0 {
            out.push(low & 0x7f);
            return Ok(());
        }
        out.push(low | 0x80);
    }
}

/// Bytes that go behind a two-byte length and are known to fit it.
#[derive(Clone, Copy)]
struct Field<'a> {
    length: u16,
    bytes: &'a [u8],
}

impl<'a> Field<'a> {
    fn new(field: &'static str, bytes: &'a [u8]) -> Result<Self, EncodeError> {
        let too_long = |_| EncodeError::FieldTooLong { field, length: bytes.len() };
        u16::try_from(bytes.len()).map(|length| Self { length, bytes }).map_err(too_long)
    }

    fn size(self) -> usize {
        2 + self.bytes.len()
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.length.to_be_bytes());
        out.extend_from_slice(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
