//! Texts encrypted by `ansible-vault`: `$ANSIBLE_VAULT;1.1;AES256` and `1.2` with an id.
//!
//! The body is hex of three lines of hex: salt, HMAC-SHA256 of the cipher text, cipher text. PBKDF2-SHA256 makes 80 bytes of
//! a password and the salt in 10,000 rounds: a key for AES-256-CTR, a key for the HMAC, and the counter to start from.

use super::{Decrypt, Redactor, Value, from_yaml, is_encrypted};
use aes::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

const ROUNDS: u32 = 10_000;
const BLOCK: usize = 16;
const COLUMNS: usize = 80;

/// Which password, and which salt.
type KeyName = (usize, Vec<u8>);

/// The vault passwords of a run, each with its id (`default` where none was given).
#[derive(Default)]
pub struct Vault {
    passwords: Vec<(String, Vec<u8>)>,
    redactor: Arc<Redactor>,
    // A derivation takes some 10 ms, and a host reads the same files as its neighbour.
    keys: Mutex<HashMap<KeyName, Arc<[u8; 80]>>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// An armored text, taken apart.
struct Armored {
    id: Option<String>,
    salt: Vec<u8>,
    mac: Vec<u8>,
    cipher: Vec<u8>,
}

impl Vault {
    /// A vault without passwords. What it decrypts is made known to `redactor`.
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self { passwords: Vec::new(), redactor, keys: Mutex::default() }
    }

    /// Adds a password under an id; white space around it (the newline of a password file) is not part of it. Several
    /// passwords may have the same id.
    pub fn add(&mut self, id: &str, password: &str) {
        let password = password.trim();
        self.redactor.add(password);
        self.passwords.push((id.to_owned(), password.as_bytes().to_vec()));
    }

    /// The ids of the passwords, in the order they were given.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.passwords.iter().map(|(id, _)| id.as_str())
    }

    /// Encrypts a text with the first password, or the first one of this id. The id is written into the header unless it is
    /// `default`.
    ///
    /// # Errors
    /// There is no such password, or no randomness for the salt.
    pub fn encrypt(&self, plain: &str, id: Option<&str>) -> Result<String, String> {
        let mut salt = vec![0; 32];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut salt))
            .map_err(|e| format!("can't read /dev/urandom: {e}"))?;
        let index = match id {
            None if self.passwords.is_empty() => return Err("no vault password was given".to_owned()),
            None => 0,
            Some(id) => self
                .passwords
                .iter()
                .position(|(i, _)| i == id)
                .ok_or(format!("there is no vault password for the id '{id}'"))?,
        };
        let keys = self.keys(index, &salt);
        let mut text = plain.as_bytes().to_vec();
        let pad = BLOCK - text.len() % BLOCK;
        text.extend(std::iter::repeat_n(u8::try_from(pad).unwrap_or(0), pad));
        apply(&keys, &mut text)?;
        let mac = mac(&keys, &text)?.finalize().into_bytes();
        let body = hex(format!("{}\n{}\n{}", hex(&salt), hex(&mac), hex(&text)).as_bytes());
        let label = &self.passwords[index].0;
        let mut out = match label.as_str() {
            "default" | "" => "$ANSIBLE_VAULT;1.1;AES256\n".to_owned(),
            label => format!("$ANSIBLE_VAULT;1.2;AES256;{label}\n"),
        };
        let mut rest = body.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(COLUMNS));
            out.push_str(line);
            out.push('\n');
            rest = more;
        }
        Ok(out)
    }

    fn keys(&self, index: usize, salt: &[u8]) -> Arc<[u8; 80]> {
        let name = (index, salt.to_vec());
        if let Some(keys) = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Arc::clone(keys);
        }
        let mut keys = [0; 80];
        pbkdf2::pbkdf2_hmac::<Sha256>(&self.passwords[index].1, salt, ROUNDS, &mut keys);
        let keys = Arc::new(keys);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Arc::clone(&keys));
        keys
    }

    /// The clear text, without telling anybody.
    fn open(&self, armored: &str) -> Result<String, String> {
        let armored = Armored::parse(armored)?;
        if self.passwords.is_empty() {
            return Err("it is encrypted, and no vault password was given".to_owned());
        }
        // The password of the header's id first; an id is a hint, not a promise.
        let mut order: Vec<usize> = (0..self.passwords.len()).collect();
        order.sort_by_key(|i| Some(&self.passwords[*i].0) != armored.id.as_ref());
        for index in order {
            let keys = self.keys(index, &armored.salt);
            // Compares in constant time.
            if mac(&keys, &armored.cipher)?.verify_slice(&armored.mac).is_err() {
                continue;
            }
            let mut text = armored.cipher.clone();
            apply(&keys, &mut text)?;
            let pad = usize::from(text.last().copied().unwrap_or(0));
            if pad == 0 || pad > BLOCK || pad > text.len() {
                return Err("the encrypted text is damaged (its padding is wrong)".to_owned());
            }
            text.truncate(text.len() - pad);
            return String::from_utf8(text).map_err(|_| "the decrypted text is not UTF-8".to_owned());
        }
        let mut tried: Vec<&str> = self.ids().collect();
        tried.dedup();
        let wanted = armored.id.map_or_else(String::new, |id| format!(" (it is marked with the id '{id}')"));
        Err(format!("no vault password opens it{wanted}; tried the ids {}", tried.join(", ")))
    }
}

impl Decrypt for Vault {
    fn decrypt(&self, armored: &str) -> Result<String, String> {
        let plain = self.open(armored)?;
        // A whole file: every text in it is a secret; anything else is one secret.
        match from_yaml(&plain) {
            Ok(value @ (Value::Map(_) | Value::List(_))) => self.redactor.add_value(&value),
            _ => self.redactor.add(&plain),
        }
        Ok(plain)
    }
}

