//! Loading: what it needs from outside, reading files, and the state that one load carries along.

use super::notify::Notified;
use super::search::SearchPath;
use super::tree::{ModuleDefaults, Task, TaskId, Vars};
use super::tree_roles::{Role, RoleUse};
use crate::modules::Module;
use crate::source::{self, Diagnostic, Entry, Kind, Node, SourceFile, Span};
use crate::values::{Decrypt, NoVault, Templar, TemplateOptions, is_encrypted};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Checks templates without rendering them: syntax, and names of filters, tests and lookups.
pub trait Check: Send + Sync {
    /// A node and all that is in it.
    fn node(&self, node: &Node) -> Vec<Diagnostic>;
    /// An expression without braces (`when`), or a boolean.
    fn condition(&self, node: &Node) -> Vec<Diagnostic>;
    /// A file that the `template` module will render.
    fn template_file(&self, file: &Arc<SourceFile>) -> Vec<Diagnostic> {
        let _ = file;
        Vec::new()
    }
}

impl Check for Templar {
    fn node(&self, node: &Node) -> Vec<Diagnostic> {
        self.check_node(node)
    }
    fn condition(&self, node: &Node) -> Vec<Diagnostic> {
        self.check_condition(node)
    }
    fn template_file(&self, file: &Arc<SourceFile>) -> Vec<Diagnostic> {
        self.check_template(file, &TemplateOptions::default())
    }
}

/// Finds nothing wrong with any template.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unchecked;

impl Check for Unchecked {
    fn node(&self, _: &Node) -> Vec<Diagnostic> {
        Vec::new()
    }
    fn condition(&self, _: &Node) -> Vec<Diagnostic> {
        Vec::new()
    }
}

/// What loading needs from outside. One lasts for a whole run: it numbers the tasks, and remembers files and roles, so
/// that an include at run time reads nothing twice.
pub struct LoadContext {
    /// Folders with roles, after the `roles` folder beside the playbook.
    pub roles_path: Vec<PathBuf>,
    /// The folder into which [`super::embedded::unpack`] put the built-in roles and playbooks. A user's role of the
    /// same name wins.
    pub builtin: Option<PathBuf>,
    /// Opens encrypted files.
    pub decrypt: Arc<dyn Decrypt>,
    /// Checks templates.
    pub check: Arc<dyn Check>,
    /// All modules there are.
    pub(super) modules: &'static [&'static Module],
    ids: AtomicU32,
    files: Mutex<HashMap<PathBuf, Arc<Node>>>,
    roles: Mutex<HashMap<PathBuf, Arc<Role>>>,
}

impl fmt::Debug for LoadContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadContext").field("roles_path", &self.roles_path).finish_non_exhaustive()
    }
}

impl LoadContext {
    /// A context with no further roles and no vault password.
    pub fn new(check: Arc<dyn Check>) -> Self {
        Self {
            roles_path: Vec::new(),
            builtin: None,
            decrypt: Arc::new(NoVault),
            modules: crate::modules::all(),
            check,
            ids: AtomicU32::new(0),
            files: Mutex::default(),
            roles: Mutex::default(),
        }
    }

