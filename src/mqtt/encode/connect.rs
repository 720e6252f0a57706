//! Writing CONNECT and CONNACK (sections 3.1 and 3.2 of both standards).

use super::properties::{BlockLength, Properties, Sink};
use super::{EncodeError, Field, header, topic_is_made_here};
use crate::mqtt::decode::may_carry;
use crate::mqtt::packet::{ConnAck, Connect, Version, Will};
use crate::mqtt::property::Property;
use crate::mqtt::reason::ReasonCode;
use crate::mqtt::violation::PacketKind;

/// Appends a CONNECT for the version it names.
pub fn connect(out: &mut Vec<u8>, connect: &Connect<'_>) -> Result<(), EncodeError> {
    if connect.password.is_some() && connect.username.is_none() && connect.version == Version::V311 {
        return Err(EncodeError::PasswordWithoutUsername);
    }
    let block = match connect.version {
        Version::V311 => None,
        Version::V5 => Some(BlockLength::measure(|block| connect_properties(block, connect))?),
    };
    let client_id = Field::new("client identifier", connect.client_id.as_bytes())?;
    let will = connect.will.as_ref().map(|will| WillFields::new(will, connect.version)).transpose()?;
    let username = connect.username.map(|name| Field::new("user name", name.as_bytes())).transpose()?;
    let password = connect.password.map(|bytes| Field::new("password", bytes)).transpose()?;
    let body = 10
        + block.map_or(0, BlockLength::size)
        + client_id.size()
        + will.as_ref().map_or(0, WillFields::size)
        + username.map_or(0, Field::size)
        + password.map_or(0, Field::size);

    header(out, 0x10, body)?;
    let level = match connect.version {
        Version::V311 => 4,
        Version::V5 => 5,
    };
    out.extend_from_slice(&[0, 4, b'M', b'Q', b'T', b'T', level, connect_flags(connect)]);
    out.extend_from_slice(&connect.keep_alive_s.to_be_bytes());
    if let Some(block) = block {
        block.write(out, |block| connect_properties(block, connect))?;
    }
    client_id.write(out);
    if let Some(will) = will {
        will.write(out)?;
    }
    [username, password].into_iter().flatten().for_each(|field| field.write(out));
    Ok(())
}

/// Appends a CONNACK. 3.1.1 has no code for most reasons ([MQTT-3.2.2-6] of 3.1.1) and no properties. A
/// session can be present only with [`ReasonCode::Success`] and is not said with another.
pub fn connack(out: &mut Vec<u8>, version: Version, connack: &ConnAck<'_>) -> Result<(), EncodeError> {
    let reason = connack.reason;
    let flags = u8::from(connack.session_present && reason == ReasonCode::Success);
    match version {
        Version::V311 => {
            let code = reason.return_code().ok_or(EncodeError::Reason(PacketKind::ConnAck, reason))?;
            out.extend_from_slice(&[0x20, 2, flags, code]);
            Ok(())
        }
        Version::V5 => {
            if !may_carry(PacketKind::ConnAck, reason.number()) {
                return Err(EncodeError::Reason(PacketKind::ConnAck, reason));
            }
            let block = BlockLength::measure(|block| connack_properties(block, connack))?;
            header(out, 0x20, 2 + block.size())?;
            out.extend_from_slice(&[flags, reason.number()]);
            block.write(out, |block| connack_properties(block, connack))
        }
    }
}

fn connect_flags(connect: &Connect<'_>) -> u8 {
    let will =
        connect.will.map_or(0, |will| (1 << 2) | ((will.qos as u8) << 3) | (u8::from(will.retain) << 5));
    (u8::from(connect.clean_start) << 1)
        | will
        | (u8::from(connect.password.is_some()) << 6)
        | (u8::from(connect.username.is_some()) << 7)
}

