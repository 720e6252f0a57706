//! Reading SUBSCRIBE, UNSUBSCRIBE and their answers (sections 3.8 to 3.11 of both standards).

use super::{Body, reasons};
use crate::mqtt::filter::{filter_is_valid, split_shared};
use crate::mqtt::packet::{SubAck, Subscribe, UnsubAck, Unsubscribe, Version};
use crate::mqtt::property::Property;
use crate::mqtt::user::UserProperties;
use crate::mqtt::violation::Violation;

impl<'a> Body<'a> {
    pub(super) fn subscribe(mut self) -> Result<Subscribe<'a>, Violation> {
        let id = self.packet_id()?;
        let (mut block, mut subscription_id) = (self.properties()?, None);
        while let Some(property) = block.next()? {
            match property {
                Property::SubscriptionIdentifier => subscription_id = Some(block.subscription_id()?),
                other => block.other(other)?,
            }
        }
        let (user, requests, version) = (block.user(), self.reader.rest(), self.version);
        self.filters(|body, filter| {
            let options = body.u8("subscription options")?;
            match version {
                Version::V311 if options <= 2 => Ok(()),
                Version::V311 => Err(Violation::RequestedQos(options)),
                Version::V5 => check_options(options, filter),
            }
        })?;
        Ok(Subscribe { id, subscription_id, user, requests, version })
    }

    pub(super) fn unsubscribe(mut self) -> Result<Unsubscribe<'a>, Violation> {
        let id = self.packet_id()?;
        let mut block = self.properties()?;
        while let Some(property) = block.next()? {
            block.other(property)?;
        }
        let (user, filters) = (block.user(), self.reader.rest());
        self.filters(|_, _| Ok(()))?;
        Ok(Unsubscribe { id, user, filters })
    }

    pub(super) fn suback(mut self) -> Result<SubAck<'a>, Violation> {
        let id = self.packet_id()?;
        let (reason_string, user) = self.reason_properties()?;
        let codes = self.codes()?;
        if self.version == Version::V311 {
            let reserved = codes.iter().find(|code| !matches!(code, 0..=2 | 0x80));
            reserved.map_or(Ok(()), |code| Err(Violation::SubAckCode(*code)))?;
        }
        Ok(SubAck { id, codes, reason_string, user })
    }

    pub(super) fn unsuback(mut self) -> Result<UnsubAck<'a>, Violation> {
        let id = self.packet_id()?;
        if self.version == Version::V311 {
            return Ok(UnsubAck::new(id, &[]));
        }
        let (reason_string, user) = self.reason_properties()?;
        Ok(UnsubAck { id, codes: self.codes()?, reason_string, user })
    }

    /// The properties that every answer may have.
    pub(super) fn reason_properties(&mut self) -> Result<(Option<&'a str>, UserProperties<'a>), Violation> {
        let (mut block, mut reason_string) = (self.properties()?, None);
        while let Some(property) = block.next()? {
            match property {
                Property::ReasonString => reason_string = Some(block.text(property)?),
                other => block.other(other)?,
            }
        }
        Ok((reason_string, block.user()))
    }

    /// One code per filter of the packet that is answered: at least one. What 3.1.1 allows, its caller checks.
    fn codes(&self) -> Result<&'a [u8], Violation> {
        let (packet, codes) = (self.kind, self.reader.rest());
        if codes.is_empty() {
            return Err(Violation::Truncated { packet, field: "return codes" });
        }
        if self.version == Version::V5 {
            for code in codes {
                reasons::checked(packet, self.sender, *code)?;
            }
        }
        Ok(codes)
    }

    /// Checks all filters to the end of the body, each followed by what `then` reads.
    fn filters(
        &mut self,
        mut then: impl FnMut(&mut Self, &'a str) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if self.reader.is_empty() {
            return Err(Violation::NoFilter(self.kind));
        }
        while !self.reader.is_empty() {
            let field = "topic filter";
            let filter = self.utf8(field)?;
            let mut checked = filter_is_valid(filter);
            if self.version == Version::V5 {
                checked = checked.and_then(|()| split_shared(filter).map(drop));
            }
            checked.map_err(|error| Violation::Topic { field, error })?;
            then(self, filter)?;
        }
        Ok(())
    }
}

/// The subscription options of MQTT 5 (3.8.3.1).
fn check_options(options: u8, filter: &str) -> Result<(), Violation> {
    let (qos, no_local, handling) = (options & 0b11, options & 0b100 != 0, (options >> 4) & 0b11);
    match () {
        () if options & 0b1100_0000 != 0 => Err(Violation::SubscribeReserved(options)),
        () if qos == 3 => Err(Violation::RequestedQos(options)),
        () if handling == 3 => Err(Violation::RetainHandling(options)),
        () if no_local && filter.starts_with("$share/") => Err(Violation::SharedNoLocal),
        () => Ok(()),
    }
}
