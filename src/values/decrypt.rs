//! What a reader of files needs to know of vault.

/// Opens text that `ansible-vault` has encrypted.
pub trait Decrypt: Send + Sync {
    /// The clear text of `armored`, which begins with `$ANSIBLE_VAULT;`.
    ///
    /// # Errors
    /// Why it could not be opened, in a sentence that names no secret.
    fn decrypt(&self, armored: &str) -> Result<String, String>;
}

/// Stands where no vault password was given: every encrypted text is an error that says how to give one.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoVault;

impl Decrypt for NoVault {
    fn decrypt(&self, _armored: &str) -> Result<String, String> {
        Err("it is encrypted, and no vault password was given".to_owned())
    }
}

/// Whether a file's text is encrypted by `ansible-vault`.
pub fn is_encrypted(text: &str) -> bool {
    text.starts_with("$ANSIBLE_VAULT;")
}
