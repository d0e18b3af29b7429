//! The network of a lab: which /24 it takes, and the names of its devices.

use super::error::{LabError, Result};
use super::exec;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// A network `10.83.N.0/24`. Everything that carries a lab's traffic is named after N, so that several labs never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Subnet(u8);

/// Addresses of hosts: .1 is this machine, and a few are left free.
pub(super) const HOST_ADDRESSES: std::ops::RangeInclusive<u8> = 11..=249;

impl Subnet {
    pub(super) fn address(self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 83, self.0, host)
    }

    /// This machine's address in it.
    pub(super) fn gateway(self) -> Ipv4Addr {
        self.address(1)
    }

    /// The bridge that joins the hosts (device names have at most 15 characters).
    pub(super) fn bridge(self) -> String {
        format!("wl{}", self.0)
    }

    /// This machine's end of a host's cable.
    pub(super) fn cable(self, host: u8) -> String {
        format!("wl{}h{host}", self.0)
    }

    /// The bridge between a host's cable and the program that delays its frames.
    pub(super) fn delay_bridge(self, host: u8) -> String {
        format!("wl{}d{host}", self.0)
    }

    /// The two taps of that program: on the lab's side, on the host's side.
    pub(super) fn taps(self, host: u8) -> [String; 2] {
        [format!("wl{}a{host}", self.0), format!("wl{}b{host}", self.0)]
    }

    /// The nftables table (family `ip`).
    pub(super) fn table(self) -> String {
        format!("windlass_lab_{}", self.0)
    }

    fn network(self) -> Network {
        Network { address: self.address(0).to_bits(), bits: 24 }
    }

    /// The first network that is neither `taken` by another lab nor routed on this machine.
    pub(super) fn choose(preferred: Option<Subnet>, taken: &[Subnet]) -> Result<Subnet> {
        let routes = parse_routes(&exec::output("ip", ["-4", "-o", "route", "show", "table", "all"])?);
        choose(preferred, taken, &routes).ok_or(LabError::NoSubnet)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/24", self.address(0))
    }
}

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: u32,
    bits: u32,
}

impl Network {
    fn overlaps(self, other: Network) -> bool {
        let bits = self.bits.min(other.bits);
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        self.address & mask == other.address & mask
    }
}

/// The destinations in the output of `ip -4 route show table all`. A line may begin with the route's type.
fn parse_routes(text: &str) -> Vec<Network> {
    let destination = |word: &str| -> Option<Network> {
        let (address, bits) = word.split_once('/').unwrap_or((word, "32"));
        Some(Network { address: address.parse::<Ipv4Addr>().ok()?.to_bits(), bits: bits.parse().ok()? })
    };
    text.lines().filter_map(|line| line.split_whitespace().take(2).find_map(destination)).collect()
}

fn choose(preferred: Option<Subnet>, taken: &[Subnet], routes: &[Network]) -> Option<Subnet> {
    // A route as wide as 10.0.0.0/8 covers all we could choose from. Where nothing else is free, a /24 inside it is
    // a small theft; what is routed more narrowly is certainly in use.
    let free = |widest: u32| {
        preferred.into_iter().chain((0..=u8::MAX).map(Subnet)).find(|subnet| {
            !taken.contains(subnet)
                && !routes.iter().any(|route| route.bits >= widest && route.overlaps(subnet.network()))
        })
    };
    free(1).or_else(|| free(12))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_network_that_is_routed_or_taken_is_passed_over() {
        let routes = parse_routes(
            "default via 192.0.2.1 dev eth0 \n\
             unreachable 10.83.0.0/24 metric 4096 \n\
             10.83.2.0/23 dev tun0 \n\
             local 10.83.4.1 dev wl4 table local proto kernel scope host src 10.83.4.1 \n",
        );
        assert_eq!(routes.len(), 3);
        assert_eq!(choose(None, &[Subnet(1)], &routes), Some(Subnet(5)));
        assert_eq!(choose(Some(Subnet(9)), &[], &routes), Some(Subnet(9)));
        assert_eq!(choose(Some(Subnet(4)), &[], &routes), Some(Subnet(1)), "preferred, but in use");
    }

    #[test]
    fn a_wide_route_is_shared_only_when_nothing_else_is_free() {
        let wide = parse_routes("10.0.0.0/8 dev vpn0");
        assert_eq!(choose(None, &[], &wide), Some(Subnet(0)));
        let all = parse_routes("10.80.0.0/12 dev vpn0");
        assert_eq!(choose(None, &[], &all), None);
    }

    #[test]
    fn device_names_fit_the_kernel() {
        let subnet = Subnet(255);
        for name in [subnet.bridge(), subnet.cable(249), subnet.delay_bridge(249)].iter().chain(&subnet.taps(249)) {
            assert!(name.len() <= 15, "{name}");
        }
    }
}
