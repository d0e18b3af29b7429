//! `loop`, `with_…` and `loop_control`.

use super::keywords::Wants;
use super::load::{Loader, bad_name};
use super::tree::{Loop, LoopControl, LoopKind};
use crate::source::{Diagnostic, Entry, Kind, MapReader};
use std::sync::Arc;

/// The old spellings of a loop, and the lookups behind them.
pub(super) const WITH: &[(&str, &str)] = &[
    ("with_cartesian", "nested"),
    ("with_dict", "dict"),
    ("with_file", "file"),
    ("with_fileglob", "fileglob"),
    ("with_first_found", "first_found"),
    ("with_flattened", "flattened"),
    ("with_indexed_items", "indexed_items"),
    ("with_inventory_hostnames", "inventory_hostnames"),
    ("with_items", "items"),
    ("with_lines", "lines"),
    ("with_list", "list"),
    ("with_nested", "nested"),
    ("with_random_choice", "random_choice"),
    ("with_sequence", "sequence"),
    ("with_subelements", "subelements"),
    ("with_together", "together"),
];

impl Loader<'_> {
    /// The loop of a task.
    pub fn loop_of(&mut self, map: &mut MapReader<'_, '_>) -> Option<Loop> {
        let mut found: Vec<(&Entry, LoopKind)> =
            map.take_entry("loop").map(|e| (e, LoopKind::Loop)).into_iter().collect();
        for (key, lookup) in WITH {
            found.extend(map.take_entry(key).map(|e| (e, LoopKind::With(lookup))));
        }
        let strange: Vec<_> = map.rest().filter(|e| e.key.starts_with("with_")).collect();
        for entry in &strange {
            let name = entry.key.trim_start_matches("with_");
            self.report(
                Diagnostic::error("unknown-keyword", format!("there is no loop `{}`", entry.key), &entry.key_span)
                    .help(match crate::source::suggest(&entry.key, WITH.iter().map(|(key, _)| *key)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("write `loop: \"{{{{ query('{name}', …) }}}}\"`"),
                    }),
            );
        }
        let control = self.loop_control(map);
        if let [(first, _), (second, _), ..] = found.as_slice() {
            self.report(
                Diagnostic::error("two-loops", "this task has two loops", &second.key_span)
                    .also(&first.key_span, "the first is here")
                    .help("keep one of them"),
            );
        }
        let (entry, kind) = found.into_iter().next()?;
        let node = &entry.value;
        let wrong = match (&node.kind, kind) {
            (Kind::List(_), _) => None,
            (Kind::Str(_), LoopKind::Loop) if node.is_template() => None,
            (Kind::Map(_), LoopKind::Loop) => Some("write `loop: \"{{ NAME | dict2items }}\"` for a mapping"),
            (Kind::Str(_), LoopKind::Loop) => Some("a variable is written `loop: \"{{ NAME }}\"`"),
            (Kind::Null, _) | (_, LoopKind::Loop) => Some("give it a list"),
            _ => None,
        };
        if let Some(help) = wrong {
            let message = format!("`{}`: a list is needed here, and this is {}", entry.key, node.describe());
            self.report(Diagnostic::error("wrong-type", message, &node.span).help(help));
            return None;
        }
        self.check_node(node);
        Some(Loop { items: node.clone(), kind, control })
    }

    fn loop_control(&mut self, map: &mut MapReader<'_, '_>) -> LoopControl {
        let mut control = LoopControl {
            loop_var: Arc::from("item"),
            index_var: None,
            label: None,
            pause: None,
            extended: None,
            extended_allitems: None,
            break_when: Vec::new(),
        };
        let Some(node) = map.take("loop_control").filter(|n| !n.is_null()) else { return control };
        let mut problems = Vec::new();
        let mut inner = MapReader::new(node, "loop_control", &mut problems);
        if let Some(name) = self.variable(&mut inner, "loop_var") {
            control.loop_var = name;
        }
        control.index_var = self.variable(&mut inner, "index_var");
        // A label may be of any type; it is only shown.
        control.label = inner.take("label").filter(|n| !n.is_null()).cloned();
        if let Some(label) = &control.label {
            self.check_node(label);
        }
        control.pause = self.scalar(&mut inner, "pause", Wants::Number);
        control.extended = self.scalar(&mut inner, "extended", Wants::Bool);
        control.extended_allitems = self.scalar(&mut inner, "extended_allitems", Wants::Bool);
        control.break_when = self.conditions(&mut inner, "break_when");
        inner.finish(&[]);
        self.report_all(problems);
        control
    }

    /// The literal name of a variable.
    pub fn variable(&mut self, map: &mut MapReader<'_, '_>, key: &'static str) -> Option<Arc<str>> {
        let node = map.take(key).filter(|n| !n.is_null())?;
        if node.is_template() {
            self.report(
                Diagnostic::error("templated-name", format!("`{key}` can't be a template"), &node.span)
                    .help("write the name of the variable itself"),
            );
            return None;
        }
        if !matches!(node.kind, Kind::Str(_)) {
            let message = format!("`{key}` is the name of a variable, and this is {}", node.describe());
            self.report(Diagnostic::error("bad-name", message, &node.span).help(format!(
                "YAML reads `no`, `yes`, `on` and numbers as values; to register nothing, leave `{key}` out"
            )));
            return None;
        }
        match crate::source::text_of(node) {
            // What an expression reads as a value, it can't read as a variable.
            Ok(text) if ["true", "false", "none", "True", "False", "None"].contains(&&*text) || !text.is_ascii() => {
                self.report(
                    Diagnostic::error("bad-name", format!("`{text}` is no name for a variable"), &node.span)
                        .help("use letters from a to z, digits and `_`"),
                );
                None
            }
            Ok(text) => match bad_name(&text, &node.span) {
                Some(problem) => {
                    self.report(problem);
                    None
                }
                None => Some(text),
            },
            Err(mut problem) => {
                problem.message = format!("`{key}`: {}", problem.message);
                self.report(problem);
                None
            }
        }
    }
}
