//! The typed tree of a playbook: plain data, no behaviour.
//!
//! All that Ansible would template stays a [`Node`] with its place. Static imports are already in place (a [`Block`] for
//! `import_tasks`, an [`Item::Role`] for `import_role`); includes stay [`Action`]s, and are read with
//! [`load_tasks_file`](super::load_tasks_file) and [`load_role`](super::load_role) when their turn comes.

use super::deploy::DeployCall;
use super::search::SearchPath;
use super::tree_roles::{Role, RoleUse};
use crate::modules::Module;
use crate::source::{Diagnostic, Entry, Node, Span};
use indexmap::IndexMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Variables as they stand in a file, each rendered when it is used.
pub type Vars = IndexMap<Arc<str>, Arc<Node>>;

/// A playbook with those that it imports, in order.
#[derive(Debug, Clone)]
pub struct Playbook {
    /// The file that was asked for.
    pub file: PathBuf,
    /// All plays, also those of imported playbooks.
    pub plays: Vec<Arc<Play>>,
    /// What is worth a word and stops nothing.
    pub warnings: Vec<Diagnostic>,
}

/// A play.
#[derive(Debug, Clone)]
pub struct Play {
    /// Its name; by default its hosts.
    pub name: Option<Node>,
    /// Where it stands.
    pub span: Span,
    /// The host patterns: a string (split at `,` and `:`) or a list of them.
    pub hosts: Node,
    /// The folder of its playbook file, where relative files are looked for.
    pub base_dir: PathBuf,
    /// Keywords that its tasks inherit, `vars` among them.
    pub keywords: Arc<Keywords>,
    /// Whether facts are gathered first; by default they are.
    pub gather_facts: Option<Node>,
    /// What of them.
    pub gather_subset: Option<Node>,
    /// For how many seconds at most.
    pub gather_timeout: Option<Node>,
    /// Files with variables, in order.
    pub vars_files: Vec<VarsFile>,
    /// Variables that a person is asked for.
    pub vars_prompt: Vec<VarsPrompt>,
    /// Before the roles.
    pub pre_tasks: Vec<Item>,
    /// The roles, in order; each brings its dependencies.
    pub roles: Vec<Arc<RoleUse>>,
    /// After the roles.
    pub tasks: Vec<Item>,
    /// At the end.
    pub post_tasks: Vec<Item>,
    /// The play's own handlers. Those of its roles come before them and stand in [`Play::role_uses`].
    pub handlers: Vec<Item>,
    /// Every static use of a role in this play (`roles:`, dependencies, `import_role`), each once, dependencies first.
    /// Their handlers can be notified from the whole play, and the variables and defaults of those that are
    /// [`RoleUse::public`] are seen by the whole play.
    pub role_uses: Vec<Arc<RoleUse>>,
    /// Sizes of the batches: integers or percentages; the last one repeats.
    pub serial: Vec<Node>,
    /// How hosts move on.
    pub strategy: Strategy,
    /// The play ends when more than this part of a batch failed.
    pub max_fail_percentage: Option<Node>,
    /// Run notified handlers also on hosts that failed.
    pub force_handlers: Option<Node>,
    /// The order of the hosts.
    pub order: HostOrder,
    /// A release of an application, brought to the hosts after all else.
    pub deploy: Option<Arc<DeployCall>>,
}

/// One entry of `vars_files`: the first of these files that exists. A single one must exist.
#[derive(Debug, Clone)]
pub struct VarsFile {
    /// The candidates.
    pub candidates: Vec<Node>,
}

/// One entry of `vars_prompt`.
#[derive(Debug, Clone)]
pub struct VarsPrompt {
    /// The variable.
    pub name: Arc<str>,
    /// Where it stands.
    pub span: Span,
    /// What is asked.
    pub prompt: Option<Node>,
    /// What an empty answer, or a run without a terminal, means.
    pub default: Option<Node>,
    /// Whether typing is hidden (the default).
    pub private: bool,
    /// Whether it is asked twice.
    pub confirm: bool,
}

/// How hosts move on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Together, task by task.
    #[default]
    Linear,
    /// Each as fast as it can.
    Free,
}

/// The order in which a play takes its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostOrder {
    /// As the inventory has them.
    #[default]
    Inventory,
    /// As the inventory has them, backwards.
    ReverseInventory,
    /// By name.
    Sorted,
    /// By name, backwards.
    ReverseSorted,
    /// By chance.
    Shuffle,
}

/// What a list of tasks is made of.
#[derive(Debug, Clone)]
pub enum Item {
    /// A task.
    Task(Arc<Task>),
    /// Tasks that share keywords.
    Block(Arc<Block>),
    /// A role that stands here (`import_role`).
    Role(Arc<RoleUse>),
}

