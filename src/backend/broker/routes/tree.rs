//! The topic tree: filters of any shape, one level of the filter per level of the tree.
//!
//! The depth is bounded by the levels of a granted filter, so recursion is bounded too, whatever topics
//! come. Not here: what a session remembers to remove when it ends; whoever keeps a tree does that.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

/// Who subscribed, `K`, to which filter, and on what terms, `V`.
#[derive(Debug)]
pub(super) struct Tree<K, V> {
    root: Node<K, V>,
}

#[derive(Debug)]
struct Node<K, V> {
    /// By literal level; pure look-up.
    children: HashMap<Box<str>, Node<K, V>>,
    /// The level `+`.
    any: Option<Box<Node<K, V>>>,
    /// Subscribers of the filter that ends here; ordered, so that deliveries have an order.
    here: BTreeMap<K, V>,
    /// Subscribers of that filter with `/#` behind it.
    below: BTreeMap<K, V>,
}

// Derived, these would ask the same of `K` and `V`.
impl<K, V> Default for Tree<K, V> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<K, V> Default for Node<K, V> {
    fn default() -> Self {
        Self { children: HashMap::new(), any: None, here: BTreeMap::new(), below: BTreeMap::new() }
    }
}

impl<K: Ord, V> Tree<K, V> {
    /// Whether nobody subscribed to anything.
    pub(super) fn is_empty(&self) -> bool {
        let Node { children, any, here, below } = &self.root;
        children.is_empty() && any.is_none() && here.is_empty() && below.is_empty()
    }

    /// The subscribers of exactly this filter, to add to them: an empty map is not to be left behind.
    pub(super) fn subscribers_mut(&mut self, filter: &str) -> &mut BTreeMap<K, V> {
        self.root.subscribers_mut(filter)
    }

    /// What `key` has at exactly this filter.
    pub(super) fn get<Q: Ord + ?Sized>(&self, filter: &str, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.root.subscribers(filter)?.get(key)
    }

    /// Removes a subscriber, if it is there, and the levels that nobody needs any more.
    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, filter: &str, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.root.remove(Some(filter), key);
    }

    /// Visits the subscribers of every filter that matches `topic`, filter by filter.
    pub(super) fn visit(&self, topic: &str, visit: &mut impl FnMut(&BTreeMap<K, V>)) {
        if topic.starts_with('$') {
            // Wildcards at the front do not match such a topic ([MQTT-4.7.2-1]): only the literal child.
            let (level, rest) = split_level(topic);
            if let Some(child) = self.root.children.get(level) {
                child.visit(rest, visit);
            }
        } else {
            self.root.visit(Some(topic), visit);
        }
    }
}

impl<K: Ord, V> Node<K, V> {
    /// The subscribers of a filter, with the way to them.
    fn subscribers_mut(&mut self, filter: &str) -> &mut BTreeMap<K, V> {
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

    /// The subscribers of exactly this filter, if there is a way to them.
    fn subscribers(&self, filter: &str) -> Option<&BTreeMap<K, V>> {
        let mut node = self;
        let mut rest = Some(filter);
        while let Some(filter) = rest {
            let (level, later) = split_level(filter);
            rest = later;
            node = match level {
                "#" => return Some(&node.below),
                "+" => node.any.as_deref()?,
                literal => node.children.get(literal)?,
            };
        }
        Some(&node.here)
    }

    /// Removes a subscriber below this node; says whether the node is of no more use.
    fn remove<Q: Ord + ?Sized>(&mut self, filter: Option<&str>, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        match filter.map(split_level) {
            None => {
                self.here.remove(key);
            }
            Some(("#", _)) => {
                self.below.remove(key);
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

    /// Visits the subscribers of everything that matches `topic`, the levels that are left.
    fn visit(&self, topic: Option<&str>, visit: &mut impl FnMut(&BTreeMap<K, V>)) {
        // `#` stands for its parent level too, so it matches when no level is left.
        if !self.below.is_empty() {
            visit(&self.below);
        }
        let Some(topic) = topic else {
            if !self.here.is_empty() {
                visit(&self.here);
            }
            return;
        };
        let (level, rest) = split_level(topic);
        if let Some(child) = self.children.get(level) {
            child.visit(rest, visit);
        }
        if let Some(any) = &self.any {
            any.visit(rest, visit);
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

    #[test]
    fn levels_that_nobody_needs_go() {
        let mut tree = Tree::default();
        let filters = ["a/b/c", "a/+/c", "a/#", "#", "+", "a//", "/"];
        for filter in filters {
            assert_eq!(tree.subscribers_mut(filter).insert(1, "once"), None, "{filter}");
            assert_eq!(tree.subscribers_mut(filter).insert(1, "again"), Some("once"), "{filter}");
            assert_eq!(tree.get(filter, &1), Some(&"again"), "{filter}");
        }
        tree.remove("a/b", &1);
        assert_eq!(tree.get("a/b", &1), None);
        for filter in filters {
            tree.remove(filter, &2);
            assert_eq!(tree.get(filter, &1), Some(&"again"), "{filter}");
            tree.remove(filter, &1);
        }
        assert!(tree.root.is_empty());
    }
}
