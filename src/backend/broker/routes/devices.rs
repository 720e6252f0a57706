//! The subscriptions of devices: `$aws/commands/<things|clients>/<id>/executions/+/<known suffix>` with a
//! literal id.
//!
//! The suffixes are the topics of the command plane and the filters that clients use for them; each has a
//! bit. A topic is looked up by its id and compared with the bits that cover its suffix. Everything else
//! (other suffixes, a literal execution id, wildcard ids, the options of MQTT 5) is for the tree.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Grant;
use crate::backend::broker::session::{Session, SessionKey};
use crate::mqtt::{QoS, levels_match};

/// The known suffixes. The first [`TOPICS`] are what topics end in, the rest only filters.
const SUFFIXES: [&str; 24] = [
    "request",
    "request/json",
    "request/cbor",
    "response",
    "response/json",
    "response/cbor",
    "response/accepted",
    "response/accepted/json",
    "response/accepted/cbor",
    "response/rejected",
    "response/rejected/json",
    "response/rejected/cbor",
    "request/#",
    "request/+",
    "response/#",
    "response/+",
    "response/+/json",
    "response/+/cbor",
    "response/+/+",
    "response/accepted/#",
    "response/accepted/+",
    "response/rejected/#",
    "response/rejected/+",
    "#",
];

/// How many of [`SUFFIXES`] are topics.
const TOPICS: usize = 12;

/// A set of [`SUFFIXES`], a bit each.
type Set = u32;

/// Whether a device is addressed by thing name or by client identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Things,
    Clients,
}

/// The place of a device in the table, as a session remembers it.
#[derive(Debug)]
pub(super) struct DeviceKey {
    kind: Kind,
    id: Arc<str>,
}

/// A filter that belongs into the table.
#[derive(Debug)]
pub(super) struct DeviceFilter<'a> {
    kind: Kind,
    id: &'a str,
    suffix: Set,
}

impl<'a> DeviceFilter<'a> {
    pub(super) fn parse(filter: &'a str) -> Option<Self> {
        let (kind, id, rest) = split_device(filter)?;
        let suffix = rest.strip_prefix("+/")?;
        let place = SUFFIXES.iter().position(|known| *known == suffix)?;
        (id != "+").then_some(Self { kind, id, suffix: 1 << place })
    }
}

/// Splits `$aws/commands/<kind>/<id>/executions/<rest>`.
fn split_device(topic: &str) -> Option<(Kind, &str, &str)> {
    let rest = topic.strip_prefix("$aws/commands/")?;
    let (kind, rest) = match rest.strip_prefix("things/") {
        Some(rest) => (Kind::Things, rest),
        None => (Kind::Clients, rest.strip_prefix("clients/")?),
    };
    let (id, rest) = rest.split_once('/')?;
    Some((kind, id, rest.strip_prefix("executions/")?))
}

/// All devices with a subscription.
#[derive(Debug)]
pub(super) struct Devices {
    things: Table,
    clients: Table,
    /// For each known topic suffix the filters that match it.
    covers: [Set; TOPICS],
}

type Table = HashMap<Arc<str>, Subscribers>;

/// Who subscribed below one device; nearly always one session.
#[derive(Debug)]
enum Subscribers {
    One(SessionKey, Granted),
    #[expect(clippy::box_collection, reason = "the one must stay small")]
    Many(Box<BTreeMap<SessionKey, Granted>>),
}

/// The filters of one session below one device, by the QoS they were granted.
#[derive(Debug, Clone, Copy, Default)]
struct Granted {
    at_most_once: Set,
    at_least_once: Set,
}

impl Default for Devices {
    fn default() -> Self {
        let covers = std::array::from_fn(|topic| covering(SUFFIXES[topic]));
        Self { things: Table::new(), clients: Table::new(), covers }
    }
}

impl Devices {
    /// Adds a filter to those of `session`; says whether it is new. `record` lists the session's devices.
    pub(super) fn subscribe(
        &mut self,
        record: &mut Vec<DeviceKey>,
        session: &Session,
        filter: &DeviceFilter<'_>,
        qos: QoS,
    ) -> bool {
        let table = self.table_mut(filter.kind);
        let (id, subscribers) = match table.get_key_value(filter.id) {
            Some((id, _)) => (Arc::clone(id), table.get_mut(filter.id)),
            // A device usually connects under its own name; then that name is kept once.
            None if filter.id == &**session.client_id() => (Arc::clone(session.client_id()), None),
            None => (Arc::from(filter.id), None),
        };
        let granted = if let Some(subscribers) = subscribers {
            subscribers.granted_mut(session.key())
        } else {
            let new = Subscribers::One(session.key(), Granted::default());
            table.entry(Arc::clone(&id)).or_insert(new).granted_mut(session.key())
        };
        if granted.is_empty() {
            if record.is_empty() {
                // A device subscribes below itself and below nobody else.
                record.reserve_exact(1);
            }
            record.push(DeviceKey { kind: filter.kind, id });
        }
        granted.add(filter.suffix, qos)
    }

    /// Removes a filter from those of a session; says whether it was there.
    pub(super) fn unsubscribe(
        &mut self,
        record: &mut Vec<DeviceKey>,
        key: SessionKey,
        filter: &DeviceFilter<'_>,
    ) -> bool {
        let Some(granted) = self.table_mut(filter.kind).get_mut(filter.id).and_then(|all| all.granted(key))
        else {
            return false;
        };
        let removed = granted.remove(filter.suffix);
        if granted.is_empty() {
            let place = record.iter().position(|place| place.kind == filter.kind && &*place.id == filter.id);
            if let Some(place) = place {
                let device = record.swap_remove(place);
                self.remove(&device, key);
            }
        }
        removed
    }