/// What has the value that an absent property means is left out.
fn connect_properties<S: Sink>(
    block: &mut Properties<'_, S>,
    connect: &Connect<'_>,
) -> Result<(), EncodeError> {
    let properties = &connect.properties;
    if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
        return Err(EncodeError::AuthenticationMethod);
    }
    let session_expiry_s = properties.session_expiry_s;
    block.u32(Property::SessionExpiry, (session_expiry_s > 0).then_some(session_expiry_s));
    let receive_maximum = properties.receive_maximum;
    if receive_maximum == 0 {
        return Err(EncodeError::ReceiveMaximum);
    }
    block.u16(Property::ReceiveMaximum, (receive_maximum < u16::MAX).then_some(receive_maximum));
    block.u32(Property::MaximumPacketSize, properties.maximum_packet_size.map(Into::into));
    let alias_maximum = properties.topic_alias_maximum;
    block.u16(Property::TopicAliasMaximum, (alias_maximum > 0).then_some(alias_maximum));
    block.byte(Property::RequestResponseInformation, properties.request_response_information.then_some(1));
    let no_problem_information = !properties.request_problem_information;
    block.byte(Property::RequestProblemInformation, no_problem_information.then_some(0));
    block.text(Property::AuthenticationMethod, properties.authentication_method)?;
    block.bytes(Property::AuthenticationData, properties.authentication_data)?;
    block.user(properties.user)
}

fn connack_properties<S: Sink>(
    block: &mut Properties<'_, S>,
    connack: &ConnAck<'_>,
) -> Result<(), EncodeError> {
    let properties = &connack.properties;
    block.u32(Property::SessionExpiry, properties.session_expiry_s);
    block.u16(Property::ReceiveMaximum, properties.receive_maximum.map(Into::into));
    block.byte(Property::MaximumQos, properties.maximum_qos.map(|qos| qos as u8));
    block.flag(Property::RetainAvailable, properties.retain_available);
    block.u32(Property::MaximumPacketSize, properties.maximum_packet_size.map(Into::into));
    block.text(Property::AssignedClientIdentifier, properties.assigned_client_id)?;
    let alias_maximum = properties.topic_alias_maximum;
    block.u16(Property::TopicAliasMaximum, (alias_maximum > 0).then_some(alias_maximum));
    block.text(Property::ReasonString, properties.reason_string)?;
    block.user(properties.user)?;
    block.flag(Property::WildcardSubscriptions, properties.wildcard_subscriptions);
    block.flag(Property::SubscriptionIdentifiers, properties.subscription_identifiers);
    block.flag(Property::SharedSubscriptions, properties.shared_subscriptions);
    block.u16(Property::ServerKeepAlive, properties.server_keep_alive_s);
    block.text(Property::ResponseInformation, properties.response_information)?;
    block.text(Property::ServerReference, properties.server_reference)?;
    block.text(Property::AuthenticationMethod, properties.authentication_method)?;
    block.bytes(Property::AuthenticationData, properties.authentication_data)
}

/// A will as it stands in the payload.
struct WillFields<'a> {
    will: &'a Will<'a>,
    block: Option<BlockLength>,
    topic: Field<'a>,
    payload: Field<'a>,
}

impl<'a> WillFields<'a> {
    fn new(will: &'a Will<'a>, version: Version) -> Result<Self, EncodeError> {
        topic_is_made_here(will.topic);
        if will.topic.is_empty() {
            return Err(EncodeError::NoTopic);
        }
        let block = match version {
            Version::V311 => None,
            Version::V5 => Some(BlockLength::measure(|block| will_properties(block, will))?),
        };
        let topic = Field::new("will topic", will.topic.as_bytes())?;
        Ok(Self { will, block, topic, payload: Field::new("will message", will.payload)? })
    }

    fn size(&self) -> usize {
        self.block.map_or(0, BlockLength::size) + self.topic.size() + self.payload.size()
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if let Some(block) = self.block {
            block.write(out, |block| will_properties(block, self.will))?;
        }
        self.topic.write(out);
        self.payload.write(out);
        Ok(())
    }
}

fn will_properties<S: Sink>(block: &mut Properties<'_, S>, will: &Will<'_>) -> Result<(), EncodeError> {
    block.u32(Property::WillDelay, (will.delay_s > 0).then_some(will.delay_s));
    block.message(&will.properties)
}
