//! Folders on the way to a path.

use crate::host::key::parent;
use crate::host::{Action, ActionKind, PathKind, Stop, View};

/// The folders that are missing on the way to `path`, itself included, outermost first.
///
/// # Errors
/// As [`View::ask`], and a failure where something else is in the way.
pub fn missing(view: &View<'_>, path: &str) -> Result<Vec<String>, Stop> {
    // All at once: a deep path costs one trip.
    let mut chain = vec![path.to_owned()];
    let mut at = path;
    while let Some(up) = parent(at) {
        chain.push(up.to_owned());
        at = up;
    }
    let states: Vec<_> = chain.iter().map(|p| view.path_with(p, true, None)).collect();
    let mut missing = Vec::new();
    for (folder, state) in chain.into_iter().zip(states) {
        match state?.kind {
            PathKind::Absent => missing.push(folder),
            PathKind::Directory => break,
            _ => return Err(Stop::fail(format!("can't create {path}: {folder} is not a folder"))),
        }
    }
    missing.reverse();
    Ok(missing)
}

/// The action that makes a folder.
pub fn make(path: &str, mode: Option<u32>, owner: Option<&str>, group: Option<&str>) -> Action {
    let kind = ActionKind::Directory {
        path: path.to_owned(),
        mode,
        owner: owner.map(str::to_owned),
        group: group.map(str::to_owned),
    };
    Action::new(kind, format!("create folder {path}"))
}
