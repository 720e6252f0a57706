//! Which sessions a message goes to.
//!
//! Devices subscribe to a handful of known filters below their own identifier; those stand in a table
//! with a bit per filter (`devices`), so that a device costs a few dozen bytes and a delivery one look-up.
//! All other filters stand in a topic tree (`tree`). A session can be found through both. Shared
//! subscriptions (`shared`) are groups in a tree of their own; their copies come on top of these.

mod devices;
mod shared;
mod tree;

#[cfg(test)]
mod tests;

use devices::{DeviceFilter, Devices};
use shared::{SharedFilter, SharedSubscriptions};
use tree::Tree;

use super::session::{Session, SessionKey};
use crate::mqtt::QoS;

/// The longest filter that is granted. AWS IoT Core takes 256 bytes; a subscription must not be a way to
/// fill memory.
pub(super) const MAX_FILTER_BYTES: usize = 1024;

/// Levels of a filter that is granted: bounds the depth of the tree. AWS IoT Core takes 8, command topics
/// have 9.
pub(super) const MAX_FILTER_LEVELS: usize = 32;

/// What a subscription was granted. The flags are options of MQTT 5 (3.8.3.1), never set by 3.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// The most at which a message is delivered.
    pub(super) qos: QoS,
    /// Messages that the subscriber itself has published are not for it.
    pub(super) no_local: bool,
    /// Whether the retain flag of a message is passed on as the publisher set it.
    pub(super) retain_as_published: bool,
}

impl Grant {
    /// A subscription without options.
    pub(super) const fn of(qos: QoS) -> Self {
        Self { qos, no_local: false, retain_as_published: false }
    }

    /// What holds for a message that matches several subscriptions of one session: it is delivered once,
    /// with whatever one of them allows ([MQTT-3.3.4-2], [MQTT-3.3.5-1]).
    fn and(self, other: Self) -> Self {
        Self {
            qos: self.qos.max(other.qos),
            no_local: self.no_local && other.no_local,
            retain_as_published: self.retain_as_published || other.retain_as_published,
        }
    }
}

/// Why a filter, though well-formed, is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotGranted {
    /// More than [`MAX_FILTER_BYTES`] or [`MAX_FILTER_LEVELS`].
    TooLarge,
    /// `$share/…` without a name or without a filter ([MQTT-4.8.2-1], [MQTT-4.8.2-2]).
    MalformedShare,
    /// The session has as many subscriptions as it may have.
    TooMany,
    /// The account has subscribed to as much as it may in a second.
    TooFast,
    /// The SUBSCRIBE has looked at as many retained messages as one may.
    TooMuchRetained,
    /// The session has ended or has another connection: its client will not read the answer.
    NoSession,
}

/// All subscriptions of all sessions.
#[derive(Debug, Default)]
pub(super) struct Routes {
    devices: Devices,
    tree: Tree<SessionKey, Grant>,
    shared: SharedSubscriptions,
}

/// The subscriptions of one session: what has to be removed when it ends.
#[derive(Debug, Default)]
pub(super) struct Record {
    devices: Vec<devices::DeviceKey>,
    filters: Vec<Box<str>>,
    count: u32,
    bytes: u32,
}

/// What a subscription costs in table or tree besides its filter, about.
const SUBSCRIPTION_BYTES: u32 = 64;

impl Record {
    /// How many subscriptions there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    fn forget(&mut self, filter: &str) {
        if let Some(place) = self.filters.iter().position(|known| &**known == filter) {
            self.filters.swap_remove(place);
        }
    }

    /// Memory of all of them, about; below 1.1 MB for the most that a session may have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    fn add(&mut self, filter: &str) {
        self.count += 1;
        self.bytes += bytes_of(filter);
    }

    fn subtract(&mut self, filter: &str) {
        self.count -= 1;
        self.bytes -= bytes_of(filter);
    }
}

