//! A tar archive, of git's or of anybody's, on its way into a sink.

use super::error::SourceError;
use super::shown;
use super::sink::Sink;
use std::io::{self, Read};

/// The longest pax header that is looked at for a comment, in bytes.
const COMMENT_LIMIT: u64 = 4096;

/// What an archive told besides its files.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The commit that git wrote into its header.
    pub commit: Option<String>,
    /// The folders it names, without a slash at the end.
    pub folders: Vec<Vec<u8>>,
}

/// An entry's path without `./` at its beginning and slashes at its end; the archive's top is empty.
pub(super) fn tidy(path: &[u8]) -> Vec<u8> {
    let mut path = path;
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    while let Some(rest) = path.strip_suffix(b"/") {
        path = rest;
    }
    if path == b"." { Vec::new() } else { path.to_vec() }
}

/// Puts all of a tar archive into the sink, each entry at the path that `place` gives it (none leaves it out).
pub(super) fn feed(
    from: impl Read,
    sink: &mut Sink,
    place: impl Fn(Vec<u8>) -> Option<Vec<u8>>,
    broken: &dyn Fn(io::Error) -> SourceError,
) -> Result<Told, SourceError> {
    let mut told = Told::default();
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries().map_err(broken)? {
        sink.pause()?;
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if kind == tar::EntryType::XGlobalHeader {
            told.commit = told.commit.or(comment(&mut entry).map_err(broken)?);
            continue;
        }
        let raw = entry.path_bytes().into_owned();
        let refuse = |why| Err(SourceError::Entry { whence: sink.whence().to_owned(), path: shown(&raw), why });
        let Some(path) = place(tidy(&raw)) else { continue };
        let target = || entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        match kind {
            tar::EntryType::Directory => {
                // A folder is made by what is in it; its name is looked at all the same.
                if !path.is_empty() {
                    super::tree::check_path(&path, sink.whence())?;
                    told.folders.push(path);
                }
            }
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => {
                let executable = entry.header().mode().map_err(broken)? & 0o111 != 0;
                let size = entry.size();
                sink.file(path, executable, size, &mut entry, broken)?;
            }
            tar::EntryType::Symlink => {
                let target = target();
                sink.link(path, target)?;
            }
            tar::EntryType::Link => {
                let Some(target) = place(tidy(&target())) else {
                    return refuse("is a hard link to what is not in the tree");
                };
                sink.hard_link(path, &target)?;
            }
            tar::EntryType::Char | tar::EntryType::Block => return refuse("is a device"),
            tar::EntryType::Fifo => return refuse("is a named pipe"),
            _ => return refuse("is of a kind that no project needs"),
        }
    }
    Ok(told)
}

/// The comment of a pax header for the whole archive (POSIX pax, "pax Extended Header"): `LENGTH comment=TEXT`, where
/// git-archive(1) writes the commit.
fn comment(entry: &mut impl Read) -> io::Result<Option<String>> {
    let mut text = Vec::new();
    entry.take(COMMENT_LIMIT).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let commit = text.lines().filter_map(|l| l.split_once(" comment=")).map(|(_, c)| c.trim());
    Ok(commit.filter(|c| super::git::is_full_commit(c)).map(str::to_owned).next())
}
