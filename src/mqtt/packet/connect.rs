//! CONNECT with its will, and CONNACK (section 3.1 and 3.2 of both standards).

use std::num::{NonZeroU16, NonZeroU32};

use super::{PublishProperties, QoS, Version};
use crate::mqtt::reason::ReasonCode;
use crate::mqtt::user::UserProperties;

/// The first packet of a client (section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The protocol it asks for; everything after it on this connection is read by that.
    pub version: Version,
    /// The client identifier; may be empty (3.1.1: if `clean_start`).
    pub client_id: &'a str,
    /// Whether an earlier session is forgotten. In 3.1.1, where it is called clean session, the session also
    /// ends with this connection.
    pub clean_start: bool,
    /// The longest silence of the client in seconds; 0 switches the check off.
    pub keep_alive_s: u16,
    /// The user name, if given.
    pub username: Option<&'a str>,
    /// The password, if given; in 3.1.1 only with a user name ([MQTT-3.1.2-22] of 3.1.1).
    pub password: Option<&'a [u8]>,
    /// What the server publishes if the connection ends without a DISCONNECT.
    pub will: Option<Will<'a>>,
    /// What MQTT 5 adds; the default in 3.1.1.
    pub properties: ConnectProperties<'a>,
}

impl<'a> Connect<'a> {
    /// A clean start without keep-alive, credentials, will and properties.
    pub const fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            client_id,
            clean_start: true,
            keep_alive_s: 0,
            username: None,
            password: None,
            will: None,
            properties: ConnectProperties::NONE,
        }
    }
}

/// The message a client leaves for the case that it goes without a word (section 3.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Will<'a> {
    /// The topic name.
    pub topic: &'a str,
    /// The message.
    pub payload: &'a [u8],
    /// The quality of service it is published with.
    pub qos: QoS,
    /// Whether it is published as a retained message.
    pub retain: bool,
    /// How long after the end of the connection it is published, in seconds (MQTT 5, 3.1.3.2.2).
    pub delay_s: u32,
    /// What it is published with; without a topic alias.
    pub properties: PublishProperties<'a>,
}

impl<'a> Will<'a> {
    /// A will at QoS 0 without delay, not retained.
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        let properties = PublishProperties::NONE;
        Self { topic, payload, qos: QoS::AtMostOnce, retain: false, delay_s: 0, properties }
    }
}

/// What a CONNECT of MQTT 5 adds (MQTT 5, 3.1.2.11). What is absent has the value the standard gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectProperties<'a> {
    /// How long the session outlives the connection, in seconds: 0 not at all, `u32::MAX` for ever.
    pub session_expiry_s: u32,
    /// How many unacknowledged QoS 1 messages the client takes at a time; never 0.
    pub receive_maximum: u16,
    /// The largest packet in bytes the client takes; `None` if it sets no limit.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The highest topic alias the client takes; 0 is none.
    pub topic_alias_maximum: u16,
    /// Whether the CONNACK may carry response information.
    pub request_response_information: bool,
    /// Whether packets other than PUBLISH, CONNACK and DISCONNECT may carry a reason string and user
    /// properties.
    pub request_problem_information: bool,
    /// By what extended authentication is done, if at all.
    pub authentication_method: Option<&'a str>,
    /// Its first data; only with a method.
    pub authentication_data: Option<&'a [u8]>,
    /// Whatever else the client says.
    pub user: UserProperties<'a>,
}

impl ConnectProperties<'_> {
    /// What absent properties mean.
    pub const NONE: Self = ConnectProperties {
        session_expiry_s: 0,
        receive_maximum: u16::MAX,
        maximum_packet_size: None,
        topic_alias_maximum: 0,
        request_response_information: false,
        request_problem_information: true,
        authentication_method: None,
        authentication_data: None,
        user: UserProperties::NONE,
    };
}

impl Default for ConnectProperties<'_> {
    fn default() -> Self {
        Self::NONE
    }
}

/// The answer to a CONNECT (section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Whether the server had a session for this client; only with [`ReasonCode::Success`].
    pub session_present: bool,
    /// Yes, or why not.
    pub reason: ReasonCode,
    /// What MQTT 5 adds; nothing in 3.1.1.
    pub properties: ConnAckProperties<'a>,
}

impl ConnAck<'_> {
    /// This reason, no session, no properties.
    pub const fn new(reason: ReasonCode) -> Self {
        Self { session_present: false, reason, properties: ConnAckProperties::NONE }
    }
}

/// What a CONNACK of MQTT 5 adds (MQTT 5, 3.2.2.3). `None` is absent, which mostly means "as asked" or "yes".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnAckProperties<'a> {
    /// How long the session outlives the connection, in seconds, if not as asked.
    pub session_expiry_s: Option<u32>,
    /// How many unacknowledged QoS 1 messages the server takes at a time; absent 65,535.
    pub receive_maximum: Option<NonZeroU16>,
    /// The highest QoS the server takes; absent QoS 2.
    pub maximum_qos: Option<QoS>,
    /// Whether retained messages are kept; absent yes.
    pub retain_available: Option<bool>,
    /// The largest packet in bytes the server takes; absent no limit.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The name the server gave to a client without one.
    pub assigned_client_id: Option<&'a str>,
    /// The highest topic alias the server takes; 0 is none.
    pub topic_alias_maximum: u16,
    /// The reason for people.
    pub reason_string: Option<&'a str>,
    /// Whether filters may have wildcards; absent yes.
    pub wildcard_subscriptions: Option<bool>,
    /// Whether subscriptions may have identifiers; absent yes.
    pub subscription_identifiers: Option<bool>,
    /// Whether subscriptions may be shared; absent yes.
    pub shared_subscriptions: Option<bool>,
    /// The keep-alive in seconds that holds in place of the client's.
    pub server_keep_alive_s: Option<u16>,
    /// A basis for response topics.
    pub response_information: Option<&'a str>,
    /// Which server to use instead.
    pub server_reference: Option<&'a str>,
    /// By what extended authentication is done.
    pub authentication_method: Option<&'a str>,
    /// Its data; only with a method.
    pub authentication_data: Option<&'a [u8]>,
    /// Whatever else the server says.
    pub user: UserProperties<'a>,
}

impl ConnAckProperties<'_> {
    /// Nothing said.
    pub const NONE: Self = ConnAckProperties {
        session_expiry_s: None,
        receive_maximum: None,
        maximum_qos: None,
        retain_available: None,
        maximum_packet_size: None,
        assigned_client_id: None,
        topic_alias_maximum: 0,
        reason_string: None,
        wildcard_subscriptions: None,
        subscription_identifiers: None,
        shared_subscriptions: None,
        server_keep_alive_s: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
        user: UserProperties::NONE,
    };
}
