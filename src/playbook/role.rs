//! Roles: finding them, and reading what is in their folders.

use super::keywords::COMMON;
use super::load::{Loader, Site};
use super::search::SearchPath;
use super::tree::{Item, Keywords, Vars};
use super::tree_roles::{ArgumentSpec, Role, RoleUse};
use crate::source::{Diagnostic, Kind, MapReader, Node, Span, suggest, text_of};
use indexmap::IndexMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A use of a role that is to be loaded.
#[derive(Debug, Clone)]
pub struct RoleRequest {
    /// Its name, or a path.
    pub name: Arc<str>,
    /// Where it is named.
    pub span: Span,
    /// A file of `tasks/` (`main`).
    pub tasks_from: Option<Arc<str>>,
    /// A file of `vars/` (`main`).
    pub vars_from: Option<Arc<str>>,
    /// A file of `defaults/` (`main`).
    pub defaults_from: Option<Arc<str>>,
    /// A file of `handlers/` (`main`).
    pub handlers_from: Option<Arc<str>>,
    /// What is said at the use.
    pub keywords: Keywords,
    /// Parameters.
    pub params: Vars,
    /// Whether the rest of the play sees its variables and defaults.
    pub public: bool,
    /// Whether it runs again after an equal use; if not said, the role says so.
    pub allow_duplicates: Option<bool>,
    /// Whether its arguments are checked.
    pub validate: bool,
}

impl RoleRequest {
    /// A plain use, as by `include_role` with nothing but a name.
    pub fn new(name: &Node) -> Self {
        Self {
            name: text_of(name).unwrap_or_default(),
            span: name.span.clone(),
            tasks_from: None,
            vars_from: None,
            defaults_from: None,
            handlers_from: None,
            keywords: Keywords::default(),
            params: Vars::new(),
            public: false,
            allow_duplicates: Some(true),
            validate: true,
        }
    }

    fn identity(&self, path: &Path) -> Arc<str> {
        let mut out = path.to_string_lossy().into_owned();
        for from in [&self.tasks_from, &self.vars_from, &self.defaults_from, &self.handlers_from] {
            let _ = write!(out, "|{}", from.as_deref().unwrap_or_default());
        }
        for (name, node) in self.params.iter().chain(self.keywords.vars.iter()) {
            let _ = write!(out, "|{name}=");
            plain(node, &mut out);
        }
        let _ = write!(out, "|{:?}|", self.keywords.tags);
        for node in self.keywords.when.iter().chain(&self.keywords.delegate_to).chain(&self.keywords.become_user) {
            plain(node, &mut out);
        }
        out.into()
    }
}

/// A node's content without its places.
fn plain(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|n| {
            out.push(',');
            plain(n, out);
        }),
        Kind::Map(entries) => entries.iter().for_each(|e| {
            let _ = write!(out, ",{:?}:", e.key);
            plain(&e.value, out);
        }),
        scalar => {
            let _ = write!(out, "{scalar:?}");
        }
    }
}

/// A file of a role by its name without an extension, in Ansible's order. `named`: it was asked for by `…_from`.
fn role_file(folder: &Path, name: &str, named: bool) -> Option<PathBuf> {
    let bare = |p: &PathBuf| if named { p.is_file() } else { p.exists() };
    let extended =
        ["yml", "yaml", "json"].into_iter().map(|e| folder.join(format!("{name}.{e}"))).find(|p| p.is_file());
    let plain = Some(folder.join(name)).filter(bare);
    if named { plain.or(extended) } else { extended.or(plain) }
}