impl Routes {
    /// Adds a subscription or changes its grant ([MQTT-3.8.4-3]); says whether it is new.
    pub(super) fn subscribe(
        &mut self,
        record: &mut Record,
        session: &Session,
        filter: &str,
        grant: Grant,
    ) -> Result<bool, NotGranted> {
        if filter.len() > MAX_FILTER_BYTES || filter.split('/').count() > MAX_FILTER_LEVELS {
            return Err(NotGranted::TooLarge);
        }
        let shared = SharedFilter::parse(filter).map_err(|_| NotGranted::MalformedShare)?;
        let key = session.key();
        // A known filter stands in the table, or with options in the tree: in one of them.
        let is_new = match (shared, DeviceFilter::parse(filter)) {
            (Some(shared), _) => {
                let is_new = self.shared.subscribe(shared, key, grant);
                if is_new {
                    record.filters.push(Box::from(filter));
                }
                is_new
            }
            (None, Some(known)) if grant == Grant::of(grant.qos) => {
                let was_in_tree = self.remove_from_tree(record, key, filter);
                self.devices.subscribe(&mut record.devices, session, &known, grant.qos) && !was_in_tree
            }
            (None, Some(known)) => {
                let was_in_table = self.devices.unsubscribe(&mut record.devices, key, &known);
                self.add_to_tree(record, key, filter, grant) && !was_in_table
            }
            (None, None) => self.add_to_tree(record, key, filter, grant),
        };
        if is_new {
            record.add(filter);
        }
        Ok(is_new)
    }

    /// Removes a subscription; says whether there was one.
    pub(super) fn unsubscribe(&mut self, record: &mut Record, key: SessionKey, filter: &str) -> bool {
        let removed = if let Ok(Some(shared)) = SharedFilter::parse(filter) {
            let removed = self.shared.unsubscribe(shared, key);
            if removed {
                record.forget(filter);
            }
            removed
        } else {
            DeviceFilter::parse(filter)
                .is_some_and(|known| self.devices.unsubscribe(&mut record.devices, key, &known))
                || self.remove_from_tree(record, key, filter)
        };
        if removed {
            record.subtract(filter);
        }
        removed
    }

    /// Removes all subscriptions of a session.
    pub(super) fn remove(&mut self, record: &Record, key: SessionKey) {
        for device in &record.devices {
            self.devices.remove(device, key);
        }
        for filter in &record.filters {
            match SharedFilter::parse(filter) {
                Ok(Some(shared)) => {
                    self.shared.unsubscribe(shared, key);
                }
                _ => self.tree.remove(filter, &key),
            }
        }
    }

    /// Whether there are none but those of devices to the topics of their own commands.
    pub(super) fn only_devices(&self) -> bool {
        self.tree.is_empty() && self.shared.is_empty()
    }

    /// Appends the sessions that subscribed to `topic` to the empty `targets`: each once, with what its
    /// subscriptions grant together, in the order of their keys.
    pub(super) fn collect(&self, topic: &str, targets: &mut Vec<(SessionKey, Grant)>) {
        self.devices.collect(topic, targets);
        self.tree.visit(topic, &mut |all| targets.extend(all.iter().map(|(key, grant)| (*key, *grant))));
        if targets.len() > 1 {
            targets.sort_unstable_by_key(|(key, _)| *key);
            targets.dedup_by(|(key, grant), (kept, merged)| {
                let is_same = key == kept;
                if is_same {
                    *merged = merged.and(*grant);
                }
                is_same
            });
        }
    }

    /// Appends the sessions whose turn it is in the shared subscriptions that match `topic`: a session that
    /// subscribed to it by itself as well gets both copies (MQTT 5, 4.8.2). See
    /// [`SharedSubscriptions::collect`] for `is_ready`.
    pub(super) fn collect_shared(
        &self,
        topic: &str,
        targets: &mut Vec<(SessionKey, Grant)>,
        is_ready: impl FnMut(SessionKey) -> bool,
    ) {
        self.shared.collect(topic, targets, is_ready);
    }

    fn add_to_tree(&mut self, record: &mut Record, key: SessionKey, filter: &str, grant: Grant) -> bool {
        let is_new = self.tree.subscribers_mut(filter).insert(key, grant).is_none();
        if is_new {
            record.filters.push(Box::from(filter));
        }
        is_new
    }

    fn remove_from_tree(&mut self, record: &mut Record, key: SessionKey, filter: &str) -> bool {
        // The tree is asked first: a client that unsubscribes from what it never had must not make us
        // search its list each time.
        let is_there = self.tree.get(filter, &key).is_some();
        if is_there {
            record.forget(filter);
            self.tree.remove(filter, &key);
        }
        is_there
    }
}

/// Only filters of at most [`MAX_FILTER_BYTES`] come here.
fn bytes_of(filter: &str) -> u32 {
    u32::try_from(filter.len()).unwrap_or(u32::MAX - SUBSCRIPTION_BYTES) + SUBSCRIPTION_BYTES
}
