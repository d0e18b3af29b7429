//! Password verifiers, as PostgreSQL keeps them in `pg_authid` (RFC 5803, RFC 7677): made here, so that the password
//! itself never reaches the host.
//!
//! SASLprep (RFC 4013) is not applied: a password that is not ASCII is taken as it stands, which is the same for all
//! text in Unicode's composed form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const ROUNDS: u32 = 4096;

/// A verifier for a password, with a salt made of `seed`, which must be new for every password.
pub fn verifier(password: &str, seed: &str) -> String {
    let digest = Sha256::digest(format!("salt for SCRAM {seed}").as_bytes());
    make(password, &digest[..16], ROUNDS)
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => Vec::new(),
    }
}

fn make(password: &str, salt: &[u8], rounds: u32) -> String {
    let mut salted = [0u8; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, rounds, &mut salted);
    let stored = Sha256::digest(hmac(&salted, b"Client Key"));
    let server = hmac(&salted, b"Server Key");
    format!("SCRAM-SHA-256${rounds}:{}${}:{}", STANDARD.encode(salt), STANDARD.encode(stored), STANDARD.encode(server))
}

/// Whether a verifier is that of a password; `user` counts for the old kind.
pub fn matches(verifier: &str, user: &str, password: &str) -> bool {
    if let Some(hex) = verifier.strip_prefix("md5") {
        let digest = crate::host::answer::digest(crate::host::Algorithm::Md5, format!("{password}{user}").as_bytes());
        return same(hex, &digest);
    }
    let Some((rounds, salt)) =
        verifier.strip_prefix("SCRAM-SHA-256$").and_then(|v| v.split_once('$')?.0.split_once(':'))
    else {
        return false;
    };
    let (Ok(rounds), Ok(salt)) = (rounds.parse::<u32>(), STANDARD.decode(salt)) else { return false };
    // A hostile server could otherwise keep the controller busy for long.
    rounds <= 10_000_000 && same(verifier, &make(password, &salt, rounds))
}

/// Compares in a time that does not tell where texts differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7677() {
        // User `user`, password `pencil`, salt and round count as there; the server key signs its last message.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap_or_default();
        let made = make("pencil", &salt, 4096);
        assert_eq!(
            made,
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert!(matches(&made, "user", "pencil") && !matches(&made, "user", "pen"));
    }

    #[test]
    fn salts_differ_and_old_verifiers_are_known() {
        assert_ne!(verifier("x", "1"), verifier("x", "2"));
        assert_eq!(verifier("x", "1"), verifier("x", "1"));
        assert!(matches(&verifier("x", "1"), "u", "x"));
        assert!(
            matches("md5f1b5e4f9f8e0bbd4ee1cd3ea1c4b4eee", "u", "x")
                == (crate::host::answer::digest(crate::host::Algorithm::Md5, b"xu")
                    == "f1b5e4f9f8e0bbd4ee1cd3ea1c4b4eee")
        );
        assert!(!matches("", "u", "x") && !matches("SCRAM-SHA-256$x", "u", "x"));
    }
}
