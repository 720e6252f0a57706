//! The topic tree: filters of any shape, one level of the filter per level of the tree.
//!
//! The depth is bounded by the levels of a granted filter, so recursion is bounded too, whatever topics
//! come.

use std::collections::{BTreeMap, HashMap};

use super::Grant;
use crate::backend::broker::session::SessionKey;

#[derive(Debug, Default)]
pub(super) struct Tree {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    /// By literal level; pure look-up.
    children: HashMap<Box<str>, Node>,
    /// The level `+`.
    any: Option<Box<Node>>,
    /// Subscribers of the filter that ends here.
    here: Subscribers,
    /// Subscribers of that filter with `/#` behind it.
    below: Subscribers,
}

/// Ordered, so that deliveries have an order.
type Subscribers = BTreeMap<SessionKey, Grant>;

impl Tree {
    /// Adds a subscription or changes its grant; says whether it is new. `record` lists the session's filters in the tree.
    pub(super) fn subscribe(
        &mut self,
        record: &mut Vec<Box<str>>,
        key: SessionKey,
        filter: &str,
        grant: Grant,
    ) -> bool {
        let is_new = self.root.subscribers(filter).insert(key, grant).is_none();
        if is_new {
            record.push(Box::from(filter));
        }
        is_new
    }

    /// Removes a subscription; says whether there was one.
    pub(super) fn unsubscribe(&mut self, record: &mut Vec<Box<str>>, key: SessionKey, filter: &str) -> bool {
        // The tree is asked first: a client that unsubscribes from what it never had must not make us
        // search its list each time.
        if !self.root.has_subscriber(filter, key) {
            return false;
        }
        if let Some(place) = record.iter().position(|known| &**known == filter) {
            record.swap_remove(place);
        }
        self.remove(filter, key);
        true
    }

    /// Removes a subscription that is known to be there, and the levels that nobody needs any more.
    pub(super) fn remove(&mut self, filter: &str, key: SessionKey) {
        self.root.remove(Some(filter), key);
    }

    /// Appends the sessions that subscribed to `topic`, possibly several times.
    pub(super) fn collect(&self, topic: &str, targets: &mut Vec<(SessionKey, Grant)>) {
        if topic.starts_with('$') {
            // Wildcards at the front do not match such a topic ([MQTT-4.7.2-1]): only the literal child.
            let (level, rest) = split_level(topic);
            if let Some(child) = self.root.children.get(level) {
                child.collect(rest, targets);
            }
        } else {
            self.root.collect(Some(topic), targets);
        }
    }
}

impl Node {
    /// The subscribers of a filter, with the way to them.
    fn subscribers(&mut self, filter: &str) -> &mut Subscribers {
        let mut node = self;
        let mut rest = Some(filter);
        while let Some(filter) = rest {
            let (level, later) = split_level(filter);
            rest = later;
            match level {
                "#" => return &mut node.below,
                "+" => node = node.any.get_or_insert_default(),
                literal => node = node.children.entry(Box::from(literal)).or_default(),
            }
        }
        &mut node.here
    }

    /// Whether `key` subscribed to exactly this filter.
    fn has_subscriber(&self, filter: &str, key: SessionKey) -> bool {
        let mut node = self;
        let mut rest = Some(filter);
        while let Some(filter) = rest {
            let (level, later) = split_level(filter);
            rest = later;
            let next = match level {
                "#" => return node.below.contains_key(&key),
                "+" => node.any.as_deref(),
                literal => node.children.get(literal),
            };
            let Some(next) = next else { return false };
            node = next;
        }
        node.here.contains_key(&key)
    }

    /// Removes a subscriber below this node; says whether the node is of no more use.
    fn remove(&mut self, filter: Option<&str>, key: SessionKey) -> bool {
        match filter.map(split_level) {
            None => {
                self.here.remove(&key);
            }
            Some(("#", _)) => {
                self.below.remove(&key);
            }
            Some(("+", rest)) => {
                if self.any.as_mut().is_some_and(|node| node.remove(rest, key)) {
                    self.any = None;
                }
            }
            Some((literal, rest)) => {
                if self.children.get_mut(literal).is_some_and(|node| node.remove(rest, key)) {
                    self.children.remove(literal);
                }
            }
        }
        self.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.any.is_none() && self.here.is_empty() && self.below.is_empty()
    }

    /// Appends the subscribers of everything that matches `topic`, the levels that are left.
    fn collect(&self, topic: Option<&str>, targets: &mut Vec<(SessionKey, Grant)>) {
        // `#` stands for its parent level too, so it matches when no level is left.
        targets.extend(self.below.iter().map(|(key, grant)| (*key, *grant)));
        let Some(topic) = topic else {
            targets.extend(self.here.iter().map(|(key, grant)| (*key, *grant)));
            return;
        };
        let (level, rest) = split_level(topic);
        if let Some(child) = self.children.get(level) {
            child.collect(rest, targets);
        }
        if let Some(any) = &self.any {
            any.collect(rest, targets);
        }
    }
}

/// The first level and what is behind it, if anything is.
fn split_level(topic: &str) -> (&str, Option<&str>) {
    match topic.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (topic, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::QoS;

    #[test]
    fn levels_that_nobody_needs_go() {
        let (mut tree, mut record) = (Tree::default(), Vec::new());
        let key = SessionKey::from_index(1);
        let filters = ["a/b/c", "a/+/c", "a/#", "#", "+", "a//", "/"];
        for filter in filters {
            assert!(tree.subscribe(&mut record, key, filter, Grant::of(QoS::AtMostOnce)), "{filter}");
            assert!(!tree.subscribe(&mut record, key, filter, Grant::of(QoS::AtLeastOnce)), "{filter} again");
        }
        assert!(!tree.unsubscribe(&mut record, key, "a/b"));
        for filter in filters {
            assert!(tree.unsubscribe(&mut record, key, filter), "{filter}");
        }
        assert!(tree.root.is_empty() && record.is_empty());
    }
}
