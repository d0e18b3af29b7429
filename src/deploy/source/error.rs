//! What can be wrong with a source, each with what to do next.

use std::io;

/// Why a source could not be packed. Messages never hold credentials: URLs are masked before they come here.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The description of the source itself can't be used.
    #[error("{what}")]
    Spec {
        /// What, and what to write instead.
        what: String,
    },
    /// There is no `git` on the controller.
    #[error("git could not be started here: {source}; install git on the machine that runs windlass")]
    NoGit {
        /// Why.
        source: io::Error,
    },
    /// The repository's machine can't be reached.
    #[error("the repository {repo} can't be reached: {detail}; check its address and the network of this machine")]
    Unreachable {
        /// Its address, masked.
        repo: String,
        /// What git said.
        detail: String,
    },
    /// The repository's machine refuses.
    #[error(
        "access to the repository {repo} is refused: {detail}; give a key or a token for it, or make one known to \
         ssh-agent or git's credential helper here (nothing is asked for while deploying)"
    )]
    Denied {
        /// Its address, masked.
        repo: String,
        /// What git said.
        detail: String,
    },
    /// What is there is no repository.
    #[error("{repo} is not a git repository, or not one that may be seen from here: {detail}")]
    NotARepository {
        /// Its address, masked.
        repo: String,
        /// What git said.
        detail: String,
    },
    /// The repository holds no commit.
    #[error("the repository {repo} has no commits yet; push one first")]
    NoCommits {
        /// Its address, masked.
        repo: String,
    },
    /// Another failure of git.
    #[error("git could not {doing} ({repo}): {detail}")]
    Git {
        /// What was tried.
        doing: &'static str,
        /// The repository's address, masked.
        repo: String,
        /// What git said.
        detail: String,
    },
    /// A ref that is not there.
    #[error("{repo} has no branch, tag or commit `{reference}`{}", near_names(.near))]
    NoSuchRef {
        /// What was asked for.
        reference: String,
        /// The repository's address, masked.
        repo: String,
        /// Names that are there, nearest first.
        near: Vec<String>,
    },
    /// A name that means two commits.
    #[error(
        "`{reference}` is a branch and a tag of {repo}, at different commits; write refs/heads/{reference} or \
         refs/tags/{reference}"
    )]
    AmbiguousRef {
        /// What was asked for.
        reference: String,
        /// The repository's address, masked.
        repo: String,
    },
    /// No `manage.py` where the project should be.
    #[error("there is no manage.py {} of {whence}; {}", place(.project_dir), elsewhere(.found))]
    NoManagePy {
        /// Where the project should be, relative to the source; empty for its top.
        project_dir: String,
        /// Folders that hold one.
        found: Vec<String>,
        /// The source.
        whence: String,
    },
    /// Nothing to pack.
    #[error("{whence} holds no files{hint}")]
    Empty {
        /// The source.
        whence: String,
        /// What may be the reason, beginning with a separator; or empty.
        hint: &'static str,
    },
    /// More bytes than the limit.
    #[error(
        "{whence} is larger than {limit} bytes (at {path}); leave out what a release doesn't need{hint}, or raise the limit"
    )]
    TooLarge {
        /// The source.
        whence: String,
        /// The file at which the limit was reached.
        path: String,
        /// The limit, in bytes.
        limit: u64,
        /// How to leave it out, beginning with a blank.
        hint: &'static str,
    },
    /// More files than the limit.
    #[error("{whence} holds more than {limit} files; leave out what a release doesn't need{hint}, or raise the limit")]
    TooMany {
        /// The source.
        whence: String,
        /// The limit.
        limit: u64,
        /// How to leave them out, beginning with a blank.
        hint: &'static str,
    },
    /// A link that leads out of the tree.
    #[error(
        "{whence}: the link {path} leads out of the tree, to {target}; on a host that is not there. Make it relative \
         to something in the tree, or remove it"
    )]
    LinkLeaves {
        /// The source.
        whence: String,
        /// The link.
        path: String,
        /// Where it points.
        target: String,
    },
    /// An entry that no honest archive of a project holds.
    #[error(
        "{whence}: the entry {path} {why}; it is not unpacked anywhere. Make the archive anew from the project's folder"
    )]
    Entry {
        /// The source.
        whence: String,
        /// The entry.
        path: String,
        /// What is wrong with it, as a verb.
        why: &'static str,
    },
    /// Files of which only the LFS pointers are there.
    #[error("{whence}: only the git LFS pointer of {path} is there, not the file{}; {next}", and_more(*.more))]
    LfsPointer {
        /// The source.
        whence: String,
        /// The first such file.
        path: String,
        /// How many more.
        more: usize,
        /// What to do.
        next: &'static str,
    },
    /// An archive of a kind that is not read.
    #[error("{path} is {kind}; pack it as .tar or .tar.gz")]
    ArchiveKind {
        /// The archive.
        path: String,
        /// What it is: `a zip archive`.
        kind: &'static str,
    },
    /// An archive that can't be read to its end.
    #[error("{path} can't be read as a tar archive: {detail}; it may be cut off, so fetch or make it anew")]
    BadArchive {
        /// The archive.
        path: String,
        /// Why.
        detail: String,
    },
    /// Something that can't be read.
    #[error("{path} can't be read: {source}")]
    Read {
        /// What.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Something that can't be written.
    #[error("{path} can't be written: {source}")]
    Write {
        /// What.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// No room on the controller's disk.
    #[error(
        "there is no room left below {path} on this machine to pack the source; make room, or choose another folder"
    )]
    NoRoom {
        /// Where it was written.
        path: String,
    },
    /// A file that changed while it was read.
    #[error("{path} changed while it was packed; wait until nothing writes to the tree, and try again")]
    Changed {
        /// The file.
        path: String,
    },
    /// The caller said to stop.
    #[error("packing the source was stopped")]
    Cancelled,
}

impl SourceError {
    /// A failed write below `path`.
    pub(super) fn write(path: &std::path::Path, source: io::Error) -> Self {
        let path = path.display().to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom { path },
            _ => Self::Write { path, source },
        }
    }

    /// A failed read of `path`.
    pub(super) fn read(path: &std::path::Path, source: io::Error) -> Self {
        Self::Read { path: path.display().to_string(), source }
    }
}

fn near_names(near: &[String]) -> String {
    match near {
        [] => "; push it first, or name one that is there".to_owned(),
        names => format!("; there is {}", names.join(", ")),
    }
}

fn place(project_dir: &str) -> String {
    if project_dir.is_empty() { "at the top".to_owned() } else { format!("in {project_dir}/") }
}

fn elsewhere(found: &[String]) -> String {
    match found {
        [] => "no folder of it has one: is this the right source?".to_owned(),
        [one] if one.is_empty() => "there is one at its top: leave the project's folder away".to_owned(),
        [one] => format!("there is one in {one}/: name that as the project's folder"),
        several => {
            let names: Vec<_> = several.iter().map(|f| if f.is_empty() { "its top" } else { f.as_str() }).collect();
            format!("there are some in {}: name one of these as the project's folder", names.join(", "))
        }
    }
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (nor that of {more} more)") }
}
