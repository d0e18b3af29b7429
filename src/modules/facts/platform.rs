//! The system, its distribution, its identity and the environment.

use super::{Sections, put};
use crate::values::{Map, Value};

/// The facts that it always gathers. Python's and the host keys' are there only where they exist.
pub(super) const NAMES: [&str; 51] = [
    "system",
    "nodename",
    "hostname",
    "kernel",
    "kernel_version",
    "machine",
    "architecture",
    "userspace_architecture",
    "userspace_bits",
    "fqdn",
    "domain",
    "distribution",
    "distribution_version",
    "distribution_major_version",
    "distribution_minor_version",
    "distribution_release",
    "distribution_file_path",
    "distribution_file_variety",
    "distribution_file_parsed",
    "os_family",
    "lsb",
    "user_id",
    "user_uid",
    "user_gid",
    "user_gecos",
    "user_dir",
    "user_shell",
    "real_user_id",
    "effective_user_id",
    "real_group_id",
    "effective_group_id",
    "cmdline",
    "proc_cmdline",
    "machine_id",
    "dns",
    "pkg_mgr",
    "service_mgr",
    "python",
    "python_version",
    "selinux",
    "selinux_python_present",
    "apparmor",
    "fips",
    "system_capabilities",
    "system_capabilities_enforced",
    "loadavg",
    "is_chroot",
    "iscsi_iqn",
    "hostnqn",
    "env",
    "systemd",
];

