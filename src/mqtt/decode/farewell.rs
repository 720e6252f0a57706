//! Reading PUBACK, DISCONNECT and AUTH, which may leave out what needs no saying (sections 3.4, 3.14 and 3.15 of
//! MQTT 5).

use super::{Body, Sender, reasons};
use crate::mqtt::packet::{Auth, Disconnect, PubAck};
use crate::mqtt::property::Property;
use crate::mqtt::reason::ReasonCode;
use crate::mqtt::violation::Violation;

impl<'a> Body<'a> {
    pub(super) fn puback(mut self) -> Result<PubAck<'a>, Violation> {
        let id = self.packet_id()?;
        let Some(reason) = self.reason_if_any()? else { return Ok(PubAck::new(id)) };
        // "If the Remaining Length is less than 4 there is no Property Length" (3.4.2.2.1).
        if self.reader.is_empty() {
            return Ok(PubAck { reason, ..PubAck::new(id) });
        }
        let (reason_string, user) = self.reason_properties()?;
        self.end()?;
        Ok(PubAck { id, reason, reason_string, user })
    }

    pub(super) fn disconnect(mut self) -> Result<Disconnect<'a>, Violation> {
        let Some(reason) = self.reason_if_any()? else { return Ok(Disconnect::default()) };
        let mut read = Disconnect::new(reason);
        // "If the Remaining Length is less than 2, a value of 0 is used" (3.14.2.2.1).
        if self.reader.is_empty() {
            return Ok(read);
        }
        let mut block = self.properties()?;
        while let Some(property) = block.next()? {
            match property {
                Property::SessionExpiry if self.sender == Sender::Server => {
                    return Err(self.property_of_other_end(property));
                }
                Property::SessionExpiry => read.session_expiry_s = Some(block.u32(property)?),
                Property::ReasonString => read.reason_string = Some(block.text(property)?),
                Property::ServerReference => read.server_reference = Some(block.text(property)?),
                other => block.other(other)?,
            }
        }
        read.user = block.user();
        self.end()?;
        Ok(read)
    }

    pub(super) fn auth(mut self) -> Result<Auth<'a>, Violation> {
        // Nothing at all is the success of an authentication that needs no data (3.15.2.1).
        let Some(reason) = self.reason_if_any()? else {
            reasons::checked(self.kind, self.sender, ReasonCode::Success.number())?;
            return Ok(Auth::default());
        };
        let mut read = Auth { reason, ..Auth::default() };
        let mut block = self.properties()?;
        while let Some(property) = block.next()? {
            match property {
                Property::AuthenticationMethod => read.authentication_method = Some(block.text(property)?),
                Property::AuthenticationData => read.authentication_data = Some(block.bytes(property)?),
                Property::ReasonString => read.reason_string = Some(block.text(property)?),
                other => block.other(other)?,
            }
        }
        if read.authentication_method.is_none() {
            return Err(Violation::AuthenticationMethod(self.kind));
        }
        read.user = block.user();
        self.end()?;
        Ok(read)
    }

    /// The reason code, unless the body ends here, which means success.
    fn reason_if_any(&mut self) -> Result<Option<ReasonCode>, Violation> {
        let code = self.reader.u8();
        code.map(|code| reasons::checked(self.kind, self.sender, code)).transpose()
    }
}
