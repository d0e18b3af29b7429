//! Plays and playbooks.

use super::include::missing;
use super::keywords::Wants;
use super::load::{LoadContext, Loader, Site, bad_name};
use super::search::SearchPath;
use super::tree::{HostOrder, Keywords, Play, Playbook, Strategy, Vars, VarsFile, VarsPrompt};
use super::tree_roles::RoleUse;
use crate::source::{Diagnostic, Entry, Kind, MapReader, Node};
use std::path::Path;
use std::sync::Arc;

/// Loads a playbook, with all that it imports, and checks all that can be known before any host is touched.
///
/// # Errors
/// Every error found, in the order of reading.
pub fn load_playbook(path: &Path, ctx: &LoadContext) -> Result<Playbook, Vec<Diagnostic>> {
    let mut loader = Loader::new(ctx);
    let mut plays = Vec::new();
    loader.playbook(path, None, &Keywords::default(), &mut plays);
    let book = Playbook { file: path.to_owned(), plays, warnings: Vec::new() };
    let (mut book, warnings) = loader.finish(book)?;
    book.warnings = warnings;
    Ok(book)
}

/// Loads a playbook that stands in no file: `plays` is what one would hold, `base` the folder where its files are
/// looked for.
///
/// # Errors
/// As [`load_playbook`].
pub fn load_plays(plays: &[Node], base: &Path, ctx: &LoadContext) -> Result<Playbook, Vec<Diagnostic>> {
    let mut loader = Loader::new(ctx);
    let plays = plays.iter().filter_map(|node| loader.play(node, base, &Keywords::default())).collect();
    let book = Playbook { file: base.to_owned(), plays, warnings: Vec::new() };
    let (mut book, warnings) = loader.finish(book)?;
    book.warnings = warnings;
    Ok(book)
}

