//! `assert`: fails where an expression does not hold.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Failure, Key, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `assert` takes.
    pub struct AssertArgs {
        /// The expressions, each of which must hold (they come here evaluated, as mappings of `expression` and `value`).
        that: Value;
        /// What to say when one does not hold.
        fail_msg: Option<Value>, ["msg"];
        /// What to say when all hold.
        success_msg: Option<Value>;
        /// Say little when all hold.
        quiet: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["assert", "ansible.builtin.assert", "ansible.legacy.assert"],
    doc: "Fails where an expression does not hold.",
    args: <AssertArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Controller,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_: &Map| Vec::<Key>::new(),
};

fn plan(args: &AssertArgs, _view: &View<'_>) -> Result<Decision, Stop> {
    let items = match &args.that {
        Value::List(items) => items.to_vec(),
        one => vec![one.clone()],
    };
    let mut unknown = false;
    for item in &items {
        let value = item.get("value").unwrap_or(item);
        let expression = item.get("expression").cloned().unwrap_or_else(|| Value::from(value.to_string()));
        match holds(value) {
            Some(true) => {}
            None => unknown = true,
            Some(false) => {
                let mut failure = Failure::default();
                match message(args.fail_msg.as_ref(), "fail_msg", "Assertion failed")? {
                    Value::Str(text) => failure.message = text.to_string(),
                    list => {
                        failure.message = list.as_list().map(join).unwrap_or_default();
                        failure.data.insert("msg".into(), list);
                    }
                }
                failure.data.insert("evaluated_to".into(), Value::Bool(false));
                failure.data.insert("assertion".into(), expression);
                return Err(Stop::Fail(Box::new(failure)));
            }
        }
    }
    if unknown {
        return Err(Stop::Unknown("an assertion rests on a value that is known only after apply".into()));
    }
    let mut result = TaskResult::ok();
    if !args.quiet {
        result = result.with("_ansible_verbose_always", true);
    }
    Ok(Decision::nothing(match message(args.success_msg.as_ref(), "success_msg", "All assertions passed")? {
        Value::Str(text) => result.msg(&*text),
        list => result.with("msg", list),
    }))
}

fn holds(value: &Value) -> Option<bool> {
    match value {
        Value::Unknown => None,
        Value::Null | Value::Omit => Some(false),
        Value::Bool(b) => Some(*b),
        Value::Int(i) => Some(*i != 0),
        Value::Float(x) => Some(*x != 0.0),
        Value::Str(s) => Some(!s.is_empty()),
        Value::List(items) => Some(!items.is_empty()),
        Value::Map(map) => Some(!map.is_empty()),
    }
}

fn message(given: Option<&Value>, name: &str, default: &str) -> Result<Value, Stop> {
    match given {
        None => Ok(Value::from(default)),
        Some(Value::Str(text)) => Ok(Value::Str(text.clone())),
        Some(Value::List(items)) if items.iter().all(|i| i.as_str().is_some()) => Ok(Value::List(items.clone())),
        Some(Value::Unknown) => Ok(Value::from(default)),
        Some(other) => Err(Stop::fail(format!(
            "argument `{name}` must be a string or a list of strings, not {}",
            other.describe()
        ))),
    }
}

fn join(items: &[Value]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::{Fake, pure};
    use serde_json::json;

    #[test]
    fn all_must_hold() {
        let mut host = Fake::new();
        let that = json!([{"expression": "a > 1", "value": true}, {"expression": "b", "value": 1}]);
        assert_eq!(host.plan("assert", json!({"that": that})).result.msg.as_deref(), Some("All assertions passed"));
    }

    #[test]
    fn the_first_that_does_not_is_named() {
        let map = json!({"that": [{"expression": "a", "value": true}, {"expression": "b == 'x'", "value": false}],
            "msg": "b is wrong"});
        let map: Value = serde_json::from_value(map).unwrap_or_default();
        let Err(Stop::Fail(failure)) = pure(&MODULE, map.as_map().unwrap_or(&Map::new())) else {
            panic!("it did not fail");
        };
        assert_eq!(failure.message, "b is wrong");
        assert_eq!(failure.data["assertion"], Value::from("b == 'x'"));
        assert_eq!(failure.data["evaluated_to"], Value::Bool(false));
    }

    #[test]
    fn what_is_known_later_is_neither() {
        let item = Value::from_pairs([("expression", Value::from("r.rc == 0")), ("value", Value::Unknown)]);
        let map: Map = [("that".into(), Value::list(vec![item]))].into_iter().collect();
        assert!(matches!(pure(&MODULE, &map), Err(Stop::Unknown(_))));
    }
}
