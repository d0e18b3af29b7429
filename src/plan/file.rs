//! The file: an envelope that plans of plays and of deploys share.

use super::digest::Seal;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The version of the format. It grows when a field goes or changes its meaning; a plan of another version is refused.
pub const FORMAT_VERSION: u32 = 1;

/// The largest plan that is read, in bytes.
const LARGEST: u64 = 1 << 30;

/// What a plan is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Plays with tasks.
    Play,
    /// A deploy.
    Deploy,
}

/// A file of this machine that a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it is; a relative path counts from the folder in which the command runs.
    pub path: PathBuf,
    /// Its digest by the plan's [`Seal`].
    pub digest: String,
}

/// What every plan says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT_VERSION`].
    pub windlass_plan: u32,
    /// What it is of.
    pub kind: Kind,
    /// When it was made, in UTC (RFC 3339).
    pub made: String,
    /// Who made it: `user@machine`.
    pub by: String,
    /// The version of the program.
    pub windlass: String,
    /// The folder in which it was made.
    pub folder: String,
    /// What its digests are keyed with.
    pub key: String,
    /// The files that it was made from.
    pub inputs: Vec<Input>,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanFile {
    /// What every plan says of itself.
    #[serde(flatten)]
    pub head: Head,
    /// What it says beyond that, by its kind.
    #[serde(flatten)]
    pub body: serde_json::Map<String, Json>,
}

/// Why a plan can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file.
    #[error("can't read the plan `{path}`: {error}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file.
    #[error("can't write the plan `{path}`: {error}", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is damaged, or was edited.
    #[error("`{path}` is no plan that can be used: {why}", path = path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Another version of the format.
    #[error("`{path}` is a plan of format {found}, and this windlass reads format {FORMAT_VERSION}; make it anew with `windlass plan -o`", path = path.display())]
    Version {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: Json,
    },
}

impl PlanFile {
    /// Whether a file says that it is a plan, of whatever version.
    pub fn is_one(path: &Path) -> bool {
        // A plan begins with its version, as it is written here; a file that somebody reformatted is parsed.
        let json = path.extension().is_some_and(|e| e == "json");
        let Ok(about) = std::fs::metadata(path) else { return false };
        if !about.is_file() || about.len() > LARGEST {
            return false;
        }
        let mut start = [0; 64];
        let read = std::fs::File::open(path).and_then(|mut f| io::Read::read(&mut f, &mut start)).unwrap_or(0);
        let start = String::from_utf8_lossy(&start[..read]);
        if !start.trim_start().starts_with('{') {
            return false;
        }
        start.contains("\"windlass_plan\"")
            || json
                && std::fs::read(path)
                    .ok()
                    .and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok())
                    .is_some_and(|json| json.get("windlass_plan").is_some())
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// It can't be read, is damaged, or is of another version.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let failed = |error| PlanError::Read { path: path.to_owned(), error };
        if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
            return Err(failed(io::Error::other("it is larger than 1 GiB")));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        let malformed = |why: String| PlanError::Malformed { path: path.to_owned(), why };
        let json: Json = serde_json::from_slice(&bytes).map_err(|e| malformed(e.to_string()))?;
        match json.get("windlass_plan") {
            Some(version) if version.as_u64() == Some(FORMAT_VERSION.into()) => {}
            Some(version) => return Err(PlanError::Version { path: path.to_owned(), found: version.clone() }),
            None => return Err(malformed("it has no `windlass_plan`".to_owned())),
        }
        serde_json::from_value(json).map_err(|e| malformed(e.to_string()))
    }

    /// Writes the plan with mode 0600, by rename.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, path: &Path) -> Result<(), PlanError> {
        let failed = |error| PlanError::Write { path: path.to_owned(), error };
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Its mode is 0600 from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        serde_json::to_writer_pretty(&mut file, self).map_err(|e| failed(e.into()))?;
        file.write_all(b"\n").and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(path).map_err(|e| failed(e.error))?;
        Ok(())
    }
}

