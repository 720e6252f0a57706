//! Reading a block of properties (MQTT 5, 2.2.2): what they are, that none comes twice, and the ranges of
//! their values. Which packet takes which is said where the packet is read.

use std::num::{NonZeroU16, NonZeroU32};

use super::Body;
use crate::mqtt::filter::topic_is_valid;
use crate::mqtt::packet::{PublishProperties, QoS, Version};
use crate::mqtt::property::Property;
use crate::mqtt::reader::{BadInteger, Reader};
use crate::mqtt::user::UserProperties;
use crate::mqtt::violation::{PacketKind, Violation};

/// One block on its way to becoming values: `next` says what comes, one of the others reads its value.
pub(super) struct Properties<'a> {
    packet: PacketKind,
    /// Where the block stands: in a packet or its will.
    place: &'static str,
    block: &'a [u8],
    reader: Reader<'a>,
    /// Bit n is set once the property with the number n has come.
    seen: u64,
    /// Where the current property began.
    begun: usize,
    /// From the first user property to the end of the last.
    user: Option<(usize, usize)>,
}

impl<'a> Body<'a> {
    /// The properties that stand here; none in 3.1.1.
    pub(super) fn properties(&mut self) -> Result<Properties<'a>, Violation> {
        self.properties_of(self.kind.name())
    }

    pub(super) fn properties_of(&mut self, place: &'static str) -> Result<Properties<'a>, Violation> {
        let block = match self.version {
            Version::V311 => &[],
            Version::V5 => self.property_block()?,
        };
        Ok(Properties {
            packet: self.kind,
            place,
            block,
            reader: Reader::new(block),
            seen: 0,
            begun: 0,
            user: None,
        })
    }

    fn property_block(&mut self) -> Result<&'a [u8], Violation> {
        let length = match self.reader.variable() {
            Ok(Some(length)) => length as usize,
            Ok(None) => return Err(Violation::Truncated { packet: self.kind, field: "property length" }),
            Err(error) => return Err(bad_integer(error, "property length")),
        };
        self.reader.take(length).ok_or(Violation::Truncated { packet: self.kind, field: "properties" })
    }
}

impl<'a> Properties<'a> {
    /// The next property; its value is still to be read.
    pub(super) fn next(&mut self) -> Result<Option<Property>, Violation> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        self.begun = self.position();
        let property = match self.reader.variable() {
            Ok(Some(number)) => Property::from_number(number).ok_or(Violation::UnknownProperty(number))?,
            Ok(None) => return Err(self.truncated("property identifier")),
            Err(error) => return Err(bad_integer(error, "property identifier")),
        };
        let bit = 1 << property.number();
        if self.seen & bit != 0 && !self.may_repeat(property) {
            return Err(Violation::PropertyTwice { place: self.place, property: property.name() });
        }
        self.seen |= bit;
        Ok(Some(property))
    }

    /// A property that has no business here, or is the user's own, which may stand everywhere.
    pub(super) fn other(&mut self, property: Property) -> Result<(), Violation> {
        if property != Property::User {
            return Err(Violation::PropertyNotAllowed { place: self.place, property: property.name() });
        }
        for field in ["user property name", "user property value"] {
            self.string(field)?;
        }
        let first = self.user.map_or(self.begun, |(first, _)| first);
        self.user = Some((first, self.position()));
        Ok(())
    }

    /// The user properties, once all have been read.
    pub(super) fn user(&self) -> UserProperties<'a> {
        let stretch = self.user.and_then(|(first, end)| self.block.get(first..end));
        stretch.map_or(UserProperties::NONE, UserProperties::from_checked)
    }

    /// What a PUBLISH and a will have in common; anything else goes on to `other`.
    pub(super) fn message(
        &mut self,
        property: Property,
        message: &mut PublishProperties<'a>,
    ) -> Result<(), Violation> {
        match property {
            Property::PayloadFormat => message.payload_is_utf8 = Some(self.flag(property)?),
            Property::MessageExpiry => message.message_expiry_s = Some(self.u32(property)?),
            Property::ContentType => message.content_type = Some(self.text(property)?),
            Property::CorrelationData => message.correlation_data = Some(self.bytes(property)?),
            Property::ResponseTopic => {
                let (topic, field) = (self.text(property)?, property.name());
                topic_is_valid(topic).map_err(|error| Violation::Topic { field, error })?;
                message.response_topic = Some(topic);
            }
            other => return self.other(other),
        }
        Ok(())
    }

    /// A byte that is 0 or 1.
    pub(super) fn flag(&mut self, property: Property) -> Result<bool, Violation> {
        match self.reader.u8().ok_or(self.truncated(property.name()))? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(Violation::PropertyValue { property: property.name(), value: value.into() }),
        }
    }

    /// A maximum QoS; 2 is said by leaving the property out.
    pub(super) fn qos(&mut self, property: Property) -> Result<QoS, Violation> {
        self.flag(property).map(|one| if one { QoS::AtLeastOnce } else { QoS::AtMostOnce })
    }

    pub(super) fn u16(&mut self, property: Property) -> Result<u16, Violation> {
        self.reader.u16().ok_or(self.truncated(property.name()))
    }

    pub(super) fn u32(&mut self, property: Property) -> Result<u32, Violation> {
        self.reader.u32().ok_or(self.truncated(property.name()))
    }

    pub(super) fn nonzero_u16(&mut self, property: Property) -> Result<NonZeroU16, Violation> {
        let zero = Violation::PropertyValue { property: property.name(), value: 0 };
        NonZeroU16::new(self.u16(property)?).ok_or(zero)
    }

    pub(super) fn nonzero_u32(&mut self, property: Property) -> Result<NonZeroU32, Violation> {
        let zero = Violation::PropertyValue { property: property.name(), value: 0 };
        NonZeroU32::new(self.u32(property)?).ok_or(zero)
    }

    /// A subscription identifier: 1 to 268,435,455.
    pub(super) fn subscription_id(&mut self) -> Result<u32, Violation> {
        let property = Property::SubscriptionIdentifier.name();
        match self.reader.variable() {
            Ok(Some(0)) => Err(Violation::PropertyValue { property, value: 0 }),
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(self.truncated(property)),
            Err(error) => Err(bad_integer(error, property)),
        }
    }

    pub(super) fn bytes(&mut self, property: Property) -> Result<&'a [u8], Violation> {
        self.reader.field().ok_or(self.truncated(property.name()))
    }

    pub(super) fn text(&mut self, property: Property) -> Result<&'a str, Violation> {
        self.string(property.name())
    }

    fn string(&mut self, field: &'static str) -> Result<&'a str, Violation> {
        let bytes = self.reader.field().ok_or(self.truncated(field))?;
        let text = std::str::from_utf8(bytes).map_err(|_| Violation::NotUtf8(field))?;
        if text.contains('\0') { Err(Violation::Nul(field)) } else { Ok(text) }
    }

    /// A message can come of several subscriptions with identifiers (MQTT 5, 3.3.2.3.8).
    fn may_repeat(&self, property: Property) -> bool {
        property == Property::User
            || (property == Property::SubscriptionIdentifier && self.packet == PacketKind::Publish)
    }

    fn position(&self) -> usize {
        self.block.len() - self.reader.rest().len()
    }

    fn truncated(&self, field: &'static str) -> Violation {
        Violation::Truncated { packet: self.packet, field }
    }
}

fn bad_integer(error: BadInteger, field: &'static str) -> Violation {
    match error {
        BadInteger::Unended => Violation::UnendedInteger(field),
        BadInteger::Overlong => Violation::OverlongInteger(field),
    }
}
