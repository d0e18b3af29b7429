//! Facts about a host, under Ansible's names and in its shapes, gathered by plain shell scripts.
//!
//! Each group of facts is one script and one parser, so that only what a playbook mentions needs to be asked.

mod hardware;
mod local;
mod network;
mod platform;
mod time;
mod virtualization;

use crate::host::{Key, Probe};
use crate::values::{Map, Value};

/// A group of facts that one script gathers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// The system, its distribution, its identity and the environment.
    Platform,
    /// The clock.
    Time,
    /// Processors, memory, devices, mounted file systems.
    Hardware,
    /// Interfaces and addresses.
    Network,
    /// What it runs on.
    Virtual,
    /// What administrators left in the folder of local facts.
    Local,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 6] = [Self::Platform, Self::Time, Self::Hardware, Self::Network, Self::Virtual, Self::Local];

    /// The question that gathers it.
    pub fn probe(self, fact_path: &str, timeout: i64) -> Probe {
        let named = |name: &str| Key::Named("facts", name.to_owned());
        match self {
            Self::Platform => Probe::new(
                include_str!("platform.sh"),
                &[],
                ["/etc/os-release", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/debian_version"]
                    .into_iter()
                    .map(Key::path)
                    .chain([named("platform"), Key::below("/etc/ssh")])
                    .collect(),
            ),
            Self::Time => Probe::new(include_str!("time.sh"), &[], vec![Key::Volatile]),
            Self::Hardware => Probe::new(
                include_str!("hardware.sh"),
                &[&timeout.to_string()],
                vec![named("hardware"), Key::path("/etc/fstab")],
            ),
            Self::Network => Probe::new(include_str!("network.sh"), &[], vec![named("network")]),
            Self::Virtual => Probe::new(include_str!("virtual.sh"), &[], vec![named("virtual")]),
            Self::Local => Probe::new(include_str!("local.sh"), &[fact_path], vec![Key::below(fact_path)]),
        }
    }

    /// The facts in what the script said, without the prefix `ansible_`.
    pub fn parse(self, said: &[u8]) -> Map {
        match self {
            Self::Platform => platform::parse(&Sections::read(said)),
            Self::Time => time::parse(&String::from_utf8_lossy(said)),
            Self::Hardware => hardware::parse(&Sections::read(said)),
            Self::Network => network::parse(&Sections::read(said)),
            Self::Virtual => virtualization::parse(&Sections::read(said)),
            Self::Local => local::parse(said),
        }
    }

    /// The names of facts that it always gathers, without the prefix.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Platform => &platform::NAMES,
            Self::Time => &["date_time"],
            Self::Hardware => &hardware::NAMES,
            Self::Network => &network::NAMES,
            Self::Virtual => &virtualization::NAMES,
            Self::Local => &["local"],
        }
    }

    /// The groups of a word of `gather_subset`, with the facts it narrows them to (none: all of the group). No group
    /// where the word is not known.
    pub fn of_subset(word: &str) -> Option<Vec<Self>> {
        Some(match word {
            "all" => Self::ALL.to_vec(),
            "min" => vec![Self::Platform, Self::Time, Self::Local],
            "hardware" => vec![Self::Hardware],
            "network" => vec![Self::Network],
            "virtual" => vec![Self::Virtual],
            "local" => vec![Self::Local],
            "date_time" => vec![Self::Time],
            // Ansible's names of collectors that are not names of facts.
            "platform" | "distribution" | "user" | "caps" | "chroot" | "ssh_pub_keys" | "ssh_host_pub_keys"
            | "iscsi" | "nvme" | "systemd" => vec![Self::Platform],
            // Nothing is gathered through tools of other systems.
            "facter" | "ohai" | "fibre_channel_wwn" => vec![],
            other => vec![Self::ALL.into_iter().find(|g| g.names().contains(&other))?],
        })
    }
}

