//! The reason codes of MQTT 5 (table 2.6), which answer for the return codes of 3.1.1 as well.
//!
//! Not here: which of them a packet may carry; `decode` knows that.

/// Why something ended, was refused, or was done after all. Three names share the number 0: success,
/// normal disconnection and granted QoS 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
#[expect(missing_docs, reason = "named as in the standard's table, which `name` repeats")]
pub enum ReasonCode {
    #[default]
    Success = 0x00,
    GrantedQos1 = 0x01,
    GrantedQos2 = 0x02,
    DisconnectWithWill = 0x04,
    NoMatchingSubscribers = 0x10,
    NoSubscriptionExisted = 0x11,
    ContinueAuthentication = 0x18,
    ReAuthenticate = 0x19,
    UnspecifiedError = 0x80,
    MalformedPacket = 0x81,
    ProtocolError = 0x82,
    ImplementationSpecificError = 0x83,
    UnsupportedProtocolVersion = 0x84,
    ClientIdentifierNotValid = 0x85,
    BadUserNameOrPassword = 0x86,
    NotAuthorized = 0x87,
    ServerUnavailable = 0x88,
    ServerBusy = 0x89,
    Banned = 0x8A,
    ServerShuttingDown = 0x8B,
    BadAuthenticationMethod = 0x8C,
    KeepAliveTimeout = 0x8D,
    SessionTakenOver = 0x8E,
    TopicFilterInvalid = 0x8F,
    TopicNameInvalid = 0x90,
    PacketIdentifierInUse = 0x91,
    PacketIdentifierNotFound = 0x92,
    ReceiveMaximumExceeded = 0x93,
    TopicAliasInvalid = 0x94,
    PacketTooLarge = 0x95,
    MessageRateTooHigh = 0x96,
    QuotaExceeded = 0x97,
    AdministrativeAction = 0x98,
    PayloadFormatInvalid = 0x99,
    RetainNotSupported = 0x9A,
    QosNotSupported = 0x9B,
    UseAnotherServer = 0x9C,
    ServerMoved = 0x9D,
    SharedSubscriptionsNotSupported = 0x9E,
    ConnectionRateExceeded = 0x9F,
    MaximumConnectTime = 0xA0,
    SubscriptionIdentifiersNotSupported = 0xA1,
    WildcardSubscriptionsNotSupported = 0xA2,
}

/// Every reason code with the words of the standard, in the order of its table.
const TABLE: &[(ReasonCode, &str)] = {
    use ReasonCode as Code;
    &[
        (Code::Success, "success"),
        (Code::GrantedQos1, "granted QoS 1"),
        (Code::GrantedQos2, "granted QoS 2"),
        (Code::DisconnectWithWill, "disconnect with will message"),
        (Code::NoMatchingSubscribers, "no matching subscribers"),
        (Code::NoSubscriptionExisted, "no subscription existed"),
        (Code::ContinueAuthentication, "continue authentication"),
        (Code::ReAuthenticate, "re-authenticate"),
        (Code::UnspecifiedError, "unspecified error"),
        (Code::MalformedPacket, "malformed packet"),
        (Code::ProtocolError, "protocol error"),
        (Code::ImplementationSpecificError, "implementation specific error"),
        (Code::UnsupportedProtocolVersion, "unsupported protocol version"),
        (Code::ClientIdentifierNotValid, "client identifier not valid"),
        (Code::BadUserNameOrPassword, "bad user name or password"),
        (Code::NotAuthorized, "not authorized"),
        (Code::ServerUnavailable, "server unavailable"),
        (Code::ServerBusy, "server busy"),
        (Code::Banned, "banned"),
        (Code::ServerShuttingDown, "server shutting down"),
        (Code::BadAuthenticationMethod, "bad authentication method"),
        (Code::KeepAliveTimeout, "keep alive timeout"),
        (Code::SessionTakenOver, "session taken over"),
        (Code::TopicFilterInvalid, "topic filter invalid"),
        (Code::TopicNameInvalid, "topic name invalid"),
        (Code::PacketIdentifierInUse, "packet identifier in use"),
        (Code::PacketIdentifierNotFound, "packet identifier not found"),
        (Code::ReceiveMaximumExceeded, "receive maximum exceeded"),
        (Code::TopicAliasInvalid, "topic alias invalid"),
        (Code::PacketTooLarge, "packet too large"),
        (Code::MessageRateTooHigh, "message rate too high"),
        (Code::QuotaExceeded, "quota exceeded"),
        (Code::AdministrativeAction, "administrative action"),
        (Code::PayloadFormatInvalid, "payload format invalid"),
        (Code::RetainNotSupported, "retain not supported"),
        (Code::QosNotSupported, "QoS not supported"),
        (Code::UseAnotherServer, "use another server"),
        (Code::ServerMoved, "server moved"),
        (Code::SharedSubscriptionsNotSupported, "shared subscriptions not supported"),
        (Code::ConnectionRateExceeded, "connection rate exceeded"),
        (Code::MaximumConnectTime, "maximum connect time"),
        (Code::SubscriptionIdentifiersNotSupported, "subscription identifiers not supported"),
        (Code::WildcardSubscriptionsNotSupported, "wildcard subscriptions not supported"),
    ]
};

