//! Handlers: who is told, when they run, and what hosts remember of them until they have run.
//!
//! A run can die between a change and its handler. Before the actions of a task that notifies, the host therefore notes
//! down the name that the task uses ([`Note`]); it forgets it when the handlers have run, or the task turns out to have
//! changed nothing. Notes that an earlier run left are read when a shell is opened. They count as told again when the
//! host has come past a task that uses the name, or else at the last flush of the play: not before, since what the
//! handler needs may not be in place.
//!
//! A note that is left over for some other reason costs a handler that runs once too often, never one that does not run.

use super::code::Unit;
use super::event::Event;
use super::state::{Frame, FrameKind, HostState, Standing};
use super::step::{Advance, Walker};
use crate::host::answer::digest;
use crate::host::program::Note;
use crate::host::{Algorithm, Decision, Next};
use crate::source::{Node, bool_of};
use crate::values::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A name that was notified, until all handlers it stands for have run.
#[derive(Debug, Clone)]
pub struct Owed {
    /// The note's name on hosts.
    pub id: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// The handlers that have not run yet: their set (0 is the play's) and their place in it.
    pub handlers: BTreeSet<(u32, usize)>,
    /// Whether an earlier run left it. Without handlers, it has not been taken up yet.
    pub earlier: bool,
}

impl HostState {
    /// Comes to a handler: enters it if it was notified. The one before it has run.
    pub(super) fn begin_handler(&mut self, index: usize, end: usize) {
        self.end_handler();
        let handler = (self.frames.last().map_or(0, |f| f.round), index);
        if self.notified.remove(&handler) {
            self.handling = Some(handler);
            self.step();
        } else if let Some(frame) = self.frame() {
            frame.pc = end;
        }
    }

    /// The handler that was running has run.
    pub(super) fn end_handler(&mut self) {
        let Some(handler) = self.handling.take() else { return };
        self.owed.retain_mut(|owed| !(owed.handlers.remove(&handler) && owed.handlers.is_empty()));
    }

    /// An earlier run left this note.
    pub fn owe_from_before(&mut self, id: &str, name: &str) {
        if !self.owed.iter().any(|owed| &*owed.id == id) {
            self.owed.push(Owed { id: id.into(), name: name.into(), handlers: BTreeSet::new(), earlier: true });
        }
    }
}

/// What the notes of a host's play begin with. The playbook counts by the name of its file alone, since it lies
/// elsewhere on another person's machine.
pub fn prefix(file: &str, play: &str, host: &str) -> String {
    let file = file.rsplit('/').next().unwrap_or(file);
    let text = format!("{file}\0{play}\0{host}");
    format!("{}-", &digest(Algorithm::Sha256, text.as_bytes())[..16])
}

