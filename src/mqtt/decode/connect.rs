//! Reading CONNECT and CONNACK (sections 3.1 and 3.2 of both standards).

use super::{Body, reasons};
use crate::mqtt::packet::{
    ConnAck, ConnAckProperties, Connect, ConnectProperties, PublishProperties, QoS, Version, Will,
};
use crate::mqtt::property::Property;
use crate::mqtt::reason::ReasonCode;
use crate::mqtt::violation::{PacketKind, Violation};

impl<'a> Body<'a> {
    pub(super) fn connect(mut self) -> Result<Connect<'a>, Violation> {
        self.version = self.protocol()?;
        if self.version == Version::V5 && self.overlong {
            return Err(Violation::OverlongInteger("remaining length"));
        }
        let flags = ConnectFlags::from(self.u8("connect flags")?, self.version)?;
        let keep_alive_s = self.u16("keep alive")?;
        let properties = self.connect_properties()?;
        let client_id = self.text("client identifier")?;
        let will = flags.will.map(|(qos, retain)| self.will(qos, retain)).transpose()?;
        let username = flags.username.then(|| self.text("user name")).transpose()?;
        let password = flags.password.then(|| self.field("password")).transpose()?;
        let (version, clean_start) = (self.version, flags.clean_start);
        self.end()?;
        Ok(Connect { version, client_id, clean_start, keep_alive_s, username, password, will, properties })
    }

    /// The protocol name and level. They come before everything else, so that a client of another
    /// version is told so whatever follows in its CONNECT.
    fn protocol(&mut self) -> Result<Version, Violation> {
        let name = self.field("protocol name")?;
        let level = self.u8("protocol level")?;
        match (name, level) {
            (b"MQTT", 4) => Ok(Version::V311),
            (b"MQTT", 5) => Ok(Version::V5),
            // MQTT 3.1, level 3, had a longer name.
            (b"MQTT", level) | (b"MQIsdp", level @ 3) => Err(Violation::UnsupportedLevel(level)),
            _ => Err(Violation::ProtocolName),
        }
    }

    fn connect_properties(&mut self) -> Result<ConnectProperties<'a>, Violation> {
        let mut block = self.properties()?;
        let mut read = ConnectProperties::NONE;
        while let Some(property) = block.next()? {
            match property {
                Property::SessionExpiry => read.session_expiry_s = block.u32(property)?,
                Property::ReceiveMaximum => read.receive_maximum = block.nonzero_u16(property)?.get(),
                Property::MaximumPacketSize => {
                    read.maximum_packet_size = Some(block.nonzero_u32(property)?);
                }
                Property::TopicAliasMaximum => read.topic_alias_maximum = block.u16(property)?,
                Property::RequestResponseInformation => {
                    read.request_response_information = block.flag(property)?;
                }
                Property::RequestProblemInformation => {
                    read.request_problem_information = block.flag(property)?;
                }
                Property::AuthenticationMethod => read.authentication_method = Some(block.text(property)?),
                Property::AuthenticationData => read.authentication_data = Some(block.bytes(property)?),
                other => block.other(other)?,
            }
        }
        if read.authentication_data.is_some() && read.authentication_method.is_none() {
            return Err(Violation::AuthenticationMethod(self.kind));
        }
        read.user = block.user();
        Ok(read)
    }

    fn will(&mut self, qos: QoS, retain: bool) -> Result<Will<'a>, Violation> {
        let mut block = self.properties_of("will")?;
        let (mut delay_s, mut properties) = (0, PublishProperties::NONE);
        while let Some(property) = block.next()? {
            match property {
                Property::WillDelay => delay_s = block.u32(property)?,
                other => block.message(other, &mut properties)?,
            }
        }
        properties.user = block.user();
        let topic = self.topic("will topic")?;
        Ok(Will { topic, payload: self.field("will message")?, qos, retain, delay_s, properties })
    }

    pub(super) fn connack(mut self) -> Result<ConnAck<'a>, Violation> {
        let flags = self.u8("connect acknowledge flags")?;
        let code = self.u8("return code")?;
        let reason = match self.version {
            Version::V311 => ReasonCode::from_return_code(code).ok_or(Violation::ConnAckCode(code))?,
            Version::V5 => reasons::checked(self.kind, self.sender, code)?,
        };
        let session_present = match flags {
            0 => false,
            1 if reason == ReasonCode::Success => true,
            1 => return Err(Violation::SessionPresentRefused),
            _ => return Err(Violation::ConnAckFlags(flags)),
        };
        let properties = self.connack_properties()?;
        self.end()?;
        Ok(ConnAck { session_present, reason, properties })
    }

    fn connack_properties(&mut self) -> Result<ConnAckProperties<'a>, Violation> {
        let mut block = self.properties()?;
        let mut read = ConnAckProperties::NONE;
        while let Some(property) = block.next()? {
            match property {
                Property::SessionExpiry => read.session_expiry_s = Some(block.u32(property)?),
                Property::ReceiveMaximum => read.receive_maximum = Some(block.nonzero_u16(property)?),
                Property::MaximumQos => read.maximum_qos = Some(block.qos(property)?),
                Property::RetainAvailable => read.retain_available = Some(block.flag(property)?),
                Property::MaximumPacketSize => {
                    read.maximum_packet_size = Some(block.nonzero_u32(property)?);
                }
                Property::AssignedClientIdentifier => read.assigned_client_id = Some(block.text(property)?),
                Property::TopicAliasMaximum => read.topic_alias_maximum = block.u16(property)?,
                Property::ReasonString => read.reason_string = Some(block.text(property)?),
                Property::WildcardSubscriptions => read.wildcard_subscriptions = Some(block.flag(property)?),
                Property::SubscriptionIdentifiers => {
                    read.subscription_identifiers = Some(block.flag(property)?);
                }
                Property::SharedSubscriptions => read.shared_subscriptions = Some(block.flag(property)?),
                Property::ServerKeepAlive => read.server_keep_alive_s = Some(block.u16(property)?),
                Property::ResponseInformation => read.response_information = Some(block.text(property)?),
                Property::ServerReference => read.server_reference = Some(block.text(property)?),
                Property::AuthenticationMethod => read.authentication_method = Some(block.text(property)?),
                Property::AuthenticationData => read.authentication_data = Some(block.bytes(property)?),
                other => block.other(other)?,
            }
        }
        read.user = block.user();
        Ok(read)
    }
}

