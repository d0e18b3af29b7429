//! `debug`: shows a message or a value.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Key, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `debug` takes.
    pub struct DebugArgs {
        /// The message.
        msg: Option<Value>;
        /// An expression whose value is shown (it comes here evaluated, its text in `_var_name`).
        var: Option<Value>;
        /// Show it only where the run is at least as verbose.
        verbosity: i64 = 0i64;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["debug", "ansible.builtin.debug", "ansible.legacy.debug"],
    doc: "Shows a message or a value.",
    args: <DebugArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Controller,
    plan,
    writes: |_: &Map| Vec::<Key>::new(),
};

fn plan(map: &Map, _view: &View<'_>) -> Result<Decision, Stop> {
    let args = DebugArgs::from_map(map).map_err(Stop::fail)?;
    if args.msg.is_some() && map.contains_key("var") {
        return Err(Stop::fail("`msg` and `var` exclude each other"));
    }
    let level = map.get("_verbosity").and_then(Value::as_int).unwrap_or(0);
    if args.verbosity > level {
        let mut result = TaskResult::ok().with("skipped_reason", "Verbosity threshold not met.");
        result.skipped = true;
        return Ok(Decision::nothing(result));
    }
    let result = TaskResult::ok().with("_ansible_verbose_always", true);
    let result = match (map.get("var"), args.msg) {
        (Some(value), _) => {
            let name = map.get("_var_name").and_then(Value::as_str).unwrap_or("var");
            result.with(name, value.clone())
        }
        (None, Some(Value::Str(text))) => result.msg(&*text),
        (None, Some(value)) => result.with("msg", value),
        (None, None) => result.msg("Hello world!"),
    };
    Ok(Decision::nothing(result))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn shows_a_message_of_any_type() {
        let mut host = Fake::new();
        assert_eq!(host.plan("debug", json!({})).result.msg.as_deref(), Some("Hello world!"));
        assert_eq!(host.plan("debug", json!({"msg": "a"})).result.msg.as_deref(), Some("a"));
        let result = host.plan("debug", json!({"msg": ["a", 1]})).result;
        assert_eq!(result.data["msg"].to_string(), "['a', 1]");
        assert!(host.fails("debug", json!({"msg": "a", "var": "b"})).contains("exclude"));
    }

    #[test]
    fn shows_a_value_under_its_name() {
        let map: Map =
            [("var", Value::Null), ("_var_name", Value::from("a.b"))].into_iter().map(|(k, v)| (k.into(), v)).collect();
        let result = crate::modules::testing::pure(&MODULE, &map).unwrap().result;
        assert_eq!(result.data["a.b"], Value::Null);
    }

    #[test]
    fn is_quiet_below_its_verbosity() {
        assert!(Fake::new().plan("debug", json!({"msg": "a", "verbosity": 2})).result.skipped);
    }
}
