//! Private keys and certificates in files.

use super::context::AskPassphrase;
use russh::keys::{self, Certificate, HashAlg, PrivateKey, PublicKey};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a private key file.
#[derive(Clone)]
pub(crate) enum Loaded {
    Key(Arc<PrivateKey>),
    Missing,
    /// It has a passphrase, and there is none to be had.
    Locked,
    /// It cannot be used, for this reason.
    Bad(String),
}

/// How often a passphrase is asked for, as OpenSSH does.
const ASKED: usize = 3;

/// Reads a private key once a run. Without `ask`, a key with a passphrase is [`Loaded::Locked`]; with it, the
/// passphrase is asked for, and what comes of it holds for the run. Deciphering takes long: not for async code.
pub(crate) fn load(path: &Path, ask: Option<&AskPassphrase>, cache: &Mutex<HashMap<PathBuf, Loaded>>) -> Loaded {
    // The lock is held while asking and deciphering, so that many hosts ask once.
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = cache.get(path) {
        return loaded.clone();
    }
    let loaded = match (read(path), ask) {
        (Loaded::Locked, Some(ask)) => unlock(path, ask),
        (loaded, _) => loaded,
    };
    if matches!(loaded, Loaded::Key(_)) || ask.is_some() {
        cache.insert(path.to_owned(), loaded.clone());
    }
    loaded
}

fn read(path: &Path) -> Loaded {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Loaded::Missing,
        Err(error) => return Loaded::Bad(format!("{shown}: {error}")),
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            return Loaded::Bad(format!("{shown} is open to others (mode {:03o}): chmod 600 it", meta.mode() & 0o777));
        }
        Ok(_) => {}
    }
    match keys::load_secret_key(path, None) {
        Ok(key) => Loaded::Key(Arc::new(key)),
        Err(keys::Error::KeyIsEncrypted) => Loaded::Locked,
        Err(error) => Loaded::Bad(format!("{shown} is no private key that can be read: {error}")),
    }
}

fn unlock(path: &Path, ask: &AskPassphrase) -> Loaded {
    let mut last = None;
    for _ in 0..ASKED {
        let Some(passphrase) = ask(path) else { break };
        if let Ok(key) = keys::load_secret_key(path, Some(passphrase.expose())) {
            return Loaded::Key(Arc::new(key));
        }
        // The same wrong answer again comes from no person.
        if last.as_ref() == Some(&passphrase) {
            break;
        }
        last = Some(passphrase);
    }
    match last {
        Some(_) => Loaded::Bad(format!("{}: the passphrase is wrong", path.display())),
        None => Loaded::Locked,
    }
}

/// The public key that belongs to a private key file, without deciphering that.
pub(crate) fn public_key(path: &Path) -> Option<PublicKey> {
    if let Ok(key) = keys::load_public_key(beside(path, ".pub")) {
        return Some(key);
    }
    // The identity may be a public key file itself, with the private key in the agent.
    if let Ok(key) = PublicKey::read_openssh_file(path) {
        return Some(key);
    }
    PrivateKey::read_openssh_file(path).ok().map(|key| key.public_key().clone())
}

/// The certificate that lies beside a private key file (`KEY-cert.pub`).
pub(crate) fn certificate(path: &Path) -> Option<Certificate> {
    keys::load_openssh_certificate(beside(path, "-cert.pub")).ok()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// A key in messages: type and the end of its fingerprint would not help, so all of it.
pub(crate) fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::transport::Secret;
    use russh::keys::Algorithm;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::LineEnding;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn write(folder: &Path, key: &PrivateKey, mode: u32) -> PathBuf {
        let path = folder.join("key");
        std::fs::write(&path, key.to_openssh(LineEnding::LF).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_key_with_a_passphrase_is_asked_for_once() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let path = write(folder.path(), &key.encrypt(&mut safe_rng(), "open sesame").unwrap(), 0o600);
        assert!(matches!(load(&path, None, &Mutex::default()), Loaded::Locked));
        assert!(matches!(load(&path, Some(&|_| Some(Secret::new("no"))), &Mutex::default()), Loaded::Bad(_)));
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let ask = move |_: &Path| {
            counter.fetch_add(1, Ordering::Relaxed);
            Some(Secret::new("open sesame"))
        };
        let cache = Mutex::default();
        for _ in 0..2 {
            assert!(matches!(load(&path, Some(&ask), &cache), Loaded::Key(_)));
        }
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(public_key(&path).unwrap().key_data(), key.public_key().key_data());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
        let path = write(folder.path(), &key, 0o644);
        let Loaded::Bad(reason) = load(&path, None, &Mutex::default()) else { panic!("it was taken") };
        assert!(reason.contains("chmod 600"), "{reason}");
        assert!(matches!(load(&folder.path().join("none"), None, &Mutex::default()), Loaded::Missing));
    }
}
