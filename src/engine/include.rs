//! Includes, variables from files, and `meta`.

use super::code::{Code, HandlerSet, Unit, with_keywords};
use super::freeze::unknown;
use super::scope::Layer;
use super::state::{HostState, Standing};
use super::step::{Advance, Blocker, Env, Walker, failed, message, push_include, skipped};
use crate::host::{Certainty, TaskResult};
use crate::playbook::{
    Action, IncludeRole, IncludeTasks, IncludeVars, MetaAction, ModuleDefaults, RoleRequest, Site, Vars,
};
use crate::source::{Diagnostic, Node};
use crate::values::{Map, Truth, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Code of one item of an include, with the variables it brings.
type Round = (Arc<Code>, Vec<Layer>);

enum Trouble {
    Blocker(Blocker),
    Unknown(&'static str),
    Problems(Vec<Diagnostic>),
}

impl From<Blocker> for Trouble {
    fn from(blocker: Blocker) -> Self {
        Self::Blocker(blocker)
    }
}

impl Walker<'_> {
    /// An include: all items at once, since it only reads files here.
    pub(super) fn include(&self, st: &mut HostState, unit: &Arc<Unit>) -> Advance {
        let count = st.flight.as_ref().map_or(0, |f| f.items.len());
        let mut rounds: Vec<Round> = Vec::new();
        let mut left_out = 0;
        for at in 0..count {
            if let Some(flight) = &mut st.flight {
                flight.at = at;
            }
            let special = self.special(st);
            let env = self.env(st, &unit.context, Some(unit), special.clone());
            match self.conditions(unit, &env, &[]) {
                Ok(Truth::True) => {}
                Ok(Truth::False) => {
                    left_out += 1;
                    continue;
                }
                Ok(Truth::Unknown) => return unknown("the condition of an include", Vec::new()),
                Err(blocker) => return self.blocked(st, blocker),
            }
            let done = match &unit.task.action {
                Action::IncludeTasks(include) => self.include_tasks(st, unit, include, &env, special),
                Action::IncludeRole(include) => self.include_role(st, unit, include, &env, special),
                Action::IncludeVars(include) => self.include_vars(st, unit, include, &env).map(|()| None),
                Action::Module(_) | Action::Meta(_) => Ok(None),
            };
            match done {
                Ok(round) => rounds.extend(round),
                Err(Trouble::Blocker(blocker)) => return self.blocked(st, blocker),
                Err(Trouble::Unknown(why)) => return unknown(why, Vec::new()),
                Err(Trouble::Problems(problems)) => {
                    let text: Vec<String> = problems.iter().map(message).collect();
                    self.finish_whole(st, failed(text.join("\n")));
                    return Advance::Moved;
                }
            }
        }
        if left_out == count {
            self.finish_whole(st, skipped("Conditional result was False"));
            return Advance::Moved;
        }
        if matches!(unit.task.action, Action::IncludeVars(_)) {
            self.finish_whole(st, TaskResult::ok());
            return Advance::Moved;
        }
        // The place stays at the include until what it brings is done.
        self.count_include(st);
        st.flight = None;
        push_include(st, rounds);
        Advance::Moved
    }

    /// Ends the task at once, whatever items there are.
    fn finish_whole(&self, st: &mut HostState, result: TaskResult) {
        self.finish_task(st, result, Certainty::Exact, true);
    }

    fn count_include(&self, st: &mut HostState) {
        st.stats.ok += 1;
    }

    fn text(&self, node: &Node, env: &Env, what: &'static str) -> Result<Arc<str>, Trouble> {
        match self.shared.templar.render_node(node, &env.scope).map_err(|e| env.blocker(e))? {
            Value::Unknown => Err(Trouble::Unknown(what)),
            value => Ok(value.to_string().into()),
        }
    }

    fn optional(&self, node: Option<&Node>, env: &Env, what: &'static str) -> Result<Option<Arc<str>>, Trouble> {
        node.map(|n| self.text(n, env, what)).transpose()
    }

    fn site(&self, st: &HostState, unit: &Unit) -> Site {
        let defaults: Vec<ModuleDefaults> = unit
            .context
            .chain
            .iter()
            .flat_map(|k| &k.module_defaults)
            .chain(&unit.task.keywords.module_defaults)
            .cloned()
            .collect();
        Site::of(&unit.task, st.in_handlers(), defaults)
    }

    fn include_tasks(
        &self,
        st: &HostState,
        unit: &Arc<Unit>,
        include: &IncludeTasks,
        env: &Env,
        special: Map,
    ) -> Result<Option<Round>, Trouble> {
        let file = self.text(&include.file, env, "the file of an include")?;
        let site = self.site(st, unit);
        let included = crate::playbook::load_tasks_file(&file, &include.file.span, &site, &self.shared.loader)
            .map_err(Trouble::Problems)?;
        let context = with_keywords(&unit.context, &include.apply);
        let code = Code::of(&included.loaded, &context);
        Ok(Some((Arc::new(code), self.locals(unit, special))))
    }

    /// What included tasks see: the loop's item and the include's own variables.
    fn locals(&self, unit: &Unit, special: Map) -> Vec<Layer> {
        let mut locals = Vec::new();
        if !special.is_empty() {
            locals.push(Layer::Data(Arc::new(special)));
        }
        if !unit.task.keywords.vars.is_empty() {
            locals.push(Layer::Nodes(Arc::clone(&unit.task.keywords.vars)));
        }
        locals
    }

    fn include_role(
        &self,
        st: &mut HostState,
        unit: &Arc<Unit>,
        include: &IncludeRole,
        env: &Env,
        special: Map,
    ) -> Result<Option<Round>, Trouble> {
        let name = self.text(&include.name, env, "the name of a role")?;
        let mut request = RoleRequest::new(&include.name);
        request.name = name;
        request.tasks_from = self.optional(include.tasks_from.as_ref(), env, "tasks_from")?;
        request.vars_from = self.optional(include.vars_from.as_ref(), env, "vars_from")?;
        request.defaults_from = self.optional(include.defaults_from.as_ref(), env, "defaults_from")?;
        request.handlers_from = self.optional(include.handlers_from.as_ref(), env, "handlers_from")?;
        let flag = |node: Option<&Node>, default: bool| -> Result<bool, Trouble> {
            match node {
                None => Ok(default),
                Some(node) => {
                    let value = self.shared.templar.render_node(node, &env.scope).map_err(|e| env.blocker(e))?;
                    Ok(<bool as crate::modules::args::FromValue>::from_value(&value).unwrap_or(default))
                }
            }
        };
        request.public = flag(include.public.as_ref(), false)?;
        request.allow_duplicates = Some(flag(include.allow_duplicates.as_ref(), true)?);
        request.validate = flag(include.rolespec_validate.as_ref(), true)?;
        let site = self.site(st, unit);
        let included = crate::playbook::load_role(&request, &site, &self.shared.loader).map_err(Trouble::Problems)?;
        let role = included.loaded;
        if role.public {
            st.public_roles.push(Arc::clone(&role));
        }
        let context = with_keywords(&unit.context, &include.apply);
        let code = Code::of_role(&role, &context);
        let known = |set: &Arc<HandlerSet>| set.uses.iter().any(|u| Arc::ptr_eq(&u.role, &role.role));
        if !st.late_handlers.iter().any(known) {
            st.late_handlers.push(Arc::new(HandlerSet::of(included.role_uses, &context)));
        }
        Ok(Some((Arc::new(code), self.locals(unit, special))))
    }

    fn include_vars(
        &self,
        st: &mut HostState,
        unit: &Arc<Unit>,
        include: &IncludeVars,
        env: &Env,
    ) -> Result<(), Trouble> {
        let span = &unit.task.span;
        let problem = |text: String| Trouble::Problems(vec![Diagnostic::error("include-vars", text, span)]);
        let mut files: Vec<PathBuf> = Vec::new();
        if let Some(node) = &include.file {
            let name = self.text(node, env, "the file of include_vars")?;
            let found = unit.task.search.find("vars", &name);
            files.push(found.map_err(|tried| {
                let places: Vec<String> = tried.iter().map(|p| p.display().to_string()).collect();
                problem(format!("there is no file `{name}`; looked for {}", places.join(", ")))
            })?);
        }
        if let Some(node) = &include.dir {
            let name = self.text(node, env, "the folder of include_vars")?;
            let found = unit.task.search.find("vars", &name);
            let folder = found.map_err(|_| problem(format!("there is no folder `{name}`")))?;
            let depth = match &include.depth {
                Some(node) => self.text(node, env, "depth")?.parse().unwrap_or(0),
                None => 0,
            };
            let matching = self.optional(include.files_matching.as_ref(), env, "files_matching")?;
            let matching = matching
                .map(|m| {
                    fancy_regex::Regex::new(&m).map_err(|e| problem(format!("`{m}` is no regular expression: {e}")))
                })
                .transpose()?;
            let words = |node: Option<&Node>| -> Result<Option<Vec<String>>, Trouble> {
                let Some(node) = node else { return Ok(None) };
                let value = self.shared.templar.render_node(node, &env.scope).map_err(|e| env.blocker(e))?;
                Ok(<Vec<String> as crate::modules::args::FromValue>::from_value(&value).ok())
            };
            let extensions = words(include.extensions.as_ref())?
                .unwrap_or_else(|| ["json", "yaml", "yml"].map(str::to_owned).to_vec());
            let ignored = words(include.ignore_files.as_ref())?.unwrap_or_default();
            let pass_over =
                include.ignore_unknown_extensions.as_ref().is_some_and(|n| crate::source::bool_of(n).unwrap_or(false));
            let mut found = Vec::new();
            walk(&folder, 1, depth, &mut found);
            for path in found {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if ignored.contains(&name) || matching.as_ref().is_some_and(|m| !m.is_match(&name).unwrap_or(false)) {
                    continue;
                }
                let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
                if extensions.contains(&extension) {
                    files.push(path);
                } else if !pass_over {
                    return Err(problem(format!(
                        "{} does not have a valid extension: {}",
                        path.display(),
                        extensions.join(", ")
                    )));
                }
            }
        }
        let into = self.optional(include.name.as_ref(), env, "name")?;
        let merge = self.optional(include.hash_behaviour.as_ref(), env, "hash_behaviour")?;
        if merge.as_deref() == Some("merge") {
            return Err(problem("`hash_behaviour: merge` is not supported; use the `combine` filter".to_owned()));
        }
        let mut all = Vars::new();
        for file in files {
            let vars = crate::playbook::load_vars_file(&file, &self.shared.loader).map_err(Trouble::Problems)?;
            all.extend(vars);
        }
        match into {
            Some(name) => {
                let entries = all
                    .into_iter()
                    .map(|(key, node)| crate::source::Entry {
                        key,
                        key_span: node.span.clone(),
                        value: (*node).clone(),
                    })
                    .collect();
                let node = Node::new(crate::source::Kind::Map(entries), span.clone());
                let vars: Vars = [(name, Arc::new(node))].into_iter().collect();
                st.include_vars.push(Layer::Nodes(Arc::new(vars)));
            }
            None => st.include_vars.push(Layer::Nodes(Arc::new(all))),
        }
        Ok(())
    }

    /// `meta`.
    pub(super) fn meta(
        &self,
        st: &mut HostState,
        worlds: &mut super::step::Worlds,
        unit: &Arc<Unit>,
        meta: MetaAction,
    ) -> Advance {
        let env = self.env(st, &unit.context, Some(unit), Map::new());
        match self.conditions(unit, &env, &[]) {
            Ok(Truth::True) => {}
            Ok(Truth::False) => {
                st.flight = None;
                st.step();
                return Advance::Moved;
            }
            Ok(Truth::Unknown) => return unknown("the condition of `meta`", Vec::new()),
            Err(blocker) => return self.blocked(st, blocker),
        }
        if meta == MetaAction::ClearHostErrors && !st.speculative {
            // Whoever fails before it counts: under `linear`, all have come this far.
            if self.linear() && !self.board.others_reached(self.host, &st.position()) {
                return self.wait_for_all();
            }
            self.board.pardon(&st.position());
        }
        st.flight = None;
        match meta {
            MetaAction::Noop | MetaAction::RefreshInventory => st.step(),
            MetaAction::FlushHandlers => return self.flush(st),
            MetaAction::ClearFacts => {
                st.facts = Arc::default();
                st.step();
            }
            MetaAction::ClearHostErrors => st.step(),
            MetaAction::EndHost => {
                st.frames.clear();
                st.standing = Standing::Ended;
            }
            MetaAction::EndPlay | MetaAction::EndBatch => {
                if !st.speculative {
                    self.board.end(meta == MetaAction::EndPlay);
                }
                st.frames.clear();
                st.standing = Standing::Ended;
            }
            MetaAction::EndRole => {
                self.end_role(st, unit);
            }
            MetaAction::ResetConnection => {
                st.step();
                worlds.who.clear();
                return Advance::Reset;
            }
        }
        Advance::Moved
    }

    /// Goes on behind the innermost role that the task stands in.
    fn end_role(&self, st: &mut HostState, unit: &Unit) {
        let Some(role) = unit.context.roles.last() else {
            st.step();
            return;
        };
        while let Some(frame) = st.frames.last_mut() {
            let end = frame.code.instrs.iter().enumerate().skip(frame.pc).find_map(|(i, instr)| match instr {
                super::code::Instr::LeaveRole(leaving) if Arc::ptr_eq(leaving, role) => Some(i),
                _ => None,
            });
            if let Some(end) = end {
                frame.pc = end;
                return;
            }
            if frame.kind == super::state::FrameKind::Main {
                st.step();
                return;
            }
            st.frames.pop();
        }
    }
}

/// Files below a folder in the order of their names; `limit` 0 is no limit.
fn walk(folder: &Path, depth: u32, limit: u32, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if limit == 0 || depth < limit {
                walk(&path, depth + 1, limit, out);
            }
        } else {
            out.push(path);
        }
    }
}
