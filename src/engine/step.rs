//! One host, one small step: what a task comes to with what is known, without any waiting.
//!
//! [`Walker::advance`] is a pure function of the host's state and what is known of its machines. The engine calls it on
//! the real state, and on a copy to look ahead.

use super::board::Board;
use super::code::{Code, Context, Instr, Unit};
use super::event::TaskInfo;
use super::run::Shared;
use super::scope::{Needs, ScopeParts, scope};
use super::state::{Flight, Frame, FrameKind, FrozenStep, HostState, ItemFlight, Standing};
use super::world::{Memory, Seat, Standing as Trust, World};
use crate::host::program::{Act, Expect, Then};
use crate::host::view::{Frozen, Held, WhoAmI};
use crate::host::{
    Action as HostAction, ActionKind, Answers, Certainty, Decision, Key, Next, Output, Question, Stop, TaskResult, View,
};
use crate::modules::Needs as ModuleNeeds;
use crate::playbook::{Action, LoopKind};
use crate::source::{Diagnostic, Node};
use crate::values::{EvalError, Map, Scope, Truth, Value};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// What is known of the machines that a host uses.
#[derive(Debug, Clone)]
pub struct Worlds {
    /// How answers are kept.
    pub memory: Memory,
    /// By seat.
    pub map: HashMap<Seat, World>,
    /// Who runs things there; a seat without an entry is not connected.
    pub who: HashMap<Seat, WhoAmI>,
}

impl Worlds {
    /// Nothing is known.
    pub fn new(memory: Memory) -> Self {
        Self { memory, map: HashMap::new(), who: HashMap::new() }
    }

    /// The world of a seat. A seat that is new knows what was done on its machine by others.
    pub fn of(&mut self, seat: &Seat) -> &mut World {
        let memory = self.memory;
        let world = if self.map.contains_key(seat) {
            None
        } else {
            let others = self.map.iter().filter(|(other, _)| other.host == seat.host).map(|(_, world)| world);
            others.max_by_key(|world| world.deeds()).map(World::beside)
        };
        self.map.entry(seat.clone()).or_insert_with(|| world.unwrap_or_else(|| World::new(memory)))
    }

