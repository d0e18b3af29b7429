//! Interfaces and addresses.

use super::{Sections, grepped, put};
use crate::values::{Map, Value};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The facts that it always gathers; each interface is a fact of its own besides.
pub(super) const NAMES: [&str; 6] =
    ["interfaces", "default_ipv4", "default_ipv6", "all_ipv4_addresses", "all_ipv6_addresses", "locally_reachable_ips"];

/// The facts in what `network.sh` said.
pub(super) fn parse(said: &Sections<'_>) -> Map {
    let attributes = grepped(&said.text("attributes"), "/sys/class/net/");
    let get = |interface: &str, name: &str| {
        attributes
            .iter()
            .find(|(path, _)| path.first().is_some_and(|i| i == interface) && path[1..].join("/") == name)
            .map(|(_, text)| text.clone())
    };
    let (default4, default6) = (route(said, "get4", "default4"), route(said, "get6", "default6"));
    let (mut names, mut all4, mut all6) = (Vec::new(), Vec::new(), Vec::new());
    let mut facts = Map::new();
    let (mut found4, mut found6) = (Map::new(), Map::new());
    for line in said.lines("links") {
        let (name, device) = line.split_once(' ').unwrap_or((&line, ""));
        let mut one = Map::new();
        put(&mut one, "device", name);
        if let Some(address) = get(name, "address").filter(|a| a != "00:00:00:00:00:00" && !a.is_empty()) {
            put(&mut one, "macaddress", address);
        }
        let mtu = get(name, "mtu").and_then(|m| m.parse::<i64>().ok());
        if let Some(mtu) = mtu {
            put(&mut one, "mtu", mtu);
        }
        let flags = get(name, "flags")
            .and_then(|f| u32::from_str_radix(f.trim_start_matches("0x"), 16).ok())
            .unwrap_or_default();
        put(&mut one, "active", get(name, "operstate").is_none_or(|s| s != "down"));
        put(&mut one, "promisc", flags & 0x100 != 0);
        if let Some(module) = module(said, name) {
            put(&mut one, "module", module);
        }
        if !device.is_empty() {
            put(&mut one, "pciid", device.rsplit('/').next().unwrap_or(device));
        }
        if let Some(speed) = get(name, "speed").and_then(|s| s.parse::<i64>().ok()) {
            put(&mut one, "speed", speed);
        }
        let kind = kind(name, &get);
        put(&mut one, "type", kind);
        if kind == "bridge" {
            let prefix = format!("/sys/class/net/{name}/brif/");
            let ports = said
                .lines("ports")
                .iter()
                .filter_map(|p| p.strip_prefix(&prefix).map(str::to_owned))
                .collect::<Vec<_>>();
            put(&mut one, "interfaces", ports);
            put(&mut one, "id", get(name, "bridge/bridge_id").unwrap_or_default());
            put(&mut one, "stp", get(name, "bridge/stp_state").as_deref() == Some("1"));
        }
        if kind == "bonding" {
            let slaves = get(name, "bonding/slaves").unwrap_or_default();
            put(&mut one, "slaves", slaves.split_whitespace().collect::<Vec<_>>());
            for (fact, file) in [
                ("mode", "bonding/mode"),
                ("miimon", "bonding/miimon"),
                ("lacp_rate", "bonding/lacp_rate"),
                ("primary", "bonding/primary"),
                ("active_slave", "bonding/active_slave"),
            ] {
                if let Some(text) = get(name, file) {
                    put(&mut one, fact, text.split(' ').next().unwrap_or_default());
                }
            }
        }
        let mut link = Map::new();
        put(&mut link, "interface", name);
        for shared in ["macaddress", "mtu", "type"] {
            if let Some(value) = one.get(shared) {
                put(&mut link, shared, value.clone());
            }
        }
        for (at, address) in addresses4(said, name).into_iter().enumerate() {
            let text = address["address"].to_string();
            if !text.starts_with("127.") {
                all4.push(text.clone());
            }
            if default4.as_ref().is_some_and(|d| d.source == text) {
                found4 = link.clone();
                put(&mut found4, "gateway", default4.as_ref().map(|d| d.gateway.clone()).unwrap_or_default());
                put(&mut found4, "alias", name);
                found4.extend(address.clone());
            }
            if at == 0 {
                put(&mut one, "ipv4", Value::map(address));
            } else {
                let mut more = one.get("ipv4_secondaries").and_then(Value::as_list).unwrap_or_default().to_vec();
                more.push(Value::map(address));
                put(&mut one, "ipv4_secondaries", Value::list(more));
            }
        }
        let mut six = Vec::new();
        for address in addresses6(said, name) {
            let text = address["address"].to_string();
            if text != "::1" {
                all6.push(text.clone());
            }
            if default6.as_ref().is_some_and(|d| d.source == text) {
                found6 = link.clone();
                put(&mut found6, "gateway", default6.as_ref().map(|d| d.gateway.clone()).unwrap_or_default());
                found6.extend(address.clone());
            }
            six.push(Value::map(address));
        }
        if !six.is_empty() {
            put(&mut one, "ipv6", Value::list(six));
        }
        names.push(name.to_owned());
        // As Ansible does, since a name with a dash is no variable.
        put(&mut facts, &name.replace(['-', ':', '.'], "_"), Value::map(one));
    }
    put(&mut facts, "interfaces", names);
    put(&mut facts, "default_ipv4", Value::map(found4));
    put(&mut facts, "default_ipv6", Value::map(found6));
    put(&mut facts, "all_ipv4_addresses", all4);
    put(&mut facts, "all_ipv6_addresses", all6);
    put(
        &mut facts,
        "locally_reachable_ips",
        Value::from_pairs([("ipv4", local(said, "local4")), ("ipv6", local(said, "local6"))]),
    );
    facts
}

