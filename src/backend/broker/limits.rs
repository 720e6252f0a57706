//! The limits of a broker as values: none of ours, or those of AWS IoT Core as they are published.
//!
//! The figures are those of AWS's quota table; its account-wide ones differ by region, and these are of the
//! large ones. They are a rehearsal, not a promise of what an account has.
//!
//! Everything here decides and does nothing: what happens to a client is the caller's business, and so are
//! the counts of what was refused. Rates of the account are in `rates`, the throughput of a connection in
//! `throttled`. Not here: the bounds that protect this process, which hold whatever is set here (128 bytes of
//! a client identifier and 8 topic aliases are AWS's, for everybody), and AWS's hour of redelivery.

pub(super) mod bucket;
pub(super) mod rates;
pub(super) mod throttled;

use crate::mqtt::ReasonCode;

/// What the broker allows; an absent limit does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// PUBLISHes per second on one connection, in both directions together; the excess is discarded.
    pub publishes_per_s: Option<u32>,
    /// Bytes per second on one connection, in both directions together; the excess is delayed.
    pub bytes_per_s: Option<u32>,
    /// QoS 1 messages that a client may have sent and not seen acknowledged: its receive maximum of us.
    pub unacknowledged_in: Option<u16>,
    /// QoS 1 messages that a client is sent before it must acknowledge one.
    pub unacknowledged_out: Option<u16>,
    /// Subscriptions of one session.
    pub subscriptions: Option<u32>,
    /// Filters of one SUBSCRIBE.
    pub filters_per_subscribe: Option<u32>,
    /// CONNECTs per second of the whole account.
    pub connects_per_s: Option<u32>,
    /// CONNECTs per second with one client identifier.
    pub connects_per_client_per_s: Option<u32>,
    /// Subscriptions per second of the whole account: filters, not packets.
    pub subscribes_per_s: Option<u32>,
    /// PUBLISHes per second from all clients of the account.
    pub account_publishes_in_per_s: Option<u32>,
    /// PUBLISHes per second to all clients of the account.
    pub account_publishes_out_per_s: Option<u32>,
    /// Connections of the account at once.
    pub connections: Option<u32>,
    /// The longest a session outlives its connection, in seconds (MQTT 5); longer is shortened.
    pub session_expiry_s: Option<u32>,
    /// The longest a message lives, in seconds (MQTT 5); longer is shortened.
    pub message_expiry_s: Option<u32>,
    /// The shortest and the longest keep-alive in seconds; others become the nearest, and none the longest.
    pub keep_alive_s: Option<(u16, u16)>,
    /// Bytes of a topic or filter; `$aws/…` is exempt.
    pub topic_bytes: Option<usize>,
    /// Slashes in a topic or filter; `$aws/…` is exempt: `…/response/accepted/json` has eight.
    pub topic_slashes: Option<usize>,
    /// Bytes of a message, without topic and headers.
    pub payload_bytes: Option<usize>,
}

/// Topics that the limits for topics do not hold for.
const RESERVED: &str = "$aws/";

impl Limits {
    /// None: only what protects the process holds.
    pub const NONE: Self = Self {
        publishes_per_s: None,
        bytes_per_s: None,
        unacknowledged_in: None,
        unacknowledged_out: None,
        subscriptions: None,
        filters_per_subscribe: None,
        connects_per_s: None,
        connects_per_client_per_s: None,
        subscribes_per_s: None,
        account_publishes_in_per_s: None,
        account_publishes_out_per_s: None,
        connections: None,
        session_expiry_s: None,
        message_expiry_s: None,
        keep_alive_s: None,
        topic_bytes: None,
        topic_slashes: None,
        payload_bytes: None,
    };

