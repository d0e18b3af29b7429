//! Lists of tasks and blocks.

use super::action::{Named, built_in};
use super::keywords::Wants;
use super::load::{Loader, Site};
use super::tree::{Action, Block, Item, Keywords, Task};
use crate::source::{Diagnostic, Kind, MapReader, Node};
use std::sync::Arc;

/// What a task may say beside its module.
pub(super) const KEYWORDS: &[&str] = &[
    "action",
    "any_errors_fatal",
    "args",
    "async",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "changed_when",
    "check_mode",
    "collections",
    "connection",
    "debugger",
    "delay",
    "delegate_facts",
    "delegate_to",
    "diff",
    "environment",
    "failed_when",
    "ignore_errors",
    "ignore_unreachable",
    "listen",
    "local_action",
    "loop",
    "loop_control",
    "module_defaults",
    "name",
    "no_log",
    "notify",
    "poll",
    "port",
    "register",
    "remote_user",
    "retries",
    "run_once",
    "tags",
    "throttle",
    "timeout",
    "until",
    "vars",
    "when",
    "with_dict",
    "with_fileglob",
    "with_items",
];

/// What belongs to a task and not to a block.
const TASK_ONLY: &[&str] = &[
    "action",
    "args",
    "async",
    "changed_when",
    "delay",
    "failed_when",
    "local_action",
    "loop",
    "loop_control",
    "poll",
    "register",
    "retries",
    "until",
    "with_items",
    "with_dict",
    "with_fileglob",
];

