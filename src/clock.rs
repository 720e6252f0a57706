//! The one door to time.
//!
//! `now` is tokio's monotonic clock in whole microseconds since the run's clock was started, so a
//! paused runtime can drive it; `wall` is a base read once plus that clock. Everything else
//! (`std::time::Instant`, `SystemTime::now`, sleeps of threads) is banned in `clippy.toml`.
//!
//! A virtual clock is the same on a paused runtime: it stands still while anything is to be done and
//! then jumps to the next deadline. Its instants are whole milliseconds, tokio's tick: what is due
//! between two of them fires at the later one, never early. Real time is told apart in two places
//! only, [`Alarm`] and [`Stopwatch`].

mod alarm;
mod deadlines;
mod load;
mod stopwatch;
mod thread_time;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use alarm::Alarm;
pub use deadlines::Deadlines;
pub use load::LoadClock;
pub use stopwatch::Stopwatch;
pub use thread_time::thread_cpu;

/// A monotonic instant: whole microseconds since its [`Clock`] was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The instant at which the clock was started.
    pub const START: Instant = Instant(0);

    /// `us` microseconds after the clock's start.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the clock's start.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Microseconds from `earlier` to this instant; zero if it is not later.
    pub const fn micros_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `us` microseconds later.
    #[must_use]
    pub const fn plus_micros(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// The instant `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_micros(crate::units::micros(duration))
    }
}

/// Where the wall time of every virtual clock begins, in microseconds since the Unix epoch:
/// 2020-01-01T00:00:00Z. Neither scenario nor seed changes it, so results of different days compare.
pub const VIRTUAL_WALL_BASE_US: u64 = 1_577_836_800_000_000;

/// A started clock; a small value that is handed to every part of a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: tokio::time::Instant,
    /// Microseconds since the Unix epoch at `base`.
    wall_base_us: u64,
    is_virtual: bool,
}

impl Clock {
    /// Starts a clock now. All parts of one run share one.
    #[expect(clippy::disallowed_methods, reason = "this is the door the ban points at")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_base_us = crate::units::micros(since_epoch);
        Self { base: tokio::time::Instant::now(), wall_base_us, is_virtual: false }
    }

    /// Starts the virtual clock of the paused runtime that this is called on. It is only good there:
    /// elsewhere its instants would be the machine's. The runtime holds no socket and no descriptor,
    /// and no other thread may wake it: its time could not stand still meanwhile.
    #[expect(clippy::disallowed_methods, reason = "this is the door the ban points at")]
    pub fn start_virtual() -> Self {
        Self { base: tokio::time::Instant::now(), wall_base_us: VIRTUAL_WALL_BASE_US, is_virtual: true }
    }

    /// Whether time is simulated.
    pub fn is_virtual(&self) -> bool {
        self.is_virtual
    }

    /// The monotonic instant.
    #[expect(clippy::disallowed_methods, reason = "this is the door the ban points at")]
    pub fn now(&self) -> Instant {
        Instant(crate::units::micros(tokio::time::Instant::now().saturating_duration_since(self.base)))
    }

    /// Microseconds since the Unix epoch at `instant`.
    pub fn wall_micros(&self, instant: Instant) -> u64 {
        self.wall_base_us.saturating_add(instant.0)
    }

    /// Milliseconds since the Unix epoch at `instant`.
    pub fn wall_millis(&self, instant: Instant) -> u64 {
        self.wall_micros(instant) / 1000
    }

    /// Sleeps until `instant`; tokio's timer, so up to 2 ms late. In virtual time until the first
    /// millisecond at or after it.
    pub async fn sleep_until(&self, instant: Instant) {
        tokio::time::sleep_until(self.base + Duration::from_micros(instant.0)).await;
    }

    /// Runs `future`, but not past `instant`; `None` if the time came first.
    pub async fn timeout_at<F: Future>(&self, instant: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        // Much of what is waited for is there already, and a look is cheaper than a timer.
        let look = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)));
        if let Poll::Ready(output) = look.await {
            return Some(output);
        }
        tokio::time::timeout_at(self.base + Duration::from_micros(instant.0), future).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_ticks_in_milliseconds_and_a_deadline_between_two_fires_at_the_later_one() {
        let clock = Clock::start_virtual();
        assert_eq!((clock.now(), clock.wall_micros(clock.now())), (Instant::START, VIRTUAL_WALL_BASE_US));
        for (deadline_us, fires_us) in
            [(1, 1_000), (1_000, 1_000), (1_001, 2_000), (86_400_000_123, 86_400_001_000)]
        {
            clock.sleep_until(Instant::from_micros(deadline_us)).await;
            assert_eq!(clock.now().micros(), fires_us, "due at {deadline_us} µs");
        }
        let alarm = Alarm::new(&clock);
        alarm.sleep_until(&clock, clock.now().plus_micros(1_500)).await;
        assert_eq!(clock.now().micros(), 86_400_003_000);
    }
}
