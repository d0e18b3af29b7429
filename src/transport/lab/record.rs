//! The lab's own account of its hosts, and where everything lies on this machine.

use super::error::{LabError, Result};
use super::subnet::Subnet;
use super::{HostName, LabName, Suite};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// The folders and files of a state directory, which several labs share.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    pub(super) fn images(&self) -> PathBuf {
        self.root.join("images")
    }
    /// `.deb` files that guests of one suite share.
    pub(super) fn debs(&self, suite: Suite) -> PathBuf {
        self.root.join("cache").join(suite.as_str())
    }
    /// The private key that logs in to every host.
    pub(super) fn key(&self) -> PathBuf {
        self.root.join("id_ed25519")
    }
    pub(super) fn labs(&self) -> PathBuf {
        self.root.join("run")
    }
    pub(super) fn lab(&self, lab: &LabName) -> PathBuf {
        self.labs().join(lab.as_str())
    }
    pub(super) fn lock(&self, lab: &LabName) -> PathBuf {
        self.labs().join(format!("{lab}.lock"))
    }
    pub(super) fn record(&self, lab: &LabName) -> PathBuf {
        self.lab(lab).join("lab.json")
    }
    pub(super) fn known_hosts(&self, lab: &LabName) -> PathBuf {
        self.lab(lab).join("known_hosts")
    }
    pub(super) fn host(&self, lab: &LabName, host: &HostName) -> PathBuf {
        self.lab(lab).join(host.as_str())
    }
}

/// What a lab knows of itself. Written before anything is made, so that whatever a killed run leaves behind is found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    pub(super) subnet: Option<Subnet>,
    pub(super) hosts: IndexMap<HostName, HostRecord>,
}

/// One host, running or switched off.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HostRecord {
    /// The last number of its address.
    pub(super) number: u8,
    pub(super) suite: Suite,
    /// The base image below its disk.
    pub(super) image: String,
    /// Public host key, as in `known_hosts`: type and base64.
    pub(super) host_key: String,
    #[serde(default)]
    pub(super) traffic: Traffic,
}

/// What `lab net` did to a host's network (freezing is read from its cgroup).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Milliseconds that every frame waits, each way.
    pub delay_ms: Option<f64>,
    /// Kilobits per second that the host can receive.
    pub rate_kbit: Option<u32>,
    /// The cable is pulled.
    pub cut: bool,
}

impl Record {
    /// Reads a lab's record; `None` when the lab does not exist.
    pub(super) fn load(path: &Path) -> Result<Option<Record>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LabError::io("read", path)(error)),
        };
        let bad = |reason: String| LabError::BadState { path: path.to_owned(), reason };
        let record: Record = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if record.version != VERSION {
            return Err(bad(format!("version {}, wanted {VERSION}", record.version)));
        }
        Ok(Some(record))
    }

    pub(super) fn save(&mut self, path: &Path) -> Result<()> {
        self.version = VERSION;
        save_json(path, self)
    }

    /// The lowest free number for an address.
    pub(super) fn free_number(&self) -> Option<u8> {
        super::subnet::HOST_ADDRESSES.into_iter().find(|number| !self.hosts.values().any(|host| host.number == *number))
    }
}

/// Writes `value` so that a reader, or a kill, finds the old file or the new one.
pub(super) fn save_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| LabError::BadState { path: path.to_owned(), reason: error.to_string() })?;
    write_atomic(path, &(text + "\n"), 0o644)
}

/// Writes a file by renaming it into place; makes its folder.
pub(super) fn write_atomic(path: &Path, text: &str, mode: u32) -> Result<()> {
    let failed = || LabError::io("write", path);
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(failed())?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed())?;
    file.write_all(text.as_bytes()).map_err(failed())?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(failed())?;
    file.persist(path).map_err(|error| failed()(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn host(number: u8) -> HostRecord {
        HostRecord {
            number,
            suite: Suite::Trixie,
            image: "trixie-1".into(),
            host_key: "ssh-ed25519 AAAA".into(),
            traffic: Traffic::default(),
        }
    }

    #[test]
    fn a_record_survives_the_disk_and_numbers_are_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/demo/lab.json");
        assert!(Record::load(&path).unwrap().is_none());
        let mut record = Record::default();
        for (name, number) in [("b", 11), ("a", 13)] {
            record.hosts.insert(name.parse().unwrap(), host(number));
        }
        record.save(&path).unwrap();
        let record = Record::load(&path).unwrap().unwrap();
        assert_eq!(record.hosts.keys().map(HostName::as_str).collect::<Vec<_>>(), ["b", "a"], "order of creation");
        assert_eq!(record.free_number(), Some(12));
    }

    #[test]
    fn a_foreign_file_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab.json");
        fs::write(&path, r#"{"version":7,"subnet":null,"hosts":{}}"#).unwrap();
        let error = Record::load(&path).unwrap_err().to_string();
        assert!(error.contains("lab.json") && error.contains("version 7"), "{error}");
    }
}
