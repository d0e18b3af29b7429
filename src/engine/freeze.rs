//! Rendering a step once: its conditions, its arguments, and who does it.

use super::code::Unit;
use super::state::{FrozenStep, HostState};
use super::step::{Advance, Blocked, Blocker, Env, Walker, failed, frozen_for, message, skipped};
use super::world::{Become, Identity, Seat};
use crate::host::{Certainty, Key};
use crate::inventory::Shard;
use crate::modules::Needs;
use crate::playbook::{BACKGROUND, Keywords, ModuleCall};
use crate::source::{Diagnostic, Node, bool_of};
use crate::values::{Lookup, Map, Truth, Value};
use std::sync::Arc;

/// Why a step is not frozen: what the host does instead.
pub(super) type Instead = Advance;

impl Walker<'_> {
    /// Checks the conditions of the item that is worked on and renders its arguments.
    pub(super) fn freeze(
        &self,
        st: &mut HostState,
        unit: &Arc<Unit>,
        call: &ModuleCall,
    ) -> Result<FrozenStep, Instead> {
        let env = self.env(st, &unit.context, Some(unit), self.special(st));
        match self.conditions(unit, &env, &[]) {
            Ok(Truth::True) => {}
            Ok(Truth::False) => {
                self.finish_item(st, skipped("Conditional result was False"), Certainty::Exact);
                return Err(Advance::Moved);
            }
            Ok(Truth::Unknown) => return Err(unknown("its condition", Vec::new())),
            Err(blocker) => return Err(self.blocked(st, blocker)),
        }
        if let Some(instead) = self.once(st, unit, &env)? {
            return Err(instead);
        }
        self.render(st, unit, call, &env).map_err(|problem| match problem {
            Problem::Blocker(blocker) => self.blocked(st, blocker),
            Problem::Unknown(why, writes) => unknown(&why, writes),
        })
    }

    /// Fails the item, or waits for other hosts.
    pub(super) fn blocked(&self, st: &mut HostState, blocker: Blocker) -> Advance {
        match blocker {
            Blocker::Hosts(hosts) => Advance::WaitHosts(hosts),
            Blocker::Failed(problem) => {
                self.finish_item(st, failed(message(&problem)), Certainty::Exact);
                Advance::Moved
            }
        }
    }

    /// `run_once`: the first host of the batch does it; the others take its result.
    pub(super) fn once(&self, st: &mut HostState, unit: &Unit, env: &Env) -> Result<Option<Advance>, Instead> {
        if !self.is_once(unit, env).map_err(|b| self.blocked(st, b))? {
            return Ok(None);
        }
        if self.shared.options.shard.is_some_and(Shard::divides) {
            let text = "`run_once` can't be split with `--shard`: each job would run it once";
            let problem = Diagnostic::error("shard", text, &unit.task.span)
                .help("put such tasks into a playbook of their own that runs as one job");
            return Err(self.blocked(st, Blocker::Failed(Box::new(problem))));
        }
        if let Some(once) = self.board.once(&st.position()) {
            let certainty = Certainty::Exact;
            self.finish_task(st, once.result, certainty, true);
            return Ok(Some(Advance::Moved));
        }
        if !self.board.leads(self.host, &st.position()) {
            return Ok(Some(Advance::WaitOnce));
        }
        Ok(None)
    }

    /// Whether a task is done by one host for all.
    pub(super) fn is_once(&self, unit: &Unit, env: &Env) -> Result<bool, Blocker> {
        Ok(self.flag(unit, env, |k| k.run_once.as_ref())?.unwrap_or(false))
    }

    /// The value of a keyword, innermost first.
    pub(super) fn keyword(
        &self,
        unit: &Unit,
        env: &Env,
        pick: impl for<'k> Fn(&'k Keywords) -> Option<&'k Node>,
    ) -> Result<Option<Value>, Blocker> {
        let Some(node) = unit.context.innermost(&unit.task.keywords, &pick) else { return Ok(None) };
        let value = self.shared.templar.render_node(node, &env.scope).map_err(|e| env.blocker(e))?;
        Ok(Some(value).filter(|v| !matches!(v, Value::Omit | Value::Null)))
    }

    /// The value of a keyword that is true or false.
    pub(super) fn flag(
        &self,
        unit: &Unit,
        env: &Env,
        pick: impl for<'k> Fn(&'k Keywords) -> Option<&'k Node>,
    ) -> Result<Option<bool>, Blocker> {
        let Some(node) = unit.context.innermost(&unit.task.keywords, &pick) else { return Ok(None) };
        if let Ok(literal) = bool_of(node) {
            return Ok(Some(literal));
        }
        let value = self.shared.templar.render_node(node, &env.scope).map_err(|e| env.blocker(e))?;
        match &value {
            Value::Omit | Value::Null => Ok(None),
            Value::Unknown => Ok(Some(false)),
            value => <bool as crate::modules::args::FromValue>::from_value(value).map(Some).map_err(|expected| {
                Blocker::Failed(Box::new(Diagnostic::error(
                    "not-a-boolean",
                    format!("expected {expected}"),
                    &node.span,
                )))
            }),
        }
    }

    fn render(&self, st: &HostState, unit: &Unit, call: &ModuleCall, env: &Env) -> Result<FrozenStep, Problem> {
        let args = self.arguments(unit, call, env)?;
        if call.module.needs == Needs::Host && args.values().any(Value::has_unknown) {
            let name = args.iter().find(|(_, v)| v.has_unknown()).map_or("", |(k, _)| k);
            return Err(Problem::Unknown(format!("its argument `{name}`"), (call.module.writes)(&args)));
        }
        let seat = self.seat(unit, env)?;
        let options = &self.shared.options;
        let number =
            |value: Option<Value>| value.and_then(|v| <f64 as crate::modules::args::FromValue>::from_value(&v).ok());
        let background = match &unit.task.async_ {
            Some(node) => number(Some(self.shared.templar.render_node(node, &env.scope).map_err(|e| env.blocker(e))?))
                .filter(|seconds| *seconds > 0.0),
            None => None,
        };
        let poll = match &unit.task.poll {
            Some(node) => number(Some(self.shared.templar.render_node(node, &env.scope).map_err(|e| env.blocker(e))?)),
            None => None,
        };
        let detached = background.filter(|_| poll == Some(0.0)).map(|seconds| seconds.max(1.0) as u64);
        if detached.is_some() && !BACKGROUND.contains(&call.module.name()) {
            let text = format!("`poll: 0` is for {}; use a `poll` above 0", BACKGROUND.join(" and "));
            return Err(Diagnostic::error("unsupported", text, &unit.task.span).into());
        }
        let timeout = number(self.keyword(unit, env, |k| k.timeout.as_ref())?).filter(|t| *t > 0.0);
        let check = self.flag(unit, env, |k| k.check_mode.as_ref())?.unwrap_or(options.plan);
        Ok(FrozenStep {
            args,
            seat,
            environment: self.environment(unit, env)?,
            check,
            diff: self.flag(unit, env, |k| k.diff.as_ref())?.unwrap_or(options.diff),
            frozen: frozen_for(self, st, unit),
            timeout: if detached.is_some() { timeout } else { timeout.or(background) },
            durable: background.is_some() && detached.is_none(),
            detached,
            throttle: self.throttle(unit, env)?,
            drawn: env.drawn.load(std::sync::atomic::Ordering::Relaxed).into(),
        })
    }

    /// How many hosts may do a task at once. It has no meaning for what one host does for all.
    fn throttle(&self, unit: &Unit, env: &Env) -> Result<Option<usize>, Problem> {
        // A template that makes no sense is an error here, before anything is done.
        self.flag(unit, env, |k| k.any_errors_fatal.as_ref())?;
        let Some(value) = self.keyword(unit, env, |k| k.throttle.as_ref())? else { return Ok(None) };
        let number = <i64 as crate::modules::args::FromValue>::from_value(&value).map_err(|expected| {
            Diagnostic::error("throttle", format!("`throttle`: expected {expected}"), &unit.task.span)
        })?;
        if self.is_once(unit, env)? {
            return Ok(None);
        }
        Ok(usize::try_from(number).ok().filter(|n| *n > 0))
    }

    /// The arguments as far as they are known, and who would act.
    pub(super) fn aim(&self, unit: &Unit, call: &ModuleCall, env: &Env) -> Option<(Map, Seat)> {
        Some((self.arguments(unit, call, env).ok()?, self.seat(unit, env).ok()?))
    }

    fn arguments(&self, unit: &Unit, call: &ModuleCall, env: &Env) -> Result<Map, Problem> {
        let templar = &self.shared.templar;
        let mut args = Map::new();
        let defaults = unit
            .context
            .chain
            .iter()
            .map(|k| &**k)
            .chain([&*unit.task.keywords])
            .flat_map(|k| &k.module_defaults)
            .rfind(|d| std::ptr::eq(d.module, call.module));
        for entry in defaults.iter().flat_map(|d| &d.args) {
            let value = templar.render_node(&entry.value, &env.scope).map_err(|e| env.blocker(e))?;
            args.insert(Arc::clone(&entry.key), value);
        }
        if let Some(base) = &call.base {
            match templar.render_node(base, &env.scope).map_err(|e| env.blocker(e))? {
                Value::Map(map) => args.extend(map.iter().map(|(k, v)| (Arc::clone(k), v.clone()))),
                Value::Unknown => return Err(Problem::Unknown("its arguments".to_owned(), vec![Key::Anything])),
                Value::Null | Value::Omit => {}
                other => {
                    let text = format!("arguments must be a mapping, not {}", other.describe());
                    return Err(Diagnostic::error("arguments", text, &base.span).into());
                }
            }
            self.check_names(&args, call, base)?;
        }
        for entry in &call.args {
            let value = match (call.module.name(), &*entry.key) {
                ("debug", "var") => {
                    let text = entry.value.as_str().unwrap_or_default();
                    args.insert("_var_name".into(), Value::str(text));
                    self.shown_expression(&entry.value, env)?
                }
                ("assert", "that") => self.assertions(&entry.value, env)?,
                _ => templar.render_node(&entry.value, &env.scope).map_err(|e| env.blocker(e))?,
            };
            args.insert(Arc::clone(&entry.key), value);
        }
        if call.module.name() == "debug" {
            args.insert("_verbosity".into(), Value::Int(i64::from(self.shared.options.verbosity)));
        }
        args.retain(|_, v| !matches!(v, Value::Omit));
        if call.module.name() == "fetch" {
            let folder =
                std::path::absolute(&self.board.play.base_dir).unwrap_or_else(|_| self.board.play.base_dir.clone());
            args.insert("_host".into(), Value::Str(Arc::clone(self.host)));
            args.insert("_folder".into(), Value::str(folder.to_string_lossy()));
            let home = self.shared.home.as_ref().map(|h| h.to_string_lossy());
            if let Some(Value::Str(dest)) = args.get("dest")
                && let (Some(rest), Some(home)) = (dest.strip_prefix("~/"), home)
            {
                let dest = Value::from(format!("{home}/{rest}"));
                args.insert("dest".into(), dest);
            }
        }
        Ok(args)
    }

    /// Names that came out of a template are checked like those that stand in the file.
    fn check_names(&self, args: &Map, call: &ModuleCall, at: &Node) -> Result<(), Problem> {
        if call.module.free_keys {
            return Ok(());
        }
        let specs = (call.module.args)();
        let known: Vec<&str> = specs.iter().flat_map(|s| s.aliases.iter().copied().chain([s.name])).collect();
        match args.keys().find(|k| !known.contains(&&***k) && &***k != "_raw_params") {
            None => Ok(()),
            Some(key) => {
                let text = format!("`{}` has no argument `{key}`", call.module.name());
                let mut problem = Diagnostic::error("unknown-argument", text, &at.span);
                if let Some(near) = crate::source::suggest(key, known) {
                    problem = problem.help(format!("did you mean `{near}`?"));
                }
                Err(problem.into())
            }
        }
    }

    /// `debug: var=`: an expression, or a template; what is undefined is shown as that.
    fn shown_expression(&self, node: &Node, env: &Env) -> Result<Value, Problem> {
        let templar = &self.shared.templar;
        let Some(text) = node.as_str() else {
            return templar.render_node(node, &env.scope).map_err(|e| env.blocker(e).into());
        };
        let value = if crate::values::Templar::is_template(text) {
            match templar.render_node(node, &env.scope) {
                Ok(Value::Str(inner)) => templar.expression(&inner, &node.span, &env.scope),
                other => other,
            }
        } else {
            templar.expression(text, &node.span, &env.scope)
        };
        match value {
            Ok(value) => Ok(value),
            Err(error) => match env.blocker(error) {
                Blocker::Failed(problem) if problem.message.contains("undefined") => {
                    Ok(Value::from("VARIABLE IS NOT DEFINED!"))
                }
                blocker => Err(blocker.into()),
            },
        }
    }

    /// `assert: that`: each expression with its value.
    fn assertions(&self, node: &Node, env: &Env) -> Result<Value, Problem> {
        let one = std::slice::from_ref(node);
        let nodes = node.as_list().unwrap_or(one);
        let mut out = Vec::new();
        for node in nodes {
            let value = match self.shared.templar.condition(node, &env.scope) {
                Ok(Truth::True) => Value::Bool(true),
                Ok(Truth::False) => Value::Bool(false),
                Ok(Truth::Unknown) => Value::Unknown,
                Err(error) => return Err(env.blocker(error).into()),
            };
            let text = Value::from(node).to_string();
            out.push(Value::from_pairs([("expression", Value::from(text)), ("value", value)]));
        }
        Ok(Value::list(out))
    }

    fn environment(&self, unit: &Unit, env: &Env) -> Result<Vec<(String, String)>, Problem> {
        let nodes = unit.context.chain.iter().flat_map(|k| &k.environment).chain(&unit.task.keywords.environment);
        let mut out: Vec<(String, String)> = Vec::new();
        for node in nodes {
            let value = self.shared.templar.render_node(node, &env.scope).map_err(|e| env.blocker(e))?;
            let maps: Vec<Value> = match &value {
                Value::List(items) => items.to_vec(),
                other => vec![other.clone()],
            };
            for map in maps {
                match map {
                    Value::Map(map) => {
                        for (name, value) in map.iter() {
                            let fits = !name.is_empty()
                                && !name.starts_with(|c: char| c.is_ascii_digit())
                                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                            if !fits {
                                let text = format!("`{name}` is no name of an environment variable");
                                return Err(Diagnostic::error("environment", text, &node.span).into());
                            }
                            out.retain(|(n, _)| **n != **name);
                            out.push((name.to_string(), value.to_string()));
                        }
                    }
                    Value::Null | Value::Omit => {}
                    Value::Unknown => {
                        return Err(Problem::Unknown("its environment".to_owned(), vec![Key::Anything]));
                    }
                    other => {
                        let text = format!("`environment` must be a mapping, not {}", other.describe());
                        return Err(Diagnostic::error("environment", text, &node.span).into());
                    }
                }
            }
        }
        Ok(out)
    }

    /// Who does a task: the identity of its seat.
    ///
    /// # Errors
    /// What is wrong with its keywords.
    pub fn identity(&self, st: &HostState, unit: &Unit) -> Result<Identity, Diagnostic> {
        let env = self.env(st, &unit.context, Some(unit), Map::new());
        match self.seat(unit, &env) {
            Ok(seat) => Ok(seat.identity),
            Err(Problem::Blocker(Blocker::Failed(problem))) => Err(*problem),
            Err(_) => {
                let text = "who works there depends on a value that is not known yet";
                Err(Diagnostic::error("become", text, &unit.task.span))
            }
        }
    }

    /// Who does a task, and where. Variables of the host win over keywords, as in Ansible.
    fn seat(&self, unit: &Unit, env: &Env) -> Result<Seat, Problem> {
        let options = &self.shared.options;
        let host: Arc<str> = match self.keyword(unit, env, |k| k.delegate_to.as_ref())? {
            Some(Value::Str(name)) => name,
            Some(other) => other.to_string().into(),
            None => Arc::clone(self.host),
        };
        let variable = |name: &str| -> Result<Option<Value>, Problem> {
            if host != *self.host {
                return Ok(None);
            }
            match env.scope.get(name) {
                Lookup::Data(value) => Ok(Some(value)),
                Lookup::Template(node) => {
                    Ok(Some(self.shared.templar.render_node(&node, &env.scope).map_err(|e| env.blocker(e))?))
                }
                _ => Ok(None),
            }
        };
        let text = |value: Option<Value>| value.map(|v| v.to_string()).filter(|t| !t.is_empty());
        let truth =
            |value: Option<Value>| value.and_then(|v| <bool as crate::modules::args::FromValue>::from_value(&v).ok());
        let wants = truth(variable("ansible_become")?)
            .or(self.flag(unit, env, |k| k.become_.as_ref())?)
            .unwrap_or(options.become_);
        let become_ = if wants {
            let user = text(variable("ansible_become_user")?)
                .or(text(self.keyword(unit, env, |k| k.become_user.as_ref())?))
                .or(options.become_user.clone())
                .unwrap_or_else(|| "root".to_owned());
            let method = text(variable("ansible_become_method")?)
                .or(text(self.keyword(unit, env, |k| k.become_method.as_ref())?))
                .or(options.become_method.clone())
                .unwrap_or_else(|| "sudo".to_owned());
            let flags = text(variable("ansible_become_flags")?)
                .or(text(self.keyword(unit, env, |k| k.become_flags.as_ref())?))
                .unwrap_or_default();
            let exe =
                text(variable("ansible_become_exe")?).or(text(self.keyword(unit, env, |k| k.become_exe.as_ref())?));
            if !matches!(short(&method), "sudo" | "su") {
                let text = format!("`become_method: {method}` is not supported; use `sudo` or `su`");
                return Err(Diagnostic::error("become-method", text, &unit.task.span).into());
            }
            Some(Become {
                user,
                method: short(&method).to_owned(),
                flags: flags.split_whitespace().map(str::to_owned).collect(),
                exe,
            })
        } else {
            None
        };
        let port = self.keyword(unit, env, |k| k.port.as_ref())?.and_then(|v| v.to_string().parse().ok());
        let identity = Identity {
            remote_user: text(self.keyword(unit, env, |k| k.remote_user.as_ref())?),
            port,
            connection: text(self.keyword(unit, env, |k| k.connection.as_ref())?),
            become_,
        };
        Ok(Seat { host, identity })
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

pub(super) fn unknown(why: &str, writes: Vec<Key>) -> Advance {
    let writes = if writes.is_empty() { vec![Key::Anything] } else { writes };
    Advance::Unknown(Box::new(Blocked { why: why.into(), seat: None, relied: Vec::new(), writes, likely: None }))
}

enum Problem {
    Blocker(Blocker),
    Unknown(String, Vec<Key>),
}

impl From<Blocker> for Problem {
    fn from(blocker: Blocker) -> Self {
        Self::Blocker(blocker)
    }
}

impl From<Diagnostic> for Problem {
    fn from(problem: Diagnostic) -> Self {
        Self::Blocker(Blocker::Failed(Box::new(problem)))
    }
}
