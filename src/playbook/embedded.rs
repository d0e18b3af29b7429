//! The roles and playbooks that are part of the program.
//!
//! They are written into a folder, so that whatever reads files reads them like a user's own.

use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};

// `pub static FILES: &[(&str, &[u8])]`: paths below the repository, and contents; made by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Writes the built-in roles and playbooks below `folder`, unless they are there, and returns the folder that has
/// `roles/` and `playbooks/` in it: what [`LoadContext::builtin`](super::LoadContext::builtin) takes. Its name is the
/// digest of the contents, so that versions do not mix. `folder` must be one that nobody else can write to.
///
/// # Errors
/// The folder can't be written.
pub fn unpack(folder: &Path) -> io::Result<PathBuf> {
    let mut hash = Sha256::new();
    for (name, bytes) in FILES {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    let digest = hash.finalize().iter().take(8).fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    let target = folder.join(format!("{digest:016x}"));
    if target.is_dir() {
        return Ok(target);
    }
    std::fs::create_dir_all(folder)?;
    // Whole or not at all: another run may be unpacking at the same time.
    let fresh = tempfile::Builder::new().prefix(".unpack-").tempdir_in(folder)?;
    let inner = fresh.path().join("new");
    std::fs::create_dir(&inner)?;
    for (name, bytes) in FILES {
        let path = inner.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, bytes)?;
    }
    match std::fs::rename(&inner, &target) {
        Err(_) if target.is_dir() => Ok(target),
        result => result.map(|()| target),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::playbook::{LoadContext, load_playbook};
    use crate::values::{Templar, TemplarOptions};
    use std::sync::Arc;

    #[test]
    fn is_written_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let first = unpack(folder.path()).unwrap();
        for (name, bytes) in FILES {
            assert_eq!(std::fs::read(first.join(name)).unwrap(), *bytes, "{name}");
        }
        assert_eq!(unpack(folder.path()).unwrap(), first);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_built_in_playbook_and_role_loads() {
        let folder = tempfile::tempdir().unwrap();
        let builtin = unpack(folder.path()).unwrap();
        let mut names: Vec<String> = Vec::new();
        let mut roles: Vec<&str> = FILES
            .iter()
            .filter_map(|(name, _)| name.strip_prefix("roles/")?.split_once('/').map(|(role, _)| role))
            .collect();
        roles.dedup();
        for role in roles {
            let name = format!("role-{role}.yml");
            std::fs::write(folder.path().join(&name), format!("- hosts: all\n  roles: [{role}]\n")).unwrap();
            names.push(name);
        }
        let mut ctx = LoadContext::new(Arc::new(Templar::new(TemplarOptions::default())));
        let books = FILES.iter().map(|(name, _)| builtin.join(name)).filter(|p| {
            p.extension().is_some_and(|e| e == "yml") && p.parent().is_some_and(|d| d.ends_with("playbooks"))
        });
        let all: Vec<PathBuf> = names.iter().map(|n| folder.path().join(n)).chain(books).collect();
        ctx.builtin = Some(builtin);
        assert!(!all.is_empty());
        let problems = all.iter().filter_map(|path| load_playbook(path, &ctx).err()).flatten();
        let said: Vec<String> = problems.map(|p| p.to_string()).collect();
        assert!(said.is_empty(), "{}", said.join("\n"));
    }
}
