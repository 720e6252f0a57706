//! Source ports: a connection needs one of its own for each pair of source and destination address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::PreflightError;

/// What Linux gives out where nobody has said otherwise: 32768 to 60999.
const STANDARD_RANGE: (u64, u64) = (32_768, 60_999);
/// Where Linux says which source ports it gives out.
const RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The source addresses to deal the devices out over; empty = whatever the system takes.
pub fn sources(
    broker: Option<SocketAddr>,
    devices: u64,
    given: &[IpAddr],
) -> Result<Vec<IpAddr>, PreflightError> {
    let Some(broker) = broker else { return Ok(Vec::new()) };
    let range = std::fs::read_to_string(RANGE_FILE).ok().and_then(|text| parse_range(&text));
    for source in given {
        let usable = std::net::UdpSocket::bind((*source, 0));
        usable.map_err(|cause| PreflightError::SourceUnusable {
            source_ip: *source,
            cause: cause.to_string(),
        })?;
    }
    choose(broker, devices, given, ports_in(range.unwrap_or(STANDARD_RANGE)))
}

/// Pure: the ports of one source address are `ports`.
fn choose(
    broker: SocketAddr,
    devices: u64,
    given: &[IpAddr],
    ports: u64,
) -> Result<Vec<IpAddr>, PreflightError> {
    if let Some(wrong) = given.iter().find(|source| source.is_ipv4() != broker.is_ipv4()) {
        return Err(PreflightError::SourceFamily { source_ip: *wrong, broker });
    }
    // Every address of 127.0.0.0/8 is this machine on Linux. Half of the ports stay free: a connection that
    // has ended keeps its port for a minute.
    if given.is_empty() && broker.ip().is_loopback() && broker.is_ipv4() && cfg!(target_os = "linux") {
        let needed = devices.div_ceil((ports / 2).max(1));
        return Ok(if needed <= 1 { Vec::new() } else { (0..needed).map(loopback).collect() });
    }
    let sources = given.len().max(1) as u64;
    if devices > sources * ports {
        let needed = devices.div_ceil(ports.max(1));
        return Err(PreflightError::SourcePorts { devices, broker, ports, sources, needed });
    }
    Ok(given.to_vec())
}

/// The n-th address of 127.0.0.0/8 from 127.0.0.1 on.
fn loopback(n: u64) -> IpAddr {
    let n = u32::try_from(n).unwrap_or(u32::MAX).min((1 << 24) - 3);
    IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + n))
}

fn ports_in((first, last): (u64, u64)) -> u64 {
    (last + 1).saturating_sub(first)
}

fn parse_range(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_fleet_on_loopback_is_spread_by_itself() {
        assert_eq!(choose(broker("127.0.0.1:1883"), 14_000, &[], 28_232), Ok(vec![]));
        let sources = choose(broker("127.0.0.1:1883"), 30_000, &[], 28_232).unwrap();
        assert_eq!(sources, ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn elsewhere_more_devices_than_ports_need_more_source_addresses() {
        let error = choose(broker("10.0.0.9:1883"), 60_000, &[], 28_232).unwrap_err().to_string();
        for part in
            ["60 000 devices", "10.0.0.9:1883", "28 232", "--source-ip", "at least 3", "ip_local_port_range"]
        {
            assert!(error.contains(part), "no {part} in: {error}");
        }
        let three = [1, 2, 3].map(|n| IpAddr::from([10, 0, 0, n]));
        assert_eq!(choose(broker("10.0.0.9:1883"), 60_000, &three, 28_232), Ok(three.to_vec()));
        assert_eq!(choose(broker("10.0.0.9:1883"), 60_000, &[], 64_512), Ok(vec![]), "a wider range will do");
    }

    #[test]
    fn a_source_of_the_other_family_is_refused() {
        let error = choose(broker("[::1]:1883"), 1, &[IpAddr::from([10, 0, 0, 1])], 28_232).unwrap_err();
        assert!(error.to_string().contains("10.0.0.1"), "{error}");
    }

    #[test]
    fn the_range_is_read_as_the_system_writes_it() {
        assert_eq!(parse_range("32768\t60999\n"), Some((32_768, 60_999)));
        assert_eq!(parse_range("none"), None);
        assert_eq!(ports_in((32_768, 60_999)), 28_232);
    }
}
