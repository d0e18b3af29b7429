//! Keeps secrets out of everything that people and files get to see.

use super::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// What stands in a secret's place.
const MASK: &str = "********";

/// Shorter secrets than this (in characters) are not masked: `no` or `42` would blank out half of every line and hide
/// nothing that can't be guessed.
const SHORTEST: usize = 4;

/// Knows the secrets of a run and masks them in texts. Shared by all threads.
#[derive(Default)]
pub struct Redactor {
    // Longest first, so that a secret within a secret does not leave the rest of the longer one standing.
    secrets: RwLock<BTreeSet<(std::cmp::Reverse<usize>, String)>>,
}

impl Redactor {
    /// A redactor without secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a secret: the text, its lines, and what JSON makes of it. Texts shorter than 4 characters and texts of
    /// one repeated character are not remembered.
    pub fn add(&self, secret: &str) {
        let mut all = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let mut add = |text: &str| {
            let text = text.trim();
            let first = text.chars().next();
            if text.chars().count() < SHORTEST || text.chars().all(|c| Some(c) == first) {
                return;
            }
            all.insert((std::cmp::Reverse(text.len()), text.to_owned()));
            if let Ok(json) = serde_json::to_string(text) {
                let json = &json[1..json.len() - 1];
                if json != text {
                    all.insert((std::cmp::Reverse(json.len()), json.to_owned()));
                }
            }
        };
        add(secret);
        if secret.contains('\n') {
            secret.lines().for_each(add);
        }
    }

    /// Remembers every text in a value.
    pub fn add_value(&self, value: &Value) {
        match value {
            Value::Str(text) => self.add(text),
            Value::List(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Map(map) => map.values().for_each(|item| self.add_value(item)),
            _ => {}
        }
    }

    /// The text with every known secret masked.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let all = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let mut out = Cow::Borrowed(text);
        for (_, secret) in all.iter() {
            if out.contains(secret.as_str()) {
                out = Cow::Owned(out.replace(secret.as_str(), MASK));
            }
        }
        out
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_secrets_lines_and_escapes() {
        let redactor = Redactor::new();
        redactor.add("s3cr\"et\nsecond line\n");
        redactor.add("s3cr\"et-longer");
        assert_eq!(redactor.redact("a s3cr\"et b"), "a ******** b");
        assert_eq!(redactor.redact("{\"a\": \"s3cr\\\"et\"}"), "{\"a\": \"********\"}");
        assert_eq!(redactor.redact("-second line-"), "-********-");
        assert_eq!(redactor.redact("s3cr\"et-longer"), "********");
    }

    #[test]
    fn leaves_short_and_dull_texts() {
        let redactor = Redactor::new();
        for text in ["", "no", "123", "aaaaaa", "  x "] {
            redactor.add(text);
        }
        assert!(matches!(redactor.redact("no 123 aaaaaa x"), Cow::Borrowed(_)));
    }
}
