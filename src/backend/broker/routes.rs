//! Which sessions a message goes to.
//!
//! Devices subscribe to a handful of known filters below their own identifier; those stand in a table
//! with a bit per filter (`devices`), so that a device costs a few dozen bytes and a delivery one look-up.
//! All other filters stand in a topic tree (`tree`). A session can be found through both.

mod devices;
mod tree;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

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
    /// Adds a subscription or changes its QoS ([MQTT-3.8.4-3]); says whether it is new.
    pub(super) fn subscribe(
        &mut self,
        record: &mut Record,
        session: &Session,
        filter: &str,
        qos: QoS,
    ) -> Result<bool, NotGranted> {
        if filter.len() > MAX_FILTER_BYTES || filter.split('/').count() > MAX_FILTER_LEVELS {
            return Err(NotGranted::TooLarge);
        }
        if filter.starts_with("$share/") {
            return Err(NotGranted::Shared);
        }
        let is_new = match DeviceFilter::parse(filter) {
            Some(known) => self.devices.subscribe(&mut record.devices, session, &known, qos),
            None => self.tree.subscribe(&mut record.filters, session.key(), filter, qos),
        };
        record.count += u32::from(is_new);
        Ok(is_new)
    }

    /// Removes a subscription; says whether there was one.
    pub(super) fn unsubscribe(&mut self, record: &mut Record, key: SessionKey, filter: &str) -> bool {
        let removed = match DeviceFilter::parse(filter) {
            Some(known) => self.devices.unsubscribe(&mut record.devices, key, &known),
            None => self.tree.unsubscribe(&mut record.filters, key, filter),
        };
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

    /// Appends the sessions that subscribed to `topic` to the empty `targets`: each once, with its highest
    /// granted QoS, in the order of their keys.
    pub(super) fn collect(&self, topic: &str, targets: &mut Vec<(SessionKey, QoS)>) {
        self.devices.collect(topic, targets);
        self.tree.collect(topic, targets);
        if targets.len() > 1 {
            targets.sort_unstable_by_key(|(key, qos)| (*key, Reverse(*qos)));
            targets.dedup_by_key(|(key, _)| *key);
        }
    }
}