    /// AWS IoT Core's: "AWS IoT Core message broker and protocol limits and quotas" in the AWS General
    /// Reference.
    pub const AWS: Self = Self {
        publishes_per_s: Some(100),
        bytes_per_s: Some(512 * 1024),
        unacknowledged_in: Some(100),
        unacknowledged_out: Some(100),
        subscriptions: Some(50),
        filters_per_subscribe: Some(8),
        connects_per_s: Some(500),
        connects_per_client_per_s: Some(1),
        subscribes_per_s: Some(500),
        account_publishes_in_per_s: Some(20_000),
        account_publishes_out_per_s: Some(20_000),
        connections: Some(500_000),
        session_expiry_s: Some(7 * 24 * 3600),
        message_expiry_s: Some(604_800),
        keep_alive_s: Some((30, 1200)),
        topic_bytes: Some(256),
        topic_slashes: Some(7),
        payload_bytes: Some(128 * 1024),
    };

    /// Whether a client may publish this much to this topic; otherwise the connection is closed, and this
    /// is what its DISCONNECT says.
    pub(super) fn check_publish(&self, topic: &str, payload_bytes: usize) -> Result<(), ReasonCode> {
        within(self.payload_bytes, payload_bytes, ReasonCode::PacketTooLarge)?;
        self.check_topic(topic, ReasonCode::TopicNameInvalid)
    }

    /// Whether a client may subscribe to this filter; otherwise what its SUBACK says in this place. Of a
    /// shared filter only what stands behind the name is measured.
    pub(super) fn check_filter(&self, filter: &str) -> Result<(), ReasonCode> {
        let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        self.check_topic(shared.map_or(filter, |(_, filter)| filter), ReasonCode::TopicFilterInvalid)
    }

    /// Whether one SUBSCRIBE may have so many filters; otherwise what its SUBACK says in every place.
    pub(super) fn check_filter_count(&self, count: usize) -> Result<(), ReasonCode> {
        within(self.filters_per_subscribe.map(wide), count, ReasonCode::QuotaExceeded)
    }

    /// Whether a session with `held` subscriptions may have one more; otherwise what its SUBACK says.
    pub(super) fn check_subscriptions(&self, held: usize) -> Result<(), ReasonCode> {
        within(self.subscriptions.map(wide), held.saturating_add(1), ReasonCode::QuotaExceeded)
    }

    /// The keep-alive that holds for a client that asked for `asked_s` seconds, 0 being none. If they differ,
    /// the CONNACK of MQTT 5 says so; a client of 3.1.1 cannot know.
    pub(super) fn keep_alive_s(&self, asked_s: u16) -> u16 {
        match (self.keep_alive_s, asked_s) {
            (None, asked_s) => asked_s,
            (Some((_, longest_s)), 0) => longest_s,
            (Some((shortest_s, longest_s)), asked_s) => asked_s.clamp(shortest_s, longest_s),
        }
    }

    /// The session expiry that holds for a client that asked for `asked_s` seconds. If they differ, the
    /// CONNACK of MQTT 5 says so.
    pub(super) fn session_expiry_s(&self, asked_s: u32) -> u32 {
        self.session_expiry_s.map_or(asked_s, |longest_s| asked_s.min(longest_s))
    }

    /// The lifetime of a message whose publisher asked for `asked_s` seconds, or for none.
    pub(super) fn message_expiry_s(&self, asked_s: Option<u32>) -> Option<u32> {
        let longest_s = self.message_expiry_s.unwrap_or(u32::MAX);
        asked_s.map(|asked_s| asked_s.min(longest_s))
    }

