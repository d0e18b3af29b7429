//! Owner, group and mode: the arguments that all file modules share.

use crate::host::{Action, ActionKind, ModeSpec, PathKind, PathState};

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
    /// When a symbolic mode can't be read.
    pub fn change(&self, path: &str, now: &PathState, follow: bool) -> Result<Option<Action>, String> {
        let mode = match &self.mode {
            // A link has no mode of its own on Linux.
            Some(spec) if now.kind != PathKind::Link || follow => {
                let wanted = spec.apply(now.mode, now.kind == PathKind::Directory, 0o022)?;
                (wanted != now.mode).then_some(wanted)
            }
            _ => None,
        };
        let owner = self.owner.clone().filter(|o| now.owned_by(o) != Some(true));
        let group = self.group.clone().filter(|g| now.grouped_by(g) != Some(true));
        if mode.is_none() && owner.is_none() && group.is_none() {
            return Ok(None);
        }
        let mut words = Vec::new();
        words.extend(mode.map(|m| format!("mode {:04o} -> {m:04o}", now.mode)));
        words.extend(owner.as_ref().map(|o| format!("owner {} -> {o}", now.owner.as_deref().unwrap_or("?"))));
        words.extend(group.as_ref().map(|g| format!("group {} -> {g}", now.group.as_deref().unwrap_or("?"))));
        let shows = format!("change {path}: {}", words.join(", "));
        Ok(Some(Action::new(ActionKind::Attributes { path: path.to_owned(), follow, mode, owner, group }, shows)))
    }
}
