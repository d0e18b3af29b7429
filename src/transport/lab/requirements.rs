//! Whether this machine can run a lab, and the Debian packages that it takes.

use super::cgroup::Cgroup;
use super::error::{LabError, Result};
use super::event::{Events, LabEvent};
use super::exec;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const ELSEWHERE: &str =
    "run it on a Debian or Ubuntu machine as root, or put virtual machines of your own into an inventory";

/// Packages, and a program of each that shows it is installed.
const PACKAGES: [(&str, &str); 6] = [
    ("systemd-container", "systemd-nspawn"),
    ("mmdebstrap", "mmdebstrap"),
    ("nftables", "nft"),
    ("iproute2", "ip"),
    ("openssh-client", "ssh"),
    ("util-linux", "unshare"),
];

/// Says, before anything is touched, why the lab cannot run here.
pub(super) fn check() -> Result<()> {
    let unavailable =
        |reason: &str, instead: &str| Err(LabError::Unavailable { reason: reason.into(), instead: instead.into() });
    if !cfg!(target_os = "linux") {
        return unavailable("it needs Linux, whose kernel its hosts share", ELSEWHERE);
    }
    if !is_root() {
        return unavailable(
            "it needs root, to mount disks and to make network devices",
            "run it with `sudo`, or put virtual machines of your own into an inventory",
        );
    }
    if Cgroup::mount_point().is_none() {
        return unavailable(
            "no cgroup v2 tree is mounted",
            "mount one with `mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified`",
        );
    }
    if !has_overlay() {
        return unavailable("this kernel has no overlay file system (`modprobe overlay` failed)", ELSEWHERE);
    }
    Ok(())
}

/// The disks of hosts are overlays, and those cannot lie on an overlay, such as a container's own disk is.
pub(super) fn check_folder(root: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if file_system(&mounts, root) != Some("overlay") {
        return Ok(());
    }
    Err(LabError::Unavailable {
        reason: format!("`{}` is on an overlay file system", root.display()),
        instead: "name a folder on another one with `--lab-dir` (a tmpfs will do: 2 GB for a few hosts)".into(),
    })
}

/// The type of the file system that a path is on, or would be.
fn file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let lines = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((Path::new(words.next()?), words.next()?))
    });
    // Of two at the same place, the later one hides the other: `max_by_key` takes the last.
    lines.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.components().count()).map(|(_, kind)| kind)
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    // The owner of /proc/self is the effective user; asking the kernel directly would take an unsafe call or a crate.
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn has_overlay() -> bool {
    let listed = || {
        fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.lines().any(|line| line.ends_with("\toverlay")))
    };
    listed() || (exec::run("modprobe", ["overlay"]).is_ok() && listed())
}

/// Installs the packages that are missing.
pub(super) fn install_missing(events: &Events) -> Result<()> {
    let mut missing: Vec<String> = PACKAGES
        .iter()
        .filter(|(_, program)| !exec::installed(program))
        .map(|(package, _)| (*package).to_owned())
        .collect();
    // Ubuntu does not have the keys of Debian's archive at hand.
    if !Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
        missing.push("debian-archive-keyring".into());
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !exec::installed("apt-get") {
        return Err(LabError::Unavailable {
            reason: format!("it needs the Debian packages {}, and this machine has no apt-get", missing.join(" ")),
            instead: ELSEWHERE.into(),
        });
    }
    events(LabEvent::Installing { packages: missing.clone() });
    let install = || {
        let mut command = exec::command("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["install", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]);
        command.args(&missing);
        let output = command.output().map_err(|source| LabError::Spawn { program: "apt-get".into(), source })?;
        exec::check(&command, &output)
    };
    // The lists may be missing or older than the mirror: then, and only then, they are fetched.
    install().or_else(|_| {
        exec::run("apt-get", ["update", "-q"])?;
        install()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_of_a_folder_is_that_of_the_nearest_mount() {
        let mounts = "overlay / overlay rw 0 0\ntmpfs /var tmpfs rw 0 0\n/dev/sda1 /var/tmp ext4 rw 0 0\nx /var/tmp xfs rw 0 0\n";
        let kind = |path: &str| file_system(mounts, Path::new(path));
        assert_eq!(kind("/srv/lab"), Some("overlay"));
        assert_eq!(kind("/var/tmp/lab"), Some("xfs"));
        assert_eq!(kind("/var/tmpx"), Some("tmpfs"), "a folder is not one whose name only begins alike");
    }
}
