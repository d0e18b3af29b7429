//! What arguments a role declares.

use super::load::Loader;
use super::tree_roles::{ArgumentSpec, OptionSpec};
use crate::source::{Entry, MapReader, Node};
use indexmap::IndexMap;
use std::sync::Arc;

const TYPES: &[&str] =
    &["bits", "bool", "bytes", "dict", "float", "int", "json", "jsonarg", "list", "path", "raw", "sid", "str"];

impl Loader<'_> {
    /// The mapping below `argument_specs:`.
    pub fn argument_specs(&mut self, node: &Node) -> IndexMap<Arc<str>, ArgumentSpec> {
        let mut problems = Vec::new();
        let mut specs = IndexMap::new();
        let mut map = MapReader::new(node, "mapping of argument specifications", &mut problems);
        for entry in map.take_rest() {
            specs.insert(Arc::clone(&entry.key), self.argument_spec(&entry.value));
        }
        self.report_all(problems);
        specs
    }

    fn argument_spec(&mut self, node: &Node) -> ArgumentSpec {
        let mut problems = Vec::new();
        let mut map = MapReader::new(node, "argument specification", &mut problems);
        let mut spec = ArgumentSpec::default();
        if !node.is_null() {
            spec.short_description = map.take_str("short_description");
            for key in ["description", "author", "version_added", "seealso", "notes", "examples", "attributes"] {
                map.take(key);
            }
            refuse_relations(&mut map);
            spec.options = map.take_map("options").iter().map(|e| self.option(e)).collect();
            map.finish(&[]);
            self.report_all(problems);
        }
        spec
    }

    fn option(&mut self, entry: &Entry) -> OptionSpec {
        let mut problems = Vec::new();
        let mut spec = OptionSpec {
            name: Arc::clone(&entry.key),
            span: entry.key_span.clone(),
            kind: Arc::from("str"),
            elements: None,
            required: false,
            choices: Vec::new(),
            default: None,
            options: Vec::new(),
        };
        if entry.value.is_null() {
            return spec;
        }
        let mut map = MapReader::new(&entry.value, "option", &mut problems);
        for key in ["description", "version_added", "no_log"] {
            map.take(key);
        }
        if let Some(kind) = map.take_choice("type", TYPES) {
            spec.kind = kind.into();
        }
        spec.elements = map.take_choice("elements", TYPES).map(Arc::from);
        spec.required = map.take_bool("required").unwrap_or(false);
        spec.choices = map.take_items("choices").to_vec();
        spec.default = map.take("default").filter(|n| !n.is_null()).cloned();
        map.refuse("aliases", "use one name; a role's arguments are variables");
        refuse_relations(&mut map);
        spec.options = map.take_map("options").iter().map(|e| self.option(e)).collect();
        map.finish(&[]);
        self.report_all(problems);
        spec
    }
}

fn refuse_relations(map: &mut MapReader<'_, '_>) {
    for key in ["mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by"] {
        map.refuse(key, "check it with an `assert` task at the beginning of the role");
    }
}