/// The facts in what `platform.sh` said.
pub(super) fn parse(said: &Sections<'_>) -> Map {
    let mut facts = Map::new();
    let f = &mut facts;
    uname(said, f);
    distribution(said, f);
    user(said, f);
    let (last, all) = cmdline(&said.text("cmdline"));
    put(f, "cmdline", last);
    put(f, "proc_cmdline", all);
    put(f, "machine_id", said.first("machine_id"));
    put(f, "dns", dns(&said.text("dns")));
    put(f, "pkg_mgr", package_manager(&said.text("managers")));
    put(f, "service_mgr", service_manager(said));
    if let Some(version) = said.first("systemctl").and_then(|l| l.split(' ').nth(1).map(str::to_owned)) {
        let features = Value::Null;
        let number = version.parse::<i64>().map_or_else(|_| Value::from(version.as_str()), Value::from);
        put(f, "systemd", Value::from_pairs([("version", number), ("features", features)]));
    }
    python(said, f);
    selinux(said, f);
    let apparmor = if said.first("apparmor").is_some() { "enabled" } else { "disabled" };
    put(f, "apparmor", Value::from_pairs([("status", apparmor.into())]));
    put(f, "fips", said.first("fips").as_deref() == Some("1"));
    capabilities(said, f);
    let load = said.text("loadavg");
    let loads: Vec<f64> = load.split_whitespace().take(3).filter_map(|w| w.parse().ok()).collect();
    if let [one, five, fifteen] = loads[..] {
        put(f, "loadavg", Value::from_pairs([("1m", one.into()), ("5m", five.into()), ("15m", fifteen.into())]));
    }
    put(f, "is_chroot", is_chroot(&said.lines("chroot")));
    let iqn = said.lines("iscsi").iter().find_map(|l| l.strip_prefix("InitiatorName=").map(str::to_owned));
    put(f, "iscsi_iqn", iqn.unwrap_or_default());
    put(f, "hostnqn", said.first("hostnqn").unwrap_or_default());
    for name in said.names().filter(|n| n.starts_with("key ")) {
        let kind = name.rsplit("ssh_host_").next().unwrap_or_default().trim_end_matches("_key.pub");
        let line = said.first(name).unwrap_or_default();
        let mut words = line.split_whitespace();
        if let (Some(r#type), Some(key)) = (words.next(), words.next()) {
            put(f, &format!("ssh_host_key_{kind}_public"), key);
            put(f, &format!("ssh_host_key_{kind}_public_keytype"), r#type);
        }
    }
    put(f, "env", environment(said.bytes("env")));
    facts
}

fn uname(said: &Sections<'_>, f: &mut Map) {
    let lines = said.lines("uname");
    let line = |i: usize| lines.get(i).cloned().unwrap_or_default();
    let (node, machine) = (line(1), line(4));
    let bits = said.first("bits").unwrap_or_else(|| if machine.contains("64") { "64".into() } else { "32".into() });
    // A 32-bit userland on a 64-bit kernel says so through the size of its words.
    let architecture = match machine.as_str() {
        "i386" | "i486" | "i586" | "i686" => "i386".to_owned(),
        other => other.to_owned(),
    };
    let userspace = match (machine.as_str(), bits.as_str()) {
        ("x86_64", "32") => "i386".to_owned(),
        _ => architecture.clone(),
    };
    let fqdn = said.first("fqdn").unwrap_or_else(|| node.clone());
    put(f, "system", line(0));
    put(f, "nodename", node.as_str());
    put(f, "hostname", node.split('.').next().unwrap_or_default());
    put(f, "domain", fqdn.split_once('.').map_or("", |(_, d)| d));
    put(f, "fqdn", fqdn);
    put(f, "kernel", line(2));
    put(f, "kernel_version", line(3));
    put(f, "machine", machine);
    put(f, "architecture", architecture);
    put(f, "userspace_architecture", userspace);
    put(f, "userspace_bits", bits);
}

/// `KEY="value"` lines of a file that a shell could read.
fn assignments(text: &str) -> Map {
    let mut out = Map::new();
    for line in text.lines() {
        if let Some((key, value)) = line.trim().split_once('=') {
            let quoted = [('"', '"'), ('\'', '\'')]
                .iter()
                .find_map(|&(a, b)| value.strip_prefix(a).and_then(|v| v.strip_suffix(b)));
            put(&mut out, key, quoted.unwrap_or(value).replace("\\\"", "\"").replace("\\$", "$"));
        }
    }
    out
}

fn distribution(said: &Sections<'_>, f: &mut Map) {
    let release = assignments(&said.text("os-release"));
    let get = |name: &str| release.get(name).map(ToString::to_string).unwrap_or_default();
    let id = get("ID").to_lowercase();
    let name = match id.as_str() {
        "debian" => "Debian".to_owned(),
        "ubuntu" => "Ubuntu".to_owned(),
        "raspbian" => "Raspbian".to_owned(),
        "linuxmint" => "Linux Mint".to_owned(),
        "kali" => "Kali".to_owned(),
        "devuan" => "Devuan".to_owned(),
        "pop" => "Pop!_OS".to_owned(),
        "fedora" => "Fedora".to_owned(),
        "rhel" => "RedHat".to_owned(),
        "centos" => "CentOS".to_owned(),
        "rocky" => "Rocky".to_owned(),
        "almalinux" => "AlmaLinux".to_owned(),
        "amzn" => "Amazon".to_owned(),
        "ol" => "OracleLinux".to_owned(),
        "alpine" => "Alpine".to_owned(),
        "arch" => "Archlinux".to_owned(),
        "opensuse-leap" => "openSUSE Leap".to_owned(),
        "sles" => "SLES".to_owned(),
        "" => "Linux".to_owned(),
        _ => get("NAME"),
    };
    let like = format!("{id} {}", get("ID_LIKE"));
    let family = ["debian", "ubuntu", "rhel", "fedora", "suse", "alpine", "arch", "gentoo"]
        .into_iter()
        .find(|word| like.split_whitespace().any(|l| l == *word || l.starts_with(&format!("open{word}"))))
        .map_or(name.as_str(), |word| match word {
            "debian" | "ubuntu" => "Debian",
            "rhel" | "fedora" => "RedHat",
            "suse" => "Suse",
            "alpine" => "Alpine",
            "arch" => "Archlinux",
            _ => "Gentoo",
        })
        .to_owned();
    let mut version = get("VERSION_ID");
    let point = said.first("debian_version").unwrap_or_default();
    // Debian's release file says which point release it is; Ubuntu's says on which Debian it is based.
    if id == "debian" && point.split('.').next() == Some(version.as_str()) {
        version = point;
    }
    let mut codename = get("VERSION_CODENAME");
    if codename.is_empty() {
        codename = get("VERSION").split(['(', ')']).nth(1).unwrap_or_default().to_lowercase();
    }
    let or_na = |text: &str| if text.is_empty() { "NA".to_owned() } else { text.to_owned() };
    let mut numbers = version.split('.');
    put(f, "distribution_major_version", or_na(numbers.next().unwrap_or_default()));
    if id == "debian" {
        put(f, "distribution_minor_version", numbers.next());
    }
    put(f, "distribution_version", or_na(&version));
    put(f, "distribution_release", or_na(&codename));
    put(f, "distribution", name);
    put(f, "distribution_file_path", "/etc/os-release");
    put(f, "distribution_file_variety", family.as_str());
    put(f, "distribution_file_parsed", !release.is_empty());
    put(f, "os_family", family);

    let text = said.text("lsb");
    let file = assignments(&text);
    let tool =
        |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':').map(|v| v.trim().to_owned()));
    let fields = [
        ("id", "DISTRIB_ID", "Distributor ID"),
        ("release", "DISTRIB_RELEASE", "Release"),
        ("description", "DISTRIB_DESCRIPTION", "Description"),
        ("codename", "DISTRIB_CODENAME", "Codename"),
    ];
    let mut lsb = Map::new();
    for (fact, key, label) in fields {
        if let Some(value) = file.get(key).map(ToString::to_string).or_else(|| tool(label)) {
            put(&mut lsb, fact, value);
        }
    }
    if let Some(release) = lsb.get("release").map(ToString::to_string) {
        put(&mut lsb, "major_release", release.split('.').next().unwrap_or_default());
    }
    put(f, "lsb", Value::map(lsb));
}