impl ReasonCode {
    /// The number on the wire of MQTT 5.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The code with this number; `None` for a number that table 2.6 does not have.
    pub const fn from_number(number: u8) -> Option<Self> {
        let mut row = 0;
        while row < TABLE.len() {
            if TABLE[row].0 as u8 == number {
                return Some(TABLE[row].0);
            }
            row += 1;
        }
        None
    }

    /// Whether what it answers has failed: 0x80 and above (MQTT 5, 2.4).
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// The words of the standard.
    pub const fn name(self) -> &'static str {
        let mut row = 0;
        while row < TABLE.len() {
            if TABLE[row].0 as u8 == self as u8 {
                return TABLE[row].1;
            }
            row += 1;
        }
        "unknown"
    }

    /// The return code of a 3.1.1 CONNACK that says the same (MQTT 3.1.1, table 3.1), if there is one.
    pub const fn return_code(self) -> Option<u8> {
        Some(match self {
            Self::Success => 0,
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::ServerUnavailable => 3,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized => 5,
            _ => return None,
        })
    }

    /// What the return code of a 3.1.1 CONNACK says; 6 to 255 are reserved (MQTT 3.1.1, table 3.1).
    pub const fn from_return_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::UnsupportedProtocolVersion,
            2 => Self::ClientIdentifierNotValid,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:#04x})", self.name(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 2-6 of MQTT 5, copied by hand.
    #[test]
    fn every_reason_code_has_the_number_and_the_words_of_table_2_6() {
        let rows: &[(u8, &str)] = &[
            (0x00, "success"),
            (0x01, "granted QoS 1"),
            (0x02, "granted QoS 2"),
            (0x04, "disconnect with will message"),
            (0x10, "no matching subscribers"),
            (0x11, "no subscription existed"),
            (0x18, "continue authentication"),
            (0x19, "re-authenticate"),
            (0x80, "unspecified error"),
            (0x81, "malformed packet"),
            (0x82, "protocol error"),
            (0x83, "implementation specific error"),
            (0x84, "unsupported protocol version"),
            (0x85, "client identifier not valid"),
            (0x86, "bad user name or password"),
            (0x87, "not authorized"),
            (0x88, "server unavailable"),
            (0x89, "server busy"),
            (0x8A, "banned"),
            (0x8B, "server shutting down"),
            (0x8C, "bad authentication method"),
            (0x8D, "keep alive timeout"),
            (0x8E, "session taken over"),
            (0x8F, "topic filter invalid"),
            (0x90, "topic name invalid"),
            (0x91, "packet identifier in use"),
            (0x92, "packet identifier not found"),
            (0x93, "receive maximum exceeded"),
            (0x94, "topic alias invalid"),
            (0x95, "packet too large"),
            (0x96, "message rate too high"),
            (0x97, "quota exceeded"),
            (0x98, "administrative action"),
            (0x99, "payload format invalid"),
            (0x9A, "retain not supported"),
            (0x9B, "QoS not supported"),
            (0x9C, "use another server"),
            (0x9D, "server moved"),
            (0x9E, "shared subscriptions not supported"),
            (0x9F, "connection rate exceeded"),
            (0xA0, "maximum connect time"),
            (0xA1, "subscription identifiers not supported"),
            (0xA2, "wildcard subscriptions not supported"),
        ];
        for number in 0..=u8::MAX {
            let code = ReasonCode::from_number(number);
            let expected = rows.iter().find(|(row, _)| *row == number).map(|(_, name)| *name);
            assert_eq!(code.map(ReasonCode::name), expected, "{number:#04x}");
            assert_eq!(code.map(ReasonCode::number), expected.map(|_| number), "{number:#04x}");
            assert_eq!(code.is_some_and(ReasonCode::is_error), expected.is_some() && number >= 0x80);
        }
        assert_eq!(ReasonCode::SessionTakenOver.to_string(), "session taken over (0x8e)");
    }

    /// Table 3.1 of 3.1.1.
    #[test]
    fn return_codes_of_3_1_1_are_the_reasons_that_mean_the_same() {
        let rows = [
            (0, ReasonCode::Success),
            (1, ReasonCode::UnsupportedProtocolVersion),
            (2, ReasonCode::ClientIdentifierNotValid),
            (3, ReasonCode::ServerUnavailable),
            (4, ReasonCode::BadUserNameOrPassword),
            (5, ReasonCode::NotAuthorized),
        ];
        for (code, reason) in rows {
            assert_eq!(ReasonCode::from_return_code(code), Some(reason));
            assert_eq!(reason.return_code(), Some(code));
        }
        for code in 6..=u8::MAX {
            assert_eq!(ReasonCode::from_return_code(code), None, "{code} is reserved");
        }
        assert_eq!(ReasonCode::ServerBusy.return_code(), None);
    }
}
