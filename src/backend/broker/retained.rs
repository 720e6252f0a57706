//! Retained messages: the last word on each topic, for whoever subscribes later (MQTT 5, 3.3.1.3).
//!
//! Ordered by topic, so that they are delivered in one order, and a filter is looked for only below what it
//! spells out. Expired ones are dropped when the store is next used. Not here: which subscription wants
//! them (retain handling), and how a message is read again: it is bytes here.

use std::collections::BTreeMap;
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;

use crate::clock::{Deadlines, Instant};
use crate::mqtt::{QoS, matches};

/// Retained messages at once: one state for each device of a large fleet over TCP, ten times over. A filter
/// that begins with a wildcard compares all of them, which takes some milliseconds.
pub(super) const MAX_MESSAGES: usize = 100_000;

/// Memory of all of them: the most messages at half a KiB each.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a message costs besides its topic and packet: their headers, the place in the map and the deadline.
const OVERHEAD_BYTES: usize = 128;

/// Below this many deadlines a sweep of the moot ones is not worth its walk.
const SWEEP_FROM: usize = 1024;

/// A message that is kept for its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RetainedMessage {
    /// The client that published it, if one did: it may not want its own messages back.
    pub(super) from: Option<Box<str>>,
    /// The message in the form in which its keeper reads it again, topic included; of its exact size.
    pub(super) packet: Box<[u8]>,
    /// As it was published; a subscription may grant less.
    pub(super) qos: QoS,
    /// From this instant on it is delivered to nobody.
    pub(super) expires_at: Option<Instant>,
}

/// There is no room for one more message, or for one of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// All retained messages.
#[derive(Debug, Default)]
pub(super) struct Retained {
    by_topic: BTreeMap<Arc<str>, RetainedMessage>,
    bytes: usize,
    /// Of messages that were there; one that was replaced or cleared since is skipped.
    deadlines: Deadlines<(Instant, Arc<str>)>,
    refused: u64,
}

impl Retained {
    /// Keeps `message` for `topic`, in the place of the one before ([MQTT-3.3.1-5]).
    ///
    /// # Errors
    /// If it does not fit; it is counted. The one before is gone then as well: a subscriber must not be told
    /// what no longer holds.
    pub(super) fn set(&mut self, topic: &str, message: RetainedMessage, now: Instant) -> Result<(), Full> {
        self.expire(now);
        let before = self.take(topic);
        if message.expires_at.is_some_and(|at| at <= now) {
            return Ok(());
        }
        let bytes = cost(topic, &message);
        if self.by_topic.len() >= MAX_MESSAGES || self.bytes + bytes > MAX_BYTES {
            self.refused += 1;
            return Err(Full);
        }
        let (topic, expired_at) = match before {
            Some((topic, before)) => (topic, before.expires_at),
            None => (Arc::from(topic), None),
        };
        if let Some(at) = message.expires_at.filter(|at| Some(*at) != expired_at) {
            self.deadlines.push(at, (at, Arc::clone(&topic)));
        }
        self.bytes += bytes;
        self.by_topic.insert(topic, message);
        self.sweep();
        Ok(())
    }

    /// Forgets the message of `topic`: what a retained PUBLISH without payload asks for ([MQTT-3.3.1-6]).
    pub(super) fn clear(&mut self, topic: &str) {
        self.take(topic);
    }

    /// Visits the messages whose topics match `filter` and that have not expired, in the order of topics.
    /// A wildcard at the front matches no `$` topic ([MQTT-4.7.2-1]). Returns how many messages were looked
    /// at, matching or not: what it cost.
    pub(super) fn visit(
        &mut self,
        filter: &str,
        now: Instant,
        mut visit: impl FnMut(&RetainedMessage),
    ) -> usize {
        self.expire(now);
        let Some(wildcard) = filter.find(['+', '#']) else {
            self.by_topic.get(filter).into_iter().for_each(visit);
            return 1;
        };
        let mut looked_at = 1;
        // What stands before the wildcard ends with a slash or is empty.
        let front = &filter[..wildcard];
        // "a/#" is also for "a", which comes before all that begins with "a/".
        if filter[wildcard..].starts_with('#')
            && let Some(parent) = front.strip_suffix('/')
        {
            self.by_topic.get(parent).into_iter().for_each(&mut visit);
        }
        let candidates = self.by_topic.range::<str, _>((Included(front), Unbounded));
        for (topic, message) in candidates.take_while(|(topic, _)| topic.starts_with(front)) {
            looked_at += 1;
            if matches(filter, topic) {
                visit(message);
            }
        }
        looked_at
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_topic.len()
    }

