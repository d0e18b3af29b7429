//! The controller's files and templates, as modules see them.

use super::code::Unit;
use super::run::Shared;
use super::step::{Blocker, Env, message};
use crate::host::{Controller, Source, Stop};
use crate::source::SourceFile;
use crate::values::{Map, TemplateOptions, Value};
use sha2::Digest;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

/// The files of one step.
pub(super) struct Files<'a> {
    pub shared: &'a Arc<Shared>,
    pub unit: &'a Arc<Unit>,
    pub env: &'a Env,
    /// Hosts whose variables a template needs before they are there.
    pub waiting: RefCell<Vec<Arc<str>>>,
}

impl Files<'_> {
    fn find(&self, kind: &str, name: &str) -> Result<PathBuf, String> {
        let name = name.strip_prefix("~/").map_or_else(
            || name.to_owned(),
            |rest| self.shared.home.as_ref().map_or_else(|| name.to_owned(), |h| format!("{}/{rest}", h.display())),
        );
        self.unit.task.search.find(kind, &name).map_err(|tried| {
            let places: Vec<String> = tried.iter().map(|p| p.display().to_string()).collect();
            format!("could not find `{name}` on the controller; looked for {}", places.join(", "))
        })
    }
}

impl Controller for Files<'_> {
    fn source(&self, kind: &str, path: &str) -> Result<Source, String> {
        let found = self.find(kind, path)?;
        describe(&found)
    }

    fn source_tree(&self, kind: &str, path: &str) -> Result<Vec<(String, Option<Source>)>, String> {
        let root = self.find(kind, path)?;
        let mut out = Vec::new();
        tree(&root, "", &mut out)?;
        Ok(out)
    }

    fn is_folder(&self, kind: &str, path: &str) -> bool {
        self.find(kind, path).is_ok_and(|p| p.is_dir())
    }

    fn template(&self, path: &str, options: &Map) -> Result<Option<String>, Stop> {
        let found = self.find("templates", path)?;
        let text = std::fs::read_to_string(&found)
            .map_err(|e| Stop::fail(format!("could not read the template {}: {e}", found.display())))?;
        crate::source::reads::note(&found, text.as_bytes());
        let name = found.display().to_string();
        let file = Arc::new(SourceFile { name: name.clone(), text });
        let scope: Arc<dyn crate::values::Scope> =
            Arc::new(TemplateScope { name, inner: Arc::clone(&self.env.scope), options: managed(&found, options) });
        let options = template_options(options)?;
        match self.shared.templar.template_file(&file, &options, &scope) {
            Ok(Value::Unknown) => Ok(None),
            Ok(value) => Ok(Some(value.to_string())),
            Err(error) => match self.env.blocker(error) {
                Blocker::Hosts(hosts) => {
                    self.waiting.borrow_mut().extend(hosts);
                    Err(Stop::Pause)
                }
                Blocker::Failed(problem) => Err(Stop::fail(message(&problem))),
            },
        }
    }

    fn read(&self, kind: &str, path: &str) -> Result<Vec<u8>, String> {
        let found = self.find(kind, path)?;
        let bytes = std::fs::read(&found).map_err(|e| format!("could not read {}: {e}", found.display()))?;
        crate::source::reads::note(&found, &bytes);
        Ok(bytes)
    }
}

/// Variables that only a template sees.
struct TemplateScope {
    name: String,
    inner: Arc<dyn crate::values::Scope>,
    options: Map,
}

impl crate::values::Scope for TemplateScope {
    fn get(&self, name: &str) -> crate::values::Lookup {
        match self.options.get(name) {
            Some(value) => crate::values::Lookup::Data(value.clone()),
            None => self.inner.get(name),
        }
    }
    fn names(&self) -> Vec<Arc<str>> {
        self.inner.names().into_iter().chain(self.options.keys().cloned()).collect()
    }
    fn search_path(&self, kind: &str) -> Vec<PathBuf> {
        // A template includes others from its own folder first.
        let own = Path::new(&self.name).parent().map(Path::to_owned);
        own.into_iter().chain(self.inner.search_path(kind)).collect()
    }
    fn seed(&self) -> u64 {
        self.inner.seed()
    }
}