/// The group that gathers a fact, given with or without the prefix `ansible_`; none for what is no fact.
///
/// Interfaces are facts of their own (`ansible_eth0`), so any other name that begins with `ansible_` is looked for
/// among them.
pub fn subset_of_fact(name: &str) -> Option<Group> {
    let short = name.strip_prefix("ansible_").unwrap_or(name);
    if let Some(group) = Group::ALL.into_iter().find(|g| g.names().contains(&short)) {
        return Some(group);
    }
    if short.starts_with("ssh_host_key_") {
        return Some(Group::Platform);
    }
    let prefixes = ["eth", "en", "wl", "lo", "br", "bond", "docker", "tun", "tap", "veth", "wg", "vlan", "ib", "host"];
    (name.starts_with("ansible_") && prefixes.iter().any(|p| short.starts_with(p))).then_some(Group::Network)
}

/// What a script said, in named parts.
pub(super) struct Sections<'a>(Vec<(String, &'a [u8])>);

impl<'a> Sections<'a> {
    fn read(said: &'a [u8]) -> Self {
        // The environment may hold any byte; it is the last part.
        let (head, environment) = match find(said, b"\x1eenv\n") {
            Some(at) => (&said[..at], Some(&said[at + 5..])),
            None => (said, None),
        };
        let mut parts = Vec::new();
        for part in head.split(|&b| b == 0x1e).skip(1) {
            let end = part.iter().position(|&b| b == b'\n').unwrap_or(part.len());
            let name = String::from_utf8_lossy(&part[..end]).into_owned();
            parts.push((name, part.get(end + 1..).unwrap_or_default()));
        }
        parts.extend(environment.map(|bytes| ("env".to_owned(), bytes)));
        Self(parts)
    }

    fn bytes(&self, name: &str) -> &'a [u8] {
        self.0.iter().find(|(n, _)| n == name).map_or(&[], |(_, b)| b)
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(self.bytes(name)).into_owned()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        self.text(name).lines().map(str::to_owned).collect()
    }

    fn first(&self, name: &str) -> Option<String> {
        self.text(name).lines().next().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| n.as_str())
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|w| w == wanted)
}

/// Puts a fact into a map.
pub(super) fn put(map: &mut Map, name: &str, value: impl Into<Value>) {
    map.insert(name.into(), value.into());
}

/// Lines of `grep -H`: the path and the text, for files below a folder, as `(parts of the path below it, text)`.
pub(super) fn grepped(text: &str, folder: &str) -> Vec<(Vec<String>, String)> {
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(folder)?;
            let colon = rest.find(':')?;
            let parts = rest[..colon].split('/').map(str::to_owned).collect();
            Some((parts, rest[colon + 1..].trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_belong_to_groups() {
        assert_eq!(subset_of_fact("ansible_distribution"), Some(Group::Platform));
        assert_eq!(subset_of_fact("ansible_memtotal_mb"), Some(Group::Hardware));
        assert_eq!(subset_of_fact("ansible_default_ipv4"), Some(Group::Network));
        assert_eq!(subset_of_fact("ansible_eth0"), Some(Group::Network));
        assert_eq!(subset_of_fact("ansible_local"), Some(Group::Local));
        assert_eq!(subset_of_fact("ansible_date_time"), Some(Group::Time));
        assert_eq!(subset_of_fact("ansible_virtualization_type"), Some(Group::Virtual));
        assert_eq!(subset_of_fact("inventory_hostname"), None);
        assert_eq!(Group::of_subset("distribution_release"), Some(vec![Group::Platform]));
        assert_eq!(Group::of_subset("nonsense"), None);
    }

    #[test]
    fn the_environment_may_hold_anything() {
        let sections = Sections::read(b"\x1ea\n1\n2\n\x1eenv\nX=\x1eb\n\0Y=2\0");
        assert_eq!(sections.lines("a"), ["1", "2"]);
        assert_eq!(sections.bytes("env"), b"X=\x1eb\n\0Y=2\0");
        assert_eq!(sections.first("b"), None);
    }

    #[test]
    fn paths_and_values_are_told_apart() {
        let found = grepped("/sys/class/net/eth0/address:02:fc:00\n/other/x:1\n", "/sys/class/net/");
        assert_eq!(found, [(vec!["eth0".to_owned(), "address".to_owned()], "02:fc:00".to_owned())]);
    }
}