    /// Messages that were not kept because there was no room, since the start.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    fn take(&mut self, topic: &str) -> Option<(Arc<str>, RetainedMessage)> {
        let (topic, message) = self.by_topic.remove_entry(topic)?;
        self.bytes -= cost(&topic, &message);
        Some((topic, message))
    }

    fn expire(&mut self, now: Instant) {
        while let Some((_, (at, topic))) = self.deadlines.pop_due(now) {
            if self.by_topic.get(&topic).is_some_and(|message| message.expires_at == Some(at)) {
                self.take(&topic);
            }
        }
    }

    /// Forgets moot deadlines when most are: one topic that is set again and again must not fill memory.
    fn sweep(&mut self) {
        if self.deadlines.len() > SWEEP_FROM + 2 * self.by_topic.len() {
            let by_topic = &self.by_topic;
            self.deadlines.retain(|(at, topic)| {
                by_topic.get(topic).is_some_and(|message| message.expires_at == Some(*at))
            });
        }
    }
}

fn cost(topic: &str, message: &RetainedMessage) -> usize {
    OVERHEAD_BYTES + topic.len() + message.packet.len() + message.from.as_ref().map_or(0, |from| from.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn message(packet: impl AsRef<[u8]>, expires_at: Option<Instant>) -> RetainedMessage {
        RetainedMessage { from: None, packet: Box::from(packet.as_ref()), qos: QoS::AtLeastOnce, expires_at }
    }

    /// What is retained below `filter` at `now`, each packet being a text.
    fn found(retained: &mut Retained, filter: &str, now: Instant) -> Vec<String> {
        let mut found = Vec::new();
        let text = |message: &RetainedMessage| String::from_utf8(message.packet.to_vec()).unwrap();
        retained.visit(filter, now, |message| found.push(text(message)));
        found
    }

    #[test]
    fn the_last_message_of_each_matching_topic_is_found_in_the_order_of_topics() {
        let mut retained = Retained::default();
        for topic in ["b", "a/b", "a", "a/b/c", "a-b", "a/", "/", "$aws/x", "", "a0"] {
            retained.set(topic, message("before", None), at(0)).unwrap();
            retained.set(topic, message(topic, None), at(0)).unwrap();
        }
        let rows: &[(&str, &[&str])] = &[
            ("a", &["a"]),
            ("a/b", &["a/b"]),
            ("c", &[]),
            ("a/#", &["a", "a/", "a/b", "a/b/c"]),
            ("a/+", &["a/", "a/b"]),
            ("+/b", &["a/b"]),
            ("a/+/c", &["a/b/c"]),
            ("a/b/#", &["a/b", "a/b/c"]),
            ("a/b/c/#", &["a/b/c"]),
            ("+", &["", "a", "a-b", "a0", "b"]),
            ("/#", &["", "/"]),
            ("#", &["", "/", "a", "a-b", "a/", "a/b", "a/b/c", "a0", "b"]),
            ("$aws/#", &["$aws/x"]),
            ("$aws/+", &["$aws/x"]),
        ];
        for (filter, expected) in rows {
            assert_eq!(found(&mut retained, filter, at(0)), *expected, "{filter}");
        }
    }

    #[test]
    fn a_cleared_topic_has_no_message_and_costs_nothing() {
        let mut retained = Retained::default();
        retained.set("a", message("x", Some(at(5))), at(0)).unwrap();
        retained.clear("a");
        retained.clear("b");
        assert_eq!((found(&mut retained, "#", at(0)), retained.len(), retained.bytes), (vec![], 0, 0));
    }

    #[test]
    fn an_expired_message_is_not_found_and_a_newer_one_outlives_its_deadline() {
        let mut retained = Retained::default();
        retained.set("a", message("1", Some(at(5))), at(0)).unwrap();
        retained.set("b", message("2", Some(at(5))), at(0)).unwrap();
        retained.set("b", message("3", Some(at(9))), at(1)).unwrap();
        retained.set("c", message("late", Some(at(1))), at(1)).unwrap();
        let rows: &[(Instant, &[&str])] = &[
            (at(1), &["1", "3"]),
            (Instant::from_micros(4_999_999), &["1", "3"]),
            (at(5), &["3"]),
            (at(8), &["3"]),
            (at(9), &[]),
        ];
        for (now, expected) in rows {
            assert_eq!(found(&mut retained, "#", *now), *expected, "{now:?}");
        }
        assert_eq!((retained.len(), retained.bytes, retained.deadlines.len()), (0, 0, 0));
    }

    #[test]
    fn more_messages_than_fit_are_refused_and_counted() {
        let mut retained = Retained::default();
        for number in 0..MAX_MESSAGES {
            let expires_at = (number == 7).then_some(at(5));
            retained.set(&format!("t/{number}"), message("x", expires_at), at(0)).unwrap();
        }
        assert_eq!(retained.set("one/more", message("x", None), at(0)), Err(Full));
        assert_eq!(retained.set("t/0", message("y", None), at(0)), Ok(()), "it replaces one");
        assert_eq!(retained.set("one/more", message("x", None), at(5)), Ok(()), "one has expired");
        assert_eq!((retained.len(), retained.refused()), (MAX_MESSAGES, 1));
    }

    #[test]
    fn more_bytes_than_fit_are_refused_and_the_stale_message_goes() {
        let mut retained = Retained::default();
        let large = MAX_BYTES - 2 * OVERHEAD_BYTES - 2;
        retained.set("a", message("1", None), at(0)).unwrap();
        assert_eq!(retained.set("b", message(vec![b'x'; large], None), at(0)), Err(Full));
        assert_eq!(retained.set("b", message(vec![b'x'; large - 1], None), at(0)), Ok(()));
        assert_eq!(retained.bytes, MAX_BYTES);
        assert_eq!(retained.set("a", message("22", None), at(0)), Err(Full));
        assert_eq!(found(&mut retained, "a", at(0)), [""; 0]);
        assert_eq!((retained.len(), retained.refused()), (1, 2));
    }

    #[test]
    fn a_topic_that_is_set_all_the_time_does_not_fill_memory() {
        let mut retained = Retained::default();
        for number in 0..10 * SWEEP_FROM as u64 {
            retained.set("a", message("x", Some(at(number + 1000))), at(0)).unwrap();
            retained.set("b", message("x", Some(at(1000))), at(0)).unwrap();
        }
        assert!(retained.deadlines.len() <= SWEEP_FROM + 2 * 2, "{}", retained.deadlines.len());
        assert_eq!(found(&mut retained, "#", at(1000)), ["x"]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Set(String, u8, Option<u64>),
        Clear(String),
        Wait(u64),
        Subscribe(String),
    }

    fn levels(of: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(of), 1..4).prop_map(|levels| levels.join("/"))
    }

    fn step() -> impl Strategy<Value = Step> {
        let topic = || levels(&["a", "b", "a b", "", "$aws"]);
        let filter = levels(&["a", "b", "a b", "", "$aws", "+", "#"]);
        prop_oneof![
            4 => (topic(), any::<u8>(), prop::option::of(0u64..6)).prop_map(|(t, p, e)| Step::Set(t, p, e)),
            1 => topic().prop_map(Step::Clear),
            1 => (0u64..4).prop_map(Step::Wait),
            3 => filter.prop_filter("well-formed", |filter| crate::mqtt::filter_is_valid(filter).is_ok())
                .prop_map(Step::Subscribe),
        ]
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_plain_list_holds(steps in prop::collection::vec(step(), 1..60)) {
            let mut retained = Retained::default();
            let mut model: BTreeMap<String, (String, Option<Instant>)> = BTreeMap::new();
            let mut now = at(0);
            for step in steps {
                match step {
                    Step::Set(topic, text, lifetime) => {
                        let (text, expires_at) = (text.to_string(), lifetime.map(|s| now.plus_micros(s * 1_000_000)));
                        retained.set(&topic, message(&text, expires_at), now).unwrap();
                        model.insert(topic, (text, expires_at));
                    }
                    Step::Clear(topic) => {
                        retained.clear(&topic);
                        model.remove(&topic);
                    }
                    Step::Wait(seconds) => now = now.plus_micros(seconds * 1_000_000),
                    Step::Subscribe(filter) => {
                        let live = |(topic, (_, expires_at)): &(&String, &(String, Option<Instant>))| {
                            matches(&filter, topic) && expires_at.is_none_or(|at| at > now)
                        };
                        let expected: Vec<String> =
                            model.iter().filter(live).map(|(_, (text, _))| text.clone()).collect();
                        prop_assert_eq!(found(&mut retained, &filter, now), expected, "{}", filter);
                    }
                }
            }
            let bytes: usize = retained.by_topic.iter().map(|(topic, message)| cost(topic, message)).sum();
            prop_assert_eq!(retained.bytes, bytes);
        }
    }
}
