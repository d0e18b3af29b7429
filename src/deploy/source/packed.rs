//! What packing makes: an archive, and what is known of the tree in it.

use super::error::SourceError;
use super::{shown, tree};
use crate::host::{Content, Source};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use tempfile::NamedTempFile;

/// The largest file that is read back from an archive.
const READ_LIMIT: u64 = 32 << 20;

/// A file or a link of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Below the tree's top, with slashes.
    pub path: Vec<u8>,
    pub kind: Kind,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File { executable: bool, size: u64, sha256: String },
    Link { target: Vec<u8> },
}

/// A packed source.
#[derive(Debug)]
pub struct Packed {
    pub(super) archive: NamedTempFile,
    /// SHA-256 of the archive, hexadecimal.
    pub sha256: String,
    /// SHA-1 of the archive, hexadecimal.
    pub sha1: String,
    /// The archive's bytes.
    pub len: u64,
    /// Digest of the tree, hexadecimal: the same files have the same one however they were packed.
    pub tree: String,
    /// The commit, where one is known.
    pub commit: Option<String>,
    /// The branch or the tag by which the commit was found.
    pub describe: Option<String>,
    /// Whether a local tree differs from its commit.
    pub dirty: bool,
    /// Files and links.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
    pub(super) items: Vec<Item>,
}

impl Packed {
    /// The archive: a tar file packed by gzip, which is removed when this value is dropped.
    pub fn path(&self) -> &Path {
        self.archive.path()
    }

    /// The archive, to be sent to a host. This value must outlive the sending.
    pub fn content(&self) -> Content {
        Content::File(Source {
            path: self.path().to_owned(),
            len: self.len,
            mode: 0o600,
            sha256: self.sha256.clone(),
            sha1: self.sha1.clone(),
        })
    }

    /// The paths of all files and links that are UTF-8, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter_map(|i| std::str::from_utf8(&i.path).ok())
    }

    /// Whether there is such a file, perhaps by way of a link.
    pub fn has(&self, path: &str) -> bool {
        tree::find(&self.items, path.as_bytes()).is_some()
    }

    /// SHA-256 of a file's content, hexadecimal.
    pub fn digest(&self, path: &str) -> Option<&str> {
        match &tree::find(&self.items, path.as_bytes())?.kind {
            Kind::File { sha256, .. } => Some(sha256),
            Kind::Link { .. } => None,
        }
    }

    /// The migrations: files `….py` in folders named `migrations`, without `__init__.py`.
    pub fn migrations(&self) -> Vec<&str> {
        self.paths()
            .filter(|path| {
                let mut parts = path.rsplit('/');
                let name = parts.next().unwrap_or("");
                name.strip_suffix(".py").is_some() && name != "__init__.py" && parts.next() == Some("migrations")
            })
            .collect()
    }

    /// One file's content; none if it is not there.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.read_all(&[path])?.remove(path))
    }

    /// Several files' contents by the names asked for, in one pass over the archive. Those that are not there are left
    /// out; one of more than 32 MiB is an error.
    pub fn read_all(&self, paths: &[&str]) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
        let mut wanted: BTreeMap<&[u8], Vec<&str>> = BTreeMap::new();
        for path in paths {
            let Some(item) = tree::find(&self.items, path.as_bytes()) else { continue };
            if let Kind::File { size, .. } = item.kind
                && size > READ_LIMIT
            {
                let whence = "the packed source".to_owned();
                return Err(SourceError::TooLarge { whence, path: shown(&item.path), limit: READ_LIMIT, hint: "" });
            }
            // A hard link has no content of its own in the archive: some other name of the same content has.
            for same in self.items.iter().filter(|i| i.kind == item.kind) {
                wanted.entry(&same.path).or_default().push(path);
            }
        }
        let mut out = BTreeMap::new();
        let broken = |e| SourceError::read(self.path(), e);
        let file = File::open(self.path()).map_err(broken)?;
        let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
        for entry in archive.entries().map_err(broken)? {
            if out.len() == paths.len() || wanted.is_empty() {
                break;
            }
            let mut entry = entry.map_err(broken)?;
            if entry.header().entry_type() != tar::EntryType::Regular {
                continue;
            }
            let Some(names) = wanted.get(entry.path_bytes().as_ref()).cloned() else { continue };
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(broken)?;
            for name in names {
                out.insert(name.to_owned(), bytes.clone());
            }
        }
        Ok(out)
    }
}