impl Loader<'_> {
    /// A list of tasks and blocks.
    pub fn items(&mut self, node: &Node, site: &Site) -> Vec<Item> {
        match &node.kind {
            Kind::Null => Vec::new(),
            Kind::List(items) => items.iter().filter_map(|item| self.item(item, site)).collect(),
            _ => {
                let message = format!("a list of {} is needed here, and this is {}", site.folder(), node.describe());
                self.report(
                    Diagnostic::error("wrong-type", message, &node.span).help("begin each of them with `- name: …`"),
                );
                Vec::new()
            }
        }
    }

    fn item(&mut self, node: &Node, site: &Site) -> Option<Item> {
        if ["block", "rescue", "always"].iter().any(|key| node.get(key).is_some()) {
            return Some(self.block(node, site));
        }
        let what = if site.handlers { "handler" } else { "task" };
        let mut problems = Vec::new();
        let mut map = MapReader::new(node, what, &mut problems);
        let item = if map.is_map() { self.task(&mut map, site) } else { None };
        // Ansible's old `include` and a bare `- file.yml` are told apart by what is written.
        if node.is_null() {
            problems.clear();
            problems.push(
                Diagnostic::error("empty-task", format!("this {what} is empty"), &node.span).help("remove the `-`"),
            );
        }
        self.report_all(problems);
        item
    }

    fn block(&mut self, node: &Node, site: &Site) -> Item {
        let mut problems = Vec::new();
        let mut map = MapReader::new(node, "block", &mut problems);
        for key in TASK_ONLY {
            map.refuse(
                key,
                match *key {
                    "loop" | "loop_control" | "with_items" | "with_dict" | "with_fileglob" => {
                        "put the tasks into a file of their own, and loop over it with `include_tasks`"
                    }
                    _ => "give it to the tasks in the block",
                },
            );
        }
        let name = self.scalar(&mut map, "name", Wants::Text);
        let keywords = self.keywords(&mut map, true);
        let notify = self.names(&mut map, "notify");
        let listen = self.listen(&mut map, site);
        self.handlers_here(name.as_ref(), &notify, &listen, site);
        let (body, rescue, always) = self.with_defaults(&keywords, |loader| {
            let mut part = |key| map.take(key).map(|node| loader.items(node, site)).unwrap_or_default();
            (part("block"), part("rescue"), part("always"))
        });
        if node.get("block").is_none() {
            map.report(
                Diagnostic::error("no-block", "`rescue` and `always` need a `block`", &node.span)
                    .help("put the tasks that may fail below `block:`"),
            );
        }
        map.finish(&[]);
        self.report_all(problems);
        Item::Block(Arc::new(Block {
            name,
            span: node.span.clone(),
            keywords: Arc::new(keywords),
            body,
            rescue,
            always,
            notify,
            listen,
            role: site.role.clone(),
        }))
    }

    /// Notes who notifies and who listens.
    fn handlers_here(&mut self, name: Option<&Node>, notify: &[Node], listen: &[Node], site: &Site) {
        self.notified.ask(notify, site);
        if site.handlers {
            self.notified.handler(name, listen, site);
        }
    }

    /// Topics, which only handlers listen to.
    fn listen(&mut self, map: &mut MapReader<'_, '_>, site: &Site) -> Vec<Node> {
        if !site.handlers {
            map.refuse("listen", "only handlers listen; a task tells them with `notify`");
            return Vec::new();
        }
        self.names(map, "listen")
    }

    fn task(&mut self, map: &mut MapReader<'_, '_>, site: &Site) -> Option<Item> {
        let node = map.node();
        let name = self.scalar(map, "name", Wants::Text);
        let mut keywords = self.keywords(map, true);
        let loop_ = self.loop_of(map);
        let mut task = Task {
            id: self.ctx.next_id(),
            name,
            span: node.span.clone(),
            keywords: Arc::default(),
            action: Action::Meta(super::tree::MetaAction::Noop),
            loop_,
            register: self.variable(map, "register"),
            changed_when: self.conditions(map, "changed_when"),
            failed_when: self.conditions(map, "failed_when"),
            until: self.conditions(map, "until"),
            retries: self.scalar(map, "retries", Wants::Int),
            delay: self.scalar(map, "delay", Wants::Number),
            notify: self.names(map, "notify"),
            listen: self.listen(map, site),
            async_: self.scalar(map, "async", Wants::Int),
            poll: self.scalar(map, "poll", Wants::Int),
            role: site.role.clone(),
            dir: site.search.dir.clone(),
            search: Arc::clone(&site.search),
        };
        self.handlers_here(task.name.as_ref(), &task.notify, &task.listen, site);
        let more = map.take("args");
        let named = self.named(map, KEYWORDS)?;
        if named.local {
            if let Some(other) = &keywords.delegate_to {
                self.report(
                    Diagnostic::error("two-hosts", "`local_action` and `delegate_to` exclude each other", &other.span)
                        .help("use `delegate_to: localhost` with the module"),
                );
            }
            self.works_here = true;
            keywords.delegate_to = Some(Node::string("localhost", named.span.clone()));
        }
        if let Some(name) = built_in(&named.name) {
            self.only_these_keys(name, node);
            return self.built_in(name, &named, more, keywords, task, site);
        }
        let module = self.ctx.module(&named.name)?;
        self.unsupported_poll(&task, module.name());
        let call = self.with_defaults(&keywords, |l| l.call(module, &named.span, &named.value, more))?;
        self.check_files(&call, site);
        task.action = Action::Module(call);
        task.keywords = Arc::new(keywords);
        Some(Item::Task(Arc::new(task)))
    }

    fn built_in(
        &mut self,
        name: &'static str,
        named: &Named,
        more: Option<&Node>,
        keywords: Keywords,
        mut task: Task,
        site: &Site,
    ) -> Option<Item> {
        task.action = match name {
            "import_tasks" => return self.import_tasks(named, more, keywords, &task, site),
            "import_role" => return self.import_role(named, more, keywords, site),
            "include_tasks" => self.with_defaults(&keywords, |l| l.include_tasks(named, more, site))?,
            "include_role" => self.with_defaults(&keywords, |l| l.include_role(named, more, site))?,
            "include_vars" => self.include_vars(named, more, site)?,
            _ => Action::Meta(self.meta(&named.value)?),
        };
        self.unsupported_meta(&task);
        task.keywords = Arc::new(keywords);
        Some(Item::Task(Arc::new(task)))
    }

    /// Reports keywords that an import or include does not carry out.
    fn only_these_keys(&mut self, name: &'static str, node: &Node) {
        const INCLUDE: &[&str] = &[
            "action",
            "args",
            "collections",
            "ignore_errors",
            "ignore_unreachable",
            "loop",
            "loop_control",
            "name",
            "no_log",
            "register",
            "run_once",
            "tags",
            "timeout",
            "vars",
            "when",
            "listen",
        ];
        const NOT_IMPORT: &[&str] = &[
            "async",
            "changed_when",
            "delay",
            "failed_when",
            "loop",
            "loop_control",
            "poll",
            "register",
            "retries",
            "until",
            "local_action",
        ];
        for entry in node.as_map().unwrap_or_default() {
            let key = &*entry.key;
            let with = key.starts_with("with_");
            let is_keyword = with || KEYWORDS.contains(&key);
            let (bad, help) = match name {
                "include_tasks" | "include_role" => (
                    is_keyword && !with && !INCLUDE.contains(&key),
                    format!(
                        "put it below `apply:` to give it to the tasks, or use `{}`",
                        name.replace("include", "import")
                    ),
                ),
                "import_tasks" | "import_role" if with || key.starts_with("loop") => (
                    true,
                    format!(
                        "an import is done once, before any host is known; use `{}`",
                        name.replace("import", "include")
                    ),
                ),
                "import_tasks" | "import_role" => {
                    (NOT_IMPORT.contains(&key), "give it to the tasks in that file".to_owned())
                }
                "meta" => (
                    with || ["loop", "loop_control", "until", "retries", "delay", "async", "poll"].contains(&key),
                    "`meta` does one thing once; remove it".to_owned(),
                ),
                _ => (false, String::new()),
            };
            if bad {
                let message = format!("`{key}` means nothing for `{name}`");
                self.report(Diagnostic::error("unsupported-keyword", message, &entry.key_span).help(help));
            }
        }
    }
}
