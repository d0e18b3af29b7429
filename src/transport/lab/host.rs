//! One host: its disk, its boot, its end.

use super::cgroup::Cgroup;
use super::error::{LabError, Result};
use super::exec;
use super::network;
use super::record::{HostRecord, Layout, Record, write_atomic};
use super::subnet::Subnet;
use super::{HostName, LabName, access};
use std::fs::{self, File};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

const BOOT: &str = include_str!("boot.sh");

/// A host, with all that is needed to start and stop it.
pub(super) struct Host<'a> {
    pub(super) layout: &'a Layout,
    pub(super) lab: &'a LabName,
    pub(super) name: &'a HostName,
    pub(super) subnet: Subnet,
    pub(super) number: u8,
    pub(super) cgroup: Cgroup,
    /// Where the program that delays frames runs, while it does.
    pub(super) delay_cgroup: Cgroup,
}

impl<'a> Host<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        lab: &'a LabName,
        name: &'a HostName,
        subnet: Subnet,
        number: u8,
    ) -> Result<Host<'a>> {
        let parent = Cgroup::of_lab(&cgroup_name(layout, lab))?;
        let cgroup = parent.child(name.as_str());
        // A dot can't be part of a host's name.
        let delay_cgroup = parent.child(&format!("{name}.delay"));
        Ok(Host { layout, lab, name, subnet, number, cgroup, delay_cgroup })
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.layout.host(self.lab, self.name)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir().join("console.log")
    }

    pub(super) fn address(&self) -> Ipv4Addr {
        self.subnet.address(self.number)
    }

    pub(super) fn up(&self) -> bool {
        self.cgroup.populated()
    }

    /// Boots the host: everything of it lives in namespaces and a cgroup of its own.
    pub(super) fn start(&self, record: &HostRecord, all: &Record) -> Result<()> {
        let (dir, upper) = (self.dir(), self.dir().join("upper"));
        write_atomic(&upper.join("etc/resolv.conf"), &network::resolv_conf()?, 0o644)?;
        let hosts = upper.join("etc/hosts");
        if !hosts.exists() {
            write_atomic(&hosts, &format!("127.0.0.1 localhost\n127.0.1.1 {}\n", self.name), 0o644)?;
        }
        add_names(&hosts, self.name, all, self.subnet)?;
        let debs = self.layout.debs(record.suite);
        fs::create_dir_all(&debs).map_err(LabError::io("create", &debs))?;
        self.cgroup.create()?;

        let log_path = self.log();
        let log = File::create(&log_path).map_err(LabError::io("write", &log_path))?;
        let log_too = log.try_clone().map_err(LabError::io("write", &log_path))?;
        let mut command = exec::command("setsid"); // a session of its own: it outlives this process and its terminal
        command.args(["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", BOOT, "windlass-lab"]);
        command.env("CGROUP", self.cgroup.path()).env("DISK", &dir).env("DEBS", debs);
        command.env("LOWER", self.layout.images().join(&record.image)).env("NAME", self.name.as_str());
        command.env("ADDRESS", self.address().to_string()).env("GATEWAY", self.subnet.gateway().to_string());
        command.current_dir("/").stdin(Stdio::piped()).stdout(log).stderr(log_too);
        let mut child = command.spawn().map_err(|source| LabError::Spawn { program: "setsid".into(), source })?;

        let ready =
            self.wait_for_namespaces(child.id()).and_then(|()| network::plug(self.subnet, self.number, child.id()));
        let told = ready.and_then(|()| {
            let Some(mut stdin) = child.stdin.take() else { return Ok(()) };
            stdin.write_all(b"plugged\n").map_err(|_| LabError::Died { name: self.name.to_string(), log: log_path })
        });
        if told.is_err() {
            drop(child.stdin.take()); // the boot script ends when nobody will tell it more
            let _ = child.kill();
            let _ = child.wait();
        }
        told
    }

    /// The boot script joins the host's cgroup when its namespaces are there.
    fn wait_for_namespaces(&self, pid: u32) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        while !self.cgroup.processes().contains(&pid) {
            if Instant::now() > end || !Path::new(&format!("/proc/{pid}/ns")).exists() {
                return Err(LabError::Died { name: self.name.to_string(), log: self.log() });
            }
            sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Waits until the host lets us in and its systemd has settled; returns what systemd says of itself.
    pub(super) fn wait_ready(&self, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        let ssh = || access::ssh(self.layout, self.lab, "root", self.address());
        loop {
            let mut command = ssh();
            command.args(["-o", "ConnectTimeout=2", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
            if command.status().map_err(|source| LabError::Spawn { program: "ssh".into(), source })?.success() {
                break;
            }
            if !self.up() {
                return Err(LabError::Died { name: self.name.to_string(), log: self.log() });
            }
            if Instant::now() > end {
                return Err(LabError::NotReady {
                    name: self.name.to_string(),
                    seconds: limit.as_secs(),
                    log: self.log(),
                });
            }
            sleep(Duration::from_millis(100));
        }
        let mut command = ssh();
        command.arg("timeout 60 systemctl is-system-running --wait");
        let output = command.output().map_err(|source| LabError::Spawn { program: "ssh".into(), source })?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Lets the guest shut down in good order, as pressing the power button does.
    pub(super) fn power_off(&self, limit: Duration) {
        if !self.up() {
            return;
        }
        let _ = self.cgroup.freeze(false);
        // nspawn passes SIGTERM on as a wish to shut down. It runs in a sub-cgroup that it made for itself.
        for pid in self.cgroup.child("supervisor").processes() {
            let _ = exec::run("kill", ["-TERM", &pid.to_string()]);
        }
        self.cgroup.wait_empty(limit);
    }

    /// Ends the host's processes and removes its devices; its disk stays.
    pub(super) fn clear_away(&self) -> Result<()> {
        self.delay_cgroup.destroy()?;
        self.cgroup.destroy()?;
        network::unplug(self.subnet, self.number);
        Ok(())
    }

    /// Whether anything but its disk is there.
    pub(super) fn has_remains(&self) -> bool {
        self.cgroup.exists()
            || self.delay_cgroup.exists()
            || network::device_exists(&self.subnet.cable(self.number))
            || network::device_exists(&self.subnet.delay_bridge(self.number))
    }

    /// Removes the disk.
    pub(super) fn remove_disk(&self) -> Result<()> {
        remove_dir(&self.dir())
    }

    /// Tells a running host the names of hosts that came later.
    pub(super) fn learn_names(&self, all: &Record) -> Result<()> {
        // The boot script stands in the mount namespace where the host's disk is mounted.
        let Some(pid) = self.cgroup.processes().first().copied() else { return Ok(()) };
        let dir = self.dir();
        let hosts = Path::new("/proc").join(pid.to_string()).join("root").join(dir.strip_prefix("/").unwrap_or(&dir));
        add_names(&hosts.join("root/etc/hosts"), self.name, all, self.subnet)
    }
}

/// Removes a folder, which may be gone already.
pub(super) fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LabError::io("remove", dir)(error)),
        _ => Ok(()),
    }
}

