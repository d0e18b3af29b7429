//! The keywords that plays, roles, blocks and tasks share.

use super::load::Loader;
use super::tree::{Keywords, ModuleDefaults, Vars};
use crate::source::{Diagnostic, Entry, Kind, MapReader, Node, bool_of, int_of, text_of};
use std::sync::Arc;

/// Shared by everything.
pub(super) const COMMON: &[&str] = &[
    "any_errors_fatal",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "check_mode",
    "collections",
    "connection",
    "debugger",
    "diff",
    "environment",
    "ignore_errors",
    "ignore_unreachable",
    "module_defaults",
    "name",
    "no_log",
    "port",
    "remote_user",
    "run_once",
    "tags",
    "throttle",
    "timeout",
    "vars",
];

/// Shared by roles, blocks and tasks, and not known to a play.
pub(super) const INNER: &[&str] = &["delegate_facts", "delegate_to", "when"];

/// What a keyword's value must be, unless it is a template.
#[derive(Clone, Copy)]
pub(super) enum Wants {
    Text,
    Bool,
    Int,
    Number,
    /// An integer or a percentage.
    Share,
}

impl Wants {
    fn check(self, node: &Node) -> Result<(), Diagnostic> {
        let share = |text: &str| text.strip_suffix('%').is_some_and(|t| t.trim().parse::<f64>().is_ok());
        match self {
            Self::Text => text_of(node).map(drop),
            Self::Bool => bool_of(node).map(drop),
            Self::Share if node.as_str().is_some_and(share) => Ok(()),
            Self::Number | Self::Share if matches!(node.kind, Kind::Float(_)) => Ok(()),
            Self::Number if node.as_str().is_some_and(|t| t.trim().parse::<f64>().is_ok()) => Ok(()),
            Self::Int | Self::Number => int_of(node).map(drop),
            Self::Share => int_of(node).map(drop).map_err(|d| d.help("write a number, or a percentage such as `30%`")),
        }
    }
}

