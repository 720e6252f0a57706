//! Which sessions a message goes to.
//!
//! Devices subscribe to a handful of known filters below their own identifier; those stand in a table
//! with a bit per filter (`devices`), so that a device costs a few dozen bytes and a delivery one look-up.
//! All other filters stand in a topic tree (`tree`). A session can be found through both.

mod devices;
mod tree;

#[cfg(test)]
mod tests;

use devices::{DeviceFilter, Devices};
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
    /// `$share/…`: granting it as an ordinary filter would never match anything.
    Shared,
}

/// All subscriptions of all sessions.
#[derive(Debug, Default)]
pub(super) struct Routes {
    devices: Devices,
    tree: Tree,
}

/// The subscriptions of one session: what has to be removed when it ends.
#[derive(Debug, Default)]
pub(super) struct Record {
    devices: Vec<devices::DeviceKey>,
    filters: Vec<Box<str>>,
    count: u32,
}

impl Record {
    /// How many subscriptions there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
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
        if filter.starts_with("$share/") {
            return Err(NotGranted::Shared);
        }
        // A known filter stands in the table, or with options in the tree: in one of them.
        let known = DeviceFilter::parse(filter);
        let is_new = match &known {
            Some(known) if grant == Grant::of(grant.qos) => {
                let was_in_tree = self.tree.unsubscribe(&mut record.filters, session.key(), filter);
                self.devices.subscribe(&mut record.devices, session, known, grant.qos) && !was_in_tree
            }
            Some(known) => {
                let was_in_table = self.devices.unsubscribe(&mut record.devices, session.key(), known);
                self.tree.subscribe(&mut record.filters, session.key(), filter, grant) && !was_in_table
            }
            None => self.tree.subscribe(&mut record.filters, session.key(), filter, grant),
        };
        record.count += u32::from(is_new);
        Ok(is_new)
    }

    /// Removes a subscription; says whether there was one.
    pub(super) fn unsubscribe(&mut self, record: &mut Record, key: SessionKey, filter: &str) -> bool {
        let removed = DeviceFilter::parse(filter)
            .is_some_and(|known| self.devices.unsubscribe(&mut record.devices, key, &known))
            || self.tree.unsubscribe(&mut record.filters, key, filter);
        record.count -= u32::from(removed);
        removed
    }

    /// Removes all subscriptions of a session.
    pub(super) fn remove(&mut self, record: &Record, key: SessionKey) {
        for device in &record.devices {
            self.devices.remove(device, key);
        }
        for filter in &record.filters {
            self.tree.remove(filter, key);
        }
    }

    /// Appends the sessions that subscribed to `topic` to the empty `targets`: each once, with what its
    /// subscriptions grant together, in the order of their keys.
    pub(super) fn collect(&self, topic: &str, targets: &mut Vec<(SessionKey, Grant)>) {
        self.devices.collect(topic, targets);
        self.tree.collect(topic, targets);
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
}
