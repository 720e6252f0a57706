//! Memory: what a fleet of this size takes, against what is free.

use std::fs;

use crate::scenario::{Embedded, Scenario, Target, Transport};

use super::PreflightError;

/// Both ends of an idle device in memory: `cargo bench --bench million` has 2.7 GB for a million.
const IN_MEMORY: u64 = 2_800;
/// A device over TCP with its end of the socket: 1.4 KiB of ours (`cargo bench --bench idle_devices`) and
/// half of the kernel's 6.8 KB for a connection on one machine.
const ONE_END: u64 = 4_900;
/// The same with the broker's end: 2.6 KB of ours, 6.8 KB of the kernel's.
const BOTH_ENDS: u64 = 9_400;

/// Refuses a fleet that does not fit.
pub fn check(scenario: &Scenario, devices: u64) -> Result<(), PreflightError> {
    let per_device = match &scenario.target {
        Target::Embedded(Embedded { transport: Transport::Memory, .. }) => IN_MEMORY,
        Target::Embedded(Embedded { transport: Transport::Tcp, .. }) => BOTH_ENDS,
        Target::Endpoint(_) | Target::Aws(_) => ONE_END,
    };
    free().map_or(Ok(()), |free| fits(devices, per_device, free))
}

fn fits(devices: u64, per_device: u64, free: u64) -> Result<(), PreflightError> {
    let needed = devices.saturating_mul(per_device);
    if needed <= free {
        return Ok(());
    }
    Err(PreflightError::Memory { devices, per_device, needed, free, fitting: free / per_device })
}

/// Bytes that can still be had: the machine's, or what the control group leaves. `None` where the system
/// does not say; then nothing is refused.
fn free() -> Option<u64> {
    let machine = available(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // The page cache of files that nobody reads now counts as used, and goes as soon as somebody wants its room.
    let cached = fs::read_to_string("/sys/fs/cgroup/memory.stat").ok().and_then(|stat| idle_cache(&stat));
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(most, used)| most.saturating_sub(used.saturating_sub(cached.unwrap_or(0))));
    Some(group.map_or(machine, |group| group.min(machine)))
}

fn idle_cache(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse().ok()
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_does_not_fit_is_refused_with_the_figures() {
        assert_eq!(fits(1_000, IN_MEMORY, 3_000_000), Ok(()));
        let error = fits(10_000_000, IN_MEMORY, 4_000_000_000).unwrap_err().to_string();
        for part in ["10 000 000 devices", "28.0 GB", "2.8 KB", "4.0 GB", "1 428 571"] {
            assert!(error.contains(part), "no {part} in: {error}");
        }
    }

    #[test]
    fn what_is_free_is_read_as_the_system_writes_it() {
        let text = "MemTotal:       16316412 kB\nMemFree:         1 kB\nMemAvailable:    8000000 kB\n";
        assert_eq!(available(text), Some(8_192_000_000));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(idle_cache("anon 5\ninactive_file 4096\nactive_file 1\n"), Some(4096));
        assert_eq!(idle_cache("anon 5\n"), None);
    }
}