    /// Removes all that a session subscribed to below one device.
    pub(super) fn remove(&mut self, device: &DeviceKey, key: SessionKey) {
        let table = self.table_mut(device.kind);
        let is_last = match table.get_mut(&*device.id) {
            None => false,
            Some(Subscribers::One(only, _)) => *only == key,
            Some(Subscribers::Many(all)) => {
                all.remove(&key);
                all.is_empty()
            }
        };
        if is_last {
            table.remove(&*device.id);
        }
    }

    /// Appends the sessions that subscribed to `topic`, each once.
    pub(super) fn collect(&self, topic: &str, targets: &mut Vec<(SessionKey, Grant)>) {
        let Some((kind, id, rest)) = split_device(topic) else { return };
        let table = match kind {
            Kind::Things => &self.things,
            Kind::Clients => &self.clients,
        };
        let Some(subscribers) = table.get(id) else { return };
        // Below `executions/`: the execution id and the suffix; without a suffix only `+/#` matches.
        let covers = match rest.split_once('/') {
            Some((_, suffix)) => self.covers(suffix),
            None => covering_nothing(),
        };
        match subscribers {
            Subscribers::One(key, granted) => {
                targets.extend(granted.at(covers).map(|qos| (*key, Grant::of(qos))));
            }
            Subscribers::Many(all) => targets.extend(
                all.iter().filter_map(|(key, granted)| granted.at(covers).map(|qos| (*key, Grant::of(qos)))),
            ),
        }
    }

    fn covers(&self, suffix: &str) -> Set {
        let place = match suffix {
            "request/json" => 1,
            "request/cbor" => 2,
            "request" => 0,
            _ => match SUFFIXES[..TOPICS].iter().position(|known| *known == suffix) {
                Some(place) => place,
                None => return covering(suffix),
            },
        };
        self.covers[place]
    }

    fn table_mut(&mut self, kind: Kind) -> &mut Table {
        match kind {
            Kind::Things => &mut self.things,
            Kind::Clients => &mut self.clients,
        }
    }
}

/// The filters that match this suffix of a topic.
fn covering(suffix: &str) -> Set {
    let bit = |(place, filter): (usize, &&str)| u32::from(levels_match(filter, suffix)) << place;
    SUFFIXES.iter().enumerate().map(bit).sum()
}

/// The filters that match a topic that ends with the execution id: `+/#` also means its own parent.
fn covering_nothing() -> Set {
    SUFFIXES.iter().enumerate().map(|(place, filter)| u32::from(*filter == "#") << place).sum()
}

impl Subscribers {
    /// What a session subscribed to, if anything.
    fn granted(&mut self, key: SessionKey) -> Option<&mut Granted> {
        match self {
            Self::One(only, granted) => (*only == key).then_some(granted),
            Self::Many(all) => all.get_mut(&key),
        }
    }

    /// What a session subscribed to, to add to it.
    fn granted_mut(&mut self, key: SessionKey) -> &mut Granted {
        if let Self::One(only, granted) = self
            && *only != key
        {
            *self = Self::Many(Box::new(BTreeMap::from([(*only, *granted)])));
        }
        match self {
            Self::One(_, granted) => granted,
            Self::Many(all) => all.entry(key).or_default(),
        }
    }
}

impl Granted {
    fn is_empty(self) -> bool {
        self.at_most_once | self.at_least_once == 0
    }

    /// The highest QoS of the filters that are in `covers`.
    fn at(self, covers: Set) -> Option<QoS> {
        if self.at_least_once & covers != 0 {
            Some(QoS::AtLeastOnce)
        } else {
            (self.at_most_once & covers != 0).then_some(QoS::AtMostOnce)
        }
    }

    fn add(&mut self, suffix: Set, qos: QoS) -> bool {
        let is_new = !self.remove(suffix);
        match qos {
            QoS::AtMostOnce => self.at_most_once |= suffix,
            QoS::AtLeastOnce => self.at_least_once |= suffix,
        }
        is_new
    }

    fn remove(&mut self, suffix: Set) -> bool {
        let was_there = (self.at_most_once | self.at_least_once) & suffix != 0;
        self.at_most_once &= !suffix;
        self.at_least_once &= !suffix;
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_filters_below_a_literal_id_are_for_the_table() {
        let rows = [
            ("$aws/commands/things/t1/executions/+/request/#", true),
            ("$aws/commands/clients/t1/executions/+/response/rejected/#", true),
            ("$aws/commands/things//executions/+/#", true),
            ("$aws/commands/things/t1/executions/+/+", false),
            ("$aws/commands/things/t1/executions/e1/request/#", false),
            ("$aws/commands/things/t1/executions/#", false),
            ("$aws/commands/things/+/executions/+/request", false),
            ("$aws/commands/gateways/t1/executions/+/request", false),
            ("$aws/commands/things/t1/runs/+/request", false),
            ("$aws/events/commandExecution/+/#", false),
        ];
        for (filter, expected) in rows {
            assert_eq!(DeviceFilter::parse(filter).is_some(), expected, "{filter}");
        }
    }

    #[test]
    fn a_device_costs_a_few_dozen_bytes() {
        assert_eq!(std::mem::size_of::<(Arc<str>, Subscribers)>(), 32);
        assert_eq!(std::mem::size_of::<DeviceKey>(), 24);
    }
}
