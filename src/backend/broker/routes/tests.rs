//! Table and tree together deliver what `mqtt::matches` says, whatever happened before.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::mqtt::{filter_is_valid, matches};

const DEVICE: &str = "$aws/commands/things/t1/executions/";

fn session(index: usize) -> Session {
    Session::new(Arc::from(format!("t{index}")), SessionKey::from_index(index), 1)
}

#[derive(Debug, Clone)]
enum Change {
    Subscribe(usize, String, Grant),
    Unsubscribe(usize, String),
    Leave(usize),
}

/// The suffix of a filter or a topic: often a known one, sometimes near it.
fn suffix(wild: bool) -> impl Strategy<Value = String> {
    let parts: &[&'static str] = if wild {
        &["request", "response", "accepted", "json", "+", "+", "$x"]
    } else {
        &["request", "response", "accepted", "rejected", "json", "cbor", "", "$x"]
    };
    let known: &[&'static str] = if wild {
        &[
            "request/#",
            "request/+",
            "request",
            "response/#",
            "response/+/json",
            "response/accepted/#",
            "#",
            "+/#",
        ]
    } else {
        &["request", "request/json", "request/cbor", "response", "response/json", "response/accepted/json"]
    };
    prop_oneof![
        prop::sample::select(known).prop_map(str::to_owned),
        prop::collection::vec(prop::sample::select(parts), 1..4).prop_map(|levels| levels.join("/")),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    let device = prop::sample::select(vec!["t1", "t2", "+", ""]);
    let kind = prop::sample::select(vec!["things", "clients", "+"]);
    let execution = prop::sample::select(vec!["+", "e1"]);
    prop_oneof![
        4 => (kind, device, execution, suffix(true)).prop_map(|(kind, device, execution, suffix)| format!(
            "$aws/commands/{kind}/{device}/executions/{execution}/{suffix}"
        )),
        1 => prop::sample::select(vec![
            "#", "+/#", "$aws/#", "$aws/+/things/t1/#", "$aws/commands/things/t1/executions/#",
            "$aws/commands/things/t1/executions/+", "$aws/events/+/#", "a", "a/#", "a/+", "+/b", "/", "+",
        ]).prop_map(str::to_owned),
    ]
    .prop_filter("well-formed", |filter| filter_is_valid(filter).is_ok())
}

fn topic() -> impl Strategy<Value = String> {
    let device = prop::sample::select(vec!["t1", "t2", ""]);
    let kind = prop::sample::select(vec!["things", "clients"]);
    prop_oneof![
        4 => (kind, device, suffix(false)).prop_map(|(kind, device, suffix)| format!(
            "$aws/commands/{kind}/{device}/executions/e1/{suffix}"
        )),
        1 => prop::sample::select(vec![
            "$aws/commands/things/t1/executions/e1", "$aws/commands/things/t1/executions/",
            "$aws/commands/things/t1/executions", "$aws/commands/things/t1", "$aws/events/x/y", "a", "a/b",
            "/", "$x", "$aws",
        ]).prop_map(str::to_owned),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let qos = prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce)];
    let grant = prop_oneof![
        4 => qos.clone().prop_map(Grant::of),
        1 => (qos, any::<bool>(), any::<bool>()).prop_map(|(qos, no_local, retain_as_published)| {
            Grant { qos, no_local, retain_as_published }
        }),
    ];
    prop_oneof![
        6 => (1usize..4, filter(), grant)
            .prop_map(|(who, filter, grant)| Change::Subscribe(who, filter, grant)),
        3 => (1usize..4, filter()).prop_map(|(who, filter)| Change::Unsubscribe(who, filter)),
        1 => (1usize..4).prop_map(Change::Leave),
    ]
}

/// The routes and what they should know.
#[derive(Default)]
struct Both {
    routes: Routes,
    records: BTreeMap<usize, Record>,
    model: BTreeMap<(usize, String), Grant>,
}

impl Both {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Subscribe(who, filter, grant) => {
                let record = self.records.entry(*who).or_default();
                let is_new = self.routes.subscribe(record, &session(*who), filter, *grant);
                assert_eq!(
                    is_new,
                    Ok(self.model.insert((*who, filter.clone()), *grant).is_none()),
                    "{change:?}"
                );
            }
            Change::Unsubscribe(who, filter) => {
                let record = self.records.entry(*who).or_default();
                let removed = self.routes.unsubscribe(record, SessionKey::from_index(*who), filter);
                assert_eq!(removed, self.model.remove(&(*who, filter.clone())).is_some(), "{change:?}");
            }
            Change::Leave(who) => {
                let record = self.records.remove(who).unwrap_or_default();
                self.routes.remove(&record, SessionKey::from_index(*who));
                self.model.retain(|(other, _), _| other != who);
            }
        }
    }

    fn expected(&self, topic: &str) -> Vec<(SessionKey, Grant)> {
        let mut expected: BTreeMap<SessionKey, Grant> = BTreeMap::new();
        for ((who, filter), one) in &self.model {
            if matches(filter, topic) {
                let all = expected.entry(SessionKey::from_index(*who)).or_insert(*one);
                all.qos = all.qos.max(one.qos);
                all.no_local &= one.no_local;
                all.retain_as_published |= one.retain_as_published;
            }
        }
        expected.into_iter().collect()
    }

    fn collected(&self, topic: &str) -> Vec<(SessionKey, Grant)> {
        let mut targets = Vec::new();
        self.routes.collect(topic, &mut targets);
        targets
    }
}

