//! Locks between windlass processes: advisory locks on files, released by the kernel when a process dies.

use super::error::{LabError, Result};
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`; calls `waits` once when another process holds it.
    pub(super) fn take(path: &Path, waits: impl FnOnce()) -> Result<Lock> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(LabError::io("create", dir))?;
        }
        let mut waits = Some(waits);
        loop {
            let file =
                File::options().create(true).append(true).open(path).map_err(LabError::io("open the lock", path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if let Some(waits) = waits.take() {
                        waits();
                    }
                    file.lock().map_err(LabError::io("lock", path))?;
                }
                Err(TryLockError::Error(source)) => return Err(LabError::io("lock", path)(source)),
            }
            // Whoever held it may have removed the file: then the name belongs to another file, or to none.
            let held = file.metadata().map_err(LabError::io("look at", path))?.ino();
            if fs::metadata(path).is_ok_and(|named| named.ino() == held) {
                return Ok(Lock { path: path.to_owned(), _file: file });
            }
        }
    }

    /// Takes the lock only if nobody holds it.
    pub(super) fn try_take(path: &Path) -> Option<Lock> {
        let file = File::options().append(true).open(path).ok()?;
        file.try_lock().ok()?;
        Some(Lock { path: path.to_owned(), _file: file })
    }

    /// Removes the lock's file, for a lab that leaves nothing behind.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    #[test]
    fn the_second_taker_waits_and_survives_the_removal_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/a");
        let first = Lock::take(&path, || unreachable!()).unwrap();
        let (sender, receiver) = mpsc::channel();
        let waited = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                Lock::take(&path, || {
                    waited.store(true, Ordering::SeqCst);
                    sender.send(()).unwrap();
                })
                .unwrap()
            });
            receiver.recv().unwrap();
            first.remove();
            let second = second.join().unwrap();
            assert!(path.exists(), "the second lock is on a file that the next taker will find");
            drop(second);
        });
        assert!(waited.load(Ordering::SeqCst));
    }
}
