//! Hashes of a plan: two people compare a line instead of a million arrivals.

use std::collections::HashMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{Arrival, Decision, DeviceId, Plan};

/// What identifies a plan: equal fingerprints mean equal arrivals and decisions, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of each workload's arrivals, in the order of the scenario.
    pub arrivals: Vec<String>,
    /// Of each group's decisions: all its devices, each with as many decisions as it has arrivals.
    pub decisions: Vec<String>,
}

/// One device's decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFingerprint {
    /// The device.
    pub device: DeviceId,
    /// Its planned arrivals, which is also how many decisions were hashed.
    pub planned: u64,
    /// Of its decisions 0 … planned − 1.
    pub decisions: String,
}

impl Plan {
    /// Hashes all arrivals and each device's decisions. Goes through the whole plan once.
    pub fn fingerprint(&self) -> Fingerprint {
        let (arrivals, planned) = self.hash_arrivals();
        let mut groups: Vec<Sha256> = self.scenario.groups.iter().map(|_| Sha256::new()).collect();
        for device in self.devices() {
            let hash = self.hash_decisions(device, planned.get(&device).copied().unwrap_or(0));
            groups[usize::from(device.group)].update(hash);
        }
        Fingerprint { arrivals, decisions: groups.into_iter().map(|hash| short(&hash.finalize())).collect() }
    }

    /// The fingerprint of every device, in order.
    pub fn device_fingerprints(&self) -> impl Iterator<Item = DeviceFingerprint> + '_ {
        let (_, counts) = self.hash_arrivals();
        self.devices().map(move |device| {
            let planned = counts.get(&device).copied().unwrap_or(0);
            let decisions = short(&self.hash_decisions(device, planned));
            DeviceFingerprint { device, planned, decisions }
        })
    }

    fn hash_arrivals(&self) -> (Vec<String>, HashMap<DeviceId, u64>) {
        let mut planned = HashMap::new();
        let hashes = (0..self.scenario.workloads.len())
            .map(|workload| {
                let mut hash = Sha256::new();
                for Arrival { at_us, device, .. } in self.arrivals(workload) {
                    hash.update(at_us.to_le_bytes());
                    hash.update(device.group.to_le_bytes());
                    hash.update(device.index.to_le_bytes());
                    *planned.entry(device).or_default() += 1;
                }
                short(&hash.finalize())
            })
            .collect();
        (hashes, planned)
    }

    fn hash_decisions(&self, device: DeviceId, count: u64) -> Vec<u8> {
        let mut hash = Sha256::new();
        for n in 0..count {
            let Decision { kind, outcome, accept_us, delay_us, twice, out_of_order, malformed, drops_at } =
                self.decision(device, n);
            hash.update(kind.name());
            hash.update([outcome.unwrap_or(u8::MAX)]);
            hash.update(accept_us.unwrap_or(u64::MAX).to_le_bytes());
            hash.update(delay_us.to_le_bytes());
            hash.update([u8::from(twice), u8::from(out_of_order), malformed.unwrap_or(u8::MAX)]);
            // One more than any 16 bits hold says that it does not drop.
            hash.update(drops_at.map_or(1 << 16, u32::from).to_le_bytes());
        }
        hash.finalize().to_vec()
    }
}

/// 64 bits in hexadecimal: enough to tell plans apart, short enough to read aloud.
fn short(hash: &[u8]) -> String {
    hash.iter().take(8).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
