//! How one gets into a host: keys, known hosts, `ssh` options, inventories.

use super::error::{LabError, Result};
use super::exec;
use super::record::{Layout, Record, write_atomic};
use super::subnet::Subnet;
use super::{HostName, LabName};
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// Accounts on every host, and what each may do.
pub const USERS: [(&str, &str); 3] =
    [("root", "key"), ("deploy", "key, sudo without a password"), ("ops", "key, sudo with the password `lab-ops`")];

/// The lab's public key, made with its private key if need be. It opens throw-away hosts only.
pub(super) fn ensure_key(path: &Path) -> Result<String> {
    let public = path.with_extension("pub");
    if !(path.exists() && public.exists()) {
        for half in [path, &public] {
            let _ = fs::remove_file(half);
        }
        generate_key(path, "windlass-lab")?;
    }
    read_key(path)
}

/// The public key of the pair at `path`.
pub(super) fn read_key(path: &Path) -> Result<String> {
    let public = path.with_extension("pub");
    fs::read_to_string(&public).map_err(LabError::io("read", &public))
}

/// Makes a key pair at `path` and `path.pub`.
pub(super) fn generate_key(path: &Path, comment: &str) -> Result<()> {
    let args = ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"].map(std::ffi::OsStr::new);
    exec::run("ssh-keygen", args.into_iter().chain([path.as_os_str()]))
}

/// Writes `known_hosts` anew: every host under its name and its address.
pub(super) fn write_known_hosts(layout: &Layout, lab: &LabName, record: &Record, subnet: Subnet) -> Result<()> {
    let mut text = String::new();
    for (name, host) in &record.hosts {
        let _ = writeln!(text, "{name},{} {}", subnet.address(host.number), host.host_key);
    }
    write_atomic(&layout.known_hosts(lab), &text, 0o644)
}

/// The OpenSSH client, set up to reach `address` as `user` and nothing else: the key of the lab, its known hosts, and
/// no configuration of the person who calls.
pub(super) fn ssh(layout: &Layout, lab: &LabName, user: &str, address: Ipv4Addr) -> Command {
    let mut command = exec::command("ssh");
    command.arg("-F").arg("/dev/null").arg("-i").arg(layout.key());
    command.arg("-o").arg(format!("UserKnownHostsFile={}", ssh_quoted(&layout.known_hosts(lab))));
    for option in
        ["IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=5", "LogLevel=ERROR"]
    {
        command.arg("-o").arg(option);
    }
    command.arg("-l").arg(user).arg(address.to_string());
    command
}

/// An inventory in YAML that needs nothing else.
pub(super) fn inventory(layout: &Layout, lab: &LabName, hosts: &[(HostName, Ipv4Addr)]) -> String {
    let common = format!("-o UserKnownHostsFile={} -o IdentitiesOnly=yes", ssh_quoted(&layout.known_hosts(lab)));
    let mut text = format!("# Lab `{lab}`: written by `windlass lab`.\nall:\n  vars:\n    ansible_user: root\n");
    let _ = writeln!(text, "    ansible_ssh_private_key_file: {}", yaml_quoted(&layout.key().to_string_lossy()));
    let _ = writeln!(text, "    ansible_ssh_common_args: {}", yaml_quoted(&common));
    let _ = writeln!(text, "  hosts:{}", if hosts.is_empty() { " {}" } else { "" });
    for (name, address) in hosts {
        let _ = writeln!(text, "    {name}:\n      ansible_host: {address}");
    }
    text
}

/// A path as ssh's configuration reads it: quoted where it has blanks, `%` doubled.
fn ssh_quoted(path: &Path) -> String {
    let path = path.to_string_lossy().replace('%', "%%");
    if path.contains(' ') { format!("\"{path}\"") } else { path }
}

/// A YAML string in double quotes, which is a JSON string.
fn yaml_quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_inventory_names_key_known_hosts_and_addresses() {
        let layout = Layout { root: "/var/tmp/lab".into() };
        let hosts = [("web1".parse().unwrap(), Ipv4Addr::new(10, 83, 0, 11))];
        assert_eq!(
            inventory(&layout, &"demo".parse().unwrap(), &hosts),
            "# Lab `demo`: written by `windlass lab`.\n\
             all:\n  vars:\n    ansible_user: root\n    \
             ansible_ssh_private_key_file: \"/var/tmp/lab/id_ed25519\"\n    \
             ansible_ssh_common_args: \"-o UserKnownHostsFile=/var/tmp/lab/run/demo/known_hosts -o IdentitiesOnly=yes\"\n  \
             hosts:\n    web1:\n      ansible_host: 10.83.0.11\n"
        );
    }

    #[test]
    fn odd_paths_are_quoted() {
        assert_eq!(ssh_quoted(Path::new("/a b/%h")), "\"/a b/%%h\"");
        assert_eq!(yaml_quoted("a\"b"), "\"a\\\"b\"");
    }
}
