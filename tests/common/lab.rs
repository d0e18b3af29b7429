//! Real hosts for tests: `LabHost::get("name")` starts a lab host with the program under test, once.
//!
//! ```ignore
//! mod common;
//! use common::lab::LabHost;
//!
//! #[test]
//! fn installs() {
//!     let Some(host) = LabHost::get("apt1") else { return };     // says why, and fails where CI is set
//!     assert_eq!(host.sh("id -un"), "root");
//! }
//! ```
//!
//! Hosts stay up after the tests, so that the next run finds them; `windlass lab --lab LAB down` removes them, where
//! LAB is [`lab_name`]. Take names that no other test file takes: tests run side by side.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Mutex};

/// A running host of the tests' lab.
#[derive(Debug, Clone)]
pub struct LabHost {
    pub lab: String,
    pub name: String,
    pub address: String,
    /// The private key that logs in as `root`, `deploy` and `ops`.
    pub key: PathBuf,
    pub known_hosts: PathBuf,
}

/// The lab of this checkout's tests: `$WINDLASS_TEST_LAB`, else a name of its own, so that two checkouts on one
/// machine do not meet.
pub fn lab_name() -> String {
    let name = std::env::var("WINDLASS_TEST_LAB").unwrap_or_else(|_| {
        let mut hasher = DefaultHasher::new();
        env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
        format!("test-{:04x}", hasher.finish() & 0xffff)
    });
    if suite() == BOOKWORM { name } else { format!("{name}-{}", suite()) }
}

const BOOKWORM: &str = "bookworm";

/// The Debian release of the hosts: `$WINDLASS_TEST_SUITE`, else Debian 12.
pub fn suite() -> String {
    std::env::var("WINDLASS_TEST_SUITE").unwrap_or_else(|_| BOOKWORM.to_owned())
}

/// `windlass lab --lab LAB ARGS`, not yet run.
pub fn windlass_lab(lab: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.args(["lab", "--lab", lab]).args(args).stdin(Stdio::null());
    command
}

/// Whether lab hosts can be started here. If not, says so and the test is to be skipped; where `CI` is set it fails.
pub fn available() -> bool {
    if windlass::transport::lab::is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "lab tests need root");
    eprintln!("skipped: lab tests need root");
    false
}

impl LabHost {
    /// The host of that name, running; `None` where the lab can't run. Tests that ask for the same host share it.
    pub fn get(name: &str) -> Option<LabHost> {
        LabHost::of_suite(name, &suite())
    }

    /// A host of another Debian release (`trixie`).
    pub fn of_suite(name: &str, suite: &str) -> Option<LabHost> {
        static HOSTS: LazyLock<Mutex<HashMap<String, LabHost>>> = LazyLock::new(Mutex::default);
        if !available() {
            return None;
        }
        let mut hosts = HOSTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !hosts.contains_key(name) {
            let lab = lab_name();
            succeed(&mut windlass_lab(&lab, &["up", "--suite", suite, name]));
            hosts.insert(name.to_owned(), find(&lab, name));
        }
        hosts.get(name).cloned()
    }

    /// Like [`LabHost::get`], but with a new disk.
    pub fn fresh(name: &str) -> Option<LabHost> {
        if !available() {
            return None;
        }
        let _ = windlass_lab(&lab_name(), &["down", name]).output(); // it may not exist
        LabHost::get(name)
    }

    /// The OpenSSH client for this host, to be given a command.
    pub fn ssh(&self, user: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]);
        command.arg("-o").arg(format!("UserKnownHostsFile={}", self.known_hosts.display()));
        command.arg("-i").arg(&self.key).arg(format!("{user}@{}", self.address)).stdin(Stdio::null());
        command
    }

    /// Runs a shell command as root, not by windlass, and returns its output without the last newline. Panics where
    /// it fails.
    pub fn sh(&self, command: &str) -> String {
        succeed(self.ssh("root").arg(command))
    }

    /// An inventory with this host alone, in a temporary file.
    pub fn inventory(&self) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
        let text = format!(
            "all:\n  hosts:\n    {}:\n      ansible_host: {}\n      ansible_user: root\n      \
             ansible_ssh_private_key_file: {}\n      ansible_ssh_common_args: -o UserKnownHostsFile={}\n",
            self.name,
            self.address,
            self.key.display(),
            self.known_hosts.display()
        );
        std::fs::write(file.path(), text).unwrap();
        file
    }
}

/// What `lab list --json` says of a host.
pub fn find(lab: &str, name: &str) -> LabHost {
    let list: serde_json::Value = serde_json::from_str(&succeed(&mut windlass_lab(lab, &["list", "--json"]))).unwrap();
    let host = list["hosts"].as_array().unwrap().iter().find(|host| host["name"] == name).expect("host in the list");
    let text = |key: &str| host[key].as_str().unwrap().to_owned();
    LabHost {
        lab: lab.to_owned(),
        name: name.to_owned(),
        address: text("address"),
        key: text("key").into(),
        known_hosts: text("known_hosts").into(),
    }
}

/// Runs a program that must succeed; its standard output without the last newline.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned()
}

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{out}\n{err}", output.status)
}
