//! What a task does: finding its module among its keys.

use super::keywords::Wants;
use super::load::Loader;
use super::tree::MetaAction;
use crate::source::{Diagnostic, Entry, Kind, MapReader, Node, Span, suggest};
use std::sync::Arc;

/// Names that are no modules, and that a task may have instead of one.
pub(super) const BUILT_IN: &[&str] =
    &["import_role", "import_tasks", "include_role", "include_tasks", "include_vars", "meta"];

/// The words of `meta`.
const META: &[(&str, MetaAction)] = &[
    ("clear_facts", MetaAction::ClearFacts),
    ("clear_host_errors", MetaAction::ClearHostErrors),
    ("end_batch", MetaAction::EndBatch),
    ("end_host", MetaAction::EndHost),
    ("end_play", MetaAction::EndPlay),
    ("end_role", MetaAction::EndRole),
    ("flush_handlers", MetaAction::FlushHandlers),
    ("noop", MetaAction::Noop),
    ("refresh_inventory", MetaAction::RefreshInventory),
    ("reset_connection", MetaAction::ResetConnection),
];

/// The name of what a task does, and what stands behind it.
pub(super) struct Named {
    /// As written.
    pub name: Arc<str>,
    /// Where.
    pub span: Span,
    /// The arguments.
    pub value: Node,
    /// `local_action`.
    pub local: bool,
}

/// The name without the prefixes of Ansible's own collection.
pub(super) fn short(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy.")).unwrap_or(name)
}

/// The one of [`BUILT_IN`] that a name means.
pub(super) fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|b| **b == short(name)).copied()
}