/// Tasks that share keywords; also what `import_tasks` becomes.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its name.
    pub name: Option<Node>,
    /// Where it stands.
    pub span: Span,
    /// Inherited by all tasks in it.
    pub keywords: Arc<Keywords>,
    /// The tasks.
    pub body: Vec<Item>,
    /// Run when one of them failed.
    pub rescue: Vec<Item>,
    /// Run in any case.
    pub always: Vec<Item>,
    /// Told when something in it changed.
    pub notify: Vec<Node>,
    /// As a handler: it runs when one of these topics is notified.
    pub listen: Vec<Node>,
    /// The role it stands in.
    pub role: Option<Arc<Role>>,
}

/// Names a task within one run. Unique among all that one [`LoadContext`](super::LoadContext) loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u32);

/// A task, or a handler.
#[derive(Debug, Clone)]
pub struct Task {
    /// Which.
    pub id: TaskId,
    /// Its name; by default the name of what it does.
    pub name: Option<Node>,
    /// Where it stands.
    pub span: Span,
    /// This task's own keywords; those of the blocks, roles and the play around it are inherited when it runs.
    pub keywords: Arc<Keywords>,
    /// What it does.
    pub action: Action,
    /// Whether it does it for each of some items.
    pub loop_: Option<Loop>,
    /// The variable that keeps its result.
    pub register: Option<Arc<str>>,
    /// Conditions that must all hold for it to count as changed.
    pub changed_when: Vec<Node>,
    /// Conditions that must all hold for it to count as failed.
    pub failed_when: Vec<Node>,
    /// It is repeated until these conditions hold.
    pub until: Vec<Node>,
    /// How often at most (3).
    pub retries: Option<Node>,
    /// Seconds between (5).
    pub delay: Option<Node>,
    /// Handlers, or topics, that are told when it changed something.
    pub notify: Vec<Node>,
    /// As a handler: topics that it listens to.
    pub listen: Vec<Node>,
    /// Seconds that it may take in the background.
    pub async_: Option<Node>,
    /// Seconds between looks at it (15); 0 means: go on at once.
    pub poll: Option<Node>,
    /// The role it stands in, for search paths, role variables and handler names.
    pub role: Option<Arc<Role>>,
    /// The folder of the file it stands in.
    pub dir: PathBuf,
    /// Where its files are looked for.
    pub search: Arc<SearchPath>,
}

/// What a task loops over.
#[derive(Debug, Clone)]
pub struct Loop {
    /// The list, or the argument of the lookup.
    pub items: Node,
    /// Where the items come from.
    pub kind: LoopKind,
    /// `loop_control`.
    pub control: LoopControl,
}

/// Where a loop's items come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopKind {
    /// `loop:` gives the list itself.
    Loop,
    /// `with_NAME:` gives the terms of the lookup of this name (`items`, `dict`, `fileglob`…).
    With(&'static str),
}

/// `loop_control`.
#[derive(Debug, Clone)]
pub struct LoopControl {
    /// The variable of the item (`item`).
    pub loop_var: Arc<str>,
    /// The variable of its number, counted from 0.
    pub index_var: Option<Arc<str>>,
    /// What is shown for an item.
    pub label: Option<Node>,
    /// Seconds between items.
    pub pause: Option<Node>,
    /// Whether `ansible_loop` is set.
    pub extended: Option<Node>,
    /// Whether `ansible_loop.allitems` is set, too (it is by default).
    pub extended_allitems: Option<Node>,
    /// The loop ends after an item for which these conditions hold.
    pub break_when: Vec<Node>,
}

/// What a task does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Runs a module.
    Module(ModuleCall),
    /// `include_tasks`.
    IncludeTasks(IncludeTasks),
    /// `include_role`.
    IncludeRole(IncludeRole),
    /// `include_vars`.
    IncludeVars(IncludeVars),
    /// `meta`.
    Meta(MetaAction),
}

/// A module with its arguments.
#[derive(Clone)]
pub struct ModuleCall {
    /// The module.
    pub module: &'static Module,
    /// Where its name stands.
    pub name_span: Span,
    /// Its arguments. A free-form command line stands under `_raw_params`.
    pub args: Vec<Entry>,
    /// A template that yields further arguments (`args: "{{ x }}"`, `file: "{{ x }}"`); those in `args` win.
    pub base: Option<Node>,
}

impl fmt::Debug for ModuleCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("ModuleCall");
        out.field("module", &self.module.name())
            .field("args", &self.args)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// `include_tasks`.
#[derive(Debug, Clone)]
pub struct IncludeTasks {
    /// The file.
    pub file: Node,
    /// Keywords for the included tasks.
    pub apply: Arc<Keywords>,
}

