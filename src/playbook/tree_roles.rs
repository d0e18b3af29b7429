//! The part of the tree that is about roles.

use super::tree::{Item, Keywords, Vars};
use crate::source::{Node, Span};
use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A role as it lies in its folder, without its tasks (those belong to a [`RoleUse`]). Two uses of a role have the same
/// `Arc<Role>`.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its name as it is shown (`nginx`).
    pub name: Arc<str>,
    /// Its folder.
    pub path: PathBuf,
    /// `meta/main.yml` says that it may run more than once with the same parameters.
    pub allow_duplicates: bool,
    /// What arguments it takes, by entry point (`main` is that of `tasks/main.yml`).
    pub argument_specs: IndexMap<Arc<str>, ArgumentSpec>,
}

/// One use of a role.
#[derive(Debug, Clone)]
pub struct RoleUse {
    /// The role.
    pub role: Arc<Role>,
    /// Where it is used.
    pub span: Span,
    /// What is said at the use: inherited by its tasks and by its dependencies.
    pub keywords: Arc<Keywords>,
    /// Parameters (keys beside `role:`), above most other variables for its tasks.
    pub params: Arc<Vars>,
    /// `defaults/main.yml`, or what `defaults_from` names.
    pub defaults: Arc<Vars>,
    /// `vars/main.yml`, or what `vars_from` names.
    pub vars: Arc<Vars>,
    /// Roles that run before it, unless they have run in this play with the same parameters.
    pub dependencies: Vec<Arc<RoleUse>>,
    /// `tasks/main.yml`, or what `tasks_from` names.
    pub tasks: Vec<Item>,
    /// `handlers/main.yml`, or what `handlers_from` names.
    pub handlers: Vec<Item>,
    /// The name of the tasks file without its extension: the entry point in `argument_specs`.
    pub entry_point: Arc<str>,
    /// Whether the rest of the play sees its variables and defaults.
    pub public: bool,
    /// It is passed over on a host on which an equal use (same role, same parameters, same keywords) has run in this
    /// play: of `roles:` and dependencies unless the role allows duplicates, never of `import_role`.
    pub once: bool,
    /// Whether its arguments are checked against its argument specification before its tasks run.
    pub validate: bool,
    /// Equal for equal uses: what [`Self::once`] compares.
    pub identity: Arc<str>,
}

/// What one entry point of a role takes (`meta/argument_specs.yml`).
#[derive(Debug, Clone, Default)]
pub struct ArgumentSpec {
    /// One sentence.
    pub short_description: Option<Arc<str>>,
    /// The arguments.
    pub options: Vec<OptionSpec>,
}

/// One argument of a role.
#[derive(Debug, Clone)]
pub struct OptionSpec {
    /// The variable.
    pub name: Arc<str>,
    /// Where it is declared.
    pub span: Span,
    /// `str`, `int`, `bool`, `list`, `dict`, `path`, `float`, `raw`…
    pub kind: Arc<str>,
    /// The type of a list's items.
    pub elements: Option<Arc<str>>,
    /// Whether it must be defined.
    pub required: bool,
    /// The values it may have.
    pub choices: Vec<Node>,
    /// For the documentation only: a role's default stands in `defaults/`.
    pub default: Option<Node>,
    /// What a `dict`, or each item of a list of them, holds.
    pub options: Vec<OptionSpec>,
}
