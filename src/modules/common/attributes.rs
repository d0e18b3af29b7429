//! Owner, group and mode: the arguments that all file modules share.

use crate::host::{Action, ActionKind, ModeSpec, PathKind, PathState, Stop};

crate::module_args! {
    /// What all file modules take.
    pub struct FileAttributes {
        /// Owner, by name or number.
        owner: Option<String>;
        /// Group, by name or number.
        group: Option<String>;
        /// Permission bits: octal as a quoted string, or symbolic (`u=rw,go=r`).
        mode: Option<ModeSpec>;
        /// Write into the target where it can't be renamed over, such as a mount point. Never by default: a reader may
        /// then see half a file.
        unsafe_writes: bool = false;
    }
}

impl FileAttributes {
    /// The permission bits that something will have: asked for, or as they are, or `default` for what is new.
    ///
    /// # Errors
    /// When a symbolic mode can't be read.
    pub fn final_mode(&self, now: &PathState, default: u32) -> Result<u32, String> {
        let current = if now.exists() { now.mode } else { default };
        match &self.mode {
            Some(spec) => spec.apply(current, now.kind == PathKind::Directory, 0o022),
            None => Ok(current),
        }
    }

    /// The action that gives `path`, which is as `now` says, the attributes asked for; none if it has them.
    ///
    /// # Errors
    /// When a symbolic mode can't be read, and where an owner or group that an earlier step sets can't be compared yet.
    pub fn change(&self, path: &str, now: &PathState, follow: bool) -> Result<Option<Action>, Stop> {
        let mode = match &self.mode {
            // A link has no mode of its own on Linux.
            Some(spec) if now.kind != PathKind::Link || follow => {
                let wanted = spec.apply(now.mode, now.kind == PathKind::Directory, 0o022)?;
                (wanted != now.mode).then_some(wanted)
            }
            _ => None,
        };
        let differs = |wanted: &Option<String>, same: &dyn Fn(&str) -> Option<bool>| match wanted {
            None => Ok(None),
            Some(wanted) => match same(wanted) {
                Some(true) => Ok(None),
                Some(false) => Ok(Some(wanted.clone())),
                None => Err(Stop::Unknown(format!("the owner or group of {path}").into())),
            },
        };
        let owner = differs(&self.owner, &|o| now.owned_by(o))?;
        let group = differs(&self.group, &|g| now.grouped_by(g))?;
        Ok(change(path, now, follow, mode, owner, group))
    }

    /// The action that gives `path`, which was just made, all attributes asked for.
    ///
    /// # Errors
    /// When a symbolic mode can't be read.
    pub fn set(&self, path: &str, made: &PathState) -> Result<Option<Action>, Stop> {
        let mode =
            self.mode.as_ref().map(|m| m.apply(made.mode, made.kind == PathKind::Directory, 0o022)).transpose()?;
        Ok(change(path, made, true, mode, self.owner.clone(), self.group.clone()))
    }
}

fn change(
    path: &str,
    now: &PathState,
    follow: bool,
    mode: Option<u32>,
    owner: Option<String>,
    group: Option<String>,
) -> Option<Action> {
    if mode.is_none() && owner.is_none() && group.is_none() {
        return None;
    }
    let mut words = Vec::new();
    words.extend(mode.map(|m| format!("mode {:04o} -> {m:04o}", now.mode)));
    words.extend(owner.as_ref().map(|o| format!("owner {} -> {o}", now.owner.as_deref().unwrap_or("?"))));
    words.extend(group.as_ref().map(|g| format!("group {} -> {g}", now.group.as_deref().unwrap_or("?"))));
    let shows = format!("change {path}: {}", words.join(", "));
    Some(Action::new(ActionKind::Attributes { path: path.to_owned(), follow, mode, owner, group }, shows))
}