fn user(said: &Sections<'_>, f: &mut Map) {
    let lines = said.lines("user");
    let number = |i: usize| lines.get(i).and_then(|l| l.parse::<i64>().ok()).map_or(Value::Null, Value::from);
    let entry = said.first("passwd").unwrap_or_default();
    let fields: Vec<&str> = entry.split(':').collect();
    let field = |i: usize| fields.get(i).copied().unwrap_or_default().to_owned();
    put(f, "user_id", lines.first().cloned().unwrap_or_default());
    put(f, "user_uid", number(2));
    put(f, "user_gid", number(4));
    put(f, "user_gecos", field(4));
    put(f, "user_dir", field(5));
    put(f, "user_shell", field(6));
    put(f, "real_user_id", number(1));
    put(f, "effective_user_id", number(2));
    put(f, "real_group_id", number(3));
    put(f, "effective_group_id", number(4));
}

/// The kernel's command line: the last value of each key, and all values of each.
fn cmdline(text: &str) -> (Value, Value) {
    let (mut last, mut all) = (Map::new(), Map::new());
    for word in words(text) {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), Value::from(value)),
            None => (word.clone(), Value::from(true)),
        };
        put(&mut last, &key, value.clone());
        let many = match all.get(key.as_str()) {
            None => value,
            Some(Value::List(items)) => Value::list(items.iter().cloned().chain([value]).collect()),
            Some(one) => Value::list(vec![one.clone(), value]),
        };
        put(&mut all, &key, many);
    }
    (Value::map(last), Value::map(all))
}

/// Words separated by blanks; double quotes keep blanks.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn dns(text: &str) -> Value {
    let mut dns = Map::new();
    let mut servers = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => servers.extend(words.next().map(str::to_owned)),
            Some("domain") => put(&mut dns, "domain", words.next().unwrap_or_default()),
            Some(list @ ("search" | "sortlist")) => put(&mut dns, list, words.collect::<Vec<_>>()),
            Some("options") => {
                let options = words.map(|w| match w.split_once(':') {
                    Some((name, value)) => (name.into(), Value::from(value)),
                    None => (w.into(), Value::from(true)),
                });
                put(&mut dns, "options", Value::map(options.collect()));
            }
            _ => {}
        }
    }
    if !servers.is_empty() {
        put(&mut dns, "nameservers", servers);
    }
    Value::map(dns)
}

fn package_manager(text: &str) -> &'static str {
    match text.lines().next().and_then(|path| path.rsplit('/').next()) {
        Some("apt-get") => "apt",
        Some("dnf5") => "dnf5",
        Some("dnf" | "microdnf") => "dnf",
        Some("yum") => "yum",
        Some("zypper") => "zypper",
        Some("pacman") => "pacman",
        Some("apk") => "apk",
        Some("emerge") => "portage",
        Some("xbps-install") => "xbps",
        _ => "unknown",
    }
}

