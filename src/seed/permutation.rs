//! Orders that nobody stores: the thing at each place is computed.
//!
//! A Feistel network permutes the numbers below a power of four; those that are none of ours are
//! walked over. So a shard finds its own devices in a random order of millions without a table.

use super::{Draw, mix};

/// A few rounds make neighbours strangers; nobody attacks this.
const ROUNDS: usize = 4;

/// A random order of the numbers from 0 to below a count.
#[derive(Debug, Clone)]
pub struct Permutation {
    count: u64,
    /// Bits in each half of a number.
    half: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    pub(super) fn new(mut draw: Draw, count: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        let half = bits.div_ceil(2).clamp(1, 32);
        Self { count, half, keys: std::array::from_fn(|_| draw.bits()) }
    }

    /// How many things are in order.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What stands at `place`.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn at(&self, place: u64) -> u64 {
        assert!(place < self.count, "there is no place {place} among {}", self.count);
        let mut number = self.shuffle(place);
        // Of the numbers that are walked over there are at most three for each of ours.
        while number >= self.count {
            number = self.shuffle(number);
        }
        number
    }

    /// Where `number` stands.
    ///
    /// # Panics
    /// If it is none of them.
    pub fn place_of(&self, number: u64) -> u64 {
        assert!(number < self.count, "{number} is not among {}", self.count);
        let mut place = self.unshuffle(number);
        while place >= self.count {
            place = self.unshuffle(place);
        }
        place
    }

    fn unshuffle(&self, number: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for key in self.keys.iter().rev() {
            (left, right) = (right ^ (mix(left ^ key) & mask), left);
        }
        (left << self.half) | right
    }

    fn shuffle(&self, number: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half) | right
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Seed, Subject};

    #[test]
    fn every_thing_has_one_place() {
        for count in [1, 2, 3, 4, 5, 16, 17, 100, 4_500, 70_000] {
            for seed in 0..3 {
                let order = Seed(seed).order(Subject::new("w", 0), count);
                let mut all: Vec<u64> = (0..count).map(|place| order.at(place)).collect();
                assert!(
                    (0..count).all(|place| order.place_of(all[usize::try_from(place).unwrap()]) == place)
                );
                all.sort_unstable();
                assert!(all.iter().copied().eq(0..count), "seed {seed}, count {count}");
            }
        }
    }

    #[test]
    fn another_seed_is_another_order_and_neighbours_do_not_stay_together() {
        let order = |seed: u64, name: &str| {
            let order = Seed(seed).order(Subject::new(name, 0), 1_000);
            (0..1_000).map(|place| order.at(place)).collect::<Vec<u64>>()
        };
        let one = order(1, "w");
        assert_eq!(one, order(1, "w"));
        assert!(one != order(2, "w") && one != order(1, "v"));
        let neighbours = one.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) == 1).count();
        // A fair order of a thousand has two such pairs on average.
        assert!(neighbours < 12, "seed 1: {neighbours} pairs stayed together");
        // The first half of the places holds about half of the lower numbers.
        let low = one[..500].iter().filter(|number| **number < 500).count();
        assert!((200..300).contains(&low), "seed 1: {low} of 500");
    }
}
