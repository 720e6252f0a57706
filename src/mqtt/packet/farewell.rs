//! DISCONNECT (section 3.14 of both standards) and AUTH (MQTT 5, 3.15): what is said beside the messages.

use crate::mqtt::reason::ReasonCode;
use crate::mqtt::user::UserProperties;

/// Goodbye: from a client in both versions, from a server in MQTT 5 only. The default is a normal end, after
/// which the will is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Disconnect<'a> {
    /// Why; always success in 3.1.1.
    pub reason: ReasonCode,
    /// How long the session lives from now on, in seconds, if not as said at the start; only from a client.
    pub session_expiry_s: Option<u32>,
    /// The reason for people.
    pub reason_string: Option<&'a str>,
    /// Which server to use instead; only from a server.
    pub server_reference: Option<&'a str>,
    /// Whatever else the sender says.
    pub user: UserProperties<'a>,
}

impl Disconnect<'_> {
    /// This reason and nothing more.
    pub const fn new(reason: ReasonCode) -> Self {
        let user = UserProperties::NONE;
        Self { reason, session_expiry_s: None, reason_string: None, server_reference: None, user }
    }
}

/// A step of extended authentication (MQTT 5, 3.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Auth<'a> {
    /// Success, continue or re-authenticate.
    pub reason: ReasonCode,
    /// By what it is done.
    pub authentication_method: Option<&'a str>,
    /// The data of this step; only with a method.
    pub authentication_data: Option<&'a [u8]>,
    /// The reason for people.
    pub reason_string: Option<&'a str>,
    /// Whatever else the sender says.
    pub user: UserProperties<'a>,
}
