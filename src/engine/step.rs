//! One host, one small step: what a task comes to with what is known, without any waiting.
//!
//! [`Walker::advance`] is a pure function of the host's state and what is known of its machines. The engine calls it on
//! the real state, and on a copy to look ahead.

use super::board::Board;
use super::code::{Code, Context, Instr, Unit};
use super::event::TaskInfo;
use super::run::Shared;
use super::scope::{Needs, ScopeParts, Seed, scope};
use super::state::{Frame, FrameKind, HostState, Standing};
use super::world::{Memory, Seat, World};
use crate::host::program::Act;
use crate::host::view::{Frozen, WhoAmI};
use crate::host::{Action as HostAction, Decision, Key, Question, TaskResult};
use crate::playbook::Action;
use crate::source::Diagnostic;
use crate::values::{EvalError, Map, Scope, Value};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
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
    /// At most so many hosts do it at once.
    pub throttle: Option<usize>,
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
    /// Only for looking ahead: what it will most likely ask, and whom.
    pub likely: Option<(Seat, Vec<Question>)>,
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
    /// Whether something was drawn at random.
    pub drawn: Arc<AtomicBool>,
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
        if let Some(settling) = st.settling {
            return self.settle(st, settling);
        }
        if st.flight.is_none() {
            self.take_gifts(st);
        }
        if self.overtaken(st) {
            self.fail_along(st);
            return Advance::Moved;
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
                    self.note_failure(st, false, Some(region));
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
                st.begin_handler(index, end);
                Advance::Moved
            }
        }
    }

    fn leave_frame(&self, st: &mut HostState) {
        if st.frames.last().is_some_and(|f| f.kind == FrameKind::Handlers) {
            st.end_handler();
        }
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
        let seed = Seed { number: self.seed(st, unit), drawn: Arc::default() };
        let drawn = Arc::clone(&seed.drawn);
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
        Env { scope, needs, drawn }
    }

    /// A number for a step: the same whenever it is looked at.
    fn seed(&self, st: &HostState, unit: Option<&Unit>) -> u64 {
        u64::from_str_radix(&self.nonce(st, unit)[..16], 16).unwrap_or(0)
    }

    fn nonce(&self, st: &HostState, unit: Option<&Unit>) -> String {
        let (at, attempt) = st.flight.as_ref().map_or((0, 0), |f| (f.at, f.item.attempt));
        // Nothing that depends on which host came first: a saved plan must meet the same numbers again.
        let text = format!(
            "{} {} {} {:?} {} {at} {attempt}",
            self.shared.id,
            self.host,
            self.board.play.span,
            st.position(),
            unit.map_or_else(String::new, |u| u.task.span.to_string())
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
            if let Some(wait) = self.hold(st, unit) {
                return wait;
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
}

pub(super) fn failed(message: String) -> TaskResult {
    TaskResult { failed: true, ..TaskResult::default() }.msg(message)
}

pub(super) fn skipped(reason: &str) -> TaskResult {
    TaskResult { skipped: true, ..TaskResult::default() }.with("skip_reason", reason)
}

fn same_vars(a: &crate::playbook::Vars, b: &crate::playbook::Vars) -> bool {
    a.len() == b.len()
        && a.iter().all(|(name, node)| b.get(name).is_some_and(|o| Value::from(&**o) == Value::from(&**node)))
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
