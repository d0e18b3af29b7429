//! Taking up a task: whether it is wanted, its name, the items of its loop, its conditions.

use super::code::{GATHERING, Instr, Unit};
use super::event::TaskInfo;
use super::state::{Flight, HostState, ItemFlight};
use super::step::{Advance, Blocked, Blocker, Env, Walker, failed, message, skipped};
use crate::host::{Certainty, Key, TaskResult};
use crate::playbook::{Action, LoopKind};
use crate::source::{Diagnostic, Node};
use crate::values::{Map, Scope, Truth, Value};
use std::sync::Arc;

impl Walker<'_> {
    pub(super) fn selected(&self, unit: &Unit) -> bool {
        let options = &self.shared.options;
        let tags = unit.context.tags(&unit.task.keywords);
        let only: Vec<Arc<str>> = options.tags.iter().map(|t| t.as_str().into()).collect();
        let skip: Vec<Arc<str>> = options.skip_tags.iter().map(|t| t.as_str().into()).collect();
        crate::playbook::selected(&tags, &only, &skip)
    }

    /// Takes up a task: its name and its items. None if it goes on at once.
    pub(super) fn begin(&self, st: &mut HostState, unit: &Arc<Unit>) -> Option<Advance> {
        st.depths.begin();
        let env = self.env(st, &unit.context, Some(unit), Map::new());
        let templar = &self.shared.templar;
        let action: Arc<str> = match &unit.task.action {
            Action::Module(call) => call.module.name().into(),
            Action::IncludeTasks(_) => "include_tasks".into(),
            Action::IncludeRole(_) => "include_role".into(),
            Action::IncludeVars(_) => "include_vars".into(),
            Action::Meta(_) => "meta".into(),
        };
        let name = match &unit.task.name {
            Some(node) => match templar.render_node(node, &env.scope) {
                Ok(value) if !value.has_unknown() => value.to_string(),
                // A name is only shown: what can't be rendered is shown as it stands.
                _ => node.as_str().unwrap_or_default().to_owned(),
            },
            None => action.to_string(),
        };
        if !st.started && !self.starts(st, unit, &name, &env) {
            st.step();
            return Some(Advance::Moved);
        }
        let shown = match &unit.task.role {
            Some(role) => format!("{} : {name}", role.name),
            None => name,
        };
        let info = Arc::new(TaskInfo {
            name: shown.into(),
            action,
            span: unit.task.span.clone(),
            position: st.position(),
            handler: st.in_handlers(),
        });
        let items = match self.items(unit, &env) {
            Ok(items) => items,
            Err(Ok(advance)) => {
                if matches!(advance, Advance::Unknown(_)) {
                    // It is left as one item of which nothing is known.
                    let flight = self.flight(unit, info, Arc::new(vec![None]));
                    st.flight = Some(Flight { unknown_items: true, ..flight });
                }
                return Some(advance);
            }
            Err(Err(problem)) => {
                st.flight = Some(self.flight(unit, info, Arc::new(vec![None])));
                // A loop that can't be read is no failure where the condition says that the task is left out.
                if let Ok(Truth::False) = self.conditions(unit, &env, &[]) {
                    self.finish_item(st, skipped("Conditional result was False"), Certainty::Exact);
                } else {
                    self.finish_item(st, failed(message(&problem)), Certainty::Exact);
                }
                return Some(Advance::Moved);
            }
        };
        st.flight = Some(self.flight(unit, info, Arc::new(items)));
        if st.flight.as_ref().is_some_and(|f| f.items.is_empty()) {
            let mut result = TaskResult { skipped: true, ..TaskResult::default() }.with("results", Value::list(vec![]));
            result.data.insert("skipped_reason".into(), Value::from("No items in the list"));
            self.finish_task(st, result, Certainty::Exact, false);
            return Some(Advance::Moved);
        }
        None
    }

    /// Whether a task runs though none has: `--start-at-task` names it, or it gathers facts for a play with that task.
    fn starts(&self, st: &mut HostState, unit: &Unit, name: &str, env: &Env) -> bool {
        let wanted = self.shared.options.start_at.as_deref();
        if unit.task.id == GATHERING {
            let named = |other: &Unit| match &other.task.name {
                Some(node) => self
                    .shared
                    .templar
                    .render_node(node, &env.scope)
                    .map_or_else(|_| node.as_str().unwrap_or_default().to_owned(), |v| v.to_string()),
                None => other.task.action.name().to_owned(),
            };
            return self.compiled.main.instrs.iter().any(|instr| match instr {
                Instr::Task(other) => other.task.id != GATHERING && wanted == Some(named(other).as_str()),
                _ => false,
            });
        }
        st.started = wanted == Some(name);
        st.started
    }

    fn flight(&self, unit: &Arc<Unit>, info: Arc<TaskInfo>, items: Arc<Vec<Option<Value>>>) -> Flight {
        Flight {
            unit: Arc::clone(unit),
            info,
            items,
            at: 0,
            results: Vec::new(),
            unknown_items: false,
            item: ItemFlight { attempt: 1, ..ItemFlight::default() },
            failed: false,
        }
    }

    /// The items of a task's loop; one without a value if it has none.
    fn items(&self, unit: &Unit, env: &Env) -> Result<Vec<Option<Value>>, Result<Advance, Box<Diagnostic>>> {
        let Some(looped) = &unit.task.loop_ else { return Ok(vec![None]) };
        let templar = &self.shared.templar;
        let blocked = |error| match env.blocker(error) {
            Blocker::Hosts(hosts) => Ok(Advance::WaitHosts(hosts)),
            Blocker::Failed(problem) => Err(problem),
        };
        let unknown = || {
            Ok(Advance::Unknown(Box::new(Blocked {
                why: "the items of its loop".into(),
                seat: None,
                relied: Vec::new(),
                writes: vec![Key::Anything],
                likely: None,
            })))
        };
        let terms = templar.render_node(&looped.items, &env.scope).map_err(blocked)?;
        if matches!(terms, Value::Unknown) {
            return Err(unknown());
        }
        let value = match looped.kind {
            LoopKind::Loop => terms,
            LoopKind::With(name) => {
                let terms = match terms {
                    Value::List(_) => terms,
                    other => Value::list(vec![other]),
                };
                let special: Map = [("windlass_terms".into(), terms)].into_iter().collect();
                let expression = format!("query('{name}', *windlass_terms)");
                let scope: Arc<dyn Scope> = Arc::new(With { special, inner: Arc::clone(&env.scope) });
                templar.expression(&expression, &looped.items.span, &scope).map_err(blocked)?
            }
        };
        match value {
            Value::List(items) => Ok(items.iter().cloned().map(Some).collect()),
            Value::Unknown => Err(unknown()),
            other => Err(Err(Box::new(
                Diagnostic::error(
                    "not-a-list",
                    format!("a loop needs a list, not {}", other.describe()),
                    &looped.items.span,
                )
                .help("make a list of it, for example with `| list` or `| dict2items`"),
            ))),
        }
    }

    /// Loop variables of the item that is worked on.
    pub(super) fn special(&self, st: &HostState) -> Map {
        let mut map = Map::new();
        let Some(flight) = &st.flight else { return map };
        if let (Some(Some(item)), Some(looped)) = (flight.items.get(flight.at), &flight.unit.task.loop_) {
            let control = &looped.control;
            map.insert(Arc::clone(&control.loop_var), item.clone());
            map.insert("ansible_loop_var".into(), Value::Str(Arc::clone(&control.loop_var)));
            if let Some(index) = &control.index_var {
                map.insert(Arc::clone(index), Value::from(flight.at));
                map.insert("ansible_index_var".into(), Value::Str(Arc::clone(index)));
            }
            if control.extended.as_ref().is_some_and(|n| crate::source::bool_of(n).unwrap_or(true)) {
                map.insert("ansible_loop".into(), extended(flight));
            }
        }
        map
    }

    /// Whether all conditions of a task hold, outermost first.
    pub(super) fn conditions(&self, unit: &Unit, env: &Env, further: &[Node]) -> Result<Truth, Blocker> {
        let nodes = unit.context.chain.iter().flat_map(|k| &k.when).chain(&unit.task.keywords.when).chain(further);
        self.all_hold(nodes, env)
    }

    pub(super) fn all_hold<'n>(&self, nodes: impl Iterator<Item = &'n Node>, env: &Env) -> Result<Truth, Blocker> {
        for node in nodes {
            match self.shared.templar.condition(node, &env.scope) {
                Ok(Truth::True) => {}
                Ok(other) => return Ok(other),
                Err(error) => return Err(env.blocker(error)),
            }
        }
        Ok(Truth::True)
    }
}

