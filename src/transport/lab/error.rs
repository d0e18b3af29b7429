//! What can go wrong in the lab.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the lab. [`LabError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// This machine, or this user, cannot run a lab at all.
    #[error("the lab can't run here: {reason}")]
    Unavailable { reason: String, instead: String },

    /// Something is to be removed that others stand on.
    #[error("{what} in use by the {by}")]
    InUse { what: String, by: String },

    /// A lab or host name that cannot be used.
    #[error("`{name}` can't be the name of a {what}: {rule}")]
    BadName { what: &'static str, name: String, rule: &'static str },

    /// A folder whose name the tools that mount it would misread.
    #[error("`{}` can't be the lab's folder: its name has a blank, a comma, a colon, a quote or a backslash", .0.display())]
    BadFolder(PathBuf),

    /// A suite for which there is no image.
    #[error("no image for `{0}`: the lab knows bookworm (Debian 12) and trixie (Debian 13)")]
    BadSuite(String),

    /// A host that was named but does not exist.
    #[error("lab `{lab}` has no host `{name}`")]
    NoSuchHost { lab: String, name: String, known: Vec<String> },

    /// A host that exists but is switched off, where it must run.
    #[error("host `{name}` is not running")]
    NotRunning { name: String },

    /// A host that was asked to be ready, and that `lab net` keeps from answering.
    #[error("host `{name}` can't answer: it is {how}")]
    Disturbed { name: String, how: &'static str },

    /// A host that was started and ended again before it answered.
    #[error("host `{name}` stopped while it booted")]
    Died { name: String, log: PathBuf },

    /// A host that does not answer over SSH.
    #[error("host `{name}` runs, but did not answer over SSH within {seconds} s")]
    NotReady { name: String, seconds: u64, log: PathBuf },

    /// All 239 addresses of the lab are taken.
    #[error("lab `{lab}` has no address left")]
    Full { lab: String },

    /// Every network the lab may choose from is routed elsewhere.
    #[error("every network from 10.83.0.0/24 to 10.83.255.0/24 is routed elsewhere on this machine")]
    NoSubnet,

    /// A file of the lab's state that windlass did not write, or another version did.
    #[error("`{}` is not a state file of this windlass: {reason}", path.display())]
    BadState { path: PathBuf, reason: String },

    /// The machine refused to read or write something.
    #[error("can't {doing}: {source}")]
    Io { doing: String, source: io::Error },

    /// A system program is not there or cannot be started.
    #[error("can't run `{program}`: {source}")]
    Spawn { program: String, source: io::Error },

    /// A system program failed.
    #[error("`{command}` failed ({status}){}", if stderr.is_empty() { String::new() } else { format!(":\n{stderr}") })]
    Command { command: String, status: String, stderr: String },
}

impl LabError {
    /// For `map_err`: names what was being done to `path`.
    pub(super) fn io(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> LabError {
        let doing = format!("{verb} `{}`", path.display());
        move |source| LabError::Io { doing, source }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            LabError::Unavailable { instead, .. } => Some(instead.clone()),
            LabError::InUse { .. } => {
                Some("take them down first (`windlass lab list --all` shows the hosts of all labs)".into())
            }
            LabError::NoSuchHost { known, .. } if known.is_empty() => {
                Some("no host is up: `windlass lab up` starts some".into())
            }
            LabError::NoSuchHost { known, .. } => Some(format!("its hosts are: {}", known.join(", "))),
            LabError::NotRunning { name } => Some(format!("`windlass lab up {name}` boots it")),
            LabError::Disturbed { name, .. } => Some(format!("`windlass lab net {name} clear` mends it")),
            LabError::Died { log, .. } | LabError::NotReady { log, .. } => {
                Some(format!("its console is in `{}`", log.display()))
            }
            LabError::Full { .. } => Some("take hosts down, or start another lab with `--lab NAME`".into()),
            LabError::NoSubnet => Some("remove a route you do not need (`ip route`), or take other labs down".into()),
            LabError::BadState { .. } => {
                Some("take the lab down with the windlass that made it, or remove the file".into())
            }
            _ => None,
        }
    }
}

/// The result of lab functions.
pub type Result<T, E = LabError> = std::result::Result<T, E>;
