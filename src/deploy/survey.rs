//! What is on a host, as the operation `look` tells it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One host.
#[derive(Debug, Clone, Deserialize)]
pub struct Survey {
    /// Paths of the layout that are not there.
    pub missing: Vec<String>,
    /// The record of what serves.
    pub serving: Option<Record>,
    /// The release that nginx's link points at.
    pub current: Option<String>,
    /// Releases on disk, by name.
    pub releases: Vec<Release>,
    /// Running processes of releases.
    pub instances: Vec<Instance>,
    /// The lock, if somebody holds it.
    pub lock: Option<Lock>,
    /// The journal of the last deploy.
    pub journal: Vec<Entry>,
    /// What was done, oldest first.
    pub history: Vec<Past>,
    /// A keyed digest of the environment file.
    pub environment: Option<String>,
    /// What the file system of releases has.
    pub disk: Option<Disk>,
    /// The version of the host's Python.
    pub python: Option<String>,
    /// Whether the host has uv.
    pub uv: bool,
    /// The host's clock, seconds since 1970.
    pub clock: f64,
    /// Whether the maintenance page shows.
    pub maintenance: bool,
    /// Copies of the database.
    pub backups: Vec<BackupFile>,
    /// Keys of whole virtual environments.
    pub venvs: Vec<String>,
}

/// The record of what serves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Record {
    /// Which.
    pub release: String,
    /// Since when, RFC 3339.
    #[serde(default)]
    pub since: String,
    /// From which commit.
    #[serde(default)]
    pub commit: Option<String>,
    /// By whom.
    #[serde(default)]
    pub by: String,
    /// The environment with which it was started, digested.
    #[serde(default)]
    pub environment: Option<String>,
}

/// A release on disk.
#[derive(Debug, Clone, Deserialize)]
pub struct Release {
    /// Its name.
    pub release: String,
    /// Whether it is whole.
    pub complete: bool,
    /// What it is.
    pub about: About,
    /// Why it is not to serve again.
    pub broken: Option<Broken>,
    /// When it was built, seconds since 1970.
    pub built: i64,
}

/// `release.json`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub struct About {
    /// Digest of the source's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Commit.
    #[serde(default)]
    pub commit: Option<String>,
    /// Key of the virtual environment.
    #[serde(default)]
    pub venv: Option<String>,
    /// The environment that it was made with, digested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
    /// Branch, tag or folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last migration of each of its applications: what its code expects of the database.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub migrations: BTreeMap<String, String>,
}

/// Why a release is not to serve again.
#[derive(Debug, Clone, Deserialize)]
pub struct Broken {
    /// When.
    #[serde(default)]
    pub time: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A unit of a release.
#[derive(Debug, Clone, Deserialize)]
pub struct Instance {
    /// `web`, `worker` or `beat`.
    pub kind: String,
    /// Which release.
    pub release: String,
    /// systemd's ActiveState.
    pub active: String,
    /// How often systemd started it again.
    pub restarts: u64,
    /// Since when, in systemd's words.
    #[serde(default)]
    pub since: String,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Lock {
    /// What its holder must show.
    pub token: String,
    /// Who, for people.
    pub owner: String,
    /// The machine that it runs on.
    #[serde(default)]
    pub machine: String,
    /// Its process there.
    #[serde(default)]
    pub process: u32,
    /// For what.
    #[serde(default)]
    pub reason: String,
    /// Since when.
    #[serde(default)]
    pub since: String,
    /// Seconds since its last sign of life.
    #[serde(default)]
    pub silent: u64,
}

/// One line of the journal.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// `start`, `unpack`, … `finish`.
    pub phase: String,
    /// `begin`, `end`; at the finish, how it went.
    pub state: String,
    /// Of which release.
    #[serde(default)]
    pub release: Option<String>,
    /// What served before.
    #[serde(default)]
    pub previous: Option<String>,
    /// `deploy` or `rollback`.
    #[serde(default)]
    pub kind: Option<String>,
    /// All hosts of it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// By whom.
    #[serde(default)]
    pub by: Option<String>,
    /// When.
    #[serde(default)]
    pub time: String,
}

/// One thing that was done.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Past {
    /// When.
    pub time: String,
    /// `deploy`, `rollback`, `takeover`, `unlock`.
    pub event: String,
    /// `done`, `returned`, `failed`.
    #[serde(default)]
    pub result: Option<String>,
    /// Of which release.
    #[serde(default)]
    pub release: Option<String>,
    /// What served before.
    #[serde(default)]
    pub previous: Option<String>,
    /// From which commit.
    #[serde(default)]
    pub commit: Option<String>,
    /// By whom.
    #[serde(default)]
    pub by: Option<String>,
    /// From whom, where a lock was taken over.
    #[serde(default)]
    pub from: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub reason: Option<String>,
    /// The migrations that it applied.
    #[serde(default)]
    pub migrations: Option<Vec<String>>,
    /// The copy of the database that it made.
    #[serde(default)]
    pub backup: Option<String>,
    /// How long it took.
    #[serde(default)]
    pub seconds: Option<f64>,
}

