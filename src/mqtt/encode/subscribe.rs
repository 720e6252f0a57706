//! Writing SUBSCRIBE, UNSUBSCRIBE and their answers (sections 3.8 to 3.11 of both standards).

use super::properties::BlockLength;
use super::{EncodeError, Field, header};
use crate::mqtt::decode::may_carry;
use crate::mqtt::filter::filter_is_valid;
use crate::mqtt::packet::{FilterRequest, PacketId, SubAck, UnsubAck, Version};
use crate::mqtt::property::Property;
use crate::mqtt::user::UserProperties;
use crate::mqtt::violation::PacketKind;

/// Appends a SUBSCRIBE without properties for the filters; 3.1.1 has no options but the QoS.
pub fn subscribe(
    out: &mut Vec<u8>,
    version: Version,
    id: PacketId,
    filters: &[FilterRequest<'_>],
) -> Result<(), EncodeError> {
    if filters.is_empty() {
        return Err(EncodeError::Empty("topic filter"));
    }
    let mut body = 2 + usize::from(version == Version::V5);
    for request in filters {
        if version == Version::V5 && request.no_local && request.filter.starts_with("$share/") {
            return Err(EncodeError::SharedNoLocal);
        }
        body += filter_field(request.filter)?.size() + 1;
    }
    head(out, 0x82, body, version, id)?;
    for request in filters {
        filter_field(request.filter)?.write(out);
        out.push(match version {
            Version::V311 => request.qos as u8,
            Version::V5 => options(request),
        });
    }
    Ok(())
}

/// Appends an UNSUBSCRIBE without properties for the filters.
pub fn unsubscribe(
    out: &mut Vec<u8>,
    version: Version,
    id: PacketId,
    filters: &[&str],
) -> Result<(), EncodeError> {
    if filters.is_empty() {
        return Err(EncodeError::Empty("topic filter"));
    }
    let mut body = 2 + usize::from(version == Version::V5);
    for filter in filters {
        body += filter_field(filter)?.size();
    }
    head(out, 0xa2, body, version, id)?;
    for filter in filters {
        filter_field(filter)?.write(out);
    }
    Ok(())
}

/// Appends a SUBACK with one code per filter of the SUBSCRIBE.
pub fn suback(out: &mut Vec<u8>, version: Version, suback: &SubAck<'_>) -> Result<(), EncodeError> {
    let kind = PacketKind::SubAck;
    let allowed = |code: u8| match version {
        Version::V311 => matches!(code, 0..=2 | 0x80),
        Version::V5 => may_carry(kind, code),
    };
    let answer = Answer { kind, id: suback.id, codes: suback.codes };
    answer.write(out, version, allowed, suback.reason_string, suback.user)
}

/// Appends an UNSUBACK with one code per filter of the UNSUBSCRIBE; 3.1.1 has none and writes none.
pub fn unsuback(out: &mut Vec<u8>, version: Version, unsuback: &UnsubAck<'_>) -> Result<(), EncodeError> {
    let kind = PacketKind::UnsubAck;
    match version {
        Version::V311 => {
            let [high, low] = unsuback.id.get().to_be_bytes();
            out.extend_from_slice(&[0xb0, 2, high, low]);
            Ok(())
        }
        Version::V5 => {
            let answer = Answer { kind, id: unsuback.id, codes: unsuback.codes };
            let allowed = |code| may_carry(kind, code);
            answer.write(out, version, allowed, unsuback.reason_string, unsuback.user)
        }
    }
}

/// What SUBACK and UNSUBACK have in common.
struct Answer<'a> {
    kind: PacketKind,
    id: PacketId,
    codes: &'a [u8],
}

impl Answer<'_> {
    fn write(
        self,
        out: &mut Vec<u8>,
        version: Version,
        allowed: impl Fn(u8) -> bool,
        reason_string: Option<&str>,
        user: UserProperties<'_>,
    ) -> Result<(), EncodeError> {
        if self.codes.is_empty() {
            return Err(EncodeError::Empty("return code"));
        }
        if let Some(code) = self.codes.iter().find(|code| !allowed(**code)) {
            return Err(EncodeError::Code(self.kind, *code));
        }
        let block = match version {
            Version::V311 => None,
            Version::V5 => Some(BlockLength::measure(|block| {
                block.text(Property::ReasonString, reason_string)?;
                block.user(user)
            })?),
        };
        header(out, (self.kind as u8) << 4, 2 + block.map_or(0, BlockLength::size) + self.codes.len())?;
        out.extend_from_slice(&self.id.get().to_be_bytes());
        if let Some(block) = block {
            block.write(out, |block| {
                block.text(Property::ReasonString, reason_string)?;
                block.user(user)
            })?;
        }
        out.extend_from_slice(self.codes);
        Ok(())
    }
}

/// The header, the identifier and in MQTT 5 an empty block of properties.
fn head(
    out: &mut Vec<u8>,
    first: u8,
    body: usize,
    version: Version,
    id: PacketId,
) -> Result<(), EncodeError> {
    header(out, first, body)?;
    out.extend_from_slice(&id.get().to_be_bytes());
    if version == Version::V5 {
        out.push(0);
    }
    Ok(())
}

/// The subscription options of MQTT 5 (3.8.3.1).
fn options(request: &FilterRequest<'_>) -> u8 {
    (request.qos as u8)
        | (u8::from(request.no_local) << 2)
        | (u8::from(request.retain_as_published) << 3)
        | ((request.retain_handling as u8) << 4)
}

fn filter_field(filter: &str) -> Result<Field<'_>, EncodeError> {
    debug_assert_eq!(filter_is_valid(filter), Ok(()), "made from unchecked data");
    Field::new("topic filter", filter.as_bytes())
}
