//! Who may publish and subscribe to what.
//!
//! The backend checks no credentials, so there are two policies. Open is an account whose every client has
//! the widest policy: what AWS reserves stays reserved, the rest is free. Isolated adds what a production
//! policy says with `${iot:ClientId}`: a device talks about itself only.
//!
//! Pure functions of a client and a topic. Not here: what an update on a topic means, and what a broker
//! refuses whoever asks (filters that are too long, shared ones without a name).

use crate::protocol::{DeviceTopic, Form};

/// The topics of the command plane, per device.
const COMMANDS: &str = "$aws/commands/";

/// A policy for all clients of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Every client may do what a device may do, for any device, and observe everything.
    #[default]
    Open,
    /// On `$` topics a client may act for the thing and the client of its own identifier only.
    Isolated,
}

impl Policy {
    /// Whether `client_id` may publish to `topic`.
    ///
    /// Of the topics that begin with `$`, which AWS keeps for itself, a client may publish to those of
    /// updates only (`$aws/commands/…/response`, `…/response/json`, `…/response/cbor`); isolated, to
    /// its own. Other topics are free.
    pub fn may_publish(self, client_id: &str, topic: &str) -> bool {
        if !topic.starts_with('$') {
            return true;
        }
        match DeviceTopic::parse(topic) {
            Some(DeviceTopic { device, form: Form::Response(_), .. }) => match self {
                Self::Open => true,
                Self::Isolated => device == client_id,
            },
            _ => false,
        }
    }

    /// Whether `client_id` may subscribe to `filter`, well-formed, shared or not.
    ///
    /// Open: to everything. Isolated: to filters that match no `$` topic, and to those below
    /// `$aws/commands/things/<client id>` or `…/clients/<client id>`, both levels written out: a wildcard
    /// there would cover other devices. A filter that begins with a wildcard matches no `$` topic
    /// ([MQTT-4.7.2-1]), so it is free.
    pub fn may_subscribe(self, client_id: &str, filter: &str) -> bool {
        match self {
            Self::Open => true,
            Self::Isolated => {
                let filter = without_share(filter);
                !filter.starts_with('$') || is_below_own_id(client_id, filter)
            }
        }
    }
}

/// What a shared filter is compared with; any other filter itself.
fn without_share(filter: &str) -> &str {
    let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    shared.map_or(filter, |(_, filter)| filter)
}

/// Whether every topic that matches `filter` is one of the command plane for this very identifier.
fn is_below_own_id(client_id: &str, filter: &str) -> bool {
    let Some(rest) = filter.strip_prefix(COMMANDS) else { return false };
    let Some((kind, rest)) = rest.split_once('/') else { return false };
    // `…/things/t1/#` matches `…/things/t1` as well, which is nobody else's. An identifier with a slash
    // has no level of its own, and one that is a wildcard must not be taken for itself.
    let id = rest.split_once('/').map_or(rest, |(id, _)| id);
    matches!(kind, "things" | "clients") && id == client_id && !matches!(id, "+" | "#")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::{filter_is_valid, matches};

    #[test]
    fn of_reserved_topics_only_updates_may_be_published() {
        // topic, open, isolated as t1
        let rows = [
            ("a", true, true),
            ("things/t2/state", true, true),
            ("a/$aws/b", true, true),
            ("$aws/commands/things/t1/executions/e1/response/json", true, true),
            ("$aws/commands/clients/t1/executions/e1/response/cbor", true, true),
            ("$aws/commands/things/t1/executions/e1/response", true, true),
            ("$aws/commands/things/t2/executions/e1/response/json", true, false),
            ("$aws/commands/clients/t11/executions/e1/response/json", true, false),
            ("$aws/commands/things/T1/executions/e1/response/json", true, false),
            ("$aws/commands/things/t1/executions/e1/request/json", false, false),
            ("$aws/commands/things/t1/executions/e1/request", false, false),
            ("$aws/commands/things/t1/executions/e1/response/accepted/json", false, false),
            ("$aws/commands/things/t1/executions/e1/response/rejected", false, false),
            ("$aws/commands/things/t1/executions/e1/response/xml", false, false),
            ("$aws/commands/gateways/t1/executions/e1/response/json", false, false),
            ("$aws/commands/things//executions/e1/response/json", false, false),
            ("$aws/events/commandExecution/c1/SUCCEEDED", false, false),
            ("$aws/things/t1/shadow/update", false, false),
            ("$SYS/broker/load", false, false),
            ("$share/g/a", false, false),
            ("$", false, false),
        ];
        for (topic, open, isolated) in rows {
            assert_eq!(Policy::Open.may_publish("t1", topic), open, "open: {topic}");
            assert_eq!(Policy::Isolated.may_publish("t1", topic), isolated, "isolated: {topic}");
        }
    }

    #[test]
    fn isolated_clients_subscribe_below_their_own_id_and_outside_of_dollar_topics() {
        let rows = [
            ("t1", "#", true),
            ("t1", "+/+", true),
            ("t1", "things/t2/#", true),
            ("t1", "$share/g/a/#", true),
            ("t1", "$aws/commands/things/t1/executions/+/request/#", true),
            ("t1", "$aws/commands/clients/t1/executions/+/response/accepted/json", true),
            ("t1", "$aws/commands/things/t1/#", true),
            ("t1", "$aws/commands/things/t1", true),
            ("t1", "$aws/commands/things/t1/executions/e1/request", true),
            ("t1", "$share/g/$aws/commands/things/t1/executions/+/request", true),
            ("t1", "$aws/commands/things/t2/executions/+/request/#", false),
            ("t1", "$aws/commands/things/+/executions/+/request/#", false),
            ("t1", "$aws/commands/+/t1/executions/+/request", false),
            ("t1", "$aws/commands/things/#", false),
            ("t1", "$aws/commands/#", false),
            ("t1", "$aws/+/things/t1/#", false),
            ("t1", "$aws/#", false),
            ("t1", "$aws/events/commandExecution/+/#", false),
            ("t1", "$share/g/$aws/commands/things/t2/executions/+/request", false),
            ("t1", "$SYS/#", false),
            ("+", "$aws/commands/things/+/executions/+/request", false),
            ("#", "$aws/commands/things/#", false),
            ("a/b", "$aws/commands/things/a/b/executions/+/request", false),
        ];
        for (client_id, filter, expected) in rows {
            assert_eq!(Policy::Isolated.may_subscribe(client_id, filter), expected, "{client_id}: {filter}");
            assert!(Policy::Open.may_subscribe(client_id, filter), "{client_id}: {filter}");
        }
    }

    /// Filters and topics near the command plane, so that they often match.
    fn levels(of: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(of), 1..7).prop_map(|levels| levels.join("/"))
    }

    proptest! {
        #[test]
        fn what_an_isolated_client_may_subscribe_to_matches_nobody_elses_reserved_topic(
            filter in levels(&["$aws", "commands", "things", "clients", "t1", "t2", "+", "#", "$share"]),
            topic in levels(&["commands", "things", "clients", "t1", "t2", "x"]),
        ) {
            let topic = format!("$aws/{topic}");
            prop_assume!(filter_is_valid(&filter).is_ok() && Policy::Isolated.may_subscribe("t1", &filter));
            let own = ["things", "clients"].map(|kind| format!("$aws/commands/{kind}/t1"));
            let is_own = own.iter().any(|own| topic == *own || topic.starts_with(&format!("{own}/")));
            prop_assert!(is_own || !matches(without_share(&filter), &topic), "{filter} on {topic}");
        }
    }
}
