//! Control groups: the set of processes that make up one host, and nothing else.
//!
//! Every host has a cgroup of its own at `windlass-lab/LAB/HOST` in the machine's cgroup v2 tree. systemd inside the
//! guest needs one to manage its units; to us it is the way to find, freeze and end exactly the processes of a host.

use super::error::{LabError, Result};
use super::exec;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// One cgroup, which may or may not exist.
#[derive(Debug, Clone)]
pub(super) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// The mount point of the cgroup v2 tree, where there is one. Machines whose controllers are still on v1 have it
    /// at `/sys/fs/cgroup/unified`.
    pub(super) fn mount_point() -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (target, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(target))
        })
    }

    /// The cgroup of a lab.
    pub(super) fn of_lab(lab: &str) -> Result<Cgroup> {
        let root = Cgroup::mount_point().ok_or_else(|| LabError::Unavailable {
            reason: "no cgroup v2 tree is mounted".into(),
            instead: "mount it with `mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified`, or use a virtual machine".into(),
        })?;
        Ok(Cgroup { path: root.join("windlass-lab").join(lab) })
    }

    /// The cgroup of that name below this one.
    pub(super) fn child(&self, name: &str) -> Cgroup {
        Cgroup { path: self.path.join(name) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.path).map_err(LabError::io("create the cgroup", &self.path))
    }

    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether a process lives in it or below.
    pub(super) fn populated(&self) -> bool {
        self.event("populated")
    }

    /// Whether all its processes are stopped.
    pub(super) fn frozen(&self) -> bool {
        self.event("frozen")
    }

    fn event(&self, key: &str) -> bool {
        fs::read_to_string(self.path.join("cgroup.events"))
            .is_ok_and(|text| text.lines().any(|line| line.split_once(' ') == Some((key, "1"))))
    }

    /// Stops all processes where they stand, or lets them go on.
    pub(super) fn freeze(&self, stop: bool) -> Result<()> {
        let file = self.path.join("cgroup.freeze");
        fs::write(&file, if stop { "1" } else { "0" }).map_err(LabError::io("write", &file))?;
        let end = Instant::now() + Duration::from_secs(5);
        while self.populated() && self.frozen() != stop && Instant::now() < end {
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Process ids in this cgroup itself (not below).
    pub(super) fn processes(&self) -> Vec<u32> {
        fs::read_to_string(self.path.join("cgroup.procs"))
            .map(|text| text.lines().filter_map(|line| line.parse().ok()).collect())
            .unwrap_or_default()
    }

    /// Waits until no process is left; false when some live on after `limit`.
    pub(super) fn wait_empty(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while self.populated() {
            if Instant::now() > end {
                return false;
            }
            sleep(Duration::from_millis(10));
        }
        true
    }

    /// Ends every process in it and below, and removes it. Does nothing when it does not exist.
    pub(super) fn destroy(&self) -> Result<()> {
        if !self.exists() {
            return Ok(());
        }
        let kill = self.path.join("cgroup.kill");
        if kill.exists() {
            fs::write(&kill, "1").map_err(LabError::io("write", &kill))?;
            self.wait_empty(Duration::from_secs(10));
        } else {
            self.kill_one_by_one();
        }
        remove_tree(&self.path)
    }

    /// For kernels before 5.14, which have no `cgroup.kill`: frozen, so that nothing forks away meanwhile.
    fn kill_one_by_one(&self) {
        let _ = self.freeze(true);
        let mut stack = vec![self.path.clone()];
        while let Some(dir) = stack.pop() {
            let group = Cgroup { path: dir };
            let pids: Vec<String> = group.processes().iter().map(u32::to_string).collect();
            if !pids.is_empty() {
                let _ = exec::run("kill", ["-KILL".to_owned()].into_iter().chain(pids));
            }
            stack.extend(subdirectories(&group.path));
        }
        let _ = self.freeze(false);
        self.wait_empty(Duration::from_secs(10));
    }

    /// Removes this cgroup and the one above it, where they are empty.
    pub(super) fn remove_empty(&self) {
        let _ = fs::remove_dir(&self.path);
        if let Some(parent) = self.path.parent() {
            let _ = fs::remove_dir(parent);
        }
    }
}

fn remove_tree(dir: &Path) -> Result<()> {
    for sub in subdirectories(dir) {
        remove_tree(&sub)?;
    }
    // The kernel says "busy" for a moment after the last process has ended.
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > end => return Err(LabError::io("remove the cgroup", dir)(error)),
            Err(_) => sleep(Duration::from_millis(10)),
        }
    }
}

fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