/// Room.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Disk {
    /// Bytes.
    pub free: u64,
}

/// A copy of the database.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct BackupFile {
    /// In `/srv/APP/backups`.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Seconds since 1970.
    pub time: i64,
}

impl Survey {
    /// Reads what `look` answered.
    ///
    /// # Errors
    /// What it does not say.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value)
    }

    /// The release that serves.
    pub fn release(&self) -> Option<&str> {
        self.serving.as_ref().map(|r| r.release.as_str())
    }

    /// A release that is whole.
    pub fn whole(&self, release: &str) -> Option<&Release> {
        self.releases.iter().find(|r| r.complete && r.release == release)
    }

    /// A deploy or rollback that did not come to its end: its first line, and the phase it came to.
    pub fn unfinished(&self) -> Option<(&Entry, &str)> {
        let first = self.journal.first()?;
        let last = self.journal.last()?;
        let over = self.journal.iter().any(|e| e.phase == "finish");
        (first.phase == "start" && !over).then_some((first, last.phase.as_str()))
    }

    /// Whether what runs is what the record says.
    pub fn settled(&self) -> bool {
        let Some(record) = &self.serving else {
            return self.instances.iter().all(|i| i.active != "active");
        };
        let web = |i: &&Instance| i.kind == "web" && i.active == "active";
        self.current.as_deref() == Some(&record.release)
            && self.instances.iter().filter(web).all(|i| i.release == record.release)
            && self.instances.iter().any(|i| i.kind == "web" && i.active == "active" && i.release == record.release)
    }

    /// The releases that served, the last one first, each once, as history tells; the serving one is the first.
    pub fn served(&self) -> Vec<&str> {
        let mut found: Vec<&str> = self.release().into_iter().collect();
        for past in self.history.iter().rev() {
            let done = past.result.as_deref() == Some("done");
            let both = [past.release.as_deref().filter(|_| done), past.previous.as_deref()];
            for release in both.into_iter().flatten() {
                if !found.contains(&release) {
                    found.push(release);
                }
            }
        }
        found
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// A host on which `serving` serves and `releases` are whole, as far as tests care.
    pub fn survey(serving: Option<&str>, releases: &[&str]) -> Survey {
        let all: Vec<Value> = releases
            .iter()
            .map(|r| json!({"release": r, "complete": true, "about": {"tree": format!("tree-{r}"), "commit": null, "venv": "v"}, "broken": null, "built": 1}))
            .collect();
        let instances: Vec<Value> = serving
            .iter()
            .map(|r| json!({"kind": "web", "release": r, "active": "active", "state": "running", "restarts": 0}))
            .collect();
        let record = serving.map(|r| json!({"version": 1, "release": r, "since": "2026-01-01T00:00:00Z", "by": "x"}));
        Survey::read(json!({
            "missing": [], "serving": record, "current": serving, "releases": all, "instances": instances, "lock": null,
            "journal": [], "history": [], "environment": "e", "disk": {"free": 10_000_000_000_u64, "total": 1, "inodes": 1},
            "python": "3.11.2", "uv": false, "clock": 0.0, "boot": "b", "maintenance": false, "backups": [], "venvs": ["v"],
        }))
        .unwrap()
    }

    fn past(event: &str, result: &str, release: &str, previous: &str) -> Past {
        serde_json::from_value(
            json!({"time": "t", "event": event, "result": result, "release": release, "previous": previous}),
        )
        .unwrap()
    }

    #[test]
    fn the_last_that_served_is_the_one_to_return_to() {
        let mut host = survey(Some("c"), &["a", "b", "c"]);
        host.history = vec![
            past("deploy", "done", "b", "a"),
            past("deploy", "returned", "x", "b"),
            past("deploy", "done", "c", "b"),
        ];
        assert_eq!(host.served(), ["c", "b", "a"]);
    }

    #[test]
    fn a_journal_without_an_end_is_unfinished() {
        let mut host = survey(Some("a"), &["a"]);
        assert!(host.unfinished().is_none());
        let line = |phase: &str, state: &str| {
            serde_json::from_value(json!({"phase": phase, "state": state, "release": "b"})).unwrap()
        };
        host.journal = vec![line("start", "begin"), line("switch", "begin")];
        assert_eq!(host.unfinished().unwrap().1, "switch");
        host.journal.push(line("finish", "done"));
        assert!(host.unfinished().is_none());
    }

    #[test]
    fn settled_means_that_the_record_is_what_runs() {
        let mut host = survey(Some("a"), &["a", "b"]);
        assert!(host.settled());
        host.instances.push(Instance {
            kind: "web".into(),
            release: "b".into(),
            active: "active".into(),
            restarts: 0,
            since: String::new(),
        });
        assert!(!host.settled());
        assert!(survey(None, &[]).settled());
    }
}