fn managed(path: &Path, _options: &Map) -> Map {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut map = Map::new();
    map.insert("ansible_managed".into(), Value::from("Managed by Windlass"));
    map.insert("template_path".into(), Value::str(path.to_string_lossy()));
    map.insert("template_fullpath".into(), Value::str(full.to_string_lossy()));
    map
}

fn template_options(options: &Map) -> Result<TemplateOptions, Stop> {
    let mut out = TemplateOptions::default();
    let text = |name: &str| options.get(name).map(Value::to_string);
    let flag = |name: &str| -> Result<Option<bool>, Stop> {
        options
            .get(name)
            .map(<bool as crate::modules::args::FromValue>::from_value)
            .transpose()
            .map_err(|e| Stop::fail(format!("argument `{name}` must be {e}")))
    };
    if let Some(trim) = flag("trim_blocks")? {
        out.trim_blocks = trim;
    }
    if let Some(strip) = flag("lstrip_blocks")? {
        out.lstrip_blocks = strip;
    }
    if let Some(sequence) = text("newline_sequence") {
        out.newline_sequence = sequence.replace("\\n", "\n").replace("\\r", "\r");
    }
    for (name, place) in [
        ("variable_start_string", &mut out.variable_start_string),
        ("variable_end_string", &mut out.variable_end_string),
        ("block_start_string", &mut out.block_start_string),
        ("block_end_string", &mut out.block_end_string),
        ("comment_start_string", &mut out.comment_start_string),
        ("comment_end_string", &mut out.comment_end_string),
    ] {
        if let Some(value) = text(name) {
            *place = value;
        }
    }
    Ok(out)
}

fn tree(root: &Path, below: &str, out: &mut Vec<(String, Option<Source>)>) -> Result<(), String> {
    let folder = if below.is_empty() { root.to_owned() } else { root.join(below) };
    let problem = |e: std::io::Error| format!("could not read the folder {}: {e}", folder.display());
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(problem)? {
        names.push(entry.map_err(problem)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for name in names {
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let full = root.join(&path);
        if full.is_dir() {
            out.push((path.clone(), None));
            tree(root, &path, out)?;
        } else {
            out.push((path, Some(describe(&full)?)));
        }
    }
    Ok(())
}

type Digests = HashMap<(PathBuf, u64, Option<SystemTime>), (String, String)>;

/// A file by its digests. A file is read once for all hosts, as long as its size and time stay the same.
fn describe(path: &Path) -> Result<Source, String> {
    static SEEN: OnceLock<Mutex<Digests>> = OnceLock::new();
    let problem = |e: std::io::Error| format!("could not read {} on the controller: {e}", path.display());
    let meta = std::fs::metadata(path).map_err(problem)?;
    if meta.is_dir() {
        return Err(format!("{} on the controller is a folder", path.display()));
    }
    let key = (path.to_owned(), meta.len(), meta.modified().ok());
    let seen = SEEN.get_or_init(Mutex::default);
    let known = seen.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let (sha256, sha1) = match known {
        Some(known) => known,
        None => {
            let mut file = std::fs::File::open(path).map_err(problem)?;
            let (mut long, mut short) = (sha2::Sha256::new(), sha1::Sha1::new());
            let mut buffer = vec![0; 1 << 16];
            loop {
                let n = file.read(&mut buffer).map_err(problem)?;
                if n == 0 {
                    break;
                }
                long.update(&buffer[..n]);
                short.update(&buffer[..n]);
            }
            let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let digests = (hex(&long.finalize()), hex(&short.finalize()));
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key, digests.clone());
            digests
        }
    };
    crate::source::reads::note_digest(path, &sha256);
    use std::os::unix::fs::PermissionsExt;
    Ok(Source { path: path.to_owned(), len: meta.len(), mode: meta.permissions().mode() & 0o7777, sha256, sha1 })
}