    /// A number for a task.
    pub(super) fn next_id(&self) -> TaskId {
        TaskId(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// The module of this name, short or full.
    pub(super) fn module(&self, name: &str) -> Option<&'static Module> {
        self.modules.iter().find(|m| m.names.contains(&name)).copied()
    }

    /// The one `Arc` of the role in this folder.
    pub(super) fn intern_role(&self, role: Role) -> Arc<Role> {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(roles.entry(role.path.clone()).or_insert_with(|| Arc::new(role)))
    }

    /// How messages name a path: a built-in file by its place among the built-in ones, others as they were reached.
    pub(super) fn shown(&self, path: &Path) -> String {
        if let Some(rest) = self.builtin.as_ref().and_then(|b| path.strip_prefix(b).ok()) {
            return format!("built-in/{}", rest.display());
        }
        let path = path.to_string_lossy();
        path.strip_prefix("./").unwrap_or(&path).to_owned()
    }

    /// Reads a YAML file, decrypted where it is encrypted as a whole; an empty one is a null node.
    pub(super) fn yaml(&self, path: &Path) -> Result<Arc<Node>, Vec<Diagnostic>> {
        if let Some(node) = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(Arc::clone(node));
        }
        let name = self.shown(path);
        let file = source::read(path, &name).map_err(|d| vec![d])?;
        let node = if is_encrypted(&file.text) {
            self.encrypted(&file).map_err(|d| vec![d])?
        } else {
            source::parse_one(file)?
        };
        let node = Arc::new(node);
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), Arc::clone(&node));
        Ok(node)
    }

    /// A file that is encrypted as a whole. Nothing of its text may ever be shown, so that its spans point into a
    /// masked copy.
    fn encrypted(&self, file: &Arc<SourceFile>) -> Result<Node, Diagnostic> {
        let whole = Span { file: Arc::clone(file), start: 0, end: 14.min(file.text.len()), line: 1, column: 1 };
        let refused = |why: &str| {
            Diagnostic::error("vault", format!("can't open `{}`: {why}", file.name), &whole)
                .help("give the password with --vault-password-file or --ask-vault-pass")
        };
        let text = self.decrypt.decrypt(&file.text).map_err(|why| refused(&why))?;
        let masked: String =
            text.chars().map(|c| if c == '\n' { "\n".to_owned() } else { "*".repeat(c.len_utf8()) }).collect();
        let masked = Arc::new(SourceFile { name: file.name.clone(), text: masked });
        let mut node = source::parse_one(Arc::new(SourceFile { name: file.name.clone(), text })).map_err(|found| {
            // The parser's words may quote the text, so that only the place is passed on.
            let line = found.iter().find_map(|d| d.span.as_ref()).map_or(1, |s| s.line);
            Diagnostic::bare("vault", format!("what is encrypted in `{}` is no valid YAML (line {line})", file.name))
                .help("edit it with `ansible-vault edit`")
        })?;
        mask(&mut node, &masked);
        Ok(node)
    }
}

fn mask(node: &mut Node, file: &Arc<SourceFile>) {
    node.span.file = Arc::clone(file);
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|n| mask(n, file)),
        Kind::Map(entries) => {
            for Entry { key_span, value, .. } in entries {
                key_span.file = Arc::clone(file);
                mask(value, file);
            }
        }
        _ => {}
    }
}

/// Where a list of tasks stands: what an include needs to know of its place.
#[derive(Debug, Clone)]
pub struct Site {
    /// The role.
    pub role: Option<Arc<Role>>,
    /// Where its files are looked for.
    pub search: Arc<SearchPath>,
    /// Whether the tasks are handlers.
    pub handlers: bool,
    /// The defaults for modules in force there: they may give arguments that are otherwise missing.
    pub module_defaults: Vec<ModuleDefaults>,
}

impl Site {
    /// The place of an include. `handler`: it is one; `module_defaults`: its own and all inherited ones.
    pub fn of(task: &Task, handler: bool, module_defaults: Vec<ModuleDefaults>) -> Self {
        Self { role: task.role.clone(), search: Arc::clone(&task.search), handlers: handler, module_defaults }
    }

    /// The folder of a role in which its files of tasks lie.
    pub(super) fn folder(&self) -> &'static str {
        if self.handlers { "handlers" } else { "tasks" }
    }

    /// The same place, for a file in another folder.
    pub(super) fn at(&self, file: &Path) -> Self {
        let dir = file.parent().unwrap_or(Path::new("")).to_owned();
        let search = SearchPath { dir, ..(*self.search).clone() };
        Self { search: Arc::new(search), ..self.clone() }
    }
}

/// One load: findings and what is around the place that is read.
pub(super) struct Loader<'c> {
    pub ctx: &'c LoadContext,
    pub problems: Vec<Diagnostic>,
    /// Names of modules that have `module_defaults` here, with the names of their arguments.
    pub defaults: Vec<(&'static str, Vec<Arc<str>>)>,
    /// Static uses of roles met so far in this play.
    pub uses: Vec<Arc<RoleUse>>,
    /// Files and roles that are being read, outermost first.
    pub open: Vec<PathBuf>,
    /// Includes that were looked into.
    pub checked: HashSet<(PathBuf, Option<PathBuf>)>,
    /// Whether some task so far works on this machine, and may make files that later ones need.
    pub works_here: bool,
    /// Handlers of this play, and who notifies them.
    pub notified: Notified,
}

