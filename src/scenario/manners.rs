//! How a device treats what comes while it is busy, or just switched on: decided by the course of a run
//! and not by chance.

use std::time::Duration;

use crate::units::micros;

/// What a device's treatment of executions depends on besides its draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manners {
    /// Whether the delay runs from the reply to IN_PROGRESS; if not, it runs from its sending.
    pub wait_accepted: bool,
    /// Executions that a device works on at the same time, 1 to 1,000.
    pub max_parallel: u16,
    /// What becomes of a request that is one too many.
    pub when_busy: WhenBusy,
    /// Longer delays after each connect; `None` = they are always the same.
    pub slow_start: Option<SlowStart>,
}

impl Default for Manners {
    fn default() -> Self {
        Self { wait_accepted: true, max_parallel: 1, when_busy: WhenBusy::Queue, slow_start: None }
    }
}

/// What a device does with a request while it works on as many as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBusy {
    /// It waits for its turn.
    Queue,
    /// REJECTED at once.
    Reject,
    /// Nothing, ever.
    Ignore,
}

impl WhenBusy {
    /// The reason code of a rejection because the device is busy.
    pub const REASON_CODE: &'static str = "DEVICE_BUSY";

    /// The value of `behavior.when_busy`.
    pub const fn name(self) -> &'static str {
        match self {
            WhenBusy::Queue => "queue",
            WhenBusy::Reject => "reject",
            WhenBusy::Ignore => "ignore",
        }
    }
}

/// Delays that are longer after each connect and fade to what they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowStart {
    /// From the connect until they are what they are; more than zero.
    pub lasts: Duration,
    /// How many times as long they are at the connect; at least 1.
    pub times: f64,
}

impl SlowStart {
    /// A delay that begins so long after the connect: `times` as long at once, then less in a straight
    /// line.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "delays are far below 2^53 µs; positive, saturating"
    )]
    pub fn stretched(&self, delay_us: u64, online_for_us: u64) -> u64 {
        let lasts = micros(self.lasts);
        if online_for_us >= lasts {
            return delay_us;
        }
        let left = 1.0 - online_for_us as f64 / lasts as f64;
        (delay_us as f64 * (1.0 + (self.times - 1.0) * left)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_start_fades_in_a_straight_line() {
        let slow = SlowStart { lasts: Duration::from_secs(2), times: 3.0 };
        for (online_for_us, expected) in
            [(0, 3_000), (500_000, 2_500), (1_000_000, 2_000), (1_999_999, 1_000), (2_000_000, 1_000)]
        {
            assert_eq!(slow.stretched(1_000, online_for_us), expected, "{online_for_us}");
        }
    }
}
