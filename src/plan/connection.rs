//! What chance decides about a device's connections: when it is switched on, when they drop, how
//! long it stays away. Connections of a device are counted from 1, whether they are planned to drop
//! or not, so no draw depends on time.

use crate::dist::Delay;
use crate::scenario::Jitter;
use crate::seed::Purpose;
use crate::units::micros;

use super::{DeviceId, Plan};

impl Plan {
    /// The wait of a device before its first connect, in µs.
    pub fn start_delay_us(&self, device: DeviceId) -> u64 {
        let (group, _) = self.subject(device);
        self.sample(&group.connect.start_delay, Purpose::StartDelay, device, 0)
    }

    /// The longest wait before a first connect, in µs.
    pub fn longest_start_delay_us(&self) -> u64 {
        let drawn = |device: &DeviceId| {
            !matches!(self.subject(*device).0.connect.start_delay, Delay::Constant { us: 0 })
        };
        self.devices().filter(drawn).map(|device| self.start_delay_us(device)).max().unwrap_or(0)
    }

    /// How long a device's `connection` lasts from its subscription, in µs; `None` = it is not
    /// dropped by the clock.
    pub fn drops_after_us(&self, device: DeviceId, connection: u32) -> Option<u64> {
        let (group, _) = self.subject(device);
        let every = group.connect.drops.as_ref()?.every.as_ref()?;
        Some(self.sample(every, Purpose::Drop, device, u64::from(connection)))
    }

    /// How long a device stays away after its `connection` was dropped by plan, in µs.
    pub fn down_for_us(&self, device: DeviceId, connection: u32) -> u64 {
        let (group, _) = self.subject(device);
        let Some(drops) = &group.connect.drops else { return 0 };
        self.sample(&drops.down_for, Purpose::DownFor, device, u64::from(connection))
    }

    /// The wait before the attempt to connect that follows `failed` attempts since `connection`
    /// ended, in µs.
    pub fn backoff_us(&self, device: DeviceId, connection: u32, failed: u32) -> u64 {
        let (group, subject) = self.subject(device);
        let backoff = &group.connect.backoff;
        let (initial, max) = (micros(backoff.initial), micros(backoff.max));
        // 64 attempts grow beyond every wait, or do not grow at all.
        let grown = backoff.factor.powi(i32::try_from(failed.min(64)).unwrap_or(64));
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "waits are far below 2^53 µs; positive, saturating"
        )]
        let bound = ((initial as f64 * grown) as u64).clamp(1, max.max(1));
        let chance = |below: u64| {
            let number = u64::from(connection) << 32 | u64::from(failed);
            self.seed.at(Purpose::Backoff, subject, number).below(below.max(1))
        };
        match backoff.jitter {
            Jitter::None => bound,
            Jitter::Equal => bound - chance(bound / 2 + 1),
            Jitter::Full => chance(bound),
        }
    }

    pub(super) fn sample(&self, delay: &Delay, purpose: Purpose, device: DeviceId, n: u64) -> u64 {
        if let Delay::Constant { us } = *delay {
            return us;
        }
        let (_, subject) = self.subject(device);
        delay.sample_us(&mut self.seed.at(purpose, subject, n))
    }
}
