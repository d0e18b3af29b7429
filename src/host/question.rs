//! What can be asked of a machine.

use super::key::{Key, clean};

/// A digest that the host's own tools can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `md5sum`
    Md5,
    /// `sha1sum`
    Sha1,
    /// `sha224sum`
    Sha224,
    /// `sha256sum`
    Sha256,
    /// `sha384sum`
    Sha384,
    /// `sha512sum`
    Sha512,
}

impl Algorithm {
    /// The tool of coreutils and busybox that makes it.
    pub fn tool(self) -> &'static str {
        match self {
            Self::Md5 => "md5sum",
            Self::Sha1 => "sha1sum",
            Self::Sha224 => "sha224sum",
            Self::Sha256 => "sha256sum",
            Self::Sha384 => "sha384sum",
            Self::Sha512 => "sha512sum",
        }
    }
}

/// A question. Equal questions have one answer, so it is also the name under which the answer is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// What is at a path.
    Path {
        /// Absolute.
        path: String,
        /// Whether a link at the end is followed.
        follow: bool,
        /// The digest of a regular file's content, if wanted.
        digest: Option<Algorithm>,
    },
    /// The bytes of a regular file (links followed), up to [`CONTENT_LIMIT`].
    Content {
        /// Absolute.
        path: String,
    },
    /// All entries below a folder with their attributes; digests of regular files, if wanted.
    Tree {
        /// Absolute.
        path: String,
        /// The digest of each regular file's content, if wanted.
        digest: Option<Algorithm>,
    },
    /// What a read-only script says.
    Probe(Probe),
}

/// The largest file whose content a module may ask for, in bytes.
pub const CONTENT_LIMIT: usize = 16 << 20;

/// A read-only script, for what no other question covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Probe {
    /// POSIX sh, written by Windlass: never a user's text (that comes in `args`). Runs in a subshell with standard
    /// input empty and `LC_ALL=C`; `$1`… are `args`. Must write nothing on the host.
    pub script: &'static str,
    /// Its positional parameters.
    pub args: Vec<String>,
    /// Standard input; reaches no argument list, so it may hold a secret.
    pub stdin: Option<String>,
    /// What it reads: an action that affects one of these makes the answer void.
    pub reads: Vec<Key>,
}

impl Probe {
    /// A probe that reads `reads`.
    pub fn new(script: &'static str, args: &[&str], reads: Vec<Key>) -> Self {
        Self { script, args: args.iter().map(|&a| a.to_owned()).collect(), stdin: None, reads }
    }
}

impl Question {
    /// What is at `path`, a link at the end not followed.
    pub fn path(path: &str) -> Self {
        Self::Path { path: clean(path), follow: false, digest: None }
    }

    /// The keys that it reads.
    pub fn reads(&self) -> Vec<Key> {
        match self {
            Self::Path { path, .. } | Self::Content { path } => vec![Key::Path(path.clone())],
            Self::Tree { path, .. } => vec![Key::Below(path.clone())],
            Self::Probe(probe) => probe.reads.clone(),
        }
    }

    /// The path that it is about, if it is about one.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Path { path, .. } | Self::Content { path } | Self::Tree { path, .. } => Some(path),
            Self::Probe(_) => None,
        }
    }

    /// Whether its answer changes by itself and is good for one decision only.
    pub fn is_volatile(&self) -> bool {
        matches!(self, Self::Probe(p) if p.reads.contains(&Key::Volatile))
    }
}