proptest! {
    #[test]
    fn deliveries_are_what_matching_says(
        changes in prop::collection::vec(change(), 0..60),
        topics in prop::collection::vec(topic(), 1..20),
    ) {
        let mut both = Both::default();
        for change in &changes {
            both.apply(change);
        }
        for topic in &topics {
            prop_assert_eq!(both.collected(topic), both.expected(topic), "{}", topic);
        }
        if both.routes.only_devices() {
            let event = "$aws/events/commandExecution/c/SUCCEEDED";
            prop_assert_eq!(both.expected(event), [], "only devices: {:?}", changes);
        }
        for (who, record) in &both.records {
            prop_assert_eq!(record.len(), both.model.keys().filter(|(other, _)| other == who).count());
        }
        for who in 1..4 {
            both.apply(&Change::Leave(who));
        }
        prop_assert_eq!(format!("{:?}", both.routes), format!("{:?}", Routes::default()));
    }
}

#[test]
fn every_known_filter_matches_every_command_topic_as_it_should() {
    let ends = ["", "/json", "/cbor"];
    let topics = ["request", "response", "response/accepted", "response/rejected"]
        .into_iter()
        .flat_map(|front| ends.map(|end| format!("{DEVICE}e1/{front}{end}")));
    let filters: Vec<String> = "request request/+ request/# request/json response/# response/accepted/# \
        response/rejected/# response/+/json response/+/+ response/accepted/cbor # response"
        .split_whitespace()
        .map(|suffix| format!("{DEVICE}+/{suffix}"))
        .collect();
    for topic in topics {
        for filter in &filters {
            let mut both = Both::default();
            both.apply(&Change::Subscribe(1, filter.clone(), Grant::of(QoS::AtMostOnce)));
            assert_eq!(both.collected(&topic), both.expected(&topic), "{filter} on {topic}");
        }
    }
}

#[test]
fn overlapping_subscriptions_deliver_once_at_the_highest_qos_and_end_one_by_one() {
    let mut both = Both::default();
    let topic = format!("{DEVICE}e1/request/json");
    let key = SessionKey::from_index(1);
    let subscribe = |filter: &str, qos| Change::Subscribe(1, filter.to_owned(), Grant::of(qos));
    both.apply(&subscribe(&format!("{DEVICE}+/request/json"), QoS::AtMostOnce));
    both.apply(&subscribe(&format!("{DEVICE}+/request/#"), QoS::AtLeastOnce));
    both.apply(&subscribe("$aws/commands/things/+/executions/+/request/+", QoS::AtMostOnce));
    assert_eq!(both.collected(&topic), [(key, Grant::of(QoS::AtLeastOnce))]);
    both.apply(&Change::Unsubscribe(1, format!("{DEVICE}+/request/#")));
    assert_eq!(both.collected(&topic), [(key, Grant::of(QoS::AtMostOnce))]);
    both.apply(&Change::Unsubscribe(1, format!("{DEVICE}+/request/json")));
    assert_eq!(both.collected(&topic), [(key, Grant::of(QoS::AtMostOnce))], "the wildcard stands");
    both.apply(&Change::Unsubscribe(1, "$aws/commands/things/+/executions/+/request/+".to_owned()));
    assert_eq!(both.collected(&topic), []);
}

#[test]
fn filters_that_would_fill_memory_or_never_match_are_not_granted() {
    let (mut routes, mut record) = (Routes::default(), Record::default());
    let rows = [
        ("x".repeat(MAX_FILTER_BYTES), None),
        ("x".repeat(MAX_FILTER_BYTES + 1), Some(NotGranted::TooLarge)),
        ("/".repeat(MAX_FILTER_LEVELS - 1), None),
        ("/".repeat(MAX_FILTER_LEVELS), Some(NotGranted::TooLarge)),
        ("$share/group/a".to_owned(), None),
        ("$share/group".to_owned(), Some(NotGranted::MalformedShare)),
        ("$share//a".to_owned(), Some(NotGranted::MalformedShare)),
        ("$shared".to_owned(), None),
    ];
    for (filter, expected) in rows {
        let granted = routes.subscribe(&mut record, &session(1), &filter, Grant::of(QoS::AtMostOnce));
        assert_eq!(granted.err(), expected, "{filter:.40}");
    }
}

#[test]
fn a_shared_subscription_ends_with_its_session_and_comes_on_top_of_its_own() {
    let mut both = Both::default();
    let filters = ["$share/g/a/#", "$share/g/$aws/commands/things/t1/executions/+/request", "a/b"];
    for filter in filters {
        both.apply(&Change::Subscribe(1, filter.to_owned(), Grant::of(QoS::AtLeastOnce)));
    }
    let shared = |both: &Both, topic: &str| {
        let mut targets = both.collected(topic);
        both.routes.collect_shared(topic, &mut targets, |_| true);
        targets.len()
    };
    assert_eq!(shared(&both, "a/b"), 2, "one copy for each");
    assert_eq!(shared(&both, &format!("{DEVICE}e1/request")), 1);
    both.apply(&Change::Unsubscribe(1, filters[0].to_owned()));
    assert_eq!(shared(&both, "a/b"), 1);
    both.apply(&Change::Leave(1));
    assert_eq!(format!("{:?}", both.routes), format!("{:?}", Routes::default()));
}
