//! The one door to time.
//!
//! `now` is tokio's monotonic clock in whole microseconds since the run's clock was started, so a
//! paused runtime can drive it; `wall` is a base read once plus that clock. Everything else
//! (`std::time::Instant`, `SystemTime::now`, sleeps of threads) is banned in `clippy.toml`.

mod alarm;
mod deadlines;
mod thread_time;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use alarm::Alarm;
pub use deadlines::Deadlines;
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

/// A started clock; a small value that is handed to every part of a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    base: tokio::time::Instant,
    /// Microseconds since the Unix epoch at `base`.
    wall_base_us: u64,
}

impl Clock {
    /// Starts a clock now. All parts of one run share one.
    #[expect(clippy::disallowed_methods, reason = "this is the door the ban points at")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { base: tokio::time::Instant::now(), wall_base_us: crate::units::micros(since_epoch) }
    }

    /// Starts a clock whose wall time begins at `wall_base_us` (microseconds since the Unix epoch):
    /// what a repeatable run shows.
    #[expect(clippy::disallowed_methods, reason = "this is the door the ban points at")]
    pub fn start_at(wall_base_us: u64) -> Self {
        Self { base: tokio::time::Instant::now(), wall_base_us }
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

    /// Sleeps until `instant`; tokio's timer, so up to 2 ms late.
    pub async fn sleep_until(&self, instant: Instant) {
        tokio::time::sleep_until(self.base + Duration::from_micros(instant.0)).await;
    }

    /// Runs `future`, but not past `instant`; `None` if the time came first.
    pub async fn timeout_at<F: Future>(&self, instant: Instant, future: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.base + Duration::from_micros(instant.0), future).await.ok()
    }
}
