//! How long packets are under way between a device and its broker. They are counted in each direction of
//! each connection, so no draw depends on time or on how the bytes are cut.

use crate::dist::Delay;
use crate::seed::Purpose;

use super::{DeviceId, Plan};

/// A direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkDirection {
    /// To the device.
    Down,
    /// From the device.
    Up,
}

impl Plan {
    /// Whether links take time.
    pub fn has_link_delay(&self) -> bool {
        self.link_delay().is_some()
    }

    /// How long the n-th packet in this direction of a device's connection is under way, in µs.
    pub fn link_delay_us(&self, device: DeviceId, connection: u32, direction: LinkDirection, n: u64) -> u64 {
        let Some(delay) = self.link_delay() else { return 0 };
        // 2³¹ packets of one connection are more than a run can have.
        let up = u64::from(direction == LinkDirection::Up) << 31;
        let number = u64::from(connection) << 32 | up | n & 0x7fff_ffff;
        self.sample(delay, Purpose::LinkDelay, device, number)
    }

    /// How long a packet is under way at the most; of a delay without a bound all but one in a thousand.
    pub fn longest_link_delay_us(&self) -> u64 {
        self.link_delay().map_or(0, Delay::high_us)
    }

    fn link_delay(&self) -> Option<&Delay> {
        self.scenario.target.embedded()?.link_delay.as_ref()
    }
}
