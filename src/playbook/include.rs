//! Imports, which are read now, and includes, which are read when their turn comes.

use super::action::Named;
use super::arguments::is_dynamic;
use super::keywords::Wants;
use super::load::{LoadContext, Loader, Site};
use super::role::RoleRequest;
use super::tree::{Action, Block, IncludeRole, IncludeTasks, IncludeVars, Item, Keywords, Task};
use super::tree_roles::RoleUse;
use crate::source::{Diagnostic, MapReader, Node, Span, bool_of};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ROLE_ARGS: &[&str] = &[
    "name",
    "role",
    "tasks_from",
    "vars_from",
    "defaults_from",
    "handlers_from",
    "apply",
    "public",
    "allow_duplicates",
    "rolespec_validate",
];

/// What an include at run time brought.
#[derive(Debug, Clone)]
pub struct Included<T> {
    /// The tasks, or the role.
    pub loaded: T,
    /// Roles that it uses statically (`import_role`, dependencies), as in [`Play::role_uses`](super::Play::role_uses).
    pub role_uses: Vec<Arc<RoleUse>>,
}

/// Loads the file of an `include_tasks`, whose name is rendered by now. `span` is where it is named.
///
/// # Errors
/// The file is missing, or what is wrong in it.
pub fn load_tasks_file(
    name: &str,
    span: &Span,
    site: &Site,
    ctx: &LoadContext,
) -> Result<Included<Vec<Item>>, Vec<Diagnostic>> {
    let mut loader = Loader::new(ctx);
    let keywords = Keywords { module_defaults: site.module_defaults.clone(), ..Keywords::default() };
    let loaded = loader.with_defaults(&keywords, |l| {
        let path = l.tasks_path(name, span, site)?;
        Some(l.tasks_of(&path, span, site))
    });
    let role_uses = std::mem::take(&mut loader.uses);
    loader.finish(loaded.unwrap_or_default()).map(|(loaded, _)| Included { loaded, role_uses })
}

/// Loads the role of an `include_role`, whose arguments are rendered by now.
///
/// # Errors
/// There is no such role, or what is wrong in it.
pub fn load_role(
    request: &RoleRequest,
    site: &Site,
    ctx: &LoadContext,
) -> Result<Included<Arc<RoleUse>>, Vec<Diagnostic>> {
    let mut loader = Loader::new(ctx);
    let keywords = Keywords { module_defaults: site.module_defaults.clone(), ..Keywords::default() };
    let role = loader.with_defaults(&keywords, |l| l.role_use(request, site));
    let role_uses = std::mem::take(&mut loader.uses);
    match loader.finish(role)? {
        (Some(loaded), _) => Ok(Included { loaded, role_uses }),
        (None, problems) => Err(problems),
    }
}

/// A text that must stand in the file as it is.
fn literal(loader: &mut Loader<'_>, node: &Node, key: &str, instead: &str) -> Option<Arc<str>> {
    if is_dynamic(node) {
        loader.report(
            Diagnostic::error("templated-import", format!("`{key}` of an import can't be a template"), &node.span)
                .help(format!("imports are read before any variable is known; use `{instead}`")),
        );
        return None;
    }
    let node = loader.value(key, node, Wants::Text)?;
    crate::source::text_of(&node).ok()
}

