//! What `--list-tasks` and `--list-tags` show.

use super::tags::selected;
use super::tree::{Action, Item, Play, Task};
use super::tree_roles::RoleUse;
use std::sync::Arc;

/// A task as it is listed.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The task.
    pub task: Arc<Task>,
    /// Its name, with the role before it.
    pub name: String,
    /// Its tags and all that it inherits, sorted.
    pub tags: Vec<Arc<str>>,
}

impl Task {
    /// The name that is shown: `ROLE : NAME`, where the name is by default that of the module. Templates in it stay.
    pub fn title(&self) -> String {
        let name = self.name.as_ref().and_then(|n| crate::source::text_of(n).ok());
        let name = name.as_deref().unwrap_or_else(|| self.action.name());
        match &self.role {
            Some(role) => format!("{} : {name}", role.name),
            None => name.to_owned(),
        }
    }
}

impl Action {
    /// The name of the module, or of what stands instead of one.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Module(call) => call.module.name(),
            Self::IncludeTasks(_) => "include_tasks",
            Self::IncludeRole(_) => "include_role",
            Self::IncludeVars(_) => "include_vars",
            Self::Meta(_) => "meta",
        }
    }
}

impl Play {
    /// The tasks that `--tags` and `--skip-tags` select, in the order in which they run. Handlers, and what includes
    /// will bring, are not among them.
    pub fn listed(&self, only: &[Arc<str>], skip: &[Arc<str>]) -> Vec<Listed> {
        let mut out = Vec::new();
        let tags = self.keywords.tags.clone();
        items(&self.pre_tasks, &tags, &mut out);
        for role in &self.roles {
            role_use(role, &tags, &mut out);
        }
        items(&self.tasks, &tags, &mut out);
        items(&self.post_tasks, &tags, &mut out);
        out.retain(|l| selected(&l.tags, only, skip));
        out
    }
}

fn with(outer: &[Arc<str>], own: &[Arc<str>]) -> Vec<Arc<str>> {
    let mut all = [outer, own].concat();
    all.sort();
    all.dedup();
    all
}

fn role_use(used: &RoleUse, tags: &[Arc<str>], out: &mut Vec<Listed>) {
    let tags = with(tags, &used.keywords.tags);
    for dependency in &used.dependencies {
        role_use(dependency, &tags, out);
    }
    items(&used.tasks, &tags, out);
}

fn items(all: &[Item], tags: &[Arc<str>], out: &mut Vec<Listed>) {
    for item in all {
        match item {
            Item::Task(task) => {
                let tags = with(tags, &task.keywords.tags);
                out.push(Listed { name: task.title(), task: Arc::clone(task), tags });
            }
            Item::Block(block) => {
                let tags = with(tags, &block.keywords.tags);
                for part in [&block.body, &block.rescue, &block.always] {
                    items(part, &tags, out);
                }
            }
            Item::Role(used) => role_use(used, tags, out),
        }
    }
}
