//! Shared subscriptions, `$share/<name>/<filter>`: of all sessions that subscribed under one name to one
//! filter, one gets each message (MQTT 5, 4.8.2). AWS IoT Core serves them to clients of 3.1.1 as well.
//!
//! Members take turns in the order of their keys, which no schedule and no hash decides. Not here: how many
//! subscriptions a session may have, and moving what a lost member had not acknowledged to another one,
//! which the standard allows and does not ask for: it stays in that session.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use super::Grant;
use super::tree::Tree;
use crate::backend::broker::session::SessionKey;

/// What every shared filter begins with.
const PREFIX: &str = "$share/";

/// A shared filter, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SharedFilter<'a> {
    /// The name the group shares.
    pub(super) name: &'a str,
    /// What a topic is compared with.
    pub(super) filter: &'a str,
}

/// A filter that begins with `$share/` and has no name ([MQTT-4.8.2-1]), wildcards in the name, or nothing
/// behind it ([MQTT-4.8.2-2]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MalformedShare;

impl<'a> SharedFilter<'a> {
    /// Takes a well-formed filter apart; `Ok(None)` if it is an ordinary one.
    pub(super) fn parse(filter: &'a str) -> Result<Option<Self>, MalformedShare> {
        let Some(rest) = filter.strip_prefix(PREFIX) else { return Ok(None) };
        match rest.split_once('/') {
            Some((name, filter)) if !name.is_empty() && !name.contains(['+', '#']) && !filter.is_empty() => {
                Ok(Some(Self { name, filter }))
            }
            _ => Err(MalformedShare),
        }
    }
}

/// All groups of all sessions.
#[derive(Debug, Default)]
pub(super) struct SharedSubscriptions {
    /// By filter, then by name.
    groups: Tree<Box<str>, Group>,
}

#[derive(Debug, Default)]
struct Group {
    members: BTreeMap<SessionKey, Grant>,
    /// Whose turn it was last; it may have left since.
    last: Cell<Option<SessionKey>>,
}

impl SharedSubscriptions {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds a member to a group, or changes its grant; says whether it is new there.
    pub(super) fn subscribe(&mut self, shared: SharedFilter<'_>, key: SessionKey, grant: Grant) -> bool {
        let groups = self.groups.subscribers_mut(shared.filter);
        let group = match groups.get_mut(shared.name) {
            Some(group) => group,
            None => groups.entry(Box::from(shared.name)).or_default(),
        };
        group.members.insert(key, grant).is_none()
    }

    /// Removes a member from a group; says whether it was there. A group without members is forgotten.
    pub(super) fn unsubscribe(&mut self, shared: SharedFilter<'_>, key: SessionKey) -> bool {
        let SharedFilter { name, filter } = shared;
        let is_there = self.groups.get(filter, name).is_some_and(|group| group.members.contains_key(&key));
        if is_there && let Some(group) = self.groups.subscribers_mut(filter).get_mut(name) {
            group.members.remove(&key);
            if group.members.is_empty() {
                self.groups.remove(filter, name);
            }
        }
        is_there
    }

    /// Appends, for each group whose filter matches `topic`, the member whose turn it is. A session in two
    /// such groups is appended twice: each group gets its copy.
    ///
    /// Members that are not `is_ready` lose their turn, unless none is: then the next one in turn gets
    /// it, ready or not, and its session keeps the message or counts it as dropped. Each of a group's members
    /// may be asked once per message, so a group costs at most its size.
    pub(super) fn collect(
        &self,
        topic: &str,
        targets: &mut Vec<(SessionKey, Grant)>,
        mut is_ready: impl FnMut(SessionKey) -> bool,
    ) {
        self.groups.visit(topic, &mut |groups| {
            targets.extend(groups.values().filter_map(|group| group.take_turn(&mut is_ready)));
        });
    }
}

impl Group {
    fn take_turn(&self, mut is_ready: impl FnMut(SessionKey) -> bool) -> Option<(SessionKey, Grant)> {
        let mut turns = self.turns();
        let next = turns.next()?;
        let chosen =
            if is_ready(*next.0) { next } else { turns.find(|(key, _)| is_ready(**key)).unwrap_or(next) };
        self.last.set(Some(*chosen.0));
        Some((*chosen.0, *chosen.1))
    }