/// What was read, as inputs of a plan: without what lies below `but`, since it belongs to the program; files below
/// `here` (the working folder) by their path from there.
pub fn inputs(read: &BTreeMap<PathBuf, [u8; 32]>, but: Option<&Path>, here: &Path, seal: &Seal) -> Vec<Input> {
    let mut out: Vec<Input> = Vec::new();
    for (path, digest) in read {
        if but.is_some_and(|folder| path.starts_with(folder)) {
            continue;
        }
        let path = path.strip_prefix(here).unwrap_or(path);
        let path = path.strip_prefix(".").unwrap_or(path).to_owned();
        if !out.iter().any(|i| i.path == path) {
            out.push(Input { path, digest: seal.bytes("input", digest) });
        }
    }
    out
}

/// What is no longer as it was: a sentence for each.
pub fn changed_inputs(inputs: &[Input], seal: &Seal) -> Vec<String> {
    let mut out = Vec::new();
    for input in inputs {
        let name = input.path.display();
        match std::fs::read(&input.path) {
            Ok(bytes) if seal.bytes("input", &Sha256::digest(&bytes)) == input.digest => {}
            Ok(_) => out.push(format!("`{name}` has changed")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                out.push(format!("`{name}` is not there any more"));
            }
            Err(error) => out.push(format!("`{name}` can't be read: {error}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::values::Redactor;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    fn plan(seal: &Seal) -> PlanFile {
        let head = Head {
            windlass_plan: FORMAT_VERSION,
            kind: Kind::Deploy,
            made: "2026-01-02T03:04:05Z".into(),
            by: "me@here".into(),
            windlass: "0.1.0".into(),
            folder: "/x".into(),
            key: seal.key(),
            inputs: Vec::new(),
        };
        let body = serde_json::from_str("{\"release\": \"r1\", \"hosts\": {}}").unwrap();
        PlanFile { head, body }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written_and_only_its_owner_may() {
        let seal = Seal::new(Arc::new(Redactor::new())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        plan(&seal).write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(PlanFile::is_one(&path));
        assert_eq!(PlanFile::read(&path).unwrap(), plan(&seal));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\n  \"windlass_plan\": 1,\n  \"kind\": \"deploy\","), "{text}");
    }

    #[test]
    fn other_versions_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let with = |text: &str| {
            std::fs::write(&path, text).unwrap();
            (PlanFile::is_one(&path), PlanFile::read(&path).unwrap_err().to_string())
        };
        let (is_one, error) = with("{\"windlass_plan\": 2}");
        assert!(is_one && error.contains("is a plan of format 2, and this windlass reads format 1"), "{error}");
        let (is_one, error) = with("{\"windlass_plan\": 1}");
        assert!(is_one && error.contains("missing field `kind`"), "{error}");
        let padded = format!("{{{}\"windlass_plan\": 1, ", " ".repeat(100));
        assert!(!with(&padded).0, "cut off");
        assert!(with(&format!("{padded} \"kind\": 1}}")).0);
        assert!(!with("[{\"hosts\": \"all\"}]").0);
        assert!(!PlanFile::is_one(folder.path()));
    }

    #[test]
    fn inputs_that_changed_are_named() {
        let seal = Seal::new(Arc::new(Redactor::new())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut read = BTreeMap::new();
        for name in ["same", "other", "gone", "own/part"] {
            std::fs::create_dir_all(at("own")).unwrap();
            std::fs::write(at(name), name).unwrap();
            read.insert(at(name), Sha256::digest(name.as_bytes()).into());
        }
        let inputs = inputs(&read, Some(&at("own")), Path::new("/nowhere"), &seal);
        assert_eq!(inputs.len(), 3);
        assert_eq!(changed_inputs(&inputs, &seal), Vec::<String>::new());
        std::fs::write(at("other"), "new").unwrap();
        std::fs::remove_file(at("gone")).unwrap();
        let folder = folder.path().display();
        assert_eq!(
            changed_inputs(&inputs, &seal),
            [format!("`{folder}/gone` is not there any more"), format!("`{folder}/other` has changed")]
        );
    }
}
