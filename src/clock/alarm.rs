//! A wake-up that is punctual to a fraction of a millisecond.
//!
//! tokio's timers round up to the next millisecond and add the poller's; for the arrivals of a
//! shard that would be most of their lag. On Linux a timer descriptor wakes the poller itself.
//! Elsewhere the sleep aims a tick early and yields until the instant has come. Never early.
//! Virtual time is punctual by itself; there an alarm has no descriptor.

use super::{Clock, Instant};

/// tokio's resolution: a sleep that aims this early is not late.
const TICK_US: u64 = 1_000;

/// One reusable alarm; belongs to the runtime it was made in.
#[derive(Debug)]
pub struct Alarm {
    #[cfg(target_os = "linux")]
    timer: Option<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>>,
}

impl Alarm {
    /// An alarm of the current runtime. Falls back to tokio's timer where no descriptor is to be had.
    #[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "only Linux has a descriptor"))]
    pub fn new(clock: &Clock) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: if clock.is_virtual() { None } else { linux::descriptor() },
        }
    }

    /// Returns once `at` has come, usually within 0.1 ms. May be dropped and called again.
    pub async fn sleep_until(&self, clock: &Clock, at: Instant) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer
            && linux::sleep_until(timer, clock, at).await
        {
            return;
        }
        if clock.is_virtual() {
            return clock.sleep_until(at).await;
        }
        clock.sleep_until(Instant::from_micros(at.micros().saturating_sub(TICK_US))).await;
        while clock.now() < at {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use super::{Clock, Instant};
    use crate::units::MICROS_PER_SECOND;

    pub fn descriptor() -> Option<AsyncFd<OwnedFd>> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags).ok()?;
        #[expect(
            deprecated,
            reason = "deprecated for types whose descriptor may change; an OwnedFd keeps its own, and the \
                      replacement is unsafe"
        )]
        AsyncFd::with_interest(descriptor, Interest::READABLE).ok()
    }

    /// `false` when the kernel refused: the caller falls back.
    pub async fn sleep_until(timer: &AsyncFd<OwnedFd>, clock: &Clock, at: Instant) -> bool {
        loop {
            let left_us = at.micros_since(clock.now());
            if left_us == 0 {
                return true;
            }
            if timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &once(left_us)).is_err() {
                return false;
            }
            let Ok(mut ready) = timer.readable().await else { return false };
            // Reading clears the descriptor; a readiness left over from a dropped sleep reads nothing.
            let mut expirations = [0; 8];
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut expirations)?));
            if let Ok(Err(_)) = read {
                return false;
            }
        }
    }

    fn once(us: u64) -> Itimerspec {
        let seconds = i64::try_from(us / MICROS_PER_SECOND).unwrap_or(i64::MAX);
        let nanos = i64::try_from(us % MICROS_PER_SECOND * 1000).unwrap_or(0);
        Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: seconds, tv_nsec: nanos },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_alarm_is_never_early_and_survives_being_dropped() {
        let clock = Clock::start();
        let alarm = Alarm::new(&clock);
        let far = clock.now().plus_micros(3_600_000_000);
        for n in 1..20u64 {
            tokio::select! {
                biased;
                () = alarm.sleep_until(&clock, far) => unreachable!("an hour has not passed"),
                () = tokio::task::yield_now() => {}
            }
            let at = clock.now().plus_micros(n * 150);
            alarm.sleep_until(&clock, at).await;
            assert!(clock.now() >= at);
        }
    }
}