fn service_manager(said: &Sections<'_>) -> String {
    let init = said.first("init").unwrap_or_default();
    let systemd = said.lines("systemd");
    match init.as_str() {
        "systemd" => "systemd".to_owned(),
        "runit" | "runit-init" => "runit".to_owned(),
        // Called `init`, or hidden: see what is there.
        "" | "init" | "sh" | "bash" => {
            if systemd.iter().any(|l| l == "yes" || l.ends_with("systemd")) {
                "systemd".to_owned()
            } else if said.first("openrc").is_some() {
                "openrc".to_owned()
            } else {
                "service".to_owned()
            }
        }
        other => other.to_owned(),
    }
}

/// Nothing of Windlass runs Python; playbooks ask whether it is there.
fn python(said: &Sections<'_>, f: &mut Map) {
    let lines = said.lines("python");
    let [path, version] = &lines[..] else { return };
    let Some(version) = version.strip_prefix("Python ") else { return };
    let numbers: Vec<i64> = version.split('.').filter_map(|n| n.parse().ok()).collect();
    put(f, "python_version", version);
    if let [major, minor, micro] = numbers[..] {
        let named = Value::from_pairs([
            ("major", major.into()),
            ("minor", minor.into()),
            ("micro", micro.into()),
            ("releaselevel", "final".into()),
            ("serial", 0.into()),
        ]);
        let info = Value::list(vec![major.into(), minor.into(), micro.into(), "final".into(), 0.into()]);
        let all = [("version", named), ("version_info", info), ("executable", path.into()), ("type", "cpython".into())];
        put(f, "python", Value::from_pairs(all));
    }
}

fn selinux(said: &Sections<'_>, f: &mut Map) {
    let mut selinux = Map::new();
    match said.first("selinux") {
        None => put(&mut selinux, "status", "disabled"),
        Some(enforcing) => {
            let config = assignments(&said.text("selinux_config"));
            put(&mut selinux, "status", "enabled");
            put(&mut selinux, "mode", if enforcing == "1" { "enforcing" } else { "permissive" });
            put(&mut selinux, "config_mode", config.get("SELINUX").cloned().unwrap_or_else(|| "unknown".into()));
            put(&mut selinux, "type", config.get("SELINUXTYPE").cloned().unwrap_or_else(|| "unknown".into()));
        }
    }
    put(f, "selinux", Value::map(selinux));
    put(f, "selinux_python_present", false);
}

fn capabilities(said: &Sections<'_>, f: &mut Map) {
    let lines = said.lines("caps");
    let mask = |name: &str| {
        let text = lines.iter().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        u64::from_str_radix(text.trim(), 16).ok()
    };
    let last = lines.last().and_then(|l| l.trim().parse::<u32>().ok()).unwrap_or(63);
    let full = if last >= 63 { u64::MAX } else { (1u64 << (last + 1)) - 1 };
    let (enforced, list) = match mask("CapEff") {
        None => ("NA", Vec::new()),
        Some(mask) if mask == full => ("False", Vec::new()),
        Some(mask) => {
            ("True", (0..=last.min(40)).filter(|b| mask >> b & 1 == 1).map(|b| CAPABILITIES[b as usize]).collect())
        }
    };
    put(f, "system_capabilities_enforced", enforced);
    put(f, "system_capabilities", list);
}

/// As capabilities(7) numbers them.
const CAPABILITIES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// Its root is another than init's; where that can't be seen, root's inode tells (2, or 256 on btrfs, 128 on xfs).
fn is_chroot(lines: &[String]) -> bool {
    let line = |i: usize| lines.get(i).map(String::as_str).unwrap_or_default();
    if !line(0).is_empty() {
        return true;
    }
    match (line(1), line(2)) {
        ("", _) => false,
        (own, "") => !["2", "256", "128"].contains(&own.rsplit(':').next().unwrap_or_default()),
        (own, init) => own != init,
    }
}

