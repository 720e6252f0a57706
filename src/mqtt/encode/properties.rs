//! Writing a block of properties (MQTT 5, 2.2.2): once to learn its length, once to the buffer.

use super::{EncodeError, variable, variable_size};
use crate::mqtt::packet::PublishProperties;
use crate::mqtt::property::Property;
use crate::mqtt::user::UserProperties;

/// Where the bytes of a block go: into a sum, or into a buffer.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for usize {
    fn put(&mut self, bytes: &[u8]) {
        *self += bytes.len();
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// How many bytes a block takes.
#[derive(Clone, Copy)]
pub(super) struct BlockLength {
    length: u32,
}

impl BlockLength {
    /// Learns it by writing into a sum; an error of `write` can only come here.
    pub(super) fn measure(
        write: impl FnOnce(&mut Properties<'_, usize>) -> Result<(), EncodeError>,
    ) -> Result<Self, EncodeError> {
        let mut size = 0;
        write(&mut Properties(&mut size))?;
        u32::try_from(size).map(|length| Self { length }).map_err(|_| EncodeError::PacketTooLong(size))
    }

    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }

    /// The size of the block and its length.
    pub(super) fn size(self) -> usize {
        variable_size(self.length) + self.length as usize
    }

    /// Appends the length and what `write` writes, which must be what was measured.
    pub(super) fn write(
        self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Properties<'_, Vec<u8>>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        variable(out, self.length);
        if self.is_empty() {
            return Ok(());
        }
        let start = out.len();
        write(&mut Properties(out))?;
        debug_assert_eq!(out.len() - start, self.length as usize, "measured as written");
        Ok(())
    }
}

/// Properties on their way into a sink. What is `None` is left out.
pub(super) struct Properties<'s, S>(&'s mut S);

impl<S: Sink> Properties<'_, S> {
    pub(super) fn byte(&mut self, property: Property, value: Option<u8>) {
        if let Some(value) = value {
            self.0.put(&[property.number(), value]);
        }
    }

    pub(super) fn flag(&mut self, property: Property, value: Option<bool>) {
        self.byte(property, value.map(u8::from));
    }

    pub(super) fn u16(&mut self, property: Property, value: Option<u16>) {
        if let Some(value) = value {
            let [high, low] = value.to_be_bytes();
            self.0.put(&[property.number(), high, low]);
        }
    }

    pub(super) fn u32(&mut self, property: Property, value: Option<u32>) {
        if let Some(value) = value {
            let [a, b, c, d] = value.to_be_bytes();
            self.0.put(&[property.number(), a, b, c, d]);
        }
    }

    pub(super) fn text(&mut self, property: Property, value: Option<&str>) -> Result<(), EncodeError> {
        self.bytes(property, value.map(str::as_bytes))
    }

    pub(super) fn bytes(&mut self, property: Property, value: Option<&[u8]>) -> Result<(), EncodeError> {
        let Some(value) = value else { return Ok(()) };
        self.0.put(&[property.number()]);
        self.field(property.name(), value)
    }

    pub(super) fn user(&mut self, user: UserProperties<'_>) -> Result<(), EncodeError> {
        for (name, value) in &user {
            self.0.put(&[Property::User.number()]);
            self.field("user property name", name.as_bytes())?;
            self.field("user property value", value.as_bytes())?;
        }
        Ok(())
    }

    /// What a PUBLISH and a will have in common.
    pub(super) fn message(&mut self, message: &PublishProperties<'_>) -> Result<(), EncodeError> {
        self.flag(Property::PayloadFormat, message.payload_is_utf8);
        self.u32(Property::MessageExpiry, message.message_expiry_s);
        self.text(Property::ResponseTopic, message.response_topic)?;
        self.bytes(Property::CorrelationData, message.correlation_data)?;
        self.text(Property::ContentType, message.content_type)?;
        self.user(message.user)
    }

    fn field(&mut self, field: &'static str, bytes: &[u8]) -> Result<(), EncodeError> {
        let too_long = |_| EncodeError::FieldTooLong { field, length: bytes.len() };
        let length = u16::try_from(bytes.len()).map_err(too_long)?;
        self.0.put(&length.to_be_bytes());
        self.0.put(bytes);
        Ok(())
    }
}