impl Armored {
    fn parse(text: &str) -> Result<Self, String> {
        let damaged = |what: &str| format!("the encrypted text is damaged ({what})");
        let mut lines = text.trim().lines();
        let header = lines.next().unwrap_or_default().trim();
        if !is_encrypted(header) {
            return Err("it is not encrypted: it does not begin with $ANSIBLE_VAULT;".to_owned());
        }
        let fields: Vec<&str> = header.split(';').map(str::trim).collect();
        let id = match fields.as_slice() {
            [_, "1.1", "AES256"] => None,
            [_, "1.2", "AES256", id] => Some((*id).to_owned()),
            _ => {
                return Err(format!(
                    "the vault format '{header}' is not supported; encrypt it again with ansible-vault"
                ));
            }
        };
        let body: String = lines.map(str::trim).collect();
        let body = String::from_utf8(unhex(body.as_bytes()).ok_or_else(|| damaged("it is not hex"))?)
            .map_err(|_| damaged("it is not hex"))?;
        let mut parts = body.split('\n').map(|part| unhex(part.trim().as_bytes()));
        let mut next = |what: &str| parts.next().flatten().ok_or_else(|| damaged(what));
        Ok(Self { id, salt: next("no salt")?, mac: next("no digest")?, cipher: next("no text")? })
    }
}

fn mac(keys: &[u8; 80], text: &[u8]) -> Result<Hmac<Sha256>, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&keys[32..64]).map_err(|e| e.to_string())?;
    mac.update(text);
    Ok(mac)
}

fn apply(keys: &[u8; 80], text: &mut [u8]) -> Result<(), String> {
    let mut cipher =
        ctr::Ctr128BE::<aes::Aes256>::new_from_slices(&keys[..32], &keys[64..]).map_err(|e| e.to_string())?;
    cipher.apply_keystream(text);
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // Both made by ansible-vault of ansible-core 2.19.14, of the same text.
    const PLAIN: &str = "db_password: s3cr3t\nx: 1\n";
    const FILE: &str = "$ANSIBLE_VAULT;1.1;AES256\n\
        38333739376565333466383234376161663534616635363939376365393163666338333032356162\n\
        3331626462306130336333363931663161343964333165620a626561633037633335623363303031\n\
        37653165363139656232313265343563373531373064346166623261636461643965313136333165\n\
        3165386234313830660a383332623532626432646535633735333765663564636332396366333766\n\
        33663962353038666235303365643632633037616333626639343163323663373638\n";
    const FILE_PROD: &str = "$ANSIBLE_VAULT;1.2;AES256;prod\n\
        39636561663338663366653866343638366235633561363633353039646634396636633437363031\n\
        3439313265303961323739313464626134323131636538360a323961386162313036366536643062\n\
        35373932356163656332613435343865646234393036643732363635356263366664313836373437\n\
        3937626632633031630a306162373239366161323163333239633233643130613063313431666461\n\
        66616635366438363238313631303965653238613762623936356263373233386465\n";

    fn vault(passwords: &[(&str, &str)]) -> Vault {
        let mut vault = Vault::new(Arc::default());
        for (id, password) in passwords {
            vault.add(id, password);
        }
        vault
    }

    #[test]
    fn opens_what_ansible_has_locked() {
        let vault = vault(&[("default", "secretpw\n"), ("prod", "other")]);
        assert_eq!(vault.decrypt(FILE).unwrap(), PLAIN);
        assert_eq!(vault.decrypt(FILE_PROD).unwrap(), PLAIN);
        assert_eq!(vault.redactor.redact("it is s3cr3t"), "it is ********");
        assert_eq!(vault.redactor.redact("--password secretpw"), "--password ********");
    }

    #[test]
    fn an_id_is_only_a_hint() {
        assert_eq!(vault(&[("test", "other")]).decrypt(FILE_PROD).unwrap(), PLAIN);
    }

    #[test]
    fn says_which_ids_were_tried() {
        let error = vault(&[("a", "x"), ("b", "y")]).decrypt(FILE_PROD).unwrap_err();
        assert!(error.contains("'prod'") && error.contains("a, b"), "{error}");
        assert!(vault(&[]).decrypt(FILE).unwrap_err().contains("no vault password was given"));
    }

    #[test]
    fn damage_is_noticed() {
        let vault = vault(&[("default", "secretpw")]);
        let last = FILE.trim_end().len() - 1;
        let mut damaged = FILE.trim_end().to_owned();
        damaged.replace_range(last.., if damaged.ends_with('1') { "2" } else { "1" });
        assert!(vault.decrypt(&damaged).is_err());
        assert!(vault.decrypt(&FILE[..100]).unwrap_err().contains("damaged"));
        assert!(vault.decrypt("$ANSIBLE_VAULT;1.0;AES\n00").unwrap_err().contains("not supported"));
        assert!(vault.decrypt("plain").unwrap_err().contains("not encrypted"));
    }

    #[test]
    fn locks_and_opens() {
        let vault = vault(&[("default", "p"), ("prod", "q")]);
        for (text, id) in [
            ("", None),
            ("short", None),
            ("exactly 16 bytes", Some("prod")),
            ("ünïcode ".repeat(50).as_str(), Some("prod")),
        ] {
            let armored = vault.encrypt(text, id).unwrap();
            assert_eq!(armored.starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n"), id.is_some());
            assert!(armored.lines().skip(1).all(|line| line.len() <= 80));
            assert_eq!(vault.decrypt(&armored).unwrap(), text);
        }
        assert!(vault.encrypt("x", Some("nope")).unwrap_err().contains("'nope'"));
        assert_ne!(vault.encrypt("x", None), vault.encrypt("x", None));
    }
}
