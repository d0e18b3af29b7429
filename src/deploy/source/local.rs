//! A source that is a folder of this machine, as it is now.

use super::error::SourceError;
use super::git::{Git, inherited, work_tree};
use super::sink::{Origin, Sink};
use super::url::RepoUrl;
use super::{History, Options, Packed, Relation};
use ignore::{DirEntry, WalkBuilder};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What no release needs, whatever the ignore files say: the records of version control, and what Python and its tools
/// write by themselves. `node_modules` is not among them: a project may serve static files out of it.
const NEVER: [&str; 10] =
    [".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", ".nox", ".DS_Store"];

/// Ignore files in the order of what counts more; those of folders below count more than those above.
const IGNORE_FILES: [&str; 2] = [".gitignore", ".windlassignore"];

/// Packs a folder.
pub(super) fn pack(path: &Path, project_dir: &str, options: &Options) -> Result<Packed, SourceError> {
    let root = path.canonicalize().map_err(|e| SourceError::read(path, e))?;
    if !root.is_dir() {
        let what = format!("{} is not a folder; give an archive as an archive", path.display());
        return Err(SourceError::Spec { what });
    }
    let top = work_tree(&root).map(Path::to_owned);
    let state = top.as_deref().map(|_| State::of(&root)).unwrap_or_default();
    let mut sink = Sink::new(format!("the folder {}", path.display()), " by a .windlassignore", options)?;
    for file in files(&root, top.as_deref().unwrap_or(&root), &state.forced, &sink)? {
        add(&root, &file, &mut sink)?;
    }
    let origin = Origin {
        commit: state.commit,
        describe: state.describe,
        dirty: state.dirty,
        lfs: "run `git lfs pull` in it",
        empty: "; or its .gitignore or .windlassignore leave all of them out",
    };
    sink.finish(project_dir, origin)
}

/// The history between two commits, as the working copy knows it.
pub(super) fn history(path: &Path, old: &str, new: &str, options: &Options) -> Result<History, SourceError> {
    let root = path.canonicalize().map_err(|e| SourceError::read(path, e))?;
    if work_tree(&root).is_none() {
        return Ok(History::none(Relation::NoHistory));
    }
    History::read(&Git::new(&root, RepoUrl::try_from(root.as_path())?, None, options), old, new)
}

/// What git says of a working copy. Where it says nothing (it is not installed, or refuses somebody else's folder), the
/// folder is packed like any other.
#[derive(Default)]
struct State {
    commit: Option<String>,
    describe: Option<String>,
    dirty: bool,
    /// Files that are tracked although `.gitignore` names them.
    forced: BTreeSet<PathBuf>,
}

impl State {
    fn of(root: &Path) -> Self {
        let ask = |words: &[&str]| {
            let output = inherited(root).args(words).output().ok()?;
            output.status.success().then_some(output.stdout)
        };
        let line = |words: &[&str]| {
            let text = String::from_utf8(ask(words)?).ok()?;
            Some(text.trim().to_owned()).filter(|t| !t.is_empty())
        };
        let forced = ask(&["ls-files", "-z", "--cached", "--ignored", "--exclude-per-directory=.gitignore"]);
        let forced = forced.unwrap_or_default();
        let names = forced.split(|b| *b == 0).filter(|n| !n.is_empty());
        Self {
            commit: line(&["rev-parse", "--verify", "--quiet", "HEAD"]),
            describe: line(&["symbolic-ref", "--short", "--quiet", "HEAD"])
                .or_else(|| line(&["describe", "--tags", "--exact-match"])),
            dirty: ask(&["status", "--porcelain", "--", "."]).is_some_and(|out| !out.is_empty()),
            forced: names.map(|n| root.join(OsStr::from_bytes(n))).collect(),
        }
    }
}

/// The files and links of the tree at `root`, sorted by path. `top` is where the ignore files begin to count: the top of
/// the working copy that `root` lies in.
fn files(root: &Path, top: &Path, forced: &BTreeSet<PathBuf>, sink: &Sink) -> Result<Vec<PathBuf>, SourceError> {
    let mut found = BTreeSet::new();
    walk(root, top, &IGNORE_FILES, sink, |path| {
        found.insert(path);
    })?;
    if !forced.is_empty() {
        // What is tracked counts as wanted, but for `.windlassignore`.
        walk(root, top, &IGNORE_FILES[1..], sink, |path| {
            if forced.contains(&path) {
                found.insert(path);
            }
        })?;
    }
    let mut found: Vec<PathBuf> = found.into_iter().collect();
    // By the bytes of the whole path, as git sorts: a path's own order is by its parts.
    found.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(found)
}

fn walk(
    root: &Path,
    top: &Path,
    ignore_files: &[&str],
    sink: &Sink,
    mut each: impl FnMut(PathBuf),
) -> Result<(), SourceError> {
    let mut builder = WalkBuilder::new(top);
    // No hidden files left out, and nothing read outside of the tree: what is packed must not depend on who packs it.
    builder.standard_filters(false).follow_links(false);
    for name in ignore_files {
        builder.add_custom_ignore_filename(name);
    }
    let below = root.to_owned();
    builder.filter_entry(move |entry| {
        let path = entry.path();
        below.starts_with(path) || (path.starts_with(&below) && !never(entry))
    });
    for entry in builder.build() {
        sink.pause()?;
        let entry = entry.map_err(|e| match e.io_error() {
            Some(io) => SourceError::read(root, std::io::Error::new(io.kind(), e.to_string())),
            None => SourceError::read(root, std::io::Error::other(e.to_string())),
        })?;
        // Sockets, pipes and devices are no part of a project.
        let wanted = entry.file_type().is_some_and(|t| t.is_file() || t.is_symlink());
        if wanted && entry.path() != root && entry.path().starts_with(root) {
            each(entry.into_path());
        }
    }
    Ok(())
}

fn never(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let compiled = || Path::new(name).extension().is_some_and(|e| e == "pyc" || e == "pyo");
    // A virtualenv, by what makes it one (PEP 405).
    let virtualenv = || entry.file_type().is_some_and(|t| t.is_dir()) && entry.path().join("pyvenv.cfg").is_file();
    NEVER.iter().any(|n| name == *n) || compiled() || virtualenv()
}

fn add(root: &Path, path: &Path, sink: &mut Sink) -> Result<(), SourceError> {
    let broken = |e| SourceError::read(path, e);
    let Ok(name) = path.strip_prefix(root) else { return Ok(()) };
    let name = name.as_os_str().as_bytes().to_vec();
    let meta = path.symlink_metadata().map_err(broken)?;
    if meta.is_symlink() {
        let target = path.read_link().map_err(broken)?;
        return sink.link(name, target.into_os_string().into_encoded_bytes());
    }
    let mut file = File::open(path).map_err(broken)?;
    let meta = file.metadata().map_err(broken)?;
    if !meta.is_file() {
        return Err(SourceError::Changed { path: path.display().to_string() });
    }
    sink.file(name, meta.permissions().mode() & 0o100 != 0, meta.len(), &mut file, |e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => SourceError::Changed { path: path.display().to_string() },
        _ => broken(e),
    })
}
