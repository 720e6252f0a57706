//! What is checked before the first connect: each failure names the limit, what is needed and how
//! to raise it.

pub(super) mod memory;
pub(super) mod ports;

use std::net::{IpAddr, SocketAddr};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::scenario::{Driver, Embedded, Scenario, Target, Transport, Via};
use crate::units::human_count;

/// Pollers, timer and wake-up of one more generator thread.
const PER_SHARD: u64 = 4;
/// Descriptors the program needs besides connections: standard streams, pollers, timers, listeners, files;
/// about 30 are seen.
const SPARE: u64 = 60;

/// Why a run cannot begin on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreflightError {
    /// Too few file descriptors.
    #[error(
        "this run needs {needed} file descriptors ({devices} devices over TCP and {connections} API \
         connections{each}), but the limit is {limit}; raise it with `ulimit -n {needed}` or use fewer devices{or_memory}"
    )]
    Descriptors {
        /// What is needed.
        needed: u64,
        /// The hard limit.
        limit: u64,
        /// Devices that connect over TCP.
        devices: u64,
        /// Connections of the driver.
        connections: u64,
        /// Whether both ends of a connection are in this process.
        each: &'static str,
        /// The other remedy, where there is one.
        or_memory: &'static str,
    },
    /// Too few source ports.
    #[error(
        "{} devices need a source port each, but this machine has {} for {sources} source address(es) to {broker}; \
         give at least {needed} addresses of this machine with --source-ip, or more ports with `sysctl -w \
         net.ipv4.ip_local_port_range=\"1024 65535\"`",
        human_count(*.devices), human_count(.sources * .ports)
    )]
    SourcePorts {
        /// Devices of this process.
        devices: u64,
        /// Where they connect to.
        broker: SocketAddr,
        /// Ports of one source address.
        ports: u64,
        /// Source addresses there are.
        sources: u64,
        /// Source addresses that would do.
        needed: u64,
    },
    /// A source address that cannot reach the broker.
    #[error("--source-ip {source_ip} is of another family than the broker at {broker}; give one of the same")]
    SourceFamily {
        /// The source address.
        source_ip: IpAddr,
        /// Where the devices connect to.
        broker: SocketAddr,
    },
    /// A source address that is not this machine's.
    #[error(
        "cannot connect from --source-ip {source_ip}: {cause}; give addresses of this machine (see `ip address`)"
    )]
    SourceUnusable {
        /// The source address.
        source_ip: IpAddr,
        /// What the system says.
        cause: String,
    },
    /// Too little memory.
    #[error(
        "{} devices need about {} of memory ({} each, measured), but {} are free; lower the counts of the groups to at \
         most {} devices together, or free memory",
        human_count(*.devices), size(*.needed), size(*.per_device), size(*.free), human_count(*.fitting)
    )]
    Memory {
        /// Devices of this process.
        devices: u64,
        /// Bytes of one.
        per_device: u64,
        /// Bytes of all.
        needed: u64,
        /// Bytes there are.
        free: u64,
        /// Devices that fit.
        fitting: u64,
    },
}

/// `2.8 KB`, `28.0 GB`: decimal, as the figures were measured.
#[expect(clippy::cast_precision_loss, reason = "two digits are printed")]
fn size(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_000_000 => format!("{:.1} KB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.1} GB", value / 1e9),
    }
}

/// The soft limit on open files, if there is one.
pub(super) fn descriptor_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Makes sure there are descriptors for both ends of every connection over TCP; raises the soft limit to
/// what is needed where the hard limit allows.
pub(super) fn descriptors(scenario: &Scenario, devices: u64, shards: u64) -> Result<(), PreflightError> {
    let (devices, or_memory, ends) = match &scenario.target {
        Target::Embedded(Embedded { transport: Transport::Tcp, .. }) => {
            (devices, ", or `transport: memory`", 2)
        }
        Target::Embedded(Embedded { transport: Transport::Memory, .. }) => (0, "", 2),
        Target::Endpoint(_) | Target::Aws(_) => (devices, "", 1),
    };
    let connections = match scenario.driver {
        Driver { via: Via::Http, connections, .. } => u64::from(connections).div_ceil(shards) * shards,
        // One that creates the commands.
        Driver { via: Via::Direct, .. } => 1,
    };
    // The connections that read records back from a target outside are among the spare ones.
    let needed = ends * (devices + connections) + SPARE + PER_SHARD * (shards - 1);
    let each = if ends == 2 { ", two each" } else { "" };
    let limit = getrlimit(Resource::Nofile);
    match descriptors_to_ask_for(needed, limit.current, limit.maximum) {
        Ok(None) => Ok(()),
        Ok(Some(ask)) => setrlimit(Resource::Nofile, Rlimit { current: Some(ask), maximum: limit.maximum })
            .map_err(|_| PreflightError::Descriptors {
                needed,
                limit: limit.current.unwrap_or(0),
                devices,
                connections,
                each,
                or_memory,
            }),
        Err(limit) => {
            Err(PreflightError::Descriptors { needed, limit, devices, connections, each, or_memory })
        }
    }
}

/// `None`: enough. `Some`: the soft limit to set. `Err`: the hard limit that is in the way.
fn descriptors_to_ask_for(needed: u64, soft: Option<u64>, hard: Option<u64>) -> Result<Option<u64>, u64> {
    match (soft, hard) {
        (None, _) => Ok(None),
        (Some(soft), _) if soft >= needed => Ok(None),
        (Some(_), Some(hard)) if hard < needed => Err(hard),
        (Some(_), _) => Ok(Some(needed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_only_when_needed_and_allowed() {
        for (needed, soft, hard, expected) in [
            (100, Some(1024), Some(4096), Ok(None)),
            (100, None, None, Ok(None)),
            (2000, Some(1024), Some(4096), Ok(Some(2000))),
            (2000, Some(1024), None, Ok(Some(2000))),
            (9000, Some(1024), Some(4096), Err(4096)),
        ] {
            assert_eq!(descriptors_to_ask_for(needed, soft, hard), expected, "{needed} {soft:?} {hard:?}");
        }
    }

    #[test]
    fn too_few_descriptors_name_the_remedies() {
        let error = descriptors(&ten_million("tcp"), 10_000_000, 1).unwrap_err().to_string();
        assert!(
            error.contains("ulimit -n 20000188` or use fewer devices, or `transport: memory`"),
            "{error}"
        );
    }

    #[test]
    fn devices_in_memory_need_no_descriptors() {
        assert_eq!(descriptors(&ten_million("memory"), 10_000_000, 1), Ok(()));
    }

    fn ten_million(transport: &str) -> Scenario {
        let text = format!(
            "version: 1\nname: n\ntarget: {{ embedded: {{ transport: {transport} }} }}\n\
             groups: {{ g: {{ count: 10000000, behavior: {{ delay: 1ms }} }} }}\n\
             workloads: {{ w: {{ command: {{ name: c }}, load: {{ arrival_rate: {{ stages: [{{ rate: 1/s, duration: 1s }}] }} }} }} }}\n"
        );
        crate::scenario::parse("n.yaml", &text, &crate::scenario::Variables::default()).unwrap()
    }
}
