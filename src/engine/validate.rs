//! A role's arguments against its `meta/argument_specs.yml`, before its tasks run.

use super::code::{Context, within};
use super::event::TaskInfo;
use super::state::HostState;
use super::step::{Advance, Blocker, Walker, failed, message};
use crate::host::{Certainty, TaskResult};
use crate::playbook::{OptionSpec, RoleUse};
use crate::values::{Lookup, Map, Value};
use std::sync::Arc;

impl Walker<'_> {
    /// Checks the arguments of a role that is about to run. None if all is well, or there is nothing to check.
    pub(super) fn validate(&self, st: &mut HostState, role: &Arc<RoleUse>) -> Option<Advance> {
        let spec = role.role.argument_specs.get(&role.entry_point)?;
        if !role.validate || spec.options.is_empty() {
            return None;
        }
        let outer =
            Arc::new(Context { chain: self.compiled.root.chain.clone(), roles: Vec::new(), notify: Vec::new() });
        let context = within(&outer, role);
        let env = self.env(st, &context, None, Map::new());
        let mut problems = Vec::new();
        for option in &spec.options {
            let value = match env.scope.get(&option.name) {
                Lookup::Undefined => None,
                Lookup::Data(value) => Some(value),
                Lookup::Template(node) => match self.shared.templar.render_node(&node, &env.scope) {
                    Ok(value) => Some(value),
                    Err(error) => match env.blocker(error) {
                        Blocker::Hosts(hosts) => return Some(Advance::WaitHosts(hosts)),
                        Blocker::Failed(problem) => {
                            problems.push(format!("`{}`: {}", option.name, message(&problem)));
                            continue;
                        }
                    },
                },
                Lookup::Wait | Lookup::Scopes(_) => continue,
            };
            judge(option, value.as_ref(), &option.name, &mut problems);
        }
        if problems.is_empty() {
            return None;
        }
        let result = failed(format!("arguments of the role `{}` are wrong: {}", role.role.name, problems.join("; ")));
        self.refuse_role(st, role, result);
        Some(Advance::Moved)
    }

    fn refuse_role(&self, st: &mut HostState, role: &Arc<RoleUse>, result: TaskResult) {
        let info = TaskInfo {
            name: format!("{} : Check the arguments of the role", role.role.name).into(),
            action: "validate_argument_spec".into(),
            span: role.span.clone(),
            position: st.position(),
            handler: st.in_handlers(),
        };
        self.tell_plain(st, Arc::new(info), result, Certainty::Exact);
        let play = self.compiled.root.chain.iter().find_map(|k| k.any_errors_fatal.as_ref());
        let fatal = role.keywords.any_errors_fatal.as_ref().or(play);
        self.note_failure(st, fatal.is_some_and(|n| crate::source::bool_of(n) == Ok(true)), None);
        self.fail(st, None);
    }
}

/// Checks one value, and what is in it.
fn judge(option: &OptionSpec, value: Option<&Value>, path: &str, problems: &mut Vec<String>) {
    let Some(value) = value else {
        if option.required {
            problems.push(format!("`{path}` is required"));
        }
        return;
    };
    if matches!(value, Value::Unknown | Value::Omit) || (matches!(value, Value::Null) && !option.required) {
        return;
    }
    let fits = |kind: &str, value: &Value| match kind {
        "str" | "path" => !matches!(value, Value::List(_) | Value::Map(_) | Value::Null),
        "int" => <i64 as crate::modules::args::FromValue>::from_value(value).is_ok(),
        "float" => <f64 as crate::modules::args::FromValue>::from_value(value).is_ok(),
        "bool" => <bool as crate::modules::args::FromValue>::from_value(value).is_ok(),
        "list" => matches!(value, Value::List(_) | Value::Str(_) | Value::Int(_) | Value::Float(_)),
        "dict" => matches!(value, Value::Map(_)),
        _ => true,
    };
    if !fits(&option.kind, value) {
        problems.push(format!("`{path}` must be of the type {}, not {}", option.kind, value.describe()));
        return;
    }
    if !option.choices.is_empty() {
        let allowed: Vec<Value> = option.choices.iter().map(Value::from).collect();
        let chosen = match value {
            Value::List(items) => items.to_vec(),
            other => vec![other.clone()],
        };
        if let Some(wrong) = chosen.iter().find(|c| !allowed.iter().any(|a| a.to_string() == c.to_string())) {
            let words: Vec<String> = allowed.iter().map(Value::to_string).collect();
            problems.push(format!("`{path}` must be one of {}, not `{wrong}`", words.join(", ")));
        }
    }
    let items: Vec<(String, &Value)> = match value {
        Value::List(items) => items.iter().enumerate().map(|(i, v)| (format!("{path}[{i}]"), v)).collect(),
        other => vec![(path.to_owned(), other)],
    };
    for (at, item) in items {
        if let (Some(kind), Value::List(_)) = (&option.elements, value)
            && !fits(kind, item)
        {
            problems.push(format!("`{at}` must be of the type {kind}, not {}", item.describe()));
        }
        if let (false, Value::Map(map)) = (option.options.is_empty(), item) {
            for inner in &option.options {
                judge(inner, map.get(&inner.name), &format!("{at}.{}", inner.name), problems);
            }
        }
    }
}