    /// An action was done on a seat: all identities on that machine may see other things now.
    pub fn act(&mut self, seat: &Seat, action: &HostAction) {
        let who = self.who.get(seat).cloned().unwrap_or_else(WhoAmI::root);
        self.of(seat);
        for (other, world) in &mut self.map {
            if other.host == seat.host {
                world.act(action, &who);
            }
        }
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Advance {
    /// The state has moved on; call again.
    Moved,
    /// These must be answered first.
    Ask {
        /// By whom.
        seat: Seat,
        /// What.
        questions: Vec<Question>,
    },
    /// These actions come next.
    Act(Box<Emission>),
    /// It depends on what only apply will tell.
    Unknown(Box<Blocked>),
    /// A shell must be opened first.
    Connect(Seat),
    /// These hosts must come this far first.
    WaitHosts(Vec<Arc<str>>),
    /// Another host does this step, for all.
    WaitOnce,
    /// Time must pass.
    Sleep(Duration),
    /// The connections of this host are to be closed.
    Reset,
    /// The host is through.
    End,
}

/// Actions that come next.
#[derive(Debug)]
pub struct Emission {
    /// By whom.
    pub seat: Seat,
    /// Guard and actions. No actions: the guard alone confirms what was assumed.
    pub act: Act,
    /// The decision.
    pub decision: Arc<Decision>,
    /// The questions that it relied on.
    pub relied: Vec<Question>,
    /// Whether other hosts can see it.
    pub shared: bool,
    /// Whether what follows can't be foreseen without its result.
    pub sync: bool,
    /// Which task it is for.
    pub info: Arc<TaskInfo>,
    /// The task's place.
    pub position: Vec<u32>,
}

/// A step that depends on what only apply will tell.
#[derive(Debug)]
pub struct Blocked {
    /// On what.
    pub why: Arc<str>,
    /// Who would act.
    pub seat: Option<Seat>,
    /// Answers that it saw.
    pub relied: Vec<Question>,
    /// What it may write.
    pub writes: Vec<Key>,
}

/// Everything that `advance` reads.
pub struct Walker<'a> {
    /// The run.
    pub shared: &'a Arc<Shared>,
    /// The batch.
    pub board: &'a Arc<Board>,
    /// The compiled play.
    pub compiled: &'a super::code::Compiled,
    /// The host.
    pub host: &'a Arc<str>,
}

/// An evaluation that did not give a value.
pub(super) enum Blocker {
    Hosts(Vec<Arc<str>>),
    Failed(Box<Diagnostic>),
}

/// What a task needs evaluated.
pub(super) struct Env {
    pub scope: Arc<dyn Scope>,
    pub needs: Needs,
}

impl Env {
    pub(super) fn blocker(&self, error: EvalError) -> Blocker {
        match error {
            EvalError::Failed(diagnostic) => Blocker::Failed(diagnostic),
            EvalError::Wait => {
                let mut hosts = std::mem::take(&mut *self.needs.lock().unwrap_or_else(PoisonError::into_inner));
                hosts.sort();
                hosts.dedup();
                Blocker::Hosts(hosts)
            }
        }
    }
}

/// A message of a diagnostic for a task's result: with its place, and what to do.
pub(super) fn message(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.clone();
    if let Some(span) = &diagnostic.span {
        text = format!("{text} ({span})");
    }
    for help in &diagnostic.help {
        text = format!("{text}; {help}");
    }
    text
}

impl Walker<'_> {
    /// One small step.
    pub fn advance(&self, st: &mut HostState, worlds: &mut Worlds) -> Advance {
        if st.standing != Standing::Running {
            return Advance::End;
        }
        let Some(frame) = st.frames.last() else {
            st.standing = if st.flushing_failed { Standing::Failed } else { Standing::Ended };
            return Advance::End;
        };
        let Some(instr) = frame.code.instrs.get(frame.pc).cloned() else {
            self.leave_frame(st);
            return Advance::Moved;
        };
        match instr {
            Instr::Task(unit) => self.task(st, worlds, &unit),
            Instr::Flush => self.flush(st),
            Instr::Jump(target) => {
                if let Some(frame) = st.frame() {
                    frame.pc = target;
                }
                Advance::Moved
            }
            Instr::Release(region) => {
                let held = st.frame().is_some_and(|f| {
                    let held = f.held.last() == Some(&region);
                    if held {
                        f.held.pop();
                    }
                    held
                });
                if held {
                    self.fail(st, Some(region));
                } else {
                    st.step();
                }
                Advance::Moved
            }
            Instr::EnterRole { role, end } => self.enter_role(st, &role, end),
            Instr::LeaveRole(role) => {
                st.roles_done.push(role);
                st.step();
                Advance::Moved
            }
            Instr::Handler { end, index } => {
                let set = st.frames.last().map_or(0, |f| f.round);
                if st.notified.remove(&(set, index)) {
                    st.step();
                } else if let Some(frame) = st.frame() {
                    frame.pc = end;
                }
                Advance::Moved
            }
        }
    }

    fn leave_frame(&self, st: &mut HostState) {
        let Some(frame) = st.frames.last_mut() else { return };
        if let Some((code, locals)) = frame.rest.pop_front() {
            frame.code = code;
            frame.locals = locals;
            frame.pc = 0;
            frame.round += 1;
            frame.held.clear();
            return;
        }
        let kind = frame.kind;
        st.frames.pop();
        if kind != FrameKind::Main {
            st.step();
        }
    }

    /// A task failed: goes on where that is caught, or runs the handlers that are owed, or ends.
    pub(super) fn fail(&self, st: &mut HostState, released: Option<usize>) {
        if st.fail(released) {
            return;
        }
        st.stats.failed += 1;
        if self.force_handlers() && !st.notified.is_empty() && !st.flushing_failed {
            st.standing = Standing::Running;
            st.flushing_failed = true;
            st.frames = vec![self.handlers_frame(st)];
        }
    }

