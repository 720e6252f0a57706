//! CPU time of the calling thread: so that a verdict can say which role was full.

use std::time::Duration;

/// CPU time the calling thread has used so far, user and system.
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
