//! Which files of this machine a run was made from, by their digests.
//!
//! Files are read in many places, by functions that share nothing; a saved plan needs to know of all of them. So there is
//! one log for the process, off unless somebody listens.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static LOG: Mutex<Option<BTreeMap<PathBuf, [u8; 32]>>> = Mutex::new(None);

/// From now on, what is read is kept.
pub fn listen() {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// All that was read since [`listen`]: SHA-256 by path. Ends the listening.
pub fn heard() -> BTreeMap<PathBuf, [u8; 32]> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
}

/// A file was read.
pub fn note(path: &Path, bytes: &[u8]) {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    // The first reading counts: it is what the decisions before were made from.
    if let Some(log) = log.as_mut()
        && !log.contains_key(path)
    {
        log.insert(path.to_owned(), Sha256::digest(bytes).into());
    }
}

/// A file was read whose SHA-256 is known (hexadecimal).
pub(crate) fn note_digest(path: &Path, hex: &str) {
    let mut digest = [0; 32];
    for (place, pair) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *place = std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok()).unwrap_or(0);
    }
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(log) = log.as_mut() {
        log.entry(path.to_owned()).or_insert(digest);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_reading_counts_while_somebody_listens() {
        let path = Path::new("reads-test/a");
        note(path, b"before");
        listen();
        note(path, b"abc");
        note(path, b"later");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        note_digest(Path::new("reads-test/b"), hex);
        let heard = heard();
        assert_eq!(heard[path], heard[Path::new("reads-test/b")]);
        assert_eq!(heard[path][0], 0xba);
    }
}