fn environment(bytes: &[u8]) -> Value {
    let mut env = Map::new();
    for entry in bytes.split(|&b| b == 0) {
        let entry = String::from_utf8_lossy(entry);
        if let Some((name, value)) = entry.split_once('=') {
            put(&mut env, name, value);
        }
    }
    Value::map(env)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(said: &str) -> Map {
        parse(&Sections::read(said.replace('@', "\x1e").as_bytes()))
    }

    #[test]
    fn debian_and_ubuntu() {
        let f = facts(
            "@uname\nLinux\nweb1.example.org\n6.1.0\n#1 SMP\nx86_64\n@os-release\nID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n@debian_version\n12.11\n@fqdn\nweb1.example.org\n@managers\n/usr/bin/apt-get\n@init\nsystemd\n",
        );
        for (name, value) in [
            ("distribution", "Debian"),
            ("distribution_version", "12.11"),
            ("distribution_major_version", "12"),
            ("distribution_release", "bookworm"),
            ("os_family", "Debian"),
            ("hostname", "web1"),
            ("nodename", "web1.example.org"),
            ("domain", "example.org"),
            ("pkg_mgr", "apt"),
            ("service_mgr", "systemd"),
            ("architecture", "x86_64"),
        ] {
            assert_eq!(f[name].to_string(), value, "{name}");
        }
        let f = facts(
            "@os-release\nID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\n@debian_version\nbookworm/sid\n@lsb\nDISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\n",
        );
        assert_eq!(f["distribution"].to_string(), "Ubuntu");
        assert_eq!(f["distribution_version"].to_string(), "22.04");
        assert_eq!(f["distribution_major_version"].to_string(), "22");
        assert_eq!(f["lsb"].get("major_release").map(ToString::to_string).as_deref(), Some("22"));
        assert_eq!(f["os_family"].to_string(), "Debian");
    }

    #[test]
    fn every_name_is_declared() {
        let f = facts(
            "@caps\nCapEff:\t00000000a80425fb\n40\n@python\n/usr/bin/python3\nPython 3.11.2\n@loadavg\n1 2 3 4 5\n@systemctl\nsystemd 252 (x)\n@os-release\nID=debian\n",
        );
        for name in f.keys() {
            assert!(NAMES.contains(&&**name), "{name}");
        }
        for name in NAMES {
            assert!(f.contains_key(name), "{name}");
        }
        assert_eq!(f["python_version"].to_string(), "3.11.2");
        assert_eq!(f["system_capabilities_enforced"].to_string(), "True");
        assert!(f["system_capabilities"].to_string().contains("cap_chown"));
    }

    #[test]
    fn the_environment_and_the_command_line() {
        let f = facts("@cmdline\nquiet console=tty0 console=ttyS0 x=\"a b\"\n@env\nA=1\0B=x=y\nz\0");
        assert_eq!(f["cmdline"].to_string(), "{'quiet': True, 'console': 'ttyS0', 'x': 'a b'}");
        assert_eq!(f["proc_cmdline"].get("console").map(ToString::to_string).as_deref(), Some("['tty0', 'ttyS0']"));
        assert_eq!(f["env"].get("B").map(ToString::to_string).as_deref(), Some("x=y\nz"));
    }

    #[test]
    fn resolvers_and_host_keys() {
        let f = facts(
            "@dns\n# c\nnameserver 1.1.1.1\nsearch a b\noptions ndots:2 rotate\n@key /etc/ssh/ssh_host_ed25519_key.pub\nssh-ed25519 AAAA root(at)x\n",
        );
        assert_eq!(
            f["dns"].to_string(),
            "{'search': ['a', 'b'], 'options': {'ndots': '2', 'rotate': True}, 'nameservers': ['1.1.1.1']}"
        );
        assert_eq!(f["ssh_host_key_ed25519_public"].to_string(), "AAAA");
        assert_eq!(f["ssh_host_key_ed25519_public_keytype"].to_string(), "ssh-ed25519");
    }

    #[test]
    fn a_changed_root_is_seen() {
        assert!(!is_chroot(&["".into(), "1:2".into(), "1:2".into()]));
        assert!(is_chroot(&["".into(), "1:99".into(), "1:2".into()]));
        assert!(is_chroot(&["".into(), "1:99".into(), "".into()]));
        assert!(is_chroot(&["build".into(), "1:2".into(), "1:2".into()]));
    }
}