    fn check_topic(&self, topic: &str, reason: ReasonCode) -> Result<(), ReasonCode> {
        if topic.starts_with(RESERVED) {
            return Ok(());
        }
        within(self.topic_bytes, topic.len(), reason)?;
        match self.topic_slashes {
            Some(most) => within(Some(most), topic.bytes().filter(|byte| *byte == b'/').count(), reason),
            None => Ok(()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::NONE
    }
}

fn within(most: Option<usize>, count: usize, reason: ReasonCode) -> Result<(), ReasonCode> {
    if most.is_some_and(|most| count > most) { Err(reason) } else { Ok(()) }
}

/// A count of 32 bits as one of this machine's.
fn wide(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 1 << 20;

    #[test]
    fn aws_takes_what_its_quota_table_says_and_no_more() {
        let invalid = |reason| (Ok(()), Err(reason));
        let aws = Limits::AWS;
        let pair = |low, high| (low, high);
        let topic = |bytes: usize| aws.check_publish(&"x".repeat(bytes), 0);
        let slashes = |count: usize| aws.check_publish(&"/".repeat(count), 0);
        let payload = |bytes: usize| aws.check_publish("a", bytes);
        let filter = |bytes: usize| aws.check_filter(&"x".repeat(bytes));
        let shared = |bytes: usize| aws.check_filter(&format!("$share/group/{}", "x".repeat(bytes)));
        let levels = |count: usize| aws.check_filter(&"+/".repeat(count));
        let rows = [
            ("topic bytes", pair(topic(256), topic(257)), ReasonCode::TopicNameInvalid),
            ("topic slashes", pair(slashes(7), slashes(8)), ReasonCode::TopicNameInvalid),
            ("payload", pair(payload(131_072), payload(131_073)), ReasonCode::PacketTooLarge),
            ("filter bytes", pair(filter(256), filter(257)), ReasonCode::TopicFilterInvalid),
            ("shared filter bytes", pair(shared(256), shared(257)), ReasonCode::TopicFilterInvalid),
            ("filter slashes", pair(levels(7), levels(8)), ReasonCode::TopicFilterInvalid),
            (
                "filters",
                pair(aws.check_filter_count(8), aws.check_filter_count(9)),
                ReasonCode::QuotaExceeded,
            ),
            (
                "subscriptions",
                pair(aws.check_subscriptions(49), aws.check_subscriptions(50)),
                ReasonCode::QuotaExceeded,
            ),
        ];
        for (what, found, reason) in rows {
            assert_eq!(found, invalid(reason), "{what}");
        }
    }

    #[test]
    fn the_topics_of_the_command_plane_are_exempt() {
        let device = "d".repeat(128);
        let topic =
            format!("$aws/commands/things/{device}/executions/{}/response/accepted/json", "e".repeat(100));
        assert_eq!(Limits::AWS.check_publish(&topic, 0), Ok(()));
        assert_eq!(Limits::AWS.check_filter(&topic), Ok(()));
        assert_eq!(Limits::AWS.check_filter(&format!("$share/g/{topic}")), Ok(()));
        assert_eq!(Limits::AWS.check_publish(&"$aws".repeat(65), 0), Err(ReasonCode::TopicNameInvalid));
    }

    #[test]
    fn without_limits_everything_passes_as_it_is() {
        let none = Limits::NONE;
        let long = "/".repeat(LONG);
        let checks = [
            none.check_publish(&long, LONG),
            none.check_filter(&long),
            none.check_filter_count(LONG),
            none.check_subscriptions(LONG),
        ];
        assert_eq!(checks, [Ok(()); 4]);
        assert_eq!([0, 1, u16::MAX].map(|asked| none.keep_alive_s(asked)), [0, 1, u16::MAX]);
        assert_eq!([0, u32::MAX].map(|asked| none.session_expiry_s(asked)), [0, u32::MAX]);
        let expiries = [None, Some(0), Some(u32::MAX)];
        assert_eq!(expiries.map(|asked| none.message_expiry_s(asked)), expiries);
    }

    #[test]
    fn aws_adjusts_what_a_client_asks_for() {
        let aws = Limits::AWS;
        let keep_alives = [(0, 1200), (1, 30), (29, 30), (30, 30), (60, 60), (1200, 1200), (1201, 1200)];
        for (asked, expected) in keep_alives {
            assert_eq!(aws.keep_alive_s(asked), expected, "keep-alive {asked}");
        }
        let expiries = [(0, 0), (3600, 3600), (604_800, 604_800), (604_801, 604_800), (u32::MAX, 604_800)];
        for (asked, expected) in expiries {
            assert_eq!(aws.session_expiry_s(asked), expected, "session expiry {asked}");
            assert_eq!(aws.message_expiry_s(Some(asked)), Some(expected), "message expiry {asked}");
        }
        assert_eq!(aws.message_expiry_s(None), None);
    }
}
