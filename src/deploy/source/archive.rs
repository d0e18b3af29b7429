//! A source that is packed already, by somebody else.

use super::error::SourceError;
use super::sink::{Origin, Sink};
use super::stream::{feed, tidy};
use super::{Limits, Options, Packed};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Beginnings of files (the formats' own specifications), and what they are.
const KINDS: [(&[u8], &str); 5] = [
    (b"PK", "a zip archive"),
    (b"BZh", "packed by bzip2"),
    (b"\xfd7zXZ\0", "packed by xz"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-zip archive"),
];

/// Packs an archive anew: what it holds is checked on the way, and its digest is that of the same tree from anywhere.
pub(super) fn pack(path: &Path, project_dir: &str, options: &Options) -> Result<Packed, SourceError> {
    let whence = format!("the archive {}", path.display());
    let broken = |e: io::Error| SourceError::BadArchive { path: path.display().to_string(), detail: e.to_string() };
    let top = top_folder(open(path)?, project_dir, options, &broken)?;
    let mut sink = Sink::new(whence, "", options)?;
    let place = |entry: Vec<u8>| match &top {
        None => Some(entry),
        Some(top) => match entry.strip_prefix(top.as_slice())? {
            [] => Some(Vec::new()),
            [b'/', rest @ ..] => Some(rest.to_vec()),
            _ => None,
        },
    };
    let told = feed(open(path)?, &mut sink, place, &broken)?;
    let lfs = "make the archive from a working copy in which `git lfs pull` has run";
    sink.finish(project_dir, Origin { commit: told.commit, lfs, ..Origin::default() })
}

/// The archive as a stream of tar.
fn open(path: &Path) -> Result<Box<dyn Read>, SourceError> {
    let broken = |e| SourceError::read(path, e);
    let mut file = File::open(path).map_err(broken)?;
    if file.metadata().map_err(broken)?.is_dir() {
        return Err(SourceError::read(path, io::ErrorKind::IsADirectory.into()));
    }
    let mut head = Vec::new();
    (&mut file).take(265).read_to_end(&mut head).map_err(broken)?;
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    let shown = || path.display().to_string();
    if let Some((_, kind)) = KINDS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(SourceError::ArchiveKind { path: shown(), kind });
    }
    let file = BufReader::with_capacity(1 << 16, file);
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(MultiGzDecoder::new(file)));
    }
    if head.is_empty() {
        return Err(SourceError::BadArchive { path: shown(), detail: "it is empty".to_owned() });
    }
    Ok(Box::new(file))
}

/// The one folder that holds everything, if there is one and the project is looked for below it: archives of the hosts
/// of repositories have one, named after project and version.
fn top_folder(
    from: Box<dyn Read>,
    project_dir: &str,
    options: &Options,
    broken: &dyn Fn(io::Error) -> SourceError,
) -> Result<Option<Vec<u8>>, SourceError> {
    let wanted = if project_dir.is_empty() { "manage.py".to_owned() } else { format!("{project_dir}/manage.py") };
    let mut top: Option<Vec<u8>> = None;
    // What is longer than this is refused when it is packed; here it need only not be read for ever.
    let Limits { bytes, files } = options.limits;
    let mut archive = tar::Archive::new(from.take(bytes.saturating_add(files.saturating_mul(4096))));
    for entry in archive.entries().map_err(broken)? {
        if (options.cancel)() {
            return Err(SourceError::Cancelled);
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(broken(e)),
        };
        let kind = entry.header().entry_type();
        if kind == tar::EntryType::XGlobalHeader {
            continue;
        }
        let path = tidy(&entry.path_bytes());
        if path == wanted.as_bytes() {
            return Ok(None);
        }
        if path.is_empty() {
            continue;
        }
        // Empty where the path is absolute, which is refused when it is packed.
        let first = path.split(|b| *b == b'/').next().unwrap_or_default();
        if first.is_empty()
            || (kind != tar::EntryType::Directory && first.len() == path.len())
            || top.as_deref().is_some_and(|t| t != first)
        {
            return Ok(None);
        }
        top = Some(first.to_vec());
    }
    // `..` is no folder to strip: it is there to be refused.
    Ok(top.filter(|t| !matches!(t.as_slice(), b".." | b".")))
}