/// A scope with a few names before another's.
struct With {
    special: Map,
    inner: Arc<dyn Scope>,
}

impl Scope for With {
    fn get(&self, name: &str) -> crate::values::Lookup {
        match self.special.get(name) {
            Some(value) => crate::values::Lookup::Data(value.clone()),
            None => self.inner.get(name),
        }
    }
    fn names(&self) -> Vec<Arc<str>> {
        self.inner.names()
    }
    fn search_path(&self, kind: &str) -> Vec<std::path::PathBuf> {
        self.inner.search_path(kind)
    }
    fn seed(&self) -> u64 {
        self.inner.seed()
    }
}

fn extended(flight: &Flight) -> Value {
    let (at, length) = (flight.at, flight.items.len());
    let item = |i: usize| flight.items.get(i).cloned().flatten();
    let mut map: Map = [
        ("index".into(), Value::from(at + 1)),
        ("index0".into(), Value::from(at)),
        ("revindex".into(), Value::from(length - at)),
        ("revindex0".into(), Value::from(length - at - 1)),
        ("first".into(), Value::Bool(at == 0)),
        ("last".into(), Value::Bool(at + 1 == length)),
        ("length".into(), Value::from(length)),
        ("allitems".into(), Value::list(flight.items.iter().filter_map(Clone::clone).collect())),
    ]
    .into_iter()
    .collect();
    if let Some(next) = item(at + 1) {
        map.insert("nextitem".into(), next);
    }
    if let Some(previous) = at.checked_sub(1).and_then(item) {
        map.insert("previtem".into(), previous);
    }
    Value::map(map)
}