    /// All members, from the one after the last turn round to that one itself.
    fn turns(&self) -> impl Iterator<Item = (&SessionKey, &Grant)> {
        let (after, before) = match self.last.get() {
            Some(last) => ((Excluded(last), Unbounded), Some(..=last)),
            None => ((Unbounded, Unbounded), None),
        };
        self.members.range(after).chain(before.into_iter().flat_map(|before| self.members.range(before)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::{QoS, matches};

    fn key(index: usize) -> SessionKey {
        SessionKey::from_index(index)
    }

    fn shared(filter: &str) -> SharedFilter<'_> {
        SharedFilter::parse(filter).unwrap().unwrap()
    }

    /// Groups with these members at QoS 1.
    fn groups(members: &[(&str, usize)]) -> SharedSubscriptions {
        let mut all = SharedSubscriptions::default();
        for (filter, who) in members {
            assert!(all.subscribe(shared(filter), key(*who), Grant::of(QoS::AtLeastOnce)), "{filter} {who}");
        }
        all
    }

    /// Who gets the next message on `topic` if only `ready` are.
    fn next(all: &SharedSubscriptions, topic: &str, ready: &[usize]) -> Vec<usize> {
        let mut targets = Vec::new();
        all.collect(topic, &mut targets, |key| ready.contains(&key.index()));
        targets.into_iter().map(|(key, _)| key.index()).collect()
    }

    #[test]
    fn shared_filters_are_taken_apart_as_section_4_8_2_says() {
        let parts = |name, filter| Ok(Some(SharedFilter { name, filter }));
        let rows = [
            ("$share/g/a", parts("g", "a")),
            ("$share/g/a/b", parts("g", "a/b")),
            ("$share/g/#", parts("g", "#")),
            ("$share/g//a", parts("g", "/a")),
            ("$share/g/$aws/x", parts("g", "$aws/x")),
            ("$share/g/$share/h/a", parts("g", "$share/h/a")),
            ("$share//a", Err(MalformedShare)),
            ("$share/g", Err(MalformedShare)),
            ("$share/g/", Err(MalformedShare)),
            ("$share/", Err(MalformedShare)),
            ("$share/+/a", Err(MalformedShare)),
            ("$share/#", Err(MalformedShare)),
            ("$share", Ok(None)),
            ("$shared/g/a", Ok(None)),
            ("a/$share/g/b", Ok(None)),
            ("#", Ok(None)),
        ];
        for (filter, expected) in rows {
            assert_eq!(SharedFilter::parse(filter), expected, "{filter}");
        }
    }

    #[test]
    fn members_take_turns_and_who_is_not_ready_is_skipped() {
        let all = groups(&[("$share/g/a", 3), ("$share/g/a", 1), ("$share/g/a", 2)]);
        let rows: &[(&[usize], usize)] = &[
            (&[1, 2, 3], 1),
            (&[1, 2, 3], 2),
            (&[1, 2, 3], 3),
            (&[1, 2, 3], 1),
            (&[1, 3], 3),
            (&[3], 3),
            (&[1, 2, 3], 1),
            // Nobody is ready: the turns go on, and the sessions keep what they can.
            (&[], 2),
            (&[], 3),
            (&[2], 2),
        ];
        for (row, (ready, expected)) in rows.iter().enumerate() {
            assert_eq!(next(&all, "a", ready), [*expected], "row {row}");
        }
    }

    #[test]
    fn each_name_and_each_filter_is_a_group_of_its_own() {
        let all = groups(&[
            ("$share/g/a/+", 1),
            ("$share/h/a/+", 1),
            ("$share/g/a/b", 1),
            ("$share/g/#", 2),
            ("$share/g/c", 3),
        ]);
        assert_eq!(next(&all, "a/b", &[1, 2, 3]), [2, 1, 1, 1], "by filter, then by name");
        assert_eq!(next(&all, "c", &[1, 2, 3]), [2, 3]);
        assert_eq!(
            next(&all, "$aws/events/x", &[1, 2, 3]),
            [0; 0],
            "no wildcard at the front of a `$` topic"
        );
    }

    #[test]
    fn what_was_granted_last_holds() {
        let mut all = groups(&[("$share/g/a", 1)]);
        assert!(!all.subscribe(shared("$share/g/a"), key(1), Grant::of(QoS::AtMostOnce)));
        let mut targets = Vec::new();
        all.collect("a", &mut targets, |_| true);
        assert_eq!(targets, [(key(1), Grant::of(QoS::AtMostOnce))]);
    }

    /// Groups of the property test; the members of each have keys of their own, so that who was served says
    /// for which group.
    const FILTERS: [&str; 6] =
        ["$share/g/a", "$share/h/a", "$share/g/+", "$share/g/a/#", "$share/h/#", "$share/g/a/b"];
    const MEMBERS: usize = 4;

    #[derive(Debug, Clone)]
    enum Step {
        Subscribe(usize),
        Unsubscribe(usize),
        Publish(&'static str, BTreeSet<usize>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let member = || 0..FILTERS.len() * MEMBERS;
        let topic = prop::sample::select(vec!["a", "a/b", "b", "$x"]);
        prop_oneof![
            3 => member().prop_map(Step::Subscribe),
            1 => member().prop_map(Step::Unsubscribe),
            4 => (topic, prop::collection::btree_set(member(), 0..FILTERS.len() * MEMBERS))
                .prop_map(|(topic, ready)| Step::Publish(topic, ready)),
        ]
    }

    fn group_of(who: usize) -> SharedFilter<'static> {
        shared(FILTERS[who / MEMBERS])
    }

    /// Each group that matches is served once, by a member, and by a ready one if it has one.
    fn check(all: &SharedSubscriptions, members: &BTreeSet<usize>, topic: &str, ready: &BTreeSet<usize>) {
        let served = next(all, topic, &ready.iter().copied().collect::<Vec<_>>());
        for (group, filter) in FILTERS.iter().enumerate() {
            let is_of_group = |who: &&usize| **who / MEMBERS == group;
            let its_members: BTreeSet<usize> = members.iter().filter(is_of_group).copied().collect();
            let its_served: Vec<usize> = served.iter().filter(is_of_group).copied().collect();
            let wants = matches(shared(filter).filter, topic) && !its_members.is_empty();
            let context = format!("{filter} on {topic}: {its_served:?} of {its_members:?}");
            assert_eq!(its_served.len(), usize::from(wants), "{context}");
            for who in its_served {
                assert!(its_members.contains(&who), "{context}");
                assert!(
                    ready.contains(&who) || its_members.is_disjoint(ready),
                    "{context}, ready: {ready:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn each_group_is_served_once_by_somebody_who_is_ready(steps in prop::collection::vec(step(), 1..60)) {
            let (mut all, mut members) = (SharedSubscriptions::default(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Subscribe(who) => {
                        let is_new = all.subscribe(group_of(who), key(who), Grant::of(QoS::AtLeastOnce));
                        prop_assert_eq!(is_new, members.insert(who));
                    }
                    Step::Unsubscribe(who) => {
                        prop_assert_eq!(all.unsubscribe(group_of(who), key(who)), members.remove(&who));
                    }
                    Step::Publish(topic, ready) => check(&all, &members, topic, &ready),
                }
            }
            for who in members {
                prop_assert!(all.unsubscribe(group_of(who), key(who)));
            }
            prop_assert_eq!(format!("{all:?}"), format!("{:?}", SharedSubscriptions::default()));
        }

        #[test]
        fn turns_are_fair_while_all_are_ready(members in prop::collection::btree_set(0usize..50, 1..20)) {
            let mut all = SharedSubscriptions::default();
            for who in &members {
                all.subscribe(shared("$share/g/a"), key(*who), Grant::of(QoS::AtLeastOnce));
            }
            let ready: Vec<usize> = members.iter().copied().collect();
            for _ in 0..3 {
                let round: BTreeSet<usize> = members.iter().flat_map(|_| next(&all, "a", &ready)).collect();
                prop_assert_eq!(&round, &members);
            }
        }
    }
}
