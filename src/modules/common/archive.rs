//! What is in an archive of the controller, so that the host need not be sent one that is unpacked already.

use super::attributes::FileAttributes;
use crate::host::answer::digest;
use crate::host::{Algorithm, PathKind, PathState, Stop, View};
use std::io::Read;

/// Archives up to this size are read here, in bytes as they are packed.
pub const READ_LIMIT: u64 = 32 << 20;
/// And up to this size when unpacked.
const UNPACKED_LIMIT: u64 = 512 << 20;
/// And with up to this many entries, since each is a question.
const ENTRY_LIMIT: usize = 5000;

/// One file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name as the archive writes it.
    pub name: String,
    kind: PathKind,
    mode: u32,
    mtime: i64,
    uid: u64,
    gid: u64,
    user: Option<String>,
    group: Option<String>,
    /// A file's SHA-256, or where a link points.
    content: String,
}

/// The entries of a tar archive, packed by gzip or not; none where it is of another kind or holds what is not
/// understood here (hard links, devices, names with `..`), so that only the host's tar can tell.
pub fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        read(flate2::read::MultiGzDecoder::new(bytes))
    } else if bytes.get(257..262) == Some(b"ustar") {
        read(bytes)
    } else {
        None
    }
}

fn read(reader: impl Read) -> Option<Vec<Entry>> {
    let mut archive = tar::Archive::new(reader.take(UNPACKED_LIMIT));
    let mut entries = Vec::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        let header = entry.header().clone();
        let name = String::from_utf8(entry.path_bytes().into_owned()).ok()?;
        if name.split('/').any(|part| part == "..") || entries.len() >= ENTRY_LIMIT {
            return None;
        }
        let text = |bytes: Option<&[u8]>| {
            bytes.and_then(|b| std::str::from_utf8(b).ok()).filter(|t| !t.is_empty()).map(str::to_owned)
        };
        let (kind, content) = match header.entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).ok()?;
                (PathKind::File, digest(Algorithm::Sha256, &bytes))
            }
            tar::EntryType::Directory => (PathKind::Directory, String::new()),
            tar::EntryType::Symlink => (PathKind::Link, String::from_utf8(entry.link_name_bytes()?.into_owned()).ok()?),
            tar::EntryType::XGlobalHeader => continue,
            _ => return None,
        };
        entries.push(Entry {
            name,
            kind,
            mode: header.mode().ok()? & 0o7777,
            mtime: i64::try_from(header.mtime().ok()?).ok()?,
            uid: header.uid().ok()?,
            gid: header.gid().ok()?,
            user: text(header.username_bytes()),
            group: text(header.groupname_bytes()),
            content,
        });
    }
    Some(entries)
}

/// Whether all entries are below `dest` as they would be unpacked, compared as `tar --diff` compares them, with the
/// attributes asked for.
///
/// # Errors
/// As [`View::ask`].
pub fn is_unpacked(view: &View<'_>, entries: &[Entry], dest: &str, attributes: &FileAttributes) -> Result<bool, Stop> {
    let path = |e: &Entry| format!("{}/{}", dest.trim_end_matches('/'), e.name.trim_start_matches('/'));
    let states: Vec<_> = entries
        .iter()
        .map(|e| {
            let algorithm = (e.kind == PathKind::File).then_some(Algorithm::Sha256);
            view.path_with(&path(e), false, algorithm)
        })
        .collect();
    let mut all = true;
    for (entry, state) in entries.iter().zip(states) {
        let state = state?;
        all &= same(view, entry, &state, attributes) && attributes.change(&path(entry), &state, false)?.is_none();
    }
    Ok(all)
}

fn same(view: &View<'_>, entry: &Entry, now: &PathState, attributes: &FileAttributes) -> bool {
    if now.kind != entry.kind {
        return false;
    }
    let root = view.whoami().uid == 0;
    let wanted_mode = if root { entry.mode } else { entry.mode & !0o7022 };
    if entry.kind != PathKind::Link && attributes.mode.is_none() && now.mode != wanted_mode {
        return false;
    }
    match entry.kind {
        PathKind::Link => now.target.as_deref() == Some(&entry.content),
        PathKind::File => {
            let owned = |name: &Option<String>, number: u64, is: &Option<String>, is_number: Option<u32>| {
                is_number.map(u64::from) == Some(number) || (name.is_some() && name == is)
            };
            now.digest.as_deref() == Some(&entry.content)
                && now.times.as_ref().is_some_and(|t| t.mtime == entry.mtime)
                && (!root || attributes.owner.is_some() || owned(&entry.user, entry.uid, &now.owner, now.uid))
                && (!root || attributes.group.is_some() || owned(&entry.group, entry.gid, &now.group, now.gid))
        }
        _ => true,
    }
}

/// The handler's name in a result.
pub fn handler(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(&[0x1f, 0x8b]) { "TgzArchive" } else { "TarArchive" }
}

#[cfg(test)]
pub(in crate::modules) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A small archive: a folder, a file of mtime 1000 owned by root, and a link.
    pub(in crate::modules) fn sample(text: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |name: &str, kind: tar::EntryType, mode: u32, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_mtime(1000);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(content.len() as u64);
            if kind == tar::EntryType::Symlink {
                header.set_link_name("x").unwrap();
            }
            builder.append_data(&mut header, name, content).unwrap();
        };
        add("d/", tar::EntryType::Directory, 0o755, b"");
        add("d/x", tar::EntryType::Regular, 0o640, text.as_bytes());
        add("d/l", tar::EntryType::Symlink, 0o777, b"");
        builder.into_inner().unwrap()
    }

    #[test]
    fn tar_with_and_without_gzip() {
        use std::io::Write as _;
        let plain = sample("1");
        let names: Vec<_> = entries(&plain).unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["d/", "d/x", "d/l"]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let packed = gzip.finish().unwrap();
        assert_eq!(entries(&packed), entries(&plain));
        assert_eq!((handler(&packed), handler(&plain)), ("TgzArchive", "TarArchive"));
    }

    #[test]
    fn what_is_not_understood_is_left_to_the_host() {
        assert_eq!(entries(b"PK\x03\x04"), None);
        assert_eq!(entries(b""), None);
        assert_eq!(entries(&[0x1f, 0x8b, 0, 1, 2]), None);
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Link);
        header.set_link_name("x").unwrap();
        header.set_size(0);
        builder.append_data(&mut header, "y", &b""[..]).unwrap();
        assert_eq!(entries(&builder.into_inner().unwrap()), None);
    }
}
