//! Packet identifiers of the QoS 1 messages that a client has not acknowledged yet.
//!
//! A device has one or two of them, a client that watches a whole fleet thousands; so a few stand in
//! place and more become a bit map. Not here: the messages themselves (`session::kept`).

use crate::mqtt::PacketId;

/// Unacknowledged messages per session. 3.1.1 lets a client set no bound; AWS IoT Core stops at 100,
/// which a local observer of a busy fleet would reach at once. This many of the smallest command
/// messages (130 bytes with their topic) are 1 MiB, the bound of the out-buffer. What is beyond it waits.
pub(super) const MAX_IN_FLIGHT: usize = 8192;

/// How many stand in place.
const FEW: usize = 7;

/// Words of a bit map of all identifiers.
const WORDS: usize = 65_536 / 64;

/// The identifiers in use and where to look for the next.
#[derive(Debug)]
pub(super) struct InFlight {
    next: PacketId,
    count: u16,
    used: Used,
}

#[derive(Debug)]
enum Used {
    /// The first `count` of these.
    Few([u16; FEW]),
    /// One bit per identifier; 8 KiB, until all are acknowledged.
    Many(Box<[u64; WORDS]>),
}

impl Default for InFlight {
    fn default() -> Self {
        Self { next: PacketId::FIRST, count: 0, used: Used::Few([0; FEW]) }
    }
}

impl InFlight {
    /// Whether [`InFlight::take`] would find one.
    pub(super) fn has_room(&self) -> bool {
        self.len() < MAX_IN_FLIGHT
    }

    /// An identifier that is not in use, now in use; `None` if the bound is reached.
    pub(super) fn take(&mut self) -> Option<PacketId> {
        if !self.has_room() {
            return None;
        }
        // Ends: fewer than 65,535 are in use.
        while self.contains(self.next) {
            self.next = self.next.next();
        }
        let id = self.next;
        self.next = id.next();
        self.insert(id);
        Some(id)
    }

    /// Frees an identifier; says whether it was in use.
    pub(super) fn release(&mut self, id: PacketId) -> bool {
        if !self.contains(id) {
            return false;
        }
        let len = self.len();
        self.count -= 1;
        match &mut self.used {
            Used::Few(ids) => {
                if let Some(place) = ids[..len].iter().position(|used| *used == id.get()) {
                    ids.copy_within(place + 1..len, place);
                }
            }
            Used::Many(_) if self.count == 0 => self.used = Used::Few([0; FEW]),
            Used::Many(words) => {
                let (word, bit) = place_of(id);
                words[word] &= !bit;
            }
        }
        true
    }

    /// How many are in use.
    pub(super) fn len(&self) -> usize {
        usize::from(self.count)
    }

    fn contains(&self, id: PacketId) -> bool {
        match &self.used {
            Used::Few(ids) => ids[..self.len()].contains(&id.get()),
            Used::Many(words) => {
                let (word, bit) = place_of(id);
                words[word] & bit != 0
            }
        }
    }

    fn insert(&mut self, id: PacketId) {
        let len = self.len();
        if let Used::Few(ids) = &self.used
            && len == FEW
        {
            let mut words = Box::new([0; WORDS]);
            for used in ids.iter().copied().filter_map(PacketId::new) {
                let (word, bit) = place_of(used);
                words[word] |= bit;
            }
            self.used = Used::Many(words);
        }
        match &mut self.used {
            Used::Few(ids) => ids[len] = id.get(),
            Used::Many(words) => {
                let (word, bit) = place_of(id);
                words[word] |= bit;
            }
        }
        self.count += 1;
    }
}

/// The word and the bit of an identifier; the word is below [`WORDS`] for every one.
fn place_of(id: PacketId) -> (usize, u64) {
    let number = usize::from(id.get());
    (number / 64, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bound_is_kept_and_an_acknowledgement_makes_room() {
        let mut in_flight = InFlight::default();
        let ids: Vec<_> = std::iter::from_fn(|| in_flight.take()).collect();
        assert_eq!((ids.len(), in_flight.has_room()), (MAX_IN_FLIGHT, false));
        in_flight.release(ids[17]);
        assert!(in_flight.take().is_some_and(|id| !ids.contains(&id)));
    }

    #[test]
    fn one_that_is_never_acknowledged_is_skipped_when_the_numbers_come_round() {
        let mut in_flight = InFlight::default();
        let stuck = in_flight.take().unwrap();
        for _ in 0..200_000 {
            let id = in_flight.take().unwrap();
            assert_ne!(id, stuck);
            in_flight.release(id);
        }
        assert_eq!(in_flight.len(), 1);
    }

    #[test]
    fn the_map_goes_when_all_are_acknowledged() {
        let mut in_flight = InFlight::default();
        let ids: Vec<_> = (0..20).map(|_| in_flight.take().unwrap()).collect();
        assert!(matches!(in_flight.used, Used::Many(_)));
        assert!(ids.into_iter().rev().all(|id| in_flight.release(id)));
        assert!(matches!(in_flight.used, Used::Few(_)));
        assert_eq!(std::mem::size_of::<InFlight>(), 24);
    }

    proptest! {
        #[test]
        fn no_identifier_is_given_twice(steps in prop::collection::vec(any::<Option<u8>>(), 0..400)) {
            let (mut in_flight, mut model) = (InFlight::default(), BTreeSet::new());
            for step in steps {
                match step {
                    None => prop_assert!(model.insert(in_flight.take().unwrap())),
                    // Mostly one that is in use, sometimes one that is not.
                    Some(choice) => {
                        let id = model.iter().nth(usize::from(choice) % 16).copied();
                        let id = id.unwrap_or(PacketId::new(u16::from(choice) + 1).unwrap());
                        prop_assert_eq!(in_flight.release(id), model.remove(&id));
                    }
                }
                prop_assert_eq!(in_flight.len(), model.len());
            }
        }
    }
}
