//! `group_vars/` and `host_vars/`.

use super::Vars;
use crate::source::{Diagnostic, Kind, SourceFile, parse_one, read};
use crate::values::{Decrypt, is_encrypted};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The endings of a file of variables; one without any comes first, so that a folder does.
const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// What the files of one host or group beside one inventory or playbook say.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// The variables; none if there is no file.
    pub vars: Option<Arc<Vars>>,
    /// Why a file could not be decrypted: an error for the hosts that need it, and only for them.
    pub locked: Option<Diagnostic>,
}

/// Reads files of variables, each once.
pub(super) struct Reader {
    decrypt: Arc<dyn Decrypt>,
    files: HashMap<PathBuf, Found>,
}

impl Reader {
    pub fn new(decrypt: Arc<dyn Decrypt>) -> Self {
        Self { decrypt, files: HashMap::new() }
    }

    /// The variables of `name` in `folder` (`…/group_vars`); what is wrong in a file is added to `problems`.
    pub fn read(&mut self, folder: &Path, name: &str, problems: &mut Vec<Diagnostic>) -> Found {
        // The name of a host is not a path to somewhere else.
        if name.contains('/') || name == ".." || name == "." {
            return Found::default();
        }
        let mut all: Option<Vars> = None;
        let mut found = Found::default();
        for path in files_of(folder, name) {
            let file = self.file(&path, problems);
            found.locked = found.locked.or(file.locked);
            if let Some(vars) = file.vars {
                all.get_or_insert_default().extend(vars.iter().map(|(k, v)| (Arc::clone(k), Arc::clone(v))));
            }
        }
        found.vars = all.map(Arc::new);
        found
    }

    fn file(&mut self, path: &Path, problems: &mut Vec<Diagnostic>) -> Found {
        if let Some(found) = self.files.get(path) {
            return found.clone();
        }
        let found = match load(path, &*self.decrypt) {
            Ok(found) => found,
            Err(wrong) => {
                problems.extend(wrong);
                Found::default()
            }
        };
        self.files.insert(path.to_owned(), found.clone());
        found
    }
}

/// The files that hold the variables of `name`: the first of `name`, `name.yml`, `name.yaml`, `name.json` that is there;
/// if it is a folder, all in it, in the order of their names.
fn files_of(folder: &Path, name: &str) -> Vec<PathBuf> {
    for ending in ENDINGS {
        let path = folder.join(format!("{name}{ending}"));
        if path.is_dir() {
            let mut files = Vec::new();
            collect(&path, 0, &mut files);
            return files;
        }
        if path.is_file() {
            return vec![path];
        }
    }
    Vec::new()
}

/// Links may lead in a circle.
const MAX_DEPTH: usize = 20;

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort_unstable();
    for name in names {
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let path = folder.join(&name);
        let ending = path.extension().map_or(String::new(), |e| format!(".{}", e.to_string_lossy()));
        if path.is_dir() {
            if ending.is_empty() && depth < MAX_DEPTH {
                collect(&path, depth + 1, files);
            }
        } else if ENDINGS.contains(&ending.as_str()) {
            files.push(path);
        }
    }
}

fn load(path: &Path, decrypt: &dyn Decrypt) -> Result<Found, Vec<Diagnostic>> {
    let name = path.to_string_lossy();
    let mut file = read(path, &name).map_err(|d| vec![d])?;
    if is_encrypted(&file.text) {
        match decrypt.decrypt(&file.text) {
            Ok(text) => file = Arc::new(SourceFile { name: name.into_owned(), text }),
            Err(why) => {
                let locked = Diagnostic::bare("vault-locked", format!("can't open `{name}`: {why}"))
                    .help("give the password with --vault-password-file or --ask-vault-pass");
                return Ok(Found { vars: None, locked: Some(locked) });
            }
        }
    }
    let root = parse_one(file)?;
    match root.kind {
        Kind::Null => Ok(Found::default()),
        Kind::Map(entries) => {
            let vars: Vars = entries.into_iter().map(|e| (e.key, Arc::new(e.value))).collect();
            Ok(Found { vars: Some(Arc::new(vars)), locked: None })
        }
        _ => Err(vec![
            Diagnostic::error(
                "bad-vars-file",
                format!("a file of variables is a mapping, and this is {}", root.describe()),
                &root.span,
            )
            .help("write `name: value` lines"),
        ]),
    }
}
