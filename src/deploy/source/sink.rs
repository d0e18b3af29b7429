//! Where every kind of source ends: one gzipped tar archive, written and digested as it streams by.

use super::error::SourceError;
use super::packed::{Item, Kind, Packed};
use super::{Options, shown, tree};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The time of every file: 2000-01-01. Equal for all, so that equal trees make equal archives; hosts that unpack with
/// `tar -m` give files the time of the deploy, which is what nginx's `ETag` (time and size) needs.
const MTIME: u64 = 946_684_800;

/// How an LFS pointer begins (the git-lfs specification, "The Pointer").
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// And how long it may be.
const LFS_LIMIT: u64 = 1024;

/// Bytes on their way to a file, counted and digested.
struct Digester {
    to: BufWriter<File>,
    sha256: Sha256,
    sha1: sha1::Sha1,
    len: u64,
}

impl Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.sha256.update(&bytes[..n]);
        sha1::Digest::update(&mut self.sha1, &bytes[..n]);
        self.len += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A file's content on its way, digested; it remembers why reading failed, since the archive's writer can't tell.
struct Content<'a> {
    from: &'a mut dyn Read,
    cancel: &'a (dyn Fn() -> bool + Sync),
    sha256: Sha256,
    len: u64,
    head: Vec<u8>,
    failed: Option<io::Error>,
    cancelled: bool,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.cancel)() {
            self.cancelled = true;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        match self.from.read(buffer) {
            Ok(n) => {
                self.sha256.update(&buffer[..n]);
                self.len += n as u64;
                let wanted = LFS.len().saturating_sub(self.head.len()).min(n);
                self.head.extend_from_slice(&buffer[..wanted]);
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                let kind = e.kind();
                self.failed = Some(e);
                Err(kind.into())
            }
        }
    }
}

/// An archive in the making.
pub(super) struct Sink<'a> {
    tar: tar::Builder<GzEncoder<Digester>>,
    file: NamedTempFile,
    items: Vec<Item>,
    pointers: Vec<String>,
    bytes: u64,
    whence: String,
    leave_out: &'static str,
    options: &'a Options<'a>,
}

/// What is known of a source besides its files.
#[derive(Debug, Default)]
pub(super) struct Origin {
    pub commit: Option<String>,
    pub describe: Option<String>,
    pub dirty: bool,
    /// What to do about LFS pointers.
    pub lfs: &'static str,
    /// Why it may be empty.
    pub empty: &'static str,
}

impl<'a> Sink<'a> {
    /// A new archive in the folder for temporary files. `whence` is how errors name the source; `leave_out`, how its
    /// kind leaves files out.
    pub fn new(whence: String, leave_out: &'static str, options: &'a Options<'a>) -> Result<Self, SourceError> {
        let broken = |e| SourceError::write(options.temp, e);
        let file = tempfile::Builder::new()
            .prefix("windlass-source-")
            .suffix(".tar.gz")
            .tempfile_in(options.temp)
            .map_err(broken)?;
        let out = file.reopen().map_err(broken)?;
        Ok(Self::over(file, out, whence, leave_out, options))
    }

    fn over(file: NamedTempFile, out: File, whence: String, leave_out: &'static str, options: &'a Options<'a>) -> Self {
        let to = BufWriter::with_capacity(1 << 16, out);
        let digester = Digester { to, sha256: Sha256::new(), sha1: sha1::Digest::new(), len: 0 };
        // Neither a time nor a name goes into gzip's header.
        let tar = tar::Builder::new(GzBuilder::new().mtime(0).write(digester, Compression::default()));
        Self { tar, file, items: Vec::new(), pointers: Vec::new(), bytes: 0, whence, leave_out, options }
    }

    /// How errors name the source.
    pub fn whence(&self) -> &str {
        &self.whence
    }

    /// Refuses to go on once the caller said to stop.
    pub fn pause(&self) -> Result<(), SourceError> {
        if (self.options.cancel)() { Err(SourceError::Cancelled) } else { Ok(()) }
    }

    fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(MTIME);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    fn room(&self, path: &[u8], size: u64) -> Result<(), SourceError> {
        self.pause()?;
        let limits = &self.options.limits;
        if self.items.len() as u64 >= limits.files {
            let (whence, limit, hint) = (self.whence.clone(), limits.files, self.leave_out);
            return Err(SourceError::TooMany { whence, limit, hint });
        }
        if self.bytes.saturating_add(size) > limits.bytes {
            return Err(SourceError::TooLarge {
                whence: self.whence.clone(),
                path: shown(path),
                limit: limits.bytes,
                hint: self.leave_out,
            });
        }
        Ok(())
    }

    /// Adds a file of `size` bytes. `read_error` tells what a failed read means, also one that ends too soon.
    pub fn file(
        &mut self,
        path: Vec<u8>,
        executable: bool,
        size: u64,
        from: &mut dyn Read,
        read_error: impl FnOnce(io::Error) -> SourceError,
    ) -> Result<(), SourceError> {
        tree::check_path(&path, &self.whence)?;
        self.room(&path, size)?;
        let mut header = Self::header(tar::EntryType::Regular, if executable { 0o755 } else { 0o644 }, size);
        let mut content = Content {
            from: &mut *from,
            cancel: self.options.cancel,
            sha256: Sha256::new(),
            len: 0,
            head: Vec::new(),
            failed: None,
            cancelled: false,
        };
        let name = Path::new(OsStr::from_bytes(&path));
        let written = self.tar.append_data(&mut header, name, (&mut content).take(size));
        let Content { sha256, len, head, failed, cancelled, .. } = content;
        if cancelled {
            return Err(SourceError::Cancelled);
        }
        if let Some(error) = failed {
            return Err(read_error(error));
        }
        written.map_err(|e| SourceError::write(self.options.temp, e))?;
        if len != size {
            return Err(read_error(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut more = [0];
        if from.read(&mut more).map_err(read_error)? > 0 {
            return Err(SourceError::Changed { path: shown(&path) });
        }
        if size <= LFS_LIMIT && head == LFS {
            self.pointers.push(shown(&path));
        }
        self.bytes += size;
        self.items.push(Item { path, kind: Kind::File { executable, size, sha256: tree::hex(&sha256.finalize()) } });
        Ok(())
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: Vec<u8>, target: Vec<u8>) -> Result<(), SourceError> {
        tree::check_path(&path, &self.whence)?;
        self.room(&path, 0)?;
        if target.is_empty() {
            return Err(SourceError::Entry {
                whence: self.whence.clone(),
                path: shown(&path),
                why: "is a link to nothing",
            });
        }
        self.append_link(tar::EntryType::Symlink, 0o777, &path, &target)?;
        self.items.push(Item { path, kind: Kind::Link { target } });
        Ok(())
    }

    /// Adds a second name for a file that is in the archive already.
    pub fn hard_link(&mut self, path: Vec<u8>, target: &[u8]) -> Result<(), SourceError> {
        tree::check_path(&path, &self.whence)?;
        let same = self.items.iter().rev().find(|i| i.path == target && matches!(i.kind, Kind::File { .. }));
        let Some(kind) = same.map(|i| i.kind.clone()) else {
            let why = "is a hard link to what is not in the archive before it";
            return Err(SourceError::Entry { whence: self.whence.clone(), path: shown(&path), why });
        };
        let (mode, size) = match &kind {
            Kind::File { executable: true, size, .. } => (0o755, *size),
            Kind::File { size, .. } => (0o644, *size),
            Kind::Link { .. } => (0o644, 0),
        };
        self.room(&path, size)?;
        self.append_link(tar::EntryType::Link, mode, &path, target)?;
        self.items.push(Item { path, kind });
        Ok(())
    }

    fn append_link(&mut self, kind: tar::EntryType, mode: u32, path: &[u8], target: &[u8]) -> Result<(), SourceError> {
        let mut header = Self::header(kind, mode, 0);
        let name = Path::new(OsStr::from_bytes(path));
        // A short target goes in as it is written; the other way would tidy it.
        let done = if header.set_link_name_literal(target).is_ok() {
            self.tar.append_data(&mut header, name, io::empty())
        } else {
            self.tar.append_link(&mut header, name, OsStr::from_bytes(target))
        };
        done.map_err(|e| SourceError::write(self.options.temp, e))
    }

    /// Ends the archive, and checks the tree as a whole.
    pub fn finish(mut self, project_dir: &str, origin: Origin) -> Result<Packed, SourceError> {
        if self.items.is_empty() {
            return Err(SourceError::Empty { whence: self.whence, hint: origin.empty });
        }
        self.items.sort_by(|a, b| a.path.cmp(&b.path));
        tree::check(&self.items, &self.whence)?;
        if let Some(path) = self.pointers.first().cloned() {
            let more = self.pointers.len() - 1;
            return Err(SourceError::LfsPointer { whence: self.whence, path, more, next: origin.lfs });
        }
        tree::check_project(&self.items, project_dir, &self.whence)?;
        let temp = self.options.temp;
        let broken = |e| SourceError::write(temp, e);
        let mut digester = self.tar.into_inner().and_then(GzEncoder::finish).map_err(broken)?;
        digester.flush().map_err(broken)?;
        Ok(Packed {
            tree: tree::digest(&self.items),
            archive: self.file,
            sha256: tree::hex(&digester.sha256.finalize()),
            sha1: tree::hex(&sha1::Digest::finalize(digester.sha1)),
            len: digester.len,
            commit: origin.commit,
            describe: origin.describe,
            dirty: origin.dirty,
            files: self.items.len() as u64,
            bytes: self.bytes,
            items: self.items,
        })
    }
}

/// The folder for temporary files, made private if it is missing.
pub(super) fn private_folder(path: &Path) -> Result<PathBuf, SourceError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| SourceError::write(path, e))?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::super::tests::{options, room};
    use super::*;

    fn sink<'a>(options: &'a Options<'a>) -> Sink<'a> {
        Sink::new("the source".to_owned(), "", options).unwrap()
    }

    fn put(sink: &mut Sink, path: &str, text: &str) -> Result<(), SourceError> {
        sink.file(path.into(), false, text.len() as u64, &mut text.as_bytes(), |_| SourceError::Cancelled)
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        let room = room();
        let options = options(room.path());
        let file = NamedTempFile::new_in(room.path()).unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut sink = Sink::over(file, full, "x".to_owned(), "", &options);
        let error = put(&mut sink, "manage.py", "x").and_then(|()| sink.finish("", Origin::default()).map(|_| ()));
        assert!(matches!(error, Err(SourceError::NoRoom { .. })), "{error:?}");
    }

    #[test]
    fn a_file_that_changes_meanwhile_is_told() {
        let room = room();
        let options = options(room.path());
        let put = |said| sink(&options).file(b"x".to_vec(), false, said, &mut &b"abc"[..], |_| SourceError::Cancelled);
        assert!(matches!(put(2), Err(SourceError::Changed { .. })));
        assert!(matches!(put(4), Err(SourceError::Cancelled)));
        put(3).unwrap();
    }

    #[test]
    fn limits_hold() {
        let room = room();
        let mut options = options(room.path());
        options.limits.files = 2;
        options.limits.bytes = 5;
        let mut s = sink(&options);
        put(&mut s, "a", "123").unwrap();
        let error = put(&mut s, "b", "456").unwrap_err();
        assert!(matches!(error, SourceError::TooLarge { limit: 5, .. }), "{error}");
        put(&mut s, "b", "45").unwrap();
        assert!(matches!(put(&mut s, "c", ""), Err(SourceError::TooMany { limit: 2, .. })));
    }

    #[test]
    fn lfs_pointers_are_no_files() {
        let room = room();
        let options = options(room.path());
        let mut s = sink(&options);
        put(&mut s, "manage.py", "x").unwrap();
        put(&mut s, "logo.png", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n").unwrap();
        let error = s.finish("", Origin { lfs: "run git lfs pull", ..Origin::default() }).unwrap_err().to_string();
        assert!(error.contains("logo.png") && error.contains("run git lfs pull"), "{error}");
    }

    #[test]
    fn stopping_stops() {
        let room = room();
        let mut options = options(room.path());
        options.cancel = &|| true;
        assert!(matches!(put(&mut sink(&options), "a", "1"), Err(SourceError::Cancelled)));
    }
}