/// `include_role`.
#[derive(Debug, Clone)]
pub struct IncludeRole {
    /// The role.
    pub name: Node,
    /// A file of `tasks/` (`main`).
    pub tasks_from: Option<Node>,
    /// A file of `vars/` (`main`).
    pub vars_from: Option<Node>,
    /// A file of `defaults/` (`main`).
    pub defaults_from: Option<Node>,
    /// A file of `handlers/` (`main`).
    pub handlers_from: Option<Node>,
    /// Keywords for the included tasks.
    pub apply: Arc<Keywords>,
    /// Whether the rest of the play sees its variables and defaults (no).
    pub public: Option<Node>,
    /// Whether it runs again if it has run with the same parameters (yes).
    pub allow_duplicates: Option<Node>,
    /// Whether its arguments are checked against its argument specification (yes).
    pub rolespec_validate: Option<Node>,
}

/// `include_vars`: one of `file` and `dir` is there.
#[derive(Debug, Clone)]
pub struct IncludeVars {
    /// One file.
    pub file: Option<Node>,
    /// All files of a folder, in order of their names.
    pub dir: Option<Node>,
    /// The variable that keeps them, instead of one for each key.
    pub name: Option<Node>,
    /// How deep below `dir` (0: no limit).
    pub depth: Option<Node>,
    /// A regular expression for names of files.
    pub files_matching: Option<Node>,
    /// Names of files to leave out.
    pub ignore_files: Option<Node>,
    /// Extensions that are read (`json`, `yaml`, `yml`).
    pub extensions: Option<Node>,
    /// Whether other extensions are passed over instead of being an error.
    pub ignore_unknown_extensions: Option<Node>,
    /// `replace` or `merge`.
    pub hash_behaviour: Option<Node>,
}

/// What `meta` can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaAction {
    /// Run notified handlers now.
    FlushHandlers,
    /// Nothing.
    Noop,
    /// Forget the facts of the host.
    ClearFacts,
    /// Let failed hosts take part again.
    ClearHostErrors,
    /// End the play for all hosts, without a failure.
    EndPlay,
    /// End the play for this host.
    EndHost,
    /// End the batch of `serial`.
    EndBatch,
    /// End the role for this host.
    EndRole,
    /// Read the inventory again.
    RefreshInventory,
    /// Close the connection; the next task opens it anew.
    ResetConnection,
}

/// Keywords that plays, roles, blocks and tasks share, and that pass from the outer to the inner: the innermost value
/// counts, but `when`, `tags`, `environment` and `vars` add up.
#[derive(Debug, Clone, Default)]
pub struct Keywords {
    /// Variables.
    pub vars: Arc<Vars>,
    /// Conditions: expressions without braces, or booleans. All must hold.
    pub when: Vec<Node>,
    /// Tags.
    pub tags: Vec<Arc<str>>,
    /// Whether privileges are raised.
    pub become_: Option<Node>,
    /// To whose.
    pub become_user: Option<Node>,
    /// How: `sudo` or `su`.
    pub become_method: Option<Node>,
    /// With which flags.
    pub become_flags: Option<Node>,
    /// By which program.
    pub become_exe: Option<Node>,
    /// Environment variables: mappings or templates of mappings, a later one wins.
    pub environment: Vec<Node>,
    /// Go on after a failure.
    pub ignore_errors: Option<Node>,
    /// Go on when the host can't be reached.
    pub ignore_unreachable: Option<Node>,
    /// Show nothing of arguments and results.
    pub no_log: Option<Node>,
    /// The host that does it.
    pub delegate_to: Option<Node>,
    /// Whether facts are kept for that host.
    pub delegate_facts: Option<Node>,
    /// Done by the first host for all.
    pub run_once: Option<Node>,
    /// Whether it only foretells (`check_mode`).
    pub check_mode: Option<Node>,
    /// Whether it shows differences.
    pub diff: Option<Node>,
    /// One failed host ends the play for all.
    pub any_errors_fatal: Option<Node>,
    /// How many hosts at a time.
    pub throttle: Option<Node>,
    /// Seconds that a task may take.
    pub timeout: Option<Node>,
    /// The user to log in as.
    pub remote_user: Option<Node>,
    /// The port to connect to.
    pub port: Option<Node>,
    /// How to connect: `ssh` or `local`.
    pub connection: Option<Node>,
    /// Arguments for modules, by module; below the task's own. An inner one replaces an outer one of the same module.
    pub module_defaults: Vec<ModuleDefaults>,
}

/// Arguments that every use of a module takes unless it says otherwise.
#[derive(Clone)]
pub struct ModuleDefaults {
    /// The module.
    pub module: &'static Module,
    /// The arguments.
    pub args: Vec<Entry>,
}

impl fmt::Debug for ModuleDefaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.module.name(), self.args)
    }
}
