//! Editing a file: what `lineinfile`, `blockinfile` and `replace` share.

use super::attributes::FileAttributes;
use super::put::{self, How};
use super::{folders, paths};
use crate::host::key::parent;
use crate::host::{Content, Decision, Failure, PathKind, PathState, Stop, TaskResult, View};
use crate::values::Value;
use std::sync::Arc;

/// A file to edit.
pub struct Editing {
    /// As the playbook names it.
    pub path: String,
    /// The file itself, behind links.
    pub real: String,
    /// What is there.
    pub now: PathState,
    /// Its bytes; none where it does not exist.
    pub before: Option<Arc<[u8]>>,
}

/// Looks at the file.
///
/// # Errors
/// As [`View::ask`], and a failure where it is a folder.
pub fn open(view: &View<'_>, path: &str) -> Result<Editing, Stop> {
    let path = paths::absolute(view, "path", path)?;
    let (now, before) = (view.path_with(&path, true, None), view.content(&path));
    let now = now?;
    if now.kind == PathKind::Directory {
        return Err(refused(256, format!("{path} is a folder, not a file")));
    }
    let before = if now.exists() { before? } else { None };
    let real = now.real.clone().unwrap_or_else(|| path.clone());
    Ok(Editing { path, real, now, before })
}

/// A failure with the exit status that these modules give.
pub fn refused(rc: i64, message: String) -> Stop {
    let mut failure = Failure { message, ..Failure::default() };
    failure.data.insert("rc".into(), Value::from(rc));
    Stop::Fail(Box::new(failure))
}

/// The failure of a file that is not there.
pub fn not_there(path: &str) -> Stop {
    refused(257, format!("{path} does not exist; `create: true` would create it"))
}

/// Writes the file as it should be. `after` is none where its content stays; `msg` says what was changed in it.
///
/// # Errors
/// As [`View::ask`], and failures for targets that can't be.
pub fn save(
    view: &View<'_>,
    editing: &Editing,
    after: Option<&[u8]>,
    msg: &str,
    how: How<'_>,
    result: TaskResult,
) -> Result<Decision, Stop> {
    put::check_validate(how.validate)?;
    let attributes: &FileAttributes = how.attributes;
    let change = if editing.now.exists() { attributes.change(&editing.real, &editing.now, false)? } else { None };
    let mut words = msg.to_owned();
    if change.is_some() {
        words.push_str(if words.is_empty() { "" } else { " and " });
        words.push_str("ownership or permissions changed");
    }
    let mut result = result.msg(words);
    let before = editing.before.as_deref();
    let Some(after) = after.filter(|a| Some(*a) != before) else {
        result.changed = change.is_some();
        return Ok(Decision::act(result, change.into_iter().collect()));
    };
    let mut actions = Vec::new();
    if !editing.now.exists() {
        let above = parent(&editing.real).unwrap_or("/");
        actions.extend(folders::missing(view, above)?.iter().map(|f| folders::make(f, None, None, None)));
    }
    let content = Content::Bytes(Arc::from(after));
    let (action, backup) = put::install(view, &editing.real, &editing.now, content, how)?;
    if let Some(backup) = backup {
        result = result.with("backup", backup.as_str()).with("backup_file", backup);
    }
    actions.push(action);
    result.changed = true;
    let header = format!("{} (content)", editing.path);
    let diff = put::text_diff(&header, &header, Some(before.unwrap_or_default()), Some(after));
    Ok(Decision::act(result.diff(diff), actions))
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