impl Loader<'_> {
    /// Reads a playbook file. `outer` is what the import of it says.
    fn playbook(&mut self, path: &Path, import: Option<&Entry>, outer: &Keywords, plays: &mut Vec<Arc<Play>>) {
        let span = import.map(|e| &e.value.span);
        if let Some(span) = span.filter(|_| self.open.iter().any(|p| p == path)) {
            let shown = self.ctx.shown(path);
            self.report(
                Diagnostic::error("endless-import", format!("`{shown}` imports itself"), span)
                    .help("remove this import"),
            );
            return;
        }
        let Some(node) = self.yaml(path, span) else { return };
        let Some(items) = node.as_list() else {
            self.report(
                Diagnostic::error(
                    "wrong-type",
                    format!("a playbook is a list of plays, and this is {}", node.describe()),
                    &node.span,
                )
                .help("begin each play with `- name: …` and `hosts: …`"),
            );
            return;
        };
        self.open.push(path.to_owned());
        let base = path.parent().unwrap_or(Path::new(""));
        for item in items {
            let import = item
                .as_map()
                .and_then(|entries| entries.iter().find(|e| super::action::short(&e.key) == "import_playbook"));
            match import {
                Some(entry) => self.import_playbook(item, entry, base, outer, plays),
                None => plays.extend(self.play(item, base, outer)),
            }
        }
        self.open.pop();
    }

    fn import_playbook(
        &mut self,
        node: &Node,
        entry: &Entry,
        base: &Path,
        outer: &Keywords,
        plays: &mut Vec<Arc<Play>>,
    ) {
        let mut problems = Vec::new();
        let mut map = MapReader::new(node, "playbook's import", &mut problems);
        for key in ["import_playbook", "ansible.builtin.import_playbook", "ansible.legacy.import_playbook"] {
            if key == &*entry.key {
                map.take(key);
            }
        }
        self.scalar(&mut map, "name", Wants::Text);
        let vars = map.take("vars").map(|n| self.vars(n, "block of variables")).unwrap_or_default();
        let mut keywords =
            Keywords { vars: merged(&outer.vars, &Arc::new(vars)), tags: outer.tags.clone(), ..Keywords::default() };
        keywords.tags.extend(self.tags(&mut map));
        keywords.when.clone_from(&outer.when);
        keywords.when.extend(self.conditions(&mut map, "when"));
        map.finish(&[]);
        self.report_all(problems);
        let file = &entry.value;
        let Some(name) = file.as_str().filter(|_| !file.is_template()) else {
            self.report(
                Diagnostic::error("templated-import", "an imported playbook is named by plain text", &file.span)
                    .help("imports are read before any variable is known: write the name of the file"),
            );
            return;
        };
        let path = base.join(name);
        if path.is_file() {
            self.playbook(&path, Some(entry), &keywords, plays);
        } else {
            let problem = missing("playbook", name, &file.span, &[path], self.ctx);
            self.report(problem);
        }
    }

    fn play(&mut self, node: &Node, base: &Path, outer: &Keywords) -> Option<Arc<Play>> {
        let mut problems = Vec::new();
        let mut map = MapReader::new(node, "play", &mut problems);
        if !map.is_map() {
            self.report_all(problems);
            return None;
        }
        self.uses.clear();
        self.checked.clear();
        self.works_here = false;
        let site = Site {
            role: None,
            search: Arc::new(SearchPath::of_play(base)),
            handlers: false,
            module_defaults: Vec::new(),
        };
        let name = self.scalar(&mut map, "name", Wants::Text);
        let hosts = map.require("hosts").cloned();
        if let Some(hosts) = &hosts {
            self.hosts(hosts);
        }
        map.refuse("user", "write `remote_user`");
        map.refuse("accelerate", "remove it");
        map.refuse("fact_path", "facts of files are read from /etc/ansible/facts.d; remove it");
        map.refuse("when", "put it on the tasks, or on a block around them");
        let mut keywords = self.keywords(&mut map, false);
        keywords.vars = merged(&outer.vars, &keywords.vars);
        let mut tags = outer.tags.clone();
        tags.append(&mut keywords.tags);
        keywords.tags = tags;
        keywords.when.clone_from(&outer.when);
        let gather_facts = self.scalar(&mut map, "gather_facts", Wants::Bool);
        let gather_subset = map.take("gather_subset").filter(|n| !n.is_null()).cloned();
        if let Some(subset) = &gather_subset {
            self.check_node(subset);
        }
        let gather_timeout = self.scalar(&mut map, "gather_timeout", Wants::Int);
        let vars_files = self.vars_files(&mut map, &site);
        let vars_prompt = self.vars_prompt(&mut map);
        let deploy = map.take("deploy");
        let alone: Vec<&str> = ["roles", "pre_tasks", "tasks", "post_tasks", "serial"]
            .into_iter()
            .filter(|key| node.get(key).is_some_and(|n| !n.is_null()))
            .collect();
        let role_nodes = map.take_items("roles");
        let mut part = |key| map.take(key).filter(|n| !n.is_null());
        let nodes = [part("pre_tasks"), part("tasks"), part("post_tasks"), part("handlers")];
        let serial = map.take_list("serial").iter().filter_map(|n| self.value("serial", n, Wants::Share)).collect();
        let strategy = self.strategy(&mut map);
        let max_fail_percentage = self.scalar(&mut map, "max_fail_percentage", Wants::Share);
        let force_handlers = self.scalar(&mut map, "force_handlers", Wants::Bool);
        let order = match map
            .take_choice("order", &["inventory", "reverse_inventory", "sorted", "reverse_sorted", "shuffle"])
        {
            Some("reverse_inventory") => HostOrder::ReverseInventory,
            Some("sorted") => HostOrder::Sorted,
            Some("reverse_sorted") => HostOrder::ReverseSorted,
            Some("shuffle") => HostOrder::Shuffle,
            _ => HostOrder::Inventory,
        };
        let (roles, [pre_tasks, tasks, post_tasks, handlers]) = self.with_defaults(&keywords, |l| {
            let [pre, main, post, handlers] = nodes;
            let read = |l: &mut Self, node: Option<&Node>, handlers| {
                node.map(|n| l.items(n, &Site { handlers, ..site.clone() })).unwrap_or_default()
            };
            let pre = read(l, pre, false);
            let roles = role_nodes
                .iter()
                .filter_map(|n| l.role_entry(n, false))
                .collect::<Vec<_>>()
                .into_iter()
                .filter_map(|request| l.role_use(&request, &site))
                .collect();
            (roles, [pre, read(l, main, false), read(l, post, false), read(l, handlers, true)])
        });
        let mut roles: Vec<Arc<RoleUse>> = roles;
        let deploy = deploy.and_then(|node| {
            if let Some(key) = alone.first() {
                let problem =
                    Diagnostic::error("deploy-alone", format!("a play with `deploy` has no `{key}`"), &node.span);
                self.report(problem.help("put it in a play of its own, before or after this one"));
            }
            let (call, used) = self.deploy(node, &site)?;
            roles.push(used);
            Some(call)
        });
        self.check_notified();
        map.finish(&[]);
        self.report_all(problems);
        Some(Arc::new(Play {
            deploy,
            name,
            span: node.span.clone(),
            hosts: hosts?,
            base_dir: base.to_owned(),
            keywords: Arc::new(keywords),
            gather_facts,
            gather_subset,
            gather_timeout,
            vars_files,
            vars_prompt,
            pre_tasks,
            roles,
            tasks,
            post_tasks,
            handlers,
            role_uses: std::mem::take(&mut self.uses),
            serial,
            strategy,
            max_fail_percentage,
            force_handlers,
            order,
        }))
    }

    fn hosts(&mut self, hosts: &Node) {
        let nodes = hosts.as_list().unwrap_or(std::slice::from_ref(hosts));
        for node in nodes {
            self.value("hosts", node, Wants::Text);
        }
        if nodes.is_empty() || nodes.iter().any(|n| n.as_str().is_some_and(|t| t.trim().is_empty())) {
            self.report(
                Diagnostic::error("no-hosts", "this play names no hosts", &hosts.span)
                    .help("write a host, a group or a pattern, such as `all`"),
            );
        }
    }

    fn strategy(&mut self, map: &mut MapReader<'_, '_>) -> Strategy {
        let words = ["linear", "free", "ansible.builtin.linear", "ansible.builtin.free"];
        if let Some(entry) = map.node().as_map().and_then(|m| m.iter().find(|e| &*e.key == "strategy"))
            && let Some(text @ ("host_pinned" | "debug")) = entry.value.as_str().map(super::action::short)
        {
            map.take("strategy");
            let help = if text == "debug" { "remove it; run with -vvv" } else { "use `free`" };
            self.report(
                Diagnostic::error("unsupported", format!("the strategy `{text}` is not supported"), &entry.value.span)
                    .help(help),
            );
            return Strategy::Linear;
        }
        match map.take_choice("strategy", &words).map(super::action::short) {
            Some("free") => Strategy::Free,
            _ => Strategy::Linear,
        }
    }

    fn vars_files(&mut self, map: &mut MapReader<'_, '_>, site: &Site) -> Vec<VarsFile> {
        let mut all = Vec::new();
        for node in map.take_list("vars_files") {
            let nodes = node.as_list().unwrap_or(std::slice::from_ref(node));
            let candidates: Vec<Node> = nodes.iter().filter_map(|n| self.value("vars_files", n, Wants::Text)).collect();
            self.check_vars_file(&candidates, site);
            all.push(VarsFile { candidates });
        }
        all
    }

    /// Reads the file that will be taken, where no name before it must be rendered first.
    fn check_vars_file(&mut self, candidates: &[Node], site: &Site) {
        let mut tried = Vec::new();
        for node in candidates {
            let Some(name) = node.as_str().filter(|_| !node.is_template()) else { return };
            match site.search.find("vars", name) {
                Ok(path) => return drop(self.vars_file(&path, Some(&node.span))),
                Err(paths) => tried.extend(paths),
            }
        }
        if let Some((node, name)) = candidates.first().and_then(|n| Some((n, n.as_str()?))) {
            let problem = missing("file of variables", name, &node.span, &tried, self.ctx);
            self.report(problem);
        }
    }

    fn vars_prompt(&mut self, map: &mut MapReader<'_, '_>) -> Vec<VarsPrompt> {
        let mut all = Vec::new();
        for node in map.take_items("vars_prompt") {
            let mut problems = Vec::new();
            let mut inner = MapReader::new(node, "vars_prompt", &mut problems);
            let name = inner.require("name");
            for key in ["encrypt", "salt", "salt_size"] {
                inner.refuse(key, "use the filter `password_hash` where the variable is used");
            }
            inner.refuse("unsafe", "what is typed is never taken for a template; remove it");
            let prompt = VarsPrompt {
                name: Arc::default(),
                span: node.span.clone(),
                prompt: self.scalar(&mut inner, "prompt", Wants::Text),
                default: self.scalar(&mut inner, "default", Wants::Text),
                private: inner.take_bool("private").unwrap_or(true),
                confirm: inner.take_bool("confirm").unwrap_or(false),
            };
            inner.finish(&[]);
            self.report_all(problems);
            let Some(node) = name else { continue };
            match &node.kind {
                Kind::Str(text) => match bad_name(text, &node.span) {
                    Some(problem) => self.report(problem),
                    None => all.push(VarsPrompt { name: Arc::clone(text), span: node.span.clone(), ..prompt }),
                },
                _ => drop(self.value("name", node, Wants::Text)),
            }
        }
        all
    }
}

/// Both, where those of the import win, as in Ansible.
fn merged(outer: &Arc<Vars>, own: &Arc<Vars>) -> Arc<Vars> {
    if outer.is_empty() {
        return Arc::clone(own);
    }
    let mut all = (**own).clone();
    all.extend(outer.iter().map(|(k, v)| (Arc::clone(k), Arc::clone(v))));
    Arc::new(all)
}
