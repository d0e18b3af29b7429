//! Digests that a plan file may hold.
//!
//! Each is an HMAC under a key that the plan carries, so that equal things in two plans look different and no table of
//! precomputed digests helps. Secrets that Windlass knows are masked before anything is digested: nothing in the file
//! depends on them. What it does not know to be secret can be guessed at by whoever has the file, if there are few
//! possibilities and all else that goes into the digest is known; hence [`Seal::slow`] for `no_log` tasks, and hence
//! the file's mode 0600.

use crate::values::Redactor;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// Rounds of PBKDF2 for what must be slow to guess: about 30 ms a guess.
const ROUNDS: u32 = 30_000;

/// Makes the digests of one plan.
pub struct Seal {
    key: [u8; 32],
    redactor: Arc<Redactor>,
    // The engine looks at a step many times.
    slow: Mutex<HashMap<String, String>>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// With a new key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new(redactor: Arc<Redactor>) -> std::io::Result<Self> {
        let mut key = [0; 32];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self { key, redactor, slow: Mutex::default() })
    }

    /// With the key of a plan, as [`Seal::key`] wrote it. None if it is no key.
    pub fn with_key(key: &str, redactor: Arc<Redactor>) -> Option<Self> {
        let mut bytes = [0; 32];
        if key.len() != 64 || !key.is_ascii() {
            return None;
        }
        for (place, pair) in bytes.iter_mut().zip(key.as_bytes().chunks(2)) {
            *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self { key: bytes, redactor, slow: Mutex::default() })
    }

    /// The key, for the plan.
    pub fn key(&self) -> String {
        hex(&self.key)
    }

    /// The digest of a text in which known secrets are masked first. `what` keeps digests of different things apart.
    pub fn text(&self, what: &str, text: &str) -> String {
        self.bytes(what, self.redactor.redact(text).as_bytes())
    }

    /// The digest of bytes as they are.
    pub fn bytes(&self, what: &str, bytes: &[u8]) -> String {
        // An HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        mac.update(&(what.len() as u64).to_le_bytes());
        mac.update(what.as_bytes());
        mac.update(bytes);
        hex(&mac.finalize().into_bytes()[..16])
    }

    /// The digest of a content: known secrets masked, where it is text.
    pub fn content(&self, bytes: &[u8]) -> String {
        match std::str::from_utf8(bytes) {
            Ok(text) => hex(&Sha256::digest(self.redactor.redact(text).as_bytes())),
            Err(_) => hex(&Sha256::digest(bytes)),
        }
    }

    /// A digest of a digest that takes long to make.
    pub fn slow(&self, digest: &str) -> String {
        if let Some(known) = self.slow.lock().unwrap_or_else(PoisonError::into_inner).get(digest) {
            return known.clone();
        }
        let mut out = [0; 16];
        pbkdf2::pbkdf2_hmac::<Sha256>(digest.as_bytes(), &self.key, ROUNDS, &mut out);
        let out = hex(&out);
        self.slow.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.to_owned(), out.clone());
        out
    }

    /// A text with known secrets masked.
    pub fn masked(&self, text: &str) -> String {
        self.redactor.redact(text).into_owned()
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digests_depend_on_the_key_and_not_on_known_secrets() {
        let redactor = Arc::new(Redactor::new());
        redactor.add("hunter22");
        redactor.add("correct horse");
        let (one, two) = (Seal::new(Arc::clone(&redactor)).unwrap(), Seal::new(Arc::clone(&redactor)).unwrap());
        assert_ne!(one.text("a", "x"), two.text("a", "x"));
        let again = Seal::with_key(&one.key(), redactor).unwrap();
        assert_eq!(one.text("a", "x"), again.text("a", "x"));
        assert_eq!(one.slow("x"), again.slow("x"));
        assert_ne!(one.text("a", "x"), one.text("b", "x"));
        assert_eq!(one.text("a", "p=hunter22"), one.text("a", "p=correct horse"), "both are masked");
        assert_eq!(one.content(b"p=hunter22"), one.content(b"p=correct horse"));
        assert_ne!(one.content(b"p=1"), one.content(b"p=2"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let redactor = Arc::new(Redactor::new());
        for key in ["", "00", &"0".repeat(63), &"x".repeat(64), &"é".repeat(32)] {
            assert!(Seal::with_key(key, Arc::clone(&redactor)).is_none(), "{key}");
        }
    }
}