/// The error for a file that is in none of the places where it is looked for.
pub(super) fn missing(what: &str, name: &str, span: &Span, tried: &[PathBuf], ctx: &LoadContext) -> Diagnostic {
    let mut problem = Diagnostic::error("no-such-file", format!("there is no {what} `{name}`"), span);
    let near = tried.iter().find_map(|path| {
        let names: Vec<String> = std::fs::read_dir(path.parent()?)
            .ok()?
            .flatten()
            .filter_map(|e| e.file_name().into_string().ok())
            .take(1000)
            .collect();
        let near = crate::source::suggest(path.file_name()?.to_str()?, &names)?;
        Some(Path::new(name).with_file_name(near).to_string_lossy().into_owned())
    });
    if let Some(near) = near {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    let places: Vec<String> = tried.iter().map(|p| ctx.shown(p)).collect();
    problem.help(format!("looked for {}", places.join(", ")))
}

impl Loader<'_> {
    fn tasks_path(&mut self, name: &str, span: &Span, site: &Site) -> Option<PathBuf> {
        match site.search.find_tasks(site.folder(), name) {
            Ok(path) => Some(path),
            Err(tried) => {
                let problem = missing("file of tasks", name, span, &tried, self.ctx);
                self.report(problem);
                None
            }
        }
    }

    /// The tasks of a file that is named at `span`.
    pub fn tasks_of(&mut self, path: &Path, span: &Span, site: &Site) -> Vec<Item> {
        if self.open.iter().any(|p| p == path) {
            let shown = self.ctx.shown(path);
            self.report(
                Diagnostic::error("endless-import", format!("`{shown}` imports itself"), span)
                    .help("use `include_tasks` with a `when` that ends it"),
            );
            return Vec::new();
        }
        let Some(node) = self.yaml(path, Some(span)) else { return Vec::new() };
        self.open.push(path.to_owned());
        let items = self.items(&node, &site.at(path));
        self.open.pop();
        items
    }

    pub(super) fn import_tasks(
        &mut self,
        named: &Named,
        more: Option<&Node>,
        keywords: Keywords,
        task: &Task,
        site: &Site,
    ) -> Option<Item> {
        let args = self.normal_args(named, more, "file", &["file"])?;
        let mut problems = Vec::new();
        let mut map = MapReader::new(&args, "import_tasks", &mut problems);
        let file = map.require("file");
        map.finish(&[]);
        self.report_all(problems);
        let name = literal(self, file?, "file", "include_tasks")?;
        let span = &file?.span;
        let path = self.tasks_path(&name, span, site)?;
        let body = self.with_defaults(&keywords, |l| l.tasks_of(&path, span, site));
        Some(Item::Block(Arc::new(Block {
            name: task.name.clone(),
            span: task.span.clone(),
            keywords: Arc::new(keywords),
            body,
            rescue: Vec::new(),
            always: Vec::new(),
            notify: task.notify.clone(),
            listen: task.listen.clone(),
            role: site.role.clone(),
        })))
    }

    pub(super) fn import_role(
        &mut self,
        named: &Named,
        more: Option<&Node>,
        keywords: Keywords,
        site: &Site,
    ) -> Option<Item> {
        if site.handlers {
            self.report(no_role_here(named));
            return None;
        }
        let args = self.normal_args(named, more, "name", ROLE_ARGS)?;
        let mut problems = Vec::new();
        let mut map = MapReader::new(&args, "import_role", &mut problems);
        map.refuse("apply", "an import's own keywords apply to its tasks; put them beside `import_role`");
        let name = take_role_name(&mut map);
        let from = ["tasks_from", "vars_from", "defaults_from", "handlers_from"].map(|key| map.take(key));
        let mut flag = |key, default| map.take_bool(key).unwrap_or(default);
        let (public, allow_duplicates) = (flag("public", true), flag("allow_duplicates", true));
        let validate = flag("rolespec_validate", true);
        map.finish(&[]);
        self.report_all(problems);
        let mut text = |node: &Node, key: &str| literal(self, node, key, "include_role");
        let [tasks_from, vars_from, defaults_from, handlers_from] =
            from.map(|node| node.and_then(|n| text(n, "a file")));
        let name_node = name?;
        let request = RoleRequest {
            name: text(name_node, "name")?,
            span: name_node.span.clone(),
            tasks_from,
            vars_from,
            defaults_from,
            handlers_from,
            keywords,
            params: super::Vars::new(),
            public,
            allow_duplicates: Some(allow_duplicates),
            validate,
        };
        self.role_use(&request, site).map(Item::Role)
    }

    pub(super) fn include_tasks(&mut self, named: &Named, more: Option<&Node>, site: &Site) -> Option<Action> {
        let args = self.normal_args(named, more, "file", &["file"])?;
        let mut problems = Vec::new();
        let mut map = MapReader::new(&args, "include_tasks", &mut problems);
        let file = map.require("file");
        let apply = self.apply(&mut map);
        map.finish(&[]);
        self.report_all(problems);
        let file = self.value("include_tasks", file?, Wants::Text)?;
        if is_dynamic(&file) {
            self.notified.more();
        }
        if let Some(name) = file.as_str().filter(|_| !is_dynamic(&file))
            && let Some(path) = self.tasks_path(name, &file.span, site)
        {
            self.look_into(&apply, site, &path, |l| {
                l.tasks_of(&path, &file.span, site);
            });
        }
        Some(Action::IncludeTasks(IncludeTasks { file, apply: Arc::new(apply) }))
    }

    pub(super) fn include_role(&mut self, named: &Named, more: Option<&Node>, site: &Site) -> Option<Action> {
        if site.handlers {
            self.report(no_role_here(named));
            return None;
        }
        let args = self.normal_args(named, more, "name", ROLE_ARGS)?;
        let mut problems = Vec::new();
        let mut map = MapReader::new(&args, "include_role", &mut problems);
        let name = take_role_name(&mut map);
        let apply = self.apply(&mut map);
        let mut include = IncludeRole {
            name: Node::new(crate::source::Kind::Null, named.span.clone()),
            tasks_from: self.scalar(&mut map, "tasks_from", Wants::Text),
            vars_from: self.scalar(&mut map, "vars_from", Wants::Text),
            defaults_from: self.scalar(&mut map, "defaults_from", Wants::Text),
            handlers_from: self.scalar(&mut map, "handlers_from", Wants::Text),
            apply: Arc::default(),
            public: self.scalar(&mut map, "public", Wants::Bool),
            allow_duplicates: self.scalar(&mut map, "allow_duplicates", Wants::Bool),
            rolespec_validate: self.scalar(&mut map, "rolespec_validate", Wants::Bool),
        };
        map.finish(&[]);
        self.report_all(problems);
        include.name = self.value("name", name?, Wants::Text)?;
        let literals = [&include.tasks_from, &include.vars_from, &include.defaults_from, &include.handlers_from];
        if !is_dynamic(&include.name) && !literals.iter().any(|n| n.as_ref().is_some_and(is_dynamic)) {
            let texts = literals.map(|n| n.as_ref().and_then(|n| crate::source::text_of(n).ok()));
            let [tasks_from, vars_from, defaults_from, handlers_from] = texts;
            let request =
                RoleRequest { tasks_from, vars_from, defaults_from, handlers_from, ..RoleRequest::new(&include.name) };
            if let Some(path) = self.find_role(&request.name, &request.span, site) {
                let seen = path.join(request.tasks_from.as_deref().unwrap_or("main"));
                self.look_into(&apply, site, &seen, |l| {
                    l.role_use(&request, site);
                });
            }
        } else {
            self.notified.more();
        }
        include.apply = Arc::new(apply);
        Some(Action::IncludeRole(include))
    }

    /// `apply:`.
    fn apply(&mut self, map: &mut MapReader<'_, '_>) -> Keywords {
        let Some(node) = map.take("apply").filter(|n| !n.is_null()) else { return Keywords::default() };
        let mut problems = Vec::new();
        let mut inner = MapReader::new(node, "apply", &mut problems);
        let keywords = self.keywords(&mut inner, true);
        inner.finish(&["name"]);
        self.report_all(problems);
        keywords
    }

    /// Reads what an include with a literal name will read, for its errors. An include may lead to itself.
    fn look_into(&mut self, apply: &Keywords, site: &Site, path: &Path, read: impl FnOnce(&mut Self)) {
        if !self.checked.insert((path.to_owned(), site.role.as_ref().map(|r| r.path.clone()))) {
            return;
        }
        let uses = std::mem::take(&mut self.uses);
        let open = std::mem::take(&mut self.open);
        self.with_defaults(apply, read);
        self.uses = uses;
        self.open = open;
    }

    pub(super) fn include_vars(&mut self, named: &Named, more: Option<&Node>, site: &Site) -> Option<Action> {
        let names = &["file", "dir", "name", "depth", "files_matching", "ignore_files", "extensions"];
        let args = self.normal_args(named, more, "file", names)?;
        let mut problems = Vec::new();
        let mut map = MapReader::new(&args, "include_vars", &mut problems);
        let any = |l: &mut Self, map: &mut MapReader<'_, '_>, key| {
            let node = map.take(key).filter(|n| !n.is_null())?;
            l.check_node(node);
            Some(node.clone())
        };
        let include = IncludeVars {
            file: self.scalar(&mut map, "file", Wants::Text),
            dir: self.scalar(&mut map, "dir", Wants::Text),
            name: self.scalar(&mut map, "name", Wants::Text),
            depth: self.scalar(&mut map, "depth", Wants::Int),
            files_matching: self.scalar(&mut map, "files_matching", Wants::Text),
            ignore_files: any(self, &mut map, "ignore_files"),
            extensions: any(self, &mut map, "extensions"),
            ignore_unknown_extensions: self.scalar(&mut map, "ignore_unknown_extensions", Wants::Bool),
            hash_behaviour: self.scalar(&mut map, "hash_behaviour", Wants::Text),
        };
        map.finish(&[]);
        self.report_all(problems);
        if include.file.is_some() == include.dir.is_some() {
            self.report(
                Diagnostic::error("missing-argument", "`include_vars` needs one of `file` and `dir`", &named.span)
                    .help("write `include_vars: FILE`, or `include_vars: {dir: FOLDER}`"),
            );
            return None;
        }
        for (node, what) in [(&include.file, "file of variables"), (&include.dir, "folder of variables")] {
            let Some(node) = node.as_ref().filter(|n| !is_dynamic(n)) else { continue };
            let Some(name) = node.as_str() else { continue };
            match site.search.find("vars", name) {
                Ok(path) if path.is_file() => drop(self.vars_file(&path, Some(&node.span))),
                Ok(_) => {}
                Err(_) if self.works_here => {}
                Err(tried) => {
                    let problem = missing(what, name, &node.span, &tried, self.ctx);
                    self.report(problem);
                }
            }
        }
        Some(Action::IncludeVars(include))
    }
}

/// The role of an import or include, which may be called `role`, too.
fn take_role_name<'a>(map: &mut MapReader<'a, '_>) -> Option<&'a Node> {
    match map.take("role").filter(|n| !n.is_null()) {
        Some(node) => {
            map.take("name");
            Some(node)
        }
        None => map.require("name"),
    }
}

fn no_role_here(named: &Named) -> Diagnostic {
    Diagnostic::error("role-in-handlers", format!("`{}` can't be a handler", named.name), &named.span)
        .help("notify a handler of that role, or put its tasks into a file and use `include_tasks`")
}

/// Whether a literal keeps something from being checked: true also where it is not known yet.
pub(super) fn maybe_true(node: Option<&Node>) -> bool {
    node.is_some_and(|n| is_dynamic(n) || bool_of(n).unwrap_or(true))
}