impl Walker<'_> {
    /// What the notes of this host's play begin with.
    pub fn note_prefix(&self) -> String {
        prefix(&self.board.play.span.file.name, &self.board.name, self.host)
    }

    fn note_id(&self, name: &str) -> String {
        format!("{}{}", self.note_prefix(), &digest(Algorithm::Sha256, name.as_bytes())[..16])
    }

    /// What the host is to remember before the actions of the task that is worked on.
    pub(super) fn notes(&self, st: &HostState, decision: &Decision) -> Vec<Note> {
        let Some(flight) = &st.flight else { return Vec::new() };
        let unit = &flight.unit;
        let judged = &unit.task.changed_when;
        let unchanged = judged.iter().any(|node| bool_of(node).is_ok_and(|changed| !changed))
            || judged.is_empty() && decision.next == Next::Done && !decision.result.changed;
        if self.shared.options.plan || decision.actions.is_empty() || unchanged {
            return Vec::new();
        }
        let names = self.topics(st, unit).into_iter();
        let names = names.filter(|name| !name.contains('\n') && !self.handlers_named(st, name).is_empty());
        names.map(|name| Note { id: self.note_id(&name), text: name }).collect()
    }

    /// The names that a task notifies.
    fn topics(&self, st: &HostState, unit: &Unit) -> Vec<String> {
        let mut names = Vec::new();
        if unit.task.notify.is_empty() && unit.context.notify.is_empty() {
            return names;
        }
        let env = self.env(st, &unit.context, Some(unit), Map::new());
        for node in unit.task.notify.iter().chain(&unit.context.notify) {
            match self.shared.templar.render_node(node, &env.scope) {
                Ok(Value::List(items)) => names.extend(items.iter().map(Value::to_string)),
                Ok(value) => names.push(value.to_string()),
                Err(_) => names.extend(node.as_str().map(str::to_owned)),
            }
        }
        names
    }

    /// Marks the handlers that a task tells.
    pub(super) fn notify(&self, st: &mut HostState, unit: &Unit) {
        for name in self.topics(st, unit) {
            let found: BTreeSet<_> = self.handlers_named(st, &name).into_iter().collect();
            if found.is_empty() && !st.speculative {
                st.events.push(Event::Notice {
                    host: Some(Arc::clone(self.host)),
                    text: format!("no handler is called `{name}`, or listens to it; {} asked for it", unit.task.span),
                });
            }
            st.notified.extend(&found);
            let id = self.note_id(&name);
            match st.owed.iter_mut().find(|owed| *owed.id == id) {
                Some(owed) => owed.handlers.extend(found),
                None if found.is_empty() => {}
                None => st.owed.push(Owed { id: id.into(), name: name.into(), handlers: found, earlier: false }),
            }
        }
    }

    /// A task has changed nothing: what it told in an earlier run, and was never done, is told now.
    pub(super) fn take_up(&self, st: &mut HostState, unit: &Unit) {
        if st.owed.iter().all(|owed| !owed.earlier || !owed.handlers.is_empty()) {
            return;
        }
        for name in self.topics(st, unit) {
            let id = self.note_id(&name);
            if let Some(at) = st.owed.iter().position(|o| *o.id == id && o.earlier && o.handlers.is_empty()) {
                self.take_up_one(st, at);
            }
        }
    }

    /// Whether it has handlers.
    fn take_up_one(&self, st: &mut HostState, at: usize) -> bool {
        let name = Arc::clone(&st.owed[at].name);
        let found = self.handlers_named(st, &name);
        if found.is_empty() {
            return false;
        }
        st.notified.extend(&found);
        st.owed[at].handlers = found.into_iter().collect();
        let when = if self.shared.options.plan { "apply runs it" } else { "it runs now" };
        self.say(st, format!("the handler `{name}` is owed since an earlier run that was cut off: {when}"));
        true
    }

    fn say(&self, st: &mut HostState, text: String) {
        if !st.speculative {
            st.events.push(Event::Notice { host: Some(Arc::clone(self.host)), text });
        }
    }

    /// At the last flush of a play: what an earlier run left, and no task of this one has come to tell.
    fn take_up_the_rest(&self, st: &mut HostState) {
        let last = |frame: &Frame| frame.kind == FrameKind::Main && frame.pc + 1 == frame.code.instrs.len();
        let options = &self.shared.options;
        // A run of some tasks says nothing of the others.
        let whole =
            options.tags.iter().all(|t| t == "all") && options.skip_tags.is_empty() && options.start_at.is_none();
        if st.owed.is_empty() || !whole || !matches!(st.frames.as_slice(), [frame] if last(frame)) {
            return;
        }
        let mut at = 0;
        while at < st.owed.len() {
            let open = st.owed[at].earlier && st.owed[at].handlers.is_empty();
            if open && !self.take_up_one(st, at) {
                let name = st.owed.remove(at).name;
                let text = "is owed since an earlier run that was cut off, but no handler is called so any more";
                self.say(st, format!("`{name}` {text}: it is forgotten"));
            } else {
                at += 1;
            }
        }
    }

    /// The handlers that a name stands for: all that listen to it, and the last one that has it.
    fn handlers_named(&self, st: &HostState, wanted: &str) -> Vec<(u32, usize)> {
        let mut found = Vec::new();
        let mut named = None;
        let own = self.compiled.infos.iter().enumerate().map(|(i, info)| ((0, i), info));
        let late = (1..).zip(&st.late_handlers);
        let late = late.flat_map(|(n, set)| set.infos.iter().enumerate().map(move |(i, info)| ((n, i), info)));
        for (index, info) in own.chain(late) {
            let env = self.env(st, &info.context, None, Map::new());
            let render = |node: &Node| match node.as_str() {
                Some(text) if !crate::values::Templar::is_template(text) => Some(text.to_owned()),
                _ => self.shared.templar.render_node(node, &env.scope).ok().map(|v| v.to_string()),
            };
            if info.listen.iter().any(|n| render(n).as_deref() == Some(wanted)) {
                found.push(index);
            }
            if let Some(name) = info.name.as_ref().and_then(render) {
                let full = info.role.as_ref().map(|role| format!("{role} : {name}"));
                if name == wanted || full.as_deref() == Some(wanted) {
                    named = Some(index);
                }
            }
        }
        found.extend(named);
        found
    }

    /// A task failed: goes on where that is caught, or runs the handlers that are owed, or ends.
    pub(super) fn fail(&self, st: &mut HostState, released: Option<usize>) {
        let rescued = st.stats.rescued;
        let caught = st.fail(released);
        if !st.in_handlers() {
            st.handling = None;
        }
        if caught {
            // Only what failed here counts as rescued here.
            if st.along && st.stats.rescued > rescued {
                st.stats.rescued = rescued;
                st.along = false;
            }
            return;
        }
        if !st.along {
            st.stats.failed += 1;
        }
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
        self.board.rules.force_handlers.unwrap_or(self.shared.options.force_handlers)
    }

    pub(super) fn flush(&self, st: &mut HostState) -> Advance {
        if st.speculative && st.maybe_notified {
            return super::freeze::unknown("whether its handlers were notified", Vec::new());
        }
        self.take_up_the_rest(st);
        if st.notified.is_empty() || st.in_handlers() {
            st.step();
        } else {
            st.frames.push(self.handlers_frame(st));
        }
        Advance::Moved
    }
}
