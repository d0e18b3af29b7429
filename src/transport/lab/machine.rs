//! What all labs of this machine share, whatever their state directories: networks and kernel settings.
//!
//! Kept in `/run`, which a reboot of the machine clears just as it clears devices and settings.

use super::error::{LabError, Result};
use super::exec;
use super::lock::Lock;
use super::record::save_json;
use super::subnet::Subnet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const DIR: &str = "/run/windlass-lab";

/// Settings that labs need, with the value each wants: packets are forwarded; and every systemd takes about seven
/// inotify instances, so that the usual 128 end at 18 hosts.
const SETTINGS: [(&str, u64); 2] =
    [("/proc/sys/net/ipv4/ip_forward", 1), ("/proc/sys/fs/inotify/max_user_instances", 1024)];

#[derive(Debug, Default, Serialize, Deserialize)]
struct Machine {
    /// The network of every lab, by the path of its record.
    labs: BTreeMap<PathBuf, Subnet>,
    /// Values that settings had before the first lab changed them.
    before: BTreeMap<PathBuf, u64>,
}

fn file() -> PathBuf {
    Path::new(DIR).join("machine.json")
}

fn lock() -> Result<Lock> {
    Lock::take(&Path::new(DIR).join("lock"), || {})
}

fn load() -> Result<Machine> {
    let path = file();
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .map_err(|error| LabError::BadState { path: path.clone(), reason: error.to_string() }),
        Err(_) => Ok(Machine::default()),
    }
}

/// The network of the lab whose record is at `record`: the one it has, or a free one that is its from now on.
pub(super) fn claim(record: &Path, preferred: Option<Subnet>) -> Result<Subnet> {
    let _lock = lock()?;
    let mut machine = load()?;
    let subnet = if let Some(subnet) = machine.labs.get(record) {
        *subnet
    } else {
        let taken: Vec<Subnet> = machine.labs.values().copied().collect();
        Subnet::choose(preferred, &taken)?
    };
    machine.labs.insert(record.to_owned(), subnet);
    for (setting, wanted) in SETTINGS {
        let now = read(setting)?;
        if now < wanted {
            machine.before.entry(setting.into()).or_insert(now);
        }
    }
    save_json(&file(), &machine)?; // before anything changes: a kill from here on can be undone
    for (setting, wanted) in SETTINGS {
        if read(setting)? < wanted {
            fs::write(setting, wanted.to_string()).map_err(LabError::io("write", Path::new(setting)))?;
        }
    }
    Ok(subnet)
}

/// The network a lab has now, if any.
pub(super) fn claimed(record: &Path) -> Option<Subnet> {
    load().ok()?.labs.get(record).copied()
}

/// Gives the lab's network back. The last lab to go restores the settings.
pub(super) fn release(record: &Path) -> Result<()> {
    if !Path::new(DIR).exists() {
        return Ok(());
    }
    let lock = lock()?;
    let mut machine = load()?;
    machine.labs.remove(record);
    machine.labs.retain(|other, _| other.exists()); // state directories that someone removed by hand
    if machine.labs.is_empty() {
        // Another bridge means that someone else forwards packets now, and counts on the setting.
        if !other_bridges() {
            let settings = SETTINGS.map(|(setting, wanted)| (PathBuf::from(setting), wanted));
            restore(&settings, &machine.before)?;
        }
        let _ = fs::remove_file(file());
        lock.remove();
        let _ = fs::remove_dir(DIR);
        return Ok(());
    }
    save_json(&file(), &machine)
}

/// Puts back what a setting was, unless someone has changed it since.
fn restore(settings: &[(PathBuf, u64)], before: &BTreeMap<PathBuf, u64>) -> Result<()> {
    for (setting, ours) in settings {
        if let Some(before) = before.get(setting)
            && read(setting)? == *ours
        {
            fs::write(setting, before.to_string()).map_err(LabError::io("write", setting))?;
        }
    }
    Ok(())
}

fn other_bridges() -> bool {
    exec::output("ip", ["-o", "link", "show", "type", "bridge"]).is_ok_and(|text| !text.trim().is_empty())
}

fn read(setting: impl AsRef<Path>) -> Result<u64> {
    let setting = setting.as_ref();
    let text = fs::read_to_string(setting).map_err(LabError::io("read", setting))?;
    text.trim().parse().map_err(|_| LabError::BadState { path: setting.into(), reason: "not a number".into() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn settings_return_to_what_they_were_but_for_what_others_changed() {
        let dir = tempfile::tempdir().unwrap();
        let setting = |name: &str, value: &str| {
            let path = dir.path().join(name);
            fs::write(&path, value).unwrap();
            path
        };
        let ours = setting("ours", "1\n");
        let theirs = setting("theirs", "4096\n");
        let untouched = setting("untouched", "1\n");
        let settings = [(ours.clone(), 1), (theirs.clone(), 1024), (untouched.clone(), 1)];
        restore(&settings, &BTreeMap::from([(ours.clone(), 0), (theirs.clone(), 128)])).unwrap();
        assert_eq!([&ours, &theirs, &untouched].map(|path| read(path).unwrap()), [0, 4096, 1]);
    }
}