impl Loader<'_> {
    /// A keyword with one value, which may be a template.
    pub fn scalar(&mut self, map: &mut MapReader<'_, '_>, key: &'static str, wants: Wants) -> Option<Node> {
        let node = map.take(key).filter(|n| !n.is_null())?;
        self.value(key, node, wants)
    }

    /// The value of a keyword, if it is right.
    pub fn value(&mut self, key: &str, node: &Node, wants: Wants) -> Option<Node> {
        if node.is_template() {
            self.check_node(node);
            return Some(node.clone());
        }
        match wants.check(node) {
            Ok(()) => Some(node.clone()),
            Err(mut problem) => {
                problem.message = format!("`{key}`: {}", problem.message);
                self.report(problem);
                None
            }
        }
    }

    /// A list of conditions; one counts as a list of one.
    pub fn conditions(&mut self, map: &mut MapReader<'_, '_>, key: &'static str) -> Vec<Node> {
        let nodes = map.take_list(key);
        nodes.iter().filter(|node| self.condition(key, node)).cloned().collect()
    }

    fn condition(&mut self, key: &str, node: &Node) -> bool {
        let problem = match &node.kind {
            Kind::Bool(_) => return true,
            Kind::Str(text) if !text.trim().is_empty() => {
                self.check_condition(node);
                return true;
            }
            Kind::Str(_) | Kind::Null => {
                Diagnostic::error("bad-condition", format!("`{key}` has an empty condition"), &node.span)
                    .help("write an expression, or leave it out")
            }
            Kind::Map(_) => {
                Diagnostic::error("bad-condition", format!("`{key}`: a condition is no mapping"), &node.span)
                    .help("a condition is an expression without braces: `when: ready`, not `when: {{ ready }}`")
            }
            _ => Diagnostic::error(
                "bad-condition",
                format!("`{key}`: a condition must be true or false, and this is {}", node.describe()),
                &node.span,
            )
            .help("write a comparison, such as `count > 0`"),
        };
        self.report(problem);
        false
    }

    /// A list of names that may be templates (`notify`, `listen`).
    pub fn names(&mut self, map: &mut MapReader<'_, '_>, key: &'static str) -> Vec<Node> {
        let nodes = map.take_list(key);
        nodes.iter().filter_map(|node| self.value(key, node, Wants::Text)).collect()
    }

    /// All keywords that are shared; `inner` for those that a play does not know.
    pub fn keywords(&mut self, map: &mut MapReader<'_, '_>, inner: bool) -> Keywords {
        map.refuse("debugger", "there is no debugger; run with -vvv, or add a `debug` task");
        self.collections(map);
        let mut keywords = Keywords {
            vars: Arc::new(self.take_vars(map)),
            tags: self.tags(map),
            become_: self.scalar(map, "become", Wants::Bool),
            become_user: self.scalar(map, "become_user", Wants::Text),
            become_method: self.word(
                map,
                "become_method",
                &["sudo", "su", "ansible.builtin.sudo", "ansible.builtin.su"],
            ),
            become_flags: self.scalar(map, "become_flags", Wants::Text),
            become_exe: self.scalar(map, "become_exe", Wants::Text),
            environment: self.environment(map),
            ignore_errors: self.scalar(map, "ignore_errors", Wants::Bool),
            ignore_unreachable: self.scalar(map, "ignore_unreachable", Wants::Bool),
            no_log: self.scalar(map, "no_log", Wants::Bool),
            run_once: self.scalar(map, "run_once", Wants::Bool),
            check_mode: self.scalar(map, "check_mode", Wants::Bool),
            diff: self.scalar(map, "diff", Wants::Bool),
            any_errors_fatal: self.scalar(map, "any_errors_fatal", Wants::Bool),
            throttle: self.scalar(map, "throttle", Wants::Int),
            timeout: self.scalar(map, "timeout", Wants::Int),
            remote_user: self.scalar(map, "remote_user", Wants::Text),
            port: self.scalar(map, "port", Wants::Int),
            connection: self.word(
                map,
                "connection",
                &["ssh", "local", "smart", "ansible.builtin.ssh", "ansible.builtin.local"],
            ),
            module_defaults: self.module_defaults(map),
            ..Keywords::default()
        };
        if inner {
            keywords.when = self.conditions(map, "when");
            keywords.delegate_to = self.scalar(map, "delegate_to", Wants::Text);
            keywords.delegate_facts = self.scalar(map, "delegate_facts", Wants::Bool);
        }
        self.works_here |= keywords.delegate_to.is_some() || keywords.connection.is_some();
        keywords
    }

    /// A keyword with a few words of which this program knows some; or a template.
    fn word(&mut self, map: &mut MapReader<'_, '_>, key: &'static str, words: &[&'static str]) -> Option<Node> {
        let node = map.take(key).filter(|n| !n.is_null())?;
        if node.as_str().is_some_and(|text| words.contains(&text)) {
            return Some(node.clone());
        }
        if node.is_template() {
            return self.value(key, node, Wants::Text);
        }
        let shown = text_of(node).unwrap_or_else(|_| node.describe().into());
        let list = words.iter().filter(|w| !w.contains('.')).map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ");
        self.report(
            Diagnostic::error("bad-choice", format!("`{key}` can't be `{shown}`"), &node.span)
                .help(format!("it is one of {list}")),
        );
        None
    }

    fn collections(&mut self, map: &mut MapReader<'_, '_>) {
        // Modules are known by short names without it, so that it only has to be well formed.
        for node in map.take_list("collections") {
            self.value("collections", node, Wants::Text);
        }
    }

    fn take_vars(&mut self, map: &mut MapReader<'_, '_>) -> Vars {
        map.take("vars").map(|node| self.vars(node, "block of variables")).unwrap_or_default()
    }

    pub fn tags(&mut self, map: &mut MapReader<'_, '_>) -> Vec<Arc<str>> {
        let mut tags: Vec<Arc<str>> = Vec::new();
        for node in map.take_list("tags") {
            if node.is_template() {
                self.report(
                    Diagnostic::error("templated-tag", "a tag can't be a template", &node.span)
                        .help("write the tag itself; which tasks run is decided before any variable is known"),
                );
                continue;
            }
            match text_of(node) {
                Ok(text) => {
                    for tag in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
                        if !tags.iter().any(|t| &**t == tag) {
                            tags.push(tag.into());
                        }
                    }
                }
                Err(mut problem) => {
                    problem.message = format!("`tags`: {}", problem.message);
                    self.report(problem);
                }
            }
        }
        tags
    }

    fn environment(&mut self, map: &mut MapReader<'_, '_>) -> Vec<Node> {
        let mut all = Vec::new();
        for node in map.take_list("environment") {
            match &node.kind {
                Kind::Map(_) => {}
                Kind::Str(_) if node.is_template() => {}
                Kind::Null => continue,
                _ => {
                    let message = format!("`environment`: a mapping is needed here, and this is {}", node.describe());
                    self.report(
                        Diagnostic::error("wrong-type", message, &node.span)
                            .help("write each variable as `NAME: value`"),
                    );
                    continue;
                }
            }
            self.check_node(node);
            all.push(node.clone());
        }
        all
    }

    fn module_defaults(&mut self, map: &mut MapReader<'_, '_>) -> Vec<ModuleDefaults> {
        let mut all = Vec::new();
        let nodes = map.take_list("module_defaults");
        for node in nodes {
            let Some(entries) = node.as_map() else {
                let message = format!("`module_defaults`: a mapping is needed here, and this is {}", node.describe());
                self.report(
                    Diagnostic::error("wrong-type", message, &node.span)
                        .help("write `module_defaults: {MODULE: {ARGUMENT: value}}`"),
                );
                continue;
            };
            for entry in entries {
                all.extend(self.defaults_of(entry));
            }
        }
        all
    }

    fn defaults_of(&mut self, entry: &Entry) -> Option<ModuleDefaults> {
        if entry.key.starts_with("group/") {
            self.report(
                Diagnostic::error(
                    "unsupported",
                    format!("there is no group of modules `{}`", entry.key),
                    &entry.key_span,
                )
                .help("write one entry for each module"),
            );
            return None;
        }
        let Some(module) = self.ctx.module(&entry.key) else {
            let problem = self.unknown_module(&entry.key, &entry.key_span);
            self.report(problem);
            return None;
        };
        match &entry.value.kind {
            Kind::Map(args) => {
                self.check_args(module, args);
                Some(ModuleDefaults { module, args: args.clone() })
            }
            Kind::Null => None,
            _ => {
                let message =
                    format!("the defaults of `{}` are a mapping, and this is {}", entry.key, entry.value.describe());
                self.report(
                    Diagnostic::error("wrong-type", message, &entry.value.span)
                        .help("write each argument as `name: value`"),
                );
                None
            }
        }
    }

    /// Runs `read` with these defaults for modules in force.
    pub fn with_defaults<T>(&mut self, keywords: &Keywords, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.defaults.len();
        self.defaults.extend(
            keywords
                .module_defaults
                .iter()
                .map(|d| (d.module.name(), d.args.iter().map(|a| Arc::clone(&a.key)).collect())),
        );
        let out = read(self);
        self.defaults.truncate(before);
        out
    }
}