impl<'c> Loader<'c> {
    pub fn new(ctx: &'c LoadContext) -> Self {
        Self {
            ctx,
            problems: Vec::new(),
            defaults: Vec::new(),
            uses: Vec::new(),
            open: Vec::new(),
            checked: HashSet::new(),
            works_here: false,
            notified: Notified::default(),
        }
    }

    pub fn report(&mut self, problem: Diagnostic) {
        // A role that is used twice would tell everything twice.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub fn report_all(&mut self, problems: Vec<Diagnostic>) {
        for problem in problems {
            self.report(problem);
        }
    }

    pub fn check_node(&mut self, node: &Node) {
        let found = self.ctx.check.node(node);
        self.report_all(found);
    }

    pub fn check_condition(&mut self, node: &Node) {
        let found = self.ctx.check.condition(node);
        self.report_all(found);
    }

    /// Reads a file that is named at `span`.
    pub fn yaml(&mut self, path: &Path, span: Option<&Span>) -> Option<Arc<Node>> {
        match self.ctx.yaml(path) {
            Ok(node) => Some(node),
            Err(problems) => {
                for mut problem in problems {
                    if problem.span.is_none() {
                        problem.span = span.cloned();
                    }
                    self.report(problem);
                }
                None
            }
        }
    }

    /// The variables of a file that holds a mapping, or nothing.
    pub fn vars_file(&mut self, path: &Path, span: Option<&Span>) -> Vars {
        let Some(node) = self.yaml(path, span) else { return Vars::new() };
        self.vars(&node, "file of variables")
    }

    /// A mapping of variables.
    pub fn vars(&mut self, node: &Node, what: &'static str) -> Vars {
        let mut vars = Vars::new();
        match &node.kind {
            Kind::Null => {}
            Kind::Map(entries) => {
                for entry in entries {
                    if let Some(problem) = bad_name(&entry.key, &entry.key_span) {
                        self.report(problem);
                    }
                    self.check_node(&entry.value);
                    vars.insert(Arc::clone(&entry.key), Arc::new(entry.value.clone()));
                }
            }
            _ => self.report(
                Diagnostic::error(
                    "wrong-type",
                    format!("a {what} is a mapping, and this is {}", node.describe()),
                    &node.span,
                )
                .help("write each variable as `name: value`"),
            ),
        }
        vars
    }

    /// What was loaded, or every error. Warnings alone do not stop it.
    pub fn finish<T>(mut self, loaded: T) -> Result<(T, Vec<Diagnostic>), Vec<Diagnostic>> {
        // File by file as they were reached, each from top to bottom.
        let mut files: Vec<String> = Vec::new();
        self.problems.sort_by_cached_key(|p| {
            let name = p.span.as_ref().map_or("", |s| s.file.name.as_str());
            let rank = files.iter().position(|f| f == name).unwrap_or_else(|| {
                files.push(name.to_owned());
                files.len() - 1
            });
            (rank, p.span.as_ref().map_or(0, |s| s.start))
        });
        if self.problems.iter().any(|p| p.severity == source::Severity::Error) {
            return Err(self.problems);
        }
        Ok((loaded, self.problems))
    }
}

/// The error for a name that no variable can have.
pub(super) fn bad_name(name: &str, span: &Span) -> Option<Diagnostic> {
    let mut chars = name.chars();
    let good =
        chars.next().is_some_and(|c| c == '_' || c.is_alphabetic()) && chars.all(|c| c == '_' || c.is_alphanumeric());
    if good {
        return None;
    }
    let problem = Diagnostic::error("bad-name", format!("`{name}` is no name for a variable"), span);
    let better: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    Some(match better.chars().next() {
        Some(c) if c == '_' || c.is_alphabetic() => problem.help(format!("use letters, digits and `_`: `{better}`")),
        _ => problem.help("begin it with a letter or `_`"),
    })
}

/// Loads a file of variables, for `vars_files` and `include_vars` whose names are known only at run time.
///
/// # Errors
/// It can't be read, or holds no mapping.
pub fn load_vars_file(path: &Path, ctx: &LoadContext) -> Result<Vars, Vec<Diagnostic>> {
    let mut loader = Loader::new(ctx);
    let vars = loader.vars_file(path, None);
    loader.finish(vars).map(|(vars, _)| vars)
}
