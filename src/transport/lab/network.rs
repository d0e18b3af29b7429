//! A lab's bridge, its way out to package registries, and the cables of its hosts.

use super::error::{LabError, Result};
use super::exec;
use super::subnet::Subnet;
use std::fs;
use std::path::Path;

/// Makes the lab's network, or mends it: every part may be there already.
pub(super) fn ensure(subnet: Subnet) -> Result<()> {
    // Packets for the lab must never leave by the default route, whether its bridge is up or gone.
    exec::run("ip", ["route", "replace", "unreachable", &subnet.to_string(), "metric", "4096"])?;
    let bridge = subnet.bridge();
    if !device_exists(&bridge) {
        exec::run("ip", ["link", "add", &bridge, "type", "bridge"])?;
    }
    exec::run("ip", ["addr", "replace", &format!("{}/24", subnet.gateway()), "dev", &bridge])?;
    exec::run("ip", ["link", "set", &bridge, "up"])?;
    exec::feed("nft", ["-f", "-"], &rules(subnet))
}

/// Removes it. What is missing is no error.
pub(super) fn remove(subnet: Subnet) {
    let _ = exec::run("nft", ["delete", "table", "ip", &subnet.table()]);
    remove_device(&subnet.bridge());
    let _ = exec::run("ip", ["route", "del", "unreachable", &subnet.to_string(), "metric", "4096"]);
}

/// Hosts reach each other and, through NAT, name servers and package registries; nothing outside opens a connection
/// to them.
fn rules(subnet: Subnet) -> String {
    let (table, bridge) = (subnet.table(), subnet.bridge());
    format!(
        "table ip {table}
delete table ip {table}
table ip {table} {{
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname \"{bridge}\" oifname \"{bridge}\" accept
    iifname \"{bridge}\" ct state established,related accept
    iifname \"{bridge}\" meta l4proto {{ tcp, udp }} th dport {{ 53, 80, 443 }} accept
    iifname \"{bridge}\" reject
    oifname \"{bridge}\" ct state established,related accept
    oifname \"{bridge}\" drop
  }}
  chain out {{
    type nat hook postrouting priority 100;
    ip saddr {subnet} oifname != \"{bridge}\" masquerade
  }}
}}
"
    )
}

/// Plugs a cable into the lab's bridge; its other end, `eth0`, goes to the network namespace of process `pid`.
pub(super) fn plug(subnet: Subnet, number: u8, pid: u32) -> Result<()> {
    let (cable, mtu) = (subnet.cable(number), outward_mtu().to_string());
    exec::run(
        "ip",
        [
            "link",
            "add",
            &cable,
            "mtu",
            &mtu,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "mtu",
            &mtu,
            "netns",
            &pid.to_string(),
        ],
    )?;
    exec::run("ip", ["link", "set", &cable, "master", &subnet.bridge(), "up"])
}

/// Removes whatever devices a host has or had.
pub(super) fn unplug(subnet: Subnet, number: u8) {
    remove_device(&subnet.cable(number));
    remove_device(&subnet.delay_bridge(number));
}

pub(super) fn device_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

pub(super) fn remove_device(name: &str) {
    if device_exists(name) {
        let _ = exec::run("ip", ["link", "del", name]);
    }
}

/// The greatest packet that the machine's own way out takes, so that none is lost beyond the NAT.
fn outward_mtu() -> u32 {
    let device = || {
        let route = exec::output("ip", ["-4", "route", "show", "default"]).ok()?;
        let mut words = route.split_whitespace().skip_while(|word| *word != "dev");
        words.nth(1).map(str::to_owned)
    };
    device()
        .and_then(|device| fs::read_to_string(format!("/sys/class/net/{device}/mtu")).ok())
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1500)
}

/// The `nameserver` lines that a guest can use: this machine's, but those that only this machine can reach.
pub(super) fn resolv_conf() -> Result<String> {
    let servers = |path: &str| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| {
            line.strip_prefix("nameserver").is_some_and(|rest| {
                let address = rest.trim();
                !address.starts_with("127.") && !address.contains(':')
            })
        });
        lines.map(str::to_owned).collect()
    };
    // The second is where systemd-resolved keeps the servers behind its own address on the loopback device.
    ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
        .into_iter()
        .map(servers)
        .find(|lines| !lines.is_empty())
        .map(|lines| lines.join("\n") + "\n")
        .ok_or_else(|| LabError::Unavailable {
            reason: "this machine has no name server that a guest could reach".into(),
            instead: "add a `nameserver` line with an IPv4 address to `/etc/resolv.conf`".into(),
        })
}
