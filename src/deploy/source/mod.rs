//! The source of a deploy: resolved and packed once, on the controller, into one archive that is sent to all hosts; or,
//! where the play says `fetch: host`, the commands by which a host fetches it itself.
//!
//! Everything here blocks: call it where blocking is fine.

mod archive;
mod error;
mod fetch;
mod git;
mod history;
mod local;
mod packed;
mod sink;
mod stream;
mod tree;
mod url;

#[cfg(test)]
mod tests;

pub use error::SourceError;
pub use fetch::{FetchScript, HostFetch, fetch_script, host_fetch};
pub use git::Resolved;
pub use history::{Commit, History, Relation};
pub use packed::Packed;
pub use url::{Credentials, RepoUrl, mask};

use std::path::{Path, PathBuf};

/// Where a release's files come from.
#[derive(Debug, Clone)]
pub enum SourceSpec {
    /// A commit of a git repository.
    Git(GitSource),
    /// A folder of this machine, as it is.
    Local {
        /// The folder.
        path: PathBuf,
    },
    /// A `.tar` or `.tar.gz` of this machine. One folder that holds everything is stripped.
    Archive {
        /// The archive.
        path: PathBuf,
    },
}

/// A commit of a git repository.
#[derive(Debug, Clone)]
pub struct GitSource {
    /// The repository, with its credentials if it has some.
    pub repo: RepoUrl,
    /// A branch, a tag, a commit (also a short one), `refs/…`, or `HEAD`, the default branch.
    pub reference: String,
    /// Whether submodules are packed, too, each at the commit that its parent names.
    pub submodules: bool,
    /// A private ssh key of this machine to reach the repository with, besides those of ssh-agent.
    pub key_file: Option<PathBuf>,
}

impl GitSource {
    /// The default branch of a repository, with submodules.
    pub fn new(repo: RepoUrl) -> Self {
        Self { repo, reference: "HEAD".to_owned(), submodules: true, key_file: None }
    }
}

/// How large a source may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files, unpacked.
    pub bytes: u64,
    /// Files and links.
    pub files: u64,
}

impl Default for Limits {
    /// 2 GiB and 200,000 files: far above a project, and far below a media folder packed by mistake.
    fn default() -> Self {
        Self { bytes: 2 << 30, files: 200_000 }
    }
}

/// What packing needs to know of the machine it runs on.
#[derive(Clone)]
pub struct Options<'a> {
    /// Where copies of repositories are kept between deploys; made, readable by its owner only, if missing.
    pub cache: &'a Path,
    /// Where the archive is written; it exists.
    pub temp: &'a Path,
    /// How large a source may be.
    pub limits: Limits,
    /// Whether to stop; asked several times a second.
    pub cancel: &'a (dyn Fn() -> bool + Sync),
    /// The command for ssh, in place of git's `core.sshCommand`: what `GIT_SSH_COMMAND` would hold.
    pub ssh_command: Option<&'a str>,
}

impl<'a> Options<'a> {
    /// The defaults, which never stop.
    pub fn new(cache: &'a Path, temp: &'a Path) -> Self {
        Self { cache, temp, limits: Limits::default(), cancel: &|| false, ssh_command: None }
    }
}

impl SourceSpec {
    /// The source as messages name it; without credentials.
    pub fn shown(&self) -> String {
        match self {
            Self::Git(git) => format!("{} at {}", git.repo, git.reference),
            Self::Local { path } | Self::Archive { path } => path.display().to_string(),
        }
    }
}

/// Packs a source. `project_dir` is the folder within it that holds `manage.py`; empty for its top.
pub fn pack(spec: &SourceSpec, project_dir: &str, options: &Options) -> Result<Packed, SourceError> {
    let project_dir = tree::clean_folder(project_dir)?;
    match spec {
        SourceSpec::Git(source) => git::pack(source, &project_dir, options),
        SourceSpec::Local { path } => local::pack(path, &project_dir, options),
        SourceSpec::Archive { path } => archive::pack(path, &project_dir, options),
    }
}

/// The commit that a git source means now, without packing it.
pub fn resolve(source: &GitSource, options: &Options) -> Result<Resolved, SourceError> {
    git::resolve(source, options)
}

/// What lies between the commit `old`, which serves, and `new`. Asks no other machine: [`pack`] (or [`resolve`]) the
/// source first. An archive has no history.
pub fn commits_between(spec: &SourceSpec, old: &str, new: &str, options: &Options) -> Result<History, SourceError> {
    match spec {
        SourceSpec::Git(source) => git::history(source, old, new, options),
        SourceSpec::Local { path } => local::history(path, old, new, options),
        SourceSpec::Archive { .. } => Ok(History::none(Relation::NoHistory)),
    }
}

/// A path as messages show it: on one line, whatever it holds.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path)
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}