/// The connect flags (section 3.1.2.3), checked against each other.
struct ConnectFlags {
    clean_start: bool,
    username: bool,
    password: bool,
    /// QoS and retain of the will, if there is one.
    will: Option<(QoS, bool)>,
}

impl ConnectFlags {
    fn from(flags: u8, version: Version) -> Result<Self, Violation> {
        let has = |bit: u8| flags & (1 << bit) != 0;
        let (will, will_qos, will_retain) = (has(2), (flags >> 3) & 0b11, has(5));
        let (password, username) = (has(6), has(7));
        let will = match (will, will_qos, will_retain) {
            _ if has(0) => return Err(Violation::ConnectReserved),
            (false, 0, false) => None,
            (false, 0, true) => return Err(Violation::WillRetainWithoutWill),
            (false, ..) => return Err(Violation::WillQosWithoutWill),
            (true, 0, retain) => Some((QoS::AtMostOnce, retain)),
            (true, 1, retain) => Some((QoS::AtLeastOnce, retain)),
            (true, 2, _) => return Err(Violation::QosTwo(PacketKind::Connect)),
            (true, ..) => return Err(Violation::WillQosThree),
        };
        // MQTT 5 lets a password stand alone: it may be a token (MQTT 5, 3.1.2.9).
        if password && !username && version == Version::V311 {
            return Err(Violation::PasswordWithoutUsername);
        }
        Ok(Self { clean_start: has(1), username, password, will })
    }
}
