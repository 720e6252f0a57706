//! The one door to chance.
//!
//! A draw is a pure function of (seed, purpose, device, n): nothing is stored per device, adding a
//! device changes no other device's draws, and the order in which things happen changes nothing.
//! The generator is named and portable (xoshiro256++), unlike `rand`'s own `StdRng`.

mod permutation;

use rand::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

pub use permutation::Permutation;

/// What a draw decides. The number goes into the hash, so it must never change its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Which stretches of runs are drawn when they are compared; nothing that a run does.
    Resample = 0,
    /// Instants of the arrivals of a workload.
    Arrival = 1,
    /// The device an arrival goes to.
    Select = 2,
    /// How an execution ends at its device.
    Decision = 3,
    /// The wait before a reconnect.
    Backoff = 4,
    /// Ids that the embedded backend gives to executions.
    ExecutionId = 5,
    /// Ids that the embedded backend gives to requests and anonymous clients.
    RequestId = 6,
    /// Client tokens of StartCommandExecution.
    ClientToken = 7,
    /// From a request to IN_PROGRESS.
    Accept = 8,
    /// From a request, or the reply to IN_PROGRESS, to the final answer.
    Delay = 9,
    /// From the time-out of an execution to its late answer.
    Late = 10,
    /// Whether a final answer is sent twice.
    Duplicate = 11,
    /// Whether and when a device drops in the middle of an execution.
    MidCommand = 12,
    /// How long a connection lasts.
    Drop = 13,
    /// How long a device stays away after a drop.
    DownFor = 14,
    /// The wait of a device before its first connect.
    StartDelay = 15,
    /// The order in which a burst or a rollout goes through its devices.
    Order = 16,
    /// Whether an IN_PROGRESS follows a final answer.
    OutOfOrder = 17,
    /// Whether a malformed update precedes a final answer, and which.
    Malformed = 18,
    /// The wait before a refused start is sent again.
    StartRetry = 19,
    /// How long a user of a closed loop thinks.
    Think = 20,
    /// What goes wrong with a call of the embedded backend's API.
    FaultOfCall = 21,
    /// What goes wrong with a request that the embedded backend publishes.
    FaultOfRequest = 22,
    /// The value of a command's parameter.
    Parameter = 23,
    /// How long a packet is under way between a device and its broker.
    LinkDelay = 24,
    /// Whether an event of the timeline happens to a device.
    Timeline = 25,
}

/// Who a draw is for: (name, index in it), never a fleet-wide number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    name_hash: u64,
    index: u64,
}

impl Subject {
    /// Device `index` of the group `group`, or (with a workload's name) one of its draws.
    pub fn new(name: &str, index: u64) -> Self {
        Self { name_hash: fnv1a(name.as_bytes()), index }
    }

    /// The same name with another index; saves hashing the name again.
    #[must_use]
    pub fn with_index(self, index: u64) -> Self {
        Self { index, ..self }
    }
}

/// The seed of a run; printed first, so that any run can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed nobody chose, from the operating system's randomness.
    pub fn random() -> Self {
        use std::hash::{BuildHasher as _, Hasher as _};
        // RandomState is seeded by the operating system; 48 bits are easy to copy by hand.
        Self(std::collections::hash_map::RandomState::new().build_hasher().finish() >> 16)
    }

    /// The generator for draw `n` of `subject` for `purpose`. Cheap: it lives on the stack.
    pub fn at(self, purpose: Purpose, subject: Subject, n: u64) -> Draw {
        let mut state = mix(self.0 ^ 0x5eed_f1ee_7000_0001);
        for word in [purpose as u64, subject.name_hash, subject.index, n] {
            state = mix(state ^ word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        Draw(Xoshiro256PlusPlus::seed_from_u64(state))
    }

    /// An order of `count` things, drawn for `subject`.
    pub fn order(self, subject: Subject, count: u64) -> Permutation {
        Permutation::new(self.at(Purpose::Order, subject, 0), count)
    }
}

/// A short-lived generator for one decision.
#[derive(Debug, Clone)]
pub struct Draw(Xoshiro256PlusPlus);

impl Draw {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `[0, 1)`, with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let value = (self.bits() >> 11) as f64;
        value / 9_007_199_254_740_992.0
    }

    /// A whole number in `[0, bound)`, without modulo bias beyond 2^-64 (multiply-shift).
    ///
    /// # Panics
    /// If `bound` is zero: there is nothing to choose from.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a choice needs at least one candidate");
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(u64::MAX)
    }

    /// The generator itself, for the distributions of `rand_distr`.
    pub fn generator(&mut self) -> &mut Xoshiro256PlusPlus {
        &mut self.0
    }

    /// A version-4 UUID as a number.
    pub fn uuid(&mut self) -> u128 {
        let raw = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        (raw & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a, 64 bits: portable and good enough before `mix`.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_each_of_its_coordinates_and_on_nothing_else() {
        let at = |seed, purpose, name, index, n| Seed(seed).at(purpose, Subject::new(name, index), n).bits();
        let base = at(1, Purpose::Decision, "sensors", 7, 3);
        assert_eq!(base, at(1, Purpose::Decision, "sensors", 7, 3));
        for other in [
            at(2, Purpose::Decision, "sensors", 7, 3),
            at(1, Purpose::Select, "sensors", 7, 3),
            at(1, Purpose::Decision, "sensor", 7, 3),
            at(1, Purpose::Decision, "sensors", 8, 3),
            at(1, Purpose::Decision, "sensors", 7, 4),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_stream_is_pinned_so_that_old_seeds_keep_their_meaning() {
        let mut draw = Seed(42).at(Purpose::Decision, Subject::new("sensors", 0), 0);
        let words = [draw.bits(), draw.bits()];
        assert_eq!(words, [PINNED_0, PINNED_1], "the draws of every recorded seed would change");
    }
    const PINNED_0: u64 = 12_361_490_712_675_819_473;
    const PINNED_1: u64 = 12_993_721_782_647_253_954;

    #[test]
    fn units_are_spread_evenly() {
        let mut buckets = [0u32; 10];
        for n in 0..10_000 {
            let unit = Seed(9).at(Purpose::Decision, Subject::new("g", 1), n).unit();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
            let bucket = (unit * 10.0) as usize;
            buckets[bucket] += 1;
        }
        // Chi-square with 9 degrees of freedom: 27.9 is passed by all but 0.1 % of fair streams.
        let chi: f64 = buckets.iter().map(|b| (f64::from(*b) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 27.9, "chi-square {chi}, {buckets:?}");
    }

    #[test]
    fn uuids_are_version_four() {
        let id = Seed(1).at(Purpose::ExecutionId, Subject::new("", 0), 0).uuid();
        assert_eq!((id >> 76) & 0xf, 4);
        assert_eq!((id >> 62) & 0x3, 2);
    }
}