impl Loader<'_> {
    /// The folder of a role.
    pub fn find_role(&mut self, name: &str, span: &Span, site: &Site) -> Option<PathBuf> {
        let base = &site.search.base;
        let mut folders = vec![base.join("roles")];
        folders.extend(self.ctx.roles_path.iter().cloned());
        folders.extend(site.search.roles.first().and_then(|r| r.parent()).map(Path::to_owned));
        folders.push(base.clone());
        folders.extend(self.ctx.builtin.iter().map(|b| b.join("roles")));
        let found = folders.iter().map(|f| f.join(name)).find(|p| p.is_dir());
        if found.is_some() {
            return found;
        }
        let mut names: Vec<String> = Vec::new();
        for folder in folders.iter().filter(|f| *f != base) {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            names.extend(entries.filter(|e| e.path().is_dir()).filter_map(|e| e.file_name().into_string().ok()));
        }
        let mut problem = Diagnostic::error("no-such-role", format!("there is no role `{name}`"), span);
        if let Some(near) = suggest(name, &names) {
            problem = problem.help(format!("did you mean `{near}`?"));
        } else if name.split('.').count() == 3 {
            problem =
                problem.help("collections are not read: copy the role into the `roles` folder beside the playbook");
        }
        let mut places: Vec<String> = folders.iter().map(|f| self.ctx.shown(f)).collect();
        places.dedup();
        self.report(problem.help(format!("looked in {}", places.join(", "))));
        None
    }

    /// Reads one use of a role, and of the roles it depends on.
    pub fn role_use(&mut self, request: &RoleRequest, site: &Site) -> Option<Arc<RoleUse>> {
        let path = self.find_role(&request.name, &request.span, site)?;
        let identity = request.identity(&path);
        let RoleRequest { name, span, keywords, params, .. } = request;
        // A role may import other files of itself, but not the one that is being read.
        let mark = path.join(format!("<{}>", request.tasks_from.as_deref().unwrap_or("main")));
        if self.open.contains(&mark) {
            self.report(
                Diagnostic::error("endless-import", format!("the role `{name}` leads to itself"), span)
                    .help("remove it here, or use `include_role` with a `when` that ends it"),
            );
            return None;
        }
        self.open.push(mark);
        let (allow_duplicates, specs, dependencies) = self.meta_of(&path);
        let shown = if name.contains('/') { path.file_name().map(|n| n.to_string_lossy().into_owned()) } else { None };
        let role = self.ctx.intern_role(Role {
            name: shown.map_or_else(|| Arc::clone(name), Arc::from),
            path: path.clone(),
            allow_duplicates,
            argument_specs: specs,
        });
        let mut roles = vec![path.clone()];
        roles.extend(site.search.roles.iter().filter(|r| **r != path).cloned());
        let inner = Site {
            role: Some(Arc::clone(&role)),
            search: Arc::new(SearchPath { roles, dir: path.join("tasks"), base: site.search.base.clone() }),
            handlers: false,
            module_defaults: site.module_defaults.clone(),
        };
        let used = self.with_defaults(keywords, |l| {
            let dependencies = dependencies
                .as_deref()
                .and_then(|meta| meta.get("dependencies"))
                .and_then(Node::as_list)
                .unwrap_or_default()
                .iter()
                .filter_map(|node| {
                    let request = l.role_entry(node, true)?;
                    l.role_use(&request, &Site { role: None, ..inner.clone() })
                })
                .collect();
            Arc::new(RoleUse {
                defaults: Arc::new(l.role_vars(&path, "defaults", request.defaults_from.as_ref(), span)),
                vars: Arc::new(l.role_vars(&path, "vars", request.vars_from.as_ref(), span)),
                dependencies,
                tasks: l.role_tasks(&path, &inner, request.tasks_from.as_ref(), span),
                handlers: l.role_tasks(
                    &path,
                    &Site { handlers: true, ..inner.clone() },
                    request.handlers_from.as_ref(),
                    span,
                ),
                entry_point: entry_point(request.tasks_from.as_deref()),
                public: request.public,
                once: !request.allow_duplicates.unwrap_or(role.allow_duplicates),
                validate: request.validate,
                identity,
                params: Arc::new(params.clone()),
                keywords: Arc::new(keywords.clone()),
                span: span.clone(),
                role,
            })
        });
        self.open.pop();
        if !self.uses.iter().any(|u| u.identity == used.identity) {
            self.uses.push(Arc::clone(&used));
        }
        Some(used)
    }

    fn role_vars(&mut self, role: &Path, kind: &str, from: Option<&Arc<str>>, span: &Span) -> Vars {
        let folder = role.join(kind);
        let Some(path) = role_file(&folder, from.map_or("main", |f| f), from.is_some()) else {
            self.no_such_part(&folder, from, span);
            return Vars::new();
        };
        if path.is_file() {
            return self.vars_file(&path, Some(span));
        }
        // `vars/main/` is read file by file, in order of the names.
        let mut files: Vec<PathBuf> = std::fs::read_dir(&path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.is_file() && p.extension().is_some_and(|e| ["yml", "yaml", "json"].iter().any(|x| e == *x)))
            .collect();
        files.sort();
        files.iter().flat_map(|file| self.vars_file(file, Some(span))).collect()
    }

    fn role_tasks(&mut self, role: &Path, site: &Site, from: Option<&Arc<str>>, span: &Span) -> Vec<Item> {
        let folder = role.join(site.folder());
        if let Some(path) = role_file(&folder, from.map_or("main", |f| f), from.is_some()) {
            return self.tasks_of(&path, span, site);
        }
        self.no_such_part(&folder, from, span);
        Vec::new()
    }

    fn no_such_part(&mut self, folder: &Path, from: Option<&Arc<str>>, span: &Span) {
        if let Some(name) = from {
            let tried = [folder.join(format!("{name}.yml"))];
            let problem = super::include::missing("file of the role", name, span, &tried, self.ctx);
            self.report(problem);
        }
    }

    /// `meta/main.yml` and `meta/argument_specs.yml`.
    fn meta_of(&mut self, role: &Path) -> (bool, IndexMap<Arc<str>, ArgumentSpec>, Option<Arc<Node>>) {
        let meta = role_file(&role.join("meta"), "main", false).and_then(|path| self.yaml(&path, None));
        let mut problems = Vec::new();
        let mut allow_duplicates = false;
        let mut specs = IndexMap::new();
        if let Some(node) = meta.as_deref().filter(|n| !n.is_null()) {
            let mut map = MapReader::new(node, "role's meta file", &mut problems);
            allow_duplicates = map.take_bool("allow_duplicates").unwrap_or(false);
            map.take_items("dependencies");
            map.take("galaxy_info");
            map.take("collections");
            if let Some(node) = map.take("argument_specs") {
                specs = self.argument_specs(node);
            }
            map.finish(&[]);
        }
        if let Some(path) = role_file(&role.join("meta"), "argument_specs", false)
            && let Some(node) = self.yaml(&path, None)
            && !node.is_null()
        {
            let mut map = MapReader::new(&node, "file of argument specifications", &mut problems);
            if let Some(node) = map.take("argument_specs") {
                specs = self.argument_specs(node);
            }
            map.finish(&[]);
        }
        self.report_all(problems);
        (allow_duplicates, specs, meta)
    }

    /// An entry of `roles:` or of `dependencies:`.
    pub fn role_entry(&mut self, node: &Node, dependency: bool) -> Option<RoleRequest> {
        if let Kind::Str(_) = &node.kind {
            return self.role_name(node).map(|node| RoleRequest {
                public: true,
                allow_duplicates: None,
                ..RoleRequest::new(node)
            });
        }
        let mut problems = Vec::new();
        let mut map = MapReader::new(node, "role", &mut problems);
        let name = take_name(&mut map);
        for key in ["tasks_from", "vars_from", "defaults_from", "handlers_from", "apply"] {
            map.refuse(key, "only `import_role` and `include_role` have it; write a task with one of them");
        }
        if dependency {
            // How `ansible-galaxy` is told where to get it; it means nothing here.
            for key in ["src", "scm", "version"] {
                map.take(key);
            }
        }
        let keywords = self.keywords(&mut map, true);
        let mut params = Vars::new();
        for entry in map.take_rest() {
            if let Some(near) = suggest(&entry.key, COMMON.iter().chain(super::keywords::INNER)) {
                let message = format!("`{}` is taken as a parameter of the role", entry.key);
                self.report(
                    Diagnostic::error("unknown-keyword", message, &entry.key_span)
                        .warning()
                        .help(format!("did you mean the keyword `{near}`?")),
                );
            }
            if let Some(problem) = super::load::bad_name(&entry.key, &entry.key_span) {
                self.report(problem);
            }
            self.check_node(&entry.value);
            params.insert(Arc::clone(&entry.key), Arc::new(entry.value.clone()));
        }
        map.finish(&[]);
        self.report_all(problems);
        let name = self.role_name(name?)?;
        Some(RoleRequest { keywords, params, public: true, allow_duplicates: None, ..RoleRequest::new(name) })
    }

    fn role_name<'n>(&mut self, node: &'n Node) -> Option<&'n Node> {
        let problem = match &node.kind {
            Kind::Str(_) if node.is_template() => {
                Diagnostic::error("templated-import", "the name of a role can't be a template here", &node.span)
                    .help("use `include_role` in a task")
            }
            Kind::Str(text) if !text.trim().is_empty() => return Some(node),
            _ => {
                Diagnostic::error("wrong-type", format!("the name of a role can't be {}", node.describe()), &node.span)
                    .help("write `- role: NAME`")
            }
        };
        self.report(problem);
        None
    }
}

fn take_name<'a>(map: &mut MapReader<'a, '_>) -> Option<&'a Node> {
    match map.take("role").filter(|n| !n.is_null()) {
        Some(node) => {
            map.take("name");
            Some(node)
        }
        None => map.take("name").or_else(|| map.require("role")),
    }
}

/// The key in `argument_specs`: the name of the tasks file without its extension.
fn entry_point(tasks_from: Option<&str>) -> Arc<str> {
    let name = tasks_from.unwrap_or("main");
    let name = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml")).unwrap_or(name);
    name.into()
}