impl Loader<'_> {
    /// Takes the keys of a task that are no keywords, of which exactly one must be a module.
    pub fn named(&mut self, map: &mut MapReader<'_, '_>, known: &[&'static str]) -> Option<Named> {
        let mut found: Vec<Named> = Vec::new();
        for (key, local) in [("action", false), ("local_action", true)] {
            if let Some(entry) = map.take_entry(key) {
                found.push(self.spelled_out(entry, local)?);
            }
        }
        let mut unknown: Vec<&Entry> = Vec::new();
        for entry in map.take_rest() {
            if built_in(&entry.key).is_some() || self.ctx.module(&entry.key).is_some() {
                found.push(Named {
                    name: Arc::clone(&entry.key),
                    span: entry.key_span.clone(),
                    value: entry.value.clone(),
                    local: false,
                });
            } else {
                unknown.push(entry);
            }
        }
        let has_module = !found.is_empty();
        let mut maybe_module = false;
        // Loops have told of theirs.
        unknown.retain(|e| !e.key.starts_with("with_"));
        for entry in unknown {
            // A key near a keyword is a slip of the pen, unless the task would then have nothing to do.
            let near = suggest(&entry.key, known);
            if has_module || (near.is_some() && !entry.key.contains('.')) {
                let problem = if entry.key.contains('.') {
                    self.unknown_module(&entry.key, &entry.key_span)
                } else {
                    unknown_keyword(entry, near.as_deref())
                };
                self.report(problem);
            } else {
                maybe_module = true;
                let problem = self.unknown_module(&entry.key, &entry.key_span);
                self.report(problem);
            }
        }
        if let [first, second, ..] = found.as_slice() {
            self.report(
                Diagnostic::error("two-modules", "this task has two modules", &second.span)
                    .label(format!("`{}` here", second.name))
                    .also(&first.span, format!("`{}` here", first.name))
                    .help("make two tasks of it; what belongs to a module is indented below its name"),
            );
            return None;
        }
        if found.is_empty() && !maybe_module && map.is_map() {
            self.report(
                Diagnostic::error("no-module", "this task has no module", &map.node().span)
                    .help("name what it does, for example `ansible.builtin.command:`"),
            );
        }
        found.pop()
    }

    /// `action: NAME ARGUMENTS` or `action: {module: NAME, …}`.
    fn spelled_out(&mut self, entry: &Entry, local: bool) -> Option<Named> {
        let node = &entry.value;
        let named = match &node.kind {
            Kind::Str(text) => {
                let trimmed = text.trim_start();
                let name = trimmed.split_whitespace().next().unwrap_or_default();
                let rest = trimmed[name.len()..].trim();
                let value = if rest.is_empty() {
                    Node::new(Kind::Null, node.span.clone())
                } else {
                    Node::string(rest, node.span.clone())
                };
                Some(Named { name: name.into(), span: node.span.clone(), value, local })
            }
            Kind::Map(entries) => entries.iter().find(|e| &*e.key == "module").and_then(|module| {
                let rest = entries.iter().filter(|e| &*e.key != "module").cloned().collect();
                Some(Named {
                    name: module.value.as_str()?.into(),
                    span: module.value.span.clone(),
                    value: Node::new(Kind::Map(rest), node.span.clone()),
                    local,
                })
            }),
            _ => None,
        };
        let Some(named) = named.filter(|n| !n.name.is_empty()) else {
            self.report(
                Diagnostic::error("no-module", format!("`{}` names no module", entry.key), &entry.key_span)
                    .help(format!("write `{}: {{module: NAME, ARGUMENT: value}}`", entry.key)),
            );
            return None;
        };
        if named.name.contains("{{") {
            self.report(
                Diagnostic::error("templated-module", "the name of a module can't be a template", &named.span)
                    .help("write one task for each module, with `when`"),
            );
            return None;
        }
        if built_in(&named.name).is_none() && self.ctx.module(&named.name).is_none() {
            let problem = self.unknown_module(&named.name, &named.span);
            self.report(problem);
            return None;
        }
        Some(named)
    }

    /// The word behind `meta`.
    pub fn meta(&mut self, value: &Node) -> Option<MetaAction> {
        // `meta: {free_form: noop}` is how `action:` spells it.
        let value = value.get("_raw_params").unwrap_or(value);
        let text = value.as_str().unwrap_or_default().trim();
        if let Some((_, action)) = META.iter().find(|(word, _)| *word == text) {
            return Some(*action);
        }
        let words = META.iter().map(|(word, _)| *word);
        let mut problem = Diagnostic::error("bad-choice", format!("`meta` can't do `{text}`"), &value.span);
        if let Some(near) = suggest(text, words.clone()) {
            problem = problem.help(format!("did you mean `{near}`?"));
        }
        self.report(
            problem.help(format!("it is one of {}", words.map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "))),
        );
        None
    }

    /// The arguments of one of [`BUILT_IN`] as a mapping: plain text is the argument `plain`; those of `args:` are added.
    pub fn normal_args(
        &mut self,
        named: &Named,
        more: Option<&Node>,
        plain: &'static str,
        names: &[&str],
    ) -> Option<Node> {
        let mut entries = match &named.value.kind {
            Kind::Map(entries) => entries.clone(),
            Kind::Null => Vec::new(),
            Kind::Str(_) => match super::freeform::parse(&named.value, &|key| names.contains(&key)) {
                Ok(found) => {
                    let mut entries = found.pairs;
                    entries.extend(found.rest.map(|rest| Entry {
                        key: plain.into(),
                        key_span: rest.span.clone(),
                        value: rest,
                    }));
                    entries
                }
                Err(problem) => {
                    self.report(problem);
                    return None;
                }
            },
            _ => {
                self.value(short(&named.name), &named.value, Wants::Text)?;
                return None;
            }
        };
        for entry in more.and_then(Node::as_map).unwrap_or_default() {
            if !entries.iter().any(|e| e.key == entry.key) {
                entries.push(entry.clone());
            }
        }
        for entry in &mut entries {
            if &*entry.key == "_raw_params" {
                entry.key = plain.into();
            }
        }
        Some(Node::new(Kind::Map(entries), named.span.clone()))
    }
}

fn unknown_keyword(entry: &Entry, near: Option<&str>) -> Diagnostic {
    let problem =
        Diagnostic::error("unknown-keyword", format!("unknown keyword `{}` in this task", entry.key), &entry.key_span);
    match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("if it is an argument of the module, indent it below the module's name"),
    }
}