/// Cgroups are shared by the whole machine: the name tells labs of other state directories apart.
pub(super) fn cgroup_name(layout: &Layout, lab: &LabName) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(layout.root.as_os_str().as_encoded_bytes());
    format!("{lab}.{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

/// Makes a disk with an identity of its own. It takes its place when it is complete; returns the public host key.
pub(super) fn make_disk(layout: &Layout, lab: &LabName, name: &HostName) -> Result<String> {
    let dir = layout.host(lab, name);
    let new = dir.with_extension("new");
    for old in [&dir, &new] {
        let _ = fs::remove_dir_all(old);
    }
    for part in ["work", "root", "upper/etc/ssh"] {
        let path = new.join(part);
        fs::create_dir_all(&path).map_err(LabError::io("create", &path))?;
    }
    let etc = new.join("upper/etc");
    write_atomic(&etc.join("hostname"), &format!("{name}\n"), 0o644)?;
    let id = uuid::Uuid::now_v7().simple().to_string();
    write_atomic(&etc.join("machine-id"), &format!("{id}\n"), 0o444)?;
    let key = etc.join("ssh/ssh_host_ed25519_key");
    access::generate_key(&key, &format!("root@{name}"))?;
    let public = key.with_extension("pub");
    let text = fs::read_to_string(&public).map_err(LabError::io("read", &public))?;
    fs::rename(&new, &dir).map_err(LabError::io("rename", &new))?;
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// Adds the other hosts to a hosts file, where their names are missing or stand at an old address.
fn add_names(path: &Path, own: &HostName, all: &Record, subnet: Subnet) -> Result<()> {
    let old = fs::read_to_string(path).map_err(LabError::io("read", path))?;
    let others: Vec<(Ipv4Addr, &str)> = all
        .hosts
        .iter()
        .filter(|(name, _)| *name != own)
        .map(|(name, host)| (subnet.address(host.number), name.as_str()))
        .collect();
    let new = with_names(&old, &others);
    if new != old {
        // Written in place: the file may be open, or bound, in the guest.
        fs::write(path, new).map_err(LabError::io("write", path))?;
    }
    Ok(())
}

fn with_names(text: &str, others: &[(Ipv4Addr, &str)]) -> String {
    let stale = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().and_then(|word| word.parse::<Ipv4Addr>().ok());
        let lab = address.is_some_and(|address| address.octets()[..2] == [10, 83]);
        lab && words.next().is_some_and(|name| others.iter().any(|(at, other)| *other == name && Some(*at) != address))
    };
    let mut lines: Vec<String> = text.lines().filter(|line| !stale(line)).map(str::to_owned).collect();
    for (address, name) in others {
        let line = format!("{address} {name}");
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_learns_names_once_and_keeps_what_a_playbook_wrote() {
        let web = (Ipv4Addr::new(10, 83, 1, 12), "web1");
        let text = "127.0.0.1 localhost\n10.83.0.12 web1\n192.0.2.7 mail web1\n";
        let first = with_names(text, &[web]);
        assert_eq!(first, "127.0.0.1 localhost\n192.0.2.7 mail web1\n10.83.1.12 web1\n");
        assert_eq!(with_names(&first, &[web]), first);
    }
}