struct Route {
    source: String,
    gateway: String,
}

/// The way out: what the kernel would take to a far address, else the default route.
fn route(said: &Sections<'_>, get: &str, default: &str) -> Option<Route> {
    let word = |line: &str, name: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.iter().position(|w| *w == name).and_then(|i| words.get(i + 1)).map(|w| (*w).to_owned())
    };
    let line = said.first(get)?;
    let fallback = said.first(default).unwrap_or_default();
    let source = word(&line, "src")?;
    let gateway = word(&line, "via").or_else(|| word(&fallback, "via")).unwrap_or_default();
    Some(Route { source, gateway })
}

fn module(said: &Sections<'_>, name: &str) -> Option<String> {
    let prefix = format!("/sys/class/net/{name}/device/driver/module ");
    said.lines("modules").iter().find_map(|l| Some(l.strip_prefix(&prefix)?.rsplit('/').next()?.to_owned()))
}

fn kind(name: &str, get: &impl Fn(&str, &str) -> Option<String>) -> &'static str {
    if get(name, "bridge/bridge_id").is_some() {
        return "bridge";
    }
    if get(name, "bonding/mode").is_some() {
        return "bonding";
    }
    match get(name, "type").as_deref() {
        Some("1") => "ether",
        Some("32") => "infiniband",
        Some("512") => "ppp",
        Some("772") => "loopback",
        Some("65534") => "tunnel",
        _ => "unknown",
    }
}

/// The words of an interface's address lines (`2: eth0    inet 10.0.0.2/24 brd …`).
fn address_lines(said: &Sections<'_>, name: &str, family: &str) -> Vec<Vec<String>> {
    said.lines("addr")
        .iter()
        .map(|l| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|w| w.len() > 3 && w[1].trim_end_matches(':').split('@').next() == Some(name) && w[2] == family)
        .collect()
}

fn after(words: &[String], name: &str) -> Option<String> {
    words.iter().position(|w| w == name).and_then(|i| words.get(i + 1)).cloned()
}

fn addresses4(said: &Sections<'_>, name: &str) -> Vec<Map> {
    let mut out = Vec::new();
    for words in address_lines(said, name, "inet") {
        // A point-to-point address has no prefix of its own; that stands with the peer.
        let (address, prefix) = match words[3].split_once('/') {
            Some((address, prefix)) => (address.to_owned(), prefix.to_owned()),
            None => {
                let peer = after(&words, "peer").unwrap_or_default();
                (words[3].clone(), peer.split_once('/').map_or("32", |(_, p)| p).to_owned())
            }
        };
        let (Ok(ip), Ok(bits)) = (address.parse::<Ipv4Addr>(), prefix.parse::<u32>()) else { continue };
        let mask = if bits == 0 { 0 } else { u32::MAX << (32 - bits.min(32)) };
        let mut one = Map::new();
        put(&mut one, "address", address);
        put(&mut one, "broadcast", after(&words, "brd").unwrap_or_default());
        put(&mut one, "netmask", Ipv4Addr::from(mask).to_string());
        put(&mut one, "network", Ipv4Addr::from(u32::from(ip) & mask).to_string());
        put(&mut one, "prefix", prefix);
        out.push(one);
    }
    out
}