    /// All handlers: the play's, then those of roles that were included meanwhile.
    fn handlers_frame(&self, st: &HostState) -> Frame {
        let mut frame = Frame::new(Arc::clone(&self.compiled.handlers), FrameKind::Handlers, Vec::new());
        frame.rest = st.late_handlers.iter().map(|set| (Arc::clone(&set.code), Vec::new())).collect();
        frame
    }

    fn force_handlers(&self) -> bool {
        let literal = self.compiled.play.force_handlers.as_ref().and_then(|n| crate::source::bool_of(n).ok());
        literal.unwrap_or(self.shared.options.force_handlers)
    }

    pub(super) fn flush(&self, st: &mut HostState) -> Advance {
        if st.speculative && st.maybe_notified {
            return super::freeze::unknown("whether its handlers were notified", Vec::new());
        }
        if st.notified.is_empty() || st.in_handlers() {
            st.step();
        } else {
            st.frames.push(self.handlers_frame(st));
        }
        Advance::Moved
    }

    fn enter_role(&self, st: &mut HostState, role: &Arc<crate::playbook::RoleUse>, end: usize) -> Advance {
        let equal = |other: &Arc<crate::playbook::RoleUse>| {
            Arc::ptr_eq(&other.role, &role.role)
                && other.entry_point == role.entry_point
                && same_vars(&other.params, &role.params)
                && same_vars(&other.keywords.vars, &role.keywords.vars)
        };
        if role.once && st.roles_done.iter().any(|r| Arc::ptr_eq(r, role) || equal(r)) {
            if let Some(frame) = st.frame() {
                frame.pc = end;
            }
            return Advance::Moved;
        }
        if let Some(advance) = self.validate(st, role) {
            return advance;
        }
        st.step();
        Advance::Moved
    }

    /// The scope of a task's item.
    pub(super) fn env(&self, st: &HostState, context: &Context, unit: Option<&Unit>, special: Map) -> Env {
        let needs = Needs::default();
        let seed = self.seed(st, unit);
        let mut special = special;
        if let Some(failure) = &st.failure {
            for (name, value) in failure.iter() {
                special.entry(Arc::clone(name)).or_insert_with(|| value.clone());
            }
        }
        let scope = scope(ScopeParts {
            shared: self.shared,
            board: self.board,
            host: self.host,
            state: st,
            context,
            unit,
            special,
            needs: &needs,
            seed,
        });
        Env { scope, needs }
    }

    /// A number for a step: the same whenever it is looked at.
    fn seed(&self, st: &HostState, unit: Option<&Unit>) -> u64 {
        u64::from_str_radix(&self.nonce(st, unit)[..16], 16).unwrap_or(0)
    }

    fn nonce(&self, st: &HostState, unit: Option<&Unit>) -> String {
        let (at, attempt) = st.flight.as_ref().map_or((0, 0), |f| (f.at, f.item.attempt));
        let text = format!(
            "{} {} {:?} {} {at} {attempt}",
            self.shared.id,
            self.host,
            st.position(),
            unit.map_or(0, |u| u.task.id.0)
        );
        crate::host::answer::digest(crate::host::Algorithm::Sha256, text.as_bytes())[..24].to_owned()
    }

    fn task(&self, st: &mut HostState, worlds: &mut Worlds, unit: &Arc<Unit>) -> Advance {
        if st.flight.as_ref().is_some_and(|f| f.unknown_items) {
            st.flight = None;
        }
        if st.flight.is_none() {
            if !self.selected(unit) {
                st.step();
                return Advance::Moved;
            }
            if let Some(advance) = self.begin(st, unit) {
                return advance;
            }
        }
        match &unit.task.action {
            Action::Module(call) => self.module(st, worlds, unit, call),
            Action::IncludeTasks(_) | Action::IncludeRole(_) | Action::IncludeVars(_) => self.include(st, unit),
            Action::Meta(meta) => self.meta(st, worlds, unit, *meta),
        }
    }

