//! `set_fact`: variables of a host.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Key, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `set_fact` takes, beside the variables.
    pub struct SetFactArgs {
        /// Keep the variables with the gathered facts, for later runs.
        cacheable: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["set_fact", "ansible.builtin.set_fact", "ansible.legacy.set_fact"],
    doc: "Sets variables of a host, for the rest of the run.",
    args: <SetFactArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: true,
    needs: Needs::Controller,
    plan,
    writes: |_: &Map| Vec::<Key>::new(),
};

fn plan(map: &Map, _view: &View<'_>) -> Result<Decision, Stop> {
    let args = SetFactArgs::from_map(map).map_err(Stop::fail)?;
    let mut facts = Map::new();
    for (name, value) in map.iter().filter(|(name, _)| &***name != "cacheable") {
        if !is_name(name) {
            return Err(Stop::fail(format!(
                "`{name}` can't name a variable: use letters, digits and underscores, and begin with no digit"
            )));
        }
        if *value != Value::Omit {
            facts.insert(name.clone(), value.clone());
        }
    }
    if facts.is_empty() {
        return Err(Stop::fail("`set_fact` needs at least one variable to set"));
    }
    let mut result = TaskResult::ok().with("ansible_facts", facts);
    if args.cacheable {
        result = result.with("_ansible_facts_cacheable", true);
    }
    Ok(Decision::nothing(result))
}

/// Python's keywords, which no expression could read.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn any_name_becomes_a_variable() {
        let mut host = Fake::new();
        let result = host.plan("set_fact", json!({"a": [1], "b_2": {"c": null}, "cacheable": "yes"})).result;
        assert_eq!(result.data["ansible_facts"].to_string(), "{'a': [1], 'b_2': {'c': None}}");
        assert_eq!(result.data["_ansible_facts_cacheable"], Value::Bool(true));
        assert!(!result.changed);
    }

    #[test]
    fn a_value_known_later_stays_so() {
        let map: Map = [("a".into(), Value::Unknown)].into_iter().collect();
        let decision = crate::modules::testing::pure(&MODULE, &map);
        assert!(decision.is_ok_and(|d| d.result.data["ansible_facts"].get("a") == Some(&Value::Unknown)));
    }

    #[test]
    fn bad_names_are_told() {
        let mut host = Fake::new();
        assert!(host.fails("set_fact", json!({"a-b": 1})).contains("`a-b`"));
        assert!(host.fails("set_fact", json!({"2a": 1})).contains("`2a`"));
        assert!(host.fails("set_fact", json!({"class": 1})).contains("`class`"));
        assert!(host.fails("set_fact", json!({"cacheable": true})).contains("at least one"));
    }
}