fn addresses6(said: &Sections<'_>, name: &str) -> Vec<Map> {
    let mut out = Vec::new();
    for words in address_lines(said, name, "inet6") {
        let (address, prefix) = words[3].split_once('/').unwrap_or((&words[3], "128"));
        if address.parse::<Ipv6Addr>().is_err() {
            continue;
        }
        let mut one = Map::new();
        put(&mut one, "address", address);
        put(&mut one, "prefix", prefix);
        put(&mut one, "scope", after(&words, "scope").unwrap_or_default());
        out.push(one);
    }
    out
}

fn local(said: &Sections<'_>, table: &str) -> Value {
    let mut out: Vec<String> = Vec::new();
    for line in said.lines(table) {
        let mut words = line.split_whitespace();
        if let (Some("local"), Some(address)) = (words.next(), words.next())
            && !out.iter().any(|o| o == address)
        {
            out.push(address.to_owned());
        }
    }
    Value::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "@links\neth0 ../../../virtio2\nlo \nbr-lan \n@attributes\n/sys/class/net/eth0/address:02:fc:00:00:00:01\n/sys/class/net/eth0/mtu:1400\n/sys/class/net/eth0/operstate:up\n/sys/class/net/eth0/type:1\n/sys/class/net/eth0/flags:0x1103\n/sys/class/net/lo/address:00:00:00:00:00:00\n/sys/class/net/lo/type:772\n/sys/class/net/br-lan/bridge/bridge_id:8000.1\n@ports\n/sys/class/net/br-lan/brif/veth1\n@addr\n1: lo    inet 127.0.0.1/8 scope host lo\n4: eth0    inet 192.0.2.2/20 brd 192.0.15.255 scope global eth0\n4: eth0    inet 192.0.2.3/20 scope global secondary eth0\n4: eth0    inet6 fd00::2/64 scope global \n@get4\n8.8.8.8 via 192.0.2.1 dev eth0 src 192.0.2.2 uid 0\n@get6\nx from :: via fd00::1 dev eth0 src fd00::2 metric 1\n@local4\nlocal 127.0.0.1 dev lo\nbroadcast 1.2.3.4 dev lo\n";

    #[test]
    fn interfaces_and_the_way_out() {
        let f = parse(&Sections::read(SAID.replace('@', "\x1e").as_bytes()));
        assert_eq!(
            f["default_ipv4"].to_string(),
            "{'interface': 'eth0', 'macaddress': '02:fc:00:00:00:01', 'mtu': 1400, 'type': 'ether', 'gateway': '192.0.2.1', 'alias': 'eth0', 'address': '192.0.2.2', 'broadcast': '192.0.15.255', 'netmask': '255.255.240.0', 'network': '192.0.0.0', 'prefix': '20'}"
        );
        assert_eq!(f["default_ipv6"].get("gateway"), Some(&Value::from("fd00::1")));
        assert_eq!(f["all_ipv4_addresses"].to_string(), "['192.0.2.2', '192.0.2.3']");
        assert_eq!(f["interfaces"].to_string(), "['eth0', 'lo', 'br-lan']");
        assert_eq!(f["eth0"].get("promisc"), Some(&Value::from(true)));
        assert_eq!(f["eth0"].get("pciid"), Some(&Value::from("virtio2")));
        assert_eq!(f["br_lan"].get("interfaces").map(ToString::to_string).as_deref(), Some("['veth1']"));
        assert_eq!(f["lo"].get("macaddress"), None);
        assert_eq!(f["locally_reachable_ips"].to_string(), "{'ipv4': ['127.0.0.1'], 'ipv6': []}");
    }

    #[test]
    fn without_tools_there_are_no_addresses_but_no_error() {
        let f = parse(&Sections::read(b"\x1elinks\neth0 \n"));
        assert_eq!(f["default_ipv4"].to_string(), "{}");
        for name in NAMES {
            assert!(f.contains_key(name), "{name}");
        }
    }
}