    fn selected(&self, unit: &Unit) -> bool {
        let options = &self.shared.options;
        let tags = unit.context.tags(&unit.task.keywords);
        let only: Vec<Arc<str>> = options.tags.iter().map(|t| t.as_str().into()).collect();
        let skip: Vec<Arc<str>> = options.skip_tags.iter().map(|t| t.as_str().into()).collect();
        crate::playbook::selected(&tags, &only, &skip)
    }

    /// Takes up a task: its name and its items. None if it goes on at once.
    fn begin(&self, st: &mut HostState, unit: &Arc<Unit>) -> Option<Advance> {
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
        if !st.started {
            if self.shared.options.start_at.as_deref() != Some(name.as_str()) {
                st.step();
                return Some(Advance::Moved);
            }
            st.started = true;
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

    fn module(
        &self,
        st: &mut HostState,
        worlds: &mut Worlds,
        unit: &Arc<Unit>,
        call: &crate::playbook::ModuleCall,
    ) -> Advance {
        let module = call.module;
        if let Some(pause) = st.flight.as_ref().and_then(|f| f.item.pause) {
            return Advance::Sleep(pause);
        }
        if st.flight.as_ref().is_some_and(|f| f.item.frozen.is_none()) {
            match self.freeze(st, unit, call) {
                Ok(frozen) => {
                    if let Some(flight) = &mut st.flight {
                        flight.item.frozen = Some(Arc::new(frozen));
                    }
                }
                Err(advance) => return advance,
            }
        }
        let Some(flight) = &st.flight else { return Advance::Moved };
        let Some(frozen) = flight.item.frozen.clone() else { return Advance::Moved };
        let seat = frozen.seat.clone();
        let controller_only = module.needs == ModuleNeeds::Controller;
        let who = match worlds.who.get(&seat) {
            Some(who) => who.clone(),
            None if controller_only => WhoAmI::root(),
            None => return Advance::Connect(seat),
        };
        let env = self.env(st, &unit.context, Some(unit), self.special(st));
        let controller =
            super::controller::Files { shared: self.shared, unit, env: &env, waiting: std::cell::RefCell::default() };
        let nothing = Nothing;
        let world: &dyn Answers = if controller_only { &nothing } else { worlds.of(&seat) };
        let flight = match &st.flight {
            Some(flight) => flight,
            None => return Advance::Moved,
        };
        let view = View::new(world, &controller, &who, &frozen.frozen)
            .round(flight.item.memory.as_ref(), &flight.item.outputs)
            .diffing(frozen.diff);
        let outcome = (module.plan)(&frozen.args, &view);
        let (open, relied) = view.finish();
        let waiting = controller.waiting.into_inner();
        if matches!(outcome, Err(Stop::Unknown(_) | Stop::Fail(_)))
            && let Some(foretold) = st.flight.as_mut().and_then(|f| f.item.foretold.take())
        {
            self.finish_item(st, foretold, Certainty::KnownAfterApply);
            return Advance::Moved;
        }
        match outcome {
            Err(Stop::Pause) if !waiting.is_empty() => Advance::WaitHosts(waiting),
            Err(Stop::Pause) => Advance::Ask { seat, questions: dedup(open) },
            Err(Stop::Unknown(why)) => Advance::Unknown(Box::new(Blocked {
                why,
                seat: Some(seat),
                relied,
                writes: (module.writes)(&frozen.args),
            })),
            Err(Stop::Fail(failure)) => {
                // What an earlier step has changed, or in a plan would have, may be the very reason.
                let unsure = self.rests_on(worlds, &seat, &relied, Trust::Assumed)
                    || !frozen.check && self.rests_on(worlds, &seat, &relied, Trust::Predicted);
                if unsure {
                    return Advance::Unknown(Box::new(Blocked {
                        why: format!("after the steps before ({})", failure.message).into(),
                        seat: Some(seat),
                        relied,
                        writes: (module.writes)(&frozen.args),
                    }));
                }
                let mut result = failed(failure.message.clone());
                result.data.extend(failure.data.clone());
                self.finish_item(st, result, Certainty::Exact);
                Advance::Moved
            }
            Ok(decision) => self.decided(st, worlds, &frozen, &seat, decision, relied),
        }
    }

    fn rests_on(&self, worlds: &mut Worlds, seat: &Seat, relied: &[Question], trust: Trust) -> bool {
        let world = worlds.of(seat);
        relied.iter().any(|q| world.entry(q).is_some_and(|(_, _, t)| t == trust))
    }

    fn decided(
        &self,
        st: &mut HostState,
        worlds: &mut Worlds,
        frozen: &Arc<FrozenStep>,
        seat: &Seat,
        mut decision: Decision,
        relied: Vec<Question>,
    ) -> Advance {
        if decision.actions.is_empty() {
            if let Next::Again(memory) = decision.next {
                return self.again(st, memory);
            }
            let assumed = self.rests_on(worlds, seat, &relied, Trust::Assumed);
            if assumed && worlds.memory == Memory::Assume && !frozen.check {
                return Advance::Act(Box::new(self.emission(st, worlds, frozen, seat, decision, relied)));
            }
            let volatile: Vec<Question> = relied.iter().filter(|q| q.is_volatile()).cloned().collect();
            worlds.of(seat).forget(&volatile);
            let before = st.flight.as_mut().and_then(|f| f.item.foretold.take());
            decision.result.changed |= before.is_some_and(|b| b.changed);
            let certainty = if assumed {
                Certainty::Assumed("the steps before do not change it".to_owned())
            } else {
                decision.certainty.clone()
            };
            self.finish_item(st, decision.result, certainty);
            return Advance::Moved;
        }
        if frozen.check {
            let assumed = self.rests_on(worlds, seat, &relied, Trust::Assumed);
            let Some(flight) = &mut st.flight else { return Advance::Moved };
            flight.item.shown.extend(decision.actions.iter().map(|a| a.shows.clone()));
            for action in &decision.actions {
                worlds.act(seat, action);
            }
            let mut result = foretold(&decision);
            if let Some(before) = flight.item.foretold.take() {
                result.changed |= before.changed;
            }
            if let Next::Again(memory) = decision.next {
                // Looks again as if the actions had gone well, for as far as that can be foretold.
                flight.item.outputs = vec![Output::default(); decision.actions.len()];
                flight.item.foretold = Some(result);
                return self.again(st, memory);
            }
            let certainty = if assumed {
                Certainty::Assumed("the steps before do not change it".to_owned())
            } else {
                decision.certainty
            };
            self.finish_item(st, result, certainty);
            return Advance::Moved;
        }
        Advance::Act(Box::new(self.emission(st, worlds, frozen, seat, decision, relied)))
    }

    fn emission(
        &self,
        st: &HostState,
        worlds: &mut Worlds,
        frozen: &Arc<FrozenStep>,
        seat: &Seat,
        mut decision: Decision,
        relied: Vec<Question>,
    ) -> Emission {
        let relied = dedup(relied);
        let world = worlds.of(seat);
        let guard = relied
            .iter()
            .filter(|q| !q.is_volatile())
            .filter_map(|q| {
                let (answer, raw, _) = world.entry(q)?;
                Some(Expect { question: q.clone(), answer, raw })
            })
            .collect();
        for action in &mut decision.actions {
            if let ActionKind::Run(run) = &mut action.kind {
                let mut env = frozen.environment.clone();
                env.append(&mut run.env);
                run.env = env;
                if let Some(limit) = frozen.timeout {
                    run.timeout = Some(Duration::from_secs_f64(limit.max(0.1)));
                }
                run.durable |= frozen.durable;
            }
        }
        let flight = st.flight.as_ref();
        let task = flight.map(|f| &f.unit.task);
        let round = flight.map_or(0, |f| f.item.round);
        Emission {
            seat: seat.clone(),
            act: Act {
                guard,
                actions: decision.actions.clone(),
                then: Then::Stop,
                nonce: format!("{}{round}", frozen.frozen.nonce),
            },
            shared: decision.actions.iter().any(|a| a.shared),
            sync: matches!(decision.next, Next::Again(_))
                || decision.next == Next::Report
                    && decision.actions.iter().any(|a| a.on_failure == crate::host::OnFailure::Continue)
                || task.is_some_and(|t| !t.until.is_empty() || !t.failed_when.is_empty()),
            decision: Arc::new(decision),
            relied,
            info: flight.map_or_else(
                || {
                    Arc::new(TaskInfo {
                        name: "".into(),
                        action: "".into(),
                        span: crate::source::Span::synthetic("", ""),
                        position: Vec::new(),
                        handler: false,
                    })
                },
                |f| Arc::clone(&f.info),
            ),
            position: st.position(),
        }
    }

    fn again(&self, st: &mut HostState, memory: Value) -> Advance {
        let Some(flight) = &mut st.flight else { return Advance::Moved };
        flight.item.memory = Some(memory);
        flight.item.round += 1;
        if flight.item.round > 50 {
            self.finish_item(
                st,
                failed("the module looked again 50 times; please report it".to_owned()),
                Certainty::Exact,
            );
        }
        Advance::Moved
    }

    /// What the actions came to.
    pub fn outputs(&self, st: &mut HostState, emission: &Emission, outputs: Vec<Output>) {
        let Some(flight) = &mut st.flight else { return };
        let decision = &emission.decision;
        let first_failure = outputs
            .iter()
            .zip(&decision.actions)
            .find(|(o, a)| !o.success() && a.on_failure == crate::host::OnFailure::Stop);
        flight.item.took += outputs.iter().map(|o| o.took).sum::<u64>();
        flight.item.shown.extend(decision.actions.iter().take(outputs.len()).map(|a| a.shows.clone()));
        flight.item.decision = Some(Arc::clone(decision));
        match &decision.next {
            Next::Done => {
                let result = match first_failure {
                    Some((output, action)) => action_failed(action, output),
                    None => decision.result.clone(),
                };
                self.finish_item(st, result, Certainty::Exact);
            }
            Next::Report if decision.actions.is_empty() => {
                self.finish_item(st, decision.result.clone(), Certainty::Exact);
            }
            Next::Report => {
                flight.item.outputs = outputs;
                flight.item.reporting = true;
                flight.item.memory.get_or_insert(Value::Null);
            }
            Next::Again(memory) => {
                flight.item.outputs = outputs;
                let memory = memory.clone();
                self.again(st, memory);
            }
        }
    }

    /// Takes the actions as done, for looking ahead.
    pub fn foretell(&self, st: &mut HostState, worlds: &mut Worlds, emission: &Emission) {
        worlds.of(&emission.seat).confirm(&emission.relied);
        for action in &emission.act.actions {
            worlds.act(&emission.seat, action);
        }
        self.finish_item(st, foretold(&emission.decision), emission.decision.certainty.clone());
    }

    /// A step of which only apply will tell: takes it as that, for a plan or for looking ahead.
    pub fn leave_unknown(&self, st: &mut HostState, worlds: &mut Worlds, blocked: &Blocked) {
        if st.flight.is_none() {
            return;
        }
        if let Some(seat) = &blocked.seat {
            let action = HostAction::run(crate::host::Run::argv(["true"]), blocked.why.to_string())
                .writing(blocked.writes.clone());
            worlds.act(seat, &action);
        }
        let mut result = TaskResult::ok().msg(format!("known after apply: {}", blocked.why));
        result.unknown = true;
        result.data.insert("changed".into(), Value::Unknown);
        if let Some(fact) = unknown_fact(st) {
            result.data.insert("ansible_facts".into(), Value::from_pairs([(fact.as_str(), Value::Unknown)]));
        }
        self.finish_item(st, result, Certainty::KnownAfterApply);
    }

    /// The item that is worked on has failed for a reason outside its module.
    pub fn fail_item(&self, st: &mut HostState, message: String) {
        self.finish_item(st, failed(message), Certainty::Exact);
    }

    /// The item that is worked on is passed over with this result.
    pub fn pass_over(&self, st: &mut HostState, result: TaskResult) {
        self.finish_task(st, result, Certainty::Exact, true);
    }

    /// Whether the task that is worked on is only foretold.
    pub fn foretells(&self, st: &HostState) -> bool {
        let frozen = st.flight.as_ref().and_then(|f| f.item.frozen.as_ref());
        frozen.map_or(self.shared.options.plan, |f| f.check)
    }

    /// Whether it does not matter to the task that is worked on that a machine can't be reached.
    pub fn ignores_unreachable(&self, st: &HostState) -> bool {
        let Some(flight) = &st.flight else { return false };
        let env = self.env(st, &flight.unit.context, Some(&flight.unit), Map::new());
        self.flag(&flight.unit, &env, |k| k.ignore_unreachable.as_ref()).ok().flatten().unwrap_or(false)
    }

    /// A step whose questions are open: taken as doing nothing, to see what comes after it.
    pub fn assume_nothing(&self, st: &mut HostState) {
        let mut result = TaskResult::ok();
        result.unknown = true;
        result.data.insert("changed".into(), Value::Unknown);
        self.finish_item(st, result, Certainty::KnownAfterApply);
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

/// No machine at all.
struct Nothing;

impl Answers for Nothing {
    fn held(&self, _: &Question) -> Held {
        Held::Unknown("no machine is asked".into())
    }
}

/// The result that is expected of a decision's actions. Whether a command changes something is mostly known only from
/// its output.
fn foretold(decision: &Decision) -> TaskResult {
    let mut result = decision.result.clone();
    if decision.next != Next::Done && !decision.actions.is_empty() {
        result.unknown = !result.data.contains_key("changed");
        result.data.entry("changed".into()).or_insert(Value::Unknown);
    }
    result
}

/// The fact that the step in flight would set. It exists, though nobody knows its value.
fn unknown_fact(st: &HostState) -> Option<String> {
    let flight = st.flight.as_ref()?;
    let Action::Module(call) = &flight.unit.task.action else { return None };
    let database = flight.item.frozen.as_ref()?.args.get("database")?.as_str()?;
    (call.module.name() == "getent").then(|| format!("getent_{database}"))
}

pub(super) fn failed(message: String) -> TaskResult {
    TaskResult { failed: true, ..TaskResult::default() }.msg(message)
}

pub(super) fn skipped(reason: &str) -> TaskResult {
    TaskResult { skipped: true, ..TaskResult::default() }.with("skip_reason", reason)
}

fn action_failed(action: &HostAction, output: &Output) -> TaskResult {
    let said = output.err();
    let said = said.trim();
    let why = if output.timed_out {
        "it took longer than its time limit".to_owned()
    } else if said.is_empty() {
        format!("status {}", output.rc)
    } else {
        said.to_owned()
    };
    let mut result = failed(format!("could not {}: {why}", action.shows)).with("rc", output.rc);
    if let ActionKind::Run(_) = action.kind {
        result = result.with("stdout", output.out()).with("stderr", output.err());
    }
    result
}

fn dedup(questions: Vec<Question>) -> Vec<Question> {
    let mut out: Vec<Question> = Vec::with_capacity(questions.len());
    for question in questions {
        if !out.contains(&question) {
            out.push(question);
        }
    }
    out
}

fn same_vars(a: &crate::playbook::Vars, b: &crate::playbook::Vars) -> bool {
    a.len() == b.len()
        && a.iter().all(|(name, node)| b.get(name).is_some_and(|o| Value::from(&**o) == Value::from(&**node)))
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

/// What is frozen for the module of a step.
pub(super) fn frozen_for(walker: &Walker<'_>, st: &HostState, unit: &Unit) -> Frozen {
    Frozen { now: walker.shared.started, nonce: walker.nonce(st, Some(unit)) }
}

/// The code of an include, pushed as a frame.
pub(super) fn push_include(st: &mut HostState, mut rounds: Vec<(Arc<Code>, Vec<super::scope::Layer>)>) {
    if rounds.is_empty() {
        st.step();
        return;
    }
    let (code, locals) = rounds.remove(0);
    let mut frame = Frame::new(code, FrameKind::Include, locals);
    frame.rest = rounds.into();
    st.frames.push(frame);
}
